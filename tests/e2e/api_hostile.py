#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_hostile.py [--build DIR] [--only WORD]

Clients that send garbage, flood, stall or vanish cost only themselves: meanwhile another client is answered in time, the server's
memory stays within a bound, and what they held is given back. Bounds are in hostile.py. Against tests/e2e/apiserver.c, and for TLS
`proa server`.
"""
import argparse
import contextlib
import gzip
import json
import os
import random
import resource
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings

from hostile import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PRIORITY, PUSH, RST, WINDOW, Victim, frame, head,
                     literal, request, settings)
from rest import Server, tls

MAPS = "/api/v1/namespaces/default/configmaps"
BODY_MAX = 3 << 20
GET = b"GET /readyz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def code(answer):
    return int(answer[9:12]) if answer[:9] == b"HTTP/1.1 " else 0


def reset(s):
    """Closes so that the peer gets a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


# ---- HTTP/1.1 ----

def test_vanishing_at_any_byte(v):
    body = json.dumps({"metadata": {"generateName": "x-"}}).encode()
    whole = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    watch = GET.replace(b"/readyz", MAPS.encode() + b"?watch=1") + b"\r\n"
    with v.attack():
        for data in (whole, watch, PREFACE + settings(window=0) + request(1) + request(3, MAPS.encode() + b"?watch=1")):
            for i in range(len(data) + 1):
                s = v.connect(data[:i])
                v.open.remove(s)
                reset(s) if i % 2 else s.close()


def test_garbage(v):
    random.seed(7)
    with v.attack():
        for i in range(200):
            noise = random.randbytes(random.randrange(1, 5000))
            start = random.choice([b"", GET, POST + b"Transfer-Encoding: chunked\r\n\r\n", PREFACE, PREFACE + settings(),
                                   PREFACE + settings() + request(1, end=False)])
            s = v.connect(start + noise)
            s.shutdown(socket.SHUT_WR)
            v.rest(s)
            s.close()


