"""The snapshot that analysts, pages and plans read, and what the ledger knows folded in before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.past import agree
from hub.config import Project

if TYPE_CHECKING:
    from warehouse.query import Answer


def fold_and_publish(project: Project) -> Path:
    """Fold the outcomes of pushes into the warehouse and publish it. Returns the snapshot's path.

    Raises ConfigurationError W143 for a warehouse that is not the ledger's: what analysts and plans read stays the last good one.
    """
    from warehouse.ledger import Ledger
    from warehouse.merge import fold_outcomes
    from warehouse.model import entities
    from warehouse.snapshot import publish

    with Ledger(project.ledger) as ledger:
        if ledger.last_seq():
            at, same = datetime.now(UTC), agree(ledger)
            fold_outcomes(project.warehouse, entities(), ledger.outcomes_after, at, project.survivorship, agree=same)
        snapshot = publish(project.warehouse, entities(), project.published, project.publish_interval, agree(ledger))
        return snapshot.path


def query_snapshot(project: Project, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
    """Answer one SELECT over the published snapshot."""
    from warehouse.query import query

    return query(project.published, sql, parameters)
