#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_core.py [--apiserver PROGRAM] [--only WORD]

Core kinds as their users meet them: the mistakes that are made every day and what they are told, what is filled in, and
what may be changed later. Raw HTTP and kubectl against the API server alone.
"""
import json
import subprocess
import sys

import api as base
from api import PODS, SERVICES, pod
from api_admission import space

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


def kubectl(api, *arguments, stdin=None, fails=False):
    r = subprocess.run(["kubectl", "--server", "http://" + api.address, *arguments], input=stdin, capture_output=True, text=True,
                       timeout=60)
    assert (r.returncode != 0) == fails, f"kubectl {' '.join(arguments)}: {r.stdout}{r.stderr}"
    return r.stderr if fails else r.stdout


def service(name, **spec):
    return {"metadata": {"name": name}, "spec": dict({"ports": [{"port": 80}]}, **spec)}


def causes(status):
    assert status["reason"] == "Invalid", status
    return [(c["field"], c["reason"], c["message"]) for c in status["details"]["causes"]]


def fields(status):
    return [c[0] for c in causes(status)]


def changed(api, path, code=200, **spec):
    return api.patch(path, {"spec": spec}, code=code)


# ---- what people are told ----

def test_kubectl_warns(api):
    manifest = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: warned}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {beta.kubernetes.io/os: linux}
      containers: [{name: c, image: i, env: [{name: A, value: a}, {name: A, value: b}]}]
"""
    def told(*arguments):
        r = subprocess.run(["kubectl", "--server", "http://" + api.address, *arguments, "-f", "-"], input=manifest,
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return [l for l in r.stderr.splitlines() if l.startswith("Warning: ")]
    texts = ['Warning: spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
             'Warning: spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply']
    assert told("create") == texts
    assert told("replace") == []  # nothing is new
    kubectl(api, "delete", "deployment", "warned")
    r, _ = api.raw("GET", "/api/v1/namespaces/default/endpoints")
    assert r.getheader("warning") == '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    assert api.raw("GET", SERVICES)[0].getheader("warning") is None


def test_kubectl_tells_the_mistake(api):
    manifest = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: Web_1}
spec:
  replicas: -1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: other}}
    spec:
      restartPolicy: Never
      containers:
      - name: c
        ports: [{containerPort: 70000}]
        volumeMounts: [{name: none, mountPath: /x}]
        resources: {requests: {cpu: 2}, limits: {cpu: 1}}
"""
    told = kubectl(api, "create", "-f", "-", stdin=manifest, fails=True)
    for part in ('metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain',
                 "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                 'spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`',
                 "spec.template.spec.containers[0].image: Required value",
                 "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                 'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "none"',
                 'spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
                 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'):
        assert part in told, f"{part}\nis not in\n{told}"


def test_every_cause_is_told(api):
    status = api.do("POST", PODS, {"metadata": {"name": "bad", "labels": {"a": "b c"}}, "spec": {
        "volumes": [{"name": "v", "hostPath": {"path": "/a"}, "emptyDir": {}}],
        "containers": [{"name": "c", "env": [{"name": ""}]}, {"name": "c", "image": "i"}], "dnsPolicy": "Mine"}}, 422)
    assert fields(status) == ["metadata.labels", "spec.volumes[0].hostPath", "spec.containers[0].image",
                              "spec.containers[0].env[0].name", "spec.containers[1].name", "spec.dnsPolicy"], fields(status)
    assert status["message"].startswith('Pod "bad" is invalid: ['), status


def test_pod_update_tells_the_difference(api):
    api.do("POST", PODS, pod("fixed"), 201)
    told = kubectl(api, "patch", "pod", "fixed", "-p", '{"spec":{"hostname":"other"}}', fails=True)
    assert "pod updates may not change fields other than `spec.containers[*].image`" in told, told
    assert '+hostname: "other"' in told, told
    kubectl(api, "set", "image", "pod/fixed", "c=other")
    status = api.patch(PODS + "/fixed", {"spec": {"activeDeadlineSeconds": -1}}, code=422)
    assert "spec.activeDeadlineSeconds" in fields(status)
    api.do("DELETE", PODS + "/fixed?gracePeriodSeconds=0")


# ---- what is filled in ----

def test_pod_defaults(api):
    manifest = """
