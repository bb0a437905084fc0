"""ledger.py: what the broker has acknowledged, as the clients of the load saw it.

A worker notes a request before it sends it (state MAYBE), and the reply when it has arrived. After a crash
MAYBE means that the request may have been done, as a whole or not at all.

                 ┌── reply ─────► DONE      must be found, exactly once
    MAYBE ───────┼── refused ───► REFUSED   must never be found
                 └── (crash) ───► MAYBE     may be found, at most once
"""
import threading
from collections import defaultdict

MAYBE, DONE, REFUSED = "maybe", "done", "refused"


class Sent:
    """A message of SEND or MSEND."""

    def __init__(self, topic, body, key=None, number=0):
        self.topic, self.body, self.key, self.number = topic, body, key, number
        self.state, self.id = MAYBE, None
        self.absent = False  # an audit has looked for it and not found it

    def answered(self, reply_id):
        self.state, self.id = DONE, reply_id.decode()


class Txn:
    """A transaction whose txid is known."""

    def __init__(self, txid, pgroup):
        self.txid, self.pgroup = txid, pgroup
        self.messages = []     # [topic, body, state], in the order of the HALFs
        self.decision = None   # "COMMIT" or "ROLLBACK", once asked for
        self.state = MAYBE     # of the decision
        self.ids = None        # the reply to COMMIT

    def bodies(self):
        return [body for _, body, state in self.messages if state != REFUSED]

    def certain(self):
        return [body for _, body, state in self.messages if state == DONE]


class Ledger:
    """Shared by all workers. They only add to its lists and dicts, which Python does atomically."""

    def __init__(self):
        self.sent = {}                      # body -> Sent
        self.batches = []                   # lists of Sent: MSEND, all or none
        self.txns = []                      # all Txn
        self.orphans = set()                # bodies of HALFs whose reply never arrived
        self.acked = defaultdict(dict)      # group -> id -> DONE or MAYBE
        self.receipts = defaultdict(set)    # group -> receipts that POP returned
        self.held = []                      # receipts of group "hold", not yet acknowledged
        self.letters = {}                   # body of a message of topic "bin" -> DONE or MAYBE: acknowledged
        self.outputs = {}                   # id of an input -> body published by COMMIT ... ACK
        self.turns = defaultdict(dict)      # ORDER key -> id -> number: delivered to "turn", and no ACK was tried
        self.turn_highest = defaultdict(int)  # ORDER key -> the highest number that "turn" has got
        self.turn_seen = set()              # ids of messages with a key that it has got
        self.txid_highest = 0               # of all rounds before this one
        self.txids = set()
        self.problems = []
        self.lock = threading.Lock()

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def new_txid(self, txid):
        with self.lock:
            if txid in self.txids:
                self.problems.append(f"txid {txid} was issued twice")
            if txid <= self.txid_highest:
                self.problems.append(f"txid {txid} is not above those before the restart, "
                                     f"up to {self.txid_highest}")
            self.txids.add(txid)

    def round_ends(self):
        self.txid_highest = max(self.txids, default=0)

    def delivered(self, group, message):
        """Notes a message that POP returned."""
        if self.acked[group].get(plain(message.id)) == DONE:
            self.problem(f"{group}: {message.id} was handed out after its acknowledged ACK")
        with self.lock:
            if message.id in self.receipts[group]:
                self.problems.append(f"{group}: the receipt {message.id} was handed out twice")
            self.receipts[group].add(message.id)


    def took_turn(self, message):
        """Notes a message that the ORDERED group got. Nobody may have one of the same key that is not acknowledged, but
        this one itself; and those that come for the first time come in order."""
        record, place = self.sent.get(message.body), plain(message.id)
        if not record or not record.key:
            return
        with self.lock:
            others = [at for at, number in self.turns[record.key].items() if at != place]
            if others:
                self.problems.append(f"turn: {message.id} of ORDER {record.key} while {others} is not acknowledged")
            highest = self.turn_highest[record.key]
            if place not in self.turn_seen and record.number <= highest:
                self.problems.append(f"turn: {message.id} is number {record.number} of ORDER {record.key}, "
                                     f"and {highest} came before")
            self.turn_highest[record.key] = max(highest, record.number)
            self.turn_seen.add(place)
            self.turns[record.key][place] = record.number

    def ended_turns(self, receipts):
        """They are being acknowledged: from here on the next ones of their keys may come."""
        places = {plain(receipt) for receipt in receipts}
        with self.lock:
            for turn in self.turns.values():
                for place in places & turn.keys():
                    del turn[place]


def plain(receipt):
    """Returns the message id of a receipt."""
    return receipt.split("#")[0]
