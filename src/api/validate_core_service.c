/* SPDX-License-Identifier: Apache-2.0 */
/* Services and Endpoints. */
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "base/str.h"

#define AFFINITY_SECONDS_MAX 86400
#define SOURCE_RANGES "service.beta.kubernetes.io/load-balancer-source-ranges"
#define TOPOLOGY_HINTS "service.kubernetes.io/topology-aware-hints"
#define TOPOLOGY_MODE "service.kubernetes.io/topology-mode"

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static bool is_headless(const struct json *spec)
{
	const struct json *ips = json_get(spec, "clusterIPs");
	const char *first = json_len(ips) == 1 ? json_str(json_first(ips)) : NULL;

	return first ? str_eq(first, "None") : !json_len(ips) && str_eq(json_path_str(spec, "clusterIP"), "None");
}

static bool has_type(const struct json *spec, const char *type)
{
	return str_eq(str_or(json_path_str(spec, "type"), "ClusterIP"), type);
}

static bool is_external(const struct json *spec)
{
	return has_type(spec, "NodePort") || has_type(spec, "LoadBalancer") ||
	       (has_type(spec, "ClusterIP") && json_len(json_get(spec, "externalIPs")));
}

static bool has_health_check(const struct json *spec)
{
	return has_type(spec, "LoadBalancer") && str_eq(json_path_str(spec, "externalTrafficPolicy"), "Local");
}

/* ---- ports ---- */

static void check_port_item(struct check *c, const char *at, const struct json *p, bool named, struct map *names)
{
	const char *name = str_or(json_path_str(p, "name"), "");
	const struct json *port = json_get(p, "port");

	if (named && !*name)
		bad_required(c, PATH(c, "%s.name", at), NULL);
	if (*name) {
		name_in(c, at, p, "name", name_check_dns1123_label);
		if (map_set(names, name, c))
			bad_duplicate(c, PATH(c, "%s.name", at), name);
	}
	check_port(c, PATH(c, "%s.port", at), port ? port : json_new_int(&c->arena, 0));
	choice_in(c, at, p, "protocol", protocols);
	if (json_get(p, "targetPort"))
		check_port_or_name(c, PATH(c, "%s.targetPort", at), json_get(p, "targetPort"));
	name_in(c, at, p, "appProtocol", name_check_qualified);
}

static void check_ports(struct check *c, const struct json *spec)
{
	const struct json *ports = json_get(spec, "ports");
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(p, ports)
		check_port_item(c, PATH(c, "spec.ports[%zu]", i++), p, json_len(ports) > 1, &names);
}

/* A number is one port for each protocol. */
static void check_distinct_ports(struct check *c, const struct json *spec)
{
	_cleanup_names_ struct map node_ports = MAP_INIT, numbers = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(p, json_get(spec, "ports")) {
		const char *at = PATH(c, "spec.ports[%zu]", i++),
			   *protocol = str_or(json_path_str(p, "protocol"), "TCP");
		int64_t node_port = json_path_int(p, "nodePort", 0), port = json_path_int(p, "port", 0);
		if (node_port && has_type(spec, "ClusterIP"))
			bad_forbidden(c, PATH(c, "%s.nodePort", at), "may not be used when `type` is 'ClusterIP'");
		if (node_port && map_set(&node_ports, PATH(c, "%s/%lld", protocol, (long long)node_port), c))
			bad_duplicate_value(c, PATH(c, "%s.nodePort", at), json_get(p, "nodePort"));
		if (map_set(&numbers, PATH(c, "%s/%lld", protocol, (long long)port), c)) {
			struct json *key = json_new(&c->arena, JSON_OBJECT);
			json_set_str(&c->arena, key, "protocol", protocol);
			json_set_int(&c->arena, key, "port", port);
			bad_duplicate_value(c, at, key);
		}
	}
}

/* ---- addresses ---- */