def test_ambiguous_lengths(v):
    with v.attack():
        for fields in (b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 5\r\nTransfer-Encoding: chunked",
                       b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"Transfer-Encoding: identity, chunked\r\nContent-Length: 0",
                       b"Transfer-Encoding: xchunked", b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding : chunked", b"Content-Length: +5",
                       b"Content-Length: 5 5", b"Content-Length: 0x5", b"Content-Length: 5,5", b"Content-Length: 99999999999999999999",
                       b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Content-Length: 5\n"):
            got = v.ask(POST + fields + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + GET + b"\r\n")
            assert code(got) in (400, 413, 501), (fields, got[:100])
            assert got.count(b"HTTP/1.1 ") == 1 and b"onnection: close" in got, (fields, got)


def test_chunks(v):
    chunked = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with v.attack():
        for body in (b"5;" + b"x=" * 300000 + b"\r\nhello\r\n0\r\n\r\n", b"1;a=b\r\n{\r\n" * 100000 + b"0\r\n\r\n",
                     b"0\r\n" + b"".join(b"t%d: x\r\n" % i for i in range(30000)) + b"\r\n", b"f" * 5000 + b"\r\n", b"FFFFFFFFFFFFFFFF\r\nx",
                     b"-1\r\nx\r\n", b"5\nhello\r\n0\r\n\r\n", b"400000\r\n" + b"x" * 0x400000 + b"\r\n0\r\n\r\n"):
            got = v.ask(chunked + body)
            assert code(got) in (0, 400, 413, 431), (body[:30], got[:200])


def test_heads_and_targets(v):
    with v.attack():
        for data in (b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /" + b"a" * 4000000, GET + b"X: " + b"y" * 4000000,
                     GET + b"".join(b"X-%d: y\r\n" % i for i in range(100000)) + b"\r\n", b"\r\n" * 100000, b"A" * 1000000):
            got = v.ask(data)
            assert code(got) in (0, 400, 405, 414, 431), (data[:30], got[:100])
        for query in (b"labelSelector=" + b",".join(b"k%d!=v" % i for i in range(3000)),
                      b"labelSelector=k+in+(" + b",".join(b"v%d" % i for i in range(4000)) + b")",
                      b"fieldSelector=" + b",".join(b"metadata.name!=v%d" % i for i in range(1000)), b"a=" * 10000, b"%41" * 9000,
                      b"continue=" + b"e" * 30000, b"&".join(b"dryRun=All" for _ in range(2500))):
            got = v.ask(b"GET " + MAPS.encode() + b"?" + query + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert code(got) in (200, 400, 414, 431), (query[:30], got[:200])


def test_slow_heads_and_bodies(v):
    """Hundreds that begin and don't go on: what they sent is bounded for all together."""
    with v.attack():
        for i in range(300):
            v.connect(GET + b"X: " + b"y" * 50000)
        for i in range(150):
            v.connect(POST + b"Content-Length: %d\r\n\r\n" % BODY_MAX + b"{" + b" " * (BODY_MAX - 100000))
    with v.attack():  # the same with HTTP/2, where one connection holds many
        for i in range(20):
            s = v.connect(PREFACE + settings())
            for stream in range(1, 2 * 7, 2):
                v.send(s, request(stream, MAPS.encode(), b"POST", end=False))
                v.send(s, b"".join(frame(DATA, 0, stream, b" " * 16384) for _ in range(15)))


def test_half_closed(v):
    with v.attack():
        s = v.connect(GET + b"\r\n")
        s.shutdown(socket.SHUT_WR)
        assert code(v.rest(s)) == 200
        for data in (GET, POST + b"Content-Length: 5\r\n\r\nhel", PREFACE, GET.replace(b"/readyz", MAPS.encode() + b"?watch=1") + b"\r\n"):
            s = v.connect(data)
            s.shutdown(socket.SHUT_WR)
            v.rest(s)


def test_pipelines_that_are_not_read(v):
    discovery = b"GET /openapi/v2 HTTP/1.1\r\nHost: x\r\n\r\n"
    with v.attack():
        for i in range(20):
            s = v.connect()
            s.settimeout(0.2)
            for _ in range(10):
                if not v.send(s, discovery * 1000):
                    break
    s = v.connect((GET + b"\r\n") * 500 + GET + b"Connection: close\r\n\r\n")
    assert v.rest(s).count(b"HTTP/1.1 200") == 501


# ---- bodies ----

def test_bodies_that_explode(v):
    bomb = gzip.compress(b" " * (200 << 20), 9)
    aliases = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12))
    wide = json.dumps({"metadata": {"name": "w", "labels": {f"k{i}": "v" for i in range(100000)}}}).encode()
    unknown = b'{"metadata":{"name":"u"},' + b",".join(b'"x%d":1' % i for i in range(150000)) + b"}"
    same = b'{"metadata":{"name":"u"},"data":{' + b",".join(b'"x":"1"' for _ in range(200000)) + b"}}"
    owners = json.dumps({"metadata": {"name": "o", "ownerReferences": [
        {"apiVersion": "v1", "kind": "Pod", "name": f"p{i}", "uid": f"u{i}"} for i in range(30000)]}}).encode()
    long = b"a: &a " + b"x" * 1000000 + b"\nb:\n" + b"- *a\n" * 300000
    lies = [b"k8s\0" + b"\x0a\x7f" * 100000, b"k8s\0\x0a\x0d\x0a\x02v1\x12\x09ConfigMap\x12\xff\xff\xff\xff\x7fx",
            b"k8s\0" + b"\x12\x80\x80\x80\x01" * 50000, b"k8s\0\x12" + b"\xff" * 500000, b"k8s\0" + b"\x0b" * 100000]
    with v.attack():
        for kind, body in [("application/json", b) for b in (wide, unknown, same, owners, b"[" * 3000000, b'{"a":' * 600000)] + \
                          [("application/yaml", b) for b in (aliases, long, b"- " * 300000, b"[" * 300000, b"{a: " * 200000, b"? " * 200000,
                                                             b"&a " * 100000, b"!!x " * 100000, b"a: |\n" + b" x\n" * 500000,
                                                             b"".join(b"k%d: v\n" % i for i in range(150000)))] + \
                          [("application/vnd.kubernetes.protobuf", b) for b in lies]:
            for query in ("", "?fieldValidation=Strict"):
                status, said, took = v.good(MAPS + query, "POST", body, kind)
                assert 400 <= status < 500 or (body is unknown and not query), (kind, body[:40], status, said[:200])
        got = v.ask(POST + b"Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        assert code(got) in (400, 415), got[:200]


def test_patches_that_explode(v):
    v.good(MAPS, "POST", json.dumps({"metadata": {"name": "p"}, "data": {"a": "x" * 100000}}))
    pods = "/api/v1/namespaces/default/pods"
    v.good("/api/v1/namespaces/default/serviceaccounts", "POST", json.dumps({"metadata": {"name": "default"}}))
    env = [{"name": f"n{i}", "value": "v"} for i in range(10000)]
    status, said, _ = v.good(pods, "POST", json.dumps({"metadata": {"name": "wide"}, "spec": {"containers": [
        {"name": "c", "image": "i", "env": env}]}}))
    assert status == 201, said[:300]
    strategic = json.dumps({"spec": {"containers": [{"name": "c", "image": "i", "env": [dict(e, value="w") for e in reversed(env)]}]}})
    applied = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wide"}, "spec": {"containers": [
        {"name": "c", "image": "j", "env": env}]}})
    with v.attack():
        ops = json.dumps([{"op": "copy", "from": "/data", "path": f"/data/x{i}"} for i in range(60)])
        assert v.good(MAPS + "/p", "PATCH", ops, "application/json-patch+json")[0] in (400, 413, 422)
        ops = json.dumps([{"op": "test", "path": "/data" + "/a" * 300, "value": 1}] * 2000)
        assert v.good(MAPS + "/p", "PATCH", ops, "application/json-patch+json")[0] in (400, 413, 422)
        assert v.good(pods + "/wide", "PATCH", strategic, "application/strategic-merge-patch+json")[0] in (200, 422)
        status, said, took = v.good(pods + "/wide?fieldManager=m&force=true", "PATCH", applied, "application/apply-patch+yaml")
        assert status in (200, 422), said[:300]
    v.good(pods + "/wide?gracePeriodSeconds=0", "DELETE")


