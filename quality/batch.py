"""What a batch is, as one text: a digest of every mapped row. A verdict holds for the batch that it was made of, and no other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import duckdb

from quality.sql import name


def digest(con: duckdb.DuckDBPyConnection, filled: Iterable[str] | None = None) -> str:
    """SHA-256 over the count and the summed row hashes of each mapped table that has rows; their order does not matter.

    `filled` are the tables that have rows, where somebody has asked already.
    """
    parts = [
        f"SELECT '{table}' AS entity, count(*) AS n, sum(hash(m)::HUGEINT) AS h FROM mapped.{name(table)} m"
        for table in (_filled(con) if filled is None else sorted(filled))
    ]
    rows = (
        con.execute(f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE n > 0 ORDER BY entity").fetchall()
        if parts
        else []
    )
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _filled(con: duckdb.DuckDBPyConnection) -> list[str]:
    there = """SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mapped' AND database_name = current_database()
        AND estimated_size > 0 ORDER BY table_name"""
    return [table for (table,) in con.execute(there).fetchall()]


def recorded(con: duckdb.DuckDBPyConnection) -> str:
    """The digest that the marks wrote into the run file; empty where there are none.

    Whoever reads the file between the marks and the merge may take it for that of the rows: the merge asks the rows again.
    """
    there = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'gate' AND table_name = 'batch'"
    rows = con.execute("SELECT digest FROM gate.batch").fetchall() if con.execute(there).fetchone() else []
    return str(rows[0][0]) if len(rows) == 1 else ""
