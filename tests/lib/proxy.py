"""proxy.py: a network between a program and its broker that a test can hold, cut and mend.

    with Proxy(lambda: broker.port) as net:
        net.hold_request(rb"commit")    # the next bytes that name it stop here
        ... start the program with port net.port ...
        net.wait_held()
        net.pass_on()                   # or net.lose(): they and their connection are gone

    client ──► [held here: hold_request] ──► broker
    client ◄── [held here: hold_answer]  ◄── broker

What is to be held is a regular expression, in any case of letters, for what one read gave; that is a whole
frame or several for the small ones that tests send. Where the broker is (a port, or the path of a socket: it need not
be a broker), is asked anew for each connection.
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
        self.request, self.answer = None, None  # what is to be held next
        self.txids = []  # that came by from the broker, each once
        self.held = None  # the pair that is held
        self.verdict = None  # what becomes of it
        self.is_cut = False
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    # ---- what a test says

    def hold_request(self, pattern):
        with self.lock:
            self.request = re.compile(pattern, re.IGNORECASE)

    def hold_answer(self, pattern):
        """Or anything else that comes from the broker."""
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
        """All connections break, and no new one gets through until mend()."""
        with self.lock:
            self.is_cut = True
            pairs = list(self.pairs)
        for pair in pairs:
            pair.close()

    def mend(self):
        with self.lock:
            self.is_cut = False

    # ---- how it is done

    def decide(self, verdict):
        with self.lock:
            assert self.held, "nothing is held"
            self.verdict = verdict
            self.lock.notify_all()
            self.lock.wait_for(lambda: not self.held, ANSWER_SECONDS)

    def keep(self, pair):
        """Holds the calling thread's bytes. False: they are to be lost."""
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
            except OSError:  # closed
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
    """One connection: a thread for each direction."""

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
