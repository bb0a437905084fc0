#!/usr/bin/python3
"""test_malformed.py: sends malformed, truncated, oversized and byte-by-byte input in each dialect.

After each case a connection that was opened before all of them must still work. At the end the broker must have
freed all memory that the cases took.
"""
import os
import random
import socket
import struct
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

import msgpack  # noqa: E402 (the path comes first)
from broker import (ANSWER_SECONDS, Broker, Refused, Text, encode, eventually,  # noqa: E402
                    run_tests)

MIB = 1024 * 1024

broker = None
witness = None


def raw():
    s = socket.create_connection(("127.0.0.1", broker.port), timeout=ANSWER_SECONDS)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_to_end(s):
    data = b""
    while True:
        try:
            more = s.recv(65536)
        except ConnectionResetError:  # the broker closed the connection without reading all bytes
            return data
        if not more:
            return data
        data += more


def others_are_well():
    assert witness.call("ECHO", "well") == b"well"


def answered_and_closed(data, starts):
    """Sends the bytes and returns the whole reply. The broker must then close the connection."""
    s = raw()
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    answer = read_to_end(s)
    assert answer.startswith(starts), f"{data[:60]!r} answered {answer[:200]!r}, not {starts!r}"
    s.close()
    others_are_well()
    return answer


PROTOCOL_ERROR = b"-ERR Protocol error: "


def test_malformed_resp():
    for data in (b"*x\r\n", b"*1x\r\n", b"*1\r\n+PING\r\n", b"*1\r\n:1\r\n", b"*1\r\n$x\r\n",
                 b"*1\r\n$-1\r\n", b"*1\r\n$4\r\nPINGxx", b"*99999999999999999999\r\n",
                 b"*1\r\n$99999999999999999999\r\n", b"*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\nx\r\n",
                 b'SEND t "unbalanced\r\n', b"SEND t 'unbalanced\n", b'ECHO "a"b\r\n'):
        answered_and_closed(data, PROTOCOL_ERROR)


def test_what_came_before_is_answered():
    answer = answered_and_closed(encode("PING") + encode("ECHO", "a") + b"*1\r\n!\r\n", b"+PONG\r\n")
    assert answer.startswith(b"+PONG\r\n$1\r\na\r\n" + PROTOCOL_ERROR), answer


def test_first_bytes_that_are_kept_free():
    for first in (0x00, 0x01, 0x07, 0x1b, 0x7f, 0x80, 0x8f, 0xa0, 0xc1, 0xff):
        answer = answered_and_closed(bytes([first]) + b"rest\r\n", b"-")
        assert len(answer) > 10, answer
    answered_and_closed(b"\x16\x03\x01\x00\x05hello", b"")  # TLS is not available yet


