#!/usr/bin/python3
"""checks.py: how late check-backs are when many fall due at once. Only Python's own library.

    bench/checks.py [--bin build/bin] [--count 10000] [--window-ms 1000] [--way subscribe|serve]
                    [--rounds 3] [halfmqd's flags ...]

    HALF x count, due evenly over the window ──► one member counts what it is handed
                                                  late = handed over - due, of each in turn

Each round has a broker and a data folder of its own. It prints, for each round, when the first and the
last were handed over (from the start of the window) and how late they were: check-backs are handed out
in the order they fall due, so the n-th to arrive is held against the n-th due time.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

READY = re.compile(rb" addr=127\.0\.0\.1:(\d+) ")
AHEAD_S = 6  # time to store them in


class Broker:
    def __init__(self, folder, flags):
        self.folder = tempfile.mkdtemp(prefix="halfmq-checks-")
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [os.path.join(folder, "halfmqd"), "--port", "0", "--http_port", "0", "--data",
                 os.path.join(self.folder, "data"), "--check_every", "1h", *flags], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            with open(self.log, "rb") as log:
                text = log.read()
            ready = READY.search(text)
            if ready:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the broker did not start:\n" + text.decode(errors="replace"))
            time.sleep(0.01)
        self.port = int(ready.group(1))

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def words(*items):
    out = [b"*%d\r\n" % len(items)]
    for item in items:
        data = str(item).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(out)


def store_halfs(broker, count, window_ms):
    """Stores them; gives the wall-clock time of the window's start."""
    start = time.time() + AHEAD_S
    with broker.connect() as s, s.makefile("rb") as answers:
        for at in range(0, count, 500):
            part = range(at, min(at + 500, count))
            s.sendall(b"".join(
                words("HALF", "bench", "t", "x" * 100, "CHECKIN",
                      max(0, round((start + i * window_ms / 1000 / count - time.time()) * 1000)))
                for i in part))
            for _ in part:
                if not answers.readline().startswith(b"$"):
                    sys.exit("a HALF was refused")
                answers.readline()
    if time.time() > start:
        sys.exit("storing took too long here: lower --count")
    return start


# What makes the connection a member, and what each check-back holds once.
WAYS = {
    "subscribe": (words("SUBSCRIBE", "check:bench"), b'"txid":'),
    "serve": (b"\x94\x00\x01\xac" + b"checks_serve" + b"\x91\x81\xa6pgroup\xa5bench", b"\xa5check\x91"),
}


def take(member, mark, count):
    """Arrival times, one a check-back."""
    times, rest = [], b""
    while len(times) < count:
        data = rest + member.recv(1 << 20)
        now = time.time()
        found = data.count(mark)
        times += [now] * found
        end = data.rfind(mark) + len(mark) if found else 0
        rest = data[max(end, len(data) - len(mark) + 1):]
    return times


def round_of(options):
    broker = Broker(options.bin, options.flags)
    try:
        join, mark = WAYS[options.way]
        member = broker.connect()
        member.sendall(join)
        start = store_halfs(broker, options.count, options.window_ms)
        times = [t - start for t in take(member, mark, options.count)]
        member.close()
    finally:
        broker.close()
    step = options.window_ms / 1000 / options.count
    late = sorted(t - i * step for i, t in enumerate(times))
    quantile = lambda share: late[min(len(late) - 1, int(share * len(late)))] * 1000
    print(f"{options.way:10} {options.count} due in {options.window_ms} ms: first at {times[0]:.3f} s, "
          f"last at {times[-1]:.3f} s; late p50 {quantile(.5):.0f} ms, p90 {quantile(.9):.0f} ms, "
          f"most {late[-1] * 1000:.0f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description="How late check-backs are when many fall due at once.")
    parser.add_argument("--bin", default="build/bin", help="where halfmqd is")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--window-ms", type=int, default=1000)
    parser.add_argument("--way", choices=sorted(WAYS), action="append")
    parser.add_argument("--rounds", type=int, default=3)
    options, options.flags = parser.parse_known_args()
    for _ in range(options.rounds):
        for way in options.way or sorted(WAYS):
            round_of(argparse.Namespace(**{**vars(options), "way": way}))


if __name__ == "__main__":
    main()
