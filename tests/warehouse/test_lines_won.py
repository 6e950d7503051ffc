"""Columns of lines that are declared by name: won row by row from the same line of another system, while the set stays one system's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Line = Mapping[str, Any]
SHIPPED = "SELECT line_number, fulfilled_quantity FROM order_line ORDER BY line_number"


@pytest.fixture
def w(world):
    world.survivorship = {
        "sales_order": {"default": ("cart", "erp")},
        "order_line": {"fulfilled_quantity": ("erp", "cart"), "product": ("erp", "cart")},
    }
    world.merge("cart", {"customer": [world.customer("c1", email="a@example.com")]})
    world.merge("erp", {"customer": [world.customer("k1", email="a@example.com")], "product": [world.product("A")]})
    return world


def line(number: int, sku: str | None, quantity: int = 1, **fields: Any) -> Line:
    return {"id": str(number), "line_number": number, "sku": sku, "quantity": quantity, "currency": "EUR", **fields}


def cart(w, *lines: Line) -> None:
    w.merge("cart", {"sales_order": [replace(w.order("1", "c1"), children={"order_line": lines})]})


def erp(w, *lines: Line, id: str = "E1") -> None:
    order = w.order(id, "k1", number="1", total=sum(10 * one["quantity"] for one in lines))
    w.merge("erp", {"sales_order": [replace(order, children={"order_line": lines})]})


def test_what_the_books_say_of_a_line_stands_at_the_shops_line(w):
    cart(w, line(1, "A", 2, unit_price=5), line(2, "B", 1, unit_price=7))
    erp(
        w, line(10, "A", 2, fulfilled_quantity=1, product_ref="A", unit_price=4), line(20, "B", 1, fulfilled_quantity=0)
    )
    assert w.rows("SELECT line_number, sku, unit_price, fulfilled_quantity, product FROM order_line ORDER BY 1") == [
        (1, "A", Decimal(5), Decimal(1), w.one("SELECT hub_id FROM product")),
        (2, "B", Decimal(7), Decimal(0), None),
    ]


def test_that_more_was_shipped_is_a_new_version_of_that_line_alone(w):
    cart(w, line(1, "A", 2), line(2, "B"))
    erp(w, line(10, "A", 2, fulfilled_quantity=0), line(20, "B", fulfilled_quantity=0))
    erp(w, line(10, "A", 2, fulfilled_quantity=2), line(20, "B", fulfilled_quantity=0))
    assert w.rows(SHIPPED) == [(1, Decimal(2)), (2, Decimal(0))]
    versions = "SELECT fulfilled_quantity FROM history.order_line WHERE line_number = {} ORDER BY valid_from"
    assert w.rows(versions.format(1)) == [(None,), (Decimal(0),)]
    assert w.rows(versions.format(2)) == [(None,)]


def test_a_header_alone_that_changes_leaves_its_lines(w):
    cart(w, line(1, "A", 2))
    erp(w, line(10, "A", 2, fulfilled_quantity=1))
    before = w.content("canonical.order_line", "history.order_line")
    w.merge(
        "cart",
        {"sales_order": [replace(w.order("1", "c1", note="ring twice"), children={"order_line": [line(1, "A", 2)]})]},
    )
    assert w.one("SELECT note FROM sales_order") == "ring twice"
    assert w.content(*before) == before


def test_what_was_not_declared_by_name_holds_as_a_set(w):
    cart(w, line(1, "A"))
    erp(w, line(10, "A", description="of the books", unit_price=4, fulfilled_quantity=1))
    assert w.rows("SELECT description, unit_price FROM order_line") == [(None, None)]


def test_the_set_is_the_headers_first_systems_though_lines_declare_columns_of_their_own(w):
    w.survivorship = {**w.survivorship, "sales_order": {"default": ("erp", "cart")}}
    cart(w, line(1, "A", 2))
    erp(w, line(10, "A", 3, fulfilled_quantity=3))
    assert w.rows("SELECT line_number, quantity FROM order_line") == [(10, Decimal(3))]


def test_a_missing_value_wins_nothing_and_the_next_is_asked(w):
    w.survivorship = {**w.survivorship, "order_line": {"description": ("erp", "cart")}}
    cart(w, line(1, "A", description="Stapler"), line(2, "B", description="Rope"))
    erp(w, line(10, "A"), line(20, "B", description="Rope, 20 m"))
    assert w.rows("SELECT description FROM order_line ORDER BY line_number") == [("Stapler",), ("Rope, 20 m",)]


def test_an_article_that_stands_in_several_lines_is_told_apart_by_position(w):
    cart(w, line(1, "A", 1), line(2, "B"), line(3, "A", 5))
    erp(
        w, line(30, "A", 5, fulfilled_quantity=4, id="a"), line(10, "A", 1, fulfilled_quantity=1, id="b"), line(20, "B")
    )
    assert w.rows(SHIPPED) == [(1, Decimal(1)), (2, None), (3, Decimal(4))]


def test_of_lines_that_are_split_otherwise_nothing_is_known(w):
    """Three of A in one line of the books, one and two in the shop: none of the shop's lines had three shipped."""
    cart(w, line(1, "A", 1), line(2, "A", 2), line(3, "B"))
    erp(w, line(10, "A", 3, fulfilled_quantity=3), line(20, "B", fulfilled_quantity=1))
    assert w.rows(SHIPPED) == [(1, None), (2, None), (3, Decimal(1))]


