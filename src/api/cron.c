/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cron.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/decode.h"
#include "base/macros.h"
#include "base/str.h"

#define FIELDS 5

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
					  "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct {
	int min, max;
	const char *const *names;
} fields[FIELDS] = {{0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, month_names}, {0, 6, day_names}};

static const struct {
	const char *name, *fields;
} macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

static int fail(char *error, const char *what, const char *s, size_t n)
{
	snprintf(error, CRON_ERROR_MAX, "%s: %.*s", what, (int)MIN_OF(n, (size_t)80), s);
	return -EINVAL;
}

/* A number or name of exactly n characters. */
static int parse_number(const char *s, size_t n, const char *const *names, int *ret, char *error)
{
	int value = 0;

	for (int i = 0; names && names[i]; i++)
		if (n == strlen(names[i]) && strncasecmp(s, names[i], n) == 0) {
			*ret = i + (names == month_names);
			return 0;
		}
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || value > 9999)
			return fail(error, "failed to parse int from", s, n);
		value = value * 10 + s[i] - '0';
	}
	if (!n)
		return fail(error, "failed to parse int from", s, n);
	*ret = value;
	return 0;
}

/* One element of the list: n characters at s. */
static int parse_range(const char *s, size_t n, int field, uint64_t *bits, bool *any, char *error)
{
	const char *slash = memchr(s, '/', n);
	size_t len = slash ? (size_t)(slash - s) : n;
	const char *hyphen = memchr(s, '-', len);
	int from = fields[field].min, to = fields[field].max, step = 1;

	if (len == 1 && (*s == '*' || *s == '?')) {
		if (!slash)
			*any = true;
	} else {
		size_t first = hyphen ? (size_t)(hyphen - s) : len;
		if (parse_number(s, first, fields[field].names, &from, error) < 0)
			return -EINVAL;
		if (hyphen && parse_number(hyphen + 1, len - first - 1, fields[field].names, &to, error) < 0)
			return -EINVAL;
		if (!hyphen && !slash)
			to = from;
	}
	if (slash && parse_number(slash + 1, n - len - 1, NULL, &step, error) < 0)
		return -EINVAL;
	if (from < fields[field].min)
		return fail(error, "beginning of range is below minimum", s, n);
	if (to > fields[field].max)
		return fail(error, "end of range is above maximum", s, n);
	if (from > to)
		return fail(error, "beginning of range is beyond end of range", s, n);
	if (!step)
		return fail(error, "step of range should be a positive number", s, n);
	if (slash && step == 1 && len == 1 && (*s == '*' || *s == '?'))
		*any = true;
	for (int i = from; i <= to; i += step)
		*bits |= 1ull << i;
	return 0;
}

static int parse_field(const char *s, size_t n, int field, uint64_t *bits, bool *any, char *error)
{
	bool some = false;

	for (;;) {
		const char *comma = memchr(s, ',', n);
		size_t len = comma ? (size_t)(comma - s) : n;
		/* Empty elements are skipped, as Go's FieldsFunc does, but not an empty list. */
		if (len && parse_range(s, len, field, bits, any, error) < 0)
			return -EINVAL;
		some |= len > 0;
		if (!comma)
			return some ? 0 : fail(error, "a field is empty", s, n);
		s += len + 1;
		n -= len + 1;
	}
}

static int parse_every(const char *text, struct cron_schedule *ret, char *error)
{
	long long ns;

	if (duration_parse(text, &ns) < 0)
		return fail(error, "failed to parse duration", text, strlen(text));
	ret->every_s = MAX_OF(ns / 1000000000, 1);
	return 0;
}

static int parse_fields(const char *text, struct cron_schedule *ret, char *error)
{
	uint64_t *const bits[FIELDS] = {&ret->minutes, &ret->hours, &ret->days, &ret->months, &ret->weekdays};
	bool any[FIELDS] = {false};
	const char *starts[FIELDS];
	size_t lens[FIELDS], n = 0;

	for (const char *s = text + strspn(text, " \t"); *s; n++) {
		size_t len = strcspn(s, " \t");
		if (n < FIELDS) {
			starts[n] = s;
			lens[n] = len;
		}
		s += len;
		s += strspn(s, " \t");
	}
	if (n != FIELDS) {
		snprintf(error, CRON_ERROR_MAX, "expected exactly %d fields, found %zu: [%.80s]", FIELDS, n, text);
		return -EINVAL;
	}
	for (int i = 0; i < FIELDS; i++)
		if (parse_field(starts[i], lens[i], i, bits[i], &any[i], error) < 0)
			return -EINVAL;
	ret->any_day = any[2];
	ret->any_weekday = any[4];
	return 0;
}

int cron_parse(const char *text, struct cron_schedule *ret, char error[CRON_ERROR_MAX])
{
	*ret = (struct cron_schedule){0};
	if (!*text) {
		snprintf(error, CRON_ERROR_MAX, "empty spec string");
		return -EINVAL;
	}
	if (*text != '@')
		return parse_fields(text, ret, error);
	for (size_t i = 0; i < ARRAY_SIZE(macros); i++)
		if (str_eq(macros[i].name, text))
			return parse_fields(macros[i].fields, ret, error);
	if (str_has_prefix(text, "@every "))
		return parse_every(text + strlen("@every "), ret, error);
	return fail(error, "unrecognized descriptor", text, strlen(text));
}
