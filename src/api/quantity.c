/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quantity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"

#define NANO 1000000000
#define NANO_CAP ((__int128)INT64_MAX * NANO)
/* No sane quantity is longer; it bounds the exact arithmetic below: 256 digits and the largest factors fit LIMBS. */
#define INPUT_BYTES_MAX 256
#define LIMBS 40 /* 32 bits each */

/* ---- a small exact natural number, for parsing only ---- */

struct natural {
	uint32_t limb[LIMBS];
};

static void multiply_add(struct natural *n, uint32_t by, uint32_t plus)
{
	uint64_t carry = plus;
	for (int i = 0; i < LIMBS; i++) {
		carry += (uint64_t)n->limb[i] * by;
		n->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

/* Returns the remainder. */
static uint32_t divide(struct natural *n, uint32_t by)
{
	uint64_t rest = 0;
	for (int i = LIMBS - 1; i >= 0; i--) {
		rest = rest << 32 | n->limb[i];
		n->limb[i] = (uint32_t)(rest / by);
		rest %= by;
	}
	return (uint32_t)rest;
}

static __int128 capped(const struct natural *n)
{
	unsigned __int128 v = 0;

	for (int i = LIMBS - 1; i >= 4; i--)
		if (n->limb[i])
			return NANO_CAP;
	for (int i = 3; i >= 0; i--)
		v = v << 32 | n->limb[i];
	return v > (unsigned __int128)NANO_CAP ? NANO_CAP : (__int128)v;
}

/* ---- suffixes ---- */

static const struct suffix {
	const char *text;
	enum quantity_format format;
	int exponent; /* of 10, or of 2 for the binary ones */
} suffixes[] = {
    {"", QUANTITY_DECIMAL_SI, 0},   {"n", QUANTITY_DECIMAL_SI, -9}, {"u", QUANTITY_DECIMAL_SI, -6},
    {"m", QUANTITY_DECIMAL_SI, -3}, {"k", QUANTITY_DECIMAL_SI, 3},  {"M", QUANTITY_DECIMAL_SI, 6},
    {"G", QUANTITY_DECIMAL_SI, 9},  {"T", QUANTITY_DECIMAL_SI, 12}, {"P", QUANTITY_DECIMAL_SI, 15},
    {"E", QUANTITY_DECIMAL_SI, 18}, {"Ki", QUANTITY_BINARY_SI, 10}, {"Mi", QUANTITY_BINARY_SI, 20},
    {"Gi", QUANTITY_BINARY_SI, 30}, {"Ti", QUANTITY_BINARY_SI, 40}, {"Pi", QUANTITY_BINARY_SI, 50},
    {"Ei", QUANTITY_BINARY_SI, 60},
};

static int parse_suffix(const char *s, struct suffix *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (str_eq(suffixes[i].text, s)) {
			*ret = suffixes[i];
			return 0;
		}
	if (*s != 'e' && *s != 'E')
		return -EINVAL;
	int64_t e;
	s += s[1] == '+' ? 2 : 1;
	int r = parse_i64(s, &e);
	if (r == -EINVAL)
		return -EINVAL;
	/* Beyond ±INPUT_BYTES_MAX + 40 every number is capped or the smallest: no larger exponent is told apart. */
	if (r == -ERANGE)
		e = *s == '-' ? INT64_MIN : INT64_MAX;
	*ret = (struct suffix){"", QUANTITY_DECIMAL_EXPONENT,
			       (int)MAX_OF(MIN_OF(e, INPUT_BYTES_MAX + 40), -(INPUT_BYTES_MAX + 40))};
	return 0;
}

int quantity_parse(const char *s, struct quantity *ret)
{
	struct natural n = {0};
	bool negative = false, zero = true, inexact = false;
	int n_digits = 0, significant = 0, fraction = 0;
	struct suffix suffix;

	if (!s || strlen(s) > INPUT_BYTES_MAX)
		return -EINVAL;
	if (*s == '+' || *s == '-')
		negative = *s++ == '-';
	bool after_point = false;
	for (; (*s >= '0' && *s <= '9') || (*s == '.' && !after_point); s++) {
		if (*s == '.') {
			after_point = true;
			continue;
		}
		multiply_add(&n, 10, (uint32_t)(*s - '0'));
		n_digits++;
		fraction += after_point;
		zero &= *s == '0';
		significant += !zero;
	}
	if (!n_digits || parse_suffix(s, &suffix) < 0)
		return -EINVAL;
	ret->format = suffix.format;
	ret->nano = 0;
	if (zero)
		return 0;
	int shift10 = 9 - fraction + (suffix.format == QUANTITY_BINARY_SI ? 0 : suffix.exponent);
	int shift2 = suffix.format == QUANTITY_BINARY_SI ? suffix.exponent : 0;
	if (significant + shift10 > 40) {
		ret->nano = negative ? -NANO_CAP : NANO_CAP;
		return 0;
	}
	for (; shift2 > 0; shift2 -= 10)
		multiply_add(&n, 1024, 0);
	for (; shift10 > 0; shift10--)
		multiply_add(&n, 10, 0);
	for (; shift10 < 0; shift10++)
		inexact |= divide(&n, 10) != 0;
	__int128 v = capped(&n);
	if (inexact && v < NANO_CAP)
		v++; /* up, away from zero: who asks for some gets some */
	ret->nano = negative ? -v : v;
	return 0;
}

int quantity_from_json(const struct json *v, struct quantity *ret)
{
	if (!v || v->type == JSON_NULL) {
		*ret = QUANTITY_ZERO;
		return 0;
	}
	if (v->type != JSON_STRING && v->type != JSON_NUMBER)
		return -EINVAL;
	return strlen(v->str) == v->len ? quantity_parse(v->str, ret) : -EINVAL;
}

/* ---- writing ---- */

static char *print_int(__int128 v, char out[QUANTITY_TEXT_MAX])
{
	char digits[QUANTITY_TEXT_MAX], *at = digits + sizeof(digits) - 1;
	unsigned __int128 u = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;

	*at = 0;
	do
		*--at = (char)('0' + (int)(u % 10));
	while (u /= 10);
	if (v < 0)
		*--at = '-';
	return strcpy(out, at);
}

static char *format_decimal(__int128 v, bool exponent_form, char out[QUANTITY_TEXT_MAX])
{
	int exponent = -9;

	while (v % 10 == 0) {
		v /= 10;
		exponent++;
	}
	while (exponent % 3 || (!exponent_form && exponent > 18)) {
		v *= 10;
		exponent--;
	}
	size_t n = strlen(print_int(v, out));
	if (exponent_form) {
		if (exponent)
			snprintf(out + n, QUANTITY_TEXT_MAX - n, "e%d", exponent);
		return out;
	}
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (suffixes[i].format == QUANTITY_DECIMAL_SI && suffixes[i].exponent == exponent)
			snprintf(out + n, QUANTITY_TEXT_MAX - n, "%s", suffixes[i].text);
	return out;
}

static char *format_binary(__int128 v, char out[QUANTITY_TEXT_MAX])
{
	static const char *const text[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	size_t k = 0;

	while (v % 1024 == 0 && k + 1 < ARRAY_SIZE(text)) {
		v /= 1024;
		k++;
	}
	return strcat(print_int(v, out), text[k]);
}

char *quantity_format(const struct quantity *q, char out[QUANTITY_TEXT_MAX])
{
	if (q->nano == 0)
		return strcpy(out, "0");
	__int128 whole = q->nano / NANO;
	/* Below 1024, or with a fraction, the binary form has nothing to say: decimal, so that nothing is lost. */
	if (q->format == QUANTITY_BINARY_SI && q->nano % NANO == 0 && (whole >= 1024 || whole <= -1024))
		return format_binary(whole, out);
	return format_decimal(q->nano, q->format == QUANTITY_DECIMAL_EXPONENT, out);
}

struct json *quantity_to_json(struct arena *a, const struct quantity *q)
{
	char text[QUANTITY_TEXT_MAX];
	return json_new_str(a, quantity_format(q, text));
}

struct quantity quantity_of_int(int64_t value, enum quantity_format format)
{
	return (struct quantity){(__int128)value * NANO, format};
}

struct quantity quantity_of_milli(int64_t milli, enum quantity_format format)
{
	return (struct quantity){(__int128)milli * (NANO / 1000), format};
}

/* ---- arithmetic; sums of capped values are capped again, so an overflow cannot come together ---- */

int quantity_compare(const struct quantity *a, const struct quantity *b)
{
	return a->nano < b->nano ? -1 : a->nano > b->nano;
}

static __int128 cap(__int128 v)
{
	return v > NANO_CAP ? NANO_CAP : v < -NANO_CAP ? -NANO_CAP : v;
}

void quantity_add(struct quantity *a, const struct quantity *b)
{
	if (a->nano == 0)
		a->format = b->format;
	a->nano = cap(a->nano + b->nano);
}

void quantity_sub(struct quantity *a, const struct quantity *b)
{
	if (a->nano == 0)
		a->format = b->format;
	a->nano = cap(a->nano - b->nano);
}

static int64_t in_units(const struct quantity *q, int64_t unit)
{
	__int128 v = q->nano / unit;

	if (q->nano % unit)
		v += q->nano > 0 ? 1 : -1;
	return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

int64_t quantity_value(const struct quantity *q)
{
	return in_units(q, NANO);
}

int64_t quantity_milli(const struct quantity *q)
{
	return in_units(q, NANO / 1000);
}
