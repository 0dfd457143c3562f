# SPDX-License-Identifier: Apache-2.0
"""What runc and crun have beyond the specification, and their drivers use."""
import array
import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import subprocess

from bundle import Skip, expect
from test_lifecycle import has_controller


@contextlib.contextmanager
def running(o, *args, change=None, **options):
    name = o.name()
    o.do("run", "--detach", "--bundle", o.bundle(*(args or ("/bin/sleep", "1000")), change=change), name,
         stdin=subprocess.DEVNULL, capture_output=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield name
    finally:
        o.do("delete", "--force", name)


def received(listener):
    """The descriptor and text that come over the next connection."""
    peer, _ = listener.accept()
    with peer:
        text, control, _, _ = peer.recvmsg(64, socket.CMSG_SPACE(4))
        expect(control, f"no descriptor with {text}")
        return array.array("i", control[0][2])[0], text


def groups_of(pid):
    """Controllers to path."""
    lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}


def test_pidfd_socket(o):
    path = o.dir / "pidfd.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        name, pid_file = o.name(), o.dir / "pid"
        o.do("create", "--bundle", o.bundle("/bin/sleep", "1000"), "--pidfd-socket", path, name, stdin=subprocess.DEVNULL,
             capture_output=False)
        first, text = received(listener)
        expect(text == b"pidfd", f"{text}")
        o.do("start", name)
        o.do("exec", "--detach", "--pidfd-socket", path, "--pid-file", pid_file, name, "/bin/sleep", "1000", capture_output=False)
        more, _ = received(listener)
        signal.pidfd_send_signal(more, signal.SIGKILL)
        expect(select.select([more], [], [], 10)[0], "exec's process ends")
        signal.pidfd_send_signal(first, signal.SIGKILL)
        expect(select.select([first], [], [], 10)[0], "the container ends")
        os.close(first)
        os.close(more)
    o.do("delete", name)
    expect("pidfd socket" in o.do("run", "--pidfd-socket", o.dir / "absent", "--bundle", o.bundle(), o.name(), code=1).stderr, "named")
    o.clean("after pidfds")


