/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grammar (kubectl's): terms separated by ','.
 *	KEY | !KEY | KEY = VALUE | KEY == VALUE | KEY != VALUE | KEY > N | KEY < N | KEY in (V,…) | KEY notin (V,…)
 */
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

/* ---- tokens ---- */

enum token { T_END, T_WORD, T_OPEN, T_CLOSE, T_COMMA, T_NOT, T_EQ, T_NE, T_GT, T_LT };

struct lexer {
	const char *at;
	enum token kind;
	const char *word;
	size_t word_len;
	struct arena *arena;
	struct status *err;
};

static void advance(struct lexer *l)
{
	l->at += strspn(l->at, " \t\r\n");
	l->word = l->at;
	l->word_len = 1;
	switch (*l->at) {
	case 0:
		l->kind = T_END;
		l->word_len = 0;
		return;
	case '(':
		l->kind = T_OPEN;
		break;
	case ')':
		l->kind = T_CLOSE;
		break;
	case ',':
		l->kind = T_COMMA;
		break;
	case '>':
		l->kind = T_GT;
		break;
	case '<':
		l->kind = T_LT;
		break;
	case '!':
		l->kind = l->at[1] == '=' ? T_NE : T_NOT;
		l->word_len = l->kind == T_NE ? 2 : 1;
		break;
	case '=':
		l->kind = T_EQ;
		l->word_len = l->at[1] == '=' ? 2 : 1;
		break;
	default:
		l->kind = T_WORD;
		l->word_len = strcspn(l->at, "(),!=<> \t\r\n");
	}
	l->at += l->word_len;
}

static bool is_word(const struct lexer *l, const char *w)
{
	return l->kind == T_WORD && l->word_len == strlen(w) && memcmp(l->word, w, l->word_len) == 0;
}

static int unexpected(struct lexer *l, const char *expected)
{
	return status_set(l->err, 400, "unable to parse requirement: found '%.*s', expected: %s",
			  (int)MIN_OF(l->word_len, (size_t)128), l->word, expected);
}

/* ---- requirements ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Checks a term; key and values are shown in the message as upstream's field errors are. */
static int check_term(const struct selector_term *t, struct status *err)
{
	const char *why = name_check_qualified(t->key);
	int64_t n;

	if (why)
		return status_set(err, 400, "unable to parse requirement: key: Invalid value: \"%s\": %s", t->key, why);
	if ((t->op == SELECTOR_IN || t->op == SELECTOR_NOT_IN) && !t->n_values)
		return status_set(err, 400,
				  "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' "
				  "operators, values set can't be empty");
	for (size_t i = 0; i < t->n_values; i++) {
		if ((t->op == SELECTOR_GT || t->op == SELECTOR_LT) && parse_i64(t->values[i], &n) < 0)
			return status_set(err, 400,
					  "unable to parse requirement: values[%zu]: Invalid value: \"%s\": for "
					  "'Gt', 'Lt' operators, the value must be an integer",
					  i, t->values[i]);
		why = name_check_label_value(t->values[i]);
		if (why)
			return status_set(err, 400,
					  "unable to parse requirement: values[%zu][%s]: Invalid value: \"%s\": %s", i,
					  t->key, t->values[i], why);
	}
	return 0;
}

struct builder {
	struct selector_term *terms;
	size_t n, cap;
	struct arena *arena;
	struct status *err;
};

static int add_term(struct builder *b, const struct selector_term *t)
{
	if (check_term(t, b->err) < 0)
		return -1;
	if (b->n == SELECTOR_TERMS_MAX)
		return status_set(b->err, 400, "unable to parse requirement: more than %d requirements",
				  SELECTOR_TERMS_MAX);
	if (b->n == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 4;
		struct selector_term *terms = arena_alloc(b->arena, cap * sizeof(*terms));
		if (b->n)
			memcpy(terms, b->terms, b->n * sizeof(*terms));
		b->terms = terms;
		b->cap = cap;
	}
	b->terms[b->n++] = *t;
	return 0;
}

static const char *const *one_value(struct arena *a, const char *v)
{
	const char **values = arena_alloc(a, sizeof(*values));
	*values = v;
	return values;
}

/* After '(' … up to and with ')'. "a,,b" holds an empty value, as upstream reads it. */
static int parse_values(struct lexer *l, struct selector_term *t)
{
	if (l->kind != T_OPEN)
		return unexpected(l, "'('");
	size_t n = 1;
	for (const char *c = l->at; *c && *c != ')'; c++)
		n += *c == ',';
	const char **values = arena_alloc(l->arena, n * sizeof(*values));
	t->values = values;
	t->n_values = 0;
	advance(l);
	if (l->kind == T_CLOSE) {
		advance(l);
		return 0;
	}
	for (;;) {
		const char *v = "";
		if (l->kind == T_WORD) {
			v = arena_strndup(l->arena, l->word, l->word_len);
			advance(l);
		}
		values[t->n_values++] = v;
		if (l->kind == T_CLOSE)
			break;
		if (l->kind != T_COMMA)
			return unexpected(l, "',', or ')'");
		advance(l);
	}
	advance(l);
	qsort(values, t->n_values, sizeof(*values), by_text);
	return 0;
}

static int parse_exact(struct lexer *l, struct selector_term *t)
{
	const char *v = "";

	if (l->kind == T_WORD) {
		v = arena_strndup(l->arena, l->word, l->word_len);
		advance(l);
	} else if (l->kind != T_END && l->kind != T_COMMA) {
		return unexpected(l, "identifier");
	}
	t->values = one_value(l->arena, v);
	t->n_values = 1;
	return 0;
}

static int parse_term(struct lexer *l, struct selector_term *t)
{
	*t = (struct selector_term){.op = SELECTOR_EXISTS};
	if (l->kind == T_NOT) {
		t->op = SELECTOR_NOT_EXISTS;
		advance(l);
	}
	if (l->kind != T_WORD)
		return unexpected(l, "!, identifier, or 'end of string'");
	t->key = arena_strndup(l->arena, l->word, l->word_len);
	advance(l);
	if (t->op == SELECTOR_NOT_EXISTS || l->kind == T_END || l->kind == T_COMMA)
		return 0;
	bool in = is_word(l, "in"), not_in = is_word(l, "notin");
	enum token op = l->kind;
	if (in || not_in) {
		t->op = in ? SELECTOR_IN : SELECTOR_NOT_IN;
		advance(l);
		return parse_values(l, t);
	}
	if (op != T_EQ && op != T_NE && op != T_GT && op != T_LT)
		return unexpected(l, "in, notin, =, ==, !=, gt, lt");
	t->op = op == T_EQ ? SELECTOR_IN : op == T_NE ? SELECTOR_NOT_IN : op == T_GT ? SELECTOR_GT : SELECTOR_LT;
	advance(l);
	return parse_exact(l, t);
}

static struct label_selector *build(struct builder *b)
{
	struct label_selector *s = ARENA_NEW(b->arena, struct label_selector);
	s->terms = b->terms;
	s->n_terms = b->n;
	return s;
}

int label_selector_parse(struct arena *a, const char *text, struct label_selector **ret, struct status *err)
{
	struct lexer l = {.at = text, .arena = a, .err = err};
	struct builder b = {.arena = a, .err = err};

	if (strlen(text) > SELECTOR_BYTES_MAX)
		return status_set(err, 400, "label selector is longer than %d bytes", SELECTOR_BYTES_MAX);
	advance(&l);
	while (l.kind != T_END) {
		struct selector_term t;
		if (parse_term(&l, &t) < 0 || add_term(&b, &t) < 0)
			return -1;
		if (l.kind == T_END)
			break;
		if (l.kind != T_COMMA)
			return unexpected(&l, "',' or 'end of string'");
		advance(&l);
		if (l.kind != T_WORD && l.kind != T_NOT)
			return unexpected(&l, "identifier after ','");
	}
	*ret = build(&b);
	return 0;
}

/* ---- from objects ---- */

int label_selector_from_map(struct arena *a, const struct json *map, struct label_selector **ret)
{
	struct builder b = {.arena = a};

	b.cap = json_len(map);
	b.terms = arena_alloc(a, b.cap * sizeof(*b.terms));
	if (json_is(map, JSON_OBJECT))
		JSON_EACH(m, map)
			b.terms[b.n++] =
			    (struct selector_term){SELECTOR_IN, arena_strdup(a, m->key),
						   one_value(a, arena_strdup(a, str_or(json_str(m), ""))), 1};
	*ret = build(&b);
	(*ret)->nothing = b.n == 0;
	return 0;
}

static int add_expression(struct builder *b, const struct json *e)
{
	static const struct {
		const char *name;
		enum selector_op op;
	} ops[] = {{"In", SELECTOR_IN},		{"NotIn", SELECTOR_NOT_IN},
		   {"Exists", SELECTOR_EXISTS}, {"DoesNotExist", SELECTOR_NOT_EXISTS},
		   {"Gt", SELECTOR_GT},		{"Lt", SELECTOR_LT}};
	const char *op = str_or(json_path_str(e, "operator"), "");
	struct json *values = json_get(e, "values");
	struct selector_term t = {.key = arena_strdup(b->arena, str_or(json_path_str(e, "key"), ""))};
	size_t i = 0;

	while (i < ARRAY_SIZE(ops) && !str_eq(ops[i].name, op))
		i++;
	if (i == ARRAY_SIZE(ops))
		return status_set(b->err, 400, "\"%s\" is not a valid label selector operator", op);
	t.op = ops[i].op;
	if (json_is(values, JSON_ARRAY)) {
		const char **texts = arena_alloc(b->arena, json_len(values) * sizeof(*texts));
		JSON_EACH(v, values)
			texts[t.n_values++] = arena_strdup(b->arena, str_or(json_str(v), ""));
		qsort(texts, t.n_values, sizeof(*texts), by_text);
		t.values = texts;
	}
	if ((t.op == SELECTOR_EXISTS || t.op == SELECTOR_NOT_EXISTS) && t.n_values)
		return status_set(b->err, 400,
				  "values: Invalid value: values set must be empty for exists and does not exist");
	return add_term(b, &t);
}

int label_selector_from_json(struct arena *a, const struct json *selector, struct label_selector **ret,
			     struct status *err)
{
	struct builder b = {.arena = a, .err = err};
	struct json *labels = json_get(selector, "matchLabels"), *expressions = json_get(selector, "matchExpressions");

	if (json_is(labels, JSON_OBJECT))
		JSON_EACH(m, labels) {
			struct selector_term t = {SELECTOR_IN, arena_strdup(a, m->key),
						  one_value(a, arena_strdup(a, str_or(json_str(m), ""))), 1};
			if (add_term(&b, &t) < 0)
				return -1;
		}
	if (json_is(expressions, JSON_ARRAY))
		JSON_EACH(e, expressions)
			if (add_expression(&b, e) < 0)
				return -1;
	*ret = build(&b);
	(*ret)->nothing = !json_is(selector, JSON_OBJECT);
	return 0;
}

/* ---- matching ---- */

static bool term_match(const struct selector_term *t, const char *value)
{
	bool found = false;
	int64_t have, bound;

	switch (t->op) {
	case SELECTOR_EXISTS:
		return value != NULL;
	case SELECTOR_NOT_EXISTS:
		return value == NULL;
	case SELECTOR_GT:
	case SELECTOR_LT:
		if (!value || parse_i64(value, &have) < 0 || parse_i64(t->values[0], &bound) < 0)
			return false;
		return t->op == SELECTOR_GT ? have > bound : have < bound;
	case SELECTOR_IN:
	case SELECTOR_NOT_IN:
		break;
	}
	for (size_t i = 0; value && i < t->n_values && !found; i++)
		found = str_eq(t->values[i], value);
	return t->op == SELECTOR_IN ? found : !found;
}

bool label_selector_match(const struct label_selector *s, const struct object *o)
{
	if (!s)
		return true;
	for (size_t i = 0; i < s->n_terms; i++)
		if (!term_match(&s->terms[i], object_label(o, s->terms[i].key)))
			return false;
	return !s->nothing;
}

bool label_selector_match_json(const struct label_selector *s, const struct json *labels)
{
	if (!s)
		return true;
	for (size_t i = 0; i < s->n_terms; i++)
		if (!term_match(&s->terms[i], json_str(json_get(labels, s->terms[i].key))))
			return false;
	return !s->nothing;
}

/* ---- writing ---- */

static int by_term_key(const void *a, const void *b)
{
	return strcmp(((const struct selector_term *)a)->key, ((const struct selector_term *)b)->key);
}

static void format_term(const struct selector_term *t, struct buf *out)
{
	static const char *const words[] = {[SELECTOR_IN] = " in (", [SELECTOR_NOT_IN] = " notin ("};

	switch (t->op) {
	case SELECTOR_EXISTS:
		buf_adds(out, t->key);
		return;
	case SELECTOR_NOT_EXISTS:
		buf_addf(out, "!%s", t->key);
		return;
	case SELECTOR_GT:
	case SELECTOR_LT:
		buf_addf(out, "%s%c%s", t->key, t->op == SELECTOR_GT ? '>' : '<', t->values[0]);
		return;
	case SELECTOR_IN:
	case SELECTOR_NOT_IN:
		break;
	}
	if (t->n_values == 1) {
		buf_addf(out, "%s%s%s", t->key, t->op == SELECTOR_IN ? "=" : "!=", t->values[0]);
		return;
	}
	buf_addf(out, "%s%s", t->key, words[t->op]);
	for (size_t i = 0; i < t->n_values; i++)
		buf_addf(out, "%s%s", i ? "," : "", t->values[i]);
	buf_addc(out, ')');
}

void label_selector_format(const struct label_selector *s, struct buf *out)
{
	if (label_selector_empty(s))
		return;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct selector_term *sorted = arena_alloc(&a, s->n_terms * sizeof(*sorted));
	if (s->n_terms)
		memcpy(sorted, s->terms, s->n_terms * sizeof(*sorted));
	qsort(sorted, s->n_terms, sizeof(*sorted), by_term_key);
	for (size_t i = 0; i < s->n_terms; i++) {
		if (i)
			buf_addc(out, ',');
		format_term(&sorted[i], out);
	}
}
