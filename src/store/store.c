/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and reading. */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"
#include "store/backend.h"
#include "store/store_internal.h"

/* ---- opening: the backend's rows are applied one by one, which fills the window again, too ---- */

struct load {
	struct store *s;
	struct store_loader *loader;
	struct map unreadable; /* key to why: newest states that cannot be decrypted */
	uint64_t cut;	       /* history begins after this change: before it there were unreadable or stale states */
	char *err;
	size_t err_len;
};

/* The plain bytes of a row; NULL, and it is remembered, when they cannot be had. */
static struct bytes *open_value(struct load *l, const char *key, const void *value, size_t len, bool *ret_stale)
{
	const struct store_codec *codec = l->s->codec;
	static const char sealed[] = STORE_SEALED_PREFIX;
	struct bytes *plain = NULL;
	char why[160] = "";
	int r = 0;

	if (codec)
		r = codec->open(codec->self, key, value, len, &plain, ret_stale, why, sizeof(why));
	else if (len >= sizeof(sealed) - 1 && memcmp(value, sealed, sizeof(sealed) - 1) == 0) {
		snprintf(why, sizeof(why), "no encryption configuration was given");
		r = -ENOKEY;
	}
	if (r < 0)
		map_set(&l->unreadable, key, xstrdup(why));
	else if (!plain)
		plain = bytes_new(value, len);
	return plain;
}

/* A state nobody can read stands for nothing, and may go when a newer one comes; until then the store does not open. */
static void skip_row(struct load *l, uint64_t rev, const char *key)
{
	struct object *prev = tree_remove(&l->s->tree, key);

	if (prev)
		VEC_PUSH(&l->s->prune, prev->rev);
	VEC_PUSH(&l->s->prune, rev);
	object_unref(prev);
	l->s->rev = rev;
}

static void superseded(struct load *l, uint64_t rev, const char *key, const struct object *prev)
{
	char *why = map_remove(&l->unreadable, key);

	if (why || (prev && prev->stale))
		l->cut = rev;
	free(why);
}

static int load_row(void *arg, uint64_t rev, const char *key, const void *value, size_t len, bool deleted)
{
	struct load *l = arg;
	struct store *s = l->s;
	struct object *prev = tree_get(&s->tree, key);
	superseded(l, rev, key, prev);
	struct store_event ev = {.rev = rev, .prev = object_ref(prev)};

	if (deleted) {
		/* A deletion whose object has been pruned is itself to be pruned; there is nothing to replay. */
		if (prev) {
			_cleanup_arena_ struct arena a = ARENA_INIT;
			ev.obj = object_from_tree(prev->resource, key, rev, object_tree(prev, &a));
			object_unref(tree_remove(&s->tree, key));
		}
		ev.type = STORE_DELETED;
	} else {
		bool stale = false;
		_cleanup_bytes_ struct bytes *b = open_value(l, key, value, len, &stale);
		if (!b) {
			skip_row(l, rev, key);
			object_unref(ev.prev);
			return 0;
		}
		ev.obj = object_new(s->resource_of_key ? s->resource_of_key(key) : NULL, key, rev, b);
		ev.type = prev ? STORE_UPDATED : STORE_CREATED;
		if (!ev.obj) {
			snprintf(l->err, l->err_len, "the value of %s (revision %llu) is not an object", key,
				 (unsigned long long)rev);
			object_unref(ev.prev);
			return -EBADMSG;
		}
		ev.obj->stale = stale;
		object_unref(tree_put(&s->tree, ev.obj));
	}
	s->rev = rev;
	if (rev > l->loader->compacted && ev.obj) {
		history_add(&s->history, &ev);
		history_trim(&s->history, UINT64_MAX, store_history_left, s);
	} else {
		object_unref(ev.obj);
		object_unref(ev.prev);
	}
	return 0;
}

static int store_load(struct store *s, char *err, size_t err_len)
{
	struct load l = {.s = s, .err = err, .err_len = err_len};
	struct store_loader loader = {.row = load_row, .arg = &l};

	l.loader = &loader;
	s->rev = 0;
	int r = s->ops->load(s->backend, &loader, err, err_len);
	struct map_slot *bad = map_next(&l.unreadable, NULL);
	if (r == 0 && bad) {
		snprintf(err, err_len, "the value of %s cannot be decrypted: %s%s", bad->key, (const char *)bad->value,
			 l.unreadable.n > 1 ? "; and others" : "");
		r = -ENOKEY;
	}
	map_release(&l.unreadable, free);
	if (r < 0)
		return r;
	if (l.cut)
		history_cut(&s->history, l.cut, store_history_left, s);
	s->history.compacted = MAX_OF(s->history.compacted, loader.compacted);
	s->ceiling = loader.ceiling;
	s->rev = MAX_OF(MAX_OF(s->rev, s->ceiling), MAX_OF(s->history.compacted, (uint64_t)STORE_FIRST_REV));
	s->rev_latest = s->rev;
	s->compact_mark = s->compact_floor = 0;
	return 0;
}

static void store_free(struct store *s)
{
	loop_defer_free(s->turn);
	loop_timer_free(s->lazy_timer);
	loop_timer_free(s->compact_timer);
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
