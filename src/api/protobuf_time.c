/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3339 to and from seconds for the years 1 to 9999, which is more than int64 nanoseconds hold: certificates and
 * the like may say the year 9999.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/protobuf_internal.h"
#include "base/env.h"

#define SECONDS_MIN (-62135596800LL) /* 0001-01-01T00:00:00Z */
#define SECONDS_MAX 253402300799LL   /* 9999-12-31T23:59:59Z */

/* Days since 1970-01-01 of a date in the Gregorian calendar, counting years from March so that leap days come last. */
static int64_t days_of(int64_t y, int m, int d)
{
	int64_t era, doy;

	y -= m <= 2;
	era = y / 400;
	y -= era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + y * 365 + y / 4 - y / 100 + doy - 719468;
}

static void date_of(int64_t days, int *ret_y, int *ret_m, int *ret_d)
{
	int64_t era, doe, yoe, doy, mp;

	days += 719468;
	era = days / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*ret_d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_y = (int)(yoe + era * 400 + (*ret_m <= 2));
}

int protobuf_time_format(int64_t seconds, int64_t nanos, bool micro, char out[PROTOBUF_TIME_MAX])
{
	int64_t days, rest;
	int y, m, d, n;

	if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos > 999999999)
		return -EINVAL;
	days = (seconds - SECONDS_MIN) / 86400 + SECONDS_MIN / 86400;
	rest = seconds - days * 86400;
	date_of(days, &y, &m, &d);
	n = snprintf(out, PROTOBUF_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", y, m, d, (int)(rest / 3600),
		     (int)(rest / 60 % 60), (int)(rest % 60));
	if (micro)
		n += snprintf(out + n, PROTOBUF_TIME_MAX - (size_t)n, ".%06d", (int)(nanos / 1000));
	out[n] = 'Z';
	out[n + 1] = '\0';
	return 0;
}

/* The year alone may be beyond what time_parse() can say: it is parsed as one with the same calendar near to now. */
int protobuf_time_parse(const char *s, int64_t *ret_seconds, int64_t *ret_nanos)
{
	char near[64];
	int64_t ns, year = 0, same, rest;
	size_t len = strlen(s);

	if (len >= sizeof(near) || len < 5)
		return -EINVAL;
	for (int i = 0; i < 4; i++) {
		if (!isdigit((unsigned char)s[i]))
			return -EINVAL;
		year = year * 10 + (s[i] - '0');
	}
	if (year < 1)
		return -EINVAL;
	same = 1600 + year % 400; /* the calendar repeats every 400 years */
	same += same < 1700 ? 400 : 0;
	snprintf(near, sizeof(near), "%04d%s", (int)same, s + 4);
	if (time_parse(near, &ns) < 0)
		return -EINVAL;
	rest = ns % 1000000000;
	rest += rest < 0 ? 1000000000 : 0;
	*ret_nanos = rest;
	*ret_seconds = (ns - rest) / 1000000000 + (days_of(year, 1, 1) - days_of(same, 1, 1)) * 86400;
	return 0;
}
