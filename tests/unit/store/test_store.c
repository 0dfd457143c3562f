/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store against a naive model: arrays of everything that ever happened. Random writes, turns, commits that succeed
 * or fail, crashes, watches and lists of the past; the seed is printed and can be given in $SEED.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "fake_loop.h"
#include "faulty_backend.h"
#include "store/store.h"

static uint64_t random_state;

static unsigned rnd(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 11) % n);
}

/* ---- one store, opened over the faulty disk ---- */

static struct store *store;

static void reopen(const struct store_backend_ops *ops)
{
	char err[200] = "";
	struct store_config c = {.loop = fake_loop()};

	assert_int_equal(store_open_with(&c, ops, &store, err, sizeof(err)), 0);
}

static struct json *value_of(struct arena *a, const char *key, int v, size_t pad)
{
	struct json *o = json_new(a, JSON_OBJECT);
	struct json *meta = json_object_in(a, o, "metadata");

	json_set_str(a, meta, "name", strrchr(key, '/') + 1);
	json_set_int(a, o, "v", v);
	if (pad) {
		char *p = arena_alloc(a, pad);
		memset(p, 'x', pad);
		json_set(a, o, "pad", json_new_strn(a, p, pad));
	}
	return o;
}

static int v_of(const struct object *o)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *t;

	if (!o)
		return 0;
	t = object_tree(o, &a);
	uint64_t rev;
	assert_int_equal(parse_u64(json_path_str(t, "metadata.resourceVersion"), &rev), 0);
	assert_true(rev == o->rev);
	return (int)json_int(json_get(t, "v"), -1);
}

/* ---- the model ---- */

#define KEYS 60
static const char *const prefixes[] = {"",
				       "/registry/",
				       "/registry/a/",
				       "/registry/ab/",
				       "/registry/ab",
				       "/registry/a/n1/",
				       "/registry/b/n0/x3",
				       "/registry/none/",
				       "/registry/b/n2/",
				       "/reg"};
static char keys[KEYS][40];

struct happened {
	uint64_t rev;
	enum store_event_type type;
	int key, v, prev; /* v: of the state the event carries */
};

static VEC(struct happened) model; /* committed, in order */
static int v_now[KEYS], v_latest[KEYS];
static uint64_t rev_now[KEYS], rev_latest[KEYS], seen_max;
static int next_v, n_waiting;

struct writing {
	int key, v, prev;
	enum store_event_type type;
};

static void model_take_back(void)
{
	memcpy(v_latest, v_now, sizeof(v_now));
	memcpy(rev_latest, rev_now, sizeof(rev_now));
}

static void model_add(const struct writing *w, uint64_t rev)
{
	VEC_PUSH(&model, ((struct happened){rev, w->type, w->key, w->v, w->prev}));
	v_now[w->key] = w->type == STORE_DELETED ? 0 : w->v;
	rev_now[w->key] = w->type == STORE_DELETED ? 0 : rev;
}

static void on_done(void *arg, enum store_error result, struct object *obj)
{
	struct writing *w = arg;

	n_waiting--;
	if (result == STORE_OK) {
		assert_non_null(obj);
		assert_true(obj->rev > seen_max);
		assert_string_equal(obj->key, keys[w->key]);
		assert_int_equal(v_of(obj), w->v);
		assert_true(store_revision(store) >= obj->rev);
		seen_max = obj->rev;
		model_add(w, obj->rev);
	} else {
		assert_int_equal(result, faulty_disk.fail);
		assert_null(obj);
		model_take_back();
	}
	free(w);
}

static void model_reset(void)
{
	VEC_RELEASE(&model);
	memset(v_now, 0, sizeof(v_now));
	memset(rev_now, 0, sizeof(rev_now));
	model_take_back();
	seen_max = 0;
	next_v = n_waiting = 0;
	faulty_disk_wipe();
}

