#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api.py [--apiserver PROGRAM] [--only WORD]

What clients of the API rely on beyond single kinds: codes and Status objects, revisions and conflicts, patches, apply, lists in
chunks, selectors, watches, deletion, allocation. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import argparse
import gzip
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import traceback

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WATCH_S = 10


class Api:
    def __init__(self, address):
        self.address = address

    def raw(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection(self.address, timeout=WATCH_S)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        c.request(method, path, data, dict({"content-type": "application/json"}, **(headers or {})))
        r = c.getresponse()
        return r, r.read()

    def do(self, method, path, body=None, code=200, headers=None):
        r, data = self.raw(method, path, body, headers)
        assert r.status == code, f"{method} {path}: {r.status}, expected {code}: {data.decode()[:400]}"
        return json.loads(data) if data[:1] == b"{" else data

    def patch(self, path, body, kind="merge-patch+json", code=200):
        return self.do("PATCH", path, body, code, {"content-type": "application/" + kind})

    def apply(self, path, body, manager, code=200, force=False):
        return self.do("PATCH", f"{path}?fieldManager={manager}&force={str(force).lower()}", body, code,
                       {"content-type": "application/apply-patch+yaml"})

    def watch(self, path):
        c = http.client.HTTPConnection(self.address, timeout=WATCH_S)
        c.request("GET", path)
        r = c.getresponse()
        assert r.status == 200, r.status
        return (json.loads(line) for line in iter(r.readline, b""))


def pod(name, **more):
    return {"metadata": dict({"name": name}, **more.pop("metadata", {})),
            "spec": dict({"containers": [{"name": "c", "image": "i"}]}, **more)}


def config(name, **more):
    return dict({"metadata": {"name": name}, "data": {"a": "b"}}, **more)


def test_codes(api):
    assert api.do("GET", MAPS + "/none", code=404)["message"] == 'configmaps "none" not found'
    assert api.do("GET", "/apis/none.example.com/v1/x", code=404) == b"404 page not found\n"
    for path in ("/api/v2", "/api/v1/none", "/apis/apps/v9", "/apis/apps/v1/none", "/apis/apps/v1/namespaces/x/none/y", PODS + "/x/log/y"):
        for method in ("GET", "POST", "DELETE"):
            status = api.do(method, path, {} if method == "POST" else None, 404)
            assert status["message"] == "the server could not find the requested resource" and status["details"] == {}, status
    assert api.do("PUT", MAPS, {}, code=405)["details"] == {}
    assert "name must be provided" in api.do("PUT", MAPS + "/x", {"data": {}}, 400)["message"]
    api.do("POST", MAPS + "/x", {}, code=405)
    api.do("GET", MAPS, code=406, headers={"accept": "text/html"})
    api.do("POST", MAPS, b"a=b", code=415, headers={"content-type": "text/plain"})
    api.do("PATCH", MAPS + "/x", b"{}", code=415, headers={"content-type": "application/json"})
    api.do("POST", MAPS, b"{", code=400)
    api.do("POST", MAPS, b"", code=400)
    api.do("POST", MAPS, b"[]", code=400)
    api.do("POST", MAPS, {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "x"}}, code=400)
    api.do("POST", MAPS, {"metadata": {"name": "x", "namespace": "other"}}, code=400)
    api.do("POST", "/api/v1/namespaces/none/configmaps", config("x"), code=404)
    status = api.do("POST", MAPS, {"metadata": {"name": "Not_Valid"}}, code=422)
    assert status["reason"] == "Invalid" and status["details"]["causes"][0]["field"] == "metadata.name", status
    api.do("POST", MAPS, {"metadata": {}}, code=422)
    api.do("GET", MAPS + "?labelSelector=a==b==c", code=400)
    api.do("GET", MAPS + "?fieldSelector=data.a=b", code=400)
    api.do("GET", MAPS + "?limit=x", code=400)
    api.do("GET", MAPS + "?continue=zzz", code=400)
    api.do("GET", MAPS + "/%zz", code=400)


