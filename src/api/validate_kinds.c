/* SPDX-License-Identifier: Apache-2.0 */
/* Rules by kind: first three tables of simple facts, then functions. */
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
    {"", "PersistentVolume", "spec.capacity", NULL},
    {"", "PersistentVolume", "spec.accessModes", NULL},
    {"", "PersistentVolumeClaim", "spec.accessModes", "at least 1 access mode is required"},
    {"", "PersistentVolumeClaim", "spec.resources.requests.storage", NULL},
    {"", "Event", "involvedObject", NULL},
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
    {"", "Secret", "type"},
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

static void release_names(struct map *m)
{
	map_release(m, NULL);
}
#define _cleanup_names_ _cleanup_(release_names)

/* ---- core ---- */

static void check_pod(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	if (!spec) {
		bad_required(c, "spec", NULL);
		return;
	}
	check_pod_spec(c, "spec", spec);
	if (!c->old && json_len(json_get(spec, "ephemeralContainers")))
		bad_forbidden(c, "spec.ephemeralContainers", "cannot be set on create");
}

static void check_pod_template_kind(struct check *c)
{
	static const char *const any[] = {"Always", "OnFailure", "Never", NULL};
	check_pod_template(c, "template", json_get(c->tree, "template"), any);
}

static void check_service_port(struct check *c, const struct json *p, const char *at, bool named, bool node_ports,
			       struct map *names, struct map *numbers)
{
	const char *name = str_or(json_path_str(p, "name"), "");
	const struct json *target = json_get(p, "targetPort"), *node_port = json_get(p, "nodePort");

	if (named && !*name)
		bad_required(c, PATH(c, "%s.name", at), NULL);
	if (*name && check_name(c, PATH(c, "%s.name", at), json_get(p, "name"), name_check_dns1123_label) &&
	    map_set(names, name, c))
		bad_duplicate(c, PATH(c, "%s.name", at), name);
	const struct json *port = json_get(p, "port");
	check_port(c, PATH(c, "%s.port", at), port ? port : json_new_int(&c->arena, 0));
	if (json_str(target))
		check_name(c, PATH(c, "%s.targetPort", at), target, name_check_port_name);
	else
		check_port(c, PATH(c, "%s.targetPort", at), target);
	if (json_int(node_port, 0) && !node_ports)
		bad_forbidden(c, PATH(c, "%s.nodePort", at), "may not be used when `type` is 'ClusterIP'");
	const char *key = PATH(c, "%s/%lld", str_or(json_path_str(p, "protocol"), ""), (long long)json_int(port, 0));
	if (map_set(numbers, key, c))
		bad_duplicate(c, at, key);
}

static void check_service(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *ports = json_get(spec, "ports");
	const char *type = str_or(json_path_str(spec, "type"), "ClusterIP"), *ip = json_path_str(spec, "clusterIP");
	bool external_name = str_eq(type, "ExternalName"), headless = str_eq(ip, "None");
	_cleanup_names_ struct map names = MAP_INIT, numbers = MAP_INIT;
	size_t i = 0;

	if (!json_len(ports) && !headless && !external_name)
		bad_required(c, "spec.ports", NULL);
	EACH_ITEM(p, ports)
		check_service_port(c, p, PATH(c, "spec.ports[%zu]", i++), json_len(ports) > 1,
				   str_eq(type, "NodePort") || str_eq(type, "LoadBalancer"), &names, &numbers);
	check_labels(c, "spec.selector", json_get(spec, "selector"));
	if (external_name) {
		if (need_str(c, "spec.externalName", json_get(spec, "externalName")))
			check_name(c, "spec.externalName", json_get(spec, "externalName"),
				   name_check_dns1123_subdomain);
		if (!str_empty(ip) && !headless)
			bad_forbidden(c, "spec.clusterIPs", "may not be set when `type` is 'ExternalName'");
	}
	if (headless && (str_eq(type, "NodePort") || str_eq(type, "LoadBalancer")))
		bad_invalid_str(c, "spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services");
	if (!str_empty(ip) && !headless)
		check_name(c, "spec.clusterIP", json_get(spec, "clusterIP"), rule_ip);
	i = 0;
	EACH_ITEM(e, json_get(spec, "externalIPs"))
		check_name(c, PATH(c, "spec.externalIPs[%zu]", i++), e, rule_ip);
	int64_t timeout = json_path_int(spec, "sessionAffinityConfig.clientIP.timeoutSeconds", 1);
	if (timeout < 1 || timeout > 86400)
		bad_invalid(c, "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
			    json_path(spec, "sessionAffinityConfig.clientIP.timeoutSeconds"),
			    "must be greater than 0 and less than 86400");
	const char *old_ip = json_path_str(c->old, "spec.clusterIP");
	if (!str_empty(old_ip) && !external_name && !str_eq(json_path_str(c->old, "spec.type"), "ExternalName") &&
	    !str_empty(ip) && !str_eq(ip, old_ip))
		bad_invalid(c, "spec.clusterIPs[0]", json_get(spec, "clusterIP"), "may not change once set");
}