static void write_random(void)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int k = (int)rnd(KEYS);
	unsigned kind = rnd(10);
	struct writing *w = NEW(struct writing);
	struct store_write sw = {.key = keys[k], .lazy = rnd(4) == 0, .done = on_done, .arg = w};
	enum store_error want = STORE_OK;

	w->key = k;
	w->prev = v_latest[k];
	sw.create = kind < 3;
	if (kind < 8) {
		w->v = ++next_v;
		sw.tree = value_of(&a, keys[k], w->v, rnd(50) == 0 ? rnd(200000) : rnd(100));
		w->type = sw.create ? STORE_CREATED : STORE_UPDATED;
	} else {
		w->v = v_latest[k];
		w->type = STORE_DELETED;
	}
	if (!sw.create && rnd(2)) {
		sw.expect_rev = rnd(5) ? rev_latest[k] : 1 + rnd(50);
		if (v_latest[k] && sw.expect_rev && sw.expect_rev != rev_latest[k])
			want = STORE_CONFLICT;
	}
	if (sw.create && v_latest[k])
		want = STORE_EXISTS;
	if (!sw.create && !v_latest[k])
		want = STORE_MISSING;
	assert_int_equal(store_write(store, &sw), want);
	if (want != STORE_OK) {
		free(w);
		return;
	}
	n_waiting++;
	struct object *o = store_get_latest(store, keys[k]);
	v_latest[k] = w->type == STORE_DELETED ? 0 : w->v;
	assert_int_equal(v_of(o), v_latest[k]);
	rev_latest[k] = o ? o->rev : 0;
}

/* ---- watches: what each must have seen follows from the model ---- */

#define WATCHES 30
static struct watching {
	struct store_watch *w;
	const char *prefix;
	uint64_t from, last;
	VEC(struct happened) got;
	size_t unflushed;
	bool free_self, paused, expired;
} watching[WATCHES];

static int key_index(const char *key)
{
	for (int i = 0; i < KEYS; i++)
		if (str_eq(keys[i], key))
			return i;
	fail_msg("unknown key %s", key);
	return -1;
}

static void watching_stop(struct watching *w)
{
	store_watch_free(w->w);
	VEC_RELEASE(&w->got);
	memset(w, 0, sizeof(*w));
}

static void on_event(void *arg, const struct store_event *ev)
{
	struct watching *w = arg;

	assert_non_null(w->w);
	assert_false(w->paused || w->expired);
	if (!ev) {
		assert_true(w->unflushed > 0);
		w->unflushed = 0;
	} else if (ev->type == STORE_EXPIRED) {
		assert_true(ev->rev == store_compacted(store) && w->last < ev->rev);
		w->expired = true;
		return;
	} else {
		assert_true(ev->rev > w->last);
		assert_true(ev->obj->rev == ev->rev);
		assert_true(str_has_prefix(ev->obj->key, w->prefix));
		assert_int_equal(ev->prev == NULL, ev->type == STORE_CREATED);
		w->last = ev->rev;
		w->unflushed++;
		VEC_PUSH(&w->got, ((struct happened){ev->rev, ev->type, key_index(ev->obj->key), v_of(ev->obj),
						     v_of(ev->prev)}));
	}
	if (w->free_self && rnd(4) == 0) {
		watching_stop(w);
	} else if (rnd(10) == 0) {
		w->paused = true;
		w->unflushed = 0; /* nor is it told of the end of this commit */
		store_watch_pause(w->w);
	} else if (rnd(100) == 0) { /* somebody else, met or not in this delivery */
		watching_stop(&watching[rnd(WATCHES)]);
	}
}

static void watch_random(void)
{
	struct watching *w = &watching[rnd(WATCHES)];
	bool expired;

	if (w->paused && rnd(3)) {
		w->paused = false;
		store_watch_resume(w->w);
		return;
	}
	if (w->w) {
		watching_stop(w);
		return;
	}
	w->prefix = prefixes[rnd(ARRAY_SIZE(prefixes))];
	w->from = rnd(3) || !model.n ? store_revision(store) : model.at[rnd((unsigned)model.n)].rev;
	w->last = w->from;
	w->free_self = rnd(10) == 0;
	w->w = store_watch_new(store, w->prefix, w->from, on_event, w, &expired);
	assert_int_equal(expired, w->from < store_compacted(store));
	assert_int_equal(expired, w->w == NULL);
	if (!w->w)
		memset(w, 0, sizeof(*w));
}

