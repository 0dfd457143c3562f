/* SPDX-License-Identifier: Apache-2.0 */
/* Rules by kind, of all groups but core: first three tables of simple facts, then functions. */
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/resource.h"
#include "api/validate.h"
#include "api/validate_internal.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#define RBAC "rbac.authorization.k8s.io"
#define ADMISSION "admissionregistration.k8s.io"

/* ---- tables ---- */

static const struct {
	const char *group, *kind, *path, *detail;
} required[] = {
    {"autoscaling", "HorizontalPodAutoscaler", "spec.scaleTargetRef.kind", NULL},
    {"autoscaling", "HorizontalPodAutoscaler", "spec.scaleTargetRef.name", NULL},
    {RBAC, "RoleBinding", "roleRef.name", NULL},
    {RBAC, "ClusterRoleBinding", "roleRef.name", NULL},
    {"certificates.k8s.io", "CertificateSigningRequest", "spec.request", NULL},
    {"certificates.k8s.io", "CertificateSigningRequest", "spec.signerName", NULL},
    {"certificates.k8s.io", "CertificateSigningRequest", "spec.usages", NULL},
    {"storage.k8s.io", "StorageClass", "provisioner", NULL},
    {"storage.k8s.io", "VolumeAttachment", "spec.attacher", NULL},
    {"storage.k8s.io", "VolumeAttachment", "spec.nodeName", NULL},
    {"node.k8s.io", "RuntimeClass", "handler", NULL},
    {"networking.k8s.io", "IngressClass", "spec.controller", NULL},
    {"discovery.k8s.io", "EndpointSlice", "addressType", NULL},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.group", NULL},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.scope", NULL},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.names.plural", NULL},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.names.kind", NULL},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.versions", "must have at least one version"},
    {"resource.k8s.io", "ResourceSlice", "spec.driver", NULL},
    {"flowcontrol.apiserver.k8s.io", "FlowSchema", "spec.priorityLevelConfiguration.name", NULL},
    {"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "spec.type", NULL},
};

static const struct {
	const char *group, *kind, *path;
} immutable[] = {
    {"storage.k8s.io", "StorageClass", "provisioner"},
    {"storage.k8s.io", "StorageClass", "parameters"},
    {"storage.k8s.io", "StorageClass", "reclaimPolicy"},
    {"storage.k8s.io", "StorageClass", "volumeBindingMode"},
    {"storage.k8s.io", "VolumeAttachment", "spec"},
    {"scheduling.k8s.io", "PriorityClass", "value"},
    {"scheduling.k8s.io", "PriorityClass", "preemptionPolicy"},
    {"node.k8s.io", "RuntimeClass", "handler"},
    {"networking.k8s.io", "IngressClass", "spec.controller"},
    {"discovery.k8s.io", "EndpointSlice", "addressType"},
    {"resource.k8s.io", "ResourceClaim", "spec"},
    {"resource.k8s.io", "ResourceClaimTemplate", "spec"},
    {"certificates.k8s.io", "CertificateSigningRequest", "spec.request"},
    {"certificates.k8s.io", "CertificateSigningRequest", "spec.signerName"},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.group"},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.scope"},
    {"apiextensions.k8s.io", "CustomResourceDefinition", "spec.names.plural"},
};

static const struct {
	const char *group, *kind, *path;
	int64_t min;
} minimum[] = {
    {"coordination.k8s.io", "Lease", "spec.leaseDurationSeconds", 1},
    {"coordination.k8s.io", "Lease", "spec.leaseTransitions", 0},
    {"autoscaling", "HorizontalPodAutoscaler", "spec.minReplicas", 0},
    {"autoscaling", "Scale", "spec.replicas", 0},
    {"storage.k8s.io", "CSINode", "spec.drivers.allocatable.count", 0},
};

static bool applies(const struct check *c, const char *group, const char *kind)
{
	return str_eq(kind, c->resource->kind) && str_eq(group, c->resource->group);
}

