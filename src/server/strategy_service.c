/* SPDX-License-Identifier: Apache-2.0 */
/* Services: cluster addresses and node ports are given out, kept over updates, and taken back. */
#include <errno.h>

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

/* Clients that write a Service as a whole may leave out what the server had allocated. */
static void prepare_update(struct write_op *op)
{
	static const char *const kept[] = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"};
	struct json *spec = json_object_in(op->arena, op->tree, "spec"), *old = json_get(op->old_tree, "spec");
	if (!wants_ip(op->tree)) {
		if (wants_ip(op->old_tree))
			for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
				json_remove(spec, kept[i]);
	} else if (wants_ip(op->old_tree)) {
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
			struct json *v = json_get(spec, kept[i]);
			bool empty =
			    !v || (json_is(v, JSON_STRING) && !v->len) || (json_is(v, JSON_ARRAY) && !json_len(v));
			if (empty && json_get(old, kept[i]))
				json_set(op->arena, spec, kept[i], json_clone(op->arena, json_get(old, kept[i])));
		}
	}
	if (wants_ports(op->tree))
		keep_ports(op);
	else if (wants_ports(op->old_tree))
		drop_ports(op);
	int64_t health = json_path_int(old, "healthCheckNodePort", 0);
	if (!wants_health_port(op->tree))
		json_remove(spec, "healthCheckNodePort");
	else if (health && !json_path_int(spec, "healthCheckNodePort", 0))
		json_set_int(op->arena, spec, "healthCheckNodePort", health);
}

/* ---- allocation ---- */

static int invalid(struct write_op *op, struct status *err, const char *field, const char *message)
{
	status_cause(err, "FieldValueInvalid", field, "%s", message);
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
	if (wants_ip(op->tree) && allocate_ip(op, err) < 0)
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
    .prepare_update = prepare_update,
    .allocate = allocate,
    .settled = settled,
    .returns_deleted = true,
};
