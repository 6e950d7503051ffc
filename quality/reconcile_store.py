"""Keeps what a comparison found: a break opens, changes, closes itself and opens again, and its history stays."""

from __future__ import annotations

from datetime import datetime

import duckdb

from quality.reconcile_spec import BUCKETS, Spec
from quality.sql import literal

_EVENT = """
CREATE OR REPLACE TEMP TABLE recon_next AS
SELECT f.*, b.opened_at, b.times_opened, CASE
    WHEN b.break_id IS NULL THEN 'opened'
    WHEN b.state = 'closed' THEN 'reopened'
    WHEN (b.reason, b.difference, b.money_at_risk) IS DISTINCT FROM (f.reason, f.difference, f.money_at_risk) THEN 'changed'
    ELSE 'seen' END AS event
FROM recon_all_found AS f LEFT JOIN recon.breaks AS b USING (break_id)"""

_CLOSING = """
CREATE OR REPLACE TEMP TABLE recon_closing AS
SELECT break_id, reason, difference, money_at_risk FROM recon.breaks AS b
WHERE b.name = {name} AND b.state = 'open'
  AND b.break_id NOT IN (SELECT break_id FROM recon_all_found)
  AND (coalesce(b.pairing, 0), b.key) NOT IN (
    SELECT (pairing, key) FROM recon_all_states WHERE state IN ('in_flight', 'out_of_scope'))"""

_HISTORY = """
INSERT INTO recon.break_history BY NAME
SELECT break_id, {at} AS happened_at, event, reason, difference, money_at_risk, {run} AS run_id FROM recon_next WHERE event <> 'seen'
UNION ALL BY NAME
SELECT break_id, {at} AS happened_at, 'closed' AS event, reason, difference, money_at_risk, {run} AS run_id FROM recon_closing"""

_CLOSE = """
UPDATE recon.breaks SET state = 'closed', closed_at = {at}, run_id = {run}
WHERE break_id IN (SELECT break_id FROM recon_closing)"""

_KEEP = """
INSERT INTO recon.breaks BY NAME
WITH first AS (
  SELECT break_id, side, min_by({{'source_id': source_id, 'segment': segment, 'line': line}}, source_id) AS record FROM recon_all_records GROUP BY ALL
), aged AS (
  SELECT *, date_diff('hour', record_at, {at}) AS age_hours,
    CASE WHEN event IN ('opened', 'reopened') THEN {at} ELSE opened_at END AS since
  FROM recon_next
), judged AS (SELECT *, {severity} AS severity FROM aged)
SELECT j.* EXCLUDE (event, opened_at, since, times_opened, left_origin, left_rid, right_rid), 'open' AS state, left_entity AS entity,
  l.record.source_id AS left_source_id, l.record.segment AS left_segment, l.record.line AS left_line,
  r.record.source_id AS right_source_id, r.record.segment AS right_segment, r.record.line AS right_line,
  {owner} AS owner, {bucket} AS age_bucket, since AS opened_at, {due} AS due_at,
  {at} AS last_seen_at, NULL AS closed_at, {run} AS run_id,
  coalesce(times_opened, 0) + (event IN ('opened', 'reopened'))::INTEGER AS times_opened
FROM judged AS j
LEFT JOIN first AS l ON l.break_id = j.break_id AND l.side = 'left'
LEFT JOIN first AS r ON r.break_id = j.break_id AND r.side = 'right'"""

_SINCE = (
    """
CREATE OR REPLACE TEMP TABLE recon_since_next AS
SELECT {name} AS name, s.pairing, s.key, coalesce(min(d.since), {at}) AS since
FROM recon_all_states AS s LEFT JOIN recon.differing_since AS d ON d.name = {name} AND d.pairing = s.pairing AND d.key = s.key
WHERE s.state IN ('in_flight', 'differing') GROUP BY s.pairing, s.key""",
    "DELETE FROM recon.differing_since WHERE name = {name}",
    "INSERT INTO recon.differing_since BY NAME FROM recon_since_next",
)


def severity_sql(spec: Spec) -> str:
    """Amount first; age raises what is worth something. Rounding never becomes urgent."""
    high, medium = spec.severity["high"], spec.severity["medium"]
    money, old = "money_at_risk", "coalesce(age_hours, 0) >= {} * 24"
    return (
        f"CASE WHEN reason = 'rounding' THEN 'low'"
        f" WHEN {money} >= {literal(high.amount)} OR ({money} >= {literal(medium.amount)} AND {old.format(high.days)}) THEN 'high'"
        f" WHEN {money} >= {literal(medium.amount)} OR ({money} > 0 AND {old.format(medium.days)}) THEN 'medium' ELSE 'low' END"
    )


def _due_sql(spec: Spec) -> str:
    days = " ".join(f"WHEN {literal(level)} THEN {said.due}" for level, said in spec.severity.items())
    return f"since + to_days(CASE severity {days} END)"


def _bucket_sql() -> str:
    whens = "".join(
        f" WHEN age_hours < {last + 1} * 24 THEN {literal(text)}" for last, text in BUCKETS if last is not None
    )
    return f"CASE WHEN age_hours IS NULL THEN NULL{whens} ELSE {literal(BUCKETS[-1][1])} END"


def store(con: duckdb.DuckDBPyConnection, spec: Spec, now: datetime, run_id: str) -> None:
    said = {
        "at": literal(now),
        "run": literal(run_id),
        "name": literal(spec.name),
        "owner": literal(spec.owner),
        "severity": severity_sql(spec),
        "bucket": _bucket_sql(),
        "due": _due_sql(spec),
    }
    for statement in (_EVENT, _CLOSING, _HISTORY, _CLOSE):
        con.execute(statement.format(**said))
    for table in ("breaks", "break_parts", "break_records"):
        con.execute(f"DELETE FROM recon.{table} WHERE break_id IN (SELECT break_id FROM recon_all_found)")
    con.execute(_KEEP.format(**said))
    con.execute("INSERT INTO recon.break_parts BY NAME FROM recon_all_parts")
    con.execute("INSERT INTO recon.break_records BY NAME FROM recon_all_records")
    for statement in _SINCE:
        con.execute(statement.format(**said))


def compare_only(con: duckdb.DuckDBPyConnection) -> None:
    """What `store` would have made, with nothing opened and nothing closed."""
    con.execute("CREATE OR REPLACE TEMP TABLE recon_next AS SELECT *, 'seen' AS event FROM recon_all_found")
    con.execute("CREATE OR REPLACE TEMP TABLE recon_closing AS SELECT break_id FROM recon_all_found WHERE false")
