/* SPDX-License-Identifier: Apache-2.0 */
#include "api/strategic_patch.h"

#include <stdint.h>
#include <string.h>

#include "api/keyed_list.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/json_index.h"
#include "base/status.h"
#include "base/str.h"

#define DELETE_PREFIX "$deleteFromPrimitiveList/"
#define ORDER_PREFIX "$setElementOrder/"

struct merger {
	struct arena *arena;
	struct status *err;
};

static int malformed(struct merger *m, const char *fmt, const char *what)
{
	return status_set(m->err, 400, fmt, what);
}

static bool is_directive(const char *key)
{
	return str_eq(key, "$patch") || str_eq(key, "$retainKeys") || str_has_prefix(key, DELETE_PREFIX) ||
	       str_has_prefix(key, ORDER_PREFIX);
}

/*
 * A value that is new to the object: without directives and without the nulls that would have deleted something. NULL
 * for an object that is itself a directive: there is nothing that it could apply to.
 */
static struct json *plain(struct merger *m, const struct json *v)
{
	if (v->type < JSON_ARRAY)
		return json_clone(m->arena, v);
	if (v->type == JSON_OBJECT && json_get(v, "$patch"))
		return NULL;
	struct json *out = json_new(m->arena, (enum json_type)v->type);
	JSON_EACH(c, v) {
		bool left_out = v->type == JSON_OBJECT && (c->type == JSON_NULL || is_directive(c->key));
		struct json *kept = left_out ? NULL : plain(m, c);
		if (kept && v->type == JSON_OBJECT)
			json_add(m->arena, out, c->key, c->key_len, kept);
		else if (kept)
			json_append(out, kept);
	}
	return out;
}

/* The same of what replaces something as a whole, or comes anew into a list: there upstream looks for no directives. */
static struct json *literal(struct merger *m, const struct json *v)
{
	if (v->type < JSON_ARRAY)
		return json_clone(m->arena, v);
	struct json *out = json_new(m->arena, (enum json_type)v->type);
	JSON_EACH(c, v) {
		if (v->type == JSON_ARRAY)
			json_append(out, literal(m, c));
		else if (c->type != JSON_NULL && !is_directive(c->key))
			json_add(m->arena, out, c->key, c->key_len, literal(m, c));
	}
	return out;
}

/* ---- lists ---- */

static const struct json *item_key(const struct json *item, const char *merge_key)
{
	return merge_key ? json_get(item, merge_key) : item;
}

static int merge_object(struct merger *m, const struct type *type, struct json *doc, const struct json *patch,
			struct json **ret);

static int merge_item(struct merger *m, const struct field *f, struct keyed_list *list, const struct json *item)
{
	const char *merge_key = f->patch_merge_key, *directive = json_path_str(item, "$patch");
	const struct json *key = json_get(item, merge_key);

	if (!key)
		return status_set(m->err, 422, "map: item of a list does not contain declared merge key: %s",
				  merge_key);
	if (str_eq(directive, "delete")) {
		keyed_list_remove(list, key);
		return 0;
	}
	struct json *found = keyed_list_find(list, key);
	if (!found) {
		keyed_list_add(list, literal(m, item));
		return 0;
	}
	struct json *merged;
	if (merge_object(m, f->type, found, item, &merged) < 0)
		return -1;
	if (merged != found)
		json_replace(found, merged);
	return 0;
}

/* A list with "$patch: replace" among its items is replaced by the other items. */
static bool replaces_list(const struct json *patch)
{
	JSON_EACH(item, patch)
		if (str_eq(json_path_str(item, "$patch"), "replace"))
			return true;
	return false;
}

static struct json *without_replace_marks(struct merger *m, const struct json *patch)
{
	struct json *out = json_new(m->arena, JSON_ARRAY);
	JSON_EACH(item, patch)
		if (!json_get(item, "$patch"))
			json_append(out, literal(m, item));
	return out;
}

