# SPDX-License-Identifier: Apache-2.0
"""`proa run` and its companions: containers without a cluster."""
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import urllib.request

from harness import ROOT, expect, run


class Host:
    """A store with busybox in it, in a network namespace of its own."""

    def __init__(self, build):
        self.proa = ROOT / build / "proa"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="proa-run."))
        self.data = self.dir / "data"
        self.netns = "pr-" + self.dir.name[-6:]

    def start(self):
        run([ROOT / "tools/netns", "up", self.netns])
        self.address = run([ROOT / "tools/netns", "address", self.netns]).strip()
        run([ROOT / "tools/make-image", self.dir / "busybox.tar"])
        run([self.proa, "image", "import", self.dir / "busybox.tar", "--name=busybox:demo", f"--data-dir={self.data}"])

    def stop(self):
        for id in self.do("ps", "-aq").stdout.split():
            self.do("rm", "-f", id)
        left = [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob("**/proa-run-*")]
        left += [str(p) for p in (self.data / "agent/containers").glob("*")]
        left += [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.dir) in line]
        run([ROOT / "tools/netns", "down", self.netns])
        shutil.rmtree(self.dir, ignore_errors=True)
        expect(not left, "left behind: " + "; ".join(left))

    def command(self, verb, *words):
        return [str(w) for w in (ROOT / "tools/netns", "exec", self.netns, self.proa, verb, f"--data-dir={self.data}", *words)]

    def do(self, verb, *words, code=0, **options):
        r = subprocess.run(self.command(verb, *words), capture_output=True, text=True, timeout=60, **options)
        expect(r.returncode == code, f"{verb} {' '.join(map(str, words))}: exit {r.returncode}, expected {code}\n{r.stdout}{r.stderr}")
        return r

    def ps(self):
        return {c["name"]: c for c in json.loads(self.do("ps", "-a", "--format=json").stdout)}


def make(build):
    return Host(build)


