#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_admission.py [--apiserver PROGRAM] [--only WORD]

What the built-in admission plugins add and refuse. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import json
import sys
import threading

import api as base

POLICY_CPU = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}


def space(api, name, labels=None):
    """A namespace of its own for a test, with its default service account."""
    api.do("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}}, 201)
    api.do("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}}, 201)
    return f"/api/v1/namespaces/{name}/"


def pod(name, resources=None, **spec):
    return {"metadata": {"name": name}, "spec": dict({"containers": [
        {"name": "c", "image": "i", "resources": resources or {}}]}, **spec)}


def quota(api, ns, name, hard, used=None, **spec):
    """A quota whose status is as its controller would write it."""
    api.do("POST", ns + "resourcequotas", {"metadata": {"name": name}, "spec": dict({"hard": hard}, **spec)}, 201)
    zero = {k: "0" for k in hard}
    api.patch(ns + f"resourcequotas/{name}/status", {"status": {"hard": hard, "used": used or zero}})


def used(api, ns, name):
    return api.do("GET", ns + "resourcequotas/" + name)["status"]["used"]


def refused(api, ns, body, *words, resource="pods", code=403):
    message = api.do("POST", ns + resource, body, code)["message"]
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    return message


def test_quota_of_pods(api):
    ns = space(api, "quota-pods")
    hard = {"pods": "2", "requests.cpu": "3", "limits.memory": "4Gi", "count/configmaps": "1"}
    quota(api, ns, "q", hard)
    refused(api, ns, pod("open"), "failed quota: q: must specify limits.memory for: c; requests.cpu for: c")
    api.do("POST", ns + "pods", pod("a", POLICY_CPU), 201)
    assert used(api, ns, "q") == {"pods": "1", "requests.cpu": "1", "limits.memory": "2Gi", "count/configmaps": "0"}
    api.do("POST", ns + "pods?dryRun=All", pod("b", POLICY_CPU), 201)
    assert used(api, ns, "q")["pods"] == "1", "a dry run uses nothing"
    api.do("POST", ns + "pods", pod("a", POLICY_CPU), 409)
    assert used(api, ns, "q")["pods"] == "1", "a create that failed uses nothing"
    big = {"requests": {"cpu": "2500m"}, "limits": {"memory": "3Gi", "cpu": "3"}}
    refused(api, ns, pod("b", big),
            'pods "b" is forbidden: exceeded quota: q, requested: limits.memory=3Gi,requests.cpu=2500m, '
            "used: limits.memory=2Gi,requests.cpu=1, limited: limits.memory=4Gi,requests.cpu=3")
    assert api.do("POST", ns + "pods?dryRun=All", pod("b", big), 403)["reason"] == "Forbidden"
    api.do("POST", ns + "configmaps", {"metadata": {"name": "one"}}, 201)
    refused(api, ns, {"metadata": {"name": "two"}}, "requested: count/configmaps=1, used: count/configmaps=1, limited: "
            "count/configmaps=1", resource="configmaps")


def test_quota_without_status(api):
    ns = space(api, "quota-new")
    api.do("POST", ns + "resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"secrets": "1"}}}, 201)
    api.do("POST", ns + "secrets", {"metadata": {"name": "a"}}, 201)
    api.patch(ns + "resourcequotas/q/status", {"status": {"hard": {"secrets": "1"}}})
    refused(api, ns, {"metadata": {"name": "b"}}, "status unknown for quota: q, resources: secrets", resource="secrets")


def test_quota_scopes(api):
    ns = space(api, "quota-scopes")
    quota(api, ns, "best", {"pods": "1"}, scopes=["BestEffort"])
    quota(api, ns, "ending", {"pods": "1"}, scopes=["Terminating"])
    quota(api, ns, "far", {"pods": "0"}, scopes=["CrossNamespacePodAffinity"])
    quota(api, ns, "high", {"pods": "0"}, scopeSelector={"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]})
    api.do("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "high"}, "value": 7}, 201)
    api.do("POST", ns + "pods", pod("burst", POLICY_CPU), 201)
    assert used(api, ns, "best")["pods"] == used(api, ns, "ending")["pods"] == "0"
    api.do("POST", ns + "pods", pod("best", activeDeadlineSeconds=10), 201)
    assert used(api, ns, "best")["pods"] == used(api, ns, "ending")["pods"] == "1"
    refused(api, ns, pod("best2"), "exceeded quota: best")
    refused(api, ns, pod("ending2", POLICY_CPU, activeDeadlineSeconds=1), "exceeded quota: ending")
    refused(api, ns, pod("high", POLICY_CPU, priorityClassName="high"), "exceeded quota: high")
    term = {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "x", "namespaces": ["other"]}
    refused(api, ns, pod("far", POLICY_CPU, affinity={"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [term]}}), "exceeded quota: far")


def test_quota_of_services_and_claims(api):
    ns = space(api, "quota-others")
    quota(api, ns, "q", {"services": "3", "services.nodeports": "1", "services.loadbalancers": "0",
                         "requests.storage": "10Gi", "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1"})
    ports = [{"port": 80}]
    api.do("POST", ns + "services", {"metadata": {"name": "a"}, "spec": {"ports": ports}}, 201)
    assert used(api, ns, "q")["services.nodeports"] == "0"
    api.patch(ns + "services/a", {"spec": {"type": "NodePort"}})
    assert used(api, ns, "q")["services.nodeports"] == "1", "an update that raises usage is charged"
    refused(api, ns, {"metadata": {"name": "b"}, "spec": {"ports": ports, "type": "NodePort"}},
            "requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1", resource="services")
    refused(api, ns, {"metadata": {"name": "b"}, "spec": {"ports": ports, "type": "LoadBalancer",
                                                          "allocateLoadBalancerNodePorts": False}},
            "services.loadbalancers=1", resource="services")

    def claim(name, size):
        return {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast",
                                                     "resources": {"requests": {"storage": size}}}}
    refused(api, ns, claim("c", "11Gi"), "requests.storage=11Gi", resource="persistentvolumeclaims")
    api.do("POST", ns + "persistentvolumeclaims", claim("c", "1Gi"), 201)
    refused(api, ns, claim("d", "1Gi"), "fast.storageclass.storage.k8s.io/persistentvolumeclaims=1",
            resource="persistentvolumeclaims")
    assert used(api, ns, "q")["requests.storage"] == "1Gi"


def test_quota_has_no_race(api):
    ns = space(api, "quota-race")
    quota(api, ns, "q", {"count/configmaps": "5"})
    codes = []

    def create(i):
        codes.append(api.raw("POST", ns + "configmaps", {"metadata": {"name": f"m{i}"}})[0].status)
    threads = [threading.Thread(target=create, args=[i]) for i in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(codes) == [201] * 5 + [403] * 19, codes
    assert used(api, ns, "q") == {"count/configmaps": "5"}


def test_limit_ranges(api):
    ns = space(api, "limits")
    api.do("POST", ns + "limitranges", {"metadata": {"name": "l"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "250m"},
         "max": {"cpu": "1"}, "min": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "4"}},
        {"type": "Pod", "max": {"memory": "2Gi"}},
        {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}]}}, 201)
    made = api.do("POST", ns + "pods", pod("a", initContainers=[{"name": "i", "image": "i"}]), 201)
    got = made["spec"]["containers"][0]["resources"]
    assert got == {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "1Gi"}}, got
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c; "
        "cpu, memory request for init container i; cpu, memory limit for init container i")
    refused(api, ns, pod("b", {"requests": {"cpu": "50m"}}), "minimum cpu usage per Container is 100m, but request is 50m",
            "cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000", "forbidden: [")
    refused(api, ns, pod("b", {"limits": {"cpu": "2"}}), "maximum cpu usage per Container is 1, but limit is 2")
    refused(api, ns, pod("b", {"limits": {"memory": "3Gi"}}), "maximum memory usage per Pod is 2Gi, but limit is 3Gi")
    claim = {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
                                                 "resources": {"requests": {"storage": "500Mi"}}}}
    refused(api, ns, claim, "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi",
            resource="persistentvolumeclaims")
    claim["spec"]["resources"]["requests"]["storage"] = "3Gi"
    refused(api, ns, claim, "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi",
            resource="persistentvolumeclaims")


def warnings(api, method, path, body, code):
    r, data = api.raw(method, path, body, {"content-type": "application/merge-patch+json"} if method == "PATCH" else None)
    assert r.status == code, f"{r.status}: {data.decode()}"
    return [json.loads(w.split(" - ", 1)[1]) for w in r.headers.get_all("warning") or []]


def test_pod_security(api):
    labels = {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted",
              "pod-security.kubernetes.io/warn-version": "v1.20"}
    ns = space(api, "secure", labels)
    refused(api, ns, pod("a", hostNetwork=True),
            'pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)')
    told = warnings(api, "POST", ns + "pods", pod("a"), 201)
    assert len(told) == 1 and told[0].startswith('would violate PodSecurity "restricted:v1.20": allowPrivilegeEscalation != false'
                                                 ' (container "c" must set'), told
    assert "capabilities" not in told[0], "that rule is younger"
    assert not warnings(api, "PATCH", ns + "pods/a", {"metadata": {"labels": {"x": "y"}}}, 200), "nothing that matters changed"
    made = base.deployment("d")
    made["spec"]["template"]["spec"]["hostPID"] = True
    told = warnings(api, "POST", "/apis/apps/v1/namespaces/secure/deployments", made, 201)
    assert len(told) == 1 and "host namespaces (hostPID=true), allowPrivilegeEscalation" in told[0], told
    wrong = api.patch("/api/v1/namespaces/secure", {"metadata": {"labels": {"pod-security.kubernetes.io/audit": "none"}}}, code=422)
    assert wrong["details"]["causes"][0]["field"] == "metadata.labels[pod-security.kubernetes.io/audit]", wrong
    told = warnings(api, "PATCH", "/api/v1/namespaces/secure",
                    {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}, 200)
    assert told == ['existing pods in namespace "secure" violate the new PodSecurity enforce level "restricted:latest"',
                    "a: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile"], told
    refused(api, ns, pod("b"), 'violates PodSecurity "restricted:latest"')


def test_priority(api):
    ns = space(api, "priority")
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    api.do("POST", classes, {"metadata": {"name": "calm"}, "value": 5, "globalDefault": True, "preemptionPolicy": "Never"}, 201)
    assert "calm is already marked as default" in api.do("POST", classes, {
        "metadata": {"name": "other"}, "value": 6, "globalDefault": True}, 403)["message"]
    made = api.do("POST", ns + "pods", pod("a"), 201)["spec"]
    assert (made["priorityClassName"], made["priority"], made["preemptionPolicy"]) == ("calm", 5, "Never"), made
    refused(api, ns, pod("b", priority=7), "the integer value of priority (7) must not be provided")
    refused(api, ns, pod("b", preemptionPolicy="PreemptLowerPriority"), "the string value of PreemptionPolicy (PreemptLowerPriority)")
    refused(api, ns, pod("b", priorityClassName="none"), "no PriorityClass with name none was found")
    back = api.do("GET", ns + "pods/a")
    del back["spec"]["priority"], back["spec"]["preemptionPolicy"]
    assert api.do("PUT", ns + "pods/a", back)["spec"]["priority"] == 5, "what admission filled in stays"
    assert api.do("POST", ns + "pods", pod("s", priorityClassName="system-node-critical"), 201)["spec"]["priority"] == 2000001000
    api.do("DELETE", classes + "/calm")


def test_runtime_class(api):
    ns = space(api, "runtime-class")
    api.do("POST", "/apis/node.k8s.io/v1/runtimeclasses", {
        "metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": {"cpu": "250m"}},
        "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]}}, 201)
    made = api.do("POST", ns + "pods", pod("a", runtimeClassName="vm", nodeSelector={"x": "y"}), 201)["spec"]
    assert made["overhead"] == {"cpu": "250m"} and made["nodeSelector"] == {"vm": "yes", "x": "y"}, made
    assert {"key": "vm", "operator": "Exists"} in made["tolerations"]
    refused(api, ns, pod("b", runtimeClassName="none"), 'RuntimeClass "none" not found')
    refused(api, ns, pod("b", runtimeClassName="vm", overhead={"cpu": "1"}), "Overhead doesn't match")
    refused(api, ns, pod("b", overhead={"cpu": "1"}), "Pod Overhead set without corresponding RuntimeClass defined Overhead")
    refused(api, ns, pod("b", runtimeClassName="vm", nodeSelector={"vm": "no"}),
            "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no")


def test_default_classes(api):
    ns = space(api, "defaults")
    for name, mark in (("plain", {}), ("usual", {"storageclass.kubernetes.io/is-default-class": "true"})):
        api.do("POST", "/apis/storage.k8s.io/v1/storageclasses", {
            "metadata": {"name": name, "annotations": mark}, "provisioner": "x", "allowVolumeExpansion": name == "usual"}, 201)

    def claim(name, **more):
        return {"metadata": {"name": name}, "spec": dict({"accessModes": ["ReadWriteOnce"],
                                                          "resources": {"requests": {"storage": "1Gi"}}}, **more)}
    claims = ns + "persistentvolumeclaims"
    made = api.do("POST", claims, claim("a"), 201)
    assert made["spec"]["storageClassName"] == "usual" and made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert api.do("POST", claims, claim("b", storageClassName=""), 201)["spec"]["storageClassName"] == ""
    api.do("POST", claims, claim("p", storageClassName="plain"), 201)
    grow = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    for name in ("a", "p"):
        # Refused by validation, or by admission after it.
        message = api.do("PATCH", claims + "/" + name, grow, 403 if name == "none" else api.raw(
            "PATCH", claims + "/" + name, grow, {"content-type": "application/merge-patch+json"})[0].status,
            {"content-type": "application/merge-patch+json"})["message"]
        assert "bound" in message.lower(), message
        api.patch(claims + f"/{name}/status", {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}})
    api.patch(claims + "/a", grow)
    assert "storageclass that provisions the pvc must support resize" in api.patch(claims + "/p", grow, code=403)["message"]
    api.do("POST", "/apis/networking.k8s.io/v1/ingressclasses", {
        "metadata": {"name": "front", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": "example.com/c"}}, 201)
    ingress = {"metadata": {"name": "i"}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}
    made = api.do("POST", "/apis/networking.k8s.io/v1/namespaces/defaults/ingresses", ingress, 201)
    assert made["spec"]["ingressClassName"] == "front", made


def test_topology_labels(api):
    ns = space(api, "topology")
    zone, region = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
    api.do("POST", "/api/v1/nodes", {"metadata": {"name": "placed", "labels": {zone: "z", region: "r", "other": "x"}}}, 201)
    api.do("POST", ns + "pods", pod("a"), 201)
    api.do("POST", ns + "pods/a/binding", {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "placed"}}, 201)
    assert api.do("GET", ns + "pods/a")["metadata"]["labels"] == {zone: "z", region: "r"}
    own = pod("b", nodeName="placed")
    own["metadata"]["labels"] = {zone: "mine"}
    assert api.do("POST", ns + "pods", own, 201)["metadata"]["labels"] == {zone: "mine", region: "r"}
    assert "labels" not in api.do("POST", ns + "pods", pod("c", nodeName="nowhere"), 201)["metadata"]


def test_service_accounts(api):
    ns = space(api, "accounts")
    refused(api, ns, pod("a", serviceAccountName="none"), 'serviceaccount "none" not found')
    mirror = pod("m")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    made = dict(mirror, spec=dict(mirror["spec"], serviceAccountName="default"))
    refused(api, ns, made, "a mirror pod may not reference service accounts")
    secret = {"name": "v", "secret": {"secretName": "s"}}
    refused(api, ns, dict(mirror, spec=dict(mirror["spec"], volumes=[secret])), "a mirror pod may not reference secrets")
    api.do("POST", ns + "serviceaccounts", {
        "metadata": {"name": "strict", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}},
        "secrets": [{"name": "mine"}], "imagePullSecrets": [{"name": "pull"}], "automountServiceAccountToken": False}, 201)
    refused(api, ns, pod("a", serviceAccountName="strict", volumes=[secret]),
            'volume with secret.secretName="s" is not allowed because service account strict does not reference that secret')
    secret["secret"]["secretName"] = "mine"
    made = api.do("POST", ns + "pods", pod("a", serviceAccountName="strict", volumes=[secret]), 201)["spec"]
    assert made["imagePullSecrets"] == [{"name": "pull"}] and len(made["volumes"]) == 1, made


def test_namespaces_on_their_way_out(api):
    assert api.do("DELETE", "/api/v1/namespaces/default", code=403)["message"].endswith("this namespace may not be deleted")
    ns = space(api, "leaving")
    api.do("DELETE", "/api/v1/namespaces/leaving")
    status = api.do("POST", ns + "configmaps?dryRun=All", {"metadata": {"name": "x"}}, 403)
    assert status["details"]["causes"][0] == {"reason": "NamespaceTerminating", "field": "metadata.namespace",
                                              "message": "namespace leaving is being terminated"}, status


if __name__ == "__main__":
    sys.exit(base.main(__doc__, {n: f for n, f in globals().items() if n.startswith("test_")}))
