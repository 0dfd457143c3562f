/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 and HTTP/2 server. The handler is called once for each request when its body has arrived whole (or, for an
 * upgrade, when its header has). It answers now or later, whole or as a stream. A request lives until it was answered
 * completely or its peer has gone: on_close tells, and after that it must not be used.
 *
 * Header names are given in lower case. Bounds are in struct http_limits; a request over a bound is answered with
 * 400, 413, 414, 431, 408 or 429 (as a Status object) by the server itself.
 */
#ifndef PROA_HTTP_SERVER_H
#define PROA_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct http_request;
struct http_server;
struct listener;
struct loop;
struct stream;
struct tls_context;
struct websocket;

struct http_limits {
	size_t header_bytes_max;       /* 64 KiB: bearer tokens and impersonation headers included */
	size_t body_bytes_max;	       /* 3 MiB, as upstream */
	size_t bodies_bytes_max;       /* 64 MiB for all bodies at hand together, small ones (64 kB) not counted */
	unsigned connections_max;      /* 10,000; beyond, the longest idle one makes room */
	unsigned streams_max;	       /* 250 concurrent HTTP/2 streams a connection, as upstream */
	unsigned idle_ms_max;	       /* 3 minutes without a request */
	unsigned header_ms_max;	       /* 32 s for a complete header */
	unsigned body_ms_max;	       /* 60 s for a complete body */
	size_t stream_queue_bytes_max; /* what a slow reader of a streamed response may have waiting */
};
extern const struct http_limits http_limits_default;

typedef void (*http_handler)(struct http_request *r, void *arg);

struct http_server_config {
	struct loop *loop;
	const char *address;		  /* "0.0.0.0:6443", "unix:/path" */
	struct tls_context *tls;	  /* NULL: plain */
	const struct http_limits *limits; /* NULL: defaults */
	http_handler handler;
	void *arg;
};

int http_server_new(const struct http_server_config *c, struct http_server **ret);
const char *http_server_address(const struct http_server *s);
/* Stops accepting, finishes requests that are being answered, sends GOAWAY, closes what is left after grace_ms. */
void http_server_drain(struct http_server *s, int64_t grace_ms, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *s);

/* ---- the request ---- */
const char *http_method(const struct http_request *r); /* "GET" */
const char *http_path(const struct http_request *r);   /* raw, percent-encoded, without the query */
const char *http_query(const struct http_request *r);  /* raw, "" when absent */
const char *http_header(const struct http_request *r, const char *lower_name); /* first value, or NULL */
/* Every value of a header, in order: i = 0, 1, … until NULL. */
const char *http_header_at(const struct http_request *r, const char *lower_name, size_t i);
/* All headers in order; false when i is beyond the last. */
bool http_header_each(const struct http_request *r, size_t i, const char **ret_name, const char **ret_value);
const char *http_body(const struct http_request *r, size_t *ret_len); /* NUL-terminated */
const char *http_remote_address(const struct http_request *r);
bool http_peer_cert(const struct http_request *r, const unsigned char **ret_der, size_t *ret_len);
/* A client certificate was shown and did not verify. */
bool http_peer_rejected(const struct http_request *r);
bool http_is_h2(const struct http_request *r);
void *http_user(const struct http_request *r);
void http_set_user(struct http_request *r, void *user);
/* Called when the response was sent completely or the peer has gone, whichever is first; aborted tells which. */
void http_on_close(struct http_request *r, void (*fn)(void *arg, bool aborted), void *arg);

/* ---- the response ---- */
void http_add_header(struct http_request *r, const char *lower_name, const char *value); /* before replying */
void http_reply(struct http_request *r, int code, const char *content_type, const void *body, size_t len); /* copies */
void http_reply_bytes(struct http_request *r, int code, const char *content_type, struct bytes *body);	   /* shares */
void http_reply_buf_parts(struct http_request *r, int code, const char *content_type, struct bytes *const *parts,
			  size_t n); /* one body made of shared parts, in order: lists are sent without copying */

/* Streamed: begin, any number of writes, end. http_stream_queued() is what the peer has not taken yet. */
void http_stream_begin(struct http_request *r, int code, const char *content_type);
void http_stream_write(struct http_request *r, struct bytes *b);
size_t http_stream_queued(const struct http_request *r);
void http_on_drain(struct http_request *r, void (*fn)(void *arg), void *arg);
void http_stream_end(struct http_request *r);
void http_abort(struct http_request *r); /* RST_STREAM or connection close */

/* ---- upgrades ---- */
/* The token of an HTTP/1.1 Upgrade ("websocket", "spdy/3.1"), lower case, or NULL. */
const char *http_upgrade(const struct http_request *r);
/*
 * Takes the connection for other bytes (HTTP/1.1 only): writes the given complete response head (NULL: none), ends the
 * request (no on_close follows) and returns the stream, with bytes that already arrived delivered to ev->on_data in a
 * later turn.
 */
struct stream_events;
struct stream *http_hijack(struct http_request *r, const char *response_head, const struct stream_events *ev,
			   void *arg);

/* Splits and decodes a query: calls fn for each pair; false when an escape is malformed. */
bool http_query_each(const char *query, void (*fn)(void *arg, const char *name, const char *value), void *arg);

#endif
