/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "runtime/rootfs.h"
#include "runtime/runtime_internal.h"
#include "runtime/spec_json.h"

const char *runtime_version(void)
{
	return PROA_VERSION;
}

/* ---- the runtime ---- */

int runtime_new(struct loop *l, const struct runtime_config *c, const struct runtime_events *ev, void *arg,
		struct runtime **ret, struct status *err)
{
	if (geteuid() != 0) {
		status_set(err, 500, "containers need root");
		return -EPERM;
	}
	struct runtime *r = NEW(struct runtime);
	r->loop = l;
	r->run_dir = xstrdup(c->run_dir);
	r->pods_dir = xasprintf("%s/pods", c->run_dir);
	r->cgroup_root = xstrdup(c->cgroup_root);
	r->log_size_max = c->log_size_max > 0 ? c->log_size_max : 10 << 20;
	r->log_files_max = c->log_files_max > 0 ? c->log_files_max : 5;
	r->events = *ev;
	r->arg = arg;
	int result = cgroup_layout_detect(&r->layout);
	if (result < 0)
		status_set(err, 500, "no cgroup file system is mounted");
	if (result == 0) {
		result = fs_mkdir_p(r->pods_dir, 0700);
		if (result < 0)
			status_set(err, 500, "making %s: %s", r->pods_dir, strerror(-result));
	}
	/* CVE-2019-5736: what runs in containers' sight is on a read-only mount that nobody can reach by a path. */
	r->exe = mount_clone(AT_FDCWD, c->shim, false);
	if (result == 0 && r->exe >= 0)
		result = mount_attr(r->exe, MOUNT_ATTR_RDONLY, 0, false);
	if (result == 0 && r->exe < 0)
		result = r->exe;
	if (result < 0) {
		if (!status_failed(err))
			status_set(err, 500, "opening %s: %s", c->shim, strerror(-result));
		runtime_free(r);
		return result;
	}
	*ret = r;
	return 0;
}

static void pod_free(struct pod *p)
{
	loop_fd_free(p->pid_watch);
	loop_fd_free(p->conn_watch);
	loop_timer_free(p->retry);
	frame_conn_release(&p->frames);
	if (p->pidfd >= 0)
		close(p->pidfd);
	while (!list_empty(&p->requests)) {
		struct request *q = LIST_ENTRY(p->requests.next, struct request, link);
		list_remove(&q->link);
		free(q);
	}
	map_release(&p->containers, free);
	status_release(&p->why);
	free(p->lost);
	free(p->uid);
	free(p->dir);
	free(p);
}

void runtime_free(struct runtime *r)
{
	if (!r)
		return;
	MAP_EACH(s, &r->pods)
		pod_free(s->value);
	map_release(&r->pods, NULL);
	if (r->exe >= 0)
		close(r->exe);
	free(r->run_dir);
	free(r->pods_dir);
	free(r->cgroup_root);
	free(r);
}

struct later {
	runtime_done_fn done;
	void *arg;
	struct status status;
	struct loop_timer *timer;
};

static void on_later(void *arg)
{
	struct later *l = arg;
	l->done(l->arg, l->status.code ? &l->status : NULL);
	loop_timer_free(l->timer);
	status_release(&l->status);
	free(l);
}

void call_later(struct runtime *r, runtime_done_fn done, void *arg, int code, const char *message)
{
	if (!done)
		return;
	struct later *l = NEW(struct later);
	l->done = done;
	l->arg = arg;
	if (code)
		status_set(&l->status, code, "%s", message);
	l->timer = loop_timer_new(r->loop, on_later, l);
	loop_timer_start(l->timer, 0);
}

/* ---- pods ---- */

bool pod_uid_valid(const char *s)
{
	size_t n = s ? strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") : 0;
	return n && !s[n] && n <= 64;
}

struct pod *pod_find(struct runtime *r, const char *uid)
{
	struct pod *p = uid ? map_get(&r->pods, uid) : NULL;
	return p && !p->dead ? p : NULL;
}

struct pod *pod_new(struct runtime *r, const char *uid)
{
	struct pod *p = NEW(struct pod);
	p->r = r;
	p->uid = xstrdup(uid);
	p->dir = xasprintf("%s/%s", r->pods_dir, uid);
	p->pidfd = -1;
	p->protocol = FRAME_PROTOCOL; /* it comes with us, unless it is taken over and says otherwise */
	frame_conn_init(&p->frames, -1);
	list_init(&p->requests);
	map_set(&r->pods, uid, p);
	return p;
}

static void finish(struct request *q, const struct status *err)
{
	list_remove(&q->link);
	if (q->type == FRAME_EXEC && q->started)
		q->started(q->arg, -1, 0, err);
	else if (q->type == FRAME_EXEC && q->exited)
		q->exited(q->arg, -1, err);
	else if (q->done)
		q->done(q->arg, err);
	free(q);
}

