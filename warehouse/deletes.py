"""A delete that says only whose it is becomes the last known state of that record, deleted: in the run file, after map.

What is known is the newest row that the batch itself has of the key, else the row of `source`, with its children. It takes the place
of the delete's row, in its order of versions and with its lineage, so that everything after it judges and merges a whole record. A delete of a record that nobody
knows is counted as `excluded`, one that is older than what the batch has as `superseded` (docs/adr/0047).

    _deletes    the rows that are such deletes, and whether the mapping's condition has chosen them
    _known      the newest other row of the batch for each of their keys
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from hub.entity import DELETED, Entity, Model
from hub.transaction import transaction
from warehouse import columns as c
from warehouse.duck import Connection, literal, one, quote, run

_HUB = "warehouse"
_LINEAGE = ("_segment", "_line", "_seq")


@dataclass(frozen=True, slots=True)
class Told:
    """How the rows of a mapping are recognised that say only whose record is gone.

    `bare` is SQL over mapped.<entity>, empty where the mapping can make none. `excludes`: the records that its condition leaves out count,
    too, where they are tombstones or (`reads`) say so themselves: a delete is about the record, whatever is chosen of the living.
    """

    mapping: str
    entity: str
    bare: str
    reads: bool
    excludes: bool


def gather(con: Connection, told: Sequence[Told]) -> set[str]:
    """Fill _deletes; the entities that have any. Mostly there is none, and then nothing but that is asked."""
    which = {
        it.mapping: f"mapped.{quote(it.entity)} WHERE mapping = {literal(it.mapping)} AND ({it.bare})"
        for it in told
        if it.bare
    }
    excluding = [it for it in told if it.excludes]
    asked = " UNION ALL ".join(f"SELECT {literal(name)} WHERE EXISTS (FROM {rows})" for name, rows in which.items())
    bare = {name for (name,) in run(con, asked, name="deletes?").fetchall()} if asked else set()
    if not (bare or excluding):
        return set()
    run(con, "CREATE OR REPLACE TEMP TABLE _deletes (entity VARCHAR, _row BIGINT, chosen BOOLEAN)")
    for mapping in (it for it in told if it.mapping in bare):
        run(con, f"INSERT INTO _deletes SELECT {literal(mapping.entity)}, _row, true FROM {which[mapping.mapping]}")
    for mapping in excluding:  # behind the others: what is taken back looks like them
        _take_back(con, mapping)
    return {entity for (entity,) in run(con, "SELECT DISTINCT entity FROM _deletes").fetchall()}


def _take_back(con: Connection, mapping: Told) -> None:
    """The deletes among the records that the mapping's condition leaves out."""
    view, name = quote(mapping.mapping), literal(mapping.mapping)
    gone = f"coalesce(v.{DELETED.name}, g.deleted_at)" if mapping.reads else "g.deleted_at"
    run(
        con,
        f"""CREATE OR REPLACE TEMP TABLE _left_out AS
            SELECT v._row, g.system, v.source_id, v.version, v._segment, v._line, v._seq, g.stream, {gone} AS {DELETED.name}
            FROM {view} v JOIN run.segments g ON g.segment = v._segment
            WHERE v._excluded AND v.source_id IS NOT NULL AND {gone} IS NOT NULL""",
        name=f"{mapping.mapping}: deletes among what is left out",
    )
    run(
        con,
        f"INSERT INTO mapped.{quote(mapping.entity)} BY NAME SELECT * EXCLUDE (stream), {name} AS mapping FROM _left_out",
    )
    run(con, f"INSERT INTO _deletes SELECT {literal(mapping.entity)}, _row, false FROM _left_out")
    _recount(con, "_left_out", name, "excluded", "mapped")


def settle(con: Connection, model: Model, entity: Entity, *, hub: bool) -> int:
    """Put what is known in the place of each delete of the entity; how many there are of records that nobody knows.

    A mapping's condition leaves out many that were never taken, such as the customers of orders that are no guests': of those nothing is told.
    `hub`: the warehouse is attached beside the run.
    """
    with transaction(partial(run, con)):
        return _settle(con, model, entity, hub and _has(con, entity))


def _has(con: Connection, entity: Entity) -> bool:
    """A file that nobody has merged into has no tables."""
    known = "SELECT 1 FROM duckdb_tables() WHERE database_name = $1 AND schema_name = 'source' AND table_name = $2"
    return one(con, known, [_HUB, entity.name]) is not None


def _settle(con: Connection, model: Model, entity: Entity, hub: bool) -> int:
    table, kin = f"mapped.{quote(entity.name)}", c.family(model, entity)[1:]
    run(con, f"CREATE OR REPLACE TEMP TABLE _told AS {_told_sql(entity)}", name=f"deletes of {entity.name}")
    run(con, f"CREATE OR REPLACE TEMP TABLE _known AS {_known_sql(entity)}", name=f"known of {entity.name}")
    late = "SELECT * FROM _told WHERE NOT newest OR _row IN (SELECT told FROM _known WHERE later)"
    run(con, f"CREATE OR REPLACE TEMP TABLE _late AS {late}")
    _count(con, "_late", entity, "superseded")
    run(con, "DELETE FROM _told WHERE _row IN (SELECT _row FROM _late)")
    run(con, f"DELETE FROM {table} WHERE _row IN (SELECT _row FROM _late)", name=f"late deletes of {entity.name}")
    run(con, "DELETE FROM _known WHERE later")
    _count(con, "_known", entity, "superseded")
    run(con, _overlaid_sql(entity), name=f"deleted {entity.name} of the batch")
    run(con, f"DELETE FROM {table} WHERE _row IN (SELECT _row FROM _told)")
    run(con, "DELETE FROM _told WHERE _row IN (SELECT told FROM _known)")
    if hub and one(con, "SELECT count(*) FROM _told"):
        run(con, _from_hub_sql(entity), name=f"deleted {entity.name} of the hub")
        for child in kin:
            run(con, _children_from_hub_sql(child), name=f"{child.name} of deleted {entity.name}")
        run(con, f"DELETE FROM _told WHERE _row IN (SELECT _row FROM {table})")
    for (mapping,) in run(con, "SELECT DISTINCT mapping FROM _told").fetchall():
        _recount(
            con, f"(SELECT * FROM _told WHERE mapping = {literal(mapping)})", literal(mapping), "mapped", "excluded"
        )
    return int(one(con, "SELECT count(*) FROM _told WHERE chosen"))


