/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/scheduler.h"

#include <stdlib.h>

#include "api/merge_patch.h"
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/events.h"
#include "client/informer.h"
#include "io/loop.h"
#include "scheduler/attempt.h"
#include "scheduler/queue.h"

#define ALL_REASONS UINT32_MAX
/* What the end of a pod can help: room, ports, and rules about pods. */
#define REASONS_POD_GONE                                                                                               \
	(REASON_PODS | REASON_CPU | REASON_MEMORY | REASON_STORAGE | REASON_EXTRA | REASON_PORTS | REASON_SPREAD |     \
	 REASON_ANTI_AFFINITY | REASON_EXISTING_ANTI_AFFINITY)
/* What a new pod somewhere can help. */
#define REASONS_POD_CAME (REASON_AFFINITY | REASON_SPREAD)

struct scheduler {
	struct client *client;
	struct loop *loop;
	const char *name;
	struct informers *informers;
	bool own_informers, started;
	struct informer *pods, *nodes, *namespaces;
	struct recorder *recorder;
	struct sched_cache cache;
	struct queue queue;
	struct loop_defer *turn;
	struct loop_timer *timer;
	size_t start; /* where the next attempt begins to look */
	size_t n_bindings;
	struct list requests; /* under way */
};

/* A request about a pod. scheduler NULL: it was stopped. */
struct request {
	struct list link;
	struct scheduler *s;
	struct object *pod;
	char *node;
};

static void wake(struct scheduler *s)
{
	if (!s->started)
		return;
	int64_t next = queue_next_ms(&s->queue), now = loop_now_ms(s->loop);
	if (next < 0)
		return;
	if (next <= now)
		loop_defer_schedule(s->turn);
	else
		loop_timer_start(s->timer, next - now);
}

static struct request *request_new(struct scheduler *s, struct object *pod, const char *node)
{
	struct request *r = NEW(struct request);
	r->s = s;
	r->pod = object_ref(pod);
	r->node = xstrdup(node);
	list_add_tail(&s->requests, &r->link);
	return r;
}

static void request_free(struct request *r)
{
	list_remove(&r->link);
	object_unref(r->pod);
	free(r->node);
	free(r);
}

static void on_written(void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct request *r = arg;
	if (err && err->code != 404 && r->s)
		log_debug("scheduler could not write pod=%s/%s error=\"%s\"", r->pod->ns, r->pod->name,
			  str_or(err->message, ""));
	request_free(r);
}

/* ---- binding ---- */

static void on_bound(void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct request *r = arg;
	struct scheduler *s = r->s;
	if (!s) {
		request_free(r);
		return;
	}
	s->n_bindings--;
	if (!err) {
		queue_remove(&s->queue, r->pod->uid);
		recorder_event(s->recorder, r->pod, "Normal", "Scheduled", "Successfully assigned %s/%s to %s",
			       r->pod->ns, r->pod->name, r->node);
	} else {
		struct sched_pod *p = sched_cache_pod(&s->cache, r->pod->uid);
		if (p && p->assumed) {
			sched_cache_remove_pod(&s->cache, r->pod->uid);
			queue_event(&s->queue, REASONS_POD_GONE, loop_now_ms(s->loop));
		}
		if (err->code == 404) {
			queue_remove(&s->queue, r->pod->uid);
		} else {
			log_debug("binding failed pod=%s/%s node=%s error=\"%s\"", r->pod->ns, r->pod->name, r->node,
				  str_or(err->message, ""));
			queue_failed(&s->queue, r->pod->uid, 0, loop_now_ms(s->loop));
		}
	}
	request_free(r);
	wake(s);
}

static void bind(struct scheduler *s, struct object *pod, const char *node)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *b = meta_object_new(&a, "v1", "Binding", pod->ns, pod->name);
	json_set_str(&a, meta_of(&a, b), "uid", pod->uid);
	struct json *target = json_object_in(&a, b, "target");
	json_set_str(&a, target, "apiVersion", "v1");
	json_set_str(&a, target, "kind", "Node");
	json_set_str(&a, target, "name", node);
	s->n_bindings++;
	client_do(s->client, &(struct client_request){
				 .verb = CLIENT_CREATE,
				 .resource = pod->resource,
				 .ns = pod->ns,
				 .name = pod->name,
				 .subresource = "binding",
				 .body = b,
				 .done = on_bound,
				 .arg = request_new(s, pod, node),
			     });
}

/* ---- it fits nowhere ---- */

static void write_condition(struct scheduler *s, struct object *pod, const char *message, const char *nominated)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *was = object_tree(pod, &a), *t = object_tree(pod, &a);
	meta_set_condition(&a, t, "PodScheduled", "False", "Unschedulable", message, now_ns());
	if (nominated)
		json_set_str(&a, json_object_in(&a, t, "status"), "nominatedNodeName", nominated);
	struct json *patch = merge_patch_create(&a, was, t);
	if (!json_len(patch))
		return;
	json_set_str(&a, json_object_in(&a, patch, "metadata"), "uid", pod->uid);
	client_do(s->client, &(struct client_request){
				 .verb = CLIENT_PATCH,
				 .resource = pod->resource,
				 .ns = pod->ns,
				 .name = pod->name,
				 .subresource = "status",
				 .body = patch,
				 .patch_type = "application/merge-patch+json",
				 .done = on_written,
				 .arg = request_new(s, pod, NULL),
			     });
}

