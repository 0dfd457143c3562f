/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 of the server on nghttp2 (RFC 9113).
 *
 * Calls of handlers never reach nghttp2: they mark requests, and h2_flush() turns marks into frames. Bodies go out as
 * shared parts (NO_COPY data frames). Floods end the connection by GOAWAY(ENHANCE_YOUR_CALM): each kind of frame that
 * costs us work without being a request draws on a budget that refills with time.
 */
#include <assert.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server_internal.h"

#define STREAM_WINDOW (256 * 1024) /* most request bodies arrive in one round trip */
#define CONN_WINDOW (1024 * 1024)
#define CONTINUATIONS_MAX 16 /* frames of one header block; 64 KiB need 4 */
#define HEADER_BOMB_FACTOR 4 /* decoded header bytes over the limit times this end the connection, not the stream */
#define BODIES_FACTOR 8	     /* bodies being received on one connection, in body_bytes_max */
#define OUTBOUND_ACK_MAX 100 /* PING and SETTINGS answers that the peer doesn't take */
#define RESETS_BURST 500     /* a client that ends with two connections' worth of watches at once */
#define RESETS_PER_S 50
#define CONTROL_BURST 1000 /* PING, SETTINGS, PRIORITY, empty DATA */
#define CONTROL_PER_S 100
#define REPLY_HEADERS_MAX 64

struct budget {
	int64_t at_ms;
	unsigned left;
};

struct h2 {
	nghttp2_session *session;
	struct list receiving; /* requests whose body is not complete, oldest first */
	size_t receiving_bytes;
	struct budget resets, control;
	unsigned continuations;
	int64_t header_at_ms; /* a header block began then and isn't complete; 0: none */
	int64_t idle_at_ms;   /* no request is open since */
	unsigned open;	      /* streams that nghttp2 knows */
	bool draining, calm;
};

static bool spend(struct http_conn *c, struct budget *b, unsigned burst, unsigned per_s)
{
	int64_t now = loop_now_ms(c->server->loop);
	uint64_t more = (uint64_t)(now - b->at_ms) * per_s / 1000;
	if (more) {
		b->left = (unsigned)MIN_OF((uint64_t)burst, b->left + more);
		b->at_ms = now;
	}
	if (!b->left)
		return false;
	b->left--;
	return true;
}

/* ---- receiving ---- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
	struct http_conn *c = arg;
	struct h2 *h = c->h2;

	(void)session;
	if (c->dead) /* the server was freed by a handler */
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	switch (hd->type) {
	case NGHTTP2_HEADERS:
		h->continuations = 0;
		h->header_at_ms = loop_now_ms(c->server->loop);
		break;
	case NGHTTP2_CONTINUATION:
		if (++h->continuations > CONTINUATIONS_MAX)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		break;
	case NGHTTP2_DATA:
		if (hd->length || (hd->flags & NGHTTP2_FLAG_END_STREAM))
			break;
		/* fallthrough */
	case NGHTTP2_PING:
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PRIORITY:
		if (!spend(c, &h->control, CONTROL_BURST, CONTROL_PER_S))
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		break;
	case NGHTTP2_RST_STREAM:
		if (!spend(c, &h->resets, RESETS_BURST, RESETS_PER_S))
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		break;
	default:
		break;
	}
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_conn *c = arg;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct http_request *r = http_request_new(c);
	r->h2 = true;
	r->stream_id = frame->hd.stream_id;
	buf_init(&r->body, c->server->limits.body_bytes_max);
	list_add_tail(&c->h2->receiving, &r->receiving);
	c->h2->open++;
	nghttp2_session_set_stream_user_data(session, r->stream_id, r);
	return 0;
}

