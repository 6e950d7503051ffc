"""The SQL of the breaks: only what differs is read in full, and an amount is split into parts that add up to it.

    recon_wide    the differing keys with every compared value of both sides
    recon_parts   the parts of each amount difference
    recon_found   the breaks that are there now, of a key at most one an aspect

All differences are right minus left.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.secrets import MASK
from quality.reconcile_pairs import Moment, beyond_sql, midnight
from quality.reconcile_sides import MONEY, status_sql, values
from quality.reconcile_spec import REASONS, Field, Pairing, Side
from quality.sql import literal, name


def wide_sql(pairing: Pairing, left_values: str) -> str:
    """`comparable`: the money means the same."""
    columns = [
        f"{alias}.{name(key)} AS {name(f'{prefix}_{key}')}"
        for prefix, alias in (("left", "l"), ("right", "r"))
        for key in values(pairing, pairing.left)
    ]
    statuses = " IS NOT DISTINCT FROM ".join(status_sql(pairing, f"{side}_status") for side in ("left", "right"))
    has = values(pairing, pairing.left)
    return f"""
CREATE OR REPLACE TEMP TABLE recon_wide AS
WITH wide AS (
  SELECT p.*{"".join(f", {column}" for column in columns)}
  FROM recon_pairs AS p LEFT JOIN ({left_values}) AS l USING (key) LEFT JOIN recon_right_values AS r USING (key)
  WHERE p.state IN ('differing', 'in_flight')
)
SELECT *, left_rid IS NOT NULL AND right_rid IS NOT NULL AS paired,
  {statuses if "status" in has else "true"} AS same_status,
  {"coalesce(left_currency = right_currency, true)" if "currency" in has else "true"} AS same_currency,
  paired AND same_status AND same_currency AS comparable,
  {_quantities(pairing)} AS other_quantity,
  {"right_amount - left_amount" if "amount" in has else f"NULL::{MONEY}"} AS difference,
  {"coalesce(left_currency, right_currency)" if "currency" in has else "NULL::VARCHAR"} AS currency
FROM wide"""


def _quantities(pairing: Pairing) -> str:
    if not pairing.quantity:
        return "false"
    return f"coalesce(abs(left_quantity - right_quantity) > {literal(pairing.spec.quantity_tolerance)}, false)"


def parts_sql(pairing: Pairing) -> str:
    """Small parts together are rounding; what no part explains is unknown, or the amount where a side names no parts."""
    amount = pairing.amount
    if amount is None:
        return f"CREATE OR REPLACE TEMP TABLE recon_parts AS SELECT '' AS key, '' AS part, 0::{MONEY} AS amount, ''::VARCHAR AS said WHERE false"
    deltas = {
        part.reason: f"coalesce({part.sign} * (right_part_{part.reason} - left_part_{part.reason}), 0)"
        for part in pairing.parts
    }
    # Other quantities are the reason for other line totals.
    names = {"amount": "CASE WHEN other_quantity THEN 'quantity' ELSE 'amount' END"}
    rest = " - ".join(["difference", *deltas.values()])
    converted = _converted(pairing)
    branches = [
        f"SELECT key, {names.get(r, literal(r))} AS part, {delta} AS amount FROM differing WHERE NOT converted"
        for r, delta in deltas.items()
    ]
    branches.append(
        f"SELECT key, {literal('unknown' if 'amount' in deltas else 'amount')}, {rest} FROM differing WHERE NOT converted"
    )
    branches.append("SELECT key, 'fx', difference FROM differing WHERE converted")
    return f"""
CREATE OR REPLACE TEMP TABLE recon_parts AS
WITH differing AS (
  SELECT *, {converted} AS converted FROM recon_wide
  WHERE comparable AND {beyond_sql("left_amount", "right_amount", amount.tolerance)}
), parts(key, part, amount) AS (
  {f"{chr(10)}  UNION ALL ".join(branches)}
)
SELECT key, CASE WHEN abs(amount) <= {literal(amount.rounding)} AND part <> 'fx' THEN 'rounding' ELSE part END AS part,
  sum(amount)::{MONEY} AS amount
