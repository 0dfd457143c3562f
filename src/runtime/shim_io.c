/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's standard streams: its output goes to the log and to every attach, an attach's input to its stdin.
 * While an attach has not taken what was read, that stream isn't read further (back-pressure), for ATTACH_STALL_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/env.h"
#include "base/mem.h"
#include "runtime/shim_internal.h"

#define DRAIN_MAX (1u << 20) /* a pipe holds 64 KiB; more means somebody still writes, and the container is over */

static char input[READ_MAX]; /* one read; used up before the next turn */

static void attach_free(struct attach *a)
{
	list_remove(&a->link);
	a->c->n_attaches--;
	source_close(&a->in);
	for (int i = 0; i < 2; i++) {
		source_close(&a->out[i]);
		free(a->pending[i]);
	}
	free(a);
}

/* Reads a stream only while every attach keeps up. */
static void balance(struct container *c)
{
	bool blocked[2] = {false, false};
	LIST_EACH(l, &c->attaches)
		for (int i = 0; i < 2; i++)
			blocked[i] |= LIST_ENTRY(l, struct attach, link)->pending_len[i] > 0;
	for (int i = 0; i < 2; i++)
		source_set(&c->out[i], blocked[i] ? 0 : EPOLLIN);
}

/* Its container has ended and it has everything. */
static bool done(const struct attach *a)
{
	return a->c->status.state == CONTAINER_EXITED && !a->pending_len[0] && !a->pending_len[1];
}

/* Writes what it takes; false when the reader is gone. */
static bool push(struct attach *a, int i)
{
	ssize_t n = write(a->out[i].fd, a->pending[i], a->pending_len[i]);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (n > 0) {
		a->pending_len[i] -= (size_t)n;
		memmove(a->pending[i], a->pending[i] + n, a->pending_len[i]);
		a->stalled_ms = 0;
	}
	if (!a->pending_len[i]) {
		free(a->pending[i]);
		a->pending[i] = NULL;
	} else if (!a->stalled_ms) {
		a->stalled_ms = monotonic_ms();
		deadline(a->stalled_ms + ATTACH_STALL_MS);
	}
	source_set(&a->out[i], a->pending_len[i] ? EPOLLOUT : 0);
	return true;
}

static void on_attach_out(struct attach *a, int i, uint32_t events)
{
	struct container *c = a->c;
	bool alive = !(events & (EPOLLHUP | EPOLLERR));
	if (alive && a->pending_len[i])
		alive = push(a, i);
	if (!alive || done(a))
		attach_free(a);
	balance(c);
}

static void on_attach_stdout(struct source *s, uint32_t events)
{
	on_attach_out(container_of(s, struct attach, out[0]), 0, events);
}

static void on_attach_stderr(struct source *s, uint32_t events)
{
	on_attach_out(container_of(s, struct attach, out[1]), 1, events);
}

static void fan_out(struct container *c, int i, const char *data, size_t len)
{
	LIST_EACH_SAFE(l, &c->attaches) {
		struct attach *a = LIST_ENTRY(l, struct attach, link);
		if (a->out[i].fd < 0)
			continue;
		a->pending[i] = xrealloc(a->pending[i], a->pending_len[i] + len);
		memcpy(a->pending[i] + a->pending_len[i], data, len);
		a->pending_len[i] += len;
		if (!push(a, i))
			attach_free(a);
	}
	balance(c);
}

/* One read of stream i; how many bytes, 0 at the end (a terminal's end is EIO), -1 when there is nothing now. */
static ssize_t pump(struct container *c, int i)
{
	ssize_t n = read(c->out[i].fd, input, sizeof(input));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -1;
	if (n <= 0)
		return 0;
	log_write(&c->log, i, input, (size_t)n);
	fan_out(c, i, input, (size_t)n);
	return n;
}

static void end_stream(struct container *c, int i)
{
	source_close(&c->out[i]);
	log_finish(&c->log, i);
}

static void on_output(struct container *c, int i)
{
	if (pump(c, i) == 0)
		end_stream(c, i);
}

static void on_stdout(struct source *s, uint32_t events)
{
	(void)events;
	on_output(container_of(s, struct container, out[0]), 0);
}

static void on_stderr(struct source *s, uint32_t events)
{
	(void)events;
	on_output(container_of(s, struct container, out[1]), 1);
}

/* ---- stdin ---- */

static void close_stdin(struct container *c)
{
	source_close(&c->in);
	free(c->in_pending);
	c->in_pending = NULL;
	c->in_pending_len = 0;
}

/* What was read from whoever attached is written first. */
static void end_stdin(struct container *c)
{
	c->in_ends = true;
	if (!c->in_pending_len)
		close_stdin(c);
}

static void balance_input(struct container *c)
{
	source_set(&c->in, c->in_pending_len ? EPOLLOUT : 0);
	LIST_EACH(l, &c->attaches)
		source_set(&LIST_ENTRY(l, struct attach, link)->in, c->in_pending_len ? 0 : EPOLLIN);
}

static void flush_input(struct container *c)
{
	ssize_t n = write(c->in.fd, c->in_pending, c->in_pending_len);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_stdin(c);
	} else if (n > 0) {
		c->in_pending_len -= (size_t)n;
		memmove(c->in_pending, c->in_pending + n, c->in_pending_len);
		if (c->in_ends)
			end_stdin(c);
	}
	balance_input(c);
}