def test_exec_below_the_group(o):
    with running(o) as name:
        pid = json.loads(o.do("state", name).stdout)["pid"]
        own = groups_of(pid)
        mounts = [line.split() for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        found = {}  # controllers ("" is v2) to the group's directory
        for m in mounts:
            kind, options = m[m.index("-") + 1], m[-1].split(",")
            for key, path in own.items():
                if (kind == "cgroup2" and not key) or (kind == "cgroup" and key and key.split(",")[0] in options):
                    found[key] = pathlib.Path(m[4] + path)
        found = {k: p for k, p in found.items() if p.is_dir()}  # less what something else is mounted over
        key = next((k for k in ("pids", "freezer") if k in found), "")
        (found[key] / "below").mkdir()

        def groups(*flags):
            pid_file = o.dir / "pid"
            o.do("exec", "--detach", *flags, "--pid-file", pid_file, name, "/bin/sleep", "1000", capture_output=False)
            return groups_of(pid_file.read_text())
        expect(groups("--cgroup=below") == {**own, key: own[key] + "/below"}, "only where there is one")
        if key:
            expect(groups(f"--cgroup={key}:below") == {**own, key: own[key] + "/below"}, "of one controller")
            for bad in ("nothing:below", f"{key},{key}:below", f"{key}:absent"):
                o.do("exec", f"--cgroup={bad}", name, "/bin/true", code=255)
        expect(groups("--cgroup=/") == {k: v + "/" if v != own[k] else v for k, v in own.items()}, "its own")
        for bad in ("absent", "../x", "below/../../.."):
            expect("--cgroup" in o.do("exec", "--cgroup", bad, name, "/bin/true", code=255).stderr, bad)
    o.clean("after exec below")


def test_preserved_descriptors_with_holes(o):
    read, write = os.pipe()
    os.dup2(write, 7)
    bundle = o.bundle("/bin/sh", "-c", "ls /proc/self/fd; echo through >&7")
    r = o.do("run", "--preserve-fds=10", "--bundle", bundle, o.name(), pass_fds=[7])
    expect(r.stdout.split()[:4] == ["0", "1", "2", "3"] and "7" in r.stdout.split() and len(r.stdout.split()) == 5,
           f"only what was given, and ls's own: {r.stdout}")
    expect(os.read(read, 100) == b"through\n", "it is the one")
    for fd in (read, write, 7):
        os.close(fd)


def test_update_from_standard_input(o):
    if not has_controller("pids"):
        raise Skip("no pids controller")
    with running(o) as name:
        o.do("update", "--resources=-", name, input=json.dumps({"pids": {"limit": 55}}))
        expect(json.loads(o.do("events", "--stats", name).stdout)["data"]["pids"]["limit"] == 55, "the limit")
        r = o.do("update", "--resources=-", name, input=json.dumps({"pids": {"limit": "many"}}), code=1)
        expect("pids.limit" in r.stderr, f"{r.stderr}")


def test_capabilities_of_exec(o):
    def change(c):
        c["process"]["capabilities"] = {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
                                        "inheritable": ["CAP_CHOWN"], "ambient": []}
    with running(o, change=change) as name:
        status = o.do("exec", "--cap=CAP_CHOWN", name, "/bin/grep", "^Cap", "/proc/self/status").stdout.split()
        expect(status == ["CapInh:", f"{1:016x}", "CapPrm:", f"{0x21:016x}", "CapEff:", f"{0x21:016x}", "CapBnd:", f"{0x21:016x}",
                          "CapAmb:", f"{1:016x}"], f"{status}")

    def unraised(c):
        c["process"]["capabilities"].update(ambient=["CAP_CHOWN"], inheritable=["CAP_KILL"])
    expect("ambient capability CAP_CHOWN" in o.run(o.bundle(change=unraised)).stderr, "a warning")

    def more(c):
        c["process"]["capabilities"].update(ambient=["CAP_CHOWN", "CAP_FOWNER", "CAP_KILL"], inheritable=["CAP_KILL"])
    warned = o.run(o.bundle(change=more)).stderr
    expect("CAP_CHOWN, CAP_FOWNER" in warned and warned.count("\n") == 1, f"one line for all: {warned}")

    def as_buildah(c):
        more(c)
        c["process"]["capabilities"]["inheritable"] = []
    expect(o.run(o.bundle(change=as_buildah)).stderr == "", "what a driver says of every container is no warning")


def test_a_directory_as_the_command(o):
    """podman tells that it is permission that is missing by these words, and ends with 126."""
    expect('exec: "/etc": permission denied' in o.run(o.bundle("/etc"), code=1).stderr, "the message")


def test_groups_in_use(o):
    path = f"/{o.word}/shared"
    with running(o, change=lambda c: c["linux"].update(cgroupsPath=path)) as name:
        r = o.run(o.bundle(change=lambda c: c["linux"].update(cgroupsPath=path)), code=1)
        expect("not empty" in r.stderr, f"{r.stderr}")
        expect(json.loads(o.do("state", name).stdout)["status"] == "running", "the other one isn't harmed")
    o.clean("after groups in use")


def freezers():
    """Group directories to be, one for each freezer there is: (directory, file, frozen, thawed)."""
    top = pathlib.Path("/sys/fs/cgroup")
    found = [(top / "freezer", "freezer.state", "FROZEN", "THAWED")] if (top / "freezer/cgroup.procs").exists() else []
    return found + [(at, "cgroup.freeze", "1", "0") for at in (top, top / "unified") if (at / "cgroup.controllers").exists()]


def test_frozen_groups(o):
    """A new container in a group that is frozen, by whichever freezer, itself or above, would hang: it is refused."""
    for at, file, frozen, thawed in freezers():
        outer = at / o.word / "frozen"
        (outer / "inner").mkdir(parents=True)
        (outer / file).write_text(frozen)
        try:
            for path in ("frozen", "frozen/inner", "frozen/new/below"):
                r = o.run(o.bundle(change=lambda c: c["linux"].update(cgroupsPath=f"/{o.word}/{path}")), code=1, timeout=10)
                expect("unexpectedly frozen" in r.stderr, f"{at} {path}: {r.stderr}")
            expect(not (outer / "new").exists() and (outer / "inner").exists(), "what was there is left alone")
        finally:
            (outer / file).write_text(thawed)
            (outer / "inner").rmdir()
            outer.rmdir()
        with running(o, change=lambda c: c["linux"].update(cgroupsPath=f"/{o.word}/once")) as name:
            (at / o.word / "once" / file).write_text(frozen)
            expect(json.loads(o.do("state", name).stdout)["status"] == "paused", f"{at}: whoever froze it")
            expect("paused" in o.do("exec", name, "/bin/true", code=255, timeout=10).stderr, "exec")
            o.do("resume", name)
            o.do("exec", name, "/bin/true", timeout=10)
            (at / o.word / "once" / file).write_text(frozen)
            o.do("kill", name, "KILL", timeout=10)
            o.do("delete", "--force", name, timeout=10)
    o.clean("after frozen groups")


def test_the_root_that_was_given(o):
    """Its attributes are left as they are (chattr's T would be set on one that is ours alone)."""
    given = o.dir / "given"
    given.mkdir(mode=0o700)
    before = subprocess.run(["lsattr", "-d", given], capture_output=True, text=True)
    subprocess.run([o.program, "--root", given, "run", "--bundle", o.bundle(), o.name()], check=True, timeout=30)
    expect(subprocess.run(["lsattr", "-d", given], capture_output=True, text=True).stdout == before.stdout, "lsattr")


def test_a_created_container_holds_nothing_of_its_maker(o):
    read, write = os.pipe()
    name = o.name()
    subprocess.run([o.program, "--root", o.root, "create", "--bundle", o.bundle(), name], check=True, pass_fds=[write], timeout=30,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    expect(os.read(read, 1) == b"", "the pipe's end")
    os.close(read)
    pid = json.loads(o.do("state", name).stdout)["pid"]
    held = sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    expect(all(h == "/dev/null" or h == "/" or h.startswith("socket:") for h in held), f"{held}")
    o.do("delete", name)


def test_few_descriptors(o):
    """The limit is the command's, not that of making the container."""
    def change(c):
        c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 8, "hard": 8}]
        c["mounts"] += [{"destination": f"/mnt/{i}", "source": "/tmp", "type": "bind", "options": ["bind"]} for i in range(20)]
    with running(o, change=change) as name:
        expect(o.do("exec", name, "/bin/sh", "-c", "ulimit -n").stdout == "8\n", "the limit")


