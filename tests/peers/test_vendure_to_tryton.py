"""The main job on two real servers: orders of a shop become sales in the books, and what the books know goes back.

One project, four cycles. Both servers stand behind proxies that count the calls; the books and the shop are looked at by
their own interfaces (books.py, shop.py), never through crossdock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

Behind = Callable[[str], AbstractContextManager[Any]]
WRITES = re.compile(
    r'"mutation(?!\(\$name)|\.(create|write|delete|quote|confirm|process|draft|cancel|validate_amendment)"'
)
PROJECT = """
name: peers
systems:
  tryton:
    connector: tryton
    write: true
    from: "2020-01-01"
    currency: EUR
    connection: {{url: "{tryton}", login: admin, password: "${{env:TRYTON_PASSWORD}}"}}
  vendure:
    connector: vendure
    write: true
    from: "2020-01-01"
    currency: EUR
    connection: {{url: "{vendure}", login: superadmin, password: "${{env:VENDURE_PASSWORD}}"}}
survivorship:
  customer: {{default: [vendure, tryton]}}
  product: {{default: [tryton, vendure]}}
  inventory_level: {{default: [tryton]}}
  sales_order:
    default: [vendure, tryton]
    seller_number: [tryton, vendure]
    fulfilment_status: [tryton, vendure]
