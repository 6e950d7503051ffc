"""`crossdock test --coverage`: what of a mapping its examples exercise.

Nothing is told from the text: each field, branch, default, policy, condition and row of a value map becomes a condition, compiled as
the mapping itself is, and is asked of the rows that the examples make. Conditions of a push ride in the payload of its examples; the lists in a payload are not looked into.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hub.connector import Stream
from hub.entity import Entity, Model
from hub.errors import Place
from hub.findings import Finding
from mappings import examples, inbound, outbound, sql, trial
from mappings.columns import Compiled
from mappings.expressions import Compiler
from mappings.levels import Level
from mappings.parse import ExpressionError, parse
from mappings.shown import text as text_of
from mappings.syntax import Child, Expr, Field, Mapping, Push, PushField
from mappings.tree import Binary, Call, Case, In, IsNull, Literal, Node, Path, Unary
from mappings.views import Part

_PROBES = "crossdock_probes"
TRUE = Literal("boolean", "true", 0)


@dataclass(frozen=True, slots=True)
class Point:
    """Something that an example can exercise. `about` is the field or setting, `what` the branch, row or policy of it."""

    place: Place
    about: str
    what: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The points of a mapping, and those that no example exercises."""

    mapping: str
    points: int
    missed: tuple[Point, ...]

    def as_dict(self) -> dict[str, Any]:
        told = [{"place": str(one.place), "about": one.about, "what": one.what} for one in self.missed]
        return {"mapping": self.mapping, "points": self.points, "missed": told}


def cover(mapping: Mapping, model: Model, stream: Stream | None = None) -> Coverage:
    """Ask the examples of a mapping, in both directions. A mapping that is wrong raises as `inbound.compile` does."""
    asked = {**_inward(mapping, model, stream), **_outward(mapping, model)}
    missed = tuple(point for point, seen in asked.items() if not seen)
    return Coverage(mapping.name, len(asked), missed)


# -- what there is to ask


def _points(field: Field, name: str) -> Iterator[tuple[Point, Node]]:
    if field.when is not None:
        yield from _both(field.when, f"{name}: when")
    node = _parsed(field.at)
    if node is None or field.lookup is not None:
        return
    is_missing = IsNull(node, False, 0)
    yield Point(field.place, name, "has a value"), IsNull(node, True, 0)
    if field.default is not None:
        yield Point(field.place, name, "default used"), is_missing
    if field.values is not None:
        keys = tuple(Literal("text", theirs, 0) for theirs in field.values.inward if theirs)
        for key in keys:
            yield Point(field.place, name, f"{field.values.name}: {key.value}"), Binary("=", node, key, 0)
        if "" in field.values.inward:
            yield Point(field.place, name, f"{field.values.name}: (missing)"), is_missing
        if keys:
            yield Point(field.place, name, f"unmapped: {field.unmapped}"), In(node, keys, True, 0)
    for at, what, condition in _branches(node, TRUE):
        yield Point(_at(field.at, at), name, what), condition


def _looked_up(field: Field, name: str) -> Iterator[tuple[Point, str]]:
    """The points of a lookup, as SQL over the columns that it makes in the view."""
    if field.lookup is None:
        return
    column = f"{field.name}_ref" if field.ref else field.name
    raw, missed, key = (sql.name(f"{prefix}_{column}") for prefix in ("raw", "missed", "key"))
    yield Point(field.lookup.place, name, f"found in {field.lookup.of}"), f"{key} IS NOT NULL AND NOT {missed}"
    yield Point(field.lookup.place, name, f"missing: {field.lookup.missing}"), missed
    if field.values is not None:
        for theirs in field.values.inward:
            condition = f"{raw} = {sql.text(theirs)}" if theirs else f"{raw} IS NULL AND NOT {missed}"
            yield Point(field.place, name, f"{field.values.name}: {theirs or '(missing)'}"), condition