def test_environment_and_place_of_hooks(o):
    out = o.dir / "place"

    def change(c):
        c["process"]["env"] += ["ONE=1", "HOME="]
        c["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", f"ls -d bin/busybox > {out}"]}],
                      "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo $ONE $HOME > /tmp/one"]},
                                         {"path": "/bin/sh", "args": ["sh", "-c", "echo $ONE$TWO > /tmp/two"], "env": ["TWO=2"]}]}
    expect(o.run(o.bundle("/bin/cat", "/tmp/one", "/tmp/two", change=change)).stdout == "1 /root\n2\n", "environment")
    expect(o.run(o.bundle("/bin/sh", "-c", "env | grep -c ^HOME=", change=change)).stdout == "1\n", "once")
    expect(out.read_text() == "bin/busybox\n", "createContainer's working directory is the container's root")


def test_newlines_of_a_terminal(o):
    """In a pipe they are those that the container wrote."""
    def change(c):
        c["process"]["terminal"] = True
    expect(o.run(o.bundle("/bin/echo", "one", change=change)).stdout == "one\n", "run")
    with running(o) as name:
        expect(o.do("exec", "-t", name, "/bin/echo", "two").stdout == "two\n", "exec")


def test_memory_policy(o):
    def change(**policy):
        return lambda c: c["linux"].update(memoryPolicy=policy)
    if not os.path.exists("/proc/self/numa_maps"):
        raise Skip("the kernel has no NUMA")
    r = o.run(o.bundle("/bin/cat", "/proc/self/numa_maps", change=change(mode="MPOL_BIND", nodes="0", flags=["MPOL_F_STATIC_NODES"])))
    expect("bind=static:0 " in r.stdout.splitlines()[0], r.stdout)
    with running(o, change=change(mode="MPOL_BIND", nodes="0")) as name:
        expect("bind:0 " in o.do("exec", name, "/bin/cat", "/proc/self/numa_maps").stdout.splitlines()[0], "exec")
    for bad in ({}, {"mode": "MPOL_BIND", "nodes": "x"}, {"mode": "MPOL_BIND", "nodes": "0", "flags": ["NO"]}, {"mode": "MPOL_BIND"}):
        o.refused(o.bundle(change=change(**bad)), "memoryPolicy")


