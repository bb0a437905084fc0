#!/usr/bin/python3
"""abi.py: compares the binary interface of libhalfmq with the one that is committed (clients/c/libhalfmq.abi).

It makes a library of empty functions out of halfmq.h, so that only what an application sees is in it, describes that with
abidw (Debian's abigail-tools) and compares with abidiff. Functions may be added; whatever else changes breaks programs that
are compiled already, and must be meant: `make client-abi UPDATE=1` writes the dump anew, and belongs into the same commit.
It also checks that the library exports exactly the functions of the header. Without abigail-tools, and on other machines
than x86-64, that is all it does, and it says so.
"""
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ.get("SOURCE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("BUILD") or os.path.join(SOURCE, "build")
HEADER = os.path.join(SOURCE, "clients", "c", "halfmq.h")
DUMP = os.path.join(SOURCE, "clients", "c", "libhalfmq.abi")
FLAGS = ("--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--no-elf-needed", "--type-id-style", "hash")


def declarations():
    """Yields (what it returns, name, parameters) for each function of the header."""
    with open(HEADER, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.DOTALL)
    for found in re.finditer(r"^HMQ_API (?:HMQ_MUST_CHECK )?([^;]*?)\b(hmq_\w+)\(([^;]*)\);", text, flags=re.MULTILINE):
        yield tuple(re.sub(r"\s+", " ", part).strip() for part in found.groups())


def stub(folder):
    """Compiles the library of empty functions. Returns its path."""
    lines = ['#include "%s"' % HEADER]
    for returned, name, parameters in declarations():
        lines.append("%s %s(%s) { %s }" % (returned, name, parameters, "" if returned == "void" else "return 0;"))
    source, library = os.path.join(folder, "stub.c"), os.path.join(folder, "libhalfmq.so.0")
    with open(source, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-g", "-O0", "-shared", "-fPIC", "-Wl,-soname,libhalfmq.so.0",
                    "-o", library, source], check=True)
    return library


def exported():
    done = subprocess.run(["nm", "-D", "--defined-only", os.path.join(BUILD, "lib", "libhalfmq.so")], capture_output=True,
                          text=True, check=True)
    return {line.split()[2].split("@")[0] for line in done.stdout.splitlines() if line.split()[1] == "T"}


def dump(library, path):
    subprocess.run(["abidw", *FLAGS, "--out-file", path, library], check=True)
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"(<abi-instr [^>]*path=)'[^']*'", r"\1'halfmq.h'", f.read())
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def compare(library, folder):
    """Returns what abidiff has to say; empty: nothing but functions that were added."""
    path = os.path.join(folder, "now.abi")
    dump(library, path)
    done = subprocess.run(["abidiff", "--no-added-syms", DUMP, path], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode != 0 else ""


def proves_itself(folder):
    """A dump in which a member is moved must be found out: otherwise an empty answer would prove nothing."""
    global HEADER
    kept = HEADER
    with open(HEADER, encoding="utf-8") as f:
        text = f.read()
    assert text.count("    int32_t queue;") == 1, "halfmq.h has no member `queue` any more: choose another one here"
    HEADER = os.path.join(folder, "halfmq.h")
    with open(HEADER, "w", encoding="utf-8") as f:
        f.write(text.replace("    int32_t queue;", "    int64_t queue;"))
    try:
        return "queue" in compare(stub(folder), folder)
    finally:
        HEADER = kept


def main():
    declared = {name for _, name, _ in declarations()}
    assert len(declared) > 100, sorted(declared)
    different = sorted(declared ^ exported())
    assert not different, f"declared, but not exported, or the other way round: {different}"
    if not shutil.which("abidiff") or platform.machine() != "x86_64":
        print("1 passed, 0 failed (abidiff is not here: install abigail-tools, on x86-64)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        library = stub(folder)
        if "--update" in sys.argv:
            dump(library, DUMP)
            print(f"{DUMP} is written")
            return 0
        said = compare(library, folder)
        assert not said, said + "\nIf this is meant: make client-abi UPDATE=1"
        assert proves_itself(folder), "abidiff does not see that a member has another type"
    print("3 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
