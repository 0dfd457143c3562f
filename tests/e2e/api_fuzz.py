#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_fuzz.py [--apiserver PROGRAM] [--seed N] [--seconds S] [--requests N] [--only WORD]

Fuzzes the live API over its own OpenAPI: for every operation bodies that are valid by schema and bodies that are slightly not,
parameters, content types. What must hold, whatever is sent: an answer comes and the server lives; no 5xx; an error is a
metav1.Status whose code and reason fit; a 2xx body fits the schema of its operation; what was accepted is what is got,
but for defaults; replacing an object with itself, or patching it with nothing, keeps its revision.

The same seed sends the same requests, and what breaks is printed as a request that can be sent again. A failure is told once
for each operation and kind of failure.
"""
import argparse
import collections
import http.client
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import urllib.parse

import fuzz_schema

SECONDS, REQUESTS = 40, 60000  # the same requests whatever the machine, if it is not slow
REQUEST_S = 30
NS = "kinds-test"  # as the objects of kinds.json say
TOLD = 2500  # characters of a failure's request
BAD_TOKENS = ["", "x", "-1", "0", "18446744073709551616", "1e3", "%00", "é", "a,b", "=", "a in (b", "!", "true", "All", "a" * 300, "\"", "{}"]
# Written under dryRun only: stored, they would change how all other requests are answered.
DRY = {"flowschemas", "prioritylevelconfigurations", "resourcequotas", "limitranges", "namespaces", "customresourcedefinitions",
       "apiservices", "runtimeclasses", "priorityclasses", "servicecidrs"}
# Answered by something else than the API server, or by a stream.
CONNECT = re.compile(r"/(proxy|exec|attach|portforward|log|token)(/|$)|/watch/")
UNSERVED = {"componentstatuses", "tokenreviews"}  # the second needs more than the API server alone
REASONS = {400: {"BadRequest", "Expired", ""}, 401: {"Unauthorized"}, 403: {"Forbidden"}, 404: {"NotFound"}, 405: {"MethodNotAllowed"},
           406: {"NotAcceptable"}, 409: {"Conflict", "AlreadyExists"}, 410: {"Gone", "Expired"}, 413: {"RequestEntityTooLarge"},
           415: {"UnsupportedMediaType"}, 422: {"Invalid"}, 429: {"TooManyRequests"}}
# As upstream: what cannot be applied because it is of no type is told as an internal error.
UPSTREAM_500 = re.compile(rb"failed to create typed (patch|live) object")
# As upstream: not every strategic merge patch that cannot be carried out names its fields.
NO_CAUSES = re.compile(r"merge key|strategic|patch", re.I)
# Written by the server alone, kept in another form or left out on purpose: they may be other than what was sent.
CHANGED = re.compile(r"\.(stringData|data\.a|metadata\.(selfLink|uid|generation|creationTimestamp|deletionGracePeriodSeconds)|secrets\[\d+\]\.\w+|"
                     r"endpoints\[\d+\]\.deprecatedTopology(\..*)?|spec\.configSource|spec\.dataSource(Ref)?(\.\w+)?|spec\.(uid|username|extra|groups)(\b.*)?|spec\.volumeClaimTemplates\[\d+\]\.(kind|apiVersion))$")
PATCHES = ["application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json",
           "application/apply-patch+yaml"]
TYPES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json;charset=utf-8", "text/plain",
         "application/cbor", "", "application/json-patch+json", "*/*"]
ACCEPTS = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "*/*", "text/html", "",
           "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
           "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io, application/json",
           "application/json;as=Nothing;v=v1;g=meta.k8s.io"]
# Behind feature gates that are off: known, and not kept.
OFF = re.compile(r".*\.(ints|bools|strings|versions|derivedAttributes|partitionTypeAttribute|skipNodeOperations|bindMountOptions|"
                 r"compatibilityGroups|nodeAllocatableResources|evictionResponders|podPreemptionPolicy|schedulingGroup|stopSignal|scheduling|"
                 r"preferredHolder)(\b.*)?$")
OBJECTS = json.loads((pathlib.Path(__file__).parent / "kinds.json").read_text())


class Broken(Exception):
    """Something that must hold did not; request: what was asked last when that was seen."""

    request = ""


class Dead(Exception):
    """The server is gone."""


class Answer:
    def __init__(self, code, headers, data):
        self.code, self.type, self.data = code, headers.get("content-type", ""), data
        self.json = None


class Kind:
    """A resource of discovery with its operations of OpenAPI."""

    def __init__(self, version, row, subresources):
        self.version, self.kind, self.plural, self.verbs = version, row["kind"], row["name"], set(row["verbs"])
        group = version.rpartition("/")[0]
        self.key = f"{self.plural}.{group}" if group else self.plural
        self.root = "/apis/" + version if group else "/api/v1"
        self.all = f"{self.root}/{self.plural}"
        self.path = f"{self.root}/namespaces/{NS}/{self.plural}" if row["namespaced"] else self.all
        self.namespaced, self.subresources = row["namespaced"], subresources
        self.template = self.path.replace(f"/namespaces/{NS}/", "/namespaces/{namespace}/")


class Fuzzer:
    def __init__(self, program, seed):
        self.random = random.Random(seed)
        self.process = subprocess.Popen([program, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            sys.exit("error: the API server did not start")
        self.connection = http.client.HTTPConnection(self.address, timeout=REQUEST_S)
        self.failures, self.codes, self.sent, self.last = {}, collections.Counter(), 0, ""
        self.accepted, self.visited = collections.Counter(), collections.Counter()
        self.schemas = fuzz_schema.Schemas(self.random)
        self.operations = {}
        for path in self.get("/openapi/v3")["paths"].values():
            document = self.get(path["serverRelativeURL"])
            self.schemas.add(document)
            self.operations.update(document["paths"])
        self.kinds = list(self.discover())
        for kind, name, where in (("Namespace", NS, ""), ("ServiceAccount", "default", f"/namespaces/{NS}")):
            path = f"/api/v1{where}/{kind.lower()}s"
            self.send("POST", path, json.dumps({"metadata": {"name": name}}).encode(), {"content-type": "application/json"})

    # ---- requests ----

    def send(self, method, path, body=None, headers=None):
        """One request with its answer, judged by what holds for every request."""
        self.sent += 1
        text = body if body is None or len(body) < TOLD else body[:TOLD] + b"..."
        self.last = f"{method} {path} {headers or ''} {text!r}"
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            if self.process.poll() is not None:
                raise Dead(f"the server ended with {self.process.returncode}") from error
            raise Broken(f"no answer: {type(error).__name__} {error}") from error
        self.codes[answer.code] += 1
        if answer.type.startswith("application/json"):
            try:
                answer.json = json.loads(answer.data) if answer.data else None
            except ValueError as error:
                raise Broken(f"the answer is not JSON: {error}: {answer.data[:300]!r}") from error
        self.judge(answer)
        return answer

    def judge(self, answer):
        if answer.code >= 500 and not (answer.code == 504 and "resourceVersion" in self.last) and not UPSTREAM_500.search(answer.data):
            raise Broken(f"{answer.code}: {answer.data[:300]!r}")
        if answer.code >= 400:
            status = answer.json
            if status is None:
                return  # in the form that was asked for; JSON is judged
            if not isinstance(status, dict) or status.get("kind") != "Status" or status.get("apiVersion") != "v1":
                raise Broken(f"{answer.code} without a Status: {answer.data[:300]!r}")
            if status.get("code") != answer.code or status.get("status") != "Failure" or not status.get("message"):
                raise Broken(f"the Status does not fit {answer.code}: {answer.data[:300]!r}")
            if status.get("reason", "") not in REASONS.get(answer.code, {status.get("reason", "")}):
                raise Broken(f"the reason does not fit {answer.code}: {answer.data[:300]!r}")
            if answer.code == 422 and not status.get("details", {}).get("causes") and not NO_CAUSES.search(status["message"]):
                raise Broken(f"422 without causes: {answer.data[:300]!r}")

    def get(self, path):
        answer = self.send("GET", path)
        if answer.code != 200 or answer.json is None:
            raise Broken(f"{answer.code}: {answer.data[:300]!r}")
        return answer.json

    def operate(self, kind, verb, path, template, body=None, content_type=None, query=None, accept=None):
        """A request whose 2xx answer is judged by the schema of its operation."""
        self.visited[f"{verb} {template}"] += 1
        headers = {k: v for k, v in (("content-type", content_type), ("accept", accept)) if v is not None}
        answer = self.send(verb, path + ("?" + urllib.parse.urlencode(query) if query else ""), body, headers)
        if answer.code < 300 and answer.json is not None and ";as=" not in (accept or ""):
            operation = self.operations.get(template, {}).get(verb.lower())
            if operation is None:
                raise Broken(f"{answer.code} by an operation that OpenAPI lacks")
            wanted = operation["responses"].get(str(answer.code))
            if wanted is None:
                raise Broken(f"{answer.code} is not among the answers of OpenAPI: {list(operation['responses'])}")
            schema = wanted["content"]["application/json"]["schema"]
            if verb == "DELETE" and answer.json.get("kind") == kind.kind:  # not gone yet
                schema = self.operations[template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            if verb == "POST" and answer.json.get("kind") == "Status":  # of a binding, an eviction
                schema = {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Status"}
            wrong = self.schemas.check(schema, answer.json)
            if wrong:
                raise Broken(f"the answer does not fit its schema: {wrong}: {answer.data[:600]!r}")
        return answer

    def discover(self):
        versions = [("/api/v1", "v1")]
        for group in self.get("/apis")["groups"]:
            versions += [("/apis/" + v["groupVersion"], v["groupVersion"]) for v in group["versions"]]
        for path, version in versions:
            rows = self.get(path)["resources"]
            for row in rows:
                if "/" not in row["name"]:
                    yield Kind(version, row, [r["name"].partition("/")[2] for r in rows if r["name"].startswith(row["name"] + "/")])

    # ---- what is sent ----

    def body(self, kind, name):
        """The least object of a kind, with some of what its schema allows."""
        least = OBJECTS.get(kind.key) or {}
        operation = self.operations.get(kind.template, {}).get("post")
        schema = operation["requestBody"]["content"]["*/*"]["schema"] if operation else {}
        body = json.loads(json.dumps(least))
        if self.random.random() < 0.9:
            self.schemas.enrich(schema, body)
        metadata = body.get("metadata") if isinstance(body.get("metadata"), dict) else {}
        metadata = dict(metadata, **dict({"name": name}, **least.get("metadata", {})))
        for given in ("ownerReferences", "finalizers", "deletionTimestamp", "resourceVersion", "namespace", "managedFields", "generateName"):
            metadata.pop(given, None)
        if kind.namespaced:
            metadata["namespace"] = NS
        return dict(body, apiVersion=kind.version, kind=kind.kind, metadata=metadata), metadata["name"]

    def query(self, template, verb):
        """Parameters that the operation has, with values that fit or don't."""
        operation = self.operations.get(template, {})
        names = [p["name"] for p in operation.get("parameters", []) + operation.get(verb.lower(), {}).get("parameters", [])
                 if p.get("in") == "query"] + ["pretty", "unknown"]
        query = {}
        for name in self.random.sample(names, min(len(names), self.random.choice((0, 0, 1, 1, 2, 4)))):
            query[name] = self.random.choice(BAD_TOKENS)
            if self.random.random() < 0.5:
                good = {"limit": "2", "labelSelector": "a=b,c", "fieldSelector": "metadata.name=x", "dryRun": "All", "timeoutSeconds": "1",
                        "fieldValidation": self.random.choice(("Strict", "Warn", "Ignore")), "gracePeriodSeconds": "0",
                        "propagationPolicy": self.random.choice(("Orphan", "Foreground", "Background")), "resourceVersion": "0",
                        "resourceVersionMatch": self.random.choice(("Exact", "NotOlderThan")), "force": "true"}
                query[name] = good.get(name, query[name])
        if query.get("watch", "false") not in ("false", "0") or "watch" in query:
            query.pop("watch")
        return query

    # ---- the story of one object ----

    def story(self, kind):
        name = f"fuzz-{self.random.randrange(4)}"
        if "create" not in kind.verbs:
            return self.reads(kind, name)
        body, name = self.body(kind, name)
        dry = {"dryRun": "All"} if kind.plural in DRY else {}
        if self.random.random() < 0.35:
            data, content_type = self.schemas.broken(body)
            self.operate(kind, "POST", kind.path, kind.template, data, content_type, dict(self.query(kind.template, "POST"), **dry),
                         self.random.choice(ACCEPTS))
            self.clear(kind, name)
        content_type = "application/yaml" if self.random.random() < 0.1 else "application/json"
        answer = self.operate(kind, "POST", kind.path, kind.template, json.dumps(body).encode(), content_type, dry)
        if answer.code == 201:
            self.accepted[kind.key] += 1
            self.fits(body, answer.json)
            if not dry and "get" in kind.verbs:
                try:
                    self.life(kind, name, answer.json)
                except Broken as broken:
                    broken.request = broken.request or self.last
                    raise
                finally:
                    self.clear(kind, name)
        if "list" in kind.verbs:
            self.reads(kind, name)

    def fits(self, sent, made):
        if made.get("kind") in ("SelfSubjectReview", "SelfSubjectRulesReview"):
            return  # answers that don't repeat the question
        lost = fuzz_schema.lost({k: v for k, v in sent.items() if k != "status"}, made)
        off = {"Lease": {".spec.strategy"}}.get(made.get("kind"), ())
        lost = [path for path in lost if not CHANGED.match(path) and not OFF.match(path) and path not in off]
        if lost:
            raise Broken(f"accepted, but not kept: {lost[:5]}: {json.dumps(made)[:1500]}")

    def life(self, kind, name, made):
        one, template = f"{kind.path}/{name}", kind.template + "/{name}"
        got = self.operate(kind, "GET", one, template)
        if got.code != 200 or got.json != made:
            raise Broken(f"got {got.code}, not what was created: {fuzz_schema.difference(made, got.json)}")
        if "update" in kind.verbs:
            self.same(kind, one, template, got.json, "PUT", json.dumps(got.json), "application/json")
        if "patch" in kind.verbs:
            for content_type, empty in ((PATCHES[0], "{}"), (PATCHES[1], "{}"), (PATCHES[2], "[]")):
                if self.random.random() < 0.4:
                    self.same(kind, one, template, got.json, "PATCH", empty, content_type)
            for content_type in PATCHES[:2]:
                if self.random.random() < 0.3:
                    self.same(kind, one, template, got.json, "PATCH", json.dumps(got.json), content_type)
        for _ in range(self.random.randrange(4)):
            self.change(kind, name, one, template)

    def same(self, kind, one, template, before, verb, data, content_type):
        answer = self.operate(kind, verb, one, template, data.encode(), content_type)
        if answer.code == 422 and b"does not contain declared merge key" in answer.data:
            return  # an item of a list may lack what a strategic merge goes by
        if answer.code != 200:
            raise Broken(f"{verb} {content_type} of the object itself: {answer.code} {answer.data[:500]!r}")
        if answer.json != before:
            raise Broken(f"{verb} {content_type} of the object itself changed it: {fuzz_schema.difference(before, answer.json)}")

    def change(self, kind, name, one, template):
        """A write to an existing object, to one of its subresources or to it: any may be refused."""
        subresources = [s for s in kind.subresources if not CONNECT.search("/" + s)]
        if subresources and self.random.random() < 0.4:
            s = self.random.choice(subresources)
            one, template = f"{one}/{s}", f"{template}/{s}"
        operations = [v for v in ("get", "put", "patch", "post", "delete") if v in self.operations.get(template, {})]
        if not operations:
            return
        verb = self.random.choice(operations).upper()
        body = None
        content_type = self.random.choice(TYPES)
        if verb in ("PUT", "POST", "PATCH"):
            current = self.send("GET", one).json if "get" in operations else None
            body = current if isinstance(current, dict) and current.get("kind") != "Status" else self.body(kind, name)[0]
            if verb == "POST":
                schema = self.operations[template]["post"]["requestBody"]["content"]["*/*"]["schema"]
                body = self.schemas.value(schema, 0)
            body, made_type = self.schemas.changed(self.operations[template], verb, body)
            if self.random.random() < 0.8:
                content_type = made_type
        elif verb == "DELETE":
            options = {"kind": "DeleteOptions", "apiVersion": "v1"}
            self.schemas.enrich({"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"}, options)
            body, content_type = json.dumps(options).encode(), "application/json"
        query = self.query(template, verb)
        if kind.plural in DRY:
            query["dryRun"] = "All"
        accept = self.random.choice(ACCEPTS) if self.random.random() < 0.2 else None
        self.operate(kind, verb, one, template, body, content_type, query, accept)

    def reads(self, kind, name):
        for path, template in ((kind.path, kind.template), (kind.all, kind.all), (f"{kind.path}/{name}", kind.template + "/{name}")):
            if "get" in self.operations.get(template, {}) and self.random.random() < 0.4:
                self.operate(kind, "GET", path, template, query=self.query(template, "GET"), accept=self.random.choice(ACCEPTS))

    def clear(self, kind, name):
        """The object and what holds it are gone."""
        if "delete" not in kind.verbs:
            return
        headers = {"content-type": "application/merge-patch+json"}
        answer = self.send("DELETE", f"{kind.path}/{name}?gracePeriodSeconds=0&propagationPolicy=Background")
        if answer.code < 300 and "finalizers" in (answer.json or {}).get("metadata", {}):
            self.send("PATCH", f"{kind.path}/{name}", b'{"metadata":{"finalizers":null}}', headers)

    # ---- the run ----

    def run(self, end, requests, only):
        kinds = [k for k in self.kinds if only in k.key and k.plural not in UNSERVED]
        while True:
            self.random.shuffle(kinds)
            for kind in kinds:
                if time.monotonic() > end or self.sent > requests:
                    return
                try:
                    self.story(kind)
                except Broken as broken:
                    self.told(kind, broken)

    def told(self, kind, broken):
        message = str(broken)
        signature = kind.key + " " + re.sub(r"[0-9a-f]{8}-[0-9a-f-]+|\d+|'[^']*'|\"[^\"]*\"|b'.*", "", message)[:120]
        if signature not in self.failures:
            self.failures[signature] = message
            print(f"FAIL  {kind.version} {kind.plural}: {message[:1800]}\n      {broken.request or self.last}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apiserver", default="build/tests/e2e/apiserver")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    fuzzer = Fuzzer(options.apiserver, options.seed)
    dead = None
    try:
        fuzzer.run(time.monotonic() + options.seconds, options.requests, options.only)
    except Dead as error:
        dead = str(error)
        print(f"FAIL  server: {dead}\n      {fuzzer.last}")
    finally:
        if fuzzer.process.poll() is None:
            fuzzer.process.send_signal(signal.SIGTERM)
            try:
                dead = dead or (f"ended with {fuzzer.process.wait(30)}" if fuzzer.process.wait(30) else None)
            except subprocess.TimeoutExpired:
                fuzzer.process.kill()
                dead = "did not end at SIGTERM"
    never = [k.key for k in fuzzer.kinds if options.only in k.key and "create" in k.verbs and "delete" in k.verbs and
             OBJECTS.get(k.key) is not None and not fuzzer.accepted[k.key]]
    print(f"seed {options.seed}: {fuzzer.sent} requests to {len(fuzzer.visited)} operations, answers {dict(sorted(fuzzer.codes.items()))}, "
          f"{sum(fuzzer.accepted.values())} objects accepted; never one of {never}")
    if not fuzzer.failures and not dead and not never:
        print("ok    fuzz")
    elif dead or not fuzzer.failures:
        print(f"FAIL  fuzz {dead or 'nothing was accepted of ' + str(never)}")
    failed = len(fuzzer.failures) + bool(dead) + bool(never)
    print(f"{0 if failed else 1} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
