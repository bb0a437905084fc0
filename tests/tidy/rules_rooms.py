"""rules_rooms.py: no circles, and the sub-rooms in the order that ARCHITECTURE.md documents.

Arrows are drawn by includes and by calls (objects.py). A file is x.c and x.h together. x_inner.h, what x
shares with the files that it was cut into, stands beside x: that one includes the other is no arrow.
"""
import os
from collections import Counter

from house import FOLDER_FILES_MAX, MAY_ALSO_INCLUDE
from order import DOCUMENT
from rule import Breach, rule
from tree import unit_of


def file_of(path):
    return os.path.splitext(path)[0]


def circles(arrows, rule_name, what):
    for size, circle in arrows.circles():
        path, line, _ = arrows.to[circle[0]][circle[1]][0]
        among = f" (one of those that hold {size} together)" if size > len(circle) else ""
        yield Breach(path, line, rule_name, f"a circle of {len(circle)} {what}{among}: {arrows.path(circle)}")


@rule
def file_circles(tree):
    arrows = tree.include_arrows(file_of)
    for a, b, _ in list(arrows.pairs()):
        if a + "_inner" == b or b + "_inner" == a:
            del arrows.to[a][b]
    yield from circles(arrows, "circle", "files by includes")
    yield from circles(tree.call_arrows(file_of), "circle", "files by calls")


@rule
def room_circles(tree):
    def room_of(path):
        return tree.order.node(path)

    yield from circles(tree.include_arrows(room_of), "room-circle", "sub-rooms by includes")
    yield from circles(tree.call_arrows(room_of), "room-circle", "sub-rooms by calls")


@rule
def objects_there(tree):
    """With a build, each file of the product has an object in it; else its calls were not looked at."""
    for path in tree.not_built[:3] if tree.objects else ():
        yield Breach(path, 1, "objects", f"no object of it in {tree.build}, so its calls are not known: build first")


@rule
def private_headers(tree):
    for s, line, other in tree.include_pairs:
        row, home = tree.order.row(other.path), tree.order.node(other.path)
        shown = row.shows(other.path) if row else not other.name.endswith("_inner.h")
        if tree.order.node(s.path) != home and not shown and s.path not in MAY_ALSO_INCLUDE:
            yield Breach(s.path, line, "private", f"{other.path} is private to {home}; public are: "
                                                  + (" ".join(row.public) if row and row.public else "none"))


@rule
def documented_rooms(tree):
    """Each sub-room has a row in the table, and each row says what is there."""
    seen = set()
    for s in tree.own:
        row = tree.order.row(s.path)
        if row is None and s.folder not in seen:
            seen.add(s.folder)
            yield Breach(s.path, 1, "order", f"{s.folder}/ is not in the table of sub-rooms in {DOCUMENT}")
        elif row:
            seen.add(row.name)
    for row in tree.order.rows:
        if row.name not in seen:
            yield Breach(DOCUMENT, row.line, "order", f"{row.name}: no such files")
        for name in row.public:
            if name != "*" and not any(tree.order.row(s.path) is row and s.name == name for s in tree.own):
                yield Breach(DOCUMENT, row.line, "order", f"{row.name} has no public header {name}")


@rule
def documented_order(tree):
    """Each arrow between sub-rooms of a unit is in the table and points down in it, and each in the table is drawn."""
    place = {row.name: i for i, row in enumerate(tree.order.rows)}
    documented = {}
    for row in tree.order.rows:
        for word in row.stands_on:
            other = tree.order.named(row, word)
            if other is None:
                yield Breach(DOCUMENT, row.line, "order", f"{row.name} stands on {word}, which is no row of its unit")
            elif place[other.name] <= place[row.name]:
                yield Breach(DOCUMENT, row.line, "order",
                             f"{row.name} stands on {other.name}, which is not further down in the table")
            else:
                documented[row.name, other.name] = row.line
    drawn = set()
    for arrows in (tree.include_arrows(tree.order.node), tree.call_arrows(tree.order.node)):
        for a, b, reasons in arrows.pairs():
            if (a, b) not in documented and (a, b) not in drawn and unit_of(a) == unit_of(b) and a in place and b in place:
                path, line, _ = reasons[0]
                yield Breach(path, line, "order", f"{a} does not stand on {b} in {DOCUMENT}, but {arrows.reason(a, b)}")
            drawn.add((a, b))
    for (a, b), line in documented.items():
        if (a, b) not in drawn and not tree.not_built:  # else a call may draw it
            yield Breach(DOCUMENT, line, "order",
                         f"{a} stands on {b}, but no include and no call draws that arrow: take it out")


@rule
def folder_sizes(tree):
    counts = Counter(s.folder for s in tree.product if not s.is_header)
    for folder, n in sorted(counts.items()):
        if n > FOLDER_FILES_MAX:
            yield Breach(folder, 1, "folder", f"{n} .c files, at most {FOLDER_FILES_MAX}: make rooms inside")
