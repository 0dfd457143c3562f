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
    """A StatefulSet's pods are judged when they are made; one of them may be away during an update."""
    made = api.do("POST", "/apis/apps/v1/namespaces/default/statefulsets", {"metadata": {"name": "set"}, "spec": {
        "serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "other", "mountPath": "/x"}]}]}}}}, 201)
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}, made


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
