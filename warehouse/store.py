"""Writes the source layer: each system's view, by DELETE and INSERT of what changed.

In-place updates of wide rows cost many times more in a column store. A row's children are replaced with it where they may be
other ones, all of them, and keep their hub ids; the same ones stay, and so does what says which run brought them. When a
complete row is replaced by a version that waits, the complete one moves to `previous`, which speaks for the system until the
new one is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hub.entity import Entity
from warehouse import columns as c
from warehouse.duck import literal, quote
from warehouse.hubs import allocate
from warehouse.refs import joins_sql, resolved_sql
from warehouse.work import Work, previous, source


class Final(NamedTuple):
    """What there is in _decided: rows, those that replace one, those whose row had a hub, those that go to `previous` and those whose
    `previous` goes, those that are complete, those of them that made their hub, and that have other children than before; and those
    whose children's rows stay as they are.
    """

    rows: int
    replaced: int
    bound: int
    moved: int
    settled: int
    complete: int
    fresh: int
    other_children: int
    kept: int


def counted(work: Work) -> Final:
    return Final(*work.rows("rows to write", FINAL_COUNTS)[0])


def write(work: Work, entity: Entity, rows: dict[str, str], there: Mapping[str, int], final: Final) -> None:
    """Write the rows of _decided and their children, and note whose canonical row is to be computed again.

    `there` names the children of which there are any, now or before.
    """
    if not final.rows:
        return
    if final.moved:
        _to_previous(work, entity)
    if final.settled:
        _from_previous(work, entity)
    for child in (one for one in work.children(entity) if one.name in there and final.kept < final.rows):
        _write_children(
            work, child, rows[child.name], replaced=final.replaced > final.kept, known=final.bound == final.replaced
        )
    if final.replaced:
        work.do(f"earlier pulls of {entity.name}", earlier_sql(entity))
        gone = "SELECT old_row FROM _decided WHERE old_row IS NOT NULL"
        work.do(f"replace {entity.name}", f"DELETE FROM {source(entity)} WHERE rowid IN ({gone})")
    work.do(f"source.{entity.name}", insert_sql(work, entity, rows[entity.name]))
    if final.complete:
        work.do("touched", touched_sql(entity))
        work.touch(entity.name, "fresh", final.fresh)
        work.touch(entity.name, "known", final.complete - final.fresh)
        work.touch(entity.name, "kept", final.complete - final.other_children)


_MOVED = "waiting IS NOT NULL AND old_row IS NOT NULL AND old_waiting IS NULL"
_SETTLED = "waiting IS NULL AND old_waiting IS NOT NULL"
_COMPLETE = "waiting IS NULL AND hub_id IS NOT NULL"
_KEPT = "keeps_children AND waiting IS NULL"
FINAL_COUNTS = f"""
    SELECT count(*), count(old_row), count(old_hub), count(*) FILTER ({_MOVED}), count(*) FILTER ({_SETTLED}),
           count(*) FILTER ({_COMPLETE}), count(*) FILTER (fresh AND {_COMPLETE}),
           count(*) FILTER (other_children AND {_COMPLETE}), count(*) FILTER ({_KEPT}) FROM _decided"""


def touched_sql(entity: Entity) -> str:
    name = literal(entity.name)
    return f"INSERT INTO _touched SELECT {name}, hub_id, fresh, true, other_children, settled FROM _decided WHERE {_COMPLETE}"


def earlier_sql(entity: Entity) -> str:
    """Where the version that is replaced came from: narrow columns, by which `crossdock trace` finds its raw record."""
    return f"""
        INSERT INTO ops.earlier_pulls BY NAME
        SELECT {literal(entity.name)} AS entity, f.system, f.source_id, s.mapping, s.segment, s.line, s.run_id, s.seen_at
        FROM {source(entity)} s JOIN _decided f ON f.old_row = s.rowid WHERE f.state = 'changed'"""


def insert_sql(work: Work, entity: Entity, rows: str) -> str:
    names = c.listed(name for name, _ in c.mapped_columns(entity))
    refs = "".join(f"{quote(column.name)}, " for column in entity.refs)
    matches = "".join(f"{c.match_sql(entity, key, 'x')} AS match_{n}, " for n, key in enumerate(entity.match, 1))
    return f"""
        INSERT INTO {source(entity)} BY NAME
        WITH x AS (
            SELECT {resolved_sql(entity.refs)} {c.listed((n for n, _ in c.mapped_columns(entity)), "m")},
                   m._segment AS segment, m._line AS line, m._hub AS hub_ref, f.source_key, f.hub_id, m.system, m.source_id, m.mapping,
                   f.sequence, f.pulled_at, m.version, f.row_hash, f.children_hash, f.waiting
            FROM {rows} m JOIN _decided f ON f._row = m._row
            {joins_sql(entity.refs)}
        )
        SELECT source_key, hub_id, system, source_id, {matches}hub_ref, {names}, {refs}mapping, segment, line, sequence, pulled_at,
               version, row_hash, children_hash, {work.run} AS run_id, {work.at} AS seen_at, waiting
        FROM x"""


def _write_children(work: Work, child: Entity, rows: str, *, replaced: bool, known: bool) -> None:
    kept, old = "", 0
    if replaced:
        old = work.do(f"old {child.name}", old_children_sql(child, known))
        kept = "LEFT JOIN _old o ON o.parent_key = f.source_key AND o.source_id = m.source_id" if old else ""
    if not old and not work.number(f"rows of {child.name}", f"SELECT count(*) FROM {rows}"):
        return
    work.do(f"ids of {child.name}", child_ids_sql(child, rows, kept))
    if new := work.number(f"new {child.name}", "SELECT count(*) FROM _ids WHERE new"):
        allocate(work, child.name, new)
    if old:
        work.do(f"replace {child.name}", f"DELETE FROM {source(child)} WHERE rowid IN (SELECT row FROM _old)")
    work.do(f"source.{child.name}", insert_children_sql(work, child, rows))
    work.written.add(child.name)


def old_children_sql(child: Entity, known: bool) -> str:
    """_old: the children of the rows that are replaced.

    They are looked up by the header's hub id where it has one (`known`, all of them): it is in the order of insertion, so
    that recent ones are found without reading the others, and the coalesce() keeps DuckDB from joining by the hash too.
    """
    on = "f.old_hub = s.parent_hub_id AND coalesce(f.source_key = s.parent_key, false)"
    return f"""
        CREATE OR REPLACE TEMP TABLE _old AS
        SELECT s.rowid AS row, s.parent_key, s.source_id, s.hub_id FROM {source(child)} s
        SEMI JOIN (SELECT source_key, old_hub FROM _decided WHERE old_row IS NOT NULL AND NOT ({_KEPT})) f
        ON {on if known else "f.source_key = s.parent_key"}"""


def child_ids_sql(child: Entity, rows: str, kept: str) -> str:
    """_ids: the children's rows with the hub id they had, or a `new` one, in the order of parent and source_id.

    None is given while the header has no hub id. The ids are `hubs.allocate`d once it is known how many are new.
    """
    last = f"coalesce((SELECT last FROM ops.hub_ids WHERE entity = {literal(child.name)}), 0)"
    new = f"{'o.hub_id IS NULL AND ' if kept else ''}f.hub_id IS NOT NULL"
    number = f"{last} + row_number() OVER (PARTITION BY new ORDER BY parent, source_id)"
    return f"""
        CREATE OR REPLACE TEMP TABLE _ids AS
        WITH x AS (
            SELECT m._row, f.hub_id AS parent, m.source_id, {"o.hub_id" if kept else "NULL::BIGINT"} AS had, {new} AS new
            FROM {rows} m JOIN (FROM _decided WHERE NOT ({_KEPT})) f ON f._row = m._parent_row {kept}
        )
        SELECT _row, new, CASE WHEN new THEN {number} ELSE had END AS hub_id FROM x"""


def insert_children_sql(work: Work, child: Entity, rows: str) -> str:
    names = c.listed((name for name, _ in c.mapped_columns(child)), "m")
    own = f"CASE WHEN {c.place_sql('m')} <> f.place THEN m."
    place = f"{own}mapping END AS mapping, {own}_segment END AS segment, {own}_line END AS line"
    return f"""
        INSERT INTO {source(child)} BY NAME
        SELECT {resolved_sql(child.refs)} i.hub_id, f.source_key AS parent_key, f.hub_id AS parent_hub_id,
               m.system, m.source_id, m.parent_source_id, {names}, {place},
               {work.run} AS run_id, {work.at} AS seen_at, f.waiting
        FROM {rows} m JOIN _decided f ON f._row = m._parent_row JOIN _ids i ON i._row = m._row
        {joins_sql(child.refs)}"""


def _to_previous(work: Work, entity: Entity) -> None:
    """Complete rows whose new version waits, with their children."""
    for one in work.family(entity):
        key = "parent_key" if one.parent else "source_key"
        work.do(
            f"previous {one.name}",
            f"INSERT INTO {previous(one)} SELECT * FROM {source(one)}"
            f" WHERE {key} IN (SELECT source_key FROM _decided WHERE {_MOVED})",
        )
        work.set_aside.add(one.name)


def _from_previous(work: Work, entity: Entity) -> None:
    """What is complete again speaks for itself."""
    for one in work.family(entity):
        key = "parent_key" if one.parent else "source_key"
        work.do(
            f"settled {one.name}",
            f"DELETE FROM {previous(one)} WHERE {key} IN (SELECT source_key FROM _decided WHERE {_SETTLED})",
        )
