#!/usr/bin/python3
"""backup_steps.py: at each step of a backup, and of a restore, the step fails, or the process is killed.

    one backup that works ──► the sites of its calls (halfmqd-faulty, faulty.c) ──► for each: it fails, or SIGKILL ──► what is left?

After a failure the broker serves on, nothing is left, and the next BACKUP works. After a kill the next start deletes what was
left, and what BACKUP LIST shows can be restored. A restore that did not end lets no broker start, and is done again.
"""
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import BIN, HALFMQD, Broker, Refused, eventually, pairs, run_tests  # noqa: E402

FAULTY = os.environ.get("HALFMQD_FAULTY") or os.path.join(BIN, "tests", "crash", "halfmqd-faulty")
AT_MOST = int(os.environ.get("STEPS", "40"))
FLAGS = ("--memory", "16MiB", "--scrub_interval", "0")


class Faulty(Broker):
    def launch(self):
        with open(self.log, "ab") as log:
            self.seen = log.tell()
            self.process = subprocess.Popen(
                [FAULTY, "--port", "0", "--http_port", "0", "--data", self.data, *self.flags], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.folder, env=self.environment, preexec_fn=self.in_child)


def lines(path):
    with open(path, encoding="ascii") as f:
        return [line.split()[:2] for line in f]


def chosen(sites):
    """A site of each function, and others at random."""
    picked = {}
    for number, function in sites:
        picked.setdefault(function, number)
    rest = [number for number, function in sites if picked[function] != number]
    chance = random.Random(os.environ.get("HALFMQ_SEED", "1"))
    return list(picked.values()) + chance.sample(rest, min(len(rest), max(AT_MOST - len(picked), 0)))


def prepared():
    """A data folder with tables and a log, and the sites of a backup of it."""
    with Broker(*FLAGS) as broker:
        client = broker.text()
        for i in range(200):
            client.call("SEND", "t", f"{i}" * 50, "QUEUE", 0)
        broker.stop()
        broker.start()
        client = broker.text()
        for i in range(20):
            client.call("SEND", "t", f"{i}", "QUEUE", 0)
        broker.kill()
        folder = tempfile.mkdtemp(prefix="halfmq-test-")
        shutil.copytree(broker.data, os.path.join(folder, "data"))
        broker.start()
    faulty = Faulty(*FLAGS, environment={"FAULTY_LIST": os.path.join(folder, "sites")}, started=False)
    shutil.copytree(os.path.join(folder, "data"), faulty.data)
    with faulty:
        faulty.start()
        client = faulty.text()
        client.call("BACKUP", "LIST")
        before = len(lines(os.path.join(folder, "sites")))
        client.call("BACKUP", "b")
        sites = lines(os.path.join(folder, "sites"))[before:]
        path = os.path.join(faulty.data, "backups", "b")
        shutil.copytree(path, os.path.join(folder, "b"))
    return folder, sites


FOLDER, SITES = None, None


def setup():
    global FOLDER, SITES
    if not FOLDER:
        FOLDER, SITES = prepared()
        assert len(SITES) > 20, SITES


def left_over(data):
    return glob.glob(os.path.join(data, "backup.tmp*")) + glob.glob(os.path.join(data, "backups", ".*"))


def restores(path):
    other = Broker(*FLAGS, started=False)
    done = subprocess.run([HALFMQD, "--restore", path, "--data", other.data], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with other:
        other.start()
        assert len(other.text().call("READ", "t", 0, 0, "COUNT", 1000)) == 220


def life(site, kill):
    environment = {"FAULTY_SITE": site}
    if kill:
        environment["FAULTY_KILL"] = "1"
    broker = Faulty(*FLAGS, environment=environment, started=False)
    shutil.copytree(os.path.join(FOLDER, "data"), broker.data)
    return broker


def next_client(broker, site):
    """After a connection has ended: there was no memory for its reply, or the broker has ended. No backup b is there."""
    try:
        client = broker.text()
        done = eventually(lambda: unless_busy(client.call_value("BACKUP", "b")), "the backup has ended")
        assert not isinstance(done, Refused) or done.code == "EXISTS", f"site {site}: {done}"
        client.call("BACKUP", "DELETE", "b")
    except (EOFError, ConnectionError):
        assert broker.process.wait(60) in (1, 70), f"site {site}: {broker.process.returncode}"
        broker.environment.pop("FAULTY_SITE")
        broker.start()
        client = broker.text()
    return client


def unless_busy(answer):
    return None if isinstance(answer, Refused) and answer.code == "BUSY" else answer


def test_each_step_fails():
    setup()
    failed = 0
    for site in chosen(SITES):
        broker = life(site, False)
        with broker:
            try:
                broker.start()
            except AssertionError:  # it failed at the start already
                broker.environment.pop("FAULTY_SITE")
                broker.start()
                continue
            client = broker.text()
            try:
                answer = client.call_value("BACKUP", "b")
            except (EOFError, ConnectionError):
                client = next_client(broker, site)
                answer = Refused("ERR")
            if isinstance(answer, Refused):
                failed += 1
                assert answer.code in ("ERR", "BUSY", "DISKFULL", "DAMAGED"), f"site {site}: {answer}"
                assert not left_over(broker.data), f"site {site}: {left_over(broker.data)}"
                answer = client.call("BACKUP", "b")
            restores(pairs(answer)["path"].decode())
            assert client.call("PING") == "PONG"
    assert failed > 5


def test_killed_at_each_step():
    setup()
    killed = 0
    for site in chosen(SITES):
        broker = life(site, True)
        with broker:
            try:
                broker.start()
                answer = broker.text().call_value("BACKUP", "b")
                assert not isinstance(answer, Refused), answer
            except (EOFError, AssertionError, OSError):
                killed += 1
                broker.process.wait(60)
            if broker.runs():
                broker.kill()
            broker.environment = dict(os.environ)
            broker.start()
            assert not left_over(broker.data), f"site {site}: {left_over(broker.data)}"
            for found in broker.text().call("BACKUP", "LIST"):
                restores(pairs(found)["path"].decode())
            broker.text().call("BACKUP", "c")
    assert killed > 5


def test_a_restore_is_killed():
    setup()
    listed = os.path.join(FOLDER, "restore-sites")
    data = os.path.join(FOLDER, "new")
    words = [FAULTY, "--restore", os.path.join(FOLDER, "b"), "--data", data]
    done = subprocess.run(words, env=dict(os.environ, FAULTY_LIST=listed), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(data)
    for kill in (False, True):
        for site in chosen(lines(listed)):
            environment = dict(os.environ, FAULTY_SITE=site, **({"FAULTY_KILL": "1"} if kill else {}))
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode in ((0, 1) if not kill else (0, 1, -9)), f"site {site}: {done.returncode} {done.stderr}"
            if done.returncode == 1:
                assert "halfmqd: " in done.stderr, done.stderr
            complete = os.path.exists(os.path.join(data, "store", "CURRENT")) and os.path.exists(os.path.join(data, "wal"))
            if not complete:
                done = subprocess.run([HALFMQD, *words[1:]], capture_output=True, text=True, timeout=60, check=False)
                assert done.returncode == 0, f"site {site}: {done.stderr}"
            broker = Broker(*FLAGS, started=False)
            shutil.move(data, broker.data)
            with broker:
                broker.start()
                assert len(broker.text().call("READ", "t", 0, 0, "COUNT", 1000)) == 220, f"site {site}"


if __name__ == "__main__":
    status = run_tests(sys.modules[__name__])
    if FOLDER:
        shutil.rmtree(FOLDER, ignore_errors=True)
    sys.exit(status)
