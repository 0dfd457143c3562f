/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a server: accepting, choosing the protocol, flushing once a turn, time limits, draining.
 * HTTP/2 is chosen by ALPN or by its preface (prior knowledge); everything else is HTTP/1.1.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server_internal.h"

#define HANDSHAKE_MS_MAX 10000 /* TLS; a phone on a bad link needs 3 s */
#define IDLE_LOOKS_MAX 64      /* system calls to accept one connection too many */

const struct http_limits http_limits_default = {
    .header_bytes_max = 64 * 1024,
    .body_bytes_max = 3 * 1024 * 1024,
    .bodies_bytes_max = 64 * 1024 * 1024,
    .connections_max = 10000,
    .streams_max = 250,
    .idle_ms_max = 180 * 1000,
    .header_ms_max = 32 * 1000,
    .body_ms_max = 60 * 1000,
    /* The first events of a watch on 5,000 pods are 20 MB at once, shared with the cache. */
    .stream_queue_bytes_max = 32 * 1024 * 1024,
};

/* ---- connections ---- */

static void conn_free(struct http_conn *c)
{
	struct http_server *s = c->server;

	while (!list_empty(&c->requests))
		http_request_finish(LIST_ENTRY(c->requests.next, struct http_request, link), true);
	if (c->ops)
		c->ops->free(c);
	list_remove(&c->link);
	list_remove(&c->idle);
	list_remove(&c->dirty);
	loop_timer_free(c->timer);
	free(c);
	if (s)
		http_server_check_drained(s);
}

void http_conn_enter(struct http_conn *c)
{
	c->busy++;
}

void http_conn_leave(struct http_conn *c)
{
	assert(c->busy);
	if (--c->busy == 0 && c->dead)
		conn_free(c);
}

void http_conn_dirty(struct http_conn *c)
{
	if (c->dead || !c->server || !list_empty(&c->dirty))
		return;
	list_add_tail(&c->server->dirty, &c->dirty);
	loop_defer_schedule(c->server->flush);
}

void http_conn_close(struct http_conn *c)
{
	if (c->closing || c->dead)
		return;
	c->closing = true;
	stream_close(c->stream);
}

void http_conn_detach_stream(struct http_conn *c)
{
	assert(c->busy);
	c->stream = NULL;
	c->dead = true;
	list_remove(&c->dirty);
}

static void server_flush(void *arg)
{
	struct http_server *s = arg;

	s->flushing = true;
	while (!list_empty(&s->dirty)) {
		struct http_conn *c = LIST_ENTRY(s->dirty.next, struct http_conn, dirty);
		list_remove(&c->dirty);
		if (c->closing || c->dead || !c->ops)
			continue;
		http_conn_enter(c);
		c->ops->flush(c);
		if (!c->dead)
			http_conn_update_timer(c);
		http_conn_leave(c);
	}
	s->flushing = false;
	if (s->freed)
		free(s);
}

/* ---- time ---- */

static bool stalled(struct http_conn *c, int64_t now)
{
	size_t queued = stream_queued(c->stream);
	bool waiting = queued > 0;

	LIST_EACH(l, &c->requests)
		waiting |= LIST_ENTRY(l, struct http_request, link)->queued > 0;
	if (!waiting) {
		c->stall_at_ms = 0;
		return false;
	}
	if (!c->stall_at_ms || now >= c->stall_at_ms) {
		bool same = c->stall_at_ms && c->stall_sent == c->sent_bytes && c->stall_queued == queued;
		c->stall_at_ms = now + WRITE_STALL_MS_MAX;
		c->stall_sent = c->sent_bytes;
		c->stall_queued = queued;
		return same;
	}
	return false;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return !a ? b : !b ? a : MIN_OF(a, b);
}

void http_conn_update_timer(struct http_conn *c)
{
	if (c->dead || c->closing || !c->server)
		return;
	int64_t now = loop_now_ms(c->server->loop);
	if (!c->stall_at_ms)
		stalled(c, now); /* begins the wait when something is queued */
	int64_t at = earlier(c->ops ? c->ops->deadline(c) : 0, c->stall_at_ms);

	/* The timer may fire too early, never too late: it isn't moved each time a deadline moves away. */
	if (!at || (c->timer_at_ms && c->timer_at_ms <= at))
		return;
	c->timer_at_ms = at;
	loop_timer_start(c->timer, at - now);
}

static void on_timer(void *arg)
{
	struct http_conn *c = arg;

	c->timer_at_ms = 0;
	if (c->dead || c->closing || !c->server)
		return;
	int64_t now = loop_now_ms(c->server->loop);
	if (stalled(c, now)) {
		log_debug("peer takes no data peer=%s", stream_peer_address(c->stream));
		http_conn_close(c);
		return;
	}
	http_conn_enter(c);
	int64_t at = c->ops ? c->ops->deadline(c) : 0;
	if (at && at <= now)
		c->ops->expired(c);
	http_conn_update_timer(c);
	http_conn_leave(c);
}

const char *http_server_date(struct http_server *s)
{
	int64_t now = now_s();
	if (now != s->date_s) {
		time_t t = (time_t)now;
		struct tm tm;
		gmtime_r(&t, &tm);
		strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		s->date_s = now;
	}
	return s->date;
}

/* ---- the stream's events ---- */

static void on_data(void *arg, const char *p, size_t len)
{
	struct http_conn *c = arg;

	if (c->closing || c->dead || !c->server)
		return;
	http_conn_enter(c);
	c->ops->input(c, p, len);
	if (!c->dead)
		http_conn_update_timer(c);
	http_conn_leave(c);
}