def _branches(node: Any, reached: Node) -> Iterator[tuple[int, str, Node]]:
    """Each branch of a case, arm of a coalesce and way of an if, with the condition under which it is taken."""
    if isinstance(node, Case):
        before: Node = reached
        for when, then in node.branches:
            asked: Node = when if node.subject is None else Binary("=", node.subject, when, 0)
            yield when.at, f"when {text_of(when)}", _and(before, asked)
            yield from _branches(then, _and(before, asked))
            before = _and(before, _not(asked))
        yield node.at, "else", before
        if node.default is not None:
            yield from _branches(node.default, before)
        return
    if isinstance(node, Call) and node.function == "coalesce":
        before = reached
        for arm in node.args:
            here = _and(before, IsNull(arm, True, 0)) if arm is not node.args[-1] else before
            yield arm.at, f"coalesce to {text_of(arm)}", here
            before = _and(before, IsNull(arm, False, 0))
        return
    if isinstance(node, Call) and node.function == "if" and len(node.args) == 3:
        yield node.at, "if true", _and(reached, node.args[0])
        yield node.at, "if not", _and(reached, _not(node.args[0]))
    if dataclasses.is_dataclass(node) and not isinstance(node, Path):
        for one in dataclasses.fields(node):
            value = getattr(node, one.name)
            for part in value if isinstance(value, tuple) else (value,):
                if dataclasses.is_dataclass(part):
                    yield from _branches(part, reached)


def _and(left: Node, right: Node) -> Node:
    return right if left == TRUE else Binary("and", left, right, 0)


def _not(node: Node) -> Node:
    """True also where the condition has no value: the next branch is then asked."""
    return Unary("not", Call("coalesce", (node, Literal("boolean", "false", 0)), 0), 0)


def _both(expr: Expr, about: str) -> Iterator[tuple[Point, Node]]:
    node = _parsed(expr)
    if node is not None:
        yield Point(expr.place, about, "true"), node
        yield Point(expr.place, about, "not true"), _not(node)


def _parsed(expr: Expr) -> Node | None:
    try:
        return parse(expr.text)
    except ExpressionError:
        return None


def _at(expr: Expr, at: int) -> Place:
    place = expr.place
    if place.line is None or place.column is None or "\n" in expr.text:
        return place
    return Place(place.where, place.line, place.column + at)


# -- asking the rows of the views


class _Prober(inbound._Builder):
    """Compiles a mapping with a column more in its views for each point."""

    def __init__(self, mapping: Mapping, model: Model, stream: Stream | None) -> None:
        super().__init__(mapping, model, stream)
        self.views: list[list[Point]] = []
        self.at: Child | None = None

    def _child(self, child: Child, head: Part, number: int) -> Part | None:
        self.at = child
        return super()._child(replace(child, when=None), head, number)

    def _fields(
        self, fields: Sequence[Field], entity: Entity, level: Level, place: Place, prefix: str = ""
    ) -> list[Compiled]:
        made = super()._fields(fields, entity, level, place, prefix)
        wanted = [pair for field in fields for pair in _points(field, prefix + field.name)]
        if self.at is not None:
            wanted.insert(0, (Point(self.at.place, entity.name, "has a row"), TRUE))
            wanted += _both(self.at.when, f"{entity.name}.when") if self.at.when else []
        elif self.mapping.when is not None:
            wanted += _both(self.mapping.when, "when")
        points: list[Point] = []
        compiled = {one.column for one in made}
        for field in fields:
            if (f"{field.name}_ref" if field.ref else field.name) in compiled:
                for point, text in _looked_up(field, prefix + field.name):
                    made.append(Compiled(f"{_PROBES}_{len(points)}", "NULL", f"coalesce({text}, false)", ()))
                    points.append(point)
        for point, node in wanted:
            ignored: list[Finding] = []
            compiler = Compiler(level, Expr("", place, self.mapping.functions), ignored)
            try:
                value = compiler.read_as(compiler.value(node), "boolean", 0)
            except ExpressionError:
                continue
            if not ignored:
                name = f"{_PROBES}_{len(points)}"
                made.append(Compiled(name, f"coalesce({value.sql}, false)", f"raw_{name}", ()))
                points.append(point)
        self.views.append(points)
        return made


