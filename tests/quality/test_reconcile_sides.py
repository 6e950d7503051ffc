"""Two or three sides of different entities, matched by key, by tolerance or in groups; what a break carries; the window's end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hub.entity import Entity, Model
from quality import reconcile as reconciler
from quality.reconcile import Spec, load, reconcile

Con = duckdb.DuckDBPyConnection
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
D = Decimal
LOADED = NOW - timedelta(days=3)
OLD = NOW - timedelta(days=20)
ENTITIES = ("sales_order", "order_line", "invoice", "payment", "payout_entry", "product", "inventory_level", "customer")

THREE_WAY = """\
entity: sales_order
key: number
left: {system: erp, needs_partner: {fulfilment_status: fulfilled}}
middle:
  system: erp
  entity: invoice
  key: sales_order.number
  many: true
  columns: {ordered_at: issued_on}
  needs_partner: {status: paid}
right:
  system: cart
  entity: payment
  key: sales_order.number
  many: true
  where: {status: captured}
  needs_partner: never
  columns: {total: amount, ordered_at: paid_at, tax_total: ~}
in_flight: {column: ordered_at, hours: 48}
compare:
  currency: {column: currency}
  amount: {column: total, percent: 0, parts: {tax: {plus: tax_total}}}
"""
BY_TOLERANCE = """\
entity: payment
key: reference
left: {system: cart, key: reference}
right: {system: bank, key: reference, many: true}
match:
  - {same: currency, tolerance: 1, days: 3}
  - {same: [currency, means], percent: 1, days: 9, split: true}
in_flight: {column: paid_at, hours: 1}
compare: {amount: {column: amount, tolerance: 1}}
"""
STOCK = """\
entity: product
key: sku
left: {system: cart, columns: {status: ~}}
right: {system: erp, entity: inventory_level, key: product.sku, many: true, columns: {offered_quantity: available, status: ~}}
in_flight: {hours: 0}
compare:
  status: {column: status}
  fields: {offered_quantity: {reason: quantity, tolerance: 0.99, least: 0}}
