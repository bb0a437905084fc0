"""load.py: workers that put the broker under load and keep the ledger.

    Sender    SEND flow ORDER key        pipelined; numbers ascend in each key
    Batcher   MSEND batch                several at once
    Packer    PRODUCE batch              several at once, as a record
    Together  MULTI, SEND and MSEND to two topics, POP work, EXEC
    Shop      HALF ta, tb ... COMMIT | ROLLBACK | nothing; also decides transactions of earlier rounds
    Popper    POP work (all topics), ACK most of them
    Pipe      POP pipe flow, HALF out, COMMIT ... ACK    (exactly one output for each input)
    Turner    POP turn flow, ACK most of them; turn is ORDERED   (one message a key, in order)
    Holder    POP hold flow with a lease that outlasts the crash

Each worker runs in a thread with a connection of its own, until the connection is lost.
"""
import threading

from broker import Message, Refused, Text, encode
from ledger import DONE, MAYBE, REFUSED, Ledger, Sent, Txn, plain
from records import batch

QUEUES = {"flow": 3, "batch": 4, "ta": 2, "tb": 1, "out": 2, "bin": 2}
COMPRESS = {"batch": "zstd", "ta": "lz4"}
WORK_TOPICS = ("flow", "batch", "ta", "tb")
GROUPS = {"work": WORK_TOPICS, "pipe": ("flow",), "hold": ("flow",), "bin": ("bin",), "turn": ("flow",)}
OPTIONS = {"turn": ("ORDERED",)}
LEASE = "2s"


def prepare(client):
    """Creates the topics and groups, once, on an empty broker."""
    for topic, queues in QUEUES.items():
        client.call("TOPIC", "CREATE", topic, "QUEUES", queues, "COMPRESS", COMPRESS.get(topic, "none"))
    for group, topics in GROUPS.items():
        for topic in topics:
            client.call("GROUP", "CREATE", group, topic, "ATTEMPTS", 10000, *OPTIONS.get(group, ()))


