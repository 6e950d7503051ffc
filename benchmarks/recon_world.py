"""Orders of two systems in which every break is known: what reconciliation has to find, and what it must leave alone.

Of N orders, 1,000 (N < 20,000: one in twenty) are broken in one of the CLASSES, ten times as many are on their way (recent, changed
just now, or with an open call), and others differ in ways that are allowed: unpaid, cancelled on both sides, a day apart, out of scope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GO_LIVE = date(2026, 11, 1)
SPEC = """\
entity: sales_order
owner: order desk
key: number
left: {system: cart, needs_partner: {payment_status: paid, lifecycle_status: [open, completed]}}
right: {system: erp, own_when_equal: [number, seller_number], needs_partner: {lifecycle_status: [open, completed]}}
scope: {column: ordered_at, days: 365}
in_flight: {column: ordered_at, hours: 2}
done: {lifecycle_status: cancelled}
compare:
  status: {column: lifecycle_status, same: [[open, completed]]}
  currency: {column: currency}
  amount:
    column: total
    rounding: 0.02
    parts: {amount: {plus: line_total}, shipping: {plus: charge_total}, tax: {plus: tax_total}, discount: {minus: discount_total}}
  quantity: {sum: order_line.quantity}
  customer: {column: customer}
  fields:
    customer_po: reference
    channel: reference
    ordered_at: {days: 1}
    requested_date: {days: 1}
    refunded_total: {reason: amount, tolerance: 0}
    tax_included: reference
    payment_status: status
    fulfilment_status: status
    return_status: status
    credit_status: status
    cancelled_at: {days: 1}
    ship_to_name: reference
    ship_to_street: reference
    ship_to_city: reference
    ship_to_postal_zone: reference
    ship_to_country_code: reference
    note: reference
    seller_number: reference
