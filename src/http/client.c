/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

/* ---- calls ---- */

static bool header_safe(const char *s)
{
	for (; *s; s++)
		if (*s == '\r' || *s == '\n')
			return false;
	return true;
}

struct http_call *http_call_new(struct http_client *c, const struct http_call_config *cfg)
{
	struct arena a = ARENA_INIT;
	struct http_call *call = arena_zalloc(&a, sizeof(*call));

	call->arena = a;
	call->client = c;
	list_init(&call->link);
	call->method = arena_strdup(&call->arena, cfg->method);
	call->path = arena_strdup(&call->arena, cfg->path);
	call->headers = arena_alloc(&call->arena, cfg->n_headers * sizeof(*call->headers) + 1);
	for (size_t i = 0; i < cfg->n_headers; i++) {
		if (!header_safe(cfg->headers[i].name) || !header_safe(cfg->headers[i].value))
			continue; /* would write headers of its own */
		call->headers[call->n_headers++] = (struct http_header_pair){
		    .name = arena_strdup(&call->arena, cfg->headers[i].name),
		    .value = arena_strdup(&call->arena, cfg->headers[i].value),
		};
	}
	call->body_len = cfg->body_len;
	if (cfg->body_len)
		call->body = arena_strndup(&call->arena, cfg->body, cfg->body_len);
	return call;
}

void http_call_free(struct http_call *call)
{
	list_remove(&call->link);
	loop_timer_free(call->timer);
	buf_release(&call->held);
	struct arena a = call->arena;
	arena_release(&a);
}

void http_call_done(struct http_call *call, int result)
{
	list_remove(&call->link);
	call->conn = NULL;
	if (call->ev.on_done)
		call->ev.on_done(call->arg, result);
	http_call_free(call);
}

const char *http_call_header(const struct http_call *call, const char *name)
{
	for (size_t i = 0; i < call->n_headers; i++)
		if (str_eq(call->headers[i].name, name))
			return call->headers[i].value;
	return NULL;
}

