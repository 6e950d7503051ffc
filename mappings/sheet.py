"""The mapping sheet: what every mapping reads and sends, field by field, as rows; for tables that people look things up in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields

from hub.entity import Column, Entity, Model
from mappings.leaves import inbound_field
from mappings.syntax import Child, Field, Mapping, Push, PushField, ValueMap


@dataclass(frozen=True, slots=True)
class Line:
    """A column of a mapping. `source` is where it is read from, empty where it is only sent; `sent` says by which operations,
    and where to: `create: sold_to · change: sold_to`.
    """

    mapping: str
    system: str
    stream: str
    entity: str
    column: str
    type: str
    term: str
    doc: str
    required: str
    direction: str
    source: str
    each: str
    value_map: str
    default: str
    sent: str


HEADINGS = tuple(one.name for one in fields(Line))


def sheet(mappings: Iterable[Mapping], model: Model) -> list[Line]:
    """One line a column that a mapping reads or sends, in the order in which they are written."""
    return [line for mapping in mappings for line in _lines(mapping, model)]


def as_csv(lines: Sequence[Line]) -> str:
    """Comma-separated with a heading line (RFC 4180). A cell never begins like a formula of a spreadsheet."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADINGS)
    writer.writerows([_cell(text) for text in astuple(line)] for line in lines)
    return out.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _lines(mapping: Mapping, model: Model) -> Iterator[Line]:
    entity = model.get(mapping.entity)
    if entity is None:
        return
    yield from _group(mapping, entity, None, mapping.each.text if mapping.each else "", mapping.fields)
    for child in mapping.children:
        if child.entity in model:
            each = child.each.text if child.each else f"{child.stream} records" if child.stream else ""
            yield from _group(mapping, model[child.entity], child, each, child.fields)
    yield from _only_sent(mapping, model)


def _group(mapping: Mapping, entity: Entity, child: Child | None, each: str, read: Sequence[Field]) -> Iterator[Line]:
    for one in read:
        if one.name in entity:
            sent = _sent(mapping, entity, one.name)
            yield _line(mapping, entity, entity[one.name], each, one, sent)


def _only_sent(mapping: Mapping, model: Model) -> Iterator[Line]:
    """Columns and labels that a push sends and this mapping does not read."""
    for push in mapping.push:
        for entity_name, pushed in _pushed(push):
            entity = model.get(entity_name)
            if entity is None:
                continue
            for one in pushed:
                if _read(mapping, entity, one.name) is None:
                    column = entity[one.name] if one.name in entity else Column(one.name, "text")
                    yield _line(mapping, entity, column, "", None, _said(push, one, None))


def _pushed(push: Push) -> Iterator[tuple[str, Sequence[PushField]]]:
    yield push.entity, push.fields
    for child in push.children:
        yield child.entity, child.fields


def _read(mapping: Mapping, entity: Entity, name: str) -> Field | None:
    if entity.parent:
        found = [one for child in mapping.children if child.entity == entity.name for one in child.fields]
        return next((one for one in found if one.name == name), None)
    return inbound_field(mapping, None, entity, name)


def _sent(mapping: Mapping, entity: Entity, name: str) -> str:
    """By which operations a column goes out, and where to."""
    found = []
    for push in mapping.push:
        for entity_name, pushed in _pushed(push):
            if entity_name == entity.name:
                found += [_said(push, one, _read(mapping, entity, name)) for one in pushed if one.name == name]
    return " · ".join(found)


def _said(push: Push, pushed: PushField, read: Field | None) -> str:
    at = pushed.at.text if pushed.at else read.at.text if read else pushed.name
    how = f" = {pushed.value.text}" if pushed.value else ""
    values = pushed.values or (read.values if read and pushed.bare else None)
    return f"{push.operation} {push.stream}: {at}{how}" + (f" ({values.name})" if values else "")


def _line(mapping: Mapping, entity: Entity, column: Column, each: str, read: Field | None, sent: str) -> Line:
    needed = column.required or bool(read and read.required)
    return Line(
        mapping=mapping.name,
        system=mapping.system,
        stream=mapping.stream,
        entity=entity.name,
        column=column.name,
        type=f"{column.kind} → {column.ref}" if column.ref else f"{column.basis} {column.kind}".lstrip(),
        term=column.term,
        doc=column.doc,
        required="required" if needed else "",
        direction="in and out" if read and sent else "in" if read else "out",
        source=read.source if read else "",
        each=each,
        value_map=_pairs(read.values) if read and read.values else "",
        default=(read.default or "") if read else "",
        sent=sent,
    )


def _pairs(values: ValueMap) -> str:
    shown = ", ".join(f"{theirs or 'missing'} → {ours}" for theirs, ours in values.inward.items())
    return f"{values.name}: {shown}"
