/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "api/yaml.h"
#include "api/yaml_internal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one, owned */
	struct arena *arena;
	struct map anchors; /* name -> struct json * of the document */
	size_t nodes, copied;
	int depth;
	struct json *stack[YAML_DEPTH_MAX]; /* open containers; a member is named in keys[] while it is read */
	const char *keys[YAML_DEPTH_MAX];
	json_duplicate_fn duplicate;
	void *duplicate_arg;
	struct yaml_error *err;
};

static int fail(struct reader *r, const char *message)
{
	if (r->err && !r->err->message[0]) {
		r->err->line = r->event.start_mark.line + 1;
		snprintf(r->err->message, sizeof(r->err->message), "%s", message);
	}
	return -EINVAL;
}

static int next_event(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (yaml_parser_parse(&r->parser, &r->event))
		return 0;
	memset(&r->event, 0, sizeof(r->event));
	r->event.start_mark = r->parser.problem_mark;
	return fail(r, r->parser.problem ? r->parser.problem : "invalid YAML");
}

/* ---- scalars ---- */

enum yaml_scalar yaml_word(const char *s, bool *ret_bool)
{
	static const char *const yes[] = {"y",	  "Y",	  "yes", "Yes", "YES", "true",
					  "True", "TRUE", "on",	 "On",	"ON",  NULL};
	static const char *const no[] = {"n",	  "N",	   "no",  "No",	 "NO",	"false",
					 "False", "FALSE", "off", "Off", "OFF", NULL};
	static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const special[] = {".nan",  ".NaN",	".NAN",	 ".inf",  ".Inf",  ".INF", "+.inf",
					      "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};

	*ret_bool = str_in(s, yes);
	if (*ret_bool || str_in(s, no))
		return YAML_BOOL;
	if (str_in(s, null))
		return YAML_NULL;
	return str_in(s, special) ? YAML_NOT_FINITE : YAML_STRING;
}

/* 0x, 0o, 0b or a leading 0 (octal), with a sign; as Go's ParseInt with base 0. 0 or -EINVAL, -ERANGE. */
static int parse_based_int(const char *s, bool *ret_negative, uint64_t *ret)
{
	int base = 10;
	uint64_t v = 0;

	*ret_negative = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if (s[0] == '0' && s[1]) {
		char c = s[1] | 32;
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		s += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
	}
	if (!*s)
		return -EINVAL;
	bool over = false;
	for (; *s; s++) {
		char c = *s | 32;
		int d = *s >= '0' && *s <= '9' ? *s - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
		if (d >= base)
			return -EINVAL;
		over |= __builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)d, &v);
	}
	*ret = v;
	return over || (*ret_negative && v > (uint64_t)INT64_MAX + 1) ? -ERANGE : 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(const char *s)
{
	size_t before, after = 0;

	s += *s == '-' || *s == '+';
	before = strspn(s, "0123456789");
	s += before;
	if (*s == '.') {
		after = strspn(++s, "0123456789");
		s += after;
	}
	if (!before && !after)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		size_t n = strspn(s, "0123456789");
		if (!n)
			return false;
		s += n;
	}
	return !*s;
}

/* The shortest decimal that reads back as d, plain unless very large or small (as Go's JSON encoder). */
static struct json *new_double(struct arena *a, double d)
{
	char text[400];
	struct json *v = json_new(a, JSON_NUMBER);
	int precision = 1;

	if (d == 0) {
		snprintf(text, sizeof(text), signbit(d) ? "-0" : "0");
	} else if (fabs(d) < 1e-6 || fabs(d) >= 1e21) {
		do
			snprintf(text, sizeof(text), "%.*e", precision - 1, d);
		while (strtod(text, NULL) != d && ++precision <= 17);
	} else {
		int point = (int)floor(log10(fabs(d)));
		do
			snprintf(text, sizeof(text), "%.*f", MAX_OF(precision - 1 - point, 0), d);
		while (strtod(text, NULL) != d && ++precision <= 19);
	}
	v->str = arena_strdup(a, text);
	v->len = (uint32_t)strlen(text);
	return v;
}

enum yaml_scalar yaml_number(const char *s, struct arena *a, struct json **ret)
{
	char plain[512];
	size_t n = 0;
	bool negative;
	uint64_t u;

