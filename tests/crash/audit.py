"""audit.py: reads all messages from the broker after a restart and compares them with the ledger.

    store   body -> id, of all messages that READ returned (each body is unique, so a duplicate is noticed)
    ends    (topic, queue) -> next offset to read (a round reads what is new, the last one reads everything)
"""
from collections import defaultdict
from itertools import islice

from broker import Message, Refused, pairs
from ledger import DONE, MAYBE, REFUSED, plain
from load import QUEUES, WORK_TOPICS, output_of

READ_COUNT = 1000


class Audit:
    def __init__(self, ledger):
        self.ledger = ledger
        self.forget()

    def forget(self):
        """Makes the next read start at offset 0 of every queue, and compare everything again."""
        self.checked_sent = self.checked_batches = self.checked_txns = 0
        self.store = {}
        self.ends = defaultdict(int)
        self.last_number = {}            # ORDER key -> highest number seen
        self.queue_of_key = {}

    def problem(self, text):
        self.ledger.problem(text)

    def read_new(self, client):
        for topic, queues in QUEUES.items():
            for queue in range(queues):
                while self.read_some(client, topic, queue):
                    pass

    def read_some(self, client, topic, queue):
        expected = self.ends[topic, queue]
        messages = [Message(m) for m in client.call("READ", topic, queue, expected,
                                                    "COUNT", READ_COUNT)]
        for message in messages:
            if message.offset != expected:
                self.problem(f"{topic}:{queue}: offset {expected} is missing, {message.id} follows")
            expected = message.offset + 1
            self.take(message)
        self.ends[topic, queue] = expected
        return messages

    def take(self, message):
        if message.body in self.store:
            self.problem(f"stored twice: {self.store[message.body]} and {message}")
        self.store[message.body] = message.id
        record = self.ledger.sent.get(message.body)
        if record and record.absent:
            self.problem(f"appeared only now: {message}")
        if record and record.key:
            self.take_ordered(message, record)
        if message.body in self.ledger.orphans:
            self.problem(f"visible without a COMMIT: {message}")

    def take_ordered(self, message, record):
        queue = self.queue_of_key.setdefault(record.key, message.queue)
        if queue != message.queue:
            self.problem(f"ORDER {record.key}: in queue {queue}, but {message}")
        if record.number <= self.last_number.get(record.key, 0):
            self.problem(f"ORDER {record.key}: {message} comes behind number "
                         f"{self.last_number[record.key]}")
        self.last_number[record.key] = record.number

    def check_sent(self):
        """Checks the messages sent since the last time. One that is missing now must not appear later (take)."""
        for record in islice(self.ledger.sent.values(), self.checked_sent, None):
            found = self.store.get(record.body)
            if record.state == DONE and found != record.id:
                self.problem(f"SEND answered {record.id}, but {found} holds the message")
            if record.state == REFUSED and found:
                self.problem(f"refused, but stored: {found}")
            record.absent = not found
        for batch in islice(self.ledger.batches, self.checked_batches, None):
            there = sum(record.body in self.store for record in batch)
            if there not in (0, len(batch)):
                self.problem(f"MSEND or EXEC in part: {there} of {len(batch)}, {batch[0].body[:40]!r}...")
        self.checked_sent, self.checked_batches = len(self.ledger.sent), len(self.ledger.batches)

    def check_txns(self, client, shops):
        """Checks the present state of each transaction; those that are still pending can be decided
        in the next round."""
        pending = []
        for txn in self.ledger.txns[self.checked_txns:]:
            self.check_txn(client, txn)
        for txn in self.ledger.txns:
            self.check_visible(txn)
            if txn.decision and txn.state == MAYBE:
                pending.append(txn)
        for txn in pending:
            self.settle(client, txn, shops)
        self.checked_txns = len(self.ledger.txns)

    def check_visible(self, txn):
        visible = [body for body in txn.bodies() if body in self.store]
        if visible and txn.decision != "COMMIT":
            self.problem(f"txn {txn.txid}: visible without a COMMIT ({txn.decision}, {txn.state})")
        if txn.decision == "COMMIT" and txn.state == DONE:
            ids = [self.store.get(body) for body in txn.bodies() if body in self.store]
            if ids != txn.ids or not set(txn.certain()) <= set(visible):
                self.problem(f"txn {txn.txid}: COMMIT answered {txn.ids}, visible are {ids}")
        elif visible and (not set(txn.certain()) <= set(visible)
                          or visible != txn.bodies()[:len(visible)]):
            self.problem(f"txn {txn.txid}: visible in part, {len(visible)} of {len(txn.messages)}")

    def check_txn(self, client, txn):
        """A repeated decision must get the same reply, and the opposite one must be refused."""
        if txn.state != DONE:
            return
        same, other = ("COMMIT", "ROLLBACK") if txn.decision == "COMMIT" else ("ROLLBACK", "COMMIT")
        client.send(same, txn.txid)
        client.send(other, txn.txid)
        again, opposite = client.read_value(), client.read_value()
        expected = [i.encode() for i in txn.ids] if txn.ids is not None else "OK"
        if again != expected:
            self.problem(f"txn {txn.txid}: {same} again answered {again!r}, before {expected!r}")
        if not isinstance(opposite, Refused) or opposite.code != "TXNCONFLICT":
            self.problem(f"txn {txn.txid}: {other} after {same} answered {opposite!r}")

    def settle(self, client, txn, shops):
        """Settles a decision that was under way when the broker died: it was done, or it was not."""
        state = pairs(client.call("TXN", "INFO", txn.txid))["state"].decode()
        visible = any(body in self.store for body in txn.bodies())
        decided = {"COMMIT": "committed", "ROLLBACK": "rolledback"}[txn.decision]
        if state not in ("pending", "parked", decided):
            self.problem(f"txn {txn.txid}: asked for {txn.decision}, found {state}")
        if visible != (state == "committed"):
            self.problem(f"txn {txn.txid}: {state}, but visible: {visible}")
        if state != decided:
            shops[0].take_back(txn)
            return
        txn.state = DONE
        if txn.decision == "COMMIT":
            txn.ids = [i.decode() for i in client.call("COMMIT", txn.txid)]
        self.check_visible(txn)

    def check_held(self, client):
        """Leases survive the crash: messages leased before it can be acknowledged, once."""
        held, self.ledger.held = self.ledger.held, []
        for receipt in held:
            first, second = (client.call("ACK", "hold", receipt) for _ in range(2))
            if (first, second) != (1, 0):
                self.problem(f"hold: ACK {receipt}, leased before the restart, answered "
                             f"{first} and then {second}, expected 1 and 0")
            self.ledger.acked["hold"][plain(receipt)] = DONE

    def check_outputs(self):
        for source, output in self.ledger.outputs.items():
            found = self.store.get(output_of(source))
            if found != output:
                self.problem(f"pipe: COMMIT for {source} answered {output}, found {found}")
        for body in self.store:
            if body.startswith(b"out:"):  # its transaction was committed, so its input was acknowledged
                self.ledger.acked["pipe"][body[4:].decode()] = DONE

    def check_all_delivered(self):
        """Called at the end, when the groups have no lag."""
        for body, message_id in self.store.items():
            topic = message_id.split(":")[0]
            # MAYBE: the ACK was under way when the broker died, and was done.
            if topic in WORK_TOPICS and message_id not in self.ledger.acked["work"]:
                self.problem(f"work: {message_id} was never handed out to the end")
            if topic == "flow" and message_id not in self.ledger.acked["turn"]:
                self.problem(f"turn: {message_id} was never handed out to the end")
            if topic == "flow" and output_of(message_id) not in self.store:
                self.problem(f"pipe: there is no output for {message_id}")
