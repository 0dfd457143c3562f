/* SPDX-License-Identifier: Apache-2.0 */
/* Walks values by type: the half of fieldset.h that knows what is granular. */
#include <string.h>

#include "api/fieldset.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_index.h"
#include "base/map.h"
#include "base/str.h"

enum shape_kind {
	S_LEAF,	   /* scalars and whatever is applied as a whole */
	S_STRUCT,  /* members by the type's fields */
	S_MAP,	   /* any keys; element is the field's kind */
	S_KEYED,   /* list whose items are told apart by keys */
	S_SET,	   /* list of distinct scalars */
	S_DEDUCED, /* no type is known */
};

struct shape {
	enum shape_kind kind;
	const struct type *type;
	const struct field *field; /* of S_MAP, S_KEYED, S_SET; and of a struct member */
};

static struct shape struct_shape(const struct type *t)
{
	return (struct shape){t ? S_STRUCT : S_DEDUCED, t, NULL};
}

static struct shape field_shape(const struct field *f)
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
		s.kind = f->type ? S_STRUCT : S_DEDUCED;
	}
	return s;
}

static struct shape member_shape(const struct shape *s, const struct json *m)
{
	if (s->kind == S_STRUCT) {
		const struct field *f = type_field_n(s->type, m->key, m->key_len);
		return f ? field_shape(f) : struct_shape(NULL);
	}
	if (s->kind == S_MAP) {
		if (s->field->shape == SHAPE_MAP && s->field->kind == FIELD_STRUCT)
			return struct_shape(s->field->type);
		return (struct shape){S_LEAF, NULL, s->field};
	}
	return struct_shape(NULL);
}

/* Whether v is looked into, rather than being one leaf. */
static bool descends(const struct shape *s, const struct json *v)
{
	switch (s->kind) {
	case S_LEAF:
		return false;
	case S_STRUCT:
	case S_MAP:
	case S_DEDUCED:
		return json_is(v, JSON_OBJECT);
	case S_KEYED:
	case S_SET:
		return json_is(v, JSON_ARRAY);
	}
	return false;
}

static bool is_list(const struct shape *s)
{
	return s->kind == S_KEYED || s->kind == S_SET;
}

/* ---- path elements ---- */

static const char *default_of_key(const struct type *t, const char *key)
{
	const struct field *f = type_field(t, key);
	return f ? f->default_json : NULL;
}

/* "k:{…}" or "v:…" of a list item; NULL with the key that it lacks. */
static char *item_element(struct arena *a, const struct shape *s, const struct json *item, const char **ret_missing)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (s->kind == S_SET) {
		buf_adds(&b, "v:");
		json_write(&b, item);
		return arena_strndup(a, buf_str(&b), b.len);
	}
	buf_adds(&b, "k:{");
	for (const char *const *k = s->field->list_keys; *k; k++) {
		const struct json *v = json_get(item, *k);
		const char *fallback = v ? NULL : default_of_key(s->field->type, *k);
		if (!v && !fallback) {
			if (ret_missing)
				*ret_missing = *k;
			return NULL;
		}
		if (k != s->field->list_keys)
			buf_addc(&b, ',');
		json_write_string(&b, *k, strlen(*k));
		buf_addc(&b, ':');
		if (v)
			json_write(&b, v);
		else
			buf_adds(&b, fallback);
	}
	buf_addc(&b, '}');
	return arena_strndup(a, buf_str(&b), b.len);
}

/* The element of a child, also where an item lacks its keys: then by its place. */
static char *child_element(struct arena *a, const struct shape *s, const struct json *c, size_t i)
{
	if (!is_list(s))
		return arena_printf(a, "f:%s", c->key);
	char *e = item_element(a, s, c, NULL);
	return e ? e : arena_printf(a, "i:%zu", i);
}

static struct shape child_shape(const struct shape *s, const struct json *c)
{
	return is_list(s) ? (s->kind == S_SET ? (struct shape){S_LEAF, NULL, s->field} : struct_shape(s->field->type))
			  : member_shape(s, c);
}

/* The children of a list by their elements (of equal ones the first), so that walking two lists is not quadratic. */
struct index {
	const struct shape *shape;
	const struct json *value;
	struct map items;
};

static void index_release(struct index *x)
{
	map_release(&x->items, NULL);
}

