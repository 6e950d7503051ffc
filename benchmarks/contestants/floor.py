"""The floor: reading alone. DuckDB parses the same pages with the limit's columns and counts the values."""

from __future__ import annotations

from pathlib import Path

import duckdb
from contestants.limit import CUSTOMERS, ORDERS, read_sql


def contest(folder: Path, out: Path) -> None:
    con = duckdb.connect()
    for stream, columns in (("orders", ORDERS), ("customers", CUSTOMERS)):
        counts = ", ".join(f"count({name})" for name in columns)
        con.execute(f"SELECT {counts} FROM {read_sql(folder, stream, columns)}").fetchall()
    con.close()