static void on_stdin(struct source *s, uint32_t events)
{
	struct container *c = container_of(s, struct container, in);
	if (c->in_pending_len)
		flush_input(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		close_stdin(c);
}

static void on_attach_in(struct source *s, uint32_t events)
{
	struct attach *a = container_of(s, struct attach, in);
	struct container *c = a->c;
	(void)events;
	ssize_t n = read(s->fd, input, sizeof(input));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		source_close(s);
		if (c->spec.stdin_once && !c->spec.tty)
			end_stdin(c);
		if (a->out[0].fd < 0 && a->out[1].fd < 0)
			attach_free(a);
		return;
	}
	if (c->in.fd < 0)
		return; /* nobody reads it any more */
	c->in_pending = xrealloc(c->in_pending, c->in_pending_len + (size_t)n);
	memcpy(c->in_pending + c->in_pending_len, input, (size_t)n);
	c->in_pending_len += (size_t)n;
	flush_input(c);
}

/* ---- attach ---- */

static int watch(struct source *s, int fd, uint32_t events, void (*fn)(struct source *, uint32_t))
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0 || fcntl(own, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	int r = source_add(s, own, events, fn);
	if (r < 0) {
		close(own);
		s->fd = -1;
	}
	return r;
}

static bool hung_up(const struct attach *a)
{
	for (int i = 0; i < 2; i++) {
		struct pollfd p = {.fd = a->out[i].fd};
		if (p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
			return true;
	}
	return false;
}

/* Clients that went a moment ago, of which the loop has not heard yet, must not keep others out. */
static void drop_hung_up(struct container *c)
{
	LIST_EACH_SAFE(l, &c->attaches) {
		struct attach *a = LIST_ENTRY(l, struct attach, link);
		if (hung_up(a))
			attach_free(a);
	}
	balance(c);
}

void attach_start(struct container *c, const int fds[3], struct reply_to to)
{
	if (c->status.state == CONTAINER_EXITED) {
		reply_error(to, 409, NULL, "container is not running");
		return;
	}
	if (c->n_attaches == ATTACH_MAX)
		drop_hung_up(c);
	if (c->n_attaches == ATTACH_MAX) {
		reply_error(to, 429, NULL, "the container has %d attached clients already", ATTACH_MAX);
		return;
	}
	struct attach *a = NEW(struct attach);
	a->c = c;
	a->in.fd = a->out[0].fd = a->out[1].fd = -1;
	list_add_tail(&c->attaches, &a->link);
	c->n_attaches++;
	int r = 0;
	if (fds[1] >= 0)
		r = watch(&a->out[0], fds[1], 0, on_attach_stdout);
	if (r == 0 && fds[2] >= 0 && !c->spec.tty)
		r = watch(&a->out[1], fds[2], 0, on_attach_stderr);
	if (r == 0 && fds[0] >= 0 && c->in.fd >= 0)
		r = watch(&a->in, fds[0], EPOLLIN, on_attach_in);
	if (r < 0) {
		attach_free(a);
		reply_error(to, 500, NULL, "attaching: %s", strerror(-r));
		return;
	}
	balance_input(c);
	reply_ok(to);
}

void attach_timers(struct container *c, int64_t now_ms)
{
	LIST_EACH_SAFE(l, &c->attaches) {
		struct attach *a = LIST_ENTRY(l, struct attach, link);
		if (!a->stalled_ms)
			continue;
		if (now_ms - a->stalled_ms >= ATTACH_STALL_MS)
			attach_free(a);
		else
			deadline(a->stalled_ms + ATTACH_STALL_MS);
	}
	balance(c);
}

/* ---- set-up and end ---- */

int io_prepare(struct container *c, int child[3])
{
	int p[2];
	child[0] = child[1] = child[2] = -1;
	if (c->spec.tty)
		return 0; /* the terminal comes from inside */
	for (int i = 0; i < 2; i++) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		fcntl(p[0], F_SETFL, O_NONBLOCK);
		child[i + 1] = p[1];
		int r = source_add(&c->out[i], p[0], EPOLLIN, i ? on_stderr : on_stdout);
		if (r < 0)
			return r;
	}
	if (!c->spec.stdin_)
		return 0;
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	child[0] = p[0];
	return source_add(&c->in, p[1], 0, on_stdin);
}

void io_take_tty(struct container *c, int master)
{
	fcntl(master, F_SETFL, O_NONBLOCK);
	source_add(&c->out[0], master, EPOLLIN, on_stdout);
	int in = c->spec.stdin_ ? fcntl(master, F_DUPFD_CLOEXEC, 3) : -1;
	if (in >= 0)
		source_add(&c->in, in, 0, on_stdin);
}

void io_drain(struct container *c)
{
	for (int i = 0; i < 2; i++) {
		ssize_t n = 1;
		for (size_t total = 0; c->out[i].fd >= 0 && total < DRAIN_MAX && n > 0; total += (size_t)n)
			n = pump(c, i);
		if (c->out[i].fd >= 0)
			end_stream(c, i);
	}
}

void io_end(struct container *c)
{
	LIST_EACH_SAFE(l, &c->attaches) {
		struct attach *a = LIST_ENTRY(l, struct attach, link);
		source_close(&a->in);
		if (done(a))
			attach_free(a); /* the others when they have it all, or after ATTACH_STALL_MS */
	}
	close_stdin(c);
	source_close(&c->out[0]);
	source_close(&c->out[1]);
	log_close(&c->log);
}

void io_release(struct container *c)
{
	while (!list_empty(&c->attaches)) {
		struct attach *a = LIST_ENTRY(c->attaches.next, struct attach, link);
		for (int i = 0; i < 2; i++) /* a last chance for what is pending */
			if (a->pending_len[i])
				push(a, i);
		attach_free(a);
	}
	close_stdin(c);
	source_close(&c->out[0]);
	source_close(&c->out[1]);
	log_close(&c->log);
}
