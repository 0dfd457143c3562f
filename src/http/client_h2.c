/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 of the client. Data of a paused call is held, at most one stream window of it: the stream's window is given
 * back when its owner takes the data, the connection's at once, so that one paused call doesn't stop the others.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

#define STREAM_WINDOW (1024 * 1024)
#define CONN_WINDOW (16 * 1024 * 1024)
#define STREAMS_DEFAULT 100 /* until the peer's SETTINGS say more */
#define QUIET_MS_MAX 30000  /* nothing received while calls are open: ask by PING */
#define PONG_MS_MAX 15000
#define SEND_AHEAD_MAX (1024 * 1024)

struct c2 {
	nghttp2_session *session;
	VEC(int32_t) resets;  /* streams of cancelled calls */
	VEC(int32_t) resumed; /* paused calls that go on, by stream */
	unsigned open;
	bool heard, asked;
};

static struct http_call *call_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- receiving ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct http_call *call = call_of(session, frame->hd.stream_id);

	(void)flags, (void)arg;
	if (!call || call->responded || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (name_len == 7 && memcmp(name, ":status", 7) == 0)
		call->code = atoi((const char *)value);
	else if (name_len && name[0] != ':' &&
		 !http_call_add_reply_header(call, (const char *)name, name_len, (const char *)value, value_len))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_client_conn *k = arg;

	if (k->dead)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		k->draining = true; /* what is open goes on; new calls use another connection */
		http_client_conn_work(k);
	}
	struct http_call *call = call_of(session, frame->hd.stream_id);
	if (!call || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		call->complete = true;
	if (frame->hd.type != NGHTTP2_HEADERS || call->responded)
		return 0;
	if (call->code < 200)
		call->n_reply = 0;
	else
		http_call_responded(call);
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t len, void *arg)
{
	struct http_client_conn *k = arg;
	struct http_call *call = call_of(session, id);

	(void)flags;
	nghttp2_session_consume_connection(session, len);
	if (k->dead)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (!call)
		return 0;
	if (call->paused || call->held.len) {
		buf_add(&call->held, p, len);
		return 0;
	}
	nghttp2_session_consume_stream(session, id, len);
	if (call->ev.on_data)
		call->ev.on_data(call->arg, (const char *)p, len);
	return 0;
}

static int close_error(const struct http_call *call, uint32_t error)
{
	if (call->complete && call->responded)
		return 0;
	switch (error) {
	case NGHTTP2_CANCEL:
	case NGHTTP2_REFUSED_STREAM:
	case NGHTTP2_NO_ERROR:
		return -ECONNRESET;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return -EAGAIN;
	default:
		return -EPROTO;
	}
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
	struct http_client_conn *k = arg;
	struct http_call *call = call_of(session, id);

	k->c2->open--;
	if (!k->dead)
		http_client_conn_work(k); /* room for a waiting call */
	if (!call || k->dead)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	if (call->held.len && call->complete) { /* paused: it ends when its owner has taken the rest */
		call->stream_id = -1;
		return 0;
	}
	http_call_done(call, close_error(call, error));
	return 0;
}

/* ---- sending ---- */

static ssize_t on_send(nghttp2_session *session, const uint8_t *p, size_t len, int flags, void *arg)
{
	struct http_client_conn *k = arg;

	(void)session, (void)flags;
	if (stream_queued(k->stream) >= SEND_AHEAD_MAX)
		return NGHTTP2_ERR_WOULDBLOCK;
	stream_write(k->stream, p, len);
	return (ssize_t)len;
}

static ssize_t on_read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t max, uint32_t *flags,
			    nghttp2_data_source *source, void *arg)
{
	struct http_call *call = call_of(session, id);

	(void)source, (void)arg;
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* cancelled */
	size_t n = MIN_OF(max, call->body_len - call->body_sent);
	if (n)
		memcpy(out, call->body + call->body_sent, n);
	call->body_sent += n;
	if (call->body_sent == call->body_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){.name = (uint8_t *)name,
			    .namelen = strlen(name),
			    .value = (uint8_t *)value,
			    .valuelen = strlen(value),
			    .flags = NGHTTP2_NV_FLAG_NONE};
}

