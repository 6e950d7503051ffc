"""What happens to an order after it was pushed: edited, cancelled or refunded in the cart."""

from __future__ import annotations

import pytest
from push_harness import World

from flow.decide import REOPENED, UNREAD


def pushed(world: World) -> World:
    """Everything is in the ERP and was read back."""
    world.push()
    world.publish()
    return world


def document(world: World, key: str) -> dict[str, object]:
    (found,) = [d for d in world.books.documents("orders") if d["key"] == key]
    return {name: str(value) for name, value in found.items()}


def test_edited_then_cancelled(world: World) -> None:
    pushed(world)
    world.orders[1]["total"] = "25.00"
    world.publish()
    plan = world.plan()
    assert [(c.operation, c.key, c.external_id) for c in plan.calls] == [("change", "1001", "O000003")]
    assert world.push().counts == {"applied": 1}
    assert document(world, "1001")["total"] == "25.0000"

    world.orders[1]["lifecycle_status"] = "cancelled"
    world.publish()
    assert [c.operation for c in world.plan().calls] == ["cancel"]
    assert world.push().counts == {"applied": 1}
    assert document(world, "1001")["status"] == "cancelled"
    assert world.push().counts == {}, "before it was read back"
    world.publish()
    assert world.push().counts == {}, "and after"
    assert [c[0] for c in world.books.calls() if c[2] == "1001"] == ["create", "change", "cancel"]


def test_edited_before_it_was_read_back(world: World) -> None:
    """What the ERP made of it is not known yet: it is read first, and changed then."""
    world.push()
    world.orders[1]["total"] = "25.00"
    world.publish(read=False)
    plan = world.plan()
    assert plan.calls == ()
    assert ("1001", UNREAD) in [(kept.key, kept.reason) for kept in plan.waiting]
    world.publish()
    world.push()
    assert document(world, "1001")["total"] == "25.0000"


def test_a_view_from_before_the_last_call_proves_nothing(world: World) -> None:
    pushed(world)
    world.orders[1]["total"] = "11.00"
    world.publish()
    world.push()
    world.orders[1]["total"] = "10.00"
    world.publish(read=False)
    assert [c.operation for c in world.plan().calls] == ["change"], (
        "the ERP was seen with 10.00 before it was told 11.00"
    )
    world.push()
    assert document(world, "1001")["total"] == "10.0000"


def test_edited_and_back_again(world: World) -> None:
    pushed(world)
    for total in ("11.00", "10.00", "11.00"):
        world.orders[1]["total"] = total
        world.publish()
        assert world.push().counts == {"applied": 1}
    keys = [call[3] for call in world.books.calls("change")]
    assert len(set(keys)) == 3, "the second 11.00 is not the first"


def test_cancelled_before_it_was_ever_sent(world: World) -> None:
    world.orders[1]["lifecycle_status"] = "cancelled"
    world.publish()
    plan = world.plan()
    assert plan.counts["unbound"] == 1
    world.push()
    assert [d["key"] for d in world.books.documents("orders")] == ["1002", "1003"]


@pytest.mark.parametrize(("column", "value"), [("lifecycle_status", "cancelled"), ("total", "99.00")])
def test_after_delivery_a_person_decides(world: World, column: str, value: str) -> None:
    pushed(world)
    world.books.db.execute("UPDATE documents SET status = 'delivered' WHERE key = '1001'")
    world.orders[1][column] = value
    world.publish()
    plan = world.plan()
    assert plan.calls == ()
    (held,) = plan.held
    assert (held.key, held.reason.split(";")[0]) == ("1001", "delivered already")
    world.push()
    assert document(world, "1001")["status"] == "delivered"
    assert document(world, "1001")["total"] == "10.0000"


def test_delivered_after_it_was_last_read_the_target_refuses_and_it_is_shown(world: World) -> None:
    pushed(world)
    world.orders[1]["lifecycle_status"] = "cancelled"
    world.publish()
    world.books.fault("reject", "cancel", "1001")
    assert world.push().counts == {"rejected": 1}
    assert [(kept.operation, kept.key) for kept in world.plan().refused] == [("cancel", "1001")]
    assert world.push().counts == {}


def test_cancelled_and_wanted_again(world: World) -> None:
    pushed(world)
    world.orders[1]["lifecycle_status"] = "cancelled"
    world.publish()
    world.push()
    world.orders[1]["lifecycle_status"] = "open"
    world.publish()
    assert [(kept.key, kept.reason) for kept in world.plan().held] == [("1001", REOPENED)]
    assert world.push().counts == {}


def test_a_refund_becomes_a_credit_memo_once(world: World) -> None:
    pushed(world)
    world.refunds[1] = {"number": "51", "sales_order": 1, "amount": "5.00"}
    world.publish()
    assert world.push().counts == {"applied": 1}
    (memo,) = world.books.documents("memos")
    assert (memo["order"], str(memo["amount"])) == (document(world, "1001")["id"], "5.0000")
    world.publish()
    assert world.push().counts == {}


def test_a_refund_of_an_order_that_goes_in_the_same_plan(world: World) -> None:
    world.refunds[1] = {"number": "51", "sales_order": 1, "amount": "5.00"}
    world.publish()
    assert [c.entity for c in world.plan().calls] == ["customer"] * 2 + ["sales_order"] * 3 + ["refund"]
    assert world.push().counts == {"applied": 6}
    (memo,) = world.books.documents("memos")
    assert memo["order"] == document(world, "1001")["id"]


def test_a_refund_waits_while_its_order_is_refused(world: World) -> None:
    world.refunds[1] = {"number": "51", "sales_order": 1, "amount": "5.00"}
    world.publish()
    world.books.fault("reject", "create", "1001")
    assert world.push().counts == {"applied": 4, "rejected": 1, "skipped": 1}
    plan = world.plan()
    assert ("51", "sales_order/1") in [(kept.key, kept.reason) for kept in plan.waiting]
    assert world.books.documents("memos") == []


def test_an_order_with_an_unanswered_call_is_not_touched_until_that_is_known(world: World) -> None:
    world.books.fault("reset_after", "create", "1001", times=1)
    erp = world.erp()
    erp.find = lambda stream, key: [][1]  # type: ignore[method-assign]
    report = world.push(erp)
    assert report.counts == {"applied": 4, "unknown": 1}
    assert "the connector raised IndexError" in report.findings[0].what
    assert len(world.books.calls("create")) == 5, "what cannot be looked up is not sent again"
    world.orders[1]["total"] = "77.00"
    world.publish()
    plan = world.plan()
    assert [(kept.key, kept.reason.split(" of ")[0]) for kept in plan.waiting] == [("1001", "the create")]
    assert "1001" not in [c.key for c in plan.calls]
    world.push()
    world.publish()
    assert [d["key"] for d in world.books.documents("orders")].count("1001") == 1
    world.push()
    assert document(world, "1001")["total"] == "77.0000"
