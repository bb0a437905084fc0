"""soak_troubles.py: what happens to the broker of a soak, beside its load.

    Governor     changes rules, passwords, bounds and certificates; ends connections
    Trespasser   asks for what it may not have
    Filler       fills the disk for a moment
    Deaf         asks for much and does not read it, by TLS and without; begins handshakes and does not end them
    Archivist    BACKUP, --restore, --check, and reads in the copy what was acknowledged before
"""
import os
import shutil
import socket
import subprocess

import full
from broker import HALFMQD, Refused, encode, pairs
from ledger import DONE
from soak_world import REFUSALS, RULES, TIMEOUT, GuardedBroker, Trouble

SAMPLE = 200


class Governor(Trouble):
    def step(self, client):
        self.wait(0.1, 1)
        user = self.random.choice([u for u in RULES if u != "trespasser"])
        self.random.choice((self.switch_off, self.take_topics, self.take_commands, self.bound, self.new_password, self.passing_user,
                            self.end_connection, self.new_certificate))(client, user)
        self.done += 1

    def set(self, client, user, *rules):
        """A disk that is full refuses it, and will have room again."""
        while not self.world.over.is_set():
            try:
                return client.call("ACL", "SETUSER", user, *rules)
            except Refused as refused:
                if refused.code not in REFUSALS:
                    raise
            self.world.over.wait(0.05)

    def for_a_moment(self, client, user, rules, back):
        with self.world.locks[user]:
            self.set(client, user, *rules)
            self.wait(0.02, 0.2)
            self.set(client, user, *back)

    def switch_off(self, client, user):
        self.for_a_moment(client, user, ["off"], ["on"])

    def take_topics(self, client, user):
        self.for_a_moment(client, user, ["resettopics"], [r for r in RULES[user].split() if r[0] == "~"])

    def take_commands(self, client, user):
        self.for_a_moment(client, user, ["nocommands"], [r for r in RULES[user].split() if r[0] == "+"])

    def bound(self, client, user):
        self.for_a_moment(client, user, [self.random.choice(("rate:5", "bytes:1000", "conns:1"))], ["rate:0", "bytes:0", "conns:0"])

    def new_password(self, client, user):
        with self.world.locks[user]:
            password = f"of {user}, {self.random.random()}"
            if self.set(client, user, "resetpass", ">" + password):
                self.world.passwords[user] = password

    def passing_user(self, client, _):
        self.set(client, "guest", "reset", "on", ">x", "+@read", "~flow")
        client.call("ACL", "DELUSER", "guest")

    def end_connection(self, client, _):
        others = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
                  for line in client.call("CLIENT", "LIST").decode().splitlines()]
        others = [c["id"] for c in others if c.get("user") in RULES]
        if others:
            client.call_value("CLIENT", "KILL", self.random.choice(others))  # it may have gone by itself

    def new_certificate(self, client, _):
        cert = self.random.choice(self.world.certs)
        client.call("CONFIG", "SET", "tls_cert", cert.cert, "tls_key", cert.key)


class Trespasser(Trouble):
    def step(self, client):
        self.wait(0.01, 0.1)
        words = self.random.choice((
            ("SEND", "flow", "trespassed"), ("MSEND", "batch", "trespassed"), ("SEND", "public", "trespassed"),
            ("READ", "flow", "0", "0"), ("GET", "ta:0:0"), ("POP", "work", "flow"), ("HALF", "shop", "ta", "trespassed"),
            ("TXN", "LIST", "PGROUP", "shop"), ("TOPIC", "DELETE", "flow"), ("GROUP", "DELETE", "work"), ("DLQ", "LIST", "bin"),
            ("ACL", "SETUSER", "trespasser", "allcommands", "alltopics"), ("CONFIG", "GET", "password"), ("BACKUP", "x"),
            ("SUBSCRIBE", "topic:flow"), ("SHUTDOWN",)))
        value = client.call_value(*words)
        self.done += 1
        if not isinstance(value, Refused) or value.code not in ("NOPERM", "BUSY"):
            self.ledger.problem(f"{' '.join(words)} of a user who may not was answered {value!r}")
        if client.call("TOPIC", "LIST") != []:
            self.ledger.problem("TOPIC LIST shows what the user may not see")


class Filler(Trouble):
    def step(self, client):
        self.wait(*self.pause)
        try:
            self.fill(self.random.choice((0, 0, 100_000, 1_000_000)))
            self.wait(0.1, 1)
        finally:
            os.unlink(full.FILL)
        self.done += 1

    @staticmethod
    def fill(free):
        """At once, as far as there is room."""
        disk = os.statvfs(full.DISK)
        with open(full.FILL, "wb", 0) as f:
            try:
                os.posix_fallocate(f.fileno(), 0, max(disk.f_bavail * disk.f_frsize - free, 4096))
            except OSError:
                full.leave(free)  # the broker has taken some of it meanwhile


class Deaf(Trouble):
    def step(self, client):
        opened = [client] + [self.world.connect("deaf", self.broker.port) for _ in range(4)]
        try:
            for c in opened:
                c.send_raw(self.random.choice((encode("READ", "flow", 0, 0, "COUNT", 1000) * 20, encode("SUBSCRIBE", "topic:batch"),
                                               encode("READ", "batch", 1, 0, "COUNT", 1000) * 20)))
            opened += self.half_handshakes()
            self.wait(0.5, 2)
            self.done += 1
        finally:
            for c in opened[1:]:
                c.close()
        raise EOFError  # its own connection is of no use any more

    def half_handshakes(self):
        begun = [socket.create_connection(("127.0.0.1", self.broker.port), timeout=TIMEOUT) for _ in range(10)]
        for s in begun:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:self.random.randint(1, 11)])
        return begun


class Archivist(Trouble):
    """A copy that cannot be made, on a full disk, leaves nothing behind; one that was made is proved."""

    def step(self, client):
        self.wait(*self.pause)
        sure = [r for r in list(self.ledger.sent.values()) if r.state == DONE]
        sure = self.random.sample(sure, min(len(sure), SAMPLE))
        name = f"copy{self.done}"
        made = client.call_value("BACKUP", name)
        if isinstance(made, Refused):
            if made.code not in ("DISKFULL", "BUSY", "EXISTS"):
                self.ledger.problem(f"BACKUP was refused: {made.text}")
            client.call_value("BACKUP", "DELETE", name)
            return
        self.prove(pairs(made)["path"].decode(), sure)
        client.call("BACKUP", "DELETE", name)
        self.done += 1

    def prove(self, path, sure):
        data = os.path.join(self.broker.folder, "restored")
        for words in (("--restore", path, "--data", data), ("--check", "--data", data)):
            run = subprocess.run([HALFMQD, *words], capture_output=True, text=True, timeout=TIMEOUT, check=False)
            if run.returncode != 0:
                self.ledger.problem(f"{words[0]}: {run.stdout[-500:]}{run.stderr[-500:]}")
        with Copy(self.world, data) as copy:
            client = copy.text()
            for record in sure:
                if record.topic != "tail" and client.call("GET", record.id)[1] != record.body:
                    self.ledger.problem(f"{record.id} was acknowledged before the BACKUP, and is not in it")
        shutil.rmtree(data)


class Copy(GuardedBroker):
    """A broker on a restored folder."""

    def __init__(self, world, data):
        self.restored = data
        super().__init__(world)

    def launch(self):
        self.data = self.restored
        super().launch()
