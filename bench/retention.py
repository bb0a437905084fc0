#!/usr/bin/python3
"""retention.py: what RETENTION and MAXBYTES cost. Prints the tables of bench/README.md.

    bench/retention.py [--bin build/bin] [--rounds 3] [--scale 1.0] [--only size-batches,...]

    topic without MAXBYTES ─┐ the same messages, in turns: rate, p99.9, and how large the store gets meanwhile;
    topic with MAXBYTES    ─┘ then p99.9 at one rate for both, half of what the slower one reached (an open loop)

    10,000 topics with RETENTION, 10,000 groups on a topic: messages to another topic, beside an empty broker

Bodies are random: the disk cannot make them smaller. The store's size is that of its tables and blob files, looked at
ten times a second; the write-ahead log comes on top, and has a size of its own (replay_max).
"""
import argparse
import os
import socket
import statistics
import sys
import threading

from suite.bench import Bench, lock
from suite.loads import halfmq_bench
from suite.servers import Broken, HalfMQ

GB, MB = 10**9, 10**6
SHARED = ("--body", "random", "--connections", "4", "--topic", "bench")
SIZES = {  # title, bytes that go through, MAXBYTES, bytes of a body, flags
    "batches": ("1,000 bytes, batches of 100", 5 * GB, 500 * MB, 1000, ("--batch", "100", "--inflight", "16")),
    "singles": ("1,000 bytes, single SENDs, 64 in flight", 2 * GB, 200 * MB, 1000, ("--inflight", "64")),
    "small": ("100 bytes, single SENDs, 64 in flight", GB // 20, 5 * MB, 100, ("--inflight", "64")),
}
OPEN_MB = 25  # in flight: only a limit, below that from which on the broker answers BUSY
CROWDS = ("topics", "groups")
CROWD = 10000
CROWD_SECONDS = 10
LOOK_SECONDS = 0.1
LOAD_SECONDS = 3600  # 50 GB at half the rate take eight minutes
PIPELINED = 500


def store_bytes(folder):
    """Of tables and blob files, as the disk counts them."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".sst", ".blob")):
                try:
                    total += os.stat(os.path.join(at, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
    return total


class Sampler(threading.Thread):
    """Remembers the largest size of a folder."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.most, self.over = folder, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(LOOK_SECONDS):
            self.most = max(self.most, store_bytes(self.folder))

    def end(self):
        self.over.set()
        self.join()
        return self.most


def text(port, lines):
    """Sends commands in the text dialect, pipelined; returns the last reply's first line."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s, s.makefile("rb") as replies:
        for i in range(0, len(lines), PIPELINED):
            part = lines[i:i + PIPELINED]
            s.sendall("".join(line + "\r\n" for line in part).encode())
            for line in part:
                reply = replies.readline().decode().strip()
                if reply.startswith("$"):
                    reply = replies.readline().decode().strip()
                if reply.startswith("-"):
                    raise Broken(f"{line}: {reply}")
    return reply


def kept_bytes(port):
    """The last `bytes` of TOPIC INFO: of all queues."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall(b"TOPIC INFO bench\r\nPING\r\n")
        got = b""
        while not got.endswith(b"+PONG\r\n"):
            got += s.recv(65536)
    return int(got.rsplit(b"$5\r\nbytes\r\n:", 1)[1].split(b"\r\n")[0])


def through(bench, kind, max_bytes, n, size, flags):
    """(messages a second, p99.9 ms, largest store in MB, MB that the topic has at the end) of one that is sent all of it."""
    with HalfMQ(bench, f"retention-{kind}", "--log_level", "warn") as broker:
        text(broker.port, ["TOPIC CREATE bench" + (f" MAXBYTES {max_bytes}" if kind == "bound" else "")])
        sampler = Sampler(broker.folder)
        got, command = halfmq_bench(bench, broker.port, "send", "--size", str(size), "--messages", str(n), *SHARED, *flags,
                                    seconds=LOAD_SECONDS)
        most = sampler.end()
        kept = kept_bytes(broker.port)
    os.sync()  # its files are removed, and the disk must be done with that before the next one begins
    return (got["messages_per_s"], got["latency_us"]["p999"] / 1000, most / MB, kept / MB), command


def in_turns(bench, name, i, max_bytes, n, size, flags):
    """Both topics, in another order each round: the figures by kind, and the last command."""
    got, command = {}, ""
    for kind in ("free", "bound") if i % 2 == 0 else ("bound", "free"):
        got[kind], command = through(bench, kind, max_bytes, n, size, flags)
        bench.say(f"{name} {kind:5} round {i + 1}: " + "  ".join(f"{x:.5g}" for x in got[kind]))
    return got, command


def open_limit(size, flags):
    batch = int(flags[flags.index("--batch") + 1]) if "--batch" in flags else 1
    return ("--inflight", str(min(4000, OPEN_MB * MB // (size * batch))))


def spread(ratios):
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} - {max(ratios):.2f})"


def sizes(bench, name):
    title, total, max_bytes, size, flags = SIZES[name]
    n, max_bytes = bench.scaled(total // size), int(max_bytes * bench.scale)
    got, open_loop, command = {"free": [], "bound": []}, [], ""
    for i in range(bench.rounds):
        figures, command = in_turns(bench, name, i, max_bytes, n, size, flags)
        for kind in got:
            got[kind].append(figures[kind])
        half = int(min(f[0] for f in figures.values()) / 2)
        at_half, _ = in_turns(bench, f"{name} at {half}/s", i, max_bytes, n, size, (*flags, "--rate", str(half), *open_limit(size, flags)))
        open_loop.append((half, at_half["bound"][1], at_half["bound"][1] / at_half["free"][1]))
    rate = [b[0] / f[0] for b, f in zip(got["bound"], got["free"])]
    tail = [b[1] / f[1] for b, f in zip(got["bound"], got["free"])]
    half, half_ms, half_tail = (list(values) for values in zip(*open_loop))
    free = [statistics.median(values) for values in zip(*got["free"])]
    bound = [statistics.median(values) for values in zip(*got["bound"])]
    return (f"| {title} | {n * size / MB:.0f} MB through {max_bytes / MB:.0f} MB | {bound[0] / 1000:.1f} k/s | "
            f"{spread(rate)} | {bound[1]:.1f} ms | {spread(tail)} | {statistics.median(half) / 1000:.1f} k/s | "
            f"{statistics.median(half_ms):.1f} ms | {spread(half_tail)} | {bound[2]:.0f} MB "
            f"({max(b[2] for b in got['bound']) / (max_bytes / MB):.2f}x) | {free[2]:.0f} MB | {bound[3]:.0f} MB |\n", command)


def crowd_lines(kind, n):
    if kind == "groups":
        return ["TOPIC CREATE crowd"] + [f"GROUP CREATE g{i} crowd" for i in range(n)]
    lines = []
    for i in range(n):
        lines += [f"TOPIC CREATE t{i} RETENTION {CROWD_SECONDS}s", f"SEND t{i} x"]
    return lines


def crowd(bench, kind):
    """Messages to one topic, on a broker with the crowd, over those on an empty one, in turns."""
    n = int(CROWD * bench.scale)
    ratios, rates = [], []
    with HalfMQ(bench, "retention-crowd", "--log_level", "warn") as broker, \
            HalfMQ(bench, "retention-empty", "--log_level", "warn") as empty:
        text(broker.port, crowd_lines(kind, n))
        for b in (broker, empty):
            text(b.port, ["TOPIC CREATE bench MAXBYTES 50000000"])
        broker.settle()
        for i in range(bench.rounds):
            got = {}
            for b in (broker, empty) if i % 2 == 0 else (empty, broker):
                got[b], command = halfmq_bench(bench, b.port, "send", "--duration", bench.seconds(5), "--inflight", "64", *SHARED)
            ratios.append(got[broker]["messages_per_s"] / got[empty]["messages_per_s"])
            rates.append(got[broker]["messages_per_s"])
            bench.say(f"{kind} round {i + 1}: {rates[-1] / 1000:.1f} k/s, {ratios[-1]:.2f}x")
    what = "topics with RETENTION" if kind == "topics" else "groups on another topic"
    return f"| {n} {what} | {statistics.median(rates) / 1000:.1f} k/s | {spread(ratios)} |\n", command


def main():
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = argparse.ArgumentParser(description="What RETENTION and MAXBYTES cost.")
    p.add_argument("--bin", default=os.path.join(source, "build", "bin"), help="folder of the programs")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--scale", type=float, default=1.0, help="fewer messages and a smaller MAXBYTES for a try-out; no figures then")
    p.add_argument("--only", default=",".join((*SIZES, *CROWDS)), help="loads, with commas: " + " ".join((*SIZES, *CROWDS)))
    a = p.parse_args()
    data = os.path.join(os.path.dirname(os.path.abspath(a.bin)), "bench-data")
    try:
        with lock(data):
            bench = Bench(a.bin, data, rounds=a.rounds, scale=a.scale)
            for name in a.only.split(","):
                line, command = crowd(bench, name) if name in CROWDS else sizes(bench, name)
                print(line + f"`{command}`", flush=True)
    except Broken as e:
        print(f"retention: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
