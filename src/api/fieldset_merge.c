/* SPDX-License-Identifier: Apache-2.0 */
/* Merging an applied configuration, and taking out what its applier no longer names. */
#include <string.h>

#include "api/fieldset.h"
#include "api/fieldset_internal.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/json_index.h"
#include "base/str.h"

/* ---- merging ---- */

static struct json *merge(struct arena *a, const struct shape *s, const struct json *live, const struct json *applied);

struct item {
	char *element;
	const struct json *value;
};

static struct item *items_of(struct arena *a, const struct shape *s, const struct json *list)
{
	struct item *items = arena_alloc(a, (json_len(list) + 1) * sizeof(*items));
	size_t n = 0;

	JSON_EACH(c, list) {
		items[n] = (struct item){shape_element(a, s, c, n), c};
		n++;
	}
	return items;
}

struct list_merge {
	struct arena *arena;
	const struct shape *shape;
	struct json *out;
	struct shape_index in_live;
	struct map done; /* applied elements that are in out */
};

/* An applied item with the live one of its element, unless that occurs twice. */
static void take_applied(struct list_merge *m, const struct item *applied)
{
	struct shape inner = shape_of_child(m->shape, applied->value);
	const struct json *was =
	    map_has(&m->in_live.twice, applied->element) ? NULL : shape_index_find(&m->in_live, applied->element);

	json_append(m->out, merge(m->arena, &inner, was, applied->value));
	map_set(&m->done, applied->element, m);
}

/*
 * The applied items come in their order. Items that only the live list has stay where they are relative to the shared
 * items: `shared` is the next item, in the applied order, that both have.
 */
static void merge_items(struct list_merge *m, const struct json *live, const struct json *applied)
{
	_cleanup_shape_index_ struct shape_index in_applied;
	struct item *l = items_of(m->arena, m->shape, live), *r = items_of(m->arena, m->shape, applied);
	size_t nl = json_len(live), nr = json_len(applied), li = 0, ri = 0, shared = 0;

	shape_index_init(&in_applied, m->arena, m->shape, applied);
	while (li < nl || ri < nr) {
		while (shared < nr && !shape_index_find(&m->in_live, r[shared].element))
			shared++;
		if (li < nl && ri < nr) {
			if (strcmp(l[li].element, r[ri].element) == 0) {
				take_applied(m, &r[ri]);
				shared++;
				li++;
				ri++;
				continue;
			}
			if (shape_index_find(&in_applied, l[li].element) && shared < nr &&
			    strcmp(r[shared].element, l[li].element) != 0) {
				li++; /* its turn comes with the applied order */
				continue;
			}
		}
		if (li < nl) {
			if (!shape_index_find(&in_applied, l[li].element)) {
				json_append(m->out, json_clone(m->arena, l[li].value));
				li++;
				continue;
			}
			if (map_has(&m->done, l[li].element))
				li++;
		}
		if (ri < nr) {
			take_applied(m, &r[ri]);
			if (shared == ri)
				shared++;
			ri++;
		}
	}
}

static struct json *merge_list(struct arena *a, const struct shape *s, const struct json *live,
			       const struct json *applied)
{
	struct list_merge m = {.arena = a, .shape = s, .out = json_new(a, JSON_ARRAY), .done = MAP_INIT};

	shape_index_init(&m.in_live, a, s, live);
	merge_items(&m, live, applied);
	map_release(&m.done, NULL);
	shape_index_release(&m.in_live);
	return m.out;
}

