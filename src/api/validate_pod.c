/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_internal.h"
#include "base/map.h"
#include "base/str.h"

/* What a pod's containers refer to, and what must be distinct between them. */
struct pod_check {
	struct check *c;
	struct map volumes, containers, host_ports;
	bool host_network;
};

/* ---- resources ---- */

static bool is_standard_resource(const char *name)
{
	static const char *const names[] = {"cpu", "memory", "ephemeral-storage", "storage", NULL};
	return str_in(name, names) || str_has_prefix(name, "hugepages-");
}

static void check_container_resource(struct check *c, const char *at, const struct json *v)
{
	const char *why = name_check_qualified(v->key);
	struct quantity q;

	if (why)
		bad_invalid_str(c, at, v->key, why);
	else if (!is_standard_resource(v->key) && !strchr(v->key, '/'))
		bad_invalid_str(c, at, v->key, "must be a standard resource type or fully qualified");
	if (quantity_from_json(v, &q) < 0)
		return;
	if (q.nano < 0)
		bad_invalid(c, at, v, "must be greater than or equal to 0");
	else if (!is_standard_resource(v->key) && q.nano % 1000000000)
		bad_invalid(c, at, v, "must be an integer");
}

static void check_request(struct check *c, const char *at, const struct json *request, const struct json *limit)
{
	bool overcommits = is_standard_resource(request->key) && !str_has_prefix(request->key, "hugepages-");
	struct quantity r, l;
	char text[QUANTITY_TEXT_MAX];

	if (!limit) {
		if (!overcommits)
			bad_required(c, at, "Limit must be set for non overcommitable resources");
		return;
	}
	if (quantity_from_json(request, &r) < 0 || quantity_from_json(limit, &l) < 0)
		return;
	int order = quantity_compare(&r, &l);
	if (!overcommits && order != 0)
		bad_invalid(c, at, request,
			    PATH(c, "must be equal to %s limit of %s", request->key, quantity_format(&l, text)));
	else if (order > 0)
		bad_invalid(
		    c, at, request,
		    PATH(c, "must be less than or equal to %s limit of %s", request->key, quantity_format(&l, text)));
}

static void check_resources(struct check *c, const char *path, const struct json *resources)
{
	const struct json *limits = json_get(resources, "limits"), *requests = json_get(resources, "requests");

	if (json_is(limits, JSON_OBJECT))
		JSON_EACH(v, limits)
			check_container_resource(c, PATH(c, "%s.limits[%s]", path, v->key), v);
	if (json_is(requests, JSON_OBJECT))
		JSON_EACH(v, requests) {
			check_container_resource(c, PATH(c, "%s.requests[%s]", path, v->key), v);
			check_request(c, PATH(c, "%s.requests", path), v, json_get(limits, v->key));
		}
}

/* ---- containers ---- */

static void check_ports(struct pod_check *p, const char *path, const struct json *ports)
{
	struct check *c = p->c;
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(port, ports) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *name = json_path_str(port, "name");
		const struct json *number = json_get(port, "containerPort");
		int64_t host = json_path_int(port, "hostPort", 0);
		if (!str_empty(name) &&
		    check_name(c, PATH(c, "%s.name", at), json_get(port, "name"), name_check_port_name) &&
		    map_set(&names, name, p))
			bad_duplicate(c, PATH(c, "%s.name", at), name);
		if (json_int(number, 0) == 0)
			bad_required(c, PATH(c, "%s.containerPort", at), NULL);
		else
			check_port(c, PATH(c, "%s.containerPort", at), number);
		if (!host)
			continue;
		check_port(c, PATH(c, "%s.hostPort", at), json_get(port, "hostPort"));
		if (p->host_network && host != json_int(number, 0))
			bad_invalid(c, PATH(c, "%s.hostPort", at), json_get(port, "hostPort"),
				    "must match `containerPort` when `hostNetwork` is true");
		const char *key = PATH(c, "%s/%s/%lld", str_or(json_path_str(port, "protocol"), "TCP"),
				       str_or(json_path_str(port, "hostIP"), ""), (long long)host);
		if (map_set(&p->host_ports, key, p))
			bad_duplicate(c, PATH(c, "%s.hostPort", at), key);
	}
}

