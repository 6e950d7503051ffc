"""The SQL of a reconciliation, as named steps: fingerprints first, and only what differs is read in full.

    recon_left, recon_right   one row a key and side: its record, what it needs, its fingerprint
    recon_pairs               one row a key: agreed, in flight, not expected, out of scope, or differing
    recon_wide                the differing ones with every compared column of both sides
    recon_parts               the parts of each amount difference; they add up to it
    recon_found               the breaks that are there now

All differences are right minus left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from quality.checks import Condition
from quality.reconcile_spec import REASONS, Side, Spec
from quality.sql import literal, name

MONEY = "DECIMAL(18, 4)"


@dataclass(frozen=True, slots=True)
class Moment:
    """What a run of a reconciliation knows besides the data. `in_flight` are keys that are on their way."""

    now: datetime
    go_live: date | None = None
    in_flight: tuple[str, ...] = ()


def _all(conditions: Iterable[Condition], alias: str, default: str) -> str:
    parts = [condition.sql(f"{alias}.{name(condition.column)}") for condition in conditions]
    return " AND ".join(parts) or default


def _status(spec: Spec, column: str) -> str:
    """The status with the values that count as one folded into the first of them."""
    folds = "".join(
        f" WHEN {column} IN ({', '.join(literal(value) for value in group)}) THEN {literal(group[0])}"
        for group in spec.same_status
        if group
    )
    return f"CASE{folds} ELSE {column} END" if folds else column


def side_sql(spec: Spec, side: Side, table: str) -> str:
    """One row a key. Of several records with one key the live one that was seen last speaks; `live` counts them."""
    compared = [_status(spec, f"s.{name(spec.status)}")] if spec.status else []
    compared += [f"s.{name(column)}" for column in (spec.currency, spec.customer) if column]
    compared += [f"s.{name(spec.amount.column)}"] if spec.amount else []
    compared += ["q.quantity"] if spec.quantity else []
    quantities = "SELECT NULL AS parent_source_id, NULL AS quantity WHERE false"
    if spec.quantity:
        child, column = spec.quantity
        quantities = (
            f"SELECT parent_source_id, sum({name(column)}) AS quantity FROM source.{name(child)}"
            f" WHERE system = {literal(side.system)} GROUP BY parent_source_id"
        )
    own = ""
    if side.own_when_equal:
        own = " AND s.{} IS DISTINCT FROM s.{}".format(*(name(column) for column in side.own_when_equal))
    if side.key_matches:
        own += f" AND regexp_full_match(s.{name(spec.key)}, {literal(side.key_matches)})"
    return f"""
CREATE OR REPLACE TEMP TABLE {table} AS
WITH quantities AS ({quantities}), records AS (
  SELECT s.{name(spec.key)} AS key, s.source_id, s.hub_id, s.seen_at, q.quantity,
    {f"s.{name(spec.scope_column)}" if spec.scope_column else "NULL"}::TIMESTAMPTZ AS scope_at,
    {f"s.{name(spec.in_flight_column)}" if spec.in_flight_column else "NULL"}::TIMESTAMPTZ AS dated,
    {f"s.{name(spec.amount.column)}" if spec.amount else "0"}::{MONEY} AS money,
    {_all(spec.done, "s", "false")} AS done,
    {_all(side.needs, "s", "true")} AS needs,
    hash({", ".join(compared) or "1"}) AS fingerprint
  FROM source.{name(spec.entity)} AS s LEFT JOIN quantities AS q ON q.parent_source_id = s.source_id
  WHERE s.system = {literal(side.system)} AND s.{name(spec.key)} IS NOT NULL{own}
)
SELECT *, count(*) FILTER (NOT done) OVER of_key AS live, sum(money) FILTER (NOT done) OVER of_key AS live_money
FROM records
WINDOW of_key AS (PARTITION BY key)
QUALIFY row_number() OVER (PARTITION BY key ORDER BY done, seen_at DESC, source_id) = 1"""


def _since(moment: Moment, side: Side, alias: str) -> str:
    """From when the window counts: the record's own date; also when the hub saw it, if that is not just the first load.

    The first load of a system sees everything for the first time. What is older than go-live was not on its way then,
    and no push will bring it.
    """
    return (
        f"greatest({alias}.dated, CASE WHEN {alias}.dated >= {_midnight(moment.go_live)}"
        f" OR {alias}.seen_at > (SELECT loaded_at FROM recon_first WHERE system = {literal(side.system)}) THEN {alias}.seen_at END)"
    )


def _midnight(day: date | None) -> str:
    """As an instant: a DATE would be compared by the session's time zone."""
    return literal(datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None)


