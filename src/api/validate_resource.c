/* SPDX-License-Identifier: Apache-2.0 */
/* ResourceClaim, ResourceClaimTemplate, DeviceClass, DeviceTaintRule (all but their expressions); ResourceSlice is in
 * validate_resource_slice.c. */
#include "api/validate_resource.h"

#include <ctype.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/map.h"
#include "base/str.h"

#define CLAIM "ResourceClaim"
#define TEMPLATE "ResourceClaimTemplate"
#define CLASS "DeviceClass"
#define TAINT_RULE "DeviceTaintRule"

/* Upstream's bounds. */
#define REQUESTS_MAX 32
#define CONSTRAINTS_MAX 32
#define CONFIGS_MAX 32
#define SELECTORS_MAX 32
#define ALTERNATIVES_MAX 8
#define TOLERATIONS_MAX 16
#define EXPRESSION_BYTES_MAX (10 * 1024)
#define PARAMETERS_BYTES_MAX (10 * 1024)
#define RESERVED_MAX 256
#define CONDITIONS_MAX 8

static const char *const modes[] = {"All", "ExactCount", NULL};

const char *rule_c_identifier(const char *s)
{
	bool fine = isalpha((unsigned char)*s) || *s == '_';

	if (strlen(s) > QUALIFIED_ID_BYTES_MAX)
		return "must be no more than 32 bytes";
	for (; fine && *s; s++)
		fine = isalnum((unsigned char)*s) || *s == '_';
	return fine ? NULL
		    : "a valid C identifier must start with alphabetic character or '_', followed by a string of "
		      "alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for "
		      "validation is '[A-Za-z_][A-Za-z0-9_]*')";
}

const char *rule_qualified_attribute(const char *s)
{
	const char *slash = strchr(s, '/');
	char domain[QUALIFIED_DOMAIN_BYTES_MAX + 1];

	if (!slash)
		return rule_c_identifier(s);
	if (slash == s)
		return "the domain must not be empty";
	if (slash - s > QUALIFIED_DOMAIN_BYTES_MAX)
		return "the domain must be no more than 63 bytes";
	memcpy(domain, s, (size_t)(slash - s));
	domain[slash - s] = 0;
	return name_check_dns1123_subdomain(domain) ? name_check_dns1123_subdomain(domain)
						    : rule_c_identifier(slash + 1);
}

static const char *rule_full_attribute(const char *s)
{
	return strchr(s, '/') ? rule_qualified_attribute(s) : "must include a domain";
}

const char *rule_pool_name(const char *s)
{
	const char *why = NULL;
	char part[NAME_MAX_DNS_SUBDOMAIN + 1];

	if (strlen(s) > NAME_MAX_DNS_SUBDOMAIN)
		return "must be no more than 253 bytes";
	for (;;) {
		size_t n = strcspn(s, "/");
		memcpy(part, s, n);
		part[n] = 0;
		if ((why = name_check_dns1123_subdomain(part)) || !s[n])
			return why;
		s += n + 1;
	}
}

/* ---- parts that several kinds have ---- */

static const struct rule selector_rules[] = {
    ITEMS("", "selectors", SELECTORS_MAX),
    REQUIRED("", "selectors[].cel"),
    REQUIRED("", "selectors[].cel?.expression"),
    BYTES("", "selectors[].cel?.expression", EXPRESSION_BYTES_MAX),
};

void check_device_taint(struct check *c, const char *at, const struct json *taint)
{
	static const struct rule rules[] = {
	    REQUIRED("", "key"),
	    NAME("", "key", name_check_qualified),
	    NAME("", "value", name_check_label_value),
	    REQUIRED("", "effect"),
	};
	check_fields(c, at, taint, rules, ARRAY_SIZE(rules));
}