static void check_env_source(struct check *c, const char *at, const struct json *e)
{
	static const struct {
		const char *source, *needed;
	} sources[] = {{"fieldRef", "fieldPath"},
		       {"resourceFieldRef", "resource"},
		       {"configMapKeyRef", "key"},
		       {"secretKeyRef", "key"},
		       {"fileKeyRef", "key"}};
	const struct json *from = json_get(e, "valueFrom");
	size_t n = 0;

	if (!from)
		return;
	if (!str_empty(json_path_str(e, "value")))
		bad_invalid_str(c, PATH(c, "%s.valueFrom", at), "", "may not be specified when `value` is not empty");
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		const struct json *source = json_get(from, sources[i].source);
		if (!source)
			continue;
		n++;
		need_str(c, PATH(c, "%s.valueFrom.%s.%s", at, sources[i].source, sources[i].needed),
			 json_get(source, sources[i].needed));
	}
	if (n == 0)
		bad_invalid_str(c, PATH(c, "%s.valueFrom", at), "",
				"must specify one of: `fieldRef`, `resourceFieldRef`, "
				"`configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
	else if (n > 1)
		bad_invalid_str(c, PATH(c, "%s.valueFrom", at), "",
				"may not have more than one field specified at a time");
}

static void check_env(struct check *c, const char *path, const struct json *container)
{
	size_t i = 0;

	EACH_ITEM(e, json_get(container, "env")) {
		const char *at = PATH(c, "%s.env[%zu]", path, i++);
		if (need_str(c, PATH(c, "%s.name", at), json_get(e, "name")))
			check_name(c, PATH(c, "%s.name", at), json_get(e, "name"), name_check_env_var);
		check_env_source(c, at, e);
	}
	i = 0;
	EACH_ITEM(e, json_get(container, "envFrom")) {
		const char *at = PATH(c, "%s.envFrom[%zu]", path, i++);
		const struct json *map = json_get(e, "configMapRef"), *secret = json_get(e, "secretRef");
		if (!map && !secret)
			bad_invalid_str(c, at, "", "must specify one of: `configMapRef` or `secretRef`");
		else if (map && secret)
			bad_invalid_str(c, at, "", "may not have more than one field specified at a time");
		else
			need_str(c, PATH(c, "%s.%s.name", at, map ? "configMapRef" : "secretRef"),
				 json_get(map ? map : secret, "name"));
	}
}

static bool steps_up(const char *path)
{
	for (const char *s = path; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL)
		if (strncmp(s, "..", 2) == 0 && (!s[2] || s[2] == '/'))
			return true;
	return false;
}

static void check_relative(struct check *c, const char *path, const struct json *v)
{
	const char *s = str_or(json_str(v), "");

	if (*s == '/')
		bad_invalid(c, path, v, "must be a relative path");
	else if (steps_up(s))
		bad_invalid(c, path, v, "must not contain '..'");
}

static void check_mounts(struct pod_check *p, const char *path, const struct json *mounts)
{
	struct check *c = p->c;
	_cleanup_names_ struct map points = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(m, mounts) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *name = json_path_str(m, "name");
		const char *point = json_path_str(m, "mountPath");
		if (need_str(c, PATH(c, "%s.name", at), json_get(m, "name")) && !map_has(&p->volumes, name))
			bad_not_found(c, PATH(c, "%s.name", at), name);
		if (need_str(c, PATH(c, "%s.mountPath", at), json_get(m, "mountPath")) && map_set(&points, point, p))
			bad_invalid_str(c, PATH(c, "%s.mountPath", at), point, "must be unique");
		check_relative(c, PATH(c, "%s.subPath", at), json_get(m, "subPath"));
		check_relative(c, PATH(c, "%s.subPathExpr", at), json_get(m, "subPathExpr"));
		if (!str_empty(json_path_str(m, "subPath")) && !str_empty(json_path_str(m, "subPathExpr")))
			bad_invalid(c, PATH(c, "%s.subPathExpr", at), json_get(m, "subPathExpr"),
				    "subPathExpr and subPath are mutually exclusive");
	}
}

