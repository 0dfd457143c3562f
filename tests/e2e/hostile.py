# SPDX-License-Identifier: Apache-2.0
"""What hostile clients are made of: raw connections, HTTP/2 frames by hand, and a server whose memory and latency are watched."""
import contextlib
import http.client
import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

# A good client's request, whatever the others do: some of the attacks keep one thread busy with 3 MiB, and CI has two slow cores.
LATENCY_S_MAX = 2.0
RSS_BYTES_MAX = 96 << 20  # more than before an attack, during it: bodies being received (64 MiB) and some connections
RSS_BYTES_KEPT = 48 << 20  # more than before the first attack, after all of them: what the allocator keeps
SANITIZED = 4  # with sanitizers everything takes so much more
ANSWER_S = 20
TURNS_MAX = 100
MEMORY_MAX = 2 << 30  # a server that takes this much ends, before it takes the machine
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field without indexing, lengths below 127 or in HPACK's longer form."""
    def string(s):
        if len(s) < 127:
            return bytes([len(s)]) + s
        n, out = len(s) - 127, b"\x7f"
        while n >= 128:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n]) + s
    return b"\0" + string(name) + string(value)


def head(path=b"/readyz", method=b"GET", *fields):
    return b"\x86" + literal(b":method", method) + literal(b":path", path) + literal(b":authority", b"x") + b"".join(
        literal(n, v) for n, v in fields)


def request(stream, path=b"/readyz", method=b"GET", *fields, end=True):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, head(path, method, *fields))


def settings(**values):
    ids = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "list": 6}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", ids[k], v) for k, v in values.items()))


class Victim:
    def __init__(self, program, files=None, data=None):
        self.factor = SANITIZED if b"__asan_init" in pathlib.Path(program).read_bytes() else 1

        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            if self.factor == 1:  # a sanitizer's shadow is larger than any machine
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        env = dict(os.environ, UBSAN_OPTIONS="halt_on_error=1",
                   ASAN_OPTIONS=f"detect_leaks=1:quarantine_size_mb=4:malloc_context_size=5:hard_rss_limit_mb={MEMORY_MAX >> 20}")
        self.process = subprocess.Popen([program, "127.0.0.1:0", *([data] if data else [])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
                                        preexec_fn=limit)
        self.address = self.process.stdout.readline().strip()
        self.host, port = self.address.rsplit(":", 1)
        self.port, self.open = int(port), []
        self.errors = []
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()
        self.good("/readyz")
        self.rss_first, self.files_first = self.rss(), self.files()

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def connect(self, data=b""):
        s = socket.create_connection((self.host, self.port), ANSWER_S)
        self.open.append(s)
        if data:
            self.send(s, data)
        return s

    @staticmethod
    def send(s, data):
        """False when the server has had enough."""
        try:
            s.sendall(data)
            return True
        except OSError:
            return False

    @staticmethod
    def rest(s):
        """What it says until it closes."""
        got = b""
        with contextlib.suppress(OSError):
            while piece := s.recv(1 << 16):
                got += piece
        return got

    def ask(self, data):
        s = self.connect(data)
        got = self.rest(s)
        s.close()
        return got

    def good(self, path, method="GET", body=None, kind="application/json"):
        """A request of somebody else, on a connection of its own: its answer, and how long that took."""
        begin = time.monotonic()
        c = http.client.HTTPConnection(self.address, timeout=ANSWER_S)
        c.request(method, path, body, {"content-type": kind})
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, data, time.monotonic() - begin

    @contextlib.contextmanager
    def attack(self, codes=(200,)):
        """The good client works throughout, and gets such codes; after it everything that the attack held is given back."""
        before, over, slow, peak, failed = self.rss(), threading.Event(), [0.0], [0], []

        def work():
            n = 0
            while not over.is_set():
                n += 1
                try:
                    code, data, took = self.good("/api/v1/namespaces/default/configmaps?limit=1" if n % 2 else "/readyz")
                    if code not in codes:
                        failed.append((code, data[:200]))
                    slow[0] = max(slow[0], took)
                except OSError as e:
                    failed.append(e)
                    return
                peak[0] = max(peak[0], self.rss())
                over.wait(0.01)
        t = threading.Thread(target=work)
        t.start()
        try:
            yield self
        finally:
            over.set()
            t.join()
        peak[0] = max(peak[0], self.rss())
        self.leave()
        assert self.process.poll() is None, "it died: " + "".join(self.errors)[-3000:]
        assert not failed, f"the good client failed: {failed[:3]}"
        assert slow[0] < LATENCY_S_MAX * self.factor, f"the good client waited {slow[0]:.1f} s"
        grown = peak[0] - before
        assert grown < RSS_BYTES_MAX * self.factor, f"{grown >> 20} MiB more during the attack"

    def leave(self):
        for s in self.open:
            s.close()
        self.open = []
        for _ in range(TURNS_MAX):  # of its loop: what was closed is closed there, too
            assert self.good("/readyz")[0] == 200
            left = self.files() - self.files_first
            if left <= 1:
                return
        raise AssertionError(f"{left} descriptors are still open")

    def stop(self):
        self.process.send_signal(signal.SIGHUP)  # gives freed memory back
        self.good("/readyz")
        self.good("/readyz")
        kept = self.rss() - self.rss_first
        self.process.terminate()
        code = self.process.wait(ANSWER_S)
        assert code == 0, f"it ended with {code}: " + "".join(self.errors)[-3000:]
        assert kept < RSS_BYTES_KEPT * self.factor, f"{kept >> 20} MiB more than before all attacks"
