/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithms, as jwt.c and jwk.c know them. */
#ifndef PROA_SERVER_JWT_INTERNAL_H
#define PROA_SERVER_JWT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

enum jwt_family { JWT_RSA, JWT_PSS, JWT_EC };

struct jwt_alg {
	const char *name;
	enum jwt_family family;
	const char *digest;
	const char *curve, *group; /* EC: JWK's name and OpenSSL's */
	size_t coordinate;	   /* EC: bytes of r and s */
};

#define JWT_RSA_BITS_MIN 2048 /* RFC 7518, 3.3 */

const struct jwt_alg *jwt_alg_find(const char *name); /* NULL: no such, or not one of ours */
bool jwt_alg_fits(const struct jwt_alg *alg, void *key);

#endif
