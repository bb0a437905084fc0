#!/usr/bin/python3
"""test_wal.py: tests that the write-ahead log stays small however much is written to it, and that a killed broker
recovers all of it."""
import glob
import os
import re
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from broker import Broker, eventually, run_tests  # noqa: E402

MEMORY = 16 << 20
FLAGS = ("--memory", "16MiB", "--fsync", "interval")
BODY = 20000
AT_ONCE = 100


def body(n):
    return b"%d " % n + bytes((n + i) % 251 for i in range(64)) * (BODY // 64)


def send(broker, first, count):
    client = broker.text(timeout=120)
    for start in range(first, first + count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, first + count))
        client.send_raw(b"".join(b"*5\r\n$4\r\nSEND\r\n$1\r\nt\r\n$%d\r\n%s\r\n$5\r\nQUEUE\r\n$1\r\n0\r\n"
                                 % (len(body(n)), body(n)) for n in numbers))
        for n in numbers:
            assert client.read() == b"t:0:%d" % n, n
    client.close()


def check(broker, first, count):
    client = broker.text(timeout=120)
    for n in range(first, first + count):
        assert client.call("GET", "t:0:%d" % n)[1] == body(n), n
    client.close()


def wal_bytes(broker):
    """Returns the size of all files of the log. Files may be removed meanwhile."""
    total = 0
    for path in glob.glob(os.path.join(broker.data, "wal", "*.wal")):
        try:
            total += os.stat(path).st_size
        except FileNotFoundError:
            pass
    return total


def test_the_log_is_bounded():
    with Broker(*FLAGS) as broker:
        most = 0
        for n in range(0, 15000, 500):
            send(broker, n, 500)
            most = max(most, wal_bytes(broker))
        print(f"        most: {most / MEMORY:.2f} of the memory")
        assert 0 < most <= MEMORY, most
        broker.kill()
        assert wal_bytes(broker) <= MEMORY
        broker.start()
        check(broker, 0, 15000)
        send(broker, 15000, 500)
        check(broker, 14900, 600)


def test_killed_again_and_again():
    with Broker(*FLAGS) as broker:
        sent = 0
        for life in range(8):
            send(broker, sent, 37 + 211 * life)
            sent += 37 + 211 * life
            broker.kill()
            broker.start()
            check(broker, 0, sent)
        assert wal_bytes(broker) <= MEMORY
        assert broker.stop() == 0
        broker.start()
        check(broker, 0, sent)


def test_records_larger_than_a_file():
    with Broker("--memory", "16MiB") as broker:
        client = broker.text(timeout=120)
        for n in range(40):
            assert client.call("SEND", "t", b"%d" % n + b"x" * 3000000, "QUEUE", 0) == b"t:0:%d" % n
        broker.kill()
        broker.start()
        client = broker.text(timeout=120)
        for n in range(40):
            assert client.call("GET", "t:0:%d" % n)[1] == b"%d" % n + b"x" * 3000000
        assert wal_bytes(broker) <= 4 * MEMORY, wal_bytes(broker)


def refusal(broker):
    """Starts the broker, which must refuse with a sentence and exit 1. Returns what it said."""
    broker.launch()
    assert broker.process.wait(60) == 1
    return broker.read_log(broker.seen).decode()


def moved(broker, name):
    return os.path.join(broker.data, name), os.path.join(broker.folder, "away-" + name)


def test_a_missing_log_or_store_is_told():
    with Broker() as broker:
        send(broker, 0, 50)
        for name, wanted in (("wal", "is missing or empty"), ("store", "is missing, but its log")):
            broker.kill()
            there, away = moved(broker, name)
            os.rename(there, away)
            assert wanted in refusal(broker)
            os.makedirs(there, exist_ok=True)  # the mount point of what is not mounted
            assert wanted in refusal(broker)
            os.rmdir(there)
            os.rename(away, there)
            broker.start()
            check(broker, 0, 50)


