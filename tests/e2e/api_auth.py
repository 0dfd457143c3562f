#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_auth.py [--build DIR] [--only WORD]

Who may do what, over TLS against `proa server` alone: authentication, impersonation, RBAC, nodes, reviews, certificates.
"""
import argparse
import base64
import hashlib
import hmac
import json
import ssl
import subprocess
import sys
import time
import traceback

from rest import Rest, Server, tls

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"


class As:
    """Requests of somebody else, by impersonation with the administrator's certificate."""

    def __init__(self, rest, user, *groups):
        self.rest, self.user, self.groups = rest, user, groups

    def do(self, method, path, body=None, **headers):
        c = self.rest.connection
        c.putrequest(method, path)
        c.putheader("Impersonate-User", self.user)
        for g in self.groups:
            c.putheader("Impersonate-Group", g)
        for k, v in dict({"content-type": "application/json"}, **headers).items():
            c.putheader(k, v)
        data = json.dumps(body).encode() if body is not None else b""
        c.putheader("content-length", str(len(data)))
        c.endheaders(data)
        r = c.getresponse()
        data = r.read()
        return r.status, json.loads(data) if data[:1] == b"{" else data.decode()

    def must(self, code, method, path, body=None, **headers):
        got, data = self.do(method, path, body, **headers)
        assert got == code, f"{method} {path} as {self.user}: {got}, expected {code}: {data}"
        return data

    def patch(self, code, path, body):
        return self.must(code, "PATCH", path, body, **{"content-type": "application/merge-patch+json"})


def node(admin, name="n1"):
    return As(admin, "system:node:" + name, "system:nodes")


