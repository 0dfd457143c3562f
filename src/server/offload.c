/* SPDX-License-Identifier: Apache-2.0 */
#include "server/offload.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/loop.h"
#include "server/server_internal.h"

struct offloaded {
	struct list link; /* of running, or of waiting */
	struct offloads *all;
	struct request *request; /* a reference; NULL: the server has ended */
	void (*run)(void *arg);
	void (*done)(void *arg, struct request *r);
	void *arg;
};

void offloads_init(struct offloads *o)
{
	list_init(&o->running);
	list_init(&o->waiting);
}

static void finish(struct offloaded *x)
{
	struct request *r = x->request;

	x->done(x->arg, r && !r->gone ? r : NULL);
	if (r)
		request_unref(r);
	free(x);
}

static void run(void *arg)
{
	struct offloaded *x = arg;
	x->run(x->arg);
}

static void pump(struct offloads *o, struct loop *loop);

static void done(void *arg)
{
	struct offloaded *x = arg;
	struct offloads *o = x->request ? x->all : NULL;
	struct loop *loop = o ? x->request->server->loop : NULL;

	if (o) {
		list_remove(&x->link);
		o->n_running--;
	}
	finish(x);
	if (o)
		pump(o, loop);
}

static void pump(struct offloads *o, struct loop *loop)
{
	while (o->n_running < OFFLOADS_MAX && !list_empty(&o->waiting)) {
		struct offloaded *x = LIST_ENTRY(o->waiting.next, struct offloaded, link);
		list_remove(&x->link);
		if (x->request->gone) {
			finish(x);
			continue;
		}
		list_add_tail(&o->running, &x->link);
		o->n_running++;
		loop_work(loop, run, done, x);
	}
}

void offload(struct request *r, void (*run_fn)(void *arg), void (*done_fn)(void *arg, struct request *r), void *arg)
{
	struct offloaded *x = NEW(struct offloaded);

	*x = (struct offloaded){
	    .all = &r->server->offloads, .request = request_ref(r), .run = run_fn, .done = done_fn, .arg = arg};
	list_add_tail(&x->all->waiting, &x->link);
	pump(x->all, r->server->loop);
}

void offloads_release(struct offloads *o)
{
	while (!list_empty(&o->waiting)) {
		struct offloaded *x = LIST_ENTRY(o->waiting.next, struct offloaded, link);
		list_remove(&x->link);
		finish(x);
	}
	while (!list_empty(&o->running)) {
		struct offloaded *x = LIST_ENTRY(o->running.next, struct offloaded, link);
		list_remove(&x->link);
		request_unref(x->request);
		x->request = NULL;
	}
}
