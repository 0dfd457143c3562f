/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of one or two kinds with a few rules each: scheduling, node, coordination, storagemigration, apiregistration,
 * events. */
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

/* ---- scheduling.k8s.io ---- */

#define CLASS "PriorityClass"
#define USER_PRIORITY_MAX 1000000000 /* higher ones are for the system's own classes */

static const struct rule scheduling_rules[] = {
    FIXED(CLASS, "value", "may not be changed in an update."),
    IMMUTABLE(CLASS, "preemptionPolicy"),
};

static const struct {
	const char *name;
	int64_t value;
} system_classes[] = {{"system-node-critical", 2000001000}, {"system-cluster-critical", 2000000000}};

static void check_priority_class(struct check *c)
{
	const char *name = meta_name(c->tree), *why = "the system- prefix is reserved";
	int64_t value = json_path_int(c->tree, "value", 0);

	if (!str_has_prefix(name, "system-")) {
		if (value > USER_PRIORITY_MAX)
			bad_forbidden(c, "value", "maximum allowed value of a user defined priority is 1000000000");
		return;
	}
	why = PATH(c, "%s is not a known system priority class", name);
	for (size_t i = 0; i < ARRAY_SIZE(system_classes); i++) {
		if (!str_eq(system_classes[i].name, name))
			continue;
		why = value != system_classes[i].value
			  ? PATH(c, "value of %s PriorityClass must be %lld", name, (long long)system_classes[i].value)
		      : json_path_bool(c->tree, "globalDefault", false)
			  ? PATH(c, "globalDefault of %s PriorityClass must be false", name)
			  : NULL;
	}
	if (why)
		bad_forbidden(
		    c, "metadata.name",
		    PATH(c, "priority class names with 'system-' prefix are reserved for system use only. error: %s",
			 why));
}

static const struct kind_check scheduling_kinds[] = {{CLASS, check_priority_class, NULL}};

const struct group_check validate_scheduling = {"scheduling.k8s.io", scheduling_rules, ARRAY_SIZE(scheduling_rules),
						scheduling_kinds, ARRAY_SIZE(scheduling_kinds)};

/* ---- node.k8s.io ---- */

static const struct rule node_rules[] = {
    REQUIRED("RuntimeClass", "handler"),
    NAME("RuntimeClass", "handler", name_check_dns1123_label),
    IMMUTABLE("RuntimeClass", "handler"),
    QUANTITIES("RuntimeClass", "overhead.podFixed"),
    LABELS("RuntimeClass", "scheduling.nodeSelector"),
    CALL("RuntimeClass", "scheduling.tolerations", check_tolerations),
};

static void check_runtime_class(struct check *c)
{
	const struct json *list = json_path(c->tree, "scheduling.tolerations");
	size_t i = 0, k;

	EACH_ITEM(t, list) {
		k = 0;
		EACH_ITEM(before, list) {
			if (k++ >= i)
				break;
			if (json_equal(t, before))
				bad_duplicate_value(c, PATH(c, "scheduling.tolerations[%zu]", i), t);
		}
		i++;
	}
}

static const struct kind_check node_kinds[] = {{"RuntimeClass", check_runtime_class, NULL}};

const struct group_check validate_node = {"node.k8s.io", node_rules, ARRAY_SIZE(node_rules), node_kinds,
					  ARRAY_SIZE(node_kinds)};

/* ---- coordination.k8s.io ---- */

#define LEASE "Lease"

static const struct rule coordination_rules[] = {
    RANGE(LEASE, "spec.leaseDurationSeconds", 1, INT64_MAX, "must be greater than 0"),
    MIN(LEASE, "spec.leaseTransitions", 0),
};

static void check_lease(struct check *c)
{
	static const char *const strategies[] = {"OldestEmulationVersion", NULL};
	const struct json *spec = json_get(c->tree, "spec");
	const char *strategy = json_path_str(spec, "strategy");

	/* Somebody else's strategies must name their domain. */
	if (!str_empty(strategy) && !str_in(strategy, strategies) && rule_domain_path(strategy))
		bad_unsupported(c, "spec.strategy", strategy, strategies);
	if (!str_empty(json_path_str(spec, "preferredHolder")) && str_empty(strategy))
		bad_forbidden(c, "spec.preferredHolder", "may only be specified if `strategy` is defined");
}

static const struct kind_check coordination_kinds[] = {{LEASE, check_lease, NULL}};

const struct group_check validate_coordination = {"coordination.k8s.io", coordination_rules,
						  ARRAY_SIZE(coordination_rules), coordination_kinds,
						  ARRAY_SIZE(coordination_kinds)};

/* ---- storagemigration.k8s.io ---- */

static const struct rule migration_rules[] = {
    REQUIRED("StorageVersionMigration", "spec.resource.resource"),
    NAME("StorageVersionMigration", "spec.resource.resource", name_check_dns1035_label),
    NAME_OR_EMPTY("StorageVersionMigration", "spec.resource.group", name_check_dns1123_subdomain),
    IMMUTABLE("StorageVersionMigration", "spec"),
    CALL("StorageVersionMigration", "status.conditions", check_meta_conditions),
};

const struct group_check validate_migration = {"storagemigration.k8s.io", migration_rules, ARRAY_SIZE(migration_rules),
					       NULL, 0};

/* ---- apiregistration.k8s.io ---- */

#define API "APIService"

static const char *const api_statuses[] = {"True", "False", "Unknown", NULL};

