#!/usr/bin/python3
"""test_golden.py: a data folder that an earlier version has written is opened, and has everything.

tests/golden/store-N.tar.xz is the folder, of format N (storage/FORMAT.md: the version of row M); store-N.json says what is in it. A new
format gets a folder of its own, and the earlier ones stay: `/usr/bin/python3 tests/integration/test_golden.py make` writes one with
the broker of this version. Half of it is in RocksDB's files, the other half only in the log, as after a kill.

Times pass: leases and outcomes of such a folder are over, a pending transaction may be parked. So the audit asks for what stays.
"""
import glob
import io
import json
import os
import subprocess
import sys
import tarfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import HALFMQD, Broker, Message, pairs, run_tests  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
FORMAT = 3
FLAGS = ("--memory", "16MiB", "--checkin", "30d", "--txn_timeout", "360d", "--txn_outcome_retention", "360d",
         "--dedup_window", "360d")


def fill(client, part):
    """Something of each kind. Returns what the audit asks for."""
    facts = {"part": part}
    client.call("TOPIC", "CREATE", f"orders{part}", "QUEUES", 3)
    client.call("TOPIC", "CREATE", f"packed{part}", "COMPRESS", "zstd")
    for i in range(40):
        client.call("SEND", f"orders{part}", f"order {i}", "ORDER", f"customer-{i % 7}", "KEY", f"k{i}", "TAG", "eu" if i % 2 else "us",
                    "PROP", "amount", i, "PRIORITY", 9 if i % 10 == 0 else 4)
        client.call("SEND", f"packed{part}", f"{i} " * 300)
    client.call("GROUP", "CREATE", f"g{part}", f"orders{part}", "ORDERED", "ATTEMPTS", 5, "BACKOFF", "1s,5s", "FILTER", "TAG", "eu")
    got = [Message(m) for m in client.call("POP", f"g{part}", f"orders{part}", "COUNT", 5)]
    client.call("ACK", f"g{part}", got[0].id)
    client.call("REJECT", f"g{part}", got[1].id, "REASON", "broken")
    facts["letter"] = got[1].body.decode()
    facts["committed"] = client.call("HALF", f"pg{part}", f"orders{part}", "whole", "QUEUE", 0).decode()
    facts["ids"] = [i.decode() for i in client.call("COMMIT", facts["committed"])]
    facts["pending"] = client.call("HALF", f"pg{part}", f"txn{part}", "half").decode()
    client.call("HALF", f"pg{part}", f"txn{part}", "x" * 10000, "TXN", facts["pending"])
    client.call("ROLLBACK", client.call("HALF", f"pg{part}", f"txn{part}", "never"))
    client.call("PGROUP", "SET", f"pg{part}", "CHECKEVERY", "3h")
    client.call("SEND", f"later{part}", "next year", "DELAY", "360d")
    client.call("SEND", f"orders{part}", "expires", "TTL", "360d")
    client.call("SEND", f"purged{part}", "x")
    client.call("TOPIC", "PURGE", f"purged{part}")
    client.call("SEND", f"purged{part}", "y", "QUEUE", 0)
    return facts


def audit(client, facts):
    part = facts["part"]
    found = [Message(m) for q in range(3) for m in client.call("READ", f"orders{part}", q, 0, "COUNT", 1000)]
    bodies = [m.body.decode() for m in found]
    assert sorted(b for b in bodies if b.startswith("order ")) == sorted(f"order {i}" for i in range(40)), bodies
    assert all(m.properties["amount"].decode() == m.body.decode().split()[1] for m in found if m.body.startswith(b"order "))
    assert len({m.queue for m in found if m.attributes.get("order") == b"customer-3"}) == 1
    assert client.call("GET", facts["ids"][0])[1] == b"whole"
    [hit] = client.call("FIND", f"orders{part}", "KEY", "k17")
    assert Message(hit).body == b"order 17"
    packed = [Message(m).body.decode() for q in range(4) for m in client.call("READ", f"packed{part}", q, 0, "COUNT", 1000)]
    assert sorted(packed) == sorted(f"{i} " * 300 for i in range(40))
    [letter] = client.call("DLQ", "LIST", f"g{part}")[1]
    assert Message(letter).body.decode() == facts["letter"]
    assert pairs(client.call("PGROUP", "INFO", f"pg{part}"))["checkevery"] == 3 * 3600 * 1000
    assert pairs(client.call("TXN", "INFO", facts["pending"]))["state"] in (b"pending", b"parked")
    assert len(client.call("COMMIT", facts["pending"])) == 2
    assert sorted(Message(m).body for q in range(4) for m in client.call("READ", f"txn{part}", q, 0, "COUNT", 9)) == [b"half", b"x" * 10000]
    waits, there = client.call("DELAYED", "LIST", f"later{part}"), client.call("TOPIC", "INFO", f"later{part}")
    assert len(waits) == 1 or pairs(there)["messages"] == 1
    [left] = client.call("READ", f"purged{part}", 0, 0, "COUNT", 9) or client.call("READ", f"purged{part}", 0, 1, "COUNT", 9)
    assert Message(left).body == b"y"
    more = client.call("POP", f"g{part}", f"orders{part}", "COUNT", 1)
    assert len(more) == 1 and Message(more[0]).attributes["tag"] == b"eu"


def make():
    """Writes the folder of this version's format."""
    with Broker(*FLAGS) as broker:
        facts = [fill(broker.text(), "a")]
        assert broker.stop() == 0
        broker.start()
        facts.append(fill(broker.text(), "b"))
        broker.kill()
        name = os.path.join(GOLDEN, f"store-{FORMAT}")
        with tarfile.open(name + ".tar.xz", "w:xz", preset=9) as tar:
            for path in sorted(glob.glob(os.path.join(broker.data, "*", "*"))):
                if os.path.basename(path).startswith("LOG") or os.path.basename(path) == "LOCK":
                    continue
                info = tarfile.TarInfo(os.path.relpath(path, broker.data))
                with open(path, "rb") as f:
                    data = f.read()
                info.size, info.mode = len(data), 0o600
                tar.addfile(info, io.BytesIO(data))
        with open(name + ".json", "w", encoding="ascii") as f:
            json.dump(facts, f, indent=1)
            f.write("\n")
        broker.start()
    print(f"{name}.tar.xz: {os.path.getsize(name + '.tar.xz')} bytes")


def unpack(name, data):
    os.makedirs(data, mode=0o700)
    with tarfile.open(name) as tar:
        for member in tar.getmembers():
            assert member.isfile() and not member.name.startswith(("/", "..")), member.name
            tar.extract(member, data)


def test_golden_folders():
    names = sorted(glob.glob(os.path.join(GOLDEN, "store-*.tar.xz")))
    assert names
    for name in names:
        with open(name.replace(".tar.xz", ".json"), encoding="ascii") as f:
            facts = json.load(f)
        broker = Broker("--memory", "16MiB", started=False)
        with broker:
            unpack(name, broker.data)
            checked = subprocess.run([HALFMQD, "--check", "--data", broker.data], capture_output=True, text=True, timeout=120, check=False)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            broker.start()
            for part in facts:
                audit(broker.text(), part)
            assert broker.stop() == 0
            checked = subprocess.run([HALFMQD, "--check", "--data", broker.data], capture_output=True, text=True, timeout=120, check=False)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            broker.start()


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    else:
        sys.exit(run_tests(sys.modules[__name__]))
