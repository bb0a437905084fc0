#!/usr/bin/python3
"""hostile.py: attacks a broker's memory from outside, while another client works.

Each attack runs on a broker of its own with memory=32MB. Its peak resident memory must stay under BOUND, and a
bystander's PING and SEND must be answered meanwhile. The attackers do not read, or send requests that never end.
The attack stops early where the bound is passed by far, so that a broken broker does not take the whole machine.

HALFMQ_CRASH_ROUNDS: how often each attack is repeated on the same broker (1).
"""
import os
import resource
import select
import socket
import struct
import sys
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Refused, encode, run_tests  # noqa: E402 (the path comes first)

MB = 1000 * 1000
MIB = 1024 * 1024
BUDGET = 32 * MB
BOUND = BUDGET * 5 // 4 + 20 * MB
ROUNDS = max(1, int(os.environ.get("HALFMQ_CRASH_ROUNDS", "1")) // 5)
QUIET_SECONDS = 0.7  # an attack has had its effect when nothing has moved for so long
ATTACK_SECONDS = 6


def peak_bytes(broker):
    """Returns the most that was ever resident."""
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def is_sanitized(broker):
    """Sanitizers keep shadows and quarantines, so the bound says nothing there."""
    with open(f"/proc/{broker.process.pid}/maps", encoding="utf-8") as f:
        return any("libasan" in line or "libtsan" in line or "libclang_rt" in line for line in f)


class Bystander(threading.Thread):
    """A client that only wants its PING and SEND answered."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.client = broker.text()
        self.ends = threading.Event()
        self.answered, self.slowest, self.error = 0, 0.0, None
        self.start()

    def run(self):
        try:
            while not self.ends.wait(0.02):
                begin = time.monotonic()
                assert self.client.call("PING") == "PONG"
                self.client.call("SEND", "bystander", b"x" * 100)
                self.slowest = max(self.slowest, time.monotonic() - begin)
                self.answered += 1
        except (OSError, EOFError, AssertionError, Refused) as error:
            self.error = error

    def end(self):
        self.ends.set()
        self.join()
        self.client.close()
        assert self.error is None, f"the bystander's client failed: {self.error!r}"
        assert self.answered > 0


def hostile_socket(port):
    """A connection whose kernel takes little on this side, so that what is unread is the broker's burden."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.setblocking(False)
    return s


class Crowd:
    """Connections that send their bytes as far as the broker takes them, and never read."""

    def __init__(self, broker, count, data):
        """data: what each sends; a list of pieces, so that large ones are shared."""
        self.broker = broker
        self.sockets = {}
        poller = self.poller = select.epoll()
        for _ in range(count):
            s = hostile_socket(broker.port)
            self.sockets[s.fileno()] = [s, 0, 0]
            poller.register(s.fileno(), select.EPOLLOUT)
        self.data = data

    def send_some(self, fd):
        """Sends what the kernel takes of one piece. Returns whether anything moved."""
        state = self.sockets[fd]
        s, piece, at = state
        if piece == len(self.data):
            self.poller.modify(fd, 0)
            return False
        try:
            n = s.send(memoryview(self.data[piece])[at:at + 256 * 1024])
        except BlockingIOError:
            return False
        except OSError:
            self.poller.unregister(fd)
            return False
        at += n
        state[1:] = [piece + 1, 0] if at == len(self.data[piece]) else [piece, at]
        return True

    def push(self):
        """Sends until nothing moves any more, or the broker has taken far too much."""
        end = time.monotonic() + ATTACK_SECONDS
        moved = time.monotonic()
        while time.monotonic() < min(end, moved + QUIET_SECONDS) and peak_bytes(self.broker) < 4 * BOUND:
            for fd, _ in self.poller.poll(0.05):
                if self.send_some(fd):
                    moved = time.monotonic()
        return self

    def close(self):
        for s, _, _ in self.sockets.values():
            s.close()
        self.poller.close()


def attack(*flags, prepare=None, crowds=()):
    """Runs crowds against a broker; prepare(client) fills its store first. crowds: (count, pieces)."""
    with Broker("--memory", "32MB", "--fsync", "never", *flags) as broker:
        if prepare:
            client = broker.text()
            prepare(client)
            client.close()
        before = peak_bytes(broker)
        bystander = Bystander(broker)
        for _ in range(ROUNDS):
            running = [Crowd(broker, count, pieces).push() for count, pieces in crowds]
            for crowd in running:
                crowd.close()
        bystander.end()
        verdict(broker, before, bystander)


def verdict(broker, before, bystander):
    peak = peak_bytes(broker)
    print(f"        peak {peak / MB:.1f} MB, {before / MB:.1f} before; bystander: {bystander.answered} answered, "
          f"slowest {bystander.slowest * 1000:.0f} ms", flush=True)
    if not is_sanitized(broker):
        assert peak <= BOUND, f"{peak / MB:.0f} MB were resident, at most {BOUND / MB:.0f} MB are allowed"


def send_many(client, count, *words):
    """Pipelines the same command."""
    step = 50
    for first in range(0, count, step):
        n = min(step, count - first)
        client.send_raw(encode(*words) * n)
        for _ in range(n):
            client.read()


# ---- replies that nobody reads ----

def test_unread_find():
    words = ["FIND", "t", "KEY", "k", "COUNT", 10000]
    attack(prepare=lambda c: send_many(c, 400, "SEND", "t", "x", "KEY", "k", "PROP", "p", b"v" * 30000),
           crowds=[(50, [encode(*words) * 8])])


def test_unread_read():
    attack(prepare=lambda c: send_many(c, 400, "SEND", "t", b"v" * 30000, "QUEUE", 0),
           crowds=[(100, [encode("READ", "t", 0, 0, "COUNT", 1000) * 8])])


def test_unread_read_of_properties():
    attack(prepare=lambda c: send_many(c, 400, "SEND", "t", "x", "QUEUE", 0, "PROP", "p", b"v" * 30000),
           crowds=[(50, [encode("READ", "t", 0, 0, "COUNT", 1000) * 8])])


def test_unread_pop():
    attack(prepare=lambda c: send_many(c, 1000, "SEND", "t", b"v" * 30000),
           crowds=[(60, [encode("POP", "g%d" % i, "t", "COUNT", 1000) * 2]) for i in range(1)])


def test_unread_get():
    attack(prepare=lambda c: send_many(c, 1, "SEND", "t", b"v" * MIB, "QUEUE", 0),
           crowds=[(200, [encode("GET", "t:0:0") * 30])])


def test_unread_ping():
    attack(crowds=[(200, [encode("PING", b"v" * 500000) * 4])])


def test_unread_docs():
    attack(crowds=[(20, [encode("COMMAND", "DOCS", *["topic"] * 60000)])])


def test_unread_lists():
    def prepare(client):
        for i in range(0, 2000):
            client.send("TOPIC", "CREATE", "t" * 100 + str(i))
        for _ in range(2000):
            client.read()
    attack(prepare=prepare, crowds=[(100, [encode("TOPIC", "LIST") * 60])])


# ---- requests that never end ----

def test_unfinished_bodies():
    head = b"*3\r\n$4\r\nSEND\r\n$1\r\nt\r\n$%d\r\n" % (31 * MIB)
    attack("--max_message_bytes", "32MiB", crowds=[(60, [head, b"x" * MIB] + [b"x" * MIB] * 29 + [b"x" * (MIB - 1)])])


def test_unfinished_msends():
    word = b"$%d\r\n%s\r\n" % (MIB, b"x" * MIB)
    attack(crowds=[(60, [b"*62\r\n$5\r\nMSEND\r\n$1\r\nt\r\n"] + [word] * 59)])


def test_unfinished_small_requests():
    head = b"*3\r\n$4\r\nSEND\r\n$1\r\nt\r\n$%d\r\n" % (100 * 1024)
    attack(crowds=[(1000, [head, b"x" * 99 * 1024])])


def test_unfinished_inline_lines():
    attack(crowds=[(1000, [b"SEND t " + b"x" * 60000])])


def test_unfinished_words():
    attack(crowds=[(200, [b"*65000\r\n$5\r\nMSEND\r\n" + b"$1\r\nt\r\n" * 64900])])


def test_giant_methods():
    method = b"\x94\x00\x01\xdb" + struct.pack(">I", 60 * MIB)
    attack(crowds=[(60, [method] + [b"x" * MIB] * 59)])


def test_many_values():
    values = 500000
    frame = b"\x94\x00\x01\xa4ping\xdd" + struct.pack(">I", values) + b"\xc0" * values
    attack(crowds=[(60, [frame])])


# ---- what is kept for a connection ----

def test_parked_waits():
    pops = b"".join(b"\x94\x00\xcd" + struct.pack(">H", i) + b"\xa3pop\x91\x83\xa5group\xa1g\xa6topics\x91\xa1t\xa4wait\xce\x00\x09\x27\xc0"
                    for i in range(1, 1024))
    attack(prepare=lambda c: c.call("TOPIC", "CREATE", "t"), crowds=[(300, [pops])])


def test_many_subscriptions():
    words = ["SUBSCRIBE"] + ["topic:t%d" % i for i in range(1000)]
    attack(crowds=[(300, [encode(*words)])])


def test_deaf_subscribers():
    with Broker("--memory", "32MB", "--fsync", "never") as broker:
        before = peak_bytes(broker)
        bystander = Bystander(broker)
        crowd = Crowd(broker, 1000, [encode("SUBSCRIBE", "topic:t")]).push()
        client = broker.text()
        for _ in range(60):
            client.call("SEND", "t", b"x" * 64 * 1024)
            if peak_bytes(broker) > 4 * BOUND:
                break
        crowd.close()
        client.close()
        bystander.end()
        verdict(broker, before, bystander)


# ---- who is honest goes on ----

def test_honest_clients_go_on():
    """Large requests and replies of others are done while the attackers keep their connections."""
    head = b"*3\r\n$4\r\nSEND\r\n$1\r\nt\r\n$%d\r\n" % (31 * MIB)
    with Broker("--memory", "32MB", "--fsync", "never", "--max_message_bytes", "32MiB") as broker:
        crowd = Crowd(broker, 60, [head, b"x" * MIB] + [b"x" * MIB] * 29 + [b"x" * (MIB - 1)]).push()
        client = broker.text(timeout=60)
        assert client.call("SEND", "honest", b"x" * MIB, "QUEUE", 0) == b"honest:0:0"
        assert len(client.call("READ", "honest", 0, 0, "COUNT", 10)) == 1
        client.close()
        crowd.close()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.exit(run_tests(sys.modules[__name__]))
