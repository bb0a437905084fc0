"""rules_includes.py: who may include what, and that each header stands by itself."""
import fnmatch
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

from house import BUILD_HEADERS, FOREIGN, MAY_ALSO_INCLUDE, MAY_INCLUDE, PROGRAMS, ROOF_HEADERS, ROOMS
from rule import Breach, rule
from source import is_example


@rule
def include_direction(tree):
    for s in tree.c:
        for number, quoted, name in s.includes():
            room = name.split("/")[0] if "/" in name else None
            if room in ROOMS:
                if room == "tests" and s.room != "tests":
                    yield Breach(s.path, number, "include", f"nobody includes tests ({name})")
                elif room not in MAY_INCLUDE[s.room] and room not in MAY_ALSO_INCLUDE.get(s.path, ()):
                    yield Breach(s.path, number, "include",
                                 f"{s.room}/ must not know {room}/ ({name}); it may include from: "
                                 + " ".join(MAY_INCLUDE[s.room]))
            elif quoted and name not in BUILD_HEADERS and not is_example(s):
                yield Breach(s.path, number, "include",
                             f'"{name}" does not start with a room: write it from the root')


@rule
def roof_headers(tree):
    for s in tree.product:
        for number, _, name in s.includes():
            folder = ROOF_HEADERS.get(name)
            if folder and s.folder != folder:
                yield Breach(s.path, number, "roof", f'"{name}" is for the files directly in {folder}/: '
                                                     "have what you need handed in")


@rule
def foreign_headers(tree):
    for s in tree.own:
        for number, _, name in s.includes():
            for pattern, owners in FOREIGN:
                if fnmatch.fnmatch(name, pattern):
                    if not any(fnmatch.fnmatch(s.path, o) for o in owners):
                        where = " ".join(owners) or "the examples"
                        yield Breach(s.path, number, "foreign", f"<{name}> belongs to {where} alone")
                    break


@rule
def own_headers(tree):
    """x.c has x.h, or begins its includes with the header that it belongs to, of its own folder or one
    above. (That everything it offers is declared somewhere is -Wmissing-prototypes' part.)"""
    for s in tree.own:
        if s.is_header or s.name == "main.c" or s.path in PROGRAMS:
            continue
        included = [name for _, quoted, name in s.includes() if quoted]
        first = included[0] if included else ""
        if f"{s.base}.h" not in tree.by_path and \
                not (s.folder + "/").startswith((os.path.dirname(first) or "-") + "/"):
            yield Breach(s.path, 1, "header", f"no {s.base}.h, and its first include is no header "
                                              f"of {s.folder}/ that tells what it offers")


@rule
def headers_alone(tree):
    """Each header compiles by itself, and twice."""
    headers = [s.path for s in tree.c if s.is_header and not is_example(s)]
    if not headers:
        return
    flags = subprocess.run(["pkg-config", "--cflags", "hiredis", "msgpack"], capture_output=True,
                           text=True, check=False).stdout.split()
    with tempfile.TemporaryDirectory() as scratch:
        with open(os.path.join(scratch, "halfmq_version.h"), "w", encoding="utf-8") as f:
            f.write('#define HALFMQ_VERSION "0"\n')
        base = ["gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
                "-I", tree.root, "-I", os.path.join(tree.root, "clients/c"), "-I", scratch,
                *flags, "-x", "c", "-"]

        def compile_one(path):
            code = f'#include "{path}"\n' * 2
            done = subprocess.run(base, input=code, cwd=scratch, capture_output=True, text=True,
                                  check=False)
            return path, done.returncode, done.stderr

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, failed, text in pool.map(compile_one, headers):
                if failed:
                    errors = [x for x in text.splitlines() if "error" in x] or [text.strip()]
                    yield Breach(path, 1, "alone", "does not compile alone: " + errors[0])
