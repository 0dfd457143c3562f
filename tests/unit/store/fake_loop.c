/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_loop.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/loop.h"

struct loop {
	struct list defers, timers, works, wakes;
	int64_t now;
};

struct loop_defer {
	struct list link;
	loop_fn fn;
	void *arg;
};

struct loop_timer {
	struct list link;
	int64_t at;
	loop_fn fn;
	void *arg;
};

struct loop_wake {
	struct list link; /* in the_loop.wakes: sent */
	loop_fn fn;
	void *arg;
};

struct work {
	struct list link;
	loop_fn run, done;
	void *arg;
	bool ran;
};

static struct loop the_loop;

struct loop *fake_loop(void)
{
	if (!the_loop.defers.next) {
		list_init(&the_loop.defers);
		list_init(&the_loop.timers);
		list_init(&the_loop.works);
		list_init(&the_loop.wakes);
	}
	return &the_loop;
}

bool fake_turn(void)
{
	bool any = false;

	while (!list_empty(&the_loop.defers)) {
		struct loop_defer *d = LIST_ENTRY(the_loop.defers.next, struct loop_defer, link);
		list_remove(&d->link);
		d->fn(d->arg);
		any = true;
	}
	return any;
}

bool fake_work(void)
{
	if (list_empty(&the_loop.works))
		return false;
	struct work *w = LIST_ENTRY(the_loop.works.next, struct work, link);
	list_remove(&w->link);
	if (!w->ran)
		w->run(w->arg);
	w->done(w->arg);
	free(w);
	return true;
}

void fake_work_run(void)
{
	LIST_EACH(it, &the_loop.works) {
		struct work *w = LIST_ENTRY(it, struct work, link);
		if (!w->ran)
			w->run(w->arg);
		w->ran = true;
	}
}

static struct loop_timer *due_timer(void)
{
	LIST_EACH(it, &the_loop.timers) {
		struct loop_timer *t = LIST_ENTRY(it, struct loop_timer, link);
		if (t->at <= the_loop.now)
			return t;
	}
	return NULL;
}

void fake_pass(int64_t ms)
{
	the_loop.now += ms;
	/* One may stop or start another. */
	for (struct loop_timer *t; (t = due_timer());) {
		list_remove(&t->link);
		t->fn(t->arg);
	}
}

void fake_wakes(void)
{
	struct list sent;

	list_init(&sent);
	LIST_EACH_SAFE(it, &the_loop.wakes) {
		list_remove(it);
		list_add_tail(&sent, it);
	}
	while (!list_empty(&sent)) {
		struct loop_wake *w = LIST_ENTRY(sent.next, struct loop_wake, link);
		list_remove(&w->link);
		w->fn(w->arg);
	}
}

void fake_settle(void)
{
	while (fake_turn() || fake_work())
		;
}

struct loop_defer *loop_defer_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_defer *d = NEW(struct loop_defer);

	(void)l;
	list_init(&d->link);
	d->fn = fn;
	d->arg = arg;
	return d;
}

void loop_defer_schedule(struct loop_defer *d)
{
	if (list_empty(&d->link))
		list_add_tail(&the_loop.defers, &d->link);
}

void loop_defer_free(struct loop_defer *d)
{
	if (d)
		list_remove(&d->link);
	free(d);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_timer *t = NEW(struct loop_timer);

	(void)l;
	list_init(&t->link);
	t->fn = fn;
	t->arg = arg;
	return t;
}

void loop_timer_start(struct loop_timer *t, int64_t ms)
{
	list_remove(&t->link);
	t->at = the_loop.now + ms;
	list_add_tail(&the_loop.timers, &t->link);
}

void loop_timer_stop(struct loop_timer *t)
{
	list_remove(&t->link);
}

void loop_timer_free(struct loop_timer *t)
{
	if (t)
		list_remove(&t->link);
	free(t);
}

void loop_work(struct loop *l, loop_fn run, loop_fn done, void *arg)
{
	struct work *w = NEW(struct work);

	*w = (struct work){.run = run, .done = done, .arg = arg};
	list_add_tail(&l->works, &w->link);
}

int64_t loop_now_ms(const struct loop *l)
{
	return l->now;
}

struct loop_wake *loop_wake_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_wake *w = NEW(struct loop_wake);

	(void)l;
	list_init(&w->link);
	w->fn = fn;
	w->arg = arg;
	return w;
}

void loop_wake_send(struct loop_wake *w)
{
	if (list_empty(&w->link))
		list_add_tail(&the_loop.wakes, &w->link);
}

void loop_wake_free(struct loop_wake *w)
{
	if (w)
		list_remove(&w->link);
	free(w);
}
