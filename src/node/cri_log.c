/* SPDX-License-Identifier: Apache-2.0 */
#include "node/cri_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/macros.h"
#include "base/str.h"
#include "http/server.h"

int cri_log_parse(const char *line, size_t len, struct cri_log_line *ret)
{
	const char *end = line + len, *sp1 = memchr(line, ' ', len), *sp2, *sp3;
	char time[TIME_RFC3339_MAX];
	struct cri_log_line l = {.time = line};

	if (!sp1 || (size_t)(sp1 - line) >= sizeof(time))
		return -EINVAL;
	l.time_len = (size_t)(sp1 - line);
	memcpy(time, line, l.time_len);
	time[l.time_len] = 0;
	if (time_parse(time, &l.time_ns) < 0)
		return -EINVAL;
	sp2 = memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1));
	if (!sp2 || sp2 - sp1 != 7)
		return -EINVAL;
	if (memcmp(sp1 + 1, "stdout", 6) == 0)
		l.stream = CRI_LOG_STDOUT;
	else if (memcmp(sp1 + 1, "stderr", 6) == 0)
		l.stream = CRI_LOG_STDERR;
	else
		return -EINVAL;
	sp3 = memchr(sp2 + 1, ' ', (size_t)(end - sp2 - 1));
	if (!sp3)
		sp3 = end; /* an empty line may be written without the last space */
	if (sp3 == sp2 + 1 || (sp2[1] != 'F' && sp2[1] != 'P') || (sp3 > sp2 + 2 && sp2[2] != ':'))
		return -EINVAL;
	l.partial = sp2[1] == 'P';
	l.text = sp3 < end ? sp3 + 1 : end;
	l.text_len = (size_t)(end - l.text);
	*ret = l;
	return 0;
}

struct options_parse {
	struct log_options *o;
	int64_t now_ns;
	char *err;
	size_t err_len;
	bool bad, since_seen;
};

static void bad_option(struct options_parse *p, const char *name, const char *value, const char *why)
{
	if (!p->bad)
		snprintf(p->err, p->err_len, "%s: Invalid value: \"%.64s\": %s", name, value, why);
	p->bad = true;
}

static void parse_flag(struct options_parse *p, const char *name, const char *value, bool *ret)
{
	if (str_eq(value, "true") || str_eq(value, "1") || str_eq(value, ""))
		*ret = true;
	else if (str_eq(value, "false") || str_eq(value, "0"))
		*ret = false;
	else
		bad_option(p, name, value, "must be true or false");
}

static void parse_option(void *arg, const char *name, const char *value)
{
	struct options_parse *p = arg;
	struct log_options *o = p->o;
	int64_t n;

	if (str_eq(name, "follow")) {
		parse_flag(p, name, value, &o->follow);
	} else if (str_eq(name, "previous")) {
		parse_flag(p, name, value, &o->previous);
	} else if (str_eq(name, "timestamps")) {
		parse_flag(p, name, value, &o->timestamps);
	} else if (str_eq(name, "tailLines")) {
		if (parse_int_range(value, 0, INT64_MAX, &o->tail_lines) < 0)
			bad_option(p, name, value, "must be greater than or equal to 0");
	} else if (str_eq(name, "limitBytes")) {
		if (parse_int_range(value, 1, INT64_MAX, &o->limit_bytes) < 0)
			bad_option(p, name, value, "must be greater than 0");
	} else if (str_eq(name, "sinceSeconds")) {
		if (parse_int_range(value, 1, INT64_MAX / 2000000000, &n) < 0)
			bad_option(p, name, value, "must be greater than 0");
		else if (p->since_seen)
			bad_option(p, name, value, "at most one of `sinceTime` or `sinceSeconds` may be specified");
		else
			o->since_ns = p->now_ns - n * 1000000000;
		p->since_seen = true;
	} else if (str_eq(name, "sinceTime")) {
		if (time_parse(value, &n) < 0)
			bad_option(p, name, value, "must be an RFC 3339 time");
		else if (p->since_seen)
			bad_option(p, name, value, "at most one of `sinceTime` or `sinceSeconds` may be specified");
		else
			o->since_ns = n;
		p->since_seen = true;
	} else if (str_eq(name, "stream")) {
		o->want_stdout = str_eq(value, "Stdout") || str_eq(value, "All");
		o->want_stderr = str_eq(value, "Stderr") || str_eq(value, "All");
		if (!o->want_stdout && !o->want_stderr)
			bad_option(p, name, value, "supported values: \"All\", \"Stdout\", \"Stderr\"");
	}
}

int log_options_parse(const char *query, int64_t now_ns, struct log_options *ret, char *err, size_t err_len)
{
	struct log_options o = {.tail_lines = -1, .limit_bytes = -1, .want_stdout = true, .want_stderr = true};
	struct options_parse p = {.o = &o, .now_ns = now_ns, .err = err, .err_len = err_len};

	if (!http_query_each(query, parse_option, &p)) {
		snprintf(err, err_len, "the query cannot be decoded");
		return -EINVAL;
	}
	if (p.bad)
		return -EINVAL;
	*ret = o;
	return 0;
}

/* Whether the record that starts at data and has len bytes ends a line. */
static bool ends_line(const char *data, size_t len)
{
	struct cri_log_line l;

	return cri_log_parse(data, len, &l) < 0 || !l.partial;
}

size_t cri_log_tail(const char *data, size_t len, int64_t n, int64_t *ret_lines)
{
	int64_t lines = 0;
	size_t start = len; /* of the part that is taken */
	size_t end = len;

	while (end > 0) {
		const char *nl = memrchr(data, '\n', end - 1);
		size_t at = nl ? (size_t)(nl - data) + 1 : 0;

		if (ends_line(data + at, end - at - (data[end - 1] == '\n'))) {
			if (lines == n)
				break;
			lines++;
		} else if (start == len) {
			lines++; /* the unfinished end */
			if (lines > n)
				break;
		}
		start = at;
		end = at;
	}
	*ret_lines = MIN_OF(lines, n);
	return start;
}
