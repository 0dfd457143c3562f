/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An API object as it is stored, cached and sent: immutable, reference-counted, serialised JSON (with its
 * resourceVersion inside) plus a small index of what selectors, owners and caches ask for. The JSON tree exists only
 * while somebody changes or reasons about the object (object_tree).
 */
#ifndef PROA_API_OBJECT_H
#define PROA_API_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct arena;
struct bytes;
struct json;
struct resource; /* api/resource.h: one row of the resource table */

struct object_pair {
	const char *key, *value;
};

struct object {
	_Atomic unsigned refs;
	uint64_t rev;			  /* metadata.resourceVersion */
	struct bytes *json;		  /* the serialised object, compact */
	const struct resource *resource;  /* may be NULL (in tests) */
	const char *ns, *name, *uid;	  /* ns: "" for cluster-scoped; all NUL-terminated, owned by the object */
	const char *key;		  /* storage key, "" when not from a store */
	const struct object_pair *labels; /* sorted by key */
	const struct object_pair *fields; /* the resource's selectable fields besides metadata.name/namespace */
	const char *const *owners;	  /* uids of ownerReferences */
	const char *controller;		  /* uid of the owner with controller: true, or NULL */
	uint32_t n_labels, n_fields, n_owners;
	bool deleting; /* has a deletionTimestamp */
	bool stale; /* loaded from bytes that would be written otherwise today (encryption): an update always writes */
};

/* Parses json for the index; takes a reference to it. NULL when it is not an object with metadata. */
struct object *object_new(const struct resource *r, const char *key, uint64_t rev, struct bytes *json);
/* From a tree: serialises it with metadata.resourceVersion set to rev (rev 0: left as it is). */
struct object *object_from_tree(const struct resource *r, const char *key, uint64_t rev, struct json *tree);
struct object *object_ref(const struct object *o);
void object_unref(const struct object *o); /* NULL-safe */
static inline void cleanup_object(struct object **o)
{
	object_unref(*o);
}
#define _cleanup_object_ _cleanup_(cleanup_object)

/* The parsed tree, in a; free to be edited. Never NULL: the bytes were checked when the object was made. */
struct json *object_tree(const struct object *o, struct arena *a);
const char *object_label(const struct object *o, const char *key); /* or NULL */
const char *object_field(const struct object *o,
			 const char *path); /* metadata.name, spec.nodeName, …; "" when unset; NULL: not selectable */

#endif
