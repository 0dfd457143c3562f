/* SPDX-License-Identifier: Apache-2.0 */
#include "client/workqueue.h"

#include <assert.h>
#include <stdarg.h>

#include "api/object.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"

#define NOT_DELAYED SIZE_MAX

/*
 * A key lives while it waits (queued), is delayed (in the heap), is being synced (busy), or has failures to remember.
 * dirty: added again while busy.
 */
struct wq_key {
	struct list link; /* in workqueue.waiting while queued */
	bool queued, busy, dirty;
	unsigned failures;
	int64_t due_ms;
	size_t heap_at;
	char key[];
};

struct workqueue {
	struct workqueue_config c;
	struct map keys;
	struct list waiting, running;
	size_t n_waiting, n_running;
	VEC(struct wq_key *) heap; /* by due_ms */
	struct loop_timer *timer;
	struct loop_defer *turn;
	bool started;
};

struct sync_state {
	struct sync sync;
	struct list link;    /* in workqueue.running */
	struct workqueue *q; /* NULL: the queue was freed */
	struct wq_key *key;
	unsigned holds;
	bool failed;
	VEC(struct object *) kept;
	int64_t again_ms; /* -1: not asked for */
};

/* ---- the heap of delayed keys ---- */

static void heap_put(struct workqueue *q, size_t i, struct wq_key *k)
{
	q->heap.at[i] = k;
	k->heap_at = i;
}

