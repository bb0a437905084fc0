#!/usr/bin/env python3
"""saga.py: takes one order through three services with three databases, and undoes it if a step fails.

    saga.py orders|payments|stock [folder]            runs that service, with its database in the folder
    saga.py place <order> <customer> <price> <item>   sends an order to the orders service

    orders ──placed──► payments ──paid──► stock ──reserved──► orders: confirmed
       ▲                │     ▲             │
       ├──declined──────┘     └───sold-out──┘
       └──refunded────────────┘                   the compensation: the money goes back

Each step is one transaction of that service's own database. It stores the id of the message that came in
(so that the message has its effect once, however often it is delivered), it changes the tables, and it
stores the outcome of the half message that tells the next service. Only the COMMIT and the ACK come after
that transaction, and both may be repeated.
"""
import json
import sqlite3
import sys
import threading
import time
import uuid

import redis

from orders import answer_checks, connect, insist, open_shop

SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS outcomes(txid INTEGER PRIMARY KEY, taken INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS steps(message TEXT PRIMARY KEY, txid INTEGER);
CREATE TABLE IF NOT EXISTS orders(id TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts(customer TEXT PRIMARY KEY, cents INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS shelf(item TEXT PRIMARY KEY, pieces INTEGER NOT NULL);
INSERT OR IGNORE INTO accounts VALUES('alice', 10000), ('bob', 10000);
INSERT OR IGNORE INTO shelf VALUES('apple', 100), ('pear', 2);
"""


def changed(db, sql, *values):
    return db.execute(sql, values).rowcount == 1


# What each service does with an incoming message: it changes its tables and returns the topic of its reply.

def receive(db, event):
    return "placed" if changed(db, "INSERT OR IGNORE INTO orders VALUES(?, 'open')", event["order"]) else None


def charge(db, event):
    paid = changed(db, "UPDATE accounts SET cents = cents - ?1 WHERE customer = ?2 AND cents >= ?1",
                   event["price"], event["customer"])
    return "paid" if paid else "declined"


def refund(db, event):
    """Gives the money back. A compensation must not be refused, because nothing would undo it."""
    db.execute("UPDATE accounts SET cents = cents + ? WHERE customer = ?", (event["price"], event["customer"]))
    return "refunded"


def reserve(db, event):
    there = changed(db, "UPDATE shelf SET pieces = pieces - 1 WHERE item = ? AND pieces > 0", event["item"])
    return "reserved" if there else "sold-out"


def ends(state):
    def end(db, event):  # no other service needs to know
        db.execute("UPDATE orders SET state = ? WHERE id = ?", (state, event["order"]))
    return end


SERVICES = {
    "orders": {"wanted": receive, "reserved": ends("confirmed"), "declined": ends("cancelled"),
               "refunded": ends("cancelled")},
    "payments": {"placed": charge, "sold-out": refund},
    "stock": {"paid": reserve},
}


def step(broker, db, service, message, body):
    """Does one step. Returns the txid of the half message to the next service, or None if there is none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        known = db.execute("SELECT txid FROM steps WHERE message = ?", (message,)).fetchone()
        if known:
            return known[0]
        topic = SERVICES[service][message.split(":")[0]](db, json.loads(body))
        txid = None
        if topic:
            txid = int(insist(broker, "HALF", service, topic, body, "DEDUP", uuid.uuid4().hex))
            db.execute("INSERT INTO outcomes VALUES(?, 1)", (txid,))
        db.execute("INSERT INTO steps VALUES(?, ?)", (message, txid))
        db.execute("COMMIT")
        return txid
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def serve(service, folder):
    path = f"{folder}/{service}.db"
    broker, db = connect(), open_shop(path, SCHEMA)
    for topic in SERVICES[service]:
        try:
            insist(broker, "TOPIC", "CREATE", topic)
        except redis.ResponseError as error:
            if not str(error).startswith("EXISTS"):
                raise
    threading.Thread(target=answer_checks, args=(service, path, SCHEMA), daemon=True).start()
    while True:
        try:
            for receipt, body, *_ in broker.execute_command("POP", service, *SERVICES[service], "COUNT", 10,
                                                            "WAIT", "30s"):
                txid = step(broker, db, service, receipt.split("#")[0], body)
                if txid:
                    insist(broker, "COMMIT", txid)
                broker.execute_command("ACK", service, receipt)
        except (redis.RedisError, sqlite3.Error) as error:  # it was not acknowledged, so it is redelivered
            print(f"{service} goes on: {error}", file=sys.stderr)
            time.sleep(0.2)


def main():
    if len(sys.argv) in (2, 3) and sys.argv[1] in SERVICES:
        serve(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else ".")
    elif len(sys.argv) == 6 and sys.argv[1] == "place":
        order, customer, price, item = sys.argv[2:]
        body = json.dumps({"order": order, "customer": customer, "price": int(price), "item": item})
        print(connect().execute_command("SEND", "wanted", body, "KEY", order))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
