#!/usr/bin/python3
"""test_damage.py: what clients see of messages whose bytes on disk are damaged, in both dialects."""
import glob
import os
import sys
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Message, Refused, eventually, run_tests  # noqa: E402 (the path comes first)
from rpc import Rpc  # noqa: E402

DAMAGED = b"to be damaged " + b"x" * 400  # long enough for a blob file


def flip_where(folder, text):
    """Flips a bit in each place of the tables and blob files where the text stands."""
    found = 0
    for path in glob.glob(os.path.join(folder, "*.sst")) + glob.glob(os.path.join(folder, "*.blob")):
        with open(path, "r+b") as f:
            data = f.read()
            at = data.find(text)
            while at >= 0:
                f.seek(at)
                f.write(bytes([data[at] ^ 1]))
                found += 1
                at = data.find(text, at + 1)
    return found


def damaged(broker, bodies):
    """Stores each body in a record of its own in t:0, and damages those that say so."""
    client = broker.text()
    client.call("TOPIC", "CREATE", "t", "QUEUES", 1)
    for body in bodies:
        client.call("SEND", "t", body)
    client.close()
    assert broker.stop() == 0
    assert flip_where(os.path.join(broker.data, "store"), DAMAGED) == bodies.count(DAMAGED)
    broker.start()
    return broker.text()


def metric(broker, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/metrics") as page:
        lines = [line for line in page.read().decode().splitlines() if line.startswith(name + " ")]
    return int(lines[0].split()[1])


def test_read_and_get():
    with Broker() as broker:
        client = damaged(broker, [b"a", DAMAGED, b"c"])
        assert [m[1] for m in client.call("READ", "t", 0, 0, "COUNT", 9)] == [b"a"]
        for _ in range(3):
            error = client.refused("READ", "t", 0, 1, "COUNT", 9)
            assert error.text.startswith("DAMAGED t:0:1-1 ") and error.text.endswith(" 2"), error.text
        assert client.refused("GET", "t:0:1").text.startswith("DAMAGED t:0:1-1 ")
        assert [m[1] for m in client.call("READ", "t", 0, 2)] == [b"c"]
        error = Rpc(broker.port).error("get", id="t:0:1")
        assert error.code == "DAMAGED" and error.text.startswith("t:0:1-1 "), error.text
        assert client.call("SEND", "t", "d") == b"t:0:3"
        assert metric(broker, "halfmq_damaged_records") == 1
        assert broker.read_log().count(b"t:0:1-1") == 1, broker.read_log()


def send_much(broker, megabytes):
    """Until so much is sent, or the broker ends. True: it runs."""
    client = broker.text()
    try:
        for _ in range(megabytes * 4):
            for _ in range(500):
                client.send("SEND", "t", os.urandom(200), "KEY", os.urandom(8).hex(), "DEDUP", os.urandom(100).hex())
            for _ in range(500):
                try:
                    client.read()
                except Refused as error:  # its DEDUP id would be in a damaged block
                    assert error.text.startswith("DAMAGED"), error.text
    except (OSError, EOFError):
        return False
    return True


def test_a_damaged_table_is_compacted():
    """RocksDB writes no more then, and the broker ends. Started again, it goes on without compacting."""
    with Broker("--memory", "16MiB", "--fsync", "never") as broker:
        assert send_much(broker, 4)
        assert broker.stop() == 0
        hit = 0
        for path in glob.glob(os.path.join(broker.data, "store", "*.sst")):
            with open(path, "r+b") as f:
                data = f.read()
                if len(data) > 100000:  # rows, not records: where both are damaged, nobody knows the end of a queue
                    f.seek(1000)
                    f.write(bytes([data[1000] ^ 1]))
                    hit += 1
        assert hit > 0
        broker.start()
        assert not send_much(broker, 60), "nothing damaged was compacted"
        assert broker.process.wait() == 70 and b"Corruption" in broker.read_log()
        for _ in range(2):
            broker.start()
            assert b"nothing is compacted" in broker.read_log()
            assert send_much(broker, 12)
            assert broker.stop() == 0


def test_pop_goes_on_behind():
    """Also where all that one POP was granted is damaged; and what was skipped is not delivered again."""
    with Broker() as broker:
        client = damaged(broker, [DAMAGED, DAMAGED, b"c", DAMAGED, b"e", DAMAGED])
        client.call("GROUP", "CREATE", "g", "t", "LEASE", "100ms", "ATTEMPTS", 2)
        first = Message(client.call("POP", "g", "t")[0])
        assert first.body == b"c", first
        client.send("POP", "g", "t")
        client.send("PING")  # the answers keep their order
        second = Message(client.read()[0])
        assert second.body == b"e" and client.read() == "PONG"
        assert client.call("ACK", "g", first.id, second.id) == 2
        assert client.call("POP", "g", "t", "WAIT", "300ms") == []
        assert client.call("POP", "g", "t") == []
        eventually(lambda: metric(broker, "halfmq_messages_skipped_total") == 4, "four messages are skipped")
        assert metric(broker, "halfmq_damaged_records") == 4
        lag = client.call("LAG", "g")[0]
        assert lag[lag.index(b"lag") + 1] == 0, lag


def test_a_waiting_pop_goes_on():
    with Broker() as broker:
        client = damaged(broker, [DAMAGED, b"b"])
        assert Message(client.call("POP", "g", "t", "WAIT", "20s")[0]).body == b"b"
        client.send("POP", "g", "t", "WAIT", "20s")
        other = broker.text()
        other.call("SEND", "t", "c")
        assert Message(client.read()[0]).body == b"c"


def test_streams_go_on():
    with Broker() as broker:
        client = damaged(broker, [DAMAGED, b"b", DAMAGED, b"d"])
        rpc = Rpc(broker.port)
        rpc.call("stream_queue", topic="t", queue=0, offset=0, credit=1 << 20)
        rpc.call("stream_group", group="g", topic=["t"], credit=10)
        eventually(lambda: rpc.receive() or len(rpc.notes) == 4, "four records arrive")
        bodies = [note[1][0]["record"][-5:-4] for note in rpc.notes]
        assert sorted(bodies) == [b"b", b"b", b"d", b"d"], bodies
        eventually(lambda: metric(broker, "halfmq_messages_skipped_total") == 2, "two messages are skipped")
        client.close()


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
