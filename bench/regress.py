#!/usr/bin/python3
"""regress.py: instructions per operation of fixed work, against the baseline in the repository.

    regress.py --bin build/bin            a table; exit status 1 where something costs more than it may
    regress.py --bin build/bin --update   writes bench/regress.baseline anew
    regress.py --bin build/bin send read  these workloads only

halfmq-regress does the work, valgrind's callgrind counts. Instructions do not depend on what else the
machine does, so one percent is seen, where a stopwatch needs ten. They are no time: a change that saves
cache misses or system calls shows nothing here; the suite is for that. They do depend on the compiler and
on the libraries: the baseline says with which it was taken, and with others it is only a hint.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "regress.baseline")
MEASURED = "regress_measured"
RUN_SECONDS = 600
RUNS = 3
TOLERANCE_PERCENT = 3.0
JUDGING_PERCENT = 2.0  # of a SEND, that its user's rules may cost
HEAD = """# Instructions per operation, by bench/regress.py --update. Workload, then instructions; an operation is one
# command or one message (bench/probe/regress.c). Taken with: """


class Trouble(Exception):
    """What cannot be measured or read, in a sentence."""


def parse_callgrind(text):
    """Instructions collected in all: the line `totals:`, or `summary:` in files that lack it."""
    for word in ("totals", "summary"):
        found = re.search(rf"^{word}: (\d+)", text, re.M)
        if found:
            return int(found.group(1))
    raise Trouble("callgrind's file has neither totals nor summary")


def parse_baseline(text):
    """(what it was taken with, {workload: instructions per operation})."""
    taken_with = re.search(r"Taken with: (.*)", text)
    found = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, number = line.split()
            found[name] = float(number)
        except ValueError:
            raise Trouble(f"the baseline has a line that is no workload and number: {line!r}")
    return (taken_with.group(1).strip() if taken_with else ""), found


def write_baseline(tools, measured):
    return HEAD + tools + "\n" + "".join(f"{name} {value:.1f}\n" for name, value in measured.items())


def compare(measured, baseline, tolerance=TOLERANCE_PERCENT):
    """Lines (workload, instructions, baseline, change in percent, verdict). A workload that only one side has is a
    failure too: if it vanished, nobody would notice its regressions."""
    lines = []
    for name, now in measured.items():
        before = baseline.get(name)
        change = None if before is None else round((now / before - 1) * 100, 3)
        verdict = ("new" if change is None else "WORSE" if change > tolerance else
                   "better" if change < -tolerance else "same")
        lines.append((name, now, before, change, verdict))
    lines += [(name, None, before, None, "GONE") for name, before in baseline.items() if name not in measured]
    return lines


def failed(lines):
    return any(line[4] in ("WORSE", "GONE", "new") for line in lines)


def show(lines):
    print(f"{'workload':14} {'instructions':>14} {'baseline':>12} {'change':>8}")
    for name, now, before, change, verdict in lines:
        print(f"{name:14} {'-' if now is None else f'{now:.1f}':>14} "
              f"{'-' if before is None else f'{before:.1f}':>12} "
              f"{'' if change is None else f'{change:+.1f} %':>8}  {verdict}")


def judging(measured):
    """What the rules of a user cost, in percent of a SEND; None where that was not measured."""
    if not {"send", "judge_default", "judge_rules"} <= measured.keys():
        return None
    return (measured["judge_rules"] - measured["judge_default"]) / measured["send"] * 100


def show_judging(percent):
    verdict = "TOO MUCH" if percent > JUDGING_PERCENT else "as promised"
    print(f"\nA user with ten rules costs {percent:.2f} % of a SEND more than one without: {verdict} "
          f"(at most {JUDGING_PERCENT:g} %)")


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or ["?"])[0]


def tools():
    """What the numbers depend on besides our code."""
    return "; ".join((first_line("cc", "--version"), first_line("valgrind", "--version"),
                      "RocksDB " + first_line("pkg-config", "--modversion", "rocksdb"),
                      "msgpack " + first_line("pkg-config", "--modversion", "msgpack")))


def measure(program, name):
    """The least of some runs: RocksDB draws the heights of its lists by chance, which costs up to 3 %."""
    return min(measure_once(program, name) for _ in range(RUNS))


def measure_once(program, name):
    """Instructions per operation of one workload."""
    folder = tempfile.mkdtemp(prefix="halfmq-regress-")
    out = os.path.join(folder, "callgrind.out")
    try:
        done = subprocess.run(
            ["valgrind", "--quiet", "--tool=callgrind", "--collect-atstart=no",
             f"--toggle-collect={MEASURED}", f"--callgrind-out-file={out}", program, name,
             os.path.join(folder, "data")], capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        if done.returncode != 0:
            raise Trouble(f"{name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        with open(out, encoding="utf-8") as f:
            instructions = parse_callgrind(f.read())
        if instructions == 0:
            raise Trouble(f"{name}: nothing was collected; is {MEASURED} a function of the program?")
        return instructions / int(done.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_all(program, names):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(lambda name: measure(program, name), names)))


def run(a):
    program = os.path.join(a.bin, "halfmq-regress")
    if not shutil.which("valgrind"):
        raise Trouble("valgrind is missing: apt-get install valgrind")
    if not os.path.exists(program):
        raise Trouble(f"{program} is missing: run `make build` first")
    known = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    names = a.workloads or known
    unknown = [n for n in names if n not in known]
    if unknown:
        raise Trouble(f"there is no workload {unknown[0]!r}; these are: {' '.join(known)}")
    measured = measure_all(program, names)
    if a.update:
        with open(BASELINE, "w", encoding="utf-8") as f:
            f.write(write_baseline(tools(), measured))
    with open(BASELINE, encoding="utf-8") as f:
        taken_with, baseline = parse_baseline(f.read())
    if a.workloads:
        baseline = {n: v for n, v in baseline.items() if n in names}
    lines = compare(measured, baseline, a.tolerance)
    show(lines)
    if taken_with != tools():
        print(f"\nThe baseline is only a hint here. It was taken with: {taken_with}\nThis is: {tools()}")
    percent = judging(measured)
    if percent is not None:
        show_judging(percent)
    return 1 if failed(lines) or (percent or 0) > JUDGING_PERCENT else 0


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--bin", default=os.path.join(os.path.dirname(HERE), "build", "bin"))
    p.add_argument("--update", action="store_true", help="write the baseline; say why in the commit")
    p.add_argument("--tolerance", type=float, default=TOLERANCE_PERCENT,
                   help=f"percent that a workload may cost more ({TOLERANCE_PERCENT:g})")
    p.add_argument("workloads", nargs="*")
    a = p.parse_args()
    if a.update and a.workloads:
        p.error("--update writes the whole baseline: name no workloads")
    try:
        return run(a)
    except (Trouble, OSError, subprocess.SubprocessError) as e:
        print(f"regress: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