def notify_manager(o):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(o.dir / "manager.sock"))
    s.settimeout(20)
    return s


# busybox has no client of sd_notify; the test's own process speaks for the container, over the socket it sees.
def say(root, name, *texts):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(f"{root}/{name}/notify/notify.sock")
        for text in texts:
            s.send(text)


def test_notifications(o):
    env = dict(os.environ, NOTIFY_SOCKET=str(o.dir / "manager.sock"))
    with notify_manager(o) as manager:
        name = o.name()
        bundle = o.bundle("/bin/sh", "-c", "echo $NOTIFY_SOCKET; exec sleep 1000")
        read, write = os.pipe()
        subprocess.run([o.program, "--root", o.root, "create", "--bundle", bundle, name], check=True, env=env, timeout=30,
                       stdin=subprocess.DEVNULL, stdout=write)
        start = subprocess.Popen([o.program, "--root", o.root, "start", name], env=env)
        expect(os.read(read, 100) == b"/run/notify/notify.sock\n", "the variable")
        pid = json.loads(o.do("state", name).stdout)["pid"]
        inside = pathlib.Path(f"/proc/{pid}/root/run/notify")
        expect(inside.joinpath("notify.sock").is_socket(), "the socket")
        expect(os.statvfs(inside).f_flag & (os.ST_RDONLY | os.ST_NOSUID) == os.ST_RDONLY | os.ST_NOSUID, "nothing can be put there")
        expect(start.poll() is None, "start waits")
        say(o.root, name, b"MAINPID=1\nFDSTORE=1", b"x" * 5000, b"STATUS=half\nMAINPID=7", b"READY=1\n")
        expect(manager.recv(4096) == b"STATUS=half\n", "what is harmless")
        expect(manager.recv(4096) == b"READY=1\n", "ready")
        expect(manager.recv(4096) == f"MAINPID={pid}\n".encode(), "the container's process as the manager sees it")
        text, control, _, _ = manager.recvmsg(4096, socket.CMSG_SPACE(4))
        expect(text == b"BARRIER=1" and start.poll() is None, f"{text}")
        os.close(array.array("i", control[0][2])[0])
        expect(start.wait(timeout=20) == 0, "it ends once the manager has seen it")
        o.do("delete", "--force", name)
        os.close(read)
        os.close(write)
        # One that ends without a word.
        name = o.name()
        o.do("run", "--detach", "--bundle", o.bundle("/bin/true"), name, env=env)
        o.do("delete", "--force", name)
        # In the foreground it goes on.
        name = o.name()
        bundle = o.bundle("/bin/sh", "-c", "echo up; read line")
        run = subprocess.Popen([o.program, "--root", o.root, "run", "--bundle", bundle, name], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        expect(run.stdout.readline() == b"up\n", "up")
        for text in (b"READY=1\n", b"WATCHDOG=1\n", b"STOPPING=1\n"):
            say(o.root, name, text)
            expect(manager.recv(4096) == text, "passed on")
        run.communicate(b"\n", timeout=20)
        expect(run.returncode == 0, "its status")
    o.clean("after notifications")


def test_kill_without_a_pid_namespace(o):
    def change(c):
        c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "pid"]
    for first_gone in (False, True):
        name, pid_file = o.name(), o.dir / "pid"
        o.do("run", "--detach", "--bundle", o.bundle("/bin/sh", "-c", "sleep 1000 & exec sleep 1000", change=change), name,
             capture_output=False, stdin=subprocess.DEVNULL)
        o.do("exec", "--detach", "--pid-file", pid_file, name, "/bin/sleep", "1000", capture_output=False)
        first = json.loads(o.do("state", name).stdout)["pid"]
        fds = [os.pidfd_open(first), os.pidfd_open(int(pid_file.read_text()))]
        if first_gone:
            os.kill(first, signal.SIGKILL)
        o.do("kill", name, "KILL")
        for fd in fds:
            expect(select.select([fd], [], [], 10)[0], "every process ends")
            os.close(fd)
        o.do("delete", name)
    o.clean("after kills")


