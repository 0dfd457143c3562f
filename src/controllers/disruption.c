/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the status of PodDisruptionBudgets: how many of their pods are healthy, how many must be, and how many may be
 * evicted now. The eviction subresource (server/eviction.c) takes from disruptionsAllowed and notes the pod in
 * disruptedPods, so that it does not count as healthy before its deletion is seen here. Keys: budgets.
 */
#include "api/selector.h"
#include "controllers/controller.h"
#include "controllers/util.h"

#define DELETION_TIMEOUT_S 120 /* an evicted pod that is not deleted by then counts again; as upstream */

struct disruption {
	struct client *client;
	struct workqueue *queue;
	struct recorder *events;
	struct informer *budgets, *pods, *replicasets, *deployments, *statefulsets, *controllers;
};

/* ---- which pods, and how many there should be ---- */

static struct label_selector *selector_of(struct arena *a, const struct json *budget)
{
	struct label_selector *s;
	_cleanup_status_ struct status err = STATUS_INIT;
	if (label_selector_from_json(a, json_path(budget, "spec.selector"), &s, &err) == 0)
		return s;
	s = ARENA_NEW(a, struct label_selector);
	s->nothing = true;
	return s;
}

struct scale {
	const char *uid; /* of what scales */
	int64_t replicas;
};

/* The controller of a pod's controller counts when there is one: a Deployment, not each of its ReplicaSets. */
static const char *scale_of(struct disruption *d, struct arena *a, const char *ns, const struct json *pod,
			    struct scale *ret)
{
	const struct json *ref = meta_controller(pod);
	const char *kind = json_path_str(ref, "kind"), *name = json_path_str(ref, "name"),
		   *uid = json_path_str(ref, "uid");
	const struct {
		const char *kind;
		struct informer *in;
	} kinds[] = {{"ReplicaSet", d->replicasets},
		     {"StatefulSet", d->statefulsets},
		     {"ReplicationController", d->controllers}};
	if (!ref)
		return arena_printf(a, "found no controller for pod \"%s\"", meta_name(pod));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct object *o = str_eq(kind, kinds[i].kind) ? informer_get(kinds[i].in, ns, name) : NULL;
		if (!o || !str_eq(o->uid, uid))
			continue;
		struct json *t = object_tree(o, a);
		const struct json *above = meta_controller(t);
		struct object *deployment = str_eq(json_path_str(above, "kind"), "Deployment")
						? informer_get(d->deployments, ns, json_path_str(above, "name"))
						: NULL;
		if (deployment && str_eq(deployment->uid, json_path_str(above, "uid"))) {
			o = deployment;
			t = object_tree(o, a);
		}
		*ret = (struct scale){o->uid, json_path_int(t, "spec.replicas", 1)};
		return NULL;
	}
	return arena_printf(a, "%s \"%s\" of pod \"%s\" does not implement the scale subresource", str_or(kind, ""),
			    str_or(name, ""), meta_name(pod));
}

struct plan {
	int64_t expected, desired, healthy, allowed;
	const char *failure; /* why it can't be known */
};

static int64_t expected_scale(struct disruption *d, struct arena *a, const char *ns, struct json *const *pods, size_t n,
			      const char **ret_failure)
{
	struct scale *seen = arena_zalloc(a, (n + 1) * sizeof(*seen));
	size_t n_seen = 0;
	int64_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		struct scale s;
		bool known = false;
		const char *why = scale_of(d, a, ns, pods[i], &s);
		if (why) {
			*ret_failure = why;
			return 0;
		}
		for (size_t k = 0; k < n_seen; k++)
			known |= str_eq(seen[k].uid, s.uid);
		if (known)
			continue;
		seen[n_seen++] = s;
		sum += s.replicas;
	}
	return sum;
}

static void plan_counts(struct disruption *d, struct arena *a, const struct json *budget, const char *ns,
			struct json *const *pods, size_t n, struct plan *p)
{
	const struct json *min = json_path(budget, "spec.minAvailable"),
			  *max = json_path(budget, "spec.maxUnavailable");
	p->expected = (int64_t)n;
	if (max) {
		p->expected = expected_scale(d, a, ns, pods, n, &p->failure);
		p->desired = MAX_OF(p->expected - int_or_percent(max, p->expected, true, 0), 0);
	} else if (json_is(min, JSON_STRING)) {
		p->expected = expected_scale(d, a, ns, pods, n, &p->failure);
		p->desired = int_or_percent(min, p->expected, true, 0);
	} else {
		p->desired = json_int(min, 1);
	}
}

/* ---- pods on their way out ---- */

/* Of disruptedPods what still waits for its deletion; *again_ms: when the next one has waited long enough. */
static struct json *still_disrupted(struct disruption *d, struct arena *a, const struct json *budget,
				    struct json *const *pods, size_t n, struct object *about, int64_t *again_ms)
{
	struct json *left = json_new(a, JSON_OBJECT), *all = json_path(budget, "status.disruptedPods");
	for (size_t i = 0; i < n; i++) {
		const struct json *since = json_get(all, meta_name(pods[i]));
		int64_t at;
		if (!since || meta_deleting(pods[i]) || time_parse(str_or(json_str(since), ""), &at) < 0)
			continue;
		int64_t wait_ms = (at - now_ns()) / 1000000 + DELETION_TIMEOUT_S * 1000;
		if (wait_ms <= 0) {
			recorder_event(d->events, about, "Warning", "NotDeleted",
				       "Pod was expected by PDB %s/%s to be deleted but it wasn't", about->ns,
				       about->name);
			continue;
		}
		json_set(a, left, meta_name(pods[i]), json_clone(a, since));
		*again_ms = *again_ms ? MIN_OF(*again_ms, wait_ms) : wait_ms;
	}
	return left;
}

