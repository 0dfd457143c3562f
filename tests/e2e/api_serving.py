#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_serving.py [--apiserver PROGRAM] [--only WORD]

What surrounds the objects: health, metrics, discovery, OpenAPI, priority and fairness. Raw HTTP against the API server alone
(tests/e2e/apiserver.c), in memory.
"""
import http.client
import json
import re
import sys
import threading

import api as base

FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
DISCOVERY_V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.e+-]+)$')


def metrics(api):
    """{name: {labels: value}}; fails on what is not the text format."""
    r, data = api.raw("GET", "/metrics")
    assert r.status == 200 and r.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", r.headers
    found, declared = {}, {}
    for line in data.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in declared, f"{name} declared twice"
            declared[name] = kind
        elif not line.startswith("# HELP "):
            m = SAMPLE.match(line)
            assert m, line
            name, labels, value = m.groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in declared else name
            assert family in declared, f"{name} has no type"
            assert labels not in found.setdefault(name, {}), f"{line} twice"
            found[name][labels] = float(value)
    return found


def test_health(api):
    for endpoint in ("healthz", "livez", "readyz"):
        r, data = api.raw("GET", "/" + endpoint)
        assert (r.status, data) == (200, b"ok"), data
        assert r.headers["content-type"] == "text/plain; charset=utf-8"
        text = api.do("GET", f"/{endpoint}?verbose").decode()
        assert text.startswith("[+]ping ok\n[+]log ok\n[+]etcd ok\n") and text.endswith(f"{endpoint} check passed\n"), text
        assert ("[+]shutdown ok" in text) == (endpoint == "readyz"), text
        text = api.do("GET", f"/{endpoint}?verbose&exclude=etcd&exclude=log&exclude=nothing").decode()
        assert "[+]etcd excluded: ok\n" in text and "[+]log excluded: ok\n" in text and 'no matches for "nothing"' in text
        assert api.do("GET", f"/{endpoint}/ping") == b"ok"
        assert api.do("GET", f"/{endpoint}/poststarthook/rbac/bootstrap-roles") == b"ok"
        api.do("GET", f"/{endpoint}/nothing", code=404)
        assert api.do("POST", f"/{endpoint}", {}) == b"ok", "any method, as upstream"


def test_version(api):
    v = api.do("GET", "/version")
    assert v["minCompatibilityMajor"] == "1" and v["minCompatibilityMinor"] == "36", v
    api.do("POST", "/version", {}, 405)
    api.do("POST", "/api/v1", {}, 405)
    paths = api.do("GET", "/")["paths"]
    assert paths == sorted(paths) and {"/apis/", "/apis/apps", "/apis/apps/v1", "/version"} <= set(paths), paths
    assert v["major"] == "1" and v["minor"] == "37" and re.match(r"v1\.37\.\d+", v["gitVersion"])
    assert re.fullmatch(r"linux/[a-z0-9]+", v["platform"])


def test_metrics(api):
    create = ('code="201",component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",'
              'verb="POST",version="v1"')
    before = metrics(api)["apiserver_request_total"].get(create, 0)
    for i in range(3):
        api.do("POST", base.MAPS, {"metadata": {"name": f"m{i}"}}, 201)
    api.do("POST", base.MAPS, {"metadata": {"name": "m0"}}, 409)
    api.apply(base.MAPS + "/m0", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m0"}}, "me", force=True)
    api.do("GET", "/apis/no.such.group/v1/things", code=404)
    m = metrics(api)
    assert m["apiserver_request_total"][create] == before + 3
    assert m["apiserver_request_total"][create.replace("201", "409")] == 1
    assert m["apiserver_request_total"][create.replace("201", "200").replace("POST", "APPLY")] == 1
    series = create.split(",", 1)[1]
    count = m["apiserver_request_duration_seconds_count"][series]
    assert count == before + 4 and m["apiserver_request_duration_seconds_bucket"][series + ',le="+Inf"'] == count
    assert 0 < m["apiserver_request_duration_seconds_sum"][series] < 60
    assert m["apiserver_resource_objects"]['group="",resource="configmaps"'] >= 3
    assert m["process_resident_memory_bytes"][None] > 1e6 and m["process_cpu_seconds_total"][None] >= 0
    assert not any("things" in labels for labels in m["apiserver_request_total"]), "clients make series"
    watch = api.watch(base.MAPS + "?watch=1&timeoutSeconds=5")
    next(watch)
    assert metrics(api)["apiserver_longrunning_requests"]['component="apiserver",verb="WATCH"'] == 1
    for i in range(3):
        api.do("DELETE", base.MAPS + f"/m{i}")


def test_discovery_etags(api):
    for path, accept in (("/api", DISCOVERY_V2), ("/apis", DISCOVERY_V2), ("/openapi/v3", "*/*"), ("/openapi/v2", "*/*")):
        r, data = api.raw("GET", path, headers={"accept": accept})
        etag = r.headers["etag"]
        assert r.status == 200 and re.fullmatch(r'"[0-9A-F]+"', etag), (path, etag)
        assert "Accept" in r.headers["vary"]
        r, data = api.raw("GET", path, headers={"accept": accept, "if-none-match": etag})
        assert (r.status, data) == (304, b""), (path, r.status)
        r, data = api.raw("GET", path, headers={"accept": accept, "if-none-match": '"0"'})
        assert r.status == 200 and r.headers["etag"] == etag
    groups = api.do("GET", "/apis", headers={"accept": DISCOVERY_V2})
    assert groups["kind"] == "APIGroupDiscoveryList" and groups["apiVersion"] == "apidiscovery.k8s.io/v2"
    # Both forms of discovery tell the same.
    for group in groups["items"]:
        name = group["metadata"]["name"]
        for version in group["versions"]:
            flat = {x["name"]: x for x in api.do("GET", f"/apis/{name}/{version['version']}")["resources"]}
            seen = set()
            for x in version["resources"]:
                assert flat[x["resource"]]["verbs"] == x["verbs"] and flat[x["resource"]]["kind"] == x["responseKind"]["kind"]
                assert flat[x["resource"]]["namespaced"] == (x["scope"] == "Namespaced")
                assert flat[x["resource"]].get("shortNames") == x.get("shortNames")
                seen.add(x["resource"])
                for s in x.get("subresources", []):
                    seen.add(x["resource"] + "/" + s["subresource"])
            assert seen == set(flat), (name, seen ^ set(flat))


def test_openapi(api):
    r, data = api.raw("GET", "/openapi/v2", headers={"accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"})
    assert r.status == 200 and r.headers["content-type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    v2 = api.do("GET", "/openapi/v2")
    assert v2["swagger"] == "2.0" and len(v2["definitions"]) > 500
    for name, d in v2["definitions"].items():
        assert d.get("description"), name
        for field, p in d.get("properties", {}).items():
            assert p.get("description"), f"{name}.{field}"
    index = api.do("GET", "/openapi/v3")["paths"]
    kinds = 0
    for path, entry in index.items():
        url = entry["serverRelativeURL"]
        assert re.fullmatch(rf"/openapi/v3/{re.escape(path)}\?hash=[0-9A-F]+", url), url
        r, data = api.raw("GET", url)
        doc = json.loads(data)
        assert doc["openapi"].startswith("3.0"), path
        refs = set(re.findall(r'"#/components/schemas/([^"]+)"', data.decode()))
        assert refs <= set(doc["components"]["schemas"]), refs - set(doc["components"]["schemas"])
        kinds += sum(1 for s in doc["components"]["schemas"].values() if "x-kubernetes-group-version-kind" in s)
    assert kinds > 100
    api.do("GET", "/openapi/v3/apis/no.such/v1", code=404)


def test_flow_objects(api):
    levels = {o["metadata"]["name"] for o in api.do("GET", FLOW + "/prioritylevelconfigurations")["items"]}
    assert {"exempt", "catch-all", "system", "node-high", "leader-election", "workload-high", "workload-low",
            "global-default"} <= levels
    schemas = {o["metadata"]["name"]: o for o in api.do("GET", FLOW + "/flowschemas")["items"]}
    assert all(o["spec"]["priorityLevelConfiguration"]["name"] in levels for o in schemas.values())
    # The mandatory ones come back; of the others only what says so.
    watch = api.watch(FLOW + "/flowschemas?watch=1&fieldSelector=metadata.name%3Dcatch-all")
    next(watch)
    api.do("DELETE", FLOW + "/flowschemas/catch-all")
    assert [next(watch)["type"] for _ in range(2)] == ["DELETED", "ADDED"]
    watch = api.watch(FLOW + "/prioritylevelconfigurations?watch=1&fieldSelector=metadata.name%3Dsystem")
    next(watch)
    share = lambda e: e["object"]["spec"]["limited"]["nominalConcurrencyShares"]
    api.patch(FLOW + "/prioritylevelconfigurations/system", {"spec": {"limited": {"nominalConcurrencyShares": 7}}})
    assert [share(next(watch)) for _ in range(2)] == [7, 30]
    api.patch(FLOW + "/prioritylevelconfigurations/system",
              {"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}},
               "spec": {"limited": {"nominalConcurrencyShares": 7}}})
    assert share(next(watch)) == 7
    api.patch(FLOW + "/prioritylevelconfigurations/system", {"metadata": {"labels": {"a": "b"}}})
    assert share(next(watch)) == 7


def level(name, limit, **queuing):
    response = {"type": "Queue", "queuing": queuing} if queuing else {"type": "Reject"}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": limit, "borrowingLimitPercent": 0, "limitResponse": response}}}


def schema(name, to, resource):
    return {"metadata": {"name": name}, "spec": {
        "priorityLevelConfiguration": {"name": to}, "matchingPrecedence": 5,
        "rules": [{"subjects": [{"kind": "Group", "group": {"name": "system:unauthenticated"}}],
                   "resourceRules": [{"verbs": ["*"], "apiGroups": [""], "resources": [resource], "namespaces": ["*"]}]}]}}


def dangling(o):
    return {c["status"] for c in o.get("status", {}).get("conditions", []) if c["type"] == "Dangling"}


def test_dangling(api):
    api.do("POST", FLOW + "/flowschemas", schema("to-nowhere", "nowhere", "podtemplates"), 201)
    watch = api.watch(FLOW + "/flowschemas?watch=1&fieldSelector=metadata.name%3Dto-nowhere")
    for event in watch:
        if dangling(event["object"]) == {"True"}:
            break
    api.do("POST", FLOW + "/prioritylevelconfigurations", level("nowhere", 10), 201)
    for event in watch:
        if dangling(event["object"]) == {"False"}:
            break
    api.do("DELETE", FLOW + "/flowschemas/to-nowhere")
    api.do("DELETE", FLOW + "/prioritylevelconfigurations/nowhere")


def test_flood_costs_only_itself(api):
    """Many list secrets at once in a level of a single seat; others are served, and headers say how requests were sorted."""
    for i in range(300):
        api.do("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": f"s{i:03}"}, "stringData": {"x": "y" * 2000}},
               201)
    uid = api.do("POST", FLOW + "/prioritylevelconfigurations", level("narrow", 1, queues=1, handSize=1, queueLengthLimit=5),
                 201)["metadata"]["uid"]
    api.do("POST", FLOW + "/flowschemas", schema("narrow", "narrow", "secrets"), 201)
    codes, lock = {}, threading.Lock()

    def lists():
        c = http.client.HTTPConnection(api.address, timeout=base.WATCH_S)
        for _ in range(10):
            c.request("GET", "/api/v1/namespaces/default/secrets?pretty=true")
            r = c.getresponse()
            data = r.read()
            with lock:
                codes[r.status] = codes.get(r.status, 0) + 1
            assert r.headers["x-kubernetes-pf-prioritylevel-uid"] == uid
            if r.status == 429:
                assert r.headers["retry-after"] == "1" and json.loads(data)["reason"] == "TooManyRequests"
    threads = [threading.Thread(target=lists) for _ in range(24)]
    for t in threads:
        t.start()
    for _ in range(30):
        r, data = api.raw("GET", base.MAPS)
        assert r.status == 200 and r.headers["x-kubernetes-pf-prioritylevel-uid"] != uid
    for t in threads:
        t.join()
    assert set(codes) <= {200, 429} and codes[200] >= 10, codes
    m = metrics(api)
    assert m["apiserver_flowcontrol_current_executing_seats"]['priority_level="narrow"'] == 0
    assert m["apiserver_flowcontrol_current_inqueue_requests"]['priority_level="narrow"'] == 0
    assert m["apiserver_flowcontrol_rejected_requests_total"]['priority_level="narrow",reason="queue-full"'] == codes.get(429, 0)
    api.do("DELETE", FLOW + "/flowschemas/narrow")
    api.do("DELETE", FLOW + "/prioritylevelconfigurations/narrow")
    api.do("DELETE", "/api/v1/namespaces/default/secrets")


def test_component_statuses(api):
    """The kind that is read and not stored, in every form; a list of it once ended the server."""
    path = "/api/v1/componentstatuses"
    names = ["controller-manager", "etcd-0", "scheduler"]
    found = api.do("GET", path)
    assert [o["metadata"]["name"] for o in found["items"]] == names and found["kind"] == "ComponentStatusList", found
    assert all(o["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}] for o in found["items"]), found
    assert [o["metadata"]["name"] for o in api.do("GET", path + "?fieldSelector=metadata.name%3Detcd-0")["items"]] == ["etcd-0"]
    assert len(api.do("GET", path + "?limit=1")["items"]) == 3
    table = api.do("GET", path, headers={"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"})
    assert [row["cells"][:3] for row in table["rows"]] == [[n, "Healthy", "ok"] for n in names], table
    for accept in ("application/vnd.kubernetes.protobuf", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"):
        assert api.raw("GET", path, headers={"accept": accept})[0].status == 200
    assert api.do("GET", path + "/scheduler")["metadata"]["name"] == "scheduler"
    assert api.do("GET", path + "/nobody", code=404)["details"]["name"] == "nobody"
    for method, at in (("GET", "?watch=true"), ("POST", ""), ("DELETE", "/scheduler")):
        assert api.raw(method, path + at, {} if method == "POST" else None)[0].status == 405


def test_reviews_are_no_tables(api):
    """Asked for as one they are refused: once that ended the server."""
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}, "user": "u"}
    table = "application/json;as=Table;g=meta.k8s.io;v=v1"
    for path, fields in (("authorization.k8s.io/v1/selfsubjectaccessreviews", ["resourceAttributes"]),
                         ("authorization.k8s.io/v1/subjectaccessreviews", ["resourceAttributes", "user"]),
                         ("authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews", ["resourceAttributes", "user"]),
                         ("authorization.k8s.io/v1/selfsubjectrulesreviews", []),
                         ("authentication.k8s.io/v1/selfsubjectreviews", [])):
        body = {"spec": {name: spec[name] for name in fields}}
        r, data = api.raw("POST", "/apis/" + path, body, headers={"accept": table})
        assert r.status == 406 and json.loads(data)["reason"] == "NotAcceptable", (path, r.status, data)
        r, data = api.raw("POST", "/apis/" + path, body, headers={"accept": table + ",application/json"})
        assert r.status in (201, 400, 422) and json.loads(data)["kind"] != "Table", (path, r.status, data)
        r, data = api.raw("POST", "/apis/" + path, body, headers={"accept": table.replace("Table", "PartialObjectMetadata")})
        assert r.status in (201, 400, 422) and json.loads(data)["kind"] in ("PartialObjectMetadata", "Status"), (path, r.status, data)


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