def pairs_sql(spec: Spec, moment: Moment) -> str:
    window = timedelta(hours=float(spec.in_flight_hours))
    begins = spec.scope_begins(moment.now, moment.go_live)
    in_scope = f"coalesce(coalesce(l.scope_at, r.scope_at) >= {literal(begins)}, true)" if begins else "true"
    edge = literal(moment.now - window)
    since = [f"coalesce({_since(moment, side, alias)} > {edge}, false)" for side, alias in _sides(spec)]
    keys = ", ".join(literal(key) for key in moment.in_flight) or "NULL"
    return f"""
CREATE OR REPLACE TEMP TABLE recon_pairs AS
WITH joined AS (
  SELECT coalesce(l.key, r.key) AS key, l.source_id AS left_id, r.source_id AS right_id,
    l.live AS left_live, r.live AS right_live, l.quantity AS left_quantity, r.quantity AS right_quantity,
    l.live_money - l.money AS left_extra, r.live_money - r.money AS right_extra,
    coalesce(l.dated, r.dated) AS record_at, coalesce(l.money, r.money) AS money,
    coalesce(l.fingerprint = r.fingerprint, false) AS same,
    l.done AND r.done AS both_done,
    CASE WHEN r.key IS NULL THEN NOT l.needs WHEN l.key IS NULL THEN NOT r.needs ELSE false END AS not_expected,
    coalesce(l.live, 0) <= 1 AND coalesce(r.live, 0) <= 1 AS single,
    {in_scope} AS in_scope,
    {" OR ".join(since)} OR coalesce(coalesce(l.key, r.key) IN ({keys}), false)
      OR coalesce(l.hub_id IN (SELECT hub_id FROM recon_on_the_way), false)
      OR coalesce(r.hub_id IN (SELECT hub_id FROM recon_on_the_way), false) AS in_flight
  FROM recon_left AS l FULL JOIN recon_right AS r ON l.key = r.key
)
SELECT * EXCLUDE (same, both_done, single, in_scope, in_flight), CASE
    WHEN NOT in_scope THEN 'out_of_scope'
    WHEN not_expected AND single THEN 'not_expected'
    WHEN coalesce(both_done, false) OR (same AND single) THEN 'agreed'
    WHEN in_flight THEN 'in_flight'
    ELSE 'differing' END AS state
FROM joined"""


def _sides(spec: Spec) -> tuple[tuple[Side, str], tuple[Side, str]]:
    return (spec.left, "l"), (spec.right, "r")


def wide_sql(spec: Spec) -> str:
    """Every compared column of both sides, for the differing keys only. `comparable`: the money means the same."""
    columns: list[str] = []
    for prefix, alias in (("left", "l"), ("right", "r")):
        columns += [f"{alias}.segment AS {prefix}_segment", f"{alias}.line AS {prefix}_line"]
        for column, label in ((spec.status, "status"), (spec.currency, "currency"), (spec.customer, "customer")):
            value = f"{alias}.{name(column)}" if column else "NULL"
            columns.append(f"{value} AS {prefix}_{label}")
        columns.append(
            f"{f'{alias}.{name(spec.amount.column)}' if spec.amount else 'NULL'}::{MONEY} AS {prefix}_amount"
        )
        for part in spec.amount.parts if spec.amount else ():
            columns.append(f"{alias}.{name(part.column)} AS {prefix}_part_{part.reason}")
    joins = "".join(
        f"\nLEFT JOIN source.{name(spec.entity)} AS {alias} ON {alias}.system = {literal(side.system)}"
        f" AND {alias}.source_id = p.{prefix}_id"
        for prefix, (side, alias) in zip(("left", "right"), _sides(spec), strict=True)
    )
    statuses = " IS NOT DISTINCT FROM ".join(_status(spec, f"{prefix}_status") for prefix in ("left", "right"))
    return f"""
CREATE OR REPLACE TEMP TABLE recon_wide AS
WITH wide AS (
  SELECT p.*, {", ".join(columns)}
  FROM recon_pairs AS p{joins}
  WHERE p.state = 'differing'
)
SELECT *, left_id IS NOT NULL AND right_id IS NOT NULL AS paired,
  {statuses} AS same_status,
  coalesce(left_currency = right_currency, true) AS same_currency,
  paired AND same_status AND same_currency AS comparable,
  abs(left_quantity - right_quantity) > {literal(spec.quantity_tolerance)} AS other_quantity,
  right_amount - left_amount AS difference,
  coalesce(left_currency, right_currency) AS currency
FROM wide"""