static void watching_check(const struct watching *w)
{
	size_t n = 0;

	for (size_t i = 0; i < model.n; i++) {
		const struct happened *h = &model.at[i];
		if (h->rev <= w->from || !str_has_prefix(keys[h->key], w->prefix))
			continue;
		if (n == w->got.n && (w->paused || w->expired))
			return; /* what it got has no gaps; the rest waits, or is lost to it */
		assert_true(n < w->got.n);
		assert_memory_equal(&w->got.at[n].rev, &h->rev, sizeof(h->rev));
		assert_int_equal(w->got.at[n].type, h->type);
		assert_int_equal(w->got.at[n].key, h->key);
		assert_int_equal(w->got.at[n].v, h->v);
		assert_int_equal(w->got.at[n].prev, h->prev);
		n++;
	}
	assert_int_equal(n, w->got.n);
	assert_int_equal(w->unflushed, 0);
}

/* ---- reading back ---- */

struct collect {
	VEC(int) keys, vs;
	size_t stop_after;
};

static bool collect_one(void *arg, struct object *o)
{
	struct collect *c = arg;

	VEC_PUSH(&c->keys, key_index(o->key));
	VEC_PUSH(&c->vs, v_of(o));
	return c->keys.n != c->stop_after;
}

static void list_check(const int *v, const char *prefix, const char *start, uint64_t rev, size_t stop_after)
{
	struct collect c = {.stop_after = stop_after};
	size_t n = 0;

	if (rev)
		assert_true(store_each_at(store, rev, prefix, start, collect_one, &c));
	else
		store_each(store, prefix, start, collect_one, &c);
	for (int k = 0; k < KEYS && (!stop_after || n < stop_after); k++) { /* keys[] is in order */
		if (!v[k] || !str_has_prefix(keys[k], prefix) || (start && strcmp(keys[k], start) < 0))
			continue;
		assert_true(n < c.keys.n);
		assert_int_equal(c.keys.at[n], k);
		assert_int_equal(c.vs.at[n], v[k]);
		n++;
	}
	assert_int_equal(n, c.keys.n);
	VEC_RELEASE(&c.keys);
	VEC_RELEASE(&c.vs);
}

static void past_check(void)
{
	uint64_t rev = model.n ? model.at[rnd((unsigned)model.n)].rev : store_revision(store);
	const char *prefix = prefixes[rnd(ARRAY_SIZE(prefixes))];
	const char *start = rnd(2) ? keys[rnd(KEYS)] : NULL;
	int then[KEYS] = {0};

	if (rev < store_oldest_list(store)) {
		assert_false(store_each_at(store, rev, prefix, start, collect_one, NULL));
		return;
	}
	for (size_t i = 0; i < model.n && model.at[i].rev <= rev; i++)
		then[model.at[i].key] = model.at[i].type == STORE_DELETED ? 0 : model.at[i].v;
	list_check(then, prefix, start, rev, rnd(2) ? 0 : 1 + rnd(5));
}