"""


def _table(entity: Entity) -> str:
    head = ["system VARCHAR", "source_id VARCHAR", "hub_id BIGINT", "segment VARCHAR", "line BIGINT", "mapping VARCHAR"]
    head += ["run_id VARCHAR", "seen_at TIMESTAMPTZ"] + (["parent_source_id VARCHAR"] if entity.parent else [])
    head += [f"{column.name}_ref VARCHAR" for column in entity.refs]
    return ", ".join(head + [f'"{column.name}" {column.sql_type}' for column in entity])


@pytest.fixture
def con(model: Model) -> Iterator[Con]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for schema in ("source", "ops"):
            con.execute(f"CREATE SCHEMA {schema}")
        for entity in ENTITIES:
            con.execute(f"CREATE TABLE source.{entity} ({_table(model[entity])})")
        con.execute(
            "CREATE TABLE ops.runs (run_id VARCHAR, system VARCHAR, started_at TIMESTAMPTZ, mapping_hash VARCHAR)"
        )
        for system in ("cart", "erp", "bank", "crm"):
            con.execute("INSERT INTO ops.runs VALUES (?, ?, ?, 'm1')", [f"run-{system}", system, LOADED])
        yield con


def put(con: Con, entity: str, system: str, id: str, **row: Any) -> None:
    row = {"system": system, "source_id": id, "hub_id": hash(id) % 1000, "segment": f"{system}/x/1.jsonl", "line": 1,
           "mapping": f"{system}/{entity}", "run_id": f"run-{system}", "seen_at": LOADED, **row}  # fmt: skip
    con.execute(f"DELETE FROM source.{entity} WHERE system = ? AND source_id = ?", [system, id])
    names = ", ".join(f'"{name}"' for name in row)
    con.execute(f"INSERT INTO source.{entity} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


@pytest.fixture
def spec(tmp_path: Path, model: Model) -> Callable[[str], Spec]:
    def make(text: str) -> Spec:
        (tmp_path / "reconcile").mkdir(exist_ok=True)
        (tmp_path / "reconcile" / "x.yaml").write_text(text)
        loaded = load([tmp_path], model)
        assert not loaded.findings, [str(finding) for finding in loaded.findings]
        return loaded["x"]

    return make


def found(con: Con) -> dict[str, set[tuple[str, str, str, D]]]:
    rows = con.execute(
        "SELECT key, left_entity, right_entity, reason, money_at_risk FROM recon.breaks WHERE state = 'open' ORDER BY ALL"
    )
    made: dict[str, set[tuple[str, str, str, D]]] = {}
    for key, *rest in rows.fetchall():
        made.setdefault(key, set()).add(tuple(rest))
    return made


def order(con: Con, number: str, total: str = "100", **other: Any) -> None:
    row = {
        "number": number,
        "ordered_at": OLD,
        "currency": "EUR",
        "total": D(total),
        "tax_total": D(19),
        "fulfilment_status": "fulfilled",
    }
    put(con, "sales_order", "erp", f"e{number}", **{**row, **other})
    put(con, "sales_order", "cart", f"c{number}", number=number, ordered_at=OLD, currency="EUR", total=D(total))


def invoice(con: Con, id: str, of: str, total: str, tax: str = "19", status: str = "paid") -> None:
    put(
        con,
        "invoice",
        "erp",
        id,
        number=id,
        sales_order_ref=f"e{of}",
        issued_on=date(2026, 11, 3),
        currency="EUR",
        total=D(total),
        tax_total=D(tax),
        status=status,
    )


def paid(con: Con, id: str, of: str, amount: str, **other: Any) -> None:
    put(
        con,
        "payment",
        "cart",
        id,
        sales_order_ref=f"c{of}",
        paid_at=OLD,
        currency="EUR",
        amount=D(amount),
        **{"status": "captured", **other},
    )


def test_order_invoice_and_payment_are_matched_three_ways(con: Con, spec: Callable[[str], Spec], model: Model) -> None:
    for number in ("1", "2", "3", "4", "5", "6", "7"):
        order(con, number)
    invoice(con, "i1", "1", "100")
    paid(con, "p1", "1", "100")
    invoice(con, "i2a", "2", "60", "11")  # in two deliveries, paid in two payments
    invoice(con, "i2b", "2", "40", "8")
    paid(con, "p2a", "2", "30")
    paid(con, "p2b", "2", "70")
    paid(con, "p2c", "2", "5", status="failed")
    invoice(con, "i3", "3", "95", "14")  # less was billed, and that was paid
    paid(con, "p3", "3", "95")
    paid(con, "p4", "4", "100")  # never billed
    invoice(con, "i5", "5", "100")  # said to be paid, and is not
    invoice(con, "i6", "6", "100", status="open")
    order(con, "7", fulfilment_status="unfulfilled")  # nothing to bill yet
    order(con, "8")
    invoice(con, "i8", "8", "100")
    paid(con, "p8", "8", "99.99")
    report = reconcile(con, spec(THREE_WAY), NOW, model=model)
    assert found(con) == {
        "3": {("sales_order", "invoice", "tax", D(5))},
        "4": {("sales_order", "invoice", "missing_right", D(100))},
        "5": {("invoice", "payment", "missing_right", D(100))},
        "8": {("invoice", "payment", "rounding", D("0.01"))},
    }
    assert report.title == "erp sales order ↔ erp invoice ↔ cart payment"
    assert (report.numbers["agreed"], report.numbers["differing"]) == (2, 4)
    assert "erp invoice 100.00, cart payment —" in "\n".join(report.lines())


def test_the_evidence_of_a_break_is_every_record_behind_it(con: Con, spec: Callable[[str], Spec], model: Model) -> None:
    order(con, "2")
    invoice(con, "i2a", "2", "60", "11")
    invoice(con, "i2b", "2", "30", "8")
    reconcile(con, spec(THREE_WAY), NOW, model=model)
    rows = con.execute(
        "SELECT r.side, r.source_id, r.segment, r.line, r.mapping, r.mapping_hash, r.run_id FROM recon.break_records r JOIN recon.breaks b"
        " USING (break_id) WHERE b.reason = 'amount' ORDER BY ALL"
    ).fetchall()
    assert rows == [
        ("left", "e2", "erp/x/1.jsonl", 1, "erp/sales_order", "m1", "run-erp"),
        ("right", "i2a", "erp/x/1.jsonl", 1, "erp/invoice", "m1", "run-erp"),
        ("right", "i2b", "erp/x/1.jsonl", 1, "erp/invoice", "m1", "run-erp"),
    ]


def test_a_card_payment_has_to_arrive_whole_less_its_fee_within_a_week(con: Con, model: Model) -> None:
    """The reconciliation that is shipped: one payment in pieces, many payments in a payout, a lag of days, the fee as a part."""
    shipped = load([Path(reconciler.__file__).parent], model)["payouts"]

    def pair(number: str, *, days: float = 3, status: str = "paid", **entry: Any) -> None:
        at, money = OLD, {"amount": D(100), "fee": D("1.75"), "net_amount": D("98.25")}
        card = {"means": "card", "status": "captured", "currency": "EUR", "reference": f"ch_{number}", "paid_at": at}
        put(con, "payment", "cart", f"p{number}", sales_order=1, **card, **money)
        said = {"payout": 1, "kind": "payment", "currency": "EUR", "reference": f"ch_{number}", "status": status}
        put(
            con,
            "payout_entry",
            "cart",
            f"t{number}",
            **{**said, "settled_at": at + timedelta(days=days), **money, **entry},
        )

    pair("1")
    pair("2", amount=D(60), fee=D("1.15"), net_amount=D("58.85"))
    put(con, "payout_entry", "cart", "t2b", kind="payment", reference="ch_2", status="paid", currency="EUR",
        settled_at=OLD + timedelta(days=4), amount=D(40), fee=D("0.60"), net_amount=D("39.40"))  # fmt: skip
    pair("3", fee=D("3.15"), net_amount=D("96.85"))
    pair("4", amount=D(90), net_amount=D("88.25"))
    pair("5", status="in_transit")
    pair("6", days=9)
    pair("7", currency="USD")
    pair("8", status="in_transit")
    for table in ("payment", "payout_entry"):  # captured yesterday: its payout is on its way
        con.execute(
            f"UPDATE source.{table} SET {'paid' if table == 'payment' else 'settled'}_at = ? WHERE reference = 'ch_8'",
            [NOW - timedelta(days=1)],
        )
    put(con, "payment", "cart", "p9", means="wallet", status="captured", amount=D(5), reference="pp_9", paid_at=OLD)
    put(
        con,
        "payout_entry",
        "cart",
        "t10",
        kind="refund",
        reference="r10",
        status="paid",
        amount=D(-5),
        net_amount=D(-5),
    )
    put(con, "payout_entry", "cart", "t11", kind="payment", reference="ch_11", status="paid", currency="EUR",
        settled_at=OLD, amount=D(7), fee=D(1), net_amount=D(6))  # fmt: skip
    report = reconcile(con, shipped, NOW, model=model)
    assert {key: {(reason, money) for _, _, reason, money in made} for key, made in found(con).items()} == {
        "ch_3": {("fee", D("1.40"))},
        "ch_4": {("amount", D(10))},
        "ch_5": {("missing_right", D("98.25"))},
        "ch_6": {("timing", D(0))},
        "ch_7": {("currency", D("98.25"))},
        "ch_11": {("missing_left", D(6))},
    }
    assert (report.numbers["agreed"], report.numbers["in_flight"]) == (2, 1)
    parts = con.execute(
        "SELECT part, amount FROM recon.break_parts JOIN recon.breaks USING (break_id) WHERE key = 'ch_3'"
    )
    assert parts.fetchall() == [("fee", D("-1.40"))]
    pair("5", days=6)
    assert reconcile(con, shipped, NOW, model=model).numbers["closed"] == 1


def test_what_has_no_common_key_is_matched_by_amount_and_day(
    con: Con, spec: Callable[[str], Spec], model: Model
) -> None:
    def pay(system: str, id: str, amount: str, days: int, means: str = "card") -> None:
        paid_at = OLD + timedelta(days=days)
        put(con, "payment", system, id, reference=id, currency="EUR", amount=D(amount), paid_at=paid_at, means=means)

    pay("cart", "same", "10", 0)
    pay("bank", "same", "10", 1)
    pay("cart", "a", "50.00", 0)
    pay("cart", "b", "50.40", 0)
    pay("bank", "near b", "50.50", 2)
    pay("bank", "near a", "49.90", 1)
    pay("cart", "whole", "300", 0, "transfer")
    pay("bank", "first part", "200", 1, "transfer")
    pay("bank", "second part", "99", 5, "transfer")
    pay("cart", "late", "70", 0)
    pay("bank", "much later", "70", 12)
    report = reconcile(con, spec(BY_TOLERANCE), NOW, model=model)
    assert set(found(con)) == {"late", "much later"}
    assert report.numbers["agreed"] == 4
    assert reconcile(con, replace(spec(BY_TOLERANCE), match=()), NOW, model=model, write=False).numbers["agreed"] == 1


def test_stock_of_several_places_is_added_and_never_below_nothing(
    con: Con, spec: Callable[[str], Spec], model: Model
) -> None:
    for sku, offered, places in (("A", 13, ("10.5", "3")), ("B", 0, ("-2", "1")), ("C", 5, ("9",)), ("D", 2, ("2",))):
        put(con, "product", "cart", f"c{sku}", sku=sku, offered_quantity=D(offered))
        put(con, "product", "erp", f"m{sku}", sku=sku)
        for number, available in enumerate(places):
            put(
                con,
                "inventory_level",
                "erp",
                f"m{sku}/{number}",
                product_ref=f"m{sku}",
                location_code=str(number),
                available=D(available),
            )
    reconcile(con, spec(STOCK), NOW, model=model)
    assert found(con) == {"C": {("product", "inventory_level", "quantity", D(0))}}
    (line,) = con.execute("SELECT left_value, right_value FROM recon.breaks").fetchall()
    assert line == ("5.000000", "9.000000")


ORDERS = """\
entity: sales_order
key: number
left: {system: cart}
right: {system: erp}
in_flight: {column: ordered_at, hours: 2}
compare: {amount: {column: total, percent: 1}}
severity: {high: {amount: 500, due: 2}}
"""


def test_a_record_that_changes_all_the_time_does_not_stay_on_its_way(
    con: Con, spec: Callable[[str], Spec], model: Model
) -> None:
    one = spec(ORDERS)
    for hour in range(4):
        now = NOW + timedelta(hours=hour)
        put(con, "sales_order", "cart", "c1", number="1", ordered_at=OLD, total=D(100 + hour), seen_at=now)
        report = reconcile(con, one, now, model=model)
        assert report.numbers["in_flight"] == (hour < 2)
    assert set(found(con)) == {"1"}


def test_a_percentage_is_forgiven_and_no_more(con: Con, spec: Callable[[str], Spec], model: Model) -> None:
    for number, total in (("1", "101"), ("2", "101.01"), ("3", "99")):
        order(con, number)
        put(con, "sales_order", "erp", f"e{number}", number=number, ordered_at=OLD, total=D(total))
    reconcile(con, spec(ORDERS), NOW, model=model)
    assert set(found(con)) == {"2"}


def test_severity_is_of_amount_and_age_and_says_when_it_is_due(
    con: Con, spec: Callable[[str], Spec], model: Model
) -> None:
    days = {"fresh": 2, "month": 31, "quarter": 100}
    for number, (total, age) in enumerate((t, a) for t in ("20", "60", "600") for a in days.values()):
        put(
            con,
            "sales_order",
            "cart",
            f"c{number}",
            number=f"{total} {age}",
            ordered_at=NOW - timedelta(days=age),
            total=D(total),
        )
    reconcile(con, spec(ORDERS), NOW, model=model)
    rows = con.execute(
        "SELECT key, severity, date_diff('day', opened_at, due_at), age_bucket FROM recon.breaks"
    ).fetchall()
    assert {key: rest for key, *rest in rows} == {
        "20 2": ["low", 10, "2–7 days"], "20 31": ["medium", 3, "31–90 days"], "20 100": ["medium", 3, "over 90 days"],
        "60 2": ["medium", 3, "2–7 days"], "60 31": ["high", 2, "31–90 days"], "60 100": ["high", 2, "over 90 days"],
        "600 2": ["high", 2, "2–7 days"], "600 31": ["high", 2, "31–90 days"], "600 100": ["high", 2, "over 90 days"],
    }  # fmt: skip
    assert con.execute("SELECT money_at_risk['?'] FROM recon.runs").fetchone() == (D("2040"),)


def test_a_warehouse_of_an_older_crossdock_gains_the_columns(
    con: Con, spec: Callable[[str], Spec], model: Model
) -> None:
    con.execute("CREATE SCHEMA recon")
    con.execute("CREATE TABLE recon.runs (run_id VARCHAR, name VARCHAR, outcome VARCHAR)")
    con.execute("INSERT INTO recon.runs VALUES ('before', 'x', 'agree')")
    order(con, "1")
    reconcile(con, spec(ORDERS), NOW, model=model)
    assert con.execute("SELECT count(*), count(title) FROM recon.runs").fetchone() == (2, 1)


WRONG = """\
entity: sales_order
key: customer.emial
left: {system: erp, needs_partner: sometimes}
right: {system: cart, entity: payment, key: sales_ordr.number, columns: {total: amont}}
compare:
  amount: {column: total}
  fields: {customer_po: because, note: {days: soon}}
