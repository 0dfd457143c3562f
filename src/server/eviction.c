/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST …/pods/NAME/eviction: a deletion that asks the pod's PodDisruptionBudget first. One disruption is taken from the
 * budget against its latest state, so that two evictions can't both take the last; then the pod is told by a condition,
 * then deleted. The budget's controller (controllers/disruption.c) counts again.
 */
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "server/registry_internal.h"

#define DISRUPTED_PODS_MAX 2000 /* evictions that the controller has not confirmed yet; upstream's number */
#define RETRY_AFTER_S 10	/* for a budget whose controller has not looked at it yet; upstream's number */

/* ---- steps, in the order they are taken ---- */

static void evicted(void *arg, const struct status *err, const struct write_result *result)
{
	struct write_op *op = arg;
	(void)result;
	if (err)
		op_fail(op, err);
	else
		op_finish_tree(op, 201, status_success(op->arena));
}

static void delete_pod(struct write_op *op)
{
	struct write_request w = op->req;
	w.verb = WRITE_DELETE;
	w.subresource = NULL;
	w.body = json_get(op->tree, "deleteOptions");
	w.done = evicted;
	w.arg = op;
	registry_write(op->reg, &w);
}

static void condition_set(void *arg, const struct status *err, const struct write_result *result)
{
	struct write_op *op = arg;
	if (err) {
		op_fail(op, err);
		return;
	}
	/* A revision that the client named was held against the pod as it was; that we changed it ourselves is fine. */
	struct json *asked = json_path(op->tree, "deleteOptions.preconditions");
	if (json_get(asked, "resourceVersion") && result->obj)
		json_set(op->arena, asked, "resourceVersion",
			 json_new_strf(op->arena, "%llu", (unsigned long long)result->obj->rev));
	delete_pod(op);
}

static void tell_pod(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	if (op->req.dry_run) {
		delete_pod(op);
		return;
	}
	if (op_load(op, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	struct json *pod = json_clone(op->arena, op->old_tree);
	meta_set_condition(op->arena, pod, "DisruptionTarget", "True", "EvictionByEvictionAPI",
			   "Eviction API: evicting", now_ns());
	struct write_request w = op->req;
	w.verb = WRITE_UPDATE;
	w.subresource = "status";
	w.body = pod;
	w.done = condition_set;
	w.arg = op;
	registry_write(op->reg, &w);
}

static void budget_charged(void *arg, const struct status *err, const struct write_result *result)
{
	struct write_op *op = arg;
	(void)result;
	if (err)
		op_fail(op, err);
	else
		tell_pod(op);
}

/* Takes one disruption from the budget. */
static void charge_budget(struct write_op *op, const struct object *o, struct json *budget)
{
	struct arena *a = op->arena;
	char text[TIME_RFC3339_MAX];
	int64_t left = json_path_int(budget, "status.disruptionsAllowed", 0) - 1;
	struct json *status = json_object_in(a, budget, "status");
	json_set_int(a, status, "disruptionsAllowed", left);
	json_set_str(a, json_object_in(a, status, "disruptedPods"), op->name, time_format(now_ns(), text));
	if (!left)
		meta_set_condition(a, budget, "DisruptionAllowed", "False", "InsufficientPods", "", now_ns());
	struct write_request w = op->req;
	w.verb = WRITE_UPDATE;
	w.resource = o->resource;
	w.name = o->name;
	w.subresource = "status";
	w.body = budget;
	w.done = budget_charged;
	w.arg = op;
	registry_write(op->reg, &w);
}

/* ---- may it? ---- */

struct budgets {
	struct write_op *op;
	const char *key; /* of the last that matches */
	unsigned n;
};

static bool match_budget(void *arg, struct object *o)
{
	struct budgets *b = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct label_selector *s = NULL;
	if (label_selector_from_json(&a, json_path(object_tree(o, &a), "spec.selector"), &s, &err) == 0 &&
	    label_selector_match(s, b->op->old)) {
		b->key = arena_strdup(b->op->arena, o->key);
		b->n++;
	}
	return true;
}

static bool counts_for_budget(const struct json *pod)
{
	static const char *const others[] = {"Succeeded", "Failed", "Pending", NULL};
	return !meta_deleting(pod) && !str_in(str_or(json_path_str(pod, "status.phase"), "Pending"), others);
}

static void refuse(struct write_op *op, int retry_after_s, const char *why)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	status_set(&err, 429, "Cannot evict pod as it would violate the pod's disruption budget.");
	status_cause(&err, "DisruptionBudget", "", "%s", why);
	err.retry_after_s = retry_after_s;
	op_fail(op, &err);
}

static void forbid(struct write_op *op, const char *budget, const char *why)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	status_set(&err, 403, "poddisruptionbudgets.policy \"%s\" is forbidden: %s", budget, why);
	status_details(&err, "policy", "poddisruptionbudgets", budget);
	op_fail(op, &err);
}

