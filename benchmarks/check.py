"""Do all contestants hold the same canonical rows? Row by row, and for what differs column by column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
from tables import TABLES, rows_of


def differences(limit: Path, contestant: str, other: Path, tables: Mapping[str, dict[str, str]] = TABLES) -> list[str]:
    """What a contestant's tables hold differently from the limit's, in words; empty where they are equal."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"ATTACH '{limit}' AS a (READ_ONLY)")
    con.execute(f"ATTACH '{other}' AS b (READ_ONLY)")
    found = []
    for table, columns in tables.items():
        con.execute(f"CREATE OR REPLACE TEMP VIEW ours AS {_select('limit', table, columns, 'a')}")
        con.execute(f"CREATE OR REPLACE TEMP TABLE theirs AS {_select(contestant, table, columns, 'b')}")
        found += _compared(con, table, columns)
    con.close()
    return found


def _select(contestant: str, table: str, columns: dict[str, str], database: str) -> str:
    listed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in columns.items())
    return f"SELECT {listed} FROM {rows_of(contestant, table, database)}"


def _compared(con: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str]) -> list[str]:
    count = "SELECT (SELECT count(*) FROM ours), (SELECT count(*) FROM theirs), (SELECT count(DISTINCT source_id) FROM theirs)"
    ours, theirs, keys = con.execute(count).fetchone() or (0, 0, 0)
    found = [] if ours == theirs == keys else [f"{table}: {theirs:,} rows of {keys:,} keys, not {ours:,}"]
    wrong = ", ".join(f"count(*) FILTER (o.{name} IS DISTINCT FROM t.{name})" for name in columns)
    counted = con.execute(f"SELECT {wrong} FROM ours o JOIN theirs t USING (source_id)").fetchone() or ()
    found += [f"{table}.{name}: {n:,} of {ours:,} values differ" for name, n in zip(columns, counted, strict=True) if n]
    missing = con.execute("SELECT count(*) FROM ours ANTI JOIN theirs USING (source_id)").fetchone() or (0,)
    return found + ([f"{table}: {missing[0]:,} keys are missing"] if missing[0] else [])
