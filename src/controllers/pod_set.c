/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/pod_set.h"

#include <stdlib.h>

#include "api/selector.h"
#include "base/map.h"
#include "controllers/controller.h"
#include "controllers/expectations.h"
#include "controllers/util.h"

void pod_set_prepare(struct informer *pods)
{
	informer_add_index(pods, index_controller);
	informer_add_index(pods, index_orphan_ns);
}

static void on_claimed(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	/* Gone, or changed meanwhile: the next sync sees it as it is. */
	if (err && err->code != 404 && err->code != 409 && err->code != 422)
		sync_fail(s, err);
}

static void adopt(struct sync *s, struct client *c, struct object *owner, struct object *pod)
{
	struct json *tree = object_tree(pod, &s->arena);
	meta_set_owner(&s->arena, tree, meta_controller_ref_to(&s->arena, owner));
	sync_patch(s, c, pod, tree, NULL, true, on_claimed, NULL);
}

static void release(struct sync *s, struct client *c, struct object *owner, struct object *pod)
{
	struct json *tree = object_tree(pod, &s->arena);
	struct json *refs = json_path(tree, "metadata.ownerReferences");
	JSON_EACH(ref, refs) {
		if (!str_eq(json_path_str(ref, "uid"), owner->uid))
			continue;
		json_remove_child(refs, ref);
		break;
	}
	sync_patch(s, c, pod, tree, NULL, true, on_claimed, NULL);
}

struct pod_set pod_set_claim(struct sync *s, struct client *c, struct informer *pods, struct object *owner,
			     const struct label_selector *selector)
{
	struct object_list own = informer_by_index(pods, &s->arena, index_controller, owner->uid);
	struct pod_set set = {.pods = arena_alloc(&s->arena, (own.n + 1) * sizeof(*set.pods))};
	for (size_t i = 0; i < own.n; i++) {
		struct object *pod = own.at[i];
		if (!label_selector_match(selector, pod)) {
			if (!owner->deleting && !pod->deleting)
				release(s, c, owner, pod);
			continue;
		}
		set.pods[set.n++] = (struct set_pod){.obj = pod, .tree = object_tree(pod, &s->arena)};
	}
	if (owner->deleting)
		return set;
	struct object_list orphans = informer_by_index(pods, &s->arena, index_orphan_ns, owner->ns);
	for (size_t i = 0; i < orphans.n; i++)
		if (!orphans.at[i]->deleting && label_selector_match(selector, orphans.at[i]))
			adopt(s, c, owner, orphans.at[i]);
	return set;
}

/* ---- ranking ---- */

struct rank {
	struct set_pod pod;
	bool assigned, ready;
	int phase; /* Pending before Unknown before Running */
	int64_t cost;
	int64_t ready_since, created, restarts;
	size_t neighbours; /* pods of the set on the same node */
};

static int rank_phase(const struct json *pod)
{
	const char *phase = json_path_str(pod, "status.phase");
	return str_eq(phase, "Running") ? 2 : str_eq(phase, "Unknown") ? 1 : 0;
}

static int64_t time_of(const char *text)
{
	int64_t ns;
	return text && time_parse(text, &ns) == 0 ? ns : 0;
}

/* Age in powers of two, so that pods made at about the same time are equal (LogarithmicScaleDown). */
static int log_age(int64_t since, int64_t now)
{
	int64_t s = (now - since) / 1000000000;
	int n = 0;
	for (; s > 0; s /= 2)
		n++;
	return n;
}

static int64_t rank_now; /* for the comparison, which has no argument */

static int compare(const void *pa, const void *pb)
{
	const struct rank *a = pa, *b = pb;
	/* In order of upstream's ActivePodsWithRanks; what is less is deleted first. */
	if (a->assigned != b->assigned)
		return a->assigned ? 1 : -1;
	if (a->phase != b->phase)
		return a->phase - b->phase;
	if (a->ready != b->ready)
		return a->ready ? 1 : -1;
	if (a->cost != b->cost)
		return a->cost < b->cost ? -1 : 1;
	if (a->neighbours != b->neighbours)
		return a->neighbours > b->neighbours ? -1 : 1;
	if (a->ready && b->ready && a->ready_since != b->ready_since) {
		int la = log_age(a->ready_since, rank_now), lb = log_age(b->ready_since, rank_now);
		if (la != lb)
			return la < lb ? -1 : 1; /* ready for a shorter time */
	}
	if (a->restarts != b->restarts)
		return a->restarts > b->restarts ? -1 : 1;
	if (a->created != b->created) {
		int la = log_age(a->created, rank_now), lb = log_age(b->created, rank_now);
		if (la != lb)
			return la < lb ? -1 : 1;
	}
	return strcmp(a->pod.obj->uid, b->pod.obj->uid);
}