static void check_port_or_name(struct check *c, const char *path, const struct json *v)
{
	if (!v || v->type == JSON_STRING) {
		if (need_str(c, path, v))
			check_name(c, path, v, name_check_port_name);
	} else {
		check_port(c, path, v);
	}
}

/* An action of a probe or lifecycle hook: exactly one. */
static void check_handler(struct check *c, const char *path, const struct json *h)
{
	static const char *const kinds[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *k = json_get(h, kinds[i]);
		if (!k)
			continue;
		if (n++)
			bad_forbidden(c, PATH(c, "%s.%s", path, kinds[i]), "may not specify more than 1 handler type");
		else if (str_eq(kinds[i], "exec") && !json_len(json_get(k, "command")))
			bad_required(c, PATH(c, "%s.exec.command", path), NULL);
		else if (str_eq(kinds[i], "httpGet") || str_eq(kinds[i], "tcpSocket"))
			check_port_or_name(c, PATH(c, "%s.%s.port", path, kinds[i]), json_get(k, "port"));
		else if (str_eq(kinds[i], "grpc"))
			check_port(c, PATH(c, "%s.grpc.port", path), json_get(k, "port"));
	}
	if (!n)
		bad_required(c, path, "must specify a handler type");
}

static void check_probe(struct check *c, const char *path, const struct json *probe, bool once)
{
	static const char *const numbers[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
					      "successThreshold", "failureThreshold"};

	if (!probe)
		return;
	check_handler(c, path, probe);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		check_min(c, PATH(c, "%s.%s", path, numbers[i]), json_get(probe, numbers[i]), 0);
	if (once && json_path_int(probe, "successThreshold", 1) != 1)
		bad_invalid(c, PATH(c, "%s.successThreshold", path), json_get(probe, "successThreshold"), "must be 1");
}

static void check_security(struct check *c, const char *path, const struct json *s)
{
	check_min(c, PATH(c, "%s.runAsUser", path), json_get(s, "runAsUser"), 0);
	check_min(c, PATH(c, "%s.runAsGroup", path), json_get(s, "runAsGroup"), 0);
	check_min(c, PATH(c, "%s.fsGroup", path), json_get(s, "fsGroup"), 0);
	if (json_path_bool(s, "privileged", false) && !json_path_bool(s, "allowPrivilegeEscalation", true))
		bad_invalid(c, path, s, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
	const char *seccomp = json_path_str(s, "seccompProfile.type");
	bool has_file = !str_empty(json_path_str(s, "seccompProfile.localhostProfile"));
	if (str_eq(seccomp, "Localhost") && !has_file)
		bad_required(c, PATH(c, "%s.seccompProfile.localhostProfile", path),
			     "must be set when seccomp type is Localhost");
	else if (seccomp && !str_eq(seccomp, "Localhost") && has_file)
		bad_invalid(c, PATH(c, "%s.seccompProfile.localhostProfile", path),
			    json_path(s, "seccompProfile.localhostProfile"),
			    "can only be set when seccomp type is Localhost");
}

enum container_kind { CONTAINER, INIT_CONTAINER, EPHEMERAL_CONTAINER };

static void check_container_probes(struct check *c, const char *path, const struct json *ctr, enum container_kind kind)
{
	static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
	bool sidecar = kind == INIT_CONTAINER && str_eq(json_path_str(ctr, "restartPolicy"), "Always");
	bool allowed = kind == CONTAINER || sidecar;

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		const struct json *probe = json_get(ctr, probes[i]);
		const char *at = PATH(c, "%s.%s", path, probes[i]);
		if (probe && !allowed)
			bad_forbidden(c, at,
				      kind == INIT_CONTAINER ? "may not be set for init containers without "
							       "restartPolicy=Always"
							     : "cannot be set for an Ephemeral Container");
		else
			check_probe(c, at, probe, !str_eq(probes[i], "readinessProbe"));
	}
	const struct json *hooks = json_get(ctr, "lifecycle");
	if (hooks && !allowed) {
		bad_forbidden(c, PATH(c, "%s.lifecycle", path),
			      kind == INIT_CONTAINER ? "may not be set for init containers without restartPolicy=Always"
						     : "cannot be set for an Ephemeral Container");
		return;
	}
	if (json_get(hooks, "postStart"))
		check_handler(c, PATH(c, "%s.lifecycle.postStart", path), json_get(hooks, "postStart"));
	if (json_get(hooks, "preStop"))
		check_handler(c, PATH(c, "%s.lifecycle.preStop", path), json_get(hooks, "preStop"));
}

