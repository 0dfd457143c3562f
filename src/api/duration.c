/* SPDX-License-Identifier: Apache-2.0 */
/* Go's time.Duration text: "1h2m3.5s", "300ms", "-1.5h". */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api/decode.h"
#include "base/macros.h"

static const struct {
	const char *name;
	long long ns;
} units[] = {{"ns", 1},	      {"us", 1000},	 {"\xc2\xb5s", 1000}, {"\xce\xbcs", 1000},
	     {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000}};

/* The unit at s, up to the next digit or point; its length, or 0. */
static size_t unit_at(const char *s, long long *ret_ns)
{
	size_t n = strcspn(s, ".0123456789");

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == n && memcmp(units[i].name, s, n) == 0) {
			*ret_ns = units[i].ns;
			return n;
		}
	return 0;
}

int duration_parse(const char *s, long long *ret_ns)
{
	bool negative = *s == '-';
	long long total = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (strcmp(s, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		long long whole = 0, unit = 0;
		double fraction = 0, place = 0.1;
		const char *start = s;
		for (; *s >= '0' && *s <= '9'; s++)
			if (__builtin_mul_overflow(whole, 10, &whole) ||
			    __builtin_add_overflow(whole, *s - '0', &whole))
				return -EINVAL;
		size_t digits = (size_t)(s - start);
		if (*s == '.')
			for (s++; *s >= '0' && *s <= '9'; s++, place /= 10, digits++)
				fraction += place * (*s - '0');
		size_t n = unit_at(s, &unit);
		if (!digits || !n)
			return -EINVAL;
		s += n;
		if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(total, whole, &total) ||
		    __builtin_add_overflow(total, (long long)(fraction * (double)unit + 0.5), &total))
			return -EINVAL;
	}
	*ret_ns = negative ? -total : total;
	return 0;
}

/* value / unit with its fraction, without trailing zeros */
static int print_fraction(char *out, size_t room, unsigned long long v, unsigned long long unit, const char *name)
{
	char fraction[24] = "";
	unsigned long long rest = v % unit;

	if (rest) {
		char *at = fraction;
		*at++ = '.';
		for (unsigned long long place = unit / 10; rest; place /= 10) {
			*at++ = (char)('0' + rest / place);
			rest %= place;
		}
		*at = 0;
	}
	return snprintf(out, room, "%llu%s%s", v / unit, fraction, name);
}

char *duration_format(long long ns, char out[DURATION_TEXT_MAX])
{
	unsigned long long v = ns < 0 ? 0 - (unsigned long long)ns : (unsigned long long)ns;
	char *at = out, *end = out + DURATION_TEXT_MAX;

	if (ns < 0)
		*at++ = '-';
	if (v == 0)
		snprintf(at, (size_t)(end - at), "0s");
	else if (v < 1000)
		snprintf(at, (size_t)(end - at), "%lluns", v);
	else if (v < 1000000)
		print_fraction(at, (size_t)(end - at), v, 1000, "\xc2\xb5s");
	else if (v < 1000000000)
		print_fraction(at, (size_t)(end - at), v, 1000000, "ms");
	else {
		unsigned long long minutes = v / 60000000000ull;
		if (minutes >= 60)
			at += snprintf(at, (size_t)(end - at), "%lluh", minutes / 60);
		if (minutes)
			at += snprintf(at, (size_t)(end - at), "%llum", minutes % 60);
		print_fraction(at, (size_t)(end - at), v % 60000000000ull, 1000000000, "s");
	}
	return out;
}
