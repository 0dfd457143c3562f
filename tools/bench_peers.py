# SPDX-License-Identifier: Apache-2.0
"""What a user would take instead, measured in the same run as proa: crun, runc, containerd, etcd, as far as Debian's
packages are installed (apt-get install --no-install-recommends crun runc containerd etcd-server), and kube-apiserver
where Go and its module proxy are there. For tools/bench.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/e2e"))
import harness  # noqa: E402

ROUNDS = 3  # ours and theirs by turns, so that what else the machine does meets all alike
RUNS = 20  # of one runtime in a round
WAIT_S = 20


def have(program):
    return shutil.which(program) is not None


def median(values):
    return sorted(values)[len(values) // 2]


def timed(command, **options):
    begin = time.monotonic()
    result = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=WAIT_S, **options)
    took = (time.monotonic() - begin) * 1000
    harness.expect(result.returncode == 0, f"{command[0]}: {result.stderr.strip()[-300:]}")
    return took


def bundle(directory):
    """An OCI bundle of busybox that runs /bin/true, with what its own tool puts into a fresh config."""
    rootfs = directory / "rootfs"
    (rootfs / "bin").mkdir(parents=True)
    for name in ("proc", "sys", "dev", "etc", "tmp"):
        (rootfs / name).mkdir()
    shutil.copy2("/bin/busybox", rootfs / "bin/busybox")
    os.symlink("busybox", rootfs / "bin/true")
    tool = "crun" if have("crun") else "runc"
    harness.run(["env", "-C", directory, tool, "spec"])
    config = json.loads((directory / "config.json").read_text())
    config["process"].update(terminal=False, args=["/bin/true"])
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def runtimes(build, directory, result):
    """/bin/true from request to removed. Ours in a pod that is there, by the agent's own calls."""
    bench = harness.ROOT / build / "tests/e2e/runtime/runtime_bench"
    rivals_bundle = bundle(directory / "bundle") if have("crun") or have("runc") else None
    rivals = []
    for name in ("crun", "runc"):
        try:
            if have(name):
                timed([name, "--root", directory / name, "run", "--bundle", rivals_bundle, f"bench-{os.getpid()}"])
                rivals.append(name)
        except harness.Failed as failed:  # Debian's crun refuses hybrid cgroups
            result[f"{name}_run_ms"] = str(failed)
    times = {name: [] for name in rivals}
    ours = []
    for turn in range(ROUNDS):
        if bench.exists():
            out = subprocess.run([bench], capture_output=True, text=True, timeout=120,
                                 env=dict(os.environ, PROA_SHIM=str(harness.ROOT / build / "proa-shim"))).stdout
            ours += [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        for name in rivals:
            times[name] += [timed([name, "--root", directory / name, "run", "--bundle", rivals_bundle,
                                   f"bench-{os.getpid()}-{turn}-{i}"]) for i in range(RUNS)]
    if ours:
        result["runtime"] = {key: median([o[key] for o in ours]) for key in ours[0]}
    for name in rivals:
        result[f"{name}_run_ms"] = round(median(times[name]), 2)
        if ours:
            result[f"ratio_{name}_run_to_ours"] = round(result[f"{name}_run_ms"] / result["runtime"]["container_run_ms"], 2)


class Daemon:
    """A program in the cluster's network namespace, ended by its pid."""

    def __init__(self, cluster, command):
        self.process = subprocess.Popen(["nsenter", f"--net=/run/netns/{cluster.netns}", *[str(w) for w in command]],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for(self, check):
        deadline = time.monotonic() + WAIT_S
        while not check():  # it is somebody else's program: there is no event to wait for
            harness.expect(time.monotonic() < deadline and self.process.poll() is None, "a daemon does not start")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def etcd(cluster, directory, load, memory, result):
    """Durable puts of the same size by the same client over the same TLS: gRPC, as a kube-apiserver would send them."""
    if not have("etcd"):
        return
    pki, address = cluster.data / "server/pki", cluster.address
    command = ["etcd", f"--data-dir={directory}/etcd", f"--listen-client-urls=https://{address}:2379",
               f"--advertise-client-urls=https://{address}:2379", "--listen-peer-urls=http://127.0.0.1:2380",
               f"--cert-file={pki}/apiserver.crt", f"--key-file={pki}/apiserver.key"]

    def healthy():
        return cluster.inside(["curl", "-s", "--cacert", pki / "ca.crt", f"https://{address}:2379/health"],
                              check=False).stdout.find("true") >= 0

    with Daemon(cluster, command) as daemon:
        daemon.wait_for(healthy)
        result["etcd_idle"] = memory(daemon.process.pid)
        for clients, count in ((1, 1000), (64, 10000)):
            puts = load("etcd-put", clients, count, address=f"{address}:2379")
            result[f"etcd_puts_{clients}_client{'s' * (clients > 1)}"] = puts
            result[f"etcd_gets_{clients}_client{'s' * (clients > 1)}"] = load("etcd-get", clients, 5 * count,
                                                                              address=f"{address}:2379")
        after = memory(daemon.process.pid)
        result["etcd_after_11000_puts"] = after
        result["etcd_rss_kb_per_10000_values_of_3_kb"] = round((after["rss_kb"] - result["etcd_idle"]["rss_kb"]) / 1.1)
        result["etcd_list_5000"] = load("etcd-list", 1, 20, address=f"{address}:2379")


def upstream(build):
    """kube-apiserver and the etcd it is made for, from their Go modules; built once, ten minutes on two cores."""
    module, to = harness.ROOT / "tests/bench/upstream", harness.ROOT / build / "upstream"
    packages = {"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"}
    for name, package in packages.items():
        if not (to / name).exists():
            harness.expect(have("go"), "kube-apiserver needs Go to be built")
            harness.run(["go", "-C", module, "build", "-o", to / name, package], timeout=3600)
    return to


def kube_apiserver(cluster, build, api, memory, result):
    """The same measurements of upstream's API server and its etcd, by the same client with the same certificates."""
    programs, directory = upstream(build), cluster.dir / "upstream"
    pki, address, port = cluster.data / "server/pki", cluster.address, 7443
    directory.mkdir()
    harness.run(["openssl", "genrsa", "-traditional", "-out", directory / "sa.key", "2048"])
    etcd_command = [programs / "etcd", f"--data-dir={directory}/etcd", "--listen-client-urls=http://127.0.0.1:2479",
                    "--advertise-client-urls=http://127.0.0.1:2479", "--listen-peer-urls=http://127.0.0.1:2480"]
    command = [programs / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2479", f"--bind-address={address}",
               f"--advertise-address={address}", f"--secure-port={port}", f"--client-ca-file={pki}/ca.crt",
               f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
               f"--service-account-key-file={directory}/sa.key",
               f"--service-account-signing-key-file={directory}/sa.key",
               "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.43.0.0/16",
               "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]

    def ready(url, *words):
        return cluster.inside(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *words, url], check=False).stdout == "200"

    with Daemon(cluster, etcd_command) as etcd_daemon:
        etcd_daemon.wait_for(lambda: ready("http://127.0.0.1:2479/health"))
        with Daemon(cluster, command) as daemon:
            daemon.wait_for(lambda: ready(f"https://{address}:{port}/readyz", "--cacert", pki / "ca.crt", "--cert", pki / "admin.crt",
                                          "--key", pki / "admin.key"))

            def rss_kb():
                return sum(memory(d.process.pid)["rss_kb"] for d in (etcd_daemon, daemon))
            result["kube_apiserver"] = {}
            api(cluster, build, f"{address}:{port}", rss_kb).measure(result["kube_apiserver"])


def containerd(cluster, directory, memory, result):
    """One container of /bin/true by `ctr run --rm`: what a container through containerd and its shim costs."""
    if not have("containerd") or not have("ctr"):
        return
    socket = directory / "containerd.sock"
    config = directory / "containerd.toml"
    config.write_text(f'version = 2\nroot = "{directory}/cd-root"\nstate = "{directory}/cd-state"\n'
                      f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{socket}"\n')
    ctr = ["ctr", "--address", socket]
    with Daemon(cluster, ["containerd", "--config", config]) as daemon:
        daemon.wait_for(lambda: subprocess.run([*ctr, "version"], capture_output=True).returncode == 0)
        rootfs = bundle(directory / "ctr-bundle") / "rootfs"
        times = [timed([*ctr, "run", "--rm", "--rootfs", rootfs, f"bench-{i}", "/bin/true"]) for i in range(RUNS)]
        result["containerd"] = memory(daemon.process.pid)
        result["containerd_ctr_run_ms"] = round(median(times), 1)
