#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_attacks.py [--build DIR] [--only WORD]

What a user with few rights tries in order to get more, over TLS against `proa server` alone: every one of it is refused.
"""
import base64
import json
import sys
import threading

import api_auth
from api_auth import RBAC, As, bearer, grant, namespace, node, rule

APPLY = {"content-type": "application/apply-patch+yaml"}
MERGE = {"content-type": "application/merge-patch+json"}
RBAC_GROUP = "rbac.authorization.k8s.io"


def config(name="x", **more):
    return dict({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}, **more)


def pod(name, labels=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}},
            "spec": dict({"containers": [{"name": "c", "image": "i"}]}, **spec)}


def token(admin, ns, account, code=201, **spec):
    return admin.must(code, "POST", f"{ns}/serviceaccounts/{account}/token", {"spec": spec})


def test_creating_by_other_verbs(server, admin):
    """Who may patch or update what is there may not make what isn't."""
    ns = namespace(admin, "verbs")
    grant(admin, "patcher", [rule("get patch update", "configmaps endpoints events")])
    u = As(admin, "patcher")
    said = u.must(403, "PATCH", ns + "/configmaps/x?fieldManager=m", config(), **APPLY)
    assert 'User "patcher" cannot create resource "configmaps" in API group "" in the namespace "verbs"' in said["message"], said
    u.must(403, "PATCH", ns + "/configmaps/x?fieldManager=m&dryRun=All", config(), **APPLY)
    u.must(403, "PUT", ns + "/endpoints/x", {"metadata": {"name": "x"}})
    u.must(403, "PUT", ns + "/events/x", {"metadata": {"name": "x"}, "involvedObject": {"namespace": "verbs"}})
    admin.must(201, "POST", ns + "/configmaps", config())
    u.must(200, "PATCH", ns + "/configmaps/x?fieldManager=m", config(data={"a": "b"}), **APPLY)
    grant(admin, "creator", [rule("get patch create", "configmaps")])
    As(admin, "creator").must(201, "PATCH", ns + "/configmaps/y?fieldManager=m", config("y"), **APPLY)


def test_streams_need_create(server, admin):
    ns = namespace(admin, "streams")
    admin.must(201, "POST", ns + "/pods", pod("p"))
    grant(admin, "reader", [rule("get list watch", "*", "*"), rule("get list watch", "pods/exec pods/attach pods/portforward pods/log")])
    grant(admin, "doer", [rule("get create", "pods/exec pods/attach pods/portforward")])
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
               "sec-websocket-protocol": "v5.channel.k8s.io"}
    for sub in ("exec?command=id", "attach", "portforward?ports=80"):
        said = As(admin, "reader").must(403, "GET", f"{ns}/pods/p/{sub}", **upgrade)
        assert "cannot create resource" in said["message"], said
        As(server.admin(), "doer").must(400, "GET", f"{ns}/pods/p/{sub}", **upgrade)  # no node has it


