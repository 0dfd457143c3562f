#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tools/bench_runtime.py [--build DIR] [oci] [agent] [pods] : the runtime's part of tools/bench, by itself.

oci    proa-oci, Debian's crun and runc, and the least that a container costs (tests/bench/container_floor.c), by turns in
       one run: run, create + start + delete, exec. As this machine's cgroups are, and in private trees of v1 and v2 alone.
agent  what the agent asks its shims for, with the same least beside it.
pods   1,000 idle pods on one node, or as many as fit: time, memory, CPU while idle.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.machinery import SourceFileLoader

TOOLS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TOOLS.parent / "tests/e2e"))
sys.path.insert(0, str(TOOLS))
import bench_peers  # noqa: E402
import harness  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "30"))
PODS = int(os.environ.get("BENCH_PODS", "1000"))
PODS_IDLE_S = int(os.environ.get("BENCH_IDLE_S", "30"))
PODS_WAIT_S = 600
POD_KB = 2500  # what a pod may take of the machine, with its processes; 1,300 was measured
SPARE_KB = 1 << 20

# Only this process and its children see these trees; the machine's stay as they are.
V1 = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"]
TREES = {
    "as_is": None,
    "v1": "mount -t tmpfs -o mode=755 cgroups /sys/fs/cgroup && for c in " + " ".join(V1) + "; do mkdir /sys/fs/cgroup/$c && "
          "mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c || exit 1; done; mkdir /sys/fs/cgroup/systemd && "
          "mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd",
    "v2": "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
}


def in_tree(tree, command):
    words = [str(w) for w in command]
    if not TREES[tree]:
        return words
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", TREES[tree] + ' || exit 99; exec "$@"', "sh", *words]


def works(command):
    return subprocess.run([str(w) for w in command], capture_output=True, timeout=bench_peers.WAIT_S).returncode == 0


def runtimes(build, directory):
    found = {"proa": harness.ROOT / build / "proa-oci"}
    found.update({name: shutil.which(name) for name in ("crun", "runc") if shutil.which(name)})
    for name in found:
        (directory / name).mkdir()
    return {name: f"{path} --root {directory / name}" for name, path in found.items()}


@contextlib.contextmanager
def sleeper(tree, start, name, bundle):
    """A container that stays, for exec: under the runtime itself, or nobody's for the floor."""
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["/bin/sleep", "1000"]
    stays = bundle.parent / f"stays-{tree}-{name}"
    stays.mkdir()
    config["root"]["path"] = str(bundle / "rootfs")
    (stays / "config.json").write_text(json.dumps(config))
    identifier = f"stays-{os.getpid()}-{name}"
    pid_file = stays / "pid"
    subprocess.run(in_tree(tree, [*start.split(), "run", "-d", "--bundle", stays, "--pid-file", pid_file, identifier]),
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=bench_peers.WAIT_S)
    try:
        yield identifier, int(pid_file.read_text())
    finally:
        subprocess.run(in_tree(tree, [*start.split(), "delete", "--force", identifier]), capture_output=True,
                       timeout=bench_peers.WAIT_S)


def oci_in(tree, directory, bundle, tests, starts):
    floor = f"{tests}/container_floor"
    able = {name: start for name, start in starts.items()
            if works(in_tree(tree, [*start.split(), "run", "--bundle", bundle, f"try-{os.getpid()}"]))}
    commands = {"run": {"floor": f"{floor} run {bundle}/rootfs new /bin/true"}, "create_start_delete": {}, "exec": {}}
    with contextlib.ExitStack() as stack:
        for name, start in able.items():
            commands["run"][name] = f"{start} run --bundle {bundle} {{}}"
            commands["create_start_delete"][name] = (f"{start} create --bundle {bundle} {{}} ;; {start} start {{}} ;; "
                                                     f"{start} delete --force {{}}")
            identifier, pid = stack.enter_context(sleeper(tree, start, name, bundle))
            commands["exec"][name] = f"{start} exec {identifier} /bin/true"
            if name == "proa":
                commands["exec"]["floor"] = f"{floor} exec {pid} /bin/true"
        result = {"not_able": sorted(set(starts) - set(able))}
        for what, by_name in commands.items():
            words = [word for pair in by_name.items() for word in pair]
            out = subprocess.run(in_tree(tree, [f"{tests}/by_turns", ROUNDS, *words]), capture_output=True, text=True,
                                 timeout=600)
            harness.expect(out.returncode == 0, f"by_turns: {out.stderr[-300:]}")
            times = json.loads(out.stdout)
            result[what] = {name: t for name, t in times.items()}
            ours = times.get("proa")
            for name, t in times.items():
                if ours and name != "proa" and ours["median_ms"]:
                    t["ours_to_this"] = round(ours["median_ms"] / t["median_ms"], 2)
                    t["ours_to_this_cpu"] = round(ours["cpu_ms"] / max(t["cpu_ms"], 0.01), 2)
    return result


