"""What waits for a person although it is not the first plan; each guard with the twin that lets it through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from push_harness import World

from flow import apply as apply_module
from flow import decide, guards
from flow import plan as plan_module
from flow.decide import Candidate, Decision
from flow.plan_file import Edit
from hub.config import load_project
from hub.push_settings import Guards
from warehouse.model import entities

ROOT = Path(__file__).resolve().parents[3]
MODEL = entities()


@pytest.fixture(scope="module")
def crm() -> list[Any]:
    """What the CRM is told, as the demo's mappings say it."""
    return plan_module.outbound_mappings(load_project(ROOT), "crm", MODEL)


@pytest.fixture
def ours() -> Iterator[duckdb.DuckDBPyConnection]:
    """An order that the hub says is open and not yet delivered."""
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA canonical")
        con.execute(
            """CREATE TABLE canonical.sales_order AS
               SELECT 1::BIGINT AS hub_id, '1001' AS number, 'open' AS lifecycle_status, 'unfulfilled' AS fulfilment_status"""
        )
        yield con


def told(place: str, old: Any, new: Any) -> tuple[list[Decision], dict[Any, Any]]:
    """A call about the order, and the one value that it would change."""
    one = Candidate("upsert", "orders", "sales_order", 1, "1001", "801", None, None, None, None, {place: new})
    return [Decision("call", one)], {("upsert", "orders", "sales_order", 1): (Edit(place, old, old, new, True),)}


def waits(crm: list[Any], con: Any, place: str, old: Any, new: Any, says: dict[str, Any], limits: Guards) -> list[str]:
    decisions, edits = told(place, old, new)
    return list(guards.reasons(limits, con, MODEL, crm, decisions, edits, {("sales_order", "801"): says}))


def test_a_status_that_would_fall_back_waits(crm: list[Any], ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, open_ = {"fulfilment_status": "fulfilled"}, {"fulfilment_status": "unfulfilled"}
    given = (crm, ours, "Status", "Shipped", "Open")
    assert waits(*given, shipped, Guards()) == ["a status would fall back 1 times"]
    assert waits(*given, open_, Guards()) == [], "nothing falls back where the target says no later state"
    assert waits(*given, shipped, Guards(backwards=None)) == [], "put off in crossdock.yaml"
    monkeypatch.setattr(guards, "ONE_WAY", {})
    assert waits(*given, shipped, Guards()) == [], "the broken twin knows no order of states"


def test_a_key_field_that_would_change_waits(crm: list[Any], ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = (crm, ours, "OrderNumber", "1001", "1002", {})
    assert waits(*given, Guards()) == ["a key field would change 1 times"]
    assert waits(crm, ours, "OrderNumber", None, "1002", {}, Guards()) == [], "it had none before"
    assert waits(crm, ours, "TotalAmount", 1, 2, {}, Guards()) == []
    monkeypatch.setattr(guards, "_keys", lambda model, columns, edits: 0)
    assert waits(*given, Guards()) == []


# Whole plans ----------------------------------------------------------------------------------------------------------


def _limited(world: World, **limits: Any) -> None:
    erp = replace(world.project.systems["erp"], guards=Guards(**limits))
    world.project = replace(world.project, systems={**world.project.systems, "erp": erp})


@pytest.fixture
def pushed(world: World) -> World:
    world.push()
    world.publish()
    return world


def test_a_single_cancellation_waits(pushed: World) -> None:
    pushed.orders[1]["lifecycle_status"] = "cancelled"
    pushed.publish()
    made = pushed.plan()
    assert (made.approval, made.guards) == ("required", ("1 records would be cancelled or archived, more than 0",))
    report = pushed.apply(made.id, by=None)
    assert (report.status, [f.code for f in report.findings]) == ("held", ["P209"])
    assert pushed.apply(made.id, by="Ann").counts == {"applied": 1}


def test_the_broken_twin_without_the_guard_cancels_by_itself(pushed: World) -> None:
    _limited(pushed, cancels=None)
    pushed.orders[1]["lifecycle_status"] = "cancelled"
    pushed.publish()
    assert pushed.apply(pushed.plan().id, by=None).counts == {"applied": 1}


@pytest.mark.parametrize(("limit", "status"), [({"records": 1}, "held"), ({"records": None}, "ok")])
def test_more_calls_than_the_limit_wait(pushed: World, limit: dict[str, Any], status: str) -> None:
    _limited(pushed, **limit)
    for number in (4, 5):
        pushed.order(number)
    pushed.publish()
    assert pushed.apply(pushed.plan().id, by=None).status == status


def test_the_first_plan_waits_even_without_guards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _limited(world, records=None, share=None, cancels=None, keys=None, backwards=None)
    made = world.plan()
    assert (made.approval, made.guards) == ("required", ())
    assert [f.code for f in world.apply(made.id, by=None).findings] == ["P202"]
    monkeypatch.setattr(apply_module.Ledger, "is_approved", lambda self, target: True)
    assert world.apply(world.plan().id, by=None).counts == {"applied": 5}, "the broken twin asks nobody"


def test_the_broken_twin_without_a_go_live_makes_what_was_there_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.order(4, ordered_at="2026-09-30T21:59:59Z")
    world.publish()
    assert "1004" not in {call.key for call in world.plan().calls}
    monkeypatch.setattr(plan_module, "_go_live", lambda system: None)
    assert "1004" in {call.key for call in world.plan().calls}


def test_the_broken_twin_that_minds_no_order_makes_an_orphan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.order(9, customer=77)  # a customer that nobody sends
    world.publish()
    assert "1009" not in {call.key for call in world.plan().calls}
    monkeypatch.setattr(decide.Candidate, "needs", frozenset())
    assert "1009" in {call.key for call in world.plan().calls}