def test_create(api):
    made = api.do("POST", MAPS, config("c1"), 201)
    assert made["metadata"]["uid"] and made["metadata"]["creationTimestamp"] and made["kind"] == "ConfigMap"
    assert api.do("POST", MAPS, config("c1"), 409)["reason"] == "AlreadyExists"
    named = api.do("POST", MAPS, {"metadata": {"generateName": "gen-"}}, 201)["metadata"]["name"]
    assert named.startswith("gen-") and len(named) == 9
    status = api.do("POST", MAPS + "?dryRun=&fieldManager=%01&fieldValidation=x", config("x"), 422)
    assert status["message"] == ('CreateOptions.meta.k8s.io "" is invalid: [dryRun: Unsupported value: [""]: supported values: "All", '
                                 'fieldManager: Invalid value: "\\u0001": invalid character U+0001 (at position 0), fieldValidation: '
                                 'Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn"]'), status["message"]
    dry = api.do("POST", MAPS + "?dryRun=All", config("dry"), 201)
    assert dry["metadata"]["uid"] and "resourceVersion" not in dry["metadata"]
    api.do("GET", MAPS + "/dry", code=404)
    api.do("POST", MAPS + "?dryRun=Some", config("dry"), 422)
    api.do("POST", MAPS, {"metadata": {"name": "x", "resourceVersion": "7"}}, 400)


def test_field_validation(api):
    body = b'{"metadata":{"name":"fv"},"data":{"a":"1"},"data":{"a":"2"},"nosuch":1}'
    status = api.do("POST", MAPS + "?fieldValidation=Strict", body, 400)
    assert 'unknown field "nosuch"' in status["message"] and 'duplicate field "data"' in status["message"], status
    r, _ = api.raw("POST", MAPS + "?fieldValidation=Warn", body)
    assert r.status == 201 and any("nosuch" in w for w in r.headers.get_all("warning")), r.headers
    api.do("DELETE", MAPS + "/fv")
    r, _ = api.raw("POST", MAPS + "?fieldValidation=Ignore", body)
    assert r.status == 201 and not r.headers.get_all("warning")


