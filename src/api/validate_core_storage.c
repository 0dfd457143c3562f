/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumes and PersistentVolumeClaims. */
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_internal.h"
#include "api/validate_volume_sources.h"
#include "base/status.h"
#include "base/str.h"

#define CLASS_ANNOTATION "volume.beta.kubernetes.io/storage-class"

static const char *const volume_modes[] = {"Block", "Filesystem", NULL};

static void check_access_modes(struct check *c, const char *at, const struct json *modes)
{
	static const char *const known[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
	bool pod = false, other = false;

	EACH_ITEM(m, modes) {
		const char *mode = str_or(json_str(m), "");
		if (!str_in(mode, known))
			bad_unsupported(c, at, mode, known);
		else if (str_eq(mode, "ReadWriteOncePod"))
			pod = true;
		else
			other = true;
	}
	if (pod && other)
		bad_forbidden(c, at, "may not use ReadWriteOncePod with other access modes");
}

static bool not_positive(const struct json *v)
{
	struct quantity q;

	return quantity_from_json(v, &q) == 0 && q.nano <= 0;
}

/* ---- volumes ---- */

static void check_capacity(struct check *c, const struct json *capacity)
{
	static const char *const storage[] = {"storage", NULL};

	if (!json_len(capacity))
		bad_required(c, "spec.capacity", NULL);
	if (json_len(capacity) != 1 || !json_get(capacity, "storage"))
		bad_unsupported(c, "spec.capacity", capacity ? json_to_string(&c->arena, capacity) : "", storage);
	if (json_is(capacity, JSON_OBJECT))
		JSON_EACH(v, capacity)
			if (not_positive(v))
				bad_invalid(c, PATH(c, "spec.capacity[%s]", v->key), v, "must be greater than zero");
}

/* "/", ".", "//" and the like: the root. */
static bool is_root(const char *path)
{
	return path && *path == '/' && !path[strspn(path, "/.")] && !strstr(path, "...");
}

static void check_volume_members(struct check *c, const struct json *spec)
{
	const char *class = json_path_str(spec, "volumeAttributesClassName");

	if (is_root(json_path_str(spec, "hostPath.path")) &&
	    str_eq(json_path_str(spec, "persistentVolumeReclaimPolicy"), "Recycle"))
		bad_forbidden(c, "spec.persistentVolumeReclaimPolicy",
			      "may not be 'recycle' for a hostPath mount of '/'");
	if (!str_empty(json_path_str(spec, "storageClassName")))
		name_in(c, "spec", spec, "storageClassName", name_check_dns1123_subdomain);
	choice_in(c, "spec", spec, "volumeMode", volume_modes);
	if (!class)
		return;
	if (!*class)
		bad_required(c, "spec.volumeAttributesClassName", "an empty string is disallowed");
	else
		name_in(c, "spec", spec, "volumeAttributesClassName", name_check_dns1123_subdomain);
	if (!json_get(spec, "csi"))
		bad_required(c, "spec.csi", "has to be specified when using volumeAttributesClassName");
}

/* The sources alone, without what a claim or node may do to them. */
static struct json *source_of(struct check *c, const struct json *spec)
{
	struct json *out = json_new(&c->arena, JSON_OBJECT);

	JSON_EACH(m, spec)
		if (is_volume_source(m->key))
			json_set(&c->arena, out, m->key, json_clone(&c->arena, m));
	return out;
}

static const struct {
	const char *beta, *stable;
} renamed_labels[] = {
    {"failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"},
    {"failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"},
    {"beta.kubernetes.io/os", "kubernetes.io/os"},
    {"beta.kubernetes.io/arch", "kubernetes.io/arch"},
    {"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"},
};

/* Node affinity with labels by their names of today. */
static struct json *with_stable_labels(struct check *c, const struct json *affinity)
{
	struct json *out = json_clone(&c->arena, affinity);

	EACH_ITEM(t, json_path(out, "required.nodeSelectorTerms"))
		EACH_ITEM(r, json_get(t, "matchExpressions"))
			for (size_t i = 0; i < ARRAY_SIZE(renamed_labels); i++)
				if (str_eq(json_path_str(r, "key"), renamed_labels[i].beta))
					json_set_str(&c->arena, r, "key", renamed_labels[i].stable);
	return out;
}

static void check_volume_update(struct check *c, const struct json *spec, const struct json *old)
{
	struct json *mine = source_of(c, spec), *theirs = source_of(c, old);
	const struct json *affinity = json_get(spec, "nodeAffinity"), *was = json_get(old, "nodeAffinity");

	/* It may be set later: expansion needs it. */
	if (json_get(mine, "csi") && json_get(theirs, "csi") && !json_path(theirs, "csi.controllerExpandSecretRef"))
		json_remove(json_get(mine, "csi"), "controllerExpandSecretRef");
	if (!json_equal(mine, theirs))
		bad_forbidden(c, "spec.persistentvolumesource",
			      PATH(c, "spec.persistentvolumesource is immutable after creation\n%s",
				   json_diff(&c->arena, theirs, mine)));
	check_immutable(c, "volumeMode", "spec.volumeMode");
	if (was && !json_equal(affinity, was) && (!affinity || !json_equal(affinity, with_stable_labels(c, was))))
		bad_invalid(c, "nodeAffinity", affinity,
			    "field is immutable, except for updating from beta label to GA");
	if (json_get(old, "volumeAttributesClassName") && !json_get(spec, "volumeAttributesClassName"))
		bad_forbidden(c, "spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden");
}

void check_persistent_volume(struct check *c)
{
	static const char *const policies[] = {"Delete", "Recycle", "Retain", NULL};
	const struct json *spec = json_get(c->tree, "spec"), *affinity = json_get(spec, "nodeAffinity");
	const struct volume_context v = {.c = c, .name = meta_name(c->tree), .persistent = true};

	if (!json_len(json_get(spec, "accessModes")))
		bad_required(c, "spec.accessModes", NULL);
	check_access_modes(c, "spec.accessModes", json_get(spec, "accessModes"));
	check_capacity(c, json_get(spec, "capacity"));
	choice_in(c, "spec", spec, "persistentVolumeReclaimPolicy", policies);
	if (affinity && !json_get(affinity, "required"))
		bad_required(c, "spec.nodeAffinity.required", "must specify required node constraints");
	else if (affinity)
		check_node_selector(c, "spec.nodeAffinity.required", json_get(affinity, "required"),
				    json_equal(affinity, json_path(c->old, "spec.nodeAffinity")));
	check_volume_sources(&v, "spec", spec);
	if (json_get(spec, "local") && !affinity)
		bad_required(c, "spec.nodeAffinity", "Local volume requires node affinity");
	check_volume_members(c, spec);
	if (c->old)
		check_volume_update(c, spec, json_get(c->old, "spec"));
}

/* ---- claims ---- */

static void check_data_source(struct check *c, const char *at, const struct json *source, bool any_group)
{
	const char *group = str_or(json_path_str(source, "apiGroup"), ""),
		   *kind = str_or(json_path_str(source, "kind"), "");

	need_in(c, at, source, "name");
	need_in(c, at, source, "kind");
	if (!*group && !str_eq(kind, "PersistentVolumeClaim"))
		bad_invalid_str(c, at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
	if (*group && !any_group)
		name_in(c, at, source, "apiGroup", name_check_dns1123_subdomain);
	if (!str_empty(json_path_str(source, "namespace")))
		name_in(c, at, source, "namespace", name_check_dns1123_label);
}

static void check_data_sources(struct check *c, const char *at, const struct json *spec, const struct json *old)
{
	static const char *const members[] = {"apiGroup", "kind", "name"};
	const struct json *source = json_get(spec, "dataSource"), *ref = json_get(spec, "dataSourceRef");
	bool any_group = json_path(old, "dataSource.apiGroup") || json_path(old, "dataSourceRef.apiGroup"), same = true;

	if (source)
		check_data_source(c, PATH(c, "%s.dataSource", at), source, any_group);
	if (ref)
		check_data_source(c, PATH(c, "%s.dataSourceRef", at), ref, any_group);
	if (!source || !ref)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		same &= json_equal(json_get(source, members[i]), json_get(ref, members[i]));
	if (!str_empty(json_path_str(ref, "namespace")))
		bad_invalid_str(c, at, PATH(c, "%s.dataSource", at),
				"may not be specified when dataSourceRef.namespace is specified");
	else if (!same)
		bad_invalid_str(c, at, PATH(c, "%s.dataSource", at), "must match dataSourceRef");
}

void check_claim_spec(struct check *c, const char *at, const struct json *spec, const struct json *old)
{
	const struct json *storage = json_path(spec, "resources.requests.storage"),
			  *selector = json_get(spec, "selector");
	const char *modes_at = PATH(c, "%s.accessModes", at);

	if (!json_len(json_get(spec, "accessModes")))
		bad_required(c, modes_at, "at least 1 access mode is required");
	if (selector && !(old && selector_is_bad(json_get(old, "selector"))))
		check_selector(c, PATH(c, "%s.selector", at), selector);
	check_access_modes(c, modes_at, json_get(spec, "accessModes"));
	if (!storage)
		bad_required(c, PATH(c, "%s.resources[storage]", at), NULL);
	else if (not_positive(storage))
		bad_invalid(c, PATH(c, "%s.resources[storage]", at), storage, "must be greater than zero");
	if (!str_empty(json_path_str(spec, "storageClassName")))
		name_in(c, at, spec, "storageClassName", name_check_dns1123_subdomain);
	choice_in(c, at, spec, "volumeMode", volume_modes);
	check_data_sources(c, at, spec, old);
	if (!str_empty(json_path_str(spec, "volumeAttributesClassName")))
		name_in(c, at, spec, "volumeAttributesClassName", name_check_dns1123_subdomain);
}

/* What is absent is zero. */
static int compare(const struct json *a, const struct json *b)
{
	struct quantity x = {0}, y = {0};

	(void)quantity_from_json(a, &x);
	(void)quantity_from_json(b, &y);
	return quantity_compare(&x, &y);
}

/* A claim without a class gets one when there is a default. */
static bool class_may_be_set(struct check *c, const struct json *spec, const struct json *old)
{
	const char *was = meta_annotation(c->old, CLASS_ANNOTATION), *now = json_path_str(spec, "storageClassName");

	return now && !json_get(old, "storageClassName") && (!was || str_eq(was, now));
}

/* The annotation of old becomes the field: then it may go. Else it is fixed. */
static void check_class_annotation(struct check *c, bool may_be_set)
{
	const char *was = meta_annotation(c->old, CLASS_ANNOTATION), *now = meta_annotation(c->tree, CLASS_ANNOTATION);

	if (was && may_be_set && (!now || str_eq(now, was)))
		return;
	if (!str_eq(str_or(now, ""), str_or(was, "")))
		bad_invalid_str(c, "metadata.annotations." CLASS_ANNOTATION, str_or(now, ""), "field is immutable");
}

static void take(struct check *c, struct json *to, const struct json *from, const char *key)
{
	const struct json *v = json_get(from, key);

	if (v)
		json_set(&c->arena, to, key, json_clone(&c->arena, v));
	else
		json_remove(to, key);
}

static void check_claim_update(struct check *c, const struct json *spec, const struct json *old)
{
	struct json *mine = json_clone(&c->arena, spec), *theirs = json_clone(&c->arena, old);
	bool bound = str_eq(json_path_str(c->tree, "status.phase"), "Bound");
	const struct json *size = json_path(spec, "resources.requests.storage");
	const char *class = json_path_str(spec, "volumeAttributesClassName");

	if (!json_get(old, "volumeName"))
		take(c, theirs, mine, "volumeName");
	bool settable = class_may_be_set(c, spec, old);
	check_class_annotation(c, settable);
	if (settable)
		take(c, mine, theirs, "storageClassName");
	if (bound && json_path(mine, "resources.requests"))
		take(c, json_path(mine, "resources.requests"), json_path(old, "resources.requests"), "storage");
	if (bound && class)
		take(c, mine, theirs, "volumeAttributesClassName");
	if (!json_equal(mine, theirs))
		bad_forbidden(c, "spec",
			      PATH(c,
				   "spec is immutable after creation except resources.requests and "
				   "volumeAttributesClassName for bound claims\n%s",
				   json_diff(&c->arena, theirs, mine)));
	/* A request that could not be fulfilled may be taken back, to what there is. */
	if (compare(size, json_path(old, "resources.requests.storage")) < 0 &&
	    compare(size, json_path(c->old, "status.capacity.storage")) <= 0)
		bad_forbidden(c, "spec.resources.requests.storage", "field can not be less than status.capacity");
	check_immutable(c, "volumeMode", "spec.volumeMode");
	if (json_get(old, "volumeAttributesClassName") && !class)
		bad_forbidden(c, "spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden");
	else if (json_get(old, "volumeAttributesClassName") && !*class)
		bad_forbidden(c, "spec.volumeAttributesClassName",
			      "update from non-nil value to an empty string is forbidden");
}

void check_claim(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *old = json_get(c->old, "spec");

	check_claim_spec(c, "spec", spec, old);
	if (json_is(spec, JSON_OBJECT) && json_is(old, JSON_OBJECT))
		check_claim_update(c, spec, old);
}

/* Resources of a claim: storage, and those of other owners. */
static bool check_claim_resource(struct check *c, const char *at, const char *name)
{
	static const char *const storage[] = {"storage", NULL};
	const char *why = name_check_qualified(name);

	if (why)
		bad_invalid_str(c, at, name, why);
	else if (resource_is_native(name) && !str_eq(name, "storage"))
		bad_unsupported(c, at, name, storage);
	else
		return true;
	return false;
}

void check_claim_status(struct check *c)
{
	static const char *const resizes[] = {"ControllerResizeInProgress", "ControllerResizeInfeasible",
					      "NodeResizeInProgress",	    "NodeResizeInfeasible",
					      "NodeResizePending",	    NULL};
	const struct json *status = json_get(c->tree, "status");

	JSON_EACH(v, json_get(status, "capacity")) {
		struct quantity q;
		if (quantity_from_json(v, &q) == 0 && q.nano < 0)
			bad_invalid(c, PATH(c, "status.capacity[%s]", v->key), v, "must be a valid resource quantity");
	}
	JSON_EACH(v, json_get(status, "allocatedResourceStatuses")) {
		check_claim_resource(c, "status.allocatedResourceStatus", v->key);
		if (!str_in(json_str(v), resizes))
			bad_unsupported(c, "status.allocatedResourceStatus", v->key, resizes);
	}
	JSON_EACH(v, json_get(status, "allocatedResources"))
		if (check_claim_resource(c, "status.allocatedResources", v->key))
			check_resource_amount(c, PATH(c, "status.allocatedResources[%s]", v->key), v);
}
