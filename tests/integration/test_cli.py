#!/usr/bin/python3
"""test_cli.py: tests the command line client `halfmq`: replies, JSON, exit codes, bodies, tail, prompt."""
import base64
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import BIN, SOURCE, Broker, die_with_parent, eventually, run_tests  # noqa: E402

HALFMQ = os.path.join(BIN, "halfmq")
SECONDS = 20

broker = None


def read_source(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as f:
        return f.read()


def environment(**more):
    return {**os.environ, "HALFMQ_PORT": str(broker.port), "HALFMQ_HOST": "127.0.0.1", **more}


def run(*words, data=b"", env=None):
    """Runs halfmq. Returns the finished process: returncode, stdout (bytes), stderr (text)."""
    done = subprocess.run([HALFMQ, *words], input=data, capture_output=True, timeout=SECONDS,
                          env=env or environment())
    done.stderr = done.stderr.decode()
    return done


def out(*words, data=b""):
    done = run(*words, data=data)
    assert done.returncode == 0, f"{words}: exit {done.returncode}, {done.stderr}"
    return done.stdout.decode()


def value(*words, data=b""):
    """Runs halfmq --json. Returns the JSON value that it printed."""
    text = out("--json", *words, data=data)
    assert text.count("\n") == 1, f"{words}: not one line: {text!r}"
    return json.loads(text)


def test_every_day():
    assert out("send", "orders", "first", "QUEUE", "0", "KEY", "k", "PROP", "color", "blue") == \
        "orders:0:0\n"
    text = out("pop", "g", "orders", "LEASE", "1h")
    assert text.startswith("orders:0:0#1 ") and "key k" in text and "color: blue" in text, text
    assert text.endswith("first\n"), text
    assert out("ack", "g", "orders:0:0#1") == "1\n"
    assert out("pop", "g", "orders") == "(none)\n"
    assert "first" in out("read", "orders", "0", "0")
    txid = out("half", "shop", "orders", "second", "QUEUE", "0").strip()
    assert "pending" in out("txn", txid)
    assert out("commit", txid) == "orders:0:1\n"
    assert out("PING") == "PONG\n"
    assert "orders" in out("TOPIC", "LIST")


def test_tables():
    value("send", "tables", "x", "QUEUE", "0")
    value("pop", "tg", "tables", "LEASE", "1h")
    lines = out("lag").splitlines()
    head = lines[0].lower().split()
    assert head[:3] == ["group", "topic", "ready"], lines
    row = next(line.split() for line in lines if line.startswith("tg "))
    assert row[head.index("inflight")] == "1", lines
    assert "tables" in out("topic")
    assert "tables" in out("topic", "tables")
    assert "tg" in out("group")
    assert "tables" in out("group", "tg")
    assert "version:" in out("info")


def test_delayed_and_found():
    token = value("send", "lists", "later\nmore", "DELAY", "2h", "KEY", "k7", "TAG", "red")
    value("send", "lists", "x" * 100, "KEY", "k8", "QUEUE", "0")
    text = out("delayed", "lists")
    assert re.search(r"^token +due +in +key +tag +body$", text, re.M), text
    assert re.search(r"^%s \d{4}-\d\d-\d\dT[\d:.]+Z (1h 59m|2h) +k7 +red +later\.\.\.$" % token, text, re.M), text
    assert value("delayed", "lists") == value("delayed", "list", "lists")
    text = out("find", "lists", "k8")
    assert re.search(r"^lists:0:0 \d{4}-\S+Z k8 +x{60}\.\.\.$", text, re.M), text
    assert value("find", "lists", "k8") == value("find", "lists", "KEY", "k8")
    assert value("find", "lists", "k8")[0]["body"] == "x" * 100
    assert out("find", "lists", "nothing") == "(none)\n"


def test_groups():
    value("topic", "create", "g-topic", "QUEUES", "1")
    value("group", "create", "g-group", "g-topic", "ORDERED", "LEASE", "90s", "RATE", "1000")
    for i in range(3):
        value("send", "g-topic", f"body {i}")
    text = out("group", "g-group")
    assert re.search(r"^lease +1m 30s$", text, re.M) and re.search(r"^rate +1000$", text, re.M), text
    value("pop", "g-group", "g-topic", "COUNT", "2", "LEASE", "1h")
    text = out("leases", "g-group")
    assert re.search(r"^receipt +lease_until +left +consumer$", text, re.M), text
    for offset in 0, 1:
        assert re.search(rf"^g-topic:0:{offset}#1 +\d{{4}}-\S+Z +(59m \d+s|1h) +\S+$", text, re.M), text
    cursor, maps = value("leases", "g-group", "COUNT", "1")
    assert cursor != "0" and [lease["receipt"] for lease in maps] == ["g-topic:0:0#1"], (cursor, maps)
    assert "more: the same command with CURSOR" in out("leases", "g-group", "COUNT", "1")
    assert value("seek", "g-group", "g-topic", "earliest", "DRYRUN")["ready"] == 3
    assert re.search(r"^ready +3$", out("seek", "g-group", "g-topic", "earliest", "DRYRUN"), re.M)
    assert value("seek", "g-group", "g-topic", "latest") == "OK"
    assert value("pop", "g-group", "g-topic") == [] and out("leases", "g-group") == "(none)\n"
    assert value("group", "pause", "g-group") == "OK" and value("group", "resume", "g-group", "g-topic") == "OK"


def test_dead_letters():
    value("topic", "create", "d-topic", "QUEUES", "1")
    for i in range(5):
        value("send", "d-topic", f"body {i}")
    for message in value("pop", "d-group", "d-topic", "COUNT", "5"):
        value("reject", "d-group", message["id"], "REASON", "no such address")
    text = out("dlq", "d-group")
    assert re.search(r"^id +origin +attempts +died +reason +body$", text, re.M), text
    assert re.search(r"d-topic:0:4 +1 +\d{4}-\S+Z +no such address +body 4$", text, re.M), text
    cursor, page = value("dlq", "d-group", "COUNT", "2")
    assert cursor != "0" and [m["body"] for m in page] == ["body 0", "body 1"], page
    assert out("redrive", "d-group", page[1]["id"]) == "1\n"
    assert out("redrive", "d-group", "COUNT", "3") == "3\n"
    assert value("redrive", "d-group") == 1
    assert out("redrive", "d-group") == "0\n"
    assert len(value("pop", "d-group", "d-topic", "COUNT", "10")) == 5
    assert out("dlq", "d-group") == "(none)\n"
    done = run("redrive", "nobody")
    assert done.returncode == 1 and done.stderr.startswith("NOGROUP "), done


def test_json():
    assert value("send", "js", "body", "QUEUE", "0", "TAG", "t", "KEY", "k", "PROP", "p", "v") == "js:0:0"
    assert value("msend", "jsm", "a", "b")[0].startswith("jsm:")
    message = value("pop", "jg", "js")[0]
    assert message["id"] == "js:0:0#1" and message["body"] == "body", message
    assert message["attributes"]["key"] == ["k"] and message["attributes"]["attempt"] == 1, message
    assert message["properties"] == {"p": "v"}, message
    assert value("pop", "jg", "js") == []
    assert value("ack", "jg", "js:0:0#1") == 1
    assert value("get", "js:0:0")["id"] == "js:0:0"
    assert value("get", "js:0:9") is None
    assert value("lag", "jg") == [dict(value("lag", "jg")[0], group="jg", topic="js", lag=0)]
    token = value("send", "js", "later", "DELAY", "1h")
    delayed = value("delayed", "list", "js")
    assert [(m["id"], m["body"]) for m in delayed] == [(token, "later")], delayed
    assert delayed[0]["attributes"]["due"] > delayed[0]["attributes"]["born"], delayed
    assert value("delayed", "cancel", token) == 1
    txid = value("half", "shop", "js", "x", "CHECKIN", "10ms")
    assert isinstance(txid, str)
    assert value("txn", txid)["state"] == "pending"
    cursor, listed = value("txn", "list", "PGROUP", "shop", "STATE", "pending")
    assert cursor == "0" and [t["txid"] for t in listed] == [txid], listed
    assert value("txn")[0] == "0"
    assert value("pgroup", "set", "shop", "CHECKMAX", "3") == "OK"
    assert value("pgroup") == ["shop"]
    eventually(lambda: value("pgroup", "shop")["oldest"] > 0, "the transaction is not young any more")
    assert re.search(r"^oldest +\d{4}-\d\d-\d\dT", out("pgroup", "shop"), re.M), out("pgroup", "shop")
    shop = value("pgroup", "shop")
    assert shop["checkmax"] == 3 and shop["pending"] == 1 and shop["set"] == ["checkmax"], shop
    check = value("checks", "shop", "WAIT", "20s")[0]
    assert check["txid"] == txid and check["messages"][0]["body"] == "x", check
    assert value("rollback", txid) == "OK"
    assert value("topic", "js")["name"] == "js"
    assert value("config", "get", "fsync") == {"fsync": "always"}
    assert value("info", "server")["version"]
    assert value("hello", "2")["proto"] == 2


def rows(text):
    """The lines of a table, without what aligns its columns."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_users():
    assert out("acl", "setuser", "shop", "on", "nopass", "+@produce", "-send", "~orders.*", "~bills", "pgroup:shop", "rate:100") == "OK\n"
    assert out("acl", "setuser", "@idle") == "OK\n"
    text = out("acl")
    assert text == out("acl", "list"), text
    table = rows(text)
    assert table[0] == "user login commands topics groups pgroups limits", text
    assert "default on, nopass allcommands alltopics allgroups allpgroups" in table, text
    assert "shop on, nopass +@produce -send ~orders.* ~bills pgroup:shop rate:100" in table, text
    assert "@idle off nocommands" in table, text
    assert value("acl")[-1] == {"user": "shop", "login": ["on", "nopass"], "commands": "+@produce -send", "topics": "~orders.* ~bills",
                                "groups": "", "pgroups": "pgroup:shop", "limits": "rate:100"}
    for words in ["acl", "shop"], ["acl", "show", "shop"], ["acl", "getuser", "shop"]:
        assert "topics ~orders.* ~bills" in rows(out(*words)) and "flags on, nopass" in rows(out(*words)), out(*words)
        assert value(*words)["rate"] == 100 and value(*words)["flags"] == ["on", "nopass"], value(*words)
    assert value("acl", "nobody") is None
    assert out("acl", "whoami") == "default\n" and out("acl", "users") == "@idle\ndefault\nshop\n"
    assert "produce\n" in out("acl", "cat") and out("acl", "cat", "pubsub") == "subscribe\nunsubscribe\n"
    assert re.fullmatch("[0-9a-f]{64}\n", out("acl", "genpass"))
    done = run("send", "bills", "x", env=environment(HALFMQ_USER="shop"))
    assert done.returncode == 1 and done.stderr == "NOPERM user shop may not use SEND\n", done
    text = out("acl", "log", "1")
    assert rows(text)[0] == "count reason object user ago client", text
    assert re.search(r"^ +1 +command +send +shop +\S+ +127\.0\.0\.1\S*$", text, re.M), text
    assert value("acl", "log", "1")[0]["username"] == "shop" and "addr=" in value("acl", "log", "1")[0]["client-info"]
    assert out("acl", "deluser", "shop", "@idle") == "2\n"
    for words in ["acl"], ["acl", "setuser"], ["setuser", "acl"]:
        text = out("help", *words) if words[0] == "acl" else ""
        assert all(len(line) <= 100 for line in text.splitlines()), text
    assert "$ halfmq acl setuser" in out("help", "acl", "setuser") and "--password-file" in out("help", "acl", "setuser")


def test_passwords_of_users():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "password")
        with open(path, "w", encoding="utf-8") as f:
            f.write("from a file\n")
        assert out("acl", "setuser", "ann", "on", "--password-file", path, "+ping", "alltopics") == "OK\n"
        assert out("acl", "setuser", "ann", "--password", data=b"from standard input\n") == "OK\n"
        assert value("acl", "ann")["passwords"] == 2
        for password in "from a file", "from standard input":
            assert run("ping", env=environment(HALFMQ_USER="ann", HALFMQ_PASSWORD=password)).returncode == 0
        done = run("--user", "ann", "--password-file", path, "ping")
        assert done.stdout == b"PONG\n", done
        assert run("ping", env=environment(HALFMQ_USER="ann", HALFMQ_PASSWORD_FILE=path)).stdout == b"PONG\n"
        for wrong, sentence in (([path + "x"], path + "x"), ([folder], "cannot read"), ([], "--password-file"),
                                (["/dev/null"], "empty"), ([path, "--password"], "one")):
            done = run("acl", "setuser", "ann", "--password-file", *wrong, data=b"x\n")
            assert done.returncode == 2 and sentence in done.stderr, (wrong, done)
        assert run("acl", "setuser", "ann", "--password").returncode == 2  # nothing there
        done = run(data=b"acl setuser ann --password\n")
        assert done.returncode == 2 and "--password-file" in done.stderr, done
        assert run("--password-file", path + "x", "ping").returncode == 2
    assert out("acl", "deluser", "ann") == "1\n"


def command_line(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read()


def test_no_password_in_the_process_list():
    """The broker is stopped, so that the program is there while one looks."""
    for words in (["acl", "setuser", "eve", ">tops3cret", "<olds3cret"], ["auth", "eve", "tops3cret"], ["auth", "tops3cret"],
                  ["hello", "3", "auth", "eve", "tops3cret"], ["config", "set", "password", "tops3cret"]):
        os.kill(broker.process.pid, signal.SIGSTOP)
        try:
            asking = subprocess.Popen([HALFMQ, "--timeout", "300ms", *words], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      preexec_fn=die_with_parent)
            eventually(lambda: b"s3cret" not in command_line(asking.pid), f"{words}: the words are gone")
            assert asking.poll() is None and words[0].encode() in command_line(asking.pid), words
        finally:
            asking.communicate()
            os.kill(broker.process.pid, signal.SIGCONT)
    out("acl", "deluser", "eve")


def test_bodies_are_bytes():
    data = bytes(range(256)) * 300
    assert value("send", "bin", "-", "QUEUE", "0", data=data) == "bin:0:0"
    message = value("get", "bin:0:0")
    assert "body" not in message and base64.b64decode(message["body_base64"]) == data
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"from a file\0")
        f.flush()
        assert value("send", "bin", "--file", f.name, "QUEUE", "0", "KEY", "k") == "bin:0:1"
    message = value("get", "bin:0:1")
    assert base64.b64decode(message["body_base64"]) == b"from a file\0"
    assert message["attributes"]["key"] == ["k"]
    txid = value("half", "shop", "bin", "-", "QUEUE", "0", data=b"")
    assert value("commit", txid) == ["bin:0:2"]
    assert value("get", "bin:0:2")["body"] == ""
    assert value("send", "bin", "--json", "QUEUE", "0") == "bin:0:3"  # after the command, all words are data
    assert value("get", "bin:0:3")["body"] == "--json"
    done = run("send", "bin", "--file", "/nonexistent")
    assert done.returncode == 2 and "/nonexistent" in done.stderr, done
    assert value("echo", "-") == "-"


def test_exit_codes():
    done = run("pop", "g", "nowhere")
    assert done.returncode == 1 and done.stderr.startswith("NOTOPIC "), done
    assert done.stdout == b"" and done.stderr.count("\n") == 1, done
    assert run("--json", "nonsense").returncode == 1
    for wrong in (["--port", "0", "ping"], ["--port", "x", "ping"], ["--what"], ["--timeout", "soon", "ping"],
                  ["--host"], ["help", "nonsense"], ["tail"], ["tail", "t", "FROM"]):
        done = run(*wrong)
        assert done.returncode == 2 and done.stderr, (wrong, done)
    done = run("--port", "1", "ping")
    assert done.returncode == 3 and "halfmqd" in done.stderr and "--port" in done.stderr, done
    done = run("--host", "no.such.host.invalid", "ping")
    assert done.returncode == 3, done
    assert run("ping", env=environment(HALFMQ_PORT="1")).returncode == 3
    assert run("ping", env=environment(HALFMQ_PORT="many")).returncode == 2
    assert run("--port", str(broker.port), "ping", env=environment(HALFMQ_PORT="1")).returncode == 0


def test_timeout():
    value("topic", "create", "quiet")
    done = run("--timeout", "5s", "pop", "g", "quiet", "WAIT", "100ms")
    assert (done.returncode, done.stdout) == (0, b"(none)\n"), done
    silent = subprocess.Popen(["/usr/bin/python3", "-c", """
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
a = s.accept()
sys.stdin.read()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    port = silent.stdout.readline().decode().strip()
    done = run("--port", port, "--timeout", "200ms", "ping")
    assert done.returncode == 3 and "--timeout" in done.stderr, done
    silent.communicate(b"")


def test_help_and_version():
    for words in (["--help"], ["help"], ["help", "send"], ["help", "tail"], ["help", "group", "create"]):
        text = out(*words)
        assert all(len(line) <= 100 for line in text.splitlines()), text
    assert out("--help").startswith("Usage: halfmq ")
    send = out("help", "send")
    assert send.startswith("SEND topic body ") and "$ halfmq send" in send, send
    for words, begins in ((["seek"], "GROUP SEEK group topic"), (["leases"], "GROUP LEASES group"),
                          (["redrive"], "DLQ REDRIVE group"), (["find"], "FIND topic"), (["delayed"], "DELAYED LIST topic"),
                          (["dlq"], "DLQ LIST group"), (["group"], "GROUP CREATE group topic")):
        text = out("help", *words)
        assert text.startswith(begins) and "$ halfmq " in text, text
    topic = out("help", "topic")
    assert "TOPIC CREATE" in topic and "TOPIC PURGE" in topic, topic
    assert re.fullmatch(r"halfmq \d+\.\d+\.\d+\S*\n", out("--version"))


def test_the_manual_has_every_option():
    page = read_source("clients", "cli", "man", "halfmq.1").replace("\\-", "-")
    text = out("--help")
    words = set(re.findall(r"--[a-z-]+|HALFMQ_[A-Z_]+", text))
    assert len(words) > 20 and "--password-file" in words, words
    for word in words:
        assert word in page, f"halfmq(1) lacks {word}"
    for command in re.findall(r'"ACL (\w+)"', read_source("protocol", "command", "command.def")):
        assert f"acl {command.lower()}" in page or command in ("GETUSER", "USERS"), f"halfmq(1) lacks ACL {command}"


def test_lines_from_stdin():
    done = run(data=b"# a comment\nPING\n\nSEND lines \"a b\\n\" QUEUE 0\nnonsense\nGET lines:0:0\nsend lines -\n")
    assert done.returncode == 1, done
    assert done.stdout.startswith(b"PONG\nlines:0:0\nlines:0:0 "), done
    assert b"\na b\n" in done.stdout, done
    assert "ERR " in done.stderr and "--file" in done.stderr, done
    done = run("--json", data=b"PING\r\nGET lines:0:9\r\n")
    assert (done.returncode, done.stdout) == (0, b'"PONG"\nnull\n'), done
    assert run(data=b'ECHO "unbalanced\n').returncode == 2
    assert run(data=b"").returncode == 0


class Running:
    """A halfmq that keeps running. Collects its output."""

    def __init__(self, *words):
        self.process = subprocess.Popen([HALFMQ, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, env=environment(),
                                        preexec_fn=die_with_parent)

    def line(self):
        return self.process.stdout.readline().decode()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        out_rest, err_rest = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out_rest.decode(), err_rest.decode()


def test_tail():
    value("topic", "create", "tailed", "QUEUES", "3")
    for queue in "012":
        value("send", "tailed", f"old{queue}", "QUEUE", queue)
    lines = out("--json", "tail", "tailed", "FROM", "earliest", "COUNT", "3").splitlines()
    assert sorted(json.loads(line)["body"] for line in lines) == ["old0", "old1", "old2"]
    lines = out("--json", "tail", "tailed", "FROM", "0", "QUEUE", "1", "COUNT", "1").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["tailed:1:0"]
    follower = Running("--json", "tail", "tailed")
    waiting = broker.text()
    # It follows the topic when a READ of each queue waits; before that it may not know the ends.
    eventually(lambda: waiting.call("CLIENT", "LIST").count(b"\n") >= 5, "four connections of tail")
    for i in range(20):
        value("send", "tailed", f"new{i}", "QUEUE", str(i % 3))
        assert json.loads(follower.line())["body"] == f"new{i}"
    code, rest, _ = follower.interrupt()
    assert (code, rest) == (0, ""), (code, rest)
    assert run("tail", "nowhere").returncode == 1
    assert run("tail", "tailed", "QUEUE", "7").returncode == 2


def test_subscribe():
    follower = Running("subscribe", "topic:shown")
    assert follower.process.stderr.readline().startswith(b"subscribed")
    value("send", "shown", "hello")
    assert follower.line() == "hello\n"
    code, rest, _ = follower.interrupt()
    assert (code, rest) == (0, ""), (code, rest)
    assert run("subscribe", "nonsense").returncode == 1


class Terminal:
    """A halfmq in a pseudo-terminal, with a home folder of its own."""

    def __init__(self, home, *words):
        pid, self.fd = pty.fork()
        if pid == 0:
            die_with_parent()
            env = environment(HOME=home, TERM="xterm")
            env.pop("XDG_STATE_HOME", None)
            os.execve(HALFMQ, [HALFMQ, *words], env)
        self.pid, self.seen = pid, b""

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, text):
        deadline = time.monotonic() + SECONDS
        while text.encode() not in self.seen:
            left = max(0, deadline - time.monotonic())
            assert select.select([self.fd], [], [], left)[0], f"waited for {text!r}, saw {self.seen!r}"
            try:
                self.seen += os.read(self.fd, 4096)
            except OSError as error:  # the other side was closed
                raise AssertionError(f"waited for {text!r}, saw {self.seen!r}") from error
        self.seen = self.seen.split(text.encode(), 1)[1]

    def ended(self, again=None):
        """The exit status. again: typed once a second until the program ends."""
        deadline = time.monotonic() + SECONDS
        try:
            while True:
                assert time.monotonic() < deadline, f"the program does not end, saw {self.seen!r}"
                if not select.select([self.fd], [], [], 1)[0]:
                    if again:
                        self.type(again)
                    continue
                more = os.read(self.fd, 4096)
                self.seen += more
                if not more:
                    break
        except OSError:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_prompt():
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(home)
        prompt = f"127.0.0.1:{broker.port}> "
        terminal.expect(prompt)
        terminal.type("PING\n")
        terminal.expect("PONG")
        terminal.expect(prompt)
        terminal.type("gro\tinf\tnobody\n")  # completed to GROUP INFO
        terminal.expect("NOGROUP")
        terminal.expect(prompt)
        terminal.type("auth secret\n")
        terminal.expect(prompt)
        terminal.type("acl setuser kim '>secret'\n")
        terminal.expect("OK")
        terminal.expect(prompt)
        terminal.type("pop g quiet-prompt\n")  # an unknown topic is an error, and the prompt goes on
        terminal.expect("NOTOPIC")
        terminal.expect(prompt)
        terminal.type("exit\n")
        assert terminal.ended() == 0
        path = os.path.join(home, ".halfmq_history")
        with open(path, encoding="utf-8") as f:
            history = f.read()
        assert "PING" in history and "secret" not in history, history
        assert os.stat(path).st_mode & 0o77 == 0


def test_password_at_the_terminal():
    with tempfile.TemporaryDirectory() as home:
        for again, status in ("hush", 0), ("hash", 2):
            terminal = Terminal(home, "acl", "setuser", "lea", "on", "+ping", "--password")
            terminal.expect("Password of lea: ")
            terminal.type("hush\n")
            terminal.expect("Once more: ")
            terminal.type(again + "\n")
            assert terminal.ended() == status, terminal.seen
            assert b"hush" not in terminal.seen and b"hash" not in terminal.seen, terminal.seen
        terminal = Terminal(home, "--user", "lea", "ping")
        terminal.expect("Password of lea: ")
        terminal.type("hush\n")
        terminal.expect("PONG")
        assert terminal.ended() == 0
        terminal = Terminal(home, "--user", "lea", "ping")
        terminal.expect("Password of lea: ")
        terminal.type("hu\x03")
        assert terminal.ended() == 130
    assert out("acl", "deluser", "lea") == "1\n"


def test_prompt_interrupt():
    """^C ends a WAIT and shows the prompt again. The reply to that request is not taken for that of a later one."""
    value("topic", "create", "quiet2")
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(home)
        terminal.expect("> ")
        terminal.type("pop g quiet2 WAIT 1h\n")
        c = broker.text()
        eventually(lambda: b"cmd=pop" in c.call("CLIENT", "LIST").lower(), "the prompt waits in POP")
        terminal.expect("WAIT 1h")
        terminal.type("\x03")
        terminal.expect("> ")
        terminal.type("ECHO after\n")
        terminal.expect("\nafter")
        terminal.expect("> ")
        terminal.type("\x04")
        # While the editor sets up the terminal it takes ^D as a letter: ^U deletes it, then ^D is sent again.
        assert terminal.ended(again="\x15\x04") == 0


def main():
    global broker
    with Broker("--checkin", "10s") as broker:
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
