"""loads.py: the programs that make the load, each as a function that returns its figures.

    redis_benchmark(bench, port, depth, n, *words)     requests a second, p50 ms, p99 ms
    halfmq_bench(bench, port, mode, *flags)            the JSON of halfmq-bench
    rawdb(bench, mode, folder, *flags)                 the JSON of halfmq-rawdb

Each returns (figures, command): the command is the line a reader can repeat, with the port as PORT.
What a program says when it fails is in the Broken that is raised.
"""
import csv
import json
import os
import shlex
import subprocess

from suite.servers import Broken

BODY = "x" * 100
LOAD_SECONDS = 300


def run(command, what, may_fail=False, seconds=LOAD_SECONDS):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Broken(f"{what} took more than {seconds} s")
    except OSError as e:
        raise Broken(f"{what} cannot be run: {e}")
    if done.returncode != 0 and not may_fail:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["it said nothing"]
        raise Broken(f"{what} ended with {done.returncode}: {last[0]}")
    return done.stdout


def parse_redis_benchmark(text):
    """The last line of `redis-benchmark --csv`: requests a second, p50 and p99 in ms. The columns are
    found by the header line where there is one (redis-tools 6.2 and later)."""
    rows = [r for r in csv.reader(text.strip().splitlines()) if len(r) >= 2]
    if not rows:
        raise Broken("redis-benchmark printed no figures")
    header, last = rows[0], rows[-1]
    try:
        at = [header.index(name) - len(header) for name in ("rps", "p50_latency_ms", "p99_latency_ms")]
        return tuple(float(last[i]) for i in at)
    except (ValueError, IndexError):
        raise Broken(f"redis-benchmark printed what is not understood: {','.join(last)[:120]}")


def redis_benchmark(bench, port, depth, n, *words, clients=50, keys=0):
    flags = ["-c", str(clients), "-P", str(depth), "-n", str(bench.scaled(n))]
    if keys:
        flags += ["-r", str(keys)]
    out = run(["redis-benchmark", "-p", str(port), *flags, "--csv", *words], "redis-benchmark")
    shown = ["<100 bytes>" if w == BODY else w for w in words]
    return parse_redis_benchmark(out), " ".join(["redis-benchmark", "-p PORT", *flags, *shown])


def halfmq_bench(bench, port, mode, *flags, may_fail=False, seconds=LOAD_SECONDS):
    """may_fail: some requests may be refused; the result counts them. seconds: how long it may take."""
    path = os.path.join(bench.data, "load.json")
    words = [mode, *flags]
    run([bench.program("halfmq-bench"), *words, "--port", str(port), "--json", path, "--quiet"],
        f"halfmq-bench {mode}", may_fail, seconds)
    with open(path, encoding="utf-8") as f:
        result = json.load(f)
    if result.get("failure") or (result["errors"] and not may_fail):
        raise Broken(f"halfmq-bench {mode}: {result.get('failure') or result['troubles']}")
    return result, "halfmq-bench " + shlex.join(words)


def rawdb(bench, mode, folder, *flags):
    out = run([bench.program("halfmq-rawdb"), mode, "--data", folder, *flags], f"halfmq-rawdb {mode}")
    return json.loads(out), "halfmq-rawdb " + shlex.join([mode, *flags])
