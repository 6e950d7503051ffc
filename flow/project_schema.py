"""The JSON Schema of `crossdock.yaml`, made of the tables that read it (`hub/config.py`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hub import config
from hub.entity import Entity, Model
from hub.push_settings import POLICIES, Guards

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_DAY: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}
_SETTINGS: Mapping[str, Schema] = {
    "name": {**_TEXT, "description": "The project's name."},
    "data": {**_TEXT, "description": "Where the stores lie; default: data."},
    "lake": {**_TEXT, "description": "Where raw records are kept: a folder, or an object store."},
    "ledger": {**_TEXT, "description": "SQLAlchemy's address of the ledger; default: SQLite in data."},
    "publish": {
        "type": "object",
        "properties": {
            "min_interval": {"type": "integer", "minimum": 0, "description": "Seconds between two snapshots."}
        },
        "additionalProperties": False,
    },
    "retention": {
        "type": "object",
        "properties": {
            "days": {
                "type": "integer",
                "minimum": 1,
                "description": "After so many superseded versions leave the lake.",
            }
        },
        "required": ["days"],
        "additionalProperties": False,
    },
    "write": {"type": "boolean", "description": "May crossdock write to this system?"},
    "from": {**_DAY, "description": "The go-live: older records are matched and never created."},
    "timezone": {**_TEXT, "description": "The system's clock: Europe/Berlin."},
    "currency": {**_TEXT, "pattern": "^[A-Z]{3}$", "description": "ISO 4217, where records name none."},
    "streams": {"type": "array", "items": _TEXT, "description": "Only these; default: all of the connector."},
    "conflicts": {
        "type": "object",
        "additionalProperties": {"enum": list(POLICIES)},
        "description": "Who decides where a push and the target's own people changed the same: default, or entity.field.",
    },
    "guards": {
        "type": "object",
        "properties": {
            one.name: {"anyOf": [{"type": "number", "minimum": 0}, {"const": False}], "default": one.default}
            for one in dataclasses.fields(Guards)
        },
        "additionalProperties": False,
        "description": "Above these a plan waits for a person; false: never.",
    },
    "url": {**_TEXT, "description": "Its address; ${env:NAME:-default} reads the environment."},
    "login": _TEXT,
    "password": {**_TEXT, "pattern": r"^\$\{env:", "description": "Only ${env:NAME}: no secret stands in a file."},
    "extra": {"type": "object"},
}


def project_schema(model: Model, connectors: Sequence[str]) -> Schema:
    """`connectors` are offered; another name is not refused, for it may be a file that is still to be written."""
    system = _object(config._SYSTEM) | {"required": ["connector"]}
    system["properties"] |= {
        "connector": {"anyOf": [{"enum": list(connectors)}, {"type": "string", "minLength": 1}]},
        "connection": _object(config._CONNECTION),
    }
    system |= {"if": {"properties": {"write": {"const": True}}, "required": ["write"]}, "then": {"required": ["from"]}}
    top = _object(config._TOP) | {"required": ["systems"]}
    top["properties"] |= {
        "systems": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,40}$"},
            "additionalProperties": system,
        },
        "unmask": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The users (login names) who may see personal values; without it, whoever can read the stores.",
        },
        "survivorship": {
            "type": "object",
            "description": "Which system's word counts, field by field: the first that has a value wins.",
            "properties": {name: _orders(entity) for name, entity in model.items()},
            "additionalProperties": False,
        },
    }
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "A crossdock project", **top}


def _orders(entity: Entity) -> Schema:
    order: Schema = {"type": "array", "items": _TEXT}
    columns = {column.name: {**order, "description": column.doc} for column in entity}
    return {"type": "object", "properties": {"default": order, **columns}, "additionalProperties": False}


def _object(names: Iterable[str]) -> Schema:
    properties: Schema = {name: _SETTINGS.get(name, {}) for name in names}
    return {"type": "object", "properties": properties, "additionalProperties": False}
