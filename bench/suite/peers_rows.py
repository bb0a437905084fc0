"""peers_rows.py: `make bench-peers`: each other broker under its own tester, in turns with ours.

A peer stays up while its loads run, and ours all the time; ours is idle while the peer is measured, and the peer
is stopped (SIGSTOP) while ours is, as some of them go on working for minutes behind their loads. A peer that is
not there, or fails, costs its own rows only. Each row is a ratio; those that the project has set bounds for
fill the rows of the main table, too.
"""
import os

from peers import drivers, fetch
from peers.peer import PeerFailed
from suite import batches, consume, txn
from suite.figure import Figure
from suite.loads import halfmq_bench
from suite.rows import Row
from suite.servers import Broken, HalfMQ

SECONDS = 16
# Rows of the main table that stand in for these, where the peer is run.
MAIN_ROWS = {("kafka", "batch"): "batch_kafka", ("rocketmq", "consume"): "consume_peer"}


def send(bench, port):
    got, command = halfmq_bench(bench, port, "send", "--connections", "64", "--inflight", "64", "--duration",
                                bench.seconds(4))
    return got["messages_per_s"], command


class Ours:
    """HalfMQ's load beside each kind of work of a peer."""

    def __init__(self, bench, port):
        self.bench, self.port, self.turn = bench, port, 0

    def load_beside(self, peer, key):
        with peer.paused():
            return self.load(key)

    def load(self, key):
        if key == "consume":
            self.turn += 1
            return consume.one_round(self.bench, self.port, f"c{self.turn}")
        return {"send": send, "txn": txn.transactions, "batch": batches.send_batches}[key](
            self.bench, self.port)


def get(bench, name, wants_fetch):
    """The peer's class, or None with a progress line that says why not."""
    driver = drivers()[name]
    if wants_fetch and name in {**fetch.JAVA, **fetch.GO}:
        try:
            bench.say(f"peers: fetching {name}, where it is not there")
            fetch.fetch(bench.peers, name)
        except fetch.CannotFetch as e:
            bench.say(f"peers: {name} cannot be fetched: {e}")
    missing = driver.missing(bench.peers)
    if missing:
        bench.say(f"peers: {name} is left out: {missing}")
        bench.left_out.append((driver.title, missing))
        return None
    return driver


def measure(bench):
    with HalfMQ(bench, "peers") as broker:
        ours = Ours(bench, broker.port)
        for name in bench.peer_names:
            driver = get(bench, name, bench.fetch)
            if driver:
                run_peer(bench, ours, driver(bench.peers, os.path.join(bench.data, name), SECONDS))


def run_peer(bench, ours, peer):
    try:
        bench.say(f"peers: starting {peer.title}")
        peer.start()
        bench.say(f"peers: {peer.title} resident, idle: {peer.rss_mb():.0f} MB")
        for work in peer.works:
            run_work(bench, ours, peer, work)
    except (PeerFailed, Broken, OSError) as e:
        bench.say(f"peers: {peer.title}: {e}")
        bench.left_out.append((peer.title, str(e)))
    finally:
        peer.stop()


def run_work(bench, ours, peer, work):
    key = f"{peer.name}_{work.key}"
    main = MAIN_ROWS.get((peer.name, work.key))
    f = Figure(Row(key, "peers", f"{peer.title}: {work.title}", "x", None, None, False))
    f.fsync = f"ours: always; theirs: {work.fsync}"
    bench.figures[key] = f
    try:
        bench.alternate(key, lambda: ours.load_beside(peer, work.key), work.load)
    except (PeerFailed, Broken, OSError) as e:
        f.failure = str(e)
        bench.say(f"peers: {key}: {e}")
        if not f.rounds:
            return
    if main:
        stand_in(bench.figure(main), f)


def stand_in(figure, f):
    figure.rounds, figure.commands, figure.fsync, figure.note = list(f.rounds), f.commands, f.fsync, ""
