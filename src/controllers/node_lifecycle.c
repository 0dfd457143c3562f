/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches over nodes. A node whose lease (kube-node-lease) and status have not moved for the grace period is
 * unreachable: its conditions become Unknown. Conditions become taints: the scheduler keeps away (NoSchedule) and the
 * eviction controller moves pods (NoExecute). Time is our own clock's since we saw a change, so that a node's wrong
 * clock doesn't matter.
 */
#include "controllers/controller.h"

#include "base/map.h"
#include "api/taints.h"
#include "controllers/util.h"
#include "io/loop.h"

#define LEASE_NS "kube-node-lease"

struct seen {
	int64_t at_ms; /* when lease or status moved last */
};

struct node_lifecycle {
	struct client *client;
	struct loop *loop;
	struct workqueue *queue; /* of node names */
	struct recorder *recorder;
	struct informer *nodes, *leases, *pods;
	struct map seen;
	int64_t grace_ms;
};

static struct seen *seen_of(struct node_lifecycle *c, const char *node)
{
	struct seen *x = map_get(&c->seen, node);
	if (!x) {
		x = NEW(struct seen);
		x->at_ms = loop_now_ms(c->loop); /* a node that is new to us gets the whole grace period */
		map_set(&c->seen, node, x);
	}
	return x;
}

/* ---- conditions ---- */

static void mark_unknown(struct node_lifecycle *c, struct sync *s, struct json *node)
{
	static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
	(void)c;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		bool never = !meta_condition(node, types[i]);
		if (str_eq(meta_condition_status(node, types[i]), "Unknown"))
			continue;
		meta_set_condition(
		    &s->arena, node, types[i], "Unknown", never ? "NodeStatusNeverUpdated" : "NodeStatusUnknown",
		    never ? "Kubelet never posted node status." : "Kubelet stopped posting node status.", now_ns());
	}
}

static void on_pod_marked(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404 && err->code != 409)
		sync_fail(s, err);
}

/* Nobody knows whether they still serve: Services must not send traffic there. */
static void mark_pods_unready(struct node_lifecycle *c, struct sync *s, const char *node)
{
	struct object_list l = informer_by_index(c->pods, &s->arena, index_node_name, node);
	for (size_t i = 0; i < l.n; i++) {
		struct json *pod = object_tree(l.at[i], &s->arena);
		if (!pod_ready(pod))
			continue;
		meta_set_condition(&s->arena, pod, "Ready", "False", NULL, NULL, now_ns());
		if (sync_patch(s, c->client, l.at[i], pod, "status", false, on_pod_marked, NULL))
			recorder_event(c->recorder, l.at[i], "Warning", "NodeNotReady", "Node is not ready");
	}
}

/* ---- taints ---- */

static void want(struct arena *a, struct json *taints, const struct json *had, const char *key, const char *effect)
{
	JSON_EACH(t, had)
		if (str_eq(json_path_str(t, "key"), key) && str_eq(json_path_str(t, "effect"), effect)) {
			json_append(taints, json_clone(a, t));
			return;
		}
	char time[TIME_RFC3339_MAX];
	struct json *t = json_append(taints, json_new(a, JSON_OBJECT));
	json_set_str(a, t, "key", key);
	json_set_str(a, t, "effect", effect);
	json_set_str(a, t, "timeAdded", time_format(now_ns(), time));
}

static const struct {
	const char *condition, *taint;
} pressures[] = {
    {"MemoryPressure", "node.kubernetes.io/memory-pressure"},
    {"DiskPressure", "node.kubernetes.io/disk-pressure"},
    {"PIDPressure", "node.kubernetes.io/pid-pressure"},
    {"NetworkUnavailable", "node.kubernetes.io/network-unavailable"},
};

static bool ours(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(pressures); i++)
		if (str_eq(key, pressures[i].taint))
			return true;
	return str_eq(key, TAINT_NOT_READY) || str_eq(key, TAINT_UNREACHABLE) || str_eq(key, TAINT_UNSCHEDULABLE);
}

/* Replaces the taints that follow from conditions; others stay as they are. */
static void set_taints(struct arena *a, struct json *node)
{
	const struct json *had = json_path(node, "spec.taints");
	struct json *taints = json_new(a, JSON_ARRAY);
	JSON_EACH(t, had)
		if (!ours(json_path_str(t, "key")))
			json_append(taints, json_clone(a, t));
	const char *ready = meta_condition_status(node, "Ready");
	if (!str_eq(ready, "True")) {
		const char *key = str_eq(ready, "Unknown") ? TAINT_UNREACHABLE : TAINT_NOT_READY;
		want(a, taints, had, key, "NoSchedule");
		if (*ready) /* a node that has never spoken has no pods to move */
			want(a, taints, had, key, "NoExecute");
	}
	for (size_t i = 0; i < ARRAY_SIZE(pressures); i++)
		if (str_eq(meta_condition_status(node, pressures[i].condition), "True"))
			want(a, taints, had, pressures[i].taint, "NoSchedule");
	if (json_path_bool(node, "spec.unschedulable", false))
		want(a, taints, had, TAINT_UNSCHEDULABLE, "NoSchedule");
	if (json_len(taints))
		json_set(a, json_object_in(a, node, "spec"), "taints", taints);
	else if (had)
		json_remove(json_get(node, "spec"), "taints");
}