static void index_init(struct index *x, struct arena *a, const struct shape *s, const struct json *v)
{
	size_t i = 0;

	*x = (struct index){s, v, MAP_INIT};
	if (is_list(s) && json_is(v, JSON_ARRAY))
		JSON_EACH(c, v) {
			char *element = child_element(a, s, c, i++);
			if (!map_has(&x->items, element))
				map_set(&x->items, element, c);
		}
}

static struct json *index_find(const struct index *x, const char *element)
{
	if (is_list(x->shape))
		return map_get(&x->items, element);
	return str_has_prefix(element, "f:") ? json_get(x->value, element + 2) : NULL;
}

#define _cleanup_index_ _cleanup_(index_release)

/* Adds a member whose key is known to be new. element lives as long as the set. */
static void put(struct json *set, char *element, struct json *below)
{
	below->key = element;
	below->key_len = (uint32_t)strlen(element) & 0xffffff;
	json_append(set, below);
}

static void set_dot(struct arena *a, struct json *set)
{
	if (set->len)
		json_set(a, set, ".", json_new(a, JSON_OBJECT));
}

/* ---- the set of a value ---- */

static void seen_release(struct map *m)
{
	map_release(m, NULL);
}

/*
 * Adds v's paths to set. every: containers are members too (what appeared or vanished as a whole); otherwise, as for an
 * applied configuration, only list items, map entries and leaves.
 */
static bool add_paths(struct arena *a, const struct shape *s, const struct json *v, bool every, struct json *set,
		      const char **ret_problem)
{
	_cleanup_(seen_release) struct map seen = MAP_INIT;
	size_t i = 0;

	JSON_EACH(c, v) {
		const char *missing = NULL;
		if (is_list(s) && ret_problem && !item_element(a, s, c, &missing)) {
			*ret_problem = arena_printf(
			    a, "associative list with keys has an element that omits key field \"%s\"", missing);
			return false;
		}
		char *element = child_element(a, s, c, i++);
		struct shape inner = child_shape(s, c);
		struct json *below = json_new(a, JSON_OBJECT);
		if (is_list(s) && map_set(&seen, element, c)) {
			if (ret_problem) {
				*ret_problem = arena_printf(a, "duplicate entries for key %s", element + 2);
				return false;
			}
			continue;
		}
		if (descends(&inner, c)) {
			if (!add_paths(a, &inner, c, every, below, ret_problem))
				return false;
			if (!below->len && is_list(&inner) && !every)
				continue; /* an empty list names nothing */
			bool named = s->kind == S_STRUCT && inner.field &&
				     (!every || (inner.kind == S_STRUCT && !inner.field->pointer));
			if (!named)
				set_dot(a, below);
		}
		put(set, element, below);
	}
	return true;
}

struct json *fieldset_of(struct arena *a, const struct type *t, const struct json *value, const char **ret_problem)
{
	struct shape root = struct_shape(t);
	struct json *set = json_new(a, JSON_OBJECT);

	*ret_problem = NULL;
	if (!json_is(value, JSON_OBJECT) || !add_paths(a, &root, value, false, set, ret_problem))
		return NULL;
	return set->len ? set : NULL;
}

/* ---- differences ---- */

static void mark(struct arena *a, const struct shape *s, const struct json *c, char *element, struct json *set)
{
	struct json *below = json_new(a, JSON_OBJECT);

	if (descends(s, c)) {
		add_paths(a, s, c, true, below, NULL);
		if (!s->field || s->kind != S_STRUCT || s->field->pointer)
			set_dot(a, below);
	}
	put(set, element, below);
}

static void compare(struct arena *a, const struct shape *s, const struct json *old, const struct json *new,
		    struct json *changed, struct json *removed)
{
	_cleanup_index_ struct index before, after;
	size_t i = 0;

	index_init(&before, a, s, old);
	index_init(&after, a, s, new);
	JSON_EACH(c, new) {
		char *element = child_element(a, s, c, i++);
		struct shape inner = child_shape(s, c);
		const struct json *was = index_find(&before, element);
		if (index_find(&after, element) != c)
			continue; /* the same item again */
		if (!was) {
			mark(a, &inner, c, element, changed);
		} else if (descends(&inner, c) && descends(&inner, was)) {
			struct json *c2 = json_new(a, JSON_OBJECT), *r2 = json_new(a, JSON_OBJECT);
			compare(a, &inner, was, c, c2, r2);
			if (c2->len)
				put(changed, element, c2);
			if (r2->len)
				put(removed, element, r2);
		} else if (!json_equal(was, c)) {
			put(changed, element, json_new(a, JSON_OBJECT));
		}
	}
	i = 0;
	JSON_EACH(c, old) {
		char *element = child_element(a, s, c, i++);
		struct shape inner = child_shape(s, c);
		if (index_find(&before, element) == c && !index_find(&after, element))
			mark(a, &inner, c, element, removed);
	}
}

