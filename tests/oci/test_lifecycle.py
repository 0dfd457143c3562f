# SPDX-License-Identifier: Apache-2.0
"""Commands of proa-oci, as drivers use them."""
import array
import json
import os
import socket
import subprocess
import threading

from bundle import expect


def has_controller(name):
    v2 = "/sys/fs/cgroup/cgroup.controllers"
    if os.path.exists(v2):
        with open(v2) as f:
            return name in f.read().split()
    return os.path.exists("/sys/fs/cgroup/" + name)


def test_run_and_exit(o):
    r = o.run(o.bundle("/bin/sh", "-c", "echo out; echo err >&2; exit 7"), code=7)
    expect((r.stdout, r.stderr) == ("out\n", "err\n"), f"{r}")
    expect(o.run(o.bundle("/bin/cat"), input="in").stdout == "in", "standard input")
    o.run(o.bundle("/bin/sh", "-c", "kill -9 $$ ; sleep 1; exit 3"), code=3)  # the first process cannot kill itself
    expect("not found" in o.refused(o.bundle("nothing")).stderr, "what is missing")
    o.refused(o.bundle("/etc"), "/etc")
    o.clean("after runs")


def test_steps(o):
    name, pid_file = o.name(), o.dir / "pid"
    bundle = o.bundle("/bin/sh", "-c", "echo up; exec sleep 1000")
    out = open(o.dir / "out", "w+")
    subprocess.run([o.program, "--root", o.root, "create", "--bundle", bundle, "--pid-file", pid_file, name], check=True, stdout=out,
                   stdin=subprocess.DEVNULL)
    state = json.loads(o.do("state", name).stdout)
    expect(state["status"] == "created" and state["id"] == name and state["bundle"] == str(bundle), f"{state}")
    expect(state["pid"] == int(pid_file.read_text()) and state["ociVersion"].startswith("1."), f"{state}")
    o.do("start", name)
    expect(json.loads(o.do("state", name).stdout)["status"] == "running", "running")
    o.do("start", name, code=1)
    o.do("delete", name, code=1)
    expect(o.do("exec", name, "/bin/sh", "-c", "echo in; exit 4", code=4).stdout == "in\n", "exec")
    expect(o.do("exec", "--cwd=/tmp", "--env", "A=b", "--user=1000:1000", name, "/bin/sh", "-c", "echo $A $PWD $(id -u)").stdout
           == "b /tmp 1000\n", "exec's flags")
    expect(str(state["pid"]) in o.do("ps", name).stdout, "ps")
    expect(name in o.do("list").stdout and json.loads(o.do("list", "--format=json").stdout)[0]["id"] == name, "list")
    o.do("pause", name)
    expect(json.loads(o.do("state", name).stdout)["status"] == "paused", "paused")
    o.do("resume", name)
    if has_controller("pids"):
        o.do("update", "--pids-limit=77", name)
        stats = json.loads(o.do("events", "--stats", name).stdout)
        expect(stats["type"] == "stats" and stats["data"]["pids"]["limit"] == 77, f"{stats}")
    else:
        expect("pids.limit" in o.do("update", "--pids-limit=77", name, code=1).stderr, "what the machine cannot do is named")
    fd = os.pidfd_open(state["pid"])
    o.do("kill", name, "KILL")
    import select
    expect(select.select([fd], [], [], 10)[0], "killed")
    os.close(fd)
    expect(json.loads(o.do("state", name).stdout)["status"] == "stopped", "stopped")
    expect("not running" in o.do("exec", name, "/bin/true", code=None).stderr.lower(), "exec in a stopped one")
    o.do("delete", name)
    expect("does not exist" in o.do("state", name, code=1).stderr, "gone")
    o.do("delete", "--force", name)
    out.seek(0)
    expect(out.read() == "up\n", "its output went where create's goes")
    o.clean("after the steps")


def test_console(o):
    def terminal(config):
        config["process"]["terminal"] = True
        config["process"]["consoleSize"] = {"height": 11, "width": 33}
    path = str(o.dir / "console.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)
    got = {}

    def accept():
        s, _ = server.accept()
        data, control, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(4))
        fds = array.array("i")
        fds.frombytes(control[0][2][:4])
        got["fd"] = fds[0]
    thread = threading.Thread(target=accept)
    thread.start()
    name = o.name()
    o.do("create", "--bundle", o.bundle("/bin/sh", "-c", "stty size; tty; sleep 1000", change=terminal), "--console-socket", path, name)
    thread.join(10)
    o.do("start", name)
    seen = b""
    while b"/dev/" not in seen:
        seen += os.read(got["fd"], 1000)
    expect(b"11 33" in seen, f"{seen}")
    os.close(got["fd"])
    server.close()
    o.do("delete", "--force", name)
    o.clean("after a terminal")


