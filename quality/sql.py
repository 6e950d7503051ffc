"""How names and values are written in SQL text, and where an entity's columns lie in the run file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from hub.entity import DELETED, Entity

SYSTEM_COLUMNS = ("system", "source_id")


def name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: str | int | bool | Decimal | date | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.isoformat()}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"


def stored(entity: Entity, column: str) -> str:
    """The physical name: a reference is held in the mapped layer as the other record's id, `<column>_ref`."""
    return f"{column}_ref" if column in entity and entity[column].kind == "ref" else column


def living(entity: Entity, alias: str) -> str:
    """`AND` that the row is not deleted; nothing of a child, which cannot be."""
    return f" AND {alias}.{DELETED.name} IS NULL" if DELETED.name in entity else ""


def others(entity: Entity, columns: Sequence[str]) -> str:
    """How gate.others names the rows of earlier runs that have the same values; the name of an entity is for references to it."""
    return f"{entity.name}({', '.join(columns)})"


def is_text(entity: Entity, column: str) -> bool:
    return column in SYSTEM_COLUMNS or entity[column].kind in ("text", "ref")
