/* SPDX-License-Identifier: Apache-2.0 */
#include "client/informer.h"

#include <assert.h>

#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"

struct bucket {
	struct list postings;
	size_t n;
	char value[];
};

/* One value of one object in one index. */
struct posting {
	struct list link;     /* in the bucket */
	struct posting *next; /* of the same object */
	struct bucket *bucket;
	struct entry *entry;
	unsigned char index;
};

struct entry {
	struct object *obj;
	struct posting *postings;
	unsigned generation; /* of the list that mentioned it last */
};

struct index {
	index_fn fn;
	struct map buckets;
};

struct handler {
	struct informer_handlers h;
	bool waiting; /* to be told of the whole cache in a later turn; gets no event until then */
	bool removed;
};

struct informer {
	struct client *client;
	const struct resource *resource;
	struct client_watch *watch;
	struct map entries; /* "ns/name" → entry */
	struct index indexes[INFORMER_INDEXES_MAX];
	unsigned n_indexes;
	VEC(struct handler *) handlers;
	unsigned calling; /* handlers are being called: removed ones are freed later */
	struct loop_defer *replay;
	unsigned generation;
	bool relisting, synced;
};

static const char *key_make(char **ret_free, char *stack, size_t stack_len, const char *ns, const char *name)
{
	*ret_free = NULL;
	if (str_empty(ns))
		return name;
	size_t nl = strlen(ns), ml = strlen(name);
	char *k = stack;
	if (nl + ml + 2 > stack_len)
		k = *ret_free = xmalloc(nl + ml + 2);
	memcpy(k, ns, nl);
	k[nl] = '/';
	memcpy(k + nl + 1, name, ml + 1);
	return k;
}

/* ---- indexes ---- */

struct emit_context {
	struct informer *informer;
	struct entry *entry;
	unsigned char index;
};

static void on_emit(void *ctx, const char *value)
{
	struct emit_context *c = ctx;
	struct map *buckets = &c->informer->indexes[c->index].buckets;
	struct bucket *b = map_get(buckets, value);
	if (!b) {
		size_t len = strlen(value);
		b = xcalloc(1, sizeof(*b) + len + 1);
		memcpy(b->value, value, len);
		list_init(&b->postings);
		map_set(buckets, value, b);
	}
	struct posting *p = NEW(struct posting);
	p->bucket = b;
	p->entry = c->entry;
	p->index = c->index;
	p->next = c->entry->postings;
	c->entry->postings = p;
	list_add_tail(&b->postings, &p->link);
	b->n++;
}

static void index_entry(struct informer *i, struct entry *e, unsigned index)
{
	struct emit_context c = {.informer = i, .entry = e, .index = (unsigned char)index};
	i->indexes[index].fn(e->obj, on_emit, &c);
}

static void unindex_entry(struct informer *i, struct entry *e)
{
	while (e->postings) {
		struct posting *p = e->postings;
		e->postings = p->next;
		list_remove(&p->link);
		if (--p->bucket->n == 0) {
			map_remove(&i->indexes[p->index].buckets, p->bucket->value);
			free(p->bucket);
		}
		free(p);
	}
}

static void index_all(struct informer *i, struct entry *e)
{
	for (unsigned n = 0; n < i->n_indexes; n++)
		index_entry(i, e, n);
}

void informer_add_index(struct informer *i, index_fn fn)
{
	for (unsigned n = 0; n < i->n_indexes; n++)
		if (i->indexes[n].fn == fn)
			return;
	assert(i->n_indexes < INFORMER_INDEXES_MAX);
	i->indexes[i->n_indexes++].fn = fn;
	MAP_EACH(s, &i->entries)
		index_entry(i, s->value, i->n_indexes - 1);
}

static struct bucket *bucket_of(const struct informer *i, index_fn fn, const char *value)
{
	for (unsigned n = 0; n < i->n_indexes; n++)
		if (i->indexes[n].fn == fn)
			return map_get(&i->indexes[n].buckets, value);
	assert(!"index was not added");
	return NULL;
}

struct object_list informer_by_index(const struct informer *i, struct arena *a, index_fn fn, const char *value)
{
	struct object_list l = {0};
	struct bucket *b = bucket_of(i, fn, value);
	if (!b)
		return l;
	l.at = arena_alloc(a, b->n * sizeof(*l.at));
	LIST_EACH(it, &b->postings)
		l.at[l.n++] = LIST_ENTRY(it, struct posting, link)->entry->obj;
	return l;
}

size_t informer_index_count(const struct informer *i, index_fn fn, const char *value)
{
	struct bucket *b = bucket_of(i, fn, value);
	return b ? b->n : 0;
}

