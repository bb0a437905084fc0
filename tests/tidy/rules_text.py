"""rules_text.py: rules about the text of one file: its size, what it calls, its comments."""
import fnmatch
import re

from house import (BANNED, CALENDAR_FILES, COMMENT_FROM_LINES, FILE_LINES_MAX, FUNCTION_LINES_MAX,
                   HEADER_LINES_MAX, IMPURE_CALLS, IMPURE_HEADERS, PUBLIC_HEADERS, PUBLIC_HEADER_LINES_MAX)
from rule import Breach, rule

MARKS = ("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")
SKIPS = re.compile(r"\bskip\s*\(|\bskipTest\s*\(|\bskip(If|Unless)\b|@(unittest|pytest)[\w.]*skip"
                   r"|\bpytest\.(skip|xfail)\b|\bexpectedFailure\b")
# "clock.c: see clock.h." and "core.c: see core.h, and call.h for its states." say nothing of their own.
NAME_FIRST = re.compile(r"^\s*\w+\.c\s*:")
REFERENCE = re.compile(r"\bsee\s+(?:[^.;]|\.(?=\w))*[.;]?", re.I)


@rule
def sizes(tree):
    for s in tree.c:
        bound = HEADER_LINES_MAX if s.is_header else FILE_LINES_MAX
        if s.path in PUBLIC_HEADERS:
            bound = PUBLIC_HEADER_LINES_MAX
        if len(s.lines) > bound:
            yield Breach(s.path, len(s.lines), "file-size",
                         f"{len(s.lines)} lines, at most {bound}: split it")
        for f in s.functions():
            if f.lines > FUNCTION_LINES_MAX:
                yield Breach(s.path, f.first, "function-size",
                             f"{f.name} has {f.lines} lines, at most {FUNCTION_LINES_MAX}")


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
        for number, _, name in s.includes():
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
        if s.is_header:
            continue
        opening = opening_comment(s.text)
        if opening is None:
            if len(s.lines) > COMMENT_FROM_LINES:
                yield Breach(s.path, 1, "comment", f"{len(s.lines)} lines without an opening comment")
        elif not re.search(r"\w", REFERENCE.sub("", NAME_FIRST.sub("", opening))):
            yield Breach(s.path, 1, "opening", f'opens with nothing but "{opening}": say in a sentence what it does')


def opening_comment(text):
    """The text of the comment that a file begins with, on one line; None where there is none."""
    found = re.match(r"\s*/\*(.*?)\*/", text, re.S)
    return " ".join(re.sub(r"^\s*\*", "", found.group(1), flags=re.M).split()) if found else None
