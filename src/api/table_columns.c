/* SPDX-License-Identifier: Apache-2.0 */
/* Which columns a resource's table has: upstream's names and order, our descriptions. Priority 1 is for -o wide. */
#include "api/resource.h"
#include "api/table_internal.h"
#include "base/macros.h"
#include "base/str.h"

#define COLUMN(n, t, prio, ...)                                                                                        \
	{                                                                                                              \
		.name = (n), .type = (t), .format = "", .priority = (prio), __VA_ARGS__                                \
	}
#define NAME                                                                                                           \
	{                                                                                                              \
		.name = "Name", .type = "string", .format = "name", .path = "metadata.name", .absent = "\"\"",         \
		.description = "The name, unique among objects of this kind in the namespace."                         \
	}
#define AGE COLUMN("Age", "string", 0, .cell = cell_age, .description = "How long ago the object was created.")
/* A string or number as it is in the object; "" or 0 when absent. */
#define TEXT(n, p) COLUMN(n, "string", 0, .path = (p), .absent = "\"\"")
#define WIDE_TEXT(n, p) COLUMN(n, "string", 1, .path = (p), .absent = "\"\"")
#define INTEGER(n, p) COLUMN(n, "integer", 0, .path = (p), .absent = "0")
#define BOOLEAN(n, p) COLUMN(n, "boolean", 0, .path = (p), .absent = "false")
/* Computed; the path is what the function looks at, if it asks. */
#define CALL(n, fn, ...) COLUMN(n, "string", 0, .cell = (fn), ##__VA_ARGS__)
#define WIDE(n, fn, ...) COLUMN(n, "string", 1, .cell = (fn), ##__VA_ARGS__)
#define NUMBER(n, fn, p) COLUMN(n, "integer", 0, .cell = (fn), .path = (p))
/* Numbers and booleans in columns that upstream calls strings. */
#define LOOSE_INTEGER(n, p) COLUMN(n, "string", 0, .path = (p), .absent = "0")
#define LOOSE_BOOLEAN(n, p) COLUMN(n, "string", 0, .path = (p), .absent = "false")
/* The containers and images of a pod template. */
#define CONTAINERS(spec)                                                                                               \
	WIDE("Containers", cell_container_names, .path = (spec)), WIDE("Images", cell_container_images, .path = (spec))

/* The time itself, as upstream's default table has it. */
static const struct table_column plain[] = {NAME, COLUMN("Created At", "date", 0, .cell = cell_text,
							 .path = "metadata.creationTimestamp",
							 .description = "When the object was created.")};

static const struct table_column pods[] = {
    NAME,
    CALL("Ready", cell_pod_ready, .description = "Containers that are ready, of all that run together."),
    CALL("Status", cell_pod_status, .description = "What the pod does, or what it waits for."),
    CALL("Restarts", cell_pod_restarts, .description = "How often its containers were started again, and when last."),
    AGE,
    WIDE("IP", cell_pod_ip, .description = "The pod's first address."),
    WIDE("Node", cell_none, .path = "spec.nodeName", .description = "The node it runs on."),
    WIDE("Nominated Node", cell_none, .path = "status.nominatedNodeName"),
    WIDE("Readiness Gates", cell_pod_gates),
};
static const struct table_column podtemplates[] = {
    NAME, CALL("Containers", cell_container_names, .path = "template.spec"),
    CALL("Images", cell_container_images, .path = "template.spec"),
    CALL("Pod Labels", cell_template_labels, .path = "template.metadata.labels")};
static const struct table_column nodes[] = {
    NAME,
    CALL("Status", cell_node_status, .description = "Whether the node takes pods."),
    CALL("Roles", cell_node_roles),
    AGE,
    TEXT("Version", "status.nodeInfo.kubeletVersion"),
    WIDE("Internal-IP", cell_node_internal_ip),
    WIDE("External-IP", cell_node_external_ip),
    WIDE("OS-Image", cell_unknown, .path = "status.nodeInfo.osImage"),
    WIDE("Kernel-Version", cell_unknown, .path = "status.nodeInfo.kernelVersion"),
    WIDE("Container-Runtime", cell_unknown, .path = "status.nodeInfo.containerRuntimeVersion"),
};
static const struct table_column services[] = {
    NAME,
    TEXT("Type", "spec.type"),
    CALL("Cluster-IP", cell_none, .path = "spec.clusterIP"),
    CALL("External-IP", cell_service_external_ip),
    CALL("Port(s)", cell_service_ports),
    AGE,
    WIDE("Selector", cell_selector, .path = "spec.selector"),
};
static const struct table_column endpoints[] = {NAME, CALL("Endpoints", cell_endpoints), AGE};
static const struct table_column events[] = {
    CALL("Last Seen", cell_event_last_seen),
    TEXT("Type", "type"),
    TEXT("Reason", "reason"),
    CALL("Object", cell_event_object),
    WIDE("Subobject", cell_event_subobject),
    WIDE("Source", cell_event_source),
    CALL("Message", cell_event_message),
    WIDE("First Seen", cell_event_first_seen),
    COLUMN("Count", "string", 1, .cell = cell_event_count),
    {.name = "Name", .type = "string", .format = "name", .priority = 1, .path = "metadata.name", .absent = "\"\""},
};
static const struct table_column namespaces[] = {NAME, TEXT("Status", "status.phase"), AGE};
static const struct table_column secrets[] = {NAME, TEXT("Type", "type"), CALL("Data", cell_count, .path = "data"),
					      AGE};
