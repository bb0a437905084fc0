"""test_tls.py: TLS on the message port: who gets in, what hostile clients can do, and certificates that change."""
import os
import re
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import ANSWER_SECONDS, BIN, HALFMQD, Broker, Message, Text, encode, eventually, run_tests  # noqa: E402
from certs import Authority  # noqa: E402
from rpc import Rpc  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="halfmq-tls-")
CA = Authority(FOLDER.name)
SERVER = CA.issue("server", dns=["localhost"])
CLIENT = CA.issue("client", cn="billing", dns=["orders", "second"])


def flags(cert=SERVER, *more):
    return ("--tls_cert", cert.cert, "--tls_key", cert.key, *more)


def wrap(broker, context=None):
    """A socket that has shaken hands."""
    plain = socket.create_connection(("127.0.0.1", broker.port), timeout=ANSWER_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return (context or CA.client()).wrap_socket(plain, server_hostname="localhost")


class TlsText(Text):
    def __init__(self, broker, context=None, hello=None):
        self.socket = wrap(broker, context)
        self.file = self.socket.makefile("rb")
        if hello:
            self.call("HELLO", hello)


def plain(broker):
    return socket.create_connection(("127.0.0.1", broker.port), timeout=ANSWER_SECONDS)


def client_hello():
    """The bytes that a client begins with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = CA.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def metric(broker, name):
    text = CA.client()
    http = text.wrap_socket(socket.create_connection(("127.0.0.1", broker.http_port), timeout=ANSWER_SECONDS),
                            server_hostname="localhost")
    http.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    page = http.makefile("rb").read().decode()
    found = re.search(rf"^{name} (\S+)$", page, re.M)
    return float(found.group(1)) if found else None


def refused_start(*words):
    """What a broker that does not start says."""
    run = subprocess.run([HALFMQD, "--port", "0", "--http_port", "0", "--data", os.path.join(FOLDER.name, "unused"), *words],
                         capture_output=True, timeout=60, check=False)
    assert run.returncode == 1, run
    assert not os.path.exists(os.path.join(FOLDER.name, "unused", "LOCK")), words
    return run.stderr.decode()


# ---- both dialects, and who may speak plain text ----

def test_the_first_byte_decides():
    with Broker(*flags()) as broker:
        tls, text = TlsText(broker), broker.text()
        assert tls.call("SEND", "t", "x" * 100000) == b"t:0:0"
        assert Message(text.call("GET", "t:0:0")).body == b"x" * 100000
        assert Message(tls.call("GET", "t:0:0")).body == b"x" * 100000
        rpc = Rpc.__new__(Rpc)
        rpc_over(rpc, wrap(broker))
        assert rpc.call("send", topic="t", body="y", queue=0) == "t:0:1"
        listed = tls.call("CLIENT", "LIST").decode()
        assert listed.count(" tls=yes ") == 2 and listed.count(" tls=no ") == 1, listed
        info = tls.call("INFO").decode()
        assert "\ntls:1\r\n" in info and "\ntls_clients:2\r\n" in info, info
        assert metric(broker, "halfmq_tls_connections") == 2
        expires = metric(broker, "halfmq_tls_certificate_expiry_timestamp_seconds")
        assert abs(expires - time.time() - 365 * 86400) < 86400, expires


def rpc_over(rpc, sock):
    import msgpack
    rpc.socket = sock
    rpc.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
    rpc.next_id, rpc.answers, rpc.requests, rpc.notes = 0, {}, [], []


def test_redis_cli():
    with Broker(*flags()) as broker:
        run = subprocess.run(["redis-cli", "-h", "localhost", "-p", str(broker.port), "--tls", "--cacert", CA.cert, "SEND", "t", "a"],
                             capture_output=True, timeout=60, check=False)
        assert run.stdout == b"t:0:0\n", run


def test_required_refuses_plain_text():
    broker = Broker(started=False)
    path = os.path.join(broker.folder, "mq.sock")
    broker.flags = flags(SERVER, "--tls", "required", "--unix_socket", path)
    broker.start()
    with broker:
        for first in (b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x94\x00\x01\xa4PING\x90"):
            client = plain(broker)
            client.sendall(first)
            assert client.makefile("rb").read() == b"-ERR this port speaks TLS only\r\n", first
        assert TlsText(broker).call("PING") == "PONG"
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(path)
            local.sendall(b"PING\r\nQUIT\r\n")
            assert local.makefile("rb").read() == b"+PONG\r\n+OK\r\n"


def test_without_a_certificate_tls_is_refused_with_a_sentence():
    with Broker() as broker:
        client = plain(broker)
        client.sendall(client_hello())
        assert client.makefile("rb").read().startswith(b"-ERR TLS is not spoken on this port: set tls_cert")
        assert "\ntls:0\r\n" in broker.text().call("INFO").decode()


def test_versions():
    old = CA.client(most=ssl.TLSVersion.TLSv1_2)
    with Broker(*flags()) as broker:
        assert wrap(broker).version() == "TLSv1.3"
        try:
            wrap(broker, old)
            raise AssertionError("TLS 1.2 was spoken")
        except (ssl.SSLError, ConnectionError):
            pass
        tls = TlsText(broker)
        assert tls.call("CONFIG", "SET", "tls_min", "1.2") == "OK"
        assert wrap(broker, old).version() == "TLSv1.2"
        assert tls.call("PING") == "PONG"


# ---- refused at the start ----

def test_what_is_refused_at_the_start():
    other = CA.issue("other")
    old, early = CA.issue("old", begins=-20, ends=-10), CA.issue("early", begins=10, ends=20)
    garbage = os.path.join(FOLDER.name, "garbage")
    with open(garbage, "w", encoding="ascii") as f:
        f.write("no PEM\n")
    for words, sentence in (
            (("--tls_cert", SERVER.cert), "tls_cert is set, and tls_key is not"),
            (("--tls_key", SERVER.key), "tls_key is set, and tls_cert is not"),
            (("--tls_cert", "/nowhere", "--tls_key", SERVER.key), 'tls_cert \\"/nowhere\\" cannot be read: No such file'),
            (("--tls_cert", SERVER.cert, "--tls_key", "/nowhere"), 'tls_key \\"/nowhere\\" cannot be read: No such file'),
            (("--tls_cert", FOLDER.name, "--tls_key", SERVER.key), "cannot be read: Is a directory"),
            (("--tls_cert", garbage, "--tls_key", SERVER.key), "is no certificate in PEM form"),
            (("--tls_cert", SERVER.cert, "--tls_key", garbage), "is no private key in PEM form without a passphrase"),
            (("--tls_cert", SERVER.cert, "--tls_key", other.key), "does not fit the certificate"),
            (flags(old), "has expired at "),
            (flags(early), "is not valid before "),
            (("--tls", "required"), "tls is required, but there is no certificate"),
            (flags(SERVER, "--tls_client_auth", "required"), "set tls_ca"),
            (flags(SERVER, "--tls_client_auth", "optional", "--tls_ca", garbage), "has no certificates in PEM form"),
            (("--tls_client_auth", "required"), "tls_client_auth needs TLS"),
            (flags(SERVER, "--tls_user", "cn"), "set tls_client_auth"),
    ):
        said = refused_start(*words)
        assert sentence in said, (words, said)
        check = subprocess.run([HALFMQD, *words, "--check-config"], capture_output=True, timeout=60, check=False)
        assert check.returncode == 1 and sentence.replace("\\", "") in check.stderr.decode(), check


def test_a_key_with_a_passphrase_is_refused_without_a_question():
    from certs import openssl
    locked = os.path.join(FOLDER.name, "locked.key")
    openssl("ec", "-in", SERVER.key, "-out", locked, "-aes128", "-passout", "pass:secret")
    said = refused_start("--tls_cert", SERVER.cert, "--tls_key", locked)
    assert "without a passphrase" in said, said


# ---- certificates of clients ----

def test_client_certificates():
    stranger = Authority(FOLDER.name, "strangers").issue("stranger", cn="billing")
    expired = CA.issue("expired", cn="billing", begins=-20, ends=-10)
    with Broker(*flags(SERVER, "--tls_client_auth", "required", "--tls_ca", CA.cert)) as broker:
        assert TlsText(broker, CA.client(CLIENT)).call("PING") == "PONG"
        for own in (None, stranger, expired):
            try:
                client = TlsText(broker, CA.client(own))
                client.call("PING")
                raise AssertionError(f"{own} got in")
            except (ssl.SSLError, ConnectionError, EOFError):
                pass
        eventually(lambda: "certificate has expired" in log_of(broker), "the log says why")
        assert "peer did not return a certificate" in log_of(broker)
        admin = TlsText(broker, CA.client(CLIENT))
        assert admin.call("CONFIG", "SET", "tls_client_auth", "optional") == "OK"
        assert TlsText(broker).call("PING") == "PONG"
        assert admin.call("CONFIG", "SET", "tls_client_auth", "no", "tls_ca", "") == "OK"


def test_the_user_of_a_certificate():
    nameless = CA.issue("nameless", cn="", dns=["second"])
    strange = CA.issue("strange", cn="no such name")
    user = flags(SERVER, "--tls_client_auth", "optional", "--tls_ca", CA.cert, "--tls_user", "cn")
    with Broker(*user) as broker:
        admin = TlsText(broker)
        assert admin.call("ACL", "WHOAMI") == b"default"
        for own in (CLIENT, nameless, strange):  # no such users yet
            assert TlsText(broker, CA.client(own)).refused("PING").code == "NOAUTH"
        assert admin.call("ACL", "SETUSER", "billing", "on", "+@connection", "+@produce", "~bills") == "OK"
        assert admin.call("ACL", "SETUSER", "orders", "on", "allcommands") == "OK"
        client = TlsText(broker, CA.client(CLIENT))
        assert client.call("ACL", "WHOAMI") == b"billing"
        assert client.call("SEND", "bills", "x").startswith(b"bills:")
        assert client.refused("SEND", "other", "x").code == "NOPERM"
        rpc = Rpc.__new__(Rpc)
        rpc_over(rpc, wrap(broker, CA.client(CLIENT)))
        assert rpc.call("acl_whoami") == "billing"
        assert client.call("RESET") == "RESET"
        assert client.call("ACL", "WHOAMI") == b"billing"
        assert admin.call("CONFIG", "SET", "tls_user", "san_dns") == "OK"
        assert TlsText(broker, CA.client(CLIENT)).call("ACL", "WHOAMI") == b"orders"
        assert TlsText(broker, CA.client(nameless)).refused("PING").code == "NOAUTH"
        assert admin.call("ACL", "SETUSER", "orders", "conns:1") == "OK"
        assert admin.call("ACL", "SETUSER", "orders", "off") == "OK"
        eventually(lambda: TlsText(broker, CA.client(CLIENT)).refused("PING").code == "NOAUTH", "it is off")
        assert TlsText(broker).call("ACL", "WHOAMI") == b"default"  # no certificate


def log_of(broker):
    return broker.read_log().decode()


# ---- hostile clients ----

def test_half_handshakes_harm_nobody():
    """5,000 begin and do not end: half a ClientHello, or a whole one; others are served meanwhile."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[1], max(limits[0], 12000)), limits[1]))
    with Broker(*flags(SERVER, "--memory", "64MB")) as broker:
        hello, idle = client_hello(), broker.resident_bytes()
        halves = [plain(broker) for _ in range(2500)]
        for i, client in enumerate(halves):
            client.sendall(hello[:1 + i % (len(hello) - 1)])
        wholes = [plain(broker) for _ in range(2500)]
        for client in wholes:
            client.sendall(hello)
        text = broker.text()
        assert text.call("PING") == "PONG"
        tls = TlsText(broker)
        assert tls.call("SEND", "t", "x") == b"t:0:0"
        grown = broker.resident_bytes() - idle
        assert broker.is_sanitized() or grown < 100_000_000, grown
        # Those that do not finish are closed after some seconds.
        for client in halves[:3] + wholes[-3:]:
            client.settimeout(60)
            try:
                while client.recv(65536):
                    pass
            except ConnectionError:
                pass
        eventually(lambda: "\nconnected_clients:2\r\n" in text.call("INFO", "clients").decode(), "all were closed", 60)
        assert metric(broker, "halfmq_tls_handshake_failures_total") == 5000
        assert tls.call("PING") == "PONG"


def test_many_handshakes_at_once_beside_a_load():
    """A loop with a load polls its sockets more than once before its turn: those that wait for theirs are reported twice."""
    with Broker(*flags()) as broker:
        hello = client_hello()
        load = subprocess.Popen([os.path.join(BIN, "halfmq-bench"), "send", "--port", str(broker.port), "--connections", "20",
                                 "--inflight", "80", "--duration", "60s", "--quiet"], stdout=subprocess.DEVNULL)
        for i in range(30):
            clients = [plain(broker) for _ in range(200)]
            for client in clients:
                client.sendall(hello)
            for client in clients[:i % 3 * 100]:
                assert client.recv(100)
            for client in clients:
                client.close()
        assert TlsText(broker).call("PING") == "PONG"
        load.kill()
        load.wait()


def test_a_handshake_in_single_bytes_and_cut_at_each():
    with Broker(*flags()) as broker:
        hello = client_hello()
        for n in range(1, len(hello), 7):
            client = plain(broker)
            client.sendall(hello[:n])
            client.shutdown(socket.SHUT_WR)
            client.settimeout(ANSWER_SECONDS)
            try:
                while client.recv(65536):
                    pass
            except ConnectionError:
                pass
            client.close()
        through_bytes(broker)
        text = broker.text()
        eventually(lambda: "\nconnected_clients:1\r\n" in text.call("INFO", "clients").decode(), "all were closed")


def test_a_request_together_with_the_end_of_the_handshake():
    with Broker(*flags()) as broker:
        client = Halves(broker)
        client.push, push = lambda: None, client.push
        while True:
            try:
                client.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                push()
                client.incoming.write(client.socket.recv(65536))
        client.tls.write(b"SEND t " + b"x" * 15000 + b"\r\nPING\r\n")
        client.tls.write(b"PING\r\n" * 9)
        client.push = push
        push()  # in one piece
        replies = b""
        while replies.count(b"+PONG\r\n") < 10:
            replies += client.until(lambda: client.tls.read(65536))
        assert replies.startswith(b"$5\r\nt:0:0\r\n"), replies


class Halves:
    """TLS and its socket apart. at_once: how many bytes are sent at a time."""

    def __init__(self, broker, at_once=65536):
        self.socket, self.at_once = plain(broker), at_once
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = CA.client().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def push(self):
        data = self.outgoing.read()
        for i in range(0, len(data), self.at_once):
            self.socket.sendall(data[i:i + self.at_once])

    def until(self, step):
        while True:
            try:
                value = step()
                self.push()
                return value
            except ssl.SSLWantReadError:
                self.push()
                got = self.socket.recv(65536)
                assert got, "the broker closed"
                self.incoming.write(got)
            except ssl.SSLZeroReturnError:
                return b""

    def end(self):
        """Sends close_notify, and can still read."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.push()


def through_bytes(broker):
    """A whole session of which each byte is sent by itself."""
    client = Halves(broker, 1)
    client.until(client.tls.do_handshake)
    client.tls.write(b"PING\r\n")
    client.push()
    assert client.until(lambda: client.tls.read(100)) == b"+PONG\r\n"


def test_garbage_after_the_handshake():
    with Broker(*flags()) as broker:
        for garbage in (b"PING\r\n", b"\x17\x03\x03\x00\x05abcde", b"\x17\x03\x03\xff\xff" + b"x" * 70000, b"\x16" * 100, b"\0" * 5):
            tls = wrap(broker)
            raw = socket.socket(fileno=os.dup(tls.fileno()))
            raw.settimeout(ANSWER_SECONDS)
            try:
                raw.sendall(garbage)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError:  # the broker was quicker
                pass
        text = broker.text()
        eventually(lambda: "\nconnected_clients:1\r\n" in text.call("INFO", "clients").decode(), "all were closed")


def test_renegotiation_is_refused():
    with Broker(*flags(SERVER, "--tls_min", "1.2")) as broker:
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{broker.port}", "-tls1_2", "-CAfile", CA.cert],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        client.stdin.write(b"R\n")
        client.stdin.flush()
        out, _ = client.communicate(timeout=60)
        assert b"no renegotiation" in out, out[-500:]
        assert broker.text().call("PING") == "PONG"


# ---- much data ----

def test_a_pipelining_client_and_large_messages():
    with Broker(*flags()) as broker:
        tls = TlsText(broker)
        tls.socket.sendall(b"".join(encode("SEND", "t", b"m%06d" % i) for i in range(20000)))
        for _ in range(20000):
            tls.read()
        big = os.urandom(4 * 1024 * 1024)
        assert tls.call("SEND", "big", big) == b"big:0:0"
        assert Message(tls.call("GET", "big:0:0")).body == big
        tls.socket.sendall(b"".join(encode("GET", "big:0:0") for _ in range(8)))
        for _ in range(8):
            assert Message(tls.read()).body == big
        # A command in many records, and many commands in one.
        for piece in (encode("SEND", "t", "x" * 1000)[i:i + 1] for i in range(30)):
            tls.socket.sendall(piece)
        tls.socket.sendall(encode("SEND", "t", "x" * 1000)[30:] + encode("PING") * 1000)
        assert tls.read().startswith(b"t:")
        assert [tls.read() for _ in range(1000)] == ["PONG"] * 1000


def test_a_client_that_does_not_read():
    with Broker(*flags()) as broker:
        feeder = broker.text()
        feeder.call("SEND", "big", "x" * 1_000_000)
        slow = TlsText(broker)
        slow.socket.sendall(b"".join(encode("GET", "big:0:0") for _ in range(64)))
        assert feeder.call("PING") == "PONG"
        held = eventually(lambda: int(re.search(r"connection_memory:(\d+)", feeder.call("INFO", "memory").decode()).group(1)) or None,
                          "its replies are counted")
        assert held < 16_000_000, held
        for _ in range(64):
            assert len(Message(slow.read()).body) == 1_000_000


def test_connections_cut_in_the_middle():
    with Broker(*flags()) as broker:
        request = encode("SEND", "t", "x" * 300)
        for n in range(0, len(request), 13):
            tls = wrap(broker)
            tls.sendall(request[:n])
            tls.close()
        text = broker.text()
        eventually(lambda: "\nconnected_clients:1\r\n" in text.call("INFO", "clients").decode(), "all were closed")
        assert text.refused("READ", "t", "0", "0").code == "NOTOPIC"


def test_the_end_of_a_session():
    with Broker(*flags()) as broker:
        tls = wrap(broker)
        tls.sendall(encode("PING") + encode("QUIT"))
        data = b""
        while block := tls.recv(65536):  # b"" is a close_notify: a cut would raise
            data += block
        assert data == b"+PONG\r\n+OK\r\n"
        # Who ends its side gets the replies that are under way.
        half = Halves(broker)
        half.until(half.tls.do_handshake)
        half.tls.write(b"SEND t x\r\n" * 50)
        half.end()
        replies = b""
        while block := half.until(lambda: half.tls.read(65536)):
            replies += block
        assert replies.count(b"t:") == 50, replies
        waiting = TlsText(broker)
        waiting.send("POP", "g", "nothing", "WAIT", "10m")
        killer = broker.text()
        eventually(lambda: "\nwaiters:1\r\n" in killer.call("INFO", "clients").decode(), "it waits")
        waiting.socket.close()
        waiting.file.close()
        eventually(lambda: "\nwaiters:0\r\n" in killer.call("INFO", "clients").decode(), "it waits no more")


# ---- certificates that change ----

def served(broker, context=None):
    return wrap(broker, context).getpeercert()["subject"][0][0][1]


def test_new_certificates():
    first, second = CA.issue("first", dns=["localhost"]), CA.issue("second", dns=["localhost"])
    old = CA.issue("expired2", dns=["localhost"], begins=-20, ends=-10)
    here = os.path.join(FOLDER.name, "here")
    cert, key = here + ".crt", here + ".key"

    def put(issued):
        for to, made in ((cert, issued.cert), (key, issued.key)):
            with open(made, "rb") as source, open(to + "~", "wb") as f:
                f.write(source.read())
            os.rename(to + "~", to)

    put(first)
    with Broker("--tls_cert", cert, "--tls_key", key) as broker:
        tls = TlsText(broker)
        assert served(broker) == "first"
        put(second)
        assert served(broker) == "first"
        broker.process.send_signal(1)
        eventually(lambda: served(broker) == "second", "SIGHUP takes the new one")
        put(old)
        broker.process.send_signal(1)
        eventually(lambda: "has expired at" in log_of(broker), "SIGHUP refuses it")
        assert "the TLS certificate was not taken" in log_of(broker)
        assert served(broker) == "second"
        # CONFIG SET: both at once, all or none.
        assert "does not fit" in tls.refused("CONFIG", "SET", "tls_cert", first.cert).text
        refused = tls.refused("CONFIG", "SET", "check_max", "3", "tls_cert", "/nowhere", "tls_key", first.key)
        assert "/nowhere" in refused.text, refused
        assert tls.call("CONFIG", "GET", "check_max") == [b"check_max", b"15"]
        assert tls.call("CONFIG", "SET", "tls_cert", first.cert, "tls_key", first.key) == "OK"
        assert served(broker) == "first"
        assert tls.call("CONFIG", "GET", "tls_cert") == [b"tls_cert", first.cert.encode()]
        assert tls.refused("CONFIG", "SET", "tls_cert").code == "ERR"
        assert "pairs" in tls.refused("CONFIG", "SET", "check_max", "3", "tls_cert").text
        assert "twice" in tls.refused("CONFIG", "SET", "check_max", "3", "CHECK_MAX", "4").text
        assert tls.call("PING") == "PONG"
        # Without a certificate new connections speak plain text; open ones go on.
        assert tls.call("CONFIG", "SET", "tls_cert", "", "tls_key", "") == "OK"
        assert broker.text().call("PING") == "PONG" and tls.call("PING") == "PONG"
        assert tls.call("CONFIG", "SET", "tls_cert", second.cert, "tls_key", second.key) == "OK"
        assert served(broker) == "second"


def test_reloads_under_load():
    with Broker(*flags(SERVER, "--io_threads", "2")) as broker:
        over, failed = threading.Event(), []

        def work():
            try:
                while not over.is_set():
                    tls = TlsText(broker)
                    for _ in range(20):
                        tls.call("SEND", "t", "x" * 100)
                    tls.close()
            except Exception as error:  # told below
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        admin = TlsText(broker)
        for _ in range(100):
            assert admin.call("CONFIG", "SET", "tls_cert", SERVER.cert, "tls_key", SERVER.key) == "OK"
            broker.process.send_signal(1)
        over.set()
        for thread in threads:
            thread.join()
        assert not failed, failed


def test_sessions_are_resumed():
    context = CA.client()
    with Broker(*flags()) as broker:
        first = TlsText(broker, context)
        first.call("PING")
        plain_socket = socket.create_connection(("127.0.0.1", broker.port), timeout=ANSWER_SECONDS)
        again = context.wrap_socket(plain_socket, server_hostname="localhost", session=first.socket.session)
        assert again.session_reused
        again.sendall(b"PING\r\n")
        assert again.recv(100) == b"+PONG\r\n"


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
