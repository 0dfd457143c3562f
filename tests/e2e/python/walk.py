# SPDX-License-Identifier: Apache-2.0
"""usage: KUBECONFIG=FILE python walk.py [WORD] : every kind of discovery with the official Python client, over TLS.

With the typed API classes, whose models refuse an answer that lacks a required field, and with the dynamic client. The least
object comes from ../kinds.json. Prints a line a kind and at the end `N passed, N failed`.
"""
import json
import pathlib
import re
import sys

import kubernetes
from kubernetes import client, config, dynamic

WATCH_S = 10
NS = "kinds-test"
OBJECTS = json.loads((pathlib.Path(__file__).parent.parent / "kinds.json").read_text())
NAME = "kinds-python" + kubernetes.__version__.split(".")[0]
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def snake(name):
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()


class Typed:
    """The class of the client that serves a group and version, by the client's own naming; None: newer than the client."""

    def __init__(self, version, row):
        group, _, name = version.rpartition("/")
        words = re.sub(r"\.k8s\.io$", "", group or "core").split(".") + [name]
        self.api = getattr(client, "".join(w.capitalize() for w in words) + "Api", None)
        self.api = self.api and self.api()
        self.middle = ("namespaced_" if row["namespaced"] else "") + snake(row["kind"])
        self.where = {"namespace": NS} if row["namespaced"] else {}

    def has(self, verb, suffix=""):
        return hasattr(self.api, f"{verb}_{self.middle}{suffix}")

    def do(self, verb, suffix="", **arguments):
        return getattr(self.api, f"{verb}_{self.middle}{suffix}")(**arguments, **self.where)


def body_of(key, version, row):
    rest = dict(OBJECTS[key])
    metadata = dict({"name": f"{NAME}-{row['name']}"}, **rest.pop("metadata", {}))
    if row["namespaced"]:
        metadata["namespace"] = NS
    return dict({"apiVersion": version, "kind": row["kind"], "metadata": metadata}, **rest)


def gone(resource, name):
    """Lets go of what no controller of this server would."""
    where = {"namespace": NS} if resource.namespaced else {}
    try:
        left = resource.get(name=name, **where)
        check(left.metadata.deletionTimestamp, "deleted, but it has no deletionTimestamp")
        if left.metadata.finalizers:
            resource.patch(name=name, body={"metadata": {"finalizers": None}}, content_type=MERGE, **where)
    except kubernetes.client.exceptions.ApiException as error:
        check(error.status == 404, str(error))


def walk_dynamic(resource, body, row):
    name, where = body["metadata"]["name"], {"namespace": NS} if row["namespaced"] else {}
    listed = resource.get(**where)
    check(listed.kind == row["kind"] + "List", f"the list is a {listed.kind}")
    made = resource.create(body=body, **where)
    check(made.metadata.uid and made.kind == row["kind"], "the created object is not complete")
    try:
        if "patch" in row["verbs"]:
            labels = {}
            patches = [(MERGE, {"metadata": {"labels": {"merge": "1"}}}), (STRATEGIC, {"metadata": {"labels": {"strategic": "1"}}}),
                       (JSON_PATCH, [{"op": "add", "path": "/metadata/labels/json", "value": "1"}])]
            for content_type, patch in patches:
                patched = resource.patch(name=name, body=patch, content_type=content_type, **where)
                labels = patched.metadata.labels
            check({k for k, _ in labels} >= {"merge", "strategic", "json"}, f"patches were lost: {labels}")
            apply = {"apiVersion": body["apiVersion"], "kind": row["kind"], "metadata": {"name": name, "labels": {"apply": "1"}}}
            applied = resource.patch(name=name, body=json.dumps(apply), content_type=APPLY, field_manager="python", **where)
            check(applied.metadata.labels["apply"] == "1" and
                  any(m.manager == "python" and m.operation == "Apply" for m in applied.metadata.managedFields), "apply is not recorded")
            found = resource.get(label_selector="apply=1,merge", **where)
            check([o.metadata.name for o in found.items] == [name], "not found by its labels")
        got = resource.get(name=name, **where)
        if "update" in row["verbs"]:
            same = resource.replace(body=got.to_dict(), **where)
            check(same.metadata.resourceVersion == got.metadata.resourceVersion, "replacing with the same changed it")
        if "watch" in row["verbs"]:
            events = resource.watch(field_selector="metadata.name=" + name, timeout=WATCH_S, **where)
            check(next(events)["type"] == "ADDED", "the watch did not begin with the object")
            resource.delete(name=name, **where)
            gone(resource, name)
            check(any(e["type"] == "DELETED" for e in events), "the watch did not tell the deletion")
    finally:
        try:
            resource.delete(name=name, **where)
            gone(resource, name)
        except kubernetes.client.exceptions.ApiException as error:
            check(error.status == 404, str(error))


