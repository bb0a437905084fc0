#!/usr/bin/python3
"""powercut.py [rounds]: as kill.py, but what was not synced is lost, as it is when the power fails.

powercut.c, loaded into the broker, notes for each file how much of it is synced. After the SIGKILL every
file below the data folder is cut to a length between that and its present one, and sometimes the part
that was not synced is filled with zeros, as file systems do that had grown the file already.
"""
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

import rounds  # noqa: E402 (the path comes first)

ROUNDS = 5
ROWS = 65536
ROW = struct.Struct("<QQ")


class PowerCut:
    def __init__(self, folder):
        self.library = os.path.join(folder, "powercut.so")
        self.table = os.path.join(folder, "table")
        self.lost_bytes = self.cuts = 0
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE",
                        "-o", self.library, os.path.join(HERE, "powercut.c"), "-ldl", "-pthread"],
                       check=True)
        self.write_table({})

    def environment(self):
        """Data folders of tests have names of their own, so the filter is the temporary folder."""
        asan = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": self.library, "POWERCUT_TABLE": self.table,
                "POWERCUT_FOLDER": tempfile.gettempdir(),
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

    def crash(self, broker, chance):
        broker.kill()
        synced, now = self.read_table(), {}
        for folder, _, names in os.walk(broker.data):
            for name in names:
                path = os.path.join(folder, name)
                now[os.stat(path).st_ino] = self.cut(path, synced, chance)
        self.write_table(now)  # what is there now is on disk
        self.cuts += 1

    def cut(self, path, synced, chance):
        """Loses what a power cut may lose of one file; gives the length that is left."""
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


def main():
    with tempfile.TemporaryDirectory(prefix="halfmq-powercut-") as folder:
        power = PowerCut(folder)
        status = rounds.run(ROUNDS, power.crash, power.environment())
        print(f"{power.cuts} power cuts took {power.lost_bytes} bytes that were not synced")
        return status


if __name__ == "__main__":
    sys.exit(main())
