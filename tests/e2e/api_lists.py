#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_lists.py [--apiserver PROGRAM] [--only WORD]

Large lists in every form: the same objects, nobody else waits for them, and clients that leave. Raw HTTP against the API
server alone (tests/e2e/apiserver.c), in memory.
"""
import gzip
import http.client
import json
import select
import socket
import sys

import api as base
from api_admission import space

N = 1500  # of 3 kB: 5 MB, far more than what is made within a turn (OFFLOAD_BYTES_MIN)
FORMS = {"json": {}, "gzip": {"accept-encoding": "gzip"},
         "table": {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
         "metadata": {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"},
         "protobuf": {"accept": "application/vnd.kubernetes.protobuf"},
         "protobuf metadata": {"accept": "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"},
         "protobuf, gzip": {"accept": "application/vnd.kubernetes.protobuf", "accept-encoding": "gzip"}}


def large(api, name):
    """A namespace full of ConfigMaps; one for all tests."""
    ns = space(api, name)
    c = http.client.HTTPConnection(api.address, timeout=base.WATCH_S)
    for i in range(N):
        body = {"metadata": {"name": f"m{i:05}", "labels": {"n": str(i % 7)}}, "data": {"text": f"{i} " + "x" * 2800}}
        c.request("POST", ns + "configmaps", json.dumps(body), {"content-type": "application/json"})
        answer = c.getresponse()
        text = answer.read()
        assert answer.status == 201, text
    c.close()
    return ns + "configmaps"


def get(api, path, headers):
    c = http.client.HTTPConnection(api.address, timeout=base.WATCH_S)
    c.request("GET", path, headers=headers)
    answer = c.getresponse()
    body = answer.read()
    c.close()
    assert answer.status == 200, body
    if answer.headers["content-encoding"] == "gzip":
        body = gzip.decompress(body)
    return answer, body


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def message(data):
    """(field number, bytes or number) of a protobuf message."""
    at, fields = 0, []
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 2:
            size, at = varint(data, at)
            assert at + size <= len(data), "a field goes on beyond its message"
            fields.append((tag >> 3, data[at:at + size]))
            at += size
        else:
            assert tag & 7 == 0, tag
            value, at = varint(data, at)
            fields.append((tag >> 3, value))
    return fields


def names_in(form, answer, body):
    kind = answer.headers["content-type"]
    if not form.startswith("protobuf"):
        assert kind == "application/json", kind
        listed = json.loads(body)
        if form == "table":
            assert listed["kind"] == "Table" and [r["object"]["metadata"]["name"] for r in listed["rows"]] == [r["cells"][0] for r in listed["rows"]]
            return [r["cells"][0] for r in listed["rows"]]
        assert listed["kind"] == ("PartialObjectMetadataList" if form == "metadata" else "ConfigMapList")
        return [i["metadata"]["name"] for i in listed["items"]]
    assert kind == "application/vnd.kubernetes.protobuf" and body[:4] == b"k8s\0", kind
    envelope = message(body[4:])
    assert [n for n, _ in envelope] == [1, 2, 3, 4], envelope[:1]
    meta = dict(message(envelope[0][1]))
    assert meta == ({1: b"meta.k8s.io/v1", 2: b"PartialObjectMetadataList"} if "metadata" in form else {1: b"v1", 2: b"ConfigMapList"}), meta
    fields = message(envelope[1][1])
    assert fields[0][0] == 1 and dict(message(fields[0][1]))[2].isdigit(), "a list begins with its metadata"
    items = [dict(message(m)) for n, m in fields[1:] if n == 2]
    assert len(items) == len(fields) - 1
    if "metadata" not in form:
        assert all(2 in i for i in items), "data"
    return [dict(message(i[1]))[1].decode() for i in items]


def test_every_form_has_the_same_objects(api):
    path = large(api, "lists")
    every = [f"m{i:05}" for i in range(N)]
    for form, headers in FORMS.items():
        for query, expected in (("", every), ("?limit=3", every[:3]), ("?labelSelector=n%3D2", every[2::7]), ("?fieldSelector=metadata.name%3Dm00007", every[7:8])):
            answer, body = get(api, path + query, headers)
            found = names_in(form, answer, body)
            assert found == expected, f"{form} {query}: {len(found)} instead of {len(expected)}"
    # A chunk's token is in every form the same.
    token = json.loads(get(api, path + "?limit=700", {})[1])["metadata"]["continue"]
    for form in ("table", "protobuf"):
        answer, body = get(api, path + f"?limit=700&continue={token}", FORMS[form])
        assert names_in(form, answer, body) == every[700:1400], form


def ask(api, path, headers):
    """Sends a request and leaves the answer where it is."""
    host, port = api.address.rsplit(":", 1)
    s = socket.create_connection((host, int(port)), timeout=base.WATCH_S)
    s.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n")
    return s


def test_nobody_waits_for_a_large_list(api):
    path = large(api, "lists-busy")
    small = http.client.HTTPConnection(api.address, timeout=base.WATCH_S)
    small.request("GET", "/version")
    small.getresponse().read()
    for form in ("table", "protobuf", "gzip"):
        lists = [ask(api, path, FORMS[form]) for _ in range(6)]  # more than there are threads for them
        small.request("GET", path + "/m00001")
        assert small.getresponse().read()
        waiting = [s for s in lists if not select.select([s], [], [], 0)[0]]
        assert waiting, f"{form}: all lists were answered before a get that came later"
        for s in lists:
            s.settimeout(base.WATCH_S)
            assert s.recv(15).startswith(b"HTTP/1.1 200"), form
            s.close()


def test_clients_that_leave(api):
    path = large(api, "lists-left")
    for form in FORMS:
        for s in [ask(api, path, FORMS[form]) for _ in range(8)]:
            s.close()
    for form, headers in FORMS.items():
        answer, body = get(api, path, headers)
        assert len(names_in(form, answer, body)) == N, form


if __name__ == "__main__":
    sys.exit(base.main(__doc__, {n: f for n, f in globals().items() if n.startswith("test_")}))
