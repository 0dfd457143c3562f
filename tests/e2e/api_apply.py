#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_apply.py [--apiserver PROGRAM] [--only WORD]

Server-side apply and who owns what, over HTTP. What merging and ownership make of objects is judged by tests/judge; here is
what the server adds: codes, versions, subresources, what nobody owns, writes that change nothing.
"""
import json
import sys

import api as base

MAPS = base.MAPS
DEPLOYMENTS = base.DEPLOYMENTS
APPLY = {"content-type": "application/apply-patch+yaml"}


def config(name, data, **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict({"name": name}, **meta), "data": data}


def deployment(name, **spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


WHOLE = {"selector": {"matchLabels": {"a": "b"}},
         "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}


def entries(obj):
    return {(e["manager"], e["operation"], e.get("subresource", "")): e for e in obj["metadata"].get("managedFields", [])}


def test_refusals(api):
    path = MAPS + "/refused"
    assert "fieldManager" in api.do("PATCH", path, config("refused", {}), 422, APPLY)["message"]
    status = api.apply(path, {"kind": "ConfigMap", "metadata": {"name": "refused"}}, "me", 400)
    assert status["message"] == "invalid object type: /, Kind=ConfigMap", status
    status = api.apply(path, dict(config("refused", {}), apiVersion="apps/v1"), "me", 400)
    assert status["message"] == "invalid object type: apps/v1, Kind=ConfigMap", status
    assert "does not match the name on the URL" in api.apply(path, config("other", {}), "me", 400)["message"]
    status = api.apply(path, config("refused", {}, managedFields=[{"manager": "x"}]), "me", 400)
    assert status["message"] == "metadata.managedFields must be nil", status
    status = api.apply(DEPLOYMENTS + "/refused", deployment("refused", replicas="3", strategies=1), "me", 500)
    assert status["message"].startswith("failed to create typed patch object (default/refused; apps/v1, Kind=Deployment): errors:\n"), status
    assert ".spec.replicas: expected numeric (int or float), got string" in status["message"], status
    assert ".spec.strategies: field not declared in schema" in status["message"], status
    api.do("GET", path, code=404)


def test_conflict_and_force(api):
    path = MAPS + "/fought"
    api.apply(path, config("fought", {"a": "1", "b": "1"}), "one", 201)
    api.patch(path, {"data": {"b": "2"}}, "merge-patch+json")
    status = api.apply(path, config("fought", {"a": "2", "b": "3"}), "two", 409)
    assert status["reason"] == "Conflict" and len(status["details"]["causes"]) == 2, status
    assert 'conflicts with "one":\n- .data.a' in status["message"], status
    assert " using v1:\n- .data.b" in status["message"] and " at 2" not in status["message"], status
    assert {c["reason"] for c in status["details"]["causes"]} == {"FieldManagerConflict"}
    taken = api.apply(path, config("fought", {"a": "2", "b": "3"}), "two", force=True)
    assert set(entries(taken)) == {("two", "Apply", "")}, taken
    assert api.apply(path, config("fought", {"a": "2"}), "two")["data"] == {"a": "2"}


def test_no_change_is_no_write(api):
    path = MAPS + "/same"
    first = api.apply(path, config("same", {"a": "1"}, labels={"l": "x"}), "one", 201)
    assert api.apply(path, config("same", {"a": "1"}, labels={"l": "x"}), "one") == first
    api.patch(path, {"data": {"a": "1"}})
    assert api.do("GET", path) == first
    body = dict(deployment("same", **WHOLE))
    first = api.apply(DEPLOYMENTS + "/same", body, "one", 201)
    assert api.apply(DEPLOYMENTS + "/same", body, "one") == first
    body["spec"] = dict(body["spec"], strategy={})
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1000m"}}
    changed = api.apply(DEPLOYMENTS + "/same", body, "one")
    again = api.apply(DEPLOYMENTS + "/same", body, "one")
    assert again["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"], (changed, again)


def test_what_nobody_owns(api):
    """What the server's strategies and admission add."""
    made = api.do("POST", base.PODS + "?fieldManager=me", base.pod("unowned"), 201)
    mine = json.dumps(entries(made)[("me", "Update", "")]["fieldsV1"])
    assert "f:restartPolicy" in mine and "f:serviceAccountName" not in mine and "kube-api-access" not in mine, mine
    made = api.do("POST", base.SERVICES + "?fieldManager=me", {"metadata": {"name": "unowned"}, "spec": {"ports": [{"port": 80}]}}, 201)
    mine = entries(made)[("me", "Update", "")]["fieldsV1"]["f:spec"]
    assert "f:clusterIP" not in mine and "f:sessionAffinity" in mine, mine
    assert 'k:{"port":80,"protocol":"TCP"}' in mine["f:ports"], mine


def test_reset_and_before_first_apply(api):
    path = MAPS + "/reset"
    api.do("POST", MAPS, config("reset", {"a": "1"}), 201)
    bare = api.patch(path, {"metadata": {"managedFields": []}})
    assert "managedFields" not in bare["metadata"], bare
    bare = api.patch(path, {"data": {"b": "1"}})
    assert "managedFields" not in bare["metadata"], "not tracked until somebody applies"
    got = entries(api.apply(path, config("reset", {"a": "2"}), "one", force=True))
    assert set(got) == {("before-first-apply", "Update", ""), ("one", "Apply", "")}, got
    assert "f:a" not in got[("before-first-apply", "Update", "")]["fieldsV1"]["f:data"], got
    api.patch(path, {"metadata": {"managedFields": [{}]}})