def _inward(mapping: Mapping, model: Model, stream: Stream | None) -> dict[Point, bool]:
    if mapping.key is None:
        return {}
    prober = _Prober(replace(mapping, tried=True), model, stream)
    made = prober.build()
    if made is None:
        inbound.compile(mapping, model, stream)
        return {}
    seen: dict[Point, bool] = {point: False for points in prober.views for point in points}
    if not any(one.push is None for one in mapping.examples):
        return seen
    with examples.tried(mapping, model, stream) as (con, _, _staged):
        for points, statement in zip(prober.views, made.statements, strict=False):
            name = f"{_PROBES}_view"
            con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {statement.sql.partition(' AS')[2]}")
            asked = [f"coalesce(bool_or({sql.name(f'{_PROBES}_{n}')}), false)" for n in range(len(points))]
            if asked:
                row = con.execute(f"SELECT {', '.join(asked)} FROM {name}").fetchone()
                seen |= dict(zip(points, map(bool, row or ()), strict=False))
    return seen


# -- asking the payloads


def _outward(mapping: Mapping, model: Model) -> dict[Point, bool]:
    seen: dict[Point, bool] = {}
    for push in mapping.push:
        own = [one for one in mapping.examples if one.push == push.operation]
        wanted = list(_push_points(mapping, push))
        seen |= {point: False for point, _ in wanted}
        told = _told(mapping, push, wanted, model)
        for example in own:
            if told is not None and isinstance(example.given, dict):
                payload = trial.push(told, model, example.given) or {}
                for number, (point, _) in enumerate(wanted):
                    seen[point] = seen[point] or payload.get(_PROBES, {}).get(f"p{number}") is True
    return seen


def _push_points(mapping: Mapping, push: Push) -> Iterator[tuple[Point, Node]]:
    name = f"push {push.operation}"
    if push.when is not None:
        yield from _both(push.when, f"{name}: when")
    for hold in push.hold:
        yield from _both(hold.when, f"{name}: hold")
    for field in push.fields:
        read = mapping.field(field.name) if field.bare else None
        node = _parsed(field.value) if field.value else Path((_name(field.name),), 0)
        if node is None:
            continue
        yield Point(field.place, f"{name}: {field.name}", "has a value"), IsNull(node, True, 0)
        values = field.values or (read.values if read else None)
        if values is not None:
            for ours in values.outward:
                same = Binary("=", node, Literal("text", ours, 0), 0)
                yield Point(field.place, f"{name}: {field.name}", f"{values.name}, out: {ours}"), same
        if field.value is not None:
            for at, what, condition in _branches(node, TRUE):
                yield Point(_at(field.value, at), f"{name}: {field.name}", what), condition


def _name(text: str) -> Any:
    from mappings.tree import Name

    return Name(text, 0, quoted=True)


def _told(mapping: Mapping, push: Push, wanted: Sequence[tuple[Point, Node]], model: Model) -> Any:
    """The push with its points in the payload instead of what it sends; None where it cannot be compiled."""
    kept = []
    for number, (point, node) in enumerate(wanted):
        text = f"coalesce({text_of(node)}, false)"
        value = Expr(text, point.place, mapping.functions)
        kept.append(PushField(f"p {number}", point.place, Expr(f"{_PROBES}.p{number}", point.place), value))
        if _compiled(mapping, push, kept, model) is None:
            kept.pop()
    return _compiled(mapping, push, kept, model)


def _compiled(mapping: Mapping, push: Push, fields: Sequence[PushField], model: Model) -> Any:
    probing = replace(push, fields=tuple(fields), when=None, hold=(), children=())
    return outbound.check(mapping, probing, model)[0]
