# SPDX-License-Identifier: Apache-2.0
"""What a list of mounts can say beyond single ones: sources in the container itself, attributes of whole trees, mapped ids."""
import contextlib
import os
import shutil
import subprocess

from bundle import Skip, expect


def mountinfo(text):
    """Mount point to its own options."""
    return {line.split()[4]: set(line.split()[5].split(",")) for line in text.splitlines()}


@contextlib.contextmanager
def tree(o, options="defaults"):
    """A directory of the host with a tmpfs in it, and a file of user 0 in both."""
    top = o.dir / "tree"
    (top / "sub").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", top / "sub"], check=True)
    try:
        for at in (top, top / "sub"):
            with contextlib.suppress(OSError):
                (at / "file").write_text("")
        yield top
    finally:
        subprocess.run(["umount", top / "sub"], check=True)
        (top / "file").unlink()
        (top / "sub").rmdir()
        top.rmdir()


def bind(source, *options, at="/mnt", **more):
    return {"destination": at, "source": str(source), "options": ["rbind", *options], **more}


def test_sources_in_the_root(o):
    """A source below the root is what the mounts before it have made of it, however it is spelled."""
    for user_ns in (False, True):
        def change(c):
            rootfs = o.dir / f"bundle{o.n}" / "rootfs"
            for name in ("two", "three", "four"):  # another's root file system: a user namespace makes none in it
                (rootfs / "tmp" / name).mkdir()
            c["mounts"] += [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["mode=0777"]},
                            bind(rootfs / "mnt", at="/tmp/two"), bind("rootfs/tmp/two", at="/tmp/three"),
                            bind(f"{rootfs}/../rootfs/./tmp//three", at="/tmp/four"),
                            bind(rootfs / "tmp", "ro", at="/run")]
            if user_ns:
                c["linux"]["namespaces"].append({"type": "user"})
                c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        r = o.run(o.bundle("/bin/sh", "-c", "echo chained > /tmp/four/x; cat /mnt/x /tmp/two/x /run/three/x /run/four/x; "
                           "touch /run/y 2>&1; touch /run/four/y && ls /mnt", change=change), code=None)
        expect(r.stdout == "chained\n" * 4 + "touch: /run/y: Read-only file system\nx\ny\n", f"user namespace {user_ns}: {r}")
    r = o.refused(o.bundle(change=lambda c: c["mounts"].append(bind("rootfs/mnt/nothing"))), "mount at /mnt", "no such file")
    expect("nothing" in r.stderr, r.stderr)


def test_sources_that_links_lead_to(o):
    """A link of the container in such a source stays in it."""
    (o.dir / "secret").mkdir()
    (o.dir / "secret/file").write_text("of the host")

    def change(c):
        rootfs = o.dir / f"bundle{o.n}" / "rootfs"
        (rootfs / "way").symlink_to(o.dir)
        c["mounts"].append(bind(rootfs / "way/secret"))
    r = o.run(o.bundle("/bin/cat", "/mnt/file", change=change), code=None)
    expect(r.returncode and "of the host" not in r.stdout, f"{r}")


