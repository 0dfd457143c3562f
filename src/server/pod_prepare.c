/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a Pod that is created before it is judged: its first status, and what old ways to say things mean. */
#include <string.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/pod_resources.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission.h"
#include "server/registry_internal.h"

#define APPARMOR_ANNOTATION "container.apparmor.security.beta.kubernetes.io/"

/* ---- matchLabelKeys ---- */

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

/* ---- AppArmor profiles as annotations, the way before v1.30 ---- */

/* NULL when it says nothing that a field could. */
static struct json *profile_of(struct arena *a, const char *value)
{
	const char *file = str_after(value, "localhost/");
	const char *type = str_eq(value, "unconfined")		    ? "Unconfined"
			   : str_eq(value, "runtime/default")	    ? "RuntimeDefault"
			   : file && *file && !strchr(" \t", *file) ? "Localhost"
								    : NULL;
	if (!type)
		return NULL;
	struct json *profile = json_new(a, JSON_OBJECT);
	json_set_str(a, profile, "type", type);
	if (file)
		json_set_str(a, profile, "localhostProfile", file);
	return profile;
}

static void take_apparmor(struct write_op *op, struct json *container)
{
	struct arena *a = op->arena;
	struct admission ad = op_admission(op, ADMIT_CREATE);
	const char *key = arena_printf(a, APPARMOR_ANNOTATION "%s", str_or(json_path_str(container, "name"), ""));
	const char *value = meta_annotation(op->tree, key);
	if (!value || json_path(container, "securityContext.appArmorProfile"))
		return;
	struct json *profile = profile_of(a, value);
	if (profile && json_equal(profile, json_path(op->tree, "spec.securityContext.appArmorProfile")))
		return;
	if (profile)
		json_set(a, json_object_in(a, container, "securityContext"), "appArmorProfile", profile);
	admission_warn(&ad, arena_printf(a,
					 "metadata.annotations[%s]: deprecated since v1.30; use the "
					 "\"appArmorProfile\" field instead",
					 key));
}

static void take_apparmor_annotations(struct write_op *op)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	struct json *spec = json_get(op->tree, "spec");
	if (str_eq(json_path_str(spec, "os.name"), "windows") || !json_len(json_path(op->tree, "metadata.annotations")))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_get(spec, lists[i]))
			if (json_is(c, JSON_OBJECT))
				take_apparmor(op, c);
}

void pod_prepare_create(struct write_op *op)
{
	struct arena *a = op->arena;
	struct json *spec = json_get(op->tree, "spec");
	merge_placement_keys(op);
	take_apparmor_annotations(op);
	if (json_path_int(spec, "terminationGracePeriodSeconds", 0) < 0)
		json_set_int(a, spec, "terminationGracePeriodSeconds", 1); /* at once would be without a warning */
	struct json *status = json_set(a, op->tree, "status", json_new(a, JSON_OBJECT));
	json_set_str(a, status, "phase", "Pending");
	json_set_str(a, status, "qosClass", pod_qos_class(op->tree));
	if (json_len(json_path(op->tree, "spec.schedulingGates")))
		meta_set_condition(a, op->tree, "PodScheduled", "False", "SchedulingGated",
				   "Scheduling is blocked due to non-empty scheduling gates", now_ns());
}
