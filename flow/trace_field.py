"""`crossdock trace --field total`: one cell, from the source path through the mapping and survivorship to the target's answer."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.preview import Bench
from flow.samples import Line, Source
from flow.trace_push import Sent
from flow.trace_read import Pull, Record, Row, Stores, pulls_of
from flow.trace_won import rule_of_rows, winners_of_rows, won
from hub.entity import DELETED, Column, Entity
from hub.errors import CrossdockError
from hub.secrets import MASK
from warehouse.columns import same_header_sql, stored_ref
from warehouse.survivorship import priorities, won_by_row

if TYPE_CHECKING:
    from flow.preview_field import Explained

_UNREAD = "{} does not read it"


def cell(stores: Stores, record: Record, sent: Sent, field: str) -> dict[str, Any]:
    """`{"field", "value", "sources", "rule", "lost", "history", "sent"}` of a column of the entity, or of a child's (`order_line.sku`).

    A source is what one system's newest pull says: the steps of its mapping with what each gave, and whether it won. Of a
    child it is what one row of it says; `value` and each of `lost` are then lists, a value for each row.
    """
    child, _, column = field.rpartition(".")
    if child:
        return _cell_of_rows(stores.of(stores.model[child]), record, sent, column)
    name = stores.entity.name
    held = stores.rows(f"SELECT * FROM canonical.{name} WHERE hub_id = $hub", {"hub": record.hub_id})
    found = won(stores, held[0] if held else {}, record.views, field)
    winner = found.winner.who if found.winner else None
    order = priorities(stores.project.survivorship, stores.entity).get(field, ())
    newest = [pull for pull in record.pulls if pull.row is not None]
    newest.sort(key=lambda one: order.index(one.system) if one.system in order else len(order))
    asked = _Asked(stores, field, field)
    return {
        "field": field,
        "value": stores.value(field, found.value),
        "sources": [asked.source(pull, f"{pull.system} {pull.source_id}" == winner) for pull in newest],
        "rule": found.rule,
        "lost": {one.who: stores.value(field, one.value) for one in found.lost},
        "history": _history(stores, record, field),
        "sent": list(sent.of_column(stores.entity, field)),
    }


def _cell_of_rows(stores: Stores, record: Record, sent: Sent, column: str) -> dict[str, Any]:
    """A column of the record's rows of a child entity; whose word each row has says `warehouse/survivorship.py`."""
    name, parameters = stores.entity.name, {"hub": record.hub_id}
    order = "line_number, hub_id" if "line_number" in stores.entity else "hub_id"
    held = stores.rows(f"SELECT * FROM canonical.{name} WHERE parent = $hub ORDER BY {order}", parameters)
    said = stores.rows(said_sql(stores.entity, order), parameters)
    survivorship = stores.project.survivorship
    winners = {row["hub_id"] for row in winners_of_rows(stores, held, said, column).values()}
    pulls = pulls_of(stores, (), sorted(said, key=lambda row: row["hub_id"] not in winners))
    asked = _Asked(stores, f"{name}.{column}", column)
    lost: dict[str, list[Any]] = {}
    silent = column in won_by_row(survivorship, stores.entity)  # there a row that says nothing lost nothing
    for row in said:
        if row["hub_id"] not in winners and not (silent and row[column] is None):
            lost.setdefault(f"{row['system']} {row['parent_source_id']}", []).append(stores.value(column, row[column]))
    labels = {row["hub_id"]: row["source_id"] for row in said}
    return {
        "field": f"{name}.{column}",
        "value": [stores.value(column, row[column]) for row in held],
        "sources": [asked.source(pull, bool(pull.row and pull.row["hub_id"] in winners)) for pull in pulls],
        "rule": rule_of_rows(survivorship, stores.entity, column, {row["system"] for row in said}),
        "lost": lost,
        "history": _history(stores, record, column, labels),
        "sent": list(sent.of_column(stores.entity, column)),
    }


