#!/usr/bin/env python3
"""Sends messages with redis-py: any Redis client can talk to HalfMQ.

    produce.py [topic] [count]        connects to HALFMQ_URL=hmq://host:port, or to 127.0.0.1:4253

A pipeline sends many commands at once and then reads all replies. Each reply means that its message is on
the broker's disk.
"""
import os
import sys
from urllib.parse import urlparse

import redis


def connect():
    url = urlparse(os.environ.get("HALFMQ_URL", "hmq://127.0.0.1:4253"))
    return redis.Redis(host=url.hostname, port=url.port or 4253, decode_responses=True)


def main():
    topic = sys.argv[1] if len(sys.argv) > 1 else "greetings"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    broker = connect()
    print(broker.execute_command("SEND", topic, "hello", "KEY", "first", "TTL", "1h"))

    pipeline = broker.pipeline(transaction=False)
    for i in range(count):
        # The DEDUP id makes it safe to send this again if the connection is lost before the reply arrives.
        pipeline.execute_command("SEND", topic, f"message {i + 1}", "DEDUP", f"{os.getpid()}-{i}")
    ids = pipeline.execute()
    print(f"{len(ids)} more, the last one is {ids[-1]}" if ids else "no more")


if __name__ == "__main__":
    main()
