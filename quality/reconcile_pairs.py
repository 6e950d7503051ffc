"""The SQL that brings two sides together, and says of each key what it is: most agree by their fingerprints and are only counted.

recon_odd     what does not simply agree, in full
recon_pairs   the same with a state: agreed, in_flight, not_expected, out_of_scope or differing
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from quality.reconcile_spec import Match, Pairing, Side, Tolerance
from quality.sql import literal

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Moment:
    """What a run of a reconciliation knows besides the data. `in_flight` are keys that are on their way."""

    now: datetime
    go_live: date | None = None
    in_flight: tuple[str, ...] = ()


def midnight(day: date | None) -> str:
    """As an instant: a DATE would be compared by the session's time zone."""
    return literal(datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None)


def beyond_sql(left: str, right: str, tolerance: Tolerance) -> str:
    """True where two numbers are further apart than the tolerance allows."""
    if not tolerance.percent:
        return f"abs({right} - {left}) > {literal(tolerance.absolute)}"
    allowed = f"greatest({literal(tolerance.absolute * 100)}, abs({left}) * {literal(tolerance.percent)})"
    return f"abs({right} - {left}) * 100 > {allowed}"  # multiplied out, so that no money is divided


def odd_sql(pairing: Pairing, moment: Moment, left: str) -> str:
    """`left` is where the left rows come from, with their origin."""
    begins = pairing.spec.scope_begins(moment.now, moment.go_live)
    in_scope = f"coalesce(coalesce(l.scope_at, r.scope_at) >= {literal(begins)}, true)" if begins else "true"
    sides = (("left", "l"), ("right", "r"))
    names = ("rid", "hub_id", "seen_at", "dated", "done", "needs", "live")
    columns = ", ".join(f"{alias}.{one} AS {prefix}_{one}" for prefix, alias in sides for one in names)
    return f"""
CREATE OR REPLACE TEMP TABLE recon_odd AS
SELECT coalesce(l.key, r.key) AS key, {columns}, l.origin AS left_origin,
  CASE WHEN r.key IS NOT NULL THEN 'recon_right' END AS right_origin,
  l.live_money - l.money AS left_extra, r.live_money - r.money AS right_extra,
  coalesce(l.dated, r.dated) AS record_at, coalesce(l.money, r.money) AS money,
  coalesce(l.fingerprint = r.fingerprint, false) AS same, {in_scope} AS in_scope
FROM ({left}) AS l FULL JOIN recon_right AS r ON l.key = r.key
WHERE NOT coalesce(l.fingerprint = r.fingerprint AND l.live <= 1 AND r.live <= 1 AND {in_scope}, false)"""


def pairs_sql(pairing: Pairing, moment: Moment) -> str:
    edge = literal(moment.now - timedelta(hours=float(pairing.spec.in_flight_hours)))
    young = " OR ".join(
        f"coalesce({_since(moment, side, prefix, pairing.spec.in_flight_column)} > {edge}, false)"
        for prefix, side in (("left", pairing.left), ("right", pairing.right))
    )
    keys = ", ".join(literal(key) for key in moment.in_flight) or "NULL"
    on_the_way = " OR ".join(
        f"coalesce({prefix}_hub_id IN (SELECT hub_id FROM recon_on_the_way WHERE entity = {literal(side.entity)}), false)"
        for prefix, side in (("left", pairing.left), ("right", pairing.right))
    )
    return f"""
CREATE OR REPLACE TEMP TABLE recon_pairs AS
WITH judged AS (
  SELECT *, coalesce(left_live, 0) <= 1 AND coalesce(right_live, 0) <= 1 AS single,
    CASE WHEN right_rid IS NULL THEN NOT left_needs WHEN left_rid IS NULL THEN NOT right_needs ELSE false END AS not_expected,
    ({young}) AND coalesce((SELECT since > {edge} FROM recon_since AS w WHERE w.key = o.key), true) AS young,
    coalesce(key IN ({keys}), false) OR {on_the_way} AS on_the_way
  FROM recon_odd AS o
)
SELECT * EXCLUDE (same, single, in_scope), CASE
    WHEN NOT in_scope THEN 'out_of_scope'
    WHEN not_expected AND single THEN 'not_expected'
    WHEN coalesce(left_done AND right_done, false) OR (same AND single) THEN 'agreed'
    WHEN young OR on_the_way THEN 'in_flight'
    ELSE 'differing' END AS state
FROM judged"""


