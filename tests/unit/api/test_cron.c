/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "api/cron.h"
#include "testing.h"

#define ALL(n) ((1ull << (n)) - 1)

static void test_fields(void **state)
{
	(void)state;
	struct cron_schedule s;
	char why[CRON_ERROR_MAX];

	assert_int_equal(cron_parse("*/15 0-3,22 1,31 JAN-mar ?", &s, why), 0);
	assert_int_equal(s.minutes, 1 | 1ull << 15 | 1ull << 30 | 1ull << 45);
	assert_int_equal(s.hours, 0xf | 1ull << 22);
	assert_int_equal(s.days, 1ull << 1 | 1ull << 31);
	assert_int_equal(s.months, 0xe);
	assert_int_equal(s.weekdays, ALL(7));
	assert_true(s.any_weekday && !s.any_day && !s.every_s);
	assert_int_equal(cron_parse("5/20 * * * mon-FRI", &s, why), 0);
	assert_int_equal(s.minutes, 1ull << 5 | 1ull << 25 | 1ull << 45);
	assert_int_equal(s.weekdays, 0x3e);
	assert_true(s.any_day && !s.any_weekday);
	assert_int_equal(cron_parse("@weekly", &s, why), 0);
	assert_int_equal(s.weekdays, 1);
	assert_int_equal(cron_parse("@every 1m30s", &s, why), 0);
	assert_int_equal(s.every_s, 90);
}

static void test_mistakes(void **state)
{
	static const char *const bad[][2] = {
	    {"", "empty spec string"},
	    {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
	    {"* * * * * *", "expected exactly 5 fields, found 6"},
	    {"60 * * * *", "end of range is above maximum: 60"},
	    {"* * 0 * *", "beginning of range is below minimum: 0"},
	    {"* * * * 7", "end of range is above maximum: 7"},
	    {"5-1 * * * *", "beginning of range is beyond end of range: 5-1"},
	    {"*/0 * * * *", "step of range should be a positive number: */0"},
	    {"a * * * *", "failed to parse int from: a"},
	    {"* * * january *", "failed to parse int from: january"},
	    {"1- * * * *", "failed to parse int from"},
	    {"1/ * * * *", "failed to parse int from"},
	    {", * * * *", "a field is empty"},
	    {"99999999999999999999 * * * *", "failed to parse int from"},
	    {"@sometimes", "unrecognized descriptor: @sometimes"},
	    {"@every x", "failed to parse duration: x"},
	};
	(void)state;
	struct cron_schedule s;
	char why[CRON_ERROR_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(cron_parse(bad[i][0], &s, why), -EINVAL);
		expect_contains(why, bad[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields), cmocka_unit_test(test_mistakes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