static int c2_send(struct http_client_conn *k, struct http_call *call)
{
	struct http_client *c = k->client;
	_cleanup_free_ nghttp2_nv *nv = xcalloc(call->n_headers + 8, sizeof(*nv));
	_cleanup_free_ char *bearer = c->token ? xasprintf("Bearer %s", c->token) : NULL;
	char length[24];
	size_t n = 0;

	const char *host = http_call_header(call, "host");
	nv[n++] = field(":method", call->method);
	nv[n++] = field(":scheme", c->tls ? "https" : "http");
	nv[n++] = field(":authority", host ? host : http_client_authority(c));
	nv[n++] = field(":path", call->path);
	if (c->user_agent && !http_call_header(call, "user-agent"))
		nv[n++] = field("user-agent", c->user_agent);
	if (bearer && !http_call_header(call, "authorization")) {
		nv[n] = field("authorization", bearer);
		nv[n++].flags = NGHTTP2_NV_FLAG_NONE;
	}
	if (call->body_len) {
		snprintf(length, sizeof(length), "%zu", call->body_len);
		nv[n++] = field("content-length", length);
	}
	for (size_t i = 0; i < call->n_headers; i++)
		if (!str_eq(call->headers[i].name, "host"))
			nv[n++] = field(call->headers[i].name, call->headers[i].value);
	nghttp2_data_provider body = {.read_callback = on_read_body};
	int32_t id = nghttp2_submit_request(k->c2->session, NULL, nv, n, call->body_len ? &body : NULL, call);
	if (id < 0)
		return id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? -ECONNRESET : -EPROTO;
	call->stream_id = id;
	k->c2->open++;
	http_client_conn_work(k);
	return 0;
}

/* ---- the connection ---- */