static void check_external_name(struct check *c, const struct json *spec)
{
	static const char *const members[] = {"clusterIPs", "ipFamilies"};
	const char *name = str_or(json_path_str(spec, "externalName"), "");
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (json_len(json_get(spec, members[i])))
			bad_forbidden(c, PATH(c, "spec.%s", members[i]), "may not be set for ExternalName services");
	forbid_in(c, "spec", spec, "ipFamilyPolicy", "may not be set for ExternalName services");
	/* A trailing dot says that the name is complete. */
	const char *bare = n && name[n - 1] == '.' ? arena_strndup(&c->arena, name, n - 1) : name;
	const char *why = *bare ? name_check_dns1123_subdomain(bare) : NULL;
	if (!*bare)
		bad_required(c, "spec.externalName", NULL);
	else if (why)
		bad_invalid_str(c, "spec.externalName", bare, why);
}

static void check_families(struct check *c, const struct json *spec)
{
	static const char *const families[] = {"IPv4", "IPv6", NULL};
	static const char *const policies[] = {"PreferDualStack", "RequireDualStack", "SingleStack", NULL};
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(f, json_get(spec, "ipFamilies")) {
		const char *at = PATH(c, "spec.ipFamilies[%zu]", i++), *family = str_or(json_str(f), "");
		if (!str_in(family, families))
			bad_unsupported(c, at, family, families);
		if (map_set(&seen, family, c))
			bad_duplicate(c, at, family);
	}
	const struct json *policy = json_get(spec, "ipFamilyPolicy");
	if (policy && !str_in(str_or(json_str(policy), ""), policies))
		bad_unsupported(c, "spec.ipFamilyPolicy", str_or(json_str(policy), ""), policies);
}

/* Whether what follows can rely on them. */
static bool check_cluster_ips(struct check *c, const struct json *spec)
{
	const struct json *ips = json_get(spec, "clusterIPs");
	bool good = true;
	size_t i = 0;

	EACH_ITEM(v, ips) {
		const char *ip = str_or(json_str(v), ""), *why = rule_ip(ip);
		if (i == 0 && str_eq(ip, "None")) {
			if (json_len(ips) > 1) {
				bad_invalid(c, "spec.clusterIPs", ips, "'None' must be the first and only value");
				good = false;
			}
		} else if (why) {
			bad_invalid_str(c, PATH(c, "spec.clusterIPs[%zu]", i), ip, why);
			good = false;
		}
		i++;
	}
	if (json_len(ips) > 2)
		bad_invalid(c, "spec.clusterIPs", ips, "may only hold up to 2 values");
	return good;
}

static void check_addresses(struct check *c, const struct json *spec)
{
	const struct json *ips = json_get(spec, "clusterIPs"), *families = json_get(spec, "ipFamilies");
	const struct json *given = json_get(spec, "clusterIP");
	const char *ip = str_or(json_str(given), "");
	size_t n[2] = {0, 0}, i = 0;

	if (has_type(spec, "ExternalName"))
		return;			 /* has none */
	if (given && given->len && !*ip) /* a NUL */
		bad_invalid(c, "spec.clusterIPs[0]", given, rule_ip(""));
	else if (*ip && !json_len(ips))
		bad_required(c, "spec.clusterIPs", NULL);
	else if (*ip && !str_eq(json_str(json_first(ips)), ip))
		bad_invalid(c, "spec.clusterIPs", ips, "first value must match `clusterIP`");
	else if (!*ip && json_len(ips))
		bad_invalid(c, "spec.clusterIPs", ips, "must be empty when `clusterIP` is not specified");
	check_families(c, spec);
	if (!check_cluster_ips(c, spec))
		return;
	EACH_ITEM(v, ips)
		n[is_ipv6(str_or(json_str(v), ""))]++;
	if (json_len(ips) > 1 && (n[0] != 1 || n[1] != 1))
		bad_invalid(c, "spec.clusterIPs", ips, "may specify no more than one IP for each IP family");
	if (is_headless(spec))
		return;
	const struct json *family = json_first(families);
	EACH_ITEM(v, ips) {
		if (!family)
			return;
		const char *want = str_or(json_str(family), "");
		if (str_eq(want, is_ipv6(str_or(json_str(v), "")) ? "IPv4" : "IPv6"))
			bad_invalid(c, PATH(c, "spec.clusterIPs[%zu]", i), v,
				    PATH(c, "expected an %s value as indicated by `ipFamilies[%zu]`", want, i));
		family = json_next(families, family);
		i++;
	}
}

