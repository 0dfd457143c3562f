/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: what status, ephemeralcontainers and resize write, binding to a node, graceful deletion. */
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "server/registry_internal.h"

#define POD_GRACE_SECONDS 30 /* upstream's default terminationGracePeriodSeconds */

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

/* Clients that don't know observedGeneration would clear it, for the pod and for its conditions of the same type. */
static void keep_observed_generations(struct arena *a, struct json *status, const struct json *old)
{
	static const char key[] = "observedGeneration";
	struct map before = MAP_INIT;
	if (!json_path_int(status, key, 0) && json_path_int(old, key, 0))
		json_set_int(a, status, key, json_path_int(old, key, 0));
	JSON_EACH(c, json_get(old, "conditions"))
		if (!map_has(&before, str_or(json_path_str(c, "type"), "")))
			map_set(&before, str_or(json_path_str(c, "type"), ""), c);
	JSON_EACH(c, json_get(status, "conditions")) {
		const struct json *was = map_get(&before, str_or(json_path_str(c, "type"), ""));
		if (!json_path_int(c, key, 0) && json_path_int(was, key, 0))
			json_set_int(a, c, key, json_path_int(was, key, 0));
	}
	map_release(&before, NULL);
}

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
	if (qos && str_empty(json_path_str(status, "qosClass")))
		json_set_str(a, status, "qosClass", qos);
	keep_observed_generations(a, status, json_get(old, "status"));
	return tree;
}

static void take_member(struct arena *a, struct json *to, const struct json *from, const char *key)
{
	const struct json *v = json_get(from, key);
	if (v)
		json_set(a, to, key, json_clone(a, v));
	else
		json_remove(to, key);
}

/* A list that is gone is taken over, too: validation says that containers may not be removed. */
static struct json *merge_ephemeral(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	struct json *tree = json_clone(op->arena, old);
	(void)err;
	take_member(op->arena, json_object_in(op->arena, tree, "spec"), json_get(sent, "spec"), "ephemeralContainers");
	return tree;
}

static bool same_names(const struct json *list, const struct json *other)
{
	const struct json *o = json_first(other);
	if (json_len(list) != json_len(other))
		return false;
	JSON_EACH(c, list) {
		if (!str_eq(json_path_str(c, "name"), json_path_str(o, "name")))
			return false;
		o = json_next(other, o);
	}
	return true;
}

/* Resources and how they are changed. Other containers than there were are taken over, for validation to refuse. */
static struct json *merge_resize(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	static const char *const lists[] = {"containers", "initContainers"};
	struct arena *a = op->arena;
	struct json *tree = json_clone(a, old), *spec = json_get(tree, "spec"), *from = json_get(sent, "spec");
	(void)err;
	take_member(a, spec, from, "resources");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct json *to = json_get(spec, lists[i]);
		const struct json *new = json_get(from, lists[i]), *n = json_first(new);
		if (!same_names(to, new)) {
			take_member(a, spec, from, lists[i]);
			continue;
		}
		JSON_EACH(c, to) {
			take_member(a, c, n, "resources");
			take_member(a, c, n, "resizePolicy");
			n = json_next(new, n);
		}
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
	if (!str_empty(kind) && !str_eq(kind, "Node"))
		status_cause(&err, "FieldValueNotSupported", "target.kind",
			     "Unsupported value: \"%.63s\": supported values: \"Node\", \"<empty>\"", kind);
	if (str_empty(node))
		status_cause(&err, "FieldValueRequired", "target.name", "Required value");
	if (status_invalid(&err, "", "Binding", op->name) < 0) {
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
	else if (json_len(json_path(op->old_tree, "spec.schedulingGates")))
		why = arena_printf(a, "pod %s has non-empty .spec.schedulingGates", op->name);
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
    .prepare_create = pod_prepare_create,
    .grace = grace,
    .subresources = subresources,
};
