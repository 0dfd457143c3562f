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
    IMMUTABLE(SLICE, "addressType"),
    ITEMS(SLICE, "endpoints", ENDPOINTS_MAX),
    ITEMS(SLICE, "ports", PORTS_MAX),
    REQUIRED(SLICE, "endpoints[].addresses"),
    ITEMS(SLICE, "endpoints[].addresses", ADDRESSES_MAX),
    NAME(SLICE, "endpoints[].hostname", name_check_dns1123_label),
    NAME(SLICE, "endpoints[].nodeName", name_check_dns1123_subdomain),
    NAME(SLICE, "endpoints[].zone", name_check_label_value),
    LABELS(SLICE, "endpoints[].deprecatedTopology"),
    ITEMS(SLICE, "endpoints[].hints?.forZones", HINTS_MAX),
    REQUIRED(SLICE, "endpoints[].hints?.forZones[].name"),
    NAME(SLICE, "endpoints[].hints?.forZones[].name", name_check_label_value),
    UNIQUE(SLICE, "endpoints[].hints?.forZones", "name"),
    ITEMS(SLICE, "endpoints[].hints?.forNodes", HINTS_MAX),
    NAME(SLICE, "endpoints[].hints?.forNodes[].name", name_check_dns1123_subdomain),
    UNIQUE(SLICE, "endpoints[].hints?.forNodes", "name"),
    NAME_OR_EMPTY(SLICE, "ports[].name", name_check_dns1123_label),
    NAME(SLICE, "ports[].appProtocol", name_check_qualified),
};

/* What is no address at all is not told that it is one of another family. */
static const char *or_family(const char *s, const char *family)
{
	const char *why = rule_ip(s);

	return why ? why : family;
}

/* Endpoints are real hosts: traffic to these ranges would stay on, or confuse, the node that sends it. */
static const char *rule_endpoint4(const char *s)
{
	unsigned char ip[4];
	return inet_pton(AF_INET, s, ip) == 1 ? rule_public_ip(s) : or_family(s, "must be a valid IPv4 address");
}

static const char *rule_endpoint6(const char *s)
{
	unsigned char ip[16];
	return inet_pton(AF_INET6, s, ip) == 1 ? rule_public_ip(s) : or_family(s, "must be a valid IPv6 address");
}

static void check_endpoint_slice(struct check *c)
{
	const char *type = json_path_str(c->tree, "addressType");
	const char *(*rule)(const char *) = str_eq(type, "FQDN")   ? name_check_dns1123_subdomain
					    : str_eq(type, "IPv6") ? rule_endpoint6
								   : rule_endpoint4;
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0, k;

	EACH_ITEM(e, json_get(c->tree, "endpoints")) {
		const char *at = PATH(c, "endpoints[%zu]", i++);
		k = 0;
		EACH_ITEM(a, json_get(e, "addresses"))
			check_name(c, PATH(c, "%s.addresses[%zu]", at, k++), a, rule);
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
