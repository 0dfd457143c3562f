/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/loop.h"

#define TURNS_MAX 1000000 /* without time passing: beyond it something spins */

struct loop {
	struct list timers, defers;
	int64_t now_ns; /* since the start */
};

struct loop_timer {
	struct list link;
	struct loop *loop;
	loop_fn fn;
	void *arg;
	int64_t due_ns;
};

struct loop_defer {
	struct list link;
	struct loop *loop;
	loop_fn fn;
	void *arg;
};

static struct loop *current;
static uint64_t random_state;

/* splitmix64 */
uint64_t sim_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int64_t sim_wall(void)
{
	return SIM_START_NS + current->now_ns;
}

static int64_t sim_monotonic(void)
{
	return current->now_ns;
}

static void sim_fill(void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)p)[i] = (unsigned char)sim_random();
}

static const struct env_ops env_sim = {.now_ns = sim_wall, .monotonic_ns = sim_monotonic, .random = sim_fill};

struct loop *sim_new(uint64_t seed)
{
	struct loop *l = NEW(struct loop);
	list_init(&l->timers);
	list_init(&l->defers);
	current = l;
	random_state = seed;
	env = &env_sim;
	return l;
}

void sim_free(struct loop *l)
{
	env = &env_real;
	current = NULL;
	free(l);
}

static bool run_defers(struct loop *l)
{
	if (list_empty(&l->defers))
		return false;
	struct list now;
	list_init(&now);
	while (!list_empty(&l->defers)) {
		struct list *it = l->defers.next;
		list_remove(it);
		list_add_tail(&now, it);
	}
	while (!list_empty(&now)) {
		struct loop_defer *d = LIST_ENTRY(now.next, struct loop_defer, link);
		list_remove(&d->link);
		d->fn(d->arg);
	}
	return true;
}

static struct loop_timer *next_timer(struct loop *l)
{
	struct loop_timer *first = NULL;
	LIST_EACH(it, &l->timers) {
		struct loop_timer *t = LIST_ENTRY(it, struct loop_timer, link);
		if (!first || t->due_ns < first->due_ns)
			first = t;
	}
	return first;
}

void sim_settle(struct loop *l)
{
	for (int i = 0;; i++) {
		assert(i < TURNS_MAX);
		if (run_defers(l))
			continue;
		struct loop_timer *t = next_timer(l);
		if (!t || t->due_ns > l->now_ns)
			return;
		list_remove(&t->link);
		t->fn(t->arg);
	}
}

void sim_run_ms(struct loop *l, int64_t ms)
{
	int64_t end = l->now_ns + ms * 1000000;
	for (;;) {
		sim_settle(l);
		struct loop_timer *t = next_timer(l);
		if (!t || t->due_ns > end)
			break;
		l->now_ns = t->due_ns;
	}
	l->now_ns = end;
}

int64_t loop_now_ms(const struct loop *l)
{
	return l->now_ns / 1000000;
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_timer *t = NEW(struct loop_timer);
	*t = (struct loop_timer){.loop = l, .fn = fn, .arg = arg};
	list_init(&t->link);
	return t;
}

void loop_timer_start(struct loop_timer *t, int64_t ms)
{
	list_remove(&t->link);
	t->due_ns = t->loop->now_ns + ms * 1000000;
	list_add_tail(&t->loop->timers, &t->link);
}

void loop_timer_stop(struct loop_timer *t)
{
	list_remove(&t->link);
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	list_remove(&t->link);
	free(t);
}

struct loop_defer *loop_defer_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_defer *d = NEW(struct loop_defer);
	*d = (struct loop_defer){.loop = l, .fn = fn, .arg = arg};
	list_init(&d->link);
	return d;
}

void loop_defer_schedule(struct loop_defer *d)
{
	if (list_empty(&d->link))
		list_add_tail(&d->loop->defers, &d->link);
}

void loop_defer_free(struct loop_defer *d)
{
	if (!d)
		return;
	list_remove(&d->link);
	free(d);
}
