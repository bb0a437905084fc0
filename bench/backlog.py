#!/usr/bin/python3
"""backlog.py: what SEND costs beside ten million messages that wait, or ten thousand groups. Prints a table of bench/README.md.

    bench/backlog.py [--bin build/bin] [--rounds 3] [--scale 1.0] [--only delayed,retry,groups] [--memory 256MB,64MB]

    delayed   10 million messages that become visible in an hour
    retry     10 million messages of a group that were NACKed one by one, each with a pause of its own: as many rows
    groups    10,000 groups on the topic that is sent to

    broker with the crowd ─┐ the same SENDs, in turns: the rate, and the processor time a message that the broker took
    empty broker          ─┘

Then the broker with the crowd is stopped and started, as often as there are rounds, until it answers PING. The most memory that
it ever had is that of the filling, too.
"""
import argparse
import os
import random
import re
import socket
import statistics
import sys
import threading

sys.dont_write_bytecode = True

from suite.bench import Bench, lock  # noqa: E402 (the flag comes first)
from suite.loads import BODY, halfmq_bench, redis_benchmark
from suite.servers import Broken, HalfMQ

CROWD, GROUPS = 10**7, 10**4
PART = 250000  # messages that redis-benchmark sends in one run
POPPED = 1000  # at a time
LINES = 500  # in one write to a socket
ERROR = re.compile(rb"\r\n-([A-Z]{2,10} [^\r\n]*)\r\n")  # a body has no such line
SENDS, DEPTH = 1000000, 16
CROWDS = {"delayed": "{} delayed messages", "retry": "{} messages that wait for a retry", "groups": "{} groups on the topic"}


class Talk:
    """Commands in the text dialect, pipelined as far as the sockets' buffers take them. Replies are not kept; errors are."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self.socket.sendall(b"CLIENT SETNAME backlog\r\n")
        self.wrong, self.ended = None, False
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        left = b""
        while not left.endswith(b"$3\r\nend\r\n"):
            got = self.socket.recv(1 << 20)
            if not got:
                return
            left = left[-64:] + got
            error = ERROR.search(left)
            if error and not self.wrong:
                self.wrong = error.group(1).decode(errors="replace")
        self.ended = True

    def say(self, lines):
        part = []
        for line in lines:
            part.append(line)
            if len(part) == LINES:
                self.socket.sendall(("\r\n".join(part) + "\r\n").encode())
                part = []
        self.socket.sendall(("\r\n".join(part + ["ECHO end"]) + "\r\n").encode())
        self.reader.join()
        self.socket.close()
        if self.wrong or not self.ended:
            raise Broken(self.wrong or "the broker closed the connection")


def make_delayed(bench, broker, n):
    for _ in range(max(1, n // PART)):
        redis_benchmark(bench, broker.port, 64, min(n, PART) / bench.scale, "SEND", "later", BODY, "DELAY", "1h")


def retry_lines(n):
    chance = random.Random(1)
    for first in range(0, n, POPPED):
        yield f"POP g again COUNT {POPPED} LEASE 1h"
        for i in range(first, first + POPPED):
            yield f"NACK g again:0:{i}#1 DELAY {chance.randrange(3600, 7200)}s"


def make_retry(bench, broker, n):
    Talk(broker.port).say(["TOPIC CREATE again QUEUES 1", "GROUP CREATE g again"])
    halfmq_bench(bench, broker.port, "send", "--topic", "again", "--batch", str(POPPED), "--connections", "2", "--inflight", "8",
                 "--messages", str(n))
    Talk(broker.port).say(retry_lines(n))


def make_groups(_bench, broker, n):
    Talk(broker.port).say(["TOPIC CREATE bench"] + [f"GROUP CREATE g{i} bench" for i in range(n)])


MAKERS = {"delayed": make_delayed, "retry": make_retry, "groups": make_groups}


def send(bench, broker):
    """(messages a second, microseconds of processor time a message)"""
    before = broker.cpu_seconds()
    (rate, _, _), command = redis_benchmark(bench, broker.port, DEPTH, SENDS, "SEND", "bench", BODY)
    return rate, (broker.cpu_seconds() - before) / bench.scaled(SENDS) * 1e6, command


def in_turns(bench, name, broker, empty):
    rates, costs, ratios, dear = [], [], [], []
    for i in range(bench.rounds + 1):  # the first one warms both up
        got = {}
        for b in (broker, empty) if i % 2 == 0 else (empty, broker):
            got[b] = send(bench, b)
        if i == 0:
            broker.settle()
            continue
        rates.append(got[broker][0])
        costs.append(got[broker][1])
        ratios.append(got[broker][0] / got[empty][0])
        dear.append(got[broker][1] / got[empty][1])
        bench.say(f"{name} round {i}: {rates[-1] / 1000:.0f} k/s, {ratios[-1]:.2f}x; {costs[-1]:.2f} us, {dear[-1]:.2f}x")
    return rates, ratios, costs, dear, got[broker][2]


def starts(bench, broker):
    seconds = []
    for _ in range(bench.rounds):
        broker.stop()
        seconds.append(broker.start())
    return seconds


def row(bench, name, memory):
    n = int((GROUPS if name == "groups" else CROWD) * bench.scale)
    n = max(POPPED, n - n % POPPED)
    flags = ("--log_level", "warn", "--memory", memory)
    with HalfMQ(bench, f"backlog-{name}", *flags) as broker, HalfMQ(bench, "backlog-empty", *flags) as empty:
        bench.say(f"{name}, {memory}: making {n}")
        MAKERS[name](bench, broker, n)
        broker.settle()
        bench.say(f"{name}, {memory}: made; {broker.peak_mb():.0f} MB at most")
        rates, ratios, costs, dear, command = in_turns(bench, name, broker, empty)
        peak = broker.peak_mb()
        start = starts(bench, broker)
    return (f"| {CROWDS[name].format(f'{n:,}')} | {memory} | {statistics.median(rates) / 1000:.0f} k/s | "
            f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} - {max(ratios):.2f}) | {statistics.median(costs):.2f} us | "
            f"{statistics.median(dear):.2f}x ({min(dear):.2f} - {max(dear):.2f}) | {peak:.0f} MB | "
            f"{statistics.median(start):.3f} s ({min(start):.3f} - {max(start):.3f}) |\n", command)


def main():
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = argparse.ArgumentParser(description="What SEND costs beside many messages that wait, or many groups.")
    p.add_argument("--bin", default=os.path.join(source, "build", "bin"), help="folder of the programs")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--scale", type=float, default=1.0, help="fewer of all for a try-out; no figures then")
    p.add_argument("--only", default=",".join(CROWDS), help="crowds, with commas: " + " ".join(CROWDS))
    p.add_argument("--memory", default="256MB", help="settings of memory, with commas (256MB)")
    a = p.parse_args()
    data = os.path.join(os.path.dirname(os.path.abspath(a.bin)), "bench-data")
    try:
        with lock(data):
            bench = Bench(a.bin, data, rounds=a.rounds, scale=a.scale)
            for name in a.only.split(","):
                for memory in a.memory.split(","):
                    line, command = row(bench, name, memory)
                    print(line + f"`{command}`", flush=True)
    except Broken as e:
        print(f"backlog: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
