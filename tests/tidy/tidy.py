#!/usr/bin/python3
"""tidy.py: the house rules that a program can check. `tidy.py <root>` prints file:line: rule: text
for each breach and ends with 1 where there is one; without any it prints the medians.

    source.py ──► tree.py ──► rules_*.py ──► breaches
    (one file)    (all)

To add a rule: a generator function with the mark @rule in one of rules_*.py; and give test_tidy.py a smallest
tree that breaks it. What the rules compare with is in house.py.
"""
import os
import sys

import rules_includes  # noqa: F401
import rules_text  # noqa: F401
from measure import medians
from rule import RULES
from tree import Tree


def check(root):
    tree = Tree(root)
    return tree, [b for r in RULES for b in r(tree)]


def main():
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        print("usage: tidy.py <root of the source tree>", file=sys.stderr)
        return 2
    tree, breaches = check(os.path.abspath(sys.argv[1]))
    for breach in breaches:
        print(breach)
    medians(tree)
    print(f"{len(tree.sources)} files, {len(breaches)} breaches of the house rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
