#!/usr/bin/python3
"""test_salvage.py: tests halfmqd --salvage: the broker goes on without what its log has lost, gives no id twice, and keeps
every byte that it cannot use."""
import glob
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from broker import Broker, Refused, run_tests  # noqa: E402

BLOCK = 4096


class Case:
    """A broker, what it has acknowledged, and its log."""

    def __init__(self, broker):
        self.broker = broker
        self.wal = os.path.join(broker.data, "wal")
        self.sent = {}
        self.txids = []

    def send(self, count, topics=("t", "u")):
        client = self.broker.text()
        for n in range(count):
            body = b"%d " % len(self.sent) + b"x" * 300
            name = client.call("SEND", topics[n % len(topics)], body).decode()
            assert name not in self.sent, f"{name} was given twice"
            self.sent[name] = body
        txid = int(client.call("HALF", "g", "t", "half"))
        assert not self.txids or txid > max(self.txids), f"{txid} was given twice"
        self.txids.append(txid)
        client.close()

    def files(self):
        return sorted(glob.glob(os.path.join(self.wal, "*.wal")))

    def start(self, *flags):
        was = self.broker.flags
        self.broker.flags = (*was, *flags)
        try:
            self.broker.start()
        finally:
            self.broker.flags = was

    def refused(self, *flags):
        was = self.broker.flags
        self.broker.flags = (*was, *flags)
        self.broker.launch()
        self.broker.flags = was
        assert self.broker.process.wait(60) == 1
        return self.broker.read_log(self.broker.seen).decode()

    def salvage(self):
        """Starts with --salvage. Returns what the log says."""
        self.start("--salvage")
        return self.broker.read_log(self.broker.seen).decode()

    def check(self, kept=0):
        """Checks that the first so many messages are there, and that the others are there or nothing is."""
        client = self.broker.text()
        for n, (name, body) in enumerate(self.sent.items()):
            message = self.get(client, name)
            assert message == body or (n >= kept and (message is None or message.startswith(b"salvaged: "))), \
                f"{name}: {message!r}"
        client.close()

    @staticmethod
    def get(client, name):
        try:
            message = client.call("GET", name)
        except Refused as error:
            assert error.code == "DAMAGED", error.text
            return None
        return message and message[1]

    def survives(self):
        """The broker goes on as after any other start."""
        before = len(self.sent)
        self.send(20, ("t", "u", "made-later", "lost"))
        self.broker.kill()
        self.start()
        said = self.broker.read_log(self.broker.seen).decode()
        assert "set aside" not in said, said
        client = self.broker.text()
        for name, body in list(self.sent.items())[before:]:
            assert self.get(client, name) == body, name
        got = set()
        while True:
            messages = client.call("POP", "g", "t", "u", "COUNT", 100)
            if not messages:
                break
            for receipt, body, *_ in messages:
                name = receipt.decode().split("#")[0]
                assert self.sent[name] == body, name
                got.add(name)
        for name in list(self.sent)[before:]:
            assert name in got or name.split(":")[0] in ("made-later", "lost"), name
        client.close()


def zero(path, at, n):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(bytes(n))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def kept(case, before):
    """Every file that was there is there, under its own name or another."""
    now = [read(path) for path in glob.glob(os.path.join(case.wal, "*"))]
    for path, data in before.items():
        assert data in now, f"the bytes of {path} are gone"


def damaged(case, at, n=BLOCK):
    """Kills the broker and zeroes a place in the newest file of its log. Returns all files as they are then."""
    case.broker.kill()
    newest = max(case.files(), key=os.path.getmtime)
    zero(newest, at, n)
    return {newest: read(newest)}


def test_damage_in_the_middle():
    with Broker() as broker:
        case = Case(broker)
        case.send(30)
        case.send(10, ("lost",))
        before = damaged(case, 10 * BLOCK)
        said = case.refused()
        assert "is damaged" in said and "--salvage" in said, said
        kept(case, before)
        said = case.salvage()
        assert "salvaged" in said and "are lost" in said and ".lost" in said, said
        kept(case, before)
        case.check(kept=6)
        case.survives()


def test_a_log_that_is_gone():
    with Broker() as broker:
        case = Case(broker)
        case.send(30)
        broker.kill()
        os.rename(case.wal, case.wal + ".away")
        assert "is missing or empty" in case.refused()
        said = case.salvage()
        assert "salvaged" in said, said
        case.check()
        case.survives()


def test_the_log_of_another_store():
    with Broker() as broker, Broker() as other:
        case, stranger = Case(broker), Case(other)
        case.send(30)
        stranger.send(40)
        other.kill()
        broker.kill()
        shutil.rmtree(case.wal)
        shutil.copytree(stranger.wal, case.wal)
        before = {path: read(path) for path in case.files()}
        assert "belongs to another store" in case.refused()
        case.salvage()
        kept(case, before)
        case.check()
        case.survives()
        other.start()
        stranger.check(kept=40)


def test_a_store_that_is_gone():
    with Broker() as broker:
        case = Case(broker)
        case.send(30)
        broker.kill()
        store = os.path.join(broker.data, "store")
        os.rename(store, store + ".away")
        assert "the store in" in case.refused()
        case.start("--salvage")
        case.check(kept=30)
        case.survives()


def test_a_store_that_is_gone_and_a_log_that_is_not_whole():
    with Broker() as broker:
        case = Case(broker)
        case.send(30)
        assert broker.stop() == 0
        broker.start()
        case.send(30)
        broker.kill()
        os.unlink(case.files()[0])
        store = os.path.join(broker.data, "store")
        os.rename(store, store + ".away")
        said = case.refused("--salvage")
        assert "does not go back to the first group" in said, said
        os.rename(store + ".away", store)


def test_nothing_to_salvage():
    with Broker() as broker:
        case = Case(broker)
        case.send(30)
        broker.kill()
        assert "nothing to salvage" in case.salvage()
        case.check(kept=30)
        names = len(case.files())
        case.survives()
        assert not glob.glob(os.path.join(case.wal, "*.lost*")) and names


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
