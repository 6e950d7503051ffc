"""Fields of raw records that are new, vanished, or changed their kind, found by comparing samples, or all of them, with ops.shapes.

They are findings on the stream (quality.findings without a source_id) and stop nothing. A new field is told for thirty days; one
that vanished until it comes again; another kind until a sample has only kinds that were known before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from hub.entity import Model
from hub.shape import Seen
from warehouse.duck import literal
from warehouse.lock import writer
from warehouse.runfile import SHAPES
from warehouse.work import RUN, Work
from warehouse.writing import open_to_write

NEW, VANISHED, KIND = "W310", "W311", "W312"
_ENOUGH = 20  # records in which a field that always came has to be missing


def note_all(
    warehouse: Path, model: Model, run_id: str, system: str, at: datetime, found: Mapping[str, tuple[Seen, int]]
) -> list[str]:
    """As `note`, of every record of a full pass: `found` is, by stream, how many records have each field, and how many there are."""
    with writer(warehouse):
        con = open_to_write(warehouse)
        try:
            work = Work(con, model, run_id, at)
            work.do("attach", f"ATTACH ':memory:' AS {RUN}")
            work.do("shapes", f"CREATE SCHEMA {RUN}.run")
            work.do("shapes", f"CREATE TABLE {RUN}.run.shapes ({SHAPES})")
            for stream, (seen, records) in found.items():
                listed = [[path, kind, n] for (path, kind), n in seen.items()]
                sql = f"INSERT INTO {RUN}.run.shapes SELECT $1, p[1], p[2], p[3]::BIGINT, $2 FROM (SELECT unnest($3::VARCHAR[][]) AS p)"
                work.do("shapes", sql, [stream, records, listed])
            work.do("begin", "BEGIN")
            told = note(work, system, "the full pass")
            work.do("commit", "COMMIT")
        finally:
            con.close()
    return told


def note(work: Work, system: str, where: str = "the sample") -> list[str]:
    """Write the findings of this run and remember the shapes; what is new of the findings, in words."""
    anything, differing, told_before = work.rows("shapes", differs_sql(system))[0]
    if not anything:
        return []
    if not differing and not told_before:
        work.do("shapes", remember_sql(work, system))
        return []
    work.do("drift", f"CREATE OR REPLACE TEMP TABLE _drift AS {drift_sql(system, where)}")
    work.do("drift that is over", over_sql(work, system))
    fresh = f"NOT EXISTS (SELECT 1 FROM quality.findings q WHERE {_ours(system)} AND q.entity = d.stream AND q.code = d.code AND q.field = d.path)"
    told = work.rows("drift to tell", f"SELECT stream, code, path, message FROM _drift d WHERE {fresh} ORDER BY ALL")
    work.do(
        "drift",
        f"""INSERT INTO quality.findings BY NAME
            SELECT {literal(system)} AS system, stream AS entity, 'schema' AS rule, code, 'warn' AS severity, path AS field,
                   message, kinds AS raw, {work.run} AS run_id, {work.at} AS seen_at
            FROM _drift d WHERE {fresh}""",
    )
    work.do("shapes", remember_sql(work, system))
    return [f"{code} {stream}.{path}: {message}" for stream, code, path, message in told]


def differs_sql(system: str) -> str:
    """How many kinds the samples hold; how many of these were never seen, or of those that were seen are not among them;
    and how many findings there are that may be over. With none of the last two there is nothing to say.
    """
    known = f"(SELECT * FROM ops.shapes WHERE system = {literal(system)})"
    here = f"{RUN}.run.shapes"
    return f"""
        SELECT (SELECT count(*) FROM {here}),
               (SELECT count(*) FROM {here} h FULL JOIN (SELECT * FROM {known} SEMI JOIN {here} USING (stream)) k
                ON k.stream = h.stream AND k.path = h.path AND k.kind = h.kind WHERE h.path IS NULL OR k.path IS NULL),
               (SELECT count(*) FROM quality.findings q WHERE {_ours(system)})"""


def _ours(system: str) -> str:
    return f"q.system = {literal(system)} AND q.rule = 'schema'"


def drift_sql(system: str, where: str = "the sample") -> str:
    """stream, code, path, message, kinds: only of streams whose shape is known, and vanished only where its parent came."""
    return f"""
        WITH known AS (SELECT * FROM ops.shapes WHERE system = {literal(system)}),
        streams AS (SELECT DISTINCT stream FROM known),
        here AS (SELECT * FROM {RUN}.run.shapes SEMI JOIN streams USING (stream)),
        old AS (SELECT stream, path, max(n) AS n, max(records) AS records, string_agg(kind, ', ' ORDER BY kind) AS kinds
                FROM (SELECT stream, path, kind, sum(seen) OVER (PARTITION BY stream, path) AS n, records FROM known)
                GROUP BY stream, path),
        parents AS (SELECT stream, path, sum(n) AS n FROM here WHERE kind = 'object' GROUP BY ALL
                    UNION ALL SELECT stream, '', max(records) FROM here GROUP BY stream)
        SELECT stream, '{NEW}' AS code, path, 'a field that was never seen before' AS message,
               string_agg(kind, ', ' ORDER BY kind) AS kinds
        FROM here ANTI JOIN old USING (stream, path) GROUP BY stream, path
        UNION ALL
        SELECT o.stream, '{VANISHED}', o.path, 'a field that always came is in no record of {where}', o.kinds
        FROM old o ANTI JOIN here USING (stream, path)
        JOIN parents p ON p.stream = o.stream AND p.n >= {_ENOUGH}
                      AND p.path = CASE WHEN contains(o.path, '.') THEN regexp_replace(o.path, '\\.[^.]*$', '') ELSE '' END
        WHERE o.n >= 0.98 * o.records AND o.records >= {_ENOUGH} AND NOT ends_with(o.path, '[]')
        UNION ALL
        SELECT h.stream, '{KIND}', h.path, concat('a field of another kind: ', h.kind, ', and it was ', o.kinds), h.kind
        FROM here h JOIN old o USING (stream, path)
        WHERE h.kind <> 'null' AND o.kinds <> 'null'
          AND NOT EXISTS (SELECT 1 FROM known k WHERE k.stream = h.stream AND k.path = h.path AND k.kind = h.kind)"""


def over_sql(work: Work, system: str) -> str:
    return f"""
        DELETE FROM quality.findings AS q WHERE {_ours(system)} AND q.entity IN (SELECT stream FROM {RUN}.run.shapes) AND CASE q.code
            WHEN '{NEW}' THEN q.seen_at < {work.at} - INTERVAL 30 DAY
            WHEN '{VANISHED}' THEN EXISTS (SELECT 1 FROM {RUN}.run.shapes h WHERE h.stream = q.entity AND h.path = q.field)
            ELSE EXISTS (SELECT 1 FROM {RUN}.run.shapes h WHERE h.stream = q.entity AND h.path = q.field AND h.kind <> 'null')
                 AND NOT EXISTS (SELECT 1 FROM {RUN}.run.shapes h WHERE h.stream = q.entity AND h.path = q.field
                                 AND contains(q.raw, h.kind)) END"""


def remember_sql(work: Work, system: str) -> str:
    """What is known after this run: samples are added up. Another kind is remembered, so that it is found once."""
    return f"""
        MERGE INTO ops.shapes t
        USING (SELECT stream, path, kind, n, records FROM {RUN}.run.shapes) s
        ON t.system = {literal(system)} AND t.stream = s.stream AND t.path = s.path AND t.kind = s.kind
        WHEN MATCHED THEN UPDATE SET seen = t.seen + s.n, records = t.records + s.records, last_seen = {work.at}
        WHEN NOT MATCHED THEN INSERT VALUES ({literal(system)}, s.stream, s.path, s.kind, s.n, s.records, {work.at}, {work.at})"""
