/* SPDX-License-Identifier: Apache-2.0 */
#include "api/default_kinds.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "api/default_internal.h"
#include "api/meta.h"
#include "api/quantity.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#define EACH_ITEM(c, list)                                                                                             \
	if (json_is((list), JSON_ARRAY))                                                                               \
		JSON_EACH(c, (list))

typedef void default_fn(struct arena *a, struct json *tree);

/* Labels of a template become those of the object when it has none. */
static void labels_from_template(struct arena *a, struct json *tree)
{
	struct json *labels = json_path(tree, "spec.template.metadata.labels"), *meta = json_get(tree, "metadata");

	if (json_len(labels) && json_is(meta, JSON_OBJECT) && !json_len(json_get(meta, "labels")))
		json_set(a, meta, "labels", json_clone(a, labels));
}

/* ---- core ---- */

static void service(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	default_str(a, spec, "sessionAffinity", "None");
	default_str(a, spec, "type", "ClusterIP");
	const char *type = str_or(json_path_str(spec, "type"), "");
	if (str_eq(json_path_str(spec, "sessionAffinity"), "None") && json_is(spec, JSON_OBJECT))
		json_remove(spec, "sessionAffinityConfig");
	if (str_eq(json_path_str(spec, "sessionAffinity"), "ClientIP"))
		default_int(a, default_member(a, default_member(a, spec, "sessionAffinityConfig"), "clientIP"),
			    "timeoutSeconds", 10800);
	EACH_ITEM(p, json_get(spec, "ports")) {
		if (!json_is(p, JSON_OBJECT))
			continue;
		default_str(a, p, "protocol", "TCP");
		struct json *target = json_get(p, "targetPort"), *port = json_get(p, "port");
		if (port && (!target || str_eq(json_str(target), "") || json_int(target, 1) == 0))
			json_set(a, p, "targetPort", json_clone(a, port));
	}
	bool balancer = str_eq(type, "LoadBalancer");
	if (balancer || str_eq(type, "NodePort") ||
	    (str_eq(type, "ClusterIP") && json_len(json_get(spec, "externalIPs"))))
		default_str(a, spec, "externalTrafficPolicy", "Cluster");
	if (!str_eq(type, "ExternalName"))
		default_pointed(a, spec, "internalTrafficPolicy", "Cluster");
	if (!balancer)
		return;
	default_bool(a, spec, "allocateLoadBalancerNodePorts", true);
	EACH_ITEM(in, json_path(tree, "status.loadBalancer.ingress"))
		if (!str_empty(json_path_str(in, "ip")))
			default_pointed(a, in, "ipMode", "VIP");
}

static void namespace_(struct arena *a, struct json *tree)
{
	const char *name = meta_name(tree);

	if (*name && !str_eq(meta_label(tree, "kubernetes.io/metadata.name"), name))
		meta_set_label(a, tree, "kubernetes.io/metadata.name", name);
	default_str(a, default_member(a, tree, "status"), "phase", "Active");
}

static void node(struct arena *a, struct json *tree)
{
	struct json *status = json_get(tree, "status"), *capacity = json_get(status, "capacity");

	default_first(a, json_get(tree, "spec"), "podCIDR", "podCIDRs", NULL);
	default_resource_list(a, capacity);
	default_resource_list(a, json_get(status, "allocatable"));
	if (json_len(capacity) && !json_len(json_get(status, "allocatable")))
		json_set(a, status, "allocatable", json_clone(a, capacity));
}

static void persistent_volume(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	default_str(a, default_member(a, tree, "status"), "phase", "Pending");
	default_str(a, spec, "persistentVolumeReclaimPolicy", "Retain");
	default_pointed(a, spec, "volumeMode", "Filesystem");
	default_resource_list(a, json_get(spec, "capacity"));
	if (json_get(spec, "hostPath"))
		default_pointed(a, json_get(spec, "hostPath"), "type", "");
}

static void claim(struct arena *a, struct json *tree)
{
	struct json *status = default_member(a, tree, "status");

	default_str(a, status, "phase", "Pending");
	default_resource_list(a, json_get(status, "capacity"));
	default_resource_list(a, json_get(status, "allocatedResources"));
	default_claim_spec(a, json_get(tree, "spec"));
}

static void secret(struct arena *a, struct json *tree)
{
	default_str(a, tree, "type", "Opaque");
}

