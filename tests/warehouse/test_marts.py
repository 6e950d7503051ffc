"""The views of marts give the numbers that are right, where the nearest query would not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from warehouse.describe import describe
from warehouse.duck import connect

GONE = datetime(2026, 11, 20, tzinfo=UTC)
ERP_FIRST = {"sales_order": {"default": ("cart", "erp")}, "order_line": {"fulfilled_quantity": ("erp", "cart")}}


@pytest.fixture
def shop(world):
    """Customer c1, products a and b; what is merged later shows in the views at once."""
    con = connect(world.path)
    describe(con, world.model)
    con.close()
    w = world
    w.survivorship = ERP_FIRST
    w.merge(
        "cart", {"customer": [w.customer("c1", email="a@example.com")], "product": [w.product("a"), w.product("b")]}
    )
    return w


def orders(w, *records):
    w.merge("cart", {"sales_order": list(records)})


def test_an_order_counts_once_whatever_was_paid_and_given_back(shop):
    w = shop
    orders(w, w.order("1", "c1", [("l1", "a", 3), ("l2", "b", 7)], refunded_total=15))
    paid = [("p1", 60, "captured"), ("p2", 40, "captured"), ("p3", 100, "failed"), ("p4", 5, "authorised")]
    w.merge(
        "cart",
        {
            "payment": [
                w.rec(id, sales_order_ref="1", currency="EUR", amount=amount, status=status)
                for id, amount, status in paid
            ],
            "refund": [
                w.rec(id, sales_order_ref="1", number=id, currency="EUR", amount=amount)
                for id, amount in (("r1", 10), ("r2", 5))
            ],
            "invoice": [
                w.rec(id, sales_order_ref="1", customer_ref="c1", number=id, currency="EUR", total=50, open_amount=due,
                      issued_on="2026-11-20", status=status)
                for id, due, status in (("i1", 20, "open"), ("i2", 0, "paid"), ("i3", 50, "cancelled"))
            ],
        },
    )  # fmt: skip
    found = w.rows("SELECT total, refunded, revenue, paid, invoiced, invoice_open FROM order_facts")
    assert found == [(100, 15, 85, 100, 100, 20)]
    assert all(isinstance(value, Decimal) for value in found[0])


def test_an_order_that_says_nothing_of_refunds_is_not_lost_in_the_sum(shop):
    """The books know of refunds by their memos alone, and `sum(total - refunded_total)` passes over such an order."""
    w = shop
    orders(w, w.order("1", "c1", [("l1", "a", 1)]), w.order("2", "c1", [("l1", "a", 2)], refunded_total=5))
    assert w.one("SELECT sum(total - refunded_total) FROM sales_order") == 15
    assert w.one("SELECT sum(revenue) FROM order_facts") == 25
    w.merge("cart", {"refund": [w.rec("r", sales_order_ref="1", number="r", currency="EUR", amount=4)]})
    assert w.one("SELECT sum(revenue) FROM order_facts") == 21


def test_a_cancelled_order_brings_nothing_and_a_deleted_one_is_none(shop):
    w = shop
    orders(
        w,
        w.order("1", "c1", [("l1", "a", 1)], lifecycle_status="cancelled"),
        w.order("2", "c1", [("l1", "a", 2)], deleted_at=GONE),
    )
    assert w.rows("SELECT number, total, revenue FROM order_facts") == [("1", 10, 0)]
    assert w.rows("SELECT number, quantity, open_quantity FROM order_line_facts") == [("1", 1, 0)]


def test_money_of_another_currency_is_never_added(shop):
    w = shop
    orders(w, w.order("1", "c1", [("l1", "a", 1)]))
    w.merge(
        "cart",
        {
            "payment": [w.rec("p", sales_order_ref="1", currency="USD", amount=9, status="captured")],
            "refund": [w.rec("r", sales_order_ref="1", number="r", currency="USD", amount=3)],
        },
    )
    assert w.rows("SELECT paid, refunded, revenue FROM order_facts") == [(0, 0, 10)]


@pytest.mark.parametrize(
    ("order", "said", "fulfilled", "still_open"),
    [
        ({"fulfilment_status": "unfulfilled"}, None, 0, 4),
        ({"fulfilment_status": "fulfilled"}, None, 4, 0),
        ({"fulfilment_status": "partial"}, None, None, 4),
        ({"fulfilment_status": "partial"}, 3, 3, 1),
        ({}, None, None, 4),
        ({}, 5, 5, 0),
        ({"lifecycle_status": "completed", "fulfilment_status": "partial"}, 3, 3, 0),
    ],
)
def test_what_of_a_line_is_still_to_be_shipped(shop, order, said, fulfilled, still_open):
    w = shop
    record = w.order("1", "c1", [("l1", "a", 4)], **order)
    if said is not None:
        record.children["order_line"][0]["fulfilled_quantity"] = said
    orders(w, record)
    assert w.rows("SELECT fulfilled_quantity, open_quantity FROM order_line_facts") == [(fulfilled, still_open)]


def test_a_line_of_which_only_the_sku_is_known_is_of_that_product(shop):
    w = shop
    record = w.order("1", "c1", [("l1", "a", 1), ("l2", "b", 2)])
    del record.children["order_line"][0]["product_ref"]
    orders(w, record)
    assert w.one("SELECT count(product) FROM order_line") == 1
    assert w.rows("SELECT p.sku, f.quantity FROM order_line_facts f JOIN product p ON p.hub_id = f.product ORDER BY 1") == [
        ("a", 1),
        ("b", 2),
    ]  # fmt: skip


def test_stock_counts_each_place_once_and_says_what_is_promised_and_not_there(shop):
    w = shop
    orders(
        w, w.order("1", "c1", [("l1", "a", 8), ("l2", "a", 1)]), w.order("2", "c1", [("l1", "b", 1), ("l2", "a", 1)])
    )
    levels = [("a/1", "1", 4, 3), ("a/2", "2", 3, 0)]
    w.merge(
        "cart",
        {
            "inventory_level": [
                w.rec(id, product_ref="a", location_code=place, on_hand=there, reserved=kept, available=there - kept)
                for id, place, there, kept in levels
            ]
        },
    )
    found = w.rows(
        "SELECT sku, on_hand, reserved, available, open_quantity, open_orders, short FROM stock_position ORDER BY 1"
    )
    assert found == [("a", 7, 3, 4, 10, 2, 3), ("b", None, None, None, 1, 1, 1)]


def test_what_held_at_an_instant(shop):
    w = shop
    orders(w, w.order("1", "c1", [("l1", "a", 1), ("l2", "b", 1)]))
    then = w.one("SELECT valid_from FROM sales_order") + timedelta(minutes=1)
    orders(w, w.order("1", "c1", [("l1", "a", 5)]))
    at = "valid_from <= $1 AND (valid_to > $1 OR valid_to IS NULL)"
    assert w.rows(f"SELECT total FROM versions.sales_order WHERE {at}", then) == [(20,)]
    assert w.rows(f"SELECT sku, quantity FROM versions.order_line WHERE {at} ORDER BY 1", then) == [("a", 1), ("b", 1)]
    now = then + timedelta(days=1)
    assert w.rows(f"SELECT total FROM versions.sales_order WHERE {at}", now) == [(50,)]
    assert w.rows(f"SELECT sku, quantity FROM versions.order_line WHERE {at}", now) == [("a", 5)]


def test_what_of_a_system_is_kept_back(shop):
    w = shop
    orders(w, w.order("1", "c1"), w.order("2", "nobody"))
    rejects = [{"id": "k", "entity": "customer"}, {"id": "m", "entity": "customer"}]
    w.merge("erp", {"customer": []}, rejects=rejects)
    con = connect(w.path)
    con.execute("UPDATE quality.quarantine SET dismissed_at = now() WHERE source_id = 'm'")
    con.close()
    found = w.rows("SELECT system, quarantined, waiting, published_at FROM freshness ORDER BY 1")
    assert found == [("cart", 0, 1, None), ("erp", 1, 0, None)]
    last = "SELECT max(r.started_at), max(s.merged_at) FROM ops.runs r JOIN ops.segments s USING (run_id) WHERE r.system = 'cart'"
    assert w.rows("SELECT merged_at, news_at FROM freshness WHERE system = 'cart'") == w.rows(last)
