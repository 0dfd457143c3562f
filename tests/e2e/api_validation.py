#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_validation.py [--apiserver PROGRAM] [--only WORD]

Rules of validation, a row each: a minimal object of kinds.json with some members set, and the cause that a server must tell: its
reason, its field, a piece of its message. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import copy
import json
import pathlib
import sys

import api as base
from api_conformance import NS, kinds

OBJECTS = json.loads((pathlib.Path(__file__).parent / "kinds.json").read_text())
R, I, U, F, D, M, L = ("FieldValueRequired", "FieldValueInvalid", "FieldValueNotSupported", "FieldValueForbidden",
                       "FieldValueDuplicate", "FieldValueTooMany", "FieldValueTooLong")
GONE = object()
CLAIM = "resourceclaims.resource.k8s.io"
SLICE = "resourceslices.resource.k8s.io"
HPA = "horizontalpodautoscalers.autoscaling"
PLC = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
SELECTOR = {"cel": {"expression": "true"}}


def request(**more):
    return {"spec.devices": {"requests": [dict({"name": "r"}, **more)]}}


def exactly(**more):
    return request(exactly=dict({"deviceClassName": "c"}, **more))


def device(**more):
    return {"spec.devices": [dict({"name": "d"}, **more)]}


def container(**more):
    return {"spec.containers": [dict({"name": "c", "image": "i"}, **more)]}


