/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/fieldset_internal.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

struct shape shape_of_type(const struct type *t)
{
	return (struct shape){!t ? S_DEDUCED : t->atomic ? S_LEAF : S_STRUCT, t, NULL};
}

struct shape shape_of_field(const struct field *f)
{
	struct shape s = {S_LEAF, f->type, f};

	if (f->atomic)
		return s;
	if (f->shape == SHAPE_LIST) {
		if (f->list_type == LIST_MAP && f->kind == FIELD_STRUCT && f->list_keys)
			s.kind = S_KEYED;
		else if (f->list_type == LIST_SET && f->kind != FIELD_STRUCT)
			s.kind = S_SET;
	} else if (f->shape != SHAPE_SINGLE) {
		s.kind = S_MAP;
	} else if (f->kind == FIELD_STRUCT) {
		s.kind = f->type ? S_STRUCT : S_DEDUCED; /* the field may overrule its type */
	}
	return s;
}

static struct shape member_shape(const struct shape *s, const struct json *m)
{
	if (s->kind == S_STRUCT) {
		const struct field *f = type_field_n(s->type, m->key, m->key_len);
		return f ? shape_of_field(f) : shape_of_type(NULL);
	}
	if (s->kind == S_MAP) {
		if (s->field->shape == SHAPE_MAP && s->field->kind == FIELD_STRUCT)
			return shape_of_type(s->field->type);
		return (struct shape){S_LEAF, NULL, s->field};
	}
	return shape_of_type(NULL);
}

struct shape shape_of_child(const struct shape *s, const struct json *child)
{
	if (s->kind == S_SET)
		return (struct shape){S_LEAF, NULL, s->field};
	return s->kind == S_KEYED ? shape_of_type(s->field->type) : member_shape(s, child);
}

bool shape_is_list(const struct shape *s)
{
	return s->kind == S_KEYED || s->kind == S_SET;
}

bool shape_descends(const struct shape *s, const struct json *v)
{
	if (s->kind == S_LEAF)
		return false;
	return json_is(v, shape_is_list(s) ? JSON_ARRAY : JSON_OBJECT);
}

/* ---- path elements ---- */

static const char *default_of_key(const struct type *t, const char *key)
{
	const struct field *f = type_field(t, key);

	if (!f || f->default_json || f->pointer || f->omit_empty)
		return f ? f->default_json : NULL;
	/* Upstream's schemas give fields that are always there their zero value. */
	return f->kind == FIELD_STRING ? "\"\"" : f->kind == FIELD_BOOL ? "false" : "0";
}

static const char *all_keys_missing(struct arena *a, const struct field *f)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, "associative list with keys has an element that omits all key fields [");
	for (const char *const *k = f->list_keys; *k; k++)
		buf_addf(&b, "%s\"%s\"", k == f->list_keys ? "" : " ", *k);
	buf_adds(&b, "] (and doesn't have default values for any key fields)");
	return arena_strdup(a, buf_str(&b));
}

static char *set_element(struct arena *a, const struct json *item, const char **ret_why)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *why = item->type == JSON_OBJECT  ? "associative list without keys has an element that's a map type"
			  : item->type == JSON_ARRAY ? "not supported: associative list with lists as elements"
			  : item->type == JSON_NULL
			      ? "associative list without keys has an element that's an explicit null"
			      : NULL;

	if (why) {
		if (ret_why)
			*ret_why = why;
		return NULL;
	}
	buf_adds(&b, "v:");
	json_write(&b, item);
	return arena_strndup(a, buf_str(&b), b.len);
}

/* The next key after `after` in alphabetical order: the order in which elements name them. */
static const char *key_after(const struct field *f, const char *after)
{
	const char *best = NULL;

	for (const char *const *k = f->list_keys; *k; k++)
		if ((!after || strcmp(*k, after) > 0) && (!best || strcmp(*k, best) < 0))
			best = *k;
	return best;
}

char *shape_item_element(struct arena *a, const struct shape *s, const struct json *item, const char **ret_why)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t n = 0;

	if (s->kind == S_SET)
		return set_element(a, item, ret_why);
	if (item->type != JSON_OBJECT) {
		if (ret_why)
			*ret_why = item->type == JSON_NULL ? "associative list with keys may not have a null element"
							   : "associative list with keys may not have non-map elements";
		return NULL;
	}
	buf_adds(&b, "k:{");
	for (const char *k = key_after(s->field, NULL); k; k = key_after(s->field, k)) {
		const struct json *v = json_get(item, k);
		const char *fallback = v ? NULL : default_of_key(s->field->type, k);
		if (!v && !fallback)
			continue;
		if (n++)
			buf_addc(&b, ',');
		json_write_string(&b, k, strlen(k));
		buf_addc(&b, ':');
		if (v)
			json_write(&b, v);
		else
			buf_adds(&b, fallback);
	}
	if (!n) {
		if (ret_why)
			*ret_why = all_keys_missing(a, s->field);
		return NULL;
	}
	buf_addc(&b, '}');
	return arena_strndup(a, buf_str(&b), b.len);
}

static char *field_element(struct arena *a, const struct json *member)
{
	char *e = arena_alloc(a, sizeof("f:") + member->key_len);

	memcpy(e, "f:", 2);
	memcpy(e + 2, member->key, member->key_len);
	e[2 + member->key_len] = 0;
	return e;
}

char *shape_element(struct arena *a, const struct shape *s, const struct json *child, size_t i)
{
	if (!shape_is_list(s))
		return field_element(a, child);
	char *e = shape_item_element(a, s, child, NULL);
	return e ? e : arena_printf(a, "i:%zu", i);
}

/* ---- index ---- */

void shape_index_init(struct shape_index *x, struct arena *a, const struct shape *s, const struct json *v)
{
	size_t i = 0;

	*x = (struct shape_index){s, v, MAP_INIT, MAP_INIT};
	if (shape_is_list(s) && json_is(v, JSON_ARRAY))
		JSON_EACH(c, v) {
			char *element = shape_element(a, s, c, i++);
			if (map_has(&x->items, element))
				map_set(&x->twice, element, c);
			else
				map_set(&x->items, element, c);
		}
}

void shape_index_release(struct shape_index *x)
{
	map_release(&x->items, NULL);
	map_release(&x->twice, NULL);
}

struct json *shape_index_find(const struct shape_index *x, const char *element)
{
	if (shape_is_list(x->shape))
		return map_get(&x->items, element);
	return str_has_prefix(element, "f:") ? json_get(x->value, element + 2) : NULL;
}

/* ---- nodes of sets ---- */

void fieldset_put(struct json *set, char *element, struct json *below)
{
	below->key = element;
	below->key_len = (uint32_t)strlen(element) & 0xffffff;
	json_append(set, below);
}

void fieldset_set_dot(struct arena *a, struct json *set)
{
	if (set->len)
		json_set(a, set, ".", json_new(a, JSON_OBJECT));
}

bool fieldset_has_dot(const struct json *set)
{
	return set && (!set->len || json_get(set, "."));
}
