/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"
#include "server/encryption.h"
#include "store/store.h"

#define SECRET_KEY "/registry/secrets/default/a"
#define CONFIG(providers)                                                                                              \
	"kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n"                          \
	"- resources: [secrets]\n  providers: " providers "\n"
/* 32 bytes 0, 1, 2 …; and 16 of 0xff */
#define KEY_A "{name: a, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}"
#define KEY_B "{name: b, secret: /////////////////////w==}"
#define AESGCM(keys) "{aesgcm: {keys: [" keys "]}}"

static const char plain_text[] = "{\"kind\":\"Secret\"}";

/* Made with another implementation of AES-GCM (Python's cryptography): nonce 0, 1, 2 … 11, the key's name
 * authenticated. */
static const char known[] =
    "k8s:enc:aesgcm:v1:a:"
    "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x3c\x20\xbd\x72\xab\x81\xe0\x21\xaf\x12\xf2\xe8\xc3\x8c\x0c\x4f"
    "\xfe\x10\x88\xc8\x29\x25\x77\xbb\x0a\x7c\x5f\xec\x96\x90\xe0\x35\x63";

/* The same by openssl enc -aes-256-cbc: 0, 1, 2 … 15, then the ciphertext. */
static const char known_cbc[] = "k8s:enc:aescbc:v1:a:"
				"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
				"\x1e\x99\xf4\x2a\x87\xdb\x9e\xf8\xab\x2a\x28\x9e\xfc\x82\x05\x8d"
				"\x9b\x6d\xf3\xc3\xb8\x06\x15\x7e\x27\x66\x3d\x65\x91\x24\xbb\x7a";

static struct encryption *config(const char *text)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct encryption *e = NULL;

	if (encryption_parse(text, strlen(text), &e, &err) < 0)
		fail_msg("%s", err.message);
	return e;
}

static int open_with(struct encryption *e, const char *key, const void *p, size_t len, struct bytes **ret, bool *stale)
{
	const struct store_codec *c = encryption_codec(e);
	char why[160] = "";
	int r;

	*ret = NULL;
	r = c->open(c->self, key, p, len, ret, stale, why, sizeof(why));
	assert_true((r < 0) == (why[0] != 0));
	return r;
}

static struct bytes *seal(struct encryption *e, const char *key)
{
	const struct store_codec *c = encryption_codec(e);
	_cleanup_bytes_ struct bytes *plain = bytes_new(plain_text, strlen(plain_text));
	struct bytes *sealed = NULL;

	assert_int_equal(c->seal(c->self, key, plain, &sealed), 0);
	return sealed;
}

static void reads_what_others_wrote(void **state)
{
	(void)state;
	struct encryption *e = config(CONFIG("[" AESGCM(KEY_A) "]"));
	_cleanup_bytes_ struct bytes *got = NULL;
	bool stale;

	assert_int_equal(open_with(e, SECRET_KEY, known, sizeof(known) - 1, &got, &stale), 0);
	assert_int_equal(got->len, strlen(plain_text));
	assert_memory_equal(got->data, plain_text, got->len);
	assert_false(stale);
	encryption_free(e);
}

static void reads_and_writes_aescbc(void **state)
{
	(void)state;
	struct encryption *e = config(CONFIG("[{aescbc: {keys: [" KEY_A "," KEY_B "]}}," AESGCM(KEY_A) "]"));
	struct bytes *got;
	bool stale;

	assert_int_equal(open_with(e, SECRET_KEY, known_cbc, sizeof(known_cbc) - 1, &got, &stale), 0);
	assert_false(stale);
	assert_int_equal(got->len, strlen(plain_text));
	assert_memory_equal(got->data, plain_text, got->len);
	bytes_unref(got);
	/* a key of another provider has the same name */
	assert_int_equal(open_with(e, SECRET_KEY, known, sizeof(known) - 1, &got, &stale), 0);
	assert_true(stale);
	bytes_unref(got);
	_cleanup_bytes_ struct bytes *sealed = seal(e, SECRET_KEY);
	assert_int_equal(sealed->len, sizeof(known_cbc) - 1);
	assert_memory_equal(sealed->data, known_cbc, strlen("k8s:enc:aescbc:v1:a:"));
	assert_null(memmem(sealed->data, sealed->len, "Secret", 6));
	assert_int_equal(open_with(e, SECRET_KEY, sealed->data, sealed->len, &got, &stale), 0);
	assert_memory_equal(got->data, plain_text, strlen(plain_text));
	bytes_unref(got);
	for (size_t n = 0; n < sealed->len; n++)
		assert_true(open_with(e, SECRET_KEY, sealed->data, n, &got, &stale) < 0);
	encryption_free(e);
	/* with a wrong key it may decrypt by chance, but not to an object */
	e = config(CONFIG("[{aescbc: {keys: [{name: a, secret: /////////////////////w==}]}}]"));
	for (int i = 0; i < 3000; i++) {
		sealed->data[sealed->len - 33] = (char)i; /* what the last block is mixed with */
		sealed->data[sealed->len - 34] = (char)(i >> 8);
		assert_int_equal(open_with(e, SECRET_KEY, sealed->data, sealed->len, &got, &stale), -ENOKEY);
	}
	encryption_free(e);
}

