/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/macros.h"

static void test_times(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: malformed */
	} cases[] = {{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
		     {"2020-02-29T23:59:59.123456789Z", "2020-02-29T23:59:59.123456Z"},
		     {"2020-01-01T01:00:00+01:00", "2020-01-01T00:00:00.000000Z"},
		     {"2020-01-01T00:00:00-00:30", "2020-01-01T00:30:00.000000Z"},
		     {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z"},
		     {"2021-02-29T00:00:00Z", NULL},
		     {"2020-13-01T00:00:00Z", NULL},
		     {"2020-00-01T00:00:00Z", NULL},
		     {"2020-01-01T24:00:00Z", NULL},
		     {"2020-01-01T00:00:60Z", NULL},
		     {"2020-01-01T00:00:00", NULL},
		     {"2020-01-01 00:00:00Z", NULL},
		     {"2020-01-01T00:00:00.Z", NULL},
		     {"2020-01-01T00:00:00Zx", NULL},
		     {"2020-01-01T00:00:00+1:00", NULL},
		     {"20-01-01T00:00:00Z", NULL},
		     {"", NULL},
		     {"x", NULL}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[TIME_RFC3339_MAX];
		int64_t ns;
		int r = time_parse(cases[i].in, &ns);
		if ((r == 0) != (cases[i].out != NULL))
			fail_msg("%s: %d", cases[i].in, r);
		if (r == 0)
			assert_string_equal(time_format_micro(ns, text), cases[i].out);
	}
	int64_t ns;
	assert_true(time_parse(NULL, &ns) < 0);
	assert_int_equal(time_parse("9999-12-31T23:59:59Z", &ns), 0);
	assert_true(ns == INT64_MAX);
	assert_int_equal(time_parse("0216-10-06T00:17:09.669794202Z", &ns), 0);
	assert_true(ns == INT64_MIN);
}

/* Every day that nanoseconds reach, at some time of it, is the C library's date. */
static void test_dates(void **state)
{
	(void)state;
	for (int64_t day = -106751; day < 106751; day++) {
		time_t t = day * 86400 + ((day * 7919) % 86400 + 86400) % 86400;
		struct tm tm;
		char theirs[TIME_RFC3339_MAX], ours[TIME_RFC3339_MAX];
		gmtime_r(&t, &tm);
		strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_string_equal(time_format(t * 1000000000, ours), theirs);
	}
}

static unsigned char next_byte;
static void counting(void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)p)[i] = next_byte++;
}
static int64_t fixed(void)
{
	return 5000000001;
}

static void test_simulated(void **state)
{
	(void)state;
	static const struct env_ops simulated = {fixed, fixed, counting};
	char uuid[UUID_LEN + 1], suffix[6];

	env = &simulated;
	assert_true(now_s() == 5 && now_ns() == 5000000001 && monotonic_ms() == 5000);
	uuid_make(uuid);
	assert_string_equal(uuid, "00010203-0405-4607-8809-0a0b0c0d0e0f");
	next_byte = 241; /* 243 and above are drawn again */
	random_suffix(suffix, 5);
	assert_int_equal(strlen(suffix), 5);
	assert_int_equal(strspn(suffix, "bcdfghjklmnpqrstvwxz2456789"), 5);
	assert_string_equal(suffix + 2, "bcd");
	env = &env_real;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_times), cmocka_unit_test(test_dates),
					   cmocka_unit_test(test_simulated)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
