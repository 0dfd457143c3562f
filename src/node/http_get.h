/* SPDX-License-Identifier: Apache-2.0 */
/* One GET request of a probe or hook: its own connection, certificates not verified, as upstream's prober. */
#ifndef PROA_NODE_HTTP_GET_H
#define PROA_NODE_HTTP_GET_H

#include <stdint.h>

struct http_get;
struct json;
struct loop;

#define HTTP_GET_BODY_MAX 10240 /* upstream reads no more of a probe's answer */

/* code 0: there was no answer, body says why: Get "http://192.0.2.1:80/": dial tcp 192.0.2.1:80: connect: … */
typedef void (*http_get_done)(void *arg, int code, const char *body);

/*
 * spec: an HTTPGetAction. host: where it goes when spec has none of its own. NULL when the request cannot be made (bad
 * host): no done follows.
 */
struct http_get *http_get_start(struct loop *l, const struct json *spec, const char *host, int port, int64_t timeout_ms,
				const char *user_agent, http_get_done done, void *arg);
void http_get_cancel(struct http_get *g); /* NULL-safe; not after done */

#endif
