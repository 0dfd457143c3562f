#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_subresources.py [--apiserver PROGRAM] [--only WORD]

What the subresources of the built-in kinds do and refuse. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import http.server
import sys
import threading

import api as base
from api_admission import pod, space

BUDGETS = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"


def running(api, ns, name, ready=True):
    """A pod as it is when its node has started it."""
    body = pod(name)
    body["metadata"]["labels"] = {"app": "a"}
    api.do("POST", ns + "pods", body, 201)
    api.patch(ns + f"pods/{name}/status", {"status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True" if ready else "False"}]}})


def budget(api, space_name, name, status=None, **spec):
    path = BUDGETS.format(space_name)
    spec.setdefault("minAvailable", 1)
    api.do("POST", path, {"metadata": {"name": name}, "spec": dict({"selector": {"matchLabels": {"app": "a"}}}, **spec)}, 201)
    if status is not None:
        api.patch(path + f"/{name}/status", {"status": dict({"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 2,
                                                             "desiredHealthy": 2, "expectedPods": 3}, **status)})
    return path + "/" + name


def evict(api, ns, name, code=201, query="", **options):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    if options:
        body["deleteOptions"] = options
    return api.do("POST", ns + f"pods/{name}/eviction{query}", body, code)


def test_eviction_asks_the_budget(api):
    ns = space(api, "evict")
    for name in ("a", "b", "c"):
        running(api, ns, name)
    path = budget(api, "evict", "pdb")
    new = evict(api, ns, "a", 429)
    assert new["details"]["retryAfterSeconds"] == 10 and "still being processed" in new["details"]["causes"][0]["message"], new
    api.patch(path + "/status", {"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 3,
                                            "desiredHealthy": 2, "expectedPods": 3}})
    evict(api, ns, "a", query="?dryRun=All")
    evict(api, ns, "a", dryRun=["All"])
    evict(api, ns, "a", 409, preconditions={"uid": "another"})
    evict(api, ns, "a", 409, preconditions={"resourceVersion": "1"})
    assert api.do("GET", path)["status"]["disruptionsAllowed"] == 1, "nothing was evicted yet"
    done = evict(api, ns, "a", preconditions={"resourceVersion": api.do("GET", ns + "pods/a")["metadata"]["resourceVersion"]})
    assert done["kind"] == "Status" and done["status"] == "Success", done
    api.do("GET", ns + "pods/a", code=404)
    status = api.do("GET", path)["status"]
    assert status["disruptionsAllowed"] == 0 and list(status["disruptedPods"]) == ["a"], status
    assert status["conditions"][0]["reason"] == "InsufficientPods", status
    api.patch(path + "/status", {"status": {"currentHealthy": 2}})
    no = evict(api, ns, "b", 429)
    assert no["reason"] == "TooManyRequests" and no["details"]["causes"] == [{
        "reason": "DisruptionBudget", "message": "The disruption budget pdb needs 2 healthy pods and has 2 currently"}], no
    assert "retryAfterSeconds" not in no["details"]
    evict(api, ns, "none", 404)
    api.do("POST", ns + "pods/b/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "c"}}, 400)
    budget(api, "evict", "second")
    assert "more than one PodDisruptionBudget" in evict(api, ns, "b", 500)["message"]


def test_eviction_tells_the_pod(api):
    ns = space(api, "evict-told")
    running(api, ns, "a")
    api.patch(ns + "pods/a", {"metadata": {"finalizers": ["example.com/hold"]}})
    evict(api, ns, "a")
    held = api.do("GET", ns + "pods/a")
    told = [c for c in held["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert held["metadata"]["deletionTimestamp"] and told[0]["reason"] == "EvictionByEvictionAPI", held
    api.patch(ns + "pods/a", {"metadata": {"finalizers": None}})


def test_eviction_of_what_is_no_loss(api):
    ns = space(api, "evict-free")
    path = budget(api, "evict-free", "pdb", status={})
    running(api, ns, "sick", ready=False)
    running(api, ns, "done")
    api.patch(ns + "pods/done/status", {"status": {"phase": "Succeeded"}})
    api.do("POST", ns + "pods", dict(pod("pending"), metadata={"name": "pending", "labels": {"app": "a"}}), 201)
    for name in ("done", "pending", "sick"):
        evict(api, ns, name)
    running(api, ns, "sick2", ready=False)
    api.patch(path + "/status", {"status": {"currentHealthy": 1}})
    evict(api, ns, "sick2", 429)
    api.patch(path, {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}})
    evict(api, ns, "sick2")


def test_evictions_at_once(api):
    ns = space(api, "evict-race")
    names = [f"p{i}" for i in range(8)]
    for name in names:
        running(api, ns, name)
    path = budget(api, "evict-race", "pdb", status={"disruptionsAllowed": 2})
    codes = []

    def one(name):
        codes.append(api.raw("POST", ns + f"pods/{name}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction",
                                                                    "metadata": {"name": name}})[0].status)
    threads = [threading.Thread(target=one, args=[n]) for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(codes) == [201] * 2 + [429] * 6, codes
    assert len(api.do("GET", path)["status"]["disruptedPods"]) == 2


class Agent(http.server.BaseHTTPRequestHandler):
    """Stands for a node's agent: tells what it was asked."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        text = f"{self.command} {self.path} {body.decode()} {self.headers.get('authorization')}".encode()
        self.send_response(202)
        self.send_header("content-length", str(len(text)))
        self.send_header("x-agent", "yes")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

    def log_message(self, *_):
        pass


def node(api, name):
    """A node whose agent is this process."""
    agent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=agent.serve_forever, daemon=True).start()
    api.do("POST", "/api/v1/nodes", {"metadata": {"name": name}, "status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.server_port}}}}, 201)
    return agent


def test_node_proxy(api):
    agent = node(api, "proxied")
    path = "/api/v1/nodes/proxied/proxy"
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        r, text = api.raw(method, path + "/a/b%2Fc?x=1&y=", b"hello" if method in ("POST", "PUT", "PATCH") else None)
        sent = "hello" if method in ("POST", "PUT", "PATCH") else ""
        assert (r.status, r.headers["x-agent"]) == (202, "yes"), (method, r.status, text)
        assert text.decode() == f"{method} /a/b%2Fc?x=1&y= {sent} None", text
    r, _ = api.raw("HEAD", path + "/a")
    assert r.status == 202, r.status
    for method in ("GET", "HEAD"):
        r, _ = api.raw(method, path + "?m=1")
        assert (r.status, r.headers["location"]) == (301, path + "/?m=1"), (method, r.status, r.headers)
    assert api.raw("GET", path + "/?m=1")[1] == b"GET /?m=1  None"
    assert api.raw("POST", path + "?m=1", b"")[1] == b"POST /?m=1  None", "only readers are sent elsewhere"
    assert api.raw("GET", f"/api/v1/nodes/proxied:{agent.server_port}/proxy/x")[0].status == 202
    assert api.raw("GET", f"/api/v1/nodes/http:proxied:{agent.server_port}/proxy/x")[0].status == 202
    assert api.raw("GET", "/api/v1/nodes/none/proxy/x")[0].status == 404
    for name in ("ftp:proxied:1", "http:proxied:1:2", ":1"):
        assert f'invalid node request "{name}"' in api.do("GET", f"/api/v1/nodes/{name}/proxy/x", code=400)["message"]
    agent.shutdown()
    agent.server_close()
    api.do("GET", path + "/x", code=503)


def test_pod_and_service_proxy_refuse(api):
    ns = space(api, "proxies")
    api.do("POST", ns + "pods", pod("a"), 201)
    assert api.do("GET", ns + "pods/a/proxy/x", code=400)["message"] == "address not allowed"
    for ip in ("127.0.0.1", "169.254.169.254", "::1", "224.0.0.1"):
        api.patch(ns + "pods/a/status", {"status": {"podIP": ip, "podIPs": [{"ip": ip}]}})
        assert api.do("GET", ns + "pods/a:80/proxy/x", code=400)["message"] == "address not allowed", ip
    api.do("GET", ns + "pods/none/proxy/x", code=404)
    assert 'invalid pod request "ftp:a:1"' in api.do("GET", ns + "pods/ftp:a:1/proxy/x", code=400)["message"]
    api.do("POST", ns + "services", {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "web", "port": 80}]}}, 201)
    assert 'no endpoints available for service "s"' in api.do("GET", ns + "services/s:web/proxy/x", code=503)["message"]
    assert 'no service port 81 found for service "s"' in api.do("GET", ns + "services/s:81/proxy/x", code=503)["message"]
    assert 'invalid service request "ftp:s:1"' in api.do("GET", ns + "services/ftp:s:1/proxy/x", code=400)["message"]


def test_log_parameters(api):
    ns = space(api, "logs")
    api.do("POST", ns + "pods", pod("a"), 201)
    log = ns + "pods/a/log?"
    assert api.raw("GET", log)[0].status == 204, "nothing has run, nothing was written"
    for query, message in (
            ("tailLines=-1", 'PodLogOptions "a" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'),
            ("limitBytes=0", 'PodLogOptions "a" is invalid: limitBytes: Invalid value: 0: must be greater than 0'),
            ("sinceSeconds=0", 'PodLogOptions "a" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'),
            ("sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z", "at most one of `sinceTime` or `sinceSeconds` may be specified"),
            ("stream=Left", 'stream: Unsupported value: "Left"'),
            ("stream=Stdout&tailLines=1", "`tailLines` and specific `stream` are mutually exclusive")):
        assert message in api.do("GET", log + query, code=422)["message"], query
    assert api.do("GET", log + "tailLines=x", code=400)["message"] == 'strconv.ParseInt: parsing "x": invalid syntax'
    assert 'parsing time "x"' in api.do("GET", log + "sinceTime=x", code=400)["message"]
    assert api.do("GET", log + "container=d", code=400)["message"] == "container d is not valid for pod a"
    agent = node(api, "logger")
    api.do("POST", ns + "pods/a/binding", {"metadata": {"name": "a"}, "target": {"name": "logger"}}, 201)
    r, text = api.raw("GET", log + "tailLines=0&timestamps=true&previous=false")
    assert text.startswith(b"GET /containerLogs/logs/a/c?tailLines=0&timestamps=true&previous=false"), text
    agent.shutdown()
    agent.server_close()


def test_streams_need_an_upgrade(api):
    ns = space(api, "streams")
    api.do("POST", ns + "pods", pod("a"), 201)
    for sub in ("exec?command=x&stdout=1", "attach?stdout=1", "portforward?ports=1"):
        for method in ("GET", "POST"):
            api.do(method, ns + "pods/none/" + sub, code=404)
            assert "does not have a host assigned" in api.do(method, ns + "pods/a/" + sub, code=400)["message"]
    agent = node(api, "streamer")
    api.do("POST", ns + "pods/a/binding", {"metadata": {"name": "a"}, "target": {"name": "streamer"}}, 201)
    for sub in ("exec?command=x&stdout=1", "attach?stdout=1", "portforward?ports=1"):
        for method in ("GET", "POST"):
            assert api.do(method, ns + "pods/a/" + sub, code=400)["message"] == "Upgrade request required", (method, sub)
    agent.shutdown()
    agent.server_close()


def test_binding(api):
    ns = space(api, "bindings")
    for name in ("a", "b"):
        api.do("POST", ns + "pods", pod(name), 201)
    bind = {"metadata": {"name": "a", "annotations": {"by": "me"}}, "target": {"kind": "Node", "name": "n"}}
    assert api.do("POST", ns + "pods/a/binding", bind, 201)["status"] == "Success"
    made = api.do("GET", ns + "pods/a")
    assert made["spec"]["nodeName"] == "n" and made["metadata"]["annotations"] == {"by": "me"}, made
    assert [c["status"] for c in made["status"]["conditions"] if c["type"] == "PodScheduled"] == ["True"]
    again = api.do("POST", ns + "pods/a/binding", bind, 409)
    assert 'pod a is already assigned to node "n"' in again["message"], again
    api.do("POST", ns + "pods/b/binding", {"metadata": {"name": "b"}, "target": {"kind": "Pod", "name": "n"}}, 422)
    api.do("POST", ns + "pods/b/binding", {"metadata": {"name": "b"}, "target": {"name": ""}}, 422)
    told = api.do("POST", ns + "pods/b/binding", {"target": {"name": "n"}}, 400)
    assert told["message"] == "name in URL does not match name in Binding object", told
    api.do("POST", ns + "pods/b/binding?dryRun=All", {"metadata": {"name": "b"}, "target": {"name": "n"}}, 201)
    assert "nodeName" not in api.do("GET", ns + "pods/b")["spec"]
    api.do("POST", ns + "bindings", {"metadata": {"name": "b"}, "target": {"name": "n"}}, 201)
    assert api.do("GET", ns + "pods/b")["spec"]["nodeName"] == "n"
    api.do("POST", ns + "pods/none/binding", dict(bind, metadata={"name": "none"}), 404)


def test_scale_of_every_scalable_kind(api):
    ns = space(api, "scales")
    labels = {"app": "s"}
    template = {"metadata": {"labels": labels}, "spec": pod("x")["spec"]}
    apps = "/apis/apps/v1/namespaces/scales/"
    for base_path, plural in ((apps, "deployments"), (apps, "replicasets"), (apps, "statefulsets"), (ns, "replicationcontrollers")):
        selector = labels if plural == "replicationcontrollers" else {"matchLabels": labels}
        path = base_path + plural
        api.do("POST", path, {"metadata": {"name": "s"}, "spec": {"replicas": 2, "selector": selector, "template": template,
                                                                 **({"serviceName": "s"} if plural == "statefulsets" else {})}}, 201)
        scale = api.do("GET", path + "/s/scale")
        assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 2}), scale
        assert scale["status"]["selector"] == "app=s", scale
        scale["spec"]["replicas"] = 3
        new = api.do("PUT", path + "/s/scale", scale)
        assert new["spec"]["replicas"] == 3 and new["metadata"]["resourceVersion"] != scale["metadata"]["resourceVersion"]
        api.do("PUT", path + "/s/scale", scale, 409)
        assert api.patch(path + "/s/scale", {"spec": {"replicas": 4}})["spec"]["replicas"] == 4
        assert api.apply(path + "/s/scale", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "s"},
                                             "spec": {"replicas": 0}}, "me", force=True)["spec"] == {}, "zero is left out"
        assert api.do("GET", path + "/s")["spec"]["replicas"] == 0
        assert "must be greater than or equal to 0" in api.patch(path + "/s/scale", {"spec": {"replicas": -1}}, code=422)["message"]
        wrong = dict(scale, metadata={"name": "s", "uid": "another"})
        api.do("PUT", path + "/s/scale", wrong, 409)


def test_namespaces_finalize(api):
    api.do("POST", "/api/v1/namespaces", {"metadata": {"name": "fin"}}, 201)
    path = "/api/v1/namespaces/fin"
    made = api.do("GET", path)
    assert made["spec"]["finalizers"] == ["kubernetes"] and made["status"]["phase"] == "Active", made
    assert api.patch(path, {"spec": {"finalizers": []}})["spec"]["finalizers"] == ["kubernetes"], "only finalize writes them"
    api.patch(path, {"metadata": {"finalizers": ["example.com/hold"]}})
    made = api.do("GET", path)
    made["spec"]["finalizers"] = ["kubernetes", "example.com/mine"]
    assert api.do("PUT", path + "/finalize", made)["spec"]["finalizers"] == ["kubernetes", "example.com/mine"]
    api.do("PUT", path + "/finalize", made, 409)
    gone = api.do("DELETE", path)
    assert gone["status"]["phase"] == "Terminating" and gone["metadata"]["deletionTimestamp"], gone
    gone["spec"]["finalizers"] = []
    gone["metadata"].pop("resourceVersion")
    api.do("PUT", path + "/finalize", gone)
    held = api.do("GET", path)
    assert "finalizers" not in held["spec"] and held["metadata"]["finalizers"] == ["example.com/hold"], held
    api.patch(path, {"metadata": {"finalizers": None}})
    api.do("GET", path, code=404)


def test_ephemeral_containers(api):
    ns = space(api, "ephemeral")
    api.do("POST", ns + "pods", pod("a"), 201)
    path = ns + "pods/a/ephemeralcontainers"
    new = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i"}]}}
    made = api.patch(path, new, "strategic-merge-patch+json")
    assert [c["name"] for c in made["spec"]["ephemeralContainers"]] == ["d"], made
    assert made["spec"]["ephemeralContainers"][0]["terminationMessagePolicy"] == "File", "defaults are filled in"
    api.patch(path, {"spec": {"ephemeralContainers": []}}, code=422)
    api.patch(path, {"spec": {"ephemeralContainers": [{"name": "d", "image": "other"}]}}, code=422)
    assert api.patch(path, {"spec": {"containers": [{"name": "c", "image": "other"}]}}, "strategic-merge-patch+json"
                     )["spec"]["containers"][0]["image"] == "i", "nothing but its own part is written"
    api.patch(ns + "pods/a", {"spec": {"ephemeralContainers": made["spec"]["ephemeralContainers"] + [{"name": "e", "image": "i"}]}}, code=422)


def test_status_writes_its_part(api):
    ns = space(api, "statuses")
    path = "/apis/apps/v1/namespaces/statuses/deployments"
    labels = {"app": "s"}
    made = api.do("POST", path, {"metadata": {"name": "s"}, "status": {"replicas": 5}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod("x")["spec"]}}}, 201)
    assert "replicas" not in made.get("status", {}), "a create has no status"
    api.patch(path + "/s", {"status": {"replicas": 5}})
    assert "replicas" not in api.do("GET", path + "/s").get("status", {})
    told = api.patch(path + "/s/status", {"status": {"replicas": 2, "observedGeneration": 1}, "spec": {"replicas": 9}})
    assert told["status"]["replicas"] == 2 and told["spec"]["replicas"] == 1 and told["metadata"]["generation"] == 1, told
    old = dict(told, metadata=dict(told["metadata"], resourceVersion="1"))
    api.do("PUT", path + "/s/status", old, 409)
    api.do("GET", ns + "configmaps/x/status", code=404)
    api.do("POST", path + "/s/status", told, 405)
    api.do("DELETE", path + "/s/status", code=405)


if __name__ == "__main__":
    sys.exit(base.main(__doc__, {n: f for n, f in globals().items() if n.startswith("test_")}))
