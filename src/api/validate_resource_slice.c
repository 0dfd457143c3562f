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

static const struct rule rules[] = {
    REQUIRED("", "spec.driver"),
    DRIVER_NAME("", "spec.driver"),
    REQUIRED("", "spec.pool.name"),
    NAME("", "spec.pool.name", rule_pool_name),
    RANGE("", "spec.pool.resourceSliceCount", 1, INT64_MAX, "must be greater than zero"),
    MIN("", "spec.pool.generation", 0),
    NAME("", "spec.nodeName", name_check_dns1123_subdomain),
    ITEMS("", "spec.sharedCounters", COUNTER_SETS_MAX),
    REQUIRED("", "spec.sharedCounters[].name"),
    NAME("", "spec.sharedCounters[].name", name_check_dns1123_label),
    UNIQUE("", "spec.sharedCounters", "name"),
    FILLED("", "spec.sharedCounters[].counters", NULL),
};

static const struct rule device_rules[] = {
    REQUIRED("", "name"),
    NAME("", "name", name_check_dns1123_label),
    ITEMS("", "taints", TAINTS_MAX),
    ITEMS("", "consumesCounters", CONSUMPTIONS_MAX),
    REQUIRED("", "consumesCounters[].counterSet"),
    NAME("", "consumesCounters[].counterSet", name_check_dns1123_label),
    UNIQUE("", "consumesCounters", "counterSet"),
    FILLED("", "consumesCounters[].counters", NULL),
    ITEMS("", "bindingConditions", BINDING_CONDITIONS_MAX),
    NAME("", "bindingConditions[]", name_check_qualified),
    ITEMS("", "bindingFailureConditions", BINDING_CONDITIONS_MAX),
    NAME("", "bindingFailureConditions[]", name_check_qualified),
};

/* Which nodes reach the devices is said in exactly one way. */
static size_t count_node_choices(const struct json *o, bool per_device)
{
	return (size_t) !!json_get(o, "nodeName") + !!json_get(o, "nodeSelector") +
	       json_path_bool(o, "allNodes", false) +
	       (per_device && json_path_bool(o, "perDeviceNodeSelection", false));
}

static void check_attribute(struct check *c, const char *at, const struct json *v)
{
	static const char *const texts[] = {"string", "version"};
	uint32_t set = json_len(v);

	if (set != 1)
		bad_invalid(c, at, v, "exactly one value must be specified");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct json *s = json_get(v, texts[i]);
		if (json_str(s) && s->len > VALUE_BYTES_MAX)
			bad_too_long(c, PATH(c, "%s.%s", at, texts[i]), VALUE_BYTES_MAX);
		else if (i == 1)
			check_name(c, PATH(c, "%s.version", at), s, rule_semver);
	}
}

static void check_keys(struct check *c, const char *at, const struct json *map)
{
	if (!json_is(map, JSON_OBJECT))
		return;
	JSON_EACH(v, map) {
		const char *why = rule_qualified_attribute(v->key);
		if (why)
			bad_invalid_str(c, at, v->key, why);
	}
}

static void check_device(struct check *c, const char *at, const struct json *d, bool per_device)
{
	const struct json *attributes = json_get(d, "attributes"), *capacity = json_get(d, "capacity");
	size_t i = 0, choices = count_node_choices(d, false);

	check_fields(c, at, d, device_rules, ARRAY_SIZE(device_rules));
	check_keys(c, PATH(c, "%s.attributes", at), attributes);
	check_keys(c, PATH(c, "%s.capacity", at), capacity);
	if (json_len(attributes) + json_len(capacity) > PROPERTIES_MAX)
		bad_invalid(c, at, json_new_int(&c->arena, json_len(attributes) + json_len(capacity)),
			    "the total number of attributes and capacities must not exceed 32");
	if (json_is(attributes, JSON_OBJECT))
		JSON_EACH(v, attributes)
			check_attribute(c, PATH(c, "%s.attributes[%s]", at, v->key), v);
	EACH_ITEM(t, json_get(d, "taints"))
		check_device_taint(c, PATH(c, "%s.taints[%zu]", at, i++), t);
	if (per_device && choices != 1)
		bad_required(c, at,
			     "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
			     "`perDeviceNodeSelection` is set to true in the slice");
	else if (!per_device && choices)
		bad_invalid_plain(
		    c, at,
		    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is "
		    "set to true in the slice");
}

void check_resource_slice(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *devices = json_get(spec, "devices");
	bool per_device = json_path_bool(spec, "perDeviceNodeSelection", false), advanced = false;
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0, choices = count_node_choices(spec, true);

	check_fields(c, "", c->tree, rules, ARRAY_SIZE(rules));
	if (choices != 1) {
		const char *text =
		    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
		if (choices)
			bad_invalid_plain(c, "spec", PATH(c, "%s, but multiple fields are set", text));
		else
			bad_required(c, "spec", text);
	}
	if (json_len(devices) && json_len(json_get(spec, "sharedCounters")))
		bad_invalid_plain(c, "spec", "only one of `sharedCounters` or `devices` is allowed");
	EACH_ITEM(d, devices) {
		const char *at = PATH(c, "spec.devices[%zu]", i++), *name = json_path_str(d, "name");
		if (!str_empty(name) && map_set(&names, name, c))
			bad_duplicate(c, PATH(c, "%s.name", at), name);
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
