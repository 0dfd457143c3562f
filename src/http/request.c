/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler sees of a request, and how it records its answer. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "http/server_internal.h"

struct http_request *http_request_new(struct http_conn *c)
{
	struct arena a = ARENA_INIT;
	struct http_request *r = arena_zalloc(&a, sizeof(*r));

	r->arena = a;
	r->conn = c;
	r->length = -1;
	r->method = r->path = r->query = "";
	r->started_ms = loop_now_ms(c->server->loop);
	list_init(&r->dirty);
	list_init(&r->receiving);
	list_init(&r->large);
	list_add_tail(&c->requests, &r->link);
	list_remove(&c->idle);
	return r;
}

void http_request_free(struct http_request *r)
{
	list_remove(&r->link);
	list_remove(&r->dirty);
	list_remove(&r->receiving);
	if (list_empty(&r->conn->requests) && r->conn->server && !r->conn->dead)
		list_add_tail(&r->conn->server->idle, &r->conn->idle);
	http_request_drop_body(r);
	for (size_t i = r->part_at; i < r->parts.n; i++)
		bytes_unref(r->parts.at[i].b);
	VEC_RELEASE(&r->parts);
	free(r->remote);
	struct arena a = r->arena;
	arena_release(&a);
}

void http_request_finish(struct http_request *r, bool aborted)
{
	list_remove(&r->link);
	list_remove(&r->dirty);
	list_remove(&r->receiving);
	if (r->on_close)
		r->on_close(r->on_close_arg, aborted);
	http_request_free(r);
}

/* Who began first has had the most time. */
static void refuse_oldest_body(struct http_server *s)
{
	LIST_EACH(l, &s->large) {
		struct http_request *r = LIST_ENTRY(l, struct http_request, large);
		if (r->received)
			continue; /* being worked on */
		log_debug("request refused path=%s: bodies of %zu bytes at hand", r->path, s->large_bytes);
		r->conn->ops->refuse_body(r->conn, r, 429, "too many large request bodies at once");
		return;
	}
}

bool http_request_add_body(struct http_request *r, const void *p, size_t len)
{
	struct http_server *s = r->conn->server;

	buf_add(&r->body, p, len);
	if (buf_failed(&r->body))
		return false;
	if (r->body.len <= SMALL_BODY_BYTES)
		return true;
	if (list_empty(&r->large))
		list_add_tail(&s->large, &r->large);
	s->large_bytes += r->body.cap - r->large_bytes;
	r->large_bytes = r->body.cap;
	if (s->large_bytes > s->limits.bodies_bytes_max)
		refuse_oldest_body(s);
	return true;
}

void http_request_drop_body(struct http_request *r)
{
	if (!list_empty(&r->large) && r->conn->server)
		r->conn->server->large_bytes -= r->large_bytes;
	list_remove(&r->large);
	r->large_bytes = 0;
	buf_release(&r->body);
}

bool http_request_add_header(struct http_request *r, const char *name, size_t name_len, const char *value,
			     size_t value_len)
{
	r->header_bytes += name_len + value_len + 32; /* as RFC 9113, 6.5.2 counts */
	if (r->n_headers == REQUEST_HEADERS_MAX || r->header_bytes > r->conn->server->limits.header_bytes_max)
		return false;
	if (r->n_headers == r->cap_headers) {
		size_t cap = r->cap_headers ? r->cap_headers * 2 : 16;
		struct http_header_pair *more = arena_alloc(&r->arena, cap * sizeof(*more));
		if (r->n_headers)
			memcpy(more, r->headers, r->n_headers * sizeof(*more));
		r->headers = more;
		r->cap_headers = cap;
	}
	r->headers[r->n_headers++] = (struct http_header_pair){
	    .name = arena_strndup(&r->arena, name, name_len),
	    .value = arena_strndup(&r->arena, value, value_len),
	};
	return true;
}

bool http_request_set_target(struct http_request *r, const char *target, size_t len)
{
	char *t = arena_strndup(&r->arena, target, len);

	if (str_has_prefix(t, "http://") || str_has_prefix(t, "https://")) { /* RFC 9112, 3.2.2 */
		t = strchr(strchr(t, ':') + 3, '/');
		if (!t)
			t = arena_strdup(&r->arena, "/");
	}
	if (*t != '/' && !(str_eq(t, "*") && str_eq(r->method, "OPTIONS")))
		return false;
	for (const unsigned char *p = (const unsigned char *)t; *p; p++)
		if (*p <= ' ' || *p == 0x7f || *p == '#')
			return false;
	char *q = strchr(t, '?');
	if (q)
		*q++ = 0;
	r->path = t;
	r->query = q ? q : "";
	return true;
}

