"""`crossdock test --mutate`: a mapping with one small mistake in it, again and again: does any example notice?

Branches, operators, constants, defaults, policies, rows of value maps and bare paths are changed one at a time, in the parsed form. A
mutant that compiles to the same SQL, or to none, is none. What decides whether a record is held is not changed: an example shows a
payload, and no hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from hub.entity import Model
from hub.errors import Place
from hub.findings import errors_in
from mappings import examples, inbound, outbound, push_examples, sql, trial
from mappings.parse import ExpressionError, parse
from mappings.shown import text as text_of
from mappings.syntax import Child, Example, Expr, Field, Mapping, Push, PushField, ValueMap
from mappings.variants import variants
from mappings.views import Statement

_VIEW, _TABLE = "CREATE OR REPLACE TEMP VIEW", "CREATE OR REPLACE TEMP TABLE"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mapping with one mistake. `place` is that of what was changed."""

    place: Place
    about: str
    what: str
    mapping: Mapping


@dataclass(frozen=True, slots=True)
class Report:
    """How many mutants there were, and those that no example noticed."""

    mapping: str
    tried: int
    unnoticed: tuple[Mutant, ...]

    def as_dict(self) -> dict[str, Any]:
        told = [{"place": str(one.place), "about": one.about, "what": one.what} for one in self.unnoticed]
        return {"mapping": self.mapping, "tried": self.tried, "unnoticed": told}


def mutate(mapping: Mapping, model: Model) -> Report:
    """Try every mutant of a mapping whose examples hold."""
    tried, unnoticed = 0, []
    mapping = replace(mapping, tried=True)
    with ExitStack() as stack:
        bench = _Bench(mapping, model, stack)
        for mutant in mutants(mapping, model):
            noticed = bench.notices(mutant.mapping)
            if noticed is not None:
                tried += 1
                unnoticed += [] if noticed else [mutant]
    return Report(mapping.name, tried, tuple(unnoticed))


# -- making them


def mutants(mapping: Mapping, model: Model) -> Iterator[Mutant]:
    """Every mapping that differs from this one in one small thing, in the order of the file."""
    for name in ("key", "when", "version", "hub"):
        for at, what, expr in _changes(getattr(mapping, name)):
            yield Mutant(at, name, what, replace(mapping, **{name: expr}))  # type: ignore[arg-type]
    if mapping.when is not None:
        yield Mutant(mapping.when.place, "when", "left out", replace(mapping, when=None))
    for n, field in enumerate(mapping.fields):
        for at, what, other in _of_field(field, mapping.entity, model):
            yield Mutant(at, field.name, what, replace(mapping, fields=_put(mapping.fields, n, other)))
    for n, child in enumerate(mapping.children):
        for at, about, what, made in _of_child(child, model):
            yield Mutant(at, about, what, replace(mapping, children=_put(mapping.children, n, made)))
    for n, push in enumerate(mapping.push):
        for at, about, what, out in _of_push(push):
            yield Mutant(at, f"push {push.operation}: {about}", what, replace(mapping, push=_put(mapping.push, n, out)))


def _put(whole: tuple[Any, ...], n: int, made: Any) -> tuple[Any, ...]:
    return (*whole[:n], made, *whole[n + 1 :])


def _changes(expr: Expr | None, choices: tuple[str, ...] = ()) -> Iterator[tuple[Place, str, Expr]]:
    if expr is None:
        return
    try:
        node = parse(expr.text)
    except ExpressionError:
        return
    for what, at, made in variants(node, choices):
        place = expr.place
        if place.line is not None and place.column is not None and "\n" not in expr.text:
            place = Place(place.where, place.line, place.column + at)
        yield place, what, replace(expr, text=text_of(made))


def _of_field(field: Field, entity: str, model: Model) -> Iterator[tuple[Place, str, Field]]:
    column = model[entity][field.name] if entity in model and field.name in model[entity] else None
    choices = column.values if column else ()
    for at, what, expr in _changes(field.at, choices):
        yield at, what, replace(field, at=expr)
    yield (
        field.place,
        "not read",
        replace(field, at=Expr("null", field.at.place), default=None, values=None, unmapped="quarantine", lookup=None),
    )
    for at, what, expr in _changes(field.when):
        yield at, f"when: {what}", replace(field, when=expr)
    if field.when is not None:
        yield field.when.place, "when left out", replace(field, when=None)
    yield from _of_lookup(field)
    if field.default is not None:
        others = [one for one in choices if one != field.default] or _others(field.default)
        yield field.place, f"default {field.default} → {others[0]}", replace(field, default=others[0])
        if field.unmapped != "default":
            yield field.place, "default left out", replace(field, default=None)
    if field.required and not (column and column.required):
        yield field.place, "required left out", replace(field, required=False)
    if field.unmapped != "quarantine":
        yield field.place, f"unmapped: {field.unmapped} left out", replace(field, unmapped="quarantine")
    for what, values in _rows(field.values, choices):
        yield field.values.place if field.values else field.place, what, replace(field, values=values)


def _of_lookup(field: Field) -> Iterator[tuple[Place, str, Field]]:
    join = field.lookup
    if join is None:
        return
    for at, what, expr in _changes(join.key):
        yield at, f"key: {what}", replace(field, lookup=replace(join, key=expr))
    if join.missing != "quarantine":
        other = replace(join, missing="quarantine")
        yield join.place, f"missing: {join.missing} left out", replace(field, lookup=other)


def _others(text: str) -> list[str]:
    if text in ("true", "false"):
        return ["false" if text == "true" else "true"]
    return [f"1{text}" if text.replace(".", "", 1).isdigit() else f"{text}~"]