/* A pod that is not ready is no loss, unless its application is in trouble already and wants every pod it may get. */
static bool unhealthy_may_go(const struct json *pod, const struct json *budget)
{
	if (str_eq(meta_condition_status(pod, "Ready"), "True"))
		return false;
	if (str_eq(json_path_str(budget, "spec.unhealthyPodEvictionPolicy"), "AlwaysAllow"))
		return true;
	int64_t desired = json_path_int(budget, "status.desiredHealthy", 0);
	return desired > 0 && json_path_int(budget, "status.currentHealthy", 0) >= desired;
}

static void ask_budget(struct write_op *op, const struct object *o)
{
	struct arena *a = op->arena;
	struct json *budget = object_tree(o, a);
	int64_t allowed = json_path_int(budget, "status.disruptionsAllowed", 0);
	const struct json *synced = meta_condition(budget, "DisruptionAllowed");
	if (unhealthy_may_go(op->old_tree, budget)) {
		/* It is deleted as what was judged: should it become ready first, it counts again. */
		struct json *options = json_object_in(a, op->tree, "deleteOptions");
		struct json *conditions = json_object_in(a, options, "preconditions");
		if (!json_get(conditions, "resourceVersion"))
			json_set(a, conditions, "resourceVersion",
				 json_new_strf(a, "%llu", (unsigned long long)op->old->rev));
		tell_pod(op);
	} else if (json_path_int(budget, "status.observedGeneration", 0) < meta_generation(budget)) {
		refuse(op, RETRY_AFTER_S,
		       arena_printf(a, "The disruption budget %s is still being processed by the server.", o->name));
	} else if (allowed < 0) {
		forbid(op, o->name, "pdb disruptions allowed is negative");
	} else if (json_len(json_path(budget, "status.disruptedPods")) > DISRUPTED_PODS_MAX) {
		forbid(op, o->name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
	} else if (allowed > 0 && op->req.dry_run) {
		tell_pod(op);
	} else if (allowed > 0) {
		charge_budget(op, o, budget);
	} else if (str_eq(json_path_str(synced, "reason"), "SyncFailed")) {
		refuse(op, 0,
		       arena_printf(a,
				    "The disruption budget %s does not allow evicting pods currently because it failed "
				    "sync: %s",
				    o->name, str_or(json_path_str(synced, "message"), "")));
	} else {
		refuse(op, 0,
		       arena_printf(a, "The disruption budget %s needs %lld healthy pods and has %lld currently",
				    o->name, (long long)json_path_int(budget, "status.desiredHealthy", 0),
				    (long long)json_path_int(budget, "status.currentHealthy", 0)));
	}
}

/* What the eviction itself says: the right name, a revision and uid that must match. */
static int check_request(struct write_op *op, struct status *err)
{
	const char *name = meta_name(op->tree);
	const struct json *p = json_path(op->tree, "deleteOptions.preconditions");
	const char *uid = json_path_str(p, "uid"), *rev = json_path_str(p, "resourceVersion");
	if (*name && !str_eq(name, op->name))
		return status_set(err, 400, "name in URL does not match name in Eviction object");
	JSON_EACH(d, json_path(op->tree, "deleteOptions.dryRun"))
		op->req.dry_run |= str_eq(json_str(d), "All");
	if (op_load(op, err) < 0)
		return -1;
	const char *is = json_path_str(op->old_tree, "metadata.resourceVersion");
	if (uid && !str_eq(uid, op->old->uid))
		return status_conflict(
		    err, "", "pods", op->name,
		    arena_printf(op->arena, "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
				 op->old->uid));
	if (rev && !str_eq(rev, is))
		return status_conflict(
		    err, "", "pods", op->name,
		    arena_printf(op->arena,
				 "Precondition failed: ResourceVersion in precondition: %s, ResourceVersion in object "
				 "meta: %s",
				 rev, is));
	return 0;
}

void op_evict(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	const struct resource *row = resource_by_plural("policy", "poddisruptionbudgets");
	struct budgets b = {.op = op};
	struct admission ad = op_admission(op, ADMIT_CREATE);
	if (check_request(op, &err) < 0 || admission_mutate(&ad, &err) < 0 || admission_validate(&ad, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	if (counts_for_budget(op->old_tree)) {
		resource_key(registry_storage_row(row), op->ns, NULL, &prefix);
		store_each(op->reg->store, buf_str(&prefix), NULL, match_budget, &b);
	}
	struct object *budget = b.n == 1 ? store_get_latest(op->reg->store, b.key) : NULL;
	if (b.n > 1)
		op_failf(
		    op, 500,
		    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
	else if (budget)
		ask_budget(op, budget);
	else
		tell_pod(op);
}
