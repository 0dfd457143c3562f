/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The garbage collector: deletes objects whose owners are all gone, and carries out the propagation policies that a
 * delete left as finalizers: foregroundDeletion (dependents that block go first) and orphan (dependents are let go).
 *
 * The graph is the informers' caches: owner → dependents by the index of owners' uids. An owner that a cache doesn't
 * have is looked up live before anything is deleted for its absence, since a cache may be a step behind.
 *
 * Keys: "<index of the informer>/<uid>"; an object with that uid is looked up again when the key is synced.
 */
#include "controllers/controller.h"

#include <stdio.h>

#define FOREGROUND "foregroundDeletion"
#define ORPHAN "orphan"

struct garbage {
	struct client *client;
	struct workqueue *queue;
	struct anything all;
};

enum owner_state { OWNER_SOLID, OWNER_GONE, OWNER_WAITING }; /* waiting: for its dependents to go (foreground) */

struct owner {
	const char *uid;
	enum owner_state state;
	struct json *ref;
	struct pass *pass;
};

struct pass {
	struct garbage *c;
	struct object *obj;
	struct json *tree;
	struct owner *owners;
	size_t n_owners;
	unsigned under_way;
};

/* ---- the graph ---- */

static struct informer *informer_of_kind(struct garbage *c, const char *api_version, const char *kind)
{
	char group[254];
	const char *version;
	if (!api_version || !kind || !meta_split_api_version(api_version, group, &version))
		return NULL;
	const struct resource *r = resource_by_kind(group, version, kind);
	for (size_t i = 0; r && i < c->all.n; i++) {
		const struct resource *have = informer_resource(c->all.at[i]);
		if (str_eq(have->group, r->group) && str_eq(have->plural, r->plural))
			return c->all.at[i];
	}
	return NULL;
}

static void enqueue(struct garbage *c, struct informer *i, const struct object *o)
{
	char key[128];
	for (size_t n = 0; n < c->all.n; n++) {
		if (c->all.at[n] != i)
			continue;
		snprintf(key, sizeof(key), "%zu/%s", n, o->uid);
		workqueue_add(c->queue, key);
		return;
	}
}

static void each_dependent(struct garbage *c, const char *uid,
			   void (*fn)(struct garbage *c, struct informer *i, struct object *dependent, void *arg),
			   void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	for (size_t n = 0; n < c->all.n; n++) {
		struct object_list l = informer_by_index(c->all.at[n], &a, index_owner, uid);
		for (size_t m = 0; m < l.n; m++)
			fn(c, c->all.at[n], l.at[m], arg);
	}
}

static void enqueue_dependent(struct garbage *c, struct informer *i, struct object *dependent, void *arg)
{
	(void)arg;
	enqueue(c, i, dependent);
}

static bool has_finalizer(const struct object *o, const char *name)
{
	if (!o->deleting)
		return false;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	return meta_has_finalizer(object_tree(o, &a), name);
}

static void count_dependent(struct garbage *c, struct informer *i, struct object *dependent, void *arg)
{
	(void)c, (void)i, (void)dependent;
	++*(size_t *)arg;
}

static bool has_dependents(struct garbage *c, const char *uid)
{
	size_t n = 0;
	each_dependent(c, uid, count_dependent, &n);
	return n > 0;
}

/* ---- orphan: the dependents forget their owner, then the owner goes ---- */

static void drop_finalizer(struct sync *s, struct pass *p, const char *name)
{
	struct json *t = object_tree(p->obj, &s->arena);
	meta_remove_finalizer(t, name);
	sync_patch(s, p->c->client, p->obj, t, NULL, true, NULL, NULL);
}

static void on_let_go(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct pass *p = arg;
	if (err && err->code != 404 && err->code != 422)
		sync_fail(s, err);
	if (--p->under_way == 0 && !sync_failed(s))
		drop_finalizer(s, p, ORPHAN);
}

struct letting_go {
	struct sync *s;
	struct pass *p;
};

static void let_go(struct garbage *c, struct informer *i, struct object *dependent, void *arg)
{
	(void)i;
	struct letting_go *l = arg;
	struct json *t = object_tree(dependent, &l->s->arena);
	struct json *refs = json_path(t, "metadata.ownerReferences");
	JSON_EACH(ref, refs) {
		if (!str_eq(json_path_str(ref, "uid"), l->p->obj->uid))
			continue;
		json_remove_child(refs, ref);
		break;
	}
	l->p->under_way++;
	if (!sync_patch(l->s, c->client, dependent, t, NULL, true, on_let_go, l->p))
		l->p->under_way--;
}

