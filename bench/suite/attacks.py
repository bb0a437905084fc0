"""attacks.py: things that one client may ask for and others must not feel.

    @attack("lag_many", "LAG with 99,000 groups")
    def lag_many(scene):
        many_groups(scene)          the scene is set; the bystander does not watch
        yield                       from here on it does
        scene.c.call_raw("LAG")

A function may yield a second time: a text that says more. `scene` has a client `c`, the ports, `flags` for the
broker, and `load` for halfmq-bench. To add one: a function here. Its name is its row (rows.py makes them).
"""
import selectors
import socket
import time
import urllib.request

BIG = 4 * 1000 * 1000
END = b"the-end-of-the-attack"


class Failed(Exception):
    """The attack could not be made."""


def encode(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 20)

    def read(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(max(0, int(rest)))]
        if kind == b"-" or not line:
            raise Failed(rest.decode() or "the broker closed the connection")
        return int(rest) if kind == b":" else rest

    def call(self, *words):
        self.socket.sendall(encode(*words))
        return self.read()

    def pipeline(self, commands, step=500):
        """Returns the replies to all commands, each a tuple of words."""
        commands, replies = list(commands), []
        for i in range(0, len(commands), step):
            part = commands[i:i + step]
            self.socket.sendall(b"".join(encode(*words) for words in part))
            replies += [self.read() for _ in part]
        return replies

    def call_raw(self, *words):
        self.rush([words])

    def rush(self, commands):
        """Sends all commands, and reads the replies as fast as it can without understanding them."""
        self.send_all(b"".join(encode(*words) for words in commands) + encode("PING", END))

    def send_all(self, data):
        wanted, tail, first, sent = b"$%d\r\n%s\r\n" % (len(END), END), b"", b"", 0
        self.socket.setblocking(False)
        view = memoryview(data)
        while tail != wanted:
            moved = False
            try:
                if sent < len(view):
                    sent += self.socket.send(view[sent:sent + (1 << 20)])
                    moved = True
            except BlockingIOError:
                pass
            try:
                piece = self.socket.recv(1 << 20)
                if not piece:
                    raise Failed("the broker closed the connection")
                first, tail, moved = first or piece[:200], (tail + piece[-64:])[-len(wanted):], True
            except BlockingIOError:
                pass
            if not moved:
                time.sleep(0.0005)
        self.socket.settimeout(600)
        if first[:1] == b"-":
            raise Failed(first.split(b"\r\n")[0].decode())


ATTACKS = {}


def attack(text, *flags):
    def add(function):
        function.text, function.flags = text, flags
        ATTACKS[function.__name__] = function
        return function
    return add


def unsynced(scene, commands):
    """As pipeline; a scene is set sooner without syncs."""
    scene.c.call("CONFIG", "SET", "fsync", "never")
    replies = scene.c.pipeline(commands)
    scene.c.call("CONFIG", "SET", "fsync", "always")
    return replies


def many_groups(scene, n, topic="t"):
    scene.c.call("SEND", topic, "x", "QUEUE", 0)
    unsynced(scene, (("GROUP", "CREATE", f"group-{i}", topic) for i in range(scene.scaled(n))))


def batches(scene, topic, messages, size, batch, queues=1):
    scene.c.call("TOPIC", "CREATE", topic, "QUEUES", queues)
    scene.load("send", "--topic", topic, "--messages", str(messages), "--batch", str(batch), "--size", str(size),
               "--connections", "1", "--inflight", "1")


@attack("nothing, for 5 s")
def nothing(scene):
    yield
    time.sleep(5)


@attack("LAG with 20,000 groups x 1,024 queues")
def lag_wide(scene):
    scene.c.call("TOPIC", "CREATE", "t", "QUEUES", 1024)
    unsynced(scene, (("SEND", "t", "x" * 100, "QUEUE", q) for q in range(1024) for _ in range(2)))
    many_groups(scene, 20000)
    yield
    scene.c.call_raw("LAG")


