# SPDX-License-Identifier: Apache-2.0
"""Pods that try to get out, and pods whose demands for confinement this node cannot meet."""
import os
import pathlib
import re
import stat

from harness import expect, pod


def message(c, name, reason):
    return [e["message"] for e in c.get("events")["items"] if e["involvedObject"]["name"] == name and e["reason"] == reason]


def test_demands_that_cannot_be_met(c):
    if not pathlib.Path("/sys/module/apparmor").exists():
        c.apply(pod("armour", "true", container={"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}))
        c.wait("pod/armour", "jsonpath={.status.phase}=Failed")
        status = c.get("pod", "armour")["status"]
        expect(status["reason"] == "AppArmor" and status["message"] == "Cannot enforce AppArmor: AppArmor is not enabled on the host", status)
        c.apply(pod("bare", "true", container={"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, restartPolicy="Never"))
        c.wait("pod/bare", "jsonpath={.status.phase}=Succeeded")
    c.apply(pod("mapped", "true", hostUsers=False))
    c.apply(pod("git", "true", volumes=[{"name": "v", "gitRepo": {"repository": "https://example.com/x.git"}}]))  # CVE-2024-10220
    c.apply(pod("profile", "true", container={"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"}}}))
    c.wait("pod/profile", "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CreateContainerConfigError")
    c.apply(pod("later", "true", restartPolicy="Never"))  # by its end the others were tried
    c.wait("pod/later", "jsonpath={.status.phase}=Succeeded")
    expect(any("user namespaces" in m for m in message(c, "mapped", "FailedCreatePodSandBox")), message(c, "mapped", "FailedCreatePodSandBox"))
    expect(any('"v" is of a kind' in m for m in message(c, "git", "FailedMount")), c.get("events"))
    for name in ("mapped", "git", "profile"):
        expect(c.get("pod", name)["status"]["phase"] == "Pending", name)


def test_sub_path_exchanged(c):
    """CVE-2017-1002101, CVE-2021-25741: a volume's directory becomes a link to the host's root, again and again."""
    swap = ("cd /v; mkdir -p a/sub; ln -s / b; i=0; while [ $i -lt 400 ]; do mv a t; mv b a; mv t b; mv b t; mv a b; mv t a; i=$((i+1)); done")
    look = "ls /s; [ -e /s/proa-only-on-host ] && echo ESCAPED; touch /s/proa-was-here 2>/dev/null; exit 0"
    volume = {"volumes": [{"name": "v", "emptyDir": {}}]}
    spec = pod("exchange", swap, container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, **volume)
    victims = [{"name": f"look{i}", "image": "busybox:demo", "imagePullPolicy": "IfNotPresent", "command": ["/bin/sh", "-c", look],
                "volumeMounts": [{"name": "v", "mountPath": "/s", "subPath": "a/sub/x" if i % 2 else "a"}]} for i in range(6)]
    spec["spec"]["containers"] += victims
    spec["spec"]["restartPolicy"] = "Never"
    marker = pathlib.Path("/proa-only-on-host")
    marker.write_text("")
    try:
        c.apply(spec)
        c.wait("pod/exchange", "jsonpath={.status.phase}=Succeeded", timeout=120)  # those that were refused are tried again
        for i in range(6):
            log = c.kubectl("logs", "exchange", "-c", f"look{i}", check=False).stdout
            expect("ESCAPED" not in log, log)
        expect(not pathlib.Path("/proa-was-here").exists() and not pathlib.Path("/sub").exists(), "something was made in the host's root")
    finally:
        marker.unlink()
        pathlib.Path("/proa-was-here").unlink(missing_ok=True)


def test_nobody_else_reads_the_node(c):
    """CVE-2024-25621, CVE-2021-41103: what other users of the machine can reach of images, volumes, secrets and sockets."""
    c.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}},
            pod("holder", "sleep 1000", container={"volumeMounts": [{"name": "s", "mountPath": "/s"}]},
                volumes=[{"name": "s", "secret": {"secretName": "s"}}]))
    c.wait("pod/holder", "condition=Ready")
    open_to_others = []

    def walk(path):
        """What somebody who is nobody can come to: only through directories that let them in."""
        for entry in os.scandir(path):
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                if info.st_mode & 0o005:
                    walk(entry.path)
            elif stat.S_ISSOCK(info.st_mode) and info.st_mode & 0o002:
                open_to_others.append(entry.path)
            elif stat.S_ISREG(info.st_mode) and (info.st_mode & 0o004) and not re.search(r"\.(crt|log)$|^cluster\.json$", entry.name):
                open_to_others.append(entry.path)
    if os.stat(c.data).st_mode & 0o005:
        walk(c.data)
    expect(not open_to_others, open_to_others[:20])
    inside = c.data / "agent"
    expect(not inside.exists() or os.stat(inside).st_mode & 0o077 == 0, f"{inside}")
