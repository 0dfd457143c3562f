/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One repository of one registry (OCI distribution-spec): requests with whatever authentication it asks for, and what
 * its errors mean. Tokens are kept for the length of a transfer and shared by its threads.
 */
#ifndef PROA_IMAGE_REGISTRY_H
#define PROA_IMAGE_REGISTRY_H

#include "image/keyring.h"
#include "image/transport.h"

#define REGISTRY_TRIES 6	      /* without progress: some 15 s of waiting together */
#define REGISTRY_BACKOFF_MS 500	      /* doubled with each try */
#define REGISTRY_RETRY_AFTER_S_MAX 60 /* a registry may ask for more: then the pod's own back-off is the better one */

struct registry_auth; /* thread-safe */
/* c NULL: anonymous. Copied. actions: "pull" or "pull,push". */
struct registry_auth *registry_auth_new(const struct credential *c, const char *actions);
void registry_auth_free(struct registry_auth *a); /* NULL-safe */

/* What a thread has of the repository; everything belongs to the caller. */
struct registry {
	struct transport *transport;
	struct registry_auth *auth;
	const struct url *base; /* of the endpoint: what comes before /v2/ is its path */
	const char *repository;
	const char *mount_from; /* push: another repository that may be read, or NULL */
};

/* "BASE/v2/REPOSITORY/" and the rest. -EINVAL when it cannot be a URL. */
int registry_url(const struct registry *r, struct url *ret, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* One request, with authentication when it is asked for. Errors as transport_do; -EACCES: the credentials don't do. */
int registry_do(struct registry *r, const struct transport_request *q, struct transport_reply *ret, char *err,
		size_t err_len);
/* The same again while another try may have better luck. */
int registry_try(struct registry *r, const struct transport_request *q, struct transport_reply *ret, char *err,
		 size_t err_len);
/* How long to wait before try n (from 1), or -1: it would not help. result and reply: of registry_do. */
int64_t registry_retry_ms(int result, const struct transport_reply *reply, int n);
/* What an answer that is no success means: negative errno with a reason. what: "manifest latest" */
int registry_failure(const struct transport_reply *reply, const char *what, char *err, size_t err_len);

#endif
