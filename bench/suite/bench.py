"""bench.py: what every family needs: where programs and data are, and where it adds its rounds.

    bench.figure("txn")                 the Figure of a row
    bench.alternate("txn", a, b)        the rounds of a ratio: a() and b() in turns, the first to go changes
    bench.say("text")                   a progress line

Data lies below the build folder and not in /tmp, which may be memory: a sync there costs nothing.
"""
import fcntl
import os
import resource
import sys
import time

from suite import rows
from suite.figure import Figure, Round, show
from suite.servers import Broken

FILES_WANTED = 16000  # 10,000 connections, and the store's files


def lock(data):
    """Allows one run at a time: two would disturb each other, and share a folder. Held until the end."""
    os.makedirs(os.path.dirname(os.path.abspath(data)), exist_ok=True)
    file = open(data + ".lock", "w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Broken(f"another run is using {data}: wait for its end, or give another --data")
    return file


class Bench:
    def __init__(self, bin_folder, data, rounds=3, full=False, scale=1.0):
        self.bin, self.data = bin_folder, data
        self.rounds, self.full, self.scale = rounds, full, scale
        self.began = time.monotonic()
        self.figures = {}

    def program(self, name):
        path = os.path.join(self.bin, name)
        if not os.path.exists(path):
            raise Broken(f"{path} is missing: run `make build` first")
        return path

    def scaled(self, n):
        """A number of requests; --scale makes a trial run shorter."""
        return max(1000, int(n * self.scale))

    def seconds(self, s):
        """A duration as a flag, scaled likewise."""
        return f"{max(0.5, s * self.scale):g}s"

    def figure(self, key):
        if key not in self.figures:
            self.figures[key] = Figure(rows.BY_KEY[key])
        return self.figures[key]

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", file=sys.stderr, flush=True)

    def put(self, key, value, ours=None, theirs=None):
        f = self.figure(key)
        f.rounds.append(Round(value, ours, theirs))
        sides = "" if theirs is None else (f"   {show(ours, f.side_unit)} over "
                                           f"{show(theirs, f.side_unit)}")
        self.say(f"{key} round {len(f.rounds)}: {show(value, f.row.unit)}{sides}")

    def alternate(self, key, ours, theirs, rounds=None):
        """ours() and theirs() return (number, command). The order changes from round to round, so that
        neither side always finds the disk as the other left it."""
        f = self.figure(key)
        commands = {}
        for i in range(rounds or self.rounds):
            order = [("HalfMQ", ours), ("reference", theirs)]
            got = {}
            for side, load in order if i % 2 == 0 else reversed(order):
                got[side], commands[side] = load()
            if not got["reference"]:
                raise Broken("the reference measured 0")
            self.put(key, got["HalfMQ"] / got["reference"], got["HalfMQ"], got["reference"])
        f.commands = [("HalfMQ", commands["HalfMQ"]), ("reference", commands["reference"])]


def raise_file_limit():
    """Raises the soft limit to what the bench needs; returns the limit that was reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_WANTED:
        try:  # root may raise the hard limit, too
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_WANTED, FILES_WANTED))
            return FILES_WANTED
        except (ValueError, OSError):
            pass
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
