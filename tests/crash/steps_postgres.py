#!/usr/bin/python3
"""steps_postgres.py [row ...]: the table of docs/transactions.md acted out by the order service on
PostgreSQL, whose server is killed as well."""
import sys

from steps import act

from postgres import Postgres

if __name__ == "__main__":
    with Postgres() as server:
        sys.exit(act("postgres", server))
