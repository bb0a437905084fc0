"""memory.py: resident memory of a broker with memory=64MB: idle, and the most under any load.

"Any load" is a list, each with a broker of its own, so that a table says which one needs the most. What
is taken is VmHWM, the kernel's own high-water mark: no sample can miss a peak.
"""
import time

from suite.loads import BODY, halfmq_bench, redis_benchmark
from suite.servers import HalfMQ

FLAGS = ("--memory", "64MB")
IDLE_SECONDS = 1


def pipelined(bench, port):
    redis_benchmark(bench, port, 128, 2000000, "SEND", "bench", BODY)


def batches(bench, port):
    halfmq_bench(bench, port, "send", "--batch", "1000", "--inflight", "16", "--duration",
                 bench.seconds(6))


def large(bench, port):
    halfmq_bench(bench, port, "send", "--size", "256k", "--inflight", "64", "--connections", "16",
                 "--duration", bench.seconds(5))


def transactions(bench, port):
    halfmq_bench(bench, port, "txn", "--inflight", "256", "--duration", bench.seconds(5))


def consume(bench, port):
    n = str(bench.scaled(2000000))
    halfmq_bench(bench, port, "send", "--batch", "1000", "--inflight", "16", "--messages", n)
    halfmq_bench(bench, port, "consume", "--batch", "1000", "--messages", n)


def connections(bench, port):
    halfmq_bench(bench, port, "send", "--connections", "1000", "--inflight", "4000", "--duration",
                 bench.seconds(5))


def topics(bench, port):
    redis_benchmark(bench, port, 16, 400000, "SEND", "t__rand_int__", BODY, keys=10000)


LOADS = (pipelined, batches, large, transactions, consume, connections, topics)


def measure(bench):
    idle(bench)
    loaded(bench)


def idle(bench):
    f = bench.figure("rss_idle")
    f.fsync, f.side_unit = "fsync=always", "MB"
    f.commands = [("HalfMQ", "halfmqd " + " ".join(FLAGS) + f"   # {IDLE_SECONDS} s after it is ready")]
    for _ in range(bench.rounds):
        with HalfMQ(bench, "idle", *FLAGS) as broker:
            time.sleep(IDLE_SECONDS)
            bench.put("rss_idle", broker.rss_mb())


def loaded(bench):
    """The value of a round is the worst of all loads. There must be three rounds as in every row, but the loads
    take long: the second and third round run only the two worst loads of the first."""
    f = bench.figure("rss_load")
    f.fsync, f.side_unit = "fsync=always", "MB"
    f.commands = [("HalfMQ", "halfmqd " + " ".join(FLAGS) + "   # VmHWM after each load of " +
                   "bench/suite/memory.py")]
    peaks = {load: peak(bench, load) for load in LOADS}
    worst = sorted(peaks, key=peaks.get)[-2:]
    bench.put("rss_load", max(peaks.values()))
    for _ in range(bench.rounds - 1):
        bench.put("rss_load", max(peak(bench, load) for load in worst))
    f.note = "First round: " + ", ".join(f"{load.__name__} {mb:.1f}" for load, mb in peaks.items()) + " MB."


def peak(bench, load):
    with HalfMQ(bench, "memory", *FLAGS) as broker:
        load(bench, broker.port)
        mb = broker.peak_mb()
    bench.say(f"rss_load: {load.__name__} {mb:.1f} MB")
    return mb
