"""library.py: loads through libhalfmq (halfmq-bench --via lib) over the same loads on the tester's own wire.

The broker, the flags and the number of messages in flight are the same. The tester's wire does what must be done and no
more; the library takes messages one by one, makes the batches itself, calls back for each, and runs a handler for each.
"""
from suite.consume import MESSAGES, fill
from suite.loads import halfmq_bench
from suite.servers import HalfMQ

SECONDS = 4
FLAGS = ("--connections", "4", "--credit", "10000")  # as many as a consumer may hold
LOADS = {
    "lib_send": ("send", "--connections", "4", "--inflight", "64", "--size", "100"),
    "lib_batch": ("send", "--batch", "500", "--connections", "4", "--inflight", "16", "--size", "100"),
    "lib_txn": ("txn", "--inflight", "64", "--size", "100"),
}


def load(bench, port, words, via, rate):
    result, command = halfmq_bench(bench, port, *words, "--via", via, "--duration", bench.seconds(SECONDS))
    return result[rate], command


def sends_and_transactions(bench):
    for key, words in LOADS.items():
        bench.figure(key).fsync = "fsync=always, both"
        rate = "transactions_per_s" if words[0] == "txn" else "messages_per_s"
        with HalfMQ(bench, key) as broker:
            bench.alternate(key, lambda: load(bench, broker.port, words, "lib", rate),
                            lambda: load(bench, broker.port, words, "wire", rate))


def drain(bench, port, topic, group, via):
    n = bench.scaled(MESSAGES)
    result, command = halfmq_bench(bench, port, "consume", "--topic", topic, "--group", group, *FLAGS, "--messages", str(n),
                                   "--via", via)
    return result["messages_per_s"], command


def consume(bench):
    """Both sides empty the same topic, each with a group of its own."""
    bench.figure("lib_consume").fsync = "fsync=always, both"
    rounds = {"lib": 0, "wire": 0}

    def side(via):
        rounds[via] += 1
        topic = f"t{rounds[via]}"
        if rounds[via] > min(rounds.values()):  # the first of the round
            fill(bench, broker.port, topic, bench.scaled(MESSAGES))
        return drain(bench, broker.port, topic, via, via)

    with HalfMQ(bench, "library-consume") as broker:
        bench.alternate("lib_consume", lambda: side("lib"), lambda: side("wire"))


def measure(bench):
    sends_and_transactions(bench)
    consume(bench)
