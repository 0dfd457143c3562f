/* SPDX-License-Identifier: Apache-2.0 */
#include "api/keyed_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

static const struct json *key_of(const struct json *item, const char *merge_key)
{
	return merge_key ? json_get(item, merge_key) : item;
}

/* Equal scalars have equal text; 1 and 1.0 are equal. */
static const char *key_text(struct arena *a, const struct json *key)
{
	if (!key)
		return NULL;
	if (key->type != JSON_NUMBER)
		return json_to_string(a, key);
	return json_is_int(key) ? arena_printf(a, "%" PRId64, json_int(key, 0))
				: arena_printf(a, "%.17g", json_double(key, 0));
}

void keyed_list_add(struct keyed_list *l, struct json *item)
{
	if (l->n == l->cap) {
		uint32_t cap = MAX_OF(l->cap * 2, 16u);
		struct keyed_item *more = arena_alloc(l->arena, cap * sizeof(*more));
		if (l->n)
			memcpy(more, l->at, l->n * sizeof(*more));
		l->at = more;
		l->cap = cap;
	}
	const char *key = key_text(l->arena, key_of(item, l->merge_key));
	l->at[l->n] = (struct keyed_item){.item = item, .key = key, .last = l->n + 1};
	l->n++;
	if (!key)
		return;
	uintptr_t first = (uintptr_t)map_get(&l->first, key);
	if (!first) {
		map_set(&l->first, key, (void *)(uintptr_t)l->n);
		return;
	}
	struct keyed_item *head = &l->at[first - 1];
	l->at[head->last - 1].next = l->n;
	head->last = l->n;
}

struct keyed_list keyed_list_of(struct arena *a, const struct json *list, const char *merge_key)
{
	struct keyed_list l = {.arena = a, .merge_key = merge_key};

	JSON_EACH(item, list)
		keyed_list_add(&l, item);
	l.n_first = l.n;
	return l;
}

void keyed_list_release(struct keyed_list *l)
{
	map_release(&l->first, NULL);
}

/* The next item with this key that is not gone, from index + 1 on; NULL at the end. */
static struct keyed_item *next_left(struct keyed_list *l, uint32_t at)
{
	for (; at; at = l->at[at - 1].next)
		if (!l->at[at - 1].gone)
			return &l->at[at - 1];
	return NULL;
}

static uint32_t first_of(struct keyed_list *l, const char *key)
{
	return key ? (uint32_t)(uintptr_t)map_get(&l->first, key) : 0;
}

struct json *keyed_list_find(struct keyed_list *l, const struct json *key)
{
	struct keyed_item *found = next_left(l, first_of(l, key_text(l->arena, key)));
	return found ? found->item : NULL;
}

void keyed_list_remove(struct keyed_list *l, const struct json *key)
{
	for (uint32_t at = first_of(l, key_text(l->arena, key)); at; at = l->at[at - 1].next)
		l->at[at - 1].gone = true;
}

struct json *keyed_list_rest(struct keyed_list *l)
{
	struct json *out = json_new(l->arena, JSON_ARRAY);

	for (uint32_t i = 0; i < l->n; i++)
		if (!l->at[i].gone)
			json_append(out, l->at[i].item);
	return out;
}

/* Where the first item with this key was at the beginning, from 1; 0: nowhere. */
static uint32_t place(struct keyed_list *before, const struct keyed_item *item)
{
	uint32_t first = first_of(before, item->key);
	return first <= before->n_first ? first : 0;
}

struct json *keyed_list_ordered(struct keyed_list *l, const struct json *order, struct keyed_list *before)
{
	struct json *out = json_new(l->arena, JSON_ARRAY);
	struct keyed_item **named = arena_alloc(l->arena, MAX_OF(l->n, 1u) * sizeof(struct keyed_item *));
	uint32_t n_named = 0, n = 0, other = 0;

	JSON_EACH(o, order) {
		uint32_t at = first_of(l, key_text(l->arena, key_of(o, l->merge_key)));
		for (struct keyed_item *item; (item = next_left(l, at)); at = item->next) {
			item->gone = true;
			named[n_named++] = item;
		}
	}
	for (;;) {
		while (other < l->n && l->at[other].gone)
			other++;
		if (n == n_named && other == l->n)
			return out;
		bool take_other = n == n_named;
		if (n < n_named && other < l->n) {
			uint32_t np = place(before, named[n]), op = place(before, &l->at[other]);
			take_other = np && op && op < np;
		}
		json_append(out, take_other ? l->at[other++].item : named[n++]->item);
	}
}
