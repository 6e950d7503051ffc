"""Planning: which calls are due, which are not and why; and that planning itself moves nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from push_harness import ORDER, PUSHES, World, now, patched, streams

from flow import decide, fold
from flow import plan as plan_module
from flow.decide import Candidate, History
from flow.plan_file import load
from hub.errors import ConfigurationError, UsageError
from warehouse.ledger import Ledger


def calls(plan: plan_module.Plan) -> list[str]:
    return [f"{call.operation} {call.entity}/{call.hub_id}" for call in plan.calls]


def test_what_a_call_refers_to_comes_before_it(world: World) -> None:
    plan = world.plan()
    assert calls(plan) == [
        "create customer/1",
        "create customer/2",
        "create sales_order/1",
        "create sales_order/2",
        "create sales_order/3",
    ]
    assert plan.calls[2].payload["sold_to"] == {"$id_of": "customer/2"}
    assert plan.calls[2].needs == ("customer/2",)
    assert plan.approval == "required"


def test_the_same_state_gives_the_same_plan_and_another_state_another(world: World) -> None:
    first = world.plan()
    assert world.plan().id == first.id
    world.orders[1]["total"] = "11.00"
    world.publish()
    assert world.plan().id != first.id


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "plans" not in path.parts and not path.name.endswith(("-shm", "-wal"))
    }


def test_planning_moves_no_state(world: World) -> None:
    world.push()
    world.orders[1]["total"] = "11.00"
    world.publish()
    before = _digests(world.root)
    for _ in range(2):
        assert world.plan().calls
    assert _digests(world.root) == before


def test_the_broken_twin_writes_while_it_plans(world: World) -> None:
    world.push()
    before = _digests(world.root)
    world.plan()
    with world.ledger() as ledger:
        ledger.approve("plan", "erp", "nobody")
    assert _digests(world.root) != before


def test_a_plan_before_the_first_push_makes_no_ledger(world: World) -> None:
    world.plan()
    assert not (world.project.data / "ledger.sqlite").exists()


def test_a_plan_can_be_read_back_as_it_was(world: World) -> None:
    world.orders[1]["total"] = "12.50"
    world.publish()
    plan = world.plan()
    assert replace(load(world.project, plan.id[:6]), findings=()) == plan
    path = world.project.plans / f"{plan.id}.json"
    assert path.stat().st_mode & 0o077 == 0, "payloads are personal"
    assert '"total":12.5000' in path.read_text(), "money is never a float"


@pytest.mark.parametrize("edit", [("payload", {"name": "Mallory"}), ("operation", "cancel")])
def test_a_plan_that_was_changed_is_refused(world: World, edit: tuple[str, object]) -> None:
    plan = world.plan()
    path = world.project.plans / f"{plan.id}.json"
    said = json.loads(path.read_text())
    said["calls"][0][edit[0]] = edit[1]
    path.write_text(json.dumps(said))
    with pytest.raises(UsageError, match="P108"):
        load(world.project, plan.id)


@pytest.mark.parametrize("name", ["ffffffffffff", "../../etc/passwd", "", "*"])
def test_there_is_no_such_plan(world: World, name: str) -> None:
    world.plan()
    with pytest.raises(UsageError, match="P107"):
        load(world.project, name)


def test_old_plans_are_removed(world: World) -> None:
    import os

    plan = world.plan()
    path = world.project.plans / f"{plan.id}.json"
    long_ago = (now() - timedelta(days=9)).timestamp()
    os.utime(path, (long_ago, long_ago))
    world.orders[1]["total"] = "13.00"
    world.publish()
    world.plan()
    assert not path.exists()


# Who is written to ----------------------------------------------------------------------------------------------------


def test_a_system_is_read_only_until_somebody_says_otherwise(world: World) -> None:
    plan = plan_module.plan(world.project, "cart")
    assert plan.calls == ()
    assert [f.code for f in plan.findings] == ["P103"]


def test_a_target_whose_own_records_were_never_merged_gets_no_plan(world: World) -> None:
    """Else all that it has would be created a second time."""
    world.read = ["cart"]
    world.publish()
    plan = world.plan()
    assert plan.calls == ()
    assert [f.code for f in plan.findings] == ["P109"]
    world.read = ["cart", "erp"]
    world.publish()
    assert world.plan().calls


def test_nothing_published_is_said_with_a_way_out(world: World) -> None:
    world.project.published.unlink()
    with pytest.raises(ConfigurationError, match=r"P101.*crossdock publish"):
        world.plan()


def test_orders_from_before_go_live_are_never_created(world: World) -> None:
    world.order(4, ordered_at="2026-09-30T21:59:59Z")  # 23:59:59 on the eve, in the target's zone
    world.order(5, ordered_at="2026-09-30T22:00:00Z")  # midnight there
    world.publish()
    plan = world.plan()
    assert "create sales_order/4" not in calls(plan)
    assert "create sales_order/5" in calls(plan)
    assert plan.counts["before_go_live"] == 1


def test_an_order_found_in_the_target_is_not_created_and_not_changed_if_it_is_the_same(world: World) -> None:
    from hub.connector import Change

    id = world.books.write("orders", Change("create", "1001", {"po": "1001", "sold_to": "x", "total": 10}, "by hand"))
    world.bound = [("sales_order", id, 1)]
    world.publish()
    plan = world.plan()
    assert "create sales_order/1" not in calls(plan)
    assert plan.unchanged == 1
    world.orders[1]["total"] = "12.00"
    world.publish()
    (change,) = [call for call in world.plan().calls if call.operation == "change"]
    assert (change.external_id, change.hub_id) == (id, 1)
    assert change.before is not None
    assert str(change.before["total"]) == "10.0000"
    assert list(world.plan().windows) == ["orders"], "an edit made in the ERP since then would be overwritten"


def test_a_call_that_the_connector_cannot_make_is_not_planned(world: World) -> None:
    kinds = [replace(s, writes=("create",)) for s in streams()]
    with patched(PUSHES, kinds):
        world.push()
        world.orders[1]["total"] = "11.00"
        world.publish()
        plan = world.plan()
    assert plan.calls == ()
    assert [f.code for f in plan.findings] == ["P104", "P104"]


def test_two_pushes_that_cannot_be_told_apart_are_refused(world: World) -> None:
    with patched((*PUSHES, ORDER)), pytest.raises(ConfigurationError, match="P105"):
        world.plan()


def test_sql_that_does_not_run_names_the_push(world: World) -> None:
    broken = replace(ORDER, sql="SELECT nonsense FROM canonical.nowhere")
    with patched((broken,)), pytest.raises(ConfigurationError, match="P106 the push create sales_order") as raised:
        world.plan()
    assert "nowhere" in raised.value.detail


def test_the_sql_of_a_push_cannot_reach_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x")
    sql = f"SELECT * FROM read_text('{tmp_path}/secret.txt')"
    with patched((replace(ORDER, sql=sql),)), pytest.raises(ConfigurationError, match="P106") as raised:
        world.plan()
    assert "disabled" in raised.value.detail


# Waiting, held, refused -----------------------------------------------------------------------------------------------


def test_an_order_whose_customer_cannot_be_sent_waits_for_it(world: World) -> None:
    world.order(9, customer=77)
    world.publish()
    plan = world.plan()
    assert [(kept.key, kept.reason) for kept in plan.waiting] == [("1009", "customer/77")]


def test_two_records_with_one_key_wait_for_a_person(world: World) -> None:
    world.order(4, number="1001")
    world.publish()
    plan = world.plan()
    assert [(kept.hub_id, kept.reason) for kept in plan.held] == [
        (1, "2 records carry the key 1001"),
        (4, "2 records carry the key 1001"),
    ]


def test_a_second_record_with_the_key_of_one_that_was_sent_waits_too(world: World) -> None:
    world.push()
    world.order(4, number="1001")
    world.publish()
    (held,) = world.plan().held
    assert (held.hub_id, held.reason) == (4, "sales_order/1 was sent with the same key")


def test_what_was_sent_and_not_read_back_yet_is_not_sent_again(world: World) -> None:
    """The snapshot is older than the push: the ledger's outcomes are folded in memory."""
    world.push()
    plan = world.plan()
    assert plan.calls == ()
    assert plan.unchanged == 2
    assert {kept.reason for kept in plan.waiting} == {decide.UNREAD}


