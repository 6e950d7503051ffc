"""quality.quarantine: every record that was refused, by the mapping or by the gate, until a later version of it passes.

A case is one reason for one record. Seen again in another version it counts up; seen again in the same raw record it does
not, so that a repeated run changes nothing. It closes when the record passes, and also when the record is judged again and
this reason is no longer among those against it. What a person dismissed stays so while the record's content is the same.
quality.findings holds the warnings on what was merged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.entity import Entity
from warehouse import columns as c
from warehouse.duck import literal
from warehouse.incoming import newer_sql
from warehouse.work import RUN, Work, mapped, source

if TYPE_CHECKING:
    from warehouse.ledger_rows import Dismissal


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to account for: with nothing refused, nothing open and nothing warned of, there is nothing to do."""

    rejects: int
    findings: int
    open_cases: int
    warnings: int
    results: int = 0
    baseline: int = 0
    batch_findings: int = 0
    new_mappings: int = 0

    @property
    def cases(self) -> bool:
        return bool(self.rejects or self.findings or self.open_cases)


def gather(work: Work, system: str) -> Facts:
    """Begin _cases with what could not be read or mapped: one row a reason. And _passed, empty."""
    facts = _facts(work)
    if facts.new_mappings:
        work.do("versions of mappings", versions_sql(work))
    if facts.cases:
        work.do("main entities", MAIN)
        work.do("cases", rejected_sql(system))
        work.do("passed", PASSED)
    return facts


# Each of `Facts`: the table that it is counted in, and of which rows.
_COUNTED = {
    "rejects": (f"{RUN}.run.rejects", ""),
    "findings": (f"{RUN}.gate.findings", ""),
    "open_cases": ("quality.quarantine", " WHERE closed_at IS NULL"),
    "warnings": ("quality.findings", ""),
    "results": (f"{RUN}.gate.results", ""),
    "baseline": (f"{RUN}.gate.baseline", ""),
    "batch_findings": (f"{RUN}.gate.batch_findings", ""),
    "new_mappings": (f"{RUN}.run.mappings", " WHERE (mapping, hash) NOT IN (SELECT (mapping, hash) FROM ops.mappings)"),
}


def _facts(work: Work) -> Facts:
    """Counted in one query, where there are rows at all."""
    counts = [
        f"(SELECT count(*) FROM {table}{which})" if work.had_rows(table) else "0" for table, which in _COUNTED.values()
    ]
    return Facts(**dict(zip(_COUNTED, work.rows("facts", f"SELECT {', '.join(counts)}")[0], strict=True)))


def versions_sql(work: Work) -> str:
    """A mapping that compiles to what it never compiled to before is its next version."""
    return f"""
        INSERT INTO ops.mappings
        SELECT m.mapping, coalesce((SELECT max(version) FROM ops.mappings o WHERE o.mapping = m.mapping), 0) + 1, m.hash, {work.at}
        FROM {RUN}.run.mappings m ANTI JOIN ops.mappings o ON o.mapping = m.mapping AND o.hash = m.hash ORDER BY 1"""


# A record that could not be read belongs to no mapping: what it would have become is said by the one named as the stream.
MAIN = f"""
    CREATE OR REPLACE TEMP TABLE _main AS
    SELECT stream, arg_min(entity, CASE WHEN ends_with(mapping, '/' || stream) THEN '' ELSE mapping END) AS entity
    FROM {RUN}.run.counts WHERE mapping IS NOT NULL GROUP BY stream"""

PASSED = """
    CREATE OR REPLACE TEMP TABLE _passed (
        system VARCHAR, entity VARCHAR, source_id VARCHAR, stream VARCHAR, sequence BIGINT, line BIGINT,
        pulled_at TIMESTAMP WITH TIME ZONE)"""


def rejected_sql(system: str) -> str:
    return f"""
        CREATE OR REPLACE TEMP TABLE _cases AS
        SELECT {literal(system)} AS system, coalesce(r.entity, m.entity) AS entity, r.source_id, r.stream, r.mapping,
               r.segment, r.line, g.seq AS sequence, g.pulled_at, NULL::VARCHAR AS version, r.code, r.rule, r.field,
               r.message, r.raw, {c.shape_sql("r.raw")} AS shape
        FROM {RUN}.run.rejects r
        LEFT JOIN {RUN}.run.segments g ON g.segment = r.segment
        LEFT JOIN _main m ON m.stream = r.stream"""


def mark(work: Work, entity: Entity, facts: Facts) -> None:
    """Add what the gate marked of one entity to _cases."""
    if facts.findings:
        work.do(f"quarantined {entity.name}", marked_sql(entity))


