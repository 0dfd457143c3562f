/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and containers on this kernel, through the agent's interface. Needs root. */
#include "runtime_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "io/loop.h"
#include "runtime/cgroup.h"

static void expect_output(struct container_spec *s, const char *want)
{
	char *out = output_of(s, NULL);
	assert_string_equal(out, want);
	free(out);
}

static void test_run(void **state)
{
	struct container_status st;
	(void)state;
	char *out = output_of(shell("echo hello; sleep 0.05; echo oops >&2; exit 7"), &st);
	assert_string_equal(out, "hello\noops\n");
	assert_int_equal(st.exit_code, 7);
	assert_int_equal(st.signal, 0);
	assert_true(st.finished_at_ns >= st.started_at_ns && st.started_at_ns >= st.created_at_ns);
	free(out);
}

static void test_identity(void **state)
{
	(void)state;
	struct container_spec *s = shell("id -u; id -g; id -G; echo $HOME $HOSTNAME $A; pwd; hostname");
	s->user = "web";
	s->groups = (int64_t[]){3000};
	s->n_groups = 1;
	s->env = (const char *[]){"A=1", NULL};
	s->cwd = "/made/for/you";
	expect_output(s, "1000\n1001\n1001 2000 3000\n/home/web test-pod 1\n/made/for/you\ntest-pod\n");
	s = shell("id -u; id -g; id -G");
	s->user = "web";
	s->has_run_as_user = s->has_run_as_group = true;
	s->run_as_user = 4242;
	s->run_as_group = 77;
	expect_output(s, "4242\n77\n77\n");
}

static void test_confinement(void **state)
{
	(void)state;
	struct container_spec *s =
	    shell("exec 2>&1; grep -E 'CapInh|CapPrm|CapBnd|CapAmb|NoNewPrivs|Seccomp:' /proc/self/status | tr -d "
		  "'\\t'; echo $$;"
		  "wc -c < /proc/interrupts; echo x > /proc/sys/vm/swappiness; ls -A /sys/firmware | wc -l;"
		  "mount -t tmpfs x /tmp; unshare -n true; ls /proc/self/fd | wc -l; touch /f && echo written");
	s->no_new_privileges = true;
	expect_output(
	    s, "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapBnd:00000000a80425fb\n"
	       "CapAmb:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n1\n0\n"
	       "/bin/sh: can't create /proc/sys/vm/swappiness: Read-only file system\n0\n"
	       "mount: permission denied (are you root?)\nunshare: unshare(0x40000000): Operation not permitted\n"
	       "4\nwritten\n");
	s = shell("exec 2>&1; touch /f; grep -E 'CapEff|Seccomp:' /proc/self/status | tr -d '\\t'; mknod /dev/x b 8 0 "
		  "&& dd if=/dev/x "
		  "of=/dev/null count=1");
	s->readonly_rootfs = true;
	s->seccomp = NULL;
	s->cap_drop = (const char *[]){"ALL", NULL};
	s->cap_add = (const char *[]){"NET_ADMIN", "MKNOD", NULL};
	expect_output(s, "touch: /f: Read-only file system\nCapEff:0000000008001000\nSeccomp:0\n"
			 "dd: can't open '/dev/x': Operation not permitted\n");
}

static void test_privileged(void **state)
{
	(void)state;
	struct container_spec *s =
	    shell("mount -t tmpfs x /tmp && echo mounted; test -c /dev/null && echo null; grep -c "
		  "Seccomp:.*0 /proc/self/status");
	s->privileged = true;
	expect_output(s, "mounted\nnull\n1\n");
}

static void write_file(const char *path, const char *text)
{
	assert_int_equal(fs_write_replace(path, text, strlen(text), 0644), 0);
}

static void test_mounts(void **state)
{
	(void)state;
	char volume[100], file[120], evil[100];
	snprintf(volume, sizeof(volume), "%s/volume", h.dir);
	snprintf(file, sizeof(file), "%s/data", volume);
	snprintf(evil, sizeof(evil), "%s/evil", h.dir);
	fs_mkdir_p(volume, 0755);
	write_file(file, "content\n");
	struct container_spec *s =
	    shell("exec 2>&1; cat /v/data /etc/one; echo x > /v/data; echo y > /rw/new; cat /rw/new; df /t | tail -1 "
		  "| cut -c1-5; cat /link/data");
	struct spec_mount mounts[] = {
	    {.source = volume, .target = "/v", .readonly = true},
	    {.source = file, .target = "/etc/one"},
	    {.source = volume, .target = "/rw"},
	    {.type = "tmpfs", .target = "/t", .data = "size=64k"},
	    {.source = volume, .target = "/away/in"},
	};
	s->mounts = mounts;
	s->n_mounts = 5;
	/* /away leads to the host's /tmp/…/evil; inside it must mean the container's own. */
	char *link = xasprintf("%s/away", s->upperdir), *inner = xasprintf("%s/link", s->upperdir);
	assert_int_equal(symlink(evil, link), 0);
	assert_int_equal(symlink("/away/in", inner), 0);
	expect_output(s, "content\ncontent\n/bin/sh: can't create /v/data: Read-only file system\ny\ntmpfs\ncontent\n");
	assert_int_equal(access(evil, F_OK), -1);
	free(link);
	free(inner);
}