static void fail_requests(struct pod *p)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	status_set(&err, 503, "the shim of pod %s is gone", p->uid);
	while (!list_empty(&p->requests)) {
		struct request *q = LIST_ENTRY(p->requests.next, struct request, link);
		bool hello = q->type == FRAME_HELLO;
		finish(q, &err);
		if (hello) /* it died while it was being taken over */
			recover_step(p->r);
	}
}

static void cleanup_end(struct pod *p)
{
	struct runtime *r = p->r;
	fs_remove_tree(p->dir);
	map_remove(&r->pods, p->uid);
	if (p->lost && r->events.on_pod_lost)
		r->events.on_pod_lost(r->arg, p->uid, p->lost);
	if (p->gone)
		p->gone(p->gone_arg, p->why.code ? &p->why : NULL);
	pod_free(p);
}

/* Killed processes leave their cgroup when they have exited, which v1 tells nobody: a few tries, further and further
 * apart. */
static void cleanup_group(void *arg)
{
	struct pod *p = arg;
	int r = 0;
	if (*p->state.cgroup) {
		cgroup_kill(&p->r->layout, p->state.cgroup);
		r = cgroup_remove(&p->r->layout, p->state.cgroup);
	}
	if (r == -EBUSY && p->retries < KILL_RETRIES_MAX) {
		if (!p->retry)
			p->retry = loop_timer_new(p->r->loop, cleanup_group, p);
		int64_t ms = 2ll << p->retries++;
		loop_timer_start(p->retry, ms < 1000 ? ms : 1000);
		return;
	}
	if (r < 0)
		log_error("cgroup of a pod cannot be removed group=%s error=%s", p->state.cgroup, strerror(-r));
	cleanup_end(p);
}

void pod_cleanup(struct pod *p, const char *lost)
{
	p->dead = true;
	p->lost = xstrdup(lost);
	loop_fd_free(p->pid_watch);
	loop_fd_free(p->conn_watch);
	p->pid_watch = p->conn_watch = NULL;
	frame_conn_release(&p->frames);
	fail_requests(p);
	cleanup_group(p);
}

static void on_pid(void *arg, int events)
{
	struct pod *p = arg;
	siginfo_t info;
	(void)events;
	waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG); /* ECHILD when another agent started it */
	bool expected = p->removing || !p->created;
	if (!p->created && !p->why.code)
		status_set(&p->why, 500, "the pod's shim ended early; see %s/shim.log", p->dir);
	pod_cleanup(p, expected ? NULL : "its shim was killed");
}

static void take_status(struct pod *p, const struct json *v)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct container_status s, *have;
	if (container_status_from_json(&a, v, &s) < 0)
		return;
	have = map_get(&p->containers, s.id);
	if (!have) {
		have = NEW(struct container_status);
		map_set(&p->containers, s.id, have);
	}
	*have = s;
}

static void on_reply(struct pod *p, struct request *q, const struct json *body, struct frame *f)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct json *e = json_get(body, "error");
	if (e)
		status_set_reason(&err, (int)json_path_int(e, "code", 500),
				  str_eq(json_path_str(e, "reason"), "StartError") ? "StartError" : "", "%s",
				  str_or(json_path_str(e, "message"), ""));
	if (json_get(body, "status"))
		take_status(p, json_get(body, "status"));
	if (q->type == FRAME_HELLO) {
		JSON_EACH(c, json_get(body, "containers"))
			take_status(p, c);
		p->protocol = (int)json_path_int(body, "protocol", 1);
		list_remove(&q->link);
		free(q);
		recover_answered(p, body);
		return;
	}
	if (q->type == FRAME_POD_CREATE) {
		p->created = !err.code;
		if (err.code) { /* done comes when its shim is gone */
			p->gone = q->done;
			p->gone_arg = q->arg;
			q->done = NULL;
			status_move(&p->why, &err);
		}
	} else if (q->type == FRAME_POD_REMOVE) {
		if (err.code)
			log_error("pod not removed cleanly pod=%s error=%s", p->uid, err.message);
		q->done = NULL; /* when its shim is gone */
	} else if (q->type == FRAME_EXEC && !err.code && q->started) {
		runtime_exec_started_fn started = q->started;
		int tty = f->n_fds ? f->fds[0] : -1;
		if (f->n_fds)
			f->fds[0] = -1;
		q->started = NULL; /* exited is still to come */
		started(q->arg, tty, (int)json_path_int(body, "pid", 0), NULL);
		return;
	}
	finish(q, err.code ? &err : NULL);
}

