"""consume.py: a group consumes and acknowledges a stored backlog as fast as it can.

Each round has a topic of its own: it is filled, then emptied. Only the emptying counts. The messages come
from streams (halfmq-bench's --wire binary) and are acknowledged in ranges.
"""
from suite import rows
from suite.loads import halfmq_bench
from suite.servers import HalfMQ

MESSAGES = 3000000
FLAGS = ("--connections", "4", "--credit", "20000")


def fill(bench, port, topic, n):
    halfmq_bench(bench, port, "send", "--topic", topic, "--batch", "1000", "--connections", "4",
                 "--inflight", "16", "--messages", str(n))


def drain(bench, port, topic, n):
    result, command = halfmq_bench(bench, port, "consume", "--topic", topic, "--group", "g", *FLAGS,
                                   "--messages", str(n))
    return result["messages_per_s"], command


def one_round(bench, port, topic):
    n = bench.scaled(MESSAGES)
    fill(bench, port, topic, n)
    return drain(bench, port, topic, n)


def measure(bench):
    f = bench.figure("consume")
    f.fsync = "fsync=always"
    with HalfMQ(bench, "consume") as broker:
        for i in range(bench.rounds):
            rate, command = one_round(bench, broker.port, f"t{i}")
            bench.put("consume", rate)
        f.commands = [("HalfMQ", command)]
    over_rocketmq(bench, f)


def over_rocketmq(bench, consume):
    reference = rows.SEPARATE_ROCKETMQ_CONSUME
    f = bench.figure("consume_peer")
    f.fsync = "fsync=always; RocketMQ's consumer syncs nothing"
    f.note = (f"RocketMQ was not run here: the {reference / 1000:.0f} k/s are RocketMQ 5.5.0 on a machine of "
              "this kind, measured apart. `make bench-peers` runs it.")
    f.commands = list(consume.commands)
    for r in consume.rounds:
        bench.put("consume_peer", r.value / reference, r.value, reference)
