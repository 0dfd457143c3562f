/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list whose items are found by a key, or by themselves, without going through it: lists come from clients, and
 * nothing here takes more than linear time. Several items may have one key. Keys are equal when json_equal says so of
 * scalars. Items are the list's own; taking them out for a new list leaves the old one unusable.
 */
#ifndef PROA_API_KEYED_LIST_H
#define PROA_API_KEYED_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

struct arena;
struct json;

struct keyed_item {
	struct json *item;
	const char *key;     /* as text; NULL: it has none */
	uint32_t next, last; /* chain of the same key, from its first item: index + 1; last is the first item's */
	bool gone;
};

struct keyed_list {
	struct arena *arena;
	const char *merge_key; /* NULL: an item is its own key */
	struct keyed_item *at;
	uint32_t n, cap, n_first; /* n_first: those of the beginning */
	struct map first;	  /* key to index + 1 */
};

#define _cleanup_keyed_list_ _cleanup_(keyed_list_release)

struct keyed_list keyed_list_of(struct arena *a, const struct json *list, const char *merge_key);
void keyed_list_release(struct keyed_list *l);
void keyed_list_add(struct keyed_list *l, struct json *item);
/* key is a key's value, never NULL. The first item that has it, or NULL. */
struct json *keyed_list_find(struct keyed_list *l, const struct json *key);
void keyed_list_remove(struct keyed_list *l, const struct json *key); /* all that have it */
/* A new list of what is left, in order. */
struct json *keyed_list_rest(struct keyed_list *l);
/*
 * A new list: what `order` names (a list of items or keys) comes in its order, the others keep their places relative to
 * the named ones by the order of `before`.
 */
struct json *keyed_list_ordered(struct keyed_list *l, const struct json *order, struct keyed_list *before);

#endif