def parts_sql(spec: Spec) -> str:
    """The parts of each amount difference. Small ones together are rounding; what no part explains is unknown."""
    amount = spec.amount
    if amount is None:
        return f"CREATE OR REPLACE TEMP TABLE recon_parts AS SELECT '' AS key, '' AS part, 0::{MONEY} AS amount WHERE false"
    deltas = {
        part.reason: f"coalesce({part.sign} * (right_part_{part.reason} - left_part_{part.reason}), 0)"
        for part in amount.parts
    }
    # Other quantities are the reason for other line totals.
    names = {"amount": "CASE WHEN other_quantity THEN 'quantity' ELSE 'amount' END"}
    rest = " - ".join(["difference", *deltas.values()])
    branches = [
        f"SELECT key, {names.get(r, literal(r))} AS part, {delta} AS amount FROM differing"
        for r, delta in deltas.items()
    ]
    branches.append(f"SELECT key, 'unknown', {rest} FROM differing")
    return f"""
CREATE OR REPLACE TEMP TABLE recon_parts AS
WITH differing AS (
  SELECT * FROM recon_wide WHERE comparable AND abs(difference) > {literal(amount.tolerance)}
), parts AS (
  {f"{chr(10)}  UNION ALL ".join(branches)}
)
SELECT key, CASE WHEN abs(amount) <= {literal(amount.rounding)} THEN 'rounding' ELSE part END AS part,
  sum(amount)::{MONEY} AS amount
FROM parts WHERE amount <> 0 GROUP BY ALL HAVING sum(amount) <> 0"""


def found_sql(spec: Spec, moment: Moment) -> str:
    """The breaks: of a key at most one an aspect. `money` is what could be lost at most."""
    rank = "CASE part" + "".join(f" WHEN {literal(reason)} THEN {n}" for n, reason in enumerate(REASONS)) + " END"
    codes = "CASE reason" + "".join(f" WHEN {literal(r)} THEN {literal(code)}" for r, code in REASONS.items()) + " END"
    both = "greatest(abs(left_amount), abs(right_amount))"
    before = f"record_at < {_midnight(moment.go_live)}" if moment.go_live else "false"
    missing = (
        f"CASE WHEN {before} THEN 'from before go-live: no push will bring it' ELSE 'it should have arrived by now' END"
    )
    aspects = [
        _aspect("presence", "'missing_right'", "right_id IS NULL AND NOT not_expected", "abs(money)", ("left_amount", "NULL"), missing),
        _aspect("presence", "'missing_left'", "left_id IS NULL AND NOT not_expected", "abs(money)", ("NULL", "right_amount")),
        _aspect(
            "duplicate", "'duplicate'", "greatest(coalesce(left_live, 0), coalesce(right_live, 0)) > 1",
            "coalesce(left_extra, 0) + coalesce(right_extra, 0)", ("left_live", "right_live"), "'several live records'",
        ),
        _aspect("status", "'status'", "paired AND NOT same_status", both, ("left_status", "right_status")),
        _aspect("currency", "'currency'", "paired AND same_status AND NOT same_currency", both, ("left_currency", "right_currency")),
        _aspect(
            "amount", "reason_of.part", "reason_of.key IS NOT NULL", "abs(difference)", ("left_amount", "right_amount"), "reason_of.said"
        ),
        _aspect(
            "quantity", "'quantity'", "comparable AND other_quantity AND reason_of.key IS NULL", "0",
            ("left_quantity", "right_quantity"),
        ),
        _aspect(
            "customer", "'customer'", "comparable AND left_customer <> right_customer", both,
            ("left_customer", "right_customer"), "'hub ids of the two customers'",
        ),
    ]  # fmt: skip
    return f"""
CREATE OR REPLACE TEMP TABLE recon_found AS
WITH reason_of AS (
  SELECT key, first(part ORDER BY abs(amount) DESC, {rank}) AS part,
    string_agg(part || ' ' || amount, ', ' ORDER BY abs(amount) DESC, part) AS said
  FROM recon_parts GROUP BY key
), found AS (
  {f"{chr(10)}  UNION ALL ".join(aspects)}
)
SELECT md5(concat_ws('|', {literal(spec.name)}, aspect, key))[:16] AS break_id, {literal(spec.name)} AS name, *,
  {codes} AS code
FROM found"""


def _aspect(aspect: str, reason: str, where: str, money: str, values: tuple[str, str], detail: str = "''") -> str:
    left, right = (f"{value}::VARCHAR" for value in values)
    return (
        f"SELECT {literal(aspect)} AS aspect, {reason} AS reason, w.key AS key,"
        f" left_id AS left_source_id, left_segment, left_line, right_id AS right_source_id, right_segment, right_line,"
        f" currency, {left} AS left_value, {right} AS right_value,"
        f" CASE WHEN {literal(aspect)} = 'amount' THEN difference END AS difference,"
        f" ({money})::{MONEY} AS money_at_risk, record_at, {detail} AS detail"
        f" FROM recon_wide AS w LEFT JOIN reason_of ON reason_of.key = w.key WHERE {where}"
    )
