"""known.<stream> in the run file: the newest record of each key that the lake holds, for mappings that look into the stream.

A run stages what is new; a lookup has to see what came before, too. So all segments of such a stream are read, with the
columns that are looked at. What differs from what was known before the run's own segments stands in known."<stream> changed",
in its old and its new form: staged records that use it are mapped again (docs/adr/0017).

Columns beside the declared ones: `_seq` is the order in which the records came, `_first` that of the first version of each.
What is deleted is found as it was last known, behind all that lives: below zero by `_seq` (docs/adr/0047).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from hub.connector import Stream
from hub.entity import DELETED
from hub.segments import Segment
from warehouse import staged
from warehouse.duck import Connection, literal, one, quote, run
from warehouse.sift import Source
from warehouse.stage import StageReport, create_sql, fetch, key_sql, read

_AFTER_ALL = 1 << 62  # more than there are records or rows


def know(
    con: Connection,
    lake: str,
    system: str,
    stream: Stream,
    segments: Sequence[Segment],
    new: Collection[str],
    columns: Mapping[str, str],
    cache: Path,
) -> bool:
    """Fill known.<stream> from all of the segments, and say whether those in `new` (paths) changed anything."""
    staged.ready(con)
    table = staged.table(f"{stream.name} known")
    source = Source(stream, columns, table, cache, lake)
    run(con, create_sql(source))
    report = StageReport(system, stream.name)
    try:
        local = fetch(source, segments, report)
        read(con, source, local, report)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    run(con, "CREATE OR REPLACE TEMP TABLE _files (_n INTEGER, _new BOOLEAN, _gone BOOLEAN)")
    for item in local:
        told = [item.number, item.segment.path in new, bool(item.segment.deleted_at)]
        run(con, "INSERT INTO _files VALUES ($1, $2, $3)", told)
    known = f"known.{quote(stream.name)}"
    run(con, f"CREATE OR REPLACE TABLE {known} AS {newest_sql(source)}", name=f"known {stream.name}")
    changed = any(item.segment.path in new for item in local) and _changed(con, source, known)
    run(con, f"DROP TABLE {table}")
    return changed


def newest_sql(source: Source, where: str = "true") -> str:
    """The newest record of each key. Placeholders of what could not be read hold nothing and are left out."""
    key = key_sql(source)
    version = source.stream.version_field if source.stream.version_trusted else None
    order = "_seq DESC"
    if version and version in source.columns:
        text = quote(version)
        order = f"TRY_CAST({text} AS TIMESTAMPTZ) DESC NULLS LAST, TRY_CAST({text} AS HUGEINT) DESC NULLS LAST, {order}"
    listed = ", ".join(quote(name) for name in source.columns)
    read = ", ".join(f"t.{quote(name)}" for name in source.columns)
    something = " OR ".join(f"t.{quote(name)} IS NOT NULL" for name in source.columns) or "true"
    return f"""
        WITH placed AS (
            SELECT {read}, row_number() OVER (ORDER BY _n, t.rowid) AS _seq, _new, _gone
            FROM {source.table} t JOIN _files ON _n = t._file WHERE {something}
        ), keyed AS (
            SELECT *, {key} AS _key, CASE WHEN {key} IS NULL THEN _seq END AS _alone FROM placed WHERE {where}
        )
        SELECT {listed}, {_behind("_gone", "_seq")} AS _seq, min(_seq) OVER (PARTITION BY _key, _alone) AS _first FROM keyed
        QUALIFY row_number() OVER (PARTITION BY _key, _alone ORDER BY {order}) = 1"""


def _changed(con: Connection, source: Source, known: str) -> bool:
    """Fill known."<stream> changed" with what is new, gone or otherwise than before; is there any?"""
    listed = ", ".join(quote(name) for name in source.columns)
    alive = "_seq > 0 AS _alive"  # who is deleted makes way for a living one of the same key
    table = f"known.{quote(source.stream.name + ' changed')}"
    after = f"SELECT {listed}, {alive} FROM {known}"
    run(
        con, f"CREATE OR REPLACE TEMP TABLE _before AS SELECT {listed}, {alive} FROM ({newest_sql(source, 'NOT _new')})"
    )
    before = "SELECT * FROM _before"
    both = f"(({before}) EXCEPT ({after})) UNION ALL (({after}) EXCEPT ({before}))"
    run(con, f"CREATE OR REPLACE TABLE {table} AS {both}", name=f"changed {source.stream.name}")
    run(con, "DROP TABLE _before")
    return bool(one(con, f"SELECT count(*) FROM {table}"))


def know_rows(con: Connection, name: str, columns: Mapping[str, str], warehouse: str | None) -> None:
    """known."canonical.<entity>" from the database attached as `warehouse`; empty where there is none yet."""
    entity = name.partition(".")[2]
    table = f"known.{quote(name)}"
    declared = "".join(f"{quote(column)} {kind}, " for column, kind in columns.items())
    run(con, f"CREATE OR REPLACE TABLE {table} ({declared}_seq BIGINT)")
    if warehouse is not None:
        listed = "".join(f"{quote(column)}, " for column in columns)
        there = f"""SELECT 1 FROM duckdb_columns() WHERE database_name = $1 AND schema_name = 'canonical' AND table_name = $2
            AND column_name = {literal(DELETED.name)}"""
        deletable = run(con, there, [warehouse, entity]).fetchone() is not None  # children are not
        order = _behind(f"{DELETED.name} IS NOT NULL", "hub_id") if deletable else "hub_id"
        rows = f"SELECT {listed}{order} FROM {warehouse}.canonical.{quote(entity)}"
        run(con, f"INSERT INTO {table} {rows}", name=f"known {name}")


def _behind(gone: str, order: str) -> str:
    """A place in an order, negative where the condition is true."""
    return f"CASE WHEN {gone} THEN {order} - {_AFTER_ALL} ELSE {order} END"


def pass_over(con: Connection, stream: str, old: Collection[str], askers: Sequence[str]) -> int:
    """Leave out the staged records of `old` segments, which were merged before, apart from those that one of the `askers`
    (SQL of `_seq`) names. They count as not read. Returns how many were left out.
    """
    listed = ", ".join(literal(path) for path in old)
    wanted = "\nUNION\n".join(f"({sql})" for sql in askers)
    name = f"asking in {stream}"
    run(con, f"CREATE OR REPLACE TEMP TABLE _asking AS SELECT DISTINCT _seq FROM ({wanted})", name=name)
    twice = one(
        con,
        f"""SELECT count(*) FROM raw._gone g JOIN run.segments s
            ON s.stream = g.stream AND g._seq >= s.base AND g._seq < s.base + s.records
            ANTI JOIN run.rejects r ON r.mapping IS NULL AND r.segment = s.segment AND r.line = g._seq - s.base + 1
            WHERE g.stream = $1 AND s.segment IN ({listed})""",
        [stream],
    )
    left = f"SELECT _seq FROM stage.{quote(stream)} WHERE _segment IN ({listed}) AND _seq NOT IN (FROM _asking)"
    gone = one(con, f"INSERT INTO raw._gone SELECT $1, _seq FROM ({left})", [stream], name=name)
    staged.take_out(con, stream)
    for state, n in (("read", gone + twice), ("duplicates", twice), ("staged", gone)):
        less = "UPDATE run.counts SET n = n - $1 WHERE stream = $2 AND mapping IS NULL AND state = $3"
        run(con, less, [n, stream, state], name=name)
    return int(gone)


def tie(con: Connection, of: str, mapping: str, entity: str) -> None:
    """While the gate of what a mapping made is closed, the segments of a stream that it looks into come again, too."""
    run(con, "INSERT INTO run.counts VALUES ($1, $2, $3, 'staged', 0)", [of, mapping, entity])
