/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPDY/3.1 framing. Data is handed on as it comes, control frames are collected whole.
 * A stream:   open ──(our FIN)──> half ──(peer's FIN)──> closed, in either order; a reset from either side closes at
 * once.
 */
#include "http/spdy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/spdy_headers.h"

#define VERSION 3
#define FLAG_FIN 1
#define HEAD_LEN 8
#define DATA_FRAME_MAX (32 * 1024) /* so that streams share the connection */

enum frame { SYN_STREAM = 1, SYN_REPLY, RST_STREAM, SETTINGS, PING = 6, GOAWAY, HEADERS, WINDOW_UPDATE };

struct spdy_stream {
	struct spdy *session;
	struct list link;
	uint32_t id;
	struct arena arena; /* of the headers */
	struct spdy_header *headers;
	size_t n_headers;
	void *user;
	bool replied; /* SYN_REPLY was sent or received */
	bool fin_sent, fin_received, closed;
	unsigned busy; /* events of it on the stack: its memory stays */
};

struct spdy {
	struct spdy_events ev;
	void *arg;
	bool server;
	struct spdy_zip zip;
	struct list streams;
	unsigned n_streams;
	uint32_t last_peer_id, next_id, next_ping;

	unsigned char head[HEAD_LEN];
	size_t head_len;
	bool in_payload, control;
	unsigned type, flags;
	uint32_t left; /* of the payload */
	uint32_t data_id;
	struct buf frame; /* payload of a control frame */

	bool goaway_sent, over, freed;
	unsigned busy;
};

static uint32_t get_u32(const void *p)
{
	const unsigned char *u = p;
	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void put_u32(unsigned char *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(n >> (24 - 8 * i));
}

struct spdy *spdy_new(bool server, const struct spdy_events *ev, void *arg)
{
	struct spdy *s = NEW(struct spdy);
	s->ev = *ev;
	s->arg = arg;
	s->server = server;
	s->next_id = server ? 2 : 1;
	list_init(&s->streams);
	spdy_zip_init(&s->zip);
	return s;
}

static void stream_release(struct spdy_stream *st)
{
	list_remove(&st->link);
	arena_release(&st->arena);
	free(st);
}

static void really_free(struct spdy *s)
{
	while (!list_empty(&s->streams))
		stream_release(LIST_ENTRY(s->streams.next, struct spdy_stream, link));
	spdy_zip_release(&s->zip);
	buf_release(&s->frame);
	free(s);
}

void spdy_free(struct spdy *s)
{
	if (!s)
		return;
	s->freed = s->over = true;
	if (!s->busy)
		really_free(s);
}

static void enter(struct spdy *s)
{
	s->busy++;
}

static void leave(struct spdy *s)
{
	if (--s->busy)
		return;
	if (s->freed) {
		really_free(s);
		return;
	}
	LIST_EACH_SAFE(l, &s->streams) /* closed ones stay while events of them are on the stack */
	{
		struct spdy_stream *st = LIST_ENTRY(l, struct spdy_stream, link);
		if (st->closed)
			stream_release(st);
	}
}

/* ---- sending ---- */

static void send_control(struct spdy *s, unsigned type, unsigned flags, const void *a, size_t a_len, const void *b,
			 size_t b_len)
{
	unsigned char head[HEAD_LEN] = {0x80, VERSION, 0, (unsigned char)type};
	put_u32(head + 4, (uint32_t)flags << 24 | (uint32_t)(a_len + b_len));
	_cleanup_buf_ struct buf out = BUF_INIT;
	buf_add(&out, head, sizeof(head));
	buf_add(&out, a, a_len);
	buf_add(&out, b, b_len);
	s->ev.on_send(s->arg, out.data, out.len);
}

static void send_reset(struct spdy *s, uint32_t id, enum spdy_status status)
{
	unsigned char p[8];
	put_u32(p, id);
	put_u32(p + 4, status);
	send_control(s, RST_STREAM, 0, p, sizeof(p), NULL, 0);
}

static void send_goaway(struct spdy *s, uint32_t status)
{
	unsigned char p[8];
	if (s->goaway_sent)
		return;
	s->goaway_sent = true;
	put_u32(p, s->last_peer_id);
	put_u32(p + 4, status);
	send_control(s, GOAWAY, 0, p, sizeof(p), NULL, 0);
}

static void send_data(struct spdy_stream *st, unsigned flags, const void *p, size_t len)
{
	struct spdy *s = st->session;
	unsigned char head[HEAD_LEN];
	put_u32(head, st->id);
	put_u32(head + 4, (uint32_t)flags << 24 | (uint32_t)len);
	s->ev.on_send(s->arg, head, sizeof(head));
	if (len && !s->freed)
		s->ev.on_send(s->arg, p, len);
}

void spdy_goaway(struct spdy *s)
{
	if (!s->over)
		send_goaway(s, 0);
}

/* ---- streams ---- */

static struct spdy_stream *find(struct spdy *s, uint32_t id)
{
	LIST_EACH(l, &s->streams) {
		struct spdy_stream *st = LIST_ENTRY(l, struct spdy_stream, link);
		if (st->id == id && !st->closed)
			return st;
	}
	return NULL;
}

static struct spdy_stream *stream_new(struct spdy *s, uint32_t id)
{
	struct spdy_stream *st = NEW(struct spdy_stream);
	st->session = s;
	st->id = id;
	list_add_tail(&s->streams, &st->link);
	s->n_streams++;
	return st;
}

static void stream_closed(struct spdy_stream *st, bool reset)
{
	struct spdy *s = st->session;
	if (st->closed)
		return;
	st->closed = true;
	s->n_streams--;
	enter(s);
	if (s->ev.on_closed)
		s->ev.on_closed(s->arg, st, reset);
	leave(s);
}

static void close_all(struct spdy *s)
{
	enter(s);
	for (bool again = true; again && !s->freed;) {
		again = false;
		LIST_EACH(l, &s->streams) {
			struct spdy_stream *st = LIST_ENTRY(l, struct spdy_stream, link);
			if (st->closed)
				continue;
			stream_closed(st, true);
			again = true;
			break;
		}
	}
	leave(s);
}

void spdy_lost(struct spdy *s)
{
	s->over = true;
	close_all(s);
}

static void fail(struct spdy *s, const char *why)
{
	if (s->over)
		return;
	send_goaway(s, 1);
	s->over = true;
	enter(s);
	close_all(s);
	if (!s->freed && s->ev.on_error)
		s->ev.on_error(s->arg, why);
	leave(s);
}

uint32_t spdy_stream_id(const struct spdy_stream *st)
{
	return st->id;
}
void spdy_stream_set_user(struct spdy_stream *st, void *user)
{
	st->user = user;
}
void *spdy_stream_user(const struct spdy_stream *st)
{
	return st->user;
}

const char *spdy_stream_header(const struct spdy_stream *st, const char *lower_name)
{
	for (size_t i = 0; i < st->n_headers; i++)
		if (strcasecmp(st->headers[i].name, lower_name) == 0)
			return st->headers[i].value;
	return NULL;
}

struct spdy_stream *spdy_open(struct spdy *s, const struct spdy_header *headers, size_t n)
{
	_cleanup_buf_ struct buf block = BUF_INIT;
	unsigned char p[10] = {0};

	if (s->over || s->n_streams >= SPDY_STREAMS_MAX || s->next_id > INT32_MAX)
		return NULL;
	struct spdy_stream *st = stream_new(s, s->next_id);
	s->next_id += 2;
	put_u32(p, st->id);
	spdy_zip_headers(&s->zip, headers, n, &block);
	send_control(s, SYN_STREAM, 0, p, sizeof(p), block.data, block.len);
	return st;
}

void spdy_accept(struct spdy_stream *st)
{
	_cleanup_buf_ struct buf block = BUF_INIT;
	struct spdy *s = st->session;
	unsigned char p[4];

	if (st->closed || st->replied || s->over)
		return;
	st->replied = true;
	put_u32(p, st->id);
	spdy_zip_headers(&s->zip, NULL, 0, &block);
	send_control(s, SYN_REPLY, 0, p, sizeof(p), block.data, block.len);
}

void spdy_send(struct spdy_stream *st, const void *p, size_t len)
{
	struct spdy *s = st->session;
	const char *at = p;

	while (len && !st->closed && !st->fin_sent && !s->over) {
		size_t n = MIN_OF(len, (size_t)DATA_FRAME_MAX);
		send_data(st, 0, at, n);
		at += n;
		len -= n;
	}
}

void spdy_finish(struct spdy_stream *st)
{
	struct spdy *s = st->session;

	if (st->closed || st->fin_sent || s->over)
		return;
	enter(s);
	st->fin_sent = true;
	send_data(st, FLAG_FIN, NULL, 0);
	if (st->fin_received && !s->freed)
		stream_closed(st, false);
	leave(s);
}

void spdy_reset(struct spdy_stream *st, enum spdy_status status)
{
	struct spdy *s = st->session;

	if (st->closed || s->over)
		return;
	enter(s);
	send_reset(s, st->id, status);
	if (!s->freed)
		stream_closed(st, true);
	leave(s);
}

/* ---- receiving ---- */

static void received_fin(struct spdy *s, struct spdy_stream *st)
{
	if (st->fin_received || st->closed)
		return;
	st->fin_received = true;
	if (s->ev.on_fin)
		s->ev.on_fin(s->arg, st);
	if (!s->freed && st->fin_sent)
		stream_closed(st, false);
}

static bool read_headers(struct spdy *s, const char *p, size_t len, struct arena *a, struct spdy_header **ret,
			 size_t *ret_n)
{
	struct spdy_header headers[SPDY_HEADERS_MAX];
	size_t n;

	if (spdy_unzip(&s->zip, p, len, a, headers, &n) < 0) {
		fail(s, "malformed header block");
		return false;
	}
	*ret = arena_alloc(a, n * sizeof(**ret) + 1);
	memcpy(*ret, headers, n * sizeof(**ret));
	*ret_n = n;
	return true;
}

static void syn_stream(struct spdy *s, const char *p, size_t len)
{
	struct arena a = ARENA_INIT;
	struct spdy_header *headers;
	size_t n;

	if (len < 10) {
		fail(s, "truncated SYN_STREAM");
		return;
	}
	uint32_t id = get_u32(p) & INT32_MAX;
	if (!read_headers(s, p + 10, len - 10, &a, &headers, &n)) {
		arena_release(&a);
		return;
	}
	/* 2.3.2: a client's streams are odd, a server's even, and they increase. */
	if (!id || (id & 1) != s->server || id <= s->last_peer_id) {
		arena_release(&a);
		fail(s, "stream identifier out of order");
		return;
	}
	s->last_peer_id = id;
	if (s->n_streams >= SPDY_STREAMS_MAX || s->goaway_sent) {
		arena_release(&a);
		send_reset(s, id, SPDY_REFUSED_STREAM);
		return;
	}
	struct spdy_stream *st = stream_new(s, id);
	st->arena = a;
	st->headers = headers;
	st->n_headers = n;
	s->ev.on_stream(s->arg, st);
	if (!s->freed && (s->flags & FLAG_FIN))
		received_fin(s, st);
}

/* SYN_REPLY and HEADERS: a block about a stream that exists. */
static void reply_or_headers(struct spdy *s, const char *p, size_t len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct spdy_header *headers;
	size_t n;

	if (len < 4) {
		fail(s, "truncated SYN_REPLY or HEADERS");
		return;
	}
	struct spdy_stream *st = find(s, get_u32(p) & INT32_MAX);
	bool reply = s->type == SYN_REPLY, first = st && reply && !st->replied;
	struct arena *to = first ? &st->arena : &a;
	if (!read_headers(s, p + 4, len - 4, to, &headers, &n))
		return;
	if (!st)
		return; /* reset by us meanwhile */
	if (first) {
		st->replied = true;
		st->headers = headers;
		st->n_headers = n;
		if (s->ev.on_reply)
			s->ev.on_reply(s->arg, st);
	}
	if (!s->freed && (s->flags & FLAG_FIN))
		received_fin(s, st);
}

static void rst_stream(struct spdy *s, const char *p, size_t len)
{
	if (len != 8) {
		fail(s, "malformed RST_STREAM");
		return;
	}
	struct spdy_stream *st = find(s, get_u32(p) & INT32_MAX);
	if (st)
		stream_closed(st, true);
}

static void ping(struct spdy *s, const char *p, size_t len)
{
	if (len != 4) {
		fail(s, "malformed PING");
		return;
	}
	if ((get_u32(p) & 1) == s->server) /* the peer's own: odd from a client (2.6.5) */
		send_control(s, PING, 0, p, 4, NULL, 0);
}

static void control_frame(struct spdy *s)
{
	struct buf f = s->frame; /* an event may free the session */
	const char *p = buf_str(&f);

	s->frame = (struct buf)BUF_INIT;
	switch (s->type) {
	case SYN_STREAM:
		syn_stream(s, p, f.len);
		break;
	case SYN_REPLY:
	case HEADERS:
		reply_or_headers(s, p, f.len);
		break;
	case RST_STREAM:
		rst_stream(s, p, f.len);
		break;
	case PING:
		ping(s, p, f.len);
		break;
	case GOAWAY:
		if (f.len != 8)
			fail(s, "malformed GOAWAY");
		else if (s->ev.on_goaway)
			s->ev.on_goaway(s->arg);
		break;
	case SETTINGS:
	case WINDOW_UPDATE:
	default:
		break; /* no flow control; 2.2.1: unknown control frames are ignored */
	}
	buf_release(&f);
}

static void frame_start(struct spdy *s)
{
	const unsigned char *h = s->head;

	s->control = h[0] & 0x80;
	s->flags = h[4];
	s->left = get_u32(h + 4) & 0xffffff;
	s->in_payload = true;
	if (!s->control) {
		s->data_id = get_u32(h) & INT32_MAX;
		struct spdy_stream *st = find(s, s->data_id);
		if (!s->data_id)
			fail(s, "data on stream 0");
		else if (!st && s->data_id > s->last_peer_id && (s->data_id & 1) == s->server)
			send_reset(s, s->data_id, SPDY_INVALID_STREAM); /* never opened; of a closed one it is a race */
		else if (st && st->fin_received)
			spdy_reset(st, SPDY_STREAM_ALREADY_CLOSED);
		return;
	}
	s->type = (unsigned)h[2] << 8 | h[3];
	if (((h[0] & 0x7f) << 8 | h[1]) != VERSION)
		fail(s, "SPDY version is not 3");
	else if (s->left > SPDY_CONTROL_BYTES_MAX)
		fail(s, "control frame is too long");
}

static void frame_end(struct spdy *s)
{
	s->in_payload = false;
	s->head_len = 0;
	if (s->control) {
		control_frame(s);
		return;
	}
	struct spdy_stream *st = find(s, s->data_id);
	if (st && (s->flags & FLAG_FIN))
		received_fin(s, st);
}

static size_t payload(struct spdy *s, const char *p, size_t len)
{
	size_t n = MIN_OF(len, (size_t)s->left);

	if (s->control) {
		buf_add(&s->frame, p, n);
	} else if (n) {
		struct spdy_stream *st = find(s, s->data_id);
		if (st && s->ev.on_data)
			s->ev.on_data(s->arg, st, p, n);
	}
	s->left -= (uint32_t)n;
	return n;
}

void spdy_input(struct spdy *s, const char *p, size_t len)
{
	enter(s);
	while (len && !s->over) {
		size_t n;
		if (s->in_payload) {
			n = payload(s, p, len);
		} else {
			n = MIN_OF(len, HEAD_LEN - s->head_len);
			memcpy(s->head + s->head_len, p, n);
			s->head_len += n;
			if (s->head_len == HEAD_LEN)
				frame_start(s);
		}
		p += n;
		len -= n;
		if (s->in_payload && !s->left && !s->over)
			frame_end(s);
	}
	leave(s);
}
