/* SPDX-License-Identifier: Apache-2.0 */
/* This process's own input, output, terminal and signals, connected to a container. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "io/loop.h"
#include "local/local_internal.h"
#include "local/pump.h"
#include "runtime/runtime.h"

#define POD "c"

/* ---- the terminal ---- */

struct terminal {
	bool raw;
	struct termios before;
};

static void terminal_raw(struct terminal *t)
{
	struct termios raw;
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &t->before) < 0)
		return;
	raw = t->before;
	cfmakeraw(&raw);
	t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void terminal_restore(struct terminal *t)
{
	if (t->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
}

static bool window(int *rows, int *columns)
{
	struct winsize w;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) < 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0)
		return false;
	*rows = w.ws_row;
	*columns = w.ws_col;
	return true;
}

/* ---- a session ---- */

struct session {
	struct local_container *c;
	struct pump in, out, err;
	struct loop_signal *signals[5];
	bool tty;
	int master; /* of an exec's terminal; -1: the container's own */
	/* of an exec */
	bool is_exec, started, done;
	int pid, code;
	char message[LOCAL_ERR_MAX];
};

static void nothing(void *arg, const struct status *err)
{
	(void)arg;
	(void)err;
}

static void resize(void *arg)
{
	struct session *s = arg;
	int rows, columns;
	if (!window(&rows, &columns))
		return;
	if (!s->is_exec)
		runtime_container_resize(s->c->runtime, POD, s->c->record->id, rows, columns, nothing, NULL);
	else if (s->master >= 0)
		ioctl(s->master, TIOCSWINSZ,
		      &(struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns});
}

static void pass_on(struct session *s, int signum)
{
	if (s->is_exec && s->pid > 0)
		(void)kill(s->pid, signum);
	else if (!s->is_exec)
		runtime_container_signal(s->c->runtime, POD, s->c->record->id, signum, nothing, NULL);
}

static void on_int(void *arg)
{
	pass_on(arg, SIGINT);
}
static void on_term(void *arg)
{
	pass_on(arg, SIGTERM);
}
static void on_hup(void *arg)
{
	pass_on(arg, SIGHUP);
}
static void on_quit(void *arg)
{
	pass_on(arg, SIGQUIT);
}

static void watch_signals(struct session *s)
{
	static const struct {
		int signum;
		loop_fn fn;
	} all[] = {{SIGINT, on_int}, {SIGTERM, on_term}, {SIGHUP, on_hup}, {SIGQUIT, on_quit}, {SIGWINCH, resize}};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		s->signals[i] = loop_signal_new(s->c->local->loop, all[i].signum, all[i].fn, s);
	signal(SIGPIPE, SIG_IGN);
}

static void session_end(struct session *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++)
		if (s->signals[i])
			loop_signal_free(s->signals[i]);
	pump_stop(&s->in);
	pump_stop(&s->out);
	pump_stop(&s->err);
}

struct ends {
	int in[2], out[2], err[2];
};

static void ends_close(struct ends *e, int side)
{
	int *fds[] = {&e->in[side == 0 ? 0 : 1], &e->out[side == 0 ? 1 : 0], &e->err[side == 0 ? 1 : 0]};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* Side 0 is the container's: in[0], out[1], err[1]. */
static int ends_open(struct ends *e, bool input, bool errors)
{
	*e = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}};
	if ((input && pipe2(e->in, O_CLOEXEC) < 0) || pipe2(e->out, O_CLOEXEC) < 0 ||
	    (errors && pipe2(e->err, O_CLOEXEC) < 0)) {
		int r = -errno;
		ends_close(e, 0);
		ends_close(e, 1);
		return r;
	}
	return 0;
}

static void pump_all(struct session *s, struct ends *e)
{
	struct loop *l = s->c->local->loop;
	pump_start(&s->out, l, TAKE_FD(e->out[0]), true, STDOUT_FILENO, false);
	if (e->err[0] >= 0)
		pump_start(&s->err, l, TAKE_FD(e->err[0]), true, STDERR_FILENO, false);
	if (e->in[1] >= 0)
		pump_start(&s->in, l, STDIN_FILENO, false, TAKE_FD(e->in[1]), true);
}