static void on_frame(struct pod *p, struct frame *f)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *body = NULL;
	struct json_error bad;
	if (f->len && json_parse(&a, f->body, f->len, &body, &bad) < 0)
		return;
	if (f->type == FRAME_CONTAINER) {
		take_status(p, body);
		struct container_status *s = map_get(&p->containers, str_or(json_path_str(body, "id"), ""));
		if (s && p->r->events.on_container) {
			struct container_status copy = *s;
			p->r->events.on_container(p->r->arg, p->uid, &copy);
		}
		return;
	}
	LIST_EACH_SAFE(l, &p->requests) {
		struct request *q = LIST_ENTRY(l, struct request, link);
		if (q->id != f->id)
			continue;
		if (f->type == FRAME_REPLY) {
			on_reply(p, q, body, f);
		} else if (f->type == FRAME_EXITED && q->type == FRAME_EXEC) {
			list_remove(&q->link);
			if (q->exited)
				q->exited(q->arg, (int)json_path_int(body, "exitCode", -1), NULL);
			free(q);
		}
		return;
	}
}

#define FRAMES_A_TURN 64 /* so that one busy pod doesn't hold up the others */

static void on_conn(void *arg, int events)
{
	struct pod *p = arg;
	struct runtime *rt = p->r;
	_cleanup_free_ char *uid = xstrdup(p->uid);
	int r = 0;
	if (events & LOOP_WRITABLE) {
		r = frame_flush(&p->frames);
		if (!frame_pending(&p->frames))
			loop_fd_set(p->conn_watch, LOOP_READABLE);
	}
	for (int i = 0; r >= 0 && i < FRAMES_A_TURN; i++) {
		struct frame f;
		r = frame_receive(&p->frames, &f);
		if (r <= 0)
			break;
		on_frame(p, &f);
		frame_release(&f);
		if (map_get(&rt->pods, uid) != p || p->dead)
			return; /* a callback ended it */
	}
	if (r < 0) {
		/* The shim is ending, or broke the protocol: its pidfd tells. Without a connection it is of no use. */
		loop_fd_free(p->conn_watch);
		p->conn_watch = NULL;
		frame_conn_release(&p->frames);
		if (r != -EPIPE && r != -ECONNRESET)
			log_error("connection to a shim failed pod=%s error=%s", p->uid, strerror(-r));
		if (!p->removing && p->created)
			syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
	}
}

int pod_watch(struct pod *p, int pidfd, int conn)
{
	p->pidfd = pidfd;
	frame_conn_init(&p->frames, conn);
	p->pid_watch = loop_fd_new(p->r->loop, pidfd, LOOP_READABLE, on_pid, p);
	p->conn_watch = loop_fd_new(p->r->loop, conn, LOOP_READABLE, on_conn, p);
	return p->pid_watch && p->conn_watch ? 0 : -ENOMEM;
}

struct request *pod_call(struct pod *p, int type, struct arena *a, struct json *body, const int *fds, int n_fds,
			 runtime_done_fn done, void *arg)
{
	if (!frame_known(type, p->protocol)) {
		call_later(p->r, done, arg, 501, "the pod's shim is too old for this; it is new when the pod is");
		return NULL;
	}
	struct request *q = NEW(struct request);
	const char *text = body ? json_to_string(a, body) : "";
	q->id = ++p->r->last_id;
	q->type = type;
	q->done = done;
	q->arg = arg;
	list_add_tail(&p->requests, &q->link);
	int r = frame_send(&p->frames, type, q->id, text, strlen(text), fds, n_fds);
	if (r < 0) {
		list_remove(&q->link);
		free(q);
		call_later(p->r, done, arg, 503, "the pod's shim cannot be reached");
		return NULL;
	}
	if (frame_pending(&p->frames))
		loop_fd_set(p->conn_watch, LOOP_READABLE | LOOP_WRITABLE);
	return q;
}

/* ---- creation ---- */

/* The shims' group beside the pods; see shim_pod.c. -1: there is no cgroup v2. */
static int open_shims_group(struct runtime *r)
{
	char path[CGROUP_PATH_MAX];
	snprintf(path, sizeof(path), "%s/shims", r->cgroup_root);
	int group = cgroup_open_v2(&r->layout, path);
	if (group == -ENOENT && cgroup_layout_v2(&r->layout) && cgroup_create(&r->layout, path) == 0)
		group = cgroup_open_v2(&r->layout, path);
	return MAX_OF(group, -1);
}

