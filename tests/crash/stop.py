#!/usr/bin/python3
"""stop.py: SIGTERM ends the broker with status 0, whatever clients, webhooks and the disk do.

Nothing here measures how long it takes: the stop must come to its end before the test's own long deadline.
"""
import os
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


def test_a_disk_that_does_not_answer():
    with tempfile.TemporaryDirectory(prefix="halfmq-test-") as folder:
        library, hang = os.path.join(folder, "hang.so"), os.path.join(folder, "hang")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library,
                        os.path.join(HERE, "hang.c"), "-ldl"], check=True)
        asan = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0"]))
        # This stop cannot wait for its threads, which the thread sanitizer would count as leaks.
        tsan = ":".join(filter(None, [os.environ.get("TSAN_OPTIONS", ""), "report_thread_leaks=0"]))
        environment = {"LD_PRELOAD": library, "HANG": hang, "HANG_SEEN": hang + "-seen", "ASAN_OPTIONS": asan,
                       "TSAN_OPTIONS": tsan}
        with Broker(*FLAGS, environment=environment) as broker:
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


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
