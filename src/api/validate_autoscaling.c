/* SPDX-License-Identifier: Apache-2.0 */
/* HorizontalPodAutoscaler (autoscaling/v2, in which it is stored) and Scale. */
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

#define HPA "HorizontalPodAutoscaler"

/* Upstream's bounds, in seconds. */
#define STABILIZATION_MAX_S 3600
#define POLICY_PERIOD_MAX_S 1800

static const char *const source_types[] = {"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
static const char *const policy_types[] = {"Percent", "Pods", NULL};
static const char *const select_policies[] = {"Disabled", "Max", "Min", NULL};

static const struct rule rules[] = {
    MIN(HPA, "spec.minReplicas", 0),
    REQUIRED(HPA, "spec.scaleTargetRef.kind"),
    NAME(HPA, "spec.scaleTargetRef.kind", name_check_path_segment),
    REQUIRED(HPA, "spec.scaleTargetRef.name"),
    NAME(HPA, "spec.scaleTargetRef.name", name_check_path_segment),
    MIN(HPA, "status.currentReplicas", 0),
    MIN(HPA, "status.desiredReplicas", 0),
    MIN(HPA, "status.conditions[].observedGeneration", 0),
};

/* ---- metrics ---- */

static bool is_positive(const struct json *v)
{
	struct quantity q;
	return quantity_from_json(v, &q) == 0 && q.nano > 0;
}

static void check_target(struct check *c, const char *at, const struct json *target)
{
	static const char *const types[] = {"Utilization", "Value", "AverageValue", NULL};
	static const char *const amounts[] = {"value", "averageValue"};
	const char *type = str_or(json_path_str(target, "type"), "");
	const struct json *utilization = json_get(target, "averageUtilization");

	if (!*type)
		bad_required(c, PATH(c, "%s.type", at), "must specify a metric target type");
	if (!str_in(type, types))
		bad_invalid_str(c, PATH(c, "%s.type", at), type, "must be either Utilization, Value, or AverageValue");
	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
		if (json_get(target, amounts[i]) && !is_positive(json_get(target, amounts[i])))
			bad_invalid(c, PATH(c, "%s.%s", at, amounts[i]), json_get(target, amounts[i]),
				    "must be positive");
	if (utilization && json_int(utilization, 1) < 1)
		bad_invalid(c, PATH(c, "%s.averageUtilization", at), utilization, "must be greater than 0");
}

static void check_metric_name(struct check *c, const char *at, const struct json *source)
{
	static const struct rule named[] = {
	    REQUIRED_TEXT("", "metric.name", "must specify a metric name"),
	    NAME("", "metric.name", name_check_path_segment),
	};
	check_fields(c, at, source, named, ARRAY_SIZE(named));
}

static void check_object_metric(struct check *c, const char *at, const struct json *m)
{
	static const struct rule described[] = {
	    REQUIRED("", "describedObject.kind"),
	    NAME("", "describedObject.kind", name_check_path_segment),
	    REQUIRED("", "describedObject.name"),
	    NAME("", "describedObject.name", name_check_path_segment),
	};
	const struct json *target = json_get(m, "target");

	check_fields(c, at, m, described, ARRAY_SIZE(described));
	check_metric_name(c, at, m);
	check_target(c, PATH(c, "%s.target", at), target);
	if (!json_get(target, "value") && !json_get(target, "averageValue"))
		bad_required(c, PATH(c, "%s.target.averageValue", at),
			     "must set either a target value or averageValue");
}

static void check_external_metric(struct check *c, const char *at, const struct json *m)
{
	const struct json *target = json_get(m, "target");
	bool value = json_get(target, "value"), average = json_get(target, "averageValue");

	check_metric_name(c, at, m);
	check_target(c, PATH(c, "%s.target", at), target);
	if (!value && !average)
		bad_required(c, PATH(c, "%s.target.averageValue", at),
			     "must set either a target value for metric or a per-pod target");
	else if (value && average)
		bad_forbidden(c, PATH(c, "%s.target.value", at),
			      "may not set both a target value for metric and a per-pod target");
}

static void check_pods_metric(struct check *c, const char *at, const struct json *m)
{
	check_metric_name(c, at, m);
	check_target(c, PATH(c, "%s.target", at), json_get(m, "target"));
	if (!json_path(m, "target.averageValue"))
		bad_required(c, PATH(c, "%s.target.averageValue", at), "must specify a positive target averageValue");
}

static void check_resource_metric(struct check *c, const char *at, const struct json *m)
{
	const struct json *target = json_get(m, "target");
	bool utilization = json_get(target, "averageUtilization"), average = json_get(target, "averageValue");

	if (str_empty(json_path_str(m, "name")))
		bad_required(c, PATH(c, "%s.name", at), "must specify a resource name");
	check_target(c, PATH(c, "%s.target", at), target);
	if (!utilization && !average)
		bad_required(c, PATH(c, "%s.target.averageUtilization", at),
			     "must set either a target raw value or a target utilization");
	else if (utilization && average)
		bad_forbidden(c, PATH(c, "%s.target.averageValue", at),
			      "may not set both a target raw value and a target utilization");
}

static void check_container_metric(struct check *c, const char *at, const struct json *m)
{
	const char *name = json_path_str(m, "name");

	if (!str_empty(name))
		check_container_resource_name(c, PATH(c, "%s.name", at), name);
	if (str_empty(json_path_str(m, "container")))
		bad_required(c, PATH(c, "%s.container", at), "must specify a container");
	else
		name_in(c, at, m, "container", name_check_dns1123_label);
	check_resource_metric(c, at, m);
}

static const struct {
	const char *type, *member;
	void (*fn)(struct check *c, const char *at, const struct json *m);
} sources[] = {
    {"Object", "object", check_object_metric},
    {"External", "external", check_external_metric},
    {"Pods", "pods", check_pods_metric},
    {"Resource", "resource", check_resource_metric},
    {"ContainerResource", "containerResource", check_container_metric},
};

/* One source, of the type that is said. The first of several is looked at, whatever the type. */
static void check_metric(struct check *c, const char *at, const struct json *m)
{
	const char *type = str_or(json_path_str(m, "type"), "");
	size_t n = 0;

	if (!*type)
		bad_required(c, PATH(c, "%s.type", at), "must specify a metric source type");
	if (!str_in(type, source_types))
		bad_unsupported(c, PATH(c, "%s.type", at), type, source_types);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		const struct json *source = json_get(m, sources[i].member);
		if (source && !n++)
			sources[i].fn(c, PATH(c, "%s.%s", at, sources[i].member), source);
		else if (!source && str_eq(type, sources[i].type))
			bad_required(c, PATH(c, "%s.%s", at, sources[i].member),
				     "must populate information for the given metric source");
	}
	for (size_t i = 0; n > 1 && i < ARRAY_SIZE(sources); i++)
		if (json_get(m, sources[i].member) && !str_eq(type, sources[i].type))
			bad_forbidden(c, PATH(c, "%s.%s", at, sources[i].member),
				      "must populate the given metric source only");
}