static void evict(struct scheduler *s, const struct sched_pod *victim, const struct object *by, const char *node)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *options = json_new(&a, JSON_OBJECT);
	json_set_str(&a, json_object_in(&a, options, "preconditions"), "uid", victim->obj->uid);
	recorder_event(s->recorder, victim->obj, "Normal", "Preempted", "Preempted by pod %s on node %s", by->uid,
		       node);
	client_do(s->client, &(struct client_request){
				 .verb = CLIENT_DELETE,
				 .resource = victim->obj->resource,
				 .ns = victim->obj->ns,
				 .name = victim->obj->name,
				 .body = options,
				 .done = on_written,
				 .arg = request_new(s, victim->obj, NULL),
			     });
}

/* Room is being made already: victims of an earlier attempt are on their way out. */
static bool waits_for_victims(const struct scheduler *s, const struct sched_pod *p)
{
	struct sched_node *n = *p->nominated ? sched_cache_node(&s->cache, p->nominated) : NULL;
	for (size_t i = 0; n && i < n->pods.n; i++)
		if (n->pods.at[i]->obj->deleting && n->pods.at[i]->priority < p->priority)
			return true;
	return false;
}

static void cannot_place(struct scheduler *s, struct sched_attempt *a, uint32_t reasons)
{
	struct object *pod = a->pod->obj;
	_cleanup_buf_ struct buf message = BUF_INIT;
	sched_explain(a, &message);
	const char *nominated = NULL;
	if (!waits_for_victims(s, a->pod)) {
		struct sched_victims v = sched_preempt(a);
		if (v.node) {
			nominated = v.node->name;
			for (size_t i = 0; i < v.n; i++)
				evict(s, v.at[i], pod, v.node->name);
		}
	}
	recorder_event(s->recorder, pod, "Warning", "FailedScheduling", "%s", buf_str(&message));
	write_condition(s, pod, buf_str(&message), nominated);
	/* Without nodes there is no reason yet: any change may help. */
	queue_failed(&s->queue, pod->uid, reasons ? reasons : ALL_REASONS, loop_now_ms(s->loop));
}

/* ---- attempts ---- */

static bool ns_match(void *arg, const char *ns, const struct label_selector *selector)
{
	struct scheduler *s = arg;
	struct object *o = informer_get(s->namespaces, NULL, ns);
	return o && label_selector_match(selector, o);
}

static void attempt(struct scheduler *s, struct queued_pod *q)
{
	struct sched_pod *p = sched_pod_new(q->obj, true);
	struct sched_attempt a;
	uint32_t reasons;
	sched_attempt_init(&a, &s->cache, p);
	a.ns_match = ns_match;
	a.ns_arg = s;
	a.start = s->start;
	env->random(&a.random, sizeof(a.random));
	a.random |= 1;
	struct sched_node *n = sched_pick(&a, &reasons, &s->start);
	if (n) {
		struct sched_pod *assumed = sched_pod_new(q->obj, false);
		assumed->assumed = true;
		sched_cache_add_pod(&s->cache, assumed, n->name);
		bind(s, q->obj, n->name);
	} else {
		cannot_place(s, &a, reasons);
	}
	sched_attempt_release(&a);
	sched_pod_free(p);
}

static void on_turn(void *arg)
{
	struct scheduler *s = arg;
	for (int i = 0; i < SCHEDULER_TURN_MAX && s->n_bindings < SCHEDULER_BINDINGS_MAX; i++) {
		struct queued_pod *q = queue_pop(&s->queue, loop_now_ms(s->loop));
		if (!q)
			break;
		attempt(s, q);
	}
	if (s->n_bindings < SCHEDULER_BINDINGS_MAX) /* else the end of a binding wakes */
		wake(s);
}

/* ---- what happens in the cluster ---- */

static bool finished(const struct object *pod)
{
	const char *phase = object_field(pod, "status.phase");
	return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}

static void enqueue(struct scheduler *s, struct object *old, struct object *pod)
{
	if (pod->deleting || finished(pod) || sched_cache_pod(&s->cache, pod->uid)) {
		if (!sched_cache_pod(&s->cache, pod->uid))
			queue_remove(&s->queue, pod->uid);
		return;
	}
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *spec = json_get(object_tree(pod, &a), "spec");
	if (!str_eq(str_or(json_path_str(spec, "schedulerName"), SCHEDULER_NAME_DEFAULT), s->name) ||
	    json_len(json_get(spec, "schedulingGates")))
		return;
	bool changed = old && (!json_equal(json_get(object_tree(old, &a), "spec"), spec) ||
			       !json_equal(json_path(object_tree(old, &a), "metadata.labels"),
					   json_path(object_tree(pod, &a), "metadata.labels")));
	queue_add(&s->queue, pod, (int32_t)json_path_int(spec, "priority", 0), loop_now_ms(s->loop), changed);
}

