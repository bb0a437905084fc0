#!/usr/bin/python3
"""test_tidy.py: proves that each rule of tidy.py fires, and that it leaves clean code alone."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

BODY = "    x++;\n"
MARK = "TO" "DO"
SKIP = "ski" "p();"


def long_function(lines):
    return "int f(int x)\n{\n" + BODY * (lines - 4) + "    return x;\n}\n"


class Rules(unittest.TestCase):
    def breaches(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            return tidy.check(root)[1]

    def fires(self, rule, path, text, line=None, **more):
        found = self.breaches({path: text, **more.get("others", {})})
        self.assertIn(rule, [b.rule for b in found], [str(b) for b in found])
        if line:
            self.assertIn(line, [b.line for b in found if b.rule == rule])

    def quiet(self, files):
        self.assertEqual([], [str(b) for b in self.breaches(files)])

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
        found = [f for f in tidy.functions_of(tidy.code_only(tricky).split("\n"))]
        self.assertEqual([("f", 3, 9), ("g", 16, 19)], found)

    def test_banned_calls(self):
        for name in tidy.BANNED:
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

    def test_every_rule_has_a_name_here(self):
        with open(os.path.abspath(__file__), encoding="utf-8") as f:
            text = f.read()
        for name in ("include", "foreign", "file-size", "function-size", "banned", "pure", "mark",
                     "skip", "comment", "header", "alone"):
            self.assertIn(f'fires("{name}"', text)


if __name__ == "__main__":
    unittest.main()
