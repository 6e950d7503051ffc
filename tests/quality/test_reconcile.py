"""Reconciliation: what differs is found with its reason and parts, what is on its way is not, and breaks have a life."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from hub.entity import Entity, Model
from quality import reconcile as reconciler
from quality import reconcile_store
from quality.codes import CODES
from quality.reconcile import ReconcileReport, reconcile
from quality.reconcile_read import load
from quality.reconcile_spec import REASONS, Field, Part, Spec, Tolerance
from quality.reconcile_tables import ensure_tables

Con = duckdb.DuckDBPyConnection
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOADED = NOW - timedelta(hours=1)
OLD = NOW - timedelta(days=20)
GO_LIVE = date(2026, 11, 16)
D = Decimal


@pytest.fixture(scope="session")
def spec(model: Model) -> Spec:
    specs = load([Path(reconciler.__file__).parent], model)
    assert not specs.findings
    return specs["orders"]


def _table(entity: Entity) -> str:
    head = ["system VARCHAR", "source_id VARCHAR", "hub_id BIGINT", "segment VARCHAR", "line BIGINT"]
    head += ["seen_at TIMESTAMPTZ", "waiting VARCHAR", "mapping VARCHAR", "run_id VARCHAR"]
    head += [f"{column.name}_ref VARCHAR" for column in entity.refs]
    head += ["parent_source_id VARCHAR"] if entity.parent else []
    return ", ".join(head + [f'"{column.name}" {column.sql_type}' for column in entity])


@pytest.fixture
def warehouse(model: Model) -> Iterator[Con]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for schema in ("source", "ops", "push"):
            con.execute(f"CREATE SCHEMA {schema}")
        for entity in ("sales_order", "order_line"):
            con.execute(f"CREATE TABLE source.{entity} ({_table(model[entity])})")
        con.execute(
            "CREATE TABLE ops.runs (run_id VARCHAR, system VARCHAR, started_at TIMESTAMPTZ, mapping_hash VARCHAR)"
        )
        con.execute(
            "CREATE TABLE push.state (target VARCHAR, entity VARCHAR, hub_id BIGINT, status VARCHAR, answered_at TIMESTAMPTZ)"
        )
        for system in ("cart", "erp"):
            con.execute("INSERT INTO ops.runs VALUES ('first', ?, ?, 'm1')", [system, LOADED])
        yield con


def put(con: Con, system: str, number: str, quantity: int | None = 2, **other: Any) -> None:
    """An order as a system sees it; by default the good one: 25.00 + 4.90 + 5.68. Replaces what it said before."""
    row: dict[str, Any] = {
        "system": system, "source_id": f"{system}-{number}", "hub_id": other.get("hub_id") or int(number), "segment": f"{system}/orders/1.jsonl",
        "line": 1, "seen_at": LOADED, "number": number, "ordered_at": OLD, "customer": 8, "currency": "EUR",
        "line_total": D("25.00"), "discount_total": D(0), "charge_total": D("4.90"), "tax_total": D("5.68"),
        "total": D("35.58"), "lifecycle_status": "open", "payment_status": "paid" if system == "cart" else None,
    }  # fmt: skip
    row |= other
    con.execute("DELETE FROM source.sales_order WHERE system = ? AND source_id = ?", [system, row["source_id"]])
    con.execute("DELETE FROM source.order_line WHERE system = ? AND parent_source_id = ?", [system, row["source_id"]])
    names = ", ".join(f'"{name}"' for name in row)
    con.execute(f"INSERT INTO source.sales_order ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    con.execute(
        "INSERT INTO source.order_line (system, source_id, parent_source_id, quantity) VALUES (?, ?, ?, ?)",
        [system, f"{row['source_id']}/1", row["source_id"], quantity],
    )


def both(con: Con, number: str, **of_erp: Any) -> None:
    put(con, "cart", number)
    put(con, "erp", number, **of_erp)


def breaks(con: Con, state: str = "open") -> dict[str, tuple[str, Decimal]]:
    rows = con.execute("SELECT key, reason, money_at_risk FROM recon.breaks WHERE state = ?", [state]).fetchall()
    return {key: (reason, money) for key, reason, money in rows}


def parts(con: Con, key: str) -> dict[str, Decimal]:
    rows = con.execute(
        "SELECT part, amount FROM recon.break_parts JOIN recon.breaks USING (break_id) WHERE key = ?", [key]
    )
    return dict(rows.fetchall())


SHIPPED_FREE = {"charge_total": D(0), "total": D("30.68")}
A_CENT = {"tax_total": D("5.67"), "total": D("35.57")}


def test_what_analysts_look_at_is_described_and_an_older_store_is_brought_up_to_date(warehouse: Con) -> None:
    ensure_tables(warehouse)
    columns = "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE schema_name = 'recon' ORDER BY ALL"
    said = dict(warehouse.execute(columns).fetchall())
    plain = {
        "break_id",
        "name",
        "pairing",
        "key",
        "line",
        "system",
        "left_line",
        "right_line",
        "happened_at",
        "checked_at",
        "reason",
    }
    plain |= {
        f"{side}_{what}" for side in ("left", "right") for what in ("system", "entity", "source_id", "segment")
    } | {"entity"}
    assert {name.partition(".")[2] for name, comment in said.items() if not comment} <= plain
    assert said["breaks.due_at"] == "Until when it has to be settled, by its severity"
    warehouse.execute("ALTER TABLE recon.breaks DROP COLUMN due_at")
    ensure_tables(warehouse)
    assert dict(warehouse.execute(columns).fetchall()) == said


def test_every_reason_is_told_from_every_other(warehouse: Con, spec: Spec) -> None:
    con = warehouse
    both(con, "1000")
    put(con, "cart", "1001")
    put(con, "erp", "1002")
    both(con, "1003", **SHIPPED_FREE)
    both(con, "1004", **A_CENT)
    both(con, "1005", tax_total=D("0.68"), total=D("30.58"))
    both(con, "1006", discount_total=D("3"), total=D("32.58"))
    both(con, "1007", line_total=D("24"), total=D("34.58"))
    both(con, "1008", line_total=D("12.50"), total=D("23.08"), quantity=1)
    both(con, "1009", currency="USD")
    both(con, "1010", customer=9)
    both(con, "1011", quantity=3)
    put(con, "cart", "1012", lifecycle_status="cancelled", payment_status="unpaid")
    put(con, "erp", "1012")
    both(con, "1013", total=D("40.58"))
    both(con, "1014")
    put(con, "erp", "1014", source_id="erp-again")
    both(
        con, "1015", line_total=D("23.00"), charge_total=D("4.51"), tax_total=D("5.23"), total=D("32.74")
    )  # times 0.92
    both(con, "1016", requested_date=date(2026, 11, 30))
    both(con, "1017", customer_po="PO-9")
    put(con, "cart", "1018", refunded_total=D(0))
    put(con, "erp", "1018", total=D("34.38"), refunded_total=D("1.20"))  # a column stands for the fee: orders have none
    assert spec.amount
    fee = replace(spec.amount, parts=(*spec.amount.parts, Part("fee", "refunded_total", -1)))
    more = (Field("requested_date", "timing", Tolerance(days=D(1))), Field("customer_po", "reference"))
    report = reconcile(con, replace(spec, fields=more, amount=fee), NOW, go_live=GO_LIVE)
    assert breaks(con) == {
        "1001": ("missing_right", D("35.58")),
        "1002": ("missing_left", D("35.58")),
        "1003": ("shipping", D("4.90")),
        "1004": ("rounding", D("0.01")),
        "1005": ("tax", D("5")),
        "1006": ("discount", D("3")),
        "1007": ("amount", D("1")),
        "1008": ("quantity", D("12.50")),
        "1009": ("currency", D("35.58")),
        "1010": ("customer", D("35.58")),
        "1011": ("quantity", D("0")),
        "1012": ("status", D("35.58")),
        "1013": ("unknown", D("5")),
        "1014": ("duplicate", D("35.58")),
        "1015": ("fx", D("2.84")),
        "1016": ("timing", D("0")),
        "1017": ("reference", D("0")),
        "1018": ("fee", D("1.20")),
    }
    assert report.outcome == "breaks"
    assert report.numbers["agreed"] == 1
    assert set(report.reasons) == set(REASONS)
    assert set(REASONS.values()) <= set(CODES)
    assert all(found.code == REASONS[found.reason] for found in report.worst)
    evidence = con.execute(
        "SELECT left_source_id, left_segment, right_line FROM recon.breaks WHERE key = '1003'"
    ).fetchone()
    assert evidence == ("cart-1003", "cart/orders/1.jsonl", 1)
    text = "\n".join(report.lines())
    assert "cart ↔ erp: 1 agree, 18 breaks open" in text
    assert "R206 shipping 1003: cart 35.58, erp 30.68, 20 days old; shipping -4.90" in text


def test_the_parts_add_up_to_the_break(warehouse: Con, spec: Spec) -> None:
    both(warehouse, "1001", tax_total=D("10.68"), charge_total=D("5.20"), discount_total=D("-0.02"), total=D("40.90"))
    both(warehouse, "1002", line_total=D("30"), discount_total=D("2.01"), total=D("38.60"))
    reconcile(warehouse, spec, NOW)
    assert parts(warehouse, "1001") == {"tax": D("5.00"), "shipping": D("0.30"), "rounding": D("0.02")}
    assert breaks(warehouse)["1001"] == ("tax", D("5.32"))
    assert parts(warehouse, "1002") == {"amount": D("5"), "discount": D("-2.01"), "unknown": D("0.03")}
    assert breaks(warehouse)["1002"] == ("amount", D("3.02"))


def test_the_parts_add_up_whatever_differs(warehouse: Con, spec: Spec) -> None:
    dice = Random(7)
    for number in range(100):
        cents = {
            part: D(dice.choice((0, 0, 0, 1, 2, 3, 490, -250))) / 100
            for part in ("line", "charge", "tax", "discount", "free")
        }
        both(
            warehouse,
            str(1000 + number),
            line_total=25 + cents["line"], charge_total=D("4.90") + cents["charge"], tax_total=D("5.68") + cents["tax"],
            discount_total=cents["discount"],
            total=D("35.58") + cents["line"] + cents["charge"] + cents["tax"] - cents["discount"] + cents["free"],
        )  # fmt: skip
    reconcile(warehouse, spec, NOW)
    off = warehouse.execute(
        """SELECT key, difference, sum(amount) FROM recon.breaks LEFT JOIN recon.break_parts USING (break_id)
        WHERE aspect = 'amount' GROUP BY ALL HAVING sum(amount) IS DISTINCT FROM difference"""
    ).fetchall()
    assert off == []
    different = warehouse.execute(
        "SELECT count(*) FROM source.sales_order WHERE system = 'erp' AND total <> 35.58"
    ).fetchone()
    assert warehouse.execute("SELECT count(*) FROM recon.breaks WHERE aspect = 'amount'").fetchone() == different


def test_nothing_is_missing_that_nobody_has_to_pay_or_that_is_over(warehouse: Con, spec: Spec) -> None:
    put(warehouse, "cart", "1001", payment_status="unpaid")
    put(warehouse, "cart", "1002", lifecycle_status="cancelled")
    put(warehouse, "cart", "1003", lifecycle_status="cancelled")
    put(warehouse, "erp", "1003", lifecycle_status="cancelled", total=D("1"))
    put(warehouse, "erp", "1004", lifecycle_status="cancelled")
    put(warehouse, "erp", "0004500009", seller_number="0004500009", hub_id=9)  # taken by phone
    put(warehouse, "erp", "T-4711", hub_id=10)  # the customer's own number
    put(warehouse, "cart", "1005", lifecycle_status="completed")
    put(warehouse, "erp", "1005", lifecycle_status="open")
    put(warehouse, "cart", "1006", ordered_at=NOW - timedelta(days=500))
    report = reconcile(warehouse, spec, NOW)
    assert breaks(warehouse) == {}
    assert report.outcome == "agree"
    numbers = report.numbers
    assert (numbers["agreed"], numbers["not_expected"], numbers["out_of_scope"]) == (2, 3, 1)


def test_what_its_system_deleted_misses_no_partner(warehouse: Con, spec: Spec) -> None:
    con = warehouse
    put(con, "cart", "1001", deleted_at=LOADED)  # the ERP never had it
    put(con, "erp", "1002", deleted_at=LOADED)
    both(con, "1003", deleted_at=LOADED)  # the ERP deleted what the cart has
    both(con, "1004", total=D("40.58"), deleted_at=LOADED)  # what differs all the same is told
    both(con, "1005")
    put(con, "erp", "1005", source_id="erp-again", deleted_at=LOADED)  # entered twice, one of them deleted
    reconcile(con, spec, NOW, go_live=GO_LIVE)
    assert breaks(con) == {"1004": ("unknown", D("5"))}
    con.execute("UPDATE source.sales_order SET deleted_at = NULL")
    reconcile(con, spec, NOW, go_live=GO_LIVE)
    told = {key: reason for key, (reason, _) in breaks(con).items()}
    assert told == {"1001": "missing_right", "1002": "missing_left", "1004": "unknown", "1005": "duplicate"}


def test_what_is_on_its_way_is_no_break(warehouse: Con, spec: Spec) -> None:
    con, recent = warehouse, NOW - timedelta(minutes=30)
    put(con, "cart", "1001", ordered_at=recent, seen_at=recent)
    put(con, "cart", "1002", ordered_at=datetime(2026, 11, 17, tzinfo=UTC))  # after go-live, seen an hour ago
    put(con, "cart", "1003")  # open outcome
    con.execute("INSERT INTO push.state VALUES ('erp', 'sales_order', 1003, 'unknown', NULL)")
    put(con, "cart", "1004")  # planned
    put(con, "cart", "1005", seen_at=recent)  # an old one, paid just now
    put(con, "erp", "1006", total=D("1"), seen_at=recent)
    put(con, "cart", "1006")
    put(con, "cart", "1007")  # from before go-live: nothing will bring it
    put(con, "cart", "1008")  # refused: not on its way any more
    con.execute("INSERT INTO push.state VALUES ('erp', 'sales_order', 1008, 'rejected', NULL)")
    report = reconcile(con, spec, NOW, go_live=GO_LIVE, in_flight=["1004"])
    assert set(breaks(con)) == {"1007", "1008"}
    assert report.numbers["in_flight"] == 6
    later = reconcile(con, spec, NOW + timedelta(hours=3), go_live=GO_LIVE)
    assert set(breaks(con)) == {"1001", "1002", "1004", "1005", "1006", "1007", "1008"}
    assert later.numbers["in_flight"] == 1, "an outcome that is unknown stays on its way until it is known"


def test_what_was_applied_is_on_its_way_until_its_system_is_read_again(warehouse: Con, spec: Spec) -> None:
    put(warehouse, "cart", "1001")
    answered = "INSERT INTO push.state VALUES ('erp', 'sales_order', 1001, 'applied', ?)"
    warehouse.execute(answered, [LOADED - timedelta(minutes=1)])
    assert reconcile(warehouse, spec, NOW, go_live=GO_LIVE).numbers["opened"] == 1, "read since, and not there"
    warehouse.execute("DELETE FROM push.state")
    put(warehouse, "cart", "1002")
    warehouse.execute(answered.replace("1001", "1002"), [NOW - timedelta(minutes=1)])
    numbers = reconcile(warehouse, spec, NOW, go_live=GO_LIVE).numbers
    assert (numbers["opened"], numbers["in_flight"]) == (0, 1)
    numbers = reconcile(warehouse, spec, NOW + timedelta(hours=2), go_live=GO_LIVE).numbers
    assert (numbers["opened"], numbers["in_flight"]) == (1, 0), "nobody read it: the window ends"


def test_what_a_plan_is_about_is_on_its_way(warehouse: Con, spec: Spec) -> None:
    put(warehouse, "cart", "1001")
    put(warehouse, "cart", "1002")
    report = reconcile(warehouse, spec, NOW, planned={("sales_order", 1001), ("customer", 1002)})
    assert report.numbers["in_flight"] == 1
    assert set(breaks(warehouse)) == {"1002"}


def test_without_the_window_there_would_be_false_alarms(warehouse: Con, spec: Spec) -> None:
    """The broken twin of the in-flight rule."""
    put(warehouse, "cart", "1001", ordered_at=NOW - timedelta(minutes=30))
    put(warehouse, "erp", "1000")
    put(warehouse, "cart", "1000")
    assert reconcile(warehouse, spec, NOW, write=False).outcome == "agree"
    assert reconcile(warehouse, replace(spec, in_flight_hours=D(0)), NOW, write=False).outcome == "breaks"


def history(con: Con) -> list[tuple[str, str]]:
    return con.execute("SELECT event, reason FROM recon.break_history ORDER BY happened_at, event").fetchall()


def test_a_break_closes_itself_opens_again_and_keeps_its_history(warehouse: Con, spec: Spec) -> None:
    con = warehouse
    both(con, "1001", **SHIPPED_FREE)
    first = reconcile(con, spec, NOW)
    again = reconcile(con, spec, NOW + timedelta(hours=1))
    assert (first.numbers["opened"], again.numbers["opened"], again.numbers["changed"]) == (1, 0, 0)
    both(con, "1001", **A_CENT)
    assert reconcile(con, spec, NOW + timedelta(hours=2)).numbers["changed"] == 1
    both(con, "1001")
    assert reconcile(con, spec, NOW + timedelta(hours=3)).numbers["closed"] == 1
    assert breaks(con) == {}
    both(con, "1001", **SHIPPED_FREE)
    assert reconcile(con, spec, NOW + timedelta(hours=4)).numbers["reopened"] == 1
    assert history(con) == [
        ("opened", "shipping"),
        ("changed", "rounding"),
        ("closed", "rounding"),
        ("reopened", "shipping"),
    ]
    rows = con.execute("SELECT times_opened, opened_at, closed_at, state FROM recon.breaks").fetchall()
    assert rows == [(2, NOW + timedelta(hours=4), None, "open")]
    assert con.execute("SELECT count(*) FROM recon.runs").fetchone() == (5,)


def test_a_break_in_flight_again_stays_open(warehouse: Con, spec: Spec) -> None:
    both(warehouse, "1001", **SHIPPED_FREE)
    reconcile(warehouse, spec, NOW)
    put(warehouse, "cart", "1001", seen_at=NOW, **A_CENT)
    report = reconcile(warehouse, spec, NOW + timedelta(minutes=5))
    assert (report.numbers["in_flight"], report.numbers["closed"], report.numbers["breaks_open"]) == (1, 0, 1)
    assert set(breaks(warehouse)) == {"1001"}


def test_a_run_repeated_changes_nothing(warehouse: Con, spec: Spec) -> None:
    both(warehouse, "1001", **SHIPPED_FREE)
    put(warehouse, "cart", "1002")

    def everything() -> list[Any]:
        tables = ("breaks", "break_parts", "break_history")
        return [warehouse.execute(f"SELECT * FROM recon.{table} ORDER BY ALL").fetchall() for table in tables]

    reconcile(warehouse, spec, NOW)
    before = everything()
    reconcile(warehouse, spec, NOW)
    assert everything() == before
    assert warehouse.execute("SELECT count(*) FROM recon.runs").fetchone() == (1,)


def test_a_side_that_was_never_synchronised_decides_nothing(warehouse: Con, spec: Spec) -> None:
    both(warehouse, "1001", **SHIPPED_FREE)
    reconcile(warehouse, spec, NOW)
    warehouse.execute("DELETE FROM source.sales_order WHERE system = 'erp'")
    warehouse.execute("DELETE FROM ops.runs WHERE system = 'erp'")
    report = reconcile(warehouse, spec, NOW + timedelta(hours=1))
    assert (report.outcome, report.why) == ("undecided", "R106 erp was never synchronised")
    assert "nothing can be said" in report.lines()[0]
    assert set(breaks(warehouse)) == {"1001"}


def test_a_snapshot_is_compared_without_writing(warehouse: Con, spec: Spec) -> None:
    both(warehouse, "1001", **SHIPPED_FREE)
    report = reconcile(warehouse, spec, NOW, write=False)
    assert report.reasons == {"shipping": 1}
    assert not warehouse.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = 'recon'").fetchall()


def test_a_failure_leaves_nothing_half_written(warehouse: Con, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    both(warehouse, "1001", **SHIPPED_FREE)
    monkeypatch.setattr(reconcile_store, "_KEEP", "SELECT nonsense")
    with pytest.raises(duckdb.Error):
        reconcile(warehouse, spec, NOW)
    assert not warehouse.execute("SELECT * FROM recon.break_history").fetchall()


def counts_only(con: Con) -> bool:
    """A broken twin: as many orders on both sides is called agreement."""
    rows = con.execute("SELECT count(*) FROM source.sales_order GROUP BY system").fetchall()
    return len(set(rows)) == 1


def balance_only(con: Con) -> bool:
    """A broken twin: the same sum on both sides is called agreement."""
    rows = con.execute("SELECT sum(total) FROM source.sales_order GROUP BY system").fetchall()
    return len(set(rows)) == 1


def test_twins_that_compare_counts_or_balances_miss_what_is_found(warehouse: Con, spec: Spec) -> None:
    both(warehouse, "1001", line_total=D("26"), total=D("36.58"))
    both(warehouse, "1002", line_total=D("24"), total=D("34.58"))
    put(warehouse, "cart", "1003")
    put(warehouse, "erp", "1004")
    assert counts_only(warehouse)
    assert balance_only(warehouse)
    reconcile(warehouse, spec, NOW)
    assert set(breaks(warehouse)) == {"1001", "1002", "1003", "1004"}


WRONG = """entity: sales_order
key: numbr
left: {system: cart, needs_partner: {payment_status: payed}}
right: {system: erp, own: x, key_matches: "[a"}
in_flight: {column: ordered_at, hours: soon}
compare:
  amount: {column: total, parts: {shiping: {plus: charge_total}}}
  quantity: {sum: tax_line.amont}
