/* SPDX-License-Identifier: Apache-2.0 */
#include "node/exec_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "runtime/runtime.h"

/*
 * The runtime holds the struct until it has said how the process ended; the caller may lose interest before that. The
 * process may leave the pipe to a child of its own, so its exit, not the end of the pipe, ends the run.
 */
struct exec_run {
	struct agent *agent;
	char *uid;
	int pid;
	int fd;
	size_t output_max;
	struct loop_fd *watch;
	struct loop_timer *timer;
	struct buf output;
	bool told; /* done was called, or the run cancelled */
	exec_run_done done;
	void *arg;
};

static void drain(struct exec_run *r)
{
	char chunk[4096];
	ssize_t n;

	while (r->fd >= 0 && (n = read(r->fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		buf_add(&r->output, chunk,
			MIN_OF((size_t)n, r->output_max - r->output.len)); /* the rest is read and dropped */
	}
	loop_fd_free(r->watch);
	r->watch = NULL;
}

static void on_readable(void *arg, int events)
{
	(void)events;
	drain(arg);
}

static void quiet(struct exec_run *r)
{
	loop_fd_free(r->watch);
	r->watch = NULL;
	loop_timer_free(r->timer);
	r->timer = NULL;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static void tell(struct exec_run *r, int code, const struct status *err)
{
	if (r->told)
		return;
	r->told = true;
	drain(r);
	quiet(r);
	r->done(r->arg, code, buf_str(&r->output), r->output.len, err);
}

static void run_free(struct exec_run *r)
{
	struct agent *a = r->agent;

	quiet(r);
	buf_release(&r->output);
	free(r->uid);
	free(r);
	agent_job_end(a);
}

static void on_started(void *arg, int tty_fd, int pid, const struct status *err)
{
	struct exec_run *r = arg;

	(void)tty_fd;
	if (err) {
		tell(r, -1, err);
		run_free(r);
		return;
	}
	r->pid = pid;
	if (r->told)
		runtime_exec_kill(r->agent->runtime, r->uid, pid, NULL, NULL);
}

static void on_exited(void *arg, int code, const struct status *err)
{
	struct exec_run *r = arg;

	tell(r, code, err);
	run_free(r);
}

static void on_timeout(void *arg)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct exec_run *r = arg;

	if (r->pid > 0)
		runtime_exec_kill(r->agent->runtime, r->uid, r->pid, NULL, NULL);
	status_set(&err, 408, "command timed out");
	tell(r, -1, &err);
}

struct exec_run *exec_run_start(struct agent *a, const char *pod_uid, const char *id, const char *const *args,
				int64_t timeout_ms, size_t output_max, exec_run_done done, void *arg)
{
	struct container_spec spec = {.args = args};
	struct exec_run *r = NEW(struct exec_run);
	int pipes[2] = {-1, -1};

	r->agent = a;
	r->uid = xstrdup(pod_uid);
	r->fd = -1;
	r->output_max = output_max;
	r->done = done;
	r->arg = arg;
	agent_job_begin(a);
	if (pipe2(pipes, O_CLOEXEC) == 0) {
		fcntl(pipes[0], F_SETFL, O_NONBLOCK);
		r->fd = pipes[0];
		r->watch = loop_fd_new(a->loop, r->fd, LOOP_READABLE, on_readable, r);
	}
	if (timeout_ms > 0) {
		r->timer = loop_timer_new(a->loop, on_timeout, r);
		loop_timer_start(r->timer, timeout_ms);
	}
	runtime_exec(a->runtime, pod_uid, id, &spec, (const int[3]){-1, pipes[1], pipes[1]}, on_started, on_exited, r);
	if (pipes[1] >= 0)
		close(pipes[1]);
	return r;
}

void exec_run_cancel(struct exec_run *r)
{
	if (!r || r->told)
		return;
	r->told = true;
	quiet(r);
	if (r->pid > 0)
		runtime_exec_kill(r->agent->runtime, r->uid, r->pid, NULL, NULL);
}
