# SPDX-License-Identifier: Apache-2.0
"""`proa image pull` from registries that fail, stall, lie and let go: it goes on where that helps, and keeps nothing false."""
import base64
import gzip
import hashlib
import http.server
import io
import json
import pathlib
import random
import shutil
import subprocess
import tarfile
import tempfile
import threading

from harness import ROOT, expect, run

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PULL_S = 90


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image(seed, lie=None):
    """({path below the repository: bytes}, the layer's digest) of an image with one layer that doesn't compress."""
    noise = random.Random(seed).randbytes(600000)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        entry = tarfile.TarInfo("noise")
        entry.size = len(noise)
        t.addfile(entry, io.BytesIO(noise))
    layer = gzip.compress(tar.getvalue())
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": [digest(tar.getvalue())]}}).encode()
    parts = {"config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
             "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": len(layer)}]}
    if lie:
        lie(parts)
    manifest = json.dumps(dict(parts, schemaVersion=2, mediaType=MANIFEST)).encode()
    return {"manifests/1": manifest, "manifests/" + digest(manifest): manifest,
            "blobs/" + parts["config"]["digest"]: config, "blobs/" + parts["layers"][0]["digest"]: layer}, digest(layer)


class Registry(http.server.ThreadingHTTPServer):
    """Serves {path: bytes} under /v2/a/; on(handler, path, data, nth time) may answer in another way and says so by True."""
    daemon_threads = True

    def __init__(self, files, on=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.on, self.seen, self.times = files, on, [], {}
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def name(self):
        return f"127.0.0.1:{self.server_port}"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        pass  # clients that were lied to hang up


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, path = self.server, self.path.removeprefix("/v2/a/")
        with server.lock:
            server.seen.append((path, {k.lower(): v for k, v in self.headers.items()}))
            nth = server.times[path] = server.times.get(path, 0) + 1
        data = server.files.get(path, b"" if self.path == "/v2/" else None)
        if server.on and server.on(self, path, data, nth):
            return
        if data is None:
            self.answer(404, b"{}")
            return
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in self.headers else 0
        more = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        self.answer(206 if start else 200, data[start:], **more)

    do_HEAD = do_GET

    def answer(self, code, data, length=None, **headers):
        self.send_response(code)
        headers.setdefault("Content-Type", MANIFEST if "/manifests/" in self.path else "application/octet-stream")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def hang_up(self):
        self.close_connection = True
        return True


class Store:
    """An image store of its own."""

    def __init__(self, build):
        self.proa = ROOT / build / "proa"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-registry."))
        self.data = self.dir / "data"

    def start(self):
        """What stalls is waited for while the other tests run."""
        files, layer = image("stalled")
        self.let_go = threading.Event()

        def stall(h, path, data, nth):
            if path != "blobs/" + layer or nth > 1:
                return False
            h.answer(200, data[:200000], length=len(data))
            h.wfile.flush()
            self.let_go.wait(PULL_S)
            return h.hang_up()

        self.stalling = Registry(files, stall)
        self.stalled = subprocess.Popen(self.words("pull", self.stalling.name + "/a:1"), stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)

    def stop(self):
        self.let_go.set()
        self.stalled.kill()
        self.stalled.communicate()
        self.stalling.__exit__()
        shutil.rmtree(self.dir)

    def words(self, *words):
        return [str(w) for w in (self.proa, "image", *words, f"--data-dir={self.data}")]

    def pull(self, ref, *words):
        return subprocess.run(self.words("pull", ref, *words), capture_output=True, text=True, timeout=PULL_S)

    def pulled(self, registry, ref="/a:1", *words):
        r = self.pull(registry.name + ref, *words)
        expect(r.returncode == 0, r.stderr)

    def refused(self, registry, reason, ref="/a:1"):
        r = self.pull(registry.name + ref)
        expect(r.returncode != 0 and reason in r.stderr, f"{r.returncode} {r.stdout} {r.stderr}")
        listed = run(self.words("list", "--all", "--format=json"))
        expect(registry.name not in listed, listed)


def make(build):
    return Store(build)


def test_fails_for_a_while(store):
    files, layer = image(1)
    codes = {1: 503, 2: 429}

    def on(h, path, data, nth):
        if nth not in codes:
            return False
        h.answer(codes[nth], b"{}", **({"Retry-After": "1"} if codes[nth] == 429 else {}))
        return True

    with Registry(files, on) as r:
        store.pulled(r)
        expect(r.times["blobs/" + layer] == 3, r.times)


def test_goes_on_where_it_was_cut(store):
    files, layer = image(2)

    def on(h, path, data, nth):
        if path != "blobs/" + layer or nth > 2:
            return False
        start = int(h.headers["Range"].removeprefix("bytes=").rstrip("-")) if nth > 1 else 0
        more = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        h.answer(206 if start else 200, data[start:start + 150000], length=len(data) - start, **more)
        return h.hang_up()

    with Registry(files, on) as r:
        store.pulled(r)
        ranges = [headers.get("range") for path, headers in r.seen if path == "blobs/" + layer]
        expect(ranges == [None, "bytes=150000-", "bytes=300000-"], ranges)


def test_bytes_are_not_what_was_promised(store):
    files, layer = image(3)
    whole = files["blobs/" + layer]
    files["blobs/" + layer] = whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]
    with Registry(files) as r:
        store.refused(r, "is damaged: its digest is ")
    files["blobs/" + layer] = whole
    with Registry(files) as r:
        store.pulled(r)  # nothing of it was kept


