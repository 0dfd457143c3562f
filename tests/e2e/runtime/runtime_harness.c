/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime_harness.h"

#include <errno.h>
#include <fcntl.h>
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

struct harness h;
char last_error[600];

static void on_container(void *arg, const char *uid, const struct container_status *st)
{
	(void)arg;
	(void)uid;
	(void)st;
	loop_stop(h.loop);
}

static void on_lost(void *arg, const char *uid, const char *why)
{
	(void)arg;
	snprintf(h.lost + strlen(h.lost), sizeof(h.lost) - strlen(h.lost), "%s: %s\n", uid, why);
	loop_stop(h.loop);
}

static void on_pod(void *arg, const char *uid, const struct container_status *c, int n)
{
	(void)arg;
	(void)uid;
	(void)c;
	h.recovered++;
	h.recovered_containers += n;
}

/* ---- waiting ---- */

static void on_timeout(void *arg)
{
	*(bool *)arg = true;
	loop_stop(h.loop);
}

void run_until(bool (*fn)(void *), void *arg, int seconds)
{
	bool late = false;
	struct loop_timer *t = loop_timer_new(h.loop, on_timeout, &late);
	loop_timer_start(t, seconds * 1000);
	while (!fn(arg) && !late)
		loop_run(h.loop);
	loop_timer_free(t);
	if (late)
		fail_msg("nothing happened for %d s", seconds);
}

struct answer {
	bool done;
	int code;
};

static bool answered(void *arg)
{
	return ((struct answer *)arg)->done;
}

static void on_done(void *arg, const struct status *err)
{
	struct answer *a = arg;
	a->done = true;
	a->code = err ? err->code : 0;
	snprintf(last_error, sizeof(last_error), "%s", err ? err->message : "");
	loop_stop(h.loop);
}

static int answer(struct answer *a)
{
	run_until(answered, a, 20);
	return a->code;
}

/* ---- the runtime ---- */

void runtime_start(void)
{
	runtime_start_with(getenv("PROA_SHIM"));
}

void runtime_start_with(const char *shim)
{
	struct runtime_config c = {.run_dir = h.run_dir, .cgroup_root = h.cgroup_root, .shim = shim};
	struct runtime_events ev = {on_container, on_lost};
	struct status err = STATUS_INIT;
	struct answer a = {0};
	h.recovered = h.recovered_containers = 0;
	if (runtime_new(h.loop, &c, &ev, NULL, &h.rt, &err) < 0)
		fail_msg("%s", err.message);
	runtime_recover(h.rt, on_pod, on_done, &a);
	answer(&a);
}

void runtime_stop(void)
{
	runtime_free(h.rt);
	h.rt = NULL;
}

static void make_layer(void)
{
	static const char *const dirs[] = {"bin", "proc", "sys", "dev", "etc", "tmp"};
	char path[300];
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", h.layer, dirs[i]);
		assert_int_equal(fs_mkdir_p(path, 0755), 0);
	}
	snprintf(path, sizeof(path),
		 "cp /bin/busybox %s/bin/ && for a in $(/bin/busybox --list); do ln -s busybox %s/bin/$a 2>/dev/null; "
		 "done; true",
		 h.layer, h.layer);
	assert_int_equal(system(path), 0);
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n";
	static const char group[] = "root:x:0:\nwebs:x:1001:\nextra:x:2000:web,other\n";
	snprintf(path, sizeof(path), "%s/etc/passwd", h.layer);
	assert_int_equal(fs_write_replace(path, passwd, strlen(passwd), 0644), 0);
	snprintf(path, sizeof(path), "%s/etc/group", h.layer);
	assert_int_equal(fs_write_replace(path, group, strlen(group), 0644), 0);
}

int harness_setup(void **state)
{
	(void)state;
	if (geteuid() != 0 || !getenv("PROA_SHIM") || access("/bin/busybox", X_OK) < 0) {
		print_message("needs root, $PROA_SHIM and /bin/busybox: skipped\n");
		exit(77);
	}
	strcpy(h.dir, "/tmp/proa-runtime-XXXXXX");
	assert_non_null(mkdtemp(h.dir));
	fs_spread_children(h.dir); /* as the agent's own */
	snprintf(h.run_dir, sizeof(h.run_dir), "%s/run", h.dir);
	snprintf(h.layer, sizeof(h.layer), "%s/layer", h.dir);
	snprintf(h.cgroup_root, sizeof(h.cgroup_root), "proa-test-%d", getpid());
	make_layer();
	assert_int_equal(loop_new(&h.loop), 0);
	runtime_start();
	return 0;
}

