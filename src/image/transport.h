/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests that block, for threads that pull and push: one loop, a client for each origin, redirects, deadlines.
 * One thread uses one transport.
 *
 * What a request may cost is bounded: the head of the answer must come within TRANSPORT_HEAD_MS, and every
 * TRANSPORT_STALL_MS must bring TRANSPORT_STALL_BYTES of the body, so that a server that drips is one that is silent.
 * The Authorization header goes to the origin that was asked for and to no other that it points to.
 */
#ifndef PROA_IMAGE_TRANSPORT_H
#define PROA_IMAGE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/client.h"
#include "base/url.h"

struct registries;
struct transport;

#define TRANSPORT_HEAD_MS 30000
#define TRANSPORT_STALL_MS 20000
#define TRANSPORT_STALL_BYTES 1024
#define TRANSPORT_REDIRECTS_MAX 10 /* what curl's users and containerd live with */
#define TRANSPORT_HEADERS_MAX 8

struct transport_limits {
	int64_t head_ms, stall_ms; /* 0: those above; tests have less patience */
};

int transport_new(const struct registries *registries, const struct transport_limits *limits, struct transport **ret);
void transport_free(struct transport *t); /* NULL-safe */
/* Any thread: the request under way, and every later one, fails with -ECANCELED. */
void transport_abort(struct transport *t);
void transport_wait_ms(struct transport *t, int64_t ms); /* ends early when aborted */

struct transport_request {
	const char *method;
	const struct url *url;
	const char *authorization; /* NULL: none */
	struct http_header_pair headers[TRANSPORT_HEADERS_MAX];
	size_t n_headers;
	const void *body;
	size_t body_len;
	bool stay; /* don't follow redirects */
	/*
	 * Where the body of an answer with code 2xx goes; NULL: into reply.body, up to body_max. on_head (may be NULL)
	 * sees the final answer before. Negative errno ends the request with that.
	 */
	int (*on_head)(void *arg, int code, const struct http_header_pair *headers, size_t n);
	int (*on_body)(void *arg, const void *p, size_t len);
	void *arg;
	size_t body_max; /* 0: TRANSPORT_BODY_MAX */
};
#define TRANSPORT_BODY_MAX (64u << 10) /* messages of errors */

struct transport_reply {
	struct arena arena; /* holds the headers */
	int code;
	struct http_header_pair *headers;
	size_t n_headers;
	struct buf body;
	struct url url; /* that answered, after redirects */
};
void transport_reply_release(struct transport_reply *r);
/* The header's value, or NULL. name in lower case. */
const char *transport_header(const struct http_header_pair *headers, size_t n, const char *name);

/*
 * 0 when there was an answer, whatever its code; else negative errno with a reason: -ENOENT no such host,
 * -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -EKEYREJECTED certificate, -EFBIG body over its maximum, -ELOOP redirects,
 * -EPROTO, -ECANCELED, or what on_head or on_body returned.
 */
int transport_do(struct transport *t, const struct transport_request *q, struct transport_reply *ret, char *err,
		 size_t err_len);
/* Another try may have better luck. */
bool transport_transient(int error);

#endif
