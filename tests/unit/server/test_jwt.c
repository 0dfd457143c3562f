/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/jwt.h"

static struct jwt_keys one_key(const char *type)
{
	struct jwt_keys k = {.n = 0};

	jwt_keys_add(&k, strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen(type), NULL, NULL);
	return k;
}

static void what_was_signed_verifies_and_nothing_else(void **state)
{
	(void)state;
	static const char *const types[] = {"P-256", "P-384", "P-521", "RSA"};

	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct jwt_keys keys = one_key(types[t]), others = one_key("P-256"), published = {.n = 0};
		struct json *claims = json_new(&a, JSON_OBJECT), *got;

		json_set_str(&a, claims, "sub", "someone");
		char *token = jwt_sign(&a, &keys.at[0], claims);
		assert_int_equal(jwt_verify(&a, &keys, jwt_algorithms, token, &got), 0);
		assert_true(json_equal(got, claims));
		assert_int_equal(jwt_verify(&a, &others, jwt_algorithms, token, &got), -ENOKEY);
		assert_true(json_equal(jwt_peek(&a, token), claims));
		/* what is published verifies as well */
		assert_int_equal(jwt_keys_parse(&published, jwt_key_set(&a, &keys)), 0);
		assert_int_equal(published.n, 1);
		assert_int_equal(jwt_verify(&a, &published, jwt_algorithms, token, &got), 0);
		for (size_t i = 0; t == 0 && token[i]; i++) { /* each byte changed: never accepted with other claims */
			char kept = token[i];
			token[i] = kept == 'A' ? 'B' : 'A';
			assert_true(jwt_verify(&a, &keys, jwt_algorithms, token, &got) < 0);
			token[i] = kept;
		}
		for (size_t n = strlen(token); t == 0 && n--;) {
			char kept = token[n];
			token[n] = 0;
			assert_true(jwt_verify(&a, &keys, jwt_algorithms, token, &got) < 0);
			token[n] = kept;
		}
		jwt_keys_release(&keys);
		jwt_keys_release(&others);
		jwt_keys_release(&published);
	}
}

static char *with_head(struct arena *a, const char *head, const char *token)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	base64url_encode(&b, head, strlen(head));
	buf_adds(&b, strchr(token, '.'));
	return arena_strdup(a, buf_str(&b));
}

/* The header is the attacker's: it must not choose how the signature is judged. */
static void other_algorithms_are_refused(void **state)
{
	(void)state;
	static const char *const heads[] = {"{\"alg\":\"none\"}",
					    "{\"alg\":\"HS256\"}",
					    "{\"alg\":\"ES384\"}",
					    "{\"alg\":\"RS256\"}",
					    "{}",
					    "{\"alg\":\"ES256\",\"crit\":[\"x\"]}"};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct jwt_keys keys = one_key("P-256");
	struct json *claims = json_new(&a, JSON_OBJECT), *got;
	char *good = jwt_sign(&a, &keys.at[0], claims);

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		assert_int_equal(jwt_verify(&a, &keys, jwt_algorithms, with_head(&a, heads[i], good), &got),
				 -EKEYREJECTED);
		assert_true(jwt_verify(&a, &keys, jwt_algorithms, with_head(&a, heads[i], ".e30."), &got) < 0);
	}
	assert_int_equal(jwt_verify(&a, &keys, (const char *const[]){"RS256", NULL}, good, &got), -EKEYREJECTED);
	jwt_keys_release(&keys);
}

/* HS256 with the public key's text as its secret: the classic way to forge a token for a careless verifier. */
static void a_public_key_is_no_secret(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf token = BUF_INIT;
	struct jwt_keys keys = one_key("RSA");
	struct json *got;
	BIO *b = BIO_new(BIO_s_mem());
	char *pem;
	unsigned char mac[64];
	unsigned len;

	PEM_write_bio_PUBKEY(b, keys.at[0].key);
	long pem_len = BIO_get_mem_data(b, &pem);
	base64url_encode(&token, "{\"alg\":\"HS256\"}", 15);
	buf_adds(&token, ".e30");
	HMAC(EVP_sha256(), pem, (int)pem_len, (unsigned char *)token.data, token.len, mac, &len);
	buf_addc(&token, '.');
	base64url_encode(&token, mac, len);
	assert_int_equal(jwt_verify(&a, &keys, jwt_algorithms, buf_str(&token), &got), -EKEYREJECTED);
	BIO_free(b);
	jwt_keys_release(&keys);
}

