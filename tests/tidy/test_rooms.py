#!/usr/bin/python3
"""test_rooms.py: circles, and the documented order of the sub-rooms; planted, and seen by tidy.py."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from planted import Planted, table  # noqa: E402

EMPTY = {"broker/a.h": "", "broker/b.h": ""}


def module(name, *calls, includes=()):
    """A file name.c that defines f_<base> and calls others, and its header."""
    base = os.path.basename(name)
    lines = [f'#include "{name}.h"'] + [f'#include "{x}.h"' for x in includes]
    lines += [f"void f_{c}(void);" for c in calls]
    body = " ".join(f"f_{c}();" for c in calls)
    return {f"{name}.c": "\n".join(lines) + f"\nvoid f_{base}(void)\n{{\n    {body}\n}}\n",
            f"{name}.h": f"void f_{base}(void);\n"}


class Circles(Planted):
    def test_by_includes(self):
        self.fires("circle", "broker/a.c", '#include "broker/a.h"\n#include "broker/b.h"\n', 2,
                   others={"broker/b.c": '#include "broker/b.h"\n#include "broker/a.h"\n', **EMPTY},
                   says='broker/a -> broker/b (broker/a.c includes "broker/b.h") -> broker/a')

    def test_by_includes_around_a_corner(self):
        self.fires("circle", "broker/a.h", '#include "broker/b.h"\n',
                   others={"broker/b.h": '#include "broker/c.h"\n', "broker/c.c": '#include "broker/c.h"\n#include "broker/a.h"\n',
                           "broker/c.h": ""}, says="a circle of 3 files")

    def test_inner_header_is_no_circle(self):
        self.quiet({"broker/a.c": '#include "broker/a_inner.h"\n#include "broker/a_b.h"\n', "broker/a.h": "",
                    "broker/a_inner.h": '#include "broker/a.h"\n', "broker/a_b.h": "",
                    "broker/a_b.c": '#include "broker/a_b.h"\n#include "broker/a_inner.h"\n'})

    def test_by_calls(self):
        files = {**module("broker/a", "b"), **module("broker/b", "c"), **module("broker/c", "a")}
        path = "broker/a.c"
        self.fires("circle", path, files.pop(path), build=True, others=files,
                   says="a circle of 3 files by calls: broker/a -> broker/b (broker/a.c calls f_b) -> broker/c "
                        "(broker/b.c calls f_c) -> broker/a (broker/c.c calls f_a)")

    def test_calls_that_make_no_circle(self):
        self.quiet({**module("broker/a", "b", "c"), **module("broker/b", "c"), **module("broker/c")}, build=True)

    def test_the_shortest_is_told(self):
        files = {**module("broker/a", "b"), **module("broker/b", "a", "c"), **module("broker/c", "a")}
        path = "broker/a.c"
        self.fires("circle", path, files.pop(path), build=True, others=files,
                   says="a circle of 2 files by calls (one of those that hold 3 together)")

    def test_the_same_name_in_two_programs(self):
        self.quiet({**module("bench/a", "b"), **module("bench/b"), **module("broker/b", "a"), **module("broker/a")},
                   build=True)

    def test_a_build_without_the_objects(self):
        files = module("broker/a")
        path = "broker/a.c"
        self.fires("objects", path, files.pop(path), build="empty", others=files, says="build first")

    def test_sub_rooms_by_includes(self):
        order = table(("broker/net/", "*", ""), ("broker/serve/", "*", ""))
        self.fires("room-circle", "broker/net/a.h", '#include "broker/serve/b.h"\n', 1,
                   others={"broker/serve/b.h": "", "broker/serve/c.h": '#include "broker/net/d.h"\n',
                           "broker/net/d.h": "", "ARCHITECTURE.md": order},
                   says="broker/net/ -> broker/serve/")

    def test_sub_rooms_by_calls(self):
        files = {**module("broker/net/a", "b"), **module("broker/serve/b"), **module("broker/serve/c", "d"),
                 **module("broker/net/d")}
        path = "broker/net/a.c"
        self.fires("room-circle", path, files.pop(path), build=True, others=files,
                   says="sub-rooms by calls: broker/net/ -> broker/serve/ (broker/net/a.c calls f_b)")


class Orders(Planted):
    ROWS = (("broker/", "", "serve net"), ("broker/serve/", "a.h", "net"), ("broker/net/", "b.h", ""))
    FILES = {"broker/main.c": '#include "broker/serve/a.h"\n#include "broker/net/b.h"\n',
             "broker/serve/a.h": '#include "broker/net/b.h"\n', "broker/net/b.h": "", "broker/net/c_inner.h": ""}

    def planted(self, *rows, **files):
        return {**self.FILES, "ARCHITECTURE.md": table(*rows), **files}

    def refused(self, rule, path, files, says):
        self.fires(rule, path, files.pop(path), others=files, says=says)

    def test_the_documented_one(self):
        self.quiet(self.planted(*self.ROWS))

    def test_no_row(self):
        self.refused("order", "broker/net/b.h", self.planted(self.ROWS[1], ("broker/main.c", "", "serve")),
                     "broker/net/ is not in the table")

    def test_row_of_nothing(self):
        self.refused("order", "ARCHITECTURE.md", self.planted(*self.ROWS, ("broker/old/", "", "")), "broker/old/: no such")

    def test_public_header_that_is_not_there(self):
        rows = (*self.ROWS[:2], ("broker/net/", "b.h x.h", ""))
        self.refused("order", "ARCHITECTURE.md", self.planted(*rows), "broker/net/ has no public header x.h")

    def test_include_that_is_not_documented(self):
        rows = (("broker/", "", "serve"), *self.ROWS[1:])
        self.refused("order", "broker/main.c", self.planted(*rows), "broker/ does not stand on broker/net/")

    def test_call_that_is_not_documented(self):
        files = {**module("broker/net/a", "b"), **module("broker/base/b"),
                 "ARCHITECTURE.md": table(("broker/net/", "*", ""), ("broker/base/", "*", ""))}
        path = "broker/net/a.c"
        self.fires("order", path, files.pop(path), build=True, others=files, says="broker/net/a.c calls f_b")

    def test_arrow_that_nothing_draws(self):
        rows = (*self.ROWS, ("broker/base/", "*", ""))
        rows = (rows[0], rows[1], ("broker/net/", "b.h", "base"), rows[3])
        files = self.planted(*rows)
        files["broker/base/d.h"] = ""
        self.assertEqual([], self.breaches(files))  # a call might draw it
        path = "ARCHITECTURE.md"
        self.fires("order", path, files.pop(path), build=True, others=files,
                   says="broker/net/ stands on broker/base/, but no include")

    def test_arrow_that_a_call_draws(self):
        files = {**module("broker/net/a", "b"), **module("broker/base/b"),
                 "ARCHITECTURE.md": table(("broker/net/", "*", "base"), ("broker/base/", "*", ""))}
        self.quiet(files, build=True)

    def test_arrow_that_runs_up(self):
        rows = (self.ROWS[0], self.ROWS[2], self.ROWS[1])
        self.refused("order", "ARCHITECTURE.md", self.planted(*rows), "not further down")

    def test_arrow_to_no_row(self):
        rows = (*self.ROWS[:2], ("broker/net/", "b.h", "nowhere"))
        self.refused("order", "ARCHITECTURE.md", self.planted(*rows), "nowhere, which is no row")

    def test_files_with_a_row_of_their_own(self):
        self.quiet({"storage/store.h": '#include "storage/disk/kv.h"\n', "storage/redo.h": "",
                    "storage/disk/kv.h": '#include "storage/redo.h"\n',
                    "ARCHITECTURE.md": table(("storage/", "*", "disk"), ("storage/disk/", "kv.h", "redo.h"),
                                             ("storage/redo.h", "*", ""))})

    def test_private_header(self):
        files = self.planted(*self.ROWS)
        files["broker/serve/a.h"] = '#include "broker/net/b.h"\n#include "broker/net/c_inner.h"\n'
        self.refused("private", "broker/serve/a.h", files, "broker/net/c_inner.h is private to broker/net/")

    def test_inner_header_is_private_where_all_others_are_public(self):
        files = self.planted(*self.ROWS[:2], ("broker/net/", "*", ""))
        files["broker/serve/a.h"] = '#include "broker/net/b.h"\n#include "broker/net/c_inner.h"\n'
        self.refused("private", "broker/serve/a.h", files, "c_inner.h is private")

    def test_private_header_of_another_room(self):
        self.fires("private", "bench/a.h", '#include "clients/c/b_inner.h"\n', 1, others={"clients/c/b_inner.h": ""})


class Folders(Planted):
    def test_server_below_the_roof(self):
        self.fires("roof", "broker/net/a.h", '#include "broker/server.h"\n', 1, others={"broker/server.h": ""})
        self.quiet({"broker/a.h": '#include "broker/server.h"\n', "broker/server.h": "",
                    "tests/unit/a.c": '#include "broker/server.h"\n'})

    def test_full_folder(self):
        files = {f"broker/net/f{i}.{end}": "" for i in range(21) for end in "ch"}
        path = "broker/net/f0.c"
        self.fires("folder", path, files.pop(path), others=files, says="21 .c files")
        files.pop("broker/net/f1.c")
        self.quiet({**files, path: ""})


if __name__ == "__main__":
    unittest.main()
