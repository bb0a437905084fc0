#!/usr/bin/env python3
"""orders.py: an order service whose database and messages never disagree. It uses redis-py and SQLite.

    orders.py [database]        reads orders from standard input, one a line: <order> <item> <quantity>

    HALF ──► one transaction of the database: the order, and the txid ──► COMMIT
                  ╳ dies here? The broker asks any process of the group `shop`, which looks the txid up.

There is one rule: a txid gets its row in `outcomes` once, before anybody is told the outcome. The order
writes 1 there. The answer to the broker writes 0 there if there is no row yet. The primary key lets only
one of them succeed.
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
    """Opens the database. Each thread needs a connection of its own."""
    shop = sqlite3.connect(path, timeout=20, isolation_level=None)
    shop.executescript(schema)
    return shop


def place(shop, txid, order, item, quantity):
    """The local transaction. Returns True if the order was taken."""
    shop.execute("BEGIN IMMEDIATE")
    try:
        shop.execute("INSERT INTO outcomes VALUES(?, 1)", (txid,))
        shop.execute("INSERT INTO orders VALUES(?, ?, ?)", (order, item, quantity))
        left = shop.execute("UPDATE products SET stock = stock - ?1 WHERE item = ?2 AND stock >= ?1",
                            (quantity, item)).rowcount
        if left == 1:
            shop.execute("COMMIT")
        return left == 1
    except sqlite3.IntegrityError:  # a check was answered "rollback" already, or the order exists
        return False
    finally:
        if shop.in_transaction:
            shop.execute("ROLLBACK")


def was_taken(shop, txid):
    """Tells what became of a transaction. If it has no row, it gets one that makes "no" final."""
    shop.execute("INSERT OR IGNORE INTO outcomes VALUES(?, 0)", (txid,))
    return shop.execute("SELECT taken FROM outcomes WHERE txid = ?", (txid,)).fetchone()[0] == 1


def connect():
    url = urlparse(os.environ.get("HALFMQ_URL", "hmq://127.0.0.1:4253"))
    return redis.Redis(host=url.hostname, port=url.port or 4253, decode_responses=True)


def insist(broker, *words):
    """Sends a command again when the connection was lost. HALF with DEDUP and COMMIT may be sent twice."""
    for pause in (0.1, 0.2, 0.5, 1, 2, 5, None):
        try:
            return broker.execute_command(*words)
        except redis.ConnectionError:
            if pause is None:
                raise
            time.sleep(pause)


def announce(broker, shop, order, item, quantity):
    """Handles one order, from the half message to COMMIT or ROLLBACK."""
    body = json.dumps({"order": order, "item": item, "quantity": quantity})
    txid = insist(broker, "HALF", "shop", "orders", body, "KEY", order, "DEDUP", uuid.uuid4().hex)
    taken = place(shop, int(txid), order, item, quantity)
    try:
        insist(broker, "COMMIT" if taken else "ROLLBACK", txid)
    except redis.RedisError as error:  # the broker will ask, and the database knows the outcome
        print(f"{order}: the broker was not told, it will ask: {error}", file=sys.stderr)
    return taken


def answer_checks(pgroup, path, schema=SCHEMA):
    """Runs in a thread of its own and answers the broker's check-backs from the database."""
    shop, broker = open_shop(path, schema), connect()
    while True:
        try:
            for check in broker.execute_command("CHECKS", pgroup, "COUNT", 10, "WAIT", "30s"):
                txid = json.loads(check)["txid"]
                broker.execute_command("COMMIT" if was_taken(shop, int(txid)) else "ROLLBACK", txid)
        except (redis.RedisError, sqlite3.OperationalError) as error:
            print(f"cannot answer now, the broker will ask again: {error}", file=sys.stderr)
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
