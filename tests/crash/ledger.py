"""ledger.py: what the broker has promised, as the load saw it.

A worker writes down what it is about to ask before it asks (state MAYBE), and what was answered when
the answer is there. After a crash MAYBE means: may have happened, in whole or not at all.

                 ┌── answered ──► DONE      must be found again, exactly once
    MAYBE ───────┼── refused ───► REFUSED   must never be found
                 └── (crash) ───► MAYBE     at most once
"""
import threading
from collections import defaultdict

MAYBE, DONE, REFUSED = "maybe", "done", "refused"


class Sent:
    """A message of SEND or MSEND."""

    def __init__(self, topic, body, key=None, number=0):
        self.topic, self.body, self.key, self.number = topic, body, key, number
        self.state, self.id = MAYBE, None
        self.absent = False  # an audit has not found it

    def answered(self, reply_id):
        self.state, self.id = DONE, reply_id.decode()


class Txn:
    """A transaction whose txid is known."""

    def __init__(self, txid, pgroup):
        self.txid, self.pgroup = txid, pgroup
        self.messages = []     # [topic, body, state], in the order of the HALFs
        self.decision = None   # "COMMIT" or "ROLLBACK", once asked for
        self.state = MAYBE     # of the decision
        self.ids = None        # what COMMIT answered

    def bodies(self):
        return [body for _, body, state in self.messages if state != REFUSED]

    def certain(self):
        return [body for _, body, state in self.messages if state == DONE]


class Ledger:
    """Shared by all workers; lists and dicts are only added to, which Python does atomically."""

    def __init__(self):
        self.sent = {}                      # body -> Sent
        self.batches = []                   # lists of Sent: MSEND, all or none
        self.txns = []                      # all Txn
        self.orphans = set()                # bodies of HALFs whose txid never arrived
        self.acked = defaultdict(dict)      # group -> id -> DONE or MAYBE
        self.receipts = defaultdict(set)    # group -> receipts handed out
        self.held = []                      # receipts of group "hold", not yet acknowledged
        self.outputs = {}                   # id of a source -> body promised by COMMIT ... ACK
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
        """A message that POP handed out."""
        if self.acked[group].get(plain(message.id)) == DONE:
            self.problem(f"{group}: {message.id} was handed out after its acknowledged ACK")
        with self.lock:
            if message.id in self.receipts[group]:
                self.problems.append(f"{group}: the receipt {message.id} was handed out twice")
            self.receipts[group].add(message.id)


def plain(receipt):
    """The message id of a receipt."""
    return receipt.split("#")[0]
