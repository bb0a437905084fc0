#!/usr/bin/python3
"""tidy.py: the house rules that a program can check. `tidy.py <root>` prints file:line: rule: text
for each breach and ends with 1 where there is one; without any it prints the medians.

    source ──► blank comments, strings, #else parts ──► code (same lines) ──► rules

Each rule is a generator function with the mark @rule that takes the Tree and yields breaches.
To add one: write it here, and give test_tidy.py a smallest tree that breaks it.
"""
import fnmatch
import os
import re
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOMS = ("protocol", "storage", "broker", "clients", "bench", "tests")
PRODUCT = ("protocol", "storage", "broker", "clients", "bench")

# Which rooms a room may include from.
MAY_INCLUDE = {
    "protocol": ("protocol",),
    "storage": ("storage", "protocol"),
    "broker": ("broker", "storage", "protocol"),
    "clients": ("clients", "protocol"),
    "bench": ("bench", "clients", "protocol"),
    "tests": ROOMS,
}

# A file that may include from one room more, and what for.
MAY_ALSO_INCLUDE = {
    "bench/probe/regress.c": "storage",  # counts the instructions of a request's path through the store
}

PROGRAMS = ("bench/probe/raw.c", "bench/probe/regress.c")  # as a main.c: they offer nothing, so they have no header

# Names that the build puts on the include path; everything else is written from the root.
BUILD_HEADERS = ("halfmq_version.h", "halfmq.h")

# Foreign header -> the product files that may know it. Examples are written as a user would write
# them and may use what they like.
FOREIGN = (
    ("msgpack.h", ("protocol/rpc/rpc*.c",)),
    ("msgpack/*", ("protocol/rpc/rpc*.c",)),
    ("xxhash.h", ("protocol/base/text.c", "protocol/record/message.c")),
    # bench/probe/raw.c is what the store is measured against: it must reach RocksDB past everything of ours.
    ("rocksdb/*", ("storage/disk/kv.c", "bench/probe/raw.c")),
    ("event2/http*.h", ("broker/http.c", "broker/webhook/webhook_call.c", "broker/webhook/webhook_pool.c")),
    ("event2/dns*.h", ("broker/webhook/webhook_dns.c",)),
    ("openssl/*", ("broker/webhook/webhook_sign.c",)),
    ("event2/*", ("broker/*", "clients/c/adapters/*")),
    ("cjson/*", ("broker/base/json.c", "clients/cli/*", "bench/*")),
    ("cJSON.h", ("broker/base/json.c", "clients/cli/*", "bench/*")),
    ("hiredis*", ("clients/cli/*", "bench/*")),
    ("*sqlite3.h", ()),
    ("histedit.h", ("clients/cli/*",)),
    ("editline/*", ("clients/cli/*",)),
    ("*libsmartcols.h", ("clients/cli/*",)),
)

FILE_LINES_MAX = 800
HEADER_LINES_MAX = 300
PUBLIC_HEADERS = ("clients/c/halfmq.h",)  # also the reference of the library: as long as a file
FUNCTION_LINES_MAX = 70
COMMENT_FROM_LINES = 150

BANNED = ("strcpy strcat sprintf vsprintf gets strtok atoi atol system popen alloca").split()

# What a pure room must not touch: the answer would no longer follow from the input alone.
IMPURE_CALLS = ("time clock clock_gettime gettimeofday localtime localtime_r rand rand_r random "
                "srand srandom drand48 arc4random getrandom getentropy sleep usleep nanosleep printf "
                "fprintf vfprintf vprintf puts fputs perror syslog").split()
IMPURE_HEADERS = "pthread.h threads.h syslog.h sys/random.h sys/time.h event2/* sys/socket.h".split()
CALENDAR_FILES = ("protocol/base/text*.c",)  # timegm and gmtime_r are pure; <time.h> is theirs alone

MARKS = ("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")
SKIPS = re.compile(r"\bskip\s*\(|\bskipTest\s*\(|\bskip(If|Unless)\b|@(unittest|pytest)[\w.]*skip"
                   r"|\bpytest\.(skip|xfail)\b|\bexpectedFailure\b")


class Breach:
    def __init__(self, path, line, rule_name, text):
        self.path, self.line, self.rule, self.text = path, line, rule_name, text

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


class Source:
    """One file: its lines, and for C the same lines with nothing but code in them."""

    def __init__(self, root, path):
        self.path = path
        self.room = path.split("/")[0]
        self.name = os.path.basename(path)
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
            self.text = f.read()
        self.lines = self.text.splitlines()
        self.is_c = path.endswith((".c", ".h"))
        self.code = code_only(self.text).split("\n") if self.is_c else []

    def functions(self):
        return functions_of(self.code)


