#!/usr/bin/python3
"""test_stream.py: tests batches and streams with a client that knows only MessagePack and the layout of records."""
import os
import re
import socket
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import SOURCE, Broker, eventually, run_tests  # noqa: E402 (the path comes first)
from records import batch, decode, granted, message, record  # noqa: E402
from rpc import Rpc  # noqa: E402

broker = None
MIB = 1 << 20


class Streams(Rpc):
    """Collects notifications, stream by stream."""

    def __init__(self, port):
        super().__init__(port)
        self.records, self.ends = {}, {}

    def sort(self):
        for method, params in self.notes:
            note = params[0]
            if method == "stream_end":
                self.ends[note["stream"]] = note["error"]
            else:
                assert method == "records", method
                self.records.setdefault(note["stream"], []).append(note)
        self.notes.clear()

    def group(self, group, topics, credit, **more):
        return self.call("stream_group", group=group, topic=topics, credit=credit, **more)

    def queue(self, topic, queue, offset, credit):
        return self.call("stream_queue", topic=topic, queue=queue, offset=offset, credit=credit)

    def note(self, stream):
        """Returns the next `records` of the stream."""
        self.sort()
        while not self.records.get(stream):
            self.receive()
            self.sort()
        return self.records[stream].pop(0)

    def ended(self, stream):
        self.sort()
        while stream not in self.ends:
            self.receive()
            self.sort()
        return self.ends.pop(stream)

    def take(self, stream, n):
        """Reads n messages from the stream, as (topic, queue, offset, body, attempt)."""
        out = []
        while len(out) < n:
            note = self.note(stream)
            part = granted(note) if "attempt" in note else decode(note["record"])
            out += [(note["topic"], note["queue"], offset, body, note.get("attempt")) for offset, body in part]
        assert len(out) == n, (n, out)
        return out

    def silent(self, stream):
        """True if the stream has sent nothing. It pings: everything that was sent before the reply has then arrived."""
        for _ in range(3):
            assert self.call("ping") == "PONG"
        self.sort()
        assert not self.records.get(stream), self.records
        return True


def receipts(messages):
    """Returns the receipts of these messages as the fewest possible ranges."""
    out, run = [], None
    for topic, queue, offset, _, attempt in messages:
        if run and run[0] == (topic, queue, attempt) and run[2] + 1 == offset and offset - run[1] < 1000:
            run[2] = offset
            continue
        run = [(topic, queue, attempt), offset, offset]
        out.append(run)
    return [f"{t}:{q}:{first}-{last}#{a}" for (t, q, a), first, last in out]


def lag(c, group, topic):
    return next(row for row in c.call("lag", group=group) if row["topic"] == topic)


def test_produce_and_read():
    c = Streams(broker.port)
    bodies = [b"%d" % i for i in range(1000)]
    assert c.call("produce", topic="p", batch=batch(bodies), queue=1) == {"queue": 1, "offset": 0, "count": 1000}
    again = {"queue": 1, "offset": 1000, "count": 1000}
    assert c.call("produce", topic="p", batch=batch(bodies), queue=1, dedup="x") == again
    assert c.call("produce", topic="p", batch=batch(bodies), queue=1, dedup="x") == again
    messages = c.call("read", topic="p", queue=1, offset=990, count=20)
    assert [m["body"] for m in messages] == bodies[990:] + bodies[:10]
    rich = record([message(0, b"rich", key=[b"k1", b"k2"], tag=b"eu", ttl=3600000, props={b"n": b"v"})])
    c.call("produce", topic="p", batch=rich, queue=2)
    found = c.call("find", topic="p", key="k2")[0]
    assert found["id"] == "p:2:0" and found["attributes"]["tag"] == "eu" and found["properties"] == {"n": "v"}
    assert found["attributes"]["expires"] == found["attributes"]["stored"] + 3600000
    assert c.error("produce", topic="p", batch=record([message(0, b"o", order=b"k")])).code == "ERR"


