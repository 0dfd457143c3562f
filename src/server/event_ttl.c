/* SPDX-License-Identifier: Apache-2.0 */
#include "server/event_ttl.h"

#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/registry.h"
#include "store/store.h"

/*
 * An event, however often it is written. The lifetime is the same for all, so a queue in order of writing is in order
 * of expiry.
 */
struct entry {
	struct list link;
	int64_t expires_s; /* wall clock */
	uint64_t rev;	   /* of the last write */
	char key[];
};

struct event_ttl {
	struct registry *registry;
	struct loop_timer *timer;
	struct list queue;
	struct map entries; /* by key */
	size_t n;
};

static void arm(struct event_ttl *t)
{
	if (list_empty(&t->queue))
		return;
	int64_t wait_s = LIST_ENTRY(t->queue.next, struct entry, link)->expires_s - now_s();
	loop_timer_start(t->timer, MAX_OF(wait_s, 0) * 1000 + 1000);
}

static void forget(struct event_ttl *t, struct entry *e)
{
	map_remove(&t->entries, e->key);
	list_remove(&e->link);
	free(e);
	t->n--;
}

static void ignore_done(void *arg, enum store_error result, struct object *obj)
{
	(void)arg, (void)result, (void)obj;
}

static void remove_event(struct event_ttl *t, struct entry *e)
{
	struct store *store = registry_store(t->registry);
	struct object *o = store_get_latest(store, e->key);
	if (o && o->rev == e->rev) {
		struct store_write w = {
		    .key = e->key, .resource = o->resource, .expect_rev = o->rev, .lazy = true, .done = ignore_done};
		store_write(store, &w);
	}
	forget(t, e);
}

static void add(struct event_ttl *t, const struct object *o, int64_t expires_s)
{
	struct entry *e = map_get(&t->entries, o->key);
	bool first = list_empty(&t->queue);
	if (e) {
		list_remove(&e->link);
	} else {
		e = xmalloc(sizeof(*e) + strlen(o->key) + 1);
		strcpy(e->key, o->key);
		map_set(&t->entries, e->key, e);
		t->n++;
	}
	e->expires_s = expires_s;
	e->rev = o->rev;
	list_add_tail(&t->queue, &e->link);
	if (first)
		arm(t);
}

static void keep_bound(struct event_ttl *t)
{
	while (t->n > EVENTS_MAX)
		remove_event(t, LIST_ENTRY(t->queue.next, struct entry, link));
}

static void expire(void *arg)
{
	struct event_ttl *t = arg;
	int64_t now = now_s();
	LIST_EACH_SAFE(it, &t->queue) {
		struct entry *e = LIST_ENTRY(it, struct entry, link);
		if (e->expires_s > now)
			break;
		remove_event(t, e);
	}
	arm(t);
}

static bool take_up(void *arg, struct object *o)
{
	struct event_ttl *t = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int64_t last = 0;
	struct json *tree = object_tree(o, &a);
	const char *stamp = json_path_str(tree, "lastTimestamp");
	if (!stamp || time_parse(stamp, &last) < 0)
		last = meta_created_ns(tree);
	/* Not in order after a restart: none goes before its time, some a little after. */
	add(t, o, last / 1000000000 + EVENT_TTL_S);
	return true;
}

struct event_ttl *event_ttl_new(struct registry *r)
{
	struct event_ttl *t = NEW(struct event_ttl);
	const struct resource *events = resource_by_plural("", "events");
	t->registry = r;
	list_init(&t->queue);
	t->timer = loop_timer_new(registry_loop(r), expire, t);
	if (events) {
		_cleanup_buf_ struct buf prefix = BUF_INIT;
		resource_key(registry_storage_row(events), NULL, NULL, &prefix);
		store_each(registry_store(r), buf_str(&prefix), NULL, take_up, t);
		keep_bound(t);
	}
	return t;
}

void event_ttl_written(struct event_ttl *t, const struct object *event)
{
	add(t, event, now_s() + EVENT_TTL_S);
	keep_bound(t);
}

void event_ttl_removed(struct event_ttl *t, const char *key)
{
	struct entry *e = map_get(&t->entries, key);
	if (e)
		forget(t, e);
}

void event_ttl_free(struct event_ttl *t)
{
	if (!t)
		return;
	loop_timer_free(t->timer);
	LIST_EACH_SAFE(it, &t->queue)
		free(LIST_ENTRY(it, struct entry, link));
	map_release(&t->entries, NULL);
	free(t);
}
