/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens by the distribution project's token specification (GET, and POST as OAuth2), and basic authentication.
 */
#ifndef PROA_IMAGE_REGISTRY_AUTH_H
#define PROA_IMAGE_REGISTRY_AUTH_H

#include "image/challenge.h"
#include "image/registry.h"

#define TOKEN_BYTES_MAX (1u << 20) /* of an answer; real tokens have a few kB */
#define TOKEN_S_DEFAULT 60	   /* the specification's, when the answer doesn't say */
#define TOKEN_S_SPARE 10	   /* renewed before its time, as requests are under way for a while */

/* The Authorization header to begin with, or NULL; the caller's to free. */
char *registry_auth_header(struct registry_auth *a);
/*
 * Gets what the challenge asks for. 0, or -EACCES and others with a reason; -EACCES also when nothing better than what
 * was refused is to be had.
 */
int registry_auth_answer(struct registry_auth *a, struct registry *r, const struct challenge *c, char *err,
			 size_t err_len);

#endif
