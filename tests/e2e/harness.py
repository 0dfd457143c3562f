# SPDX-License-Identifier: Apache-2.0
"""A real cluster for end-to-end tests: `proa up` in a network namespace of its own, driven with kubectl.

Tests are functions named test_*, in files named test_*.py; each gets a Cluster. Nothing sleeps: kubectl wait, rollout
status and watches tell when something has happened. Everything a cluster makes is removed at the end, also after a
failure, and what could not be removed is reported as a failure of its own.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBECTL_S = 60

# A sandboxed server cannot be looked at by the leak checker; the unit tests look for leaks.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")


class Failed(Exception):
    """An expectation that did not hold, or a command that failed."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


class Cluster:
    def __init__(self, build="build"):
        self.proa = ROOT / build / "proa"
        self.netns = "pe-" + uuid.uuid4().hex[:7]
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-e2e."))
        self.dir.chmod(0o755)  # the server's own user must get through
        self.data = self.dir / "data"
        self.kubeconfig = self.data / "admin.kubeconfig"
        self.address = None
        self.options = []  # more for proa up
        self.env = dict(os.environ, KUBECONFIG=str(self.kubeconfig), HOME=str(self.dir))

    # ---- life ----

    def start(self):
        if not self.address:
            run([ROOT / "tools/netns", "up", self.netns])
            self.address = run([ROOT / "tools/netns", "address", self.netns]).strip()
        self.inside([self.proa, "up", "--detach", f"--data-dir={self.data}", f"--listen={self.address}:6443",
                     f"--node-ip={self.address}", "--node-name=node-1", *self.options])
        return self

    def import_busybox(self):
        image = self.dir / "busybox.tar"
        run([ROOT / "tools/make-image", image])
        run([self.proa, "image", "import", image, "--name=busybox:demo", f"--data-dir={self.data}"])
        return self

    def stop(self):
        """Orderly; raises when something was left behind."""
        left = []
        if (self.data / "cluster.json").exists():
            result = self.inside([self.proa, "down", f"--data-dir={self.data}"], check=False)
            if result.returncode != 0:
                left.append("proa down: " + result.stderr.strip())
            left += self.leftovers()
        left += self.sanitizer_reports()
        run([ROOT / "tools/netns", "down", self.netns])
        shutil.rmtree(self.dir, ignore_errors=True)
        expect(not left, "left behind or reported: " + "; ".join(left))

    def config(self):
        return json.loads((self.data / "cluster.json").read_text())

    def sanitizer_reports(self):
        """What ASan and UBSan wrote into the log of a sanitized build, and processes of ours that crashed."""
        log = self.data / "proa.log"
        marks = ("runtime error:", "ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "status=139", "status=134")
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return ["\n".join([line.strip(), *(frame for frame in lines[i + 1:i + 60] if re.match(r" *#\d+ |.*thread T\d+ here", frame))])
                for i, line in enumerate(lines) if any(mark in line for mark in marks)]

    def leftovers(self):
        """What should be gone after `proa down`: processes, mounts, links, cgroups, the run directory."""
        config = self.config()
        left = []
        for name in ("mountinfo",):
            for line in pathlib.Path("/proc/self", name).read_text().splitlines():
                if str(self.data) in line or config["runDir"] + "/" in line:
                    left.append("mount " + line.split()[4])
        links = self.inside(["ip", "-o", "link"]).stdout
        left += ["link " + line.split(":")[1].strip() for line in links.splitlines()
                 if "proa-" in line.split(":")[1] or line.split(":")[1].strip().startswith("pv")]
        for path in pathlib.Path("/sys/fs/cgroup").glob("**/proa-" + config["id"]):
            left.append("cgroup " + str(path))
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if (str(self.data) in words or config["runDir"] in words) and path.parent.name != str(os.getpid()):
                left.append("process " + path.parent.name + " " + words[:80])
        if os.path.exists(config["runDir"]):
            left.append("directory " + config["runDir"])
        return left

    # ---- doing things ----

    def inside(self, command, check=True, **options):
        """Runs a command in the cluster's network namespace."""
        command = [ROOT / "tools/netns", "exec", self.netns] + command
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=self.env,
                                timeout=options.pop("timeout", KUBECTL_S), **options)
        if check and result.returncode != 0:
            raise Failed(f"{' '.join(str(w) for w in command[3:])}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def kubectl(self, *words, check=True, stdin=None, timeout=KUBECTL_S):
        return self.inside(["kubectl", *words], check=check, input=stdin, timeout=timeout)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json").stdout)

    def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        return self.kubectl("apply", "-f", "-", stdin=text)

    def connect(self):
        """An HTTPS connection to the API server as its admin."""
        pki = self.data / "server/pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        return http.client.HTTPSConnection(self.address, 6443, context=context, timeout=KUBECTL_S)

    def wait(self, what, condition, timeout=60, ns="default"):
        """Watches an object ("pod/web") until "condition=Ready[=false]", "jsonpath={.status.phase}=Failed" or a function of it holds.

        Not by kubectl wait: that of Debian 12 knows no jsonpath.
        """
        kind, name = what.split("/")
        path = {"pod": f"/api/v1/namespaces/{ns}/pods", "node": "/api/v1/nodes",
                "quota": f"/api/v1/namespaces/{ns}/resourcequotas",
                "pdb": f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
                "deployment": f"/apis/apps/v1/namespaces/{ns}/deployments"}[kind]
        connection = self.connect()
        connection.request("GET", f"{path}?watch=1&fieldSelector=metadata.name%3D{name}&timeoutSeconds={timeout}")
        last = None
        for line in connection.getresponse():
            last = json.loads(line)["object"]
            if holds(last, condition):
                connection.close()
                return
        raise Failed(f"{what} never had {condition}; last: {json.dumps((last or {}).get('status'))}")

    def logs_until(self, pod, text, *words):
        """The log of a running pod once text is in it."""
        seen = ""
        with self.running("kubectl", "logs", "-f", pod, *words) as follow:
            for line in follow.stdout:
                seen += line
                if text in seen:
                    return seen
        raise Failed(f"the log of {pod} never had {text!r}: {seen}")

    @contextlib.contextmanager
    def running(self, *command):
        """A process in the cluster's network namespace, killed at the end of the block or after KUBECTL_S seconds."""
        command = [ROOT / "tools/netns", "exec", self.netns, *command]
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=self.env)
        timer = threading.Timer(KUBECTL_S, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            process.stdout.close()

    def refused(self, *words, stdin=None):
        """The error text of a kubectl command that must fail."""
        result = self.kubectl(*words, check=False, stdin=stdin)
        expect(result.returncode != 0, f"kubectl {' '.join(words)} was accepted: {result.stdout}")
        return result.stderr

    def pid(self, name):
        """Of "up", "server" or "agent"."""
        return int(pathlib.Path(self.config()["runDir"], name + ".pid").read_text().split()[0])

    def kill(self, name):
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid


def holds(obj, condition):
    if callable(condition):
        return condition(obj)
    if condition.startswith("condition="):
        kind, _, status = condition[len("condition="):].partition("=")
        return any(c["type"] == kind and c["status"].lower() == (status or "true").lower()
                   for c in obj.get("status", {}).get("conditions", []))
    path, wanted = re.match(r"jsonpath=\{(.*)\}=(.*)", condition).groups()
    for step in re.findall(r"\w+", path):
        if isinstance(obj, list):
            obj = obj[int(step)] if int(step) < len(obj) else None
        else:
            obj = (obj or {}).get(step)
    return str(obj) == wanted


def run(command, check=True):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if check and result.returncode != 0:
        raise Failed(f"{' '.join(str(w) for w in command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def pod(name, command=None, ns="default", **spec):
    """A pod of one busybox container; spec adds to or replaces fields of its spec."""
    container = {"name": "main", "image": "busybox:demo", "imagePullPolicy": "IfNotPresent"}
    if command:
        container["command"] = ["/bin/sh", "-c", command]
    container.update(spec.pop("container", {}))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": ns},
            "spec": dict({"containers": [container], "terminationGracePeriodSeconds": 2}, **spec)}
