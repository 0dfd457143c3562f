/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the certificate authority share. */
#ifndef PROA_SERVER_PKI_INTERNAL_H
#define PROA_SERVER_PKI_INTERNAL_H

#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "api/csr.h"
#include "base/macros.h"
#include "server/jwt.h"

#define CLOCK_SKEW_S 300 /* certificates are valid from a little earlier, for nodes whose clocks lag */
#define DAY_S 86400LL

struct pki {
	char *dir;
	X509 *ca;
	EVP_PKEY *ca_key;
	struct jwt_keys token_keys; /* the first signs, all verify */
	char *ca_pem;
};

static inline void cleanup_x509(X509 **x)
{
	X509_free(*x);
}

static inline void cleanup_pkey(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

#define _cleanup_x509_ _cleanup_(cleanup_x509)
#define _cleanup_pkey_ _cleanup_(cleanup_pkey)

struct status;

int pki_fail(struct status *err, int r, const char *what, const char *detail);
char *pki_cert_to_pem(X509 *x); /* malloc'd */
void pki_add_extension(X509 *x, X509 *issuer, int nid, const char *value);
X509 *pki_new_cert(EVP_PKEY *subject_key, int64_t seconds);
char *pki_entry_text(X509_NAME_ENTRY *e); /* malloc'd UTF-8; NULL when it has none, or a NUL inside */

#endif