static void state_check(void)
{
	for (int k = 0; k < KEYS; k++) {
		assert_int_equal(v_of(store_get(store, keys[k])), v_now[k]);
		assert_int_equal(v_of(store_get_latest(store, keys[k])), v_latest[k]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = 0;
		for (int k = 0; k < KEYS; k++)
			n += v_now[k] && str_has_prefix(keys[k], prefixes[i]);
		assert_int_equal(store_count(store, prefixes[i]), n);
	}
	list_check(v_now, prefixes[rnd(ARRAY_SIZE(prefixes))], rnd(2) ? keys[rnd(KEYS)] : NULL, 0, rnd(2) ? 0 : 3);
	past_check();
}

static void settled_check(void)
{
	fake_settle();
	assert_int_equal(n_waiting, 0);
	state_check();
	for (int i = 0; i < WATCHES; i++)
		if (watching[i].w)
			watching_check(&watching[i]);
}

/* ---- closing and crashing ---- */

/* Those that were only in memory are gone; all others happened. */
static void model_forget_lost(bool (*kept)(uint64_t rev), size_t durable_before)
{
	size_t n = 0;

	for (size_t i = 0; i < model.n; i++)
		if (i < durable_before || kept(model.at[i].rev))
			model.at[n++] = model.at[i];
	model.n = n;
	memset(v_now, 0, sizeof(v_now));
	memset(rev_now, 0, sizeof(rev_now));
	for (size_t i = 0; i < n; i++) {
		const struct happened *h = &model.at[i];
		v_now[h->key] = h->type == STORE_DELETED ? 0 : h->v;
		rev_now[h->key] = h->type == STORE_DELETED ? 0 : h->rev;
	}
	model_take_back();
}

static void restart(bool crash)
{
	/* Pruned rows were durable: they are those up to the disk's compaction. */
	size_t durable = 0;

	for (int i = 0; i < WATCHES; i++)
		if (watching[i].w)
			watching_stop(&watching[i]);
	if (crash)
		faulty_disk.fail = STORE_IO;
	fake_work_run(); /* closing waits for the worker */
	store_close(store);
	assert_int_equal(n_waiting, 0);
	while (durable < model.n && model.at[durable].rev <= faulty_disk.compacted)
		durable++;
	if (faulty_disk.fail != STORE_OK)
		model_forget_lost(faulty_disk_has, durable);
	faulty_disk.fail = STORE_OK;
	fake_settle();
	reopen(&store_backend_faulty);
	assert_true(store_revision(store) >= seen_max);
	seen_max = store_revision(store);
	state_check();
}

static void step(void)
{
	switch (rnd(20)) {
	case 0:
		fake_turn();
		break;
	case 1:
	case 2:
		fake_work();
		break;
	case 3:
		if (rnd(20) == 0)
			faulty_disk.fail = rnd(2) ? STORE_FULL : STORE_IO;
		else if (rnd(3) == 0)
			faulty_disk.fail = STORE_OK;
		break;
	case 4:
		watch_random();
		break;
	case 5:
		fake_pass(rnd(20) ? rnd(6000) : STORE_COMPACT_MS);
		break;
	case 6:
		if (rnd(10) == 0)
			settled_check();
		break;
	case 7:
		state_check();
		break;
	case 8:
		if (rnd(100) == 0)
			restart(rnd(2));
		break;
	default:
		write_random();
	}
}

static void random_walk(const struct store_backend_ops *ops, uint64_t seed, int steps)
{
	print_message("seed %llu\n", (unsigned long long)seed);
	random_state = seed * 2654435761u + 1;
	reopen(ops);
	for (int i = 0; i < steps; i++)
		step();
	if (faulty_disk.fail == STORE_OK)
		settled_check();
	for (int i = 0; i < WATCHES; i++)
		if (watching[i].w)
			watching_stop(&watching[i]);
	fake_work_run();
	store_close(store);
	fake_settle();
	model_reset();
}

static uint64_t first_seed(void)
{
	const char *s = getenv("SEED");
	uint64_t seed;

	return s && parse_u64(s, &seed) == 0 ? seed : (uint64_t)time(NULL) * 1000;
}

static void agrees_with_a_naive_model(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		random_walk(&store_backend_faulty, first_seed() + i, 8000);
}

/* ---- one by one ---- */

static int setup(void **state)
{
	(void)state;
	model_reset();
	reopen(&store_backend_faulty);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	fake_settle();
	model_reset();
	return 0;
}

struct answer {
	int n;
	enum store_error result;
	uint64_t rev;
};

static void on_answer(void *arg, enum store_error result, struct object *obj)
{
	struct answer *a = arg;

	a->n++;
	a->result = result;
	a->rev = obj ? obj->rev : 0;
}

static enum store_error put(const char *key, int v, bool create, bool lazy, struct answer *ans)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct store_write w = {.key = key,
				.tree = v ? value_of(&a, key, v, 0) : NULL,
				.create = create,
				.lazy = lazy,
				.done = on_answer,
				.arg = ans};

	return store_write(store, &w);
}

