/* SPDX-License-Identifier: Apache-2.0 */
/* Known holes, tried on the runtime of pods. Everything in the image and in the container is the attacker's. */
#include "runtime_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/loop.h"
#include "runtime/cgroup.h"

static int container(const char *uid, struct container_spec *s)
{
	int r = container_up(uid, s);
	if (r != 0 && r != 400 && r != 500)
		fail_msg("%d %s", r, last_error);
	return r;
}

/* An image says which file is run: no descriptor that is open by then may lead out of the container (CVE-2024-21626).
 */
static void test_executable_by_descriptor(void **state)
{
	char path[120];
	(void)state;
	assert_int_equal(pod_up("fd", NULL), 0);
	for (int fd = 3; fd < 40; fd++) {
		struct container_spec *s = shell("true");
		/* The test's own directory: there in no container, and beside each of its layers. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d/../layer/bin/busybox", fd);
		s->args = (const char *[]){path, "true", NULL};
		if (container("fd", s) == 0)
			fail_msg("executed through descriptor %d", fd);
		s = shell("true");
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		s->cwd = path;
		if (container("fd", s) == 0)
			fail_msg("descriptor %d as working directory", fd);
	}
	struct container_spec *s = shell("true"); /* a way that is there */
	s->args = (const char *[]){"/proc/self/root/../bin/busybox", "true", NULL};
	assert_int_equal(container("fd", s), 0);
	assert_int_equal(pod_down("fd"), 0);
}

static int first_line(const char *text, const char *name)
{
	char want[64];
	snprintf(want, sizeof(want), "%s ", name);
	for (const char *at = text; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
		if (!strncmp(at, want, strlen(want)))
			return atoi(at + strlen(want));
	fail_msg("nothing about %s", name);
	return -1;
}

static char *probe(struct container_spec *s)
{
	char command[300];
	snprintf(command, sizeof(command), "cp %s %s/probe", getenv("PROA_PROBE"), s->upperdir);
	assert_int_equal(system(command), 0);
	return output_of(s, NULL);
}

/* What the default filter refuses, with root's default capabilities; and that the filter is what does it. */
static void test_default_filter(void **state)
{
	static const char *const refused[] = {
	    "vsock",
	    "io_uring_setup",
	    "io_uring_enter",
	    "io_uring_register",
	    "bpf",
	    "userfaultfd",
	    "perf_event_open",
	    "keyctl",
	    "add_key",
	    "request_key",
	    "mount",
	    "umount2",
	    "pivot_root",
	    "open_tree",
	    "move_mount",
	    "fsopen",
	    "mount_setattr",
	    "unshare",
	    "clone",
	    "setns",
	    "open_by_handle_at",
	    "process_vm_readv",
	    "pidfd_getfd",
	    "kcmp",
	    "init_module",
	    "finit_module",
	    "delete_module",
	    "kexec_load",
	    "reboot",
	    "swapon",
	    "acct",
	    "settimeofday",
	    "quotactl",
	    "syslog",
	    "fanotify_init",
	    "statmount",
	    "lsm_get_self_attr",
#ifdef __x86_64__
	    "iopl",
	    "ioperm",
	    "x32 getpid",
#endif
	};
	(void)state;
	if (!getenv("PROA_PROBE"))
		skip();
	struct container_spec *s = shell("/probe");
	char *out = probe(s);
	assert_int_equal(first_line(out, "getpid"), 0);
	assert_int_equal(first_line(out, "socket"), 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (first_line(out, refused[i]) != EPERM && first_line(out, refused[i]) != ENOSYS)
			fail_msg("%s: %d", refused[i], first_line(out, refused[i]));
	/* Where libraries fall back on ENOSYS and not on EPERM. */
	assert_int_equal(first_line(out, "clone3"), ENOSYS);
	assert_int_equal(first_line(out, "not yet there"), ENOSYS);
	free(out);
	s = shell("/probe");
	s->seccomp = "Unconfined";
	out = probe(s);
	assert_int_not_equal(first_line(out, "io_uring_register"), EPERM);
	assert_int_equal(first_line(out, "unshare"), 0);
	free(out);
	/* A word for a filter that nobody knows is no word for none. */
	s = shell("true");
	s->seccomp = "Defualt";
	assert_int_equal(pod_up("word", NULL), 0);
	assert_int_equal(container("word", s), 500);
	assert_non_null(strstr(last_error, "seccomp"));
	assert_int_equal(pod_down("word"), 0);
}

static void expect_output(struct container_spec *s, const char *want)
{
	char *out = output_of(s, NULL);
	assert_string_equal(out, want);
	free(out);
}

/* CVE-2022-0492 and what else of /proc and /sys belongs to the machine. */
static void test_kernel_files(void **state)
{
	(void)state;
	expect_output(
	    shell("exec 2>/dev/null; for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe "
		  "/proc/sys/vm/swappiness /proc/sysrq-trigger /proc/irq/default_smp_affinity "
		  "/sys/kernel/uevent_helper /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/release_agent "
		  "/sys/fs/cgroup/*/devices.allow /sys/power/state; do (echo x > $f) && echo $f; done;"
		  "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/mine && echo made $d; done;"
		  "mkdir /c; mount -t cgroup -o memory c /c && echo mounted; cat /proc/kcore /proc/keys "
		  "/proc/timer_list | head -c 10; ls /sys/firmware; (echo 1 > /proc/self/oom_score_adj) && echo "
		  "end"),
	    "end\n");
	/* The files are there, and a privileged container can: the test would see it. */
	struct container_spec *s =
	    shell("test -w /proc/sys/vm/swappiness && cat /proc/sys/vm/swappiness > /x && cat /x "
		  "> /proc/sys/vm/swappiness && echo can");
	s->privileged = true;
	expect_output(s, "can\n");
}

/* Image files where the runtime looks: neither waited for, nor opened for their effect, nor read without end. */
static void test_hostile_passwd(void **state)
{
	char path[200];
	(void)state;
	assert_int_equal(pod_up("pw", NULL), 0);
	for (int i = 0; i < 5; i++) {
		struct container_spec *s = shell("sleep 1000");
		snprintf(path, sizeof(path), "%s/etc", s->upperdir);
		assert_int_equal(mkdir(path, 0755), 0);
		snprintf(path, sizeof(path), "%s/etc/passwd", s->upperdir);
		if (i == 0)
			assert_int_equal(mkfifo(path, 0666), 0);
		else if (i == 1)
			assert_int_equal(mknod(path, S_IFCHR | 0666, makedev(1, 5)), 0);
		else if (i == 2)
			assert_int_equal(mkdir(path, 0777), 0);
		else if (i == 3)
			assert_int_equal(symlink("/proc/self/fd/0", path), 0);
		else {
			int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
			assert_true(fd >= 0 && ftruncate(fd, 1ll << 40) == 0);
			close(fd);
		}
		int r = container("pw", s);
		/* A link that leads nowhere is as no file. */
		if (i != 3 && (r != 400 || !strstr(last_error, "reading users")))
			fail_msg("%d: %d %s", i, r, last_error);
	}
	/* Only after it began to run. */
	char *out;
	struct container_spec *s = shell("rm /etc/passwd; mkfifo /etc/passwd; echo done > /done; sleep 1000");
	assert_int_equal(container("pw", s), 0);
	snprintf(path, sizeof(path), "%s/done", s->upperdir);
	for (int i = 0; access(path, F_OK) < 0 && i < 1000; i++)
		usleep(5000);
	assert_int_equal(exec_run("pw", s->id, "true", &out), -400);
	free(out);
	assert_int_equal(pod_down("pw"), 0);
}

static int wide_open(const char *path, struct stat *st)
{
	return lstat(path, st) < 0 ? -1 : (int)(st->st_mode & 0777);
}

/* CVE-2024-25621, CVE-2020-15257. */
static void test_state_is_the_owners(void **state)
{
	char path[200], line[300];
	struct stat st;
	(void)state;
	assert_int_equal(pod_up("own", NULL), 0);
	assert_int_equal(container("own", shell("sleep 1000")), 0);
	static const char *const files[] = {
	    "", "/pods", "/pods/own", "/pods/own/shim.sock", "/pods/own/pod.json", "/seccomp"};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s%s", h.run_dir, files[i]);
		int mode = wide_open(path, &st);
		if (mode != (S_ISDIR(st.st_mode) ? 0700 : 0600))
			fail_msg("%s is %o", path, mode);
	}
	FILE *f = fopen("/proc/net/unix", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " @") && strstr(line, "proa"))
			fail_msg("abstract: %s", line);
	if (f)
		fclose(f);
	assert_int_equal(pod_down("own"), 0);
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

static int attach(const char *uid, const char *id, int pair[2])
{
	int r = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	runtime_attach(h.rt, uid, id, (int[3]){-1, pair[1], -1}, note, &r);
	close(pair[1]);
	run_until(noted, &r, 5);
	return r;
}

/* The shim hears of an end and of a new client in any order: each refused one gives it another turn. */
static void attach_soon(const char *uid, const char *id)
{
	int pair[2], r = 429;
	for (int i = 0; r == 429 && i < 1000; i++) {
		r = attach(uid, id, pair);
		close(pair[0]);
	}
	assert_int_equal(r, 1);
}

/* CVE-2025-64329: clients that come and go leave nothing; those that stay have a bound. */
static void test_attaches(void **state)
{
	int pairs[40][2], n = 0, r = 1;
	(void)state;
	assert_int_equal(pod_up("at", NULL), 0);
	struct container_spec *s = shell("while read l; do echo $l; done");
	s->stdin_ = true;
	assert_int_equal(container("at", s), 0);
	for (int i = 0; i < 100; i++)
		attach_soon("at", s->id);
	while (n < 40 && (r = attach("at", s->id, pairs[n])) == 1)
		n++;
	assert_int_equal(r, 429);
	assert_in_range(n, 1, 39);
	close(pairs[n][0]);
	while (n)
		close(pairs[--n][0]);
	/* The shim learns of the ends in an order of its own: each refusal is a turn of its loop, and one of the next
	 * has a place. */
	for (int i = 0; i < 100 && (r = attach("at", s->id, pairs[0])) == 429; i++)
		close(pairs[0][0]);
	assert_int_equal(r, 1);
	close(pairs[0][0]);
	assert_int_equal(pod_down("at"), 0);
}

/* What a privileged container makes below its own group, deeper than anybody expects, goes with it. */
static void test_nested_groups(void **state)
{
	struct cgroup_layout l;
	(void)state;
	assert_int_equal(cgroup_layout_detect(&l), 0);
	struct container_spec *s = shell(
	    "cd /sys/fs/cgroup; [ -d unified ] && cd unified; i=0; while [ $i -lt 60 ]; do mkdir d e$i && cd d || "
	    "exit 1; i=$((i+1)); done; sleep 1000 & echo $! > cgroup.procs; echo made");
	s->privileged = true;
	expect_output(s, "made\n");
	char path[300];
	for (size_t i = 0; i < l.n; i++) {
		snprintf(path, sizeof(path), "%s/%s/podout", l.h[i].mount, h.cgroup_root);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void test_fork_bomb(void **state)
{
	(void)state;
	assert_int_equal(pod_up("bomb", NULL), 0);
	struct container_spec *s = shell("b() { b | b & }; b; while :; do :; done");
	s->resources.pids_limit = 60;
	assert_int_equal(container("bomb", s), 0);
	for (int i = 0; i < 3; i++) {
		char *out;
		exec_run("bomb", s->id, "true", &out); /* works or does not; it ends */
		free(out);
	}
	assert_int_equal(pod_down("bomb"), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_executable_by_descriptor),
	    cmocka_unit_test(test_default_filter),
	    cmocka_unit_test(test_kernel_files),
	    cmocka_unit_test(test_hostile_passwd),
	    cmocka_unit_test(test_state_is_the_owners),
	    cmocka_unit_test(test_attaches),
	    cmocka_unit_test(test_nested_groups),
	    cmocka_unit_test(test_fork_bomb),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