static void check_configs(struct check *c, const char *at, const struct json *holder)
{
	static const struct rule rules[] = {
	    ITEMS("", "config", CONFIGS_MAX),
	    REQUIRED("", "config[].opaque"),
	    REQUIRED("", "config[].opaque?.driver"),
	    DRIVER_NAME("", "config[].opaque?.driver"),
	    REQUIRED("", "config[].opaque?.parameters"),
	};
	size_t i = 0;

	check_fields(c, at, holder, rules, ARRAY_SIZE(rules));
	EACH_ITEM(one, json_get(holder, "config")) {
		const char *path = PATH(c, "%s%sconfig[%zu].opaque.parameters", at, *at ? "." : "", i++);
		const struct json *parameters = json_path(one, "opaque.parameters");
		if (parameters && parameters->type != JSON_NULL && parameters->type != JSON_OBJECT)
			bad_invalid(c, path, parameters, "parameters must be a valid JSON object");
		else if (parameters && strlen(json_to_string(&c->arena, parameters)) > PARAMETERS_BYTES_MAX)
			bad_too_long(c, path, PARAMETERS_BYTES_MAX);
	}
}

/* ---- claims ---- */

static void check_device_tolerations(struct check *c, const char *at, const struct json *list)
{
	size_t i = 0;

	if (json_len(list) > TOLERATIONS_MAX)
		bad_too_many(c, at, json_len(list), TOLERATIONS_MAX);
	EACH_ITEM(t, list) {
		const char *one = PATH(c, "%s[%zu]", at, i++), *operator= json_path_str(t, "operator");
		bool exists = str_eq(operator, "Exists");
		check_name(c, PATH(c, "%s.key", one), str_empty(json_path_str(t, "key")) ? NULL : json_get(t, "key"),
			   name_check_qualified);
		if (str_empty(json_path_str(t, "key")) && !exists)
			bad_invalid_str(c, PATH(c, "%s.operator", one), str_or(operator, ""),
					"must be 'Exists' when `key` is empty");
		if (exists && !str_empty(json_path_str(t, "value")))
			bad_invalid(c, PATH(c, "%s.value", one), json_get(t, "value"),
				    "must be empty when `operator` is 'Exists'");
		check_name(c, PATH(c, "%s.value", one), json_get(t, "value"), name_check_label_value);
	}
}

static void check_exact(struct check *c, const char *at, const struct json *r)
{
	const char *mode = json_path_str(r, "allocationMode");
	const struct json *count = json_get(r, "count"), *amounts = json_path(r, "capacity.requests");
	const char *count_at = PATH(c, "%s.count", at);

	if (need_str(c, PATH(c, "%s.deviceClassName", at), json_get(r, "deviceClassName")))
		check_name(c, PATH(c, "%s.deviceClassName", at), json_get(r, "deviceClassName"),
			   name_check_dns1123_subdomain);
	check_fields(c, at, r, selector_rules, ARRAY_SIZE(selector_rules));
	if (str_eq(mode, "All") && json_int(count, 0))
		bad_invalid(c, count_at, count, "must not be specified when allocationMode is 'All'");
	else if (str_eq(mode, "ExactCount") && json_int(count, 0) <= 0)
		bad_invalid(c, count_at, count ? count : json_new_int(&c->arena, 0), "must be greater than zero");
	else if (!str_empty(mode) && !str_in(mode, modes))
		bad_unsupported(c, PATH(c, "%s.allocationMode", at), mode, modes);
	check_device_tolerations(c, PATH(c, "%s.tolerations", at), json_get(r, "tolerations"));
	if (json_is(amounts, JSON_OBJECT))
		JSON_EACH(q, amounts) {
			const char *why = rule_qualified_attribute(q->key);
			if (why)
				bad_invalid_str(c, PATH(c, "%s.capacity.requests", at), q->key, why);
		}
}

