#!/usr/bin/python3
"""full.py: a disk that is full at the start, while the broker runs, or when it stops, and too few descriptors: the
broker goes on, or ends with a sentence, and is never ended by a signal.

It needs a file system of its own, in a mount namespace that ends with the test. Where that is not allowed, only the
test of descriptors is run.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

from broker import ANSWER_SECONDS, Broker, Refused, eventually, run_tests  # noqa: E402 (the path comes first)

DISK = os.environ.get("FULL_DISK")  # the small file system
FILL = os.path.join(DISK or "", "fill")
FLAGS = ("--memory", "16MiB", "--disk_reserve", "0", "--data", os.path.join(DISK or "", "data"))


def leave(free):
    """Fills the disk but for so many bytes."""
    if os.path.exists(FILL):
        os.unlink(FILL)
    disk = os.statvfs(DISK)
    room = disk.f_bavail * disk.f_frsize - free
    try:
        with open(FILL, "wb", 0) as f:
            while room > 0:
                room -= f.write(bytes(min(room, 65536)))
    except OSError:
        pass


def clear():
    for path in os.listdir(DISK):
        path = os.path.join(DISK, path)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def ended_well(broker, status):
    """It was stopped as asked, or has said why it ended."""
    last = broker.read_log().splitlines()[-1]
    assert (status == 0 and b'msg="stopped"' in last) or \
        (status in (1, 70) and re.search(rb"level=error .*full", last)), (status, last)


def send_until_full(broker):
    """Returns how many were acknowledged."""
    c = broker.text()
    for i in range(10000):
        try:
            c.call("SEND", "t", b"x" * 3000, "QUEUE", "0")
        except (Refused, EOFError, OSError):
            return i
    raise AssertionError("the disk does not get full")


def starts_on_a_full_disk(free, end):
    clear()
    with Broker(*FLAGS) as broker:
        c = broker.text()
        for i in range(100):
            c.call("SEND", "t", b"x" * 5000, "QUEUE", "0")
        if end == "kill":
            broker.kill()
        else:
            assert broker.stop() == 0
        leave(free)
        broker.launch()
        log = lambda: broker.read_log(broker.seen)  # noqa: E731 (short)
        eventually(lambda: b'msg="ready"' in log() or not broker.runs(), "it starts, or ends")
        if broker.runs():
            broker.wait_until_ready()
            send_until_full(broker)
            ended_well(broker, broker.stop())
        else:
            ended_well(broker, broker.process.wait())
        os.unlink(FILL)
        broker.start()
        c = broker.text()
        for i in range(100):
            assert c.call("GET", f"t:0:{i}")[1] == b"x" * 5000, i


def test_full_at_the_start():
    if not DISK:
        return
    for free in (0, 4096, 65536, 300000, 1 << 20, 1200000):
        for end in ("kill", "stop"):
            starts_on_a_full_disk(free, end)


def test_full_when_it_stops():
    if not DISK:
        return
    clear()
    with Broker(*FLAGS) as broker:
        n = send_until_full(broker)
        leave(0)
        ended_well(broker, broker.stop())
        os.unlink(FILL)
        broker.start()
        assert broker.text().call("GET", f"t:0:{n - 1}")[1] == b"x" * 3000


def test_a_repeat_is_answered_while_full():
    """What was stored before the disk was full is answered again: the client must not take it for lost."""
    if not DISK:
        return
    clear()
    with Broker(*FLAGS[:2], "--disk_reserve", "2MiB", *FLAGS[4:]) as broker:
        c = broker.text()
        first = c.call("SEND", "t", "a", "DEDUP", "x")
        txid = c.call("HALF", "pg", "t", "b", "DEDUP", "x")
        send_until_full(broker)
        try:
            c.call("SEND", "t", "c", "DEDUP", "y")
            raise AssertionError("the disk is not full")
        except Refused as refused:
            assert "DISKFULL" in str(refused), refused
        assert c.call("SEND", "t", "a", "DEDUP", "x") == first
        assert c.call("HALF", "pg", "t", "b", "DEDUP", "x") == txid


def test_few_descriptors():
    """The clients get fewer connections, and the store may run out of descriptors. Then the log says why it ended."""
    with Broker("--memory", "16MiB") as broker:
        c = broker.text()
        used = len(os.listdir(f"/proc/{broker.process.pid}/fd"))
        subprocess.run(["prlimit", "--pid", str(broker.process.pid), f"--nofile={used + 2}:{used + 2}"], check=True)
        clients = [broker.text() for _ in range(200)]
        try:
            for i in range(20000):
                c.call("SEND", f"t{i % 20}", b"x" * 3000)
        except (EOFError, OSError):
            status, last = broker.process.wait(ANSWER_SECONDS), broker.read_log().splitlines()[-1]
            assert status == 70 and b"Too many open files" in last, (status, last)
            broker.start()
        for other in clients:
            other.close()


def test_an_assertion_ends_with_a_sentence():
    """RocksDB asserts that no write fails, in many places. They end in abort()."""
    with Broker() as broker:
        os.kill(broker.process.pid, signal.SIGABRT)
        status, last = broker.process.wait(ANSWER_SECONDS), broker.read_log().splitlines()[-1]
        assert status == 70 and last.startswith(b"level=error "), (status, last)
        broker.start()


def main():
    if DISK:
        sys.exit(run_tests(sys.modules[__name__]))
    with tempfile.TemporaryDirectory(prefix="halfmq-test-") as folder:
        inside = f"mount -t tmpfs -o size=16m tmpfs {folder} && FULL_DISK={folder} exec {sys.executable} {__file__}"
        if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            sys.exit(subprocess.run(["unshare", "-m", "sh", "-c", inside], check=False).returncode)
    sys.exit(run_tests(sys.modules[__name__]))


if __name__ == "__main__":
    main()
