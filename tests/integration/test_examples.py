"""test_examples.py: tests that the examples of clients/examples, in C and in Python, do what they say."""
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from broker import BIN, SOURCE, Broker, Message, eventually, run_tests  # noqa: E402

EXAMPLES = os.path.join(SOURCE, "clients", "examples")


def command(name, *words):
    if name.endswith(".py"):
        return [sys.executable, os.path.join(EXAMPLES, name), *words]
    return [os.path.join(BIN, "examples", name), *words]


def environment(broker, **more):
    return dict(os.environ, HALFMQ_URL=f"hmq://127.0.0.1:{broker.port}", **more)


def run(broker, folder, name, *words, status=0, **more):
    done = subprocess.run(command(name, *words), env=environment(broker, **more), cwd=folder, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == status, f"{name} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def bodies(broker, group, topic, count):
    """Pops so many messages for the group, and returns their bodies."""
    found = []

    def look():
        for reply in broker.text().call("POP", group, topic, "COUNT", count):
            found.append(Message(reply).body.decode())
        return len(found) >= count
    eventually(look, f"{count} messages of {topic}, got {found}")
    return found


def produce_and_consume(produce, consume):
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        said = run(broker, folder, produce, "greetings", "25")
        assert re.match(r"greetings:\d:0\n", said), said
        assert "25 more" in said, said
        got = run(broker, folder, consume, "readers", "greetings", "26").splitlines()
        texts = sorted(line.split(" ", 1)[1].replace("attempt 1: ", "") for line in got)
        assert texts == sorted(["hello"] + [f"message {i + 1}" for i in range(25)]), texts
        lag = broker.text(hello=3).call("LAG", "readers")
        assert sum(row["lag"] for row in lag) == 0, lag


def test_produce_and_consume_c():
    produce_and_consume("produce", "consume")


def test_produce_and_consume_python():
    produce_and_consume("produce.py", "consume.py")


def test_across_the_languages():
    produce_and_consume("produce", "consume.py")
    produce_and_consume("produce.py", "consume")


def nack(consume):
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        broker.text().call("SEND", "greetings", "not today")
        broker.text().call("SEND", "greetings", "hello")
        run(broker, folder, consume, "readers", "greetings", "1")
        eventually(lambda: [row["delayed"] for row in broker.text(hello=3).call("LAG", "readers")] == [1],
                   "the message waits for its next attempt")


def test_nack():
    nack("consume")
    nack("consume.py")


def stored(client, topic, queues):
    """Each message of the topic: id without the topic, body, keys and the like, properties."""
    found = []
    for queue in range(queues):
        for reply in client.call("READ", topic, queue, 0, "COUNT", 1000):
            m = Message(reply)
            kept = {name: m.attributes[name] for name in ("key", "tag", "order") if name in m.attributes}
            found.append((m.id.split(":", 1)[1], m.body, kept, m.properties))
    return found


def test_copy():
    """The copy of a topic is the same to the byte; what was deleted before is missing, and said to be."""
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        client = broker.text(hello=3)
        client.call("TOPIC", "CREATE", "from", "QUEUES", 3)
        for i in range(200):
            client.call("SEND", "from", bytes(range(i % 256)), "KEY", f"k{i}", "KEY", b"\0\xff", "TAG", "t",
                        "ORDER", f"o{i % 9}", "PROP", "name", b"a\0b\r\n")
        assert "200 messages copied" in run(broker, folder, "copy", "from", "to")
        assert stored(client, "to", 3) == stored(client, "from", 3)
        client.call("TOPIC", "PURGE", "from")
        client.call("SEND", "from", "after")
        assert "1 messages copied" in run(broker, folder, "copy", "from", "rest")


def lag(broker, group):
    return sum(row["lag"] for row in broker.text(hello=3).call("LAG", group))


def test_keep():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        for i in range(30):
            broker.text().call("SEND", "greetings", f"{i}")
        said = run(broker, folder, "keep", "readers", "greetings", "30").splitlines()
        assert len(set(said)) == 30, said
        assert lag(broker, "readers") == 0


def test_ordered():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        run(broker, folder, "ordered", "send", "changes", "20", "30")
        said = run(broker, folder, "ordered", "apply", "bank", "changes", "600")
        assert said == "600 changes in 600 calls, 0 out of order\n", said
        said = run(broker, folder, "ordered", "sum", "sums", "changes", "600")
        assert re.match(r"600 changes in \d+ calls, ", said), said
        assert lag(broker, "bank") + lag(broker, "sums") == 0


def test_watch():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        client = broker.text()
        first = client.call("SEND", "greetings", "before").decode()
        child = subprocess.Popen(command("watch", "greetings", "2"), env=environment(broker), cwd=folder,
                                 stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == f"{first} was there\n"
        assert child.stdout.readline() == "begins\n"
        client.call("SEND", "greetings", "hello")
        client.call("SEND", "greetings", "bye")
        assert child.stdout.readline() == "greetings: hello\n"
        assert child.stdout.readline() == "greetings: bye\n"
        assert child.wait(60) == 0
        child.stdout.close()


def test_transaction_c():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        assert " paid" in run(broker, folder, "transaction", "alice", "10")
        assert " refused" in run(broker, folder, "transaction", "bob", "2000")
        assert bodies(broker, "g", "payments", 1) == ['{"account":"alice","amount":10}']
        assert broker.text().call("POP", "g", "payments") == []


def test_transaction_python_and_its_checks():
    with Broker("--checkin", "100ms", "--check_every", "100ms") as broker, \
            tempfile.TemporaryDirectory() as folder:
        assert "paid: payments:" in run(broker, folder, "transaction.py", "alice", "10")
        assert "refused: OK" in run(broker, folder, "transaction.py", "bob", "2000")
        run(broker, folder, "transaction.py", "carol", "30", status=9, DIE="after")
        run(broker, folder, "transaction.py", "dave", "40", status=9, DIE="before")
        said = run(broker, folder, "check.py", "2")
        assert said.count("COMMIT") == 1 and said.count("ROLLBACK") == 1, said
        assert sorted(bodies(broker, "g", "payments", 2)) == [
            '{"account": "alice", "amount": 10}', '{"account": "carol", "amount": 30}']
        assert broker.text().call("POP", "g", "payments") == []


def test_transaction_c_is_asked():
    """A transaction that another member of the group has left open is answered by the next run."""
    # The check of this transaction is due soon, those of the example's own transactions are not.
    with Broker("--check_every", "50ms") as broker, tempfile.TemporaryDirectory() as folder:
        txid = broker.text().call("HALF", "bank", "payments", "lost", "CHECKIN", "1ms").decode()

        def asked():
            return f"asked about {txid}: rollback" in run(broker, folder, "transaction", "erin", "1")
        eventually(asked, "the example is asked about the open transaction")
        state = broker.text(hello=3).call("TXN", "INFO", txid)["state"]
        assert state == b"rolledback", state


def test_event_loop():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        said = run(broker, folder, "event_loop", "loops").splitlines()
        assert len(said) == 10 and all(" from the loop " in line for line in said), said


def test_consume_ends_at_a_signal():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        broker.text().call("SEND", "greetings", "hello")
        child = subprocess.Popen(command("consume", "readers", "greetings"), env=environment(broker),
                                 cwd=folder, stdout=subprocess.PIPE, text=True)
        assert "hello" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0
        child.stdout.close()


def test_no_broker():
    """Without a broker, each example ends with an error message and a status, and does not hang."""
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        broker.kill()
        more = {"HALFMQ_URL": f"hmq://127.0.0.1:{broker.port}?call_timeout_ms=300"}
        done = subprocess.run(command("produce"), env=dict(os.environ, **more), cwd=folder, timeout=60,
                              stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1 and "HMQ_EDISCONNECTED" in done.stderr, done.stderr


def test_demo():
    """Runs a short version of `make demo`."""
    done = subprocess.run(["sh", os.path.join(EXAMPLES, "demo", "run.sh"), BIN, "--orders", "3000"],
                          timeout=150, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    assert done.returncode == 0 and done.stdout.count("PASSED") == 2, done.stdout
    most = int(re.search(r"at most (\d+) in any second", done.stdout).group(1))
    assert most <= 2000, done.stdout


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules["__main__"]))