def test_update(api):
    made = api.do("POST", MAPS, config("u1"), 201)
    made["data"]["a"] = "c"
    put = api.do("PUT", MAPS + "/u1", made)
    assert int(put["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert put["metadata"]["uid"] == made["metadata"]["uid"]
    status = api.do("PUT", MAPS + "/u1", made, 409)
    assert status["reason"] == "Conflict" and "the object has been modified" in status["message"]
    again = api.do("PUT", MAPS + "/u1", put)
    assert again["metadata"]["resourceVersion"] == put["metadata"]["resourceVersion"], "an update without a change is no write"
    free = api.do("PUT", MAPS + "/u1", config("u1", data={"z": "1"}))
    assert free["data"] == {"z": "1"} and free["metadata"]["uid"] == made["metadata"]["uid"]
    api.do("PUT", MAPS + "/u1", config("u2"), 400)
    api.do("PUT", MAPS + "/none", config("none"), 404)


def test_patches(api):
    api.do("POST", DEPLOYMENTS, deployment("pt"), 201)
    path = DEPLOYMENTS + "/pt"
    spec = {"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}]}}}}
    both = api.patch(path, spec, "strategic-merge-patch+json")
    assert sorted(c["name"] for c in both["spec"]["template"]["spec"]["containers"]) == ["c", "d"]
    assert both["metadata"]["generation"] == 2
    one = api.patch(path, spec)
    assert [c["name"] for c in one["spec"]["template"]["spec"]["containers"]] == ["d"]
    two = api.patch(path, [{"op": "replace", "path": "/spec/replicas", "value": 7}], "json-patch+json")
    assert two["spec"]["replicas"] == 7
    api.patch(path, [{"op": "test", "path": "/spec/replicas", "value": 8}], "json-patch+json", 422)
    api.patch(path, {"metadata": {"resourceVersion": "1"}}, code=409)
    api.patch(path, {"metadata": {"name": "other"}}, code=400)
    api.patch(path, {"spec": {"replicas": -1}}, code=422)
    api.patch(DEPLOYMENTS + "/none", {}, code=404)
    three = api.patch(path, {"metadata": {"labels": {"x": "y"}}})
    assert three["metadata"]["generation"] == two["metadata"]["generation"], "labels are no new generation"


def deployment(name):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"a": name}}, "template": {
                "metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}


def test_apply(api):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ap"}, "data": {"a": "1", "b": "1"}}
    api.apply(MAPS + "/ap", body, "one", 201)
    owned = api.do("GET", MAPS + "/ap")["metadata"]["managedFields"]
    assert [(m["manager"], m["operation"]) for m in owned] == [("one", "Apply")], owned
    status = api.apply(MAPS + "/ap", dict(body, data={"a": "2"}), "two", 409)
    assert status["details"]["causes"][0]["reason"] == "FieldManagerConflict", status
    assert api.apply(MAPS + "/ap", dict(body, data={"a": "2"}), "two", force=True)["data"] == {"a": "2", "b": "1"}
    assert api.apply(MAPS + "/ap", dict(body, data={}), "one")["data"] == {"a": "2"}
    api.do("PATCH", MAPS + "/ap", body, 422, {"content-type": "application/apply-patch+yaml"})


def test_status_and_scale(api):
    api.do("POST", DEPLOYMENTS, dict(deployment("st"), status={"replicas": 9}), 201)
    path = DEPLOYMENTS + "/st"
    assert "replicas" not in api.do("GET", path).get("status", {})
    api.patch(path, {"status": {"replicas": 9}})
    assert "replicas" not in api.do("GET", path).get("status", {})
    done = api.patch(path + "/status", {"status": {"replicas": 9}, "spec": {"replicas": 50}})
    assert done["status"]["replicas"] == 9 and done["spec"]["replicas"] == 2 and done["metadata"]["generation"] == 1
    scale = api.do("GET", path + "/scale")
    assert scale["kind"] == "Scale" and scale["spec"]["replicas"] == 2 and scale["status"]["selector"] == "a=st"
    scale["spec"]["replicas"] = 5
    dry = api.do("PUT", path + "/scale?dryRun=All", scale)
    assert dry["kind"] == "Scale" and dry["spec"]["replicas"] == 5 and api.do("GET", path)["spec"]["replicas"] == 2, dry
    assert api.do("PUT", path + "/scale", scale)["spec"]["replicas"] == 5
    api.do("PUT", path + "/scale", scale, 409)
    assert api.do("GET", path)["metadata"]["generation"] == 2


def test_lists(api):
    for i in range(7):
        api.do("POST", MAPS, {"metadata": {"name": f"l{i}", "labels": {"list": "yes", "odd": str(i % 2)}}}, 201)
    got, token, revision = [], "", None
    while token is not None:
        page = api.do("GET", f"{MAPS}?limit=3&labelSelector=list&continue={token}")
        got += [o["metadata"]["name"] for o in page["items"]]
        revision = revision or page["metadata"]["resourceVersion"]
        assert page["metadata"]["resourceVersion"] == revision, "chunks show one revision"
        token = page["metadata"].get("continue")
        api.do("DELETE", MAPS + "/" + got[0], code=200 if len(got) == 3 else 404)
    assert got == [f"l{i}" for i in range(7)], got
    page = api.do("GET", MAPS + "?limit=1")
    assert page["metadata"]["remainingItemCount"] > 3 and page["kind"] == "ConfigMapList"
    assert len(api.do("GET", MAPS + "?labelSelector=list,odd=1")["items"]) == 3
    assert len(api.do("GET", MAPS + "?fieldSelector=metadata.name%3Dl1")["items"]) == 1
    exact = api.do("GET", f"{MAPS}?labelSelector=list&resourceVersion={revision}&resourceVersionMatch=Exact")
    assert len(exact["items"]) == 7
    status = api.do("GET", MAPS + "?resourceVersion=99999999", code=504)
    assert status["reason"] == "Timeout" and status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    api.do("GET", MAPS + "?resourceVersionMatch=Exact", code=422)


def test_forms(api):
    api.do("POST", MAPS, config("form"), 201)
    table = api.do("GET", MAPS + "/form", headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert table["kind"] == "Table" and table["rows"][0]["cells"][0] == "form"
    assert table["columnDefinitions"][0]["name"] == "Name"
    partial = api.do("GET", MAPS, headers={"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"})
    assert partial["kind"] == "PartialObjectMetadataList" and all("data" not in o for o in partial["items"])
    _, text = api.raw("GET", MAPS + "/form", headers={"accept": "application/yaml"})
    assert b"apiVersion: v1\n" in text
    r, data = api.raw("GET", MAPS + "/form", headers={"accept": "application/vnd.kubernetes.protobuf"})
    assert data[:4] == b"k8s\0" and r.headers["content-type"] == "application/vnd.kubernetes.protobuf"
    api.do("POST", MAPS, config("big", data={"x": "y" * 300000}), 201)
    r, data = api.raw("GET", MAPS + "/big", headers={"accept-encoding": "gzip"})
    assert r.headers["content-encoding"] == "gzip" and json.loads(gzip.decompress(data))["data"]["x"] == "y" * 300000
    api.do("POST", MAPS, b"metadata:\n  name: from-yaml\n", 201, {"content-type": "application/yaml"})


def test_watch(api):
    start = api.do("GET", MAPS)["metadata"]["resourceVersion"]
    api.do("POST", MAPS, config("w1"), 201)
    api.patch(MAPS + "/w1", {"metadata": {"labels": {"w": "1"}}})
    api.patch(MAPS + "/w1", {"metadata": {"labels": {"w": "2"}}})
    api.do("DELETE", MAPS + "/w1")
    events = api.watch(f"{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=5")
    seen = [next(events) for _ in range(4)]
    assert [e["type"] for e in seen] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    revisions = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen]
    assert revisions == sorted(set(revisions)) and revisions[0] > int(start)
    events = api.watch(f"{MAPS}?watch=1&resourceVersion={start}&labelSelector=w%3D1&timeoutSeconds=5")
    assert [next(events)["type"] for _ in range(2)] == ["ADDED", "DELETED"], "across the border of the selection"
    api.do("POST", MAPS, config("w2"), 201)
    events = api.watch(f"{MAPS}?watch=1&fieldSelector=metadata.name%3Dw2&sendInitialEvents=true&allowWatchBookmarks=true"
                       "&resourceVersionMatch=NotOlderThan&timeoutSeconds=1")
    assert next(events)["type"] == "ADDED"
    mark = next(events)
    assert mark["type"] == "BOOKMARK" and mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
    assert list(events) == [], "ends after its timeout"
    api.do("GET", MAPS + "?watch=1&sendInitialEvents=true", code=422)
    api.do("GET", MAPS + "?watch=1&resourceVersion=99999999", code=504)


def test_delete(api):
    made = api.do("POST", MAPS, config("d1"), 201)
    api.do("DELETE", MAPS + "/d1", {"preconditions": {"uid": "other"}}, 409)
    api.do("DELETE", MAPS + "/d1?dryRun=All")
    status = api.do("DELETE", MAPS + "/d1", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert status["status"] == "Success" and status["details"]["uid"] == made["metadata"]["uid"], status
    api.do("DELETE", MAPS + "/d1", code=404)
    api.do("POST", MAPS, config("d2", metadata={"name": "d2", "finalizers": ["example.com/hold"]}), 201)
    held = api.do("DELETE", MAPS + "/d2")
    assert held["metadata"]["deletionTimestamp"] and held["kind"] == "ConfigMap"
    api.patch(MAPS + "/d2", {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}}, code=422)
    api.patch(MAPS + "/d2", {"metadata": {"finalizers": None}})
    api.do("GET", MAPS + "/d2", code=404)
    api.do("POST", DEPLOYMENTS, deployment("fg"), 201)
    fg = api.do("DELETE", DEPLOYMENTS + "/fg?propagationPolicy=Foreground")
    assert fg["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.do("DELETE", DEPLOYMENTS + "/fg?propagationPolicy=Sideways", code=422)
    for i in range(3):
        api.do("POST", MAPS, {"metadata": {"name": f"dc{i}", "labels": {"dc": str(i > 0)}}}, 201)
    gone = api.do("DELETE", MAPS + "?labelSelector=dc%3DTrue")
    assert sorted(o["metadata"]["name"] for o in gone["items"]) == ["dc1", "dc2"]
    api.do("GET", MAPS + "/dc0")


def test_pods(api):
    made = api.do("POST", PODS, pod("p1"), 201)
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"]["serviceAccountName"] == "default" and made["spec"]["priority"] == 0
    assert made["spec"]["volumes"][0]["name"].startswith("kube-api-access-")
    assert api.do("GET", PODS + "?fieldSelector=spec.nodeName%3Dn1")["items"] == []
    bind = {"target": {"kind": "Node", "name": "n1"}, "metadata": {"name": "p1"}}
    api.do("POST", PODS + "/p1/binding", bind, 201)
    bound = api.do("GET", PODS + "/p1")
    assert bound["spec"]["nodeName"] == "n1" and bound["status"]["conditions"][0]["type"] == "PodScheduled"
    assert "already assigned" in api.do("POST", PODS + "/p1/binding", bind, 409)["message"]
    assert len(api.do("GET", PODS + "?fieldSelector=spec.nodeName%3Dn1")["items"]) == 1
    api.patch(PODS + "/p1", {"spec": {"nodeName": "n2"}}, code=422)
    going = api.do("DELETE", PODS + "/p1")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert api.do("DELETE", PODS + "/p1?gracePeriodSeconds=5")["metadata"]["deletionGracePeriodSeconds"] == 5
    assert api.do("DELETE", PODS + "/p1?gracePeriodSeconds=60")["metadata"]["deletionGracePeriodSeconds"] == 5
    api.do("DELETE", PODS + "/p1?gracePeriodSeconds=0")
    api.do("GET", PODS + "/p1", code=404)
    api.do("POST", PODS, pod("none", serviceAccountName="none"), 403)
    api.do("POST", PODS, pod("p2", metadata={"labels": {"pdb": "y"}}), 201)
    api.do("POST", PODS + "/p2/binding", dict(bind, metadata={"name": "p2"}), 201)
    api.patch(PODS + "/p2/status", {"status": {"phase": "Running"}})
    api.do("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
           {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"pdb": "y"}}}}, 201)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p2"}}
    status = api.do("POST", PODS + "/p2/eviction", eviction, 429)
    assert status["details"]["causes"][0]["reason"] == "DisruptionBudget"
    api.do("DELETE", "/apis/policy/v1/namespaces/default/poddisruptionbudgets/b")
    assert api.do("POST", PODS + "/p2/eviction", eviction, 201)["status"] == "Success"
    assert api.do("GET", PODS + "/p2")["metadata"]["deletionTimestamp"]