/* Also collects the names that constraints and configurations may speak of: "a", and "a/b" of an alternative. */
static void check_request(struct check *c, const char *at, const struct json *r, struct map *known)
{
	const struct json *exactly = json_get(r, "exactly"), *first = json_get(r, "firstAvailable");
	const char *name = str_or(json_path_str(r, "name"), "");
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	if (need_str(c, PATH(c, "%s.name", at), json_get(r, "name"))) {
		check_name(c, PATH(c, "%s.name", at), json_get(r, "name"), name_check_dns1123_label);
		if (map_set(known, name, c))
			bad_duplicate(c, PATH(c, "%s.name", at), name);
	}
	if (exactly && json_len(first))
		bad_invalid_plain(
		    c, at, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set");
	else if (!exactly && !json_len(first))
		bad_required(c, at, "exactly one of `exactly` or `firstAvailable` is required");
	if (exactly)
		check_exact(c, PATH(c, "%s.exactly", at), exactly);
	if (json_len(first) > ALTERNATIVES_MAX)
		bad_too_many(c, PATH(c, "%s.firstAvailable", at), json_len(first), ALTERNATIVES_MAX);
	EACH_ITEM(sub, first) {
		const char *one = PATH(c, "%s.firstAvailable[%zu]", at, i++), *own = json_path_str(sub, "name");
		if (need_str(c, PATH(c, "%s.name", one), json_get(sub, "name"))) {
			check_name(c, PATH(c, "%s.name", one), json_get(sub, "name"), name_check_dns1123_label);
			if (map_set(&names, own, c))
				bad_duplicate(c, PATH(c, "%s.name", one), own);
			map_set(known, PATH(c, "%s/%s", name, own), c);
		}
		check_exact(c, one, sub);
	}
}

static void check_references(struct check *c, const char *at, const struct json *list, const struct map *known)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	if (json_len(list) > REQUESTS_MAX)
		bad_too_many(c, at, json_len(list), REQUESTS_MAX);
	EACH_ITEM(v, list) {
		const char *one = PATH(c, "%s[%zu]", at, i++), *name = str_or(json_str(v), "");
		if (map_set(&seen, name, c))
			bad_duplicate(c, one, name);
		if (!map_has(known, name))
			bad_invalid_str(c, one, name,
					"must be the name of a request in the claim or the name of a request and a "
					"subrequest separated by '/'");
	}
}

static void check_constraint(struct check *c, const char *at, const struct json *v, const struct map *known)
{
	const struct json *match = json_get(v, "matchAttribute"), *distinct = json_get(v, "distinctAttribute");

	check_references(c, PATH(c, "%s.requests", at), json_get(v, "requests"), known);
	if (match)
		check_name(c, PATH(c, "%s.matchAttribute", at), match, rule_full_attribute);
	if (distinct)
		check_name(c, PATH(c, "%s.distinctAttribute", at), distinct, rule_full_attribute);
	if (!match && !distinct)
		bad_required(c, at, "exactly one of matchAttribute or distinctAttribute is required");
	else if (match && distinct)
		bad_invalid_plain(c, at,
				  "exactly one of matchAttribute or distinctAttribute is required, but both are set");
}

static void check_device_claim(struct check *c, const char *at, const struct json *spec)
{
	const struct json *devices = json_get(spec, "devices"), *requests = json_get(devices, "requests");
	const struct json *constraints = json_get(devices, "constraints");
	_cleanup_names_ struct map known = MAP_INIT;
	size_t i = 0;

	at = PATH(c, "%s.devices", at);
	if (json_len(requests) > REQUESTS_MAX)
		bad_too_many(c, PATH(c, "%s.requests", at), json_len(requests), REQUESTS_MAX);
	EACH_ITEM(r, requests)
		check_request(c, PATH(c, "%s.requests[%zu]", at, i++), r, &known);
	if (json_len(constraints) > CONSTRAINTS_MAX)
		bad_too_many(c, PATH(c, "%s.constraints", at), json_len(constraints), CONSTRAINTS_MAX);
	i = 0;
	EACH_ITEM(v, constraints)
		check_constraint(c, PATH(c, "%s.constraints[%zu]", at, i++), v, &known);
	check_configs(c, at, devices);
	i = 0;
	EACH_ITEM(v, json_get(devices, "config"))
		check_references(c, PATH(c, "%s.config[%zu].requests", at, i++), json_get(v, "requests"), &known);
}