static void endpoints(struct arena *a, struct json *tree)
{
	EACH_ITEM(s, json_get(tree, "subsets"))
		EACH_ITEM(p, json_get(s, "ports"))
			default_str(a, p, "protocol", "TCP");
}

static void fill_from(struct arena *a, struct json *item, const char *to, const char *from)
{
	struct json *source = json_get(item, from);

	if (!json_is(source, JSON_OBJECT) || !source->len)
		return;
	struct json *target = json_object_in(a, item, to);
	JSON_EACH(v, source)
		if (!json_get(target, v->key))
			json_set(a, target, v->key, json_clone(a, v));
}

static void limit_range(struct arena *a, struct json *tree)
{
	static const char *const lists[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"};

	EACH_ITEM(item, json_path(tree, "spec.limits")) {
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
			default_resource_list(a, json_get(item, lists[i]));
		if (!str_eq(json_path_str(item, "type"), "Container"))
			continue;
		fill_from(a, item, "default", "max");
		fill_from(a, item, "defaultRequest", "default");
		fill_from(a, item, "defaultRequest", "min");
	}
}

static void resource_quota(struct arena *a, struct json *tree)
{
	static const char *const lists[] = {"spec.hard", "status.hard", "status.used"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		default_resource_list(a, json_path(tree, lists[i]));
}

static void replication_controller(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *labels = json_path(spec, "template.metadata.labels");

	labels_from_template(a, tree);
	if (json_len(labels) && !json_len(json_get(spec, "selector")))
		json_set(a, spec, "selector", json_clone(a, labels));
	default_int(a, spec, "replicas", 1);
	default_pod_spec(a, json_path(spec, "template.spec"));
}

static void pod_template(struct arena *a, struct json *tree)
{
	default_pod_spec(a, json_path(tree, "template.spec"));
}

static void token_request(struct arena *a, struct json *tree)
{
	default_int(a, json_get(tree, "spec"), "expirationSeconds", 3600);
}

/* ---- apps, batch, autoscaling ---- */

static void deployment(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *strategy = default_member(a, spec, "strategy");

	default_int(a, spec, "replicas", 1);
	default_str(a, strategy, "type", "RollingUpdate");
	if (str_eq(json_path_str(strategy, "type"), "RollingUpdate")) {
		struct json *rolling = default_member(a, strategy, "rollingUpdate");
		default_pointed(a, rolling, "maxUnavailable", "25%");
		default_pointed(a, rolling, "maxSurge", "25%");
	}
	default_int(a, spec, "revisionHistoryLimit", 10);
	default_int(a, spec, "progressDeadlineSeconds", 600);
	default_pod_spec(a, json_path(spec, "template.spec"));
}

static void replica_set(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	default_int(a, spec, "replicas", 1);
	default_pod_spec(a, json_path(spec, "template.spec"));
}

static void daemon_set(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *strategy = default_member(a, spec, "updateStrategy");

	default_str(a, strategy, "type", "RollingUpdate");
	if (str_eq(json_path_str(strategy, "type"), "RollingUpdate")) {
		struct json *rolling = default_member(a, strategy, "rollingUpdate");
		default_int(a, rolling, "maxUnavailable", 1);
		default_int(a, rolling, "maxSurge", 0);
	}
	default_int(a, spec, "revisionHistoryLimit", 10);
	default_pod_spec(a, json_path(spec, "template.spec"));
}

static void stateful_set(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *strategy = default_member(a, spec, "updateStrategy");

	default_str(a, spec, "podManagementPolicy", "OrderedReady");
	default_str(a, strategy, "type", "RollingUpdate");
	if (str_eq(json_path_str(strategy, "type"), "RollingUpdate")) {
		struct json *rolling = default_member(a, strategy, "rollingUpdate");
		default_int(a, rolling, "partition", 0);
		default_int(a, rolling, "maxUnavailable", 1);
	}
	struct json *retention = default_member(a, spec, "persistentVolumeClaimRetentionPolicy");
	default_str(a, retention, "whenDeleted", "Retain");
	default_str(a, retention, "whenScaled", "Retain");
	default_int(a, spec, "replicas", 1);
	default_int(a, spec, "revisionHistoryLimit", 10);
	default_pod_spec(a, json_path(spec, "template.spec"));
	EACH_ITEM(c, json_get(spec, "volumeClaimTemplates")) {
		if (!json_is(c, JSON_OBJECT))
			continue;
		json_set_str(a, c, "apiVersion", "v1");
		json_set_str(a, c, "kind", "PersistentVolumeClaim");
		claim(a, c);
	}
}

static void failure_policy(struct arena *a, struct json *job_spec)
{
	EACH_ITEM(rule, json_path(job_spec, "podFailurePolicy.rules"))
		EACH_ITEM(c, json_get(rule, "onPodConditions"))
			default_str(a, c, "status", "True");
}

static void job(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	if (!json_get(spec, "completions") && !json_get(spec, "parallelism"))
		default_int(a, spec, "completions", 1);
	default_int(a, spec, "parallelism", 1);
	default_int(a, spec, "backoffLimit", json_get(spec, "backoffLimitPerIndex") ? INT32_MAX : 6);
	default_pointed(a, spec, "completionMode", "NonIndexed");
	default_bool(a, spec, "manualSelector", false);
	default_bool(a, spec, "suspend", false);
	default_pointed(a, spec, "podReplacementPolicy",
			json_get(spec, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
	failure_policy(a, spec);
	labels_from_template(a, tree);
	default_pod_spec(a, json_path(spec, "template.spec"));
}

static void cron_job(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	default_str(a, spec, "concurrencyPolicy", "Allow");
	default_bool(a, spec, "suspend", false);
	default_int(a, spec, "successfulJobsHistoryLimit", 3);
	default_int(a, spec, "failedJobsHistoryLimit", 1);
	failure_policy(a, json_path(spec, "jobTemplate.spec"));
	default_pod_spec(a, json_path(spec, "jobTemplate.spec.template.spec"));
}

static void scaling_rules(struct arena *a, struct json *rules, bool up)
{
	static const struct {
		const char *type;
		int value;
		bool up_only;
	} policies[] = {{"Pods", 4, true}, {"Percent", 100, false}};

	if (!json_is(rules, JSON_OBJECT))
		return;
	default_pointed(a, rules, "selectPolicy", "Max");
	if (up)
		default_int(a, rules, "stabilizationWindowSeconds", 0);
	if (json_get(rules, "policies"))
		return;
	struct json *list = json_array_in(a, rules, "policies");
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		if (policies[i].up_only && !up)
			continue;
		struct json *p = json_append(list, json_new(a, JSON_OBJECT));
		json_set_str(a, p, "type", policies[i].type);
		json_set_int(a, p, "value", policies[i].value);
		json_set_int(a, p, "periodSeconds", 15);
	}
}

static void horizontal_pod_autoscaler(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *behavior = json_get(spec, "behavior");

	default_int(a, spec, "minReplicas", 1);
	if (!json_is(spec, JSON_OBJECT) || !str_eq(json_path_str(tree, "apiVersion"), "autoscaling/v2"))
		return;
	if (!json_len(json_get(spec, "metrics"))) {
		struct json *m = json_append(json_array_in(a, spec, "metrics"), json_new(a, JSON_OBJECT));
		json_set_str(a, m, "type", "Resource");
		struct json *cpu = json_object_in(a, m, "resource");
		json_set_str(a, cpu, "name", "cpu");
		struct json *target = json_object_in(a, cpu, "target");
		json_set_str(a, target, "type", "Utilization");
		json_set_int(a, target, "averageUtilization", 80);
	}
	if (behavior) {
		scaling_rules(a, default_member(a, behavior, "scaleUp"), true);
		scaling_rules(a, default_member(a, behavior, "scaleDown"), false);
	}
}

/* ---- rbac, networking, discovery ---- */

#define RBAC_GROUP "rbac.authorization.k8s.io"

static void role_binding(struct arena *a, struct json *tree)
{
	default_str(a, json_get(tree, "roleRef"), "apiGroup", RBAC_GROUP);
	EACH_ITEM(s, json_get(tree, "subjects")) {
		const char *kind = str_or(json_path_str(s, "kind"), "");
		if (str_eq(kind, "User") || str_eq(kind, "Group"))
			default_str(a, s, "apiGroup", RBAC_GROUP);
	}
}

static void policy_ports(struct arena *a, struct json *rules)
{
	EACH_ITEM(rule, rules)
		EACH_ITEM(p, json_get(rule, "ports"))
			default_pointed(a, p, "protocol", "TCP");
}

static void network_policy(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	policy_ports(a, json_get(spec, "ingress"));
	policy_ports(a, json_get(spec, "egress"));
	if (!json_is(spec, JSON_OBJECT) || json_len(json_get(spec, "policyTypes")))
		return;
	struct json *types = json_array_in(a, spec, "policyTypes");
	json_append(types, json_new_str(a, "Ingress"));
	if (json_len(json_get(spec, "egress")))
		json_append(types, json_new_str(a, "Egress"));
}

static void ingress_class(struct arena *a, struct json *tree)
{
	default_pointed(a, json_path(tree, "spec.parameters"), "scope", "Cluster");
}

static void endpoint_slice(struct arena *a, struct json *tree)
{
	EACH_ITEM(p, json_get(tree, "ports")) {
		if (!json_is(p, JSON_OBJECT))
			continue;
		default_pointed(a, p, "name", "");
		default_pointed(a, p, "protocol", "TCP");
	}
}

/* ---- cluster policy: storage, scheduling, flow control, admission, extension ---- */

static void priority_class(struct arena *a, struct json *tree)
{
	default_pointed(a, tree, "preemptionPolicy", "PreemptLowerPriority");
}

static void storage_class(struct arena *a, struct json *tree)
{
	default_pointed(a, tree, "reclaimPolicy", "Delete");
	default_pointed(a, tree, "volumeBindingMode", "Immediate");
}

static void csi_driver(struct arena *a, struct json *tree)
{
	struct json *spec = default_member(a, tree, "spec");

	default_bool(a, spec, "attachRequired", true);
	default_bool(a, spec, "podInfoOnMount", false);
	default_bool(a, spec, "storageCapacity", false);
	default_bool(a, spec, "requiresRepublish", false);
	default_bool(a, spec, "seLinuxMount", false);
	default_bool(a, spec, "preventPodSchedulingIfMissing", false);
	default_pointed(a, spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
	if (json_is(spec, JSON_OBJECT) && !json_len(json_get(spec, "volumeLifecycleModes")))
		json_append(json_array_in(a, spec, "volumeLifecycleModes"), json_new_str(a, "Persistent"));
}

static void flow_schema(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	if (json_is(spec, JSON_OBJECT) && json_path_int(spec, "matchingPrecedence", 0) == 0)
		json_set_int(a, spec, "matchingPrecedence", 1000);
}

static void priority_level(struct arena *a, struct json *tree)
{
	static const struct {
		const char *key;
		int value;
	} queuing[] = {{"queues", 64}, {"handSize", 8}, {"queueLengthLimit", 50}};
	struct json *limited = json_path(tree, "spec.limited"), *exempt = json_path(tree, "spec.exempt");
	struct json *q = json_path(limited, "limitResponse.queuing");

	default_int(a, limited, "nominalConcurrencyShares", 30);
	default_int(a, limited, "lendablePercent", 0);
	default_int(a, exempt, "nominalConcurrencyShares", 0);
	default_int(a, exempt, "lendablePercent", 0);
	for (size_t i = 0; q && i < ARRAY_SIZE(queuing); i++)
		if (json_path_int(q, queuing[i].key, 0) == 0)
			json_set_int(a, q, queuing[i].key, queuing[i].value);
}

static void rule_scopes(struct arena *a, struct json *rules)
{
	EACH_ITEM(r, rules)
		default_pointed(a, r, "scope", "*");
}

static void webhooks(struct arena *a, struct json *tree)
{
	bool mutating = str_eq(json_path_str(tree, "kind"), "MutatingWebhookConfiguration");

	EACH_ITEM(w, json_get(tree, "webhooks")) {
		default_pointed(a, w, "failurePolicy", "Fail");
		default_pointed(a, w, "matchPolicy", "Equivalent");
		default_member(a, w, "namespaceSelector");
		default_member(a, w, "objectSelector");
		default_int(a, w, "timeoutSeconds", 10);
		if (mutating)
			default_pointed(a, w, "reinvocationPolicy", "Never");
		rule_scopes(a, json_get(w, "rules"));
		default_int(a, json_path(w, "clientConfig.service"), "port", 443);
	}
}

static void match_resources(struct arena *a, struct json *m)
{
	default_pointed(a, m, "matchPolicy", "Equivalent");
	default_member(a, m, "namespaceSelector");
	default_member(a, m, "objectSelector");
	rule_scopes(a, json_get(m, "resourceRules"));
	rule_scopes(a, json_get(m, "excludeResourceRules"));
}

static void admission_policy(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec");

	default_pointed(a, spec, "failurePolicy", "Fail");
	match_resources(a, json_get(spec, "matchConstraints"));
}

static void admission_binding(struct arena *a, struct json *tree)
{
	match_resources(a, json_path(tree, "spec.matchResources"));
}

static void api_service(struct arena *a, struct json *tree)
{
	default_int(a, json_path(tree, "spec.service"), "port", 443);
}

static void custom_resource_definition(struct arena *a, struct json *tree)
{
	struct json *spec = json_get(tree, "spec"), *names = json_get(spec, "names");
	const char *kind = json_path_str(names, "kind");

	if (!str_empty(kind) && json_is(names, JSON_OBJECT)) {
		char *lower = arena_strdup(a, kind);
		for (char *c = lower; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		default_str(a, names, "singular", lower);
		default_str(a, names, "listKind", arena_printf(a, "%sList", kind));
	}
	if (!json_get(spec, "conversion"))
		default_pointed(a, default_member(a, spec, "conversion"), "strategy", "None");
	default_int(a, json_path(spec, "conversion.webhook.clientConfig.service"), "port", 443);
}

static void device_requests(struct arena *a, struct json *spec)
{
	EACH_ITEM(r, json_path(spec, "devices.requests")) {
		struct json *exact = json_get(r, "exactly");
		default_str(a, exact, "allocationMode", "ExactCount");
		if (str_eq(json_path_str(exact, "allocationMode"), "ExactCount"))
			default_int(a, exact, "count", 1);
		EACH_ITEM(alternative, json_get(r, "firstAvailable")) {
			default_str(a, alternative, "allocationMode", "ExactCount");
			if (str_eq(json_path_str(alternative, "allocationMode"), "ExactCount"))
				default_int(a, alternative, "count", 1);
		}
	}
}

static void resource_claim(struct arena *a, struct json *tree)
{
	device_requests(a, json_get(tree, "spec"));
}

static void resource_claim_template(struct arena *a, struct json *tree)
{
	device_requests(a, json_path(tree, "spec.spec"));
}

static const struct {
	const char *group, *kind;
	default_fn *fn;
} kinds[] = {
    {"", "Pod", default_pod},
    {"", "PodTemplate", pod_template},
    {"", "Service", service},
    {"", "Namespace", namespace_},
    {"", "Node", node},
    {"", "PersistentVolume", persistent_volume},
    {"", "PersistentVolumeClaim", claim},
    {"", "Secret", secret},
    {"", "Endpoints", endpoints},
    {"", "LimitRange", limit_range},
    {"", "ResourceQuota", resource_quota},
    {"", "ReplicationController", replication_controller},
    {"authentication.k8s.io", "TokenRequest", token_request},
    {"apps", "Deployment", deployment},
    {"apps", "ReplicaSet", replica_set},
    {"apps", "DaemonSet", daemon_set},
    {"apps", "StatefulSet", stateful_set},
    {"batch", "Job", job},
    {"batch", "CronJob", cron_job},
    {"autoscaling", "HorizontalPodAutoscaler", horizontal_pod_autoscaler},
    {RBAC_GROUP, "RoleBinding", role_binding},
    {RBAC_GROUP, "ClusterRoleBinding", role_binding},
    {"networking.k8s.io", "NetworkPolicy", network_policy},
    {"networking.k8s.io", "IngressClass", ingress_class},
    {"discovery.k8s.io", "EndpointSlice", endpoint_slice},
    {"scheduling.k8s.io", "PriorityClass", priority_class},
    {"storage.k8s.io", "StorageClass", storage_class},
    {"storage.k8s.io", "CSIDriver", csi_driver},
    {"flowcontrol.apiserver.k8s.io", "FlowSchema", flow_schema},
    {"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", priority_level},
    {"admissionregistration.k8s.io", "MutatingWebhookConfiguration", webhooks},
    {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", webhooks},
    {"admissionregistration.k8s.io", "ValidatingAdmissionPolicy", admission_policy},
    {"admissionregistration.k8s.io", "MutatingAdmissionPolicy", admission_policy},
    {"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", admission_binding},
    {"admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", admission_binding},
    {"apiregistration.k8s.io", "APIService", api_service},
    {"apiextensions.k8s.io", "CustomResourceDefinition", custom_resource_definition},
    {"resource.k8s.io", "ResourceClaim", resource_claim},
    {"resource.k8s.io", "ResourceClaimTemplate", resource_claim_template},
};

void default_kind(struct arena *a, const struct resource *r, struct json *tree)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i].kind, r->kind) && str_eq(kinds[i].group, r->group))
			kinds[i].fn(a, tree);
}