static void orphan_dependents(struct sync *s, struct pass *p)
{
	struct letting_go l = {.s = s, .p = p};
	p->under_way = 1;
	each_dependent(p->c, p->obj->uid, let_go, &l);
	on_let_go(s, p, NULL, NULL);
}

/* ---- foreground: an owner waits for the dependents that block it ---- */

struct blocking {
	struct pass *p;
	size_t n;
};

static void look_blocking(struct garbage *c, struct informer *i, struct object *dependent, void *arg)
{
	struct blocking *b = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *refs = json_path(object_tree(dependent, &a), "metadata.ownerReferences");
	JSON_EACH(ref, refs)
		if (str_eq(json_path_str(ref, "uid"), b->p->obj->uid) &&
		    json_path_bool(ref, "blockOwnerDeletion", false)) {
			b->n++;
			break;
		}
	if (!dependent->deleting)
		enqueue(c, i, dependent);
}

static void wait_for_dependents(struct sync *s, struct pass *p)
{
	struct blocking b = {.p = p};
	each_dependent(p->c, p->obj->uid, look_blocking, &b);
	if (!b.n)
		drop_finalizer(s, p, FOREGROUND);
}

/* ---- a dependent: are its owners there? ---- */

static void look_cycle(struct garbage *c, struct informer *i, struct object *dependent, void *arg)
{
	(void)c, (void)i;
	if (has_finalizer(dependent, FOREGROUND))
		*(bool *)arg = true;
}

static void unblock_owners(struct sync *s, struct pass *p)
{
	struct json *t = object_tree(p->obj, &s->arena);
	JSON_EACH(ref, json_path(t, "metadata.ownerReferences"))
		if (json_path_bool(ref, "blockOwnerDeletion", false))
			json_set_bool(&s->arena, ref, "blockOwnerDeletion", false);
	sync_patch(s, p->c->client, p->obj, t, NULL, true, NULL, NULL);
}

static void on_removed(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404)
		sync_fail(s, err);
}

/* Every owner's state is known. */
static void judge(struct sync *s, struct pass *p)
{
	size_t count[3] = {0};
	for (size_t i = 0; i < p->n_owners; i++)
		count[p->owners[i].state]++;
	if (count[OWNER_SOLID]) {
		if (!count[OWNER_GONE] && !count[OWNER_WAITING])
			return;
		struct json *refs = json_path(p->tree, "metadata.ownerReferences");
		for (size_t i = 0; i < p->n_owners; i++)
			if (p->owners[i].state != OWNER_SOLID)
				json_remove_child(refs, p->owners[i].ref);
		sync_patch(s, p->c->client, p->obj, p->tree, NULL, true, NULL, NULL);
		return;
	}
	if (count[OWNER_WAITING] && has_dependents(p->c, p->obj->uid)) {
		/* In a circle of owners each would wait for the next. */
		bool cycle = false;
		each_dependent(p->c, p->obj->uid, look_cycle, &cycle);
		if (cycle)
			unblock_owners(s, p);
		sync_delete(s, p->c->client, p->obj, "Foreground", on_removed, p);
		return;
	}
	const char *policy = meta_has_finalizer(p->tree, ORPHAN)       ? "Orphan"
			     : meta_has_finalizer(p->tree, FOREGROUND) ? "Foreground"
								       : "Background";
	sync_delete(s, p->c->client, p->obj, policy, on_removed, p);
}

static void owner_known(struct sync *s, struct pass *p)
{
	if (--p->under_way == 0 && !sync_failed(s))
		judge(s, p);
}

static void on_looked_up(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	struct owner *w = arg;
	if (err && err->code == 404)
		w->state = OWNER_GONE;
	else if (err)
		sync_fail(s, err);
	else if (!obj || !str_eq(obj->uid, w->uid))
		w->state = OWNER_GONE; /* another one of that name */
	else
		w->state = has_finalizer(obj, FOREGROUND) ? OWNER_WAITING : OWNER_SOLID;
	owner_known(s, w->pass);
}

