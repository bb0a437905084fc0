"""test_manual.py: checks that the manual pages of libhalfmq have every function, status and option, and no others, and that
their examples compile."""
import glob
import os
import re
import subprocess
import sys
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CLIENT = os.path.join(SOURCE, "clients", "c")


def read(*path):
    with open(os.path.join(CLIENT, *path), encoding="utf-8") as f:
        return f.read()


def pages():
    found = {os.path.basename(p): read("man", p) for p in glob.glob(os.path.join(CLIENT, "man", "*.[37]"))}
    assert len(found) >= 10, sorted(found)
    return found


def header():
    return re.sub(r"/\*.*?\*/", " ", read("halfmq.h"), flags=re.DOTALL)


def functions():
    names = re.findall(r"HMQ_API [^;(]*?\b(hmq_\w+)\(", header())
    assert len(names) > 80, names
    return names


def signature(name, text):
    """Returns the declaration of a function in the text, with single blanks."""
    found = re.search(r"\b%s\([^;]*\);" % name, text)
    return found and re.sub(r"\s+", " ", found.group(0))


def test_each_function_is_in_one_synopsis():
    for name in functions():
        where = [page for page, text in pages().items() if signature(name, text.split(".SH DESCRIPTION")[0])]
        assert len(where) == 1, f"{name} is in the synopsis of {where}"
        text = pages()[where[0]]
        assert signature(name, text) == signature(name, header()), f"{where[0]} declares {name} otherwise"
        assert name in text.split(".SH DESCRIPTION")[1] or name.startswith("hmq_reply"), \
            f"{where[0]} says nothing about {name}"


def test_no_page_names_what_is_not_there():
    adapters = "".join(read("adapters", name) for name in os.listdir(os.path.join(CLIENT, "adapters")))
    known = set(re.findall(r"\bhmq_\w+", header() + adapters))
    for page, text in pages().items():
        for name in re.findall(r"\bhmq_\w+", text):
            assert name in known or name.endswith("_"), f"{page} names {name}"


def test_statuses():
    statuses = re.findall(r"^\s+(HMQ_(?:OK|E[A-Z]+)) = \d+", read("halfmq.h"), flags=re.MULTILINE)
    assert len(statuses) > 25, statuses
    text = pages()["halfmq_errors.3"]
    for status in statuses:
        assert f".B {status}\n" in text, f"halfmq_errors(3) lacks {status}"


def test_options():
    rows = re.findall(r'^CHOICE\((\w+), \w+, "([^"]*)"', read("wire", "options.def"), flags=re.MULTILINE)
    assert len(rows) > 20, rows
    text = pages()["halfmq_options.3"]
    for name, initial in rows:
        found = re.search(r'^\.BR %s " \(.*default (.*)\)"$' % name, text, flags=re.MULTILINE)
        assert found, f"halfmq_options(3) lacks {name}"
        assert found.group(1) == (initial or "empty"), f"halfmq_options(3): the default of {name}"
    assert len(re.findall(r"; default ", text)) == len(rows)


def programs(text):
    """Returns the C programs of a page, each as it is shown to a reader."""
    blocks = re.findall(r"^\.nf\n(#include.*?)^\.fi$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\\\\|\\e", r"\\", block).replace(r"\-", "-") for block in blocks]


def test_examples_compile():
    compiler = [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only", "-I", CLIENT, "-I",
                os.path.join(CLIENT, "adapters")]
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        for page, text in pages().items():
            for i, program in enumerate(programs(text)):
                name = os.path.join(folder, f"{page}.{i}.c")
                with open(name, "w", encoding="utf-8") as f:
                    f.write(program)
                said = subprocess.run([*compiler, name], capture_output=True, text=True, check=False)
                assert said.returncode == 0, f"{page}, example {i}:\n{said.stderr}\n{program}"
                found += 1
    assert found >= 4, f"only {found} examples were found"


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(SOURCE, "tests", "lib"))
    from broker import run_tests
    sys.exit(run_tests(sys.modules["__main__"]))
