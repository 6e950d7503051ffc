"""What is known of a stream's fields in trade before any expression is read: by their value maps, by the stream, by `types:`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hub.connector import Stream
from hub.entity import Column, Entity, Model
from hub.findings import Finding, nearest
from mappings.levels import Level, names
from mappings.meaning import FORMS, Meaning, certain, declared, narrowed, of_column
from mappings.parse import ExpressionError, bare_path, parse
from mappings.shapes import Shape
from mappings.syntax import Declared, Expr, Field, Mapping, Push
from mappings.tree import Literal as Written
from mappings.tree import Node, Path


def known(mapping: Mapping, stream: Stream | None, model: Model, findings: list[Finding]) -> dict[str, Meaning]:
    """What each field of the record means, by its names from the record down: `line_items.price`."""
    made: dict[str, Meaning] = {}
    for place, words in _mapped(mapping):
        before = made[place].names if place in made else frozenset[str]()
        made[place] = Meaning("picklist", names=before | {words})
    for path, text in (stream.types if stream else {}).items():
        try:
            made[path] = declared(text, mapping.system)
        except ValueError as error:
            what = f"the connector says of {mapping.stream}.{path}: {error}"
            findings.append(Finding("M150", what, mapping.place, f"such are: {FORMS}"))
    for one in mapping.types:
        made[one.path] = one.meaning
        findings += _wrong(one, mapping, model)
    return made


def _mapped(mapping: Mapping) -> Iterator[tuple[str, str]]:
    """The fields that a value map reads, and the name of its words: they are those of this picklist of the system."""
    head = _below((), mapping.each)
    groups = [
        (head, mapping.fields),
        *((_below(head, child.each), child.fields) for child in mapping.children if child.stream is None),
    ]
    for trail, fields in groups:
        for one in fields:
            path = bare_path(one.at.text) if one.values and one.lookup is None else None
            if path is not None and one.values is not None and names(path)[0] not in ("record", "parent"):
                yield ".".join((*trail, *names(path))), f"{mapping.system}.{one.values.name}"


def _below(trail: tuple[str, ...], each: Expr | None) -> tuple[str, ...]:
    path = _node(each)
    return (*trail, *names(path)) if isinstance(path, Path) else trail


def _wrong(one: Declared, mapping: Mapping, model: Model) -> Iterator[Finding]:
    for entity in one.meaning.names if one.meaning.kind == "id" else ():
        if entity not in model:
            fix = nearest(entity, model)
            yield Finding("M106", f"there is no entity '{entity}'", one.place, fix)
    said = (one.path, *([one.meaning.unit.removeprefix("in ")] if one.meaning.unit.startswith("in ") else ()))
    for path in said:
        here: Shape | None = mapping.sample
        for name in path.split("."):
            here = here.item if here and here.kind == "list" else here
            if here is None or here.kind == "unknown":
                break
            if name not in here.parts:
                fix = nearest(name, here.parts)
                yield Finding(
                    "M104", f"unknown field '{path}' in stream {mapping.system}.{mapping.stream}", one.place, fix
                )
                break
            here = here.parts[name]


def wanted(field: Field, column: Column, entity: Entity, system: str, units: dict[str, str]) -> Meaning | None:
    """What a field takes: a word of its value map's list, or what the column is in a row whose currency and unit are `units`."""
    if field.values is not None:
        return Meaning("picklist", names=frozenset([f"{system}.{field.values.name}"]))
    return narrowed(of_column(entity, column, system), units)


def units(fields: Sequence[Field], entity: Entity, level: Level) -> dict[str, str]:
    """In which currency and unit the rows are: `in currency` → `EUR`, `in currencyCode` (of the record), or an empty text."""
    made = {f"in {column}": "" for one in entity for column in (one.currency, one.unit) if column}
    for field in fields:
        if f"in {field.name}" in made and field.values is None and field.lookup is None:
            unit = _unit(field.at, level)
            made[f"in {field.name}"] = level.units.get(unit, unit)
    return made


def _unit(expr: Expr, level: Level) -> str:
    node = _node(expr)
    if isinstance(node, Written):
        return node.value
    return f"in {level.place(node)}" if isinstance(node, Path) else ""


def taken(mapping: Mapping, push: Push, stream: Stream, findings: list[Finding]) -> dict[str, Meaning]:
    """What the target's stream takes at each place of a payload. `in currency` is what the push sends to that place."""
    made: dict[str, Meaning] = {}
    sent = _sent(mapping, push)
    for place, field in stream.target_fields.get(push.operation, {}).items():
        try:
            meaning = declared(field.type, mapping.system) if field.type else None
        except ValueError as error:
            what = f"the connector says of {push.operation} {stream.name}, {place}: {error}"
            findings.append(Finding("M150", what, push.place, f"such are: {FORMS}"))
            continue
        if meaning is not None:
            unit = meaning.unit.removeprefix("in ")
            made[place] = replace(meaning, unit=sent.get(unit, "")) if unit != meaning.unit else meaning
    units = certain(push.when.text if push.when else None)
    return {place: narrowed(one, units) or one for place, one in made.items()}


def _sent(mapping: Mapping, push: Push) -> dict[str, str]:
    """Which currency or unit a push sends where: a place of the payload → `EUR`, or `in currency` for a column of the row."""
    made = {}
    groups = [("", push.fields), *((f"{child.each.text}.", child.fields) for child in push.children)]
    for prefix, fields in groups:
        for one in fields:
            read = mapping.field(one.name) if one.bare and not prefix else None
            at = one.at or (read.at if read else None)
            if at is not None and one.values is None:
                node = _node(one.value) if one.value else one.name
                shown = node.value if isinstance(node, Written) else f"in {node}"
                made[prefix + at.text] = shown if isinstance(node, Written | Path | str) else ""
    return made


def _node(expr: Expr | None) -> Node | None:
    try:
        return parse(expr.text) if expr else None
    except ExpressionError:
        return None