static void one_turn_is_one_commit(void **state)
{
	struct answer ans[100] = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(put(keys[i % KEYS], i + 1, i < KEYS, false, &ans[i]), STORE_OK);
	assert_int_equal(ans[0].n, 0);
	fake_turn();
	assert_null(store_get(store, keys[0])); /* not durable: not visible */
	assert_int_equal(ans[0].n, 0);
	fake_work();
	assert_int_equal(faulty_disk.commits, 1);
	assert_int_equal(faulty_disk.last_rows, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ans[i].n, 1);
	assert_int_equal(v_of(store_get(store, keys[0])), 61);
}

static void writes_during_a_commit_are_the_next_one(void **state)
{
	struct answer ans = {0};

	(void)state;
	put(keys[0], 1, true, false, &ans);
	fake_turn();
	for (int i = 1; i < 10; i++)
		put(keys[i], 1, true, false, &ans);
	fake_turn();
	fake_work();
	assert_int_equal(ans.n, 1);
	fake_work();
	assert_int_equal(ans.n, 10);
	assert_int_equal(faulty_disk.commits, 2);
}

static void failure_takes_back_what_was_built_on_it(void **state)
{
	struct answer a1 = {0}, a2 = {0}, a3 = {0};
	uint64_t before;

	(void)state;
	put(keys[0], 1, true, false, &a1);
	fake_settle();
	before = store_revision(store);
	faulty_disk.fail = STORE_FULL;
	put(keys[0], 2, false, false, &a2);
	fake_turn();
	put(keys[0], 3, false, false, &a3);
	assert_int_equal(v_of(store_get_latest(store, keys[0])), 3);
	fake_settle();
	assert_int_equal(a2.result, STORE_FULL);
	assert_int_equal(a3.result, STORE_FULL);
	assert_int_equal(v_of(store_get(store, keys[0])), 1);
	assert_int_equal(v_of(store_get_latest(store, keys[0])), 1);
	assert_true(store_revision(store) == before);
	faulty_disk.fail = STORE_OK;
	put(keys[0], 4, false, false, &a3);
	fake_settle();
	assert_int_equal(a3.result, STORE_OK);
	assert_true(a3.rev == before + 1);
}

static void lazy_is_answered_at_once_and_committed_later(void **state)
{
	struct answer a1 = {0}, a2 = {0};

	(void)state;
	put(keys[0], 1, true, false, &a1);
	fake_settle();
	unsigned commits = faulty_disk.commits;
	put(keys[0], 2, false, true, &a2);
	assert_int_equal(a2.n, 0);
	fake_turn();
	assert_int_equal(a2.n, 1);
	assert_int_equal(v_of(store_get(store, keys[0])), 2);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits);
	fake_pass(STORE_LAZY_MS_MAX);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits + 1);
	assert_true(faulty_disk_has(a2.rev));
	fake_pass(10 * STORE_LAZY_MS_MAX);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits + 1); /* idle writes nothing */
}

static enum store_error renew(const char *key, int v, struct answer *ans)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct store_write w = {
	    .key = key, .tree = value_of(&a, key, v, 0), .renewal = true, .done = on_answer, .arg = ans};

	return store_write(store, &w);
}

static void renewals_wait_longer_but_go_with_what_comes_earlier(void **state)
{
	struct answer a1 = {0}, a2 = {0}, a3 = {0};

	(void)state;
	put(keys[0], 1, true, false, &a1);
	put(keys[1], 1, true, false, &a1);
	fake_settle();
	unsigned commits = faulty_disk.commits;
	renew(keys[0], 2, &a2);
	fake_settle();
	assert_int_equal(a2.n, 1);
	fake_pass(STORE_RENEWAL_MS_MAX - 1);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits);
	fake_pass(1);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits + 1);
	assert_true(faulty_disk_has(a2.rev));
	renew(keys[0], 3, &a2);
	fake_settle();
	put(keys[1], 2, false, true, &a3);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits + 1);
	fake_pass(STORE_LAZY_MS_MAX);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits + 2);
	assert_true(faulty_disk_has(a2.rev) && faulty_disk_has(a3.rev));
	fake_pass(2 * STORE_RENEWAL_MS_MAX);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits + 2);
}

