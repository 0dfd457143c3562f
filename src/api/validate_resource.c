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

static const char *rule_c_identifier(const char *s)
{
	bool fine = isalpha((unsigned char)*s) || *s == '_';

	for (; fine && *s; s++)
		fine = isalnum((unsigned char)*s) || *s == '_';
	return fine ? NULL
		    : "a valid C identifier must start with alphabetic character or '_', followed by a string of "
		      "alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for "
		      "validation is '[A-Za-z_][A-Za-z0-9_]*')";
}

static void check_identifier(struct check *c, const char *at, const char *id)
{
	const char *why = rule_c_identifier(id);

	if (strlen(id) > QUALIFIED_ID_BYTES_MAX)
		bad_too_long(c, at, QUALIFIED_ID_BYTES_MAX);
	if (why)
		bad_invalid_str(c, at, id, why);
}

void check_qualified_attribute(struct check *c, const char *at, const char *s)
{
	const char *slash = strchr(s, '/'), *domain, *why;

	if (!slash) {
		check_identifier(c, at, s);
		return;
	}
	if (strchr(slash + 1, '/'))
		return; /* as upstream: told by no one */
	domain = arena_strndup(&c->arena, s, (size_t)(slash - s));
	if (!*domain)
		bad_invalid_str(c, at, "", "the domain must not be empty");
	if (strlen(domain) > DRIVER_NAME_BYTES_MAX)
		bad_too_long(c, at, DRIVER_NAME_BYTES_MAX);
	if (*domain && (why = rule_csi_driver(domain)))
		bad_invalid_str(c, at, domain, why);
	if (!slash[1])
		bad_invalid_str(c, at, "", "the name must not be empty");
	else
		check_identifier(c, at, slash + 1);
}

static void check_full_attribute(struct check *c, const char *at, const struct json *v)
{
	const char *s = str_or(json_str(v), "");

	check_qualified_attribute(c, at, s);
	if (!strchr(s, '/'))
		bad_invalid_str(c, at, s, "a fully qualified name must be a domain and a name separated by a slash");
}

void check_pool_name(struct check *c, const char *at, const struct json *v)
{
	const char *s = str_or(json_str(v), ""), *why;

	if (strlen(s) > NAME_MAX_DNS_SUBDOMAIN)
		bad_too_long(c, at, NAME_MAX_DNS_SUBDOMAIN);
	for (size_t n; *s; s += n + (s[n] == '/')) {
		n = strcspn(s, "/");
		const char *part = arena_strndup(&c->arena, s, n);
		if ((why = name_check_dns1123_subdomain(part)))
			bad_invalid_str(c, at, part, why);
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
	    NAME("", "value", name_check_label_value),
	    REQUIRED("", "effect"),
	};
	const char *key = str_or(json_path_str(taint, "key"), ""), *why = name_check_qualified(key);

	if (why)
		bad_invalid_str(c, PATH(c, "%s.key", at), key, why);
	check_fields(c, at, taint, rules, ARRAY_SIZE(rules));
}

static void check_configs(struct check *c, const char *at, const struct json *holder)
{
	static const struct rule rules[] = {
	    ITEMS("", "config", CONFIGS_MAX),
	    REQUIRED("", "config[].opaque"),
	    REQUIRED("", "config[].opaque?.driver"),
	    DECLARED_DRIVER_NAME("", "config[].opaque?.driver"),
	};
	size_t i = 0;

	check_fields(c, at, holder, rules, ARRAY_SIZE(rules));
	EACH_ITEM(one, json_get(holder, "config")) {
		const char *path = PATH(c, "%s%sconfig[%zu].opaque.parameters", at, *at ? "." : "", i++);
		const struct json *parameters = json_path(one, "opaque.parameters");
		if (!json_get(one, "opaque"))
			continue;
		if (!parameters || parameters->type == JSON_NULL)
			bad_required(c, path, NULL);
		else if (parameters->type != JSON_OBJECT)
			bad_invalid_str(c, path, "<value omitted>", "must be a valid JSON object");
		else if (strlen(json_to_string(&c->arena, parameters)) > PARAMETERS_BYTES_MAX)
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
		if (exists && !str_empty(json_path_str(t, "value")))
			bad_invalid(c, PATH(c, "%s.value", one), json_get(t, "value"),
				    "must be empty for operator `Exists`");
		else if (str_eq(operator, "Equal"))
			check_name(c, PATH(c, "%s.value", one), json_get(t, "value"), name_check_label_value);
	}
}

