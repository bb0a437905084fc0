#!/usr/bin/python3
"""stalls.py: prints what another client waits while one does the worst that is known (bench/suite/attacks.py).

    /usr/bin/python3 bench/stalls.py [--only lag_many,metrics] [--broker build/bin/halfmqd] [--rounds 1]

Each attack has a broker of its own with the settings that ship. Data lies below the build folder.
"""
import argparse
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = HERE
sys.dont_write_bytecode = True

from suite.attacks import ATTACKS  # noqa: E402 (the path comes first)
from suite.bench import Bench, lock, raise_file_limit  # noqa: E402
from suite.servers import Broken  # noqa: E402
from suite.stalls import suffer  # noqa: E402

LINE = "{:14} {:>10} {:>10} {:>10} {:>10} {:>9}  {}"


class Setting(Bench):
    """A Bench whose halfmqd may be another one."""

    def __init__(self, broker, *args):
        super().__init__(*args)
        self.broker = broker

    def program(self, name):
        return self.broker if name == "halfmqd" and self.broker else super().program(name)


def options():
    p = argparse.ArgumentParser(description="What another client waits during each attack.")
    p.add_argument("--only", default="", help="attacks, with commas: " + " ".join(ATTACKS))
    p.add_argument("--broker", help="the halfmqd to attack (of --bin)")
    p.add_argument("--bin", default=os.path.join(os.path.dirname(HERE), "build", "bin"), help="folder of the programs")
    p.add_argument("--rounds", type=int, default=1, help="how often each attack is made (1)")
    a = p.parse_args()
    a.only = [x for x in a.only.split(",") if x] or list(ATTACKS)
    unknown = [x for x in a.only if x not in ATTACKS]
    if unknown:
        p.error(f"{unknown[0]!r} is none of: {' '.join(ATTACKS)}")
    return a


def main():
    a = options()
    data = os.path.join(os.path.dirname(os.path.abspath(a.bin)), "stalls-data")
    held, failed = lock(data), False
    os.makedirs(data, exist_ok=True)
    raise_file_limit()
    bench = Setting(a.broker and os.path.abspath(a.broker), a.bin, data)
    print(LINE.format("ms", "PING worst", "p99", "SEND worst", "p99", "attack s", "attack"), flush=True)
    for name in a.only * a.rounds:
        try:
            s = suffer(bench, name)
            print(LINE.format(name, f"{s.ping.worst:.1f}", f"{s.ping.p99:.1f}", f"{s.send.worst:.1f}",
                              f"{s.send.p99:.1f}", f"{s.seconds:.2f}",
                              ATTACKS[name].text + (f": {s.note}" if s.note else "")), flush=True)
        except Broken as e:
            failed = True
            print(f"{name:14} FAILED {e}", flush=True)
    shutil.rmtree(data, ignore_errors=True)
    held.close()
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as error:
        sys.exit(f"stalls.py: {error}")