/* ---- policies ---- */

static void check_session_affinity(struct check *c, const struct json *spec)
{
	static const char *const kinds[] = {"ClientIP", "None", NULL};
	const char *kind = json_path_str(spec, "sessionAffinity");
	const struct json *config = json_get(spec, "sessionAffinityConfig");
	const struct json *timeout = json_path(config, "clientIP.timeoutSeconds");

	choice_in(c, "spec", spec, "sessionAffinity", kinds);
	if (str_eq(kind, "None") && config)
		bad_forbidden(c, "spec.sessionAffinityConfig", "must not be set when session affinity is None");
	if (str_eq(kind, "ClientIP") && timeout &&
	    (json_int(timeout, 0) <= 0 || json_int(timeout, 0) > AFFINITY_SECONDS_MAX))
		bad_invalid(c, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", timeout,
			    "must be greater than 0 and less than 86400");
}

static const char *trim(struct check *c, const char *s, size_t n)
{
	while (n && strchr(" \t\r\n", *s)) {
		s++;
		n--;
	}
	while (n && strchr(" \t\r\n", s[n - 1]))
		n--;
	return arena_strndup(&c->arena, s, n);
}

static void check_source_range(struct check *c, const char *path, const char *range, size_t n)
{
	const char *cidr = trim(c, range, n), *why = rule_cidr(cidr);

	if (why)
		bad_invalid_str(c, path, cidr, why);
}