/* class_rule: of the class's name */
static void check_exact(struct check *c, const char *at, const struct json *r, const char *(*class_rule)(const char *))
{
	const char *mode = json_path_str(r, "allocationMode");
	const struct json *count = json_get(r, "count");
	const char *count_at = PATH(c, "%s.count", at);

	if (need_str(c, PATH(c, "%s.deviceClassName", at), json_get(r, "deviceClassName")))
		check_name(c, PATH(c, "%s.deviceClassName", at), json_get(r, "deviceClassName"), class_rule);
	check_fields(c, at, r, selector_rules, ARRAY_SIZE(selector_rules));
	if (str_eq(mode, "All") && json_int(count, 0))
		bad_invalid(c, count_at, count, "must not be specified when allocationMode is 'All'");
	else if (str_eq(mode, "ExactCount") && json_int(count, 0) <= 0)
		bad_invalid(c, count_at, count ? count : json_new_int(&c->arena, 0), "must be greater than zero");
	else if (!str_empty(mode) && !str_in(mode, modes))
		bad_unsupported(c, PATH(c, "%s.allocationMode", at), mode, modes);
	check_device_tolerations(c, PATH(c, "%s.tolerations", at), json_get(r, "tolerations"));
}

/* The names that others may speak of: "a", and "a/b" of an alternative. */
static void know_requests(struct check *c, const struct json *requests, struct map *known)
{
	EACH_ITEM(r, requests) {
		const char *name = str_or(json_path_str(r, "name"), "");
		map_set(known, name, c);
		EACH_ITEM(sub, json_get(r, "firstAvailable"))
			map_set(known, PATH(c, "%s/%s", name, str_or(json_path_str(sub, "name"), "")), c);
	}
}

static void check_request(struct check *c, const char *at, const struct json *r)
{
	const struct json *exactly = json_get(r, "exactly"), *first = json_get(r, "firstAvailable");
	static const struct rule rules[] = {SET("", "firstAvailable", "name")};
	const struct json *none = json_new_str(&c->arena, "");
	size_t i = 0;

	check_name(c, PATH(c, "%s.name", at), json_str(json_get(r, "name")) ? json_get(r, "name") : none,
		   name_check_dns1123_label);
	if (exactly && json_len(first))
		bad_invalid_plain(
		    c, at, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set");
	else if (!exactly && !json_len(first))
		bad_required(c, at, "exactly one of `exactly` or `firstAvailable` is required");
	else if (exactly)
		check_exact(c, PATH(c, "%s.exactly", at), exactly, name_check_dns1123_subdomain);
	if (json_len(first) > ALTERNATIVES_MAX)
		bad_too_many(c, PATH(c, "%s.firstAvailable", at), json_len(first), ALTERNATIVES_MAX);
	check_fields(c, at, r, rules, ARRAY_SIZE(rules));
	EACH_ITEM(sub, first) {
		const char *one = PATH(c, "%s.firstAvailable[%zu]", at, i++), *own = json_path_str(sub, "name");
		check_name(c, PATH(c, "%s.name", one), own ? json_get(sub, "name") : none, name_check_dns1123_label);
		check_exact(c, one, sub, name_check_long_name);
	}
}

static void check_reference(struct check *c, const char *at, const char *name, const struct map *known)
{
	size_t slashes = 0;

	for (const char *s = name; (s = strchr(s, '/')); s++)
		slashes++;
	for (const char *s = name; slashes < 2;) {
		size_t n = strcspn(s, "/");
		const char *part = arena_strndup(&c->arena, s, n), *why = name_check_dns1123_label(part);
		if (why)
			bad_invalid_str(c, at, part, why);
		if (!s[n])
			break;
		s += n + 1;
	}
	if (!map_has(known, name))
		bad_invalid_str(c, at, name,
				"must be the name of a request in the claim or the name of a request and a "
				"subrequest separated by '/'");
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
		check_reference(c, one, name, known);
	}
}

static void check_constraint(struct check *c, const char *at, const struct json *v, const struct map *known)
{
	const struct json *match = json_get(v, "matchAttribute"), *distinct = json_get(v, "distinctAttribute");

	check_references(c, PATH(c, "%s.requests", at), json_get(v, "requests"), known);
	if (match)
		check_full_attribute(c, PATH(c, "%s.matchAttribute", at), match);
	if (distinct)
		check_full_attribute(c, PATH(c, "%s.distinctAttribute", at), distinct);
	if (!match && !distinct)
		bad_required(
		    c, at,
		    "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields "
		    "are set");
}

static void check_device_claim(struct check *c, const char *at, const struct json *spec)
{
	static const struct rule rules[] = {
	    ITEMS("", "requests", REQUESTS_MAX),
	    SET("", "requests", "name"),
	};
	const struct json *devices = json_get(spec, "devices"), *requests = json_get(devices, "requests");
	const struct json *constraints = json_get(devices, "constraints");
	_cleanup_names_ struct map known = MAP_INIT;
	size_t i = 0;

	at = PATH(c, "%s.devices", at);
	check_fields(c, at, devices, rules, ARRAY_SIZE(rules));
	know_requests(c, requests, &known);
	EACH_ITEM(r, requests)
		check_request(c, PATH(c, "%s.requests[%zu]", at, i++), r);
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
	if (!c->old) /* it stays as it is */
		check_device_claim(c, "spec", json_get(c->tree, "spec"));
}

