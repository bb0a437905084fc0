"""tree.py: all files that the rules look at, the documented order, and the arrows between files."""
import os
from functools import cached_property

from graph import Arrows
from house import PRODUCT, ROOMS, UNITS
from objects import calls_of
from order import DOCUMENT, Order
from source import Source, is_example


def unit_of(path):
    """The library or program that a file is part of."""
    found = [u for u in UNITS if path.startswith(u + "/")]
    return max(found, key=len) if found else path.split("/")[0]


class Tree:
    def __init__(self, root, build=None):
        self.root, self.build = root, build
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
        self.own = [s for s in self.product if not is_example(s)]  # what we ship and keep
        self.by_path = {s.path: s for s in self.c}
        document = os.path.join(root, DOCUMENT)
        text = ""
        if os.path.exists(document):
            with open(document, encoding="utf-8") as f:
                text = f.read()
        self.order = Order(text, unit_of)

    @cached_property
    def objects(self):
        """The calls that the build's objects show, or None without a build."""
        if not self.build:
            return None
        return calls_of(self.build, {s.path: s for s in self.own}, unit_of)

    @cached_property
    def not_built(self):
        """Paths of the .c files whose calls are not known: of all without a build."""
        built = self.objects.files if self.objects else ()
        return [s.path for s in self.own if not s.is_header and s.path not in built]

    @cached_property
    def include_pairs(self):
        """(source, line, included source) of the product's own includes."""
        own = {s.path: s for s in self.own}
        pairs = []
        for s in self.own:
            for line, quoted, name in s.includes():
                name = "clients/c/halfmq.h" if name == "halfmq.h" else name
                if quoted and name in own:
                    pairs.append((s, line, own[name]))
        return pairs

    def include_arrows(self, node_of):
        """Arrows between node_of(path), drawn by includes."""
        arrows = Arrows()
        for s, line, other in self.include_pairs:
            arrows.add(node_of(s.path), node_of(other.path), s.path, line, f'{s.path} includes "{other.path}"')
        return arrows

    def call_arrows(self, node_of):
        """Arrows between node_of(path), drawn by calls."""
        arrows = Arrows()
        for path, other, symbol in self.objects.calls if self.objects else ():
            arrows.add(node_of(path), node_of(other), path, 1, f"{path} calls {symbol}")
        return arrows
