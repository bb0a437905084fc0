#!/usr/bin/python3
"""verify.py: halfmq-bench verify, while the broker is killed again and again.

    verify.py --bin build/bin --kills 20               exit 0: nothing lost, doubled, reordered, damaged
    verify.py ... --batch 100                          the same with records of 100 messages, a DEDUP id each
    verify.py ... --halfmqd build/bin/tests/crash/halfmqd-broken --broken     exit 0: it told that messages are lost

The broker is killed (SIGKILL) at varying intervals, after the load has gone on again, and starts on the same
port and data. The result of halfmq-bench is kept as bench-results/verify.json or broken.json beside --bin.
"""
import argparse
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from suite.bench import Bench, lock  # noqa: E402
from suite.servers import Broken, HalfMQ  # noqa: E402

PAUSES = (0.4, 0.7, 1.1, 0.5, 0.9)  # seconds of load before a kill
STARTING_S = 0.6  # how much of the run a restart takes, at most
FLAWS = ("lost", "doubled", "reordered", "damaged")
SHOWN = ("messages", "errors", *FLAWS, "redelivered")


class OnOnePort(HalfMQ):
    """The clients must find it again."""

    def start(self):
        kept = getattr(self, "port", None)
        if kept is None:
            return super().start()
        return self.start_on(kept)


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--bin", default="build/bin", help="folder of halfmq-bench and halfmqd")
    p.add_argument("--halfmqd", help="another halfmqd")
    p.add_argument("--kills", type=int, default=20)
    p.add_argument("--batch", type=int, default=1, help="messages a record")
    p.add_argument("--broken", action="store_true", help="this halfmqd must be found out")
    return p.parse_args()


def kill_and_start(bench, broker, load, kills):
    """False: the load ended before all kills."""
    for i in range(kills):
        time.sleep(PAUSES[i % len(PAUSES)])
        if load.poll() is not None:
            return False
        broker.kill()
        took = broker.start()
        bench.say(f"kill {i + 1}: SIGKILL, ready again after {took * 1000:.0f} ms")
    return True


def run(a, bench, path):
    broker = OnOnePort(bench, "verify")
    if a.halfmqd:
        broker.program = os.path.abspath(a.halfmqd)
    seconds = sum(PAUSES[i % len(PAUSES)] + STARTING_S for i in range(a.kills)) + 2
    with broker:
        command = [bench.program("halfmq-bench"), "verify", "--port", str(broker.port), "--duration",
                   f"{seconds:.0f}s", "--batch", str(a.batch), "--json", path, "--quiet"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as load:
            try:
                whole = kill_and_start(bench, broker, load, a.kills)
                load.wait(seconds + 120)
            finally:
                load.kill()
    if not whole:
        raise Broken("the load ended before all kills were done")
    with open(path, encoding="utf-8") as f:
        return json.load(f), " ".join(["halfmq-bench", *command[1:3], "PORT", *command[4:8]])


def judge(result, broken):
    """What is wrong with the run, as a sentence; empty: it is as it should be."""
    if broken:
        return "" if result["lost"] > 0 else "the broker loses messages, and verify did not tell"
    found = [f"{n} {result[n]}" for n in FLAWS if result[n]]
    return ", ".join(found)


def main():
    a = options()
    beside = os.path.dirname(os.path.abspath(a.bin))
    bench = Bench(a.bin, os.path.join(beside, "bench-data"))
    results = os.path.join(beside, "bench-results")
    os.makedirs(results, exist_ok=True)
    try:
        held = lock(bench.data)
        os.makedirs(bench.data, exist_ok=True)
        result, command = run(a, bench, os.path.join(results, "broken.json" if a.broken else "verify.json"))
    except (Broken, OSError, subprocess.SubprocessError) as e:
        print(f"verify: {e}", file=sys.stderr)
        return 2
    held.close()
    print(f"{command}, {a.kills} x SIGKILL" + (", a broker broken on purpose" if a.broken else ""))
    counts = dict(result["counts"], **{k: result[k] for k in SHOWN if k in result})
    print("  ".join(f"{k} {counts[k]}" for k in SHOWN if k in counts))
    wrong = judge(result, a.broken)
    print(f"WRONG: {wrong}" if wrong else "as it should be: " + (
        "verify told that messages are lost" if a.broken else "nothing lost, doubled, reordered or damaged"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