class Tree:
    def __init__(self, root):
        self.root = root
        self.sources = []
        for room in ROOMS:
            for folder, folders, names in os.walk(os.path.join(root, room)):
                folders[:] = sorted(d for d in folders if d != "__pycache__")
                for name in sorted(names):
                    if name.endswith((".c", ".h", ".def", ".py", ".sh")):
                        path = os.path.relpath(os.path.join(folder, name), root)
                        self.sources.append(Source(root, path))
        self.c = [s for s in self.sources if s.is_c]
        self.product = [s for s in self.c if s.room in PRODUCT]


def is_example(source):
    return source.path.startswith("clients/examples/")


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """Comments, strings and characters become blanks, line breaks stay. Of an #if with an #else the
    first part stays, so that braces balance."""

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return re.sub(r"[^\n]", " ", found)

    text = join_directives(text)
    out, stack = [], []  # stack: for each open #if, whether its lines are dropped
    for line in TOKEN.sub(blank, text).split("\n"):
        word = re.match(r"\s*#\s*(\w+)", line)
        word = word.group(1) if word else ""
        if word in ("if", "ifdef", "ifndef"):
            stack.append(False)
        elif word in ("else", "elif") and stack:
            stack[-1] = True
        elif word == "endif" and stack:
            stack.pop()
        out.append("" if any(stack) else line)
    return "\n".join(out)


def join_directives(text):
    """A directive that runs over several lines stands on its first; the others become empty."""
    out, lines, i = [], text.split("\n"), 0
    while i < len(lines):
        line, more = lines[i], 0
        if re.match(r"\s*#", line):
            while line.endswith("\\") and i + more + 1 < len(lines):
                more += 1
                line = line[:-1] + " " + lines[i + more]
        out.append(line)
        out.extend([""] * more)
        i += more + 1
    return "\n".join(out)


def functions_of(code):
    """(name, first line, last line) of each function; lines count from 1. A function is a block at
    the outermost level whose text before the brace ends with a parameter list."""
    depth, start, head = 0, None, ""
    for number, line in enumerate(code, 1):
        if re.match(r"\s*#", line):
            continue
        for c in line:
            if c == "{":
                if depth == 0:
                    name = function_name(head)
                    open_at = start or number
                depth += 1
            elif c == "}":
                depth = max(0, depth - 1)
                if depth == 0:
                    if name:
                        yield name, open_at, number
                    start, head = None, ""
            elif depth == 0:
                if c == ";":
                    start, head = None, ""
                    continue
                if start is None and not c.isspace():
                    start = number
                head += c
        if depth == 0:
            head += " "


def function_name(head):
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", head).strip()
    head = re.sub(r"\b(MUST_CHECK|HMQ_\w+)$", "", head).strip()
    if not head.endswith(")") or "=" in head:
        return None
    found = re.search(r"([A-Za-z_]\w*)\s*\(", head)
    return found.group(1) if found else None


RULES = []


def rule(f):
    RULES.append(f)
    return f


def includes_of(source):
    for number, line in enumerate(source.lines, 1):
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if found:
            yield number, found.group(1) == '"', found.group(2)


@rule
def include_direction(tree):
    for s in tree.c:
        for number, quoted, name in includes_of(s):
            room = name.split("/")[0] if "/" in name else None
            if room in ROOMS:
                if room == "tests" and s.room != "tests":
                    yield Breach(s.path, number, "include", f"nobody includes tests ({name})")
                elif room not in MAY_INCLUDE[s.room] and room != MAY_ALSO_INCLUDE.get(s.path):
                    yield Breach(s.path, number, "include",
                                 f"{s.room}/ must not know {room}/ ({name}); it may include from: "
                                 + " ".join(MAY_INCLUDE[s.room]))
            elif quoted and name not in BUILD_HEADERS and not is_example(s):
                yield Breach(s.path, number, "include",
                             f'"{name}" does not start with a room: write it from the root')


@rule
def foreign_headers(tree):
    for s in tree.product:
        if is_example(s):
            continue
        for number, _, name in includes_of(s):
            for pattern, owners in FOREIGN:
                if fnmatch.fnmatch(name, pattern):
                    if not any(fnmatch.fnmatch(s.path, o) for o in owners):
                        where = " ".join(owners) or "the examples"
                        yield Breach(s.path, number, "foreign", f"<{name}> belongs to {where} alone")
                    break


