#!/usr/bin/python3
"""test_bench.py: tests halfmq-bench against a real broker, against one that is killed, and against one that lies.

Nothing here asserts how fast something is. The tests count: every message that was sent must be received, and an
open-loop load must notice a stall of a fifth of a second, however slow the machine is.
"""
import json
import os
import re
import resource
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import msgpack  # noqa: E402
import records  # noqa: E402
from broker import BIN, Broker, Refused, eventually, run_tests  # noqa: E402

BENCH = os.path.join(BIN, "halfmq-bench")
RAWDB = os.path.join(BIN, "halfmq-rawdb")


def bench(*words, port=None, expect=0, timeout=120):
    """Runs halfmq-bench. Returns the parsed --json and everything that was printed."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        where = ["--port", str(port), "--json", file.name, "--quiet"] if port else []
        done = subprocess.run([BENCH, *map(str, words), *where], capture_output=True, text=True,
                              timeout=timeout, check=False)
        printed = done.stdout + done.stderr
        assert done.returncode == expect, f"exit {done.returncode}, not {expect}: {words}\n{printed}"
        text = file.read()
        return (json.loads(text) if text else None), printed


def clean(result):
    for name in ("errors", "lost", "doubled", "reordered", "damaged"):
        assert result[name] == 0, f"{name} is {result[name]}: {result['troubles']}"


def total(broker, topic):
    """Returns how many messages are stored in a topic."""
    info = broker.text(hello=3).call("TOPIC", "INFO", topic)
    return info["messages"]


def test_help_and_version():
    _, text = bench("--help")
    assert text.startswith("Usage: halfmq-bench")
    assert "Little" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    for flag in ("--dialect", "--batch", "--rate", "--assert", "--hdr", "--undecided", "--key-count"):
        assert flag in text, flag
    _, text = bench("--version")
    assert re.fullmatch(r"halfmq-bench \d+\.\d+\.\d+\n", text)


def test_wrong_usage():
    wrong = (["fly"], ["send", "--nothing"], ["send", "--size", "-1"], ["send", "--connections"], [],
             ["send", "--assert", "p99"], ["send", "--topic", "a b"], ["send", "--body", "xml"], ["compare", "one.json"],
             ["e2e", "--size", "8"], ["send", "--inflight", "2", "--connections", "4"],
             ["send", "more"], ["send", "--dialect", "redis"], ["redis", "--of", "txn"],
             ["send", "--batch", "99999"], ["send", "--via", "air"], ["e2e", "--via", "lib"],
             ["send", "--priority", "0-12"], ["consume", "--filter", "n = 3"], ["e2e", "--filter", "TAG a"], ["redis", "--ordered"],
             ["verify", "--priority", "0-9"], ["txn", "--tags", "3"],
             ["txn", "--via", "lib", "--undecided", "5%"], ["send", "--via", "lib", "--connections", "65"])
    for words in wrong:
        _, text = bench(*words, expect=2)
        assert text.startswith("halfmq-bench: "), text


def test_nobody_there():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        _, text = bench("send", port=s.getsockname()[1], expect=1)
    assert "is it running?" in text


def test_send_counts():
    with Broker() as broker:
        ways = (["--batch", "100"], ["--dialect", "resp", "--batch", "7"], ["--size", "10-300"],
                ["--keys", "zipf", "--batch", "10"], ["--dedup"], ["--dedup", "--batch", "50"], ["--threads", "3"], ["--size", "0"],
                ["--connections", "1", "--inflight", "1"])
        for i, words in enumerate(ways):
            result, _ = bench("send", "--topic", f"t{i}", "--messages", 1003, *words,
                              port=broker.port)
            clean(result)
            assert result["messages"] == 1003 == total(broker, f"t{i}"), words
            assert result["messages_per_s"] > 0
            assert result["latency_us"]["count"] == 1003
            for name in ("p50", "p90", "p99", "p999", "max"):
                assert result["latency_us"][name] > 0


def test_result_is_complete():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        files = {kind: os.path.join(folder, "out." + kind) for kind in ("html", "csv", "hdr")}
        flags = [word for kind, file in files.items() for word in ("--" + kind, file)]
        result, text = bench("send", "--duration", "1500ms", "--rate", 500, "--warmup", "300ms",
                             "--ramp", "200ms", *flags, port=broker.port)
        assert "open loop" in text
        clean(result)
        assert 700 <= result["messages"] <= 760  # as many as start in 1.5 s at 500 a second
        assert result["settings"]["rate"] == 500
        for name in ("processors", "kernel", "server_version", "server_fsync", "server_filesystem"):
            assert result["environment"][name], name
        assert result["environment"]["server_fsync"] == "always"
        assert result["seconds"] and "server_rss_bytes" in result["seconds"][0]
        assert result["curve"][-1][0] == 1
        with open(files["csv"], encoding="utf-8") as f:
            rows = f.read().splitlines()
        assert len(rows) == 1 + len(result["seconds"]) and rows[0].startswith("second,messages_per_s")
        with open(files["hdr"], encoding="utf-8") as f:
            assert "1/(1-Percentile)" in f.readline()
        with open(files["html"], encoding="utf-8") as f:
            page = f.read()
        inside = re.search(r'<script type="application/json" id="result">(.*?)</script>', page, re.S).group(1)
        assert json.loads(inside)["messages"] == result["messages"]
        assert not re.search(r'(src|href)="?http', page), "the page must not need the network"


def test_consume_takes_exactly():
    with Broker() as broker:
        bench("send", "--messages", 3000, "--batch", 100, port=broker.port)
        result, _ = bench("consume", "--group", "g", "--batch", 64, "--messages", 2500,
                          port=broker.port)
        clean(result)
        assert result["messages"] == 2500
        lag = broker.text(hello=3).call("LAG", "g")[0]
        assert (lag["ready"], lag["inflight"]) == (500, 0), lag
        result, _ = bench("consume", "--group", "g", "--messages", 500, "--dialect", "resp",
                          "--work", "10us", port=broker.port)
        assert result["messages"] == 500 and result["ack_us"]["count"] > 0
        assert broker.text(hello=3).call("LAG", "g")[0]["lag"] == 0


def test_through_the_library():
    with Broker() as broker:
        ways = ([], ["--batch", "100", "--inflight", "16"], ["--keys", "zipf"], ["--dedup", "--size", "10-300"],
                ["--threads", "2", "--connections", "5"], ["--threads", "4", "--batch", "10"], ["--connections", "1", "--inflight", "1"], ["--rate", "20k", "--size", "50k"])
        for i, words in enumerate(ways):
            result, text = bench("send", "--via", "lib", "--topic", f"t{i}", "--messages", 1003, *words,
                                 port=broker.port)
            clean(result)
            assert "libhalfmq" in text
            assert result["messages"] == 1003 == total(broker, f"t{i}"), words
            assert result["bytes_per_s"] > 0 and result["latency_us"]["count"] > 0
        result, _ = bench("consume", "--via", "lib", "--topic", "t1", "--group", "g", "--messages", 1003,
                          "--connections", 2, port=broker.port)
        clean(result)
        assert result["messages"] == 1003
        result, _ = bench("consume", "--via", "lib", "--topic", "t2", "--group", "g", "--messages", 1003,
                          "--connections", 4, "--threads", 1, port=broker.port)
        clean(result)
        assert result["messages"] == 1003
        assert all(x["lag"] == 0 for x in broker.text(hello=3).call("LAG", "g"))
        result, _ = bench("txn", "--via", "lib", "--topic", "x", "--messages", 300, "--rollback", "20%", port=broker.port)
        clean(result)
        assert result["transactions"] == 300
        assert 300 // 16 <= result["latency_us"]["count"] <= 300  # the library's mode times one transaction in 16
        assert 0 < result["counts"]["rolled_back"] == 300 - total(broker, "x")


def test_through_the_library_on_a_killed_broker():
    with Broker() as broker:
        port = broker.port
        process = subprocess.Popen([BENCH, "send", "--via", "lib", "--messages", "1M", "--dedup", "--batch", "10",
                                    "--quiet", "--port", str(port), "--json", "-"], stdout=subprocess.PIPE, text=True)
        eventually(lambda: b"bench" in broker.text(hello=3).call("TOPIC", "LIST") and total(broker, "bench") > 1000,
                   "messages are stored")
        broker.kill()
        broker.flags = (*broker.flags, "--port", str(port))
        broker.start()
        printed, _ = process.communicate(timeout=120)
        result = json.loads(printed)
        clean(result)
        assert process.returncode == 0 and result["messages"] == 1000000 == total(broker, "bench")


def test_bodies_and_compression():
    with Broker() as broker:
        c = broker.text(hello=3)
        bench("send", "--topic", "z", "--messages", 200, "--batch", 50, "--size", 200, "--body", "json",
              "--compress", "zstd", "--queues", 1, port=broker.port)
        assert c.call("TOPIC", "INFO", "z")["compress"] == b"zstd"
        bodies = [message[1] for message in c.call("READ", "z", 0, 0, "COUNT", 200)]
        assert len({body[32:] for body in bodies}) > 150
        assert all(body[32:].startswith(b'{"order":') and len(body) == 200 for body in bodies)
        result, _ = bench("consume", "--topic", "z", "--group", "g", "--messages", 200, port=broker.port)
        clean(result)
        _, text = bench("send", "--topic", "y", "--messages", 1, "--compress", "gzip", port=broker.port,
                        expect=1)
        assert "gzip" in text and c.call("TOPIC", "LIST") == [b"z"]


def test_both_wires_say_the_same():
    with Broker() as broker:
        for sent in ("binary", "words"):
            for taken in ("binary", "words"):
                topic = f"{sent}-{taken}"
                result, _ = bench("send", "--topic", topic, "--messages", 2000, "--batch", 100, "--size",
                                  "0-300", "--wire", sent, port=broker.port)
                assert result["settings"]["wire"] == sent
                stored = result["counts"]["bytes"]
                result, _ = bench("consume", "--topic", topic, "--group", "g", "--messages", 2000, "--wire",
                                  taken, port=broker.port)
                clean(result)
                assert result["settings"]["wire"] == taken and result["counts"]["messages"] == 2000
                assert result["counts"]["bytes"] == stored, "other bodies came out"
                assert all(x["lag"] == 0 for x in broker.text(hello=3).call("LAG", "g"))


def test_a_stream_takes_no_more_than_its_credit_and_leaves_nothing_leased():
    with Broker() as broker:
        # One message in each record, in several queues: many parts, and many ranges.
        bench("send", "--messages", 5000, "--inflight", 64, port=broker.port)
        result, _ = bench("consume", "--group", "g", "--messages", 3001, "--credit", 7, port=broker.port)
        clean(result)
        assert result["messages"] == 3001 and result["ack_us"]["count"] > 0
        lag = broker.text(hello=3).call("LAG", "g")[0]
        assert (lag["ready"], lag["inflight"]) == (1999, 0), lag
        result, _ = bench("consume", "--group", "g", "--duration", "1s", port=broker.port)
        clean(result)
        lag = broker.text(hello=3).call("LAG", "g")[0]
        assert result["messages"] == 1999 and lag["lag"] == 0, lag


def lag_of(client, group):
    try:
        return client.call("LAG", group)[0]["lag"]
    except Refused:  # the group does not exist before its first POP
        return sys.maxsize


def test_a_stream_goes_on_after_a_kill():
    with Broker() as broker:
        bench("send", "--messages", 300000, "--batch", 100, port=broker.port)
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            port = broker.port
            run = subprocess.Popen([BENCH, "consume", "--port", str(port), "--group", "g", "--messages",
                                    "299000", "--credit", "200", "--connections", "2", "--lease", "1s",
                                    "--quiet", "--json", file.name], stdout=subprocess.DEVNULL)
            c = broker.text(hello=3)
            eventually(lambda: lag_of(c, "g") < 290000, "it has begun")
            broker.kill()
            broker.flags = (*broker.flags, "--port", str(port))
            broker.start()
            assert run.wait(120) == 0
            result = json.load(file)
        clean(result)
        assert result["counts"]["reconnects"] >= 2, "it was killed too late"
        # Acknowledgements without a reply are not counted; there are at most so many of them.
        assert 1000 - 2 * 200 <= lag_of(broker.text(hello=3), "g") <= 1000


def test_consume_says_that_nothing_comes():
    with Broker() as broker:
        bench("send", "--messages", 10, port=broker.port)
        result, text = bench("consume", "--messages", 20, "--patience", "1s", port=broker.port,
                             expect=1)
        assert result["messages"] == 10 and "--patience" in text


def test_transactions():
    with Broker() as broker:
        for dialect in ("rpc", "resp"):
            result, _ = bench("txn", "--pgroup", "p" + dialect, "--topic", "t" + dialect,
                              "--dialect", dialect, "--messages", 2000, "--batch", 2, "--rollback", "20%",
                              "--undecided", "5%", "--checkin", "200ms", "--inflight", 64,
                              port=broker.port)
            clean(result)
            counts = result["counts"]
            assert result["transactions"] == 1000 and result["messages"] == 2000
            assert 100 < counts["rolled_back"] < 300 and 10 < counts["checked"] < 120
            assert result["check_us"]["count"] == counts["checked"]
            assert result["half_commit_us"]["count"] == 1000 - counts["checked"]
            assert result["transactions_per_s"] > 0
            # The bench decides check-backs by notifications, to which there is no reply.
            committed = 2 * (1000 - counts["rolled_back"])
            eventually(lambda t="t" + dialect, n=committed: total(broker, t) == n,
                       "all that was committed is there")


def test_end_to_end():
    with Broker() as broker:
        for dialect in ("rpc", "resp"):
            result, _ = bench("e2e", "--topic", dialect, "--messages", 3000, "--dialect", dialect,
                              "--consumers", 2, "--threads", 3, port=broker.port)
            clean(result)
            assert result["messages"] == 3000 == result["e2e_us"]["count"]
            assert result["send_us"]["count"] == 3000


def test_end_to_end_in_batches():
    with Broker() as broker:
        ways = (["--dedup"], [], ["--keys", "uniform"], ["--wire", "words"], ["--dialect", "resp", "--dedup"])
        for i, words in enumerate(ways):
            result, _ = bench("e2e", "--topic", f"t{i}", "--messages", 3010, "--batch", 100, "--size", "32-200",
                              *words, port=broker.port)
            clean(result)
            assert result["messages"] == 3010 == result["e2e_us"]["count"] == total(broker, f"t{i}"), words
            assert result["send_us"]["count"] == 3010


def test_groups_that_choose():
    """What is sent has the tags, numbers and priorities that were asked for, and the groups take what they should."""
    with Broker() as broker:
        c = broker.text(hello=3)
        ways = (["--batch", 100], ["--batch", 10, "--dialect", "resp"], ["--priority", "0-9"], ["--dedup"])
        for i, words in enumerate(ways):
            topic = f"t{i}"
            bench("send", "--topic", topic, "--tags", 5, "--messages", 1000, "--connections", 1, *words, port=broker.port)
            for kind in ("TAG t3", "WHERE n = 3"):
                flags = ["--topic", topic, "--group", kind[:3], "--filter", kind, "--messages", 200]
                result, _ = bench("consume", *flags, port=broker.port)
                clean(result)
                assert result["messages"] == 200
                assert next(g for g in c.call("LAG", kind[:3]) if g["topic"] == topic.encode())["lag"] == 0, kind
        seen = {m[2].get("priority", 4) for q in range(4) for m in c.call("READ", "t2", q, 0, "COUNT", 1000)}
        assert seen == set(range(10)), seen
        bench("send", "--topic", "keyed", "--keys", "uniform", "--key-count", 10, "--messages", 1000, port=broker.port)
        for words in ([], ["--wire", "words", "--batch", 10]):
            flags = ["--topic", "keyed", "--group", "o" + "".join(map(str, words)).replace("-", ""), "--ordered"]
            result, _ = bench("consume", *flags, "--messages", 1000, *words, port=broker.port)
            clean(result)
            assert result["messages"] == 1000
        info = c.call("GROUP", "INFO", "o")[0]
        assert info["ordered"] in (True, 1, b"yes"), info


def test_peak_shaving():
    """A burst goes in, a level line comes out; both are in the page."""
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        html = os.path.join(folder, "peak.html")
        result, _ = bench("e2e", "--messages", 2000, "--rate-limit", 500, "--html", html, port=broker.port)
        clean(result)
        assert result["messages"] == 2000
        assert result["elapsed_s"] > 2.5, "RATE holds back"
        for name in ("sent_per_s", "received_per_s"):
            assert sum(s[name] for s in result["seconds"]) > 0, name
        with open(html, encoding="utf-8") as f:
            assert "In and out" in f.read()


def test_asserts():
    with Broker() as broker:
        bench("send", "--messages", 100, "--assert", "p99<10m", "--assert", "errors=0",
              port=broker.port)
        _, text = bench("send", "--messages", 100, "--assert", "messages_per_s>1G", "--assert",
                        "lost=0", port=broker.port, expect=3)
        assert "missed: messages_per_s>1G" in text


def test_search_and_compare():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        result, text = bench("search", "--p99", "10m", "--rate", 300, "--duration", "300ms",
                             "--warmup", "0", "--precision", "100%", port=broker.port)
        assert "highest rate" in text and result["messages"] > 0
        names = []
        for i in range(2):
            names.append(os.path.join(folder, f"{i}.json"))
            bench("send", "--duration", "2s", "--rate", 200, "--seed", i, "--port", broker.port,
                  "--json", names[i])
        _, text = bench("compare", *names)
        assert "messages_per_s" in text and "latency_us.p99" in text and "seed" in text
        with open(names[0], "w", encoding="utf-8") as f:
            f.write("{}")
        bench("compare", *names, expect=1)


def hold(process, seconds):
    """Stops the broker for at least this long. The sleep is the stall itself, it does not wait for something."""
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(0.01)
    process.send_signal(signal.SIGCONT)


def stall(broker, *words):
    """Runs a load of 1000 messages a second, one at a time, and stops the broker for 200 ms during it."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        run = subprocess.Popen([BENCH, "send", "--port", str(broker.port), "--duration", "3s",
                                "--json", file.name, "--connections", "1", *words],
                               stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        run.stderr.readline()  # waits for the line of the first second
        hold(broker.process, 0.2)
        run.stderr.read()
        assert run.wait(60) == 0
        return json.load(file)["latency_us"]


