/* SPDX-License-Identifier: Apache-2.0 */
/* Services: cluster addresses and node ports are given out, kept over updates, and taken back. */
#include <errno.h>
#include <string.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/json.h"
#include "base/str.h"
#include "server/registry_internal.h"

static const char *service_type(const struct json *tree)
{
	return str_or(json_path_str(tree, "spec.type"), "ClusterIP");
}

static bool wants_ip(const struct json *tree)
{
	return !str_eq(service_type(tree), "ExternalName");
}

static bool wants_ports(const struct json *tree)
{
	const char *type = service_type(tree);
	if (str_eq(type, "LoadBalancer"))
		return json_path_bool(tree, "spec.allocateLoadBalancerNodePorts", true);
	return str_eq(type, "NodePort");
}

static bool wants_health_port(const struct json *tree)
{
	return str_eq(service_type(tree), "LoadBalancer") &&
	       str_eq(json_path_str(tree, "spec.externalTrafficPolicy"), "Local");
}

static bool is_ip(const char *s)
{
	return !str_empty(s) && !str_eq(s, "None");
}

/* Whether the stored service has that node port. */
static bool has_port(const struct json *tree, int64_t port)
{
	JSON_EACH(p, json_path(tree, "spec.ports"))
		if (json_path_int(p, "nodePort", 0) == port)
			return true;
	return json_path_int(tree, "spec.healthCheckNodePort", 0) == port;
}

/* ---- keeping what was allocated ---- */

static bool same_port(const struct json *a, const struct json *b)
{
	return json_path_int(a, "port", 0) == json_path_int(b, "port", 0) &&
	       str_eq(str_or(json_path_str(a, "protocol"), "TCP"), str_or(json_path_str(b, "protocol"), "TCP"));
}

static void keep_ports(struct write_op *op)
{
	JSON_EACH(p, json_path(op->tree, "spec.ports")) {
		if (json_path_int(p, "nodePort", 0))
			continue;
		JSON_EACH(o, json_path(op->old_tree, "spec.ports")) {
			int64_t port = json_path_int(o, "nodePort", 0);
			if (port && same_port(o, p))
				json_set_int(op->arena, p, "nodePort", port);
		}
	}
}

/* A service that no longer has node ports: those that came along unchanged are dropped. */
static void drop_ports(struct write_op *op)
{
	JSON_EACH(p, json_path(op->tree, "spec.ports"))
		if (has_port(op->old_tree, json_path_int(p, "nodePort", 0)))
			json_remove(p, "nodePort");
}

static bool same_member(const struct json *spec, const struct json *old, const char *key)
{
	return json_equal(json_get(spec, key), json_get(old, key));
}

static bool is_set(const struct json *v)
{
	return v && (v->type == JSON_ARRAY ? json_len(v) > 0 : !str_empty(json_str(v)));
}

static void set_only_ip(struct write_op *op, struct json *spec, const char *ip)
{
	struct json *ips = json_set(op->arena, spec, "clusterIPs", json_new(op->arena, JSON_ARRAY));
	json_append(ips, json_new_str(op->arena, arena_strdup(op->arena, ip)));
}

/* clusterIP is the old name of clusterIPs[0]: who changes one of them means both. */
static void normalise_ips(struct write_op *op, struct json *spec, const struct json *old)
{
	const char *ip = json_path_str(spec, "clusterIP");
	if (!old) {
		if (!str_empty(ip) && !json_len(json_get(spec, "clusterIPs")))
			set_only_ip(op, spec, ip);
	} else if (!same_member(spec, old, "clusterIP") && same_member(spec, old, "clusterIPs")) {
		if (str_empty(ip))
			json_remove(spec, "clusterIPs");
		else
			set_only_ip(op, spec, ip);
	}
}

static void keep_ips(struct write_op *op, struct json *spec, const struct json *old)
{
	if (!is_set(json_get(spec, "clusterIP")) && is_set(json_get(old, "clusterIP")))
		json_set(op->arena, spec, "clusterIP", json_clone(op->arena, json_get(old, "clusterIP")));
	if (!is_set(json_get(spec, "clusterIPs")) && same_member(spec, old, "clusterIP") && json_get(old, "clusterIPs"))
		json_set(op->arena, spec, "clusterIPs", json_clone(op->arena, json_get(old, "clusterIPs")));
	static const char *const kept[] = {"ipFamilies", "ipFamilyPolicy"};
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (!is_set(json_get(spec, kept[i])) && json_get(old, kept[i]))
			json_set(op->arena, spec, kept[i], json_clone(op->arena, json_get(old, kept[i])));
}

/* Members that only some types have go when the type does, unless they were changed too: that is the client's error. */
static void drop_unchanged(struct json *spec, const struct json *old, const char *const *members)
{
	for (; *members; members++)
		if (same_member(spec, old, *members))
			json_remove(spec, *members);
}

