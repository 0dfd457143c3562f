#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_watch.py [--apiserver PROGRAM] [--only WORD]

Lists and watches to the letter: revisions and how they match, chunks of one state, bookmarks, initial events, selectors at their
borders, slow readers, WebSockets. Raw HTTP against the API server alone (tests/e2e/apiserver.c), in memory.
"""
import base64
import http.client
import json
import os
import random
import socket
import struct
import sys
import threading
import urllib.parse

import api as base

CORE = "/api/v1/namespaces/"
LABELS = ("a", "b", "c")


def space(api, name):
    api.do("POST", "/api/v1/namespaces", {"metadata": {"name": name}}, 201)
    return CORE + name + "/configmaps"


def make(api, maps, name, labels=None, size=0):
    return api.do("POST", maps, {"metadata": {"name": name, "labels": labels or {}}, "data": {"x": "y" * size}}, 201)


def names(page):
    return [o["metadata"]["name"] for o in page["items"]]


def rev(o):
    return int(o["metadata"]["resourceVersion"])


def token(**parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


def query(**parts):
    return "?" + urllib.parse.urlencode(parts)


def all_events(api, *paths):
    """What each watch tells until it ends; all at the same time."""
    got = [None] * len(paths)

    def read(i):
        got[i] = list(api.watch(paths[i]))
    threads = [threading.Thread(target=read, args=(i,)) for i in range(len(paths))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return got


def churn(api, maps, name="churn"):
    """More changes than the window of the past holds (8 MiB)."""
    make(api, maps, name)
    for i in range(10):
        api.patch(f"{maps}/{name}", {"data": {"x": str(i) * 1000000}})
    api.do("DELETE", f"{maps}/{name}")


def test_list_options(api):
    maps = space(api, "options")
    now = rev(make(api, maps, "one"))
    assert api.do("GET", maps + "?labelSelector=none")["items"] == []
    for ok in ({"resourceVersion": "0"}, {"resourceVersion": now}, {"resourceVersion": ""},
               {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"},
               {"resourceVersion": now, "resourceVersionMatch": "NotOlderThan"},
               {"resourceVersion": now, "resourceVersionMatch": "Exact"},
               {"limit": "0"}, {"limit": "-1"}, {"timeoutSeconds": "5"}, {"watch": "false"}):
        assert names(api.do("GET", maps + query(**ok))) == ["one"], ok
    invalid = (({"resourceVersionMatch": "Exact"}, "unless resourceVersion is provided"),
               ({"resourceVersionMatch": "NotOlderThan"}, "unless resourceVersion is provided"),
               ({"resourceVersionMatch": "Other", "resourceVersion": "1"}, 'Unsupported value: "Other"'),
               ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, 'is forbidden for resourceVersion "0"'),
               ({"resourceVersionMatch": "Exact", "resourceVersion": "1", "continue": "x"}, "when continue is provided"),
               ({"sendInitialEvents": "true"}, "sendInitialEvents is forbidden for list"),
               ({"sendInitialEvents": "false", "watch": "1"}, "requires setting resourceVersionMatch to NotOlderThan"),
               ({"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1", "watch": "1"}, "for watch unless sendInitialEvents"),
               ({"resourceVersionMatch": "Exact", "sendInitialEvents": "true", "watch": "1"}, 'Unsupported value: "Exact"'))
    for options, words in invalid:
        status = api.do("GET", maps + query(**options), code=422)
        assert words in status["message"] and status["reason"] == "Invalid", (options, status)
        assert status["message"].startswith('ListOptions.meta.k8s.io "" is invalid'), status
    for options in ({"resourceVersion": "x"}, {"resourceVersion": "-1"}, {"limit": "x"}, {"timeoutSeconds": "x"},
                    {"watch": "1", "resourceVersion": "x"}, {"watch": "1", "timeoutSeconds": "x"},
                    {"continue": "zzz", "resourceVersion": str(now)}):
        assert api.do("GET", maps + query(**options), code=400)["reason"] == "BadRequest", options
    for path in ("", "/one"):
        status = api.do("GET", f"{maps}{path}?resourceVersion={now + 1000}", code=504)
        assert status["reason"] == "Timeout" and status["details"]["retryAfterSeconds"] == 1, status
        assert status["details"]["causes"][0] == {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        assert status["message"] == f"Too large resource version: {now + 1000}, current: {now}", status
    api.do("GET", f"{maps}?resourceVersion={now + 1000}&resourceVersionMatch=Exact", code=504)
    assert rev(api.do("GET", f"{maps}/one?resourceVersion={now}")) == now
    api.do("GET", f"{maps}/one?resourceVersion=0")
    api.do("GET", f"{maps}/one?resourceVersion=x", code=400)


def test_exact(api):
    maps = space(api, "exact")
    then = rev(make(api, maps, "a", size=1))
    make(api, maps, "b")
    api.patch(maps + "/a", {"data": {"x": "changed"}})
    now = rev(api.do("DELETE", maps + "/b", {"propagationPolicy": "Background"}) and api.do("GET", maps))
    for options in ({"resourceVersionMatch": "Exact"}, {"limit": "5"}):
        page = api.do("GET", maps + query(resourceVersion=then, **options))
        assert names(page) == ["a"] and page["items"][0]["data"]["x"] == "y" and rev(page) == then, page
    for options in ({"resourceVersionMatch": "NotOlderThan"}, {}):
        page = api.do("GET", maps + query(resourceVersion=then, **options))
        assert page["items"][0]["data"]["x"] == "changed" and rev(page) == now, page


def test_chunks(api):
    """All pages show the state of the first, whatever happens meanwhile, in the order of keys."""
    random.seed(7)
    maps = space(api, "chunks")
    want = sorted(f"{random.choice('abc')}{i}{random.choice(('', '-x', '.y'))}" for i in range(40))
    for name in want:
        make(api, maps, name, {"odd": str(len(name) % 2)})
    present, fresh = set(want), 0
    for limit in (1, 7, 39, 40, 41):
        then = {o["metadata"]["name"]: o["data"]["x"] for o in api.do("GET", maps)["items"]}
        got, where, first = [], "", None
        while where is not None:
            page = api.do("GET", maps + query(limit=limit, **({"continue": where} if where else {})))
            first = first or rev(page)
            assert rev(page) == first
            got += [(o["metadata"]["name"], o["data"]["x"]) for o in page["items"]]
            where = page["metadata"].get("continue")
            if not where:
                assert "remainingItemCount" not in page["metadata"]
                break
            assert len(page["items"]) == limit and page["metadata"]["remainingItemCount"] == len(then) - len(got)
            victim = random.choice(sorted(present))
            api.do("DELETE", f"{maps}/{victim}")
            present.remove(victim)
            api.patch(f"{maps}/{random.choice(sorted(present))}", {"data": {"x": str(random.random())}})
            fresh += 1
            present.add(f"{random.choice('abc')}-new{fresh}")
            make(api, maps, *(present - set(names(api.do("GET", maps)))), {"odd": "1"})
        assert got == sorted(then.items()), (limit, got, then)
    page = api.do("GET", maps + "?limit=2&labelSelector=odd%3D1")
    assert page["metadata"]["continue"] and "remainingItemCount" not in page["metadata"]
    page = api.do("GET", maps + "?limit=2&fieldSelector=metadata.namespace%3Dchunks")
    assert page["metadata"]["continue"] and "remainingItemCount" not in page["metadata"]


def test_tokens(api):
    maps = space(api, "tokens")
    make(api, maps, "one")
    now = rev(make(api, maps, "two"))
    good = api.do("GET", maps + "?limit=1")["metadata"]["continue"]
    assert names(api.do("GET", maps + query(**{"continue": good}))) == ["two"]
    assert names(api.do("GET", maps + query(**{"continue": good, "resourceVersion": "0"}))) == ["two"]
    bad = ["zzz", "%", good[:-5], good + "A", token(), token(v="x", rv=now, start="a"), token(v="meta.k8s.io/v1", rv=0, start="a"),
           token(v="meta.k8s.io/v1", rv=now, start=""), token(v="meta.k8s.io/v1", rv="1", start="a"),
           token(v="meta.k8s.io/v1", rv=now), base64.urlsafe_b64encode(b"[1]").decode(), base64.urlsafe_b64encode(b"\0").decode()]
    for text in bad:
        status = api.do("GET", maps + query(**{"continue": text}), code=400)
        assert "continue key is not valid" in status["message"], (text, status)
    api.do("GET", maps + query(**{"continue": token(v="meta.k8s.io/v1", rv=now + 1000, start="a")}), code=504)
    for start in ("../other/x", "/", "zzz"):  # cannot lead out of the collection
        page = api.do("GET", maps + query(**{"continue": token(v="meta.k8s.io/v1", rv=now, start=start)}))
        assert set(names(page)) <= {"one", "two"}


def test_compaction(api):
    maps = space(api, "compaction")
    for name in ("a", "b", "c", "d"):
        make(api, maps, name)
    first = api.do("GET", maps + "?limit=2")
    churn(api, maps)
    make(api, maps, "c1")
    status = api.do("GET", maps + query(limit=2, **{"continue": first["metadata"]["continue"]}), code=410)
    assert status["reason"] == "Expired" and status["message"].startswith("The provided continue parameter is too old"), status
    assert "inconsistent list" in status["message"]
    page = api.do("GET", maps + query(limit=2, **{"continue": status["metadata"]["continue"]}))
    assert names(page) == ["c", "c1"] and rev(page) > rev(first)
    make(api, maps, "e")
    last = api.do("GET", maps + query(limit=2, **{"continue": page["metadata"]["continue"]}))
    assert names(last) == ["d"] and rev(last) == rev(page), "from there on the pages are of one state again"
    status = api.do("GET", maps + query(resourceVersion=rev(first), resourceVersionMatch="Exact"), code=410)
    assert status["reason"] == "Expired" and status["message"] == "The resourceVersion for the provided list is too old."
    events = list(api.watch(maps + query(watch=1, resourceVersion=rev(first))))
    assert len(events) == 1 and events[0]["type"] == "ERROR", events
    gone = events[0]["object"]
    assert gone["kind"] == "Status" and gone["code"] == 410 and gone["reason"] == "Expired", gone
    assert gone["message"].startswith(f"too old resource version: {rev(first)} ("), gone
    r, data = api.raw("GET", maps + query(watch=1, resourceVersion=rev(first)),
                      headers={"accept": "application/vnd.kubernetes.protobuf"})
    assert r.headers["content-type"] == "application/vnd.kubernetes.protobuf;stream=watch"
    assert struct.unpack(">I", data[:4])[0] == len(data) - 4 and b"ERROR" in data and b"Expired" in data


def test_selectable_fields(api):
    """Every kind's fields, from the requests that upstream's clients make."""
    known = {"pods": "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName spec.hostNetwork status.phase "
                     "status.podIP status.podIPs status.nominatedNodeName metadata.namespace",
             "nodes": "spec.unschedulable", "namespaces": "status.phase", "secrets": "type metadata.namespace",
             "services": "spec.clusterIP spec.type", "replicationcontrollers": "status.replicas",
             "events": "involvedObject.kind involvedObject.namespace involvedObject.name involvedObject.uid "
                       "involvedObject.apiVersion involvedObject.resourceVersion involvedObject.fieldPath reason "
                       "reportingComponent source type"}
    for plural, fields in known.items():
        for field in fields.split() + ["metadata.name"]:
            api.do("GET", f"/api/v1/{plural}?fieldSelector={field}%3Dx")
            api.do("GET", f"/api/v1/{plural}?fieldSelector={field}!%3Dx,metadata.name%3D%3Dy")
        status = api.do("GET", f"/api/v1/{plural}?fieldSelector=spec.other%3Dx", code=400)
        assert status["message"] == "field label not supported: spec.other", status
        api.do("GET", f"/api/v1/{plural}?watch=1&fieldSelector=spec.other%3Dx", code=400)
    api.do("GET", "/apis/apps/v1/replicasets?fieldSelector=status.replicas%3D0")
    api.do("GET", "/apis/batch/v1/jobs?fieldSelector=status.successful%3D0")
    api.do("GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests?fieldSelector=spec.signerName%3Dx")
    status = api.do("GET", "/apis/batch/v1/jobs?fieldSelector=spec.x%3D0", code=400)
    assert status["message"] == 'field label "spec.x" not supported for batchv1.Job', status
    status = api.do("GET", "/apis/apps/v1/deployments?fieldSelector=status.replicas%3D0", code=400)
    assert status["message"] == ('"status.replicas" is not a known field selector: only "metadata.name", '
                                 '"metadata.namespace"'), status
    api.do("GET", "/api/v1/nodes?fieldSelector=metadata.namespace%3Dx", code=400)
    for text in ("status.phase", "status.phase%3Da%3Db", "status.phase%3D%5Cx"):
        api.do("GET", f"/api/v1/pods?fieldSelector={text}", code=400)


def test_watch_begins(api):
    maps = space(api, "begins")
    old = rev(make(api, maps, "a"))
    make(api, maps, "b")
    newest = {"resourceVersionMatch": "NotOlderThan", "resourceVersion": old}
    both = ({}, {"resourceVersion": ""}, {"resourceVersion": "0"}, {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
            {"sendInitialEvents": "true", **newest}, {"sendInitialEvents": "", **newest})  # a parameter without a value is true
    later = ({"resourceVersion": old}, {"sendInitialEvents": "false", **newest})
    all_options = both + later
    for options, events in zip(all_options, all_events(api, *(maps + query(watch="true", timeoutSeconds=1, **o) for o in all_options))):
        want = [("ADDED", "b")] if options in later else [("ADDED", "a"), ("ADDED", "b")]
        assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == want, (options, events)
    api.do("GET", maps + query(watch=1, resourceVersion=10 ** 9), code=504)
    events = list(api.watch(maps + query(watch=1, timeoutSeconds=1, allowWatchBookmarks="true", sendInitialEvents="true",
                                         resourceVersionMatch="NotOlderThan")))
    assert [e["type"] for e in events] == ["ADDED", "ADDED", "BOOKMARK"], events
    mark = events[2]["object"]
    assert mark["kind"] == "ConfigMap" and mark["apiVersion"] == "v1" and rev(mark) >= rev(events[1]["object"])
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert list(mark) == ["kind", "apiVersion", "metadata"]


def test_bookmark_at_the_end(api):
    maps, other = space(api, "marks"), space(api, "marks-other")
    start = rev(make(api, maps, "a"))
    events = api.watch(maps + query(watch=1, timeoutSeconds=1, allowWatchBookmarks=1, resourceVersion=start))
    last = rev(make(api, other, "b"))
    got = list(events)
    assert [e["type"] for e in got] == ["BOOKMARK"] and rev(got[0]["object"]) == last, got
    got = list(api.watch(maps + query(watch=1, timeoutSeconds=1, resourceVersion=start)))
    assert got == [], "nobody asked for bookmarks"


def test_names(api):
    maps = space(api, "names")
    make(api, maps, "a")
    make(api, maps, "b")
    paths = (f"/api/v1/watch/namespaces/names/configmaps/a{query(timeoutSeconds=1)}",
             maps + query(watch=1, fieldSelector="metadata.name=a", timeoutSeconds=1),
             f"/api/v1/watch/namespaces/names/configmaps{query(fieldSelector='metadata.name=a', timeoutSeconds=1)}",
             f"/api/v1/watch/namespaces/names/configmaps/a{query(fieldSelector='metadata.name=a', timeoutSeconds=1)}",
             "/api/v1/configmaps" + query(watch=1, fieldSelector="metadata.name=a,metadata.namespace=names", timeoutSeconds=1))
    for path, events in zip(paths, all_events(api, *paths)):
        assert [e["object"]["metadata"]["name"] for e in events] == ["a"], (path, events)
    status = api.do("GET", "/api/v1/watch/namespaces/names/configmaps/a?fieldSelector=metadata.name%3Db", code=400)
    assert status["message"] == "fieldSelector metadata.name doesn't match requested name"
    maps, spaces, one = all_events(api, *(f"/api/v1/watch/namespaces{p}?timeoutSeconds=1" for p in ("/names/configmaps", "", "/names")))
    assert len(maps) == 2 and any(e["object"]["metadata"]["name"] == "names" for e in spaces)
    assert [e["object"]["metadata"]["name"] for e in one] == ["names"]


def test_forms(api):
    maps = space(api, "watchforms")
    made = make(api, maps, "a", {"in": "1"})
    api.patch(maps + "/a", {"metadata": {"labels": {"in": "2"}}})
    path = maps + query(watch=1, timeoutSeconds=1, resourceVersion=rev(made) - 1, labelSelector="in=1", allowWatchBookmarks=1)

    def events(accept):
        r, data = api.raw("GET", path, headers={"accept": accept})
        assert r.status == 200, data
        return [json.loads(line) for line in data.splitlines()]
    table = events("application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [e["type"] for e in table] == ["ADDED", "DELETED"], table
    assert all(e["object"]["kind"] == "Table" and len(e["object"]["rows"]) == 1 for e in table)
    assert table[0]["object"]["columnDefinitions"] and not table[1]["object"].get("columnDefinitions")
    assert rev(table[1]["object"]["rows"][0]["object"]) == rev(made) + 1
    partial = events("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    assert [e["object"]["kind"] for e in partial] == ["PartialObjectMetadata"] * 2
    left = partial[1]["object"]["metadata"]
    assert left["labels"] == {"in": "1"} and left["resourceVersion"] == str(rev(made) + 1), "the state it left in, the revision it left at"
    r, data = api.raw("GET", path, headers={"accept": "application/vnd.kubernetes.protobuf"})
    frames = []
    while data:
        size = struct.unpack(">I", data[:4])[0]
        frames.append(data[4:4 + size])
        data = data[4 + size:]
    assert len(frames) == 2 and b"ADDED" in frames[0] and b"DELETED" in frames[1] and all(b"k8s\0" in f for f in frames)


def test_same_order(api):
    """Many watches, begun at any time, with any selector, see what follows from the history, in one order."""
    seed = int(os.environ.get("SEED", "1"))
    print("seed", seed)
    rand = random.Random(seed)
    spaces = [space(api, "order-a"), space(api, "order-b")]
    history, now = [], {}  # (rev, key, labels before or None, labels after or None)
    watches = []

    def step():
        maps = rand.choice(spaces)
        name = f"m{rand.randrange(6)}"
        key, labels = (maps, name), {"l": rand.choice(LABELS)}
        before = now.get(key)
        if before is None:
            o = make(api, maps, name, labels)
        elif rand.random() < 0.3:
            o = None
            api.do("DELETE", f"{maps}/{name}")
        else:
            o = api.patch(f"{maps}/{name}", {"metadata": {"labels": labels}, "data": {"x": str(rand.random())}})
        now[key] = labels if o else None
        history.append((rev(o) if o else None, key, before, now[key]))

    def begin():
        where = rand.choice(spaces + ["/api/v1/configmaps"])
        label = rand.choice((None,) + LABELS)
        known = [h[0] for h in history if h[0]]
        options = {"watch": 1, "timeoutSeconds": 4}
        start = len(history)
        if known and rand.random() < 0.6:
            at = rand.choice(known)
            start = next(i for i, h in enumerate(history) if h[0] == at) + 1
            options["resourceVersion"] = at
        initial = "resourceVersion" not in options
        if label:
            options["labelSelector"] = f"l={label}" if rand.random() < 0.7 else f"l notin (x),l in ({label})"
        got = []
        events = api.watch(where + query(**options))
        thread = threading.Thread(target=lambda: got.extend(events))
        thread.start()
        state = {k: v for k, v in now.items() if v} if initial else None
        watches.append((where, label, start, state, got, thread))

    for _ in range(60):
        step()
    for _ in range(40):
        begin()
        for _ in range(rand.randrange(4)):
            step()
    for where, label, start, state, got, thread in watches:
        thread.join()

        def seen(key, labels):
            return labels is not None and (where == "/api/v1/configmaps" or key[0] == where) and label in (None, labels["l"])
        want = []
        if state is not None:
            want += [("ADDED", *k) for k in sorted(state) if seen(k, state[k])]
        for _, key, before, after in history[start:]:
            was, is_ = seen(key, before), seen(key, after)
            if is_:
                want.append(("MODIFIED" if was else "ADDED", *key))
            elif was:
                want.append(("DELETED", *key))
        mine = [e for e in got if e["object"]["metadata"].get("namespace", "").startswith("order-")]
        have = [(e["type"], CORE + e["object"]["metadata"]["namespace"] + "/configmaps", e["object"]["metadata"]["name"]) for e in mine]
        assert have == want, (seed, where, label, start, state is not None, have, want)
        revisions = [rev(e["object"]) for e in mine if state is None]
        assert revisions == sorted(set(revisions)), "each change once, in order"


def slow_watch(api, path, size=4096):
    """A watch whose reader takes nothing until it is told to."""
    host, port = api.address.split(":")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    s.settimeout(base.WATCH_S)
    s.connect((host, int(port)))
    s.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    return s


def read_all(s):
    r = http.client.HTTPResponse(s)
    r.begin()
    return [json.loads(line) for line in iter(r.readline, b"")]


def test_slow_reader(api):
    """Beyond its queue it goes on from the window, losing nothing; beyond the window it is told to list again."""
    maps = space(api, "slow")
    start = rev(make(api, maps, "a"))
    s = slow_watch(api, maps + query(watch=1, resourceVersion=start, timeoutSeconds=3))
    made = [rev(api.patch(maps + "/a", {"data": {"x": str(i) * 30000}})) for i in range(100)]  # 3 MB: more than queue and sockets hold
    got = read_all(s)
    assert [rev(e["object"]) for e in got] == made, (len(got), len(made))
    s = slow_watch(api, maps + query(watch=1, resourceVersion=made[-1]))
    more = [rev(api.patch(maps + "/a", {"data": {"x": str(i) * 250000}})) for i in range(60)]  # 15 MB: the window moves on
    got = read_all(s)
    assert got[-1]["type"] == "ERROR" and got[-1]["object"]["code"] == 410, got[-1]
    seen = [rev(e["object"]) for e in got[:-1]]
    assert seen == more[:len(seen)] and len(seen) < len(more), "no gap before the error"


def test_slow_reader_of_initial_events(api):
    maps = space(api, "slowlist")
    want = [rev(make(api, maps, f"m{i:02}", size=100000)) for i in range(40)]  # 4 MB
    s = slow_watch(api, maps + query(watch=1, timeoutSeconds=3, allowWatchBookmarks=1, sendInitialEvents="true",
                                     resourceVersionMatch="NotOlderThan"))
    changed = rev(api.patch(maps + "/m39", {"data": {"x": "new"}}))
    got = read_all(s)
    assert [e["type"] for e in got] == ["ADDED"] * 40 + ["BOOKMARK", "MODIFIED"], [e["type"] for e in got]
    assert [rev(e["object"]) for e in got] == want + [want[-1], changed], "one state first, then what happened since"


def test_disconnect_anywhere(api):
    """A client that goes away at any byte of a watch or list costs only itself."""
    maps = space(api, "bye")
    for i in range(20):
        make(api, maps, f"m{i}", size=20000)
    random.seed(3)
    for path in (maps + query(watch=1), maps, maps + query(limit=3)):
        for _ in range(25):
            s = slow_watch(api, path)
            for left in range(random.choice((0, 1, 3))):
                s.recv(random.randrange(1, 30000))
            if random.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # by a reset
            s.close()
            api.patch(f"{maps}/m{random.randrange(20)}", {"data": {"y": str(random.random())}})
    assert len(api.do("GET", maps)["items"]) == 20


def web_socket(api, path, **headers):
    s = slow_watch(api, "/none", 65536)
    s.close()
    host, port = api.address.split(":")
    s = socket.create_connection((host, int(port)), base.WATCH_S)
    head = {"host": "x", "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(b"0" * 16).decode(), **headers}
    s.sendall(f"GET {path} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in head.items()) + b"\r\n")
    f = s.makefile("rb")
    status = f.readline().split()[1]
    while f.readline().strip():
        pass
    return status, s, f


def messages(f):
    while True:
        head = f.read(2)
        size = head[1] & 127
        if size == 126:
            size = struct.unpack(">H", f.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", f.read(8))[0]
        yield head[0] & 15, f.read(size)


def test_websocket(api):
    maps = space(api, "sockets")
    make(api, maps, "a", size=70000)
    status, s, f = web_socket(api, maps + query(watch=1, timeoutSeconds=1))
    assert status == b"101", status
    got = messages(f)
    code, data = next(got)
    assert code == 1 and json.loads(data)["object"]["metadata"]["name"] == "a"
    make(api, maps, "b")
    code, data = next(got)
    event = json.loads(data)
    assert code == 1 and event["type"] == "ADDED" and event["object"]["metadata"]["name"] == "b"
    code, data = next(got)
    assert code == 8, "closed by its timeout"
    s.close()
    status, s, f = web_socket(api, maps + query(watch=1, timeoutSeconds=1), accept="application/vnd.kubernetes.protobuf")
    code, data = next(messages(f))
    assert code == 2 and b"ADDED" in data[:16] and b"k8s\0" in data[:64], data[:64]
    s.close()
    status, s, f = web_socket(api, maps + query(watch=1, resourceVersion="x"))
    assert status == b"400", status
    s.close()
    for i in range(20):  # gone without a word
        status, s, f = web_socket(api, maps + query(watch=1))
        assert status == b"101"
        s.close()
    api.patch(maps + "/b", {"data": {"y": "1"}})


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
