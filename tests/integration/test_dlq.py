#!/usr/bin/python3
"""test_dlq.py: tests dead letters through MessagePack-RPC and streams: LIST and REDRIVE, who gets what was redriven, and
what readers see of removed letters; and TXN MESSAGES and positions in that dialect."""
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, eventually, run_tests  # noqa: E402 (the path comes first)
from records import decode, granted  # noqa: E402
from rpc import Rpc  # noqa: E402

broker = None


def dead(c, group, topic, n):
    """Makes n dead letters with the bodies 0, 1, ..."""
    c.call("topic_create", name=topic, queues=1)
    for i in range(n):
        c.call("send", topic=topic, body=str(i))
        (message,) = c.call("pop", group=group, topic=[topic])
        c.call("reject", group=group, receipt=message["id"], reason=f"r{i}")


def bodies(messages):
    return [m["body"].decode() for m in messages]


def test_list_and_redrive():
    c = Rpc(broker.port)
    dead(c, "g", "t", 5)
    cursor, letters = c.call("dlq_list", group="g", count=2)
    assert cursor == "2" and bodies(letters) == ["0", "1"], (cursor, letters)
    assert letters[0]["id"] == "%DLQ%g:0:0" and letters[0]["attributes"]["reason"] == "r0", letters
    assert letters[1]["attributes"]["origin"] == "t:0:1" and letters[1]["attributes"]["attempts"] == 1
    cursor, letters = c.call("dlq_list", group="g", cursor=cursor)
    assert cursor == "0" and bodies(letters) == ["2", "3", "4"], (cursor, letters)
    assert c.call("dlq_redrive", group="g", id=["%DLQ%g:0:3", "%DLQ%g:0:1"]) == 2
    assert c.call("dlq_redrive", group="g", id="%DLQ%g:0:3") == 0
    assert c.error("dlq_redrive", group="g", id="t:0:0").code == "ERR"
    assert c.call("get", id="%DLQ%g:0:3") is None
    assert bodies(c.call("read", topic="%DLQ%g", queue=0, offset="earliest", count=9)) == ["0", "2", "4"]
    assert bodies(c.call("read", topic="%DLQ%g", queue=0, offset=-2, count=9)) == ["4"]  # counts offsets
    messages = c.call("pop", group="g", topic="t", count=9)
    assert bodies(messages) == ["3", "1"] and messages[0]["id"] == "%RETRY%g:0:0#1", messages
    assert messages[0]["attributes"]["origin"] == "t:0:3" and "reason" not in messages[0]["attributes"]
    assert c.call("dlq_redrive", group="g", count=1) == 1
    assert c.call("dlq_purge", group="g") == 2
    assert {row["dead"] for row in c.call("lag", group="g")} == {0}


def test_streams():
    c = Rpc(broker.port)
    dead(c, "s", "u", 4)
    assert c.call("dlq_redrive", group="s", id=["%DLQ%s:0:1", "%DLQ%s:0:2"]) == 2

    def take(stream, n):
        out = []
        while len(out) < n:
            while not c.notes:
                c.receive()
            method, (note,) = c.notes.pop(0)
            assert method == "records" and note["stream"] == stream, (method, note)
            part = granted(note) if "attempt" in note else decode(note["record"])
            out += [(note["topic"], offset, body.decode()) for offset, body in part]
        return out

    # A reader passes what was removed; one of a group is given what was redriven, also what is redriven later.
    reader = c.call("stream_queue", topic="%DLQ%s", queue=0, offset="earliest", credit=1 << 20)
    assert take(reader, 2) == [("%DLQ%s", 0, "0"), ("%DLQ%s", 3, "3")]
    c.call("stream_close", stream=reader)
    group = c.call("stream_group", group="s", topic="u", credit=10)
    assert take(group, 2) == [("%RETRY%s", 0, "1"), ("%RETRY%s", 1, "2")]
    assert c.call("ping") == "PONG"
    assert c.call("dlq_redrive", group="s") == 2
    assert take(group, 2) == [("%RETRY%s", 2, "0"), ("%RETRY%s", 3, "3")]
    assert c.call("ack", group="s", receipt="%RETRY%s:0:0-3#1") == 4
    c.call("send", topic="u", body="fresh")
    assert take(group, 1) == [("u", 4, "fresh")]