static void check_tables(struct check *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		if (!applies(c, required[i].group, required[i].kind))
			continue;
		const struct json *v = json_path(c->tree, required[i].path);
		if (!v || v->type == JSON_NULL || (v->type >= JSON_STRING && !v->len))
			bad_required(c, required[i].path, required[i].detail);
	}
	for (size_t i = 0; i < ARRAY_SIZE(immutable); i++)
		if (applies(c, immutable[i].group, immutable[i].kind))
			check_immutable(c, immutable[i].path, immutable[i].path);
	for (size_t i = 0; i < ARRAY_SIZE(minimum); i++)
		if (applies(c, minimum[i].group, minimum[i].kind))
			check_min(c, minimum[i].path, json_path(c->tree, minimum[i].path), minimum[i].min);
}

/* ---- rbac ---- */

static void check_role(struct check *c)
{
	bool cluster = !c->resource->namespaced;
	size_t i = 0;

	EACH_ITEM(r, json_get(c->tree, "rules")) {
		const char *at = PATH(c, "rules[%zu]", i++);
		bool urls = json_len(json_get(r, "nonResourceURLs")) > 0,
		     resources = json_len(json_get(r, "resources")) > 0;
		if (!json_len(json_get(r, "verbs")))
			bad_required(c, PATH(c, "%s.verbs", at), "verbs must contain at least one value");
		if (urls && !cluster)
			bad_invalid(c, PATH(c, "%s.nonResourceURLs", at), json_get(r, "nonResourceURLs"),
				    "namespaced rules cannot apply to non-resource URLs");
		else if (urls && resources)
			bad_invalid(c, PATH(c, "%s.nonResourceURLs", at), json_get(r, "nonResourceURLs"),
				    "rules cannot apply to both regular resources and non-resource URLs");
		if (urls)
			continue;
		if (!json_len(json_get(r, "apiGroups")))
			bad_required(c, PATH(c, "%s.apiGroups", at),
				     "resource rules must supply at least one api group");
		if (!resources)
			bad_required(c, PATH(c, "%s.resources", at),
				     "resource rules must supply at least one resource");
	}
}

static void check_role_binding(struct check *c)
{
	static const char *const groups[] = {RBAC, NULL};
	static const char *const kinds[] = {"Role", "ClusterRole", NULL}, *const cluster_kinds[] = {"ClusterRole",
												    NULL};
	static const char *const subjects[] = {"ServiceAccount", "User", "Group", NULL};
	const char *const *allowed = c->resource->namespaced ? kinds : cluster_kinds;
	const char *kind = str_or(json_path_str(c->tree, "roleRef.kind"), "");
	const char *group = str_or(json_path_str(c->tree, "roleRef.apiGroup"), "");
	size_t i = 0;

	if (!str_eq(group, RBAC))
		bad_unsupported(c, "roleRef.apiGroup", group, groups);
	if (!str_in(kind, allowed))
		bad_unsupported(c, "roleRef.kind", kind, allowed);
	EACH_ITEM(s, json_get(c->tree, "subjects")) {
		const char *at = PATH(c, "subjects[%zu]", i++), *subject = str_or(json_path_str(s, "kind"), "");
		need_str(c, PATH(c, "%s.name", at), json_get(s, "name"));
		if (!str_in(subject, subjects))
			bad_unsupported(c, PATH(c, "%s.kind", at), subject, subjects);
		else if (str_eq(subject, "ServiceAccount"))
			need_str(c, PATH(c, "%s.namespace", at), json_get(s, "namespace"));
	}
	if (c->old && !json_equal(json_get(c->tree, "roleRef"), json_get(c->old, "roleRef")))
		bad_invalid(c, "roleRef", json_get(c->tree, "roleRef"), "cannot change roleRef");
}

/* ---- policy, autoscaling, scheduling ---- */

static void check_disruption_budget(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	if (json_get(spec, "minAvailable") && json_get(spec, "maxUnavailable"))
		bad_invalid(c, "spec", spec, "minAvailable and maxUnavailable cannot be both set");
	check_selector(c, "spec.selector", json_get(spec, "selector"));
	if (!json_str(json_get(spec, "minAvailable")))
		check_min(c, "spec.minAvailable", json_get(spec, "minAvailable"), 0);
	if (!json_str(json_get(spec, "maxUnavailable")))
		check_min(c, "spec.maxUnavailable", json_get(spec, "maxUnavailable"), 0);
}

