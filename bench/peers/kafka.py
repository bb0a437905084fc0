"""kafka.py: Kafka under its own ProducerPerformance and ConsumerPerformance.

One node, its defaults: a produce is acknowledged from the page cache and synced when the kernel likes.
That is how Kafka is meant to be run, and it is labelled so; HalfMQ beside it syncs.
"""
import os
import re
import shutil

from peers import fetch
from peers.peer import Peer, PeerFailed, Work, free_port, listens, write

RECORDS = 3000000
TXN_RECORDS = 1000000
PRODUCED = re.compile(r"([0-9.]+) records/sec")


def parse_produced(text):
    """The summary is the last line with a rate."""
    found = PRODUCED.findall(text)
    if not found:
        raise PeerFailed("kafka: ProducerPerformance printed no rate")
    return float(found[-1])


def parse_consumed(text):
    """The last column of the last line: messages a second of fetching, without the joining before it."""
    lines = [x for x in text.strip().splitlines() if x.count(",") >= 9]
    try:
        return float(lines[-1].split(",")[-1])
    except (IndexError, ValueError):
        raise PeerFailed("kafka: ConsumerPerformance printed no rate")


class Kafka(Peer):
    name = "kafka"
    title = "Kafka 3.9.1"

    @classmethod
    def missing(cls, peers):
        if not shutil.which("java"):
            return "java is not installed"
        return "" if fetch.present(peers, cls.name) else "not fetched (--fetch)"

    def java(self, heap, main, *arguments):
        return ["java", f"-Xms{heap}", f"-Xmx{heap}", "-cp", os.path.join(self.home, "lib", "*"), main,
                *arguments]

    def start(self):
        self.port, controller = free_port(), free_port()
        write(os.path.join(self.data, "server.properties"), [
            "process.roles=broker,controller", "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
            f"log.dirs={self.data}/log", "num.partitions=4", "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1"])
        self.load(self.java("256m", "kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw",
                            "-c", "server.properties"), 60)
        self.launch(self.java("1g", "kafka.Kafka", "server.properties"), "broker.log")
        self.wait_for(lambda: listens(self.port), "waited for its port")

    def produce(self, topic, records, *more):
        flags = ["--topic", topic, "--num-records", str(records), "--record-size", "100", "--throughput",
                 "-1", *more]
        settings = ["acks=all", "batch.size=65536", "linger.ms=5"]
        out = self.load(self.java("1g", "org.apache.kafka.tools.ProducerPerformance", *flags,
                                  "--producer-props", f"bootstrap.servers=127.0.0.1:{self.port}", *settings),
                        self.seconds * 10)
        return parse_produced(out), " ".join(["ProducerPerformance", *flags, "--producer-props", *settings])

    def batches(self):
        self.turn += 1
        return self.produce(f"batch{self.turn}", RECORDS)

    def transactions(self):
        return self.produce(f"txn{self.turn}", TXN_RECORDS, "--transactional-id", f"t{self.turn}",
                            "--transaction-duration-ms", "100")

    def consume(self):
        flags = ["--topic", f"batch{self.turn}", "--messages", str(RECORDS)]
        out = self.load(self.java("1g", "org.apache.kafka.tools.ConsumerPerformance", *flags,
                                  "--bootstrap-server", f"127.0.0.1:{self.port}"), self.seconds * 10)
        return parse_consumed(out), " ".join(["ConsumerPerformance", *flags])

    @property
    def works(self):
        return [
            Work("batch", "batched produce, acks=all", "none (page cache)", self.batches),
            Work("consume", "fetch from a backlog, no acknowledgement a message", "nothing is written",
                 self.consume),
        ]
