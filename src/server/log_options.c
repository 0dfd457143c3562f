/* SPDX-License-Identifier: Apache-2.0 */
#include "server/log_options.h"

#include <stdint.h>

#include "base/env.h"
#include "base/status.h"
#include "base/str.h"
#include "server/route.h"

static const struct number {
	const char *name;
	int64_t min;
	const char *below;
} numbers[] = {
    {"tailLines", 0, "must be greater than or equal to 0"},
    {"limitBytes", 1, "must be greater than 0"},
    {"sinceSeconds", 1, "must be greater than 0"},
};

static int check_numbers(const struct query *q, struct status *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int64_t n;
		const char *text = query_get(q, numbers[i].name);
		if (text && parse_int_range(text, INT64_MIN, INT64_MAX, &n) < 0)
			return status_set(err, 400, "strconv.ParseInt: parsing \"%.63s\": invalid syntax", text);
	}
	return 0;
}

static int check_time(const struct query *q, struct status *err)
{
	int64_t ns;
	const char *text = query_get(q, "sinceTime");
	if (!str_empty(text) && !str_eq(text, "null") && time_parse(text, &ns) < 0)
		return status_set(err, 400,
				  "parsing time \"%.63s\" as \"2006-01-02T15:04:05Z07:00\": cannot parse it as a time",
				  text);
	return 0;
}

static void check_stream(const struct query *q, struct status *err)
{
	static const char *const streams[] = {"All", "Stderr", "Stdout", NULL};
	const char *stream = query_get(q, "stream");
	if (str_empty(stream))
		return;
	if (!str_in(stream, streams))
		status_cause(err, "FieldValueNotSupported", "stream",
			     "Unsupported value: \"%.63s\": supported values: \"All\", \"Stderr\", \"Stdout\"", stream);
	if (!str_eq(stream, "All") && query_get(q, "tailLines"))
		status_cause(err, "FieldValueForbidden", "",
			     "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now");
}

int log_options_check(const struct query *q, const char *pod, struct status *err)
{
	bool since_seconds = query_get(q, "sinceSeconds"), since_time = !str_empty(query_get(q, "sinceTime"));
	if (check_numbers(q, err) < 0 || check_time(q, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int64_t n = 0;
		const char *text = query_get(q, numbers[i].name);
		/* Of two beginnings only the contradiction is told. */
		if (!text || (since_seconds && since_time && str_eq(numbers[i].name, "sinceSeconds")))
			continue;
		parse_int_range(text, INT64_MIN, INT64_MAX, &n);
		if (n < numbers[i].min)
			status_cause(err, "FieldValueInvalid", numbers[i].name, "Invalid value: %s: %s", text,
				     numbers[i].below);
	}
	if (since_seconds && since_time)
		status_cause(err, "FieldValueForbidden", "",
			     "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified");
	check_stream(q, err);
	return status_invalid(err, "", "PodLogOptions", pod);
}