def test_http_closes():
    """A web page can make a browser POST to this port: no line of the body may be run."""
    witness.call("SEND", "web", "kept")
    body = b"TOPIC DELETE web\r\nSHUTDOWN\r\n"
    for line in (b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n", b"HEAD /x HTTP/1.1\r\n", b"PUT /\"x HTTP/1.1\r\n",
                 b"OPTIONS * HTTP/1.1\r\n", b"DELETE / HTTP/1.1\r\n", b"PATCH / HTTP/1.1\r\n", b"host: x\r\n",
                 b"post / HTTP/1.1\n"):
        answer = answered_and_closed(line + b"Host: x\r\nContent-Length: 40\r\n\r\n" + body, PROTOCOL_ERROR)
        assert b"http_port" in answer and answer.count(b"\n") == 1, answer
    answer = answered_and_closed(b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n" + body, b"-ERR unknown")
    assert b"http_port" in answer and answer.count(b"\n") == 2, answer
    assert witness.call("GET", "web:0:0") is not None


def test_get_is_a_command_too():
    s = raw()
    s.sendall(b"SEND web2 HTTP/1.1 QUEUE 0\r\nGET web2:0:0\r\n")
    assert s.recv(100).startswith(b"$8\r\nweb2:0:0\r\n")
    s.close()


def test_blank_input_is_ignored():
    s = raw()
    s.sendall(b"\r\n\n*0\r\n  \r\nPING\r\n")
    assert s.recv(100) == b"+PONG\r\n"
    s.close()


def test_byte_by_byte():
    s = raw()
    data = (encode("ECHO", b"\x00\r\n$") + b'ECHO "a\\x41\\n"\r\n' + encode("SEND", "slow", "b", "QUEUE", 0)
            + b"PING\n")
    for i in range(len(data)):
        s.sendall(data[i:i + 1])
    expected = b"$4\r\n\x00\r\n$\r\n$3\r\naA\n\r\n$8\r\nslow:0:0\r\n+PONG\r\n"
    got = b""
    while len(got) < len(expected):
        more = s.recv(100)
        assert more, got
        got += more
    assert got == expected, got
    s.close()


def test_truncated():
    whole = encode("SEND", "cut", "body")
    for cut in range(1, len(whole)):
        s = raw()
        s.sendall(whole[:cut])
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == b"", "an unfinished request was answered"
        s.close()
    assert "cut" not in str(witness.call("TOPIC", "LIST"))
    others_are_well()


def test_oversized_is_refused_at_the_header():
    """The reply comes before any byte of the body was sent. The broker then skips the body."""
    c = Text(broker.port)
    c.send_raw(b"*3\r\n$4\r\nSEND\r\n$3\r\nbig\r\n$%d\r\n" % (200 * MIB))
    answer = c.read_value()
    assert isinstance(answer, Refused) and answer.code == "TOOBIG", answer
    block = bytes(MIB)
    for _ in range(200):
        c.send_raw(block)
    c.send_raw(b"\r\n")
    assert c.call("PING") == "PONG"
    c.close()
    answered_and_closed(b"*3\r\n$4\r\nSEND\r\n$3\r\nbig\r\n$600000000\r\n", PROTOCOL_ERROR)
    answered_and_closed(b"*100000000\r\n", PROTOCOL_ERROR)
    answered_and_closed(b"ECHO " + b"x" * 70000, PROTOCOL_ERROR)


def test_many_promises_cost_nothing():
    """200 connections each announce a body of 4 MB and do not send it. This must not take memory."""
    before = broker.resident_bytes()
    opened = []
    for _ in range(200):
        s = raw()
        s.sendall(b"*3\r\n$4\r\nSEND\r\n$3\r\nbig\r\n$4000000\r\nstart")
        opened.append(s)
    others_are_well()
    grown = broker.resident_bytes() - before
    for s in opened:
        s.close()
    assert grown < 64 * MIB, f"200 announcements grew the broker by {grown} bytes"


def test_malformed_rpc():
    for data in (b"\x90", b"\x91\x00", b"\x92\x00\x01", b"\x95\x00\x01\xa4ping\x90\x00",
                 msgpack.packb([7, 1, "ping", []]), msgpack.packb([0, "id", "ping", []]),
                 msgpack.packb([0, 1, 2, []]), msgpack.packb([0, 1, "ping", 5]),
                 msgpack.packb([0, 1, "ping", [1, 2, 3]]), b"\x94\x00\x01\xc1",
                 b"\x94\x00\x01\xdd\xff\xff\xff\xff", b"\x94\x00\x01\xa4ping\x91" + b"\x91" * 5000,
                 b"\x94\x00\x01\xa4send\xdb\xff\xff\xff\xff"):
        s = raw()
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = read_to_end(s)
        if answer:  # an error, in a form that any MessagePack-RPC client understands
            unpacker = msgpack.Unpacker(raw=False)
            unpacker.feed(answer)
            frame = unpacker.unpack()
            assert frame[0] == 1 and frame[2][0] == "ERR", f"{data[:40]!r} answered {frame!r}"
        s.close()
        others_are_well()


def test_rpc_byte_by_byte():
    s = raw()
    unpacker = msgpack.Unpacker(raw=False)
    for byte in msgpack.packb([0, 9, "echo", [{"text": b"x" * 300}]]):
        s.sendall(bytes([byte]))
    answer = None
    while answer is None:
        unpacker.feed(s.recv(1000))
        answer = next(iter(unpacker), None)
    assert answer[:3] == [1, 9, None] and len(answer[3]) == 300, answer
    s.close()


def test_rpc_truncated():
    whole = msgpack.packb([0, 1, "send", [{"topic": "cutrpc", "body": b"b"}]])
    for cut in range(1, len(whole)):
        s = raw()
        s.sendall(whole[:cut])
        s.shutdown(socket.SHUT_WR)
        read_to_end(s)
        s.close()
    assert "cutrpc" not in str(witness.call("TOPIC", "LIST"))
    others_are_well()


def test_garbage():
    """Sends random bytes, and valid requests with some bytes changed. The broker must only stay alive."""
    seed = int(os.environ.get("HALFMQ_SEED") or struct.unpack("<I", os.urandom(4))[0])
    print(f"seed {seed}")
    chance = random.Random(seed)
    good = [encode("SEND", "noise", "body", "KEY", "k"), encode("POP", "g", "noise", "COUNT", 3),
            b"LAG\r\nTOPIC LIST\r\n", msgpack.packb([0, 1, "send", [{"topic": "noise", "body": b"b"}]])]
    for _ in range(400):
        data = bytearray(chance.choice(good) * chance.randint(1, 4))
        if chance.random() < 0.3:
            data = bytearray(chance.randbytes(chance.randint(1, 400)))
        for _ in range(chance.randint(0, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        s = raw()
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        read_to_end(s)
        s.close()
    others_are_well()


def test_unread_answers_are_bounded():
    """A client that sends requests and never reads the replies must not fill the memory."""
    before = broker.resident_bytes()
    witness.call("SEND", "large", bytes(MIB), "QUEUE", 0)
    s = raw()
    s.setblocking(False)
    grown, requests = 0, encode("GET", "large:0:0") * 100
    for _ in range(500):
        try:
            s.send(requests)
        except BlockingIOError:
            pass  # the broker does not read any more: this is the limit
        others_are_well()
        grown = max(grown, broker.resident_bytes() - before)
    s.close()
    assert grown < 100 * MIB, f"answers of 1 MiB that nobody reads grew the broker by {grown} bytes"


def test_slow_subscriber_is_cut():
    """The broker does not keep copies for a subscriber that does not read: it closes the connection."""
    before = broker.resident_bytes()
    slow = Text(broker.port)
    slow.call("SUBSCRIBE", "topic:flood")
    body, grown = bytes(MIB // 2), 0
    for _ in range(150):
        witness.call("SEND", "flood", body, "QUEUE", 0)
        grown = max(grown, broker.resident_bytes() - before)
    read_to_end(slow.socket)  # reads what was on the way, until the connection is closed
    slow.close()
    # This figure includes the store's memory, which may grow to its part of the setting `memory`.
    assert grown < 256 * MIB, f"75 MiB for a slow subscriber grew the broker by {grown} bytes"
    others_are_well()


def test_large_commands_of_clients_that_left():
    """What they had in the journal when they closed does not count as its work for ever."""
    request = encode("MSEND", "left", *[b"x"] * 10000)
    for hard in [True, False] * 15:
        c = broker.text()
        c.send_raw(request)
        if hard:
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    assert len(broker.text().call("MSEND", "left", *[b"x"] * 10000)) == 10000


def test_no_connection_is_left():
    eventually(lambda: witness.call("CLIENT", "LIST").count(b"\n") <= 1, "all are gone but the witness")
    others_are_well()


def main():
    global broker, witness
    with Broker() as broker:
        witness = broker.text()
        return run_tests(sys.modules["__main__"])


if __name__ == "__main__":
    sys.exit(main())