void index_namespace(const struct object *obj, index_emit emit, void *ctx)
{
	emit(ctx, obj->ns);
}

void index_uid(const struct object *obj, index_emit emit, void *ctx)
{
	emit(ctx, obj->uid);
}

void index_owner(const struct object *obj, index_emit emit, void *ctx)
{
	for (uint32_t n = 0; n < obj->n_owners; n++)
		emit(ctx, obj->owners[n]);
}

void index_controller(const struct object *obj, index_emit emit, void *ctx)
{
	emit(ctx, obj->controller ? obj->controller : "");
}

void index_node_name(const struct object *obj, index_emit emit, void *ctx)
{
	const char *node = object_field(obj, "spec.nodeName");
	if (!str_empty(node))
		emit(ctx, node);
}

/* ---- handlers ---- */

enum happening { ADDED, UPDATED, DELETED, SYNCED };

static void handler_call(const struct handler *h, enum happening what, struct object *old, struct object *obj)
{
	switch (what) {
	case ADDED:
		if (h->h.on_add)
			h->h.on_add(h->h.arg, obj);
		break;
	case UPDATED:
		if (h->h.on_update)
			h->h.on_update(h->h.arg, old, obj);
		break;
	case DELETED:
		if (h->h.on_delete)
			h->h.on_delete(h->h.arg, obj);
		break;
	case SYNCED:
		if (h->h.on_synced)
			h->h.on_synced(h->h.arg);
		break;
	}
}

static void handlers_sweep(struct informer *i)
{
	for (size_t n = i->handlers.n; n-- > 0;) {
		struct handler *h = i->handlers.at[n];
		if (h->removed) {
			VEC_REMOVE(&i->handlers, n);
			free(h);
		}
	}
}

static void handlers_call(struct informer *i, enum happening what, struct object *old, struct object *obj)
{
	i->calling++;
	for (size_t n = 0; n < i->handlers.n; n++) {
		struct handler *h = i->handlers.at[n];
		if (!h->waiting && !h->removed)
			handler_call(h, what, old, obj);
	}
	if (--i->calling == 0)
		handlers_sweep(i);
}

static struct object_list snapshot(const struct informer *i, struct arena *a)
{
	struct object_list l = informer_list(i, a);
	for (size_t n = 0; n < l.n; n++)
		object_ref(l.at[n]);
	return l;
}

static void on_replay(void *arg)
{
	struct informer *i = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object_list all = snapshot(i, &a);
	i->calling++;
	size_t n_handlers = i->handlers.n;
	for (size_t n = 0; n < n_handlers; n++) {
		struct handler *h = i->handlers.at[n];
		if (!h->waiting)
			continue;
		h->waiting = false;
		for (size_t m = 0; m < all.n && !h->removed; m++)
			handler_call(h, ADDED, NULL, all.at[m]);
		if (i->synced && !h->removed)
			handler_call(h, SYNCED, NULL, NULL);
	}
	if (--i->calling == 0)
		handlers_sweep(i);
	for (size_t n = 0; n < all.n; n++)
		object_unref(all.at[n]);
}

void informer_add_handlers(struct informer *i, const struct informer_handlers *handlers)
{
	struct handler *h = NEW(struct handler);
	h->h = *handlers;
	VEC_PUSH(&i->handlers, h);
	if (!i->synced && !i->entries.n)
		return;
	h->waiting = true;
	loop_defer_schedule(i->replay);
}

void informer_remove_handlers(struct informer *i, void *arg)
{
	VEC_EACH(h, &i->handlers)
		if ((*h)->h.arg == arg)
			(*h)->removed = true;
	if (!i->calling)
		handlers_sweep(i);
}

/* ---- the cache ---- */

static void upsert(struct informer *i, struct object *obj)
{
	char stack[512];
	_cleanup_free_ char *heap = NULL;
	const char *key = key_make(&heap, stack, sizeof(stack), obj->ns, obj->name);
	struct entry *e = map_get(&i->entries, key);
	if (!e) {
		e = NEW(struct entry);
		e->obj = object_ref(obj);
		e->generation = i->generation;
		map_set(&i->entries, key, e);
		index_all(i, e);
		handlers_call(i, ADDED, NULL, obj);
		return;
	}
	e->generation = i->generation;
	if (e->obj->rev == obj->rev)
		return;
	_cleanup_object_ struct object *old = e->obj;
	unindex_entry(i, e);
	e->obj = object_ref(obj);
	index_all(i, e);
	if (!str_eq(old->uid, obj->uid)) {
		/* Deleted and created again while the watch was down. */
		handlers_call(i, DELETED, NULL, old);
		handlers_call(i, ADDED, NULL, obj);
		return;
	}
	handlers_call(i, UPDATED, old, obj);
}

