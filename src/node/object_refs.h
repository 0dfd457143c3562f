/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConfigMaps and Secrets that pods refer to. Each object is watched once, by name, and only while some pod refers to
 * it: that is all that a node may see (the node authorizer admits exactly this), and all it needs to remember.
 */
#ifndef PROA_NODE_OBJECT_REFS_H
#define PROA_NODE_OBJECT_REFS_H

#include <stdbool.h>

struct client;
struct object;
struct node_ref;
struct object_refs;

struct object_refs *object_refs_new(struct client *c);
void object_refs_free(struct object_refs *r); /* after all references were put; NULL-safe */

/* fn: the object is known now, or has changed, or is gone. It may not put references: it records and enqueues. */
struct node_ref *object_refs_get(struct object_refs *r, const char *plural, const char *ns, const char *name,
				 void (*fn)(void *arg), void *arg);
void node_ref_put(struct node_ref *ref);			  /* NULL-safe */
bool node_ref_synced(const struct node_ref *ref);		  /* whether it is known if the object exists */
const struct object *node_ref_object(const struct node_ref *ref); /* NULL: there is none */
bool node_ref_is(const struct node_ref *ref, const char *plural, const char *name);

#endif
