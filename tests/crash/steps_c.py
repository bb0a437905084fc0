#!/usr/bin/python3
"""steps_c.py [row ...]: tests the rows of the table in docs/transactions.md with the C order service on SQLite."""
import sys

from steps import act

if __name__ == "__main__":
    sys.exit(act("c"))