static void check_container(struct pod_check *p, const char *path, const struct json *ctr, enum container_kind kind)
{
	struct check *c = p->c;
	const char *name = json_path_str(ctr, "name"), *image = str_or(json_path_str(ctr, "image"), "");

	if (need_str(c, PATH(c, "%s.name", path), json_get(ctr, "name"))) {
		check_name(c, PATH(c, "%s.name", path), json_get(ctr, "name"), name_check_dns1123_label);
		if (map_set(&p->containers, name, p))
			bad_duplicate(c, PATH(c, "%s.name", path), name);
	}
	if (!*image)
		bad_required(c, PATH(c, "%s.image", path), NULL);
	else if (strchr(" \t\n", image[0]) || strchr(" \t\n", image[strlen(image) - 1]))
		bad_invalid_str(c, PATH(c, "%s.image", path), image, "must not have leading or trailing whitespace");
	check_ports(p, PATH(c, "%s.ports", path), json_get(ctr, "ports"));
	check_env(c, path, ctr);
	check_mounts(p, PATH(c, "%s.volumeMounts", path), json_get(ctr, "volumeMounts"));
	check_container_probes(c, path, ctr, kind);
	check_resources(c, PATH(c, "%s.resources", path), json_get(ctr, "resources"));
	check_security(c, PATH(c, "%s.securityContext", path), json_get(ctr, "securityContext"));
}

static void check_containers(struct pod_check *p, const char *path, const struct json *list, enum container_kind kind)
{
	size_t i = 0;
	EACH_ITEM(ctr, list)
		check_container(p, PATH(p->c, "%s[%zu]", path, i++), ctr, kind);
}

/* ---- volumes ---- */

static void check_volume(struct pod_check *p, const char *path, const struct json *v)
{
	static const struct {
		const char *source, *needed;
	} rules[] = {{"secret", "secretName"}, {"hostPath", "path"},
		     {"configMap", "name"},    {"persistentVolumeClaim", "claimName"},
		     {"nfs", "server"},	       {"nfs", "path"},
		     {"csi", "driver"}};
	struct check *c = p->c;
	const char *name = json_path_str(v, "name");
	size_t n = 0;

	if (need_str(c, PATH(c, "%s.name", path), json_get(v, "name"))) {
		check_name(c, PATH(c, "%s.name", path), json_get(v, "name"), name_check_dns1123_label);
		if (map_set(&p->volumes, name, p))
			bad_duplicate(c, PATH(c, "%s.name", path), name);
	}
	JSON_EACH(source, v)
		if (source->type == JSON_OBJECT && n++)
			bad_forbidden(c, PATH(c, "%s.%s", path, source->key),
				      "may not specify more than 1 volume type");
	if (!n)
		bad_required(c, path, "must specify a volume type");
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct json *source = json_get(v, rules[i].source);
		if (source)
			need_str(c, PATH(c, "%s.%s.%s", path, rules[i].source, rules[i].needed),
				 json_get(source, rules[i].needed));
	}
	const char *host = json_path_str(v, "hostPath.path");
	if (host && steps_up(host))
		bad_invalid_str(c, PATH(c, "%s.hostPath.path", path), host, "must not contain '..'");
}

/* ---- the rest of the spec ---- */

