/* SPDX-License-Identifier: Apache-2.0 */
/* A set of keys as an issuer publishes it, and in the next line a token: what is verified was signed by one of them. */
/* sources: server/jwt.c server/jwk.c */
/* libs: -lcrypto */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "server/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const es256[] = {"ES256", NULL};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct jwt_keys keys = {0};
	struct json *set, *claims = NULL;
	struct json_error bad;
	const uint8_t *end = memchr(data, '\n', size);
	size_t len = end ? (size_t)(end - data) : size;
	const char *token = end ? arena_strndup(&a, (const char *)end + 1, size - len - 1) : "";

	if (json_parse(&a, (const char *)data, len, &set, &bad) == 0)
		jwt_keys_parse(&keys, set);
	assert(keys.n <= JWT_KEYS_MAX);
	json_to_string(&a, jwt_key_set(&a, &keys));
	struct json *peek = jwt_peek(&a, token);
	if (jwt_verify(&a, &keys, es256, token, &claims) == 0)
		assert(keys.n && peek && json_equal(peek, claims));
	if (jwt_verify(&a, &keys, jwt_algorithms, token, &claims) == 0)
		assert(keys.n && peek);
	jwt_keys_release(&keys);
	return 0;
}
