"""JSON Schema (draft 7) of `quality/reconcile/<name>.yaml`, made of the tables that read it and of the model."""

from __future__ import annotations

from collections.abc import Mapping

from hub.entity import Entity, Model
from quality import reconcile_read as read
from quality.reconcile_spec import FIELD_REASONS, LEVELS, PARTS
from quality.schema import DRAFT, Schema, an_object, conditions, for_entity

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_DAYS: Schema = {"type": "integer", "minimum": 0}
_COLUMN: Schema = {"$ref": "#/definitions/column"}
_CONDITIONS: Schema = {"type": "object", "description": "column: value, or a list of values; all have to hold."}
_NEEDS: Schema = {"anyOf": [_CONDITIONS, {"enum": [read.NEVER]}], "description": "Which records need a partner."}
_SPAN: Mapping[str, Schema] = {
    "tolerance": {**_NUMBER, "description": "Absolute, in the value's own unit."},
    "percent": {**_NUMBER, "description": "Of the left value; the greater of the two holds."},
    "days": {**_NUMBER, "description": "How far apart two days or instants may be."},
}


def reconcile_schema(model: Model) -> Schema:
    heads = [entity for entity in model.values() if not entity.parent]
    entity: Schema = {"enum": [one.name for one in heads]}
    top: Mapping[str, Schema] = {
        "entity": entity,
        "about": _TEXT,
        "owner": {**_TEXT, "description": "Who is told."},
        "key": {**_COLUMN, "description": "A column, hub_id, or <reference>.<column>."},
        **dict.fromkeys(("left", "middle", "right"), _side(entity)),
        "match": _match(),
        "scope": an_object(("column", "from", "days"), ["column"], {"column": _COLUMN, "from": _TEXT, "days": _DAYS}),
        "in_flight": an_object(("column", "hours"), ["hours"], {"column": _COLUMN, "hours": _NUMBER}),
        "done": _CONDITIONS,
        "compare": _compare(),
        "severity": an_object(LEVELS, [], dict.fromkeys(LEVELS, _level())),
    }
    made = an_object(read.TOP, ["entity", "key", "left", "right", "compare"], top)
    own = [for_entity(one, _columns_of(one)) for one in heads]
    return {
        "$schema": DRAFT,
        "title": "A crossdock reconciliation",
        **made,
        "allOf": own,
        "definitions": {"column": _TEXT},
    }


def _side(entity: Schema) -> Schema:
    known: Mapping[str, Schema] = {
        "system": _TEXT,
        "entity": entity,
        "key": _COLUMN,
        "columns": {"type": "object", "description": "What our columns are called here; ~ where this side has none."},
        "where": _CONDITIONS,
        "many": {"type": "boolean", "description": "Several records of one key are one whole, and are added up."},
        "needs_partner": _NEEDS,
        "own_when_equal": {"type": "array", "items": _COLUMN, "minItems": 2, "maxItems": 2},
        "key_matches": {**_TEXT, "description": "RE2, end to end: other keys never came from the other side."},
    }
    return an_object(read.SIDE, ["system"], known)


def _match() -> Schema:
    same: Schema = {"anyOf": [_COLUMN, {"type": "array", "items": _COLUMN}]}
    one = an_object(read.MATCH, ["same"], {"same": same, "split": {"type": "boolean"}, **_SPAN})
    return {"anyOf": [one, {"type": "array", "items": one}], "description": "What no key ties together."}


def _compare() -> Schema:
    column = an_object(["column"], ["column"], {"column": _COLUMN})
    part = an_object(["plus", "minus"], [], dict.fromkeys(("plus", "minus"), _COLUMN))
    part |= {"minProperties": 1, "maxProperties": 1}
    parts = an_object(PARTS, [], dict.fromkeys(PARTS, part))
    same: Schema = {"type": "array", "items": {"type": "array", "items": _TEXT}}
    reason: Schema = {"enum": list(FIELD_REASONS)}
    field = an_object(read.FIELD, [], {"reason": reason, "least": _NUMBER, "both": {"type": "boolean"}, **_SPAN})
    amount = {"column": _COLUMN, "rounding": _NUMBER, "parts": parts, **_SPAN}
    known: Mapping[str, Schema] = {
        "status": an_object(["column", "same"], ["column"], {"column": _COLUMN, "same": same}),
        "currency": column,
        "customer": column,
        "amount": an_object(read.AMOUNT, ["column"], amount),
        "quantity": an_object(["sum", "tolerance"], ["sum"], {"sum": _TEXT, "tolerance": _NUMBER}),
        "fields": {"type": "object", "additionalProperties": {"anyOf": [reason, {"type": "null"}, field]}},
    }
    return an_object(read.COMPARE, [], known)


def _level() -> Schema:
    return an_object(read.LEVEL, [], {"amount": _NUMBER, "days": _DAYS, "due": _DAYS})


def _columns_of(entity: Entity) -> Schema:
    """The columns that a reconciliation may name: those of its entity; a side with another entity has its own."""
    names = [one.name for one in entity]
    column: Schema = {"enum": names}
    key: Schema = {"anyOf": [{"enum": [*names, "hub_id"]}, {"type": "string", "pattern": r"^[a-z_]+\.[a-z_]+$"}]}
    named: Schema = {"properties": {"column": column}}
    needs: Schema = {"anyOf": [conditions(entity), {"enum": [read.NEVER]}]}
    side: Schema = {
        "properties": {"needs_partner": needs, "where": conditions(entity), "own_when_equal": {"items": column}}
    }
    own: Schema = {"if": {"required": ["entity"]}, "else": side}
    compared: dict[str, Schema] = dict.fromkeys(("status", "currency", "customer", "amount"), named)
    compared["fields"] = {"propertyNames": column}
    return {
        "properties": {
            "key": key,
            **dict.fromkeys(("left", "middle", "right"), own),
            "scope": named,
            "in_flight": named,
            "done": conditions(entity),
            "compare": {"properties": compared},
        }
    }
