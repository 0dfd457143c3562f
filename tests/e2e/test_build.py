# SPDX-License-Identifier: Apache-2.0
"""`proa image build`, without a cluster: what Dockerfiles say is done, once, and nothing else is left."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from harness import ROOT, Failed, expect, run


class Builder:
    """A store of its own with busybox in it, and a network namespace for RUN."""

    def __init__(self, build):
        self.proa = ROOT / build / "proa"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-build."))
        self.data = self.dir / "data"
        self.netns = "pb-" + self.dir.name[-6:]

    def start(self):
        run([ROOT / "tools/netns", "up", self.netns])
        run([ROOT / "tools/make-image", self.dir / "busybox.tar"])
        self.load(self.data)

    def load(self, data):
        run([self.proa, "image", "import", self.dir / "busybox.tar", "--name=busybox:demo", f"--data-dir={data}"])

    def stop(self):
        left = [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob("**/proa-build-*")]
        left += [str(p) for p in pathlib.Path("/run/proa-build").glob("*")]
        left += [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.dir) in line]
        run([ROOT / "tools/netns", "down", self.netns])
        shutil.rmtree(self.dir, ignore_errors=True)
        expect(not left, "left behind: " + "; ".join(left))

    def context(self, **files):
        """A new directory with a Dockerfile and other files: {name: text}, slashes written as __."""
        at = pathlib.Path(tempfile.mkdtemp(dir=self.dir))
        for name, text in files.items():
            path = at / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return at

    def command(self, context, *words, data=None):
        return [str(w) for w in (ROOT / "tools/netns", "exec", self.netns, self.proa, "image", "build", *words,
                                 f"--data-dir={data or self.data}", context)]

    def build(self, context, *words, env=None, data=None, check=True):
        """(image id, what was told)"""
        r = subprocess.run(self.command(context, *words, data=data), capture_output=True, text=True,
                           env=dict(os.environ, **(env or {})), timeout=120)
        if check and r.returncode != 0:
            raise Failed(f"build {' '.join(map(str, words))}: exit {r.returncode}\n{r.stderr[-3000:]}")
        return r.stdout.strip(), r.stderr

    def refused(self, dockerfile, *words):
        context = self.context(Dockerfile=dockerfile)
        id, told = self.build(context, *words, check=False)
        expect(not id, "was built: " + dockerfile)
        return told.strip().splitlines()[-1]


def make(build):
    return Builder(build)


def test_stages_and_files(b):
    c = b.context(Dockerfile="""ARG BASE=nothing
