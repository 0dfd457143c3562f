/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t want;
	} cases[] = {{"0", 0, 0},
		     {"-1", 0, -1},
		     {"9223372036854775807", 0, INT64_MAX},
		     {"-9223372036854775808", 0, INT64_MIN},
		     {"9223372036854775808", -ERANGE, 0},
		     {"-9223372036854775809", -ERANGE, 0},
		     {"99999999999999999999", -ERANGE, 0},
		     {"", -EINVAL, 0},
		     {"-", -EINVAL, 0},
		     {"+1", -EINVAL, 0},
		     {" 1", -EINVAL, 0},
		     {"1 ", -EINVAL, 0},
		     {"1x", -EINVAL, 0},
		     {"--1", -EINVAL, 0},
		     {"007", 0, 7}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t n = 0;
		if (parse_i64(cases[i].text, &n) != cases[i].result || n != cases[i].want)
			fail_msg("%s: %lld", cases[i].text, (long long)n);
	}
	int64_t n;
	assert_int_equal(parse_int_range("5", 1, 4, &n), -ERANGE);
	assert_int_equal(parse_i64(NULL, &n), -EINVAL);
}

/* RFC 4648 section 10 */
static void test_base64(void **state)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = {{"", ""},
		     {"f", "Zg=="},
		     {"fo", "Zm8="},
		     {"foo", "Zm9v"},
		     {"foob", "Zm9vYg=="},
		     {"fooba", "Zm9vYmE="},
		     {"foobar", "Zm9vYmFy"}};
	static const char *const bad[] = {
	    "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z g=", "=", "====", "Zm9v=", "Zm9vY==="};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT, back = BUF_INIT;
		base64_encode(&b, cases[i].plain, strlen(cases[i].plain));
		assert_string_equal(buf_str(&b), cases[i].coded);
		assert_int_equal(base64_decode(&back, cases[i].coded, strlen(cases[i].coded)), 0);
		assert_string_equal(buf_str(&back), cases[i].plain);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		if (base64_decode(&b, bad[i], strlen(bad[i])) != -EINVAL)
			fail_msg("%s is accepted", bad[i]);
	}
	_cleanup_buf_ struct buf b = BUF_INIT;
	base64url_encode(&b, "\xfb\xff", 2);
	assert_string_equal(buf_str(&b), "-_8");
	buf_clear(&b);
	assert_int_equal(base64url_decode(&b, "-_8", 3), 0);
	assert_memory_equal(b.data, "\xfb\xff", 2);
}

static void test_percent(void **state)
{
	char text[] = "a%20b%2Fc+d", bad[] = "a%2", zero[] = "%00", alone[] = "%";
	_cleanup_buf_ struct buf b = BUF_INIT;
	(void)state;
	assert_int_equal(percent_decode(text, true), 7);
	assert_string_equal(text, "a b/c d");
	assert_int_equal(percent_decode(bad, false), -EINVAL);
	assert_int_equal(percent_decode(zero, false), -EINVAL);
	assert_int_equal(percent_decode(alone, false), -EINVAL);
	percent_encode(&b, "a b/~\xc3");
	assert_string_equal(buf_str(&b), "a%20b%2F~%C3");
}

static void test_utf8(void **state)
{
	(void)state;
	assert_true(utf8_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
	assert_false(utf8_valid("\xc3", 1));
	assert_false(utf8_valid("\xe2\x82", 2));
	assert_false(utf8_valid("\xc1\xbf", 2));
	assert_false(utf8_valid("\xed\xbf\xbf", 3));
	assert_false(utf8_valid("\xf5\x80\x80\x80", 4));
	assert_false(utf8_valid("\xe0\x9f\xbf", 3));
}

static void test_small(void **state)
{
	static const char *const set[] = {"a", "b", NULL};
	(void)state;
	assert_true(str_eq(NULL, NULL) && !str_eq("a", NULL) && str_eq("a", "a"));
	assert_true(str_has_prefix("abc", "ab") && !str_has_prefix("a", "ab") && !str_has_prefix(NULL, "a"));
	assert_true(str_has_suffix("abc", "bc") && !str_has_suffix("c", "bc"));
	assert_string_equal(str_after("a=b", "a="), "b");
	assert_true(str_in("b", set) && !str_in("c", set) && !str_in(NULL, set));
	/* published FNV-1a test values */
	assert_true(fnv32a("", 0) == 0x811c9dc5u && fnv32a("foobar", 6) == 0xbf9cf968u);
	assert_true(fnv64a("foobar", 6) == 0x85944171f73967e8ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_base64),
					   cmocka_unit_test(test_percent), cmocka_unit_test(test_utf8),
					   cmocka_unit_test(test_small)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
