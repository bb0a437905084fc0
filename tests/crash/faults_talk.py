"""faults_talk.py: what a client says to a broker of which something fails (faults.py), and what it was promised.

Each step may be answered with an error, or the connection may be closed; then the next step goes on with another. What
was acknowledged is in the ledger, which is compared after a restart.
"""
import base64
import copy
import hashlib
import hmac
import json
import os
import socket
import time
import urllib.error
import urllib.request

from broker import Message, Refused, Text, pairs
from records import batch
from rpc import Rpc, RpcError

REPLY_SECONDS = 30
CHECK_SECONDS = 20
JWT_SECRET = b"0123456789abcdef0123456789abcdef"


def state_of(info):
    return (info if isinstance(info, dict) else pairs(info))["state"]


def token(user):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
             for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": user, "exp": int(time.time()) + 600})]
    sign = hmac.new(JWT_SECRET, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(sign).rstrip(b"=")])


class Ended(Exception):
    """The broker has ended."""


class Hung(Exception):
    """Something did not come in time."""


class Ledger:
    """What was acknowledged."""

    def __init__(self):
        self.sent = {}        # id: body
        self.states = {}      # txid: state
        self.acked = set()    # ids that group g has acknowledged
        self.delayed = set()  # tokens

    def copy(self):
        return copy.deepcopy(self)

    def send(self, name, body):
        if name is not None:
            name = name.decode() if isinstance(name, bytes) else name
            assert name not in self.sent, f"{name} was given twice"
            self.sent[name] = body

    def audit(self, client, salvaged):
        """What is wrong, or None. A salvage may have lost the end of the log, which the broker has said."""
        for name, body in self.sent.items():
            found = client.call_value("GET", name)
            if found is None or isinstance(found, Refused):
                if not salvaged:
                    return f"{name} is lost: {found!r}"
            elif found[1] != body:
                return f"{name} is {found[1]!r} and not {body!r}"
        for txid, state in self.states.items():
            found = client.call_value("TXN", "INFO", txid)
            if (isinstance(found, Refused) or state_of(found) != state.encode()) and not salvaged:
                return f"transaction {txid} is {found!r} and not {state}"
        if not self.acked:
            return None
        for m in client.call("POP", "g", "t", "COUNT", 1000) or ():
            if Message(m).id.split("#")[0] in self.acked and not salvaged:
                return f"{m[0]} was acknowledged and is delivered"
        return None


