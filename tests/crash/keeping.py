"""keeping.py: a topic that keeps little, under load: what MAXBYTES and RETENTION have taken is gone for good, what they have
left is whole, contiguous and the newest, and no id is ever used again.

    Keeper     SEND tail, POP tail, ACK; sometimes TOPIC SET with another MAXBYTES, RETENTION, more QUEUES

    kept       id -> body, of every SEND that was answered
    floors     queue -> the oldest offset that an audit has seen
"""
from broker import Message, Refused, encode, eventually, pairs
from load import LEASE, Worker

GROUP = TOPIC = "tail"
QUEUES, QUEUES_MOST = 2, 5
BYTES = (20000, 60000, 200000)


class Kept:
    """What the workers know of the topic. They only add, which Python does atomically."""

    def __init__(self):
        self.kept, self.floors = {}, {}


class Keeper(Worker):
    def __init__(self, name, ledger, random, kept):
        super().__init__(name, ledger, random)
        self.known = kept

    def step(self, client):
        bodies = [self.next_body() for _ in range(self.random.randint(1, 30))]
        client.send_raw(b"".join(encode("SEND", TOPIC, body, "KEY", "k", *self.ttl()) for body in bodies))
        for body in bodies:
            reply = client.read_value()
            if isinstance(reply, Refused):
                self.expect_busy(reply, "SEND")
            elif self.known.kept.setdefault(reply.decode(), body) != body:
                self.ledger.problem(f"{TOPIC}: the id {reply.decode()} was used twice")
        self.take_some(client)
        if self.random.random() < 0.05:
            self.set(client)

    def ttl(self):
        return ("TTL", "1h") if self.random.random() < 0.2 else ()

    def take_some(self, client):
        items = client.call("POP", GROUP, TOPIC, "COUNT", self.random.randint(1, 30), "LEASE", LEASE)
        messages = [Message(item) for item in items]
        for message in messages:
            body = self.known.kept.get(message.id.split("#")[0])
            if body not in (None, message.body):
                self.ledger.problem(f"{TOPIC}: {message} was {body[:40]!r} before")
            with self.ledger.lock:
                if message.id in self.ledger.receipts[GROUP]:
                    self.ledger.problems.append(f"{GROUP}: the receipt {message.id} was handed out twice")
                self.ledger.receipts[GROUP].add(message.id)
        done = [m.id for m in messages if self.random.random() < 0.8]
        if done:
            client.call("ACK", GROUP, *done)

    def set(self, client):
        most = self.random.choice(BYTES)
        client.call("TOPIC", "SET", TOPIC, "MAXBYTES", most, "RETENTION", self.random.choice(("0", "2s", "1h")),
                    *(("QUEUES", QUEUES_MOST) if self.random.random() < 0.1 else ()))


def prepare(client):
    client.call("TOPIC", "CREATE", TOPIC, "QUEUES", QUEUES, "MAXBYTES", BYTES[0])
    client.call("GROUP", "CREATE", GROUP, TOPIC, "ATTEMPTS", 10000)


def about(client):
    info = pairs(client.call("TOPIC", "INFO", TOPIC))
    return info, {q["queue"]: q for q in map(pairs, info["queue"])}


def keeps_little(client):
    """The topic is within its bound: what the crash has left to do is done."""
    info, _ = about(client)
    return info["bytes"] <= 2 * info["maxbytes"] or info["messages"] <= 1


def check(client, ledger, known):
    """Checks after a restart, while nobody sends."""
    eventually(lambda: keeps_little(client), f"{TOPIC} keeps at most twice its MAXBYTES")
    info, queues = about(client)
    for number, queue in queues.items():
        if queue["first"] < known.floors.get(number, 0):
            ledger.problem(f"{TOPIC}:{number}: the oldest message was {known.floors[number]}, now it is {queue['first']}")
        known.floors[number] = queue["first"]
        check_queue(client, ledger, known, number, queue["first"], queue["next"])
    if known.kept and not info["messages"] and not info["retention"]:
        ledger.problem(f"{TOPIC}: the newest message is gone")
    for name in known.kept:
        _, number, offset = name.split(":")
        if int(offset) >= queues[int(number)]["next"]:
            ledger.problem(f"{TOPIC}: {name} was acknowledged, and the queue ends before it")


def check_queue(client, ledger, known, number, first, after):
    """All of first .. after-1 are there, with the bodies that were sent; before them nothing is. The broker may go on
    deleting meanwhile."""
    at, expected = 0, first
    while True:
        messages = [Message(m) for m in client.call("READ", TOPIC, number, at, "COUNT", 1000)]
        for message in messages:
            cut = message.offset > expected and message.offset <= about(client)[1][number]["first"]
            if message.offset != expected and not cut:
                ledger.problem(f"{TOPIC}:{number}: {expected} is missing, {message.id} follows")
            body = known.kept.get(f"{TOPIC}:{number}:{message.offset}", message.body)
            if body != message.body:
                ledger.problem(f"{message}: {body[:40]!r} was sent")
            expected = at = message.offset + 1
        if not messages:
            break
    if expected != after and about(client)[1][number]["first"] < after:
        ledger.problem(f"{TOPIC}:{number}: it ends at {expected}, and TOPIC INFO says {after}")
    if first and client.call("GET", f"{TOPIC}:{number}:{first - 1}") is not None:
        ledger.problem(f"{TOPIC}:{number}: {first - 1} is still there")


def drain(client, keeper):
    """The group finishes what is left, however much has gone from before it."""
    def nothing_is_left():
        for item in client.call("POP", GROUP, TOPIC, "COUNT", 1000):
            client.call("ACK", GROUP, Message(item).id)
        return not any(pairs(line)["lag"] for line in client.call("LAG", GROUP))

    eventually(nothing_is_left, f"{GROUP} has no messages left")
    if client.call("POP", GROUP, TOPIC):
        keeper.ledger.problem(f"{GROUP}: LAG is 0, and there is a message")
