"""A warehouse of a few rows in memory, in which an outbound SQL can be tried: for `examples:` and tests.

It has the schemas that an outbound SQL reads (`source`, `canonical`, `ops.bindings`, `quality.quarantine`) as the model
gives them, and nothing else of a real warehouse.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import duckdb

from hub.entity import Entity, Model

_BINDINGS = """CREATE TABLE ops.bindings (entity VARCHAR, system VARCHAR, source_id VARCHAR, hub_id BIGINT, origin VARCHAR,
    bound_at TIMESTAMP WITH TIME ZONE)"""
_QUARANTINE = """CREATE TABLE quality.quarantine (system VARCHAR, entity VARCHAR, source_id VARCHAR, rule VARCHAR,
    closed_at TIMESTAMP WITH TIME ZONE)"""
_MAKES = ("create", "upsert")


class Push(Protocol):
    """What is tried: a compiled push (`outbound.Outbound`)."""

    @property
    def entity(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def sql(self) -> str: ...


def create(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Make the empty schemas in `con`, with the tables of all entities of the model."""
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


def push(made: Push, model: Model, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The payload that a push makes of one canonical record; None where it is not due.

    `given` are canonical columns and perhaps `hub_id`. A reference holds the target's id of the other record, or that
    record's columns (with `id` where the target knows it, and perhaps `hub_id`). An entity's name holds the rows that belong to the record:
    its children, and those that refer to it. `target` holds the target's own view of it, and makes it known there.
    Raises ValueError where a value is not of its column's type.
    """
    with opened(made, model, given) as con:
        return payload(con, made)


@contextmanager
def opened(made: Push, model: Model, given: Mapping[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse that holds one canonical record. Raises ValueError where a value is not of its column's type."""
    con = duckdb.connect(config={"threads": "1"})
    try:
        # Only the tables that are asked for: making all of them takes longer than all the rest.
        asked = {name: entity for name, entity in model.items() if f".{name}\n" in made.sql or name == made.entity}
        create(con, asked)
        con.execute("SET TimeZone = 'UTC'")
        try:
            _Trial(con, model, set(asked)).fill(made, given)
        except duckdb.Error as error:
            raise ValueError(str(error).splitlines()[0]) from None
        yield con
    finally:
        con.close()


def payloads(made: Push, model: Model, givens: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
    """The payload of each of several canonical records, each in a warehouse of its own."""
    told: list[dict[str, Any] | None] = []
    asked = {name: entity for name, entity in model.items() if f".{name}\n" in made.sql or name == made.entity}
    con = duckdb.connect(config={"threads": "1"})
    try:
        create(con, asked)
        con.execute("SET TimeZone = 'UTC'")
        tables = ["ops.bindings", *(f"{layer}.{name}" for layer in ("canonical", "source") for name in asked)]
        for given in givens:
            for table in tables:
                con.execute(f"DELETE FROM {table}")
            _Trial(con, model, set(asked)).fill(made, given)
            told.append(payload(con, made))
    finally:
        con.close()
    return told


def payload(con: duckdb.DuckDBPyConnection, made: Push) -> dict[str, Any] | None:
    """What the push makes of the record in an opened warehouse; None where it is not due."""
    row = con.execute(f"SELECT payload FROM ({made.sql})", {"target": "target"}).fetchone()
    return None if row is None else dict(json.loads(row[0]))


class _Trial:
    def __init__(self, con: duckdb.DuckDBPyConnection, model: Model, there: set[str]) -> None:
        self.con, self.model, self.there, self.next = con, model, there, 1_000

    def _insert(self, entity: str, row: Mapping[str, Any]) -> None:
        if entity in self.there:
            insert(self.con, f"canonical.{entity}", [row])

    def fill(self, made: Push, given: Mapping[str, Any]) -> None:
        entity = self.model[made.entity]
        hub_id = int(given.get("hub_id") or 1)
        own = {name: self._value(entity, name, value) for name, value in given.items() if name in entity}
        self._insert(entity.name, {"hub_id": hub_id, **own})
        for name, rows in given.items():
            if name not in entity and name in self.model:
                self._related(entity, self.model[name], rows, hub_id)
        if "target" in given or made.operation not in _MAKES:
            self._bind(entity.name, "given", hub_id)
            view = given.get("target") or {}
            insert(self.con, f"source.{entity.name}", [_seen("given", hub_id, view)])

    def _value(self, entity: Entity, name: str, value: Any) -> Any:
        ref = entity[name].ref
        if ref is None or value is None:
            return value
        self.next += 1
        columns = dict(value) if isinstance(value, Mapping) else {"id": value}
        hub_id = int(columns.get("hub_id") or self.next)
        if columns.get("id") is not None:
            self._bind(ref, str(columns["id"]), hub_id)
        own = {key: self._value(self.model[ref], key, one) for key, one in columns.items() if key in self.model[ref]}
        self._insert(ref, {"hub_id": hub_id, **own})
        return hub_id

    def _related(self, entity: Entity, other: Entity, rows: Any, hub_id: int) -> None:
        links = [column.name for column in other.refs if column.ref == entity.name]
        link = "parent" if other.parent == entity.name else links[0]
        for row in rows if isinstance(rows, list) else [rows]:
            own = {name: self._value(other, name, value) for name, value in row.items() if name in other}
            self.next += 1
            self._insert(other.name, {"hub_id": self.next, **own, link: hub_id})

    def _bind(self, entity: str, source_id: str, hub_id: int) -> None:
        row = {"entity": entity, "system": "target", "source_id": source_id, "hub_id": hub_id}
        insert(self.con, "ops.bindings", [row])


def _seen(source_id: str, hub_id: int, view: Mapping[str, Any]) -> dict[str, Any]:
    return {"system": "target", "source_id": source_id, "hub_id": hub_id, **view}


def _canonical(entity: Entity) -> list[str]:
    parent = ['"parent" BIGINT'] if entity.parent else []
    return ["hub_id BIGINT", *parent, *_columns(entity)]


def _source(entity: Entity) -> list[str]:
    own = ["system VARCHAR", "source_id VARCHAR", "hub_id BIGINT"]
    parent = ["parent_source_id VARCHAR", "parent_hub_id BIGINT"] if entity.parent else ["hub_ref VARCHAR"]
    refs = [f'"{column.name}_ref" VARCHAR' for column in entity.refs]
    return [*own, *parent, *_columns(entity), *refs, "seen_at TIMESTAMP WITH TIME ZONE", "waiting VARCHAR"]


def _columns(entity: Entity) -> list[str]:
    return [f'"{column.name}" {column.sql_type}' for column in entity]
