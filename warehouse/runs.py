"""Which runs a warehouse has merged (`ops.runs`), in the order of its rows."""

from __future__ import annotations

import duckdb

from warehouse.duck import Connection


def merged_so_far(con: Connection, run_id: str = "") -> tuple[bool, str | None]:
    """Whether the run is merged, and which one was merged last: None where none was, or the file is new."""
    sql = "SELECT coalesce(bool_or(run_id = $1), false), arg_max(run_id, rowid) FROM ops.runs"
    try:
        row = con.execute(sql, [run_id]).fetchone()
    except duckdb.CatalogException:
        row = None
    return (bool(row[0]), row[1]) if row else (False, None)
