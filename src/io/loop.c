/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libuv closes handles asynchronously: every handle here is a heap object whose free function starts uv_close and whose
 * memory goes in the close callback. Between the two no user callback runs, since uv_close stops the handle.
 */
#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop_internal.h"

/* A deferred function may schedule others in the same turn; more rounds than this wait for the next turn. */
#define DEFER_ROUNDS_MAX 64
#define FREE_ROUNDS_MAX 1000

struct loop_timer {
	uv_timer_t uv;
	loop_fn fn;
	void *arg;
};

struct loop_defer {
	struct loop *loop;
	struct list link; /* in loop->deferred while scheduled */
	loop_fn fn;
	void *arg;
};

struct loop_fd {
	uv_poll_t uv;
	loop_fd_fn fn;
	void *arg;
};

struct loop_signal {
	uv_signal_t uv;
	loop_fn fn;
	void *arg;
};

struct work {
	uv_work_t uv;
	struct loop *loop;
	loop_fn run, done;
	void *arg;
};

struct loop_wake {
	uv_async_t uv;
	loop_fn fn;
	void *arg;
};

static void free_handle(uv_handle_t *h)
{
	free(h->data);
}

/* ---- the loop ---- */

static void on_idle(uv_idle_t *h)
{
	uv_idle_stop(h);
}

static void run_deferred(uv_prepare_t *h)
{
	struct loop *l = container_of(h, struct loop, prepare);

	for (unsigned round = 0; !list_empty(&l->deferred) && round < DEFER_ROUNDS_MAX; round++) {
		struct list now;
		/* Take the whole list, so that what is scheduled meanwhile belongs to the next round. */
		now.next = l->deferred.next;
		now.prev = l->deferred.prev;
		now.next->prev = now.prev->next = &now;
		list_init(&l->deferred);
		while (!list_empty(&now)) {
			struct loop_defer *d = LIST_ENTRY(now.next, struct loop_defer, link);
			list_remove(&d->link);
			d->fn(d->arg);
		}
	}
	if (list_empty(&l->deferred))
		uv_unref((uv_handle_t *)&l->prepare);
	else
		uv_idle_start(&l->idle, on_idle);
}

int loop_new(struct loop **ret)
{
	struct loop *l = NEW(struct loop);
	int r = uv_loop_init(&l->uv);
	if (r < 0) {
		free(l);
		return r;
	}
	list_init(&l->deferred);
	list_init(&l->streams_dirty);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_prepare_start(&l->prepare, run_deferred);
	uv_unref((uv_handle_t *)&l->prepare);
	uv_idle_init(&l->uv, &l->idle);
	*ret = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (l->works)
		uv_run(&l->uv, UV_RUN_ONCE);
	/* What was scheduled still runs: it frees what waited for the end of the turn. */
	for (int i = 0; i < FREE_ROUNDS_MAX && !list_empty(&l->deferred); i++)
		uv_run(&l->uv, UV_RUN_NOWAIT);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	int r = UV_EBUSY;
	for (int i = 0; i < FREE_ROUNDS_MAX && r == UV_EBUSY; i++) {
		uv_run(&l->uv, UV_RUN_NOWAIT);
		r = uv_loop_close(&l->uv);
	}
	if (r < 0) { /* our bug: somebody kept a handle. Its memory stays, rather than being used after free. */
		log_debug("loop freed while handles are open");
		return;
	}
	loop_defer_free(l->streams_flush);
	buf_release(&l->cipher_scratch);
	free(l->read_scratch);
	free(l->plain_scratch);
	free(l);
}

