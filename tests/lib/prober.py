"""prober.py: a well-behaved client in a process of its own, which measures how long small requests take.

    with Prober(broker) as prober:
        ...                          # attack the broker
    prober.figures                   # {"PING": Figures, "SEND": ..., ...}, and "all"
    prober.work                      # the same, but of the processor time that the broker's threads used meanwhile:
                                     # it says more where the machine has other work

A process of its own, because threads of one Python program wait for each other. Each kind of request has a
connection, is sent once each INTERVAL, and only when its last reply has come, so one that takes long also delays the
next ones. "CONNECT" is a new connection and its first PING.
"""
import json
import os
import select
import socket
import subprocess
import sys
import time

INTERVAL = 0.02
CONNECT_INTERVAL = 0.1
GIVE_UP_SECONDS = 60  # without a reply
TOPIC = "prober"


class Figures:
    """How long requests took, in milliseconds."""

    def __init__(self, seconds):
        ordered = sorted(seconds)
        self.count = len(ordered)
        self.p50, self.p99, self.slowest = (1000 * ordered[min(self.count - 1, int(self.count * part))] if ordered
                                            else 0.0 for part in (0.5, 0.99, 1.0))

    def __str__(self):
        return f"{self.count} p50 {self.p50:.0f} p99 {self.p99:.0f} max {self.slowest:.0f} ms"


class Prober:
    def __init__(self, broker):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(broker.port),
                                         str(broker.process.pid)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.process.kill()
            raise AssertionError(f"the prober did not begin: {line!r}")
        self.figures, self.work, self.errors = {}, {}, []

    def mark(self):
        """Forgets what was measured until now."""
        self.process.stdin.write("mark\n")
        self.process.stdin.flush()

    def end(self):
        out, _ = self.process.communicate("end\n", timeout=2 * GIVE_UP_SECONDS)
        result = json.loads(out)
        self.errors = result["errors"]
        self.figures = {name: Figures(seconds) for name, seconds in result["seconds"].items()}
        self.figures["all"] = Figures(sum(result["seconds"].values(), []))
        self.work = Figures(result["work"])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.end()
        else:
            self.process.kill()
            self.process.wait()


# ---- the process ----

def encode(*words):
    data = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in data)


def reply_end(data, at=0):
    """Returns where the RESP2 reply at `at` ends; None: it is not whole."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, rest, end = data[at:at + 1], data[at + 1:line], line + 2
    if kind == b"$":
        end += max(0, int(rest) + 2)
        return end if end <= len(data) else None
    for _ in range(int(rest) if kind == b"*" else 0):
        end = reply_end(data, end)
        if end is None:
            return None
    return end


def used_seconds(pid):
    """Returns how much processor time all threads of the process have used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Probe:
    """A connection with one kind of request."""

    def __init__(self, name, port, words, interval=INTERVAL, connects=False, pid=None):
        self.name, self.port, self.words, self.interval, self.connects = name, port, words, interval, connects
        self.seconds, self.work, self.errors, self.pid = [], [], [], pid
        self.socket, self.due, self.begin, self.data = None, time.monotonic(), None, b""
        if not connects:
            self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=GIVE_UP_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(GIVE_UP_SECONDS)

    def start(self):
        self.used = used_seconds(self.pid) if self.pid else 0
        self.begin = time.monotonic()
        if self.connects:
            self.connect()
        self.socket.sendall(encode(*self.words()))

    def receive(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise EOFError("the broker closed the connection")
        self.data += got
        end = reply_end(self.data)
        if end is None:
            return
        now = time.monotonic()
        reply, self.data = self.data[:end], self.data[end:]
        self.seconds.append(now - self.begin)
        self.work.append(used_seconds(self.pid) - self.used if self.pid else 0)
        self.due, self.begin = max(now, self.begin + self.interval), None
        if self.connects:
            self.socket.close()
        if reply.startswith(b"-"):
            self.errors.append(f"{self.name}: {reply.decode(errors='replace').strip()}")


def probes(port, pid):
    return [Probe("PING", port, lambda: ("PING",), pid=pid),
            Probe("SEND", port, lambda: ("SEND", TOPIC, b"x" * 100), pid=pid),
            Probe("POP", port, lambda: ("POP", "probers", TOPIC, "COUNT", 2), pid=pid),
            Probe("READ", port, lambda: ("READ", TOPIC, 0, 0, "COUNT", 2), pid=pid),
            Probe("CONNECT", port, lambda: ("PING",), CONNECT_INTERVAL, True, pid)]


def run_probe_process(port, pid):
    setup = Probe("", port, None)
    for i in range(8):
        setup.socket.sendall(encode("SEND", TOPIC, b"x" * 100, "QUEUE", i % 4))
        while setup.data.count(b"\r\n") < 2:
            setup.data += setup.socket.recv(4096)
        setup.data = b""
    mine = probes(port, pid)
    print("ready", flush=True)
    ends, failed = False, set()
    while not ends or any(p.begin is not None and p not in failed for p in mine):
        now = time.monotonic()
        for p in mine:
            if p in failed:
                continue
            try:
                if p.begin is None and not ends and now >= p.due:
                    p.start()
                if p.begin is not None and now - p.begin > GIVE_UP_SECONDS:
                    raise EOFError(f"no reply for {GIVE_UP_SECONDS} s")
            except (OSError, EOFError) as error:
                failed.add(p)
                p.errors.append(f"{p.name}: {error!r}")
        waiting = {p.socket.fileno(): p for p in mine if p.begin is not None and p not in failed}
        readable, _, _ = select.select([*waiting, *([] if ends else [0])], [], [], 0.005)
        for fd in readable:
            if fd == 0:
                word = sys.stdin.readline()
                ends = word != "mark\n"
                for p in mine if not ends else []:
                    p.seconds.clear()
                continue
            try:
                waiting[fd].receive()
            except (OSError, EOFError) as error:
                failed.add(waiting[fd])
                waiting[fd].errors.append(f"{waiting[fd].name}: {error!r}")
    for p in mine: # one that got no reply waited that long at least
        if p.begin is not None:
            p.seconds.append(time.monotonic() - p.begin)
    print(json.dumps({"seconds": {p.name: p.seconds for p in mine}, "work": sum((p.work for p in mine), []),
                      "errors": sum((p.errors for p in mine), [])}))


if __name__ == "__main__":
    run_probe_process(int(sys.argv[1]), int(sys.argv[2]))
