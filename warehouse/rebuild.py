"""Are two warehouses the same? A rebuild from lake and ledger has to give equal canonical tables with equal hub ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.entity import Model
from warehouse.duck import Connection, connect, quote, run

# What of a row may be shown: never its content.
_KEYS = ("hub_id", "entity", "system", "source_id", "segment", "valid_from")


@dataclass(frozen=True, slots=True)
class Difference:
    """A table in which the two differ: how many rows only one of them has, and the keys of the first few."""

    table: str
    only_in_first: int
    only_in_second: int
    examples: tuple[str, ...]


def compare(first: Path, second: Path, model: Model, *, history: bool = True) -> list[Difference]:
    """Where two warehouses differ: canonical rows, their hub ids, bindings, source rows, history. Empty: they are equal.

    run_id and the instants of runs are compared too: a rebuild replays the same runs.
    """
    con = connect(":memory:", attach={"a": first, "b": second})
    try:
        tables = [*_entity_tables(model, history), "ops.bindings", "ops.hub_ids", "ops.segments", "quality.quarantine"]
        return [found for table in tables if (found := _difference(con, table)) is not None]
    finally:
        con.close()


def _entity_tables(model: Model, history: bool) -> list[str]:
    layers = ["canonical", "source", *(["history"] if history else [])]
    return [f"{layer}.{entity.name}" for layer in layers for entity in model.values()]


def _difference(con: Connection, table: str) -> Difference | None:
    schema, name = table.split(".")
    columns = [
        column
        for (column,) in run(
            con,
            """SELECT column_name FROM duckdb_columns() WHERE schema_name = $1 AND table_name = $2
               GROUP BY ALL HAVING count(DISTINCT database_name) = 2 ORDER BY 1""",
            [schema, name],
        ).fetchall()
    ]
    keys = [key for key in _KEYS if key in columns]
    row = run(con, difference_sql(f"{schema}.{quote(name)}", columns, keys), name=f"compare {table}").fetchone()
    if row is None or not (row[0] or row[1]):
        return None
    return Difference(table, row[0], row[1], tuple(row[2] or ()))


def difference_sql(table: str, columns: Sequence[str], keys: Sequence[str]) -> str:
    """Rows of the one that the other has not, as bags: the order of the rows does not matter, nor that of the columns, which
    stand at the end where a warehouse is older than they.
    """
    first, second = (f"SELECT {', '.join(map(quote, columns))} FROM {side}.{table}" for side in "ab")
    shown = " || ' ' || ".join(f"coalesce({key}::VARCHAR, '-')" for key in keys) or "''"
    return f"""
        WITH first AS ({first} EXCEPT ALL {second}), second AS ({second} EXCEPT ALL {first}),
             shown AS (SELECT {shown} AS row FROM first UNION ALL SELECT {shown} FROM second)
        SELECT (SELECT count(*) FROM first), (SELECT count(*) FROM second),
               (SELECT list(row ORDER BY row)[1:5] FROM shown)"""
