"""test_tls_http.py: HTTPS on the HTTP port: pages, plain clients, hostile ones, and the settings."""
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import ANSWER_SECONDS, Broker, eventually, run_tests  # noqa: E402
from certs import Authority  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="halfmq-tls-")
CA = Authority(FOLDER.name)
SERVER = CA.issue("server", dns=["localhost"])
FLAGS = ("--tls_cert", SERVER.cert, "--tls_key", SERVER.key)


def plain(broker):
    return socket.create_connection(("127.0.0.1", broker.http_port), timeout=ANSWER_SECONDS)


def read_all(client):
    data = b""
    while block := client.recv(65536):
        data += block
    return data


def get(broker, path, context=None):
    client = (context or CA.client()).wrap_socket(plain(broker), server_hostname="localhost")
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return read_all(client)


def test_pages():
    with Broker(*FLAGS) as broker:
        assert get(broker, "/healthz").startswith(b"HTTP/1.1 200 OK")
        assert b"\nhalfmq_tls_certificate_expiry_timestamp_seconds " in get(broker, "/metrics")
        assert get(broker, "/nowhere").startswith(b"HTTP/1.1 404 ")
        curl = subprocess.run(["curl", "-sS", "--cacert", CA.cert, f"https://localhost:{broker.http_port}/readyz"],
                              capture_output=True, timeout=60, check=False)
        assert curl.stdout == b"ok\n", curl


def test_a_request_together_with_the_end_of_the_handshake():
    with Broker(*FLAGS) as broker:
        client = plain(broker)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = CA.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sendall(outgoing.read())
                incoming.write(client.recv(65536))
        tls.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.settimeout(5)
        client.sendall(outgoing.read())  # in one piece
        incoming.write(read_all(client))
        answer = b""
        try:
            while block := tls.read(65536):
                answer += block
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        assert answer.endswith(b"\r\n\r\nok\n"), answer


def test_plain_requests_get_400():
    with Broker(*FLAGS) as broker:
        for request in ("GET /metrics", "HEAD /", "OPTIONS /", "PATCH /x", "DELETE /x", "CONNECT x:1", "nothing at all"):
            client = plain(broker)
            client.sendall(f"{request} HTTP/1.1\r\nHost: localhost\r\n{'X: y' * 1000}\r\n\r\n".encode())
            answer = read_all(client)
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), (request, answer)
            assert answer.endswith(b"\r\n\r\nthis port speaks TLS only: use https://\r\n"), answer
            assert answer.count(b"HTTP/1.1") == 1
        curl = subprocess.run(["curl", "-sS", "-w", "%{http_code}", f"http://localhost:{broker.http_port}/metrics"],
                              capture_output=True, timeout=60, check=False)
        assert curl.stdout.endswith(b"400"), curl


def test_settings():
    with Broker(*FLAGS, "--http_tls", "no") as broker:
        client = plain(broker)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"\r\n\r\nok\n" in read_all(client)
        text = broker.text()
        early = plain(broker)  # is a plain one, but asks when there is TLS
        eventually(lambda: b"ok\n" in ask_plain(broker), "it was accepted")
        assert text.call("CONFIG", "SET", "http_tls", "yes") == "OK"
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_all(early).startswith(b"HTTP/1.1 400 ")
        assert get(broker, "/healthz").startswith(b"HTTP/1.1 200 ")
    with Broker() as broker:
        assert b"ok\n" in ask_plain(broker)
        text = broker.text()
        assert text.call("CONFIG", "SET", "tls_cert", SERVER.cert, "tls_key", SERVER.key) == "OK"
        assert get(broker, "/healthz").startswith(b"HTTP/1.1 200 ")
        assert ask_plain(broker).startswith(b"HTTP/1.1 400 ")


def ask_plain(broker):
    client = plain(broker)
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return read_all(client)


def test_a_client_certificate_is_asked_for_here_too():
    own = CA.issue("own")
    with Broker(*FLAGS, "--tls_client_auth", "required", "--tls_ca", CA.cert) as broker:
        assert get(broker, "/healthz", CA.client(own)).startswith(b"HTTP/1.1 200 ")
        try:
            answer = get(broker, "/healthz")
        except (ssl.SSLError, ConnectionError):
            answer = b""
        assert answer == b""


def test_half_handshakes_are_closed():
    with Broker(*FLAGS) as broker:
        begun = time.monotonic()
        silent, half, garbage = plain(broker), plain(broker), plain(broker)
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        garbage.sendall(b"\x16\x03\x01\x00\x05aaaaa" * 10)
        tls = CA.client().wrap_socket(plain(broker), server_hostname="localhost")
        after = socket.socket(fileno=os.dup(tls.fileno()))
        after.settimeout(ANSWER_SECONDS)
        after.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for client in (garbage, after, silent, half):
            try:
                read_all(client)
            except ConnectionError:
                pass
        assert time.monotonic() - begun < 30
        assert get(broker, "/healthz").startswith(b"HTTP/1.1 200 ")


def test_new_certificates():
    second = CA.issue("second", dns=["localhost"])
    with Broker(*FLAGS) as broker:
        assert broker.text().call("CONFIG", "SET", "tls_cert", second.cert, "tls_key", second.key) == "OK"
        client = CA.client().wrap_socket(plain(broker), server_hostname="localhost")
        assert client.getpeercert()["subject"][0][0][1] == "second"


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