static void take_pseudo(struct http_request *r, const char *name, const char *value, size_t len)
{
	if (str_eq(name, ":method"))
		r->method = arena_strndup(&r->arena, value, len);
	else if (str_eq(name, ":path"))
		r->path = arena_strndup(&r->arena, value, len);
	else if (str_eq(name, ":authority"))
		http_request_add_header(r, "host", 4, value, len);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct http_conn *c = arg;
	struct http_request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	size_t max = c->server->limits.header_bytes_max;

	(void)flags;
	if (!r || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (r->refused || r->header_bytes > max) { /* over the limit already: only count */
		r->header_bytes += name_len + value_len + 32;
		return r->header_bytes > max * HEADER_BOMB_FACTOR ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
	}
	if (name_len && name[0] == ':') {
		r->header_bytes += name_len + value_len + 32;
		if (r->header_bytes <= max)
			take_pseudo(r, (const char *)name, (const char *)value, value_len);
	} else if (!http_request_add_header(r, (const char *)name, name_len, (const char *)value, value_len)) {
		r->header_bytes = MAX_OF(r->header_bytes, max + 1);
	}
	return 0;
}

static void headers_complete(struct http_conn *c, struct http_request *r)
{
	const struct http_limits *limits = &c->server->limits;
	const char *length = http_header(r, "content-length");
	uint64_t n;

	r->head = str_eq(r->method, "HEAD");
	if (r->header_bytes > limits->header_bytes_max)
		http_request_refuse(r, 431, "the request's header is too large");
	else if (str_eq(r->method, "CONNECT"))
		http_request_refuse(r, 405, "CONNECT is not supported");
	else if (strlen(r->path) > limits->header_bytes_max / 2)
		http_request_refuse(r, 414, "the request's target is too long");
	else if (!http_request_set_target(r, r->path, strlen(r->path)))
		http_request_refuse(r, 400, "malformed request target");
	else if (length && parse_u64(length, &n) == 0 && n > limits->body_bytes_max)
		http_request_refuse(r, 413, "the request is too large");
	else if (http_header(r, "expect"))
		r->continue_wanted = true;
	if (r->continue_wanted) {
		if (list_empty(&r->dirty))
			list_add_tail(&c->dirty_requests, &r->dirty);
		http_conn_dirty(c);
	}
}

static void request_complete(struct http_conn *c, struct http_request *r)
{
	c->h2->receiving_bytes -= r->body.len;
	list_remove(&r->receiving);
	r->continue_wanted = false;
	if (!r->received)
		http_request_handle(r);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_conn *c = arg;

	if (frame->hd.type == NGHTTP2_HEADERS)
		c->h2->header_at_ms = 0;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	struct http_request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!r)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		headers_complete(c, r);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		request_complete(c, r);
	return 0;
}

/* Answered, but the rest of its body doesn't end. */
static void cut(struct http_conn *c, struct http_request *r)
{
	list_remove(&r->receiving);
	r->cut = true;
	if (list_empty(&r->dirty))
		list_add_tail(&c->dirty_requests, &r->dirty);
	http_conn_dirty(c);
}

static void h2_refuse_body(struct http_conn *c, struct http_request *r, int code, const char *message)
{
	c->h2->receiving_bytes -= r->body.len;
	http_request_drop_body(r);
	http_request_refuse(r, code, message);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t len, void *arg)
{
	struct http_conn *c = arg;
	struct http_request *r = nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	if (!r)
		return 0;
	if (r->refused) { /* clients that see a reset while they send don't read our answer: let them finish */
		r->dropped += len;
		if (r->dropped > LINGER_BYTES_MAX)
			cut(c, r);
		return 0;
	}
	c->h2->receiving_bytes += len;
	if (!http_request_add_body(r, p, len)) {
		c->h2->receiving_bytes -= len; /* not in the body */
		h2_refuse_body(c, r, 413, "the request is too large");
	} else if (c->h2->receiving_bytes > c->server->limits.body_bytes_max * BODIES_FACTOR && !r->refused) {
		h2_refuse_body(c, r, 429, "too many request bodies at once on this connection");
	}
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
	struct http_conn *c = arg;
	struct http_request *r = nghttp2_session_get_stream_user_data(session, id);

	(void)error;
	if (!r || c->dead)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	if (!list_empty(&r->receiving))
		c->h2->receiving_bytes -= r->body.len;
	if (!--c->h2->open)
		c->h2->idle_at_ms = loop_now_ms(c->server->loop);
	http_request_finish(r, !r->submitted || !r->ended || r->queued > 0);
	return 0;
}

/* ---- sending ---- */

static ssize_t on_send(nghttp2_session *session, const uint8_t *p, size_t len, int flags, void *arg)
{
	struct http_conn *c = arg;

	(void)session, (void)flags;
	if (stream_queued(c->stream) >= FEED_MAX)
		return NGHTTP2_ERR_WOULDBLOCK;
	stream_write(c->stream, p, len);
	c->sent_bytes += len;
	return (ssize_t)len;
}

