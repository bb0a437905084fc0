#!/usr/bin/python3
"""test_wal.py: tests that the write-ahead log stays small however much is written to it, and that a killed broker
recovers all of it."""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from broker import Broker, run_tests  # noqa: E402

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


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
