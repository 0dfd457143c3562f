/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t real_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t real_monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void real_random(void *p, size_t len)
{
	char *at = p;
	while (len) {
		ssize_t n = getrandom(at, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		at += n;
		len -= (size_t)n;
	}
}

const struct env_ops env_real = {real_now_ns, real_monotonic_ns, real_random};
const struct env_ops *env = &env_real;

#define DAY_S 86400
#define ERA_DAYS 146097 /* 400 years, after which the calendar repeats */

/*
 * Days since 1970-01-01 to a date. Not gmtime(), which first reads and parses /etc/localtime: as much as the rest of
 * what a short command does. Years are counted from March, so that a leap day is a year's last.
 */
static void date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t from_march_0000 = days + 719468, era = from_march_0000 / ERA_DAYS, in_era = from_march_0000 % ERA_DAYS;
	if (in_era < 0) {
		in_era += ERA_DAYS;
		era--;
	}
	/* Leap days before this day of the era: one in 4 years, not in 100, the last of the era again. */
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (ERA_DAYS - 1)) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * in_year + 2) / 153; /* five months from March have 153 days, and so have the next */
	*ret_day = (int)(in_year - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = (int)(400 * era + year + (month >= 10));
}

static char *format(int64_t ns, int digits, char out[TIME_RFC3339_MAX])
{
	int64_t s = ns / 1000000000, rest = ns % 1000000000;
	if (rest < 0) {
		rest += 1000000000;
		s--;
	}
	int64_t days = s / DAY_S, second = s % DAY_S;
	if (second < 0) {
		second += DAY_S;
		days--;
	}
	int year, month, day;
	date_of(days, &year, &month, &day);
	size_t n = (size_t)snprintf(out, TIME_RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
				    (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
	if (digits == 6)
		n += (size_t)snprintf(out + n, TIME_RFC3339_MAX - n, ".%06d", (int)(rest / 1000));
	else if (digits == 9)
		n += (size_t)snprintf(out + n, TIME_RFC3339_MAX - n, ".%09d", (int)rest);
	snprintf(out + n, TIME_RFC3339_MAX - n, "Z");
	return out;
}

char *time_format(int64_t ns, char out[TIME_RFC3339_MAX])
{
	return format(ns, 0, out);
}

char *time_format_micro(int64_t ns, char out[TIME_RFC3339_MAX])
{
	return format(ns, 6, out);
}

char *time_format_nano(int64_t ns, char out[TIME_RFC3339_MAX])
{
	return format(ns, 9, out);
}

/* n decimal digits, or -1 */
static int digits(const char **s, int n)
{
	int v = 0;
	while (n--) {
		if (**s < '0' || **s > '9')
			return -1;
		v = v * 10 + *(*s)++ - '0';
	}
	return v;
}

int time_parse(const char *s, int64_t *ret_ns)
{
	static const char after[] = "--T::";
	static const int width[] = {4, 2, 2, 2, 2, 2};
	static const int max[] = {9999, 12, 31, 23, 59, 59};
	int f[6];

	if (!s)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		f[i] = digits(&s, width[i]);
		if (f[i] < 0 || f[i] > max[i] || ((i == 1 || i == 2) && f[i] == 0))
			return -EINVAL;
		if (i < 5 && *s++ != after[i])
			return -EINVAL;
	}
	int64_t frac = 0;
	if (*s == '.') {
		int64_t unit = 100000000;
		s++;
		if (*s < '0' || *s > '9')
			return -EINVAL;
		for (; *s >= '0' && *s <= '9'; s++, unit /= 10)
			frac += unit * (*s - '0');
	}
	int offset = 0;
	if (*s == '+' || *s == '-') {
		int sign = *s++ == '-' ? -1 : 1, h = digits(&s, 2);
		if (h < 0 || h > 23 || *s++ != ':')
			return -EINVAL;
		int m = digits(&s, 2);
		if (m < 0 || m > 59)
			return -EINVAL;
		offset = sign * (h * 3600 + m * 60);
	} else if (*s++ != 'Z') {
		return -EINVAL;
	}
	if (*s)
		return -EINVAL;
	struct tm tm = {.tm_year = f[0] - 1900,
			.tm_mon = f[1] - 1,
			.tm_mday = f[2],
			.tm_hour = f[3],
			.tm_min = f[4],
			.tm_sec = f[5]};
	time_t t = timegm(&tm);
	if (tm.tm_mday != f[2])
		return -EINVAL; /* 31 February */
	int64_t ns;
	if (__builtin_mul_overflow((int64_t)t - offset, (int64_t)1000000000, &ns) ||
	    __builtin_add_overflow(ns, frac, &ns))
		ns = t < 0 ? INT64_MIN : INT64_MAX;
	*ret_ns = ns;
	return 0;
}

void uuid_make(char out[UUID_LEN + 1])
{
	unsigned char b[16];

	env->random(b, sizeof(b));
	b[6] = (unsigned char)(0x40 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	snprintf(out, UUID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

void random_suffix(char *out, size_t n)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789"; /* 27 */

	for (size_t i = 0; i < n;) {
		unsigned char b;
		env->random(&b, 1);
		if (b < 243) /* 9 × 27: no bias */
			out[i++] = alphabet[b % 27];
	}
	out[n] = 0;
}
