"""Folding the ledger: each outcome once, with the ids that targets gave."""

from __future__ import annotations

from datetime import UTC, datetime

from warehouse.ledger_rows import AppliedOutcome
from warehouse.merge import fold_outcomes

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)


def outcome(seq, **changes):
    values = {
        "seq": seq, "intent_id": seq, "target": "erp", "stream": "sales_orders", "entity": "sales_order", "hub_id": 1,
        "operation": "create", "key": "1001", "status": "applied", "external_id": "4500001", "message": "it's \"fine\"",
        "request_id": "", "fingerprint": "f", "plan_id": "p", "run_id": None, "at": AT, "duration": 0.25,
    }  # fmt: skip
    return AppliedOutcome(**{**values, **changes})


def placed(w):
    w.merge("cart", {"customer": [w.customer("c1")], "sales_order": [w.order("1001", "c1")]})
    return w


def test_outcomes_are_folded_with_a_merge_and_once(world):
    w = placed(world)
    assert w.merge("cart", {}, outcomes=[outcome(1), outcome(2, operation="change", external_id=None)]).folded == 2
    assert w.merge("cart", {}, outcomes=[outcome(1), outcome(2)]).folded == 0
    assert w.rows("SELECT seq, status, message, answered_at, duration FROM push.log ORDER BY seq")[0] == (
        1,
        "applied",
        'it\'s "fine"',
        AT,
        0.25,
    )
    assert w.rows("SELECT value FROM ops.positions WHERE name = 'ledger_seq'") == [("2",)]
    assert w.rows("SELECT source_id, hub_id, bound_at FROM ops.bindings WHERE origin = 'push'") == [("4500001", 1, AT)]
    assert w.rows("SELECT operation, seq FROM push.state ORDER BY 2") == [("create", 1), ("change", 2)]


def test_the_ledger_is_asked_for_what_came_after(world):
    w = placed(world)
    asked = []

    def outcomes(after):
        asked.append(after)
        return [outcome(after + 1)]

    w.merge("cart", {}, outcomes=outcomes)
    w.merge("cart", {}, outcomes=outcomes)
    assert asked == [0, 1]


def test_only_what_was_applied_binds(world):
    w = placed(world)
    for seq, status in enumerate(("rejected", "unsupported", "pending", "unknown"), 1):
        w.merge("cart", {}, outcomes=[outcome(seq, status=status)])
    assert w.rows("FROM ops.bindings WHERE origin = 'push'") == []
    assert w.rows("SELECT status FROM push.state") == [("unknown",)]


def test_a_pulled_copy_of_what_was_pushed_is_the_same_order(world):
    w = placed(world)
    w.merge("cart", {}, outcomes=[outcome(1)])
    w.merge("erp", {"customer": [w.customer("k1")], "sales_order": [w.order("4500001", "k1", number="other")]})
    assert w.rows("SELECT system, hub_id FROM source.sales_order ORDER BY 1") == [("cart", 1), ("erp", 1)]


def test_an_answer_that_came_late_joins_what_was_taken_for_another_order(world):
    w = placed(world)
    w.merge("erp", {"customer": [w.customer("k1")], "sales_order": [w.order("4500001", "k1", number="other")]})
    assert len(w.rows("FROM sales_order")) == 2
    assert fold_outcomes(w.path, w.model, [outcome(1)], AT) == 1
    assert w.rows("SELECT hub_id, number FROM sales_order") == [(1, "1001")]
    assert w.rows("SELECT DISTINCT hub_id FROM ops.bindings WHERE entity = 'sales_order'") == [(1,)]


def test_what_was_pushed_counts_as_the_systems_own_row_in_matching(world):
    """The hub has an ERP order already, by push: a second ERP order that quotes its number is another one."""
    w = placed(world)
    w.merge("cart", {}, outcomes=[outcome(1)])
    w.merge("erp", {"customer": [w.customer("k1")], "sales_order": [w.order("4500002", "k1", number="1001")]})
    assert w.rows("SELECT source_id, hub_id FROM source.sales_order ORDER BY 2") == [("1001", 1), ("4500002", 2)]


def test_an_outcome_for_a_hub_that_was_joined_goes_where_it_went(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="a@example.com")]})
    w.merge("erp", {"customer": [w.customer("k1", tax_id="1")]})
    w.merge("crm", {"customer": [w.customer("a1", email="a@example.com", tax_id="1")]})
    fold_outcomes(w.path, w.model, [outcome(1, target="tryton", entity="customer", hub_id=2, external_id="77")], AT)
    assert w.rows("SELECT hub_id FROM ops.bindings WHERE system = 'tryton'") == [(1,)]