def walk_typed(typed, body, row, resource):
    name = body["metadata"]["name"]
    made = typed.do("create", body=body)
    check(made.metadata.name == name and made.metadata.uid, "the created object is not complete")
    try:
        got = typed.do("read", name=name)
        check(got.metadata.uid == made.metadata.uid, "got another object")
        listed = typed.do("list", field_selector="metadata.name=" + name)
        check([o.metadata.uid for o in listed.items] == [got.metadata.uid], "not in the list")
        if typed.has("patch"):
            typed.do("patch", name=name, body={"metadata": {"labels": {"python": "yes"}}})
            typed.do("patch", name=name, body=[{"op": "test", "path": "/metadata/labels/python", "value": "yes"}])
            got = typed.do("read", name=name)
            check(got.metadata.labels["python"] == "yes", "the patch had no effect")
        if typed.has("replace"):
            # What the model does not know, the old client drops: only then may it change.
            newer = kubernetes.__version__.split(".")[0] >= "37"
            same = typed.do("replace", name=name, body=got)
            check(not newer or same.metadata.resource_version == got.metadata.resource_version, "replacing with the same changed it")
            got.metadata.labels = {"python": "replaced"}
            got.metadata.resource_version = same.metadata.resource_version
            check(typed.do("replace", name=name, body=got).metadata.labels["python"] == "replaced", "replace had no effect")
            got.metadata.resource_version = made.metadata.resource_version
            try:
                typed.do("replace", name=name, body=got)
                raise Failed("a stale update was accepted")
            except kubernetes.client.exceptions.ApiException as error:
                check(error.status == 409 and json.loads(error.body)["reason"] == "Conflict", str(error))
        if "status" in row["subresources"] and typed.has("read", "_status"):
            got = typed.do("read", "_status", name=name)
            typed.do("replace", "_status", name=name, body=got)
            typed.do("patch", "_status", name=name, body={"metadata": {"annotations": {"python": "status"}}})
        if "scale" in row["subresources"] and typed.has("read", "_scale"):
            scale = typed.do("read", "_scale", name=name)
            scale.spec.replicas = 0
            check(typed.do("replace", "_scale", name=name, body=scale).spec.replicas in (0, None), "scaled to nothing else")
            typed.do("patch", "_scale", name=name, body={"spec": {"replicas": 0}})
        typed.do("delete", name=name, body=client.V1DeleteOptions(propagation_policy="Background"))
        gone(resource, name)
        if "deletecollection" in row["verbs"] and hasattr(typed.api, "delete_collection_" + typed.middle):
            typed.do("create", body=body)
            getattr(typed.api, "delete_collection_" + typed.middle)(field_selector="metadata.name=" + name, **typed.where)
            gone(resource, name)
    finally:
        try:
            typed.do("delete", name=name)
            gone(resource, name)
        except kubernetes.client.exceptions.ApiException as error:
            check(error.status == 404, str(error))


def walk(dynamic_client, version, row):
    group = version.rpartition("/")[0]
    key = f"{row['name']}.{group}" if group else row["name"]
    check(key in OBJECTS, "not in the table of minimal objects")
    if OBJECTS[key] is None:
        return "skipped: cannot be made by a client alone"
    body = body_of(key, version, row)
    resource = dynamic_client.resources.get(api_version=version, kind=row["kind"])
    walk_dynamic(resource, body, row)
    typed = Typed(version, row)
    if not typed.has("create"):
        return "dynamic client only"
    walk_typed(typed, body, row, resource)
    return None


def rows(dynamic_client):
    def get(path):
        return json.loads(dynamic_client.request("get", path, serialize=False).data)

    versions = [("/api/v1", "v1")]
    for group in get("/apis")["groups"]:
        versions += [("/apis/" + v["groupVersion"], v["groupVersion"]) for v in group["versions"]]
    for path, version in versions:
        all_rows = get(path)["resources"]
        for row in all_rows:
            row["subresources"] = [r["name"].partition("/")[2] for r in all_rows if r["name"].startswith(row["name"] + "/")]
            if "/" not in row["name"] and {"create", "list", "get"} <= set(row["verbs"]):
                yield version, row


def main():
    config.load_kube_config()
    dynamic_client = dynamic.DynamicClient(client.ApiClient())
    core = client.CoreV1Api()
    for make, where, kind, name in ((core.create_namespace, {}, "Namespace", NS),
                                    (core.create_namespaced_service_account, {"namespace": NS}, "ServiceAccount", "default")):
        try:
            make(body={"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}, **where)
        except kubernetes.client.exceptions.ApiException as error:
            check(error.status == 409, str(error))
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    passed = failed = 0
    for version, row in rows(dynamic_client):
        if wanted not in f"{version} {row['name']}":
            continue
        try:
            note = walk(dynamic_client, version, row)
            passed += 1
            print(f"ok    {version} {row['name']}" + (f" ({note})" if note else ""), flush=True)
        except Exception as error:  # a client that cannot read an answer raises anything
            failed += 1
            print(f"FAIL  {version} {row['name']}: {type(error).__name__}: " + " ".join(str(error).split())[:900], flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
