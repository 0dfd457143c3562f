/* SPDX-License-Identifier: Apache-2.0 */
#include "node/object_refs.h"

#include <stdlib.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client.h"

struct object_refs {
	struct client *client;
	struct map watched; /* "plural/ns/name" -> struct watched */
};

struct watched {
	struct object_refs *owner;
	char *key, *ns, *name, *selector;
	const char *plural; /* the resource table's */
	struct client_watch *watch;
	const struct object *object;
	bool synced, seen; /* seen: in the list under way */
	struct list users;
};

struct node_ref {
	struct watched *watched;
	struct list link;
	void (*fn)(void *arg);
	void *arg;
};

struct object_refs *object_refs_new(struct client *c)
{
	struct object_refs *r = NEW(struct object_refs);

	r->client = c;
	return r;
}

void object_refs_free(struct object_refs *r)
{
	if (!r)
		return;
	map_release(&r->watched, NULL);
	free(r);
}

static void notify(struct watched *w)
{
	LIST_EACH(l, &w->users) {
		struct node_ref *u = LIST_ENTRY(l, struct node_ref, link);

		u->fn(u->arg);
	}
}

static void set_object(struct watched *w, const struct object *o)
{
	const struct object *old = w->object;

	w->object = o ? object_ref(o) : NULL;
	object_unref(old);
}

static void on_event(void *arg, enum client_event_type type, struct object *obj)
{
	struct watched *w = arg;

	switch (type) {
	case CLIENT_RELIST_BEGIN:
		w->seen = false;
		return;
	case CLIENT_ADDED:
	case CLIENT_MODIFIED:
		w->seen = true;
		if (w->object && w->object->rev == obj->rev)
			return;
		set_object(w, obj);
		break;
	case CLIENT_DELETED:
		set_object(w, NULL);
		break;
	case CLIENT_SYNCED:
		if (w->synced && (w->seen || !w->object))
			return;
		if (!w->seen)
			set_object(w, NULL);
		w->synced = true;
		break;
	}
	if (w->synced)
		notify(w);
}

static struct watched *watch_new(struct object_refs *r, const char *key, const struct resource *resource,
				 const char *ns, const char *name)
{
	struct watched *w = NEW(struct watched);

	w->owner = r;
	w->key = xstrdup(key);
	w->ns = xstrdup(ns);
	w->name = xstrdup(name);
	w->plural = resource->plural;
	w->selector = xasprintf("metadata.name=%s", name);
	list_init(&w->users);
	map_set(&r->watched, key, w);
	w->watch = client_watch_start(
	    r->client, &(struct client_watch_request){
			   .resource = resource, .ns = w->ns, .field_selector = w->selector, .fn = on_event, .arg = w});
	return w;
}

static void watched_free(struct watched *w)
{
	map_remove(&w->owner->watched, w->key);
	client_watch_stop(w->watch);
	set_object(w, NULL);
	free(w->key);
	free(w->ns);
	free(w->name);
	free(w->selector);
	free(w);
}

struct node_ref *object_refs_get(struct object_refs *r, const char *plural, const char *ns, const char *name,
				 void (*fn)(void *arg), void *arg)
{
	const struct resource *resource = resource_find("", "v1", plural);
	_cleanup_free_ char *key = xasprintf("%s/%s/%s", plural, ns, name);
	struct watched *w = map_get(&r->watched, key);
	struct node_ref *u;

	if (!resource)
		return NULL;
	if (!w)
		w = watch_new(r, key, resource, ns, name);
	u = NEW(struct node_ref);
	u->watched = w;
	u->fn = fn;
	u->arg = arg;
	list_add_tail(&w->users, &u->link);
	return u;
}

void node_ref_put(struct node_ref *u)
{
	if (!u)
		return;
	list_remove(&u->link);
	if (list_empty(&u->watched->users))
		watched_free(u->watched);
	free(u);
}

bool node_ref_synced(const struct node_ref *u)
{
	return u->watched->synced;
}

const struct object *node_ref_object(const struct node_ref *u)
{
	return u->watched->object;
}

bool node_ref_is(const struct node_ref *u, const char *plural, const char *name)
{
	return str_eq(u->watched->plural, plural) && str_eq(u->watched->name, name);
}
