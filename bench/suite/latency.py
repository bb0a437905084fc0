"""latency.py: how long a SEND waits at half the highest rate, over how long the disk alone takes.

    highest rate   closed loop, 50 connections, one request in flight on each
    p99 of SEND    open loop at half of that: latency from the moment a request was meant to start
    reference      p99 of a loop that appends 4 KiB and calls fdatasync, on the same disk, in turns
    and            p99 of an ideal server at the same rate, an open loop too: all messages that have arrived in one
                   write over blocks that are there and one fdatasync, no network. The loop above counts a stall of the disk once, however
                   many messages would have waited for it; this one counts each of them, as the tester does
    and            p99 of Redis XADD, appendfsync always, at the same rate from the same tester: the two above
                   have the machine to themselves, a server shares it with its tester
"""
import os

from suite.loads import BODY, halfmq_bench, rawdb
from suite.servers import HalfMQ, Redis

SECONDS = 5
CONNECTIONS = ("--connections", "50")


def measure(bench):
    f = bench.figure("p99")
    f.fsync, f.side_unit = "fsync=always; fdatasync each", "ms"
    with HalfMQ(bench, "latency") as broker:
        top, top_command = halfmq_bench(bench, broker.port, "send", *CONNECTIONS, "--inflight", "50",
                                        "--warmup", "1s", "--duration", bench.seconds(SECONDS))
        rate = top["messages_per_s"] / 2
        bench.say(f"p99: the highest rate is {top['messages_per_s']:.0f}/s")
        broker.settle()  # background work of the run at the highest rate must not disturb the next

        def ours():
            got, command = halfmq_bench(bench, broker.port, "send", *CONNECTIONS, "--inflight", "1000",
                                        "--rate", f"{rate:.0f}", "--warmup", "1s", "--duration",
                                        bench.seconds(SECONDS))
            return got["latency_us"]["p99"] / 1000, command

        bench.alternate("p99", ours, lambda: disk(bench, "fsync"))
        beside_ideal(bench, ours, rate)
        beside_redis(bench, ours, rate)
    f.commands.insert(0, ("the highest rate", top_command))
    f.note = f"The highest rate was {top['messages_per_s']:.0f} messages/s; half of it was asked for."


def beside_ideal(bench, ours, rate):
    f = bench.figure("p99_group")
    f.fsync, f.side_unit = "fsync=always; fdatasync each turn", "ms"
    bench.alternate("p99_group", ours, lambda: disk(bench, "group", "--overwrite", "--rate", f"{rate:.0f}",
                                                    "--size", str(len(BODY))))


def beside_redis(bench, ours, rate):
    f = bench.figure("p99_redis")
    f.fsync, f.side_unit = "fsync=always; appendfsync always", "ms"
    with Redis(bench, "latency-redis") as redis:
        def theirs():
            got, command = halfmq_bench(bench, redis.port, "redis", *CONNECTIONS, "--inflight", "1000", "--rate",
                                        f"{rate:.0f}", "--warmup", "1s", "--duration", bench.seconds(SECONDS))
            return got["latency_us"]["p99"] / 1000, command

        bench.alternate("p99_redis", ours, theirs)


def disk(bench, mode, *flags):
    folder = os.path.join(bench.data, mode)
    os.makedirs(folder, exist_ok=True)
    got, command = rawdb(bench, mode, folder, *flags, "--duration", bench.seconds(SECONDS))
    return got["latency_us"]["p99"] / 1000, command
