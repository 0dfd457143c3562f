/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who besides the cluster's own identities may come in: an AuthenticationConfiguration of apiserver.config.k8s.io
 * (Kubernetes documentation, "Authenticating"), or the --oidc-… flags, which say less of the same. Identity providers
 * are OpenID Connect issuers; anonymous requests can be turned off or limited to paths. Expressions (CEL) are refused.
 */
#ifndef PROA_SERVER_AUTHN_OPTIONS_H
#define PROA_SERVER_AUTHN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct json;
struct status;

#define AUTHN_OPTIONS_FILE_MAX (1024 * 1024) /* certificate authorities are part of it */
#define AUTHN_ISSUERS_MAX 64		     /* upstream's limit */

struct claim_mapping {
	const char *claim; /* NULL: none */
	const char *prefix;
};

/* Strings live in the options. */
struct oidc_issuer {
	const char *url;
	const char *discovery_url;    /* of the document about the issuer */
	const char *ca_pem;	      /* who vouches for its servers; NULL: those whom the system trusts */
	const struct json *audiences; /* any of these must be among the token's */
	const struct json *required;  /* array of {claim, requiredValue} */
	const char *const *algs;      /* ends with NULL */
	struct claim_mapping username, groups;
	const char *uid_claim; /* NULL: none */
};

struct authn_options {
	struct arena arena;
	struct oidc_issuer *issuers;
	size_t n_issuers;
	bool anonymous;			    /* requests without credentials are system:anonymous */
	const struct json *anonymous_paths; /* only these; NULL or empty: all */
};

struct oidc_flags {
	const char *issuer_url, *client_id; /* NULL: no issuer */
	const char *username_claim, *username_prefix, *groups_claim, *groups_prefix, *signing_algs; /* NULL: default */
	const char *ca_pem;	     /* NULL: the system's */
	const char *const *required; /* "claim=value", ends with NULL; may be NULL */
};

/* Each: 0, or -1 with everything that is wrong in err. own_issuer: the cluster's, which nobody else may be. */
int authn_options_parse(const char *text, size_t len, const char *own_issuer, struct authn_options *ret,
			struct status *err);
int authn_options_from_flags(const struct oidc_flags *f, const char *own_issuer, struct authn_options *ret,
			     struct status *err);
void authn_options_release(struct authn_options *o);

#endif
