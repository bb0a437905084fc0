#!/usr/bin/python3
"""test_rocketmq_defects.py: tests that HalfMQ does not have the known defects of half messages in RocketMQ.

RocketMQ has no record of a transaction: a half message is open as long as no entry in another log names its
offset. Its known defects follow from that. Here is a test for each of them, which has its name. HalfMQ has one record
for each transaction, which is decided once.
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
    """Returns the bodies of all messages in the topic."""
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
    """Takes one check, or waits for it. Returns the checks."""
    return client.call("CHECKS", pgroup, "WAIT", wait)


def test_a_repeated_commit_delivers_twice():
    """In RocketMQ each COMMIT appends the message once more. Here a repeated COMMIT returns the same ids: on another
    connection, at once, after a crash, and after the message was consumed."""
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
    """In RocketMQ the half message can still be read by its offset after a rollback, and so be committed. Here the
    first decision is final, whichever it is."""
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
    """In RocketMQ a check appends the half message again, and a late COMMIT of the old one publishes a second message.
    Here a transaction keeps its id, however often the broker asks about it."""
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
    """In RocketMQ each round of checks counts, even if there is no producer to ask, and after the last round the
    message is dropped. Here only asks that a member has received count, and the first member that connects is asked."""
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
    """In RocketMQ the message goes to a topic that nobody reads after the last check. Here the transaction is parked:
    it is kept, counted and listed, also after restarts, until a person decides it."""
    with Broker("--checkin", "20ms", "--check_every", "20ms", "--check_max", "2") as broker:
        c = broker.text(hello=3)
        keep, drop = (c.call("HALF", "shop", "orders", body) for body in ("keep", "drop"))
        left = 4  # two asks for each transaction
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
    """In RocketMQ a transaction has one message. Here it has up to a thousand, in any topics. All of them become
    visible at once, or none, also across a crash."""
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
    """In RocketMQ each check writes the whole message again, and an open message delays the checks of the messages
    behind it. Here a check rewrites a small row at most: thirty checks of a message of 1 MiB write less than five
    such messages. And a producer group that never answers does not delay another."""
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
    """Returns how many bytes the broker has written with write() so far. These are writes to files; it sends to sockets
    with other calls."""
    with open(f"/proc/{broker.process.pid}/io", encoding="ascii") as f:
        return int(dict(line.split(": ") for line in f.read().splitlines())["wchar"])


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules["__main__"]))
