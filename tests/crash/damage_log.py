#!/usr/bin/python3
"""damage_log.py [rounds]: damages the files of the write-ahead log, and checks that nothing acknowledged is lost silently.

    send ──► SIGKILL ──► copy the folder ──► damage its log ──► start ──┬──► ready: every message is there
     ▲                                                                  └──► refused with a sentence
     │                           --salvage, killed at some time and again: no message is wrong, ◄──┘
     │                           no id is given twice, no byte is gone ──► put the copy back, start
     └───────────────────────── every message is there, and no id is given twice ◄────┘

What was sent last, to the topic `end`, may be lost: behind it nothing says that it was synced. To repeat a run, set
HALFMQ_SEED to the seed that it printed.
"""
import glob
import os
import random
import re
import shutil
import sys
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import READY_SECONDS, Broker, Refused  # noqa: E402 (the path comes first)
from rounds import rounds_wanted  # noqa: E402

ROUNDS = 30
SENDERS = 4
BLOCK = 4096
SEGMENT = 1 << 20  # of both amounts of memory
REGION_BLOCKS_MAX = 4
LAST_SENDS = 2 * REGION_BLOCKS_MAX  # one block each: no region takes all of them


def flip(f, size, chance):
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(size)
        f.seek(at)
        old = f.read(1)[0]
        f.seek(at)
        f.write(bytes([old ^ 1 << chance.randrange(8)]))


def overwrite(f, size, chance):
    """Zeros, or anything, over some blocks or a part of one."""
    length = chance.choice((512, BLOCK, chance.randint(1, REGION_BLOCKS_MAX) * BLOCK))
    at = chance.randrange(size) // length * length
    length = min(length, size - at)
    f.seek(at)
    f.write(bytes(length) if chance.random() < 0.5 else chance.randbytes(length))


def cut(f, size, chance):
    """Only of files that do not grow: of one that grows nobody can tell how long it was."""
    f.truncate(chance.randrange(size) if size % SEGMENT == 0 else size)


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Damage:
    def __init__(self, broker, chance):
        self.broker, self.chance = broker, chance
        self.wal = os.path.join(broker.data, "wal")
        self.copy = os.path.join(broker.folder, "copy")
        self.salvaged = 0
        self.sent = {}   # id -> body, of what was acknowledged
        self.refused = self.served = self.number = 0

    def send(self, prefix, count):
        client = self.broker.text()
        for n in range(count):
            body = b"%s %d " % (prefix, n) + b"x" * (n * 37 % 900)
            name = client.call("SEND", "t", body)
            assert name not in self.sent, f"the id {name} was given twice"
            self.sent[name] = body
        client.close()

    def load(self):
        self.number += 1
        threads = [threading.Thread(target=self.send, args=(b"%d.%d" % (self.number, i), self.chance.randint(1, 150)))
                   for i in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client = self.broker.text()
        for _ in range(LAST_SENDS):
            client.call("SEND", "end", b"x")
        client.close()

    def harm(self):
        """Damages one or two files. Returns what was done."""
        done = []
        for _ in range(self.chance.choice((1, 1, 2))):
            path = self.chance.choice(sorted(glob.glob(os.path.join(self.wal, "*.wal"))) or [None])
            if not path:
                break
            how = self.chance.choice((flip, flip, overwrite, overwrite, cut, None))
            done.append(f"{getattr(how, '__name__', 'delete')} {os.path.basename(path)}")
            size = os.path.getsize(path)
            if how is None or size == 0:
                os.unlink(path)
                continue
            with open(path, "r+b") as f:
                how(f, size, self.chance)
        return ", ".join(done)

    def starts(self):
        """Starts the broker. Returns whether it got ready; if not, it must have refused with a sentence."""
        try:
            self.broker.start()
            return True
        except AssertionError:
            status = self.broker.process.wait(READY_SECONDS)
            said = self.broker.read_log(self.broker.seen).decode(errors="replace")
            assert status == 1 and "Nothing was changed" in said, f"status {status}: {said}"
            return False

    def check(self):
        client = self.broker.text()
        for name, body in self.sent.items():
            message = client.call("GET", name)
            assert message and message[1] == body, f"{name} is {message!r}"
        client.close()

    def salvage(self):
        """Starts with --salvage: killed after some time at first, and in half of all cases without the flag then."""
        files = {os.path.basename(path): read(path) for path in glob.glob(os.path.join(self.wal, "*.wal"))}
        earlier = glob.glob(os.path.join(self.wal, "*.lost*"))
        place = re.search(r"(\d+\.wal) (?:cannot be read|is cut off)", self.broker.read_log(self.broker.seen).decode())
        flags = self.broker.flags
        self.broker.flags = (*flags, "--salvage")
        self.broker.launch()
        time.sleep(self.chance.random() * 0.2)
        self.broker.kill()
        self.broker.flags = flags
        if self.chance.random() < 0.5 or not self.starts():
            self.broker.flags = (*flags, "--salvage")
            self.broker.start()
            self.broker.flags = flags
        self.salvaged += 1
        aside = [read(path) for path in glob.glob(os.path.join(self.wal, "*.lost*")) if path not in earlier]
        assert all(data in files.values() for data in aside), "what was set aside is not as it was"
        assert not place or files[place.group(1)] in aside, f"{place.group()}, and it is gone"
        client = self.broker.text()
        for name, body in self.sent.items():
            try:
                message = client.call("GET", name)
            except Refused as error:
                assert error.code == "DAMAGED", error.text
                continue
            assert message is None or message[1] == body or message[1].startswith(b"salvaged: "), f"{name}: {message!r}"
        for n in range(20):
            name = client.call("SEND", "t", b"behind a salvage", "QUEUE", n % 4)
            assert name not in self.sent, f"the id {name} was given twice"
        client.close()
        self.broker.kill()

    def one(self):
        self.load()
        self.broker.kill()
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.broker.data, self.copy)
        harm = self.harm()
        ready = self.starts()
        print(f"round {self.number}: {len(self.sent)} messages; {harm}: {'served' if ready else 'refused'}", flush=True)
        if not ready:
            self.refused += 1
            self.salvage()
            shutil.rmtree(self.broker.data)
            shutil.copytree(self.copy, self.broker.data)
            self.broker.start()
        self.served += ready
        self.check()


def main():
    seed = int(os.environ.get("HALFMQ_SEED") or time.time_ns() % 2**32)
    chance = random.Random(seed)
    memory = chance.choice(("16MiB", "64MB"))
    print(f"seed {seed}, memory {memory}", flush=True)
    with Broker("--memory", memory) as broker:
        damage = Damage(broker, chance)
        for _ in range(rounds_wanted(ROUNDS)):
            damage.one()
        print(f"{damage.refused} starts were refused, {damage.served} served everything")
    return 0


if __name__ == "__main__":
    sys.exit(main())
