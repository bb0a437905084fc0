#!/usr/bin/env python3
"""orders.py: an order service whose database and whose messages never disagree. redis-py and SQLite.

    orders.py [database]        reads orders from its input, a line each: <order> <item> <quantity>

    HALF ──► one transaction of the database: the order, and the txid ──► COMMIT
                  ╳ dies here? The broker asks any process of the group `shop`, which looks the txid up.

The one rule: a txid gets its row in `outcomes` once, and before anybody is told. The order writes 1
there, the answer to the broker writes 0 where nothing is yet, and the primary key lets one of them win.
"""
import json
import os
import sqlite3
import sys
import threading
import time
import uuid
from urllib.parse import urlparse

import redis

SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS products(item TEXT PRIMARY KEY, stock INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders(id TEXT PRIMARY KEY, item TEXT NOT NULL, quantity INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outcomes(txid INTEGER PRIMARY KEY, taken INTEGER NOT NULL);
INSERT OR IGNORE INTO products VALUES('apple', 100), ('pear', 5);
"""


def open_shop(path, schema=SCHEMA):
    """A connection belongs to one thread."""
    shop = sqlite3.connect(path, timeout=20, isolation_level=None)
    shop.executescript(schema)
    return shop


def place(shop, txid, order, item, quantity):
    """The local transaction: True where the order was taken."""
    shop.execute("BEGIN IMMEDIATE")
    try:
        shop.execute("INSERT INTO outcomes VALUES(?, 1)", (txid,))
        shop.execute("INSERT INTO orders VALUES(?, ?, ?)", (order, item, quantity))
        left = shop.execute("UPDATE products SET stock = stock - ?1 WHERE item = ?2 AND stock >= ?1",
                            (quantity, item)).rowcount
        if left == 1:
            shop.execute("COMMIT")
        return left == 1
    except sqlite3.IntegrityError:  # the broker was told "rollback" already, or the order is known
        return False
    finally:
        if shop.in_transaction:
            shop.execute("ROLLBACK")


def was_taken(shop, txid):
    """What became of a transaction? Where nothing is known of it, nothing will ever come of it."""
    shop.execute("INSERT OR IGNORE INTO outcomes VALUES(?, 0)", (txid,))
    return shop.execute("SELECT taken FROM outcomes WHERE txid = ?", (txid,)).fetchone()[0] == 1


def connect():
    url = urlparse(os.environ.get("HALFMQ_URL", "hmq://127.0.0.1:4253"))
    return redis.Redis(host=url.hostname, port=url.port or 4253, decode_responses=True)


def insist(broker, *words):
    """Asks again when the connection broke: HALF with DEDUP and COMMIT may come twice."""
    for pause in (0.1, 0.2, 0.5, 1, 2, 5, None):
        try:
            return broker.execute_command(*words)
        except redis.ConnectionError:
            if pause is None:
                raise
            time.sleep(pause)


def announce(broker, shop, order, item, quantity):
    """One order, from the half message to the decision."""
    body = json.dumps({"order": order, "item": item, "quantity": quantity})
    txid = insist(broker, "HALF", "shop", "orders", body, "KEY", order, "DEDUP", uuid.uuid4().hex)
    taken = place(shop, int(txid), order, item, quantity)
    try:
        insist(broker, "COMMIT" if taken else "ROLLBACK", txid)
    except redis.RedisError as error:  # the database has the last word: the broker will ask for it
        print(f"{order} left to the check-back: {error}", file=sys.stderr)
    return taken


def answer_checks(pgroup, path, schema=SCHEMA):
    """Runs in a thread of its own: what the broker asks about is looked up in the database."""
    shop, broker = open_shop(path, schema), connect()
    while True:
        try:
            for check in broker.execute_command("CHECKS", pgroup, "COUNT", 10, "WAIT", "30s"):
                txid = json.loads(check)["txid"]
                broker.execute_command("COMMIT" if was_taken(shop, int(txid)) else "ROLLBACK", txid)
        except (redis.RedisError, sqlite3.OperationalError) as error:
            print(f"will be asked again: {error}", file=sys.stderr)
            time.sleep(0.2)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "shop.db"
    broker, shop = connect(), open_shop(path)
    threading.Thread(target=answer_checks, args=("shop", path), daemon=True).start()
    for line in sys.stdin:
        order, item, quantity = line.split()
        try:
            taken = announce(broker, shop, order, item, int(quantity))
            print(order, "taken" if taken else "refused", flush=True)
        except (redis.RedisError, sqlite3.OperationalError) as error:
            print(order, "failed:", error, flush=True)


if __name__ == "__main__":
    main()
