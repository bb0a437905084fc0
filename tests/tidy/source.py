"""source.py: one file of the tree, and what stands in it.

    text ──► blank comments, strings, #else parts ──► code (same lines) ──► items at the outermost level

An *item* is a function, a declaration or a variable. That is enough for the rules, so nothing here parses C
further: braces are counted, and a name is the word before the first parenthesis.
"""
import os
import re
from typing import NamedTuple

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
TAG = re.compile(r"\b(struct|union|enum)\s+(\w+)\s*\{")
NOT_NAMES = ("if while for switch return sizeof void int bool static_assert defined struct union enum").split()


class Item(NamedTuple):
    kind: str   # "function", "prototype", "variable"
    name: str
    first: int  # lines count from 1
    last: int
    head: str   # the text before the body

    @property
    def static(self):
        return re.match(r"\s*(?:\w+\s+)??static\b", self.head) is not None

    @property
    def lines(self):
        return self.last - self.first + 1


class Source:
    """One file: its lines, and for C the same lines with nothing but code in them."""

    def __init__(self, root, path):
        self.path = path
        self.room = path.split("/")[0]
        self.folder, self.name = os.path.split(path)
        self.base = os.path.splitext(path)[0]
        full = os.path.join(root, path)
        self.mtime = os.path.getmtime(full)
        with open(full, encoding="utf-8", errors="replace") as f:
            self.text = f.read()
        self.lines = self.text.splitlines()
        self.is_c = path.endswith((".c", ".h"))
        self.is_header = path.endswith(".h")
        self.code = code_only(self.text).split("\n") if self.is_c else []
        self._items = None

    @property
    def items(self):
        if self._items is None:
            self._items = list(items_of(self.code))
        return self._items

    def functions(self):
        return [i for i in self.items if i.kind == "function"]

    def includes(self):
        """(line, quoted, name) of each #include."""
        for number, line in enumerate(self.lines, 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(1) == '"', found.group(2)

    def tags(self):
        """(line, tag) of each struct, union and enum that is defined here."""
        text = "\n".join(self.code)
        for found in TAG.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found.group(2)


def is_example(source):
    return source.path.startswith("clients/examples/")


def code_only(text):
    """Comments, strings and characters become blanks, line breaks stay. Of an #if with an #else the
    first part stays, so that braces balance; what only C++ sees goes."""

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
            stack.append(word == "ifdef" and "__cplusplus" in line)
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


def items_of(code):
    """The items of a file, in order. A function is a block at the outermost level whose text before the
    brace ends with a parameter list; what ends with a semicolon is a prototype or a variable."""
    depth, start, head, opened = 0, None, "", None
    for number, line in enumerate(code, 1):
        if re.match(r"\s*#", line):
            continue
        for c in line:
            if c == "{":
                if depth == 0:
                    opened = item_of(head, "function", start or number, number)
                depth += 1
            elif c == "}":
                depth = max(0, depth - 1)
                if depth == 0:
                    if opened:
                        yield opened._replace(last=number)
                    start, head, opened = None, "", None
            elif depth == 0:
                if c == ";":
                    item = item_of(head, "prototype", start or number, number)
                    if item:
                        yield item
                    start, head = None, ""
                    continue
                if start is None and not c.isspace():
                    start = number
                head += c
        if depth == 0:
            head += " "


def item_of(head, kind, first, last):
    """The item whose text before its brace or semicolon is head; None for a type, or what is none."""
    name = function_name(head)
    if name:
        return Item(kind, name, first, last, head)
    head_only = head.split("=")[0].strip()
    found = re.match(r"(?:static|extern|const)\b.*?\b(\w+)\s*(?:\[[^=]*)?$", head_only)
    if found and "(" not in head_only and found.group(1) not in NOT_NAMES:
        return Item("variable", found.group(1), first, last, head)
    return None


def function_name(head):
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)+", " ", head).strip()
    head = re.sub(r"(\s*\b(MUST_CHECK|HMQ_\w+))+$", "", head).strip()
    if not head.endswith(")") or "=" in head or re.match(r"typedef\b", head):
        return None
    found = re.search(r"([A-Za-z_]\w*)\s*\(", head)
    return found.group(1) if found and found.group(1) not in NOT_NAMES else None
