# SPDX-License-Identifier: Apache-2.0
"""Who gets in, what they may, and what the server's own process may."""
import base64
import json
import os
import pathlib
import re
import subprocess
import tempfile

from harness import expect
from rest import Rest, Server, tls

OPEN = ("/version", "/healthz", "/livez", "/readyz", "/version/")
make = Server
TOKENS = "/api/v1/namespaces/default/serviceaccounts/{}/token"


def openssl(*words, cwd):
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=cwd)


def foreign_certificate(d):
    """Of system:masters, says a CA that the cluster doesn't know."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-subj", "/CN=proa", "-out", "ca.crt", cwd=d)
    openssl("req", *curve, "-keyout", "key", "-subj", "/O=system:masters/CN=admin", "-out", "csr", cwd=d)
    openssl("x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "crt", cwd=d)
    return pathlib.Path(d, "crt"), pathlib.Path(d, "key")


def token(server, account="default", **spec):
    return server.admin().must(201, "POST", TOKENS.format(account), {"spec": spec})["status"]["token"]


def bearer(server, text):
    return Rest(server.address, tls(server.kubeconfig, anonymous=True), text)


def test_anonymous(server):
    client = bearer(server, None)
    for path in OPEN:
        client.must(200, "GET", path)
    for path in ("/", "/api", "/apis", "/api/v1/nodes", "/metrics", "/openapi/v2", "/openid/v1/jwks", "/nosuch", "/versions"):
        status = client.must(403, "GET", path)
        expect(status["reason"] == "Forbidden" and 'User "system:anonymous" cannot ' in status["message"], status)
    client.must(403, "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}})
    for word in ("Bearer nonsense", "Bearer", "Basic YTpi", "Bearer a.b.c"):
        client.must(401, "GET", "/api", authorization=word)
        client.must(401, "GET", "/version", authorization=word)


def test_a_certificate_of_another_authority(server):
    with tempfile.TemporaryDirectory() as d:
        client = Rest(server.address, tls(server.kubeconfig, *foreign_certificate(d)))
        client.must(401, "GET", "/api/v1/nodes")


def test_plain_http_and_old_tls_are_refused(server):
    for version in ("-tls1", "-tls1_1"):
        r = subprocess.run(["openssl", "s_client", "-connect", server.address, version, "-cipher", "ALL:@SECLEVEL=0"],
                           capture_output=True, input=b"", timeout=30)
        expect(r.returncode != 0, f"{version} was accepted")
    r = subprocess.run(["openssl", "s_client", "-connect", server.address, "-tls1_2"], capture_output=True, input=b"", timeout=30)
    expect(r.returncode == 0, "TLS 1.2 was refused: " + r.stderr.decode()[-300:])


def test_forbidden(server):
    client = bearer(server, token(server))
    status = client.must(403, "GET", "/api/v1/namespaces/default/secrets/x")
    want = ('secrets "x" is forbidden: User "system:serviceaccount:default:default" cannot get resource "secrets" in API group '
            '"" in the namespace "default"')
    expect(status["message"] == want and status["reason"] == "Forbidden", status)
    expect(status["details"] == {"name": "x", "kind": "secrets"}, status)
    status = client.must(403, "GET", "/apis/apps/v1/deployments")
    expect(status["message"].endswith('cannot list resource "deployments" in API group "apps" at the cluster scope'), status)
    status = client.must(403, "GET", "/metrics")
    expect('cannot get path "/metrics"' in status["message"], status)


def test_can_i(server):
    out = server.kubectl("auth", "can-i", "--list").stdout
    expect(re.search(r"^\*\.\* +\[\] +\[\] +\[\*\]", out, re.M), out)
    user = "--as=system:serviceaccount:default:default"
    out = server.kubectl("auth", "can-i", "--list", user).stdout
    expect("selfsubjectaccessreviews.authorization.k8s.io" in out and "*.*" not in out, out)
    expect("/.well-known/openid-configuration" in server.kubectl(
        "auth", "can-i", "--list", user, "--as-group=system:serviceaccounts").stdout, "issuer discovery")
    server.kubectl("create", "role", "reader", "--verb=get", "--resource=configmaps")
    server.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:default")
    expect(server.kubectl("auth", "can-i", "get", "cm", user).stdout == "yes\n", "a binding takes effect")
    refused = server.kubectl("auth", "can-i", "delete", "cm", user, check=False)
    expect(refused.stdout == "no\n" and refused.returncode == 1, refused)
    client = bearer(server, token(server))
    client.must(200, "GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
    server.kubectl("delete", "rolebinding", "reader")
    client.must(403, "GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt")


def test_nobody_gives_away_what_he_has_not(server):
    admin = server.admin()
    admin.must(201, "POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "climber"}})
    server.kubectl("create", "role", "climb", "--verb=create,update,patch,get", "--resource=roles,rolebindings")
    server.kubectl("create", "rolebinding", "climb", "--role=climb", "--serviceaccount=default:climber")
    client = bearer(server, token(server, "climber"))
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/"
    status = client.must(403, "POST", roles + "roles", {"metadata": {"name": "up"}, "rules": [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]})
    expect("attempting to grant RBAC permissions not currently held" in status["message"], status)
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    client.must(403, "POST", roles + "rolebindings", {"metadata": {"name": "up"}, "roleRef": ref})


def test_tokens(server):
    admin = server.admin()
    admin.must(201, "POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "passing"}})
    admin.must(201, "POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "holder"}, "spec": {
        "serviceAccountName": "passing", "nodeName": "", "containers": [{"name": "c", "image": "i"}]}})
    uid = admin.must(200, "GET", "/api/v1/namespaces/default/pods/holder")["metadata"]["uid"]
    free = bearer(server, token(server, "passing"))
    bound = bearer(server, token(server, "passing", boundObjectRef={
        "kind": "Pod", "apiVersion": "v1", "name": "holder", "uid": uid}))
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    for client in (free, bound):
        who = client.must(201, "POST", review, {})["status"]["userInfo"]
        expect(who["username"] == "system:serviceaccount:default:passing", who)
    expect(who["extra"]["authentication.kubernetes.io/pod-name"] == ["holder"], who)
    other = token(server, "passing", audiences=["https://elsewhere.example.com"])
    bearer(server, other).must(401, "GET", "/api")
    admin.must(409, "POST", TOKENS.format("passing"), {"spec": {"boundObjectRef": {
        "kind": "Pod", "apiVersion": "v1", "name": "holder", "uid": "another"}}})
    admin.must(422, "POST", TOKENS.format("passing"), {"spec": {"expirationSeconds": 1}})
    admin.must(200, "DELETE", "/api/v1/namespaces/default/pods/holder?gracePeriodSeconds=0")
    bound.must(401, "POST", review, {})
    free.must(201, "POST", review, {})
    admin.must(200, "DELETE", "/api/v1/namespaces/default/serviceaccounts/passing")
    free.must(401, "POST", review, {})


def test_a_token_that_was_tampered_with(server):
    head, claims, signature = token(server).split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    expect(said["exp"] - said["iat"] == 3600, said)
    said["exp"] += 1

    def pack(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    none = pack({"alg": "none", "typ": "JWT"})
    for text in (f"{head}.{pack(said)}.{signature}", f"{none}.{claims}.", f"{none}.{claims}.{signature}", f"{head}.{claims}."):
        bearer(server, text).must(401, "GET", "/api")


def test_issuer_discovery(server):
    client = bearer(server, token(server))
    found = client.do("GET", "/.well-known/openid-configuration")
    expect(found.code == 200 and found.headers["content-type"] == "application/json", found.data)
    said = json.loads(base64.urlsafe_b64decode(client.token.split(".")[1] + "=="))
    expect(found.json["issuer"] == said["iss"] and found.json["jwks_uri"].endswith("/openid/v1/jwks"), found.json)
    keys = client.do("GET", "/openid/v1/jwks")
    expect(keys.headers["content-type"] == "application/jwk-set+json", keys.headers)
    head = json.loads(base64.urlsafe_b64decode(client.token.split(".")[0] + "=="))
    key = keys.json["keys"][0]
    expect(key["kid"] == head["kid"] and key["kty"] == "EC" and key["crv"] == "P-256" and "d" not in key, key)


def test_the_process_is_locked_in(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    expect("0" not in said["Uid"].split() + said["Gid"].split() and not said["Groups"].strip(), said)
    for word in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        expect(int(said[word], 16) == 0, f"{word} {said[word]}")
    expect(said["NoNewPrivs"] == "1" and said["Seccomp"] == "2", said)
    for fd in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
        target = os.readlink(fd)
        expect(not target.startswith("/") or target.startswith((str(server.dir), "/dev/", "/proc/")), f"open: {target}")
    expect(os.stat(server.kubeconfig).st_mode & 0o777 == 0o600, "kubeconfig")
    expect(os.stat(server.data / "server").st_mode & 0o777 == 0o700, "server directory")
    for path in (server.data / "server").rglob("*.key"):
        expect(os.stat(path).st_mode & 0o077 == 0, f"{path} is open to others")


def test_worn_out_certificates_are_issued_again_at_start(server):
    pki = server.data / "server/pki"
    before = {name: (pki / f"{name}.crt").read_bytes() for name in ("apiserver", "ca")}
    server.end()
    with tempfile.TemporaryDirectory() as d:
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key", "-out", "csr",
                "-subj", "/CN=kube-apiserver", cwd=d)
        openssl("x509", "-req", "-in", "csr", "-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"), "-CAcreateserial",
                "-CAserial", d + "/serial", "-days", "1", "-out", "crt", cwd=d)
        worn = pathlib.Path(d, "crt").read_bytes()
        (pki / "apiserver.crt").write_bytes(worn)
        (pki / "apiserver.key").write_bytes(pathlib.Path(d, "key").read_bytes())
    server.start()
    expect((pki / "apiserver.crt").read_bytes() not in (worn, before["apiserver"]), "the worn-out certificate is still there")
    expect((pki / "ca.crt").read_bytes() == before["ca"], "the authority was made anew")
    server.admin().must(200, "GET", "/api/v1/nodes")