def test_the_broken_twin_that_forgets_the_ledger_plans_it_all_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.push()
    monkeypatch.setattr(fold, "bindings", lambda outcomes: [])
    monkeypatch.setattr(plan_module, "History", lambda intents: History(()))
    assert len(world.plan().calls) == 5


# The rules of what may follow what, one record at a time --------------------------------------------------------------


def candidate(operation: str, **values: object) -> Candidate:
    given: dict[str, object] = {
        "operation": operation,
        "stream": "orders",
        "entity": "sales_order",
        "hub_id": 1,
        "key": "1001",
        "external_id": None,
        "since": None,
        "hold": None,
        "waits_for": None,
        "same": None,
        "payload": {"total": 10},
    }
    return Candidate(**(given | values))  # type: ignore[arg-type]


NO_PAST = History(())


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ([candidate("create")], "call"),
        ([candidate("create", key=None)], "held"),
        ([candidate("create", hold="too much")], "held"),
        ([candidate("create", waits_for="customer/2")], "waiting"),
        ([candidate("create", external_id="O1")], "unchanged"),
        ([candidate("upsert")], "call"),
        ([candidate("upsert", external_id="O1", same=True)], "unchanged"),
        ([candidate("upsert", external_id="O1", same=False)], "call"),
        ([candidate("change")], "unbound"),
        ([candidate("change", external_id="O1")], "call"),
        ([candidate("change", external_id="O1", same=True)], "unchanged"),
        ([candidate("change", external_id="O1", same=True, hold="delivered")], "unchanged"),
        ([candidate("change", external_id="O1", same=False, hold="delivered")], "held"),
        ([candidate("fulfil", external_id="O1", same=False)], "call"),
        ([candidate("fulfil")], "unbound"),
        ([candidate("cancel")], "unbound"),
        ([candidate("cancel", external_id="O1")], "call"),
        ([candidate("cancel", external_id="O1", same=True)], "unchanged"),
        ([candidate("cancel", external_id="O1", hold="delivered")], "held"),
        ([candidate("create"), candidate("cancel")], "unbound"),
        ([candidate("change", external_id="O1"), candidate("cancel", external_id="O1")], "call"),
    ],
)
def test_one_record_without_a_past(given: list[Candidate], verdict: str) -> None:
    (decision,) = decide.decide(given, NO_PAST, None, ())
    assert decision.verdict == verdict
    if decision.candidate.operation == "cancel":
        assert "cancel" in {c.operation for c in given}