static void lazy_works_while_the_disk_is_full(void **state)
{
	struct answer a1 = {0}, a2 = {0};

	(void)state;
	put(keys[0], 1, true, false, &a1);
	fake_settle();
	faulty_disk.fail = STORE_FULL;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(put(keys[0], 2 + i, false, true, &a2), STORE_OK);
		fake_settle();
		assert_int_equal(a2.result, STORE_OK);
		fake_pass(STORE_LAZY_MS_MAX);
		fake_settle();
	}
	faulty_disk.fail = STORE_OK;
	fake_pass(STORE_LAZY_MS_MAX);
	fake_settle();
	assert_true(faulty_disk_has(a2.rev));
}

static void revisions_seen_are_never_given_out_again(void **state)
{
	struct answer a1 = {0}, a2 = {0};

	(void)state;
	put(keys[0], 1, true, false, &a1);
	fake_settle();
	put(keys[0], 2, false, true, &a2);
	fake_settle();
	faulty_disk.fail = STORE_IO; /* the process dies before the lazy one is written */
	store_close(store);
	faulty_disk.fail = STORE_OK;
	reopen(&store_backend_faulty);
	assert_int_equal(v_of(store_get(store, keys[0])), 1);
	assert_true(store_revision(store) >= a2.rev);
	put(keys[0], 3, false, false, &a1);
	fake_settle();
	assert_true(a1.rev > a2.rev);
}

static void health_tells_of_commits(void **state)
{
	struct answer a1 = {0};

	(void)state;
	assert_int_equal(store_health(store), STORE_WORKS);
	put(keys[0], 1, true, false, &a1);
	fake_turn();
	fake_pass(STORE_STALL_MS);
	assert_int_equal(store_health(store), STORE_WORKS);
	fake_pass(1);
	assert_int_equal(store_health(store), STORE_STALLED);
	fake_settle();
	assert_int_equal(store_health(store), STORE_WORKS);
	faulty_disk.fail = STORE_FULL;
	put(keys[1], 1, true, false, &a1);
	fake_settle();
	assert_int_equal(store_health(store), STORE_FAILING);
	fake_pass(STORE_PROBE_MS);
	fake_settle();
	assert_int_equal(store_health(store), STORE_FAILING);
	/* Nobody writes any more, and it is found out all the same. */
	faulty_disk.fail = STORE_OK;
	uint64_t rev = store_revision(store);
	fake_pass(STORE_PROBE_MS);
	fake_settle();
	assert_int_equal(store_health(store), STORE_WORKS);
	assert_int_equal(faulty_disk.last_rows, 0);
	assert_true(store_revision(store) == rev);
	unsigned commits = faulty_disk.commits;
	fake_pass(10 * STORE_PROBE_MS);
	fake_settle();
	assert_int_equal(faulty_disk.commits, commits);
}

static void closing_answers_everybody(void **state)
{
	struct answer a1 = {0}, a2 = {0}, a3 = {0};

	(void)state;
	put(keys[0], 1, true, false, &a1);
	fake_settle();
	put(keys[1], 1, true, false, &a2);
	put(keys[2], 1, true, true, &a3);
	fake_work_run();
	store_close(store);
	assert_int_equal(a2.n, 1);
	assert_int_equal(a3.n, 1);
	uint64_t last = a3.rev;
	reopen(&store_backend_faulty);
	assert_true(store_revision(store) == last);
	assert_int_equal(v_of(store_get(store, keys[2])), 1);
}

static void count_events(void *arg, const struct store_event *ev)
{
	int *n = arg;

	*n = ev && ev->type == STORE_EXPIRED ? -1 : *n + (ev != NULL);
}

static void a_watch_resumes_across_a_restart(void **state)
{
	struct answer a1 = {0}, a2 = {0};
	bool expired;
	int n = 0;

	(void)state;
	put(keys[0], 1, true, false, &a1);
	fake_settle();
	put(keys[0], 2, false, false, &a2);
	put(keys[0], 0, false, false, &a2);
	put(keys[0], 3, true, false, &a2);
	fake_settle();
	store_close(store);
	reopen(&store_backend_faulty);
	struct store_watch *w = store_watch_new(store, "/registry/", a1.rev, count_events, &n, &expired);
	assert_non_null(w);
	assert_int_equal(n, 0);
	fake_settle();
	assert_int_equal(n, 3);
	store_watch_free(w);
}

