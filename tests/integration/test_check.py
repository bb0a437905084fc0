#!/usr/bin/python3
"""test_check.py: --check says nothing of a sound folder, and a line for each damage of one that is not."""
import glob
import os
import shutil
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import HALFMQD, Broker, Message, eventually, pairs, run_tests  # noqa: E402


def check(data, *flags):
    return subprocess.run([HALFMQD, "--check", "--data", data, *flags], capture_output=True, text=True, timeout=120, check=False)


def sound(data):
    done = check(data)
    assert done.returncode == 0 and "no damage" in done.stdout and "damaged:" not in done.stdout, done.stdout + done.stderr
    return done.stdout


def damages(data):
    done = check(data)
    assert done.returncode == 1, "nothing was found:\n" + done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("damaged: ")] or [done.stderr]


def life(client):
    """Everything that leaves rows behind."""
    for i in range(400):
        client.call("SEND", "t", f"{i} " + "x" * 300, "QUEUE", i % 2, "KEY", f"k{i}", "KEY", f"k{i}", "TTL", "1d" if i % 3 else "1h",
                    "PRIORITY", i % 10, "TAG", f"tag{i % 5}")
    client.call("MSEND", "m", *[f"m{i}" for i in range(50)])
    client.call_value("TOPIC", "CREATE", "z", "COMPRESS", "lz4")
    for i in range(50):
        client.call("SEND", "z", f"{i}" * 500, "ORDER", f"o{i % 3}")
    client.call_value("GROUP", "CREATE", "og", "z", "ORDERED")
    for group, topic in (("g", "t"), ("og", "z"), ("g", "m")):
        got = [Message(m).id for m in client.call("POP", group, topic, "COUNT", 20)]
        if got[:-3]:
            client.call("ACK", group, *got[:-3])
        if got:
            client.call("NACK", group, got[-1], "DELAY", "1h")
        if len(got) > 2:
            client.call("REJECT", group, got[-2])
    for i in range(10):
        txid = client.call("HALF", "pg", "t", "half" * 2000 if i % 2 else "half", "TTL", "1h", "KEY", "h")
        client.call("HALF", "pg", "m", "second", "TXN", txid)
        if i < 3:
            client.call("COMMIT", txid)
        elif i < 6:
            client.call("ROLLBACK", txid)
        elif i == 6:
            client.call("TXN", "EXTEND", txid, "2h")
    for i in range(5):
        client.call("SEND", "later", f"{i}", "DELAY", "1h")
    client.call("DELAYED", "CANCEL", client.call("SEND", "later", "x", "DELAY", "2h"))
    client.call("SEND", "p", "x", "KEY", "k", "TTL", "1h")
    client.call("TOPIC", "PURGE", "p")
    client.call("SEND", "p", "y", "KEY", "k", "TTL", "1h")
    client.call("POP", "gone", "p")
    client.call("GROUP", "DELETE", "gone")
    client.call("SEND", "gone", "x", "KEY", "k")
    client.call("POP", "g", "gone")
    client.call("TOPIC", "DELETE", "gone")
    client.call("GROUP", "SEEK", "g", "m", "earliest")
    client.call("POP", "g", "m", "COUNT", 3)
    client.call("DLQ", "REDRIVE", "g")
    client.call("PGROUP", "SET", "pg", "CHECKMAX", 3)
    client.call("ACL", "SETUSER", "ann", "on", ">secret", "+@read", "~t*")


def test_a_sound_folder():
    with Broker("--memory", "16MiB", "--checkin", "1h") as broker:
        done = check(broker.data)
        assert done.returncode == 1 and "another broker" in done.stderr, done.stderr
        for turn in range(3):
            life(broker.text())
            if turn == 1:  # young transactions have settled: each has a row for its next check
                client = broker.text()
                eventually(lambda: pairs(client.call("PGROUP", "INFO", "pg"))["oldest"], "they have settled")
            made = pairs(broker.text().call("BACKUP", f"b{turn}"))
            sound(made["path"].decode())
            broker.kill() if turn == 2 else broker.stop()
            before = {p: os.stat(p).st_mtime_ns for p in glob.glob(os.path.join(broker.data, "*", "*"))}
            said = sound(broker.data)
            assert " topics, " in said and "messages in" in said
            assert before == {p: os.stat(p).st_mtime_ns for p in glob.glob(os.path.join(broker.data, "*", "*"))}
            broker.start()


def test_folders_that_are_none():
    with Broker() as broker:
        for path, words in ((os.path.join(broker.folder, "none"), "there is no folder"), (broker.folder, "neither a data folder nor a backup")):
            done = check(path)
            assert done.returncode == 1 and words in done.stderr, done.stderr


def flipped(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 4]))


