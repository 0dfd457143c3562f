/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions of one resource. Where two versions have the same fields, only apiVersion changes; the two that differ
 * (Events, whose members were renamed, and HorizontalPodAutoscaler v1, which knows one metric) have functions.
 */
#include "api/decode.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/registry_internal.h"

struct rename {
	const char *core, *events;
};

static const struct rename event_renames[] = {
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
    {"reportingComponent", "reportingController"},
};

static void rename_event(struct arena *a, struct json *tree, bool to_core)
{
	for (size_t i = 0; i < ARRAY_SIZE(event_renames); i++) {
		const struct rename *r = &event_renames[i];
		struct json *v = json_get(tree, to_core ? r->events : r->core);
		if (!v)
			continue;
		struct json *moved = json_clone(a, v);
		json_remove(tree, to_core ? r->events : r->core);
		json_set(a, tree, to_core ? r->core : r->events, moved);
	}
}

static void autoscaler_to_v2(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *status = json_get(tree, "status");
	struct json *target = json_get(spec, "targetCPUUtilizationPercentage");
	struct json *current = json_get(status, "currentCPUUtilizationPercentage");
	if (target) {
		struct json *metric = json_append(json_array_in(a, spec, "metrics"), json_new(a, JSON_OBJECT));
		json_set_str(a, metric, "type", "Resource");
		json_set_path(a, metric, "resource.name", json_new_str(a, "cpu"));
		json_set_path(a, metric, "resource.target.type", json_new_str(a, "Utilization"));
		json_set_path(a, metric, "resource.target.averageUtilization", json_clone(a, target));
		json_remove(spec, "targetCPUUtilizationPercentage");
	}
	if (current) {
		struct json *metric = json_append(json_array_in(a, status, "currentMetrics"), json_new(a, JSON_OBJECT));
		json_set_str(a, metric, "type", "Resource");
		json_set_path(a, metric, "resource.name", json_new_str(a, "cpu"));
		json_set_path(a, metric, "resource.current.averageUtilization", json_clone(a, current));
		json_remove(status, "currentCPUUtilizationPercentage");
	}
}

/* The CPU utilisation among metrics, which v1 has a field of its own for. */
static struct json *cpu_utilization(const struct json *metrics, const char *path)
{
	JSON_EACH(m, metrics)
		if (str_eq(json_path_str(m, "resource.name"), "cpu"))
			return json_path(m, path);
	return NULL;
}

static void autoscaler_to_v1(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *status = json_get(tree, "status");
	struct json *target = cpu_utilization(json_get(spec, "metrics"), "resource.target.averageUtilization");
	struct json *current =
	    cpu_utilization(json_get(status, "currentMetrics"), "resource.current.averageUtilization");
	if (target)
		json_set(a, spec, "targetCPUUtilizationPercentage", json_clone(a, target));
	if (current)
		json_set(a, status, "currentCPUUtilizationPercentage", json_clone(a, current));
	json_remove(spec, "metrics");
	json_remove(spec, "behavior");
	json_remove(status, "currentMetrics");
	json_remove(status, "conditions");
}

struct json *version_convert(struct arena *a, const struct resource *from, const struct resource *to, struct json *tree)
{
	if (from == to || !tree || (str_eq(from->group, to->group) && str_eq(from->version, to->version)))
		return tree;
	_cleanup_buf_ struct buf version = BUF_INIT;
	resource_api_version(to, &version);
	json_set_str(a, tree, "apiVersion", buf_str(&version));
	json_set_str(a, tree, "kind", to->kind);
	if (str_eq(from->plural, "events"))
		rename_event(a, tree, !*to->group);
	else if (str_eq(from->plural, "horizontalpodautoscalers") && str_eq(from->version, "v1"))
		autoscaler_to_v2(a, tree);
	else if (str_eq(from->plural, "horizontalpodautoscalers") && str_eq(to->version, "v1"))
		autoscaler_to_v1(a, tree);
	decode_settle(a, to->type, tree); /* what one version leaves out another may write as zero */
	return tree;
}

int version_select(struct arena *a, const struct resource *row, struct field_selector *s, struct status *err)
{
	if (field_selector_check(s, row, err) < 0)
		return -1;
	if (!s || !str_eq(row->group, "events.k8s.io"))
		return 0;
	for (size_t i = 0; i < s->n_terms; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(event_renames); k++) {
			const struct rename *r = &event_renames[k];
			const char *rest = str_after(s->terms[i].path, r->events);
			if (rest && (*rest == '.' || !*rest)) {
				s->terms[i].path = arena_printf(a, "%s%s", r->core, rest);
				break;
			}
		}
	}
	return 0;
}