void pod_set_rank(struct set_pod *pods, size_t n, int64_t now)
{
	struct rank *r = xcalloc(n ? n : 1, sizeof(*r));
	struct map nodes = MAP_INIT;
	for (size_t i = 0; i < n; i++) {
		const struct json *t = pods[i].tree;
		const char *node = json_path_str(t, "spec.nodeName");
		const char *cost = meta_annotation(t, "controller.kubernetes.io/pod-deletion-cost");
		r[i] = (struct rank){
		    .pod = pods[i],
		    .assigned = !str_empty(node),
		    .ready = pod_ready(t),
		    .phase = rank_phase(t),
		    .ready_since = time_of(json_path_str(meta_condition(t, "Ready"), "lastTransitionTime")),
		    .created = meta_created_ns(t),
		    .restarts = pod_restarts(t),
		};
		if (cost && parse_int_range(cost, INT32_MIN, INT32_MAX, &r[i].cost) < 0)
			r[i].cost = 0;
		if (r[i].assigned)
			map_set(&nodes, node, (void *)((uintptr_t)map_get(&nodes, node) + 1));
	}
	for (size_t i = 0; i < n; i++)
		if (r[i].assigned)
			r[i].neighbours =
			    (size_t)(uintptr_t)map_get(&nodes, json_path_str(pods[i].tree, "spec.nodeName"));
	rank_now = now;
	qsort(r, n, sizeof(*r), compare);
	for (size_t i = 0; i < n; i++)
		pods[i] = r[i].pod;
	map_release(&nodes, NULL);
	free(r);
}

/* ---- making and deleting ---- */

struct pass {
	struct pod_work w;
	unsigned left, batch, under_way;
	const char *failure;
	bool creating;
};

/* One pod to be deleted. */
struct deletion {
	struct pass *pass;
	const char *name, *uid;
};

static void pass_end(struct sync *s, struct pass *p)
{
	if (p->failure)
		sync_failf(s, "%s", p->failure);
	p->w.next(s, p->w.arg, p->failure, p->creating);
}

static void on_created(struct sync *s, void *arg, const struct status *err, struct object *pod);

static void create_batch(struct sync *s, struct pass *p)
{
	unsigned n = MIN_OF(p->batch, p->left);
	p->left -= n;
	p->batch *= 2;
	p->under_way = n;
	for (unsigned i = 0; i < n; i++) {
		struct json *pod = pod_from_template(&s->arena, p->w.template, p->w.owner, p->w.owner->name);
		sync_request(s, p->w.client,
			     &(struct client_request){
				 .verb = CLIENT_CREATE,
				 .resource = resource_by_plural("", "pods"),
				 .ns = p->w.owner->ns,
				 .body = pod,
			     },
			     on_created, p);
	}
}

static void on_created(struct sync *s, void *arg, const struct status *err, struct object *pod)
{
	struct pass *p = arg;
	if (!err) {
		recorder_event(p->w.recorder, p->w.owner, "Normal", "SuccessfulCreate", "Created pod: %s",
			       pod ? pod->name : "");
	} else {
		expectation_created(p->w.expectations, s->key);
		/* A namespace that is being deleted takes no more pods; the set goes with it. */
		bool terminating = err->code == 403 && err->message && strstr(err->message, "being terminated");
		if (!terminating) {
			recorder_event(p->w.recorder, p->w.owner, "Warning", "FailedCreate", "Error creating: %s",
				       str_or(err->message, ""));
			if (!p->failure)
				p->failure = arena_strdup(&s->arena, str_or(err->message, "failed"));
		} else {
			while (p->left) {
				p->left--;
				expectation_created(p->w.expectations, s->key);
			}
		}
	}
	if (--p->under_way)
		return;
	if (p->failure) {
		for (; p->left; p->left--)
			expectation_created(p->w.expectations, s->key);
	}
	if (p->left)
		create_batch(s, p);
	else
		pass_end(s, p);
}

void pod_set_create(struct sync *s, const struct pod_work *w, unsigned n)
{
	struct pass *p = ARENA_NEW(&s->arena, struct pass);
	*p = (struct pass){.w = *w, .left = MIN_OF(n, POD_SET_BURST), .batch = 1, .creating = true};
	sync_keep(s, w->owner);
	expect_creations(w->expectations, s->key, p->left, monotonic_ms());
	create_batch(s, p);
}

static void on_deleted(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct deletion *d = arg;
	struct pass *p = d->pass;
	if (!err) {
		recorder_event(p->w.recorder, p->w.owner, "Normal", "SuccessfulDelete", "Deleted pod: %s", d->name);
	} else {
		expectation_deleted(p->w.expectations, s->key, d->uid);
		recorder_event(p->w.recorder, p->w.owner, "Warning", "FailedDelete", "Error deleting: %s",
			       str_or(err->message, ""));
		if (!p->failure)
			p->failure = arena_strdup(&s->arena, str_or(err->message, "failed"));
	}
	if (--p->under_way == 0)
		pass_end(s, p);
}

void pod_set_delete(struct sync *s, const struct pod_work *w, const struct set_pod *pods, size_t n)
{
	struct pass *p = ARENA_NEW(&s->arena, struct pass);
	*p = (struct pass){.w = *w, .under_way = (unsigned)MIN_OF(n, POD_SET_BURST)};
	sync_keep(s, w->owner);
	for (size_t i = 0; i < p->under_way; i++) {
		struct deletion *d = ARENA_NEW(&s->arena, struct deletion);
		d->pass = p;
		d->name = arena_strdup(&s->arena, pods[i].obj->name);
		d->uid = arena_strdup(&s->arena, pods[i].obj->uid);
		expect_deletion(w->expectations, s->key, d->uid, monotonic_ms());
		sync_delete(s, w->client, pods[i].obj, NULL, on_deleted, d);
	}
}
