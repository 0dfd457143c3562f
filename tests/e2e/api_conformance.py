#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_conformance.py [--apiserver PROGRAM] [--only WORD]

What a conformance suite asks of every kind's API: one walk for all kinds that discovery offers (create, read, list, watch, every kind
of patch, update, status, finalizers, delete, delete by collection), from the same minimal objects as kinds.py; then particulars. Raw
HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import copy
import json
import pathlib
import sys

import api as base

NS = "kinds-test"
OBJECTS = json.loads((pathlib.Path(__file__).parent / "kinds.json").read_text())
CONDITION = {"type": "Tested", "status": "True", "reason": "Walk", "message": "walked", "lastTransitionTime": "2026-01-01T00:00:00Z"}
CONDITIONS = {"conditions": [CONDITION]}
COUNTED = dict(CONDITIONS, replicas=0, observedGeneration=1)

# What is written to the status of a kind that has one; CONDITIONS where nothing is said.
STATUS = {
    "namespaces": {"conditions": [dict(CONDITION)]},
    "persistentvolumeclaims": {"phase": "Pending", "conditions": [dict(CONDITION)]},
    "persistentvolumes": {"phase": "Pending", "message": "walked"},
    "resourcequotas": {"hard": {"pods": "100"}, "used": {"pods": "7"}},
    "services": CONDITIONS,
    "replicationcontrollers": COUNTED,
    "deployments.apps": COUNTED,
    "replicasets.apps": COUNTED,
    "statefulsets.apps": COUNTED,
    "daemonsets.apps": dict(CONDITIONS, currentNumberScheduled=0, numberMisscheduled=0, desiredNumberScheduled=0, numberReady=0),
    "horizontalpodautoscalers.autoscaling": {"currentReplicas": 1, "desiredReplicas": 2},
    "cronjobs.batch": {"lastScheduleTime": "2026-01-01T00:00:00Z"},
    "jobs.batch": {"conditions": [dict(CONDITION)]},
    "ingresses.networking.k8s.io": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
    "poddisruptionbudgets.policy": dict(CONDITIONS, currentHealthy=1, desiredHealthy=1, disruptionsAllowed=0, expectedPods=1),
    "volumeattachments.storage.k8s.io": {"attached": True},
    "validatingadmissionpolicies.admissionregistration.k8s.io": dict(CONDITIONS, observedGeneration=1),
    "resourceclaims.resource.k8s.io": {"allocation": {}, "reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]},
    "customresourcedefinitions.apiextensions.k8s.io": dict(CONDITIONS, storedVersions=["v1"]),
    "certificatesigningrequests.certificates.k8s.io": {"conditions": [dict(CONDITION)]},
}
# metadata.generation, where upstream counts what is wanted: from 1 on.
COUNTS = {"pods", "podtemplates", "replicationcontrollers", "daemonsets.apps", "deployments.apps", "replicasets.apps",
          "statefulsets.apps", "horizontalpodautoscalers.autoscaling", "cronjobs.batch", "jobs.batch", "ingressclasses.networking.k8s.io", "ingresses.networking.k8s.io",
          "networkpolicies.networking.k8s.io", "poddisruptionbudgets.policy",
          "mutatingadmissionpolicies.admissionregistration.k8s.io", "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
          "mutatingwebhookconfigurations.admissionregistration.k8s.io",
          "validatingadmissionpolicies.admissionregistration.k8s.io",
          "validatingadmissionpolicybindings.admissionregistration.k8s.io",
          "validatingwebhookconfigurations.admissionregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
          "csidrivers.storage.k8s.io", "priorityclasses.scheduling.k8s.io", "endpointslices.discovery.k8s.io", "flowschemas.flowcontrol.apiserver.k8s.io",
          "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "deviceclasses.resource.k8s.io",
          "devicetaintrules.resource.k8s.io", "resourceslices.resource.k8s.io"}
# The status's writer writes nothing else, not even metadata.
STATUS_ONLY = {"apiservices.apiregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
               "devicetaintrules.resource.k8s.io", "flowschemas.flowcontrol.apiserver.k8s.io",
               "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "resourceclaims.resource.k8s.io",
               "servicecidrs.networking.k8s.io", "storageversionmigrations.storagemigration.k8s.io",
               "validatingadmissionpolicies.admissionregistration.k8s.io"}
# All that the status has is behind a gate that is off.
EMPTY = {"csinodes.storage.k8s.io"}
# A PUT without a revision is refused.
CONDITIONAL = {"serviceaccounts", "poddisruptionbudgets.policy", "leases.coordination.k8s.io", "runtimeclasses.node.k8s.io",
               "csidrivers.storage.k8s.io", "csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io",
               "customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io",
               "mutatingadmissionpolicies.admissionregistration.k8s.io",
               "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
               "mutatingwebhookconfigurations.admissionregistration.k8s.io",
               "validatingadmissionpolicies.admissionregistration.k8s.io",
               "validatingadmissionpolicybindings.admissionregistration.k8s.io",
               "validatingwebhookconfigurations.admissionregistration.k8s.io", "clustertrustbundles.certificates.k8s.io",
               "storageversionmigrations.storagemigration.k8s.io", "csistoragecapacities.storage.k8s.io",
               "devicetaintrules.resource.k8s.io"}
# Names that say something: the second and third object of the kind.
OTHERS = {
    "customresourcedefinitions.apiextensions.k8s.io": None,
    "apiservices.apiregistration.k8s.io": None,
    "ipaddresses.networking.k8s.io": ["10.43.77.78", "10.43.77.79"],
}


def kinds(api):
    """(plural.group, group/version, row of discovery, names of subresources) of everything that can be made and listed."""
    paths = ["api/v1"] + ["apis/" + v["groupVersion"] for g in api.do("GET", "/apis")["groups"] for v in g["versions"]]
    for path in paths:
        version = path.split("/", 1)[1]
        group = version.split("/")[0] if "/" in version else ""
        rows = api.do("GET", "/" + path)["resources"]
        for r in rows:
            key = r["name"] + ("." + group if group else "")
            if "/" not in r["name"] and {"create", "list"} <= set(r["verbs"]) and OBJECTS.get(key) is not None:
                yield key, path, version, r, {x["name"] for x in rows}


class Walk:
    others = ()  # conditions that the server itself writes again when they are gone

    def __init__(self, api, key, path, version, row, names):
        self.api, self.key, self.version, self.row = api, key, version, row
        self.all = f"/{path}/{row['name']}"
        self.path = f"/{path}/namespaces/{NS}/{row['name']}" if row["namespaced"] else self.all
        self.status = row["name"] + "/status" in names
        self.body = dict({"apiVersion": version, "kind": row["kind"]}, **copy.deepcopy(OBJECTS[key]))
        self.body["metadata"] = dict({"name": "walk-" + row["name"], "labels": {"walk": key}}, **self.body.get("metadata", {}))
        self.body["metadata"].pop("namespace", None)
        if row["name"] == "events":
            for member in ("involvedObject", "regarding"):
                if member in self.body:
                    self.body[member]["namespace"] = NS
        if row["name"] == "flowschemas":  # of a level that is there: nobody else writes its status then
            self.body["spec"]["priorityLevelConfiguration"]["name"] = "global-default"
        self.name = self.body["metadata"]["name"]
        self.one = f"{self.path}/{self.name}"
        self.label = f"labelSelector=walk%3D{key}"

    def check(self, what, true, shown=None):
        assert true, f"{self.key} {self.version}: {what}: {shown}"

    def create(self, name=None):
        body = copy.deepcopy(self.body)
        if name:
            body["metadata"]["name"] = name
        return self.api.do("POST", self.path + "?fieldValidation=Strict", body, 201)

    def written(self, what, before, after, generation=None):
        """What every write that changes something must have done."""
        b, a = before["metadata"], after["metadata"]
        self.check(what + " kept its identity", b["uid"] == a["uid"] and b["creationTimestamp"] == a["creationTimestamp"], a)
        self.check(what + " moved the revision on", int(a["resourceVersion"]) > int(b["resourceVersion"]), a)
        self.check(what + " counted", a.get("generation") == (b.get("generation") if generation is None else generation), a)
        return after

    def patches(self, made):
        now = made
        for kind, body in (("merge-patch+json", {"metadata": {"annotations": {"merge": "1"}}}),
                           ("strategic-merge-patch+json", {"metadata": {"annotations": {"strategic": "1"}}}),
                           ("json-patch+json", [{"op": "add", "path": "/metadata/annotations/json", "value": "1"}])):
            if isinstance(body, dict):
                body["metadata"]["uid"] = made["metadata"]["uid"]
            now = self.written(kind, now, self.api.patch(self.one + "?fieldValidation=Strict", body, kind))
        body = {"apiVersion": self.version, "kind": self.row["kind"],
                "metadata": {"name": self.name, "uid": made["metadata"]["uid"], "annotations": {"apply": "1"}}}
        now = self.written("apply", now, self.api.do("PATCH", self.one + "?fieldManager=walk&force=true&fieldValidation=Strict", body,
                                                     headers={"content-type": "application/apply-patch+yaml"}))
        got = now["metadata"]["annotations"]
        self.check("every patch is there", {"merge", "strategic", "json", "apply"} <= set(got), got)
        return now

    def update(self, now):
        body = copy.deepcopy(now)
        body["metadata"]["annotations"]["updated"] = "yes"
        new = self.written("update", now, self.api.do("PUT", self.one + "?fieldValidation=Strict", body))
        self.check("update is there", new["metadata"]["annotations"]["updated"] == "yes")
        stale = self.api.do("PUT", self.one, body, 409)
        self.check("a stale update", stale["reason"] == "Conflict", stale)
        again = self.api.do("PUT", self.one, new)
        self.check("an update without a change is no write", again == new, again["metadata"])
        del body["metadata"]["resourceVersion"]
        body["metadata"]["annotations"]["updated"] = "blindly"
        if self.key in CONDITIONAL:
            no = self.api.do("PUT", self.one, body, 422)
            self.check("a blind update", "metadata.resourceVersion: Invalid value" in no["message"], no)
            return new
        return self.written("blind update", new, self.api.do("PUT", self.one, body))

    def wanted(self, message):
        """A status that is another one each time, where the kind has a place for a message."""
        want = copy.deepcopy(STATUS.get(self.key, CONDITIONS))
        for c in want.get("conditions", []):
            c["message"] = message
        if self.others:
            want["conditions"] = self.others + want["conditions"]
        for c in want.get("reservedFor", []):
            c["name"] = message
        return want

    def statuses(self, now):
        if not self.status:
            self.api.do("GET", self.one + "/status", code=404)
            return now
        got = self.api.do("GET", self.one + "/status")
        self.check("status is the object", got == now, got)
        if self.key in EMPTY:
            return now
        for n, kind in enumerate(("merge-patch+json", "strategic-merge-patch+json")):
            want = self.wanted(str(n))
            body = {"metadata": {"annotations": {"status": str(n)}}, "status": want}
            now = self.written("status " + kind, now, self.api.patch(self.one + "/status?fieldValidation=Strict", body, kind))
            self.check("its annotation", now["metadata"]["annotations"].get("status") ==
                       (None if self.key in STATUS_ONLY else str(n)), now["metadata"])
        for member, value in want.items():
            got = now.get("status", {}).get(member)
            fine = got == value or not isinstance(value, (dict, list)) and not value and got is None
            if member == "conditions":
                fine = [c["type"] for c in got or []][-1:] == ["Tested"]
            if isinstance(value, dict):
                fine = set(value) <= set(got)
            self.check("status." + member, fine, got)
        body = copy.deepcopy(now)
        body["metadata"]["annotations"]["status"] = "put"
        body["status"].update(self.wanted("put"))
        for member in set(body) - {"apiVersion", "kind", "metadata", "status"}:
            del body[member]
        new = self.written("status update", now, self.api.do("PUT", self.one + "/status", body))
        self.check("the status's writer changes nothing else", {k: v for k, v in new.items() if k not in ("metadata", "status")} ==
                   {k: v for k, v in now.items() if k not in ("metadata", "status")}, new)
        stripped = {k: v for k, v in new.items() if k != "status"}
        stripped["metadata"] = dict(new["metadata"], annotations={"put": "1"})
        kept = self.written("update without a status", new, self.api.do("PUT", self.one, stripped))
        self.check("the object's writer keeps the status", kept["status"] == new["status"], kept["status"])
        return kept

    def finalizers(self, now):
        self.api.patch(self.one, {"metadata": {"finalizers": ["example.com/walk"]}})
        self.api.do("DELETE", self.one, {"preconditions": {"uid": "another"}}, 409)
        self.api.do("DELETE", self.one + "?gracePeriodSeconds=0")
        held = self.api.do("GET", self.one)
        self.check("it waits for its finalizer", held["metadata"].get("deletionTimestamp"), held["metadata"])
        self.check("the wait is counted", "generation" not in now["metadata"] or
                   held["metadata"]["generation"] == now["metadata"]["generation"] + 1, held["metadata"])
        self.api.do("PATCH", self.one, {"metadata": {"finalizers": ["example.com/walk", "example.com/late"]}}, 422,
                    {"content-type": "application/merge-patch+json"})
        if self.row["name"] == "namespaces":
            return
        self.api.patch(self.one, {"metadata": {"finalizers": None}})
        self.api.do("GET", self.one, code=404)

    def collection(self):
        names = OTHERS.get(self.key, [self.name + "-b", self.name + "-c"])
        if not names or "deletecollection" not in self.row["verbs"]:
            return
        for n in names:
            self.create(n)
        listed = self.api.do("GET", f"{self.all}?{self.label}")
        self.check("list of all", sorted(o["metadata"]["name"] for o in listed["items"]) == names, listed)
        self.api.do("DELETE", f"{self.path}?labelSelector=walk%3Dnone")
        first = self.api.do("GET", f"{self.path}?{self.label}&limit=1")
        self.check("a chunk", len(first["items"]) == 1 and first["metadata"]["continue"], first["metadata"])
        gone = self.api.do("DELETE", f"{self.path}?{self.label}&gracePeriodSeconds=0&dryRun=All")
        gone = self.api.do("DELETE", f"{self.path}?{self.label}&gracePeriodSeconds=0")
        self.check("the collection's answer", gone["kind"] == self.row["kind"] + "List" or gone["status"] == "Success", gone["kind"])
        for n in names:  # what other finalizers hold is let go
            if self.api.raw("GET", f"{self.path}/{n}")[0].status == 200:
                self.api.patch(f"{self.path}/{n}", {"metadata": {"finalizers": None}})
        self.check("nothing is left", not self.api.do("GET", f"{self.path}?{self.label}")["items"])

    def run(self):
        start = self.api.do("GET", f"{self.all}?{self.label}")["metadata"]["resourceVersion"]
        made = self.create()
        meta = made["metadata"]
        self.check("identity", meta["uid"] and meta["creationTimestamp"] and int(meta["resourceVersion"]) > 0, meta)
        self.check("generation", meta.get("generation") == (1 if self.key in COUNTS else None), meta.get("generation"))
        self.check("managers", [(m["operation"], m["fieldsType"]) for m in meta["managedFields"]][0] == ("Update", "FieldsV1"), meta)
        if self.row["name"] == "flowschemas":  # the server tells whether their level is there
            made = next(e["object"] for e in self.api.watch(f"{self.all}?{self.label}&watch=true&resourceVersion={start}")
                        if e["object"].get("status"))
            self.others = made["status"]["conditions"]
        self.check("get", self.api.do("GET", self.one) == made)
        again = self.api.do("POST", self.path, self.body, 409)
        self.check("made again", again["reason"] == "AlreadyExists", again)
        for path in {self.all, self.path}:
            listed = self.api.do("GET", f"{path}?{self.label}")
            self.check("list", listed["kind"] == self.row["kind"] + "List" and
                       [o["metadata"]["name"] for o in listed["items"]] == [self.name], listed)
        now = self.statuses(self.update(self.patches(made)))
        self.finalizers(now)
        if self.row["name"] != "namespaces":
            types = []
            for event in self.api.watch(f"{self.all}?{self.label}&watch=true&resourceVersion={start}"):
                types.append(event["type"])
                self.check("the watch's object", event["object"]["metadata"]["uid"] == meta["uid"] and
                           event["object"]["kind"] == self.row["kind"] and event["object"]["apiVersion"] == self.version, event)
                if event["type"] == "DELETED":
                    break
            self.check("the watch", types[0] == "ADDED" and set(types[1:-1]) == {"MODIFIED"}, types)
        self.collection()


def test_every_kind(api):
    api.do("POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, 201)
    api.do("POST", f"/api/v1/namespaces/{NS}/serviceaccounts", {"metadata": {"name": "default"}}, 201)
    failed, n = [], 0
    for key, path, version, row, names in kinds(api):
        n += 1
        try:
            Walk(api, key, path, version, row, names).run()
        except (AssertionError, KeyError) as e:
            failed.append(f"{key} {version}: {type(e).__name__} {e}"[:700])
    assert n > 60, n
    assert not failed, f"{len(failed)} of {n} kinds:\n" + "\n".join(failed)


def test_certificate_requests(api):
    """Approval and status take metadata along, each its own part of the status, and neither the spec."""
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    api.do("POST", path, dict(OBJECTS["certificatesigningrequests.certificates.k8s.io"], metadata={"name": "parts"}), 201)
    path += "/parts"
    for part, status in (("approval", {"conditions": [{"type": "Approved", "status": "True", "reason": "Walk"}]}),
                         ("status", {"conditions": [{"type": "Denied", "status": "True"}, {"type": "Mine", "status": "True"}]})):
        now = api.patch(f"{path}/{part}", {"metadata": {"annotations": {part: "yes"}}, "status": status, "spec": {"signerName": "x.y/z"}})
        assert now["metadata"]["annotations"][part] == "yes" and now["spec"]["signerName"] == "example.com/x", now
    assert [c["type"] for c in now["status"]["conditions"]] == ["Approved", "Mine"], now["status"]
    assert all(c["lastTransitionTime"] for c in now["status"]["conditions"]), now["status"]


def test_puts_that_create(api):
    lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/put"
    api.do("PUT", lease, {"metadata": {"name": "put"}, "spec": {"holderIdentity": "a"}}, 201)
    api.do("PUT", base.SERVICES + "/put", {"metadata": {"name": "put"}, "spec": {"ports": [{"port": 80}]}}, 201)
    role = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/put"
    api.do("PUT", role, {"metadata": {"name": "put"}, "rules": []}, 201)
    api.do("PUT", base.MAPS + "/put", {"metadata": {"name": "put"}}, 404)
    api.do("PUT", base.DEPLOYMENTS + "/put", {"metadata": {"name": "put"}}, 404)
    no = api.do("PUT", lease, {"metadata": {"name": "put"}, "spec": {"holderIdentity": "b"}}, 422)
    assert no["message"].startswith('leases.coordination.k8s.io "put" is invalid: metadata.resourceVersion: Invalid value: 0:'), no


def test_taint_begins_anew(api):
    path = "/apis/resource.k8s.io/v1/devicetaintrules"
    taint = {"key": "example.com/k", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}
    api.do("POST", path, {"metadata": {"name": "anew"}, "spec": {"taint": taint}}, 201)
    same = api.patch(path + "/anew", {"spec": {"taint": {"value": "v"}}})
    assert same["spec"]["taint"]["timeAdded"] == taint["timeAdded"] and same["metadata"]["generation"] == 2, same
    other = api.patch(path + "/anew", {"spec": {"taint": {"effect": "NoExecute"}}})
    assert other["spec"]["taint"]["timeAdded"] > taint["timeAdded"], other
    told = api.patch(path + "/anew", {"spec": {"taint": {"effect": "NoSchedule", "timeAdded": "2026-02-01T00:00:00Z"}}})
    assert told["spec"]["taint"]["timeAdded"] == "2026-02-01T00:00:00Z", told


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
