# SPDX-License-Identifier: Apache-2.0
"""containerd with proa-oci below its runc shim: a daemon of its own, driven with ctr."""
import shutil
import subprocess

from bundle import Skip, expect

CTR_S = 60
# What would look at the machine, or need a network.
WITHOUT = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", *(f"io.containerd.snapshotter.v1.{s}" for s in
                                                                         ("aufs", "btrfs", "devmapper", "zfs"))]


class Containerd:
    def __init__(self, o):
        if not shutil.which("containerd") or not shutil.which("ctr"):
            raise Skip("containerd is not installed")
        self.dir = o.dir / "containerd"
        self.dir.mkdir()
        config = self.dir / "config.toml"
        plugins = ", ".join(f'"{name}"' for name in WITHOUT)
        config.write_text(f'version = 2\nroot = "{self.dir}/root"\nstate = "{self.dir}/state"\ndisabled_plugins = [{plugins}]\n'
                          f'[grpc]\naddress = "{self.dir}/s"\n[ttrpc]\naddress = "{self.dir}/t"\n')
        self.ctr = ["ctr", f"--address={self.dir}/s"]
        self.how = ["--rootfs", "--runtime=io.containerd.runc.v2", f"--runc-binary={o.for_drivers()}", f"--runc-root={self.dir}/runc",
                    f"--cgroup=/{o.word}/ctr"]
        self.process = subprocess.Popen(["containerd", "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "successfully booted" in line:
                break
        else:
            expect(False, "containerd did not start")
        self.log = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=open(self.dir / "log", "w"))

    def __call__(self, *words, code=0):
        r = subprocess.run([str(w) for w in (*self.ctr, *words)], capture_output=True, text=True, timeout=CTR_S)
        expect(r.returncode == code, f"ctr {' '.join(map(str, words))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r.stdout + r.stderr

    def status(self, name):
        return {line.split()[0]: line.split()[2] for line in self("task", "ls").splitlines()[1:]}.get(name)

    def stop(self):
        self.process.terminate()
        self.process.wait(CTR_S)
        self.log.wait(CTR_S)
        shutil.rmtree(self.dir)


def test_containerd(o):
    c = Containerd(o)
    base = o.dir / "base"
    try:
        expect(c("run", "--rm", *c.how, base, "one", "echo", "hello") == "hello\n", "run")
        c("run", "--rm", *c.how, base, "two", "sh", "-c", "exit 7", code=7)
        expect("executable file not found" in c("run", "--rm", *c.how, base, "three", "nothing", code=1), "what is missing")
        attached = subprocess.Popen([*c.ctr, "run", *map(str, c.how), str(base), "four", "sh", "-c", "echo up; exec sleep 1000"],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        expect(attached.stdout.readline() == "up\n", "its output")
        expect(c("task", "exec", "--exec-id=x", "four", "echo", "in") == "in\n", "exec")
        c("task", "exec", "--exec-id=y", "four", "sh", "-c", "exit 3", code=3)
        c("task", "pause", "four")
        expect(c.status("four") == "PAUSED", "paused")
        c("task", "resume", "four")
        expect(c.status("four") == "RUNNING" and "four" in c("task", "metrics", "four"), "running")
        expect(c("task", "ps", "four").count("\n") == 2, "its one process")
        c("task", "kill", "--signal=KILL", "four")
        expect(attached.wait(CTR_S) == 137, "the status of a killed task")
        c("container", "rm", "four")
        expect("four" not in c("container", "ls"), "gone")
    finally:
        c.stop()
    o.clean("after containerd")
