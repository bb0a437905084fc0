"""order.py: the documented order of the sub-rooms: the table in ARCHITECTURE.md whose last two columns are
`public headers` and `stands on`.

    | sub-room | what it does | public headers | stands on |
    |---|---|---|---|
    | `broker/serve/` | who does a command | `serve.h` | `net` `checks` |

First column: a folder (the files directly in it, and of folders below that have no row), or files that stand
elsewhere in the order than their folder does. Public headers: names without the folder; `*` is all but
*_inner.h. Stands on: rows further down in the table, each by its last word; rows of other units (the broker
on the store) are not written, MAY_INCLUDE has those.
"""
import fnmatch
import os
import re

DOCUMENT = "ARCHITECTURE.md"


class Row:
    def __init__(self, line, places, public, stands_on):
        self.line, self.places, self.public, self.stands_on = line, places, public, stands_on
        self.name = places[0]

    def called(self, word):
        return any(word in (p, p.rstrip("/"), os.path.basename(p.rstrip("/"))) for p in self.places)

    def shows(self, header):
        """True where others may include this header of the row."""
        name = os.path.basename(header)
        return any(fnmatch.fnmatch(name, p) and (p != "*" or not name.endswith("_inner.h")) for p in self.public)


class Order:
    def __init__(self, text, unit_of):
        self.rows, self.unit_of = list(rows_of(text)), unit_of

    def row(self, path):
        """The row that a file belongs to, or None."""
        for row in self.rows:
            if any(fnmatch.fnmatch(path, p) for p in row.places if not p.endswith("/")):
                return row
        best = None
        for row in self.rows:
            for place in row.places:
                if place.endswith("/") and path.startswith(place) and (best is None or len(place) > best[0]):
                    best = (len(place), row)
        return best and best[1]

    def node(self, path):
        """The name of the sub-room of a file: of its row, or its folder where it has none."""
        row = self.row(path)
        return row.name if row else os.path.dirname(path) + "/"

    def named(self, row, word):
        """The row that `word` in row's last column means, or None."""
        unit = self.unit_of(row.name)
        found = [r for r in self.rows if self.unit_of(r.name) == unit and r.called(word)]
        return found[0] if found else None


def rows_of(text):
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        cells = [c.strip() for c in line.strip().strip("|").split("|")] if line.strip().startswith("|") else []
        if not cells:
            inside = False
        elif cells[-2:] == ["public headers", "stands on"]:
            inside = True
        elif inside and len(cells) >= 3 and ticked(cells[0]):
            yield Row(number, ticked(cells[0]), ticked(cells[-2]), ticked(cells[-1]))


def ticked(cell):
    return re.findall(r"`([^`]+)`", cell)
