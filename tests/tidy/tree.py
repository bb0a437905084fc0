"""tree.py: all files that the rules look at."""
import os

from house import PRODUCT, ROOMS
from source import Source, is_example


class Tree:
    def __init__(self, root):
        self.root = root
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
