#!/usr/bin/env python3
"""tokens.py: two services that come with tokens, and who gives them the tokens, with nothing but redis-py and openssl.

    issue NAME SECONDS   a token for the service NAME, signed with issuer.key
    shop TEXT            sends an order; may do nothing else. Its token is in the environment variable TOKEN
    billing              takes orders and acknowledges them; may do nothing else
"""
import base64
import json
import os
import subprocess
import sys
import time
from urllib.parse import urlparse

import redis


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def issue(name, seconds):
    """A JWT: what it says, and a signature that only the owner of issuer.key can make."""
    now = int(time.time())
    head = {"alg": "RS256", "typ": "JWT"}
    claims = {"sub": name, "iss": "https://issuer.example", "aud": "halfmq", "nbf": now, "exp": now + int(seconds)}
    signed = part(json.dumps(head).encode()) + b"." + part(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", "issuer.key"], input=signed, capture_output=True, check=True)
    print((signed + b"." + part(signature.stdout)).decode())


def connect():
    """The token is the password; the broker finds the user's name in it."""
    url = urlparse(os.environ.get("HALFMQ_URL", "hmq://127.0.0.1:4253"))
    return redis.Redis(host=url.hostname, port=url.port or 4253, password=os.environ["TOKEN"], decode_responses=True, ssl=True,
                       ssl_ca_certs="ca.pem")


def shop(text):
    print(connect().execute_command("SEND", "orders", text))


def billing():
    broker = connect()
    for receipt, body, *_ in broker.execute_command("POP", "billing", "orders", "COUNT", 10, "WAIT", "1s") or ():
        print("billed:", body)
        broker.execute_command("ACK", "billing", receipt)


if __name__ == "__main__":
    try:
        {"issue": issue, "shop": shop, "billing": billing}[sys.argv[1]](*sys.argv[2:])
    except redis.RedisError as refused:
        print("refused:", refused)