def test_from_client_side_apply(api):
    path = MAPS + "/moved"
    last = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "moved"}, "data": {"a": "1"}})
    api.do("POST", MAPS + "?fieldManager=kubectl-client-side-apply",
           config("moved", {"a": "1"}, annotations={"kubectl.kubernetes.io/last-applied-configuration": last}), 201)
    api.apply(path, config("moved", {"a": "2"}), "other", 409)
    moved = api.apply(path, config("moved", {"a": "2"}), "kubectl")
    last = json.loads(moved["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
    assert last["data"] == {"a": "2"}, last


def test_scale(api):
    path = DEPLOYMENTS + "/scaled"
    api.apply(path, deployment("scaled", replicas=2, **WHOLE), "owner", 201)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "scaled"}, "spec": {"replicas": 5}}
    status = api.apply(path + "/scale", scale, "scaler", 409)
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "owner": .spec.replicas', status
    done = api.apply(path + "/scale", scale, "scaler", force=True)
    assert done["kind"] == "Scale" and done["spec"]["replicas"] == 5, done
    got = api.do("GET", path)
    mine = entries(got)[("scaler", "Apply", "scale")]
    assert mine["apiVersion"] == "apps/v1" and mine["fieldsV1"] == {"f:spec": {"f:replicas": {}}}, mine
    assert "f:replicas" not in entries(got)[("owner", "Apply", "")]["fieldsV1"]["f:spec"], got
    status = api.apply(path, deployment("scaled", replicas=2, **WHOLE), "owner", 409)
    assert 'conflict with "scaler" with subresource "scale": .spec.replicas' in status["message"], status
    api.patch(path + "/scale?fieldManager=hand", {"spec": {"replicas": 3}})
    got = entries(api.do("GET", path))
    assert ("hand", "Update", "scale") in got and ("scaler", "Apply", "scale") not in got, got


def test_status(api):
    path = DEPLOYMENTS + "/stated"
    api.apply(path, dict(deployment("stated", **WHOLE), status={"replicas": 7}), "owner", 201)
    assert api.do("GET", path).get("status", {}).get("replicas", 0) == 0
    done = api.apply(path + "/status", dict(deployment("stated", replicas=9), status={"replicas": 4}), "controller")
    assert done["status"]["replicas"] == 4 and done["spec"]["replicas"] == 1, done
    mine = entries(done)[("controller", "Apply", "status")]
    assert mine["fieldsV1"] == {"f:status": {"f:replicas": {}}}, mine


def test_dry_run(api):
    path = MAPS + "/dry"
    assert api.do("PATCH", path + "?fieldManager=x&dryRun=All", config("dry", {"a": "1"}), 201, APPLY)["data"] == {"a": "1"}
    api.do("GET", path, code=404)


def test_yaml_duplicates(api):
    path = MAPS + "/twice"
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: twice\ndata:\n  a: x\n  a: z\n"
    status = api.do("PATCH", path + "?fieldManager=x&fieldValidation=Strict", text, 400, APPLY)
    assert status["message"] == ("error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
                                 '  line 7: key "a" already set in map'), status
    r, data = api.raw("PATCH", path + "?fieldManager=x", text, APPLY)
    assert r.status == 201 and 'already set in map' in r.headers["warning"], (r.status, r.headers)
    r, data = api.raw("PATCH", path + "?fieldManager=x&fieldValidation=Ignore", text, APPLY)
    assert r.status == 200 and "warning" not in r.headers, (r.status, data)


def test_versions(api):
    """Each manager in the version that it used."""
    path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/h"
    body = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}
    made = api.apply(path, body, "one", 201)
    mine = entries(made)[("one", "Apply", "")]
    assert mine["apiVersion"] == "autoscaling/v1" and "f:targetCPUUtilizationPercentage" in mine["fieldsV1"]["f:spec"], mine
    assert api.apply(path, body, "one") == made


def test_string_data(api):
    """Who writes stringData owns data."""
    path = "/api/v1/namespaces/default/secrets"
    made = api.do("POST", path + "?fieldManager=one", {"metadata": {"name": "folded"}, "stringData": {"a": "b"}}, 201)
    assert made["data"] == {"a": "Yg=="} and "stringData" not in made, made
    owned = entries(made)[("one", "Update", "")]["fieldsV1"]
    assert owned == {"f:data": {".": {}, "f:a": {}}, "f:type": {}}, owned
    for kind in ("merge-patch+json", "strategic-merge-patch+json"):
        key = kind[0]
        made = api.patch(path + "/folded?fieldManager=two", {"stringData": {key: "c"}}, kind)
        assert made["data"] == dict(made["data"], a="Yg==", **{key: "Yw=="}), made
        assert "f:" + key in entries(made)[("two", "Update", "")]["fieldsV1"]["f:data"], made
    assert "stringData" not in json.dumps(made), made


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
