/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json_index.h"
#include "base/str.h"

/* ---- reading ---- */

struct json *json_get_n(const struct json *object, const char *key, size_t key_len)
{
	if (!json_is(object, JSON_OBJECT))
		return NULL;
	JSON_EACH(m, object)
		if (m->key_len == key_len && memcmp(m->key, key, key_len) == 0)
			return m;
	return NULL;
}

struct json *json_get(const struct json *object, const char *key)
{
	return json_get_n(object, key, strlen(key));
}

struct json *json_at(const struct json *array, size_t i)
{
	JSON_EACH(c, array)
		if (i-- == 0)
			return c;
	return NULL;
}

struct json *json_path(const struct json *v, const char *path)
{
	for (;;) {
		const char *dot = strchrnul(path, '.');
		struct json *m = json_get_n(v, path, (size_t)(dot - path));
		if (!m || !*dot)
			return m;
		v = m;
		path = dot + 1;
	}
}

const char *json_str(const struct json *v)
{
	return json_is(v, JSON_STRING) ? v->str : NULL;
}

static bool number_int(const struct json *v, int64_t *ret)
{
	if (!json_is(v, JSON_NUMBER))
		return false;
	if (parse_i64(v->str, ret) == 0)
		return true;
	if (!strpbrk(v->str, ".eE"))
		return false;
	double d = strtod(v->str, NULL);
	if (!(fabs(d) <= 9007199254740992.0) || d != (double)(int64_t)d) /* beyond 2^53 a float says no exact integer */
		return false;
	*ret = (int64_t)d;
	return true;
}

int64_t json_int(const struct json *v, int64_t fallback)
{
	int64_t n;
	return number_int(v, &n) ? n : fallback;
}

bool json_is_int(const struct json *v)
{
	int64_t n;
	return number_int(v, &n);
}

bool json_bool(const struct json *v, bool fallback)
{
	return json_is(v, JSON_BOOL) ? v->boolean : fallback;
}

double json_double(const struct json *v, double fallback)
{
	return json_is(v, JSON_NUMBER) ? strtod(v->str, NULL) : fallback;
}

const char *json_path_str(const struct json *v, const char *path)
{
	return json_str(json_path(v, path));
}

int64_t json_path_int(const struct json *v, const char *path, int64_t fallback)
{
	return json_int(json_path(v, path), fallback);
}

bool json_path_bool(const struct json *v, const char *path, bool fallback)
{
	return json_bool(json_path(v, path), fallback);
}

static bool number_equal(const struct json *a, const struct json *b)
{
	int64_t x, y;

	if (a->len == b->len && memcmp(a->str, b->str, a->len) == 0)
		return true;
	bool ia = number_int(a, &x), ib = number_int(b, &y);
	if (ia || ib)
		return ia && ib && x == y;
	return strtod(a->str, NULL) == strtod(b->str, NULL);
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->type != b->type)
		return false;
	switch ((enum json_type)a->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return a->boolean == b->boolean;
	case JSON_NUMBER:
		return number_equal(a, b);
	case JSON_STRING:
		return a->len == b->len && memcmp(a->str, b->str, a->len) == 0;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	if (a->len != b->len)
		return false;
	_cleanup_json_index_ struct json_index index = json_index_of(b);
	struct json *y = json_first(b);
	JSON_EACH(x, a) {
		struct json *other = y;
		if (a->type == JSON_OBJECT && (x->key_len != y->key_len || memcmp(x->key, y->key, x->key_len) != 0))
			other = json_index_get(&index, x->key, x->key_len);
		if (!other || !json_equal(x, other))
			return false;
		y = y->next;
	}
	return true;
}

/* ---- building ---- */

struct json *json_new(struct arena *a, enum json_type t)
{
	struct json *v = ARENA_NEW(a, struct json);

	v->type = t;
	if (t == JSON_STRING)
		v->str = "";
	if (t == JSON_NUMBER) {
		v->str = "0";
		v->len = 1;
	}
	return v;
}

struct json *json_new_strn(struct arena *a, const char *s, size_t len)
{
	struct json *v = json_new(a, JSON_STRING);

	v->str = arena_strndup(a, s, len);
	v->len = (uint32_t)len;
	return v;
}

struct json *json_new_str(struct arena *a, const char *s)
{
	return s ? json_new_strn(a, s, strlen(s)) : json_new(a, JSON_NULL);
}

struct json *json_new_strf(struct arena *a, const char *fmt, ...)
{
	struct json *v = json_new(a, JSON_STRING);
	va_list ap;

	va_start(ap, fmt);
	v->str = arena_vprintf(a, fmt, ap);
	va_end(ap);
	v->len = (uint32_t)strlen(v->str);
	return v;
}

struct json *json_new_int(struct arena *a, int64_t n)
{
	struct json *v = json_new(a, JSON_NUMBER);

	v->str = arena_printf(a, "%lld", (long long)n);
	v->len = (uint32_t)strlen(v->str);
	return v;
}

