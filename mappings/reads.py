"""Which parts of a record a mapping reads, and which of them are personal: those that a column with the `pii` tag is made of.

A part is named by its path: `("customer", "id")`, with `[]` for the items of a list: `("line_items", "[]", "sku")`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from hub.entity import Model
from mappings.parse import ExpressionError, parse
from mappings.syntax import Expr, Field, Mapping, Push
from mappings.tree import Filter, Name, Path, walk

Part = tuple[str, ...]
ITEMS = "[]"


def reads(mapping: Mapping, model: Model) -> dict[Part, bool]:
    """The parts that a mapping reads; True where they are personal."""
    found: dict[Part, bool] = {}
    for part, personal in _reads(mapping, model):
        found[part] = found.get(part, False) or personal
    return found


def personal(mappings: Iterable[Mapping], model: Model) -> set[Part]:
    """The personal parts of a stream, as all mappings of it see them."""
    return {part for mapping in mappings for part, pii in reads(mapping, model).items() if pii}


def _reads(mapping: Mapping, model: Model) -> Iterator[tuple[Part, bool]]:
    head = _Level((), None)
    if mapping.each is not None:
        yield from ((part, False) for part in head.paths(mapping.each))
        head = head.inner(mapping.each)
    rest = dataclasses.replace(mapping, fields=(), children=(), push=(), examples=(), each=None)
    yield from ((part, False) for expr in _expressions(rest) for part in head.paths(expr))
    yield from _fields(mapping.fields, mapping.entity, head, model)
    for child in mapping.children:
        if child.stream is not None and child.stream != mapping.stream:
            continue  # they are other records
        level = head
        if child.each is not None:
            yield from ((part, False) for part in head.paths(child.each))
            level = head.inner(child.each)
        other = dataclasses.replace(child, fields=(), each=None)
        yield from ((part, False) for expr in _expressions(other) for part in level.paths(expr))
        yield from _fields(child.fields, child.entity, level, model)


def _fields(fields: Iterable[Field], entity: str, level: _Level, model: Model) -> Iterator[tuple[Part, bool]]:
    for field in fields:
        known = entity in model and field.name in model[entity]
        pii = known and model[entity][field.name].pii
        if field.lookup is not None:  # what is found is of another record; the key is of this one
            for expr in _expressions((field.lookup.key, field.when)):
                yield from ((part, False) for part in level.paths(expr))
            continue
        for expr in _expressions(field):
            yield from ((part, pii and not choosing) for part, choosing in level.said(expr))


def _expressions(value: Any) -> Iterator[Expr]:
    """Every expression in a part of a mapping, whatever settings the language has."""
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _expressions(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, Push | type):
        for one in dataclasses.fields(value):
            if one.name != "place":
                yield from _expressions(getattr(value, one.name))


class _Level:
    """Where an expression stands: `prefix` is the path of its thing in the record."""

    def __init__(self, prefix: Part, outer: _Level | None) -> None:
        self.prefix, self.outer = prefix, outer

    def inner(self, each: Expr) -> _Level:
        paths = [node for node in _nodes(each) if isinstance(node, Path)]
        return _Level((*self._absolute(paths[0]), ITEMS), self) if paths else self

    def paths(self, expr: Expr) -> Iterator[Part]:
        return (part for part, _ in self.said(expr))

    def said(self, expr: Expr) -> Iterator[tuple[Part, bool]]:
        """The parts that an expression reads; True for those that only choose an item: `kind` in `a[kind = 'x'].name`."""
        for node in _nodes(expr):
            yield from self._within(node, False)

    def _within(self, node: Any, choosing: bool) -> Iterator[tuple[Part, bool]]:
        if not isinstance(node, Path):
            return
        yield self._absolute(node), choosing
        for number, step in enumerate(node.steps):
            if isinstance(step, Filter):
                item = _Level(self._absolute(Path(node.steps[: number + 1], node.at)), self)
                for below in walk(step.condition):
                    yield from item._within(below, True)

    def _absolute(self, path: Path) -> Part:
        steps, level = path.steps, self
        first = steps[0]
        if isinstance(first, Name) and not first.quoted and len(steps) > 1 and first.text in ("record", "parent"):
            level = self.outer or self
            while first.text == "record" and level.outer is not None:
                level = level.outer
            steps = steps[1:]
        return (*level.prefix, *(step.text if isinstance(step, Name) else ITEMS for step in steps))


def _nodes(expr: Expr) -> Iterator[Any]:
    try:
        root = parse(expr.text)
    except ExpressionError:
        return
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, Path):  # its filters are about the items, and looked at there
            stack += _below(node)


def _below(node: Any) -> list[Any]:
    children = []
    for one in dataclasses.fields(node):
        value = getattr(node, one.name)
        parts = value if isinstance(value, tuple) else (value,)
        for part in parts:
            children += [p for p in (part if isinstance(part, tuple) else (part,)) if dataclasses.is_dataclass(p)]
    return children