static ssize_t on_read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t max, uint32_t *flags,
			    nghttp2_data_source *source, void *arg)
{
	struct http_request *r = source->ptr;
	size_t n = MIN_OF(r->queued, max);

	(void)session, (void)id, (void)out, (void)arg;
	if (!n && !r->ended)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (r->ended && n == r->queued)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
			nghttp2_data_source *source, void *arg)
{
	struct http_conn *c = arg;
	struct http_request *r = source->ptr;

	(void)session;
	assert(!frame->data.padlen); /* we ask for none */
	if (stream_queued(c->stream) >= FEED_MAX)
		return NGHTTP2_ERR_WOULDBLOCK;
	stream_write(c->stream, head, 9);
	size_t fed = http_request_feed(r, c->stream, len);
	assert(fed == len);
	(void)fed;
	c->sent_bytes += len;
	if (!r->queued && r->undrained && !r->ended && !r->drain_due) {
		r->drain_due = true; /* told outside of nghttp2 */
		if (list_empty(&r->dirty))
			list_add_tail(&c->dirty_requests, &r->dirty);
	}
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_conn *c = arg;

	(void)session;
	if (c->dead)
		return 0;
	if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
	    !spend(c, &c->h2->resets, RESETS_BURST, RESETS_PER_S))
		return NGHTTP2_ERR_CALLBACK_FAILURE; /* a peer that makes us reset is no better than one that resets */
	return 0;
}

static nghttp2_nv field(const char *name, const char *value)
{
	/* Never the same twice: it would push what repeats out of the peer's table. */
	bool once = strcmp(name, "audit-id") == 0;

	return (nghttp2_nv){.name = (uint8_t *)name,
			    .namelen = strlen(name),
			    .value = (uint8_t *)value,
			    .valuelen = strlen(value),
			    .flags = once ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE};
}

/* RFC 9113, 8.2.2: fields about the connection don't exist here. */
static bool connection_field(const char *name)
{
	static const char *const names[] = {"connection", "keep-alive", "transfer-encoding", "upgrade", NULL};
	return str_in(name, names);
}

static void submit_head(struct http_conn *c, struct http_request *r)
{
	nghttp2_nv nv[REPLY_HEADERS_MAX + 4];
	char code[12], length[24];
	size_t n = 0;

	snprintf(code, sizeof(code), "%d", r->code);
	nv[n++] = field(":status", code);
	if (r->content_type)
		nv[n++] = field("content-type", r->content_type);
	nv[n++] = field("date", http_server_date(c->server));
	if (r->length >= 0 && r->code != 204 && r->code != 304) {
		snprintf(length, sizeof(length), "%lld", (long long)r->length);
		nv[n++] = field("content-length", length);
	}
	for (size_t i = 0; i < r->n_reply_headers && n < ARRAY_SIZE(nv); i++)
		if (!connection_field(r->reply_headers[i].name))
			nv[n++] = field(r->reply_headers[i].name, r->reply_headers[i].value);
	bool empty = r->ended && !r->queued;
	nghttp2_data_provider body = {.source.ptr = r, .read_callback = on_read_body};
	r->submitted = true;
	if (nghttp2_submit_response(c->h2->session, r->stream_id, nv, n, empty ? NULL : &body) != 0)
		nghttp2_submit_rst_stream(c->h2->session, NGHTTP2_FLAG_NONE, r->stream_id, NGHTTP2_INTERNAL_ERROR);
}

static void act(struct http_conn *c, struct http_request *r)
{
	nghttp2_session *session = c->h2->session;

	if (r->drain_due) {
		r->drain_due = false;
		http_request_run_drain(r); /* may write, end or abort */
	}
	if (r->aborted) {
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, r->stream_id, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	if (r->cut) {
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, r->stream_id, NGHTTP2_NO_ERROR);
		return;
	}
	if (r->continue_wanted && !r->begun) {
		nghttp2_nv nv = field(":status", "100");
		nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, r->stream_id, NULL, &nv, 1, NULL);
		r->continue_wanted = false;
	}
	if (r->begun && !r->submitted)
		submit_head(c, r);
	else if (r->submitted)
		nghttp2_session_resume_data(session, r->stream_id);
}

/* GOAWAY by hand, since the session is not to be used after a callback failed. */
static void end_calm(struct http_conn *c, uint32_t error)
{
	struct h2 *h = c->h2;
	uint32_t last = h->session ? (uint32_t)nghttp2_session_get_last_proc_stream_id(h->session) : 0;
	unsigned char f[17] = {0, 0, 8, NGHTTP2_GOAWAY};

	for (int i = 0; i < 4; i++) {
		f[9 + i] = (unsigned char)(last >> (24 - 8 * i));
		f[13 + i] = (unsigned char)(error >> (24 - 8 * i));
	}
	h->calm = true;
	log_debug("h2 connection ended peer=%s error=%u", stream_peer_address(c->stream), error);
	stream_write(c->stream, f, sizeof(f));
	http_conn_close(c);
}

