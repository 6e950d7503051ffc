"""JSON Schemas (draft 7) of mapping files and value maps, made of the tables that read them, of the model and the functions.

An editor completes settings, entities, canonical columns and the fields of streams that have a sample. What a schema cannot
say (an expression's types, a reference's target) lint says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hub.entity import Column, Entity, Model, children
from mappings import read, read_examples, read_push
from mappings.functions import FUNCTIONS, OF_PUSHES
from mappings.meaning import FORMS
from mappings.named import NAME, as_function
from mappings.shapes import Shape
from mappings.syntax import Named

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
_INDEX = re.compile(r"\[[0-9]+\]")
_SCALAR = ["string", "number", "boolean"]
_EXPRESSION: Schema = {"$ref": "#/definitions/expression"}
_TEXT: Schema = {"type": "string"}
_TYPE: Schema = {
    **_TEXT,
    "examples": [
        "money net EUR",
        "money gross in currency",
        "quantity KGM",
        "picklist status",
        "id customer",
        "instant",
    ],
    "description": f"Such as {FORMS}. crossdock explain M150 shows all.",
}
_VALUES = "The name of a value map in values.yaml: how the system's picklist corresponds to ours."
_REF = "The entity that the value is an id of; the hub resolves it, and the row waits until it can."

# What a setting may hold, wherever it stands. A setting of the reader that is not listed here may hold anything.
_SETTINGS: dict[str, Schema] = {
    "extends": {**_TEXT, "description": "Take everything from that mapping: cart/orders."},
    "stream": {**_TEXT, "minLength": 1, "description": "A stream of the system whose folder this is."},
    "each": {**_EXPRESSION, "description": "A list of the record: one row for each of its items."},
    "key": {**_EXPRESSION, "description": "The id of the row, as text; of a push: our own business key."},
    "version": {**_EXPRESSION, "description": "Orders versions of a row."},
    "hub": {**_EXPRESSION, "description": "Where the record quotes the hub's own id."},
    "types": {
        "type": "object",
        "additionalProperties": _TYPE,
        "description": "What the stream's fields mean in trade.",
    },
    "loose": {"type": "array", "items": _TEXT, "description": "Fields that are sometimes no object: then missing."},
    "when": {**_EXPRESSION, "description": "Only where this is true."},
    "since": {**_EXPRESSION, "description": "An instant or a day, compared with the system's go-live."},
    "at": {**_EXPRESSION, "description": "Where the value stands: a path or an expression; of a push: its place."},
    "value": {**_EXPRESSION, "description": "What is sent: an expression over canonical columns."},
    "ref": {**_TEXT, "description": _REF},
    "values": {**_TEXT, "description": _VALUES},
    "unmapped": {
        "enum": list(read.POLICIES),
        "description": "What becomes of a value that the value map does not know.",
    },
    "lookup": {
        **_TEXT,
        "description": "Another stream of the system, or canonical.<entity>: `at` is then of the record found.",
    },
    "by": {**_EXPRESSION, "description": "What of the other record the key is compared with."},
    "missing": {"enum": list(read.POLICIES), "description": "What becomes of a key that no other record has."},
    "parent": {
        **_EXPRESSION,
        "description": "What of a record of the other stream is the key of the row it belongs to.",
    },
    "known": {
        "type": "object",
        "description": "The records of other streams that the example looks up, by stream.",
        "additionalProperties": {"type": ["array", "object"]},
    },
    "default": {"type": _SCALAR, "description": "A plain value for what is missing."},
    "required": {"type": "boolean", "description": "A row without it is rejected."},
    "operation": {"enum": list(read_push.OPERATIONS), "description": "What kind of call this is."},
    "match": {
        "enum": list(read_push.MATCHES),
        "description": "find: ask the target for our key before a record is made.",
    },
    "null": {"enum": list(read_push.NULLS), "description": "clear: what is missing here is emptied in the target."},
    "archive": {"type": "array", "description": "Of a mirror: what the call that archives a record says."},
    "doc": {**_TEXT, "description": "A note for people."},
    "name": _TEXT,
    "excluded": {"type": "boolean"},
    "expect": {"type": ["object", "array"]},
    "rejects": {"type": ["object", "array", "string"]},
    "hold": {
        "type": "array",
        "description": "While `when` is true the record waits for a person, who is told `reason`.",
        "items": {
            "type": "object",
            "properties": {"when": _EXPRESSION, "reason": _TEXT},
            "required": ["when", "reason"],
            "additionalProperties": False,
        },
    },
}


def mapping_schema(
    model: Model, samples: Mapping[str, Sequence[Shape]] | None = None, own: Sequence[Named] = ()
) -> Schema:
    """Of `mappings/<system>/<name>.yaml`. `samples` are shapes of streams' records, by the stream's name; `own` are functions
    of the project.
    """
    headers = [entity for entity in model.values() if not entity.parent]
    top = _object(read.TOP)
    top["properties"] |= {
        "entity": {"enum": [entity.name for entity in headers], "description": "The canonical kind of record."},
        "fields": {"type": "object", "description": "Canonical column: path or expression."},
        "children": {"type": "object", "description": "Rows that travel with their header, by child entity."},
        "push": _one_or_more({"$ref": "#/definitions/push"}),
        "examples": _one_or_more(_example()),
    }
    return {
        "$schema": DRAFT,
        "title": "A crossdock mapping",
        **top,
        "anyOf": [{"required": ["stream", "entity"]}, {"required": ["extends"]}],
        "allOf": [
            *({"if": _is("entity", one.name), "then": {"$ref": f"#/definitions/{one.name}"}} for one in headers),
            *(
                {"if": _is("stream", name), "then": _of_stream(shapes)}
                for name, shapes in sorted((samples or {}).items())
            ),
        ],
        "definitions": {
            "expression": _expression(own),
            "push": _push(headers),
            **{f"columns of {entity.name}": _columns(entity) for entity in model.values()},
            **{entity.name: _header(entity, model) for entity in headers},
            **{f"pushed {entity.name}": _pushed(entity, model) for entity in headers},
        },
    }


def tests_schema() -> Schema:
    """Of `mappings/<system>/<name>_test.yaml`: examples that stand in a file of their own."""
    return {"$schema": DRAFT, "title": "Examples of a crossdock mapping", "type": "array", "items": _example()}


def values_schema() -> Schema:
    """Of `values.yaml`."""
    pairs: Schema = {"type": "object", "minProperties": 1, "additionalProperties": {"type": _SCALAR, "minLength": 1}}
    long = {
        "type": "object",
        "properties": {"in": pairs, "out": pairs},
        "required": ["in"],
        "additionalProperties": False,
    }
    return {
        "$schema": DRAFT,
        "title": "crossdock value maps: the system's value on the left, ours on the right",
        "type": "object",
        "additionalProperties": {"anyOf": [pairs, long]},
    }


def functions_schema() -> Schema:
    """Of `functions.yaml`."""
    example: Schema = {
        "type": "object",
        "properties": {"given": {"type": "array"}, "expect": {}, "fails": {"const": True}},
        "required": ["given"],
        "minProperties": 2,
        "maxProperties": 2,
        "additionalProperties": False,
    }
    names: Schema = {"type": "array", "items": {"type": "string", "pattern": NAME}}
    arguments = {"anyOf": [names, {"type": "object", "additionalProperties": _TYPE}]}
    function = {
        "type": "object",
        "properties": {
            "doc": {**_TEXT, "description": "What it does, for people."},
            "arguments": {**arguments, "description": "Their names, or each with what it has to be."},
            "is": {**_EXPRESSION, "description": "An expression over the arguments."},
            "examples": {"type": "array", "minItems": 1, "items": example},
        },
        "required": ["is", "examples"],
        "additionalProperties": False,
    }
    return {
        "$schema": DRAFT,
        "title": "Functions of a project's own",
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "additionalProperties": function,
        "definitions": {"expression": _expression(())},
    }


# -- parts


def _object(settings: Iterable[str], required: Sequence[str] = ()) -> Schema:
    properties: Schema = {name: _SETTINGS.get(name, {}) for name in settings}
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def _example() -> Schema:
    return _object(read_examples.EXAMPLE, ["given"])


def _one_or_more(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema}, {"type": "null"}]}


def _is(setting: str, value: str) -> Schema:
    return {"properties": {setting: {"const": value}}, "required": [setting]}


def _expression(own: Sequence[Named]) -> Schema:
    known = [*(as_function(one) for one in own), *FUNCTIONS.values()]
    functions = "\n".join(f"* `{one.signature}`: {one.doc}" for one in known)
    functions += "\n\nIn a push also:\n\n" + "\n".join(f"* `{one.form}`: {one.doc}" for one in OF_PUSHES.values())
    said = "A path (`lines[0].sku`, `addresses[type = 'billing'].city`) or an expression."
    return {
        "type": _SCALAR,
        "description": f"{said} Functions: {', '.join(one.name for one in known)}",
        "markdownDescription": f"{said} Functions:\n\n{functions}",
        # What an editor offers to write: https://github.com/redhat-developer/yaml-language-server
        "defaultSnippets": [
            {"label": one.signature, "description": one.doc, "body": f"{one.name}($1)"} for one in known
        ],
    }


def _columns(entity: Entity) -> Schema:
    return {
        "type": "object",
        "properties": {column.name: _column(column) for column in entity},
        "additionalProperties": False,
    }


def _column(column: Column) -> Schema:
    long = _object(name for name in read.FIELD if (name == "ref") <= bool(column.ref))
    long["required"] = ["at", "ref"] if column.ref else ["at"]
    long["properties"]["key"] = {**_EXPRESSION, "description": "Of a lookup: what of this record names the other one."}
    long["dependencies"] = {"lookup": ["key", "by"], "key": ["lookup"], "by": ["lookup"], "missing": ["lookup"]}
    if column.ref:
        long["properties"] |= {"ref": {"const": column.ref, "description": _REF}}
    if column.values:
        long["properties"] |= {"default": {"enum": list(column.values)}}
    ways = [long, {"type": "null"}] if column.ref else [_EXPRESSION, long, {"type": "null"}]
    return {"description": described(column), "anyOf": ways}


def described(column: Column) -> str:
    """A column in one line: its doc, kind, values, standard term."""
    parts = [
        column.doc,
        " ".join(part for part in (column.basis, column.kind) if part) + (f" to {column.ref}" if column.ref else ""),
        ", ".join(column.values),
        column.term,
    ]
    return " · ".join(part for part in [*parts, "required" if column.required else ""] if part)


def _header(entity: Entity, model: Model) -> Schema:
    """What the mapping of an entity may hold under fields, children and push."""
    own = _without_entity({"$ref": f"#/definitions/pushed {entity.name}"})
    below = {child.name: _one_or_more(_child(child)) for child in children(model, entity.name)}
    return {
        "properties": {
            "fields": {"$ref": f"#/definitions/columns of {entity.name}"},
            "children": {"properties": below, "additionalProperties": False},
            "push": {"anyOf": [{"type": "array", "items": own}, {"allOf": [{"type": ["object", "null"]}, own]}]},
        }
    }


def _child(entity: Entity) -> Schema:
    made = _object(read.CHILD)
    made["properties"]["fields"] = {"$ref": f"#/definitions/columns of {entity.name}"}
    made["properties"]["stream"] = {
        **_TEXT,
        "description": "The stream whose records these are; of a flat export the mapping's own.",
    }
    made["dependencies"] = {"parent": ["stream"]}
    return {**made, "description": entity.doc}


def _push(headers: Sequence[Entity]) -> Schema:
    field = _object(read_push.FIELD, ["at"])
    fields = {
        "type": "array",
        "description": "A bare column is sent to where it is read from; `name: {at: place}` says where.",
        "items": {
            "anyOf": [_TEXT, {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": field}]
        },
    }
    child = _object(read_push.CHILD, ["each"])
    child["properties"]["fields"] = fields
    made = _object(read_push.PUSH, ["operation"])
    made["properties"] |= {
        "entity": {"enum": [entity.name for entity in headers], "description": "Default: the mapping's entity."},
        "fields": fields,
        "children": {"type": "object", "additionalProperties": _one_or_more(child)},
    }
    made["allOf"] = [
        {"if": _is("entity", one.name), "then": {"$ref": f"#/definitions/pushed {one.name}"}} for one in headers
    ]
    return made


def _without_entity(then: Schema) -> Schema:
    return {"if": {"not": {"required": ["entity"]}}, "then": then}


def _pushed(entity: Entity, model: Model) -> Schema:
    below = {one.name: _one_or_more({"properties": {"fields": _bare(one)}}) for one in children(model, entity.name)}
    return {
        "properties": {
            "fields": _bare(entity),
            "children": {"properties": below, "additionalProperties": False},
        }
    }


def _bare(entity: Entity) -> Schema:
    return {"items": {"anyOf": [{"enum": [column.name for column in entity]}, {"type": "object"}]}}


# -- the fields of a stream


def _of_stream(shapes: Sequence[Shape]) -> Schema:
    """Offers the paths of the stream's sample; others are not refused here."""
    own = sorted({path for shape in shapes for path in paths(shape)})
    items = sorted({path for shape in shapes for path in _item_paths(shape)})
    below = [f"{name}.{path}" for shape in shapes for name, item in _lists(shape) for path in paths(item)]
    offered = {"anyOf": [{"enum": own}, {}]}
    child = {"properties": {"key": {"anyOf": [{"enum": items}, {}]}, "fields": _offering(items)}}
    return {
        "properties": {
            "key": offered,
            "version": offered,
            "types": {"properties": dict.fromkeys(sorted({_INDEX.sub("", path) for path in (*own, *below)}), _TYPE)},
            "fields": _offering(own),
            "children": {"additionalProperties": {"anyOf": [child, {"items": child}]}},
        }
    }


def _offering(offered: Sequence[str]) -> Schema:
    return {"additionalProperties": {"anyOf": [{"enum": list(offered)}, {}]}}


def paths(shape: Shape, prefix: str = "") -> list[str]:
    """The plain values of a record: `customer.id`, `lines[0].sku`; of a list its first item."""
    if shape.kind == "object":
        return [
            path for name, part in shape.parts.items() for path in paths(part, f"{prefix}.{name}" if prefix else name)
        ]
    if shape.kind == "list" and shape.item is not None:
        return paths(shape.item, f"{prefix}[0]")
    return [prefix] if prefix else []


def _lists(shape: Shape, prefix: str = "") -> Iterator[tuple[str, Shape]]:
    """The lists of a record by the names that lead there, and what their items are."""
    for name, part in shape.parts.items():
        here = f"{prefix}.{name}" if prefix else name
        if part.item is not None:
            yield here, part.item
            yield from _lists(part.item, here)
        yield from _lists(part, here)


def _item_paths(shape: Shape) -> list[str]:
    found = [path for part in shape.parts.values() for path in _item_paths(part)]
    return found + (paths(shape.item) + _item_paths(shape.item) if shape.item is not None else [])
