"""run.py: the command line of the suite, and the run itself.

    families in turn ──► rounds ──► figures ──► results.json, table.md, index.html after each family

When a family fails, its rows say why, and the other families go on. What an interrupted run has measured is
on disk. Exit status 0: every row was measured, whatever its figure; 1: some were not; 2: the suite could not
begin.
"""
import argparse
import json
import os
import shutil
import sys
import traceback

from suite import (batches, choosing, consume, crowds, latency, library, machine, memory, peers_rows, sends, stalls, start,
                   table, txn)
from suite.bench import Bench, lock, raise_file_limit
from suite.figure import Figure, show
from suite.page import page
from suite.rows import BY_KEY, ROWS, Row
from suite.servers import Broken

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FAMILIES = {
    "sends": sends, "batches": batches, "txn": txn, "consume": consume, "choosing": choosing, "library": library,
    "latency": latency, "memory": memory, "start": start, "crowds": crowds, "stalls": stalls, "peers": peers_rows,
}
PEER_NAMES = ("rocketmq", "kafka", "nats", "rabbitmq")
TOOLS = (("redis-server", "redis-server"), ("redis-benchmark", "redis-tools"))


def options():
    p = argparse.ArgumentParser(prog="bench/suite", description="The figures of bench/README.md.")
    p.add_argument("--bin", default=os.path.join(SOURCE, "build", "bin"), help="folder of the programs")
    p.add_argument("--out", help="folder of the results (bench-results beside --bin)")
    p.add_argument("--data", help="where brokers keep their data (bench-data beside --bin)")
    p.add_argument("--only", default="", help="families, with commas: " + " ".join(FAMILIES))
    p.add_argument("--rounds", type=int, default=3, help="rounds a row (3)")
    p.add_argument("--full", action="store_true", help="start and backlog with 50 million messages")
    p.add_argument("--scale", type=float, default=1.0, help="shorter runs for a try-out: 0.1; no figures then")
    p.add_argument("--peers", nargs="?", const=",".join(PEER_NAMES), default="",
                   help="run other brokers, too: " + ",".join(PEER_NAMES))
    p.add_argument("--peers-folder", default=os.environ.get("PEERS"),
                   help="where their distributions lie (PEERS, or peers beside --bin)")
    p.add_argument("--fetch", action="store_true", help="fetch those that are not there")
    p.add_argument("--readme", action="store_true",
                   help="measure nothing: write the last results into bench/README.md")
    a = p.parse_args()
    beside = os.path.dirname(os.path.abspath(a.bin))
    a.out = a.out or os.path.join(beside, "bench-results")
    a.data = a.data or os.path.join(beside, "bench-data")
    a.peers_folder = a.peers_folder or os.path.join(beside, "peers")
    a.only = [x for x in a.only.split(",") if x]
    a.peers = [x for x in a.peers.split(",") if x]
    check_names(p, a)
    return a


def check_names(parser, a):
    for given, known in ((a.only, FAMILIES), (a.peers, PEER_NAMES)):
        unknown = [x for x in given if x not in known]
        if unknown:
            parser.error(f"{unknown[0]!r} is none of: {' '.join(known)}")
    if a.rounds < 1 or a.scale <= 0:
        parser.error("--rounds and --scale must be above 0")


def chosen(a):
    names = a.only or [n for n in FAMILIES if n != "peers"]
    if a.peers and not a.only:
        names.append("peers")
    return [n for n in names if n != "peers" or a.peers]


def prepare(a):
    for tool, package in TOOLS:
        if not shutil.which(tool):
            raise Broken(f"{tool} is missing: apt-get install {package}")
    held = lock(a.data)
    shutil.rmtree(a.data, ignore_errors=True)
    os.makedirs(a.data)
    os.makedirs(a.out, exist_ok=True)
    bench = Bench(a.bin, a.data, a.rounds, a.full, a.scale)
    bench.peers, bench.peer_names, bench.fetch = a.peers_folder, a.peers, a.fetch
    bench.left_out, bench.lock = [], held
    bench.program("halfmqd"), bench.program("halfmq-bench"), bench.program("halfmq-rawdb")
    return bench