def test_an_article_is_recognised_however_it_is_written_and_by_its_product_where_it_has_no_number(w):
    cart(w, line(1, " a "))
    erp(w, line(10, "A", fulfilled_quantity=1))
    assert w.rows(SHIPPED) == [(1, Decimal(1))]
    w.merge("cart", {"product": [w.product("p-9", sku="A")]})
    cart(w, line(1, None, product_ref="p-9"))
    erp(w, line(10, "A-100", product_ref="A", fulfilled_quantity=Decimal("0.5")))
    assert w.rows(SHIPPED) == [(1, Decimal("0.5"))]


def test_lines_that_name_no_article_are_nobodys(w):
    cart(w, line(1, None))
    erp(w, line(10, None, fulfilled_quantity=1))
    assert w.rows(SHIPPED) == [(1, None)]


def test_money_of_another_currency_and_a_quantity_of_another_unit_are_not_taken(w):
    w.survivorship = {
        "order_line": {"default": ("cart", "erp"), "fulfilled_quantity": ("erp",), "tax_amount": ("erp",)}
    }
    cart(w, line(1, "A", unit="C62"), line(2, "B", unit="C62"), line(3, "C"))
    erp(
        w,
        line(10, "A", unit="BX", currency="USD", fulfilled_quantity=1, tax_amount=2),
        line(20, "B", unit="C62", fulfilled_quantity=1, tax_amount=2),
        line(30, "C", unit="C62", fulfilled_quantity=1, tax_amount=2),
    )
    told = w.rows("SELECT fulfilled_quantity, tax_amount FROM order_line ORDER BY line_number")
    assert told == [(None, None), (Decimal(1), Decimal(2)), (Decimal(1), Decimal(2))]


def test_money_whose_currency_nobody_says_stays_the_lines_own(w):
    w.survivorship = {"order_line": {"default": ("cart", "erp"), "tax_amount": ("erp", "cart")}}
    cart(w, line(1, "A", currency=None, tax_amount=3), line(2, "B", currency=None, tax_amount=3))
    erp(w, line(10, "A", tax_amount=2), line(20, "B", currency=None, tax_amount=2))
    assert w.rows("SELECT tax_amount FROM order_line ORDER BY line_number") == [(Decimal(3),), (Decimal(2),)]


def test_a_line_that_is_gone_in_the_books_takes_its_word_with_it(w):
    cart(w, line(1, "A"), line(2, "B"))
    erp(w, line(10, "A", fulfilled_quantity=1), line(20, "B", fulfilled_quantity=1))
    erp(w, line(10, "A", fulfilled_quantity=1))
    assert w.rows(SHIPPED) == [(1, Decimal(1)), (2, None)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shop=st.lists(st.sampled_from("AB"), max_size=3),
    books=st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 3)), max_size=3),
)
def test_it_is_as_if_one_went_through_the_lines_by_hand(w, shop: Sequence[str], books: Sequence[tuple[str, int]]):
    """And the order in which the systems merge does not matter."""
    lines = [line(at, sku) for at, sku in enumerate(shop, 1)]
    entries = [line(10 * at, sku, fulfilled_quantity=n) for at, (sku, n) in enumerate(books, 1)]
    expected = []
    for at, sku in enumerate(shop):
        said = [n for other, n in books if other == sku]
        same = len(said) == shop.count(sku)
        expected.append((at + 1, Decimal(said[shop[:at].count(sku)]) if same else None))
    if not shop:
        expected = [(10 * at, Decimal(n)) for at, (_, n) in enumerate(books, 1)]
    for steps in itertools.permutations([(cart, lines), (erp, entries)]):
        for step, rows in steps:
            step(w, *rows)
        assert w.rows(SHIPPED) == expected
