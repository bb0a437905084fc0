#!/usr/bin/python3
"""test_failing_writes.py: tests that the broker ends with an error message when the disk refuses writes, and that
everything it has acknowledged is there after a restart.

A limit on the size of files, set on the running broker, simulates the disk: from then on the log cannot grow, as on
a disk that is full or broken.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from broker import Broker, Refused, eventually, run_tests  # noqa: E402

BODY = b"x" * 10000
STORE_FAILED = 70  # the exit status


def send_until_it_ends(broker, first, most):
    """Sends messages until the broker ends. Returns the ids that it has acknowledged."""
    client, ids = broker.text(), []
    try:
        for n in range(first, first + most):
            ids.append(client.call("SEND", "t", b"%d " % n + BODY, "QUEUE", 0))
    except (OSError, Refused, EOFError, AssertionError):
        pass
    return ids


def test_nothing_is_acknowledged_that_is_not_on_disk():
    with Broker() as broker:
        first = send_until_it_ends(broker, 0, 100)
        assert len(first) == 100
        subprocess.run(["prlimit", "--pid", str(broker.process.pid), "--fsize=2000000"], check=True)
        ids = first + send_until_it_ends(broker, 100, 5000)
        eventually(lambda: not broker.runs(), "the broker gives up")
        assert broker.process.returncode == STORE_FAILED, broker.process.returncode
        log = broker.read_log().decode(errors="replace")
        assert "the store cannot write" in log and "hint=" in log, log[-2000:]
        broker.start()
        client = broker.text()
        for offset, message_id in enumerate(ids):
            assert message_id == b"t:0:%d" % offset, message_id
            found = client.call("GET", message_id)
            assert found is not None and found[1].startswith(b"%d " % offset), message_id
        assert client.call("SEND", "t", "goes on", "QUEUE", 0).startswith(b"t:0:")


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