/* Keys of data and binaryData (stringData was folded in before), and their size together. */
static size_t check_data(struct check *c, const char *member, const struct json *data, const struct json *other)
{
	size_t total = 0;

	if (!json_is(data, JSON_OBJECT))
		return 0;
	JSON_EACH(d, data) {
		const char *at = PATH(c, "%s[%s]", member, d->key), *why = name_check_config_key(d->key);
		if (why)
			bad_invalid_str(c, at, d->key, why);
		if (json_get(other, d->key))
			bad_invalid_str(c, at, d->key, "duplicate of key present in binaryData");
		total += d->type == JSON_STRING ? d->len : 0;
	}
	return total;
}

static void check_frozen(struct check *c, const char *const *members)
{
	if (!json_path_bool(c->old, "immutable", false))
		return;
	if (!json_path_bool(c->tree, "immutable", false))
		bad_forbidden(c, "immutable", "field is immutable when `immutable` is set");
	for (; *members; members++)
		if (!json_equal(json_get(c->tree, *members), json_get(c->old, *members)))
			bad_forbidden(c, *members, "field is immutable when `immutable` is set");
}

static void check_config_map(struct check *c)
{
	static const char *const members[] = {"data", "binaryData", NULL};
	const struct json *data = json_get(c->tree, "data"), *binary = json_get(c->tree, "binaryData");
	size_t total = check_data(c, "data", data, binary) + check_data(c, "binaryData", binary, NULL) / 4 * 3;

	if (total > VALIDATE_CONFIG_BYTES_MAX)
		bad_too_long(c, "", VALIDATE_CONFIG_BYTES_MAX);
	check_frozen(c, members);
}

static void check_json_key(struct check *c, const char *path, const struct json *v)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *ignored;

	if (!v)
		bad_required(c, path, NULL);
	else if (base64_decode(&text, str_or(json_str(v), ""), v->len) < 0 ||
		 json_parse(&c->arena, buf_str(&text), text.len, &ignored, NULL) < 0)
		bad_invalid_str(c, path, "<secret contents redacted>", "invalid JSON");
}