class Talk:
    """A conversation."""

    def __init__(self, life, ledger, service, for_ever=False, trust=None):
        self.life, self.ledger, self.service, self.for_ever = life, ledger, service, for_ever
        self.trust = trust  # for TLS
        self.client = None

    # ---- one request ----

    def guarded(self, function, *words):
        """What the function returns, or None: refused, or disconnected."""
        try:
            return function(*words)
        except (Refused, RpcError) as error:
            if os.environ.get("TRACE"):
                print(words, error, flush=True)
            return None
        except socket.timeout:
            raise Hung(f"no reply to {words!r}") from None
        except (OSError, EOFError) as error:
            if self.client:
                self.client.close()
            self.client = None
            self.end_if_gone(error)
            return None

    def end_if_gone(self, error):
        """A broker that has ended may still be closing its files."""
        if isinstance(error, ConnectionRefusedError):
            try:
                self.life.process.wait(REPLY_SECONDS)
            except Exception:
                raise Hung("the broker refuses connections and does not end") from None
        if not self.life.runs():
            raise Ended()

    def request(self, *words):
        if self.client is None:
            self.client = Text(self.life.port, timeout=REPLY_SECONDS)
        return self.client.call(*words)

    def call(self, *words):
        return self.guarded(self.request, *words)

    def http(self, path):
        def get(path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.life.http_port}{path}", timeout=REPLY_SECONDS) as page:
                    return page.read()
            except urllib.error.HTTPError:
                return None
            except urllib.error.URLError as error:
                raise error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason))
        return self.guarded(get, path)

    # ---- parts of the conversation ----

    def all(self):
        """Twice: what has failed once works the second time."""
        for part in (self.sends, self.transactions, self.consumes, self.looks, self.subscribes, self.streams, self.checked,
                     self.called, self.manages, self.pages, self.users, self.logs_in, self.backs_up):
            part()
        if not self.for_ever:
            self.works()

    def sends(self):
        call, send = self.call, self.ledger.send
        self.call("HELLO", 3)
        call("TOPIC", "CREATE", "t", "QUEUES", 4)
        call("GROUP", "CREATE", "g", "t")
        for n in range(12):
            send(call("SEND", "t", b"body %d" % n, "KEY", "k", "PROP", "a", "b"), b"body %d" % n)
        send(call("SEND", "t", b"ordered", "ORDER", "o", "DEDUP", f"d{time.time_ns()}"), b"ordered")
        for n, name in enumerate(call("MSEND", "t", "m0", "m1", "m2") or ()):
            send(name, b"m%d" % n)
        send(call("SEND", "big", b"x" * 300000, "QUEUE", 0), b"x" * 300000)
        token = call("SEND", "t", "later", "DELAY", "1h")
        if token:
            call("DELAYED", "CANCEL", token)
        call("SEND", "t", "in a while", "DELAY", "20ms")
        call("SEND", "t", "short", "TTL", "1s")

    def transactions(self):
        for n in range(3):
            first, second = self.call("HALF", "pg", "t", b"half %d" % n), b"half %d more" % n
            if first is None:
                continue
            self.call("HALF", "pg", "t", second, "TXN", first)
            if n == 1:
                if self.call("ROLLBACK", first):
                    self.ledger.states[int(first)] = "rolledback"
                continue
            ids = self.call("COMMIT", first)
            if ids:
                self.ledger.states[int(first)] = "committed"
                self.ledger.send(ids[0], b"half %d" % n)
                for name in ids[1:]:
                    self.ledger.send(name, second)

    def consumes(self):
        messages = self.call("POP", "g", "t", "COUNT", 6, "LEASE", "1m") or ()
        receipts = [m[0].decode() for m in messages]
        for receipt in receipts[:3]:
            if self.call("ACK", "g", receipt) == 1:
                self.ledger.acked.add(receipt.split("#")[0])
        if receipts[3:]:
            self.call("EXTEND", "g", receipts[3], "1m")
            self.call("NACK", "g", receipts[-1], "DELAY", "10ms")
        txid = self.call("HALF", "pg", "t", "with an ack")
        if txid and receipts[3:4]:
            ids = self.call("COMMIT", txid, "ACK", "g", receipts[3])
            if ids:
                self.ledger.states[int(txid)] = "committed"
                self.ledger.acked.add(receipts[3].split("#")[0])
        self.call("POP", "nobody", "big", "WAIT", "20ms")
        self.call("POP", "g", "t", "COUNT", 2, "WAIT", "10ms")

    def looks(self):
        for words in (("READ", "t", 0, 0, "COUNT", 10), ("FIND", "t", "KEY", "k"), ("LAG",), ("TOPIC", "LIST"),
                      ("TOPIC", "INFO", "t"), ("GROUP", "LIST"), ("GROUP", "INFO", "g"), ("TXN", "LIST"), ("INFO",),
                      ("DELAYED", "LIST", "t"), ("PGROUP", "LIST"), ("PGROUP", "INFO", "pg"), ("CONFIG", "GET", "*"),
                      ("CLIENT", "LIST"), ("CLIENT", "SETNAME", "me"), ("COMMAND", "DOCS"), ("COMMAND",), ("HELP",),
                      ("READ", "t", 0, 100000, "WAIT", "10ms"), ("READ", "big", 0, 0), ("PING",), ("ECHO", "x"),
                      ("CONFIG", "SET", "log_level", "info"), ("CONFIG", "SET", "fsync", "always"), ("CONFIG", "REWRITE"),
                      ("GET", "t:0:0"), ("NONSENSE", "a")):
            self.call(*words)

    def subscribes(self):
        """A topic's messages and a check, as pushes. What does not come in time was dropped with the connection."""
        def run():
            client = Text(self.life.port, timeout=REPLY_SECONDS)
            try:
                client.send("SUBSCRIBE", "topic:t", "check:asked")
                client.read()
                client.read()
                self.ledger.send(self.call("SEND", "t", "for subscribers"), b"for subscribers")
                self.call("HALF", "asked", "t", "asks", "CHECKIN", 0)
                client.send("UNSUBSCRIBE", "topic:t")
                client.send("PING")
                while client.read() not in ("PONG", [b"pong", b""]):
                    pass
            finally:
                client.close()
        self.guarded(run)

    def streams(self):
        def run():
            rpc = Rpc(self.life.port)
            rpc.socket.settimeout(REPLY_SECONDS)
            try:
                self.stream(rpc)
            except TypeError:  # a text: the connection was refused before its first byte
                raise EOFError() from None
            finally:
                rpc.socket.close()
        self.guarded(run)

    def stream(self, rpc):
        self.stream_call(rpc, "stream_group", group="s", topic=["t"], credit=4)
        self.stream_call(rpc, "stream_queue", topic="t", queue=0, offset=0, credit=100000)
        placed = self.stream_call(rpc, "produce", topic="t", batch=batch([b"batch 0", b"batch 1"]), queue=1)
        if placed:
            for n in range(2):
                self.ledger.send(f"t:{placed['queue']}:{placed['offset'] + n}", b"batch %d" % n)
        self.stream_call(rpc, "checks_serve", pgroup="served")
        self.stream_call(rpc, "half", pgroup="served", topic="t", body="asks", checkin=0)
        self.stream_call(rpc, "pop", group="h", topic="t", count=3)
        self.stream_call(rpc, "lag")
        self.stream_call(rpc, "subscribe", channel="topic:t")
        self.stream_call(rpc, "send", topic="t", body="streamed")
        self.stream_call(rpc, "stream_close", stream=1)

    def stream_call(self, rpc, method, **params):
        """A refusal is an answer. A connection that is closed ends the part."""
        try:
            return rpc.call(method, **params)
        except RpcError as error:
            if os.environ.get("TRACE"):
                print(method, params, error, flush=True)
            return None

    def checked(self):
        """A check-back by a waiting poll."""
        self.call("HALF", "polled", "t", "asks", "CHECKIN", 0)
        self.call("CHECKS", "polled", "WAIT", "500ms")

    def called(self):
        """A check-back by HTTP: whatever fails once, the broker asks again, and the transaction is decided."""
        if self.call("PGROUP", "SET", "called", "CHECKURL", self.service.url, "SECRET", "s") is None:
            return
        txid = self.call("HALF", "called", "t", "commit me", "CHECKIN", 0)
        if txid is None:
            return
        deadline = time.monotonic() + (0 if self.for_ever else CHECK_SECONDS)
        while time.monotonic() < deadline:
            info = self.call("TXN", "INFO", txid)
            if info and state_of(info) == b"committed":
                self.ledger.states[int(txid)] = "committed"
                return
            time.sleep(0.01)
        if not self.for_ever:
            raise Hung(f"transaction {txid} is not asked about: {info!r}")

    def manages(self):
        for words in (("TOPIC", "CREATE", "gone", "QUEUES", 2), ("SEND", "gone", "x"), ("POP", "gg", "gone"),
                      ("TOPIC", "SET", "gone", "RETENTION", "1h"), ("TOPIC", "PURGE", "gone"), ("GROUP", "SEEK", "gg",
                      "gone", "earliest"), ("GROUP", "DELETE", "gg"), ("TOPIC", "DELETE", "gone"), ("PGROUP", "SET", "pg",
                      "CHECKURL", "http://localhost:1/x"), ("PGROUP", "DELETE", "pg")):
            self.call(*words)

    def pages(self):
        for path in ("/metrics", "/healthz", "/readyz", "/", "/nothing"):
            self.http(path)

    def users(self):
        for words in (("ACL", "SETUSER", "ann", "resetpass", "on", ">secret", "allcommands", "alltopics", "allgroups", "allpgroups"),
                      ("ACL", "SETUSER", "eve", "on", ">one", ">two", "+ping", "~t", "group:g"), ("ACL", "LIST"), ("ACL", "GETUSER", "eve"),
                      ("ACL", "DRYRUN", "eve", "SEND", "t", "x"), ("ACL", "LOG"), ("ACL", "GENPASS"), ("ACL", "DELUSER", "eve")):
            self.call(*words)

    def logs_in(self):
        """Over TLS and without, with a password and with a token; a wrong password, too."""
        def run(secure, password):
            client = Text(self.life.port, timeout=REPLY_SECONDS)
            try:
                if secure:
                    client.file.close()
                    client.socket = self.trust.wrap_socket(client.socket, server_hostname="localhost")
                    client.file = client.socket.makefile("rb")
                client.call("AUTH", "ann", password)
                self.ledger.send(client.call("SEND", "t", "by ann"), b"by ann")
            finally:
                client.close()
        for secure in (False, True, True) if self.trust else ():
            for password in ("secret", token("ann"), "wrong"):
                self.guarded(run, secure, password)

    def backs_up(self):
        """What BACKUP LIST shows is whole: crash/backup_steps.py looks into it."""
        name = f"b{time.time_ns()}"
        self.call("BACKUP", name)
        self.call("BACKUP", "LIST")
        self.call("BACKUP", "DELETE", name)

    def works(self):
        """Whatever has failed, at most one more connection is lost, and then everything works."""
        for _ in range(3):
            name = self.call("SEND", "t", "the end")
            if name:
                self.ledger.send(name, b"the end")
                return
        raise Hung("the broker does not work any more")

    def leave_behind(self):
        """What a killed broker has in its log: more than one file of it, and open transactions."""
        for n in range(30):
            self.ledger.send(self.call("SEND", "big", b"%d" % n + b"y" * 200000), b"%d" % n + b"y" * 200000)
        for n in range(20):
            self.call("HALF", "left", "t", b"left %d" % n, "CHECKIN", "1h")