	if (!strchr("+-.0123456789", *s) || !*s || strlen(s) >= sizeof(plain))
		return YAML_STRING;
	for (const char *c = s; *c; c++)
		if (*c != '_' || *s == '.')
			plain[n++] = *c;
	plain[n] = 0;
	int r = *s == '.' ? -EINVAL : parse_based_int(plain, &negative, &u);
	if (r == 0) {
		if (ret) {
			struct json *v = *ret = json_new(a, JSON_NUMBER);
			v->str = arena_printf(a, "%s%llu", negative && u ? "-" : "", (unsigned long long)u);
			v->len = (uint32_t)strlen(v->str);
		}
		return YAML_NUMBER;
	}
	if (!looks_like_float(plain))
		return YAML_STRING;
	double d = strtod(plain, NULL);
	if (isinf(d))
		return YAML_STRING; /* out of range: Go's parser leaves it a string */
	if (ret)
		*ret = new_double(a, d);
	return YAML_NUMBER;
}

static struct json *plain_scalar(struct reader *r, const char *s, size_t len, int *ret_error)
{
	bool truth;
	struct json *number;

	if (strlen(s) == len) {
		switch (yaml_word(s, &truth)) {
		case YAML_BOOL:
			return json_new_bool(r->arena, truth);
		case YAML_NULL:
			return json_new(r->arena, JSON_NULL);
		case YAML_NOT_FINITE:
			*ret_error = fail(r, "infinite and not-a-number values have no JSON form");
			return NULL;
		default:
			break;
		}
		if (yaml_number(s, r->arena, &number) == YAML_NUMBER)
			return number;
	}
	return json_new_strn(r->arena, s, len);
}

static int read_scalar(struct reader *r, struct json **ret)
{
	const char *s = (const char *)r->event.data.scalar.value, *tag = (const char *)r->event.data.scalar.tag;
	size_t len = r->event.data.scalar.length;
	int error = 0;

	if (len >= UINT32_MAX || !utf8_valid(s, len))
		return fail(r, "invalid UTF-8 in a scalar");
	const char *core = tag ? str_after(tag, "tag:yaml.org,2002:") : NULL;
	if (tag && !core && !str_eq(tag, "!"))
		core = "str"; /* an application's tag: the text */
	if (str_eq(core, "binary") || str_eq(core, "str") || (tag && !core) ||
	    (!core && !r->event.data.scalar.plain_implicit)) {
		_cleanup_buf_ struct buf bytes = BUF_INIT;
		if (str_eq(core, "binary") &&
		    (base64_decode(&bytes, s, len) < 0 || !utf8_valid(buf_str(&bytes), bytes.len)))
			return fail(r, "!!binary value contains invalid base64 data");
		*ret = str_eq(core, "binary") ? json_new_strn(r->arena, buf_str(&bytes), bytes.len)
					      : json_new_strn(r->arena, s, len);
		return 0;
	}
	struct json *v = plain_scalar(r, s, len, &error);
	if (!v)
		return error;
	if (core) {
		static const struct {
			const char *tag;
			enum json_type type;
		} types[] = {{"int", JSON_NUMBER}, {"float", JSON_NUMBER}, {"bool", JSON_BOOL}, {"null", JSON_NULL}};
		for (size_t i = 0; i < ARRAY_SIZE(types); i++)
			if (str_eq(types[i].tag, core) && v->type != types[i].type)
				return fail(r, "value does not have the type of its tag");
	}
	*ret = v;
	return 0;
}

/* ---- structure ---- */

static size_t count_nodes(const struct json *v)
{
	size_t n = 1;
	if (v->type >= JSON_ARRAY)
		JSON_EACH(c, v)
			n += count_nodes(c);
	return n;
}

static int depth_below(const struct json *v)
{
	int deepest = 0;
	if (v->type < JSON_ARRAY)
		return 0;
	JSON_EACH(c, v) {
		int depth = depth_below(c); /* MAX_OF would count it twice, at each level */
		deepest = MAX_OF(deepest, depth);
	}
	return deepest + 1;
}

