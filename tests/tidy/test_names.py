#!/usr/bin/python3
"""test_names.py: names that can be found with grep; planted, and seen by tidy.py."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from planted import Planted  # noqa: E402

LONG = "/* a_b.c: c */\n" + "extern int x;\n" * 150


class Declared(Planted):
    def test_in_another_header(self):
        self.fires("declared", "broker/a.h", "int x_f(int x);\n", 1,
                   others={"broker/b.c": '#include "broker/b.h"\nint x_f(int x)\n{\n    return x;\n}\n',
                           "broker/b.h": ""}, says="x_f is defined in broker/b.c:2: declare it in broker/b.h")

    def test_with_attributes(self):
        self.fires("declared", "broker/a.h",
                   "#define MUST_CHECK\n__attribute__((noreturn)) void x_f(const char *s,\n    ...) "
                   "__attribute__((format(printf, 1, 2))) MUST_CHECK;\n", 2,
                   others={"broker/b.c": "void x_f(const char *s, ...)\n{\n}\n", "broker/b.h": ""})

    def test_in_its_own(self):
        self.quiet({"broker/a.h": "#pragma once\nint x_f(int x);\nstatic inline int y_f(int x)\n{\n    return x;\n}\n",
                    "broker/a.c": "int x_f(int x)\n{\n    return x;\n}\n",
                    "broker/b.c": "static int y_f(int x)\n{\n    return x;\n}\n", "broker/b.h": ""})

    def test_facade(self):
        self.quiet({"storage/query.h": "int x_f(int x);\n",
                    "storage/query/b.c": "int x_f(int x)\n{\n    return x;\n}\n", "storage/query/b.h": ""})

    def test_inner_header(self):
        self.quiet({"broker/a_inner.h": "int x_f(int x);\n", "broker/a.h": "",
                    "broker/a.c": "int x_f(int x)\n{\n    return x;\n}\n"})

    def test_another_program(self):
        self.quiet({"broker/a.h": "int x_f(int x);\n", "broker/a.c": "int x_f(int x)\n{\n    return x;\n}\n",
                    "bench/b.h": "int x_f(int x);\n", "bench/b.c": "int x_f(int x)\n{\n    return x;\n}\n"})


class Tags(Planted):
    def test_twice(self):
        self.fires("tag", "broker/a.c", "struct x { int a; };\n", 1,
                   others={"broker/a.h": "", "broker/b.h": "#pragma once\nstruct x\n{\n    int a;\n};\n"},
                   says="x is also the tag of a type in broker/b.h:2")

    def test_uses_and_examples(self):
        self.quiet({"broker/a.c": "struct x { int a; };\nstruct y;\n", "broker/a.h": "",
                    "broker/b.c": "struct x;\nstruct y { int a; };\n", "broker/b.h": "",
                    "clients/examples/c.c": "struct x { int a; };\n"})


class Statics(Planted):
    def test_prefix(self):
        self.fires("static", "broker/a_b.c", LONG + "static int took(void)\n{\n    return 0;\n}\n", 152,
                   others={"broker/a_b.h": ""}, says="took does not begin with a_b_ or b_")

    def test_prefix_is_all_words_or_the_last(self):
        for name in ("a_b_took", "b_took", "b"):
            self.quiet({"broker/a_b.c": LONG + f"static int {name}(void)\n{{\n    return 0;\n}}\n", "broker/a_b.h": ""})
        self.fires("static", "broker/a_b.c", LONG + "static int a_took(void)\n{\n    return 0;\n}\n",
                   others={"broker/a_b.h": ""})

    def test_prefix_of_one_of_many(self):
        self.quiet({"broker/asks.c": LONG + "static int ask_took(void)\n{\n    return 0;\n}\n", "broker/asks.h": ""})

    def test_short_files_and_public_functions(self):
        self.quiet({"broker/a_b.c": "static int took(void)\n{\n    return 0;\n}\n", "broker/a_b.h": "",
                    "broker/c.c": LONG + "int took_it(void)\n{\n    return 0;\n}\n", "broker/c.h": "int took_it(void);\n"})

    def test_three_times(self):
        files = {f"broker/{c}.h": "" for c in "abc"}
        files.update({f"broker/{c}.c": "static int took(void)\n{\n    return 0;\n}\n" for c in "ab"})
        self.quiet({**files, "broker/c.c": "static const struct { int a; } line;\n"})
        self.fires("static-twice", "broker/c.c", "static int took;\n", others=files,
                   says="took is a static of 3 files, at most 2: broker/a.c broker/b.c broker/c.c")


if __name__ == "__main__":
    unittest.main()
