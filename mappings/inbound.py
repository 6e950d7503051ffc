"""The inbound compiler: what a mapping says is checked against the model and the stream, and becomes SQL (`write.py`).

It never executes any. `build` tells all findings; `compile` raises them; `declared` says what to read of a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hub.connector import Stream
from hub.entity import DELETED, Entity, Model
from hub.errors import ConfigurationError, Place
from hub.findings import Finding, did_you_mean, errors_in, nearest
from mappings import declarations, shapes
from mappings.columns import Compiled, Refusal, compile_field, no_list, pardoned
from mappings.expressions import Compiler, Value, compile_expression
from mappings.joins import Asker, Joins, asked_of_python
from mappings.levels import Level
from mappings.meaning import Meaning, certain
from mappings.once import Lookup, fill
from mappings.parse import ExpressionError, parse
from mappings.shapes import Shape
from mappings.syntax import Child, Expr, Field, Mapping
from mappings.tree import Path, Type
from mappings.views import MAX_CHILDREN, Ground, Part, Statement
from mappings.write import written


@dataclass(frozen=True, slots=True)
class Inbound:
    """A compiled mapping. `reads` are the stream's top-level fields with their DuckDB types.

    `prepare` comes before the statements, in the same connection: it makes the tables of `joins`, and what Python looks up.
    `known` are the relations of other records (stream, or canonical.<entity>) with the columns that are read of them, and
    `askers` say which staged records used one that changed. `bare` is SQL over mapped.<entity> of the deletes that say only whose
    they are (`columns.pardoned`), `deletes` and `excludes` say whether it reads `deleted_at` and leaves records out. `parts` are what its views were written from, the entity's own first: a preview asks them which column is what, and `others` which table a lookup has.
    """

    mapping: str
    stream: str
    entity: str
    reads: dict[str, str]
    statements: tuple[Statement, ...]
    lookups: tuple[Lookup, ...] = ()
    joins: tuple[Statement, ...] = ()
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    askers: tuple[Asker, ...] = ()
    bare: str = ""
    deletes: bool = False
    excludes: bool = False
    shape: Shape = field(repr=False, compare=False, default_factory=Shape)
    parts: tuple[Part, ...] = field(repr=False, compare=False, default=())
    shapes: dict[str, Shape] = field(repr=False, compare=False, default_factory=dict)
    others: Joins | None = field(repr=False, compare=False, default=None)

    def prepare(self, execute: Callable[..., Any]) -> None:
        """`execute(sql, parameters)` executes one statement and has `fetchall()`, as DuckDB's has."""
        for statement in self.joins:
            execute(statement.sql)
        fill(self.lookups, execute)

    @property
    def sql(self) -> str:
        """All statements as one readable text."""
        joins = [f"-- {statement.name}\n{statement.sql};" for statement in self.joins]
        asked = [f"-- {one.function}() is asked into {one.table} for each of\n{one.asked};" for one in self.lookups]
        made = [f"-- {statement.name}\n{statement.sql};" for statement in self.statements]
        return "\n\n".join([*joins, *asked, *made]) + "\n"


def compile(mapping: Mapping, model: Model, stream: Stream | None = None) -> Inbound:
    """The statements of a mapping. Raises ConfigurationError that tells every finding."""
    made, findings = build(mapping, model, stream)
    wrong = errors_in(findings)
    if wrong or made is None:
        first = (
            wrong[0] if wrong else Finding("M103", "the mapping reads nothing", mapping.place, "write key: and fields:")
        )
        rest = [str(finding) for finding in wrong[1:]]
        raise ConfigurationError(
            first.code, "\n".join([first.what, *rest]), place=first.place, fix="" if rest else first.fix
        )
    return made


def build(mapping: Mapping, model: Model, stream: Stream | None = None) -> tuple[Inbound | None, list[Finding]]:
    """The statements of a mapping (None where it reads nothing or is wrong), and all that is wrong with it."""
    builder = _Builder(mapping, model, stream)
    if mapping.key is None:
        return None, builder.findings
    made = builder.build()
    return (None if errors_in(builder.findings) else made), builder.findings


