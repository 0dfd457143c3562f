# SPDX-License-Identifier: Apache-2.0
"""Input that is wrong in every way: a Status that says so, never a crash, a hang or a silent drop."""
import json
import socket
import ssl
import subprocess

from harness import expect
from rest import LOST, Server, tls

make = Server
MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
GOOD = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
REASONS = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed", 406: "NotAcceptable", 409: "Conflict", 410: "Expired",
           413: "RequestEntityTooLarge", 415: "UnsupportedMediaType", 422: "Invalid"}


def status(client, code, method, path, body=None, kind=JSON, **headers):
    answer = client.do(method, path, body, content_type=kind, **headers)
    where = f"{method} {path} {str(body)[:60]}"
    expect(answer.code == code, f"{where}: {answer.code}, expected {code}: {answer.data[:400]}")
    found = answer.json
    expect(found["kind"] == "Status" and found["status"] == "Failure" and found["code"] == code and found["message"],
           f"{where}: {found}")
    expect(found["reason"] == REASONS[code], f"{where}: reason {found['reason']}")
    return found


def alive(server):
    expect(server.process.poll() is None, "the server ended: " + server.log.read_text()[-2000:])
    server.admin().must(200, "GET", "/readyz")


def test_bodies(server):
    c = server.admin()
    deep = b'{"metadata":{"name":"x"},"data":' + b'{"a":' * 100000 + b"1" + b"}" * 100000 + b"}"
    for body in (b"{", b"}", b"null", b"1", b'"a"', b"[]", b"{}{}", b'{"metadata":', b'{"metadata":{"name":"\xff"}}', deep,
                 b"\0", b"[" * 1000000, b'{"metadata":[]}', b'{"metadata":{"name":7}}', b'{"data":{"a":1}}',
                 b'{"data":"x"}', b'{"metadata":{"labels":{"a":1}}}', b'{"binaryData":{"a":"%%"}}',
                 b'{"metadata":{"creationTimestamp":"yesterday"}}'):
        status(c, 400, "POST", MAPS, body)
    for body in (b"a: [", b"a: &a [*a", b"\t- x", b"a: 1\n---\nb: 2\n: :", b"&a [*b]", b"metadata: {name: x", b"- 1", b"x"):
        status(c, 400, "POST", MAPS, body, YAML)
    bomb = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12))
    status(c, 400, "POST", MAPS, bomb, YAML)
    for body in (b"k8s", b"k8s\0\xff\xff\xff\xff", b"k8s\0\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02v1", b"k8s\0" + b"\x0a" * 10000):
        status(c, 400, "POST", MAPS, body, PROTOBUF)
    status(c, 413, "POST", MAPS, json.dumps({"metadata": {"name": "x"}, "data": {"a": "x" * 4000000}}).encode())
    alive(server)


def test_what_the_body_says_of_itself(server):
    c = server.admin()
    status(c, 400, "POST", MAPS, dict(GOOD, kind="Secret"))
    status(c, 400, "POST", MAPS, dict(GOOD, apiVersion="v2"))
    status(c, 400, "POST", MAPS, dict(GOOD, apiVersion="a/b/c"))
    status(c, 400, "POST", MAPS, {"apiVersion": 1, "kind": "ConfigMap"})
    found = status(c, 400, "POST", MAPS, {"metadata": {"name": "x", "namespace": "kube-system"}})
    expect("does not match the namespace" in found["message"], found)
    c.must(201, "POST", MAPS, {"metadata": {"name": "there"}})
    found = status(c, 400, "PUT", MAPS + "/there", GOOD)
    expect("does not match the name on the URL" in found["message"], found)
    status(c, 400, "PUT", MAPS + "/there", {"metadata": {"name": "there", "namespace": "kube-system"}})
    status(c, 409, "PUT", MAPS + "/there", {"metadata": {"name": "there", "resourceVersion": "1"}})
    status(c, 409, "PUT", MAPS + "/there", {"metadata": {"name": "there", "uid": "another"}})
    status(c, 400, "PUT", MAPS + "/there", {"metadata": {"name": "there", "resourceVersion": "x"}})
    status(c, 400, "DELETE", MAPS + "/there", b"{")
    status(c, 400, "DELETE", MAPS + "/there", {"kind": "Pod", "apiVersion": "v1"})
    status(c, 422, "DELETE", MAPS + "/there", {"propagationPolicy": "Sideways"})
    status(c, 409, "DELETE", MAPS + "/there", {"preconditions": {"resourceVersion": "1"}})


