"""Writes the SQL of a checked inbound mapping, for a person to read.

For a mapping `cart/orders` of the stream `orders` the statements are, in order:

    view       "cart/orders"               each staged record: what was read (raw_x), what it means (x), `_excluded`, `_bad`
    view       "cart/orders order_line"    the same for each row of a child
    delete     what the mapping wrote before, so that a repeated task changes nothing
    insert     mapped.<entity>, mapped.<child>: what is refused, too, as a row below zero
    table      "cart/orders rejected"      the records that are refused, for themselves or for a child, with the reasons
    delete     these out of mapped.<entity> and mapped.<child>
    insert     run.rejects, run.counts

Views (`views.py`) and the table are temporary. Everything is read once and cast once. Only where a row was refused is it
read again, for the reasons (`Statement.needed`), and the record taken out with its children.

`_row` is `_seq` and the number of the item in its list, with the mapping's ordinal in front: unique among the rows of
all mappings of an entity, and in the order in which the records came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mappings import sql
from mappings.columns import RULES, Refusal
from mappings.expressions import Value
from mappings.joins import Asker, Joins, Table
from mappings.once import Lookup
from mappings.syntax import Mapping
from mappings.views import Part, Statement, Views


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
    views = Views(mapping, head, children, version, hub)
    tables = [*joins.tables.values(), *(part.records.table() for part in children if part.records)]
    made = [Statement(f"{one.name}: records of {one.of}", _table(one)) for one in tables]
    askers = views.askers({one.name: one for one in tables})
    return Written(tuple(_Writer(views).statements()), tuple(views.lookups()), tuple(made), tuple(askers))


def _table(one: Table) -> str:
    return f"CREATE OR REPLACE TEMP TABLE {sql.name(one.name)} AS\n{one.body}"


class _Writer:
    def __init__(self, views: Views) -> None:
        self.views, self.mapping, self.head, self.children = views, views.mapping, views.head, views.children

    def statements(self) -> list[Statement]:
        name = self.mapping.name
        made = self.views.statements()
        tables = dict.fromkeys(["run.rejects", "run.counts", *(_mapped(part) for part in self.views.parts)])
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

    # -- views

    # -- what is refused

    @property
    def _rejected_name(self) -> str:
        return sql.name(f"{self.mapping.name} rejected")

    def _refused(self) -> str:
        """The `_seq` of the records of which something is refused, by what was inserted."""
        mine = f"mapping = {sql.text(self.mapping.name)}"
        tables = dict.fromkeys(_mapped(part) for part in self.views.parts)
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
        select += ["_hub"] if self.views.hub is not None else []
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
        return f"INSERT INTO {_mapped(part)} BY NAME\n" + sql.select([*select, *names], sql.name(part.view), where)

    def _insert_rejects(self) -> str:
        select = [*self._about(), "source_id", "_segment AS segment", "_line AS line"]
        select += [f"reason.{part}" for part in ("code", "field", "rule", "message", "raw")]
        inner = f"SELECT source_id, _segment, _line, unnest(reasons) AS reason\nFROM {self._rejected_name}"
        return "INSERT INTO run.rejects BY NAME\n" + sql.select(
            select, f"(\n{sql.indent(inner)}\n)", ["reason IS NOT NULL"]
        )

    def _about(self) -> list[str]:
        mapping = self.mapping
        named = {"stream": mapping.stream, "mapping": mapping.name, "entity": mapping.entity}
        return [f"{sql.text(value)} AS {key}" for key, value in named.items()]

    def _insert_counts(self) -> str:
        """Each state is counted by itself, so that the sum of them can be wrong. With `each` the items are counted."""
        view = sql.name(self.head.view)
        staged = f"SELECT count(*) FROM {self.views.stage}"
        if self.head.items:
            opened = next(text for name, text in self.head.level.record.columns.items() if name.endswith("[]"))
            staged = f"SELECT coalesce(sum(len({opened})), 0) FROM {self.views.stage} AS record"
        elif self.mapping.flat:
            ctes, last = self.views.ground(self.head)
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
        return "INSERT INTO run.counts BY NAME\n" + sql.select([*self._about(), "state", "n"], source)


def _marked(row: str) -> str:
    """The row's number, below zero where the row is refused."""
    return f"CASE WHEN _bad THEN -1 - ({row}) ELSE {row} END AS _row"


def _mapped(part: Part) -> str:
    return f"mapped.{sql.name(part.entity.name)}"


def _told_apart(parts: Sequence[Part]) -> bool:
    """Can no two rows of these parts in one record have the same key? Where each has another constant before its number."""
    if len(parts) > 1:
        constants = [part.key.constant for part in parts]
        return None not in constants and len(set(constants)) == len(parts) and not any(part.items for part in parts)
    return not parts[0].items or parts[0].key.sql in ("_ordinal", "CAST(_ordinal AS VARCHAR)")


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
    return sql.select([row, source_id, "_segment", "_line", reasons], sql.name(part.view), [where])


def _struct(refusal: Refusal) -> str:
    raw = "CAST(NULL AS VARCHAR)" if refusal.raw == "NULL" else refusal.raw
    parts = {"code": RULES[refusal.rule], "field": refusal.field, "rule": refusal.rule, "message": refusal.message}
    listed = ", ".join(f"'{key}': {sql.text(value)}" for key, value in parts.items())
    return f"{{{listed}, 'raw': {raw}}}"
