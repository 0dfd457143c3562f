#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/kinds.py [--apiserver PROGRAM | --kubeconfig FILE] [--only WORD]

Walks every kind of discovery with kubectl: create from a minimal valid object, get, list, watch, patch, delete. A kind that
discovery offers and kinds.json doesn't know is a failure, so that none is forgotten. Without --kubeconfig it starts
the given API server (tests/e2e/apiserver.c) by itself, in memory, on a loopback port.
"""
import argparse
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import tempfile
import time

WATCH_S = 10
NS = "kinds-test"

# resource.group → what the least object needs beyond name and kind; a name that isn't free is given as "metadata". null: no
# client can make it alone. js/walk.mjs reads the same file.
OBJECTS = json.loads((pathlib.Path(__file__).parent / "kinds.json").read_text())


class Failed(Exception):
    pass


class Kubectl:
    def __init__(self, arguments):
        self.command = ["kubectl"] + arguments

    def run(self, *arguments, stdin=None):
        r = subprocess.run(self.command + list(arguments), input=stdin, capture_output=True, text=True, timeout=60)
        if r.returncode != 0:
            raise Failed(f"kubectl {' '.join(arguments)}: {r.stderr.strip() or r.stdout.strip()}")
        return r.stdout

    def json(self, *arguments, stdin=None):
        return json.loads(self.run(*arguments, "-o", "json", stdin=stdin))

    def watch(self, *arguments):
        return Watch(subprocess.Popen(self.command + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE))


class Watch:
    """kubectl get --watch; wait() reads until the event has come. The watch tells, nothing polls."""

    def __init__(self, process):
        self.process, self.text = process, ""
        self.selector = selectors.DefaultSelector()
        self.selector.register(process.stdout, selectors.EVENT_READ)

    def wait(self, event):
        end = time.monotonic() + WATCH_S
        while f'"type":"{event}",' not in self.text:
            piece = os.read(self.process.stdout.fileno(), 65536) if self.selector.select(end - time.monotonic()) else b""
            if not piece:
                raise Failed(f"the watch did not tell {event}: {self.text[-500:]}")
            self.text += piece.decode(errors="replace")

    def stop(self):
        self.process.kill()
        self.process.communicate()


def kinds(kubectl):
    """(resource.version.group, namespaced, kind, apiVersion, verbs) of everything that can be created and listed."""
    versions = [("api/v1", "v1")]
    for group in json.loads(kubectl.run("get", "--raw", "/apis"))["groups"]:
        versions += [("apis/" + v["groupVersion"], v["groupVersion"]) for v in group["versions"]]
    for path, version in versions:
        for r in json.loads(kubectl.run("get", "--raw", "/" + path))["resources"]:
            if "/" not in r["name"] and {"create", "list", "get"} <= set(r["verbs"]):
                yield r["name"], version, r


def walk(kubectl, plural, version, row):
    group = version.split("/")[0] if "/" in version else ""
    key = f"{plural}.{group}" if group else plural
    if key not in OBJECTS:
        raise Failed("not in the table of minimal objects")
    rest = OBJECTS[key]
    if rest is None:
        return "skipped: cannot be made by a client alone"
    rest = dict(rest)
    full = f"{plural}.{version.split('/')[-1]}.{group}" if group else plural
    metadata = dict({"name": "kinds-" + plural}, **rest.pop("metadata", {}))
    name, ns = metadata["name"], ["-n", NS] if row["namespaced"] else []
    body = json.dumps(dict({"apiVersion": version, "kind": row["kind"], "metadata": metadata}, **rest))
    watch = kubectl.watch("get", full, *ns, "--watch", "--output-watch-events", "-o", "json", "--field-selector",
                          "metadata.name=" + name)
    try:
        made = kubectl.json("create", *ns, "--validate=true", "-f", "-", stdin=body)
        if made["metadata"]["name"] != name or not made["metadata"].get("uid"):
            raise Failed(f"created object is not complete: {made['metadata']}")
        watch.wait("ADDED")
        got = kubectl.json("get", full, name, *ns)
        if got["metadata"]["uid"] != made["metadata"]["uid"] or got["apiVersion"] != version:
            raise Failed(f"got {got['apiVersion']} {got['metadata']['uid']}, made {made['metadata']['uid']}")
        listed = kubectl.json("get", full, *ns)
        if name not in [o["metadata"]["name"] for o in listed["items"]]:
            raise Failed("not in the list")
        if len(kubectl.run("get", full, name, *ns).splitlines()) != 2:
            raise Failed("the table has not a head and a row")
        patched = kubectl.json("patch", full, name, *ns, "--type=merge", "-p", '{"metadata":{"labels":{"patched":"yes"}}}')
        if patched["metadata"]["labels"].get("patched") != "yes":
            raise Failed("patch had no effect")
        if patched["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]:
            raise Failed("the revision did not change")
        if name not in kubectl.run("get", full, *ns, "-l", "patched=yes", "-o", "name"):
            raise Failed("not found by its label")
        watch.wait("MODIFIED")
        kubectl.run("delete", full, name, *ns, "--wait=false")
        finalize(kubectl, full, name, ns, row)
        watch.wait("DELETED")
        left = kubectl.json("get", full, *ns)
        if name in [o["metadata"]["name"] for o in left["items"]]:
            raise Failed("still listed after it was deleted")
    finally:
        watch.stop()
    return None


def finalize(kubectl, full, name, ns, row):
    """No controllers run here: what they would do to let a deleted object go."""
    left = [o for o in kubectl.json("get", full, *ns)["items"] if o["metadata"]["name"] == name]
    if not left:
        return
    if not left[0]["metadata"].get("deletionTimestamp"):
        raise Failed("deleted, but has no deletionTimestamp")
    if row["kind"] == "Namespace":
        body = json.dumps(dict(left[0], spec={}))
        kubectl.run("replace", "--raw", f"/api/v1/namespaces/{name}/finalize", "-f", "-", stdin=body)
    if left[0]["metadata"].get("finalizers"):
        kubectl.run("patch", full, name, *ns, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def start(program, cache):
    process = subprocess.Popen([program, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip()
    if not address:
        sys.exit("error: the API server did not start")
    return process, Kubectl(["--server", "http://" + address, "--cache-dir", cache])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apiserver", default="build/tests/e2e/apiserver")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kinds-cache.") as cache:
        return walk_all(options, cache)


def walk_all(options, cache):
    process = None
    if options.kubeconfig:
        kubectl = Kubectl(["--kubeconfig", options.kubeconfig])
    else:
        process, kubectl = start(options.apiserver, cache)
    passed, failed = 0, 0
    try:
        kubectl.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}}))
        kubectl.run("apply", "-f", "-", stdin=json.dumps(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NS}}))
        for plural, version, row in kinds(kubectl):
            if options.only not in f"{plural}.{version}":
                continue
            try:
                note = walk(kubectl, plural, version, row)
                passed += 1
                print(f"ok    {version} {plural}" + (f" ({note})" if note else ""), flush=True)
            except (Failed, subprocess.TimeoutExpired, json.JSONDecodeError, KeyError) as error:
                failed += 1
                print(f"FAIL  {version} {plural}: {error!s}", flush=True)
            if process and process.poll() is not None:
                print(f"error: the API server ended with {process.returncode}")
                return 1
    finally:
        if process and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                print("error: the API server did not end at SIGTERM")
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
