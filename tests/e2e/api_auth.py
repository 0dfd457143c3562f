#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_auth.py [--build DIR] [--only WORD]

Who may do what, over TLS against `proa server` alone: authentication, impersonation, RBAC, nodes, reviews, certificates.
"""
import argparse
import sys
import traceback

from rest import Server

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"


class As:
    """Requests of somebody else, by impersonation with the administrator's certificate."""

    def __init__(self, rest, user, *groups):
        self.rest, self.user, self.groups = rest, user, groups

    def do(self, method, path, body=None, **headers):
        c = self.rest.connection
        import json
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
    binding = lambda kind, name: {"metadata": {"name": "b-" + name}, "subjects": [{"kind": "User", "name": "eve"}],
                                  "roleRef": {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}}
    eve.must(403, "POST", RBAC + "/namespaces/esc/rolebindings", binding("ClusterRole", "edit"))
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
                        ({"user": "a"}, "spec.resourceAttributes"),
                        ({"user": "a", "resourceAttributes": pods, "nonResourceAttributes": {"path": "/"}}, "spec.nonResourceAttributes"),
                        ({"user": "a", "resourceAttributes": dict(pods, fieldSelector=both)}, "spec.resourceAttributes.fieldSelector.rawSelector"),
                        ({"user": "a", "resourceAttributes": dict(pods, labelSelector={})}, "spec.resourceAttributes.labelSelector.requirements")):
        status = ask(spec, code=422)
        assert field in [c["field"] for c in status["details"]["causes"]], status
    local = "namespaces/default/localsubjectaccessreviews"
    ask({"user": "a", "resourceAttributes": pods}, local, 400)
    ask({"user": "a", "resourceAttributes": dict(pods, namespace="default")}, local)
    ask({"user": "a", "nonResourceAttributes": {"path": "/"}}, local, 422)
    rules = ask({"namespace": "default"}, "selfsubjectrulesreviews", a=node(admin))["status"]
    assert rules["incomplete"] and "node authorizer" in rules["evaluationError"], rules


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    server, failed = Server(options.build), 0
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and options.only in n]
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