static int merge_list(struct merger *m, const struct field *f, struct json *list, const struct json *patch)
{
	bool objects = f->patch_merge_key != NULL;

	JSON_EACH(item, patch) {
		const char *directive = json_path_str(item, "$patch");
		if (objects != (item->type == JSON_OBJECT))
			return malformed(m, "invalid patch of list %s: items are of different types", f->name);
		if (json_get(item, "$patch") && !str_eq(directive, "delete") && !str_eq(directive, "replace"))
			return malformed(m, "unknown patch type of a list's item: %s",
					 str_or(directive, "not a string"));
	}
	if (objects && replaces_list(patch)) {
		json_replace(list, without_replace_marks(m, patch));
		return 0;
	}
	_cleanup_keyed_list_ struct keyed_list items = keyed_list_of(m->arena, list, f->patch_merge_key);
	/* What is to be deleted goes first, wherever the patch says so. */
	JSON_EACH(item, patch)
		if (objects && json_get(item, "$patch") && merge_item(m, f, &items, item) < 0)
			return -1;
	JSON_EACH(item, patch) {
		if (objects && !json_get(item, "$patch") && merge_item(m, f, &items, item) < 0)
			return -1;
		if (!objects && !keyed_list_find(&items, item))
			keyed_list_add(&items, json_clone(m->arena, item));
	}
	json_replace(list, keyed_list_ordered(&items, patch, &items));
	return 0;
}

/* Of a list's patch and its $setElementOrder: the items come in that order, and all of them are in it. */
static int check_order(struct merger *m, const struct field *f, const struct json *patch, const struct json *order)
{
	const char *key = f->patch_merge_key;
	const struct json *o = json_first(order);

	if (!json_is(patch, JSON_ARRAY) || !o)
		return 0;
	JSON_EACH(item, patch) {
		if (json_is(item, JSON_OBJECT) && json_get(item, "$patch"))
			continue;
		while (o && !json_equal(item_key(item, key), item_key(o, key)))
			o = json_next(order, o);
		if (!o)
			return malformed(m, "The order in patch list doesn't match $setElementOrder/%s list", f->name);
		o = json_next(order, o);
	}
	return 0;
}

/* ---- objects ---- */

static int retain_keys(struct merger *m, struct json *doc, const struct json *patch)
{
	const struct json *keep = json_get(patch, "$retainKeys");

	if (!keep)
		return 0;
	if (!json_is(keep, JSON_ARRAY))
		return malformed(m, "%s: invalid value, expected a list of field names", "$retainKeys");
	_cleanup_keyed_list_ struct keyed_list kept = keyed_list_of(m->arena, keep, NULL);
	JSON_EACH(p, patch)
		if (!is_directive(p->key) && p->type != JSON_NULL &&
		    !keyed_list_find(&kept, json_new_str(m->arena, p->key)))
			return malformed(m, "$retainKeys list doesn't match the patch: %s is not in it", p->key);
	JSON_EACH(c, doc)
		if (!keyed_list_find(&kept, json_new_str(m->arena, c->key)))
			c->key = NULL;
	json_drop_marked(doc);
	return 0;
}

static int delete_from_list(struct merger *m, struct json *doc, const struct json *values, const char *name)
{
	struct json *list = json_get(doc, name);

	if (!json_is(values, JSON_ARRAY))
		return malformed(m, "invalid value of $deleteFromPrimitiveList/%s: a list is expected", name);
	if (!json_is(list, JSON_ARRAY))
		return 0;
	_cleanup_keyed_list_ struct keyed_list items = keyed_list_of(m->arena, list, NULL);
	JSON_EACH(v, values)
		keyed_list_remove(&items, v);
	json_replace(list, keyed_list_rest(&items));
	return 0;
}

/* old: doc's member of p's name, or NULL. *ret_gone: it is to be taken out. */
static int merge_member(struct merger *m, const struct type *type, struct json *doc, struct json *old,
			const struct json *p, bool *ret_gone)
{
	const struct field *f = type ? type_field(type, p->key) : NULL;

	bool merges = f && f->patch_merge && f->shape == SHAPE_LIST;
	if (!old || old->type != p->type) {
		struct json *v = plain(m, p);
		if (v && old)
			json_replace(old, v);
		else if (v)
			json_add(m->arena, doc, p->key, p->key_len, v);
		else if (old)
			*ret_gone = true;
		return 0;
	}
	if (p->type == JSON_OBJECT) {
		struct json *merged;
		const struct type *inner = f && f->kind == FIELD_STRUCT && f->shape == SHAPE_SINGLE ? f->type : NULL;
		if (merge_object(m, inner, old, p, &merged) < 0)
			return -1;
		if (merged != old)
			json_replace(old, merged);
		return 0;
	}
	if (merges)
		return merge_list(m, f, old, p);
	json_replace(old, literal(m, p));
	return 0;
}

