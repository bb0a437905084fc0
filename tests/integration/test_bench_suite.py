#!/usr/bin/python3
"""test_bench_suite.py: tests that the suite of bench/ computes and shows the results of its rounds, and goes on when
a part of it fails. A short run against real servers shows that they still accept its loads."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import broker as lib  # noqa: E402

sys.path.insert(0, os.path.join(lib.SOURCE, "bench"))
import compress  # noqa: E402
import regress  # noqa: E402
import verify  # noqa: E402
from peers import kafka, nats, rabbitmq, rocketmq  # noqa: E402
from peers.peer import PeerFailed  # noqa: E402
from suite import loads, machine, page, rows, run, table  # noqa: E402
from suite.bench import Bench, lock  # noqa: E402
from suite.figure import Figure, Round  # noqa: E402
from suite.servers import Broken  # noqa: E402


def figure(key, *values):
    f = Figure(rows.BY_KEY[key])
    f.rounds = [Round(v, v * 10, 10.0) for v in values]
    f.commands = [("HalfMQ", "a <b> | c")]
    return f


def refused(function, *arguments, error=Broken):
    try:
        function(*arguments)
    except error as e:
        return str(e)
    raise AssertionError(f"{function.__name__} took {arguments!r}")


def test_the_figure_is_the_median_of_the_rounds_ratios():
    f = figure("send_16", 1.0, 9.0, 2.0)
    assert f.median == 2.0 and f.side("ours") == 20.0 and f.side("theirs") == 10.0


def test_verdicts_know_which_way_is_better():
    assert figure("send_1", 1.05).verdict == "below"
    assert figure("send_1", 1.1).verdict == "pass"
    assert figure("send_1", 1.3).verdict == "aim"
    assert figure("rss_load", 81).verdict == "below"
    assert figure("rss_load", 80).verdict == "pass"
    assert figure("rss_load", 72).verdict == "aim"
    assert figure("consume", 1e6).verdict == "short of aim"
    assert figure("ping_1", 1.0).verdict == "-"
    assert figure("send_1").verdict == "failed"


def test_every_row_has_its_family_and_a_section_of_the_page():
    titles = dict(page.TITLES)
    for row in rows.ROWS:
        assert row.family in run.FAMILIES and row.family in titles, row.key


def test_sides_take_turns_and_the_first_to_go_changes():
    bench = Bench("", "", rounds=3)
    bench.say = lambda text: None
    went = []
    bench.alternate("send_1", lambda: (went.append("a"), (20.0, "x"))[1],
                    lambda: (went.append("b"), (10.0, "y"))[1])
    assert went == ["a", "b", "b", "a", "a", "b"], went
    f = bench.figure("send_1")
    assert f.values == [2.0, 2.0, 2.0] and f.commands == [("HalfMQ", "x"), ("reference", "y")]


def test_compression_is_held_against_none_of_the_same_round():
    got = {"none": [(100, 1e6, 1, 2e6, 1), (100, 4e6, 1, 2e6, 1), (100, 2e6, 1, 2e6, 1)],
           "lz4": [(30, 1e6, 2, 2e6, 1), (30, 2e6, 2, 2e6, 1), (30, 1e6, 2, 2e6, 1)],
           "zstd": [(20, 1e6, 3, 1e6, 1), (20, 4e6, 3, 1e6, 1), (20, 2e6, 3, 1e6, 1)]}
    text = compress.table("a load", got, ("send", "consume"))
    assert "| none | 100.0 | 100 % | 2000 k/s | 1.00x (1.00 - 1.00) |" in text, text
    assert "| lz4 | 30.0 | 30 % | 1000 k/s | 0.50x (0.50 - 1.00) | 2.00 |" in text, text
    assert "| 1000 k/s | 0.50x (0.50 - 0.50) | 1.00 |" in text, text


def test_two_runs_do_not_share_a_folder():
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        held = lock(data)
        assert "another run" in refused(lock, data)
        held.close()
        lock(data).close()


def test_redis_benchmark_is_read_by_its_header():
    text = ('"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms",'
            '"p99_latency_ms","max_latency_ms"\n"XADD a, b","1000.5","1","2","3.25","4","5.5","6"\n')
    assert loads.parse_redis_benchmark(text) == (1000.5, 3.25, 5.5)
    refused(loads.parse_redis_benchmark, "")
    refused(loads.parse_redis_benchmark, "ERR something\n")


def test_the_peers_testers_are_read():
    assert rocketmq.parse_rates("Send TPS: 446 | Send MPS: 44622 | x\n Send TPS:  24 | y\n"
                                "Consume TPS: 5 | z\n") == [44622.0, 24.0, 5.0]
    refused(rocketmq.parse_rates, "no broker\n", error=PeerFailed)
    assert kafka.parse_produced("1 records sent, 10.5 records/sec (a)\n9 records sent, 20.5 records/sec\n"
                                ) == 20.5
    assert kafka.parse_consumed("start, end, a, b, c, d, e, f, g, h\n1, 2, 3, 4, 5, 6, 7, 8, 9, 363240.5\n"
                                ) == 363240.5
    refused(kafka.parse_consumed, "", error=PeerFailed)
    assert nats.parse_rate("NATS pub stats: 1,702 msgs/sec ~ 166 KiB/sec\n stats: 53 msgs/sec\n") == 1702
    assert rabbitmq.parse_rate(rabbitmq.SENT, "id: x, sending rate avg: 44123 msg/s\n") == 44123


def test_the_table_goes_between_its_marks_and_nowhere_else():
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    new = table.put_between_marks(text, "| a\\1 |\n")
    assert new == f"before\n{table.BEGIN}\n| a\\1 |\n{table.END}\nafter\n", new
    refused(table.put_between_marks, "no marks", "x", error=ValueError)
    with open(os.path.join(lib.SOURCE, "bench", "README.md"), encoding="utf-8") as f:
        table.put_between_marks(f.read(), "x")


def test_a_table_names_what_failed_and_what_is_below():
    failed = figure("batch")
    failed.failure = "the disk | is full"
    text = table.markdown([figure("send_1", 1.0), failed], "today.", [("NATS", "not fetched")])
    assert "**below**" in text and "not measured: the disk \\| is full" in text, text
    assert "NATS: not fetched" in text and "1.1x" in text and "1.3x" in text, text


def test_the_page_needs_no_network_and_escapes():
    text = page.page([figure("send_1", 1.0, 1.2), figure("rss_load", 70), figure("batch")], "today <b>", [])
    assert "http" not in text.replace("http-equiv", "") and "today &lt;b&gt;" in text
    assert text.count("<svg") == 2 and "a &lt;b&gt; | c" in text and "prefers-color-scheme: dark" in text


def test_results_come_back_from_their_file():
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench("", folder)
        bench.left_out = [("Kafka", "not fetched")]
        bench.figures["send_1"] = figure("send_1", 1.2, 1.4)
        args = type("", (), {"out": folder, "scale": 1.0})
        facts = dict.fromkeys(("date", "processors", "kernel", "file_system", "halfmq", "commit", "redis"),
                              "x")
        run.save(bench, args, dict(facts, memory_mb=1024, load_before=0.1))
        figures, sentence, left_out = run.load(os.path.join(folder, "results.json"))
        assert figures[0].as_dict() == bench.figures["send_1"].as_dict() and left_out == bench.left_out
        assert sentence == machine.sentence(dict(facts, memory_mb=1024, load_before=0.1))


def test_a_family_that_fails_costs_its_own_rows_only():
    bench = Bench("", "")
    bench.say = lambda text: None

    class Failing:
        @staticmethod
        def measure(bench):
            bench.put("send_1", 1.0)
            raise Broken("no disk")

    kept, run.FAMILIES["sends"] = run.FAMILIES["sends"], Failing
    try:
        assert run.run_family(bench, "sends") == "no disk"
    finally:
        run.FAMILIES["sends"] = kept
    assert bench.figure("send_16").failure == "no disk" and bench.figure("send_1").rounds


def test_callgrinds_file_is_read():
    head = "# callgrind format\nevents: Ir\nsummary: 12\n\nfn=(1) main\n"
    assert regress.parse_callgrind(head + "totals: 4567\n") == 4567
    assert regress.parse_callgrind(head) == 12
    refused(regress.parse_callgrind, "events: Ir\n", error=regress.Trouble)


def test_a_regression_is_told():
    lines = regress.compare({"a": 103.0, "b": 103.1, "c": 50.0}, {"a": 100.0, "b": 100.0, "c": 100.0})
    assert [x[4] for x in lines] == ["same", "WORSE", "better"] and regress.failed(lines)
    assert not regress.failed(regress.compare({"a": 90.0}, {"a": 100.0}))
    assert regress.failed(regress.compare({}, {"a": 1.0})), "a workload that vanished"
    assert regress.failed(regress.compare({"a": 1.0}, {})), "one that has no baseline"
    assert regress.judging({"send": 5000.0, "judge_default": 10.0, "judge_rules": 110.0}) == 2.0
    assert regress.judging({"send": 5000.0}) is None


def test_the_baseline_names_the_workloads_that_there_are():
    assert regress.parse_baseline(regress.write_baseline("cc 1", {"a": 1.5})) == ("cc 1", {"a": 1.5})
    refused(regress.parse_baseline, "send many\n", error=regress.Trouble)
    with open(regress.BASELINE, encoding="utf-8") as f:
        _, baseline = regress.parse_baseline(f.read())
    program = os.path.join(lib.BIN, "halfmq-regress")
    names = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(baseline) == sorted(names), (baseline, names)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([program, name, os.path.join(folder, "data")], capture_output=True,
                                  text=True, check=False)
            assert done.returncode == 0 and int(done.stdout) > 0, (name, done)


def test_a_broken_broker_must_be_found_out_and_a_sound_one_clean():
    clean = dict.fromkeys(verify.FLAWS, 0)
    assert verify.judge(clean, broken=False) == "" and verify.judge(clean, broken=True)
    for flaw in verify.FLAWS:
        assert flaw in verify.judge(dict(clean, **{flaw: 2}), broken=False)
    assert verify.judge(dict(clean, lost=1), broken=True) == ""
    assert verify.judge(dict(clean, doubled=1), broken=True), "that is another flaw than the one built in"


def test_verify_is_clean_over_kills():
    folder = tempfile.mkdtemp(prefix="halfmq-verify-")
    try:
        os.makedirs(os.path.join(folder, "bin"))
        for name in ("halfmqd", "halfmq-bench"):
            os.symlink(os.path.join(lib.BIN, name), os.path.join(folder, "bin", name))
        done = subprocess.run([sys.executable, os.path.join(lib.SOURCE, "bench", "verify.py"), "--bin",
                               os.path.join(folder, "bin"), "--kills", "2"], capture_output=True, text=True,
                              timeout=150, check=False)
        assert done.returncode == 0 and "lost 0" in done.stdout, done.stdout + done.stderr
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_short_run_measures_every_row_it_was_asked_for():
    folder = tempfile.mkdtemp(prefix="halfmq-suite-")
    try:
        done = subprocess.run(
            [sys.executable, os.path.join(lib.SOURCE, "bench", "suite"), "--bin", lib.BIN, "--out", folder,
             "--data", os.path.join(folder, "data"), "--scale", "0.01", "--rounds", "1", "--only",
             "sends,batches,txn,consume,latency"], capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(os.path.join(folder, "results.json"), encoding="utf-8") as f:
            saved = json.load(f)
        keys = {d["key"] for d in saved["figures"]}
        assert keys == {r.key for r in rows.ROWS if r.family in ("sends", "batches", "txn", "consume", "latency")}
        assert all(d["median"] > 0 and d["commands"] for d in saved["figures"]), saved
        assert "TRY-OUT" in saved["sentence"]
        beside = {d["key"]: {c["side"]: c["command"].split() for c in d["commands"]} for d in saved["figures"]}
        ours, ideal = beside["p99_group"]["HalfMQ"], beside["p99_group"]["reference"]
        assert ideal[:2] == ["halfmq-rawdb", "group"] and beside["p99"]["reference"][1] == "fsync", beside
        assert ours[ours.index("--rate") + 1] == ideal[ideal.index("--rate") + 1], "both at one rate"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(lib.run_tests(sys.modules[__name__]))
