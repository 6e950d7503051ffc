"""Writes the SQL of a checked inbound mapping, for a person to read.

For a mapping `cart/orders` of the stream `orders` the statements are, in order:

    view       "cart/orders"               each staged record: what was read (raw_x), what it means (x), `_excluded`, `_bad`
    view       "cart/orders order_line"    the same for each row of a child
    delete     what the mapping wrote before, so that a repeated task changes nothing
    insert     mapped.<entity>, mapped.<child>: what is refused, too, as a row below zero
    table      "cart/orders rejected"      the records that are refused, for themselves or for a child, with the reasons
    delete     these out of mapped.<entity> and mapped.<child>
    insert     run.rejects, run.counts

What Python looks up (`once.py`) and other records (`joins.py`) are joined by name where a view reads the record or the item. Of a flat
export only the newest record of each key is a row; the others are read as its children. Views and the table are temporary. Everything is read once
and cast once. Only where a row was refused is it read again, for the reasons (`Statement.needed`), and the record taken out with its children.

`_row` is `_seq` and the number of the item in its list, with the mapping's ordinal in front: unique among the rows of
all mappings of an entity, and in the order in which the records came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hub.entity import Entity
from mappings import sql
from mappings.asked import joined, lookups_at
from mappings.columns import RULES, Compiled, Refusal
from mappings.expressions import Value
from mappings.joins import CANONICAL, Asker, Children, Joins, Table
from mappings.levels import MAX_ITEMS, Level
from mappings.once import Lookup
from mappings.syntax import Mapping

_ITEMS = 1 << 16  # of one list of one record
_RECORDS = 1 << 32  # of one batch of one stream
_LINEAGE = ("_segment", "_line", "_seq")
MAX_CHILDREN = 15  # of one mapping; with 2,048 mappings of one system the numbers fill 63 bits


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement, and the name by which an error of it is told.

    `needed` is a query for the `_seq` of the records that it is about: without any it changes nothing, and need not be executed.
    A `view` is made once a connection; an `undo` takes back what an earlier execution wrote, and is for tables that were not emptied.
    """

    name: str
    sql: str
    needed: str = ""
    kind: Literal["view", "undo", ""] = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a view stands on: the record, or the items that the whole mapping goes through; their key and condition."""

    level: Level
    key: Value
    when: Value | None


@dataclass(slots=True)
class Part:
    """What becomes one view: the entity itself (`prefix` empty), or one child, at the level where its expressions stand.

    `bare` is SQL over mapped.<entity> of the deletes that say only whose they are: they have no children of their own.
    """

    view: str
    entity: Entity
    ground: Ground
    level: Level
    columns: list[Compiled]
    key: Value
    when: Value | None = None
    prefix: str = ""
    refusals: list[Refusal] = field(default_factory=list)
    records: Children | None = None
    bare: str = ""

    @property
    def items(self) -> bool:
        """Is it about the items of a list of its own?"""
        return self.level is not self.ground.level if self.prefix else self.level.outer is not None


@dataclass(frozen=True, slots=True)
class Written:
    """All statements of a mapping in the order in which they are executed, and what comes before them."""

    statements: tuple[Statement, ...]
    lookups: tuple[Lookup, ...]
    joins: tuple[Statement, ...]
    askers: tuple[Asker, ...]


def written(
    mapping: Mapping, head: Part, children: Sequence[Part], version: Value | None, hub: Value | None, joins: Joins
) -> Written:
    writer = _Writer(mapping, head, children, version, hub)
    tables = [*joins.tables.values(), *(part.records.table() for part in children if part.records)]
    made = [Statement(f"{one.name}: records of {one.of}", _table(one)) for one in tables]
    askers = writer.askers({one.name: one for one in tables})
    return Written(tuple(writer.statements()), tuple(writer.lookups()), tuple(made), tuple(askers))


def views(mapping: Mapping, head: Part, children: Sequence[Part]) -> list[Statement]:
    """Only what makes the views of the parts, the entity's own first."""
    return _Writer(mapping, head, children, None, None).statements()[: 1 + len(children)]


def _table(one: Table) -> str:
    return f"CREATE OR REPLACE TEMP TABLE {sql.name(one.name)} AS\n{one.body}"