"""
# Class → what is done to the ERP's row (column: SQL over it), the reason it has to get, the parts of the difference.
CLASSES: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "missing_left": ({}, "missing_left", {}),
    "missing_right": ({}, "missing_right", {}),
    "duplicate": ({}, "duplicate", {}),
    "amount": ({"line_total": "line_total - 1", "total": "total - 1"}, "amount", {"amount": "-1"}),
    "tax": ({"tax_total": "tax_total + 0.5", "total": "total + 0.5"}, "tax", {"tax": "0.5"}),
    "shipping": ({"charge_total": "0", "total": "total - 4.9"}, "shipping", {"shipping": "-4.9"}),
    "discount": ({"discount_total": "discount_total + 3", "total": "total - 3"}, "discount", {"discount": "-3"}),
    "rounding": ({"tax_total": "tax_total - 0.01", "total": "total - 0.01"}, "rounding", {"rounding": "-0.01"}),
    "currency": ({"currency": "'USD'"}, "currency", {}),
    "quantity": ({"line_total": "line_total + 12.5", "total": "total + 12.5"}, "quantity", {"quantity": "12.5"}),
    "status": ({"lifecycle_status": "'cancelled'"}, "status", {}),
    "customer": ({"customer": "customer + 1"}, "customer", {}),
    "timing": ({"requested_date": "requested_date + 5"}, "timing", {}),
    "reference": ({"customer_po": "'PO-' || number || '-x'"}, "reference", {}),
    "unknown": ({"total": "total + 5"}, "unknown", {"unknown": "5"}),
    "fx": (
        {
            **{one: f"round({one} * 0.92, 2)" for one in ("line_total", "charge_total", "tax_total", "discount_total")},
            "total": "round(line_total * 0.92, 2) + round(charge_total * 0.92, 2) + round(tax_total * 0.92, 2)"
            " - round(discount_total * 0.92, 2)",
        },
        "fx",
        {},
    ),
    "tax and more": (
        {"tax_total": "tax_total + 5", "charge_total": "charge_total + 0.3", "discount_total": "discount_total - 0.02", "total": "total + 5.32"},
        "tax",
        {"tax": "5", "shipping": "0.3", "rounding": "0.02"},
    ),
}  # fmt: skip
AMOUNTS = ("tax_total", "charge_total", "line_total", "discount_total", "total")


@dataclass(frozen=True, slots=True)
class World:
    orders: int = 1_000_000

    @property
    def broken(self) -> int:
        return min(1000, self.orders // 20)

    @property
    def every(self) -> int:
        return self.orders // self.broken


def fill(con: Any, world: World) -> None:
    """Fill `source.*`, `ops.runs` and `push.state` of a warehouse that has the tables, and make `truth` (key, class, reason)."""
    classes = list(CLASSES)
    loaded, recent = NOW - timedelta(days=3), NOW - timedelta(minutes=20)
    # Every place in the sequence has a role: one broken, ten on their way, some with an allowed difference, all others plain.
    con.execute(
        f"""CREATE TEMP TABLE plan AS
        SELECT i, i % {world.every} AS place, CASE WHEN i % {world.every} = 3 AND i < {world.broken * world.every}
          THEN {classes}[1 + (i // {world.every}) % {len(classes)}] END AS class
        FROM range({world.orders}) t(i)"""
    )
    con.execute(
        f"""CREATE TEMP TABLE base AS SELECT *, line_total + charge_total + tax_total - discount_total AS total FROM (
        SELECT p.*, (100000 + i)::VARCHAR AS number, i AS hub_id, 1 + i % 50000 AS customer, 1 + i % 7 AS quantity,
          'EUR' AS currency, 'web' AS channel, 'PO-' || number AS customer_po, false AS tax_included,
          ((1000 + hash(i) % 50000) * 0.01)::DECIMAL(18,4) AS line_total, 4.9::DECIMAL(18,4) AS charge_total,
          ((190 + hash(i, 1) % 9500) * 0.01)::DECIMAL(18,4) AS tax_total,
          ((hash(i, 2) % 4) * 1.0)::DECIMAL(18,4) AS discount_total, 0::DECIMAL(18,4) AS refunded_total,
          CASE WHEN place BETWEEN 4 AND 8 THEN TIMESTAMPTZ '{recent.isoformat()}'
            WHEN place = 14 AND class IS NULL AND i % 3 = 0 THEN TIMESTAMPTZ '{(NOW - timedelta(days=500)).isoformat()}'
            ELSE TIMESTAMPTZ '{(NOW - timedelta(days=40)).isoformat()}' + to_hours((i % 700)::INTEGER) END AS ordered_at,
          (ordered_at + INTERVAL 7 DAY)::DATE AS requested_date, 'open' AS lifecycle_status, 'paid' AS payment_status,
          'unfulfilled' AS fulfilment_status, 'none' AS return_status, 'approved' AS credit_status, NULL::TIMESTAMPTZ AS cancelled_at,
          'Name ' || (i % 50000) AS ship_to_name, 'Street ' || (i % 9000) AS ship_to_street, 'City ' || (i % 900) AS ship_to_city,
          lpad((i % 99999)::VARCHAR, 5, '0') AS ship_to_postal_zone, 'DE' AS ship_to_country_code, NULL::VARCHAR AS note,
          '45' || number AS seller_number
        FROM plan p)"""
    )
    con.execute(f"CREATE TEMP TABLE erp AS SELECT * FROM base WHERE {_in_erp()}")
    for name, (changes, _, _) in CLASSES.items():
        if changes:
            sets = ", ".join(f"{column} = {sql}" for column, sql in changes.items())
            con.execute(f"UPDATE erp SET {sets} WHERE class = '{name}'")
    con.execute("UPDATE erp SET quantity = quantity + 1 WHERE class = 'quantity'")
    con.execute("UPDATE erp SET total = total - 1 WHERE place IN (9, 10) AND class IS NULL")  # changed just now
    con.execute(
        "UPDATE erp SET lifecycle_status = 'completed', requested_date = requested_date + 1 WHERE place = 15 AND class IS NULL"
    )
    for system, rows in (("cart", f"SELECT * FROM base WHERE {_in_cart()}"), ("erp", "SELECT * FROM erp")):
        for table in ("sales_order", "order_line"):
            con.execute(_insert(system, rows, table, loaded, recent))
    twice = "SELECT * REPLACE (number AS number), 'again' AS copy FROM erp WHERE class = 'duplicate'"
    con.execute(_insert("erp", twice, "sales_order", loaded, recent, copy="-again"))
    for system in ("cart", "erp"):
        row = (f"first-{system}", system, loaded, "m1")
        con.execute("INSERT INTO ops.runs (run_id, system, started_at, mapping_hash) VALUES (?, ?, ?, ?)", row)
    con.execute(
        "INSERT INTO push.state (target, entity, hub_id, status) SELECT 'erp', 'sales_order', hub_id, 'unknown'"
        " FROM base WHERE place IN (11, 12, 13) AND class IS NULL"
    )
    reasons = " ".join(f"WHEN '{name}' THEN '{reason}'" for name, (_, reason, _) in CLASSES.items())
    con.execute(
        f"CREATE TEMP TABLE truth AS SELECT number AS key, class, CASE class {reasons} END AS reason FROM plan JOIN base USING (i, class) WHERE class IS NOT NULL"
    )


def _in_erp() -> str:
    """Not there: the missing, those on their way, those nobody paid."""
    return (
        "coalesce(class, '') <> 'missing_right' AND (class IS NOT NULL OR place NOT IN (4, 5, 6, 7, 8, 11, 12, 13, 16))"
    )


def _in_cart() -> str:
    return "coalesce(class, '') <> 'missing_left'"


def _insert(system: str, rows: str, table: str, loaded: datetime, recent: datetime, copy: str = "") -> str:
    key = f"'{system}-' || number || '{copy}'"
    if table == "order_line":
        return (
            f"INSERT INTO source.order_line BY NAME SELECT '{system}' AS system, {key} || '/1' AS source_id,"
            f" {key} AS parent_source_id, quantity FROM ({rows})"
        )
    return f"""
INSERT INTO source.sales_order BY NAME
SELECT * EXCLUDE (i, place, class, quantity{", copy" if copy else ""}), '{system}' AS system, {key} AS source_id,
  '{system}/orders/1.jsonl' AS segment, i + 1 AS line, '{system}/orders' AS mapping, 'first-{system}' AS run_id,
  CASE WHEN place BETWEEN 4 AND 10 AND class IS NULL THEN TIMESTAMPTZ '{recent.isoformat()}' ELSE TIMESTAMPTZ '{loaded.isoformat()}' END AS seen_at
FROM (SELECT * REPLACE (CASE WHEN '{system}' = 'cart' AND place = 16 AND class IS NULL THEN 'unpaid' ELSE payment_status END AS payment_status)
  FROM ({rows}))"""


# -- the judge


@dataclass(slots=True)
class Verdict:
    """What a way of reconciling found of what is true. `problems` is empty when every figure is met."""

    seeded: int
    found: int = 0
    right_reason: int = 0
    false_alarms: int = 0
    wrong_parts: int = 0
    by_class: dict[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        said = []
        if self.found < self.seeded:
            said.append(f"{self.seeded - self.found} breaks were not found")
        if self.right_reason < 0.99 * self.seeded:
            said.append(f"only {self.right_reason} of {self.seeded} have the right reason")
        if self.false_alarms:
            said.append(f"{self.false_alarms} false alarms")
        if self.wrong_parts:
            said.append(f"the parts of {self.wrong_parts} are not exact")
        return said


Found = dict[str, tuple[str, Decimal | None, dict[str, Decimal]]]  # key → reason, difference, parts


def judge(con: Any, found: Found) -> Verdict:
    truth = con.execute("SELECT key, class, reason FROM truth").fetchall()
    verdict = Verdict(len(truth), false_alarms=len(set(found) - {key for key, _, _ in truth}))
    for key, kind, reason in truth:
        if key not in found:
            continue
        said, difference, parts = found[key]
        verdict.found += 1
        verdict.right_reason += said == reason
        verdict.by_class[kind] = verdict.by_class.get(kind, 0) + 1
        expected = {part: Decimal(amount) for part, amount in CLASSES[kind][2].items()}
        if difference is not None:
            exact = sum(parts.values()) == difference and (not expected or parts == expected)
            verdict.wrong_parts += not exact
    return verdict


def found_breaks(con: Any) -> Found:
    """What stands open in `recon.breaks`; a key with two breaks has two reasons, and neither is right."""
    rows = con.execute(
        """SELECT key, string_agg(reason, ' and ' ORDER BY reason), any_value(difference),
          list((SELECT list((part, amount)) FROM recon.break_parts p WHERE p.break_id = b.break_id))
        FROM recon.breaks b WHERE state = 'open' GROUP BY key"""
    ).fetchall()
    return {
        key: (reason, difference, {part: amount for some in parts if some for part, amount in some})
        for key, reason, difference, parts in rows
    }


# -- broken twins: ways of reconciling that are in use, and do not find it


def counts_only(con: Any) -> Found:
    """The same number of orders on both sides is called agreement."""
    return _alarm(con, "SELECT system, count(*) FROM source.sales_order GROUP BY system")


def balance_only(con: Any) -> Found:
    """The same sum on both sides is called agreement; else somebody looks for it, by hand."""
    return _alarm(con, "SELECT system, sum(total) FROM source.sales_order GROUP BY system")


def _alarm(con: Any, sql: str) -> Found:
    values = dict(con.execute(sql).fetchall())
    return {} if len(set(values.values())) == 1 else {"something": ("unknown", None, {})}


def no_window(spec: Any) -> Any:
    """What is on its way counts as missing."""
    from dataclasses import replace

    return replace(spec, in_flight_hours=Decimal(0))


TWINS: dict[str, Callable[[Any], Found]] = {"counts only": counts_only, "balance only": balance_only}


def warehouse(path: Path | str) -> duckdb.DuckDBPyConnection:
    """An empty warehouse with all its tables."""
    from warehouse.duck import connect
    from warehouse.model import entities
    from warehouse.tables import migrate

    con = connect(path)
    migrate(con, entities())
    return con


def spec_of(folder: Path) -> Any:
    from quality.reconcile_read import load
    from warehouse.model import entities

    (folder / "reconcile").mkdir(exist_ok=True)
    (folder / "reconcile" / "all_columns.yaml").write_text(SPEC)
    loaded = load([folder], entities())
    assert not loaded.findings, [str(finding) for finding in loaded.findings]
    return loaded["all_columns"]
