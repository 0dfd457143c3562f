/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 of the server (RFC 9112), one request at a time:
 *
 *     HEAD ──> BODY ──> REPLY ──> HEAD …        kept alive
 *       └───────┴─────────┴────> LINGER         after an error or Connection: close
 *
 * A head is collected whole, checked line by line against everything that two implementations could read differently
 * (bare LF, folded lines, space around names, control bytes), and only then given to http_parser, which handles
 * framing. Bytes that arrive during REPLY wait in `in`, so that a peer that goes away is noticed.
 */
#include <assert.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/h1_head.h"
#include "http/server_internal.h"

#define PARSER_HEADER_MAX (1u << 20) /* http_parser's own bound; ours apply before, this one to trailers */

enum h1_state { H1_HEAD, H1_BODY, H1_REPLY, H1_LINGER };

struct h1 {
	http_parser parser;
	enum h1_state state;
	struct h1_head_scan scan;
	struct buf in;		/* HEAD: an incomplete head; REPLY: what came meanwhile */
	struct http_request *r; /* BODY and REPLY */
	const char *name;	/* HEAD: field whose value comes next */
	size_t name_len;
	const char *target;
	size_t target_len;
	int64_t deadline_ms;
	size_t lingered;
	bool complete; /* the message's end was seen */
	bool bad;      /* a field over the bounds */
	bool started;  /* HEAD: some of it came, the time for it runs */
	bool eof, paused;
	bool chunked_reply;
};

static void wait_for(struct http_conn *c, unsigned ms)
{
	c->h1->deadline_ms = ms ? loop_now_ms(c->server->loop) + ms : 0;
}

/* ---- http_parser's callbacks: the head is contiguous, so each field comes in one piece ---- */

static int on_url(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	c->h1->target = at;
	c->h1->target_len = len;
	return 0;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	c->h1->name = at;
	c->h1->name_len = len;
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	struct h1 *h = c->h1;
	char name[256];

	if (h->state != H1_HEAD) /* trailers are not used */
		return 0;
	while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	if (h->name_len >= sizeof(name)) {
		h->bad = true;
		return 0;
	}
	for (size_t i = 0; i < h->name_len; i++)
		name[i] = h->name[i] >= 'A' && h->name[i] <= 'Z' ? (char)(h->name[i] | 0x20) : h->name[i];
	if (!http_request_add_header(h->r, name, h->name_len, at, len))
		h->bad = true;
	return 0;
}

static int on_headers_complete(http_parser *p)
{
	p->upgrade = 0; /* an upgrade is the handler's decision; until then the request is like any other */
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	if (!c->h1->r->refused)
		http_request_add_body(c->h1->r, at, len);
	return 0;
}