static void key_ids_and_purposes_are_kept_to(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct jwt_keys keys = {.n = 0}, sets = {.n = 0};
	struct json *claims = json_new(&a, JSON_OBJECT), *got, *set;
	static const char text[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":"
				   "\"AQAB\",\"e\":\"AQAB\"},"
				   "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"EC\",\"crv\":\"P-256\","
				   "\"x\":\"AQ\",\"y\":\"AQ\"},"
				   "{\"kty\":\"EC\",\"crv\":\"P-999\"},{},7]}";

	jwt_keys_add(&keys, EVP_EC_gen("P-256"), "a", NULL);
	jwt_keys_add(&keys, EVP_EC_gen("P-256"), "b", "ES384"); /* it says what it is for, and that is nothing */
	char *token = jwt_sign(&a, &keys.at[0], claims);
	assert_int_equal(jwt_verify(&a, &keys, jwt_algorithms, token, &got), 0);
	assert_int_equal(jwt_verify(&a, &keys, jwt_algorithms, with_head(&a, "{\"alg\":\"ES256\"}", token), &got),
			 -EKEYREJECTED); /* another head is another text */
	assert_int_equal(
	    jwt_verify(&a, &keys, jwt_algorithms, with_head(&a, "{\"alg\":\"ES256\",\"kid\":\"c\"}", token), &got),
	    -ENOKEY);
	assert_int_equal(jwt_verify(&a, &keys, jwt_algorithms, jwt_sign(&a, &keys.at[1], claims), &got), -EKEYREJECTED);
	/* of a hostile set nothing is taken that could not verify anything safely */
	assert_int_equal(json_parse(&a, text, strlen(text), &set, NULL), 0);
	assert_int_equal(jwt_keys_parse(&sets, set), 0);
	assert_int_equal(sets.n, 0);
	assert_int_equal(jwt_keys_parse(&sets, claims), -EINVAL);
	jwt_keys_release(&keys);
}

static void a_cache_knows_what_was_verified_and_nothing_else(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	static struct jwt_cache cache;
	struct jwt_keys keys = one_key("P-256"), others = one_key("P-256");
	struct json *claims = json_new(&a, JSON_OBJECT), *got;

	json_set_str(&a, claims, "sub", "someone");
	char *token = jwt_sign(&a, &keys.at[0], claims);
	assert_int_equal(jwt_verify_cached(&a, &cache, &others, jwt_algorithms, token, &got), -ENOKEY);
	assert_int_equal(jwt_verify_cached(&a, &cache, &keys, jwt_algorithms, token, &got), 0);
	/* now it is known, whatever keys there are: that is why it must be cleared */
	assert_int_equal(jwt_verify_cached(&a, &cache, &others, jwt_algorithms, token, &got), 0);
	assert_true(json_equal(got, claims));
	for (size_t i = 0; token[i]; i++) {
		char kept = token[i];
		token[i] = kept == 'A' ? 'B' : 'A';
		assert_true(jwt_verify_cached(&a, &cache, &keys, jwt_algorithms, token, &got) < 0);
		token[i] = kept;
	}
	jwt_cache_clear(&cache);
	assert_int_equal(jwt_verify_cached(&a, &cache, &others, jwt_algorithms, token, &got), -ENOKEY);
	jwt_keys_release(&keys);
	jwt_keys_release(&others);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_cache_knows_what_was_verified_and_nothing_else),
	    cmocka_unit_test(what_was_signed_verifies_and_nothing_else),
	    cmocka_unit_test(other_algorithms_are_refused),
	    cmocka_unit_test(a_public_key_is_no_secret),
	    cmocka_unit_test(key_ids_and_purposes_are_kept_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