int loop_run(struct loop *l)
{
	return uv_run(&l->uv, UV_RUN_DEFAULT) < 0 ? -EIO : 0;
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

void loop_catch_up(struct loop *l)
{
	uv_update_time(&l->uv);
}

int64_t loop_now_ms(const struct loop *l)
{
	return (int64_t)uv_now(&l->uv);
}

char *loop_read_scratch(struct loop *l)
{
	if (!l->read_scratch)
		l->read_scratch = xmalloc(LOOP_SCRATCH_SIZE);
	return l->read_scratch;
}

char *loop_plain_scratch(struct loop *l)
{
	if (!l->plain_scratch)
		l->plain_scratch = xmalloc(LOOP_SCRATCH_SIZE);
	return l->plain_scratch;
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *h)
{
	struct loop_timer *t = h->data;
	t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_timer *t = NEW(struct loop_timer);
	uv_timer_init(&l->uv, &t->uv);
	t->uv.data = t;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void loop_timer_start(struct loop_timer *t, int64_t ms)
{
	uv_timer_start(&t->uv, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

void loop_timer_stop(struct loop_timer *t)
{
	uv_timer_stop(&t->uv);
}

void loop_timer_free(struct loop_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, free_handle);
}

/* ---- deferred ---- */

struct loop_defer *loop_defer_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_defer *d = NEW(struct loop_defer);
	d->loop = l;
	list_init(&d->link);
	d->fn = fn;
	d->arg = arg;
	return d;
}

void loop_defer_schedule(struct loop_defer *d)
{
	if (!list_empty(&d->link))
		return;
	list_add_tail(&d->loop->deferred, &d->link);
	uv_ref((uv_handle_t *)&d->loop->prepare);
}

void loop_defer_free(struct loop_defer *d)
{
	if (!d)
		return;
	list_remove(&d->link);
	free(d);
}

/* ---- descriptors ---- */

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct loop_fd *f = h->data;
	int out = 0;

	if (status < 0) /* an error condition: let the owner find it by reading or writing */
		out = LOOP_READABLE | LOOP_WRITABLE;
	if (events & (UV_READABLE | UV_DISCONNECT))
		out |= LOOP_READABLE;
	if (events & UV_WRITABLE)
		out |= LOOP_WRITABLE;
	if (events & UV_PRIORITIZED)
		out |= LOOP_PRIORITY;
	f->fn(f->arg, out);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, loop_fd_fn fn, void *arg)
{
	struct loop_fd *f = NEW(struct loop_fd);
	if (uv_poll_init(&l->uv, &f->uv, fd) < 0) {
		free(f);
		return NULL;
	}
	f->uv.data = f;
	f->fn = fn;
	f->arg = arg;
	loop_fd_set(f, events);
	return f;
}

void loop_fd_set(struct loop_fd *f, int events)
{
	int uv = 0;
	if (events & LOOP_READABLE)
		uv |= UV_READABLE;
	if (events & LOOP_WRITABLE)
		uv |= UV_WRITABLE;
	if (events & LOOP_PRIORITY)
		uv |= UV_PRIORITIZED;
	if (uv)
		uv_poll_start(&f->uv, uv, on_poll);
	else
		uv_poll_stop(&f->uv);
}

void loop_fd_free(struct loop_fd *f)
{
	if (f)
		uv_close((uv_handle_t *)&f->uv, free_handle);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *h, int signum)
{
	struct loop_signal *s = h->data;
	(void)signum;
	s->fn(s->arg);
}

struct loop_signal *loop_signal_new(struct loop *l, int signum, loop_fn fn, void *arg)
{
	struct loop_signal *s = NEW(struct loop_signal);
	s->fn = fn;
	s->arg = arg;
	uv_signal_init(&l->uv, &s->uv);
	s->uv.data = s;
	uv_signal_start(&s->uv, on_signal, signum);
	return s;
}

void loop_signal_free(struct loop_signal *s)
{
	if (s)
		uv_close((uv_handle_t *)&s->uv, free_handle);
}

/* ---- worker threads ---- */

static void work_run(uv_work_t *req)
{
	struct work *w = container_of(req, struct work, uv);
	w->run(w->arg);
}

static void work_done(uv_work_t *req, int status)
{
	struct work *w = container_of(req, struct work, uv);
	(void)status; /* works are never cancelled */
	w->loop->works--;
	if (w->done)
		w->done(w->arg);
	free(w);
}

void loop_work(struct loop *l, loop_fn run, loop_fn done, void *arg)
{
	struct work *w = NEW(struct work);
	w->loop = l;
	w->run = run;
	w->done = done;
	w->arg = arg;
	l->works++;
	int r = uv_queue_work(&l->uv, &w->uv, work_run, work_done);
	assert(r == 0); /* fails on a missing function only */
	(void)r;
}

static void on_wake(uv_async_t *h)
{
	struct loop_wake *w = h->data;
	w->fn(w->arg);
}

struct loop_wake *loop_wake_new(struct loop *l, loop_fn fn, void *arg)
{
	struct loop_wake *w = NEW(struct loop_wake);
	if (uv_async_init(&l->uv, &w->uv, on_wake) < 0) {
		free(w);
		return NULL;
	}
	w->uv.data = w;
	w->fn = fn;
	w->arg = arg;
	return w;
}

void loop_wake_send(struct loop_wake *w)
{
	uv_async_send(&w->uv);
}

void loop_wake_free(struct loop_wake *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->uv, free_handle);
}