def grant(admin, user, rules, name=None):
    name = name or user
    admin.must(201, "POST", RBAC + "/clusterroles", {"metadata": {"name": name}, "rules": rules})
    admin.must(201, "POST", RBAC + "/clusterrolebindings", {
        "metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]})


def rule(verbs, resources, group="", names=None):
    return dict({"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}, **({"resourceNames": names} if names else {}))


def namespace(admin, name):
    admin.must(201, "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    admin.do("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    return f"/api/v1/namespaces/{name}"


# ---- nodes ----

def test_node_restriction(server, admin):
    ns, n1 = namespace(admin, "nodes"), node(admin)
    n1.must(201, "POST", "/api/v1/nodes", {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1", "own": "x"}}})
    denied = n1.must(403, "POST", "/api/v1/nodes", {"metadata": {"name": "n2"}})
    assert 'node "n1" is not allowed to modify node "n2"' in denied["message"], denied
    denied = node(admin, "n3").must(403, "POST", "/api/v1/nodes", {"metadata": {
        "name": "n3", "labels": {"node-restriction.kubernetes.io/a": "", "kubernetes.io/odd": "", "kubelet.kubernetes.io/x": ""}}})
    assert denied["message"].endswith("not allowed to set the following labels: kubernetes.io/odd, "
                                      "node-restriction.kubernetes.io/a"), denied
    at = "/api/v1/nodes/n1"
    n1.patch(403, at, {"metadata": {"labels": {"x.node-restriction.kubernetes.io/a": "b"}}})
    n1.patch(200, at, {"metadata": {"labels": {"topology.kubernetes.io/zone": "z"}}})
    n1.patch(403, at, {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}})
    n1.patch(403, at, {"spec": {"taints": None}})
    n1.patch(200, at + "/status", {"status": {"nodeInfo": {"osImage": "x"}}})
    node(admin, "n2").patch(403, at + "/status", {"status": {"nodeInfo": {"osImage": "y"}}})
    assert n1.must(403, "DELETE", at)["reason"] == "Forbidden"
    # reads: itself only
    n1.must(200, "GET", at)
    n1.must(200, "GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dn1")
    assert "cannot read all nodes" in n1.must(403, "GET", "/api/v1/nodes")["message"]
    n1.must(403, "GET", "/api/v1/nodes/n2")
    # pods
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i", "env": [
        {"name": "E", "valueFrom": {"secretKeyRef": {"name": "used", "key": "k"}}}]}]}
    admin.must(201, "POST", ns + "/pods", {"metadata": {"name": "p"}, "spec": spec})
    admin.must(201, "POST", ns + "/pods", {"metadata": {"name": "q"}, "spec": dict(spec, nodeName="n2")})
    for name in ("used", "unused"):
        admin.must(201, "POST", ns + "/secrets", {"metadata": {"name": name}, "data": {"k": "dg=="}})
    n1.must(200, "GET", ns + "/secrets/used")
    n1.must(200, "GET", ns + "/secrets?fieldSelector=metadata.name%3Dused")
    denied = n1.must(403, "GET", ns + "/secrets/unused")
    assert "no relationship found between node 'n1' and this object" in denied["message"], denied
    n1.must(403, "GET", ns + "/secrets")
    node(admin, "n3").must(403, "GET", ns + "/secrets/used")
    n1.must(200, "GET", ns + "/pods/p")
    n1.must(403, "GET", ns + "/pods/q")
    n1.must(200, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")
    n1.must(403, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2")
    n1.must(403, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%21%3Dn2")
    n1.must(403, "GET", "/api/v1/pods")
    n1.patch(200, ns + "/pods/p/status", {"status": {"phase": "Running"}})
    n1.patch(403, ns + "/pods/q/status", {"status": {"phase": "Running"}})
    n1.patch(403, ns + "/pods/p/status", {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}})
    assert "can only create mirror pods" in n1.must(403, "POST", ns + "/pods", {"metadata": {"name": "m"}, "spec": spec})["message"]
    uid = admin.must(200, "GET", at)["metadata"]["uid"]
    mirror = {"metadata": {"name": "m", "annotations": {"kubernetes.io/config.mirror": "h"}, "ownerReferences": [
        {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}]},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}}
    for edit in ({"serviceAccountName": "default"}, {"nodeName": "n2"}, {"volumes": [{"name": "v", "secret": {"secretName": "unused"}}]},
                 {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}):
        n1.must(403, "POST", ns + "/pods", dict(mirror, spec=dict(mirror["spec"], **edit)))
    n1.must(201, "POST", ns + "/pods", mirror)
    # tokens and evictions
    pod_uid = admin.must(200, "GET", ns + "/pods/p")["metadata"]["uid"]
    ask = lambda **ref: {"spec": {"boundObjectRef": ref}} if ref else {"spec": {}}
    token = ns + "/serviceaccounts/default/token"
    n1.must(403, "POST", token, ask())
    n1.must(403, "POST", token, ask(apiVersion="v1", kind="Pod", name="p"))
    q_uid = admin.must(200, "GET", ns + "/pods/q")["metadata"]["uid"]
    denied = n1.must(403, "POST", token, ask(apiVersion="v1", kind="Pod", name="q", uid=q_uid))
    assert "scheduled on a different node" in denied["message"], denied
    n1.must(201, "POST", token, ask(apiVersion="v1", kind="Pod", name="p", uid=pod_uid))
    def token_for(*audiences):
        return {"spec": {"audiences": list(audiences), "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod_uid}}}
    denied = n1.must(403, "POST", token, token_for("vault"))
    assert 'audience "vault" not found in pod spec volume' in denied["message"], denied
    denied = n1.must(403, "POST", token, token_for("", "vault"))
    assert "node may only request 0 or 1 audiences" in denied["message"], denied
    grant(admin, "system:node:n1", [rule("request-serviceaccounts-token-audience", "vault")], name="n1-vault")
    n1.must(201, "POST", token, token_for("vault"))
    n1.must(403, "POST", token, token_for("other"))
    eviction = lambda name: {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    n1.must(403, "POST", ns + "/pods/q/eviction", eviction("q"))
    n1.must(403, "DELETE", ns + "/pods/q")
    n1.must(201, "POST", ns + "/pods/p/eviction", eviction("p"))
    # leases
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    n1.must(403, "POST", leases, {"metadata": {"name": "n2"}, "spec": {}})
    n1.must(201, "POST", leases, {"metadata": {"name": "n1"}, "spec": {}})
    node(admin, "n2").must(403, "DELETE", leases + "/n1")
    n1.must(403, "GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1")


# ---- impersonation ----

def test_impersonation(server, admin):
    who = lambda a, **h: a.must(201, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, **h)["status"]["userInfo"]
    assert who(As(admin, "ann")) == {"username": "ann", "groups": ["system:authenticated"]}
    assert who(As(admin, "ann", "a", "b"))["groups"] == ["a", "b", "system:authenticated"]
    assert who(As(admin, "system:serviceaccount:team:bot"))["groups"] == [
        "system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"]
    assert who(As(admin, "system:serviceaccount:team:bot", "only"))["groups"] == ["only", "system:authenticated"]
    assert who(As(admin, "system:anonymous", "system:masters"))["groups"] == ["system:masters", "system:unauthenticated"]
    info = who(As(admin, "ann"), **{"Impersonate-Uid": "u1", "Impersonate-Extra-Scopes%2fa": "x"})
    assert info["uid"] == "u1" and info["extra"] == {"scopes/a": ["x"]}, info
    assert admin.do("GET", "/api/v1/pods", impersonate_group="x").code == 500
    # by right
    grant(admin, "imp", [rule("impersonate", "users", names=["ann"]), rule("impersonate", "groups", names=["team"]),
                         rule("impersonate", "userextras/scopes", "authentication.k8s.io", names=["view"])])
    with_cert = server.user("imp")
    assert who(As(with_cert, "ann", "team"))["username"] == "ann"
    assert who(As(with_cert, "ann"), **{"Impersonate-Extra-scopes": "view"})["extra"] == {"scopes": ["view"]}
    for user, groups, headers, what in (("bob", (), {}, 'users "bob" is forbidden: User "imp" cannot impersonate resource "users"'),
                                        ("ann", ("system:masters",), {}, 'groups "system:masters" is forbidden'),
                                        ("system:serviceaccount:kube-system:x", (), {}, 'serviceaccounts "x" is forbidden'),
                                        ("ann", (), {"Impersonate-Uid": "1"}, 'uids.authentication.k8s.io "1" is forbidden'),
                                        ("ann", (), {"Impersonate-Extra-scopes": "admin"}, "userextras.authentication.k8s.io")):
        denied = As(with_cert, user, *groups).must(403, "GET", "/api", **headers)
        assert what in denied["message"], denied
    # constrained: to be somebody and to do this, both are needed
    grant(admin, "narrow", [rule("impersonate:user-info", "users", "authentication.k8s.io", names=["ann"])])
    grant(admin, "ann", [rule("list get", "configmaps secrets")])
    narrow = server.user("narrow")
    As(narrow, "ann").must(403, "GET", "/api/v1/configmaps")
    grant(admin, "narrow", [rule("impersonate-on:user-info:list", "configmaps")], name="narrow-on")
    As(narrow, "ann").must(200, "GET", "/api/v1/configmaps")
    As(narrow, "ann").must(403, "GET", "/api/v1/secrets")
    As(narrow, "ann", "system:masters").must(403, "GET", "/api/v1/configmaps")
    narrow.must(403, "GET", "/api/v1/configmaps")


# ---- RBAC ----

def test_escalation(server, admin):
    namespace(admin, "esc")
    grant(admin, "eve", [rule("get list create update", "roles rolebindings", "rbac.authorization.k8s.io"),
                         rule("create update", "clusterroles", "rbac.authorization.k8s.io"), rule("get list", "pods")])
    eve, roles = As(admin, "eve"), RBAC + "/namespaces/esc/roles"
    role = lambda name, *rules: {"metadata": {"name": name}, "rules": list(rules)}
    eve.must(201, "POST", roles, role("held", rule("get", "pods")))
    denied = eve.must(403, "POST", roles, role("more", rule("get delete list", "pods"), rule("get", "secrets")))
    assert denied["message"] == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "eve" (groups=["system:authenticated"]) is attempting to grant '
        'RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'), denied["message"]
    eve.must(403, "PUT", roles + "/held", role("held", rule("*", "*", "*")))
    eve.must(403, "POST", RBAC + "/clusterroles", dict(role("agg"), aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}))
    # a label that would aggregate into what others hold gives nothing that eve has not
    eve.must(403, "POST", RBAC + "/clusterroles", {"metadata": {"name": "sneak", "labels": {
        "rbac.authorization.k8s.io/aggregate-to-view": "true"}}, "rules": [rule("get", "secrets")]})
    # nor does a label on a role that is there already; and an aggregated role is not for everybody to tighten
    strong = admin.must(201, "POST", RBAC + "/clusterroles", role("strong", rule("*", "*", "*")))
    strong["metadata"].setdefault("labels", {})["rbac.authorization.k8s.io/aggregate-to-edit"] = "true"
    denied = eve.must(403, "PUT", RBAC + "/clusterroles/strong", strong)
    assert "not currently held" in denied["message"], denied
    mixed = admin.must(201, "POST", RBAC + "/clusterroles", dict(role("mixed"), aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"no": "such"}}]}))
    del mixed["aggregationRule"]
    denied = eve.must(403, "PUT", RBAC + "/clusterroles/mixed", mixed)
    assert "must have cluster-admin privileges to use the aggregationRule" in denied["message"], denied
    strong = admin.must(200, "GET", RBAC + "/clusterroles/strong")
    strong["metadata"]["finalizers"] = ["example.org/x"]  # cleaning up is for everybody who may update
    strong = eve.must(200, "PUT", RBAC + "/clusterroles/strong", strong)
    strong["metadata"]["finalizers"] = []
    eve.must(200, "PUT", RBAC + "/clusterroles/strong", strong)
    binding = lambda kind, name: {"metadata": {"name": "b-" + name}, "subjects": [{"kind": "User", "name": "eve"}],
                                  "roleRef": {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}}
    eve.must(403, "POST", RBAC + "/namespaces/esc/rolebindings", binding("ClusterRole", "edit"))
    theirs = admin.must(201, "POST", RBAC + "/namespaces/esc/rolebindings", dict(binding("ClusterRole", "edit"), subjects=[]))
    theirs["subjects"] = [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]
    eve.must(403, "PUT", RBAC + "/namespaces/esc/rolebindings/b-edit", theirs)
    eve.must(201, "POST", RBAC + "/namespaces/esc/rolebindings", binding("Role", "held"))
    grant(admin, "eve", [rule("bind", "clusterroles", "rbac.authorization.k8s.io", ["view"])], name="eve-bind")
    eve.must(201, "POST", RBAC + "/namespaces/esc/rolebindings", binding("ClusterRole", "view"))
    grant(admin, "eve", [rule("escalate", "roles", "rbac.authorization.k8s.io")], name="eve-escalate")
    eve.must(201, "POST", roles, role("more", rule("get", "secrets")))
    # a binding to a role that is not there says so
    admin.must(201, "POST", RBAC + "/namespaces/esc/rolebindings", dict(binding("Role", "gone"), subjects=[
        {"kind": "User", "name": "lost"}]))
    denied = As(admin, "lost").must(403, "GET", "/api/v1/namespaces/esc/pods")
    assert denied["message"].endswith(': RBAC: role.rbac.authorization.k8s.io "gone" not found'), denied["message"]