/* ---- behavior ---- */

static void check_scaling_rules(struct check *c, const char *at, const struct json *r)
{
	const struct json *window = json_get(r, "stabilizationWindowSeconds"), *tolerance = json_get(r, "tolerance");
	const char *select = json_path_str(r, "selectPolicy");
	struct quantity q;
	size_t i = 0;

	if (!r)
		return;
	if (json_int(window, 0) < 0)
		bad_invalid(c, PATH(c, "%s.stabilizationWindowSeconds", at), window,
			    "must be greater than or equal to zero");
	else if (json_int(window, 0) > STABILIZATION_MAX_S)
		bad_invalid(c, PATH(c, "%s.stabilizationWindowSeconds", at), window,
			    "must be less than or equal to 3600");
	if (select && !str_in(select, select_policies))
		bad_unsupported(c, PATH(c, "%s.selectPolicy", at), select, select_policies);
	if (tolerance && quantity_from_json(tolerance, &q) == 0 && q.nano < 0)
		bad_invalid(c, PATH(c, "%s.tolerance", at), tolerance, "must be greater than or equal to 0");
	if (!json_len(json_get(r, "policies")))
		bad_required(c, PATH(c, "%s.policies", at), "must specify at least one Policy");
	EACH_ITEM(p, json_get(r, "policies")) {
		const char *policy = PATH(c, "%s.policies[%zu]", at, i++), *type = str_or(json_path_str(p, "type"), "");
		const struct json *zero = json_new_int(&c->arena, 0), *value = json_get(p, "value");
		const struct json *period = json_get(p, "periodSeconds");
		if (!str_in(type, policy_types))
			bad_unsupported(c, PATH(c, "%s.type", policy), type, policy_types);
		if (json_int(value, 0) <= 0)
			bad_invalid(c, PATH(c, "%s.value", policy), value ? value : zero, "must be greater than zero");
		if (json_int(period, 0) <= 0)
			bad_invalid(c, PATH(c, "%s.periodSeconds", policy), period ? period : zero,
				    "must be greater than zero");
		else if (json_int(period, 0) > POLICY_PERIOD_MAX_S)
			bad_invalid(c, PATH(c, "%s.periodSeconds", policy), period,
				    "must be less than or equal to 1800");
	}
}

