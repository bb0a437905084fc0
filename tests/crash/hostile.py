#!/usr/bin/python3
"""hostile.py: attacks a broker's memory from outside, while another client works.

Each attack runs on a broker of its own with memory=32MB. Its peak resident memory must stay under BOUND, and a
well-behaved client's small requests must be answered meanwhile; how long they took is printed, and limited only in the
long run. The attackers do not read, or send requests that never end. An attack stops early where the bound is passed by
far, so that a broken broker does not take the whole machine.

HALFMQ_CRASH_ROUNDS: from 5 on, the attacks that need much preparation run too, all with one loop and with two, and
waiting times are limited.
"""
import os
import resource
import select
import socket
import struct
import sys
import time
import urllib.request

import msgpack

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Refused, encode, eventually, pairs, run_tests  # noqa: E402 (the path comes first)
from prober import Prober  # noqa: E402

MB = 1000 * 1000
MIB = 1024 * 1024
BUDGET = 32 * MB
BOUND = BUDGET * 5 // 4 + 20 * MB
LONG = int(os.environ.get("HALFMQ_CRASH_ROUNDS", "1")) >= 5
LOOPS = (1, 2) if LONG else (1,)
P99_MS_MAX = 250
QUIET_SECONDS = 0.7  # an attack has had its effect when nothing has moved for so long
ATTACK_SECONDS = 6


