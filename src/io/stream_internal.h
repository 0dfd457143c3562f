/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream's parts and its states:
 *
 *     CONNECTING ──> HANDSHAKE ──> OPEN ──> CLOSING ──> (on_close, freed)
 *          └─────────────┴──────────────────────┘        any failure
 *
 * Writing: stream_write puts plain bytes into `queue` and the stream into its loop's dirty list; at the end of the turn
 * stream_flush encrypts and hands everything to the socket at once. What the socket doesn't take goes by one uv_write
 * (in_flight), and flushing continues from its callback.
 */
#ifndef PROA_IO_STREAM_INTERNAL_H
#define PROA_IO_STREAM_INTERNAL_H

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/vec.h"
#include "io/loop.h"
#include "io/loop_internal.h"
#include "io/stream.h"
#include "io/tls.h"

struct bytes;

enum stream_state { STREAM_CONNECTING, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_CLOSING };

struct chunk {
	struct bytes *ref; /* shared bytes, or NULL: own memory */
	char *own;
	size_t off, end, cap;
};

/* Chunks [head, n) are waiting; the first `in_flight` of them belong to a running uv_write. */
struct out_queue {
	VEC(struct chunk) chunks;
	size_t head;
	size_t len;
};

struct stream {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	union {
		uv_write_t write;
		uv_connect_t connect;
	} req;
	uv_shutdown_t *shutdown_req;
	struct loop *loop;
	struct stream_events ev;
	void *arg;
	struct list dirty;   /* in loop->streams_dirty */
	struct list waiting; /* in listener->handshaking */
	struct listener *listener;
	int64_t handshake_deadline_ms;
	SSL *ssl;
	struct out_queue queue;
	size_t in_flight;  /* chunks of queue (plain) in uv_write */
	struct buf cipher; /* encrypted, not yet given to the socket */
	char *sending;	   /* encrypted, in uv_write */
	size_t sending_len;
	struct buf held;   /* received (encrypted with TLS), not processed since reading was stopped */
	struct buf unread; /* plain bytes given back, delivered first */
	const char *in;	   /* ciphertext that the TLS engine reads now */
	size_t in_len;
	unsigned char *cert_der;
	int cert_len;
	char *peer;
	int why;
	uint8_t state; /* enum stream_state */
	bool client;
	bool reading;	 /* the owner wants data */
	bool uv_reading; /* the socket is being read */
	bool writing;	 /* a uv_write is running */
	bool undrained;	 /* on_drain is due */
	bool shutdown_wanted, shutdown_sent;
	bool eof_told;
};

struct address {
	struct sockaddr_storage sa; /* unless path */
	char path[108];		    /* of a Unix socket, or "" */
};

int stream_address_parse(const char *text, struct address *ret); /* -EINVAL */
char *stream_address_format(const struct sockaddr *sa);		 /* malloc'd */

struct stream *stream_alloc(struct loop *l, bool pipe);
/* Begins TLS, or opens a plain stream: the socket is connected. */
void stream_begin(struct stream *s);
void stream_fail(struct stream *s, int why);
void stream_mark_dirty(struct stream *s);
/* Called by stream.c when a listener's stream is open, and when it is gone. */
void listener_stream_open(struct stream *s);
void listener_stream_gone(struct stream *s);

/* stream_queue.c */
void stream_queue_add(struct out_queue *q, size_t locked, const void *p, size_t len);
void stream_queue_add_bytes(struct out_queue *q, size_t locked, struct bytes *b, size_t offset, size_t len);
void stream_queue_consume(struct out_queue *q, size_t n);
size_t stream_queue_iov(const struct out_queue *q, uv_buf_t *iov, size_t max);
/* A contiguous run of at most max bytes: within one chunk when that has max, else gathered into scratch. */
size_t stream_queue_peek(const struct out_queue *q, char *scratch, size_t max, const char **ret);
void stream_queue_release(struct out_queue *q);

/* stream_tls.c */
int stream_tls_begin(struct stream *s, struct tls_context *t, const char *server_name);
/* Feeds received ciphertext; delivers plain data and completes the handshake. */
void stream_tls_input(struct stream *s, const char *p, size_t len);
/* Encrypts from the queue into out until out has max bytes or the queue is empty; 0 or negative errno. */
int stream_tls_encrypt(struct stream *s, struct buf *out, size_t max);

/* stream.c, for stream_tls.c */
void stream_opened(struct stream *s);
void stream_connect_failed(struct stream *s, int why);
void stream_deliver(struct stream *s, const char *p, size_t len);
void stream_deliver_eof(struct stream *s);
void stream_update_reading(struct stream *s);

#endif
