#!/usr/bin/python3
"""powercut_tells.py: tests that the power cut of powercut.py loses bytes that are not synced, and no others.

A child process with powercut.c writes to <data>/wal/, reports when it is done, and is killed. Then its files are
cut repeatedly, from the same state, with different seeds. Synced bytes must be there every time, others only
sometimes.
"""
import atexit
import collections
import contextlib
import functools
import os
import random
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

from broker import die_with_parent, run_tests  # noqa: E402 (the path comes first)
from powercut import SECTOR, SLOTS, PowerCut  # noqa: E402

SEEDS = 60
SECTORS = 16

CHILD = f"""
import ctypes, os, sys, threading
wal = os.path.join(sys.argv[1], "wal")
undo = ctypes.CDLL(os.environ["LD_PRELOAD"])
undo.undo_save.argtypes = [ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t]
undo.undo_save.restype = undo.undo_sync_begins.restype = ctypes.c_uint64
undo.undo_written.argtypes = [ctypes.c_uint64]
undo.undo_synced.argtypes = [ctypes.c_uint64, ctypes.c_uint64]

def segment(name="1.wal", size={SECTORS * SECTOR}):
    folder = os.open(wal, os.O_RDONLY)
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o640, dir_fd=folder)
    os.pwrite(fd, b"." * size, 0)
    os.fdatasync(fd)
    return fd

def fill(fd, letter, first, count=1):
    os.pwritev(fd, [letter.encode() * {SECTOR} for _ in range(count)], first * {SECTOR})

def done():
    print("done", flush=True)
    sys.stdin.read()
"""


class Child:
    """Stands in for a broker in PowerCut.crash: it has a process to kill, and a data folder."""

    def __init__(self, folder, power, script):
        self.data = os.path.join(folder, "data")
        os.makedirs(os.path.join(self.data, "wal"))
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD + script, self.data], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, **power.environment()),
            preexec_fn=die_with_parent)

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def read(self, name="1.wal"):
        with open(os.path.join(self.data, "wal", name), "rb") as f:
            return f.read().decode("latin-1")


@contextlib.contextmanager
def killed(script):
    """Runs the script in a child until it reports that it is done, and kills it. Yields it and the PowerCut."""
    power = library()
    power.write_table({})
    power.clear_undo()
    power.given_up = 0
    with tempfile.TemporaryDirectory(prefix="halfmq-tells-") as folder:
        child = Child(folder, power, script)
        said = child.process.stdout.readline()
        child.kill()
        assert said == "done\n", "the child ended by itself"
        yield child, power


@functools.cache
def library():
    """Returns the PowerCut; it compiles the library, so there is only one."""
    folder = tempfile.mkdtemp(prefix="halfmq-tells-")
    atexit.register(shutil.rmtree, folder)
    return PowerCut(folder)


def cuts(child, power, seeds=SEEDS):
    """Yields the bytes of the segment after a cut with each of the seeds, each time from the same state."""
    segment = os.path.join(child.data, "wal", "1.wal")
    synced, saves = power.read_table(), power.read_undo()
    with open(segment, "rb") as f:
        before = f.read()
    for seed in range(seeds):
        with open(segment, "r+b") as f:  # keeps the inode
            f.write(before)
            f.truncate()
        power.lose(child.data, synced, saves, random.Random(seed))
        yield child.read()


def outcomes(script):
    """Runs the script and cuts. Returns the letters that each sector had after some cut, and the set of all results
    as strings with one letter for each sector."""
    with killed(script) as (child, power):
        per_sector, whole = collections.defaultdict(set), set()
        for text in cuts(child, power):
            sectors = [text[at:at + SECTOR] for at in range(0, len(text), SECTOR)]
            assert all(len(set(s)) == 1 for s in sectors), "a sector is torn within"
            whole.add("".join(s[0] for s in sectors))
            for i, s in enumerate(sectors):
                per_sector[i].add(s[0])
        assert power.given_up == 0
        return per_sector, whole