@attack("TOPIC DELETE with 99,000 groups")
def topic_delete(scene):
    many_groups(scene, 99000)
    yield
    scene.c.call("TOPIC", "DELETE", "t")


@attack("LAG with 99,000 groups")
def lag_many(scene):
    many_groups(scene, 99000)
    yield
    scene.c.call_raw("LAG")


@attack("GET /metrics with 99,000 groups")
def metrics(scene):
    many_groups(scene, 99000)
    yield
    with urllib.request.urlopen(f"http://127.0.0.1:{scene.http_port}/metrics", timeout=600) as page:
        page.read()


@attack("FIND of 10,000 among 400,000 messages that have the key, 5 times")
def find(scene):
    unsynced(scene, (("SEND", "t", "x" * 100, "KEY", "k") for _ in range(scene.scaled(400000))))
    yield
    for _ in range(5):
        scene.c.call_raw("FIND", "t", "KEY", "k", "COUNT", 10000)


@attack("FIND of 1,000 messages, each in a record of 200 KB, 5 times")
def find_large(scene):
    scene.c.call("CONFIG", "SET", "fsync", "never")
    for i in range(1000):
        scene.c.call("SEND", "t", b"x" * 200000)
        scene.c.call("SEND", "t", "x", "KEY", "k")
    scene.c.call("CONFIG", "SET", "fsync", "always")
    yield
    for _ in range(5):
        scene.c.call_raw("FIND", "t", "KEY", "k", "COUNT", 10000)


@attack("TXN LIST of 10,000 among 100,000 open transactions, 10 times")
def txn_list(scene):
    unsynced(scene, (("HALF", "p", "t", "x" * 100) for _ in range(scene.scaled(100000))))
    time.sleep(2)  # young ones get their rows, which is not what is measured
    yield
    for _ in range(10):
        scene.c.call_raw("TXN", "LIST", "COUNT", 10000)


@attack("PGROUP LIST with 50,000 groups, 10 times")
def pgroup_list(scene):
    unsynced(scene, (("PGROUP", "SET", f"group-{i}", "CHECKIN", "1h") for i in range(scene.scaled(50000))))
    yield
    for _ in range(10):
        scene.c.call_raw("PGROUP", "LIST")


@attack("DELAYED LIST of 10,000 among 200,000 delayed messages, 10 times")
def delayed_list(scene):
    unsynced(scene, (("SEND", "t", "x" * 100, "DELAY", "1h") for _ in range(scene.scaled(200000))))
    yield
    for _ in range(10):
        scene.c.call_raw("DELAYED", "LIST", "t", "COUNT", 10000)


@attack("CLIENT LIST with 5,000 connections, 20 times")
def client_list(scene):
    idle = [socket.create_connection(("127.0.0.1", scene.port)) for _ in range(scene.scaled(5000))]
    yield
    for _ in range(20):
        scene.c.call_raw("CLIENT", "LIST")
    for s in idle:
        s.close()


@attack("pipelined COMMITs of 31 MB")
def commits(scene):
    txids = large_transactions(scene, 6)
    yield
    scene.c.rush([("COMMIT", txid) for txid in txids])


@attack("pipelined COMMITs of 31 MB of delayed messages")
def commits_delayed(scene):
    txids = large_transactions(scene, 6, each=("DELAY", "1h"))
    yield
    scene.c.rush([("COMMIT", txid) for txid in txids])


def large_transactions(scene, n, *options, each=()):
    """n transactions of 31 MB, as eight half messages each."""
    txids = []
    for _ in range(n):
        txid = scene.c.call("HALF", "p", "t", b"x" * BIG, *options, *each)
        for _ in range(7):
            scene.c.call("HALF", "p", "t", b"x" * (BIG - 1000 * 120), "TXN", txid, *each)
        txids.append(txid)
    return txids


@attack("pipelined ROLLBACKs of 31 MB")
def rollbacks(scene):
    txids = large_transactions(scene, 6)
    yield
    scene.c.rush([("ROLLBACK", txid) for txid in txids])