void http_request_handle(struct http_request *r)
{
	struct http_server *s = r->conn->server;
	r->received = true;
	list_remove(&r->receiving);
	s->handler(r, s->arg);
}

/* ---- reading ---- */

const char *http_method(const struct http_request *r)
{
	return r->method;
}
const char *http_path(const struct http_request *r)
{
	return r->path;
}
const char *http_query(const struct http_request *r)
{
	return r->query;
}
bool http_is_h2(const struct http_request *r)
{
	return r->h2;
}
void *http_user(const struct http_request *r)
{
	return r->user;
}
void http_set_user(struct http_request *r, void *user)
{
	r->user = user;
}
const char *http_upgrade(const struct http_request *r)
{
	return r->upgrade;
}

const char *http_header_at(const struct http_request *r, const char *lower_name, size_t i)
{
	for (size_t k = 0; k < r->n_headers; k++)
		if (strcmp(r->headers[k].name, lower_name) == 0 && i-- == 0)
			return r->headers[k].value;
	return NULL;
}

const char *http_header(const struct http_request *r, const char *lower_name)
{
	return http_header_at(r, lower_name, 0);
}

bool http_header_each(const struct http_request *r, size_t i, const char **ret_name, const char **ret_value)
{
	if (i >= r->n_headers)
		return false;
	*ret_name = r->headers[i].name;
	*ret_value = r->headers[i].value;
	return true;
}

const char *http_body(const struct http_request *r, size_t *ret_len)
{
	if (ret_len)
		*ret_len = r->body.len;
	return buf_str(&r->body);
}

const char *http_remote_address(const struct http_request *cr)
{
	struct http_request *r = (struct http_request *)cr; /* keeps a copy: the stream may go before the request */
	if (!r->remote)
		r->remote = xstrdup(r->conn && r->conn->stream ? stream_peer_address(r->conn->stream) : "");
	return r->remote;
}

bool http_peer_rejected(const struct http_request *r)
{
	return r->conn->stream && stream_peer_rejected(r->conn->stream);
}

bool http_peer_cert(const struct http_request *r, const unsigned char **ret_der, size_t *ret_len)
{
	return r->conn->stream && stream_peer_cert(r->conn->stream, ret_der, ret_len);
}

void http_on_close(struct http_request *r, void (*fn)(void *arg, bool aborted), void *arg)
{
	r->on_close = fn;
	r->on_close_arg = arg;
}

/* ---- answering ---- */

static void mark(struct http_request *r)
{
	struct http_conn *c = r->conn;
	if (list_empty(&r->dirty))
		list_add_tail(&c->dirty_requests, &r->dirty);
	http_conn_dirty(c);
}

/* A value that could end its line would let a handler's data write headers. */
static bool header_safe(const char *s)
{
	for (; *s; s++)
		if (*s == '\r' || *s == '\n')
			return false;
	return true;
}

void http_add_header(struct http_request *r, const char *lower_name, const char *value)
{
	if (!header_safe(lower_name) || !header_safe(value)) {
		log_debug("response header dropped name=%s: line break", lower_name);
		return;
	}
	if (r->n_reply_headers == r->cap_reply_headers) {
		size_t cap = r->cap_reply_headers ? r->cap_reply_headers * 2 : 8;
		struct http_header_pair *more = arena_alloc(&r->arena, cap * sizeof(*more));
		if (r->n_reply_headers)
			memcpy(more, r->reply_headers, r->n_reply_headers * sizeof(*more));
		r->reply_headers = more;
		r->cap_reply_headers = cap;
	}
	r->reply_headers[r->n_reply_headers++] = (struct http_header_pair){
	    .name = arena_strdup(&r->arena, lower_name),
	    .value = arena_strdup(&r->arena, value),
	};
}

static bool begin(struct http_request *r, int code, const char *content_type)
{
	assert(!r->begun && code >= 200 && code <= 999);
	if (r->aborted)
		return false;
	r->begun = true;
	r->code = code;
	if (content_type && header_safe(content_type))
		r->content_type = arena_strdup(&r->arena, content_type);
	return true;
}

/* Takes over one reference. */
static void add_part(struct http_request *r, struct bytes *b)
{
	if (!b->len) {
		bytes_unref(b);
		return;
	}
	struct body_part p = {.b = b};
	VEC_PUSH(&r->parts, p);
	r->queued += b->len;
	r->undrained = true;
}

