/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history.h"

#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/bytes.h"
#include "base/macros.h"
#include "base/mem.h"

#define OBJECT_INDEX_BYTES 256 /* the struct and its index, about; only for the bound */
#define RING_MIN 64

static size_t cost_of(const struct object *o)
{
	return o ? o->json->len + OBJECT_INDEX_BYTES : 0;
}

/* A superseded state counts with the change that superseded it; that of a deletion with the deletion. */
static size_t event_cost(const struct store_event *ev)
{
	return cost_of(ev->prev) + (ev->type == STORE_DELETED ? cost_of(ev->obj) : 0);
}

void history_release(struct history *h)
{
	for (size_t i = 0; i < h->n; i++) {
		object_unref(history_at(h, i)->obj);
		object_unref(history_at(h, i)->prev);
	}
	free(h->ring);
	memset(h, 0, sizeof(*h));
}

static void ring_resize(struct history *h, size_t cap)
{
	struct store_event *ring = xmalloc(cap * sizeof(*ring));

	for (size_t i = 0; i < h->n; i++)
		ring[i] = *history_at(h, i);
	free(h->ring);
	h->ring = ring;
	h->first = 0;
	h->cap = cap;
}

void history_add(struct history *h, const struct store_event *ev)
{
	if (h->n == h->cap)
		ring_resize(h, h->cap ? h->cap * 2 : RING_MIN);
	h->n++;
	*history_at(h, h->n - 1) = *ev;
	h->bytes += event_cost(ev);
}

size_t history_after(const struct history *h, uint64_t rev)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (history_at(h, mid)->rev <= rev)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool over(const struct history *h, uint64_t old_rev)
{
	if (!h->n)
		return false;
	return h->n > STORE_HISTORY_EVENTS_MAX || h->bytes > STORE_HISTORY_BYTES_MAX ||
	       (h->bytes > STORE_HISTORY_BYTES_KEPT && history_at(h, 0)->rev <= old_rev);
}

static void drop_first(struct history *h, void (*left)(void *arg, const struct store_event *ev), void *arg)
{
	struct store_event ev = *history_at(h, 0);

	h->first = (h->first + 1) & (h->cap - 1);
	h->n--;
	h->bytes -= event_cost(&ev);
	h->compacted = ev.rev;
	left(arg, &ev);
	object_unref(ev.obj);
	object_unref(ev.prev);
}

void history_cut(struct history *h, uint64_t rev, void (*left)(void *arg, const struct store_event *ev), void *arg)
{
	while (h->n && history_at(h, 0)->rev <= rev)
		drop_first(h, left, arg);
	h->compacted = MAX_OF(h->compacted, rev);
}

void history_trim(struct history *h, uint64_t old_rev, void (*left)(void *arg, const struct store_event *ev), void *arg)
{
	while (over(h, old_rev))
		drop_first(h, left, arg);
	if (h->cap > RING_MIN && h->n < h->cap / 4)
		ring_resize(h, h->cap / 2);
}
