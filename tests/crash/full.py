#!/usr/bin/python3
"""full.py: a disk that is full at the start, while the broker runs, or when it stops, and too few descriptors: the
broker goes on, or ends with a sentence, and is never ended by a signal.

It needs a file system of its own, in a mount namespace that ends with the test. Where that is not allowed, only the
test of descriptors is run.
"""
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

from broker import ANSWER_SECONDS, HALFMQD, Broker, Message, Refused, eventually, pairs, run_tests  # noqa: E402 (the path comes first)

DISK = os.environ.get("FULL_DISK")  # the small file system
FILL = os.path.join(DISK or "", "fill")
FLAGS = ("--memory", "16MiB", "--disk_reserve", "0", "--data", os.path.join(DISK or "", "data"))


def leave(free):
    """Fills the disk but for so many bytes."""
    if os.path.exists(FILL):
        os.unlink(FILL)
    disk = os.statvfs(DISK)
    room = disk.f_bavail * disk.f_frsize - free
    try:
        with open(FILL, "wb", 0) as f:
            while room > 0:
                room -= f.write(bytes(min(room, 65536)))
    except OSError:
        pass


def clear():
    for path in os.listdir(DISK):
        path = os.path.join(DISK, path)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def ended_well(broker, status):
    """It was stopped as asked, or has said why it ended."""
    last = broker.read_log().splitlines()[-1]
    assert (status == 0 and b'msg="stopped"' in last) or \
        (status in (1, 70) and re.search(rb"level=error .*full", last)), (status, last)


def send_until_full(broker):
    """Returns how many were acknowledged."""
    c = broker.text()
    for i in range(10000):
        try:
            c.call("SEND", "t", b"x" * 3000, "QUEUE", "0")
        except (Refused, EOFError, OSError):
            return i
    raise AssertionError("the disk does not get full")


def starts_on_a_full_disk(free, end):
    clear()
    with Broker(*FLAGS) as broker:
        c = broker.text()
        for i in range(100):
            c.call("SEND", "t", b"x" * 5000, "QUEUE", "0")
        if end == "kill":
            broker.kill()
        else:
            assert broker.stop() == 0
        leave(free)
        broker.launch()
        log = lambda: broker.read_log(broker.seen)  # noqa: E731 (short)
        eventually(lambda: b'msg="ready"' in log() or not broker.runs(), "it starts, or ends")
        if broker.runs():
            broker.wait_until_ready()
            send_until_full(broker)
            ended_well(broker, broker.stop())
        else:
            ended_well(broker, broker.process.wait())
        os.unlink(FILL)
        broker.start()
        c = broker.text()
        for i in range(100):
            assert c.call("GET", f"t:0:{i}")[1] == b"x" * 5000, i


def test_full_at_the_start():
    if not DISK:
        return
    for free in (0, 4096, 65536, 300000, 1 << 20, 1200000):
        for end in ("kill", "stop"):
            starts_on_a_full_disk(free, end)


def test_full_when_it_stops():
    if not DISK:
        return
    clear()
    with Broker(*FLAGS) as broker:
        n = send_until_full(broker)
        leave(0)
        ended_well(broker, broker.stop())
        os.unlink(FILL)
        broker.start()
        assert broker.text().call("GET", f"t:0:{n - 1}")[1] == b"x" * 3000


def test_a_repeat_is_answered_while_full():
    """What was stored before the disk was full is answered again: the client must not take it for lost."""
    if not DISK:
        return
    clear()
    with Broker(*FLAGS[:2], "--disk_reserve", "2MiB", *FLAGS[4:]) as broker:
        c = broker.text()
        first = c.call("SEND", "t", "a", "DEDUP", "x")
        txid = c.call("HALF", "pg", "t", "b", "DEDUP", "x")
        send_until_full(broker)
        try:
            c.call("SEND", "t", "c", "DEDUP", "y")
            raise AssertionError("the disk is not full")
        except Refused as refused:
            assert "DISKFULL" in str(refused), refused
        assert c.call("SEND", "t", "a", "DEDUP", "x") == first
        assert c.call("HALF", "pg", "t", "b", "DEDUP", "x") == txid


def letters(c, n):
    """Makes n dead letters of group g, with bodies of their own."""
    bodies = {f"{i}-".encode() + b"x" * 3000 for i in range(n)}
    for body in bodies:
        c.call("SEND", "t", body, "QUEUE", "0")
    while got := c.call("POP", "g", "t", "COUNT", "100"):
        for m in got:
            c.call("REJECT", "g", m[0])
    return bodies