def test_identity(o):
    def change(c):
        c["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 6], "umask": 0o27}
        c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
        c["process"]["noNewPrivileges"] = True
        c["hostname"] = "hal"
        c["annotations"] = {"a": "b"}
    r = o.run(o.bundle("/bin/sh", "-c", "id; umask; ulimit -n; hostname; grep -E 'CapInh|CapEff|NoNewPrivs|Seccomp:' /proc/self/status", change=change))
    for part in ("uid=1000", "groups=5,6", "0027", "100", "hal", "CapInh:\t0000000000000000", "CapEff:\t0000000000000000",
                 "NoNewPrivs:\t1"):
        expect(part in r.stdout, f"{part!r} is not in {r.stdout}")


def test_hooks(o):
    log = o.dir / "hooks"

    def change(c):
        c["hooks"] = {point: [{"path": "/bin/sh", "args": ["sh", "-c", f"(echo {point}; cat; echo) >> {log}"]}]
                      for point in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
        c["hooks"]["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", "echo startContainer > /tmp/hook"]}]
    r = o.run(o.bundle("/bin/cat", "/tmp/hook", change=change))
    expect(r.stdout == "startContainer\n", "the hook inside")
    lines = log.read_text().split("\n")
    expect([line for line in lines if line and not line.startswith("{")] ==
           ["prestart", "createRuntime", "createContainer", "poststart", "poststop"], f"{lines}")
    states = [json.loads(line) for line in lines if line.startswith("{")]
    expect(len(states) == 5 and states[-1]["status"] == "stopped" and states[0]["status"] in ("creating", "created"), f"{states}")

    def failing(c):
        c["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo refuse >&2; exit 1"]}]}
    o.refused(o.bundle(change=failing))

    def stalling(c):
        c["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    o.refused(o.bundle(change=stalling))
    o.clean("after hooks that failed")


def test_output_of_hooks(o):
    """crun's annotations: files of the host, for hooks in the container too, which find no descriptor more than that."""
    points = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    out, err = o.dir / "hooks.out", o.dir / "hooks.err"
    out.write_text("before\n")

    def change(c):
        script = "echo {0}; echo {0} again >&2; cat > /dev/null"
        c["hooks"] = {point: [{"path": "/bin/sh", "args": ["sh", "-c", script.format(point)]}] for point in points}
        c["hooks"]["startContainer"].append({"path": "/bin/ls", "args": ["ls", "/proc/self/fd"]})
        c["annotations"] = {"run.oci.hooks.stdout": str(out), "run.oci.hooks.stderr": str(err)}
    r = o.run(o.bundle("/bin/ls", "/proc/self/fd", change=change))
    expect(r.stdout.split() == ["0", "1", "2", "3"], f"the command has none of them: {r}")
    lines = out.read_text().splitlines()
    expect(lines[0] == "before" and [line for line in lines if line in points] == list(points), f"{lines}")
    expect([line for line in lines if line.isdigit()] == ["0", "1", "2", "3"], f"what a hook in the container sees: {lines}")
    expect(err.read_text().splitlines() == [f"{point} again" for point in points], "standard error")
    expect(err.stat().st_mode & 0o777 == 0o600, "its mode")

    def lost(c):
        change(c)
        c["annotations"]["run.oci.hooks.stderr"] = str(o.dir / "absent/file")
    o.refused(o.bundle(change=lost), "run.oci.hooks.stderr", "absent/file")


def test_mounts(o):
    (o.dir / "host").mkdir()
    (o.dir / "host/file").write_text("shared")

    def change(c):
        c["mounts"] += [{"destination": "/mnt/dir", "type": "bind", "source": str(o.dir / "host"), "options": ["rbind", "ro"]},
                        {"destination": "/mnt/file", "type": "bind", "source": str(o.dir / "host/file"), "options": ["bind"]},
                        {"destination": "/mnt/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "mode=0711", "noexec"]}]
        c["linux"]["maskedPaths"] = ["/proc/kcore", "/etc/passwd", "/absent"]
        c["linux"]["readonlyPaths"] = ["/proc/sys", "/etc/group"]
        c["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    r = o.run(o.bundle("/bin/sh", "-c", """cat /mnt/dir/file /mnt/file; echo; touch /mnt/dir/x 2>&1; stat -c %a /mnt/tmp; wc -c < /etc/passwd
touch /etc/group 2>&1; cat /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/kernel/domainname; grep ' /mnt/tmp ' /proc/mounts""", change=change), code=None)
    for part in ("sharedshared", "x: Read-only file system", "711", "\n0\n", "group: Read-only file system", "\n1\n", "noexec"):
        expect(part in r.stdout + r.stderr, f"{part!r} is not in {r.stdout}{r.stderr}")


def test_namespaces_and_limits(o):
    def user_namespace(c):
        c["linux"]["namespaces"].append({"type": "user"})
        c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle = o.bundle("/bin/sh", "-c", "id -u; cat /proc/self/uid_map", change=user_namespace)
    for path in [bundle / "rootfs", *(bundle / "rootfs").rglob("*")]:
        os.lchown(path, 100000, 100000)
    out = o.run(bundle).stdout.split()
    expect(out[:4] == ["0", "0", "100000", "65536"], f"{out}")

    def memory(c):
        c["linux"]["resources"].update(memory={"limit": 16 << 20}, pids={"limit": 20})
    r = o.run(o.bundle("/bin/sh", "-c", "x=$(head -c 64000000 /dev/zero | tr '\\0' x); echo survived", change=memory), code=None)
    expect("survived" not in r.stdout and r.returncode != 0, f"{r}")

    def time_namespace(c):
        c["linux"]["namespaces"].append({"type": "time"})
        c["linux"]["timeOffsets"] = {"boottime": {"secs": 864000}}
    up = float(o.run(o.bundle("/bin/cat", "/proc/uptime", change=time_namespace)).stdout.split()[0])
    expect(up > 864000, f"{up}")


def test_seccomp(o):
    def change(c):
        c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]}
    r = o.run(o.bundle("/bin/sh", "-c", "mkdir /x; kill -USR1 1; kill -0 1 && echo fine; grep Seccomp: /proc/self/status", change=change))
    expect("not supported" in r.stderr.lower() and "not permitted" in r.stderr.lower() and "fine" in r.stdout and "Seccomp:\t2" in r.stdout, f"{r}")


def test_what_drivers_rely_on(o):
    """Each of these was missing once."""
    expect("UP" in o.run(o.bundle("/bin/sh", "-c", "ip link show lo")).stdout, "loopback is up")

    def read_only(c):
        c["root"]["readonly"] = True
        c["process"]["cwd"] = "/absent/below"
    expect(o.run(o.bundle("/bin/pwd", change=read_only)).stdout == "/absent/below\n", "a working directory is made in a read-only root")

    def user(c):
        c["process"]["user"] = {"uid": 1000, "gid": 1000}
    bundle = o.bundle("/bin/sh", "-c", "echo again > /dev/stderr", change=user)
    with open(o.dir / "stderr", "w") as err:
        subprocess.run([o.program, "--root", o.root, "run", "--bundle", bundle, o.name()], check=True, stdout=err, stderr=err, timeout=30)
    expect((o.dir / "stderr").read_text() == "again\n", "/dev/stderr belongs to the user")

    def twice(c):
        c["process"]["env"] += ["A=first", "A=last"]
    expect(o.run(o.bundle("/bin/sh", "-c", "env | grep ^A=", change=twice)).stdout == "A=last\n", "the last of a variable")
    r = o.run(o.bundle("/bin/sh", "-c", "echo $LISTEN_FDS $LISTEN_PID"), env=dict(os.environ, LISTEN_FDS="2"))
    expect(r.stdout == "2 1\n", f"socket activation: {r}")
    for bad in (".hidden", "a/b", "", "x" * 256):
        expect("invalid container ID" in o.do("run", "--bundle", o.bundle(), "--", bad, code=1).stderr, f"id {bad!r}")

    def contradiction(c):
        c["domainname"] = "one"
        c["linux"]["sysctl"] = {"kernel.domainname": "two"}
    o.refused(o.bundle(change=contradiction), "domainname")

    def labelled(c):
        c["linux"]["mountLabel"] = "system_u:object_r:container_file_t:s0"
    if not os.path.exists("/sys/fs/selinux/enforce"):
        o.refused(o.bundle(change=labelled), "mountLabel")


def test_devices_in_user_namespace(o):
    def change(c):
        c["linux"]["namespaces"].append({"type": "user"})
        c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        c["linux"]["devices"] = [{"path": "/dev/foo/", "type": "c", "major": 1, "minor": 5, "uid": 10, "gid": 11, "fileMode": 0o644},
                                 {"path": "/dev/pipe", "type": "p"}]
    bundle = o.bundle("/bin/sh", "-c", "stat -c '%F %u:%g %a %t,%T' /dev/foo; head -c 3 /dev/foo | wc -c; stat -c %F /dev/pipe; grep ' /dev/foo ' /proc/mounts",
                      change=change)
    for path in [bundle / "rootfs", *(bundle / "rootfs").rglob("*")]:
        os.lchown(path, 200000, 200000)
    out = o.run(bundle).stdout
    for part in ("character special file 10:11 644 1,5", "\n3\n", "fifo", "nosuid", "noexec"):
        expect(part in out, f"{part!r} is not in {out}")

    def foreign(c):
        change(c)
        c["linux"]["devices"][0]["uid"] = 70000
    o.refused(o.bundle(change=foreign), "/dev/foo", "user namespace")


def test_mounts_in_order(o):
    places = ["/mnt/a", "/mnt/b", "/mnt/c", "/mnt/d"]

    def change(c):
        c["mounts"] += [{"destination": at, "type": "tmpfs" if at in ("/mnt/a", "/mnt/c") else "bind", "source": str(o.dir / "base/etc"),
                         "options": ["rshared"]} for at in places]
    lines = o.run(o.bundle("/bin/cat", "/proc/self/mountinfo", change=change)).stdout.splitlines()
    shown = [line.split()[4] for line in lines if line.split()[4] in places]
    # Older kernels show a bind where it was detached; they list mounts by where they hang, not when they were made.
    release = tuple(int(n) for n in os.uname().release.split(".")[:2])
    expect(sorted(shown) == places and (release < (6, 15) or shown == places), f"{shown}")
    expect(all("shared:" in line for line in lines if line.split()[4] in places), f"{lines}")


def test_delete(o):
    names = [o.name() for _ in range(2)]
    for name in names:
        o.do("run", "-d", "--bundle", o.bundle("/bin/sleep", "1000"), name, stdin=subprocess.DEVNULL, capture_output=False, stdout=subprocess.DEVNULL)
    o.do("delete", "--force", "--regex", "[", code=1)
    freezer = "/sys/fs/cgroup/freezer/" + o.word + "/frozen"
    if os.path.exists("/sys/fs/cgroup/freezer"):  # somebody moved it there; SIGKILL waits for the thaw
        os.makedirs(freezer)
        with open(freezer + "/cgroup.procs", "w") as f:
            f.write(str(json.loads(o.do("state", names[0]).stdout)["pid"]))
        with open(freezer + "/freezer.state", "w") as f:
            f.write("FROZEN")
    o.do("delete", "--force", "--regex", f"^({names[0]}|{names[1]})$")
    expect(o.do("list", "-q").stdout == "", "both are gone")
    if os.path.exists(freezer):
        os.rmdir(freezer)

    def poststart(c):
        c["hooks"] = {"poststart": [{"path": "/bin/false"}]}
    name = o.name()
    subprocess.run([o.program, "--root", o.root, "create", "--bundle", o.bundle("/bin/sleep", "1000", change=poststart), name], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    expect("poststart" in o.do("start", name, code=1).stderr, "the hook's failure")
    o.do("state", name, code=1)
    o.clean("after deletes")


def test_joined_namespaces(o):
    """Every kind by path: those of a container that runs."""
    name = o.name()
    o.do("run", "-d", "--bundle", o.bundle("/bin/sleep", "1000", change=lambda c: c["linux"]["namespaces"].append({"type": "time"})), name,
         capture_output=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    pid = json.loads(o.do("state", name).stdout)["pid"]
    files = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "time": "time"}

    def change(c):
        c["linux"]["namespaces"] = [{"type": "mount"}] + [{"type": t, "path": f"/proc/{pid}/ns/{f}"} for t, f in files.items()]
        c.pop("hostname", None)
    out = o.run(o.bundle("/bin/sh", "-c", f"for f in {' '.join(files.values())}; do readlink /proc/self/ns/$f; done", change=change)).stdout.split()
    for (kind, file), link in zip(files.items(), out):
        expect(os.readlink(f"/proc/{pid}/ns/{file}") == link, f"{kind}: {link}")
    expect(len(out) == len(files), f"{out}")

    def wrong(c):
        c["linux"]["namespaces"] = [{"type": "mount"}, {"type": "network", "path": f"/proc/{pid}/ns/uts"}]
    expect("network" in o.run(o.bundle(change=wrong), code=1).stderr, "a path of another kind is named")
    o.do("delete", "--force", name)
    o.clean("after joining")
