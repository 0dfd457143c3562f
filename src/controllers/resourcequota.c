/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts what each ResourceQuota's namespace uses. The API server charges new objects to status.used by itself
 * (server/admission_quota.c); here is counted what was given back, what changed by itself (pods that end), and what was
 * there before the quota. Keys: quotas.
 */
#include "api/quota.h"
#include "controllers/controller.h"

#define SETTLE_MS 100 /* deletions come in crowds, and each count reads a whole namespace: one count for a crowd */
#define RECOUNT_MS                                                                                                     \
	(5 * 60 * 1000) /* upstream's resync: pods that outstay their deletion stop counting by time alone             \
			 */

struct resourcequota {
	struct client *client;
	struct workqueue *queue;
	struct informer *quotas;
	struct anything all;
};

/* ---- counting ---- */

struct count {
	struct arena *a;
	const struct json *quota;
	struct amounts hard, used;
};

static bool concerned(const struct count *c, const struct resource *r)
{
	for (size_t i = 0; i < c->hard.n; i++)
		if (quota_names(r, c->hard.at[i].name))
			return true;
	return false;
}

static void add_limited(struct count *c, const struct amounts *usage)
{
	for (size_t i = 0; i < usage->n; i++) {
		struct quantity *sum = amounts_get(&c->used, usage->at[i].name);
		if (sum)
			quantity_add(sum, &usage->at[i].value);
	}
}

static void count_resource(struct count *c, const struct informer *i, const char *ns)
{
	const struct resource *r = informer_resource(i);
	struct object_list l = informer_by_index(i, c->a, index_namespace, ns);
	bool look = quota_needs_object(r);
	for (size_t k = 0; k < l.n; k++) {
		_cleanup_arena_ struct arena own = ARENA_INIT; /* a namespace of large pods would fill the sync's */
		struct json *t = look ? object_tree(l.at[k], &own) : NULL;
		if (!quota_scopes_match(c->quota, r, t))
			continue;
		struct amounts usage = quota_usage(&own, r, t, now_ns());
		add_limited(c, &usage);
	}
}

static void sync_quota(void *arg, struct sync *s)
{
	struct resourcequota *q = arg;
	struct object *o = informer_get_key(q->quotas, s->key);
	if (!o || o->deleting)
		return;
	struct arena *a = &s->arena;
	struct json *t = object_tree(o, a);
	struct count c = {.a = a, .quota = t, .hard = amounts_read(a, json_path(t, "spec.hard"))};
	for (size_t i = 0; i < c.hard.n; i++)
		amounts_set(a, &c.used, c.hard.at[i].name, QUANTITY_ZERO);
	for (size_t i = 0; i < q->all.n; i++)
		if (concerned(&c, informer_resource(q->all.at[i])))
			count_resource(&c, q->all.at[i], o->ns);
	json_set_path(a, t, "status.hard", amounts_json(a, &c.hard));
	json_set_path(a, t, "status.used", amounts_json(a, &c.used));
	/* Guarded: what was charged meanwhile is not to be forgotten. */
	sync_patch(s, q->client, o, t, "status", true, NULL, NULL);
	sync_again_after(s, RECOUNT_MS);
}

/* ---- what changes a count ---- */

static void recount(struct resourcequota *q, const struct object *changed)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	if (!*changed->ns || !informer_index_count(q->quotas, index_namespace, changed->ns))
		return;
	struct object_list l = informer_by_index(q->quotas, &a, index_namespace, changed->ns);
	for (size_t i = 0; i < l.n; i++)
		workqueue_add_after(q->queue, arena_printf(&a, "%s/%s", l.at[i]->ns, l.at[i]->name), SETTLE_MS);
}

static void removed(void *arg, struct object *obj)
{
	struct anything_hook *h = arg;
	recount(h->arg, obj);
}

static void changed(void *arg, struct object *old, struct object *obj)
{
	struct anything_hook *h = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct resourcequota *q = h->arg;
	const struct resource *r = informer_resource(h->informer);
	if (!quota_needs_object(r) || !informer_index_count(q->quotas, index_namespace, obj->ns))
		return;
	struct amounts was = quota_usage(&a, r, object_tree(old, &a), now_ns());
	struct amounts is = quota_usage(&a, r, object_tree(obj, &a), now_ns());
	if (!json_equal(amounts_json(&a, &was), amounts_json(&a, &is)))
		recount(q, obj);
}

static void quota_updated(void *arg, struct object *old, struct object *obj)
{
	struct resourcequota *q = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	/* Of a new status only that it lacks something is of interest: charges are right by themselves. */
	struct json *was = object_tree(old, &a), *is = object_tree(obj, &a);
	if (!json_equal(json_get(was, "spec"), json_get(is, "spec")) ||
	    !json_equal(json_path(is, "spec.hard"), json_path(is, "status.hard")))
		workqueue_add_object(q->queue, obj);
}

static void quota_added(void *arg, struct object *obj)
{
	workqueue_add_object(((struct resourcequota *)arg)->queue, obj);
}

static void *start(const struct controller_env *e)
{
	struct resourcequota *q = NEW(struct resourcequota);
	q->client = e->client;
	q->queue = controller_queue(e, "resourcequota", sync_quota, q);
	q->quotas =
	    controller_watch(e, "", "resourcequotas",
			     &(struct informer_handlers){.on_add = quota_added, .on_update = quota_updated, .arg = q});
	q->all = controller_watch_anything(
	    e, &(struct informer_handlers){.on_update = changed, .on_delete = removed, .arg = q});
	return q;
}

static void stop(void *arg)
{
	struct resourcequota *q = arg;
	anything_release(&q->all);
	free(q);
}

const struct controller_ops resourcequota_controller = {
    .name = "resourcequota-controller",
    .start = start,
    .stop = stop,
};
