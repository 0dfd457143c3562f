/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client over HTTPS: client_ops on an http_client. Watches keep themselves up: they list in pages, watch from the
 * list's revision, resume at the last revision seen (bookmarks included) when the stream ends, list again after 410
 * Expired, and try again after errors with jittered exponential back-off.
 */
#ifndef PROA_CLIENT_REMOTE_H
#define PROA_CLIENT_REMOTE_H

#include <stdint.h>

struct client;
struct http_client;
struct loop;

#define REMOTE_REQUEST_MS_MAX 60000	  /* the server gives up after 60 s itself (upstream's --request-timeout) */
#define REMOTE_BODY_BYTES_MAX (64u << 20) /* a page of REMOTE_PAGE objects at 128 KiB each */
#define REMOTE_PAGE 500			  /* objects a list page, as upstream's reflector and kubectl */
#define REMOTE_WATCH_S_MIN 300		  /* a watch is renewed after 5 to 10 minutes (upstream's reflector) */
#define REMOTE_WATCH_GRACE_MS 30000 /* then the server ends it; if it doesn't in this time the connection is dead */
#define REMOTE_BACKOFF_MS_MIN 100   /* a server that restarts is back in well under a second */
#define REMOTE_BACKOFF_MS_MAX 30000 /* upstream's reflector */

/* h is borrowed and must outlive the client; client_free ends requests under way with 503. user_agent is copied. */
struct client *remote_client_new(struct loop *l, struct http_client *h, const char *user_agent);

#endif