static void check_source_ranges(struct check *c, const struct json *spec)
{
	static const char only[] = "may only be used when `type` is 'LoadBalancer'";
	const struct json *ranges = json_get(spec, "loadBalancerSourceRanges");
	const char *old_way = meta_annotation(c->tree, SOURCE_RANGES);
	const char *at = json_len(ranges) ? "spec.LoadBalancerSourceRanges" : "metadata.annotations[" SOURCE_RANGES "]";
	size_t i = 0;

	if (!json_len(ranges) && !old_way)
		return;
	if (!has_type(spec, "LoadBalancer"))
		bad_forbidden(c, at, only);
	EACH_ITEM(r, ranges) {
		const char *s = str_or(json_str(r), "");
		check_source_range(c, PATH(c, "%s[%zu]", at, i++), s, strlen(s));
	}
	if (json_len(ranges) || !*trim(c, old_way, strlen(old_way)))
		return;
	for (const char *s = old_way; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
		check_source_range(c, at, s, strcspn(s, ","));
}

static void check_balancer(struct check *c, const struct json *spec)
{
	static const char only[] = "may only be used when `type` is 'LoadBalancer'";
	const struct json *old = json_get(c->old, "spec"), *class = json_get(spec, "loadBalancerClass");
	bool balancer = has_type(spec, "LoadBalancer");

	if (!balancer)
		forbid_in(c, "spec", spec, "allocateLoadBalancerNodePorts", only);
	if (balancer && c->old && has_type(old, "LoadBalancer") &&
	    !json_equal(class, json_get(old, "loadBalancerClass")))
		bad_invalid(c, "spec.loadBalancerClass", class, "may not change once set");
	if (balancer)
		name_in(c, "spec", spec, "loadBalancerClass", name_check_qualified);
	else
		forbid_in(c, "spec", spec, "loadBalancerClass", only);
}

static void check_traffic(struct check *c, const struct json *spec)
{
	static const char *const policies[] = {"Cluster", "Local", NULL};
	static const char *const distributions[] = {"PreferClose", "PreferSameNode", "PreferSameZone", NULL};
	const struct json *health = json_get(spec, "healthCheckNodePort");

	if (!is_external(spec) && !str_empty(json_path_str(spec, "externalTrafficPolicy")))
		bad_invalid(c, "spec.externalTrafficPolicy", json_get(spec, "externalTrafficPolicy"),
			    "may only be set for externally-accessible services");
	else
		choice_in(c, "spec", spec, "externalTrafficPolicy", policies);
	if (json_int(health, 0)) { /* when it is needed and missing, the server gives one out */
		if (!has_health_check(spec))
			bad_invalid(c, "spec.healthCheckNodePort", health,
				    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is "
				    "'Local'");
		else
			check_port(c, "spec.healthCheckNodePort", health);
	}
	choice_in(c, "spec", spec, "internalTrafficPolicy", policies);
	choice_in(c, "spec", spec, "trafficDistribution", distributions);
}

/* ---- updates ---- */

static void check_cluster_ips_update(struct check *c, const struct json *spec, const struct json *old)
{
	const struct json *ips = json_get(spec, "clusterIPs"), *before = json_get(old, "clusterIPs");
	const struct json *b = json_first(before);
	size_t i = 0;

	if (is_headless(spec) && is_headless(old))
		return;
	if (json_len(before) && !json_len(ips))
		bad_invalid(c, "spec.clusterIPs[0]", ips, "primary clusterIP can not be unset");
	bool same_length = json_len(ips) == json_len(before);
	EACH_ITEM(v, ips) {
		if (!b || (!same_length && i > 0))
			break;
		if (!json_equal(v, b))
			bad_invalid(c, PATH(c, "spec.clusterIPs[%zu]", i), ips, "may not change once set");
		b = json_next(before, b);
		i++;
	}
	if (json_len(before) > json_len(ips) && json_len(ips) == 1 &&
	    !str_eq(json_path_str(spec, "ipFamilyPolicy"), "SingleStack"))
		bad_invalid(c, "spec.ipFamilyPolicy", json_get(spec, "ipFamilyPolicy"),
			    "must be set to 'SingleStack' when releasing the secondary clusterIP");
}

static void check_families_update(struct check *c, const struct json *spec, const struct json *old)
{
	const struct json *now = json_get(spec, "ipFamilies"), *before = json_get(old, "ipFamilies");
	const struct json *b = json_first(before);

	if (is_headless(spec) || is_headless(old))
		return;
	bool same_length = json_len(now) == json_len(before);
	EACH_ITEM(f, now) {
		if (b && !json_equal(f, b))
			bad_invalid(c, "spec.ipFamilies[0]", now, "may not change once set");
		b = b && same_length ? json_next(before, b) : NULL;
	}
	if (json_len(before) > json_len(now) && json_len(now) == 1 &&
	    !str_eq(json_path_str(spec, "ipFamilyPolicy"), "SingleStack"))
		bad_invalid(c, "spec.ipFamilyPolicy", json_get(spec, "ipFamilyPolicy"),
			    "must be set to 'SingleStack' when releasing the secondary ipFamily");
}

static void check_service_update(struct check *c, const struct json *spec, const struct json *old)
{
	if (!has_type(spec, "ExternalName") && !has_type(old, "ExternalName")) {
		check_cluster_ips_update(c, spec, old);
		check_families_update(c, spec, old);
	}
	if (has_health_check(spec) && has_health_check(old) && json_path_int(old, "healthCheckNodePort", 0) &&
	    json_path_int(spec, "healthCheckNodePort", 0) != json_path_int(old, "healthCheckNodePort", 0))
		bad_forbidden(c, "spec.healthCheckNodePort", "field is immutable");
}

void check_service(struct check *c)
{
	static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL};
	const struct json *spec = json_get(c->tree, "spec");
	const char *hints = meta_annotation(c->tree, TOPOLOGY_HINTS), *mode = meta_annotation(c->tree, TOPOLOGY_MODE);
	const char *type = str_or(json_path_str(spec, "type"), "ClusterIP");

	if (c->old)
		check_service_update(c, spec, json_get(c->old, "spec"));
	if (hints && mode && !str_eq(hints, mode))
		bad_invalid_str(c, "metadata.annotations[" TOPOLOGY_MODE "]", mode,
				"must match annotations[" TOPOLOGY_HINTS "] when both are specified");
	if (!json_len(json_get(spec, "ports")) && !is_headless(spec) && !has_type(spec, "ExternalName"))
		bad_required(c, "spec.ports", NULL);
	if (is_headless(spec) && (has_type(spec, "LoadBalancer") || has_type(spec, "NodePort")))
		bad_invalid_str(c, "spec.clusterIPs[0]", "None",
				PATH(c, "may not be set to 'None' for %s services", type));
	if (has_type(spec, "ExternalName"))
		check_external_name(c, spec);
	check_ports(c, spec);
	check_labels(c, "spec.selector", json_get(spec, "selector"));
	check_session_affinity(c, spec);
	check_addresses(c, spec);
	names_in(c, "spec", spec, "externalIPs", rule_public_ip);
	choice_in(c, "spec", spec, "type", types);
	check_distinct_ports(c, spec);
	check_source_ranges(c, spec);
	check_balancer(c, spec);
	check_traffic(c, spec);
}