# ---- HTTP/2 ----

def ends(v, *pieces, hello=settings()):
    """The server ends a connection on which this comes, or drops what it means: either way with a bound."""
    s = v.connect(PREFACE + hello)
    for piece in pieces:
        if not v.send(s, piece):
            return b""
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_WR)
    return v.rest(s)


def test_h2_floods(v):
    ping = frame(PING, 0, 0, b"x" * 8)
    lists = MAPS.encode()
    with v.attack():
        said = {name: ends(v, *pieces) for name, pieces in {
            "rapid reset": [b"".join(request(i, lists) + frame(RST, 0, i, b"\0\0\0\x08") for i in range(1, 8001, 2))],
            "ping": [ping * 20000] * 5,
            "settings": [settings() * 20000] * 5,
            "settings that change": [b"".join(settings(table=i, window=i) for i in range(20000))],
            "priority": [frame(PRIORITY, 0, 1, b"\0\0\0\0\1") * 20000] * 3,
            "empty data": [request(1, lists, b"POST", end=False), frame(DATA, 0, 1) * 20000],
            "padding": [request(1, lists, b"POST", end=False), frame(DATA, 8, 1, b"\xff" + b"\0" * 255) * 5000],
            "continuation": [frame(HEADERS, 0, 1, head()), frame(CONTINUATION, 0, 1) * 100000],
            "long continuation": [frame(HEADERS, 0, 1, head()), frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 16000)) * 1000],
            "unknown frames": [frame(0x77, 0, 0, b"x" * 100) * 50000],
            "window by one": [request(1, lists), frame(WINDOW, 0, 0, b"\0\0\0\1") * 100000],
            "window over": [frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 2],
            "pushed": [frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + head())],
            "bomb": [b"".join(frame(HEADERS, END_HEADERS | END_STREAM, i, head() + b"\x40\x01x" + literal(b"", b"y" * 4000)[2:] + b"\xbe" * 12000)
                              for i in range(1, 200, 2))],
            "table": [frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x0f" + head())],
            "too many streams": [b"".join(request(i, lists + b"?watch=1") for i in range(1, 4000, 2))],
            "stream 0": [frame(HEADERS, END_HEADERS, 0, head())], "even": [request(2)], "backwards": [request(5) + request(3)],
            "data without": [frame(DATA, 0, 7, b"x")], "short ping": [frame(PING, 0, 0, b"x")], "too long": [frame(DATA, 0, 1, b"x" * 20000)],
            "no path": [frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x86")],
            "upper case": [frame(HEADERS, END_HEADERS | END_STREAM, 1, head() + literal(b"X-A", b"b"))],
            "connection": [frame(HEADERS, END_HEADERS | END_STREAM, 1, head() + literal(b"connection", b"close"))],
            "length lies": [request(1, lists, b"POST", (b"content-length", b"3"), end=False) + frame(DATA, END_STREAM, 1, b"x" * 9)],
            "not settings": [],
        }.items()}
    for name in ("rapid reset", "ping", "settings", "priority", "empty data", "continuation"):
        assert not said[name] or b"\x07" in said[name], f"{name}: no GOAWAY"


