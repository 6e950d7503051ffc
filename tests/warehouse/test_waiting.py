"""A reference that has not arrived: its row waits, with all its children, and nothing becomes NULL in silence."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.entity import Column, Entity

WAITING = "SELECT entity, source_id, waiting FROM ops.waiting ORDER BY ALL"


@pytest.fixture
def w(world):
    world.merge("cart", {"customer": [world.customer("c1")], "product": [world.product("P1")]})
    return world


def test_an_order_waits_for_its_customer(w):
    report = w.merge("cart", {"sales_order": [w.order("1", "c9", [("a", "P1", 1)])]})
    assert w.rows(WAITING) == [("sales_order", "1", "customer/c9")]
    assert w.rows("FROM sales_order") == w.rows("FROM order_line") == []
    assert report.counts["sales_order"]["waiting"] == 1
    report = w.merge("cart", {"customer": [w.customer("c9")]})
    assert report.arrived == 1
    assert w.rows(WAITING) == []
    assert w.rows("SELECT number, customer FROM sales_order") == [("1", 2)]
    assert w.rows("SELECT parent, product FROM order_line") == [(1, 1)]


def test_an_order_waits_for_the_product_of_a_line(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", "P1", 1), ("b", "P9", 1)])]})
    assert w.rows(WAITING) == [("sales_order", "1", "product/P9")]
    assert w.rows("FROM order_line") == []
    w.merge("cart", {"product": [w.product("P9")]})
    assert w.rows("SELECT product FROM order_line ORDER BY 1") == [(1,), (2,)]


def test_a_line_without_a_product_does_not_wait(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", None, 1)])]})
    assert w.rows("SELECT product FROM order_line") == [(None,)]


def test_a_required_reference_that_was_not_given_waits(w):
    w.merge("cart", {"sales_order": [w.order("1", None)]})
    assert w.rows(WAITING) == [("sales_order", "1", "customer/(none given)")]


def test_what_it_waits_for_is_told_anew(w):
    w.merge("cart", {"sales_order": [w.order("1", "c9", [("a", "P9", 1)])]})
    w.merge("cart", {"customer": [w.customer("c9")]})
    assert w.rows(WAITING) == [("sales_order", "1", "product/P9")]
    w.merge("cart", {"product": [w.product("P9")]})
    assert w.rows(WAITING) == []


def test_while_a_new_version_waits_the_old_one_holds(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", "P1", 1)])]})
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", "P1", 5), ("b", "P9", 1)])]})
    assert w.rows("SELECT total, waiting FROM source.sales_order") == [(Decimal(60), "product/P9")]
    assert w.rows("SELECT total FROM sales_order") == [(Decimal(10),)]
    assert w.rows("SELECT hub_id, quantity FROM order_line") == [(1, Decimal(1))]
    w.merge(
        "erp", {"customer": [w.customer("k1")], "sales_order": [w.order("E1", "k1", number="1", seller_number="E1")]}
    )
    assert w.rows("SELECT total, seller_number FROM sales_order") == [(Decimal(10), "E1")]
    w.merge("cart", {"product": [w.product("P9")]})
    assert w.rows("SELECT total, seller_number FROM sales_order") == [(Decimal(60), "E1")]
    assert w.rows("SELECT hub_id, quantity FROM order_line ORDER BY 1") == [(1, Decimal(5)), (2, Decimal(1))]
    assert w.rows("FROM previous.sales_order") == w.rows("FROM previous.order_line") == []


def test_a_version_that_waits_is_replaced_by_a_newer_one(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", "P1", 1)])]})
    w.merge("cart", {"sales_order": [w.order("1", "c9", [("a", "P1", 2)])]})
    w.merge("cart", {"sales_order": [w.order("1", "c8", [("a", "P1", 3)])]})
    assert w.rows("SELECT total, waiting FROM source.sales_order") == [(Decimal(30), "customer/c8")]
    assert w.one("SELECT total FROM previous.sales_order") == Decimal(10)
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", "P1", 4)])]})
    assert w.rows("SELECT total FROM sales_order") == [(Decimal(40),)]
    assert w.rows("FROM previous.sales_order") == []


def test_references_are_those_of_the_system(w):
    """The ERP's c1 is not the cart's."""
    w.merge("erp", {"sales_order": [w.order("E1", "c1")]})
    assert w.rows(WAITING) == [("sales_order", "E1", "customer/c1")]


def test_what_waited_in_one_system_arrives_while_another_merges(w):
    """The ERP's order is matched with the cart's, which is new in the same merge."""
    w.merge("erp", {"sales_order": [w.order("E1", "k1", number="1")]})
    w.merge("erp", {"customer": [w.customer("k1")]})
    w.merge("cart", {"sales_order": [w.order("1", "c1")]})
    assert w.rows("SELECT system, hub_id FROM source.sales_order ORDER BY 1") == [("cart", 1), ("erp", 1)]


def test_payments_wait_for_an_order_that_waits(w):
    payment = w.rec("p1", sales_order_ref="1", currency="EUR", amount=10)
    w.merge("cart", {"sales_order": [w.order("1", "c9")], "payment": [payment]})
    assert w.rows(WAITING) == [("payment", "p1", "sales_order/1"), ("sales_order", "1", "customer/c9")]
    w.merge("cart", {"customer": [w.customer("c9")]})
    assert w.rows("SELECT sales_order, amount FROM payment") == [(1, Decimal(10))]


def test_references_in_a_circle_arrive_in_one_merge(world):
    """A project's own entity that refers to itself, in the wrong order."""
    text = Column("name", "text")
    team = Entity("team", (text, Column("above", "ref", ref="team")))
    world.model = {"team": team}
    recs = [world.rec("a", name="A", above_ref="b"), world.rec("b", name="B", above_ref="c"), world.rec("c", name="C")]
    report = world.merge("crm", {"team": recs})
    assert report.counts["team"]["mapped"] == 3
    assert world.rows("SELECT t.name, u.name FROM team t LEFT JOIN team u ON u.hub_id = t.above ORDER BY 1") == [
        ("A", "B"),
        ("B", "C"),
        ("C", None),
    ]