static void check_autoscaler(struct check *c)
{
	const struct json *max = json_path(c->tree, "spec.maxReplicas");

	if (json_int(max, 0) < 1)
		bad_invalid(c, "spec.maxReplicas", max ? max : json_new_int(&c->arena, 0), "must be greater than 0");
	else if (json_int(max, 0) < json_path_int(c->tree, "spec.minReplicas", 0))
		bad_invalid(c, "spec.maxReplicas", max, "must be greater than or equal to `minReplicas`");
}

#define USER_PRIORITY_MAX 1000000000 /* higher ones are for the system's own classes */
static void check_priority_class(struct check *c)
{
	const char *name = meta_name(c->tree);
	bool system = str_eq(name, "system-node-critical") || str_eq(name, "system-cluster-critical");

	if (str_has_prefix(name, "system-") && !system)
		bad_forbidden(c, "metadata.name",
			      "priority class names with 'system-' prefix are reserved for system use only");
	if (!system && json_path_int(c->tree, "value", 0) > USER_PRIORITY_MAX)
		bad_forbidden(c, "value", "maximum allowed value of a user defined priority is 1000000000");
}

/* ---- networking, discovery ---- */

static void check_ingress_backend(struct check *c, const char *at, const struct json *b)
{
	const struct json *service = json_get(b, "service"), *resource = json_get(b, "resource");

	if (service && resource)
		bad_invalid_str(c, at, "", "cannot set both resource and service backends");
	else if (!service && !resource)
		bad_required(c, at, "resource or service backend is required");
	if (!service)
		return;
	const char *port_name = json_path_str(service, "port.name");
	int64_t number = json_path_int(service, "port.number", 0);
	if (need_str(c, PATH(c, "%s.service.name", at), json_get(service, "name")))
		check_name(c, PATH(c, "%s.service.name", at), json_get(service, "name"), name_check_dns1035_label);
	if (str_empty(port_name) && !number)
		bad_required(c, PATH(c, "%s.service.port", at), "port name or number is required");
	else if (!str_empty(port_name) && number)
		bad_invalid_str(c, PATH(c, "%s.service.port", at), port_name,
				"cannot set both port name & port number");
	else if (number)
		check_port(c, PATH(c, "%s.service.port.number", at), json_path(service, "port.number"));
}

static const char *rule_wildcard_host(const char *s)
{
	if (rule_ip(s) == NULL)
		return "must be a DNS name, not an IP address";
	return name_check_dns1123_subdomain(str_has_prefix(s, "*.") ? s + 2 : s);
}

static void check_ingress(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *backend = json_get(spec, "defaultBackend");
	size_t i = 0, k;

	if (!backend && !json_len(json_get(spec, "rules")))
		bad_invalid(c, "spec", spec ? spec : json_new(&c->arena, JSON_OBJECT),
			    "either `defaultBackend` or `rules` must be specified");
	if (backend)
		check_ingress_backend(c, "spec.defaultBackend", backend);
	EACH_ITEM(r, json_get(spec, "rules")) {
		const char *at = PATH(c, "spec.rules[%zu]", i++);
		if (!str_empty(json_path_str(r, "host")))
			check_name(c, PATH(c, "%s.host", at), json_get(r, "host"), rule_wildcard_host);
		if (json_get(r, "http") && !json_len(json_path(r, "http.paths")))
			bad_required(c, PATH(c, "%s.http.paths", at), NULL);
		k = 0;
		EACH_ITEM(p, json_path(r, "http.paths")) {
			const char *path_at = PATH(c, "%s.http.paths[%zu]", at, k++),
				   *path = str_or(json_path_str(p, "path"), "");
			const char *type = json_path_str(p, "pathType");
			if (str_empty(type))
				bad_required(c, PATH(c, "%s.pathType", path_at), "pathType must be specified");
			else if (!str_eq(type, "ImplementationSpecific") && *path != '/')
				bad_invalid_str(c, PATH(c, "%s.path", path_at), path, "must be an absolute path");
			check_ingress_backend(c, PATH(c, "%s.backend", path_at), json_get(p, "backend"));
		}
	}
}