def test_sizes_are_lies(store):
    for by in (-1, 1):
        def lie(parts):
            parts["layers"][0]["size"] += by
        with Registry(image(f"size{by}", lie)[0]) as r:
            store.refused(r, "another number of bytes than the manifest says")


def test_manifest_is_another(store):
    files, other = image(4)[0], image(5)[0]["manifests/1"]
    files["manifests/" + digest(other)] = files["manifests/1"]
    with Registry(files) as r:
        store.refused(r, "the registry sent something else: its digest is ", "/a@" + digest(other))


def test_manifest_without_end(store):
    files, _ = image(6)
    files["manifests/1"] = b" " * (64 << 20) + files["manifests/1"]
    with Registry(files) as r:
        store.refused(r, "the answer is too large")


def test_credentials_stay_with_their_host(store):
    files, layer = image(7)
    elsewhere = Registry({"blobs/" + layer: files["blobs/" + layer]})

    def on(h, path, data, nth):
        if "Authorization" not in h.headers:
            h.answer(401, b"{}", **{"WWW-Authenticate": 'Basic realm="r"'})
            return True
        if path != "blobs/" + layer:
            return False
        h.answer(307, b"", Location=f"http://localhost:{elsewhere.server_port}/v2/a/{path}")
        return True

    with Registry(files, on) as r, elsewhere:
        config = store.dir / "registries.yaml"
        config.write_text(f'configs: {{"{r.name}": {{auth: {{username: ann, password: secret}}}}}}\n')
        store.pulled(r, "/a:1", f"--registries={config}")
        sent = [headers.get("authorization") for _, headers in r.seen]
        expect("Basic " + base64.b64encode(b"ann:secret").decode() in sent, sent)
        expect(elsewhere.seen and not any("authorization" in headers for _, headers in elsewhere.seen), elsewhere.seen)


def test_one_layer_for_many_is_fetched_once(store):
    files, layer = image(8)
    with Registry(files) as r:
        pulls = [subprocess.Popen(store.words("pull", r.name + "/a:1", "--quiet"), stdout=subprocess.DEVNULL) for _ in range(5)]
        expect(all(p.wait(PULL_S) == 0 for p in pulls), "one of them failed")
        expect(r.times["blobs/" + layer] == 1, r.times)


def test_killed_pulls_leave_a_store_that_goes_on(store):
    """Killed after so many bytes of the layer, those that come after the last byte in the midst of unpacking or recording."""
    for at in (0, 1, 250000, 599000, None):
        files, layer = image(f"killed {at}")
        sent, killed = threading.Event(), threading.Event()

        def on(h, path, data, nth):
            if path != "blobs/" + layer or nth > 1:
                return False
            h.answer(200, data[:at], length=len(data))
            h.wfile.flush()
            sent.set()
            killed.wait(PULL_S)
            return h.hang_up()

        with Registry(files, on) as r:
            pull = subprocess.Popen(store.words("pull", r.name + "/a:1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            expect(sent.wait(PULL_S), "nobody asked for the layer")
            pull.kill()
            pull.wait()
            killed.set()
            json.loads(run(store.words("list", "--all", "--format=json")))
            store.pulled(r)
            expect(r.name in run(store.words("list", "--format=json")), "the image is not listed")
            run(store.words("rm", r.name + "/a:1"))
    left = [p for p in (store.data / "agent/images/partial").glob("*")]
    expect(len(left) <= 1, left)  # the pull that stalls all the while


def test_stalled_is_asked_again(store):
    told = store.stalled.communicate(timeout=PULL_S)[0]
    expect(store.stalled.returncode == 0, told)
    expect(any("range" in headers for _, headers in store.stalling.seen), store.stalling.seen)
