#!/usr/bin/python3
"""test_checks_long.py: check-backs of long transactions, whose objects are made in steps: they are whole in each way of asking,
replies keep their order, and what happens where such a transaction is decided, or the client goes, meanwhile."""
import base64
import json
import os
import socket
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Refused, encode, eventually, pairs, run_tests  # noqa: E402 (the path comes first)
from rpc import Rpc  # noqa: E402

TEXT = "é" * 700001  # more than one piece of a string, of two bytes each
RAW = b"\xff\x00" * 400000
LARGE = [b"first", TEXT.encode(), RAW, TEXT.encode(), b"", RAW]
MANY = [f"body {i}".encode() for i in range(1000)]

broker = None
groups = iter(range(1000000))


def half(c, bodies, *options):
    """Returns the producer group and the txid."""
    pgroup = f"pg{next(groups)}"
    c.send_raw(encode("HALF", pgroup, "t", bodies[0], "KEY", "k", "PROP", "body", "p", *options))
    txid = c.read().decode()
    c.send_raw(b"".join(encode("HALF", pgroup, "t", body, "TXN", txid) for body in bodies[1:]))
    for _ in bodies[1:]:
        assert c.read().decode() == txid
    return pgroup, txid


def body_of(m):
    if "body_base64" in m:
        return base64.b64decode(m["body_base64"])
    return m["body"] if isinstance(m["body"], bytes) else m["body"].encode()


def check(found, pgroup, txid, bodies, attempt=1):
    assert list(found) == ["txid", "pgroup", "attempt", "created", "messages"]
    assert (found["txid"], found["pgroup"], found["attempt"]) == (txid, pgroup, attempt)
    first = found["messages"][0]
    assert (first["topic"], first["key"], first["tag"], first["properties"]) == ("t", ["k"], None, {"body": "p"})
    assert [body_of(m) for m in found["messages"]] == bodies


def check_text(reply, *about):
    assert len(reply) == 1
    check(json.loads(reply[0]), *about)


def test_text_in_order():
    c = broker.text()
    for bodies in LARGE, MANY:
        pgroup, txid = half(c, bodies, "CHECKIN", 0)
        c.send_raw(encode("SEND", "o", "1") + encode("CHECKS", pgroup, "COUNT", "9") + encode("SEND", "o", "2") +
                   encode("CHECKS", pgroup) + encode("POP", "nobody", "o") + encode("SEND", "o", "3") + encode("NONSENSE") +
                   encode("PING"))
        assert c.read().startswith(b"o:")
        check_text(c.read(), pgroup, txid, bodies)
        assert c.read().startswith(b"o:")
        assert c.read() == []
        assert len(c.read()) == 1, "a message"
        assert c.read().startswith(b"o:")
        try:
            raise AssertionError(f"NONSENSE was answered {c.read()!r}")
        except Refused:
            pass
        assert c.read() == "PONG"
        assert pairs(c.call("TXN", "INFO", txid))["checks"] == 1
        c.call("ROLLBACK", txid)


def test_wait():
    c, taker = broker.text(), broker.text()
    pgroup, txid = half(c, LARGE, "CHECKIN", "1h")
    taker.send_raw(encode("CHECKS", pgroup, "WAIT", "1h") + encode("PING"))
    c.call("TXN", "EXTEND", txid, 0)
    check_text(taker.read(), pgroup, txid, LARGE)
    assert taker.read() == "PONG"
    c.call("ROLLBACK", txid)


def test_rpc():
    c, rpc = broker.text(), Rpc(broker.port)
    for bodies in LARGE, MANY:
        pgroup, txid = half(c, bodies, "CHECKIN", 0)
        found = rpc.call("checks", pgroup=pgroup)
        check(found[0], pgroup, txid, bodies)
        assert rpc.call("unknown", txid=txid) == "OK"
        c.call("TXN", "EXTEND", txid, 0)
        ping, wait = rpc.begin("ping", {}), rpc.begin("pop", {"group": "g", "topic": ["nothing"], "wait": "1h"})
        checks, send = rpc.begin("checks", {"pgroup": pgroup}), rpc.begin("send", {"topic": "o", "body": "x"})
        assert rpc.wait(ping) == "PONG"
        assert rpc.wait(send).startswith("o:")
        check(rpc.wait(checks)[0], pgroup, txid, bodies, 2)
        c.call("SEND", "nothing", "x")
        assert len(rpc.wait(wait)) == 1
        c.call("ROLLBACK", txid)


