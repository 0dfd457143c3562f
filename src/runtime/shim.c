/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/shim_internal.h"
#include "runtime/spec_json.h"

#define STACK_DEPTH_MAX (128 << 10) /* far more than requests go down; what the kernel maps of a stack at first */

struct shim shim = {.shm_ns = -1, .host_mnt_ns = -1, .pid_ns = -1};

static int epoll_fd = -1;
static int64_t next_deadline_ms; /* 0: none */
static struct source signals, listener;

/* ---- loop ---- */

int source_add(struct source *s, int fd, uint32_t events, void (*fn)(struct source *, uint32_t))
{
	struct epoll_event e = {.events = events, .data.ptr = s};
	*s = (struct source){.fd = fd, .events = events, .fn = fn};
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void source_set(struct source *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};
	if (s->fd < 0 || s->events == events)
		return;
	s->events = events;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
}

void source_remove(struct source *s)
{
	if (s->fd >= 0)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->fd = -1;
}

void source_close(struct source *s)
{
	int fd = s->fd;
	source_remove(s);
	if (fd >= 0)
		close(fd);
}

void deadline(int64_t at_ms)
{
	if (!next_deadline_ms || at_ms < next_deadline_ms)
		next_deadline_ms = at_ms;
}

/* ---- connections ---- */

struct conn {
	struct list link;
	struct source source;
	struct frame_conn frames;
	uint64_t serial;
};

static struct list conns = {&conns, &conns};
static int n_conns;
static uint64_t last_serial;

static struct conn *conn_find(uint64_t serial)
{
	LIST_EACH(l, &conns) {
		struct conn *c = LIST_ENTRY(l, struct conn, link);
		if (c->serial == serial)
			return c;
	}
	return NULL;
}

bool conn_alive(uint64_t conn)
{
	return conn_find(conn) != NULL;
}

static void conn_close(struct conn *c)
{
	uint64_t serial = c->serial;
	list_remove(&c->link);
	n_conns--;
	source_remove(&c->source);
	frame_conn_release(&c->frames);
	free(c);
	exec_conn_closed(serial);
	if (!shim.created && !n_conns)
		_exit(0); /* started, and nobody to tell us what for */
}

static void conn_send(struct conn *c, int type, uint64_t id, const char *body, const int *fds, int n_fds)
{
	int r = frame_send(&c->frames, type, id, body, strlen(body), fds, n_fds);
	if (r < 0) {
		/* Not closed here: the caller may be iterating. The loop sees the hangup. */
		shutdown(c->frames.fd, SHUT_RDWR);
		return;
	}
	if (frame_pending(&c->frames))
		source_set(&c->source, EPOLLIN | EPOLLOUT);
}

void reply_json(struct reply_to to, const char *json, const int *fds, int n_fds)
{
	struct conn *c = conn_find(to.conn);
	if (c)
		conn_send(c, FRAME_REPLY, to.id, json, fds, n_fds);
}

void reply_ok(struct reply_to to)
{
	reply_json(to, "{}", NULL, 0);
}

int reply_error(struct reply_to to, int code, const char *reason, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_addf(&b, "{\"error\":{\"code\":%d,\"reason\":\"%s\",\"message\":", code, str_or(reason, ""));
	json_write_string(&b, text, strlen(text));
	buf_adds(&b, "}}");
	reply_json(to, buf_str(&b), NULL, 0);
	return -1;
}

void send_exited(struct reply_to to, int exit_code)
{
	char text[40];
	struct conn *c = conn_find(to.conn);
	snprintf(text, sizeof(text), "{\"exitCode\":%d}", exit_code);
	if (c)
		conn_send(c, FRAME_EXITED, to.id, text, NULL, 0);
}

void broadcast_status(const struct container_status *s)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	if (list_empty(&conns))
		return;
	const char *text = json_to_string(&a, container_status_to_json(&a, s));
	LIST_EACH(l, &conns)
		conn_send(LIST_ENTRY(l, struct conn, link), FRAME_CONTAINER, 0, text, NULL, 0);
}

static void hello(struct reply_to to)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set_str(&a, o, "version", PROA_VERSION);
	if (FRAME_PROTOCOL > 1)
		json_set_int(&a, o, "protocol", FRAME_PROTOCOL);
	json_set_str(&a, o, "uid", str_or(shim.pod.uid, ""));
	json_set_int(&a, o, "pid", getpid());
	json_set_bool(&a, o, "hostNetwork", shim.pod.host_network);
	json_set_str(&a, o, "cgroup", shim.cgroup);
	struct json *list = json_array_in(&a, o, "containers");
	LIST_EACH(l, &shim.containers)
		json_append(list, container_status_to_json(&a, &LIST_ENTRY(l, struct container, link)->status));
	reply_json(to, json_to_string(&a, o), NULL, 0);
}