bool http_call_add_reply_header(struct http_call *call, const char *name, size_t name_len, const char *value,
				size_t value_len)
{
	call->reply_bytes += name_len + value_len + 32;
	if (call->n_reply == CLIENT_HEADERS_MAX || call->reply_bytes > CLIENT_HEADER_BYTES_MAX)
		return false;
	if (call->n_reply == call->cap_reply) {
		size_t cap = call->cap_reply ? call->cap_reply * 2 : 8;
		struct http_header_pair *more = arena_alloc(&call->arena, cap * sizeof(*more));
		if (call->n_reply)
			memcpy(more, call->reply_headers, call->n_reply * sizeof(*more));
		call->reply_headers = more;
		call->cap_reply = cap;
	}
	char *lower = arena_strndup(&call->arena, name, name_len);
	for (char *p = lower; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	call->reply_headers[call->n_reply++] = (struct http_header_pair){
	    .name = lower,
	    .value = arena_strndup(&call->arena, value, value_len),
	};
	return true;
}

void http_call_responded(struct http_call *call)
{
	call->responded = true;
	if (call->ev.on_response)
		call->ev.on_response(call->arg, call->code, call->reply_headers, call->n_reply);
}

const char *http_client_authority(const struct http_client *c)
{
	return !str_empty(c->server_name)	     ? c->server_name
	       : str_has_prefix(c->address, "unix:") ? "localhost"
						     : c->address;
}

void http_call_write_head(struct http_call *call, struct buf *b)
{
	struct http_client *c = call->client;

	buf_addf(b, "%s %s HTTP/1.1\r\n", call->method, call->path);
	if (!http_call_header(call, "host"))
		buf_addf(b, "Host: %s\r\n", http_client_authority(c));
	if (c->user_agent && !http_call_header(call, "user-agent"))
		buf_addf(b, "User-Agent: %s\r\n", c->user_agent);
	if (c->token && !http_call_header(call, "authorization"))
		buf_addf(b, "Authorization: Bearer %s\r\n", c->token);
	for (size_t i = 0; i < call->n_headers; i++)
		buf_addf(b, "%s: %s\r\n", call->headers[i].name, call->headers[i].value);
	if (call->body_len || str_eq(call->method, "POST") || str_eq(call->method, "PUT") ||
	    str_eq(call->method, "PATCH"))
		buf_addf(b, "Content-Length: %zu\r\n", call->body_len);
	buf_adds(b, "\r\n");
}

static void on_call_time(void *arg)
{
	struct http_call *call = arg;
	struct http_client_conn *k = call->conn;

	if (k) {
		http_client_conn_enter(k);
		k->ops->cancel(k, call);
	}
	http_call_done(call, -ETIMEDOUT);
	if (k)
		http_client_conn_leave(k);
}

struct http_call *http_call_start(struct http_client *c, const struct http_call_config *cfg,
				  const struct http_call_events *ev, void *arg)
{
	struct http_call *call = http_call_new(c, cfg);

	call->ev = *ev;
	call->arg = arg;
	list_add_tail(&c->waiting, &call->link);
	if (cfg->timeout_ms > 0) {
		call->timer = loop_timer_new(c->loop, on_call_time, call);
		loop_timer_start(call->timer, cfg->timeout_ms);
	}
	http_client_work(c);
	return call;
}

void http_call_cancel(struct http_call *call)
{
	struct http_client_conn *k = call->conn;

	if (k) {
		http_client_conn_enter(k);
		k->ops->cancel(k, call);
	}
	http_call_free(call);
	if (k)
		http_client_conn_leave(k);
}

void http_call_pause(struct http_call *call)
{
	if (call->paused)
		return;
	call->paused = true;
	if (call->conn)
		call->conn->ops->pause(call->conn, call);
}

void http_call_resume(struct http_call *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	if (call->conn)
		call->conn->ops->resume(call->conn, call);
}

/* ---- connections ---- */

static void conn_free(struct http_client_conn *k)
{
	struct http_client *c = k->client;

	list_remove(&k->link);
	if (c) {
		c->n_conns--;
		if (!k->ops)
			c->connecting--;
		http_client_work(c);
	}
	/* Its calls may start others, cancel each other or free the client. */
	k->busy++;
	while (!list_empty(&k->calls))
		http_call_done(LIST_ENTRY(k->calls.next, struct http_call, link), k->why ? k->why : -ECONNRESET);
	if (k->ops)
		k->ops->free(k);
	loop_timer_free(k->timer);
	free(k);
}

void http_client_conn_enter(struct http_client_conn *k)
{
	k->busy++;
}

void http_client_conn_leave(struct http_client_conn *k)
{
	if (--k->busy == 0 && k->dead)
		conn_free(k);
}

void http_client_conn_close(struct http_client_conn *k, int why)
{
	k->draining = true;
	if (k->closing || k->dead)
		return;
	k->closing = true;
	k->why = why;
	stream_close(k->stream);
}

void http_client_conn_work(struct http_client_conn *k)
{
	if (!k->client || k->dead)
		return;
	k->dirty = true;
	http_client_work(k->client);
}

static void fail_waiting(struct http_client *c, int why)
{
	struct list failed;

	list_init(&failed);
	while (!list_empty(&c->waiting)) {
		struct list *l = c->waiting.next;
		list_remove(l);
		list_add_tail(&failed, l);
	}
	while (!list_empty(&failed)) /* on_done may cancel others in this list: always take the first */
		http_call_done(LIST_ENTRY(failed.next, struct http_call, link), why);
}

static void on_connect(void *arg, int result)
{
	struct http_client_conn *k = arg;
	struct http_client *c = k->client;

	if (!c || k->closing)
		return;
	if (result < 0) {
		k->why = result;
		log_debug("connect failed address=%s error=%s", c->address, strerror(-result));
		return; /* on_close follows */
	}
	c->connecting--;
	loop_timer_stop(k->timer);
	if (str_eq(stream_alpn(k->stream), "h2")) {
		c->h1 = false;
		if (c2_start(k) < 0) {
			k->ops = NULL;
			c->connecting++;
			http_client_conn_close(k, -ENOMEM);
			return;
		}
	} else {
		c->h1 = true;
		c1_start(k);
	}
	stream_read_start(k->stream);
	http_client_work(c);
}

static void on_data(void *arg, const char *p, size_t len)
{
	struct http_client_conn *k = arg;
	if (k->closing || k->dead || !k->ops)
		return;
	http_client_conn_enter(k);
	k->ops->input(k, p, len);
	http_client_conn_leave(k);
}

static void on_eof(void *arg)
{
	struct http_client_conn *k = arg;
	if (k->closing || k->dead || !k->ops)
		return;
	http_client_conn_enter(k);
	k->ops->eof(k);
	http_client_conn_leave(k);
}

static void on_drain(void *arg)
{
	http_client_conn_work(arg);
}

static void on_close(void *arg, int why)
{
	struct http_client_conn *k = arg;
	struct http_client *c = k->client;

	http_client_conn_enter(k);
	k->dead = k->closing = true;
	if (!k->why)
		k->why = why == -EPIPE || !why ? -ECONNRESET : why;
	/* It never came up: whoever waited for it learns why. */
	if (c && !k->ops && (c->connecting == 1 || !c->h1))
		fail_waiting(c, k->why);
	http_client_conn_leave(k);
}

static void on_connect_time(void *arg)
{
	http_client_conn_close(arg, -ETIMEDOUT);
}

static int open_conn(struct http_client *c)
{
	static const struct stream_events ev = {
	    .on_connect = on_connect, .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};
	struct http_client_conn *k = NEW(struct http_client_conn);

	int r = stream_connect(c->loop, c->address, c->tls, c->server_name, &ev, k, &k->stream);
	if (r < 0) {
		free(k);
		return r;
	}
	k->client = c;
	list_init(&k->calls);
	list_add_tail(&c->conns, &k->link);
	c->n_conns++;
	c->connecting++;
	k->timer = loop_timer_new(c->loop, on_connect_time, k);
	loop_timer_start(k->timer, CLIENT_CONNECT_MS_MAX);
	return 0;
}

/* ---- dispatching ---- */

static struct http_client_conn *find_conn(struct http_client *c)
{
	LIST_EACH(l, &c->conns) {
		struct http_client_conn *k = LIST_ENTRY(l, struct http_client_conn, link);
		if (k->ops && !k->draining && !k->dead && k->ops->can_take(k))
			return k;
	}
	return NULL;
}

static void dispatch(struct http_client *c)
{
	size_t left = 0;

	while (!list_empty(&c->waiting)) {
		struct http_client_conn *k = find_conn(c);
		if (!k)
			break;
		struct http_call *call = LIST_ENTRY(c->waiting.next, struct http_call, link);
		list_remove(&call->link);
		list_add_tail(&k->calls, &call->link);
		call->conn = k;
		int r = k->ops->send(k, call);
		if (r < 0) {
			http_call_done(call, r);
			if (c->freed)
				return;
		}
	}
	LIST_EACH(l, &c->waiting)
		left++;
	/* One connection finds out what the peer speaks; HTTP/1.1 then gets one for each waiting call. */
	size_t want = !left ? 0 : c->h1 ? left : 1;
	while (c->connecting < want && (!c->h1 || c->n_conns < CLIENT_H1_CONNECTIONS_MAX)) {
		int r = open_conn(c);
		if (r < 0) {
			fail_waiting(c, r);
			return;
		}
	}
}

static void work(void *arg)
{
	struct http_client *c = arg;

	c->working = true;
	dispatch(c);
	for (bool again = true; again && !c->freed;) {
		again = false;
		LIST_EACH(l, &c->conns) {
			struct http_client_conn *k = LIST_ENTRY(l, struct http_client_conn, link);
			if (!k->dirty || !k->ops || k->closing)
				continue;
			k->dirty = false;
			http_client_conn_enter(k);
			k->ops->flush(k);
			http_client_conn_leave(k);
			again = true; /* the list may have changed */
			break;
		}
	}
	c->working = false;
	if (c->freed)
		free(c);
}

void http_client_work(struct http_client *c)
{
	if (!c->freed)
		loop_defer_schedule(c->work);
}

/* ---- the client ---- */

int http_client_new(const struct http_client_config *cfg, struct http_client **ret)
{
	if (str_empty(cfg->address))
		return -EINVAL;
	struct http_client *c = NEW(struct http_client);
	c->loop = cfg->loop;
	c->address = xstrdup(cfg->address);
	c->server_name = xstrdup(cfg->server_name);
	c->user_agent = xstrdup(cfg->user_agent);
	c->tls = cfg->tls;
	c->h1 = !cfg->tls;
	list_init(&c->conns);
	list_init(&c->waiting);
	list_init(&c->tunnels);
	c->work = loop_defer_new(cfg->loop, work, c);
	http_client_set_token(c, cfg->bearer_token);
	*ret = c;
	return 0;
}

void http_client_set_token(struct http_client *c, const char *token)
{
	free(c->token);
	c->token = token && header_safe(token) ? xstrdup(token) : NULL;
}

void http_client_free(struct http_client *c)
{
	static const struct stream_events nobody = {0};

	if (!c || c->freed)
		return;
	c->freed = true;
	while (!list_empty(&c->conns)) {
		struct http_client_conn *k = LIST_ENTRY(c->conns.next, struct http_client_conn, link);
		http_client_conn_enter(k);
		list_remove(&k->link);
		k->client = NULL;
		k->dead = true;
		k->why = -ECANCELED;
		stream_set_events(k->stream, &nobody, NULL);
		stream_close(k->stream);
		while (!list_empty(&k->calls))
			http_call_done(LIST_ENTRY(k->calls.next, struct http_call, link), -ECANCELED);
		http_client_conn_leave(k);
	}
	fail_waiting(c, -ECANCELED);
	http_tunnels_cancel(c);
	loop_defer_free(TAKE_PTR(c->work));
	free(c->address);
	free(c->server_name);
	free(c->user_agent);
	free(c->token);
	if (!c->working)
		free(c);
}
