#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_oidc.py [--build DIR] [--only WORD]

Users of an OpenID Connect issuer: `proa server` alone, and an issuer on loopback with an authority of its own.
"""
import argparse
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import rest
from rest import Rest, tls

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def openssl(*words, stdin=None):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, input=stdin).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """An RSA key that signs tokens and is published as a JWK."""

    def __init__(self, directory, kid):
        self.kid, self.path = kid, directory / f"{kid}.key"
        openssl("genrsa", "-out", self.path, "2048")
        self.public = openssl("rsa", "-in", self.path, "-pubout")
        modulus = openssl("rsa", "-in", self.path, "-modulus", "-noout").decode().strip().split("=")[1]
        self.jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}

    def sign(self, claims, **head):
        text = b64(json.dumps(dict({"alg": "RS256", "kid": self.kid, "typ": "JWT"}, **head)).encode()) + "." + b64(json.dumps(claims).encode())
        return text + "." + b64(openssl("dgst", "-sha256", "-sign", self.path, stdin=text.encode()))


class Issuer:
    """Publishes keys over HTTPS; counts who asks, and can be told to be away or to lie."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-issuer."))
        self.ca = self.dir / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.dir / "ca.key", "-out",
                self.ca, "-subj", "/CN=issuers", "-days", "1")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.dir / "tls.key", "-out",
                self.dir / "tls.csr", "-subj", "/CN=issuer")
        (self.dir / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl("x509", "-req", "-in", self.dir / "tls.csr", "-CA", self.ca, "-CAkey", self.dir / "ca.key", "-CAcreateserial", "-days", "1",
                "-extfile", self.dir / "ext", "-out", self.dir / "tls.pem")
        self.keys, self.asked, self.claims_to_be, self.gate = [], [], None, None
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                if issuer.gate:
                    issuer.gate.wait(20)
                name = issuer.claims_to_be or issuer.url
                body = json.dumps({"issuer": name, "jwks_uri": issuer.url + "/keys"} if "well-known" in self.path
                                  else {"keys": [k.jwk for k in issuer.keys]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, address):
                pass  # servers under test go away as they like

        self.http = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir / "tls.pem", self.dir / "tls.key")
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"https://localhost:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.keys = [Key(self.dir, "k1")]

    def token(self, key=None, head=None, **claims):
        now = int(time.time())
        body = dict({"iss": self.url, "aud": "kubernetes", "sub": "jane", "iat": now, "exp": now + 600}, **claims)
        return (key or self.keys[0]).sign({k: v for k, v in body.items() if v is not None}, **(head or {}))

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        shutil.rmtree(self.dir, ignore_errors=True)


def bearer(server, token):
    return Rest(server.address, tls(server.kubeconfig, anonymous=True), token=token)


def who(server, token):
    return bearer(server, token).must(201, "POST", WHO, {})["status"]["userInfo"]


def refused(server, token):
    bearer(server, token).must(401, "POST", WHO, {})


def started(issuer, build, *options):
    server = rest.Server(build, options=options)
    server.start()
    return server


def flags(issuer, *more):
    return [f"--oidc-issuer-url={issuer.url}", "--oidc-client-id=kubernetes", f"--oidc-ca-file={issuer.ca}", *more]


def test_flags_and_attacks(issuer, build):
    s = started(issuer, build, *flags(issuer, "--oidc-groups-claim=groups", "--oidc-groups-prefix=corp:", "--oidc-required-claim=hd=corp"))
    try:
        # the first token may come before the keys: it waits for them
        good = dict(hd="corp", groups=["dev", "ops"])
        info = who(s, issuer.token(jti="j1", **good))
        assert info["username"] == issuer.url + "#jane" and info["groups"] == ["corp:dev", "corp:ops", "system:authenticated"], info
        assert info["extra"]["authentication.kubernetes.io/credential-id"] == ["JTI=j1"], info
        assert who(s, issuer.token(hd="corp", groups="one"))["groups"] == ["corp:one", "system:authenticated"]
        assert who(s, issuer.token(hd="corp", aud=["other", "kubernetes"]))["groups"] == ["system:authenticated"]
        now = int(time.time())
        for wrong in (dict(hd="other"), dict(hd=None), dict(aud="other"), dict(aud=None), dict(exp=now - 1), dict(exp=None), dict(exp="soon"),
                      dict(nbf=now + 1000), dict(sub=None), dict(sub=""), dict(sub=7), dict(groups=[1]), dict(groups={"a": 1}),
                      dict(iss=issuer.url + "/"), dict(iss="https://kubernetes.default.svc.cluster.local"), dict(iss=None)):
            refused(s, issuer.token(**dict(good, **wrong)))
        token = issuer.token(**good)
        head, body, signature = token.split(".")
        evil = b64(json.dumps(dict(good, iss=issuer.url, aud="kubernetes", sub="root", exp=now + 600)).encode())
        refused(s, f"{head}.{evil}.{signature}")
        refused(s, token + "A")
        for alg in ("none", "None", "nOnE"):
            refused(s, b64(json.dumps({"alg": alg}).encode()) + f".{evil}.")
            refused(s, b64(json.dumps({"alg": alg, "kid": "k1"}).encode()) + f".{evil}.{signature}")
        key = issuer.keys[0]  # a public key as the secret of a symmetric algorithm
        text = b64(json.dumps({"alg": "HS256", "kid": "k1"}).encode()) + "." + evil
        for secret in (key.public, key.public.strip(), base64.urlsafe_b64decode(key.jwk["n"] + "==")):
            refused(s, text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest()))
        refused(s, issuer.token(key=key, head={"alg": "PS256"}, **good))  # signed as RS256
        refused(s, issuer.token(key=key, head={"jwk": key.jwk, "crit": ["exp"]}, **good))
        stranger = Key(issuer.dir, "k1x")
        refused(s, issuer.token(key=stranger, head={"kid": "k1"}, **good))
        refused(s, issuer.token(key=stranger, head={"jwk": stranger.jwk, "jku": "https://localhost/keys", "kid": "k1"}, **good))
        asked = len(issuer.asked)
        for _ in range(20):  # inventing tokens makes the server ask no more
            refused(s, issuer.token(key=stranger, **good))
        assert len(issuer.asked) <= asked + 6, issuer.asked  # two for each time
        # roles bind these names, and TokenReview knows the token
        admin = s.admin()
        admin.must(201, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            "metadata": {"name": "devs"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "Group", "name": "corp:dev", "apiGroup": "rbac.authorization.k8s.io"}]})
        bearer(s, token).must(200, "GET", "/api/v1/pods")
        bearer(s, token).must(403, "GET", "/api/v1/secrets")
        review = admin.must(201, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})["status"]
        assert review["authenticated"] and review["user"]["username"].endswith("#jane"), review
        review = admin.must(201, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token, "audiences": ["kubernetes"]}})["status"]
        assert not review.get("authenticated") and review["error"], review
    finally:
        s.stop()


