# SPDX-License-Identifier: Apache-2.0
"""Known holes of container runtimes, tried on proa-oci. The rootfs, and what runs in it, is the attacker's.

Where it can be, the same attack runs once against something without the defence: else a test that passes says nothing.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess
import threading
import time

from bundle import Skip, cgroups, expect, without_sanitizers

RENAME_EXCHANGE = 2
AT_FDCWD = -100
libc = ctypes.CDLL(None, use_errno=True)


def create(o, bundle, *flags, **options):
    name = o.name()
    with open(o.dir / "out", "w+") as out:
        subprocess.run([o.program, "--root", o.root, "create", *flags, "--bundle", bundle, name], check=True, stdin=subprocess.DEVNULL,
                       stdout=out, stderr=out, **options)
    return name


def started(o, bundle, *flags):
    name = create(o, bundle, *flags)
    o.do("start", name)
    return name


def end_of(o, name):
    pid = json.loads(o.do("state", name).stdout)["pid"]
    with contextlib.suppress(ProcessLookupError):
        if pid:
            fd = os.pidfd_open(pid)
            expect(select.select([fd], [], [], 20)[0], "it doesn't end")
            os.close(fd)
    o.do("delete", "--force", name)
    return (o.dir / "out").read_text()


def denied(o, bundle, *words):
    """As refused, without looking over the machine each time."""
    r = o.run(bundle, code=None)
    expect(r.returncode != 0, f"it was run: {r}")
    for word in words:
        expect(word.lower() in r.stderr.lower(), f"{word!r} is not in {r.stderr!r}")


def rewrite(bundle, change):
    """The bundle once more, with its configuration changed."""
    config = json.loads((bundle / "config.json").read_text())
    change(config)
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def args(*words):
    return lambda c: c["process"].update(args=list(words))


def replace(path, link):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
    path.symlink_to(link)


def without(config, target):
    config["mounts"] = [m for m in config["mounts"] if m["destination"] != target and not m["destination"].startswith(target + "/")]


# ---- the runtime's own file and descriptors ----

# Holds the file of the process that has it, lets that end, writes.
OVERWRITE = """
while :; do for p in /proc/[0-9]*; do case "$(cat $p/comm)" in exe|busybox-victim)
    exec 8<$p/exe; echo > /fifo; while [ -e $p ]; do :; done
    (echo changed > /proc/self/fd/8) 2>/dev/null && echo written || echo refused; exit;;
