"""What differs between two database files, row by row and column by column: for showing what a change would do.

Rows are paired by a key. `rebuild.py` asks only whether two warehouses are equal; here every column is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hub.entity import Entity, Model
from warehouse.duck import Connection, connect, literal, quote, run

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row that differs: `fields` are column → (before, after) as text, for an added or removed row those that have a value."""

    kind: Kind
    key: str
    fields: dict[str, tuple[str | None, str | None]]


@dataclass(slots=True)
class Table:
    """The differences of one entity; `mapping` says which mapping makes it, where that is known."""

    entity: str
    mapping: str = ""
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    examples: list[Row] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Records that one side refuses for this reason and the other does not. `examples` are (source_id, raw)."""

    mapping: str
    code: str
    field: str
    message: str
    records: int
    examples: tuple[tuple[str, str | None], ...]


def open_pair(before: Path, after: Path) -> Connection:
    """Both files, read-only, as `before` and `after`."""
    return connect(":memory:", attach={"before": before, "after": after})


def open_with(run_file: Path, published: Path) -> Connection:
    """A run file as `run_file`, and a published warehouse as `published`, both read-only."""
    return connect(":memory:", attach={"run_file": run_file, "published": published})


def mapped(con: Connection, model: Model, examples: int = 3) -> list[Table]:
    """Differences of mapped.<entity> of two run files, paired by the system's id, a table for each mapping."""
    found = []
    for entity in model.values():
        table = f"mapped.{quote(entity.name)}"
        names = [f"{column.name}_ref" if column.kind == "ref" else column.name for column in entity]
        for (mapping,) in run(
            con, f"SELECT mapping FROM before.{table} UNION SELECT mapping FROM after.{table} ORDER BY 1"
        ).fetchall():
            source = f"(SELECT * FROM {{side}}.{table} WHERE mapping = {literal(mapping)})"
            found.append(_compared(con, Table(entity.name, mapping), source, "source_id", names, examples))
    return [table for table in found if table.any]


def canonical(con: Connection, model: Model, examples: int = 3) -> list[Table]:
    """Differences of canonical.<entity> of two warehouses, paired by hub id."""
    found = []
    for entity in model.values():
        source = f"{{side}}.canonical.{quote(entity.name)}"
        found.append(_compared(con, Table(entity.name), source, "hub_id", [c.name for c in entity], examples))
    return [table for table in found if table.any]


def _compared(con: Connection, table: Table, source: str, key: str, names: Sequence[str], examples: int) -> Table:
    counted = run(con, counts_sql(source, key, names), name=f"compare {table.entity}").fetchone() or ()
    table.added, table.removed, table.changed, *columns = (int(n or 0) for n in counted)
    table.columns = {name: n for name, n in zip(names, columns, strict=True) if n}
    if table.any:
        rows = run(con, examples_sql(source, key, names, examples), name=f"examples of {table.entity}").fetchall()
        table.examples = [_row(kind, at, names, cells) for kind, at, *cells in rows]
    return table


def _row(kind: Kind, key: str, names: Sequence[str], cells: Sequence[str | None]) -> Row:
    pairs = zip(names, cells[: len(names)], cells[len(names) :], strict=True)
    return Row(kind, key, {name: (before, after) for name, before, after in pairs if before != after})


def counts_sql(source: str, key: str, names: Sequence[str]) -> str:
    """added, removed, changed, and for each column how many of the changed rows differ in it."""
    both = "b._k IS NOT NULL AND a._k IS NOT NULL"
    tests = [f"b.{quote(name)} IS DISTINCT FROM a.{quote(name)}" for name in names]
    columns = "".join(f", count(*) FILTER ({both} AND {test})" for test in tests)
    return f"""
        SELECT count(*) FILTER (b._k IS NULL), count(*) FILTER (a._k IS NULL), count(*) FILTER ({both} AND ({" OR ".join(tests)})){columns}
        FROM {_pair(source, key)}"""


def examples_sql(source: str, key: str, names: Sequence[str], limit: int) -> str:
    """The first rows of each kind that differ: kind, key, all columns before, all after, as text."""
    tests = " OR ".join(f"b.{quote(name)} IS DISTINCT FROM a.{quote(name)}" for name in names)
    cells = [f"CAST({side}.{quote(name)} AS VARCHAR)" for side in ("b", "a") for name in names]
    return f"""
        SELECT CASE WHEN b._k IS NULL THEN 'added' WHEN a._k IS NULL THEN 'removed' ELSE 'changed' END AS _kind,
               CAST(coalesce(a._k, b._k) AS VARCHAR) AS _key, {", ".join(cells)}
        FROM {_pair(source, key)} WHERE b._k IS NULL OR a._k IS NULL OR {tests}
        QUALIFY row_number() OVER (PARTITION BY _kind ORDER BY coalesce(a._k, b._k)) <= {limit} ORDER BY _kind, coalesce(a._k, b._k)"""


