"""crossdock, the bulk path alone: its lake, its stage and its map, and then the plain merge of the limit.

No gate, no bindings, no history: what remains is what keeping the raw records and naming every reject costs.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
from contestants.crossdock_full import prepare, start
from tables import TABLES

_SPECIAL = {"customer": "customer_ref", "parent": "parent_source_id"}


def contest(folder: Path, out: Path) -> None:
    run = start(folder, out)
    prepare(run, {})
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    con.execute(f"ATTACH '{run.file}' AS run_file (READ_ONLY)")
    con.execute("BEGIN")
    for table, columns in TABLES.items():
        _merge(con, table, list(columns))
    con.execute("COMMIT")
    con.close()


def _merge(con: duckdb.DuckDBPyConnection, table: str, columns: list[str]) -> None:
    key, listed = (
        ("parent_source_id" if table == "order_line" else "source_id"),
        ", ".join(_SPECIAL.get(c, c) for c in columns),
    )
    select = f"SELECT {listed} FROM run_file.mapped.{table}"
    con.execute(
        f"CREATE TABLE IF NOT EXISTS {table} AS SELECT {', '.join(f'{_SPECIAL.get(c, c)} AS {c}' for c in columns)} FROM run_file.mapped.{table} LIMIT 0"
    )
    con.execute(
        f"DELETE FROM {table} WHERE {'parent' if table == 'order_line' else 'source_id'} IN (SELECT {key} FROM run_file.mapped.{table})"
    )
    con.execute(f"INSERT INTO {table} {select}")
