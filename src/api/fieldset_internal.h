/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How ownership sees a value: what is granular, what a leaf, and what tells list items apart. Shared by the walks of
 * fieldset.h: sets of values (fieldset_value.c), differences (fieldset_compare.c), merging and pruning
 * (fieldset_merge.c).
 */
#ifndef PROA_API_FIELDSET_INTERNAL_H
#define PROA_API_FIELDSET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/map.h"

struct arena;
struct field;
struct json;
struct type;

enum shape_kind {
	S_LEAF,	   /* scalars and whatever is applied as a whole */
	S_STRUCT,  /* members by the type's fields */
	S_MAP,	   /* any keys; element is the field's kind */
	S_KEYED,   /* list whose items are told apart by keys */
	S_SET,	   /* list of distinct scalars */
	S_DEDUCED, /* no type is known: objects granular, lists leaves */
};

struct shape {
	enum shape_kind kind;
	const struct type *type;
	const struct field *field; /* of S_MAP, S_KEYED, S_SET; and of a struct member */
};

struct shape shape_of_type(const struct type *t);
struct shape shape_of_field(const struct field *f);
/* Of a member of an object, of an item of a list. */
struct shape shape_of_child(const struct shape *s, const struct json *child);
bool shape_is_list(const struct shape *s);
/* Whether v is looked into, rather than being one leaf. */
bool shape_descends(const struct shape *s, const struct json *v);

/* "f:name", "k:{…}" or "v:…", also where a list item lacks its keys: then "i:" and its place. */
char *shape_element(struct arena *a, const struct shape *s, const struct json *child, size_t i);
/* Only of list items: NULL with *ret_why (may be NULL) when nothing tells the item apart. */
char *shape_item_element(struct arena *a, const struct shape *s, const struct json *item, const char **ret_why);

/* The children of a value by their elements, so that walking two lists is not quadratic. */
struct shape_index {
	const struct shape *shape;
	const struct json *value;
	struct map items; /* of a list: the first of that element */
	struct map twice; /* elements that occur again */
};

#define SHAPE_INDEX_INIT                                                                                               \
	{                                                                                                              \
		.items = MAP_INIT, .twice = MAP_INIT                                                                   \
	}

void shape_index_init(struct shape_index *x, struct arena *a, const struct shape *s, const struct json *v);
void shape_index_release(struct shape_index *x);
struct json *shape_index_find(const struct shape_index *x, const char *element);
#define _cleanup_shape_index_ _cleanup_(shape_index_release)

/* Adds a member whose key is known to be new. element lives as long as the set. */
void fieldset_put(struct json *set, char *element, struct json *below);
/* Makes a node that has children a member itself. */
void fieldset_set_dot(struct arena *a, struct json *set);
bool fieldset_has_dot(const struct json *set);

#endif
