"""planted.py: what the tests of the rules share: a smallest tree, planted in a folder of its own and checked."""
import os
import subprocess
import tempfile
import unittest

from order import DOCUMENT
from tidy import check


def table(*rows):
    """ARCHITECTURE.md with a table of sub-rooms: (places, public headers, stands on), words separated by blanks."""
    lines = ["| sub-room | what | public headers | stands on |", "|---|---|---|---|"]
    for places, public, stands_on in rows:
        cells = [" ".join(f"`{word}`" for word in cell.split()) for cell in (places, public, stands_on)]
        lines.append(f"| {cells[0]} | x | {cells[1]} | {cells[2]} |")
    return "\n".join(lines) + "\n"


class Planted(unittest.TestCase):
    def breaches(self, files, build=False):
        """build: compile it, too; "empty": a build without objects. Without a table of sub-rooms in files
        every folder gets a row that shows all and stands on nothing."""
        files = {path: text for path, text in files.items()}
        if DOCUMENT not in files:
            folders = {os.path.dirname(p) for p in files if
                       p.endswith((".c", ".h")) and not p.startswith(("tests/", "clients/examples/"))}
            files[DOCUMENT] = table(*((folder + "/", "*", "") for folder in sorted(folders)))
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            if build:
                os.makedirs(os.path.join(root, "build"))
                self.compile(root, [p for p in files if p.endswith(".c") and build != "empty"])
            return check(root, os.path.join(root, "build") if build else None)[1]

    def compile(self, root, sources):
        """As CMake would: the object of room/a/b.c is build/room/CMakeFiles/x.dir/a/b.c.o."""
        for path in sources:
            room, rest = path.split("/", 1)
            out = os.path.join(root, "build", room, "CMakeFiles", "x.dir", rest + ".o")
            os.makedirs(os.path.dirname(out), exist_ok=True)
            subprocess.run(["gcc", "-I", root, "-c", os.path.join(root, path), "-o", out], check=True)

    def fires(self, rule, path, text, line=None, build=False, others=(), says=""):
        found = self.breaches({path: text, **dict(others)}, build)
        self.assertIn(rule, [b.rule for b in found], [str(b) for b in found])
        if line:
            self.assertIn(line, [b.line for b in found if b.rule == rule])
        if says:
            self.assertIn(says, " ".join(str(b) for b in found if b.rule == rule))

    def quiet(self, files, build=False):
        self.assertEqual([], [str(b) for b in self.breaches(files, build)])
