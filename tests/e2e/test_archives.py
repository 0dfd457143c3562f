# SPDX-License-Identifier: Apache-2.0
"""Archives and layouts both ways, with skopeo and umoci as judges; skipped aloud where they are missing."""
import hashlib
import json
import pathlib
import shutil
import tarfile
import tempfile

from harness import ROOT, expect, run

TYPES = ("oci-archive", "oci", "docker-archive")


class Store:
    """An image store of its own with busybox in it."""

    def __init__(self, build):
        self.proa = ROOT / build / "proa"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-archives."))
        self.data = self.dir / "data"

    def start(self):
        run([ROOT / "tools/make-image", self.dir / "busybox.tar"])
        self.image("import", self.dir / "busybox.tar", "--name=web:1")

    def stop(self):
        shutil.rmtree(self.dir)

    def image(self, *words, data=None):
        return run([self.proa, "image", *words, f"--data-dir={data or self.data}"])

    def id(self, data=None):
        return self.image("list", "--quiet", data=data).split()

    def config(self, reference):
        """The id of an image as skopeo sees it: the digest of its configuration."""
        raw = run(["skopeo", "inspect", "--config", "--raw", reference])
        return "sha256:" + hashlib.sha256(raw.encode()).hexdigest()


def make(build):
    return Store(build)


def judged(*programs):
    """Of tests that need programs."""
    def wrap(test):
        def call(store):
            missing = [p for p in programs if not shutil.which(p)]
            if missing:
                print("skip  not here: " + ", ".join(missing), flush=True)
                return
            test(store)
        return call
    return wrap


@judged("skopeo")
def test_skopeo_reads_and_writes(store):
    id = store.id()
    for kind in TYPES:
        out, back = store.dir / f"out-{kind}", store.dir / f"back-{kind}"
        store.image("export", "web:1", f"--type={kind}", f"--output={out}")
        expect([store.config(f"{kind}:{out}")] == id, f"{kind}: another image")
        # What skopeo makes of it is the same image again.
        run(["skopeo", "--insecure-policy", "copy", f"{kind}:{out}", f"{kind}:{back}:web:1"])
        data = store.dir / f"data-{kind}"
        store.image("import", back, "--name=web:1", data=data)
        expect(store.id(data) == id, f"{kind}: {store.id(data)} came back for {id}")


@judged("umoci")
def test_umoci_unpacks(store):
    layout, bundle = store.dir / "layout", store.dir / "bundle"
    store.image("export", "web:1", "--type=oci", f"--output={layout}")
    tag = json.loads((layout / "index.json").read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    run(["umoci", "unpack", "--image", f"{layout}:{tag}", bundle])
    with tarfile.open(store.dir / "busybox.tar") as t:
        for m in t:
            p = bundle / "rootfs" / m.name
            expect(p.is_symlink() == m.issym() and (m.issym() or p.stat().st_mode & 0o7777 == m.mode), f"{p} is another")

    (bundle / "rootfs/etc/passwd").unlink()
    (bundle / "rootfs/new").write_text("new")
    run(["umoci", "repack", "--image", f"{layout}:changed", bundle])
    changed = store.dir / "changed"
    shutil.copytree(layout, changed)
    index = json.loads((changed / "index.json").read_text())
    index["manifests"] = [m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == "changed"]
    (changed / "index.json").write_text(json.dumps(index))
    store.image("import", changed, "--name=changed:1")
    store.image("export", "changed:1", "--type=oci", f"--output={store.dir / 'again'}")
    again = json.loads((store.dir / "again/index.json").read_text())["manifests"][0]
    run(["umoci", "unpack", "--image", f"{store.dir / 'again'}:" + again["annotations"]["org.opencontainers.image.ref.name"],
         store.dir / "seen"])
    expect((store.dir / "seen/rootfs/new").read_text() == "new", "what was added")
    expect(not (store.dir / "seen/rootfs/etc/passwd").exists(), "what was removed")