void fieldset_compare(struct arena *a, const struct type *t, const struct json *old, const struct json *new,
		      struct json **ret_changed, struct json **ret_removed)
{
	struct shape root = struct_shape(t);
	struct json *changed = json_new(a, JSON_OBJECT), *removed = json_new(a, JSON_OBJECT);

	compare(a, &root, old, new, changed, removed);
	*ret_changed = changed->len ? changed : NULL;
	*ret_removed = removed->len ? removed : NULL;
}

/* ---- merging ---- */

static struct json *merge(struct arena *a, const struct shape *s, const struct json *live, const struct json *applied);

static bool is_ahead(const struct json *live, const struct json *from, const struct json *item)
{
	for (; from; from = json_next(live, from))
		if (from == item)
			return true;
	return false;
}

/*
 * The applied items in their order; items that only live has come before the first applied item that they preceded.
 */
static struct json *merge_list(struct arena *a, const struct shape *s, const struct json *live,
			       const struct json *applied)
{
	_cleanup_index_ struct index in_live, in_applied;
	struct json *out = json_new(a, JSON_ARRAY), *next = json_first(live);
	size_t i = 0;

	index_init(&in_live, a, s, live);
	index_init(&in_applied, a, s, applied);
	JSON_EACH(c, applied) {
		struct shape inner = child_shape(s, c);
		struct json *was = index_find(&in_live, child_element(a, s, c, i++));
		if (was && is_ahead(live, next, was)) {
			for (; next != was; next = json_next(live, next))
				if (!index_find(&in_applied, child_element(a, s, next, 0)))
					json_append(out, json_clone(a, next));
			next = json_next(live, was);
		}
		json_append(out, merge(a, &inner, was, c));
	}
	for (; next; next = json_next(live, next))
		if (!index_find(&in_applied, child_element(a, s, next, 0)))
			json_append(out, json_clone(a, next));
	return out;
}

static struct json *merge(struct arena *a, const struct shape *s, const struct json *live, const struct json *applied)
{
	if (!live || !descends(s, applied) || !descends(s, live))
		return json_clone(a, applied);
	if (is_list(s))
		return merge_list(a, s, live, applied);
	struct json *out = json_new(a, JSON_OBJECT);
	_cleanup_json_index_ struct json_index in_applied = json_index_of(applied), in_live = json_index_of(live);
	JSON_EACH(c, live) {
		const struct json *mine = json_index_get(&in_applied, c->key, c->key_len);
		struct shape inner = member_shape(s, c);
		json_add(a, out, c->key, c->key_len, mine ? merge(a, &inner, c, mine) : json_clone(a, c));
	}
	JSON_EACH(c, applied)
		if (!json_index_get(&in_live, c->key, c->key_len))
			json_add(a, out, c->key, c->key_len, json_clone(a, c));
	return out;
}

struct json *fieldset_merge(struct arena *a, const struct type *t, const struct json *live, const struct json *applied)
{
	struct shape root = struct_shape(t);
	return merge(a, &root, live, applied);
}

/* ---- pruning ---- */

static void prune(struct arena *a, const struct shape *s, struct json *value, const struct json *last,
		  const struct json *owned)
{
	_cleanup_index_ struct index children;

	_cleanup_json_index_ struct json_index in_owned = json_index_of(owned);
	index_init(&children, a, s, value);
	JSON_EACH(l, last) {
		struct json *child = l->key_len > 1 ? index_find(&children, l->key) : NULL;
		if (!child)
			continue;
		const struct json *mine = json_index_get(&in_owned, l->key, l->key_len);
		struct shape inner = child_shape(s, child);
		if (!mine)
			json_remove_child(value, child);
		else if (descends(&inner, child))
			prune(a, &inner, child, l, mine);
	}
}

void fieldset_prune(struct arena *a, const struct type *t, struct json *value, const struct json *last,
		    const struct json *owned)
{
	struct shape root = struct_shape(t);
	prune(a, &root, value, last, owned);
}
