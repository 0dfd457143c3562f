# SPDX-License-Identifier: Apache-2.0
"""Budgets and quotas as kubectl sees them, with their controllers at work."""
from harness import expect

SLEEP = "trap exit TERM; sleep 1000 & wait"


def deployment(name, replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "c", "image": "busybox:demo", "command": ["sh", "-c", SLEEP]}]}}}}


def test_drain_respects_a_budget(c):
    c.apply(deployment("kept", 2), {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "kept"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}})
    c.kubectl("rollout", "status", "deployment/kept", "--timeout=60s")
    c.wait("pdb/kept", "jsonpath={.status.disruptionsAllowed}=1")
    # The only node takes no replacement, so that the second pod stays until the drain gives up.
    told = c.refused("drain", "node-1", "--ignore-daemonsets", "--timeout=3s", "--force", "--pod-selector=app=kept")
    expect("violate the pod's disruption budget" in told, told)
    c.wait("pdb/kept", "jsonpath={.status.currentHealthy}=1")
    budget = c.get("pdb", "kept")["status"]
    expect(budget["disruptionsAllowed"] == 0 and budget["expectedPods"] == 2, budget)
    c.kubectl("uncordon", "node-1")
    c.wait("pdb/kept", "jsonpath={.status.disruptionsAllowed}=1")
    c.kubectl("delete", "pdb/kept", "deployment/kept")


def test_quota_is_counted(c):
    c.kubectl("create", "namespace", "small")
    c.kubectl("create", "quota", "q", "--hard=pods=1,configmaps=2,count/secrets=1", "-n", "small")
    c.wait("quota/q", "jsonpath={.status.used.pods}=0", ns="small")
    c.kubectl("run", "one", "--image=busybox:demo", "-n", "small", "--", "sh", "-c", SLEEP)
    expect(c.get("quota", "q", "-n", "small")["status"]["used"]["pods"] == "1", "charged with the pod, not later")
    told = c.refused("run", "two", "--image=busybox:demo", "-n", "small")
    expect("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1" in told, told)
    c.kubectl("delete", "pod", "one", "-n", "small", "--grace-period=1")
    c.wait("quota/q", "jsonpath={.status.used.pods}=0", ns="small")
    c.kubectl("delete", "namespace", "small", "--timeout=60s")
