"""What happens to an order after it was pushed: edited, cancelled, refunded, or delivered and then cancelled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import requests

from flow.cycle import cycle
from flow.plan import plan
from hub.config import Project

CART = {"Authorization": "Bearer sandbox-cart-token"}
SYSTEMS = ("erp", "cart")


class Shop:
    """The cart as a shopper and the shop's people use it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = requests.request(method, f"{self.url}{path}", json=body, headers=CART, timeout=30)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    def place(self, customer: int, sku: str, quantity: int) -> dict[str, Any]:
        known = self.call("GET", f"/customers/{customer}")
        made = self.call(
            "POST",
            "/orders",
            {"customer": {"id": customer}, "email": known["email"], "line_items": [{"sku": sku, "quantity": quantity}]},
        )
        return self.call("POST", f"/orders/{made['id']}/pay", {})


def in_books(sandbox: Any, number: str) -> dict[str, Any]:
    found = [order for order in sandbox.control.books()["orders"] if order["purchase_order"] == number]
    assert len(found) == 1, found
    return dict(found[0])


def test_each_transition_reaches_the_books_or_waits_for_a_person(project: Project, sandbox_fresh: Any) -> None:
    shop = Shop(sandbox_fresh.cart)
    customer = sandbox_fresh.oddities["customer_spelled_differently"]["customer"]
    cycle(project, SYSTEMS, approve_first="test")
    orders = {name: shop.place(customer, "CD-00003", 2) for name in ("edited", "cancelled", "refunded", "delivered")}
    cycle(project, SYSTEMS)
    numbers = {name: str(order["number"]) for name, order in orders.items()}
    posted = {name: in_books(sandbox_fresh, number) for name, number in numbers.items()}
    assert {order["status"] for order in posted.values()} == {"open"}

    shop.call("PUT", f"/orders/{orders['edited']['id']}", {"line_items": [{"sku": "CD-00003", "quantity": 5}]})
    shop.call("POST", f"/orders/{orders['cancelled']['id']}/cancel", {})
    shop.call("POST", f"/orders/{orders['refunded']['id']}/refunds", {"amount": "10.00", "reason": "scratched"})
    # The shopper cancels while the parcel leaves: neither system knows of the other yet.
    shop.call("POST", f"/orders/{orders['delivered']['id']}/cancel", {})
    sandbox_fresh.control.deliver(posted["delivered"]["number"])
    cycle(project, SYSTEMS)

    edited = in_books(sandbox_fresh, numbers["edited"])
    now = shop.call("GET", f"/orders/{orders['edited']['id']}")
    assert Decimal(edited["total"]) == Decimal(now["total_price"]) != Decimal(orders["edited"]["total_price"])
    assert in_books(sandbox_fresh, numbers["cancelled"])["status"] == "cancelled"
    memos = [
        m for m in sandbox_fresh.control.books()["credit_memos"] if m["sales_order"] == posted["refunded"]["number"]
    ]
    assert [Decimal(memo["amount"]) for memo in memos] == [Decimal("10.00")]
    assert in_books(sandbox_fresh, numbers["delivered"])["status"] == "delivered"
    held = {one.key: one.reason for one in plan(project, "erp").held}
    assert "delivered" in held[numbers["delivered"]]

    before = sandbox_fresh.control.calls("erp")[-1]["n"]
    cycle(project, SYSTEMS)
    assert not [
        c
        for c in sandbox_fresh.control.calls("erp", since=before)
        if str(c).find("Create") > 0 or str(c).find("Change") > 0
    ]
