# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at random moments of pull, import, build, prune, rm and run: what the store lists is whole, and nothing leaks.

`make test-kills` does 150 rounds, PROA_KILLS sets another number, PROA_SEED the one that a failure printed.
"""
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import tarfile
import tempfile
import time

from harness import ROOT, Failed, expect, run
from test_registry import Registry, image

ROUNDS = int(os.environ.get("PROA_KILLS", "10"))
SEED = int(os.environ.get("PROA_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
TOO_LONG_S = 60


class Store:
    """A store, a registry with two images, an archive with many files, a Dockerfile; nothing of it needs a network."""

    def __init__(self, build):
        self.proa = ROOT / build / "proa"
        # In memory: what a killed process leaves is the same there, and syncing takes no time.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-kills.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.data = self.dir / "data"
        self.images = self.data / "agent/images"
        self.random = random.Random(SEED)
        self.containers = set()

    def start(self):
        run([ROOT / "tools/make-image", self.dir / "busybox.tar"])
        self.do("image", "import", self.dir / "busybox.tar", "--name=busybox:demo")
        files = dict(image("kills 1")[0])
        self.registry = Registry(files)
        with tarfile.open(self.dir / "files.tar.gz", "w:gz", compresslevel=1) as t:
            for i in range(800):
                entry = tarfile.TarInfo(f"usr/{i % 20}/{i}")
                entry.size = 3000
                t.addfile(entry, io.BytesIO(self.random.randbytes(3000)))
        context = self.dir / "context"
        context.mkdir()
        (context / "file").write_bytes(self.random.randbytes(300000))
        (context / "Dockerfile").write_text("FROM busybox:demo\nARG N\nCOPY file /copied\nRUN --network=none echo $N > /made\n")
        self.rounds = 0
        self.kinds = {
            "pull": lambda: ("image", "pull", self.registry.name + "/a:1"),
            "import": lambda: ("image", "import", self.dir / "files.tar.gz", "--name=files:1"),
            "build": lambda: ("image", "build", "-q", "-t", "built:1", f"--build-arg=N={self.rounds}", context),
            "prune": lambda: ("image", "prune", "--all"),
            "rm": lambda: ("image", "rm", "files:1"),
            "run": lambda: ("run", "--rm", "--network=none", "busybox:demo", "true"),
        }
        self.took = {}

    def words(self, *words):
        verb = 2 if words[0] == "image" else 1
        return [str(w) for w in (self.proa, *words[:verb], f"--data-dir={self.data}", *words[verb:])]

    def do(self, *words, check=True):
        r = subprocess.run(self.words(*words), capture_output=True, text=True, timeout=TOO_LONG_S)
        if check and r.returncode != 0:
            raise Failed(f"{' '.join(map(str, words))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r.stdout

    def stop(self):
        self.registry.__exit__()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- what has to hold ----

    def blob(self, digest):
        name = digest.removeprefix("sha256:")
        data = (self.images / "blobs" / name).read_bytes()
        expect(hashlib.sha256(data).hexdigest() == name, f"blob {name} is not what it should be")
        return data

    def layer(self, diff):
        path = self.images / "layers" / diff.removeprefix("sha256:")
        files = [p.lstat() for p in (path / "fs").rglob("*") if p.is_file() and not p.is_symlink()]
        size = sum({s.st_ino: s.st_size for s in files}.values())
        expect(int((path / "size").read_text()) == size, f"layer {diff} has {size} bytes")

    def sound(self):
        """Every image leads to blobs with its digests and to layers that have all their bytes."""
        listed = {i["id"] for i in json.loads(self.do("image", "list", "--all", "--format=json"))}
        there = {"sha256:" + p.name for p in (self.images / "images").iterdir()}
        expect(listed == there, f"{listed} is not {there}")
        for id in there:
            manifest = json.loads(self.blob((self.images / "images" / id.removeprefix("sha256:")).read_text()))
            config = json.loads(self.blob(manifest["config"]["digest"]))
            for layer in manifest["layers"]:
                self.blob(layer["digest"])
            for diff in config["rootfs"]["diff_ids"]:
                self.layer(diff)
        return len(there)

    def left(self):
        left = [str(p) for sub in ("layers", "blobs", "images", "tmp", "partial", "pins", "uses", "locks")
                for p in (self.images / sub).iterdir()]
        left += [str(p) for p in (self.data / "agent").glob("containers/*")]
        left += [str(p) for p in (self.data / "agent").glob("**/work/*")]
        left += [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.dir) in line]
        for id in self.containers:
            left += [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob(f"**/proa-run-{id[:12]}")]
            left += [str(p) for p in [pathlib.Path("/run/proa-containers") / id] if p.exists()]
        for p in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                left += [str(p)] if str(self.dir).encode() in p.read_bytes() else []
            except OSError:
                pass  # it has ended
        return left

    # ---- one round ----

    def prepare(self, kind):
        if kind == "pull":
            self.do("image", "rm", self.registry.name + "/a:1", check=False)
        elif kind == "import":
            self.do("image", "rm", "files:1", check=False)
        elif kind in ("prune", "rm"):
            self.do("image", "import", self.dir / "files.tar.gz", "--name=files:1")

    def round(self, kind):
        self.rounds += 1
        self.do("image", "import", self.dir / "busybox.tar", "--name=busybox:demo")  # pruned, perhaps
        self.prepare(kind)
        if kind not in self.took:
            begin = time.monotonic()
            self.do(*self.kinds[kind]())
            self.took[kind] = time.monotonic() - begin
            return
        process = subprocess.Popen(self.words(*self.kinds[kind]()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(self.random.uniform(0, 1.1 * self.took[kind]))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.containers |= {p.name for p in (self.data / "agent/containers").glob("*")}
        self.sound()


def make(build):
    return Store(build)


def test_killed_at_random_moments(store):
    try:
        for n in range(ROUNDS + len(store.kinds)):
            store.round(list(store.kinds)[n % len(store.kinds)])
        # What was cut off is done by the next one, and then there is nothing that doesn't belong to it.
        for kind in ("pull", "import", "build"):
            store.do("image", "import", store.dir / "busybox.tar", "--name=busybox:demo")
            store.prepare(kind)
            store.do(*store.kinds[kind]())
        expect(store.sound() >= 4, "the images are there")
        for id in store.do("ps", "-aq").split():
            store.do("rm", "-f", id)
        store.do("image", "prune", "--all")
        expect(not store.left(), f"left behind: {store.left()}")
    except Failed as error:
        raise Failed(f"PROA_SEED={SEED} PROA_KILLS={ROUNDS}, round {store.rounds}: {error}") from None