static void pod_changed(struct scheduler *s, struct object *old, struct object *pod)
{
	const char *node = object_field(pod, "spec.nodeName");
	int64_t now = loop_now_ms(s->loop);
	if (str_empty(node)) {
		enqueue(s, old, pod);
	} else if (finished(pod)) {
		if (sched_cache_pod(&s->cache, pod->uid)) {
			sched_cache_remove_pod(&s->cache, pod->uid);
			queue_event(&s->queue, REASONS_POD_GONE, now);
		}
		queue_remove(&s->queue, pod->uid);
	} else {
		struct sched_pod *have = sched_cache_pod(&s->cache, pod->uid);
		bool known = have && !have->assumed;
		queue_remove(&s->queue, pod->uid);
		sched_cache_add_pod(&s->cache, sched_pod_new(pod, false), node);
		/* Its labels may have come or changed; a mere change of status helps nobody. */
		if (!known)
			queue_event(&s->queue, REASONS_POD_CAME, now);
	}
	wake(s);
}

static void pod_added(void *arg, struct object *pod)
{
	pod_changed(arg, NULL, pod);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	pod_changed(arg, old, pod);
}

static void pod_deleted(void *arg, struct object *pod)
{
	struct scheduler *s = arg;
	queue_remove(&s->queue, pod->uid);
	if (!sched_cache_pod(&s->cache, pod->uid))
		return;
	sched_cache_remove_pod(&s->cache, pod->uid);
	queue_event(&s->queue, REASONS_POD_GONE, loop_now_ms(s->loop));
	wake(s);
}

static void node_added(void *arg, struct object *node)
{
	struct scheduler *s = arg;
	sched_cache_set_node(&s->cache, node);
	queue_event(&s->queue, ALL_REASONS, loop_now_ms(s->loop));
	wake(s);
}

/* Heartbeats and images don't matter to anybody here. */
static bool node_matters(const struct object *old, const struct object *node)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *was = object_tree(old, &a), *is = object_tree(node, &a);
	return !json_equal(json_get(was, "spec"), json_get(is, "spec")) ||
	       !json_equal(json_path(was, "metadata.labels"), json_path(is, "metadata.labels")) ||
	       !json_equal(json_path(was, "status.allocatable"), json_path(is, "status.allocatable"));
}

static void node_updated(void *arg, struct object *old, struct object *node)
{
	if (node_matters(old, node))
		node_added(arg, node);
}

static void node_deleted(void *arg, struct object *node)
{
	struct scheduler *s = arg;
	sched_cache_remove_node(&s->cache, node->name);
}

/* ---- life ---- */

static void on_timer(void *arg)
{
	wake(arg);
}

static void on_synced(void *arg)
{
	struct scheduler *s = arg;
	s->started = true;
	wake(s);
}

struct scheduler *scheduler_start(const struct scheduler_config *c)
{
	struct scheduler *s = NEW(struct scheduler);
	s->client = c->client;
	s->loop = client_loop(c->client);
	s->name = c->name ? c->name : SCHEDULER_NAME_DEFAULT;
	s->own_informers = !c->informers;
	s->informers = c->informers ? c->informers : informers_new(c->client);
	s->recorder = recorder_new(c->client, s->name, NULL);
	s->turn = loop_defer_new(s->loop, on_turn, s);
	s->timer = loop_timer_new(s->loop, on_timer, s);
	list_init(&s->requests);
	sched_cache_init(&s->cache);
	queue_init(&s->queue);
	s->namespaces = informers_get(s->informers, "", "namespaces");
	s->nodes = informers_get(s->informers, "", "nodes");
	s->pods = informers_get(s->informers, "", "pods");
	informer_add_handlers(
	    s->nodes, &(struct informer_handlers){
			  .on_add = node_added, .on_update = node_updated, .on_delete = node_deleted, .arg = s});
	informer_add_handlers(s->pods,
			      &(struct informer_handlers){
				  .on_add = pod_added, .on_update = pod_updated, .on_delete = pod_deleted, .arg = s});
	informers_when_synced(s->informers, on_synced, s);
	return s;
}

void scheduler_stop(struct scheduler *s)
{
	if (!s)
		return;
	informers_forget(s->informers, s);
	informer_remove_handlers(s->nodes, s);
	informer_remove_handlers(s->pods, s);
	if (s->own_informers)
		informers_free(s->informers);
	LIST_EACH_SAFE(it, &s->requests) {
		struct request *r = LIST_ENTRY(it, struct request, link);
		list_remove(&r->link);
		r->s = NULL;
	}
	recorder_free(s->recorder);
	loop_defer_free(s->turn);
	loop_timer_free(s->timer);
	queue_release(&s->queue);
	sched_cache_release(&s->cache);
	free(s);
}
