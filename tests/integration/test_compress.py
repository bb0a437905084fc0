#!/usr/bin/python3
"""test_compress.py: tests topics with COMPRESS, over MessagePack-RPC, across kills, and their size on disk."""
import glob
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, run_tests  # noqa: E402 (the path comes first)
from records import batch  # noqa: E402
from test_stream import Streams, receipts  # noqa: E402

KINDS = ("none", "lz4", "zstd")
BATCHES, EACH = 40, 250


def bodies(i):
    return [b'{"order":%d,"customer":"c-%d","items":[{"sku":"A-100","quantity":2}],"status":"paid"}' %
            (i * EACH + k, k % 17) for k in range(EACH)]


def fill(broker, kind):
    c = Streams(broker.port)
    c.call("topic_create", name=kind, queues=1, compress=kind)
    for i in range(BATCHES):
        assert c.call("produce", topic=kind, batch=batch(bodies(i)))["offset"] == i * EACH
    assert c.call("topic_info", name=kind)["compress"] == kind


def killed(broker):
    """Kills the broker and starts it again. Messages that were only in the log are replayed from there."""
    broker.kill()
    broker.start()


def stopped(broker):
    """Stops the broker and starts it again. Before it ends it flushes its write buffers to files."""
    broker.stop()
    broker.start()


def bytes_in_files(broker):
    names = [name for pattern in ("*.sst", "*.blob")
             for name in glob.glob(os.path.join(broker.data, "**", pattern), recursive=True)]
    assert names, broker.data
    return sum(os.path.getsize(name) for name in names)


def read_all(broker, kind):
    """Reads all messages by stream_queue and by stream_group, and checks that both give the same bytes."""
    expected = [body for i in range(BATCHES) for body in bodies(i)]
    c = Streams(broker.port)
    plain = c.take(c.queue(kind, 0, 0, 8 << 20), len(expected))
    assert [m[3] for m in plain] == expected
    leased = c.take(c.group("g", [kind], len(expected)), len(expected))
    assert [m[3] for m in leased] == expected
    assert sum(c.call("ack", group="g", receipt=[r]) for r in receipts(leased)) == len(expected)


def test_smaller_files_same_bytes():
    taken = {}
    for kind in KINDS:
        with Broker("--memory", "64MB") as broker:
            fill(broker, kind)
            killed(broker)
            read_all(broker, kind)
            stopped(broker)
            assert Streams(broker.port).call("lag", group="g")[0]["lag"] == 0
            taken[kind] = bytes_in_files(broker)
    print(f"        {taken}")
    assert taken["none"] > sum(len(body) for i in range(BATCHES) for body in bodies(i))
    assert taken["lz4"] < 0.5 * taken["none"] and taken["zstd"] < 0.25 * taken["none"], taken


def test_all_kinds_in_one_store():
    with Broker("--memory", "64MB") as broker:
        for kind in KINDS:
            fill(broker, kind)
        killed(broker)
        for kind in KINDS:
            read_all(broker, kind)
        assert broker.stop() == 0
        broker.start()
        c = Streams(broker.port)
        c.call("topic_purge", name="lz4")
        c.call("topic_delete", name="zstd")
        assert c.call("send", topic="lz4", body=b"x") == f"lz4:0:{BATCHES * EACH}"
        killed(broker)
        c = Streams(broker.port)
        assert [m["body"] for m in c.call("read", topic="lz4", queue=0, offset=0, count=10)] == [b"x"]
        assert c.call("topic_list") in (["lz4", "none"], ["none", "lz4"])
        assert c.call("topic_info", name="none")["messages"] == BATCHES * EACH


def test_refused():
    with Broker() as broker:
        c = Streams(broker.port)
        error = c.error("topic_create", name="t", compress="snappy")
        assert (error.code, error.text) == ("ERR", "COMPRESS 'snappy' is not none, lz4 or zstd")
        assert c.call("topic_list") == []


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules["__main__"]))
