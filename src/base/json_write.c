/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_word.h"

/* The first byte from s on that is to be escaped, or end. */
static const char *plain_end(const char *s, const char *end)
{
	for (uint64_t ends; end - s >= 8; s += 8)
		if ((ends = json_word_ends(json_word(s))))
			return s + json_word_first(ends);
	while (s < end && (unsigned char)*s >= 0x20 && *s != '"' && *s != '\\')
		s++;
	return s;
}

void json_write_string(struct buf *out, const char *s, size_t len)
{
	const char *end = s + len, *plain = s;

	buf_addc(out, '"');
	while ((s = plain_end(s, end)) < end) {
		unsigned char c = (unsigned char)*s;
		buf_add(out, plain, (size_t)(s - plain));
		plain = ++s;
		switch (c) {
		case '"':
			buf_adds(out, "\\\"");
			break;
		case '\\':
			buf_adds(out, "\\\\");
			break;
		case '\n':
			buf_adds(out, "\\n");
			break;
		case '\r':
			buf_adds(out, "\\r");
			break;
		case '\t':
			buf_adds(out, "\\t");
			break;
		default:
			buf_addf(out, "\\u%04x", c);
		}
	}
	buf_add(out, plain, (size_t)(end - plain));
	buf_addc(out, '"');
}

static void newline(struct buf *out, int indent)
{
	buf_addc(out, '\n');
	for (int i = 0; i < indent; i++)
		buf_adds(out, "  ");
}

/* indent < 0: compact */
static void write_value(struct buf *out, const struct json *v, int indent)
{
	switch (v ? (enum json_type)v->type : JSON_NULL) {
	case JSON_NULL:
		buf_add(out, "null", 4);
		return;
	case JSON_BOOL:
		buf_adds(out, v->boolean ? "true" : "false");
		return;
	case JSON_NUMBER:
		buf_add(out, v->str, v->len);
		return;
	case JSON_STRING:
		json_write_string(out, v->str, v->len);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	bool object = v->type == JSON_OBJECT;
	int inner = indent < 0 ? -1 : indent + 1;
	buf_addc(out, object ? '{' : '[');
	bool first = true;
	JSON_EACH(c, v) {
		if (!first)
			buf_addc(out, ',');
		first = false;
		if (inner > 0)
			newline(out, inner);
		if (object) {
			json_write_string(out, c->key, c->key_len);
			buf_adds(out, inner > 0 ? ": " : ":");
		}
		write_value(out, c, inner);
	}
	if (inner > 0 && !first)
		newline(out, indent);
	buf_addc(out, object ? '}' : ']');
}

void json_write(struct buf *out, const struct json *v)
{
	write_value(out, v, -1);
}

void json_write_pretty(struct buf *out, const struct json *v)
{
	write_value(out, v, 0);
}

char *json_to_string(struct arena *a, const struct json *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	json_write(&b, v);
	return arena_strndup(a, buf_str(&b), b.len);
}
