#!/usr/bin/python3
"""test_backup.py: BACKUP while clients write, --restore, and what a broker on the restored folder has.

    load ──► every acknowledged id is noted ──► BACKUP ──► all noted before ──► load goes on
                                                  └─► --restore ──► a second broker ──► the audit
"""
import glob
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import HALFMQD, Broker, Message, Refused, Text, eventually, pairs, run_tests  # noqa: E402


def restore(source, data):
    return subprocess.run([HALFMQD, "--restore", source, "--data", data], capture_output=True, text=True, timeout=120,
                          check=False)


def taken(client, name):
    return pairs(client.call("BACKUP", name))


class Restored(Broker):
    """A broker on what was restored from a backup."""

    def __init__(self, source, *flags):
        super().__init__(*flags, started=False)
        done = restore(source, self.data)
        assert done.returncode == 0, done.stderr
        self.said = done.stdout
        self.start()


class Load(threading.Thread):
    """Sends until it is stopped. sent: the ids that were acknowledged, with their bodies."""

    def __init__(self, port, topic, queue):
        super().__init__()
        self.port, self.topic, self.queue = port, topic, queue
        self.sent, self.over = {}, threading.Event()
        self.start()

    def run(self):
        client = Text(self.port)
        n = 0
        while not self.over.is_set():
            for _ in range(8):
                client.send("SEND", self.topic, f"{self.queue}/{n}", "QUEUE", self.queue, "KEY", f"k{n}", "TTL", "1h")
                n += 1
            for i in range(n - 8, n):
                self.sent[client.read().decode()] = f"{self.queue}/{i}".encode()
        client.close()

    def stop(self):
        self.over.set()
        self.join()


def read_all(client, topic, queues=4):
    """Every message of a topic. Offsets have no gaps, bodies are those of their place."""
    found = {}
    for queue in range(queues):
        at = 0
        while True:
            batch = [Message(m) for m in client.call("READ", topic, queue, at, "COUNT", 1000)]
            if not batch:
                break
            for m in batch:
                assert m.offset == at, f"{m} where {at} should be"
                found[m.id] = m.body
                at += 1
    return found


def fill(client):
    """Something of each kind. Returns what the audit asks for."""
    facts = {}
    for i in range(30):
        client.call("SEND", "orders", f"o{i}", "QUEUE", 0, "KEY", f"order-{i}")
    facts["leased"] = [Message(m).id for m in client.call("POP", "g", "orders", "COUNT", 10, "LEASE", "1h")]
    assert client.call("ACK", "g", *facts["leased"][:4]) == 4
    client.call("NACK", "g", facts["leased"][4], "DELAY", "1h")
    client.call("REJECT", "g", facts["leased"][5], "REASON", "broken")
    facts["pending"] = client.call("HALF", "pg", "orders", "half")
    facts["committed"] = client.call("HALF", "pg", "orders", "whole")
    facts["ids"] = client.call("COMMIT", facts["committed"])
    facts["rolledback"] = client.call("HALF", "pg", "orders", "never")
    client.call("ROLLBACK", facts["rolledback"])
    facts["token"] = client.call("SEND", "later", "tomorrow", "DELAY", "1d")
    facts["dedup"] = client.call("SEND", "orders", "once", "DEDUP", "d1")
    client.call("PGROUP", "SET", "pg", "CHECKIN", "2h")
    client.call("TOPIC", "CREATE", "packed", "COMPRESS", "zstd")
    for i in range(20):
        client.call("SEND", "packed", f"{i}" * 400)
    return facts


def audit(client, facts):
    assert pairs(client.call("TXN", "INFO", facts["pending"]))["state"] == b"pending"
    assert client.call("COMMIT", facts["committed"]) == facts["ids"]
    assert client.refused("COMMIT", facts["rolledback"]).code == "TXNCONFLICT"
    assert client.call("SEND", "orders", "once", "DEDUP", "d1") == facts["dedup"]
    assert [m[0] for m in client.call("DELAYED", "LIST", "later")] == [facts["token"]]
    assert client.call("DELAYED", "CANCEL", facts["token"]) == 1
    assert client.call("ACK", "g", *facts["leased"][:4]) == 0
    assert client.call("ACK", "g", facts["leased"][6]) == 1
    letters = client.call("DLQ", "LIST", "g")[1]
    assert [Message(m).body for m in letters] == [b"o5"], letters
    assert pairs(client.call("PGROUP", "INFO", "pg"))["checkin"] == 7200000
    assert sorted(read_all(client, "packed").values()) == sorted(f"{i}".encode() * 400 for i in range(20))
    found = client.call("FIND", "orders", "KEY", "order-7")
    assert [Message(m).body for m in found] == [b"o7"], found


