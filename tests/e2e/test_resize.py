# SPDX-License-Identifier: Apache-2.0
"""Resources of running pods change in place, as far as the node has room."""
import glob
import json
import pathlib

from harness import expect, pod

# What the kernel was told, by version 2 of control groups or 1.
LIMITS = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max 2>/dev/null || " \
         "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes"


def resources(cpu, memory, cpu_limit=None):
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu_limit or cpu, "memory": memory}}


def resize(c, name, *wanted, code=200):
    patch(c, name, {"containers": [{"name": n, "resources": r} for n, r in zip(("main", "second"), wanted)]}, code)


def patch(c, name, spec, code=200):
    connection = c.connect()
    connection.request("PATCH", f"/api/v1/namespaces/default/pods/{name}/resize", json.dumps({"spec": spec}),
                       {"content-type": "application/strategic-merge-patch+json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    expect(answer.status == code, text)


def conditions(obj):
    return {k["type"]: k for k in obj["status"].get("conditions", []) if k["type"].startswith("PodResize")}


def has(*wanted):
    """Every container has that, and no resize is under way or waits."""
    def holds(obj):
        s = obj["status"].get("containerStatuses", [])
        return not conditions(obj) and [k.get("resources") for k in s] == list(wanted) and all("running" in k["state"] for k in s)
    return holds


def limits(c, name, container="main"):
    lines = c.kubectl("exec", name, "-c", container, "--", "sh", "-c", LIMITS).stdout.split()
    return int(lines[0]), int(lines[-1])


def main_status(c, name):
    return c.get("pod", name)["status"]["containerStatuses"][0]


def test_up_and_down(c):
    small, large = resources("100m", "32Mi"), resources("200m", "64Mi")
    c.apply(pod("grows", "sleep 1000", container={"resources": small}))
    c.wait("pod/grows", "condition=Ready")
    expect(limits(c, "grows") == (10000, 32 << 20), limits(c, "grows"))
    before = main_status(c, "grows")
    for wanted, kernel in ((large, (20000, 64 << 20)), (small, (10000, 32 << 20))):
        resize(c, "grows", wanted)
        c.wait("pod/grows", has(wanted))
        expect(limits(c, "grows") == kernel, limits(c, "grows"))
    after = main_status(c, "grows")
    expect(after["containerID"] == before["containerID"] and after["restartCount"] == 0, after)
    expect(after["allocatedResources"] == small["requests"], after)
    events = c.kubectl("get", "events", "--field-selector", "involvedObject.name=grows").stdout
    expect("ResizeStarted" in events and "ResizeCompleted" in events, events)


def test_restarts_where_the_policy_says_so(c):
    spec = pod("restarts", "trap 'exit 0' TERM; sleep 1000 & wait", restartPolicy="OnFailure", container={
        "resources": resources("100m", "32Mi"), "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]})
    spec["spec"]["containers"].append(dict(spec["spec"]["containers"][0], name="second", resizePolicy=[]))
    c.apply(spec)
    c.wait("pod/restarts", "condition=Ready")
    resize(c, "restarts", resources("150m", "32Mi"), resources("100m", "32Mi"))
    c.wait("pod/restarts", has(resources("150m", "32Mi"), resources("100m", "32Mi")))
    expect(main_status(c, "restarts")["restartCount"] == 0, "cpu may change without")
    resize(c, "restarts", resources("150m", "48Mi"), resources("100m", "48Mi"))
    c.wait("pod/restarts", has(resources("150m", "48Mi"), resources("100m", "48Mi")))
    counts = [s["restartCount"] for s in c.get("pod", "restarts")["status"]["containerStatuses"]]
    expect(counts == [1, 0], counts)
    for name in ("main", "second"):
        expect(limits(c, "restarts", name)[1] == 48 << 20, limits(c, "restarts", name))


def test_the_pod_as_a_whole(c):
    c.apply(pod("whole", "sleep 1000", resources=resources("200m", "64Mi")))
    c.wait("pod/whole", "condition=Ready")
    patch(c, "whole", {"resources": resources("100m", "48Mi")})
    c.wait("pod/whole", lambda o: o["status"].get("resources") == resources("100m", "48Mi") and not conditions(o))
    obj = c.get("pod", "whole")
    expect(obj["status"]["allocatedResources"] == {"cpu": "100m", "memory": "48Mi"}, obj["status"])
    group = [f for name in ("memory.limit_in_bytes", "memory.max")
             for f in glob.glob(f"/sys/fs/cgroup/**/pod{obj['metadata']['uid']}/{name}", recursive=True)]
    expect([int(pathlib.Path(f).read_text()) for f in group] == [48 << 20], group)


def test_no_room(c):
    c.kubectl("delete", "pods", "--all")
    cpus = int(c.get("node", "node-1")["status"]["allocatable"]["cpu"])
    c.apply(pod("fills", "sleep 1000", container={"resources": {"requests": {"cpu": f"{cpus * 1000 - 700}m"}}}),
            pod("waits", "sleep 1000", container={"resources": {"requests": {"cpu": "100m"}}}))
    c.wait("pod/fills", "condition=Ready")
    c.wait("pod/waits", "condition=Ready")
    resize(c, "waits", {"requests": {"cpu": str(cpus * 100)}})
    c.wait("pod/waits", lambda o: conditions(o).get("PodResizePending", {}).get("reason") == "Infeasible")
    expect(main_status(c, "waits")["allocatedResources"] == {"cpu": "100m"}, main_status(c, "waits"))
    resize(c, "waits", {"requests": {"cpu": str(cpus)}})
    c.wait("pod/waits", lambda o: conditions(o).get("PodResizePending", {}).get("reason") == "Deferred")
    c.kill("agent")  # the next one has to think of it, too
    c.kubectl("delete", "pod", "fills")
    c.wait("pod/waits", has({"requests": {"cpu": str(cpus)}}))
    expect(main_status(c, "waits")["restartCount"] == 0, main_status(c, "waits"))
    c.kubectl("delete", "pod", "waits")


def test_what_is_used_is_not_taken_away(c):
    c.apply(pod("uses", "head -c 24000000 /dev/zero > /dev/shm/x; touch /tmp/full; sleep 1000", container={
        "resources": resources("100m", "64Mi", "500m"), "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/full"]}, "periodSeconds": 1}}))
    c.wait("pod/uses", "condition=Ready")
    resize(c, "uses", resources("100m", "16Mi", "500m"))
    c.wait("pod/uses", lambda o: conditions(o).get("PodResizeInProgress", {}).get("reason") == "Error")
    expect(limits(c, "uses")[1] == 64 << 20 and main_status(c, "uses")["restartCount"] == 0, main_status(c, "uses"))
    c.kubectl("exec", "uses", "--", "rm", "/dev/shm/x")
    c.wait("pod/uses", has(resources("100m", "16Mi", "500m")))
    expect(limits(c, "uses")[1] == 16 << 20, limits(c, "uses"))


def test_what_must_not_change(c):
    c.apply(pod("fixed", "sleep 1000", container={"resources": resources("100m", "32Mi")}))
    c.wait("pod/fixed", "condition=Ready")
    resize(c, "fixed", resources("100m", "32Mi", "200m"), code=422)  # another class of service
