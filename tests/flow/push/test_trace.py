"""Trace: one record's way through all the stores, with personal values masked."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from push_harness import World

from flow import quarantine, show_quarantine
from flow.trace import trace
from hub.connector import Outcome
from hub.errors import UsageError
from quality.reconcile_tables import ensure_tables
from warehouse.duck import Connection, connect
from warehouse.ledger_rows import Result, Sending
from warehouse.model import entities
from warehouse.tables import migrate

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def insert(con: Connection, table: str, **values: Any) -> None:
    names, marks = ", ".join(f'"{name}"' for name in values), ", ".join("?" * len(values))
    con.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An order that the cart and the ERP know, changed once, quarantined once, a break, and pushed once in vain."""
    world = World(tmp_path_factory.mktemp("trace") / "project")
    world.project.published.parent.mkdir(parents=True)
    with contextlib.closing(connect(world.project.published)) as con:
        migrate(con, entities())
        ensure_tables(con)
        _fill(con)
    with world.ledger() as ledger, ledger.lock("push:erp") as lock:
        made = Sending("orders", "sales_order", 7, "create", "1001", '{"ship":"Ann Lee"}', "f" * 64)
        (intent,) = ledger.intend(lock, "erp", [made], "plan1")
        ledger.conclude(lock, [Result(intent.id, Outcome("rejected", message="ERP-422", request_id="q7"))])
    return world


def _fill(con: Connection) -> None:
    insert(con, "source.sales_order", system="cart", source_id="509", waiting="customer/77", seen_at=START,
           segment="cart/orders/1.jsonl", line=9, run_id="r-cart", mapping="cart/orders")  # fmt: skip
    order = {"number": "1001", "currency": "EUR", "lifecycle_status": "open", "ship_to_name": "Ann Lee"}
    whose = {"hub_id": 7, "number": "1001", "currency": "EUR", "lifecycle_status": "open", "ordered_at": START}
    later = START + timedelta(hours=1)
    for system, source_id, total, when in (("cart", "501", 10, START), ("erp", "0004500001", 11, later)):
        insert(con, "source.sales_order", system=system, source_id=source_id, hub_id=7, total=total, seen_at=when, pulled_at=when,
               mapping=f"{system}/orders", segment=f"{system}/orders/1.jsonl", line=3, run_id=f"r-{system}", **order)  # fmt: skip
        insert(
            con,
            "ops.bindings",
            entity="sales_order",
            system=system,
            source_id=source_id,
            hub_id=7,
            origin="match",
            bound_at=when,
        )
    insert(con, "history.sales_order", **whose, total=9, valid_from=START, valid_to=later, ship_to_name="Bo Berg")
    insert(con, "canonical.sales_order", **whose, total=10, valid_from=later, ship_to_name="Ann Lee", run_id="r2")
    insert(con, "canonical.order_line", hub_id=1, parent=7, quantity=2)
    insert(con, "quality.quarantine", system="cart", entity="sales_order", source_id="501", code="Q201", rule="total", field="total",
           message="does not add up", raw="10.01", segment="cart/orders/0.jsonl", line=9, first_seen=START, count=2, closed_at=later)  # fmt: skip
    insert(con, "quality.quarantine", system="cart", entity="sales_order", source_id="501", code="Q202", rule="name",
           field="ship_to_name", message="too short", raw="Al", segment="s", line=1, first_seen=START, count=1)  # fmt: skip
    insert(con, "quality.quarantine", system="cart", entity="sales_order", source_id="999", code="Q203", rule="date",
           field="ordered_at", message="no such day", raw="2026-02-30", segment="s", line=2, first_seen=START, count=1)  # fmt: skip
    insert(con, "recon.breaks", name="orders", entity="sales_order", aspect="total", reason="rounding", state="open", left_system="cart",
           left_source_id="501", right_system="erp", right_source_id="0004500001", left_value="10.00", right_value="10.01", opened_at=later)  # fmt: skip


@pytest.mark.parametrize("key", ["1001", "501", "0004500001", "#7"])
def test_any_id_leads_to_the_record(traced: World, key: str) -> None:
    found = trace(traced.project, "sales_order", key)
    assert (found["entity"], found["hub_id"], found["others"]) == ("sales_order", 7, [])


def test_the_whole_way_in_the_order_of_time(traced: World) -> None:
    found = trace(traced.project, "sales_order", "1001")
    told = [(e["step"], e["system"], e["what"]) for e in found["events"]]
    assert [at for e in found["events"] if (at := e["at"])] == sorted(e["at"] for e in found["events"])
    for expected in (
        ("bind", "cart", "recognised as 501"),
        ("pull", "cart", "501 by cart/orders, from cart/orders/1.jsonl:3; the lake no longer keeps it"),
        ("merge", "hub", "the record appeared"),
        ("quarantine", "cart", "Q201 total: does not add up"),
        ("quarantine", "cart", "Q201 closed: a later version passed"),
        ("merge", "hub", "total 9.0000 → 10.0000, ship_to_name changed"),
        ("reconcile", "cart–erp", "total: rounding, 10.00 against 10.01"),
        ("push", "erp", "create orders 1001 is to be sent"),
        ("push", "erp", "create orders 1001 rejected: ERP-422"),
    ):
        assert expected in told


def test_who_said_what(traced: World) -> None:
    fields = trace(traced.project, "sales_order", "1001")["fields"]
    assert fields["total"] == {
        "value": "10.0000",
        "said_by": ["cart 501"],
        "rule": "no order is declared, so that of the names",
        "others": {"erp 0004500001": "11.0000"},
    }
    assert fields["number"]["said_by"] == ["cart 501", "erp 0004500001"]
    assert fields["order_line"]["value"] == "1 row"


def test_personal_values_are_masked_unless_asked_for(traced: World) -> None:
    masked, bare = (str(trace(traced.project, "sales_order", "1001", unmask=unmask)) for unmask in (False, True))
    for personal in ("Ann Lee", "Bo Berg", "'Al'"):
        assert personal not in masked
        assert personal in bare
    assert "10.01" in masked


def test_what_never_got_through_is_known_too(traced: World) -> None:
    found = trace(traced.project, "sales_order", "999")
    assert found["hub_id"] is None
    assert [e["what"] for e in found["events"]] == ["Q203 ordered_at: no such day"]


def test_nothing_is_known(traced: World) -> None:
    assert trace(traced.project, "sales_order", "4711") == {}


@pytest.mark.parametrize("entity", ["salesorder", "order_line"])
def test_there_is_no_such_entity(traced: World, entity: str) -> None:
    with pytest.raises(UsageError, match="P401"):
        trace(traced.project, entity, "1001")


def test_a_record_that_waits_for_another_says_for_which(traced: World) -> None:
    found = trace(traced.project, "sales_order", "509")
    assert found["hub_id"] is None
    [event] = found["events"]
    assert (event["step"], event["system"]) == ("merge", "cart")
    assert event["what"].startswith("waits for customer/77,")
    assert event["detail"]["place"] == "cart/orders/1.jsonl:9"
    assert trace(traced.project, "customer", "509") == {}, "another entity's record of the same id is another record"


def test_what_waits_is_counted_beside_the_quarantine(traced: World, capsys: pytest.CaptureFixture[str]) -> None:
    [row] = quarantine.awaiting(traced.project)
    assert row == {"system": "cart", "entity": "sales_order", "needs": "customer", "records": 1, "example": "509"}
    assert quarantine.awaiting(traced.project, "erp") == []
    show_quarantine.awaiting([row])
    assert "1 × waiting, not in quarantine: cart.sales_order whose customer has not come" in capsys.readouterr().out
