"""batches.py: batches of 1,000 messages, over what RocksDB can do without a broker.

The Kafka row takes the same rate over a figure of Kafka's own tester. `make bench-peers` measures that in
the same run; without it the figure is one that was measured apart, and the row says so.
"""
import os
import shutil

from suite import rows
from suite.loads import halfmq_bench, rawdb
from suite.servers import HalfMQ

SECONDS = 5
CONNECTIONS = ("--connections", "4", "--inflight", "16")


def send_batches(bench, port, topic="bench"):
    result, command = halfmq_bench(bench, port, "send", "--topic", topic, "--batch", "1000", "--size",
                                   "100", *CONNECTIONS, "--duration", bench.seconds(SECONDS))
    return result["messages_per_s"], command


def raw_batches(bench):
    folder = os.path.join(bench.data, "raw")
    try:
        result, command = rawdb(bench, "batch", folder, "--messages", "1000", "--size", "100",
                                "--duration", bench.seconds(SECONDS))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return result["messages_per_s"], command


def measure(bench):
    f = bench.figure("batch")
    f.fsync = "fsync=always; each WriteBatch synced"
    with HalfMQ(bench, "batches") as broker:
        bench.alternate("batch", lambda: send_batches(bench, broker.port), lambda: raw_batches(bench))
    over_kafka(bench, f)


def over_kafka(bench, batch):
    """Of the figures that were measured separately, the best one is the reference."""
    reference = max(rows.SEPARATE_KAFKA_PRODUCE)
    f = bench.figure("batch_kafka")
    f.fsync = "fsync=always; Kafka: none"
    f.note = (f"Kafka was not run here: the {reference / 1000:.0f} k/s are Kafka 3.9.1 on a machine of this "
              "kind, measured apart. `make bench-peers` runs it.")
    f.commands = [("HalfMQ", batch.commands[0][1])]
    for r in batch.rounds:
        bench.put("batch_kafka", r.ours / reference, r.ours, reference)
