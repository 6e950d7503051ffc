"""What a person dismissed: a case that may stay as it is. The ledger keeps it (no lake knows it), the warehouse shows it.

A dismissal is of one reason for one record with one content: another content is another record to look at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hub.entity import Model
from warehouse import tables
from warehouse.duck import run
from warehouse.ledger_rows import Dismissal
from warehouse.lock import writer
from warehouse.writing import open_to_write

_KEY = ("system", "entity", "source_id", "segment", "line", "code", "rule", "field", "content")


def update(dismissed: Sequence[Dismissal]) -> tuple[str, list[str]]:
    """The statement that marks the open cases, and its parameters."""
    kinds = {**dict.fromkeys(_KEY, "VARCHAR"), "line": "BIGINT", "reason": "VARCHAR", "by": "VARCHAR"}
    kinds["at"] = "TIMESTAMP WITH TIME ZONE"
    record = "(d.source_id IS NOT NULL OR (q.segment = d.segment AND q.line = d.line))"
    same = " AND ".join(f"q.{name} IS NOT DISTINCT FROM d.{name}" for name in _KEY if name not in ("segment", "line"))
    sql = f"""
        UPDATE quality.quarantine AS q SET dismissed_at = d.at, dismissed_by = d.by, dismissed_reason = d.reason
        FROM (SELECT unnest(from_json($1, '[{json.dumps(kinds)}]'), recursive := true)) d
        WHERE q.closed_at IS NULL AND q.dismissed_at IS NULL AND {same} AND {record}"""
    return sql, [json.dumps([asdict(one) for one in dismissed], default=str)]


def apply(warehouse: Path, model: Model, dismissed: Sequence[Dismissal]) -> None:
    """Mark the cases in the warehouse at once; every merge does so for those that it put anew."""
    with writer(warehouse):
        con = open_to_write(warehouse)
        try:
            tables.migrate(con, model)
            run(con, *update(dismissed), name="dismissed cases")
        finally:
            con.close()
