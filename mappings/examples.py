"""Runs the `examples:` of a mapping: its own SQL over the given records, staged in memory as a run stages them.

The records are written as NDJSON and read with the columns that the mapping declares, so that an example goes through
what a real record goes through. The engine is hardened: beside that one file it can reach nothing.
Examples with `push:` are run by `mappings/push_examples.py`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Map
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from hub.connector import Stream
from hub.entity import Column, Entity, Model, children
from hub.errors import Place
from hub.findings import Finding, did_you_mean, errors_in
from mappings import inbound, sql
from mappings.inbound import Inbound
from mappings.outcomes import Difference, difference
from mappings.settings import scalar
from mappings.syntax import Example, Mapping

RUN_TABLES = {
    "run.rejects": "stream VARCHAR, mapping VARCHAR, entity VARCHAR, source_id VARCHAR, segment VARCHAR, line BIGINT, code VARCHAR,"
    " field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR",
    "run.counts": "stream VARCHAR, mapping VARCHAR, entity VARCHAR, state VARCHAR, n BIGINT",
}
_PSEUDO = {"key": "source_id", "version": "version", "hub": "_hub"}


Judged = list[tuple[Example | None, list[Finding]]]


def run(mapping: Mapping, model: Model, stream: Stream | None = None) -> list[Finding]:
    """What does not hold, one finding for each field (M401), record (M402) or example that cannot be tried (M403)."""
    return [finding for _, findings in judged(mapping, model, stream) for finding in findings]


def judged(mapping: Mapping, model: Model, stream: Stream | None = None) -> Judged:
    """Each example with what does not hold of it; None and the findings of the mapping where it cannot be compiled."""
    made, found = inbound.build(mapping, model, stream)
    wanted = _inbound(mapping)
    if not wanted or made is None:
        return [(None, errors_in(found))] if wanted else []
    with tried(mapping, model, stream) as (con, unread, staged):
        told: dict[int, list[Finding]] = {}
        for number, example in enumerate(wanted):
            if number in staged:
                told[number] = Compared(con, made, model, number, example).findings()
            else:
                told[number] = [finding for finding in unread if finding.place == example.place]
    return [(example, told[number]) for number, example in enumerate(wanted)]


def _inbound(mapping: Mapping) -> list[Example]:
    return [example for example in mapping.examples if example.push is None]


@contextmanager
def tried(
    mapping: Mapping, model: Model, stream: Stream | None = None
) -> Iterator[tuple[Any, list[Finding], list[int]]]:
    """A connection in which the mapping was run over its examples' records; what could not be staged; what was.

    `_seq` and the rejects' `line` are the example's number.
    """
    made = inbound.compile(replace(mapping, tried=True), model, stream)
    with tempfile.TemporaryDirectory(prefix="crossdock-examples-") as folder:
        con = hardened(Path(folder))
        try:
            _create(con, made, model)
            file, wanted = Path(folder) / "given.jsonl", _inbound(mapping)
            findings, staged = _stage(con, made, [_newest(mapping, one) for one in wanted], file)
            for of, columns in made.known.items():
                findings += _know(con, of, columns, wanted, file, of == mapping.stream)
            staged = [number for number in staged if all(one.place != wanted[number].place for one in findings)]
            made.prepare(con.execute)
            for statement in made.statements:
                con.execute(statement.sql)
            yield con, findings, staged
        finally:
            con.close()


def hardened(folder: Path) -> Any:
    """A DuckDB in memory that can reach nothing but `folder`."""
    import duckdb

    config: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "threads": "1",
    }
    con = duckdb.connect(":memory:", config=config)
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET allowed_directories = [{sql.text(str(folder.resolve()) + '/')}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def _create(con: Any, made: Inbound, model: Model) -> None:
    for schema in ("stage", "known", "mapped", "run"):
        con.execute(f"CREATE SCHEMA {schema}")
    for name, columns in RUN_TABLES.items():
        con.execute(f"CREATE TABLE {name} ({columns})")
    entity = model[made.entity]
    for one in (entity, *children(model, entity.name)):
        con.execute(f"CREATE TABLE mapped.{sql.name(one.name)} ({', '.join(mapped_columns(one))})")
    declared = "".join(f", {sql.name(name)} {kind}" for name, kind in made.reads.items())
    con.execute(f"CREATE TABLE stage.{sql.name(made.stream)} (_segment VARCHAR, _line BIGINT, _seq BIGINT{declared})")


def mapped_columns(entity: Entity) -> list[str]:
    """The columns of mapped.<entity> as a run file has them."""
    owner = ["_parent_row BIGINT", "parent_source_id VARCHAR"] if entity.parent else ["_hub VARCHAR"]
    own = [f"{sql.name(_stored(column))} {_stored_type(column)}" for column in entity]
    lineage = [
        "system VARCHAR",
        "source_id VARCHAR",
        "mapping VARCHAR",
        "_segment VARCHAR",
        "_line BIGINT",
        "_seq BIGINT",
    ]
    return ["_row BIGINT", *owner, *lineage, "version VARCHAR", *own]


def _stored(column: Column) -> str:
    return f"{column.name}_ref" if column.kind == "ref" else column.name


def _stored_type(column: Column) -> str:
    return "VARCHAR" if column.kind == "ref" else column.sql_type


def _stage(con: Any, made: Inbound, examples: Sequence[Example], file: Path) -> tuple[list[Finding], list[int]]:
    """Stage all given records, `_seq` being the example's number; those that do not fit are found one by one."""
    numbers = list(range(len(examples)))
    if _read(con, made, examples, numbers, file) is None:
        return [], numbers
    findings, fitting = [], []
    for number in numbers:
        said = _read(con, made, examples, [number], file)
        if said is None:
            fitting.append(number)
        else:
            what = f"example '{examples[number].name}' is not of the shape that the mapping reads: {said}"
            findings.append(Finding("M403", what, examples[number].place, f"the mapping reads {_shape(made)}"))
    return findings, fitting


