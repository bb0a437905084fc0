"""delays.py: delayed messages under load: each one that was promised is either still delayed or in its topic, once and never early.

    Later    SEND later DELAY | HALF later DELAY ... COMMIT or ROLLBACK

The broker runs on this machine, so its clock is the same one.
"""
import time

from broker import Message, Refused, encode, eventually
from ledger import DONE, REFUSED, Sent
from load import Large

TOPIC, PGROUP = "later", "later"
A_ROUND = 200  # messages at most, so that one DELAYED LIST has all of them, ...
COUNT = 1000
CUT_BYTES = 1 << 20  # ... unless they are large


class Delays:
    """What was promised, and what was found."""

    def __init__(self):
        self.sent = {}     # body -> Sent, with due_ms: not before then
        self.batches = []  # lists of Sent: all or none
        self.next, self.store = 0, {}  # where to read on; body -> id


class Later(Large):
    def __init__(self, name, ledger, random, delays):
        super().__init__(name, ledger, random)
        self.delays = delays

    def begin(self, port):
        self.left = A_ROUND
        super().begin(port)

    def step(self, client):
        if self.left <= 0:
            client.call("PING")
            time.sleep(0.01)  # not to keep the broker busy with nothing
            return
        delay = self.random.choice((1, 20, 300, 3000))
        if self.random.random() < 0.4:
            self.send(client, delay)
        else:
            self.decide(client, delay)

    def expect(self, bodies, delay):
        batch = [Sent(TOPIC, body) for body in bodies]
        for record in batch:
            record.due_ms = int(time.time() * 1000) + delay
            self.delays.sent[record.body] = record
        self.left -= len(batch)
        return batch

    def send(self, client, delay):
        for record in self.expect([self.next_body() for _ in range(self.random.randint(1, 10))], delay):
            client.send("SEND", TOPIC, record.body, "DELAY", delay)
            self.take(client.read_value(), [record])

    def next_bodies(self):
        bodies = [self.next_body() for _ in range(self.random.randint(1, 5))]
        if self.random.random() < 0.2:
            self.number += 1
            bodies.append(f"{self.name}-{self.number}-{self.random.randbytes(40000).hex()}".encode())
        return bodies + self.next_large_bodies()

    def decide(self, client, delay):
        """COMMIT in an EXEC sees HALFs that are not written yet."""
        first = client.call_value("HALF", PGROUP, TOPIC, "", "DELAY", delay)
        if isinstance(first, Refused):
            self.expect_busy(first, "HALF")
            return
        self.ledger.new_txid(int(first))
        decision = self.random.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))
        batch = self.expect(self.next_bodies(), delay)
        words = [("HALF", PGROUP, TOPIC, record.body, "TXN", first, "DELAY", delay) for record in batch]
        if decision == "ROLLBACK":
            for record in batch:
                record.state = REFUSED
        together = self.random.random() < 0.5
        if together:
            self.delays.batches.append(batch)
            client.send_raw(encode("MULTI") + b"".join(encode(*w) for w in words) + encode(decision, first) + encode("EXEC"))
            for _ in range(len(words) + 2):
                client.read()
            replies = client.read_value()
        else:
            client.send_raw(b"".join(encode(*w) for w in words) + encode(decision, first))
            replies = [client.read_value() for _ in range(len(words) + 1)]
        refused = replies if isinstance(replies, Refused) else next((r for r in replies if isinstance(r, Refused)), None)
        if decision == "ROLLBACK":
            batch = []
        elif not refused and not together:
            self.delays.batches.append(batch)
        self.take(refused or replies[-1], batch)

    def take(self, reply, batch):
        """If a HALF was refused, the COMMIT has brought the others only."""
        if isinstance(reply, Refused):
            self.expect_busy(reply, "a delayed message")
            return
        for record in batch:
            record.state = DONE


def prepare(client):
    client.call("TOPIC", "CREATE", TOPIC, "QUEUES", 1)


def check(client, ledger, delays):
    """Looks first at what is delayed: that can go to the topic meanwhile, and never back. A list that is cut off says nothing of
    what is not in it; what is lost then is seen in another round, or by drain."""
    delayed = {item[1] for item in client.call("DELAYED", "LIST", TOPIC, "COUNT", COUNT)}
    read_new(client, ledger, delays)
    compare(ledger, delays, delayed | delays.store.keys(), sum(map(len, delayed)) >= CUT_BYTES)


def compare(ledger, delays, there, is_cut):
    for body, record in delays.sent.items():
        if record.state == DONE and body not in there and not is_cut:
            ledger.problem(f"a delayed message is lost: {body[:40]!r}")
        if record.state == REFUSED and body in there:
            ledger.problem(f"a delayed message that was rolled back is there: {body[:40]!r}")
    for batch in delays.batches:
        n = sum(record.body in there for record in batch)
        if n not in (0, len(batch)) and not is_cut:
            ledger.problem(f"{n} of {len(batch)} delayed messages of a transaction are there, {batch[0].body[:40]!r}...")


def read_new(client, ledger, delays):
    while True:
        messages = [Message(m) for m in client.call("READ", TOPIC, 0, delays.next, "COUNT", COUNT)]
        for message in messages:
            if message.offset != delays.next:
                ledger.problem(f"{TOPIC}: offset {delays.next} is missing, {message.id} follows")
            delays.next = message.offset + 1
            if message.body and message.body in delays.store:
                ledger.problem(f"delayed, and stored twice: {delays.store[message.body]} and {message}")
            delays.store[message.body] = message.id
            early = delays.sent[message.body].due_ms - int(message.attributes["stored"]) if message.body else 0
            if early > 0:
                ledger.problem(f"{message.id} came {early} ms early")
        if not messages:
            return


def drain(client, ledger, delays):
    eventually(lambda: not client.call("DELAYED", "LIST", TOPIC), "no message is delayed any more")
    read_new(client, ledger, delays)
    compare(ledger, delays, delays.store.keys(), is_cut=False)
