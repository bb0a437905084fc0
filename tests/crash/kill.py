#!/usr/bin/python3
"""kill.py [rounds]: kills the broker under load with SIGKILL, and checks everything that it has acknowledged.
See rounds.py."""
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

import rounds  # noqa: E402 (the path comes first)

ROUNDS = 5


def crash(broker, chance):
    """Mostly SIGKILL, sometimes an orderly stop, which must keep the same promises."""
    if chance.random() < 0.1:
        broker.stop()
    else:
        broker.kill()


if __name__ == "__main__":
    sys.exit(rounds.run(ROUNDS, crash))
