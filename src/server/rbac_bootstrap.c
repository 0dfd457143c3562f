/* SPDX-License-Identifier: Apache-2.0 */
#include "server/rbac_bootstrap.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"

/*
 * One rule of a role. Words are separated by spaces; the group "core" is the empty one. A rule with urls has no groups
 * and resources. Rules of the same role follow each other.
 */
struct rule_row {
	const char *role, *verbs, *groups, *resources, *names, *urls;
};

#define READ "get list watch"
#define WRITE "create delete deletecollection patch update"
#define ALL "create delete deletecollection get list patch update watch"
#define RULE(role, verbs, groups, resources)                                                                           \
	{                                                                                                              \
		role, verbs, groups, resources, NULL, NULL                                                             \
	}
#define RULE_NAMES(role, verbs, groups, resources, names)                                                              \
	{                                                                                                              \
		role, verbs, groups, resources, names, NULL                                                            \
	}
#define RULE_URLS(role, verbs, urls)                                                                                   \
	{                                                                                                              \
		role, verbs, NULL, NULL, NULL, urls                                                                    \
	}
#define EVENTS(role) RULE(role, "create patch update", "core events.k8s.io", "events")
#define EDIT "system:aggregate-to-edit"
#define VIEW "system:aggregate-to-view"
#define ADMIN "system:aggregate-to-admin"
#define NODE "system:node"
#define KCM "system:kube-controller-manager"
#define SCHED "system:kube-scheduler"
#define C(name) "system:controller:" name