def test_causes(server):
    c = server.admin()
    found = status(c, 422, "POST", DEPLOYMENTS, {"metadata": {"name": "A_B"}, "spec": {
        "replicas": -1, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [{"name": "c"}]}}}})
    fields = {cause["field"] for cause in found["details"]["causes"]}
    expect({"metadata.name", "spec.replicas", "spec.template.metadata.labels", "spec.template.spec.containers[0].image"} <= fields,
           fields)
    expect(all(x["reason"] and x["message"] for x in found["details"]["causes"]), found)
    expect(found["details"]["group"] == "apps" and found["details"]["kind"] == "Deployment", found["details"])
    expect(found["message"].startswith('Deployment.apps "A_B" is invalid: ['), found["message"])


def test_parameters(server):
    c = server.admin()
    for query in ("labelSelector=a==b==c", "labelSelector=a%20in%20(", "labelSelector=,a", "labelSelector=a=-b", "limit=x",
                  "limit=-1x", "fieldSelector=data.a=b", "fieldSelector=metadata.name", "fieldSelector=%3D", "continue=%00",
                  "continue=eyJ2Ijo", "timeoutSeconds=x", "watch=1&timeoutSeconds=1.5"):
        status(c, 400, "GET", f"{MAPS}?{query}")
    for query in ("resourceVersion=x", "resourceVersion=-1", "resourceVersionMatch=Exact", "resourceVersion=1&resourceVersionMatch=No",
                  "resourceVersion=0&resourceVersionMatch=Exact"):
        answer = c.do("GET", f"{MAPS}?{query}")
        expect(answer.code in (400, 422) and answer.json["kind"] == "Status", f"{query}: {answer.code} {answer.data[:200]}")
    for query in ("fieldValidation=Maybe", "dryRun=Some", "fieldManager=" + "x" * 200):
        answer = c.do("POST", f"{MAPS}?{query}", GOOD)
        expect(answer.code in (400, 422) and answer.json["kind"] == "Status", f"{query}: {answer.code} {answer.data[:200]}")
    answer = c.do("GET", MAPS + "?" + "&".join(f"a{i}=b" for i in range(5000)))
    expect(answer.code in (400, 414, 431), f"many parameters: {answer.code}")


def test_expired(server):
    """More changes than the history window holds: older revisions are gone, and said to be."""
    c = server.admin()
    page = c.must(200, "GET", "/api/v1/namespaces?limit=1")["metadata"]
    revision, token = page["resourceVersion"], page["continue"]
    c.must(201, "POST", MAPS, {"metadata": {"name": "window"}})
    for i in range(20):
        c.must(200, "PUT", MAPS + "/window", {"metadata": {"name": "window"}, "data": {"x": str(i) * 400000}})
    status(c, 410, "GET", f"{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact")
    found = status(c, 410, "GET", f"/api/v1/namespaces?limit=1&continue={token}")
    rest = c.must(200, "GET", f"/api/v1/namespaces?limit=100&continue={found['metadata']['continue']}")
    expect(len(rest["items"]) >= 3, "the token that comes with the 410 goes on with what is there now")
    answer = c.do("GET", f"{MAPS}?watch=true&resourceVersion={revision}&timeoutSeconds=1")
    said = answer.json["object"] if answer.code == 200 else answer.json
    expect(said["code"] == 410 and said["reason"] == "Expired", said)


