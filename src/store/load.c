/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: the backend's rows are applied one by one, which fills the window again, too. The caller's thread reads and
 * decrypts them; another indexes them and puts them where they belong, a batch behind. So a large store opens in half
 * the time. What is large is allocated by the caller's thread: glibc extends the heaps of others page by page.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "store/backend.h"
#include "store/store_internal.h"

#define LOAD_BATCH 128 /* rows handed over together, so that threads seldom wake each other */
#define LOAD_BATCHES 4 /* between the threads: bounds what is read ahead */

/* A row, read. Without a value it is a deletion, or why says that it cannot be decrypted. */
struct loaded {
	uint64_t rev;
	char *key, *why;
	struct bytes *value;
	bool stale;
};

struct load_batch {
	struct loaded rows[LOAD_BATCH];
	size_t n;
};

struct load {
	struct store *s;       /* the applying thread's, like the next three, until it has ended */
	struct map unreadable; /* key to why: newest states that cannot be decrypted */
	uint64_t cut;	       /* history begins after this change: before it there were unreadable or stale states */
	int result;
	char *err;
	size_t err_len;

	struct store_loader loader; /* filled before the first row is handed over */
	struct load_batch *filling; /* the reading thread's */

	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct load_batch *ring[LOAD_BATCHES];
	size_t head, n;	      /* of ring */
	bool ended, given_up; /* by the reading thread; by the applying one */
};

/* ---- reading, in the caller's thread ---- */

/* The plain bytes of a row; NULL, with the reason in *ret, when they cannot be had. */
static struct bytes *open_value(const struct store_codec *codec, const char *key, const void *value, size_t len,
				bool *ret_stale, char **ret)
{
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
		*ret = xstrdup(why);
	else if (!plain)
		plain = bytes_new(value, len);
	return plain;
}

/* False: nobody wants it any more. */
static bool hand_over(struct load *l)
{
	pthread_mutex_lock(&l->lock);
	while (l->n == LOAD_BATCHES && !l->given_up)
		pthread_cond_wait(&l->moved, &l->lock);
	bool wanted = !l->given_up;
	if (wanted)
		l->ring[(l->head + l->n++) % LOAD_BATCHES] = TAKE_PTR(l->filling);
	pthread_cond_signal(&l->moved);
	pthread_mutex_unlock(&l->lock);
	return wanted;
}

static int read_row(void *arg, uint64_t rev, const char *key, const void *value, size_t len, bool deleted)
{
	struct load *l = arg;

	if (!l->filling)
		l->filling = NEW(struct load_batch);
	struct loaded *row = &l->filling->rows[l->filling->n++];
	row->rev = rev;
	row->key = xstrdup(key);
	if (!deleted)
		row->value = open_value(l->s->codec, key, value, len, &row->stale, &row->why);
	return l->filling->n < LOAD_BATCH || hand_over(l) ? 0 : -ECANCELED;
}

static void read_ended(struct load *l)
{
	if (l->filling)
		hand_over(l);
	pthread_mutex_lock(&l->lock);
	l->ended = true;
	pthread_cond_signal(&l->moved);
	pthread_mutex_unlock(&l->lock);
}

/* ---- applying, in the other ---- */

static void superseded(struct load *l, const struct loaded *row, const struct object *prev)
{
	char *why = map_remove(&l->unreadable, row->key);

	if (why || (prev && prev->stale))
		l->cut = row->rev;
	free(why);
}

/* A state nobody can read stands for nothing, and may go when a newer one comes; until then the store does not open. */
static void skip_row(struct load *l, struct loaded *row)
{
	struct object *prev = tree_remove(&l->s->tree, row->key);

	superseded(l, row, prev);
	map_set(&l->unreadable, row->key, TAKE_PTR(row->why));
	if (prev)
		VEC_PUSH(&l->s->prune, prev->rev);
	VEC_PUSH(&l->s->prune, row->rev);
	object_unref(prev);
	l->s->rev = row->rev;
}

static void remember(struct load *l, struct store_event *ev)
{
	struct store *s = l->s;

	s->rev = ev->rev;
	if (ev->rev > l->loader.compacted && ev->obj) {
		history_add(&s->history, ev);
		history_trim(&s->history, UINT64_MAX, store_history_left, s);
	} else {
		object_unref(ev->obj);
		object_unref(ev->prev);
	}
}

