"""What the project's systems are, as `crossdock systems` shows them."""

from __future__ import annotations

from typing import Any

import connectors
from hub import config
from hub.config import Project
from hub.errors import CrossdockError


def describe(project: Project) -> list[dict[str, Any]]:
    """One row a system: connector, address, streams, may it be written. A system that is set up wrong says so."""
    return [_row(project, name) for name in project.systems]


def _row(project: Project, name: str) -> dict[str, Any]:
    system = project.systems[name]
    row: dict[str, Any] = {
        "system": name,
        "connector": system.connector,
        "write": system.write,
        "go_live": str(system.go_live) if system.go_live else None,
        "streams": [],
        "url": "",
        "problem": None,
    }
    try:
        kind = connectors.load(system.connector, project.folders("connectors"))
        row["streams"] = [stream.name for stream in kind.streams]
        row["url"] = config.connection(project, name).url
    except CrossdockError as error:
        row["problem"] = str(error)
    return row
