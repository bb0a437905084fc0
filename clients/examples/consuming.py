#!/usr/bin/env python3
"""consuming.py: the programs of docs/consuming.md, with nothing but redis-py.

    work GROUP TOPIC            handles messages until none has come for two seconds
    accounts TOPIC              an ORDERED group, and updates of two accounts
    shave TOPIC, level TOPIC    a burst of 300 orders; takes them at the pace of the database
    mail TOPIC, repair GROUP    a group that gives up after three attempts; gives its dead letters back
    remind TOPIC TEXT SECONDS   a message that comes later
    canary TOPIC                one group for the new version, one for the old
    replay GROUP TOPIC TIME     handles again what was stored since then
"""
import os
import sys
from urllib.parse import urlparse

import redis

url = urlparse(os.environ.get("HALFMQ_URL", "hmq://127.0.0.1:4253"))
broker = redis.Redis(host=url.hostname, port=url.port or 4253, decode_responses=True)


def ask(*words):
    return broker.execute_command(*words)


def as_map(pairs):
    return dict(zip(pairs[::2], pairs[1::2]))


def handle(body):
    """What your service does. It cannot read some bodies until somebody has mended it."""
    if body.startswith("bad") and "MENDED" not in os.environ:
        raise ValueError("cannot read it")
    print(body, flush=True)


def work(group, topic):
    while messages := ask("POP", group, topic, "COUNT", 10, "WAIT", "2s"):
        for receipt, body, _, _ in messages:
            try:
                handle(body)
                ask("ACK", group, receipt)
            except ValueError as why:
                ask("NACK", group, receipt, "REASON", str(why))


def accounts(topic):
    ask("TOPIC", "CREATE", topic)
    ask("GROUP", "CREATE", "bank", topic, "ORDERED")
    for number in range(1, 6):
        for account in "ann", "bob":
            ask("SEND", topic, f"{account} {number}", "ORDER", account)


def shave(topic):
    ask("TOPIC", "CREATE", topic)
    ask("GROUP", "CREATE", "database", topic, "RATE", 100, "INFLIGHT", 50)
    ask("MSEND", topic, *(f"order {number}" for number in range(300)))


def level(topic):
    times = []
    while messages := ask("POP", "database", topic, "COUNT", 50, "WAIT", "2s", "LEASE", "1m"):
        times += [as_map(attributes)["lease_until"] - 60000 for _, _, attributes, _ in messages]
        ask("ACK", "database", *(receipt for receipt, _, _, _ in messages))
    most = max(sum(1 for t in times if start <= t < start + 1000) for start in times)
    print(f"{len(times)} orders, never more than 100 in a second: {most <= 100}")


def mail(topic):
    ask("TOPIC", "CREATE", topic)
    ask("GROUP", "CREATE", "mailer", topic, "ATTEMPTS", 3, "BACKOFF", "100ms,200ms")
    for body in "ann", "bad address", "bob":
        ask("SEND", topic, body)


def repair(group):
    for _, body, attributes, _ in ask("DLQ", "LIST", group)[1]:
        letter = as_map(attributes)
        print(f"{body}: {letter['reason']}, after {letter['attempts']} attempts")
    while count := ask("DLQ", "REDRIVE", group):
        print(f"{count} given back")


def remind(topic, text, seconds):
    print(ask("SEND", topic, text, "DELAY", f"{seconds}s"))


def canary(topic):
    ask("TOPIC", "CREATE", topic)
    ask("GROUP", "CREATE", "new", topic, "FILTER", "TAG", "canary")
    ask("GROUP", "CREATE", "old", topic, "FILTER", "WHERE", "tag IS NULL OR tag <> 'canary'")
    for number in range(1, 7):
        ask("SEND", topic, f"visit {number}", "TAG", "canary" if number % 3 == 0 else "all")


def replay(group, topic, since):
    would = as_map(ask("GROUP", "SEEK", group, topic, since, "DRYRUN"))
    print(f"{would['ready']} messages since {since}")
    ask("GROUP", "SEEK", group, topic, since)


if __name__ == "__main__":
    command = {"work": work, "accounts": accounts, "shave": shave, "level": level, "mail": mail, "repair": repair,
               "remind": remind, "canary": canary, "replay": replay}
    command[sys.argv[1]](*sys.argv[2:])
