"""What waits in quarantine, read from the published snapshot. Personal values are masked unless asked for."""

from __future__ import annotations

from typing import Any

from flow.publish import query_snapshot
from hub.config import Project
from hub.secrets import MASK


def causes(project: Project, system: str | None = None) -> list[dict[str, Any]]:
    """Open rows grouped by cause: 500 rows with one cause are one line."""
    answer = query_snapshot(
        project,
        """SELECT system, entity, code, field, min(message) AS message, count(*) AS rows,
                  list(source_id ORDER BY source_id)[1:3] AS examples
           FROM quality.quarantine WHERE closed_at IS NULL AND ($system IS NULL OR system = $system)
           GROUP BY system, entity, code, field ORDER BY count(*) DESC, system, entity, code, field""",
        {"system": system},
    )
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def record(project: Project, key: str, *, unmask: bool = False) -> list[dict[str, Any]]:
    """Every finding about one waiting record, by its id in its system."""
    from warehouse.model import entities

    model = entities()
    answer = query_snapshot(
        project,
        "SELECT * FROM quality.quarantine WHERE source_id = $key ORDER BY system, entity, first_seen, rule",
        {"key": key},
    )
    found = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    for row in found:
        field = str(row["field"] or "").rpartition(".")[2]
        if not unmask and any(field in entity and entity[field].pii for entity in model.values()):
            row["raw"] = MASK
    return found
