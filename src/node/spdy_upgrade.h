/* SPDX-License-Identifier: Apache-2.0 */
/* Upgrade: SPDY/3.1 with a subprotocol in X-Stream-Protocol-Version, as the kubelet's streaming endpoints have it. */
#ifndef PROA_NODE_SPDY_UPGRADE_H
#define PROA_NODE_SPDY_UPGRADE_H

struct http_request;
struct stream;
struct stream_events;

/*
 * Answers 101 with the first of ours (NULL-terminated, the best first) that the client names, and hands over the
 * connection. NULL: answered 403, there is no such protocol. A client that names none gets none (it speaks the oldest).
 */
struct stream *spdy_upgrade(struct http_request *r, const char *const *protocols, const struct stream_events *ev,
			    void *arg);

#endif
