"""Other records in SQL: the newest known ones of another stream, and the canonical rows of an entity, found by a key.

Each use becomes a temporary table, made before the mapping's views (`Inbound.prepare`), which they join:

    "shop/customers groups"           of a lookup: _by, what is taken (_made), and on which rows that failed (_failed)
    "shop/orders order_line records"  of children: _by, the record as `item`, its number (_ordinal)

They stand on known.<stream> and known."canonical.<entity>", which the flow fills (`flow/known.py`) with the columns in
`Joins.columns`, `_seq` (the order in which the records came) and `_first` (where each came first). Where an example is
tried, `_example` is the number of the only one that sees the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hub.entity import Entity, Model
from hub.findings import Finding, did_you_mean
from mappings import shapes, sql
from mappings.columns import TYPES, Found
from mappings.expressions import Compiler, Value, compile_expression
from mappings.levels import Level
from mappings.meaning import of_column
from mappings.parse import ExpressionError
from mappings.shapes import Shape
from mappings.syntax import Expr, Field, Join, Mapping
from mappings.tree import Call, Name, Path, Type

CANONICAL = "canonical."
_NO_PYTHON = "look up what the record holds as it is, or read that stream by a mapping of its own, where the function is possible"


@dataclass(frozen=True, slots=True)
class Table:
    """A temporary table of other records. `keys` is SQL of the keys of those that changed, over known."<of> changed"."""

    name: str
    of: str
    body: str
    keys: str


@dataclass(frozen=True, slots=True)
class Asker:
    """`rows` is SQL of the `_seq` of staged records that use a record of the stream `of` in known."<of> changed"."""

    of: str
    rows: str


@dataclass(slots=True)
class Joins:
    """What one mapping knows of other records. `shapes` is what is read of each stream, `rows` of each canonical entity."""

    mapping: Mapping
    model: Model
    findings: list[Finding]
    shapes: dict[str, Shape] = field(default_factory=dict)
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    tables: dict[tuple[str, ...], Table] = field(default_factory=dict)

    def columns(self) -> dict[str, dict[str, str]]:
        """The columns of each known relation, with their types."""
        return {of: shapes.declared(shape) for of, shape in self.shapes.items()} | {
            CANONICAL + name: columns for name, columns in self.rows.items()
        }

    # -- lookups

    def lookup(self, one: Field, level: Level) -> Found | None:
        """What the other record says, and where none is known: columns of the view it is joined to. None where it is wrong."""
        join = one.lookup
        assert join is not None
        before = len(self.findings)
        key, scope = compile_expression(join.key, level, self.findings, "text"), self._scope(join)
        if scope is None:
            return None
        by = compile_expression(join.by, scope, self.findings, "text")
        made = compile_expression(one.at, scope, self.findings, "text" if one.values else None)
        if key is None or by is None or made is None or len(self.findings) > before:
            return None
        self._possible(join, key, by, made, scope)
        name = level.join(self._table(join.of, scope, by, made).name, key.sql)
        text = f"{name}._made"
        missed = f"{sql.term(key.sql)} IS NOT NULL AND {name}._by IS NULL"
        if join.missing == "pass":
            text = f"CASE WHEN {missed} THEN {key.sql} ELSE {text} END"
        failed = [key.failed] if key.failed else []
        failed += [f"coalesce({name}._failed, false)"] if made.failed else []
        shown = f"{join.of}.{one.at.text}"
        inputs = (*key.inputs, (shown, f"CAST({name}._made AS VARCHAR)"))
        value = Value(text, made.type, " OR ".join(failed) or None, inputs, meaning=made.meaning)
        return Found(value, key.sql, missed, join)

    def _scope(self, join: Join) -> Level | _Row | None:
        if not join.of.startswith(CANONICAL):
            return self.level(join.of)
        entity = self.model.get(join.of.removeprefix(CANONICAL))
        if entity is None:
            fix = did_you_mean(join.of, [CANONICAL + name for name in self.model]) or f"one of {', '.join(self.model)}"
            self.findings.append(Finding("M106", f"there is no entity '{join.of}'", join.place, fix))
            return None
        return _Row(entity, self.rows.setdefault(entity.name, {}))

    def level(self, stream: str) -> Level:
        """A record of another stream, as the place where expressions stand."""
        shape = self.shapes.setdefault(stream, Shape("object"))
        return Level("_record", f"{self.mapping.system}.{stream}", shape, self.mapping.samples.get(stream))

    def _possible(self, join: Join, key: Value, by: Value, made: Value, scope: Level | _Row) -> None:
        if asked_of_python(key) or (isinstance(scope, Level) and scope.asked):
            what = f"a lookup in {join.of} depends on a function that Python computes"
            self.findings.append(Finding("M140", what, join.key.place, _NO_PYTHON))
        if by.failed:
            what = f"whose key a record of {join.of} has can be impossible to compute"
            self.findings.append(Finding("M143", what, join.by.place, "name the field, or a text of it"))
        if join.missing == "pass" and made.type not in ("text", "missing"):
            what = f"a key that is not known is a text, and {join.of} gives {made.type}"
            self.findings.append(Finding("M114", what, join.place, "missing: quarantine or default"))

    def _table(self, of: str, scope: Level | _Row, by: Value, made: Value) -> Table:
        return self._named((of, by.sql, made.sql), of, lambda name: self._lookup_table(name, of, scope, by, made))

    def _named(self, said: tuple[str, ...], of: str, make: Callable[[str], Table]) -> Table:
        if said not in self.tables:
            same = sum(one.of == of for one in self.tables.values())
            name = f"{self.mapping.name} {of}" + (f" {same + 1}" if same else "")
            self.tables[said] = make(name)
        return self.tables[said]

    def _lookup_table(self, name: str, of: str, scope: Level | _Row, by: Value, made: Value) -> Table:
        mine = ["_example"] if self.mapping.tried else []
        listed = [f"{by.sql} AS _by", f"{made.sql} AS _made"]
        listed += [f"{made.failed} AS _failed"] if made.failed else []
        once = ", ".join([by.sql, *mine])
        body = (
            f"{self._read(scope, of, ['_seq', *mine])}\nSELECT {', '.join([*listed, *mine])}\nFROM read\n"
            f"WHERE {sql.term(by.sql)} IS NOT NULL\n"
            f"QUALIFY row_number() OVER (PARTITION BY {once} ORDER BY _seq DESC) = 1"
        )
        return Table(name, of, body, self._keys(scope, of, by))

    def _read(self, scope: Level | _Row, of: str, more: list[str]) -> str:
        read = [f"{text} AS {sql.name(name)}" for name, text in scope.columns.items()]
        listed = ", ".join([*read, *(f"_record.{one}" for one in more)])
        return f"WITH read AS (\n  SELECT {listed}\n  FROM known.{sql.name(of)} AS _record\n)"

    def _keys(self, scope: Level | _Row, of: str, by: Value) -> str:
        read = ", ".join(f"{text} AS {sql.name(name)}" for name, text in scope.columns.items())
        return f"SELECT {by.sql} FROM (SELECT {read or '1'} FROM known.{sql.name(of + ' changed')} AS _record)"

    # -- children

    def records(self, view: str, stream: str, parent: Expr) -> Children | None:
        """The records of a stream as children of the rows whose key is their `parent`."""
        level = self.level(stream)
        by = compile_expression(parent, level, self.findings, "text")
        if by is None:
            return None
        if level.asked or by.failed:
            what = f"whose child a record of {stream} is can be impossible to compute"
            self.findings.append(Finding("M143", what, parent.place, "name the field, or a text of it"))
            return None
        return Children(self, f"{view} records", stream, level, by)


@dataclass(frozen=True, slots=True)
class Children:
    """Records that are children: their table is written when all that is read of them is known."""

    joins: Joins
    name: str
    stream: str
    level: Level
    by: Value

    def table(self) -> Table:
        joins, mine = self.joins, ["_example"] if self.joins.mapping.tried else []
        fields = shapes.declared(joins.shapes[self.stream])
        item = ", ".join(f"{sql.text(name)}: _record.{sql.name(name)}" for name in fields)
        read = [f"{text} AS {sql.name(name)}" for name, text in self.level.columns.items()]
        read += [f"{{{item}}} AS item", *(f"_record.{one}" for one in ("_first", *mine))]
        once = ", ".join([self.by.sql, *mine])
        body = (
            f"WITH read AS (\n  SELECT {', '.join(read)}\n  FROM known.{sql.name(self.stream)} AS _record\n)\n"
            f"SELECT {', '.join([f'{self.by.sql} AS _by', 'item', *mine])},\n"
            f"  row_number() OVER (PARTITION BY {once} ORDER BY _first) AS _ordinal\n"
            f"FROM read\nWHERE {sql.term(self.by.sql)} IS NOT NULL"
        )
        return Table(self.name, self.stream, body, joins._keys(self.level, self.stream, self.by))


def asked_of_python(value: Value) -> bool:
    return "_found_" in value.sql or "_found_" in (value.failed or "")


class _Row:
    """The scope of expressions about a canonical row."""

    def __init__(self, entity: Entity, read: dict[str, str]) -> None:
        self.entity, self.read = entity, read
        self.columns: dict[str, str] = {}
        self.units: dict[str, str] = {}

    def path(self, path: Path, compiler: Compiler) -> Value:
        step = path.steps[0]
        name = step.text if isinstance(step, Name) and len(path.steps) == 1 else str(path)
        known = {column.name: column for column in self.entity if column.kind != "ref"}
        kind: Type = "integer"
        if name == "hub_id":
            self.read[name] = "BIGINT"
        elif name in known:
            kind, self.read[name] = TYPES[known[name].kind], known[name].sql_type
        else:
            fix = did_you_mean(name, known) or f"{self.entity.name} has: {', '.join(known)}"
            raise ExpressionError(f"there is no column '{name}' to look up in {self.entity.name}", path.at, fix, "M107")
        self.columns[name] = f"_record.{sql.name(name)}"
        column = sql.name(name)
        meaning = of_column(self.entity, known[name]) if name in known else None
        if meaning is not None:
            meaning = replace(meaning, unit="")  # in the currency of that record, whichever it is
        return Value(column, kind, inputs=((name, f"CAST({column} AS VARCHAR)"),), meaning=meaning)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        return None

    def lookup(self, function: object, arguments: object, at: int) -> str:
        raise ExpressionError("what is looked up is not looked up again", at, _NO_PYTHON, "M140")
