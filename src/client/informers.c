/* SPDX-License-Identifier: Apache-2.0 */
/* The set of shared informers of a process: one for each resource that somebody asked for. */
#include "client/informer.h"

#include "api/resource.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/loop.h"

struct waiter {
	void (*fn)(void *arg);
	void *arg;
};

struct informers {
	struct client *client;
	struct map by_name; /* "group/plural" */
	size_t n_unsynced;
	VEC(struct waiter) waiters;
	struct loop_defer *tell;
};

static void on_tell(void *arg)
{
	struct informers *s = arg;
	/* A waiter may ask for more informers, and then the rest waits on. */
	while (s->waiters.n && !s->n_unsynced) {
		struct waiter w = s->waiters.at[0];
		VEC_REMOVE(&s->waiters, 0);
		w.fn(w.arg);
	}
}

static void on_synced(void *arg)
{
	struct informers *s = arg;
	if (--s->n_unsynced == 0 && s->waiters.n)
		loop_defer_schedule(s->tell);
}

struct informers *informers_new(struct client *c)
{
	struct informers *s = NEW(struct informers);
	s->client = c;
	s->tell = loop_defer_new(client_loop(c), on_tell, s);
	return s;
}

static void free_one(void *p)
{
	informer_free(p);
}

void informers_free(struct informers *s)
{
	if (!s)
		return;
	map_release(&s->by_name, free_one);
	VEC_RELEASE(&s->waiters);
	loop_defer_free(s->tell);
	free(s);
}

struct informer *informers_of(struct informers *s, const struct resource *r)
{
	if (!r || !(r->verbs & VERB_WATCH) || !(r->verbs & VERB_LIST))
		return NULL;
	_cleanup_free_ char *name = xasprintf("%s/%s", r->group, r->plural);
	struct informer *i = map_get(&s->by_name, name);
	if (i)
		return i;
	i = informer_new(s->client, &(struct client_watch_request){.resource = r});
	map_set(&s->by_name, name, i);
	s->n_unsynced++;
	informer_add_handlers(i, &(struct informer_handlers){.on_synced = on_synced, .arg = s});
	return i;
}

struct informer *informers_get(struct informers *s, const char *group, const char *plural)
{
	return informers_of(s, resource_by_plural(group, plural));
}

bool informers_synced(const struct informers *s)
{
	return !s->n_unsynced;
}

void informers_when_synced(struct informers *s, void (*fn)(void *arg), void *arg)
{
	VEC_PUSH(&s->waiters, ((struct waiter){.fn = fn, .arg = arg}));
	if (!s->n_unsynced)
		loop_defer_schedule(s->tell);
}

void informers_forget(struct informers *s, void *arg)
{
	for (size_t n = s->waiters.n; n-- > 0;)
		if (s->waiters.at[n].arg == arg)
			VEC_REMOVE(&s->waiters, n);
}
