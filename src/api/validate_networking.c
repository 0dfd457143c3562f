/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkPolicy, IngressClass, ServiceCIDR, IPAddress; Ingress is in validate_ingress.c. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "api/validate_ingress.h"
#include "base/str.h"

#define NP "NetworkPolicy"
#define CLASS "IngressClass"

#define CONTROLLER_BYTES_MAX 250

static const char *const scopes[] = {"Cluster", "Namespace", NULL};

/* "10.0.0.0/8" into bytes; false when it is none. */
static bool parse_cidr(const char *s, unsigned char ip[16], int *ret_bits, bool *ret_v6)
{
	char text[64];
	const char *slash = strchr(s, '/');

	if (rule_cidr(s))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)(slash - s), s);
	*ret_v6 = strchr(text, ':') != NULL;
	*ret_bits = atoi(slash + 1);
	return inet_pton(*ret_v6 ? AF_INET6 : AF_INET, text, ip) == 1;
}

/* In the one form that upstream writes, since ranges are compared as text. */
static void check_range(struct check *c, const char *path, const struct json *v)
{
	unsigned char ip[16] = {0};
	char text[INET6_ADDRSTRLEN];
	int bits = 0;
	bool v6 = false, beyond = false;

	if (!json_str(v))
		bad_invalid_str(c, path, "", rule_cidr(""));
	if (!json_str(v) || !check_name(c, path, v, rule_cidr) || !parse_cidr(json_str(v), ip, &bits, &v6))
		return;
	for (int i = bits; i < (v6 ? 128 : 32); i++) {
		unsigned char bit = (unsigned char)(0x80 >> i % 8);
		beyond |= (ip[i / 8] & bit) != 0;
		ip[i / 8] &= (unsigned char)~bit;
	}
	if (beyond)
		bad_invalid(c, path, v, "must not have bits set beyond the prefix length");
	inet_ntop(v6 ? AF_INET6 : AF_INET, ip, text, sizeof(text));
	const char *canonical = PATH(c, "%s/%d", text, bits);
	if (!beyond && !str_eq(canonical, json_str(v)))
		bad_invalid(c, path, v, PATH(c, "must be in canonical form (\"%s\")", canonical));
}

static const struct rule rules[] = {
    SELECTOR(NP, "spec.podSelector"),
    REQUIRED(CLASS, "spec.controller"),
    IMMUTABLE(CLASS, "spec.controller"),
    NAME(CLASS, "spec.controller", rule_domain_path),
    BYTES(CLASS, "spec.controller", CONTROLLER_BYTES_MAX),
    NAME(CLASS, "spec.parameters?.apiGroup", name_check_dns1123_subdomain),
    REQUIRED(CLASS, "spec.parameters?.kind"),
    NAME(CLASS, "spec.parameters?.kind", name_check_path_segment),
    REQUIRED(CLASS, "spec.parameters?.name"),
    NAME(CLASS, "spec.parameters?.name", name_check_path_segment),
    VALUES(CLASS, "spec.parameters?.scope", scopes),
    REQUIRED("IPAddress", "spec.parentRef"),
    REQUIRED("IPAddress", "spec.parentRef?.resource"),
    NAME("IPAddress", "spec.parentRef?.resource", name_check_path_segment),
    REQUIRED("IPAddress", "spec.parentRef?.name"),
    NAME("IPAddress", "spec.parentRef?.name", name_check_path_segment),
    NAME("IPAddress", "spec.parentRef?.namespace", name_check_path_segment),
    NAME("IPAddress", "spec.parentRef?.group", name_check_dns1123_subdomain),
    CONSTANT("IPAddress", "spec.parentRef"),
};

/* ---- NetworkPolicy ---- */

static void check_policy_port(struct check *c, const char *at, const struct json *p)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
	const struct json *port = json_get(p, "port"), *end = json_get(p, "endPort");
	const char *end_at = PATH(c, "%s.endPort", at);

	choice_in(c, at, p, "protocol", protocols);
	if (json_str(port)) {
		check_name(c, PATH(c, "%s.port", at), port, name_check_port_name);
		if (end)
			bad_invalid(c, end_at, end, "may not be specified when `port` is non-numeric");
	} else if (port) {
		check_port(c, PATH(c, "%s.port", at), port);
		check_port(c, end_at, end);
		if (end && json_int(end, 0) < json_int(port, 0))
			bad_invalid(c, end_at, end, "must be greater than or equal to `port`");
	} else if (end) {
		bad_invalid(c, end_at, end, "may not be specified when `port` is not specified");
	}
}

static bool same_bits(const unsigned char *a, const unsigned char *b, int bits)
{
	int whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, (size_t)whole) == 0 && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static void check_ip_block(struct check *c, const char *at, const struct json *block)
{
	const char *cidr = json_path_str(block, "cidr");
	unsigned char net[16] = {0}, part[16] = {0};
	int bits = 0, part_bits = 0;
	bool v6 = false, part_v6 = false;
	size_t i = 0;

	if (!need_str(c, PATH(c, "%s.cidr", at), json_get(block, "cidr")) ||
	    !check_name(c, PATH(c, "%s.cidr", at), json_get(block, "cidr"), rule_cidr))
		return;
	bool known = parse_cidr(cidr, net, &bits, &v6);
	EACH_ITEM(e, json_get(block, "except")) {
		const char *except_at = PATH(c, "%s.except[%zu]", at, i++);
		if (!check_name(c, except_at, e, rule_cidr) || !known || !json_str(e) ||
		    !parse_cidr(json_str(e), part, &part_bits, &part_v6))
			continue;
		if (part_v6 != v6 || part_bits <= bits || !same_bits(net, part, bits))
			bad_invalid(c, except_at, e, "must be a strict subset of `cidr`");
	}
}