"""


def test_everything_wrong_with_the_sides_is_found_at_once(tmp_path: Path, model: Model) -> None:
    (tmp_path / "reconcile").mkdir()
    (tmp_path / "reconcile" / "x.yaml").write_text(WRONG)
    said = "\n".join(map(str, load([tmp_path], model).findings))
    for expected in (
        "unknown column 'emial' in customer; did you mean 'email'?",
        "a condition is column: value",
        "unknown column 'sales_ordr' in payment; did you mean 'sales_order'?",
        "unknown column 'amont' in payment; did you mean 'amount'?",
        "'because' is no reason for a column",
        "'soon' is no number",
        "unknown column 'customer_po' in payment; under columns: say what it is called in payment, or customer_po: ~",
    ):
        assert expected in said, said


PERSONS = """\
entity: customer
key: hub_id
left: {system: cart}
right: {system: crm}
compare: {fields: {email: customer, phone: {reason: reference, both: true}, tier: {reason: reference, both: true}}}
"""


def test_personal_values_are_not_shown_and_what_one_side_leaves_open_is_no_difference(
    con: Con, spec: Callable[[str], Spec], model: Model
) -> None:
    put(con, "customer", "cart", "1", hub_id=7, email="ann@example.com", phone="1")
    put(con, "customer", "crm", "1", hub_id=7, email="bo@example.com", phone=None, tier="gold")
    report = reconcile(con, spec(PERSONS), NOW, model=model)
    assert [(one.key, one.reason, one.left_value, one.right_value) for one in report.worst] == [
        ("cart 1 = crm 1", "customer", "***", "***")
    ]
    assert not [row for row in con.execute("SELECT * FROM recon.breaks").fetchall() if "example" in str(row)]
