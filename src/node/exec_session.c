/* SPDX-License-Identifier: Apache-2.0 */
#include "node/exec_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/server.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/kubelet_internal.h"
#include "node/kubelet_sessions.h"
#include "node/pipe_end.h"
#include "node/pod.h"
#include "runtime/runtime.h"

/*
 * The runtime holds the struct (running) until it has told the exit, the transport until finish, abort or gone. Whoever
 * is last frees it.
 */
struct exec_session {
	struct kubelet_session base; /* first */
	struct agent *agent;
	struct exec_options o;
	char *uid, *id; /* pod and container */
	const struct exec_transport_ops *ops;
	void *transport;		 /* NULL: gone */
	struct pipe_end *in, *out, *err; /* with a terminal in is out */
	int pid;
	bool running; /* the runtime will still call */
	bool input_ended;
};

static void release(struct exec_session *s)
{
	struct agent *a = s->agent;

	if (s->running || s->transport)
		return;
	list_remove(&s->base.link);
	exec_options_release(&s->o);
	free(s->uid);
	free(s->id);
	free(s);
	agent_job_end(a);
}

static void close_pipes(struct exec_session *s)
{
	struct pipe_end *in = TAKE_PTR(s->in), *out = TAKE_PTR(s->out), *err = TAKE_PTR(s->err);

	if (in != out)
		pipe_end_free(in);
	pipe_end_free(out);
	pipe_end_free(err);
}

/* ---- the end ---- */

static void send_status(struct exec_session *s, int code, const struct status *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *o = json_new(&a, JSON_OBJECT), *cause;

	json_object_in(&a, o, "metadata");
	if (err) {
		json_set_str(&a, o, "status", "Failure");
		json_set_str(&a, o, "message", str_or(err->message, "internal error"));
		json_set_str(&a, o, "reason", "InternalError");
		json_set_int(&a, o, "code", 500);
	} else if (code != 0) {
		json_set_str(&a, o, "status", "Failure");
		json_set(&a, o, "message",
			 json_new_strf(&a, "command terminated with non-zero exit code: exit code %d", code));
		json_set_str(&a, o, "reason", "NonZeroExitCode");
		cause = json_append(json_array_in(&a, json_object_in(&a, o, "details"), "causes"),
				    json_new(&a, JSON_OBJECT));
		json_set_str(&a, cause, "reason", "ExitCode");
		json_set(&a, cause, "message", json_new_strf(&a, "%d", code));
	} else {
		json_set_str(&a, o, "status", "Success");
	}
	json_write(&text, o);
	s->ops->send(s->transport, EXEC_ERROR, text.data, text.len);
}

static void finish(struct exec_session *s, int code, const struct status *err)
{
	void *transport = s->transport;

	if (!transport)
		return;
	if (s->out)
		pipe_end_drain(s->out);
	if (s->err)
		pipe_end_drain(s->err);
	send_status(s, code, err);
	close_pipes(s);
	s->transport = NULL;
	s->ops->finish(transport);
}

void exec_session_gone(struct exec_session *s)
{
	s->transport = NULL;
	close_pipes(s);
	if (s->running && s->pid > 0)
		runtime_exec_kill(s->agent->runtime, s->uid, s->pid, NULL, NULL);
	release(s);
}

static void abort_session(struct kubelet_session *base)
{
	struct exec_session *s = (struct exec_session *)base;
	void *transport = s->transport;

	if (!transport)
		return;
	s->transport = NULL;
	close_pipes(s);
	s->ops->abort(transport);
	release(s);
}

/* ---- from the process ---- */

static void produced(struct exec_session *s, enum exec_channel channel, const char *data, size_t len)
{
	if (!s->transport)
		return;
	s->ops->send(s->transport, channel, data, len);
	if (s->ops->queued(s->transport) > EXEC_QUEUE_BYTES) {
		if (s->out)
			pipe_end_pause(s->out, true);
		if (s->err)
			pipe_end_pause(s->err, true);
	}
}

