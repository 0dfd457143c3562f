/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's own certificate authority and the certificates it issues: X.509 v3 with ECDSA P-256 keys (RFC 5280).
 * Everything is in one directory, 0700, owned by the server's user:
 *
 *     ca.crt ca.key         the authority, 10 years
 *     sa.key                signs service account tokens
 *     sa.*.key sa.*.pub     verify older ones (PEM; private or public)
 *     NAME.crt NAME.key     issued certificates, PKI_DAYS days, renewed when two thirds of that are over
 *
 * Files are replaced atomically, key before certificate, and a pair that does not fit together is issued again, so that
 * a crash at any moment leaves something usable.
 */
#ifndef PROA_SERVER_PKI_H
#define PROA_SERVER_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct certificate_authority;
struct jwt_keys;
struct pki;
struct status;

#define PKI_CA_DAYS 3650
#define PKI_DAYS 365

struct pki_request {
	const char *common_name;
	const char *const *organizations; /* NULL-terminated; groups of a client certificate. May be NULL */
	const char *const *dns_names;	  /* NULL-terminated, may be NULL */
	const char *const *addresses;	  /* numeric IP addresses, NULL-terminated, may be NULL */
	bool server, client;		  /* extended key usages */
	int days;			  /* 0: PKI_DAYS */
};

/* Loads the authority from dir, or makes dir and a new authority. */
int pki_open(const char *dir, struct pki **ret, struct status *err);
void pki_free(struct pki *p);
const char *pki_dir(const struct pki *p);
const char *pki_ca_pem(const struct pki *p);
/*
 * The keys of service account tokens, borrowed: the first signs, all verify. To rotate, rename sa.key to sa.NAME.key
 * and start again: a new sa.key is made, and tokens signed by the old one stay good until its file is taken away.
 */
const struct jwt_keys *pki_token_keys(const struct pki *p);

/* A new key and a certificate for it; both are malloc'd PEM texts. */
int pki_issue(const struct pki *p, const struct pki_request *r, char **ret_cert, char **ret_key, struct status *err);
/*
 * Makes sure that DIR/name.crt and .key exist, belong together, are signed by this authority, say what the request says
 * and have at least a third of their life left. 1: issued anew, 0: was there, negative: failed.
 */
int pki_ensure(const struct pki *p, const char *name, const struct pki_request *r, struct status *err);
/* Reads DIR/name.crt and .key as malloc'd texts. */
int pki_load(const struct pki *p, const char *name, char **ret_cert, char **ret_key, struct status *err);

/* The authority as certificate requests see it (pki_csr.c); lives as long as p. */
struct certificate_authority pki_authority(struct pki *p);

/* Subject of a certificate in DER, for authentication. Strings are malloc'd; groups is a NULL-terminated array. */
int pki_subject(const unsigned char *der, size_t len, char **ret_common_name, char ***ret_organizations,
		int64_t *ret_expires_s);

/* An admin (or other) kubeconfig, malloc'd. */
char *pki_kubeconfig(const char *ca_pem, const char *server_url, const char *user, const char *cert_pem,
		     const char *key_pem);

#endif
