#!/usr/bin/python3
"""compare.py: HalfMQ beside Redis, same machine, same run, same load tester.

Both brokers run at once and take turns under redis-benchmark (SEND against XADD, 100-byte bodies, 50
connections, every write synced before its answer), so that a slow spell of the machine meets both. A
round is one pair; what is quoted is the median of the rounds' ratios. Then come the figures of HalfMQ
alone: resident memory, start, restart after SIGKILL.

To add a figure: a function that returns a row, and a line in main().
"""
import argparse
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

BODY = "x" * 100
LOADS = ((1, 100000), (16, 400000), (128, 1000000))  # pipeline depth, requests a round


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_ready(port, process, limit_s=30):
    """Seconds until PING is answered."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        if process.poll() is not None:
            sys.exit(f"bench: the server on port {port} ended with {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
                s.sendall(b"PING\r\n")
                if s.recv(64).startswith(b"+PONG"):
                    return time.monotonic() - began
        except OSError:
            time.sleep(0.001)
    sys.exit(f"bench: nothing answers on port {port}")


class HalfMQ:
    def __init__(self, bin_folder, data, *flags):
        self.program, self.data, self.flags = os.path.join(bin_folder, "halfmqd"), data, flags
        self.port, self.http = free_port(), free_port()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--port", str(self.port), "--http_port", str(self.http),
             "--data", self.data, *self.flags], stderr=subprocess.DEVNULL)
        return wait_ready(self.port, self.process)

    def rss_mb(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        return 0.0

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


class Redis:
    def __init__(self, data):
        self.port, self.data = free_port(), data

    def start(self):
        os.makedirs(self.data, exist_ok=True)
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "yes", "--appendfsync", "always", "--dir", self.data],
            stdout=subprocess.DEVNULL)
        return wait_ready(self.port, self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def load(port, depth, requests, *command):
    """One run of redis-benchmark: requests a second, p50 and p99 in ms."""
    out = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-c", "50", "-P", str(depth), "-n", str(requests),
         "--csv", *command], capture_output=True, text=True, timeout=300)
    cells = [c.strip('"') for c in out.stdout.strip().splitlines()[-1].split(",")]
    return float(cells[-7]), float(cells[-4]), float(cells[-2])


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def per_second(values):
    return f"{statistics.median(values) / 1000:.0f} k/s"


def compare_sends(args, broker, redis):
    print("\n| redis-benchmark -c 50, 100 B, fsync always | HalfMQ SEND | Redis XADD | ratio, median (min-max) "
          "| HalfMQ p50 / p99 ms | Redis p50 / p99 ms |\n|---|---|---|---|---|---|")
    for depth, requests in LOADS:
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(load(broker.port, depth, requests, "SEND", "bench", BODY))
            theirs.append(load(redis.port, depth, requests, "XADD", "bench", "*", "f", BODY))
            redis_trim(redis)
        ratios = [a[0] / b[0] for a, b in zip(ours, theirs)]
        print(f"| -P {depth} | {per_second([a[0] for a in ours])} | {per_second([b[0] for b in theirs])} "
              f"| {spread(ratios)} | {middle(ours, 1)} / {middle(ours, 2)} "
              f"| {middle(theirs, 1)} / {middle(theirs, 2)} |", flush=True)


def redis_trim(redis):
    """Redis keeps a stream in memory: dropped between rounds, so that both stay comparable."""
    subprocess.run(["redis-cli", "-p", str(redis.port), "DEL", "bench"], stdout=subprocess.DEVNULL)


def middle(rows, column):
    return f"{statistics.median(r[column] for r in rows):.2f}"


def compare_pings(args, broker, redis):
    for depth in (1, 128):
        ours = [load(broker.port, depth, 100000 * depth, "-t", "ping_mbulk")[0] for _ in range(args.rounds)]
        print(f"| PING -P {depth}, the ceiling | {per_second(ours)} | | | | |", flush=True)


def measure_alone(args, folder):
    broker = HalfMQ(args.bin, os.path.join(folder, "alone"), "--memory", args.memory)
    ready = broker.start()
    idle = broker.rss_mb()
    load(broker.port, 128, args.messages, "SEND", "bench", BODY)
    full = broker.rss_mb()
    broker.stop(signal.SIGKILL)
    again = broker.start()
    stored = broker.metric("halfmq_messages_in_total")
    after = broker.rss_mb()
    broker.stop()
    print(f"\n| HalfMQ alone, memory={args.memory} | |\n|---|---|")
    print(f"| ready on an empty folder | {ready * 1000:.0f} ms |\n| resident, idle | {idle:.1f} MB |")
    print(f"| resident after {args.messages:,} messages | {full:.1f} MB |")
    print(f"| ready after SIGKILL with them stored | {again * 1000:.0f} ms |")
    print(f"| resident after that restart | {after:.1f} MB |", flush=True)
    return stored


def environment():
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split()
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} x {cpu}, {platform.release()}, "
          f"Redis {redis[2] if len(redis) > 2 else '?'}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--bin", default="build/bin", help="folder of halfmqd (build/bin)")
    p.add_argument("--rounds", type=int, default=3, help="pairs of runs a row (3)")
    p.add_argument("--messages", type=int, default=2000000, help="messages for the memory figures (2,000,000)")
    p.add_argument("--memory", default="256MB", help="the broker's budget (256MB)")
    args = p.parse_args()
    folder = tempfile.mkdtemp(prefix="halfmq-bench-")
    broker, redis = HalfMQ(args.bin, os.path.join(folder, "halfmq")), Redis(os.path.join(folder, "redis"))
    try:
        environment()
        broker.start(), redis.start()
        compare_sends(args, broker, redis)
        compare_pings(args, broker, redis)
        broker.stop(), redis.stop()
        measure_alone(args, folder)
    finally:
        for server in (broker, redis):
            if getattr(server, "process", None) and server.process.poll() is None:
                server.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
