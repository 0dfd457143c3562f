/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/jwt.h"

static void what_was_signed_verifies_and_nothing_else(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	struct json *claims = json_new(&a, JSON_OBJECT), *got;

	json_set_str(&a, claims, "sub", "someone");
	char *token = jwt_sign(&a, key, claims);
	assert_int_equal(jwt_verify(&a, key, token, &got), 0);
	assert_true(json_equal(got, claims));
	assert_int_equal(jwt_verify(&a, other, token, &got), -EKEYREJECTED);
	for (size_t i = 0; token[i]; i++) { /* each byte changed: never accepted with other claims */
		char kept = token[i];
		token[i] = kept == 'A' ? 'B' : 'A';
		assert_true(jwt_verify(&a, key, token, &got) < 0);
		token[i] = kept;
	}
	for (size_t n = strlen(token); n--;) {
		char kept = token[n];
		token[n] = 0;
		assert_true(jwt_verify(&a, key, token, &got) < 0);
		token[n] = kept;
	}
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

/* The header is the attacker's: it must not choose how the signature is judged. */
static void other_algorithms_are_refused(void **state)
{
	(void)state;
	static const char *const heads[] = {"{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"ES384\"}", "{}",
					    "{\"alg\":\"ES256\",\"crit\":[\"x\"]}"};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct json *claims = json_new(&a, JSON_OBJECT), *got;
	char *good = jwt_sign(&a, key, claims);

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		_cleanup_buf_ struct buf token = BUF_INIT;
		base64url_encode(&token, heads[i], strlen(heads[i]));
		buf_adds(&token, strchr(good, '.'));
		assert_int_equal(jwt_verify(&a, key, buf_str(&token), &got), -EKEYREJECTED);
		buf_clear(&token);
		base64url_encode(&token, heads[i], strlen(heads[i]));
		buf_adds(&token, ".e30.");
		assert_true(jwt_verify(&a, key, buf_str(&token), &got) < 0);
	}
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_signed_verifies_and_nothing_else),
	    cmocka_unit_test(other_algorithms_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
