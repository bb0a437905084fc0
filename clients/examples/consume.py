#!/usr/bin/env python3
"""Receives messages with redis-py.

    consume.py [group] [topic] [count]        stops after that many, or at Ctrl-C

POP leases messages to this program for a while. ACK means that a message is done; NACK asks for it to be
redelivered later. If the program dies and sends neither, the lease expires and the broker redelivers the
message to another consumer.
"""
import os
import sys
import time
from urllib.parse import urlparse

import redis


def connect():
    url = urlparse(os.environ.get("HALFMQ_URL", "hmq://127.0.0.1:4253"))
    return redis.Redis(host=url.hostname, port=url.port or 4253, decode_responses=True)


def handle(body):
    """The application's work. Raises an exception if it cannot be done now."""
    if body == "not today":
        raise ValueError("the message asked for it")


def main():
    group = sys.argv[1] if len(sys.argv) > 1 else "readers"
    topic = sys.argv[2] if len(sys.argv) > 2 else "greetings"
    left = int(sys.argv[3]) if len(sys.argv) > 3 else -1
    broker = connect()
    while left != 0:
        try:
            messages = broker.execute_command("POP", group, topic, "COUNT", 10, "WAIT", "5s")
        except redis.ResponseError as error:
            if not str(error).startswith("NOTOPIC"):
                raise
            time.sleep(1)  # the topic does not exist before the first message
            continue
        for receipt, body, *_ in messages:
            try:
                handle(body)
            except ValueError as error:
                broker.execute_command("NACK", group, receipt, "DELAY", "1m", "REASON", str(error))
                continue
            print(receipt, body, flush=True)
            broker.execute_command("ACK", group, receipt)
            left -= 1
            if left == 0:
                break


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