static void check_resource_claim(struct check *c)
{
	check_device_claim(c, "spec", json_get(c->tree, "spec"));
}

static void check_claim_template(struct check *c)
{
	check_device_claim(c, "spec.spec", json_path(c->tree, "spec.spec"));
	check_labels(c, "spec.labels", json_path(c->tree, "spec.metadata.labels"));
}

static void check_allocation(struct check *c, const char *subresource)
{
	const struct json *status = json_get(c->tree, "status"), *now = json_get(status, "allocation");
	const struct json *before = json_path(c->old, "status.allocation");
	(void)subresource;

	if (before && now && !json_equal(now, before))
		bad_invalid(c, "status.allocation", now, "field is immutable");
	if (json_len(json_get(status, "reservedFor")) && !now)
		bad_forbidden(c, "status.reservedFor", "may not be specified when `allocated` is not set");
	/* What runs with the devices keeps running until it lets go of them. */
	if (json_len(json_get(status, "reservedFor")) && json_len(json_path(c->old, "status.reservedFor")) && before &&
	    !now)
		bad_forbidden(c, "status.allocation", "must not be removed while the claim is reserved");
}

/* ---- the others ---- */

static void check_device_class(struct check *c)
{
	check_fields(c, "spec", json_get(c->tree, "spec"), selector_rules, ARRAY_SIZE(selector_rules));
	check_configs(c, "spec", json_get(c->tree, "spec"));
}

static void check_taint_rule(struct check *c)
{
	check_device_taint(c, "spec.taint", json_path(c->tree, "spec.taint"));
}

static const struct rule rules[] = {
    IMMUTABLE(CLAIM, "spec"),
    ITEMS(CLAIM, "status.reservedFor", RESERVED_MAX),
    UNIQUE(CLAIM, "status.reservedFor", "uid"),
    REQUIRED(CLAIM, "status.reservedFor[].resource"),
    REQUIRED(CLAIM, "status.reservedFor[].name"),
    REQUIRED(CLAIM, "status.reservedFor[].uid"),
    REQUIRED(CLAIM, "status.allocation?.devices.results[].driver"),
    DRIVER_NAME(CLAIM, "status.allocation?.devices.results[].driver"),
    REQUIRED(CLAIM, "status.allocation?.devices.results[].pool"),
    NAME(CLAIM, "status.allocation?.devices.results[].pool", rule_pool_name),
    REQUIRED(CLAIM, "status.allocation?.devices.results[].device"),
    NAME(CLAIM, "status.allocation?.devices.results[].device", name_check_dns1123_label),
    IMMUTABLE(TEMPLATE, "spec"),
    NAME(CLASS, "spec.extendedResourceName", rule_extended_resource),
    DRIVER_NAME(TAINT_RULE, "spec.deviceSelector?.driver"),
    NAME(TAINT_RULE, "spec.deviceSelector?.pool", rule_pool_name),
    NAME(TAINT_RULE, "spec.deviceSelector?.device", name_check_dns1123_label),
    IMMUTABLE("ResourceSlice", "spec.driver"),
    IMMUTABLE("ResourceSlice", "spec.nodeName"),
    IMMUTABLE("ResourceSlice", "spec.pool.name"),
    ITEMS(TAINT_RULE, "status.conditions", CONDITIONS_MAX),
};

static const struct kind_check kinds[] = {
    {CLAIM, check_resource_claim, check_allocation},
    {TEMPLATE, check_claim_template, NULL},
    {CLASS, check_device_class, NULL},
    {TAINT_RULE, check_taint_rule, NULL},
    {"ResourceSlice", check_resource_slice, NULL},
};

const struct group_check validate_resource = {"resource.k8s.io", rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