def oci(build, directory, result):
    tests = harness.ROOT / build / "tests/bench"
    if not (tests / "by_turns").exists() or not (shutil.which("crun") or shutil.which("runc")):
        result["oci"] = "not measured: tests/bench/by_turns is not built, or there is neither crun nor runc"
        return
    directory.mkdir()
    bundle = bench_peers.bundle(directory / "bundle")
    (bundle / "rootfs/bin/sleep").symlink_to("busybox")
    starts = runtimes(build, directory)
    result["oci"] = {tree: oci_in(tree, directory, bundle, tests, starts) for tree in TREES}


def agent(build, result):
    """Medians of tests/e2e/runtime/runtime_bench.c, which runs the floor by turns with ours."""
    bench = harness.ROOT / build / "tests/e2e/runtime/runtime_bench"
    floor = harness.ROOT / build / "tests/bench/container_floor"
    out = subprocess.run([bench], capture_output=True, text=True, timeout=300,
                         env=dict(os.environ, PROA_SHIM=str(harness.ROOT / build / "proa-shim"), PROA_FLOOR=str(floor)))
    lines = [line for line in out.stdout.splitlines() if line.startswith("{")]
    harness.expect(lines, f"runtime_bench: {out.stderr[-300:]}")
    result["runtime_by_agent"] = json.loads(lines[-1])


# ---- many pods ----

def meminfo():
    return {name: int(rest.split()[0]) for name, rest in
            (line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())}


def room():
    """How many pods this machine can be asked to hold, and why not more."""
    fit = max(0, (meminfo()["MemAvailable"] - SPARE_KB) // POD_KB)
    pids = (int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()) - 2000) // 3
    n = min(PODS, fit, pids)
    return n, None if n == PODS else "memory" if fit <= pids else "kernel.pid_max"


def pss(pids, memory):
    return sum(memory(pid)["pss_kb"] for pid in pids)


def pods(build, bench, result):
    """N idle pods of one sleeping process each. bench: tools/bench."""
    n, limited_by = room()
    told = {"asked": PODS, "made": n, "limited_by": limited_by}
    result["idle_pods"] = told
    if n < 10:
        return
    cluster = harness.Cluster(build)
    cluster.options = [f"--max-pods={max(n, 1)}"]
    path = "/api/v1/namespaces/default/pods"
    watch = None
    try:
        cluster.start()
        cluster.import_busybox()
        poster, watch = bench.Poster(cluster), bench.Watch(cluster)
        before = meminfo()
        cpu = {name: bench.cpu_s(cluster.pid(name)) for name in ("server", "agent")}
        told["after"] = {}
        begin = time.monotonic()
        marks = sorted({n // 10, n // 2, n})
        made = 0
        for mark in marks:  # in portions, to see what grows faster than their number
            portion = time.monotonic()
            for i in range(made, mark):
                poster.send("POST", path, bench.bench_pod(f"idle-{i}"))
            last = max(watch.when(f"idle-{i}", PODS_WAIT_S) for i in range(made, mark))
            told["after"][mark] = {
                "ms_a_pod": round((last - portion) * 1000 / (mark - made), 1),
                "cpu_ms_a_pod": {name: round((bench.cpu_s(cluster.pid(name)) - cpu[name]) * 1000 / (mark - made), 2)
                                 for name in cpu},
                **{name: bench.memory(cluster.pid(name)) for name in cpu}}
            cpu = {name: bench.cpu_s(cluster.pid(name)) for name in cpu}
            made = mark
        told["start_all_s"] = round(last - begin, 1)
        now = meminfo()
        shims = bench.shims(cluster)
        told.update({
            "system_kb_a_pod": (before["MemAvailable"] - now["MemAvailable"]) // n,
            "kernel_kb_a_pod": {key: (now[key] - before[key]) // n for key in ("Slab", "KernelStack", "PageTables", "Percpu")},
            "shims": len(shims), "shim_pss_kb": round(pss(shims, bench.memory) / max(1, len(shims)))})
        everyone = {"server": [cluster.pid("server")], "agent": [cluster.pid("agent")], "shims": shims}
        before = {name: sum(map(bench.cpu_s, pids)) for name, pids in everyone.items()}
        time.sleep(PODS_IDLE_S)  # idleness is what is measured
        told["idle_s"] = PODS_IDLE_S
        told["idle_cpu_s"] = {name: round(sum(map(bench.cpu_s, pids)) - before[name], 3) for name, pids in everyone.items()}
        begin = time.monotonic()
        poster.send("DELETE", path)
        watch.gone(PODS_WAIT_S)
        told["delete_all_s"] = round(time.monotonic() - begin, 1)
    finally:
        if watch:
            watch.stop()
        cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_args()
    parts = options.parts or ["oci", "agent", "pods"]
    result = {"cores": os.cpu_count(), "kernel": os.uname().release}
    with tempfile.TemporaryDirectory(prefix="proa-bench.") as directory:
        if "oci" in parts:
            oci(options.build, pathlib.Path(directory) / "oci", result)
    if "agent" in parts:
        agent(options.build, result)
    if "pods" in parts:
        pods(options.build, SourceFileLoader("bench", str(TOOLS / "bench")).load_module(), result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
