# SPDX-License-Identifier: Apache-2.0
"""The API over TLS as a program uses it: keep-alive connections, client certificates or tokens, watches. And `proa server` alone."""
import base64
import http.client
import json
import os
import pathlib
import re
import signal
import shutil
import socket
import ssl
import subprocess
import tempfile

from harness import Failed, ROOT, expect

REQUEST_S = 30
LOST = (OSError, http.client.HTTPException, ValueError)  # what a request raises whose server went away


class Answer:
    def __init__(self, response, data):
        self.code, self.headers, self.data = response.status, response.headers, data

    @property
    def json(self):
        return json.loads(self.data)


def pem_of(kubeconfig, field, directory):
    """A certificate or key of a kubeconfig as a file, as Python's TLS wants it."""
    text = re.search(field + r"-data: *\"?([A-Za-z0-9+/=]+)", pathlib.Path(kubeconfig).read_text()).group(1)
    path = pathlib.Path(directory, field + ".pem")
    path.write_bytes(base64.b64decode(text))
    return path


def tls(kubeconfig, cert=None, key=None, anonymous=False):
    """A context that trusts the cluster; with the kubeconfig's certificate, another one, or none."""
    with tempfile.TemporaryDirectory() as d:
        context = ssl.create_default_context(cafile=pem_of(kubeconfig, "certificate-authority", d))
        if cert:
            context.load_cert_chain(cert, key)
        elif not anonymous:
            context.load_cert_chain(pem_of(kubeconfig, "client-certificate", d), pem_of(kubeconfig, "client-key", d))
    return context


class Rest:
    """One client with one connection, made again when it was lost. Not for several threads."""

    def __init__(self, address, context, token=None):
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPSConnection(host, int(port), timeout=REQUEST_S, context=context)
        self.token = token

    def send(self, method, path, body=None, **headers):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        headers.setdefault("content-type", "application/json")
        if self.token:
            headers["authorization"] = "Bearer " + self.token
        try:
            self.connection.request(method, path, data, headers)
            return self.connection.getresponse()
        except LOST:
            self.connection.close()
            raise

    def do(self, method, path, body=None, **headers):
        response = self.send(method, path, body, **headers)
        try:
            return Answer(response, response.read())
        except LOST:
            self.connection.close()
            raise

    def must(self, code, method, path, body=None, **headers):
        answer = self.do(method, path, body, **headers)
        expect(answer.code == code, f"{method} {path}: {answer.code}, expected {code}: {answer.data.decode()[:500]}")
        return answer.json if answer.data[:1] == b"{" else answer

    def watch(self, path):
        """The events of a watch as they come; ends or raises when the connection does."""
        response = self.send("GET", path)
        if response.status != 200:
            raise Failed(f"watch {path}: {response.status} {response.read().decode()[:300]}")
        for line in iter(response.readline, b""):
            yield json.loads(line)

    def close(self):
        self.connection.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Server:
    """`proa server` without a node, on a loopback port. disk: size of a tmpfs that its data lives on, in its own mount namespace."""

    def __init__(self, build="build", disk=None, options=()):
        self.proa, self.disk, self.process, self.options = ROOT / build / "proa", disk, None, list(options)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-server."))
        self.dir.chmod(0o755)
        self.data, self.log = self.dir / "data", self.dir / "log"
        self.data.mkdir()
        self.kubeconfig = self.dir / "admin.kubeconfig"
        self.address = f"127.0.0.1:{free_port()}"

    def start(self):
        ready, told = os.pipe()
        command = [str(self.proa), "server", f"--data-dir={self.data}", f"--listen={self.address}", "--node-ip=127.0.0.1",
                   "--node-name=alone", f"--kubeconfig={self.kubeconfig}", f"--ready-fd={told}",
                   *self.options]
        if self.disk:
            expect(not self.process, "its disk would be new")
            mount = f"mount -t tmpfs -o size={self.disk},mode=755 proa-test {self.data} && exec \"$@\""
            command = ["unshare", "--mount", "sh", "-c", mount, "sh"] + command
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, pass_fds=[told], stdout=log, stderr=log)
        os.close(told)
        with open(ready) as f:
            expect(f.readline().strip(), "the server did not start: " + self.log.read_text()[-2000:])
        return self

    def inside(self, *command):
        """Runs a command where the server sees its disk."""
        return subprocess.run(["nsenter", "--mount", "-t", str(self.process.pid), *map(str, command)], check=True,
                              capture_output=True, text=True).stdout

    def admin(self, **options):
        return Rest(self.address, tls(self.kubeconfig, **options))

    def certificate(self, name, *groups, days=1, ca=None):
        """A client certificate by the cluster's own authority, or by another that ca names: its files and a key's."""
        at, ca = self.dir / f"{name}.pem", ca or self.data / "server/pki/ca"
        key, request = at.with_suffix(".key"), at.with_suffix(".csr")
        subject = "/" + "/".join([f"O={g}" for g in groups] + [f"CN={name}"])
        for words in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", subject,
                       "-out", request],
                      ["x509", "-req", "-in", request, "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", str(days),
                       "-out", at]):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
        return at, key

    def user(self, name, *groups):
        """A client with a certificate of its own."""
        cert, key = self.certificate(name, *groups)
        return self.admin(cert=cert, key=key)

    def kubectl(self, *words, check=True, stdin=None):
        result = subprocess.run(["kubectl", "--kubeconfig", str(self.kubeconfig), *words], capture_output=True, text=True,
                                input=stdin, timeout=120)
        expect(not check or result.returncode == 0, f"kubectl {' '.join(words)}: {result.stderr}")
        return result

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        expect(code == 0, f"the server ended with {code}: " + self.log.read_text()[-2000:])

    def stop(self):
        """Orderly; raises when it does not end as it should."""
        try:
            if self.process and self.process.poll() is None:
                self.end()
        finally:
            if self.process and self.process.poll() is None:
                self.kill()
            log = self.log.read_text(errors="replace") if self.log.exists() else ""
            shutil.rmtree(self.dir, ignore_errors=True)
        reports = [line for line in log.splitlines() if "Sanitizer" in line or "runtime error:" in line]
        expect(not reports, "sanitizers report: " + "; ".join(reports[:5]))