static void nothing_changed_is_accepted(void **state)
{
	(void)state;
	struct encryption *e = config(CONFIG("[" AESGCM(KEY_A) "]"));
	_cleanup_bytes_ struct bytes *sealed = seal(e, SECRET_KEY), *again = seal(e, SECRET_KEY);
	struct bytes *got;
	bool stale;

	assert_true(sealed->len == again->len && memcmp(sealed->data, again->data, sealed->len) != 0);
	assert_null(memmem(sealed->data, sealed->len, "Secret", 6));
	assert_int_equal(open_with(e, SECRET_KEY, sealed->data, sealed->len, &got, &stale), 0);
	bytes_unref(got);
	/* a value is worth nothing under another key, cut off, or with any bit changed */
	assert_int_equal(open_with(e, "/registry/secrets/default/b", sealed->data, sealed->len, &got, &stale), -ENOKEY);
	for (size_t n = 0; n < sealed->len; n++)
		assert_true(open_with(e, SECRET_KEY, sealed->data, n, &got, &stale) < 0);
	for (size_t i = 0; i < sealed->len; i++) {
		sealed->data[i] ^= 1;
		assert_true(open_with(e, SECRET_KEY, sealed->data, sealed->len, &got, &stale) < 0);
		sealed->data[i] ^= 1;
	}
	encryption_free(e);
}

static void the_first_key_writes_and_the_rest_is_stale(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		int plain, a; /* of a value written so: 0 fine, 1 stale, -1 refused */
	} cases[] = {
	    {CONFIG("[" AESGCM(KEY_A) ", {identity: {}}]"), 1, 0},
	    {CONFIG("[" AESGCM(KEY_B "," KEY_A) "]"), -1, 1},
	    {CONFIG("[" AESGCM(KEY_B) "," AESGCM(KEY_A) "]"), -1, 1},
	    {CONFIG("[" AESGCM(KEY_B) ", {identity: {}}]"), 1, -1},
	    {CONFIG("[{identity: {}}," AESGCM(KEY_A) "]"), 0, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct encryption *e = config(cases[i].config);
		struct bytes *got;
		bool stale = false;
		int r = open_with(e, SECRET_KEY, plain_text, strlen(plain_text), &got, &stale);
		assert_int_equal(r < 0 ? -1 : stale, cases[i].plain);
		assert_null(got); /* plain: as it is */
		r = open_with(e, SECRET_KEY, known, sizeof(known) - 1, &got, &stale);
		assert_int_equal(r < 0 ? -1 : stale, cases[i].a);
		bytes_unref(got);
		/* another resource is none of its business */
		assert_int_equal(
		    open_with(e, "/registry/configmaps/default/a", plain_text, strlen(plain_text), &got, &stale), 0);
		assert_false(stale);
		assert_null(seal(e, "/registry/configmaps/default/a"));
		encryption_free(e);
	}
}

static void resources_are_named_by_patterns(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *key;
		bool is;
	} cases[] = {
	    {"'*.*'", "/registry/configmaps/default/a", true},
	    {"'*.*'", "/registry/deployments/default/a", true},
	    {"'*.'", "/registry/configmaps/default/a", true},
	    {"'*.'", "/registry/deployments/default/a", false},
	    {"'*.apps'", "/registry/deployments/default/a", true},
	    {"deployments.apps", "/registry/deployments/default/a", true},
	    {"deployments", "/registry/deployments/default/a", false},
	    {"secrets", "/registry/configmaps/default/a", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[512];
		snprintf(text, sizeof(text),
			 "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n"
			 "- resources: [%s]\n  providers: [" AESGCM(KEY_A) "]\n",
			 cases[i].pattern);
		struct encryption *e = config(text);
		_cleanup_bytes_ struct bytes *sealed = seal(e, cases[i].key);
		assert_int_equal(sealed != NULL, cases[i].is);
		encryption_free(e);
	}
}

static void mistakes_are_named(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"kind: Secret", "must be EncryptionConfiguration"},
	    {"kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1", "resources: none are given"},
	    {CONFIG("[]"), "resources[0]: no providers"},
	    {CONFIG("[{kms: {}}]"), "resources[0].providers[0]: provider \"kms\" is not supported"},
	    {CONFIG("[{identity: {}, aesgcm: {}}]"), "exactly one"},
	    {CONFIG("[{secretbox: {keys: [" KEY_A "]}}]"),
	     "provider \"secretbox\" is not supported: use aesgcm, aescbc"},
	    {CONFIG("[" AESGCM("") "]"), "at least one key"},
	    {CONFIG("[" AESGCM("{name: 'a:b', secret: /////////////////////w==}") "]"), "without colons"},
	    {CONFIG("[" AESGCM("{name: a, secret: AAAA}") "]"), "16, 24 or 32 bytes"},
	    {CONFIG("[" AESGCM(KEY_A "," KEY_A) "]"), "keys[1]: two keys have the same name"},
	    {"a: [", "syntax"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct encryption *e = NULL;
		assert_int_equal(encryption_parse(cases[i][0], strlen(cases[i][0]), &e, &err), -1);
		assert_null(e);
		if (!strstr(err.message, cases[i][1]))
			fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_others_wrote),
	    cmocka_unit_test(reads_and_writes_aescbc),
	    cmocka_unit_test(nothing_changed_is_accepted),
	    cmocka_unit_test(the_first_key_writes_and_the_rest_is_stale),
	    cmocka_unit_test(resources_are_named_by_patterns),
	    cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