static void check_tolerations(struct check *c, const char *path, const struct json *list)
{
	size_t i = 0;

	EACH_ITEM(t, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *op = str_or(json_path_str(t, "operator"), "");
		bool exists = str_eq(op, "Exists");
		if (str_empty(json_path_str(t, "key"))) {
			if (!exists)
				bad_invalid_str(
				    c, PATH(c, "%s.operator", at), op,
				    "operator must be Exists when `key` is empty, which means \"match all values "
				    "and all keys\"");
		} else {
			check_name(c, PATH(c, "%s.key", at), json_get(t, "key"), name_check_qualified);
		}
		if (exists && !str_empty(json_path_str(t, "value")))
			bad_invalid_str(c, PATH(c, "%s.operator", at), json_path_str(t, "value"),
					"value must be empty when `operator` is 'Exists'");
		if (json_get(t, "tolerationSeconds") && !str_eq(json_path_str(t, "effect"), "NoExecute"))
			bad_invalid_str(c, PATH(c, "%s.effect", at), str_or(json_path_str(t, "effect"), ""),
					"effect must be 'NoExecute' when `tolerationSeconds` is set");
	}
}

static void check_affinity_terms(struct check *c, const char *path, const struct json *terms, bool weighted)
{
	size_t i = 0;

	EACH_ITEM(t, terms) {
		const char *at = PATH(c, "%s[%zu]", path, i++);
		const struct json *term = t;
		if (weighted) {
			int64_t weight = json_path_int(t, "weight", 0);
			if (weight < 1 || weight > 100)
				bad_invalid(c, PATH(c, "%s.weight", at), json_new_int(&c->arena, weight),
					    "must be in the range 1-100");
			term = json_get(t, "podAffinityTerm");
			at = PATH(c, "%s.podAffinityTerm", at);
		}
		if (str_empty(json_path_str(term, "topologyKey")))
			bad_required(c, PATH(c, "%s.topologyKey", at), "can not be empty");
		check_selector(c, PATH(c, "%s.labelSelector", at), json_get(term, "labelSelector"));
	}
}

static void check_affinity(struct check *c, const char *path, const struct json *affinity)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	const struct json *node = json_path(affinity, "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");

	if (node && !json_len(json_get(node, "nodeSelectorTerms")))
		bad_required(
		    c,
		    PATH(c, "%s.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", path),
		    "must have at least one node selector term");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *k = json_get(affinity, kinds[i]);
		check_affinity_terms(c, PATH(c, "%s.%s.requiredDuringSchedulingIgnoredDuringExecution", path, kinds[i]),
				     json_get(k, "requiredDuringSchedulingIgnoredDuringExecution"), false);
		check_affinity_terms(c,
				     PATH(c, "%s.%s.preferredDuringSchedulingIgnoredDuringExecution", path, kinds[i]),
				     json_get(k, "preferredDuringSchedulingIgnoredDuringExecution"), true);
	}
}

static void check_spread(struct check *c, const char *path, const struct json *list)
{
	size_t i = 0;

	EACH_ITEM(t, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++);
		if (json_path_int(t, "maxSkew", 0) < 1)
			bad_invalid(c, PATH(c, "%s.maxSkew", at),
				    json_new_int(&c->arena, json_path_int(t, "maxSkew", 0)),
				    "must be greater than zero");
		if (str_empty(json_path_str(t, "topologyKey")))
			bad_required(c, PATH(c, "%s.topologyKey", at), "can not be empty");
		if (str_empty(json_path_str(t, "whenUnsatisfiable")))
			bad_required(c, PATH(c, "%s.whenUnsatisfiable", at), NULL);
		check_selector(c, PATH(c, "%s.labelSelector", at), json_get(t, "labelSelector"));
	}
}

