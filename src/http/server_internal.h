/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the server. A response is always made the same way: the public calls only record what was asked (code,
 * headers, parts of the body, the end) and mark the request, its connection and the server as having work; at the end
 * of the loop's turn server_flush() lets each marked connection's protocol turn that into bytes. So no public call runs
 * inside a protocol engine, and everything of a turn leaves in one write.
 *
 * A request:   RECEIVING ──> HANDLED ──(begun)──(ended)──> sent ──> on_close, freed
 *                  └──────────────┴────── peer gone, limit, http_abort ──> on_close(aborted), freed
 */
#ifndef PROA_HTTP_SERVER_INTERNAL_H
#define PROA_HTTP_SERVER_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/vec.h"
#include "http/client.h" /* struct http_header_pair */
#include "http/server.h"
#include "io/loop.h"
#include "io/stream.h"

#define FEED_MAX (1024 * 1024)	    /* handed to the stream ahead of the socket; the rest waits as shared parts */
#define WRITE_STALL_MS_MAX 60000    /* a peer that takes nothing for this long is gone */
#define LINGER_BYTES_MAX (8u << 20) /* what we read and drop so that an error reply survives */
#define LINGER_MS_MAX 2000	    /* after an error reply we read on, so that a reset doesn't destroy the reply */
#define SMALL_BODY_BYTES 65536	    /* always taken: nearly every request, and streams and seats bound their number */
#define REQUEST_HEADERS_MAX 256	    /* fields; a browser sends 20, impersonation with many groups a hundred */

struct http_conn;

struct http_conn_ops {
	void (*input)(struct http_conn *c, const char *p, size_t len);
	void (*eof)(struct http_conn *c);
	void (*flush)(struct http_conn *c);	  /* turn what requests recorded into bytes */
	int64_t (*deadline)(struct http_conn *c); /* of the protocol's waits, monotonic ms; 0: none */
	void (*expired)(struct http_conn *c);	  /* that deadline passed */
	void (*drain)(struct http_conn *c);
	/* Answers a request whose body is being received, and drops that body. */
	void (*refuse_body)(struct http_conn *c, struct http_request *r, int code, const char *message);
	void (*free)(struct http_conn *c);
};

struct http_server {
	struct loop *loop;
	struct listener *listener;
	char *address;
	struct http_limits limits;
	http_handler handler;
	void *arg;
	struct list conns;
	struct list idle;  /* connections without a request, the longest idle one first */
	struct list large; /* requests with a large body, the oldest first */
	size_t large_bytes;
	struct list dirty; /* connections with work for server_flush */
	struct loop_defer *flush;
	struct buf head; /* scratch for response heads */
	char date[40];	 /* of this second */
	int64_t date_s;
	bool draining;
	bool flushing, freed; /* freed by a callback of server_flush: the memory goes at its end */
	struct loop_timer *grace;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct http_conn {
	struct http_server *server;	 /* NULL once the server was freed */
	struct stream *stream;		 /* NULL once hijacked */
	const struct http_conn_ops *ops; /* NULL until the protocol is known */
	struct list link, idle, dirty;
	struct list requests;	    /* all that live */
	struct list dirty_requests; /* those with recorded work (HTTP/2) */
	struct loop_timer *timer;
	int64_t timer_at_ms; /* when the timer fires; 0: stopped */
	int64_t stall_at_ms; /* when sent_bytes is compared again; 0: nothing waits */
	uint64_t sent_bytes, stall_sent;
	size_t stall_queued;
	unsigned busy; /* calls on the stack; freed memory waits for 0 */
	bool dead;     /* stream gone or hijacked: free when not busy */
	bool closing;  /* stream_close was called */
	struct h1 *h1;
	struct h2 *h2;
};

struct body_part {
	struct bytes *b;
	size_t off;
};

struct http_request {
	struct http_conn *conn;
	struct list link, dirty;
	struct list receiving; /* HTTP/2: in h2->receiving until the body is complete */
	struct list large;     /* in server->large */
	size_t large_bytes;    /* counted there */
	struct arena arena;    /* holds this struct too */
	const char *method, *path, *query, *upgrade;
	struct http_header_pair *headers;
	size_t n_headers, cap_headers, header_bytes;
	struct buf body;
	char *remote;
	void *user;
	void (*on_close)(void *arg, bool aborted);
	void *on_close_arg;
	void (*on_drain)(void *arg);
	void *on_drain_arg;
	int64_t started_ms;
	int32_t stream_id;

	int code;
	const char *content_type;
	struct http_header_pair *reply_headers;
	size_t n_reply_headers, cap_reply_headers;
	VEC(struct body_part) parts; /* [part_at, n) wait */
	size_t part_at;
	size_t queued;	/* bytes in them */
	int64_t length; /* of the whole body; -1: streamed */

	bool h2, head; /* HEAD: the body is counted, not sent */
	bool received; /* complete; the handler was called */
	bool begun, ended, aborted;
	bool submitted; /* head given to the protocol */
	bool undrained, drain_due;
	bool close;   /* HTTP/1.1: close after the reply */
	bool refused; /* answered by the layer itself; what still arrives of it is dropped */
	bool continue_wanted;
	bool cut;	/* HTTP/2: answered, and too much of its body came after that */
	size_t dropped; /* of a refused request's body */
};

/* ---- server.c ---- */
void http_conn_dirty(struct http_conn *c);
void http_conn_close(struct http_conn *c); /* at once; requests are told when the stream is gone */
void http_conn_enter(struct http_conn *c);
void http_conn_leave(struct http_conn *c); /* c may be freed */
void http_conn_update_timer(struct http_conn *c);
void http_conn_detach_stream(struct http_conn *c); /* hijacked */
const char *http_server_date(struct http_server *s);
void http_server_check_drained(struct http_server *s);

/* ---- request.c ---- */
struct http_request *http_request_new(struct http_conn *c);
void http_request_free(struct http_request *r);
/* False: over body_bytes_max. It may also have been refused meanwhile, since there are too many bodies. */
bool http_request_add_body(struct http_request *r, const void *p, size_t len);
void http_request_drop_body(struct http_request *r);
/* Tells on_close and frees. */
void http_request_finish(struct http_request *r, bool aborted);
/* name must be lower case; both are copied. False when over the bounds. */
bool http_request_add_header(struct http_request *r, const char *name, size_t name_len, const char *value,
			     size_t value_len);
/* Splits "path?query"; also takes absolute form. False: not a target we serve. */
bool http_request_set_target(struct http_request *r, const char *target, size_t len);
/* Answers with a Status; for the layer's own errors. */
void http_request_refuse(struct http_request *r, int code, const char *message);
void http_request_handle(struct http_request *r);
/* Whether a reply of this code to this request has no body at all. */
bool http_request_bodyless(const struct http_request *r);
/* Moves up to max queued bytes into the stream; returns how many. */
size_t http_request_feed(struct http_request *r, struct stream *s, size_t max);
void http_request_run_drain(struct http_request *r);
const char *http_reason(int code);

/* ---- h1.c, h2.c ---- */
extern const struct http_conn_ops h1_ops, h2_ops;
void h1_start(struct http_conn *c);
int h2_start(struct http_conn *c);
/* The connection leaves h1 for h2 by prior knowledge: p is what was received. */
void h1_stop(struct http_conn *c);
#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_PREFACE_LEN 24
/* The request takes its connection's stream away; returns it. */
struct stream *h1_hijack(struct http_request *r, const struct stream_events *ev, void *arg);
bool h1_can_hijack(const struct http_request *r);

#endif