def dead(c):
    bodies, cursor = set(), b"0"
    while True:
        cursor, page = c.call("DLQ", "LIST", "g", "COUNT", "1000", "CURSOR", cursor)
        bodies |= {Message(m).body for m in page}
        if cursor == b"0":
            return bodies


def test_full_while_dead_letters_are_redriven():
    """REDRIVE stores each letter anew. Where there is no room it is refused, and has done nothing; PURGE is done."""
    if not DISK:
        return
    clear()
    with Broker(*FLAGS[:2], "--disk_reserve", "2MiB", *FLAGS[4:]) as broker:
        c = broker.text()
        bodies = letters(c, 300)
        assert dead(c) == bodies
        redriven = 0
        try:
            while redriven < 250:
                redriven += c.call("DLQ", "REDRIVE", "g", "COUNT", "1")
                c.send("SEND", "t", b"x" * 60000)
                c.read_value()  # stored, or refused
            raise AssertionError("the disk is not full")
        except Refused as refused:
            assert refused.code == "DISKFULL", refused
        assert len(dead(c)) == 300 - redriven, redriven
        broker.kill()
        broker.start()
        c = broker.text()
        assert len(dead(c)) == 300 - redriven
        soon(c, "TOPIC", "DELETE", "t")  # makes room
        soon(c, "TOPIC", "CREATE", "t")

        def goes_on():
            nonlocal redriven
            try:
                redriven += c.call("DLQ", "REDRIVE", "g")
            except Refused as refused:
                assert refused.code == "DISKFULL", refused
            return redriven == 300

        eventually(goes_on, "there is room again")
        got = []
        while messages := c.call("POP", "g", "t", "COUNT", "100"):
            got += [Message(m).body for m in messages]
        assert len(got) == 300 and set(got) == bodies, len(got)
        assert not dead(c) and c.call("DLQ", "PURGE", "g") == 0


def resize(size):
    """Gives the small file system another size, and empties it."""
    clear()
    subprocess.run(["mount", "-o", f"remount,size={size}", DISK], check=True)


def folder_bytes(folder):
    total = 0
    for name in os.listdir(folder):
        try:
            total += os.path.getsize(os.path.join(folder, name))
        except FileNotFoundError:
            pass  # RocksDB has just deleted it
    return total


def fill_two_topics(c, body):
    """Returns how many messages each has."""
    for i in range(100000):
        for topic in ("a", "b"):
            try:
                c.call("SEND", topic, body, "QUEUE", "0")
            except Refused as refused:
                assert refused.code == "DISKFULL", refused
                return i
    raise AssertionError("the disk does not get full")


def is_done(c, *words):
    try:
        c.call(*words)
        return True
    except Refused as refused:
        assert refused.code == "DISKFULL", refused
        return False


def soon(c, *words):
    """Calls what goes on while the disk is full. On a starved machine a flush may be waiting for room just then, and the
    reserve is for that first."""
    replies = []

    def done():
        replies.append(c.call_value(*words))
        return not isinstance(replies[-1], Refused) or replies[-1].code != "DISKFULL"

    eventually(done, f"{words} is done")
    assert not isinstance(replies[-1], Refused), replies[-1]
    return replies[-1]


def execute(c, *commands):
    """The reply to an EXEC of these commands."""
    c.call("MULTI")
    for words in commands:
        assert c.call(*words) == "QUEUED"
    return c.call_value("EXEC")


def is_refused(c, body, *words):
    """Is the command refused while the disk is full? {} is the number of the try. On a starved machine a flush may end just then,
    and what it gives back makes room for some more."""
    for i in range(20):
        if not is_done(c, *[word.format(i) for word in words]):
            return True
        fill_two_topics(c, body)
    return False


def goes_on_while_full(c, body, txid):
    messages = [Message(m) for m in soon(c, "POP", "g", "b", "COUNT", "5")]
    assert len(messages) == 5
    assert soon(c, "ACK", "g", messages[0].id) == 1
    c.call("NACK", "g", messages[1].id)
    c.call("EXTEND", "g", messages[2].id, "1m")
    c.call("REJECT", "g", messages[3].id)
    assert len(c.call("COMMIT", txid)) == 1
    for words in (("SEND", "b", "x"), ("MSEND", "b", "x"), ("HALF", "p", "b", "x"), ("TOPIC", "CREATE", "c{}"),
                  ("GROUP", "CREATE", "h{}", "b")):
        assert is_refused(c, body, *words), words
    assert execute(c, ("ACK", "g", messages[4].id), ("SEND", "b", "x")).code == "DISKFULL"
    assert execute(c, ("ACK", "g", messages[4].id), ("READ", "b", 0, 0))[0] == 1, "nothing was done before"


