/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing writes, and making them visible or taking them back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/loop.h"
#include "store/store_internal.h"

static enum store_error write_check(const struct store *s, const struct store_write *w, const struct object *now)
{
	if (s->closing || s->n_queue >= STORE_QUEUE_MAX)
		return STORE_IO;
	if (strlen(w->key) > STORE_KEY_MAX)
		return STORE_TOO_LARGE;
	if (w->create)
		return now ? STORE_EXISTS : STORE_OK;
	if (!now)
		return STORE_MISSING;
	return w->expect_rev && w->expect_rev != now->rev ? STORE_CONFLICT : STORE_OK;
}

/* The object after the write, or for a deletion its last state with the deletion's revision. */
static struct object *write_object(const struct store_write *w, const struct object *now, uint64_t rev)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	if (w->tree)
		return object_from_tree(w->resource, w->key, rev, w->tree);
	return object_from_tree(now->resource, w->key, rev, object_tree(now, &a));
}

static void latest_set(struct store *s, const char *key, struct object *obj)
{
	struct latest *l = map_get(&s->latest, key);

	if (!l) {
		l = NEW(struct latest);
		map_set(&s->latest, key, l);
	}
	object_unref(l->obj);
	l->obj = object_ref(obj);
	l->n++;
}

static void latest_done(struct store *s, const char *key)
{
	struct latest *l = map_get(&s->latest, key);

	assert(l && l->n);
	if (--l->n)
		return;
	map_remove(&s->latest, key);
	object_unref(l->obj);
	free(l);
}

enum store_error store_write(struct store *s, const struct store_write *w)
{
	assert(w->key && w->done && (w->tree || !w->create));
	struct object *now = store_get_latest(s, w->key);
	enum store_error r = write_check(s, w, now);
	if (r != STORE_OK)
		return r;
	struct object *obj = write_object(w, now, s->rev_latest + 1);
	if (!obj) {
		log_error("a write without metadata was refused key=%s", w->key);
		return STORE_IO;
	}
	if (w->tree && obj->json->len > STORE_VALUE_BYTES_MAX) {
		object_unref(obj);
		return STORE_TOO_LARGE;
	}
	struct pending *p = NEW(struct pending);
	*p = (struct pending){
	    .obj = obj,
	    .prev = object_ref(now),
	    .rev = ++s->rev_latest,
	    .type = !w->tree ? STORE_DELETED
		    : now    ? STORE_UPDATED
			     : STORE_CREATED,
	    .lazy = w->lazy || w->renewal,
	    .renewal = w->renewal,
	    .done = w->done,
	    .arg = w->arg,
	};
	list_add_tail(&s->queue, &p->link);
	s->n_queue++;
	latest_set(s, w->key, w->tree ? obj : NULL);
	loop_defer_schedule(s->turn);
	return STORE_OK;
}

struct pending *store_queue_first(struct store *s)
{
	return list_empty(&s->queue) ? NULL : LIST_ENTRY(s->queue.next, struct pending, link);
}

void store_pending_free(struct pending *p)
{
	object_unref(p->obj);
	object_unref(p->prev);
	free(p);
}

void store_history_left(void *arg, const struct store_event *ev)
{
	struct store *s = arg;

	if (ev->prev)
		VEC_PUSH(&s->prune, ev->prev->rev);
	if (ev->type == STORE_DELETED)
		VEC_PUSH(&s->prune, ev->rev);
}

/* As long as something is to grow old; an idle store sleeps. */
void store_compact_fired(void *arg)
{
	struct store *s = arg;

	s->compact_floor = s->compact_mark;
	s->compact_mark = s->rev;
	watch_set_catch_up(&s->watches, &s->history); /* before the window moves */
	history_trim(&s->history, s->compact_floor, store_history_left, s);
	s->compact_waiting = s->compact_floor < s->rev;
	if (s->compact_waiting)
		loop_timer_start(s->compact_timer, STORE_COMPACT_MS);
}

static void apply_one(struct store *s, const struct pending *p)
{
	struct store_event ev = {.type = p->type, .rev = p->rev};

	assert(p->rev > s->rev);
	object_unref(p->type == STORE_DELETED ? tree_remove(&s->tree, p->obj->key) : tree_put(&s->tree, p->obj));
	s->rev = p->rev;
	ev.obj = object_ref(p->obj);
	ev.prev = object_ref(p->prev);
	history_add(&s->history, &ev);
	latest_done(s, p->obj->key);
}

void store_apply(struct store *s, struct list *writes, bool keep_lazy)
{
	VEC(struct store_event) events = {0};
	uint64_t cut = 0;

	watch_set_catch_up(&s->watches, &s->history); /* before the window moves */
	LIST_EACH(it, writes) {
		struct pending *p = LIST_ENTRY(it, struct pending, link);
		apply_one(s, p);
		struct store_event ev = {.type = p->type, .rev = p->rev, .obj = p->obj, .prev = p->prev};
		VEC_PUSH(&events, ev); /* borrows the write's references */
		if (p->prev && p->prev->stale)
			cut = p->rev;
	}
	if (cut) /* whoever rewrites values to have them encrypted wants the old ones gone from the disk */
		history_cut(&s->history, cut, store_history_left, s);
	history_trim(&s->history, 0, store_history_left, s);
	if (!s->compact_waiting) {
		s->compact_waiting = true;
		loop_timer_start(s->compact_timer, STORE_COMPACT_MS);
	}
	LIST_EACH(it, writes) {
		struct pending *p = LIST_ENTRY(it, struct pending, link);
		p->done(p->arg, STORE_OK, p->obj);
	}
	watch_set_deliver(&s->watches, events.at, events.n);
	VEC_RELEASE(&events);
	LIST_EACH_SAFE(it, writes) {
		struct pending *p = LIST_ENTRY(it, struct pending, link);
		list_remove(&p->link);
		if (keep_lazy && p->lazy) {
			list_add_tail(&s->unsaved, &p->link);
			s->n_unsaved++;
			s->lazy_soon = s->lazy_soon || !p->renewal;
		} else {
			store_pending_free(p);
		}
	}
}

void store_fail_all(struct store *s, struct list *writes, enum store_error why)
{
	struct list failed;

	list_init(&failed);
	while (!list_empty(writes)) {
		struct list *l = writes->next;
		list_remove(l);
		list_add_tail(&failed, l);
	}
	while (!list_empty(&s->queue)) {
		struct list *l = s->queue.next;
		list_remove(l);
		list_add_tail(&failed, l);
	}
	s->n_queue = 0;
	s->rev_latest = s->rev;
	LIST_EACH(it, &failed)
		latest_done(s, LIST_ENTRY(it, struct pending, link)->obj->key);
	while (!list_empty(&failed)) {
		struct pending *p = LIST_ENTRY(failed.next, struct pending, link);
		list_remove(&p->link);
		p->done(p->arg, why, NULL);
		store_pending_free(p);
	}
}
