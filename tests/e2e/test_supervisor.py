# SPDX-License-Identifier: Apache-2.0
"""What outlives the agent: statuses of what ended without it, logs over rotations, pods whose shim or state is broken."""
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import time

import harness
from harness import expect, pod

# 48 MiB of log: four rotations at 10 MiB, so that nothing is deleted, and far more than sockets on the way to a client
# hold.
LINES, PAD = 180000, "x" * 232
WAIT_S = 60


def shims(c):
    """pid by pod uid."""
    found = {}
    for path in pathlib.Path(c.config()["runDir"], "pods").glob("*/pod.json"):
        with contextlib.suppress(OSError, ValueError):
            found[path.parent.name] = json.loads(path.read_text())["pid"]
    return found


def wait_end(pid):
    """Until a process of ours or somebody else's has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with contextlib.closing(os.fdopen(fd)):
        expect(select.select([fd], [], [], WAIT_S)[0], f"process {pid} does not end")


@contextlib.contextmanager
def no_agent(c):
    """Killed, and not started again before the end of the block."""
    up = c.pid("up")
    os.kill(up, signal.SIGSTOP)
    try:
        wait_end(c.kill("agent"))
        yield
    finally:
        os.kill(up, signal.SIGCONT)


def main_pid(c, name):
    """Of the container's first process, seen from outside."""
    uid = c.get("pod", name)["metadata"]["uid"]
    root = "proa-" + c.config()["id"]
    for pattern in (f"*/{root}/**/pod{uid}/*/cgroup.procs", f"{root}/**/pod{uid}/*/cgroup.procs"):
        for path in pathlib.Path("/sys/fs/cgroup").glob(pattern):
            pids = path.read_text().split()
            if pids:
                return min(int(p) for p in pids)
    raise harness.Failed(f"no process of {name} is found")


def state(c, name):
    return c.get("pod", name)["status"]["containerStatuses"][0]


def seconds(text):
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


def test_ends_without_an_agent_are_told_later(c):
    ends = {"exits": (7, "Error"), "completes": (0, "Completed"), "is-killed": (137, "Error")}
    share = c.dir / "go"
    for name, (code, _) in ends.items():
        (share / name).mkdir(parents=True)
        os.mkfifo(share / name / "f")
        c.apply(pod(name, f"read x < /go/f; exit {code}", restartPolicy="Never",
                    container={"volumeMounts": [{"name": "go", "mountPath": "/go"}]},
                    volumes=[{"name": "go", "hostPath": {"path": str(share / name)}}]))
    for name in ends:
        c.wait(f"pod/{name}", "condition=Ready")
    pids = {name: main_pid(c, name) for name in ends}
    with no_agent(c):
        for name in ("exits", "completes"):
            (share / name / "f").write_text("\n")
        os.kill(pids["is-killed"], signal.SIGKILL)
        for pid in pids.values():
            wait_end(pid)
        ended = time.time()
        time.sleep(2.1)  # statuses count in seconds: the end's and the agent's return must not be the same
    for name, (code, reason) in ends.items():
        c.wait(f"pod/{name}", f"jsonpath={{.status.phase}}={'Failed' if code else 'Succeeded'}")
        terminated = state(c, name)["state"]["terminated"]
        expect((terminated["exitCode"], terminated["reason"]) == (code, reason), f"{name}: {terminated}")
        expect(seconds(terminated["startedAt"]) <= seconds(terminated["finishedAt"]) <= ended + 1, f"{name}: {terminated}")
        expect(state(c, name)["restartCount"] == 0, name)


def test_killed_shims_by_restart_policy(c):
    for name, policy in (("always", "Always"), ("never", "Never")):
        c.apply(pod(name, "exec sleep 100000", restartPolicy=policy))
        c.wait(f"pod/{name}", "condition=Ready")
    mains = [main_pid(c, name) for name in ("always", "never")]
    before = {name: c.get("pod", name) for name in ("always", "never")}
    for obj in before.values():
        os.kill(shims(c)[obj["metadata"]["uid"]], signal.SIGKILL)
    for main in mains:
        wait_end(main)  # nothing runs on without its supervisor
    c.wait("pod/never", "jsonpath={.status.phase}=Failed")
    terminated = state(c, "never")["state"]["terminated"]
    expect((terminated["exitCode"], terminated["reason"]) == (137, "ContainerStatusUnknown"), terminated)
    c.wait("pod/always", "jsonpath={.status.containerStatuses.0.restartCount}=1")
    c.wait("pod/always", "condition=Ready")
    expect(c.kubectl("exec", "always", "--", "hostname").stdout == "always\n", "the new sandbox does not work")
    events = c.kubectl("get", "events", "--field-selector=involvedObject.name=always,reason=SandboxChanged").stdout
    expect("SandboxChanged" in events, events)


