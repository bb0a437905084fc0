"""test_auth.py: who a connection is: passwords, tokens, protected mode; what is logged, and what is never printed."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import redis  # noqa: E402

from broker import HALFMQD, Broker, Refused, Text, eventually, run_tests  # noqa: E402
from rpc import Rpc, RpcError  # noqa: E402

WRONG = "WRONGPASS invalid username-password pair or user is disabled."
NOBODY = "NOAUTH Authentication required."
JWT_SECRET = b"0123456789abcdef0123456789abcdef"


def text_from(broker, source):
    """A connection from another address of this machine."""
    text = Text.__new__(Text)
    text.socket = socket.create_connection(("127.0.0.1", broker.port), source_address=(source, 0), timeout=30)
    text.file = text.socket.makefile("rb")
    return text


def write(broker, name, content):
    path = os.path.join(broker.folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(content)
    return path


def closes(text):
    """Reads to the end of the connection. Returns what came before."""
    return text.file.read()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(sign, alg="HS256", head=(), **claims):
    first = b64(json.dumps({"alg": alg, "typ": "JWT", **dict(head)}).encode()) + "." + b64(json.dumps(claims).encode())
    return first + "." + b64(sign(first.encode()))


def hs256(data):
    return hmac.new(JWT_SECRET, data, hashlib.sha256).digest()


def soon():
    return int(time.time()) + 300


def get(broker, path="/metrics", **headers):
    c = http.client.HTTPConnection("127.0.0.1", broker.http_port, timeout=30)
    c.request("GET", path, headers=headers)
    r = c.getresponse()
    r.read()
    return r


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# ---- passwords ----

def test_a_password_of_the_settings():
    with Broker("--password", "s3cret") as broker:
        c = broker.text()
        for words in (("PING",), ("HELLO", "3"), ("SEND", "t", "x"), ("ACL", "WHOAMI"), ("COMMAND",)):
            assert c.refused(*words).text == NOBODY, words
        assert c.refused("AUTH", "wrong").text == WRONG
        assert c.call("RESET") == "RESET"
        assert c.call("AUTH", "s3cret") == "OK"
        assert c.call("ACL", "WHOAMI") == b"default"
        assert c.call("RESET") == "RESET" and c.refused("PING").text == NOBODY
        assert c.call("AUTH", "default", "s3cret") == "OK" and c.call("PING") == "PONG"
        fresh = broker.text()
        assert fresh.call("HELLO", "3", "AUTH", "default", "s3cret", "SETNAME", "me")["proto"] == 3
        assert fresh.call("CLIENT", "GETNAME") == b"me"
        assert broker.text().call("QUIT") == "OK"


def test_wrong_pairs_are_alike_and_old_connections_go_on():
    with Broker() as broker:
        old, c = broker.text(), broker.text()
        assert c.refused("AUTH", "x").code == "ERR"  # default has no password
        assert c.call("AUTH", "default", "anything") == "OK"
        assert c.call("ACL", "SETUSER", "ann", "on", ">one", ">two", "+@connection") == "OK"
        assert c.call("ACL", "SETUSER", "off", ">one", "+@connection") == "OK"
        for pair in (("ann", "x"), ("nobody", "one"), ("off", "one"), ("ann", ""), ("a" * 300, "one"), ("ann", b"one\0")):
            assert c.refused("AUTH", *pair).text == WRONG, pair
        assert c.call("ACL", "WHOAMI") == b"default"  # a failure changes nothing
        assert c.call("AUTH", "ann", "two") == "OK" and c.call("ACL", "WHOAMI") == b"ann"
        assert c.refused("HELLO", "3", "AUTH", "ann", "three").text == WRONG
        assert c.refused("HELLO", "9", "AUTH", "ann", "one").code == "NOPROTO"
        assert c.call("HELLO", "2", "AUTH", "ann", "one")[0] == b"server"
        assert old.call("ACL", "SETUSER", "ann", "<one") == "OK"
        assert old.refused("ACL", "SETUSER", "ann", "<one").code == "ERR"
        assert old.refused("AUTH", "ann", "one").text == WRONG
        assert old.refused("ACL", "SETUSER", "ann", *[">p%d" % i for i in range(20)]).code == "LIMIT"
        assert old.call("ACL", "SETUSER", "default", ">new") == "OK"
        assert old.call("PING") == "PONG"
        assert broker.text().refused("PING").text == NOBODY
        broker.stop()
        broker.start()
        assert broker.text().call("AUTH", "new") == "OK"
        assert broker.text().call("AUTH", "ann", "two") == "OK"


def test_who_is_nobody_learns_nothing_of_commands():
    """All that cannot be taken is answered alike, but what can log in says what is wrong with it."""
    with Broker("--password", "pw") as broker:
        c = broker.text()
        for words in (("NOSUCH",), ("SEND",), ("SEND", "t", "x", "BAD", "option"), ("ACL", "NOSUCH"), ("TOPIC", "CREATE", "a/b"), ("",)):
            assert c.refused(*words).text == NOBODY, words
        for words in (("AUTH",), ("HELLO", "3", "AUTH", "x"), ("AUTH", "a", "b", "c"), ("QUIT", "x")):
            assert c.refused(*words).code == "ERR", words
        rpc = Rpc(broker.port)
        for method, params in (("nosuch", {}), ("send", {}), ("send", {"topic": "t"})):
            try:
                rpc.call(method, **params)
                raise AssertionError(method)
            except RpcError as error:
                assert error.code == "NOAUTH", (method, error)
        assert c.call("AUTH", "pw") == "OK" and c.refused("NOSUCH").code == "ERR" and c.refused("SEND").code == "ERR"


def test_pipelined_commands_wait_for_the_login():
    with Broker("--password", "pw") as broker:
        c = broker.text()
        for words in (("AUTH", "pw"), ("SEND", "t", "x"), ("PING",)):
            c.send(*words)
        assert [c.read() for _ in range(3)] == ["OK", b"t:0:0", "PONG"]
        rpc = Rpc(broker.port)
        first, second = rpc.begin("auth", {"pass": "pw"}), rpc.begin("ping", {})
        assert rpc.wait(first) == "OK" and rpc.wait(second) == "PONG"
        rpc = Rpc(broker.port)
        for method, params, code in (("ping", {}, "NOAUTH"), ("auth", {"user": "x", "pass": "y"}, "WRONGPASS")):
            try:
                rpc.call(method, **params)
                raise AssertionError(method)
            except RpcError as error:
                assert error.code == code


def test_who_is_nobody_may_send_little():
    with Broker("--password", "pw") as broker:
        c = broker.text()
        c.send("ECHO", "x" * 100000)
        assert c.read_value().code == "TOOBIG"
        assert c.call("AUTH", "pw") == "OK"
        assert c.call("ECHO", "x" * 100000) == b"x" * 100000


def test_secrets_are_never_printed():
    environment = dict(os.environ, HALFMQ_PASSWORD="s3cret-word")
    shown = subprocess.run([HALFMQD, "--print-config"], env=environment, capture_output=True, text=True, check=True).stdout
    assert "password = (set)" in shown and "s3cret" not in shown
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(shown)
        f.flush()
        assert subprocess.run([HALFMQD, f.name, "--check-config"], capture_output=True, check=False).returncode == 0
    bad = subprocess.run([HALFMQD, "--check-config", "--password", "s3cret\nword"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and "s3cret" not in bad.stderr
    with Broker("--password", "s3cret-word", "--log_level", "debug") as broker:
        c = broker.text()
        assert c.call("AUTH", "s3cret-word") == "OK"
        assert c.call("CONFIG", "GET", "password") == [b"password", b"(set)"]
        assert c.refused("CONFIG", "SET", "password", "s3cret-other").code == "ERR"
        assert c.call("ACL", "SETUSER", "ann", "on", ">s3cret-third") == "OK"
        assert c.refused("AUTH", "ann", "s3cret-fourth").code == "WRONGPASS"
        for words in (("INFO",), ("ACL", "LIST"), ("ACL", "LOG"), ("CLIENT", "LIST"), ("ACL", "GETUSER", "ann")):
            assert b"s3cret" not in repr(c.call(*words)).encode()
        assert b"s3cret" not in broker.read_log()


def test_a_password_file_and_what_is_refused():
    with Broker(started=False) as broker:
        path = write(broker, "password", "from a file\n")
        broker.flags = ["--password_file", path]
        broker.start()
        c = broker.text()
        assert c.call("AUTH", "from a file") == "OK"
        assert c.call("CONFIG", "GET", "password") == [b"password", b"(set)"]
        assert c.call("CONFIG", "GET", "password_file") == [b"password_file", path.encode()]
        shown = subprocess.run([HALFMQD, "--print-config", *broker.flags], capture_output=True, text=True, check=True).stdout
        assert "# password = (set)" in shown, shown
        broker.stop()
        for flags, says in ((["--password_file", path, "--password", "x"], "both set"),
                            (["--password_file", "/nonexistent"], "/nonexistent"),
                            (["--password_file", write(broker, "empty", "\n")], "empty"),
                            (["--jwt_keys", path], "no public key"), (["--jwt_secret_file", "/nonexistent"], "jwt_secret_file")):
            done = subprocess.run([HALFMQD, "--port", "0", "--http_port", "0", "--data", broker.data, *flags],
                                  capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 1 and says in done.stderr, done.stderr
        broker.start()


def test_the_setting_opens_a_broker_that_locks_everybody_out():
    with Broker() as broker:
        c = broker.text()
        assert c.call("ACL", "SETUSER", "default", "nocommands", "+ping", "off") == "OK"
        eventually(lambda: broker.text().refused("PING").text == NOBODY, "default is off")
        broker.stop()
        broker.flags = [*broker.flags, "--password", "open"]
        broker.start()
        c = broker.text()
        assert c.call("AUTH", "open") == "OK"
        assert c.call("ACL", "SETUSER", "admin", "on", ">a", "allcommands") == "OK"
        assert c.call("ACL", "SETUSER", "default", "nocommands", "+ping") == "OK"
        broker.stop()
        broker.start()  # somebody else may administer: the rules of default stay
        c = broker.text()
        assert c.call("AUTH", "open") == "OK" and c.refused("SEND", "t", "x").code == "NOPERM"


# ---- who guesses ----

def test_an_address_that_guesses_is_held_back_alone():
    with Broker("--password", "pw") as broker:
        bad, opened = text_from(broker, "127.0.0.2"), text_from(broker, "127.0.0.2")
        assert opened.call("AUTH", "pw") == "OK"
        for _ in range(9):
            assert bad.refused("AUTH", "guess").text == WRONG
        bad.send("AUTH", "guess")  # the tenth, and the right one behind it
        bad.send("AUTH", "pw")
        for _ in range(5):  # nobody else notices
            good = broker.text()
            assert good.call("AUTH", "pw") == "OK" and good.call("PING") == "PONG"
            good.close()
            assert opened.call("PING") == "PONG"
        assert not select.select([bad.socket], [], [], 0)[0]
        assert bad.read_value().code == "WRONGPASS" and bad.read() == "OK"


def test_wrong_passwords_from_many_do_not_hold_up_others():
    with Broker("--password", "pw") as broker:
        opened = broker.text()
        assert opened.call("AUTH", "pw") == "OK"
        many = [text_from(broker, "127.0.0.3") for _ in range(200)]
        for c in many:
            c.send("AUTH", "guess")
        for i in range(500):
            assert opened.call("SEND", "t", "x").startswith(b"t:")
        busy = 0
        for c in many:
            if select.select([c.socket], [], [], 0)[0]:
                code = c.read_value().code
                assert code in ("WRONGPASS", "BUSY"), code
                busy += code == "BUSY"
        assert busy > 0  # more than the queue has room for
        for c in many:
            c.close()
        assert opened.call("PING") == "PONG"


# ---- tokens ----

def test_tokens():
    with Broker(started=False) as broker:
        broker.flags = ["--jwt_secret_file", write(broker, "secret", JWT_SECRET.decode() + "\n"), "--jwt_issuer", "id",
                        "--jwt_audience", "mq", "--password", "pw"]
        broker.start()
        admin, c = broker.text(), broker.text()
        assert admin.call("AUTH", "pw") == "OK"
        assert admin.call("ACL", "SETUSER", "ann", "on", "allcommands", "alltopics", "allgroups") == "OK"
        assert admin.call("ACL", "SETUSER", "off", "allcommands") == "OK"
        good = {"sub": "ann", "iss": "id", "aud": ["x", "mq"], "exp": soon(), "nbf": 1}
        assert c.call("AUTH", token_of(hs256, **good)) == "OK" and c.call("ACL", "WHOAMI") == b"ann"
        assert c.call("AUTH", "whoever", token_of(hs256, **good)) == "OK"
        assert c.call("HELLO", "3", "AUTH", "x", token_of(hs256, **good))["proto"] == 3
        for change in ({"sub": "nobody"}, {"sub": "off"}, {"iss": "other"}, {"aud": "other"}, {"exp": 1}, {"nbf": soon()}):
            assert text_from(broker, "127.0.0.%d" % (10 + len(str(change)))).refused(
                "AUTH", token_of(hs256, **{**good, **change})).text == WRONG, change
        forged = text_from(broker, "127.0.0.9")
        assert forged.refused("AUTH", token_of(lambda d: b"", alg="none", **good)).text == WRONG
        assert forged.refused("AUTH", token_of(lambda d: hmac.new(b"x", d, hashlib.sha256).digest(), **good)).text == WRONG
        assert get(broker, Authorization="Bearer " + token_of(hs256, **good)).status == 200


def test_a_token_ends():
    with Broker(started=False) as broker:
        broker.flags = ["--jwt_secret_file", write(broker, "secret", JWT_SECRET.decode())]
        broker.start()
        admin = broker.text()
        assert admin.call("ACL", "SETUSER", "ann", "on", "allcommands", "alltopics", "allgroups") == "OK"
        waits, listens, rpc = broker.text(), broker.text(), Rpc(broker.port)
        token = token_of(hs256, sub="ann", exp=time.time() + 2)
        assert waits.call("AUTH", token) == "OK" and listens.call("AUTH", token) == "OK"
        rpc.call("auth", **{"pass": token})
        assert listens.call("SUBSCRIBE", "topic:t") == [b"subscribe", b"topic:t", 1]
        admin.call("TOPIC", "CREATE", "s")
        streams = [rpc.call("stream_queue", topic="s", queue=0, offset=0, credit=1000),
                   rpc.call("stream_group", topic=["s"], group="g", credit=10)]
        assert rpc.call("subscribe", channel=["topic:s"]) == 1
        assert waits.call("POP", "g", "t", "WAIT", "5m") == []
        assert waits.refused("PING").text == "NOAUTH token expired"
        assert listens.read() == [b"unsubscribe", b"topic:t", 0]  # a client that only listens must learn of it
        assert listens.refused("SEND", "t", "x").text == "NOAUTH token expired"
        while len(rpc.notes) < 3:
            rpc.receive()
        assert ("unsubscribe", [{"channel": "topic:s"}]) in rpc.notes, rpc.notes
        ended = [note[1][0] for note in rpc.notes if note[0] == "stream_end"]
        assert sorted(e["stream"] for e in ended) == sorted(streams), rpc.notes
        assert all(e["error"] == ["NOAUTH", "token expired"] for e in ended), ended
        assert admin.call("SEND", "t", "x").startswith(b"t:")
        assert waits.call("AUTH", token_of(hs256, sub="ann", exp=soon())) == "OK" and waits.call("PING") == "PONG"
        assert listens.call("RESET") == "RESET" and listens.call("PING") == "PONG"  # no copy of the message came


def test_keys_are_read_again():
    with Broker(started=False) as broker:
        keys = []
        for n in (1, 2):
            path = os.path.join(broker.folder, f"{n}.pem")
            subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
            keys.append((path, subprocess.run(["openssl", "rsa", "-in", path, "-pubout"], check=True, capture_output=True,
                                              text=True).stdout))

        def rs256(n):
            return lambda data: subprocess.run(["openssl", "dgst", "-sha256", "-sign", keys[n][0]], input=data, check=True,
                                               capture_output=True).stdout

        path = write(broker, "keys", keys[0][1])
        broker.flags = ["--jwt_keys", path]
        broker.start()
        c = broker.text()
        assert c.call("ACL", "SETUSER", "ann", "on", "+@connection") == "OK"
        tokens = [token_of(rs256(n), alg="RS256", sub="ann", exp=soon()) for n in (0, 1)]
        assert c.call("AUTH", tokens[0]) == "OK" and c.refused("AUTH", tokens[1]).text == WRONG
        write(broker, "keys", "nothing")
        broker.process.send_signal(signal.SIGHUP)
        eventually(lambda: b"the old ones stay" in broker.read_log(), "a file without keys is refused")
        assert c.call("AUTH", tokens[0]) == "OK"
        write(broker, "keys", keys[1][1])
        broker.process.send_signal(signal.SIGHUP)
        eventually(lambda: isinstance(c.call_value("AUTH", tokens[0]), Refused), "the other key counts")
        assert c.call("AUTH", tokens[1]) == "OK"
        hmac_with_key = token_of(lambda d: hmac.new(keys[1][1].encode(), d, hashlib.sha256).digest(), sub="ann", exp=soon())
        assert c.refused("AUTH", hmac_with_key).text == WRONG


# ---- HTTP ----

def test_http():
    with Broker("--password", "pw") as broker:
        c = broker.text()
        assert c.call("AUTH", "pw") == "OK"
        assert c.call("ACL", "SETUSER", "ann", "on", ">secret", "+@produce") == "OK"
        assert c.call("ACL", "SETUSER", "mon", "on", ">secret", "+info") == "OK"
        r = get(broker)
        asked = [value.split(" ")[0] for name, value in r.getheaders() if name == "WWW-Authenticate"]
        assert r.status == 401 and asked == ["Basic", "Bearer"], asked
        for headers, status in ((basic("default", "pw"), 200), (basic("default", "no"), 401), (basic("nobody", "pw"), 401),
                                (basic("ann", "secret"), 403), (basic("mon", "secret"), 200), (basic("mon", "secret"), 200),
                                ({"Authorization": "Basic %%%"}, 401), ({"Authorization": "Digest x"}, 401),
                                ({"Authorization": "Bearer x"}, 401)):
            assert get(broker, **headers).status == status, headers
        assert get(broker, "/healthz").status == 200 and get(broker, "/readyz").status == 200


def test_http_clients_that_do_not_wait_have_an_address():
    """A client that has reset its connection when its password is looked at is counted against its address, and logged with it."""
    with Broker("--password", "pw") as broker:
        os.kill(broker.process.pid, signal.SIGSTOP)
        c = socket.create_connection(("127.0.0.1", broker.http_port), timeout=30)
        c.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('default', 'no')['Authorization']}\r\n\r\n".encode())
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
        os.kill(broker.process.pid, signal.SIGCONT)
        eventually(lambda: b"login failed" in broker.read_log(), "the failure is logged")
        assert b"user=default addr=127.0.0.1 by=http" in broker.read_log(), broker.read_log()


# ---- what is logged ----

def test_audit_lines_and_acl_log():
    with Broker() as broker:
        c = redis.Redis(port=broker.port, decode_responses=True)
        c.execute_command("ACL", "SETUSER", "ann", "on", ">secret", "+send", "~a", "+@connection")
        ann = broker.text()
        for _ in range(3):
            assert ann.refused("AUTH", "ann", "wrong").code == "WRONGPASS"
        assert ann.call("AUTH", "ann", "secret") == "OK"
        assert ann.refused("SEND", "b", "x").text == "NOPERM user ann may not access topic b"
        assert ann.refused("POP", "g", "a").text == "NOPERM user ann may not use POP"
        log = c.acl_log()
        assert [(e["reason"], e["object"], e["username"], int(e["count"])) for e in log] == [
            ("command", "pop", "ann", 1), ("topic", "b", "ann", 1), ("auth", "AUTH", "ann", 3)], log
        assert log[0]["client-info"]["addr"] == "127.0.0.1" and float(log[0]["age-seconds"]) >= 0
        assert len(c.acl_log(1)) == 1
        assert c.acl_log_reset() and c.acl_log() == []
        c.execute_command("TOPIC", "CREATE", "made")
        c.execute_command("CLIENT", "LIST")
        broker.text().call_value("CLIENT", "KILL", "ID", "987654")
        lines = [line for line in broker.read_log().decode().split("\n") if "audit=1" in line]
        assert sum("login failed" in line and "user=ann addr=127.0.0.1" in line for line in lines) == 3
        assert any('command="TOPIC CREATE" object=made' in line and "user=default" in line for line in lines)
        assert any('command="ACL SETUSER" object=ann' in line for line in lines)
        assert any('command="CLIENT LIST" object=""' in line for line in lines), lines
        assert any('command="CLIENT KILL" object=ID' in line for line in lines), lines
        assert "secret" not in "".join(lines)
        made = [admin.call("ACL", "GENPASS", *bits) for admin in [broker.text()] for bits in ((), (), (5,), (4096,))]
        assert [len(m) for m in made] == [64, 64, 2, 1024] and made[0] != made[1]
        for bits in ("0", "4097", "x"):
            assert broker.text().refused("ACL", "GENPASS", bits).code == "ERR"


# ---- other doors ----

def other_address():
    """An address of this machine that is not loopback; None: it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            return None