static void on_eof(void *arg)
{
	struct http_conn *c = arg;

	if (c->closing || c->dead || !c->server)
		return;
	http_conn_enter(c);
	c->ops->eof(c);
	http_conn_leave(c);
}

static void on_drain(void *arg)
{
	struct http_conn *c = arg;
	http_conn_dirty(c);
}

static void on_close(void *arg, int why)
{
	struct http_conn *c = arg;

	(void)why;
	http_conn_enter(c);
	c->dead = c->closing = true;
	http_conn_leave(c);
}

static const struct stream_events events = {
    .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};

static void on_accept(void *arg, struct stream *stream)
{
	struct http_server *s = arg;
	struct http_conn *c = NEW(struct http_conn);

	c->server = s;
	c->stream = stream;
	list_init(&c->dirty);
	list_init(&c->requests);
	list_init(&c->dirty_requests);
	list_add_tail(&s->conns, &c->link);
	list_add_tail(&s->idle, &c->idle);
	c->timer = loop_timer_new(s->loop, on_timer, c);
	stream_set_events(stream, &events, c);
	if (str_eq(stream_alpn(stream), "h2")) {
		if (h2_start(c) < 0) {
			http_conn_close(c);
			return;
		}
	} else {
		h1_start(c);
	}
	http_conn_update_timer(c);
	stream_read_start(stream);
}

/* Many connections may be accepted before the request of one that was idle is read. */
static struct http_conn *longest_idle(struct http_server *s)
{
	int looks = 0;

	LIST_EACH(l, &s->idle) {
		struct http_conn *c = LIST_ENTRY(l, struct http_conn, idle);
		if (!stream_input_waits(c->stream))
			return c;
		if (++looks == IDLE_LOOKS_MAX)
			break;
	}
	return LIST_ENTRY(s->idle.next, struct http_conn, idle);
}

static bool close_longest_idle(void *arg)
{
	struct http_server *s = arg;

	if (list_empty(&s->idle))
		return false;
	struct http_conn *c = longest_idle(s);
	list_remove(&c->idle);
	log_debug("idle connection makes room peer=%s", stream_peer_address(c->stream));
	http_conn_close(c);
	return true;
}

/* ---- the server ---- */

int http_server_new(const struct http_server_config *cfg, struct http_server **ret)
{
	struct http_server *s = NEW(struct http_server);
	const struct http_limits *limits = cfg->limits ? cfg->limits : &http_limits_default;

	s->loop = cfg->loop;
	s->limits = *limits;
	s->handler = cfg->handler;
	s->arg = cfg->arg;
	list_init(&s->conns);
	list_init(&s->dirty);
	list_init(&s->idle);
	list_init(&s->large);
	struct listener_limits ll = {.connections_max = limits->connections_max,
				     .handshake_ms_max = HANDSHAKE_MS_MAX,
				     .make_room = close_longest_idle};
	int r = listener_new(cfg->loop, cfg->address, cfg->tls, &ll, on_accept, s, &s->listener);
	if (r < 0) {
		free(s);
		return r;
	}
	s->address = xstrdup(listener_address(s->listener));
	s->flush = loop_defer_new(cfg->loop, server_flush, s);
	*ret = s;
	return 0;
}

const char *http_server_address(const struct http_server *s)
{
	return s->address;
}

void http_server_check_drained(struct http_server *s)
{
	if (!s->draining || !list_empty(&s->conns) || !s->drained)
		return;
	void (*done)(void *) = TAKE_PTR(s->drained);
	loop_timer_free(TAKE_PTR(s->grace));
	done(s->drained_arg); /* may free the server */
}

static void on_grace(void *arg)
{
	struct http_server *s = arg;
	if (list_empty(&s->conns)) {
		http_server_check_drained(s);
		return;
	}
	LIST_EACH_SAFE(l, &s->conns)
		http_conn_close(LIST_ENTRY(l, struct http_conn, link));
}

void http_server_drain(struct http_server *s, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	assert(!s->draining);
	s->draining = true;
	s->drained = done;
	s->drained_arg = arg;
	listener_free(TAKE_PTR(s->listener));
	s->grace = loop_timer_new(s->loop, on_grace, s);
	loop_timer_start(s->grace, list_empty(&s->conns) ? 0 : grace_ms);
	LIST_EACH_SAFE(l, &s->conns) {
		struct http_conn *c = LIST_ENTRY(l, struct http_conn, link);
		http_conn_enter(c);
		if (!c->dead && !c->closing)
			c->ops->drain(c);
		http_conn_leave(c);
	}
}

void http_server_free(struct http_server *s)
{
	static const struct stream_events nobody = {0};

	if (!s)
		return;
	s->drained = NULL;
	while (!list_empty(&s->conns)) {
		struct http_conn *c = LIST_ENTRY(s->conns.next, struct http_conn, link);
		list_remove(&c->link);
		list_remove(&c->idle);
		list_remove(&c->dirty);
		http_conn_enter(c);
		while (!list_empty(&c->requests))
			http_request_finish(LIST_ENTRY(c->requests.next, struct http_request, link), true);
		if (c->stream) {
			stream_set_events(c->stream, &nobody, NULL);
			stream_close(c->stream);
		}
		c->server = NULL;
		c->dead = true;
		http_conn_leave(c);
	}
	listener_free(s->listener);
	loop_timer_free(s->grace);
	loop_defer_free(s->flush);
	buf_release(&s->head);
	free(s->address);
	s->freed = true;
	if (!s->flushing)
		free(s);
}
