#!/usr/bin/python3
"""steps_postgres.py [row ...]: tests the rows of the table in docs/transactions.md with the order service on
PostgreSQL, whose server is killed as well."""
import sys

from steps import act

from postgres import Postgres

if __name__ == "__main__":
    with Postgres() as server:
        sys.exit(act("postgres", server))