def test_h2_windows_that_stay_closed(v):
    """Hundreds of answers that nobody takes share their bytes with the store."""
    for i in range(20):
        v.good(MAPS, "POST", json.dumps({"metadata": {"name": f"big-{i}"}, "data": {"a": "x" * 500000}}))
    try:
        with v.attack(codes=(200, 429)):  # to the server all of them are one user, who has many lists waiting
            for _ in range(10):
                v.connect(PREFACE + settings(window=0) + b"".join(request(i, MAPS.encode()) for i in range(1, 400, 2)))
                v.connect(PREFACE + settings(window=0) + b"".join(request(i, b"/openapi/v2") for i in range(1, 400, 2)))
            for _ in range(20):
                v.connect(GET.replace(b"/readyz", MAPS.encode()) + b"\r\n")
    finally:
        v.good(MAPS, "DELETE")


# ---- watches ----

def test_watches_that_are_not_read(v):
    with v.attack():
        for _ in range(10):
            v.connect(PREFACE + settings() + b"".join(request(i, MAPS.encode() + b"?watch=1") for i in range(1, 200, 2)))
            s = v.connect(GET.replace(b"/readyz", MAPS.encode() + b"?watch=1") + b"\r\n")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert v.good(MAPS, "POST", json.dumps({"metadata": {"name": "busy"}}))[0] == 201
        for i in range(300):
            assert v.good(MAPS + "/busy", "PUT", json.dumps({"metadata": {"name": "busy"}, "data": {"a": f"{i}" * 5000}}))[0] == 200


