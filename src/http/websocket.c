/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket on a stream:  OPEN ──> CLOSING (our Close is out, or the peer's was answered) ──> on_close, freed */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server_internal.h"
#include "http/websocket.h"
#include "io/loop.h"
#include "io/stream.h"

struct websocket {
	struct websocket_events ev;
	void *arg;
	struct stream *stream;
	struct ws *ws;
	struct loop_timer *timer; /* closing */
	char *protocol;
	int code;
	char *reason;
};

static void set_result(struct websocket *w, int code, const char *reason, size_t len)
{
	if (w->code)
		return;
	w->code = code;
	w->reason = xstrndup(reason, len);
}

static void ws_message(void *arg, bool text, const char *p, size_t len)
{
	struct websocket *w = arg;
	if (w->ev.on_message)
		w->ev.on_message(w->arg, text, p, len);
}

static void ws_out(void *arg, const void *p, size_t len)
{
	struct websocket *w = arg;
	stream_write(w->stream, p, len);
}

/* Both sides have said it, or the protocol was broken: the server side closes the connection (RFC 6455, 7.1.1). */
static void ws_ended(void *arg, int code, const char *reason, size_t len)
{
	struct websocket *w = arg;
	set_result(w, code, reason, len);
	if (ws_close_received(w->ws) && !stream_queued(w->stream)) {
		stream_close(w->stream);
		return;
	}
	stream_shutdown(w->stream);
	loop_timer_start(w->timer, WEBSOCKET_CLOSE_MS_MAX);
}

static const struct ws_events engine_events = {.on_message = ws_message, .on_send = ws_out, .on_close = ws_ended};

static void on_data(void *arg, const char *p, size_t len)
{
	struct websocket *w = arg;
	ws_input(w->ws, p, len);
}

static void on_eof(void *arg)
{
	struct websocket *w = arg;
	stream_close(w->stream);
}

static void on_drain(void *arg)
{
	struct websocket *w = arg;
	if (w->code && ws_close_sent(w->ws) && ws_close_received(w->ws))
		stream_close(w->stream); /* the closing handshake is complete and written */
	else if (w->ev.on_drain)
		w->ev.on_drain(w->arg);
}

static void websocket_free(struct websocket *w)
{
	ws_free(w->ws);
	loop_timer_free(w->timer);
	free(w->protocol);
	free(w->reason);
	free(w);
}

static void on_close(void *arg, int why)
{
	struct websocket *w = arg;
	(void)why;
	set_result(w, WS_ABNORMAL, "", 0);
	if (w->ev.on_close)
		w->ev.on_close(w->arg, w->code, w->reason);
	websocket_free(w);
}

static void on_time(void *arg)
{
	struct websocket *w = arg;
	stream_close(w->stream);
}

static const struct stream_events stream_events = {
    .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};

static struct websocket *make(struct loop *l, bool server, size_t max, const struct websocket_events *ev, void *arg)
{
	struct websocket *w = NEW(struct websocket);
	w->ev = *ev;
	w->arg = arg;
	w->ws = ws_new(server, max, &engine_events, w);
	w->timer = loop_timer_new(l, on_time, w);
	w->protocol = xstrdup("");
	return w;
}

/* ---- the handshake ---- */

/* Whether one of the comma-separated values of the header is the token, without regard to case. */
static bool offers(const char *list, size_t *at, char *out, size_t max)
{
	const char *p = list + *at;
	p += strspn(p, " \t,");
	size_t n = strcspn(p, ","), len = n;
	while (len && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	*at = (size_t)(p - list) + n;
	if (!len || len >= max)
		return false;
	memcpy(out, p, len);
	out[len] = 0;
	return true;
}

/* The client's first choice that we speak, or NULL. Tokens we don't know (a bearer token, say) are passed over. */
static const char *negotiate(const struct http_request *r, const char *const *protocols)
{
	char name[256];
	const char *list;

	for (size_t i = 0; (list = http_header_at(r, "sec-websocket-protocol", i)); i++)
		for (size_t at = 0; list[at];) {
			if (!offers(list, &at, name, sizeof(name)))
				continue;
			for (const char *const *p = protocols; *p; p++)
				if (**p && str_eq(*p, name))
					return *p;
		}
	return !http_header(r, "sec-websocket-protocol") && str_in("", protocols) ? "" : NULL;
}

static bool valid_key(const char *key)
{
	_cleanup_buf_ struct buf raw = BUF_INIT;
	return key && base64_decode(&raw, key, strlen(key)) == 0 && raw.len == 16;
}

/* Checks RFC 6455, 4.2.1; answers the request and returns NULL when it cannot be served. */
static const char *check_handshake(struct http_request *r, const char *const *protocols)
{
	if (!str_eq(http_upgrade(r), "websocket")) {
		http_request_refuse(r, 400, "you must request a WebSocket upgrade");
		return NULL;
	}
	if (!str_eq(http_method(r), "GET")) {
		http_request_refuse(r, 405, "a WebSocket handshake is a GET");
		return NULL;
	}
	if (!str_eq(http_header(r, "sec-websocket-version"), "13")) {
		http_add_header(r, "sec-websocket-version", "13");
		http_request_refuse(r, 426, "only WebSocket version 13 is supported");
		return NULL;
	}
	if (!valid_key(http_header(r, "sec-websocket-key")) || http_header_at(r, "sec-websocket-key", 1)) {
		http_request_refuse(r, 400, "malformed Sec-WebSocket-Key");
		return NULL;
	}
	const char *protocol = negotiate(r, protocols);
	if (!protocol)
		http_request_refuse(r, 400, "none of the client's WebSocket subprotocols is supported");
	return protocol;
}

struct websocket *websocket_accept(struct http_request *r, const char *const *protocols, size_t message_bytes_max,
				   const struct websocket_events *ev, void *arg)
{
	_cleanup_buf_ struct buf head = BUF_INIT;
	const char *protocol = check_handshake(r, protocols);

	if (!protocol)
		return NULL;
	buf_adds(&head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Accept: ");
	ws_accept_key(http_header(r, "sec-websocket-key"), &head);
	if (*protocol)
		buf_addf(&head, "\r\nSec-WebSocket-Protocol: %s", protocol);
	buf_adds(&head, "\r\n\r\n");
	struct websocket *w = make(r->conn->server->loop, true, message_bytes_max, ev, arg);
	free(w->protocol);
	w->protocol = xstrdup(protocol);
	w->stream = http_hijack(r, head.data, &stream_events, w);
	stream_read_start(w->stream);
	return w;
}

struct websocket *websocket_attach(struct loop *l, struct stream *s, bool server, size_t message_bytes_max,
				   const struct websocket_events *ev, void *arg)
{
	struct websocket *w = make(l, server, message_bytes_max, ev, arg);
	w->stream = s;
	stream_set_events(s, &stream_events, w);
	stream_read_start(s);
	return w;
}

/* ---- use ---- */

const char *websocket_protocol(const struct websocket *w)
{
	return w->protocol;
}
size_t websocket_queued(const struct websocket *w)
{
	return stream_queued(w->stream);
}
void websocket_pause(struct websocket *w)
{
	stream_read_stop(w->stream);
}
void websocket_resume(struct websocket *w)
{
	stream_read_start(w->stream);
}
void websocket_ping(struct websocket *w)
{
	ws_ping(w->ws, NULL, 0);
}

void websocket_set_events(struct websocket *w, const struct websocket_events *ev, void *arg)
{
	w->ev = *ev;
	w->arg = arg;
}

void websocket_send(struct websocket *w, bool text, const void *p, size_t len)
{
	ws_send(w->ws, text, NULL, 0, p, len);
}

void websocket_send_prefixed(struct websocket *w, bool text, const void *prefix, size_t prefix_len, const void *p,
			     size_t len)
{
	ws_send(w->ws, text, prefix, prefix_len, p, len);
}

void websocket_close(struct websocket *w, int code, const char *reason)
{
	if (ws_close_sent(w->ws))
		return;
	set_result(w, code, str_or(reason, ""), strlen(str_or(reason, "")));
	ws_close(w->ws, code, reason);
	stream_read_start(w->stream); /* the peer's Close is awaited even when its data wasn't wanted */
	loop_timer_start(w->timer, WEBSOCKET_CLOSE_MS_MAX);
}

static void gone(void *arg, int why)
{
	(void)why;
	websocket_free(arg);
}

void websocket_abort(struct websocket *w)
{
	static const struct stream_events last = {.on_close = gone};
	w->ev = (struct websocket_events){0};
	loop_timer_stop(w->timer);
	stream_set_events(w->stream, &last, w);
	stream_close(w->stream);
}
