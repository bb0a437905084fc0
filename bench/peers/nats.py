"""nats.py: NATS JetStream under `nats bench`: file storage, sync_interval always."""
import os
import re

from peers import fetch
from peers.peer import Peer, PeerFailed, Work, free_port, listens, write

RATE = re.compile(r"stats: *([0-9,]+) msgs/sec", re.I)
SYNC_MESSAGES, ASYNC_MESSAGES = 40000, 200000


def parse_rate(text):
    """The tester prints a line for each client and, if there are several, one for all of them, which has the
    greatest rate."""
    found = [float(x.replace(",", "")) for x in RATE.findall(text)]
    if not found:
        raise PeerFailed(f"nats: its tester printed no rate: {text.strip().splitlines()[-1:]}")
    return max(found)


class Nats(Peer):
    name = "nats"
    title = "NATS JetStream"

    @classmethod
    def missing(cls, peers):
        return "" if fetch.present(peers, cls.name) else "not fetched (--fetch)"

    def start(self):
        self.port = free_port()
        write(os.path.join(self.data, "nats.conf"), [
            f"port: {self.port}", "host: 127.0.0.1",
            f'jetstream {{ store_dir: "{self.data}/js", sync_interval: always, max_file: 20G }}'])
        self.launch([os.path.join(self.home, "bin", "nats-server"), "-c", "nats.conf"], "server.log")
        self.wait_for(lambda: listens(self.port), "waited for its port")

    def bench(self, *words):
        out = self.load([os.path.join(self.home, "bin", "nats"), "-s", f"nats://127.0.0.1:{self.port}",
                         "bench", "js", *words, "--no-progress"], self.seconds * 10)
        return parse_rate(out), " ".join(["nats bench js", *words])

    def publish(self, how, messages, *more):
        self.turn += 1
        stream = f"S{self.turn}"
        return self.bench("pub", how, stream.lower(), "--create", "--stream", stream, "--msgs",
                          str(messages), "--size", "100", "--storage", "file", *more)

    def send(self):
        return self.publish("sync", SYNC_MESSAGES, "--clients", "32")

    def batches(self):
        return self.publish("batch", ASYNC_MESSAGES, "--clients", "1", "--batch", "500")

    def consume(self):
        """A stream of its own each time, filled before what is measured: the tester makes its consumer
        only where the stream has none of its name."""
        self.batches()
        return self.bench("consume", "--stream", f"S{self.turn}", "--msgs", str(ASYNC_MESSAGES), "--clients",
                          "1", "--batch", "500")

    @property
    def works(self):
        return [
            Work("send", "single publishes, 32 clients", "sync_interval: always", self.send),
            Work("batch", "atomic batches of 500", "sync_interval: always", self.batches),
            Work("consume", "consume with ack from a backlog", "sync_interval: always", self.consume),
        ]
