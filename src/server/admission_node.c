/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TaintNodesByCondition: a node is born not ready, until the node lifecycle controller has seen it.
 * StorageObjectInUseProtection: volumes and claims can't go while somebody uses them (their controllers remove the
 * finalizer).
 */
#include "api/meta.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"

#define TAINT_NOT_READY "node.kubernetes.io/not-ready"

static int taint(const struct admission *a, struct status *err)
{
	(void)err;
	if (*a->subresource)
		return 0;
	struct json *taints = json_array_in(a->arena, json_object_in(a->arena, a->object, "spec"), "taints");
	JSON_EACH(t, taints)
		if (str_eq(json_path_str(t, "key"), TAINT_NOT_READY) &&
		    str_eq(json_path_str(t, "effect"), "NoSchedule"))
			return 0;
	struct json *t = json_append(taints, json_new(a->arena, JSON_OBJECT));
	json_set_str(a->arena, t, "key", TAINT_NOT_READY);
	json_set_str(a->arena, t, "effect", "NoSchedule");
	return 0;
}

const struct admission_plugin admission_taint_nodes_by_condition = {
    .name = "TaintNodesByCondition",
    .operations = ADMIT_CREATE,
    .group = "",
    .resource = "nodes",
    .mutate = taint,
};

static int protect(const struct admission *a, struct status *err)
{
	(void)err;
	if (*a->subresource)
		return 0;
	if (str_eq(a->resource->plural, "volumeattributesclasses"))
		meta_add_finalizer(a->arena, a->object, "kubernetes.io/vac-protection");
	if (*a->resource->group)
		return 0;
	if (str_eq(a->resource->plural, "persistentvolumeclaims"))
		meta_add_finalizer(a->arena, a->object, "kubernetes.io/pvc-protection");
	else if (str_eq(a->resource->plural, "persistentvolumes"))
		meta_add_finalizer(a->arena, a->object, "kubernetes.io/pv-protection");
	return 0;
}

const struct admission_plugin admission_storage_object_in_use = {
    .name = "StorageObjectInUseProtection",
    .operations = ADMIT_CREATE,
    .mutate = protect,
};