class _Writer:
    def __init__(
        self, mapping: Mapping, head: Part, children: Sequence[Part], version: Value | None, hub: Value | None
    ) -> None:
        self.mapping, self.head, self.children, self.version, self.hub = mapping, head, list(children), version, hub
        self.stage = f"stage.{sql.name(mapping.stream)}"
        for part in self.parts:
            part.refusals[:0] = self._own_refusals(part)
            part.refusals.extend(refusal for column in part.columns for refusal in column.refusals)

    def statements(self) -> list[Statement]:
        name = self.mapping.name
        made = [Statement(f"{name}: what was read and what it means", self._head_view(), kind="view")]
        made += [Statement(f"{one.view}: its rows", self._child_view(one), kind="view") for one in self.children]
        tables = dict.fromkeys(["run.rejects", "run.counts", *(_mapped(part) for part in self.parts)])
        for table in tables:
            clause = f"DELETE FROM {table}\nWHERE mapping = {sql.text(name)}"
            made.append(Statement(f"{name}: out of {table}", clause, kind="undo"))
        made.append(Statement(f"{name}: into {_mapped(self.head)}", self._insert_head()))
        made += [
            Statement(f"{child.view}: into {_mapped(child)}", self._insert_child(child)) for child in self.children
        ]
        made.append(Statement(f"{name}: nothing is rejected yet", self._none_rejected()))
        refused = self._refused()
        made.append(Statement(f"{name}: what is rejected", self._rejected(), refused))
        made += [Statement(f"{name}: rejected out of {table}", clause, refused) for table, clause in self._taken_out()]
        made.append(Statement(f"{name}: into run.rejects", self._insert_rejects(), refused))
        made.append(Statement(f"{name}: into run.counts", self._insert_counts()))
        return made

    @property
    def parts(self) -> list[Part]:
        return [self.head, *self.children]

    def _own_refusals(self, part: Part) -> list[Refusal]:
        """What a row can be refused for apart from its columns."""
        made, prefix = [], part.prefix
        for name, value in (("when", part.when), ("key", part.key)):
            if value is not None and value.raises:
                message = f"{prefix}{name} cannot be computed"
                made.append(Refusal(f"{prefix}{name}", "expression", f"failed_{name}", message, "NULL"))
        key = "_key" if prefix else "source_id"
        if part.key.constant is None:
            made.append(Refusal(f"{prefix}key", "required", f"{key} IS NULL", f"{prefix}key is missing", "NULL"))
        if part.items:
            condition, message = f"_ordinal > {MAX_ITEMS}", f"{prefix}each has more than {MAX_ITEMS:,} items"
            made.append(Refusal(f"{prefix}each", "too_many", condition, message, "CAST(_ordinal AS VARCHAR)"))
        return made

    def lookups(self) -> list[Lookup]:
        """What is asked at each level of each part, what is asked alike only once."""
        made: dict[Lookup, None] = {}
        for part in self.parts:
            ctes, last = self._ground(part)
            made |= dict.fromkeys(lookups_at(part.ground.level.asked, ctes, last))
            if part.level is not part.ground.level:
                ctes, last = self._items(part, ctes, last, [])
                made |= dict.fromkeys(lookups_at(part.level.asked, ctes, last))
        return list(made)

    def askers(self, tables: dict[str, Table]) -> list[Asker]:
        """For each use of another stream's records: the staged records that use them."""
        made: dict[Asker, None] = {}
        for part in self.parts:
            ctes, last = self._ground(part)
            if part.records is not None:
                made[_asker(tables[part.records.name], part.ground.key.sql, ctes, last)] = None
            if part.level is not part.ground.level and part.level.joined:
                ctes, last = self._items(part, ctes, last, [])
            for table, key in part.level.joined:
                made[_asker(tables[table], key, ctes, last)] = None
        return [one for one in made if not one.of.startswith(CANONICAL)]

    # -- views

    def _ground(self, part: Part) -> tuple[list[tuple[str, str]], str]:
        """The steps that read the record (and open the list of the whole mapping), and the name of the last."""
        level = part.ground.level
        own = ["record._segment", "record._line", "record._seq"]
        ctes = [("read", _select([*own, *_read(level.record)], f"{self.stage} AS record"))]
        if level.outer is None and self.mapping.flat and not self.mapping.tried:  # an example is one row
            key = part.ground.key.sql
            alone = f"CASE WHEN {sql.term(key)} IS NULL THEN _seq END"
            newest = f"row_number() OVER (PARTITION BY {key}, {alone} ORDER BY _seq DESC) = 1"
            ctes.append(("newest", f"SELECT *\nFROM read\nQUALIFY {newest}"))
            return ctes, "newest"
        if level.outer is None:
            return ctes, "read"
        ctes.append(("items", _select([*_LINEAGE, *_opened(level)], "read")))
        ctes.append(("read_items", _select([*_LINEAGE, "_ordinal", *_passed(level), *_read(level)], "items")))
        return ctes, "read_items"

    def _row(self, number: int, counted: bool) -> str:
        """`_row` of the part with this number (0: the entity itself), with the number of the item where it is counted."""
        tag = (self.mapping.ordinal * (MAX_CHILDREN + 1) + number) * _RECORDS * _ITEMS
        made = f"_seq * {_ITEMS} + _ordinal" if counted else "_seq"
        return f"{made} + {tag}" if tag else made

    def _head_view(self) -> str:
        part = self.head
        ctes, last = self._ground(part)
        raw = [f"{self._row(0, part.items)} AS _row", *_LINEAGE, f"{part.key.sql} AS source_id", self._version_text()]
        if part.items:
            raw.append("_ordinal")
        if self.hub is not None:
            raw.append(f"{_certain(self.hub)} AS _hub")
        source = self._joined(part.level, last)
        return _view(part, [*ctes, ("raw", _select([*raw, *_excluded(part), *_raw(part)], source))])

    def _child_view(self, part: Part) -> str:
        ctes, last = self._ground(part)
        listed = part.ground.level.outer is not None
        number = self.children.index(part) + 1
        owned = [*(f"{text} AS {name}" for name, text in self._owner(part).items()), *_LINEAGE]
        where = [] if part.ground.when is None else [part.ground.when.sql]
        own = [f"{part.key.sql} AS _key", *_raw(part)]
        if not part.items:
            row = f"{self._row(number, listed)} AS _row"
            raw = _select([row, *owned, *own], self._joined(part.level, last), [*where, *_condition(part)])
            return _view(part, [*ctes, ("raw", raw)])
        # A list within a list: both numbers do not fit.
        row = f"{'row_number() OVER ()' if listed else self._row(number, True)} AS _row"
        ctes, last = self._items(part, ctes, last, where)
        source = self._joined(part.level, last)
        passed = [*self._owner(part), *_LINEAGE, "_ordinal"]
        return _view(part, [*ctes, ("raw", _select([row, *passed, *own], source, _condition(part)))])

    def _joined(self, level: Level, last: str) -> str:
        """A source with all that is looked up for its rows."""
        source = joined(level.asked, last)
        for (table, key), alias in level.joined.items():
            mine = f" AND {alias}._example = _seq" if self.mapping.tried else ""
            source += f"\nLEFT JOIN {sql.name(table)} AS {alias} ON {alias}._by = {sql.term(key)}{mine}"
        return source

    def _owner(self, part: Part) -> dict[str, str]:
        row = self._row(0, part.ground.level.outer is not None)
        return {"_parent_row": row, "parent_source_id": part.ground.key.sql}

    def _items(
        self, part: Part, ctes: Sequence[tuple[str, str]], last: str, where: Sequence[str]
    ) -> tuple[list[tuple[str, str]], str]:
        """The steps that open the list of a child, after those of its ground, and the name of the last."""
        owner = self._owner(part)
        owned = [*(f"{text} AS {name}" for name, text in owner.items()), *_LINEAGE]
        source = self._joined(part.ground.level, last)
        if part.level.records:
            mine = " AND _items._example = _seq" if self.mapping.tried else ""
            source += (
                f"\nJOIN {sql.name(part.level.records)} AS _items ON _items._by = {sql.term(part.ground.key.sql)}{mine}"
            )
        rows = _select([*owned, *_opened(part.level)], source, where)
        passed = [*owner, *_LINEAGE, "_ordinal", *_passed(part.level), *_read(part.level)]
        return [*ctes, ("rows", rows), ("read_rows", _select(passed, "rows"))], "read_rows"

    def _version_text(self) -> str:
        """The version as text; the warehouse orders numbers and instants by what they mean."""
        version = self.version
        if version is None or version.type == "missing":
            return "CAST(NULL AS VARCHAR) AS version"
        text = _certain(version)
        if version.type == "instant":
            return f"strftime(timezone('UTC', {text}), '%Y-%m-%dT%H:%M:%S.%fZ') AS version"
        return f"{text if version.type == 'text' else f'CAST({text} AS VARCHAR)'} AS version"

    # -- what is refused

    @property
    def _rejected_name(self) -> str:
        return sql.name(f"{self.mapping.name} rejected")

    def _refused(self) -> str:
        """The `_seq` of the records of which something is refused, by what was inserted."""
        mine = f"mapping = {sql.text(self.mapping.name)}"
        tables = dict.fromkeys(_mapped(part) for part in self.parts)
        selects = [f"SELECT _seq FROM {table} WHERE _row < 0 AND {mine}" for table in tables]
        selects += [
            f"SELECT any_value(_seq) FROM mapped.{sql.name(entity)} WHERE {mine} AND source_id IS NOT NULL\n"
            "GROUP BY _parent_row, source_id HAVING count(*) > 1"
            for entity in self._may_repeat()
        ]
        return "\nUNION\n".join(selects)

    def _none_rejected(self) -> str:
        reason = "STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]"
        columns = f"_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons {reason}"
        return f"CREATE OR REPLACE TEMP TABLE {self._rejected_name} ({columns})"

    def _rejected(self) -> str:
        selects = [_reasons(self.head, "_row", "source_id", "_bad AND NOT _excluded")]
        selects += [
            _reasons(
                child, "_parent_row AS _row", "parent_source_id AS source_id", " AND ".join(["_bad", *self._owned()])
            )
            for child in self.children
        ]
        selects += [self._shared_keys(entity) for entity in self._may_repeat()]
        return f"INSERT INTO {self._rejected_name}\n" + "\nUNION ALL\n".join(selects)

    def _taken_out(self) -> list[tuple[str, str]]:
        """The statements that delete rejected records, with their children, by table."""
        rejected = f"(SELECT _row FROM {self._rejected_name})"
        head = _mapped(self.head)
        made = {_mapped(child): f"_parent_row IN {rejected}" for child in self.children}
        made[head] = f"(_row < 0 OR _row IN {rejected})"
        return [
            (table, f"DELETE FROM {table}\nWHERE {rows} AND mapping = {sql.text(self.mapping.name)}")
            for table, rows in made.items()
        ]

    def _may_repeat(self) -> list[str]:
        """The child entities whose keys can repeat in a record: all but those with one row, or whose items are counted."""
        found: dict[str, list[Part]] = {}
        for child in self.children:
            found.setdefault(child.entity.name, []).append(child)
        return [name for name, parts in found.items() if not _told_apart(parts)]

    def _shared_keys(self, entity: str) -> str:
        views = [child.view for child in self.children if child.entity.name == entity]
        columns = "_parent_row, parent_source_id, _segment, _line, _key"
        union = "\nUNION ALL\n".join(f"SELECT {columns} FROM {sql.name(view)}" for view in views)
        refusal = Refusal(f"{entity}.key", "duplicate", "", f"two {entity} of the record have the same key", "_key")
        return (
            "SELECT _parent_row AS _row, any_value(parent_source_id) AS source_id, any_value(_segment) AS _segment, "
            f"any_value(_line) AS _line, [{_struct(refusal)}] AS reasons\nFROM (\n{sql.indent(union)}\n)\n"
            f"WHERE {' AND '.join(['_key IS NOT NULL', *self._owned()])}\nGROUP BY _parent_row, _key\nHAVING count(*) > 1"
        )

    # -- inserts

    def _own(self) -> list[str]:
        return [f"{sql.text(self.mapping.system)} AS system", f"{sql.text(self.mapping.name)} AS mapping"]

    def _insert_head(self) -> str:
        select = [_marked("_row"), *self._own(), "source_id", "version", "_segment", "_line", "_seq"]
        select += ["_hub"] if self.hub is not None else []
        return self._insert(self.head, select, ["NOT _excluded"] if self.head.when is not None else [])

    def _insert_child(self, part: Part) -> str:
        source_id = "parent_source_id || '/' || _key AS source_id"
        row = "_row"
        if self.head.items and part.items:
            row = f"(SELECT coalesce(max(_row), 0) FROM {_mapped(part)}) + _row"
        select = [_marked(row), "_parent_row", *self._own(), source_id]
        select += ["parent_source_id", "_segment", "_line", "_seq"]
        return self._insert(part, select, self._owned())

    def _owned(self) -> list[str]:
        """Children of a record that says more than that it is gone."""
        if not self.head.bare:
            return []
        mine = f"mapping = {sql.text(self.mapping.name)} AND {self.head.bare}"
        return [f"_parent_row NOT IN (SELECT _row FROM {_mapped(self.head)} WHERE {mine})"]

    def _insert(self, part: Part, select: Sequence[str], where: Sequence[str] = ()) -> str:
        names = [sql.name(column.column) for column in part.columns]
        return f"INSERT INTO {_mapped(part)} BY NAME\n" + _select([*select, *names], sql.name(part.view), where)

    def _insert_rejects(self) -> str:
        select = [*self._about(), "source_id", "_segment AS segment", "_line AS line"]
        select += [f"reason.{part}" for part in ("code", "field", "rule", "message", "raw")]
        inner = f"SELECT source_id, _segment, _line, unnest(reasons) AS reason\nFROM {self._rejected_name}"
        return "INSERT INTO run.rejects BY NAME\n" + _select(
            select, f"(\n{sql.indent(inner)}\n)", ["reason IS NOT NULL"]
        )

    def _about(self) -> list[str]:
        mapping = self.mapping
        named = {"stream": mapping.stream, "mapping": mapping.name, "entity": mapping.entity}
        return [f"{sql.text(value)} AS {key}" for key, value in named.items()]

    def _insert_counts(self) -> str:
        """Each state is counted by itself, so that the sum of them can be wrong. With `each` the items are counted."""
        view = sql.name(self.head.view)
        staged = f"SELECT count(*) FROM {self.stage}"
        if self.head.items:
            opened = next(text for name, text in self.head.level.record.columns.items() if name.endswith("[]"))
            staged = f"SELECT coalesce(sum(len({opened})), 0) FROM {self.stage} AS record"
        elif self.mapping.flat:
            ctes, last = self._ground(self.head)
            body = ", ".join(f"{name} AS ({text})" for name, text in ctes)
            staged = f"WITH {body} SELECT count(*) FROM {last}"
        states = {
            "staged": staged,
            "rejected": f"SELECT count(DISTINCT _row) FROM {self._rejected_name}",
            "excluded": "SELECT 0" if self.head.when is None else f"SELECT count(*) FROM {view} WHERE _excluded",
            "mapped": f"SELECT count(*) FROM {_mapped(self.head)} WHERE mapping = {sql.text(self.mapping.name)}",
        }
        rows = ",\n".join(f"({sql.text(state)}, ({count}))" for state, count in states.items())
        source = f"(VALUES\n{sql.indent(rows)}\n) AS counted (state, n)"
        return "INSERT INTO run.counts BY NAME\n" + _select([*self._about(), "state", "n"], source)