def test_a_group():
    c = Streams(broker.port)
    assert c.error("stream_group", group="g", topic=["nowhere"], credit=5).code == "NOTOPIC"
    bodies = [b"%d" % i for i in range(3000)]
    for queue in range(4):
        c.call("produce", topic="g1", batch=batch(bodies), queue=queue)
    s = c.group("g", ["g1"], 100, lease="1m")
    first = c.take(s, 100)
    assert c.silent(s)
    assert lag(c, "g", "g1")["inflight"] == 100
    assert all(m[3] == bodies[m[2]] and m[4] == 1 for m in first)
    c.notify("stream_credit", stream=s, credit=11900)
    rest = c.take(s, 11900)
    assert sorted(m[1:3] for m in first + rest) == [(q, i) for q in range(4) for i in range(3000)]
    assert c.call("ack", group="g", receipt=receipts(first + rest)) == 12000
    assert c.call("stream_credit", stream=s, credit=10) == "OK"
    c.call("send", topic="g1", body=b"live", queue=2)  # the stream follows new messages
    assert [m[:4] for m in c.take(s, 1)] == [("g1", 2, 3000, b"live")]
    assert c.call("nack", group="g", receipt="g1:2:3000#1", delay="10ms") == "OK"
    assert [m[2:] for m in c.take(s, 1)] == [(3000, b"live", 2)]
    assert c.call("extend", group="g", receipt="g1:2:2990-3000#2", dur="1h") == "OK"
    assert c.call("ack", group="g", receipt="g1:2:0-999#2") == 0
    assert c.call("ack", group="g", receipt="g1:2:3000#2") == 1
    assert c.call("stream_close", stream=s) == "OK"
    c.call("send", topic="g1", body=b"later", queue=2)
    assert c.silent(s)
    assert c.error("stream_close", stream=s).code == "ERR"
    assert c.error("stream_credit", stream=s, credit=1).code == "ERR"
    assert c.call("pop", group="g", topic="g1")[0]["body"] == b"later"


def test_only_what_is_granted():
    """Acknowledged messages in the middle of a record are not redelivered; `bits` says which ones are delivered."""
    c, other = Streams(broker.port), Rpc(broker.port)
    c.call("topic_create", name="bits", queues=1)
    c.call("produce", topic="bits", batch=batch([b"%d" % i for i in range(200)]))
    got = other.call("pop", group="g", topic="bits", count=200, lease=1000)  # long enough for the ACK on a busy machine
    keep = {3, 5, 100, 130}
    other.call("ack", group="g", receipt=[m["id"] for i, m in enumerate(got) if i not in keep])
    s = c.group("g", ["bits"], 1000)
    messages = c.take(s, 4)
    assert [m[2] for m in messages] == sorted(keep) and {m[4] for m in messages} == {2}, messages
    assert c.call("ack", group="g", receipt="bits:0:0-199#2") == 4


def test_expired_messages_are_not_granted():
    c = Streams(broker.port)
    c.call("topic_create", name="ttl", queues=1)
    messages = [message(i, b"%d" % i, ttl=0 if i % 3 == 1 else 3600000) for i in range(30)]
    c.call("produce", topic="ttl", batch=record(messages))
    s = c.group("g", ["ttl"], 1000)
    assert [m[2] for m in c.take(s, 20)] == [i for i in range(30) if i % 3 != 1]


def test_several_streams_share():
    """Two streams and a POP of one group share the messages: each is delivered to one of them."""
    a, b, p = Streams(broker.port), Streams(broker.port), Rpc(broker.port)
    p.call("topic_create", name="share")
    sa, sb = a.group("g", ["share"], 1000), b.group("g", ["share"], 1000)
    waiting = p.begin("pop", {"group": "g", "topic": ["share"], "wait": "1h"})
    for i in range(30):
        p.call("send", topic="share", body=b"%d" % i)
    a.call("stream_close", stream=sa)
    b.call("stream_close", stream=sb)
    p.call("send", topic="share", body=b"30")  # for the POP, if the streams have got all others
    seen = [int(m["body"]) for m in p.wait(waiting) + p.call("pop", group="g", topic="share", count=100)]
    for c, s in ((a, sa), (b, sb)):
        c.sort()
        seen += [int(body) for note in c.records.get(s, []) for _, body in granted(note)]
    assert sorted(seen) == list(range(31)), seen


def test_several_topics_and_streams_on_one_connection():
    c = Streams(broker.port)
    for topic in ("m1", "m2"):
        c.call("topic_create", name=topic)
    both, one = c.group("g", ["m1", "m2"], 10), c.group("h", ["m2"], 10)
    assert (both, one) == (1, 2)
    c.call("send", topic="m1", body=b"1")
    c.call("send", topic="m2", body=b"2")
    assert sorted(m[3] for m in c.take(both, 2)) == [b"1", b"2"]
    assert [m[3] for m in c.take(one, 1)] == [b"2"]
    for _ in range(62):
        c.group("g", ["m1"], 1)
    assert c.error("stream_group", group="g", topic=["m1"], credit=1).code == "LIMIT"
    assert c.error("stream_queue", topic="m1", queue=0, offset=0, credit=1).code == "LIMIT"