def test_what_was_synced_stays_and_the_rest_may_go():
    sectors, whole = outcomes("""
fd = segment(); fill(fd, 'a', 0, 8); os.fdatasync(fd); fill(fd, 'b', 4, 8); done()""")
    assert all(sectors[i] == {"a"} for i in range(4))
    assert all(sectors[i] == {"a", "b"} for i in range(4, 8))
    assert all(sectors[i] == {".", "b"} for i in range(8, 12))
    assert all(sectors[i] == {"."} for i in range(12, SECTORS))
    assert {"aaaabbbbbbbb....", "aaaaaaaa........"} <= whole, "all of it, and nothing"
    assert any(".b" in w for w in whole), "a later sector without the one before it"


def test_without_the_sync_it_is_lost():
    sectors, whole = outcomes("fd = segment(); fill(fd, 'a', 0, 8); fill(fd, 'b', 4, 8); done()")
    assert sectors[0] == {".", "a"}, "the same test with its sync left out"
    assert "." * SECTORS in whole


def test_a_sector_goes_back_to_any_of_its_writes():
    sectors, whole = outcomes("""
fd = segment(); fill(fd, 'a', 0, 4); os.fsync(fd)
for letter in 'bcd':
    fill(fd, letter, 0, 4)
done()""")
    assert all(sectors[i] == {"a", "b", "c", "d"} for i in range(4)), "never what was before the sync"
    assert "aaaa" + "." * 12 in whole


def test_a_part_of_a_sector_takes_its_neighbour_along_only_if_that_is_not_synced():
    with killed("""
fd = segment(); os.pwrite(fd, b'a' * 100, 0); os.fdatasync(fd)
os.pwrite(fd, b'b' * 100, 100); os.pwrite(fd, b'c' * 100, 200); done()""") as (child, power):
        seen = {(t[:100], t[100:200], t[200:300]) for t in cuts(child, power)}
    a, b, c, old = "a" * 100, "b" * 100, "c" * 100, "." * 100
    assert seen == {(a, b, c), (a, b, old), (a, old, old)}


def test_a_sync_does_not_cover_a_write_that_is_under_way():
    """Does the steps of a write one by one, with a sync in between."""
    sectors, _ = outcomes(f"""
fd = segment(); inode = os.fstat(fd).st_ino
fill(fd, 'a', 0); under_way = undo.undo_save(fd, inode, {SECTOR}, {SECTOR})
began = undo.undo_sync_begins()
undo.undo_written(under_way); fill(fd, 'c', 2)
undo.undo_synced(inode, began)
with open(f"/proc/self/fd/{{fd}}", "r+b") as past_the_library:
    past_the_library.seek({SECTOR}); past_the_library.write(b'b' * {SECTOR})
done()""")
    assert sectors[0] == {"a"}
    assert sectors[1] == {".", "b"}
    assert sectors[2] == {".", "c"}


def test_a_sync_of_another_file_covers_nothing():
    sectors, _ = outcomes("""
fd = segment(); other = segment('2.wal'); fill(fd, 'a', 0); fill(other, 'a', 0)
os.fdatasync(other); done()""")
    assert sectors[0] == {".", "a"}


def test_nothing_comes_back_behind_the_end_of_a_file():
    with killed(f"""
fd = segment(); fill(fd, 'a', 0, 4); os.fdatasync(fd); fill(fd, 'b', 0, 4)
os.ftruncate(fd, 100); os.pwrite(fd, b'c' * {2 * SECTOR}, 100); done()""") as (child, power):
        seen = {(t[:100], letters) for t in cuts(child, power) for letters in (t[100:] or "c")}
    assert seen == {("a" * 100, "c"), ("b" * 100, "c"), ("a" * 100, "\0"), ("b" * 100, "\0")}


def test_nothing_comes_back_in_a_file_that_begins_anew():
    with killed(f"""
fd = segment(); fill(fd, 'a', 0, 4); os.fdatasync(fd); fill(fd, 'b', 0, 4)
fd = os.open("1.wal", os.O_RDWR | os.O_TRUNC, dir_fd=os.open(wal, os.O_RDONLY))
os.pwrite(fd, b'c' * {4 * SECTOR}, 0); done()""") as (child, power):
        texts = list(cuts(child, power))
    assert min(map(len, texts)) == 0 and set("".join(texts)) == {"c", "\0"}