def test_an_open_loop_sees_a_stall():
    with Broker() as broker:
        opened = stall(broker, "--rate", "1000")
        # Of 3000 scheduled messages, those of the first 100 ms of the stall waited at least 100 ms. These are 3 %.
        assert opened["count"] == 3000 and opened["p99"] >= 100000, opened
        closed = stall(broker, "--inflight", "1")
        assert closed["max"] >= 190000, closed
        for name, us in (("open", opened), ("closed", closed)):
            print(f"a stall of 200 ms, {name} loop: p99 {us['p99'] / 1000:.1f} ms, max "
                  f"{us['max'] / 1000:.1f} ms", flush=True)


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def rawdb(*words, expect=0, limits=None):
    """Runs halfmq-rawdb in a folder of its own. Returns its JSON, or its output if it should fail."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([RAWDB, *map(str, words), "--data", folder], capture_output=True, text=True,
                              timeout=120, check=False, preexec_fn=limits)
        assert done.returncode == expect, f"exit {done.returncode}, not {expect}: {words}\n{done.stderr}"
        if expect:
            return done.stderr
        assert words[0] == "batch" or not os.listdir(folder), os.listdir(folder)
        return json.loads(done.stdout)


def test_rawdb_counts_what_it_wrote():
    got = rawdb("batch", "--messages", 10, "--duration", "100ms")
    assert got["messages"] == 10 * got["times"] > 0, got
    got = rawdb("fsync", "--duration", "100ms")
    assert got["mode"] == "fsync" and got["messages"] == got["times"] > 0 and "rate" not in got, got


def test_an_ideal_server_writes_every_message_that_was_due():
    # 100 messages of 1 MiB overwrite the 64 MiB of --overwrite more than once.
    for words, n in ((["--rate", "2k"], 1000), (["--rate", "2k", "--overwrite"], 1000),
                     (["--rate", "50k", "--sync", "no"], 25000),
                     (["--rate", 200, "--size", "1MiB", "--sync", "no", "--overwrite"], 100)):
        got = rawdb("group", "--duration", "500ms", *words)
        assert got["messages"] == n and 1 <= got["times"] <= n, got
        assert 1 <= got["most_at_once"] <= n and got["times"] * got["most_at_once"] >= n, got
        assert got["overwrite"] == ("--overwrite" in words) and got["sync"] == ("--sync" not in words), got
        us = got["latency_us"]
        assert 0 < us["p50"] <= us["p90"] <= us["p99"] <= us["p999"] <= us["max"], us
    large = ["group", "--rate", 100, "--duration", "100ms", "--size", "15MiB", "--sync", "no"]
    rawdb(*large, limits=small_files, expect=-signal.SIGXFSZ)  # without --overwrite the file grows
    got = rawdb(*large, "--overwrite", limits=small_files)
    assert got["messages"] == got["times"] == 10 and got["most_at_once"] == 1, got


def test_rawdb_says_how_it_is_used():
    text = subprocess.run([RAWDB, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in text for word in ("batch", "fsync", "group", "--rate", "--overwrite", "32 bytes")), text
    assert max(len(line) for line in text.splitlines()) <= 100
    for words in (["group"], ["group", "--rate", 0], ["group", "--rate", "100M"], ["group", "--rate"],
                  ["group", "--rate", 10, "--size", "16MiB"], ["group", "--rate", 10, "--size", 0], ["fly"],
                  ["batch", "--messages", "1M", "--size", "1k"]):
        assert rawdb(*words, expect=2).startswith("Usage: halfmq-rawdb"), words
    with tempfile.NamedTemporaryFile() as file:  # it must be a folder
        done = subprocess.run([RAWDB, "group", "--rate", "10", "--data", file.name], capture_output=True, text=True,
                              check=False)
    assert done.returncode == 1 and "Not a directory" in done.stderr, done


def stopped_for_half_a_second(*words):
    """Runs halfmq-rawdb and stops it for half a second while it writes, which simulates a stall of the disk."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.Popen([RAWDB, *words, "--data", folder, "--duration", "3s"], stdout=subprocess.PIPE,
                               text=True)
        path = os.path.join(folder, words[0] + ".bin")
        eventually(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "it writes")
        hold(run, 0.5)
        text = run.stdout.read()
        assert run.wait(60) == 0
        return json.loads(text)


