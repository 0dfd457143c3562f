/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our end of a pipe or terminal whose other end a container's process has: read and written as it is ready. Reads stop
 * while paused; writes are queued up to PIPE_QUEUE_MAX, and whoever produces them looks at pipe_end_queued.
 */
#ifndef PROA_NODE_PIPE_END_H
#define PROA_NODE_PIPE_END_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct pipe_end;

#define PIPE_QUEUE_MAX (4u << 20) /* a client that sends faster than the process reads is paused long before */

struct pipe_end_events {
	void (*on_data)(void *arg, const char *data, size_t len);
	void (*on_end)(void *arg);   /* nothing more to read: end of file, or hung up */
	void (*on_drain)(void *arg); /* the write queue became empty; may be NULL */
};

/* Takes fd. read: data is wanted. */
struct pipe_end *pipe_end_new(struct loop *l, int fd, bool read, const struct pipe_end_events *ev, void *arg);
void pipe_end_free(struct pipe_end *p); /* closes; NULL-safe; what is queued is lost */
int pipe_end_fd(const struct pipe_end *p);
void pipe_end_write(struct pipe_end *p, const char *data, size_t len);
size_t pipe_end_queued(const struct pipe_end *p);
void pipe_end_finish(struct pipe_end *p); /* no more writes: closed once the queue is written */
void pipe_end_pause(struct pipe_end *p, bool paused);
/* Reads at once what is there, paused or not, without waiting for more: at the end of the process. */
void pipe_end_drain(struct pipe_end *p);

#endif