def test_members():
    c = broker.text()
    pgroup, txid = half(c, LARGE, "CHECKIN", "1h")
    subscriber = broker.text()
    subscriber.call("SUBSCRIBE", "check:" + pgroup)
    c.call("TXN", "EXTEND", txid, 0)
    kind, channel, payload = subscriber.read()
    assert (kind, channel) == (b"message", b"check:" + pgroup.encode())
    check(json.loads(payload), pgroup, txid, LARGE)
    server = Rpc(broker.port)
    server.call("checks_serve", pgroup=pgroup)
    subscriber.close()
    number, method, params = server.request()
    assert method == "check"
    check(params[0], pgroup, txid, LARGE)
    server.answer(number, "commit")
    eventually(lambda: pairs(c.call("TXN", "INFO", txid))["state"] == b"committed", "the answer decides")


def two_pushes(member):
    """It asks for something meanwhile."""
    first = member.read()
    member.send_raw(encode("PING"))
    rest = [member.read(), member.read()]
    rest.remove("PONG")
    return [json.loads(push[2]) for push in [first] + rest]


def test_members_of_the_largest():
    """Their objects are larger than output_limit. One after the other, to one member, and to another when that has gone."""
    c, bodies = broker.text(), [b"first"] + [b"x" * 4000000] * 6
    pgroup, first = half(c, bodies, "CHECKIN", "1h")
    second = c.call("HALF", pgroup, "t", "y", "CHECKIN", "1h").decode()
    for _ in range(300):
        c.call("HALF", pgroup, "t", "y", "TXN", second)
    for member in broker.text(hello=3), Rpc(broker.port):
        if isinstance(member, Rpc):
            member.call("checks_serve", pgroup=pgroup)
        else:
            member.call("SUBSCRIBE", "check:" + pgroup)
            for txid in first, second:
                c.call("TXN", "EXTEND", txid, 0)
        objects = [member.request()[2][0] for _ in range(2)] if isinstance(member, Rpc) else two_pushes(member)
        found = {one["txid"]: one for one in objects}
        assert [body_of(m) for m in found[first]["messages"]] == bodies
        assert [body_of(m) for m in found[second]["messages"]] == [b"y"] * 301
        (member.socket if isinstance(member, Rpc) else member).close()
        eventually(lambda: not any(pairs(c.call("TXN", "INFO", txid))["checks"] for txid in (first, second)),
                   "what was not answered is taken back")
    for txid in first, second:
        c.call("ROLLBACK", txid)


def test_a_member_of_topics():
    """Copies of messages may come at any time, so the check-back comes as a whole."""
    c, member = broker.text(), broker.text()
    pgroup, txid = half(c, LARGE, "CHECKIN", "1h")
    member.call("SUBSCRIBE", "check:" + pgroup)
    member.call("SUBSCRIBE", "topic:copied")
    c.call("TXN", "EXTEND", txid, 0)
    for i in range(50):
        c.call("SEND", "copied", f"copy {i}")
    got = [member.read() for _ in range(51)]
    checks = [payload for _, channel, payload in got if channel.startswith(b"check:")]
    assert [payload for _, channel, payload in got if channel == b"topic:copied"] == [f"copy {i}".encode() for i in range(50)]
    check_text(checks, pgroup, txid, LARGE)
    member.close()
    c.call("ROLLBACK", txid)


def test_a_member_that_goes_amid_one():
    c, bodies = broker.text(), [b"x" * 4000000] * 6
    pgroup, txid = half(c, bodies, "CHECKIN", "1h")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", broker.port))
    deaf.sendall(encode("SUBSCRIBE", "check:" + pgroup))
    deaf.recv(1)
    c.call("TXN", "EXTEND", txid, 0)
    eventually(lambda: pairs(c.call("TXN", "INFO", txid))["checks"] == 1, "it is asked")
    other = broker.text()
    other.call("SUBSCRIBE", "check:" + pgroup)
    deaf.recv(1000)
    deaf.close()
    assert json.loads(other.read()[2])["attempt"] == 1
    other.close()
    c.call("ROLLBACK", txid)


def test_one_that_subscribes_polls():
    c, both = broker.text(), broker.text(hello=3)
    pgroup, txid = half(c, LARGE, "CHECKIN", 0)
    both.call("SUBSCRIBE", "topic:o")
    check_text(both.call("CHECKS", pgroup), pgroup, txid, LARGE)
    c.call("ROLLBACK", txid)


