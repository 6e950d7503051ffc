"""Shapes of records: what the mappings read of a stream (declared to DuckDB), and what a sample shows to be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.findings import did_you_mean
from mappings import sql
from mappings.parse import ExpressionError
from mappings.tree import Name, Path

Kind = Literal["unknown", "value", "object", "list"]
_WORDS = {"value": "a plain value", "object": "an object", "list": "a list"}


@dataclass(slots=True)
class Shape:
    """A part of a record. `parts` of an object by name; `item` of a list."""

    kind: Kind = "unknown"
    parts: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None

    def become(self, kind: Kind, shown: str) -> None:
        """Learn what this part is. Raises ExpressionError where something else is known already."""
        if self.kind == "unknown":
            self.kind = kind
            if kind == "list":
                self.item = Shape()
        elif self.kind != kind:
            raise ExpressionError(
                f"{shown} is read as {_WORDS[kind]} here and as {_WORDS[self.kind]} elsewhere",
                0,
                "a field is one of them: name a part, or an index",
                "M105",
            )

    def part(self, name: str, shown: str) -> Shape:
        """The named part, made where it is new. DuckDB does not tell apart names that differ in case only."""
        self.become("object", shown)
        for known in self.parts:
            if known.lower() == name.lower() and known != name:
                raise ExpressionError(f"'{name}' and '{known}' differ in case only", 0, "write it one way", "M105")
        return self.parts.setdefault(name, Shape())

    def duckdb(self) -> str:
        """The DuckDB type: leaves are VARCHAR, because the mapping decides what they mean."""
        if self.kind == "object" and self.parts:  # a list may be counted without anything of its items being read
            return (
                f"STRUCT({', '.join(f'{sql.name(name)} {part.duckdb()}' for name, part in sorted(self.parts.items()))})"
            )
        if self.kind == "list" and self.item is not None:
            return f"{self.item.duckdb()}[]"
        return "VARCHAR"


def merge(into: Shape, other: Shape, shown: str = "the record") -> None:
    """Add what another mapping reads. Raises ExpressionError where both cannot be."""
    if other.kind == "unknown":
        return
    into.become(other.kind, shown)
    for name, part in other.parts.items():
        merge(into.part(name, shown), part, name if shown == "the record" else f"{shown}.{name}")
    if other.item is not None and into.item is not None:
        merge(into.item, other.item, f"{shown}[]")


def declared(shape: Shape) -> dict[str, str]:
    """Top-level fields and their DuckDB types, in order of name."""
    return {name: part.duckdb() for name, part in sorted(shape.parts.items())}


def of_sample(sample: Any) -> Shape:
    """What a record, or a list of records, shows to be there. Parts that are null or an empty list stay unknown."""
    shape = Shape()
    for record in sample if isinstance(sample, list) else [sample]:
        _learn(shape, record)
    return shape


def _learn(shape: Shape, value: Any) -> None:
    if value is None or value == [] or value == {}:
        return
    kind: Kind = "object" if isinstance(value, Mapping) else "list" if isinstance(value, list) else "value"
    if shape.kind not in ("unknown", kind):
        return  # systems that send both exist (PHP's empty object); the first one seen stands
    shape.kind = kind
    if isinstance(value, Mapping):
        for name, part in value.items():
            _learn(shape.parts.setdefault(str(name), Shape()), part)
    elif isinstance(value, list):
        shape.item = shape.item or Shape()
        for item in value:
            _learn(shape.item, item)


def check(path: Path, sample: Shape | None, stream: str, ends_in: Kind = "value") -> None:
    """Does the stream really hold this path? Raises ExpressionError (M104, M105) where the sample says no."""
    here, shown = sample, stream
    for step in path.steps:
        if here is None or here.kind == "unknown":
            return
        if isinstance(step, Name):
            here, shown = _step(here, step, shown, stream), step.text
        elif here.kind != "list":
            raise ExpressionError(f"{shown} is {_WORDS[here.kind]}, no list", step.at, "leave the brackets out", "M105")
        else:
            here = here.item
    if here is not None and here.kind not in ("unknown", ends_in):
        raise ExpressionError(f"{shown} is {_WORDS[here.kind]}", path.at, _end_fix(here, str(path), ends_in), "M105")


def _step(here: Shape, step: Name, shown: str, stream: str) -> Shape:
    if here.kind == "list":
        raise ExpressionError(f"{shown} is a list", step.at, f"write {shown}[0].{step.text}, or use each", "M105")
    if here.kind != "object":
        raise ExpressionError(f"{shown} is a plain value and has no '{step.text}'", step.at, "", "M105")
    if step.text not in here.parts:
        where = f"stream {stream}" if shown == stream else f"'{shown}' of stream {stream}"
        # Alone at the top it may have been meant as a text: YAML takes the quotes of 'Tea' for its own.
        text = f"""; a text is written "'{step.text}'\"""" if shown == stream else ""
        fix = did_you_mean(step.text, here.parts) or f"there are: {_some(here.parts)}{text}"
        raise ExpressionError(f"unknown field '{step.text}' in {where}", step.at, fix, "M104")
    return here.parts[step.text]


def _end_fix(shape: Shape, path: str, ends_in: Kind) -> str:
    if ends_in == "list":
        return "each needs a list"
    if shape.kind == "object":
        return f"name a part: {path}.{next(iter(shape.parts), 'x')}"
    return f"name an item, {path}[0], or make it a child with each"


def _some(names: Iterable[str]) -> str:
    known: Sequence[str] = sorted(names)
    return ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