static const struct table_column configmaps[] = {NAME, CALL("Data", cell_config_data), AGE};
static const struct table_column resourcequotas[] = {NAME, CALL("Request", cell_quota_request),
						     CALL("Limit", cell_quota_limit), AGE};
static const struct table_column componentstatuses[] = {NAME, CALL("Status", cell_component_status, .path = "status"),
							CALL("Message", cell_component_status, .path = "message"),
							CALL("Error", cell_component_status, .path = "error")};
static const struct table_column persistentvolumes[] = {
    NAME,
    TEXT("Capacity", "spec.capacity.storage"),
    CALL("Access Modes", cell_access_modes, .path = "spec.accessModes"),
    TEXT("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
    CALL("Status", cell_claim_status),
    CALL("Claim", cell_claim_ref),
    TEXT("StorageClass", "spec.storageClassName"),
    CALL("VolumeAttributesClass", cell_unset, .path = "spec.volumeAttributesClassName"),
    TEXT("Reason", "status.reason"),
    AGE,
    WIDE("VolumeMode", cell_unset, .path = "spec.volumeMode"),
};
static const struct table_column persistentvolumeclaims[] = {
    NAME,
    CALL("Status", cell_claim_status),
    TEXT("Volume", "spec.volumeName"),
    TEXT("Capacity", "status.capacity.storage"),
    CALL("Access Modes", cell_access_modes, .path = "status.accessModes"),
    TEXT("StorageClass", "spec.storageClassName"),
    CALL("VolumeAttributesClass", cell_unset, .path = "spec.volumeAttributesClassName"),
    AGE,
    WIDE("VolumeMode", cell_unset, .path = "spec.volumeMode"),
};
static const struct table_column replicas[] = {
    NAME,
    COLUMN("Desired", "integer", 0, .path = "spec.replicas", .absent = "1"),
    INTEGER("Current", "status.replicas"),
    INTEGER("Ready", "status.readyReplicas"),
    AGE,
    CONTAINERS("spec.template.spec"),
    WIDE("Selector", cell_selector, .path = "spec.selector"),
};

static const struct table_column deployments[] = {
    NAME,
    CALL("Ready", cell_workload_ready, .description = "Ready pods of those wanted."),
    LOOSE_INTEGER("Up-to-date", "status.updatedReplicas"),
    LOOSE_INTEGER("Available", "status.availableReplicas"),
    AGE,
    CONTAINERS("spec.template.spec"),
    WIDE("Selector", cell_selector, .path = "spec.selector"),
};
static const struct table_column statefulsets[] = {NAME, CALL("Ready", cell_workload_ready), AGE,
						   CONTAINERS("spec.template.spec")};
static const struct table_column daemonsets[] = {
    NAME,
    INTEGER("Desired", "status.desiredNumberScheduled"),
    INTEGER("Current", "status.currentNumberScheduled"),
    INTEGER("Ready", "status.numberReady"),
    INTEGER("Up-to-date", "status.updatedNumberScheduled"),
    INTEGER("Available", "status.numberAvailable"),
    CALL("Node Selector", cell_selector, .path = "spec.template.spec.nodeSelector"),
    AGE,
    CONTAINERS("spec.template.spec"),
    WIDE("Selector", cell_selector, .path = "spec.selector"),
};
static const struct table_column controllerrevisions[] = {NAME, CALL("Controller", cell_revision_controller),
							  LOOSE_INTEGER("Revision", "revision"), AGE};
static const struct table_column jobs[] = {
    NAME,
    CALL("Status", cell_job_status),
    CALL("Completions", cell_job_completions),
    CALL("Duration", cell_job_duration),
    AGE,
    CONTAINERS("spec.template.spec"),
    WIDE("Selector", cell_selector, .path = "spec.selector"),
};
static const struct table_column cronjobs[] = {
    NAME,
    TEXT("Schedule", "spec.schedule"),
    CALL("Timezone", cell_none, .path = "spec.timeZone"),
    COLUMN("Suspend", "boolean", 0, .cell = cell_truth, .path = "spec.suspend"),
    NUMBER("Active", cell_count, "status.active"),
    CALL("Last Schedule", cell_cronjob_last),
    AGE,
    CONTAINERS("spec.jobTemplate.spec.template.spec"),
    WIDE("Selector", cell_selector, .path = "spec.jobTemplate.spec.selector"),
};
static const struct table_column horizontalpodautoscalers[] = {
    NAME,
    CALL("Reference", cell_hpa_reference),
    CALL("Targets", cell_hpa_targets),
    CALL("MinPods", cell_hpa_min),
    LOOSE_INTEGER("MaxPods", "spec.maxReplicas"),
    LOOSE_INTEGER("Replicas", "status.currentReplicas"),
    AGE,
};

static const struct table_column ingresses[] = {
    NAME,
    CALL("Class", cell_none, .path = "spec.ingressClassName"),
    CALL("Hosts", cell_ingress_hosts),
    CALL("Address", cell_ingress_address),
    CALL("Ports", cell_ingress_ports),
    AGE,
};
static const struct table_column ingressclasses[] = {NAME, TEXT("Controller", "spec.controller"),
						     CALL("Parameters", cell_class_parameters), AGE};
static const struct table_column networkpolicies[] = {
    NAME, CALL("Pod-Selector", cell_selector, .path = "spec.podSelector"), AGE};
static const struct table_column ipaddresses[] = {NAME, CALL("ParentRef", cell_parent_ref), AGE};
static const struct table_column servicecidrs[] = {NAME, CALL("CIDRs", cell_list, .path = "spec.cidrs"), AGE};
static const struct table_column endpointslices[] = {NAME, TEXT("AddressType", "addressType"),
						     CALL("Ports", cell_slice_ports),
						     CALL("Endpoints", cell_slice_endpoints), AGE};

static const struct table_column poddisruptionbudgets[] = {
    NAME, CALL("Min Available", cell_budget_value, .path = "spec.minAvailable"),
    CALL("Max Unavailable", cell_budget_value, .path = "spec.maxUnavailable"),
    INTEGER("Allowed Disruptions", "status.disruptionsAllowed"), AGE};
static const struct table_column rolebindings[] = {
    NAME,
    CALL("Role", cell_role_ref),
    AGE,
    WIDE("Users", cell_subjects, .path = "User"),
    WIDE("Groups", cell_subjects, .path = "Group"),
    WIDE("ServiceAccounts", cell_subjects, .path = "ServiceAccount"),
};
static const struct table_column certificatesigningrequests[] = {
    NAME,
    AGE,
    TEXT("SignerName", "spec.signerName"),
    TEXT("Requestor", "spec.username"),
    CALL("RequestedDuration", cell_csr_duration),
    CALL("Condition", cell_csr_condition),
};
static const struct table_column clustertrustbundles[] = {NAME,
							  CALL("SignerName", cell_none, .path = "spec.signerName")};
static const struct table_column podcertificaterequests[] = {
    NAME,
    TEXT("PodName", "spec.podName"),
    TEXT("ServiceAccountName", "spec.serviceAccountName"),
    TEXT("NodeName", "spec.nodeName"),
    TEXT("SignerName", "spec.signerName"),
    CALL("State", cell_certificate_state),
    CALL("UnverifiedUserAnnotations", cell_selector, .path = "spec.unverifiedUserAnnotations"),
};

static const struct table_column storageclasses[] = {
    {.name = "Name", .type = "string", .format = "name", .cell = cell_storage_class_name},
    TEXT("Provisioner", "provisioner"),
    COLUMN("ReclaimPolicy", "string", 0, .path = "reclaimPolicy", .absent = "\"Delete\""),
    CALL("VolumeBindingMode", cell_unset, .path = "volumeBindingMode"),
    LOOSE_BOOLEAN("AllowVolumeExpansion", "allowVolumeExpansion"),
    AGE,
};
static const struct table_column volumeattributesclasses[] = {NAME, TEXT("DriverName", "driverName"), AGE};
static const struct table_column volumeattachments[] = {
    NAME,
    {.name = "Attacher", .type = "string", .format = "name", .path = "spec.attacher", .absent = "\"\""},
    TEXT("PV", "spec.source.persistentVolumeName"),
    TEXT("Node", "spec.nodeName"),
    BOOLEAN("Attached", "status.attached"),
    AGE,
};
static const struct table_column csinodes[] = {NAME, NUMBER("Drivers", cell_count, "spec.drivers"), AGE};
static const struct table_column csidrivers[] = {
    NAME,
    COLUMN("AttachRequired", "boolean", 0, .path = "spec.attachRequired", .absent = "true"),
    BOOLEAN("PodInfoOnMount", "spec.podInfoOnMount"),
    BOOLEAN("StorageCapacity", "spec.storageCapacity"),
    CALL("TokenRequests", cell_driver_token_requests),
    BOOLEAN("RequiresRepublish", "spec.requiresRepublish"),
    CALL("Modes", cell_driver_modes),
    AGE,
};

static const struct table_column webhookconfigurations[] = {NAME, NUMBER("Webhooks", cell_count, "webhooks"), AGE};
static const struct table_column validatingpolicies[] = {NAME, NUMBER("Validations", cell_count, "spec.validations"),
							 CALL("ParamKind", cell_policy_param_kind), AGE};
static const struct table_column mutatingpolicies[] = {NAME, NUMBER("Mutations", cell_count, "spec.mutations"),
						       CALL("ParamKind", cell_policy_param_kind), AGE};
static const struct table_column policybindings[] = {NAME, TEXT("PolicyName", "spec.policyName"),
						     CALL("ParamRef", cell_policy_param_ref), AGE};
static const struct table_column apiservices[] = {NAME, CALL("Service", cell_apiservice_service),
						  CALL("Available", cell_apiservice_available), AGE};
static const struct table_column priorityclasses[] = {
    NAME, INTEGER("Value", "value"), BOOLEAN("Global-Default", "globalDefault"), AGE,
    COLUMN("PreemptionPolicy", "string", 0, .path = "preemptionPolicy", .absent = "\"PreemptLowerPriority\"")};
static const struct table_column leases[] = {NAME, TEXT("Holder", "spec.holderIdentity"), AGE};
static const struct table_column runtimeclasses[] = {NAME, TEXT("Handler", "handler"), AGE};
static const struct table_column flowschemas[] = {
    NAME,
    TEXT("PriorityLevel", "spec.priorityLevelConfiguration.name"),
    LOOSE_INTEGER("MatchingPrecedence", "spec.matchingPrecedence"),
    CALL("DistinguisherMethod", cell_flow_distinguisher),
    AGE,
    CALL("MissingPL", cell_flow_missing_level),
};
static const struct table_column prioritylevels[] = {
    NAME,
    TEXT("Type", "spec.type"),
    CALL("NominalConcurrencyShares", cell_level_shares),
    CALL("Queues", cell_level_queuing, .path = "queues"),
    CALL("HandSize", cell_level_queuing, .path = "handSize"),
    CALL("QueueLengthLimit", cell_level_queuing, .path = "queueLengthLimit"),
    AGE,
};
static const struct table_column definitions[] = {
    NAME,
    TEXT("Scope", "spec.scope"),
    CALL("Versions", cell_definition_versions),
    COLUMN("Created At", "date", 0, .cell = cell_text, .path = "metadata.creationTimestamp"),
    WIDE_TEXT("Group", "spec.group"),
    WIDE_TEXT("Kind", "spec.names.kind"),
    WIDE("ShortNames", cell_words, .path = "spec.names.shortNames"),
    COLUMN("Established", "boolean", 1, .cell = cell_established),
};
static const struct table_column migrations[] = {
    COLUMN("Name", "string", 0, .path = "metadata.name", .absent = "\"\""),
    CALL("Resource", cell_migration_resource),
    CALL("Status", cell_migration_status),
};
static const struct table_column devicetaintrules[] = {
    NAME,
    TEXT("Key", "spec.taint.key"),
    TEXT("Value", "spec.taint.value"),
    TEXT("Effect", "spec.taint.effect"),
    CALL("TimeAdded", cell_since, .path = "spec.taint.timeAdded"),
    AGE,
};
static const struct table_column resourceclaims[] = {NAME, CALL("State", cell_claim_state), AGE};
static const struct table_column name_and_age[] = {NAME, AGE};
static const struct table_column resourceslices[] = {NAME, CALL("Node", cell_unset, .path = "spec.nodeName"),
						     TEXT("Driver", "spec.driver"), TEXT("Pool", "spec.pool.name"),
						     AGE};

#define ROW(g, p, c)                                                                                                   \
	{                                                                                                              \
		(g), (p), (c), ARRAY_SIZE(c)                                                                           \
	}
static const struct {
	const char *group, *plural;
	const struct table_column *columns;
	size_t n;
} tables[] = {
    ROW("", "pods", pods),
    ROW("", "nodes", nodes),
    ROW("", "services", services),
    ROW("", "events", events),
    ROW("events.k8s.io", "events", events),
    ROW("apps", "deployments", deployments),
    ROW("apps", "replicasets", replicas),
    ROW("", "replicationcontrollers", replicas),
    ROW("apps", "statefulsets", statefulsets),
    ROW("apps", "daemonsets", daemonsets),
    ROW("apps", "controllerrevisions", controllerrevisions),
    ROW("", "namespaces", namespaces),
    ROW("", "secrets", secrets),
    ROW("", "configmaps", configmaps),
    ROW("", "serviceaccounts", name_and_age),
    ROW("", "endpoints", endpoints),
    ROW("", "podtemplates", podtemplates),
    ROW("", "resourcequotas", resourcequotas),
    ROW("", "componentstatuses", componentstatuses),
    ROW("", "persistentvolumes", persistentvolumes),
    ROW("", "persistentvolumeclaims", persistentvolumeclaims),
    ROW("batch", "jobs", jobs),
    ROW("batch", "cronjobs", cronjobs),
    ROW("autoscaling", "horizontalpodautoscalers", horizontalpodautoscalers),
    ROW("networking.k8s.io", "ingresses", ingresses),
    ROW("networking.k8s.io", "ingressclasses", ingressclasses),
    ROW("networking.k8s.io", "networkpolicies", networkpolicies),
    ROW("networking.k8s.io", "ipaddresses", ipaddresses),
    ROW("networking.k8s.io", "servicecidrs", servicecidrs),
    ROW("discovery.k8s.io", "endpointslices", endpointslices),
    ROW("policy", "poddisruptionbudgets", poddisruptionbudgets),
    ROW("rbac.authorization.k8s.io", "rolebindings", rolebindings),
    ROW("rbac.authorization.k8s.io", "clusterrolebindings", rolebindings),
    ROW("certificates.k8s.io", "certificatesigningrequests", certificatesigningrequests),
    ROW("certificates.k8s.io", "clustertrustbundles", clustertrustbundles),
    ROW("storage.k8s.io", "storageclasses", storageclasses),
    ROW("storage.k8s.io", "volumeattributesclasses", volumeattributesclasses),
    ROW("storage.k8s.io", "volumeattachments", volumeattachments),
    ROW("storage.k8s.io", "csinodes", csinodes),
    ROW("storage.k8s.io", "csidrivers", csidrivers),
    ROW("admissionregistration.k8s.io", "validatingwebhookconfigurations", webhookconfigurations),
    ROW("admissionregistration.k8s.io", "mutatingwebhookconfigurations", webhookconfigurations),
    ROW("admissionregistration.k8s.io", "validatingadmissionpolicies", validatingpolicies),
    ROW("admissionregistration.k8s.io", "mutatingadmissionpolicies", mutatingpolicies),
    ROW("admissionregistration.k8s.io", "validatingadmissionpolicybindings", policybindings),
    ROW("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", policybindings),
    ROW("apiregistration.k8s.io", "apiservices", apiservices),
    ROW("scheduling.k8s.io", "priorityclasses", priorityclasses),
    ROW("coordination.k8s.io", "leases", leases),
    ROW("node.k8s.io", "runtimeclasses", runtimeclasses),
    ROW("flowcontrol.apiserver.k8s.io", "flowschemas", flowschemas),
    ROW("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", prioritylevels),
    ROW("resource.k8s.io", "resourceclaims", resourceclaims),
    ROW("resource.k8s.io", "resourceclaimtemplates", name_and_age),
    ROW("resource.k8s.io", "deviceclasses", name_and_age),
    ROW("resource.k8s.io", "resourceslices", resourceslices),
    ROW("resource.k8s.io", "devicetaintrules", devicetaintrules),
    ROW("certificates.k8s.io", "podcertificaterequests", podcertificaterequests),
    ROW("apiextensions.k8s.io", "customresourcedefinitions", definitions),
    ROW("storagemigration.k8s.io", "storageversionmigrations", migrations),
};

const struct table_column *table_columns(const struct resource *r, size_t *ret_n)
{
	for (size_t i = 0; r && !r->custom && i < ARRAY_SIZE(tables); i++) {
		if (!str_eq(tables[i].plural, r->plural) || !str_eq(tables[i].group, r->group))
			continue;
		*ret_n = tables[i].n;
		return tables[i].columns;
	}
	*ret_n = ARRAY_SIZE(plain);
	return plain;
}
