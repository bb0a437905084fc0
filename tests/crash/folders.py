#!/usr/bin/python3
"""folders.py: the data folder: it outlasts a power cut from its first life on, and only its user may read it."""
import contextlib
import os
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

from broker import Broker, run_tests  # noqa: E402 (the path comes first)


def modes(folder):
    """Returns {path: mode} of a folder and all that is in it."""
    paths = [folder] + [os.path.join(at, name) for at, folders, files in os.walk(folder) for name in folders + files]
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # the store deletes what it has compacted
            found[path] = stat.S_IMODE(os.stat(path).st_mode)
    return found


def only_for_its_user(folder):
    found = modes(folder)
    assert len(found) > 8, found
    open_ones = {path: oct(mode) for path, mode in found.items() if mode & 0o077}
    assert not open_ones, open_ones


def test_modes_whatever_the_umask():
    before = os.umask(0)
    try:
        with Broker() as broker:
            broker.text().call("SEND", "t", "b")
            only_for_its_user(broker.data)
    finally:
        os.umask(before)


def test_modes_whatever_they_were():
    with Broker() as broker:
        broker.text().call("SEND", "t", "b")
        broker.stop()
        for path in modes(broker.data):
            os.chmod(path, 0o755 if os.path.isdir(path) else 0o644)
        beside = os.path.join(broker.data, "not-the-brokers")
        with open(beside, "w", encoding="ascii"):
            os.chmod(beside, 0o644)
        broker.start()
        assert stat.S_IMODE(os.stat(beside).st_mode) == 0o644
        os.unlink(beside)
        only_for_its_user(broker.data)


def test_new_folders_are_synced():
    """A folder that was made is there after a power cut only if the one above it was synced since."""
    with tempfile.TemporaryDirectory(prefix="halfmq-test-") as folder:
        library, log = os.path.join(folder, "folders.so"), os.path.join(folder, "log")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library,
                        os.path.join(HERE, "folders.c"), "-ldl"], check=True)
        with open(log, "w", encoding="ascii"):
            pass
        asan = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0"]))
        data = os.path.join(folder, "a", "b")
        with Broker("--data", data, environment={"LD_PRELOAD": library, "FOLDERS_LOG": log, "ASAN_OPTIONS": asan}):
            with open(log, encoding="utf-8") as f:
                told = f.read().splitlines()
        for path in (os.path.dirname(data), data, data + "/store", data + "/wal"):
            path = os.path.realpath(path)
            assert f"made {path}" in told, (path, told)
            assert f"synced {os.path.dirname(path)}" in told[told.index(f"made {path}"):], (path, told)


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
