"""Who wins a field, and that a missing value never does."""

from __future__ import annotations

from decimal import Decimal

import pytest


@pytest.fixture
def w(world):
    world.survivorship = {
        "sales_order": {"default": ("cart", "erp"), "fulfilment_status": ("erp", "cart")},
        "customer": {"default": ("erp", "cart")},
    }
    world.merge(
        "cart", {"customer": [world.customer("c1", email="a@example.com", phone="1")], "product": [world.product("P")]}
    )
    world.merge(
        "erp",
        {"customer": [world.customer("k1", "In the books", email="a@example.com")], "product": [world.product("P")]},
    )
    return world


def test_fields_are_won_by_declared_priority(w):
    assert w.rows("SELECT name, phone FROM customer") == [("In the books", "1")]


def test_a_field_can_have_a_priority_of_its_own(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", total=10, fulfilment_status="unfulfilled", note="mine")]})
    w.merge(
        "erp", {"sales_order": [w.order("E1", "k1", number="1", total=11, fulfilment_status="fulfilled", note="ours")]}
    )
    assert w.rows("SELECT total, fulfilment_status, note FROM sales_order") == [(Decimal(10), "fulfilled", "mine")]


def test_a_missing_value_does_not_win_and_a_value_that_went_lets_the_next_in(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", note="mine")]})
    w.merge("erp", {"sales_order": [w.order("E1", "k1", number="1", note="ours")]})
    w.merge("cart", {"sales_order": [w.order("1", "c1", note=None)]})
    assert w.one("SELECT note FROM sales_order") == "ours"


def test_the_losers_are_kept(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", total=10)]})
    w.merge("erp", {"sales_order": [w.order("E1", "k1", number="1", total=11)]})
    assert w.rows("SELECT system, total FROM source.sales_order ORDER BY 1") == [
        ("cart", Decimal(10)),
        ("erp", Decimal(11)),
    ]


def test_money_comes_in_the_currency_that_won(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", total=10, currency="USD", tax_total=None)]})
    w.merge("erp", {"sales_order": [w.order("E1", "k1", number="1", total=9, currency="EUR", tax_total=2)]})
    assert w.rows("SELECT currency, total, tax_total FROM sales_order") == [("USD", Decimal(10), None)]


def test_without_a_declaration_the_order_of_names_decides(w):
    w.survivorship = {}
    for system, id in (("erp", "x"), ("crm", "y")):
        w.merge(system, {"product": [w.product(id, sku="Q", name=system)]})
    assert w.one("SELECT name FROM product WHERE hub_id = 2") == "crm"


def test_an_account_comes_before_a_guest(w):
    w.merge("cart", {"customer": [w.customer("a-guest", "Guest", email="n@example.com", guest=True)]})
    w.merge("cart", {"customer": [w.customer("z-account", "Account", email="n@example.com", guest=False)]})
    assert w.rows("SELECT name, guest FROM customer WHERE email = 'n@example.com'") == [("Account", False)]


def test_children_come_as_a_set_from_the_first_system_that_has_any(w):
    w.merge("erp", {"sales_order": [w.order("E1", "k1", [("10", "P", 2), ("20", "P", 3)], number="1")]})
    w.merge("cart", {"sales_order": [w.order("1", "c1")]})
    assert w.rows("SELECT quantity FROM order_line ORDER BY 1") == [(Decimal(2),), (Decimal(3),)]
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", "P", 9)])]})
    assert w.rows("SELECT quantity FROM order_line ORDER BY 1") == [(Decimal(9),)]
    assert w.one("SELECT count(*) FROM history.order_line") == 2


def test_a_system_that_says_the_same_makes_no_version(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", "P", 2)])]})
    before = w.content("canonical.sales_order", "canonical.order_line")
    w.merge("erp", {"sales_order": [w.order("E1", "k1", [("10", "P", 2)], number="1")]})
    assert w.content(*before) == before
    assert w.rows("FROM history.sales_order") == []
