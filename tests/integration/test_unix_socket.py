"""test_unix_socket.py: tests the setting unix_socket: clients on it, its mode, what is left over, and what is not free."""
import os
import socket
import stat
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import BIN, HALFMQD, Broker, run_tests  # noqa: E402


def talk(path, request):
    """Sends inline commands, the last of which is QUIT, and returns all replies."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(request)
        reply = b""
        while block := client.recv(65536):
            reply += block
    return reply


def refused(broker, path):
    """What another broker says that is to listen on the path."""
    run = subprocess.run([HALFMQD, "--port", "0", "--http_port", "0", "--data", broker.data + "2", "--unix_socket", path],
                         capture_output=True, timeout=60)
    assert run.returncode != 0, run
    return run.stderr.decode()


def test_clients_on_it():
    broker = Broker(started=False)
    path = os.path.join(broker.folder, "mq.sock")
    broker.flags = ("--unix_socket", path)
    broker.start()
    assert f"unix={path} " in broker.read_log().decode()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o770
    assert talk(path, b"SEND t hello\r\nREAD t 0 0\r\nQUIT\r\n").startswith(b"$5\r\nt:0:0\r\n*1\r\n")
    assert broker.text().call("GET", "t:0:0")[1] == b"hello"
    assert b" addr=unix " in talk(path, b"CLIENT LIST\r\nQUIT\r\n")
    assert broker.stop() == 0
    assert not os.path.exists(path)


def test_the_command_line_client():
    broker = Broker(started=False)
    path = os.path.join(broker.folder, "mq.sock")
    broker.flags = ("--unix_socket", path)
    broker.start()
    run = subprocess.run([os.path.join(BIN, "halfmq"), "--host", "unix:" + path, "ping"], capture_output=True, timeout=60)
    assert (run.returncode, run.stdout.strip()) == (0, b"PONG"), run
    broker.stop()


def test_what_a_killed_broker_left_is_replaced():
    broker = Broker(started=False)
    path = os.path.join(broker.folder, "mq.sock")
    broker.flags = ("--unix_socket", path)
    broker.start()
    broker.kill()
    assert os.path.exists(path)
    broker.start()
    assert talk(path, b"PING\r\nQUIT\r\n") == b"+PONG\r\n+OK\r\n"
    broker.stop()


def test_what_is_not_free():
    broker = Broker(started=False)
    path = os.path.join(broker.folder, "mq.sock")
    broker.flags = ("--unix_socket", path)
    broker.start()
    assert "another program listens on it: choose another --unix_socket" in refused(broker, path)
    assert talk(path, b"PING\r\nQUIT\r\n") == b"+PONG\r\n+OK\r\n"
    file = os.path.join(broker.folder, "file")
    with open(file, "w") as out:
        out.write("kept")
    assert "there is a file of that name" in refused(broker, file)
    assert open(file).read() == "kept"
    assert "No such file or directory" in refused(broker, os.path.join(broker.folder, "absent", "mq.sock"))
    broker.stop()


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