def test_a_created_container_hears_signals(o):
    name = o.name()
    o.do("create", "--bundle", o.bundle("/bin/sleep", "1000"), name, capture_output=False, stdin=subprocess.DEVNULL)
    fd = os.pidfd_open(json.loads(o.do("state", name).stdout)["pid"])
    o.do("kill", name, "TERM")
    expect(select.select([fd], [], [], 10)[0], "it ends")
    os.close(fd)
    o.do("delete", name)


def test_mount_points_as_images_have_them(o):
    (o.dir / "hosts").write_text("of the host\n")

    def change(target, source, options):
        return lambda c: c["mounts"].append({"destination": target, "source": str(source), "type": "bind", "options": options})
    bundle = o.bundle("/bin/cat", "/etc/hosts", "/run/deep/hosts", change=change("/etc/hosts", o.dir / "hosts", ["bind", "ro"]))
    (bundle / "rootfs/etc/hosts").symlink_to("../run/deep/hosts")
    expect(o.run(bundle).stdout == "of the host\n" * 2, "a file through a symlink that led nowhere")
    bundle = o.bundle(change=change("/etc/hosts", o.dir / "hosts", ["bind"]))
    (bundle / "rootfs/etc/hosts").symlink_to("hosts")
    o.refused(bundle, "/etc/hosts")
    outside = o.dir / "outside"
    bundle = o.bundle(change=change("/etc/hosts", o.dir / "hosts", ["bind"]))
    (bundle / "rootfs/etc/hosts").symlink_to(outside)
    o.run(bundle)
    expect(not outside.exists(), "resolved in the root")

    def tmpfs(c):
        c["mounts"] += [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": []},
                        {"destination": "/new", "type": "tmpfs", "source": "tmpfs", "options": []},
                        {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["mode=700"]}]
    bundle = o.bundle("/bin/stat", "-c", "%a", "/mnt", "/new", "/run", change=tmpfs)
    (bundle / "rootfs/mnt").chmod(0o2710)
    expect(o.run(bundle).stdout.split() == ["2710", "1777", "700"], "a tmpfs has the mode of what it covers")

    def read_only(c):
        next(m for m in c["mounts"] if m["destination"] == "/dev")["options"] += ["ro"]
    expect("can't" in o.run(o.bundle("/bin/sh", "-c", "echo > /dev/null; : > /dev/x", change=read_only), code=1).stderr, "/dev")

    def masked(c):
        c["linux"]["maskedPaths"] += ["/mnt", "/mnt"]
    expect(o.run(o.bundle("/bin/grep", "-c", " /mnt ", "/proc/mounts", change=masked)).stdout == "1\n", "masked once")

    def nested(c):
        root = str(o.dir / f"bundle{o.n}/rootfs")
        c["mounts"] += [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": []},
                        {"destination": "/mnt/one", "type": "bind", "source": str(o.dir), "options": ["bind"]},
                        {"destination": "/tmp", "type": "bind", "source": root + "/mnt/one", "options": ["bind"]}]
    expect(o.run(o.bundle("/bin/cat", "/tmp/hosts", change=nested)).stdout == "of the host\n", "a source that a mount made")


def test_root_as_a_slave(o):
    def change(c):
        c["linux"]["rootfsPropagation"] = "slave"
    script = 'mount --make-rshared / && exec "$@"'
    r = subprocess.run(["unshare", "--mount", "sh", "-c", script, "x", o.program, "--root", o.root, "run", "--bundle",
                        o.bundle("/bin/cat", "/proc/self/mountinfo", change=change), o.name()], capture_output=True, text=True, timeout=30)
    root = next((line for line in r.stdout.splitlines() if line.split()[4] == "/"), "")
    expect("master:" in root and "shared:" not in root, f"{r}")


def test_no_view_of_the_kernel_without_pivot(o):
    """Were the host's /proc still there, a user namespace could mount one without the masks."""
    def change(c):
        for kind in ("bounding", "effective", "permitted"):
            c["process"]["capabilities"][kind] += ["CAP_SETFCAP", "CAP_SYS_ADMIN"]
        c["process"]["noNewPrivileges"] = False
    script = "unshare -Urpf sh -c 'mount -t proc proc /mnt && echo mounted'; unshare -Urm sh -c 'mount -t sysfs sysfs /mnt && echo mounted'"
    for flags in ((), ("--no-pivot",)):
        r = o.do("run", *flags, "--bundle", o.bundle("/bin/sh", "-c", script, change=change), o.name(), code=None)
        expect("mounted" not in r.stdout and "ermi" in r.stderr, f"{flags}: {r}")