static int count(const char *command)
{
	FILE *f = popen(command, "r");
	int n = -1;
	if (f && fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		pclose(f);
	return n;
}

int harness_teardown(void **state)
{
	struct cgroup_layout l;
	char command[300];
	(void)state;
	runtime_stop();
	loop_free(h.loop);
	int left = 0;
	snprintf(command, sizeof(command), "ls %s/pods | wc -l", h.run_dir);
	left += count(command);
	snprintf(command, sizeof(command), "grep -c %s /proc/mounts", h.dir);
	left += count(command);
	snprintf(command, sizeof(command), "pgrep -fc 'proa-shim %s'", h.dir);
	left += count(command) - 1; /* pgrep's shell is seen, too */
	snprintf(command, sizeof(command), "find /sys/fs/cgroup -path '*%s/*' -type d ! -name shims | wc -l",
		 h.cgroup_root);
	left += count(command);
	if (left)
		print_error("left behind: %d things (pods, mounts, shims, cgroups)\n", left);
	if (cgroup_layout_detect(&l) == 0) {
		cgroup_kill(&l, h.cgroup_root);
		cgroup_remove(&l, h.cgroup_root);
	}
	fs_remove_tree(h.dir);
	arena_release(&h.arena);
	return left ? -1 : 0;
}

/* ---- calls ---- */

int pod_up(const char *uid, const struct pod_spec *s)
{
	struct pod_spec copy = s ? *s : (struct pod_spec){0};
	struct answer a = {0};
	copy.uid = uid;
	copy.hostname = copy.hostname ? copy.hostname : "test-pod";
	runtime_pod_create(h.rt, &copy, on_done, &a);
	return answer(&a);
}

int pod_down(const char *uid)
{
	struct answer a = {0};
	runtime_pod_remove(h.rt, uid, on_done, &a);
	return answer(&a);
}

struct container_spec *shell(const char *command)
{
	struct container_spec *s = ARENA_NEW(&h.arena, struct container_spec);
	char *id = arena_alloc(&h.arena, CONTAINER_ID_LEN + 1), *base;
	const char **args = arena_zalloc(&h.arena, 4 * sizeof(*args)),
		   **lower = arena_zalloc(&h.arena, 2 * sizeof(*lower));
	container_id_make(id);
	s->id = id;
	args[0] = "/bin/sh";
	args[1] = "-c";
	args[2] = arena_strdup(&h.arena, command);
	s->args = args;
	lower[0] = h.layer;
	s->lowerdirs = lower;
	base = arena_printf(&h.arena, "%s/c%d", h.dir, h.serial++);
	s->upperdir = arena_printf(&h.arena, "%s/upper", base);
	s->workdir = arena_printf(&h.arena, "%s/work", base);
	assert_int_equal(fs_mkdir_p(s->upperdir, 0755), 0);
	assert_int_equal(fs_mkdir_p(s->workdir, 0755), 0);
	s->log_path = arena_printf(&h.arena, "%s/0.log", base);
	s->seccomp = "RuntimeDefault";
	return s;
}

int container_up(const char *uid, struct container_spec *s)
{
	struct answer a = {0};
	runtime_container_create(h.rt, uid, s, NULL, 0, true, on_done, &a);
	return answer(&a);
}

int container_stop_wait(const char *uid, const char *id, int64_t grace_ms)
{
	struct answer a = {0};
	runtime_container_stop(h.rt, uid, id, 0, grace_ms, on_done, &a);
	return answer(&a);
}

int container_remove_wait(const char *uid, const char *id)
{
	struct answer a = {0};
	runtime_container_remove(h.rt, uid, id, on_done, &a);
	return answer(&a);
}

struct named {
	const char *uid, *id;
	struct container_status *s;
};

static bool has_exited(void *arg)
{
	struct named *n = arg;
	return runtime_container_status(h.rt, n->uid, n->id, n->s) && n->s->state == CONTAINER_EXITED;
}

void wait_exit(const char *uid, const char *id, struct container_status *ret)
{
	struct named n = {uid, id, ret};
	run_until(has_exited, &n, 30);
}

char *log_text(const char *path)
{
	struct buf b = BUF_INIT, out = BUF_INIT;
	fs_read(path, 64 << 20, &b);
	for (const char *at = buf_str(&b); *at;) {
		size_t n = strcspn(at, "\n"), skip = 0;
		int spaces = 0;
		while (skip < n && spaces < 3)
			spaces += at[skip++] == ' ';
		bool full = skip >= 2 && at[skip - 2] == 'F';
		buf_add(&out, at + skip, n - skip);
		if (full)
			buf_addc(&out, '\n');
		at += n + (at[n] == '\n');
	}
	buf_release(&b);
	buf_addc(&out, 0);
	return buf_steal(&out, NULL);
}

char *output_of(struct container_spec *s, struct container_status *ret)
{
	struct container_status st;
	assert_int_equal(pod_up("out", NULL), 0);
	int code = container_up("out", s);
	if (code)
		print_error("%d %s\n", code, last_error);
	assert_int_equal(code, 0);
	wait_exit("out", s->id, ret ? ret : &st);
	assert_int_equal(pod_down("out"), 0);
	return log_text(s->log_path);
}

struct exec_state {
	bool done;
	int code;
};

static bool exec_done(void *arg)
{
	return ((struct exec_state *)arg)->done;
}

static void on_started(void *arg, int tty, int pid, const struct status *err)
{
	struct exec_state *e = arg;
	(void)tty;
	(void)pid;
	if (!err)
		return;
	e->done = true;
	e->code = -err->code;
	snprintf(last_error, sizeof(last_error), "%s", err->message);
	loop_stop(h.loop);
}

static void on_exited(void *arg, int code, const struct status *err)
{
	struct exec_state *e = arg;
	e->done = true;
	e->code = err ? -err->code : code;
	loop_stop(h.loop);
}

int exec_run(const char *uid, const char *id, const char *command, char **ret_out)
{
	const char *args[] = {"/bin/sh", "-c", command, NULL};
	struct container_spec p = {.args = args};
	struct exec_state e = {0};
	int out[2];
	char text[4096];
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	runtime_exec(h.rt, uid, id, &p, (int[3]){-1, out[1], out[1]}, on_started, on_exited, &e);
	close(out[1]);
	run_until(exec_done, &e, 20);
	ssize_t n = read(out[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	close(out[0]);
	if (ret_out)
		*ret_out = xstrdup(text);
	return e.code;
}