def test_broken_state_files_are_reported_and_never_believed(c):
    names = ("whole", "truncated", "other", "gone")
    for name in names:
        c.apply(pod(name, "exec sleep 100000"))
    for name in names:
        c.wait(f"pod/{name}", "condition=Ready")
    uid = {name: c.get("pod", name)["metadata"]["uid"] for name in names}
    before = shims(c)
    files = {name: pathlib.Path(c.config()["runDir"], "pods", uid[name], "pod.json") for name in names}
    mains = {name: main_pid(c, name) for name in names}
    with no_agent(c):
        text = files["truncated"].read_text()
        files["truncated"].write_text(text[:len(text) // 2])
        # Says that the other pod's shim and cgroup are its own.
        files["other"].write_text(files["whole"].read_text().replace(f'"uid":"{uid["whole"]}"', f'"uid":"{uid["other"]}"'))
        os.kill(before[uid["gone"]], signal.SIGKILL)
    for name in names[1:]:
        wait_end(mains[name])
        c.wait(f"pod/{name}", "jsonpath={.status.containerStatuses.0.restartCount}=1")
        c.wait(f"pod/{name}", "condition=Ready")
        last = state(c, name)["lastState"]["terminated"]
        expect((last["exitCode"], last["reason"]) == (137, "ContainerStatusUnknown"), f"{name}: {last}")
    expect(state(c, "whole")["restartCount"] == 0 and shims(c)[uid["whole"]] == before[uid["whole"]], "a whole pod was touched")
    os.kill(mains["whole"], 0)
    for name, why in (("truncated", "its state file is damaged"), ("other", "its state file is damaged"),
                      ("gone", "its shim is not running")):
        events = c.kubectl("get", "events", f"--field-selector=involvedObject.name={name},reason=SandboxChanged").stdout
        expect(why in events, f"{name}: {events}")


def test_following_a_log_over_rotations(c):
    """The reader stands still while the log is rotated four times, and misses nothing."""
    c.apply(pod("writer", f"echo 0; read x; seq {LINES} | sed s/$/{PAD}/", restartPolicy="Never",
                container={"stdin": True, "stdinOnce": True}))
    c.wait("pod/writer", "condition=Ready")
    main = main_pid(c, "writer")
    with c.running("kubectl", "logs", "-f", "writer") as follow:
        expect(follow.stdout.readline() == "0\n", "it does not follow")
        os.kill(follow.pid, signal.SIGSTOP)
        c.kubectl("attach", "-q", "-i", "writer", stdin="go\n", check=False)
        wait_end(main)
        os.kill(follow.pid, signal.SIGCONT)
        n = 0
        for line in follow.stdout:
            n += 1
            expect(line == f"{n}{PAD}\n", f"line {n} is {line[:20]!r}")
    expect(n == LINES, f"{n} lines of {LINES}")


def make(build):
    """A cluster whose programs are in a directory of their own, with the shim of protocol 1 to begin with."""
    cluster = harness.Cluster(build)
    cluster.build = harness.ROOT / build
    bin_dir = cluster.dir / "bin"
    bin_dir.mkdir()
    shutil.copy2(cluster.proa, bin_dir / "proa")
    shutil.copy2(os.environ.get("PROA_SHIM_OLD", cluster.build / "tests/e2e/runtime/proa-shim-1"), bin_dir / "proa-shim")
    cluster.proa = bin_dir / "proa"
    start = cluster.start
    cluster.start = lambda: start().import_busybox()
    return cluster


def replace(c, name):
    """As a package manager installs: a new file that takes over the name."""
    shutil.copy2(c.build / name, c.proa.parent / (name + ".new"))
    os.rename(c.proa.parent / (name + ".new"), c.proa.parent / name)


def test_an_upgrade_under_running_pods(c):
    c.apply(pod("stays", "i=0; while :; do i=$((i+1)); echo $i; usleep 50000; done"))
    c.wait("pod/stays", "condition=Ready")
    uid = c.get("pod", "stays")["metadata"]["uid"]
    shim = shims(c)[uid]
    for name in ("proa-shim", "proa"):
        replace(c, name)
    agent = c.kill("agent")
    wait_end(agent)
    c.inside(["sh", "-c", "until kubectl get --raw /api/v1/nodes/node-1/proxy/healthz >/dev/null 2>&1; do :; done"])
    expect(not os.readlink(f"/proc/{c.pid('agent')}/exe").endswith("(deleted)"), "the agent is not the new one")
    expect(shims(c)[uid] == shim and state(c, "stays")["restartCount"] == 0, "the pod was not kept")
    expect(c.kubectl("exec", "stays", "--", "sh", "-c", "echo in; exit 3", check=False).stdout == "in\n", "exec")
    seen = [int(n) for n in c.logs_until("stays", "\n40\n").split()]
    expect(seen == list(range(1, len(seen) + 1)), f"the log has gaps: {seen[:60]}")
    with c.running("kubectl", "attach", "-q", "stays") as attached:
        expect(attached.stdout.readline().strip().isdigit(), "attach")
    c.apply(pod("comes", "exec sleep 100000"))
    c.wait("pod/comes", "condition=Ready")
    new = shims(c)[c.get("pod", "comes")["metadata"]["uid"]]
    expect(os.path.getsize(f"/proc/{new}/exe") == os.path.getsize(c.proa.parent / "proa-shim"), "new pods get the new shim")
    c.kubectl("delete", "pod", "stays", "comes", "--wait=true")
    wait_end(shim)