def _newest(mapping: Mapping, example: Example) -> Example:
    """Of a flat export, whose examples give several records, the last is the one that is the row."""
    if mapping.flat and isinstance(example.given, list):
        return replace(example, given=example.given[-1] if example.given else {})
    return example


def _know(
    con: Any, of: str, columns: Map[str, str], examples: Sequence[Example], file: Path, own: bool
) -> list[Finding]:
    """Fill known.<of> with what each example says of it, for itself alone; those that do not fit are found one by one."""
    import duckdb

    table, findings = f"known.{sql.name(of)}", []
    declared = "".join(f"{sql.name(name)} {kind}, " for name, kind in columns.items())
    con.execute(f"CREATE TABLE {table} ({declared}_seq BIGINT, _first BIGINT, _example BIGINT)")
    struct = ", ".join(f"{sql.name(name)} {kind}" for name, kind in columns.items()) or "_none VARCHAR"
    names = "".join(f"r.{sql.name(name)}, " for name in columns)
    for number, example in enumerate(examples):
        given = example.given if isinstance(example.given, list) else [example.given]
        rows = [*(given if own else ()), *example.known.get(of, ())]
        if not rows:
            continue
        lines = [json.dumps({"_n": n, "r": row}, default=_number) for n, row in enumerate(rows)]
        file.write_text("\n".join(lines) + "\n")
        kinds = f"{{'_n': 'BIGINT', 'r': {sql.text(f'STRUCT({struct})')}}}"
        source = f"read_json({sql.text(str(file.resolve()))}, format = 'newline_delimited', columns = {kinds})"
        try:
            con.execute(f"INSERT INTO {table} SELECT {names}_n, _n, {number} FROM {source}")
        except duckdb.Error as error:
            what = f"example '{example.name}': {of} is not of the shape that the mapping reads: "
            shape = ", ".join(f"{name}: {kind}" for name, kind in columns.items())
            said = str(error).splitlines()[0]
            findings.append(Finding("M403", what + said, example.place, f"the mapping reads {shape}"))
    return findings