static void heap_up(struct workqueue *q, size_t i)
{
	struct wq_key *k = q->heap.at[i];
	while (i > 0 && q->heap.at[(i - 1) / 2]->due_ms > k->due_ms) {
		heap_put(q, i, q->heap.at[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(q, i, k);
}

static void heap_down(struct workqueue *q, size_t i)
{
	struct wq_key *k = q->heap.at[i];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= q->heap.n)
			break;
		if (child + 1 < q->heap.n && q->heap.at[child + 1]->due_ms < q->heap.at[child]->due_ms)
			child++;
		if (q->heap.at[child]->due_ms >= k->due_ms)
			break;
		heap_put(q, i, q->heap.at[child]);
		i = child;
	}
	heap_put(q, i, k);
}

static void heap_remove(struct workqueue *q, struct wq_key *k)
{
	size_t i = k->heap_at;
	if (i == NOT_DELAYED)
		return;
	struct wq_key *last = VEC_POP(&q->heap);
	k->heap_at = NOT_DELAYED;
	if (last == k)
		return;
	heap_put(q, i, last);
	heap_up(q, i);
	heap_down(q, last->heap_at);
}

static void timer_update(struct workqueue *q)
{
	if (!q->heap.n) {
		loop_timer_stop(q->timer);
		return;
	}
	int64_t ms = q->heap.at[0]->due_ms - loop_now_ms(q->c.loop);
	loop_timer_start(q->timer, ms > 0 ? ms : 0);
}

/* ---- keys ---- */

static struct wq_key *key_of(struct workqueue *q, const char *key)
{
	struct wq_key *k = map_get(&q->keys, key);
	if (k)
		return k;
	size_t len = strlen(key);
	k = xcalloc(1, sizeof(*k) + len + 1);
	memcpy(k->key, key, len);
	list_init(&k->link);
	k->heap_at = NOT_DELAYED;
	map_set(&q->keys, key, k);
	return k;
}

static void key_drop_if_idle(struct workqueue *q, struct wq_key *k)
{
	if (k->queued || k->busy || k->failures || k->heap_at != NOT_DELAYED)
		return;
	map_remove(&q->keys, k->key);
	free(k);
}

static void schedule(struct workqueue *q)
{
	if (q->started && q->n_waiting && q->n_running < q->c.workers)
		loop_defer_schedule(q->turn);
}

static void enqueue(struct workqueue *q, struct wq_key *k)
{
	if (k->heap_at != NOT_DELAYED && k->due_ms <= loop_now_ms(q->c.loop))
		heap_remove(q, k);
	if (k->busy) {
		k->dirty = true;
		return;
	}
	if (k->queued)
		return;
	k->queued = true;
	list_add_tail(&q->waiting, &k->link);
	q->n_waiting++;
	schedule(q);
}

void workqueue_add(struct workqueue *q, const char *key)
{
	enqueue(q, key_of(q, key));
}

void workqueue_add_ns(struct workqueue *q, const char *ns, const char *name)
{
	if (str_empty(ns)) {
		workqueue_add(q, name);
		return;
	}
	_cleanup_free_ char *key = xasprintf("%s/%s", ns, name);
	workqueue_add(q, key);
}

void workqueue_add_object(struct workqueue *q, const struct object *o)
{
	workqueue_add_ns(q, o->ns, o->name);
}

void workqueue_add_after(struct workqueue *q, const char *key, int64_t ms)
{
	if (ms <= 0) {
		workqueue_add(q, key);
		return;
	}
	struct wq_key *k = key_of(q, key);
	int64_t due = loop_now_ms(q->c.loop) + ms;
	if (k->heap_at == NOT_DELAYED) {
		k->due_ms = due;
		VEC_PUSH(&q->heap, k);
		heap_up(q, q->heap.n - 1);
	} else if (due < k->due_ms) {
		k->due_ms = due;
		heap_up(q, k->heap_at);
	}
	timer_update(q);
}

static void add_rate_limited(struct workqueue *q, struct wq_key *k)
{
	int64_t ms = q->c.backoff_ms_min;
	for (unsigned i = 0; i < k->failures && ms < q->c.backoff_ms_max; i++)
		ms *= 2;
	if (k->failures < UINT32_MAX)
		k->failures++;
	workqueue_add_after(q, k->key, MIN_OF(ms, q->c.backoff_ms_max));
}

void workqueue_add_rate_limited(struct workqueue *q, const char *key)
{
	add_rate_limited(q, key_of(q, key));
}

void workqueue_forget(struct workqueue *q, const char *key)
{
	struct wq_key *k = map_get(&q->keys, key);
	if (!k)
		return;
	k->failures = 0;
	key_drop_if_idle(q, k);
}

unsigned workqueue_failures(const struct workqueue *q, const char *key)
{
	struct wq_key *k = map_get(&q->keys, key);
	return k ? k->failures : 0;
}

size_t workqueue_len(const struct workqueue *q)
{
	return q->n_waiting;
}

size_t workqueue_busy(const struct workqueue *q)
{
	return q->n_running;
}

bool workqueue_idle(const struct workqueue *q)
{
	return !q->n_waiting && !q->n_running;
}

void key_split(const char *key, struct arena *a, const char **ret_ns, const char **ret_name)
{
	const char *slash = strchr(key, '/');
	*ret_ns = slash ? arena_strndup(a, key, (size_t)(slash - key)) : "";
	*ret_name = arena_strdup(a, slash ? slash + 1 : key);
}

/* ---- syncs ---- */

static void sync_finish(struct sync_state *st)
{
	struct workqueue *q = st->q;
	if (q) {
		struct wq_key *k = st->key;
		list_remove(&st->link);
		q->n_running--;
		k->busy = false;
		if (st->failed) {
			add_rate_limited(q, k);
		} else {
			k->failures = 0;
			if (st->again_ms >= 0)
				workqueue_add_after(q, k->key, st->again_ms);
		}
		if (k->dirty) {
			k->dirty = false;
			enqueue(q, k);
		}
		key_drop_if_idle(q, k);
		schedule(q);
	}
	VEC_EACH(o, &st->kept)
		object_unref(*o);
	VEC_RELEASE(&st->kept);
	arena_release(&st->sync.arena);
	free(st);
}

void sync_hold(struct sync *s)
{
	s->state->holds++;
}

void sync_release(struct sync *s)
{
	assert(s->state->holds > 0);
	if (--s->state->holds == 0)
		sync_finish(s->state);
}

static void run_one(struct workqueue *q)
{
	struct wq_key *k = LIST_ENTRY(q->waiting.next, struct wq_key, link);
	list_remove(&k->link);
	q->n_waiting--;
	k->queued = false;
	k->busy = true;

	struct sync_state *st = NEW(struct sync_state);
	st->sync.state = st;
	st->sync.key = arena_strdup(&st->sync.arena, k->key);
	st->q = q;
	st->key = k;
	st->again_ms = -1;
	list_add_tail(&q->running, &st->link);
	q->n_running++;
	sync_hold(&st->sync);
	q->c.sync(q->c.arg, &st->sync);
	sync_release(&st->sync);
}

static void on_turn(void *arg)
{
	struct workqueue *q = arg;
	for (int i = 0; i < WORKQUEUE_TURN_MAX && q->n_waiting && q->n_running < q->c.workers; i++)
		run_one(q);
	schedule(q);
}

static void on_timer(void *arg)
{
	struct workqueue *q = arg;
	int64_t now = loop_now_ms(q->c.loop);
	while (q->heap.n && q->heap.at[0]->due_ms <= now) {
		struct wq_key *k = q->heap.at[0];
		heap_remove(q, k);
		enqueue(q, k);
	}
	timer_update(q);
}

struct request_hold {
	struct sync *sync;
	sync_done_fn done;
	void *arg;
};

static void on_request_done(void *arg, const struct status *err, struct object *obj)
{
	struct request_hold *h = arg;
	struct sync *s = h->sync;
	if (!sync_stopped(s)) {
		if (h->done)
			h->done(s, h->arg, err, obj);
		else if (err)
			sync_fail(s, err);
	}
	sync_release(s);
}

void sync_request(struct sync *s, struct client *c, const struct client_request *r, sync_done_fn done, void *arg)
{
	struct request_hold *h = ARENA_NEW(&s->arena, struct request_hold);
	*h = (struct request_hold){.sync = s, .done = done, .arg = arg};
	struct client_request copy = *r;
	copy.done = on_request_done;
	copy.arg = h;
	sync_hold(s);
	client_do(c, &copy);
}

void sync_fail(struct sync *s, const struct status *err)
{
	sync_failf(s, "%s%s%s", err->reason ? err->reason : "", err->reason ? ": " : "",
		   str_or(err->message, "failed"));
}

void sync_failf(struct sync *s, const char *fmt, ...)
{
	struct sync_state *st = s->state;
	if (!st->failed && st->q) {
		va_list ap;
		va_start(ap, fmt);
		const char *why = arena_vprintf(&s->arena, fmt, ap);
		va_end(ap);
		/* A conflict means that the cache was a step behind: the retry is the normal course. */
		if (str_has_prefix(why, "Conflict") || st->key->failures < 2)
			log_debug("sync will be tried again queue=%s key=%s error=\"%s\"", st->q->c.name, s->key, why);
		else
			log_warn("sync failed queue=%s key=%s failures=%u error=\"%s\"", st->q->c.name, s->key,
				 st->key->failures + 1, why);
	}
	st->failed = true;
}

bool sync_failed(const struct sync *s)
{
	return s->state->failed;
}

void sync_again_after(struct sync *s, int64_t ms)
{
	struct sync_state *st = s->state;
	if (ms < 0)
		ms = 0;
	if (st->again_ms < 0 || ms < st->again_ms)
		st->again_ms = ms;
}

void *sync_arg(const struct sync *s)
{
	return s->state->q->c.arg;
}

void sync_ignore_missing(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404 && err->code != 409)
		sync_fail(s, err);
}

