#!/usr/bin/python3
"""test_large_commands.py: commands of many megabytes, whose bytes the log gets in parts before they are applied.

A killed broker has each of them whole or not at all, others are served in between, and damage in a part is told.
"""
import glob
import os
import random
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from broker import HALFMQD, Broker, Refused, encode, eventually, pairs, run_tests  # noqa: E402
from records import batch  # noqa: E402

MB = 1 << 20
CHANCE = random.Random(int(os.environ.get("HALFMQ_SEED") or random.randrange(1 << 32)))


def bodies(n, size):
    return [CHANCE.randbytes(size) for _ in range(n)]


def msend(client, topic, sent):
    return client.call("MSEND", topic, *sent)


def produce(client, topic, sent):
    reply = client.call("PRODUCE", topic, batch(sent))
    place = dict(zip(reply[::2], reply[1::2]))
    return [b"%s:%d:%d" % (topic.encode(), place[b"queue"], place[b"offset"] + i) for i in range(len(sent))]


def exec_(client, topic, sent):
    client.send_raw(encode("MULTI") + b"".join(encode("SEND", topic, body) for body in sent) + encode("EXEC"))
    for _ in range(len(sent) + 1):
        client.read()
    return client.read()


def kinds():
    """Bodies with records of their own, small ones in common records, and what lies across two parts."""
    yield msend, bodies(7, 4 * MB)
    yield msend, bodies(3000, 3100)
    yield produce, bodies(400, 20000)
    yield exec_, bodies(100, 60000) + bodies(20, 100) + bodies(2, 700000)
    yield msend, bodies(60, 65536) + bodies(60, 65535) + bodies(500, 256) + bodies(500, 255)


def check(client, sent):
    for name, body in sent.items():
        got = client.call("GET", name)
        assert got and got[1] == body, (name, len(body), got and len(got[1]))