def note(work: Work, entity: Entity, facts: Facts) -> None:
    """Note what passed, and write the warnings on it. After `incoming.take`."""
    if facts.cases:
        work.do(f"passed {entity.name}", passed_sql(entity))
    if facts.findings or facts.warnings:
        work.do(f"warned {entity.name}", f"CREATE OR REPLACE TEMP TABLE _warned AS {warned_sql(entity)}")
        work.do(f"warnings gone {entity.name}", warnings_gone_sql(entity))
        work.do(f"warnings {entity.name}", new_warnings_sql(work))


# The gate writes a child's own id before its value (`quality/marks.py`); an id has no part in the shape.
_OWN_RAW = "CASE WHEN starts_with(f.rule, f.entity || '.') THEN f.raw ELSE regexp_replace(f.raw, '^[^:]*: ', '') END"


def marked_sql(entity: Entity) -> str:
    return f"""
        INSERT INTO _cases BY NAME
        SELECT m.system, f.entity, m.source_id, g.stream, m.mapping, m._segment AS segment, m._line AS line,
               g.seq AS sequence, g.pulled_at, m.version, f.code, f.rule, f.field, f.message, f.raw,
               {c.shape_sql(_OWN_RAW)} AS shape
        FROM {RUN}.gate.findings f JOIN {mapped(entity)} m ON m._row = f._row
        LEFT JOIN {RUN}.run.segments g ON g.segment = m._segment
        WHERE f.entity = {literal(entity.name)} AND f.severity <> 'warn'"""


def outdated_sql(entity: Entity) -> str:
    """A record older than what the warehouse holds of its key opens no case."""
    return f"""
        DELETE FROM _cases AS n USING {source(entity)} s
        WHERE n.entity = {literal(entity.name)} AND s.source_key = {c.key_sql("n")}
          AND {c.same_record_sql("s", "n")} AND NOT ({newer_sql("n", "s")})"""


def passed_sql(entity: Entity) -> str:
    return f"""
        INSERT INTO _passed BY NAME
        SELECT i.system, {literal(entity.name)} AS entity, i.source_id, i.stream, i.sequence, i.line, i.pulled_at
        FROM _incoming i
        SEMI JOIN (SELECT source_id FROM quality.quarantine WHERE closed_at IS NULL
                   UNION ALL SELECT source_id FROM _cases) q ON q.source_id = i.source_id
        WHERE i.state <> 'stale'"""


def warned_sql(entity: Entity) -> str:
    return f"""
        SELECT i.system, f.entity, i.source_id, f.rule, f.code, f.severity, f.field, f.message, f.raw
        FROM {RUN}.gate.findings f JOIN _incoming i ON i._row = f._row
        WHERE f.entity = {literal(entity.name)} AND f.severity = 'warn' AND i.state <> 'stale'"""


_SAME = "IS NOT DISTINCT FROM".join(
    (
        " (w.system, w.entity, w.source_id, w.rule, w.field, w.message, w.raw) ",
        " (q.system, q.entity, q.source_id, q.rule, q.field, q.message, q.raw)",
    )
)


def warnings_gone_sql(entity: Entity) -> str:
    return f"""
        DELETE FROM quality.findings AS q
        WHERE q.entity = {literal(entity.name)}
          AND EXISTS (SELECT 1 FROM _incoming i
                      WHERE i.state <> 'stale' AND i.system = q.system AND i.source_id = q.source_id)
          AND NOT EXISTS (SELECT 1 FROM _warned w WHERE {_SAME})"""


def new_warnings_sql(work: Work) -> str:
    return f"""
        INSERT INTO quality.findings BY NAME
        SELECT w.*, {work.run} AS run_id, {work.at} AS seen_at FROM _warned w
        WHERE NOT EXISTS (SELECT 1 FROM quality.findings q WHERE {_SAME})"""


def note_batch(work: Work, system: str, facts: Facts) -> None:
    """What the gate's rules say of whole batches, since when; and what was counted to know what is usual."""
    if not facts.baseline:
        return
    ours = f"q.system = {literal(system)} AND q.source_id IS NULL"
    if facts.warnings:
        work.do(
            "findings of batches that are over",
            f"""DELETE FROM quality.findings AS q WHERE {ours} AND q.rule IN (SELECT rule FROM {RUN}.gate.verdicts)
                AND q.rule NOT IN (SELECT rule FROM {RUN}.gate.batch_findings)""",
        )
    if facts.batch_findings:
        work.do(
            "findings of batches",
            f"""INSERT INTO quality.findings BY NAME
                SELECT {literal(system)} AS system, entity, rule, code, severity, field, any_value(message) AS message,
                       string_agg(raw, ', ' ORDER BY raw) AS raw, {work.run} AS run_id, {work.at} AS seen_at
                FROM {RUN}.gate.batch_findings f
                WHERE NOT EXISTS (SELECT 1 FROM quality.findings q WHERE {ours} AND q.rule = f.rule)
                GROUP BY ALL""",
        )
    work.do(
        "profiles",
        f"""INSERT INTO quality.profiles
            SELECT {work.run}, {literal(system)}, entity, field, item, n FROM {RUN}.gate.profile""",
    )


