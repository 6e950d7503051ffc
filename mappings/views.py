"""The views of a checked inbound mapping: one for each of its parts, that reads a staged record or its items, and says what it means.

What Python looks up (`once.py`) and other records (`joins.py`) are joined by name where a view reads the record or the item. Of a flat
export only the newest record of each key is a row; the others are read as its children.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hub.entity import Entity
from mappings import sql
from mappings.asked import joined, lookups_at
from mappings.columns import Compiled, Refusal
from mappings.expressions import Value
from mappings.joins import CANONICAL, Asker, Children, Table
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
    `lists` are the lists that have to be there: the name of a column that says whether one is missing, and its SQL.
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
    lists: dict[str, str] = field(default_factory=dict)

    @property
    def items(self) -> bool:
        """Is it about the items of a list of its own?"""
        return self.level is not self.ground.level if self.prefix else self.level.outer is not None


class Views:
    """What the statements of a mapping read: the entity's own view, then one for each child."""

    def __init__(
        self,
        mapping: Mapping,
        head: Part,
        children: Sequence[Part],
        version: Value | None = None,
        hub: Value | None = None,
    ) -> None:
        self.mapping, self.head, self.children, self.version, self.hub = mapping, head, list(children), version, hub
        self.stage = f"stage.{sql.name(mapping.stream)}"
        for part in self.parts:
            part.refusals[:0] = self._own_refusals(part)
            part.refusals.extend(refusal for column in part.columns for refusal in column.refusals)

    @property
    def parts(self) -> list[Part]:
        return [self.head, *self.children]

    def statements(self) -> list[Statement]:
        name = self.mapping.name
        made = [Statement(f"{name}: what was read and what it means", self._head_view(), kind="view")]
        made += [Statement(f"{one.view}: its rows", self._child_view(one), kind="view") for one in self.children]
        return made

    def lookups(self) -> list[Lookup]:
        """What is asked at each level of each part, what is asked alike only once."""
        made: dict[Lookup, None] = {}
        for part in self.parts:
            ctes, last = self.ground(part)
            made |= dict.fromkeys(lookups_at(part.ground.level.asked, ctes, last))
            if part.level is not part.ground.level:
                ctes, last = self._items(part, ctes, last, [])
                made |= dict.fromkeys(lookups_at(part.level.asked, ctes, last))
        return list(made)

    def askers(self, tables: dict[str, Table]) -> list[Asker]:
        """For each use of another stream's records: the staged records that use them."""
        made: dict[Asker, None] = {}
        for part in self.parts:
            ctes, last = self.ground(part)
            if part.records is not None:
                made[_asker(tables[part.records.name], part.ground.key.sql, ctes, last)] = None
            if part.level is not part.ground.level and part.level.joined:
                ctes, last = self._items(part, ctes, last, [])
            for table, key in part.level.joined:
                made[_asker(tables[table], key, ctes, last)] = None
        return [one for one in made if not one.of.startswith(CANONICAL)]

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

    def ground(self, part: Part) -> tuple[list[tuple[str, str]], str]:
        """The steps that read the record (and open the list of the whole mapping), and the name of the last."""
        level = part.ground.level
        own = ["record._segment", "record._line", "record._seq"]
        ctes = [("read", sql.select([*own, *_read(level.record)], f"{self.stage} AS record"))]
        if level.outer is None and self.mapping.flat and not self.mapping.tried:  # an example is one row
            key = part.ground.key.sql
            alone = f"CASE WHEN {sql.term(key)} IS NULL THEN _seq END"
            newest = f"row_number() OVER (PARTITION BY {key}, {alone} ORDER BY _seq DESC) = 1"
            ctes.append(("newest", f"SELECT *\nFROM read\nQUALIFY {newest}"))
            return ctes, "newest"
        if level.outer is None:
            return ctes, "read"
        ctes.append(("items", sql.select([*_LINEAGE, *_opened(level)], "read")))
        ctes.append(("read_items", sql.select([*_LINEAGE, "_ordinal", *_passed(level), *_read(level)], "items")))
        return ctes, "read_items"

    def _row(self, number: int, counted: bool) -> str:
        """`_row` of the part with this number (0: the entity itself), with the number of the item where it is counted."""
        tag = (self.mapping.ordinal * (MAX_CHILDREN + 1) + number) * _RECORDS * _ITEMS
        made = f"_seq * {_ITEMS} + _ordinal" if counted else "_seq"
        return f"{made} + {tag}" if tag else made

    def _head_view(self) -> str:
        part = self.head
        ctes, last = self.ground(part)
        raw = [f"{self._row(0, part.items)} AS _row", *_LINEAGE, f"{part.key.sql} AS source_id", self._version_text()]
        if part.items:
            raw.append("_ordinal")
        if self.hub is not None:
            raw.append(f"{_certain(self.hub)} AS _hub")
        raw += [f"{text} AS {sql.name(name)}" for name, text in part.lists.items()]
        source = self._joined(part.level, last)
        return _view(part, [*ctes, ("raw", sql.select([*raw, *_excluded(part), *_raw(part)], source))])

    def _child_view(self, part: Part) -> str:
        ctes, last = self.ground(part)
        listed = part.ground.level.outer is not None
        number = self.children.index(part) + 1
        owned = [*(f"{text} AS {name}" for name, text in self._owner(part).items()), *_LINEAGE]
        where = [] if part.ground.when is None else [part.ground.when.sql]
        own = [f"{part.key.sql} AS _key", *_raw(part)]
        if not part.items:
            row = f"{self._row(number, listed)} AS _row"
            raw = sql.select([row, *owned, *own], self._joined(part.level, last), [*where, *_condition(part)])
            return _view(part, [*ctes, ("raw", raw)])
        # A list within a list: both numbers do not fit.
        row = f"{'row_number() OVER ()' if listed else self._row(number, True)} AS _row"
        ctes, last = self._items(part, ctes, last, where)
        source = self._joined(part.level, last)
        passed = [*self._owner(part), *_LINEAGE, "_ordinal"]
        return _view(part, [*ctes, ("raw", sql.select([row, *passed, *own], source, _condition(part)))])

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
        rows = sql.select([*owned, *_opened(part.level)], source, where)
        passed = [*owner, *_LINEAGE, "_ordinal", *_passed(part.level), *_read(part.level)]
        return [*ctes, ("rows", rows), ("read_rows", sql.select(passed, "rows"))], "read_rows"

    def _version_text(self) -> str:
        """The version as text; the warehouse orders numbers and instants by what they mean."""
        version = self.version
        if version is None or version.type == "missing":
            return "CAST(NULL AS VARCHAR) AS version"
        text = _certain(version)
        if version.type == "instant":
            return f"strftime(timezone('UTC', {text}), '%Y-%m-%dT%H:%M:%S.%fZ') AS version"
        return f"{text if version.type == 'text' else f'CAST({text} AS VARCHAR)'} AS version"


def _view(part: Part, ctes: Sequence[tuple[str, str]]) -> str:
    typed = ["*", *(f"{column.value} AS {sql.name(column.column)}" for column in part.columns)]
    ctes = [*ctes, ("typed", sql.select(typed, "raw"))]
    body = ",\n".join(f"{name} AS (\n{sql.indent(text)}\n)" for name, text in ctes)
    bad = "\n  OR ".join(f"({refusal.condition})" for refusal in part.refusals) or "false"
    made = f"SELECT\n  *,\n  (\n  {sql.indent(bad)}\n  ) AS _bad\nFROM typed"
    return f"CREATE OR REPLACE TEMP VIEW {sql.name(part.view)} AS\nWITH {body}\n{made}"


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


def _asker(table: Table, key: str, ctes: Sequence[tuple[str, str]], last: str) -> Asker:
    body = ",\n".join(f"{name} AS (\n{sql.indent(text)}\n)" for name, text in ctes)
    return Asker(table.of, f"WITH {body}\nSELECT DISTINCT _seq FROM {last} WHERE {sql.term(key)} IN ({table.keys})")
