/* SPDX-License-Identifier: Apache-2.0 */
#include "store/watch_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/loop.h"
#include "store/history.h"
#include "store/store_internal.h"

struct watch_group {
	struct list watches;
	char prefix[];
};

struct store_watch {
	struct watch_set *set;
	struct watch_group *group;
	struct list in_group, in_state;	    /* in_state: behind, touched or dead */
	uint64_t last;			    /* revision up to which everything was delivered */
	bool behind, paused, touched, dead; /* paused: behind, but not in the list of those to catch up */
	store_watch_fn fn;
	void *arg;
};

void watch_set_init(struct watch_set *ws)
{
	memset(ws, 0, sizeof(*ws));
	list_init(&ws->behind);
	list_init(&ws->touched);
	list_init(&ws->dead);
}

/* The first that is >= len. */
static size_t length_find(const struct watch_set *ws, size_t len)
{
	size_t low = 0, high = ws->lengths.n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (ws->lengths.at[mid].len < len)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void length_add(struct watch_set *ws, size_t len)
{
	size_t i = length_find(ws, len);

	if (i == ws->lengths.n || ws->lengths.at[i].len != len) {
		VEC_PUSH(&ws->lengths, ((struct watch_length){0}));
		memmove(&ws->lengths.at[i + 1], &ws->lengths.at[i],
			(ws->lengths.n - 1 - i) * sizeof(ws->lengths.at[0]));
		ws->lengths.at[i] = (struct watch_length){.len = len};
	}
	ws->lengths.at[i].groups++;
}

static void length_remove(struct watch_set *ws, size_t len)
{
	size_t i = length_find(ws, len);

	assert(i < ws->lengths.n && ws->lengths.at[i].len == len);
	if (--ws->lengths.at[i].groups == 0)
		VEC_REMOVE(&ws->lengths, i);
}

static struct watch_group *group_get(struct watch_set *ws, const char *prefix)
{
	struct watch_group *g = map_get(&ws->groups, prefix);

	if (!g) {
		size_t len = strlen(prefix);
		g = xmalloc(sizeof(*g) + len + 1);
		list_init(&g->watches);
		memcpy(g->prefix, prefix, len + 1);
		map_set(&ws->groups, prefix, g);
		length_add(ws, len);
	}
	return g;
}

struct store_watch *watch_set_add(struct watch_set *ws, const char *prefix, uint64_t from_rev, bool behind,
				  store_watch_fn fn, void *arg)
{
	struct store_watch *w = NEW(struct store_watch);

	*w = (struct store_watch){.set = ws, .last = from_rev, .behind = behind, .fn = fn, .arg = arg};
	w->group = group_get(ws, prefix);
	list_add_tail(&w->group->watches, &w->in_group);
	list_init(&w->in_state);
	if (behind)
		list_add_tail(&ws->behind, &w->in_state);
	return w;
}

static void watch_destroy(struct store_watch *w)
{
	struct watch_set *ws = w->set;
	struct watch_group *g = w->group;

	list_remove(&w->in_group);
	list_remove(&w->in_state);
	if (list_empty(&g->watches)) {
		map_remove(&ws->groups, g->prefix);
		length_remove(ws, strlen(g->prefix));
		free(g);
	}
	free(w);
}

void store_watch_free(struct store_watch *w)
{
	if (!w || w->dead)
		return;
	if (w->set->delivering == 0) {
		watch_destroy(w);
		return;
	}
	/* Somebody walks the lists right now. */
	w->dead = true;
	list_remove(&w->in_state);
	list_add_tail(&w->set->dead, &w->in_state);
}

static void deliver_begin(struct watch_set *ws)
{
	ws->delivering++;
}

static void deliver_end(struct watch_set *ws)
{
	if (--ws->delivering)
		return;
	while (!list_empty(&ws->dead))
		watch_destroy(LIST_ENTRY(ws->dead.next, struct store_watch, in_state));
}

void store_watch_pause(struct store_watch *w)
{
	if (w->dead)
		return;
	w->paused = w->behind = true;
	w->touched = false;
	list_remove(&w->in_state);
}

void store_watch_resume(struct store_watch *w)
{
	struct store *s = container_of(w->set, struct store, watches);

	if (w->dead || !w->paused)
		return;
	w->paused = false;
	list_add_tail(&w->set->behind, &w->in_state);
	loop_defer_schedule(s->turn);
}

bool store_watch_behind(const struct store_watch *w)
{
	return w->behind;
}

static void watch_event(struct store_watch *w, const struct store_event *ev)
{
	w->last = ev->rev;
	w->fn(w->arg, ev);
}

static void group_deliver(struct watch_set *ws, struct watch_group *g, const struct store_event *ev)
{
	LIST_EACH(it, &g->watches) {
		struct store_watch *w = LIST_ENTRY(it, struct store_watch, in_group);
		if (w->dead || w->behind || ev->rev <= w->last)
			continue;
		if (!w->touched) {
			w->touched = true;
			list_add_tail(&ws->touched, &w->in_state);
		}
		watch_event(w, ev);
	}
}

static void event_deliver(struct watch_set *ws, const struct store_event *ev)
{
	char key[STORE_KEY_MAX + 1];
	size_t len = strlen(ev->obj->key);

	memcpy(key, ev->obj->key, len + 1);
	/* Callbacks may add and remove lengths: look up the next smaller one each time. */
	for (size_t i, cut = len + 1; (i = length_find(ws, cut)) > 0;) {
		cut = ws->lengths.at[i - 1].len;
		key[cut] = 0;
		struct watch_group *g = map_get(&ws->groups, key);
		key[cut] = ev->obj->key[cut];
		if (g)
			group_deliver(ws, g, ev);
	}
}

static void flush_touched(struct watch_set *ws)
{
	while (!list_empty(&ws->touched)) {
		struct store_watch *w = LIST_ENTRY(ws->touched.next, struct store_watch, in_state);
		list_remove(&w->in_state);
		w->touched = false;
		w->fn(w->arg, NULL);
	}
}

void watch_set_deliver(struct watch_set *ws, const struct store_event *events, size_t n)
{
	deliver_begin(ws);
	for (size_t i = 0; i < n; i++)
		event_deliver(ws, &events[i]);
	flush_touched(ws);
	deliver_end(ws);
}

static void watch_catch_up(struct store_watch *w, const struct history *h)
{
	size_t prefix_len = strlen(w->group->prefix);
	bool any = false;

	if (w->last < h->compacted) { /* it was paused for too long */
		struct store_event expired = {.type = STORE_EXPIRED, .rev = h->compacted};
		w->paused = w->behind = true; /* for ever */
		w->fn(w->arg, &expired);
		return;
	}
	for (size_t i = history_after(h, w->last); i < h->n && !w->dead && !w->paused; i++) {
		const struct store_event *ev = history_at(h, i);
		w->last = ev->rev;
		if (strncmp(ev->obj->key, w->group->prefix, prefix_len) != 0)
			continue;
		any = true;
		watch_event(w, ev);
	}
	if (any && !w->dead && !w->paused)
		w->fn(w->arg, NULL);
}

void watch_set_catch_up(struct watch_set *ws, const struct history *h)
{
	deliver_begin(ws);
	while (!list_empty(&ws->behind)) {
		struct store_watch *w = LIST_ENTRY(ws->behind.next, struct store_watch, in_state);
		list_remove(&w->in_state);
		w->behind = false;
		watch_catch_up(w, h);
	}
	deliver_end(ws);
}

void watch_set_release(struct watch_set *ws)
{
	assert(ws->delivering == 0);
	MAP_EACH(slot, &ws->groups) {
		struct watch_group *g = slot->value;
		LIST_EACH_SAFE(it, &g->watches)
			free(LIST_ENTRY(it, struct store_watch, in_group));
		free(g);
	}
	map_release(&ws->groups, NULL);
	VEC_RELEASE(&ws->lengths);
}