void exec_session_drained(struct exec_session *s)
{
	if (s->out)
		pipe_end_pause(s->out, false);
	if (s->err)
		pipe_end_pause(s->err, false);
}

static void on_out(void *arg, const char *data, size_t len)
{
	produced(arg, EXEC_STDOUT, data, len);
}

static void on_err(void *arg, const char *data, size_t len)
{
	produced(arg, EXEC_STDERR, data, len);
}

/* An attach has no exit of its own to wait for: it is over when the container's output is. */
static void on_end(void *arg)
{
	struct exec_session *s = arg;

	if (!s->o.attach)
		return;
	finish(s, 0, NULL);
	release(s);
}

static void on_nothing(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static void on_in_drain(void *arg)
{
	struct exec_session *s = arg;

	if (s->transport)
		s->ops->resume(s->transport);
}

static void on_in_end(void *arg)
{
	(void)arg;
}

/* Only where there is no other output to wait for. */
static void on_err_end(void *arg)
{
	if (!((struct exec_session *)arg)->out)
		on_end(arg);
}

static const struct pipe_end_events in_events = {on_nothing, on_in_end, on_in_drain},
				    out_events = {on_out, on_end, on_in_drain}, err_events = {on_err, on_err_end, NULL};

/* ---- from the client ---- */

bool exec_session_input(struct exec_session *s, const char *data, size_t len)
{
	if (!s->in || s->input_ended || !s->o.stdin_)
		return true;
	pipe_end_write(s->in, data, len);
	return pipe_end_queued(s->in) < EXEC_QUEUE_BYTES;
}

void exec_session_input_end(struct exec_session *s)
{
	if (s->input_ended)
		return;
	s->input_ended = true;
	if (!s->in)
		return;
	if (s->in != s->out)
		pipe_end_finish(s->in);
	else
		pipe_end_write(s->in, "\004", 1); /* a terminal has no end of file but what is typed: ^D */
}

void exec_session_resize(struct exec_session *s, const char *text, size_t len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json_error e;
	struct json *size;
	int64_t columns, rows;

	if (!s->o.tty || json_parse(&a, text, len, &size, &e) < 0)
		return;
	columns = json_path_int(size, "Width", 0);
	rows = json_path_int(size, "Height", 0);
	if (columns <= 0 || columns > UINT16_MAX || rows <= 0 || rows > UINT16_MAX)
		return;
	if (s->o.attach)
		runtime_container_resize(s->agent->runtime, s->uid, s->id, (int)rows, (int)columns, NULL, NULL);
	else if (s->out)
		ioctl(pipe_end_fd(s->out), TIOCSWINSZ,
		      &(struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns});
}

/* ---- starting ---- */

static void on_started(void *arg, int tty_fd, int pid, const struct status *err)
{
	struct exec_session *s = arg;

	if (err) {
		s->running = false;
		finish(s, 0, err);
		release(s);
		return;
	}
	s->pid = pid;
	if (!s->transport) {
		if (tty_fd >= 0)
			close(tty_fd);
		runtime_exec_kill(s->agent->runtime, s->uid, pid, NULL, NULL);
		return;
	}
	if (tty_fd >= 0) {
		s->out = s->in = pipe_end_new(s->agent->loop, tty_fd, true, &out_events, s);
		s->ops->resume(s->transport);
	}
}

static void on_exited(void *arg, int code, const struct status *err)
{
	struct exec_session *s = arg;

	s->running = false;
	finish(s, code, err);
	release(s);
}

static void on_attached(void *arg, const struct status *err)
{
	struct exec_session *s = arg;

	s->running = false;
	if (err)
		finish(s, 0, err);
	release(s);
}

/* A pipe; ours becomes a pipe_end, the other one is for the process. */
static int make_pipe(struct exec_session *s, bool to_process, const struct pipe_end_events *ev, struct pipe_end **ret)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	*ret = pipe_end_new(s->agent->loop, fds[to_process ? 1 : 0], !to_process, ev, s);
	return fds[to_process ? 0 : 1];
}