def test_escalation(server, admin):
    ns = namespace(admin, "climb")
    every = [rule("create update patch get delete", "roles clusterroles rolebindings clusterrolebindings", RBAC_GROUP), rule("get", "pods")]
    grant(admin, "climber", every)
    u = As(admin, "climber")
    roles, bindings = RBAC + "/clusterroles", RBAC + "/clusterrolebindings"
    me = [{"kind": "User", "name": "climber", "apiGroup": RBAC_GROUP}]
    ref = lambda name, kind="ClusterRole": {"apiGroup": RBAC_GROUP, "kind": kind, "name": name}
    u.must(201, "POST", roles, {"metadata": {"name": "mine"}, "rules": [rule("get", "pods")]})
    for rules in ([rule("*", "*", "*")], [rule("get", "secrets")], [rule("list", "pods")], [rule("get", "pods/log")], [rule("get", "*/scale", "*")],
                  [rule("bind escalate", "clusterroles", RBAC_GROUP)], [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
                  [rule("impersonate", "users")], [rule("GET", "secrets")]):
        u.must(403, "POST", roles, {"metadata": {"name": "more"}, "rules": rules})
        u.must(403, "PUT", roles + "/mine", {"metadata": {"name": "mine"}, "rules": rules})
        u.must(403, "PATCH", roles + "/mine", {"rules": rules}, **MERGE)
        u.must(403, "PATCH", roles + "/mine?fieldManager=m&force=true", {
            "apiVersion": RBAC_GROUP + "/v1", "kind": "ClusterRole", "metadata": {"name": "mine"}, "rules": rules}, **APPLY)
        u.must(403, "PATCH", roles + "/new?fieldManager=m", {"apiVersion": RBAC_GROUP + "/v1", "kind": "ClusterRole",
                                                             "metadata": {"name": "new"}, "rules": rules}, **APPLY)
    u.must(403, "POST", roles, {"metadata": {"name": "agg"}, "aggregationRule": {"clusterRoleSelectors": [{}]}})
    u.must(403, "PATCH", roles + "/mine", {"aggregationRule": {"clusterRoleSelectors": [{}]}}, **MERGE)
    u.must(403, "PATCH", roles + "/cluster-admin", {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}}}, **MERGE)
    for name in ("cluster-admin", "admin", "edit", "system:node"):
        u.must(403, "POST", bindings, {"metadata": {"name": "up"}, "roleRef": ref(name), "subjects": me})
        u.must(403, "POST", RBAC + "/namespaces/climb/rolebindings", {"metadata": {"name": "up"}, "roleRef": ref(name), "subjects": me})
    u.must(404, "POST", bindings, {"metadata": {"name": "up"}, "roleRef": ref("not-there-yet"), "subjects": me})
    u.must(201, "POST", bindings, {"metadata": {"name": "up"}, "roleRef": ref("mine"), "subjects": me})
    u.must(422, "PATCH", bindings + "/up", {"roleRef": ref("cluster-admin")}, **MERGE)
    admin.must(200, "PATCH", roles + "/mine", {"rules": [rule("get", "secrets")]}, **MERGE)  # then adding a subject is giving it away
    admin.must(200, "DELETE", bindings + "/up")
    u.must(403, "POST", bindings, {"metadata": {"name": "up"}, "roleRef": ref("mine"), "subjects": me})
    # roles of one namespace give nothing in another
    admin.must(201, "POST", RBAC + "/namespaces/climb/rolebindings", {"metadata": {"name": "ed"}, "roleRef": ref("admin"), "subjects": me})
    u.must(200, "GET", ns + "/secrets")
    u.must(403, "GET", "/api/v1/secrets")
    u.must(403, "GET", "/api/v1/namespaces/default/secrets")
    u.must(403, "POST", RBAC + "/namespaces/default/rolebindings", {"metadata": {"name": "e"}, "roleRef": ref("admin"), "subjects": me})
    u.must(403, "POST", "/api/v1/namespaces", {"metadata": {"name": "mine"}})
    u.must(403, "PATCH", ns, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}, **MERGE)
    u.must(403, "PATCH", ns + "/resourcequotas/x", {"spec": {}}, **MERGE)
    u.must(403, "POST", ns + "/pods/x/binding", {"metadata": {"name": "x"}, "target": {"name": "n"}})


def test_paths(server, admin):
    """The same thing by another spelling is the same thing."""
    namespace(admin, "spell")
    grant(admin, "speller", [rule("get list watch", "configmaps"), {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}])
    u = As(admin, "speller")
    for path in ("/api/v1/namespaces/spell/secrets", "/api/v1/namespaces/spell/secrets/", "/api/v1/namespaces/spell/%73ecrets",
                 "/api/v1/namespaces/spell/configmaps/../secrets", "/api/v1/namespaces/spell/configmaps/%2e%2e/secrets",
                 "/api/v1//namespaces/spell/secrets", "/api/v1/watch/secrets", "/api/v1/watch/namespaces/spell/secrets",
                 "/api/v1/secrets?watch=1", "/api/v1/namespaces/spell/secrets?watch=true&watch=false", "/api//v1/secrets",
                 "/api/v1/namespaces/spell/configmaps%2f..%2fsecrets/x", "//api/v1/secrets", "/API/v1/secrets", "/api/V1/secrets",
                 "/api/v1/namespaces/spell/configmaps/..;/secrets", "/api/v1/namespaces/spell/configmaps\\..\\secrets", "/metrics", "/metrics/",
                 "/healthz/../metrics", "/%6detrics", "/debug/pprof", "/logs/", "/apis/../api/v1/secrets", "/configz"):
        code, said = u.do("GET", path)
        assert code in (400, 403, 404), (path, code, str(said)[:200])
        assert "items" not in said and "process_" not in said, (path, said)
    anonymous = server.admin(anonymous=True)
    for path, code in (("/healthz", 200), ("/readyz", 200), ("/version", 200), ("/metrics", 403), ("/api", 403), ("/apis", 403), ("/openapi/v2", 403),
                       ("/api/v1/namespaces", 403), ("/.well-known/openid-configuration", 403), ("/", 403), ("/nothing", 403)):
        assert anonymous.do("GET", path).code == code, path
    for verb in ("POST", "PUT", "DELETE", "PATCH"):
        assert anonymous.do(verb, "/healthz", b"").code in (403, 405), verb


