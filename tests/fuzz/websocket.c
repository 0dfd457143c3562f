/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to both sides, whole and byte by byte: the same events, and never more than one close. */
/* sources: http/ws.c */
/* libs: -lcrypto */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "http/websocket.h"

#define MAX 300

struct seen {
	struct buf log;
	bool closed;
};

static void on_message(void *arg, bool text, const char *p, size_t len)
{
	struct seen *s = arg;
	assert(!s->closed && len <= MAX && p[len] == 0);
	assert(!text || utf8_valid(p, len));
	buf_addf(&s->log, "%d %zu ", text, len);
	buf_add(&s->log, p, len);
}

static void on_send(void *arg, const void *p, size_t len)
{
	(void)arg, (void)p, (void)len;
}

static void on_close(void *arg, int code, const char *reason, size_t len)
{
	struct seen *s = arg;
	assert(!s->closed && utf8_valid(reason, len));
	s->closed = true;
	buf_addf(&s->log, "close %d", code);
}

static const struct ws_events events = {.on_message = on_message, .on_send = on_send, .on_close = on_close};

static void feed(struct seen *s, bool server, const uint8_t *data, size_t size, size_t piece)
{
	struct ws *w = ws_new(server, MAX, &events, s);
	for (size_t at = 0; at < size; at += piece)
		ws_input(w, (const char *)data + at, MIN_OF(piece, size - at));
	ws_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int server = 0; server < 2; server++) {
		struct seen whole = {0}, bytes = {0};
		feed(&whole, server, data, size, size ? size : 1);
		feed(&bytes, server, data, size, 1);
		assert(whole.log.len == bytes.log.len && whole.closed == bytes.closed);
		assert(!whole.log.len || memcmp(whole.log.data, bytes.log.data, whole.log.len) == 0);
		buf_release(&whole.log);
		buf_release(&bytes.log);
	}
	return 0;
}