static int read_alias(struct reader *r, struct json **ret)
{
	struct json *target = map_get(&r->anchors, (const char *)r->event.data.alias.anchor);

	if (!target)
		return fail(r, "unknown anchor (or one that contains itself)");
	r->nodes += count_nodes(target);
	r->copied += json_text_bytes(target);
	if (r->nodes > YAML_NODES_MAX || r->copied > YAML_COPIED_BYTES_MAX ||
	    r->depth + depth_below(target) > YAML_DEPTH_MAX)
		return fail(r, "document contains excessive aliasing");
	*ret = json_clone(r->arena, target);
	return 0;
}

static int read_node(struct reader *r, struct json **ret);

static int open_container(struct reader *r, struct json *v)
{
	if (r->depth == YAML_DEPTH_MAX)
		return fail(r, "exceeded max depth");
	r->keys[r->depth] = NULL;
	r->stack[r->depth++] = v;
	return 0;
}

static int read_sequence(struct reader *r, struct json **ret)
{
	struct json *list = json_new(r->arena, JSON_ARRAY), *item;

	if (open_container(r, list) < 0)
		return -EINVAL;
	for (;;) {
		if (next_event(r) < 0)
			return -EINVAL;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (read_node(r, &item) < 0)
			return -EINVAL;
		json_append(list, item);
	}
	r->depth--;
	*ret = list;
	return 0;
}

static void report_duplicate(struct reader *r, const char *key)
{
	_cleanup_buf_ struct buf path = BUF_INIT;

	if (!r->duplicate)
		return;
	for (int i = 0; i + 1 < r->depth; i++) {
		if (r->keys[i])
			buf_addf(&path, "%s%s", path.len ? "." : "", r->keys[i]);
		else
			buf_addf(&path, "[%u]", r->stack[i]->len);
	}
	buf_addf(&path, "%s%s", path.len ? "." : "", key);
	if (r->err)
		r->err->line = r->event.start_mark.line + 1;
	r->duplicate(r->duplicate_arg, buf_str(&path));
}

/* Members of a merge key's mapping, for keys that are not there yet. */
static int merge_mapping(struct reader *r, struct json *object, const struct json *from)
{
	if (!json_is(from, JSON_OBJECT))
		return fail(r, "map merge requires map or sequence of maps as the value");
	JSON_EACH(m, from)
		if (!json_get_n(object, m->key, m->key_len))
			json_set(r->arena, object, m->key, json_clone(r->arena, m));
	return 0;
}

static int merge_value(struct reader *r, struct json *object, const struct json *from)
{
	if (!json_is(from, JSON_ARRAY))
		return merge_mapping(r, object, from);
	JSON_EACH(c, from)
		if (merge_mapping(r, object, c) < 0)
			return -EINVAL;
	return 0;
}

/* A key of any scalar type becomes a string. */
static int key_text(struct reader *r, const struct json *key, const char **ret)
{
	if (key->len >= 1u << 24 && key->type != JSON_BOOL)
		return fail(r, "mapping key is too long");
	switch ((enum json_type)key->type) {
	case JSON_STRING:
		if (strlen(key->str) != key->len)
			return fail(r, "NUL in a mapping key");
		*ret = key->str;
		return 0;
	case JSON_NUMBER:
		*ret = key->str;
		return 0;
	case JSON_BOOL:
		*ret = key->boolean ? "true" : "false";
		return 0;
	case JSON_NULL:
		*ret = "null";
		return 0;
	default:
		return fail(r, "mapping keys must be scalars");
	}
}

static int read_member(struct reader *r, struct json *object, struct map *seen, struct json **merges)
{
	struct json *key, *value;
	const char *text;
	bool merge = r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.plain_implicit &&
		     str_eq((const char *)r->event.data.scalar.value, "<<");

	if (read_node(r, &key) < 0 || key_text(r, key, &text) < 0)
		return -EINVAL;
	r->keys[r->depth - 1] = text;
	if (next_event(r) < 0 || read_node(r, &value) < 0)
		return -EINVAL;
	if (merge) {
		if (!*merges)
			*merges = json_new(r->arena, JSON_ARRAY);
		json_append(*merges, value);
		return 0;
	}
	struct json *earlier = map_get(seen, text);
	if (earlier) {
		report_duplicate(r, text);
		json_replace(earlier, value);
		return 0;
	}
	/* seen stands in for json_set's search, which would be quadratic */
	value->key = text;
	value->key_len = (uint32_t)strlen(text) & 0xffffff;
	json_append(object, value);
	map_set(seen, text, value);
	return 0;
}