static void expect_refused(struct container_spec *s, int code, const char *part)
{
	assert_int_equal(pod_up("bad", NULL), 0);
	int got = container_up("bad", s);
	if (got != code || !strstr(last_error, part))
		fail_msg("expected %d …%s…, got %d %s", code, part, got, last_error);
	char *dir = xasprintf("%s/pods/bad/%s", h.run_dir, s->id);
	assert_int_equal(access(dir, F_OK), -1);
	free(dir);
	assert_int_equal(pod_down("bad"), 0);
}

static void test_refused(void **state)
{
	(void)state;
	struct container_spec *s = shell("true");
	s->args = (const char *[]){"nothing-of-this-name", NULL};
	expect_refused(s, 400, "executable file not found in $PATH");
	s = shell("true");
	s->args = (const char *[]){"/etc/passwd", NULL};
	expect_refused(s, 400, "Permission denied");
	s = shell("true");
	s->user = "nobody-here";
	expect_refused(s, 400, "unable to find user");
	s = shell("true");
	s->run_as_non_root = true;
	expect_refused(s, 400, "runAsNonRoot");
	s = shell("true");
	s->cap_add = (const char *[]){"MAGIC", NULL};
	expect_refused(s, 400, "unknown capability \"MAGIC\"");
	struct spec_mount m = {.source = "/nowhere/at/all", .target = "/x"};
	s = shell("true");
	s->mounts = &m;
	s->n_mounts = 1;
	expect_refused(s, 400, "/nowhere/at/all");
	struct spec_mount over = {.source = "/tmp", .target = "/proc/self"};
	s = shell("true");
	s->mounts = &over;
	s->n_mounts = 1;
	expect_refused(s, 400, "/proc");
	s = shell("true");
	s->log_path = "/nowhere/0.log";
	expect_refused(s, 500, "log");
	s = shell("true");
	s->lowerdirs = (const char *[]){"/nowhere", NULL};
	expect_refused(s, 500, "layer");
}

static void test_limits(void **state)
{
	struct cgroup_layout l;
	struct container_status st;
	(void)state;
	assert_int_equal(cgroup_layout_detect(&l), 0);
	unsigned have = cgroup_layout_controllers(&l);
	if (have & CGROUP_MEMORY) {
		struct container_spec *s = shell("a=x; while true; do a=$a$a; done");
		s->resources.memory_limit = 16 << 20;
		free(output_of(s, &st));
		assert_true(st.oom_killed);
		assert_int_equal(st.exit_code, 137);
	}
	if (have & CGROUP_PIDS) {
		struct container_spec *s = shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1 & done; wait");
		s->resources.pids_limit = 4;
		char *out = output_of(s, &st);
		assert_non_null(strstr(out, "can't fork"));
		free(out);
	}
	if (have & CGROUP_CPU) {
		struct runtime_stats stats;
		struct container_spec *s = shell("sleep 100");
		s->resources.cpu_shares = 512;
		s->resources.cpu_quota_us = 50000;
		assert_int_equal(pod_up("cpu", NULL), 0);
		assert_int_equal(container_up("cpu", s), 0);
		assert_int_equal(runtime_container_stats(h.rt, "cpu", s->id, &stats), 0);
		assert_true(stats.cpu_usage_ns > 0);
		assert_int_equal(pod_down("cpu"), 0);
	}
}