def _select(items: Sequence[str], source: str, where: Sequence[str] = ()) -> str:
    conditions = [f"({one})" for one in where] if len(where) > 1 else list(where)
    tail = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    listed = ",\n".join(items)
    return f"SELECT\n{sql.indent(listed)}\nFROM {source}{tail}"


def _view(part: Part, ctes: Sequence[tuple[str, str]]) -> str:
    typed = ["*", *(f"{column.value} AS {sql.name(column.column)}" for column in part.columns)]
    ctes = [*ctes, ("typed", _select(typed, "raw"))]
    body = ",\n".join(f"{name} AS (\n{sql.indent(text)}\n)" for name, text in ctes)
    bad = "\n  OR ".join(f"({refusal.condition})" for refusal in part.refusals) or "false"
    made = f"SELECT\n  *,\n  (\n  {sql.indent(bad)}\n  ) AS _bad\nFROM typed"
    return f"CREATE OR REPLACE TEMP VIEW {sql.name(part.view)} AS\nWITH {body}\n{made}"


def _marked(row: str) -> str:
    """The row's number, below zero where the row is refused."""
    return f"CASE WHEN _bad THEN -1 - ({row}) ELSE {row} END AS _row"


def _read(level: Level) -> list[str]:
    return [f"{text} AS {sql.name(name)}" for name, text in level.columns.items()]


