/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: runtime_faults [EVERY [FROM]] : a pod with a container and a further process in it, while one system call of
 * its shim and of what becomes the container fails: the EVERYth ones in turn. Whatever comes of it, nothing may be
 * left. PROA_SHIM is tests/oci/fault, which runs $FAULT_PROGRAM.
 */
#include "runtime_harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "runtime/cgroup.h"

static char report[100];
static int every = 40, from = 1, wrong;
static long current;

static int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

/* What there is of the pod on the machine, as a text; "" is nothing. */
static const char *left(const char *uid)
{
	static char text[400];
	struct cgroup_layout l;
	struct buf b = BUF_INIT;
	*text = 0;
	if (entries(h.run_dir) && access(h.run_dir, F_OK) == 0) {
		char pods[120];
		snprintf(pods, sizeof(pods), "%s/pods", h.run_dir);
		if (entries(pods))
			strcat(text, " its directory");
	}
	assert_true(cgroup_layout_detect(&l) > -1);
	for (size_t i = 0; i < l.n; i++) {
		char path[300];
		snprintf(path, sizeof(path), "%s/%s/pod%s", l.h[i].mount, h.cgroup_root, uid);
		if (access(path, F_OK) == 0 && !strstr(text, "cgroup"))
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " cgroup %s", path);
	}
	fs_read("/proc/self/mountinfo", 8 << 20, &b);
	if (strstr(buf_str(&b), h.dir))
		strcat(text, " a mount");
	buf_release(&b);
	return text;
}

/* The report's line with this first word; *ret_text what follows. */
static bool said(const char *word, char *ret_text, size_t max)
{
	char line[200];
	bool found = false;
	FILE *f = fopen(report, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, word, strlen(word))) {
			snprintf(ret_text, max, "%.*s", (int)strcspn(line + strlen(word), "\n"), line + strlen(word));
			found = true;
		}
	if (f)
		fclose(f);
	return found;
}

/* How many calls there were. */
static long once(long n)
{
	char number[24], uid[32], failed[100] = "", calls[24] = "0";
	const char *step = "none";
	current = n;
	snprintf(number, sizeof(number), "%ld", n);
	snprintf(uid, sizeof(uid), "f%ld", n);
	setenv("FAULT_N", number, 1);
	unlink(report);
	*h.lost = 0;
	struct container_spec *s = shell("read l; exit 3");
	s->stdin_ = true;
	if (pod_up(uid, NULL))
		step = "pod";
	else if (container_up(uid, s))
		step = "container";
	else if (exec_run(uid, s->id, "true", NULL))
		step = "exec";
	if (strcmp(step, "none") && !*last_error && !*h.lost)
		step = "an error without words";
	int code = pod_down(uid);
	said("failed ", failed, sizeof(failed));
	said("calls ", calls, sizeof(calls));
	if (*left(uid) || (code && code != 500) || !strcmp(step, "an error without words")) {
		print_error("call %ld %s: failed at %s (%s), removal %d, left:%s\n", n, failed, step, last_error, code,
			    left(uid));
		wrong++;
	}
	return atol(calls);
}

static void test_faults(void **state)
{
	(void)state;
	long total = once(0);
	if (total < 100)
		fail_msg("only %ld calls were seen", total);
	for (long n = from; n <= total; n += every)
		once(n);
	assert_int_equal(wrong, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};
	if (argc > 1)
		every = atoi(argv[1]);
	if (argc > 2)
		from = atoi(argv[2]);
	snprintf(report, sizeof(report), "/tmp/proa-faults-%d", getpid());
	setenv("FAULT_REPORT", report, 1);
	int r = cmocka_run_group_tests(tests, harness_setup, harness_teardown);
	char failed[100] = "";
	if (r)
		said("failed ", failed, sizeof(failed));
	if (r)
		print_error("the last was call %ld, %s\n", current, failed);
	unlink(report);
	return r;
}
