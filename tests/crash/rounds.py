"""rounds.py: repeats load, crash, restart and audit on the same data.

    load ──► crash at a random moment ──► (sometimes again while it starts) ──► restart ──► audit
     ▲                                                                                        │
     └────────────────────────────────────────────────────────────────────────────────────────┘
    at the end: decide what is pending, drain the groups, restart, read everything once more

To repeat a run, set HALFMQ_SEED to the seed that it printed. The timing of threads still differs.
"""
import os
import random
import sys
import time

import delays
import keeping
import letters
from audit import Audit
from broker import Broker, Refused, eventually, pairs
from ledger import DONE, Ledger
from load import Large, Pipe, Popper, Shop, Turner, make_workers, prepare

PROBLEMS_SHOWN = 20
DRAINED = ("work", "pipe", "turn")
STUCK_SECONDS = 60  # without one more message finished


def rounds_wanted(default):
    """The number of rounds: the first argument, or HALFMQ_CRASH_ROUNDS, or the default."""
    if len(sys.argv) > 1:
        return int(sys.argv[1])
    return int(os.environ.get("HALFMQ_CRASH_ROUNDS") or default)


class Rounds:
    """crash(broker, chance) ends the broker; restart(broker) starts it again."""

    def __init__(self, broker, crash, chance):
        self.broker, self.crash, self.chance = broker, crash, chance
        self.ledger = Ledger()
        self.audit = Audit(self.ledger)
        self.workers = make_workers(self.ledger, chance)
        self.undertaker = letters.Undertaker("undertaker0", self.ledger, random.Random(chance.random()))
        self.workers += [self.undertaker, letters.Undertaker("undertaker1", self.ledger, random.Random(chance.random()))]
        self.kept = keeping.Kept()
        self.keeper = keeping.Keeper("keeper0", self.ledger, random.Random(chance.random()), self.kept)
        self.workers.append(self.keeper)
        self.delays = delays.Delays()
        self.workers.append(delays.Later("later0", self.ledger, random.Random(chance.random()), self.delays))
        self.shops = [w for w in self.workers if isinstance(w, Shop)]
        prepare(broker.text())
        keeping.prepare(broker.text())
        delays.prepare(broker.text())

    def load(self, seconds):
        """Works so long."""
        for worker in self.workers:
            worker.begin(self.broker.port)
        time.sleep(seconds)  # this is how long the load lasts, it does not wait for something

    def one(self, number, load_seconds=None):
        load_seconds = load_seconds or self.chance.uniform(0.05, 0.8)
        self.load(load_seconds)
        self.crash(self.broker, self.chance)
        for worker in self.workers:
            worker.join()
        self.ledger.round_ends()
        if self.chance.random() < 0.25:
            self.broker.launch()
            time.sleep(self.chance.uniform(0, 0.2))
            self.crash(self.broker, self.chance)
        self.broker.start()
        self.check(self.broker.text())
        print(f"round {number}: {load_seconds:.2f} s of load, {len(self.audit.store)} messages, "
              f"{len(self.ledger.txids)} transactions, {len(self.ledger.problems)} problems",
              flush=True)
        return not self.ledger.problems

    def check(self, client):
        try:
            self.audit.read_new(client)
            self.audit.check_sent()
            self.audit.check_txns(client, self.shops)
            self.audit.check_outputs()
            self.audit.check_held(client)
            letters.check(client, self.ledger)
            keeping.check(client, self.ledger, self.kept)
            delays.check(client, self.ledger, self.delays)
        except Refused as error:  # a topic, a group or a transaction does not exist any more
            self.ledger.problem(f"the audit was refused: {error.text}")

    def finish(self):
        """Decides all transactions and drains the groups. Now no request is under way, so nothing may be missing."""
        client = self.broker.text()
        for shop in self.shops:
            while shop.open:
                shop.decide(client, shop.open.pop())
        self.drain(client)
        letters.drain(client, self.undertaker)
        keeping.drain(client, self.keeper)
        delays.drain(client, self.ledger, self.delays)
        self.audit.read_new(client)
        self.audit.check_outputs()
        self.audit.check_all_delivered()
        letters.check_all_acknowledged(self.ledger, self.audit.store)
        first = dict(self.audit.store)
        self.crash(self.broker, self.chance)
        self.broker.start()
        self.audit.forget()
        self.check(self.broker.text())
        if self.audit.store != first:
            self.ledger.problem("the messages are not the same after one more restart")

    def drain(self, client):
        """Takes and acknowledges all that the groups have left. How long that takes depends on the number of messages
        and on what else the machine does, so there is no limit as long as ever less is left."""
        popper = Popper("drain", self.ledger, self.chance)
        pipe = Pipe("drainpipe", self.ledger, self.chance)
        turner = Turner("drainturner", self.ledger, self.chance)
        popper.most = pipe.most = turner.most = 1000
        turner.again, turner.share = 100, 1  # what is not acknowledged holds up its key until its lease ends
        left = self.left(client)
        while left:
            left = self.drain_some(client, (popper, pipe, turner), left)

    def drain_some(self, client, workers, before):
        """Works until less is left than before. Returns how much that is."""
        left = before

        def is_less():
            nonlocal left
            for worker in workers:
                worker.step(client)
            left = self.left(client)
            return left < before

        try:
            eventually(is_less, f"{' and '.join(DRAINED)} have less than {before} messages left", STUCK_SECONDS)
        except AssertionError:
            self.explain(client)
            raise
        return left

    def left(self, client):
        """How many messages the groups have not finished."""
        return sum(pairs(line)["lag"] for group in DRAINED for line in client.call("LAG", group))

    def explain(self, client):
        """Prints what the broker says of groups that do not get on."""
        for words in [("GROUP", "INFO", group) for group in DRAINED] + [("INFO",)]:
            print(" ".join(words), client.call_value(*words), flush=True)

    def report(self):
        for text in self.ledger.problems[:PROBLEMS_SHOWN]:
            print("PROBLEM " + text)
        if len(self.ledger.problems) > PROBLEMS_SHOWN:
            print(f"... and {len(self.ledger.problems) - PROBLEMS_SHOWN} more")
        promised = sum(r.state == DONE for r in self.ledger.sent.values())
        print(f"promises: {promised} messages sent, "
              f"{sum(t.state == DONE for t in self.ledger.txns)} transactions decided, "
              f"{sum(len(a) for a in self.ledger.acked.values())} acknowledgements, "
              f"{sum(r.state == DONE for r in self.delays.sent.values())} delayed messages")
        return 1 if self.ledger.problems else 0


def run(default_rounds, crash, environment=None):
    """Runs the whole test. Returns the exit status."""
    seed = int(os.environ.get("HALFMQ_SEED") or time.time_ns() % 2**32)
    count = rounds_wanted(default_rounds)
    chance = random.Random(seed)
    threads = chance.choice((1, 1, 2, 4))
    memory = chance.choice(("16MiB", "16MiB", "64MB", "256MB"))  # with little, log files are reused soon
    Large.has_room = memory == "256MB"
    print(f"seed {seed}, {count} rounds, {threads} I/O threads, memory {memory}", flush=True)
    with Broker("--io_threads", str(threads), "--memory", memory, environment=environment) as broker:
        rounds = Rounds(broker, crash, chance)
        if all(rounds.one(number + 1) for number in range(count)):
            rounds.finish()
        return rounds.report()
