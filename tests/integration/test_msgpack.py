#!/usr/bin/python3
"""test_msgpack.py: tests the broker with a generic MessagePack-RPC client, which uses Python's msgpack library.

The client implements the four lines of the MessagePack-RPC specification, and knows nothing of HalfMQ.
"""
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

import msgpack  # noqa: E402 (the path comes first)
from broker import Broker, eventually, run_tests  # noqa: E402
from rpc import Rpc  # noqa: E402

broker = None


def test_send_pop_ack():
    c = Rpc(broker.port)
    assert c.call("ping") == "PONG"
    sent = c.call("send", topic="mp", body=b"\x00\xff", queue=0, key=["a", "b"], prop={"p": "v"})
    assert sent == "mp:0:0", sent
    assert c.call("send", topic="mp", body="text", queue=0, key="c") == "mp:0:1"
    messages = c.call("pop", group="g", topic=["mp"], count=10, lease="1m")
    assert [m["id"] for m in messages] == ["mp:0:0#1", "mp:0:1#1"], messages
    assert [m["body"] for m in messages] == [b"\x00\xff", b"text"], messages
    first = messages[0]
    assert set(first) == {"id", "body", "attributes", "properties"}, first
    assert first["attributes"]["key"] == ["a", "b"] and first["attributes"]["attempt"] == 1, first
    assert first["properties"] == {"p": "v"}, first
    assert c.call("ack", group="g", receipt=[m["id"] for m in messages]) == 2
    assert c.call("ack", group="g", receipt=first["id"]) == 0
    assert c.call("pop", group="g", topic="mp", wait=10) == []
    assert c.call("get", id="mp:0:77") is None


def test_half_commit():
    c = Rpc(broker.port)
    txid = c.call("half", pgroup="shop", topic="orders", body=b"one", queue=0)
    assert c.call("half", pgroup="shop", topic="orders", body=b"two", queue=0, txn=txid) == txid
    assert c.call("read", topic="orders", queue=0, offset=0) == []
    assert c.call("txn_info", txid=txid)["state"] == "pending"
    assert c.call("commit", txid=txid) == ["orders:0:0", "orders:0:1"]
    assert c.call("commit", txid=txid) == ["orders:0:0", "orders:0:1"]
    assert c.error("rollback", txid=txid).code == "TXNCONFLICT"
    other = c.call("half", pgroup="shop", topic="orders", body=b"no")
    assert c.call("rollback", txid=other) == "OK"


def test_commit_with_ack():
    c = Rpc(broker.port)
    c.call("send", topic="in", body=b"x", queue=0)
    message = c.call("pop", group="pipe", topic="in")[0]
    txid = c.call("half", pgroup="shop", topic="out", body=b"y", queue=0)
    assert c.call("commit", txid=txid, ack="pipe", receipt=[message["id"]]) == ["out:0:0"]
    assert c.call("ack", group="pipe", receipt=message["id"]) == 0


def test_check_back_as_a_request():
    for decision, state in (("commit", "committed"), ("rollback", "rolledback")):
        c = Rpc(broker.port)
        assert c.call("checks_serve", pgroup="asked") == "OK"
        txid = c.call("half", pgroup="asked", topic="t", body=b"\xff", checkin="10ms", key="k")
        message_id, method, params = c.request()
        assert method == "check", method
        check = params[0] if isinstance(params, list) else params
        assert (check["txid"], check["pgroup"], check["attempt"]) == (txid, "asked", 1), check
        assert check["messages"][0]["topic"] == "t" and check["messages"][0]["key"] == ["k"], check
        c.answer(message_id, "unknown")
        message_id, _, params = c.request()  # the broker asks again
        check = params[0] if isinstance(params, list) else params
        assert check["attempt"] == 2, check
        c.answer(message_id, decision)
        eventually(lambda: c.call("txn_info", txid=txid)["state"] == state, f"the txn is {state}")
        c.socket.close()


def test_parameters():
    c = Rpc(broker.port)
    bare = c.begin("ping")  # without parameters
    assert c.wait(bare) == "PONG"
    c.next_id += 1
    c.socket.sendall(msgpack.packb([0, c.next_id, "echo", {"text": "a bare map"}]))
    assert c.wait(c.next_id) in ("a bare map", b"a bare map")
    assert c.call("msend", topic="many", body=[b"a", b"b"]) is not None
    assert len(c.call("lag")) >= 0
    error = c.error("nonsense")
    assert error.code == "ERR" and "nonsense" in error.text, error
    error = c.error("send", topic="t", body=b"b", colour="red")
    assert error.code == "ERR" and "colour" in error.text, error
    error = c.error("send", topic="t")
    assert error.code == "ERR" and "body" in error.text, error
    assert c.error("send", topic="a b", body=b"").code == "BADNAME"
    assert c.error("pop", group="g", topic="nowhere").code == "NOTOPIC"
    assert c.call("ping") == "PONG"


def test_notifications_are_not_answered():
    c = Rpc(broker.port)
    c.notify("send", topic="noted", body=b"x", queue=0)
    c.notify("nonsense")
    assert c.call("ping") == "PONG"
    assert not c.answers and not c.notes
    eventually(lambda: c.call("read", topic="noted", queue=0, offset=0)
               if "noted" in str(c.call("topic_list")) else None, "the message is stored")


def test_responses_in_any_order():
    c = Rpc(broker.port)
    c.call("topic_create", name="slow")
    waiting = c.begin("pop", {"group": "g", "topic": "slow", "wait": "1h"})
    assert c.call("ping") == "PONG"  # does not wait for requests with WAIT
    c.call("send", topic="slow", body=b"now")
    assert c.wait(waiting)[0]["body"] == b"now"


def main():
    global broker
    with Broker("--check_every", "20ms") as broker:
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
