"""Are two warehouses the same? A rebuild from lake and ledger has to give equal canonical tables with equal hub ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hub.entity import Model
from warehouse.duck import Connection, connect, quote, run


@dataclass(frozen=True, slots=True)
class Difference:
    """A table in which the two differ: rows that only one of them has, and the first few of their keys."""

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
    return [f"{layer}.{quote(entity.name)}" for layer in layers for entity in model.values()]


def _difference(con: Connection, table: str) -> Difference | None:
    rows = run(con, difference_sql(table), name=f"compare {table}").fetchone()
    if rows is None or not (rows[0] or rows[1]):
        return None
    return Difference(table, rows[0], rows[1], tuple(rows[2] or ()))


def difference_sql(table: str) -> str:
    """Rows of the one that the other has not, as bags: the order of the rows does not matter."""
    return f"""
        WITH first AS (FROM a.{table} EXCEPT ALL FROM b.{table}), second AS (FROM b.{table} EXCEPT ALL FROM a.{table}),
             shown AS (
                 SELECT to_json(f)::VARCHAR AS row FROM first f UNION ALL SELECT to_json(s)::VARCHAR FROM second s)
        SELECT (SELECT count(*) FROM first), (SELECT count(*) FROM second),
               (SELECT list(row ORDER BY row)[1:5] FROM shown)"""