def test_configuration_file(issuer, build):
    s = rest.Server(build)
    path, pem = s.dir / "authn.json", issuer.ca.read_text()
    config = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [{
        "issuer": {"url": issuer.url, "certificateAuthority": pem, "audiences": ["a", "b"], "audienceMatchPolicy": "MatchAny"},
        "claimValidationRules": [{"claim": "tier", "requiredValue": "gold"}],
        "claimMappings": {"username": {"claim": "email", "prefix": "mail:"}, "groups": {"claim": "roles", "prefix": ""}, "uid": {"claim": "sub"}}}],
        "anonymous": {"enabled": True, "conditions": [{"path": "/healthz"}]}}
    s.options = [f"--authentication-config={path}"]

    def fails(words, **changes):
        path.write_text(json.dumps(dict(config, **changes)))
        try:
            s.start()
        except Exception as error:
            assert words in str(error), (words, str(error)[-600:])
            s.process.wait(10)
            return
        raise AssertionError(f"it started: {words}")

    try:
        path.write_text(json.dumps(config))
        s.start()
        good = dict(aud="b", tier="gold", email="jane@example.org")
        info = who(s, issuer.token(roles=["x"], **good))
        assert (info["username"], info["uid"], info["groups"]) == ("mail:jane@example.org", "jane", ["x", "system:authenticated"]), info
        who(s, issuer.token(email_verified=True, **good))
        refused(s, issuer.token(email_verified=False, **good))
        refused(s, issuer.token(email_verified="false", **good))
        refused(s, issuer.token(aud="kubernetes", tier="gold", email="x"))
        anonymous = bearer(s, None)
        anonymous.must(200, "GET", "/healthz")
        anonymous.must(401, "GET", "/version")
        anonymous.must(401, "GET", "/api/v1/pods")
        s.end()
        issuer_of = config["jwt"][0]["issuer"]
        def jwt(**changes):
            return [dict(config["jwt"][0], issuer=dict(issuer_of, **changes))]
        fails("jwt[0].issuer.url: Invalid value: \"http://x\": URL scheme must be https", jwt=jwt(url="http://x"))
        fails("jwt[0].issuer.url: Required value", jwt=jwt(url=""))
        fails("jwt[0].issuer.url", jwt=jwt(url="https://kubernetes.default.svc.cluster.local"))
        fails("jwt[1].issuer.url: Duplicate value", jwt=jwt() + jwt())
        fails("jwt[0].issuer.audiences: Required value", jwt=jwt(audiences=[]))
        fails("audienceMatchPolicy must be MatchAny for multiple audiences", jwt=jwt(audienceMatchPolicy=""))
        fails("does not contain any valid certificates", jwt=jwt(certificateAuthority="x"))
        fails("claimMappings.username: Required value", jwt=[dict(config["jwt"][0], claimMappings={})])
        fails("username.prefix: Required value", jwt=[dict(config["jwt"][0], claimMappings={"username": {"claim": "sub"}})])
        fails("expressions are not supported", jwt=[dict(config["jwt"][0], claimMappings={"username": {"expression": "claims.sub"}})])
        fails("unknown field", jwks=[])
        fails("enabled should be set to true when conditions are defined", anonymous={"enabled": False, "conditions": [{"path": "/"}]})
        s.options.append("--oidc-client-id=x")
        fails("says all of it")
        s.options = ["--oidc-client-id=x"]
        fails("must be specified together")
        s.options = ["--anonymous-auth=false"]
        s.start()
        bearer(s, None).must(401, "GET", "/healthz")
    finally:
        s.stop()


