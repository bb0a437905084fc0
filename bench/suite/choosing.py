"""choosing.py: groups that choose what they deliver, and when: ORDERED, FILTER, PRIORITY.

Each round fills a topic, and empties it through a plain group and through one that chooses, in turns. A filter's figure
is how many messages were examined a second: a tenth of them matches, and all of these are received.
"""
from suite.consume import FLAGS
from suite.loads import halfmq_bench
from suite.servers import HalfMQ

MESSAGES = 2000000
TAGS = 10
SINGLE = ("--connections", "4", "--inflight", "4000")  # keys and priorities differ from message to message
BATCHED = ("--connections", "4", "--inflight", "16", "--batch", "1000", "--tags", str(TAGS))


def fill(bench, port, topic, n, *flags):
    halfmq_bench(bench, port, "send", "--topic", topic, *flags, "--messages", str(n))


def drain(bench, port, topic, group, n, *flags):
    result, command = halfmq_bench(bench, port, "consume", "--topic", topic, "--group", group, *FLAGS, *flags,
                                   "--messages", str(n))
    return result, command


def ratio(bench, port, key, sends, *flags):
    """Such messages by a group with these flags, over plain messages by a plain group."""
    n, count = bench.scaled(MESSAGES), iter(range(1000))

    def side(sent, *more):
        def measured():
            topic = f"{key}-{next(count)}"
            fill(bench, port, topic, n, *SINGLE, *sent)
            result, command = drain(bench, port, topic, "g", n, *more)
            return result["messages_per_s"], command
        return measured
    bench.figure(key).fsync = "fsync=always, both"
    bench.alternate(key, side(sends, *flags), side(()))


def filtered(bench, port, key, words):
    """Messages that were looked at a second."""
    n = bench.scaled(MESSAGES) // (4 * TAGS * 1000) * (4 * TAGS * 1000) or 4 * TAGS * 1000
    f = bench.figure(key)
    f.fsync = "fsync=always"
    for i in range(bench.rounds):
        topic = f"{key}-{i}"
        fill(bench, port, topic, n, *BATCHED)
        result, command = drain(bench, port, topic, "choosing", n // TAGS, "--filter", words)
        bench.put(key, n / result["elapsed_s"])
        f.commands = [("HalfMQ", command)]


def measure(bench):
    with HalfMQ(bench, "choosing") as broker:
        ratio(bench, broker.port, "ordered", ("--keys", "uniform", "--key-count", "10000"), "--ordered")
        ratio(bench, broker.port, "priority", ("--priority", "mix:4=90,9=10"))
        filtered(bench, broker.port, "filter_tag", "TAG t3")
        filtered(bench, broker.port, "filter_where", "WHERE n = 3")