static int on_complete(http_parser *p)
{
	struct http_conn *c = p->data;
	c->h1->complete = true;
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- requests ---- */

/* Refuses the request being received and closes after the answer. */
static void refuse(struct http_conn *c, int code, const char *message)
{
	struct h1 *h = c->h1;
	if (!h->r)
		h->r = http_request_new(c);
	h->r->close = true;
	h->state = H1_REPLY;
	h->deadline_ms = 0;
	log_debug("request refused peer=%s code=%d message=\"%s\"", stream_peer_address(c->stream), code, message);
	http_request_refuse(h->r, code, message);
}

static void h1_refuse_body(struct http_conn *c, struct http_request *r, int code, const char *message)
{
	http_request_drop_body(r);
	refuse(c, code, message);
}

static void refuse_parse(struct http_conn *c)
{
	enum http_errno e = HTTP_PARSER_ERRNO(&c->h1->parser);

	if (e == HPE_INVALID_METHOD)
		refuse(c, 405, "the request's method is not known");
	else if (e == HPE_UNEXPECTED_CONTENT_LENGTH || e == HPE_INVALID_TRANSFER_ENCODING)
		refuse(c, 400, "the request's length is ambiguous");
	else
		refuse(c, 400, "malformed HTTP request");
}

static unsigned count_header(const struct http_request *r, const char *name)
{
	unsigned n = 0;
	while (http_header_at(r, name, n))
		n++;
	return n;
}

/* The token of Upgrade when Connection names it and there is no body; h2c is not offered (RFC 9113 dropped it). */
static void find_upgrade(struct h1 *h)
{
	struct http_request *r = h->r;
	const char *token = http_header(r, "upgrade");
	bool named = false;

	if (!token || !(h->parser.flags & F_CONNECTION_UPGRADE) || r->body.len || strcasecmp(token, "h2c") == 0)
		return;
	named = h->complete; /* with a body to come the connection can't be handed over */
	if (!named)
		return;
	char *lower = arena_strdup(&r->arena, token);
	for (char *p = lower; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	r->upgrade = lower;
}

/* Checks a complete head; false when the request was refused. */
static bool accept_head(struct http_conn *c)
{
	struct h1 *h = c->h1;
	struct http_request *r = h->r;
	http_parser *p = &h->parser;
	const struct http_limits *limits = &c->server->limits;

	if (h->bad)
		return refuse(c, 431, "the request's header is too large"), false;
	if (p->http_major != 1)
		return refuse(c, 505, "HTTP version not supported"), false;
	r->method = arena_strdup(&r->arena, http_method_str(p->method));
	r->head = p->method == HTTP_HEAD;
	if (p->method == HTTP_CONNECT)
		return refuse(c, 405, "CONNECT is not supported"), false;
	if (h->target_len > limits->header_bytes_max / 2)
		return refuse(c, 414, "the request's target is too long"), false;
	if (!http_request_set_target(r, h->target, h->target_len))
		return refuse(c, 400, "malformed request target"), false;
	unsigned hosts = count_header(r, "host");
	if (hosts > 1 || (hosts == 0 && p->http_minor >= 1)) /* RFC 9112, 3.2 */
		return refuse(c, 400, hosts ? "several Host headers" : "missing required Host header"), false;
	if (count_header(r, "content-length") > 1)
		return refuse(c, 400, "the request's length is ambiguous"), false;
	if (http_header(r, "transfer-encoding") && (count_header(r, "content-length") || p->http_minor == 0))
		return refuse(c, 400, "the request's length is ambiguous"), false;
	if ((p->flags & F_CONTENTLENGTH) && p->content_length != UINT64_MAX &&
	    p->content_length > limits->body_bytes_max)
		return refuse(c, 413, "the request is too large"), false;
	const char *expect = http_header(r, "expect");
	if (expect && strcasecmp(expect, "100-continue") != 0)
		return refuse(c, 417, "expectation not supported"), false;
	r->close = !http_should_keep_alive(p);
	return true;
}

/* ---- input ---- */

static void message_complete(struct http_conn *c)
{
	struct h1 *h = c->h1;

	http_parser_pause(&h->parser, 0);
	find_upgrade(h);
	h->state = H1_REPLY;
	h->deadline_ms = 0;
}

/* p is one complete head. */
static void parse_head(struct http_conn *c, const char *p, size_t len)
{
	struct h1 *h = c->h1;

	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = c;
	h->complete = h->bad = false;
	h->target = NULL;
	h->target_len = 0;
	h->r = http_request_new(c);
	size_t n = http_parser_execute(&h->parser, &settings, p, len);
	enum http_errno e = HTTP_PARSER_ERRNO(&h->parser);
	if (e != HPE_OK && e != HPE_PAUSED) {
		refuse_parse(c);
		return;
	}
	if (n != len) { /* the head's end is where both of us see it, or somebody is being tricked */
		refuse(c, 400, "malformed HTTP request");
		return;
	}
	if (!accept_head(c))
		return;
	if (h->complete) {
		message_complete(c);
		return;
	}
	h->state = H1_BODY;
	buf_init(&h->r->body, c->server->limits.body_bytes_max);
	if (h->parser.content_length != UINT64_MAX && !(h->parser.flags & F_CHUNKED))
		buf_reserve(&h->r->body, MIN_OF(h->parser.content_length, 64 * 1024));
	wait_for(c, c->server->limits.body_ms_max);
	if (http_header(h->r, "expect") && h->parser.http_minor >= 1)
		stream_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void head_started(struct http_conn *c)
{
	if (!c->h1->started)
		wait_for(c, c->server->limits.header_ms_max);
	c->h1->started = true;
}

/* Returns how many bytes of p it used. */
static size_t input_head(struct http_conn *c, const char *p, size_t len)
{
	struct h1 *h = c->h1;
	size_t max = c->server->limits.header_bytes_max, used;

	head_started(c);
	/* Straight from the read buffer when the head came in one piece, which is the rule. */
	bool direct = !h->in.len;
	if (!direct)
		buf_add(&h->in, p, len);
	const char *base = direct ? p : h->in.data;
	size_t have = direct ? len : h->in.len;
	enum h1_head_result res = h1_head_scan(&h->scan, base, have, H1_HEAD_REQUEST);
	if (res == H1_HEAD_MORE && have <= max) {
		if (direct)
			buf_add(&h->in, p, len);
		return len;
	}
	struct buf held = h->in;
	size_t before = direct ? 0 : held.len - len;
	size_t start = h->scan.start, end = h->scan.at;
	h->in = (struct buf)BUF_INIT;
	h->scan = (struct h1_head_scan){0};
	h->started = false;
	used = len;
	if (res == H1_HEAD_MORE || (res == H1_HEAD_DONE && end > max))
		refuse(c, 431, "the request's header is too large");
	else if (res == H1_HEAD_BAD)
		refuse(c, 400, "malformed HTTP request header");
	else {
		used = end - before;
		parse_head(c, base + start, end - start);
	}
	buf_release(&held);
	return used;
}

static size_t input_body(struct http_conn *c, const char *p, size_t len)
{
	struct h1 *h = c->h1;
	size_t n = http_parser_execute(&h->parser, &settings, p, len);
	enum http_errno e = HTTP_PARSER_ERRNO(&h->parser);

	if (buf_failed(&h->r->body)) {
		refuse(c, 413, "the request is too large");
		return len;
	}
	if (e != HPE_OK && e != HPE_PAUSED) {
		refuse_parse(c);
		return len;
	}
	if (h->complete)
		message_complete(c);
	return n;
}

/* Takes what came; calls the handler last, when its request is complete. */
static void input(struct http_conn *c, const char *p, size_t len)
{
	struct h1 *h = c->h1;

	while (len && !c->closing) {
		size_t n = len;
		if (h->state == H1_HEAD)
			n = input_head(c, p, len);
		else if (h->state == H1_BODY)
			n = input_body(c, p, len);
		else
			break;
		p += n;
		len -= n;
	}
	if (c->closing)
		return;
	if (h->state == H1_LINGER || (h->state == H1_REPLY && h->r->close)) {
		h->lingered += len;
		if (h->lingered > LINGER_BYTES_MAX)
			http_conn_close(c);
	} else if (h->state == H1_REPLY && len) {
		buf_add(&h->in, p, len);
		if (h->in.len > c->server->limits.header_bytes_max && !h->paused) {
			h->paused = true;
			stream_read_stop(c->stream);
		}
	}
	if (h->state == H1_REPLY && !h->r->received)
		http_request_handle(h->r);
}

static bool is_preface(struct http_conn *c, const char *p, size_t len)
{
	struct h1 *h = c->h1;
	return h->state == H1_HEAD && !h->in.len && !h->scan.at && len >= H2_PREFACE_LEN &&
	       memcmp(p, H2_PREFACE, H2_PREFACE_LEN) == 0;
}

/* A preface that comes in pieces: hold it until it can be told from a request. */
static bool may_be_preface(struct http_conn *c, const char *p, size_t len)
{
	return c->h1->state == H1_HEAD && len < H2_PREFACE_LEN && memcmp(p, H2_PREFACE, len) == 0;
}

static void h1_input(struct http_conn *c, const char *p, size_t len)
{
	struct h1 *h = c->h1;
	struct buf joined = BUF_INIT;

	if (h->state == H1_HEAD && h->in.len && !h->scan.at && h->in.len < H2_PREFACE_LEN) {
		joined = h->in;
		h->in = (struct buf)BUF_INIT;
		buf_add(&joined, p, len);
		p = joined.data;
		len = joined.len;
	}
	if (may_be_preface(c, p, len)) {
		head_started(c);
		buf_add(&h->in, p, len);
	} else if (is_preface(c, p, len)) {
		h1_stop(c);
		if (h2_start(c) < 0)
			http_conn_close(c);
		else
			c->ops->input(c, p, len);
	} else {
		input(c, p, len);
	}
	buf_release(&joined);
}

static void h1_eof(struct http_conn *c)
{
	struct h1 *h = c->h1;

	h->eof = true;
	/* A client may half-close and wait for its answer; nobody does so for a stream without end. */
	if (h->state == H1_REPLY && !(h->r->begun && !h->r->ended))
		h->r->close = true;
	else
		http_conn_close(c);
}

/* ---- output ---- */

static void write_head(struct http_conn *c, struct http_request *r)
{
	struct h1 *h = c->h1;
	struct buf *b = &c->server->head;
	bool streamed = r->length < 0 && !http_request_bodyless(r);

	buf_clear(b);
	buf_addf(b, "HTTP/1.1 %d %s\r\n", r->code, http_reason(r->code));
	if (r->content_type)
		buf_addf(b, "Content-Type: %s\r\n", r->content_type);
	for (size_t i = 0; i < r->n_reply_headers; i++)
		buf_addf(b, "%s: %s\r\n", r->reply_headers[i].name, r->reply_headers[i].value);
	buf_addf(b, "Date: %s\r\n", http_server_date(c->server));
	h->chunked_reply = streamed && h->parser.http_minor >= 1;
	if (h->chunked_reply)
		buf_adds(b, "Transfer-Encoding: chunked\r\n");
	else if (streamed)
		r->close = true; /* HTTP/1.0: the end of the connection is the end of the body */
	else if (r->code != 204 && r->code != 304 && r->length >= 0)
		buf_addf(b, "Content-Length: %lld\r\n", (long long)r->length);
	if (c->server->draining)
		r->close = true;
	if (r->close)
		buf_adds(b, "Connection: close\r\n");
	else if (h->parser.http_minor == 0)
		buf_adds(b, "Connection: keep-alive\r\n");
	buf_adds(b, "\r\n");
	stream_write(c->stream, b->data, b->len);
	r->submitted = true;
}

static void write_body(struct http_conn *c, struct http_request *r)
{
	size_t queued = stream_queued(c->stream);
	char line[24];

	if (!r->queued || queued >= FEED_MAX)
		return;
	size_t n = MIN_OF(r->queued, FEED_MAX - queued);
	if (c->h1->chunked_reply) {
		size_t len = (size_t)snprintf(line, sizeof(line), "%zx\r\n", n);
		stream_write(c->stream, line, len);
	}
	http_request_feed(r, c->stream, n);
	if (c->h1->chunked_reply)
		stream_write(c->stream, "\r\n", 2);
	c->sent_bytes += n;
}

static void reply_sent(struct http_conn *c)
{
	struct h1 *h = c->h1;
	struct http_request *r = h->r;
	bool close = r->close || c->server->draining;

	if (h->chunked_reply)
		stream_write(c->stream, "0\r\n\r\n", 5);
	h->chunked_reply = false;
	h->r = NULL;
	h->state = close ? H1_LINGER : H1_HEAD;
	if (close)
		stream_shutdown(c->stream);
	wait_for(c, close ? LINGER_MS_MAX : c->server->limits.idle_ms_max);
	http_request_finish(r, false); /* may free the server */
}

/* What came during the reply: the next request, perhaps. */
static void process(struct http_conn *c)
{
	struct h1 *h = c->h1;
	struct buf in = h->in;

	h->in = (struct buf)BUF_INIT;
	if (h->paused) {
		h->paused = false;
		stream_read_start(c->stream);
	}
	if (in.len)
		input(c, in.data, in.len);
	buf_release(&in);
}

static void h1_flush(struct http_conn *c)
{
	struct h1 *h = c->h1;

	while (!c->dead && !c->closing && h->r) {
		struct http_request *r = h->r;
		list_remove(&r->dirty);
		if (r->aborted) {
			http_conn_close(c);
			return;
		}
		if (!r->begun)
			return;
		if (!r->submitted)
			write_head(c, r);
		write_body(c, r);
		if (!r->ended || r->queued) {
			if (!stream_queued(c->stream))
				http_request_run_drain(r);
			return;
		}
		reply_sent(c);
		if (!c->dead && !c->closing && h->state == H1_HEAD)
			process(c);
	}
	if (!c->dead && !c->closing && h->state == H1_LINGER && h->eof && !stream_queued(c->stream))
		http_conn_close(c);
}

static int64_t h1_deadline(struct http_conn *c)
{
	return c->h1->deadline_ms;
}

static void h1_expired(struct http_conn *c)
{
	struct h1 *h = c->h1;

	if (h->state == H1_BODY || (h->state == H1_HEAD && h->started))
		refuse(c, 408, "the request was not complete in time");
	else
		http_conn_close(c); /* idle, or lingered long enough */
}

static void h1_drain(struct http_conn *c)
{
	if (c->h1->state == H1_HEAD && !c->h1->in.len)
		http_conn_close(c);
}

void h1_start(struct http_conn *c)
{
	static bool once;
	if (!once) {
		http_parser_set_max_header_size(PARSER_HEADER_MAX);
		once = true;
	}
	c->h1 = NEW(struct h1);
	c->ops = &h1_ops;
	wait_for(c, c->server->limits.header_ms_max);
}

void h1_stop(struct http_conn *c)
{
	if (c->h1)
		buf_release(&c->h1->in);
	free(TAKE_PTR(c->h1));
}

bool h1_can_hijack(const struct http_request *r)
{
	return !r->h2 && !r->begun && !r->aborted && r->received;
}

struct stream *h1_hijack(struct http_request *r, const struct stream_events *ev, void *arg)
{
	struct http_conn *c = r->conn;
	struct h1 *h = c->h1;
	struct stream *s = c->stream;

	assert(h->r == r);
	http_conn_enter(c);
	h->r = NULL;
	h->state = H1_LINGER;
	stream_set_events(s, ev, arg);
	stream_unread(s, h->in.data, h->in.len);
	if (h->paused)
		stream_read_start(s);
	http_conn_detach_stream(c);
	http_request_free(r);
	http_conn_leave(c);
	return s;
}

const struct http_conn_ops h1_ops = {
    .input = h1_input,
    .eof = h1_eof,
    .flush = h1_flush,
    .deadline = h1_deadline,
    .expired = h1_expired,
    .drain = h1_drain,
    .refuse_body = h1_refuse_body,
    .free = h1_stop,
};
