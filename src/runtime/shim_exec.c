/* SPDX-License-Identifier: Apache-2.0 */
/* Further processes in a running container. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/shim_internal.h"
#include "runtime/spec_json.h"

int sync_read(int fd, struct sync_message *m, int *ret_fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr h = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	ssize_t n;
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	*ret_fd = -1;
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : 0;
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	if (n > 0 && c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if (n != sizeof(*m))
		return 0;
	m->text[sizeof(m->text) - 1] = 0;
	return 1;
}

int open_seccomp(const struct container_spec *s, int *ret)
{
	*ret = -1;
	if (s->privileged || str_empty(s->seccomp) || !strcmp(s->seccomp, "Unconfined"))
		return 0;
	if (s->seccomp[0] != '/') /* not something we know: rather nothing than no filter */
		return -EINVAL;
	*ret = open(s->seccomp, O_RDONLY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

static void exec_free(struct exec *e)
{
	list_remove(&e->link);
	shim.n_execs--;
	source_close(&e->sync);
	if (e->tty >= 0)
		close(e->tty);
	arena_release(&e->arena);
	free(e);
}

static void started(struct exec *e)
{
	char text[40];
	source_close(&e->sync);
	e->started = true;
	snprintf(text, sizeof(text), "{\"pid\":%d}", e->pid);
	reply_json(e->to, text, &e->tty, e->tty >= 0);
	if (e->tty >= 0)
		close(e->tty);
	e->tty = -1;
}

static void read_sync(struct exec *e)
{
	struct sync_message m;
	int fd, r = 1;
	while (e->sync.fd >= 0 && (r = sync_read(e->sync.fd, &m, &fd)) > 0) {
		if (m.kind == SYNC_FAILED)
			e->failed = m;
		if (fd >= 0 && m.kind == SYNC_TTY && e->tty < 0)
			e->tty = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (r == 0 && e->sync.fd >= 0) {
		if (e->failed.kind)
			source_close(&e->sync); /* reported when it is reaped */
		else
			started(e);
	}
}

static void on_sync(struct source *s, uint32_t events)
{
	(void)events;
	read_sync(container_of(s, struct exec, sync));
}

void exec_exited(struct exec *e, int status)
{
	read_sync(e);
	if (e->failed.kind)
		reply_error(e->to, e->failed.code, e->failed.code == 400 ? "StartError" : NULL, "%s", e->failed.text);
	else if (!e->started)
		reply_error(e->to, 500, NULL, "the process ended before its command was started");
	else
		send_exited(e->to, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	exec_free(e);
}

static int own_pid_ns(const struct container *c)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", c->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void exec_start(struct json *body, int *fds, int n_fds, struct reply_to to)
{
	const char *id = str_or(json_path_str(body, "id"), "");
	struct container *c = container_find(id);
	if (!c) {
		reply_error(to, 404, NULL, "no container \"%s\"", id);
		return;
	}
	if (c->status.state != CONTAINER_RUNNING) {
		reply_error(to, 409, NULL, "container is not running");
		return;
	}
	if (shim.n_execs == SHIM_EXECS_MAX) {
		reply_error(to, 429, NULL, "too many processes are being run in this pod already");
		return;
	}
	struct exec *e = NEW(struct exec);
	e->sync.fd = e->tty = -1;
	e->to = to;
	e->kill_on_close = json_path_bool(body, "killOnClose", false);
	list_add_tail(&shim.execs, &e->link);
	shim.n_execs++;
	int decoded = container_spec_from_json(&e->arena, json_get(body, "spec"), &e->spec);
	if (decoded == -EOPNOTSUPP) {
		reply_error(to, 501, NULL, "the pod's shim, version %s, does not know \"%s\"", PROA_VERSION,
			    str_or(container_spec_unknown(json_get(body, "spec")), ""));
		exec_free(e);
		return;
	}
	if (decoded < 0 || !e->spec.args || !e->spec.args[0]) {
		reply_error(to, 400, NULL, "the command is not valid");
		exec_free(e);
		return;
	}
	struct launch l = {.spec = &e->spec,
			   .container = &c->spec,
			   .layout = &shim.layout,
			   .cgroup = c->cgroup,
			   .stdio = {-1, -1, -1},
			   .shm = -1,
			   .pid_ns = -1};
	int at = 0, sync, r = 0;
	for (size_t i = 0; i < 3; i++)
		if (json_bool(json_at(json_get(body, "has"), i), false) && at < n_fds)
			l.stdio[i] = fds[at++];
	_cleanup_close_ int target = (int)syscall(SYS_pidfd_open, c->pid, 0);
	_cleanup_close_ int filter = -1;
	_cleanup_close_ int ns = shim.pod.host_pid ? -1 : own_pid_ns(c);
	if (target < 0)
		r = -ESRCH;
	else if (!shim.pod.host_pid && ns < 0)
		r = ns;
	else
		r = open_seccomp(&c->spec, &filter);
	l.target = target;
	l.seccomp = filter;
	l.pid_ns = ns;
	if (r == 0)
		r = launch(&l, &e->pid, &sync);
	if (r < 0) {
		reply_error(to, 500, NULL, "starting a process: %s", strerror(-r));
		exec_free(e);
		return;
	}
	source_add(&e->sync, sync, EPOLLIN, on_sync);
}

void exec_kill(pid_t pid, struct reply_to to)
{
	LIST_EACH(l, &shim.execs)
		if (LIST_ENTRY(l, struct exec, link)->pid == pid) {
			kill(pid, SIGKILL);
			reply_ok(to);
			return;
		}
	reply_error(to, 404, NULL, "no such process");
}

void exec_conn_closed(uint64_t conn)
{
	LIST_EACH(l, &shim.execs) {
		struct exec *e = LIST_ENTRY(l, struct exec, link);
		if (e->to.conn == conn && e->kill_on_close && e->pid)
			kill(e->pid, SIGKILL);
	}
}
