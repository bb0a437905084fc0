#!/usr/bin/env python3
"""A message and a local change, of which either both happen or neither, with redis-py and SQLite.

    transaction.py [account] [amount]        the bank refuses amounts over 1000

HALF stores a message that nobody sees. Then the local transaction stores the txid together with its
change. Then comes COMMIT or ROLLBACK. If this program dies in between, the broker asks what became of the
transaction, and check.py answers from the same database.
"""
import json
import os
import sqlite3
import sys
from urllib.parse import urlparse

import redis

SCHEMA = """
CREATE TABLE IF NOT EXISTS payments(txid TEXT PRIMARY KEY, account TEXT NOT NULL, amount INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dropped(txid TEXT PRIMARY KEY);
"""


def connect():
    url = urlparse(os.environ.get("HALFMQ_URL", "hmq://127.0.0.1:4253"))
    return redis.Redis(host=url.hostname, port=url.port or 4253, decode_responses=True)


def open_books():
    books = sqlite3.connect("bank.db", isolation_level=None)
    books.executescript(SCHEMA)
    return books


def book(books, txid, account, amount):
    """The local transaction. True if the payment was booked; False if check.py has rolled it back before."""
    books.execute("BEGIN IMMEDIATE")
    dropped = books.execute("SELECT 1 FROM dropped WHERE txid=?", (txid,)).fetchone()
    if dropped or amount > 1000:
        books.execute("INSERT OR IGNORE INTO dropped VALUES(?)", (txid,))
    else:
        books.execute("INSERT INTO payments VALUES(?, ?, ?)", (txid, account, amount))
    books.execute("COMMIT")
    return not dropped and amount <= 1000


def main():
    account = sys.argv[1] if len(sys.argv) > 1 else "alice"
    amount = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    broker = connect()
    body = json.dumps({"account": account, "amount": amount})
    txid = broker.execute_command("HALF", "bank", "payments", body, "KEY", account)
    if os.environ.get("DIE") == "before":
        os._exit(9)
    booked = book(open_books(), txid, account, amount)
    if os.environ.get("DIE") == "after":
        os._exit(9)
    if booked:
        print("paid:", *broker.execute_command("COMMIT", txid))
    else:
        print("refused:", broker.execute_command("ROLLBACK", txid))


if __name__ == "__main__":
    main()