FROM ${BASE} AS one
WORKDIR /src/app
COPY . .
RUN test ! -e secret.key && test -f keep/secret.key && echo made > out
RUN <<EOF
set -e
test "$(pwd)" = /src/app
printf 'two\\n' >> out
EOF
FROM busybox:demo AS unused
RUN exit 1
FROM busybox:demo
ENV A=1
ENV A=2 B=$A C="x  y"
ARG D=d
COPY --from=one --chown=nobody --chmod=0640 /src/app/out /opt/deep/
COPY --from=0 /src/app/dir/ /opt/dir
COPY dir/*.txt single.sh /opt/all/
COPY single.sh /opt/renamed
COPY <<X <<"Y" /opt/docs/
a $B
X
a $B
Y
ADD files.tgz /opt/unpacked/
RUN ["/bin/sh", "-ec", "\\
test $A-$B-\\"$C\\"-$D = '2-1-x  y-d' ; \\
test \\"$(stat -c '%u:%g %a' /opt/deep/out)\\" = '65534:65534 640' ; \\
test \\"$(cat /opt/deep/out)\\" = \\"$(printf 'made\\\\ntwo')\\" ; \\
test \\"$(ls /opt/dir /opt/all | tr '\\\\n' ' ')\\" = '/opt/all: a.txt b.txt single.sh  /opt/dir: a.txt b.txt sub ' ; \\
test \\"$(cat /opt/docs/X /opt/docs/Y | tr '\\\\n' ' ')\\" = 'a 1 a $B ' ; \\
test -x /opt/renamed ; test \\"$(cat /opt/unpacked/in/tar)\\" = packed ; test -d /tmp && test \\"$(stat -c %a /tmp)\\" = 1777"]
""", **{".dockerignore": "**/*.key\n!keep/*.key\n", "secret.key": "s", "keep__secret.key": "s", "dir__a.txt": "a", "dir__b.txt": "b",
        "dir__sub__c": "c", "single.sh": "#!/bin/sh\n", "in__tar": "packed"})
    (c / "single.sh").chmod(0o755)
    run(["tar", "-C", c, "-czf", c / "files.tgz", "in/tar"])
    id, told = b.build(c, "-t", "app:1", "-t", "app:2", "--build-arg", "BASE=busybox:demo", "--label", "x=y")
    expect(id.startswith("sha256:") and "exit 1" not in told, told)
    listed = run([b.proa, "image", "list", f"--data-dir={b.data}"])
    expect(listed.count(id[7:19]) == 2 and "<none>" not in listed, listed)
    expect("<none>" in run([b.proa, "image", "list", "--all", f"--data-dir={b.data}"]), "steps of the build")


def test_configuration(b):
    c = b.context(Dockerfile="""FROM busybox:demo
SHELL ["/bin/sh", "-exc"]
ENV OLD form with  blanks
LABEL a=1 b="2 3"
EXPOSE 80 90-91/udp
VOLUME ["/data"]
VOLUME /x /y
USER nobody:nogroup
STOPSIGNAL SIGQUIT
WORKDIR /a
WORKDIR b
CMD one two
ENTRYPOINT ["/bin/entry"]
HEALTHCHECK --interval=1m30s --retries=3 CMD ["true"]
ONBUILD RUN echo triggered > /onbuild
MAINTAINER somebody
""")
    b.build(c, "-t", "conf:1")
    text = run([b.proa, "image", "inspect", "conf:1", f"--data-dir={b.data}"])
    for part in ('"OLD=form with  blanks"', '"b": "2 3"', '"90/udp"', '"91/udp"', '"/y"', '"nobody:nogroup"', '"SIGQUIT"',
                 '"WorkingDir": "/a/b"', '"one two"', '"/bin/entry"', '90000000000', '"RUN echo triggered'):
        expect(part in text, f"{part} is not in {text}")
    c = b.context(Dockerfile="FROM conf:1\nUSER root\nRUN test \"$(cat /onbuild)\" = triggered && test \"$PWD\" = /a/b\n")
    told = b.build(c, check=False)[1]
    expect("nonexistent" not in told, told)


def test_cache_and_reproducible(b):
    c = b.context(Dockerfile="FROM busybox:demo\nCOPY first /\nRUN date +%N > /time\nCOPY second /\nRUN false || cat /second\n", first="1",
                  second="1")
    id, told = b.build(c, "-t", "cached:1")
    expect("cached" not in told, told)
    again, told = b.build(c)
    expect(again == id and told.count("  cached") == 4, told)
    os.utime(c / "first", (1, 1))
    (c / "second").write_text("2")
    other, told = b.build(c)
    expect(other != id and told.count("  cached") == 2, told)
    (c / "Dockerfile").write_text((c / "Dockerfile").read_text() + "RUN exit 3\n")
    told = b.build(c, check=False)[1]
    expect(told.count("  cached") == 4 and "returned a non-zero code: 3" in told and "line 6: RUN" in told, told)
    run([b.proa, "image", "prune", f"--data-dir={b.data}"])
    # From other places, at another time.
    ids = []
    for n in range(2):
        c = b.context(Dockerfile="FROM busybox:demo\nCOPY . /x\nRUN mkdir /y && touch /y/z && ln /y/z /y/w\nCMD x\n", a="1", sub__b="2")
        data = b.dir / f"data{n}"
        b.load(data)
        ids.append(b.build(c, "--no-cache", env={"SOURCE_DATE_EPOCH": "1000000000"}, data=data)[0])
    expect(ids[0] == ids[1], f"{ids}")


def test_mounts(b):
    c = b.context(Dockerfile="""FROM busybox:demo
ARG N
RUN --mount=type=cache,target=/cache,id=one echo $N >> /cache/n; cat /cache/n > /seen
RUN --mount=type=secret,id=key test "$(wc -c < /run/secrets/key)" = 13
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
RUN --mount=type=bind,source=sub,target=/mnt/bound test "$(cat /mnt/bound/file)" = bound && ! touch /mnt/bound/x
RUN --mount=type=tmpfs,target=/fast echo x > /fast/x
RUN --mount=type=bind,from=busybox:demo,source=/bin,target=/mnt/bin test -e /mnt/bin/busybox
RUN --network=none ip link | grep -q 'lo:' && test "$(ip link | grep -c mtu)" = 1
RUN test ! -e /cache && test ! -e /mnt && test ! -e /fast && test ! -e /run/secrets
RUN <<EOF
#!/bin/busybox sh
echo "$0" | grep -q script
EOF
""", sub__file="bound", key="q8Zr-not-kept")
    for n in ("1", "2"):
        b.build(c, "--build-arg", "N=" + n, "--secret", f"id=key,src={c}/key")
    c = b.context(Dockerfile="""FROM busybox:demo
RUN --mount=type=cache,target=/c,id=one test "$(cat /c/n | tr '\\n' ' ')" = "1 2 "
""")
    b.build(c)
    store = run(["grep", "-rl", "q8Zr-not-kept", b.data / "agent/images"], check=False)
    expect(not store, "the secret is in " + store)


def test_writable_binds(b):
    """What RUN writes to them is gone with it."""
    b.build(b.context(Dockerfile="""FROM busybox:demo
RUN --mount=type=bind,source=src,target=/ctx,rw echo new > /ctx/new && rm /ctx/a && test "$(ls /ctx)" = new
RUN --mount=type=bind,source=src/a,target=/one,readwrite echo more >> /one && test "$(cat /one)" = "$(printf 'a\\nmore')"
RUN --mount=type=bind,source=src,target=/ctx test "$(ls /ctx)" = a && test "$(cat /ctx/a)" = a
RUN --mount=type=ssh test -z "$SSH_AUTH_SOCK"
RUN test ! -s /one && test ! -e /ctx/new
""", src__a="a\n"))


def test_as_people_write_them(b):
    c = b.context(Dockerfile="""\ufeff# syntax=docker/dockerfile:1
# check=skip=all
ARG TAG=demo
FROM --platform=$BUILDPLATFORM busybox:${TAG:-none} AS build
ARG TARGETPLATFORM TARGETARCH BUILDPLATFORM
ARG VERSION=v1.2.3
ENV A=${VERSION#v} B=${VERSION%.*} C=${VERSION##*.} D=${VERSION%%.*} E=${VERSION//./_} F=${VERSION/1/9} G=${VERSION:+set} H=${NOT:-else}
ENV LEGACY a  b
RUN test "$TARGETPLATFORM $TARGETARCH" = "linux/amd64 amd64" && \\
    # a comment within

    test "$A $B $C $D $E $F $G $H" = "1.2.3 v1.2 3 v1 v1_2_3 v9.2.3 set else" && \\
    test "$LEGACY" = "a  b"
RUN <<-"EOT" sh
\techo "no $expansion" > /quoted
EOT
COPY <<EOT /conf
version=${VERSION}
EOT
COPY --chmod=u=rwX,go=rX src/ /sym/
COPY --parents a/./b/c/f.txt src/**/*.txt /parents/
COPY --exclude=*.txt --exclude=sub/deep src/ /excluded/
COPY --exclude=*.txt src/* /matched/
COPY --link --chown=7:8 src/one.txt /linked
ADD --unpack=false f.tgz /packed/
RUN set -e; test "$(cat /quoted)" = 'no '; test "$(cat /conf)" = version=v1.2.3; \\
    test "$(stat -c %a /sym/one.txt /sym/run.sh /sym/sub | tr '\\n' ' ')" = '644 755 755 '; \\
    test "$(cd /parents && find . -type f | sort | tr '\\n' ' ')" = './b/c/f.txt ./src/one.txt ./src/sub/deep/three.txt ./src/sub/two.txt '; \\
    test "$(cd /excluded && find . -type f | sort | tr '\\n' ' ')" = './run.sh ./sub/two.txt '; \\
    test "$(cd /matched && find . -type f | sort | tr '\\n' ' ')" = './deep/three.txt ./run.sh '; \\
    test "$(stat -c %u:%g /linked)" = 7:8; test -f /packed/f.tgz
SHELL ["/bin/sh", "-ec"]
RUN test -f /conf; ! false

FROM build AS base
ONBUILD COPY src/one.txt /onbuild
ONBUILD RUN test -f /onbuild

FROM base
RUN test -f /onbuild
EXPOSE 80 53/udp 8000-8002
VOLUME /data /more
HEALTHCHECK --interval=5s --start-interval=1s --retries=2 CMD wget -q http://localhost/ || exit 1
STOPSIGNAL SIGQUIT
WORKDIR /app
WORKDIR sub
USER 1000:1000
CMD ["/bin/sh", "-c", "pwd"]
""")
    for path, text in (("src/one.txt", "1"), ("src/run.sh", "#!/bin/sh\n"), ("src/sub/two.txt", "2"), ("src/sub/deep/three.txt", "3"),
                       ("a/b/c/f.txt", "f")):
        (c / path).parent.mkdir(parents=True, exist_ok=True)
        (c / path).write_text(text)
    (c / "src/one.txt").chmod(0o600)
    (c / "src/run.sh").chmod(0o700)
    run(["tar", "-C", c, "-czf", c / "f.tgz", "src"])
    (c / "Dockerfile").write_text((c / "Dockerfile").read_text().replace("RUN test -f /conf; ! false\n", "RUN test -f /conf; ! false\r\n"))
    id = b.build(c, "-t", "people:1")[0]
    config = json.loads(run([b.proa, "image", "inspect", f"--data-dir={b.data}", id]))[0]["config"]
    expect(set(config["ExposedPorts"]) == {"80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp"}, config["ExposedPorts"])
    expect(set(config["Volumes"]) == {"/data", "/more"} and config["WorkingDir"] == "/app/sub" and config["User"] == "1000:1000", config)
    expect(config["Healthcheck"]["StartInterval"] == 10**9 and config["StopSignal"] == "SIGQUIT", config)


def test_nothing_leads_outside(b):
    c = b.context(Dockerfile="FROM busybox:demo\nCOPY link /x\n", a="1")
    (c / "link").symlink_to("/etc/hostname")
    expect("not found" in b.build(c, check=False)[1], "a link in the context was followed to the host")
    (c / "Dockerfile").write_text("FROM busybox:demo\nCOPY ../../../../etc/hostname /x\n")
    expect("not found" in b.build(c, check=False)[1], "a path left the context")
    marker = b.dir / "marker"
    # A link in the image is followed inside the image.
    c = b.context(Dockerfile=f"FROM busybox:demo\nRUN ln -s {b.dir} /out\nCOPY a /out/marker\nRUN test -f {marker}\n", a="1")
    b.build(c)
    expect(not marker.exists(), "a link in the image led to the host")


def test_errors_name_the_place(b):
    for dockerfile, wanted in (
            ("FROM busybox:demo\nFROB x\n", "line 2: unknown instruction: FROB"),
            ("RUN x\n", "line 1: RUN: no build stage"),
            ("FROM busybox:demo\n\nCOPY nothing /x\n", "line 3: COPY: nothing: not found"),
            ("FROM busybox:demo\nCOPY a b /x\n", "must be a directory and end with a /"),
            ("FROM busybox:demo\nUSER nobody2\nRUN true\n", "nobody2"),
            ("FROM busybox:demo\nRUN [\"/no/such\"]\n", "line 2: RUN"),
            ("FROM busybox:demo\nENV ${a:?is needed}\n", "line 2: ENV"),
            ("FROM busybox:demo\nRUN --mount=type=ssh,required=true true\n", "line 2: RUN: ssh: no agent"),
            ("FROM busybox:demo\nCOPY --chmod=u+q a /x\n", "line 2: COPY: --chmod must be"),
            ("FROM busybox:demo\nADD https://example.com/a/b.git#main /x\n", "line 2: ADD: https://example.com/a/b.git#main is a git repository"),
            ("FROM busybox:demo\nADD git@example.com:a/b.git /x\n", "is a git repository"),
            ("FROM $NOPE\n", "line 1: FROM: base name ($NOPE) should not be blank"),
            ("FROM busybox:demo\nCOPY --from=later /x /y\nFROM busybox:demo AS later\n", "later"),
            ("FROM scratch\nRUN true\n", "line 2: RUN")):
        words = ["--target", "0"] if "later" in dockerfile else []
        told = b.refused(dockerfile, *words)
        expect(wanted in told, f"{dockerfile!r}: {told}")
    expect("no build stage \"x\"" in b.refused("FROM busybox:demo\n", "--target", "x"), "a target that isn't there")


def test_killed(b):
    """SIGKILL in a RUN: the next build ends what was left, and goes on from the steps that were done."""
    c = b.context(Dockerfile="FROM busybox:demo\nRUN echo a > /a\nRUN echo started && sleep 1000\n")
    process = subprocess.Popen(b.command(c), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line == "started\n":
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    (c / "Dockerfile").write_text("FROM busybox:demo\nRUN echo a > /a\nRUN test -f /a\n")
    told = b.build(c)[1]
    expect(told.count("  cached") == 1, told)


def test_interrupted(b):
    c = b.context(Dockerfile="FROM busybox:demo\nRUN echo started && sleep 1000\n")
    process = subprocess.Popen(b.command(c), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line == "started\n":
            break
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    expect(process.wait(20) != 0 and time.monotonic() - begin < 10, "an interrupted build ends soon")
    expect("interrupted" in process.stderr.read(), "and says why")