static void start(struct exec_session *s)
{
	struct container_spec spec = {.args = (const char *const *)s->o.args, .tty = s->o.tty};
	int fds[3] = {-1, -1, -1};
	/* An attached terminal is one stream both ways on the shim's side, but two pipes here. */
	bool pipes = !s->o.tty || s->o.attach;

	if (pipes && s->o.stdin_)
		fds[0] = make_pipe(s, true, &in_events, &s->in);
	if (pipes && s->o.stdout_)
		fds[1] = make_pipe(s, false, &out_events, &s->out);
	if (pipes && s->o.stderr_ && !s->o.tty)
		fds[2] = make_pipe(s, false, &err_events, &s->err);
	s->running = true;
	if (s->o.attach)
		runtime_attach(s->agent->runtime, s->uid, s->id, fds, on_attached, s);
	else
		runtime_exec(s->agent->runtime, s->uid, s->id, &spec, fds, on_started, on_exited, s);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

struct exec_session *exec_session_start(struct kubelet_api *k, struct pod_container *pc, struct exec_options *o,
					const struct exec_transport_ops *ops, void *transport)
{
	struct exec_session *s = NEW(struct exec_session);

	s->agent = k->agent;
	s->o = *o;
	*o = (struct exec_options){0};
	s->uid = xstrdup(pc->pod->uid);
	s->id = xstrdup(pc->c.id);
	s->ops = ops;
	s->transport = transport;
	s->base.abort = abort_session;
	list_add_tail(&k->sessions, &s->base.link);
	agent_job_begin(s->agent);
	start(s);
	return s;
}

/* ---- what the client asked for ---- */

struct parse {
	struct exec_options o;
	VEC(char *) args;
	size_t bytes;
	const char *why;
};

static bool is_true(const char *value)
{
	return str_eq(value, "1") || str_eq(value, "true");
}

static void parse_one(void *arg, const char *name, const char *value)
{
	struct parse *p = arg;

	if (str_eq(name, "command")) {
		p->bytes += strlen(value);
		if (p->args.n >= EXEC_ARGS_MAX || p->bytes > EXEC_ARGS_BYTES_MAX)
			p->why = "the command is too long";
		else
			VEC_PUSH(&p->args, xstrdup(value));
	} else if (str_eq(name, "input") || str_eq(name, "stdin")) {
		p->o.stdin_ = is_true(value);
	} else if (str_eq(name, "output") || str_eq(name, "stdout")) {
		p->o.stdout_ = is_true(value);
	} else if (str_eq(name, "error") || str_eq(name, "stderr")) {
		p->o.stderr_ = is_true(value);
	} else if (str_eq(name, "tty")) {
		p->o.tty = is_true(value);
	}
}

void exec_options_release(struct exec_options *o)
{
	for (char **s = o->args; s && *s; s++)
		free(*s);
	free(o->args);
	*o = (struct exec_options){0};
}

int exec_options_parse(const char *query, bool attach, struct exec_options *ret, const char **ret_why)
{
	struct parse p = {.o = {.attach = attach}};

	if (!http_query_each(query, parse_one, &p))
		p.why = "the query cannot be decoded";
	else if (!p.why && !attach && p.args.n == 0)
		p.why = "you must specify at least one command for the container";
	else if (!p.why && !p.o.stdin_ && !p.o.stdout_ && !p.o.stderr_)
		p.why = "you must specify at least one of stdin, stdout, stderr";
	VEC_PUSH(&p.args, NULL);
	p.o.args = p.args.at;
	if (p.why) {
		exec_options_release(&p.o);
		*ret_why = p.why;
		return -EINVAL;
	}
	if (p.o.tty)
		p.o.stderr_ = false; /* a terminal has one output */
	*ret = p.o;
	return 0;
}
