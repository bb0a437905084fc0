#!/usr/bin/python3
"""test_webhook.py: tests check-backs by HTTP, against services that decide, that are slow, that fail and that lie.

Each test has a producer group and a service of its own. To check that something does not happen, a test waits for
an event that would come later.
"""
import hashlib
import hmac
import http.server
import json
import os
import re
import socket
import sys
import threading
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import HALFMQD, Broker, eventually, pairs, run_tests  # noqa: E402 (the path comes first)
from test_checkback import Server, Subscriber, gather, members_of  # noqa: E402
import test_checkback as members  # noqa: E402

FLAGS = ("--checkin", "1ms", "--check_every", "1h", "--webhook_timeout", "30s")

broker = None
groups = iter(range(1000000))


class Asked:
    """A request that the service has received."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.check = json.loads(body)


class Service:
    """An HTTP server in a thread of its own. answer(asked) returns a word, (status, bytes) or (status, bytes, headers);
    it runs in a thread for each request. With HTTP/1.1 the server keeps connections open."""

    def __init__(self, answer, port=0, protocol="HTTP/1.0"):
        self.asked, self.lock, self.connections, self.ended = [], threading.Lock(), 0, 0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = protocol
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with service.lock:
                    service.connections += 1

            def finish(self):
                super().finish()
                with service.lock:
                    service.ended += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = Asked(self.path, self.headers, body)
                with service.lock:
                    service.asked.append(asked)
                service.reply(self, answer(asked))

            def log_message(self, *words):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 4096
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                """Ignores that the broker closed the connection, which some tests cause."""

        self.server = Listener(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/check"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @staticmethod
    def reply(handler, answer):
        if answer is None:
            handler.close_connection = True
            return
        if isinstance(answer, str):
            answer = (200, json.dumps({"decision": answer}).encode())
        status, body, headers = (*answer, {})[:3]
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def keys(self):
        return [a.headers["Idempotency-Key"] for a in self.asked]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def a_group():
    return f"pg{next(groups)}"


def half(c, pgroup, *options):
    return c.call("HALF", pgroup, "t", "body", *options).decode()


def info(c, txid):
    return pairs(c.call("TXN", "INFO", txid))


def until_state(c, txid, state):
    eventually(lambda: info(c, txid)["state"] == state, f"{txid} is {state}")


def until_asked(service, n):
    eventually(lambda: len(service.asked) >= n, f"asked {n} times")


def metric(name):
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/metrics") as page:
        return int(re.search(rf"^{name} (\d+)$", page.read().decode(), re.M).group(1))


def quiet():
    """Waits until no request is under way and the results of all are counted."""
    eventually(lambda: metric("halfmq_webhook_in_flight") == 0, "no request is out")


def transactions(c):
    """Returns the section `transactions` of INFO as a dict."""
    lines = c.call("INFO", "transactions").decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def closed_port():
    """Returns a port on which no process listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_it_decides():
    for word, state in (("commit", b"committed"), ("rollback", b"rolledback")):
        c, pgroup, service = broker.text(), a_group(), Service(lambda asked: word)
        c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url + "?shop=1")
        txid = c.call("HALF", pgroup, "orders", b"\xff\xfe", "KEY", "k", "TAG", "eu", "PROP", "a",
                      "b").decode()
        until_state(c, txid, state)
        (asked,) = service.asked
        assert asked.path == "/check?shop=1", asked.path
        assert asked.headers["Content-Type"] == "application/json"
        assert asked.headers["Idempotency-Key"] == f"{txid}-1"
        assert asked.headers["Host"] == f"127.0.0.1:{service.port}"
        assert re.fullmatch(r"halfmq/\d+\.\d+\.\d+", asked.headers["User-Agent"])
        assert asked.headers["X-HalfMQ-Signature"] is None
        assert (asked.check["txid"], asked.check["pgroup"], asked.check["attempt"]) == (txid, pgroup, 1)
        assert asked.check["messages"] == [{"topic": "orders", "key": ["k"], "tag": "eu",
                                            "body_base64": "//4=", "properties": {"a": "b"}}]
        service.close()