struct json *json_new_bool(struct arena *a, bool b)
{
	struct json *v = json_new(a, JSON_BOOL);

	v->boolean = b;
	return v;
}

static void set_key(struct arena *a, struct json *v, const char *key, size_t len)
{
	v->key = arena_strndup(a, key, len);
	v->key_len = len & 0xffffff;
}

struct json *json_clone(struct arena *a, const struct json *v)
{
	struct json *copy = json_new(a, (enum json_type)v->type);

	switch ((enum json_type)v->type) {
	case JSON_NULL:
		break;
	case JSON_BOOL:
		copy->boolean = v->boolean;
		break;
	case JSON_NUMBER:
	case JSON_STRING:
		copy->str = arena_strndup(a, v->str, v->len);
		copy->len = v->len;
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		JSON_EACH(c, v) {
			struct json *child = json_clone(a, c);
			if (c->key)
				set_key(a, child, c->key, c->key_len);
			json_append(copy, child);
		}
	}
	return copy;
}

size_t json_text_bytes(const struct json *v)
{
	size_t n = 4 + (v->key ? v->key_len : 0);

	if (v->type < JSON_ARRAY)
		return n + (v->type == JSON_NUMBER || v->type == JSON_STRING ? v->len : 0);
	JSON_EACH(c, v)
		n += json_text_bytes(c);
	return n;
}

struct json *json_append(struct json *parent, struct json *value)
{
	if (parent->last) {
		value->next = parent->last->next;
		parent->last->next = value;
	} else {
		value->next = value;
	}
	parent->last = value;
	parent->len++;
	return value;
}

struct json *json_add(struct arena *a, struct json *object, const char *key, size_t key_len, struct json *value)
{
	set_key(a, value, key, key_len);
	return json_append(object, value);
}

void json_drop_marked(struct json *object)
{
	struct json *kept = NULL, *m = json_first(object);

	for (uint32_t n = object->len; n; n--) {
		struct json *next = m->next;
		if (!m->key) {
			object->len--;
		} else if (!kept) {
			kept = m->next = m;
		} else {
			m->next = kept->next;
			kept->next = m;
			kept = m;
		}
		m = next;
	}
	object->last = kept;
}

void json_insert(struct json *array, size_t i, struct json *value)
{
	if (i >= array->len) {
		json_append(array, value);
		return;
	}
	struct json *before = array->last;
	while (i--)
		before = before->next;
	value->next = before->next;
	before->next = value;
	array->len++;
}

void json_replace(struct json *at, const struct json *v)
{
	at->type = v->type;
	at->len = v->len;
	at->last = v->last; /* the widest member of the union */
}

struct json *json_set(struct arena *a, struct json *object, const char *key, struct json *value)
{
	size_t len = strlen(key);
	struct json *old = json_get_n(object, key, len);

	if (!old) {
		set_key(a, value, key, len);
		return json_append(object, value);
	}
	if (old == value)
		return value;
	/* Put value itself in old's place, so that the caller's pointer is the one in the tree. */
	struct json *before = object->last;
	while (before->next != old)
		before = before->next;
	value->key = old->key;
	value->key_len = old->key_len;
	if (before == old) {
		value->next = value;
	} else {
		value->next = old->next;
		before->next = value;
	}
	if (object->last == old)
		object->last = value;
	return value;
}

struct json *json_set_str(struct arena *a, struct json *object, const char *key, const char *s)
{
	return json_set(a, object, key, json_new_str(a, s));
}

struct json *json_set_int(struct arena *a, struct json *object, const char *key, int64_t n)
{
	return json_set(a, object, key, json_new_int(a, n));
}

struct json *json_set_bool(struct arena *a, struct json *object, const char *key, bool b)
{
	return json_set(a, object, key, json_new_bool(a, b));
}

static struct json *container_in(struct arena *a, struct json *object, const char *key, enum json_type t)
{
	struct json *m = json_get(object, key);
	return json_is(m, t) ? m : json_set(a, object, key, json_new(a, t));
}

struct json *json_object_in(struct arena *a, struct json *object, const char *key)
{
	return container_in(a, object, key, JSON_OBJECT);
}

struct json *json_array_in(struct arena *a, struct json *object, const char *key)
{
	return container_in(a, object, key, JSON_ARRAY);
}

struct json *json_set_path(struct arena *a, struct json *object, const char *path, struct json *value)
{
	for (const char *dot; *(dot = strchrnul(path, '.')); path = dot + 1)
		object = json_object_in(a, object, arena_strndup(a, path, (size_t)(dot - path)));
	return json_set(a, object, path, value);
}

void json_remove_child(struct json *parent, struct json *child)
{
	struct json *before = parent->last;

	while (before->next != child)
		before = before->next;
	if (before == child) {
		parent->last = NULL;
	} else {
		before->next = child->next;
		if (parent->last == child)
			parent->last = before;
	}
	parent->len--;
}

bool json_remove(struct json *object, const char *key)
{
	struct json *m = json_get(object, key);
	if (m)
		json_remove_child(object, m);
	return m != NULL;
}
