# SPDX-License-Identifier: Apache-2.0
"""No fallback to something weaker: a demand that cannot be met is an error that names it."""
import json
import pathlib
import subprocess

from bundle import expect


def seccomp(default="SCMP_ACT_ALLOW", **more):
    return {"defaultAction": default, "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}], **more}


def rule(default="SCMP_ACT_ALLOW", **more):
    return {"defaultAction": default, "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", **more}]}


NO_SELINUX = not pathlib.Path("/sys/fs/selinux/enforce").exists()
NO_APPARMOR = not pathlib.Path("/sys/module/apparmor").exists()

# Where it is put, what, and the words of the error.
REFUSED = [
    ("linux.seccomp", seccomp("SCMP_ACT_SURPRISE"), ["linux.seccomp", "SCMP_ACT_SURPRISE"]),
    ("linux.seccomp", rule(action="SCMP_ACT_SURPRISE"), ["linux.seccomp", "SCMP_ACT_SURPRISE"]),
    ("linux.seccomp", seccomp(flags=["SECCOMP_FILTER_FLAG_NEW"]), ["linux.seccomp", "SECCOMP_FILTER_FLAG_NEW"]),
    ("linux.seccomp", seccomp(architectures=["SCMP_ARCH_PDP11"]), ["linux.seccomp", "SCMP_ARCH_PDP11"]),
    ("linux.seccomp", rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_LIKE"}]), ["linux.seccomp", "SCMP_CMP_LIKE"]),
    ("linux.seccomp", rule(args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]), ["linux.seccomp", "argument"]),
    ("linux.seccomp", rule(names=["frobnicate"]), ["linux.seccomp", "frobnicate"]),
    ("linux.seccomp", rule(names=["mseal"], args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]), ["linux.seccomp", "mseal"]),
    ("linux.seccomp", rule(action="SCMP_ACT_NOTIFY"), ["linux.seccomp", "listenerPath"]),
    ("linux.seccomp", rule(errnoRet=70000), ["linux.seccomp", "70000"]),
    ("linux.seccomp", rule(action="SCMP_ACT_ALLOW", errnoRet=1), ["linux.seccomp", "errnoRet"]),
    ("linux.namespaces", [{"type": "mount"}, {"type": "feelings"}], ["linux.namespaces", "feelings"]),
    ("linux.namespaces", [{"type": "mount"}, {"type": "mount"}], ["linux.namespaces", "mount"]),
    ("linux.namespaces", [{"type": "mount"}, {"type": "pid", "path": "/proc/self/ns/net"}], ["/proc/self/ns/net", "pid"]),
    ("linux.namespaces", [{"type": "mount"}, {"type": "uts", "path": "/nowhere"}], ["/nowhere"]),
    ("linux.rootfsPropagation", "spread", ["rootfsPropagation", "spread"]),
    ("linux.sysctl", {"net.ipv4.ip_forward\0x": "1"}, ["linux.sysctl", "NUL"]),
    ("annotations", {"a\0b": "1"}, ["annotations", "NUL"]),
    ("process.env", ["A=1\0B=2"], ["process.env", "NUL"]),
    ("linux.personality", {"domain": "LINUX64"}, ["personality", "LINUX64"]),
    ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, ["personality"]),
    ("linux.intelRdt", {"closID": "x"}, ["intelRdt"]),
    ("linux.memoryPolicy", {"mode": "MPOL_NONE", "nodes": "0"}, ["memoryPolicy", "MPOL_NONE"]),
    ("linux.timeOffsets", {"realtime": {"secs": 1}}, ["timeOffsets"]),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], ["uidMappings", "user namespace"]),
    ("linux.cgroupsPath", "/../../x", ["cgroupsPath"]),
    ("linux.cgroupsPath", "/", ["cgroupsPath"]),
    ("linux.resources.unified", {"frob.max": "1"}, ["unified"]),
    ("linux.resources.unified", {"../x.max": "1"}, ["unified"]),
    ("linux.resources.rdma", {"mlx5_0": {"hcaHandles": 1}}, ["rdma"]),
    ("linux.resources.hugepageLimits", [{"pageSize": "3MB", "limit": 1}], ["hugepageLimits"]),
    ("linux.resources.network", {"classID": 1}, ["network.classID"]),
    ("linux.resources.cpu", {"cpus": "4096"}, ["cpu.cpus"]),
    ("linux.resources.blockIO", {"throttleReadBpsDevice": [{"major": 4095, "minor": 1, "rate": 1}]}, ["throttleReadBpsDevice"]),
    ("linux.resources.devices", [{"allow": True, "type": "x"}], ["devices.type"]),
    ("linux.resources.devices", [{"allow": True, "access": "rwx"}], ["devices.access"]),
    ("linux.resources.devices", [{"allow": True, "type": "c", "major": -2}], ["devices", "-1 for all"]),
    ("linux.resources.devices", [{"allow": True, "type": "c", "major": 1, "minor": 2 ** 32}], ["devices", "-1 for all"]),
    ("linux.devices", [{"type": "q", "path": "/dev/q", "major": 1, "minor": 3}], ["/dev/q"]),
    ("linux.devices", [{"type": "c", "path": "/dev/q", "major": 2 ** 32 + 1, "minor": 3}], ["/dev/q", "4294967297:3"]),
    ("linux.devices", [{"type": "c", "path": "/dev/q", "major": 1, "minor": -1}], ["/dev/q", "1:-1"]),
    ("process.rlimits", [{"type": "RLIMIT_JOY", "soft": 1, "hard": 1}], ["rlimits", "RLIMIT_JOY"]),
    ("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}], ["rlimits", "RLIMIT_CORE"]),
    ("process.scheduler", {"policy": "SCHED_NICE"}, ["scheduler", "SCHED_NICE"]),
    ("process.scheduler", {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}, ["scheduler", "SCHED_FLAG_X"]),
    ("process.scheduler", {"policy": "SCHED_OTHER", "nice": 2 ** 32}, ["scheduler.nice", "32 bits"]),
    ("process.scheduler", {"policy": "SCHED_BATCH", "priority": -2 ** 32}, ["scheduler.priority", "32 bits"]),
    ("process.ioPriority", {"class": "IOPRIO_CLASS_X"}, ["ioPriority", "IOPRIO_CLASS_X"]),
    ("process.oomScoreAdj", 1001, ["oomScoreAdj", "1001"]),
    ("process.cwd", "relative", ["process.cwd", "relative"]),
    ("hooks", {"prestart": [{"path": "relative"}]}, ["prestart", "relative"]),
    ("root.path", "/nowhere", ["/nowhere"]),
    ("ociVersion", "2.0.0", ["ociVersion", "2.0.0"]),
] + [("process.apparmorProfile", "docker-default", ["apparmorProfile", "docker-default"])] * NO_APPARMOR \
  + [("process.selinuxLabel", "system_u:system_r:container_t:s0", ["selinuxLabel"]),
     ("linux.mountLabel", "system_u:object_r:container_file_t:s0", ["mountLabel"])] * NO_SELINUX
