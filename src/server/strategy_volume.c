/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumes and PersistentVolumeClaims: their first status, when a phase began, where data comes from. */
#include "api/meta.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "server/registry_internal.h"

/* ---- volumes ---- */

static struct json *time_now(struct arena *a)
{
	char text[TIME_RFC3339_MAX];
	return json_new_str(a, arena_strdup(a, time_format(now_ns(), text)));
}

static void prepare_volume(struct write_op *op)
{
	struct arena *a = op->arena;
	struct json *status = json_set(a, op->tree, "status", json_new(a, JSON_OBJECT));
	json_set_str(a, status, "phase", "Pending");
	json_set(a, status, "lastPhaseTransitionTime", time_now(a));
}

/* The time of a change of phase, unless the client says it. */
static struct json *merge_volume_status(struct write_op *op, const struct json *old, struct json *sent,
					struct status *err)
{
	static const char key[] = "lastPhaseTransitionTime";
	struct arena *a = op->arena;
	struct json *tree = status_merge(op, old, sent, err), *status = json_object_in(a, tree, "status");
	const struct json *was = json_path(old, "status.lastPhaseTransitionTime"), *is = json_get(status, key);
	bool same = str_eq(json_path_str(old, "status.phase"), json_path_str(status, "phase"));
	if (same && !is && was)
		json_set(a, status, key, json_clone(a, was));
	else if (!same && (!is || json_equal(is, was)))
		json_set(a, status, key, time_now(a));
	return tree;
}

static const struct subresource_ops volume_subresources[] = {{.name = "status", .merge = merge_volume_status}, {0}};

const struct strategy strategy_pvs = {
    .group = "", .plural = "persistentvolumes", .prepare_create = prepare_volume, .subresources = volume_subresources};

/* ---- claims ---- */

/*
 * A claim's dataSource, which knows claims and snapshots only, and dataSourceRef, which knows any kind, say the same
 * where both can. A source of another kind was never looked at in dataSource and is dropped; one in another namespace
 * is not supported.
 */
static void settle_sources(struct write_op *op)
{
	static const char *const members[] = {"apiGroup", "kind", "name"};
	struct arena *a = op->arena;
	struct json *spec = json_object_in(a, op->tree, "spec"), *source = json_get(spec, "dataSource");
	const struct json *old = json_get(op->old_tree, "spec");
	if (!str_empty(json_path_str(spec, "dataSourceRef.namespace")) && !json_get(old, "dataSourceRef"))
		json_remove(spec, "dataSourceRef");
	struct json *ref = json_get(spec, "dataSourceRef");
	const char *group = str_or(json_path_str(source, "apiGroup"), ""), *kind = json_path_str(source, "kind");
	bool known = (!*group && str_eq(kind, "PersistentVolumeClaim")) ||
		     (str_eq(group, "snapshot.storage.k8s.io") && str_eq(kind, "VolumeSnapshot"));
	bool had = json_get(old, "dataSource") || json_get(old, "dataSourceRef");
	if (source && !known && !had && !ref) {
		json_remove(spec, "dataSource");
		return;
	}
	if (source && !ref) {
		json_set(a, spec, "dataSourceRef", json_clone(a, source));
	} else if (ref && !source && str_empty(json_path_str(ref, "namespace"))) {
		source = json_object_in(a, spec, "dataSource");
		for (size_t i = 0; i < ARRAY_SIZE(members); i++)
			if (json_get(ref, members[i]))
				json_set(a, source, members[i], json_clone(a, json_get(ref, members[i])));
	}
}

static void prepare_claim(struct write_op *op)
{
	struct json *status = json_set(op->arena, op->tree, "status", json_new(op->arena, JSON_OBJECT));
	json_set_str(op->arena, status, "phase", "Pending");
	settle_sources(op);
}

const struct strategy strategy_pvcs = {
    .group = "", .plural = "persistentvolumeclaims", .prepare_create = prepare_claim, .prepare_update = settle_sources};