static bool c2_can_take(struct http_client_conn *k)
{
	uint32_t max = nghttp2_session_get_remote_settings(k->c2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	if (max == UINT32_MAX)
		max = STREAMS_DEFAULT;
	return k->c2->open < max && nghttp2_session_check_request_allowed(k->c2->session);
}

static void deliver_held(struct http_client_conn *k, int32_t id)
{
	struct http_call *call = NULL;

	LIST_EACH(l, &k->calls) {
		struct http_call *it = LIST_ENTRY(l, struct http_call, link);
		if (it->stream_id == id || (id < 0 && it->stream_id == -1 && !it->paused))
			call = it;
	}
	if (!call || call->paused || !call->held.len)
		return;
	struct buf held = call->held;
	call->held = (struct buf)BUF_INIT;
	bool ended = call->stream_id == -1;
	if (!ended)
		nghttp2_session_consume_stream(k->c2->session, id, held.len);
	/* The call may be cancelled by its owner meanwhile: find it again by address among the living. */
	if (call->ev.on_data)
		call->ev.on_data(call->arg, held.data, held.len);
	buf_release(&held);
	if (!ended)
		return;
	LIST_EACH(l, &k->calls)
		if (LIST_ENTRY(l, struct http_call, link) == call) {
			http_call_done(call, 0);
			return;
		}
}

static void c2_flush(struct http_client_conn *k)
{
	struct c2 *s = k->c2;

	for (size_t i = 0; i < s->resumed.n && !k->dead; i++)
		deliver_held(k, s->resumed.at[i]);
	s->resumed.n = 0;
	for (size_t i = 0; i < s->resets.n; i++)
		nghttp2_submit_rst_stream(s->session, NGHTTP2_FLAG_NONE, s->resets.at[i], NGHTTP2_CANCEL);
	s->resets.n = 0;
	if (k->dead || k->closing)
		return;
	if (nghttp2_session_send(s->session) != 0) {
		http_client_conn_close(k, -EPROTO);
		return;
	}
	if (k->dead || k->closing)
		return;
	if ((k->draining && list_empty(&k->calls)) ||
	    (!nghttp2_session_want_read(s->session) && !nghttp2_session_want_write(s->session)))
		http_client_conn_close(k, -ECONNRESET);
}

static void c2_input(struct http_client_conn *k, const char *p, size_t len)
{
	k->c2->heard = true;
	ssize_t n = nghttp2_session_mem_recv(k->c2->session, (const uint8_t *)p, len);
	if (k->dead || k->closing)
		return;
	if (n < 0)
		http_client_conn_close(k, -EPROTO);
	else
		http_client_conn_work(k); /* acknowledgements, windows */
}

static void c2_eof(struct http_client_conn *k)
{
	http_client_conn_close(k, -ECONNRESET);
}

static void c2_cancel(struct http_client_conn *k, struct http_call *call)
{
	if (call->stream_id <= 0)
		return;
	nghttp2_session_set_stream_user_data(k->c2->session, call->stream_id, NULL);
	VEC_PUSH(&k->c2->resets, call->stream_id);
	http_client_conn_work(k);
}

static void c2_pause(struct http_client_conn *k, struct http_call *call)
{
	(void)k, (void)call; /* data is held as it comes */
}

static void c2_resume(struct http_client_conn *k, struct http_call *call)
{
	if (!call->held.len)
		return;
	VEC_PUSH(&k->c2->resumed, call->stream_id);
	http_client_conn_work(k);
}

/* Each QUIET_MS_MAX while the connection lives: a peer that is silent and doesn't answer a PING is gone. */
static void on_liveness(void *arg)
{
	struct http_client_conn *k = arg;
	struct c2 *s = k->c2;

	if (k->dead || k->closing)
		return;
	if (s->asked && !s->heard) {
		http_client_conn_close(k, -ETIMEDOUT);
		return;
	}
	s->asked = !s->heard && !list_empty(&k->calls);
	s->heard = false;
	if (s->asked) {
		nghttp2_submit_ping(s->session, NGHTTP2_FLAG_NONE, NULL);
		http_client_conn_work(k);
	}
	loop_timer_start(k->timer, s->asked ? PONG_MS_MAX : QUIET_MS_MAX);
}

static void c2_free(struct http_client_conn *k)
{
	nghttp2_session_del(k->c2->session);
	VEC_RELEASE(&k->c2->resets);
	VEC_RELEASE(&k->c2->resumed);
	free(TAKE_PTR(k->c2));
}

static int new_session(struct http_client_conn *k, nghttp2_session **ret)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_send_callback(cb, on_send);
	if (nghttp2_option_new(&opt) != 0) {
		nghttp2_session_callbacks_del(cb);
		return -ENOMEM;
	}
	nghttp2_option_set_no_auto_window_update(opt, 1);
	int e = nghttp2_session_client_new2(ret, cb, k, opt);
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return e == 0 ? 0 : -ENOMEM;
}

int c2_start(struct http_client_conn *k)
{
	static const struct http_client_conn_ops ops = {
	    .input = c2_input,
	    .eof = c2_eof,
	    .can_take = c2_can_take,
	    .send = c2_send,
	    .cancel = c2_cancel,
	    .pause = c2_pause,
	    .resume = c2_resume,
	    .flush = c2_flush,
	    .free = c2_free,
	};
	static const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CLIENT_HEADER_BYTES_MAX},
	};
	nghttp2_session *session = NULL;
	int r = new_session(k, &session);
	if (r < 0)
		return r;
	k->c2 = NEW(struct c2);
	k->c2->session = session;
	k->ops = &ops;
	nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW);
	loop_timer_free(k->timer);
	k->timer = loop_timer_new(k->client->loop, on_liveness, k);
	loop_timer_start(k->timer, QUIET_MS_MAX);
	http_client_conn_work(k);
	return 0;
}