static void check_policy_rules(struct check *c, const char *path, const struct json *rules, const char *peers)
{
	size_t i = 0, k;

	EACH_ITEM(r, rules) {
		const char *at = PATH(c, "%s[%zu]", path, i++);
		k = 0;
		EACH_ITEM(p, json_get(r, "ports")) {
			const char *port_at = PATH(c, "%s.ports[%zu].port", at, k++);
			const struct json *port = json_get(p, "port");
			if (json_str(port))
				check_name(c, port_at, port, name_check_port_name);
			else
				check_port(c, port_at, port);
		}
		k = 0;
		EACH_ITEM(p, json_get(r, peers)) {
			const char *peer = PATH(c, "%s.%s[%zu]", at, peers, k++);
			const struct json *block = json_get(p, "ipBlock");
			if (!json_len(p))
				bad_required(c, peer, "must specify a peer");
			check_selector(c, PATH(c, "%s.podSelector", peer), json_get(p, "podSelector"));
			check_selector(c, PATH(c, "%s.namespaceSelector", peer), json_get(p, "namespaceSelector"));
			if (!block)
				continue;
			if (json_len(p) > 1)
				bad_forbidden(c, peer, "may not specify both ipBlock and another peer");
			if (need_str(c, PATH(c, "%s.ipBlock.cidr", peer), json_get(block, "cidr")))
				check_name(c, PATH(c, "%s.ipBlock.cidr", peer), json_get(block, "cidr"), rule_cidr);
		}
	}
}

static void check_network_policy(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	check_selector(c, "spec.podSelector", json_get(spec, "podSelector"));
	check_policy_rules(c, "spec.ingress", json_get(spec, "ingress"), "from");
	check_policy_rules(c, "spec.egress", json_get(spec, "egress"), "to");
}

#define SLICE_ENDPOINTS_MAX 1000
#define SLICE_ADDRESSES_MAX 100
static void check_endpoint_slice(struct check *c)
{
	const struct json *endpoints = json_get(c->tree, "endpoints");
	bool fqdn = str_eq(json_path_str(c->tree, "addressType"), "FQDN");
	size_t i = 0, k;

	if (json_len(endpoints) > SLICE_ENDPOINTS_MAX)
		bad_invalid(c, "endpoints", json_new_int(&c->arena, json_len(endpoints)),
			    "must have at most 1000 items");
	EACH_ITEM(e, endpoints) {
		const char *at = PATH(c, "endpoints[%zu]", i++);
		uint32_t n = json_len(json_get(e, "addresses"));
		if (!n)
			bad_required(c, PATH(c, "%s.addresses", at), "must contain at least 1 address");
		if (n > SLICE_ADDRESSES_MAX)
			bad_invalid(c, PATH(c, "%s.addresses", at), json_new_int(&c->arena, n),
				    "must have at most 100 items");
		k = 0;
		EACH_ITEM(a, json_get(e, "addresses"))
			check_name(c, PATH(c, "%s.addresses[%zu]", at, k++), a,
				   fqdn ? name_check_dns1123_subdomain : rule_ip);
	}
}

/* ---- admission, extension ---- */

static const char *rule_webhook_name(const char *s)
{
	const char *why = name_check_dns1123_subdomain(s);
	const char *dot = why ? NULL : strchr(s, '.');

	if (why)
		return why;
	return dot && strchr(dot + 1, '.') ? NULL : "should be a domain with at least three segments separated by dots";
}

