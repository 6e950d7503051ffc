"""How values come about: the mapping's own views with more columns, over the same rows.

`trace` adds what each field reads, `compile` every part of one field's expression. So what is shown is what the mapping
really computed. The views are written here and never executed: `flow/preview.py` runs them over a few records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hub.connector import Stream
from hub.entity import Column, Entity, Model
from mappings import inbound, shown, sql
from mappings.columns import Compiled, Refusal
from mappings.expressions import Compiler, Value
from mappings.inbound import Inbound
from mappings.joins import Joins
from mappings.parse import parse
from mappings.syntax import Child, Expr, Field, Mapping
from mappings.tree import Path, Type
from mappings.views import Part, Statement, Views

_OWN = ("key", "when")


@dataclass(frozen=True, slots=True)
class Traced:
    """A column of a traced view. `reads` are (path as written, column of the view that holds its raw text)."""

    field: Field
    column: Column
    name: str
    reads: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class View:
    """A traced view of the entity itself, or of a child (`prefix` is then `order_line.`). `refusals` are conditions over it."""

    name: str
    entity: Entity
    prefix: str
    columns: tuple[Traced, ...]
    refusals: tuple[Refusal, ...]
    statement: Statement


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the expression, from the inside out. `column` holds its value as text, `failed` (where it can fail) whether it did.

    `kind`: a path, something computed, a lookup in other records, or the condition under which all of it applies (when).
    """

    kind: Literal["path", "computed", "lookup", "when"]
    text: str
    type: Type
    column: str
    failed: str | None


@dataclass(frozen=True, slots=True)
class Steps:
    """How the value of `name` is made. `field` and `column` are None for `key` and `when`, which fill no column.

    `view` is what `statement` makes: the rows of the mapping's (or child's) own view, with the steps' columns. `refusals`
    are those of this field, conditions over the view; `result` its column there.
    """

    name: str
    at: Expr
    field: Field | None
    column: Column | None
    steps: tuple[Step, ...]
    view: str
    result: str
    of_child: bool
    refusals: tuple[Refusal, ...]
    statement: Statement


def trace(mapping: Mapping, model: Model, stream: Stream | None = None) -> list[View]:
    """The views of a mapping with what each field reads, the entity's own first. Raises ConfigurationError."""
    made = inbound.compile(mapping, model, stream)  # anew: its parts are written to
    refusals = [tuple(part.refusals) for part in made.parts]
    columns = [
        [_traced(part, number, field, _joins(made)) for number, field in enumerate(owner.fields)]
        for part, owner in zip(made.parts, _owners(mapping), strict=True)
    ]
    rewritten = _rewritten(mapping, made, "traced")
    return [
        View(part.view, part.entity, part.prefix, tuple(traced), refused, statement)
        for part, traced, refused, statement in zip(made.parts, columns, refusals, rewritten, strict=True)
    ]


def _owners(mapping: Mapping) -> list[Mapping | Child]:
    return [mapping, *mapping.children]


def _joins(made: Inbound) -> Joins:
    """What the mapping knows of other records: two lookups in one stream have a table each, and it says which is whose."""
    assert made.others is not None  # it was compiled
    return made.others


def _traced(part: Part, number: int, field: Field, joins: Joins) -> Traced:
    name = part.columns[number].column
    values = [_value(part, field, joins)]
    if field.when is not None:
        values.append(Compiler(part.level, field.when, []).value(parse(field.when.text)))
    reads = []
    for place, (path, text) in enumerate(dict.fromkeys(one for value in values for one in value.inputs)):
        column = f"read {number} {place}"
        part.columns.append(Compiled(column, text, sql.name(f"raw_{column}"), ()))
        reads.append((path, column))
    return Traced(field, part.entity[field.name], name, tuple(reads))


def _value(part: Part, field: Field, joins: Joins) -> Value:
    found = joins.lookup(field, part.level) if field.lookup else None
    return found.value if found else Compiler(part.level, field.at, []).value(parse(field.at.text))