def peak_bytes(broker):
    """Returns the most that was ever resident."""
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def hostile_socket(port):
    """A connection whose kernel takes little on this side, so that what is unread is the broker's burden."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.setblocking(False)
    return s


class Crowd:
    """Connections that send their bytes as far as the broker takes them, and never read."""

    def __init__(self, broker, count, data, port=None):
        """data: what each sends; a list of pieces, so that large ones are shared. Or a function of the number of the
        connection that returns such a list."""
        self.broker = broker
        self.sockets = {}
        self.poller = select.epoll()
        for i in range(count):
            s = hostile_socket(port or broker.port)
            self.sockets[s.fileno()] = [s, data(i) if callable(data) else data, 0, 0]
            self.poller.register(s.fileno(), select.EPOLLOUT)

    def send_some(self, fd):
        """Sends what the kernel takes of one piece. Returns whether anything moved."""
        state = self.sockets[fd]
        s, data, piece, at = state
        if piece == len(data):
            self.poller.modify(fd, 0)
            return False
        try:
            n = s.send(memoryview(data[piece])[at:at + 256 * 1024])
        except BlockingIOError:
            return False
        except OSError:
            self.poller.unregister(fd)
            return False
        at += n
        state[2:] = [piece + 1, 0] if at == len(data[piece]) else [piece, at]
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
        for s, *_ in self.sockets.values():
            s.close()
        self.poller.close()


def attack(*crowds, flags=(), prepare=None, meanwhile=None, loops=LOOPS):
    """Runs crowds (count, pieces) against a broker. prepare(client) fills its store first; meanwhile(broker) runs
    before the crowds end."""
    for n in loops:
        with Broker("--memory", "32MB", "--fsync", "never", "--io_threads", str(n), *flags) as broker:
            if prepare:
                client = broker.text()
                prepare(client)
                client.close()
            before = peak_bytes(broker)
            with Prober(broker) as prober:
                running = [Crowd(broker, count, pieces).push() for count, pieces in crowds]
                if meanwhile:
                    meanwhile(broker)
                for crowd in running:
                    crowd.close()
            verdict(broker, before, prober, n)


def verdict(broker, before, prober, loops):
    peak = peak_bytes(broker)
    print(f"        {loops} loop(s): peak {peak / MB:.1f} MB, {before / MB:.1f} before", flush=True)
    for name, figures in prober.figures.items():
        print(f"            {name:8}{figures}", flush=True)
    print(f"            {'work':8}{prober.work}", flush=True)
    for error in sorted(set(prober.errors)):
        print(f"            {prober.errors.count(error)} x {error}", flush=True)
    if broker.is_sanitized():
        return
    assert peak <= BOUND, f"{peak / MB:.0f} MB were resident, at most {BOUND / MB:.0f} MB are allowed"
    assert not any("EOFError" in error for error in prober.errors), "the prober's connection was closed"
    slowest = prober.figures["all"].p99
    assert not LONG or slowest <= P99_MS_MAX, f"others waited {slowest:.0f} ms (p99), {P99_MS_MAX} are allowed"


def pipeline(client, commands, step=500):
    """Sends encoded commands, and reads their replies."""
    for first in range(0, len(commands), step):
        some = commands[first:first + step]
        client.send_raw(b"".join(some))
        for _ in some:
            client.read()


def send_many(client, count, *words):
    pipeline(client, [encode(*words)] * count, 50)


def rpc(number, method, **params):
    return msgpack.packb([0, number, method, [params]])


# ---- replies that nobody reads ----

def test_unread_find():
    attack((50, [encode("FIND", "t", "KEY", "k", "COUNT", 10000) * 8]),
           prepare=lambda c: send_many(c, 400, "SEND", "t", "x", "KEY", "k", "PROP", "p", b"v" * 30000))


def test_unread_read():
    attack((200, [encode("READ", "t", 0, 0, "COUNT", 1000) * 8]),
           prepare=lambda c: send_many(c, 400, "SEND", "t", b"v" * 30000, "QUEUE", 0))


def test_unread_read_of_properties():
    attack((50, [encode("READ", "t", 0, 0, "COUNT", 1000) * 8]),
           prepare=lambda c: send_many(c, 400, "SEND", "t", "x", "QUEUE", 0, "PROP", "p", b"v" * 30000))


def test_unread_pop():
    attack((60, [encode("POP", "g", "t", "COUNT", 1000) * 2]),
           prepare=lambda c: send_many(c, 1000, "SEND", "t", b"v" * 30000))


def test_unread_pop_of_many_groups():
    attack((200, lambda i: [encode("POP", f"g{i}", "t", "COUNT", 1000) * 2]),
           prepare=lambda c: send_many(c, 1000, "SEND", "t", b"v" * 10000))


def test_unread_get():
    attack((200, [encode("GET", "t:0:0") * 30]),
           prepare=lambda c: send_many(c, 1, "SEND", "t", b"v" * MIB, "QUEUE", 0))


def test_unread_get_of_large_messages():
    attack((200, [encode("GET", "t:0:0") * 30]), (50, [encode("READ", "t", 0, 0) * 30]),
           (50, [rpc(1, "stream_queue", topic="t", queue=0, offset=0, credit=64 * MIB)]),
           prepare=lambda c: send_many(c, 2, "SEND", "t", b"v" * 4 * MIB, "QUEUE", 0))


def test_unread_ping():
    attack((200, [encode("PING", b"v" * 500000) * 4]))


def test_unread_small_replies():
    attack((200, [encode("PING", b"v" * 1000) * 1000] * 20))


def test_unread_docs():
    attack((20, [encode("COMMAND", "DOCS", *["topic"] * 60000)]))


def test_unread_command_info():
    attack((100, [encode("COMMAND", "DOCS") * 2000]))


def test_unread_client_list():
    attack((1000, []), (100, [encode("CLIENT", "LIST") * 2000]))


def test_unread_lists():
    attack((100, [encode("TOPIC", "LIST") * 60]),
           prepare=lambda c: pipeline(c, [encode("TOPIC", "CREATE", "t" * 100 + str(i)) for i in range(2000)]))


def test_unread_group_lists():
    def prepare(client):
        client.call("TOPIC", "CREATE", "t")
        pipeline(client, [encode("GROUP", "CREATE", "g" * 100 + str(i), "t") for i in range(2000)])
    attack((100, [encode("GROUP", "LIST") * 60]), (100, [encode("LAG") * 60]), prepare=prepare)


def test_unread_pages():
    """HTTP: many requests for /metrics whose replies nobody reads."""
    def meanwhile(broker):
        for _ in range(3):
            crowd = Crowd(broker, 300, [b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"], broker.http_port).push()
            with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/healthz", timeout=30) as page:
                assert page.read() == b"ok\n"
            crowd.close()
    attack(meanwhile=meanwhile)


# ---- requests that never end ----

def unfinished_body(size):
    return b"*3\r\n$4\r\nSEND\r\n$1\r\nt\r\n$%d\r\n" % size


LARGE_BODY = [unfinished_body(31 * MIB)] + [b"x" * MIB] * 30 + [b"x" * (MIB - 1)]


def test_unfinished_bodies():
    attack((60, LARGE_BODY), flags=("--max_message_bytes", "32MiB"))


LARGEST = b"x" * (4 * MIB)
LARGEST_WORD = b"$%d\r\n" % len(LARGEST)


def test_largest_messages():
    """As large as max_message_bytes allows, from many at once."""
    attack((60, [b"*3\r\n$4\r\nSEND\r\n$1\r\nt\r\n" + LARGEST_WORD, LARGEST, b"\r\n"] * 6))


def test_largest_half_messages():
    """As test_largest_messages, but they wait for their COMMIT."""
    attack((60, [b"*4\r\n$4\r\nHALF\r\n$1\r\ng\r\n$1\r\nt\r\n" + LARGEST_WORD, LARGEST, b"\r\n"] * 4))


def full_transactions(client, count):
    """Opens transactions that take no further message of 1 MiB. Returns their ids."""
    txids = []
    for _ in range(count):
        txid = client.call("HALF", "g", "t", b"x" * MIB)
        try:
            while True:
                client.call("HALF", "g", "t", b"x" * MIB, "TXN", txid)
        except Refused as error:
            assert error.code == "TOOBIG", error
        txids.append(txid)
    return txids


def test_commits_of_the_largest_transactions():
    def meanwhile(broker):
        with_room = full_transactions(broker.text(), 12)
        crowd = [Crowd(broker, 1, [encode("COMMIT", txid)]) for txid in with_room]
        for one in crowd:
            one.push()
        client = broker.text()
        for txid in with_room:
            eventually(lambda: dict(pairs(client.call("TXN", "INFO", txid)))["state"] == b"committed", "it is committed")
        for one in crowd:
            one.close()
    attack(meanwhile=meanwhile)


def test_checks_of_the_largest_transactions():
    """Check-backs that nobody reads: polled, subscribed and served."""
    def prepare(client):
        for txid in full_transactions(client, 24):
            client.call("TXN", "EXTEND", txid, 0)
    polls, serves = [encode("CHECKS", "g", "WAIT", "1h")], [rpc(1, "checks_serve", pgroup="g")]
    attack((24, polls), (24, [encode("SUBSCRIBE", "check:g")]), (24, serves), prepare=prepare)
    attack((24, [rpc(1, "checks", pgroup="g")]), (24, [encode("SUBSCRIBE", "check:g", "topic:t")]), prepare=prepare)


def test_unfinished_msends():
    word = b"$%d\r\n%s\r\n" % (MIB, b"x" * MIB)
    attack((60, [b"*62\r\n$5\r\nMSEND\r\n$1\r\nt\r\n"] + [word] * 59))


def test_unfinished_small_requests():
    attack((1000, [unfinished_body(100 * 1024), b"x" * 99 * 1024]))


def test_unfinished_inline_lines():
    attack((1000, [b"SEND t " + b"x" * 60000]))


def test_unfinished_words():
    attack((200, [b"*65000\r\n$5\r\nMSEND\r\n" + b"$1\r\nt\r\n" * 64900]))


def test_tiny_words():
    """Requests of very many words, one behind the other, that are whole."""
    attack((100, [encode("MSEND", "t", *["x"] * 9000)] * 20))


def test_refused_words():
    """The same, of a command that takes fewer words."""
    attack((100, [encode("PING", *["x"] * 60000)] * 10))


def test_giant_methods():
    attack((60, [b"\x94\x00\x01\xdb" + struct.pack(">I", 60 * MIB)] + [b"x" * MIB] * 59))


def test_giant_methods_that_end():
    method = b"\x94\x00\x01\xdb" + struct.pack(">I", 9 * MIB) + b"x" * 9 * MIB + b"\x90"
    attack((60, [method] * 4))


def test_many_values():
    values = 500000
    frame = b"\x94\x00\x01\xa4ping\xdd" + struct.pack(">I", values) + b"\xc0" * values
    attack((60, [frame] * 8))


def test_deep_values():
    """Frames of small lists in lists, as deep as is allowed."""
    deep = b"\x91" * 12 + b"\xc0"
    frame = b"\x94\x00\x01\xa4ping\xdc" + struct.pack(">H", 60000) + deep * 60000
    attack((60, [frame] * 8))


# ---- what is kept for a connection ----

def test_parked_waits():
    pops = b"".join(rpc(i, "pop", group="g", topic=["t"], wait=600000) for i in range(1, 1025))
    attack((500, [pops]), prepare=lambda c: c.call("TOPIC", "CREATE", "t"))


def test_parked_waits_of_many_topics():
    topics = [f"{'t' * 100}{i}" for i in range(100)]
    pops = b"".join(rpc(i, "pop", group="g", topic=topics, wait=600000) for i in range(1, 1025))
    attack((100, [pops]), prepare=lambda c: pipeline(c, [encode("TOPIC", "CREATE", t) for t in topics]))


def test_parked_reads():
    reads = b"".join(rpc(i, "read", topic="t", queue=0, offset=0, wait=600000) for i in range(1, 1025))
    attack((500, [reads]), prepare=lambda c: c.call("TOPIC", "CREATE", "t"))


def test_parked_reads_of_a_large_message():
    """One message answers all of them."""
    def meanwhile(broker):
        client = broker.text()
        client.call("SEND", "t", b"v" * 3 * MIB, "QUEUE", 0)
        client.close()
        time.sleep(QUIET_SECONDS)  # what it does to others is measured
    attack((200, [encode("READ", "t", 0, 0, "WAIT", "1h")]),
           prepare=lambda c: c.call("TOPIC", "CREATE", "t"), meanwhile=meanwhile)


def test_many_subscriptions():
    attack((300, lambda i: [encode("SUBSCRIBE", *[f"topic:{i}-{'t' * 100}{k}" for k in range(1000)])]))


def test_many_check_subscriptions():
    attack((300, lambda i: [encode("SUBSCRIBE", *[f"check:{i}-{k}" for k in range(1000)])]))


def test_deaf_subscribers():
    def meanwhile(broker):
        client = broker.text()
        for _ in range(60):
            client.call("SEND", "t", b"x" * 64 * 1024)
            if peak_bytes(broker) > 4 * BOUND:
                break
        client.close()
    attack((10000, [encode("SUBSCRIBE", "topic:t")]), meanwhile=meanwhile)


def test_deaf_streams():
    """Streams of groups and of queues with all the credit there is, on connections that do not read."""
    group = rpc(1, "stream_group", group="g", topic=["t"], credit=100000)
    queue = rpc(2, "stream_queue", topic="t", queue=0, offset=0, credit=64 * MIB)
    attack((10000, [group + queue]), prepare=lambda c: send_many(c, 400, "SEND", "t", b"v" * 30000))


def test_many_streams():
    streams = b"".join(rpc(i, "stream_group", group=f"g{i}", topic=["t"], credit=100) for i in range(64))
    attack((200, [streams]), prepare=lambda c: c.call("TOPIC", "CREATE", "t"))


def test_unanswered_checks():
    """Checks that were asked and are not answered."""
    def prepare(client):
        pipeline(client, [encode("HALF", "p", "t", b"x" * 100, "CHECKIN", 1000) for _ in range(20000)])
        time.sleep(1.5)
    serve = rpc(1, "checks_serve", pgroup="p")
    attack((200, [serve]), prepare=prepare)


# ---- who is honest goes on ----

def test_honest_clients_go_on():
    """Large requests and replies of others are done while the attackers keep their connections."""
    with Broker("--memory", "32MB", "--fsync", "never", "--max_message_bytes", "32MiB") as broker:
        crowd = Crowd(broker, 60, LARGE_BODY).push()
        client = broker.text(timeout=60)
        assert client.call("SEND", "honest", b"x" * MIB, "QUEUE", 0) == b"honest:0:0"
        assert len(client.call("READ", "honest", 0, 0, "COUNT", 10)) == 1
        client.close()
        crowd.close()


# ---- what is kept for names ----

def test_many_topics():
    if LONG:
        attack(prepare=lambda c: pipeline(c, [encode("TOPIC", "CREATE", f"t{i}", "QUEUES", 1) for i in range(99000)]))


def test_many_groups():
    def prepare(client):
        client.call("TOPIC", "CREATE", "t")
        pipeline(client, [encode("POP", f"g{i}", "t") for i in range(99000)])
    if LONG:
        attack(prepare=prepare)


def test_many_groups_of_many_queues():
    def prepare(client):
        client.call("TOPIC", "CREATE", "t", "QUEUES", 1024)
        pipeline(client, [encode("SEND", "t", "x", "QUEUE", i) for i in range(1024)])
        pipeline(client, [encode("POP", f"g{i}", "t", "COUNT", 1) for i in range(20000)])
    if LONG:
        attack(prepare=prepare)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.exit(run_tests(sys.modules[__name__]))
