/* SPDX-License-Identifier: Apache-2.0 */
/* ResourceSlice: the devices that a driver offers. */
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_resource.h"
#include "api/validate_rules.h"
#include "base/map.h"
#include "base/str.h"

/* Upstream's bounds. */
#define DEVICES_MAX 128
#define DEVICES_WITH_TAINTS_MAX 64
#define PROPERTIES_MAX 32
#define VALUE_BYTES_MAX 64
#define TAINTS_MAX 16
#define COUNTER_SETS_MAX 8
#define COUNTERS_MAX 32
#define CONSUMPTIONS_MAX 2
#define BINDING_CONDITIONS_MAX 4

static void check_counters(struct check *c, const char *at, const struct json *map)
{
	const char *why;

	EACH_MEMBER(v, map)
	if ((why = name_check_short_name(v->key)))
		bad_invalid_str(c, at, v->key, why);
}

static const struct rule rules[] = {
    REQUIRED("", "spec.driver"),
    DRIVER_NAME("", "spec.driver"),
    REQUIRED("", "spec.pool.name"),
    CALL("", "spec.pool.name", check_pool_name),
    RANGE("", "spec.pool.resourceSliceCount", 1, INT64_MAX, "must be greater than zero"),
    RANGE("", "spec.pool.generation", 0, INT64_MAX, "must be greater than or equal to zero"),
    ITEMS("", "spec.sharedCounters", COUNTER_SETS_MAX),
    REQUIRED("", "spec.sharedCounters[].name"),
    NAME("", "spec.sharedCounters[].name", name_check_short_name),
    SET("", "spec.sharedCounters", "name"),
    CALL("", "spec.sharedCounters[].counters", check_counters),
    FILLED("", "spec.sharedCounters[].counters", NULL),
};

static const struct rule device_rules[] = {
    ITEMS("", "taints", TAINTS_MAX),
    ITEMS("", "consumesCounters", CONSUMPTIONS_MAX),
    REQUIRED("", "consumesCounters[].counterSet"),
    NAME("", "consumesCounters[].counterSet", name_check_short_name),
    SET("", "consumesCounters", "counterSet"),
    CALL("", "consumesCounters[].counters", check_counters),
    FILLED("", "consumesCounters[].counters", NULL),
};

/*
 * Which nodes reach the devices is said in exactly one way. Returns how many were chosen, and their names. empty: what
 * is told of an empty name.
 */
static size_t check_node_choices(struct check *c, const char *at, const struct json *o, const char *empty,
				 const char **names)
{
	static const char *const flags[] = {"allNodes", "perDeviceNodeSelection"};
	const struct json *name = json_get(o, "nodeName"), *selector = json_get(o, "nodeSelector");
	size_t n = 0;

	*names = "";
	if (name && !name->len)
		bad_invalid(c, PATH(c, "%s.nodeName", at), name, empty);
	else if (name && ++n)
		*names = "`nodeName`";
	if (name && name->len)
		check_name(c, PATH(c, "%s.nodeName", at), name, name_check_dns1123_subdomain);
	if (selector) {
		*names = PATH(c, "%s%s`nodeSelector`", *names, n++ ? ", " : "");
		check_node_selector(c, PATH(c, "%s.nodeSelector", at), selector, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		const struct json *v = json_get(o, flags[i]);
		if (v && json_path_bool(o, flags[i], false))
			*names = PATH(c, "%s%s`%s`", *names, n++ ? ", " : "", flags[i]);
		else if (v)
			bad_invalid(c, PATH(c, "%s.%s", at, flags[i]), v, "must be either unset or set to true");
	}
	return n;
}

static void check_attribute(struct check *c, const char *at, const struct json *v)
{
	static const char *const texts[] = {"string", "version"};
	uint32_t set = json_len(v);

	if (!set)
		bad_invalid_str(c, at, "",
				"must specify one of: `int`, `bool`, `string`, `version`, `ints`, `bools`, `strings`, "
				"`versions`");
	else if (set > 1)
		bad_invalid(c, at, v, "exactly one value must be specified");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct json *s = json_get(v, texts[i]);
		if (json_str(s) && s->len > VALUE_BYTES_MAX)
			bad_too_long(c, PATH(c, "%s.%s", at, texts[i]), VALUE_BYTES_MAX);
		if (i == 1)
			check_name(c, PATH(c, "%s.version", at), s, rule_semver);
	}
}

static void check_keys(struct check *c, const char *at, const struct json *map)
{
	EACH_MEMBER(v, map)
	check_qualified_attribute(c, at, v->key);
}

static void check_condition_names(struct check *c, const char *at, const struct json *list)
{
	size_t i = 0;

	EACH_ITEM(v, list) {
		const char *s = str_or(json_str(v), ""), *why = name_check_qualified(s);
		if (why)
			bad_invalid_str(c, PATH(c, "%s[%zu]", at, i), s, why);
		i++;
	}
}

void check_device_bindings(struct check *c, const char *at, const struct json *d)
{
	static const struct rule rules[] = {
	    ITEMS("", "bindingConditions", BINDING_CONDITIONS_MAX),
	    UNIQUE("", "bindingConditions", NULL),
	    ITEMS("", "bindingFailureConditions", BINDING_CONDITIONS_MAX),
	    UNIQUE("", "bindingFailureConditions", NULL),
	};
	const struct json *on = json_get(d, "bindingConditions"), *failed = json_get(d, "bindingFailureConditions");
	const struct json *none = json_new(&c->arena, JSON_NULL);
	size_t i = 0;

	check_fields(c, at, d, rules, ARRAY_SIZE(rules));
	check_condition_names(c, PATH(c, "%s.bindingConditions", at), on);
	check_condition_names(c, PATH(c, "%s.bindingFailureConditions", at), failed);
	EACH_ITEM(f, failed) {
		const char *one = PATH(c, "%s.bindingFailureConditions[%zu]", at, i++);
		EACH_ITEM(b, on)
			if (json_equal(f, b))
				bad_invalid(c, one, f,
					    "bindingFailureConditions must not overlap with bindingConditions");
	}
	if (!json_len(on) && json_len(failed))
		bad_invalid(c, PATH(c, "%s.bindingConditions", at), none,
			    "bindingConditions are required to use bindingFailureConditions");
	if (json_len(on) && !json_len(failed))
		bad_invalid(c, PATH(c, "%s.bindingFailureConditions", at), none,
			    "bindingFailureConditions are required to use bindingConditions");
}

