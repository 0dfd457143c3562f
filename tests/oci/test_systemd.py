# SPDX-License-Identifier: Apache-2.0
"""The systemd cgroup driver, against a peer that answers as the user's service manager does and moves processes itself."""
import contextlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading

from bundle import Skip, expect
from test_commands import groups_of
from test_lifecycle import has_controller


def text(s):
    return struct.pack("<I", len(s)) + s.encode() + b"\0"


def padded(data, n):
    return data + b"\0" * (-len(data) % n)


def message(kind, serial, fields, body):
    head = b""
    for code, signature, value in fields:
        head = padded(head, 8) + bytes([code, 1]) + signature.encode() + b"\0"
        head += struct.pack("<I", value) if signature == "u" else \
            bytes([len(value)]) + value.encode() + b"\0" if signature == "g" else text(value)
    return padded(b"l" + bytes([kind, 0, 1]) + struct.pack("<III", len(body), serial, len(head)) + head, 8) + body


class Manager:
    """Serves one connection after the other. What was called: (member, body)."""

    def __init__(self, o, result="done", run=None):
        self.o, self.result, self.calls = o, result, []
        self.run = run or o.dir / "xdg"
        (self.run / "systemd").mkdir(parents=True, exist_ok=True)
        path = self.run / "systemd/private"
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as stream:
                self.talk(peer, stream)

    def talk(self, peer, stream):
        said = [stream.readline() for _ in range(3)]
        expect(said == [b"\0AUTH EXTERNAL\r\n", b"DATA\r\n", b"BEGIN\r\n"], f"{said}")
        peer.sendall(b"DATA\r\nOK 0123456789abcdef\r\n")
        while head := stream.read(16):
            n, serial, fields = struct.unpack("<III", head[4:])
            names = stream.read((fields + 7) // 8 * 8)
            body = stream.read(n)
            at = names.index(b"\3\1s\0") + 4
            length = struct.unpack("<I", names[at:at + 4])[0]
            self.answer(peer, names[at + 4:at + 4 + length].decode(), serial, body)

    def answer(self, peer, member, serial, body):
        self.calls.append((member, body))
        if member != "StartTransientUnit":
            peer.sendall(message(2, 1, [(5, "u", serial)], b""))
            return
        unit = body[4:body.index(b"\0", 4)].decode()
        at = (body.index(b"PIDs\0") + 5 + 4 + 3) // 4 * 4  # past the signature, at the array
        pid = struct.unpack("<I", body[at + 4:at + 8])[0]
        if self.result == "done":
            group = systemd_hierarchy() / self.o.word / unit
            group.mkdir(parents=True)
            (group / "cgroup.procs").write_text(str(pid))
        job = "/org/freedesktop/systemd1/job/7"
        peer.sendall(message(2, 1, [(5, "u", serial), (8, "g", "o")], text(job)))
        # Another's job, and then ours.
        for path in ("/org/freedesktop/systemd1/job/6", job):
            ended = padded(struct.pack("<I", 7) + text(path), 4)
            ended = padded(ended + text(unit), 4) + text(self.result if path == job else "failed")
            peer.sendall(message(4, 2, [(1, "o", "/org/freedesktop/systemd1"), (3, "s", "JobRemoved"), (8, "g", "uoss")], ended))

    def properties(self, member):
        return next(body for name, body in reversed(self.calls) if name == member)


def systemd_hierarchy():
    for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(path + "/cgroup.procs"):
            return pathlib.Path(path)
    raise Skip("no hierarchy that systemd would use")


def number(body, name):
    at = body.index(name.encode() + b"\0") + len(name) + 1
    expect(body[at:at + 3] == b"\1t\0", f"{name} is a uint64")
    at = (at + 3 + 7) // 8 * 8
    return struct.unpack("<Q", body[at:at + 8])[0]


def test_scope(o):
    manager = Manager(o)
    env = dict(os.environ, XDG_RUNTIME_DIR=str(manager.run))

    def do(*words, **options):
        return o.do("--rootless=true", "--systemd-cgroup", *words, env=env, **options)

    def change(c):
        c["linux"]["cgroupsPath"] = f"{o.word}.slice:judge:one"
        if has_controller("pids"):
            c["linux"]["resources"]["pids"] = {"limit": 20}
    name = o.name()
    do("run", "--detach", "--bundle", o.bundle("/bin/sleep", "1000", change=change), name, capture_output=False, stdin=subprocess.DEVNULL)
    body = manager.properties("StartTransientUnit")
    for word in ("judge-one.scope", "replace", "Slice", f"{o.word}.slice", "Delegate"):
        expect(text(word) in body, word)
    pid = json.loads(do("state", name).stdout)["pid"]
    groups = groups_of(pid)
    moved = {key for key, path in groups.items() if path.endswith("/judge-one.scope")}
    expect(moved & {"", "name=systemd"} and ("pids" in moved or not os.path.exists("/sys/fs/cgroup/pids")), f"{groups}")
    pid_file = o.dir / "pid"
    do("exec", "--detach", "--pid-file", pid_file, name, "/bin/sleep", "1000", capture_output=False)
    expect(groups_of(pid_file.read_text()) == groups, "exec's process joins")
    if has_controller("pids"):
        expect(number(body, "TasksMax") == 20, "the limit")
        do("update", "--pids-limit=30", name)
        expect(number(manager.properties("SetUnitProperties"), "TasksMax") == 30, "the new one")
    do("delete", "--force", name)
    expect(text("judge-one.scope") in manager.properties("StopUnit"), "stopped")
    manager.listener.close()
    os.rmdir(systemd_hierarchy() / o.word)
    o.clean("after the scope")

    failing = Manager(o, "failed")
    r = do("run", "--bundle", o.bundle(change=change), o.name(), code=1)
    expect("ended: failed" in r.stderr, r.stderr)
    failing.listener.close()
    r = do("run", "--bundle", o.bundle(), o.name(), code=1)
    expect("slice:prefix:name" in r.stderr, r.stderr)
    r = do("run", "--bundle", o.bundle(change=change), o.name(), code=1)
    expect("systemd" in r.stderr, r.stderr)
    o.clean("after failures")


def allowed(body):
    """DeviceAllow of a call: what the last of its properties lists."""
    at = body.rindex(b"DeviceAllow\0") + 12
    expect(body[at:at + 7] == b"\5a(ss)\0", "its type")
    at = (at + 7 + 3) // 4 * 4
    n = struct.unpack("<I", body[at:at + 4])[0]
    at = (at + 4 + 7) // 8 * 8
    end, found = at + n, {}
    while at < end:
        pair = []
        at = (at + 7) // 8 * 8
        for _ in range(2):
            at = (at + 3) // 4 * 4
            n = struct.unpack("<I", body[at:at + 4])[0]
            pair.append(body[at + 4:at + 4 + n].decode())
            at += 4 + n + 1
        found[pair[0]] = pair[1]
    return found


@contextlib.contextmanager
def run_directory():
    """A /run of the test's own."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    try:
        yield pathlib.Path("/run")
    finally:
        subprocess.run(["umount", "-l", "/run"], check=True)


def test_devices(o):
    """The system's manager is told of them: it writes its own idea of them when it is reloaded."""
    def rules(*more):
        def change(c):
            c["linux"]["cgroupsPath"] = f"{o.word}.slice:judge:two"
            c["linux"]["resources"]["devices"] = [{"allow": False, "access": "rwm"}, *more]
        return change
    fuse = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}
    for more, policy, has, lacks in (
            ((), "strict", {"char-*": "m", "block-*": "m", "/dev/char/1:3": "rwm", "char-pts": "rwm"}, ["/dev/char/10:229"]),
            ((fuse,), "strict", {"/dev/char/10:229": "rw"}, []),
            ((fuse, {**fuse, "allow": False, "access": "rwm"}), "strict", {}, ["/dev/char/10:229"]),
            (({"allow": True, "type": "c", "major": 1, "access": "r"},), "strict", {"char-mem": "r"}, []),
            (({"allow": True, "type": "b", "major": 987654},), "strict", {}, ["block-987654"]),
            (({"allow": True, "access": "rwm"},), "auto", None, [])):
        with run_directory() as run:
            manager = Manager(o, run=run)
            name = o.name()
            o.do("--systemd-cgroup", "run", "--bundle", o.bundle(change=rules(*more)), name)
            manager.listener.close()
        body = manager.properties("StartTransientUnit")
        expect(text("DevicePolicy") in body and text(policy) in body, f"{more}: {policy}")
        if has is None:
            expect(body.count(text("DeviceAllow")) == 1, "a list that is empty")
            continue
        found = allowed(body)
        expect(has.items() <= found.items() and not set(lacks) & set(found), f"{more}: {found}")
    (systemd_hierarchy() / o.word).rmdir()
    o.clean("after devices")