static void release_seen(struct map *m)
{
	map_release(m, NULL);
}

static int read_mapping(struct reader *r, struct json **ret)
{
	_cleanup_(release_seen) struct map seen = MAP_INIT;
	struct json *object = json_new(r->arena, JSON_OBJECT), *merges = NULL;

	if (open_container(r, object) < 0)
		return -EINVAL;
	for (;;) {
		if (next_event(r) < 0)
			return -EINVAL;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (read_member(r, object, &seen, &merges) < 0)
			return -EINVAL;
	}
	r->depth--;
	if (merges)
		JSON_EACH(m, merges)
			if (merge_value(r, object, m) < 0)
				return -EINVAL;
	*ret = object;
	return 0;
}

static int read_node(struct reader *r, struct json **ret)
{
	const yaml_char_t *anchor = NULL;
	int result;

	if (++r->nodes > YAML_NODES_MAX)
		return fail(r, "document has too many nodes");
	if (r->event.type == YAML_SCALAR_EVENT)
		anchor = r->event.data.scalar.anchor;
	else if (r->event.type == YAML_SEQUENCE_START_EVENT)
		anchor = r->event.data.sequence_start.anchor;
	else if (r->event.type == YAML_MAPPING_START_EVENT)
		anchor = r->event.data.mapping_start.anchor;
	const char *name = arena_strdup(r->arena, (const char *)anchor);

	switch (r->event.type) {
	case YAML_SCALAR_EVENT:
		result = read_scalar(r, ret);
		break;
	case YAML_SEQUENCE_START_EVENT:
		result = read_sequence(r, ret);
		break;
	case YAML_MAPPING_START_EVENT:
		result = read_mapping(r, ret);
		break;
	case YAML_ALIAS_EVENT:
		return read_alias(r, ret);
	default:
		return fail(r, "unexpected end of YAML document");
	}
	if (result == 0 && name)
		map_set(&r->anchors, name, *ret); /* complete: an alias clones it, nothing changes it */
	return result;
}

/* ---- documents ---- */

/* The next document; *ret NULL at the end of the stream. */
static int read_document(struct reader *r, struct json **ret)
{
	if (next_event(r) < 0)
		return -EINVAL;
	if (r->event.type == YAML_STREAM_START_EVENT && next_event(r) < 0)
		return -EINVAL;
	*ret = NULL;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return 0;
	map_release(&r->anchors, NULL);
	struct json *v;
	if (next_event(r) < 0 || read_node(r, &v) < 0)
		return -EINVAL;
	if (next_event(r) < 0) /* document end */
		return -EINVAL;
	*ret = v;
	return 0;
}

static int start(struct reader *r, const char *text, size_t len)
{
	if (r->err)
		*r->err = (struct yaml_error){0};
	if (len > YAML_BYTES_MAX)
		return fail(r, "document is too large");
	if (!yaml_parser_initialize(&r->parser))
		abort(); /* out of memory */
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
	return 0;
}

static void finish(struct reader *r)
{
	yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
	map_release(&r->anchors, NULL);
}

int yaml_parse(struct arena *a, const char *text, size_t len, json_duplicate_fn dup, void *arg, struct json **ret,
	       struct yaml_error *err)
{
	struct reader r = {.arena = a, .duplicate = dup, .duplicate_arg = arg, .err = err};
	struct json *doc, *second = NULL;

	if (start(&r, text, len) < 0)
		return -EINVAL;
	int result = read_document(&r, &doc);
	if (result == 0 && doc)
		result = read_document(&r, &second);
	if (result == 0 && second)
		result = fail(&r, "more than one YAML document");
	finish(&r);
	if (result == 0)
		*ret = doc ? doc : json_new(a, JSON_NULL);
	return result;
}

int yaml_parse_all(struct arena *a, const char *text, size_t len, struct json **ret_array, struct yaml_error *err)
{
	struct reader r = {.arena = a, .err = err};
	struct json *all = json_new(a, JSON_ARRAY), *doc;
	int result = start(&r, text, len);

	if (result < 0)
		return result;
	while ((result = read_document(&r, &doc)) == 0 && doc)
		if (doc->type != JSON_NULL)
			json_append(all, doc);
	finish(&r);
	if (result == 0)
		*ret_array = all;
	return result;
}
