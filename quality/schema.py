"""JSON Schema (draft 7) of quality rules, made of the tables that read them and of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hub.entity import Column, Entity, Model
from quality import rules
from quality.checks import OPERATORS
from quality.kinds import KINDS, LISTS
from quality.sql import SYSTEM_COLUMNS

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
_TEXT: Schema = {"type": "string"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1, "description": "Above this share the gate closes."}
_WHOLE: Schema = {"type": "integer", "minimum": 1}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_COLUMN: Schema = {"$ref": "#/definitions/column"}
_CONDITIONS: Schema = {"type": "object", "description": "column: value, or a list of values; all have to hold."}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_AMOUNT: Schema = {
    "anyOf": [_TEXT, {"type": "object", "properties": {"sum": _TEXT, "where": _CONDITIONS}, "required": ["sum"]}],
    "description": "A column, child.column, or {sum: payment.amount, where: {status: captured}}.",
}
_KINDS: Mapping[str, Schema] = {
    "required": {**_COLUMN, "description": "The column has a value."},
    "any_of": {"$ref": "#/definitions/columns", "description": "At least one of them has a value."},
    "unique": {"$ref": "#/definitions/columns", "description": "No two rows have the same."},
    "reference_exists": {**_COLUMN, "description": "What it refers to is known; it may only warn."},
    "range": {
        "type": "object",
        "description": "Within bounds: least and most are allowed values, above and below are not.",
        "properties": {"column": _COLUMN, **dict.fromkeys(("least", "most", "above", "below"), _SCALAR)},
        "required": ["column"],
        "additionalProperties": False,
    },
    "pattern": {
        "type": "object",
        "description": "A text matches a regular expression (RE2), end to end.",
        "properties": {"column": _COLUMN, "matches": _TEXT},
        "required": ["column", "matches"],
        "additionalProperties": False,
    },
    "allowed": {
        "type": "object",
        "description": "One of the values, or of a list that the hub knows.",
        "properties": {"column": _COLUMN, "values": {"type": "array", "items": _TEXT}, "list": {"enum": list(LISTS)}},
        "required": ["column"],
        "additionalProperties": False,
    },
    "sum": {
        "type": "object",
        "description": "The total is what the parts add up to.",
        "properties": {
            "total": _COLUMN,
            **{key: {"anyOf": [_AMOUNT, {"type": "array", "items": _AMOUNT}]} for key in ("plus", "minus")},
            "tolerance": {"type": "integer", "minimum": 0, "description": "In minor units of the currency."},
        },
        "required": ["total", "plus"],
        "additionalProperties": False,
    },
    "freshness": {
        "type": "object",
        "description": "The newest value is no older; of the whole batch.",
        "properties": {"column": _COLUMN, "hours": _WHOLE},
        "required": ["column", "hours"],
        "additionalProperties": False,
    },
    "volume": {
        "type": "object",
        "description": "Rows of the day, as multiples of the same weekday's; of the whole batch.",
        "properties": {"least": _NUMBER, "most": _NUMBER, "days": _WHOLE},
        "additionalProperties": False,
    },
    "distribution": {
        "type": "object",
        "description": "No share is further from the same weekday's than most; of the whole batch.",
        "properties": {"column": _COLUMN, "most": _SHARE, "rows": _WHOLE, "days": _WHOLE},
        "required": ["column", "most"],
        "additionalProperties": False,
    },
    "compare": {
        "type": "object",
        "description": "Two amounts or days.",
        "properties": {"left": _AMOUNT, "is": {"enum": list(OPERATORS)}, "right": _AMOUNT},
        "required": ["left", "is", "right"],
        "additionalProperties": False,
    },
}
_RULE: Mapping[str, Schema] = {
    "severity": {
        "enum": list(rules.SEVERITIES),
        "description": "warn tells, quarantine keeps the row, block closes the gate.",
    },
    "message": {**_TEXT, "minLength": 1, "description": "A sentence for people."},
    "when": _CONDITIONS,
}
_FILE: Mapping[str, Schema] = {
    "about": _TEXT,
    "code": {**_TEXT, "description": "A code of your own: capital letters and digits."},
    "owner": {**_TEXT, "description": "Who is told."},
    "threshold": _SHARE,
    "at_least": {
        "type": "integer",
        "minimum": 1,
        "description": "Rows that have to fail before a share means anything.",
    },
}


def rules_schema(model: Model) -> Schema:
    """Of `quality/<entity>.yaml`."""
    settings = properties((*rules._RULE, *KINDS), {**_FILE, **_RULE, **{kind: _KINDS.get(kind, {}) for kind in KINDS}})
    rule = {
        "type": "object",
        "properties": settings,
        "required": ["message"],
        "oneOf": [{"required": [kind]} for kind in KINDS],
        "additionalProperties": False,
    }
    own: Mapping[str, Schema] = {
        "entity": {"enum": list(model)},
        "rules": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,60}$"},
            "additionalProperties": rule,
        },
    }
    return {
        "$schema": DRAFT,
        "title": "crossdock quality rules",
        "type": "object",
        "properties": properties(rules._FILE, {**_FILE, **own}),
        "required": ["entity", "rules"],
        "additionalProperties": False,
        "allOf": [for_entity(entity, _kinds_of(entity)) for entity in model.values()],
        "definitions": {"column": _TEXT, "columns": {"anyOf": [_COLUMN, {"type": "array", "items": _COLUMN}]}},
    }


def _kinds_of(entity: Entity) -> Schema:
    """The columns that the rules of an entity may name."""
    column: Schema = {"enum": [one.name for one in entity] + list(SYSTEM_COLUMNS)}
    columns = {"anyOf": [column, {"type": "array", "items": column}]}
    named: Schema = {"properties": {"column": column}}
    plain = {"required": column, "any_of": columns, "unique": columns, "reference_exists": column}
    made: Schema = {
        **plain,
        **dict.fromkeys(("range", "pattern", "allowed", "freshness", "distribution"), named),
        "sum": {"properties": {"total": column}},
        "when": conditions(entity),
    }
    return {"properties": {"rules": {"additionalProperties": {"properties": made}}}}


# -- parts


def for_entity(entity: Entity, then: Schema) -> Schema:
    return {"if": {"properties": {"entity": {"const": entity.name}}, "required": ["entity"]}, "then": then}


def conditions(entity: Entity) -> Schema:
    return {
        "type": "object",
        "properties": {one.name: _condition(one) for one in entity} | {key: {} for key in SYSTEM_COLUMNS},
        "additionalProperties": False,
    }


def _condition(column: Column) -> Schema:
    if not column.values:
        return {"description": column.doc}
    value = {"enum": [*column.values, None]}
    return {"description": column.doc, "anyOf": [value, {"type": "array", "items": value}]}


def properties(names: Iterable[str], known: Mapping[str, Schema]) -> Schema:
    return {name: known.get(name, {}) for name in names}


def an_object(names: Iterable[str], required: Sequence[str], known: Mapping[str, Schema]) -> Schema:
    made: Schema = {"type": "object", "properties": properties(names, known), "additionalProperties": False}
    return {**made, "required": list(required)} if required else made
