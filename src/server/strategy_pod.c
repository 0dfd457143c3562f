/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: first status, binding to a node, eviction under disruption budgets, resize, graceful deletion. */
#include "api/meta.h"
#include "api/object.h"
#include "api/pod_resources.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/registry_internal.h"

#define POD_GRACE_SECONDS 30 /* upstream's default terminationGracePeriodSeconds */

/* A requirement of a selector: the pod's own value of a label. */
static void add_requirement(struct arena *a, struct json *selector, const char *key, const char *operator,
			    const char * value)
{
	struct json *e = json_append(json_array_in(a, selector, "matchExpressions"), json_new(a, JSON_OBJECT));
	json_set_str(a, e, "key", key);
	json_set_str(a, e, "operator", operator);
	json_append(json_array_in(a, e, "values"), json_new_str(a, value));
}

/* matchLabelKeys and mismatchLabelKeys become part of the selector beside them, with the labels that the pod has now.
 */
static void merge_label_keys(struct write_op *op, struct json *term)
{
	static const char *const members[][2] = {{"matchLabelKeys", "In"}, {"mismatchLabelKeys", "NotIn"}};
	struct json *selector = json_get(term, "labelSelector");
	if (!json_is(selector, JSON_OBJECT))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		JSON_EACH(k, json_get(term, members[i][0])) {
			const char *value = json_str(k) ? meta_label(op->tree, json_str(k)) : NULL;
			if (value)
				add_requirement(op->arena, selector, json_str(k), members[i][1], value);
		}
}

static void merge_placement_keys(struct write_op *op)
{
	static const char *const kinds[] = {"affinity.podAffinity", "affinity.podAntiAffinity"};
	struct json *spec = json_get(op->tree, "spec");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct json *k = json_path(spec, kinds[i]);
		JSON_EACH(t, json_get(k, "requiredDuringSchedulingIgnoredDuringExecution"))
			merge_label_keys(op, t);
		JSON_EACH(t, json_get(k, "preferredDuringSchedulingIgnoredDuringExecution"))
			merge_label_keys(op, json_get(t, "podAffinityTerm"));
	}
	JSON_EACH(t, json_get(spec, "topologySpreadConstraints"))
		merge_label_keys(op, t);
}

static void prepare_create(struct write_op *op)
{
	merge_placement_keys(op);
	struct json *status = json_set(op->arena, op->tree, "status", json_new(op->arena, JSON_OBJECT));
	json_set_str(op->arena, status, "phase", "Pending");
	json_set_str(op->arena, status, "qosClass", pod_qos_class(op->tree));
	if (json_len(json_path(op->tree, "spec.schedulingGates")))
		meta_set_condition(op->arena, op->tree, "PodScheduled", "False", "SchedulingGated",
				   "Scheduling is blocked due to non-empty scheduling gates", now_ns());
}

/* ---- deletion ---- */

static int64_t grace(const struct json *pod, int64_t asked)
{
	const char *phase = json_path_str(pod, "status.phase");
	int64_t s = asked >= 0 ? asked : json_path_int(pod, "spec.terminationGracePeriodSeconds", POD_GRACE_SECONDS);
	/* Nothing runs: no node has it, or it has ended. */
	if (str_empty(json_path_str(pod, "spec.nodeName")) || str_eq(phase, "Succeeded") || str_eq(phase, "Failed"))
		return 0;
	return s < 0 ? 1 : s;
}

/* ---- subresources that write a part ---- */

static struct json *merge_status(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	struct arena *a = op->arena;
	struct json *tree = json_clone(a, old), *meta = json_get(sent, "metadata"), *status = json_get(sent, "status");
	struct json *owners = json_path(old, "metadata.ownerReferences");
	const char *qos = json_path_str(old, "status.qosClass");
	(void)err;
	if (meta) {
		meta = json_set(a, tree, "metadata", json_clone(a, meta));
		json_remove(meta, "ownerReferences");
		if (owners)
			json_set(a, meta, "ownerReferences", json_clone(a, owners));
	}
	status = json_set(a, tree, "status", status ? json_clone(a, status) : json_new(a, JSON_OBJECT));
	if (qos)
		json_set_str(a, status, "qosClass", qos);
	return tree;
}