MOUNTS = [
    ({"type": "tmpfs", "options": ["frobnicate"]}, ["frobnicate"]),
    ({"type": "tmpfs", "options": ["size=much"]}, ["size=much"]),
    ({"type": "frobfs"}, ["frobfs"]),
    ({"type": "tmpfs", "destination": "/", "options": ["tmpcopyup"]}, ["mount at", "tmpcopyup"]),
    ({"type": "tmpfs", "options": ["idmap"]}, ["idmapped"]),
    ({"type": "bind", "source": "/etc", "options": ["tmpcopyup"]}, ["tmpcopyup"]),
    ({"type": "bind", "source": "/nowhere"}, ["/nowhere"]),
    ({"type": "bind", "source": "/etc", "options": ["frobnicate"]}, ["frobnicate"]),
    ({"type": "bind", "source": "/etc", "options": ["size=1k"]}, ["size=1k"]),
    ({"type": "proc", "options": ["hidepid=often"]}, ["hidepid"]),
]


def put(config, path, value):
    *way, last = path.split(".")
    for name in way:
        config = config.setdefault(name, {})
    config[last] = value


def test_refused(o):
    bundle = o.bundle("/bin/true")
    good = json.loads((bundle / "config.json").read_text())
    wrong = []

    def attempt(config, words, what):
        (bundle / "config.json").write_text(json.dumps(config))
        r = o.run(bundle, code=None)
        if r.returncode == 0 or not all(w.lower() in r.stderr.lower() for w in words):
            wrong.append(f"{what}: exit {r.returncode} {r.stderr.strip()!r}, not {words}")
    for path, value, words in REFUSED:
        config = json.loads(json.dumps(good))
        put(config, path, value)
        if path.startswith("linux.namespaces"):
            config["linux"].pop("maskedPaths", None)
            config["mounts"] = []
        attempt(config, words, f"{path} {value}")
    for mount, words in MOUNTS:
        config = json.loads(json.dumps(good))
        config["mounts"].append({"destination": "/mnt", "source": "x", **mount})
        attempt(config, words, f"mount {mount}")
    expect(not wrong, "\n".join(wrong))
    o.clean("after all that")


def test_what_is_only_left_out(o):
    """Of the specification: what gives less than was asked for is a warning."""
    bundle = o.bundle("/bin/grep", "CapEff", "/proc/self/status", change=lambda c: [
        c["process"]["capabilities"][s].append("CAP_FLY") for s in ("bounding", "permitted", "effective")])
    r = o.run(bundle)
    expect(r.stdout.split()[1] == "0000000020000420" and "CAP_FLY" in r.stderr, f"{r}")

    def allow_list(c):
        names = ["execve", "exit_group", "exit", "write", "read", "close", "brk", "mmap", "arch_prctl", "frobnicate", "mseal"]
        c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]}
    o.run(o.bundle("/bin/true", change=allow_list))


def test_newer_calls_are_forbidden(o):
    """Calls that the seccomp library doesn't know, by their number: also through the other architecture's door."""
    probe = o.dir / "base/mseal"
    source = "#include <unistd.h>\n#include <errno.h>\nint main(void) { return syscall(462, 0, 0, 0) < 0 ? errno : 0; }\n"
    r = subprocess.run(["cc", "-static", "-x", "c", "-", "-o", probe], input=source, text=True, capture_output=True)
    expect(r.returncode == 0, r.stderr)

    def deny(c):
        c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                                 "syscalls": [{"names": ["mseal"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]}
    open_ = o.run(o.bundle("/mseal"), code=None).returncode
    expect(open_ != 77, "without the rule")
    o.run(o.bundle("/mseal", change=deny), code=77)
    probe.unlink()
