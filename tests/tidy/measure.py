"""measure.py: figures about the product's code, for information."""
import re
import statistics

from tree import unit_of

SMALL_LINES = 3  # of a body


def medians(tree):
    functions = [f.lines for s in tree.product for f in s.functions()]
    files = [len(s.lines) for s in tree.product if not s.is_header]
    if files and functions:
        print(f"{len(files)} product .c files, median {statistics.median(files):g} lines, longest "
              f"{max(files)}; {len(functions)} functions, median {statistics.median(functions):g} "
              f"lines, longest {max(functions)}")


def small(tree):
    """Lists static functions with a body of at most three lines that are called once: each should have a
    reason to be one."""
    count = 0
    for s in tree.own:
        if s.is_header:
            continue
        code = "\n".join(s.code)
        for f in s.functions():
            body = [x for x in "\n".join(s.code[f.first - 1:f.last]).split("{", 1)[1].split("\n") if x.strip() not in ("", "}")]
            if not f.static or len(body) > SMALL_LINES:
                continue
            uses = re.findall(r"\b%s\b(\s*\()?" % re.escape(f.name), code)
            prototypes = sum(1 for i in s.items if i.kind == "prototype" and i.name == f.name)
            if len(uses) - prototypes == 2 and all(uses):
                count += 1
                print(f"{s.path}:{f.first}: small: {f.name} has {len(body)} lines and is called once")
    print(f"{count} static functions of at most {SMALL_LINES} lines that are called once")


def arrows(tree):
    """Prints which sub-rooms of a unit stand on which, as includes and calls draw it, and with how many."""
    counts = {}
    for drawn in (tree.include_arrows(tree.order.node), tree.call_arrows(tree.order.node)):
        for a, b, reasons in drawn.pairs():
            if unit_of(a) == unit_of(b):
                counts.setdefault(a, {}).setdefault(b, []).append(len(reasons))
    for a in sorted(counts):
        print(f"{a} -> " + ", ".join(f"{b} ({' '.join(map(str, n))})" for b, n in sorted(counts[a].items())))
