/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users of OpenID Connect issuers: their ID tokens, verified with keys that the issuer publishes (OpenID Connect
 * Discovery 1.0, RFC 7517). Keys are fetched at start and when a token does not fit those that are known, OIDC_BURST
 * times, and once more every OIDC_REFRESH_MS; requests whose token may be verified by new keys wait for them, everybody
 * else never does.
 */
#ifndef PROA_SERVER_OIDC_H
#define PROA_SERVER_OIDC_H

#include <stdbool.h>

struct arena;
struct authn_options;
struct loop;
struct oidc;
struct status;
struct user;

#define OIDC_BURST 3	      /* keys may change soon after a start */
#define OIDC_REFRESH_MS 10000 /* whoever invents tokens makes us ask no more often; also between tries that failed */

/* options are borrowed. The issuers' authorities are read now. 0, or -1 with what is wrong. */
int oidc_new(const struct authn_options *o, struct oidc **ret, struct status *err);
void oidc_free(struct oidc *o); /* NULL-safe */
/* Begins to fetch keys. */
void oidc_start(struct oidc *o, struct loop *loop);
/* Ends waiting: who waits goes on with the keys that are known. Nothing is fetched any more. */
void oidc_stop(struct oidc *o);

/* 1: such a token, *ret filled in; 0: not from one of these issuers; -1: it is and is refused, why in err. */
int oidc_token(struct oidc *o, const char *token, struct arena *a, struct user *ret, struct status *err);
/* true: new keys are on the way that may verify it, fn(arg) will be called once. */
bool oidc_await(struct oidc *o, const char *token, void (*fn)(void *arg), void *arg);

#endif
