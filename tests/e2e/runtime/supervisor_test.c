/* SPDX-License-Identifier: Apache-2.0 */
/* The shim as a supervisor: attached clients, logs on a full disk, agents that come and go in other versions. */
#include "runtime_harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/loop.h"
#include "runtime/cgroup.h"
#include "runtime/state.h"

static void note(void *arg, const struct status *err)
{
	*(int *)arg = err ? err->code : 1;
	loop_stop(h.loop);
}

static bool noted(void *arg)
{
	return *(int *)arg;
}

static int attach(const char *uid, const char *id, int in, int out)
{
	int r = 0;
	runtime_attach(h.rt, uid, id, (int[3]){in, out, -1}, note, &r);
	run_until(noted, &r, 5);
	return r == 1 ? 0 : r;
}

/* Everything until the writers are gone. */
static char *read_all(int fd)
{
	struct buf b = BUF_INIT;
	char data[65536];
	ssize_t n;
	while ((n = read(fd, data, sizeof(data))) > 0)
		buf_add(&b, data, (size_t)n);
	buf_addc(&b, 0);
	close(fd);
	return buf_steal(&b, NULL);
}

struct reader {
	int fd;
	struct buf text;
	bool ended;
	struct loop_fd *watch;
};

static void on_readable(void *arg, int events)
{
	struct reader *r = arg;
	char data[65536];
	(void)events;
	ssize_t n = read(r->fd, data, sizeof(data));
	if (n > 0)
		buf_add(&r->text, data, (size_t)n);
	if (n != 0)
		return;
	r->ended = true;
	loop_fd_free(r->watch);
	r->watch = NULL;
	loop_stop(h.loop);
}

static bool has_ended(void *arg)
{
	return ((struct reader *)arg)->ended;
}

static void numbers_check(const char *text, int n)
{
	char *at = (char *)(uintptr_t)text;
	for (int i = 1; i <= n; i++) {
		int got = (int)strtol(at, &at, 10);
		if (got != i)
			fail_msg("line %d says %d", i, got);
	}
	assert_string_equal(at, "\n");
}

