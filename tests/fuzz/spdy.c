/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to a server side, whole and in small pieces: every stream is closed exactly once. */
/* sources: http/spdy.c http/spdy_headers.c */
/* libs: -lz */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "http/spdy.h"

struct seen {
	unsigned opened, closed;
	size_t bytes;
};

static void on_stream(void *arg, struct spdy_stream *st)
{
	struct seen *s = arg;
	s->opened++;
	spdy_stream_header(st, "streamtype");
	if (spdy_stream_id(st) % 4 == 3)
		spdy_reset(st, SPDY_REFUSED_STREAM);
	else
		spdy_accept(st);
}

static void on_data(void *arg, struct spdy_stream *st, const char *p, size_t len)
{
	struct seen *s = arg;
	s->bytes += len;
	spdy_send(st, p, len);
}

static void on_fin(void *arg, struct spdy_stream *st)
{
	(void)arg;
	spdy_finish(st);
}

static void on_closed(void *arg, struct spdy_stream *st, bool reset)
{
	struct seen *s = arg;
	(void)st, (void)reset;
	s->closed++;
}

static void on_send(void *arg, const void *p, size_t len)
{
	(void)arg, (void)p, (void)len;
}

static void on_error(void *arg, const char *why)
{
	(void)arg, (void)why;
}

static const struct spdy_events events = {.on_stream = on_stream,
					  .on_data = on_data,
					  .on_fin = on_fin,
					  .on_closed = on_closed,
					  .on_send = on_send,
					  .on_error = on_error};

static void feed(struct seen *s, const uint8_t *data, size_t size, size_t piece)
{
	struct spdy *p = spdy_new(true, &events, s);
	for (size_t at = 0; at < size; at += piece)
		spdy_input(p, (const char *)data + at, MIN_OF(piece, size - at));
	spdy_lost(p);
	spdy_free(p);
	assert(s->opened == s->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, pieces = {0};
	feed(&whole, data, size, size ? size : 1);
	feed(&pieces, data, size, 3);
	assert(whole.opened == pieces.opened && whole.bytes == pieces.bytes);
	return 0;
}
