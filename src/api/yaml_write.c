/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/yaml.h"
#include "api/yaml_internal.h"
#include "base/buf.h"
#include "base/mem.h"

static void write_indent(struct buf *out, int indent)
{
	for (int i = 0; i < indent; i++)
		buf_adds(out, "  ");
}

static bool has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\n') || s[i] == 0x7f)
			return true;
	return false;
}

/* May stand without quotes, in every context, and is read back as the same string. */
static bool plain_is_safe(const char *s, size_t len)
{
	bool truth;

	if (!len || s[0] == ' ' || s[len - 1] == ' ' || s[len - 1] == ':' || strchr("!&*|>@`%\"'#,[]{}=<", s[0]))
		return false;
	if (strchr("-?:", s[0]) && (len == 1 || s[1] == ' '))
		return false;
	if (strncmp(s, "---", 3) == 0 || strncmp(s, "...", 3) == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((s[i] == ':' && s[i + 1] == ' ') || (s[i] == '#' && i && s[i - 1] == ' ') || strchr(",[]{}", s[i]))
			return false;
	if (yaml_word(s, &truth) != YAML_STRING || yaml_number(s, NULL, NULL) != YAML_STRING)
		return false;
	/* Dates and sexagesimal numbers, which other readers type. */
	return !(s[0] >= '0' && s[0] <= '9' && (strchr(s, ':') || (len >= 8 && s[4] == '-')));
}

static void write_double_quoted(struct buf *out, const char *s, size_t len)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", c);
		else if (c == '\n')
			buf_adds(out, "\\n");
		else if (c == '\t')
			buf_adds(out, "\\t");
		else if (c < 0x20 || c == 0x7f)
			buf_addf(out, "\\x%02x", c);
		else if (strncmp(s + i, "\xc2\x85", 2) ==
			 0) /* what YAML takes for a line's end, or for the text's begin */
			buf_adds(out, "\\N"), i += 1;
		else if (strncmp(s + i, "\xe2\x80\xa8", 3) == 0)
			buf_adds(out, "\\L"), i += 2;
		else if (strncmp(s + i, "\xe2\x80\xa9", 3) == 0)
			buf_adds(out, "\\P"), i += 2;
		else if (strncmp(s + i, "\xef\xbb\xbf", 3) == 0)
			buf_adds(out, "\\uFEFF"), i += 2;
		else
			buf_addc(out, s[i]);
	}
	buf_addc(out, '"');
}

/* |, |- or |+ and the lines, one level deeper. */
static void write_literal(struct buf *out, const char *s, size_t len, int indent)
{
	const char *end = s + len;

	if (indent < 1) /* the whole document: libyaml reads no block without an indent */
		indent = 1;
	buf_addc(out, '|');
	if (s[len - 1] != '\n')
		buf_addc(out, '-');
	else if (len > 1 && s[len - 2] == '\n')
		buf_addc(out, '+');
	while (s < end) {
		const char *eol = memchr(s, '\n', (size_t)(end - s));
		if (!eol)
			eol = end;
		buf_addc(out, '\n');
		if (eol > s) {
			write_indent(out, indent);
			buf_add(out, s, (size_t)(eol - s));
		}
		s = eol + 1;
	}
}

static bool literal_is_safe(const char *s, size_t len)
{
	/* A first line that is empty or starts with a space would need an explicit indent; U+0085 and the like are
	 * folded. */
	return memchr(s, '\n', len) && s[0] != ' ' && s[0] != '\n' && !has_control(s, len) && !strstr(s, " \n") &&
	       s[len - 1] != ' ' && !strstr(s, "\xc2\x85") && !strstr(s, "\xe2\x80\xa8") &&
	       !strstr(s, "\xe2\x80\xa9") && !strstr(s, "\xef\xbb\xbf");
}

static void write_string(struct buf *out, const char *s, size_t len, int indent, bool key)
{
	if (!key && len && literal_is_safe(s, len)) {
		write_literal(out, s, len, indent);
		return;
	}
	if (has_control(s, len) || memchr(s, '\n', len) || strstr(s, "\xc2\x85") || strstr(s, "\xe2\x80\xa8") ||
	    strstr(s, "\xe2\x80\xa9") || strstr(s, "\xef\xbb\xbf")) {
		write_double_quoted(out, s, len);
		return;
	}
	if (plain_is_safe(s, len)) {
		buf_add(out, s, len);
		return;
	}
	bool truth;
	if (!len || yaml_word(s, &truth) != YAML_STRING || yaml_number(s, NULL, NULL) != YAML_STRING) {
		write_double_quoted(out, s, len);
		return;
	}
	buf_addc(out, '\'');
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\'')
			buf_addc(out, '\'');
		buf_addc(out, s[i]);
	}
	buf_addc(out, '\'');
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct json *const *)a)->key, (*(const struct json *const *)b)->key);
}

static void write_value(struct buf *out, const struct json *v, int indent);

/* Starts at the current column for the first line (after "- "), at indent for the others. */
static void write_mapping(struct buf *out, const struct json *v, int indent, bool first_in_place)
{
	const struct json **sorted = xcalloc(v->len, sizeof(*sorted));
	size_t n = 0;

	JSON_EACH(m, v)
		sorted[n++] = m;
	qsort(sorted, n, sizeof(*sorted), by_key);
	for (size_t i = 0; i < n; i++) {
		const struct json *m = sorted[i];
		if (i || !first_in_place)
			write_indent(out, indent);
		write_string(out, m->key, m->key_len, indent, true);
		buf_addc(out, ':');
		if (m->type == JSON_OBJECT && m->len) {
			buf_addc(out, '\n');
			write_mapping(out, m, indent + 1, false);
		} else if (m->type == JSON_ARRAY && m->len) { /* items stand at the key's column */
			buf_addc(out, '\n');
			write_value(out, m, indent);
		} else {
			buf_addc(out, ' ');
			write_value(out, m, indent + 1);
			buf_addc(out, '\n');
		}
	}
	free(sorted);
}

static void write_sequence(struct buf *out, const struct json *v, int indent, bool first_in_place)
{
	bool first = true;

	JSON_EACH(c, v) {
		if (!first || !first_in_place)
			write_indent(out, indent);
		first = false;
		buf_adds(out, "- ");
		if (c->type == JSON_OBJECT && c->len) {
			write_mapping(out, c, indent + 1, true);
		} else if (c->type == JSON_ARRAY && c->len) {
			write_sequence(out, c, indent + 1, true);
		} else {
			write_value(out, c, indent + 1);
			buf_addc(out, '\n');
		}
	}
}

static void write_value(struct buf *out, const struct json *v, int indent)
{
	switch ((enum json_type)v->type) {
	case JSON_STRING:
		write_string(out, v->str, v->len, indent, false);
		return;
	case JSON_OBJECT:
		if (v->len)
			write_mapping(out, v, indent, false);
		else
			buf_adds(out, "{}");
		return;
	case JSON_ARRAY:
		if (v->len)
			write_sequence(out, v, indent, false);
		else
			buf_adds(out, "[]");
		return;
	default:
		json_write(out, v);
	}
}

void yaml_write(struct buf *out, const struct json *v)
{
	write_value(out, v, 0);
	if (v->type < JSON_ARRAY || !v->len)
		buf_addc(out, '\n');
}
