/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is it? Client certificates (subject CN is the user, each O a group; the chain was verified by TLS), service
 * account tokens (KEP-1205: bound to an account, and maybe to a pod, secret or node, all of which must still exist with
 * the same uid; or kept in a Secret), bootstrap tokens, tokens of other issuers (oidc.h). Without credentials it is
 * system:anonymous, who may only what roles let him.
 */
#ifndef PROA_SERVER_AUTHN_H
#define PROA_SERVER_AUTHN_H

#include "server/auth.h"

struct authn;
struct authn_options;
struct oidc;
struct pki;
struct store;

#define TOKEN_SECONDS_MIN 600	      /* shortest lifetime that TokenRequest accepts */
#define TOKEN_SECONDS_MAX (1LL << 32) /* longest, as upstream validates it */
#define TOKEN_SECONDS_DEFAULT 3600
#define TOKEN_SECONDS_POD 3607 /* what the ServiceAccount plugin asks for: recognised by it, as upstream */
/* Such tokens last a year for clients that never read theirs again; "warnafter" says when they should have. */
#define TOKEN_SECONDS_EXTENDED (365 * 24 * 3600)

struct authn_config {
	struct pki *pki;     /* borrowed */
	struct store *store; /* borrowed; where accounts and pods are looked up */
	const char *issuer;  /* "https://kubernetes.default.svc.cluster.local"; also the default audience. Copied */
	const struct authn_options *options; /* borrowed; NULL: no other issuers, anonymous requests everywhere */
	struct oidc *oidc;		     /* borrowed; NULL: none */
};

extern const struct authenticator_ops authn_ops; /* self: struct authn */

struct authn *authn_new(const struct authn_config *c);
void authn_free(struct authn *a);
const char *authn_issuer(const struct authn *a);
/* The key set for /openid/v1/jwks. */
struct json *authn_key_set(const struct authn *a, struct arena *arena);

#endif
