/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPDY/3.1 as Kubernetes uses it (draft-mbelshe-httpbis-spdy-00 with the 3.1 changes): a protocol engine without I/O.
 * Bytes in, streams and bytes out. It runs on a connection upgraded with `Upgrade: SPDY/3.1` (exec, attach,
 * port-forward of older clients) or inside the binary messages of a WebSocket (SPDY/3.1+portforward.k8s.io); both are
 * its owner's business, as is choosing X-Stream-Protocol-Version.
 *
 * Each stream has headers ("streamtype", "port", "requestid": lower case on the wire) and carries bytes in both
 * directions. Flow control is not done: the clients that exist (client-go's) neither send nor honour WINDOW_UPDATE, so
 * waiting for one would stop after 64 KiB. Back-pressure is the transport's: stop feeding spdy_input, watch its queue.
 */
#ifndef PROA_HTTP_SPDY_H
#define PROA_HTTP_SPDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spdy;
struct spdy_stream;

#define SPDY_STREAMS_MAX 1024		   /* open at once; a port-forward uses two for each connection */
#define SPDY_HEADER_BYTES_MAX (64 * 1024)  /* of one block, decompressed */
#define SPDY_CONTROL_BYTES_MAX (64 * 1024) /* of one control frame */
#define SPDY_HEADERS_MAX 64

enum spdy_status { /* of RST_STREAM (2.6.3) */
		   SPDY_PROTOCOL_ERROR = 1,
		   SPDY_INVALID_STREAM = 2,
		   SPDY_REFUSED_STREAM = 3,
		   SPDY_CANCEL = 5,
		   SPDY_INTERNAL_ERROR = 6,
		   SPDY_STREAM_IN_USE = 8,
		   SPDY_STREAM_ALREADY_CLOSED = 9,
};

/* Events may call anything here, spdy_free included. */
struct spdy_events {
	/* The peer opened a stream: spdy_accept or spdy_reset it, now or later. Its data may come before. */
	void (*on_stream)(void *arg, struct spdy_stream *st);
	void (*on_reply)(void *arg, struct spdy_stream *st); /* the peer accepted a stream of ours; may be NULL */
	void (*on_data)(void *arg, struct spdy_stream *st, const char *p, size_t len);
	void (*on_fin)(void *arg, struct spdy_stream *st); /* the peer finished writing */
	/* Once for each stream, last; it is freed after. reset: not ended by both sides' FIN. Also when the session
	 * ends. */
	void (*on_closed)(void *arg, struct spdy_stream *st, bool reset);
	void (*on_goaway)(void *arg);			       /* the peer opens no more streams; may be NULL */
	void (*on_send)(void *arg, const void *p, size_t len); /* bytes for the peer */
	/* The peer broke the protocol: a GOAWAY was sent, nothing is received any more, streams were closed. */
	void (*on_error)(void *arg, const char *why);
};

struct spdy *spdy_new(bool server, const struct spdy_events *ev, void *arg);
void spdy_free(struct spdy *s); /* NULL-safe; streams go without on_closed */
void spdy_input(struct spdy *s, const char *p, size_t len);
void spdy_goaway(struct spdy *s);
/* Closes every stream with on_closed(reset): the transport is gone. */
void spdy_lost(struct spdy *s);

struct spdy_header {
	const char *name,
	    *value; /* several values of a name are separated by NUL on the wire; only the first is kept */
};

/* Opens a stream of ours (the client side of port-forward and tests). NULL when there are too many. */
struct spdy_stream *spdy_open(struct spdy *s, const struct spdy_header *headers, size_t n);
uint32_t spdy_stream_id(const struct spdy_stream *st);
const char *spdy_stream_header(const struct spdy_stream *st, const char *lower_name); /* the peer's; NULL when absent */
void spdy_stream_set_user(struct spdy_stream *st, void *user);
void *spdy_stream_user(const struct spdy_stream *st);
void spdy_accept(struct spdy_stream *st);
void spdy_send(struct spdy_stream *st, const void *p, size_t len); /* ignored after spdy_finish */
void spdy_finish(struct spdy_stream *st);			   /* FIN; the stream closes when both sides have */
void spdy_reset(struct spdy_stream *st, enum spdy_status status);  /* on_closed is called before it returns */

#endif
