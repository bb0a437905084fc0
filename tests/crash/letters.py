"""letters.py: dead letters under load: every message of the topic `bin` is rejected and redriven some times, and
acknowledged in the end. Bodies are unique, so one that is lost, or there twice, is noticed.

    Undertaker    SEND bin, POP bin, ACK or REJECT, DLQ REDRIVE by COUNT or by ids

    acked    body -> DONE or MAYBE
"""
from broker import Message, Refused, encode, eventually, pairs
from ledger import DONE, MAYBE, REFUSED, Sent
from load import LEASE, Worker

GROUP = TOPIC = "bin"
PAGE = 200


class Undertaker(Worker):
    most = 40

    def step(self, client):
        self.send_some(client)
        self.take_some(client, 0.6)
        if self.random.random() < 0.5:
            self.redrive(client)

    def send_some(self, client):
        asked = [Sent(TOPIC, self.next_body()) for _ in range(self.random.randint(0, 12))]
        for record in asked:
            self.ledger.sent[record.body] = record
        client.send_raw(b"".join(encode("SEND", TOPIC, record.body, "KEY", "k") for record in asked))
        for record in asked:
            reply = client.read_value()
            if isinstance(reply, Refused):
                record.state = REFUSED
                self.expect_busy(reply, "SEND")
            else:
                record.answered(reply)

    def take_some(self, client, rejects):
        """Takes some messages, rejects this part of them, and acknowledges the others. Returns how many they were."""
        acked, letters = self.ledger.letters, []
        for item in client.call("POP", GROUP, TOPIC, "COUNT", self.random.randint(1, self.most), "LEASE", LEASE):
            message = Message(item)
            letters.append(message)
            if acked.get(message.body) == DONE:
                self.ledger.problem(f"{GROUP}: {message.id} was handed out after its acknowledged ACK")
            with self.ledger.lock:
                if message.id in self.ledger.receipts[GROUP]:
                    self.ledger.problems.append(f"{GROUP}: the receipt {message.id} was handed out twice")
                self.ledger.receipts[GROUP].add(message.id)
            origin = message.attributes.get("origin")
            if (origin is not None) != message.topic.startswith("%RETRY%") or origin and not origin.startswith(b"bin:"):
                self.ledger.problem(f"{GROUP}: {message.id} has the origin {origin}")
        chosen = [(m, self.random.random() < rejects) for m in letters]
        for message, dies in chosen:
            if not dies:
                acked.setdefault(message.body, MAYBE)
        client.send_raw(b"".join(encode("REJECT" if dies else "ACK", GROUP, m.id) for m, dies in chosen))
        for message, dies in chosen:
            reply = client.read_value()
            if isinstance(reply, Refused) and reply.code not in ("STALE", *self.may_refuse):
                self.ledger.problem(f"{self.name}: REJECT was refused: {reply.text}")
            if not dies and reply == 1:
                acked[message.body] = DONE
            elif not dies and acked.get(message.body) == MAYBE:
                del acked[message.body]  # its lease had expired
        return len(letters)

    def redrive(self, client):
        words = ["DLQ", "REDRIVE", GROUP]
        if self.random.random() < 0.5:
            cursor = self.random.choice((0, 0, self.random.randint(0, 300)))
            letters = client.call("DLQ", "LIST", GROUP, "COUNT", 30, "CURSOR", cursor)[1]
            words += [m[0] for m in letters if self.random.random() < 0.4] or ["COUNT", 1]
        else:
            words += ["COUNT", self.random.randint(1, 60)]
        client.send(*words)
        reply = client.read_value()
        if isinstance(reply, Refused):
            self.expect_busy(reply, " ".join(str(w) for w in words[:3]))


def check(client, ledger):
    """Checks after a restart that no letter is there twice, or beside an acknowledgement of its message, and that they are
    counted right."""
    cursor, bodies = b"0", []
    while True:
        cursor, letters = client.call("DLQ", "LIST", GROUP, "COUNT", PAGE, "CURSOR", cursor)
        bodies += [Message(m).body for m in letters]
        if cursor == b"0":
            break
    if len(set(bodies)) != len(bodies):
        ledger.problem(f"{GROUP}: {len(bodies) - len(set(bodies))} dead letters are there twice")
    for body in set(bodies):
        if ledger.letters.get(body) == DONE:
            ledger.problem(f"{GROUP}: {body[:40]!r} was acknowledged, and is a dead letter")
    for line in client.call("LAG", GROUP):
        if pairs(line)["dead"] != len(bodies):
            ledger.problem(f"{GROUP}: LAG counts {pairs(line)['dead']} dead letters of {len(bodies)}")


def drain(client, undertaker):
    """Redrives and acknowledges all that is left. Then every message must have been acknowledged."""
    undertaker.most = 1000

    def nothing_is_left():
        while client.call("DLQ", "REDRIVE", GROUP):
            pass
        while undertaker.take_some(client, 0):
            pass
        lines = [pairs(line) for line in client.call("LAG", GROUP)]
        return not any(line["lag"] or line["dead"] for line in lines)

    eventually(nothing_is_left, f"{GROUP} has neither messages nor dead letters left")


def check_all_acknowledged(ledger, store):
    """Called at the end, with what READ has found."""
    for body, message_id in store.items():
        if message_id.startswith(f"{TOPIC}:") and body not in ledger.letters:
            ledger.problem(f"{GROUP}: {message_id} was never handed out to the end")