static void entry_free(struct informer *i, struct entry *e)
{
	unindex_entry(i, e);
	object_unref(e->obj);
	free(e);
}

static void drop(struct informer *i, struct object *last)
{
	char stack[512];
	_cleanup_free_ char *heap = NULL;
	struct entry *e = map_remove(&i->entries, key_make(&heap, stack, sizeof(stack), last->ns, last->name));
	if (!e)
		return;
	entry_free(i, e);
	handlers_call(i, DELETED, NULL, last);
}

/* After a new list: what it did not mention is gone. */
static void sweep(struct informer *i)
{
	VEC(struct object *) gone = {0};
	MAP_EACH(s, &i->entries) {
		struct entry *e = s->value;
		if (e->generation != i->generation)
			VEC_PUSH(&gone, object_ref(e->obj));
	}
	VEC_EACH(o, &gone) {
		drop(i, *o);
		object_unref(*o);
	}
	VEC_RELEASE(&gone);
}

static void on_event(void *arg, enum client_event_type type, struct object *obj)
{
	struct informer *i = arg;
	switch (type) {
	case CLIENT_RELIST_BEGIN:
		i->generation++;
		i->relisting = true;
		break;
	case CLIENT_ADDED:
	case CLIENT_MODIFIED:
		upsert(i, obj);
		break;
	case CLIENT_DELETED:
		drop(i, obj);
		break;
	case CLIENT_SYNCED:
		if (i->relisting)
			sweep(i);
		i->relisting = false;
		if (!i->synced) {
			i->synced = true;
			handlers_call(i, SYNCED, NULL, NULL);
		}
		break;
	}
}

struct informer *informer_new(struct client *c, const struct client_watch_request *r)
{
	struct informer *i = NEW(struct informer);
	i->client = c;
	i->resource = r->resource;
	i->replay = loop_defer_new(client_loop(c), on_replay, i);
	if (r->resource->namespaced)
		informer_add_index(i, index_namespace);
	struct client_watch_request copy = *r;
	copy.fn = on_event;
	copy.arg = i;
	i->watch = client_watch_start(c, &copy);
	return i;
}

void informer_free(struct informer *i)
{
	if (!i)
		return;
	client_watch_stop(i->watch);
	loop_defer_free(i->replay);
	MAP_EACH(s, &i->entries)
		entry_free(i, s->value);
	map_release(&i->entries, NULL);
	for (unsigned n = 0; n < i->n_indexes; n++)
		map_release(&i->indexes[n].buckets, NULL);
	VEC_EACH(h, &i->handlers)
		free(*h);
	VEC_RELEASE(&i->handlers);
	free(i);
}

bool informer_synced(const struct informer *i)
{
	return i->synced;
}

const struct resource *informer_resource(const struct informer *i)
{
	return i->resource;
}

struct object *informer_get_key(const struct informer *i, const char *key)
{
	struct entry *e = map_get(&i->entries, key);
	return e ? e->obj : NULL;
}

struct object *informer_get(const struct informer *i, const char *ns, const char *name)
{
	char stack[512];
	_cleanup_free_ char *heap = NULL;
	return informer_get_key(i, key_make(&heap, stack, sizeof(stack), ns, name));
}

size_t informer_count(const struct informer *i)
{
	return i->entries.n;
}

struct object_list informer_list(const struct informer *i, struct arena *a)
{
	struct object_list l = {.at = arena_alloc(a, (i->entries.n + 1) * sizeof(*l.at))};
	MAP_EACH(s, &i->entries)
		l.at[l.n++] = ((struct entry *)s->value)->obj;
	return l;
}

struct object_list informer_select(const struct informer *i, struct arena *a, const char *ns,
				   const struct label_selector *sel)
{
	struct object_list all =
	    ns && i->resource->namespaced ? informer_by_index(i, a, index_namespace, ns) : informer_list(i, a);
	if (!sel)
		return all;
	struct object_list l = {.at = all.at}; /* filtered in place */
	for (size_t n = 0; n < all.n; n++)
		if (label_selector_match(sel, all.at[n]))
			l.at[l.n++] = all.at[n];
	return l;
}

void informer_each(const struct informer *i, bool (*fn)(void *arg, struct object *obj), void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object_list l = snapshot(i, &a);
	bool more = true;
	for (size_t n = 0; n < l.n; n++) {
		if (more)
			more = fn(arg, l.at[n]);
		object_unref(l.at[n]);
	}
}
