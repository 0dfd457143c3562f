/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quota.h"

#include "api/meta.h"
#include "api/pod_resources.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"

#define STORAGE_CLASS_SUFFIX ".storageclass.storage.k8s.io/"
#define DEVICE_CLASS_SUFFIX ".deviceclass.resource.k8s.io/devices"

static bool is(const struct resource *r, const char *group, const char *plural)
{
	return str_eq(r->plural, plural) && str_eq(r->group, group);
}

/* ---- names ---- */

/* "count/pods", "count/jobs.batch" */
static const char *count_name(struct arena *a, const struct resource *r)
{
	return *r->group ? arena_printf(a, "count/%s.%s", r->plural, r->group) : arena_printf(a, "count/%s", r->plural);
}

static bool is_count_name(const struct resource *r, const char *name)
{
	const char *rest = str_after(name, "count/");
	rest = rest ? str_after(rest, r->plural) : NULL;
	if (!rest)
		return false;
	return *rest == '.' ? *r->group && str_eq(rest + 1, r->group) : !*rest && !*r->group;
}

/* Kinds that quotas counted under their plain names before count/ existed. */
static bool counted_by_plural(const struct resource *r)
{
	static const char *const plurals[] = {"pods",	 "services",   "replicationcontrollers", "resourcequotas",
					      "secrets", "configmaps", "persistentvolumeclaims", NULL};
	return !*r->group && str_in(r->plural, plurals);
}

static bool is_compute_name(const char *name)
{
	static const char *const plain[] = {"cpu", "memory", "ephemeral-storage", NULL};
	static const char *const limited[] = {"limits.cpu", "limits.memory", "limits.ephemeral-storage", NULL};
	if (str_eq(name, "requests.storage"))
		return false;
	return str_in(name, plain) || str_in(name, limited) || str_has_prefix(name, "hugepages-") ||
	       str_has_prefix(name, "requests.");
}

bool quota_names(const struct resource *r, const char *name)
{
	if (is_count_name(r, name) || (counted_by_plural(r) && str_eq(name, r->plural)))
		return true;
	if (is(r, "", "pods"))
		return is_compute_name(name);
	if (is(r, "", "services"))
		return str_eq(name, "services.nodeports") || str_eq(name, "services.loadbalancers");
	if (is(r, "", "persistentvolumeclaims"))
		return str_eq(name, "requests.storage") || strstr(name, STORAGE_CLASS_SUFFIX) != NULL;
	return is(r, "resource.k8s.io", "resourceclaims") && str_has_suffix(name, DEVICE_CLASS_SUFFIX);
}

bool quota_needs_object(const struct resource *r)
{
	static const char *const core[] = {"pods", "services", "persistentvolumeclaims", NULL};
	return (!*r->group && str_in(r->plural, core)) || is(r, "resource.k8s.io", "resourceclaims");
}

/* ---- scopes ---- */

static bool affinity_crosses(const struct json *terms, bool weighted)
{
	JSON_EACH(t, terms) {
		const struct json *term = weighted ? json_get(t, "podAffinityTerm") : t;
		if (json_len(json_get(term, "namespaces")) || json_is(json_get(term, "namespaceSelector"), JSON_OBJECT))
			return true;
	}
	return false;
}

static bool uses_cross_namespace_affinity(const struct json *pod)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *k = json_get(json_path(pod, "spec.affinity"), kinds[i]);
		if (affinity_crosses(json_get(k, "requiredDuringSchedulingIgnoredDuringExecution"), false) ||
		    affinity_crosses(json_get(k, "preferredDuringSchedulingIgnoredDuringExecution"), true))
			return true;
	}
	return false;
}

/* One requirement of a scope selector on a value ("": none). */
static bool value_matches(const char *op, const struct json *values, const char *value)
{
	bool in = false;
	JSON_EACH(v, values)
		in |= str_eq(json_str(v), value);
	if (str_eq(op, "In"))
		return *value && in;
	if (str_eq(op, "NotIn"))
		return !in;
	return str_eq(op, "DoesNotExist") ? !*value : *value != 0;
}