def said_sql(child: Entity, order: str) -> str:
    """The systems' rows under `$hub`. One that stands where its header stands came with the header's newest version."""
    lineage = ", ".join(
        f"CASE WHEN s.segment IS NULL THEN h.{name} ELSE s.{name} END AS {name}"
        for name in ("mapping", "segment", "line", "run_id", "seen_at")
    )
    placed = "s.* EXCLUDE (mapping, segment, line, run_id, seen_at)"
    return f"""
        SELECT * FROM (
            SELECT {placed}, {lineage} FROM source.{child.name} s JOIN source.{child.parent} h
              ON h.source_key = s.parent_key AND {same_header_sql("h", "s")}
            WHERE s.parent_hub_id = $hub
        ) ORDER BY system, {order}"""


class _Asked:
    """The field that is explained, by the mappings as they are now. Of a record that holds many rows it is mapped once."""

    def __init__(self, stores: Stores, name: str, column: str) -> None:
        self.stores, self.name, self.column = stores, name, column
        self._made: dict[tuple[str, str], list[Explained] | str] = {}

    def source(self, pull: Pull, holds: bool) -> dict[str, Any]:
        """What one system's row says, and how it came to that."""
        told: dict[str, Any] = {
            "system": pull.system,
            "source_id": pull.source_id,
            "mapping": pull.mapping,
            "mapping_version": pull.version,
            "place": pull.place,
            "pulled_at": pull.at.isoformat(),
            "value": self.stores.value(self.column, (pull.row or {}).get(self.column)),
            "won": holds,
            "at": None,
            "steps": [],
        }
        if pull.record is None:
            return told | {"why": "the lake no longer keeps the record"}
        place = (pull.mapping, pull.place)
        if place not in self._made:
            self._made[place] = self._explain(pull)
        made = self._made[place]
        if self._is_bare(pull, made) and told["value"] is not None:
            return told | {"why": "the record says only that it is gone; this is what was known of it before"}
        return told | ({"why": made} if isinstance(made, str) else self._steps(pull, made))

    def _is_bare(self, pull: Pull, made: list[Explained] | str) -> bool:
        """Does the mapping make nothing of the field, because the record is a delete and says nothing more?"""
        if self.column == DELETED.name or not (pull.row and pull.row.get(DELETED.name)):
            return False
        if isinstance(made, str):  # a list of deletes reads nothing else
            return made == _UNREAD.format(pull.mapping)
        return not any(row.key == self._key(pull) and row.result is not None for row in made)

    def _explain(self, pull: Pull) -> list[Explained] | str:
        """The steps of each row that the mapping makes of the record, or why there are none."""
        from flow.preview_field import of_part
        from mappings import steps

        try:
            with _bench(self.stores, pull.mapping) as bench:
                parts = steps.compile(bench.mapping, bench.model, self.name, bench.stream)
                if not parts:
                    return _UNREAD.format(pull.mapping)
                line = Line(pull.segment, pull.line, pull.record or b"")
                with bench.tried(_source_of(self.stores, bench), [line], judged=False) as con:
                    return [row for part in parts for row in of_part(con, part, [line])]
        except CrossdockError as error:
            return f"the mapping as it is now does not explain it: {error.what}"

    def _steps(self, pull: Pull, rows: Sequence[Explained]) -> dict[str, Any]:
        mine = [row for row in rows if row.key == self._key(pull)]
        if not mine:
            return {"why": f"{pull.mapping}, as it is now, makes no such row of the record"}
        made = [dataclasses.asdict(step) for step in mine[0].steps]
        for step in made if self.column in self.stores.masked else ():
            step["value"] = step["value"] and MASK
            step["what"] = step["what"] if step["kind"] in ("path", "computed", "cast") else MASK
        return {"at": mine[0].at, "steps": made}

    def _key(self, pull: Pull) -> str:
        """What the mapping calls the row: of a child its key within the record."""
        above = pull.row.get("parent_source_id") if pull.row else None
        return pull.source_id.removeprefix(f"{above}/") if above is not None else pull.source_id


@contextmanager
def _bench(stores: Stores, mapping: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="crossdock-trace-") as folder:
        yield Bench(stores.project, mapping, Path(folder), stores.mappings(mapping.partition("/")[0]))