def test_a_stream_that_ends_gives_back():
    """What was redriven and did not leave the broker is ready again, under the same attempt."""
    c = Rpc(broker.port)
    dead(c, "e", "z", 40)
    for i in range(40):
        c.call("send", topic="w", body=b"x" * 100000, queue=0)
    c.call("group_create", group="e", topic="w")
    while got := c.call("pop", group="e", topic="w", count=100):
        for m in got:
            c.call("reject", group="e", receipt=m["id"])
    moved = 0
    while n := c.call("dlq_redrive", group="e"):
        moved += n
    assert moved == 80, moved
    other = Rpc(broker.port)
    other.call("stream_group", group="e", topic="z", credit=1000)
    other.socket.close()

    def nothing_is_lost():
        rows = {row["topic"]: row for row in c.call("lag", group="e")}
        return rows["%RETRY%e"]["lag"] == 80 and rows["%RETRY%e"]["ready"] > 0

    eventually(nothing_is_lost, "what was not sent is ready again")


def test_positions_of_streams():
    c = Rpc(broker.port)
    c.call("topic_create", name="p", queues=1)
    c.call("msend", topic="p", body=["a", "b", "c"])

    def first(offset):
        stream = c.call("stream_queue", topic="p", queue=0, offset=offset, credit=1 << 20)
        if offset == "latest":
            c.call("send", topic="p", body="d")
        while not c.notes:
            c.receive()
        record = c.notes.pop(0)[1][0]["record"]
        c.call("stream_close", stream=stream)
        c.notes.clear()
        return decode(record)[0][1]

    assert first(0) == first("earliest") == first("@0") == first(-99) == b"a"
    assert first(-1) == first("-1") == b"c"
    assert first(1) == b"b"
    assert first("latest") == b"d"
    assert c.error("stream_queue", topic="p", queue=0, offset="soon", credit=1).code == "ERR"


def test_messages_of_a_transaction():
    c = Rpc(broker.port)
    txid = c.call("half", pgroup="pg", topic="x", body=b"\xff\x00", queue=0, key=["k"])
    c.call("half", pgroup="pg", topic="x", body="two", txn=txid)
    first, second = c.call("txn_messages", txid=txid)
    assert first["id"] is None and first["body"] == b"\xff\x00" and first["attributes"]["key"] == ["k"], first
    assert second["attributes"]["topic"] == "x" and second["properties"] == {}, second
    ids = c.call("commit", txid=txid)
    assert [m["id"] for m in c.call("txn_messages", txid=txid)] == ids
    c.call("topic_purge", name="x")
    assert [(m["id"], m["body"]) for m in c.call("txn_messages", txid=txid)] == [(i, None) for i in ids]


def test_long_lists_come_in_pieces():
    """A transaction of 24 MiB, and dead letters of as much: other clients go on meanwhile."""
    c, other = Rpc(broker.port), Rpc(broker.port)
    body = b"x" * 1000000
    txid = c.call("half", pgroup="big", topic="y", body=body)
    for _ in range(23):
        c.call("half", pgroup="big", topic="y", body=body, txn=txid)
    begun = c.begin("txn_messages", {"txid": txid})
    assert other.call("ping") == "PONG"
    messages = c.wait(begun)
    assert len(messages) == 24 and all(m["id"] is None and m["body"] == body for m in messages)
    ids = c.call("commit", txid=txid)
    messages = c.call("txn_messages", txid=txid)
    assert [m["id"] for m in messages] == ids and all(m["body"] == body for m in messages)
    while got := c.call("pop", group="big", topic="y", count=100):
        for m in got:
            c.call("reject", group="big", receipt=m["id"])
    cursor, seen, pages = "0", 0, 0
    while True:
        cursor, letters = c.call("dlq_list", group="big", count=100, cursor=cursor)
        seen, pages = seen + len(letters), pages + 1
        if cursor == "0":
            break
    assert seen == 24 and pages > 5, (seen, pages)
    moved = []
    while n := c.call("dlq_redrive", group="big", count=100):
        moved.append(n)
    assert sum(moved) == 24 and max(moved) <= 5, moved  # 4 MiB, and one letter more


def main():
    global broker
    with Broker("--io_threads", "2") as broker:
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
