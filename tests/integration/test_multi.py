#!/usr/bin/python3
"""test_multi.py: MULTI and EXEC of many clients at once, with large replies, at their limits, and with clients that
leave."""
import os
import socket
import struct
import sys
import threading

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Message, Push, Refused, encode, eventually, run_tests  # noqa: E402 (the path comes first)
from rpc import Rpc, RpcError  # noqa: E402

broker = None


def queue(c, commands):
    """MULTI and the commands, in one piece. Returns the replies."""
    c.send_raw(encode("MULTI") + b"".join(encode(*words) for words in commands))
    assert c.read() == "OK"
    return [c.read_value() for _ in commands]


def execute(c, commands):
    assert set(queue(c, commands)) <= {"QUEUED"}
    return c.call_value("EXEC")


def bodies(c, topic, queue_number=0):
    """All bodies of a queue."""
    found, at = [], 0
    while True:
        page = c.call("READ", topic, queue_number, at, "COUNT", 1000)
        if not page:
            return found
        found += [Message(m).body for m in page]
        at += len(page)


def in_threads(n, work):
    failures = []

    def run(i):
        try:
            work(i)
        except Exception as error:  # told by the test's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures


def test_nothing_comes_between():
    """Clients with EXECs and clients with single commands send to one queue."""
    def work(who):
        c = broker.text()
        for turn in range(30):
            words = [("SEND", "shared", f"{who}.{turn}.{i}", "QUEUE", 0) for i in range(40)]
            if who % 2:
                for w in words:
                    c.send(*w)
                replies = [c.read() for _ in words]
            else:
                replies = execute(c, words)
                first = int(replies[0].split(b":")[2])
                assert replies == [b"shared:0:%d" % (first + i) for i in range(40)], replies
            assert len(set(replies)) == 40
        c.close()
    in_threads(6, work)
    all_of_them = bodies(broker.text(), "shared")
    assert len(all_of_them) == len(set(all_of_them)) == 6 * 30 * 40


def test_large_replies():
    """20 POPs of 2 MB each in one EXEC, by a client that reads slowly, while others go on."""
    c, other = broker.text(), broker.text()
    body = b"x" * 4000
    for _ in range(20):
        c.call("MSEND", "large", *[body] * 500)
    before = broker.resident_bytes()
    assert set(queue(c, [("POP", "g", "large", "COUNT", 500)] * 20)) == {"QUEUED"}
    c.send("EXEC")
    for i in range(50):
        assert other.call("ECHO", i) == b"%d" % i
    assert c.file.peek(1)[:1] == b"*"
    assert broker.resident_bytes() - before < 60e6, "the replies were made before they were read"
    reply = c.read()
    receipts = [m[0] for pop in reply for m in pop]
    assert len(reply) == 20 and len(receipts) == len(set(receipts)) == 10000
    assert all(m[1] == body for pop in reply for m in pop)
    assert c.call("PING") == "PONG"


def test_long_queries():
    """Lists that are made step by step, inside an EXEC, see what was before."""
    c = broker.text()
    for i in range(0, 3000, 500):
        assert len(execute(c, [("TOPIC", "CREATE", f"many-{i + k}") for k in range(500)])) == 500
    replies = execute(c, [("TOPIC", "LIST", "many-*"), ("TOPIC", "DELETE", "many-7"), ("TOPIC", "LIST", "many-*"),
                          ("LAG",), ("PING",)])
    assert len(replies[0]) == 3000 and replies[1] == "OK" and replies[2] == replies[0] and replies[4] == "PONG"
    assert len(c.call("TOPIC", "LIST", "many-*")) == 2999


def test_a_client_that_leaves():
    """What the POPs of an EXEC were granted and the client has not read is ready again, with the same attempt."""
    c, other = broker.text(), broker.text()
    for _ in range(10):
        other.call("MSEND", "left", *[b"y" * 20000] * 100)
    assert set(queue(c, [("POP", "g", "left", "COUNT", 100, "LEASE", "1h")] * 10)) == {"QUEUED"}
    c.send("EXEC")
    assert c.file.peek(1)[:1] == b"*"
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    # What was in the kernel's buffers counts as delivered: some hundred KB to some MB of 20.
    got = {}

    def collect():
        for m in other.call("POP", "g", "left", "COUNT", 100, "LEASE", "1h"):
            got[m[0]] = True
        return len(got) >= 500
    eventually(collect, "messages that were not delivered")
    assert all(receipt.endswith(b"#1") for receipt in got)


def test_a_client_that_leaves_at_once():
    """It is gone before its EXEC is done: the EXEC is done, or not, as a whole."""
    other = broker.text()
    for turn in range(50):
        c = broker.text()
        c.send_raw(encode("MULTI") + b"".join(encode("SEND", "hasty", f"{turn}", "QUEUE", 0) for _ in range(20)) +
                   encode("POP", "g", "hasty", "COUNT", 5, "LEASE", "1h") + encode("EXEC"))
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    execute(other, [("SEND", "hasty", "last", "QUEUE", 0)])
    eventually(lambda: b"last" in bodies(other, "hasty"), "the last message")
    found = bodies(other, "hasty")
    for turn in range(50):
        assert found.count(b"%d" % turn) in (0, 20), (turn, found.count(b"%d" % turn))


