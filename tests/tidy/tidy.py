#!/usr/bin/python3
"""tidy.py: the house rules that a program can check. Prints file:line: rule: text for each breach and ends
with 1 where there is one; then the medians.

    source.py ──► tree.py ──► rules_*.py ──► breaches
    (one file)    (all, and the arrows: includes, and calls from the build's objects)

To add a rule: a generator function with the mark @rule in one of rules_*.py; and give test_*.py here a smallest
tree that breaks it. What the rules compare with is in house.py and in the table of ARCHITECTURE.md (order.py).
"""
import argparse
import os
import sys

import measure
import rules_includes  # noqa: F401
import rules_names  # noqa: F401
import rules_rooms  # noqa: F401
import rules_text  # noqa: F401
from rule import RULES
from tree import Tree


def check(root, build=None):
    tree = Tree(root, build)
    return tree, [b for r in RULES for b in r(tree)]


def main():
    parser = argparse.ArgumentParser(description="checks the house rules")
    parser.add_argument("root", help="root of the source tree")
    parser.add_argument("build", nargs="?", help="folder of a build, whose objects show who calls whom; "
                                                 "left out: <root>/build if it is there")
    parser.add_argument("--only", help="print these rules only: circle,order,...")
    parser.add_argument("--under", default="", help="print breaches of paths that begin so only")
    parser.add_argument("--small", action="store_true", help="list tiny functions that are called once, too")
    parser.add_argument("--arrows", action="store_true", help="print which sub-room stands on which, too")
    args = parser.parse_args()
    root = os.path.abspath(args.root)
    build = args.build or os.path.join(root, "build")
    if not os.path.isdir(root) or (args.build and not os.path.isdir(build)):
        parser.error(f"no such folder: {args.build if os.path.isdir(root) else root}")
    tree, breaches = check(root, os.path.abspath(build) if os.path.isdir(build) else None)
    only = args.only.split(",") if args.only else None
    for breach in breaches:
        if (not only or breach.rule in only) and (breach.path.startswith(args.under)):
            print(breach)
    if args.small:
        measure.small(tree)
    if args.arrows:
        measure.arrows(tree)
    measure.medians(tree)
    if tree.objects is None:
        print("no build folder: calls were not looked at; build, or name one")
    elif tree.objects.stale:
        print(f"{len(tree.objects.stale)} files are newer than their objects: build again, their calls are the old ones")
    print(f"{len(tree.sources)} files, {len(breaches)} breaches of the house rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