"""


def test_everything_wrong_with_a_spec_is_found_at_once(tmp_path: Path, model: Model) -> None:
    (tmp_path / "reconcile").mkdir()
    (tmp_path / "reconcile" / "x.yaml").write_text(WRONG)
    specs = load([tmp_path], model)
    said = [str(finding) for finding in specs.findings]
    assert not specs.specs
    assert any("x.yaml:2:6 R102 unknown column 'numbr' in sales_order; did you mean 'number'?" in text for text in said)
    assert {f.code for f in specs.findings} == {"R102", "R103", "R104"}
    assert any("did you mean 'shipping'?" in text for text in said)
    assert any("did you mean 'paid'?" in text for text in said)
    for text in ("", "entity: sales_order\n", "- a\n"):
        (tmp_path / "reconcile" / "x.yaml").write_text(text)
        assert next(f.code for f in load([tmp_path], model).findings) == "R101"


def test_the_scope_begins_where_it_says(warehouse: Con, spec: Spec) -> None:
    put(warehouse, "cart", "1001")
    put(warehouse, "erp", "1000", ordered_at=NOW - timedelta(days=1))
    put(warehouse, "cart", "1000", ordered_at=NOW - timedelta(days=1))
    since: Callable[[Spec], ReconcileReport] = lambda s: reconcile(warehouse, s, NOW, go_live=GO_LIVE, write=False)  # noqa: E731
    assert since(spec).numbers["out_of_scope"] == 0
    assert since(replace(spec, scope_from_go_live=True)).numbers["out_of_scope"] == 1
    assert since(replace(spec, scope_from=date(2026, 11, 18))).numbers["out_of_scope"] == 1
