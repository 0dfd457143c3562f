/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes. */
#include <ctype.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "base/str.h"

static void check_amounts(struct check *c, const char *list)
{
	const struct json *amounts = json_get(json_get(c->tree, "status"), list);

	if (json_is(amounts, JSON_OBJECT))
		JSON_EACH(v, amounts)
			check_resource_amount(c, PATH(c, "status.%s.%s", list, v->key), v);
}

static void check_pod_cidrs(struct check *c, const struct json *cidrs)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0, families[2] = {0, 0};

	EACH_ITEM(v, cidrs) {
		const char *cidr = str_or(json_str(v), ""), *why = rule_cidr(cidr);
		const char *at = PATH(c, "spec.podCIDRs[%zu]", i++);
		if (why)
			bad_invalid_str(c, at, cidr, why);
		if (map_set(&seen, cidr, c))
			bad_duplicate(c, at, cidr);
		families[is_ipv6(cidr)]++;
	}
	if (families[0] > 1 || families[1] > 1)
		bad_invalid(c, "spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family");
}

static void check_addresses(struct check *c)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(a, json_path(c->tree, "status.addresses")) {
		const char *key =
		    PATH(c, "%s/%s", str_or(json_path_str(a, "type"), ""), str_or(json_path_str(a, "address"), ""));
		if (map_set(&seen, key, c)) {
			struct json *shown = json_new(&c->arena, JSON_OBJECT); /* as upstream shows it */
			json_set_str(&c->arena, shown, "Type", str_or(json_path_str(a, "type"), ""));
			json_set_str(&c->arena, shown, "Address", str_or(json_path_str(a, "address"), ""));
			bad_duplicate_value(c, PATH(c, "status.addresses[%zu]", i), shown);
		}
		i++;
	}
}

/* Words joined by slashes, the first with a capital. */
static bool is_feature_name(const char *s)
{
	bool fine = isupper((unsigned char)*s), start = false;

	for (; fine && *s; s++) {
		fine = start ? isalpha((unsigned char)*s) : isalnum((unsigned char)*s) || *s == '/';
		start = *s == '/';
	}
	return fine && !start;
}

static void check_features(struct check *c, const struct json *features)
{
	const struct json *before = NULL;
	size_t i = 0;

	EACH_ITEM(v, features) {
		const char *at = PATH(c, "status.declaredFeatures[%zu]", i++), *s = str_or(json_str(v), "");
		const char *last = before ? str_or(json_str(before), "") : NULL;
		if (strlen(s) > NAME_MAX_DNS_SUBDOMAIN)
			bad_invalid_str(c, at, s,
					PATH(c, "invalid feature name \"%s\": must be no more than %d characters", s,
					     NAME_MAX_DNS_SUBDOMAIN));
		else if (!is_feature_name(s))
			bad_invalid_str(
			    c, at, s,
			    PATH(c,
				 "invalid feature name \"%s\": must start with an UpperCamelCase segment, with "
				 "subsequent segments separated by '/' (e.g., MyFeature or "
				 "MyFeature/mySubFeature), and contain only alphanumeric characters and "
				 "slashes",
				 s));
		if (last && str_eq(last, s))
			bad_duplicate(c, at, s);
		else if (last && strcmp(last, s) > 0)
			bad_invalid_str(c, at, s, "list must be sorted alphabetically");
		before = v;
	}
}

static void check_node_update(struct check *c, const struct json *spec, const struct json *old)
{
	const char *provider = json_path_str(old, "providerID");

	check_addresses(c);
	if (json_len(json_get(old, "podCIDRs")) && !json_equal(json_get(old, "podCIDRs"), json_get(spec, "podCIDRs")))
		bad_forbidden(c, "spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
	if (!str_empty(provider) && !str_eq(provider, json_path_str(spec, "providerID")))
		bad_forbidden(c, "spec.providerID", "node updates may not change providerID except from \"\" to valid");
}

void check_node(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *old = json_get(c->old, "spec");
	const struct json *taints = json_get(spec, "taints");

	if (!c->old && taints)
		check_taints(c, "metadata.taints", taints);
	check_amounts(c, "capacity");
	check_amounts(c, "allocatable");
	check_features(c, json_path(c->tree, "status.declaredFeatures"));
	if (!json_len(json_get(old, "podCIDRs")))
		check_pod_cidrs(c, json_get(spec, "podCIDRs"));
	if (!c->old)
		return;
	check_node_update(c, spec, old);
	if (taints)
		check_taints(c, "metadata.taints", taints);
	if (!json_equal(json_get(spec, "externalID"), json_get(old, "externalID")))
		bad_forbidden(c, "spec.externalID", "may not be updated");
}