def test_output_and_exit(h):
    r = h.do("run", "--rm", "busybox:demo", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    expect((r.stdout, r.stderr) == ("out\n", "err\n"), f"{r.stdout!r} {r.stderr!r}")
    expect(h.do("run", "--rm", "-i", "busybox:demo", "wc", "-c", input="x" * 300000).stdout == "300000\n", "all of the input")
    n = 3000000
    expect(len(h.do("run", "--rm", "busybox:demo", "sh", "-c", f"yes | head -c {n}").stdout) == n, "all of the output")
    expect("not found" in h.do("run", "--rm", "busybox:demo", "nothing", code=127).stderr, "what is missing is named")
    h.do("run", "--rm", "busybox:demo", "/etc", code=126)
    h.do("run", "--rm", "--pull=never", "absent:1", "true", code=125)
    h.do("run", "--rm", "busybox:demo", "sh", "-c", "sh -c 'kill -9 $$'; exit $?", code=137)
    expect(not h.ps(), f"containers are left: {h.ps()}")


def test_options(h):
    (h.dir / "shared").mkdir()
    (h.dir / "shared/file").write_text("of the host")
    script = """set -e
test "$A" = 'b c'; test "$FROM_HERE" = yes; test "$(hostname)" = hal; test "$(id -u):$(id -g)" = 65534:65534; test "$PWD" = /tmp
test "$(cat /mnt/file)" = 'of the host'; ! touch /mnt/x 2>/dev/null; ! touch /x 2>/dev/null
test "$(grep CapEff /proc/self/status | tr -d ' \\t')" = CapEff:0000000000000000
echo fine"""
    r = h.do("run", "--rm", "-e", "A=b c", "--env=FROM_HERE", "-h", "hal", "-u", "nobody:nogroup", "-w", "/tmp", "-v",
             f"{h.dir}/shared:/mnt:ro", "--read-only", "--cap-drop=ALL", "--pids-limit=50", "busybox:demo", "sh", "-c", script,
             env=dict(os.environ, FROM_HERE="yes"))
    expect(r.stdout == "fine\n", r.stdout)
    h.do("run", "--rm", "-v", "kept:/data", "busybox:demo", "sh", "-c", "echo 1 > /data/n")
    expect(h.do("run", "--rm", "-v", "kept:/data", "busybox:demo", "cat", "/data/n").stdout == "1\n", "a named volume stays")
    expect(h.do("run", "--rm", "--network=none", "busybox:demo", "sh", "-c", "ip link | grep -c mtu").stdout == "1\n", "only lo")
    inside = h.do("run", "--rm", "--network=host", "busybox:demo", "sh", "-c", "ip -4 addr").stdout
    expect(h.address in inside, "the host's network: " + inside)
    expect(h.do("run", "--rm", "--entrypoint=echo", "busybox:demo", "-n", "x").stdout == "x", "an entry point")
    for words in (("--memory=x",), ("--cpus=0",), ("-p", "x:1"), ("-p", "1:2/udp"), ("-v", "nothing"), ("--network=x",), ("--name=-x",)):
        h.do("run", *words, "busybox:demo", "true", code=125)


def test_options_as_people_give_them(h):
    (h.dir / "env").write_text("# comment\nA=from file\nB='quoted'\n\nHERE\n")
    (h.dir / "bound").mkdir()
    (h.dir / "bound/file").write_text("bound")
    r = h.do("run", "--rm", "--network=none", f"--env-file={h.dir}/env", "-e", "A=from flag", f"--mount=type=bind,src={h.dir}/bound,dst=/b,readonly",
             "--mount", "type=tmpfs,target=/t,tmpfs-size=1m", "--tmpfs", "/u:size=64k", "-v", f"{h.dir}/bound:/z:ro,z", "--add-host", "db:10.1.2.3",
             "--ulimit", "nofile=100:200", "--sysctl", "net.ipv4.ip_default_ttl=42", "--shm-size=1m", "busybox:demo", "sh", "-ec", """
             echo "$A|$B|$HERE|$(cat /b/file)|$(ulimit -n) $(ulimit -Hn)|$(cat /proc/sys/net/ipv4/ip_default_ttl)"
             ! touch /b/x 2>/dev/null; ! touch /z/x 2>/dev/null
             grep -c '10.1.2.3.*db' /etc/hosts; df -k /t /u /dev/shm | tail -3 | while read a b c; do echo $b; done""",
             env=dict(os.environ, HERE="of here"))
    expect(r.stdout.splitlines() == ["from flag|'quoted'|of here|bound|100 200|42", "1", "1024", "64", "1024"], r.stdout)
    for words, told in ((("--mount", "type=bind,source=rel,target=/x"), "--mount="), (("-p", "80-82:80-81"), "--publish="),
                        (("--ulimit", "nofile"), "--ulimit="), (("--env-file", "/absent"), "No such file"), (("--stop-signal", "FOO"), "no signal"),
                        (("-v", "/a:/b:frob"), "--volume="), (("--add-host", "x"), "--add-host=")):
        expect(told in h.do("run", *words, "busybox:demo", "true", code=125).stderr, words)


def test_found_by_filters(h):
    one = h.do("run", "-d", "--name=one", "-l", "app=web", "-l", "tier", "--network=none", "--stop-signal=USR1", "busybox:demo", "sh", "-c",
               "trap 'exit 5' USR1; echo up; sleep 1000 & wait").stdout.strip()
    two = h.do("run", "--name=two", "--label=app=db", "--network=none", "busybox:demo", "true")
    expect(two.returncode == 0, two.stderr)
    follow = subprocess.Popen(h.command("logs", "-f", "one"), stdout=subprocess.PIPE, text=True)
    expect(follow.stdout.readline() == "up\n", "it waits for its signal")
    for words, names in ((("-f", "label=app"), {"one"}), (("-a", "-f", "label=app"), {"one", "two"}), (("-a", "--filter", "label=app=db"), {"two"}),
                         (("-f", "status=exited"), {"two"}), (("-a", "-f", "name=o", "-f", "label=tier"), {"one"}), (("-a", "-f", f"id={one[:12]}"), {"one"}),
                         (("-a", "-f", "ancestor=busybox:demo", "-f", "status=running"), {"one"})):
        shown = {c["name"] for c in json.loads(h.do("ps", "--format=json", *words).stdout)}
        expect(shown == names, f"{words}: {shown}")
    expect(h.ps()["one"]["labels"] == {"app": "web", "tier": ""}, h.ps()["one"])
    expect("--filter=" in h.do("ps", "-f", "frob=1", code=1).stderr, "an unknown filter")
    expect(h.do("logs", "--since=1h", "one").stdout == "up\n" and h.do("logs", "--since=0s", "one").stdout == "", "the logs of a time")
    h.do("logs", "--since=soon", "one", code=1)
    h.do("stop", "one")
    expect(follow.wait(10) == 0, "the log ends with the container")
    follow.stdout.close()
    expect("(5)" in h.ps()["one"]["status"], h.ps()["one"])
    h.do("rm", "one", "two")


def test_memory_is_limited(h):
    h.do("run", "--rm", "-m", "16m", "busybox:demo", "sh", "-c", "x=$(head -c 64000000 /dev/zero | tr '\\0' x); echo survived", code=137)


def test_background(h):
    id = h.do("run", "-d", "--name=web", "-p", "8080:80", "busybox:demo", "sh", "-c",
              "mkdir /w; echo served > /w/index.html; echo ready; exec httpd -f -p 80 -h /w").stdout.strip()
    follow = subprocess.Popen(h.command("logs", "-f", "web"), stdout=subprocess.PIPE, text=True)
    expect(follow.stdout.readline() == "ready\n", "the log")
    c = h.ps()["web"]
    expect(c["id"] == id and c["state"] == "running" and c["ports"] == "0.0.0.0:8080->80/tcp", f"{c}")
    for address in ("127.0.0.1:8080", c["ip"] + ":80"):
        expect(run([ROOT / "tools/netns", "exec", h.netns, "curl", "-sS", "--max-time", "10", f"http://{address}/"]) == "served\n", address)
    expect(urllib.request.urlopen(f"http://{h.address}:8080/", timeout=10).read() == b"served\n", "from outside")
    expect("in use" in h.do("run", "--name=web", "busybox:demo", "true", code=125).stderr, "a name is taken once")
    h.do("run", "-d", "-p", "8080:80", "busybox:demo", "sleep", "100", code=125)
    r = h.do("exec", "-e", "X=y", "web", "sh", "-c", "echo $X; exit 4", code=4)
    expect(r.stdout == "y\n", r.stdout)
    expect(h.do("exec", "-i", id[:8], "cat", input="in").stdout == "in", "input of an exec")
    h.do("exec", "web", "nothing", code=127)
    expect("is running" in h.do("rm", "web", code=1).stderr, "what runs is not removed")
    h.do("stop", "-t", "1", "web")
    expect(follow.wait(10) == 0, "the log ends with the container")
    follow.stdout.close()
    c = h.ps()["web"]
    expect(c["state"] == "exited" and not h.do("ps", "-q").stdout, f"{c}")
    expect(h.do("logs", "--tail", "1", "web").stdout == "ready\n", "the log stays")
    h.do("rm", "web")
    h.do("logs", "web", code=1)


def test_background_removed(h):
    id = h.do("run", "-d", "--rm", "busybox:demo", "sh", "-c", "read x; exit 0").stdout.strip()
    at = h.data / "agent/containers" / id
    # It has no input, so it ends at once; rm says when it is gone, or it is already.
    subprocess.run(h.command("stop", id), capture_output=True, timeout=30)
    subprocess.run(h.command("rm", "-f", id), capture_output=True, timeout=30)
    expect(not at.exists(), f"{id} is left")


def test_signals(h):
    p = subprocess.Popen(h.command("run", "--rm", "busybox:demo", "sh", "-c", "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 1; done"),
                         stdout=subprocess.PIPE, text=True)
    expect(p.stdout.readline() == "up\n", "it runs")
    p.send_signal(signal.SIGTERM)
    expect(p.stdout.readline() == "got\n" and p.wait(10) == 5, "signals are passed on")
    p.stdout.close()


def test_terminal(h):
    pid, fd = pty.fork()
    if not pid:
        words = h.command("run", "--rm", "-it", "busybox:demo", "sh")
        os.execvp(words[0], words)
    seen = b""

    def until(text):
        nonlocal seen
        while text not in seen:
            expect(select.select([fd], [], [], 20)[0], f"{text} never came: {seen}")
            seen += os.read(fd, 4096)
    until(b"# ")
    os.write(fd, b"stty size; tty; echo done-$((1+1))\r")
    until(b"done-2")
    expect(b"/dev/" in seen, f"{seen}")
    os.write(fd, b"exit 9\r")
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    expect(os.waitstatus_to_exitcode(status) == 9, "the shell's exit status")


def test_killed_command(h):
    """The container goes on when the command that started it is killed; others find it."""
    p = subprocess.Popen(h.command("run", "--name=orphan", "busybox:demo", "sh", "-c", "echo up; exec sleep 1000"), stdout=subprocess.PIPE,
                         text=True)
    expect(p.stdout.readline() == "up\n", "it runs")
    p.kill()
    p.wait()
    p.stdout.close()
    expect(h.ps()["orphan"]["state"] == "running", f"{h.ps()}")
    h.do("exec", "orphan", "true")
    os.kill(h.ps()["orphan"]["pid"], signal.SIGKILL)
    h.do("stop", "orphan")
    expect("137" in h.ps()["orphan"]["status"], f"{h.ps()}")
    h.do("rm", "orphan")
