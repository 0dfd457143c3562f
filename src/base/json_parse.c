/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parser: copies the text into the arena once and decodes strings in place. A closing quote or the byte after a number
 * is overwritten by a NUL once it has been read, so every string and number in the tree is a span of that one copy.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_index.h"
#include "base/json_word.h"
#include "base/map.h"
#include "base/str.h"

/* plain_end() reads whole words. */
#define PARSE_SLACK 8

struct parser {
	struct arena *arena;
	char *start, *at, *end;
	char pending; /* the byte that stood at *at before a number's NUL went over it; 0: none */
	int depth;
	struct json *stack[JSON_DEPTH_MAX]; /* open containers, for the path of a duplicate */
	json_duplicate_fn duplicate;
	void *duplicate_arg;
	struct json_error *err;
};

static int fail(struct parser *p, const char *message)
{
	if (p->err) {
		p->err->offset = (size_t)(p->at - p->start);
		snprintf(p->err->message, sizeof(p->err->message), "%s", message);
	}
	return -EINVAL;
}

static inline char peek(struct parser *p)
{
	return p->pending ? p->pending : *p->at;
}

static inline void advance(struct parser *p)
{
	p->pending = 0;
	p->at++;
}

static char next_token(struct parser *p)
{
	for (;;) {
		char c = peek(p);
		if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
			return c;
		advance(p);
	}
}

static int hex4(struct parser *p, const char *s, unsigned *ret)
{
	unsigned v = 0;
	for (int i = 0; i < 4; i++) {
		char c = s[i];
		unsigned d = c >= '0' && c <= '9'		  ? (unsigned)(c - '0')
			     : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10)
								  : 16;
		if (d > 15)
			return fail(p, "invalid \\u escape");
		v = v << 4 | d;
	}
	*ret = v;
	return 0;
}

static char *put_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 63));
		*out++ = (char)(0x80 | (c & 63));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 63));
		*out++ = (char)(0x80 | (c >> 6 & 63));
		*out++ = (char)(0x80 | (c & 63));
	}
	return out;
}

/* One escape at *s (after the backslash); moves both cursors. */
static int unescape(struct parser *p, char **s, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = **s;

	if (c != 'u') {
		const char *k = c ? strchr(from, c) : NULL;
		if (!k)
			return fail(p, "invalid escape in string");
		*(*out)++ = to[k - from];
		(*s)++;
		return 0;
	}
	unsigned v, low;
	if (hex4(p, *s + 1, &v) < 0)
		return -EINVAL;
	*s += 5;
	if (v >= 0xd800 && v < 0xdc00 && (*s)[0] == '\\' && (*s)[1] == 'u') {
		if (hex4(p, *s + 2, &low) < 0)
			return -EINVAL;
		if (low >= 0xdc00 && low < 0xe000) {
			v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
			*s += 6;
		}
	}
	if (v >= 0xd800 && v < 0xe000)
		v = 0xfffd; /* a lone surrogate, as Go's decoder reads it */
	*out = put_utf8(*out, v);
	return 0;
}

/* The first byte from s on that doesn't stand for itself. Eight at a time: most of what a server reads is in strings.
 */
static inline char *plain_end(char *s, bool *ascii)
{
	for (uint64_t seen = 0;;
	     s += sizeof(seen)) { /* up to PARSE_SLACK bytes beyond the end, the first of which is a NUL */
		uint64_t w = json_word(s);
		uint64_t ends = json_word_ends(w);
		if (!ends) {
			seen |= w;
			continue;
		}
		uint64_t before = (ends & -ends) - 1; /* all bits of the bytes before it, and 7 of its own */
		*ascii &= !((seen | (w & before)) & JSON_HIGH_BITS);
		return s + json_word_first(ends);
	}
}

/* At the opening quote. Leaves the cursor after the closing one. */
static int parse_string(struct parser *p, const char **ret, uint32_t *ret_len)
{
	advance(p);
	bool ascii = true;
	char *start = p->at, *s = plain_end(start, &ascii), *out = s;

	while (*s != '"') {
		if ((unsigned char)*s < 0x20) {
			p->at = s;
			return fail(p,
				    s >= p->end ? "unexpected end of input in string" : "control character in string");
		}
		p->at = ++s; /* a backslash */
		if (unescape(p, &s, &out) < 0)
			return -EINVAL;
		char *end = plain_end(s, &ascii);
		memmove(out, s, (size_t)(end - s));
		out += end - s;
		s = end;
	}
	size_t len = (size_t)(out - start);
	if (!ascii && !utf8_valid(start, len)) {
		p->at = start;
		return fail(p, "invalid UTF-8 in string");
	}
	*out = 0;
	p->at = s + 1;
	*ret = start;
	*ret_len = (uint32_t)len;
	return 0;
}

static int parse_number(struct parser *p, struct json *v)
{
	char *s = p->at;

	if (*s == '-')
		s++;
	if (*s == '0')
		s++;
	else if (*s >= '1' && *s <= '9')
		while (*s >= '0' && *s <= '9')
			s++;
	else
		return fail(p, "invalid number");
	if (*s == '.') {
		if (*++s < '0' || *s > '9')
			return fail(p, "invalid number");
		while (*s >= '0' && *s <= '9')
			s++;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '+' || *s == '-')
			s++;
		if (*s < '0' || *s > '9')
			return fail(p, "invalid number");
		while (*s >= '0' && *s <= '9')
			s++;
	}
	v->type = JSON_NUMBER;
	v->str = p->at;
	v->len = (uint32_t)(s - p->at);
	p->at = s;
	if (s < p->end) {
		p->pending = *s;
		*s = 0;
	}
	return 0;
}