@attack("pipelined COMMITs of 1,000 messages in as many topics")
def commits_wide(scene):
    txids = []
    for _ in range(10):
        txid = scene.c.call("HALF", "p", "t0", "x")
        unsynced(scene, (("HALF", "p", f"t{i}", "x" * 100, "TXN", txid) for i in range(1, 1000)))
        txids.append(txid)
    yield
    scene.c.rush([("COMMIT", txid) for txid in txids])


@attack("CHECKS of transactions of 31 MB")
def checks_large(scene):
    large_transactions(scene, 4, "CHECKIN", 0)
    yield
    for _ in range(4):
        scene.c.call_raw("CHECKS", "p", "COUNT", 10)


@attack("check-backs of transactions of 31 MB to a subscriber")
def checks_pushed(scene):
    large_transactions(scene, 4, "CHECKIN", 0)
    yield
    scene.c.call("SUBSCRIBE", "check:p")
    for _ in range(4):
        scene.c.read()


@attack("pipelined SENDs of 4 MB")
def sends_large(scene):
    yield
    scene.c.rush([("SEND", "t", b"x" * BIG)] * 40)


@attack("pipelined MSENDs of 31 MB")
def msends_large(scene):
    yield
    scene.c.rush([("MSEND", "t") + (b"x" * (BIG - 1000 * 120),) * 8] * 6)


HUGE = 31 * 1000 * 1000
HUGE_FLAGS = ("--max_message_bytes", "31MB")


@attack("HALF and COMMIT of messages of 31 MB", *HUGE_FLAGS)
def halfs_huge(scene):
    yield
    for _ in range(6):
        scene.c.call("COMMIT", scene.c.call("HALF", "p", "t", b"x" * HUGE))


@attack("GET, READ and POP of messages of 31 MB", *HUGE_FLAGS)
def gets_huge(scene):
    ids = [scene.c.call("SEND", "t", b"x" * HUGE, "QUEUE", 0) for _ in range(3)]
    scene.c.call("GROUP", "CREATE", "g", "t", "FROM", "earliest")
    yield
    for i in ids:
        scene.c.call_raw("GET", i)
    for n in range(len(ids)):
        scene.c.call_raw("READ", "t", 0, n, "COUNT", 1)
        scene.c.call_raw("POP", "g", "t")


@attack("pipelined HALFs of 4 MB")
def halfs_large(scene):
    yield
    scene.c.rush([("HALF", "p", "t", b"x" * BIG)] * 40)


@attack("20 delayed messages of 4 MB due at once")
def delayed_large(scene):
    due = int(time.time() * 1000) + 8000
    unsynced(scene, [("SEND", "t", b"x" * BIG, "AT", due)] * 20)
    left = due / 1000 - time.time()
    if left < 0.5:
        raise Failed("setting the scene took too long")
    time.sleep(left - 0.4)
    yield
    while True:
        info = scene.c.call("TOPIC", "INFO", "t")
        if dict(zip(info[::2], info[1::2]))[b"messages"] >= 20:
            return
        time.sleep(0.02)


@attack("20,000 transactions time out at once")
def timeouts(scene):
    n = scene.scaled(20000)
    scene.c.call("PGROUP", "SET", "p", "TIMEOUT", "8s", "CHECKIN", "1h")
    began = time.time()
    unsynced(scene, (("HALF", "p", "t", "x") for _ in range(n)))
    left = began + 7.5 - time.time()
    if left < 0:
        raise Failed("setting the scene took too long")
    time.sleep(left)
    yield
    while True:
        info = scene.c.call("PGROUP", "INFO", "p")
        if dict(zip(info[::2], info[1::2]))[b"parked"] >= n:
            return
        time.sleep(0.1)


@attack("POP COUNT 1 from one batch of 8 MB, 100 times")
def pop_singly(scene):
    batches(scene, "t", 1000, 8000, 1000)
    yield
    for _ in range(100):
        scene.c.call("POP", "g", "t")


@attack("READ COUNT 1 in one batch of 8 MB, 100 times")
def read_singly(scene):
    batches(scene, "t", 1000, 8000, 1000)
    yield
    for i in range(100):
        scene.c.call("READ", "t", 0, i * 7)