def test_exec():
    c = broker.text()
    pgroup, txid = half(c, LARGE, "CHECKIN", 0)
    c.send_raw(encode("CHECKS", "nobody") + encode("MULTI") + encode("CHECKS", pgroup) + encode("PING") + encode("EXEC"))
    assert [c.read() for _ in range(4)] == [[], "OK", "QUEUED", "QUEUED"]
    checks, pong = c.read()
    check_text(checks, pgroup, txid, LARGE)
    assert pong == "PONG"
    c.call("ROLLBACK", txid)


def test_exec_of_several():
    """Each is one of the EXEC's replies, in order; nothing that comes behind the EXEC overtakes them."""
    c = broker.text()
    ways = [(*half(c, bodies, "CHECKIN", 0), bodies) for bodies in (LARGE, MANY, LARGE)]
    words = [("SEND", "o", "1")] + [("CHECKS", pgroup) for pgroup, _, _ in ways] + [("TOPIC", "LIST"), ("CHECKS", "nobody")]
    c.send_raw(encode("MULTI") + b"".join(encode(*w) for w in words) + encode("EXEC") + encode("SEND", "o", "2") + encode("PING"))
    assert [c.read() for _ in range(1 + len(words))] == ["OK"] + ["QUEUED"] * len(words)
    sent, *checks, topics, nothing = c.read()
    assert sent.startswith(b"o:") and b"o" in topics and nothing == []
    for reply, (pgroup, txid, bodies) in zip(checks, ways):
        check_text(reply, pgroup, txid, bodies)
    assert c.read().startswith(b"o:")
    assert c.read() == "PONG"
    for _, txid, _ in ways:
        c.call("ROLLBACK", txid)


def test_exec_of_one_who_subscribes():
    """Copies may come between replies, so it is made at once."""
    c, both = broker.text(), broker.text(hello=3)
    pgroup, txid = half(c, LARGE, "CHECKIN", 0)
    both.call("SUBSCRIBE", "topic:o")
    both.send_raw(encode("MULTI") + encode("CHECKS", pgroup) + encode("EXEC"))
    assert [both.read() for _ in range(2)] == ["OK", "QUEUED"]
    check_text(both.read()[0], pgroup, txid, LARGE)
    c.call("ROLLBACK", txid)


def test_exec_that_is_not_read():
    """Who goes before all of the reply is in its output was not asked; nor about what is behind it."""
    c = broker.text()
    ways = [half(c, [b"x" * 4000000] * 6, "CHECKIN", 0) for _ in range(2)]
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", broker.port))
    deaf.sendall(encode("MULTI") + b"".join(encode("CHECKS", pgroup) for pgroup, _ in ways) + encode("EXEC"))
    for _, txid in ways:
        eventually(lambda: pairs(c.call("TXN", "INFO", txid))["checks"] == 1, "it is asked")
    deaf.recv(1)
    deaf.close()
    for pgroup, txid in ways:
        eventually(lambda: pairs(c.call("TXN", "INFO", txid))["checks"] == 0, "the ask is taken back")
        assert json.loads(c.call("CHECKS", pgroup, "WAIT", "30s")[0])["attempt"] == 1
        c.call("ROLLBACK", txid)


def test_several_polls_at_once():
    """On one connection they are made one after the other; other replies need not wait for them."""
    c, rpc = broker.text(), Rpc(broker.port)
    ways = [(*half(c, bodies, "CHECKIN", "1h"), bodies) for bodies in (LARGE, MANY, LARGE, LARGE)]
    parked = [rpc.begin("checks", {"pgroup": pgroup, "wait": "1h"}) for pgroup, _, _ in ways[:2]]
    assert rpc.call("ping") == "PONG"
    for _, txid, _ in ways:
        c.call("TXN", "EXTEND", txid, 0)
    polls = [rpc.begin("checks", {"pgroup": pgroup}) for pgroup, _, _ in ways[2:]]
    send = rpc.begin("send", {"topic": "o", "body": "x"})
    for number, (pgroup, txid, bodies) in zip(parked + polls, ways):
        check(rpc.wait(number)[0], pgroup, txid, bodies)
    assert rpc.wait(send).startswith("o:")
    for _, txid, _ in ways:
        assert pairs(c.call("TXN", "INFO", txid))["checks"] == 1
        c.call("ROLLBACK", txid)


