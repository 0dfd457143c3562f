/* SPDX-License-Identifier: Apache-2.0 */
#include "local/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "io/loop.h"

static void step(struct pump *p);

static void on_ready(void *arg, int events)
{
	(void)events;
	step(arg);
}

static void end(struct pump *p)
{
	if (p->ended)
		return;
	p->ended = true;
	loop_fd_free(p->in);
	loop_fd_free(p->out);
	p->in = p->out = NULL;
	if (p->own_from && p->from >= 0)
		close(p->from);
	if (p->own_to && p->to >= 0)
		close(p->to);
	p->from = p->to = -1;
	loop_stop(p->loop);
}

/* Our own terminal is shared with the shell: it stays blocking, and is asked first. */
static bool ready(int fd, short events)
{
	struct pollfd f = {.fd = fd, .events = events};
	return poll(&f, 1, 0) > 0;
}

/* false: nothing to be had now. */
static bool fill(struct pump *p)
{
	char chunk[32 * 1024];
	if (p->from < 0 || p->waiting.len >= PUMP_BYTES_MAX || !ready(p->from, POLLIN))
		return false;
	ssize_t n = read(p->from, chunk, sizeof(chunk));
	if (n > 0) {
		buf_add(&p->waiting, chunk, (size_t)n);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	loop_fd_free(p->in); /* the end; a terminal's other side that is gone is EIO */
	p->in = NULL;
	if (p->own_from)
		close(p->from);
	p->from = -1;
	return false;
}

static bool drain(struct pump *p)
{
	while (p->waiting.len && ready(p->to, POLLOUT)) {
		size_t some = p->waiting.len < PIPE_BUF ? p->waiting.len : PIPE_BUF; /* what POLLOUT promises */
		ssize_t n = write(p->to, p->waiting.data, some);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			return false;
		buf_consume(&p->waiting, (size_t)n);
	}
	return true;
}

static void watch(struct pump *p)
{
	bool want_in = p->from >= 0 && p->waiting.len<PUMP_BYTES_MAX, want_out = p->waiting.len> 0;
	if (p->in)
		loop_fd_set(p->in, want_in ? LOOP_READABLE : 0);
	if (want_out && !p->out)
		p->out = loop_fd_new(p->loop, p->to, LOOP_WRITABLE, on_ready, p);
	if (!want_out) {
		loop_fd_free(p->out);
		p->out = NULL;
	}
}

static void step(struct pump *p)
{
	do {
		if (!drain(p)) {
			end(p);
			return;
		}
	} while (fill(p) && !p->from_waits);
	if (!drain(p) || (p->from < 0 && !p->waiting.len)) {
		end(p);
		return;
	}
	watch(p);
}

void pump_start(struct pump *p, struct loop *l, int from, bool own_from, int to, bool own_to)
{
	*p = (struct pump){.loop = l, .from = from, .to = to, .own_from = own_from, .own_to = own_to};
	if (own_from)
		fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK);
	if (own_to)
		fcntl(to, F_SETFL, fcntl(to, F_GETFL) | O_NONBLOCK);
	p->in = loop_fd_new(l, from, LOOP_READABLE, on_ready, p);
	p->from_waits = p->in != NULL;
	if (!p->in)
		step(p); /* a file: it is read at once */
}

void pump_stop(struct pump *p)
{
	if (!p->loop)
		return;
	end(p);
	buf_release(&p->waiting);
	*p = (struct pump){.from = -1, .to = -1, .ended = true};
}
