/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of core/v1: which functions judge them, and the small ones. The larger ones are in validate_core_*.c. */
#include <string.h>

#include "api/meta.h"
#include "api/resource.h"
#include "api/validate_internal.h"
#include "base/str.h"

#define EVENT_FIELD_MAX 128
#define EVENT_MESSAGE_MAX 1024

/* ---- pod templates ---- */

static void check_pod_template_kind(struct check *c)
{
	static const char *const any[] = {"Always", "OnFailure", "Never", NULL};
	check_pod_template(c, "template", json_get(c->tree, "template"), any);
}

static void check_selects_template(struct check *c, const struct json *selector, const struct json *labels)
{
	JSON_EACH(s, selector)
		if (!str_eq(json_str(json_get(labels, s->key)), json_str(s))) {
			bad_invalid(c, "spec.template.metadata.labels",
				    labels ? labels : json_new(&c->arena, JSON_OBJECT),
				    "`selector` does not match template `labels`");
			return;
		}
}

static void check_replication_controller(struct check *c)
{
	static const char *const always[] = {"Always", NULL};
	const struct json *spec = json_get(c->tree, "spec"), *template = json_get(spec, "template");

	min_in(c, "spec", spec, "minReadySeconds", 0);
	if (!json_len(json_get(spec, "selector")))
		bad_required(c, "spec.selector", NULL);
	min_in(c, "spec", spec, "replicas", 0);
	if (!template) {
		bad_required(c, "spec.template", NULL);
		return;
	}
	if (json_len(json_get(spec, "selector")))
		check_selects_template(c, json_get(spec, "selector"), json_path(template, "metadata.labels"));
	check_pod_template(c, "spec.template", template, always);
	forbid_in(c, "spec.template.spec", json_get(template, "spec"), "activeDeadlineSeconds",
		  "activeDeadlineSeconds in ReplicationController is not Supported");
}

static void check_replication_controller_status(struct check *c)
{
	static const char *const counts[] = {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
					     "observedGeneration"};
	const struct json *status = json_get(c->tree, "status");
	int64_t replicas = json_path_int(status, "replicas", 0);

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		min_in(c, "status", status, counts[i], 0);
	for (size_t i = 1; i < 4; i++)
		if (json_path_int(status, counts[i], 0) > replicas)
			bad_invalid(c, PATH(c, "status.%s", counts[i]), json_get(status, counts[i]),
				    "cannot be greater than status.replicas");
	if (json_path_int(status, "availableReplicas", 0) > json_path_int(status, "readyReplicas", 0))
		bad_invalid(c, "status.availableReplicas", json_get(status, "availableReplicas"),
			    "cannot be greater than readyReplicas");
}

/* ---- namespaces ---- */

static void check_namespace_finalizers(struct check *c)
{
	size_t i = 0;

	EACH_ITEM(f, json_path(c->tree, "spec.finalizers")) {
		const char *at = c->old ? PATH(c, "spec.finalizers[%zu]", i++) : "spec.finalizers";
		const char *s = str_or(json_str(f), ""), *why = name_check_qualified(s);
		if (why)
			bad_invalid_str(c, at, s, why);
		if (!strchr(s, '/') && !str_eq(s, "kubernetes") && !str_eq(s, "orphan") &&
		    !str_eq(s, "foregroundDeletion"))
			bad_invalid_str(c, at, s,
					"name is neither a standard finalizer name nor is it fully qualified");
	}
}

static void check_namespace_status(struct check *c)
{
	const char *phase = str_or(json_path_str(c->tree, "status.phase"), "");
	bool deleting = meta_deleting(c->tree);

	if (!str_eq(phase, deleting ? "Terminating" : "Active"))
		bad_invalid_str(c, "status.Phase", phase,
				deleting ? "may only be 'Terminating' if `deletionTimestamp` is not empty"
					 : "may only be 'Active' if `deletionTimestamp` is empty");
}

/* ---- events ---- */

static void check_event_text(struct check *c, const char *key)
{
	const char *s = str_or(json_path_str(c->tree, key), "");

	if (!*s)
		bad_required(c, key, NULL);
	if (strlen(s) > EVENT_FIELD_MAX)
		bad_invalid_str(c, key, "", "can have at most 128 characters");
}

static void check_event(struct check *c)
{
	const char *about = str_or(json_path_str(c->tree, "involvedObject.namespace"), ""), *mine = meta_ns(c->tree);
	bool timed = !str_empty(json_path_str(c->tree, "eventTime")); /* as new clients write them */
	bool fits =
	    *about ? timed || str_eq(about, mine) : str_eq(mine, "default") || (timed && str_eq(mine, "kube-system"));

	if (!fits)
		bad_invalid_str(c, "involvedObject.namespace", about, "does not match event.namespace");
	if (!timed)
		return;
	/* As the field is called in events.k8s.io. */
	if (need_str(c, "reportingController", json_get(c->tree, "reportingComponent")))
		check_name(c, "reportingController", json_get(c->tree, "reportingComponent"), name_check_qualified);
	check_event_text(c, "reportingInstance");
	check_event_text(c, "action");
	check_event_text(c, "reason");
	if (strlen(str_or(json_path_str(c->tree, "message"), "")) > EVENT_MESSAGE_MAX)
		bad_invalid_str(c, "message", "", "can have at most 1024 characters");
}

/* ---- bindings ---- */

static void check_binding(struct check *c)
{
	static const char *const kinds[] = {"Node", "<empty>", NULL};
	const char *kind = str_or(json_path_str(c->tree, "target.kind"), "");

	if (*kind && !str_eq(kind, "Node"))
		bad_unsupported(c, "target.kind", kind, kinds);
	if (str_empty(json_path_str(c->tree, "target.name")))
		bad_required(c, "target.name", NULL);
}

/* ---- which is which ---- */

static const struct {
	const char *kind;
	void (*fn)(struct check *c);
	void (*status)(struct check *c); /* of an update of the status; NULL: anything goes */
} kinds[] = {
    {"Binding", check_binding, NULL},
    {"ConfigMap", check_config_map, NULL},
    {"Endpoints", check_endpoints, NULL},
    {"Event", check_event, NULL},
    {"LimitRange", check_limit_range, NULL},
    {"Namespace", check_namespace_finalizers, check_namespace_status},
    {"Node", check_node, check_node},
    {"PersistentVolume", check_persistent_volume, NULL},
    {"PersistentVolumeClaim", check_claim, check_claim_status},
    {"PodTemplate", check_pod_template_kind, NULL},
    {"ReplicationController", check_replication_controller, check_replication_controller_status},
    {"ResourceQuota", check_resource_quota, check_resource_quota_status},
    {"Secret", check_secret, NULL},
    {"Service", check_service, check_service_status},
};

void check_core(struct check *c, const char *subresource)
{
	if (str_eq(c->resource->kind, "Pod"))
		check_pod(c, subresource);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i].kind, c->resource->kind))
			kinds[i].fn(c);
}

void check_core_status(struct check *c)
{
	if (str_eq(c->resource->kind, "Pod"))
		check_pod_status(c);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i].kind, c->resource->kind) && kinds[i].status)
			kinds[i].status(c);
}