def _read(con: Any, made: Inbound, examples: Sequence[Example], numbers: Sequence[int], file: Path) -> str | None:
    import duckdb

    lines = [json.dumps({"_n": number, "r": examples[number].given}, default=_number) for number in numbers]
    file.write_text("\n".join(lines) + "\n")
    struct = f"STRUCT({', '.join(f'{sql.name(name)} {kind}' for name, kind in made.reads.items())})"
    columns = f"{{'_n': 'BIGINT', 'r': {sql.text(struct)}}}"
    source = f"read_json({sql.text(str(file.resolve()))}, format = 'newline_delimited', columns = {columns})"
    names = "".join(f", r.{sql.name(name)}" for name in made.reads)
    try:
        con.execute(f"INSERT INTO stage.{sql.name(made.stream)} SELECT 'examples', _n, _n{names} FROM {source}")
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)  # as any JSON reader takes it
    raise TypeError(type(value).__name__)


def _shape(made: Inbound) -> str:
    nested = [f"{name}: {kind}" for name, kind in made.reads.items() if kind != "VARCHAR"]
    return ", ".join(nested) or "plain values"


class Compared:
    """One example against what the statements made of its record."""

    def __init__(self, con: Any, made: Inbound, model: Model, number: int, example: Example) -> None:
        self.con, self.made, self.model, self.number, self.example = con, made, model, number, example
        self.nth = 0  # which of the expected rows is looked at

    def wrong(self, code: str, what: str, fix: str = "", place: Place | None = None) -> Finding:
        return Finding(code, f"example '{self.example.name}': {what}", place or self.example.place, fix)

    def findings(self) -> list[Finding]:
        entity, example = self.model[self.made.entity], self.example
        rows = self._rows(entity, f"_seq = {self.number}")
        columns = "field, rule, coalesce(raw, 'nothing')"
        rejects = self.con.execute(f"SELECT {columns} FROM run.rejects WHERE line = {self.number}").fetchall()
        if example.rejects:
            return self._rejected(rejects)
        if rejects:
            field, rule, raw = rejects[0]
            return [self.wrong("M402", f"it is rejected: {field}, rule {rule}, raw value {raw}")]
        if example.excluded or example.expect is None:
            return [self.wrong("M402", "it is mapped, not excluded")] if rows else []
        if len(rows) != len(example.expect):
            what = "it is excluded" if not rows else f"it makes {len(rows)} rows, not {len(example.expect)}"
            return [self.wrong("M402", what, "when: decides that" if not rows else "")]
        found = []
        for self.nth, (wanted, row) in enumerate(zip(example.expect, rows, strict=True)):
            found += self._row(entity, wanted, row, "")
        return found

    def at(self, name: str) -> Place:
        return self.example.at(self.nth, name)

    def actual(self) -> list[dict[str, Any]]:
        """The rows that were made, as `expect:` would say them: columns that have a value, and children."""
        entity = self.model[self.made.entity]
        return [self._said(entity, row) for row in self._rows(entity, f"_seq = {self.number}")]

    def _said(self, entity: Entity, row: Map[str, Any]) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for column in entity:
            text = _readable(row[_stored(column)], column)
            if text is not None:
                said[column.name] = _typed(text, column)
        for child in children(self.model, entity.name):
            rows = self._rows(child, f"_parent_row = {row['_row']}")
            if rows:
                said[child.name] = [self._said(child, one) for one in rows]
        return said

    def _rejected(self, rejects: Sequence[tuple[str, str, str]]) -> list[Finding]:
        shown = ", ".join(f"{field} by rule {rule}" for field, rule, _ in rejects) or "nothing"
        return [
            self.wrong(
                "M402",
                f"{one.field} is not rejected{f' by rule {one.rule}' if one.rule else ''}; rejected: {shown}",
                place=one.place,
            )
            for one in self.example.rejects
            if not any(field == one.field and one.rule in (None, rule) for field, rule, _ in rejects)
        ]

    def _rows(self, entity: Entity, where: str) -> list[dict[str, Any]]:
        names = {_stored(column): _shown(column) for column in entity} | {"_row": "_row"}
        names |= {name: name for name in _PSEUDO.values() if not entity.parent or name == "source_id"}
        listed = ", ".join(f"{text} AS {sql.name(name)}" for name, text in names.items())
        rows = self.con.execute(
            f"SELECT {listed} FROM mapped.{sql.name(entity.name)} WHERE {where} ORDER BY _row"
        ).fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _row(self, entity: Entity, wanted: Map[str, Any], row: Map[str, Any], prefix: str) -> list[Finding]:
        findings = []
        for name, value in wanted.items():
            child = self.model.get(name)
            if child is not None and child.parent == entity.name:
                findings += self._children(child, value, row)
            elif name in _PSEUDO and name not in entity:
                findings += self._value(f"{prefix}{name}", value, row.get(_PSEUDO[name]), None)
            elif name in entity:
                column = entity[name]
                findings += self._value(f"{prefix}{name}", value, row[_stored(column)], column)
            else:
                known = [column.name for column in entity] + [one.name for one in children(self.model, entity.name)]
                what = f"there is no column '{name}' in {entity.name}"
                findings.append(self.wrong("M403", what, did_you_mean(name, known), self.at(f"{prefix}{name}")))
        return findings

    def _children(self, child: Entity, wanted: Any, row: Map[str, Any]) -> list[Finding]:
        rows = self._rows(child, f"_parent_row = {row['_row']}")
        if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
            fix = f"write {child.name}: [{{…}}]"
            return [self.wrong("M403", f"{child.name} is a list of rows", fix, self.at(child.name))]
        if len(rows) != len(wanted):
            what = f"example '{self.example.name}': there are {len(rows)} {child.name}, expected {len(wanted)}"
            numbers = f"{len(wanted)} rows", f"{len(rows)} rows"
            return [Difference("M401", what, self.at(child.name), "", "error", child.name, *numbers)]
        pairs = enumerate(zip(wanted, rows, strict=True))
        return [found for n, (one, made) in pairs for found in self._row(child, one, made, f"{child.name}[{n}].")]

    def _value(self, name: str, wanted: Any, made: str | None, column: Column | None) -> list[Finding]:
        said = None if wanted is None else scalar(wanted)
        if wanted is not None and said is None:
            return [self.wrong("M403", f"{name} holds a plain value", "write it without brackets", self.at(name))]
        if _same(said, made, column):
            return []
        return [difference(self.example, self.at(name), name, _told(said), _told(_readable(made, column)))]