void check_service_status(struct check *c)
{
	static const char *const modes[] = {"Proxy", "VIP", NULL};
	const struct json *list = json_path(c->tree, "status.loadBalancer.ingress");
	size_t i = 0;

	if (json_len(list) && !has_type(json_get(c->tree, "spec"), "LoadBalancer")) {
		bad_forbidden(c, "status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'");
		return;
	}
	EACH_ITEM(in, list) {
		const char *at = PATH(c, "status.loadBalancer.ingress[%zu]", i++);
		const char *ip = json_path_str(in, "ip"), *host = json_path_str(in, "hostname");
		if (!str_empty(ip))
			name_in(c, at, in, "ip", rule_ip);
		if (str_empty(ip))
			forbid_in(c, at, in, "ipMode", "may not be specified when `ip` is not set");
		else if (!json_get(in, "ipMode"))
			bad_required(c, PATH(c, "%s.ipMode", at), "must be specified when `ip` is set");
		else
			choice_in(c, at, in, "ipMode", modes);
		if (str_empty(host))
			continue;
		name_in(c, at, in, "hostname", name_check_dns1123_subdomain);
		if (!rule_ip(host))
			bad_invalid_str(c, PATH(c, "%s.hostname", at), host, "must be a DNS name, not an IP address");
	}
}

/* ---- endpoints ---- */

static void check_endpoint_addresses(struct check *c, const char *at, const struct json *list)
{
	size_t i = 0;

	EACH_ITEM(a, list) {
		const char *item = PATH(c, "%s[%zu]", at, i++);
		const char *ip = str_or(json_path_str(a, "ip"), ""), *why = rule_public_ip(ip);
		if (why)
			bad_invalid_str(c, PATH(c, "%s.ip", item), ip, why);
		if (!str_empty(json_path_str(a, "hostname")))
			name_in(c, item, a, "hostname", name_check_dns1123_label);
		name_in(c, item, a, "nodeName", name_check_dns1123_subdomain);
	}
}

void check_endpoints(struct check *c)
{
	size_t i = 0, k;

	if (c->old && json_equal(json_get(c->tree, "subsets"), json_get(c->old, "subsets")))
		return;
	EACH_ITEM(s, json_get(c->tree, "subsets")) {
		const char *at = PATH(c, "subsets[%zu]", i++);
		const struct json *ports = json_get(s, "ports");
		if (!json_len(json_get(s, "addresses")) && !json_len(json_get(s, "notReadyAddresses")))
			bad_required(c, at, "must specify `addresses` or `notReadyAddresses`");
		check_endpoint_addresses(c, PATH(c, "%s.addresses", at), json_get(s, "addresses"));
		check_endpoint_addresses(c, PATH(c, "%s.notReadyAddresses", at), json_get(s, "notReadyAddresses"));
		k = 0;
		EACH_ITEM(p, ports) {
			const char *port_at = PATH(c, "%s.ports[%zu]", at, k++);
			const struct json *port = json_get(p, "port");
			if (!str_empty(json_path_str(p, "name")))
				name_in(c, port_at, p, "name", name_check_dns1123_label);
			else if (json_len(ports) > 1)
				bad_required(c, PATH(c, "%s.name", port_at), NULL);
			check_port(c, PATH(c, "%s.port", port_at), port ? port : json_new_int(&c->arena, 0));
			choice_in(c, port_at, p, "protocol", protocols);
			name_in(c, port_at, p, "appProtocol", name_check_qualified);
		}
	}
}