/* ---- requests ---- */

static void on_container(int type, struct json *body, struct container *c, struct frame *f, struct reply_to to)
{
	struct spec_resources res;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int64_t n = json_path_int(body, "signal", 0);
	int r = 0;
	switch (type) {
	case FRAME_START:
		container_start(c, to);
		return;
	case FRAME_SIGNAL:
		if (c->status.state != CONTAINER_RUNNING) {
			reply_error(to, 409, NULL, "container is not running");
			return;
		}
		if (n < 1 || n >= NSIG) {
			reply_error(to, 400, NULL, "signal %lld does not exist", (long long)n);
			return;
		}
		r = kill(c->pid, (int)n) < 0 ? -errno : 0;
		break;
	case FRAME_STOP:
		if (n < 0 || n >= NSIG)
			reply_error(to, 400, NULL, "signal %lld does not exist", (long long)n);
		else if (container_stop(c, (int)n, json_path_int(body, "graceMs", 0)) < 0)
			reply_error(to, 409, NULL, "container is not running");
		else
			reply_ok(to);
		return;
	case FRAME_REMOVE:
		if (c->pid) {
			reply_error(to, 409, NULL, "container is running");
			return;
		}
		container_free(c);
		break;
	case FRAME_UPDATE:
		r = spec_resources_from_json(&a, json_get(body, "resources"), &res);
		if (r == 0)
			r = c->has_cgroup ? cgroup_apply(&shim.layout, c->cgroup, &res) : -ESRCH;
		break;
	case FRAME_RESIZE: {
		struct winsize size = {.ws_row = (unsigned short)json_path_int(body, "rows", 0),
				       .ws_col = (unsigned short)json_path_int(body, "columns", 0)};
		r = !c->spec.tty || c->out[0].fd < 0		 ? -ENOTTY
		    : ioctl(c->out[0].fd, TIOCSWINSZ, &size) < 0 ? -errno
								 : 0;
		break;
	}
	case FRAME_ATTACH: {
		int fds[3] = {-1, -1, -1}, at = 0;
		for (size_t i = 0; i < 3; i++)
			if (json_bool(json_at(json_get(body, "has"), i), false) && at < f->n_fds)
				fds[i] = f->fds[at++];
		attach_start(c, fds, to);
		return;
	}
	case FRAME_REOPEN_LOG:
		r = log_reopen(&c->log);
		break;
	}
	if (r < 0)
		reply_error(to, 500, NULL, "%s", strerror(-r));
	else
		reply_ok(to);
}

static void handle(struct conn *conn, struct frame *f)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *body = NULL;
	struct json_error err;
	struct reply_to to = {conn->serial, f->id};
	if (f->len && json_parse(&a, f->body, f->len, &body, &err) < 0) {
		reply_error(to, 400, NULL, "request: %s", err.message);
		return;
	}
	if (f->type == FRAME_HELLO) {
		hello(to);
		return;
	}
	if (f->type > FRAME_TYPE_LAST_1 || f->type < FRAME_HELLO) {
		reply_error(to, 501, NULL, "the pod's shim, version %s, does not know request %d", PROA_VERSION,
			    f->type);
		return;
	}
	if (f->type == FRAME_POD_CREATE) {
		pod_create(body, to);
		return;
	}
	if (!shim.created || shim.removing) {
		reply_error(to, 409, NULL, shim.created ? "pod is being removed" : "pod was not created");
		return;
	}
	switch (f->type) {
	case FRAME_POD_UPDATE:
		pod_update(body, to);
		return;
	case FRAME_POD_REMOVE:
		pod_remove(to);
		return;
	case FRAME_CREATE:
		container_create(body, f->fds, f->n_fds, to);
		return;
	case FRAME_EXEC:
		exec_start(body, f->fds, f->n_fds, to);
		return;
	case FRAME_EXEC_KILL:
		exec_kill((pid_t)json_path_int(body, "pid", 0), to);
		return;
	}
	const char *id = str_or(json_path_str(body, "id"), "");
	struct container *c = container_find(id);
	if (c)
		on_container(f->type, body, c, f, to);
	else
		reply_error(to, 404, NULL, "no container \"%s\"", id);
}