def _opened(level: Level) -> list[str]:
    """The items of the list that a level goes through, their numbers, and what they need of the level around them."""
    carried = [f"{text} AS {sql.name(name)}" for name, text in level.carried.items()]
    if level.records:
        return ["_items.item", "_items._ordinal", *carried]
    return [f"unnest({level.opened}) AS item", f"generate_subscripts({level.opened}, 1) AS _ordinal", *carried]


def _passed(level: Level) -> list[str]:
    return [sql.name(name) for name in level.carried]


def _raw(part: Part) -> list[str]:
    made = [f"{column.raw} AS {sql.name('raw_' + column.column)}" for column in part.columns]
    made += [f"{c.inputs} AS {sql.name('in_' + c.column)}" for c in part.columns if c.inputs is not None]
    made += [f"{c.failed} AS {sql.name('failed_' + c.column)}" for c in part.columns if c.failed is not None]
    made += [f"{text} AS {sql.name(name)}" for c in part.columns for name, text in c.more]
    named = (("when", part.when), ("key", part.key))
    return made + [f"{value.failed} AS failed_{name}" for name, value in named if value is not None and value.failed]


def _excluded(part: Part) -> list[str]:
    if part.when is None:
        return ["false AS _excluded"]
    certain = f" AND NOT {sql.term(part.when.failed)}" if part.when.failed else ""
    return [f"{sql.term(part.when.sql)} IS NOT TRUE{certain} AS _excluded"]


