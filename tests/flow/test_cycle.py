"""The main job from end to end, against the running sandbox: what a newcomer sees in `make demo`."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from flow.cycle import cycle
from flow.rebuild import replay
from warehouse.model import entities
from warehouse.rebuild import compare

CART = {"Authorization": "Bearer sandbox-cart-token"}
CRM = {"Authorization": "Bearer sandbox-crm-token"}


def cart_order(cycled: Any, number: str) -> dict[str, Any]:
    found = requests.get(f"{cycled.sandbox.cart}/orders?number={number}&status=any", headers=CART, timeout=30).json()
    return dict(found["orders"][0])


def test_everything_the_systems_hold_is_pulled(cycled: Any) -> None:
    assert cycled.report("pull", "cart").counts == {"customers": 300, "products": 60, "orders": 400}
    assert cycled.report("pull", "pricelist").counts["prices"] > 0
    assert all(r.status == "ok" for r in cycled.reports), [(r.step, r.system, r.findings) for r in cycled.reports]


def test_planted_bad_rows_are_kept_back_with_their_reason_and_no_others(cycled: Any) -> None:
    odd = cycled.sandbox.oddities
    waiting = {
        (code, key)
        for code, key in cycled.rows(
            """SELECT code, coalesce(s.number, q.source_id) FROM quality.quarantine q
               LEFT JOIN source.sales_order s ON s.system = q.system AND s.source_id = q.source_id
               WHERE q.closed_at IS NULL AND q.system = 'cart' AND q.entity = 'sales_order'"""
        )
    }
    numbers = {key[-4:] for _, key in waiting}
    expected = {
        odd[name]["order"][-3:] for name in ("impossible_date", "currency_euro", "negative_quantity", "total_mismatch")
    }
    assert {number[-3:] for number in numbers} == expected


def test_the_count_law_holds_in_every_run(cycled: Any) -> None:
    laws = cycled.rows("SELECT * FROM ops.count_law")
    assert laws
    broken = cycled.rows("SELECT * FROM ops.count_law WHERE NOT holds")
    assert broken == []


def test_one_customer_in_three_systems_is_one(cycled: Any) -> None:
    odd = cycled.sandbox.oddities["customer_spelled_differently"]
    hubs = cycled.rows(
        "SELECT DISTINCT hub_id FROM ops.bindings WHERE entity = 'customer' AND source_id IN ($a, $b, $c)",
        a=str(odd["customer"]), b=odd["business_partner"], c=odd["account"],
    )  # fmt: skip
    assert len(hubs) == 1


def test_reconciliation_names_the_planted_breaks_and_no_other(cycled: Any) -> None:
    odd = cycled.sandbox.oddities
    found = {(reason, key) for reason, key in cycled.rows("SELECT reason, key FROM recon.breaks")}
    assert found == {
        ("missing_right", odd["never_reached_erp"]["order"]),
        ("rounding", odd["rounding"]["order"]),
        ("shipping", odd["shipping"]["order"]),
        ("status", odd["cancelled_after_erp"]["order"]),
    }
    parts = dict(cycled.rows("SELECT reason, difference FROM recon.breaks WHERE reason IN ('rounding', 'shipping')"))
    assert parts == {"rounding": Decimal("-0.01"), "shipping": Decimal("-4.90")}


def test_paid_orders_reach_the_books_once_and_the_cart_learns_their_number(cycled: Any) -> None:
    books = cycled.sandbox.control.books()["orders"]
    for number in cycled.sandbox.oddities["waiting"]["orders"]:
        posted = [order for order in books if order["purchase_order"] == number]
        assert len(posted) == 1, number
        shop = cart_order(cycled, number)
        assert shop["erp_order_number"] == posted[0]["number"]
        assert Decimal(posted[0]["total"]) == Decimal(shop["total_price"])


def test_an_order_from_before_go_live_is_not_created(cycled: Any) -> None:
    number = cycled.sandbox.oddities["never_reached_erp"]["order"]
    assert not [o for o in cycled.sandbox.control.books()["orders"] if o["purchase_order"] == number]


def test_the_crm_knows_who_is_in_arrears(cycled: Any) -> None:
    account = cycled.sandbox.oddities["customer_in_arrears"]["account"]
    found = requests.get(f"{cycled.sandbox.crm}/accounts?limit=200", headers=CRM, timeout=30).json()
    records = {record["Id"]: record for record in found["records"]}
    while found["nextRecordsUrl"]:
        base = cycled.sandbox.crm.rsplit("/services", 1)[0]
        found = requests.get(base + found["nextRecordsUrl"], headers=CRM, timeout=30).json()
        records |= {record["Id"]: record for record in found["records"]}
    assert records[account]["CreditStatus"] in ("Hold", "Overdue")
    assert Decimal(str(records[account]["OverdueAmount"])) > 0


def test_a_second_cycle_pushes_nothing_and_pulls_only_the_overlap(cycled: Any) -> None:
    calls = {system: cycled.sandbox.control.calls(system)[-1]["n"] for system in ("cart", "erp", "crm")}
    reports = cycle(cycled.project)
    assert [r.counts.get("applied", 0) for r in reports if r.step == "push"] == [0, 0, 0]
    assert all(r.counts.get("changed", 0) == 0 for r in reports if r.step == "merge")
    writing = [
        call
        for system, last in calls.items()
        for call in cycled.sandbox.control.calls(system, since=last)
        if call["method"] in ("PUT", "PATCH", "DELETE")
        or str(call.get("operation", "")).startswith(("Create", "Change", "Cancel"))
    ]
    assert writing == []


def test_a_rebuild_gives_the_same_tables_with_the_same_hub_ids(cycled: Any, tmp_path: Path) -> None:
    beside = dataclasses.replace(cycled.project, data=tmp_path)
    assert replay(cycled.project, beside) > 4
    differences = compare(cycled.project.warehouse, beside.warehouse, entities())
    assert [(d.table, d.only_in_first, d.only_in_second) for d in differences] == []


def test_nothing_secret_is_written_down(cycled: Any) -> None:
    secret = (b"sandbox-cart-token", b"sandbox-erp-password", b"sandbox-crm-token")
    data: Path = cycled.project.data
    leaks = [
        str(path.relative_to(data))
        for path in data.rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in secret)
    ]
    assert leaks == []
    told = json.dumps([report.as_dict() for report in cycled.reports], default=str).encode()
    assert not any(word in told for word in secret)


def test_the_example_commands_answer(cycled: Any, monkeypatch: Any) -> None:
    from typer.testing import CliRunner

    from flow.cli import app

    monkeypatch.setenv("CROSSDOCK_PROJECT", str(cycled.project.root))
    runner = CliRunner()
    asked = runner.invoke(
        app, ["query", "--json", "select number, seller_number from sales_order where number = '1385'"]
    )
    assert json.loads(asked.stdout)[0]["seller_number"]
    assert runner.invoke(app, ["trace", "sales_order", "1385"]).exit_code == 0
    assert runner.invoke(app, ["quarantine", "list"]).exit_code == 0
    assert runner.invoke(app, ["plan", "crm"]).exit_code == 0
    assert runner.invoke(app, ["systems"]).exit_code == 0
    assert runner.invoke(app, ["compile", "cart/orders"]).exit_code == 0
