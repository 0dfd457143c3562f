/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of core/v1. */
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/resource.h"
#include "api/validate.h"
#include "api/validate_internal.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

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

	check_immutable(c, "type", "type");
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
	if (!json_len(json_get(spec, "capacity")))
		bad_required(c, "spec.capacity", NULL);
	if (!json_len(json_get(spec, "accessModes")))
		bad_required(c, "spec.accessModes", NULL);
}

static void check_claim(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	check_quantities(c, "spec.resources.requests", json_path(spec, "resources.requests"));
	check_selector(c, "spec.selector", json_get(spec, "selector"));
	if (!json_len(json_get(spec, "accessModes")))
		bad_required(c, "spec.accessModes", "at least 1 access mode is required");
	if (!json_path(spec, "resources.requests.storage"))
		bad_required(c, "spec.resources.requests.storage", NULL);
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

static void check_replication_controller(struct check *c)
{
	static const char *const always[] = {"Always", NULL};
	const struct json *spec = json_get(c->tree, "spec");
	const struct json *selector = json_get(spec, "selector"), *labels = json_path(spec, "template.metadata.labels");

	check_min(c, "spec.replicas", json_get(spec, "replicas"), 0);
	check_min(c, "spec.minReadySeconds", json_get(spec, "minReadySeconds"), 0);
	if (!json_len(selector))
		bad_required(c, "spec.selector", NULL);
	else if (json_get(spec, "template"))
		JSON_EACH(s, selector)
			if (!str_eq(json_str(json_get(labels, s->key)), json_str(s))) {
				bad_invalid(c, "spec.template.metadata.labels",
					    labels ? labels : json_new(&c->arena, JSON_OBJECT),
					    "`selector` does not match template `labels`");
				break;
			}
	if (!json_get(spec, "template"))
		bad_required(c, "spec.template", NULL);
	else
		check_pod_template(c, "spec.template", json_get(spec, "template"), always);
}

static const struct {
	const char *kind;
	void (*fn)(struct check *c);
} kinds[] = {
    {"PodTemplate", check_pod_template_kind},
    {"Service", check_service},
    {"ConfigMap", check_config_map},
    {"Secret", check_secret},
    {"Node", check_node},
    {"PersistentVolume", check_persistent_volume},
    {"PersistentVolumeClaim", check_claim},
    {"ResourceQuota", check_resource_quota},
    {"LimitRange", check_limit_range},
    {"Event", check_event},
    {"ReplicationController", check_replication_controller},
};

void check_core(struct check *c, const char *subresource)
{
	if (str_eq(c->resource->kind, "Pod")) {
		if (c->old)
			check_pod_update(c, subresource);
		if (!c->old || !json_equal(json_get(c->tree, "spec"), json_get(c->old, "spec")))
			check_pod(c);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i].kind, c->resource->kind))
			kinds[i].fn(c);
}