static void check_claim_template(struct check *c)
{
	static const char *const writable[] = {"labels", "annotations", "finalizers", "ownerReferences", NULL};
	const struct json *meta = json_path(c->tree, "spec.metadata");

	if (c->old)
		return;
	check_device_claim(c, "spec.spec", json_path(c->tree, "spec.spec"));
	check_labels(c, "spec.metadata.labels", json_get(meta, "labels"));
	check_annotations(c, "spec.metadata.annotations", json_get(meta, "annotations"));
	EACH_MEMBER(v, meta)
	if (!str_in(v->key, writable) && v->type != JSON_NULL)
		bad_forbidden(c, PATH(c, "spec.metadata.%s", v->key), "cannot be set");
}

/* A pool's name, in the words of the generated check. */
static void check_declared_pool(struct check *c, const char *at, const struct json *v)
{
	const char *s = str_or(json_str(v), "");

	for (size_t i = 0; *s; i++) {
		size_t n = strcspn(s, "/");
		const char *part = arena_strndup(&c->arena, s, n), *why = name_check_long_name(part);
		for (size_t len; why && *why; why += len + (why[len] == '\n')) {
			len = strcspn(why, "\n");
			bad_invalid(c, at, v, PATH(c, "segment %zu: %.*s", i, (int)len, why));
		}
		s += n + (s[n] == '/');
	}
}

static void check_result(struct check *c, const char *at, const struct json *r, const struct map *known)
{
	static const struct rule rules[] = {
	    REQUIRED("", "driver"),
	    DECLARED_DRIVER_NAME("", "driver"),
	    REQUIRED("", "pool"),
	    CALL("", "pool", check_declared_pool),
	};
	const char *device = str_or(json_path_str(r, "device"), ""), *why = name_check_dns1123_label(device);

	check_reference(c, PATH(c, "%s.request", at), str_or(json_path_str(r, "request"), ""), known);
	check_fields(c, at, r, rules, ARRAY_SIZE(rules));
	if (why)
		bad_invalid_str(c, PATH(c, "%s.device", at), device, why);
	check_device_bindings(c, at, r);
}

static void check_new_allocation(struct check *c, const char *at, const struct json *devices)
{
	static const char *const sources[] = {"FromClaim", "FromClass", NULL};
	static const struct rule rules[] = {
	    REQUIRED("", "config[].source"),
	    VALUES("", "config[].source", sources),
	    ITEMS("", "results", REQUESTS_MAX),
	};
	_cleanup_names_ struct map known = MAP_INIT;
	size_t i = 0;

	know_requests(c, json_path(c->tree, "spec.devices.requests"), &known);
	check_configs(c, at, devices);
	check_fields(c, at, devices, rules, ARRAY_SIZE(rules));
	EACH_ITEM(v, json_get(devices, "config"))
		check_references(c, PATH(c, "%s.config[%zu].requests", at, i++), json_get(v, "requests"), &known);
	i = 0;
	EACH_ITEM(r, json_get(devices, "results"))
		check_result(c, PATH(c, "%s.results[%zu]", at, i++), r, &known);
}

static void check_allocation(struct check *c, const char *subresource)
{
	const struct json *status = json_get(c->tree, "status"), *now = json_get(status, "allocation");
	const struct json *before = json_path(c->old, "status.allocation");
	(void)subresource;

	if (now && !before)
		check_new_allocation(c, "status.allocation.devices", json_get(now, "devices"));
	else if (now && !json_equal(now, before))
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
    CONSTANT(CLAIM, "spec"),
    ITEMS(CLAIM, "status.reservedFor", RESERVED_MAX),
    SET(CLAIM, "status.reservedFor", "uid"),
    REQUIRED(CLAIM, "status.reservedFor[].resource"),
    REQUIRED(CLAIM, "status.reservedFor[].name"),
    REQUIRED(CLAIM, "status.reservedFor[].uid"),
    IMMUTABLE(TEMPLATE, "spec"),
    NAME(CLASS, "spec.extendedResourceName", rule_extended_resource),
    REQUIRED(TAINT_RULE, "spec.deviceSelector?.driver?"),
    DRIVER_NAME(TAINT_RULE, "spec.deviceSelector?.driver?"),
    REQUIRED(TAINT_RULE, "spec.deviceSelector?.pool?"),
    CALL(TAINT_RULE, "spec.deviceSelector?.pool", check_pool_name),
    CALL(TAINT_RULE, "status.conditions", check_meta_conditions),
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
