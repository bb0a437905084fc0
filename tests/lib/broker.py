"""broker.py: a real broker for a Python test, and a simple client for it.

    with Broker("--checkin", "200ms") as broker:
        c = broker.text()
        assert c.call("PING") == "PONG"
        broker.kill()        # SIGKILL
        broker.start()       # starts with the same data, on new ports

The program is $HALFMQD, or build/bin/halfmqd. Its data and its log are in a temporary folder. It is killed when
the test ends, and the folder is deleted; with KEEP=1 a test that fails leaves it. Every wait has a deadline, and
its error says what it waited for.
"""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HALFMQD = os.environ.get("HALFMQD") or os.path.join(SOURCE, "build", "bin", "halfmqd")
BIN = os.environ.get("HALFMQ_BIN") or os.environ.get("BIN") or os.path.dirname(HALFMQD)

READY_SECONDS = 60  # sanitizers are slow
ANSWER_SECONDS = 30
READY = re.compile(rb"\baddr=([0-9.]+|\[[^]]*\]):(\d+) .*?\bhttp=([0-9.]+|\[[^]]*\]):(\d+)")


def eventually(condition, what, seconds=ANSWER_SECONDS):
    """Waits until condition() is true and returns its value; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)


def die_with_parent():
    """Runs in the child: makes the kernel kill it when its parent ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Broker:
    """A broker process and its folder. before: a function that runs in the process before the broker."""

    def __init__(self, *flags, environment=None, started=True, before=None):
        self.flags, self.before = flags, before
        self.environment = dict(os.environ, **(environment or {}))
        self.folder = tempfile.mkdtemp(prefix="halfmq-test-")
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        if started:
            self.start()

    def launch(self):
        """Starts it on free ports, without waiting."""
        with open(self.log, "ab") as log:
            self.seen = log.tell()
            self.process = subprocess.Popen(
                [HALFMQD, "--port", "0", "--http_port", "0", "--data", self.data, *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=self.environment, preexec_fn=self.in_child)

    def in_child(self):
        die_with_parent()
        if self.before:
            self.before()

    def start(self):
        """Starts it and returns when it is ready."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while True:
            ready = READY.search(self.read_log(self.seen))
            if ready:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the broker did not get ready:\n" +
                                     self.read_log(self.seen).decode(errors="replace"))
            time.sleep(0.005)
        self.port, self.http_port = int(ready.group(2)), int(ready.group(4))

    def read_log(self, offset=0):
        with open(self.log, "rb") as log:
            log.seek(offset)
            return log.read()

    def kill(self):
        """Kills it with SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stops it with SIGTERM. Returns the exit status."""
        self.process.terminate()
        return self.process.wait(READY_SECONDS)

    def runs(self):
        return self.process.poll() is None

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def is_sanitized(self):
        """Sanitizers keep shadows and quarantines: what is resident says nothing there."""
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as f:
            return any("libasan" in line or "libtsan" in line or "libclang_rt" in line for line in f)

    def text(self, **options):
        return Text(self.port, **options)

    def keep(self):
        """Where KEEP is set: kills it and renames its folder, so that close does not delete it."""
        if os.environ.get("KEEP"):
            self.kill()
            kept = self.folder + ".kept"
            os.rename(self.folder, kept)
            print(f"kept: {kept}", file=sys.stderr)

    def close(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        """At the end the broker must stop cleanly, because sanitizers report at exit."""
        status = self.stop() if kind is None and self.runs() else 0
        log = self.read_log()
        found = b"Sanitizer" in log  # a broker that was killed has no exit status of a sanitizer
        if kind is not None or status != 0 or found:
            tail = log[-8192:].decode(errors="replace")
            print(f"--- the broker's log ---\n{tail}\n---", file=sys.stderr)
            self.keep()
        self.close()
        assert status == 0 and not found, f"the broker ended with status {status}"


class Refused(Exception):
    """An error reply; code is its first word."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text
        self.code = text.split(" ", 1)[0]


class Push(list):
    """A RESP3 push."""


class Simple(str):
    """A simple string (+OK), as opposed to a bulk string."""


class Text:
    """The text dialect over a raw socket. Bulk strings are bytes, simple ones Simple, maps dicts with
    text keys (RESP3 only; RESP2 sends them as flat lists), errors raise Refused."""

    def __init__(self, port, hello=None, timeout=ANSWER_SECONDS, tls=None):
        """tls: a context of Python's ssl, for a certificate of localhost."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        if hello:
            self.call("HELLO", hello)

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, *words):
        self.send(*words)
        return self.read()

    def call_value(self, *words):
        """As call, but returns an error instead of raising it."""
        self.send(*words)
        return self.read_value()

    def send(self, *words):
        self.socket.sendall(encode(*words))

    def send_raw(self, data):
        self.socket.sendall(data)

    def read(self):
        value = self.read_value()
        if isinstance(value, Refused):
            raise value
        return value

    def refused(self, *words):
        """Sends a command that must be refused. Returns the error."""
        try:
            value = self.call(*words)
        except Refused as error:
            return error
        raise AssertionError(f"{words!r} was not refused but answered {value!r}")

    def read_value(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the broker closed, after {line!r}")
        kind, rest = line[:1], line[1:-2]
        if kind in self.PLAIN:
            return self.PLAIN[kind](rest)
        if kind in b"$=":
            if rest == b"-1":
                return None
            data = self.file.read(int(rest) + 2)
            if len(data) != int(rest) + 2:
                raise EOFError("the broker closed inside a bulk string")
            return data[:-2] if kind == b"$" else data[4:-2]
        if kind in b"*>~":
            if rest == b"-1":
                return None
            items = [self.read_value() for _ in range(int(rest))]
            return Push(items) if kind == b">" else items
        if kind == b"%":
            return {text_of(self.read_value()): self.read_value() for _ in range(int(rest))}
        raise AssertionError(f"no RESP: {line!r}")

    PLAIN = {
        b"+": lambda rest: Simple(rest.decode()),
        b"-": lambda rest: Refused(rest.decode()),
        b":": int,
        b"_": lambda rest: None,
        b"#": lambda rest: rest == b"t",
        b",": float,
    }


def encode(*words):
    """Encodes the words as an array of bulk strings."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(out)


def text_of(value):
    return value.decode() if isinstance(value, bytes) else value


def pairs(flat):
    """Returns a RESP2 map (name, value, name, value) as a dict."""
    assert isinstance(flat, list) and len(flat) % 2 == 0, f"not a flat map: {flat!r}"
    return {text_of(flat[i]): flat[i + 1] for i in range(0, len(flat), 2)}


class Message:
    """An array of four: id or receipt, body, attributes, properties; from RESP2 or RESP3."""

    def __init__(self, reply):
        assert isinstance(reply, list) and len(reply) == 4, f"not a message: {reply!r}"
        self.id, self.body = reply[0].decode(), reply[1]
        self.attributes, self.properties = (
            m if isinstance(m, dict) else pairs(m) for m in reply[2:])
        topic, queue, offset = self.id.split("#")[0].split(":")
        self.topic, self.queue, self.offset = topic, int(queue), int(offset)

    def __repr__(self):
        return f"<{self.id} {self.body!r}>"


def run_tests(module):
    """Runs the functions test_* of a module in their order. Returns 1 if one fails, otherwise 0."""
    import traceback
    only = sys.argv[1:]
    failed = []
    for name, function in list(vars(module).items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        start = time.monotonic()
        try:
            function()
            print(f"ok      {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:
            traceback.print_exc()
            print(f"FAILED  {name}", flush=True)
            failed.append(name)
    if failed:
        print("failed: " + " ".join(failed))
    return 1 if failed else 0
