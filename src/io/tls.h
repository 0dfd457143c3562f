/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.2 and later by OpenSSL. A context may be replaced by tls_context_reload while connections that use the old
 * certificate live on: that is how certificates renew without a restart.
 */
#ifndef PROA_IO_TLS_H
#define PROA_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct tls_context;

struct tls_config {
	bool server;
	const char *cert_pem, *key_pem; /* texts, not paths; NULL: a client without a certificate */
	const char *ca_pem;		/* trusted to sign the peer's certificate */
	bool request_client_cert;	/* server: ask, and verify when one is given; none is accepted too */
	bool require_client_cert;
	bool insecure;		 /* client: do not verify */
	const char *const *alpn; /* in order of preference, NULL-terminated; NULL: none */
};

/* 0 or -EINVAL with a reason in err (size err_len). */
int tls_context_new(const struct tls_config *c, struct tls_context **ret, char *err, size_t err_len);
int tls_context_reload(struct tls_context *t, const struct tls_config *c, char *err, size_t err_len);
void tls_context_free(struct tls_context *t);
/* Adds the authorities that this system trusts, as PEM; nothing when it has none. */
void tls_read_system_ca(struct buf *out);

#endif
