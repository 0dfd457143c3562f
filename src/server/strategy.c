/* SPDX-License-Identifier: Apache-2.0 */
/* Which strategy belongs to which resource, and the subresources that many kinds share: status and scale. */
#include "api/meta.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/registry_internal.h"

static const struct strategy strategy_plain = {0};

static const struct strategy *const strategies[] = {
    &strategy_pods,
    &strategy_services,
    &strategy_namespaces,
    &strategy_nodes,
    &strategy_limit_ranges,
    &strategy_endpoint_slices,
    &strategy_secrets,
    &strategy_serviceaccounts,
    &strategy_csrs,
    &strategy_pvs,
    &strategy_pvcs,
    &strategy_bindings,
    &strategy_jobs,
    &strategy_replicationcontrollers,
    &strategy_device_taint_rules,
    &strategy_daemon_sets,
    &strategy_self_subject_access,
    &strategy_subject_access,
    &strategy_local_subject_access,
    &strategy_self_subject_rules,
    &strategy_token_reviews,
    &strategy_self_subject,
    &strategy_definitions,
};

const struct strategy *strategy_find(const struct resource *row)
{
	for (size_t i = 0; i < ARRAY_SIZE(strategies); i++)
		if (str_eq(strategies[i]->plural, row->plural) && str_eq(strategies[i]->group, row->group))
			return strategies[i];
	return &strategy_plain;
}

/* ---- status ---- */

/*
 * metadata may be written with the status, but for the owners (upstream's status strategies agree on that); in younger
 * kinds nothing of it but who wrote what.
 */
struct json *metadata_merge(struct write_op *op, const struct json *old, const struct json *sent)
{
	static const char *const kept[] = {"ownerReferences", "labels", "annotations", "finalizers"};
	struct arena *a = op->arena;
	struct json *tree = json_clone(a, old), *meta = json_get(sent, "metadata");
	if (!meta)
		return tree;
	meta = json_set(a, tree, "metadata", json_clone(a, meta));
	for (size_t i = 0; i < (op->row->status_only ? ARRAY_SIZE(kept) : 1); i++) {
		struct json *v = json_get(json_get(old, "metadata"), kept[i]);
		json_remove(meta, kept[i]);
		if (v)
			json_set(a, meta, kept[i], json_clone(a, v));
	}
	return tree;
}

struct json *status_merge(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	struct arena *a = op->arena;
	struct json *tree = metadata_merge(op, old, sent), *status = json_get(sent, "status");
	(void)err;
	if (status)
		json_set(a, tree, "status", json_clone(a, status));
	else
		json_remove(tree, "status");
	return tree;
}

static const struct subresource_ops status_ops = {.name = "status", .merge = status_merge};

/* ---- scale ---- */

static const char *selector_text(struct arena *a, const struct json *selector)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct label_selector *s = NULL;
	/* ReplicationController's selector is a plain map, those of the others have matchLabels and matchExpressions.
	 */
	bool map = !json_get(selector, "matchLabels") && !json_get(selector, "matchExpressions");
	if (!json_len(selector) ||
	    (map ? label_selector_from_map(a, selector, &s) : label_selector_from_json(a, selector, &s, &err)) < 0)
		return "";
	label_selector_format(s, &out);
	return arena_strdup(a, buf_str(&out));
}

static struct json *view_scale(struct arena *a, const struct resource *row, const struct json *tree)
{
	static const char *const kept[] = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"};
	struct json *s = json_new(a, JSON_OBJECT), *meta = json_new(a, JSON_OBJECT);
	(void)row;
	json_set_str(a, s, "kind", "Scale");
	json_set_str(a, s, "apiVersion", "autoscaling/v1");
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *v = json_path_str(json_get(tree, "metadata"), kept[i]);
		if (v)
			json_set_str(a, meta, kept[i], v);
	}
	json_set(a, s, "metadata", meta);
	struct json *spec = json_set(a, s, "spec", json_new(a, JSON_OBJECT));
	int64_t replicas = json_path_int(tree, "spec.replicas", 1);
	if (replicas)
		json_set_int(a, spec, "replicas", replicas);
	struct json *status = json_set(a, s, "status", json_new(a, JSON_OBJECT));
	json_set_int(a, status, "replicas", json_path_int(tree, "status.replicas", 0));
	const char *selector = selector_text(a, json_path(tree, "spec.selector"));
	if (*selector)
		json_set_str(a, status, "selector", selector);
	return s;
}

static struct json *merge_scale(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	int64_t replicas = json_path_int(sent, "spec.replicas", 0);
	if (replicas < 0) {
		status_cause(err, "FieldValueInvalid", "spec.replicas",
			     "Invalid value: %lld: must be greater than or equal to 0", (long long)replicas);
		status_invalid(err, "autoscaling", "Scale", op->name);
		return NULL;
	}
	struct json *tree = json_clone(op->arena, old);
	json_set_path(op->arena, tree, "spec.replicas", json_new_int(op->arena, replicas));
	/* The answer is a Scale again, and its revision is that of the object: made after the commit. */
	return tree;
}

const struct subresource_ops scale_ops = {.name = "scale", .view = view_scale, .merge = merge_scale};

const struct subresource_ops *strategy_subresource(const struct strategy *s, const struct resource *row,
						   const char *name)
{
	for (const struct subresource_ops *o = s->subresources; o && o->name; o++)
		if (str_eq(o->name, name))
			return o;
	if (!resource_subresource(row, name))
		return NULL;
	if (str_eq(name, "status"))
		return &status_ops;
	return str_eq(name, "scale") ? &scale_ops : NULL;
}

struct json *status_success(struct arena *a)
{
	struct json *s = json_new(a, JSON_OBJECT);
	json_set_str(a, s, "kind", "Status");
	json_set_str(a, s, "apiVersion", "v1");
	json_set(a, s, "metadata", json_new(a, JSON_OBJECT));
	json_set_str(a, s, "status", "Success");
	return s;
}