def test_who_goes_amid_several_polls():
    """Some replies are in its output then, and count; who waited for its turn, or for the rest of it, was not asked."""
    c, bodies = broker.text(), [b"x" * 4000000] * 3
    ways = [half(c, bodies, "CHECKIN", "1h") for _ in range(5)]
    rpc = Rpc(broker.port)
    for pgroup, _ in ways:
        rpc.begin("checks", {"pgroup": pgroup, "wait": "1h"})
    assert rpc.call("ping") == "PONG"
    for _, txid in ways:
        c.call("TXN", "EXTEND", txid, 0)
    for _, txid in ways:
        eventually(lambda: pairs(c.call("TXN", "INFO", txid))["checks"] == 1, "it is asked")
    rpc.socket.close()
    for pgroup, txid in ways:
        c.call("TXN", "EXTEND", txid, 0)
        assert json.loads(c.call("CHECKS", pgroup, "WAIT", "30s")[0])["attempt"] <= 2
        c.call("ROLLBACK", txid)


def test_a_member_that_polls():
    """What it polls comes behind what it is pushed, and before the replies to what it has sent later."""
    c, member = broker.text(), broker.text(hello=3)
    pushed, txid = half(c, [b"x" * 4000000] * 6, "CHECKIN", "1h")
    polled, other = half(c, LARGE, "CHECKIN", 0)
    member.call("SUBSCRIBE", "check:" + pushed)
    c.call("TXN", "EXTEND", txid, 0)
    eventually(lambda: pairs(c.call("TXN", "INFO", txid))["checks"] == 1, "it is asked")
    member.send_raw(encode("CHECKS", polled) + encode("SEND", "o", "1") + encode("PING"))
    got = [member.read() for _ in range(4)]
    push = next(one for one in got if isinstance(one, list) and len(one) == 3)
    got.remove(push)
    check_text([push[2]][0:1], pushed, txid, [b"x" * 4000000] * 6)
    check_text(got[0], polled, other, LARGE)
    assert got[1].startswith(b"o:") and got[2] == "PONG"
    member.close()
    for one in txid, other:
        c.call("ROLLBACK", one)


def test_a_member_is_pushed_one_as_it_polls():
    """The push begins when nothing is in flight, so a poll that is must not wait for it."""
    c = broker.text()
    for i in range(20):
        member = broker.text(hello=3)
        pushed, txid = half(c, LARGE, "CHECKIN", "1h")
        polled, other = half(c, LARGE, "CHECKIN", 0)
        member.call("SUBSCRIBE", "check:" + pushed)
        c.send_raw(encode("TXN", "EXTEND", txid, 0))
        member.send_raw(encode("SEND", "o", b"x" * 50000) * (i * 4) + encode("CHECKS", polled) + encode("PING"))
        assert c.read() == "OK"
        got = [member.read() for _ in range(i * 4 + 3)]
        push = next(one for one in got if isinstance(one, list) and len(one) == 3)
        got.remove(push)
        check_text(push[2:], pushed, txid, LARGE)
        check_text(got[-2], polled, other, LARGE)
        assert got[-1] == "PONG"
        member.close()
        for one in txid, other:
            c.call("ROLLBACK", one)


def test_decided_meanwhile():
    """The ROLLBACK may come before the messages are read. Then there is nothing to ask about."""
    c = broker.text()
    for _ in range(10):
        pgroup, txid = half(c, LARGE, "CHECKIN", 0)
        c.send_raw(encode("CHECKS", pgroup) + encode("ROLLBACK", txid) + encode("PING"))
        reply = c.read()
        if reply:
            check_text(reply, pgroup, txid, LARGE)
        assert c.read() == "OK"
        assert c.read() == "PONG"


def test_a_poller_that_does_not_read():
    """It ends before all of the reply is in its output: then it was not asked."""
    c = broker.text()
    pgroup, txid = half(c, [b"x" * 4000000] * 6, "CHECKIN", 0)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", broker.port))
    deaf.sendall(encode("CHECKS", pgroup))
    eventually(lambda: pairs(c.call("TXN", "INFO", txid))["checks"] == 1, "it is asked")
    deaf.recv(1)
    deaf.close()
    eventually(lambda: pairs(c.call("TXN", "INFO", txid))["checks"] == 0, "the ask is taken back")
    assert json.loads(c.call("CHECKS", pgroup, "WAIT", "30s")[0])["attempt"] == 1
    c.call("ROLLBACK", txid)


def main():
    global broker
    with Broker() as broker:
        return run_tests(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(main())