def test_a_queue():
    c = Streams(broker.port)
    assert c.error("stream_queue", topic="q1", queue=0, offset=0, credit=1).code == "NOTOPIC"
    bodies = [b"%d" % i + b"x" * 100 for i in range(2000)]
    c.call("produce", topic="q1", batch=batch(bodies[:1000]), queue=3)
    assert c.error("stream_queue", topic="q1", queue=4, offset=0, credit=1).code == "ERR"
    s = c.queue("q1", 3, 500, MIB)
    first = c.take(s, 500)
    assert [m[2] for m in first] == list(range(500, 1000)) and [m[3] for m in first] == bodies[500:1000]
    c.call("produce", topic="q1", batch=batch(bodies[1000:]), queue=3)
    assert [m[3] for m in c.take(s, 1000)] == bodies[1000:]
    c.call("send", topic="q1", body=b"one", queue=3)
    assert [m[2:4] for m in c.take(s, 1)] == [(2000, b"one")]
    assert c.call("stream_close", stream=s) == "OK"
    # The credit counts bytes: one record may exceed it, the next one has to wait.
    s = c.queue("q1", 3, 0, 1)
    assert len(decode(c.note(s)["record"])) == 1000
    assert c.silent(s)
    c.call("stream_credit", stream=s, credit=1)
    assert c.silent(s)  # the credit is still negative
    c.call("stream_credit", stream=s, credit=MIB)
    assert [m[2] for m in c.take(s, 1001)] == list(range(1000, 2001))
    # The first offset does not exist yet.
    s = c.queue("q1", 3, 2003, MIB)
    c.call("produce", topic="q1", batch=batch([b"a", b"b", b"c", b"d"]), queue=3)
    assert [m[2:4] for m in c.take(s, 2)] == [(2003, b"c"), (2004, b"d")]
    # A purge deletes messages that were not read.
    c.call("topic_purge", name="q1")
    s = c.queue("q1", 3, 0, MIB)
    c.call("send", topic="q1", body=b"after", queue=3)
    assert [m[2:4] for m in c.take(s, 1)] == [(2005, b"after")]


def test_large_records_are_cut():
    c = Streams(broker.port)
    c.call("produce", topic="big", batch=batch([bytes([i]) * 100000 for i in range(50)]), queue=0)
    c.call("send", topic="big", body=b"z" * 3 * MIB, queue=0)
    s = c.queue("big", 0, 0, 64 * MIB)
    got = []
    while len(got) < 51:
        note = c.note(s)
        part = decode(note["record"])
        assert len(note["record"]) <= MIB or len(part) == 1
        got += part
    assert [body[0] for _, body in got] == list(range(50)) + [ord("z")]
    g = c.group("g", ["big"], 100)
    assert [m[3] for m in sorted(c.take(g, 51))] == [body for _, body in got]


def test_bad_words():
    c = Streams(broker.port)
    c.call("topic_create", name="w")
    for credit in (0, -1, 100001, "x"):
        assert c.error("stream_group", group="g", topic="w", credit=credit).code == "ERR"
    for credit in (0, 64 * MIB + 1):
        assert c.error("stream_queue", topic="w", queue=0, offset=0, credit=credit).code == "ERR"
    error = c.error("stream_group", group="g", topic="w")
    assert "credit" in error.text, error
    assert c.error("stream_group", group="g", topic=["w"] * 65, credit=1).code == "LIMIT"
    assert c.error("stream_group", group="g", topic="w", credit=1, lease=0).code == "ERR"
    assert c.error("stream_close", stream=1).code == "ERR"
    c.notify("stream_group", group="g", topic="w", credit=1)  # a notification gets no reply with the id
    assert c.group("g", ["w"], 1) >= 1
    text = broker.text()
    for line in ("STREAM GROUP g 1 w", "STREAM QUEUE w 0 0 1", "STREAM CREDIT 1 1", "STREAM CLOSE 1"):
        assert "MessagePack-RPC" in text.refused(*line.split()).text
    text.close()


def test_what_is_deleted_ends_the_stream():
    c = Streams(broker.port)
    c.call("topic_create", name="del")
    one, two = c.group("g", ["del"], 10), c.group("h", ["del"], 10)
    q = c.queue("del", 0, 0, MIB)
    c.call("group_delete", group="g")
    assert c.ended(one)[0] == "NOGROUP"
    assert "g" not in [row["group"] for row in c.call("lag") if row["topic"] == "del"]
    c.call("topic_delete", name="del")
    assert c.ended(two)[0] in ("NOTOPIC", "NOGROUP")
    assert c.ended(q)[0] == "NOTOPIC"
    assert c.error("stream_close", stream=two).code == "ERR"


