"""rpc.py: a generic MessagePack-RPC client with Python's msgpack library. It implements the four lines of the
specification."""
import socket

import msgpack

from broker import ANSWER_SECONDS


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(repr(error))
        self.code, self.text = error


class Rpc:
    """Sends requests and receives responses in any order, with requests of the server between them."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        self.next_id, self.answers, self.requests, self.notes = 0, {}, [], []

    def begin(self, method, *params):
        self.next_id += 1
        self.socket.sendall(msgpack.packb([0, self.next_id, method, list(params)]))
        return self.next_id

    def wait(self, message_id):
        while message_id not in self.answers:
            self.receive()
        error, result = self.answers.pop(message_id)
        if error is not None:
            raise RpcError(error)
        return result

    def call(self, method, **params):
        return self.wait(self.begin(method, params))

    def notify(self, method, **params):
        self.socket.sendall(msgpack.packb([2, method, [params]]))

    def answer(self, message_id, result):
        self.socket.sendall(msgpack.packb([1, message_id, None, result]))

    def refuse(self, message_id, why):
        self.socket.sendall(msgpack.packb([1, message_id, ["ERR", why], None]))

    def request(self):
        while not self.requests:
            self.receive()
        return self.requests.pop(0)

    def receive(self):
        for frame in self.unpacker:
            if frame[0] == 1:
                self.answers[frame[1]] = (frame[2], frame[3])
            elif frame[0] == 0:
                self.requests.append((frame[1], frame[2], frame[3]))
            else:
                self.notes.append((frame[1], frame[2]))
            return
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the broker closed")
        self.unpacker.feed(data)

    def error(self, method, **params):
        try:
            result = self.call(method, **params)
        except RpcError as error:
            return error
        raise AssertionError(f"{method} was not refused but answered {result!r}")
