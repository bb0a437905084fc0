#!/usr/bin/python3
"""test_tidy.py: proves that each rule of tidy.py fires, and that it leaves clean code alone. The rules about one
file are here, those about many in test_rooms.py and test_names.py."""
import glob
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from house import BANNED  # noqa: E402
from planted import Planted  # noqa: E402
from source import code_only, items_of  # noqa: E402

BODY = "    x++;\n"
MARK = "TO" "DO"
SKIP = "ski" "p();"


def long_function(lines):
    return "int f(int x)\n{\n" + BODY * (lines - 4) + "    return x;\n}\n"


class Rules(Planted):
    def test_include_from_a_room_above(self):
        self.fires("include", "protocol/a.h", '\n#include "storage/b.h"\n', 2,
                   others={"storage/b.h": ""})
        self.fires("include", "clients/c/a.h", '#include "broker/b.h"\n', others={"broker/b.h": ""})

    def test_include_of_tests(self):
        self.fires("include", "broker/a.h", '#include "tests/lib/b.h"\n',
                   others={"tests/lib/b.h": ""})

    def test_include_not_from_the_root(self):
        self.fires("include", "broker/a.h", '#include "b.h"\n')

    def test_include_downwards_is_fine(self):
        self.quiet({"broker/a.h": '#include "storage/b.h"\n', "storage/b.h": ""})

    def test_include_that_one_file_may(self):
        more = {"storage/b.h": ""}
        self.quiet({"bench/probe/regress.c": '#include "storage/b.h"\n', **more})
        self.fires("include", "bench/other.h", '#include "storage/b.h"\n', others=more)

    def test_foreign_header(self):
        self.fires("foreign", "broker/a.c", "#include <rocksdb/c.h>\n", others={"broker/a.h": ""})
        self.quiet({"storage/disk/kv.c": "#include <rocksdb/c.h>\n", "storage/disk/kv.h": ""})

    def test_foreign_header_in_tests_and_examples(self):
        self.quiet({"tests/unit/a.c": "#include <msgpack.h>\n",
                    "clients/examples/a.c": "#include <sqlite3.h>\n"})

    def test_long_file(self):
        self.fires("file-size", "broker/a.c", "/* a */\n" + "int x;\n" * 800,
                   others={"broker/a.h": ""})

    def test_long_header(self):
        self.fires("file-size", "broker/a.h", "extern int x;\n" * 301)

    def test_long_function(self):
        self.fires("function-size", "tests/unit/a.c", "\n" + long_function(71), 2)
        self.quiet({"tests/unit/a.c": long_function(70)})

    def test_braces_that_do_not_count(self):
        tricky = ("#define BEGIN do {\n#if A\nint f(int x) {\n#else\nint f(long x) {\n#endif\n"
                  "    char c = '{'; const char *s = \"{{\\\"{\"; /* { */ // {\n"
                  "    return x + c + s[0];\n}\n"
                  "static const struct p table[] = {\n    { 1, 2 },\n};\n"
                  "#define LONG \\\n    { \\\n    {\n"
                  "int g(void)\n{\n    return 0;\n}\n")
        found = [i for i in items_of(code_only(tricky).split("\n")) if i.kind == "function"]
        self.assertEqual([("f", 3, 9), ("g", 16, 19)], [(f.name, f.first, f.last) for f in found])

    def test_banned_calls(self):
        for name in BANNED:
            self.fires("banned", "tests/unit/a.c", f"int f(void)\n{{\n    {name} (0);\n}}\n", 3)

    def test_banned_calls_in_text_and_longer_names(self):
        self.quiet({"tests/unit/a.c": "/* gets() */\nint f(void)\n{\n    const char *s = \"atoi(1)\";\n"
                                      "    snprintf(0, 0, s); my_gets(s); s.system(1);\n}\n"})

    def test_impure_rooms(self):
        for call in ("time(0)", "clock_gettime(0, 0)", "rand()", "pthread_create(0)", "fprintf(0, 0)"):
            for room in ("protocol", "storage"):
                self.fires("pure", f"{room}/a.h", f"#define X {call}\n", 1)
        self.fires("pure", "storage/a.h", "#include <pthread.h>\n", 1)
        self.fires("pure", "storage/a.h", "#include <time.h>\n", 1)
        self.quiet({"protocol/base/text.c": "#include <time.h>\nint x;\n", "protocol/base/text.h": ""})

    def test_marks(self):
        self.fires("mark", "tests/a.py", f"x = 1  # {MARK} later\n", 1)
        self.fires("mark", "protocol/a.h", f"/* {MARK} later */\n", 1)
        self.quiet({"protocol/a.h": "/* template: nameXXXXXX */\n"})

    def test_skips(self):
        self.fires("skip", "tests/unit/a.c", f"int f(void)\n{{\n    {SKIP}\n}}\n", 3)
        self.fires("skip", "tests/a.py", "        self.skip" "Test('no')\n", 1)

    def test_opening_comment(self):
        self.fires("comment", "tests/unit/a.c", "int x;\n" * 151)
        self.quiet({"tests/unit/a.c": "/* a.c: b */\n" + "int x;\n" * 151})

    def test_own_header(self):
        self.fires("header", "broker/a.c", "int x;\n")
        self.fires("header", "broker/a.c", '#include "storage/a.h"\n', others={"storage/a.h": ""})
        self.quiet({"broker/a.c": "", "broker/b.c": '#include "broker/a.h"\n', "broker/a.h": "",
                    "broker/main.c": ""})

    def test_header_alone(self):
        self.fires("alone", "broker/a.h", "extern size_t x;\n")
        self.fires("alone", "broker/a.h", "struct x { int a; };\n")

    def test_opening_that_only_refers(self):
        for text in ("see a.h.", "see a.h", "see a.h for the layout.", "see a.h, and b.h for what it shares. See c.h."):
            self.fires("opening", "broker/a.c", f"/*\n * a.c: {text}\n */\n", 1, others={"broker/a.h": ""})
        self.quiet({"broker/a.c": "/* a.c: see a.h. Counts sheep. */\n", "broker/a.h": ""})

    def test_each_rule_is_seen_to_fire(self):
        """What the rules name in a Breach is what some test here expects."""
        folder = os.path.dirname(os.path.abspath(__file__))

        def all_of(pattern, files):
            found = set()
            for path in glob.glob(os.path.join(folder, files)):
                with open(path, encoding="utf-8") as f:
                    found.update(re.findall(pattern, f.read(), re.S))
            return found

        named = all_of(r'Breach\([^"]*?"([a-z-]+)"', "rules_*.py") | all_of(r'circles\([^"]*?"([a-z-]+)"', "rules_*.py")
        self.assertGreater(len(named), 10)
        self.assertEqual(named, all_of(r'fires\("([a-z-]+)"', "test_*.py"))


if __name__ == "__main__":
    unittest.main()
