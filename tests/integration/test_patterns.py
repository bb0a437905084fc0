"""test_patterns.py: tests the services of clients/examples/patterns in normal operation, and when they are killed at
random moments. (tests/crash/steps.py kills them at each single step.)"""
import hashlib
import hmac
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", folder) for folder in ("lib", "crash")]

from broker import BIN, Broker, Message, Refused, die_with_parent, eventually, run_tests  # noqa: E402
from postgres import Postgres  # noqa: E402
from stage import PATTERNS, Stage, metric  # noqa: E402
from step_rows import killed_at  # noqa: E402

SEED = int(os.environ.get("HALFMQ_SEED") or time.time_ns() % 2**32)


class Child:
    """A program that runs until it is killed."""

    def __init__(self, broker, *command, **more):
        self.command = command
        self.environment = dict(os.environ, HALFMQ_URL=f"hmq://127.0.0.1:{broker.port}?lease_ms=500", **more)
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, env=self.environment, preexec_fn=die_with_parent,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def restart(self):
        self.kill()
        self.start()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def python(name):
    return sys.executable, os.path.join(PATTERNS, name)


def published(broker, topic):
    """Returns the bodies of all messages of a topic; none if the topic does not exist yet."""
    c = broker.text(hello=3)
    try:
        queues = c.call("TOPIC", "INFO", topic)["queues"]
        count = queues if isinstance(queues, int) else len(queues)
        return [Message(m).body.decode() for queue in range(count)
                for m in c.call("READ", topic, queue, 0, "COUNT", 1000)]
    except Refused as error:
        assert error.code == "NOTOPIC", error
        return []
    finally:
        c.close()


def lag(broker, *groups):
    c = broker.text(hello=3)
    rows = [row["lag"] for group in groups for row in c.call("LAG", group)]
    c.close()
    return sum(rows)


# ---- the order services

def take_orders(kind, postgres=None):
    with Stage(kind, postgres) as stage:
        service = stage.service()
        service.order("1")
        service.order("2", "pear", 3)
        service.order("3", "pear", 3)  # only two are left
        service.order("4", "melon", 1)  # the shop does not have it
        service.order("1")  # this order exists already
        service.order("5", "pear", 2)
        service.says("5 taken")
        with open(service.output, encoding="utf-8") as said:
            assert said.read() == "1 taken\n2 taken\n3 refused\n4 refused\n1 refused\n5 taken\n"
        stage.ends("1", "2", "5")
        assert stage.db.rows("SELECT stock FROM products WHERE item = 'pear'") == [("0",)]
        key = Message(stage.call("FIND", "orders", "KEY", "2")[0])
        assert json.loads(key.body) == {"order": "2", "item": "pear", "quantity": 3}, key
        service.process.stdin.close()
        assert service.process.wait(30) == 0, "at the end of its input it ends in order"


def test_orders_on_sqlite_in_c():
    take_orders("c")


def test_orders_on_sqlite_in_python():
    take_orders("python")


def test_orders_on_postgres():
    with Postgres() as server:
        take_orders("postgres", server)


# ---- consume, transform, produce

