/* SPDX-License-Identifier: Apache-2.0 */
/* The plugins built in, one or a few small ones a file (admission_*.c), and what they share. */
#ifndef PROA_SERVER_ADMISSION_PLUGINS_H
#define PROA_SERVER_ADMISSION_PLUGINS_H

#include "server/admission.h"

extern const struct admission_plugin admission_namespace_lifecycle, admission_taint_nodes_by_condition,
    admission_service_account, admission_limit_ranger, admission_resource_quota, admission_pod_security,
    admission_priority_classes, admission_default_storage_class, admission_claim_resize, admission_runtime_class,
    admission_default_ingress_class, admission_default_toleration_seconds, admission_priority,
    admission_storage_object_in_use, admission_escalation_roles, admission_escalation_clusterroles,
    admission_escalation_rolebindings, admission_escalation_clusterrolebindings;

extern const struct admission_plugin admission_node_restriction, admission_certificate_requests,
    admission_trust_bundles, admission_topology_labels;

/* The latest state of another object as a tree in a->arena, or NULL. ns "" for cluster-scoped. */
struct json *admission_lookup(const struct admission *a, const char *group, const char *plural, const char *ns,
			      const char *name);

#endif
