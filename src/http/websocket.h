/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket (RFC 6455), in two layers.
 *
 * struct ws is the protocol alone: bytes in, messages and bytes out, no I/O. It checks masking, reserved bits, minimal
 * lengths, fragmentation, control frames, close codes and UTF-8, answers pings and the closing handshake, and bounds
 * the size of a message. No extension is offered, so no compression.
 *
 * struct websocket puts it on a stream: accepting an upgrade with its subprotocol, back-pressure, the time for closing.
 * Kubernetes' protocols on top (channel byte and so on) are their owners' business:
 * v5.channel.k8s.io and older for exec and attach, SPDY/3.1+portforward.k8s.io (SPDY in binary messages) for
 * port-forward.
 */
#ifndef PROA_HTTP_WEBSOCKET_H
#define PROA_HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct http_request;
struct loop;
struct stream;

#define WS_MESSAGE_BYTES_MAX (1024 * 1024) /* default; kubectl sends 32 KiB */

enum ws_code { /* RFC 6455, 7.4.1 */
	       WS_NORMAL = 1000,
	       WS_GOING_AWAY = 1001,
	       WS_PROTOCOL_ERROR = 1002,
	       WS_UNSUPPORTED = 1003,
	       WS_NO_CODE = 1005,  /* never sent: the peer gave none */
	       WS_ABNORMAL = 1006, /* never sent: lost without a closing handshake */
	       WS_INVALID_DATA = 1007,
	       WS_POLICY = 1008,
	       WS_TOO_BIG = 1009,
	       WS_INTERNAL = 1011,
};

/* ---- the engine ---- */

struct ws_events {
	/* A whole message; p is valid during the call and followed by a NUL. */
	void (*on_message)(void *arg, bool text, const char *p, size_t len);
	void (*on_pong)(void *arg, const char *p, size_t len); /* may be NULL */
	void (*on_send)(void *arg, const void *p, size_t len); /* bytes for the peer */
	/* Once: the peer's Close (its code and reason), or our reason for failing the connection. Nothing is received
	 * after. */
	void (*on_close)(void *arg, int code, const char *reason, size_t len);
};

struct ws;
struct ws *ws_new(bool server, size_t message_bytes_max, const struct ws_events *ev, void *arg);
void ws_free(struct ws *w); /* NULL-safe; also within an event */
/* Input is ignored after on_close. */
void ws_input(struct ws *w, const char *p, size_t len);
/* The message is prefix followed by p (a channel byte, say). Ignored once a Close was sent. */
void ws_send(struct ws *w, bool text, const void *prefix, size_t prefix_len, const void *p, size_t len);
void ws_ping(struct ws *w, const void *p, size_t len);	   /* len <= 125 */
void ws_close(struct ws *w, int code, const char *reason); /* sends a Close, once */
bool ws_close_sent(const struct ws *w);
bool ws_close_received(const struct ws *w);

/* Sec-WebSocket-Accept for a key (RFC 6455, 4.2.2); out is appended to. */
void ws_accept_key(const char *key, struct buf *out);

/* ---- on a stream ---- */

struct websocket;

struct websocket_events {
	void (*on_message)(void *arg, bool text, const char *p, size_t len);
	void (*on_drain)(void *arg); /* everything sent was taken; may be NULL */
	/* Once, last; w is freed after it: the peer's code, WS_ABNORMAL when it was lost, or what websocket_close was
	 * given. */
	void (*on_close)(void *arg, int code, const char *reason);
};

/*
 * Answers an upgrade request. protocols: what we speak, NULL-terminated; the first of the client's list that is among
 * them is agreed on. A client that names none is accepted only if "" is among them. Unless the request is a WebSocket
 * handshake that we can serve, it is answered (400, 405, 426) and NULL returned. Events come in later turns.
 */
struct websocket *websocket_accept(struct http_request *r, const char *const *protocols, size_t message_bytes_max,
				   const struct websocket_events *ev, void *arg);
/* Over a stream whose handshake is done (a tunnel's); takes the stream over. server: which side we are. */
struct websocket *websocket_attach(struct loop *l, struct stream *s, bool server, size_t message_bytes_max,
				   const struct websocket_events *ev, void *arg);
const char *websocket_protocol(const struct websocket *w); /* "" when none was agreed on */
void websocket_set_events(struct websocket *w, const struct websocket_events *ev, void *arg);
void websocket_send(struct websocket *w, bool text, const void *p, size_t len);
void websocket_send_prefixed(struct websocket *w, bool text, const void *prefix, size_t prefix_len, const void *p,
			     size_t len);
size_t websocket_queued(const struct websocket *w); /* bytes the peer has not taken: stop producing when it is much */
void websocket_pause(struct websocket *w);	    /* stop receiving */
void websocket_resume(struct websocket *w);
void websocket_ping(struct websocket *w);
/* Begins the closing handshake; on_close follows, after WEBSOCKET_CLOSE_MS_MAX at the latest. */
void websocket_close(struct websocket *w, int code, const char *reason);
/* Forgets it at once, without a closing handshake or a callback. */
void websocket_abort(struct websocket *w);

#define WEBSOCKET_CLOSE_MS_MAX 5000 /* a peer that answers a Close does so in a round trip */

#endif