static void drop_parts(struct http_request *r)
{
	for (size_t i = r->part_at; i < r->parts.n; i++)
		bytes_unref(r->parts.at[i].b);
	VEC_RELEASE(&r->parts);
	r->part_at = 0;
	r->queued = 0;
}

static void end_whole(struct http_request *r)
{
	r->length = (int64_t)r->queued;
	r->ended = true;
	if (http_request_bodyless(r))
		drop_parts(r);
	mark(r);
}

bool http_request_bodyless(const struct http_request *r)
{
	return r->head || r->code == 204 || r->code == 304;
}

void http_reply(struct http_request *r, int code, const char *content_type, const void *body, size_t len)
{
	if (!begin(r, code, content_type))
		return;
	if (len)
		add_part(r, bytes_new(body, len));
	end_whole(r);
}

void http_reply_bytes(struct http_request *r, int code, const char *content_type, struct bytes *body)
{
	if (!begin(r, code, content_type))
		return;
	add_part(r, bytes_ref(body));
	end_whole(r);
}

void http_reply_buf_parts(struct http_request *r, int code, const char *content_type, struct bytes *const *parts,
			  size_t n)
{
	if (!begin(r, code, content_type))
		return;
	for (size_t i = 0; i < n; i++)
		add_part(r, bytes_ref(parts[i]));
	end_whole(r);
}

void http_stream_begin(struct http_request *r, int code, const char *content_type)
{
	if (begin(r, code, content_type))
		mark(r);
}

void http_stream_write(struct http_request *r, struct bytes *b)
{
	assert(r->begun || r->aborted);
	assert(!r->ended);
	if (r->aborted || http_request_bodyless(r))
		return;
	if (r->queued + b->len > r->conn->server->limits.stream_queue_bytes_max) {
		log_debug("slow reader cut off path=%s queued=%zu", r->path, r->queued);
		http_abort(r);
		return;
	}
	add_part(r, bytes_ref(b));
	mark(r);
}

size_t http_stream_queued(const struct http_request *r)
{
	return r->queued + (r->h2 || !r->conn->stream ? 0 : stream_queued(r->conn->stream));
}

void http_on_drain(struct http_request *r, void (*fn)(void *arg), void *arg)
{
	r->on_drain = fn;
	r->on_drain_arg = arg;
}

void http_stream_end(struct http_request *r)
{
	assert(!r->ended);
	if (r->aborted)
		return;
	r->ended = true;
	mark(r);
}

void http_abort(struct http_request *r)
{
	if (r->aborted)
		return;
	r->aborted = true;
	drop_parts(r);
	mark(r);
}

void http_request_run_drain(struct http_request *r)
{
	if (!r->undrained || r->queued || r->ended || r->aborted)
		return;
	r->undrained = false;
	if (r->on_drain)
		r->on_drain(r->on_drain_arg);
}

size_t http_request_feed(struct http_request *r, struct stream *s, size_t max)
{
	size_t fed = 0;
	while (fed < max && r->part_at < r->parts.n) {
		struct body_part *p = &r->parts.at[r->part_at];
		size_t n = MIN_OF(max - fed, p->b->len - p->off);
		stream_write_bytes(s, p->b, p->off, n);
		p->off += n;
		fed += n;
		if (p->off == p->b->len) {
			bytes_unref(p->b);
			r->part_at++;
		}
	}
	r->queued -= fed;
	if (r->part_at == r->parts.n) {
		VEC_RELEASE(&r->parts);
		r->part_at = 0;
	} else if (r->part_at > 1024 && r->part_at > r->parts.n / 2) {
		memmove(r->parts.at, r->parts.at + r->part_at, (r->parts.n - r->part_at) * sizeof(*r->parts.at));
		r->parts.n -= r->part_at;
		r->part_at = 0;
	}
	return fed;
}

void http_request_refuse(struct http_request *r, int code, const char *message)
{
	_cleanup_status_ struct status st = STATUS_INIT;
	_cleanup_buf_ struct buf body = BUF_INIT;

	if (r->begun || r->aborted)
		return;
	r->received = r->refused = true;
	status_set(&st, code, "%s", message);
	status_write_json(&st, &body);
	http_reply(r, code, "application/json", body.data, body.len);
}

struct stream *http_hijack(struct http_request *r, const char *response_head, const struct stream_events *ev, void *arg)
{
	assert(h1_can_hijack(r));
	struct stream *s = r->conn->stream;
	if (response_head)
		stream_write(s, response_head, strlen(response_head));
	return h1_hijack(r, ev, arg);
}
