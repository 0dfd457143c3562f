# SPDX-License-Identifier: Apache-2.0
"""Deployments from kubectl to serving containers."""
import re
import time

from harness import ROOT, expect


def test_example_serves_pages(c):
    c.kubectl("apply", "-f", str(ROOT / "examples/web.yaml"))
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    pods = c.get("pods", "-l", "app=web")["items"]
    expect(len(pods) == 3, f"{len(pods)} pods")
    for pod in pods:
        page = c.inside(["curl", "-sS", "--max-time", "10", f"http://{pod['status']['podIP']}:8080/"]).stdout
        expect(page == f"hello from {pod['metadata']['name']} on node-1\n", page)


def test_scale(c):
    c.kubectl("scale", "deployment/web", "--replicas=5")
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    expect(c.get("deployment", "web")["status"]["readyReplicas"] == 5, "not five")
    c.kubectl("scale", "deployment/web", "--replicas=1")
    c.wait("deployment/web", "jsonpath={.status.replicas}=1")


def test_rolling_update_and_undo(c):
    c.kubectl("set", "env", "deployment/web", "VERSION=2")
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    history = c.kubectl("rollout", "history", "deployment/web").stdout
    expect(re.search(r"^2\s", history, re.M), history)
    c.kubectl("rollout", "undo", "deployment/web")
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    env = c.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]["env"]
    expect("VERSION" not in [e["name"] for e in env], env)


def test_deleted_pod_is_replaced(c):
    name = [p["metadata"]["name"] for p in c.get("pods", "-l", "app=web")["items"]
            if "deletionTimestamp" not in p["metadata"]][0]
    c.kubectl("delete", "pod", name)
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    names = [p["metadata"]["name"] for p in c.get("pods", "-l", "app=web")["items"]
             if "deletionTimestamp" not in p["metadata"]]
    expect(name not in names and len(names) == 1, names)


def test_deletion_takes_everything_with_it(c):
    c.kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=60s")
    left = c.get("replicasets,pods", "-l", "app=web")["items"]
    expect(not left, [o["metadata"]["name"] for o in left])


def test_namespace_deletion(c):
    c.kubectl("create", "namespace", "short")
    c.kubectl("create", "deployment", "web", "--image=busybox:demo", "-n", "short", "--",
              "sh", "-c", "trap exit TERM; sleep 1000 & wait")
    c.kubectl("rollout", "status", "deployment/web", "-n", "short", "--timeout=60s")
    c.kubectl("delete", "namespace", "short", "--timeout=60s")
    expect("not found" in c.refused("get", "namespace", "short"), "it is still there")


def test_kubeconfig_follows_the_certificates(c):
    before = c.kubeconfig.read_text()
    cert = c.data / "server/pki/admin.crt"
    c.kubeconfig.unlink()
    copy = cert.with_suffix(".new")
    copy.write_text(cert.read_text())
    copy.rename(cert)  # what a renewal ends with
    deadline = time.monotonic() + 10
    while not c.kubeconfig.exists():
        expect(time.monotonic() < deadline, "the kubeconfig was not written again")
    expect(c.kubeconfig.read_text() == before and c.kubeconfig.stat().st_mode & 0o777 == 0o600, "it is another one")