static bool is_balancer(const struct json *tree)
{
	return str_eq(service_type(tree), "LoadBalancer");
}

static bool is_external(const struct json *tree)
{
	return is_balancer(tree) || str_eq(service_type(tree), "NodePort") ||
	       (str_eq(service_type(tree), "ClusterIP") && json_len(json_path(tree, "spec.externalIPs")) > 0);
}

static void drop_by_type(struct write_op *op, struct json *spec, const struct json *old)
{
	static const char *const addresses[] = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", NULL};
	static const char *const balancing[] = {"allocateLoadBalancerNodePorts", "loadBalancerClass", NULL};
	static const char *const external[] = {"externalTrafficPolicy", NULL};
	static const char *const health[] = {"healthCheckNodePort", NULL};
	if (wants_ip(op->old_tree) && !wants_ip(op->tree))
		drop_unchanged(spec, old, addresses);
	if (wants_ports(op->old_tree) && !wants_ports(op->tree))
		drop_ports(op);
	if (is_balancer(op->old_tree) && !is_balancer(op->tree))
		drop_unchanged(spec, old, balancing);
	if (wants_health_port(op->old_tree) && !wants_health_port(op->tree))
		drop_unchanged(spec, old, health);
	if (is_external(op->old_tree) && !is_external(op->tree))
		drop_unchanged(spec, old, external);
	/* The balancer goes away later; that is no concern of the client's. */
	if (!is_balancer(op->tree) && json_path(op->tree, "status.loadBalancer"))
		json_set(op->arena, json_get(op->tree, "status"), "loadBalancer", json_new(op->arena, JSON_OBJECT));
}

static void prepare_create(struct write_op *op)
{
	normalise_ips(op, json_object_in(op->arena, op->tree, "spec"), NULL);
}

/* Clients that write a Service as a whole may leave out what the server had allocated. */
static void prepare_update(struct write_op *op)
{
	struct json *spec = json_object_in(op->arena, op->tree, "spec"), *old = json_get(op->old_tree, "spec");
	normalise_ips(op, spec, old);
	if (wants_ip(op->tree) && wants_ip(op->old_tree))
		keep_ips(op, spec, old);
	if (wants_ports(op->tree))
		keep_ports(op);
	int64_t health = json_path_int(old, "healthCheckNodePort", 0);
	if (wants_health_port(op->tree) && health && !json_path_int(spec, "healthCheckNodePort", 0))
		json_set_int(op->arena, spec, "healthCheckNodePort", health);
	drop_by_type(op, spec, old);
}

/* ---- allocation ---- */

static int invalid(struct write_op *op, struct status *err, const char *field, const char *message)
{
	status_cause(err, "FieldValueInvalid", field, "%s", message);
	return status_invalid(err, "", "Service", op->name);
}

/* This cluster gives out addresses of one family, IPv4. What has none to give out may name any. */
static int check_families(struct write_op *op, struct status *err)
{
	const struct json *spec = json_get(op->tree, "spec"), *families = json_get(spec, "ipFamilies");
	const char *policy = json_path_str(spec, "ipFamilyPolicy"), *ip = json_path_str(spec, "clusterIP");
	size_t i = 0;
	if (str_eq(ip, "None") && !json_len(json_get(spec, "selector")))
		return 0;
	if (str_eq(policy, "RequireDualStack") || (!policy && json_len(families) > 1))
		status_cause(err, "FieldValueInvalid", "spec.ipFamilyPolicy",
			     "Invalid value: \"%s\": this cluster is not configured for dual-stack services",
			     str_or(policy, "RequireDualStack"));
	JSON_EACH(f, families) {
		if (!str_eq(json_str(f), "IPv4"))
			status_cause(err, "FieldValueInvalid", arena_printf(op->arena, "spec.ipFamilies[%zu]", i),
				     "Invalid value: \"%s\": not configured on this cluster", str_or(json_str(f), ""));
		i++;
	}
	if (!families && is_ip(ip) && strchr(ip, ':'))
		status_cause(err, "FieldValueInvalid", "spec.ipFamilies[0]",
			     "Invalid value: \"IPv6\": not configured on this cluster");
	return status_invalid(err, "", "Service", op->name);
}