@attack("LAG over 500,000 messages with TTL")
def lag_ttl(scene):
    n = scene.scaled(250000)
    unsynced(scene, (("SEND", "t", "x" * 100, "TTL", ttl) for _ in range(n) for ttl in ("1s", "1h")))
    for i in range(4):
        scene.c.call("POP", f"g{i}", "t")
    time.sleep(1)
    yield
    for i in range(4):
        scene.c.call_raw("LAG", f"g{i}")


@attack("200 clients that pipeline GETs of 31 MB and read nothing, for 3 s", "--max_message_bytes", "32MiB")
def get_large(scene):
    scene.c.call("SEND", "t", b"x" * 31 * 1000 * 1000, "QUEUE", 0)
    deaf = [socket.create_connection(("127.0.0.1", scene.port)) for _ in range(200)]
    yield
    for s in deaf:
        s.sendall(encode("GET", "t:0:0") * 8)
    time.sleep(3)
    for s in deaf:
        s.close()


def pop_thousand(scene, *options):
    """Leases 1,000 messages; a reply that would be too large has fewer of them."""
    got = []
    while len(got) < 1000:
        part = scene.c.call("POP", "g", "t", "COUNT", 1000 - len(got), *options)
        if not part:
            raise Failed("POP gave fewer than 1,000")
        got += part
    return got


@attack("burying 1,000 dead letters of one batch of 8 MB")
def bury(scene):
    batches(scene, "t", 1000, 8000, 1000)
    scene.c.call("GROUP", "CREATE", "g", "t", "ATTEMPTS", 1)
    pop_thousand(scene, "LEASE", "1s")
    yield
    end = time.monotonic() + 120
    while time.monotonic() < end:
        scene.c.call("POP", "g", "t", "COUNT", 1000, "WAIT", "200ms")
        lag = scene.c.call("LAG", "g")[0]
        if dict(zip(lag[::2], lag[1::2]))[b"dead"] == 1000:
            return
    raise Failed("not all are buried after 120 s")


@attack("POP of 1,000 individually NACKed messages of one batch of 8 MB")
def pop_nacked(scene):
    batches(scene, "t", 1000, 8000, 1000)
    got = pop_thousand(scene)
    order = [got[i * 7 % 1000][0] for i in range(1000)]
    unsynced(scene, (("NACK", "g", receipt) for receipt in order))
    yield
    pop_thousand(scene)


@attack("POP COUNT 1000 over records of one message of 4 KB, 20 times")
def pop_records(scene):
    scene.c.call("TOPIC", "CREATE", "t", "QUEUES", 1)
    scene.c.call("CONFIG", "SET", "fsync", "never")
    for _ in range(20000):
        scene.c.call("SEND", "t", b"x" * 4000)
    scene.c.call("CONFIG", "SET", "fsync", "always")
    yield
    for _ in range(20):
        scene.c.call_raw("POP", "g", "t", "COUNT", 1000)


@attack("100,000 delayed messages due at once")
def delayed(scene):
    n = scene.scaled(100000)
    due = int(time.time() * 1000) + 4000 + n // 20
    unsynced(scene, (("SEND", "t", "x" * 100, "AT", due) for _ in range(n)))
    scene.c.call("SEND", "leased", "x")
    left = due / 1000 + 0.1 - time.time()
    if left < 0.3:
        raise Failed("setting the scene took too long")
    time.sleep(left - 0.2)
    ends = time.time() + 0.2
    scene.c.call("POP", "g", "leased", "LEASE", "200ms")
    yield
    scene.c.call("POP", "g", "leased", "WAIT", "120s")
    late = time.time() - ends
    while True:
        info = scene.c.call("TOPIC", "INFO", "t")
        info = dict(zip(info[::2], info[1::2]))
        if info[b"messages"] >= n:
            break
        time.sleep(0.02)
    yield f"a lease ended {late * 1000:.0f} ms late"


