"""The snapshot that analysts, pages and plans read, and what the ledger knows folded in before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.config import Project

if TYPE_CHECKING:
    from warehouse.query import Answer


def fold_and_publish(project: Project) -> Path:
    """Fold the outcomes of pushes into the warehouse and publish it. Returns the snapshot's path."""
    from warehouse.ledger import Ledger
    from warehouse.merge import fold_outcomes
    from warehouse.model import entities
    from warehouse.snapshot import publish

    with Ledger(project.ledger) as ledger:
        if ledger.last_seq():
            fold_outcomes(project.warehouse, entities(), ledger.outcomes_after, datetime.now(UTC), project.survivorship)
    return publish(project.warehouse, project.published, project.publish_interval).path


def query_snapshot(project: Project, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
    """Answer one SELECT over the published snapshot."""
    from warehouse.query import query

    return query(project.published, sql, parameters)
