/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes pods that nobody else will: those of nodes that are gone, and the oldest finished ones beyond a threshold.
 * Keys: a node's name (look whether it is gone), or TERMINATED.
 */
#include "controllers/controller.h"

#include "controllers/util.h"

#define TERMINATED "/terminated" /* no node has a slash in its name */
#define QUARANTINE_MS 40000	 /* a node that registers again at once keeps its pods; as upstream */

struct pod_gc {
	struct client *client;
	struct workqueue *queue;
	struct informer *nodes, *pods;
	unsigned terminated_max, n_terminated;
};

static bool finished(const struct object *pod)
{
	const char *phase = object_field(pod, "status.phase");
	return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}

/* Nobody is there to stop it gracefully. */
static void force_delete(struct pod_gc *c, struct sync *s, struct object *pod)
{
	struct json *options = json_new(&s->arena, JSON_OBJECT);
	json_set_int(&s->arena, options, "gracePeriodSeconds", 0);
	json_set_str(&s->arena, json_object_in(&s->arena, options, "preconditions"), "uid", pod->uid);
	sync_request(
	    s, c->client,
	    &(struct client_request){
		.verb = CLIENT_DELETE, .resource = pod->resource, .ns = pod->ns, .name = pod->name, .body = options},
	    sync_ignore_missing, NULL);
}

static void on_failed(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)err, (void)obj; /* the mark only explains */
	force_delete(sync_arg(s), s, arg);
}

static void remove_lost(struct pod_gc *c, struct sync *s, struct object *pod)
{
	struct json *t = object_tree(pod, &s->arena);
	sync_keep(s, pod);
	if (!pod_finished(t)) {
		json_set_path(&s->arena, t, "status.phase", json_new_str(&s->arena, "Failed"));
		meta_set_condition(&s->arena, t, "DisruptionTarget", "True", "DeletionByPodGC",
				   "PodGC: node no longer exists", now_ns());
	}
	if (!sync_patch(s, c->client, pod, t, "status", false, on_failed, pod))
		force_delete(c, s, pod);
}

static void on_node(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct pod_gc *c = arg;
	if (!err)
		return; /* there after all */
	if (err->code != 404) {
		sync_fail(s, err);
		return;
	}
	struct object_list l = informer_by_index(c->pods, &s->arena, index_node_name, s->key);
	for (size_t i = 0; i < l.n; i++)
		remove_lost(c, s, l.at[i]);
}

static int by_age(const void *pa, const void *pb)
{
	const struct object *a = *(struct object *const *)pa, *b = *(struct object *const *)pb;
	/* The revision at its end is as good an age as any, and needs no parsing. */
	return a->rev < b->rev ? -1 : a->rev > b->rev;
}

static void remove_terminated(struct pod_gc *c, struct sync *s)
{
	struct object_list l = informer_list(c->pods, &s->arena);
	size_t n = 0;
	for (size_t i = 0; i < l.n; i++)
		if (finished(l.at[i]) && !l.at[i]->deleting)
			l.at[n++] = l.at[i];
	if (n <= c->terminated_max)
		return;
	qsort(l.at, n, sizeof(*l.at), by_age);
	for (size_t i = 0; i < n - c->terminated_max; i++)
		force_delete(c, s, l.at[i]);
}

static void sync_key(void *arg, struct sync *s)
{
	struct pod_gc *c = arg;
	if (str_eq(s->key, TERMINATED)) {
		remove_terminated(c, s);
		return;
	}
	if (informer_get_key(c->nodes, s->key) || !informer_index_count(c->pods, index_node_name, s->key))
		return;
	sync_request(
	    s, c->client,
	    &(struct client_request){.verb = CLIENT_GET, .resource = informer_resource(c->nodes), .name = s->key},
	    on_node, c);
}

static void look(struct pod_gc *c, const struct object *pod)
{
	const char *node = object_field(pod, "spec.nodeName");
	if (!str_empty(node) && !informer_get(c->nodes, NULL, node))
		workqueue_add_after(c->queue, node, QUARANTINE_MS);
	if (c->n_terminated > c->terminated_max)
		workqueue_add(c->queue, TERMINATED);
}

static void pod_added(void *arg, struct object *pod)
{
	struct pod_gc *c = arg;
	c->n_terminated += finished(pod);
	look(c, pod);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	struct pod_gc *c = arg;
	c->n_terminated += finished(pod);
	c->n_terminated -= finished(old);
	look(c, pod);
}

static void pod_deleted(void *arg, struct object *pod)
{
	struct pod_gc *c = arg;
	c->n_terminated -= finished(pod);
}

static void node_deleted(void *arg, struct object *node)
{
	workqueue_add_after(((struct pod_gc *)arg)->queue, node->name, QUARANTINE_MS);
}

static void *start(const struct controller_env *e)
{
	struct pod_gc *c = NEW(struct pod_gc);
	c->client = e->client;
	c->terminated_max = e->config->terminated_pods_max;
	c->queue = controller_queue(e, "pod-gc", sync_key, c);
	c->nodes = controller_watch(e, "", "nodes", &(struct informer_handlers){.on_delete = node_deleted, .arg = c});
	c->pods =
	    controller_watch(e, "", "pods",
			     &(struct informer_handlers){
				 .on_add = pod_added, .on_update = pod_updated, .on_delete = pod_deleted, .arg = c});
	informer_add_index(c->pods, index_node_name);
	return c;
}

const struct controller_ops pod_gc_controller = {
    .name = "pod-garbage-collector-controller",
    .start = start,
    .stop = free,
};
