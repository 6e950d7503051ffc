"""A rule on single records holds against what earlier runs merged: a number that is there already, a record that is there by now."""

from __future__ import annotations

import pytest
from changes_harness import CUSTOMER, Shop, order

from warehouse import others

RULES = """\
entity: sales_order
rules:
  number_once: {unique: number, message: An order number is given once}
  customer_there: {reference_exists: customer, severity: warn, message: The customer is known}
  line_once: {unique: [number, currency], severity: warn, message: m}
"""
LINES = """\
entity: order_line
rules:
  sku_once: {unique: sku, severity: warn, message: An item stands on one line only}
"""
WAITING = "SELECT source_id, rule FROM quality.quarantine WHERE closed_at IS NULL ORDER BY ALL"
WARNED = "SELECT source_id, rule FROM quality.findings WHERE rule NOT LIKE '%line_once' ORDER BY ALL"


@pytest.fixture
def known(shop: Shop) -> Shop:
    folder = shop.project.root / "quality"
    folder.mkdir(exist_ok=True)
    (folder / "sales_order.yaml").write_text(RULES)
    (folder / "order_line.yaml").write_text(LINES)
    shop.pulled([CUSTOMER], "shop/customers")
    shop.pulled([order(1), order(2, line_items=[{"id": 1, "sku": "b", "quantity": 2}])])
    shop.sync()
    assert shop.rows(WAITING) + shop.rows(WARNED) == []
    return shop


def test_a_later_run_knows_the_earlier_ones(known: Shop) -> None:
    known.pulled([order(3, number="1"), order(4, customer={"id": 8}), order(2, number="2", line_items=[])])
    known.sync()
    assert known.rows(WAITING) == [("3", "sales_order.number_once")]
    # The customer of 4 never came; the others' came with the first run. Line a-100 is on order 1 since then.
    assert known.rows(WARNED) == [("4", "order_line.sku_once"), ("4", "sales_order.customer_there")]
    assert known.rows("SELECT number FROM sales_order ORDER BY number") == [("1",), ("2",)], "4 waits for its customer"
    known.pulled([order(1, total_price="13"), order(2, line_items=[{"id": 9, "sku": "b", "quantity": 1}])])
    known.sync()
    assert known.rows(WAITING) == [("3", "sales_order.number_once")], (
        "a newer version of the same record is no other one"
    )
    known.pulled([order(1, number="1a"), order(3, number="1")])
    known.sync()
    assert known.rows(WAITING) == [], "the number is free by now"


GONE = "2026-11-20T15:00:00+00:00"


def test_what_is_deleted_is_in_nobodys_way(known: Shop) -> None:
    known.pulled([order(1)], deleted_at=GONE)
    known.sync()
    known.pulled([order(3, number="1")])
    known.sync()
    assert known.rows(WAITING) == [], "entered anew, in a later run"
    known.pulled([order(3, number="1")], deleted_at=GONE)
    known.pulled([order(5, number="1")])
    known.sync()
    assert known.rows(WAITING) == [], "and in the same one"
    numbers = "SELECT source_id, o.deleted_at IS NOT NULL FROM sales_order o JOIN source.sales_order s USING (hub_id) WHERE o.number = '1'"
    assert sorted(known.rows(numbers)) == [("1", True), ("3", True), ("5", False)]
    known.pulled([order(1)])
    known.sync()
    assert known.rows(WAITING) == [("1", "sales_order.number_once")], "it came back, and the number is taken"
    known.pulled([order(4, customer={"id": 7})])
    known.pulled([CUSTOMER], "shop/customers", deleted_at=GONE)
    known.sync()
    known.pulled([order(6)])
    known.sync()
    assert [row for row in known.rows(WARNED) if row[1].endswith("customer_there")] == [], "a deleted customer is known"
    assert known.rows("SELECT DISTINCT customer FROM sales_order WHERE number IN ('4', '6')") == [(1,)]


def test_a_twin_that_sees_its_own_batch_lets_it_in(known: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "fill", lambda *_: None)
    known.pulled([order(3, number="1")])
    known.sync()
    assert known.rows(WAITING) == []
    assert known.rows(WARNED) == [("3", "sales_order.customer_there")], "and warns of a customer that is known"


def test_what_no_run_has_brought_is_looked_up_nowhere(known: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet run, and one of records without such rules, does not open the warehouse for them."""
    monkeypatch.setattr(others, "fill", lambda *_: pytest.fail("the warehouse was opened"))
    known.pulled([CUSTOMER | {"id": 9, "email": "bo@example.com"}], "shop/customers")
    known.sync()