# ---- reviews ----

def test_reviews(server, admin):
    ask = lambda spec, kind="subjectaccessreviews", code=201, a=admin: a.must(code, "POST", f"{REVIEWS}/{kind}", {"spec": spec})
    pods = {"verb": "list", "resource": "pods"}
    assert ask({"user": "nobody", "resourceAttributes": pods})["status"] == {"allowed": False}
    assert ask({"user": "x", "groups": ["system:masters"], "resourceAttributes": pods})["status"]["allowed"]
    nodes = {"user": "system:node:n9", "groups": ["system:nodes"]}
    assert not ask(dict(nodes, resourceAttributes=pods))["status"]["allowed"]
    for selector in ({"rawSelector": "spec.nodeName=n9"}, {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n9"]}]}):
        assert ask(dict(nodes, resourceAttributes=dict(pods, fieldSelector=selector)))["status"]["allowed"], selector
    both = {"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "Exists"}]}
    for spec, field in (({"resourceAttributes": pods}, "spec.user"),
                        ({"user": "a"}, "spec"),
                        ({"user": "a", "resourceAttributes": pods, "nonResourceAttributes": {"path": "/"}}, "spec"),
                        ({"user": "a", "resourceAttributes": dict(pods, fieldSelector=both)}, "spec.resourceAttributes.fieldSelector.rawSelector"),
                        ({"user": "a", "resourceAttributes": dict(pods, labelSelector={})}, "spec.resourceAttributes.labelSelector.requirements")):
        status = ask(spec, code=422)
        assert field in [c["field"] for c in status["details"]["causes"]], status
    local = "namespaces/default/localsubjectaccessreviews"
    ask({"user": "a", "resourceAttributes": pods}, local, 422)
    ask({"user": "a", "resourceAttributes": dict(pods, namespace="default")}, local)
    ask({"user": "a", "nonResourceAttributes": {"path": "/"}}, local, 422)
    rules = ask({"namespace": "default"}, "selfsubjectrulesreviews", a=node(admin))["status"]
    assert rules["incomplete"] and "node authorizer" in rules["evaluationError"], rules


# ---- certificates ----

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def request(server, name, subject, signer="kubernetes.io/kube-apiserver-client", usages=("client auth",), **spec):
    """A new key and a request for it: its object, and the key's file."""
    key, csr = server.dir / f"csr-{name}.key", server.dir / f"csr-{name}.csr"
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key),
                    "-subj", subject, "-out", str(csr)], check=True, capture_output=True)
    return {"metadata": {"name": name}, "spec": dict({"request": base64.b64encode(csr.read_bytes()).decode(), "signerName": signer,
                                                      "usages": list(usages)}, **spec)}, key