def test_services(api):
    made = api.do("POST", SERVICES, {"metadata": {"name": "s1"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}, 201)
    ip, port = made["spec"]["clusterIP"], made["spec"]["ports"][0]["nodePort"]
    assert ip.startswith("10.43.") and made["spec"]["clusterIPs"] == [ip] and 30000 <= port <= 32767
    taken = {"metadata": {"name": "s2"}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}}
    assert "already allocated" in api.do("POST", SERVICES, taken, 422)["message"]
    taken = {"metadata": {"name": "s2"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}}
    assert "already allocated" in api.do("POST", SERVICES, taken, 422)["message"]
    free = {"metadata": {"name": "s1"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    kept = api.do("PUT", SERVICES + "/s1", free)
    assert kept["spec"]["clusterIP"] == ip and kept["spec"]["ports"][0]["nodePort"] == port
    plain = api.patch(SERVICES + "/s1", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in plain["spec"]["ports"][0]
    api.do("POST", SERVICES, taken, 201)
    api.do("DELETE", SERVICES + "/s1")
    api.do("POST", SERVICES, {"metadata": {"name": "s3"}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}}, 201)
    headless = api.do("POST", SERVICES, {"metadata": {"name": "s4"}, "spec": {"clusterIP": "None"}}, 201)
    assert headless["spec"]["clusterIPs"] == ["None"]
    name = api.do("POST", SERVICES, {"metadata": {"name": "s5"},
                                     "spec": {"type": "ExternalName", "externalName": "a.example.com"}}, 201)
    assert "clusterIP" not in name["spec"]


def test_secrets_and_events(api):
    made = api.do("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}, 201)
    assert made["data"] == {"a": "Yg=="} and "stringData" not in made and made["type"] == "Opaque"
    event = {"metadata": {"name": "e1", "namespace": "default"}, "reason": "r", "message": "m",
             "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}}
    api.do("POST", "/api/v1/namespaces/default/events", event, 201)
    other = api.do("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e1")
    assert other["note"] == "m" and other["regarding"]["name"] == "p" and other["apiVersion"] == "events.k8s.io/v1"
    assert len(api.do("GET", "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp")["items"]) == 1


def test_reviews(api):
    review = api.do("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                    {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}, 201)
    assert review["status"]["allowed"] is True
    who = api.do("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, 201)
    assert who["status"]["userInfo"]["username"] == "system:anonymous"


def test_documents(api):
    assert api.do("GET", "/version")["minor"] == "37"
    assert api.do("GET", "/readyz") == b"ok" and b"[+]ping ok" in api.do("GET", "/livez?verbose")
    both = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    r, data = api.raw("GET", "/apis", headers={"accept": both})
    assert json.loads(data)["kind"] == "APIGroupDiscoveryList" and r.headers["etag"]
    r, _ = api.raw("GET", "/apis", headers={"accept": both, "if-none-match": r.headers["etag"]})
    assert r.status == 304
    index = api.do("GET", "/openapi/v3")["paths"]
    assert "api/v1" in index and "apis/apps/v1" in index
    assert "components" in api.do("GET", index["apis/apps/v1"]["serverRelativeURL"])
    assert b"apiserver_request_total" in api.do("GET", "/metrics")


class Agent(threading.Thread):
    """Stands in for a node agent: tells what it was asked, echoes upgraded connections, refuses paths that end in refused."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []
        self.start()

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line)
        if "upgrade: websocket" in head.decode().lower() and "refused" not in line:
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
            while piece := connection.recv(65536):
                connection.sendall(piece)
        else:
            code = "403 Forbidden" if "refused" in line else "200 OK"
            connection.sendall(f"HTTP/1.1 {code}\r\nContent-Type: text/plain\r\nContent-Length: 200000\r\n\r\n".encode())
            connection.sendall(b"x" * 200000)
        connection.close()


def test_proxy(api):
    agent = Agent()
    api.do("POST", "/api/v1/nodes", {"metadata": {"name": "agent"}, "status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}}}}, 201)
    api.do("POST", PODS, pod("px"), 201)
    assert api.do("GET", PODS + "/px/log", code=204) == b"", "no node, nothing written yet"
    api.do("POST", PODS + "/px/binding", {"target": {"kind": "Node", "name": "agent"}, "metadata": {"name": "px"}}, 201)
    assert api.do("GET", PODS + "/px/log?follow=true&tailLines=5") == b"x" * 200000
    assert agent.asked[-1] == "GET /containerLogs/default/px/c?follow=true&tailLines=5 HTTP/1.1", agent.asked
    api.do("GET", PODS + "/px/log?container=none", code=400)
    assert api.do("GET", "/api/v1/nodes/agent/proxy/some/thing?q=1") == b"x" * 200000
    assert agent.asked[-1] == "GET /some/thing?q=1 HTTP/1.1", agent.asked
    api.do("GET", "/api/v1/nodes/agent/proxy/refused", code=403)
    api.do("POST", PODS + "/px/exec?command=ls", code=400)
    host, port = api.address.split(":")
    with socket.create_connection((host, int(port)), WATCH_S) as s:
        s.sendall(f"GET {PODS}/px/exec?command=ls&command=-l&stdin=true&stdout=true HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
        got = b""
        while not got.endswith(b"hello"):
            piece = s.recv(65536)
            assert piece, got
            got += piece
        assert got.startswith(b"HTTP/1.1 101 "), got
        sent, got = b"y" * 1000000, b""
        threading.Thread(target=s.sendall, args=[sent], daemon=True).start()
        while len(got) < len(sent):
            piece = s.recv(65536)
            assert piece, len(got)
            got += piece
        assert got == sent
    assert agent.asked[-1] == "GET /exec/default/px/c?input=1&output=1&command=ls&command=-l HTTP/1.1", agent.asked
    api.do("DELETE", PODS + "/px?gracePeriodSeconds=0")


def main(description=__doc__, functions=None):
    """Runs the test_ functions of this or another file against a server of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--apiserver", default="build/tests/e2e/apiserver")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    process = subprocess.Popen([options.apiserver, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    api = Api(process.stdout.readline().strip())
    api.do("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}}, 201)
    failed = 0
    tests = [(n, f) for n, f in (functions or globals()).items() if n.startswith("test_") and options.only in n]
    for name, function in tests:
        try:
            function(api)
            print(f"ok    {name}", flush=True)
        except Exception:  # every test runs, whatever the one before it did
            failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        code = "no end at SIGTERM"
    if code:
        print(f"FAIL  the API server ended with {code}")
        failed += 1
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
