"""damage_audit.py: asks a broker with damaged files for everything that it promised (damage_promises.py).

Each thing is there as it was promised, or the broker says DAMAGED. Nothing else may be seen: no other body, no message
that was rolled back, no id that is given twice, no gap that nobody speaks of.
"""
import re

from broker import Message, Refused
from damage_promises import GROUPED, TOPICS, state_of

RANGE = re.compile(r"DAMAGED ([A-Za-z0-9._%-]+):(\d+):(\d+)-(\d+)\b")


class Damaged(Exception):
    """The broker said that something is damaged; place: topic, queue, first, last, where it said so."""

    def __init__(self, text):
        super().__init__(text)
        found = RANGE.match(text)
        self.place = (found[1], *map(int, found.groups()[1:])) if found else None


class Audit:
    def __init__(self, broker, promises):
        self.broker, self.promises = broker, promises
        self.client = broker.text()
        self.problems = {}       # what, without the name that it is about -> [how often, an example]
        self.told = 0            # how often DAMAGED was answered
        self.damaged = {}        # (topic, queue) -> offsets that are said to be damaged
        self.fresh = {}          # id -> body, of what was sent after the damage

    def problem(self, what, example=""):
        found = self.problems.setdefault(what, [0, example])
        found[0] += 1

    def said(self):
        return [f"{what}: {n} times, such as: {example}" for what, (n, example) in self.problems.items()]

    def ask(self, *words):
        value = self.client.call_value(*words)
        if not isinstance(value, Refused):
            return value
        if value.code != "DAMAGED":
            raise value
        self.told += 1
        raise Damaged(value.text)

    def each(self, check, *arguments):
        """Runs one check. DAMAGED is an answer; any other error is a problem."""
        try:
            return check(*arguments)
        except Damaged as damaged:
            return damaged
        except Refused as error:
            self.problem(f"{check.__name__}: {error.text}", str(arguments)[:100])
            return error

    def is_damaged(self, name):
        topic, queue, offset = name.split(":")
        return int(offset) in self.damaged.get((topic, int(queue)), ())

    def run(self):
        self.read_topics()
        for name, body in self.promises.sent.items():
            self.each(self.get, name, body)
        for txid in [*self.promises.committed, *self.promises.rolledback, *self.promises.pending]:
            self.each(self.transaction, txid)
        for name in self.promises.dedup:
            self.each(self.dedup, name)
        for key in self.promises.keys:
            self.each(self.find, key)
        self.each(self.delayed)
        self.each(self.leases)
        for group in ("g", "late"):
            self.each(self.group, group)
        self.lists()
        self.send()

    # ---- messages ----

    def take(self, message, how):
        """Checks a message that the broker shows."""
        name = message.id.split("#")[0]
        expected = self.promises.sent.get(name, self.fresh.get(name))
        if message.body in self.promises.hidden:
            self.problem(f"{how} shows what nobody may see", f"{name}: {message.body[:40]!r}")
        elif expected is None and message.topic != "end":
            self.problem(f"{how} shows what was never sent", f"{name}: {message.body[:40]!r}")
        elif expected is not None and message.body != expected:
            self.problem(f"{how} shows another body", f"{name}: {message.body[:40]!r}, not {expected[:40]!r}")

    def get(self, name, body):
        reply = self.ask("GET", name)
        if reply is None:
            self.problem("GET: gone without a word", f"{name}: {body[:40]!r}")
        else:
            self.take(Message(reply), "GET")

    def read_topics(self):
        for topic, (queues, _) in TOPICS.items():
            for queue in range(queues):
                self.each(self.read_queue, topic, queue)

    def read_queue(self, topic, queue):
        promised = sorted(int(name.split(":")[2]) for name in self.promises.sent
                          if name.startswith(f"{topic}:{queue}:"))
        seen, damaged = set(), self.damaged.setdefault((topic, queue), set())
        at = 0
        while True:
            try:
                messages = [Message(m) for m in self.ask("READ", topic, queue, at, "COUNT", 50)]
            except Damaged as error:
                if not error.place or error.place[:2] != (topic, queue) or error.place[3] < at:
                    damaged.update(range(at, promised[-1] + 1))  # no place: the whole queue cannot be read
                    break
                damaged.update(range(error.place[2], error.place[3] + 1))
                at = error.place[3] + 1
                continue
            if not messages:
                break
            for message in messages:
                if message.offset < at:
                    self.problem(f"READ {topic} {queue} {at} answers {message.id}")
                self.take(message, "READ")
                seen.add(message.offset)
                at = message.offset + 1
        missing = [n for n in promised if n not in seen and n not in damaged]
        if missing:
            self.problem(f"READ {topic} {queue}: {len(missing)} are missing without a word: {missing[:5]}")

    def find(self, key):
        names = {Message(m).id for m in self.ask("FIND", "lz4", "KEY", key, "COUNT", 1000)}
        missing = {n for n in self.promises.keys[key] - names if not self.is_damaged(n)}
        if missing:
            self.problem(f"FIND {key}: {sorted(missing)[:5]} are missing without a word")

    def dedup(self, name):
        answer = self.ask("SEND", "plain", b"again", "DEDUP", name).decode()
        if answer != self.promises.dedup[name]:
            self.problem("DEDUP answers another id", f"{name}: {answer}, not {self.promises.dedup[name]}")

    # ---- transactions ----

    def transaction(self, txid):
        promises = self.promises
        state = state_of(self.ask("TXN", "INFO", txid))
        if txid in promises.pending:
            if state != "pending":
                self.problem(f"a pending transaction is {state}", txid)
            ids = [i.decode() for i in self.ask("COMMIT", txid)]
            if promises.sent.get(ids[0]) or ids[0] in self.fresh:
                self.problem("COMMIT answers an id that was given before", f"{txid}: {ids[0]}")
            self.fresh[ids[0]] = promises.pending[txid]
            promises.hidden.discard(promises.pending[txid])
        elif txid in promises.committed:
            ids = [i.decode() for i in self.ask("COMMIT", txid)]
            if state != "committed" or ids != promises.committed[txid]:
                self.problem(f"a committed transaction is {state}", f"{txid}: COMMIT answers {ids}")
        elif state != "rolledback":
            self.problem(f"a transaction that was rolled back is {state}", txid)

    def delayed(self):
        tokens = {m[0].decode(): m[1] for m in self.ask("DELAYED", "LIST", "plain", "COUNT", 1000)}
        for token, body in self.promises.delayed.items():
            if tokens.get(token) != body:
                self.problem("a delayed message is lost", f"{token} is {tokens.get(token)!r}")

    # ---- groups ----

    def leases(self):
        for receipt in list(self.promises.leased)[:10]:
            if self.ask("ACK", "g", receipt) != 1:
                self.problem("a lease is lost", receipt)
            self.promises.leased.pop(receipt)
            self.promises.acked.add(receipt.split("#")[0])

    def group(self, group):
        """A group is delivered all that it has not had, and what is damaged is skipped."""
        had = self.promises.acked | {r.split("#")[0] for r in self.promises.leased} if group == "g" else set()
        names = set()
        while True:
            messages = [Message(m) for m in self.ask("POP", group, GROUPED, "COUNT", 100)]
            if not messages:
                break
            for message in messages:
                name = message.id.split("#")[0]
                self.take(message, f"POP {group}")
                if name in had or name in names:
                    self.problem(f"POP {group} delivers what was delivered before", name)
                names.add(name)
            self.ask("ACK", group, *(m.id for m in messages))
        wanted = {n for n in self.promises.sent if n.startswith(GROUPED + ":")} - had - names
        missing = [n for n in wanted if not self.is_damaged(n)]
        if missing:
            self.problem(f"POP {group}: {len(missing)} were not delivered: {sorted(missing)[:5]}")

    def lists(self):
        for words in (("LAG",), ("TOPIC", "LIST"), ("TOPIC", "INFO", "plain"), ("GROUP", "LIST"),
                      ("GROUP", "INFO", "g"), ("PGROUP", "LIST"), ("PGROUP", "INFO", "shop"),
                      ("TXN", "LIST", "COUNT", 1000), ("TXN", "LIST", "STATE", "committed")):
            self.each(self.ask, *words)

    # ---- and on ----

    def send(self):
        for topic in [*TOPICS, "new"]:
            for n in range(3):
                self.each(self.send_one, topic, b"fresh %s %d" % (topic.encode(), n))

    def send_one(self, topic, body):
        name = self.ask("SEND", topic, body).decode()
        if name in self.promises.sent or name in self.fresh:
            self.problem("SEND answers an id that was given before", name)
        self.fresh[name] = body
        self.get(name, body)

    def after_restart(self):
        """What was promised after the damage is promised as well."""
        self.client = self.broker.text()
        for name, body in self.fresh.items():
            self.each(self.get, name, body)