FROM parts WHERE amount <> 0 GROUP BY ALL HAVING sum(amount) <> 0"""


def _converted(pairing: Pairing) -> str:
    """Every part is off by one factor, shipping too, which does not follow the goods: somebody converted the currency."""
    assert pairing.amount is not None
    if not {"amount", "shipping"} <= {part.reason for part in pairing.parts}:
        return "false"
    rounding = literal(pairing.amount.rounding)
    tests = ["NOT other_quantity", "left_amount > 0", "right_amount > 0", "left_part_amount > 0"]
    tests.append(f"abs(right_part_shipping - left_part_shipping) > {rounding}")
    for part in pairing.parts:  # multiplied out, so that no money is divided
        left, right = (f"coalesce({side}_part_{part.reason}, 0)" for side in ("left", "right"))
        tests.append(f"abs({right} * left_amount - {left} * right_amount) <= 2 * {rounding} * left_amount")
    return f"coalesce({' AND '.join(tests)}, false)"


def found_sql(pairing: Pairing, moment: Moment) -> str:
    """`money` is what could be lost at most."""
    spec = pairing.spec
    rank = "CASE part" + "".join(f" WHEN {literal(reason)} THEN {n}" for n, reason in enumerate(REASONS)) + " END"
    codes = "CASE reason" + "".join(f" WHEN {literal(r)} THEN {literal(code)}" for r, code in REASONS.items()) + " END"
    scope = [spec.name] + [spec.label(side) for side in (pairing.left, pairing.right) if pairing.number]
    return f"""
CREATE OR REPLACE TEMP TABLE recon_found AS
WITH reason_of AS (
  SELECT key, first(part ORDER BY abs(amount) DESC, {rank}) AS part,
    string_agg(part || ' ' || amount, ', ' ORDER BY abs(amount) DESC, part) AS said
  FROM recon_parts GROUP BY key
), found AS (
  {f"{chr(10)}  UNION ALL ".join(_aspects(pairing, moment))}
)
SELECT md5(concat_ws('|', {", ".join(map(literal, scope))}, aspect, key))[:16] AS break_id, {literal(spec.name)} AS name,
  {pairing.number} AS pairing, *, {codes} AS code
FROM found"""


# Within tolerances, or where one side says nothing, what is young agrees already; what is on its way is no break yet.
SETTLED = (
    "UPDATE recon_pairs SET state = 'agreed' WHERE state = 'in_flight' AND NOT not_expected AND key NOT IN (SELECT key FROM recon_found)",
    "DELETE FROM recon_found WHERE state = 'in_flight'",
)


def _aspects(pairing: Pairing, moment: Moment) -> list[str]:
    has = values(pairing, pairing.left)
    amounts = ("left_amount", "right_amount") if "amount" in has else ("NULL", "NULL")
    both = "greatest(abs(left_amount), abs(right_amount))" if "amount" in has else "0"
    before = f"record_at < {midnight(moment.go_live)}" if moment.go_live and pairing.spec.in_flight_column else "false"
    missing = (
        f"CASE WHEN {before} THEN 'from before go-live: no push will bring it' ELSE 'it should have arrived by now' END"
    )
    made = [
        _aspect("presence", "'missing_right'", "right_rid IS NULL AND NOT not_expected", "abs(money)", (amounts[0], "NULL"), missing),
        _aspect("presence", "'missing_left'", "left_rid IS NULL AND NOT not_expected", "abs(money)", ("NULL", amounts[1])),
        _aspect(
            "duplicate", "'duplicate'", "greatest(coalesce(left_live, 0), coalesce(right_live, 0)) > 1",
            "coalesce(left_extra, 0) + coalesce(right_extra, 0)", ("left_live", "right_live"), "'several live records'",
        ),
    ]  # fmt: skip
    if "status" in has:
        made.append(_aspect("status", "'status'", "paired AND NOT same_status", both, ("left_status", "right_status")))
    if "currency" in has:
        other = "paired AND same_status AND NOT same_currency"
        made.append(_aspect("currency", "'currency'", other, both, ("left_currency", "right_currency")))
    if "amount" in has:
        known = "reason_of.key IS NOT NULL"
        made.append(_aspect("amount", "reason_of.part", known, "abs(difference)", amounts, "reason_of.said"))
    if "quantity" in has:
        other = "comparable AND other_quantity AND reason_of.key IS NULL"
        made.append(_aspect("quantity", "'quantity'", other, "0", ("left_quantity", "right_quantity")))
    if "customer" in has:
        other = "comparable AND left_customer <> right_customer"
        shown = [_own_id(pairing, prefix, side) for prefix, side in (("left", pairing.left), ("right", pairing.right))]
        made.append(_aspect("customer", "'customer'", other, both, shown, "'the ids of two customers'"))
    return made + [_field(field) for field in pairing.fields]


def _own_id(pairing: Pairing, prefix: str, side: Side) -> str:
    """The customer's id as people find it in the side's system; the hub's is nothing that they ever see."""
    column = name(f"{side.column(str(pairing.customer))}_ref")
    own = f"SELECT s.{column} FROM source.{name(side.entity)} AS s WHERE s.rowid = {prefix}_rid"
    return f"coalesce(({own}), {prefix}_customer::VARCHAR)"