static void check_webhooks(struct check *c)
{
	static const char *const effects[] = {"None", "NoneOnDryRun", NULL};
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(w, json_get(c->tree, "webhooks")) {
		const char *at = PATH(c, "webhooks[%zu]", i++), *name = json_path_str(w, "name");
		const char *effect = json_path_str(w, "sideEffects");
		const struct json *client = json_get(w, "clientConfig");
		if (need_str(c, PATH(c, "%s.name", at), json_get(w, "name"))) {
			check_name(c, PATH(c, "%s.name", at), json_get(w, "name"), rule_webhook_name);
			if (map_set(&names, name, c))
				bad_duplicate(c, PATH(c, "%s.name", at), name);
		}
		if (str_empty(effect))
			bad_required(c, PATH(c, "%s.sideEffects", at), "must specify one of None, NoneOnDryRun");
		else if (!str_in(effect, effects))
			bad_unsupported(c, PATH(c, "%s.sideEffects", at), effect, effects);
		if (!json_len(json_get(w, "admissionReviewVersions")))
			bad_required(c, PATH(c, "%s.admissionReviewVersions", at), "must specify one of v1, v1beta1");
		if (!json_get(client, "url") == !json_get(client, "service"))
			bad_required(c, PATH(c, "%s.clientConfig", at), "exactly one of url or service is required");
		int64_t timeout = json_path_int(w, "timeoutSeconds", 10);
		if (timeout < 1 || timeout > 30)
			bad_invalid(c, PATH(c, "%s.timeoutSeconds", at), json_get(w, "timeoutSeconds"),
				    "the timeout value must be between 1 and 30 seconds");
		check_selector(c, PATH(c, "%s.namespaceSelector", at), json_get(w, "namespaceSelector"));
		check_selector(c, PATH(c, "%s.objectSelector", at), json_get(w, "objectSelector"));
	}
}

static void check_definition(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");
	const char *plural = str_or(json_path_str(spec, "names.plural"), ""),
		   *group = str_or(json_path_str(spec, "group"), "");
	_cleanup_names_ struct map names = MAP_INIT;
	size_t stored = 0, i = 0;

	if (*plural && *group && !str_eq(meta_name(c->tree), PATH(c, "%s.%s", plural, group)))
		bad_invalid_str(c, "metadata.name", meta_name(c->tree), "must be spec.names.plural+\".\"+spec.group");
	if (*group && !strchr(group, '.'))
		bad_invalid_str(c, "spec.group", group, "should be a domain with at least one dot");
	check_name(c, "spec.names.plural", json_path(spec, "names.plural"), name_check_dns1035_label);
	EACH_ITEM(v, json_get(spec, "versions")) {
		const char *at = PATH(c, "spec.versions[%zu]", i++), *name = json_path_str(v, "name");
		stored += json_path_bool(v, "storage", false);
		if (need_str(c, PATH(c, "%s.name", at), json_get(v, "name"))) {
			check_name(c, PATH(c, "%s.name", at), json_get(v, "name"), name_check_dns1035_label);
			if (map_set(&names, name, c))
				bad_duplicate(c, PATH(c, "%s.name", at), name);
		}
		if (!json_path(v, "schema.openAPIV3Schema"))
			bad_required(c, PATH(c, "%s.schema.openAPIV3Schema", at), "schemas are required");
	}
	if (json_len(json_get(spec, "versions")) && stored != 1)
		bad_invalid(c, "spec.versions", json_get(spec, "versions"),
			    "must have exactly one version marked as storage version");
}

static const struct {
	const char *group, *kind;
	void (*fn)(struct check *c);
} kinds[] = {
    {RBAC, "Role", check_role},
    {RBAC, "ClusterRole", check_role},
    {RBAC, "RoleBinding", check_role_binding},
    {RBAC, "ClusterRoleBinding", check_role_binding},
    {"policy", "PodDisruptionBudget", check_disruption_budget},
    {"autoscaling", "HorizontalPodAutoscaler", check_autoscaler},
    {"scheduling.k8s.io", "PriorityClass", check_priority_class},
    {"networking.k8s.io", "Ingress", check_ingress},
    {"networking.k8s.io", "NetworkPolicy", check_network_policy},
    {"discovery.k8s.io", "EndpointSlice", check_endpoint_slice},
    {ADMISSION, "MutatingWebhookConfiguration", check_webhooks},
    {ADMISSION, "ValidatingWebhookConfiguration", check_webhooks},
    {"apiextensions.k8s.io", "CustomResourceDefinition", check_definition},
};

void check_kind(struct check *c, const char *subresource)
{
	check_tables(c);
	(void)subresource;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (applies(c, kinds[i].group, kinds[i].kind))
			kinds[i].fn(c);
	check_workload(c);
}
