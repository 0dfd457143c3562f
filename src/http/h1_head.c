/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_head.h"

#include <stdbool.h>
#include <string.h>

#define EMPTY_LINES_MAX 4 /* before a request */

static bool is_token(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* A line without its CR LF. */
static bool text_ok(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool field_ok(const char *p, size_t len)
{
	size_t i = 0;
	while (i < len && is_token((unsigned char)p[i]))
		i++;
	return i && i < len && p[i] == ':';
}

/* "METHOD SP target SP HTTP/1.x": exactly two spaces, no tabs. */
static bool request_line_ok(const char *p, size_t len)
{
	size_t spaces = 0;
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\t')
			return false;
		if (p[i] == ' ' && (i == 0 || i + 1 == len || p[i + 1] == ' '))
			return false;
		spaces += p[i] == ' ';
	}
	return spaces == 2;
}

enum h1_head_result h1_head_scan(struct h1_head_scan *s, const char *p, size_t len, enum h1_head_kind kind)
{
	for (;;) {
		const char *line = p + s->at;
		const char *lf = s->at < len ? memchr(line, '\n', len - s->at) : NULL;
		if (!lf)
			return H1_HEAD_MORE;
		if (lf == line || lf[-1] != '\r')
			return H1_HEAD_BAD;
		size_t n = (size_t)(lf - line) - 1;
		s->at += n + 2;
		if (!text_ok(line, n))
			return H1_HEAD_BAD;
		if (!n && !s->lines) {
			s->start = s->at;
			if (kind == H1_HEAD_RESPONSE || s->at > 2 * EMPTY_LINES_MAX)
				return H1_HEAD_BAD;
			continue;
		}
		if (!n)
			return H1_HEAD_DONE;
		if (s->lines ? !field_ok(line, n) : kind == H1_HEAD_REQUEST && !request_line_ok(line, n))
			return H1_HEAD_BAD;
		s->lines++;
	}
}