/* In the child, which shares nothing with the agent any more. */
static _Noreturn void exec_shim(struct pod *p, int conn, const char *exe, const char *log)
{
	char *argv[] = {(char *)"proa-shim", p->dir, NULL};
	extern char **environ;
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		sigaction(i, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (null_fd < 0 || log_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(log_fd, 2) < 0)
		_exit(127);
	if (conn == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(conn, 3) < 0)
		_exit(127);
	execve(exe, argv, environ);
	_exit(127);
}

/* The shim is born in its cgroup: moving there later waits 10 to 20 ms for the kernel. *ret_joined: it worked. */
static int spawn(struct pod *p, int conn, pid_t *ret, bool *ret_joined)
{
	char exe[40];
	_cleanup_free_ char *log = xasprintf("%s/shim.log", p->dir);
	_cleanup_close_ int group = open_shims_group(p->r);
	struct clone_args args = {.exit_signal = SIGCHLD};

	snprintf(exe, sizeof(exe), "/proc/self/fd/%d", p->r->exe);
	if (group >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)group;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0 && group >= 0) { /* the group went away, or doesn't take processes */
		args = (struct clone_args){.exit_signal = SIGCHLD};
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	}
	if (pid == 0)
		exec_shim(p, conn, exe, log);
	if (pid < 0)
		return -errno;
	*ret = pid;
	*ret_joined = args.flags != 0;
	return 0;
}

static int begin(struct pod *p, const char **step, bool *ret_joined)
{
	int pair[2];
	pid_t pid;
	*step = "making its directory";
	if (mkdir(p->dir, 0700) < 0)
		return -errno;
	*step = "writing its state file";
	int r = state_write(p->dir, &p->state);
	if (r < 0)
		return r;
	*step = "making a socket";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	_cleanup_close_ int ours = pair[0], theirs = pair[1];
	*step = "starting its shim";
	r = spawn(p, theirs, &pid, ret_joined);
	if (r < 0)
		return r;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	p->state.pid = pid;
	return pod_watch(p, pidfd, TAKE_FD(ours));
}

void runtime_pod_create(struct runtime *r, const struct pod_spec *s, runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *step;
	if (!pod_uid_valid(s->uid)) {
		call_later(r, done, arg, 400, "the pod's uid is not valid");
		return;
	}
	if (map_get(&r->pods, s->uid)) {
		call_later(r, done, arg, 409, "the pod exists");
		return;
	}
	struct pod *p = pod_new(r, s->uid);
	int n = snprintf(p->state.cgroup, sizeof(p->state.cgroup), "%s%s%s/pod%s", r->cgroup_root,
			 str_empty(s->cgroup_parent) ? "" : "/", str_or(s->cgroup_parent, ""), s->uid);
	snprintf(p->state.uid, sizeof(p->state.uid), "%s", s->uid);
	p->state.host_network = s->host_network;
	step = "naming its cgroup";
	bool joined = false;
	int result = n < 0 || (size_t)n >= sizeof(p->state.cgroup) ? -ENAMETOOLONG : begin(p, &step, &joined);
	if (result < 0) {
		status_set(&p->why, result == -EEXIST ? 409 : 500, "creating pod: %s: %s", step, strerror(-result));
		call_later(r, done, arg, p->why.code, p->why.message);
		if (result != -EEXIST)
			fs_remove_tree(p->dir);
		map_remove(&r->pods, p->uid);
		pod_free(p);
		return;
	}
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set(&a, o, "spec", pod_spec_to_json(&a, s));
	json_set_str(&a, o, "cgroupRoot", r->cgroup_root);
	json_set_bool(&a, o, "cgroupJoined", joined);
	json_set_str(&a, o, "cgroup", p->state.cgroup);
	json_set_int(&a, o, "logSizeMax", r->log_size_max);
	json_set_int(&a, o, "logFilesMax", r->log_files_max);
	pod_call(p, FRAME_POD_CREATE, &a, o, NULL, 0, done, arg);
}

int runtime_pod_netns(struct runtime *r, const char *uid)
{
	struct pod *p = pod_find(r, uid);
	char path[40];
	if (!p || !p->created)
		return -ENOENT;
	if (p->state.host_network)
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", p->state.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Still the same process afterwards, so it was its namespace that we opened. */
	if (syscall(SYS_pidfd_send_signal, p->pidfd, 0, NULL, 0) < 0) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

int runtime_pod_pid(struct runtime *r, const char *uid)
{
	struct pod *p = pod_find(r, uid);
	return p ? p->state.pid : -ENOENT;
}

void runtime_pod_remove(struct runtime *r, const char *uid, runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = pod_find(r, uid);
	if (!p) {
		call_later(r, done, arg, 0, NULL);
		return;
	}
	if (p->removing) {
		call_later(r, done, arg, 409, "the pod is being removed");
		return;
	}
	p->removing = true;
	p->gone = done;
	p->gone_arg = arg;
	if (!pod_call(p, FRAME_POD_REMOVE, &a, NULL, NULL, 0, NULL, NULL))
		syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
}