def until(rest, path, holds):
    """The object as soon as holds(object); by watching, not by asking again."""
    collection, name = path.rsplit("/", 1)
    seen = rest.must(200, "GET", f"{collection}?fieldSelector=metadata.name%3D{name}")
    for o in seen["items"]:
        if holds(o):
            return o
    watch = rest.watch(f"{collection}?watch=1&timeoutSeconds=10&fieldSelector=metadata.name%3D{name}"
                       f"&resourceVersion={seen['metadata']['resourceVersion']}")
    try:
        for event in watch:
            if event["type"] != "DELETED" and holds(event["object"]):
                return event["object"]
    finally:
        rest.close()
    raise AssertionError(f"{path} did not become what was waited for; it was {seen['items']}")


def test_certificates(server, admin):
    body, key = request(server, "jane", "/O=team/CN=jane", expirationSeconds=3600)
    made = As(admin, "jane-before", "asking").must(403, "POST", CSRS, body)
    grant(admin, "asker", [rule("create get", "certificatesigningrequests", "certificates.k8s.io")])
    body["spec"]["username"] = "system:admin"  # the server knows better
    made = As(admin, "asker").must(201, "POST", CSRS, body)
    assert made["spec"]["username"] == "asker" and "status" not in made or not made["status"], made
    grant(admin, "approver", [rule("get update", "certificatesigningrequests certificatesigningrequests/approval "
                                   "certificatesigningrequests/status", "certificates.k8s.io")])
    made["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}]}
    denied = As(admin, "approver").must(403, "PUT", f"{CSRS}/jane/approval", made)
    assert 'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"' in denied["message"], denied
    forged = dict(made, status={"certificate": base64.b64encode(b"x").decode()})
    denied = As(admin, "approver").must(403, "PUT", f"{CSRS}/jane/status", forged)
    assert "not permitted to sign requests" in denied["message"], denied
    grant(admin, "approver", [rule("approve", "signers", "certificates.k8s.io", ["kubernetes.io/*"])], name="approver-all")
    As(admin, "approver").must(200, "PUT", f"{CSRS}/jane/approval", made)
    got = until(server.admin(), f"{CSRS}/jane", lambda o: o.get("status", {}).get("certificate"))
    cert = server.dir / "jane-signed.pem"
    cert.write_bytes(base64.b64decode(got["status"]["certificate"]))
    jane = server.admin(cert=cert, key=key)
    info = jane.must(201, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})["status"]["userInfo"]
    assert info["username"] == "jane" and info["groups"] == ["team", "system:authenticated"], info
    assert info["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256="), info
    jane.must(403, "GET", "/api/v1/pods")
    # a decision stays
    undone = dict(got, status={"conditions": [{"type": "Denied", "status": "True", "reason": "r"}]})
    undone["metadata"].pop("resourceVersion")
    assert admin.must(422, "PUT", f"{CSRS}/jane/approval", undone)["details"]["causes"]
    # what is not signed
    body, _ = request(server, "root", "/O=system:masters/CN=x")
    assert "with system:masters group is not allowed" in admin.must(403, "POST", CSRS, body)["message"]
    body, _ = request(server, "usage", "/CN=x", usages=("server auth",))
    approve = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r", "lastUpdateTime": None}]}}
    admin.must(201, "POST", CSRS, body)
    admin.must(200, "PUT", f"{CSRS}/usage/approval", dict(admin.must(200, "GET", f"{CSRS}/usage"), **approve))
    got = until(server.admin(), f"{CSRS}/usage", lambda o: len(o["status"]["conditions"]) > 1)
    assert got["status"]["conditions"][1]["type"] == "Failed" and "certificate" not in got["status"], got
    body, _ = request(server, "old", "/CN=x", signer="kubernetes.io/legacy-unknown")
    assert admin.do("POST", CSRS, body).code in (201, 422)


