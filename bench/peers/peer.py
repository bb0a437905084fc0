"""peer.py: what the drivers share: child processes, waiting for them, their testers' output."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import namedtuple
from contextlib import contextmanager

READY_SECONDS = 90

Work = namedtuple("Work", "key title fsync load")


class PeerFailed(Exception):
    """What went wrong with a peer or its tester, in one line."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Peer:
    name = title = ""

    def __init__(self, peers, data, seconds=16):
        """peers: where the distributions are; data: a folder to fill; seconds: how long a load runs."""
        self.home, self.data, self.seconds = os.path.join(peers, self.name), data, seconds
        self.processes = []
        self.turn = 0
        shutil.rmtree(data, ignore_errors=True)
        os.makedirs(data)

    @classmethod
    def missing(cls, peers):
        raise NotImplementedError

    def launch(self, command, log, environment=None, user=None):
        path = os.path.join(self.data, log)
        with open(path, "ab") as out:
            process = subprocess.Popen(command, cwd=self.data, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=out, env=environment, user=user,
                                       preexec_fn=die_with_parent)
        self.processes.append((process, path))
        return process

    def wait_for(self, condition, what):
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            for process, log in self.processes:
                if process.poll() is not None:
                    raise PeerFailed(f"{self.name} ended with {process.returncode}: {tail(log)}")
            if time.monotonic() > deadline:
                raise PeerFailed(f"{self.name}: {what} in vain for {READY_SECONDS} s")
            time.sleep(0.1)

    def load(self, command, seconds, environment=None, may_time_out=False):
        """Output of a tester. One that would go on for ever is stopped after its seconds."""
        with subprocess.Popen(command, cwd=self.data, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=environment,
                              preexec_fn=die_with_parent) as p:
            try:
                out, _ = p.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                p.kill()
                out, _ = p.communicate()
                if not may_time_out:
                    raise PeerFailed(f"{self.name}: its tester did not end in {seconds} s")
                return out
        if p.returncode != 0:
            raise PeerFailed(f"{self.name}: its tester ended with {p.returncode}: "
                             f"{(out.strip().splitlines() or ['it said nothing'])[-1]}")
        return out

    def rss_mb(self):
        """Of all processes that were started, and their children: some are started by a shell."""
        return sum(resident_mb(pid) for process, _ in self.processes for pid in with_children(process.pid))

    @contextmanager
    def paused(self):
        """It is stopped (SIGSTOP) meanwhile: some brokers go on working for minutes after a load."""
        pids = [pid for process, _ in self.processes for pid in with_children(process.pid)]
        send_all(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            send_all(pids, signal.SIGCONT)

    def stop(self):
        for process, _ in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        shutil.rmtree(self.data, ignore_errors=True)


def send_all(pids, what):
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            pass


def with_children(pid):
    """The process and all its descendants."""
    yield pid
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children = [int(x) for x in f.read().split()]
    except OSError:
        children = []
    for child in children:
        yield from with_children(child)


def resident_mb(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next((int(x.split()[1]) / 1024 for x in f if x.startswith("VmRSS")), 0.0)
    except OSError:  # it has just ended
        return 0.0


def tail(path):
    with open(path, "rb") as f:
        lines = f.read()[-2048:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"


def write(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
