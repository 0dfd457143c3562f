# SPDX-License-Identifier: Apache-2.0
"""podman with proa-oci as its runtime: its own store, no network."""
import resource
import shutil
import subprocess

from bundle import Skip, expect

PODMAN_S = 120


def own_limits():
    """containers.conf: limits would be raised to defaults, which not every root may; ours stay as they are."""
    limits = [f'"{name}={hard}:{hard}"' for name, hard in
              (("nofile", resource.getrlimit(resource.RLIMIT_NOFILE)[1]), ("nproc", resource.getrlimit(resource.RLIMIT_NPROC)[1]))]
    return f"[containers]\ndefault_ulimits = [{', '.join(limits)}]\n"


class Podman:
    def __init__(self, o):
        if not shutil.which("podman"):
            raise Skip("podman is not installed")
        self.o, self.dir = o, o.dir / "podman"
        self.dir.mkdir()
        (self.dir / "containers.conf").write_text(own_limits())
        self.program = ["env", f"CONTAINERS_CONF={self.dir}/containers.conf", f"XDG_RUNTIME_DIR={self.dir}/xdg",
                        "podman", f"--root={self.dir}/root", f"--runroot={self.dir}/run", f"--tmpdir={self.dir}/tmp",
                        "--cgroup-manager=cgroupfs", "--storage-driver=vfs", "--events-backend=file", f"--runtime={o.for_drivers()}"]
        self.run_words = ("run", "--network=none", "--cgroups=no-conmon", f"--cgroup-parent=/{o.word}", "--security-opt=seccomp=unconfined")
        subprocess.run(["tar", "-C", str(o.dir / "base"), "-cf", str(self.dir / "base.tar"), "."], check=True)
        self("import", self.dir / "base.tar", "bb")

    def __call__(self, *words, code=0, both=False, **options):
        r = subprocess.run([str(w) for w in (*self.program, *words)], capture_output=True, text=True, timeout=PODMAN_S, **options)
        expect(r.returncode == code, f"podman {' '.join(map(str, words))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r.stdout + r.stderr if both else r.stdout

    def run(self, *words, **options):
        return self(*self.run_words, *words, **options)

    def stop(self):
        self("rm", "--all", "--force", "--time=0")
        self("pod", "rm", "--all", "--force")
        self("rmi", "--all", "--force")
        shutil.rmtree(self.dir)


def test_podman(o):
    p = Podman(o)
    expect(p.run("--rm", "bb", "echo", "hello") == "hello\n", "run")
    p.run("--rm", "bb", "sh", "-c", "exit 5", code=5)
    p.run("--rm", "bb", "nothing", code=127)
    p.run("--rm", "bb", "/etc", code=126)
    p.run("-d", "--name=c", "bb", "sh", "-c", "echo up; exec sleep 1000")
    expect(p("exec", "c", "sh", "-c", "echo in; id -u") == "in\n0\n", "exec")
    p("exec", "c", "nothing", code=127)
    p("pause", "c")
    expect(p("inspect", "--format={{.State.Status}}", "c") == "paused\n", "paused")
    p("unpause", "c")
    p("stop", "-t", "1", "c")
    expect("up" in p("logs", "c"), "logs")
    p("rm", "c")
    memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true"
    expect(p.run("--rm", "--memory=32m", "bb", "sh", "-c", memory) == "33554432\n", "--memory")
    expect(p.run("--rm", "--user=1000:1000", "--workdir=/tmp", "--env=A=b", "--cap-drop=all", "bb", "sh", "-c",
                 "id -u; pwd; echo $A; grep CapBnd /proc/self/status") == "1000\n/tmp\nb\nCapBnd:\t0000000000000000\n", "flags")
    expect(p.run("--rm", "-t", "bb", "tty").strip() == "/dev/pts/0", "a terminal")
    expect(p.run("--rm", "-i", "bb", "cat", input="in") == "in", "standard input")
    p.stop()
    o.clean("after podman")
