/* SPDX-License-Identifier: Apache-2.0 */
#include "api/fieldset.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_index.h"
#include "base/mem.h"
#include "base/str.h"

static bool is_member(const struct json *n)
{
	return n && (!n->len || json_get(n, "."));
}

static bool is_dot(const struct json *c)
{
	return c->key_len == 1 && c->key[0] == '.';
}

/* A node of the given children; NULL when it says nothing. */
static struct json *node(struct arena *a, bool member, struct json *children)
{
	if (!member && !children->len)
		return NULL;
	if (member && children->len)
		json_set(a, children, ".", json_new(a, JSON_OBJECT));
	return children;
}

static struct json *combine(struct arena *a, const struct json *x, const struct json *y)
{
	struct json *out = json_new(a, JSON_OBJECT);
	_cleanup_json_index_ struct json_index in_y = json_index_of(y);

	JSON_EACH(c, x) {
		const struct json *other = json_index_get(&in_y, c->key, c->key_len);
		if (!is_dot(c))
			json_add(a, out, c->key, c->key_len, other ? combine(a, c, other) : json_clone(a, c));
	}
	_cleanup_json_index_ struct json_index in_x = json_index_of(x);
	JSON_EACH(c, y)
		if (!is_dot(c) && !json_index_get(&in_x, c->key, c->key_len))
			json_add(a, out, c->key, c->key_len, json_clone(a, c));
	if ((is_member(x) || is_member(y)) && out->len)
		json_set(a, out, ".", json_new(a, JSON_OBJECT));
	return out;
}

struct json *fieldset_union(struct arena *a, const struct json *x, const struct json *y)
{
	if (!x || !y)
		return x || y ? json_clone(a, x ? x : y) : NULL;
	return combine(a, x, y);
}

static struct json *minus(struct arena *a, const struct json *x, const struct json *y, bool root)
{
	struct json *out = json_new(a, JSON_OBJECT);
	_cleanup_json_index_ struct json_index in_y = json_index_of(y);

	JSON_EACH(c, x) {
		const struct json *other = json_index_get(&in_y, c->key, c->key_len);
		struct json *rest = is_dot(c) ? NULL : other ? minus(a, c, other, false) : json_clone(a, c);
		if (rest)
			json_add(a, out, c->key, c->key_len, rest);
	}
	return node(a, !root && is_member(x) && !is_member(y), out);
}

struct json *fieldset_minus(struct arena *a, const struct json *x, const struct json *y)
{
	if (!x)
		return NULL;
	return y ? minus(a, x, y, true) : json_clone(a, x);
}

static struct json *both(struct arena *a, const struct json *x, const struct json *y, bool root)
{
	struct json *out = json_new(a, JSON_OBJECT);
	_cleanup_json_index_ struct json_index in_y = json_index_of(y);

	JSON_EACH(c, x) {
		const struct json *other = json_index_get(&in_y, c->key, c->key_len);
		struct json *common = other && !is_dot(c) ? both(a, c, other, false) : NULL;
		if (common)
			json_add(a, out, c->key, c->key_len, common);
	}
	return node(a, !root && is_member(x) && is_member(y), out);
}

struct json *fieldset_both(struct arena *a, const struct json *x, const struct json *y)
{
	return x && y ? both(a, x, y, true) : NULL;
}

bool fieldset_equal(const struct json *x, const struct json *y)
{
	return x && y ? json_equal(x, y) : x == y;
}

bool fieldset_valid(const struct json *x)
{
	if (!json_is(x, JSON_OBJECT))
		return false;
	JSON_EACH(c, x) {
		if (!is_dot(c) && (c->key_len < 2 || c->key[1] != ':' || !strchr("fkvi", c->key[0])))
			return false;
		if (!fieldset_valid(c))
			return false;
	}
	return true;
}

/* ---- order ---- */

static int class_of(const struct json *c)
{
	const char *at = is_dot(c) ? NULL : strchr("fkvi", c->key[0]);
	return at ? (int)(at - "fkvi") + 1 : 0;
}

static int by_element(const void *x, const void *y)
{
	const struct json *a = *(struct json *const *)x, *b = *(struct json *const *)y;
	int64_t m, n;

	if (class_of(a) != class_of(b))
		return class_of(a) - class_of(b);
	if (class_of(a) > 2 && parse_i64(a->key + 2, &m) == 0 && parse_i64(b->key + 2, &n) == 0)
		return (m > n) - (m < n);
	return strcmp(a->key, b->key);
}

void fieldset_sort(struct json *x)
{
	uint32_t n = json_len(x), i = 0;
	if (!n)
		return;
	_cleanup_free_ struct json **children = xmalloc(n * sizeof(*children));
	JSON_EACH(c, x) {
		fieldset_sort(c);
		children[i++] = c;
	}
	qsort(children, n, sizeof(struct json *), by_element);
	x->last = NULL;
	x->len = 0;
	for (i = 0; i < n; i++)
		json_append(x, children[i]);
}

/* ---- paths as text ---- */

/* k:{"a":1,"b":"x"} -> [a=1,b="x"] */
static void add_keys(struct buf *b, const char *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *keys;
	bool first = true;

	if (json_parse(&a, text, strlen(text), &keys, NULL) < 0 || !json_is(keys, JSON_OBJECT)) {
		buf_addf(b, "[%s]", text);
		return;
	}
	buf_addc(b, '[');
	JSON_EACH(k, keys) {
		buf_addf(b, "%s%s=", first ? "" : ",", k->key);
		json_write(b, k);
		first = false;
	}
	buf_addc(b, ']');
}

void fieldset_element_text(struct buf *b, const char *key)
{
	const char *text = key + 2;

	if (key[0] == 'f')
		buf_addf(b, ".%s", text);
	else if (key[0] == 'k')
		add_keys(b, text);
	else
		buf_addf(b, key[0] == 'v' ? "[=%s]" : "[%s]", text);
}

struct walk {
	struct buf path;
	void (*each)(void *arg, const char *path);
	bool (*keep)(void *arg, const char *path);
	void *arg;
	struct arena *arena;
};

static void each(struct walk *w, const struct json *x)
{
	JSON_EACH(c, x) {
		if (is_dot(c))
			continue;
		size_t len = w->path.len;
		fieldset_element_text(&w->path, c->key);
		if (is_member(c))
			w->each(w->arg, buf_str(&w->path));
		each(w, c);
		w->path.len = len;
		w->path.data[len] = 0;
	}
}

void fieldset_each(const struct json *x, void (*fn)(void *arg, const char *path), void *arg)
{
	struct walk w = {.each = fn, .arg = arg};
	each(&w, x);
	buf_release(&w.path);
}

static struct json *filter(struct walk *w, const struct json *x, bool member)
{
	struct json *out = json_new(w->arena, JSON_OBJECT);

	JSON_EACH(c, x) {
		if (is_dot(c))
			continue;
		size_t len = w->path.len;
		fieldset_element_text(&w->path, c->key);
		struct json *kept = filter(w, c, is_member(c) && w->keep(w->arg, buf_str(&w->path)));
		if (kept)
			json_add(w->arena, out, c->key, c->key_len, kept);
		w->path.len = len;
		w->path.data[len] = 0;
	}
	return node(w->arena, member, out);
}

struct json *fieldset_filter(struct arena *a, const struct json *x, bool (*fn)(void *arg, const char *path), void *arg)
{
	struct walk w = {.keep = fn, .arg = arg, .arena = a};
	struct json *out = x ? filter(&w, x, false) : NULL;
	buf_release(&w.path);
	return out;
}
