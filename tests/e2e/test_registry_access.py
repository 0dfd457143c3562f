# SPDX-License-Identifier: Apache-2.0
"""`proa image pull` by docker's habits: credential helpers, tokens that expire, mirrors, variants of platforms, digests."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse

from harness import ROOT, expect
from test_registry import MANIFEST, PULL_S, Handler, Registry, digest, image

INDEX = "application/vnd.oci.image.index.v1+json"


class Store:
    """An image store of its own, and a home with docker's configuration."""

    def __init__(self, build):
        self.proa = ROOT / build / "proa"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-access."))
        self.data = self.dir / "data"

    def start(self):
        (self.dir / "bin").mkdir()
        (self.dir / ".docker").mkdir()

    def stop(self):
        shutil.rmtree(self.dir)

    def pull(self, ref, *words, code=0):
        command = [str(w) for w in (self.proa, "image", "pull", "-q", ref, f"--data-dir={self.data}", *words)]
        env = dict(os.environ, HOME=str(self.dir), PATH=f"{self.dir}/bin:{os.environ['PATH']}")
        r = subprocess.run(command, capture_output=True, text=True, timeout=PULL_S, env=env)
        expect(r.returncode == code, f"{ref}: {r.returncode} {r.stdout} {r.stderr}")
        return r

    def docker_config(self, **config):
        (self.dir / ".docker/config.json").write_text(json.dumps(config))

    def helper(self, name, script):
        path = self.dir / "bin" / f"docker-credential-{name}"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def config(self, registry, ref):
        command = [str(w) for w in (self.proa, "image", "inspect", registry.name + ref, f"--data-dir={self.data}")]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)[0]


def make(build):
    return Store(build)


def basic(user, password):
    expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def on(h, path, data, nth):
        if h.headers.get("Authorization") == expected:
            return False
        h.answer(401, b"{}", **{"WWW-Authenticate": 'Basic realm="r"'})
        return True

    return on


def test_credential_helpers(store):
    with Registry(image("helpers")[0], basic("ann", "of-helper")) as r:
        store.docker_config(credHelpers={r.name: "own"}, credsStore="common")
        store.helper("own", f"""read server; test "$1" = get && test "$server" = {r.name} || exit 1
echo '{{"ServerURL":"{r.name}","Username":"ann","Secret":"of-helper"}}'""")
        store.helper("common", "exit 1")
        store.pull(r.name + "/a:1")
    with Registry(image("store")[0], basic("bob", "of-store")) as r:
        store.docker_config(credsStore="common")
        # It doesn't even read what it is asked for.
        store.helper("common", """exec 0<&-; echo '{"Username":"bob","Secret":"of-store"}'""")
        store.pull(r.name + "/a:1")
        store.docker_config(auths={r.name: {"username": "bob", "password": "wrong"}})
        told = store.pull(r.name + "/a:1", code=1).stderr
        expect("access denied" in told, told)
        store.docker_config(credsStore="absent", auths={r.name: {"auth": base64.b64encode(b"bob:of-store").decode()}})
        expect("docker-credential-absent" in store.pull(r.name + "/a:1").stderr, "a helper that is missing is told")
    store.docker_config()


def test_token_expires_in_the_middle(store):
    files, layer = image("tokens")
    asked, valid = [], set()

    def on(h, path, data, nth):
        if h.path.startswith("/token"):
            asked.append(urllib.parse.parse_qs(urllib.parse.urlsplit(h.path).query))
            valid.add(f"t{len(asked)}")
            h.answer(200, json.dumps({"token": f"t{len(asked)}", "expires_in": 300}).encode())
            return True
        if h.headers.get("Authorization", "").removeprefix("Bearer ") in valid:
            if path.startswith("manifests/"):
                valid.clear()  # it was good for one manifest
            return False
        h.answer(401, b"{}", **{"WWW-Authenticate": f'Bearer realm="http://{h.headers["Host"]}/token",service="s",scope="repository:a:pull"'})
        return True

    with Registry(files, on) as r:
        store.pull(r.name + "/a:1")
        expect(len(asked) >= 2 and asked[0]["scope"] == ["repository:a:pull"] and asked[0]["service"] == ["s"], asked)


def test_mirrors(store):
    files, layer = image("mirrored")

    def hub(h, path, data, nth):
        name = h.path.removeprefix("/v2/hub/a/")
        if name == h.path or name not in files:
            return False
        h.answer(200, files[name])
        return True

    with Registry({}) as empty, Registry({}, hub) as mirror, Registry(files) as origin:
        config = store.dir / "registries.yaml"
        config.write_text(f'mirrors: {{"{origin.name}": {{endpoint: ["http://{empty.name}", "http://{mirror.name}"], '
                          'rewrite: {"^(.*)": "hub/$1"}}}\n')
        store.pull(origin.name + "/a:1", f"--registries={config}")
        expect(empty.seen and not origin.seen, "the mirrors are asked in order, the registry after them")
        expect(store.config(origin, "/a:1")["repoTags"] == [f"{origin.name}/a:1"], "the name is the registry's")