def test_each_damage_has_a_line():
    with Broker("--memory", "16MiB", "--checkin", "1h") as broker:
        life(broker.text())
        broker.stop()
        sound(broker.data)
        copy = os.path.join(broker.folder, "copy")
        missed = []
        for path in sorted(glob.glob(os.path.join(broker.data, "store", "*"))):
            name, size = os.path.basename(path), os.path.getsize(path)
            if name.startswith(("LOG", "LOCK", "OPTIONS", "IDENTITY", "store.id")) or size == 0:
                continue
            for at in (size // 5, size // 2):
                shutil.copytree(broker.data, copy)
                flipped(os.path.join(copy, "store", name), at)
                done = check(copy)
                if done.returncode == 0:
                    missed.append((name, at, size))
                shutil.rmtree(copy)
        # What only makes look-ups slower is not read: filters and the statistics of a table.
        assert not [m for m in missed if not m[0].endswith(".sst")], missed
        # Messages are named.
        blob = max(glob.glob(os.path.join(broker.data, "store", "*.blob")), key=os.path.getsize)
        shutil.copytree(broker.data, copy)
        flipped(os.path.join(copy, "store", os.path.basename(blob)), os.path.getsize(blob) // 2)
        assert any(word in line for line in damages(copy) for word in ("messages t:", "messages z:", "messages m:")), damages(copy)
        shutil.rmtree(copy)
        shutil.copytree(broker.data, copy)
        shutil.rmtree(os.path.join(copy, "wal"))
        assert "the log is missing" in damages(copy)[0]
        shutil.rmtree(copy)
        shutil.copytree(broker.data, copy)
        shutil.rmtree(os.path.join(copy, "store"))
        assert "the store is missing" in damages(copy)[0]
        broker.start()


def last_record(data):
    """The file of the log that is written to, and where its last byte is that is not zero."""
    path = max(glob.glob(os.path.join(data, "wal", "*.wal")), key=lambda p: int.from_bytes(open(p, "rb").read(16)[8:], "little"))
    with open(path, "rb") as f:
        content = f.read()
    return path, len(content.rstrip(b"\0")) - 1


def test_the_end_of_the_log():
    """After a clean stop, what is wrong there is damage; after a kill it is a torn end."""
    with Broker("--memory", "16MiB") as broker:
        client = broker.text()
        for i in range(10):
            client.call("SEND", "t", f"{i}")
        assert broker.stop() == 0
        sound(broker.data)
        broker.start()
        assert b"dropped_bytes=0" in broker.read_log(broker.seen), broker.read_log(broker.seen)
        client = broker.text()
        for i in range(10):
            client.call("SEND", "t", f"{i}")
        broker.stop()
        path, at = last_record(broker.data)
        flipped(path, at)
        assert "the log" in damages(broker.data)[0]
        broker.start()
        log = broker.read_log(broker.seen)
        assert b"the end of the log is damaged: it was whole at the last stop" in log, log
    with Broker("--memory", "16MiB") as broker:
        client = broker.text()
        for i in range(10):
            client.call("SEND", "t", f"{i}", "QUEUE", 0)
        broker.kill()
        path, at = last_record(broker.data)
        flipped(path, at)  # in the body: its head says how long it is
        broker.start()
        log = broker.read_log(broker.seen)
        assert b"at the last stop" not in log and b"dropped_bytes=" in log and b"dropped_bytes=0" not in log, log


def test_scrubbing():
    """A record that nobody asks for is found."""
    with Broker("--memory", "16MiB", "--scrub_interval", "0") as broker:
        client = broker.text()
        for i in range(100):
            client.call("SEND", "t", f"{i}" * 1000, "QUEUE", 0)
        broker.stop()
        blob = max(glob.glob(os.path.join(broker.data, "store", "*.blob")), key=os.path.getsize)
        flipped(blob, os.path.getsize(blob) // 2)
        broker.start()
        client = broker.text()
        info = client.call("INFO", "persistence").decode()
        assert "damaged_records:0" in info and "scrub_rounds:0" in info, info
        client.call("CONFIG", "SET", "scrub_interval", "1s")
        eventually(lambda: "scrub_rounds:0" not in client.call("INFO", "persistence").decode(), "the scrub comes round")
        info = client.call("INFO", "persistence").decode()
        assert "damaged_records:1\r" in info, info
        ranges = pairs(client.call("TOPIC", "INFO", "t"))["damaged"]
        assert len(ranges) == 1 and ranges[0].startswith(b"t:0:"), ranges
        assert b"messages t:0:" in broker.read_log(broker.seen)
        n = int(ranges[0].split(b":")[2].split(b"-")[0])
        assert client.refused("GET", f"t:0:{n}").code == "DAMAGED"
        client.call("TOPIC", "PURGE", "t")
        assert pairs(client.call("TOPIC", "INFO", "t"))["damaged"] == []


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
