/* SPDX-License-Identifier: Apache-2.0 */
/* Opening (with load.c), closing and reading. */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"
#include "store/backend.h"
#include "store/store_internal.h"

static void store_free(struct store *s)
{
	loop_defer_free(s->turn);
	loop_timer_free(s->lazy_timer);
	loop_timer_free(s->compact_timer);
	loop_timer_free(s->probe_timer);
	watch_set_release(&s->watches);
	history_release(&s->history);
	tree_release(&s->tree);
	map_release(&s->latest, NULL);
	VEC_RELEASE(&s->prune);
	if (s->backend)
		s->ops->close(s->backend);
	free(s);
}

static void store_turn(void *arg)
{
	struct store *s = arg;

	watch_set_catch_up(&s->watches, &s->history);
	store_pump(s);
}

int store_open_with(const struct store_config *c, const struct store_backend_ops *ops, struct store **ret, char *err,
		    size_t err_len)
{
	struct store *s = NEW(struct store);

	s->loop = c->loop;
	s->resource_of_key = c->resource_of_key;
	s->codec = c->codec;
	s->ops = ops;
	list_init(&s->queue);
	list_init(&s->unsaved);
	watch_set_init(&s->watches);
	int r = ops->open(c->dir, &s->backend, err, err_len);
	if (r == 0 && s->codec && ops->wipe_deleted)
		ops->wipe_deleted(s->backend);
	if (r == 0)
		r = store_load(s, err, err_len);
	if (r < 0) {
		if (s->backend)
			ops->close(TAKE_PTR(s->backend));
		watch_set_release(&s->watches);
		history_release(&s->history);
		tree_release(&s->tree);
		VEC_RELEASE(&s->prune);
		free(s);
		return r;
	}
	s->turn = loop_defer_new(c->loop, store_turn, s);
	s->lazy_timer = loop_timer_new(c->loop, store_lazy_fired, s);
	s->probe_timer = loop_timer_new(c->loop, store_probe_fired, s);
	s->compact_timer = loop_timer_new(c->loop, store_compact_fired, s);
	*ret = s;
	return 0;
}

int store_open(const struct store_config *c, struct store **ret, char *err, size_t err_len)
{
	return store_open_with(c, str_empty(c->dir) ? &store_backend_memory : &store_backend_sqlite, ret, err, err_len);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	s->closing = true;
	store_drain(s);
	store_free(s);
}

/* ---- reading ---- */

enum store_health store_health(const struct store *s)
{
	if (s->job && loop_now_ms(s->loop) - s->job_since_ms > STORE_STALL_MS)
		return STORE_STALLED;
	return s->failing ? STORE_FAILING : STORE_WORKS;
}

uint64_t store_revision(const struct store *s)
{
	return s->rev;
}

uint64_t store_compacted(const struct store *s)
{
	return s->history.compacted;
}

uint64_t store_oldest_list(const struct store *s)
{
	return MAX_OF(s->history.compacted, s->compact_floor);
}

struct object *store_get(struct store *s, const char *key)
{
	return tree_get(&s->tree, key);
}

struct object *store_get_latest(struct store *s, const char *key)
{
	const struct latest *l = map_get(&s->latest, key);

	return l ? l->obj : tree_get(&s->tree, key);
}

uint64_t store_count(struct store *s, const char *prefix)
{
	return tree_count(&s->tree, prefix);
}

void store_each(struct store *s, const char *prefix, const char *start, bool (*fn)(void *arg, struct object *o),
		void *arg)
{
	tree_each(&s->tree, prefix, start, fn, arg);
}

/* ---- the past: what is there now, with later changes undone on the way ---- */

struct undo {
	const char *key;
	size_t order;
	struct object *then; /* NULL: it was not there */
};

struct past {
	struct undo *at;
	size_t n, cap, next;
	bool (*fn)(void *arg, struct object *o);
	void *arg;
	bool stopped;
};

static int undo_compare(const void *a, const void *b)
{
	const struct undo *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* For each key that changed after rev, its state before the first such change; in order of key. */
static void past_collect(struct past *p, const struct history *h, uint64_t rev, const char *prefix, const char *start)
{
	size_t prefix_len = strlen(prefix), kept = 0;

	for (size_t i = history_after(h, rev); i < h->n; i++) {
		const struct store_event *ev = history_at(h, i);
		if (strncmp(ev->obj->key, prefix, prefix_len) == 0 && (!start || strcmp(ev->obj->key, start) >= 0))
			VEC_PUSH(p, ((struct undo){.key = ev->obj->key, .order = i, .then = ev->prev}));
	}
	if (p->n)
		qsort(p->at, p->n, sizeof(p->at[0]), undo_compare);
	for (size_t i = 0; i < p->n; i++)
		if (!kept || strcmp(p->at[kept - 1].key, p->at[i].key) != 0)
			p->at[kept++] = p->at[i];
	p->n = kept;
}

static bool past_emit(struct past *p, struct object *o)
{
	if (o && !p->fn(p->arg, o))
		p->stopped = true;
	return !p->stopped;
}

/* Undone keys below `key` (NULL: all that are left) are not in the tree now. */
static bool past_emit_gone(struct past *p, const char *key)
{
	while (p->next < p->n && (!key || strcmp(p->at[p->next].key, key) < 0))
		if (!past_emit(p, p->at[p->next++].then))
			return false;
	return true;
}

static bool past_each(void *arg, struct object *o)
{
	struct past *p = arg;

	if (!past_emit_gone(p, o->key))
		return false;
	if (p->next < p->n && strcmp(p->at[p->next].key, o->key) == 0)
		return past_emit(p, p->at[p->next++].then);
	return past_emit(p, o);
}

bool store_each_at(struct store *s, uint64_t rev, const char *prefix, const char *start,
		   bool (*fn)(void *arg, struct object *o), void *arg)
{
	if (rev && rev < store_oldest_list(s))
		return false;
	struct past p = {.fn = fn, .arg = arg};
	if (rev)
		past_collect(&p, &s->history, rev, prefix, start);
	if (tree_each(&s->tree, prefix, start, past_each, &p))
		past_emit_gone(&p, NULL);
	VEC_RELEASE(&p);
	return true;
}

/* ---- watching ---- */

struct store_watch *store_watch_new(struct store *s, const char *prefix, uint64_t from_rev, store_watch_fn fn,
				    void *arg, bool *ret_expired)
{
	if (from_rev < s->history.compacted) {
		*ret_expired = true;
		return NULL;
	}
	*ret_expired = false;
	bool behind = from_rev < s->rev;
	if (behind)
		loop_defer_schedule(s->turn);
	return watch_set_add(&s->watches, prefix, from_rev, behind, fn, arg);
}