void check_pod_spec(struct check *c, const char *path, const struct json *spec)
{
	struct pod_check p = {.c = c, .host_network = json_path_bool(spec, "hostNetwork", false)};
	const struct json *deadline = json_get(spec, "activeDeadlineSeconds");
	size_t i = 0;

	EACH_ITEM(v, json_get(spec, "volumes"))
		check_volume(&p, PATH(c, "%s.volumes[%zu]", path, i++), v);
	if (!json_len(json_get(spec, "containers")))
		bad_required(c, PATH(c, "%s.containers", path), NULL);
	check_containers(&p, PATH(c, "%s.containers", path), json_get(spec, "containers"), CONTAINER);
	check_containers(&p, PATH(c, "%s.initContainers", path), json_get(spec, "initContainers"), INIT_CONTAINER);
	check_containers(&p, PATH(c, "%s.ephemeralContainers", path), json_get(spec, "ephemeralContainers"),
			 EPHEMERAL_CONTAINER);
	check_min(c, PATH(c, "%s.terminationGracePeriodSeconds", path), json_get(spec, "terminationGracePeriodSeconds"),
		  0);
	if (deadline && (json_int(deadline, 0) < 1 || json_int(deadline, 0) > INT32_MAX))
		bad_invalid(c, PATH(c, "%s.activeDeadlineSeconds", path), deadline,
			    "must be between 1 and 2147483647, inclusive");
	check_labels(c, PATH(c, "%s.nodeSelector", path), json_get(spec, "nodeSelector"));
	if (!str_empty(json_path_str(spec, "serviceAccountName")))
		check_name(c, PATH(c, "%s.serviceAccountName", path), json_get(spec, "serviceAccountName"),
			   name_check_dns1123_subdomain);
	if (!str_empty(json_path_str(spec, "nodeName")))
		check_name(c, PATH(c, "%s.nodeName", path), json_get(spec, "nodeName"), name_check_dns1123_subdomain);
	if (!str_empty(json_path_str(spec, "hostname")))
		check_name(c, PATH(c, "%s.hostname", path), json_get(spec, "hostname"), name_check_dns1123_label);
	if (!str_empty(json_path_str(spec, "subdomain")))
		check_name(c, PATH(c, "%s.subdomain", path), json_get(spec, "subdomain"), name_check_dns1123_label);
	if (!str_empty(json_path_str(spec, "priorityClassName")))
		check_name(c, PATH(c, "%s.priorityClassName", path), json_get(spec, "priorityClassName"),
			   name_check_dns1123_subdomain);
	if (str_eq(json_path_str(spec, "dnsPolicy"), "None") && !json_len(json_path(spec, "dnsConfig.nameservers")))
		bad_required(c, PATH(c, "%s.dnsConfig.nameservers", path),
			     "must provide at least one DNS nameserver when `dnsPolicy` is None");
	i = 0;
	EACH_ITEM(a, json_get(spec, "hostAliases"))
		check_name(c, PATH(c, "%s.hostAliases[%zu].ip", path, i++), json_get(a, "ip"), rule_ip);
	check_security(c, PATH(c, "%s.securityContext", path), json_get(spec, "securityContext"));
	check_tolerations(c, PATH(c, "%s.tolerations", path), json_get(spec, "tolerations"));
	check_affinity(c, PATH(c, "%s.affinity", path), json_get(spec, "affinity"));
	check_spread(c, PATH(c, "%s.topologySpreadConstraints", path), json_get(spec, "topologySpreadConstraints"));
	map_release(&p.volumes, NULL);
	map_release(&p.containers, NULL);
	map_release(&p.host_ports, NULL);
}

void check_pod_template(struct check *c, const char *path, const struct json *template, const char *const *restart)
{
	const struct json *spec = json_get(template, "spec"), *policy = json_get(spec, "restartPolicy");

	check_labels(c, PATH(c, "%s.labels", path), json_path(template, "metadata.labels"));
	check_pod_spec(c, PATH(c, "%s.spec", path), spec);
	if (json_len(json_get(spec, "ephemeralContainers")))
		bad_forbidden(c, PATH(c, "%s.spec.ephemeralContainers", path),
			      "ephemeral containers not allowed in pod template");
	if (json_str(policy) && !str_in(json_str(policy), restart))
		bad_unsupported(c, PATH(c, "%s.spec.restartPolicy", path), json_str(policy), restart);
}

/* ---- updates of a Pod ---- */

