/* SPDX-License-Identifier: Apache-2.0 */
#include "server/splice.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/stream.h"

struct splice_end {
	struct splice *splice;
	struct splice_end *peer;
	struct stream *stream; /* NULL: closed */
	bool paused;	       /* not read, because the peer's queue is full */
	bool ended;	       /* on_eof came */
};

struct splice {
	struct list link;
	struct splice_end ends[2];
};

static void on_data(void *arg, const char *data, size_t len)
{
	struct splice_end *e = arg, *to = e->peer;
	if (!to->stream)
		return;
	stream_write(to->stream, data, len);
	if (stream_queued(to->stream) > SPLICE_QUEUE_BYTES && e->stream && !e->paused) {
		e->paused = true;
		stream_read_stop(e->stream);
	}
}

static void on_drain(void *arg)
{
	struct splice_end *e = arg, *from = e->peer;
	if (from->paused && from->stream) {
		from->paused = false;
		stream_read_start(from->stream);
	}
}

static void on_eof(void *arg)
{
	struct splice_end *e = arg;
	e->ended = true;
	if (e->peer->stream)
		stream_shutdown(e->peer->stream);
	if (e->peer->ended) {
		if (e->stream)
			stream_close(e->stream);
		if (e->peer->stream)
			stream_close(e->peer->stream);
	}
}

static void on_close(void *arg, int why)
{
	struct splice_end *e = arg;
	struct splice *s = e->splice;
	(void)why;
	e->stream = NULL;
	if (e->peer->stream)
		stream_close(e->peer->stream);
	else {
		list_remove(&s->link);
		free(s);
	}
}

const struct stream_events splice_events = {
    .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};

struct splice *splice_new(struct list *open)
{
	struct splice *s = NEW(struct splice);
	list_add_tail(open, &s->link);
	for (int i = 0; i < 2; i++)
		s->ends[i] = (struct splice_end){.splice = s, .peer = &s->ends[1 - i]};
	return s;
}

struct splice_end *splice_end(struct splice *s, int which)
{
	return &s->ends[which];
}

void splice_start(struct splice *s, struct stream *first, struct stream *second)
{
	s->ends[0].stream = first;
	s->ends[1].stream = second;
	stream_read_start(first);
	stream_read_start(second);
}

void splice_close_all(struct list *open)
{
	while (!list_empty(open)) {
		struct splice *s = LIST_ENTRY(open->next, struct splice, link);
		list_remove(&s->link);
		for (int i = 0; i < 2; i++)
			if (s->ends[i].stream)
				stream_close(s->ends[i].stream);
	}
}
