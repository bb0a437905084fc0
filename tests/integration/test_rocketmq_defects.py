#!/usr/bin/python3
"""test_rocketmq_defects.py: what half messages are known to suffer from elsewhere, each with HalfMQ's answer.

RocketMQ keeps no record of a transaction: a half message is open while no mark in another log names its
offset. Its known defects follow from that, and each of them has a test of its name here. HalfMQ keeps one
record, decided once.
"""
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", folder) for folder in ("lib", "crash")]

from broker import Broker, Message, Refused, eventually, run_tests  # noqa: E402
from stage import metric  # noqa: E402

MIB = 1 << 20


def refused(client, code, *words):
    error = client.refused(*words)
    assert error.code == code, error


def bodies(client, topic):
    """All that the topic holds."""
    try:
        queues = client.call("TOPIC", "INFO", topic)["queues"]
    except Refused as error:
        assert error.code == "NOTOPIC", error
        return []
    count = queues if isinstance(queues, int) else len(queues)
    return [Message(m).body.decode() for queue in range(count)
            for m in client.call("READ", topic, queue, 0, "COUNT", 1000)]


def info(client, txid):
    return client.call("TXN", "INFO", txid)


def asked(client, pgroup, wait="30s"):
    """How often those were asked about that are due: one question."""
    return client.call("CHECKS", pgroup, "WAIT", wait)


def test_a_repeated_commit_delivers_twice():
    """There, each COMMIT appends the message once more. Here it answers the same ids: from other connections,
    at once, after a crash, and after the message was consumed."""
    with Broker() as broker:
        c = broker.text(hello=3)
        txid = c.call("HALF", "shop", "orders", "one")
        ids = c.call("COMMIT", txid)
        pipe = broker.text(hello=3)
        for _ in range(50):
            pipe.send("COMMIT", txid)
        assert [pipe.read() for _ in range(50)] == [ids] * 50
        broker.kill()
        broker.start()
        c = broker.text(hello=3)
        assert c.call("COMMIT", txid) == ids
        message = Message(c.call("POP", "g", "orders")[0])
        assert c.call("ACK", "g", message.id) == 1
        assert c.call("COMMIT", txid) == ids
        assert c.call("POP", "g", "orders") == []
        assert bodies(c, "orders") == ["one"]


def test_a_commit_after_a_rollback_publishes():
    """There, the half message can still be read by its offset, and so be committed. Here the first decision
    stands, for both orders of the two."""
    with Broker() as broker:
        c = broker.text(hello=3)
        back, forth = (c.call("HALF", "shop", "orders", body) for body in ("back", "forth"))
        assert c.call("ROLLBACK", back) == "OK"
        c.call("COMMIT", forth)
        refused(c, "TXNCONFLICT", "COMMIT", back)
        refused(c, "TXNCONFLICT", "ROLLBACK", forth)
        broker.kill()
        broker.start()
        c = broker.text(hello=3)
        refused(c, "TXNCONFLICT", "COMMIT", back)
        refused(c, "TXNCONFLICT", "ROLLBACK", forth)
        assert bodies(c, "orders") == ["forth"]
        assert metric(broker, "halfmq_transactions_conflicts_total") >= 2


def test_a_commit_after_a_check_was_answered_publishes_again():
    """There, a check renews the half message, and the late COMMIT of the old one is another message. Here a
    transaction keeps its id, however often it is asked about."""
    with Broker("--checkin", "20ms", "--check_every", "20ms", "--check_max", "1000") as broker:
        c = broker.text(hello=3)
        txid = c.call("HALF", "shop", "orders", "one")
        for attempt in range(1, 4):
            assert b'"txid":"%s"' % txid in asked(c, "shop")[0]
            assert info(c, txid)["checks"] == attempt
        ids = c.call("COMMIT", txid)
        assert c.call("COMMIT", txid) == ids
        assert bodies(c, "orders") == ["one"]


