/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes pods from nodes with a NoExecute taint that they don't tolerate, or no longer (tolerationSeconds). */
#include "controllers/controller.h"

#include "api/taints.h"
#include "controllers/util.h"

struct taint_eviction {
	struct client *client;
	struct workqueue *queue; /* of pods */
	struct recorder *recorder;
	struct informer *nodes, *pods;
};

static void on_marked(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)err, (void)obj; /* the condition only explains; the deletion is what matters */
	struct object *pod = arg;
	struct taint_eviction *c = sync_arg(s);
	sync_delete(s, c->client, pod, NULL, NULL, NULL);
}

static void evict(struct taint_eviction *c, struct sync *s, struct object *pod, struct json *tree)
{
	recorder_event(c->recorder, pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod %s/%s", pod->ns,
		       pod->name);
	meta_set_condition(&s->arena, tree, "DisruptionTarget", "True", "DeletionByTaintManager",
			   "Taint manager: deleting due to NoExecute taint", now_ns());
	sync_keep(s, pod);
	if (!sync_patch(s, c->client, pod, tree, "status", false, on_marked, pod))
		sync_delete(s, c->client, pod, NULL, NULL, NULL);
}

static void sync_pod(void *arg, struct sync *s)
{
	struct taint_eviction *c = arg;
	struct object *pod = informer_get_key(c->pods, s->key);
	if (!pod || pod->deleting)
		return;
	struct json *tree = object_tree(pod, &s->arena);
	const char *node_name = json_path_str(tree, "spec.nodeName");
	struct object *node = str_empty(node_name) ? NULL : informer_get(c->nodes, NULL, node_name);
	if (!node || pod_finished(tree))
		return;
	size_t n_taints, n_tolerations;
	struct taint *taints = taints_of(&s->arena, object_tree(node, &s->arena), &n_taints);
	struct toleration *tolerations = tolerations_of(&s->arena, tree, &n_tolerations);
	int64_t seconds = toleration_seconds(tolerations, n_tolerations, taints, n_taints);
	if (seconds < 0)
		return;
	int64_t now = now_ns(), since = now;
	for (size_t i = 0; i < n_taints; i++)
		if (taints[i].effect == TAINT_NO_EXECUTE && taints[i].added_ns && taints[i].added_ns < since)
			since = taints[i].added_ns;
	int64_t left_ms = (since + seconds * 1000000000 - now + 999999) / 1000000;
	if (seconds > 0 && left_ms > 0)
		sync_again_after(s, left_ms);
	else
		evict(c, s, pod, tree);
}

static bool has_no_execute(const struct object *node)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	size_t n;
	struct taint *t = taints_of(&a, object_tree(node, &a), &n);
	for (size_t i = 0; i < n; i++)
		if (t[i].effect == TAINT_NO_EXECUTE)
			return true;
	return false;
}

static void node_added(void *arg, struct object *node)
{
	struct taint_eviction *c = arg;
	if (!has_no_execute(node))
		return;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object_list l = informer_by_index(c->pods, &a, index_node_name, node->name);
	for (size_t i = 0; i < l.n; i++)
		workqueue_add_object(c->queue, l.at[i]);
}

static void node_updated(void *arg, struct object *old, struct object *node)
{
	(void)old;
	node_added(arg, node);
}

static void pod_added(void *arg, struct object *pod)
{
	struct taint_eviction *c = arg;
	const char *node_name = object_field(pod, "spec.nodeName");
	struct object *node = str_empty(node_name) ? NULL : informer_get(c->nodes, NULL, node_name);
	if (node && has_no_execute(node))
		workqueue_add_object(c->queue, pod);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	(void)old;
	pod_added(arg, pod);
}

static void *start(const struct controller_env *e)
{
	struct taint_eviction *c = NEW(struct taint_eviction);
	c->client = e->client;
	c->recorder = controller_recorder(e, taint_eviction_controller.name);
	c->queue = controller_queue(e, "taint-eviction", sync_pod, c);
	c->nodes = controller_watch(
	    e, "", "nodes", &(struct informer_handlers){.on_add = node_added, .on_update = node_updated, .arg = c});
	c->pods = controller_watch(
	    e, "", "pods", &(struct informer_handlers){.on_add = pod_added, .on_update = pod_updated, .arg = c});
	informer_add_index(c->pods, index_node_name);
	return c;
}

const struct controller_ops taint_eviction_controller = {
    .name = "taint-eviction-controller",
    .start = start,
    .stop = free,
};