static void test_exec(void **state)
{
	char *out;
	(void)state;
	struct container_spec *s = shell("echo $$ > /mark; sleep 100");
	s->user = "web";
	s->upperdir = s->upperdir;
	assert_int_equal(chmod(s->upperdir, 0777), 0);
	assert_int_equal(pod_up("ex", NULL), 0);
	assert_int_equal(container_up("ex", s), 0);
	assert_int_equal(
	    exec_run("ex", s->id, "id -u; hostname; ls /proc/1/exe >/dev/null && readlink /proc/1/cwd; exit 3", &out),
	    3);
	assert_string_equal(out, "1000\ntest-pod\n/\n");
	free(out);
	assert_int_equal(exec_run("ex", s->id, "grep -E 'CapBnd|Seccomp:' /proc/self/status | tr -d '\\t'", &out), 0);
	assert_string_equal(out, "CapBnd:00000000a80425fb\nSeccomp:2\n");
	free(out);
	assert_int_equal(exec_run("ex", "no-such-container", "true", NULL), -404);
	assert_int_equal(pod_down("ex"), 0);
	assert_int_equal(exec_run("ex", s->id, "true", NULL), -404);
}

static void test_stop(void **state)
{
	struct container_status st;
	(void)state;
	assert_int_equal(pod_up("stop", NULL), 0);
	struct container_spec *s = shell("trap 'exit 5' TERM; while true; do sleep 0.01; done");
	assert_int_equal(container_up("stop", s), 0);
	char *out;
	assert_int_equal(exec_run("stop", s->id, "sleep 0.1", &out), 0); /* until the trap is set */
	free(out);
	assert_int_equal(container_stop_wait("stop", s->id, 10000), 0);
	wait_exit("stop", s->id, &st);
	assert_int_equal(st.exit_code, 5);
	assert_int_equal(container_stop_wait("stop", s->id, 10000), 409);
	assert_int_equal(container_remove_wait("stop", s->id), 0);
	assert_int_equal(container_remove_wait("stop", s->id), 404);
	/* One that does not listen, while the agent is away: the shim keeps the deadline. */
	s = shell("trap '' TERM; while true; do sleep 0.01; done");
	assert_int_equal(container_up("stop", s), 0);
	assert_int_equal(container_remove_wait("stop", s->id), 409);
	assert_int_equal(container_stop_wait("stop", s->id, 300), 0);
	runtime_stop();
	usleep(600000);
	runtime_start();
	assert_int_equal(h.recovered, 1);
	assert_true(runtime_container_status(h.rt, "stop", s->id, &st));
	assert_int_equal(st.state, CONTAINER_EXITED);
	assert_int_equal(st.exit_code, 137);
	assert_int_equal(pod_down("stop"), 0);
}

static void test_take_over(void **state)
{
	struct container_status st;
	(void)state;
	assert_int_equal(pod_up("keep", NULL), 0);
	struct container_spec *s = shell("i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.01; done");
	assert_int_equal(container_up("keep", s), 0);
	int pid = runtime_pod_pid(h.rt, "keep");
	for (int i = 0; i < 3; i++) {
		runtime_stop();
		runtime_start();
		assert_int_equal(h.recovered, 1);
		assert_int_equal(h.recovered_containers, 1);
		assert_int_equal(runtime_pod_pid(h.rt, "keep"), pid);
	}
	assert_int_equal(pod_up("keep", NULL), 409);
	wait_exit("keep", s->id, &st);
	assert_int_equal(st.exit_code, 0);
	char *out = log_text(s->log_path), *at = out;
	for (int i = 0; i < 60; i++)
		assert_int_equal(strtol(at, &at, 10), i);
	free(out);
	int ns = runtime_pod_netns(h.rt, "keep");
	assert_true(ns >= 0);
	close(ns);
	assert_int_equal(pod_down("keep"), 0);
	assert_int_equal(runtime_pod_netns(h.rt, "keep"), -ENOENT);
}

/* Ended: gone, or a zombie that its parent (init, or this test, an agent twice) has not reaped. */
static bool ended(int pid)
{
	char path[64], text[300] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	bool gone = !f || !fgets(text, sizeof(text), f) || strstr(text, ") Z");
	if (f)
		fclose(f);
	return gone;
}

static bool something_lost(void *arg)
{
	(void)arg;
	return *h.lost;
}

static void test_shim_killed(void **state)
{
	struct container_status st;
	(void)state;
	*h.lost = 0;
	assert_int_equal(pod_up("lost", NULL), 0);
	struct container_spec *s = shell("sleep 1000");
	assert_int_equal(container_up("lost", s), 0);
	assert_true(runtime_container_status(h.rt, "lost", s->id, &st));
	kill(runtime_pod_pid(h.rt, "lost"), SIGKILL);
	run_until(something_lost, NULL, 10);
	assert_non_null(strstr(h.lost, "lost: its shim was killed"));
	assert_true(ended(st.pid));
	*h.lost = 0;
	/* And with the agent away. */
	assert_int_equal(pod_up("lost", NULL), 0);
	s = shell("sleep 1000");
	assert_int_equal(container_up("lost", s), 0);
	int pid = runtime_pod_pid(h.rt, "lost");
	runtime_stop();
	kill(pid, SIGKILL);
	usleep(100000);
	runtime_start();
	run_until(something_lost, NULL, 10);
	assert_non_null(strstr(h.lost, "not running"));
	assert_int_equal(h.recovered, 0);
}