def test_exec_from_a_user_namespace(o):
    """As rootless drivers do: the pid namespace around is not theirs to come back to."""
    def change(c):  # no group but 0 is there
        pts = next(m for m in c["mounts"] if m["destination"] == "/dev/pts")
        pts["options"].remove("gid=5")
    program, name, bundle = f"{o.program} --root {o.root}", o.name(), o.bundle("/bin/sleep", "1000", change=change)
    script = f"""{program} run --detach --bundle {bundle} {name} </dev/null >/dev/null &&
        {program} exec {name} /bin/sh -c 'echo in; exit 3'; echo $?; {program} delete --force {name}"""
    r = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script], capture_output=True, text=True, timeout=30)
    expect(r.stdout == "in\n3\n", f"{r}")
    o.clean("after exec from a user namespace")


def test_checkpoints_are_refused(o):
    for words in (("checkpoint", "--image-path", "/x", "--work-path=/y", "--leave-running", "c"), ("restore", "--bundle", "/x", "-d", "c")):
        r = o.do(*words, code=1)
        expect("not supported" in r.stderr, f"{words}: {r.stderr}")


def test_time_and_user_namespace(o):
    def change(c):
        c["linux"]["namespaces"] += [{"type": "user"}, {"type": "time"}]
        c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        c["linux"]["timeOffsets"] = {"monotonic": {"secs": 5, "nanosecs": 7}, "boottime": {"secs": 864000}}
    bundle = o.bundle("/bin/cat", "/proc/self/timens_offsets", change=change)
    expect(o.run(bundle).stdout.split() == ["monotonic", "5", "7", "boottime", "864000", "0"], "the offsets")


def test_oom_score(o):
    """Lowered, too, which nobody in a user namespace may; exec has the container's, as Kubernetes asks for it."""
    lower = subprocess.run(["sh", "-c", "echo -321 > /proc/self/oom_score_adj"], stderr=subprocess.DEVNULL).returncode == 0
    score = -321 if lower else 321  # not every root may
    for user_ns in (False, True):
        def change(c):
            c["process"]["oomScoreAdj"] = score
            if user_ns:
                c["linux"]["namespaces"].append({"type": "user"})
                c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        with running(o, change=change) as name:
            pid = json.loads(o.do("state", name).stdout)["pid"]
            expect(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == f"{score}\n", f"user namespace {user_ns}: the container")
            expect(o.do("exec", name, "/bin/cat", "/proc/self/oom_score_adj").stdout == f"{score}\n", f"user namespace {user_ns}: exec")
    for words, score, shown in ((["--rootless=true"], 555, "555"), (["--rootless=true"], -555, "0")):
        def raised(c):
            c["process"]["oomScoreAdj"] = score
            c["linux"]["namespaces"].append({"type": "user"})
            c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 1}]
            c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "network"]
            c["mounts"] = [m for m in c["mounts"] if m["destination"] in ("/proc", "/tmp")]
            c["linux"].pop("cgroupsPath")
        bundle = o.bundle("/bin/cat", "/proc/self/oom_score_adj", change=raised, cgroup=True)
        for at in (bundle / "rootfs", *(bundle / "rootfs").rglob("*")):
            os.lchown(at, 1000, 1000)
        state = o.dir / f"rootless{score}"
        state.mkdir()
        os.chown(state, 1000, 1000)
        r = subprocess.run([o.program, "--root", state, *words, "run", "--bundle", bundle, o.name()], capture_output=True, text=True, user=1000,
                           group=1000, extra_groups=[], timeout=30)
        expect(r.stdout.strip() == shown, f"without privileges, {score}: {r}")


def test_a_terminal_on_a_read_only_dev(o):
    def change(c):
        c["process"]["terminal"] = True
        next(m for m in c["mounts"] if m["destination"] == "/dev")["options"] += ["ro"]
    expect(o.run(o.bundle("/bin/sh", "-c", "echo up > /dev/console; : > /dev/x", change=change), code=1).stdout.startswith("up"), "it is there")
