/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out what deployment_plan() decides: writes the sets, then the Deployment's revision and status. */
#include "controllers/controller.h"

#include "api/selector.h"
#include "controllers/deployment_plan.h"
#include "controllers/util.h"

struct deployments {
	struct client *client;
	struct workqueue *queue;
	struct recorder *recorder;
	struct informer *deployments, *sets, *pods;
};

struct pass {
	struct deployments *c;
	struct deployment_plan plan;
	unsigned under_way;
	bool collided;
};

struct set_write {
	struct pass *pass;
	struct plan_set *set;
};

static void write_deployment(struct sync *s, struct pass *p)
{
	struct deployment_plan *plan = &p->plan;
	struct json *edited = plan->deployment;
	if (p->collided) {
		struct json *st = json_get(edited, "status");
		json_set_int(&s->arena, st, "collisionCount", json_path_int(st, "collisionCount", 0) + 1);
	}
	/* Two documents, since spec and status have separate doors. */
	struct json *status_only = object_tree(plan->obj, &s->arena);
	json_set(&s->arena, status_only, "status", json_clone(&s->arena, json_get(edited, "status")));
	struct json *was = object_tree(plan->obj, &s->arena);
	json_remove(edited, "status");
	if (json_get(was, "status"))
		json_set(&s->arena, edited, "status", json_clone(&s->arena, json_get(was, "status")));
	sync_patch(s, p->c->client, plan->obj, edited, NULL, false, NULL, NULL);
	if (!json_equal(json_get(was, "status"), json_get(status_only, "status")))
		sync_patch(s, p->c->client, plan->obj, status_only, "status", false, NULL, NULL);
	if (plan->again_ms >= 0)
		sync_again_after(s, plan->again_ms);
}

static void write_done(struct sync *s, struct pass *p)
{
	if (--p->under_way == 0)
		write_deployment(s, p);
}

/* The name is taken: by our own set that the cache doesn't have yet, or by a stranger with the same hash. */
static void on_taken(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	struct set_write *w = arg;
	struct pass *p = w->pass;
	if (err) {
		sync_fail(s, err);
	} else {
		struct json *theirs = object_tree(obj, &s->arena);
		struct plan_set other = {.obj = obj, .tree = theirs};
		bool ours =
		    str_eq(obj->controller, p->plan.obj->uid) && deployment_find_new(p->plan.deployment, &other, 1);
		if (!ours) {
			p->collided = true;
			sync_failf(s, "the name %s is taken by another set", obj->name);
		}
	}
	write_done(s, p);
}

static void on_written(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct set_write *w = arg;
	struct pass *p = w->pass;
	if (err && !w->set->obj && str_eq(err->reason, "AlreadyExists")) {
		sync_request(s, p->c->client,
			     &(struct client_request){
				 .verb = CLIENT_GET,
				 .resource = informer_resource(p->c->sets),
				 .ns = meta_ns(w->set->tree),
				 .name = meta_name(w->set->tree),
			     },
			     on_taken, w);
		return;
	}
	if (err) {
		sync_fail(s, err);
		if (!w->set->obj && !(err->code == 403 && strstr(str_or(err->message, ""), "being terminated")))
			recorder_event(p->c->recorder, p->plan.obj, "Warning", "ReplicaSetCreateError",
				       "Failed to create new replica set \"%s\": %s", meta_name(w->set->tree),
				       str_or(err->message, ""));
	} else if (w->set->event) {
		recorder_event(p->c->recorder, p->plan.obj, "Normal", "ScalingReplicaSet", "%s", w->set->event);
	}
	write_done(s, p);
}

static void carry_out(struct sync *s, struct pass *p)
{
	struct deployment_plan *plan = &p->plan;
	p->under_way = 1; /* until all are started */
	for (size_t i = 0; i < plan->n_sets; i++) {
		struct plan_set *set = &plan->sets[i];
		if (!set->write && !set->delete)
			continue;
		struct set_write *w = ARENA_NEW(&s->arena, struct set_write);
		*w = (struct set_write){.pass = p, .set = set};
		p->under_way++;
		if (set->delete) {
			set->event = NULL;
			sync_delete(s, p->c->client, set->obj, NULL, on_written, w);
		} else if (!set->obj) {
			sync_request(s, p->c->client,
				     &(struct client_request){
					 .verb = CLIENT_CREATE,
					 .resource = informer_resource(p->c->sets),
					 .ns = meta_ns(set->tree),
					 .body = set->tree,
				     },
				     on_written, w);
		} else if (!sync_patch(s, p->c->client, set->obj, set->tree, NULL, true, on_written, w)) {
			p->under_way--;
		}
	}
	write_done(s, p);
}

/* ---- which sets are its own ---- */

static void on_adopted(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404)
		sync_fail(s, err);
}