def test_everything_acknowledged_before_is_in_it():
    with Broker() as broker:
        client = broker.text()
        facts = fill(client)
        loads = [Load(broker.port, "load", queue) for queue in range(4)]
        eventually(lambda: all(len(load.sent) > 200 for load in loads), "messages are sent")
        for name in ("first", "second"):
            before = {}
            for load in loads:
                before.update(list(load.sent.items()))
            made = taken(client, name)
            during = {}
            for load in loads:
                during.update(list(load.sent.items()))
            with Restored(made["path"].decode()) as other:
                assert f"up to command {made['index']}" in other.said
                c = other.text()
                found = read_all(c, "load")
                missing = [i for i in before if i not in found]
                assert not missing, f"{len(missing)} of {len(before)} are missing: {missing[:5]}"
                for i, body in found.items():
                    queue, n = body.split(b"/")
                    assert i == f"load:{queue.decode()}:{int(n)}", f"{i} has the body {body}"
                if name == "first":
                    audit(c, facts)
                # Ids go on.
                offset = max(int(i.split(":")[2]) for i in found if i.startswith("load:2:")) + 1
                assert c.call("SEND", "load", "new", "QUEUE", 2).decode() == f"load:2:{offset}"
                assert int(c.call("HALF", "pg", "orders", "x")) > int(facts["pending"])
                c.close()
                assert other.stop() == 0
                other.start()  # what was restored has a log of its own by now
                c = other.text()
                assert len(read_all(c, "load")) == len(found) + 1
        for load in loads:
            load.stop()
        assert len(read_all(client, "load")) >= sum(len(load.sent) for load in loads)


def test_names_lists_and_deletes():
    with Broker() as broker:
        client = broker.text(hello="3")
        assert client.call("BACKUP", "LIST") == []
        for bad in ("a/b", "..", ".", ".hidden", "a..b", "", "x" * 128, "%a", "a b"):
            assert client.refused("BACKUP", bad).code == "BADNAME", bad
            assert client.refused("BACKUP", "DELETE", bad).code == "BADNAME", bad
        assert client.refused("BACKUP", "DELETE", "none").code == "ERR"
        client.call("SEND", "t", "x")
        made = client.call("BACKUP", "nightly")
        assert list(made) == ["path", "bytes", "files", "linked", "index", "seconds"], made
        assert made["path"].decode() == os.path.join(broker.data, "backups", "nightly")
        assert client.refused("BACKUP", "nightly").code == "EXISTS"
        client.call("BACKUP", "b-2")
        listed = client.call("BACKUP", "LIST")
        assert [m["name"] for m in listed] == [b"b-2", b"nightly"]
        assert list(listed[1]) == ["name", "path", "bytes", "files", "index", "created"]
        for field in ("path", "bytes", "files", "index"):
            assert listed[1][field] == made[field], field
        sizes = sum(os.path.getsize(p) for p in glob.glob(os.path.join(made["path"].decode(), "*", "*")))
        assert sizes == made["bytes"], (sizes, made)
        for folder, _, files in os.walk(made["path"].decode()):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
            for name in files:
                assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o077 == 0, name
        assert client.call("BACKUP", "DELETE", "nightly") == "OK"
        assert not os.path.exists(made["path"])
        assert [m["name"] for m in client.call("BACKUP", "LIST")] == [b"b-2"]
        assert sorted(os.listdir(os.path.join(broker.data, "backups"))) == ["b-2"]
        assert client.call("BACKUP", "nightly")["index"] >= made["index"]
        assert client.refused("BACKUP").code == "ERR"
        client.call("MULTI")
        assert client.refused("BACKUP", "x").code == "ERR"
        client.call("DISCARD")
        # Replies keep their order.
        client.send("BACKUP", "b-3")
        client.send("SEND", "t", "y")
        client.send("PING")
        assert client.read()["index"] > 0 and client.read().startswith(b"t:") and client.read() == "PONG"


def test_one_at_a_time():
    with Broker() as broker:
        client = broker.text()
        for i in range(200):
            client.call("SEND", "t", "x" * 100000)
        others = [broker.text() for _ in range(6)]
        for i, other in enumerate(others):
            other.send("BACKUP", f"b{i}")
        replies = [other.read_value() for other in others]
        codes = [r.code for r in replies if isinstance(r, Refused)]
        assert codes and set(codes) == {"BUSY"}, replies
        assert len(replies) - len(codes) == len(client.call("BACKUP", "LIST")) >= 1