static void the_window_is_bounded(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct answer ans = {0};
	bool expired;
	int n = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		struct store_write w = {.key = keys[0],
					.tree = value_of(&a, keys[0], i + 1, 400000),
					.create = i == 0,
					.done = on_answer,
					.arg = &ans};
		assert_int_equal(store_write(store, &w), STORE_OK);
		fake_settle();
	}
	assert_true(store_compacted(store) > 0 && store_compacted(store) < store_revision(store));
	assert_null(store_watch_new(store, "", store_compacted(store) - 1, count_events, &n, &expired));
	assert_true(expired);
	struct store_watch *w = store_watch_new(store, "", store_compacted(store), count_events, &n, &expired);
	fake_settle();
	assert_true(n >= 18 && n <= 22);
	store_watch_free(w);
	/* What grows old is cut down further. */
	fake_pass(STORE_COMPACT_MS);
	fake_pass(STORE_COMPACT_MS);
	n = 0;
	w = store_watch_new(store, "", store_compacted(store), count_events, &n, &expired);
	fake_settle();
	assert_true(n >= 4 && n <= 6);
	store_watch_free(w);
}

static bool count_objects(void *arg, struct object *o)
{
	(void)o;
	++*(int *)arg;
	return true;
}

static void lists_of_the_past_end_with_time(void **state)
{
	struct answer ans = {0};
	int n = 0;
	bool expired;

	(void)state;
	put(keys[0], 1, true, false, &ans);
	fake_settle();
	uint64_t then = store_revision(store);
	put(keys[1], 1, true, false, &ans);
	fake_settle();
	fake_pass(STORE_COMPACT_MS);
	assert_true(store_each_at(store, then, "", NULL, count_objects, &n));
	assert_int_equal(n, 1);
	put(keys[2], 1, true, false, &ans);
	fake_settle();
	fake_pass(STORE_COMPACT_MS);
	assert_false(store_each_at(store, then, "", NULL, count_objects, &n));
	assert_true(store_oldest_list(store) < store_revision(store));
	/* A watch may still begin there: the window holds what happened since. */
	struct store_watch *w = store_watch_new(store, "", then, count_events, &n, &expired);
	assert_non_null(w);
	store_watch_free(w);
	fake_pass(STORE_COMPACT_MS); /* and then the timer rests */
	assert_true(store_oldest_list(store) == store_revision(store));
}

static void paused_watches_go_on_from_the_window(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct answer ans = {0};
	bool expired;
	int n = 0;

	(void)state;
	struct store_watch *w = store_watch_new(store, "", store_revision(store), count_events, &n, &expired);
	assert_false(store_watch_behind(w));
	store_watch_pause(w);
	for (int i = 0; i < 40; i++) {
		struct store_write sw = {.key = keys[0],
					 .tree = value_of(&a, keys[0], i + 1, i < 5 ? 10 : 400000),
					 .create = i == 0,
					 .done = on_answer,
					 .arg = &ans};
		assert_int_equal(store_write(store, &sw), STORE_OK);
		fake_settle();
		if (i == 4) {
			assert_int_equal(n, 0);
			assert_true(store_watch_behind(w));
			store_watch_resume(w);
			fake_settle();
			assert_int_equal(n, 5);
			assert_false(store_watch_behind(w));
			store_watch_pause(w);
		}
	}
	assert_int_equal(n, 5);
	store_watch_resume(w);
	fake_settle();
	assert_int_equal(n, -1); /* expired */
	store_watch_free(w);
}