esac; done; done"""


def overwrite(o, *program):
    bundle = o.bundle("/bin/sh", "-c", OVERWRITE)
    os.mkfifo(bundle / "rootfs/fifo")
    shutil.copy2(shutil.which("busybox"), bundle / "rootfs/busybox-victim")
    name = started(o, bundle)
    try:
        o.do("exec", name, *program, code=None, timeout=10)
        return end_of(o, name).strip()
    finally:
        o.do("delete", "--force", name)


def test_its_own_executable(o):
    """CVE-2019-5736."""
    expect(overwrite(o, "/busybox-victim", "cat", "/fifo") == "written", "a file of the rootfs is overwritten, or the attack is none")
    with without_sanitizers(o):
        before = o.program.read_bytes()
        # Inside it is the runtime again that runs, for as long as its configuration doesn't come.
        expect(overwrite(o, "/proc/self/exe", "create", "--bundle", "/", "--config", "/fifo", "x") == "refused", "through /proc/self/exe")
        expect(o.program.read_bytes() == before, "the program was changed")


def test_executable_of_a_created_container(o):
    """All that a container could open through /proc/PID of it is on a read-only mount that has no path."""
    with without_sanitizers(o):
        name = create(o, o.bundle())
        pid = json.loads(o.do("state", name).stdout)["pid"]
        expect(os.statvfs(f"/proc/{pid}/exe").f_flag & os.ST_RDONLY, "its file")
        expect(str(o.program) not in pathlib.Path(f"/proc/{pid}/maps").read_text(), "what is mapped")
        o.do("delete", name)


def test_descriptors(o):
    """CVE-2024-21626: leaked ones; by working directory; by the path that is executed."""
    here = os.open(o.dir, os.O_RDONLY | os.O_DIRECTORY)
    probe = ("/bin/sh", "-c", "for i in /proc/self/fd/*; do [ -e $i/busybox-here ] && echo found; done; ls /proc/self/fd | wc -l; exit 0")
    (o.dir / "busybox-here").write_text("")
    bundle = o.bundle(*probe)

    def run(*flags):
        return subprocess.run([o.program, "--root", o.root, "run", *flags, "--bundle", bundle, o.name()], pass_fds=(3,),
                              preexec_fn=lambda: os.dup2(here, 3), capture_output=True, text=True)
    expect(run().stdout == "4\n", "0, 1, 2 and that of ls")
    expect(run("--preserve-fds", "1").stdout == "found\n5\n", "what is to be kept is, and would be found")
    expect(o.do("run", "--preserve-fds", "9", "--bundle", bundle, o.name()).stdout == "4\n", "what fills a hole is ours")
    shutil.copy2(shutil.which("busybox"), o.dir / "busybox-here")
    for fd in range(3, 24):
        for up in ("", "/..", "/../.."):
            rewrite(bundle, lambda c: c["process"].update(args=[f"/proc/self/fd/{fd}{up}/busybox-here", "true"], cwd="/"))
            expect(run().returncode != 0, f"executed through descriptor {fd}{up}")
            rewrite(bundle, lambda c: c["process"].update(args=["/bin/pwd"], cwd=f"/proc/self/fd/{fd}{up}"))
            if not up:
                expect(run().returncode != 0, f"descriptor {fd} as working directory")
    rewrite(bundle, lambda c: c["process"].update(args=["/proc/self/fd/3/busybox-here", "true"], cwd="/"))
    expect(run("--preserve-fds", "1").returncode == 0, "what was asked for is a way, or the attack is none")
    os.close(here)
    o.clean("after the attacks")


# Looks at every process that comes, for as long as it can be: what it holds, where it is, what it was told.
LOOK = """
echo up; while [ ! -e /stop ]; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$$) continue;; esac
    for l in $p/fd/* $p/cwd $p/root $p/exe; do readlink $l; done; cat $p/environ $p/maps; done; done > /seen 2>/dev/null; echo end"""


def test_what_exec_holds(o):
    """CVE-2016-9962: who shares its pid namespace sees nothing of a process that is on its way in, though it may trace its own."""
    for user_ns in (False, True):
        def both(c):
            for kind in ("bounding", "permitted", "effective"):
                c["process"]["capabilities"][kind] += ["CAP_DAC_OVERRIDE"] + ["CAP_SYS_PTRACE"] * user_ns
            if user_ns:
                c["linux"]["namespaces"].append({"type": "user"})
                c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        bundle = o.bundle("/bin/sh", "-c", LOOK, change=both)
        if user_ns:
            subprocess.run(["chown", "-R", "200000:200000", bundle / "rootfs"], check=True)
        with without_sanitizers(o):
            env = dict(os.environ, PROA_SECRET="of-the-host")
            name = o.name()
            with subprocess.Popen([o.program, "--root", o.root, "run", "--bundle", bundle, name], stdout=subprocess.PIPE, text=True, env=env) as run:
                expect(run.stdout.readline() == "up\n", "it looks")
                for _ in range(40):
                    o.do("exec", name, "/bin/true", env=env)
                o.do("exec", "--env=SHOWN=yes", name, "/bin/sh", "-c", "read x < /bin/busybox; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
                (bundle / "rootfs/stop").write_text("")
                run.wait(30)
            seen = (bundle / "rootfs/seen").read_text(errors="replace")
            expect("SHOWN=yes" in seen, "it sees what is in the container, or the attack is none")
            for word in ("of-the-host", str(o.dir), str(o.program), "proa-oci"):
                expect(word not in seen, f"user namespace {user_ns}: {word!r} was seen: {[x for x in seen.splitlines() if word in x][:1]!r:.300}")


def test_places_of_exec(o):
    """CVE-2024-21626 once more: what exec is told is a link of the container by then, or gone."""
    bundle = o.bundle("/bin/sleep", "1000")
    root = bundle / "rootfs"
    name = started(o, bundle)
    secret = o.dir / "elsewhere"
    secret.mkdir()
    for number, to in enumerate(("/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/cwd", "/proc/1/root", "/proc/self/root", "/proc/thread-self/cwd",
                                 secret, "/../../../../../..", "loop")):
        link = root / f"link{number}"
        link.symlink_to(to if to != "loop" else link.name)
        r = o.do("exec", f"--cwd=/link{number}", name, "/bin/sh", "-c", "/bin/pwd; ls -d bin proc", code=None)
        expect(r.returncode == 255 or r.stdout.startswith("/") and str(o.dir) not in r.stdout or r.stdout.startswith(f"{secret}\n"), f"{to}: {r}")
        expect(not any(secret.iterdir()), f"{to}: something was made outside")
    (root / "gone").mkdir()
    for cwd in ("/link0/../../..", "/proc/self/fd/3/../..", "relative", "", "/etc/passwd", "/" + "d" * 300):
        r = o.do("exec", f"--cwd={cwd}", name, "/bin/pwd", code=None)
        expect(r.returncode == 255 or r.stdout.strip() == "/", f"{cwd!r}: {r}")
    # Programs are looked for in the container, whatever the way says.
    shutil.copy2(shutil.which("busybox"), secret / "onlyhere")
    (root / "bin/onlyhere").symlink_to(secret / "onlyhere")
    for path in (secret, f"/../../../../../..{secret}", "/proc/1/root/../..", "/proc/self/cwd", "/bin"):
        r = o.do("exec", f"--env=PATH={path}", name, "onlyhere", "true", code=None)
        expect(r.returncode == 255 and "not found" in r.stderr, f"{path}: {r}")
    o.do("delete", "--force", name)
    o.clean("after the places")


def test_hooks_in_the_container(o):
    """What a startContainer hook runs is a file of the rootfs: it has the container's privileges."""
    bundle = o.bundle("/bin/true", change=lambda c: c.update(hooks={"startContainer": [
        {"path": "/bin/sh", "args": ["sh", "-c", "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status > /caps; ls /proc/self/fd > /fds"]}]}))
    o.run(bundle)
    got = (bundle / "rootfs/caps").read_text().split()
    expect(got == ["CapEff:", "0000000020000420", "CapBnd:", "0000000020000420", "NoNewPrivs:", "1"], got)
    rewrite(bundle, lambda c: c["hooks"]["startContainer"][0].update(args=["sh", "-c", "exit 3"]))
    denied(o, bundle, "startContainer", "3")


# ---- ways out of the rootfs ----

def test_symlinks_exchanged(o):
    """CVE-2021-30465, CVE-2024-45310: a directory on the way to a mount point becomes a link while it is looked at."""
    victim = o.dir / "victim"
    victim.mkdir()
    bundle = o.bundle("/bin/true", change=lambda c: c["mounts"].append(
        {"destination": "/vol/a/b/c", "type": "tmpfs", "source": "tmpfs"}))
    vol, done = bundle / "rootfs/vol", threading.Event()
    (vol / "a").mkdir(parents=True)
    (vol / "link").symlink_to(victim)
    swaps = 0

    def swap():
        nonlocal swaps
        while not done.is_set():
            expect(libc.renameat2(AT_FDCWD, bytes(vol / "a"), AT_FDCWD, bytes(vol / "link"), RENAME_EXCHANGE) == 0, "exchange")
            swaps += 1
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(25):
            o.run(bundle, code=None)
        naive = 0
        while not any(victim.iterdir()) and naive < 100000:  # what a runtime that goes by paths would do
            naive += 1
            if naive == 1:
                expect(not any(victim.iterdir()), "something was made outside of the rootfs")
            try:
                os.makedirs(vol / "a/b/c", exist_ok=True)
            except OSError:
                continue
    finally:
        done.set()
        thread.join()
    expect(any(victim.iterdir()), f"going by paths was not led astray in {naive} tries and {swaps} exchanges: the attack is none")
    o.clean("after the exchange")


def test_links_as_mount_points(o):
    victim = o.dir / "victim2"
    victim.mkdir()
    for target, kind in (("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "tmpfs"), ("/mnt", "tmpfs")):
        bundle = o.bundle("/bin/true", change=lambda c: c["mounts"].append(
            {"destination": "/mnt/x", "type": "tmpfs", "source": "tmpfs"}))
        replace(bundle / ("rootfs" + target), victim)
        r = o.run(bundle, code=None)
        expect(kind == "tmpfs" or r.returncode != 0, f"{target} is a link: {r}")
        expect(not any(victim.iterdir()), f"{target}: something was made outside: {list(victim.iterdir())}")
    o.clean("after the links")


def test_console_exchanged(o):
    """CVE-2025-52565, CVE-2025-31133, as a race: what the terminal and the masks are laid over becomes a link meanwhile."""
    victim = o.dir / "victim4"
    victim.write_text("same")
    before = victim.stat()

    def change(c):
        c["mounts"] = [m for m in c["mounts"] if m["destination"] in ("/proc", "/dev/pts")]
        c["process"]["terminal"] = True
        c["linux"]["maskedPaths"] = ["/dev/console", "/dev/null", "/etc/shadow", "/proc/uptime"]
        c["linux"]["readonlyPaths"] = ["/dev/null", "/etc/shadow"]
    bundle = o.bundle("/bin/sh", "-c", "echo x > /dev/console; echo x > /dev/null; echo x > /etc/shadow; head -c 1 /proc/uptime", change=change)
    pairs = []
    for at in ("dev/console", "dev/null", "dev/ptmx", "etc/shadow"):
        own, link = bundle / "rootfs" / at, bundle / "rootfs" / (at + ".link")
        own.unlink(missing_ok=True)
        own.write_text("")
        # As the attacker sees it: up and out of its root, and by a descriptor of whoever makes the container.
        link.symlink_to("../" * 20 + str(victim)[1:])
        pairs.append((bytes(own), bytes(link)))
    done = threading.Event()

    def swap():
        while not done.is_set():
            for own, link in pairs:
                libc.renameat2(AT_FDCWD, own, AT_FDCWD, link, RENAME_EXCHANGE)
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(25):
            o.run(bundle, code=None, stdin=subprocess.DEVNULL)
    finally:
        done.set()
        thread.join()
    after = victim.stat()
    expect(victim.read_text() == "same" and (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns),
           "the host's file was touched")
    o.clean("after the exchange")


def test_hostile_dev(o):
    """CVE-2026-41579, CVE-2026-47766: what is made in /dev when that is the image's."""
    victim = o.dir / "victim3"
    victim.mkdir()
    for name, what in (("", victim), ("null", "/etc/passwd"), ("null", victim / "null"), ("pts", victim), ("shm", victim), ("fd", victim)):
        bundle = o.bundle("/bin/sh", "-c", "echo x > /dev/null", change=lambda c: without(c, "/dev"))
        replace(bundle / "rootfs/dev" / name, what)
        o.run(bundle, code=None)
        expect(not any(victim.iterdir()), f"/dev/{name}: something was made outside: {list(victim.iterdir())}")
    bundle = o.bundle("/bin/true", change=lambda c: without(c, "/dev"))
    (bundle / "rootfs/dev/null").mkdir()
    denied(o, bundle, "/dev/null")


def test_masks(o):
    """CVE-2025-31133: /dev/null of the image must not mask; CVE-2025-52565: nor its console be the terminal."""
    def change(c):
        without(c, "/dev")
        c["linux"]["maskedPaths"] = ["/secret", "/secrets", "/proc/uptime"]
    show = "stat -c '%F %t:%T' /secret /proc/uptime; cat /secret; ls /secrets | wc -l"
    for null in ("link", "file"):
        bundle = o.bundle("/bin/sh", "-c", show, change=change)
        root = bundle / "rootfs"
        (root / "secret").write_text("secret\n")
        (root / "secrets").mkdir()
        (root / "secrets/one").write_text("secret\n")
        if null == "link":
            (root / "dev/null").symlink_to("/secret")
        else:
            (root / "dev/null").write_text("image\n")
        r = o.run(bundle, code=None)
        good = "character special file 1:3\ncharacter special file 1:3\n0\n"
        expect(r.stdout == good or r.returncode != 0, f"{null}: {r}")
        expect((root / "secret").read_text() == "secret\n", "the file itself")
        expect(null == "file" or r.returncode != 0, f"a link as /dev/null: {r}")
    bundle = o.bundle("/bin/sh", "-c", "cat /secret", change=lambda c: c["linux"].update(maskedPaths=[]))
    (bundle / "rootfs/secret").write_text("secret\n")
    expect(o.run(bundle).stdout == "secret\n", "unmasked it is seen, or the attack is none")

    def console(c):
        without(c, "/dev/shm")
        c["mounts"] = [m for m in c["mounts"] if m["destination"] in ("/proc", "/dev/pts")]
        c["process"]["terminal"] = True
    for name in ("console", "pts", "ptmx"):
        bundle = o.bundle("/bin/true", change=console)
        victim = bundle / "rootfs/etc/victim"
        victim.write_text("same")
        replace(bundle / "rootfs/dev" / name, "/etc/victim" if name != "pts" else bundle)
        o.run(bundle, code=None, stdin=subprocess.DEVNULL)
        expect(victim.read_text() == "same" and not (bundle / "ptmx").exists(), name)
    o.clean("after the masks")


def test_mounts_over_proc(o):
    """CVE-2019-16884, CVE-2019-19921, CVE-2025-52881: what is written to /proc must arrive there."""
    fake = o.dir / "fake"
    for path in ("self/attr", "sys/kernel", "sys/net"):
        (fake / path).mkdir(parents=True, exist_ok=True)
    over = [{"destination": "/proc", "type": "bind", "source": str(fake), "options": ["rbind"]},
            {"destination": "/proc/sys", "type": "bind", "source": str(fake), "options": ["rbind"]},
            {"destination": "/proc/self/attr", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/proc/1", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/proc/sys/kernel/hostname", "type": "bind", "source": "/etc/hostname", "options": ["bind"]},
            {"destination": "/lnk/sys", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/lnk", "type": "tmpfs", "source": "tmpfs"}]
    bundle = o.bundle("/bin/true")
    (bundle / "rootfs/lnk").symlink_to("/proc")
    original = (bundle / "config.json").read_text()
    for mount in over:
        (bundle / "config.json").write_text(original)
        denied(o, rewrite(bundle, lambda c: c["mounts"].append(mount)), mount["destination"], "/proc")
    (bundle / "config.json").write_text(original)
    uptime = {"destination": "/proc/uptime", "type": "bind", "source": str(o.dir / "uptime"), "options": ["bind"]}
    (o.dir / "uptime").write_text("1 1\n")
    expect(o.run(rewrite(bundle, lambda c: (c["mounts"].append(uptime), args("/bin/cat", "/proc/uptime")(c)))).stdout == "1 1\n",
           "files that only report may be covered")
    (bundle / "config.json").write_text(original)
    # Whatever is at the container's /proc: a sysctl arrives in the namespace.
    rewrite(bundle, lambda c: (c["linux"].update(sysctl={"net.ipv4.ip_default_ttl": "33"}),
                               args("/bin/cat", "/proc/sys/net/ipv4/ip_default_ttl")(c)))
    expect(o.run(bundle).stdout == "33\n", "the sysctl")


# As a container with CAP_SYS_ADMIN in its user namespace would: lays one file over another, a link itself and not what it names.
LAY_OVER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, source, target = int(sys.argv[1]), sys.argv[2], sys.argv[3]
assert libc.setns(os.pidfd_open(pid), 0x10000000 | 0x20000) == 0, ctypes.get_errno()
tree = libc.syscall(428, -100, source.encode(), 1 | 0x100)
assert tree >= 0 and libc.syscall(429, tree, b"", -100, target.encode(), 4) == 0, os.strerror(ctypes.get_errno())
"""


def test_proc_of_a_user_namespace(o):
    """Where a container's /proc is masked, exec cannot mount one of its own: what it writes there must still not be led elsewhere."""
    def change(c):
        c["linux"]["namespaces"].append({"type": "user"})
        c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        for kind in ("bounding", "permitted", "effective"):
            c["process"]["capabilities"][kind].append("CAP_SYS_ADMIN")
    bundle = o.bundle("/bin/sleep", "1000", change=change)
    (bundle / "rootfs/link").symlink_to("1")
    (bundle / "rootfs/score").write_text("")
    (bundle / "rootfs/score").chmod(0o666)
    process = json.loads((bundle / "config.json").read_text())["process"]
    process.update(args=["/bin/cat", "/proc/thread-self/oom_score_adj"], oomScoreAdj=321)
    (bundle / "process.json").write_text(json.dumps(process))
    for source, target in (("/link", "/proc/self"), ("/score", "/proc/thread-self"), ("/tmp", "/proc")):
        name = started(o, bundle)
        pid = json.loads(o.do("state", name).stdout)["pid"]
        expect(o.do("exec", "--process", bundle / "process.json", name).stdout == "321\n", "as it should be")
        before = pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text()
        r = subprocess.run(["python3", "-c", LAY_OVER, str(pid), source, target], capture_output=True, text=True)
        expect(r.returncode == 0, f"the attack is none: {r.stderr}")
        o.do("exec", "--process", bundle / "process.json", name, code=None)  # it may see less, or not start
        expect(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == before, f"{source} over {target}: written to another process")
        expect((bundle / "rootfs/score").read_text() == "", "written to a file")
        o.do("delete", "--force", name)
    o.clean("after what was laid over")


def test_copy_up(o):
    """CVE-2019-14271, CVE-2018-15664, CVE-2022-23648: what is copied into a new tmpfs is the rootfs's own."""
    def change(c):
        c["mounts"].append({"destination": "/copy", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]})
    secret = o.dir / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret\n")
    bundle = o.bundle("/bin/sh", "-c", "cat /copy/own; find /copy /elsewhere | sort; cat /copy/key /copy/link/key", change=change)
    root = bundle / "rootfs"
    (root / "copy").mkdir()
    (root / "copy/own").write_text("own\n")
    (root / "copy/link").symlink_to(secret)
    (root / "copy/key").symlink_to(secret / "key")
    os.mkfifo(root / "copy/fifo")
    r = o.run(bundle, code=1)
    expect(r.stdout.startswith("own\n/copy\n") and "secret" not in r.stdout, f"{r}")
    replace(root / "copy", secret)
    r = o.run(bundle, code=None)
    expect("secret\n" not in r.stdout and sorted(p.name for p in secret.iterdir()) == ["key"], f"{r}")
    shutil.rmtree(root / str(secret)[1:], ignore_errors=True)
    (root / "deep").mkdir()
    at = root / "deep"
    for _ in range(80):
        at = at / "d"
        at.mkdir()
    replace(root / "copy", "/deep")
    denied(o, bundle, "tmpcopyup")


# ---- what is believed ----

def test_ids(o):
    """CVE-2026-30892, CVE-2024-40635: numbers that are no ids."""
    bundle = o.bundle("/bin/id", "-u")
    original = (bundle / "config.json").read_text()
    for key in ("uid", "gid"):
        for bad in (-1, 4294967295, 4294967296, 18446744073709551616, 1.5, "0", "root", True, [0]):
            (bundle / "config.json").write_text(original)
            denied(o, rewrite(bundle, lambda c: c["process"]["user"].update({key: bad})), f"user.{key}")
    for bad in (-1, 4294967295, "0"):
        (bundle / "config.json").write_text(original)
        denied(o, rewrite(bundle, lambda c: c["process"]["user"].update(additionalGids=[bad])), "additionalGids")
    (bundle / "config.json").write_text(original)
    expect(o.run(rewrite(bundle, lambda c: c["process"]["user"].update(uid=4294967294))).stdout == "4294967294\n", "the largest")
    (bundle / "config.json").write_text(original)
    name = started(o, rewrite(bundle, args("/bin/sleep", "1000")))
    for bad in ("-1", "4294967295", "4294967296", "0x0", "0 ", " 0", "+0", "", "root", "1:", ":1", "1:2:3", "1e3", "99999999999999999999"):
        r = o.do("exec", f"--user={bad}", name, "/bin/id", code=None)
        expect(r.returncode == 255 and "--user" in r.stderr, f"{bad!r}: {r}")
    expect(o.do("exec", "--user=7:8", name, "/bin/id", "-g").stdout == "8\n", "one that is right")
    o.do("delete", "--force", name)


def test_inheritable(o):
    """CVE-2022-27650."""
    show = ("/bin/grep", "-E", "Cap(Inh|Amb)", "/proc/self/status")
    none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n"
    bundle = o.bundle(*show)
    expect(o.run(bundle).stdout == none, "run")
    rewrite(bundle, lambda c: c["process"]["capabilities"].update(inheritable=["CAP_KILL"]))
    expect(o.run(bundle).stdout.startswith("CapInh:\t0000000000000020\n"), "when the configuration says so, or the test is none")
    rewrite(bundle, lambda c: (c["process"]["capabilities"].pop("inheritable"), args("/bin/sleep", "1000")(c)))
    name = started(o, bundle)
    expect(o.do("exec", "--cap=CAP_NET_RAW", name, *show).stdout == none, "exec --cap")
    o.do("delete", "--force", name)


def test_release_agent(o):
    """CVE-2022-0492."""
    look = """
for agent in /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/release_agent; do
    [ -e $agent ] && { echo there; echo /x > $agent && echo written; }
done 2>/dev/null
mkdir /c; mount -t cgroup -o memory c /c 2>/dev/null && echo mounted
unshare -UrC true 2>/dev/null && unshare -UrmC sh -c 'mount -t cgroup -o memory c /c && echo x > /c/release_agent && echo written'
for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/mine && echo made; done 2>/dev/null
echo end"""
    out = o.run(o.bundle("/bin/sh", "-c", look)).stdout.split()
    expect(out[-1] == "end" and not {"written", "mounted", "made"} & set(out), out)
    if pathlib.Path("/sys/fs/cgroup/memory/release_agent").exists():
        # The same mount writable: groups can be made, the agent of the hierarchy still not be set.
        rw = o.run(o.bundle("/bin/sh", "-c", look, change=lambda c: c["mounts"][-1].update(options=["rw"]))).stdout.split()
        expect("made" in rw and "written" not in rw, rw)


def test_sysctls(o):
    """CVE-2022-0811: one that carries another along, or is not the container's."""
    bundle = o.bundle("/bin/true")
    original = (bundle / "config.json").read_text()
    for key, value in (("net.ipv4.ip_forward", "1\nkernel.core_pattern=|/x"), ("kernel.core_pattern", "|/x"), ("kernel/core_pattern", "|/x"),
                       ("net/../kernel/core_pattern", "|/x"), ("net.ipv4/../../kernel/core_pattern", "|/x"), ("/kernel.core_pattern", "|/x"),
                       ("net.ipv4.ip_forward=1 kernel.core_pattern", "|/x"), ("", "1"), ("net", "1"), ("vm.swappiness", "1"),
                       ("net.ipv4." + "a" * 5000, "1"), ("net.ipv4.ip_forward", "1" * 5000), ("kernel.hostname", "x")):
        (bundle / "config.json").write_text(original)
        denied(o, rewrite(bundle, lambda c: c["linux"].update(sysctl={key: value})), "linux.sysctl")
    (bundle / "config.json").write_text(original)
    rewrite(bundle, lambda c: (c["linux"].update(sysctl={"net.ipv4.ip_forward": "1"}), args("/bin/cat", "/proc/sys/net/ipv4/ip_forward")(c)))
    expect(o.run(bundle).stdout == "1\n", "one that is its own")
    (bundle / "config.json").write_text(original)
    rewrite(bundle, lambda c: (c["linux"].update(namespaces=[n for n in c["linux"]["namespaces"] if n["type"] != "network"],
                                                 sysctl={"net.ipv4.ip_forward": "1"}), without(c, "/sys")))
    denied(o, bundle, "linux.sysctl", "net.ipv4.ip_forward")


def test_sockets_and_state(o):
    """CVE-2020-15257: no abstract sockets; CVE-2024-25621: nobody else reaches what is remembered."""
    def abstract():
        return {line.split()[-1] for line in pathlib.Path("/proc/net/unix").read_text().splitlines() if " @" in line}
    before = abstract()
    control = socket.socket(socket.AF_UNIX)
    control.bind("\0" + o.word)
    expect(f"@{o.word}" in abstract(), "one that is abstract is seen")
    control.close()
    name = create(o, o.bundle("/bin/true"))
    expect(not [s for s in abstract() - before if o.word in s or "proa" in s], "an abstract socket")
    for path in [o.root, *o.root.rglob("*")]:
        mode = path.lstat().st_mode & 0o777
        expect(mode == (0o700 if path.is_dir() else 0o600), f"{path} {mode:o}")
    start = o.root / name / "start.sock"
    expect(start.is_socket(), "the start socket")
    r = subprocess.run(["python3", "-c", "import os, socket, sys\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                        "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(sys.argv[1])", start], capture_output=True, text=True)
    expect("PermissionError" in r.stderr, f"{r}")
    o.do("delete", "--force", name)
    # Somebody else made the directory first, or may write to it.
    theirs = o.dir / "theirs"
    theirs.mkdir(mode=0o700)
    for change in (lambda: os.chown(theirs, 65534, 65534), lambda: (os.chown(theirs, 0, 0), os.chmod(theirs, 0o777))):
        change()
        r = subprocess.run([o.program, "--root", theirs, "run", "--bundle", o.bundle(), "x"], capture_output=True, text=True)
        expect(r.returncode == 1 and str(theirs) in r.stderr and not any(theirs.iterdir()), f"{r}")
    os.chmod(theirs, 0o700)
    link = o.dir / "link"
    link.symlink_to(theirs)
    os.lchown(link, 65534, 65534)
    r = subprocess.run([o.program, "--root", link, "list"], capture_output=True, text=True)
    r = subprocess.run([o.program, "--root", link, "run", "--bundle", o.bundle(), "x"], capture_output=True, text=True)
    expect(r.returncode == 1 and not any(theirs.iterdir()), f"{r}")
    for bad in ("../x", "a/b", "", ".", "..", "x" * 256, "a\nb", "ä"):
        expect(o.do("create", "--bundle", o.dir, bad, code=None).returncode == 1, f"id {bad!r}")


# ---- too much of it ----

def test_floods(o):
    """CVE-2026-47262, CVE-2025-64329, CVE-2022-1708: every input has a bound, and it is said which."""
    bundle = o.bundle("/bin/true")
    good = (bundle / "config.json").read_text()
    for text in ("[" * 100000, "{\"a\":" * 100000, " " * (20 << 20), good[:-1] + ',"annotations":{"a":"' + "x" * (20 << 20) + '"}}',
                 good[: len(good) // 2], ""):
        (bundle / "config.json").write_text(text)
        r = o.run(bundle, code=None)
        expect(r.returncode == 1 and "config.json" in r.stderr and len(r.stderr) < 4096, f"{len(text)} bytes: {r.stderr[-300:]}")
    (bundle / "config.json").unlink()
    (bundle / "config.json").symlink_to("/dev/zero")
    expect(o.run(bundle, code=None).returncode == 1, "a configuration without end")
    (bundle / "config.json").unlink()
    (bundle / "config.json").write_text(good)
    denied(o, rewrite(bundle, lambda c: c["mounts"].extend([{"destination": "/tmp", "type": "tmpfs"}] * 5000)), "mounts")
    (bundle / "config.json").write_text(good)
    denied(o, rewrite(bundle, lambda c: c["process"]["user"].update(additionalGids=[1] * 70000)), "additionalGids")
    (bundle / "config.json").write_text(good)
    denied(o, rewrite(bundle, lambda c: c["linux"]["resources"].update(devices=[{"allow": True, "type": "c", "major": 1, "minor": 3}] * 20000)),
              "devices")
    o.clean("after the floods")


def test_hostile_passwd(o):
    """Where HOME is looked up: nothing of it is waited for, opened for its effect or read without end."""
    bundle = o.bundle("/bin/sh", "-c", "echo $HOME")
    passwd = bundle / "rootfs/etc/passwd"
    passwd.unlink()
    os.mkfifo(passwd)
    expect(o.run(bundle).stdout == "/root\n", "a FIFO")
    passwd.unlink()
    os.mknod(passwd, 0o20666, os.makedev(1, 5))
    expect(o.run(bundle).stdout == "/root\n", "an endless device")
    passwd.unlink()
    with open(passwd, "w") as f:
        f.truncate(1 << 40)
    expect(o.run(bundle).stdout == "/root\n", "a terabyte")
    passwd.unlink()
    passwd.symlink_to("/proc/self/environ")
    o.run(bundle)
    passwd.unlink()
    passwd.write_text("x" * 100000 + ":x:0:0::" + "/y" * 5000 + ":\nroot:x:0:0::/home:\n")
    expect(o.run(bundle).stdout.startswith("/"), "long lines")


def test_fork_bomb(o):
    """With a limit it is held, and its end takes all of it along."""
    bundle = o.bundle("/bin/sh", "-c", "b() { b | b & }; b; while :; do :; done", change=lambda c: c["linux"]["resources"].update(
        pids={"limit": 40}))
    name = started(o, bundle)
    for _ in range(3):
        pids = json.loads(o.do("ps", "--format=json", name).stdout)
        expect(len(pids) <= 40, f"{len(pids)} processes")
        o.do("exec", name, "/bin/true", code=None)
    begin = time.monotonic()
    o.do("delete", "--force", name)
    expect(time.monotonic() - begin < 10, "its end")
    o.clean("after the bomb")


def test_nested_groups(o):
    """A container that may make groups below its own makes very many, deeper than anybody expects."""
    deep = """
at=/sys/fs/cgroup; [ -d $at/unified ] && at=$at/unified
cd $at || exit 1; i=0; while [ $i -lt 60 ]; do mkdir d e$i && cd d || exit 1; i=$((i+1)); done
sleep 1000 & echo $! > cgroup.procs; echo made"""
    bundle = o.bundle("/bin/sh", "-c", deep, change=lambda c: c["mounts"][-1].update(options=["rw"]))
    r = o.run(bundle)
    expect(r.stdout == "made\n", f"{r}")
    expect(not cgroups(o.word + "/"), "groups are left")
    o.clean("after nested groups")


def test_processes_frozen_below(o):
    """A container that may make groups freezes what is in one of them, deep down: its end must come all the same."""
    freeze = """
[ -d /sys/fs/cgroup/freezer ] || { echo none; exit; }
mkdir -p /sys/fs/cgroup/freezer/a/b/c; cd /sys/fs/cgroup/freezer/a/b/c || exit; sleep 1000 & echo $! > cgroup.procs
echo FROZEN > freezer.state; until grep -q FROZEN freezer.state; do :; done; echo up; exec sleep 1000"""
    for words in (("delete", "--force"), ("kill",), ("kill", "--all")):
        bundle = o.bundle("/bin/sh", "-c", freeze, change=lambda c: c["mounts"][-1].update(options=["rw"]))
        name = o.name()
        with subprocess.Popen([o.program, "--root", o.root, "run", "--bundle", bundle, name], stdout=subprocess.PIPE, text=True) as run:
            if run.stdout.readline() == "none\n":
                raise Skip("no freezer of cgroup v1")
            o.do(*words, name, *(["KILL"] * (words[0] == "kill")))
            run.wait(20)
    o.clean("after the frost")
