/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quantity.h"
#include "testing.h"

static const struct {
	const char *in, *out; /* out NULL: malformed */
	int64_t value, milli;
} cases[] = {
    {"0", "0", 0, 0},
    {"-0", "0", 0, 0},
    {"0Mi", "0", 0, 0},
    {"1", "1", 1, 1000},
    {"+1", "1", 1, 1000},
    {"100m", "100m", 1, 100},
    {"0.5", "500m", 1, 500},
    {".5", "500m", 1, 500},
    {"5.", "5", 5, 5000},
    {"1.25", "1250m", 2, 1250},
    {"1000m", "1", 1, 1000},
    {"1500m", "1500m", 2, 1500},
    {"1Ki", "1Ki", 1024, 1024000},
    {"1024Mi", "1Gi", 1 << 30, (int64_t)1000 << 30},
    {"1.5Gi", "1536Mi", (int64_t)3 << 29, (int64_t)1500 << 30},
    {"0.1Gi", "107374182400m", 107374183, 107374182400},
    {"100Ki", "100Ki", 102400, 102400000},
    {"1023", "1023", 1023, 1023000},
    {"0.5Ki", "512", 512, 512000},
    {"1k", "1k", 1000, 1000000},
    {"1000k", "1M", 1000000, 1000000000},
    {"12345", "12345", 12345, 12345000},
    {"10000", "10k", 10000, 10000000},
    {"1e3", "1e3", 1000, 1000000},
    {"1E3", "1e3", 1000, 1000000},
    {"12e4", "120e3", 120000, 120000000},
    {"1e-3", "1e-3", 1, 1},
    {"1e+2", "100", 100, 100000},
    {"1E", "1E", 1000000000000000000, INT64_MAX},
    {"1n", "1n", 1, 1},
    {"0.1n", "1n", 1, 1},
    {"-0.1n", "-1n", -1, -1},
    {"1u", "1u", 1, 1},
    {"-1.5", "-1500m", -2, -1500},
    {"-2Ki", "-2Ki", -2048, -2048000},
    {"9223372036854775807", "9223372036854775807", INT64_MAX, INT64_MAX},
    {"9223372036854775808", "9223372036854775807", INT64_MAX, INT64_MAX},
    {"100E", "9223372036854775807", INT64_MAX, INT64_MAX},
    {"8Ei", "9223372036854775807", INT64_MAX, INT64_MAX},
    {"1e99999999999999999999", "9223372036854775807e0", INT64_MAX, INT64_MAX},
    {"1e-999999999999999999999", "1e-9", 1, 1},
    {"0.000000000000000000000000000000000000000000000000001Ki", "1n", 1, 1},
    {"0000000000000000000000000000000000000000000000000000000001", "1", 1, 1000},
    {"", NULL, 0, 0},
    {".", NULL, 0, 0},
    {"-", NULL, 0, 0},
    {"1.2.3", NULL, 0, 0},
    {"1K", NULL, 0, 0},
    {"1mi", NULL, 0, 0},
    {"1 ", NULL, 0, 0},
    {" 1", NULL, 0, 0},
    {"1e", NULL, 0, 0},
    {"1e1.5", NULL, 0, 0},
    {"1ee3", NULL, 0, 0},
    {"Ki", NULL, 0, 0},
    {"0x10", NULL, 0, 0},
    {"1Kib", NULL, 0, 0},
    {"--1", NULL, 0, 0},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct quantity q, again;
		char text[QUANTITY_TEXT_MAX];
		int r = quantity_parse(cases[i].in, &q);
		if ((r == 0) != (cases[i].out != NULL))
			fail_msg("\"%s\": %d", cases[i].in, r);
		if (r < 0)
			continue;
		quantity_format(&q, text);
		const char *want = str_has_suffix(cases[i].out, "e0") ? "9223372036854775807" : cases[i].out;
		if (strcmp(text, want) != 0 || quantity_value(&q) != cases[i].value ||
		    quantity_milli(&q) != cases[i].milli)
			fail_msg("\"%s\" gave %s, %lld, %lld", cases[i].in, text, (long long)quantity_value(&q),
				 (long long)quantity_milli(&q));
		assert_int_equal(quantity_parse(text, &again), 0);
		assert_int_equal(quantity_compare(&q, &again), 0);
	}
}

static struct quantity parsed(const char *s)
{
	struct quantity q;
	assert_int_equal(quantity_parse(s, &q), 0);
	return q;
}

static void test_arithmetic(void **state)
{
	char text[QUANTITY_TEXT_MAX];
	(void)state;

	struct quantity a = parsed("0"), b = parsed("1Gi"), c = parsed("512Mi"), half = parsed("500m");
	quantity_add(&a, &b);
	assert_string_equal(quantity_format(&a, text), "1Gi"); /* zero takes the other's format */
	quantity_sub(&a, &c);
	assert_string_equal(quantity_format(&a, text), "512Mi");
	assert_int_equal(quantity_compare(&a, &c), 0);
	assert_int_equal(quantity_compare(&half, &c), -1);
	assert_int_equal(quantity_compare(&c, &half), 1);
	quantity_add(&half, &half);
	assert_string_equal(quantity_format(&half, text), "1");
	a = parsed("9E");
	quantity_add(&a, &a);
	assert_true(quantity_value(&a) == INT64_MAX);
	a = quantity_of_int(2048, QUANTITY_BINARY_SI);
	assert_string_equal(quantity_format(&a, text), "2Ki");
	a = quantity_of_milli(1500, QUANTITY_DECIMAL_SI);
	assert_string_equal(quantity_format(&a, text), "1500m");
}

static void test_json(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct quantity q;
	char text[QUANTITY_TEXT_MAX];

	assert_int_equal(quantity_from_json(tree(&a, "2"), &q), 0);
	assert_string_equal(quantity_format(&q, text), "2");
	assert_int_equal(quantity_from_json(tree(&a, "0.25"), &q), 0);
	assert_string_equal(quantity_format(&q, text), "250m");
	assert_int_equal(quantity_from_json(NULL, &q), 0);
	assert_string_equal(quantity_format(&q, text), "0");
	assert_true(quantity_from_json(tree(&a, "true"), &q) < 0);
	assert_true(quantity_from_json(tree(&a, "{}"), &q) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_arithmetic),
					   cmocka_unit_test(test_json)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
