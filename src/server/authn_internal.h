/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of authentication share. */
#ifndef PROA_SERVER_AUTHN_INTERNAL_H
#define PROA_SERVER_AUTHN_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/authn.h"

#define CERTS_CACHED 256 /* a power of two; one entry a client certificate, a few kB each */

/* What a certificate says: parsing one costs more than answering most requests. */
struct cert {
	unsigned char *der;
	size_t len;
	char *name, **groups; /* groups ends with NULL */
	char *id;	      /* "X509SHA256=…" */
	int64_t expires_s;
};

struct authn {
	struct pki *pki;
	struct store *store;
	char *issuer;
	const struct authn_options *options; /* may be NULL */
	struct oidc *oidc;		     /* may be NULL */
	struct jwt_cache *verified;	     /* service account tokens; the keys stay as long as we do */
	struct cert certs[CERTS_CACHED];     /* by hash; a newcomer takes the place */
};

struct json;
struct object;

/* The extra field of a user, one value; nothing when value is empty. */
void authn_add_extra(struct arena *a, struct user *u, const char *key, const char *value);
/* The committed object of a built-in resource, or NULL. */
struct object *authn_object(const struct authn *self, const char *plural, const char *ns, const char *name);

/* Each: 1: it is such a token, *ret filled in; 0: not one of these; -1: it is and is refused, why in err. */
int authn_bootstrap_token(const struct authn *self, const char *token, struct arena *a, struct user *ret,
			  struct status *err);
/* audiences: those asked for, NULL: the server's own; *ret_audiences: those in common. */
int authn_account_token(const struct authn *self, const char *token, const struct json *audiences, struct arena *a,
			struct user *ret, struct json **ret_audiences, struct status *err);
int authn_issue_token(void *self, const struct token_spec *spec, struct arena *a, char **ret_token,
		      int64_t *ret_expires_s, struct status *err);

#define CREDENTIAL_ID "authentication.kubernetes.io/credential-id"

#endif