def test_the_log_of_another_store_is_told():
    with Broker() as one, Broker() as other:
        send(one, 0, 20)
        send(other, 0, 30)
        one.kill()
        other.kill()
        for name in ("wal", "store"):
            there, away = moved(one, name)
            os.rename(there, away)
            os.rename(os.path.join(other.data, name), there)
            said = refusal(one)
            assert "belongs to another store" in said and "id " in said, said
            os.rename(there, os.path.join(other.data, name))
            os.rename(away, there)
        one.start()
        other.start()
        check(one, 0, 20)
        check(other, 0, 30)


def test_a_store_without_an_id_gets_one():
    with Broker() as broker:
        send(broker, 0, 20)
        path = os.path.join(broker.data, "store", "store.id")
        with open(path, "rb") as f:
            was = f.read()
        for damaged in (None, b"", was[:20], was.replace(b" ", b"_", 1)):
            broker.kill()
            os.unlink(path)
            if damaged is not None:
                with open(path, "wb") as f:
                    f.write(damaged)
            broker.start()
            check(broker, 0, 20)
            with open(path, "rb") as f:
                assert f.read() == was


def test_damage_in_the_log_is_told():
    with Broker() as broker:
        send(broker, 0, 30)
        client = broker.text()
        for n in range(30, 40):  # one group each
            assert client.call("SEND", "t", body(n), "QUEUE", 0) == b"t:0:%d" % n
        broker.kill()
        path = max(glob.glob(os.path.join(broker.data, "wal", "*.wal")), key=os.path.getsize)
        with open(path, "rb") as f:
            good = f.read()
        at = good.index(b"33 " + bytes((33 + i) % 251 for i in range(16)))
        with open(path, "wb") as f:
            f.write(good[:at] + b"x" + good[at + 1:])
        assert "cannot be read at byte" in refusal(broker)
        with open(path, "wb") as f:
            f.write(good)
        broker.start()
        check(broker, 0, 40)


def test_damage_in_the_last_record_is_told():
    with Broker() as broker:
        send(broker, 0, 1)
        path = max(glob.glob(os.path.join(broker.data, "wal", "*.wal")), key=os.path.getmtime)
        with open(path, "rb") as f:
            at = f.read().index(b"0 " + bytes(i % 251 for i in range(16)))
            end = (at + BODY) // 4096 * 4096 + 4096
            eventually(lambda: f.seek(end) and any(f.read(4096)), "the log says that the last record was synced")
        broker.kill()
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(b"1")
        assert "cannot be read at byte" in refusal(broker)
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(b"0")
        broker.start()
        check(broker, 0, 1)


def test_what_is_to_be_replayed_is_bounded():
    """Also where the store's write buffers would hold much more."""
    with Broker("--memory", "8GB", "--fsync", "interval", "--replay_max", "16MiB") as broker:
        for n in range(0, 4000, 100):
            send(broker, n, 100)
        with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/metrics") as page:
            written = int(re.search(rb"^halfmq_journal_groups_total (\d+)", page.read(), re.M).group(1))
        broker.kill()
        broker.start()
        left = int(re.search(rb'"replayed the log" groups=(\d+)', broker.read_log(broker.seen)).group(1))
        print(f"        {left} of {written} groups were left to be replayed")
        check(broker, 0, 4000)
        assert left < written * 3 / 4


def test_fsync_never_is_a_warning():
    with Broker() as broker:
        c = broker.text()
        c.call("CONFIG", "SET", "fsync", "interval")
        c.call("SEND", "t", "b")
        assert b"fsync is" not in broker.read_log()
        c.call("CONFIG", "SET", "fsync", "never")
        assert b'level=warn msg="fsync is never now' in broker.read_log(), broker.read_log()
        c.call("SEND", "t", "b")
        c.call("CONFIG", "SET", "fsync", "always")


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