def _field(field: Field) -> str:
    left, right = (name(f"{side}_field_{field.column}") for side in ("left", "right"))
    differs = f"coalesce({left} <> {right}, false)" if field.both else f"{left} IS DISTINCT FROM {right}"
    if field.tolerance and field.tolerance.days is not None:
        apart = (
            f"abs(date_diff('hour', {left}::TIMESTAMPTZ, {right}::TIMESTAMPTZ)) <= {literal(field.tolerance.days * 24)}"
        )
        differs += f" AND NOT coalesce({apart}, false)"
    elif field.tolerance:
        differs += f" AND coalesce({beyond_sql(left, right, field.tolerance)}, true)"
    shown = [left, right]
    if field.pii:
        shown = [f"CASE WHEN {value} IS NOT NULL THEN {literal(MASK)} END" for value in shown]
    return _aspect(field.column, literal(field.reason), f"comparable AND {differs}", "0", shown, literal(field.column))


def _aspect(aspect: str, reason: str, where: str, money: str, shown: Sequence[str], detail: str = "''") -> str:
    left, right = (f"({value})::VARCHAR" for value in shown)
    return (
        f"SELECT {literal(aspect)} AS aspect, {reason} AS reason, w.key AS key, w.state, left_origin, left_rid, right_rid,"
        f" currency, {left} AS left_value, {right} AS right_value,"
        f" CASE WHEN {literal(aspect)} = 'amount' THEN difference END AS difference,"
        f" ({money})::{MONEY} AS money_at_risk, record_at, {detail} AS detail"
        f" FROM recon_wide AS w LEFT JOIN reason_of ON reason_of.key = w.key WHERE {where}"
    )


def records_sql(tables: list[tuple[str, Side]], runs: bool) -> str:
    """recon_records: the raw records behind each break, by their place in the lake, and the mapping that read them."""
    branches = []
    for table, side in tables:
        prefix = "right" if table == "recon_right" else "left"
        this = (
            "right_rid IS NOT NULL" if prefix == "right" else f"left_rid IS NOT NULL AND left_origin = {literal(table)}"
        )
        branches.append(
            f"SELECT break_id, {literal(prefix)} AS side, s.system, {literal(side.entity)} AS entity, s.source_id, s.hub_id,"
            f" s.segment, s.line, s.mapping, s.run_id FROM recon_found JOIN {table}_records AS r USING (key)"
            f" JOIN source.{name(side.entity)} AS s ON s.rowid = r.rid WHERE {this}"
        )
    version = "(SELECT any_value(mapping_hash) FROM ops.runs WHERE ops.runs.run_id = e.run_id)" if runs else "NULL"
    union = f"{chr(10)}  UNION ALL ".join(branches)
    return (
        f"CREATE OR REPLACE TEMP TABLE recon_records AS WITH e AS ({union}) SELECT *, {version} AS mapping_hash FROM e"
    )


def gathered_sql(pairing: Pairing) -> dict[str, str]:
    """What is kept of a pairing, for the store and the report: table → query."""
    right, earlier = pairing.right, pairing.before or pairing.left
    system, entity = (
        f"CASE WHEN left_origin = 'recon_before' THEN {literal(was)} ELSE {literal(usual)} END"
        for was, usual in ((earlier.system, pairing.left.system), (earlier.entity, pairing.left.entity))
    )
    return {
        "recon_all_found": f"""
SELECT f.* EXCLUDE (state), {system} AS left_system, {entity} AS left_entity, {literal(right.system)} AS right_system,
  {literal(right.entity)} AS right_entity, h.hub_id
FROM recon_found AS f LEFT JOIN (SELECT break_id, min(hub_id) AS hub_id FROM recon_records GROUP BY ALL) AS h USING (break_id)""",
        "recon_all_parts": "SELECT f.break_id, p.part, p.amount FROM recon_parts AS p JOIN recon_found AS f USING (key) WHERE f.aspect = 'amount'",
        "recon_all_records": "SELECT * EXCLUDE (hub_id) FROM recon_records",
        "recon_all_states": f"SELECT {pairing.number} AS pairing, key, state, left_rid, right_rid FROM recon_pairs",
    }