@rule
def sizes(tree):
    for s in tree.c:
        short = s.path.endswith(".h") and s.path not in PUBLIC_HEADERS
        bound = HEADER_LINES_MAX if short else FILE_LINES_MAX
        if len(s.lines) > bound:
            yield Breach(s.path, len(s.lines), "file-size",
                         f"{len(s.lines)} lines, at most {bound}: split it")
        for name, first, last in s.functions():
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield Breach(s.path, first, "function-size",
                             f"{name} has {last - first + 1} lines, at most {FUNCTION_LINES_MAX}")


@rule
def banned_calls(tree):
    calls = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
    for s in tree.c:
        for number, line in enumerate(s.code, 1):
            for found in calls.finditer(line):
                yield Breach(s.path, number, "banned", f"{found.group(1)}() has no bounds, or no errors")


@rule
def pure_rooms(tree):
    calls = re.compile(r"(?<![\w.>])(%s|pthread_\w+|thrd_\w+|mtx_\w+)\s*\(" % "|".join(IMPURE_CALLS))
    for s in tree.c:
        if s.room not in ("protocol", "storage"):
            continue
        calendar = any(fnmatch.fnmatch(s.path, p) for p in CALENDAR_FILES)
        for number, _, name in includes_of(s):
            impure = any(fnmatch.fnmatch(name, p) for p in IMPURE_HEADERS)
            if impure or (name == "time.h" and not calendar):
                yield Breach(s.path, number, "pure",
                             f"<{name}>: {s.room}/ has no clock, chance, threads or sockets")
        for number, line in enumerate(s.code, 1):
            for found in calls.finditer(line):
                yield Breach(s.path, number, "pure",
                             f"{found.group(1)}(): {s.room}/ has no clock, chance, threads or output")


@rule
def marks_and_skips(tree):
    marks = re.compile(r"\b(%s)\b" % "|".join(MARKS))
    for s in tree.sources:
        in_tidy = s.path.startswith("tests/tidy/")
        for number, line in enumerate(s.lines, 1):
            found = marks.search(line)
            if found and not in_tidy:
                yield Breach(s.path, number, "mark", f"{found.group(1)}: do it now or leave it out")
            code = s.code[number - 1] if s.is_c and number <= len(s.code) else line
            if s.room == "tests" and not in_tidy and SKIPS.search(code):
                yield Breach(s.path, number, "skip", "a test that is skipped proves nothing")


@rule
def opening_comments(tree):
    for s in tree.c:
        if s.path.endswith(".c") and len(s.lines) > COMMENT_FROM_LINES:
            if not s.text.lstrip().startswith("/*"):
                yield Breach(s.path, 1, "comment", f"{len(s.lines)} lines without an opening comment")


@rule
def own_headers(tree):
    """x.c has x.h, or begins its includes with the header that it belongs to, of its own folder or one
    above. (That everything it offers is declared somewhere is -Wmissing-prototypes' part.)"""
    paths = {s.path for s in tree.c}
    for s in tree.product:
        if not s.path.endswith(".c") or s.name == "main.c" or s.path in PROGRAMS or is_example(s):
            continue
        folder = os.path.dirname(s.path)
        included = [name for _, quoted, name in includes_of(s) if quoted]
        first = included[0] if included else ""
        if f"{s.path[:-2]}.h" not in paths and \
                not (folder + "/").startswith((os.path.dirname(first) or "-") + "/"):
            yield Breach(s.path, 1, "header", f"no {s.path[:-2]}.h, and its first include is no header "
                                              f"of {folder}/ that tells what it offers")


@rule
def headers_alone(tree):
    """Each header compiles by itself, and twice."""
    headers = [s.path for s in tree.c if s.path.endswith(".h") and not is_example(s)]
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


def check(root):
    tree = Tree(root)
    return tree, [b for r in RULES for b in r(tree)]


def medians(tree):
    functions = [last - first + 1 for s in tree.product for _, first, last in s.functions()]
    files = [len(s.lines) for s in tree.product if s.path.endswith(".c")]
    if files and functions:
        print(f"{len(files)} product .c files, median {statistics.median(files):g} lines, longest "
              f"{max(files)}; {len(functions)} functions, median {statistics.median(functions):g} "
              f"lines, longest {max(functions)}")


def main():
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        print("usage: tidy.py <root of the source tree>", file=sys.stderr)
        return 2
    tree, breaches = check(os.path.abspath(sys.argv[1]))
    for breach in breaches:
        print(breach)
    medians(tree)
    print(f"{len(tree.sources)} files, {len(breaches)} breaches of the house rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
