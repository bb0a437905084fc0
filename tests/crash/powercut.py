#!/usr/bin/python3
"""powercut.py [rounds]: like kill.py, but bytes that were not synced are lost, as after a power failure.

powercut.c, which is loaded into the broker, records how much of each file is synced, and for the log in wal/
the bytes that each write without a sync has overwritten. After the SIGKILL each file below the data folder

    gets back some of the overwritten bytes, sector by sector       (put_back)
    loses any bytes of the blocks that these writes touched         (tear)
    is cut to a length between the synced one and its present one   (cut)

and is sometimes filled with zeros after the cut, as a file system may do that had extended the file already.
"""
import collections
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

import rounds  # noqa: E402 (the path comes first)
from broker import SOURCE  # noqa: E402

ROUNDS = 5
ROWS = 65536
ROW = struct.Struct("<QQ")
SECTOR = 512
BLOCK = 4096  # what a disk may destroy when it loses power while it writes a part of it
SLOTS = 32768
GIVEN_UP = struct.Struct("<Q")
SLOT = struct.Struct(f"<QQQQ{SECTOR}s")

Save = collections.namedtuple("Save", "offset old")  # a part of one sector, and what was there


class PowerCut:
    def __init__(self, folder, tears=False):
        self.tears, self.torn_bytes = tears, 0
        self.library = os.path.join(folder, "powercut.so")
        self.table = os.path.join(folder, "table")
        self.undo = os.path.join(folder, "undo")
        self.lost_bytes = self.undone_bytes = self.given_up = self.cuts = 0
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE",
                        "-I", SOURCE, "-o", self.library, os.path.join(HERE, "powercut.c"),
                        os.path.join(HERE, "powercut_undo.c"), "-ldl", "-pthread"], check=True)
        self.write_table({})
        self.clear_undo()

    def environment(self):
        """The variables for powercut.c. Each broker has a data folder of its own, below the temporary folder, so
        that is the folder it watches."""
        asan = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": self.library, "POWERCUT_TABLE": self.table, "POWERCUT_UNDO": self.undo,
                "POWERCUT_FOLDER": os.path.realpath(tempfile.gettempdir()),
                "ASAN_OPTIONS": ":".join(filter(None, [asan, "verify_asan_link_order=0"]))}

    def write_table(self, lengths):
        data = bytearray(ROWS * ROW.size)
        for inode, length in lengths.items():
            place = inode % ROWS
            while ROW.unpack_from(data, place * ROW.size)[0]:
                place = (place + 1) % ROWS
            ROW.pack_into(data, place * ROW.size, inode, length)
        with open(self.table, "wb") as f:
            f.write(data)

    def read_table(self):
        with open(self.table, "rb") as f:
            return {inode: length for inode, length in ROW.iter_unpack(f.read()) if inode}

    def clear_undo(self):
        with open(self.undo, "wb") as f:
            f.truncate(GIVEN_UP.size + SLOTS * SLOT.size)

    def read_undo(self):
        """Returns for each inode the bytes overwritten since its last sync, in the order of the writes."""
        with open(self.undo, "rb") as f:
            data = memoryview(f.read())
        self.given_up += GIVEN_UP.unpack_from(data)[0]
        saves = collections.defaultdict(list)
        taken = (slot for slot in SLOT.iter_unpack(data[GIVEN_UP.size:]) if slot[0])
        for inode, _, offset, length, old in sorted(taken, key=lambda slot: (slot[1], slot[2])):
            saves[inode].append(Save(offset, old[:length]))
        return saves

    def crash(self, broker, chance):
        broker.kill()
        now = self.lose(broker.data, self.read_table(), self.read_undo(), chance)
        self.write_table(now)  # the bytes that are left count as synced
        self.clear_undo()
        self.cuts += 1

    def lose(self, data, synced, saves, chance):
        """Loses bytes below the folder data that a power cut may lose. Returns the new length of each inode."""
        now = {}
        for folder, _, names in os.walk(data):
            for name in names:
                path = os.path.join(folder, name)
                inode = os.stat(path).st_ino
                if "/wal/" in path:  # a file elsewhere may have got the inode of a removed segment
                    self.put_back(path, saves.get(inode, []), chance)
                    self.tear(path, saves.get(inode, []), chance)
                now[inode] = self.cut(path, synced, chance)
        return now

    def put_back(self, path, saves, chance):
        """Puts some of the overwritten bytes of one file back."""
        size = os.stat(path).st_size
        with open(path, "r+b", buffering=0) as f:
            for save in reversed(unlucky(saves, chance)):  # the oldest bytes are written last
                old = save.old[:max(0, size - save.offset)]
                f.seek(save.offset)
                f.write(old)
                self.undone_bytes += len(old)

    def tear(self, path, saves, chance):
        """Destroys a part of some blocks that were being written, whatever was synced in them before."""
        if not self.tears or chance.random() < 0.25:
            return
        size = os.stat(path).st_size
        with open(path, "r+b", buffering=0) as f:
            for block in sorted({save.offset // BLOCK for save in saves}):
                first = block * BLOCK + chance.randrange(BLOCK)
                end = min(chance.randint(first, (block + 1) * BLOCK), size)
                if first < end and chance.random() < 0.5:
                    f.seek(first)
                    f.write(chance.randbytes(end - first))
                    self.torn_bytes += end - first

    def cut(self, path, synced, chance):
        """Cuts the end of one file. Returns its new length."""
        about = os.stat(path)
        sure = min(synced.get(about.st_ino, 0), about.st_size)
        how = chance.choice(("all", "all", "part", "zeros"))
        keep = sure if how == "all" else chance.randint(sure, about.st_size)
        if keep < about.st_size:
            os.truncate(path, keep)
            self.lost_bytes += about.st_size - keep
        if how == "zeros" and keep < about.st_size:
            os.truncate(path, chance.randint(keep, about.st_size))
        return os.stat(path).st_size


def unlucky(saves, chance):
    """Chooses the writes that did not reach the disk; returns them oldest first. If a write to a sector is lost, so
    are all later writes to it, because the disk writes a sector as a whole."""
    how = chance.choice(("none", "all", "end", "torn", "torn"))
    if how == "none":
        return []
    if how == "all":
        return saves
    if how == "end":  # the disk has written in the order of the writes, up to some point
        return saves[chance.randint(0, len(saves)):]
    sectors = collections.defaultdict(list)
    for save in saves:
        sectors[save.offset // SECTOR].append(save)
    return [save for of_one in sectors.values() for save in of_one[chance.randint(0, len(of_one)):]]


def main():
    with tempfile.TemporaryDirectory(prefix="halfmq-powercut-") as folder:
        power = PowerCut(folder, tears=True)
        status = rounds.run(ROUNDS, power.crash, power.environment())
        print(f"{power.cuts} power cuts took {power.lost_bytes} bytes that were not synced, and put back "
              f"{power.undone_bytes} that were overwritten; {power.torn_bytes} were destroyed")
        if power.given_up:
            print(f"{power.given_up} sectors were taken for synced: more than {SLOTS} waited for a sync")
        return status


if __name__ == "__main__":
    sys.exit(main())
