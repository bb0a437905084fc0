#!/usr/bin/python3
"""compress.py: what COMPRESS of TOPIC CREATE saves and costs. Prints the tables of bench/README.md.

    bench/compress.py [--bin build/bin] [--rounds 3] [--scale 1.0] [--only json-100,random-1000]

    send ──► SIGKILL, start (what was in the log goes into files) ──► bytes of the files ──► consume

A broker and a folder of its own for each kind in each round; the kinds take turns, and the one that goes first
changes. Rates and processor time are the broker's, compression in RocksDB's own threads is part of both.
"""
import argparse
import os
import statistics
import sys

from suite.bench import Bench, lock
from suite.loads import halfmq_bench
from suite.servers import Broken, HalfMQ

KINDS = ("none", "lz4", "zstd")
SHARED = ("--connections", "4", "--inflight", "16", "--batch", "1000")
LOADS = {  # messages, title, flags of send, credit of consume (each small record is a range of its own in an ACK)
    "json-100": (2000000, "JSON, 100 bytes, batches of 1,000", ("--body", "json", "--size", "100", *SHARED), "20000"),
    "json-300": (700000, "JSON, 300 bytes, batches of 1,000", ("--body", "json", "--size", "300", *SHARED), "20000"),
    "json-alone": (150000, "JSON, 300 bytes, single SENDs, 64 in flight",
                   ("--body", "json", "--size", "300", "--connections", "8", "--inflight", "64"), "1000"),
    "random-1000": (200000, "random, 1,000 bytes, batches of 1,000",
                    ("--body", "random", "--size", "1000", *SHARED), "20000"),
}
CONSUME = ("--group", "g", "--connections", "4", "--credit")
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(broker):
    with open(f"/proc/{broker.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def bytes_in_files(folder):
    """Of records and rows; not of the write-ahead log, which is not compressed and goes."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder)
               for name in names if name.endswith((".sst", ".blob")))


def one(bench, kind, n, flags, credit):
    """(bytes a message, messages sent a second, processor us each, consumed a second, us each), commands"""
    with HalfMQ(bench, f"compress-{kind}") as broker:
        sent, send = halfmq_bench(bench, broker.port, "send", "--compress", kind, "--messages", str(n), *flags)
        send_us = processor_seconds(broker) / n * 1e6
        broker.stop()
        size = bytes_in_files(broker.folder) / n
        broker.start()
        before = processor_seconds(broker)
        taken, consume = halfmq_bench(bench, broker.port, "consume", "--messages", str(n), *CONSUME, credit)
        consume_us = (processor_seconds(broker) - before) / n * 1e6
    return (size, sent["messages_per_s"], send_us, taken["messages_per_s"], consume_us), (send, consume)


def rounds_of(bench, n, flags, credit):
    """By kind: the figures of each round."""
    got, commands = {kind: [] for kind in KINDS}, {}
    for i in range(bench.rounds):
        turn = i % len(KINDS)
        for kind in KINDS[turn:] + KINDS[:turn]:
            figures, commands[kind] = one(bench, kind, n, flags, credit)
            got[kind].append(figures)
            bench.say(f"{kind:5} round {i + 1}: " + "  ".join(f"{x:.5g}" for x in figures))
    return got, commands["zstd"]


def table(title, got, commands):
    """Ratios are taken inside a round, beside none; the figure is their median."""
    lines = [f"**{title}**", "",
             "| COMPRESS | bytes a message | of none | SEND | over none | processor us | consume | over none | processor us |",
             "|---|---|---|---|---|---|---|---|---|"]
    for kind in KINDS:
        median = [statistics.median(values) for values in zip(*got[kind])]
        ratios = [[mine[c] / none[c] for mine, none in zip(got[kind], got["none"])] for c in range(5)]
        ratio = [statistics.median(values) for values in ratios]
        spread = [f"{r:.2f}x ({min(v):.2f} - {max(v):.2f})" for r, v in zip(ratio, ratios)]
        lines.append(f"| {kind} | {median[0]:.1f} | {100 * ratio[0]:.0f} % | {median[1] / 1000:.0f} k/s | {spread[1]} | "
                     f"{median[2]:.2f} | {median[3] / 1000:.0f} k/s | {spread[3]} | {median[4]:.2f} |")
    lines += ["", f"`{commands[0]}`, then `{commands[1]}`", ""]
    return "\n".join(lines)


def main():
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = argparse.ArgumentParser(description="What COMPRESS saves and costs.")
    p.add_argument("--bin", default=os.path.join(source, "build", "bin"), help="folder of the programs")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--scale", type=float, default=1.0, help="fewer messages for a try-out; no figures then")
    p.add_argument("--only", default=",".join(LOADS), help="loads, with commas: " + " ".join(LOADS))
    a = p.parse_args()
    names = a.only.split(",")
    if set(names) - set(LOADS):
        p.error(f"--only takes {' '.join(LOADS)}")
    data = os.path.join(os.path.dirname(os.path.abspath(a.bin)), "bench-data")
    try:
        with lock(data):
            bench = Bench(a.bin, data, rounds=a.rounds, scale=a.scale)
            for name in names:
                n, title, flags, credit = LOADS[name]
                print(table(title, *rounds_of(bench, bench.scaled(n), flags, credit)), flush=True)
    except Broken as e:
        print(f"compress: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
