/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects ordered by key: a B-tree of object references (an object carries its own key, so no key is stored twice).
 * Nodes count what is below them, so that a prefix is counted without walking it. The tree holds one reference an
 * object. It must not change while it is walked.
 */
#ifndef PROA_STORE_TREE_H
#define PROA_STORE_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct object;
struct tree_node;

struct tree {
	struct tree_node *root; /* NULL: empty */
};

#define TREE_INIT                                                                                                      \
	{                                                                                                              \
		0                                                                                                      \
	}

void tree_release(struct tree *t);
struct object *tree_get(const struct tree *t, const char *key); /* borrowed, or NULL */
/* Takes a reference to o. Returns what had its key (the reference is handed over to the caller), or NULL. */
struct object *tree_put(struct tree *t, struct object *o);
struct object *tree_remove(struct tree *t, const char *key); /* hands its reference over; NULL: not there */
size_t tree_count(const struct tree *t, const char *prefix);
/* Keys >= start (and >= prefix) that begin with prefix, in order; false when fn stopped it. start may be NULL. */
bool tree_each(const struct tree *t, const char *prefix, const char *start, bool (*fn)(void *arg, struct object *o),
	       void *arg);

#endif