def _rows(values: ValueMap | None, choices: tuple[str, ...]) -> Iterator[tuple[str, ValueMap]]:
    """Each row of a value map with another value, both ways."""
    if values is None:
        return
    for theirs, ours in values.inward.items():
        other = next((one for one in (*values.inward.values(), *choices) if one != ours), f"{ours}~")
        yield (
            f"{values.name}: {theirs or '(missing)'} → {other}",
            replace(values, inward={**values.inward, theirs: other}),
        )
    for ours, theirs in values.outward.items():
        out = {**values.outward, ours: f"{theirs}~"}
        yield f"{values.name}, out: {ours} → {theirs}~", replace(values, outward=out)


def _of_child(child: Child, model: Model) -> Iterator[tuple[Place, str, str, Child]]:
    name = child.entity
    for setting in ("key", "when"):
        for at, what, expr in _changes(getattr(child, setting)):
            yield at, f"{name}.{setting}", what, replace(child, **{setting: expr})  # type: ignore[arg-type]
    if child.when is not None:
        yield child.when.place, f"{name}.when", "left out", replace(child, when=None)
    for n, field in enumerate(child.fields):
        for at, what, made in _of_field(field, name, model):
            yield at, f"{name}.{field.name}", what, replace(child, fields=_put(child.fields, n, made))


def _of_push(push: Push) -> Iterator[tuple[Place, str, str, Push]]:
    for at, what, expr in _changes(push.when):
        yield at, "when", what, replace(push, when=expr)
    if push.when is not None:
        yield push.when.place, "when", "left out", replace(push, when=None)
    for n, field in enumerate(push.fields):
        for at, what, made in _of_push_field(field):
            yield at, field.name, what, replace(push, fields=_put(push.fields, n, made))
        if len(push.fields) > 1:
            yield field.place, field.name, "not sent", replace(push, fields=(*push.fields[:n], *push.fields[n + 1 :]))
    for c, child in enumerate(push.children):
        for at, what, expr in _changes(child.when):
            yield (
                at,
                f"{child.entity}.when",
                what,
                replace(push, children=_put(push.children, c, replace(child, when=expr))),
            )
        for n, field in enumerate(child.fields):
            for at, what, made in _of_push_field(field):
                one = replace(child, fields=_put(child.fields, n, made))
                yield at, f"{child.entity}.{field.name}", what, replace(push, children=_put(push.children, c, one))


def _of_push_field(field: PushField) -> Iterator[tuple[Place, str, PushField]]:
    for at, what, expr in _changes(field.value):
        yield at, what, replace(field, value=expr)
    for what, values in _rows(field.values, ()):
        if ", out:" in what:
            yield field.place, what, replace(field, values=values)


# -- trying them


class _Bench:
    """The examples, staged once; each mutant's statements run beside them."""

    def __init__(self, mapping: Mapping, model: Model, stack: ExitStack) -> None:
        self.mapping, self.model = mapping, model
        self.inward = [one for one in mapping.examples if one.push is None]
        self.base = ""
        self.con: Any = None
        self.joins: tuple[Statement, ...] = ()
        self.there: dict[int, str] = {}  # which statement made the tables that are there
        if self.inward and mapping.key is not None:
            self.base = inbound.compile(mapping, model).sql
            self.con, _, self.staged = stack.enter_context(examples.tried(mapping, model))
            for (view,) in self.con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
                self.con.execute(f"DROP VIEW {sql.name(view)}")
        self.pushes: dict[str, tuple[str, list[tuple[Example, Any]]]] = {}
        for push in mapping.push:
            made, _ = outbound.check(mapping, push, model)
            if made is not None:
                own = [one for one in mapping.examples if one.push == push.operation]
                opened = [(one, stack.enter_context(trial.opened(made, model, one.given))) for one in own]
                self.pushes[push.operation] = (made.sql, opened)

    def notices(self, mutant: Mapping) -> bool | None:
        """Does an example not hold any more? None where the mutant is none: it is refused, or compiles to the same."""
        changed = False
        for noticed in (self._inward(mutant), *(self._outward(mutant, push) for push in mutant.push)):
            if noticed:
                return True
            changed = changed or noticed is False
        return False if changed else None

    def _inward(self, mutant: Mapping) -> bool | None:
        import duckdb

        made, found = inbound.build(mutant, self.model)
        if made is None or errors_in(found) or made.sql == self.base:
            return None
        if self.con is None:
            return False
        try:
            made.prepare(self.con.execute)
            if made.joins != self.joins:  # what the views read is otherwise, though they are not
                self.there.clear()
                self.joins = made.joins
            for number, statement in enumerate(made.statements):
                self._execute(number, statement)
        except duckdb.Error:
            return True  # it reads what no example holds
        compared = (examples.Compared(self.con, made, self.model, n, self.inward[n]) for n in self.staged)
        return any(one.findings() for one in compared)

    def _execute(self, number: int, statement: Statement) -> None:
        """Views are made as tables, and only where they change: planning one again for each reader is what takes long."""
        text = statement.sql
        if text.startswith(_VIEW):
            if self.there.get(number) == text:
                return
            self.there.pop(number, None)
            self.con.execute(text.replace(_VIEW, _TABLE, 1))
            self.there[number] = text
        elif "run.counts" not in statement.name:
            self.con.execute(text)

    def _outward(self, mutant: Mapping, push: Push) -> bool | None:
        import duckdb

        made, _ = outbound.check(mutant, push, self.model)
        base, opened = self.pushes.get(push.operation, ("", []))
        if made is None or made.sql == base:
            return None
        for example, con in opened:
            try:
                if push_examples.compared(example, trial.payload(con, made)):
                    return True
            except duckdb.Error:
                return True
        return False