def _told_sql(entity: Entity) -> str:
    """The deletes, of which the newest of each key counts, with the stream and the pull that told them."""
    return f"""
        SELECT m._row, m.system, m.source_id, m.mapping, m.version, m._segment, m._line, m._seq, m.{DELETED.name}, d.chosen, g.stream, g.pulled_at,
               row_number() OVER (PARTITION BY m.system, m.source_id
                                  ORDER BY g.pulled_at DESC NULLS LAST, g.stream, m._seq DESC, m._row DESC) = 1 AS newest
        FROM mapped.{quote(entity.name)} m JOIN _deletes d ON d.entity = {literal(entity.name)} AND d._row = m._row
        LEFT JOIN run.segments g ON g.segment = m._segment"""


def _known_sql(entity: Entity) -> str:
    """The newest row of the batch that is no such delete, for each key, and whether it is `later` than the delete.

    Between streams it is by the time of the pull; of one pull the delete is the later word: what is gone is not listed any more.
    """
    return f"""
        SELECT m._row, m.mapping, g.stream, t._row AS told,
               CASE WHEN m.version <> t.version THEN m.version > t.version WHEN g.stream = t.stream THEN m._seq > t._seq
                    ELSE coalesce(g.pulled_at > t.pulled_at, false) END AS later
        FROM mapped.{quote(entity.name)} m JOIN _told t ON t.newest AND t.system = m.system AND t.source_id = m.source_id
        ANTI JOIN _deletes d ON d.entity = {literal(entity.name)} AND d._row = m._row
        LEFT JOIN run.segments g ON g.segment = m._segment
        QUALIFY row_number() OVER (PARTITION BY t._row ORDER BY m.version DESC NULLS LAST, m._seq DESC, m._row DESC) = 1"""


def _overlaid_sql(entity: Entity) -> str:
    """What the batch knows is deleted, and is the version that told it."""
    return f"""
        UPDATE mapped.{quote(entity.name)} AS m
        SET {DELETED.name} = t.{DELETED.name}, mapping = t.mapping, version = coalesce(t.version, m.version), _segment = t._segment, _line = t._line,
            _seq = greatest(t._seq, m._seq)
        FROM _known k JOIN _told t ON t._row = k.told WHERE k._row = m._row"""


def _from_hub_sql(entity: Entity) -> str:
    names = [name for name, _ in c.mapped_columns(entity) if name != DELETED.name]
    return f"""
        INSERT INTO mapped.{quote(entity.name)} BY NAME
        SELECT t._row, t.system, t.source_id, t.mapping, coalesce(t.version, s.version) AS version, s.hub_ref AS _hub,
               {c.listed(_LINEAGE, "t")}, t.{DELETED.name}, {c.listed(names, "s")}
        FROM _told t JOIN {_HUB}.source.{quote(entity.name)} s
          ON s.source_key = {c.key_sql("t")} AND {c.same_record_sql("s", "t")}"""


def _children_from_hub_sql(child: Entity) -> str:
    """The children stay as they are, under the row that is deleted. They are numbered behind all others."""
    table = f"mapped.{quote(child.name)}"
    names = c.listed((name for name, _ in c.mapped_columns(child)), "s")
    return f"""
        INSERT INTO {table} BY NAME
        SELECT (SELECT coalesce(max(_row), 0) FROM {table}) + row_number() OVER (ORDER BY s.hub_id, s.source_id) AS _row, t._row AS _parent_row,
               s.system, s.source_id, s.parent_source_id, coalesce(s.mapping, h.mapping) AS mapping,
               coalesce(s.segment, h.segment) AS _segment, coalesce(s.line, h.line) AS _line, t._seq, {names}
        FROM _told t JOIN {_HUB}.source.{quote(child.parent or "")} h
          ON h.source_key = {c.key_sql("t")} AND {c.same_record_sql("h", "t")}
        JOIN {_HUB}.source.{quote(child.name)} s ON s.parent_key = h.source_key AND {c.same_header_sql("h", "s")}"""


def _count(con: Connection, rows: str, entity: Entity, state: str) -> None:
    run(
        con,
        f"""INSERT INTO run.counts BY NAME
            SELECT stream, mapping, {literal(entity.name)} AS entity, {literal(state)} AS state, count(*) AS n FROM {rows} GROUP BY ALL""",
    )


def _recount(con: Connection, rows: str, mapping: str, before: str, after: str) -> None:
    """Rows of a mapping that are in another state than was counted."""
    n = int(one(con, f"SELECT count(*) FROM {rows}"))
    for state, more in ((before, -n), (after, n)) if n else ():
        which = f"mapping = {mapping} AND state = {literal(state)}"
        run(con, f"UPDATE run.counts SET n = n + $1 WHERE {which}", [more])