def test_every_call_that_writes_at_an_offset():
    names = ("pwrite", "pwrite64", "pwritev", "pwritev64", "pwritev2", "pwritev64v2")
    sectors, _ = outcomes(f"""
class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("n", ctypes.c_size_t)]
fd = segment(); data = b"a" * {SECTOR}; iov = (Iovec * 1)((data, len(data)))
for i, name in enumerate({names!r}):
    what = (iov, 1) if "v" in name else (data, len(data))
    how = (0,) if name.endswith("v2") else ()
    undo[name].restype = ctypes.c_ssize_t
    assert undo[name](fd, *what, ctypes.c_int64(i * len(data)), *how) == len(data), name
done()""")
    assert all(sectors[i] == {".", "a"} for i in range(len(names))), dict(sectors)


def test_the_end_of_a_file_that_grew_is_cut_as_well():
    with killed("fd = segment(); fill(fd, 'a', 14, 4); done()") as (child, power):
        texts = list(cuts(child, power))
    assert min(map(len, texts)) == SECTORS * SECTOR < max(map(len, texts)) <= (SECTORS + 2) * SECTOR
    assert {t[14 * SECTOR] for t in texts} == {".", "a"}


class Worst:
    """A random generator whose choice is always to lose everything that may be lost."""

    def choice(self, _):
        return "all"


def test_what_a_cut_left_is_on_disk():
    with killed("fd = segment(); fill(fd, 'a', 0, 18); done()") as (child, power):
        power.crash(child, Worst())
        assert child.read() == "." * SECTORS * SECTOR
        assert set(cuts(child, power)) == {"." * SECTORS * SECTOR}


def test_more_than_the_area_holds_is_told():
    size = (SLOTS + SLOTS // 8) * SECTOR
    with killed(f"""
fd = segment(); os.ftruncate(fd, {size}); os.fdatasync(fd)
os.pwrite(fd, b'a' * {size}, 0); done()""") as (_, power):
        (saves,) = power.read_undo().values()
        assert power.given_up >= SLOTS // 8
    lost = [save.offset for save in saves]
    assert lost == list(range(power.given_up * SECTOR, size, SECTOR)), "the oldest are taken for synced"


def test_a_write_may_destroy_all_of_its_block_and_no_other():
    with killed("""
fd = segment(size=8192); fill(fd, 'a', 0, 16); os.fdatasync(fd); fill(fd, 'b', 9); done()""") as (child, power):
        power.tears = True
        try:
            results = list(cuts(child, power))
        finally:
            power.tears = False
    assert {result[:8 * SECTOR] for result in results} == {"a" * 8 * SECTOR}
    assert any(result[10 * SECTOR:] != "a" * 6 * SECTOR for result in results), "synced neighbours are destroyed"


def test_threads_that_write_and_sync_at_once():
    """Each thread writes its own sectors of one file, again and again. A write that it has reported as synced must
    be there after the cut."""
    with killed("""
fd = segment(); told = threading.Semaphore(0)
def write(first):
    for letter in 'abcdefghijklmnopqrstuvwxyz' * 4:
        fill(fd, letter, first, 4); os.fdatasync(fd); told.release()
    fill(fd, '#', first, 4); told.release()
def extend():
    other = segment('2.wal', 1 << 20)
    while True:
        os.pwrite(other, bytes(1 << 18), 0); os.fdatasync(other)
threading.Thread(target=extend, daemon=True).start()
for first in (0, 4, 8, 12):
    threading.Thread(target=write, args=(first,)).start()
for _ in range(4 * (26 * 4 + 1)):
    told.acquire()
done()""") as (child, power):
        letters = set("".join(cuts(child, power, 20)))
    assert letters <= {"z", "#"} and "#" in letters, letters


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