static void check_secret(struct check *c)
{
	static const char *const members[] = {"data", NULL};
	static const struct {
		const char *type, *key;
	} needed[] = {{"kubernetes.io/ssh-auth", "ssh-privatekey"},
		      {"kubernetes.io/tls", "tls.crt"},
		      {"kubernetes.io/tls", "tls.key"}};
	const struct json *data = json_get(c->tree, "data");
	const char *type = str_or(json_path_str(c->tree, "type"), "");

	if (check_data(c, "data", data, NULL) / 4 * 3 > VALIDATE_CONFIG_BYTES_MAX)
		bad_too_long(c, "data", VALIDATE_CONFIG_BYTES_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (str_eq(needed[i].type, type) && !json_get(data, needed[i].key))
			bad_required(c, PATH(c, "data[%s]", needed[i].key), NULL);
	if (str_eq(type, "kubernetes.io/service-account-token") &&
	    str_empty(meta_annotation(c->tree, "kubernetes.io/service-account.name")))
		bad_required(c, "metadata.annotations[kubernetes.io/service-account.name]", NULL);
	if (str_eq(type, "kubernetes.io/dockerconfigjson"))
		check_json_key(c, "data[.dockerconfigjson]", json_get(data, ".dockerconfigjson"));
	if (str_eq(type, "kubernetes.io/dockercfg"))
		check_json_key(c, "data[.dockercfg]", json_get(data, ".dockercfg"));
	if (str_eq(type, "kubernetes.io/basic-auth") && !json_get(data, "username") && !json_get(data, "password")) {
		bad_required(c, "data[username]", NULL);
		bad_required(c, "data[password]", NULL);
	}
	check_frozen(c, members);
}

static void check_node(struct check *c)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(t, json_path(c->tree, "spec.taints")) {
		const char *at = PATH(c, "spec.taints[%zu]", i++);
		if (need_str(c, PATH(c, "%s.key", at), json_get(t, "key")))
			check_name(c, PATH(c, "%s.key", at), json_get(t, "key"), name_check_qualified);
		check_name(c, PATH(c, "%s.value", at), json_get(t, "value"), name_check_label_value);
		need_str(c, PATH(c, "%s.effect", at), json_get(t, "effect"));
		const char *key =
		    PATH(c, "%s:%s", str_or(json_path_str(t, "key"), ""), str_or(json_path_str(t, "effect"), ""));
		if (map_set(&seen, key, c))
			bad_duplicate(c, at, key);
	}
	i = 0;
	EACH_ITEM(cidr, json_path(c->tree, "spec.podCIDRs"))
		check_name(c, PATH(c, "spec.podCIDRs[%zu]", i++), cidr, rule_cidr);
	const char *before = json_path_str(c->old, "spec.podCIDR");
	if (!str_empty(before) && !str_eq(before, json_path_str(c->tree, "spec.podCIDR")))
		bad_forbidden(c, "spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
	const char *provider = json_path_str(c->old, "spec.providerID");
	if (!str_empty(provider) && !str_eq(provider, json_path_str(c->tree, "spec.providerID")))
		bad_forbidden(c, "spec.providerID", "node updates may not change providerID except from \"\" to valid");
}

static void check_persistent_volume(struct check *c)
{
	static const char *const plain[] = {"claimRef", "nodeAffinity", NULL};
	const struct json *spec = json_get(c->tree, "spec");
	size_t sources = 0;

	if (json_is(spec, JSON_OBJECT))
		JSON_EACH(m, spec)
			if (m->type == JSON_OBJECT && !str_in(m->key, plain) && !str_eq(m->key, "capacity"))
				if (sources++)
					bad_forbidden(c, PATH(c, "spec.%s", m->key),
						      "may not specify more than 1 volume type");
	if (!sources)
		bad_required(c, "spec", "must specify a volume type");
	check_quantities(c, "spec.capacity", json_get(spec, "capacity"));
}

static void check_claim(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	check_quantities(c, "spec.resources.requests", json_path(spec, "resources.requests"));
	check_selector(c, "spec.selector", json_get(spec, "selector"));
	if (!json_is(spec, JSON_OBJECT) || !json_is(json_get(c->old, "spec"), JSON_OBJECT))
		return;
	struct json *mine = json_clone(&c->arena, spec), *theirs = json_clone(&c->arena, json_get(c->old, "spec"));
	static const char *const changeable[] = {"resources", "volumeAttributesClassName"};
	for (size_t i = 0; i < ARRAY_SIZE(changeable); i++) {
		json_remove(mine, changeable[i]);
		json_remove(theirs, changeable[i]);
	}
	if (!json_get(theirs, "volumeName")) /* binding fills these in */
		json_remove(mine, "volumeName");
	if (!json_get(theirs, "storageClassName"))
		json_remove(mine, "storageClassName");
	if (!json_equal(mine, theirs))
		bad_forbidden(
		    c, "spec",
		    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
		    "bound claims");
}

static void check_resource_quota(struct check *c)
{
	check_quantities(c, "spec.hard", json_path(c->tree, "spec.hard"));
	check_immutable(c, "spec.scopes", "spec.scopes");
}

static void check_order(struct check *c, const char *path, const struct json *item, const char *small,
			const char *large)
{
	const struct json *smaller = json_get(item, small);
	struct quantity s, l;
	char text[QUANTITY_TEXT_MAX], other[QUANTITY_TEXT_MAX];

	if (!json_is(smaller, JSON_OBJECT))
		return;
	JSON_EACH(v, smaller) {
		const struct json *bound = json_get(json_get(item, large), v->key);
		if (bound && quantity_from_json(v, &s) == 0 && quantity_from_json(bound, &l) == 0 &&
		    quantity_compare(&s, &l) > 0)
			bad_invalid(c, PATH(c, "%s.%s[%s]", path, small, v->key), v,
				    PATH(c, "%s value %s is greater than %s value %s", small, quantity_format(&s, text),
					 large, quantity_format(&l, other)));
	}
}

static void check_limit_range(struct check *c)
{
	_cleanup_names_ struct map types = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(item, json_path(c->tree, "spec.limits")) {
		const char *at = PATH(c, "spec.limits[%zu]", i++), *type = str_or(json_path_str(item, "type"), "");
		if (need_str(c, PATH(c, "%s.type", at), json_get(item, "type")) && map_set(&types, type, c))
			bad_duplicate(c, PATH(c, "%s.type", at), type);
		check_order(c, at, item, "min", "max");
		check_order(c, at, item, "min", "default");
		check_order(c, at, item, "default", "max");
		check_order(c, at, item, "defaultRequest", "default");
		check_order(c, at, item, "defaultRequest", "max");
	}
}

static void check_event(struct check *c)
{
	const char *ns = json_path_str(c->tree, "involvedObject.namespace"), *mine = meta_ns(c->tree);

	if (!str_empty(ns) ? !str_eq(ns, mine) : !str_eq(mine, "default") && !str_eq(mine, "kube-system"))
		bad_invalid_str(c, "involvedObject.namespace", str_or(ns, ""), "does not match event.namespace");
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
    {"", "PodTemplate", check_pod_template_kind},
    {"", "Service", check_service},
    {"", "ConfigMap", check_config_map},
    {"", "Secret", check_secret},
    {"", "Node", check_node},
    {"", "PersistentVolume", check_persistent_volume},
    {"", "PersistentVolumeClaim", check_claim},
    {"", "ResourceQuota", check_resource_quota},
    {"", "LimitRange", check_limit_range},
    {"", "Event", check_event},
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
	if (applies(c, "", "Pod")) {
		if (c->old)
			check_pod_update(c, subresource);
		if (!c->old || !json_equal(json_get(c->tree, "spec"), json_get(c->old, "spec")))
			check_pod(c);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (applies(c, kinds[i].group, kinds[i].kind))
			kinds[i].fn(c);
	check_workload(c);
}
