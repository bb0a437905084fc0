#!/usr/bin/python3
"""steps.py [row ...]: tests the rows of the table in docs/transactions.md with the order service in Python (C:
steps_c.py, PostgreSQL: steps_postgres.py). It also checks that the table and the tests have the same rows."""
import os
import re
import sys
import time
import traceback

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import SOURCE  # noqa: E402 (the path comes first)
from stage import Stage  # noqa: E402
from step_rows import ROWS  # noqa: E402


def table():
    with open(os.path.join(SOURCE, "docs", "transactions.md"), encoding="utf-8") as f:
        return re.findall(r"^\| ([A-Z]\d+) \|", f.read(), flags=re.MULTILINE)


def act(kind, postgres=None):
    """Runs the rows for this kind of service. Returns the exit status."""
    failed, only = [], sys.argv[1:]
    for name, (function, kinds, flags) in ROWS.items():
        if kind not in kinds or (only and name not in only):
            continue
        start = time.monotonic()
        try:
            with Stage(kind, postgres, flags) as stage:
                function(stage)
            print(f"ok      {name} {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:
            traceback.print_exc()
            print(f"FAILED  {name} {function.__name__}", flush=True)
            failed.append(name)
    print("failed: " + " ".join(failed) if failed else f"every row of {kind} ends as the table says")
    return 1 if failed else 0


if __name__ == "__main__":
    assert table() == list(ROWS), f"the guide has {table()}, the tests have {list(ROWS)}"
    sys.exit(act("python"))
