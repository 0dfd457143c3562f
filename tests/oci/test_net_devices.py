# SPDX-License-Identifier: Apache-2.0
"""linux.netDevices: interfaces of the host that are moved into a container."""
import contextlib
import json
import os
import subprocess

from bundle import Skip, expect


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True)


@contextlib.contextmanager
def interface(name, *settings):
    if ip("link", "add", name, "type", "veth", "peer", name + "peer").returncode:
        raise Skip("no virtual interfaces")
    try:
        for words in settings:
            expect(ip(*words).returncode == 0, f"ip {words}")
        yield
    finally:
        ip("link", "del", name + "peer")


def devices(**names):
    return lambda c: c["linux"].update(netDevices={old: {"name": new} if new else {} for old, new in names.items()})


def test_moved(o):
    settings = (("link", "set", "proa0", "mtu", "1434", "address", "02:00:00:00:00:77", "up"), ("addr", "add", "10.99.0.7/24", "dev", "proa0"),
                ("addr", "add", "10.99.2.8/24", "dev", "proa0", "scope", "link"),
                ("addr", "add", "10.99.1.9/24", "dev", "proa0", "valid_lft", "3000", "preferred_lft", "3000"))
    if os.path.exists("/proc/sys/net/ipv6/conf/all"):
        settings += (("addr", "add", "2001:db8::7/64", "dev", "proa0", "nodad"),)
    for new, shown in (("", "proa0"), ("inside", "inside"), ("lo%d", "lo0")):
        for user_ns in (False, True):
            def change(c):
                devices(proa0=new)(c)
                if user_ns:
                    c["linux"]["namespaces"].append({"type": "user"})
                    c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
            with interface("proa0", *settings):
                text = o.run(o.bundle("/bin/ip", "addr", "show", "dev", shown, change=change)).stdout
                for word in ("mtu 1434", "02:00:00:00:00:77", "UP", *(w[2] for w in settings if w[2] in ("10.99.0.7/24", "2001:db8::7/64"))):
                    expect(word in text, f"{new}: {word} is not in {text}")
                expect("10.99.2.8" not in text and "10.99.1.9" not in text, f"what others gave it stays away: {text}")
                expect(ip("link", "show", "proa0").returncode, "it is on the host no more")


def test_hooks_see_them(o):
    """It is there when createRuntime hooks run, which set up the rest of the network."""
    (o.dir / "hook").write_text(f"#!/bin/sh\npid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/')\nnsenter -t $pid -n ip link show inside > {o.dir}/seen 2>&1\n")
    (o.dir / "hook").chmod(0o755)

    def change(c):
        devices(proa0="inside")(c)
        c["hooks"] = {"createRuntime": [{"path": str(o.dir / "hook")}]}
    with interface("proa0"):
        o.run(o.bundle(change=change))
    expect("inside@" in (o.dir / "seen").read_text(), (o.dir / "seen").read_text())


def test_what_cannot_be_moved(o):
    o.refused(o.bundle(change=devices(absent="")), "netDevices", "absent", "no such device")
    with interface("proa0"):
        for bad in ("a/b", "a:b", "a b", "..", "sixteen-letters-"):
            o.refused(o.bundle(change=devices(proa0=bad)), "not a name of an interface")
        o.refused(o.bundle(change=devices(proa0="lo")), "proa0", "lo", "exists")

        def without(c):
            devices(proa0="")(c)
            c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "network"]
        o.refused(o.bundle(change=without), "netDevices needs a namespace")
        expect(ip("link", "show", "proa0").returncode == 0, "it is still the host's")
    features = json.loads(o.do("features").stdout)
    expect(features["linux"]["netDevices"]["enabled"], "features")
