"""start.py: how long a broker with many stored messages takes to start, until it answers PING.

It is filled once; then come starts after an orderly stop, and starts after SIGKILL while it is written
to (which is when a write-ahead log is longest). How many messages: 20 million, or 50 million with
BENCH_FULL=1.

A log of 1 GiB is there only where settings allow it. It is replayed once in each round, from a copy.
"""
import shutil
import subprocess
import time

from suite.loads import halfmq_bench
from suite.servers import Broken, HalfMQ

MESSAGES, MESSAGES_FULL = 20000000, 50000000
BYTES_A_MESSAGE = 220  # on disk, while compaction still holds both copies
LOAD_SECONDS = 1.5
LONG_MESSAGES, LONG_SIZE = 1 << 18, 4000  # 1 GiB
LONG_FLAGS = ("--memory", "16GB", "--replay_max", "4GiB", "--fsync", "never")


def wanted(bench):
    """(number, text) of messages; fewer if the disk has no room for them."""
    n = MESSAGES_FULL if bench.full else bench.scaled(MESSAGES)
    room = shutil.disk_usage(bench.data).free // 2 // BYTES_A_MESSAGE
    if room < n:
        bench.say(f"the disk has room for {room / 1e6:.1f} of {n / 1e6:.1f} million messages only")
        n = max(room, 100000)
    return n, f"{n / 1e6:g} million"


def fill(bench, port, n, topic="bench"):
    halfmq_bench(bench, port, "send", "--topic", topic, "--batch", "1000", "--connections", "4",
                 "--inflight", "16", "--messages", str(n))


def kill_under_load(bench, broker):
    """Kills it (SIGKILL) while batches are sent."""
    load = subprocess.Popen(
        [bench.program("halfmq-bench"), "send", "--port", str(broker.port), "--batch", "100", "--duration",
         "60s", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(LOAD_SECONDS)
        if load.poll() is not None:
            raise Broken("the load before SIGKILL ended by itself")
        broker.kill()
    finally:
        load.kill()
        load.wait()


def measure_long(bench):
    """How much processor time a start takes that has a long log to replay."""
    n = bench.scaled(LONG_MESSAGES)
    f = bench.figure("start_long")
    f.work, f.fsync = f.row.work.format(size=f"{n * LONG_SIZE / (1 << 30):.2g} GiB"), "fsync=never"
    f.commands = [("HalfMQ", "halfmqd " + " ".join(LONG_FLAGS) + "   # after SIGKILL, until PING is answered")]
    with HalfMQ(bench, "long", *LONG_FLAGS) as broker:
        halfmq_bench(bench, broker.port, "send", "--size", str(LONG_SIZE), "--connections", "20", "--messages", str(n))
        broker.kill()
        copy = broker.folder + "-copy"
        shutil.copytree(broker.folder, copy)
        try:
            for _ in range(bench.rounds):
                shutil.rmtree(broker.folder)
                shutil.copytree(copy, broker.folder)
                broker.start()
                bench.put("start_long", broker.cpu_seconds())
                broker.kill()
        finally:
            shutil.rmtree(copy)


def measure(bench):
    measure_long(bench)
    n, text = wanted(bench)
    for key in ("start", "start_kill"):
        f = bench.figure(key)
        f.work, f.fsync = f.row.work.format(messages=text), "fsync=always"
    bench.figure("start").commands = [("HalfMQ", "halfmqd   # after SIGTERM, until PING is answered")]
    bench.figure("start_kill").commands = [
        ("HalfMQ", "halfmqd   # after SIGKILL under halfmq-bench send --batch 100")]
    with HalfMQ(bench, "start") as broker:
        bench.say(f"start: storing {text} messages")
        fill(bench, broker.port, n)
        for _ in range(bench.rounds):
            broker.stop()
            bench.put("start", broker.start())
        for _ in range(bench.rounds):
            kill_under_load(bench, broker)
            bench.put("start_kill", broker.start())