def test_keys_change(issuer, build):
    s = started(issuer, build, *flags(issuer))
    try:
        who(s, issuer.token())
        old, new = issuer.keys[0], Key(issuer.dir, "k2")
        issuer.keys = [new]
        who(s, issuer.token(key=old))
        who(s, issuer.token())  # a key nobody knew: it waits for the new ones
        refused(s, issuer.token(key=old))
    finally:
        s.stop()


def test_an_issuer_that_is_away_hurts_nobody(issuer, build):
    issuer.gate = threading.Event()
    s = started(issuer, build, *flags(issuer))
    try:
        results = []
        def ask():
            results.append(bearer(s, issuer.token()).do("POST", WHO, {}).code)
        waiting = [threading.Thread(target=ask) for _ in range(5)]
        for t in waiting:
            t.start()
        s.admin().must(200, "GET", "/api/v1/namespaces")  # goes on meanwhile
        refused(s, "nonsense")
        issuer.gate.set()
        for t in waiting:
            t.join(30)
        assert results == [201] * 5, results
    finally:
        issuer.gate.set()
        issuer.gate = None
        s.stop()
    # and ends in the middle of it
    issuer.gate = threading.Event()
    s = started(issuer, build, *flags(issuer))
    try:
        def ask_and_lose():
            try:
                bearer(s, issuer.token()).do("POST", WHO, {})
            except rest.LOST:
                pass
        t = threading.Thread(target=ask_and_lose)
        t.start()
        s.admin().must(200, "GET", "/version")
    finally:
        s.stop()
        issuer.gate.set()
        issuer.gate = None
        t.join(30)


def test_an_issuer_that_lies_is_not_believed(issuer, build):
    issuer.claims_to_be = "https://elsewhere.example.org"
    s = started(issuer, build, *flags(issuer))
    try:
        refused(s, issuer.token())
        assert "issuer did not match" in s.log.read_text()
    finally:
        issuer.claims_to_be = None
        s.stop()
    # another authority's certificate is none
    s = started(issuer, build, f"--oidc-issuer-url={issuer.url}", "--oidc-client-id=kubernetes")
    try:
        refused(s, issuer.token())
        assert "cannot be had" in s.log.read_text()
    finally:
        s.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    failed = 0
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and options.only in n]
    for name, function in tests:
        issuer = Issuer()
        try:
            function(issuer, options.build)
            print(f"ok    {name}", flush=True)
        except Exception:  # every test runs, whatever the one before it did
            failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
        finally:
            issuer.close()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
