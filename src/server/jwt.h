/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens (RFC 7519) in compact serialisation with asymmetric signatures (RFC 7518: RS, PS and ES with SHA-256,
 * 384 and 512), and the keys that verify them (jwk.c; RFC 7517). The algorithm of a token must fit the type of the key
 * and be one that the caller names, so neither "none" nor a symmetric algorithm over a public key can be smuggled in.
 */
#ifndef PROA_SERVER_JWT_H
#define PROA_SERVER_JWT_H

#include <stddef.h>

struct arena;
struct json;

#define JWT_MAX (16 * 1024) /* longer tokens are refused unread */
#define JWT_KEYS_MAX 64	    /* of one set; each may be tried for a token without a key id */

struct jwt_key {
	void *key;	 /* EVP_PKEY, owned */
	char *id;	 /* "kid", owned */
	const char *alg; /* the only one it is for; NULL: any that fits its type */
};

struct jwt_keys {
	struct jwt_key at[JWT_KEYS_MAX];
	size_t n;
};

extern const char *const jwt_algorithms[]; /* all of them, ends with NULL */

/* Takes key. id NULL: the hash of its public part, as jwt_key_id. -ENOSPC when the set is full (key is freed). */
int jwt_keys_add(struct jwt_keys *k, void *key, const char *id, const char *alg);
/* Adds the signing keys of a JWK Set; what is not for us (other types, encryption) is passed over. -EINVAL: no set. */
int jwt_keys_parse(struct jwt_keys *k, const struct json *set);
void jwt_keys_release(struct jwt_keys *k);
/* A JWK Set with the public parts, for OIDC discovery. */
struct json *jwt_key_set(struct arena *a, const struct jwt_keys *k);
/* The algorithm that a key of ours signs with; NULL: none (Ed25519, a short RSA key). */
const char *jwt_algorithm(void *key);

/* Signs with one key. The token is in a; NULL when signing fails. */
char *jwt_sign(struct arena *a, const struct jwt_key *key, const struct json *claims);
/*
 * 0 and the claims, or -EINVAL (malformed), -ENOKEY (signed by a key that is not in the set), -EKEYREJECTED (an
 * algorithm that is not among algs, or a wrong signature). Claims are not judged.
 */
int jwt_verify(struct arena *a, const struct jwt_keys *keys, const char *const *algs, const char *token,
	       struct json **ret_claims);
/*
 * Which tokens have been verified already, by their SHA-256: verifying costs as much as ten reads. A cache goes with
 * one set of keys and one of algorithms; clear it when either changes. Zeroed: empty.
 */
#define JWT_CACHE_TOKENS 1024 /* a power of two; a newcomer takes the place */
struct jwt_cache {
	unsigned char digest[JWT_CACHE_TOKENS][32];
};
int jwt_verify_cached(struct arena *a, struct jwt_cache *cache, const struct jwt_keys *keys, const char *const *algs,
		      const char *token, struct json **ret_claims);
void jwt_cache_clear(struct jwt_cache *cache);

/* The claims of a token that nobody has verified: only to learn who should. NULL: malformed. */
struct json *jwt_peek(struct arena *a, const char *token);

#endif