# (kind, members, reason, field, piece of the message)
CREATE = [
    ("pods", {"spec.tolerations": [{"key": "a b", "operator": "Exists"}]}, I, "spec.tolerations[0].key", "name part must consist of"),
    ("pods", {"spec.tolerations": [{"operator": "Equal"}]}, I, "spec.tolerations[0].operator",
     "operator must be Exists when `key` is empty"),
    ("pods", {"spec.containers": []}, R, "spec.containers", ""),
    ("pods", container(image=""), R, "spec.containers[0].image", ""),
    ("pods", container(name="A"), I, "spec.containers[0].name", "lower case alphanumeric"),
    ("pods", container(ports=[{"containerPort": 0}]), R, "spec.containers[0].ports[0].containerPort", ""),
    ("pods", container(ports=[{"containerPort": 80, "protocol": "X"}]), U, "spec.containers[0].ports[0].protocol",
     'supported values: "SCTP", "TCP", "UDP"'),
    ("pods", container(imagePullPolicy="Maybe"), U, "spec.containers[0].imagePullPolicy", '"Always", "IfNotPresent", "Never"'),
    ("pods", container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}), I, "spec.containers[0].resources.requests",
     "must be less than or equal to cpu limit of 1"),
    ("pods", container(volumeMounts=[{"name": "v", "mountPath": "/a"}]), "FieldValueNotFound", "spec.containers[0].volumeMounts[0].name", ""),
    ("pods", {"spec.restartPolicy": "Sometimes"}, U, "spec.restartPolicy", '"Always", "OnFailure", "Never"'),
    ("pods", {"spec.hostname": "a.b"}, I, "spec.hostname", ""),
    ("pods", {"spec.activeDeadlineSeconds": 0}, I, "spec.activeDeadlineSeconds", "must be between 1 and 2147483647, inclusive"),
    ("pods", {"spec.evictionResponders": [{"name": "x", "priority": 5}]}, None, "", ""),
    ("replicationcontrollers", {"spec.replicas": -1}, I, "spec.replicas", "must be greater than or equal to 0"),
    ("replicationcontrollers", {"spec.minReadySeconds": -1}, I, "spec.minReadySeconds", "must be greater than or equal to 0"),
    ("replicationcontrollers", {"spec.template": GONE}, R, "spec.template", ""),
    ("replicationcontrollers", {"spec.selector": {"x": "y"}}, I, "spec.template.metadata.labels", "`selector` does not match"),
    ("deployments.apps", {"spec.selector": {}}, I, "spec.selector", "empty selector is invalid for deployment"),
    ("deployments.apps", {"spec.strategy": {"type": "Recreate", "rollingUpdate": {}}}, F, "spec.strategy.rollingUpdate",
     "may not be specified when strategy `type` is 'Recreate'"),
    ("deployments.apps", {"spec.strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}, I,
     "spec.strategy.rollingUpdate.maxUnavailable", "may not be 0 when `maxSurge` is 0"),
    ("deployments.apps", {"spec.template.spec.restartPolicy": "Never"}, U, "spec.template.spec.restartPolicy", '"Always"'),
    ("statefulsets.apps", {"spec.podManagementPolicy": "Later"}, I, "spec.podManagementPolicy", "must be 'OrderedReady' or 'Parallel'"),
    ("statefulsets.apps", {"spec.template.spec.dnsPolicy": "X"}, U, "spec.template.spec.dnsPolicy", ""),
    ("statefulsets.apps", {"metadata.name": "a.b"}, I, "metadata.name", "must not contain dots"),
    ("daemonsets.apps", {"spec.updateStrategy": {"type": "X"}}, U, "spec.updateStrategy", '"RollingUpdate", "OnDelete"'),
    ("daemonsets.apps", {"spec.selector": GONE}, I, "spec.template.metadata.labels", "`selector` does not match template `labels`"),
    ("deployments.apps", {"spec.progressDeadlineSeconds": -1}, I, "spec.progressDeadlineSeconds", "must be greater than minReadySeconds"),
    ("deployments.apps", {"spec.selector": {"matchLabels": {"": "x"}}}, I, "spec.selector", "invalid label selector"),
    ("jobs.batch", {"spec.parallelism": -1}, I, "spec.parallelism", "must be greater than or equal to 0"),
    ("jobs.batch", {"spec.maxFailedIndexes": 1, "spec.completionMode": "Indexed", "spec.completions": 3}, R, "spec.backoffLimitPerIndex",
     "when maxFailedIndexes is specified"),
    ("jobs.batch", {"spec.completionMode": "Indexed", "spec.parallelism": 2}, R, "spec.completions", "when completion mode is Indexed"),
    ("jobs.batch", {"spec.selector": {"matchLabels": {"a": "b"}}}, I, "spec.selector", "`selector` not auto-generated"),
    ("jobs.batch", {"spec.template.spec.restartPolicy": "Always"}, R, "spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'),
    ("cronjobs.batch", {"spec.schedule": ""}, R, "spec.schedule", ""),
    ("cronjobs.batch", {"spec.schedule": "TZ=UTC 0 0 * * *"}, I, "spec.schedule", "cannot use TZ or CRON_TZ"),
    ("cronjobs.batch", {"spec.timeZone": "Nowhere/City"}, I, "spec.timeZone", "unknown time zone"),
    ("cronjobs.batch", {"spec.concurrencyPolicy": "X"}, U, "spec.concurrencyPolicy", '"Allow", "Forbid", "Replace"'),
    (HPA, {"spec.minReplicas": -1}, I, "spec.minReplicas", "must be greater than or equal to 0"),
    (HPA, {"spec.minReplicas": 0}, F, "spec.metrics", "must specify at least one Object or External metric"),
    (HPA, {"spec.maxReplicas": 0}, R, "spec.maxReplicas", ""),
    (HPA, {"spec.maxReplicas": -1}, I, "spec.maxReplicas", "must be greater than or equal to 1"),
    (HPA, {"spec.scaleTargetRef.apiVersion": "v1"}, I, "spec.scaleTargetRef.apiVersion", "apiVersion must specify API group"),
    (HPA, {"spec.minReplicas": 5}, I, "spec.maxReplicas", "must be greater than or equal to `minReplicas`"),
    (HPA, {"spec.scaleTargetRef.kind": ""}, R, "spec.scaleTargetRef.kind", ""),
    (HPA, {"spec.scaleTargetRef.name": ""}, R, "spec.scaleTargetRef.name", ""),
    (HPA, {"spec.metrics": [{"type": "Resource"}]}, R, "spec.metrics[0].resource", "must populate information for the given metric source"),
    (HPA, {"spec.behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601}}}, I,
     "spec.behavior.scaleUp.stabilizationWindowSeconds", "must be less than or equal to 3600"),
    ("networkpolicies.networking.k8s.io", {"spec.ingress": [{"from": [{}]}]}, R, "spec.ingress[0].from[0]", "must specify a peer"),
    ("networkpolicies.networking.k8s.io", {"spec.ingress": [{"from": [{"ipBlock": {"cidr": ""}}]}]}, R,
     "spec.ingress[0].from[0].ipBlock.cidr", ""),
    ("networkpolicies.networking.k8s.io", {"spec.egress": [{"ports": [{"endPort": 5}]}]}, I, "spec.egress[0].ports[0].endPort",
     "may not be specified when `port` is not specified"),
    ("ingressclasses.networking.k8s.io", {"spec.parameters": {"name": "n"}}, R, "spec.parameters.kind", ""),
    ("ingressclasses.networking.k8s.io", {"spec.parameters": {"kind": "K"}}, R, "spec.parameters.name", ""),
    ("ingressclasses.networking.k8s.io", {"spec.controller": "x"}, I, "spec.controller", "must be a domain-prefixed path"),
    ("ingresses.networking.k8s.io", {"spec": {}}, I, "spec", "either `defaultBackend` or `rules` must be specified"),
    ("ingresses.networking.k8s.io", {"spec.rules": [{"host": "10.0.0.1", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}, I, "spec.rules[0].host",
     "must be a DNS name, not an IP address"),
    ("ingresses.networking.k8s.io", {"spec.rules": [{"http": {"paths": [
        {"path": "/", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}, R, "spec.rules[0].http.paths[0].pathType",
     "pathType must be specified"),
    ("ipaddresses.networking.k8s.io", {"spec": {}}, R, "spec.parentRef", ""),
    ("ipaddresses.networking.k8s.io", {"spec.parentRef.name": ""}, R, "spec.parentRef.name", ""),
    ("ipaddresses.networking.k8s.io", {"spec.parentRef.resource": ""}, R, "spec.parentRef.resource", ""),
    ("servicecidrs.networking.k8s.io", {"spec.cidrs": []}, R, "spec.cidrs", "at least one CIDR required"),
    ("servicecidrs.networking.k8s.io", {"spec.cidrs": ["10.0.0.1/8"]}, I, "spec.cidrs[0]", "must not have bits set beyond the prefix length"),
    ("storageclasses.storage.k8s.io", {"provisioner": ""}, R, "provisioner", ""),
    ("storageclasses.storage.k8s.io", {"volumeBindingMode": "X"}, U, "volumeBindingMode", '"Immediate", "WaitForFirstConsumer"'),
    ("storageclasses.storage.k8s.io", {"reclaimPolicy": "X"}, U, "reclaimPolicy", '"Delete", "Retain"'),
    ("volumeattachments.storage.k8s.io", {"spec.attacher": ""}, R, "spec.attacher", ""),
    ("volumeattachments.storage.k8s.io", {"spec.attacher": "a" * 64}, L, "spec.attacher", "may not be more than 63"),
    ("volumeattachments.storage.k8s.io", {"spec.source": {}}, R, "spec.source", ""),
    ("volumeattributesclasses.storage.k8s.io", {"parameters": {}}, R, "parameters", "must contain at least one key/value pair"),
    ("csidrivers.storage.k8s.io", {"spec.volumeLifecycleModes": ["X"]}, U, "spec.volumeLifecycleModes", '"Persistent", "Ephemeral"'),
    ("csidrivers.storage.k8s.io", {"spec.serviceAccountTokenInSecrets": True}, I, "spec.serviceAccountTokenInSecrets",
     "no tokenRequests are specified"),
    ("networkpolicies.networking.k8s.io", {"spec.policyTypes": ["X"]}, U, "spec.policyTypes[0]", '"Ingress", "Egress"'),
    ("networkpolicies.networking.k8s.io", {"spec.ingress": [{"ports": [{"protocol": "X"}]}]}, U, "spec.ingress[0].ports[0].protocol",
     '"TCP", "UDP", "SCTP"'),
    ("ingresses.networking.k8s.io", {"spec.defaultBackend": {"service": {"name": "1s"}}}, R, "spec.defaultBackend",
     "port name or number is required"),
    ("endpointslices.discovery.k8s.io", {"endpoints": [{"addresses": ["x"]}]}, I, "endpoints[0].addresses[0]", "must be a valid IP address"),
    ("endpointslices.discovery.k8s.io", {"endpoints": [{"addresses": ["10.0.0.1"], "hostname": ""}]}, I, "endpoints[0].hostname", "RFC 1123"),
    ("servicecidrs.networking.k8s.io", {"spec.cidrs": ["2001:DB8::/64"]}, I, "spec.cidrs[0]", 'must be in canonical form ("2001:db8::/64")'),
    ("csinodes.storage.k8s.io", {"spec.drivers": [{"name": "d.example.com", "nodeID": ""}]}, R, "spec.drivers[0].nodeID", ""),
    ("csistoragecapacities.storage.k8s.io", {"capacity": "-1"}, I, "capacity", "must be greater than or equal to 0"),
    (CLAIM, request(), R, "spec.devices.requests[0]", "exactly one of `exactly` or `firstAvailable` is required"),
    (CLAIM, exactly(deviceClassName=""), R, "spec.devices.requests[0].exactly.deviceClassName", ""),
    (CLAIM, exactly(deviceClassName="A B"), I, "spec.devices.requests[0].exactly.deviceClassName", "lower case"),
    (CLAIM, exactly(allocationMode="Some"), U, "spec.devices.requests[0].exactly.allocationMode", '"All", "ExactCount"'),
    (CLAIM, exactly(selectors=[SELECTOR] * 33), M, "spec.devices.requests[0].exactly.selectors", "must have at most 32 items"),
    (CLAIM, exactly(tolerations=[{"key": "a b", "operator": "Exists"}]), I, "spec.devices.requests[0].exactly.tolerations[0].key", ""),
    (CLAIM, exactly(tolerations=[{"key": "a", "operator": "In"}]), U, "spec.devices.requests[0].exactly.tolerations[0].operator",
     '"Equal", "Exists"'),
    (CLAIM, exactly(tolerations=[{"key": "a", "operator": "Exists", "effect": "X"}]), U,
     "spec.devices.requests[0].exactly.tolerations[0].effect", '"NoExecute", "NoSchedule"'),
    (CLAIM, {"spec.devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}] * 2}}, D, "spec.devices.requests[1]", ""),
    (CLAIM, {"spec.devices": {"requests": [{"name": f"r{i}", "exactly": {"deviceClassName": "c"}} for i in range(33)]}}, M,
     "spec.devices.requests", "must have at most 32 items"),
    (CLAIM, request(firstAvailable=[{"name": f"r{i}", "deviceClassName": "c"} for i in range(9)]), M,
     "spec.devices.requests[0].firstAvailable", "must have at most 8 items"),
    (CLAIM, request(firstAvailable=[{"name": "s"}]), R, "spec.devices.requests[0].firstAvailable[0].deviceClassName", ""),
    (CLAIM, {"spec.devices": {"constraints": [{"matchAttribute": "x"}]}}, I, "spec.devices.constraints[0].matchAttribute", ""),
    (CLAIM, {"spec.devices": {"constraints": [{"requests": ["a", "a"], "matchAttribute": "d.example.com/x"}]}}, D,
     "spec.devices.constraints[0].requests[1]", ""),
    (CLAIM, {"spec.devices": {"config": [{"opaque": {"driver": "", "parameters": {}}}]}}, R, "spec.devices.config[0].opaque.driver", ""),
    (CLAIM, {"spec.devices": {"config": [{}]}}, R, "spec.devices.config[0].opaque", ""),
    (SLICE, device(name=""), I, "spec.devices[0].name", "a lowercase RFC 1123 label"),
    (SLICE, device(attributes={"a": {}}), I, "spec.devices[0].attributes[a]", "must specify one of: `int`, `bool`"),
    (SLICE, device(attributes={"a": {"int": 1, "bool": True}}), I, "spec.devices[0].attributes[a]", "exactly one value must be specified"),
    (SLICE, device(attributes={"a": {"string": "x" * 65}}), L, "spec.devices[0].attributes[a].string", ""),
    (SLICE, device(attributes={"a": {"version": "x"}}), I, "spec.devices[0].attributes[a].version", ""),
    (SLICE, device(attributes={"a": {"version": "1.02.3"}}), I, "spec.devices[0].attributes[a].version", "semver.org spec 2.0.0"),
    (SLICE, device(attributes={"a": {"version": "1.2.3-a.01"}}), I, "spec.devices[0].attributes[a].version", ""),
    (SLICE, device(taints=[{"key": "a"}]), R, "spec.devices[0].taints[0].effect", ""),
    (SLICE, device(taints=[{"key": "a", "effect": "X"}]), U, "spec.devices[0].taints[0].effect", '"NoExecute", "NoSchedule"'),
    (SLICE, device(consumesCounters=[{"counterSet": "x", "counters": {"c": {"value": "1"}}}] * 2), D,
     "spec.devices[0].consumesCounters[1]", ""),
    (SLICE, device(consumesCounters=[{"counterSet": "", "counters": {"c": {"value": "1"}}}]), R,
     "spec.devices[0].consumesCounters[0].counterSet", ""),
    (SLICE, {"spec.sharedCounters": [{"name": "", "counters": {"c": {"value": "1"}}}]}, R, "spec.sharedCounters[0].name", ""),
    (SLICE, {"spec.sharedCounters": [{"name": "x"}]}, R, "spec.sharedCounters[0].counters", ""),
    (SLICE, {"spec.sharedCounters": [{"name": f"x{i}", "counters": {"c": {"value": "1"}}} for i in range(9)]}, M, "spec.sharedCounters",
     "must have at most 8 items"),
    ("deviceclasses.resource.k8s.io", {"spec.selectors": [SELECTOR] * 33}, M, "spec.selectors", "must have at most 32 items"),
    ("deviceclasses.resource.k8s.io", {"spec.extendedResourceName": "cpu"}, I, "spec.extendedResourceName", "a name must be a domain-prefixed path"),
    ("devicetaintrules.resource.k8s.io", {"spec.taint.effect": ""}, R, "spec.taint.effect", ""),
    ("validatingadmissionpolicybindings.admissionregistration.k8s.io", {"spec.policyName": ""}, R, "spec.policyName", ""),
    ("validatingadmissionpolicybindings.admissionregistration.k8s.io", {"spec.validationActions": []}, R, "spec.validationActions", ""),
    ("validatingadmissionpolicybindings.admissionregistration.k8s.io", {"spec.validationActions": ["Deny", "Warn"]}, I,
     "spec.validationActions", "must not contain both Deny and Warn"),
    ("roles.rbac.authorization.k8s.io", {"rules": [{"apiGroups": [""], "resources": ["pods"]}]}, R, "rules[0].verbs",
     "Required value"),
    ("roles.rbac.authorization.k8s.io", {"rules": [{"verbs": ["get"], "resources": ["pods"]}]}, R, "rules[0].apiGroups",
     "resource rules must supply at least one api group"),
    ("roles.rbac.authorization.k8s.io", {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, I, "rules[0].nonResourceURLs",
     "namespaced rules cannot apply to non-resource URLs"),
    ("rolebindings.rbac.authorization.k8s.io", {"subjects": [{"kind": "User", "name": "", "apiGroup": "rbac.authorization.k8s.io"}]}, R,
     "subjects[0].name", ""),
    ("rolebindings.rbac.authorization.k8s.io", {"roleRef.name": ""}, R, "roleRef.name", ""),
    ("rolebindings.rbac.authorization.k8s.io", {"roleRef.kind": "X"}, U, "roleRef.kind", '"Role", "ClusterRole"'),
    (PLC, {"spec.type": ""}, R, "spec.type", ""),
    (PLC, {"spec.limited": GONE}, R, "spec.limited", "must not be empty when type is Limited"),
    (PLC, {"spec.limited.limitResponse.type": "Queue"}, R, "spec.limited.limitResponse.queuing", "must not be empty"),
    ("flowschemas.flowcontrol.apiserver.k8s.io", {"spec.matchingPrecedence": 0}, None, "", ""),
    ("flowschemas.flowcontrol.apiserver.k8s.io", {"spec.matchingPrecedence": 10001}, I, "spec.matchingPrecedence",
     "must not be greater than 10000"),
    ("runtimeclasses.node.k8s.io", {"handler": "A_b"}, I, "handler", ""),
    ("runtimeclasses.node.k8s.io", {"scheduling": {"tolerations": [{"operator": "Equal"}]}}, I, "scheduling.tolerations[0].operator",
     "operator must be Exists when `key` is empty"),
    ("endpointslices.discovery.k8s.io", {"addressType": ""}, R, "addressType", ""),
    ("endpointslices.discovery.k8s.io", {"addressType": "X"}, U, "addressType", '"FQDN", "IPv4", "IPv6"'),
    ("endpointslices.discovery.k8s.io", {"endpoints": [{"addresses": []}]}, R, "endpoints[0].addresses", ""),
    ("endpointslices.discovery.k8s.io", {"endpoints": [{"addresses": [f"10.0.0.{i}" for i in range(101)]}]}, M,
     "endpoints[0].addresses", "must have at most 100 items"),
    ("poddisruptionbudgets.policy", {"spec.maxUnavailable": 1}, I, "spec", "minAvailable and maxUnavailable cannot be both set"),
    ("priorityclasses.scheduling.k8s.io", {"value": 1000000001}, F, "value", "maximum allowed value of a user defined priority"),
    ("leases.coordination.k8s.io", {"spec.leaseDurationSeconds": 0}, I, "spec.leaseDurationSeconds", "must be greater than 0"),
    ("configmaps", {"data": {"a" * 254: "c"}}, I, f"data[{'a' * 254}]", "must be no more than 253 characters"),
    ("configmaps", {"metadata.labels": {"": "c"}}, I, "metadata.labels", "name part must be non-empty"),
    ("configmaps", {"metadata.labels": {"": "c"}}, I, "metadata.labels", "name part must consist of"),
    ("configmaps", {"data": {"a b": "c"}}, I, "data[a b]", "a valid config key must consist of"),
    ("configmaps", {"metadata.labels": {"a": "b c"}}, I, "metadata.labels", "a valid label must be"),
    ("configmaps", {"metadata.annotations": {"a b": ""}}, I, "metadata.annotations", "name part must consist of"),
    ("configmaps", {"metadata.finalizers": ["x"]}, I, "metadata.finalizers[0]", "neither a standard finalizer name nor is it fully qualified"),
    ("configmaps", {"metadata.finalizers": ["orphan", "foregroundDeletion"]}, I, "metadata.finalizers",
     "finalizer orphan and foregroundDeletion cannot be both set"),
    ("configmaps", {"metadata.ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "u"}]}, R,
     "metadata.ownerReferences[0].name", "must not be empty"),
    ("configmaps", {"metadata.ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "x", "uid": "u"}]}, I,
     "metadata.ownerReferences", "is disallowed from being an owner"),
    ("configmaps", {"metadata.ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True}
                                                 for n in "ab"]}, I, "metadata.ownerReferences", "Only one reference can have Controller set to true"),
    ("configmaps", {"metadata.generateName": "A_"}, I, "metadata.generateName", "a lowercase RFC 1123 subdomain"),
    ("configmaps", {"metadata.labels": {"a": "a" * 64}}, I, "metadata.labels", "must be no more than 63 bytes"),
    ("configmaps", {"metadata.labels": {"/": "c"}}, I, "metadata.labels", "prefix part must be non-empty"),
    ("configmaps", {"metadata.labels": {"/": "c"}}, I, "metadata.labels", "name part must be non-empty"),
    ("configmaps", {"metadata.labels": {"a/b/c": "c"}}, I, "metadata.labels", "a valid label key must consist of"),
    ("replicationcontrollers", {"metadata.name": "a" * 254}, I, "metadata.name", "must be no more than 253 bytes"),
    ("cronjobs.batch", {"metadata.name": "A" * 54}, I, "metadata.name", "must be no more than 52 characters"),
    ("cronjobs.batch", {"metadata.name": "A" * 54}, I, "metadata.name", "a lowercase RFC 1123 subdomain"),
    ("customresourcedefinitions.apiextensions.k8s.io", {"metadata.generateName": "x"}, I, "metadata.generateName", "must be spec.names.plural"),
    ("customresourcedefinitions.apiextensions.k8s.io", {"spec.conversion": {}}, R, "spec.conversion.strategy", ""),
    ("services", {"spec.internalTrafficPolicy": ""}, U, "spec.internalTrafficPolicy", '"Cluster", "Local"'),
    ("jobs.batch", {"spec.completionMode": ""}, U, "spec.completionMode", '"NonIndexed", "Indexed"'),
    ("endpointslices.discovery.k8s.io", {"ports": [{"protocol": ""}]}, U, "ports[0].protocol", '"SCTP", "TCP", "UDP"'),
    ("secrets", {"type": "kubernetes.io/dockerconfigjson"}, R, "data[.dockerconfigjson]", ""),
    ("secrets", {"type": "kubernetes.io/tls"}, R, "data[tls.crt]", ""),
    ("secrets", {"type": "kubernetes.io/service-account-token"}, R, "metadata.annotations[kubernetes.io/service-account.name]", ""),
    ("services", {"spec.ports": []}, R, "spec.ports", ""),
    ("services", {"spec.type": "ExternalName"}, R, "spec.externalName", ""),
    ("services", {"spec.sessionAffinity": "X"}, U, "spec.sessionAffinity", '"ClientIP", "None"'),
    ("services", {"spec.ports": [{"port": 80}, {"port": 81}]}, R, "spec.ports[0].name", ""),
    ("limitranges", {"spec.limits": [{"type": "Pod", "default": {"cpu": "1"}}]}, F, "spec.limits[0].default",
     "may not be specified when `type` is 'Pod'"),
    ("resourcequotas", {"spec.scopes": ["BestEffort", "NotBestEffort"]}, I, "spec.scopes", "conflicting scopes"),
    ("persistentvolumeclaims", {"spec.accessModes": []}, R, "spec.accessModes", "at least 1 access mode is required"),
    ("persistentvolumeclaims", {"spec.resources": {}}, R, "spec.resources[storage]", ""),
    ("persistentvolumes", {"spec.capacity": {}}, R, "spec.capacity", ""),
    ("persistentvolumes", {"spec.hostPath": GONE}, R, "spec", "must specify a volume type"),
    ("persistentvolumes", {"spec.persistentVolumeReclaimPolicy": "Recycle", "spec.hostPath": {"path": "/"}}, F,
     "spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"),
    ("nodes", {"spec.taints": [{"key": "a", "effect": "X"}]}, U, "metadata.taints[0].effect", '"NoSchedule", "PreferNoSchedule", "NoExecute"'),
    ("namespaces", {"metadata.name": "a.b"}, I, "metadata.name", "must not contain dots"),
    ("storageversionmigrations.storagemigration.k8s.io", {"spec.resource.resource": ""}, R, "spec.resource.resource", ""),
    ("storageversionmigrations.storagemigration.k8s.io", {"spec.resource.group": "A_b"}, I, "spec.resource.group", ""),
    ("certificatesigningrequests.certificates.k8s.io", {"spec.signerName": "x"}, I, "spec.signerName", "must be a fully qualified domain and path"),
    ("certificatesigningrequests.certificates.k8s.io", {"spec.usages": []}, R, "spec.usages", ""),
    ("certificatesigningrequests.certificates.k8s.io", {"spec.expirationSeconds": 599}, I, "spec.expirationSeconds",
     "may not specify a duration less than 600 seconds"),
    ("clustertrustbundles.certificates.k8s.io", {"spec.signerName": "example.com/x"}, I, "metadata.name", "must be named with prefix example.com:x:"),
]

# The same, of an update of the minimal object.
UPDATE = [
    ("deployments.apps", {"spec.selector": {"matchLabels": {"c": "d"}}}, I, "spec.selector", "field is immutable"),
    ("statefulsets.apps", {"spec.serviceName": "t"}, I, "spec.serviceName", "field is immutable"),
    ("statefulsets.apps", {"spec.selector": {"matchLabels": {"c": "d"}}}, I, "spec.selector", "field is immutable"),
    ("statefulsets.apps", {"spec.volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"],
     "resources": {"requests": {"storage": "1"}}}}]}, I, "spec.volumeClaimTemplates", "field is immutable"),
    ("jobs.batch", {"spec.template.spec.containers": [{"name": "d", "image": "i"}]}, I, "spec.template.spec", "field is immutable"),
    ("storageclasses.storage.k8s.io", {"provisioner": "example.com/q"}, I, "provisioner", "null: field is immutable"),
    ("storageclasses.storage.k8s.io", {"parameters": {"a": "b"}}, I, "parameters", "null: field is immutable"),
    ("storageclasses.storage.k8s.io", {"reclaimPolicy": "Retain"}, I, "reclaimPolicy", "null: field is immutable"),
    ("volumeattachments.storage.k8s.io", {"spec.nodeName": "o"}, I, "spec", "field is immutable"),
    ("volumeattributesclasses.storage.k8s.io", {"parameters": {"a": "c"}}, F, "parameters", "updates to parameters are forbidden"),
    (CLAIM, request(exactly={"deviceClassName": "c"}), I, "spec", "field is immutable"),
    ("resourceclaimtemplates.resource.k8s.io", {"spec.metadata": {"labels": {"a": "b"}}}, I, "spec", "field is immutable"),
    ("clusterrolebindings.rbac.authorization.k8s.io", {"roleRef.name": "s"}, I, "roleRef", "cannot change roleRef"),
    ("runtimeclasses.node.k8s.io", {"handler": "i"}, I, "handler", "field is immutable"),
    ("priorityclasses.scheduling.k8s.io", {"value": 8}, F, "value", "may not be changed in an update."),
    ("ipaddresses.networking.k8s.io", {"spec.parentRef.name": "t"}, I, "spec.parentRef", "field is immutable"),
    ("ingressclasses.networking.k8s.io", {"spec.controller": "example.com/y"}, I, "spec.controller", "field is immutable"),
    ("endpointslices.discovery.k8s.io", {"addressType": "IPv6"}, I, "addressType", "field is immutable"),
    ("controllerrevisions.apps", {"data": {"a": 1}}, I, "data", "field is immutable"),
    ("secrets", {"type": "example.com/other"}, I, "type", "field is immutable"),
    ("csidrivers.storage.k8s.io", {"spec.attachRequired": True}, I, "spec.attachedRequired", "field is immutable"),
    ("csistoragecapacities.storage.k8s.io", {"storageClassName": "t"}, I, "storageClassName", "field is immutable"),
    ("podtemplates", {"metadata.uid": "x"}, None, "", ""),
    ("secrets", {"metadata.generateName": "x/Y"}, I, "metadata.generateName", "may not contain '/'"),
    ("secrets", {"metadata.generateName": "x/Y"}, I, "metadata.generateName", "a lowercase RFC 1123 subdomain"),
    ("deployments.apps", {"metadata.generateName": "x/Y"}, I, "metadata.generateName", "may not contain '/'"),
    ("mutatingwebhookconfigurations.admissionregistration.k8s.io", {"webhooks": [{"sideEffects": "x", "failurePolicy": ""}]}, U,
     "webhooks[0].failurePolicy", '"Fail", "Ignore"'),
    ("persistentvolumes", {"spec.hostPath": {"path": "/y"}}, F, "spec.persistentvolumesource",
     "spec.persistentvolumesource is immutable after creation"),
    ("persistentvolumeclaims", {"spec.volumeName": "v", "spec.accessModes": ["ReadOnlyMany"]}, F, "spec", "spec is immutable after creation except"),
    ("storageversionmigrations.storagemigration.k8s.io", {"spec.resource.resource": "pods"}, I, "spec", "field is immutable"),
]


# The same, of an update of the status.
STATUS = [
    ("poddisruptionbudgets.policy", {"status": {"conditions": [{"type": "x", "status": "x", "reason": "a b"}]}}, U,
     "status.conditions[0].status", '"False", "True", "Unknown"'),
    ("poddisruptionbudgets.policy", {"status": {"conditions": [{"type": "x", "status": "True", "reason": "a b"}]}}, I,
     "status.conditions[0].reason", "a condition reason must start with alphabetic character"),
    ("poddisruptionbudgets.policy", {"status": {"conditions": [{"type": "x", "status": "True", "reason": "R"}]}}, R,
     "status.conditions[0].lastTransitionTime", ""),
    ("volumeattachments.storage.k8s.io", {"status": {"attached": False, "attachError": {"errorCode": -1}}}, I,
     "status.attachError.errorCode", "must be between 0 and 2147483647, inclusive"),
]


def with_members(body, members):
    body = copy.deepcopy(body)
    for path, value in members.items():
        at, *rest = [body] + path.split(".")
        for name in rest[:-1]:
            at = at.setdefault(name, {})
        if value is GONE:
            at.pop(rest[-1], None)
        else:
            at[rest[-1]] = value
    return body


def judge(api, rows, path_of, send):
    wrong = []
    for kind, members, reason, field, piece in rows:
        path, body = path_of[kind]
        answer, data = send(path, with_members(body, members))
        status = json.loads(data)
        causes = [(c["reason"], c.get("field"), c["message"]) for c in status.get("details", {}).get("causes", [])]
        if reason is None:  # only that the server says what it wants
            if answer.status >= 500:
                wrong.append(f"{kind} {list(members)}: {answer.status}")
        elif not any(r == reason and f == field and piece in m for r, f, m in causes):
            wrong.append(f"{kind} {json.dumps(members, default=str)[:120]}:\n    wants {reason} {field} {piece}\n    told "
                         f"{answer.status} {causes or status.get('message')}"[:700])
    assert not wrong, f"{len(wrong)} of {len(rows)} rules:\n" + "\n".join(wrong)


def test_rules(api):
    api.do("POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, 201)
    api.do("POST", f"/api/v1/namespaces/{NS}/serviceaccounts", {"metadata": {"name": "default"}}, 201)
    paths = {}
    for key, path, version, row, _ in kinds(api):
        body = dict({"apiVersion": version, "kind": row["kind"]}, **copy.deepcopy(OBJECTS[key]))
        body["metadata"] = dict({"name": "rules-" + row["name"]}, **body.get("metadata", {}))
        paths.setdefault(key, (f"/{path}/namespaces/{NS}/{row['name']}" if row["namespaced"] else f"/{path}/{row['name']}", body))
    judge(api, CREATE, paths, lambda path, body: api.raw("POST", path + "?dryRun=All", body))
    made = {}
    for kind in {row[0] for row in UPDATE}:
        path, body = paths[kind]
        body = api.do("POST", path, body, 201)
        made[kind] = (f"{path}/{body['metadata']['name']}", body)
    judge(api, UPDATE, made, lambda path, body: api.raw("PUT", path, body))
    for kind in {row[0] for row in STATUS} - set(made):
        path, body = paths[kind]
        made[kind] = (f"{path}/{body['metadata']['name']}", api.do("POST", path, body, 201))
    judge(api, STATUS, made, lambda path, body: api.raw("PUT", path + "/status", body))


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
