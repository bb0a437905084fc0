"""rows.py: the rows of the table, in their order, with the bounds of each.

    Row(key, family, work, unit, must, aim, less)

    unit   "x"      a ratio: ours over the reference, measured in turns
           "/s"     a rate        "MB" resident memory        "s" "ms" a time
    must   the bound that the project has set itself; aim: where it wants to be. None: no bound, the row
           is there to be read beside others.
    less   True where smaller is better

To add a row: a line here, and a measure of that key in its family's file (suite.py FAMILIES).
"""
from collections import namedtuple

from suite.attacks import ATTACKS

Row = namedtuple("Row", "key family work unit must aim less")

# Figures of other brokers that were taken in another run, on a machine like this one. They are used, and labelled
# so, if `make bench-peers` was not run.
SEPARATE_ROCKETMQ_CONSUME = 292e3  # RocketMQ 5.5.0, benchmark Consumer, -w 20
SEPARATE_KAFKA_PRODUCE = (244e3, 358e3)  # Kafka 3.9.1, ProducerPerformance, 64 KiB batches, no fsync

ROWS = (
    Row("ping_1", "sends", "redis-benchmark -c 50 -P 1: our PING over Redis's", "x", None, None, False),
    Row("send_1", "sends", "redis-benchmark -c 50 -P 1: SEND over Redis XADD", "x", 1.1, 1.3, False),
    Row("send_1_ping", "sends", "the same: SEND over our own PING", "x", None, 0.85, False),
    Row("send_16", "sends", "redis-benchmark -c 50 -P 16: SEND over Redis XADD", "x", 1.6, 2.2, False),
    Row("send_128", "sends", "redis-benchmark -c 50 -P 128: SEND over Redis XADD", "x", 2.5, 4.0, False),
    Row("batch", "batches", "batches of 1,000 over raw RocksDB", "x", 0.5, 0.8, False),
    Row("batch_kafka", "batches", "synced batches over Kafka's without fsync", "x", 3.0, 6.0, False),
    Row("txn", "txn", "half + commit, 64 in flight, over Redis XADD -P 1", "x", 1.0, 2.0, False),
    Row("consume", "consume", "consume with ack from a backlog", "/s", None, 3e6, False),
    Row("consume_peer", "consume", "the same over RocketMQ's consumer", "x", 3.0, None, False),
    Row("ordered", "choosing", "consume by an ORDERED group, 10,000 keys, over a plain one", "x", 0.4, None, False),
    Row("priority", "choosing", "consume where a tenth has PRIORITY 9, over plain messages", "x", 0.5, None, False),
    Row("filter_tag", "choosing", "FILTER TAG, a tenth matches: messages examined", "/s", 1e6, None, False),
    Row("filter_where", "choosing", "FILTER WHERE, a tenth matches: messages examined", "/s", 0.5e6, None, False),
    Row("lib_send", "library", "libhalfmq over the tester's own wire: single sends, 64 in flight", "x", 0.9, 1.0, False),
    Row("lib_batch", "library", "the same: 8,000 messages in flight, in batches of 500 on the wire", "x", 0.9, 1.0, False),
    Row("lib_txn", "library", "the same: half + commit, 64 in flight", "x", 0.9, 1.0, False),
    Row("lib_consume", "library", "the same: consume with ack from a backlog", "x", 0.9, 1.0, False),
    Row("p99", "latency", "p99 of SEND at half the highest rate over p99 of fdatasync", "x", 4.0, 2.0, True),
    Row("p99_group", "latency", "the same p99 over that of an ideal server: all that arrived in one write and one "
        "fdatasync", "x", None, None, True),
    Row("p99_redis", "latency", "the same p99 over that of Redis XADD at the same rate", "x", None, None, True),
    Row("rss_idle", "memory", "resident, idle, memory=64MB", "MB", 18.0, 12.0, True),
    Row("rss_load", "memory", "resident, most under any load, memory=64MB", "MB", 80.0, 72.0, True),
    Row("start", "start", "start with {messages} messages stored", "s", 0.5, 0.2, True),
    Row("start_kill", "start", "the same after SIGKILL under load", "s", 3.0, 1.0, True),
    Row("start_long", "start", "start with {size} of log to replay: processor time", "s", 10.0, 5.0, True),
    Row("backlog", "crowds", "SEND with a backlog of {messages} over an empty broker", "x", 0.8, 0.95, False),
    Row("topics", "crowds", "SEND to one topic of 10,000 over an empty broker", "x", 0.8, 0.95, False),
    Row("topics_all", "crowds", "SEND to 10,000 topics by chance over SEND to one", "x", None, None, False),
    Row("halfs", "crowds", "SEND with {messages} open transactions over an empty broker", "x", 0.9, 0.95, False),
    Row("halfs_start", "crowds", "start with {messages} open transactions stored", "s", 0.5, 0.2, True),
    Row("delayed", "crowds", "SEND with {messages} delayed messages over an empty broker", "x", 0.9, 0.95, False),
    Row("idle", "crowds", "SEND beside 10,000 idle connections over an empty broker", "x", 0.8, 0.95, False),
) + tuple(
    Row("stall_" + name, "stalls", "the longest that another client waits: " + attack.text, "ms", 250.0, 20.0, True)
    for name, attack in ATTACKS.items()
)

FAMILY_OF = {row.key: row.family for row in ROWS}
BY_KEY = {row.key: row for row in ROWS}
