#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tools/bench_images.py [--build DIR] [--dir DIR] : an image of one large layer, imported and pulled; part of `make bench`.

In turn with `tar xzf` of the same file, which writes no digest down and syncs nothing; ratios are of pairs, their median.
"""
import argparse
import gzip
import hashlib
import io
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
import test_registry  # noqa: E402

ENTRIES = 6000
GZIP_BYTES = 70 << 20
ROUNDS = 7


def layer():
    """A tar of files as distributions have them: most are small, a few large; compressed to less than half."""
    rng = random.Random(1)
    sizes = [min(rng.paretovariate(0.9), 4000) for _ in range(ENTRIES)]
    plain = GZIP_BYTES * 2.2
    words = [rng.randbytes(rng.randint(2, 9)).hex().encode() for _ in range(5000)]
    text = b" ".join(rng.choices(words, k=400000))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for i, size in enumerate(sizes):
            entry = tarfile.TarInfo(f"usr/lib/{i % 200}/file-{i}")
            entry.size = int(size * plain / sum(sizes))
            at = rng.randrange(len(text))
            body = (text[at:] + text) * (entry.size // len(text) + 1)
            tar.addfile(entry, io.BytesIO(body[:entry.size]))
    return out.getvalue()


def measure(build, base, tell):
    work = pathlib.Path(tempfile.mkdtemp(prefix="proa-bench-images.", dir=base))
    proa = ROOT / build / "proa"
    tar = layer()
    packed = gzip.compress(tar, 6)
    (work / "layer.tar.gz").write_bytes(packed)

    def sha(data):
        return "sha256:" + hashlib.sha256(data).hexdigest()

    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [sha(tar)]}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": test_registry.MANIFEST,
                           "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha(config), "size": len(config)},
                           "layers": [{"mediaType": test_registry.LAYER, "digest": sha(packed), "size": len(packed)}]}).encode()
    del tar
    files = {"manifests/1": manifest, "blobs/" + sha(config): config, "blobs/" + sha(packed): packed}
    with test_registry.Registry(files) as registry:
        ways = {
            "tar": lambda to: ["tar", "xzf", work / "layer.tar.gz", "-C", to],
            "import": lambda to: [proa, "image", "import", work / "layer.tar.gz", "--name=l:1", f"--data-dir={to}"],
            "pull": lambda to: [proa, "image", "pull", "--quiet", registry.name + "/a:1", f"--data-dir={to}"],
        }
        took = {way: [] for way in ways}
        for n in range(ROUNDS + 1):  # the first warms up
            for way, words in ways.items():
                to = work / "to"
                to.mkdir()
                begin = time.monotonic()
                subprocess.run([str(w) for w in words(to)], check=True, stdout=subprocess.DEVNULL)
                if n:
                    took[way].append((time.monotonic() - begin) * 1000)
                shutil.rmtree(to)
                subprocess.run(["sync", "-f", str(work)], check=True)  # nobody pays for what others wrote
            tell(f"round {n}: " + ", ".join(f"{way} {times[-1]:.0f} ms" for way, times in took.items() if times))
    shutil.rmtree(work)
    result = {"gzip_bytes": len(packed), "entries": ENTRIES}
    for way, times in took.items():
        result[way + "_ms"] = round(statistics.median(times))
    for way in ("import", "pull"):
        result[way + "_to_tar"] = round(statistics.median(a / b for a, b in zip(took[way], took["tar"])), 2)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--dir")
    options = parser.parse_args()
    print(json.dumps(measure(options.build, options.dir, lambda text: print(text, file=sys.stderr, flush=True)), indent=1))


if __name__ == "__main__":
    main()