def declared(inbounds: Sequence[Inbound]) -> dict[str, str]:
    """What to declare of a stream that several mappings read. Raises ConfigurationError M126 where they disagree."""
    whole = Shape()
    for inbound in inbounds:
        try:
            shapes.merge(whole, inbound.shape)
        except ExpressionError as error:
            names = ", ".join(one.mapping for one in inbounds)
            raise ConfigurationError("M126", error.what, place=f"mappings {names}", fix=error.fix) from None
    return shapes.declared(whole)


def known_columns(inbounds: Sequence[Inbound], stream: Stream) -> dict[str, str]:
    """What to declare of a stream that mappings look into, with what tells its records and their versions apart."""
    whole = Shape("object")
    for inbound in inbounds:
        if stream.name in inbound.shapes:
            shapes.merge(whole, inbound.shapes[stream.name])
    for name in (stream.primary_key, stream.version_field if stream.version_trusted else None):
        try:
            here = whole
            for part in (name or "").split(".") if name else ():
                here = here.part(part, "the record")
            if name:
                here.become("value", name)
        except ExpressionError:
            continue  # read as something else: whole records are then told apart
    return shapes.declared(whole)


class _Builder:
    def __init__(self, mapping: Mapping, model: Model, stream: Stream | None) -> None:
        self.mapping, self.model, self.stream = mapping, model, stream
        self.findings: list[Finding] = []
        self.reads = Shape("object")
        self.meanings: dict[str, Meaning] = {}
        self.joins = Joins(mapping, model, self.findings)

    def wrong(self, code: str, what: str, place: Place, fix: str = "") -> None:
        self.findings.append(Finding(code, what, place, fix))

    # -- reading the mapping

    def build(self) -> Inbound | None:
        mapping = self.mapping
        entity = self.model.get(mapping.entity)
        if entity is None:
            fix = nearest(mapping.entity, self.model)
            self.wrong("M106", f"there is no entity '{mapping.entity}'", mapping.place, fix)
            return None
        if entity.parent:
            fix = f"map {entity.parent} and put it under its children:"
            self.wrong("M106", f"'{entity.name}' travels with its {entity.parent}", mapping.place, fix)
            return None
        self.meanings = declarations.known(mapping, self.stream, self.model, self.findings)
        head = self._head(entity)
        few = mapping.children[:MAX_CHILDREN]
        children = [self._child(child, head, number) for number, child in enumerate(few)] if head else []
        if len(mapping.children) > MAX_CHILDREN:
            self.wrong(
                "M115", f"more than {MAX_CHILDREN} children", mapping.children[MAX_CHILDREN].place, "split the mapping"
            )
        if head is None or any(child is None for child in children) or errors_in(self.findings):
            return None
        parts = [child for child in children if child is not None]
        version = self._version(head.level)
        hub = self._expression(mapping.hub, head.level, "text") if mapping.hub else None
        if errors_in(self.findings):
            return None
        if mapping.flat:
            self._flat(head)
        if errors_in(self.findings):
            return None
        made = written(mapping, head, parts, version, hub, self.joins)
        return Inbound(
            mapping=mapping.name,
            stream=mapping.stream,
            entity=entity.name,
            reads=shapes.declared(self.reads),
            statements=made.statements,
            lookups=made.lookups,
            joins=made.joins,
            known=self.joins.columns(),
            askers=made.askers,
            bare=head.bare,
            deletes=any(one.column == DELETED.name for one in head.columns),
            excludes=head.when is not None,
            shape=self.reads,
            parts=(head, *parts),
            shapes=self.joins.shapes,
            others=self.joins,
        )

    def _flat(self, head: Part) -> None:
        """Can the records of a flat export be put together?"""
        if self.mapping.each is not None:
            what = "records are one row with their children, or one record is several rows, but not both"
            self.wrong("M142", what, self.mapping.each.place, "leave each: out")
        elif asked_of_python(head.key):
            what = "which records are one row depends on a function that Python computes"
            self.wrong("M140", what, self.mapping.key.place, "let the key be a path")  # type: ignore[union-attr]
        try:  # records that differ in a child only are no duplicates
            shapes.merge(self.reads, self.joins.shapes[self.mapping.stream])
        except ExpressionError as error:
            self.wrong("M126", error.what, self.mapping.place, error.fix)

    def _ground(self) -> Ground | None:
        """The record (or the items that the mapping goes through), with its key and condition. Each view has its own."""
        mapping = self.mapping
        level = Level("record", f"{mapping.system}.{mapping.stream}", self.reads, mapping.sample)
        level.loose = frozenset(mapping.loose)
        level.meanings = self.meanings
        if mapping.each is not None:
            opened = self._each(mapping.each, level)
            if opened is None:
                return None
            level = opened
        level.record.units = level.units = certain(mapping.when.text if mapping.when else None, level.place)
        assert mapping.key is not None
        key = self._expression(mapping.key, level, "text")
        when = self._when(mapping.when, level)
        return None if key is None else Ground(level, key, when)

    def _head(self, entity: Entity) -> Part | None:
        ground = self._ground()
        level = ground.level if ground else Level("record", "", Shape("object"), None)
        before = len(self.findings)
        fields = {one.name: one for one in self.mapping.fields}
        columns, bare = pardoned(self._fields(self.mapping.fields, entity, level, self.mapping.place), fields, entity)
        if level.shared and self.mapping.when is not None:
            fix = "write the condition into the brackets of each"
            self.wrong("M121", "share() counts the rows that when: leaves out", self.mapping.when.place, fix)
        if ground is None:
            # Without the list only what does not depend on it can be judged.
            self.findings[before:] = [f for f in self.findings[before:] if f.code in ("M107", "M109", "M110")]
            return None
        part = Part(self.mapping.name, entity, ground, level, columns, ground.key, ground.when, bare=bare)
        part.lists, part.refusals = self._lists(level, deletes=any(one.column == DELETED.name for one in columns))
        return part

    def _lists(self, level: Level, *, deletes: bool) -> tuple[dict[str, str], list[Refusal]]:
        """The lists of children that have to be there, as columns that say whether one is not, and what a record is refused for."""
        lists, refusals, before = {}, [], len(self.findings)
        for number, child in enumerate(self.mapping.children, 1):
            if child.required and child.each is not None and (inner := self._each(child.each, level)) is not None:
                column = f"no list {number}"
                lists[column] = f"{inner.opened} IS NULL"
                refusals.append(no_list(child.entity, child.each.text, column, deletes=deletes))
        del self.findings[before:]  # they are told of the child
        return lists, refusals

    def _child(self, child: Child, head: Part, number: int) -> Part | None:
        entity = self.model.get(child.entity)
        if entity is None or entity.parent != head.entity.name:
            known = [one.name for one in self.model.values() if one.parent == head.entity.name]
            fix = nearest(child.entity, known)
            self.wrong("M115", f"'{child.entity}' is no child of {head.entity.name}", child.place, fix)
            return None
        before = len(self.findings)
        ground = self._ground()
        del self.findings[before:]  # they were told of the head
        same = [one for one in self.mapping.children[:number] if one.entity == child.entity]
        view = f"{self.mapping.name} {entity.name}" + (f" {len(same) + 1}" if same else "")
        level = ground.level if ground and child.each is None and child.stream is None else None
        if ground is not None and child.each is not None:
            level = self._each(child.each, ground.level)
        records = None
        if ground is not None and child.stream is not None and child.parent is not None:
            records = self.joins.records(view, child.stream, child.parent)
            if records is not None:
                other = records.level
                level = ground.level.of_records(other.stream, other.reads, other.sample, records.name)
        if ground is None or level is None:
            return None
        key = self._expression(child.key, level, "text")
        when = self._when(child.when, level)
        columns = self._fields(child.fields, entity, level, child.place, f"{entity.name}.")
        if key is None:
            return None
        return Part(view, entity, ground, level, columns, key, when, f"{entity.name}.", records=records)

    def _expression(self, expr: Expr, level: Level, want: Type) -> Value | None:
        return compile_expression(expr, level, self.findings, want)

    def _when(self, expr: Expr | None, level: Level) -> Value | None:
        before, level.shared = level.shared, False
        made = self._expression(expr, level, "boolean") if expr else None
        if expr and level.shared:
            self.wrong(
                "M121", "share() has no meaning in when:", expr.place, "it is the rows that when: leaves that share"
            )
        level.shared = before
        return made

    def _each(self, expr: Expr, level: Level) -> Level | None:
        compiler = Compiler(level, expr, self.findings)
        before = len(self.findings)
        try:
            node = parse(expr.text)
            if not isinstance(node, Path):
                raise ExpressionError("each is a path to a list", 0, "write each: line_items", "M105")
            inner = level.each(node, compiler)
        except ExpressionError as error:
            compiler.report(error)
            return None
        return inner if len(self.findings) == before else None

    def _fields(
        self, fields: Sequence[Field], entity: Entity, level: Level, place: Place, prefix: str = ""
    ) -> list[Compiled]:
        made = []
        gone = not entity.parent and self.mapping.lists_deletes
        units = declarations.units(fields, entity, level)
        for one in fields:
            if one.name not in entity:
                known = [column.name for column in entity]
                fix = did_you_mean(one.name, known) or f"{entity.name} has: {', '.join(known)}"
                self.wrong("M107", f"there is no column '{one.name}' in {entity.name}", one.place, fix)
                continue
            column = entity[one.name]
            if gone and column == DELETED:  # a list of what is deleted says it of each
                column = replace(column, required=True)
            if column.ref != one.ref:
                self._wrong_ref(one, column.ref)
                continue
            wanted = declarations.wanted(one, column, entity, self.mapping.system, units)
            found = self.joins.lookup(one, level) if one.lookup else None
            if one.lookup and found is None:
                continue
            compiled = compile_field(one, column, level, self.findings, prefix, wanted, found)
            if compiled is not None:
                made.append(compiled)
        named = {one.name for one in fields}
        if not entity.parent and DELETED.name not in named and self.stream and self.stream.deletes != "inferable":
            what = f"{self.stream.name} says which records are deleted, and {DELETED.name} is not read"
            fix = f"write {DELETED.name}: {{at: <when it was changed last>, when: <the flag>}}"
            self.findings.append(Finding("M134", what, place, fix, "warning"))
        for column in entity:
            if column.required and column.name not in named and not gone:
                doc = column.doc if column.doc[1:2].isupper() else column.doc[:1].lower() + column.doc[1:]
                fix = f"write {column.name}: <path>; it is {doc}"
                self.wrong("M110", f"the required column '{column.name}' of {entity.name} is not read", place, fix)
        return made

    def _wrong_ref(self, one: Field, ref: str | None) -> None:
        if ref is None:
            self.wrong("M109", f"'{one.name}' refers to nothing", one.place, "leave ref: out")
        elif one.ref is None:
            fix = f"write {one.name}: {{ref: {ref}, at: {one.at.text}}}"
            self.wrong("M109", f"'{one.name}' refers to a {ref}", one.place, fix)
        else:
            self.wrong("M109", f"'{one.name}' refers to a {ref}, not to a {one.ref}", one.place, f"write ref: {ref}")

    def _version(self, level: Level) -> Value | None:
        """What orders the versions: what the mapping says, else the stream's own field where it is trusted."""
        stream, said = self.stream, self.mapping.version
        if stream is not None and stream.version_field and not stream.version_trusted:
            if said is not None and said.text.split(".")[-1] == stream.version_field:
                what = f"the clock behind {stream.version_field} of {stream.name} is declared not to be trusted"
                self.findings.append(Finding("M133", what, said.place, "leave version: out", "warning"))
            return None
        if said is None and stream is not None and stream.version_field and stream.version_trusted:
            prefix = "record." if self.mapping.each else ""
            said = Expr(prefix + stream.version_field, self.mapping.place)
        return None if said is None else compile_expression(said, level, self.findings)