def test_who_closes_gives_back():
    """When a client closes its connection, messages that were sent to the socket stay leased. Those that were not are
    requeued, with the same attempt number."""
    c, other = Streams(broker.port), Rpc(broker.port)
    c.call("topic_create", name="gone", queues=1)
    total = 400
    for i in range(40):
        c.call("produce", topic="gone", batch=batch([b"x" * 100000] * 10))
    slow = Rpc(broker.port)
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.begin("stream_group", {"group": "g", "topic": "gone", "credit": 100000, "lease": "1h"})

    def stuck():  # with more than OUT_SOFT_MAX of unsent output, nothing more is leased
        rows = other.call("lag", group="g") if "g" in other.call("group_list") else []
        return rows and rows[0]["inflight"]
    eventually(stuck, "the slow one has something")
    for _ in range(5):
        other.call("send", topic="gone", body=b"tick")
    eventually(lambda: len({stuck() for _ in range(50)}) == 1, "it gets no more")
    leased = stuck()
    assert leased < total, leased
    slow.socket.close()
    # Messages that never left the broker are delivered as attempt 1; the others are still leased to the closed client.
    fresh = eventually(lambda: lag(other, "g", "gone")["inflight"] < leased and lag(other, "g", "gone"),
                       "what was not sent is given back")
    assert fresh["inflight"] + fresh["ready"] == total + 5, fresh
    seen = {}
    while len(seen) < fresh["ready"]:
        for m in other.call("pop", group="g", topic="gone", count=50, lease="1h"):
            assert m["attributes"]["attempt"] == 1 and m["id"] not in seen
            seen[m["id"]] = True


def test_a_slow_reader_costs_little():
    c = Streams(broker.port)
    c.call("topic_create", name="slow", queues=1)
    for i in range(24):
        c.call("produce", topic="slow", batch=batch([b"y" * 1000] * 1000))
    s = c.group("g", ["slow"], 100000)
    assert len(c.take(s, 24000)) == 24000
    q = c.queue("slow", 0, 0, 64 * MIB)
    assert [m[2] for m in c.take(q, 24000)] == list(range(24000))


def test_restart_and_drain():
    c = Streams(broker.port)
    c.call("topic_create", name="r", queues=1)
    c.call("produce", topic="r", batch=batch([b"%d" % i for i in range(10)]))
    s = c.group("g", ["r"], 4, lease="1h")
    assert [m[2] for m in c.take(s, 4)] == [0, 1, 2, 3]
    broker.kill()
    broker.start()
    c = Streams(broker.port)
    assert lag(c, "g", "r")["inflight"] == 4
    assert c.call("ack", group="g", receipt="r:0:0-3#1") == 4
    s = c.group("g", ["r"], 100)
    assert [m[2] for m in c.take(s, 6)] == [4, 5, 6, 7, 8, 9]
    q = c.queue("r", 0, 0, MIB)
    assert len(c.take(q, 10)) == 10
    assert broker.stop() == 0  # while streams are open
    broker.start()


def test_half_closed():
    """A client that has closed its sending half gets no more messages."""
    c, other = Streams(broker.port), Rpc(broker.port)
    c.call("topic_create", name="half")
    c.group("g", ["half"], 100)
    c.socket.shutdown(socket.SHUT_WR)
    assert c.socket.recv(1000) == b""
    other.call("send", topic="half", body=b"x")
    assert other.call("pop", group="g", topic="half", wait="20s")[0]["id"].endswith("#1")


def test_pipelined():
    """Sends credit, acknowledgements and new messages at the same time. No message is lost or delivered twice."""
    c, p = Streams(broker.port), Rpc(broker.port)
    c.call("topic_create", name="pipe")
    s = c.group("g", ["pipe"], 500)
    sent = 0
    seen = set()
    for i in range(40):
        p.begin("produce", {"topic": "pipe", "batch": batch([b"%d" % (sent + k) for k in range(250)])})
        sent += 250
    while len(seen) < sent:
        note = c.note(s)
        part = [(note["topic"], note["queue"], o, b, note["attempt"]) for o, b in granted(note)]
        for m in part:
            assert int(m[3]) not in seen
            seen.add(int(m[3]))
        c.begin("ack", {"group": "g", "receipt": receipts(part)})
        c.notify("stream_credit", stream=s, credit=len(part))
    eventually(lambda: lag(c, "g", "pipe")["lag"] == 0, "all are acknowledged")
    assert seen == set(range(sent))


def test_the_program_of_the_manual():
    """Runs the Python program of chapter 10 of PROTOCOL.md, with only the port changed."""
    with open(os.path.join(SOURCE, "protocol", "PROTOCOL.md"), encoding="utf-8") as f:
        chapter = f.read().split("## 10. Batches and streams", 1)[1]
    program = re.search(r"```python\n(.*?)```", chapter, re.DOTALL).group(1)
    assert program.count("4253") == 1
    promised = re.findall(r"`([^`]+)`", chapter.rsplit("It prints", 1)[1])
    with Broker() as fresh:
        done = subprocess.run([sys.executable, "-c", program.replace("4253", str(fresh.port))],
                              capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == promised, done.stdout


def main():
    global broker
    with Broker("--io_threads", "2") as broker:
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