def _since(moment: Moment, side: Side, prefix: str, column: str | None) -> str:
    """From when the window counts: the record's own date; also when the hub saw it, if that is not just the first load.

    The first load of a system sees everything for the first time. What is older than go-live was not on its way then,
    and no push will bring it. Records without a date are brought by the next push whenever they were made.
    """
    if column is None:
        return f"{prefix}_seen_at"
    first = f"(SELECT loaded_at FROM recon_first WHERE system = {literal(side.system)})"
    return (
        f"greatest({prefix}_dated, CASE WHEN {prefix}_dated >= {midnight(moment.go_live)}"
        f" OR {prefix}_seen_at > {first} THEN {prefix}_seen_at END)"
    )


# -- what no key ties together


def match_sql(pairing: Pairing, match: Match) -> str:
    """recon_matched: which record of the right takes the key of which of the left; each is the other's nearest."""
    if match.split:
        return _split_sql(pairing, match)
    amount = beyond_sql("l.money", "r.money", match.tolerance)
    days = (
        f" AND abs(date_diff('hour', l.dated, r.dated)) <= {literal(match.tolerance.days * 24)}"
        if match.tolerance.days is not None
        else ""
    )
    same = " AND ".join(f"l.m_{column} = r.m_{column}" for column in match.same)
    near = "ORDER BY apart, lag, {} "
    return f"""
CREATE OR REPLACE TEMP TABLE recon_matched AS
WITH near AS (
  SELECT l.rid AS left_rid, r.rid AS right_rid, l.key, abs(r.money - l.money) AS apart,
    coalesce(abs(date_diff('second', l.dated, r.dated)), 0) AS lag
  FROM (FROM recon_left_records ANTI JOIN recon_right_records USING (key)) AS l
  JOIN (FROM recon_right_records ANTI JOIN recon_left_records USING (key)) AS r ON {same}
  WHERE NOT {amount}{days}
)
SELECT right_rid AS rid, key, 'recon_right' AS origin FROM near
QUALIFY row_number() OVER (PARTITION BY left_rid {near.format("right_rid")}) = 1
  AND row_number() OVER (PARTITION BY right_rid {near.format("left_rid")}) = 1"""


def _split_sql(pairing: Pairing, match: Match) -> str:
    """Several records only of a side that has many."""
    columns = ", ".join(f"m_{column}" for column in match.same)
    known = " AND ".join(f"m_{column} IS NOT NULL" for column in match.same)
    days = ""
    if match.tolerance.days is not None:
        days = f" AND date_diff('hour', least(l.first, r.first), greatest(l.last, r.last)) <= {literal(match.tolerance.days * 24)}"
    groups = (
        "SELECT {columns}, min(key) AS key, sum(money) AS money, min(dated) AS first, max(dated) AS last, list(rid) AS rids"
        " FROM {mine} ANTI JOIN {other} USING (key) WHERE {known} GROUP BY ALL{only}"
    )
    one = " HAVING count(*) = 1"
    only = ["" if side.many else one for side in (pairing.left, pairing.right)]
    left, right = "recon_left_records", "recon_right_records"
    return f"""
CREATE OR REPLACE TEMP TABLE recon_matched AS
WITH l AS ({groups.format(columns=columns, mine=left, other=right, known=known, only=only[0])}),
  r AS ({groups.format(columns=columns, mine=right, other=left, known=known, only=only[1])}),
  whole AS (
    SELECT l.key, l.rids AS left_rids, r.rids AS right_rids
    FROM l JOIN r USING ({columns}) WHERE NOT {beyond_sql("l.money", "r.money", match.tolerance)}{days}
  )
SELECT unnest(left_rids) AS rid, key, 'recon_left' AS origin FROM whole
UNION ALL SELECT unnest(right_rids), key, 'recon_right' FROM whole"""


def rekey_sql(table: str) -> str:
    return (
        f"UPDATE {table}_records AS t SET key = m.key FROM recon_matched AS m"
        f" WHERE m.origin = {literal(table)} AND m.rid = t.rid"
    )