def test_another_folder_for_backups():
    """It is made where it is missing, and may be on another file system: then nothing is linked."""
    elsewhere = tempfile.mkdtemp(prefix="halfmq-test-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        with Broker("--backup_dir", os.path.join(elsewhere, "a", "b")) as broker:
            client = broker.text()
            for i in range(3):
                client.call("SEND", "t", "x" * 1000)
            assert broker.stop() == 0
            broker.start()
            client = broker.text()
            client.call("SEND", "t", "behind")
            made = taken(client, "b")
            same = os.stat(elsewhere).st_dev == os.stat(broker.data).st_dev
            assert same or made["linked"] == 0, made
            assert made["path"].decode() == os.path.join(elsewhere, "a", "b", "b")
            with Restored(made["path"].decode()) as other:
                assert len(read_all(other.text(), "t")) == 4
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


def test_restore_refuses():
    with Broker() as broker:
        client = broker.text()
        for i in range(300):
            client.call("SEND", "t", f"{i}" * 20, "KEY", i)
        assert broker.stop() == 0  # so that there are tables
        broker.start()
        client = broker.text()
        client.call("SEND", "t", "last")
        made = taken(client, "b")["path"].decode()
        full = os.path.join(broker.folder, "full")
        os.mkdir(full)
        with open(os.path.join(full, "mine"), "w", encoding="ascii") as f:
            f.write("x")
        done = restore(made, full)
        assert done.returncode == 1 and "not empty" in done.stderr and os.listdir(full) == ["mine"], done.stderr
        done = restore(made, broker.data)
        assert done.returncode == 1 and "not empty" in done.stderr, done.stderr
        done = restore(os.path.join(broker.folder, "none"), os.path.join(broker.folder, "new"))
        assert done.returncode == 1 and "is not a backup" in done.stderr, done.stderr
        assert not os.path.exists(os.path.join(broker.folder, "new"))
        done = restore(broker.data, os.path.join(broker.folder, "new"))
        assert done.returncode == 1 and "is not a backup" in done.stderr, done.stderr
        files = sorted(glob.glob(os.path.join(made, "*", "*"))) + [os.path.join(made, "backup.manifest")]
        assert len(files) > 5
        for path in files:
            copy = os.path.join(broker.folder, "copy")
            for how in ("flip", "cut", "gone"):
                shutil.copytree(made, copy)
                hit = os.path.join(copy, os.path.relpath(path, made))
                with open(hit, "r+b") as f:
                    size = os.path.getsize(hit)
                    f.seek(size // 2)
                    byte = f.read(1)
                    f.seek(size // 2)
                    f.write(bytes([byte[0] ^ 1]) if byte else b"x")
                    if how == "cut":
                        f.truncate(max(size - 1, 0))
                if how == "gone":
                    os.unlink(hit)
                if os.path.getsize(path) > 0 or how != "cut":
                    done = restore(copy, os.path.join(broker.folder, "new"))
                    assert done.returncode == 1, f"{how} {path} was restored"
                    assert "damaged" in done.stderr or "not a backup" in done.stderr, done.stderr
                    assert not os.path.exists(os.path.join(broker.folder, "new")), (how, path)
                shutil.rmtree(copy)


def test_a_restore_that_did_not_end():
    with Broker() as broker:
        client = broker.text()
        client.call("SEND", "t", "x")
        made = taken(client, "b")["path"].decode()
        data = os.path.join(broker.folder, "new")
        for left in ((), ("wal",)):
            os.makedirs(os.path.join(data, "restore.tmp", "store"))
            for name in left:
                os.makedirs(os.path.join(data, name))
            refused = subprocess.run([HALFMQD, "--data", data, "--port", "0", "--http_port", "0"], capture_output=True,
                                     text=True, timeout=60, check=False)
            assert refused.returncode == 1 and "did not end" in refused.stderr, refused.stderr
            done = restore(made, data)
            assert done.returncode == 0, done.stderr
            assert sorted(os.listdir(data)) == ["lock", "store", "wal"], os.listdir(data)
            shutil.rmtree(data)


def test_leftovers_are_deleted_at_the_start():
    with Broker() as broker:
        backups = os.path.join(broker.data, "backups")
        broker.text().call("BACKUP", "keep")
        broker.kill()
        for left in (os.path.join(broker.data, "backup.tmp"), os.path.join(broker.data, "backup.tmp.tmp"),
                     os.path.join(backups, ".halfmq-b.tmp")):
            os.makedirs(os.path.join(left, "store"))
            with open(os.path.join(left, "store", "f"), "w", encoding="ascii") as f:
                f.write("x")
        os.makedirs(os.path.join(backups, "mine"))
        broker.start()
        assert sorted(os.listdir(backups)) == ["keep", "mine"]
        assert not glob.glob(os.path.join(broker.data, "backup.tmp*"))
        assert [pairs(m)["name"] for m in broker.text().call("BACKUP", "LIST")] == [b"keep"]


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
