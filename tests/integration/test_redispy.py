#!/usr/bin/python3
"""test_redispy.py: tests the broker with an unchanged redis-py (RESP2, pipeline, pub/sub), and RESP3 with a raw socket.

Debian's redis-py 4.3 speaks RESP2 only, so the test compares the bytes of the replies after HELLO 3.
"""
import json
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

import redis  # noqa: E402 (the path comes first)
from broker import Broker, Message, Push, eventually, run_tests  # noqa: E402

broker = None


def connect(**options):
    return redis.Redis(port=broker.port, socket_timeout=30, **options)


def refused(function, *words):
    try:
        value = function(*words)
    except redis.ResponseError as error:
        return str(error)
    raise AssertionError(f"{words!r} was not refused but answered {value!r}")


def test_send_pop_ack():
    r = connect()
    assert r.ping() is True
    assert r.echo("hi") == b"hi"
    assert r.execute_command("SEND", "py", b"\x00\xff body", "QUEUE", 0) == b"py:0:0"
    receipt = r.execute_command("POP", "g", "py")[0]
    assert receipt[:2] == [b"py:0:0#1", b"\x00\xff body"]
    assert r.execute_command("ACK", "g", receipt[0]) == 1
    assert r.execute_command("POP", "g", "py", "WAIT", "10ms") == []


def test_half_commit():
    r = connect(decode_responses=True)
    txid = r.execute_command("HALF", "shop", "orders", "one", "QUEUE", 0)
    r.execute_command("HALF", "shop", "orders", "two", "QUEUE", 0, "TXN", txid)
    assert r.execute_command("READ", "orders", 0, 0) == []
    assert r.execute_command("COMMIT", txid) == ["orders:0:0", "orders:0:1"]
    assert refused(r.execute_command, "ROLLBACK", txid).startswith("TXNCONFLICT")


def test_pipeline():
    pipe = connect().pipeline(transaction=False)
    for i in range(500):
        pipe.execute_command("SEND", "piped", i, "QUEUE", 0)
    pipe.execute_command("NONSENSE")
    pipe.execute_command("READ", "piped", 0, 0, "COUNT", 1000)
    replies = pipe.execute(raise_on_error=False)
    assert replies[:500] == [b"piped:0:%d" % i for i in range(500)]
    assert isinstance(replies[500], redis.ResponseError)
    assert [m[1] for m in replies[501]] == [b"%d" % i for i in range(500)]


def test_default_pipeline():
    """redis-py wraps a pipeline in MULTI and EXEC unless it is told not to."""
    r = connect()
    pipe = r.pipeline()
    for i in range(500):
        pipe.execute_command("SEND", "together", i, "QUEUE", 0)
    pipe.execute_command("POP", "g", "together", "COUNT", 2)
    pipe.execute_command("READ", "together", 0, 0)
    replies = pipe.execute(raise_on_error=False)
    assert replies[:500] == [b"together:0:%d" % i for i in range(500)]
    assert [m[:2] for m in replies[500]] == [[b"together:0:0#1", b"0"], [b"together:0:1#1", b"1"]]
    assert str(replies[501]).startswith("NOTOPIC"), replies[501]
    assert r.ping()


def test_default_pipeline_with_errors():
    r = connect()
    pipe = r.pipeline()
    pipe.execute_command("SEND", "partly", "a", "QUEUE", 0)
    pipe.execute_command("ACK", "nobody", "partly:0:0#1")
    pipe.execute_command("SEND", "partly", "b", "QUEUE", 0)
    replies = pipe.execute(raise_on_error=False)
    assert replies[0] == b"partly:0:0" and replies[2] == b"partly:0:1", replies
    assert isinstance(replies[1], redis.ResponseError) and "NOGROUP" in str(replies[1])