def test_the_signature():
    c, pgroup, service = broker.text(), a_group(), Service(lambda asked: "commit")
    c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url, "SECRET", "s3cret")
    until_state(c, half(c, pgroup), b"committed")
    c.call("PGROUP", "SET", pgroup, "SECRET", "another")
    until_state(c, half(c, pgroup), b"committed")
    for asked, secret in zip(service.asked, (b"s3cret", b"another"), strict=True):
        wanted = "sha256=" + hmac.new(secret, asked.body, hashlib.sha256).hexdigest()
        assert asked.headers["X-HalfMQ-Signature"] == wanted
    service.close()


def test_a_large_transaction():
    c, pgroup, service = broker.text(), a_group(), Service(lambda asked: "commit")
    bodies = [b"\x01" * 200000 for _ in range(10)]
    txid = c.call("HALF", pgroup, "large", bodies[0], "CHECKIN", "1h").decode()
    for body in bodies[1:]:
        c.call("HALF", pgroup, "large", body, "TXN", txid)
    c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
    c.call("TXN", "EXTEND", txid, 0)
    until_state(c, txid, b"committed")
    assert [m["body"].encode() for m in service.asked[0].check["messages"]] == bodies
    service.close()


def test_no_decisions():
    """None of these responses is a decision: each counts as an ask, and the service is asked again after the pause."""
    ok = {"decision": "commit"}
    answers = {
        "unknown": "unknown",
        "garbage": (200, b"\x00garbage"),
        "empty": (200, b""),
        "other word": "Commit",
        "other key": (200, b'{"Decision":"commit"}'),
        "other status": (201, json.dumps(ok).encode()),
        "two decisions": (200, b'{"decision":"commit","decision":"commit"}'),
        "two lengths": (200, json.dumps(ok).encode(), {"Content-Length": str(len(json.dumps(ok)))}),
        "error": (500, json.dumps(ok).encode()),
        "not found": (404, b"no"),
        "hangs up": None,
        "10 MB": (200, json.dumps({**ok, "x": "y" * 10_000_000}).encode()),
        "10 MB header": (200, json.dumps(ok).encode(), {"X": "y" * 10_000_000}),
        "just too long": (200, json.dumps({**ok, "x": "y" * 65536}).encode()),
    }
    c = broker.text()
    for what, answer in answers.items():
        pgroup, service = a_group(), Service(lambda asked: answer)
        c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
        quiet()
        before = metric("halfmq_checks_handed_total")
        txid = half(c, pgroup)
        eventually(lambda: metric("halfmq_checks_handed_total") == before + 1, f"{what}: handed over")
        assert (info(c, txid)["state"], info(c, txid)["checks"]) == (b"pending", 1), what
        c.call("TXN", "EXTEND", txid, 0)
        until_asked(service, 2)
        assert service.keys() == [f"{txid}-1", f"{txid}-2"], what
        c.call("ROLLBACK", txid)
        service.close()
    quiet()
    assert metric("halfmq_webhook_undecided_total") >= 2 * (len(answers) - 1)  # "unknown" counts as well