static const struct rule api_rules[] = {
    VALUES(API, "status.conditions[].status", api_statuses),
    NAME(API, "spec.group", name_check_dns1123_subdomain),
    REQUIRED(API, "spec.service?.namespace"),
    REQUIRED(API, "spec.service?.name"),
    RANGE(API, "spec.service?.port", 1, 65535, "port is not valid: must be between 1 and 65535, inclusive"),
};

static void check_priority(struct check *c, const char *key, int64_t max, const char *text)
{
	const struct json *v = json_path(json_get(c->tree, "spec"), key);

	if (json_int(v, 0) <= 0 || json_int(v, 0) > max)
		bad_invalid(c, PATH(c, "spec.%s", key), v ? v : json_new_int(&c->arena, 0), text);
}

static void check_api_service(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *ca = json_get(spec, "caBundle");
	const char *want =
	    PATH(c, "%s.%s", str_or(json_path_str(spec, "version"), ""), str_or(json_path_str(spec, "group"), ""));
	bool insecure = json_path_bool(spec, "insecureSkipTLSVerify", false);
	const char *version = str_or(json_path_str(spec, "version"), ""), *why = name_check_dns1035_label(version);

	if (why)
		bad_invalid_str(c, "spec.version", version, why);
	if (str_empty(json_path_str(spec, "group")) && !str_eq(version, "v1"))
		bad_required(c, "spec.group", "only v1 may have an empty group and it better be legacy kube");
	if (!strchr(meta_name(c->tree), '/'))
		check_derived_name(c, want, true, PATH(c, "must be `spec.version+\".\"+spec.group`: \"%s\"", want));
	check_priority(c, "groupPriorityMinimum", 20000, "must be positive and less than 20000");
	check_priority(c, "versionPriority", 1000, "must be positive and less than 1000");
	if (!json_get(spec, "service")) {
		if (ca && ca->len)
			bad_invalid_plain(c, "spec.caBundle", "local APIServices may not have a caBundle");
		if (insecure)
			bad_invalid(c, "spec.insecureSkipTLSVerify", json_get(spec, "insecureSkipTLSVerify"),
				    "local APIServices may not have insecureSkipTLSVerify");
	} else if (insecure && ca && ca->len) {
		bad_invalid(c, "spec.insecureSkipTLSVerify", json_get(spec, "insecureSkipTLSVerify"),
			    "may not be true if caBundle is present");
	}
}

static const struct kind_check api_kinds[] = {{API, check_api_service, NULL}};

const struct group_check validate_apiregistration = {"apiregistration.k8s.io", api_rules, ARRAY_SIZE(api_rules),
						     api_kinds, ARRAY_SIZE(api_kinds)};

/*
 * ---- events.k8s.io: on top of what the Events of the core group must have, whose objects these are. Fields are called
 * in messages as there, as upstream does it. ----
 */

/* Members that clients of one group write as empty and those of the other leave out. */
static bool is_empty(const struct json *v)
{
	return !v || v->type == JSON_NULL || (v->type == JSON_STRING && !v->len) ||
	       (v->type >= JSON_ARRAY && !json_len(v)) || (v->type == JSON_NUMBER && !json_int(v, 1));
}

static void check_series(struct check *c)
{
	const struct json *series = json_get(c->tree, "series");

	if (!json_is(series, JSON_OBJECT))
		return;
	if (json_path_int(series, "count", 0) < 2)
		bad_invalid_str(c, "series.count", "", "should be at least 2");
	if (str_empty(json_path_str(series, "lastObservedTime")))
		bad_required(c, "series.lastObservedTime", NULL);
}

static void check_new_event(struct check *c)
{
	static const char *const types[] = {"Normal", "Warning", NULL};
	static const char *const old[][2] = {{"deprecatedFirstTimestamp", "firstTimestamp"},
					     {"deprecatedLastTimestamp", "lastTimestamp"},
					     {"deprecatedCount", "count"},
					     {"deprecatedSource", "source"}};
	const char *type = str_or(json_path_str(c->tree, "type"), "");

	check_series(c);
	if (str_empty(json_path_str(c->tree, "eventTime")))
		bad_required(c, "eventTime", NULL);
	if (!str_in(type, types))
		bad_invalid_str(c, "type", "", PATH(c, "has invalid value: %s", type));
	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		const struct json *v = json_get(c->tree, old[i][0]);
		if (!is_empty(v))
			bad_invalid_str(c, old[i][1], "", "needs to be unset");
	}
}

/* An event says one thing once: only how often it happened goes on. */
static void check_event_update(struct check *c)
{
	static const char *const fixed[][2] = {{"regarding", "involvedObject"},
					       {"reason", "reason"},
					       {"note", "message"},
					       {"deprecatedSource", "source"},
					       {"deprecatedFirstTimestamp", "firstTimestamp"},
					       {"deprecatedLastTimestamp", "lastTimestamp"},
					       {"deprecatedCount", "count"},
					       {"type", "type"},
					       {"eventTime", "eventTime"},
					       {"action", "action"},
					       {"related", "related"},
					       {"reportingController", "reportingController"},
					       {"reportingInstance", "reportingInstance"}};

	if (!json_equal(json_get(c->tree, "series"), json_get(c->old, "series")))
		check_series(c);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (!is_empty(json_get(c->tree, fixed[i][0])) || !is_empty(json_get(c->old, fixed[i][0])))
			check_immutable(c, fixed[i][1], fixed[i][0]);
}

static void check_event(struct check *c)
{
	if (c->old)
		check_event_update(c);
	else
		check_new_event(c);
}

static const struct kind_check event_kinds[] = {{"Event", check_event, NULL}};

const struct group_check validate_events = {"events.k8s.io", NULL, 0, event_kinds, ARRAY_SIZE(event_kinds)};