def _shown(column: Column) -> str:
    """SQL of a column as text that can be compared."""
    name = sql.name(_stored(column))
    if column.kind == "instant":
        return f"CAST(epoch_us({name}) AS VARCHAR)"
    return f"CAST({name} AS VARCHAR)"


def _readable(text: str | None, column: Column | None) -> str | None:
    """What came, as a person would write it: an instant in UTC, numbers without the column's trailing zeros."""
    if text is None or column is None:
        return text
    if column.kind == "instant":
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(text))).isoformat().replace("+00:00", "Z")
    if column.kind in ("money", "quantity", "percent") and "." in text:
        return text.rstrip("0").rstrip(".")
    return text


def _typed(text: str, column: Column) -> Any:
    if column.kind == "boolean":
        return text == "true"
    return Decimal(text) if column.kind in ("money", "quantity", "percent", "integer") else text


def _told(text: str | None) -> str | None:
    return None if text is None else f"'{text}'"


def _same(wanted: str | None, made: str | None, column: Column | None) -> bool:
    if wanted is None or made is None:
        return wanted is made
    kind = column.kind if column else "text"
    try:
        if kind in ("money", "quantity", "percent", "integer"):
            return Decimal(wanted) == Decimal(made)
        if kind == "instant":
            moment = datetime.fromisoformat(wanted)
            if moment.tzinfo is None:
                return False
            since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds == int(made)
    except (ValueError, InvalidOperation):
        return False
    return wanted == made