static void check_peer(struct check *c, const char *at, const struct json *p)
{
	const struct json *pods = json_get(p, "podSelector"), *namespaces = json_get(p, "namespaceSelector");
	const struct json *block = json_get(p, "ipBlock");

	if (pods)
		check_selector(c, PATH(c, "%s.podSelector", at), pods);
	if (namespaces)
		check_selector(c, PATH(c, "%s.namespaceSelector", at), namespaces);
	if (block)
		check_ip_block(c, PATH(c, "%s.ipBlock", at), block);
	if (!pods && !namespaces && !block)
		bad_required(c, at, "must specify a peer");
	else if (block && (pods || namespaces))
		bad_forbidden(c, at, "may not specify both ipBlock and another peer");
}

static void check_policy_rules(struct check *c, const char *path, const struct json *list, const char *peers)
{
	size_t i = 0, k;

	EACH_ITEM(r, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++);
		k = 0;
		EACH_ITEM(p, json_get(r, "ports"))
			check_policy_port(c, PATH(c, "%s.ports[%zu]", at, k++), p);
		k = 0;
		EACH_ITEM(p, json_get(r, peers))
			check_peer(c, PATH(c, "%s.%s[%zu]", at, peers, k++), p);
	}
}

static void check_network_policy(struct check *c)
{
	static const char *const directions[] = {"Ingress", "Egress", NULL};
	const struct json *spec = json_get(c->tree, "spec"), *types = json_get(spec, "policyTypes");
	size_t i = 0;

	check_policy_rules(c, "spec.ingress", json_get(spec, "ingress"), "from");
	check_policy_rules(c, "spec.egress", json_get(spec, "egress"), "to");
	if (json_len(types) > 2)
		bad_invalid(c, "spec.policyTypes", types, "may not specify more than two policyTypes");
	EACH_ITEM(t, types) {
		const char *at = PATH(c, "spec.policyTypes[%zu]", i++);
		if (json_len(types) <= 2 && !str_in(str_or(json_str(t), ""), directions))
			bad_unsupported(c, at, str_or(json_str(t), ""), directions);
	}
}

/* ---- IngressClass ---- */

static void check_ingress_class(struct check *c)
{
	const struct json *p = json_path(c->tree, "spec.parameters"), *ns = json_get(p, "namespace");
	const char *scope = json_path_str(p, "scope"), *at = "spec.parameters.namespace";

	if (str_eq(scope, "Namespace")) {
		if (!ns)
			bad_required(c, at, "`parameters.scope` is set to 'Namespace'");
		else
			check_name(c, at, ns, name_check_dns1123_label);
	} else if (str_eq(scope, "Cluster") && ns) {
		bad_forbidden(c, at, "`parameters.scope` is set to 'Cluster'");
	}
}

/* ---- ServiceCIDR ---- */

static void check_ranges(struct check *c, const struct json *ranges)
{
	const char *first = json_str(json_at(ranges, 0)), *second = json_str(json_at(ranges, 1));
	size_t i = 0, before = check_count(c);

	if (!json_len(ranges))
		bad_required(c, "spec.cidrs", "at least one CIDR required");
	if (json_len(ranges) > 2)
		bad_invalid(c, "spec.cidrs", ranges, "may only hold up to 2 values");
	EACH_ITEM(v, ranges)
		check_range(c, PATH(c, "spec.cidrs[%zu]", i++), v);
	if (check_count(c) == before && first && second && !strchr(first, ':') == !strchr(second, ':'))
		bad_invalid(c, "spec.cidrs", ranges,
			    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64");
}

/* One range may become two, of the other family; else they stay. */
static void check_service_cidr(struct check *c)
{
	const struct json *ranges = json_path(c->tree, "spec.cidrs"), *before = json_path(c->old, "spec.cidrs");
	bool grows = json_len(before) == 1 && json_len(ranges) == 2;
	size_t i = 0;

	if (!c->old || grows)
		check_ranges(c, ranges);
	if (!c->old)
		return;
	if (!grows && json_len(before) != json_len(ranges))
		bad_invalid(c, "spec.cidrs", ranges ? ranges : json_new(&c->arena, JSON_NULL), "field is immutable");
	else
		EACH_ITEM(v, before) {
			if (!json_equal(v, json_at(ranges, i)))
				bad_invalid(c, PATH(c, "spec.cidrs[%zu]", i), json_at(ranges, i), "field is immutable");
			i++;
		}
}

static const struct kind_check kinds[] = {
    {NP, check_network_policy, NULL},
    {CLASS, check_ingress_class, NULL},
    {"ServiceCIDR", check_service_cidr, NULL},
    {"Ingress", check_ingress, check_ingress_status},
};

const struct group_check validate_networking = {"networking.k8s.io", rules, ARRAY_SIZE(rules), kinds,
						ARRAY_SIZE(kinds)};