static void sync_node(void *arg, struct sync *s)
{
	struct node_lifecycle *c = arg;
	struct object *node = informer_get_key(c->nodes, s->key);
	if (!node) {
		free(map_remove(&c->seen, s->key));
		return;
	}
	int64_t silent_ms = loop_now_ms(c->loop) - seen_of(c, s->key)->at_ms;
	struct json *status = object_tree(node, &s->arena), *spec = object_tree(node, &s->arena);
	bool lost = silent_ms >= c->grace_ms;
	if (lost) {
		mark_unknown(c, s, status);
		if (sync_patch(s, c->client, node, status, "status", true, NULL, NULL))
			recorder_event(c->recorder, node, "Normal", "NodeNotReady",
				       "Node %s status is now: NodeNotReady", node->name);
		mark_pods_unready(c, s, node->name);
		mark_unknown(c, s, spec); /* for the taints, which go with it */
	} else {
		sync_again_after(s, c->grace_ms - silent_ms);
	}
	set_taints(&s->arena, spec);
	/* Only the spec is written through this door. */
	struct json *was = object_tree(node, &s->arena);
	json_remove(spec, "status");
	if (json_get(was, "status"))
		json_set(&s->arena, spec, "status", json_clone(&s->arena, json_get(was, "status")));
	sync_patch(s, c->client, node, spec, NULL, false, NULL, NULL);
}

/* ---- signs of life ---- */

static void alive(struct node_lifecycle *c, const char *node)
{
	struct seen *x = seen_of(c, node);
	bool was_lost = loop_now_ms(c->loop) - x->at_ms >= c->grace_ms;
	x->at_ms = loop_now_ms(c->loop);
	/* Renewals come every ten seconds from each node: nothing else is done for them. */
	if (was_lost)
		workqueue_add(c->queue, node);
}

static void lease_added(void *arg, struct object *lease)
{
	struct node_lifecycle *c = arg;
	if (str_eq(lease->ns, LEASE_NS) && informer_get(c->nodes, NULL, lease->name))
		alive(c, lease->name);
}

static void lease_updated(void *arg, struct object *old, struct object *lease)
{
	(void)old;
	lease_added(arg, lease);
}

static void node_added(void *arg, struct object *node)
{
	struct node_lifecycle *c = arg;
	seen_of(c, node->name);
	recorder_event(c->recorder, node, "Normal", "RegisteredNode", "Node %s event: Registered Node %s in Controller",
		       node->name, node->name);
	workqueue_add(c->queue, node->name);
}

static const char *heartbeat(const struct object *node, struct arena *a)
{
	return json_path_str(meta_condition(object_tree(node, a), "Ready"), "lastHeartbeatTime");
}

static void node_updated(void *arg, struct object *old, struct object *node)
{
	struct node_lifecycle *c = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	/* Our own patches move the revision too; only the node moves its heartbeat. */
	if (!str_eq(heartbeat(old, &a), heartbeat(node, &a)))
		alive(c, node->name);
	workqueue_add(c->queue, node->name);
}

static void node_deleted(void *arg, struct object *node)
{
	workqueue_add(((struct node_lifecycle *)arg)->queue, node->name);
}

static void *start(const struct controller_env *e)
{
	struct node_lifecycle *c = NEW(struct node_lifecycle);
	c->client = e->client;
	c->loop = e->loop;
	c->grace_ms = e->config->node_monitor_grace_ms;
	c->recorder = controller_recorder(e, "node-controller");
	c->queue = controller_queue(e, "node-lifecycle", sync_node, c);
	c->nodes =
	    controller_watch(e, "", "nodes",
			     &(struct informer_handlers){
				 .on_add = node_added, .on_update = node_updated, .on_delete = node_deleted, .arg = c});
	c->leases =
	    controller_watch(e, "coordination.k8s.io", "leases",
			     &(struct informer_handlers){.on_add = lease_added, .on_update = lease_updated, .arg = c});
	c->pods = controller_watch(e, "", "pods", NULL);
	informer_add_index(c->pods, index_node_name);
	return c;
}

static void stop(void *arg)
{
	struct node_lifecycle *c = arg;
	map_release(&c->seen, free);
	free(c);
}

const struct controller_ops node_lifecycle_controller = {
    .name = "node-lifecycle-controller",
    .start = start,
    .stop = stop,
};
