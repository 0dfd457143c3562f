/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_IO_TLS_INTERNAL_H
#define PROA_IO_TLS_INTERNAL_H

#include <openssl/ssl.h>

struct buf;
struct tls_context;

/* The wire form of an ALPN list; -EINVAL when a name is empty or too long. */
int tls_alpn_wire(const char *const *names, struct buf *out);

/* A new session of the context's current certificate. server_name: what a client verifies and sends as SNI. */
int tls_session_new(struct tls_context *t, const char *server_name, SSL **ret);

#endif
