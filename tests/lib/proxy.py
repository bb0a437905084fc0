"""proxy.py: a proxy between a program and its broker, with which a test can hold bytes and cut connections.

    with Proxy(lambda: broker.port) as net:
        net.hold_request(rb"commit")    # the next bytes that match are held
        ... start the program with port net.port ...
        net.wait_held()
        net.pass_on()                   # or net.lose(): drops them and closes their connection

    client ──► [held here: hold_request] ──► broker
    client ◄── [held here: hold_answer]  ◄── broker

The pattern is a regular expression, ignoring case. It is matched with the bytes of one read; as the frames of tests
are small, these are one or several whole frames. The function that returns the address (a port or the path of a
socket, of a broker or another server) is called for each connection.
"""
import re
import socket
import threading

from broker import ANSWER_SECONDS

TXID = rb"(?<!\d)\d{17,19}(?!\d)"

class Proxy:
    def __init__(self, find_address):
        self.find_address = find_address
        self.lock = threading.Condition()
        self.request, self.answer = None, None  # the patterns to hold next
        self.txids = []  # txids in replies of the broker, each once
        self.held = None  # the pair that is held
        self.verdict = None  # whether to pass it on or to drop it
        self.is_cut = False
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    # ---- for tests

    def hold_request(self, pattern):
        with self.lock:
            self.request = re.compile(pattern, re.IGNORECASE)

    def hold_answer(self, pattern):
        """Holds the next matching bytes from the broker, a reply or anything else."""
        with self.lock:
            self.answer = re.compile(pattern, re.IGNORECASE)

    def wait_held(self):
        with self.lock:
            if not self.lock.wait_for(lambda: self.held, ANSWER_SECONDS):
                raise AssertionError("nothing came that was to be held")

    def is_held(self):
        with self.lock:
            return self.held is not None

    def pass_on(self):
        self.decide("pass")

    def lose(self):
        self.decide("lose")

    def cut(self):
        """Closes all connections, and refuses new ones until mend()."""
        with self.lock:
            self.is_cut = True
            pairs = list(self.pairs)
        for pair in pairs:
            pair.close()

    def mend(self):
        with self.lock:
            self.is_cut = False

    # ---- inside

    def decide(self, verdict):
        with self.lock:
            assert self.held, "nothing is held"
            self.verdict = verdict
            self.lock.notify_all()
            self.lock.wait_for(lambda: not self.held, ANSWER_SECONDS)

    def keep(self, pair):
        """Holds the calling thread's bytes until the test decides. False: drop them."""
        with self.lock:
            self.held, self.verdict = pair, None
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.verdict)
            verdict, self.held = self.verdict, None
            self.lock.notify_all()
        return verdict == "pass"

    def wants_up(self, data):
        with self.lock:
            if self.request and self.request.search(data):
                self.request = None
                return True
        return False

    def wants_down(self, data):
        with self.lock:
            for txid in re.findall(TXID, data):
                if txid.decode() not in self.txids:
                    self.txids.append(txid.decode())
            if self.answer and self.answer.search(data):
                self.answer = None
                return True
        return False

    def connect(self):
        if self.is_cut:
            raise OSError("cut")
        address = self.find_address()
        if isinstance(address, int):
            return socket.create_connection(("127.0.0.1", address))
        s = socket.socket(socket.AF_UNIX)
        s.connect(address)
        return s

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # it was closed
                return
            try:
                broker = self.connect()
            except OSError:
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Pair(self, client, broker)

    def close(self):
        self.listener.close()
        self.cut()
        if self.is_held():
            self.lose()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Pair:
    """One connection, with a thread for each direction."""

    def __init__(self, proxy, client, broker):
        self.proxy, self.client, self.broker = proxy, client, broker
        with proxy.lock:
            proxy.pairs.add(self)
        for run in (self.up, self.down):
            threading.Thread(target=self.guard, args=(run,), daemon=True).start()

    def guard(self, run):
        try:
            run()
        except OSError:
            pass
        self.close()

    def up(self):
        while data := self.client.recv(65536):
            if self.proxy.wants_up(data) and not self.proxy.keep(self):
                return
            self.broker.sendall(data)

    def down(self):
        while data := self.broker.recv(65536):
            if self.proxy.wants_down(data) and not self.proxy.keep(self):
                return
            self.client.sendall(data)

    def close(self):
        with self.proxy.lock:
            self.proxy.pairs.discard(self)
        for s in (self.client, self.broker):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