static void h2_flush(struct http_conn *c)
{
	struct h2 *h = c->h2;

	do {
		while (!list_empty(&c->dirty_requests)) {
			struct http_request *r = LIST_ENTRY(c->dirty_requests.next, struct http_request, dirty);
			list_remove(&r->dirty);
			act(c, r);
			if (c->dead)
				return;
		}
		if (h->calm)
			return;
		int e = nghttp2_session_send(h->session);
		if (c->dead)
			return;
		if (e != 0) {
			end_calm(c, e == NGHTTP2_ERR_CALLBACK_FAILURE ? NGHTTP2_ENHANCE_YOUR_CALM
								      : NGHTTP2_INTERNAL_ERROR);
			return;
		}
	} while (!list_empty(&c->dirty_requests) && stream_queued(c->stream) < FEED_MAX);
	bool over = !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
	if ((over || (h->draining && list_empty(&c->requests))) && !c->closing)
		stream_queued(c->stream) ? stream_shutdown(c->stream) : http_conn_close(c);
}

static void h2_input(struct http_conn *c, const char *p, size_t len)
{
	ssize_t n = nghttp2_session_mem_recv(c->h2->session, (const uint8_t *)p, len);
	if (c->dead || c->closing)
		return;
	if (n < 0)
		/* What is neither our lack of memory nor a wrong preface is one of the limits, nghttp2's or ours. */
		end_calm(c, n == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR
			    : n == NGHTTP2_ERR_NOMEM	      ? NGHTTP2_INTERNAL_ERROR
							      : NGHTTP2_ENHANCE_YOUR_CALM);
	else
		http_conn_dirty(c);
}

static void h2_eof(struct http_conn *c)
{
	http_conn_close(c);
}

/* ---- time ---- */

static int64_t h2_deadline(struct http_conn *c)
{
	struct h2 *h = c->h2;
	const struct http_limits *l = &c->server->limits;
	int64_t at = 0;

	if (h->header_at_ms)
		return h->header_at_ms + l->header_ms_max;
	if (!h->open)
		at = h->idle_at_ms + l->idle_ms_max;
	LIST_EACH(it, &h->receiving) {
		struct http_request *r = LIST_ENTRY(it, struct http_request, receiving);
		return r->started_ms + l->body_ms_max;
	}
	return at;
}

static void h2_expired(struct http_conn *c)
{
	struct h2 *h = c->h2;
	int64_t now = loop_now_ms(c->server->loop);

	if (h->header_at_ms || !h->open) {
		nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
		http_conn_dirty(c);
		h->idle_at_ms = now;
		h->header_at_ms = 0;
		h->draining = true;
		return;
	}
	LIST_EACH_SAFE(it, &h->receiving) {
		struct http_request *r = LIST_ENTRY(it, struct http_request, receiving);
		if (r->started_ms + c->server->limits.body_ms_max > now)
			break;
		if (r->refused) {
			cut(c, r);
			continue;
		}
		r->started_ms = now; /* as long again for what it still sends */
		list_remove(&r->receiving);
		list_add_tail(&h->receiving, &r->receiving);
		h2_refuse_body(c, r, 408, "the request was not complete in time");
	}
}

static void h2_drain(struct http_conn *c)
{
	c->h2->draining = true;
	nghttp2_submit_goaway(c->h2->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(c->h2->session), NGHTTP2_NO_ERROR, NULL, 0);
	http_conn_dirty(c);
}

/* ---- life ---- */

static int new_session(struct http_conn *c, nghttp2_session **ret)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_send_callback(cb, on_send);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	if (nghttp2_option_new(&opt) != 0) {
		nghttp2_session_callbacks_del(cb);
		return -ENOMEM;
	}
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_max_outbound_ack(opt, OUTBOUND_ACK_MAX);
	int e = nghttp2_session_server_new2(ret, cb, c, opt);
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return e == 0 ? 0 : -ENOMEM;
}

int h2_start(struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams_max},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->header_bytes_max},
	    {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	nghttp2_session *session = NULL;
	int r = new_session(c, &session);
	if (r < 0)
		return r;
	struct h2 *h = c->h2 = NEW(struct h2);
	h->session = session;
	list_init(&h->receiving);
	h->idle_at_ms = h->resets.at_ms = h->control.at_ms = loop_now_ms(c->server->loop);
	h->resets.left = RESETS_BURST;
	h->control.left = CONTROL_BURST;
	c->ops = &h2_ops;
	nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW);
	if (c->server->draining)
		h2_drain(c);
	http_conn_dirty(c);
	return 0;
}

static void h2_free(struct http_conn *c)
{
	nghttp2_session_del(c->h2->session);
	free(TAKE_PTR(c->h2));
}

const struct http_conn_ops h2_ops = {
    .input = h2_input,
    .eof = h2_eof,
    .flush = h2_flush,
    .deadline = h2_deadline,
    .expired = h2_expired,
    .drain = h2_drain,
    .refuse_body = h2_refuse_body,
    .free = h2_free,
};
