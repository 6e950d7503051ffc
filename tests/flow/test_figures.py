"""What the views of analysts say is what the systems' own books add up to, counted here by hand."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest


@pytest.fixture(scope="module")
def books(cycled: Any) -> dict[str, list[dict[str, Any]]]:
    """What the ERP keeps, and as `shop` the cart's orders that are not in quarantine."""

    def kept(system: str, table: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(cycled.project.root / "sandbox" / f"{system}.db")) as con:
            return [json.loads(doc) for (doc,) in con.execute(f"SELECT doc FROM {table}")]

    refused = cycled.rows("SELECT source_id FROM quality.open_cases WHERE system = 'cart' AND entity = 'sales_order'")
    found = kept("cart", "orders")
    shop = [order for order in found if (str(order["id"]),) not in refused]
    assert len(shop) == len(found) - len(refused) > 300
    return {"shop": shop, "orders": kept("erp", "sales_orders"), "invoices": kept("erp", "invoices")}


def test_revenue_by_channel_month_and_currency(cycled: Any, books: dict[str, list[dict[str, Any]]]) -> None:
    expected: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for order in books["shop"]:
        if not order["cancelled_at"]:
            month = order["created_at"][:7]  # the shop writes its own time
            got = Decimal(order["total_price"]) - Decimal(order["total_refunded"])
            expected["web", month, order["currency"]] += got
    known = {order["number"] for order in books["shop"]}
    for order in books["orders"]:
        if order["purchase_order"] not in known and order["order_type"] == "TEL":
            expected["phone", order["order_date"][:7], order["currency"]] += Decimal(order["total"])
    found = cycled.rows(
        """SELECT channel, strftime(ordered_at AT TIME ZONE 'Europe/Berlin', '%Y-%m') AS month, currency, sum(revenue)
           FROM order_facts WHERE lifecycle_status <> 'cancelled' GROUP BY ALL"""
    )
    assert {tuple(key): value for *key, value in found} == dict(expected)
    assert {currency for _, _, currency in expected} == {"EUR", "USD"}
    assert cycled.rows("SELECT count(*) FROM order_facts WHERE lifecycle_status = 'cancelled' AND revenue <> 0") == [
        (0,)
    ]


def test_what_came_in_and_what_is_billed(cycled: Any, books: dict[str, list[dict[str, Any]]]) -> None:
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in books["shop"]:
        for payment in order["payments"]:
            if payment["status"] == "captured":
                paid[order["currency"]] += Decimal(payment["amount"])
    billed, due = Decimal(0), Decimal(0)
    for invoice in books["invoices"]:
        if invoice["status"] != "cancelled" and invoice["currency"] == "EUR":
            billed, due = billed + Decimal(invoice["total"]), due + Decimal(invoice["open_amount"])
    found = cycled.rows("SELECT currency, sum(paid), sum(invoiced), sum(invoice_open) FROM order_facts GROUP BY ALL")
    assert {currency: amount for currency, amount, _, _ in found} == dict(paid)
    assert [row[2:] for row in found if row[0] == "EUR"] == [(billed, due)]


def test_what_is_still_to_be_shipped_by_article(cycled: Any, books: dict[str, list[dict[str, Any]]]) -> None:
    delivered: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for order in books["orders"]:
        for item in order["items"]:
            delivered[order["purchase_order"], item["material"]] += Decimal(item["delivered"])
    expected: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in books["shop"]:
        asked: defaultdict[str, Decimal] = defaultdict(Decimal)
        for item in order["line_items"]:
            asked[item["sku"]] += item["quantity"]
        if not order["cancelled_at"] and order["fulfillment_status"] != "fulfilled":
            for sku, quantity in asked.items():
                expected[sku] += quantity - delivered[order["number"], sku]
    found = cycled.rows(
        "SELECT sku, sum(open_quantity) FROM order_line_facts GROUP BY ALL HAVING sum(open_quantity) <> 0"
    )
    assert dict(found) == {sku: quantity for sku, quantity in expected.items() if quantity}
    assert len(found) > 10
    stock = cycled.rows("SELECT sku, open_quantity FROM stock_position WHERE open_quantity <> 0")
    assert dict(stock) == dict(found)
    places = cycled.rows("SELECT sum(on_hand), sum(available) FROM inventory_level")
    assert cycled.rows("SELECT sum(on_hand), sum(available) FROM stock_position") == places


def test_nobody_who_is_blocked_has_credit(cycled: Any) -> None:
    """The books' word, whatever the CRM said before it was told."""
    partner = cycled.sandbox.oddities["customer_in_arrears"]["business_partner"]
    sql = """SELECT a.hold, a.overdue_amount > 0 FROM account_credit a
             JOIN ops.bindings b ON b.entity = 'customer' AND b.hub_id = a.customer
             WHERE b.system = 'erp' AND b.source_id = $partner"""
    assert cycled.rows(sql, partner=partner) == [(True, True)]
