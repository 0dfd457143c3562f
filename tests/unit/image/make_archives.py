#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the archives of test_import.c into a directory: sound ones, damaged ones and hostile ones."""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

out = sys.argv[1]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, uid=0, gid=0, mtime=1000000000, dev=(0, 0), pax=None):
    e = tarfile.TarInfo(name)
    e.type, e.linkname, e.mode, e.uid, e.gid, e.mtime = kind, link, mode, uid, gid, mtime
    e.devmajor, e.devminor = dev
    e.size = len(data)
    if pax:
        e.pax_headers = pax
    return e, data


def tar(*entries, end=None):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=tarfile.PAX_FORMAT) as t:
        for e, data in entries:
            t.addfile(e, io.BytesIO(data))
        size = t.offset
    return b.getvalue() if end is None else b.getvalue()[:size] + end


def write(name, data):
    path = os.path.join(out, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


DIR, SYM, LNK, CHR, FIFO = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE
lower = tar(
    entry("./", DIR, mode=0o751),
    entry("./bin/", DIR, mode=0o755, mtime=1111111111),
    entry("./bin/tool", data=b"tool", mode=0o4755, uid=7, gid=8),
    entry("./bin/hard", LNK, link="./bin/tool"),
    entry("./bin/soft", SYM, link="/etc/passwd"),
    entry("./dev/zero", CHR, mode=0o666, dev=(1, 5)),
    entry("./run/pipe", FIFO, mode=0o600),
    entry("./etc/na\u00efve", data=b"x", pax={"SCHILY.xattr.trusted.overlay.opaque": "y"}),
    entry("./lib", SYM, link="usr/lib"),
    entry("./usr/lib/", DIR),
    entry("./lib/through", data=b"through a link of the layer"),
    entry("./escape", SYM, link="/../../../../../../tmp"),
    entry("./twice", data=b"first"),
    entry("./twice", data=b"second"),
    entry("./sock", SYM, link="x"),
    entry("./sock", DIR, mode=0o700),
)
upper = tar(
    entry("bin/.wh.tool"),
    entry("etc/", DIR),
    entry("etc/.wh..wh..opq"),
    entry("etc/new", data=b"new"),
    entry("kept", data=b"kept"),
    entry(".wh.kept"),
    entry(".wh..wh.plnk/1.2"),
)


def config(*layers, **more):
    c = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {
            "Entrypoint": ["/bin/tool"],
            "Cmd": ["a", "b"],
            "Env": ["A=1", "B=2"],
            "WorkingDir": "/work",
            "User": "7:8",
            "StopSignal": "SIGQUIT",
            "ExposedPorts": {"80/tcp": {}},
            "Labels": {"l": "v"},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(x) for x in layers]},
    }
    c.update(more)
    return json.dumps(c).encode()


def docker(layers, cfg=None, tags=("web:1",)):
    cfg = cfg or config(*layers)
    names = ["l%d/layer.tar" % i for i in range(len(layers))]
    manifest = [{"Config": sha(cfg) + ".json", "RepoTags": list(tags), "Layers": names}]
    return tar(
        *[entry(n, data=x) for n, x in zip(names, layers)],
        entry(sha(cfg) + ".json", data=cfg),
        entry("manifest.json", data=json.dumps(manifest).encode()),
    )


def oci_files(layers, plain, name=None, platforms=None, break_blob=None):
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def blob(data, kind):
        files["blobs/sha256/" + sha(data)] = data
        return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sha(data), "size": len(data)}

    def manifest(arch):
        cfg = blob(config(*plain, architecture=arch), "config.v1+json")
        ls = [blob(x, "layer.v1.tar") for x in layers]
        return blob(json.dumps({"schemaVersion": 2, "config": cfg, "layers": ls}).encode(), "manifest.v1+json")

    if platforms:
        inner = [dict(manifest(a), platform={"os": "linux", "architecture": a}) for a in platforms]
        top = blob(json.dumps({"schemaVersion": 2, "manifests": inner}).encode(), "index.v1+json")
    else:
        top = manifest("amd64")
    if name:
        top["annotations"] = {"io.containerd.image.name": name}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()
    if break_blob is not None:
        key = "blobs/sha256/" + sha(layers[break_blob])
        files[key] = files[key][:-1] + b"!"
    return files