static bool pod_scope(const char *scope, const char *op, const struct json *values, const struct json *pod)
{
	bool terminating = json_is(json_path(pod, "spec.activeDeadlineSeconds"), JSON_NUMBER);
	if (str_eq(scope, "Terminating"))
		return terminating;
	if (str_eq(scope, "NotTerminating"))
		return !terminating;
	if (str_eq(scope, "BestEffort"))
		return str_eq(pod_qos_class(pod), "BestEffort");
	if (str_eq(scope, "NotBestEffort"))
		return !str_eq(pod_qos_class(pod), "BestEffort");
	if (str_eq(scope, "PriorityClass"))
		return value_matches(op, values, str_or(json_path_str(pod, "spec.priorityClassName"), ""));
	return str_eq(scope, "CrossNamespacePodAffinity") && uses_cross_namespace_affinity(pod);
}

/* A claim counts for the class it wants and for those it has or is being moved to. */
static bool claim_scope(const char *scope, const char *op, const struct json *values, const struct json *claim)
{
	static const char *const paths[] = {"spec.volumeAttributesClassName", "status.currentVolumeAttributesClassName",
					    "status.modifyVolumeStatus.targetVolumeAttributesClassName"};
	bool any = false, found = false;
	if (!str_eq(scope, "VolumeAttributesClass"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *class = json_path_str(claim, paths[i]);
		if (str_empty(class))
			continue;
		any = true;
		found |= value_matches(op, values, class);
	}
	return any ? found : value_matches(op, values, "");
}

static bool scope_matches(const struct resource *r, const char *scope, const char *op, const struct json *values,
			  const struct json *object)
{
	if (is(r, "", "pods"))
		return pod_scope(scope, op, values, object);
	if (is(r, "", "persistentvolumeclaims"))
		return claim_scope(scope, op, values, object);
	return false;
}

bool quota_scopes_match(const struct json *quota, const struct resource *r, const struct json *object)
{
	JSON_EACH(s, json_path(quota, "spec.scopes"))
		if (!scope_matches(r, str_or(json_str(s), ""), "Exists", NULL, object))
			return false;
	JSON_EACH(m, json_path(quota, "spec.scopeSelector.matchExpressions"))
		if (!scope_matches(r, str_or(json_path_str(m, "scopeName"), ""),
				   str_or(json_path_str(m, "operator"), ""), json_get(m, "values"), object))
			return false;
	return true;
}

/* ---- usage ---- */

/* A pod that has ended, or whose node failed to end it in time, holds nothing any more. */
static bool pod_counts(const struct json *pod, int64_t now)
{
	const char *phase = json_path_str(pod, "status.phase"), *deleted;
	int64_t at;
	if (str_eq(phase, "Succeeded") || str_eq(phase, "Failed"))
		return false;
	deleted = json_path_str(pod, "metadata.deletionTimestamp"); /* the grace period is in it */
	return !deleted || time_parse(deleted, &at) < 0 || now <= at;
}

static bool is_native(const char *name)
{
	return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

static void pod_usage(struct arena *a, const struct json *pod, int64_t now, struct amounts *u)
{
	if (!pod_counts(pod, now))
		return;
	amounts_set_int(a, u, "pods", 1);
	struct amounts requests = pod_amounts(a, pod, "requests"), limits = pod_amounts(a, pod, "limits");
	for (size_t i = 0; i < requests.n; i++) {
		const struct amount *m = &requests.at[i];
		if (is_native(m->name))
			amounts_set(a, u, m->name, m->value);
		amounts_set(a, u, arena_printf(a, "requests.%s", m->name), m->value);
	}
	for (size_t i = 0; i < limits.n; i++)
		if (is_native(limits.at[i].name) && !str_has_prefix(limits.at[i].name, "hugepages-"))
			amounts_set(a, u, arena_printf(a, "limits.%s", limits.at[i].name), limits.at[i].value);
}

static void service_usage(struct arena *a, const struct json *service, struct amounts *u)
{
	const char *type = json_path_str(service, "spec.type");
	bool balanced = str_eq(type, "LoadBalancer");
	const struct json *ports = json_path(service, "spec.ports");
	int64_t n = 0;
	if (str_eq(type, "NodePort") ||
	    (balanced && json_path_bool(service, "spec.allocateLoadBalancerNodePorts", true)))
		n = json_len(ports);
	else if (balanced)
		JSON_EACH(p, ports)
			n += json_path_int(p, "nodePort", 0) != 0;
	amounts_set_int(a, u, "services.nodeports", n);
	amounts_set_int(a, u, "services.loadbalancers", balanced);
}

static void claim_usage(struct arena *a, const struct json *claim, struct amounts *u)
{
	struct quantity size = QUANTITY_ZERO, allocated;
	const char *class = json_path_str(claim, "spec.storageClassName");
	const char *old = meta_annotation(claim, "volume.beta.kubernetes.io/storage-class");
	bool has = quantity_from_json(json_path(claim, "spec.resources.requests.storage"), &size) == 0 &&
		   json_path(claim, "spec.resources.requests.storage");
	if (quantity_from_json(json_path(claim, "status.allocatedResources.storage"), &allocated) == 0 &&
	    quantity_compare(&allocated, &size) > 0)
		size = allocated;
	class = old ? old : class;
	if (has)
		amounts_set(a, u, "requests.storage", size);
	if (str_empty(class))
		return;
	amounts_set_int(a, u, arena_printf(a, "%s" STORAGE_CLASS_SUFFIX "persistentvolumeclaims", class), 1);
	if (has)
		amounts_set(a, u, arena_printf(a, "%s" STORAGE_CLASS_SUFFIX "requests.storage", class), size);
}

/* Of alternatives the most that each class could be asked for. */
static void devices_usage(struct arena *a, const struct json *claim, struct amounts *u)
{
	JSON_EACH(r, json_path(claim, "spec.devices.requests")) {
		struct amounts most = {0};
		const struct json *exactly = json_get(r, "exactly");
		const struct json *one = exactly ? exactly : json_get(r, "deviceClassName") ? r : NULL;
		if (one)
			amounts_set_int(a, &most,
					arena_printf(a, "%s" DEVICE_CLASS_SUFFIX,
						     str_or(json_path_str(one, "deviceClassName"), "")),
					json_path_int(one, "count", 1));
		JSON_EACH(s, json_get(r, "firstAvailable")) {
			struct amounts alternative = {0};
			amounts_set_int(
			    a, &alternative,
			    arena_printf(a, "%s" DEVICE_CLASS_SUFFIX, str_or(json_path_str(s, "deviceClassName"), "")),
			    json_path_int(s, "count", 1));
			amounts_max(a, &most, &alternative);
		}
		amounts_add(a, u, &most);
	}
}

struct amounts quota_usage(struct arena *a, const struct resource *r, const struct json *object, int64_t now)
{
	struct amounts u = {0};
	amounts_set_int(a, &u, count_name(a, r), 1);
	if (is(r, "", "pods")) {
		pod_usage(a, object, now, &u);
		return u;
	}
	if (counted_by_plural(r))
		amounts_set_int(a, &u, r->plural, 1);
	if (is(r, "", "services"))
		service_usage(a, object, &u);
	else if (is(r, "", "persistentvolumeclaims"))
		claim_usage(a, object, &u);
	else if (is(r, "resource.k8s.io", "resourceclaims"))
		devices_usage(a, object, &u);
	return u;
}

/* ---- what must be said ---- */

/* The container's own word, or that of the pod as a whole. */
static bool says(const struct json *resources, const char *name)
{
	const char *limit = str_after(name, "limits."), *request = str_after(name, "requests.");
	const struct json *list = json_get(resources, limit ? "limits" : "requests");
	return json_get(list, limit ? limit : request ? request : name) != NULL;
}

const char *quota_unspecified(struct arena *a, const struct amounts *hard, const struct json *pod)
{
	/* Sorted; cpu and memory only, since that is where upstream began and has stayed. */
	static const char *const names[] = {"cpu",    "limits.cpu",   "limits.memory",
					    "memory", "requests.cpu", "requests.memory"};
	static const char *const lists[] = {"containers", "initContainers"};
	const char *text = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *missing = NULL;
		if (!amounts_get(hard, names[i]) || says(json_path(pod, "spec.resources"), names[i]))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
			JSON_EACH(c, json_get(json_get(pod, "spec"), lists[k]))
				if (!says(json_get(c, "resources"), names[i]))
					missing = arena_printf(a, "%s%s%s", str_or(missing, ""), missing ? "," : "",
							       str_or(json_path_str(c, "name"), ""));
		if (missing)
			text = arena_printf(a, "%s%s%s for: %s", text ? text : "must specify ", text ? "; " : "",
					    names[i], missing);
	}
	return text;
}