def test_a_copy_of_what_waits_that_arrives_with_its_reference_counts_as_the_newest_word(w):
    """10: A waits, 20: A again and its customer; then 15: B comes late."""
    w.merge("cart", {"sales_order": [w.order("1", "c9", total=1)]}, sequence=10)
    w.merge("cart", {"customer": [w.customer("c9")], "sales_order": [w.order("1", "c9", total=1)]}, sequence=20)
    w.merge("cart", {"sales_order": [w.order("1", "c9", total=2)]}, sequence=15)
    assert w.rows("SELECT total FROM sales_order") == [(Decimal(1),)]


def test_hubs_are_joined_while_one_of_their_rows_waits(world):
    """The row that waits goes with the others."""
    w = world
    owner = Column("owner", "ref", ref="team")
    w.model = {**w.model, "team": Entity("team", (Column("name", "text"),)), "site": Entity(
        "site", (Column("code", "text"), Column("tax", "text"), owner), match=(("code",), ("tax",)))}  # fmt: skip
    w.merge("cart", {"team": [w.rec("t")], "site": [w.rec("s1", code="A", owner_ref="t")]})
    w.merge("erp", {"team": [w.rec("t")], "site": [w.rec("s2", tax="1", owner_ref="t")]})
    w.merge("erp", {"site": [w.rec("s2", tax="1", owner_ref="later")]})
    w.merge("crm", {"site": [w.rec("s3", code="a", tax="1")]})
    assert w.rows("SELECT source_id, hub_id FROM source.site ORDER BY 1") == [("s1", 1), ("s2", 1), ("s3", 1)]
    w.merge("erp", {"team": [w.rec("later")]})
    assert w.rows("SELECT hub_id, code, tax, owner FROM site") == [(1, "A", "1", 1)]
    assert w.rows("FROM ops.waiting") == []