class Beside(threading.Thread):
    """Another client, whose messages come in between."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.client, self.sent, self.over = broker.text(), {}, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                body = b"beside %d" % len(self.sent)
                self.sent[self.client.call("SEND", "small", body)] = body
        except (EOFError, OSError):
            pass

    def stop(self):
        self.over.set()
        self.join()


def test_a_killed_broker_has_them():
    with Broker() as broker:
        client, sent = broker.text(timeout=120), {}
        beside = Beside(broker)
        for command, some in kinds():
            sent.update(zip(command(client, "large", some), some))
        beside.stop()
        broker.kill()
        broker.start()
        check(broker.text(), sent)
        check(broker.text(), beside.sent)
        broker.stop()
        broker.start()
        check(broker.text(), sent)


def test_a_killed_broker_has_halfs():
    """Those of one EXEC, which are rows before they are messages; one of them is committed in the same EXEC as others are made."""
    with Broker() as broker:
        for sizes in [3 * MB, 3 * MB, MB, 100, 5000], [60000] * 110, [7 * MB - 100, 3000]:
            sent, client = [CHANCE.randbytes(size) for size in sizes], broker.text(timeout=120)
            client.call("CONFIG", "SET", "max_message_bytes", "8MB")
            before = client.call("HALF", "p", "before", "first")
            client.send_raw(encode("MULTI") + b"".join(encode("HALF", "p", "large", body) for body in sent) +
                            encode("COMMIT", before) + encode("EXEC"))
            for _ in range(len(sent) + 2):
                client.read()
            *txids, committed = client.read()
            broker.kill()
            broker.start()
            client = broker.text(timeout=120)
            assert client.call("GET", committed[0])[1] == b"first"
            check(client, {client.call("COMMIT", txid)[0]: body for txid, body in zip(txids, sent)})
            broker.kill()
            broker.start()


def read_all(client):
    """All bodies of the topic, by queue."""
    out = []
    for queue in range(int(dict(zip(*[iter(client.call("TOPIC", "INFO", "large"))] * 2))[b"queues"])):
        offset = 0
        while True:
            got = client.call("READ", "large", queue, offset, "COUNT", 1000)
            if not got:
                break
            out += [message[1] for message in got]
            offset = int(got[-1][0].rsplit(b":", 1)[1]) + 1
    return out


def test_a_killed_broker_has_delayed_messages():
    """The log has each large body once: that of a delayed SEND in parts, and that of a HALF where the HALF put it."""
    with Broker() as broker:
        sent, client = bodies(2, 3 * MB + 500000), broker.text(timeout=120)
        client.send_raw(encode("MULTI") + b"".join(encode("SEND", "later", body, "DELAY", "1h") for body in sent) +
                        encode("SEND", "later", "now") + encode("EXEC"))
        for _ in range(len(sent) + 2):
            client.read()
        *tokens, name = client.read()
        txid = client.call("HALF", "p", "later", "small", "DELAY", "1h")
        halves = bodies(1, 3 * MB + 500000) + bodies(1, 40000) + bodies(1, 5000)
        for body in halves:
            client.call("HALF", "p", "later", body, "TXN", txid, "DELAY", "1h")
        tokens += client.call("COMMIT", txid)
        sent += [b"small"] + halves
        log = b""
        for path in glob.glob(os.path.join(broker.data, "wal", "*.wal")):
            with open(path, "rb") as f:
                log += f.read()
        assert all(log.count(body[-64:]) <= 1 for body in sent if len(body) >= 40000), "the log has a body twice"
        broker.kill()
        broker.start()
        client = broker.text(timeout=120)
        assert client.call("GET", name)[1] == b"now"
        for token, body in zip(tokens, sent):
            first = client.call("DELAYED", "LIST", "later")[0]
            assert first[0] == token and body in first
            assert client.call("DELAYED", "CANCEL", token) == 1


def test_one_that_was_not_answered_is_there_whole_or_not_at_all():
    with Broker() as broker:
        broker.text().call("TOPIC", "CREATE", "large")
        for _ in range(6):
            client, sent = broker.text(timeout=120), bodies(9, MB)
            client.send("MSEND", "large", *sent)
            beside = Beside(broker)
            wanted = CHANCE.randrange(1, 60)
            eventually(lambda: len(beside.sent) >= wanted, "messages beside")
            broker.kill()
            beside.stop()
            broker.start()
            there = set(read_all(broker.text(timeout=120)))
            assert len(there.intersection(sent)) in (0, len(sent)), len(there.intersection(sent))
            check(broker.text(), beside.sent)


def test_what_is_pipelined_behind_one_is_done_too():
    """A large command keeps the memory that it came in, and what came behind it moves."""
    with Broker() as broker:
        for _ in range(12):
            sent = [bodies(CHANCE.choice((1, 3, 3, 40)), CHANCE.choice((10, 5000, 600000))) for _ in range(CHANCE.randrange(3, 9))]
            data = b"".join(encode("MSEND", "piped", *some) + encode("PING") for some in sent)
            client, at = broker.text(timeout=120), 0
            while at < len(data):  # in pieces of any size, so that it ends anywhere
                n = CHANCE.choice((1, 100, 5000, 300000, 5000000))
                client.send_raw(data[at:at + n])
                at += n
            for some in sent:
                names = client.read()
                assert client.read() == "PONG"
                check(broker.text(), dict(zip(names, some)))
            client.close()


def test_clients_that_leave_amid_large_commands():
    with Broker() as broker:
        for _ in range(30):
            client = broker.text(timeout=120)
            data = b"".join(encode("MSEND", "left", *bodies(3, 800000)) for _ in range(3))
            client.send_raw(data[:CHANCE.randrange(len(data))])
            client.close()
        name = broker.text().call("SEND", "left", "last")
        assert broker.text().call("GET", name)[1] == b"last"


def checked(path):
    """Status and words of --check."""
    p = subprocess.run([HALFMQD, "--check", "--data", path], capture_output=True, text=True, check=False)
    return p.returncode, p.stdout + p.stderr


def test_check_and_backup_read_what_the_log_has_in_parts():
    broker = Broker()
    try:
        sent = bodies(7, MB)
        client = broker.text(timeout=120)
        names = msend(client, "large", sent)
        made = pairs(client.call("BACKUP", "b"))["path"].decode()
        client.call("SEND", "large", "behind them")
        broker.kill()
        restored = Broker(started=False)
        done = subprocess.run([HALFMQD, "--restore", made, "--data", restored.data], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        restored.start()
        check(restored.text(), dict(zip(names, sent)))
        restored.close()
        status, words = checked(broker.data)
        assert status == 0 and "8 messages" in words, words
        path, at = place_in_log(broker, sent[3])
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(b"\xff" * 8)
        status, words = checked(broker.data)
        assert status == 1 and "damaged" in words, words
    finally:
        broker.close()


def place_in_log(broker, body):
    for path in glob.glob(os.path.join(broker.data, "wal", "*.wal")):
        with open(path, "rb") as f:
            at = f.read().find(body[len(body) // 2:len(body) // 2 + 64])
        if at >= 0:
            return path, at
    raise AssertionError("the log does not have the body")


def test_damage_in_a_part_is_told():
    broker = Broker()
    try:
        sent = bodies(7, MB)
        names = msend(broker.text(), "large", sent)
        after = broker.text().call("SEND", "large", "behind them")
        broker.kill()
        path, at = place_in_log(broker, sent[3])
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(b"\xff" * 8)
        try:
            broker.start()
            raise AssertionError("it starts, though what was acknowledged is damaged")
        except AssertionError as error:
            if "though" in str(error):
                raise
        log = broker.read_log()
        assert b"a place that the log refers to is damaged" in log and b"--salvage" in log, log[-2000:]
        broker.flags = (*broker.flags, "--salvage")
        broker.start()
        client, lost = broker.text(), []
        for name, body in zip(names, sent):
            try:
                assert client.call("GET", name)[1] == body, name
            except Refused as refused:
                assert refused.code == "DAMAGED", refused.text
                lost.append(name)
        assert lost and names[3] in lost and len(lost) < len(names), lost
        assert client.call("GET", after)[1] == b"behind them"
    finally:
        broker.close()


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