static int apply_value(struct load *l, struct loaded *row)
{
	struct store *s = l->s;
	struct object *o =
	    object_new(s->resource_of_key ? s->resource_of_key(row->key) : NULL, row->key, row->rev, row->value);

	if (!o) {
		snprintf(l->err, l->err_len, "the value of %s (revision %llu) is not an object", row->key,
			 (unsigned long long)row->rev);
		return -EBADMSG;
	}
	o->stale = row->stale;
	struct object *prev = tree_put(&s->tree, o);
	superseded(l, row, prev);
	remember(l, &(struct store_event){
			.rev = row->rev, .type = prev ? STORE_UPDATED : STORE_CREATED, .obj = o, .prev = prev});
	return 0;
}

static void apply_deletion(struct load *l, struct loaded *row)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object *prev = tree_remove(&l->s->tree, row->key);
	struct store_event ev = {.rev = row->rev, .type = STORE_DELETED, .prev = prev};

	superseded(l, row, prev);
	/* A deletion whose object has been pruned is itself to be pruned; there is nothing to replay. */
	if (prev)
		ev.obj = object_from_tree(prev->resource, row->key, row->rev, object_tree(prev, &a));
	remember(l, &ev);
}

static int apply_row(struct load *l, struct loaded *row)
{
	if (row->value)
		return apply_value(l, row);
	if (row->why)
		skip_row(l, row);
	else
		apply_deletion(l, row);
	return 0;
}

static void batch_free(struct load_batch *b)
{
	for (size_t i = 0; b && i < b->n; i++) {
		free(b->rows[i].key);
		free(b->rows[i].why);
		bytes_unref(b->rows[i].value);
	}
	free(b);
}

/* NULL: that was all. */
static struct load_batch *take_over(struct load *l)
{
	struct load_batch *b = NULL;

	pthread_mutex_lock(&l->lock);
	while (!l->n && !l->ended)
		pthread_cond_wait(&l->moved, &l->lock);
	if (l->n) {
		b = l->ring[l->head];
		l->head = (l->head + 1) % LOAD_BATCHES;
		l->n--;
	}
	pthread_cond_signal(&l->moved);
	pthread_mutex_unlock(&l->lock);
	return b;
}

static void give_up(struct load *l)
{
	pthread_mutex_lock(&l->lock);
	l->given_up = true;
	pthread_cond_signal(&l->moved);
	pthread_mutex_unlock(&l->lock);
}

static void *apply_all(void *arg)
{
	struct load *l = arg;
	struct load_batch *b;

	while ((b = take_over(l))) {
		for (size_t i = 0; i < b->n && l->result == 0; i++)
			l->result = apply_row(l, &b->rows[i]);
		batch_free(b);
		if (l->result < 0)
			give_up(l);
	}
	return NULL;
}

static int load(struct load *l)
{
	pthread_t other;
	int r = -pthread_create(&other, NULL, apply_all, l);

	if (r < 0) {
		snprintf(l->err, l->err_len, "cannot start a thread to load it: %s", strerror(-r));
		return r;
	}
	char why[256] = "";
	r = l->s->ops->load(l->s->backend, &l->loader, why, sizeof(why));
	read_ended(l);
	pthread_join(other, NULL);
	batch_free(l->filling);
	if (l->result < 0)
		return l->result;
	if (r < 0) {
		snprintf(l->err, l->err_len, "%s", why);
		return r;
	}
	struct map_slot *bad = map_next(&l->unreadable, NULL);
	if (bad) {
		snprintf(l->err, l->err_len, "the value of %s cannot be decrypted: %s%s", bad->key,
			 (const char *)bad->value, l->unreadable.n > 1 ? "; and others" : "");
		return -ENOKEY;
	}
	return 0;
}

int store_load(struct store *s, char *err, size_t err_len)
{
	struct load l = {.s = s, .err = err, .err_len = err_len};

	l.loader = (struct store_loader){.row = read_row, .arg = &l};
	pthread_mutex_init(&l.lock, NULL);
	pthread_cond_init(&l.moved, NULL);
	s->rev = 0;
	int r = load(&l);
	pthread_cond_destroy(&l.moved);
	pthread_mutex_destroy(&l.lock);
	map_release(&l.unreadable, free);
	if (r < 0)
		return r;
	if (l.cut)
		history_cut(&s->history, l.cut, store_history_left, s);
	s->history.compacted = MAX_OF(s->history.compacted, l.loader.compacted);
	s->ceiling = l.loader.ceiling;
	s->rev = MAX_OF(MAX_OF(s->rev, s->ceiling), MAX_OF(s->history.compacted, (uint64_t)STORE_FIRST_REV));
	s->rev_latest = s->rev;
	s->compact_mark = s->compact_floor = 0;
	return 0;
}