/* ---- the sync ---- */

static void set_status(struct arena *a, struct json *t, const struct plan *p, struct json *disrupted)
{
	struct json *status = json_object_in(a, t, "status");
	json_set_int(a, status, "currentHealthy", p->healthy);
	json_set_int(a, status, "desiredHealthy", p->desired);
	json_set_int(a, status, "expectedPods", p->expected);
	json_set_int(a, status, "disruptionsAllowed", p->allowed);
	json_set_int(a, status, "observedGeneration", meta_generation(t));
	if (json_len(disrupted))
		json_set(a, status, "disruptedPods", disrupted);
	else
		json_remove(status, "disruptedPods");
	meta_set_condition(a, t, "DisruptionAllowed", p->allowed > 0 ? "True" : "False",
			   p->allowed > 0 ? "SufficientPods" : "InsufficientPods", "", now_ns());
	json_set_int(a, meta_condition(t, "DisruptionAllowed"), "observedGeneration", meta_generation(t));
}

/* Nobody is evicted on a guess. */
static void set_failure(struct arena *a, struct json *t, const char *why)
{
	json_set_int(a, json_object_in(a, t, "status"), "disruptionsAllowed", 0);
	json_set_int(a, json_object_in(a, t, "status"), "observedGeneration", meta_generation(t));
	meta_set_condition(a, t, "DisruptionAllowed", "False", "SyncFailed", why, now_ns());
	json_set_int(a, meta_condition(t, "DisruptionAllowed"), "observedGeneration", meta_generation(t));
}

static void sync_budget(void *arg, struct sync *s)
{
	struct disruption *d = arg;
	struct object *o = informer_get_key(d->budgets, s->key);
	if (!o)
		return;
	struct arena *a = &s->arena;
	struct json *t = object_tree(o, a);
	struct object_list l = informer_select(d->pods, a, o->ns, selector_of(a, t));
	struct json **pods = arena_alloc(a, (l.n + 1) * sizeof(*pods));
	struct plan p = {0};
	int64_t again_ms = 0;
	for (size_t i = 0; i < l.n; i++)
		pods[i] = object_tree(l.at[i], a);
	if (!l.n)
		recorder_event(d->events, o, "Normal", "NoPods", "No matching pods found");
	plan_counts(d, a, t, o->ns, pods, l.n, &p);
	if (p.failure) {
		recorder_event(d->events, o, "Warning", "CalculateExpectedPodCountFailed",
			       "Failed to calculate the number of expected pods: %s", p.failure);
		set_failure(a, t, p.failure);
	} else {
		struct json *disrupted = still_disrupted(d, a, t, pods, l.n, o, &again_ms);
		for (size_t i = 0; i < l.n; i++)
			p.healthy +=
			    !meta_deleting(pods[i]) && !json_get(disrupted, meta_name(pods[i])) && pod_ready(pods[i]);
		p.allowed = p.expected > 0 ? MAX_OF(p.healthy - p.desired, 0) : 0;
		set_status(a, t, &p, disrupted);
	}
	/* Guarded: an eviction that was charged meanwhile is not to be given back. */
	sync_patch(s, d->client, o, t, "status", true, NULL, NULL);
	if (again_ms)
		sync_again_after(s, again_ms);
}

/* ---- pods wake their budgets ---- */

static void pod_changed(void *arg, struct object *pod)
{
	struct disruption *d = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	if (!informer_index_count(d->budgets, index_namespace, pod->ns))
		return;
	struct object_list l = informer_by_index(d->budgets, &a, index_namespace, pod->ns);
	for (size_t i = 0; i < l.n; i++)
		if (label_selector_match(selector_of(&a, object_tree(l.at[i], &a)), pod))
			workqueue_add_object(d->queue, l.at[i]);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	pod_changed(arg, old);
	pod_changed(arg, pod);
}

static void *start(const struct controller_env *e)
{
	struct disruption *d = NEW(struct disruption);
	d->client = e->client;
	d->events = controller_recorder(e, "controllermanager");
	d->queue = controller_queue(e, "disruption", sync_budget, d);
	struct informer_handlers h = enqueue_handlers(d->queue);
	d->budgets = controller_watch(e, "policy", "poddisruptionbudgets", &h);
	d->replicasets = controller_watch(e, "apps", "replicasets", NULL);
	d->deployments = controller_watch(e, "apps", "deployments", NULL);
	d->statefulsets = controller_watch(e, "apps", "statefulsets", NULL);
	d->controllers = controller_watch(e, "", "replicationcontrollers", NULL);
	d->pods =
	    controller_watch(e, "", "pods",
			     &(struct informer_handlers){
				 .on_add = pod_changed, .on_update = pod_updated, .on_delete = pod_changed, .arg = d});
	return d;
}

const struct controller_ops disruption_controller = {
    .name = "disruption-controller",
    .start = start,
    .stop = free,
};
