#!/usr/bin/python3
"""steps_c.py [row ...]: the table of docs/transactions.md acted out by the order service in C, on SQLite."""
import sys

from steps import act

if __name__ == "__main__":
    sys.exit(act("c"))
