/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pipe_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/loop.h"

#define READ_BYTES (32u << 10)
#define READS_A_TURN 8 /* so that a process that never stops writing doesn't hold the loop */

struct pipe_end {
	int fd;
	struct loop_fd *watch;
	struct buf queue;
	bool reading, paused, finishing, dead; /* dead: freed inside one of its own callbacks */
	int depth;
	const struct pipe_end_events *ev;
	void *arg;
};

static void rewatch(struct pipe_end *p)
{
	int events = (p->reading && !p->paused ? LOOP_READABLE : 0) | (p->queue.len ? LOOP_WRITABLE : 0);

	if (p->watch)
		loop_fd_set(p->watch, events);
}

static void close_fd(struct pipe_end *p)
{
	loop_fd_free(p->watch);
	p->watch = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void leave(struct pipe_end *p)
{
	if (--p->depth == 0 && p->dead) {
		buf_release(&p->queue);
		free(p);
	}
}

/* How much was read: 0 at the end, -1 when there is nothing now. */
static ssize_t read_some(struct pipe_end *p)
{
	char data[READ_BYTES];
	ssize_t n;

	do
		n = read(p->fd, data, sizeof(data));
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -1;
	if (n > 0) {
		p->ev->on_data(p->arg, data, (size_t)n);
		return n;
	}
	p->reading = false; /* end of file; EIO: the terminal's other side is closed */
	return 0;
}

static void write_some(struct pipe_end *p)
{
	while (p->queue.len) {
		ssize_t n = write(p->fd, p->queue.data, p->queue.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) { /* nobody reads: what is written is lost, as with any pipe */
			buf_clear(&p->queue);
			break;
		}
		buf_consume(&p->queue, (size_t)n);
	}
	if (p->finishing)
		close_fd(p);
	else if (p->ev->on_drain)
		p->ev->on_drain(p->arg);
}

static void on_ready(void *arg, int events)
{
	struct pipe_end *p = arg;

	p->depth++;
	if ((events & LOOP_WRITABLE) && p->queue.len && !p->dead)
		write_some(p);
	for (int i = 0; i < READS_A_TURN && p->reading && !p->paused && !p->dead && p->fd >= 0; i++) {
		ssize_t n = read_some(p);

		if (n < 0)
			break;
		if (n == 0 && !p->dead)
			p->ev->on_end(p->arg);
	}
	if (!p->dead)
		rewatch(p);
	leave(p);
}

struct pipe_end *pipe_end_new(struct loop *l, int fd, bool read, const struct pipe_end_events *ev, void *arg)
{
	struct pipe_end *p = NEW(struct pipe_end);

	p->fd = fd;
	p->reading = read;
	p->ev = ev;
	p->arg = arg;
	buf_init(&p->queue, PIPE_QUEUE_MAX);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	p->watch = loop_fd_new(l, fd, read ? LOOP_READABLE : 0, on_ready, p);
	return p;
}

void pipe_end_free(struct pipe_end *p)
{
	if (!p)
		return;
	close_fd(p);
	p->reading = false;
	p->dead = true;
	p->depth++;
	leave(p);
}

int pipe_end_fd(const struct pipe_end *p)
{
	return p->fd;
}

void pipe_end_write(struct pipe_end *p, const char *data, size_t len)
{
	if (p->fd < 0 || p->finishing)
		return;
	buf_add(&p->queue, data, len);
	rewatch(p);
}

size_t pipe_end_queued(const struct pipe_end *p)
{
	return p->queue.len;
}

void pipe_end_finish(struct pipe_end *p)
{
	p->finishing = true;
	if (!p->queue.len)
		close_fd(p);
}

void pipe_end_pause(struct pipe_end *p, bool paused)
{
	if (p->paused == paused)
		return;
	p->paused = paused;
	rewatch(p);
}

void pipe_end_drain(struct pipe_end *p)
{
	p->depth++;
	while (p->reading && !p->dead && p->fd >= 0 && read_some(p) > 0)
		;
	leave(p);
}