def test_kubelets_get_certificates_by_themselves(server, admin):
    usages, signer = ("digital signature", "client auth"), "kubernetes.io/kube-apiserver-client-kubelet"
    grant(admin, "boot", [rule("create", "certificatesigningrequests certificatesigningrequests/nodeclient", "certificates.k8s.io")])
    body, key = request(server, "node-n7", "/O=system:nodes/CN=system:node:n7", signer, usages)
    As(admin, "boot").must(201, "POST", CSRS, body)
    got = until(server.admin(), f"{CSRS}/node-n7", lambda o: o.get("status", {}).get("certificate"))
    assert got["status"]["conditions"][0]["reason"] == "AutoApproved", got
    cert = server.dir / "n7.pem"
    cert.write_bytes(base64.b64decode(got["status"]["certificate"]))
    server.admin(cert=cert, key=key).must(404, "GET", "/api/v1/nodes/n7")
    # whoever may not ask for nodes is not answered; nor is a request that is more than a node's
    grant(admin, "asker2", [rule("create", "certificatesigningrequests", "certificates.k8s.io")])
    for name, subject, user in (("alien", "/O=system:nodes/CN=system:node:n8", "asker2"), ("more", "/O=system:nodes/O=x/CN=system:node:n8", "boot"),
                                ("other", "/O=system:nodes/CN=n8", "boot")):
        body, _ = request(server, name, subject, signer, usages)
        As(admin, user).must(201, "POST", CSRS, body)
    body, _ = request(server, "last", "/O=system:nodes/CN=system:node:n9", signer, usages)
    As(admin, "boot").must(201, "POST", CSRS, body)
    until(server.admin(), f"{CSRS}/last", lambda o: o.get("status", {}).get("certificate"))
    for name in ("alien", "more", "other"):
        assert not admin.must(200, "GET", f"{CSRS}/{name}").get("status", {}).get("conditions"), name


def test_trust_bundle(server, admin):
    bundles = admin.must(200, "GET", "/apis/certificates.k8s.io/v1/clustertrustbundles")["items"]
    assert [b["spec"]["signerName"] for b in bundles] == ["kubernetes.io/kube-apiserver-serving"], bundles
    assert bundles[0]["spec"]["trustBundle"] == (server.data / "server/pki/ca.crt").read_text()
    grant(admin, "bundler", [rule("create", "clustertrustbundles", "certificates.k8s.io")])
    body = {"metadata": {"name": "example.com:a:b"}, "spec": {"signerName": "example.com/a", "trustBundle": bundles[0]["spec"]["trustBundle"]}}
    assert "not permitted to attest" in As(admin, "bundler").must(403, "POST", "/apis/certificates.k8s.io/v1/clustertrustbundles", body)["message"]


# ---- aggregation ----

def test_aggregation(server, admin):
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    admin.must(201, "POST", RBAC + "/clusterroles", {"metadata": {"name": "widgets", "labels": label}, "rules": [rule("get", "widgets", "x.io")]})
    has = lambda o: any("widgets" in r.get("resources", []) for r in o["rules"])
    for name in ("view", "edit", "admin"):  # each is part of the next
        until(server.admin(), f"{RBAC}/clusterroles/{name}", has)
    admin.must(200, "DELETE", RBAC + "/clusterroles/widgets")
    until(server.admin(), RBAC + "/clusterroles/admin", lambda o: not has(o))


# ---- tokens ----

def bearer(server, token):
    return Rest(server.address, tls(server.kubeconfig, anonymous=True), token)


def data(**values):
    return {k.replace("_", "-"): base64.b64encode(v.encode()).decode() for k, v in values.items()}


def test_bootstrap_tokens(server, admin):
    secrets = "/api/v1/namespaces/kube-system/secrets"
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    def put(id, secret="0123456789abcdef", **more):
        values = dict({"token_id": id, "token_secret": secret, "usage_bootstrap_authentication": "true", "usage_bootstrap_signing": "true",
                       "expiration": soon, "auth_extra_groups": "system:bootstrappers:team:a"}, **more)
        admin.must(201, "POST", secrets, {"metadata": {"name": "bootstrap-token-" + id}, "type": "bootstrap.kubernetes.io/token",
                                          "data": data(**values)})
    put("abcdef")
    who = bearer(server, "abcdef.0123456789abcdef")
    assert "system:bootstrap:abcdef" in who.must(403, "GET", "/api/v1/nodes")["message"]
    user = admin.must(201, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "abcdef.0123456789abcdef"}})["status"]["user"]
    assert user["groups"] == ["system:bootstrappers", "system:bootstrappers:team:a", "system:authenticated"], user
    bearer(server, "abcdef.0123456789abcdeX").must(401, "GET", "/api")
    bearer(server, "abcdef.0123456789abcdee").must(401, "GET", "/api")
    put("badgrp", auth_extra_groups="system:masters")
    put("nouse1", usage_bootstrap_authentication="false")
    put("twisty", token_id="other1")
    for id in ("badgrp", "nouse1", "twisty", "nobody"):
        bearer(server, f"{id}.0123456789abcdef").must(401, "GET", "/api")
    # one that has expired is not let in, and goes
    put("older1", expiration="2020-01-01T00:00:00Z")
    bearer(server, "older1.0123456789abcdef").must(401, "GET", "/api")
    admin.must(200, "DELETE", secrets + "/bootstrap-token-abcdef")
    who.must(401, "GET", "/api")


