#!/usr/bin/python3
"""soak.py [minutes]: a broker with TLS, users and a small memory works for long, while everything happens to it that happens
in a company: kills, full disks, clients that do not read, backups, rules and certificates that change.

    load of rounds.py, each worker as a user of its own ──► troubles (soak_troubles.py) ──► SIGKILL ──► audit ──► ...
                                                                                         at the end: the audit of everything

At the end, no promise may be broken, nobody may have done what it may not, and memory must be flat: the most that was resident
in the last third is at most a tenth above that of the first third, and never above the bound of crash/hostile.py and a
quarter of it for TLS. The short form, without minutes, looks at the bound alone, and so does a build with sanitizers at none.
"""
import os
import random
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

import full  # noqa: E402 (the path comes first)
import rounds  # noqa: E402
from hostile import BOUND, MB  # noqa: E402
from load import Batcher, Packer, Sender, Shop, Together  # noqa: E402
from soak_troubles import Archivist, Deaf, Filler, Governor, Trespasser  # noqa: E402
from soak_world import GuardedBroker, Stubborn, World  # noqa: E402

MINUTES = float(sys.argv[1]) if len(sys.argv) > 1 else 0
SECONDS = MINUTES * 60 or 8
MESSAGES = 400_000 if MINUTES else 6000  # as many as the audit can hold, however long it takes
LIFE = (40, 150) if MINUTES else (2, 4)
HAPPENS_SECONDS = 60  # a round goes on for so much longer until every trouble has happened
MOST_RESIDENT = BOUND * 5 // 4
FLAT = 1.10
DISK = "1g" if MINUTES else "256m"


class Soak(rounds.Rounds):
    def __init__(self, broker, world, chance):
        super().__init__(broker, self.ends, chance)
        self.world, self.began, self.resident = world, time.monotonic(), []
        kinds = (Governor, Trespasser, Deaf, Archivist) + ((Filler,) if full.DISK else ())
        self.troubles = [kind(self.ledger, random.Random(chance.random()), world, broker) for kind in kinds]
        for trouble in self.troubles:
            trouble.pause = {Archivist: (10, 60), Filler: (2, 20)}.get(type(trouble), (0, 0)) if MINUTES else (0.5, 1.5)
        self.workers += self.troubles
        for worker in self.workers:
            Stubborn(world, worker, self.pace)

    def pace(self, worker):
        """How long a worker waits between its steps. Those that send wait until it is their time."""
        if not isinstance(worker, (Sender, Batcher, Packer, Together, Shop)):
            return 0.02
        part = min(1, (time.monotonic() - self.began) / SECONDS)
        ahead = len(self.ledger.sent) + len(self.ledger.txns) > MESSAGES * part + 500
        return 0.5 if ahead else 0.02

    def load(self, seconds):
        admin = self.broker.text()
        self.world.set_users(admin)
        admin.close()
        self.world.over.clear()
        for worker in self.workers:
            worker.begin(self.broker.port)
        end = time.monotonic() + seconds
        while self.broker.runs() and time.monotonic() < end + (0 if self.all_happened() else HAPPENS_SECONDS):
            self.resident.append(self.broker.resident_bytes())
            threading.Event().wait(0.2)

    def ends(self, broker, chance):
        """It is killed, or stopped; or it has ended by itself, because the disk was full."""
        if broker.runs() and chance.random() < 0.2:
            broker.stop()
        elif broker.runs():
            broker.kill()
        else:
            full.ended_well(broker, broker.process.wait())
        self.world.over.set()

    def all_happened(self):
        return all(trouble.done for trouble in self.troubles)

    def judge_memory(self):
        third = len(self.resident) // 3
        first, last, most = max(self.resident[:third]), max(self.resident[-third:]), max(self.resident)
        print(f"resident: at most {first / MB:.1f} MB in the first third, {last / MB:.1f} MB in the last, {most / MB:.1f} MB in all")
        if self.broker.is_sanitized():
            return
        if most > MOST_RESIDENT:
            self.ledger.problem(f"{most / MB:.1f} MB were resident, {MOST_RESIDENT / MB:.1f} are allowed")
        if MINUTES and last > first * FLAT:
            self.ledger.problem(f"memory grows: {first / MB:.1f} MB, then {last / MB:.1f} MB")

    def judge(self):
        if any(b"trespassed" in body for body in self.audit.store):
            self.ledger.problem("a message is there of a user who may not send")
        self.judge_memory()
        print(", ".join(f"{t.name} {t.done}" for t in self.troubles))
        if not self.all_happened():
            self.ledger.problem("a trouble never happened")


def run():
    seed = int(os.environ.get("HALFMQ_SEED") or time.time_ns() % 2**32)
    chance = random.Random(seed)
    print(f"seed {seed}, {SECONDS:.0f} s, {'with' if full.DISK else 'without'} full disks", flush=True)
    with tempfile.TemporaryDirectory(prefix="halfmq-test-") as folder:
        world = World(folder)
        data = ("--data", os.path.join(full.DISK, "data")) if full.DISK else ()
        with GuardedBroker(world, "--memory", "32MB", "--disk_reserve", "4MiB", "--io_threads", "2", *data) as broker:
            soak = Soak(broker, world, chance)
            number = 0
            while time.monotonic() - soak.began < SECONDS:
                number += 1
                if not soak.one(number, chance.uniform(*LIFE)):
                    return soak.report()
            soak.finish()
            soak.judge()
            return soak.report()


if __name__ == "__main__":
    status = None if full.DISK else full.on_a_disk_of(DISK, os.path.abspath(__file__))
    sys.exit(run() if status is None else status)