def test_limits():
    c = broker.text()
    replies = queue(c, [("SEND", "bounded", "x")] * 1001)
    assert replies[:1000] == ["QUEUED"] * 1000 and replies[1000].code == "LIMIT", replies[1000]
    assert c.refused("EXEC").code == "EXECABORT"
    replies = queue(c, [("SEND", "bounded", b"x" * 3_000_000)] * 3)
    assert replies[:2] == ["QUEUED"] * 2 and replies[2].code == "TOOBIG", replies
    assert c.refused("EXEC").code == "EXECABORT"
    replies = queue(c, [("SEND", "bounded", b"x" * 5_000_000)])
    assert replies[0].code == "TOOBIG", replies
    assert c.call_value("SEND", "bounded", "y") == "QUEUED"
    assert c.refused("EXEC").code == "EXECABORT"
    assert c.refused("TOPIC", "INFO", "bounded").code == "NOTOPIC"
    assert len(execute(c, [("SEND", "bounded", "x")] * 1000)) == 1000
    assert len(execute(c, [("SEND", "bounded", b"x" * 3_900_000)] * 2)) == 2


def test_pushes_stay_outside():
    """Copies of messages do not get into the replies of a subscriber's EXEC."""
    broker.text().call("TOPIC", "CREATE", "busy")
    for hello in (2, 3):
        c, other = broker.text(hello=hello), broker.text()
        c.send("SUBSCRIBE", "topic:busy")
        c.read()
        n = 0
        for turn in range(20):
            for i in range(20):
                other.send("SEND", "busy", f"{turn}.{i}", "QUEUE", 0)
            c.send_raw(encode("MULTI") + encode("TOPIC", "LIST") * 5 + encode("READ", "busy", 0, 0, "COUNT", 1000) +
                       encode("EXEC"))
            replies = []
            while len(replies) < 8:
                value = c.read_value()
                pushed = isinstance(value, Push) or (isinstance(value, list) and value[:1] == [b"message"])
                n += pushed
                if not pushed:
                    replies.append(value)
            assert replies[:7] == ["OK"] + ["QUEUED"] * 6, replies[:7]
            assert len(replies[7]) == 6 and all(isinstance(v, list) for v in replies[7]), str(replies[7])[:200]
            for _ in range(20):
                other.read()
        while n < 400:
            value = c.read()
            assert value[:2] == [b"message", b"topic:busy"], value
            n += 1


def test_rpc():
    """MessagePack-RPC has no MULTI, and nothing is done by mistake."""
    c = Rpc(broker.port)

    def code_of(method, **params):
        try:
            return c.call(method, **params)
        except RpcError as error:
            return error.code
    assert code_of("exec") == "ERR" and code_of("discard") == "ERR"
    assert code_of("multi") == "ERR"
    assert code_of("send", topic="rpc", body="x") == "ERR"
    assert code_of("exec") == "EXECABORT"
    assert code_of("topic_info", name="rpc") == "NOTOPIC"
    assert code_of("multi") == "ERR" and code_of("discard") == "OK"
    assert code_of("send", topic="rpc", body="x", queue=0) == "rpc:0:0"
    assert code_of("watch", key=["k"]) == "ERR"


def test_crash():
    """SIGKILL while EXECs are done: each is there as a whole or not at all, and all that were answered are there."""
    with Broker() as b:
        answered = set()
        for turn in range(4):
            def work(who):
                c = b.text()
                try:
                    for i in range(100000):
                        name = f"{turn}.{who}.{i}"
                        commands = [("SEND", f"crash-{k % 3}", name, "QUEUE", k % 4) for k in range(12)]
                        if isinstance(execute(c, commands), list):
                            answered.add(name)
                except (OSError, EOFError):
                    pass
            threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
            before = len(answered)
            for t in threads:
                t.start()
            eventually(lambda: len(answered) > before + 100, "some EXECs")
            b.kill()
            for t in threads:
                t.join()
            b.start()
        c, count = b.text(), {}
        for topic in range(3):
            for q in range(4):
                for body in bodies(c, f"crash-{topic}", q):
                    count[body.decode()] = count.get(body.decode(), 0) + 1
        assert set(count.values()) == {12}, {n: k for n, k in count.items() if k != 12}
        assert answered <= set(count)


def test_little_memory():
    """Clients that queue much and never send EXEC cannot keep the others waiting for ever, nor fill the memory."""
    with Broker("--memory", "32MB") as b:
        hoarders, refused = [], 0
        before = b.resident_bytes()
        for _ in range(60):
            c = b.text()
            hoarders.append(c)
            try:
                refused += any(isinstance(r, Refused) for r in queue(c, [("SEND", "t", b"z" * 500000)] * 10))
            except (OSError, EOFError):
                refused += 1
        assert refused > 0
        assert b.is_sanitized() or b.resident_bytes() - before < 64e6, b.resident_bytes() - before

        def goes_on():
            c = b.text()
            try:
                return execute(c, [("SEND", "t", "small")] * 3)
            except (AssertionError, EOFError, OSError):
                return None
        eventually(goes_on, "an EXEC of a client that wants little")


def main():
    global broker
    with Broker("--io_threads", "2") as broker:
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