def settle(work: Work, facts: Facts, held: Collection[str], dismissed: Sequence[Dismissal]) -> None:
    """Open and count the cases of this run, close those that are over, and mark those that a person dismissed."""
    from warehouse import dismissals

    if not facts.cases:
        return
    for (name,) in work.rows("entities of cases", "SELECT DISTINCT entity FROM _cases ORDER BY ALL"):
        if name in work.model:
            work.do(f"outdated cases {name}", outdated_sql(work.model[name]))
    work.do("cases to put", put_cases_sql(work))
    work.do("cases", "DELETE FROM quality.quarantine WHERE case_key IN (SELECT case_key FROM _put)")
    work.do(
        "cases", "INSERT INTO quality.quarantine BY NAME SELECT * FROM _put ORDER BY sequence, segment, line, case_key"
    )
    work.do("cases that passed", closed_cases_sql(work))
    work.do("cases that are over", over_sql(work, held))
    if dismissed:
        work.do("dismissed cases", *dismissals.update(dismissed))


def put_cases_sql(work: Work) -> str:
    return f"""
        CREATE OR REPLACE TEMP TABLE _put AS
        WITH keyed AS (
            SELECT *, {c.case_key_sql()} AS case_key, {c.cause_sql("shape")} AS cause FROM _cases
        ), newest AS (
            SELECT * FROM keyed QUALIFY row_number() OVER (PARTITION BY case_key ORDER BY sequence DESC, line DESC) = 1
        ), met AS (
            SELECT n.*, q.first_seen, q.count AS counted, q.closed_at, q.case_key IS NOT NULL AS known,
                   q.segment IS NOT DISTINCT FROM n.segment AND q.line IS NOT DISTINCT FROM n.line AS same_record,
                   q.stream = n.stream AND (q.sequence, q.line) > (n.sequence, n.line) AS older,
                   q.cause IS NOT DISTINCT FROM n.cause AS same_cause
            FROM newest n LEFT JOIN quality.quarantine q ON q.case_key = n.case_key
        )
        SELECT case_key, cause, system, entity, source_id, stream, m.mapping, v.version AS mapping_version,
               h.hash AS mapping_hash, m.segment, m.line, sequence, x.content, code, rule, field, message, raw,
               coalesce(first_seen, {work.at}) AS first_seen, {work.at} AS last_seen,
               coalesce(counted, 0) + CASE WHEN known AND same_record THEN 0 ELSE 1 END AS count,
               {work.run} AS run_id, NULL::TIMESTAMP WITH TIME ZONE AS closed_at
        FROM met m
        LEFT JOIN {RUN}.run.contents x ON x.segment = m.segment AND x.line = m.line
        LEFT JOIN {RUN}.run.mappings h ON h.mapping = m.mapping
        LEFT JOIN ops.mappings v ON v.mapping = h.mapping AND v.hash = h.hash
        WHERE older IS NOT TRUE AND NOT (known AND same_record AND same_cause AND closed_at IS NULL)"""


def closed_cases_sql(work: Work) -> str:
    return f"""
        UPDATE quality.quarantine AS q SET closed_at = {work.at} FROM _passed p
        WHERE q.closed_at IS NULL AND p.system = q.system AND p.entity = q.entity AND p.source_id = q.source_id
          AND CASE WHEN p.stream = q.stream THEN (p.sequence, p.line) >= (q.sequence, q.line) ELSE true END"""


def over_sql(work: Work, held: Collection[str]) -> str:
    """Cases whose record was judged again, the same or a newer version, without this reason being found again.

    The same raw record need not have passed for that: it may be left out now, or be refused for something else.
    """
    waits = ", ".join(literal(name) for name in held) or "NULL"
    return f"""
        UPDATE quality.quarantine AS q SET closed_at = {work.at}
        WHERE q.closed_at IS NULL AND coalesce(q.entity NOT IN ({waits}), true)
          AND NOT EXISTS (SELECT 1 FROM _cases n WHERE {c.case_key_sql("n")} = q.case_key)
          AND (EXISTS (SELECT 1 FROM _cases n WHERE n.system = q.system AND n.entity = q.entity AND n.source_id = q.source_id
                       AND n.stream = q.stream AND (n.sequence, n.line) >= (q.sequence, q.line))
            OR EXISTS (SELECT 1 FROM {RUN}.run.segments g JOIN {RUN}.run.counts r ON r.stream = g.stream
                       WHERE g.segment = q.segment AND q.line <= g.records AND r.mapping IS NOT DISTINCT FROM q.mapping
                         AND NOT EXISTS (SELECT 1 FROM {RUN}.raw._gone x
                                         WHERE x.stream = g.stream AND x._seq = g.base + q.line - 1)))"""
