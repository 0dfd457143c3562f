# SPDX-License-Identifier: Apache-2.0
"""Bundles of busybox, and proa-oci on them, in a directory that is looked over at the end."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from harness import Failed, expect, run  # noqa: E402

RUN_S = 30


def mounts():
    return {line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()}


class Skip(Exception):
    """What this machine lacks for a test."""


def word_of(directory):
    """In the names of a run's containers and groups."""
    return "proaoci" + directory.name.rsplit(".")[-1].replace("_", "x")


def cgroups(word):
    """Directories with the word in their name. Others' groups come and go meanwhile."""
    found = []
    for at, below, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(at, name) for name in below if word in name]
    return sorted(found)


def sweep(directory):
    """What can outlive a run's namespaces: groups, the directory."""
    for group in cgroups(word_of(directory)):
        for at, _, files in os.walk(group, topdown=False):
            if "freezer.state" in files:  # what is frozen doesn't end
                with contextlib.suppress(OSError):
                    pathlib.Path(at, "freezer.state").write_text("THAWED")
            with contextlib.suppress(OSError):
                os.rmdir(at)
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def without_sanitizers(o):
    """For a while o's program is the one that is static, and makes no system calls but its own."""
    before = o.program
    if b"__asan_init" in before.read_bytes():
        o.program = ROOT / "build/proa-oci"
        if not o.program.exists():
            o.program = before
            raise Skip("needs build/proa-oci")
    try:
        yield o.program.parent
    finally:
        o.program = before


class Oci:
    told = set()  # what was left behind, of all: one failure, not one more at each test that follows

    def __init__(self, build, directory):
        """directory: the run's; each of these has one of its own in it."""
        self.program = ROOT / build / "proa-oci"
        self.dir = directory / str(len(list(directory.iterdir())))
        self.dir.mkdir(mode=0o755)
        self.root = self.dir / "state"
        self.word = word_of(directory)
        self.before = mounts()
        self.sum = hashlib.sha256(self.program.read_bytes()).hexdigest()
        self.n = 0
        base = self.dir / "base"
        (base / "bin").mkdir(parents=True)
        for name in ("proc", "sys", "dev", "etc", "tmp", "root", "mnt", "run"):
            (base / name).mkdir()
        shutil.copy2(shutil.which("busybox"), base / "bin/busybox")
        for applet in run([base / "bin/busybox", "--list"]).split():
            if applet != "busybox":
                (base / "bin" / applet).symlink_to("busybox")
        (base / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/root:/bin/sh\n")
        (base / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")

    def for_drivers(self):
        """The program as others start it: with the sanitizer's options, which they do not pass on."""
        if b"__asan_init" not in self.program.read_bytes():
            return self.program
        wrapper = self.dir / "proa-oci"
        wrapper.write_text(f"#!/bin/sh\nASAN_OPTIONS={os.environ['ASAN_OPTIONS']} exec {self.program} \"$@\"\n")
        wrapper.chmod(0o755)
        return wrapper

    def bundle(self, *args, change=None, cgroup=True):
        """A new bundle: proa-oci's own config with these arguments, changed by a function."""
        self.n += 1
        at = self.dir / f"bundle{self.n}"
        at.mkdir()
        shutil.copytree(self.dir / "base", at / "rootfs", symlinks=True)
        run([self.program, "spec", "--bundle", at])
        config = json.loads((at / "config.json").read_text())
        config["process"]["terminal"] = False
        config["process"]["args"] = list(args) or ["/bin/true"]
        config["root"]["readonly"] = False
        if cgroup:
            config["linux"]["cgroupsPath"] = f"/{self.word}/{self.n}"
        if change:
            change(config)
        (at / "config.json").write_text(json.dumps(config))
        return at

    def name(self):
        self.n += 1
        return f"{self.word}-{self.n}"

    def do(self, *words, code=0, **options):
        options.setdefault("timeout", RUN_S)
        options.setdefault("capture_output", True)
        r = subprocess.run([str(w) for w in (self.program, "--root", self.root, *words)], text=True, **options)
        if code is not None and r.returncode != code:
            raise Failed(f"proa-oci {' '.join(map(str, words))}: exit {r.returncode}, expected {code}\n{r.stdout}{r.stderr}")
        return r

    def run(self, bundle, code=0, **options):
        """Output of `run` in the foreground; code None: any."""
        return self.do("run", "--bundle", bundle, self.name(), code=code, **options)

    def refused(self, bundle, *words):
        r = self.run(bundle, code=None)
        expect(r.returncode != 0, f"it was run: {r.stdout}")
        for word in words:
            expect(word.lower() in r.stderr.lower(), f"{word!r} is not in {r.stderr!r}")
        self.clean(f"after {r.stderr.strip()}")
        return r

    def clean(self, when):
        left = sorted(str(p) for p in self.root.glob("*") if p.name != ".seccomp") if self.root.exists() else []
        for group in cgroups(self.word):  # the one that all share stays
            left += [str(p) for p in pathlib.Path(group).iterdir() if p.is_dir()] if group.endswith("/" + self.word) else [group]
        left += sorted(m for m in mounts() - self.before if str(self.dir) in m)
        for p in pathlib.Path("/proc").glob("[0-9]*/cwd"):
            try:
                if str(self.dir / "bundle") in os.readlink(p):
                    left.append(str(p))
            except OSError:
                continue
        left = sorted(set(left) - self.told)
        self.told.update(left)
        expect(not left, f"{when}: left behind: {left}")

    def stop(self):
        for line in self.do("list", "-q", code=None).stdout.split():
            self.do("delete", "--force", line, code=None)
        expect(hashlib.sha256(self.program.read_bytes()).hexdigest() == self.sum, "the program was changed")
        self.clean("at the end")
