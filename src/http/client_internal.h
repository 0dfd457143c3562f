/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the client. A call waits in client->waiting until a connection takes it; dispatching happens once, at
 * the end of the turn.
 *
 * A connection:   CONNECTING ──> ready ──> (draining: no new calls) ──> dead, freed when no call of it is on the stack
 */
#ifndef PROA_HTTP_CLIENT_INTERNAL_H
#define PROA_HTTP_CLIENT_INTERNAL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/vec.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/stream.h"

#define CLIENT_H1_CONNECTIONS_MAX 32 /* a node's watches, when a proxy in between speaks no HTTP/2 */
#define CLIENT_CONNECT_MS_MAX 10000
#define CLIENT_HEADER_BYTES_MAX (64 * 1024)
#define CLIENT_HEADERS_MAX 256

struct http_client_conn;

struct http_client_conn_ops {
	void (*input)(struct http_client_conn *k, const char *p, size_t len);
	void (*eof)(struct http_client_conn *k);
	bool (*can_take)(struct http_client_conn *k);
	int (*send)(struct http_client_conn *k, struct http_call *call);
	void (*cancel)(struct http_client_conn *k,
		       struct http_call *call); /* forget it; the call is freed after this */
	void (*pause)(struct http_client_conn *k, struct http_call *call);
	void (*resume)(struct http_client_conn *k, struct http_call *call);
	void (*flush)(struct http_client_conn *k);
	void (*free)(struct http_client_conn *k);
};

struct http_client {
	struct loop *loop;
	char *address, *server_name, *token, *user_agent;
	struct tls_context *tls;
	struct list conns, waiting, tunnels;
	struct loop_defer *work; /* dispatch and flush */
	bool h1;		 /* the peer speaks no HTTP/2 */
	unsigned n_conns, connecting;
	bool working, freed;
};

struct http_client_conn {
	struct http_client *client; /* NULL: the client was freed */
	struct stream *stream;
	const struct http_client_conn_ops *ops; /* NULL while connecting */
	struct list link;
	struct list calls;
	struct loop_timer *timer; /* connecting; HTTP/2: liveness */
	unsigned busy;
	bool dead, closing, draining;
	bool dirty;
	int why; /* what its calls fail with */
	struct c1 *c1;
	struct c2 *c2;
};

struct http_call {
	struct http_client *client;
	struct http_client_conn *conn; /* NULL: waiting */
	struct list link;	       /* in client->waiting or conn->calls */
	struct arena arena;	       /* holds this struct too */
	struct http_call_events ev;
	void *arg;
	const char *method, *path;
	struct http_header_pair *headers;
	size_t n_headers;
	const char *body;
	size_t body_len, body_sent;
	struct loop_timer *timer;

	int code;
	struct http_header_pair *reply_headers;
	size_t n_reply, cap_reply, reply_bytes;
	struct buf held; /* data that came while paused (HTTP/2) */
	int32_t stream_id;
	bool responded, paused, complete;
};

/* client.c */
void http_client_conn_work(struct http_client_conn *k); /* flush at the end of this turn */
void http_client_work(struct http_client *c);
void http_client_conn_close(struct http_client_conn *k, int why);
void http_client_conn_enter(struct http_client_conn *k);
void http_client_conn_leave(struct http_client_conn *k);
/* Ends a call: on_done, then free. The caller touches neither call nor, unless it is busy, its connection afterwards.
 */
void http_call_done(struct http_call *call, int result);
void http_call_free(struct http_call *call);
bool http_call_add_reply_header(struct http_call *call, const char *name, size_t name_len, const char *value,
				size_t value_len);
void http_call_responded(struct http_call *call);
struct http_call *http_call_new(struct http_client *c, const struct http_call_config *cfg);
/* "GET /x HTTP/1.1" and its header. */
void http_call_write_head(struct http_call *call, struct buf *b);
const char *http_call_header(const struct http_call *call, const char *name); /* of the request, or NULL */
const char *http_client_authority(const struct http_client *c);

/* client_h1.c, client_h2.c, client_tunnel.c */
void c1_start(struct http_client_conn *k);
int c2_start(struct http_client_conn *k);
void http_tunnels_cancel(struct http_client *c);

#endif
