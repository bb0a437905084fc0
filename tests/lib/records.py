"""records.py: encodes and decodes records as protocol/FORMAT.md describes them, with nothing but Python's struct."""
import struct

HEADER = struct.Struct("<BBHIIIQQqQ")
KEY, TAG, ORDER, PRIORITY, TTL, TXN, GROUP, REASON, ORIGIN, ATTEMPTS, PROPS = (1 << i for i in range(11))


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def sized(data):
    return varint(len(data)) + data


def message(seq, body, key=(), tag=None, order=None, ttl=None, props=None):
    fields, rest = 0, b""
    if key:
        fields |= KEY
        rest += varint(len(key)) + b"".join(sized(k) for k in key)
    if tag is not None:
        fields |= TAG
        rest += sized(tag)
    if order is not None:
        fields |= ORDER
        rest += sized(order)
    if ttl is not None:
        fields |= TTL
        rest += varint(ttl)
    if props:
        fields |= PROPS
        rest += varint(len(props)) + b"".join(sized(n) + sized(v) for n, v in props.items())
    return varint(fields) + varint(seq) + varint(0) + rest + sized(body)


def record(messages, checksum=0):
    """Makes a batch of encoded messages."""
    starts, at = b"", 0
    for m in messages:
        starts += struct.pack("<I", at)
        at += len(m)
    return HEADER.pack(1, 0, 0, checksum, len(messages), at, 0, 0, 0, 0) + b"".join(messages) + starts


def batch(bodies, **attributes):
    return record([message(i, body, **attributes) for i, body in enumerate(bodies)])


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def varint(self):
        n = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            n |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return n

    def sized(self):
        n = self.varint()
        self.at += n
        assert self.at <= len(self.data)
        return self.data[self.at - n:self.at]


def decode(data, stored=True):
    """Returns (offset, body) of each message; the record must be whole. stored=False: it is a client's batch."""
    version, _, zero, _, count, length, base, index, stored_ms, _ = HEADER.unpack_from(data)
    assert (version, zero) == (1, 0) and (index > 0) == (stored_ms > 0) == stored
    assert len(data) == HEADER.size + length + 4 * count, (len(data), length, count)
    starts = struct.unpack_from(f"<{count}I", data, HEADER.size + length) + (length,)
    assert starts[0] == 0
    out = []
    for i in range(count):
        r = Reader(data[HEADER.size + starts[i]:HEADER.size + starts[i + 1]])
        fields = r.varint()
        r.varint(), r.varint()
        for bit in (KEY, TAG, ORDER, PRIORITY, TTL, TXN, GROUP, REASON, ORIGIN, ATTEMPTS, PROPS):
            if not fields & bit:
                continue
            if bit in (PRIORITY, TTL, TXN, ATTEMPTS):
                r.varint()
                continue
            for _ in range(r.varint() * (2 if bit == PROPS else 1) if bit in (KEY, PROPS) else 1):
                r.sized()
        out.append((base + i, r.sized()))
        assert r.at == len(r.data)
    return out


def granted(note):
    """Returns (offset, body) of the messages of a `records` notification that are leased."""
    all_of_them = decode(note["record"])
    if "bits" not in note:
        return all_of_them
    bits = int.from_bytes(note["bits"], "little")
    return [m for i, m in enumerate(all_of_them) if bits >> i & 1]
