"""rocketmq.py: RocketMQ under the benchmark classes of its own examples.

A name server and one broker, flushDiskType=SYNC_FLUSH: an acknowledged message is on its disk, as with
everybody else here. The testers run for ever. A report is the rate of the last ten seconds, so the first
comes after ten; the last one counts, when the Java compiler has done its work.
"""
import os
import re
import shutil

from peers import fetch
from peers.peer import Peer, PeerFailed, Work, free_port, listens, write

REPORT_MS = 2000
SECONDS_MIN = 20  # Java starts, warms up, and then needs ten seconds for a report
OPENS = ["--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.nio=ALL-UNNAMED",
         "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
         "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED"]
# BatchProducer counts batches (TPS) and messages (MPS); the others report one rate only.
RATE = re.compile(r"(?:Send MPS|Send TPS|Consume TPS): *([0-9.]+)(?!.*MPS)")


def parse_rates(text):
    """Every reported rate, in order."""
    rates = [float(r) for r in RATE.findall(text)]
    if not rates:
        raise PeerFailed("rocketmq: its tester printed no rate: "
                         f"{(text.strip().splitlines() or ['nothing'])[-1][:200]}")
    return rates


class RocketMQ(Peer):
    name = "rocketmq"
    title = "RocketMQ 5.5.0"
    filled = False

    @classmethod
    def missing(cls, peers):
        if not shutil.which("java"):
            return "java is not installed"
        return "" if fetch.present(peers, cls.name) else "not fetched (--fetch)"

    def java(self, heap, main, *arguments):
        return ["java", f"-Xms{heap}", f"-Xmx{heap}", *OPENS, "-cp", os.path.join(self.home, "lib", "*"),
                main, *arguments]

    def start(self):
        self.names, listen = free_port(), free_port()
        write(os.path.join(self.data, "names.conf"), [f"listenPort={self.names}"])
        write(os.path.join(self.data, "broker.conf"), [
            "brokerClusterName=bench", "brokerName=bench", "brokerId=0", "brokerIP1=127.0.0.1",
            f"namesrvAddr=127.0.0.1:{self.names}", f"listenPort={listen}",
            f"haListenPort={free_port()}", f"storePathRootDir={self.data}/store",
            f"storePathCommitLog={self.data}/store/commitlog", "flushDiskType=SYNC_FLUSH",
            "autoCreateTopicEnable=true", "defaultTopicQueueNums=8"])
        self.environment = dict(os.environ, ROCKETMQ_HOME=self.data)
        self.launch(self.java("256m", "org.apache.rocketmq.namesrv.NamesrvStartup", "-c", "names.conf"),
                    "names.log", self.environment)
        self.wait_for(lambda: listens(self.names), "waited for its name server")
        self.launch(self.java("2g", "org.apache.rocketmq.broker.BrokerStartup", "-c", "broker.conf"),
                    "broker.log", self.environment)
        self.wait_for(self.booted, "waited for its broker")

    def booted(self):
        with open(os.path.join(self.data, "broker.log"), encoding="utf-8", errors="replace") as f:
            return "boot success" in f.read()

    def benchmark(self, tester, *flags, best=False):
        flags = [*flags, "-ri", str(REPORT_MS)]
        out = self.load(self.java("1g", f"org.apache.rocketmq.example.benchmark.{tester}", "-n",
                                  f"127.0.0.1:{self.names}", *flags),
                        max(self.seconds, SECONDS_MIN), self.environment, may_time_out=True)
        rates = parse_rates(out)
        return (max(rates) if best else rates[-1]), " ".join(["benchmark", tester, *flags])

    def send(self):
        return self.benchmark("Producer", "-t", "BenchSend", "-w", "64", "-s", "100")

    def transactions(self):
        return self.benchmark("TransactionProducer", "-t", "BenchTxn", "-w", "64", "-s", "100")

    def batches(self):
        return self.benchmark("BatchProducer", "-t", "BenchBatch", "-w", "4", "-b", "100", "-s", "100")

    def fill(self):
        """A backlog that lasts longer than the ten seconds of a report, sent in batches large enough to be quick."""
        self.benchmark("BatchProducer", "-t", "BenchConsume", "-w", "8", "-b", "1000", "-s", "100")
        self.filled = True

    def consume(self):
        """A group of its own each time, from the first message on. The best report counts: when the
        backlog ends, the rate no longer says anything about the broker."""
        if not self.filled:
            self.fill()
        self.turn += 1
        return self.benchmark("Consumer", "-t", "BenchConsume", "-w", "20", "-g", f"bench{self.turn}",
                              best=True)

    @property
    def works(self):
        return [
            Work("send", "single sends, 64 threads", "SYNC_FLUSH", self.send),
            Work("txn", "transactions, 64 threads", "SYNC_FLUSH", self.transactions),
            Work("batch", "batches of 100, 4 threads", "SYNC_FLUSH", self.batches),
            Work("consume", "consume from a backlog, 20 threads", "nothing is written", self.consume),
        ]