def test_what_an_old_view_shows_is_not_sent_empty(world: World) -> None:
    """Sent to 12, and wanted at 10 again, which is what the target held when it was last read: nobody knows the payload."""
    world.push()
    with Ledger(world.project.ledger, read_only=True) as ledger:
        made = next(one for one in ledger.newest("erp") if one.stream == "orders" and one.status == "applied")
    past = History([made])
    seen = {
        "hub_id": made.hub_id,
        "key": made.business_key,
        "external_id": made.external_id,
        "same": True,
        "payload": {},
    }
    before = candidate("change", **seen, seen_at=made.attempted_at - timedelta(days=1))
    after = candidate("change", **seen, seen_at=made.attempted_at + timedelta(days=1))
    assert [(d.verdict, d.reason) for d in decide.decide([before], past, None, ())] == [("waiting", decide.OUTDATED)]
    assert [d.verdict for d in decide.decide([after], past, None, ())] == ["unchanged"]


def test_what_is_to_be_cancelled_is_not_changed_any_more() -> None:
    given = [candidate("change", external_id="O1"), candidate("cancel", external_id="O1")]
    (decision,) = decide.decide(given, NO_PAST, None, ())
    assert decision.candidate.operation == "cancel"


def test_change_and_fulfil_of_one_record_both_go() -> None:
    given = [candidate("fulfil", external_id="O1"), candidate("change", external_id="O1")]
    assert [d.verdict for d in decide.decide(given, NO_PAST, None, ())] == ["call", "call"]


def test_references_are_found_wherever_they_stand() -> None:
    payload = {"a": {"$id_of": "customer/1"}, "lines": [{"sku": {"$id_of": "product/2"}}, {"x": "$id_of"}]}
    assert sorted(decide.references(payload)) == ["customer/1", "product/2"]


def test_a_record_that_was_joined_into_another_keeps_its_past(world: World) -> None:
    """The ledger knows customer 2; meanwhile it turned out to be customer 9, and one customer is not sent twice."""
    world.push()
    world.customers[9] = world.customers.pop(2)
    for order in world.orders.values():
        order["customer"] = 9 if order["customer"] == 2 else order["customer"]
    world.joined = [("customer", 2, 5), ("customer", 5, 9)]
    world.publish(fold=False)
    plan = world.plan()
    assert calls(plan) == []


def test_the_broken_twin_that_does_not_follow_makes_the_customer_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.push()
    world.customers[9] = world.customers.pop(2)
    world.joined = [("customer", 2, 9)]
    world.publish(fold=False)
    monkeypatch.setattr(fold, "joined_hubs", lambda con: {})
    monkeypatch.setattr(plan_module, "joined_hubs", lambda con: {})
    assert "create customer/9" in calls(world.plan())
