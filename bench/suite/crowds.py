"""crowds.py: SEND on a broker with a backlog, many topics or many connections, over SEND on an empty one, in turns.

    backlog      millions of messages stored that nobody has taken
    topics       10,000 topics that exist; the load goes to one of them
    topics_all   10,000 topics, and each SEND goes to one by chance: a group commit then touches hundreds
                 of topics. No bound is set for it; it is here so that nobody mistakes the row above for it
    halfs        a million transactions that nobody has decided
    delayed      a million messages that become visible in an hour
    idle         10,000 connections that say nothing
"""
import contextlib
import resource
import socket

from suite.loads import BODY, redis_benchmark
from suite.servers import Broken, HalfMQ
from suite.start import fill, wanted

DEPTH, REQUESTS = 16, 400000
CROWD, CROWD_DEPTH = 1000000, 64
TOPICS = CONNECTIONS = 10000
SPARE_FILES = 1000


def send(bench, broker, topic="bench", keys=0):
    (per_second, _, _), command = redis_benchmark(bench, broker.port, DEPTH, REQUESTS, "SEND", topic, BODY,
                                                  keys=keys)
    return per_second, command


def measure(bench):
    failures = []
    for part in (backlog, topics, halfs, delayed, idle):
        try:
            part(bench)
        except Broken as e:
            bench.figure(part.__name__).failure = str(e)
            failures.append(str(e))
    if failures:
        raise Broken("; ".join(failures))


def versus_empty(bench, key, broker, **load):
    bench.figure(key).fsync = "fsync=always, both"
    with HalfMQ(bench, key + "-empty") as empty:
        send(bench, empty), send(bench, broker, **load)  # warm both up
        broker.settle()  # the row measures what having them costs, not what creating them did
        bench.alternate(key, lambda: send(bench, broker, **load), lambda: send(bench, empty))


def backlog(bench):
    n, text = wanted(bench)
    bench.figure("backlog").work = bench.figure("backlog").row.work.format(messages=text)
    with HalfMQ(bench, "backlog") as broker:
        bench.say(f"backlog: storing {text} messages")
        fill(bench, broker.port, n)
        versus_empty(bench, "backlog", broker)


def topics(bench):
    with HalfMQ(bench, "topics") as broker:
        # Enough requests that hardly any of the 10,000 names is left out.
        redis_benchmark(bench, broker.port, DEPTH, max(120000 / bench.scale, 120000), "SEND",
                        "t__rand_int__", BODY, keys=TOPICS)
        versus_empty(bench, "topics", broker)
        bench.figure("topics_all").fsync = "fsync=always, both"
        bench.alternate("topics_all", lambda: send(bench, broker, "t__rand_int__", TOPICS),
                        lambda: send(bench, broker))


def crowd(bench, key, broker, *words):
    """Stores a million of something with redis-benchmark. They stay for an hour, longer than any run."""
    n = bench.scaled(CROWD)
    bench.figure(key).work = bench.figure(key).row.work.format(messages=f"{n / 1e6:g} million")
    bench.say(f"{key}: making {n / 1e6:g} million")
    redis_benchmark(bench, broker.port, CROWD_DEPTH, CROWD, *words)
    return n


def halfs(bench):
    with HalfMQ(bench, "halfs", "--checkin", "1h") as broker:
        n = crowd(bench, "halfs", broker, "HALF", "p", "bench", BODY)
        versus_empty(bench, "halfs", broker)
        start = bench.figure("halfs_start")
        start.work, start.fsync = start.row.work.format(messages=f"{n / 1e6:g} million"), "fsync=always"
        start.commands = [("HalfMQ", "halfmqd   # after SIGTERM, until PING is answered")]
        for _ in range(bench.rounds):
            broker.stop()
            bench.put("halfs_start", broker.start())


def delayed(bench):
    with HalfMQ(bench, "delayed") as broker:
        crowd(bench, "delayed", broker, "SEND", "bench", BODY, "DELAY", "1h")
        versus_empty(bench, "delayed", broker)


def connect(port, n):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < n + SPARE_FILES:
        raise Broken(f"{n} connections need `ulimit -n {n + SPARE_FILES}`; it is {limit} and may not be raised")
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            s = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        s.sendall(b"PING\r\n")
        if not s.recv(64).startswith(b"+PONG"):
            raise Broken(f"the {n}th connection got no answer to PING")
        return stack.pop_all()


def idle(bench):
    with HalfMQ(bench, "idle-many", "--max_connections", str(CONNECTIONS + SPARE_FILES)) as broker:
        with connect(broker.port, CONNECTIONS):
            versus_empty(bench, "idle", broker)
