#!/usr/bin/python3
"""damage.py [rounds]: damages one store in many ways, and asks each time for everything that it promised.

    one store, filled and killed ──► copy ──► damage a file or two ──► start ──┬──► refused, with a sentence
                                      ▲                                        └──► audit ──► stop ──► start ──► audit
                                      └── the next round ◄───────────────────────────────────────────────────────┘

Any file may be hit: tables, blobs, the log, MANIFEST, CURRENT, OPTIONS, and our own. Nothing may be served that was not
promised, nothing may be missing without a word, and the broker never ends by a signal. To repeat one round, set
HALFMQ_SEED to the seed that it printed, and HALFMQ_DAMAGE_ROUND to its number.
"""
import glob
import os
import random
import subprocess
import sys
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import READY_SECONDS, Broker  # noqa: E402 (the path comes first)
from copy import deepcopy  # noqa: E402
from damage_audit import Audit  # noqa: E402
from damage_promises import prepare  # noqa: E402
from rounds import rounds_wanted  # noqa: E402

ROUNDS = 40
AT_ONCE = 2
LIVES, SIZE = 3, 60
SEGMENT = 1 << 20
FLAGS = ("--memory", "16MiB", "--dedup_window", "1d", "--checkin", "1h")
KINDS = {"store/*.sst": 5, "store/*.blob": 4, "wal/*.wal": 3, "store/MANIFEST-*": 2, "store/CURRENT": 1,
         "store/OPTIONS-*": 1, "store/IDENTITY": 1, "store/LOCK": 1, "store/store.id": 1, "*": 1}


def flip(f, size, chance):
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(size)
        f.seek(at)
        old = f.read(1)[0]
        f.seek(at)
        f.write(bytes([old ^ 1 << chance.randrange(8)]))


def overwrite(f, size, chance):
    """Zeros, or anything, over some blocks or a part of one."""
    length = chance.choice((64, 512, 4096, 4 * 4096))
    at = chance.randrange(size) // length * length
    length = min(length, size - at)
    f.seek(at)
    f.write(bytes(length) if chance.random() < 0.5 else chance.randbytes(length))


def cut(f, size, chance):
    """Of a file of the log that grows nobody can tell how long it was."""
    f.truncate(chance.randrange(size) if ".wal" not in f.name or size % SEGMENT == 0 else size)


def harm(data, chance):
    """Damages one file or two. Returns what was done."""
    done = []
    for _ in range(chance.choice((1, 1, 1, 2))):
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        files = sorted(p for p in glob.glob(os.path.join(data, kind)) if os.path.isfile(p))
        if not files:
            continue
        path = chance.choice(files)
        size = os.path.getsize(path)
        how = chance.choice((flip, flip, overwrite, overwrite, overwrite, cut, None))
        done.append(f"{getattr(how, '__name__', 'delete')} {os.path.relpath(path, data)}")
        if how is None or size == 0:
            os.unlink(path)
            continue
        with open(path, "r+b") as f:
            how(f, size, chance)
    return ", ".join(done) or "nothing"


class Round:
    """One damaged copy. end: refused, damaged, or unaffected."""

    def __init__(self, number, seed, data, promises):
        self.number, self.chance = number, random.Random(f"{seed} {number}")
        self.promises = deepcopy(promises)
        self.broker = Broker(*FLAGS, started=False)
        subprocess.run(["cp", "-a", "--reflink=auto", data, self.broker.data], check=True)
        self.problems, self.end, self.harm = [], None, None

    def run(self):
        self.harm = harm(self.broker.data, self.chance)
        try:
            self.live()
        except (EOFError, OSError) as error:
            self.problems.append(f"{error!r}: the broker ended with {self.broker.process.poll()}")
        finally:
            if self.problems:
                self.keep_log()
            self.broker.close()

    def starts(self):
        try:
            self.broker.start()
            return True
        except AssertionError:
            status = self.broker.process.wait(READY_SECONDS)
            said = self.broker.read_log(self.broker.seen).decode(errors="replace")
            if status != 1 or "cannot run" not in said or "backup" not in said:
                self.problems.append(f"refused with status {status}: {said[-600:]}")
            return False

    def live(self):
        if not self.starts():
            self.end = "refused"
            return
        audit = Audit(self.broker, self.promises)
        audit.run()
        self.problems += audit.said()
        self.end = "damaged" if audit.told else "unaffected"
        status = self.broker.stop()
        if status != 0:
            self.problems.append(f"the broker stopped with status {status}")
        elif self.starts():
            audit.problems = {}
            audit.after_restart()
            self.problems += audit.said()
            self.broker.kill()

    def keep_log(self):
        log = self.broker.read_log().decode(errors="replace")
        self.problems.append("the log ends: " + log[-1000:])

    def tell(self):
        print(f"round {self.number}: {self.harm}: {self.end}", flush=True)
        for problem in self.problems:
            print(f"    {problem}", flush=True)


class Rounds:
    def __init__(self, seed, data, promises, numbers):
        self.seed, self.data, self.promises, self.numbers = seed, data, promises, list(numbers)
        self.lock = threading.Lock()
        self.ends, self.bad = {}, []

    def work(self):
        while True:
            with self.lock:
                if not self.numbers:
                    return
                number = self.numbers.pop(0)
            one = Round(number, self.seed, self.data, self.promises)
            one.run()
            with self.lock:
                one.tell()
                self.ends[one.end] = self.ends.get(one.end, 0) + 1
                if one.problems:
                    self.bad.append(number)

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main():
    seed = int(os.environ.get("HALFMQ_SEED") or time.time_ns() % 2**32)
    only = os.environ.get("HALFMQ_DAMAGE_ROUND")
    print(f"seed {seed}", flush=True)
    source = Broker(*FLAGS)
    try:
        promises = prepare(source, SIZE, LIVES)
        numbers = [int(only)] if only else range(1, rounds_wanted(ROUNDS) + 1)
        rounds = Rounds(seed, source.data, promises, numbers)
        rounds.run()
    finally:
        source.close()
    print(", ".join(f"{n} {end}" for end, n in sorted(rounds.ends.items(), key=str)))
    if rounds.bad:
        print(f"{len(rounds.bad)} rounds with problems: {rounds.bad}")
    return 1 if rounds.bad else 0


if __name__ == "__main__":
    sys.exit(main())
