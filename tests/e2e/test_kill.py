# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the server at random moments under load: what was acknowledged is there, whole, and watchers miss nothing.

PROA_KILLS says how often (100). Each object has one writer, so that its state is known but for a write whose answer was
lost: then it is the one before or the one after, nothing between. The clients log acknowledgements with fsync, as
somebody would who relies on them.
"""
import base64
import hashlib
import os
import random
import threading

from harness import expect
from rest import LOST, Server

KILLS = int(os.environ.get("PROA_KILLS", "100"))
WRITERS = 6
OBJECTS = 8  # of each writer
ACKS_BETWEEN = 150  # at most, between two kills
NS = "kill-test"
MAPS = f"/api/v1/namespaces/{NS}/secrets"  # nobody else makes any there
make = Server
RESTART_S = 60


def body(name, n):
    text = str(n) * (n % 500 + 1)  # of many sizes, so that a torn write would show
    return {"metadata": {"name": name}, "stringData": {"n": str(n), "text": text, "sum": hashlib.sha256(text.encode()).hexdigest()}}


def number(obj):
    """The number that was written; raises when the object is not whole."""
    data = {key: base64.b64decode(value).decode() for key, value in obj["data"].items()}
    expect(hashlib.sha256(data["text"].encode()).hexdigest() == data["sum"] and data["text"].startswith(data["n"]),
           f"half a write: {obj['metadata']}")
    return int(data["n"])


class Load:
    """What writers, watcher and killer share."""

    def __init__(self, server):
        self.server = server
        self.changed = threading.Condition()
        self.acks, self.top, self.stop, self.up, self.errors = 0, 0, False, True, []

    def client(self):
        return self.server.admin()

    def acknowledged(self, revision):
        with self.changed:
            self.acks += 1
            self.top = max(self.top, revision)
            self.changed.notify_all()

    def fail(self, error):
        with self.changed:
            self.errors.append(error)
            self.stop = True
            self.changed.notify_all()

    def wait_up(self):
        with self.changed:
            self.changed.wait_for(lambda: self.up or self.stop, RESTART_S)


class Writer(threading.Thread):
    def __init__(self, load, number_, seed):
        super().__init__(daemon=True)
        self.load, self.random, self.client = load, random.Random(seed), load.client()
        self.names = [f"w{number_}-{i}" for i in range(OBJECTS)]
        self.state = {}  # name → number that is acknowledged
        self.done = []   # (revision or None for deletes, name, number): acknowledged writes
        self.count, self.lost = 0, 0
        self.log = open(load.server.dir / f"acks-{number_}", "w")

    def run(self):
        try:
            while not self.load.stop:
                self.step()
        except Exception as error:  # told by the test
            self.load.fail(error)

    def step(self):
        name = self.random.choice(self.names)
        if self.random.random() < 0.1 and self.read(name):
            return
        self.count += 1
        n, old, floor = self.count, self.state.get(name), self.load.top
        delete = old is not None and self.random.random() < 0.25
        try:
            if delete:
                answer = self.client.do("DELETE", f"{MAPS}/{name}")
            elif old is None:
                answer = self.client.do("POST", MAPS, body(name, n))
            else:
                answer = self.client.do("PUT", f"{MAPS}/{name}", body(name, n))
        except LOST:
            self.settle(name, old, None if delete else n)
            for other in self.names:
                self.read(other)
            return
        expect(answer.code in (200, 201), f"{name}: {answer.code} {answer.data[:300]}")
        revision = floor if delete else int(answer.json["metadata"]["resourceVersion"])
        expect(delete or revision > floor, f"revision {revision} after {floor} had been told")
        self.record(name, None if delete else n, None if delete else revision)
        self.load.acknowledged(revision)

    def read(self, name):
        """Compares what is stored with what was acknowledged; False when the server went away."""
        try:
            answer = self.client.do("GET", f"{MAPS}/{name}")
        except LOST:
            return False
        expect(answer.code in (200, 404), f"GET {name}: {answer.code} {answer.data[:300]}")
        got = number(answer.json) if answer.code == 200 else None
        expect(got == self.state.get(name), f"{name} is {got}, acknowledged was {self.state.get(name)}")
        return True

    def record(self, name, n, revision):
        self.state[name] = n
        self.log.write(f"{name} {n} {revision}\n")
        self.log.flush()
        os.fsync(self.log.fileno())
        self.done.append((revision, name, n))

    def settle(self, name, old, new):
        """The answer was lost: asks what became of the write."""
        self.lost += 1
        while not self.load.errors:
            self.load.wait_up()
            try:
                answer = self.client.do("GET", f"{MAPS}/{name}")
            except LOST:
                continue
            expect(answer.code in (200, 404), f"GET {name}: {answer.code} {answer.data[:300]}")
            got = number(answer.json) if answer.code == 200 else None
            expect(got in (old, new), f"{name} is {got}, neither {old} nor {new}")
            self.state[name] = got
            return
        raise AssertionError("stopped before the server was back")


class Watcher(threading.Thread):
    """Follows from the last revision it has seen, over every kill."""

    def __init__(self, load, revision):
        super().__init__(daemon=True)
        self.load, self.revision, self.client = load, revision, load.client()
        self.events, self.resumed, self.stop = [], 0, False

    def run(self):
        try:
            while not self.stop:
                self.load.wait_up()
                try:
                    self.follow()
                except LOST:
                    pass
                self.client.close()
                self.resumed += 1
        except Exception as error:  # told by the test
            self.load.fail(error)

    def follow(self):
        for event in self.client.watch(f"{MAPS}?watch=true&resourceVersion={self.revision}"):
            expect(event["type"] in ("ADDED", "MODIFIED", "DELETED"), f"the watch from {self.revision} says {event}")
            meta = event["object"]["metadata"]
            revision = int(meta["resourceVersion"])
            expect(revision > self.revision, f"{event['type']} {meta['name']} at {revision} after {self.revision}")
            with self.load.changed:
                self.revision = revision
                self.events.append((revision, event["type"], meta["name"], number(event["object"]), meta["uid"]))
                self.load.changed.notify_all()


def check_stored(load, writers):
    """At the end: the list says what was acknowledged."""
    listed = load.client().must(200, "GET", MAPS)
    expect(int(listed["metadata"]["resourceVersion"]) >= load.top, "the revision went back")
    found = {o["metadata"]["name"]: number(o) for o in listed["items"]}
    known = {name: n for w in writers for name, n in w.state.items() if n is not None}
    known["last"] = 1
    expect(found == known, f"stored and acknowledged differ: {set(found.items()) ^ set(known.items())}")


def check_watched(watcher, writers):
    """Each acknowledged write was seen exactly once, and the events alone lead to the state at the end."""
    seen = {revision: (name, n) for revision, kind, name, n, _ in watcher.events if kind != "DELETED"}
    for writer in writers:
        for revision, name, n in writer.done:
            expect(revision is None or seen.get(revision) == (name, n),
                   f"{name} {n} was acknowledged at {revision}, and the watch said {seen.get(revision)}")
    state = {}
    for _, kind, name, n, uid in watcher.events:
        expect((kind == "ADDED") == (name not in state), f"{kind} of {name} does not follow from the events before")
        expect(kind == "ADDED" or state[name][1] == uid, f"{kind} of another {name}")
        if kind == "DELETED":
            del state[name]
        else:
            state[name] = (n, uid)
    known = {name: n for w in writers for name, n in w.state.items() if n is not None}
    expect({name: n for name, (n, _) in state.items()} == known, "the events lead to another state")
    deletes = sum(1 for w in writers for revision, _, n in w.done if n is None)
    watched = sum(1 for e in watcher.events if e[1] == "DELETED")
    expect(deletes <= watched <= deletes + sum(w.lost for w in writers), f"{deletes} deletes, {watched} seen")


def kill_and_start(load):
    with load.changed:
        load.up = False
    load.server.kill()
    load.server.start()
    with load.changed:
        load.up = True
        load.changed.notify_all()


def catch_up(load, watcher):
    """A last write, and the watch until there."""
    last = int(load.client().must(201, "POST", MAPS, body("last", 1))["metadata"]["resourceVersion"])
    with load.changed:
        expect(load.changed.wait_for(lambda: watcher.revision >= last or load.errors, RESTART_S),
               f"the watch stays at {watcher.revision}, the last write was {last}")
    expect(watcher.events.pop()[2] == "last", "the watch tells something after the last write")


def test_nothing_acknowledged_is_lost(server):
    seed = int(os.environ.get("PROA_SEED", str(random.randrange(1 << 30))))
    dice = random.Random(seed)
    load = Load(server)
    load.client().must(201, "POST", "/api/v1/namespaces", {"metadata": {"name": NS}})
    writers = [Writer(load, i, seed + i) for i in range(WRITERS)]
    watcher = Watcher(load, int(load.client().must(200, "GET", MAPS)["metadata"]["resourceVersion"]))
    for thread in [watcher, *writers]:
        thread.start()
    for _ in range(KILLS):
        with load.changed:
            wanted = load.acks + dice.randrange(1, ACKS_BETWEEN)
            expect(load.changed.wait_for(lambda: load.acks >= wanted or load.errors, RESTART_S), "no writes get through")
        if load.errors:
            break
        kill_and_start(load)
    load.stop = True
    for writer in writers:
        writer.join(RESTART_S)
    expect(not load.errors, f"seed {seed}: {load.errors}")
    catch_up(load, watcher)
    watcher.stop = True
    check_stored(load, writers)
    check_watched(watcher, writers)
    print(f"      seed {seed}: {KILLS} kills, {load.acks} acknowledged, {sum(w.lost for w in writers)} answers lost, "
          f"{watcher.resumed} resumes, {len(watcher.events)} events")