def test_patches(server):
    c = server.admin()
    c.do("POST", MAPS, {"metadata": {"name": "patched"}, "data": {"a": "b"}})
    path = MAPS + "/patched"
    for kind in (JSON, "text/plain", "application/unknown+json", ""):
        status(c, 415, "PATCH", path, b"{}", kind)
    found = c.do("PATCH", path, b"{}", content_type=JSON)
    expect(found.json["message"] == "415: Unsupported Media Type", found.json)  # by the router upstream, which names none
    for body in (b"{", b"[]", b"1", b""):
        status(c, 400, "PATCH", path, body, "application/merge-patch+json")
    for body in (b"{", b"{}", b'[{"op":"fly","path":"/data"}]', b'[{"op":"add"}]', b'[1]', b'[{"op":"add","path":"data","value":1}]'):
        answer = c.do("PATCH", path, body, content_type="application/json-patch+json")
        expect(answer.code in (400, 422), f"{body}: {answer.code} {answer.data[:300]}")
    status(c, 422, "PATCH", path, b'[{"op":"remove","path":"/data/none"}]', "application/json-patch+json")
    status(c, 422, "PATCH", path, b'[{"op":"test","path":"/data/a","value":"c"}]', "application/json-patch+json")
    many = json.dumps([{"op": "test", "path": "/data/a", "value": "b"}] * 10001).encode()
    status(c, 413, "PATCH", path, many, "application/json-patch+json")
    status(c, 422, "PATCH", path, b'{"data":{"a":7}}', "application/merge-patch+json")  # what comes out is no ConfigMap
    status(c, 400, "PATCH", path, b'{"data":{"$patch":"fly"}}', "application/strategic-merge-patch+json")


def test_paths_and_methods(server):
    c = server.admin()
    for path in ("/api/v2", "/apis/none", "/apis/apps/v9/deployments", "/api/v1/nonsense", "/nosuch", "/api/v1/namespaces/default/x/y/z/w",
                 MAPS + "/there/nosuch", "/apis/apps/v1/namespaces/default/deployments/x/nosuch", "//api//v1", "/openapi/v3/apis/x/v1",
                 "/livez/nosuch"):
        answer = c.do("GET", path)
        expect(answer.code == 404, f"GET {path}: {answer.code}")
    for method, path in (("PUT", MAPS), ("PATCH", MAPS), ("POST", MAPS + "/x"), ("DELETE", DEPLOYMENTS + "/x/scale"),
                         ("POST", DEPLOYMENTS + "/x/status"), ("DELETE", DEPLOYMENTS + "/x/status"), ("TRACE", MAPS),
                         ("GET", "/api/v1/namespaces/default/pods/x/eviction"), ("GET", "/api/v1/namespaces/default/pods/x/binding"),
                         ("DELETE", "/api/v1/namespaces"), ("PUT", "/version"), ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")):
        answer = c.do(method, path, GOOD if method in ("PUT", "POST", "PATCH") else None)
        expect(answer.code == 405, f"{method} {path}: {answer.code} {answer.data[:200]}")
    for accept in ("text/html", "application/xml", "application/json;as=Nonsense;g=meta.k8s.io;v=v1", "image/*"):
        status(c, 406, "GET", MAPS, accept=accept)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json-patch+json"):
        status(c, 415, "POST", MAPS, GOOD, kind)


def raw(server, data):
    """What the server says to these bytes, until it closes."""
    host, port = server.address.split(":")
    context = tls(server.kubeconfig)
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_connection((host, int(port)), 60) as s, context.wrap_socket(s, server_hostname=host) as t:
        got = b""
        try:
            t.sendall(data)
            while piece := t.recv(65536):
                got += piece
        except (*LOST, ssl.SSLError):
            pass
        return got


def test_http(server):
    huge = b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Big: " + b"x" * 4000000 + b"\r\n\r\n"
    expect(b" 431 " in raw(server, huge)[:40] or raw(server, huge) == b"", "huge header")
    many = b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(20000)) + b"\r\n"
    expect(b" 431 " in raw(server, many)[:40] or raw(server, many) == b"", "many headers")
    for data in (b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n", b"\r\n" * 100 + b"\xff\xfe\r\n\r\n",
                 b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                 b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
                 b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"):
        got = raw(server, data)
        expect(not got or b" 400 " in got[:20] or b" 505 " in got[:20], f"{data[:60]}: {got[:100]}")
    alive(server)


def test_http2_with_huge_headers(server):
    """curl speaks HTTP/2."""
    command = ["curl", "-sk", "--http2", "-o", "-", "-w", "%{http_code}", "-m", "30"]
    for size, count in ((4000, 1), (60000, 1), (60000, 10)):
        config = "".join(f'header = "x-big-{i}: {"x" * size}"\n' for i in range(count))
        config += f'url = "https://{server.address}/version"\n'
        r = subprocess.run([*command, "-K", "-"], input=config, capture_output=True, text=True, timeout=60)
        expect(r.stdout.endswith(("431", "000", "200")) and r.returncode in (0, 16, 55, 56, 92), f"{size} {count}: {r.returncode} {r.stdout[-200:]}")
    alive(server)
