"""servers.py: the brokers that are measured, as child processes that cannot outlive the suite.

    with HalfMQ(bench, "alone", "--memory", "64MB") as broker:
        broker.port, broker.rss_mb(), broker.peak_mb()
        broker.kill(); seconds = broker.start()

Each has a folder of its own below the bench's data folder, which is removed at the end of the with block.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time

READY_SECONDS = 120
STOP_SECONDS = 120
SETTLE_SECONDS = 60
SETTLED_SECONDS, SETTLED_CPU = 3, 0.03  # idle: for this long it used no more than this share of a processor


class Broken(Exception):
    """Something the bench needs does not work; the text says what."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def pings(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(b"PING\r\n")
            return s.recv(64).startswith(b"+PONG")
    except OSError:
        return False


class Server:
    name = "server"

    def __init__(self, bench, folder):
        self.folder = os.path.join(bench.data, folder)
        self.log = self.folder + ".log"
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def command(self):
        raise NotImplementedError

    def start(self):
        """Seconds until it answers PING."""
        return self.start_on(free_port())

    def start_on(self, port):
        self.port = port
        with open(self.log, "ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=die_with_parent)
        while time.monotonic() - began < READY_SECONDS:
            if pings(self.port):
                return time.monotonic() - began
            if self.process.poll() is not None:
                raise Broken(f"{self.name} ended with {self.process.returncode}: {self.last_words()}")
            time.sleep(0.001)
        raise Broken(f"{self.name} did not answer in {READY_SECONDS} s: {self.last_words()}")

    def last_words(self):
        with open(self.log, "rb") as f:
            lines = f.read()[-4096:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"

    def status_mb(self, field):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) / 1024
        raise Broken(f"{self.name} is gone")

    def rss_mb(self):
        return self.status_mb("VmRSS")

    def peak_mb(self):
        """The most memory that was resident since the process began."""
        return self.status_mb("VmHWM")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            user, system = f.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def settle(self):
        """Waits until the server has finished its work in the background, which is mostly compaction."""
        quiet, end = 0, time.monotonic() + SETTLE_SECONDS
        while quiet < SETTLED_SECONDS and time.monotonic() < end:
            before = self.cpu_seconds()
            time.sleep(1)
            quiet = quiet + 1 if self.cpu_seconds() - before < SETTLED_CPU else 0

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Broken(f"{self.name} did not stop in {STOP_SECONDS} s after SIGTERM")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.alive():
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.exists(self.log):
            os.remove(self.log)


class HalfMQ(Server):
    name = "halfmqd"

    def __init__(self, bench, folder, *flags):
        super().__init__(bench, folder)
        self.program, self.flags = bench.program("halfmqd"), flags

    def command(self):
        return [self.program, "--port", str(self.port), "--http_port", "0", "--data", self.folder,
                "--fsync", "always", *self.flags]


class Redis(Server):
    name = "redis-server"

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "yes", "--appendfsync", "always", "--dir", self.folder]

    def forget(self):
        """Drops the stream: Redis keeps all of it in memory, and all rounds must begin alike."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as s:
            s.sendall(b"DEL bench\r\n")
            s.recv(64)