/* Rows on the disk that no store wrote: n objects of different names, of which row bad (0: none) is `value`. */
static void disk_of(size_t n, size_t bad, const char *value)
{
	for (size_t i = 1; i <= n; i++) {
		char key[40], json[80];
		snprintf(key, sizeof(key), "/registry/a/n/x%zu", i * 7919 % n);
		snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"x%zu\",\"resourceVersion\":\"%zu\"}}",
			 i * 7919 % n, i);
		const char *text = i == bad ? value : json;
		struct faulty_row row = {i, xstrdup(key), bytes_new(text, strlen(text))};
		VEC_PUSH(&faulty_disk.rows, row);
	}
}

#define MANY_ROWS 5000 /* more than is read ahead */

static void many_rows_are_all_loaded(void **state)
{
	struct object *o;

	(void)state;
	store_close(store);
	disk_of(MANY_ROWS, 0, NULL);
	reopen(&store_backend_faulty);
	assert_int_equal(store_count(store, "/registry/a/n/"), MANY_ROWS);
	assert_int_equal(store_revision(store), MANY_ROWS);
	for (unsigned i = 1; i <= MANY_ROWS; i++) {
		char key[40];
		snprintf(key, sizeof(key), "/registry/a/n/x%u", i * 7919 % MANY_ROWS);
		assert_non_null(o = store_get(store, key));
		assert_int_equal(o->rev, i);
	}
}

static void a_row_that_is_wrong_is_named(void **state)
{
	static const size_t places[] = {1, 2, 128, 129, 2500, MANY_ROWS};
	struct store_config c = {.loop = fake_loop()};

	(void)state;
	store_close(store);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(places); i++) {
		bool sealed = i % 2;
		char err[200] = "", want[80];
		size_t at = places[i / 2];
		faulty_disk_wipe();
		disk_of(MANY_ROWS, at, sealed ? STORE_SEALED_PREFIX "aesgcm:v1:k:?" : "[]");
		assert_int_equal(store_open_with(&c, &store_backend_faulty, &store, err, sizeof(err)),
				 sealed ? -ENOKEY : -EBADMSG);
		snprintf(want, sizeof(want), "the value of /registry/a/n/x%zu ", at * 7919 % MANY_ROWS);
		assert_ptr_equal(strstr(err, want), err);
	}
	faulty_disk_wipe();
	reopen(&store_backend_faulty);
}

static void too_large_is_refused(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct answer ans = {0};
	struct store_write w = {.key = keys[0],
				.tree = value_of(&a, keys[0], 1, STORE_VALUE_BYTES_MAX),
				.create = true,
				.done = on_answer,
				.arg = &ans};

	(void)state;
	assert_int_equal(store_write(store, &w), STORE_TOO_LARGE);
	fake_settle();
	assert_int_equal(ans.n, 0);
	assert_null(store_get_latest(store, keys[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(one_turn_is_one_commit, setup, teardown),
	    cmocka_unit_test_setup_teardown(writes_during_a_commit_are_the_next_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(failure_takes_back_what_was_built_on_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(lazy_is_answered_at_once_and_committed_later, setup, teardown),
	    cmocka_unit_test_setup_teardown(renewals_wait_longer_but_go_with_what_comes_earlier, setup, teardown),
	    cmocka_unit_test_setup_teardown(lazy_works_while_the_disk_is_full, setup, teardown),
	    cmocka_unit_test_setup_teardown(revisions_seen_are_never_given_out_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(closing_answers_everybody, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_watch_resumes_across_a_restart, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_window_is_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(lists_of_the_past_end_with_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(paused_watches_go_on_from_the_window, setup, teardown),
	    cmocka_unit_test_setup_teardown(too_large_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_rows_are_all_loaded, setup, teardown),
	    cmocka_unit_test_setup_teardown(health_tells_of_commits, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_row_that_is_wrong_is_named, setup, teardown),
	    cmocka_unit_test(agrees_with_a_naive_model),
	};
	static const char *const tops[] = {"a", "ab", "b"};
	int n = 0;

	for (size_t t = 0; t < ARRAY_SIZE(tops); t++)
		for (int ns = 0; ns < 4; ns++)
			for (int x = 0; x < 5; x++)
				snprintf(keys[n++], sizeof(keys[0]), "/registry/%s/n%d/x%d", tops[t], ns, x);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
