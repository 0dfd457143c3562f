/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/queue.h"

#include <stdlib.h>

#include "api/object.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- heaps ---- */

static bool more_important(const struct queued_pod *a, const struct queued_pod *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->order < b->order;
}

static bool ready_earlier(const struct queued_pod *a, const struct queued_pod *b)
{
	return a->ready_ms != b->ready_ms ? a->ready_ms < b->ready_ms : a->order < b->order;
}

static void heap_put(struct queue_heap *h, size_t i, struct queued_pod *p)
{
	h->at.at[i] = p;
	p->heap_at = i;
}

static void heap_up(struct queue_heap *h, size_t i)
{
	struct queued_pod *p = h->at.at[i];
	for (; i > 0 && h->before(p, h->at.at[(i - 1) / 2]); i = (i - 1) / 2)
		heap_put(h, i, h->at.at[(i - 1) / 2]);
	heap_put(h, i, p);
}

static void heap_down(struct queue_heap *h, size_t i)
{
	struct queued_pod *p = h->at.at[i];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->at.n)
			break;
		if (child + 1 < h->at.n && h->before(h->at.at[child + 1], h->at.at[child]))
			child++;
		if (!h->before(h->at.at[child], p))
			break;
		heap_put(h, i, h->at.at[child]);
		i = child;
	}
	heap_put(h, i, p);
}

static void heap_push(struct queue_heap *h, struct queued_pod *p)
{
	VEC_PUSH(&h->at, p);
	heap_up(h, h->at.n - 1);
}

static void heap_remove(struct queue_heap *h, struct queued_pod *p)
{
	size_t i = p->heap_at;
	struct queued_pod *last = VEC_POP(&h->at);
	if (last == p)
		return;
	heap_put(h, i, last);
	heap_up(h, i);
	heap_down(h, last->heap_at);
}

/* ---- states ---- */

static void leave(struct queue *q, struct queued_pod *p)
{
	if (p->state == QUEUED_ACTIVE)
		heap_remove(&q->active, p);
	else if (p->state == QUEUED_BACKOFF)
		heap_remove(&q->backoff, p);
	else if (p->state == QUEUED_UNSCHEDULABLE)
		list_remove(&p->link);
}

static void enter(struct queue *q, struct queued_pod *p, enum queued_state state)
{
	p->state = state;
	if (state == QUEUED_ACTIVE)
		heap_push(&q->active, p);
	else if (state == QUEUED_BACKOFF)
		heap_push(&q->backoff, p);
	else if (state == QUEUED_UNSCHEDULABLE)
		list_add_tail(&q->unschedulable, &p->link);
}

/* As soon as its back-off allows. */
static void retry(struct queue *q, struct queued_pod *p, int64_t now)
{
	p->ready_ms = p->backoff_until_ms;
	enter(q, p, p->backoff_until_ms > now ? QUEUED_BACKOFF : QUEUED_ACTIVE);
}

void queue_add(struct queue *q, struct object *obj, int32_t priority, int64_t now, bool spec_changed)
{
	struct queued_pod *p = map_get(&q->by_uid, obj->uid);
	if (!p) {
		p = NEW(struct queued_pod);
		p->obj = object_ref(obj);
		p->priority = priority;
		p->order = q->next_order++;
		list_init(&p->link);
		map_set(&q->by_uid, obj->uid, p);
		enter(q, p, QUEUED_ACTIVE);
		return;
	}
	object_ref(obj);
	object_unref(p->obj);
	p->obj = obj;
	if (!spec_changed)
		return;
	if (p->state == QUEUED_UNSCHEDULABLE) {
		leave(q, p);
		retry(q, p, now);
	} else if (p->state == QUEUED_TAKEN) {
		p->moved = true;
	}
}

static void pod_free(void *arg)
{
	struct queued_pod *p = arg;
	object_unref(p->obj);
	free(p);
}

void queue_remove(struct queue *q, const char *uid)
{
	struct queued_pod *p = map_remove(&q->by_uid, uid);
	if (!p)
		return;
	leave(q, p);
	pod_free(p);
}

/* What has waited long enough becomes active. */
static void flush(struct queue *q, int64_t now)
{
	while (q->backoff.at.n && q->backoff.at.at[0]->ready_ms <= now) {
		struct queued_pod *p = q->backoff.at.at[0];
		leave(q, p);
		enter(q, p, QUEUED_ACTIVE);
	}
	LIST_EACH_SAFE(it, &q->unschedulable) {
		struct queued_pod *p = LIST_ENTRY(it, struct queued_pod, link);
		if (p->ready_ms > now)
			break;
		leave(q, p);
		retry(q, p, now);
	}
}

struct queued_pod *queue_pop(struct queue *q, int64_t now)
{
	flush(q, now);
	if (!q->active.at.n)
		return NULL;
	struct queued_pod *p = q->active.at.at[0];
	leave(q, p);
	p->state = QUEUED_TAKEN;
	p->moved = false;
	p->attempts++;
	return p;
}

void queue_failed(struct queue *q, const char *uid, uint32_t reasons, int64_t now)
{
	struct queued_pod *p = map_get(&q->by_uid, uid);
	if (!p || p->state != QUEUED_TAKEN)
		return;
	int64_t ms = QUEUE_BACKOFF_MS_MIN;
	for (unsigned i = 1; i < p->attempts && ms < QUEUE_BACKOFF_MS_MAX; i++)
		ms *= 2;
	p->backoff_until_ms = now + MIN_OF(ms, QUEUE_BACKOFF_MS_MAX);
	p->reasons = reasons;
	if (!reasons || p->moved) {
		retry(q, p, now);
		return;
	}
	p->ready_ms = now + QUEUE_UNSCHEDULABLE_MS_MAX;
	enter(q, p, QUEUED_UNSCHEDULABLE);
}

void queue_event(struct queue *q, uint32_t reasons, int64_t now)
{
	LIST_EACH_SAFE(it, &q->unschedulable) {
		struct queued_pod *p = LIST_ENTRY(it, struct queued_pod, link);
		if (!(p->reasons & reasons))
			continue;
		leave(q, p);
		retry(q, p, now);
	}
}

int64_t queue_next_ms(const struct queue *q)
{
	if (q->active.at.n)
		return 0;
	int64_t next = -1;
	if (q->backoff.at.n)
		next = q->backoff.at.at[0]->ready_ms;
	if (!list_empty(&q->unschedulable)) {
		int64_t ms = LIST_ENTRY(q->unschedulable.next, struct queued_pod, link)->ready_ms;
		if (next < 0 || ms < next)
			next = ms;
	}
	return next;
}

size_t queue_len(const struct queue *q)
{
	return q->by_uid.n;
}

void queue_init(struct queue *q)
{
	*q = (struct queue){.active.before = more_important, .backoff.before = ready_earlier};
	list_init(&q->unschedulable);
}

void queue_release(struct queue *q)
{
	map_release(&q->by_uid, pod_free);
	VEC_RELEASE(&q->active.at);
	VEC_RELEASE(&q->backoff.at);
}
