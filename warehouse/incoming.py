"""Which rows of the run file have to be written: compared by hash with what the system said before.

A row is taken unless the gate quarantined it or holds its entity. Of two versions of a key the newer counts, also across
runs: by the version, where both have one and they differ; else by the segment's sequence within a stream, and by the
time of the pull between streams. An older one that comes late changes nothing. A record that is mapped again (same
stream, segment and line) is the version that it was, whatever its mapping says now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hub.entity import Entity
from warehouse import columns as c
from warehouse.duck import literal
from warehouse.law import Incoming
from warehouse.work import RUN, Work, again, mapped, source


@dataclass(frozen=True, slots=True)
class Load:
    """How many rows of an entity the run file holds, and how many of the warehouse wait for a reference.

    `children` are those of its children of which the run file or the warehouse has any, with how many the run file has.
    """

    mapped: int
    waiting: int
    children: Mapping[str, int]


def loads(work: Work, *, with_run: bool = True) -> dict[str, Load]:
    """What there is to do, in one query of the tables that have rows; entities with nothing are left out.

    Without the run, in the middle of a merge, every table is asked: what this merge wrote counts too.
    """
    asked: dict[tuple[str, bool], str] = {}
    for entity in work.model.values():
        if with_run and work.had_rows(f"{RUN}.mapped.{entity.name}"):
            asked[entity.name, True] = f"(SELECT count(*) FROM {mapped(entity)})"
        if not with_run or work.had_rows(f"source.{entity.name}"):
            waits = "" if entity.parent else " WHERE waiting IS NOT NULL"
            asked[entity.name, False] = f"(SELECT count(*) FROM {source(entity)}{waits})"
    numbers = work.rows("loads", f"SELECT {', '.join(asked.values())}")[0] if asked else ()
    counted = dict(zip(asked, numbers, strict=True))
    found = {name: (counted.get((name, True), 0), counted.get((name, False), 0)) for name in work.model}
    there: dict[str, dict[str, int]] = {}
    for entity in work.model.values():
        if entity.parent and any(found[entity.name]):
            there.setdefault(entity.parent, {})[entity.name] = found[entity.name][0]
    heads = [entity.name for entity in work.model.values() if not entity.parent]
    return {name: Load(*found[name], there.get(name, {})) for name in heads if any(found[name])}


class Decided(NamedTuple):
    """How many rows have to be written, and of how many of them the source layer has a row, one with a hub, one that waits; how
    many have other children than that row, or had none that was complete; and how many of the others keep their children's rows.

    `incoming`: how many rows of the run file are new, changed, same, seen or stale, as (stream, mapping, state, rows).
    """

    rows: int
    known: int
    bound: int
    waited: int
    other_children: int
    kept: int
    incoming: Sequence[Incoming]


def take(work: Work, entity: Entity, load: Load, *, marked: bool) -> Decided:
    """Fill _incoming (from the run file, or empty), _again and _decided; note which unchanged rows were seen again.

    `marked`: the gate marked rows, of whichever entity.
    """
    kids = [child for child in work.children(entity) if load.children.get(child.name)]
    stored = work.had_rows(f"source.{entity.name}")
    sql = incoming_sql(entity, kids, work.declared, from_run=bool(load.mapped), marked=marked, known=stored)
    work.do(f"incoming {entity.name}", sql)
    counts = work.rows("incoming", INCOMING_COUNTS)
    if any(state == "seen" for _, _, state, *_ in counts):
        work.do(f"seen {entity.name}", seen_again_sql(entity))
    for one in work.family(entity) if load.waiting else ():
        work.do(f"again {one.name}", again_sql(entity, one))
    work.do(f"decided {entity.name}", decided_sql(entity, again_too=bool(load.waiting)))
    taken: Sequence[Sequence[int]] = [numbers for _, _, state, *numbers in counts if state in _TAKEN]
    if load.waiting:
        taken = work.rows("decided", f"SELECT {_COUNTED} FROM _decided")
    rows, known, bound, waited, others, kept = (sum(numbers) for numbers in zip([0] * 6, *taken, strict=True))
    return Decided(rows, known, bound, waited, others, kept, [row[:4] for row in counts])


_COUNTED = (
    "count(*), count(old_row), count(old_hub), count(old_waiting), count(*) FILTER (other_children),"
    " count(*) FILTER (keeps_children)"
)
_TAKEN = ("new", "changed")
_IS_TAKEN = f"state IN {_TAKEN}"
INCOMING_COUNTS = f"SELECT stream, mapping, state, {_COUNTED} FROM _incoming GROUP BY ALL"


# What is asked of a row that the source layer has.
_COMPARED = (
    *("system", "source_id", "hub_id", "waiting", "row_hash", "children_hash"),
    *("segment", "line", "sequence", "version", "pulled_at", "seen_at"),
)


def incoming_sql(
    entity: Entity, children: Sequence[Entity], declared: str, *, from_run: bool, marked: bool, known: bool
) -> str:
    """Narrow rows: key, hash, and `state`: new, changed, same, seen (same, later), stale. `children` are those with rows.

    `other_children`: they may be other ones than before. `keeps_children`: they are the same, and all stand where their header
    stands, so that their rows say nothing new. It cannot be where the source layer has no row of the entity (`known`). `settled`: the
    row was written since survivorship is as it is (`declared`), and who won its children was asked then.

    Keys are looked up alone (`hits`), and the rest of a row by where it stands: what DuckDB filters by the hashes
    of many keys lets some others through, in each block, and of those it would read all columns.
    """
    place = f", {c.place_sql('k')} AS place" if known else ""
    kids = " UNION ALL ".join(
        f"SELECT k._parent_row, {c.child_hash_sql(child, 'k')} AS h{place} FROM {mapped(child)} k" for child in children
    )
    places = ", min(place) AS first, max(place) AS last" if place and kids else ""
    own = "coalesce(k.first <> p.place OR k.last <> p.place, false)" if places else "false"
    kids = kids or "SELECT NULL::BIGINT AS _parent_row, 0::UBIGINT AS h WHERE false"
    stopped = f"""
            SELECT DISTINCT _row FROM {RUN}.gate.findings
            WHERE entity = {literal(entity.name)} AND severity <> 'warn'"""
    passed = f"{'true' if from_run else 'false'}{f' AND m._row NOT IN ({stopped})' if marked else ''}"
    newer, later = newer_sql("p", "s"), later_sql("p", "s")
    return f"""
        CREATE OR REPLACE TEMP TABLE _incoming AS
        WITH passed AS MATERIALIZED (
            SELECT m._row, m.system, m.source_id, {c.key_sql("m")} AS source_key, m.mapping, m._segment AS segment,
                   m._line AS line, {c.place_sql("m")} AS place, g.stream, g.seq AS sequence, g.pulled_at, m.version, m._hub, {c.mapped_hash_sql(entity, "m")} AS row_hash
            FROM {mapped(entity)} m LEFT JOIN {RUN}.run.segments g ON g.segment = m._segment
            WHERE {passed}
        ), kids AS (
            SELECT _parent_row, {c.children_hash_sql("h")} AS h{places} FROM ({kids}) GROUP BY _parent_row
        ), hits AS MATERIALIZED (
            SELECT p._row, s.rowid AS old_row FROM passed p JOIN {source(entity)} s ON s.source_key = p.source_key
        ), old AS (
            SELECT h._row, h.old_row, {c.listed(_COMPARED, "s")} FROM hits h JOIN {source(entity)} s ON s.rowid = h.old_row
        ), known AS (
            SELECT p.*, coalesce(k.h, 0) AS children_hash, s.old_row, s.hub_id AS old_hub, s.waiting AS old_waiting,
                   coalesce(s.waiting IS NOT NULL OR s.children_hash <> coalesce(k.h, 0), true) AS other_children,
                   {own} AS own_place,
                   coalesce(s.seen_at > {declared}, false) AS settled,
                   s.row_hash = p.row_hash AND s.children_hash = coalesce(k.h, 0) AS same, {newer} AS newer, {later} AS later
            FROM passed p
            LEFT JOIN kids k ON k._parent_row = p._row
            LEFT JOIN old s ON s._row = p._row AND {c.same_record_sql("s", "p")}
        )
        SELECT * EXCLUDE (same, newer, later, own_place), NOT (other_children OR own_place) AS keeps_children,
               CASE WHEN old_row IS NULL THEN 'new' WHEN NOT newer THEN 'stale' WHEN NOT same THEN 'changed'
                    WHEN later THEN 'seen' ELSE 'same' END AS state
        FROM known"""


def newer_sql(new: str, old: str) -> str:
    """True when `new` is the same version as `old`, or a later one."""
    return _order_sql(new, old, ">=")


def later_sql(new: str, old: str) -> str:
    return _order_sql(new, old, ">")


def _order_sql(new: str, old: str, operator: str) -> str:
    # A segment's path is <system>/<stream>/<file>. (Comparing split_part() with a column fails in DuckDB 2.0.0.)
    same_stream = f"starts_with({old}.segment, {new}.system || '/' || {new}.stream || '/')"
    # What is replayed is the same version, also where the mapping reads its version otherwise than before.
    same_record = f"{new}.segment = {old}.segment AND {new}.line = {old}.line AND {new}.sequence = {old}.sequence"
    return f"""CASE
        WHEN {same_record} THEN {str(operator == ">=").lower()}
        WHEN {new}.version <> {old}.version THEN {new}.version > {old}.version
        WHEN {same_stream} OR {new}.pulled_at = {old}.pulled_at THEN {new}.sequence {operator} {old}.sequence
        ELSE coalesce({new}.pulled_at {operator} {old}.pulled_at, {new}.sequence {operator} {old}.sequence, true) END"""


def again_sql(entity: Entity, one: Entity) -> str:
    """Source rows that wait, in the shape of mapped rows. Their `_row` is negative, so that it meets no other."""
    names = c.listed((name for name, _ in c.mapped_columns(one)), "s")
    text = f"s.system, s.source_id, {names}"
    if one.parent:
        return f"""
            CREATE OR REPLACE TEMP TABLE {again(one)} AS
            SELECT -s.rowid - 1 AS _row, h._row AS _parent_row, s.parent_source_id, {text}, coalesce(s.mapping, h.mapping) AS mapping,
                   coalesce(s.segment, h._segment) AS _segment, coalesce(s.line, h._line) AS _line
            FROM {source(one)} s JOIN {again(entity)} h ON h.source_key = s.parent_key"""
    return f"""
        CREATE OR REPLACE TEMP TABLE {again(one)} AS
        SELECT -s.rowid - 1 AS _row, {text}, s.mapping, s.segment AS _segment, s.line AS _line,
               {c.hash_sql(("segment", "line"), "s")} AS place, s.hub_ref AS _hub, s.version, s.source_key, s.sequence, s.pulled_at, s.row_hash, s.children_hash,
               s.rowid AS old_row, s.hub_id AS old_hub, s.waiting AS old_waiting
        FROM {source(one)} s ANTI JOIN (SELECT * FROM _incoming WHERE {_IS_TAKEN}) i
          ON i.source_key = s.source_key AND {c.same_record_sql("i", "s")}
        WHERE s.waiting IS NOT NULL"""


_DECIDED = "_row, system, source_id, source_key, place, sequence, pulled_at, row_hash, children_hash, old_row, old_hub, old_waiting"


def decided_sql(entity: Entity, *, again_too: bool) -> str:
    """The rows that have to be written; `state` again for those that waited.

    Each with the hub that the source layer knows, as if none waited: so it is with most changes, and `identity.bind` says it of others.
    """
    more = f"UNION ALL SELECT {_DECIDED}, true, false, false, _hub, 'again' FROM {again(entity)}" if again_too else ""
    return f"""
        CREATE OR REPLACE TEMP TABLE _decided AS
        SELECT *, old_hub AS hub_id, NULL::VARCHAR AS waiting, false AS fresh
        FROM (SELECT {_DECIDED}, other_children, keeps_children, settled, _hub, state FROM _incoming WHERE {_IS_TAKEN} {more})"""


def rows_sql(entity: Entity, *, from_run: bool, again_too: bool) -> str:
    """The wide rows behind _decided, as a FROM item."""
    names = [name for name, _ in c.mapped_columns(entity)]
    own = ["_parent_row", "parent_source_id"] if entity.parent else ["_hub", "version"]
    head = ["_row", *own, "system", "source_id"]
    listed = c.listed([*head, "mapping", "_segment", "_line", *names])
    if not again_too:
        return mapped(entity)
    if not from_run:
        return again(entity)
    return f"(SELECT {listed} FROM {mapped(entity)} UNION ALL SELECT {listed} FROM {again(entity)})"


def seen_again_sql(entity: Entity) -> str:
    """Unchanged rows: only where they stand in the order of versions is noted, in three narrow columns."""
    return f"""
        UPDATE {source(entity)} AS s SET sequence = i.sequence, pulled_at = i.pulled_at, version = i.version
        FROM _incoming i WHERE i.state = 'seen' AND s.rowid = i.old_row"""