static const struct rule_row cluster_rules[] = {
    RULE("cluster-admin", "*", "*", "*"),
    RULE_URLS("cluster-admin", "*", "*"),
    RULE_URLS("system:discovery", "get",
	      "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
    RULE_URLS("system:public-info-viewer", "get", "/healthz /livez /readyz /version /version/"),
    RULE_URLS("system:monitoring", "get",
	      "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz"),
    RULE("system:monitoring", "get", "core", "nodes/metrics"),
    RULE("system:basic-user", "create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    RULE("system:basic-user", "create", "authentication.k8s.io", "selfsubjectreviews"),

    RULE(ADMIN, "create", "authorization.k8s.io", "localsubjectaccessreviews"),
    RULE(ADMIN, ALL, "rbac.authorization.k8s.io", "rolebindings roles"),

    RULE(EDIT, READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    RULE(EDIT, "impersonate", "core", "serviceaccounts"),
    RULE(EDIT, WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    RULE(EDIT, "create", "core", "pods/eviction"),
    RULE(EDIT, WRITE, "core",
	 "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
	 "serviceaccounts services services/proxy"),
    RULE(EDIT, WRITE, "events.k8s.io", "events"),
    RULE(EDIT, "create", "core", "serviceaccounts/token"),
    RULE(EDIT, WRITE, "apps",
	 "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
	 "statefulsets/scale"),
    RULE(EDIT, WRITE, "autoscaling", "horizontalpodautoscalers"),
    RULE(EDIT, WRITE, "batch", "cronjobs jobs"),
    RULE(EDIT, WRITE, "extensions",
	 "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets "
	 "replicasets/scale replicationcontrollers/scale"),
    RULE(EDIT, WRITE, "policy", "poddisruptionbudgets"),
    RULE(EDIT, WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    RULE(EDIT, ALL, "coordination.k8s.io", "leases"),
    RULE(EDIT, WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),

    RULE(VIEW, READ, "core",
	 "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
	 "replicationcontrollers/scale serviceaccounts services services/status"),
    RULE(VIEW, READ, "core",
	 "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
	 "resourcequotas resourcequotas/status"),
    RULE(VIEW, READ, "events.k8s.io", "events"),
    RULE(VIEW, READ, "core", "namespaces"),
    RULE(VIEW, READ, "discovery.k8s.io", "endpointslices"),
    RULE(VIEW, READ, "apps",
	 "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status "
	 "replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status"),
    RULE(VIEW, READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    RULE(VIEW, READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    RULE(VIEW, READ, "extensions",
	 "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status "
	 "networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale"),
    RULE(VIEW, READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    RULE(VIEW, READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    RULE(VIEW, READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),

    RULE(NODE, "create", "authentication.k8s.io", "tokenreviews"),
    RULE(NODE, "create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    RULE(NODE, READ, "core", "services"),
    RULE(NODE, "create get list watch", "core", "nodes"),
    RULE(NODE, "patch update", "core", "nodes/status"),
    RULE(NODE, "patch update", "core", "nodes"),
    EVENTS(NODE),
    RULE(NODE, READ, "core", "pods"),
    RULE(NODE, "create delete", "core", "pods"),
    RULE(NODE, "patch update", "core", "pods/status"),
    RULE(NODE, "create", "core", "pods/eviction"),
    RULE(NODE, READ, "core", "configmaps secrets"),
    RULE(NODE, "get", "core", "persistentvolumeclaims persistentvolumes"),
    RULE(NODE, "get", "core", "endpoints"),
    RULE(NODE, "create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    RULE(NODE, "create delete get patch update", "coordination.k8s.io", "leases"),
    RULE(NODE, "get", "storage.k8s.io", "volumeattachments"),
    RULE(NODE, "create", "core", "serviceaccounts/token"),
    RULE(NODE, "get patch update", "core", "persistentvolumeclaims/status"),
    RULE(NODE, READ, "storage.k8s.io", "csidrivers"),
    RULE(NODE, "create delete get patch update", "storage.k8s.io", "csinodes"),
    RULE(NODE, READ, "node.k8s.io", "runtimeclasses"),
    RULE(NODE, "get", "resource.k8s.io", "resourceclaims"),
    RULE(NODE, "deletecollection", "resource.k8s.io", "resourceslices"),
    RULE(NODE, READ, "certificates.k8s.io", "clustertrustbundles"),
    RULE(NODE, "get", "core", "serviceaccounts"),
    RULE(NODE, "create get list watch", "certificates.k8s.io", "podcertificaterequests"),

    RULE("system:heapster", READ, "core", "events namespaces nodes pods"),
    RULE("system:heapster", READ, "extensions", "deployments"),
    RULE("system:node-problem-detector", "get", "core", "nodes"),
    RULE("system:node-problem-detector", "patch", "core", "nodes/status"),
    EVENTS("system:node-problem-detector"),
    RULE("system:kubelet-api-admin", READ " proxy", "core", "nodes"),
    RULE("system:kubelet-api-admin", "*", "core",
	 "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats"),
    RULE("system:node-bootstrapper", "create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    RULE("system:auth-delegator", "create", "authentication.k8s.io", "tokenreviews"),
    RULE("system:auth-delegator", "create", "authorization.k8s.io", "subjectaccessreviews"),
    RULE("system:kube-aggregator", READ, "core", "endpoints services"),
    RULE("system:kube-dns", "list watch", "core", "endpoints services"),
    RULE("system:node-proxier", "list watch", "core", "endpoints services"),
    RULE("system:node-proxier", READ, "core", "nodes"),
    RULE("system:node-proxier", "list watch", "discovery.k8s.io", "endpointslices"),
    RULE("system:node-proxier", "list watch", "networking.k8s.io", "servicecidrs"),
    EVENTS("system:node-proxier"),
    RULE("system:persistent-volume-provisioner", "create delete get list watch", "core", "persistentvolumes"),
    RULE("system:persistent-volume-provisioner", "get list update watch", "core", "persistentvolumeclaims"),
    RULE("system:persistent-volume-provisioner", READ, "storage.k8s.io", "storageclasses"),
    RULE("system:persistent-volume-provisioner", "watch", "core", "events"),
    EVENTS("system:persistent-volume-provisioner"),
    RULE("system:volume-scheduler", "get list patch update watch", "core", "persistentvolumes"),
    RULE("system:volume-scheduler", READ, "storage.k8s.io", "storageclasses"),
    RULE("system:volume-scheduler", "get list patch update watch", "core", "persistentvolumeclaims"),
    RULE_URLS("system:service-account-issuer-discovery", "get",
	      "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/"),
    RULE("system:certificates.k8s.io:certificatesigningrequests:nodeclient", "create", "certificates.k8s.io",
	 "certificatesigningrequests/nodeclient"),
    RULE("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "create", "certificates.k8s.io",
	 "certificatesigningrequests/selfnodeclient"),
    RULE_NAMES("system:certificates.k8s.io:legacy-unknown-approver", "approve", "certificates.k8s.io", "signers",
	       "kubernetes.io/legacy-unknown"),
    RULE_NAMES("system:certificates.k8s.io:kubelet-serving-approver", "approve", "certificates.k8s.io", "signers",
	       "kubernetes.io/kubelet-serving"),
    RULE_NAMES("system:certificates.k8s.io:kube-apiserver-client-approver", "approve", "certificates.k8s.io", "signers",
	       "kubernetes.io/kube-apiserver-client"),
    RULE_NAMES("system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", "approve", "certificates.k8s.io",
	       "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
    RULE("system:cluster-trust-bundle-discovery", READ, "certificates.k8s.io", "clustertrustbundles"),

    EVENTS(KCM),
    RULE(KCM, "create", "coordination.k8s.io", "leases"),
    RULE_NAMES(KCM, "get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
    RULE(KCM, "create", "core", "secrets serviceaccounts"),
    RULE(KCM, "delete", "core", "secrets"),
    RULE(KCM, "get", "core", "configmaps namespaces secrets serviceaccounts"),
    RULE(KCM, "update", "core", "secrets serviceaccounts"),
    RULE(KCM, "create", "authentication.k8s.io", "tokenreviews"),
    RULE(KCM, "create", "authorization.k8s.io", "subjectaccessreviews"),
    RULE(KCM, "list watch", "*", "*"),
    RULE(KCM, "create", "core", "serviceaccounts/token"),

    EVENTS(SCHED),
    RULE(SCHED, "create", "coordination.k8s.io", "leases"),
    RULE_NAMES(SCHED, "get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
    RULE(SCHED, ALL, "coordination.k8s.io", "leasecandidates"),
    RULE(SCHED, READ, "core", "nodes"),
    RULE(SCHED, "delete get list watch", "core", "pods"),
    RULE(SCHED, "create", "core", "bindings pods/binding"),
    RULE(SCHED, "patch update", "core", "pods/status"),
    RULE(SCHED, READ, "core", "replicationcontrollers services"),
    RULE(SCHED, READ, "apps extensions", "replicasets"),
    RULE(SCHED, READ, "apps", "statefulsets"),
    RULE(SCHED, READ, "policy", "poddisruptionbudgets"),
    RULE(SCHED, READ, "core", "persistentvolumeclaims persistentvolumes"),
    RULE(SCHED, "create", "authentication.k8s.io", "tokenreviews"),
    RULE(SCHED, "create", "authorization.k8s.io", "subjectaccessreviews"),
    RULE(SCHED, READ, "storage.k8s.io", "csidrivers csinodes csistoragecapacities volumeattachments"),
    RULE(SCHED, READ, "core", "namespaces"),
    RULE(SCHED, READ, "resource.k8s.io", "deviceclasses devicetaintrules resourceslices"),
    RULE(SCHED, "create delete get list patch update watch", "resource.k8s.io", "resourceclaims"),
    RULE(SCHED, "get list patch update watch", "resource.k8s.io", "resourceclaims/status"),
    RULE(SCHED, "update", "core", "pods/finalizers"),
    RULE(SCHED, "patch update", "resource.k8s.io", "resourceclaims/binding"),

    RULE(C("attachdetach-controller"), "list watch", "core", "persistentvolumeclaims persistentvolumes"),
    RULE(C("attachdetach-controller"), READ, "core", "nodes"),
    RULE(C("attachdetach-controller"), "patch update", "core", "nodes/status"),
    RULE(C("attachdetach-controller"), "list watch", "core", "pods"),
    EVENTS(C("attachdetach-controller")),
    RULE(C("attachdetach-controller"), "create delete get list watch", "storage.k8s.io", "volumeattachments"),
    RULE(C("attachdetach-controller"), READ, "storage.k8s.io", "csidrivers csinodes"),
    RULE(C("certificate-controller"), "delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    RULE(C("certificate-controller"), "update", "certificates.k8s.io",
	 "certificatesigningrequests/approval certificatesigningrequests/status"),
    RULE_NAMES(C("certificate-controller"), "approve", "certificates.k8s.io", "signers",
	       "kubernetes.io/kube-apiserver-client-kubelet"),
    RULE_NAMES(C("certificate-controller"), "sign", "certificates.k8s.io", "signers",
	       "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
	       "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown"),
    RULE(C("certificate-controller"), "create", "authorization.k8s.io", "subjectaccessreviews"),
    EVENTS(C("certificate-controller")),
    RULE(C("clusterrole-aggregation-controller"), "escalate get list patch update watch", "rbac.authorization.k8s.io",
	 "clusterroles"),
    RULE(C("cronjob-controller"), "get list update watch", "batch", "cronjobs"),
    RULE(C("cronjob-controller"), "create delete get list patch update watch", "batch", "jobs"),
    RULE(C("cronjob-controller"), "update", "batch", "cronjobs/finalizers cronjobs/status"),
    RULE(C("cronjob-controller"), "delete list watch", "core", "pods"),
    EVENTS(C("cronjob-controller")),
    RULE(C("daemon-set-controller"), READ, "apps extensions", "daemonsets"),
    RULE(C("daemon-set-controller"), "update", "apps extensions", "daemonsets/finalizers daemonsets/status"),
    RULE(C("daemon-set-controller"), "list watch", "core", "nodes"),
    RULE(C("daemon-set-controller"), "create delete list patch watch", "core", "pods"),
    RULE(C("daemon-set-controller"), "create", "core", "pods/binding"),
    RULE(C("daemon-set-controller"), "create delete get list patch update watch", "apps", "controllerrevisions"),
    EVENTS(C("daemon-set-controller")),
    RULE(C("deployment-controller"), "get list update watch", "apps extensions", "deployments"),
    RULE(C("deployment-controller"), "update", "apps extensions", "deployments/finalizers deployments/status"),
    RULE(C("deployment-controller"), "create delete get list patch update watch", "apps extensions", "replicasets"),
    RULE(C("deployment-controller"), "get list update watch", "core", "pods"),
    EVENTS(C("deployment-controller")),
    RULE(C("device-taint-eviction-controller"), "delete get list watch", "core", "pods"),
    RULE(C("device-taint-eviction-controller"), "patch update", "core", "pods/status"),
    RULE(C("device-taint-eviction-controller"), READ, "resource.k8s.io",
	 "deviceclasses devicetaintrules resourceclaims resourceslices"),
    EVENTS(C("device-taint-eviction-controller")),
    RULE(C("device-taint-eviction-controller"), "patch update", "resource.k8s.io", "devicetaintrules/status"),
    RULE(C("disruption-controller"), READ, "apps extensions", "deployments replicasets"),
    RULE(C("disruption-controller"), READ, "apps", "statefulsets"),
    RULE(C("disruption-controller"), READ, "core", "replicationcontrollers"),
    RULE(C("disruption-controller"), READ, "policy", "poddisruptionbudgets"),
    RULE(C("disruption-controller"), "update", "policy", "poddisruptionbudgets/status"),
    RULE(C("disruption-controller"), "patch update", "core", "pods/status"),
    RULE(C("disruption-controller"), "get", "*", "*/scale"),
    EVENTS(C("disruption-controller")),
    RULE(C("endpoint-controller"), READ, "core", "pods services"),
    RULE(C("endpoint-controller"), "create delete get list update watch", "core", "endpoints"),
    RULE(C("endpoint-controller"), "create", "core", "endpoints/restricted"),
    EVENTS(C("endpoint-controller")),
    RULE(C("endpointslice-controller"), READ, "core", "nodes pods services"),
    RULE(C("endpointslice-controller"), "update", "core", "services/finalizers"),
    RULE(C("endpointslice-controller"), "create delete get list update watch", "discovery.k8s.io", "endpointslices"),
    EVENTS(C("endpointslice-controller")),
    RULE(C("endpointslicemirroring-controller"), READ, "core", "endpoints services"),
    RULE(C("endpointslicemirroring-controller"), "update", "core", "endpoints/finalizers services/finalizers"),
    RULE(C("endpointslicemirroring-controller"), "create delete get list update watch", "discovery.k8s.io",
	 "endpointslices"),
    EVENTS(C("endpointslicemirroring-controller")),
    RULE(C("ephemeral-volume-controller"), "update", "core", "pods/finalizers"),
    RULE(C("ephemeral-volume-controller"), READ, "core", "pods"),
    RULE(C("ephemeral-volume-controller"), "create get list watch", "core", "persistentvolumeclaims"),
    EVENTS(C("ephemeral-volume-controller")),
    RULE(C("expand-controller"), "get list patch update watch", "core", "persistentvolumes"),
    RULE(C("expand-controller"), "patch update", "core", "persistentvolumeclaims/status"),
    RULE(C("expand-controller"), READ, "core", "persistentvolumeclaims"),
    EVENTS(C("expand-controller")),
    RULE(C("generic-garbage-collector"), "delete get list patch update watch", "*", "*"),
    EVENTS(C("generic-garbage-collector")),
    RULE(C("horizontal-pod-autoscaler"), READ, "autoscaling", "horizontalpodautoscalers"),
    RULE(C("horizontal-pod-autoscaler"), "update", "autoscaling", "horizontalpodautoscalers/status"),
    RULE(C("horizontal-pod-autoscaler"), "get update", "*", "*/scale"),
    RULE(C("horizontal-pod-autoscaler"), "list watch", "core", "pods"),
    RULE(C("horizontal-pod-autoscaler"), "list watch", "metrics.k8s.io", "pods"),
    RULE(C("horizontal-pod-autoscaler"), READ, "custom.metrics.k8s.io external.metrics.k8s.io", "*"),
    EVENTS(C("horizontal-pod-autoscaler")),
    RULE(C("job-controller"), "get list patch update watch", "batch", "jobs"),
    RULE(C("job-controller"), "update", "batch", "jobs/finalizers jobs/status"),
    RULE(C("job-controller"), "create delete list patch watch", "core", "pods"),
    EVENTS(C("job-controller")),
    RULE_NAMES(C("kube-apiserver-serving-clustertrustbundle-publisher"), "attest", "certificates.k8s.io", "signers",
	       "kubernetes.io/kube-apiserver-serving"),
    RULE(C("kube-apiserver-serving-clustertrustbundle-publisher"), "create delete list update watch",
	 "certificates.k8s.io", "clustertrustbundles"),
    EVENTS(C("kube-apiserver-serving-clustertrustbundle-publisher")),
    RULE_NAMES(C("legacy-service-account-token-cleaner"), "get", "core", "configmaps",
	       "kube-apiserver-legacy-service-account-token-tracking"),
    RULE(C("legacy-service-account-token-cleaner"), "delete patch", "core", "secrets"),
    RULE(C("namespace-controller"), "delete get list watch", "core", "namespaces"),
    RULE(C("namespace-controller"), "update", "core", "namespaces/finalize namespaces/status"),
    RULE(C("namespace-controller"), "delete deletecollection get list watch", "*", "*"),
    RULE(C("node-controller"), "delete get list patch update watch", "core", "nodes"),
    RULE(C("node-controller"), "patch update", "core", "nodes/status"),
    RULE(C("node-controller"), "patch update", "core", "pods/status"),
    RULE(C("node-controller"), "delete get list watch", "core", "pods"),
    RULE(C("node-controller"), READ, "coordination.k8s.io", "leases"),
    EVENTS(C("node-controller")),
    RULE(C("persistent-volume-binder"), "create delete get list update watch", "core", "persistentvolumes"),
    RULE(C("persistent-volume-binder"), "update", "core", "persistentvolumes/status persistentvolumeclaims/status"),
    RULE(C("persistent-volume-binder"), "get list update watch", "core", "persistentvolumeclaims"),
    RULE(C("persistent-volume-binder"), "create delete get list watch", "core", "pods"),
    RULE(C("persistent-volume-binder"), READ, "storage.k8s.io", "storageclasses"),
    RULE(C("persistent-volume-binder"), "list watch", "core", "nodes"),
    EVENTS(C("persistent-volume-binder")),
    RULE(C("persistent-volume-binder"), "watch", "core", "events"),
    RULE(C("pod-garbage-collector"), "delete list watch", "core", "pods"),
    RULE(C("pod-garbage-collector"), READ, "core", "nodes"),
    RULE(C("pod-garbage-collector"), "patch", "core", "pods/status"),
    RULE(C("podcertificaterequestcleaner"), "delete get list watch", "certificates.k8s.io", "podcertificaterequests"),
    RULE(C("pv-protection-controller"), "get list update watch", "core", "persistentvolumes"),
    EVENTS(C("pv-protection-controller")),
    RULE(C("pvc-protection-controller"), "get list update watch", "core", "persistentvolumeclaims"),
    RULE(C("pvc-protection-controller"), "update", "core", "persistentvolumeclaims/status"),
    RULE(C("pvc-protection-controller"), READ, "core", "pods"),
    EVENTS(C("pvc-protection-controller")),
    RULE(C("replicaset-controller"), "get list update watch", "apps extensions", "replicasets"),
    RULE(C("replicaset-controller"), "update", "apps extensions", "replicasets/finalizers replicasets/status"),
    RULE(C("replicaset-controller"), "create delete list patch watch", "core", "pods"),
    EVENTS(C("replicaset-controller")),
    RULE(C("replication-controller"), "get list update watch", "core", "replicationcontrollers"),
    RULE(C("replication-controller"), "update", "core",
	 "replicationcontrollers/finalizers replicationcontrollers/status"),
    RULE(C("replication-controller"), "create delete list patch watch", "core", "pods"),
    EVENTS(C("replication-controller")),
    RULE(C("resource-claim-controller"), "update", "core", "pods/finalizers"),
    RULE(C("resource-claim-controller"), READ, "core", "pods"),
    RULE(C("resource-claim-controller"), "patch update", "core", "pods/status"),
    RULE(C("resource-claim-controller"), "create delete get list watch", "resource.k8s.io", "resourceclaims"),
    RULE(C("resource-claim-controller"), "patch update", "resource.k8s.io", "resourceclaims resourceclaims/status"),
    RULE(C("resource-claim-controller"), "patch update", "resource.k8s.io", "resourceclaims/binding"),
    EVENTS(C("resource-claim-controller")),
    RULE(C("resourcequota-controller"), "list watch", "*", "*"),
    RULE(C("resourcequota-controller"), "update", "core", "resourcequotas/status"),
    EVENTS(C("resourcequota-controller")),
    RULE(C("root-ca-cert-publisher"), "create update", "core", "configmaps"),
    EVENTS(C("root-ca-cert-publisher")),
    RULE(C("route-controller"), "list watch", "core", "nodes"),
    RULE(C("route-controller"), "patch", "core", "nodes/status"),
    EVENTS(C("route-controller")),
    EVENTS(C("selinux-warning-controller")),
    RULE(C("selinux-warning-controller"), READ, "core", "persistentvolumeclaims persistentvolumes pods"),
    RULE(C("selinux-warning-controller"), READ, "storage.k8s.io", "csidrivers"),
    RULE(C("service-account-controller"), "create", "core", "serviceaccounts"),
    EVENTS(C("service-account-controller")),
    RULE(C("service-cidrs-controller"), "get list patch update watch", "networking.k8s.io", "servicecidrs"),
    RULE(C("service-cidrs-controller"), "patch update", "networking.k8s.io",
	 "servicecidrs/finalizers servicecidrs/status"),
    RULE(C("service-cidrs-controller"), READ, "networking.k8s.io", "ipaddresses"),
    EVENTS(C("service-cidrs-controller")),
    RULE(C("service-controller"), READ, "core", "services"),
    RULE(C("service-controller"), "patch update", "core", "services/status"),
    RULE(C("service-controller"), "list watch", "core", "nodes"),
    EVENTS(C("service-controller")),
    RULE(C("statefulset-controller"), "list watch", "core", "pods"),
    RULE(C("statefulset-controller"), READ, "apps", "statefulsets"),
    RULE(C("statefulset-controller"), "update", "apps", "statefulsets/finalizers statefulsets/status"),
    RULE(C("statefulset-controller"), "create delete get patch update", "core", "pods"),
    RULE(C("statefulset-controller"), "create delete get list patch update watch", "apps", "controllerrevisions"),
    RULE(C("statefulset-controller"), "create get list watch", "core", "persistentvolumeclaims"),
    RULE(C("statefulset-controller"), "delete update", "core", "persistentvolumeclaims"),
    RULE(C("statefulset-controller"), "update", "core", "pods/finalizers"),
    EVENTS(C("statefulset-controller")),
    RULE(C("storage-version-migrator-controller"), "list patch", "*", "*"),
    RULE(C("storage-version-migrator-controller"), "get", "apiextensions.k8s.io", "customresourcedefinitions"),
    RULE(C("storage-version-migrator-controller"), "patch", "apiextensions.k8s.io", "customresourcedefinitions/status"),
    RULE(C("storage-version-migrator-controller"), "update", "storagemigration.k8s.io",
	 "storageversionmigrations/status"),
    RULE(C("ttl-after-finished-controller"), "delete get list watch", "batch", "jobs"),
    EVENTS(C("ttl-after-finished-controller")),
    RULE(C("ttl-controller"), "list patch update watch", "core", "nodes"),
    EVENTS(C("ttl-controller")),
    RULE(C("validatingadmissionpolicy-status-controller"), READ, "admissionregistration.k8s.io",
	 "validatingadmissionpolicies"),
    RULE(C("validatingadmissionpolicy-status-controller"), "get patch update", "admissionregistration.k8s.io",
	 "validatingadmissionpolicies/status"),
    EVENTS(C("validatingadmissionpolicy-status-controller")),
    RULE(C("volumeattributesclass-protection-controller"), READ, "core", "persistentvolumeclaims persistentvolumes"),
    RULE(C("volumeattributesclass-protection-controller"), "get list update watch", "storage.k8s.io",
	 "volumeattributesclasses"),
    EVENTS(C("volumeattributesclass-protection-controller")),
};

#define ROLE_AUTH_READER "extension-apiserver-authentication-reader"
#define KCM_LOCK "system::leader-locking-kube-controller-manager"
#define SCHED_LOCK "system::leader-locking-kube-scheduler"

static const struct role_row {
	const char *ns;
	struct rule_row rule;
} roles[] = {
    {"kube-system", RULE_NAMES(ROLE_AUTH_READER, READ, "core", "configmaps", "extension-apiserver-authentication")},
    {"kube-system", RULE(KCM_LOCK, "create get list update watch", "coordination.k8s.io", "leases")},
    {"kube-system", RULE(KCM_LOCK, "create get list update watch", "coordination.k8s.io", "leasecandidates")},
    {"kube-system", RULE(SCHED_LOCK, "create get list update watch", "coordination.k8s.io", "leases")},
    {"kube-system", RULE(SCHED_LOCK, "create get list update watch", "coordination.k8s.io", "leasecandidates")},
    {"kube-system", RULE(C("bootstrap-signer"), READ, "core", "secrets")},
    {"kube-system", RULE(C("token-cleaner"), "delete get list watch", "core", "secrets")},
    {"kube-system", EVENTS(C("token-cleaner"))},
    {"kube-system", RULE(C("cloud-provider"), "create get list watch", "core", "configmaps")},
    {"kube-public", RULE(C("bootstrap-signer"), READ, "core", "configmaps")},
    {"kube-public", RULE_NAMES(C("bootstrap-signer"), "update", "core", "configmaps", "cluster-info")},
    {"kube-public", EVENTS(C("bootstrap-signer"))},
};

/* Labels that put a role into an aggregated one, and the aggregated ones. */
static const struct {
	const char *role, *aggregate_to;
} aggregated[] = {{ADMIN, "admin"}, {EDIT, "edit"}, {VIEW, "view"}};

static const struct aggregate_row {
	const char *role;
	const char *parts[4];
} aggregates[] = {
    {"admin", {EDIT, VIEW, ADMIN}}, /* as the aggregation controller orders them: by name */
    {"edit", {EDIT, VIEW}},
    {"view", {VIEW}},
};

struct binding_row {
	const char *role, *kind, *subject; /* kind: Group, User, or ServiceAccount of kube-system */
	const char *ns;			   /* NULL: ClusterRoleBinding */
};

/*
 * Rows of the same role and namespace that follow each other are one binding, named after its role; that of
 * ROLE_AUTH_READER has a prefix. Besides these each system:controller:NAME role is bound to ServiceAccount
 * kube-system/NAME.
 */
static const struct binding_row bindings[] = {
    {"cluster-admin", "Group", "system:masters", NULL},
    {"system:monitoring", "Group", "system:monitoring", NULL},
    {"system:discovery", "Group", "system:authenticated", NULL},
    {"system:basic-user", "Group", "system:authenticated", NULL},
    {"system:public-info-viewer", "Group", "system:authenticated system:unauthenticated", NULL},
    {"system:node-proxier", "User", "system:kube-proxy", NULL},
    {KCM, "User", "system:kube-controller-manager", NULL},
    {SCHED, "User", "system:kube-scheduler", NULL},
    {"system:volume-scheduler", "User", "system:kube-scheduler", NULL},
    {"system:kube-dns", "ServiceAccount", "kube-dns", NULL},
    {"system:service-account-issuer-discovery", "Group", "system:serviceaccounts", NULL},
    {"system:cluster-trust-bundle-discovery", "Group", "system:serviceaccounts", NULL},
    {NODE, NULL, NULL,
     NULL}, /* the node authorizer grants this to each node; the binding is there for people's own subjects */
    {KCM_LOCK, "User", "system:kube-controller-manager", "kube-system"},
    {KCM_LOCK, "ServiceAccount", "kube-controller-manager leader-election-controller", "kube-system"},
    {SCHED_LOCK, "User", "system:kube-scheduler", "kube-system"},
    {SCHED_LOCK, "ServiceAccount", "kube-scheduler", "kube-system"},
    {ROLE_AUTH_READER, "User", "system:kube-controller-manager system:kube-scheduler", "kube-system"},
    {C("bootstrap-signer"), "ServiceAccount", "bootstrap-signer", "kube-system"},
    {C("token-cleaner"), "ServiceAccount", "token-cleaner", "kube-system"},
    {C("cloud-provider"), "ServiceAccount", "cloud-provider", "kube-system"},
    {C("bootstrap-signer"), "ServiceAccount", "bootstrap-signer", "kube-public"},
};

struct emitter {
	struct arena *a;
	void (*fn)(void *arg, const char *plural, const char *ns, struct json *object);
	void *arg;
};

static void add_words(struct arena *a, struct json *rule, const char *member, const char *words)
{
	if (!words)
		return;
	struct json *array = json_array_in(a, rule, member);
	for (size_t n; *words; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		bool core = n == 4 && strncmp(words, "core", 4) == 0;
		json_append(array, json_new_strn(a, words, core ? 0 : n));
	}
}

static void add_rule(struct arena *a, struct json *rules, const struct rule_row *row)
{
	struct json *rule = json_append(rules, json_new(a, JSON_OBJECT));

	add_words(a, rule, "verbs", row->verbs);
	add_words(a, rule, "apiGroups", row->groups);
	add_words(a, rule, "resources", row->resources);
	add_words(a, rule, "resourceNames", row->names);
	add_words(a, rule, "nonResourceURLs", row->urls);
}

static struct json *new_object(struct arena *a, const char *kind, const char *ns, const char *name)
{
	struct json *o = json_new(a, JSON_OBJECT);

	json_set_str(a, o, "apiVersion", "rbac.authorization.k8s.io/v1");
	json_set_str(a, o, "kind", kind);
	struct json *metadata = json_object_in(a, o, "metadata");
	json_set_str(a, metadata, "name", name);
	if (ns)
		json_set_str(a, metadata, "namespace", ns);
	json_set_str(a, json_object_in(a, metadata, "labels"), "kubernetes.io/bootstrapping", "rbac-defaults");
	json_set_str(a, json_object_in(a, metadata, "annotations"), "rbac.authorization.kubernetes.io/autoupdate",
		     "true");
	return o;
}

static void emit_cluster_role(const struct emitter *e, const char *role)
{
	struct json *o = new_object(e->a, "ClusterRole", NULL, role);
	struct json *rules = json_array_in(e->a, o, "rules");

	for (size_t i = 0; i < ARRAY_SIZE(cluster_rules); i++)
		if (strcmp(cluster_rules[i].role, role) == 0)
			add_rule(e->a, rules, &cluster_rules[i]);
	for (size_t i = 0; i < ARRAY_SIZE(aggregated); i++)
		if (strcmp(aggregated[i].role, role) == 0)
			json_set_str(
			    e->a, json_path(o, "metadata.labels"),
			    arena_printf(e->a, "rbac.authorization.k8s.io/aggregate-to-%s", aggregated[i].aggregate_to),
			    "true");
	e->fn(e->arg, "clusterroles", "", o);
}

/* admin, edit and view: made of every role that carries the label, those of the cluster's users included. */
static void emit_aggregate(const struct emitter *e, const struct aggregate_row *row)
{
	struct json *o = new_object(e->a, "ClusterRole", NULL, row->role);
	struct json *rules = json_array_in(e->a, o, "rules");
	struct json *selector =
	    json_append(json_array_in(e->a, json_object_in(e->a, o, "aggregationRule"), "clusterRoleSelectors"),
			json_new(e->a, JSON_OBJECT));

	json_set_str(e->a, json_object_in(e->a, selector, "matchLabels"),
		     arena_printf(e->a, "rbac.authorization.k8s.io/aggregate-to-%s", row->role), "true");
	for (const char *const *part = row->parts; *part; part++)
		for (size_t i = 0; i < ARRAY_SIZE(cluster_rules); i++)
			if (strcmp(cluster_rules[i].role, *part) == 0)
				add_rule(e->a, rules, &cluster_rules[i]);
	/* edit is itself part of admin, and view of edit, by these labels. */
	if (strcmp(row->role, "edit") == 0)
		json_set_str(e->a, json_path(o, "metadata.labels"), "rbac.authorization.k8s.io/aggregate-to-admin",
			     "true");
	if (strcmp(row->role, "view") == 0)
		json_set_str(e->a, json_path(o, "metadata.labels"), "rbac.authorization.k8s.io/aggregate-to-edit",
			     "true");
	e->fn(e->arg, "clusterroles", "", o);
}

static void emit_roles(const struct emitter *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles);) {
		const struct role_row *first = &roles[i];
		struct json *o = new_object(e->a, "Role", first->ns, first->rule.role);
		struct json *rules = json_array_in(e->a, o, "rules");
		for (; i < ARRAY_SIZE(roles) && strcmp(roles[i].ns, first->ns) == 0 &&
		       strcmp(roles[i].rule.role, first->rule.role) == 0;
		     i++)
			add_rule(e->a, rules, &roles[i].rule);
		e->fn(e->arg, "roles", first->ns, o);
	}
}

static void add_subject(struct arena *a, struct json *subjects, const char *kind, const char *name, size_t len)
{
	struct json *s = json_append(subjects, json_new(a, JSON_OBJECT));

	json_set_str(a, s, "kind", kind);
	if (strcmp(kind, "ServiceAccount") == 0)
		json_set_str(a, s, "namespace", "kube-system");
	else
		json_set_str(a, s, "apiGroup", "rbac.authorization.k8s.io");
	json_set(a, s, "name", json_new_strn(a, name, len));
}

static void add_subjects(struct arena *a, struct json *binding, const struct binding_row *row)
{
	struct json *subjects = json_array_in(a, binding, "subjects");

	for (const char *at = row->subject, *next; *at; at = next) {
		size_t n = strcspn(at, " ");
		add_subject(a, subjects, row->kind, at, n);
		next = at + n + (at[n] == ' ');
	}
}

static void emit_binding(const struct emitter *e, const struct binding_row *row, size_t n)
{
	struct arena *a = e->a;
	const char *name = str_eq(row->role, ROLE_AUTH_READER) ? "system::" ROLE_AUTH_READER : row->role;
	struct json *o = new_object(a, row->ns ? "RoleBinding" : "ClusterRoleBinding", row->ns, name);
	struct json *ref = json_object_in(a, o, "roleRef");

	json_set_str(a, ref, "apiGroup", "rbac.authorization.k8s.io");
	json_set_str(a, ref, "kind", row->ns ? "Role" : "ClusterRole");
	json_set_str(a, ref, "name", row->role);
	for (size_t i = 0; i < n && row->kind; i++)
		add_subjects(a, o, &row[i]);
	e->fn(e->arg, row->ns ? "rolebindings" : "clusterrolebindings", str_or(row->ns, ""), o);
}

void rbac_bootstrap_each(struct arena *a,
			 void (*fn)(void *arg, const char *plural, const char *ns, struct json *object), void *arg)
{
	struct emitter e = {a, fn, arg};
	const char *last = "";

	for (size_t i = 0; i < ARRAY_SIZE(cluster_rules); last = cluster_rules[i++].role)
		if (strcmp(cluster_rules[i].role, last) != 0)
			emit_cluster_role(&e, cluster_rules[i].role);
	for (size_t i = 0; i < ARRAY_SIZE(aggregates); i++)
		emit_aggregate(&e, &aggregates[i]);
	emit_roles(&e);
	for (size_t i = 0, n; i < ARRAY_SIZE(bindings); i += n) {
		for (n = 1; i + n < ARRAY_SIZE(bindings) && str_eq(bindings[i].role, bindings[i + n].role) &&
			    str_eq(bindings[i].ns, bindings[i + n].ns);)
			n++;
		emit_binding(&e, &bindings[i], n);
	}
	last = "";
	for (size_t i = 0; i < ARRAY_SIZE(cluster_rules); last = cluster_rules[i++].role) {
		const char *controller = str_after(cluster_rules[i].role, C(""));
		if (controller && strcmp(cluster_rules[i].role, last) != 0)
			emit_binding(
			    &e, &(struct binding_row){cluster_rules[i].role, "ServiceAccount", controller, NULL}, 1);
	}
}
