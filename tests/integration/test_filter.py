#!/usr/bin/python3
"""test_filter.py: tests groups with a FILTER through both dialects: streams, consumers that wait, filters that change, many
messages that do not match, clients that leave meanwhile."""
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, eventually, run_tests  # noqa: E402 (the path comes first)
from records import decode, granted  # noqa: E402
from rpc import Rpc  # noqa: E402

broker = None
MANY = 45000  # more than one POP looks at


def bodies(messages):
    return [m["body"].decode() for m in messages]


def fill(topic, n, queues=4):
    """Makes a topic and sends n messages that have the property n = 1 and the TAG other, in one pipeline each thousand."""
    c = broker.text()
    c.call("TOPIC", "CREATE", topic, "QUEUES", str(queues))
    c.close()
    fill_more(topic, n)


def fill_more(topic, n):
    c = broker.text()
    for _ in range(n // 1000):
        line = f"SEND {topic} x PROP n 1 TAG other\r\n".encode()
        c.send_raw(line * 1000)
        for _ in range(1000):
            c.read()
    c.close()


def lag(c, group, topic):
    return next(row for row in c.call("lag", group=group) if row["topic"] == topic)


class Stream(Rpc):
    def __init__(self, group, topic, credit):
        super().__init__(broker.port)
        self.id = self.call("stream_group", group=group, topic=topic, credit=credit)

    def take(self, n):
        """Returns n messages as (queue, offset, body)."""
        out = []
        while len(out) < n:
            while not self.notes:
                self.receive()
            method, (note,) = self.notes.pop(0)
            assert method == "records" and note["stream"] == self.id, (method, note)
            part = granted(note) if "attempt" in note else decode(note["record"])
            out += [(note["queue"], offset, body.decode()) for offset, body in part]
        assert len(out) == n, (n, len(out))
        return out


def test_errors_and_forms():
    c = Rpc(broker.port)
    c.call("topic_create", name="forms")
    error = c.error("group_create", group="g", topic="forms", filter={"where": "n >"})
    assert (error.code, error.text) == ("ERR", "FILTER WHERE, at character 4: expected a value or a name, but the expression ends")
    assert c.error("group_create", group="g", topic="forms", filter={"tag": "a b"}).code == "BADNAME"
    assert c.error("group_create", group="g", topic="forms", filter={"where": "n = 1" + " " * 4096}).code == "TOOBIG"
    assert c.error("group_create", group="g", topic="forms", filter={"where": "(" * 1000 + "n" + ")" * 1000}).code == "ERR"
    assert c.error("group_create", group="g", topic="forms", filter=["n"]).code == "ERR"
    assert c.call("group_list") == []
    assert c.call("group_create", group="g", topic="forms", filter={"where": "n > 1"}) == "OK"
    for n in range(4):
        c.call("send", topic="forms", body=str(n), prop={"n": n})
    assert bodies(c.call("pop", group="g", topic="forms", count=9)) == ["2", "3"]


def test_stream():
    c = Rpc(broker.port)
    c.call("topic_create", name="s", queues=4)
    c.call("group_create", group="s", topic="s", filter={"where": "n BETWEEN 3 AND 5"})
    want = set()
    for i in range(6000):
        c.begin("send", {"topic": "s", "body": str(i), "prop": {"n": i % 30}})
        if 3 <= i % 30 <= 5:
            want.add(str(i))
    while len(c.answers) < 6000:
        c.receive()
    c.answers.clear()
    stream = Stream("s", "s", 10000)
    got = stream.take(len(want))
    assert {body for _, _, body in got} == want and len(got) == len(want)
    last = {}
    for queue, offset, _ in got:  # in each queue in order
        assert last.get(queue, -1) < offset
        last[queue] = offset
    for i in range(40):  # what comes now, one by one
        c.call("send", topic="s", body=f"no{i}", prop={"n": 1})
        c.call("send", topic="s", body=f"yes{i}", prop={"n": 4})
        assert stream.take(1)[0][2] == f"yes{i}"
    assert c.call("group_set", group="s", topic="s", filter={"where": "n = 77"}) == "OK"
    c.call("send", topic="s", body="four", prop={"n": 4})
    c.call("send", topic="s", body="77", prop={"n": 77})
    assert stream.take(1)[0][2] == "77"
    assert c.call("group_set", group="s", topic="s", filter="none") == "OK"
    c.call("send", topic="s", body="plain")
    assert stream.take(1)[0][2] == "plain"
    c.call("group_delete", group="s")
    while not any(method == "stream_end" for method, _ in stream.notes):
        stream.receive()


def test_far_behind():
    """POP and streams come to what matches however much is before it, with WAIT or without, and give others their turn."""
    fill("far", MANY)
    c = Rpc(broker.port)
    for group, how in (("w", {"where": "n > 1"}), ("v", {"where": "n > 1"}), ("u", {"where": "n > 1"}), ("t", {"tag": "rare"})):
        c.call("group_create", group=group, topic="far", filter=how)
    assert c.call("pop", group="w", topic="far") == []
    for i in range(3):
        c.call("send", topic="far", body=f"last{i}", prop={"n": 2}, tag="rare", queue=0)
    for group in "wt":
        assert bodies(c.call("pop", group=group, topic="far", count=2)) == ["last0", "last1"], group
    pop = c.begin("pop", {"group": "v", "topic": "far", "count": 5, "wait": "20s"})
    assert c.call("ping") == "PONG"
    assert bodies(c.wait(pop)) == ["last0", "last1", "last2"]
    assert [body for _, _, body in Stream("u", "far", 100).take(3)] == ["last0", "last1", "last2"]


def seek_next(c, group, topic):
    """Returns where the group is in each queue."""
    return [q["next"] for q in c.call("group_seek", group=group, topic=topic, to="latest", dryrun=True)["queue"]]


def test_nobody_consumes():
    """A group goes on by itself to the first message that matches, also one that was made, or got its filter, later."""
    c = Rpc(broker.port)
    where, tag = {"where": "n > 1"}, {"tag": "rare"}
    fill("alone", 0, queues=2)
    for group, how in (("w", where), ("t", tag), ("none", "none")):
        c.call("group_create", group=group, topic="alone", filter=how)
    fill_more("alone", MANY)
    c.call("group_create", group="later", topic="alone", filter=where)
    c.call("group_create", group="paused", topic="alone", filter=tag)
    c.call("group_pause", group="paused")
    for group in ("w", "t", "later", "paused"):
        eventually(lambda g=group: lag(c, g, "alone")["unexamined"] == 0, group)
        assert lag(c, group, "alone")["ready"] == 0 and sum(seek_next(c, group, "alone")) > MANY - 20000
    assert seek_next(c, "none", "alone") == [0, 0]
    assert c.call("group_set", group="none", topic="alone", filter=where) == "OK"
    eventually(lambda: lag(c, "none", "alone")["unexamined"] == 0, "none")
    sent = [c.call("send", topic="alone", body=f"match{i}", prop={"n": 2}, tag="rare", queue=i) for i in range(2)]
    fill_more("alone", MANY)
    matches = [int(place.split(":")[2]) for place in sent]
    for group in ("w", "t"):  # each queue stops at its match
        eventually(lambda g=group: seek_next(c, g, "alone") == matches, group)
        assert lag(c, group, "alone")["ready"] in (1, 2)  # LAG looks at 20,000 messages
        got = []
        while len(got) < 2:
            got += bodies(c.call("pop", group=group, topic="alone"))
        assert sorted(got) == ["match0", "match1"]
        eventually(lambda g=group: lag(c, g, "alone")["unexamined"] == 0, group)
        assert lag(c, group, "alone")["inflight"] == 2


def test_replies_keep_their_order():
    """A POP that looks at much is in the middle of a pipeline: what is behind it is answered after it."""
    fill("order", MANY)
    c = broker.text()
    c.call("GROUP", "CREATE", "w", "order", "FILTER", "WHERE", "n > 1")
    c.call("GROUP", "CREATE", "t", "order", "FILTER", "TAG", "rare")
    c.call("TOPIC", "CREATE", "o", "QUEUES", "1")
    c.send_raw(b"SEND o a\r\nPOP w order\r\nSEND o b\r\nPOP t order\r\nPOP g o COUNT 9\r\nPING\r\nPOP w order\r\nSEND o c\r\n")
    assert c.read() == b"o:0:0"
    assert c.read() == []
    assert c.read() == b"o:0:1"
    assert c.read() == []
    assert [m[1] for m in c.read()] == [b"a", b"b"]
    assert c.read() == "PONG"
    assert c.read() == []
    assert c.read() == b"o:0:2"
    for i in range(20):  # one that leaves in between
        other = broker.text()
        other.call("GROUP", "CREATE", f"w{i}", "order", "FILTER", "WHERE", "n > 1")
        other.send_raw(f"POP w{i} order\r\nSEND o x\r\nPOP g o\r\n".encode())
        other.close()
    assert c.call("PING") == "PONG"


def test_waiting_consumers():
    """Each of many that wait gets one message that matches; what does not match is given to nobody."""
    c = Rpc(broker.port)
    c.call("topic_create", name="wait", queues=2)
    c.call("group_create", group="w", topic="wait", filter={"where": "n = 1"})
    others = [broker.text() for _ in range(8)]
    for other in others:
        other.send("POP", "w", "wait", "COUNT", "1", "WAIT", "30s")
    for i in range(200):
        c.call("send", topic="wait", body=f"m{i}", prop={"n": 1 if i % 25 == 3 else 0})
    got = sorted(other.read()[0][1].decode() for other in others)
    assert got == sorted(f"m{i}" for i in range(200) if i % 25 == 3), got
    assert c.call("pop", group="w", topic="wait", count=9, wait=50) == []
    # The settings of the group count while somebody waits.
    others[0].send("POP", "w", "wait", "WAIT", "30s")
    eventually(lambda: c.call("send", topic="wait", body="zero", prop={"n": 0}), "it is sent")
    c.call("group_set", group="w", topic="wait", filter={"where": "n = 5"})
    c.call("send", topic="wait", body="five", prop={"n": 5})
    assert others[0].read()[0][1] == b"five"


def test_deleted_meanwhile():
    c = Rpc(broker.port)
    c.call("topic_create", name="gone", queues=1)
    c.call("group_create", group="w", topic="gone", filter={"where": "n = 1"})
    other = broker.text()
    other.send("POP", "w", "gone", "WAIT", "30s")
    c.call("send", topic="gone", body="x", prop={"n": 0})
    c.call("topic_purge", name="gone")
    c.call("send", topic="gone", body="y", prop={"n": 1})
    assert other.read()[0][1] == b"y"
    other.send("POP", "w", "gone", "WAIT", "30s")
    c.call("topic_delete", name="gone")
    c.call("topic_create", name="gone", queues=1)
    c.call("send", topic="gone", body="z")  # a POP that waits makes the group anew, without a filter
    assert other.read()[0][1] == b"z"


def test_a_client_that_leaves():
    """What was found for a client that has left meanwhile is delivered to others."""
    fill("left", 20000)
    c = Rpc(broker.port)
    c.call("group_create", group="w", topic="left", filter={"where": "n = 1"})
    for _ in range(20):
        other = broker.text()
        other.send("POP", "w", "left", "COUNT", "1000", "WAIT", "30s")
        other.close()
    eventually(lambda: lag(c, "w", "left")["inflight"] == 0, "nothing is leased to a client that has left")
    seen = set()
    while len(seen) < 20000:
        got = c.call("pop", group="w", topic="left", count=1000, wait="20s")
        ids = [m["id"].split("#")[0] for m in got]
        assert got and seen.isdisjoint(ids), len(seen)
        seen.update(ids)


def test_many_groups():
    """Hundreds of groups with filters on one topic, all waited for."""
    n = 500
    c = Rpc(broker.port)
    c.call("topic_create", name="many", queues=1)
    made = [c.begin("group_create", {"group": f"g{i}", "topic": "many", "filter": {"where": f"n = {i} OR all"}}) for i in range(n)]
    assert {c.wait(one) for one in made} == {"OK"}
    waits = [c.begin("pop", {"group": f"g{i}", "topic": "many", "wait": "1h"}) for i in range(n)]
    other = Rpc(broker.port)
    for i in range(0, n, 100):
        other.call("send", topic="many", body=str(i), prop={"n": i})
        assert bodies(c.wait(waits[i])) == [str(i)]
    other.call("send", topic="many", body="all", prop={"all": True})
    for i, wait in enumerate(waits):
        if i % 100:
            assert bodies(c.wait(wait)) == ["all"], i


def main():
    global broker
    with Broker("--io_threads", "2") as broker:
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