static int allocate_ip(struct write_op *op, struct status *err)
{
	struct arena *a = op->arena;
	struct json *spec = json_object_in(a, op->tree, "spec");
	const char *ip = json_path_str(spec, "clusterIP"), *first = json_str(json_at(json_get(spec, "clusterIPs"), 0));
	const char *had = wants_ip(op->old_tree) ? json_path_str(op->old_tree, "spec.clusterIP") : NULL;
	if (str_empty(ip))
		ip = first;
	if (str_empty(ip)) {
		char out[16];
		if (ip_allocator_next(op->reg->cluster_ips, out) < 0)
			return status_set(err, 500, "failed to allocate a serviceIP: range is full");
		ip = op->claimed_ip = arena_strdup(a, out);
	} else if (is_ip(ip) && !str_eq(ip, had)) {
		int e = ip_allocator_claim(op->reg->cluster_ips, ip);
		if (e < 0)
			return invalid(op, err, "spec.clusterIPs",
				       arena_printf(a, "Invalid value: [\"%s\"]: failed to allocate IP %s: %s", ip, ip,
						    e == -EEXIST ? "provided IP is already allocated"
								 : "the provided IP is not in the valid range"));
		op->claimed_ip = ip;
	}
	ip = arena_strdup(a, ip);
	json_set_str(a, spec, "clusterIP", ip);
	struct json *ips = json_set(a, spec, "clusterIPs", json_new(a, JSON_ARRAY));
	json_append(ips, json_new_str(a, ip));
	if (!json_get(spec, "ipFamilies"))
		json_append(json_array_in(a, spec, "ipFamilies"), json_new_str(a, "IPv4"));
	if (!json_get(spec, "ipFamilyPolicy"))
		json_set_str(a, spec, "ipFamilyPolicy", "SingleStack");
	return 0;
}

static bool claimed_here(const struct write_op *op, int64_t port)
{
	for (size_t i = 0; i < op->n_claimed_ports; i++)
		if (op->claimed_ports[i] == port)
			return true;
	return false;
}

/* holder's member gets a port: its own when it has one, else a free one. */
static int allocate_port(struct write_op *op, struct json *holder, const char *member, const char *field,
			 struct status *err)
{
	struct port_allocator *ports = op->reg->node_ports;
	int64_t want = json_path_int(holder, member, 0);
	int got = (int)want;
	/* The same number for TCP and UDP is one claim. */
	if (want && (claimed_here(op, want) || (op->old_tree && has_port(op->old_tree, want))))
		return 0;
	int e = want ? port_allocator_claim(ports, got) : port_allocator_next(ports, &got);
	if (e == -ERANGE)
		return invalid(
		    op, err, field,
		    arena_printf(op->arena,
				 "Invalid value: %lld: provided port is not in the valid range. The range of valid "
				 "ports is %d-%d",
				 (long long)want, port_allocator_min(ports), port_allocator_max(ports)));
	if (e == -EEXIST)
		return invalid(op, err, field,
			       arena_printf(op->arena, "Invalid value: %lld: provided port is already allocated",
					    (long long)want));
	if (e < 0)
		return status_set(err, 500, "failed to allocate a nodePort: range is full");
	op->claimed_ports[op->n_claimed_ports++] = got;
	json_set_int(op->arena, holder, member, got);
	return 0;
}

static int allocate(struct write_op *op, struct status *err)
{
	struct json *spec = json_object_in(op->arena, op->tree, "spec"), *ports = json_get(spec, "ports");
	if (wants_ip(op->tree) && (check_families(op, err) < 0 || allocate_ip(op, err) < 0))
		return -1;
	op->claimed_ports = arena_alloc(op->arena, (json_len(ports) + 1) * sizeof(int));
	op->n_claimed_ports = 0;
	size_t i = 0;
	if (wants_ports(op->tree)) {
		JSON_EACH(p, ports) {
			const char *field = arena_printf(op->arena, "spec.ports[%zu].nodePort", i++);
			if (allocate_port(op, p, "nodePort", field, err) < 0)
				return -1;
		}
	}
	if (wants_health_port(op->tree))
		return allocate_port(op, spec, "healthCheckNodePort", "spec.healthCheckNodePort", err);
	return 0;
}

/* ---- giving back ---- */

static void release_unless_kept(struct write_op *op, const struct json *kept)
{
	const char *ip = json_path_str(op->old_tree, "spec.clusterIP");
	if (is_ip(ip) && !str_eq(ip, json_path_str(kept, "spec.clusterIP")))
		ip_allocator_release(op->reg->cluster_ips, ip);
	JSON_EACH(p, json_path(op->old_tree, "spec.ports")) {
		int64_t port = json_path_int(p, "nodePort", 0);
		if (port && !has_port(kept, port))
			port_allocator_release(op->reg->node_ports, (int)port);
	}
	int64_t health = json_path_int(op->old_tree, "spec.healthCheckNodePort", 0);
	if (health && !has_port(kept, health))
		port_allocator_release(op->reg->node_ports, (int)health);
}

static void settled(struct write_op *op, bool ok)
{
	if (!ok) {
		if (op->claimed_ip)
			ip_allocator_release(op->reg->cluster_ips, op->claimed_ip);
		for (size_t i = 0; i < op->n_claimed_ports; i++)
			port_allocator_release(op->reg->node_ports, op->claimed_ports[i]);
	} else if (op->old_tree) {
		release_unless_kept(op, op->removing ? NULL : op->tree);
	}
	op->claimed_ip = NULL;
	op->n_claimed_ports = 0;
}

const struct strategy strategy_services = {
    .group = "",
    .plural = "services",
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .allocate = allocate,
    .settled = settled,
};