def _pair(source: str, key: str) -> str:
    before, after = (f"(SELECT *, {quote(key)} AS _k FROM {source.format(side=side)})" for side in ("before", "after"))
    return f"{before} b FULL JOIN {after} a ON a._k = b._k"


def refusals(con: Connection, side: Literal["before", "after"], examples: int = 3) -> list[Refusals]:
    """What only this side of two run files refuses, by reason: the records that the other side takes."""
    other = "after" if side == "before" else "before"
    rows = run(
        con,
        f"""SELECT coalesce(r.mapping, r.stream), r.code, coalesce(r.field, ''), r.message,
                   count(DISTINCT (r.segment, r.line, r.source_id)),
                   list({{'id': r.source_id, 'raw': r.raw}} ORDER BY r.segment, r.line)[1:{examples}]
            FROM {side}.run.rejects r
            ANTI JOIN {other}.run.rejects o ON o.mapping IS NOT DISTINCT FROM r.mapping AND o.segment = r.segment
              AND o.line = r.line AND o.source_id IS NOT DISTINCT FROM r.source_id
            GROUP BY ALL ORDER BY 5 DESC, 1, 2, 3""",
        name="refusals",
    ).fetchall()
    return [
        Refusals(name, code, at, message, n, tuple((one["id"] or "", one["raw"]) for one in shown))
        for name, code, at, message, n, shown in rows
    ]


def marked(con: Connection) -> dict[str, tuple[int, int]]:
    """Rule of the gate → how many rows fail it before and after, where that differs."""
    rows = run(
        con,
        """SELECT rule, coalesce(b.failed, 0) AS was, coalesce(a.failed, 0) AS is_now
           FROM before.gate.verdicts b FULL JOIN after.gate.verdicts a USING (rule)
           WHERE was <> is_now ORDER BY rule""",
        name="rules",
    ).fetchall()
    return {rule: (was, now) for rule, was, now in rows}


def passing(con: Connection, model: Model, system: str, examples: int) -> list[tuple[Any, ...]]:
    """The causes of which waiting records have nothing against them in the run file: how many wait, how many pass.

    Rows of (cause, system, entity, code, field, message, waiting, passing, ids). Only records that the run file staged count.
    """
    marks = " UNION ALL ".join(
        f"""SELECT {literal(entity.name)}, m._segment, m._line FROM run_file.gate.findings f
            JOIN run_file.mapped.{quote(entity.name)} m ON m._row = f._row
            WHERE f.entity = {literal(entity.name)} AND f.severity <> 'warn'"""
        for entity in model.values()
        if not entity.parent
    )
    rows = run(
        con,
        f"""WITH refused(entity, segment, line) AS (
                SELECT coalesce(entity, ''), segment, line FROM run_file.run.rejects UNION ALL {marks}
            ), waiting AS (
                SELECT q.*, EXISTS (SELECT 1 FROM refused r WHERE r.segment = q.segment AND r.line = q.line
                                    AND r.entity IN (q.entity, '')) AS refused
                FROM published.quality.quarantine q SEMI JOIN run_file.run.segments g ON g.segment = q.segment
                WHERE q.closed_at IS NULL AND q.system = {literal(system)}
            )
            SELECT cause, system, entity, code, coalesce(field, ''), min(message), count(*), count(*) FILTER (NOT refused),
                   list(coalesce(source_id, segment || ':' || line) ORDER BY source_id) FILTER (NOT refused)
            FROM waiting GROUP BY cause, system, entity, code, field HAVING count(*) FILTER (NOT refused) > 0
            ORDER BY 8 DESC, 1""",
        name="waiting records that pass",
    ).fetchall()
    return [(*row[:8], tuple(row[8][:examples])) for row in rows]


def columns_of(entity: Entity) -> dict[str, bool]:
    """Column (also by the name under which a reference is mapped) → whether it is personal."""
    return {name: column.pii for column in entity for name in (column.name, f"{column.name}_ref")}