def run_family(bench, name):
    bench.say(f"--- {name}")
    failure = ""
    try:
        FAMILIES[name].measure(bench)
    except Broken as e:
        failure = str(e)
    except Exception as e:  # nor may a bug of the suite stop the other families
        traceback.print_exc()
        failure = f"{type(e).__name__}: {e}"
    for row in ROWS:
        f = bench.figure(row.key) if row.family == name else None
        if f and len(f.rounds) < bench.rounds and not f.failure:
            f.failure = failure or "its family ended without it"
    if failure:
        bench.say(f"FAILED {name}: {failure}")
    return failure


def in_order(bench):
    """The figures in the order of rows.py, then those of the peers in the order they were taken."""
    main = [bench.figures[row.key] for row in ROWS if row.key in bench.figures]
    return main + [f for key, f in bench.figures.items() if key not in BY_KEY]


def save(bench, a, facts):
    figures, sentence = in_order(bench), machine.sentence(facts)
    if a.scale != 1.0:
        sentence = f"A TRY-OUT at --scale {a.scale:g}, NO FIGURES. " + sentence
    texts = {
        "results.json": json.dumps({"machine": facts, "sentence": sentence, "left_out": bench.left_out,
                                    "figures": [f.as_dict() for f in figures]}, indent=1) + "\n",
        "table.md": table.markdown(figures, sentence, bench.left_out),
        "index.html": page(figures, sentence, bench.left_out),
    }
    for name, text in texts.items():
        path = os.path.join(a.out, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(path + ".new", path)


def load(path):
    with open(path, encoding="utf-8") as f:
        saved = json.load(f)
    figures = []
    for d in saved["figures"]:
        row = BY_KEY.get(d["key"]) or Row(d["key"], d["family"], d["work"], d["unit"], d["must"], d["aim"],
                                          d["less_is_better"])
        figures.append(Figure.from_dict(row, d))
    return figures, saved["sentence"], [tuple(x) for x in saved["left_out"]]


def write_readme(a, readme=os.path.join(SOURCE, "bench", "README.md")):
    figures, sentence, left_out = load(os.path.join(a.out, "results.json"))
    with open(readme, encoding="utf-8") as f:
        text = f.read()
    text = table.put_between_marks(text, table.markdown(figures, sentence, left_out))
    with open(readme, "w", encoding="utf-8") as f:
        f.write(text)
    print(f"{readme}: {len(figures)} rows written")


def tell(bench, a, failures):
    print()
    for f in in_order(bench):
        print(f"{f.verdict:12} {show(f.median, f.row.unit) or '-':>12}  {f.work}")
    print(f"\nResults: {a.out}/index.html, table.md, results.json")
    print("To put the table into bench/README.md: /usr/bin/python3 bench/suite --readme")
    for name, text in failures.items():
        print(f"NOT MEASURED WHOLLY: {name}: {text}")


def measure(a):
    files = raise_file_limit()
    bench = prepare(a)
    bench.say(f"open files: {files}; data in {a.data}")
    facts = machine.describe(bench, SOURCE)
    if facts["file_system"] in ("tmpfs", "ramfs"):
        bench.say("WARNING: the data folder is in memory: a sync costs nothing there. Give --data")
    failures = {}
    try:
        for name in chosen(a):
            failure = run_family(bench, name)
            if failure:
                failures[name] = failure
            save(bench, a, facts)
    except KeyboardInterrupt:
        failures["the rest"] = "interrupted"
    finally:
        shutil.rmtree(a.data, ignore_errors=True)
    save(bench, a, facts)
    tell(bench, a, failures)
    missing = [f for f in in_order(bench) if f.failure]
    return 1 if failures or missing else 0


def main():
    a = options()
    try:
        if a.readme:
            write_readme(a)
            return 0
        return measure(a)
    except (Broken, OSError, ValueError, KeyError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