static struct json *merge(struct arena *a, const struct shape *s, const struct json *live, const struct json *applied)
{
	if (live && json_len(live) && json_is(applied, JSON_NULL) && shape_descends(s, live))
		return json_clone(a, live); /* a null says nothing about what is merged */
	if (!live || !shape_descends(s, applied) || !shape_descends(s, live))
		return json_clone(a, applied);
	if (shape_is_list(s))
		return merge_list(a, s, live, applied);
	struct json *out = json_new(a, JSON_OBJECT);
	_cleanup_json_index_ struct json_index in_applied = json_index_of(applied), in_live = json_index_of(live);
	JSON_EACH(c, live) {
		const struct json *mine = json_index_get(&in_applied, c->key, c->key_len);
		struct shape inner = shape_of_child(s, c);
		json_add(a, out, c->key, c->key_len, mine ? merge(a, &inner, c, mine) : json_clone(a, c));
	}
	JSON_EACH(c, applied)
		if (!json_index_get(&in_live, c->key, c->key_len))
			json_add(a, out, c->key, c->key_len, json_clone(a, c));
	return out;
}

struct json *fieldset_merge(struct arena *a, const struct type *t, const struct json *live, const struct json *applied)
{
	struct shape root = shape_of_type(t);
	return merge(a, &root, live, applied);
}

/* ---- taking out ---- */

static bool has_children(const struct json *set)
{
	return set && set->len > (json_get(set, ".") ? 1u : 0u);
}

/* v without what is in set, as a whole or below. What becomes empty is null. */
static struct json *without(struct arena *a, const struct shape *s, const struct json *v, const struct json *set)
{
	if (v->type < JSON_ARRAY)
		return json_clone(a, v);
	if (!shape_descends(s, v)) /* a part of what is applied as a whole: all of it */
		return json_new(a, JSON_NULL);
	_cleanup_json_index_ struct json_index in_set = json_index_of(set);
	struct json *out = json_new(a, (enum json_type)v->type);
	size_t i = 0;
	JSON_EACH(c, v) {
		char *element = shape_element(a, s, c, i++);
		const struct json *gone = json_index_get(&in_set, element, strlen(element));
		struct shape inner = shape_of_child(s, c);
		if (gone && fieldset_has_dot(gone))
			continue;
		struct json *kept = has_children(gone) ? without(a, &inner, c, gone) : json_clone(a, c);
		if (v->type == JSON_OBJECT)
			json_add(a, out, c->key, c->key_len, kept);
		else
			json_append(out, kept);
	}
	return out->len ? out : json_new(a, JSON_NULL);
}

/* Makes the named fields that the set only has something below of members, too. */
static struct json *with_named(struct arena *a, const struct shape *s, const struct json *set)
{
	if (!set)
		return NULL;
	struct json *out = json_new(a, JSON_OBJECT);
	JSON_EACH(c, set) {
		if (c->key_len == 1) {
			json_add(a, out, ".", 1, json_new(a, JSON_OBJECT));
			continue;
		}
		bool named = s->kind == S_STRUCT && c->key[0] == 'f' && type_field(s->type, c->key + 2);
		struct json fake = {.type = JSON_OBJECT, .key = c->key + 2, .key_len = (c->key_len - 2) & 0xffffff};
		struct shape inner =
		    shape_is_list(s) || c->key[0] == 'f' ? shape_of_child(s, &fake) : shape_of_type(NULL);
		struct json *below = with_named(a, &inner, c);
		if (named)
			fieldset_set_dot(a, below);
		json_add(a, out, c->key, c->key_len, below);
	}
	return out;
}

struct json *fieldset_prune(struct arena *a, const struct type *t, const struct json *merged, const struct json *last,
			    const struct json *owned)
{
	struct shape root = shape_of_type(t);
	struct json *all = with_named(a, &root, fieldset_of(a, t, merged)), *was = with_named(a, &root, last);

	/* Without all that the applier had; then what anybody owns comes back; then what the applier did not have. */
	struct json *kept = without(a, &root, merged, was);
	struct json *stays =
	    fieldset_union(a, with_named(a, &root, fieldset_of(a, t, kept)), with_named(a, &root, owned));
	struct json *gone = fieldset_minus(a, all, stays);
	kept = gone ? without(a, &root, merged, gone) : json_clone(a, merged);
	gone = fieldset_minus(a, all, with_named(a, &root, fieldset_of(a, t, kept)));
	gone = fieldset_both(a, gone, was);
	return gone ? without(a, &root, merged, gone) : json_clone(a, merged);
}