"""


@dataclass
class Story:
    """A project over both servers, and the orders that are placed in it, by name."""

    books: Any
    shop: Any
    proxies: list[Any]
    project: Any
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    reports: list[Any] = field(default_factory=list)

    def place(self, name: str, lines: dict[str, int], **more: Any) -> None:
        self.orders[name] = self.shop.place_order(lines, f"{name}@example.com", name.title(), "Buyer", **more)

    def cycle(self) -> None:
        from flow.cycle import cycle

        for proxy in self.proxies:
            proxy.bodies.clear()
        self.reports = cycle(self.project, approve_first="test")
        for report in self.reports:
            assert report.status in ("ok", "held", "partial"), (report.step, report.system, report.findings)

    def writes(self) -> list[str]:
        return [found[0] for proxy in self.proxies for body in proxy.bodies if (found := WRITES.search(body))]

    def sale(self, name: str) -> dict[str, Any]:
        (found,) = self.books.sales(self.orders[name]["code"])
        return found  # type: ignore[no-any-return]

    def said(self) -> str:
        """All that the pushes of the last cycle reported, as one text."""
        pushes = [report for report in self.reports if report.step == "push"]
        return "\n".join(f"{report.system} {report.counts} {report.findings} {report.detail}" for report in pushes)


@pytest.fixture(scope="module")
def monkeymodule() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def story(
    own_tryton: Any,
    own_vendure: Any,
    behind: Behind,
    tmp_path_factory: pytest.TempPathFactory,
    monkeymodule: pytest.MonkeyPatch,
) -> Iterator[Story]:
    from hub.config import load_project

    root: Path = tmp_path_factory.mktemp("peers")
    with ExitStack() as stack:
        proxies = [stack.enter_context(behind(peer.url)) for peer in (own_tryton, own_vendure)]
        (root / "crossdock.yaml").write_text(PROJECT.format(tryton=proxies[0].url, vendure=proxies[1].url))
        monkeymodule.setenv("TRYTON_PASSWORD", own_tryton.password)
        monkeymodule.setenv("VENDURE_PASSWORD", own_vendure.password)
        told = Story(own_tryton, own_vendure, proxies, load_project(root))
        told.place("plain", {"WIDGET-1": 2, "GADGET-2": 1}, city="Bonn")
        told.place("cent", {"WIDGET-1": 3})
        for name in ("shipped", "late", "returned", "partly"):
            told.place(name, {"WIDGET-1": 1, "GADGET-2": 2})
        told.place("unpaid", {"WIDGET-1": 1}, paid=False)
        yield told


def test_orders_become_sales_with_customer_lines_and_totals(story: Story) -> None:
    story.cycle()
    assert any(".create" in found for found in story.writes())  # they are counted at all
    assert any("mutation" in found for found in story.writes())
    for name, order in story.orders.items():
        if name == "unpaid":
            continue
        sale = story.sale(name)
        assert sale["state"] == "processing"
        assert (sale["total_amount"], sale["origin"]) == (Decimal(order["totalWithTax"]) / 100, None)
        (party,) = story.books.rpc("party.party.read", [sale["party"]], ["name", "email"])
        assert (party["name"], party["email"]) == (f"{name.title()} Buyer", f"{name}@example.com")
    plain, cent = story.sale("plain"), story.sale("cent")
    assert plain["lines"] == {
        "WIDGET-1": (2.0, Decimal("12.5")),
        "GADGET-2": (1.0, Decimal("19.99")),
        "SHIPPING": (1.0, Decimal("4.90")),
    }
    assert story.books.rpc("party.address.read", [plain["shipment_address"]], ["city"])[0]["city"] == "Bonn"
    # Two rules of rounding, one total: the cent has a line of its own.
    assert (cent["total_amount"], cent["lines"]["ROUNDING"]) == (Decimal("50.46"), (1.0, Decimal("0.01")))
    assert story.books.sales(story.orders["unpaid"]["code"]) == []


def test_the_number_is_written_back(story: Story) -> None:
    for name, order in story.orders.items():
        expected = [] if name == "unpaid" else [f"ERP order {story.sale(name)['number']}"]
        assert story.shop.order(order["id"])["notes"] == expected


def test_a_second_run_makes_no_call(story: Story) -> None:
    story.cycle()
    assert story.writes() == []
    assert any("search_read" in body for body in story.proxies[0].bodies)  # they did ask


def test_what_happens_later_arrives_on_the_other_side(story: Story) -> None:
    orders = story.orders
    story.shop.settle(orders["unpaid"]["id"])
    story.shop.remove(orders["plain"]["id"], 0, 1)
    story.shop.cancel(orders["cent"]["id"])
    story.books.ship(story.sale("shipped"))
    story.books.ship(story.sale("late"))
    story.shop.cancel(orders["late"]["id"])
    story.shop.refund(orders["returned"]["id"], orders["returned"]["totalWithTax"])
    story.shop.refund(orders["partly"]["id"], 500)
    story.cycle()

    edited = story.sale("plain")
    assert edited["lines"]["WIDGET-1"][0] == 1.0
    now = story.shop.order(orders["plain"]["id"])
    assert edited["total_amount"] == Decimal(now["totalWithTax"]) / 100

    cancelled = story.sale("cent")
    assert (cancelled["state"], cancelled["total_amount"], cancelled["shipments"]) == ("done", 0, [])

    shipped = story.shop.order(orders["shipped"]["id"])
    assert shipped["state"] == "Shipped"

    (credit,) = story.books.rpc(
        "sale.sale.search_read",
        [["origin", "=", f"sale.sale,{story.sale('returned')['id']}"]],
        0,
        2,
        None,
        ["total_amount"],
    )
    assert Decimal(credit["total_amount"]["decimal"]) == -story.sale("returned")["total_amount"]

    assert story.sale("unpaid")["state"] == "processing"


def test_what_cannot_be_undone_waits_for_a_person_with_a_reason(story: Story) -> None:
    """Goods of `late` had left before it was cancelled; of `partly` only a part was refunded."""
    assert story.sale("late")["total_amount"] > 0
    assert "it needs a return" in story.said()
    returns = [["origin", "=", f"sale.sale,{story.sale('partly')['id']}"]]
    assert story.books.rpc("sale.sale.search", returns, 0, 2, None) == []
    assert "for a person to say" in story.said()


def test_and_then_nothing_is_left_to_do(story: Story) -> None:
    story.cycle()
    assert story.writes() == []
