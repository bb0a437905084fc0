#!/usr/bin/env python3
"""Answers the broker's check-backs about the transactions of transaction.py, with redis-py.

    check.py [count]        stops after that many answers, or at Ctrl-C

The ordinary SUBSCRIBE of every Redis client is enough. Each check is a JSON object; the answer is
COMMIT or ROLLBACK, on any connection.
"""
import json
import sys

from transaction import connect, open_books


def answer(books, txid):
    """COMMIT if the payment is in the books. If it is not, ROLLBACK, after making that final."""
    books.execute("BEGIN IMMEDIATE")
    booked = books.execute("SELECT 1 FROM payments WHERE txid=?", (txid,)).fetchone()
    if not booked:
        books.execute("INSERT OR IGNORE INTO dropped VALUES(?)", (txid,))
    books.execute("COMMIT")
    return "COMMIT" if booked else "ROLLBACK"


def main():
    left = int(sys.argv[1]) if len(sys.argv) > 1 else -1
    broker, books = connect(), open_books()
    questions = broker.pubsub(ignore_subscribe_messages=True)
    questions.subscribe("check:bank")
    for question in questions.listen():
        check = json.loads(question["data"])
        decision = answer(books, check["txid"])
        broker.execute_command(decision, check["txid"])
        print(f"asked about {check['txid']} (ask {check['attempt']}): {decision}", flush=True)
        left -= 1
        if left == 0:
            break


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
