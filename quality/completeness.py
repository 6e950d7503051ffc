"""Completeness: what a system holds, what the lake kept of it and what the hub made of that, by counts and hashes of windows.

Three layers, each a table of (stream, key, hash, day): `full` is a pass over the whole system made just now, `lake` the newest
version of every record kept, `canonical` what the mappings make of the lake beside what the warehouse has. Windows that agree
in count and hash are done with; of the others every record is named.

    complete_windows   stream, kind (keys or day), first, last, count and hash of both sides
    complete_named     code, stream, key, segment, line

A tombstone in the lake says that a record is gone: it is no version of one, and stands in a fifth table, `gone`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

PER_WINDOW = 1000
MOST_GONE = Decimal("0.1")
LAYER = "stream VARCHAR, key VARCHAR, hash VARCHAR, day VARCHAR, segment VARCHAR, line BIGINT"
_SIDES = "FROM complete_full AS s FULL JOIN complete_lake AS l USING (stream, key)"

# Windows of keys are cut where the system's own keys are, so that both sides are cut alike.
_KEYED = f"""
CREATE OR REPLACE TEMP TABLE complete_keyed AS
WITH both_ AS (
  SELECT stream, key, s.hash AS source_hash, l.hash AS lake_hash, coalesce(s.day, l.day) AS day, g.key IS NOT NULL AS buried,
    CASE WHEN g.key IS NULL THEN l.segment ELSE s.segment END AS segment, CASE WHEN g.key IS NULL THEN l.line ELSE s.line END AS line
  {_SIDES} LEFT JOIN complete_gone AS g USING (stream, key)
)
SELECT *, (row_number() OVER (PARTITION BY stream ORDER BY length(key), key) - 1) // {PER_WINDOW} AS place FROM both_"""

_WINDOWS = """
CREATE OR REPLACE TEMP TABLE complete_windows AS
WITH counted AS (
  SELECT stream, 'keys' AS kind, min_by(key, (length(key), key)) AS first, max_by(key, (length(key), key)) AS last,
    count(source_hash) AS source_count, count(lake_hash) AS lake_count,
    sum(hash(key, source_hash)::HUGEINT) FILTER (source_hash IS NOT NULL) AS source_hash,
    sum(hash(key, lake_hash)::HUGEINT) FILTER (lake_hash IS NOT NULL) AS lake_hash
  FROM complete_keyed GROUP BY stream, place
  UNION ALL
  SELECT stream, 'day', day, day, count(source_hash), count(lake_hash),
    sum(hash(key, source_hash)::HUGEINT) FILTER (source_hash IS NOT NULL), sum(hash(key, lake_hash)::HUGEINT) FILTER (lake_hash IS NOT NULL)
  FROM complete_keyed WHERE day IS NOT NULL GROUP BY stream, day
)
SELECT *, (source_count, source_hash) IS NOT DISTINCT FROM (lake_count, lake_hash) AS agrees FROM counted"""

_NAMED = """
CREATE OR REPLACE TEMP TABLE complete_named AS
WITH odd AS (SELECT stream, first, last FROM complete_windows WHERE kind = 'keys' AND NOT agrees)
SELECT CASE WHEN buried THEN 'R306' WHEN lake_hash IS NULL THEN 'R301' WHEN source_hash IS NULL THEN 'R303' ELSE 'R302' END AS code,
  k.stream, key, segment, line
FROM complete_keyed AS k JOIN odd ON k.stream = odd.stream
  AND (length(key), key) >= (length(first), first) AND (length(key), key) <= (length(last), last)
WHERE source_hash IS DISTINCT FROM lake_hash
UNION ALL
SELECT 'R304', stream, key, segment, line FROM complete_mapped AS m
WHERE NOT EXISTS (SELECT 1 FROM complete_kept AS k WHERE k.stream = m.stream AND k.key = m.key)"""


@dataclass(frozen=True, slots=True)
class Missing:
    """One record that is not where it should be; `segment` and `line` where the lake has it, of one that is there again the pass."""

    code: str
    stream: str
    key: str
    segment: str | None
    line: int | None


@dataclass(slots=True)
class Completeness:
    """`refused` are streams for which nothing is inferred about deletes, and why (R305)."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    windows: int = 0
    windows_odd: int = 0
    missing: list[Missing] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def prepare(con: Any) -> None:
    """Empty layers, to be filled: full and lake, and of entities: mapped (from the lake) and kept (in the warehouse)."""
    for layer in ("full", "lake", "gone", "mapped", "kept"):
        con.execute(f"CREATE OR REPLACE TABLE complete_{layer} ({LAYER})")


def bury(con: Any, tombstones: Sequence[str]) -> None:
    """Take the records of these segments out of the layer `lake`, where they are the newest of their keys."""
    con.execute(
        "INSERT INTO complete_gone FROM complete_lake WHERE list_contains($1::VARCHAR[], segment)", [tombstones]
    )
    con.execute("DELETE FROM complete_lake WHERE list_contains($1::VARCHAR[], segment)", [tombstones])


def compare(con: Any, streams: Sequence[str], most_gone: Decimal = MOST_GONE) -> Completeness:
    """What is missing where. `streams` are those that were read from end to end: of others nothing is said.

    A record that the lake has and the system has not is taken for deleted there, unless the whole pass was empty or more than
    the share `most_gone` of the stream is gone: then the pass is not believed.
    """
    for statement in (_KEYED, _WINDOWS, _NAMED):
        con.execute(statement)
    made = Completeness()
    rows = con.execute(
        "SELECT stream, count(source_hash), count(lake_hash) FROM complete_keyed GROUP BY stream ORDER BY stream"
    )
    made.counts = {
        stream: {"source": source, "lake": lake} for stream, source, lake in rows.fetchall() if stream in streams
    }
    made.windows, made.windows_odd = con.execute(
        "SELECT count(*), count(*) FILTER (NOT agrees) FROM complete_windows"
    ).fetchone()
    found = [
        Missing(*row)
        for row in con.execute("SELECT * FROM complete_named ORDER BY code, stream, length(key), key").fetchall()
    ]
    for stream, counts in made.counts.items():
        gone = sum(one.code == "R303" and one.stream == stream for one in found)
        if gone and (not counts["source"] or gone > most_gone * counts["lake"]):
            what = (
                "the full pass brought nothing"
                if not counts["source"]
                else f"{gone:,} of {counts['lake']:,} records would be gone"
            )
            made.refused[stream] = f"R305 {what}; no delete is inferred"
    silent = {("R303", stream) for stream in made.refused}
    made.missing = [
        one for one in found if (one.code, one.stream) not in silent and (one.code == "R304" or one.stream in streams)
    ]
    return made
