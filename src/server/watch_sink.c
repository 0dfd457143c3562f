/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"
#include "http/websocket.h"
#include "server/server_internal.h"
#include "server/watch.h"

#define FRAME_LENGTH_BYTES 4 /* before a protobuf frame; a WebSocket message has its own */

struct watch_sink {
	struct request *request;
	struct websocket *ws; /* NULL: an HTTP response */
	const struct watch_sink_events *ev;
	void *arg;
};

static void sink_gone(struct watch_sink *s)
{
	s->ev->on_gone(s->arg);
	s->request->on_gone = NULL;
	s->request->state = NULL;
	request_unref(s->request);
	free(s);
}

/* ---- HTTP ---- */

static void http_gone(struct request *r)
{
	sink_gone(r->state);
}

static void http_drained(void *arg)
{
	struct watch_sink *s = arg;
	s->ev->on_drain(s->arg);
}

static void begin_http(struct watch_sink *s)
{
	struct request *r = s->request;
	r->state = s;
	r->on_gone = http_gone;
	http_add_header(r->http, "cache-control", "no-cache, private");
	metrics_request(r->server, r, 200);
	http_stream_begin(r->http, 200, output_stream_type(r->out.format));
	http_on_drain(r->http, http_drained, s);
}

/* ---- WebSocket ---- */

static void ws_message(void *arg, bool text, const char *p, size_t len)
{
	(void)arg, (void)text, (void)p, (void)len; /* a client has nothing to say here */
}

static void ws_drained(void *arg)
{
	http_drained(arg);
}

static void ws_closed(void *arg, int code, const char *reason)
{
	struct watch_sink *s = arg;
	struct request *r = s->request;
	(void)code, (void)reason;
	sink_gone(s);
	request_unref(r); /* the one that the HTTP side held */
}

/* Browsers cannot set headers: they offer a bearer token as a protocol beside this one, which then is agreed on. */
static const char *const protocols[] = {"", "binary.k8s.io", "v4.channel.k8s.io", "base64.binary.k8s.io", NULL};
static const struct websocket_events ws_events = {ws_message, ws_drained, ws_closed};

static bool begin_ws(struct watch_sink *s)
{
	struct request *r = s->request;
	s->ws = websocket_accept(r->http, protocols, WS_MESSAGE_BYTES_MAX, &ws_events, s);
	if (!s->ws)
		return false;
	metrics_request(r->server, r, 101);
	r->gone = true; /* it is a connection now, of which only ws_closed tells the end */
	r->state = s;
	return true;
}

void watch_sink_abort(struct watch_sink *s)
{
	struct request *r = s->request;
	if (!s->ws)
		return;
	websocket_abort(s->ws);
	sink_gone(s);
	request_unref(r);
}

/* ---- both ---- */

struct watch_sink *watch_sink_new(struct request *r, const struct watch_sink_events *ev, void *arg)
{
	struct watch_sink *s = NEW(struct watch_sink);
	*s = (struct watch_sink){.request = request_ref(r), .ev = ev, .arg = arg};
	if (!str_eq(http_upgrade(r->http), "websocket")) {
		begin_http(s);
		return s;
	}
	if (begin_ws(s))
		return s;
	request_unref(r);
	free(s);
	return NULL;
}

void watch_sink_write(struct watch_sink *s, struct bytes *frame)
{
	if (!s->ws) {
		http_stream_write(s->request->http, frame);
		return;
	}
	bool binary = s->request->out.format == OUTPUT_PROTOBUF;
	size_t skip = binary ? FRAME_LENGTH_BYTES : 0;
	websocket_send(s->ws, !binary, frame->data + skip, frame->len - skip);
}

size_t watch_sink_queued(const struct watch_sink *s)
{
	return s->ws ? websocket_queued(s->ws) : http_stream_queued(s->request->http);
}

void watch_sink_end(struct watch_sink *s)
{
	if (s->ws)
		websocket_close(s->ws, WS_NORMAL, "");
	else
		http_stream_end(s->request->http);
}
