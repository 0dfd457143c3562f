/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces: Active → Terminating (deleted, spec.finalizers hold it while its contents go) → gone, when the namespace
 * controller has emptied spec.finalizers through the finalize subresource.
 */
#include "api/meta.h"
#include "base/json.h"
#include "base/str.h"
#include "server/registry_internal.h"

static void prepare_create(struct write_op *op)
{
	struct arena *a = op->arena;
	struct json *finalizers = json_array_in(a, json_object_in(a, op->tree, "spec"), "finalizers");
	bool has = false;
	JSON_EACH(f, finalizers)
		has |= str_eq(json_str(f), "kubernetes");
	if (!has)
		json_append(finalizers, json_new_str(a, "kubernetes"));
	json_set(a, op->tree, "status", json_new(a, JSON_OBJECT));
	json_set_path(a, op->tree, "status.phase", json_new_str(a, "Active"));
	meta_set_label(a, op->tree, "kubernetes.io/metadata.name", op->name);
}

static void prepare_update(struct write_op *op)
{
	struct json *old = json_path(op->old_tree, "spec.finalizers");
	if (old)
		json_set_path(op->arena, op->tree, "spec.finalizers", json_clone(op->arena, old));
	else
		json_remove(json_get(op->tree, "spec"), "finalizers");
	meta_set_label(op->arena, op->tree, "kubernetes.io/metadata.name", op->name);
}

static bool may_remove(struct write_op *op, const struct json *tree)
{
	(void)op;
	return json_len(json_path(tree, "spec.finalizers")) == 0;
}

static void begin_delete(struct write_op *op)
{
	/* It waits for its contents, not for a time. */
	json_remove(json_get(op->tree, "metadata"), "deletionGracePeriodSeconds");
	json_set_path(op->arena, op->tree, "status.phase", json_new_str(op->arena, "Terminating"));
}

static struct json *merge_finalize(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	struct json *tree = json_clone(op->arena, old), *finalizers = json_path(sent, "spec.finalizers");
	(void)err;
	json_set_path(op->arena, tree, "spec.finalizers",
		      finalizers ? json_clone(op->arena, finalizers) : json_new(op->arena, JSON_ARRAY));
	if (!json_len(finalizers))
		json_remove(json_get(tree, "spec"), "finalizers");
	return tree;
}

static const struct subresource_ops subresources[] = {{.name = "finalize", .merge = merge_finalize}, {0}};

const struct strategy strategy_namespaces = {
    .group = "",
    .plural = "namespaces",
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .may_remove = may_remove,
    .begin_delete = begin_delete,
    .subresources = subresources,
};