static int order_list(struct merger *m, const struct type *type, struct json *doc, const struct json *before,
		      const struct json *order, const char *name)
{
	const struct field *f = type ? type_field(type, name) : NULL;
	struct json *list = json_get(doc, name);

	if (!json_is(order, JSON_ARRAY))
		return malformed(m, "invalid value of $setElementOrder/%s: a list is expected", name);
	if (!json_is(list, JSON_ARRAY) || !f || !f->patch_merge || f->shape != SHAPE_LIST)
		return 0;
	_cleanup_keyed_list_ struct keyed_list items = keyed_list_of(m->arena, list, f->patch_merge_key);
	_cleanup_keyed_list_ struct keyed_list was =
	    keyed_list_of(m->arena, json_get(before, name), f->patch_merge_key);
	json_set(m->arena, doc, name, keyed_list_ordered(&items, order, &was));
	return 0;
}

/* The lists that are to be ordered, as they were. */
static struct json *lists_before(struct merger *m, const struct json *doc, const struct json *patch)
{
	struct json *before = json_new(m->arena, JSON_OBJECT);
	JSON_EACH(p, patch) {
		const char *name = str_after(p->key, ORDER_PREFIX);
		struct json *list = name ? json_get(doc, name) : NULL;
		if (list)
			json_set(m->arena, before, name, json_clone(m->arena, list));
	}
	return before;
}

static int check_orders(struct merger *m, const struct type *type, const struct json *patch)
{
	JSON_EACH(p, patch) {
		const char *name = str_after(p->key, ORDER_PREFIX);
		const struct field *f = name && type ? type_field(type, name) : NULL;
		if (f && f->patch_merge && f->shape == SHAPE_LIST && check_order(m, f, json_get(patch, name), p) < 0)
			return -1;
	}
	return 0;
}

static int merge_object(struct merger *m, const struct type *type, struct json *doc, const struct json *patch,
			struct json **ret)
{
	struct json *directive = json_get(patch, "$patch");
	const char *how = json_str(directive);

	if (directive) {
		if (str_eq(how, "replace"))
			*ret = literal(m, patch);
		else if (str_eq(how, "delete"))
			*ret = json_new(m->arena, JSON_OBJECT);
		else
			return malformed(m, "unknown patch type found: %s", str_or(how, "not a string"));
		return 0;
	}
	if (retain_keys(m, doc, patch) < 0)
		return -1;
	if (check_orders(m, type, patch) < 0)
		return -1;
	struct json *before = lists_before(m, doc, patch);
	_cleanup_json_index_ struct json_index index = json_index_of(doc);
	struct json **gone = arena_alloc(m->arena, json_len(patch) * sizeof(struct json *));
	size_t n_gone = 0;
	JSON_EACH(p, patch) {
		const char *name = str_after(p->key, DELETE_PREFIX);
		if (name) {
			if (delete_from_list(m, doc, p, name) < 0)
				return -1;
			continue;
		}
		if (is_directive(p->key))
			continue;
		struct json *old = json_index_get(&index, p->key, p->key_len);
		bool drop = p->type == JSON_NULL && old;
		if (p->type != JSON_NULL && merge_member(m, type, doc, old, p, &drop) < 0)
			return -1;
		if (drop)
			gone[n_gone++] = old;
	}
	for (size_t i = 0; i < n_gone; i++)
		gone[i]->key = NULL;
	if (n_gone)
		json_drop_marked(doc);
	JSON_EACH(p, patch) {
		const char *name = str_after(p->key, ORDER_PREFIX);
		if (name && order_list(m, type, doc, before, p, name) < 0)
			return -1;
	}
	*ret = doc;
	return 0;
}

int strategic_patch_apply(struct arena *a, const struct type *type, struct json *doc, const struct json *patch,
			  struct json **ret, struct status *err)
{
	struct merger m = {a, err};

	if (!json_is(patch, JSON_OBJECT))
		return status_set(err, 400, "invalid strategic merge patch: an object is expected");
	if (!json_is(doc, JSON_OBJECT))
		doc = json_new(a, JSON_OBJECT);
	return merge_object(&m, type, doc, patch, ret);
}
