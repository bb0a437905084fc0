#!/usr/bin/python3
"""test_long_reply.py: lists over so many rows that they are made in steps and sent in pieces: they are whole and in
order in both dialects, commands behind them wait for their turn, and clients that do not read them do no harm."""
import os
import resource
import socket
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, encode, eventually, run_tests  # noqa: E402 (the path comes first)
from rpc import Rpc  # noqa: E402

N = 9000  # several steps; about a megabyte
NAMES = sorted(f"{'t' * 100}{i:05}" for i in range(N))


def filled():
    broker = Broker("--fsync", "never", "--memory", "32MB")
    client = broker.text()
    for first in range(0, N, 500):
        client.send_raw(b"".join(encode("TOPIC", "CREATE", name, "QUEUES", 1) for name in NAMES[first:first + 500]))
        for _ in range(500):
            client.read()
    client.close()
    return broker


def test_long_replies():
    with filled() as broker:
        check_text(broker)
        check_rpc(broker)
        check_others_are_served(broker)


def check_text(broker):
    client = broker.text()
    client.send_raw(encode("PING") + encode("TOPIC", "LIST") + encode("SEND", "s", "x") + encode("TOPIC", "LIST", "s"))
    assert client.read() == "PONG"
    assert [name.decode() for name in client.read()] == NAMES
    assert client.read().startswith(b"s:")
    assert client.read() == [b"s"]
    client.call("TOPIC", "DELETE", "s")
    client.close()


def check_rpc(broker):
    client = Rpc(broker.port)
    assert client.call("topic_list") == NAMES
    wait = client.begin("pop", {"group": "g", "topic": [NAMES[0]], "wait": "30s"})
    first, second = client.begin("topic_list", {}), client.begin("ping", {})
    assert client.wait(second) == "PONG"
    assert client.wait(first) == NAMES, "it is gathered, because the reply to the POP may come at any time"
    broker.text().call("SEND", NAMES[0], "x")
    assert len(client.wait(wait)) == 1
    client.socket.close()


def check_others_are_served(broker):
    """More clients than may have a reply made at a time do not read theirs."""
    deaf = [broker.text() for _ in range(40)]
    for client in deaf:
        client.send_raw(encode("TOPIC", "LIST") * 20)
    client = broker.text()
    assert [name.decode() for name in client.call("TOPIC", "LIST")] == NAMES
    for other in deaf:
        other.close()
    eventually(lambda: b"\n" not in client.call("CLIENT", "LIST").strip(), "closed clients are forgotten")


def test_limited_lists():
    """FIND and the lists with a COUNT, which are gathered first."""
    n = 3000
    with Broker("--fsync", "never") as broker:
        client = broker.text()
        for first in range(0, n, 500):
            some = range(first, first + 500)
            client.send_raw(b"".join(encode("SEND", "t", f"body {i} {'x' * 100}", "KEY", "k", "QUEUE", i % 2) +
                                     encode("SEND", "late", f"late {i}", "DELAY", "1h") +
                                     encode("HALF", f"p{i:05}", "t", "half") for i in some))
            for _ in some:
                client.read(), client.read(), client.read()
        rpc = Rpc(broker.port)
        client.send_raw(encode("PING") + encode("FIND", "t", "KEY", "k", "COUNT", 10000) + encode("SEND", "s", "x"))
        assert client.read() == "PONG"
        found = client.read()
        assert client.read().startswith(b"s:")
        assert sorted(m[1].split()[1] for m in found) == sorted(b"%d" % i for i in range(n))
        assert [m["body"] for m in rpc.call("find", topic="t", key="k", count=10000)] == [m[1] for m in found]
        assert len(client.call("FIND", "t", "KEY", "k")) == 100
        assert len(client.call("DELAYED", "LIST", "late", "COUNT", 10000)) == n
        assert len(rpc.call("delayed_list", topic="late", count=10000)) == n
        cursor, listed = client.call("TXN", "LIST", "COUNT", 10000)
        assert cursor == b"0" and len(listed) == n
        assert len(rpc.call("txn_list", count=10000)[1]) == n
        eventually(lambda: client.call("PGROUP", "LIST") == [b"p%05d" % i for i in range(n)], "all groups are listed")
        wait = rpc.begin("pop", {"group": "g", "topic": ["late"], "wait": "30s"})
        first, second = rpc.begin("find", {"topic": "t", "key": "k", "count": 10000}), rpc.begin("ping", {})
        assert rpc.wait(second) == "PONG"
        assert len(rpc.wait(first)) == n, "it is gathered, because the reply to the POP may come at any time"
        client.call("SEND", "late", "x")
        assert len(rpc.wait(wait)) == 1


def test_client_list():
    n = 1200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * n)), hard))
    with Broker() as broker:
        others = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(n)]
        client, rpc = broker.text(), Rpc(broker.port)
        eventually(lambda: client.call("CLIENT", "LIST").count(b"\n") == n + 2, "all are listed")
        client.send_raw(encode("PING") + encode("CLIENT", "LIST") + encode("SEND", "s", "x"))
        assert client.read() == "PONG"
        ids = [line.split()[0] for line in client.read().splitlines()]
        assert len(set(ids)) == len(ids) == n + 2
        assert client.read().startswith(b"s:")
        assert rpc.call("client", arg=["LIST"]).count("\n") == n + 2
        deaf = [broker.text() for _ in range(20)]
        for other in deaf:
            other.send_raw(encode("CLIENT", "LIST") * 5)
        for other in deaf + others:
            other.close()
        eventually(lambda: client.call("CLIENT", "LIST").count(b"\n") == 2, "closed clients are forgotten")


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