def test_over_the_root(o):
    """What is mounted at / is the container's root, for the mounts after it too; it was without effect."""
    other = o.dir / "other"
    shutil.copytree(o.dir / "base", other, symlinks=True)
    (other / "here").write_text("other")
    for flags in ((), ("--no-pivot",)):
        for at in ("/", "/..", "/proc/../tmp/.."):
            def change(c):
                c["mounts"].insert(0, bind(other, at=at))
                c["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})
                c["root"]["readonly"] = True
            r = o.do("run", *flags, "--bundle", o.bundle("/bin/sh", "-c", "cat /here; touch /x /mnt/x 2>&1; ls /mnt /proc/1/stat", change=change), o.name())
            expect(r.stdout == "othertouch: /x: Read-only file system\n/proc/1/stat\n\n/mnt:\nx\n", f"{flags} {at}: {r}")
    o.clean("after other roots")


RECURSIVE = {"rro": "ro", "rnosuid": "nosuid", "rnodev": "nodev", "rnoexec": "noexec", "rnodiratime": "nodiratime", "rnoatime": "noatime",
             "rnosymfollow": "nosymfollow", "rrelatime": "relatime"}
OPPOSITE = {"rrw": "ro", "rsuid": "nosuid", "rdev": "nodev", "rexec": "noexec", "rdiratime": "nodiratime", "ratime": "noatime",
            "rstrictatime": "noatime"}


def test_recursive_attributes(o):
    def seen(top, *options):
        return mountinfo(o.run(o.bundle("/bin/cat", "/proc/self/mountinfo", change=lambda c: c["mounts"].append(bind(top, *options)))).stdout)
    with tree(o) as top:
        for option, flag in RECURSIVE.items():
            shown = seen(top, option)
            expect(flag in shown["/mnt"] and flag in shown["/mnt/sub"], f"{option}: {shown['/mnt']} {shown['/mnt/sub']}")
            if flag == "relatime":
                continue
            shown = seen(top, option[1:])
            expect(flag in shown["/mnt"] and flag not in shown["/mnt/sub"], f"{option[1:]}: {shown['/mnt']} {shown['/mnt/sub']}")
        shown = seen(top, "rro", "rw")
        expect("rw" in shown["/mnt"] and "ro" in shown["/mnt/sub"], f"rro,rw: {shown}")
        shown = seen(top, "ro", "rnosuid", "noexec")
        expect({"ro", "nosuid", "noexec"} <= shown["/mnt"] and shown["/mnt/sub"] >= {"rw", "nosuid"} and "noexec" not in shown["/mnt/sub"], f"{shown}")
    with tree(o, "ro,nosuid,nodev,noexec,noatime,nodiratime") as top:
        for option, flag in OPPOSITE.items():
            shown = seen(top, option)
            expect(flag not in shown["/mnt/sub"], f"{option}: {shown['/mnt/sub']}")
            kept = {"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"} - {flag}
            expect(kept <= shown["/mnt/sub"], f"{option} takes no more than its own away: {shown['/mnt/sub']}")
    o.clean("after recursive attributes")


def owners(o, mount, user_ns=False):
    """The owner of the file at the top and of that in the mount below it, and what a file made there belongs to on the host."""
    def change(c):
        c["mounts"].append(mount)
        if user_ns:
            c["linux"]["namespaces"].append({"type": "user"})
            c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
    r = o.run(o.bundle("/bin/stat", "-c", "%u:%g", "/mnt/file", "/mnt/sub/file", change=change), code=None)
    if "invalid argument" in r.stderr:
        raise Skip("a file system here has no mapped ids")
    expect(r.returncode == 0, f"{r}")
    return r.stdout.split()


def test_mapped_ids(o):
    maps = {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}], "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]}
    with tree(o) as top:
        expect(owners(o, bind(top, **maps)) == ["1000:2000", "0:0"], "the top alone")
        expect(owners(o, bind(top, "idmap", **maps)) == ["1000:2000", "0:0"], "idmap is the same")
        expect(owners(o, bind(top, "ridmap", **maps)) == ["1000:2000", "1000:2000"], "all of the tree")
        expect(owners(o, bind(top), user_ns=True) == ["65534:65534"] * 2, "unmapped")
        expect(owners(o, bind(top, "ridmap"), user_ns=True) == ["0:0", "0:0"], "as the container's own")
        mount = bind(top, "ridmap", "ro", "rnosuid", **maps)
        shown = mountinfo(o.run(o.bundle("/bin/cat", "/proc/self/mountinfo", change=lambda c: c["mounts"].append(mount))).stdout)
        expect({"ro", "nosuid", "idmapped"} <= shown["/mnt"] and "nosuid" in shown["/mnt/sub"], f"with attributes: {shown}")

        def write(c):
            c["mounts"].append(bind(top, "ridmap"))
            for kind in c["process"]["capabilities"].values():
                kind.append("CAP_CHOWN")
            c["linux"]["namespaces"].append({"type": "user"})
            c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        o.run(o.bundle("/bin/sh", "-c", "echo > /mnt/sub/new; chown 7:8 /mnt/sub/new", change=write))
        st = os.stat(top / "sub/new")
        expect((st.st_uid, st.st_gid) == (7, 8), f"what is written: {st}")

        def within(c):
            rootfs = o.dir / f"bundle{o.n}" / "rootfs"
            c["mounts"] += [bind(top, at="/tmp"), bind(rootfs / "tmp", "ridmap", **maps)]
        shown = o.run(o.bundle("/bin/stat", "-c", "%u:%g", "/mnt/file", "/mnt/sub/file", change=within), code=None)
        expect(shown.stdout.split() == ["1000:2000"] * 2, f"a source in the root: {shown}")
    o.refused(o.bundle(change=lambda c: c["mounts"].append(bind(o.dir, uidMappings=maps["uidMappings"]))), "go together")
    o.refused(o.bundle(change=lambda c: c["mounts"].append(bind(o.dir, "idmap"))), "idmap needs mappings")
    o.refused(o.bundle(change=lambda c: c["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["idmap"]})),
              "only bind mounts")
    o.clean("after mapped ids")
