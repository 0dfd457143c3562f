/* SPDX-License-Identifier: Apache-2.0 */
/* EndpointSlice. */
#include <arpa/inet.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/map.h"
#include "base/str.h"

#define SLICE "EndpointSlice"

/* Upstream's bounds. */
#define ENDPOINTS_MAX 1000
#define ADDRESSES_MAX 100
#define PORTS_MAX 20000
#define HINTS_MAX 8
#define TOPOLOGY_MAX 16

static const char *const address_types[] = {"FQDN", "IPv4", "IPv6", NULL};

static const struct rule rules[] = {
    REQUIRED(SLICE, "addressType"),
    VALUES(SLICE, "addressType", address_types),
    CONSTANT(SLICE, "addressType"),
    ITEMS(SLICE, "endpoints", ENDPOINTS_MAX),
    ITEMS(SLICE, "ports", PORTS_MAX),
    REQUIRED(SLICE, "endpoints[].addresses"),
    ITEMS(SLICE, "endpoints[].addresses", ADDRESSES_MAX),
    NAME(SLICE, "endpoints[].hostname", name_check_dns1123_label),
    NAME(SLICE, "endpoints[].nodeName", name_check_dns1123_subdomain),
    LABELS(SLICE, "endpoints[].deprecatedTopology"),
    ITEMS(SLICE, "endpoints[].hints?.forZones", HINTS_MAX),
    NAME(SLICE, "endpoints[].hints?.forZones[].name", name_check_label_value),
    UNIQUE(SLICE, "endpoints[].hints?.forZones", "name"),
    ITEMS(SLICE, "endpoints[].hints?.forNodes", HINTS_MAX),
    NAME(SLICE, "endpoints[].hints?.forNodes[].name", name_check_dns1123_subdomain),
    UNIQUE(SLICE, "endpoints[].hints?.forNodes", "name"),
    NAME_OR_EMPTY(SLICE, "ports[].name", name_check_dns1123_label),
    NAME(SLICE, "ports[].appProtocol", name_check_qualified),
};

/* Endpoints are real hosts: traffic to some ranges would stay on, or confuse, the node that sends it. */
static void check_address(struct check *c, const char *list, size_t i, const struct json *v, bool v6)
{
	const char *s = str_or(json_str(v), ""), *one = PATH(c, "%s[%zu]", list, i), *why = rule_ip(s);

	if (why) {
		bad_invalid_str(c, one, s, why);
		return;
	}
	if (is_ipv6(s) != v6)
		bad_invalid_str(c, list, s, v6 ? "must be an IPv6 address" : "must be an IPv4 address");
	check_name(c, one, v, rule_public_ip);
}

static void check_addresses(struct check *c, const char *list, const struct json *addresses)
{
	const char *type = json_path_str(c->tree, "addressType");
	size_t i = 0;

	EACH_ITEM(a, addresses) {
		if (str_eq(type, "FQDN"))
			check_name(c, PATH(c, "%s[%zu]", list, i), a, name_check_dns1123_subdomain);
		else if (str_eq(type, "IPv4") || str_eq(type, "IPv6"))
			check_address(c, list, i, a, str_eq(type, "IPv6"));
		i++;
	}
}

static void check_endpoint_slice(struct check *c)
{
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(e, json_get(c->tree, "endpoints")) {
		const char *at = PATH(c, "endpoints[%zu]", i++);
		check_addresses(c, PATH(c, "%s.addresses", at), json_get(e, "addresses"));
		if (json_len(json_get(e, "deprecatedTopology")) > TOPOLOGY_MAX)
			bad_too_many(c, PATH(c, "%s.deprecatedTopology", at),
				     json_len(json_get(e, "deprecatedTopology")), TOPOLOGY_MAX);
	}
	i = 0;
	EACH_ITEM(p, json_get(c->tree, "ports")) {
		const char *name = str_or(json_path_str(p, "name"), "");
		if (map_set(&names, name, c))
			bad_duplicate(c, PATH(c, "ports[%zu].name", i), name);
		i++;
	}
}

static const struct kind_check kinds[] = {{SLICE, check_endpoint_slice, NULL}};

const struct group_check validate_discovery = {"discovery.k8s.io", rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