def oci_tar(files):
    return tar(*[entry(n, data=d) for n, d in files.items()])


write("docker.tar", docker([lower, upper]))
write("docker.tar.gz", gzip.compress(docker([lower, upper])))
zipped = [gzip.compress(lower), gzip.compress(upper)]
files = oci_files(zipped, [lower, upper], "ghcr.io/a/b:v2")
write("oci.tar", oci_tar(files))
for n, d in files.items():
    write("layout/" + n, d)
write("multi.tar", oci_tar(oci_files(zipped, [lower, upper], "multi:1", ["s390x", "amd64", "arm64"])))
write("foreign.tar", oci_tar(oci_files(zipped, [lower, upper], "foreign:1", ["s390x"])))
write("rootfs.tar", lower)

# Damaged: digests, counts, truncation.
write("bad-blob.tar", oci_tar(oci_files([lower, upper], [lower, upper], "bad:1", break_blob=0)))
write("bad-diffid.tar", docker([lower], config(upper)))
write("bad-count.tar", docker([lower], config(lower, upper)))
write("bad-truncated.tar", docker([lower, upper])[:9000])
write("bad-json.tar", tar(entry("manifest.json", data=b"[{]")))
write("bad-missing.tar", tar(entry("manifest.json", data=b'[{"Config":"nowhere.json","Layers":[]}]')))
write("bad-outside.tar", tar(entry("manifest.json", data=b'[{"Config":"../../../etc/passwd","Layers":[]}]')))
write("bad-garbage.tar", b"this is no archive of any kind" * 100)
write("bad-second.tar", docker([lower, tar(entry("../evil", data=b"x"))]))
loop = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b'{"manifests":[{"digest":"sha256:zz"}]}'}
write("bad-digest.tar", oci_tar(loop))

# Hostile root filesystems: each must be refused (evil-*), or do no harm (harmless-*).
write("evil-dotdot.tar", tar(entry("a/../../../evil", data=b"x")))
write("evil-hardlink-out.tar", tar(entry("link", LNK, link="../../../../etc/passwd")))
write("evil-hardlink-abs.tar", tar(entry("link", LNK, link="/etc/passwd")))
write("evil-hardlink-through.tar", tar(entry("out", SYM, link="/"), entry("link", LNK, link="out/etc/passwd")))
write("evil-whiteout-device.tar", tar(entry("x", CHR, dev=(0, 0))))
write("evil-whiteout-dotdot.tar", tar(entry("etc/.wh..."), ))
write("evil-root-file.tar", tar(entry("./", data=b"x")))
write("evil-file-as-dir.tar", tar(entry("f", data=b"x"), entry("f/g", data=b"y")))
write("evil-loop.tar", tar(entry("a", SYM, link="b"), entry("b", SYM, link="a"), entry("a/x", data=b"y")))
write("evil-deep.tar", tar(entry("d/" * 300 + "x", data=b"y")))
write("evil-long.tar", tar(entry("n" * 300, data=b"y")))
big, _ = entry("big")
big.size = 1 << 50
write("evil-huge.tar", big.tobuf(tarfile.PAX_FORMAT) + b"\0" * 1024)
write("evil-hardlink-dir.tar", tar(entry("d", DIR), entry("link", LNK, link="d")))
write("evil-hardlink-itself.tar", tar(entry("link", LNK, link="link")))
write("evil-root-link.tar", tar(entry(".", SYM, link="/tmp")))
write("evil-under-device.tar", tar(entry("null", CHR, dev=(1, 3)), entry("null/x", data=b"x")))
write("evil-whiteout-root.tar", tar(entry("a/.wh..", data=b"")))
write("evil-owner.tar", tar(entry("f", uid=1 << 40, data=b"x")))
zero_end = b"\0" * 1024


def header(**fields):
    """A header with fields that tarfile would not write: name -> (offset, bytes)."""
    h = bytearray(entry("f")[0].tobuf(tarfile.GNU_FORMAT)[:512])
    for at, value in fields.values():
        h[at:at + len(value)] = value
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)