def _rewritten(mapping: Mapping, made: Inbound, suffix: str) -> Sequence[Statement]:
    """The statements that make the views of the parts as they are now, under names of their own, a part each."""
    for part in made.parts:
        part.refusals.clear()  # the writer fills them
        part.view = f"{part.view} {suffix}"
    head, *children = made.parts
    return Views(mapping, head, children).statements()  # what is looked up is there: the mapping ran before


def compile(mapping: Mapping, model: Model, name: str, stream: Stream | None = None) -> list[Steps]:
    """The steps of `total`, `order_line.quantity`, `key` or `order_line.when`: one for each part of the mapping that reads it.

    Empty where the mapping reads no such field (`known` lists them). Raises ConfigurationError where the mapping is wrong.
    """
    child, _, last = name.rpartition(".")
    return [
        _steps(mapping, model, stream, number, name, said)
        for number, owner in enumerate(_owners(mapping))
        if child == (owner.entity if isinstance(owner, Child) else "") and (said := _said(owner, last))
    ]


def known(mapping: Mapping) -> list[str]:
    """The fields that can be asked for."""
    own = [field.name for field in mapping.fields]
    return own + [f"{child.entity}.{field.name}" for child in mapping.children for field in child.fields]


def _said(owner: Mapping | Child, name: str) -> Expr | Field | None:
    field = next((one for one in owner.fields if one.name == name), None)
    return field or (getattr(owner, name) if name in _OWN else None)


def _steps(mapping: Mapping, model: Model, stream: Stream | None, number: int, name: str, said: Expr | Field) -> Steps:
    made = inbound.compile(mapping, model, stream)  # anew: its parts are written to
    part, at = made.parts[number], said.at if isinstance(said, Field) else said
    field = said if isinstance(said, Field) else None
    refusals = tuple(one for one in part.refusals if one.field == name)
    result = _result(part, field, name)
    steps = []
    parts = _parts_of(part, field, _joins(made)) if field else _values(part, at)
    for place, (kind, text, value) in enumerate(parts):
        name_of = f"step {place}"
        part.columns.append(Compiled(name_of, value.sql, _text(value, sql.name(f"raw_{name_of}")), (), value.failed))
        steps.append(Step(kind, text, value.type, name_of, f"failed_{name_of}" if value.failed else None))
    view = _rewritten(mapping, made, "steps")[number]
    column = part.entity[field.name] if field else None
    return Steps(name, at, field, column, tuple(steps), part.view, result, bool(part.prefix), refusals, view)


def _result(part: Part, field: Field | None, name: str) -> str:
    """The view's column that holds what came out."""
    if field is not None:
        return f"{field.name}_ref" if field.ref else field.name
    return ("_key" if part.prefix else "source_id") if name.endswith("key") else ""


_Part = tuple[Literal["path", "computed", "lookup", "when"], str, Value]


def _parts_of(part: Part, field: Field, joins: Joins) -> list[_Part]:
    """The condition of a field first, and the key of a lookup before what it finds."""
    made: list[_Part] = []
    if field.when is not None:
        *before, (_, text, value) = _values(part, field.when)
        made += [*before, ("when", text, value)]
    found = joins.lookup(field, part.level) if field.lookup else None
    if field.lookup is None or found is None:
        return made + _values(part, field.at)
    return [*made, *_values(part, field.lookup.key), ("lookup", field.lookup.shown(field.at), found.value)]


def _values(part: Part, at: Expr) -> list[_Part]:
    """Each part of the expression once, compiled where it stands."""
    compiler = Compiler(part.level, at, [])
    nodes = {shown.text(node): node for node in shown.parts(parse(at.text))}
    return [
        ("path" if isinstance(node, Path) else "computed", text, compiler.value(node)) for text, node in nodes.items()
    ]


def _text(value: Value, name: str) -> str:
    if value.type == "instant":
        return f"strftime(timezone('UTC', {name}), '%Y-%m-%dT%H:%M:%S.%fZ')"
    if value.type == "number":
        return f"regexp_replace(CAST(CAST({name} AS DECIMAL(38,10)) AS VARCHAR), '[.]?0+$', '')"
    return f"CAST({name} AS VARCHAR)"