static void classify(struct sync *s, struct pass *p, struct json *ref)
{
	struct owner *w = &p->owners[p->n_owners++];
	*w = (struct owner){.ref = ref, .uid = str_or(json_path_str(ref, "uid"), ""), .pass = p};
	const char *name = str_or(json_path_str(ref, "name"), "");
	struct informer *i = informer_of_kind(p->c, json_path_str(ref, "apiVersion"), json_path_str(ref, "kind"));
	if (!i)
		return; /* a kind we don't know: nothing may be concluded, it counts as there */
	const struct resource *r = informer_resource(i);
	if (r->namespaced && !*p->obj->ns)
		return; /* an owner in a namespace can't own a cluster-wide object; upstream only complains too */
	struct object *have = informer_get(i, r->namespaced ? p->obj->ns : NULL, name);
	if (have && str_eq(have->uid, w->uid)) {
		w->state = has_finalizer(have, FOREGROUND) ? OWNER_WAITING : OWNER_SOLID;
		return;
	}
	p->under_way++;
	sync_request(s, p->c->client,
		     &(struct client_request){
			 .verb = CLIENT_GET, .resource = r, .ns = r->namespaced ? p->obj->ns : NULL, .name = name},
		     on_looked_up, w);
}

static struct object *object_of_key(struct garbage *c, struct arena *a, const char *key)
{
	char *end;
	size_t n = strtoul(key, &end, 10);
	struct object_list l = informer_by_index(c->all.at[n], a, index_uid, end + 1);
	return l.n ? l.at[0] : NULL;
}

static void sync_object(void *arg, struct sync *s)
{
	struct garbage *c = arg;
	struct object *o = object_of_key(c, &s->arena, s->key);
	if (!o)
		return;
	struct pass *p = ARENA_NEW(&s->arena, struct pass);
	p->c = c;
	p->obj = sync_keep(s, o);
	p->tree = object_tree(o, &s->arena);
	if (o->deleting) {
		if (meta_has_finalizer(p->tree, ORPHAN))
			orphan_dependents(s, p);
		else if (meta_has_finalizer(p->tree, FOREGROUND))
			wait_for_dependents(s, p);
		return;
	}
	struct json *refs = json_path(p->tree, "metadata.ownerReferences");
	if (!json_len(refs))
		return;
	p->owners = arena_zalloc(&s->arena, json_len(refs) * sizeof(*p->owners));
	p->under_way = 1;
	JSON_EACH(ref, refs)
		classify(s, p, ref);
	owner_known(s, p);
}

/* ---- events ---- */

static void enqueue_owners(struct garbage *c, const struct object *o)
{
	for (uint32_t n = 0; n < o->n_owners; n++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		for (size_t i = 0; i < c->all.n; i++) {
			struct object_list l = informer_by_index(c->all.at[i], &a, index_uid, o->owners[n]);
			if (!l.n)
				continue;
			if (l.at[0]->deleting)
				enqueue(c, c->all.at[i], l.at[0]);
			break;
		}
	}
}

static void on_add(void *arg, struct object *o)
{
	struct anything_hook *h = arg;
	if (o->n_owners || o->deleting)
		enqueue(h->arg, h->informer, o);
}

static bool same_owners(const struct object *a, const struct object *b)
{
	if (a->n_owners != b->n_owners)
		return false;
	for (uint32_t i = 0; i < a->n_owners; i++)
		if (!str_eq(a->owners[i], b->owners[i]))
			return false;
	return true;
}

static void on_update(void *arg, struct object *old, struct object *o)
{
	struct anything_hook *h = arg;
	struct garbage *c = h->arg;
	if (o->deleting || !same_owners(old, o))
		enqueue(c, h->informer, o);
	if (!same_owners(old, o))
		enqueue_owners(c, old);
	if (o->deleting && has_finalizer(o, FOREGROUND))
		enqueue_owners(c, o);
}

static void on_delete(void *arg, struct object *o)
{
	struct anything_hook *h = arg;
	each_dependent(h->arg, o->uid, enqueue_dependent, NULL);
	if (o->n_owners)
		enqueue_owners(h->arg, o);
}

static void *start(const struct controller_env *e)
{
	struct garbage *c = NEW(struct garbage);
	c->client = e->client;
	c->queue = controller_queue(e, "garbage", sync_object, c);
	c->all = controller_watch_anything(
	    e, &(struct informer_handlers){.on_add = on_add, .on_update = on_update, .on_delete = on_delete, .arg = c});
	for (size_t i = 0; i < c->all.n; i++) {
		informer_add_index(c->all.at[i], index_uid);
		informer_add_index(c->all.at[i], index_owner);
	}
	return c;
}

static void stop(void *arg)
{
	struct garbage *c = arg;
	anything_release(&c->all);
	free(c);
}

const struct controller_ops garbage_controller = {
    .name = "garbage-collector-controller",
    .start = start,
    .stop = stop,
};