def test_an_ideal_server_counts_each_message_that_a_stall_delays():
    got = stopped_for_half_a_second("group", "--rate", "1000")
    # Of 3000, those of the first 200 ms of the stall waited at least 300 ms. These are over 5 %, so p99 shows it.
    assert got["messages"] == 3000 and got["most_at_once"] >= 490, got
    assert got["latency_us"]["p99"] >= 300000, got
    got = stopped_for_half_a_second("fsync")
    assert got["latency_us"]["max"] >= 490000, got


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def verify_with_kills(*words):
    """Runs `verify` while the broker is killed three times. Returns its result."""
    with Broker("--port", str(free_port())) as broker, tempfile.NamedTemporaryFile() as file:
        run = subprocess.Popen([BENCH, "verify", "--port", str(broker.port), "--json", file.name,
                                "--lease", "1s", "--messages", "30000", "--rate", "5000", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        client = broker.text()
        for kill in range(3):
            eventually(lambda c=client, k=kill: stored(c) > 5000 * (k + 1), "it is being filled")
            broker.kill()
            broker.start()
            client = broker.text()
        text, _ = run.communicate(timeout=120)
        assert run.returncode == 0, text
        return json.load(file)


def stored(client):
    """Returns how many messages all queues have."""
    try:
        pairs = client.call("TOPIC", "INFO", "bench")
    except Refused:  # it does not exist yet
        return 0
    return pairs[pairs.index(b"messages") + 1]


def test_verify_survives_kills():
    for words in ([], ["--dialect", "resp", "--batch", "3"], ["--batch", "50", "--size", "32-300"]):
        result = verify_with_kills(*words)
        clean(result)
        assert result["messages"] == 30000
        assert result["counts"]["reconnects"] >= 3


def test_verify_in_records_keeps_keys_to_their_queues():
    with Broker() as broker:
        result, _ = bench("verify", "--messages", 5003, "--batch", 20, "--queues", 7, "--key-count", 40, "--lease",
                          "100ms", port=broker.port)
        clean(result)
        assert result["messages"] == 5003 and result["settings"]["wire"] == "binary"
        queues = {}
        for queue in range(7):
            for _, _, attributes, _ in broker.text(hello=3).call("READ", "bench", queue, 0, "COUNT", 1000):
                queues.setdefault(attributes["order"], set()).add(queue)
        assert len(queues) == 40 and all(len(where) == 1 for where in queues.values()), queues


class Liar(socketserver.BaseRequestHandler):
    """A broker in memory that understands the few commands it needs, in both dialects, and does one thing wrong."""

    def handle(self):
        if self.request.recv(1, socket.MSG_PEEK) != b"*":
            self.handle_rpc()
            return
        file = self.request.makefile("rb")
        while True:
            head = file.readline()
            if not head:
                return
            words = [head.strip()]
            if head[:1] == b"*":
                words = [file.read(int(file.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
            self.request.sendall(getattr(self, words[0].decode().lower())(words))

    def info(self, words):
        return b"$13\r\nversion:0.0\r\n\r\n"

    def topic(self, words):
        return b"*2\r\n" + bulk(b"order_queues") + b":4\r\n" if words[1] == b"INFO" else b"+OK\r\n"

    group = topic

    def handle_rpc(self):
        unpacker = msgpack.Unpacker()
        while data := self.request.recv(65536):
            unpacker.feed(data)
            for _, number, method, params in unpacker:
                params = params[0] if isinstance(params, list) else params
                answer = getattr(self, "rpc_" + method)(params)
                if answer is None:
                    return  # closes the connection
                self.request.sendall(msgpack.packb([1, number, None, answer]))

    def rpc_produce(self, params):
        bodies = [body for _, body in records.decode(params["batch"], stored=False)]
        server = self.server
        with server.lock:
            known = server.known.get(params["dedup"])
            if known is None or (server.lie is forgets and server.batches % 10 == 0):
                server.batches += 1
                server.next += 1000
                wrong = server.lie if server.batches % 10 == 5 else honest_batch
                known = wrong(server.store, server.next, bodies) or server.next
                server.known[params["dedup"]] = known
                if server.lie in (cuts, forgets) and server.batches % 10 == 0:
                    return None
            return {"queue": 0, "offset": known, "count": len(bodies)}

    def rpc_pop(self, params):
        with self.server.lock:
            taken, self.server.store[:] = self.server.store[:params["count"]], self.server.store[params["count"]:]
        if not taken:
            time.sleep(0.02)  # the wait that the command asks for, shortened
        return [{"id": f"bench:0:{offset}#1", "body": body, "attributes": {}, "properties": {}}
                for offset, body in taken]

    def rpc_ack(self, params):
        return len(params["receipt"])

    def send(self, words):
        store = self.server.store
        dedup = words[words.index(b"DEDUP", 3) + 1]
        with self.server.lock:
            if dedup not in self.server.known:
                offset = self.server.next
                self.server.next += 10
                self.server.known[dedup] = self.server.lie(store, offset, words[2]) or offset
            return bulk(b"bench:0:%d" % self.server.known[dedup])

    def pop(self, words):
        count = int(words[words.index(b"COUNT") + 1])
        with self.server.lock:
            taken, self.server.store[:] = self.server.store[:count], self.server.store[count:]
        if not taken:
            time.sleep(0.02)  # the wait that the command asks for, shortened
        return b"*%d\r\n" % len(taken) + b"".join(
            b"*4\r\n" + bulk(b"bench:0:%d#1" % offset) + bulk(body) + b"*0\r\n*0\r\n"
            for offset, body in taken)

    def ack(self, words):
        return b":%d\r\n" % (len(words) - 2)


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


class Lying(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 64  # all connections of a run are opened at once

    def __init__(self, lie):
        super().__init__(("127.0.0.1", 0), Liar)
        self.store, self.known, self.next, self.batches, self.lock = [], {}, 0, 0, threading.Lock()
        self.lie = lie
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def honest(store, offset, body):
    store.append((offset, body))


def loses(store, offset, body):
    if offset % 1000 != 500:
        store.append((offset, body))


def doubles(store, offset, body):
    store.append((offset, body))
    if offset % 1000 == 500:
        store.append((offset + 1, body))


def damages(store, offset, body):
    if offset % 1000 == 500:
        body = body[:50] + bytes([body[50] ^ 1]) + body[51:]
    store.append((offset, body))


def reorders(store, offset, body):
    """Stores one message in a hundred at a much higher offset, behind later messages of its key."""
    if offset % 1000 == 500:
        offset += 50005  # the offsets of the others end in 0
    store.append((offset, body))
    return offset


def test_verify_tells_what_is_wrong():
    lies = ((honest, None), (loses, "lost"), (doubles, "doubled"), (damages, "damaged"),
            (reorders, "reordered"))
    for lie, fault in lies:
        with Lying(lie) as server:
            result, text = bench("verify", "--dialect", "resp", "--messages", 2000, "--lease", "100ms",
                                 port=server.server_address[1], expect=1 if fault else 0)
            if not fault:
                clean(result)
                continue
            # If a message at a high offset is the last of its key, no message is out of order because of it.
            least = 1 if fault == "reordered" else 20
            assert least <= result[fault] <= 20, f"{fault} is {result[fault]}\n{text}"


def honest_batch(store, base, bodies):
    store.extend((base + i, body) for i, body in enumerate(bodies))


def loses_the_last(store, base, bodies):
    honest_batch(store, base, bodies[:-1])


def doubles_the_last(store, base, bodies):
    honest_batch(store, base, bodies + bodies[-1:])


def damages_the_last(store, base, bodies):
    honest_batch(store, base, bodies[:-1] + [bodies[-1][:50] + bytes([bodies[-1][50] ^ 1]) + bodies[-1][51:]])


def far_behind(store, base, bodies):
    """Stores the batch at a much higher offset, behind later messages of its keys."""
    honest_batch(store, base + 1000500, bodies)
    return base + 1000500


def cuts(store, base, bodies):
    """Is no lie: the connection is sometimes closed before the reply, and the same DEDUP id is sent again."""
    honest_batch(store, base, bodies)


def forgets(store, base, bodies):
    """Like cuts, but the broker has forgotten the DEDUP id."""
    honest_batch(store, base, bodies)


def test_verify_tells_what_is_wrong_with_records():
    lies = ((honest_batch, None, 0), (loses_the_last, "lost", 10), (doubles_the_last, "doubled", 10),
            (damages_the_last, "damaged", 10), (far_behind, "reordered", 10), (cuts, None, 0),
            (forgets, "doubled", 200))
    for lie, fault, most in lies:
        with Lying(lie) as server:
            result, text = bench("verify", "--messages", 2000, "--batch", 20, "--key-count", 5, "--lease", "100ms",
                                 port=server.server_address[1], expect=1 if fault else 0)
            assert (result["counts"]["reconnects"] > 0) == (lie in (cuts, forgets)), text
            if not fault:
                clean(result)
                continue
            assert 1 <= result[fault] <= most, f"{fault} is {result[fault]}\n{text}"


def test_redis():
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        redis = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1",
                                  "--save", "", "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            eventually(lambda: answers(port), "redis gets ready")
            result, _ = bench("redis", "--messages", 2000, "--batch", 10, port=port)
            assert result["messages"] == 2000 and result["dialect"] == "redis"
            assert result["environment"]["server"] == "Redis"
            result, _ = bench("redis", "--of", "consume", "--messages", 2000, port=port)
            assert result["messages"] == 2000
            result, _ = bench("redis", "--of", "e2e", "--topic", "e", "--messages", 2000, port=port)
            clean(result)
            with Broker() as broker:
                _, text = bench("redis", "--messages", 2000, "--halfmq-port", broker.port, "--rounds", 2,
                                "--port", port)
                assert "median of 2 rounds" in text
        finally:
            redis.terminate()
            redis.wait()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