static void collect_sets(struct sync *s, struct pass *p, const struct label_selector *selector)
{
	struct deployments *c = p->c;
	struct deployment_plan *plan = &p->plan;
	struct object_list own = informer_by_index(c->sets, &s->arena, index_controller, plan->obj->uid);
	plan->sets = arena_zalloc(&s->arena, (own.n + 1) * sizeof(*plan->sets));
	for (size_t i = 0; i < own.n; i++) {
		if (!label_selector_match(selector, own.at[i]))
			continue;
		plan->sets[plan->n_sets++] =
		    (struct plan_set){.obj = sync_keep(s, own.at[i]), .tree = object_tree(own.at[i], &s->arena)};
	}
	if (plan->obj->deleting)
		return;
	struct object_list orphans = informer_by_index(c->sets, &s->arena, index_orphan_ns, plan->obj->ns);
	for (size_t i = 0; i < orphans.n; i++) {
		struct object *o = orphans.at[i];
		if (o->deleting || !label_selector_match(selector, o))
			continue;
		struct json *tree = object_tree(o, &s->arena);
		meta_set_owner(&s->arena, tree, meta_controller_ref_to(&s->arena, plan->obj));
		sync_patch(s, c->client, o, tree, NULL, true, on_adopted, NULL);
	}
}

static bool pods_left(struct sync *s, struct pass *p)
{
	struct deployment_plan *plan = &p->plan;
	struct plan_set *new = deployment_find_new(plan->deployment, plan->sets, plan->n_sets);
	for (size_t i = 0; i < plan->n_sets; i++) {
		if (&plan->sets[i] == new)
			continue;
		struct object_list pods =
		    informer_by_index(p->c->pods, &s->arena, index_controller, plan->sets[i].obj->uid);
		for (size_t n = 0; n < pods.n; n++)
			if (!pod_finished(object_tree(pods.at[n], &s->arena)))
				return true;
	}
	return false;
}

static void sync_deployment(void *arg, struct sync *s)
{
	struct deployments *c = arg;
	struct object *d = informer_get_key(c->deployments, s->key);
	if (!d)
		return;
	struct pass *p = ARENA_NEW(&s->arena, struct pass);
	p->c = c;
	p->plan.arena = &s->arena;
	p->plan.obj = sync_keep(s, d);
	p->plan.deployment = object_tree(d, &s->arena);
	p->plan.now_ns = now_ns();
	struct label_selector *selector;
	_cleanup_status_ struct status err = STATUS_INIT;
	if (label_selector_from_json(&s->arena, json_path(p->plan.deployment, "spec.selector"), &selector, &err) < 0)
		return;
	if (label_selector_empty(selector)) {
		recorder_event(c->recorder, d, "Warning", "SelectingAll",
			       "This deployment is selecting all pods. A non-empty selector is required.");
		return;
	}
	collect_sets(s, p, selector);
	if (str_eq(json_path_str(p->plan.deployment, "spec.strategy.type"), "Recreate"))
		p->plan.old_pods_left = pods_left(s, p);
	deployment_plan(&p->plan);
	carry_out(s, p);
}

/* ---- sets and pods lead to Deployments ---- */

static struct object *by_uid(struct informer *i, const char *uid)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object_list l = {0};
	if (uid)
		l = informer_by_index(i, &a, index_uid, uid);
	return l.n ? l.at[0] : NULL;
}

static void set_changed(void *arg, struct object *set)
{
	struct deployments *c = arg;
	struct object *d = by_uid(c->deployments, set->controller);
	if (d) {
		workqueue_add_object(c->queue, d);
		return;
	}
	if (set->controller || set->deleting)
		return;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object_list all = informer_by_index(c->deployments, &a, index_namespace, set->ns);
	for (size_t i = 0; i < all.n; i++) {
		struct label_selector *selector;
		_cleanup_status_ struct status err = STATUS_INIT;
		struct json *t = object_tree(all.at[i], &a);
		if (label_selector_from_json(&a, json_path(t, "spec.selector"), &selector, &err) == 0 &&
		    !label_selector_empty(selector) && label_selector_match(selector, set))
			workqueue_add_object(c->queue, all.at[i]);
	}
}

static void set_updated(void *arg, struct object *old, struct object *set)
{
	struct deployments *c = arg;
	struct object *before = by_uid(c->deployments, old->controller);
	if (before && !str_eq(old->controller, set->controller))
		workqueue_add_object(c->queue, before);
	set_changed(arg, set);
}

/* A Deployment that recreates waits for the last pod of its old sets. */
static void pod_deleted(void *arg, struct object *pod)
{
	struct deployments *c = arg;
	struct object *set = by_uid(c->sets, pod->controller);
	struct object *d = set ? by_uid(c->deployments, set->controller) : NULL;
	if (d)
		workqueue_add_object(c->queue, d);
}

static void *start(const struct controller_env *e)
{
	struct deployments *c = NEW(struct deployments);
	c->client = e->client;
	c->recorder = controller_recorder(e, deployment_controller.name);
	c->queue = controller_queue(e, "deployment", sync_deployment, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->deployments = controller_watch(e, "apps", "deployments", &h);
	informer_add_index(c->deployments, index_uid);
	c->sets =
	    controller_watch(e, "apps", "replicasets",
			     &(struct informer_handlers){
				 .on_add = set_changed, .on_update = set_updated, .on_delete = set_changed, .arg = c});
	informer_add_index(c->sets, index_uid);
	informer_add_index(c->sets, index_controller);
	informer_add_index(c->sets, index_orphan_ns);
	c->pods = controller_watch(e, "", "pods", &(struct informer_handlers){.on_delete = pod_deleted, .arg = c});
	informer_add_index(c->pods, index_controller);
	return c;
}

const struct controller_ops deployment_controller = {
    .name = "deployment-controller",
    .start = start,
    .stop = free,
};