def _condition(part: Part) -> list[str]:
    """Which rows of a child there are. A condition that cannot be computed keeps the row, and it is refused for it."""
    if part.when is None:
        return []
    return [f"{sql.term(part.when.sql)} OR {sql.term(part.when.failed)}" if part.when.failed else part.when.sql]


def _certain(value: Value) -> str:
    """The value, NULL where it cannot be computed."""
    return f"CASE WHEN NOT {sql.term(value.failed)} THEN {value.sql} END" if value.failed else value.sql


def _mapped(part: Part) -> str:
    return f"mapped.{sql.name(part.entity.name)}"


def _told_apart(parts: Sequence[Part]) -> bool:
    """Can no two rows of these parts in one record have the same key? Where each has another constant before its number."""
    if len(parts) > 1:
        constants = [part.key.constant for part in parts]
        return None not in constants and len(set(constants)) == len(parts) and not any(part.items for part in parts)
    return not parts[0].items or parts[0].key.sql in ("_ordinal", "CAST(_ordinal AS VARCHAR)")


def _asker(table: Table, key: str, ctes: Sequence[tuple[str, str]], last: str) -> Asker:
    body = ",\n".join(f"{name} AS (\n{sql.indent(text)}\n)" for name, text in ctes)
    return Asker(table.of, f"WITH {body}\nSELECT DISTINCT _seq FROM {last} WHERE {sql.term(key)} IN ({table.keys})")


def _reasons(part: Part, row: str, source_id: str, where: str) -> str:
    """The rows of a part that are refused, each with the first reason for each of its fields (NULL where there is none)."""
    fields: dict[str, list[Refusal]] = {}
    for refusal in part.refusals:
        fields.setdefault(refusal.field, []).append(refusal)
    cases = []
    for refusals in fields.values():
        branches = "\n".join(f"WHEN {refusal.condition}\n  THEN {_struct(refusal)}" for refusal in refusals)
        cases.append(f"CASE\n{sql.indent(branches)}\nEND")
    listed = ",\n".join(cases) if cases else _struct(Refusal("", "required", "", "", "NULL"))
    reasons = f"[\n{sql.indent(listed)}\n] AS reasons"
    return _select([row, source_id, "_segment", "_line", reasons], sql.name(part.view), [where])


def _struct(refusal: Refusal) -> str:
    raw = "CAST(NULL AS VARCHAR)" if refusal.raw == "NULL" else refusal.raw
    parts = {"code": RULES[refusal.rule], "field": refusal.field, "rule": refusal.rule, "message": refusal.message}
    listed = ", ".join(f"'{key}': {sql.text(value)}" for key, value in parts.items())
    return f"{{{listed}, 'raw': {raw}}}"
