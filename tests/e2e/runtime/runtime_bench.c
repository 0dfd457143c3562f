/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container and a pod cost: medians in milliseconds over N runs, as one JSON object. Needs root.
 *   container_start   request sent -> running (the command's exec has happened)
 *   container_run     request sent -> exit of /bin/true known, and the container removed
 *   exec              request -> exit of /bin/true
 *   pod               created and removed, no containers
 *   floor             beside container_run, by turns: $PROA_FLOOR (tests/bench/container_floor.c) in the pod's stead
 */
#include "runtime_harness.h"

#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/env.h"
#include "base/mem.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return v[n / 2];
}

static double since(int64_t start)
{
	return (double)(env->monotonic_ns() - start) / 1e6;
}

static long pss_kb(int pid)
{
	char path[64], line[200];
	long kb = -1;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

/* Milliseconds; 0 without a floor. */
static double floor_run(void)
{
	extern char **environ;
	char *argv[] = {getenv("PROA_FLOOR"), "run", h.layer, "pod", "/bin/true", NULL};
	pid_t pid;
	int status;
	int64_t t = env->monotonic_ns();
	if (!argv[0])
		return 0;
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return since(t);
}

static void bench(void **state)
{
	(void)state;
	enum { N = 100 };
	double start[N], run[N], exec[N], pod[N], floor[N];
	struct container_status st;
	assert_int_equal(pod_up("bench", NULL), 0);
	for (int i = 0; i < N; i++) {
		struct container_spec *s = shell("");
		s->args = (const char *[]){"/bin/true", NULL};
		int64_t t = env->monotonic_ns();
		assert_int_equal(container_up("bench", s), 0);
		start[i] = since(t);
		wait_exit("bench", s->id, &st);
		assert_int_equal(container_remove_wait("bench", s->id), 0);
		run[i] = since(t);
		floor[i] = floor_run();
	}
	struct container_spec *s = shell("sleep 1000");
	assert_int_equal(container_up("bench", s), 0);
	for (int i = 0; i < N; i++) {
		int64_t t = env->monotonic_ns();
		assert_int_equal(exec_run("bench", s->id, "true", NULL), 0);
		exec[i] = since(t);
	}
	long alone = pss_kb(runtime_pod_pid(h.rt, "bench"));
	char uid[16];
	for (int i = 0; i < 10; i++) {
		snprintf(uid, sizeof(uid), "idle-%d", i);
		assert_int_equal(pod_up(uid, NULL), 0);
		struct container_spec *c = shell("sleep 1000");
		assert_int_equal(container_up(uid, c), 0);
	}
	long shared = pss_kb(runtime_pod_pid(h.rt, "idle-5"));
	for (int i = 0; i < 10; i++) {
		snprintf(uid, sizeof(uid), "idle-%d", i);
		assert_int_equal(pod_down(uid), 0);
	}
	assert_int_equal(pod_down("bench"), 0);
	for (int i = 0; i < N; i++) {
		int64_t t = env->monotonic_ns();
		assert_int_equal(pod_up("p", NULL), 0);
		assert_int_equal(pod_down("p"), 0);
		pod[i] = since(t);
	}
	printf(
	    "{\"container_start_ms\":%.2f,\"container_run_ms\":%.2f,\"floor_ms\":%.2f,\"exec_ms\":%.2f,\"pod_ms\":%.2f,"
	    "\"shim_pss_after_200_processes_kb\":%ld,\"shim_pss_of_11_kb\":%ld}\n",
	    median(start, N), median(run, N), median(floor, N), median(exec, N), median(pod, N), alone, shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(bench)};
	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