static void damage(const char *text, const char *why)
{
	char path[200];
	*h.lost = 0;
	assert_int_equal(pod_up("broken", NULL), 0);
	struct container_spec *s = shell("sleep 1000");
	assert_int_equal(container_up("broken", s), 0);
	int shim = runtime_pod_pid(h.rt, "broken");
	runtime_stop();
	snprintf(path, sizeof(path), "%s/pods/broken/pod.json", h.run_dir);
	if (text)
		write_file(path, text);
	else
		unlink(path);
	runtime_start();
	run_until(something_lost, NULL, 10);
	assert_int_equal(h.recovered, 0);
	if (!strstr(h.lost, why))
		fail_msg("expected %s, got %s", why, h.lost);
	for (int i = 0; !ended(shim); i++) {
		if (i == 100)
			fail_msg("the shim of a damaged pod goes on");
		usleep(10000);
	}
	assert_int_equal(pod_up("broken", NULL), 0);
	assert_int_equal(pod_down("broken"), 0);
}

static void test_damaged_state(void **state)
{
	(void)state;
	damage("{\"version\":1,\"uid\":\"bro", "damaged");
	damage("", "damaged");
	damage("{\"version\":1,\"uid\":\"other\",\"cgroup\":\"x\",\"pid\":1,\"startTime\":1,\"bootId\":\"b\"}",
	       "damaged");
	damage(NULL, "missing");
	/* Somebody else's pid now. */
	char *text =
	    xasprintf("{\"version\":1,\"uid\":\"broken\",\"cgroup\":\"%s/podbroken\",\"pid\":%d,\"startTime\":1,"
		      "\"bootId\":\"b\"}",
		      h.cgroup_root, getpid());
	damage(text, "not running");
	free(text);
}

static void test_log(void **state)
{
	(void)state;
	/* 40,000 characters in one line come back as one, from three records; an end without a newline gets none. */
	char *out = output_of(shell("head -c 40000 /dev/zero | tr '\\0' a; echo; printf end"), NULL);
	assert_int_equal(strlen(out), 40000 + 1 + 3);
	assert_int_equal(strspn(out, "a"), 40000);
	free(out);
	/* 25 MB: two rotations at 10 MiB, nothing lost, no line split. */
	struct container_spec *s =
	    shell("i=0; while [ $i -lt 250 ]; do yes 0123456789 | head -n 9091; i=$((i+1)); done");
	out = output_of(s, NULL);
	size_t lines = 0;
	for (int i = 2; i >= 0; i--) {
		char *path = i ? xasprintf("%s.%d", s->log_path, i) : xstrdup(s->log_path);
		char *text = log_text(path), *at = text;
		while (*at) {
			assert_memory_equal(at, "0123456789\n", 11);
			at += 11;
			lines++;
		}
		free(text);
		free(path);
	}
	free(out);
	(void)lines;
}

static void test_shared_pid(void **state)
{
	(void)state;
	struct pod_spec p = {.share_pid = true};
	struct container_status st;
	char *out;
	assert_int_equal(pod_up("pids", &p), 0);
	struct container_spec *a = shell("sleep 1000"), *b = shell("sleep 1000 & ps -o pid,comm; kill -TERM 1; exit 0");
	a->args = (const char *[]){"/bin/sleep", "1000", NULL}; /* is what it is as soon as it is up, unlike a shell */
	assert_int_equal(container_up("pids", a), 0);
	assert_int_equal(container_up("pids", b), 0);
	wait_exit("pids", b->id, &st);
	out = log_text(b->log_path);
	assert_non_null(strstr(out, "1 pause"));
	assert_non_null(strstr(out, "2 sleep"));
	free(out);
	/* What b left running is gone with it; a is not. */
	assert_int_equal(exec_run("pids", a->id, "ps -o comm | grep -c sleep", &out), 0);
	assert_string_equal(out, "1\n");
	free(out);
	assert_int_equal(pod_down("pids"), 0);
}

