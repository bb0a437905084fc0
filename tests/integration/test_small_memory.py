#!/usr/bin/python3
"""test_small_memory.py: with a small budget, a POP or a stream is granted more than its reply has room for. The rest is
requeued at once, and no attempt is used."""
import sys
import os

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Message, Refused, eventually, run_tests  # noqa: E402 (the path comes first)
from rpc import Rpc  # noqa: E402

N = 300
FLAGS = ("--memory", "32MB", "--fsync", "never")


def fill(client):
    for _ in range(N):
        client.call("SEND", "t", b"x" * 30000)


def pop(client, count=1000):
    return [Message(reply) for reply in client.call("POP", "g", "t", "COUNT", count)]


def refusal(client, *words):
    try:
        return f"answered {client.call(*words)}"
    except Refused as error:
        return str(error)


def test_what_a_pop_has_no_room_for():
    with Broker(*FLAGS) as broker:
        client, other = broker.text(), broker.text()
        fill(client)
        mine = pop(client)
        assert 0 < sum(len(m.body) for m in mine) < 2 << 20, "a reply has a thirty-second of the budget"
        theirs = []
        while len(mine) + len(theirs) < N:
            theirs += eventually(lambda: pop(other), "what was left is ready at once")
        assert len({m.id for m in mine + theirs}) == N
        assert {m.attributes["attempt"] for m in mine + theirs} == {1}, "no attempt was used"
        assert pop(other) == []


def test_what_a_stream_has_no_room_for():
    with Broker(*FLAGS) as broker:
        client, stream = broker.text(), Rpc(broker.port)
        fill(client)
        stream.call("stream_group", group="g", topic=["t"], credit=N)
        theirs = eventually(lambda: pop(client), "what the stream has no room for is ready")
        assert {m.attributes["attempt"] for m in theirs} == {1}, "no attempt was used"
        stream.socket.close()


def test_how_large_a_transaction_may_be():
    """A COMMIT has it in memory as a whole: it may have a third of the budget. One message of any size is allowed."""
    with Broker(*FLAGS, "--max_message_bytes", "16MiB") as broker:
        client, mib = broker.text(), 1 << 20
        alone = client.call("HALF", "pg", "t", b"x" * 16 * mib)
        assert refusal(client, "HALF", "pg", "t", b"x" * mib, "TXN", alone).startswith("TOOBIG transaction")
        client.call("CONFIG", "SET", "max_message_bytes", "4MiB")
        txid = client.call("HALF", "pg", "t", b"x" * 4 * mib)
        client.call("HALF", "pg", "t", b"x" * 4 * mib, "TXN", txid)
        assert refusal(client, "HALF", "pg", "t", b"x" * 4 * mib, "TXN", txid).endswith("at most 10666666 bytes")
        assert len(client.call("COMMIT", txid)) == 2 and len(client.call("COMMIT", alone)) == 1


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
