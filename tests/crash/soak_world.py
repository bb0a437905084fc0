"""soak_world.py: the users of a soak, how each of them connects, and the worker that does not give up.

    user          may                              logs in
    sender        send to flow                     by a token that ends after some seconds
    popper        take from all topics             by a client certificate
    shop, pipe    open and decide transactions     by a password that changes
    ...

A soak changes their rules while they work. Then a command is refused, or the connection is closed; the worker connects again,
and what it had asked for is in doubt, as after a crash (ledger.py).
"""
import base64
import hashlib
import hmac
import json
import os
import random
import ssl
import threading
import time

from broker import Broker, Refused, Text
from certs import Authority
from load import Worker

ADMIN = "the administrator's"
SECRET = b"a secret of thirty-two bytes and more"
TOKEN_SECONDS = 5
TIMEOUT = 300  # somebody may stop all of it, and let it go on later
REFUSALS = ("BUSY", "DISKFULL", "NOPERM", "NOAUTH", "LIMIT")

RULES = {  # of the workers whose name begins so
    "sender": "+@connection +@produce ~flow",
    "batcher": "+@connection +@produce ~batch",
    "packer": "+@connection +produce ~batch",
    "together": "+@connection +@produce +@consume ~batch ~flow ~ta ~tb group:work",
    "shop": "+@connection +@txn ~ta ~tb pgroup:shop",
    "popper": "+@connection +@consume ~flow ~batch ~ta ~tb group:work",
    "turner": "+@connection +@consume ~flow group:turn",
    "pipe": "+@connection +@consume +@txn ~flow ~out group:pipe pgroup:pipe",
    "holder": "+@connection +@consume ~flow group:hold",
    "undertaker": "+@connection +@produce +@consume +dlq|list +dlq|redrive ~bin group:bin",
    "keeper": "+@connection +@produce +@consume +topic|set ~tail group:tail",
    "later": "+@connection +@produce +@txn ~later pgroup:later",
    "deaf": "+@connection +@read +@pubsub ~flow ~batch",
    "trespasser": "+@connection +@read ~public",
}
WITH_TOKEN, WITH_CERTIFICATE = ("sender", "packer"), ("popper", "turner")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(user):
    claims = {"sub": user, "exp": int(time.time()) + TOKEN_SECONDS}
    signed = b".".join(b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return signed + b"." + b64(hmac.new(SECRET, signed, hashlib.sha256).digest())


class World:
    """What the workers share. over: the broker is about to end, or has ended. locks: held while a user connects, or
    while it may not."""

    def __init__(self, folder):
        ca = Authority(folder)
        self.certs = [ca.issue(name, dns=["localhost"]) for name in ("first", "second")]
        self.ca, self.secret = ca.cert, os.path.join(folder, "secret")
        with open(self.secret, "wb") as f:
            f.write(SECRET)
        self.context = ca.client()
        self.contexts = {user: ca.client(ca.issue(user)) for user in WITH_CERTIFICATE}
        self.passwords = {user: f"of {user}" for user in RULES}
        self.locks = {user: threading.Lock() for user in RULES}
        self.over = threading.Event()

    def flags(self):
        return ("--tls_cert", self.certs[0].cert, "--tls_key", self.certs[0].key, "--tls_ca", self.ca, "--tls_client_auth",
                "optional", "--tls_user", "cn", "--jwt_secret_file", self.secret, "--password", ADMIN)

    def set_users(self, admin):
        """What the soak had changed is as it should be."""
        for user, rules in RULES.items():
            admin.call("ACL", "SETUSER", user, "reset", "on", f">{self.passwords[user]}", *rules.split())

    def administrator(self, port):
        return self.logged_in(Text(port, tls=self.context, timeout=TIMEOUT), "default", ADMIN)

    def connect(self, user, port):
        if user not in RULES:
            return self.administrator(port)
        with self.locks[user]:
            if user in WITH_CERTIFICATE:
                return Text(port, tls=self.contexts[user], timeout=TIMEOUT)
            tls = self.context if random.random() < 0.8 else None
            client = Text(port, tls=tls, timeout=TIMEOUT)
            return self.by_token(client, user) if user in WITH_TOKEN else self.logged_in(client, user, self.passwords[user])

    def by_token(self, client, user):
        made = time.monotonic()
        try:
            return self.logged_in(client, user, token(user))
        except Refused as refused:
            if refused.code == "WRONGPASS" and time.monotonic() > made + TOKEN_SECONDS - 1:
                raise EOFError from refused  # it took so long that the token has ended
            raise

    @staticmethod
    def logged_in(client, user, password):
        try:
            client.call("AUTH", user, password)
        except BaseException:
            client.close()
            raise
        return client


class GuardedBroker(Broker):
    """Its text() is the administrator's."""

    def __init__(self, world, *flags):
        self.world = world
        super().__init__(*world.flags(), *flags)

    def text(self, **_):
        return self.world.administrator(self.port)


class Stubborn:
    """What a worker of a soak does instead of Worker.work: it connects again until all is over."""

    def __init__(self, world, worker, pace):
        self.world, self.worker, self.pace = world, worker, pace
        self.user = worker.name.rstrip("0123456789")
        worker.work, worker.may_refuse, worker.patience = self.work, REFUSALS, TIMEOUT

    def work(self, port):
        while not self.world.over.is_set():
            try:
                self.visit(port)
            except Refused as refused:
                if refused.code not in REFUSALS:
                    raise
            except TimeoutError as error:
                if not self.world.over.is_set():
                    raise AssertionError("no answer") from error
            except (EOFError, OSError, ssl.SSLError):
                pass  # this is a change of rules, or the crash
            self.world.over.wait(0.02)

    def visit(self, port):
        client = self.world.connect(self.user, port)
        try:
            while not self.world.over.wait(self.pace(self.worker)):
                self.worker.step(client)
        finally:
            client.close()


class Trouble(Worker):
    """A worker that makes trouble: knows the world, and what it did is counted."""

    def __init__(self, ledger, chance, world, broker):
        super().__init__(type(self).__name__.lower(), ledger, chance)
        self.world, self.broker = world, broker
        self.done = 0

    def wait(self, least, most):
        self.world.over.wait(self.random.uniform(least, most))
