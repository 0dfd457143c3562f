#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_events.py [--apiserver PROGRAM] [--only WORD]

Events: one object behind two APIs. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import http.client
import json
import sys

import api as base
from api_admission import space

EVENTS_MAX = 16384  # src/server/event_ttl.h
NEW = "/apis/events.k8s.io/v1/namespaces/{}/events"


def core(name, ns, **more):
    return dict({"metadata": {"name": name}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": ns, "uid": "u", "apiVersion": "v1"},
                 "reason": "Pulled", "message": "it is here", "type": "Normal", "source": {"component": "kubelet", "host": "n"},
                 "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-02T00:00:00Z", "count": 3}, **more)


def new(name, ns, **more):
    return dict({"metadata": {"name": name}, "regarding": {"kind": "Pod", "name": "q", "namespace": ns},
                 "related": {"kind": "Node", "name": "n"}, "reason": "Bound", "note": "to a node", "type": "Normal", "action": "Binding",
                 "eventTime": "2026-01-01T00:00:00.123456Z", "reportingController": "example.com/scheduler",
                 "reportingInstance": "s-1"}, **more)


def test_core_seen_as_new(api):
    ns = space(api, "ev-core")
    api.do("POST", ns + "events", core("a", "ev-core"), 201)
    seen = api.do("GET", NEW.format("ev-core") + "/a")
    assert (seen["apiVersion"], seen["kind"]) == ("events.k8s.io/v1", "Event"), seen
    assert seen["regarding"]["name"] == "p" and seen["note"] == "it is here" and seen["deprecatedCount"] == 3, seen
    assert seen["deprecatedSource"] == {"component": "kubelet", "host": "n"}
    assert seen["deprecatedFirstTimestamp"] == "2026-01-01T00:00:00Z" and seen["deprecatedLastTimestamp"] == "2026-01-02T00:00:00Z"
    assert not set(seen) & {"involvedObject", "message", "count", "source", "firstTimestamp", "lastTimestamp", "reportingComponent"}, seen


def test_new_seen_as_core(api):
    ns = space(api, "ev-new")
    made = api.do("POST", NEW.format("ev-new"), new("a", "ev-new"), 201)
    assert made["eventTime"] == "2026-01-01T00:00:00.123456Z", made
    seen = api.do("GET", ns + "events/a")
    assert seen["involvedObject"]["name"] == "q" and seen["message"] == "to a node", seen
    assert seen["reportingComponent"] == "example.com/scheduler" and seen["reportingInstance"] == "s-1", seen
    assert seen["related"] == {"kind": "Node", "name": "n"} and seen["action"] == "Binding"
    assert "regarding" not in seen and "note" not in seen
    # The same event again, as client-go's recorder tells it: by a patch of the series, then by a PUT.
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}}
    told = api.patch(NEW.format("ev-new") + "/a", series, "strategic-merge-patch+json")
    assert told["series"] == series["series"], told
    assert api.do("GET", ns + "events/a")["series"] == series["series"]
    told["series"]["count"] = 5
    assert api.do("PUT", NEW.format("ev-new") + "/a", told)["series"]["count"] == 5
    assert api.do("DELETE", ns + "events/a")["status"] == "Success"
    api.do("GET", NEW.format("ev-new") + "/a", code=404)


def test_rules_of_the_new_api(api):
    space(api, "ev-rules")
    path = NEW.format("ev-rules")
    for change, field in (({"reason": ""}, "reason"), ({"action": ""}, "action"), ({"eventTime": None}, "eventTime"),
                          ({"reportingController": ""}, "reportingController"), ({"reportingInstance": ""}, "reportingInstance"),
                          ({"note": "x" * 1025}, "message"), ({"type": "Odd"}, "type"), ({"deprecatedCount": 2}, "count"), ({"deprecatedSource": {"component": "c"}}, "source"),
                          ({"series": {"count": 1, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}}, "series.count")):
        status = api.do("POST", path, new("x", "ev-rules", **change), 422)
        assert field in [c["field"] for c in status["details"]["causes"]], (field, status)
    status = api.do("POST", path, new("x", ""), 422)
    assert "does not match event.namespace" in status["message"], status
    made = api.do("POST", path, new("x", "ev-rules"), 201)
    for change, field in (({"reason": "Other"}, "reason"), ({"note": "other"}, "message"), ({"regarding": {"name": "z"}}, "involvedObject"),
                          ({"action": "Other"}, "action"), ({"series": {"count": 1}}, "series.count")):
        status = api.patch(path + "/x", change, code=422)
        assert field in [c["field"] for c in status["details"]["causes"]], (field, status)
    assert api.patch("/api/v1/namespaces/ev-rules/events/x", {"message": "other"})["message"] == "other", "the older API is lenient"
    assert api.do("PUT", path + "/x", dict(api.do("GET", path + "/x"), metadata=dict(made["metadata"], resourceVersion="")))["note"] == "other"


