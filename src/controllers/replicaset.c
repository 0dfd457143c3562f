/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps spec.replicas pods that match a ReplicaSet's selector. */
#include "controllers/controller.h"

#include "api/selector.h"
#include "controllers/expectations.h"
#include "controllers/pod_set.h"
#include "controllers/replicaset_status.h"
#include "controllers/util.h"

struct replicasets {
	struct client *client;
	struct workqueue *queue;
	struct recorder *recorder;
	struct informer *sets, *pods;
	struct expectations expectations;
};

/* What one sync carries through its requests. */
struct pass {
	struct replicasets *c;
	struct object *set;
	struct json *tree;
	struct pod_set pods;
	int64_t replicas;
};

static void write_status(struct sync *s, void *arg, const char *failure, bool failed_create)
{
	struct pass *p = arg;
	struct replicasets *c = p->c;
	struct json *before = json_get(p->tree, "status");
	struct json *status =
	    replicaset_status(&s->arena, p->tree, p->pods.pods, p->pods.n, failure, failed_create, now_ns());
	if (!json_equal(before, status)) {
		json_set(&s->arena, p->tree, "status", status);
		sync_patch(s, c->client, p->set, p->tree, "status", false, NULL, NULL);
	}
	int64_t min_ready = json_path_int(p->tree, "spec.minReadySeconds", 0);
	if (min_ready > 0 && json_path_int(status, "readyReplicas", 0) != json_path_int(status, "availableReplicas", 0))
		sync_again_after(s, min_ready * 1000);
}

/* Creates or deletes what is missing or too much; then the status is written. */
static void manage(struct sync *s, struct pass *p)
{
	struct replicasets *c = p->c;
	struct set_pod *active = arena_alloc(&s->arena, (p->pods.n + 1) * sizeof(*active));
	size_t n = 0;
	for (size_t i = 0; i < p->pods.n; i++)
		if (pod_active(p->pods.pods[i].tree))
			active[n++] = p->pods.pods[i];
	struct pod_work w = {
	    .client = c->client,
	    .recorder = c->recorder,
	    .expectations = &c->expectations,
	    .owner = p->set,
	    .template = json_path(p->tree, "spec.template"),
	    .next = write_status,
	    .arg = p,
	};
	if ((int64_t)n < p->replicas) {
		pod_set_create(s, &w, (unsigned)MIN_OF(p->replicas - (int64_t)n, POD_SET_BURST));
	} else if ((int64_t)n > p->replicas) {
		pod_set_rank(active, n, now_ns());
		pod_set_delete(s, &w, active, n - (size_t)p->replicas);
	} else {
		write_status(s, p, NULL, false);
	}
}

static void sync_set(void *arg, struct sync *s)
{
	struct replicasets *c = arg;
	struct object *set = informer_get_key(c->sets, s->key);
	if (!set) {
		expectations_forget(&c->expectations, s->key);
		return;
	}
	struct pass *p = ARENA_NEW(&s->arena, struct pass);
	p->c = c;
	p->set = sync_keep(s, set);
	p->tree = object_tree(set, &s->arena);
	p->replicas = json_path_int(p->tree, "spec.replicas", 1);
	struct label_selector *selector;
	_cleanup_status_ struct status err = STATUS_INIT;
	if (label_selector_from_json(&s->arena, json_path(p->tree, "spec.selector"), &selector, &err) < 0)
		return; /* was let in by older validation: nothing can be done until it changes */
	p->pods = pod_set_claim(s, c->client, c->pods, set, selector);
	for (size_t i = 0; i < p->pods.n; i++)
		sync_keep(s, p->pods.pods[i].obj);
	if (!set->deleting && expectations_met(&c->expectations, s->key, monotonic_ms()))
		manage(s, p);
	else
		write_status(s, p, NULL, false);
}

/* ---- pods lead to their sets ---- */

static struct object *set_of(struct replicasets *c, const struct object *pod)
{
	if (!pod->controller)
		return NULL;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object_list l = informer_by_index(c->sets, &a, index_uid, pod->controller);
	return l.n ? l.at[0] : NULL;
}

/* An orphan may be adopted by any set whose selector matches. */
static void enqueue_matching(struct replicasets *c, const struct object *pod)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	if (!pod->n_labels)
		return;
	struct object_list sets = informer_by_index(c->sets, &a, index_namespace, pod->ns);
	for (size_t i = 0; i < sets.n; i++) {
		struct label_selector *selector;
		_cleanup_status_ struct status err = STATUS_INIT;
		struct json *t = object_tree(sets.at[i], &a);
		if (label_selector_from_json(&a, json_path(t, "spec.selector"), &selector, &err) == 0 &&
		    label_selector_match(selector, pod))
			workqueue_add_object(c->queue, sets.at[i]);
	}
}

static void pod_added(void *arg, struct object *pod)
{
	struct replicasets *c = arg;
	if (!pod->controller) {
		if (!pod->deleting)
			enqueue_matching(c, pod);
		return;
	}
	struct object *set = set_of(c, pod);
	if (!set)
		return;
	_cleanup_free_ char *key = xasprintf("%s/%s", set->ns, set->name);
	if (pod->deleting)
		expectation_deleted(&c->expectations, key, pod->uid);
	else
		expectation_created(&c->expectations, key);
	workqueue_add(c->queue, key);
}

static void pod_deleted(void *arg, struct object *pod)
{
	struct replicasets *c = arg;
	struct object *set = set_of(c, pod);
	if (!set)
		return;
	_cleanup_free_ char *key = xasprintf("%s/%s", set->ns, set->name);
	expectation_deleted(&c->expectations, key, pod->uid);
	workqueue_add(c->queue, key);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	struct replicasets *c = arg;
	if (pod->deleting && !old->deleting) {
		pod_deleted(c, pod);
		return;
	}
	struct object *before = set_of(c, old), *now = set_of(c, pod);
	if (before && before != now)
		workqueue_add_object(c->queue, before);
	if (now)
		workqueue_add_object(c->queue, now);
	else if (!pod->controller && !pod->deleting)
		enqueue_matching(c, pod);
}

static void *start(const struct controller_env *e)
{
	struct replicasets *c = NEW(struct replicasets);
	c->client = e->client;
	c->recorder = controller_recorder(e, replicaset_controller.name);
	c->queue = controller_queue(e, "replicaset", sync_set, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->sets = controller_watch(e, "apps", "replicasets", &h);
	informer_add_index(c->sets, index_uid);
	informer_add_index(c->sets, index_controller);
	c->pods =
	    controller_watch(e, "", "pods",
			     &(struct informer_handlers){
				 .on_add = pod_added, .on_update = pod_updated, .on_delete = pod_deleted, .arg = c});
	pod_set_prepare(c->pods);
	return c;
}

static void stop(void *arg)
{
	struct replicasets *c = arg;
	expectations_release(&c->expectations);
	free(c);
}

const struct controller_ops replicaset_controller = {
    .name = "replicaset-controller",
    .start = start,
    .stop = stop,
};
