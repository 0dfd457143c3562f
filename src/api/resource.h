/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resource table: every resource that the API offers, built in or custom. A built-in kind differs from another by
 * its row here and, where needed, a few functions in src/server/strategy_*.c; there is no handler per kind.
 */
#ifndef PROA_API_RESOURCE_H
#define PROA_API_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct type;

enum verb {
	VERB_CREATE = 1 << 0,
	VERB_DELETE = 1 << 1,
	VERB_DELETECOLLECTION = 1 << 2,
	VERB_GET = 1 << 3,
	VERB_LIST = 1 << 4,
	VERB_PATCH = 1 << 5,
	VERB_UPDATE = 1 << 6,
	VERB_WATCH = 1 << 7,
};

struct subresource {
	const char *name; /* "status", "scale", "log", … */
	uint32_t verbs;
	const char *group, *version,
	    *kind; /* of its body: autoscaling v1 Scale, policy v1 Eviction; NULL: the parent's */
	const struct type *type;
};

struct resource {
	const char *group, *version; /* "" for core */
	const char *plural, *singular, *kind;
	const char *const *short_names; /* NULL-terminated, may be NULL */
	const char *const *categories;
	bool namespaced;
	uint32_t verbs;
	const struct subresource *subresources;
	size_t n_subresources;
	const struct type *type, *list_type; /* list_type NULL: not listable */
	/*
	 * Where it is stored: "/registry/" then this: "pods", "services/specs", "minions", "apiextensions.k8s.io/x".
	 * NULL: not stored (reviews). Versions of one resource share it.
	 */
	const char *storage_prefix;
	bool storage_version; /* this version is the one stored */
	const char *const
	    *selectable_fields; /* dotted paths besides metadata.name and metadata.namespace; NULL-terminated */
	bool has_status;	/* spec and status are written separately, metadata.generation counts spec changes */
	bool has_generation;
	bool returns_deleted; /* DELETE answers with the object that is gone, not with a Status */
	bool needs_revision;  /* a PUT must say the revision that it replaces */
	bool put_creates;     /* a PUT creates what is not there */
	bool status_only;     /* a write of the status leaves metadata alone */
	const void *custom;   /* custom resources: their definition (server/crd.h) */
};

extern const struct resource resource_table[];
extern const size_t resource_table_len;

const struct resource *resource_find(const char *group, const char *version, const char *plural);
/* Any version, the preferred one first: for controllers that say "pods" and mean the table's row. */
const struct resource *resource_by_plural(const char *group, const char *plural);
const struct resource *resource_by_kind(const char *group, const char *version, const char *kind);
const struct subresource *resource_subresource(const struct resource *r, const char *name);
/* The row (storage version) that a storage key belongs to, or NULL. */
const struct resource *resource_of_key(const char *key);
/* "/registry/pods/default/web-1"; name NULL: the prefix of a namespace, ns NULL too: of the resource ("…/"). */
struct buf;
void resource_key(const struct resource *r, const char *ns, const char *name, struct buf *out);
/* "v1" or "apps/v1" */
void resource_api_version(const struct resource *r, struct buf *out);

struct api_group {
	const char *name;	     /* "apps"; "" for core */
	const char *const *versions; /* preferred first, NULL-terminated */
};
/*
 * What is served at this moment: the built-in rows, of which the table is complete, and the rows of custom resources.
 * Owned by the caller; discovery, OpenAPI and tables read it during their call only.
 */
struct json;
struct resource_set {
	const struct resource *const *extra; /* sorted by group; of one resource the preferred version first */
	size_t n_extra;
	/* The OpenAPI v3 schema of a custom row (its definition's openAPIV3Schema), or NULL when it has none. */
	const struct json *(*schema)(const struct resource *r);
};

/* Every kind that may be the body of a request or response: resources, their lists, options, reviews. */
struct kind_type {
	const char *group, *version, *kind;
	const struct type *type;
};
extern const struct kind_type kind_table[]; /* sorted by group, version, kind */
extern const size_t kind_table_len;
/*
 * The built-in type of a kind; NULL when unknown. Kinds of meta.k8s.io/v1 that upstream registers in every group
 * (DeleteOptions, Status, WatchEvent, …) are found under any group and version.
 */
const struct type *kind_find(const char *group, const char *version, const char *kind);

extern const struct api_group group_table[]; /* in upstream's discovery order of priority */
extern const size_t group_table_len;

#endif