class Worker:
    """The state of one worker over all rounds; in each round it gets a thread and a connection."""

    may_refuse = ("BUSY",)  # the only errors that a worker may get
    patience = 60  # seconds, until it has seen that the broker has gone

    def __init__(self, name, ledger: Ledger, random):
        self.name, self.ledger, self.random = name, ledger, random
        self.number = 0

    def begin(self, port):
        self.thread = threading.Thread(target=self.run, args=(port,), name=self.name, daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join(self.patience)
        if self.thread.is_alive():
            self.ledger.problem(f"{self.name}: its connection did not end with the broker")

    def run(self, port):
        try:
            self.work(port)
        except (EOFError, OSError):
            pass  # this is the crash
        except Exception as error:  # any other exception is a problem
            self.ledger.problem(f"{self.name}: {type(error).__name__}: {error}")

    def work(self, port):
        """Works until its connection is lost."""
        client = Text(port)
        while True:
            self.step(client)

    def step(self, client):
        raise NotImplementedError

    def next_body(self):
        self.number += 1
        size = self.random.choice((0, 20, 90, 300, 300, 5000))
        return f"{self.name}-{self.number}-{'.' * self.random.randint(0, size)}".encode()

    def expect_busy(self, error, what):
        if error.code not in self.may_refuse:
            self.ledger.problem(f"{self.name}: {what} was refused: {error.text}")


class Sender(Worker):
    def step(self, client):
        asked, data = [], []
        for _ in range(self.random.randint(1, 32)):
            body = self.next_body()
            key = f"{self.name}.{self.number % 12}"
            record = Sent("flow", body, key, self.number)
            self.ledger.sent[body] = record
            asked.append(record)
            data.append(encode("SEND", "flow", body, "ORDER", key, "KEY", self.number))
        client.send_raw(b"".join(data))
        for record in asked:
            reply = client.read_value()
            if isinstance(reply, Refused):
                record.state = REFUSED
                self.expect_busy(reply, "SEND")
            else:
                record.answered(reply)


class Large(Worker):
    """Once in every other life it has some megabytes."""
    has_room = False  # with little memory others get BUSY meanwhile

    def begin(self, port):
        self.large = self.has_room and self.random.random() < 0.5
        super().begin(port)

    def next_large_bodies(self):
        """Mostly none."""
        bodies = []
        if self.large and self.random.random() < 0.1:
            self.large = False
            for _ in range(7):
                self.number += 1
                bodies.append(f"{self.name}-{self.number}-{self.random.randbytes(500000).hex()}".encode())
        return bodies


class Batcher(Large):
    def next_bodies(self):
        """The log gets large ones in parts."""
        bodies = [self.next_body() for _ in range(self.random.randint(1, 40))]
        bodies[len(bodies) // 2:0] = self.next_large_bodies()
        return bodies

    def step(self, client):
        batch = [Sent("batch", body) for body in self.next_bodies()]
        for record in batch:
            self.ledger.sent[record.body] = record
        self.ledger.batches.append(batch)
        client.send("MSEND", "batch", *[record.body for record in batch])
        reply = client.read_value()
        if isinstance(reply, Refused):
            for record in batch:
                record.state = REFUSED
            self.expect_busy(reply, "MSEND")
            return
        for record, message_id in zip(batch, reply):
            record.answered(message_id)
        if len(reply) != len(batch):
            self.ledger.problem(f"MSEND of {len(batch)} bodies answered {len(reply)} ids")


class Packer(Batcher):
    def step(self, client):
        packed = [Sent("batch", self.next_body()) for _ in range(self.random.randint(1, 200))]
        for record in packed:
            self.ledger.sent[record.body] = record
        self.ledger.batches.append(packed)
        client.send("PRODUCE", "batch", batch([record.body for record in packed]))
        reply = client.read_value()
        if isinstance(reply, Refused):
            for record in packed:
                record.state = REFUSED
            self.expect_busy(reply, "PRODUCE")
            return
        place = dict(zip(reply[::2], reply[1::2]))
        if place[b"count"] != len(packed):
            self.ledger.problem(f"PRODUCE of {len(packed)} messages answered {place!r}")
        for i, record in enumerate(packed):
            record.answered(b"batch:%d:%d" % (place[b"queue"], place[b"offset"] + i))


class Together(Worker):
    """All messages of an EXEC are a batch: there as a whole or not at all, over two topics."""

    def step(self, client):
        words, batches = [], []
        for _ in range(self.random.randint(1, 12)):
            topic = self.random.choice(("batch", "flow"))
            bodies = [Sent(topic, self.next_body()) for _ in range(self.random.choice((1, 1, 3)))]
            batches.append(bodies)
            words.append(["MSEND" if len(bodies) > 1 else "SEND", topic, *[b.body for b in bodies]])
        words.append(["POP", "work", *WORK_TOPICS, "COUNT", self.random.randint(1, 5), "LEASE", LEASE])
        whole = [record for bodies in batches for record in bodies]
        for record in whole:
            self.ledger.sent[record.body] = record
        self.ledger.batches.append(whole)
        client.send_raw(encode("MULTI") + b"".join(encode(*w) for w in words) + encode("EXEC"))
        if client.read() != "OK" or {client.read() for _ in words} != {"QUEUED"}:
            self.ledger.problem("a command was not queued")
        self.take(client.read_value(), whole, batches)

    def take(self, replies, whole, batches):
        if isinstance(replies, Refused):
            for record in whole:
                record.state = REFUSED
            self.expect_busy(replies, "EXEC")
            return
        for reply, bodies in zip(replies, batches):
            ids = reply if isinstance(reply, list) else [reply]
            if isinstance(reply, Refused) or len(ids) != len(bodies):
                self.ledger.problem(f"a command of an EXEC answered {reply!r}")
                continue
            for record, message_id in zip(bodies, ids):
                record.answered(message_id)
        for item in replies[-1]:
            self.ledger.delivered("work", Message(item))


class Shop(Large):
    def __init__(self, *args):
        super().__init__(*args)
        self.open = []  # transactions left undecided, for later

    def step(self, client):
        if self.open and self.random.random() < 0.3:
            self.decide(client, self.open.pop(self.random.randrange(len(self.open))))
            return
        txn = self.first_half(client)
        if not txn:
            return
        bodies = [self.next_body() for _ in range(self.random.randint(0, 4))] + self.next_large_bodies()
        more, data = [(self.random.choice(("ta", "tb")), body) for body in bodies], []
        for topic, body in more:
            txn.messages.append([topic, body, MAYBE])
            data.append(encode("HALF", "shop", topic, body, "TXN", txn.txid))
        together = len(more) > 1 and self.random.random() < 0.5
        if together:
            data = [encode("MULTI"), *data, encode("EXEC")]
        decision = self.random.choice(("COMMIT", "COMMIT", "ROLLBACK", None))
        if decision:
            txn.decision = decision
            data.append(encode(decision, txn.txid))
        else:
            self.open.append(txn)
        client.send_raw(b"".join(data))
        for place, reply in enumerate(self.read_halfs(client, len(more), together), 1):
            self.take_half(txn, place, reply)
        if decision:
            self.take_decision(client, txn)

    def first_half(self, client):
        body, topic = self.next_body(), self.random.choice(("ta", "tb"))
        self.ledger.orphans.add(body)
        client.send("HALF", "shop", topic, body)
        reply = client.read_value()
        if isinstance(reply, Refused):
            self.expect_busy(reply, "HALF")
            return None
        txn = Txn(int(reply), "shop")
        txn.messages.append([topic, body, DONE])
        self.ledger.new_txid(txn.txid)
        self.ledger.txns.append(txn)
        self.ledger.orphans.discard(body)
        return txn

    def read_halfs(self, client, n, together):
        if not together:
            return (client.read_value() for _ in range(n))
        if client.read() != "OK" or {client.read() for _ in range(n)} != {"QUEUED"}:
            self.ledger.problem("a HALF was not queued")
        reply = client.read_value()
        return [reply] * n if isinstance(reply, Refused) else reply

    def take_half(self, txn, place, reply):
        if isinstance(reply, Refused):
            txn.messages[place][2] = REFUSED
            self.expect_busy(reply, "HALF ... TXN")
        elif int(reply) != txn.txid:
            self.ledger.problem(f"HALF ... TXN {txn.txid} answered {reply!r}")
        else:
            txn.messages[place][2] = DONE

    def decide(self, client, txn):
        txn.decision = self.random.choice(("COMMIT", "ROLLBACK"))
        client.send(txn.decision, txn.txid)
        self.take_decision(client, txn)

    def take_decision(self, client, txn):
        reply = client.read_value()
        if isinstance(reply, Refused):
            self.expect_busy(reply, txn.decision)
            txn.decision = None
            self.open.append(txn)
            return
        txn.state = DONE
        if txn.decision == "COMMIT":
            txn.ids = [i.decode() for i in reply]

    def take_back(self, txn):
        """The audit has found that this transaction is still pending."""
        txn.decision = None
        self.open.append(txn)


class Popper(Worker):
    group, topics = "work", WORK_TOPICS
    most = 60
    share = 0.9  # that is acknowledged

    def step(self, client):
        count = self.random.randint(1, self.most)
        reply = client.call("POP", self.group, *self.topics, "COUNT", count,
                            "LEASE", LEASE, "WAIT", "100ms")
        receipts = []
        for item in reply:
            message = Message(item)
            self.ledger.delivered(self.group, message)
            self.got(message)
            receipts.append(message.id)
        self.acknowledge(client, [r for r in receipts if self.random.random() < self.share])
        return len(receipts)

    def got(self, message):
        """For groups that want more of their messages than any."""

    def acknowledge(self, client, receipts):
        """Acknowledges each receipt by a command of its own, in a pipeline, to know which ones succeeded."""
        acked = self.ledger.acked[self.group]
        for receipt in receipts:
            acked.setdefault(plain(receipt), MAYBE)
        client.send_raw(b"".join(encode("ACK", self.group, r) for r in receipts))
        for receipt in receipts:
            if client.read() == 1:
                acked[plain(receipt)] = DONE
            elif acked.get(plain(receipt)) == MAYBE:
                del acked[plain(receipt)]  # its lease had expired, so it will be redelivered


class Turner(Popper):
    """Two of them share the keys. It gets a message a key at a time, so one that is to get many goes on while it gets any."""
    group, topics = "turn", ("flow",)
    again = 1

    def step(self, client):
        for _ in range(self.again):
            if not super().step(client):
                break

    def got(self, message):
        self.ledger.took_turn(message)

    def acknowledge(self, client, receipts):
        self.ledger.ended_turns(receipts)
        super().acknowledge(client, receipts)


class Pipe(Worker):
    most = 10

    def step(self, client):
        count = self.random.randint(1, self.most)
        reply = client.call("POP", "pipe", "flow", "COUNT", count,
                            "LEASE", LEASE, "WAIT", "100ms")
        messages = [Message(item) for item in reply]
        for message in messages:
            self.ledger.delivered("pipe", message)
        client.send_raw(b"".join(
            encode("HALF", "pipe", "out", output_of(plain(m.id))) for m in messages))
        txids = [int(client.read()) for m in messages]
        for txid in txids:
            self.ledger.new_txid(txid)
        client.send_raw(b"".join(encode("COMMIT", txid, "ACK", "pipe", m.id)
                                 for txid, m in zip(txids, messages)))
        for message in messages:
            self.take(client, plain(message.id))

    def take(self, client, source):
        reply = client.read_value()
        if not isinstance(reply, Refused):
            self.ledger.acked["pipe"][source] = DONE
            self.ledger.outputs[source] = reply[0].decode()
        elif reply.code != "STALE":
            self.expect_busy(reply, "COMMIT ... ACK")


def output_of(source):
    return f"out:{source}".encode()


class Holder(Worker):
    def step(self, client):
        reply = client.call("POP", "hold", "flow", "COUNT", 5, "LEASE", "1h", "WAIT", "100ms")
        for item in reply:
            message = Message(item)
            self.ledger.delivered("hold", message)
            self.ledger.held.append(message.id)
        threading.Event().wait(0.02)  # a few messages are enough


def make_workers(ledger, random):
    """Makes all workers. Each has a random generator of its own, so that the threads do not disturb each other."""
    kinds = [(Sender, 2), (Batcher, 1), (Packer, 1), (Together, 2), (Shop, 2), (Popper, 2), (Turner, 2), (Pipe, 1), (Holder, 1)]
    workers = []
    for kind, count in kinds:
        for i in range(count):
            own = type(random)(random.random())
            workers.append(kind(f"{kind.__name__.lower()}{i}", ledger, own))
    return workers
