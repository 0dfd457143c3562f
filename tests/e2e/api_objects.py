#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_objects.py [--apiserver PROGRAM] [--only WORD]

What objects look like when they are read again: what is written although nobody said it, what is left out although somebody
did, what kinds add by themselves. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import sys

import api as base

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
EVENTS = "/api/v1/namespaces/default/events"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


def test_nulls(api):
    """Lists without omitempty are null when they are empty, and that is no change; times are null."""
    for name, more in (("none", {}), ("empty", {"rules": []})):
        made = api.do("POST", ROLES, dict({"metadata": {"name": name}}, **more), 201)
        assert "rules" in made and made["rules"] is None, made
        assert api.do("GET", f"{ROLES}/{name}") == made
        assert api.do("PUT", f"{ROLES}/{name}", made) == made
    made = api.do("POST", SLICES, {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": []}, 201)
    assert made["endpoints"] is None and made["ports"] is None and made["metadata"]["generation"] == 1, made
    again = api.do("PUT", SLICES + "/s", {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": []})
    assert again["metadata"]["generation"] == 1, again
    made = api.do("POST", EVENTS, {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}, 201)
    assert made["firstTimestamp"] is None and made["lastTimestamp"] is None and made["eventTime"] is None, made


def test_fields_that_are_off(api):
    """What waits behind a feature gate is known, so nobody is warned, and left out."""
    off = {"evictionResponders": [{"name": "x", "priority": 5}], "schedulingGroup": {"podGroupName": "g"}}
    made = api.do("POST", base.PODS + "?fieldValidation=Strict", base.pod("off", **off), 201)
    assert not set(off) & set(made["spec"]), made["spec"]
    probe = {"httpGet": {"port": 80, "protocol": "HTTP2"}}
    made = api.do("POST", base.PODS, base.pod("probe", containers=[{"name": "c", "image": "i", "livenessProbe": probe}]), 201)
    assert "protocol" not in made["spec"]["containers"][0]["livenessProbe"]["httpGet"], made["spec"]
    made = api.do("POST", LEASES, {"metadata": {"name": "l"}, "spec": {"strategy": "Any", "preferredHolder": "p"}}, 201)
    assert made["spec"] == {}, made["spec"]


def test_sets(api):
    """A StatefulSet names its pods itself, whatever its template says; one of them may be away during an update."""
    made = api.do("POST", "/apis/apps/v1/namespaces/default/statefulsets", {"metadata": {"name": "set"}, "spec": {
        "serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "hostname": "A_b", "subdomain": "A_b", "containers": [{"name": "c", "image": "i"}]}}}}, 201)
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}, made


def test_managers(api):
    """Nobody owns a status that came with the object, nor what the server adds after looking at who wrote what."""
    fields = lambda o: o["metadata"]["managedFields"][0]["fieldsV1"]
    made = api.do("POST", "/api/v1/namespaces", {"metadata": {"name": "owned"}}, 201)
    assert made["spec"]["finalizers"] == ["kubernetes"] and made["status"]["phase"] == "Active", made
    assert fields(made) == {"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}}, fields(made)
    made = api.do("POST", "/api/v1/nodes", {"metadata": {"name": "owned"}, "status": {"capacity": {"cpu": "1"}}}, 201)
    assert made["status"]["capacity"] == {"cpu": "1"} and "managedFields" not in made["metadata"], made


def test_daemon_sets_count_their_templates(api):
    sets = "/apis/apps/v1/namespaces/default/daemonsets"
    count = lambda o: o["metadata"]["annotations"]["deprecated.daemonset.template.generation"]
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
    assert count(api.do("POST", sets, body, 201)) == "1"
    assert count(api.do("PUT", sets + "/d", body)) == "1"
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "j"
    assert count(api.do("PUT", sets + "/d", body)) == "2"
    assert count(api.patch(sets + "/d", {"metadata": {"annotations": None}, "spec": {"minReadySeconds": 3}})) == "2"


def test_tables(api):
    """Columns that have a type of their own, and kinds with columns of their own."""
    def table(path):
        t = api.do("GET", path, headers={"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"})
        return {c["name"]: c["type"] for c in t["columnDefinitions"]}, [r["cells"] for r in t["rows"]]
    api.do("POST", base.MAPS, base.config("t"), 201)
    columns, rows = table(base.MAPS + "/t")
    assert columns == {"Name": "string", "Data": "string", "Age": "string"} and rows[0][:2] == ["t", 1], rows
    definition = {"metadata": {"name": "wides.example.com"}, "spec": {
        "group": "example.com", "scope": "Cluster", "names": {"plural": "wides", "kind": "Wide", "shortNames": ["w", "wi"]},
        "versions": [{"name": v, "served": s, "storage": v == "v1", "schema": {"openAPIV3Schema": {"type": "object"}}}
                     for v, s in (("v1", True), ("v1beta1", True), ("v1alpha1", False))]}}
    made = api.do("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition, 201)
    columns, rows = table("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/wides.example.com")
    assert columns["Established"] == "boolean" and rows[0][:3] == ["wides.example.com", "Cluster", "v1(storage),v1beta1"], rows
    assert rows[0][3:7] == [made["metadata"]["creationTimestamp"], "example.com", "Wide", "w,wi"], rows
    path = "/apis/resource.k8s.io/v1/devicetaintrules"
    made = api.do("POST", path, {"metadata": {"name": "t"}, "spec": {"taint": {"key": "example.com/k", "effect": "NoSchedule"}}}, 201)
    assert made["spec"]["taint"]["timeAdded"] == made["metadata"]["creationTimestamp"], made
    assert table(path + "/t")[1][0][:4] == ["t", "example.com/k", "", "NoSchedule"], table(path + "/t")


def test_warnings(api):
    def told(path, body):
        response, data = api.raw("POST", path + "?dryRun=All", body)
        assert response.status == 201, data
        return base.json.loads(data), response.headers.get_all("warning") or []
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"}
    made, warned = told(base.MAPS, {"metadata": {"name": "w", "ownerReferences": [owner, dict(owner), dict(owner, name="p")]}})
    assert made["metadata"]["ownerReferences"] == [owner, dict(owner, name="p")], made["metadata"]
    assert len(warned) == 1 and warned[0].endswith('duplicate UID(s) observed: u"'), warned
    _, warned = told(base.PODS, base.pod("x" * 62 + "." + "y"))
    assert len(warned) == 1 and "must be no more than 63 characters must not contain dots]" in warned[0], warned
    _, warned = told(base.SERVICES, {"metadata": {"name": "w"}, "spec": {"ports": [{"port": 80}], "externalIPs": ["203.0.113.1"]}})
    assert warned == ['299 - "spec.externalIPs is deprecated and may no longer be implemented in some clusters"'], warned


def test_names(api):
    """A name that is given isn't generated; a LimitRange without one gets one."""
    body = {"metadata": {"name": "given", "generateName": "gen-"}}
    api.do("POST", base.MAPS, body, 201)
    taken = api.do("POST", base.MAPS, body, 409)
    assert taken["message"] == ('configmaps "given" already exists, the server was not able to generate a unique name for the object'), taken
    assert taken["details"]["retryAfterSeconds"] == 1, taken
    body["metadata"]["finalizers"] = ["example.com/f"]
    api.do("PUT", base.MAPS + "/given", body)
    api.do("DELETE", base.MAPS + "/given")
    taken = api.do("POST", base.MAPS, {"metadata": {"name": "given"}}, 409)
    assert taken["message"] == 'object is being deleted: configmaps "given" already exists', taken
    api.do("PUT", base.MAPS + "/given", {"metadata": {"name": "given"}})
    made = api.do("POST", "/api/v1/namespaces/default/limitranges?dryRun=All", {"spec": {"limits": []}}, 201)
    assert len(made["metadata"]["name"]) == 36, made


def test_reviews(api):
    """Questions are told what is wrong with them; an answer has the managers of its question, or nothing of it."""
    access, local = "/apis/authorization.k8s.io/v1/", "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
    path = {"nonResourceAttributes": {"path": "/x", "verb": "get"}}
    made = api.do("POST", access + "selfsubjectaccessreviews", {"spec": path}, 201)
    assert list(made["metadata"]) == ["managedFields"] and made["spec"] == path and made["status"]["allowed"], made

    def told(kind, spec, metadata=None):
        status = api.do("POST", kind, {"metadata": metadata or {}, "spec": spec}, 422)
        return {(c["field"], c["message"]) for c in status["details"]["causes"]}
    one = ("spec", "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified")
    assert told(access + "selfsubjectaccessreviews", {}) == {one}
    assert told(access + "subjectaccessreviews", {}) == {one, ("spec.user", 'Invalid value: "": at least one of user or group must be specified')}
    (field, why), = told(access + "selfsubjectaccessreviews", path, {"name": "x"})
    assert field == "metadata" and why.endswith(": must be empty"), why
    assert told(local, {"user": "u", "resourceAttributes": {"namespace": "other"}}) == {
        ("spec.resourceAttributes.namespace", 'Invalid value: "other": must match metadata.namespace')}
    labels = {"labelSelector": {"requirements": [{"key": "a", "operator": "In"}]}}
    assert told(access + "selfsubjectaccessreviews", {"resourceAttributes": labels}) == {
        ("spec.resourceAttributes.labelSelector.requirements[0].values", "Required value: must be specified when `operator` is 'In' or 'NotIn'")}
    made = api.do("POST", access + "selfsubjectrulesreviews", {"metadata": {"name": "x"}, "spec": {"namespace": "default"}}, 201)
    assert made["metadata"] == {} and made["spec"] == {} and made["status"]["resourceRules"], made


def test_topology(api):
    """What once was the topology of an endpoint is not taken any more; a kind of addresses is warned of."""
    ends = [{"addresses": ["a.example.com"], "deprecatedTopology": {"a b": "c"}, "zone": "any zone"}]
    answer, data = api.raw("POST", SLICES, {"metadata": {"name": "fqdn"}, "addressType": "FQDN", "endpoints": ends, "ports": []})
    assert answer.status == 201, data
    assert "FQDN endpoints are deprecated" in answer.headers["warning"], answer.headers
    made = api.do("GET", SLICES + "/fqdn")
    assert "deprecatedTopology" not in made["endpoints"][0] and made["endpoints"][0]["zone"] == "any zone", made


def test_negative_grace(api):
    made = api.do("POST", base.PODS + "?dryRun=All", base.pod("grace", terminationGracePeriodSeconds=-1), 201)
    assert made["spec"]["terminationGracePeriodSeconds"] == 1, made["spec"]


def test_times(api):
    """A time that is none is told where it ends to be one; a MicroTime has all its digits."""
    def told(field, value):
        return api.do("POST", LEASES, {"metadata": {"name": "t"}, "spec": {field: value}}, 400)["message"]
    assert told("renewTime", "2026-01-01T00:00:00Z").endswith('as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"')
    assert told("renewTime", "x").endswith('cannot parse "x" as "2006"')
    api.do("POST", LEASES + "?dryRun=All", {"metadata": {"name": "t"}, "spec": {"renewTime": "2026-01-01T00:00:00.123456Z"}}, 201)
    bad = api.do("POST", base.MAPS, {"metadata": {"name": "t"}, "binaryData": {"a": "QUJ_"}}, 400)
    assert bad["message"].endswith("illegal base64 data at input byte 3"), bad


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