def test_websockets(v):
    ask = GET.replace(b"/readyz", MAPS.encode() + b"?watch=1") + (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    random.seed(9)
    with v.attack():
        for piece in (b"\x81\xff" + b"\xff" * 8 + b"mask", b"\x81\x05hello", b"\x89\x7e\xff\xffmask" + b"x" * 65535, b"\xf1\x80mask",
                      b"\x01\x80mask" * 50000, b"\x89\x80mask" * 50000, b"\x00\x80mask", b"\x88\x81maskx", random.randbytes(100000)):
            s = v.connect(ask)
            v.send(s, piece)
            s.shutdown(socket.SHUT_WR)
            v.rest(s)
        for change in ((b"AAAAAAAAAAAAAAAAAAAAAA==", b"x"), (b"13", b"99"), (b"websocket", b"spdy/3.1"), (b"websocket", b"h2c")):
            s = v.connect(ask.replace(*change))
            v.send(s, random.randbytes(1000))
            s.shutdown(socket.SHUT_WR)
            v.rest(s)


# ---- connections ----

def test_idle_connections(v):
    with v.attack():
        for i in range(2000):
            v.connect(b"" if i % 2 else b"G")


def no_more_descriptors(build):
    """A server that may have 300 of them, and a client that wants 500: it is not the others who are refused."""
    v = Victim(f"{build}/tests/e2e/apiserver", files=300)
    try:
        with v.attack():
            for _ in range(500):
                v.connect()
    finally:
        v.stop()


def end_under_writes(build):
    """A server that is told to end while the writes of clients that have left are being committed."""
    body = json.dumps({"metadata": {"generateName": "left-"}}).encode()
    post = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" \
           b"content-length: %d\r\n\r\n%s" % (len(body), body)
    for _ in range(10):
        with tempfile.TemporaryDirectory() as data:
            v = Victim(f"{build}/tests/e2e/apiserver", data=data)
            for _ in range(100):
                v.connect(post)
            v.process.terminate()
            for s in v.open:  # reset
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
            code = v.process.wait(30)
            assert code == 0, f"it ended with {code}: " + "".join(v.errors)[-3000:]


class Dumb(threading.Thread):
    """An agent that takes up every second upgrade, keeps silent to the others, and begins logs that never end."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.kept, self.asked = [], threading.Semaphore(0)
        self.start()

    def run(self):
        upgrades = 0
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.kept.append(c)
            head = b""
            while b"\r\n\r\n" not in head and (piece := c.recv(65536)):
                head += piece
            if b"pgrade:" not in head:
                c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            elif (upgrades := upgrades + 1) % 2:
                c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            self.asked.release()


def end_under_streams(build):
    """A server that is told to end while commands run through it, others wait for their node, and logs are followed."""
    agent = Dumb()
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "serviceAccountName": "default", "containers": [{"name": "c", "image": "i"}]}}
    node = {"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                                                  "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.socket.getsockname()[1]}}}}
    upgrade = b"GET /api/v1/namespaces/default/pods/p/exec?command=ls&stdout=true HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n" \
              b"upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    log = b"GET /api/v1/namespaces/default/pods/p/log?follow=true HTTP/1.1\r\nhost: x\r\n\r\n"
    for gone in (False, True):
        v = Victim(f"{build}/tests/e2e/apiserver")
        for path, body in (("/api/v1/nodes", node), ("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}}),
                           ("/api/v1/namespaces/default/pods", pod)):
            assert v.good(path, "POST", json.dumps(body))[0] == 201, path
        for request in (upgrade, upgrade, log) * 3:
            v.connect(request)
            assert agent.asked.acquire(timeout=30)
        if gone:
            for s in v.open:
                s.close()
        v.process.terminate()
        code = v.process.wait(30)
        assert code == 0, f"it ended with {code}: " + "".join(v.errors)[-3000:]
    agent.socket.close()
    for c in agent.kept:
        c.close()


# ---- TLS ----

def test_tls(build):
    s = Server(build).start()
    host, port = s.address.split(":")
    at = (host, int(port))
    held = []
    try:
        admin = s.admin()
        random.seed(3)
        hello = b"\x16\x03\x01"
        for data in [random.randbytes(500) for _ in range(50)] + [hello + struct.pack(">H", 65535) + b"x" * 70000, hello + b"\0\5" + b"\1\0\xff\xff\xff",
                     GET + b"\r\n", PREFACE, b"\x15\x03\x03\0\2\2\0", b"\x80\x2e\1\3\1"]:
            c = socket.create_connection(at, 20)
            try:
                c.sendall(data)
                c.shutdown(socket.SHUT_WR)
                while c.recv(65536):
                    pass
            except OSError:
                pass
            c.close()
        for _ in range(300):  # handshakes that are begun
            c = socket.create_connection(at, 20)
            c.sendall(hello + b"\0\x80" + b"\1\0\0\x7c\3\3")
            held.append(c)
        for _ in range(100):  # and such as are complete, and say nothing
            held.append(tls(s.kubeconfig, anonymous=True).wrap_socket(socket.create_connection(at, 20), server_hostname=host))
        admin.must(200, "GET", "/readyz")
        old = tls(s.kubeconfig, anonymous=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(at, 20) as c:
            try:
                old.wrap_socket(c, server_hostname=host)
                raise AssertionError("TLS 1.1 was accepted")
            except (ssl.SSLError, OSError):
                pass
        # renegotiation, as openssl's client does it at the letter R
        r = subprocess.run(["openssl", "s_client", "-connect", s.address, "-tls1_2"], input=b"R\n" * 50, capture_output=True, timeout=60)
        assert b"no_renegotiation" in r.stderr or b"no renegotiation" in r.stderr, r.stderr[-500:]
        s.admin().must(200, "GET", "/readyz")
    finally:
        for c in held:
            c.close()
        s.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    victim = Victim(os.path.join(options.build, "tests/e2e/apiserver"))
    tests = {n: (f, victim) for n, f in globals().items() if n.startswith("test_") and f is not test_tls}
    tests.update(no_more_descriptors=(no_more_descriptors, options.build),
                 end_under_writes=(end_under_writes, options.build),
                 end_under_streams=(end_under_streams, options.build), test_tls=(test_tls, options.build), end=(Victim.stop, victim))
    tests = {n: t for n, t in tests.items() if options.only in n or n == "end"}
    failed = 0
    for name, (function, what) in tests.items():
        try:
            function(what)
            print(f"ok    {name}", flush=True)
        except Exception:  # every test runs, whatever the one before it did
            failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
            for s in victim.open:
                s.close()
            victim.open = []
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
