/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens (RFC 7519) in compact serialisation, signed with ES256 only (RFC 7518, 3.4): the algorithm is ours to
 * say, never the token's, so neither "none" nor a symmetric algorithm over a public key can be smuggled in.
 */
#ifndef PROA_SERVER_JWT_H
#define PROA_SERVER_JWT_H

#include <stddef.h>

struct arena;
struct json;

#define JWT_MAX (16 * 1024) /* longer tokens are refused unread */

/* key: an EVP_PKEY on P-256. The token is in a; NULL when signing fails. */
char *jwt_sign(struct arena *a, void *key, const struct json *claims);
/* 0 and the claims, or -EINVAL (malformed), -EKEYREJECTED (other algorithm, key or signature). Claims are not judged.
 */
int jwt_verify(struct arena *a, void *key, const char *token, struct json **ret_claims);
/* The key's identifier: base64url of the SHA-256 of its public part. In a. */
char *jwt_key_id(struct arena *a, void *key);
/* A JWK Set with the public key (RFC 7517), for OIDC discovery. */
struct json *jwt_key_set(struct arena *a, void *key);

#endif