def test_identity(server, admin):
    """Nobody becomes somebody else."""
    ns = namespace(admin, "who")
    admin.must(201, "POST", ns + "/serviceaccounts", {"metadata": {"name": "robot"}})
    robot = bearer(server, token(admin, ns, "robot")["status"]["token"])
    for headers in ({"impersonate_user": "admin"}, {"impersonate_user": "system:admin", "impersonate_group": "system:masters"},
                    {"impersonate_user": "robot", "impersonate_uid": "1"}, {"impersonate_user": "system:serviceaccount:kube-system:default"},
                    {"Impersonate_User": "x"}):
        assert robot.do("GET", "/api/v1/nodes", **headers).code == 403, headers
    for headers in ({"impersonate_group": "system:masters"}, {"impersonate_uid": "0"}, {"impersonate_extra_a": "b"}):
        assert robot.do("GET", "/api/v1/nodes", **headers).code in (400, 403, 500), headers
    for headers in ({"x_remote_user": "admin", "x_remote_group": "system:masters"}, {"x_forwarded_for": "127.0.0.1"}, {"x_forwarded_user": "admin"}):
        assert robot.do("GET", "/api/v1/nodes", **headers).code == 403, headers
    grant(admin, "system:serviceaccount:who:robot", [rule("impersonate", "users", names=["friend"]), rule("impersonate", "groups", names=["friends"])],
          name="robot")
    assert robot.do("GET", "/api/v1/nodes", impersonate_user="friend", impersonate_group="system:masters").code == 403
    assert robot.do("GET", "/api/v1/nodes", impersonate_user="friend", impersonate_uid="7").code == 403
    assert robot.do("GET", "/api/v1/nodes", impersonate_user="friend", impersonate_extra_scopes="all").code == 403
    assert robot.do("GET", "/api/v1/nodes", impersonate_user="system:serviceaccount:kube-system:x").code == 403
    said = robot.must(201, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, impersonate_user="friend", impersonate_group="friends")
    assert said["status"]["userInfo"] == {"username": "friend", "groups": ["friends", "system:authenticated"]}, said
    # tokens: changed, for others, or none at all
    good = token(admin, ns, "robot")["status"]["token"]
    head, body, sign = good.split(".")
    decode = lambda s: json.loads(base64.urlsafe_b64decode(s + "=" * (-len(s) % 4)))
    encode = lambda o: base64.urlsafe_b64encode(json.dumps(o).encode()).rstrip(b"=").decode()
    claims = decode(body)
    claims["sub"] = "system:serviceaccount:kube-system:namespace-controller"
    none = dict(decode(head), alg="none")
    for bad in (f"{head}.{encode(claims)}.{sign}", f"{encode(none)}.{encode(claims)}.", f"{encode(none)}.{body}.{sign}", f"{head}.{body}.", f"{head}.{body}",
                good + "x", good[:-4] + "AAAA", f"{encode(dict(decode(head), alg='HS256'))}.{body}.{sign}", "x" * 60000, ".", "..", "a.b.c"):
        assert bearer(server, bad).do("GET", "/api").code == 401, bad[:80]
    other = token(admin, ns, "robot", audiences=["vault"])["status"]["token"]
    assert bearer(server, other).do("GET", "/api").code == 401