/* What is scaled is in a group, but for the one kind that is in none. */
static void check_scaled_version(struct check *c, const struct json *target)
{
	const char *version = str_or(json_path_str(target, "apiVersion"), ""), *slash = strchr(version, '/');

	if (slash && strchr(slash + 1, '/'))
		bad_invalid_str(c, "spec.scaleTargetRef.apiVersion", version,
				PATH(c, "unexpected GroupVersion string: %s", version));
	else if ((!slash || slash == version) && !str_eq(json_path_str(target, "kind"), "ReplicationController"))
		bad_invalid_str(c, "spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group");
}

/* One that can be measured while there are no pods. */
static bool has_outer_metric(const struct json *metrics)
{
	EACH_ITEM(m, metrics) {
		if (str_eq(json_path_str(m, "type"), "Object") || str_eq(json_path_str(m, "type"), "External"))
			return true;
	}
	return false;
}

static void check_autoscaler(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *max = json_get(spec, "maxReplicas");
	size_t i = 0;

	const struct json *shown = max ? max : json_new_int(&c->arena, 0);

	if (!json_int(max, 0))
		bad_required(c, "spec.maxReplicas", NULL);
	else if (json_int(max, 0) < 1)
		bad_invalid(c, "spec.maxReplicas", shown, "must be greater than or equal to 1");
	if (json_int(max, 0) < json_path_int(spec, "minReplicas", 0))
		bad_invalid(c, "spec.maxReplicas", shown, "must be greater than or equal to `minReplicas`");
	check_scaled_version(c, json_get(spec, "scaleTargetRef"));
	if (json_path_int(spec, "minReplicas", 1) == 0 && !has_outer_metric(json_get(spec, "metrics")))
		bad_forbidden(
		    c, "spec.metrics",
		    "must specify at least one Object or External metric to support scaling to zero replicas");
	EACH_ITEM(m, json_get(spec, "metrics"))
		check_metric(c, PATH(c, "spec.metrics[%zu]", i++), m);
	check_scaling_rules(c, "spec.behavior.scaleUp", json_path(spec, "behavior.scaleUp"));
	check_scaling_rules(c, "spec.behavior.scaleDown", json_path(spec, "behavior.scaleDown"));
}

static const struct kind_check kinds[] = {{HPA, check_autoscaler, NULL}};

const struct group_check validate_autoscaling = {"autoscaling", rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
