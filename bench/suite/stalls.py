"""stalls.py: what another client sees while one makes the broker work (attacks.py, bystander.py).

The figure of a row is the worst wait of a PING or of a synced SEND, in ms. A sync is in the SEND, so a disk that
stalls shows there; the row of nothing at all tells how much that is.
"""
import subprocess
import time

from suite.attacks import ATTACKS, Client, Failed
from suite.bystander import Bystander
from suite.loads import LOAD_SECONDS, halfmq_bench
from suite.servers import Broken, HalfMQ, free_port

AFTER_SECONDS = 0.2  # whoever waited since the attack ended counts


class Scene:
    def __init__(self, bench, broker, http_port):
        self.bench, self.port, self.http_port, self.scaled = bench, broker.port, http_port, bench.scaled
        self.c = Client(broker.port)

    def load(self, mode, *flags, may_be_busy=False):
        result, _ = halfmq_bench(self.bench, self.port, mode, *flags, may_fail=may_be_busy)
        return result


class Stall:
    """What came out: the bystander's Waits, the attack's own time, and what it says."""

    def __init__(self, bystander, seconds, note):
        self.ping, self.send, self.seconds, self.note = bystander.ping, bystander.send, seconds, note

    @property
    def worst(self):
        return max(self.ping.worst, self.send.worst)


def suffer(bench, name):
    attack, http_port = ATTACKS[name], free_port()
    try:
        with HalfMQ(bench, "stalls", "--http_port", str(http_port), *attack.flags) as broker:
            scene = Scene(bench, broker, http_port)
            steps = attack(scene)
            next(steps)
            with Bystander(broker.port) as bystander:
                began = time.monotonic()
                note = next(steps, "")
                seconds = time.monotonic() - began
                time.sleep(AFTER_SECONDS)
            return Stall(bystander, seconds, note)
    except (Failed, OSError, RuntimeError, subprocess.SubprocessError) as e:
        raise Broken(f"{name}: {e}")


def measure(bench):
    for name in ATTACKS:
        f = bench.figure("stall_" + name)
        f.fsync, f.side_unit = "fsync=" + ("never" if "never" in ATTACKS[name].flags else "always"), "ms"
        f.commands = [("HalfMQ", f"/usr/bin/python3 bench/stalls.py --only {name}")]
        stalls = [suffer(bench, name) for _ in range(bench.rounds)]
        for stall in stalls:
            bench.put("stall_" + name, stall.worst)
        worst = max(stalls, key=lambda s: s.worst)
        f.note = (f"In the worst round PING waited {worst.ping.worst:.1f} ms (p99 {worst.ping.p99:.1f}), SEND "
                  f"{worst.send.worst:.1f} (p99 {worst.send.p99:.1f}); the attack took {worst.seconds:.2f} s"
                  + (f"; {worst.note}" if worst.note else "") + ".")