def test_tokens_end_with_what_they_are_bound_to(server, admin):
    ns = namespace(admin, "ends")
    admin.must(201, "POST", ns + "/serviceaccounts", {"metadata": {"name": "robot"}})
    works = lambda t: bearer(server, t).do("GET", "/api").code == 200
    uid = admin.must(201, "POST", ns + "/pods", pod("p", serviceAccountName="robot"))["metadata"]["uid"]
    secret = admin.must(201, "POST", ns + "/secrets", {"metadata": {"name": "s"}})["metadata"]["uid"]
    by_pod = token(admin, ns, "robot", boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": uid})["status"]["token"]
    by_secret = token(admin, ns, "robot", boundObjectRef={"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": secret})["status"]["token"]
    free = token(admin, ns, "robot")["status"]["token"]
    assert works(by_pod) and works(by_secret) and works(free)
    admin.must(200, "DELETE", ns + "/pods/p?gracePeriodSeconds=0")
    admin.must(201, "POST", ns + "/pods", pod("p", serviceAccountName="robot"))  # another one of that name
    assert not works(by_pod) and works(by_secret)
    admin.must(200, "DELETE", ns + "/secrets/s")
    assert not works(by_secret) and works(free)
    admin.must(200, "DELETE", ns + "/serviceaccounts/robot")
    admin.must(201, "POST", ns + "/serviceaccounts", {"metadata": {"name": "robot"}})
    assert not works(free)
    for spec, code in (({"expirationSeconds": 599}, 422), ({"expirationSeconds": 1 << 33}, 422), ({"expirationSeconds": 600}, 201),
                       ({"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}, 422),
                       ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}, 404),
                       ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": uid}}, 409)):
        got, said = As(admin, "admin", "system:masters").do("POST", ns + "/serviceaccounts/robot/token", {"spec": spec})
        assert got == code or (code == 422 and got == 400), (spec, got, said)
    # only of accounts that the pod runs as
    admin.must(201, "POST", ns + "/serviceaccounts", {"metadata": {"name": "second"}})
    now = admin.must(200, "GET", ns + "/pods/p")["metadata"]["uid"]
    got, said = As(admin, "admin", "system:masters").do("POST", ns + "/serviceaccounts/second/token", {
        "spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": now}}})
    assert got in (400, 403), (got, said)


def test_admission_has_no_way_round(server, admin):
    ns = namespace(admin, "strict")
    admin.must(200, "PATCH", ns, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}, **MERGE)
    bad = {"hostNetwork": True}
    worse = [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]
    admin_like = As(admin, "somebody", "system:masters")
    for body in (pod("a", **bad), pod("a", hostPID=True), pod("a", containers=worse), pod("a", initContainers=worse),
                 pod("a", volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
                 pod("a", containers=[{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}]),
                 pod("a", containers=[{"name": "c", "image": "i", "securityContext": {"procMount": "Unmasked"}}]),
                 pod("a", securityContext={"windowsOptions": {"hostProcess": True}}, hostNetwork=True),
                 pod("a", securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]})):
        got, said = admin_like.do("POST", ns + "/pods", body)
        assert got in (403, 422), (body, got, said)
        assert admin_like.do("POST", ns + "/pods?dryRun=All", body)[0] in (403, 422)
        assert admin_like.do("PATCH", ns + "/pods/a?fieldManager=m", body, **APPLY)[0] in (403, 422), body
    admin.must(201, "POST", ns + "/pods", pod("ok"))
    got, said = admin_like.do("PATCH", ns + "/pods/ok/ephemeralcontainers", {"spec": {"ephemeralContainers": [
        {"name": "e", "image": "i", "securityContext": {"privileged": True}}]}}, **{"content-type": "application/strategic-merge-patch+json"})
    assert got == 403 and "violates PodSecurity" in said["message"], (got, said)
    # a namespace on its way out takes nothing new, by no verb
    gone = namespace(admin, "gone")
    admin.must(201, "POST", gone + "/configmaps", {"metadata": {"name": "holds", "finalizers": ["example.com/hold"]}})
    admin.must(200, "DELETE", gone)
    for verb, path, body, headers in (("POST", "/configmaps", config(), {}), ("PATCH", "/configmaps/x?fieldManager=m", config(), APPLY),
                                      ("PUT", "/endpoints/x", {"metadata": {"name": "x"}}, {}), ("POST", "/pods", pod("x"), {}),
                                      ("POST", "/configmaps?dryRun=All", config(), {})):
        got, said = admin_like.do(verb, gone + path, body, **headers)
        assert got == 403 and "because it is being terminated" in said["message"], (verb, path, got, said)
    for name in ("default", "kube-system", "kube-public"):
        assert admin.do("DELETE", "/api/v1/namespaces/" + name).code == 403, name
    admin.must(200, "PATCH", gone + "/configmaps/holds", {"metadata": {"finalizers": None}}, **{"content_type": "application/merge-patch+json"})