static void check_capacity(struct check *c, const char *at, const struct json *capacity, bool shared)
{
	EACH_MEMBER(v, capacity)
	if (json_get(v, "requestPolicy") && !shared)
		bad_forbidden(c, PATH(c, "%s[%s].requestPolicy", at, v->key), "allowMultipleAllocations must be true");
}

static void check_device_nodes(struct check *c, const char *at, const struct json *d, bool per_device)
{
	static const char once[] = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
				   "`perDeviceNodeSelection` is set to true in the ResourceSlice spec";
	const char *names;

	if (!per_device) {
		if (json_get(d, "nodeName") || json_get(d, "nodeSelector") || json_get(d, "allNodes"))
			bad_invalid(c, at, json_new(&c->arena, JSON_NULL),
				    "`nodeName`, `nodeSelector` and `allNodes` can only be set if "
				    "`perDeviceNodeSelection` is set to true in the ResourceSlice spec");
		return;
	}
	size_t n = check_node_choices(c, at, d, "must not be empty", &names);
	if (!n)
		bad_required(c, at, once);
	else if (n > 1)
		bad_invalid_str(c, at, PATH(c, "{%s}", names), once);
}

static void check_device(struct check *c, const char *at, const struct json *d, bool per_device)
{
	const struct json *attributes = json_get(d, "attributes"), *capacity = json_get(d, "capacity");
	const struct json *name = json_get(d, "name");
	size_t i = 0;

	check_name(c, PATH(c, "%s.name", at), json_str(name) ? name : json_new_str(&c->arena, ""),
		   name_check_dns1123_label);
	check_fields(c, at, d, device_rules, ARRAY_SIZE(device_rules));
	check_keys(c, PATH(c, "%s.attributes", at), attributes);
	check_keys(c, PATH(c, "%s.capacity", at), capacity);
	check_capacity(c, PATH(c, "%s.capacity", at), capacity, json_path_bool(d, "allowMultipleAllocations", false));
	if (json_len(attributes) + json_len(capacity) > PROPERTIES_MAX)
		bad_invalid(c, at, json_new_int(&c->arena, json_len(attributes) + json_len(capacity)),
			    "the total number of attributes and capacities must not exceed 32");
	if (json_is(attributes, JSON_OBJECT))
		JSON_EACH(v, attributes)
			check_attribute(c, PATH(c, "%s.attributes[%s]", at, v->key), v);
	EACH_ITEM(t, json_get(d, "taints"))
		check_device_taint(c, PATH(c, "%s.taints[%zu]", at, i++), t);
	check_device_nodes(c, at, d, per_device);
	check_device_bindings(c, at, d);
}

void check_resource_slice(struct check *c)
{
	static const char once[] =
	    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
	const struct json *spec = json_get(c->tree, "spec"), *devices = json_get(spec, "devices");
	bool per_device = json_path_bool(spec, "perDeviceNodeSelection", false), advanced = false;
	_cleanup_names_ struct map names = MAP_INIT;
	const struct json *pernode = json_get(spec, "nodeSelector");
	const char *chosen;
	size_t i = 0;

	check_fields(c, "", c->tree, rules, ARRAY_SIZE(rules));
	size_t choices =
	    check_node_choices(c, "spec", spec, "must be either unset or set to a non-empty string", &chosen);
	if (pernode && json_len(json_get(pernode, "nodeSelectorTerms")) != 1) {
		const struct json *terms = json_get(pernode, "nodeSelectorTerms");
		bad_invalid(c, "spec.nodeSelector.nodeSelectorTerms", terms ? terms : json_new(&c->arena, JSON_NULL),
			    "must have exactly one node selector term");
	}
	if (!choices)
		bad_required(c, "spec", once);
	else if (choices > 1)
		bad_invalid_str(c, "spec", PATH(c, "{%s}", chosen), PATH(c, "%s, but multiple fields are set", once));
	if (json_len(devices) && json_len(json_get(spec, "sharedCounters")))
		bad_invalid_str(c, "spec", "", "only one of `sharedCounters` or `devices` is allowed");
	EACH_ITEM(d, devices) {
		const char *at = PATH(c, "spec.devices[%zu]", i++), *name = json_path_str(d, "name");
		if (!str_empty(name) && map_set(&names, name, c))
			bad_duplicate(c, at, name);
		advanced |= json_len(json_get(d, "taints")) || json_len(json_get(d, "consumesCounters"));
		check_device(c, at, d, per_device);
	}
	size_t max = advanced ? DEVICES_WITH_TAINTS_MAX : DEVICES_MAX;
	if (json_len(devices) > max)
		bad_too_many(c, "spec.devices", json_len(devices), max);
	i = 0;
	EACH_ITEM(s, json_get(spec, "sharedCounters")) {
		if (json_len(json_get(s, "counters")) > COUNTERS_MAX)
			bad_too_many(c, PATH(c, "spec.sharedCounters[%zu].counters", i),
				     json_len(json_get(s, "counters")), COUNTERS_MAX);
		i++;
	}
}
