#!/usr/bin/python3
"""test_retention.py: tests RETENTION, MAXBYTES and TOPIC SET with a whole broker: what goes goes in time, disk space comes
back, and clients go on while a topic gets more queues."""
import os
import sys
import threading

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Message, eventually, pairs, run_tests  # noqa: E402 (the path comes first)
from rpc import Rpc  # noqa: E402

BODY = "x" * 1000


def info(c, topic="t"):
    return pairs(c.call("TOPIC", "INFO", topic))


def store_bytes(broker):
    total = 0
    for at, _, names in os.walk(broker.data):
        for name in names:
            if name.endswith((".sst", ".blob")):
                try:
                    total += os.stat(os.path.join(at, name)).st_size
                except FileNotFoundError:
                    pass
    return total


def test_what_is_too_old_goes():
    with Broker() as broker:
        c = broker.text()
        c.call("TOPIC", "CREATE", "t", "QUEUES", "1", "RETENTION", "1s")
        c.call("GROUP", "CREATE", "g", "t")
        c.call("SEND", "t", "one")
        receipt = Message(c.call("POP", "h", "t")[0]).id
        eventually(lambda: info(c)["messages"] == 0, "the message is gone")
        assert c.call("READ", "t", "0", "0") == [] and c.call("GET", "t:0:0") is None
        assert c.call("ACK", "h", receipt) == 0
        assert all(pairs(line)["lag"] == 0 for line in c.call("LAG"))
        broker.kill()
        broker.start()
        c = broker.text()
        assert c.call("SEND", "t", "two") == b"t:0:1"
        assert Message(c.call("POP", "g", "t")[0]).body == b"two"
        assert b"\nmessages_removed:" in c.call("INFO")


def test_disk_space_comes_back():
    """A hundred times MAXBYTES goes through the topic."""
    with Broker("--memory", "16MiB") as broker:
        c = broker.text()
        c.call("TOPIC", "CREATE", "t", "MAXBYTES", "1000000")
        for i in range(100):
            c.call("MSEND", "t", *([BODY] * 1000))
            assert info(c)["bytes"] < 10_000_000
        eventually(lambda: info(c)["bytes"] <= 2_000_000, "MAXBYTES is kept")
        eventually(lambda: store_bytes(broker) < 60_000_000, "disk space comes back")
        assert info(c)["bytes"] >= 900_000


class Clients:
    """A sender, a subscriber, and a consumer, until `over`."""

    def __init__(self, broker):
        self.over, self.sent, self.popped, self.heard, self.failures = threading.Event(), [], [], [], []
        self.total, self.broker = None, broker  # total: how many messages there are, once that is known
        self.ear = broker.text()
        self.ear.send("SUBSCRIBE", "topic:t")
        self.ear.read_value()
        self.threads = [threading.Thread(target=self.guard, args=(f, broker)) for f in (self.send, self.pop, self.listen)]
        for thread in self.threads:
            thread.start()

    def guard(self, work, broker):
        try:
            work(broker)
        except Exception as error:  # any is a failure of the test
            self.failures.append(f"{work.__name__}: {type(error).__name__}: {error}")

    def send(self, broker):
        c = broker.text()
        while not self.over.is_set():
            self.sent.append(c.call("SEND", "t", str(len(self.sent))).decode())

    def pop(self, broker):
        c = broker.text()
        while self.total is None or len(self.popped) < self.total:
            for item in c.call("POP", "g", "t", "COUNT", "100", "WAIT", "100ms"):
                message = Message(item)
                c.call("ACK", "g", message.id)
                self.popped.append(message.body)

    def listen(self, broker):
        while self.total is None or len(self.heard) < self.total:
            self.heard.append(self.ear.read_value()[2])

    def end(self):
        self.over.set()
        self.threads[0].join(60)
        self.total = len(self.sent) + 1  # with one more, for which a subscriber that has heard all others waits
        self.sent.append(self.broker.text().call("SEND", "t", str(len(self.sent))).decode())
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), (len(self.sent), len(self.popped), len(self.heard), self.failures)
        assert not self.failures, self.failures


def test_queues_grow_under_load():
    with Broker("--io_threads", "2") as broker:
        c = broker.text()
        c.call("TOPIC", "CREATE", "t", "QUEUES", "2")
        c.call("GROUP", "CREATE", "g", "t")
        clients = Clients(broker)
        eventually(lambda: len(clients.popped) > 50, "messages flow")
        for queues in (3, 16, 64):
            assert c.call("TOPIC", "SET", "t", "QUEUES", queues) == "OK"
            n = len(clients.popped)
            eventually(lambda: len(clients.popped) > n + 2 * queues, f"messages flow through {queues} queues", 60)
        clients.end()
        numbers = [str(i).encode() for i in range(len(clients.sent))]
        assert sorted(clients.popped, key=int) == numbers  # none is lost, and none came twice
        assert sorted(clients.heard, key=int) == numbers  # nor for a subscriber
        assert {i.split(":")[1] for i in clients.sent} == {str(q) for q in range(64)}
        assert info(c)["order_queues"] == 2


def test_streams_go_on():
    with Broker() as broker:
        c, s = broker.text(), Rpc(broker.port)
        c.call("TOPIC", "CREATE", "t", "QUEUES", "1")
        stream = s.call("stream_group", group="g", topic=["t"], credit=1000)
        c.call("SEND", "t", "a")
        c.call("TOPIC", "SET", "t", "QUEUES", "3")
        for body in ("b", "c", "d"):
            c.call("SEND", "t", body)
        got = 0
        while got < 4:
            while not s.notes:
                s.receive()
            method, params = s.notes.pop(0)
            assert (method, params[0]["stream"]) == ("records", stream), (method, params)
            got += 1
        assert {pairs(q)["messages"] for q in info(c)["queue"]} <= {1, 2}


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
