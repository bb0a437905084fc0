"""rabbitmq.py: a RabbitMQ quorum queue under PerfTest, with publisher confirms (which wait for the disk).

The server is Debian's package and runs as the user that the package made; PerfTest comes from Maven.
"""
import os
import re
import shutil
import subprocess

from peers import fetch
from peers.peer import Peer, PeerFailed, Work, free_port, listens

SENT = re.compile(r"sending rate avg: *([0-9]+)")
RECEIVED = re.compile(r"receiving rate avg: *([0-9]+)")


def parse_rate(pattern, text):
    found = pattern.findall(text)
    if not found or float(found[-1]) == 0:
        raise PeerFailed("rabbitmq: PerfTest printed no rate")
    return float(found[-1])


class RabbitMQ(Peer):
    name = "rabbitmq"
    title = "RabbitMQ (Debian), quorum queue"

    @classmethod
    def missing(cls, peers):
        if not shutil.which("rabbitmq-server"):
            return "rabbitmq-server is not installed (apt-get install rabbitmq-server)"
        return "" if fetch.present(peers, cls.name) else "PerfTest is not fetched (--fetch)"

    def start(self):
        self.port = free_port()
        for folder in ("mnesia", "log"):
            os.makedirs(os.path.join(self.data, folder))
        node = f"bench{self.port}@localhost"
        self.environment = dict(
            os.environ, RABBITMQ_NODE_IP_ADDRESS="127.0.0.1", RABBITMQ_NODE_PORT=str(self.port),
            RABBITMQ_DIST_PORT=str(free_port()), ERL_EPMD_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=f"{self.data}/mnesia",
            RABBITMQ_LOG_BASE=f"{self.data}/log", RABBITMQ_NODENAME=node, HOME=self.data)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "rabbitmq", self.data], check=True)
        self.launch(["rabbitmq-server"], "server.log", self.environment)
        self.node = node
        self.wait_for(lambda: listens(self.port), "waited for its port")

    def stop(self):
        subprocess.run(["rabbitmqctl", "-n", self.node, "stop"], env=self.environment,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        # Erlang's name server goes on without its node; this one has a port of its own.
        subprocess.run(["epmd", "-kill"], env=self.environment, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        super().stop()

    def perf(self, pattern, *flags):
        out = self.load(["java", "-Xmx1g", "-cp", os.path.join(self.home, "lib", "*"),
                         "com.rabbitmq.perf.PerfTest", "-h", f"amqp://guest:guest@127.0.0.1:{self.port}",
                         *flags], self.seconds * 5)
        return parse_rate(pattern, out), " ".join(["PerfTest", *flags])

    def send(self):
        self.turn += 1
        return self.perf(SENT, "--quorum-queue", "--queue", f"q{self.turn}", "-x", "4", "-y", "0", "-s",
                         "100", "-c", "500", "-z", str(self.seconds))

    def consume(self):
        return self.perf(RECEIVED, "--queue", f"q{self.turn}", "--predeclared", "-x", "0", "-y", "2", "-z",
                         "8", "-q", "500")

    @property
    def works(self):
        return [
            Work("send", "publish with confirms, 4 producers, 500 under way each", "quorum queue", self.send),
            Work("consume", "consume with ack from a backlog, 2 consumers", "quorum queue", self.consume),
        ]