static bool output_open(const struct session *s)
{
	return (s->out.loop && !s->out.ended) || (s->err.loop && !s->err.ended);
}

int local_attach(struct local_container *c, bool input, bool start, char *err, size_t err_len)
{
	struct session s = {.c = c, .tty = c->record->tty, .master = -1};
	struct local_answer a = {.loop = c->local->loop};
	struct terminal terminal = {0};
	struct ends e;
	int r = ends_open(&e, input, !s.tty);
	if (r < 0)
		return local_fail(err, err_len, r, "no pipes: %s", strerror(-r));
	runtime_attach(c->runtime, POD, c->record->id, (int[]){e.in[0], e.out[1], e.err[1]}, local_answered, &a);
	r = local_await(&a, err, err_len);
	ends_close(&e, 0);
	if (r == 0) {
		watch_signals(&s);
		pump_all(&s, &e);
		if (start)
			r = local_start(c, err, err_len);
	}
	if (r == 0 && s.tty) {
		resize(&s);
		if (input)
			terminal_raw(&terminal);
	}
	while (r == 0 && (!c->exited || output_open(&s)))
		loop_run(c->local->loop);
	terminal_restore(&terminal);
	session_end(&s);
	ends_close(&e, 1);
	return r < 0 ? r : local_wait(c);
}

/* ---- exec ---- */

static void on_exec_started(void *arg, int tty, int pid, const struct status *err)
{
	struct session *s = arg;
	s->started = true;
	s->pid = pid;
	s->master = tty;
	if (err) {
		s->done = true;
		s->code = err->code == 400 ? -ENOEXEC : -EIO;
		snprintf(s->message, sizeof(s->message), "%s",
			 str_or(err->message, "the command could not be started"));
	}
	loop_stop(s->c->local->loop);
}

static void on_exec_exited(void *arg, int code, const struct status *err)
{
	struct session *s = arg;
	s->done = true;
	s->code = err ? -EIO : code;
	if (err)
		snprintf(s->message, sizeof(s->message), "%s", str_or(err->message, "the container is gone"));
	loop_stop(s->c->local->loop);
}

static void pump_terminal(struct session *s, bool input, struct terminal *t)
{
	struct loop *l = s->c->local->loop;
	resize(s);
	pump_start(&s->out, l, s->master, false, STDOUT_FILENO, false);
	if (!input)
		return;
	terminal_raw(t);
	pump_start(&s->in, l, STDIN_FILENO, false, dup(s->master), true);
}

int local_exec(struct local_container *c, const struct local_exec *x, char *err, size_t err_len)
{
	struct session s = {.c = c, .tty = x->tty, .master = -1, .is_exec = true};
	struct terminal terminal = {0};
	struct container_spec p = {.args = x->words, .env = x->env, .cwd = x->workdir, .user = x->user, .tty = x->tty};
	struct ends e = {{-1, -1}, {-1, -1}, {-1, -1}};
	int r = x->tty ? 0 : ends_open(&e, x->interactive, true);
	if (c->exited)
		return local_fail(err, err_len, -ESRCH, "container %s is not running", c->record->name);
	if (r < 0)
		return local_fail(err, err_len, r, "no pipes: %s", strerror(-r));
	runtime_exec(c->runtime, POD, c->record->id, &p, (int[]){e.in[0], e.out[1], e.err[1]}, on_exec_started,
		     on_exec_exited, &s);
	while (!s.started && !s.done)
		loop_run(c->local->loop);
	ends_close(&e, 0);
	watch_signals(&s);
	if (!s.done && s.tty)
		pump_terminal(&s, x->interactive, &terminal);
	else if (!x->tty)
		pump_all(&s, &e);
	while (!s.done || (s.code >= 0 && output_open(&s)))
		loop_run(c->local->loop);
	terminal_restore(&terminal);
	session_end(&s);
	ends_close(&e, 1);
	if (s.master >= 0)
		close(s.master);
	if (s.code < 0)
		snprintf(err, err_len, "%s", s.message);
	return s.code;
}