/* Three clients, of which one never reads: it is dropped, the others and the log have everything. */
static void test_stalled_attach(void **state)
{
	(void)state;
	struct container_status st;
	struct reader good[2] = {0};
	int p[2], lazy[2];
	assert_int_equal(pod_up("stall", NULL), 0);
	struct container_spec *s = shell("read go; seq 50000; exit 3"); /* 288,894 bytes: more than pipes hold */
	s->stdin_ = s->stdin_once = true;
	assert_int_equal(container_up("stall", s), 0);
	assert_int_equal(pipe2(lazy, O_CLOEXEC), 0);
	assert_int_equal(attach("stall", s->id, -1, lazy[1]), 0);
	close(lazy[1]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		assert_int_equal(attach("stall", s->id, -1, p[1]), 0);
		close(p[1]);
		good[i].fd = p[0];
		fcntl(p[0], F_SETFL, O_NONBLOCK);
		good[i].watch = loop_fd_new(h.loop, p[0], LOOP_READABLE, on_readable, &good[i]);
	}
	int in[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(attach("stall", s->id, in[0], -1), 0);
	close(in[0]);
	assert_int_equal(write(in[1], "go\n", 3), 3);
	close(in[1]);
	wait_exit("stall", s->id, &st);
	assert_int_equal(st.exit_code, 3);
	for (int i = 0; i < 2; i++) {
		run_until(has_ended, &good[i], 5);
		numbers_check(buf_str(&good[i].text), 50000);
		buf_release(&good[i].text);
		close(good[i].fd);
	}
	char *log = log_text(s->log_path);
	numbers_check(log, 50000);
	free(log);
	free(read_all(lazy[0])); /* ends: nobody holds the other side any more */
	assert_int_equal(pod_down("stall"), 0);
}

/* A client that reads only after the container ended still gets the last of its output. */
static void test_attach_until_the_last_byte(void **state)
{
	(void)state;
	struct container_status st;
	int p[2], in[2];
	assert_int_equal(pod_up("tail", NULL), 0);
	/* One pipe full for the client, one for the container: the rest is in the shim when it exits. */
	struct container_spec *s = shell("read go; seq 20000");
	s->stdin_ = s->stdin_once = true;
	assert_int_equal(container_up("tail", s), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(attach("tail", s->id, in[0], p[1]), 0);
	close(p[1]);
	close(in[0]);
	assert_int_equal(write(in[1], "go\n", 3), 3);
	close(in[1]);
	wait_exit("tail", s->id, &st);
	char *text = read_all(p[0]);
	numbers_check(text, 20000);
	free(text);
	assert_int_equal(pod_down("tail"), 0);
}

static void test_resize(void **state)
{
	(void)state;
	struct container_status st;
	int p[2], r = 0;
	char text[200];
	assert_int_equal(pod_up("size", NULL), 0);
	struct container_spec *s =
	    shell("trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 1000 & wait; done");
	s->tty = true;
	assert_int_equal(container_up("size", s), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(attach("size", s->id, -1, p[1]), 0);
	close(p[1]);
	for (;;) { /* the trap is set: before or after we attached */
		char *log = log_text(s->log_path);
		bool ready = strstr(log, "ready") != NULL;
		free(log);
		if (ready)
			break;
		assert_true(read(p[0], text, sizeof(text)) > 0);
	}
	runtime_container_resize(h.rt, "size", s->id, 33, 101, note, &r);
	run_until(noted, &r, 5);
	assert_int_equal(r, 1);
	wait_exit("size", s->id, &st);
	assert_int_equal(st.exit_code, 4);
	char *log = log_text(s->log_path);
	assert_non_null(strstr(log, "33 101"));
	free(log);
	close(p[0]);
	r = 0;
	runtime_container_resize(h.rt, "size", s->id, 1, 1, note, &r);
	run_until(noted, &r, 5);
	assert_int_equal(r, 500);
	assert_int_equal(pod_down("size"), 0);
}

/* The log's disk is full: the container runs to its end, and the log says what it lacks. */
static void test_log_on_a_full_disk(void **state)
{
	(void)state;
	struct container_status st;
	int p[2];
	char at[100], fill[128], line[32] = "";
	snprintf(at, sizeof(at), "%s/small", h.dir);
	assert_int_equal(fs_mkdir_p(at, 0755), 0);
	assert_int_equal(mount("small", at, "tmpfs", 0, "size=64k"), 0);
	snprintf(fill, sizeof(fill), "%s/fill", at);
	assert_int_equal(fs_write_replace(fill, at, 1, 0644), 0);
	assert_int_equal(truncate(fill, 0), 0);
	assert_int_equal(pod_up("full", NULL), 0);
	struct container_spec *s = shell("read x < /begin; seq 20000; read x < /go; echo last; exit 6");
	char *log_path = xasprintf("%s/0.log", at), *go = xasprintf("%s/go", s->upperdir);
	char *begin = xasprintf("%s/begin", s->upperdir);
	assert_int_equal(mkfifo(go, 0600), 0);
	assert_int_equal(mkfifo(begin, 0600), 0);
	s->log_path = log_path;
	assert_int_equal(container_up("full", s), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(attach("full", s->id, -1, p[1]), 0);
	close(p[1]);
	assert_int_equal(exec_run("full", s->id, "echo > /begin", NULL), 0);
	/* It gets there although nobody could write all that; what a client has seen was tried to be written. */
	FILE *client = fdopen(p[0], "r");
	while (fgets(line, sizeof(line), client) && strcmp(line, "20000\n"))
		;
	assert_string_equal(line, "20000\n");
	char *before = log_text(log_path);
	assert_true(strlen(before) < 65536 && !strstr(before, "20000\n"));
	free(before);
	assert_int_equal(truncate(log_path, 4096), 0); /* as who makes room would */
	assert_int_equal(exec_run("full", s->id, "echo > /go", NULL), 0);
	wait_exit("full", s->id, &st);
	assert_int_equal(st.exit_code, 6);
	char *after = log_text(log_path);
	assert_non_null(strstr(after, "bytes of this log were lost here: No space left on device]\nlast\n"));
	free(after);
	fclose(client);
	assert_int_equal(pod_down("full"), 0);
	assert_int_equal(umount(at), 0);
	free(log_path);
	free(begin);
	free(go);
}

/* An agent of today finds a pod whose shim is of protocol 1: everything goes on, and its end is known. */
static void test_older_shim(void **state)
{
	(void)state;
	struct container_status st;
	int p[2];
	char *out;
	if (!getenv("PROA_SHIM_1"))
		skip();
	runtime_stop();
	runtime_start_with(getenv("PROA_SHIM_1"));
	assert_int_equal(pod_up("old", NULL), 0);
	struct container_spec *s = shell("i=0; while [ ! -e /go ]; do echo $i; i=$((i+1)); usleep 10000; done; exit 9");
	assert_int_equal(container_up("old", s), 0);
	int pid = runtime_pod_pid(h.rt, "old");
	runtime_stop();
	runtime_start();
	assert_int_equal(h.recovered, 1);
	assert_int_equal(h.recovered_containers, 1);
	assert_int_equal(runtime_pod_pid(h.rt, "old"), pid);
	assert_int_equal(exec_run("old", s->id, "echo inside; exit 5", &out), 5);
	assert_string_equal(out, "inside\n");
	free(out);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(attach("old", s->id, -1, p[1]), 0);
	close(p[1]);
	char c;
	assert_int_equal(read(p[0], &c, 1), 1);
	struct container_spec *second = shell("echo second");
	assert_int_equal(container_up("old", second), 0);
	wait_exit("old", second->id, &st);
	assert_int_equal(exec_run("old", s->id, "touch /go", NULL), 0);
	wait_exit("old", s->id, &st);
	assert_int_equal(st.exit_code, 9);
	close(p[0]);
	assert_int_equal(pod_down("old"), 0);
}

static bool something_lost(void *arg)
{
	(void)arg;
	return *h.lost;
}

/*
 * A state file that names what is not this pod's: the process of somebody else, and a cgroup that others are in. The
 * pod is given up and cleared away; nothing else is touched.
 */
static void test_foreign_state(void **state)
{
	(void)state;
	struct container_status other, st;
	struct pod_state ps;
	char dir[200];
	assert_int_equal(pod_up("victim", NULL), 0);
	assert_int_equal(pod_up("broken", NULL), 0);
	struct container_spec *v = shell("sleep 1000"), *s = shell("sleep 1000");
	assert_int_equal(container_up("victim", v), 0);
	assert_int_equal(container_up("broken", s), 0);
	assert_true(runtime_container_status(h.rt, "victim", v->id, &other));
	assert_true(runtime_container_status(h.rt, "broken", s->id, &st));
	snprintf(dir, sizeof(dir), "%s/pods/broken", h.run_dir);
	assert_int_equal(state_read(dir, &ps), 0);
	snprintf(ps.cgroup, sizeof(ps.cgroup), "%s/podvictim", h.cgroup_root);
	ps.pid = other.pid;
	ps.start_time = state_start_time(other.pid);
	runtime_stop();
	assert_int_equal(state_write(dir, &ps), 0);
	/* And what is no pod at all. */
	char *foreign = xasprintf("%s/pods/lost+found/x", h.run_dir);
	assert_int_equal(fs_mkdir_p(foreign, 0700), 0);
	*h.lost = 0;
	runtime_start();
	run_until(something_lost, NULL, 10);
	assert_int_equal(h.recovered, 1);
	assert_non_null(strstr(h.lost, "broken: its state file is damaged"));
	assert_int_equal(kill(other.pid, 0), 0);
	assert_true(runtime_container_status(h.rt, "victim", v->id, &other));
	assert_int_equal(other.state, CONTAINER_RUNNING);
	assert_true(state_start_time(st.pid) < 0); /* gone, or not reaped yet */
	assert_int_equal(access(foreign, F_OK), 0);
	*strrchr(foreign, '/') = 0;
	assert_int_equal(fs_remove_tree(foreign), 0);
	free(foreign);
	assert_int_equal(pod_down("victim"), 0);
}

const struct CMUnitTest supervisor_tests[] = {
    cmocka_unit_test(test_attach_until_the_last_byte),
    cmocka_unit_test(test_stalled_attach),
    cmocka_unit_test(test_resize),
    cmocka_unit_test(test_log_on_a_full_disk),
    cmocka_unit_test(test_older_shim),
    cmocka_unit_test(test_foreign_state),
};
const size_t n_supervisor_tests = sizeof(supervisor_tests) / sizeof(*supervisor_tests);