def deleted_space_is_writable(words, kill):
    """Two topics take turns in all files; what one of them gives back must be writable."""
    resize("96m")
    body = b"x" * 20000
    with Broker("--memory", "16MiB", "--data", os.path.join(DISK, "data")) as broker:
        c = broker.text()
        txid = c.call("HALF", "p", "b", body)
        n = fill_two_topics(c, body)
        goes_on_while_full(c, body, txid)
        c.call(*words)
        if kill:
            broker.kill()
            broker.start()
            c = broker.text()
        eventually(lambda: is_done(c, "SEND", "b", body), "the space is writable")
        eventually(lambda: folder_bytes(os.path.join(DISK, "data", "store")) < n * 20000 * 3 // 2, "it is given back")
        more = 0
        while more < n // 3 and is_done(c, "SEND", "b", body):
            more += 1
        assert more >= n // 3, (more, n)  # the log keeps some files more than before
        assert c.call("POP", "g", "b", "COUNT", "5")
    resize("16m")


def test_what_is_deleted_is_writable_again():
    if DISK:
        deleted_space_is_writable(("TOPIC", "DELETE", "a"), False)


def test_what_is_purged_is_writable_again_over_a_kill():
    if DISK:
        deleted_space_is_writable(("TOPIC", "PURGE", "a"), True)


def test_what_retention_takes_is_writable_again():
    """Also a setting that makes room is taken while the disk is full."""
    if DISK:
        deleted_space_is_writable(("TOPIC", "SET", "a", "MAXBYTES", "100000"), False)
        deleted_space_is_writable(("TOPIC", "SET", "a", "RETENTION", "1"), True)


def backup_on_a_full_disk(broker, backups, others):
    """A backup appears whole or not at all. others: may messages be sent meanwhile? How much room one needs depends on how
    much of the log is not in files yet, so the last one has all there is."""
    c = broker.text()
    done = refused = 0
    for free in (0, 4096, 20000, 60000, 150000, 300000, 600000, 1200000, 2400000, 6000000, None):
        if free is not None:
            leave(free)
        elif os.path.exists(FILL):
            os.unlink(FILL)
        made = c.call_value("BACKUP", "b")
        if isinstance(made, Refused):
            refused += 1
            assert made.code == "DISKFULL", (free, made)
            assert c.call("BACKUP", "LIST") == [] and os.listdir(backups) == [], (free, os.listdir(backups))
        else:
            done += 1
            path = pairs(made)["path"].decode()
            if os.path.exists(FILL):
                os.unlink(FILL)  # a check needs room for what the log says
            checked = subprocess.run([HALFMQD, "--check", "--data", path], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, (free, checked)
            assert c.call("BACKUP", "DELETE", "b") == "OK"
        assert not others or c.call("SEND", "t", "goes on", "QUEUE", "1").startswith(b"t:1:")
    assert refused > 0 and done > 0, (refused, done)
    if os.path.exists(FILL):
        os.unlink(FILL)
    assert pairs(c.call("BACKUP", "b"))["path"]


def test_a_backup_on_a_full_disk():
    """The backups are on the full disk, and the store is elsewhere; then all is there."""
    if not DISK:
        return
    clear()
    backups = os.path.join(DISK, "backups")
    os.mkdir(backups)
    with Broker(*FLAGS[:4], "--backup_dir", backups) as broker:
        send_some(broker)
        backup_on_a_full_disk(broker, backups, True)
    clear()
    with Broker(*FLAGS) as broker:
        send_some(broker)
        os.makedirs(os.path.join(DISK, "data", "backups"), exist_ok=True)
        backup_on_a_full_disk(broker, os.path.join(DISK, "data", "backups"), False)


def send_some(broker):
    """In tables, and in the log behind them."""
    c = broker.text()
    for i in range(200):
        c.call("SEND", "t", f"{i}" * 1000, "QUEUE", "0")
    assert broker.stop() == 0
    broker.start()
    broker.text().call("SEND", "t", "last", "QUEUE", "0")


def test_deleted_topics_give_their_bytes_back():
    """Also where the disk is large and nobody writes."""
    with Broker("--memory", "16MiB", "--fsync", "never") as broker:
        c = broker.text()
        for i in range(1000):
            for topic in ("a", "b"):
                c.call("SEND", topic, b"x" * 20000, "QUEUE", "0")
        c.call("TOPIC", "DELETE", "a")
        store = os.path.join(broker.data, "store")
        eventually(lambda: 20e6 < folder_bytes(store) < 25e6, "the bytes of the deleted topic are given back", 30)
        assert c.call("GET", "b:0:999")[1] == b"x" * 20000


def writable_again(broker):
    c = broker.text()
    eventually(lambda: is_done(c, "SEND", "t", b"x" * 20000, "QUEUE", "0"), "it is writable", 5)
    c.close()


def test_compaction_recovers_from_a_full_disk():
    """RocksDB goes on by itself where a flush or a compaction found the disk full."""
    if not DISK:
        return
    resize("64m")
    with Broker(*FLAGS) as broker:
        c = broker.text()
        for i in range(300):
            c.call("SEND", "t", b"x" * 20000, "QUEUE", "0")
        leave(300000)
        for i in range(300):
            is_done(c, "SEND", "t", b"x" * 20000, "QUEUE", "0")
        os.unlink(FILL)
        writable_again(broker)
        assert broker.text().call("GET", "t:0:299")[1] == b"x" * 20000
    resize("16m")


def leave_until_full(c, free):
    """RocksDB may delete some of its files meanwhile, and is left less then."""
    def full():
        leave(free)
        return not is_done(c, "SEND", "full", b"x", "QUEUE", "0")
    eventually(full, "the disk is full")


def filled_by_others_beside_a_writer(free, sends):
    """Others fill the disk while RocksDB flushes and compacts, and go again."""
    clear()
    with Broker(*FLAGS) as broker:
        done, stopping = [], threading.Event()

        def writes():
            c = broker.text()
            while not stopping.is_set():
                if is_done(c, "SEND", "t", b"x" * 20000, "QUEUE", "0"):
                    done.append(len(done))

        thread = threading.Thread(target=writes)
        thread.start()
        eventually(lambda: len(done) >= sends, "it writes")
        leave(free)
        thread.join(0.05)  # it may be waiting for room now, or be refused; whichever it is
        os.unlink(FILL)
        writable_again(broker)
        stopping.set()
        thread.join()
        last = len(done) - 1
        assert broker.text().call("GET", f"t:0:{last}")[1] == b"x" * 20000


def test_others_fill_the_disk_beside_a_writer():
    if not DISK:
        return
    resize("64m")
    for free in (0, 100000, 300000, 1000000):
        for sends in (230, 870, 1130):
            filled_by_others_beside_a_writer(free, sends)
    resize("16m")


def deleted_where_others_left_nothing(words, kill):
    """The reserve is room for the deletion, and is there again afterwards."""
    resize("96m")
    body = b"x" * 20000
    with Broker("--memory", "16MiB", "--data", os.path.join(DISK, "data")) as broker:
        reserve = os.path.join(DISK, "data", "reserve")
        held = lambda: os.stat(reserve).st_blocks * 512  # noqa: E731 (short)
        full = 18 << 20  # three quarters of the reserve, which is a quarter of the disk here
        eventually(lambda: held() == full, "the reserve is there")
        c = broker.text()
        for i in range(1000):
            for topic in ("a", "b"):
                c.call("SEND", topic, body, "QUEUE", "0")
        leave_until_full(c, 0)
        if kill:
            broker.kill()
            leave(0)
            broker.start()
            c = broker.text()
        c.call(*words)
        eventually(lambda: is_done(c, "SEND", "b", body, "QUEUE", "0"), "the space is writable", 5)
        eventually(lambda: held() == full, "the reserve is there again")
        assert c.call("GET", "b:0:999")[1] == body
    resize("16m")


def test_what_is_deleted_makes_room_where_others_left_nothing():
    if DISK:
        deleted_where_others_left_nothing(("TOPIC", "DELETE", "a"), False)


def test_what_is_deleted_makes_room_also_after_a_kill():
    if DISK:
        deleted_where_others_left_nothing(("TOPIC", "DELETE", "a"), True)


def test_what_retention_takes_makes_room_where_others_left_nothing():
    """It is timers that delete, and these go on."""
    if DISK:
        deleted_where_others_left_nothing(("TOPIC", "SET", "a", "MAXBYTES", "100000"), False)
        deleted_where_others_left_nothing(("TOPIC", "SET", "a", "RETENTION", "1"), True)


def test_retention_goes_on_where_the_reserve_is_spent():
    """What is started on a disk with next to nothing left frees what is too old, and takes messages again."""
    if not DISK:
        return
    resize("96m")
    data = os.path.join(DISK, "data")
    with Broker("--memory", "16MiB", "--data", data) as broker:
        c = broker.text()
        for topic in ("b", "a"):
            c.call("TOPIC", "CREATE", topic, "QUEUES", "1")
            for i in range(40):
                c.call("MSEND", topic, *([b"x" * 20000] * 25))
        c.call("TOPIC", "SET", "a", "RETENTION", "10s")
        broker.kill()
        os.unlink(os.path.join(data, "reserve"))
        leave(3 << 20)
        broker.start()
        c = broker.text()
        eventually(lambda: is_done(c, "SEND", "b", b"x" * 20000), "the space is writable", 60)
        assert c.call("GET", "b:0:999")[1] == b"x" * 20000
        eventually(lambda: c.call("READ", "a", "0", "earliest") == [], "what is too old is gone")
    resize("16m")


def test_64_descriptors():
    """200 clients want to connect. Some are served, and the others refused or kept waiting."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # noqa: E731 (short)
    with Broker("--memory", "64MB", before=few) as broker:
        c = broker.text()
        clients = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(200)]
        try:
            for i in range(3000):
                c.call("SEND", f"t{i % 20}", b"x" * 3000)
        except (EOFError, OSError):
            status, last = broker.process.wait(ANSWER_SECONDS), broker.read_log().splitlines()[-1]
            assert status == 70 and b"Too many open files" in last, (status, last)
            broker.start()
        for other in clients:
            other.close()


def test_too_few_descriptors_to_start():
    """The last line names the limit, whatever it was that could not be opened."""
    for limit in range(12, 40, 2):
        few = lambda limit=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # noqa: E731 (short)
        with Broker("--memory", "64MB", started=False, before=few) as broker:
            broker.launch()
            eventually(lambda: b'msg="ready"' in broker.read_log() or not broker.runs(), "it starts, or ends")
            if not broker.runs():
                status, last = broker.process.wait(), broker.read_log().splitlines()[-1]
                named = b"open files" in last or b"Too many open files" in last
                assert status == 1 and last.find(b"level=error") > 0 and named, (limit, status, last)


def test_few_descriptors():
    """The clients get fewer connections, and the store may run out of descriptors. Then the log says why it ended."""
    with Broker("--memory", "16MiB") as broker:
        c = broker.text()
        used = len(os.listdir(f"/proc/{broker.process.pid}/fd"))
        subprocess.run(["prlimit", "--pid", str(broker.process.pid), f"--nofile={used + 2}:{used + 2}"], check=True)
        clients = [broker.text() for _ in range(200)]
        try:
            for i in range(20000):
                c.call("SEND", f"t{i % 20}", b"x" * 3000)
        except (EOFError, OSError):
            status, last = broker.process.wait(ANSWER_SECONDS), broker.read_log().splitlines()[-1]
            assert status == 70 and b"Too many open files" in last, (status, last)
            broker.start()
        for other in clients:
            other.close()


def test_an_assertion_ends_with_a_sentence():
    """RocksDB asserts that no write fails, in many places. They end in abort()."""
    with Broker() as broker:
        os.kill(broker.process.pid, signal.SIGABRT)
        status, last = broker.process.wait(ANSWER_SECONDS), broker.read_log().splitlines()[-1]
        assert status == 70 and last.startswith(b"level=error "), (status, last)
        broker.start()


def on_a_disk_of(size, script):
    """Runs a script once more with a file system of its own in FULL_DISK. Returns its status, or None where that is not
    allowed."""
    with tempfile.TemporaryDirectory(prefix="halfmq-test-") as folder:
        words = " ".join(shlex.quote(word) for word in (sys.executable, script, *sys.argv[1:]))
        inside = f"mount -t tmpfs -o size={size} tmpfs {folder} && FULL_DISK={folder} exec {words}"
        if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return subprocess.run(["unshare", "-m", "sh", "-c", inside], check=False).returncode
    return None


def main():
    status = None if DISK else on_a_disk_of("16m", __file__)
    sys.exit(run_tests(sys.modules[__name__]) if status is None else status)


if __name__ == "__main__":
    main()