def test_protected_mode():
    address = other_address()
    if not address or address.startswith("127."):
        print("skipped: this machine has only loopback addresses")
        return
    with Broker("--bind", "*") as broker:
        def far():
            text = Text.__new__(Text)
            text.socket = socket.create_connection((address, broker.port), timeout=30)
            text.file = text.socket.makefile("rb")
            return text
        said = closes(far())
        assert said.startswith(b"-DENIED ") and b"password" in said
        c = http.client.HTTPConnection(address, broker.http_port, timeout=30)
        c.request("GET", "/metrics")
        assert c.getresponse().status == 403
        near = broker.text()
        assert near.call("ACL", "LOG")[0][3] == b"protected"
        assert near.call("CONFIG", "SET", "protected_mode", "no") == "OK" and far().call("PING") == "PONG"
        assert near.call("CONFIG", "SET", "protected_mode", "yes") == "OK"
        assert near.call("ACL", "SETUSER", "default", ">pw") == "OK"
        c = far()
        assert c.refused("PING").text == NOBODY and c.call("AUTH", "pw") == "OK"


def test_connections_of_one_address():
    with Broker("--max_connections_per_address", "3") as broker:
        mine = [text_from(broker, "127.0.0.5") for _ in range(3)]
        assert all(c.call("PING") == "PONG" for c in mine)
        assert closes(text_from(broker, "127.0.0.5")).startswith(b"-LIMIT ")
        assert broker.text().call("PING") == "PONG"
        mine[0].close()

        def again():
            c = text_from(broker, "127.0.0.5")
            c.send("PING")
            return c.file.readline() == b"+PONG\r\n"
        eventually(again, "a place is free")


def test_idle_clients():
    with Broker("--idle_timeout", "300ms") as broker:
        waits, listens, idle = broker.text(), broker.text(), broker.text()
        assert listens.call("SUBSCRIBE", "topic:t") == [b"subscribe", b"topic:t", 1]
        assert waits.call("SEND", "u", "x").startswith(b"u:") and waits.call("POP", "g", "u") != []
        waits.send("POP", "g", "u", "WAIT", "5m")
        half = broker.text()
        half.send_raw(b"*2\r\n$4\r\nECHO\r\n")
        assert closes(idle) == b"" and closes(half) == b""
        c = broker.text()
        assert c.call("SEND", "u", "y").startswith(b"u:") and c.call("SEND", "t", "z").startswith(b"t:")
        assert waits.read()[0][1] == b"y" and listens.read()[2] == b"z"


def test_json_gets_a_sentence():
    with Broker() as broker:
        for first in (b'{"topic":"t"}', b'["SEND","t","x"]'):
            c = broker.text()
            c.send_raw(first)
            assert b"JSON" in closes(c)


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