static void copy_images(struct arena *a, struct json *to, const struct json *from)
{
	const struct json *f = json_first(from);

	EACH_ITEM(ctr, to) {
		if (!f)
			return;
		const struct json *image = json_get(f, "image");
		if (image && json_is(ctr, JSON_OBJECT))
			json_set(a, ctr, "image", json_clone(a, image));
		f = json_next(from, f);
	}
}

static void copy_member(struct arena *a, struct json *to, const struct json *from, const char *key)
{
	const struct json *v = json_get(from, key);

	if (v)
		json_set(a, to, key, json_clone(a, v));
	else
		json_remove(to, key);
}

static void copy_resources(struct arena *a, struct json *to, const struct json *from)
{
	const struct json *f = json_first(from);

	EACH_ITEM(ctr, to) {
		if (!f)
			return;
		if (json_is(ctr, JSON_OBJECT)) {
			copy_member(a, ctr, f, "resources");
			copy_member(a, ctr, f, "resizePolicy");
		}
		f = json_next(from, f);
	}
}

static bool contains_all(const struct json *list, const struct json *items)
{
	EACH_ITEM(i, items) {
		bool found = false;
		EACH_ITEM(l, list)
			found |= json_equal(l, i);
		if (!found)
			return false;
	}
	return true;
}

static void check_deadline_update(struct check *c, const struct json *spec, const struct json *old)
{
	const struct json *now = json_get(spec, "activeDeadlineSeconds"),
			  *before = json_get(old, "activeDeadlineSeconds");

	if (before && (!now || json_int(now, 0) > json_int(before, 0)))
		bad_invalid(c, "spec.activeDeadlineSeconds", now, "must be less than or equal to previous value");
}

void check_pod_update(struct check *c, const char *subresource)
{
	const struct json *spec = json_get(c->tree, "spec"), *old = json_get(c->old, "spec");
	static const char *const counted[] = {"containers", "initContainers"};

	if (json_equal(spec, old) || !json_is(spec, JSON_OBJECT) || !json_is(old, JSON_OBJECT))
		return; /* a missing one is told elsewhere */
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		if (json_len(json_get(spec, counted[i])) != json_len(json_get(old, counted[i]))) {
			bad_forbidden(c, PATH(c, "spec.%s", counted[i]),
				      "pod updates may not add or remove containers");
			return;
		}
	check_deadline_update(c, spec, old);
	struct json *mine = json_clone(&c->arena, spec);
	copy_member(&c->arena, mine, old, "activeDeadlineSeconds");
	copy_images(&c->arena, json_get(mine, "containers"), json_get(old, "containers"));
	copy_images(&c->arena, json_get(mine, "initContainers"), json_get(old, "initContainers"));
	if (contains_all(json_get(spec, "tolerations"), json_get(old, "tolerations")))
		copy_member(&c->arena, mine, old, "tolerations");
	if (json_path_int(old, "terminationGracePeriodSeconds", 0) < 0 &&
	    json_path_int(spec, "terminationGracePeriodSeconds", 0) == 1)
		copy_member(&c->arena, mine, old, "terminationGracePeriodSeconds");
	if (contains_all(json_get(old, "schedulingGates"), json_get(spec, "schedulingGates"))) /* only removed */
		copy_member(&c->arena, mine, old, "schedulingGates");
	if (str_eq(subresource, "ephemeralcontainers"))
		copy_member(&c->arena, mine, old, "ephemeralContainers");
	if (str_eq(subresource, "resize")) {
		copy_resources(&c->arena, json_get(mine, "containers"), json_get(old, "containers"));
		copy_resources(&c->arena, json_get(mine, "initContainers"), json_get(old, "initContainers"));
	}
	if (json_len(json_get(old, "schedulingGates"))) { /* a gated pod's placement may still be narrowed */
		copy_member(&c->arena, mine, old, "nodeSelector");
		copy_member(&c->arena, mine, old, "affinity");
	}
	if (!json_equal(mine, old))
		bad_forbidden(
		    c, "spec",
		    "pod updates may not change fields other than `spec.containers[*].image`,"
		    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
		    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
		    "previously negative)");
}
