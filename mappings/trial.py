"""A warehouse of a few rows in memory, in which an outbound SQL can be tried: for examples and tests.

It has the schemas that an outbound SQL reads (`source`, `canonical`, `ops.bindings`, `quality.quarantine`) as the model
gives them, and nothing else of a real warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from hub.entity import Entity, Model

_BINDINGS = """CREATE TABLE ops.bindings (entity VARCHAR, system VARCHAR, source_id VARCHAR, hub_id BIGINT, origin VARCHAR,
    bound_at TIMESTAMP WITH TIME ZONE)"""
_QUARANTINE = """CREATE TABLE quality.quarantine (system VARCHAR, entity VARCHAR, source_id VARCHAR, rule VARCHAR,
    closed_at TIMESTAMP WITH TIME ZONE)"""


def create(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Make the empty schemas in `con`."""
    for schema in ("source", "canonical", "ops", "quality"):
        con.execute(f"CREATE SCHEMA {schema}")
    for entity in model.values():
        con.execute(f"CREATE TABLE canonical.{entity.name} ({', '.join(_canonical(entity))})")
        con.execute(f"CREATE TABLE source.{entity.name} ({', '.join(_source(entity))})")
    con.execute(_BINDINGS)
    con.execute(_QUARANTINE)


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows by column name; what is not named is NULL."""
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        con.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def _canonical(entity: Entity) -> list[str]:
    parent = ['"parent" BIGINT'] if entity.parent else []
    return ["hub_id BIGINT", *parent, *_columns(entity), "deleted_at TIMESTAMP WITH TIME ZONE"]


def _source(entity: Entity) -> list[str]:
    own = ["system VARCHAR", "source_id VARCHAR", "hub_id BIGINT"]
    parent = ["parent_source_id VARCHAR", "parent_hub_id BIGINT"] if entity.parent else []
    refs = [f'"{column.name}_ref" VARCHAR' for column in entity.refs]
    return [*own, *parent, *_columns(entity), *refs, "seen_at TIMESTAMP WITH TIME ZONE", "waiting VARCHAR"]


def _columns(entity: Entity) -> list[str]:
    return [f'"{column.name}" {column.sql_type}' for column in entity]