apiVersion: v1
kind: Pod
metadata: {name: filled}
spec:
  hostNetwork: true
  volumes:
  - {name: s, secret: {secretName: x}}
  - {name: h, hostPath: {path: /x}}
  - {name: e}
  - {name: i, image: {reference: "a/b:latest"}}
  - {name: p, projected: {sources: [{downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}]}}
  containers:
  - name: c
    image: web
    ports: [{containerPort: 80}]
    livenessProbe: {httpGet: {port: 80}}
    resources: {limits: {cpu: 1500m, memory: 1024Mi}}
"""
    kubectl(api, "create", "-f", "-", stdin=manifest)
    spec = json.loads(kubectl(api, "get", "pod", "filled", "-o", "json"))["spec"]
    want = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "securityContext": {},
            "terminationGracePeriodSeconds": 30, "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority"}
    assert {k: spec.get(k) for k in want} == want, spec
    c = spec["containers"][0]
    assert c["imagePullPolicy"] == "Always" and c["terminationMessagePath"] == "/dev/termination-log", c
    assert c["terminationMessagePolicy"] == "File" and c["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}], c
    assert c["livenessProbe"] == {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
                                  "successThreshold": 1, "failureThreshold": 3}, c
    assert c["resources"]["requests"] == {"cpu": "1500m", "memory": "1Gi"} == c["resources"]["limits"], c
    v = {x["name"]: x for x in spec["volumes"]}
    assert v["s"]["secret"]["defaultMode"] == 420 and v["h"]["hostPath"]["type"] == "" and v["e"]["emptyDir"] == {}, v
    assert v["i"]["image"]["pullPolicy"] == "Always", v
    assert v["p"]["projected"]["sources"][0]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1", v
    kubectl(api, "delete", "pod", "filled", "--now")


def test_pod_level_resources(api):
    made = api.do("POST", PODS, pod("level", resources={"limits": {"cpu": "2", "memory": "1Gi"}}, containers=[
        {"name": "a", "image": "i", "resources": {"requests": {"cpu": "500m"}}},
        {"name": "b", "image": "i", "resources": {"requests": {"cpu": "250m"}}}]), 201)
    assert made["spec"]["resources"]["requests"] == {"cpu": "750m", "memory": "1Gi"}, made["spec"]["resources"]
    api.do("DELETE", PODS + "/level?gracePeriodSeconds=0")


def test_gated_pod(api):
    terms = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}}
    made = api.do("POST", PODS, pod("gated", schedulingGates=[{"name": "a"}, {"name": "b"}], nodeSelector={"x": "y"}), 201)
    scheduled = made["status"]["conditions"][0]
    assert (scheduled["type"], scheduled["status"], scheduled["reason"]) == ("PodScheduled", "False", "SchedulingGated"), made
    path = PODS + "/gated"
    changed(api, path, nodeSelector={"z": "1"})
    assert fields(changed(api, path, 422, nodeSelector={"x": "2"})) == ["spec.nodeSelector"]
    changed(api, path, affinity=terms)
    assert changed(api, path, schedulingGates=[{"name": "b"}])["spec"]["schedulingGates"] == [{"name": "b"}]
    assert fields(changed(api, path, 422, schedulingGates=[{"name": "b"}, {"name": "c"}])) == ["spec.schedulingGates[1].name"]
    changed(api, path, schedulingGates=None)
    assert fields(changed(api, path, 422, nodeSelector={"w": "1"})) == ["spec"]
    api.do("DELETE", path + "?gracePeriodSeconds=0")


def test_label_keys_become_requirements(api):
    made = api.do("POST", PODS, pod("spread", metadata={"labels": {"app": "a", "v": "7"}}, topologySpreadConstraints=[
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["v", "absent"],
         "labelSelector": {"matchLabels": {"app": "a"}}}]), 201)
    selector = made["spec"]["topologySpreadConstraints"][0]["labelSelector"]
    assert selector["matchExpressions"] == [{"key": "v", "operator": "In", "values": ["7"]}], selector
    api.patch(PODS + "/spread", {"metadata": {"labels": {"x": "y"}}})
    api.do("DELETE", PODS + "/spread?gracePeriodSeconds=0")


def test_host_network_of_a_template_is_no_port(api):
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
        "hostNetwork": True, "containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}],
                                              "resources": {"limits": {"cpu": "1"}}}]}}}
    made = api.do("POST", base.DEPLOYMENTS, {"metadata": {"name": "hosted"}, "spec": spec}, 201)
    c = made["spec"]["template"]["spec"]["containers"][0]
    assert "hostPort" not in c["ports"][0] and "requests" not in c["resources"] and c["imagePullPolicy"] == "IfNotPresent", c


# ---- services ----

def test_service_life(api):
    path = SERVICES + "/life"
    made = api.do("POST", SERVICES, service("life"), 201)["spec"]
    ip = made["clusterIP"]
    assert made["clusterIPs"] == [ip] and made["ipFamilies"] == ["IPv4"] and made["ipFamilyPolicy"] == "SingleStack", made
    assert made["sessionAffinity"] == "None" and made["internalTrafficPolicy"] == "Cluster" and made["type"] == "ClusterIP", made
    assert made["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}], made
    port = changed(api, path, type="NodePort")["spec"]
    assert port["clusterIP"] == ip and port["externalTrafficPolicy"] == "Cluster" and port["ports"][0]["nodePort"], port
    balancer = changed(api, path, type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
    assert balancer["allocateLoadBalancerNodePorts"] is True and balancer["healthCheckNodePort"], balancer
    assert balancer["ports"][0]["nodePort"] == port["ports"][0]["nodePort"], balancer
    back = changed(api, path, type="ClusterIP")["spec"]
    for member in ("externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"):
        assert member not in back, (member, back)
    assert "nodePort" not in back["ports"][0] and back["clusterIP"] == ip, back
    outside = changed(api, path, type="ExternalName", externalName="example.com")["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(outside), outside
    inside = changed(api, path, type="ClusterIP", externalName=None)["spec"]
    assert inside["clusterIP"] and inside["clusterIPs"] == [inside["clusterIP"]], inside
    api.do("DELETE", path)


def test_service_addresses_stay(api):
    path = SERVICES + "/stay"
    ip = api.do("POST", SERVICES, service("stay"), 201)["spec"]["clusterIP"]
    whole = api.do("GET", path)
    for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        del whole["spec"][member]
    assert api.do("PUT", path, whole)["spec"]["clusterIP"] == ip
    status = changed(api, path, 422, clusterIP="10.43.1.1")
    assert "may not change once set" in status["message"] and fields(status) == ["spec.clusterIPs[0]"], status
    status = changed(api, path, 422, clusterIP="None")
    assert "may not change once set" in status["message"], status
    api.do("DELETE", path)


def test_service_refusals(api):
    def told(**spec):
        return causes(api.do("POST", SERVICES, service("no", **spec), 422))
    assert told(ipFamilyPolicy="RequireDualStack")[0][0] == "spec.ipFamilyPolicy"
    assert told(ipFamilies=["IPv6"])[0][:2] == ("spec.ipFamilies[0]", "FieldValueInvalid")
    assert told(sessionAffinity="None", trafficDistribution="Far")[0][1] == "FieldValueNotSupported"
    assert told(type="NodePort", clusterIP="None")[0][0] == "spec.clusterIPs[0]"
    assert told(ports=[{"port": 80}, {"port": 81}])[0] == ("spec.ports[0].name", "FieldValueRequired", "Required value")
    made = api.do("POST", SERVICES, service("head", clusterIP="None"), 201)["spec"]
    assert made["clusterIPs"] == ["None"], made
    made = api.do("POST", SERVICES, service("sticky", sessionAffinity="ClientIP"), 201)["spec"]
    assert made["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}, made
    assert "sessionAffinityConfig" not in changed(api, SERVICES + "/sticky", sessionAffinity="None")["spec"]


# ---- storage, configuration ----

def test_claims(api):
    path = CLAIMS + "/c"
    made = api.do("POST", CLAIMS, {"metadata": {"name": "c"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        "dataSource": {"kind": "PersistentVolumeClaim", "name": "other"}}}, 201)
    assert made["spec"]["volumeMode"] == "Filesystem" and made["status"] == {"phase": "Pending"}, made
    assert made["spec"]["dataSourceRef"] == made["spec"]["dataSource"], made
    grow = {"requests": {"storage": "2Gi"}}
    status = changed(api, path, 422, resources=grow)
    assert "spec is immutable after creation except resources.requests and volumeAttributesClassName" in status["message"], status
    assert '-resources.requests.storage: "1Gi"\n+resources.requests.storage: "2Gi"' in status["message"], status
    changed(api, path, volumeName="v")
    assert fields(changed(api, path, 422, volumeName="w")) == ["spec"]
    made = api.do("POST", CLAIMS, {"metadata": {"name": "any"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        "dataSource": {"apiGroup": "example.com", "kind": "Other", "name": "x"}}}, 201)
    assert "dataSource" not in made["spec"], made
    # Older clients leave out what was filled in.
    before = api.do("GET", path)
    del before["spec"]["dataSourceRef"]
    assert api.do("PUT", path, before)["spec"]["dataSourceRef"] == before["spec"]["dataSource"]
    # Data out of another namespace is nothing that this version gives.
    made = api.do("POST", CLAIMS, {"metadata": {"name": "far"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "x", "namespace": "kube-system"}}}, 201)
    assert "dataSourceRef" not in made["spec"], made
    # A class may be given once, by the field; the annotation of old is fixed.
    changed(api, CLAIMS + "/far", storageClassName="fast")
    assert fields(changed(api, CLAIMS + "/far", 422, storageClassName="slow")) == ["spec"]
    beta = "volume.beta.kubernetes.io/storage-class"
    told = api.patch(CLAIMS + "/any", {"metadata": {"annotations": {beta: "x"}}, "spec": {"storageClassName": "x"}}, code=422)
    assert fields(told) == ["metadata.annotations." + beta], told


def test_phases_of_volumes(api):
    volumes = "/api/v1/persistentvolumes"
    made = api.do("POST", volumes, {"metadata": {"name": "pv"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}}, 201)
    began = made["status"]["lastPhaseTransitionTime"]
    assert made["status"]["phase"] == "Pending" and began, made
    status = volumes + "/pv/status"
    assert api.patch(status, {"status": {"lastPhaseTransitionTime": None}})["status"]["lastPhaseTransitionTime"] == began
    long_ago = "2020-01-01T00:00:00Z"
    assert api.patch(status, {"status": {"phase": "Available", "lastPhaseTransitionTime": long_ago}})["status"][
        "lastPhaseTransitionTime"] == long_ago
    assert api.patch(status, {"status": {"phase": "Bound"}})["status"]["lastPhaseTransitionTime"] >= began
    api.do("DELETE", volumes + "/pv")


def test_immutable_configuration(api):
    kubectl(api, "create", "secret", "generic", "frozen", "--from-literal=a=b")
    assert json.loads(kubectl(api, "get", "secret", "frozen", "-o", "json"))["type"] == "Opaque"
    kubectl(api, "patch", "secret", "frozen", "-p", '{"immutable":true}')
    told = kubectl(api, "patch", "secret", "frozen", "-p", '{"stringData":{"a":"c"}}', fails=True)
    assert "data: Forbidden: field is immutable when `immutable` is set" in told, told
    told = kubectl(api, "patch", "secret", "frozen", "-p", '{"type":"other"}', fails=True)
    assert 'type: Invalid value: "other": field is immutable' in told, told
    kubectl(api, "delete", "secret", "frozen")


def test_status_of_pods(api):
    api.do("POST", PODS, pod("stat", restartPolicy="Never"), 201)
    path = PODS + "/stat/status"
    ended = [{"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}]
    api.patch(path, {"status": {"phase": "Succeeded", "containerStatuses": ended}})
    again = [dict(ended[0], state={"running": {}})]
    assert fields(api.patch(path, {"status": {"containerStatuses": again}}, code=422)) == ["status.containerStatuses[0].state"]
    assert fields(api.patch(path, {"status": {"podIPs": [{"ip": "nowhere"}]}}, code=422)) == ["status.podIPs[0]"]
    seen = {"type": "Ready", "status": "True", "observedGeneration": 1}
    api.patch(path, {"status": {"observedGeneration": 1, "conditions": [seen]}})
    late = api.patch(path, {"status": {"observedGeneration": 0, "conditions": [dict(seen, status="False", observedGeneration=0)]}})
    assert late["status"]["observedGeneration"] == 1, late
    assert [c["observedGeneration"] for c in late["status"]["conditions"] if c["type"] == "Ready"] == [1], late
    # One address is the first of the addresses.
    assert api.patch(path, {"status": {"podIP": "10.0.0.9"}})["status"]["podIPs"] == [{"ip": "10.0.0.9"}]
    told = api.patch(path, {"status": {"ephemeralContainerStatuses": [dict(ended[0], allocatedResourcesStatus=[{"name": "a"}])]}},
                     code=422)
    assert fields(told) == ["status.ephemeralContainerStatuses[0].allocatedResourcesStatus"], told
    api.do("DELETE", PODS + "/stat?gracePeriodSeconds=0")


def test_gated_pods_stay(api):
    api.do("POST", PODS, pod("gated", schedulingGates=[{"name": "example.com/wait"}]), 201)
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "gated"}, "target": {"kind": "Node", "name": "n"}}
    told = api.do("POST", PODS + "/gated/binding", binding, 409)
    assert "pod gated has non-empty .spec.schedulingGates" in told["message"], told
    binding["target"] = {"kind": "Pod"}
    assert fields(api.do("POST", PODS + "/gated/binding", binding, 422)) == ["target.kind", "target.name"]
    api.do("DELETE", PODS + "/gated?gracePeriodSeconds=0")


def test_resize(api):
    api.do("POST", PODS, pod("big", resources={"requests": {"cpu": "2"}}), 201)
    path = PODS + "/big/resize"
    old = api.do("GET", PODS + "/big")
    assert api.patch(path, {"spec": {"resources": {"requests": {"cpu": "3"}}}})["spec"]["resources"]["requests"]["cpu"] == "3"
    two = dict(old, spec=dict(old["spec"], containers=old["spec"]["containers"] + [{"name": "second", "image": "i"}]))
    del two["metadata"]["resourceVersion"]
    assert fields(api.do("PUT", path, two, 422)) == ["spec.containers"]
    renamed = dict(two, spec=dict(old["spec"], containers=[dict(old["spec"]["containers"][0], name="other")]))
    assert fields(api.do("PUT", path, renamed, 422)) == ["spec"]
    # How to resize is not what a resize is about.
    policy = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    same = dict(two, spec=dict(old["spec"], containers=[dict(old["spec"]["containers"][0], resizePolicy=policy)]))
    assert "only cpu and memory resources are mutable" in api.do("PUT", path, same, 422)["message"]
    api.do("DELETE", PODS + "/big?gracePeriodSeconds=0")


def test_apparmor_annotations(api):
    key = "container.apparmor.security.beta.kubernetes.io/"
    p = pod("armored")
    name = p["spec"]["containers"][0]["name"]
    p["metadata"]["annotations"] = {key + name: "localhost/mine"}
    made = api.do("POST", PODS, p, 201)
    profile = made["spec"]["containers"][0]["securityContext"]["appArmorProfile"]
    assert profile == {"type": "Localhost", "localhostProfile": "mine"}, made
    api.do("DELETE", PODS + "/armored?gracePeriodSeconds=0")


def test_balancer_forgets(api):
    api.do("POST", SERVICES, service("forgets", type="LoadBalancer"), 201)
    api.patch(SERVICES + "/forgets/status", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}})
    assert changed(api, SERVICES + "/forgets", type="ClusterIP")["status"] == {"loadBalancer": {}}
    api.do("DELETE", SERVICES + "/forgets")


def test_dropped_members(api):
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    made = api.do("POST", accounts, {"metadata": {"name": "sa"}, "secrets": [{"name": "a", "namespace": "other", "uid": "u"}]}, 201)
    assert made["secrets"] == [{"name": "a"}], made
    api.do("DELETE", accounts + "/sa")
    node = {"metadata": {"name": "cfg"}, "spec": {"podCIDR": "10.9.0.0/24", "configSource": {"configMap": {
        "namespace": "a", "name": "b", "kubeletConfigKey": "c"}}}}
    made = api.do("POST", "/api/v1/nodes", node, 201)
    assert made["spec"].get("configSource") is None and made["spec"]["podCIDRs"] == ["10.9.0.0/24"], made
    api.do("DELETE", "/api/v1/nodes/cfg")


def test_node_taints(api):
    node = {"metadata": {"name": "old"}, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}
    api.do("POST", "/api/v1/nodes", node, 201)
    api.patch("/api/v1/nodes/old", {"metadata": {"labels": {"a": "b"}}})
    status = api.patch("/api/v1/nodes/old", {"spec": {"taints": [{"key": "a", "effect": "Sometimes"}]}}, code=422)
    assert fields(status) == ["metadata.taints[0].effect"], status
    api.do("DELETE", "/api/v1/nodes/old")


def test_empty_structs_are_there(api):
    """As Go's JSON writes them: clients in other languages read status.loadBalancer of what was just made."""
    ns = space(api, "filled")
    service = api.do("POST", ns + "services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}, 201)
    assert service["status"] == {"loadBalancer": {}}, service
    deployments = "/apis/apps/v1/namespaces/filled/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = api.do("POST", deployments, {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}, 201)
    assert made["status"] == {} and made["spec"]["template"]["spec"]["containers"][0]["resources"] == {}, made
    # They are nobody's change, and nobody's field.
    del made["status"], made["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert api.do("PUT", deployments + "/d", made)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    applied = api.apply(deployments + "/e", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "e"},
                                             "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}, "me", 201)
    assert applied["status"] == {}, applied
    owned = json.dumps(applied["metadata"]["managedFields"])
    assert "f:status" not in owned and "f:resources" not in owned, owned
    event = api.do("POST", ns + "events", {"metadata": {"name": "e"}, "involvedObject": {"namespace": "filled"}, "reason": "R", "type": "Normal"}, 201)
    assert event["source"] == {}, event
    assert api.do("GET", "/apis/events.k8s.io/v1/namespaces/filled/events/e")["eventTime"] is None
    scaler = {"metadata": {"name": "h"}, "spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}}
    made = api.do("POST", "/apis/autoscaling/v1/namespaces/filled/horizontalpodautoscalers", scaler, 201)
    assert made["status"] == {"currentReplicas": 0, "desiredReplicas": 0}, made


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