def _source_of(stores: Stores, bench: Bench) -> Source:
    """The lake; which segments there are matters only to a mapping that looks other records up."""
    return bench.source(None, "") if bench.made.known else Source(stores.project.lake, (), "the lake", True)


def _history(stores: Stores, record: Record, column: str, rows: Mapping[int, str] | None = None) -> list[Row]:
    """Since when the cell held which value, oldest first; versions in which it stayed are left out.

    `rows`: of a child, what its rows are called by hub id; each has a history of its own, under `row`.
    """
    name, whose = stores.entity.name, "hub_id" if rows is None else "parent"
    found = stores.rows(
        f"""SELECT hub_id, "{column}" AS value, valid_from, run_id FROM history.{name} WHERE {whose} = $hub
            UNION ALL SELECT hub_id, "{column}", valid_from, run_id FROM canonical.{name} WHERE {whose} = $hub
            ORDER BY hub_id, valid_from""",
        {"hub": record.hub_id},
    )
    kept = [
        row
        for before, row in zip([None, *found], found, strict=False)
        if not before or before["hub_id"] != row["hub_id"] or row["value"] != before["value"]
    ]
    return [
        {"value": stores.value(column, row["value"]), "since": row["valid_from"].isoformat(), "run_id": row["run_id"]}
        | ({"row": rows.get(row["hub_id"], f"#{row['hub_id']}")} if rows is not None else {})
        for row in kept
    ]


def map_again(stores: Stores, pulls: Sequence[Pull]) -> None:
    """Fill `values` of pulls whose record the lake keeps, by their mappings as they are now; what fails stays unknown."""
    for mapping in dict.fromkeys(pull.mapping for pull in pulls):
        mine = [pull for pull in pulls if pull.mapping == mapping]
        try:
            _map(stores, mapping, mine)
        except CrossdockError:
            continue
    known: dict[tuple[str, str], Row] = {}
    for pull in pulls:
        if pull.values and pull.values.pop("_bare", False):  # it says only that the record is gone
            pull.values = {**known.get((pull.system, pull.source_id), {}), **pull.values}
        known[pull.system, pull.source_id] = pull.values or {}
    for column in stores.entity.refs:
        _refer(stores, column, [pull.values for pull in pulls if pull.values])


def _refer(stores: Stores, column: Column, rows: Sequence[Row]) -> None:
    """Put the hub's ids of what rows refer to into `column`, as the warehouse knows them by the systems' own."""
    at = stored_ref(column)
    found = stores.rows(
        "SELECT system, source_id, hub_id FROM ops.bindings WHERE entity = $entity AND source_id IN (SELECT unnest($ids))",
        {"entity": column.ref, "ids": [row[at] for row in rows if row.get(at) is not None]},
    )
    hubs = {(one["system"], one["source_id"]): one["hub_id"] for one in found}
    for row in rows:
        row[column.name] = hubs.get((row["system"], row.get(at)))


def _map(stores: Stores, mapping: str, pulls: Sequence[Pull]) -> None:
    # What came twice, byte for byte, is mapped once: staging takes it for a duplicate.
    same: dict[bytes, list[Pull]] = {}
    for pull in pulls:
        same.setdefault(pull.record or b"", []).append(pull)
    lines = [Line(some[0].segment, some[0].line, record) for record, some in same.items()]
    of_line = list(same.values())
    listed = ", ".join(f'"{stored_ref(c) if c.ref else c.name}"' for c in stores.entity)
    with _bench(stores, mapping) as bench, bench.tried(_source_of(stores, bench), lines, judged=False) as con:
        bare = f"({bench.made.bare or 'false'}) AS _bare"
        cursor = con.execute(f"SELECT _line, source_id, {listed}, {bare} FROM mapped.{stores.entity.name}")
        names = [column[0] for column in cursor.description or ()]
        for row in (dict(zip(names, values, strict=True)) for values in cursor.fetchall()):
            for pull in of_line[row.pop("_line") - 1]:
                if row["source_id"] == pull.source_id:
                    gone = row[DELETED.name] or pull.deleted_at
                    said = {"source_id": row["source_id"], "_bare": True} if row["_bare"] else row
                    pull.values = {**said, DELETED.name: gone, "system": pull.system}
