#!/usr/bin/python3
"""stop.py: SIGTERM ends the broker with status 0, whatever clients, webhooks and the disk do.

Nothing here measures how long it takes: the stop must come to its end before the test's own long deadline.
"""
import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

from broker import Broker, encode, eventually, run_tests  # noqa: E402 (the path comes first)

STOP_SECONDS = 60
FLAGS = ("--drain_timeout", "100ms")


def stops(broker):
    broker.process.terminate()
    status = broker.process.wait(STOP_SECONDS)
    assert status == 0, status
    return broker.read_log().splitlines()[-1]


def stops_well(broker):
    last = stops(broker)
    assert b'msg="stopped"' in last, last


def send_without_waiting(client, data):
    """Sends until the kernel takes no more."""
    client.socket.setblocking(False)
    try:
        while data:
            data = data[client.socket.send(data):]
    except BlockingIOError:
        pass


def test_clients_that_do_not_read():
    with Broker(*FLAGS) as broker:
        c = broker.text()
        for _ in range(20):
            c.call("SEND", "t", b"x" * 500_000, "QUEUE", "0")
        clients = [broker.text() for _ in range(10)]
        for client in clients:
            client.send_raw(encode("READ", "t", 0, 0, "COUNT", 1000) * 100)
        clients[0].read()
        stops_well(broker)


def test_clients_that_wait_and_write():
    with Broker(*FLAGS) as broker:
        broker.text().call("TOPIC", "CREATE", "t")
        clients = [broker.text() for _ in range(90)]
        for client in clients[:30]:
            client.send_raw(encode("POP", "g", "t", "WAIT", "1h"))
        for client in clients[30:60]:
            client.call("SUBSCRIBE", "topic:t")
        for client in clients[60:]:
            send_without_waiting(client, encode("SEND", "t", b"x" * 60_000) * 50 + encode("SEND", "t", "x")[:-3])
        stops_well(broker)


def test_webhooks_that_hang():
    with Broker(*FLAGS) as broker, socket.create_server(("127.0.0.1", 0)) as listener:
        c = broker.text()
        for i, host in enumerate((f"127.0.0.1:{listener.getsockname()[1]}", "no-such-host.example.org")):
            c.call("PGROUP", "SET", f"g{i}", "CHECKURL", f"http://{host}/")
            c.call("HALF", f"g{i}", "t", "x", "CHECKIN", "1ms")
        with listener.accept()[0]:
            stops_well(broker)


def test_http_connections():
    with Broker(*FLAGS) as broker:
        unfinished = [socket.create_connection(("127.0.0.1", broker.http_port)) for _ in range(20)]
        for s in unfinished[:10]:
            s.sendall(b"GET /metrics HT")
        for s in unfinished[10:]:
            s.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        stops_well(broker)


@contextlib.contextmanager
def a_disk_that_hangs(**more):
    """Gives the environment of a broker whose disk hangs while a file exists, and the path of that file."""
    with tempfile.TemporaryDirectory(prefix="halfmq-test-") as folder:
        library, hang = os.path.join(folder, "hang.so"), os.path.join(folder, "hang")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library,
                        os.path.join(HERE, "hang.c"), "-ldl"], check=True)
        asan = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0"]))
        # This stop cannot wait for its threads, which the thread sanitizer would count as leaks.
        tsan = ":".join(filter(None, [os.environ.get("TSAN_OPTIONS", ""), "report_thread_leaks=0"]))
        yield dict({"LD_PRELOAD": library, "HANG": hang, "HANG_SEEN": hang + "-seen", "ASAN_OPTIONS": asan,
                    "TSAN_OPTIONS": tsan}, **more), hang


def test_a_disk_that_does_not_answer():
    with a_disk_that_hangs() as (environment, hang), Broker(*FLAGS, environment=environment) as broker:
        c = broker.text()
        c.call("SEND", "t", "acknowledged", "QUEUE", "0")
        with open(hang, "w", encoding="ascii"):
            c.send("SEND", "t", "not acknowledged", "QUEUE", "0")
        eventually(lambda: os.path.exists(hang + "-seen"), "the broker syncs")
        last = stops(broker)
        assert b"takes too long" in last, last
        os.unlink(hang)
        broker.start()
        assert broker.text().call("GET", "t:0:0")[1] == b"acknowledged"


def page(port, path):
    """Returns the status and the text of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STOP_SECONDS)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def starts_to_replay(broker, hang):
    """Launches the broker, whose disk hangs while it replays its log. Returns its HTTP port."""
    with open(hang, "w", encoding="ascii"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(hang + "-seen")
        broker.launch()
    eventually(lambda: os.path.exists(hang + "-seen"), "the broker replays its log")
    return int(re.search(rb'msg="starting" http=127\.0\.0\.1:(\d+)', broker.read_log(broker.seen)).group(1))


def test_a_start_that_takes_long():
    """While the log is replayed, HTTP is served, clients are refused, and SIGTERM stops the broker."""
    with a_disk_that_hangs(HANG_IN="/wal/") as (environment, hang), \
            Broker("--drain_timeout", "50s", environment=environment) as broker:
        broker.text().call("SEND", "t", "acknowledged", "QUEUE", "0")
        broker.kill()
        port = starts_to_replay(broker, hang)
        assert page(port, "/healthz") == (200, b"ok\n")
        status, text = page(port, "/readyz")
        assert status == 503 and re.fullmatch(rb"starting: \d+ of \d+ MiB of the log are replayed\n", text), text
        assert page(port, "/metrics")[0] == 503
        broker.process.terminate()
        eventually(lambda: page(port, "/readyz") == (503, b"stopping\n"), "the broker stops")
        os.unlink(hang)
        assert broker.process.wait(STOP_SECONDS) == 0
        assert b'msg="stopped"' in broker.read_log().splitlines()[-1]
        broker.start()
        broker.text().call("SEND", "t", "acknowledged as well", "QUEUE", "0")
        broker.kill()
        broker.flags = FLAGS  # from here on a stop that takes long ends by its own deadline; before, none does
        starts_to_replay(broker, hang)
        last = stops(broker)  # the disk goes on hanging
        assert b"takes too long" in last, last
        os.unlink(hang)
        broker.start()
        assert broker.text().call("GET", "t:0:0")[1] == b"acknowledged"
        assert broker.text().call("GET", "t:0:1")[1] == b"acknowledged as well"


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