struct object *sync_keep(struct sync *s, struct object *o)
{
	VEC_PUSH(&s->state->kept, object_ref(o));
	return o;
}

bool sync_stopped(const struct sync *s)
{
	return !s->state->q;
}

/* ---- life ---- */

struct workqueue *workqueue_new(const struct workqueue_config *c)
{
	struct workqueue *q = NEW(struct workqueue);
	q->c = *c;
	if (!q->c.workers)
		q->c.workers = WORKQUEUE_WORKERS_DEFAULT;
	if (!q->c.backoff_ms_min)
		q->c.backoff_ms_min = WORKQUEUE_BACKOFF_MS_MIN;
	if (!q->c.backoff_ms_max)
		q->c.backoff_ms_max = WORKQUEUE_BACKOFF_MS_MAX;
	list_init(&q->waiting);
	list_init(&q->running);
	q->timer = loop_timer_new(c->loop, on_timer, q);
	q->turn = loop_defer_new(c->loop, on_turn, q);
	return q;
}

void workqueue_start(struct workqueue *q)
{
	q->started = true;
	schedule(q);
}

void workqueue_free(struct workqueue *q)
{
	if (!q)
		return;
	LIST_EACH_SAFE(it, &q->running) {
		struct sync_state *st = LIST_ENTRY(it, struct sync_state, link);
		st->q = NULL;
		list_remove(&st->link);
	}
	map_release(&q->keys, free);
	VEC_RELEASE(&q->heap);
	loop_timer_free(q->timer);
	loop_defer_free(q->turn);
	free(q);
}