def test_quota_cannot_be_outrun(server, admin):
    """Creates at once, by every verb that creates; what is only tried takes nothing."""
    ns = namespace(admin, "race")
    admin.must(201, "POST", ns + "/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "7", "pods": "3", "requests.cpu": "2"}}})
    for event in admin.watch(ns + "/resourcequotas?watch=1&timeoutSeconds=20"):
        if event["object"].get("status", {}).get("used", {}).get("count/configmaps"):
            break
    have = len(server.admin().must(200, "GET", ns + "/configmaps")["items"])
    server.admin().must(201, "POST", ns + "/configmaps?dryRun=All", config("dry"))
    codes, lock = [], threading.Lock()

    def work(i):
        c = server.admin()
        for k in range(6):
            name = f"c{i}-{k}"
            if k % 2:
                code = c.do("POST", ns + "/configmaps", config(name)).code
            else:
                code = c.do("PATCH", f"{ns}/configmaps/{name}?fieldManager=m", config(name), content_type="application/apply-patch+yaml").code
            with lock:
                codes.append(code)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(codes) <= {201, 403} and codes.count(201) == 7 - have, codes
    admin = server.admin()
    assert len(admin.must(200, "GET", ns + "/configmaps")["items"]) == 7
    said = admin.must(403, "POST", ns + "/pods", pod("p"))  # names no cpu
    assert "must specify requests.cpu" in said["message"], said
    cpu = lambda n, v: pod(n, containers=[{"name": "c", "image": "i", "resources": {"requests": {"cpu": v}}}])
    admin.must(403, "POST", ns + "/pods", cpu("p", "3"))
    admin.must(201, "POST", ns + "/pods", cpu("p", "1500m"))
    admin.must(403, "POST", ns + "/pods", cpu("q", "600m"))
    got, said = As(admin, "x", "system:masters").do("PATCH", ns + "/pods/p/resize", {"spec": {"containers": [
        {"name": "c", "resources": {"requests": {"cpu": "2100m"}}}]}}, **{"content-type": "application/strategic-merge-patch+json"})
    assert got == 403 and "exceeded quota" in said["message"], (got, said)
    got, said = As(admin, "x", "system:masters").do("PATCH", ns + "/resourcequotas/q", {"status": {"used": {"pods": "0"}}}, **MERGE)
    assert got == 200 and said["status"]["used"]["pods"] == "1", "status is not written through the object"


def test_nodes_stay_at_home(server, admin):
    ns, n1 = namespace(admin, "homes"), node(admin, "h1")
    for name in ("h1", "h2"):
        node(admin, name).must(201, "POST", "/api/v1/nodes", {"metadata": {"name": name}})
    admin.must(201, "POST", ns + "/secrets", {"metadata": {"name": "s"}})
    admin.must(201, "POST", ns + "/pods", pod("theirs", nodeName="h2", volumes=[{"name": "v", "secret": {"secretName": "s"}}]))
    n1.must(403, "GET", ns + "/secrets/s")
    n1.must(403, "PUT", ns + "/pods/theirs/status", dict(pod("theirs"), status={}))
    n1.must(403, "POST", ns + "/pods/theirs/binding", {"metadata": {"name": "theirs"}, "target": {"kind": "Node", "name": "h1"}})
    n1.must(403, "PATCH", "/api/v1/nodes/h2?fieldManager=m", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "h2"}}, **APPLY)
    n1.must(403, "PATCH", "/api/v1/nodes/h3?fieldManager=m", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "h3"}}, **APPLY)
    n1.must(403, "PATCH", ns + "/pods/new?fieldManager=m", pod("new", nodeName="h1"), **APPLY)
    n1.must(403, "GET", "/api/v1/nodes/h2/proxy/pods")
    n1.must(403, "GET", ns + "/pods/theirs/exec?command=id")
    n1.must(403, "POST", ns + "/serviceaccounts/default/token", {"spec": {}})
    n1.must(403, "PATCH", "/api/v1/nodes/h1", {"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y"}}}, **MERGE)
    n1.must(403, "PATCH", "/api/v1/nodes/h1", {"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}]}}, **MERGE)
    n1.must(403, "GET", RBAC + "/clusterroles")


if __name__ == "__main__":
    sys.exit(api_auth.main(__doc__, {n: f for n, f in globals().items() if n.startswith("test_")}))
