/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams: TCP or Unix sockets, plain or TLS, client or server side, behind one interface.
 * Reads are delivered by callback while reading is on; writes are queued and their amount is visible, so that producers
 * can apply back-pressure (STREAM_QUEUE_MAX is the hard bound: beyond it the stream is closed with -ENOBUFS).
 */
#ifndef PROA_IO_STREAM_H
#define PROA_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct loop;
struct stream;
struct tls_context; /* io/tls.h */

#define STREAM_QUEUE_MAX (64u << 20) /* a 5,000-pod list is about 20 MB */

struct stream_events {
	/* Exactly once, before any data, for stream_connect: 0 or negative errno (-EKEYREJECTED: the certificate). TLS
	 * is complete then. Not after stream_close. */
	void (*on_connect)(void *arg, int result);
	void (*on_data)(void *arg, const char *data, size_t len);
	void (*on_eof)(void *arg);	      /* the peer finished writing */
	void (*on_drain)(void *arg);	      /* the write queue became empty */
	void (*on_close)(void *arg, int why); /* once, last: 0 after stream_close, else negative errno */
};

/* address: "host:port" with a numeric address, "[::1]:6443", or "unix:/path". tls may be NULL; server_name is verified.
 */
int stream_connect(struct loop *l, const char *address, struct tls_context *tls, const char *server_name,
		   const struct stream_events *ev, void *arg, struct stream **ret);
/* Offers these protocols instead of the context's, right after stream_connect: upgrades need "http/1.1". */
void stream_set_alpn(struct stream *s, const char *const *alpn);
/* Adopts a connected socket (plain). */
int stream_from_fd(struct loop *l, int fd, const struct stream_events *ev, void *arg, struct stream **ret);
void stream_set_events(struct stream *s, const struct stream_events *ev, void *arg); /* to hand a stream over */

void stream_read_start(struct stream *s);
void stream_read_stop(struct stream *s);			/* back-pressure towards the peer */
void stream_write(struct stream *s, const void *p, size_t len); /* copies */
void stream_write_bytes(struct stream *s, struct bytes *b, size_t offset, size_t len); /* takes a reference meanwhile */
/* Gives received bytes back: they come again by on_data, in a later turn, before anything else. */
void stream_unread(struct stream *s, const void *p, size_t len);
size_t stream_queued(const struct stream *s); /* bytes not yet written to the socket */
void stream_shutdown(struct stream *s);	      /* end of our side once the queue is written; reading goes on */
void stream_close(struct stream *s); /* at once; on_close follows in a later turn and the stream is freed after it */

bool stream_input_waits(const struct stream *s);	 /* the peer has sent what hasn't been read yet */
const char *stream_peer_address(const struct stream *s); /* "10.0.0.7:51234" */
/* "h2", "http/1.1" or NULL: what ALPN agreed on. */
const char *stream_alpn(const struct stream *s);
/* The verified peer certificate in DER (TLS with client certificates), or false. The memory is the stream's. */
bool stream_peer_cert(const struct stream *s, const unsigned char **ret_der, size_t *ret_len);
/* The peer showed a certificate, and it did not verify. */
bool stream_peer_rejected(const struct stream *s);

struct listener;
typedef void (*listener_fn)(void *arg, struct stream *s); /* set events on s and start reading; TLS is complete */
struct listener_limits {
	unsigned connections_max;  /* also never more than the descriptors there are, less some for other work */
	unsigned handshake_ms_max; /* TLS must be complete by then */
	/*
	 * With connections_max there, who connects takes the place of the longest handshake, or of one that the owner
	 * closes now: false when it has none to spare, or there is no such function, and the new one is closed.
	 */
	bool (*make_room)(void *arg);
};
int listener_new(struct loop *l, const char *address, struct tls_context *tls, const struct listener_limits *limits,
		 listener_fn fn, void *arg, struct listener **ret); /* -EADDRINUSE, … */
const char *listener_address(const struct listener *l);		    /* with the real port when 0 was asked for */
void listener_free(struct listener *l);

#endif