def test_variants_of_platforms(store):
    files, parts = {}, []
    for variant in ("v6", "v7", "v8"):
        one = image("arm " + variant)[0]
        manifest = json.loads(one.pop("manifests/1"))
        config = json.loads(one.pop("blobs/" + manifest["config"]["digest"]))
        config.update(architecture="arm", variant=variant)
        config = json.dumps(config).encode()
        manifest["config"].update(digest=digest(config), size=len(config))
        manifest = json.dumps(manifest).encode()
        files.update(one)
        files.update({"blobs/" + digest(config): config, "manifests/" + digest(manifest): manifest})
        parts.append({"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest),
                      "platform": {"os": "linux", "architecture": "arm", "variant": variant}})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": parts}).encode()

    def on(h, path, data, nth):
        if path not in ("manifests/1", "manifests/" + digest(index)):
            return False
        h.answer(200, index, **{"Content-Type": INDEX})
        return True

    with Registry(files, on) as r:
        for variant in ("v7", "v6"):
            store.pull(r.name + "/a:1", f"--platform=linux/arm/{variant}")
            asked = [path for path, _ in r.seen if path.startswith("manifests/sha256")]
            expect(asked[-1] == "manifests/" + next(p["digest"] for p in parts if p["platform"]["variant"] == variant), asked)
        # A tag beside a digest says nothing: the digest counts.
        store.pull(f"{r.name}/a:other@{digest(index)}", "--platform=linux/arm/v7")
        told = store.pull(r.name + "/a:1", "--platform=linux/s390x", code=1).stderr
        expect("no match for platform linux/s390x" in told, told)


class Upload:
    """POST, PATCH and PUT as the distribution specification has them, for Registry's handler; mounts are taken."""

    def __init__(self):
        self.mounted, self.manifests, self.blobs = [], {}, {}

    def post(self, h):
        h.rfile.read(int(h.headers.get("Content-Length", 0)))
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(h.path).query)
        if "mount" in query:
            self.mounted.append((query["mount"][0], query["from"][0]))
            h.answer(201, b"", Location="/v2/b/blobs/" + query["mount"][0])
        else:
            h.answer(202, b"", Location=f"/v2/b/blobs/uploads/{len(self.blobs)}?state=x")

    def put(self, h):
        data = h.rfile.read(int(h.headers["Content-Length"]))
        if "/manifests/" in h.path:
            self.manifests[h.path.rsplit("/", 1)[1]] = (h.headers["Content-Type"], data)
        else:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(h.path).query)
            self.blobs[query["digest"][0]] = data
        h.answer(201, b"", **{"Docker-Content-Digest": digest(data)})


def test_an_index_is_pushed_whole(store):
    files, parts = {}, []
    for arch in ("amd64", "arm64"):
        one = image("index " + arch)[0]
        manifest = one.pop("manifests/1")
        files.update(one)
        parts.append({"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest),
                      "platform": {"os": "linux", "architecture": arch}})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": parts}).encode()
    upload = Upload()

    class Writable(Handler):
        def do_POST(self):
            upload.post(self)

        def do_PUT(self):
            upload.put(self)

    def on(h, path, data, nth):
        if path in ("manifests/1", "manifests/" + digest(index)):
            h.answer(200, index, **{"Content-Type": INDEX})
        elif h.path.startswith("/v2/b/"):
            h.answer(404, b"")
        else:
            return False
        return True

    with Registry(files, on) as r, Registry({}, on) as other:
        for registry in (r, other):
            registry.RequestHandlerClass = Writable
        store.pull(r.name + "/a:1", "--all-platforms")

        def push(to):
            command = [str(w) for w in (store.proa, "image", "push", "--quiet", "--all-platforms", r.name + "/a:1", to, f"--data-dir={store.data}")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PULL_S)
            expect(done.returncode == 0, done.stderr)

        push(r.name + "/b:2")
        blobs = {path.removeprefix("blobs/") for path in files if path.startswith("blobs/")}
        expect({d for d, _ in upload.mounted} == blobs and not upload.blobs, "what the registry has elsewhere is not sent again")
        expect({source for _, source in upload.mounted} == {"a"}, upload.mounted)
        expect(upload.manifests["2"] == (INDEX, index), "the index, byte for byte")
        expect(all(p["digest"] in upload.manifests for p in parts) and list(upload.manifests)[-1] == "2", "manifests before their index")
        upload.manifests.clear()
        push(other.name + "/b:2")
        expect(set(upload.blobs) == blobs and all(digest(data) == d for d, data in upload.blobs.items()), "every blob")
        expect(upload.manifests["2"] == (INDEX, index), "the index elsewhere")
