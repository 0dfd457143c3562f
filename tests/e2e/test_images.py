# SPDX-License-Identifier: Apache-2.0
"""Images for pods from Debian's docker-registry, one open and one with a password; skipped aloud where it is missing."""
import base64
import crypt
import json
import shutil
import subprocess

from harness import ROOT, Cluster, Failed, expect, pod

OPEN, CLOSED = "127.0.0.1:5000", "127.0.0.1:5001"
FOREVER = "trap exit TERM; sleep 1000000 & wait"


class Registries(Cluster):
    """A cluster with two registries in its network namespace that hold busybox, and that has no busybox itself."""

    processes = ()

    def start(self):
        super().start()
        if not shutil.which("docker-registry"):
            return self
        (self.dir / "passwords").write_text("ann:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))
        self.processes = [self.registry(OPEN, ""), self.registry(CLOSED, "auth: {htpasswd: {realm: r, path: %s}}" %
                                                                (self.dir / "passwords"))]
        login = {"auths": {CLOSED: {"auth": base64.b64encode(b"ann:secret").decode()}}}
        self.login = json.dumps(login)
        (self.dir / ".docker").mkdir()
        (self.dir / ".docker/config.json").write_text(self.login)
        self.import_busybox()
        for to in (OPEN, CLOSED):
            self.image("push", "busybox:demo", f"{to}/team/busybox:1")
            self.image("push", "busybox:demo", f"{to}/team/busybox")
        self.image("rm", "busybox:demo")
        return self

    def registry(self, address, more):
        config = self.dir / f"registry-{address[-4:]}.yaml"
        config.write_text(f"""version: 0.1
storage: {{filesystem: {{rootdirectory: {self.dir}/registry-{address[-4:]}}}}}
http: {{addr: "{address}"}}
{more}
""")
        process = self.spawn("docker-registry", "serve", config)
        for line in process.stderr:
            if "listening on" in line:
                return process
        raise Failed("docker-registry ended")

    def spawn(self, *words):
        command = [str(w) for w in (ROOT / "tools/netns", "exec", self.netns, *words)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self.env)

    def image(self, *words):
        return self.inside([self.proa, "image", *words, f"--data-dir={self.data}"]).stdout

    def events(self, name):
        return [(e["reason"], e["message"]) for e in self.get("events")["items"] if e["involvedObject"]["name"] == name]

    def event(self, name, reason, text):
        expect(any(r == reason and text in m for r, m in self.events(name)), f"no {reason} {text!r} in {self.events(name)}")

    def waits_for(self, name, reason):
        self.wait("pod/" + name, "jsonpath={.status.containerStatuses[0].state.waiting.reason}=" + reason)

    def runs(self, name, image, policy="IfNotPresent", **spec):
        self.apply(pod(name, FOREVER, container={"image": image, "imagePullPolicy": policy}, **spec))

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait()
            process.stderr.close()
        super().stop()


def make(build):
    return Registries(build)


def with_registry(test):
    def run(cluster):
        if not cluster.processes:
            print("skip  no docker-registry here", flush=True)
            return
        test(cluster)
    return run


@with_registry
def test_pulled_once(cluster):
    cluster.runs("open", f"{OPEN}/team/busybox:1")
    cluster.wait("pod/open", "condition=Ready")
    status = cluster.get("pod/open")["status"]["containerStatuses"][0]
    expect(status["imageID"].startswith(f"{OPEN}/team/busybox@sha256:"), status["imageID"])
    cluster.event("open", "Pulling", f'Pulling image "{OPEN}/team/busybox:1"')
    cluster.event("open", "Pulled", f'Successfully pulled image "{OPEN}/team/busybox:1" in ')
    cluster.wait("node/node-1", "jsonpath={.status.images[0].names[1]}=" + f"{OPEN}/team/busybox:1")

    cluster.runs("again", status["imageID"])
    cluster.wait("pod/again", "condition=Ready")
    cluster.event("again", "Pulled", "already present on machine")
    cluster.runs("always", f"{OPEN}/team/busybox:1", "Always")
    cluster.wait("pod/always", "condition=Ready")
    cluster.event("always", "Pulled", "Successfully pulled image")


@with_registry
def test_secret_needed(cluster):
    cluster.runs("stranger", f"{CLOSED}/team/busybox:1")
    cluster.waits_for("stranger", "ErrImagePull")
    cluster.waits_for("stranger", "ImagePullBackOff")
    cluster.event("stranger", "Failed", f'Failed to pull image "{CLOSED}/team/busybox:1": ')
    cluster.event("stranger", "Failed", "Error: ErrImagePull")
    cluster.event("stranger", "BackOff", f'Back-off pulling image "{CLOSED}/team/busybox:1"')

    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "type": "kubernetes.io/dockerconfigjson",
                   "stringData": {".dockerconfigjson": cluster.login}})
    cluster.runs("known", f"{CLOSED}/team/busybox:1", imagePullSecrets=[{"name": "login"}])
    cluster.wait("pod/known", "condition=Ready")


@with_registry
def test_no_such_image(cluster):
    cluster.runs("missing", f"{OPEN}/team/nothing:1", imagePullSecrets=[{"name": "absent"}])
    cluster.waits_for("missing", "ErrImagePull")
    cluster.waits_for("missing", "ImagePullBackOff")
    cluster.event("missing", "FailedToRetrieveImagePullSecret", "absent")
    cluster.runs("never", f"{OPEN}/team/never:1", "Never")
    cluster.waits_for("never", "ErrImageNeverPull")
    cluster.event("never", "ErrImageNeverPull", "is not present with pull policy of Never")
    cluster.runs("unreadable", f"{OPEN}/team/Upper:1")
    cluster.waits_for("unreadable", "InvalidImageName")


def test_containers_without_cluster_keep_images(cluster):
    cluster.import_busybox()
    (cluster.dir / "lone").mkdir()
    (cluster.dir / "lone/Dockerfile").write_text("FROM busybox:demo\nLABEL of=its-own\n")
    cluster.image("build", "-t", "lone:1", cluster.dir / "lone")
    id = cluster.inside([cluster.proa, "run", "-d", "--network=none", f"--data-dir={cluster.data}", "lone:1", "sleep", "1000000"]).stdout.strip()
    try:
        cluster.kill("agent")
        cluster.runs("later", "lone:1", "Never")
        cluster.wait("pod/later", "condition=Ready")
        cluster.kubectl("delete", "pod/later", "--wait")
        refused = cluster.inside([cluster.proa, "image", "rm", "lone:1", f"--data-dir={cluster.data}"], check=False)
        expect("in use" in refused.stderr, refused.stdout + refused.stderr)
    finally:
        cluster.inside([cluster.proa, "rm", "-f", id, f"--data-dir={cluster.data}"])
