"""damage_promises.py: fills a broker with everything that it can promise, and keeps what it promised.

The broker is stopped between its lives, so that what it has is in several tables and blob files; what it was sent in
its last life is in the log only. At the end come some messages to the topic `end`, which may be lost: behind the last
ones nothing says that they were synced.
"""
from broker import Message, pairs

TOPICS = {"plain": (2, None), "lz4": (1, "lz4"), "zstd": (1, "zstd")}  # name -> queues, COMPRESS
GROUPED = "plain"  # the topic with consumer groups
LAST_SENDS = 8


class Promises:
    def __init__(self):
        self.sent = {}        # id -> body
        self.dedup = {}       # DEDUP id -> id; in topic plain
        self.keys = {}        # KEY -> ids
        self.committed = {}   # txid -> ids
        self.rolledback = set()
        self.pending = {}     # txid -> body
        self.hidden = set()   # bodies that nobody may see
        self.delayed = {}     # token -> body
        self.acked = set()    # ids that group `g` acknowledged
        self.leased = {}      # receipt -> body, of group `g`


def pipeline(client, requests):
    for words in requests:
        client.send(*words)
    return [client.read() for _ in requests]


class Filler:
    """One life of the load; number makes its bodies differ from those of other lives."""

    def __init__(self, client, promises, number, size):
        self.client, self.promises, self.number, self.size = client, promises, number, size

    def body(self, what, n):
        return b"%s %d.%d " % (what.encode(), self.number, n) + b"x" * (n * 97 % 1500)

    def fill(self):
        self.send()
        self.batch()
        self.dedup()
        self.keyed()
        self.transactions()
        self.delay()
        self.consume()

    def send(self):
        for topic in TOPICS:
            bodies = [self.body(topic, n) for n in range(self.size)]
            ids = pipeline(self.client, [("SEND", topic, b) for b in bodies])
            self.promises.sent.update((i.decode(), b) for i, b in zip(ids, bodies))

    def batch(self):
        for topic in TOPICS:
            bodies = [self.body("batch " + topic, n) for n in range(20)]
            ids = self.client.call("MSEND", topic, *bodies)
            self.promises.sent.update((i.decode(), b) for i, b in zip(ids, bodies))

    def dedup(self):
        for n in range(self.size // 4):
            name, body = f"d{self.number}.{n}", self.body("dedup", n)
            message = self.client.call("SEND", "plain", body, "DEDUP", name).decode()
            self.promises.dedup[name] = message
            self.promises.sent[message] = body

    def keyed(self):
        for n in range(10):
            key, body = f"k{n % 3}", self.body("key", n)
            message = self.client.call("SEND", "lz4", body, "KEY", key).decode()
            self.promises.sent[message] = body
            self.promises.keys.setdefault(key, set()).add(message)

    def transactions(self):
        for n in range(self.size // 4):
            body = self.body("half", n)
            txid = self.client.call("HALF", "shop", "plain", body).decode()
            if n % 3 == 0:
                ids = [i.decode() for i in self.client.call("COMMIT", txid)]
                self.promises.committed[txid] = ids
                self.promises.sent[ids[0]] = body
                continue
            self.promises.hidden.add(body)
            if n % 3 == 1:
                self.client.call("ROLLBACK", txid)
                self.promises.rolledback.add(txid)
            else:
                self.promises.pending[txid] = body

    def delay(self):
        for n in range(10):
            body = self.body("later", n)
            token = self.client.call("SEND", "plain", body, "DELAY", "2h").decode()
            self.promises.delayed[token] = body
            self.promises.hidden.add(body)

    def consume(self):
        messages = [Message(m) for m in self.client.call("POP", "g", GROUPED, "COUNT", 20, "LEASE", "1h")]
        for message in messages[:10]:
            assert self.client.call("ACK", "g", message.id) == 1
            self.promises.acked.add(message.id.split("#")[0])
        self.promises.leased.update((m.id, m.body) for m in messages[10:])


def prepare(broker, size, lives):
    """Returns what the broker promised in so many lives. It is killed at the end."""
    promises = Promises()
    for number in range(lives):
        client = broker.text()
        if number == 0:
            for topic, (queues, compress) in TOPICS.items():
                client.call("TOPIC", "CREATE", topic, "QUEUES", queues,
                            *(("COMPRESS", compress) if compress else ()))
            client.call("GROUP", "CREATE", "g", GROUPED, "LEASE", "1h")
            client.call("GROUP", "CREATE", "late", GROUPED)
        Filler(client, promises, number, size).fill()
        if number + 1 < lives:
            client.close()
            assert broker.stop() == 0
            broker.start()
            continue
        for _ in range(LAST_SENDS):
            client.call("SEND", "end", b"x" * 4096)
        client.close()
    broker.kill()
    return promises


def state_of(info):
    return pairs(info)["state"].decode()