def test_transform_exactly_once():
    """Runs two transformers and kills them again and again. Each word is published exactly once."""
    words, chance = 300, random.Random(SEED)
    with Broker("--checkin", "300ms", "--check_every", "100ms", "--check_max", "1000") as broker:
        for i in range(words):
            broker.text().call("SEND", "words", f"word {i}")
        command = os.path.join(BIN, "examples", "patterns", "transform")
        with Child(broker, command) as one, Child(broker, command) as two:
            for share in range(1, 7):
                eventually(lambda: len(published(broker, "loud")) >= share * words // 8, "the words go on")
                chance.choice((one, two)).restart()
            eventually(lambda: lag(broker, "transform") == 0, "every word is done")
            eventually(lambda: metric(broker, "halfmq_transactions_pending") == 0, "what was left open is given up")
        assert sorted(published(broker, "loud")) == sorted(f"WORD {i}" for i in range(words))


# ---- the saga

ORDERS = [(f"o{i}", ("alice", "bob")[i % 2], 900, ("apple", "pear")[i % 3 == 0]) for i in range(24)]


def books(folder, service, sql):
    db = sqlite3.connect(f"{folder}/{service}.db", timeout=20)
    try:
        return dict(db.execute(sql).fetchall())
    except sqlite3.OperationalError:  # the table does not exist yet
        return {}
    finally:
        db.close()


def test_saga():
    """Eight customers want one of two pears, and each has money for eleven of twelve orders; all services are killed
    on the way. In the end each order is confirmed, paid and taken from the stock, or all of it is undone."""
    chance = random.Random(SEED)
    flags = ("--checkin", "300ms", "--check_every", "100ms", "--check_max", "1000")
    topics = {"orders": ("wanted", "reserved", "declined", "refunded"), "payments": ("placed", "sold-out"),
              "stock": ("paid",)}
    with Broker(*flags) as broker, tempfile.TemporaryDirectory() as folder:
        for group, names in topics.items():
            for name in names:
                broker.text().call("TOPIC", "CREATE", name)
                broker.text().call("GROUP", "CREATE", group, name, "LEASE", "500ms", "ATTEMPTS", 1000)
        children = [Child(broker, *python("saga.py"), service, folder) for service in topics]
        for words in ORDERS:
            subprocess.run([*python("saga.py"), "place", *map(str, words)], check=True, stdout=subprocess.DEVNULL,
                           env=children[0].environment)
            if chance.random() < 0.3:
                chance.choice(children).restart()

        def states():
            return books(folder, "orders", "SELECT id, state FROM orders")

        def is_over():
            return len(states()) == len(ORDERS) and "open" not in states().values()
        eventually(is_over, "each order is confirmed or cancelled", 60)
        eventually(lambda: lag(broker, *topics) == 0, "every message is done")
        eventually(lambda: metric(broker, "halfmq_transactions_pending") == 0, "every transaction is decided")
        for child in children:
            child.kill()
        confirmed = [order for order in ORDERS if states()[order[0]] == "confirmed"]
        assert sum(item == "pear" for _, _, _, item in confirmed) == 2, confirmed
        assert books(folder, "stock", "SELECT item, pieces FROM shelf") == {
            "apple": 100 - sum(item == "apple" for _, _, _, item in confirmed), "pear": 0}
        assert books(folder, "payments", "SELECT customer, cents FROM accounts") == {
            who: 10000 - sum(price for _, customer, price, _ in confirmed if customer == who)
            for who in ("alice", "bob")}
        assert len(published(broker, "reserved")) == len(confirmed)
        assert len(published(broker, "placed")) == len(ORDERS)
        assert len(published(broker, "sold-out")) == len(published(broker, "refunded"))


# ---- the webhook

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def start_webhook(broker, folder):
    port = free_port()
    child = Child(broker, *python("webhook.py"), str(port), os.path.join(folder, "shop.db"), SECRET="wink")

    def answers():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except ConnectionRefusedError:
            return False
    eventually(answers, "the webhook listens")
    return child, f"http://127.0.0.1:{port}/"


def post(url, txid, secret):
    """POSTs a check as the broker does. Returns the status and the body of the response."""
    body = json.dumps({"txid": txid, "pgroup": "shop", "attempt": 1, "created": 0, "messages": []}).encode()
    request = urllib.request.Request(url, body, {
        "Content-Type": "application/json", "Idempotency-Key": f"{txid}-1",
        "X-HalfMQ-Signature": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_webhook_answers_from_the_database_who_signs():
    with Stage("python") as stage:
        service = stage.first()
        service.order("1")
        service.says("1 taken")
        webhook, url = start_webhook(stage.broker, stage.folder.name)
        with webhook:
            taken, never = stage.txid(), "912968083360972800"
            assert post(url, taken, b"wink") == (200, {"decision": "commit"})
            assert post(url, never, b"nudge")[0] == 403
            assert len(stage.db.rows("SELECT * FROM outcomes")) == 1, "a stranger's question changes nothing"
            assert post(url, never, b"wink") == (200, {"decision": "rollback"})
            assert post(url, never, b"wink") == (200, {"decision": "rollback"})
            assert sorted(stage.db.rows("SELECT txid, taken FROM outcomes")) == sorted([(taken, "1"), (never, "0")])


def test_webhook_is_asked_by_the_broker():
    """The last member of the group dies, and the broker asks the webhook. A request that is signed with another
    secret is refused."""
    with Stage("python") as stage:
        killed_at(stage, stage.net.hold_request, b"commit")
        webhook, url = start_webhook(stage.broker, stage.folder.name)
        with webhook:
            stage.call("PGROUP", "SET", "shop", "CHECKURL", url, "SECRET", "nudge")
            stage.ask()
            eventually(lambda: stage.info()["checks"] >= 1, "the webhook is asked")
            assert stage.info()["state"] == b"pending"
            stage.call("PGROUP", "SET", "shop", "SECRET", "wink")
            stage.ends("1")
            never = stage.call("HALF", "shop", "orders", "never", "CHECKIN", "1ms")
            stage.ends("1")
            assert stage.info(never)["state"] == b"rolledback"


if __name__ == "__main__":
    print(f"seed {SEED}", flush=True)
    sys.exit(run_tests(sys.modules["__main__"]))
