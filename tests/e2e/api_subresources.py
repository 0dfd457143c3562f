#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_subresources.py [--apiserver PROGRAM] [--only WORD]

What the subresources of the built-in kinds do and refuse. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
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


if __name__ == "__main__":
    sys.exit(base.main(__doc__, {n: f for n, f in globals().items() if n.startswith("test_")}))