/* What a request needed of the stack is the kernel's again: there is a shim for every pod, and it idles for weeks. */
static __attribute__((noinline)) void release_stack(void)
{
	uintptr_t page = (uintptr_t)getpagesize(), here = (uintptr_t)__builtin_frame_address(0) & ~(page - 1);
	(void)madvise((void *)(here - STACK_DEPTH_MAX), STACK_DEPTH_MAX - page, MADV_DONTNEED);
}

static void on_conn(struct source *s, uint32_t events)
{
	struct conn *c = container_of(s, struct conn, source);
	int r = 0;
	if (events & EPOLLOUT) {
		r = frame_flush(&c->frames);
		if (r == 0 && !frame_pending(&c->frames))
			source_set(&c->source, EPOLLIN);
	}
	if (r == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		struct frame f;
		r = frame_receive(&c->frames, &f);
		if (r > 0 && FRAME_PROTOCOL == 1 && !frame_known(f.type, 1)) {
			frame_release(&f);
			r = -EBADMSG;
		} else if (r > 0) {
			handle(c, &f);
			frame_release(&f);
			release_stack();
		}
	}
	if (r < 0)
		conn_close(c);
}

/* Only root, and only so many. */
static void conn_new(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	if (n_conns == SHIM_CONNS_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != geteuid()) {
		close(fd);
		return;
	}
	struct conn *c = NEW(struct conn);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	frame_conn_init(&c->frames, fd);
	c->serial = ++last_serial;
	list_add_tail(&conns, &c->link);
	n_conns++;
	if (source_add(&c->source, fd, EPOLLIN, on_conn) < 0)
		conn_close(c);
}

static void on_listener(struct source *s, uint32_t events)
{
	(void)events;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		conn_new(fd);
}

/* Bound by a path relative to the directory: the whole one may be longer than sun_path. */
int shim_listen(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "shim.sock"};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || chdir(shim.dir) < 0)
		return -errno;
	unlink(a.sun_path);
	mode_t old = umask(0177);
	int r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, SHIM_CONNS_MAX) < 0 ? -errno : 0;
	umask(old);
	if (chdir("/") < 0 && r == 0)
		r = -errno;
	if (r == 0)
		r = source_add(&listener, fd, EPOLLIN, on_listener);
	if (r == 0)
		fd = -1;
	return r;
}

/* ---- children ---- */

static void reap(void)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0) {
			pod_check_removed(pid < 0 && errno == ECHILD);
			return;
		}
		LIST_EACH_SAFE(l, &shim.containers) {
			struct container *c = LIST_ENTRY(l, struct container, link);
			if (c->pid == pid)
				container_exited(c, status);
		}
		LIST_EACH_SAFE(l, &shim.execs) {
			struct exec *e = LIST_ENTRY(l, struct exec, link);
			if (e->pid == pid)
				exec_exited(e, status);
		}
		if (pid == shim.init)
			shim.init = 0;
	}
}

static void on_signal(struct source *s, uint32_t events)
{
	struct signalfd_siginfo info;
	(void)events;
	if (read(s->fd, &info, sizeof(info)) == sizeof(info))
		reap();
}

static int setup(void)
{
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	/* Whoever ends the agent's process group or terminal doesn't mean the pods. */
	static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2};
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (epoll_fd < 0 || fd < 0)
		return -errno;
	return source_add(&signals, fd, EPOLLIN, on_signal);
}

static int timeout_ms(void)
{
	if (!next_deadline_ms)
		return -1;
	int64_t left = next_deadline_ms - monotonic_ms();
	return left < 0 ? 0 : left > 1 << 30 ? 1 << 30 : (int)left;
}

int shim_main(int argc, char **argv)
{
	if (argc != 2 || argv[1][0] != '/') {
		fprintf(stderr, "usage: proa-shim DIR, with a connection on descriptor 3; started by proa agent\n");
		return 2;
	}
	log_init("proa-shim");
	shim.dir = argv[1];
	list_init(&shim.containers);
	list_init(&shim.execs);
	syscall(SYS_close_range, 4, ~0u, 0);
	fcntl(3, F_SETFD, FD_CLOEXEC);
	int r = setup();
	if (r < 0) {
		log_error("cannot start error=%s", strerror(-r));
		return 1;
	}
	conn_new(3);
	for (;;) {
		/* One event a turn: handlers may free other sources. */
		struct epoll_event e;
		int n = epoll_wait(epoll_fd, &e, 1, timeout_ms());
		if (n > 0) {
			struct source *s = e.data.ptr;
			s->fn(s, e.events);
		}
		if (next_deadline_ms && monotonic_ms() >= next_deadline_ms) {
			next_deadline_ms = 0;
			container_timers(monotonic_ms());
		}
	}
}
