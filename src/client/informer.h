/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of all objects of one resource (or of those that a selector admits), kept current by one list+watch and
 * shared by everybody who asks. The objects are references to what the client delivers: with the server in the same
 * process they are the store's own, so that a cached object costs an index entry and no copy.
 *
 * Everything returned is borrowed until the end of this turn of the loop: object_ref what has to live longer (a list in
 * an arena is only valid in the same turn too). Handlers run after the cache and its indexes were changed.
 */
#ifndef PROA_CLIENT_INFORMER_H
#define PROA_CLIENT_INFORMER_H

#include <stdbool.h>
#include <stddef.h>

#include "client/client.h"

struct arena;
struct informer;
struct informers;
struct map;
struct label_selector; /* api/selector.h */

struct informer_handlers {
	void (*on_add)(void *arg, struct object *obj);
	void (*on_update)(void *arg, struct object *old, struct object *obj);
	void (*on_delete)(void *arg, struct object *obj); /* the last known state */
	/* Once, when the first list is complete (at once in a later turn when it already is). */
	void (*on_synced)(void *arg);
	void *arg;
};

struct object_list {
	struct object **at;
	size_t n;
};

/* Emits the values under which obj is to be found; the strings are copied. */
typedef void (*index_emit)(void *ctx, const char *value);
typedef void (*index_fn)(const struct object *obj, index_emit emit, void *ctx);

/* Starts to watch at once. r->fn and r->arg are not used; the strings must outlive the informer. */
struct informer *informer_new(struct client *c, const struct client_watch_request *r);
void informer_free(struct informer *i); /* NULL-safe; no handler is called */
bool informer_synced(const struct informer *i);
const struct resource *informer_resource(const struct informer *i);
/* A handler that comes late is told of each cached object by on_add, in a later turn. */
void informer_add_handlers(struct informer *i, const struct informer_handlers *h);
/* Drops the handlers with that arg. */
void informer_remove_handlers(struct informer *i, void *arg);

struct object *informer_get(const struct informer *i, const char *ns, const char *name); /* ns NULL or "": none */
struct object *informer_get_key(const struct informer *i, const char *key);		 /* "ns/name" or "name" */
size_t informer_count(const struct informer *i);
/* In no particular order, from a snapshot of the cache: fn may change anything. Ends when fn returns false. */
void informer_each(const struct informer *i, bool (*fn)(void *arg, struct object *obj), void *arg);
struct object_list informer_list(const struct informer *i, struct arena *a);
/* In a namespace (NULL: all) and matching a label selector (NULL: all). */
struct object_list informer_select(const struct informer *i, struct arena *a, const char *ns,
				   const struct label_selector *s);

/*
 * Indexes are identified by their function; adding one that is there has no effect. Every informer of a namespaced
 * resource has index_namespace.
 */
#define INFORMER_INDEXES_MAX 8 /* each costs 48 bytes an object */
void informer_add_index(struct informer *i, index_fn fn);
struct object_list informer_by_index(const struct informer *i, struct arena *a, index_fn fn, const char *value);
size_t informer_index_count(const struct informer *i, index_fn fn, const char *value);

void index_namespace(const struct object *obj, index_emit emit, void *ctx);
void index_uid(const struct object *obj, index_emit emit, void *ctx);
void index_owner(const struct object *obj, index_emit emit, void *ctx); /* each owner's uid */
void index_controller(const struct object *obj, index_emit emit,
		      void *ctx); /* the controlling owner's uid, "" for orphans */
void index_node_name(const struct object *obj, index_emit emit, void *ctx); /* spec.nodeName as a selectable field */

/* ---- one informer a resource, shared between all controllers of a process ---- */
struct informers *informers_new(struct client *c);
void informers_free(struct informers *s); /* NULL-safe */
/* Created and started when first asked for. NULL when there is no such resource, or it cannot be watched. */
struct informer *informers_get(struct informers *s, const char *group, const char *plural);
struct informer *informers_of(struct informers *s, const struct resource *r);
bool informers_synced(const struct informers *s);
/* fn runs once in a later turn, when every informer that was asked for until then is synced. */
void informers_when_synced(struct informers *s, void (*fn)(void *arg), void *arg);
/* Drops the waiting functions with that arg. */
void informers_forget(struct informers *s, void *arg);

#endif