static int parse_literal(struct parser *p, const char *text, struct json *v, enum json_type type, bool value)
{
	size_t n = strlen(text);
	if ((size_t)(p->end - p->at) < n || memcmp(p->at, text, n) != 0)
		return fail(p, "invalid literal");
	p->at += n;
	v->type = type;
	v->boolean = value;
	return 0;
}

static void link_child(struct json *parent, struct json *child)
{
	if (parent->last) {
		child->next = parent->last->next;
		parent->last->next = child;
	} else {
		child->next = child;
	}
	parent->last = child;
	parent->len++;
}

static void report_duplicate(struct parser *p, const char *key)
{
	_cleanup_buf_ struct buf path = BUF_INIT;

	for (int i = 1; i < p->depth; i++) {
		const struct json *open = p->stack[i];
		if (open->key)
			buf_addf(&path, "%s%s", path.len ? "." : "", open->key);
		else
			buf_addf(&path, "[%u]", p->stack[i - 1]->len - 1);
	}
	buf_addf(&path, "%s%s", path.len ? "." : "", key);
	p->duplicate(p->duplicate_arg, buf_str(&path));
}

static void drop_duplicate(struct parser *p, struct json *object, struct json *earlier)
{
	if (p->duplicate)
		report_duplicate(p, earlier->key);
	json_remove_child(object, earlier);
}

static bool same_key(const struct json *a, const struct json *b)
{
	return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

/* Of members with the same key only the last stays. Called when the object is complete. */
static void drop_duplicates(struct parser *p, struct json *object)
{
	if (object->len <= JSON_LINEAR_MAX) {
		for (struct json *a = json_first(object); a;) {
			struct json *after = json_next(object, a), *b = after;
			while (b && !same_key(a, b))
				b = json_next(object, b);
			if (b)
				drop_duplicate(p, object, a);
			a = after;
		}
		return;
	}
	struct map seen = MAP_INIT;
	bool any = false;
	for (struct json *m = json_first(object); m; m = json_next(object, m)) {
		struct json *earlier = map_set(&seen, m->key, m); /* a key with U+0000 is compared up to it */
		if (!earlier || !same_key(earlier, m))
			continue;
		if (p->duplicate)
			report_duplicate(p, earlier->key);
		earlier->key = NULL; /* marked: taking it out here would look for its place, in quadratic time */
		any = true;
	}
	if (any)
		json_drop_marked(object);
	map_release(&seen, NULL);
}

static int parse_value(struct parser *p, struct json *v);

static int parse_members(struct parser *p, struct json *v, char close)
{
	if (next_token(p) == close) {
		advance(p);
		return 0;
	}
	for (;;) {
		struct json *child = ARENA_NEW(p->arena, struct json);
		if (close == '}') {
			uint32_t len;
			if (next_token(p) != '"')
				return fail(p, "expected a string as object key");
			if (parse_string(p, &child->key, &len) < 0)
				return -EINVAL;
			if (len >= 1u << 24)
				return fail(p, "object key is too long");
			child->key_len = len & 0xffffff;
			if (next_token(p) != ':')
				return fail(p, "expected ':' after object key");
			advance(p);
		}
		link_child(v, child);
		if (parse_value(p, child) < 0)
			return -EINVAL;
		char c = next_token(p);
		if (c != ',' && c != close)
			return fail(p, p->at >= p->end ? "unexpected end of input"
				       : close == '}'  ? "expected ',' or '}' after object member"
						       : "expected ',' or ']' after array element");
		advance(p);
		if (c == close)
			return 0;
	}
}

static int parse_container(struct parser *p, struct json *v, char close)
{
	if (p->depth == JSON_DEPTH_MAX)
		return fail(p, "exceeded max depth");
	v->type = close == '}' ? JSON_OBJECT : JSON_ARRAY;
	advance(p);
	p->stack[p->depth++] = v;
	if (parse_members(p, v, close) < 0)
		return -EINVAL;
	if (close == '}' && v->len > 1)
		drop_duplicates(p, v);
	p->depth--;
	return 0;
}

static int parse_value(struct parser *p, struct json *v)
{
	switch (next_token(p)) {
	case '{':
		return parse_container(p, v, '}');
	case '[':
		return parse_container(p, v, ']');
	case '"':
		v->type = JSON_STRING;
		return parse_string(p, &v->str, &v->len);
	case 't':
		return parse_literal(p, "true", v, JSON_BOOL, true);
	case 'f':
		return parse_literal(p, "false", v, JSON_BOOL, false);
	case 'n':
		return parse_literal(p, "null", v, JSON_NULL, false);
	default:
		if (p->at >= p->end)
			return fail(p, "unexpected end of input");
		return parse_number(p, v);
	}
}

int json_parse_report(struct arena *a, const char *text, size_t len, json_duplicate_fn dup, void *arg,
		      struct json **ret, struct json_error *err)
{
	struct parser p = {.arena = a, .duplicate = dup, .duplicate_arg = arg, .err = err};

	p.start = p.at = arena_alloc(a, len + PARSE_SLACK);
	p.end = p.start + len;
	memcpy(p.start, text, len);
	memset(p.end, 0, PARSE_SLACK);
	if (len >= UINT32_MAX)
		return fail(&p, "document is too large");
	struct json *v = ARENA_NEW(a, struct json);
	if (parse_value(&p, v) < 0)
		return -EINVAL;
	next_token(&p);
	if (p.at < p.end)
		return fail(&p, "unexpected data after the value");
	*ret = v;
	return 0;
}

int json_parse(struct arena *a, const char *text, size_t len, struct json **ret, struct json_error *err)
{
	return json_parse_report(a, text, len, NULL, NULL, ret, err);
}