def test_raw_garbage():
    """The response is not HTTP. The ask counts, because the request was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            try:
                while True:
                    with listener.accept()[0] as s:
                        s.recv(65536)
                        s.sendall(b"\x00\x01\x02\r\n\r\n" * 100)
            except OSError:
                pass
        threading.Thread(target=serve, daemon=True).start()
        c, pgroup = broker.text(), a_group()
        quiet()
        before = metric("halfmq_checks_handed_total")
        c.call("PGROUP", "SET", pgroup, "CHECKURL", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        txid = half(c, pgroup)
        eventually(lambda: metric("halfmq_checks_handed_total") == before + 1, "handed over")
        assert (info(c, txid)["state"], info(c, txid)["checks"]) == (b"pending", 1)
        c.call("ROLLBACK", txid)


def test_redirects_are_not_followed():
    elsewhere = Service(lambda asked: "commit")
    service = Service(lambda asked: (307, b"", {"Location": elsewhere.url}))
    c, pgroup = broker.text(), a_group()
    c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
    txid = half(c, pgroup)
    until_asked(service, 1)
    c.call("TXN", "EXTEND", txid, 0)
    until_asked(service, 2)
    assert info(c, txid)["state"] == b"pending" and not elsewhere.asked
    assert broker.read_log().count(b"redirects") == 1
    c.call("ROLLBACK", txid)
    service.close()
    elsewhere.close()


def test_nobody_listens():
    """No ask counts while the broker cannot connect. When it can, it asks."""
    c, pgroup, port = broker.text(), a_group(), closed_port()
    before = metric("halfmq_webhook_failures_total")
    c.call("PGROUP", "SET", pgroup, "CHECKURL", f"http://127.0.0.1:{port}/")
    txid = half(c, pgroup)
    eventually(lambda: metric("halfmq_webhook_failures_total") > before, "it was tried")
    eventually(lambda: info(c, txid)["checks"] == 0, "the ask does not count")
    eventually(lambda: metric("halfmq_webhooks_down") == 1, "it is down")
    eventually(lambda: members_of(c, pgroup) == 0, "PGROUP INFO tells so")
    eventually(lambda: pgroup in transactions(c)["unserved"].split(","), "nobody can be asked")
    service = Service(lambda asked: "commit", port)
    until_state(c, txid, b"committed")
    assert service.keys() == [f"{txid}-1"]
    eventually(lambda: metric("halfmq_webhooks_down") == 0, "it is up")
    eventually(lambda: members_of(c, pgroup) == 1, "PGROUP INFO tells so")
    c.call("PGROUP", "DELETE", pgroup)
    eventually(lambda: members_of(c, pgroup) == 0, "nobody is asked any more")
    service.close()


def test_a_name():
    service = Service(lambda asked: "commit")
    c, pgroup = broker.text(), a_group()
    c.call("PGROUP", "SET", pgroup, "CHECKURL", f"http://LocalHost:{service.port}/")
    until_state(c, half(c, pgroup), b"committed")
    service.close()


def test_a_name_that_is_none():
    c, pgroup = broker.text(), a_group()
    before = metric("halfmq_webhook_failures_total")
    c.call("PGROUP", "SET", pgroup, "CHECKURL", "http://no.such.host.invalid/")
    txid = half(c, pgroup)
    eventually(lambda: metric("halfmq_webhook_failures_total") > before, "it was tried", 60)
    eventually(lambda: info(c, txid)["checks"] == 0, "the ask does not count")
    service = Service(lambda asked: "rollback")
    c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)  # for a new URL there is no pause
    until_state(c, txid, b"rolledback")
    service.close()


def test_it_never_answers():
    """The request ends after webhook_timeout. It was sent, so it counts as an ask."""
    let_go = threading.Event()
    service = Service(lambda asked: let_go.wait(60) and None)
    c, pgroup = broker.text(), a_group()
    c.call("CONFIG", "SET", "webhook_timeout", "50ms")
    quiet()
    before = metric("halfmq_webhook_undecided_total")
    c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
    txid = half(c, pgroup)
    eventually(lambda: metric("halfmq_webhook_undecided_total") > before, "it is given up")
    assert (info(c, txid)["state"], info(c, txid)["checks"]) == (b"pending", 1)
    c.call("CONFIG", "SET", "webhook_timeout", "30s")
    c.call("ROLLBACK", txid)
    let_go.set()
    service.close()


def test_so_many_at_once():
    """webhook_concurrency limits the requests to one URL, for all its producer groups together."""
    let_go, lock, counts = threading.Event(), threading.Lock(), {"now": 0, "most": 0}

    def answer(asked):
        with lock:
            counts["now"] += 1
            counts["most"] = max(counts["now"], counts["most"])
        let_go.wait(60)
        with lock:
            counts["now"] -= 1
        return "commit"

    service, c, pgroups = Service(answer), broker.text(), [a_group(), a_group()]
    c.call("CONFIG", "SET", "webhook_concurrency", 4)
    for pgroup in pgroups:
        c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
    txids = [half(c, pgroups[i % 2]) for i in range(40)]
    until_asked(service, 4)
    # Another group is not delayed by those that hang.
    other = Service(lambda asked: "commit")
    c.call("PGROUP", "SET", "other", "CHECKURL", other.url)
    until_state(c, half(c, "other"), b"committed")
    assert len(service.asked) == 4 and counts["most"] == 4
    let_go.set()
    for txid in txids:
        until_state(c, txid, b"committed")
    assert counts["most"] == 4 and sorted(service.keys()) == sorted(f"{t}-1" for t in txids)
    c.call("CONFIG", "SET", "webhook_concurrency", 8)
    service.close()
    other.close()


def test_groups_that_share_a_url():
    """Places that one group has reserved and does not need are free for the others."""
    service, c, pgroups = Service(lambda asked: "commit"), broker.text(), [a_group() for _ in range(4)]
    c.call("CONFIG", "SET", "webhook_concurrency", 1)
    for pgroup in pgroups:
        c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
    for i in range(200):
        txids = [half(c, pgroup) for pgroup in pgroups[i % 3:]]
        for txid in txids:
            until_state(c, txid, b"committed")
    c.call("CONFIG", "SET", "webhook_concurrency", 8)
    service.close()


def test_a_dead_one_delays_nobody():
    c, dead, alive = broker.text(), a_group(), a_group()
    with socket.create_server(("127.0.0.1", 0), backlog=1) as full:  # accepts connections and never answers
        service = Service(lambda asked: "commit")
        c.call("PGROUP", "SET", dead, "CHECKURL", f"http://127.0.0.1:{full.getsockname()[1]}/")
        c.call("PGROUP", "SET", alive, "CHECKURL", service.url)
        stuck = [half(c, dead) for _ in range(20)]
        for _ in range(20):
            until_state(c, half(c, alive), b"committed")
        assert {info(c, t)["state"] for t in stuck} == {b"pending"}
        c.call("PGROUP", "DELETE", dead)
        for t in stuck:
            c.call("ROLLBACK", t)
    service.close()


def set_urls(c, pgroups, url):
    """Sets for each group a CHECKURL of its own, url/<pgroup>."""
    for pgroup in pgroups:
        c.send("PGROUP", "SET", pgroup, "CHECKURL", f"{url}/{pgroup}")
    assert {c.read() for _ in pgroups} == {"OK"}


def halfs(c, pgroups):
    for pgroup in pgroups:
        c.send("HALF", pgroup, "t", "body")
    return [c.read().decode() for _ in pgroups]


def test_thousands_of_groups():
    """Thousands of groups, each with a URL of its own, have checks due at once; then once more, after each has
    answered."""
    service, pgroups = Service(lambda asked: "commit"), [f"many{i}" for i in range(2000)]
    with Broker(*FLAGS) as own:
        c = own.text()
        set_urls(c, pgroups, service.url)
        for _ in range(2):
            for txid in halfs(c, pgroups):
                until_state(c, txid, b"committed")
        asked = sorted(a.path for a in service.asked)
        assert asked == sorted(f"/check/{p}" for p in pgroups * 2)
    service.close()


def test_hundreds_of_dead_ones_delay_nobody():
    """There are more dead services than places for requests. A service that answered the last time is still asked."""
    service, dead = Service(lambda asked: "commit"), [f"dead{i}" for i in range(1100)]
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as hole, Broker(*FLAGS) as own:
        c = own.text()
        c.call("PGROUP", "SET", "alive", "CHECKURL", service.url)
        until_state(c, half(c, "alive"), b"committed")
        set_urls(c, dead, f"http://127.0.0.1:{hole.getsockname()[1]}")
        stuck = halfs(c, dead)
        for _ in range(20):
            until_state(c, half(c, "alive"), b"committed")
        eventually(lambda: sum(info(c, t)["checks"] for t in stuck) == 512, "half of all places are taken")
        for _ in range(20):
            until_state(c, half(c, "alive"), b"committed")
    service.close()


def test_more_groups_than_memory():
    service, pgroups = Service(lambda asked: "commit"), [f"long{i:03}" for i in range(500)]
    with Broker(*FLAGS, "--memory", "16MiB") as own:
        c = own.text()
        set_urls(c, pgroups, service.url + "/" + "x" * 1950)
        txids = dict(zip(pgroups, halfs(c, pgroups), strict=True))
        eventually(lambda: b"too many CHECKURLs" in own.read_log(), "the log says so")
        left = lambda: [p for p in pgroups if info(c, txids[p])["state"] == b"pending"]  # noqa: E731
        eventually(lambda: int(transactions(c)["producer_groups_unserved"]) == len(left()), "INFO says so")
        first = left()
        assert 50 < len(first) < 250 and members_of(c, first[0]) == 0, len(first)
        for pgroup in pgroups:
            if pgroup not in first:
                c.call("PGROUP", "DELETE", pgroup)
        eventually(lambda: not left(), "there is room for the others now")
    service.close()


def test_a_service_that_keeps_connections():
    """Requests one after the other use the same connection. Requests at the same time use at most
    webhook_concurrency connections."""
    service, c, pgroups = Service(lambda asked: "commit", protocol="HTTP/1.1"), broker.text(), [a_group(), a_group()]
    for pgroup in pgroups:  # they share its places, though their paths differ
        c.call("PGROUP", "SET", pgroup, "CHECKURL", f"{service.url}/{pgroup}")
    for i in range(50):
        until_state(c, half(c, pgroups[i % 2]), b"committed")
    assert len(service.asked) == 50 and service.connections < 10, service.connections
    for txid in halfs(c, pgroups * 100):
        until_state(c, txid, b"committed")
    assert len(service.asked) == 250 and service.connections < 100, service.connections
    eventually(lambda: service.ended == service.connections, "those that are idle are closed")
    service.close()


def test_a_service_that_closes():
    """The service says in one of two ways that it closes the connection. Each is used once, and no request is sent
    twice."""
    for protocol, headers in (("HTTP/1.0", {}), ("HTTP/1.1", {"Connection": "close"})):
        def answer(asked):
            return (200, b'{"decision":"commit"}', headers)
        service, c, pgroup = Service(answer, protocol=protocol), broker.text(), a_group()
        c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
        for _ in range(20):
            until_state(c, half(c, pgroup), b"committed")
        assert len(service.asked) == service.connections == 20
        service.close()


class Script:
    """A service with a plan for each connection: how many requests it answers, and what it does with the next one:
    "hang up" before it reads it, "swallow" it and hang up, or "garble" the response. Then it closes."""

    ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"decision":"commit"}'

    def __init__(self, *plan):
        self.plan, self.keys = list(plan), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        threading.Thread(target=self.run, daemon=True).start()

    def request(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            data += s.recv(65536)
        head, body = data.split(b"\r\n\r\n", 1)
        left = int(re.search(rb"(?i)content-length: (\d+)", head).group(1)) - len(body)
        while left > 0:
            left -= len(s.recv(left))
        self.keys.append(re.search(rb"Idempotency-Key: (\S+)", head).group(1).decode())

    def run(self):
        while self.plan:
            answers, then = self.plan.pop(0)
            with self.listener.accept()[0] as s:
                for _ in range(answers):
                    self.request(s)
                    s.sendall(self.ANSWER)
                if then == "hang up":
                    continue
                self.request(s)
                if then == "garble":
                    s.sendall(b"HTTP/1.1 2")
        self.listener.close()


def test_a_connection_that_dies_meanwhile():
    """The service closes an idle connection, or one on which it has received the next request. The request is sent
    again at once on a new connection, with the same key. It does not count as a failure, and there is no pause."""
    c, pgroup, script = broker.text(), a_group(), Script((1, "hang up"), (2, "swallow"), (1, "swallow"), (1, "hang up"))
    quiet()
    before = [metric("halfmq_webhook_failures_total"), metric("halfmq_webhook_undecided_total")]
    c.call("PGROUP", "SET", pgroup, "CHECKURL", script.url)
    txids = []
    for _ in range(5):
        txids.append(half(c, pgroup))
        until_state(c, txids[-1], b"committed")
        assert info(c, txids[-1])["checks"] == 1
    one, two, three, four, five = (f"{t}-1" for t in txids)
    assert script.keys == [one, two, three, four, four, five, five], script.keys
    quiet()
    assert [metric("halfmq_webhook_failures_total"), metric("halfmq_webhook_undecided_total")] == before
    c.call("PGROUP", "DELETE", pgroup)


def test_a_connection_that_dies_answering():
    """The service sends half a response and closes. That counts as an ask, and it is not asked again at once."""
    c, pgroup, script = broker.text(), a_group(), Script((1, "garble"), (1, "hang up"))
    quiet()
    before = metric("halfmq_webhook_undecided_total")
    c.call("PGROUP", "SET", pgroup, "CHECKURL", script.url)
    until_state(c, half(c, pgroup), b"committed")
    txid = half(c, pgroup)
    eventually(lambda: metric("halfmq_webhook_undecided_total") == before + 1, "it counts")
    assert (info(c, txid)["state"], info(c, txid)["checks"]) == (b"pending", 1)
    c.call("TXN", "EXTEND", txid, 0)
    until_state(c, txid, b"committed")
    assert script.keys[1:] == [f"{txid}-1", f"{txid}-2"]
    c.call("PGROUP", "DELETE", pgroup)


def test_deleted_settings():
    service, c, pgroup = Service(lambda asked: "commit"), broker.text(), a_group()
    c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
    until_state(c, half(c, pgroup), b"committed")
    c.call("PGROUP", "DELETE", pgroup)
    txid = half(c, pgroup)
    check = json.loads(c.call("CHECKS", pgroup, "WAIT", "30s")[0])
    assert check["txid"] == txid and len(service.asked) == 1
    c.call("ROLLBACK", txid)
    service.close()


def test_restarts():
    """After a restart the broker asks again: after SIGKILL, and after a stop during a request. The stop takes the ask
    back, so the request is sent again at once, with the same key."""
    hang = threading.Event()
    service = Service(lambda asked: "commit" if hang.is_set() else hang.wait(60) and None)
    with Broker(*FLAGS) as own:
        c = own.text()
        c.call("PGROUP", "SET", "shop", "CHECKURL", service.url)
        txid = half(c, "shop")
        until_asked(service, 1)
        assert own.stop() == 0
        hang.set()
        own.start()
        c = own.text()
        until_state(c, txid, b"committed")
        assert service.keys() == [f"{txid}-1"] * 2
        own.kill()
        own.start()
        c = own.text()
        until_state(c, half(c, "shop"), b"committed")
    service.close()


def test_what_may_not_be_set():
    c = broker.text()
    for url, words in (("https://a/", "https is not supported"), ("ftp://a/", "http://"),
                       ("http://u:p@a/", "not a URL"), ("http://169.254.169.254/", "webhook_allow"),
                       ("http://[fe80::1]/", "webhook_allow"), ("http://[fd00:ec2::254]/", "webhook_allow"),
                       ("http://[::169.254.169.254]/", "webhook_allow"),
                       ("http://[64:ff9b::a9fe:a9fe]/", "webhook_allow"), ("http://", "host"),
                       ("http://a/ b", "not a URL"), ("http://a:99999/", "not a URL")):
        error = c.refused("PGROUP", "SET", "shop", "CHECKURL", url)
        assert error.code == "ERR" and words in error.text, error.text


def test_the_allow_list():
    service = Service(lambda asked: "commit")
    with Broker(*FLAGS, "--webhook_allow", "*.example.org, localhost, 10.0.0.0/8") as own:
        c = own.text()
        for host in ("a.example.org", "10.1.2.3", "localhost"):
            c.call("PGROUP", "SET", host, "CHECKURL", f"http://{host}:{service.port}/")
        for host in ("127.0.0.1", "example.org", "11.0.0.1", "[::1]"):
            error = c.refused("PGROUP", "SET", host.strip("[]").replace(":", "_"), "CHECKURL",
                              f"http://{host}:{service.port}/")
            assert "webhook_allow" in error.text, error.text
        until_state(c, half(c, "localhost"), b"committed")
    with Broker(*FLAGS) as own:  # webhook_allow is checked again at each call
        c = own.text()
        c.call("PGROUP", "SET", "shop", "CHECKURL", service.url)
        until_state(c, half(c, "shop"), b"committed")
        assert own.stop() == 0
        own.flags += ("--webhook_allow", "example.org")
        own.start()
        c, asked = own.text(), len(service.asked)
        txid = half(c, "shop")
        eventually(lambda: b"not allowed by webhook_allow" in own.read_log(), "the log says so")
        eventually(lambda: info(c, txid)["checks"] == 0, "no ask counts")
        assert len(service.asked) == asked
    service.close()


def test_a_wrong_allow_list():
    import subprocess
    for flags in ((), ("--check-config",)):
        done = subprocess.run([HALFMQD, "--port", "0", "--http_port", "0", "--data", broker.folder + "/no",
                               "--webhook_allow", "10.0.0.0/99", *flags],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "10.0.0.0/99" in done.stderr, done


def test_four_ways_at_once():
    """There are members of all four kinds (subscriber, server, poller, webhook). Each check goes to one of them."""
    c, pgroup, n = broker.text(), a_group(), 2000
    service = Service(lambda asked: "unknown")
    members, asked = [Subscriber(pgroup), Server(pgroup)], []
    poller = broker.text()
    number = poller.call("CLIENT", "ID")

    def poll():
        try:
            while True:
                asked.extend(json.loads(o) for o in poller.call("CHECKS", pgroup, "COUNT", 5, "WAIT", "1m"))
        except (EOFError, OSError):
            pass

    threads = [threading.Thread(target=gather, args=(m, asked)) for m in members]
    threads.append(threading.Thread(target=poll))
    for thread in threads:
        thread.start()
    c.call("PGROUP", "SET", pgroup, "CHECKURL", service.url)
    for at in range(0, n, 100):
        for _ in range(100):
            c.send("HALF", pgroup, "t", "x")
        for _ in range(100):
            c.read()
    eventually(lambda: len(asked) + len(service.asked) >= n, "all are asked")
    txids = [a["txid"] for a in asked] + [a.check["txid"] for a in service.asked]
    assert len(txids) == len(set(txids)) == n, f"{len(txids)} asks, {len(set(txids))} transactions"
    for client in (members[0].id, members[1].id, number):
        c.call("CLIENT", "KILL", client)
    for thread in threads:
        thread.join()
    service.close()


def main():
    global broker
    with Broker(*FLAGS) as broker:
        members.broker = broker
        return run_tests(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(main())