@attack("ACK of 20,000 stale ranges")
def ack_stale(scene):
    batches(scene, "t", 20000, 100, 1000)
    got = [scene.c.call("POP", "g", "t", "COUNT", 1000) for _ in range(16)]  # more leases than that are refused
    unsynced(scene, (("NACK", "g", message[0]) for part in got for message in part[::2]))
    for _ in range(8):
        scene.c.call_raw("POP", "g", "t", "COUNT", 1000)
    yield
    for _ in range(20):  # an ACK may name a million messages
        scene.c.call("ACK", "g", *[f"t:0:{i * 997 % 14000}-{i * 997 % 14000 + 999}#9" for i in range(1000)])


@attack("POP COUNT 1000 over 1,024 queues, 16 times")
def pop_queues(scene):
    scene.c.call("TOPIC", "CREATE", "t", "QUEUES", 1024)
    for _ in range(20):
        unsynced(scene, (("SEND", "t", "x" * 100, "QUEUE", q) for q in range(1024)))
    yield
    for _ in range(16):  # more leases than that are refused
        scene.c.call_raw("POP", "g", "t", "COUNT", 1000)


@attack("POP COUNT 1 where 100 runs of 1,000 have expired, 100 times")
def pop_expired(scene):
    batches(scene, "t", 100000, 100, 1000)
    for _ in range(100):
        scene.c.call_raw("POP", "g", "t", "COUNT", 1000, "LEASE", "2s")
    time.sleep(2)
    yield
    for _ in range(100):
        scene.c.call_raw("POP", "g", "t", "COUNT", 1)


@attack("1,000 ACKs that name a deleted topic, with 50,000 groups")
def ack_deleted(scene):
    many_groups(scene, 50000, "other")
    scene.c.call("SEND", "t", "x", "QUEUE", 0)
    scene.c.call("POP", "g", "t")
    scene.c.call("TOPIC", "DELETE", "t")
    yield
    scene.c.rush([("ACK", "group-1", f"t:0:{i}#1") for i in range(1000)])


@attack("two clients with bodies of 1 MiB and fsync=never, for 10 s", "--fsync", "never")
def big_bodies(scene):
    yield
    got = scene.load("send", "--topic", "t", "--size", "1MiB", "--connections", "2", "--inflight", "2", "--duration", "10s",
                     may_be_busy=True)
    yield f"{got['messages_per_s']:.0f} a second, {got['errors']} refused"


GUESSERS, GUESS_SECONDS = 100, 10


def guess(port, user, seconds):
    """Connections that send wrong passwords, each as soon as the last one was refused. Returns how many were refused."""
    sockets = selectors.DefaultSelector()
    for i in range(GUESSERS):
        s = socket.create_connection(("127.0.0.1", port), timeout=60)
        sockets.register(s, selectors.EVENT_READ)
        s.sendall(encode("AUTH", user, f"wrong{i}"))
    refused, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in sockets.select(0.1):
            answer = key.fileobj.recv(4096)
            if not answer.startswith(b"-"):
                raise Failed(f"a wrong password was answered with {answer!r}")
            refused += 1
            key.fileobj.sendall(encode("AUTH", user, f"wrong{refused}"))
    for key in list(sockets.get_map().values()):
        key.fileobj.close()
    return refused


@attack(f"wrong passwords on {GUESSERS} connections, for {GUESS_SECONDS} s")
def wrong_passwords(scene):
    scene.c.call("ACL", "SETUSER", "bob", "on", ">right-and-long-enough", "+@all")
    yield
    yield f"{guess(scene.port, 'bob', GUESS_SECONDS)} were refused"


@attack("BACKUP of 1 GB, three times")
def backups(scene):
    scene.load("send", "--topic", "t", "--size", "1000", "--batch", "100", "--inflight", "16", "--body", "random",
               "--messages", str(scene.scaled(1000 * 1000)))
    yield
    took = []
    for i in range(3):
        began = time.monotonic()
        scene.c.call("BACKUP", f"b{i}")
        took.append(time.monotonic() - began)
    yield f"each took {min(took) * 1000:.0f} to {max(took) * 1000:.0f} ms"
