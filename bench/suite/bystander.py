"""bystander.py: two clients that want little: what they wait while somebody else does something.

    with Bystander(port) as bystander:
        attack()
    bystander.ping, bystander.send      Waits: worst and p99, in ms

One process sends PING, on several connections in turn so that each loop of the broker is asked; another sends SEND,
whose answer comes after a sync. Each waits for the answer, then PAUSE_SECONDS. They are processes of their own, so
that whoever attacks does not hold them up.
"""
import json
import os
import signal
import socket
import time

PINGS = 4  # connections
PAUSE_SECONDS = 0.002
WARM_UP = 20
ANSWER_SECONDS = 300
TOPIC = b"bystander"


class Waits:
    def __init__(self, ms):
        ms.sort()
        self.count, self.worst = len(ms), ms[-1]
        self.p99 = ms[min(len(ms) - 1, len(ms) * 99 // 100)]


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


class Prober:
    """A process that sends one request again and again."""

    def __init__(self, port, connections, request):
        self.ready, ready = os.pipe()
        self.result, result = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.probe([connect(port) for _ in range(connections)], request, ready, result)
            finally:
                os._exit(1)
        os.close(ready), os.close(result)

    def probe(self, sockets, request, ready, result):
        ended = []
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
        ms = []
        for i in range(1 << 60):
            s = sockets[i % len(sockets)]
            began = time.monotonic()
            s.sendall(request)
            answer = s.recv(4096)
            if i >= WARM_UP:
                ms.append((time.monotonic() - began) * 1000)
            if not answer or answer[:1] == b"-" and not answer.startswith((b"-BUSY", b"-DISKFULL")):
                os.write(result, json.dumps(answer.decode()).encode())
                os._exit(0)
            if i == WARM_UP:
                os.write(ready, b"x")
            if ended:
                break
            time.sleep(PAUSE_SECONDS)
        with open(result, "w", encoding="ascii") as f:
            json.dump(ms, f)
        os._exit(0)

    def end(self):
        """Returns the Waits."""
        os.kill(self.pid, signal.SIGTERM)
        with open(self.result, encoding="ascii") as f:
            text = f.read()
        os.waitpid(self.pid, 0)
        os.close(self.ready)
        ms = json.loads(text) if text else "it lost its connection"
        if not isinstance(ms, list):
            raise RuntimeError(f"a bystander was not served: {ms}")
        return Waits(ms)


class Bystander:
    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.probers = [Prober(self.port, PINGS, b"PING\r\n"),
                        Prober(self.port, 1, b"SEND %s hello QUEUE 0\r\n" % TOPIC)]
        for prober in self.probers:
            os.read(prober.ready, 1)
        return self

    def __exit__(self, kind, *_):
        try:
            self.ping, self.send = [prober.end() for prober in self.probers]
        except (RuntimeError, OSError):
            if kind is None:
                raise
