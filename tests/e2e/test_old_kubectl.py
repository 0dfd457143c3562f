# SPDX-License-Identifier: Apache-2.0
"""Debian's own kubectl, many versions older than the API: daily commands on running pods. Skipped where it can't be had."""
import json
import subprocess

from harness import expect

DOWNLOAD = "apt-get download -q kubernetes-client && dpkg -x kubernetes-client_*.deb ."


def old_kubectl(c):
    """Unpacked, not installed: the machine keeps its own. None: no registry."""
    path = c.dir / "old"
    path.mkdir(exist_ok=True)
    path.chmod(0o777)  # apt fetches as a user of its own
    result = subprocess.run(["sh", "-c", DOWNLOAD], cwd=path, capture_output=True, text=True, timeout=120)
    return path / "usr/bin/kubectl" if result.returncode == 0 else None


def deployment(replicas):
    container = {"name": "c", "image": "busybox:demo", "command": ["sh", "-c", "echo hello; sleep 1000"]}
    template = {"metadata": {"labels": {"a": "old"}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "old"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"a": "old"}}, "template": template}})


def test_daily_commands(c):
    program = old_kubectl(c)
    if not program:
        print("      skipped: apt-get cannot download kubernetes-client")
        return

    def k(*words, stdin=None):
        return c.inside([program, *words], input=stdin).stdout

    expect("deployments" in k("api-resources"), "api-resources")
    expect("Recreate" in k("explain", "deployment.spec.strategy.type") or "strategy" in k("explain", "deployment.spec"), "explain")
    k("apply", "-f", "-", stdin=deployment(1))
    k("apply", "-f", "-", stdin=deployment(2))
    k("rollout", "status", "deployment/old", "--timeout=60s")
    k("scale", "deployment/old", "--replicas=1")
    k("set", "env", "deployment/old", "X=1")
    k("rollout", "status", "deployment/old", "--timeout=60s")
    k("rollout", "undo", "deployment/old")
    k("rollout", "status", "deployment/old", "--timeout=60s")
    k("label", "deployment/old", "x=y")
    k("annotate", "deployment/old", "x=y")
    c.env["KUBE_EDITOR"] = "sed -i 's/replicas: 1/replicas: 2/'"
    expect("edited" in k("edit", "deployment/old"), "edit")
    k("rollout", "status", "deployment/old", "--timeout=60s")
    expect("Replicas:" in k("describe", "deployment", "old") and "Capacity:" in k("describe", "node", "node-1"), "describe")
    k("patch", "deployment/old", "-p", '{"spec":{"paused":true}}')
    name = k("get", "pods", "-l", "a=old", "--sort-by=.metadata.creationTimestamp", "-o",
             "jsonpath={.items[-1:].metadata.name}")  # the newest: older ones may be on their way out
    expect(k("logs", name) == "hello\n", "logs")
    expect(k("exec", name, "--", "echo", "through") == "through\n", "exec")
    k("delete", "deployment/old", "--timeout=60s")