def test_default_pipeline_that_is_refused():
    """One command is refused while it is queued: nothing is stored, and the connection can be used again."""
    r = connect()
    pipe = r.pipeline()
    pipe.execute_command("SEND", "refused", "a")
    pipe.execute_command("NONSENSE")
    pipe.execute_command("SEND", "refused", "b")
    assert "NONSENSE" in refused(pipe.execute)
    assert refused(r.execute_command, "TOPIC", "INFO", "refused").startswith("NOTOPIC")
    pipe.execute_command("SEND", "refused", "c", "QUEUE", 0)
    assert pipe.execute() == [b"refused:0:0"]


def test_watch():
    r = connect()
    pipe = r.pipeline()
    assert "WATCH" in refused(pipe.watch, "key")
    pipe.reset()
    assert r.ping()


def test_pubsub_of_a_topic():
    r = connect()
    pubsub = r.pubsub()
    pubsub.subscribe("topic:live")
    assert pubsub.get_message(timeout=30)["type"] == "subscribe"
    r.execute_command("SEND", "live", "hello")
    message = eventually(lambda: pubsub.get_message(timeout=1), "a copy of the message")
    assert (message["type"], message["channel"]) == ("message", b"topic:live")
    assert message["data"] == b"hello"
    pubsub.unsubscribe()
    assert pubsub.get_message(timeout=30)["type"] == "unsubscribe"
    pubsub.close()


def test_check_back_by_pubsub():
    r = connect(decode_responses=True)
    pubsub = r.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("check:shop")
    pubsub.get_message(timeout=30)
    txid = r.execute_command("HALF", "shop", "asked", "body", "CHECKIN", "10ms", "KEY", "k",
                             "PROP", "a", "b", "QUEUE", 0)
    message = eventually(lambda: pubsub.get_message(timeout=1), "the check-back")
    check = json.loads(message["data"])
    assert (check["txid"], check["pgroup"], check["attempt"]) == (txid, "shop", 1)
    about = check["messages"][0]
    assert (about["topic"], about["key"], about["body"]) == ("asked", ["k"], "body")
    assert about["properties"] == {"a": "b"}
    assert r.execute_command("COMMIT", check["txid"]) == ["asked:0:0"]
    pubsub.close()


def test_resp3_maps_and_nulls():
    c = broker.text()
    flat = c.call("HELLO", 2)
    assert isinstance(flat, list) and b"proto" in flat
    hello = c.call("HELLO", 3)
    assert hello["proto"] == 3 and hello["server"] and hello["version"], hello
    c.call("SEND", "three", "body", "QUEUE", 0, "KEY", "k", "PROP", "p", "v")
    message = Message(c.call("READ", "three", 0, 0)[0])
    reply = c.call("GET", "three:0:0")
    assert isinstance(reply[2], dict) and reply[3] == {"p": b"v"}, reply
    assert reply[2]["key"] == [b"k"] and reply[2]["offset"] == 0, reply
    assert message.id == "three:0:0"
    c.send_raw(b"GET three:0:99\r\n")
    assert c.file.readline() == b"_\r\n"
    assert isinstance(c.call("LAG"), list)
    txid = c.call("HALF", "shop", "three", "x")
    assert c.call("TXN", "INFO", txid)["state"] == b"pending"
    assert isinstance(c.call("CONFIG", "GET", "fsync"), dict)
    assert c.refused("HELLO", 4).code == "NOPROTO"
    assert c.call("HELLO", 3)["proto"] == 3
    assert isinstance(c.call("HELLO", 2), list)
    c.send_raw(b"GET three:0:99\r\n")
    assert c.file.readline() == b"$-1\r\n"


def test_resp3_push():
    c = broker.text(hello=3)
    c.send("SUBSCRIBE", "topic:pushed")
    first = c.read()
    assert isinstance(first, Push) and first[0] == b"subscribe", first
    c.send("SEND", "pushed", "one")
    c.send("PING")
    seen = [c.read() for _ in range(3)]  # the id, PONG, and the copy, which may come at any place
    pushes = [s for s in seen if isinstance(s, Push)]
    assert pushes == [[b"message", b"topic:pushed", b"one"]], seen
    assert "PONG" in seen, seen


def main():
    global broker
    with Broker() as broker:
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
