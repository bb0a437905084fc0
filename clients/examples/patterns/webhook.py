#!/usr/bin/env python3
"""webhook.py: answers the broker's check-backs by HTTP, for the order service of orders.py.

    SECRET=s webhook.py [port] [database]        and once: PGROUP SET shop CHECKURL http://... SECRET s

Any number of them may run, next to other members of the group: they all give the same answer to a check.
"""
import hashlib
import hmac
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from orders import open_shop, was_taken

SECRET = os.environ["SECRET"].encode()
PATH = sys.argv[2] if len(sys.argv) > 2 else "shop.db"
BODY_MAX = 64 << 20  # more than a transaction can hold


class Check(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_MAX))
        signature = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, self.headers.get("X-HalfMQ-Signature", "")):
            self.answer(403, {"error": "not signed with our secret"})
            return
        shop = open_shop(PATH)
        taken = was_taken(shop, int(json.loads(body)["txid"]))
        shop.close()
        self.answer(200, {"decision": "commit" if taken else "rollback"})

    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int((sys.argv + ["8080"])[1])), Check).serve_forever()
