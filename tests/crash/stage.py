"""stage.py: the set-up for testing the rows of docs/transactions.md: a broker, an order service with its
database, and a network between them that can be held at each step.

    service ──► net (a proxy) ──► broker          another = stage.service(): straight to the broker
       └──► database (SQLite, or PostgreSQL behind a proxy of its own)

The service is an unchanged program of clients/examples/patterns. The first check-back is due after an hour, so
that no member is asked before the row calls ask().
"""
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request

from broker import BIN, SOURCE, Broker, Message, Refused, die_with_parent, eventually
from proxy import Proxy

PATTERNS = os.path.join(SOURCE, "clients", "examples", "patterns")
COMMANDS = {
    "python": [sys.executable, os.path.join(PATTERNS, "orders.py")],
    "c": [os.path.join(BIN, "examples", "patterns", "orders_sqlite")],
    "postgres": [os.path.join(BIN, "examples", "patterns", "orders_postgres")],
}
FLAGS = ("--checkin", "1h", "--check_every", "100ms", "--check_max", "1000")


def metric(broker, name):
    """Returns the value of a metric without labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/metrics") as page:
        lines = page.read().decode().splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith(name + " "))


class Service:
    """A process of the order service. Its output goes to a file."""

    def __init__(self, command, port, output):
        self.output = output
        with open(output, "wb") as said:
            self.process = subprocess.Popen(
                command, env=dict(os.environ, HALFMQ_URL=f"hmq://127.0.0.1:{port}"), text=True,
                stdin=subprocess.PIPE, stdout=said, stderr=said, preexec_fn=die_with_parent)

    def order(self, name, item="apple", quantity=1):
        self.process.stdin.write(f"{name} {item} {quantity}\n")
        self.process.stdin.flush()

    def says(self, wanted):
        """Waits for a line of output that starts with this text."""
        def said():
            with open(self.output, encoding="utf-8") as f:
                return [line for line in f if line.startswith(wanted)]
        return eventually(said, f"the service says {wanted!r}")

    def kill(self):
        self.process.kill()
        self.process.stdin.close()
        self.process.wait()


class Lite:
    """The database of a service, as the test sees it: SQLite."""

    def __init__(self, folder):
        self.argument = os.path.join(folder, "shop.db")

    def rows(self, sql):
        db = sqlite3.connect(self.argument, timeout=20, isolation_level=None)
        try:
            return [tuple(str(value) for value in row) for row in db.execute(sql)]
        finally:
            db.close()

    def lock(self):
        """Makes the next order stop inside its database transaction, until unlock()."""
        self.locker = sqlite3.connect(self.argument, timeout=20, isolation_level=None)
        self.locker.execute("BEGIN IMMEDIATE")

    def wait_inside(self, stage):
        eventually(lambda: stage.net.txids, "the half is stored")

    def unlock(self):
        self.locker.close()

    def close(self):
        pass


class Server:
    """The same for PostgreSQL; the service reaches it through a proxy, the test directly."""

    def __init__(self, postgres):
        self.postgres = postgres
        postgres.query("DROP TABLE IF EXISTS orders, outcomes, products")
        self.net = Proxy(postgres.address)
        self.argument = (f"host=127.0.0.1 port={self.net.port} user=test dbname=postgres sslmode=disable "
                         f"gssencmode=disable")

    def rows(self, sql):
        return self.postgres.query(sql)

    def lock(self):
        self.locker = self.postgres.session()
        self.locker.stdin.write("BEGIN; LOCK TABLE products IN SHARE MODE; SELECT 'locked';\n")
        self.locker.stdin.flush()
        assert self.locker.stdout.readline() == "locked\n"

    def wait_inside(self, _):
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE products%'"
        eventually(lambda: self.rows(waits), "an order waits inside of its transaction")

    def unlock(self):
        self.locker.stdin.close()
        self.locker.stdout.close()
        self.locker.wait()

    def close(self):
        self.net.close()


class Stage:
    def __init__(self, kind, postgres=None, flags=()):
        self.kind = kind
        self.folder = tempfile.TemporaryDirectory()
        self.broker = Broker(*FLAGS, *flags)
        self.net = Proxy(lambda: self.broker.port)
        self.db = Server(postgres) if postgres else Lite(self.folder.name)
        self.services = []
        self.witnessed = 0

    # ---- processes

    def service(self, port=None):
        output = os.path.join(self.folder.name, f"service{len(self.services) + 1}")
        s = Service([*COMMANDS[self.kind], self.db.argument], port or self.broker.port, output)
        self.services.append(s)
        return s

    def first(self):
        """Starts a service whose connection to the broker goes through the proxy, so that it can be held."""
        return self.service(self.net.port)

    def restart_broker(self):
        self.broker.kill()
        self.broker.start()

    # ---- looking at the broker

    def call(self, *words):
        client = self.broker.text(hello=3)
        try:
            return client.call(*words)
        finally:
            client.close()

    def txid(self):
        """The txid of the only transaction that has passed the proxy."""
        eventually(lambda: self.net.txids, "a txid came by")
        assert len(self.net.txids) == 1, self.net.txids
        return self.net.txids[0]

    def info(self, txid=None):
        return self.call("TXN", "INFO", txid or self.txid())

    def ask(self, txid=None):
        """Makes the check-back of the transaction due now."""
        self.call("TXN", "EXTEND", txid or self.txid(), "1ms")

    def let_asks_pass(self):
        """Waits long enough for the broker to ask about this transaction: until it has asked three times about
        others that were due later. Checks that it did not ask."""
        self.witnessed += 1
        group = f"witness{self.witnessed}"
        txid = self.call("HALF", group, "elsewhere", "x", "CHECKIN", "1ms")
        for _ in range(3):
            assert len(self.call("CHECKS", group, "WAIT", "30s")) == 1
        self.call("ROLLBACK", txid)

    def metric(self, name):
        return metric(self.broker, name)

    def pending(self):
        return self.metric("halfmq_transactions_pending")

    def published(self, topic="orders"):
        found = []
        try:
            queues = self.call("TOPIC", "INFO", topic)["queues"]
        except Refused as error:
            assert error.code == "NOTOPIC", error
            return found
        for queue in range(queues if isinstance(queues, int) else len(queues)):
            found += [Message(m).body.decode() for m in self.call("READ", topic, queue, 0, "COUNT", 100)]
        return found

    # ---- the end of each row

    def ends(self, *taken):
        """Checks that no transaction is open, and that database and topic have exactly these orders, once each."""
        eventually(lambda: self.pending() == 0, "every transaction is decided")
        orders = [row[0] for row in self.db.rows("SELECT id FROM orders ORDER BY id")]
        said = sorted(json.loads(body)["order"] for body in self.published())
        assert orders == sorted(taken), f"in the database: {orders}"
        assert said == sorted(taken), f"published: {said}"

    def close(self):
        for s in self.services:
            if s.process.poll() is None:
                s.kill()
        self.net.close()
        self.db.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for s in self.services if kind else ():
            with open(s.output, encoding="utf-8") as f:
                print(f"--- {os.path.basename(s.output)} ---\n{f.read()}", file=sys.stderr)
        self.close()
        self.broker.__exit__(kind, value, trace)
