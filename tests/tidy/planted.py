"""planted.py: what the tests of the rules share: a smallest tree, planted in a folder of its own and checked."""
import os
import tempfile
import unittest

from tidy import check


class Planted(unittest.TestCase):
    def breaches(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            return check(root)[1]

    def fires(self, rule, path, text, line=None, others=()):
        found = self.breaches({path: text, **dict(others)})
        self.assertIn(rule, [b.rule for b in found], [str(b) for b in found])
        if line:
            self.assertIn(line, [b.line for b in found if b.rule == rule])

    def quiet(self, files):
        self.assertEqual([], [str(b) for b in self.breaches(files)])