static void test_shm(void **state)
{
	(void)state;
	struct container_status st;
	assert_int_equal(pod_up("shm", NULL), 0);
	struct container_spec *a = shell("echo shared > /dev/shm/x"), *b = shell("cat /dev/shm/x");
	assert_int_equal(container_up("shm", a), 0);
	wait_exit("shm", a->id, &st);
	assert_int_equal(container_up("shm", b), 0);
	wait_exit("shm", b->id, &st);
	char *out = log_text(b->log_path);
	assert_string_equal(out, "shared\n");
	free(out);
	assert_int_equal(pod_down("shm"), 0);
}

static void note(void *arg, const struct status *err)
{
	*(int *)arg = err ? err->code : 1;
	loop_stop(h.loop);
}

static bool noted(void *arg)
{
	return *(int *)arg;
}

static void test_attach(void **state)
{
	(void)state;
	struct container_status st;
	int pair[2], r = 0;
	char text[64] = "";
	assert_int_equal(pod_up("att", NULL), 0);
	struct container_spec *s = shell("while read l; do echo got $l; done; echo end");
	s->stdin_ = s->stdin_once = true;
	assert_int_equal(container_up("att", s), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	runtime_attach(h.rt, "att", s->id, (int[3]){pair[1], pair[1], -1}, note, &r);
	close(pair[1]);
	run_until(noted, &r, 5);
	assert_int_equal(r, 1);
	assert_int_equal(write(pair[0], "one\n", 4), 4);
	assert_int_equal(read(pair[0], text, sizeof(text)), 8);
	assert_memory_equal(text, "got one\n", 8);
	shutdown(pair[0], SHUT_WR);
	wait_exit("att", s->id, &st);
	assert_int_equal(read(pair[0], text, sizeof(text)), 4);
	assert_int_equal(read(pair[0], text, sizeof(text)), 0);
	close(pair[0]);
	assert_int_equal(pod_down("att"), 0);
}

static void test_tty(void **state)
{
	(void)state;
	struct container_spec *s =
	    shell("tty; test -t 1 && echo terminal; echo $TERM; test -c /dev/console && echo console");
	s->tty = true;
	expect_output(s, "/dev/pts/0\r\nterminal\r\nxterm\r\nconsole\r\n");
}

static void test_sysctl(void **state)
{
	(void)state;
	struct spec_sysctl good = {"net.ipv4.ip_unprivileged_port_start", "0"}, bad = {"vm.swappiness", "1"};
	struct pod_spec p = {.sysctls = &good, .n_sysctls = 1};
	struct container_status st;
	assert_int_equal(pod_up("sys", &p), 0);
	struct container_spec *s = shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
	assert_int_equal(container_up("sys", s), 0);
	wait_exit("sys", s->id, &st);
	char *out = log_text(s->log_path);
	assert_string_equal(out, "0\n");
	free(out);
	assert_int_equal(pod_down("sys"), 0);
	p.sysctls = &bad;
	assert_int_equal(pod_up("sys", &p), 400);
	assert_int_equal(pod_up("sys", NULL), 0);
	assert_int_equal(pod_down("sys"), 0);
	assert_int_equal(pod_down("sys"), 0);
}

static void test_big_spec(void **state)
{
	(void)state;
	struct container_spec *s = shell("echo ${#BIG}");
	char *big = xmalloc(120001);
	memcpy(big, "BIG=", 4);
	memset(big + 4, 'x', 119996);
	big[120000] = 0;
	s->env = (const char *[]){big, NULL};
	expect_output(s, "119996\n");
	free(big);
}

/* supervisor_test.c */
extern const struct CMUnitTest supervisor_tests[];
extern const size_t n_supervisor_tests;

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_run),	       cmocka_unit_test(test_identity),	   cmocka_unit_test(test_confinement),
	    cmocka_unit_test(test_privileged), cmocka_unit_test(test_mounts),	   cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_limits),     cmocka_unit_test(test_exec),	   cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_take_over),  cmocka_unit_test(test_shim_killed), cmocka_unit_test(test_damaged_state),
	    cmocka_unit_test(test_log),	       cmocka_unit_test(test_shared_pid),  cmocka_unit_test(test_shm),
	    cmocka_unit_test(test_attach),     cmocka_unit_test(test_tty),	   cmocka_unit_test(test_sysctl),
	    cmocka_unit_test(test_big_spec),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	struct CMUnitTest all[64];
	size_t n = sizeof(tests) / sizeof(*tests);
	assert_true(n + n_supervisor_tests <= 64);
	memcpy(all, tests, sizeof(tests));
	memcpy(all + n, supervisor_tests, n_supervisor_tests * sizeof(*all));
	return _cmocka_run_group_tests("runtime", all, n + n_supervisor_tests, harness_setup, harness_teardown);
}
