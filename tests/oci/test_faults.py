# SPDX-License-Identifier: Apache-2.0
"""One system call of a command fails, each in turn: the command says what failed, and nothing is left. The same for who is killed.

An even sample of them; PROA_FAULTS=all is every one (`make test-faults`), a number that many of each command.
"""
import contextlib
import os
import pathlib
import re
import subprocess

from bundle import Skip, expect, without_sanitizers

SAMPLE = 70  # of each command: ten seconds
# Their failing is no failure of the command, or takes its words.
SAYS_NOTHING = {"write", "writev", "sendmsg", "sendto", "wait4", "exit_group"}


class Faulty:
    """An Oci whose programs are the ones without sanitizers, which make system calls of their own."""

    def __init__(self, o):
        self.plain = without_sanitizers(o)
        build = self.plain.__enter__()
        self.fault = build / "tests/oci/fault"
        if not self.fault.exists():
            self.plain.__exit__(None, None, None)
            raise Skip(f"needs {self.fault}")
        self.o = o
        self.report = o.dir / "report"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.plain.__exit__(None, None, None)

    def run(self, n, *words):
        # Its standard streams become the container's: a pipe would stay open.
        with open(self.o.dir / "errors", "w+") as errors:
            r = subprocess.run([str(w) for w in (self.fault, self.report, n, self.o.program, "--root", self.o.root, *words)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, timeout=60)
            errors.seek(0)
            r.stderr = errors.read()
        said = dict(line.split(" ", 1) for line in self.report.read_text().splitlines())
        return r, said

    def sweep(self, words, prepare=None, after=None, kill=False):
        """words, prepare: of a container's name. after: what is checked, given the outcome. kill: who makes a call, not the call."""
        name = self.o.name()
        if prepare:
            prepare(name)
        r, said = self.run(0, *words(name))
        expect(r.returncode == 0, f"without a fault: {r}")
        if after:
            after(name, True)
        self.clean(name, "without a fault")
        total, want = int(said["calls"]), os.environ.get("PROA_FAULTS", str(SAMPLE // 3 if kill else SAMPLE))
        step = 1 if want == "all" else max(1, total // int(want))
        wrong = []
        for n in range(1, total + 1, step):
            name = self.o.name()
            if prepare:
                prepare(name)
            r, said = self.run(-n if kill else n, *words(name))
            what = f"call {n} of {' '.join(map(str, words('NAME')))}, {said.get('failed', 'none')}: exit {r.returncode} {r.stderr.strip()!r}"
            try:
                if not kill:
                    self.judge(r, said, what)
                if after:
                    after(name, r.returncode == 0)
                self.clean(name, what)
            except Exception as error:
                wrong.append(f"{what}: {error}")
                with contextlib.suppress(Exception):
                    self.o.do("delete", "--force", name, code=None, timeout=5)
        expect(not wrong, "\n".join([f"{len(wrong)} of {total // step}"] + wrong[:40]))

    @staticmethod
    def judge(r, said, what):
        expect(r.returncode != 124, f"it hangs: {what}")
        expect(r.returncode < 128 or r.returncode == 255, f"it died: {what}")
        expect("left" not in said, f"process {said.get('left')} goes on")
        if r.returncode and said.get("failed", " ").split()[0] not in SAYS_NOTHING:
            words = re.sub(r"^proa-oci: ", "", r.stderr.strip())
            expect(len(words) > 10 and "process died" not in words, f"it doesn't say what failed: {words!r}")

    def clean(self, name, when):
        state = self.o.root / name
        left = [str(state)] if state.exists() else []
        left += [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.o.word}/{name}")]
        left += [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob(f"{self.o.word}/{name}")]
        left += [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.o.dir) in line and "/state" in line]
        expect(not left, f"left behind: {left}")


def faulty(o, *args, change=None):
    """A bundle whose group has its container's name: by a configuration of its own each time."""
    f = Faulty(o)
    bundle = o.bundle(*args, change=lambda c: (c["linux"].update(cgroupsPath=f"/{o.word}/NAME"), change and change(c)))
    text = (bundle / "config.json").read_text()

    def words(*command):
        def of(name):
            (bundle / "named.json").write_text(text.replace("NAME", name))
            return [*command, "--bundle", bundle, "--config", "named.json", name]
        return of
    return f, words


def everything(c):
    c["linux"]["namespaces"].append({"type": "user"})
    c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}
    c["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    c["linux"]["resources"]["pids"] = {"limit": 100}
    c["linux"]["resources"]["memory"] = {"limit": 100 << 20}
    c["hooks"] = {point: [{"path": "/bin/true"}] for point in ("createRuntime", "createContainer", "startContainer", "poststart", "poststop")}
    c["mounts"].append({"destination": "/mnt", "type": "bind", "source": "/usr/share", "options": ["rbind", "ro"]})


def test_run(o):
    f, words = faulty(o)
    with f:
        f.sweep(words("run"))


def test_run_with_everything(o):
    f, words = faulty(o, change=everything)
    for path in (o.dir, *(o.dir / f"bundle{o.n}").glob("**")):
        os.chmod(path, 0o755)
    with f:
        f.sweep(words("run"))


def test_create_and_start(o):
    f, words = faulty(o, "/bin/sleep", "1000")

    def after(name, good):
        if good:
            o.do("delete", "--force", name)
    with f:
        f.sweep(words("create"), after=after)
        create = words("create")
        f.sweep(lambda name: ["start", name], lambda name: quiet(o, create(name)),
                lambda name, good: o.do("delete", "--force", name))


def quiet(o, words):
    """create keeps its standard streams for the container: they are nobody's here."""
    subprocess.run([str(w) for w in (o.program, "--root", o.root, *words)], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_killed(o):
    """SIGKILL at any call: what was begun is deleted like any container, nothing of it stays."""
    def after(name, _):
        o.do("delete", "--force", name)

    for change in (None, everything):
        f, words = faulty(o, "/bin/sleep", "1000", change=change)
        for path in (o.dir, *(o.dir / f"bundle{o.n}").glob("**")):
            os.chmod(path, 0o755)
        with f:
            f.sweep(words("create"), after=after, kill=True)
            create = words("create")
            f.sweep(lambda name: ["start", name], lambda name: quiet(o, create(name)), after, kill=True)


def test_exec_and_delete(o):
    f, words = faulty(o, "/bin/sleep", "1000")
    create = words("create")

    def prepare(name):
        quiet(o, create(name))
        quiet(o, ["start", name])

    with f:
        f.sweep(lambda name: ["delete", "--force", name], prepare, lambda name, good: o.do("delete", "--force", name))
        one = o.name()
        prepare(one)

        def alone(_, good):
            expect(len(o.do("ps", "--format=json", one).stdout.split(",")) == 1, "a process is left in the container")
        f.sweep(lambda _: ["exec", one, "/bin/true"], after=alone)
        o.do("delete", "--force", one)


def test_pod(o):
    """The same for a pod's shim and what becomes its container."""
    f = Faulty(o)
    with f:
        program = f.fault.parent.parent / "e2e/runtime/runtime_faults"
        if not program.exists():
            raise Skip(f"needs {program}")
        every = {"all": "1"}.get(os.environ.get("PROA_FAULTS"), "40")
        r = subprocess.run([program, every], capture_output=True, text=True, timeout=3000, env=dict(
            os.environ, PROA_SHIM=f.fault, FAULT_PROGRAM=o.program.parent / "proa-shim"))
        expect(r.returncode == 0, r.stdout + r.stderr)
