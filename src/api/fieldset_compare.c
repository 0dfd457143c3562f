/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two values: what appears or vanishes is a member with all that it has. */
#include <string.h>

#include "api/fieldset.h"
#include "api/fieldset_internal.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/json.h"

/* Every path of v, containers too, into below. */
static void add_all(struct arena *a, const struct shape *s, const struct json *v, struct json *below)
{
	_cleanup_shape_index_ struct shape_index index = SHAPE_INDEX_INIT;
	size_t i = 0;

	if (!shape_descends(s, v))
		return;
	shape_index_init(&index, a, s, v);
	JSON_EACH(c, v) {
		char *element = shape_element(a, s, c, i++);
		struct shape inner = shape_of_child(s, c);
		struct json *set = json_new(a, JSON_OBJECT);
		if (shape_is_list(s) && shape_index_find(&index, element) != c)
			continue;
		if (!map_has(&index.twice, element))
			add_all(a, &inner, c, set);
		fieldset_put(below, element, set);
	}
	fieldset_set_dot(a, below);
}

static void put_all(struct arena *a, const struct shape *s, const struct json *v, char *element, struct json *set)
{
	struct json *below = json_new(a, JSON_OBJECT);

	add_all(a, s, v, below);
	fieldset_put(set, element, below);
}

struct comparison {
	struct arena *arena;
	struct json *changed, *removed;
};

static void compare(struct comparison *c, const struct shape *s, const struct json *old, const struct json *new);

/* One that both have. */
static void compare_child(struct comparison *c, const struct shape *s, char *element, const struct json *old,
			  const struct json *new)
{
	if (json_equal(old, new)) /* most of what is updated is as it was: without sets of it */
		return;
	bool empty = !json_len(old) && !json_len(new);
	bool null_or_looked_into =
	    (shape_descends(s, old) || json_is(old, JSON_NULL)) && (shape_descends(s, new) || json_is(new, JSON_NULL));

	if (s->kind == S_LEAF || empty || !null_or_looked_into) {
		fieldset_put(c->changed, element, json_new(c->arena, JSON_OBJECT));
		return;
	}
	struct comparison below = {c->arena, json_new(c->arena, JSON_OBJECT), json_new(c->arena, JSON_OBJECT)};
	compare(&below, s, old, new);
	if (below.changed->len)
		fieldset_put(c->changed, element, below.changed);
	if (below.removed->len)
		fieldset_put(c->removed, element, below.removed);
}

/* Lists with an item more than once: upstream compares all of these as one. */
static bool same_items(struct arena *a, const struct shape *s, const char *element, const struct json *x,
		       const struct json *y)
{
	size_t i = 0, j = 0;
	const struct json *cx = json_first(x), *cy = json_first(y);

	for (;;) {
		while (cx && strcmp(shape_element(a, s, cx, i), element) != 0)
			cx = json_next(x, cx), i++;
		while (cy && strcmp(shape_element(a, s, cy, j), element) != 0)
			cy = json_next(y, cy), j++;
		if (!cx || !cy)
			return cx == cy;
		if (!json_equal(cx, cy))
			return false;
		cx = json_next(x, cx), i++;
		cy = json_next(y, cy), j++;
	}
}

/* Whether the item of that element is dealt with: more than once in one of the lists. */
static bool compare_repeated(struct comparison *c, const struct shape *s, char *element,
			     const struct shape_index *before, const struct shape_index *after)
{
	bool was_twice = map_has(&before->twice, element), is_twice = map_has(&after->twice, element);
	struct json *was = shape_index_find(before, element), *is = shape_index_find(after, element);
	struct shape inner = shape_of_type(s->kind == S_KEYED ? s->field->type : NULL);

	if (s->kind == S_SET)
		inner = (struct shape){S_LEAF, NULL, s->field};
	if (was_twice && is_twice) {
		if (!same_items(c->arena, s, element, before->value, after->value))
			fieldset_put(c->changed, element, json_new(c->arena, JSON_OBJECT));
	} else if (was_twice) {
		if (is)
			put_all(c->arena, &inner, is, element, c->changed);
		fieldset_put(c->removed, element, json_new(c->arena, JSON_OBJECT));
	} else if (is_twice) {
		if (was)
			put_all(c->arena, &inner, was, element, c->removed);
		fieldset_put(c->changed, element, json_new(c->arena, JSON_OBJECT));
	}
	return was_twice || is_twice;
}

static void compare(struct comparison *c, const struct shape *s, const struct json *old, const struct json *new)
{
	_cleanup_shape_index_ struct shape_index before, after;
	size_t i = 0;

	shape_index_init(&before, c->arena, s, old);
	shape_index_init(&after, c->arena, s, new);
	JSON_EACH(n, new) {
		char *element = shape_element(c->arena, s, n, i++);
		struct shape inner = shape_of_child(s, n);
		const struct json *was = shape_index_find(&before, element);
		if (shape_index_find(&after, element) != n || compare_repeated(c, s, element, &before, &after))
			continue;
		if (was)
			compare_child(c, &inner, element, was, n);
		else
			put_all(c->arena, &inner, n, element, c->changed);
	}
	i = 0;
	JSON_EACH(o, old) {
		char *element = shape_element(c->arena, s, o, i++);
		struct shape inner = shape_of_child(s, o);
		if (shape_index_find(&before, element) != o || shape_index_find(&after, element))
			continue;
		if (map_has(&before.twice, element))
			fieldset_put(c->removed, element, json_new(c->arena, JSON_OBJECT));
		else
			put_all(c->arena, &inner, o, element, c->removed);
	}
}

void fieldset_compare(struct arena *a, const struct type *t, const struct json *old, const struct json *new,
		      struct json **ret_changed, struct json **ret_removed)
{
	struct shape root = shape_of_type(t);
	struct comparison c = {a, json_new(a, JSON_OBJECT), json_new(a, JSON_OBJECT)};

	compare(&c, &root, old, new);
	*ret_changed = c.changed->len ? c.changed : NULL;
	*ret_removed = c.removed->len ? c.removed : NULL;
}