def test_cluster_info_is_signed(server, admin):
    secrets, path = "/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces/kube-public/configmaps/cluster-info"
    admin.do("POST", "/api/v1/namespaces/kube-public/configmaps", {"metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "text"}})
    admin.must(201, "POST", secrets, {"metadata": {"name": "bootstrap-token-signer"}, "type": "bootstrap.kubernetes.io/token",
                                      "data": data(token_id="signer", token_secret="fedcba9876543210", usage_bootstrap_signing="true")})
    text = until(server.admin(), path, lambda o: "jws-kubeconfig-signer" in o["data"])["data"]
    b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=")
    head, empty, mac = text["jws-kubeconfig-signer"].encode().split(b".")
    assert empty == b"" and json.loads(base64.urlsafe_b64decode(head + b"==")) == {"alg": "HS256", "kid": "signer"}
    assert mac == b64(hmac.new(b"fedcba9876543210", head + b"." + b64(text["kubeconfig"].encode()), hashlib.sha256).digest())
    admin.must(200, "DELETE", secrets + "/bootstrap-token-signer")
    until(server.admin(), path, lambda o: "jws-kubeconfig-signer" not in o["data"])


def test_tokens_in_secrets(server, admin):
    ns = namespace(admin, "legacy")
    admin.must(201, "POST", ns + "/serviceaccounts", {"metadata": {"name": "bot"}})
    secret = {"metadata": {"name": "bot-token", "annotations": {"kubernetes.io/service-account.name": "bot"}},
              "type": "kubernetes.io/service-account-token"}
    admin.must(201, "POST", ns + "/secrets", secret)
    got = until(server.admin(), ns + "/secrets/bot-token", lambda o: "token" in o.get("data", {}))
    assert sorted(got["data"]) == ["ca.crt", "namespace", "token"] and base64.b64decode(got["data"]["namespace"]) == b"legacy", got
    token = base64.b64decode(got["data"]["token"]).decode()
    bot = bearer(server, token)
    assert "system:serviceaccount:legacy:bot" in bot.must(403, "GET", "/api/v1/nodes")["message"]
    admin.must(200, "PATCH", ns + "/secrets/bot-token", {"metadata": {"labels": {"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}}},
               content_type="application/merge-patch+json")
    bot.must(401, "GET", "/api")
    admin.must(200, "PATCH", ns + "/secrets/bot-token", {"metadata": {"labels": None}}, content_type="application/merge-patch+json")
    bot.must(200, "GET", "/api")
    admin.must(200, "DELETE", ns + "/serviceaccounts/bot")
    bot.must(401, "GET", "/api")
    watch = server.admin()
    for event in watch.watch(f"{ns}/secrets?watch=1&timeoutSeconds=10&resourceVersion={got['metadata']['resourceVersion']}"):
        if event["type"] == "DELETED" and event["object"]["metadata"]["name"] == "bot-token":
            break
    else:
        raise AssertionError("the secret of a deleted account stayed")
    watch.close()


def test_issuer(server, admin):
    for path, kind in (("/.well-known/openid-configuration", "application/json"), ("/openid/v1/jwks", "application/jwk-set+json")):
        answer = admin.do("GET", path)
        assert answer.code == 200 and answer.headers["content-type"] == kind, (path, answer.headers)
        assert answer.headers["cache-control"] == "public, max-age=3600", answer.headers["cache-control"]
    assert admin.must(200, "GET", "/.well-known/openid-configuration")["id_token_signing_alg_values_supported"] == ["ES256"]


def test_token_rotation(server, admin):
    ns = namespace(admin, "rotate")
    ask = lambda rest: rest.must(201, "POST", ns + "/serviceaccounts/default/token", {"spec": {}})["status"]["token"]
    old = ask(admin)
    pki = server.data / "server/pki"
    server.end()
    (pki / "sa.key").rename(pki / "sa.1.key")
    server.start()
    admin = server.admin()
    new = ask(admin)
    bearer(server, old).must(200, "GET", "/api")
    bearer(server, new).must(200, "GET", "/api")
    keys = admin.must(200, "GET", "/openid/v1/jwks")["keys"]
    assert len({k["kid"] for k in keys}) == 2, keys
    server.end()
    (pki / "sa.1.key").unlink()
    server.start()
    bearer(server, old).must(401, "GET", "/api")
    bearer(server, new).must(200, "GET", "/api")


# ---- encryption at rest ----

def encryption(server, *providers, resources=("secrets",)):
    path = server.dir / "encryption.json"
    path.write_text(json.dumps({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
                                "resources": [{"resources": list(resources), "providers": list(providers)}]}))
    server.options = [f"--encryption-provider-config={path}"]


def aesgcm(*names):
    return {"aesgcm": {"keys": [{"name": n, "secret": base64.b64encode(hashlib.sha256(n.encode()).digest()).decode()} for n in names]}}


def disk(server):
    return b"".join(p.read_bytes() for p in (server.data / "server/store").iterdir())


def fails_to_start(server, *words):
    try:
        server.start()
    except Exception as error:
        assert all(w in str(error) for w in words), error
        server.process.wait(10)
        return
    raise AssertionError("it started")


def test_encryption_at_rest(server, admin):
    s, secrets = Server(str(server.proa.parent)), "/api/v1/namespaces/default/secrets"

    def put(name):
        s.admin().must(201, "POST", secrets, {"metadata": {"name": name}, "stringData": {"k": "plain-" + name}})

    def readable(name):
        return base64.b64decode(s.admin().must(200, "GET", secrets + "/" + name)["data"]["k"]) == b"plain-" + name.encode()

    def b64(name):
        return base64.b64encode(b"plain-" + name.encode())
    try:
        encryption(s, aesgcm("k1"), {"identity": {}})
        s.start()
        put("one")
        s.admin().must(201, "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "seen"}, "data": {"k": "in the clear"}})
        written = b"".join(p.read_bytes() for p in s.dir.rglob("*") if p.is_file())  # with SQLite's log, and ours
        assert b"store.db-wal" in b" ".join(p.name.encode() for p in s.data.rglob("*")), "its log would be looked at, too"
        assert b64("one") not in written and b"plain-one" not in written and b"in the clear" in written
        s.end()
        assert b64("one") not in disk(s) and b"k8s:enc:aesgcm:v1:k1:" in disk(s) and b"in the clear" in disk(s)
        # rotation: the new key writes, both read; touching objects moves them
        encryption(s, aesgcm("k2", "k1"), {"identity": {}})
        s.start()
        put("two")
        assert readable("one") and readable("two")
        s.admin().must(200, "PATCH", secrets + "/one", {"metadata": {"labels": {"touched": "yes"}}}, content_type="application/merge-patch+json")
        s.end()
        s.options = []
        fails_to_start(s, "cannot be decrypted", "no encryption configuration was given")
        encryption(s, aesgcm("k3"), {"identity": {}})
        fails_to_start(s, "cannot be decrypted", "none of the configured keys fits")
        # the right name with another secret is no better
        encryption(s, {"aesgcm": {"keys": [{"name": "k2", "secret": base64.b64encode(b"x" * 32).decode()}, aesgcm("k1")["aesgcm"]["keys"][0]]}})
        fails_to_start(s, "cannot be decrypted", 'written with key "k2"')
        # and nothing was lost by trying
        encryption(s, aesgcm("k2", "k1"), {"identity": {}})
        s.start()
        assert readable("one") and readable("two")
        s.end()
        # back to plain
        encryption(s, {"identity": {}}, aesgcm("k2", "k1"))
        s.start()
        s.admin().must(200, "PATCH", secrets + "/two", {"metadata": {"labels": {"touched": "yes"}}}, content_type="application/merge-patch+json")
        s.end()
        assert b64("two") in disk(s)
        for broken, words in (({"aesgcm": {"keys": []}}, "at least one key"), ({"kms": {}}, 'provider "kms" is not supported'),
                              ({"aesgcm": {"keys": [{"name": "a", "secret": "AAAA"}]}}, "16, 24 or 32 bytes")):
            encryption(s, broken)
            fails_to_start(s, "resources[0].providers[0]", words)
    finally:
        s.stop()


def test_turning_encryption_on(server, admin):
    s, path, value = Server(str(server.proa.parent)), "/api/v1/namespaces/default/secrets", base64.b64encode(b"was-plain")
    try:
        s.start()
        s.admin().must(201, "POST", path, {"metadata": {"name": "old"}, "stringData": {"k": "was-plain"}})
        s.end()
        assert value in disk(s) and b"k8s:enc:" not in disk(s)
        encryption(s, aesgcm("k1"), {"identity": {}})
        s.start()
        # upstream's way to encrypt what is there: everything is replaced by itself
        before = s.admin().must(200, "GET", path + "/old")["metadata"]["resourceVersion"]
        s.kubectl("replace", "-f", "-", stdin=s.kubectl("get", "secrets", "-A", "-o", "json").stdout)
        got = s.admin().must(200, "GET", path + "/old")
        assert base64.b64decode(got["data"]["k"]) == b"was-plain" and int(got["metadata"]["resourceVersion"]) > int(before), got
        again = s.admin().must(200, "PUT", path + "/old", got)
        assert again["metadata"]["resourceVersion"] == got["metadata"]["resourceVersion"], "it is as it should be"
        s.admin().must(201, "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "next"}})  # the commit that removes old rows
        s.end()
        after = disk(s)
        assert b"k8s:enc:aesgcm:v1:k1:" in after and value not in after, after.count(value)
        encryption(s, aesgcm("k2"), {"identity": {}})
        fails_to_start(s, "/secrets/default/old cannot be decrypted")
        # a rotated key can go at once, whatever history it wrote
        encryption(s, aesgcm("k2", "k1"))
        s.start()
        s.kubectl("replace", "-f", "-", stdin=s.kubectl("get", "secrets", "-A", "-o", "json").stdout)
        s.kill()
        encryption(s, aesgcm("k2"))
        s.start()
        assert base64.b64decode(s.admin().must(200, "GET", path + "/old")["data"]["k"]) == b"was-plain"
        s.end()
    finally:
        s.stop()


# ---- audit ----

def test_audit(server, admin):
    s = Server(str(server.proa.parent))
    policy, log = s.dir / "policy.yaml", s.dir / "audit" / "audit.log"
    policy.write_text("""
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/version"]
- level: None
  users: ["system:kube-scheduler"]
- level: Metadata
  resources: [{group: "", resources: ["secrets", "serviceaccounts/token"]}]
- level: RequestResponse
  omitManagedFields: true
  resources: [{group: "", resources: ["configmaps"]}]
- level: Request
  namespaces: ["kube-public"]
- level: Metadata
  omitStages: []
""")
    s.options = [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]
    maps, secrets = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/secrets"
    try:
        s.start()
        a = s.admin()
        answer = a.do("POST", maps + "?fieldManager=me", {"metadata": {"name": "m"}, "data": {"a": "b"}}, user_agent="tester", audit_id="mine-1")
        assert answer.code == 201 and answer.headers["audit-id"] == "mine-1", answer.headers
        a.must(201, "POST", secrets, {"metadata": {"name": "s"}, "stringData": {"k": "very secret"}})
        a.must(200, "GET", "/version")
        As(a, "ann", "team").must(403, "GET", secrets)
        bearer(s, "nonsense").must(401, "GET", maps)
        a.must(404, "GET", maps + "/none")
        a.must(200, "GET", maps + "?limit=1")
        a.must(201, "POST", "/api/v1/namespaces", {"metadata": {"name": "strict", "labels": {
            "pod-security.kubernetes.io/audit": "restricted", "pod-security.kubernetes.io/enforce": "baseline"}}})
        until(s.admin(), "/api/v1/namespaces/strict/serviceaccounts/default", lambda o: True)
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        a.must(201, "POST", "/api/v1/namespaces/strict/pods", pod)
        pod["spec"]["hostPID"] = True
        a.must(403, "POST", "/api/v1/namespaces/strict/pods", pod)
        watch = s.admin()
        next(watch.watch(maps + "?watch=1"))
        watch.close()
        s.end()
        events = [json.loads(line) for line in log.read_text().splitlines()]
    finally:
        s.stop()
    by = {}
    for e in events:
        assert e["kind"] == "Event" and e["apiVersion"] == "audit.k8s.io/v1" and e["stage"] != "RequestReceived", e
        by.setdefault((e["verb"], e.get("objectRef", {}).get("resource"), e.get("objectRef", {}).get("name"), e["stage"]), []).append(e)
    made = by["create", "configmaps", "m", "ResponseComplete"][0]
    assert made["auditID"] == "mine-1" and made["level"] == "RequestResponse" and made["userAgent"] == "tester", made
    assert made["requestURI"] == maps + "?fieldManager=me" and made["sourceIPs"] == ["127.0.0.1"], made
    assert made["requestObject"]["data"] == {"a": "b"} and made["responseObject"]["metadata"]["uid"], made
    assert "managedFields" not in made["responseObject"]["metadata"], made
    assert made["responseStatus"] == {"metadata": {}, "code": 201} and made["annotations"]["authorization.k8s.io/decision"] == "allow", made
    assert made["objectRef"] == {"resource": "configmaps", "namespace": "default", "name": "m", "apiVersion": "v1"}, made
    assert "system:masters" in made["user"]["groups"] and made["requestReceivedTimestamp"] <= made["stageTimestamp"], made
    kept = [e for e in events if e.get("objectRef", {}).get("resource") == "secrets" and e["verb"] == "create"][0]
    assert kept["level"] == "Metadata" and "requestObject" not in kept and kept["objectRef"]["name"] == "s", kept
    denied = by["list", "secrets", None, "ResponseComplete"][0]
    assert denied["impersonatedUser"]["username"] == "ann" and denied["annotations"]["authorization.k8s.io/decision"] == "forbid", denied
    assert denied["responseStatus"]["code"] == 403 and denied["responseStatus"]["reason"] == "Forbidden", denied
    refused = [e for e in events if e.get("responseStatus", {}).get("code") == 401]
    assert refused and not refused[0]["user"], refused
    assert by["get", "configmaps", "none", "ResponseComplete"][0]["responseStatus"]["reason"] == "NotFound"
    assert by["watch", "configmaps", None, "ResponseStarted"] and by["watch", "configmaps", None, "ResponseComplete"]
    inside = [e for e in by["create", "serviceaccounts", "default", "ResponseComplete"] if e["objectRef"]["namespace"] == "strict"]
    assert inside[0]["user"]["username"] == "system:kube-controller-manager" and inside[0]["responseStatus"]["code"] == 201, inside
    assert inside[0]["requestURI"] == "/api/v1/namespaces/strict/serviceaccounts" and inside[0]["userAgent"] == "proa-controllers", inside
    for e in [e for e in events if e.get("objectRef", {}).get("resource") == "pods" and e["stage"] == "ResponseComplete"]:
        notes = e["annotations"]
        assert notes["pod-security.kubernetes.io/enforce-policy"] == "baseline:latest", e
        assert notes["pod-security.kubernetes.io/audit-violations"].startswith('would violate PodSecurity "restricted:latest": '), e
    assert not [e for e in events if e["requestURI"] == "/version"] and "very secret" not in json.dumps(events)


def test_every_answer_has_an_id(server, admin):
    seen = {admin.do("GET", path).headers["audit-id"] for path in ("/version", "/api/v1/pods", "/none", "/api/v1/namespaces/none") for _ in range(40)}
    assert len(seen) == 160 and all(len(i) == 36 and i[14] == "4" for i in seen), len(seen)
    assert bearer(server, "nonsense").do("GET", "/api").headers["audit-id"]
    assert admin.do("GET", "/version", audit_id="my.own-1").headers["audit-id"] == "my.own-1"
    for evil in ("x" * 65, "a b", 'a"', ""):
        assert len(admin.do("GET", "/version", audit_id=evil).headers["audit-id"]) == 36, evil


def test_audit_rotation_and_mistakes(server, admin):
    s = Server(str(server.proa.parent))
    policy, log = s.dir / "policy.json", s.dir / "audit" / "audit.log"
    policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "RequestResponse"}]}))
    s.options = [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-maxsize=1", "--audit-log-maxbackup=2"]
    try:
        s.start()
        a = s.admin()
        for i in range(24):
            a.must(201, "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"big-{i}"}, "data": {"a": "x" * 200000}})
        s.end()
        files = sorted(p.name for p in log.parent.iterdir())
        assert len(files) == 3 and files[-1] == "audit.log" and files[0].startswith("audit-20"), files
        for p in log.parent.iterdir():
            for line in p.read_text().splitlines():
                json.loads(line)
        for rules, words in (([], "rules: Required value"), ([{"level": "All"}], 'rules[0].level: Unsupported value: "All"'),
                             ([{"level": "None", "resources": [{"group": "apps/v1"}]}], "a group has no version"),
                             ([{"level": "None", "verbs": "get"}], "rules[0].verbs: Invalid value: must be a list of strings"),
                             ([{"level": "None", "user": ["x"]}], "rules[0].user: Invalid value: unknown field")):
            policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
            fails_to_start(s, words)
    finally:
        s.stop()


def test_stopping_while_controllers_write(server, admin):
    for _ in range(3):
        s = Server(str(server.proa.parent))
        try:
            s.start()
            for i in range(3):  # each makes controllers write
                s.admin().must(201, "POST", "/api/v1/namespaces", {"metadata": {"name": f"n{i}"}})
        finally:
            s.stop()


def main(description=__doc__, functions=None):
    """Runs the test_ functions of this or another file against a server of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    server, failed = Server(options.build), 0
    tests = [(n, f) for n, f in (functions or globals()).items() if n.startswith("test_") and options.only in n]
    try:
        server.start()
        for name, function in tests:
            try:
                function(server, server.admin())
                print(f"ok    {name}", flush=True)
            except Exception:  # every test runs, whatever the one before it did
                failed += 1
                print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
    finally:
        server.stop()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