static struct json *merge_ephemeral(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	struct json *tree = json_clone(op->arena, old), *list = json_path(sent, "spec.ephemeralContainers");
	(void)err;
	if (list)
		json_set_path(op->arena, tree, "spec.ephemeralContainers", json_clone(op->arena, list));
	return tree;
}

static struct json *merge_resize(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	static const char *const lists[] = {"containers", "initContainers"};
	struct json *tree = json_clone(op->arena, old);
	(void)err;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct json *to = json_get(json_get(tree, "spec"), lists[i]);
		JSON_EACH(from, json_get(json_get(sent, "spec"), lists[i]))
			JSON_EACH(c, to)
				if (str_eq(json_path_str(c, "name"), json_path_str(from, "name")) &&
				    json_get(from, "resources"))
					json_set(op->arena, c, "resources",
						 json_clone(op->arena, json_get(from, "resources")));
	}
	return tree;
}

/* ---- binding ---- */

static void merge_strings(struct arena *a, struct json *into, const char *member, const struct json *from)
{
	if (!json_len(from))
		return;
	struct json *map = json_object_in(a, into, member);
	JSON_EACH(v, from)
		json_set(a, map, v->key, json_clone(a, v));
}

void op_bind(struct write_op *op, const struct json *binding)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct arena *a = op->arena;
	const char *node = json_path_str(binding, "target.name"), *kind = json_path_str(binding, "target.kind");
	const char *uid = meta_uid(binding);
	if (str_empty(node) || (!str_empty(kind) && !str_eq(kind, "Node"))) {
		status_cause(&err, "FieldValueRequired", "target.name", "Required value");
		status_invalid(&err, "", "Binding", op->name);
		op_fail(op, &err);
		return;
	}
	if (op_load(op, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	const char *bound = json_path_str(op->old_tree, "spec.nodeName"), *why = NULL;
	if (*uid && !str_eq(uid, op->old->uid))
		why = arena_printf(a, "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
				   op->old->uid);
	else if (meta_deleting(op->old_tree))
		why = arena_printf(a, "pod %s is being deleted, cannot be assigned to a host", op->name);
	else if (!str_empty(bound))
		why = arena_printf(a, "pod %s is already assigned to node \"%s\"", op->name, bound);
	if (why) {
		status_conflict(&err, "", "pods/binding", op->name, why);
		op_fail(op, &err);
		return;
	}
	op->tree = json_clone(a, op->old_tree);
	json_set_path(a, op->tree, "spec.nodeName", json_new_str(a, node));
	merge_strings(a, meta_of(a, op->tree), "annotations", json_path(binding, "metadata.annotations"));
	merge_strings(a, meta_of(a, op->tree), "labels", json_path(binding, "metadata.labels"));
	meta_set_condition(a, op->tree, "PodScheduled", "True", NULL, NULL, now_ns());
	struct json *condition = meta_condition(op->tree, "PodScheduled");
	if (!json_get(condition, "lastProbeTime"))
		json_set(a, condition, "lastProbeTime", json_new(a, JSON_NULL));
	op->answer = status_success(a);
	op->code = 201;
	enum store_error e = op_store(op, op->old->rev);
	if (e != STORE_OK)
		op_store_result(op, e);
}

static void create_binding(struct write_op *op)
{
	op_bind(op, op->tree);
}

/* POST …/bindings: the older way, with the pod's name in the object. */
static void create_legacy_binding(struct write_op *op)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	struct json *binding = op->tree;
	op->row = resource_by_plural("", "pods");
	op->name = meta_name(binding);
	resource_key(op->row, op->ns, op->name, &key);
	op->key = arena_strdup(op->arena, buf_str(&key));
	op_bind(op, binding);
}

const struct strategy strategy_bindings = {.group = "", .plural = "bindings", .review = create_legacy_binding};

static const struct subresource_ops subresources[] = {
    {.name = "status", .merge = merge_status}, {.name = "ephemeralcontainers", .merge = merge_ephemeral},
    {.name = "resize", .merge = merge_resize}, {.name = "binding", .create = create_binding},
    {.name = "eviction", .create = op_evict},  {0},
};

const struct strategy strategy_pods = {
    .group = "",
    .plural = "pods",
    .prepare_create = prepare_create,
    .grace = grace,
    .returns_deleted = true,
    .subresources = subresources,
};