def test_checks_are_counted_while_no_producer_is_connected():
    """There, each round counts, whether or not anybody could be asked, and after the last one the message is
    given up unasked. Here only what was handed over counts, and the first who comes is asked."""
    with Broker("--checkin", "20ms", "--check_every", "20ms", "--check_max", "3") as broker:
        c = broker.text(hello=3)
        alone = c.call("HALF", "nobody", "orders", "alone")
        other = c.call("HALF", "somebody", "orders", "other")
        for _ in range(3):
            assert len(asked(c, "somebody")) == 1
        eventually(lambda: info(c, other)["state"] == b"parked", "the other has had all its checks")
        broker.kill()
        broker.start()
        c = broker.text(hello=3)
        assert (info(c, alone)["checks"], info(c, alone)["state"]) == (0, b"pending")
        assert b'"attempt":1' in asked(c, "nobody")[0]
        assert len(c.call("COMMIT", alone)) == 1
        assert bodies(c, "orders") == ["alone"]


def test_messages_are_discarded_after_some_minutes():
    """There, after the last check the message goes to a topic that nobody reads. Here it is parked: kept,
    counted and listed, over restarts, and decided by hand whenever a person gets to it."""
    with Broker("--checkin", "20ms", "--check_every", "20ms", "--check_max", "2") as broker:
        c = broker.text(hello=3)
        keep, drop = (c.call("HALF", "shop", "orders", body) for body in ("keep", "drop"))
        left = 4  # two asks each
        while left:
            left -= len(c.call("CHECKS", "shop", "COUNT", 10, "WAIT", "30s"))
        eventually(lambda: metric(broker, "halfmq_transactions_parked") == 2, "both are parked")
        assert metric(broker, "halfmq_transactions_pending") == 0
        broker.kill()
        broker.start()
        c = broker.text(hello=3)
        _, parked = c.call("TXN", "LIST", "STATE", "parked")
        assert [row["txid"] for row in parked] == [keep, drop], parked
        assert bodies(c, "orders") == []
        c.call("COMMIT", keep)
        c.call("ROLLBACK", drop)
        assert bodies(c, "orders") == ["keep"]
        assert metric(broker, "halfmq_transactions_parked") == 0


def test_one_message_a_transaction():
    """There, a transaction is one message. Here it is up to a thousand of them, in any topics, all visible at
    once or never, over a crash too."""
    topics = ("orders", "stock", "mail")
    with Broker() as broker:
        c = broker.text(hello=3)
        txid = c.call("HALF", "shop", "orders", "0")
        for i in range(1, 1000):
            assert c.call("HALF", "shop", topics[i % 3], i, "TXN", txid) == txid
        refused(c, "LIMIT", "HALF", "shop", "orders", "too many", "TXN", txid)
        assert sum(len(bodies(c, topic)) for topic in topics) == 0
        broker.kill()
        broker.start()
        c = broker.text(hello=3)
        assert len(c.call("COMMIT", txid)) == 1000
        broker.kill()
        broker.start()
        c = broker.text(hello=3)
        found = sorted(int(body) for topic in topics for body in bodies(c, topic))
        assert found == list(range(1000))


def test_a_scanner_that_re_appends():
    """There, each check writes the whole message once more, and one open message in front holds up the checks of
    those behind it. Here a check rewrites a small row at most: thirty checks of a message of 1 MiB write less
    than five such messages. And a group that never answers delays no other."""
    with Broker("--checkin", "1ms", "--check_every", "1ms", "--check_max", "1000") as broker:
        c = broker.text(hello=3)
        for i in range(200):
            c.call("HALF", "stuck", "orders", f"stuck {i}")
        empty = written(broker)
        big = c.call("HALF", "shop", "orders", b"x" * MIB)
        before = written(broker)
        assert before - empty >= MIB, "the half message itself is written, and seen"
        for attempt in range(1, 31):
            assert len(asked(c, "shop")) == 1
            assert info(c, big)["checks"] == attempt
        grown = written(broker) - before
        assert grown < 5 * MIB, f"30 checks wrote {grown / MIB:.1f} MiB"
        c.call("ROLLBACK", big)
        assert metric(broker, "halfmq_transactions_pending") == 200


def written(broker):
    """Bytes that the broker has given to write() so far: to files. It sends to sockets by other calls, which
    are not in this figure."""
    with open(f"/proc/{broker.process.pid}/io", encoding="ascii") as f:
        return int(dict(line.split(": ") for line in f.read().splitlines())["wchar"])


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules["__main__"]))