write("evil-negative.tar", header(size=(124, b"\xff" * 12)) + zero_end)
write("evil-size-beyond.tar", header(size=(124, b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7)) + zero_end)
write("evil-header-chain.tar.gz", gzip.compress(tarfile.TarInfo.create_pax_global_header({"a": "b"}) * 10000 + lower))
write("evil-header-huge.tar.gz", gzip.compress(tar(entry("f", pax={"comment": "x" * (8 << 20)})), 1))
write("evil-xattrs.tar.gz", gzip.compress(tar(entry("f", pax={"SCHILY.xattr.user.%d" % i: "x" * 60000 for i in range(40)}))))
# Maps of sparse files, which libarchive keeps in memory: from a program's point of view 78 kB became a gigabyte.
sparse_map = (b"%d\n" % 2000000) + b"0\n0\n" * 2000000
sparse_map += b"\0" * (-len(sparse_map) % 512)
write("evil-sparse-map.tar.gz", gzip.compress(tar(entry("s", data=sparse_map, pax={
    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "1"})), 1))
more = (b"00000000000\0" * 2) * 21 + b"\1" + b"\0" * 7
old = header(kind=(156, b"S"), map=(386, b"00000000000\0" * 2), more=(482, b"\1"), real=(483, b"00000000001\0"))
write("evil-sparse-old.tar.gz", gzip.compress(old + more * 100000 + zero_end, 1))
write("evil-sparse-size.tar", tar(entry("s", data=b"1\n0\n0\n" + b"\0" * 506, pax={
    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": str(1 << 50)})))
deep = entry("/".join(["n" * 250] * 14) + "/", DIR)[0].tobuf(tarfile.GNU_FORMAT)
write("evil-directories.tar.gz", gzip.compress(deep * 25000 + zero_end, 1))


def zstd(data, block=100000):
    """A frame of stored blocks (RFC 8878)."""
    at = range(0, len(data), block)
    blocks = [(data[i:i + block], i + block >= len(data)) for i in at] or [(b"", True)]
    return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join((len(d) << 3 | last).to_bytes(3, "little") + d for d, last in blocks)


# Blocks of one byte repeated, after the archive's end, so that nothing but time could be lost.
run = (131072 << 3 | 2).to_bytes(3, "little") + b"\0"
bomb = b"\x28\xb5\x2f\xfd\x00\x58" + run * 9000 + (1).to_bytes(3, "little")
write("evil-ratio.tar.zst", zstd(lower) + bomb)

# Sound, and rarely seen: several members and frames, frames to be skipped (zstd:chunked, eStargz), nothing but directories.
half = len(lower) // 1024 * 512
skip = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
write("sound-members.tar.gz", gzip.compress(lower[:half]) + gzip.compress(lower[half:]) + gzip.compress(b""))
write("sound-frames.tar.zst", zstd(lower[:half]) + skip + zstd(lower[half:]) + skip)
write("bad-gzip-garbage.tar", docker([gzip.compress(lower) + b"garbage after it"], config(lower)))
write("bad-gzip-cut.tar", docker([gzip.compress(lower)[:-6]], config(lower)))
write("odd.tar", tar(
    entry("/abs/olute", data=b"x"),
    entry("dir", DIR), entry("dir/own", data=b"1"), entry(".wh.dir"),
    entry(".wh.later"), entry("later", DIR), entry("later/own", data=b"1"),
    entry(".wh.file"), entry("file", data=b"1"),
    entry("a/b/c/.wh.d"), entry("a/b/c/.wh..wh..opq"), entry("missing/.wh..wh..opq"),
    entry("user", data=b"x", pax={"SCHILY.xattr.user.overlay.redirect": "/etc", "SCHILY.xattr.user.mine": "yes"}),
    entry("times", data=b"x", mtime=1 << 40), entry("past", data=b"x", mtime=-(1 << 40)),
    end=header(name=(0, b"l\xe4tin\0")) + zero_end))
write("opaque-root.tar", docker([lower, tar(entry(".wh..wh..opq"), entry("alone", data=b"x"))]))
write("harmless-symlink.tar", tar(
    entry("out", SYM, link="/"), entry("out/evil-marker", data=b"x"),
    entry("up", SYM, link="../../../../../.."), entry("up/evil-marker2", data=b"x"),
    entry("proc", SYM, link="/proc/self/root"), entry("f", SYM, link="/evil-marker3"), entry("f", data=b"own")))
