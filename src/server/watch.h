/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a watch's frames go: an HTTP response, or the messages of a WebSocket (the same upgrade as upstream's
 * `?watch=1` over it: one event a message, text for JSON and binary for protobuf).
 */
#ifndef PROA_SERVER_WATCH_H
#define PROA_SERVER_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct bytes;
struct request;
struct watch_sink;

struct watch_sink_events {
	void (*on_drain)(void *arg); /* what was written has been taken */
	void (*on_gone)(void *arg);  /* once, last: ended by us or by the peer; the sink is gone after it */
};

/* Begins the response. NULL when the upgrade was refused; the request is answered then. Holds a reference to r. */
struct watch_sink *watch_sink_new(struct request *r, const struct watch_sink_events *ev, void *arg);
void watch_sink_write(struct watch_sink *s, struct bytes *frame);
size_t watch_sink_queued(const struct watch_sink *s);
void watch_sink_end(struct watch_sink *s); /* after what was written; on_gone follows */
/* The server goes: what the HTTP side doesn't know any more ends now. */
void watch_sink_abort(struct watch_sink *s);

#endif