def test_selectors_lists_and_watches(api):
    ns = space(api, "ev-select")
    api.do("POST", ns + "events", core("a", "ev-select"), 201)
    api.do("POST", NEW.format("ev-select"), new("b", "ev-select"), 201)

    def names(path, selector):
        return [i["metadata"]["name"] for i in api.do("GET", path + "?fieldSelector=" + selector)["items"]]
    for path, of, reporter in ((ns + "events", "involvedObject", "reportingComponent"),
                               (NEW.format("ev-select"), "regarding", "reportingController")):
        for selector, want in ((of + ".name=p", ["a"]), (of + ".name!=p", ["b"]), (of + ".kind=Pod", ["a", "b"]), (of + ".uid=u", ["a"]),
                               ("reason=Bound", ["b"]), ("type=Warning", []), (reporter + "=example.com/scheduler", ["b"]),
                               (of + ".namespace=ev-select,reason=Pulled", ["a"]), ("metadata.name=b", ["b"])):
            assert names(path, selector) == want, (path, selector, names(path, selector))
        for other in ("message=x", "regarding.name=p" if of == "involvedObject" else "involvedObject.name=p",
                      "reportingController=x" if of == "involvedObject" else "source=kubelet"):
            api.do("GET", path + "?fieldSelector=" + other, code=400)
    for selector, want in (("source=kubelet", ["a"]), ("source=example.com/scheduler", ["b"])):
        assert names(ns + "events", selector) == want, (selector, names(ns + "events", selector))
    rev = api.do("GET", ns + "events")["metadata"]["resourceVersion"]
    one = api.watch(NEW.format("ev-select") + f"?watch=1&resourceVersion={rev}&fieldSelector=regarding.name=p")
    api.do("POST", NEW.format("ev-select"), new("c", "ev-select"), 201)
    api.do("POST", ns + "events", core("d", "ev-select"), 201)
    event = next(one)
    assert (event["type"], event["object"]["metadata"]["name"], event["object"]["apiVersion"]) == ("ADDED", "d", "events.k8s.io/v1"), event
    assert event["object"]["regarding"]["name"] == "p"
    gone = api.do("DELETE", NEW.format("ev-select") + "?fieldSelector=reason=Pulled")
    assert [i["metadata"]["name"] for i in gone["items"]] == ["a", "d"], gone
    assert names(ns + "events", "") == ["b", "c"]
    event = [next(one), next(one)]
    assert {(e["type"], e["object"]["metadata"]["name"]) for e in event} == {("DELETED", "a"), ("DELETED", "d")}, event
    assert {"b", "c"} <= {i["metadata"]["name"] for i in api.do("GET", "/apis/events.k8s.io/v1/events")["items"]}


def test_apply_and_put_through_either_view(api):
    ns = space(api, "ev-apply")
    made = api.do("PUT", ns + "events/a", core("a", "ev-apply"), 201)
    assert made["metadata"]["uid"]
    applied = api.apply(NEW.format("ev-apply") + "/a", {"apiVersion": "events.k8s.io/v1", "kind": "Event",
                        "metadata": {"name": "a", "labels": {"x": "y"}}, "eventTime": None}, "me")
    assert applied["metadata"]["labels"] == {"x": "y"} and applied["regarding"]["name"] == "p", applied


def test_a_flood_has_a_bound(api):
    ns = space(api, "ev-flood")
    api.do("POST", ns + "events", core("kept", "ev-flood"), 201)
    api.do("POST", ns + "events", core("forgotten", "ev-flood"), 201)
    c = http.client.HTTPConnection(api.address, timeout=base.WATCH_S)

    def send(method, path, body, kind="json"):
        c.request(method, path, json.dumps(body), {"content-type": "application/" + kind})
        r = c.getresponse()
        r.read()
        return r.status
    for i in range(EVENTS_MAX):
        assert send("POST", ns + "events", core(f"e{i}", "ev-flood")) == 201, i
        if i == 100:  # written again, it is the youngest
            api.patch(ns + "events/kept", {"count": 4})
    api.do("GET", ns + "events/forgotten", code=404)
    api.do("GET", ns + "events/e0", code=404)
    api.do("GET", ns + "events/kept")
    api.do("GET", ns + f"events/e{EVENTS_MAX - 1}")
    listed = api.do("GET", ns + "events?limit=1")
    assert listed["metadata"]["remainingItemCount"] + 1 <= EVENTS_MAX, listed["metadata"]
    api.do("DELETE", ns + "events")
    assert api.do("GET", ns + "events")["items"] == []


if __name__ == "__main__":
    sys.exit(base.main(__doc__, {n: f for n, f in globals().items() if n.startswith("test_")}))
