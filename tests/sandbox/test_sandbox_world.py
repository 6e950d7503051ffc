"""The world: the same seed gives the same bytes, most of it agrees to the cent, and every oddity is where it says."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox import world
from sandbox.people import ASCII
from sandbox.world import ODDITIES, World

Doc = dict[str, Any]


def docs(folder: Path, system: str, table: str) -> list[Doc]:
    with sqlite3.connect(folder / f"{system}.db") as con:
        return [json.loads(row[0]) for row in con.execute(f"select doc from {table} order by id")]


def digest(folder: Path) -> str:
    seen = hashlib.sha256()
    for system in ("cart", "erp", "crm"):
        with sqlite3.connect(folder / f"{system}.db") as con:
            seen.update("\n".join(con.iterdump()).encode())
    for path in sorted((folder / "drop").iterdir()):
        seen.update(path.name.encode() + path.read_bytes())
    return seen.hexdigest() + (folder / "world.json").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("world")
    world.create(folder, World())
    return folder


@pytest.fixture(scope="module")
def oddities(made: Path) -> dict[str, Doc]:
    found = world.read(made)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def cart(made: Path) -> dict[str, Doc]:
    return {doc["number"]: doc for doc in docs(made, "cart", "orders")}


@pytest.fixture(scope="module")
def erp(made: Path) -> dict[str, Doc]:
    return {doc["purchase_order"]: doc for doc in docs(made, "erp", "sales_orders")}


def test_same_seed_same_bytes(made: Path, tmp_path: Path) -> None:
    world.create(tmp_path / "again", World())
    world.create(tmp_path / "other", World(seed=8))
    assert digest(tmp_path / "again") == digest(made)
    assert digest(tmp_path / "other") != digest(made)


def test_every_oddity_is_named_and_found(oddities: dict[str, Doc]) -> None:
    assert list(oddities) == list(ODDITIES)


def breaks_of(order: Doc) -> list[str]:
    """What does not add up in a cart order."""
    lines, found = order["line_items"], []
    money = {name: Decimal(order[name]) for name in ("subtotal", "total_discounts", "total_shipping", "total_tax")}
    totals = [Decimal(line["price"]) * line["quantity"] - Decimal(line["discount"]) for line in lines]
    if totals != [Decimal(line["total"]) for line in lines]:
        found.append("line")
    if sum(Decimal(line["total"]) for line in lines) != money["subtotal"]:
        found.append("subtotal")
    taxes = [Decimal(line["tax_amount"]) for line in [*lines, *order["shipping_lines"]]]
    if sum(taxes) != money["total_tax"] or sum(Decimal(t["price"]) for t in order["tax_lines"]) != money["total_tax"]:
        found.append("tax")
    base = money["subtotal"] - money["total_discounts"] + money["total_shipping"]
    if sum(Decimal(tax["taxable_amount"]) for tax in order["tax_lines"]) != base:
        found.append("taxable")
    if base + money["total_tax"] != Decimal(order["total_price"]):
        found.append("total")
    return found


def test_totals_are_exact_but_in_one_order(cart: dict[str, Doc], oddities: dict[str, Doc]) -> None:
    odd = {number: breaks_of(order) for number, order in cart.items() if breaks_of(order)}
    assert odd == {oddities["total_mismatch"]["order"]: ["total"]}


def test_the_check_of_totals_can_fail(cart: dict[str, Doc]) -> None:
    order = json.loads(json.dumps(cart["1001"]))
    order["total_tax"] = str(Decimal(order["total_tax"]) + 1)
    assert breaks_of(order) == ["tax", "total"]


def test_erp_totals_are_exact(erp: dict[str, Doc]) -> None:
    for order in erp.values():
        net = sum(Decimal(item["net_amount"]) for item in order["items"])
        assert net == Decimal(order["net_total"])
        parts = net - Decimal(order["discount"]) + Decimal(order["shipping"]) + Decimal(order["tax"])
        assert parts == Decimal(order["total"]), order["number"]


def difference(cart_order: Doc, erp_order: Doc) -> dict[str, Decimal]:
    pairs = {"subtotal": "net_total", "total_discounts": "discount", "total_shipping": "shipping", "total_tax": "tax"}
    pairs["total_price"] = "total"
    found = {a: Decimal(cart_order[a]) - Decimal(erp_order[b]) for a, b in pairs.items()}
    return {name: amount for name, amount in found.items() if amount}


def test_only_the_named_orders_differ(cart: dict[str, Doc], erp: dict[str, Doc], oddities: dict[str, Doc]) -> None:
    odd = {number: difference(cart[number], order) for number, order in erp.items() if number in cart}
    assert {number: found for number, found in odd.items() if found} == {
        oddities["rounding"]["order"]: {"total_tax": Decimal("0.01"), "total_price": Decimal("0.01")},
        oddities["shipping"]["order"]: {"total_shipping": Decimal("4.90"), "total_price": Decimal("4.90")},
    }
    for number, order in erp.items():
        if number in cart:
            lines = [(line["sku"], str(line["quantity"]), line["total"]) for line in cart[number]["line_items"]]
            assert lines == [(item["material"], item["quantity"], item["net_amount"]) for item in order["items"]]
            assert cart[number]["currency"] == order["currency"]


def test_who_is_missing_where(cart: dict[str, Doc], erp: dict[str, Doc], oddities: dict[str, Doc], made: Path) -> None:
    found = world.read(made)
    assert found
    live = found[0].go_live.isoformat()
    paid = {n for n, order in cart.items() if order["financial_status"] in ("paid", "partially_refunded", "refunded")}
    old = {number for number in paid if cart[number]["created_at"] < live}
    odd = {oddities[name]["order"] for name in ("never_reached_erp", "currency_euro", "impossible_date")}
    assert old - set(erp) == odd - {oddities["impossible_date"]["order"]}
    assert set(erp) - set(cart) == {oddities["unknown_to_cart"]["order"]}
    waiting = set(oddities["waiting"]["orders"])
    bad = {oddities[name]["order"] for name in ("negative_quantity", "total_mismatch")}
    assert paid - old - set(erp) == waiting | bad | {oddities["impossible_date"]["order"]}
    assert len(waiting) >= 5
    assert len(set(erp)) > 0.7 * len(cart)


def test_status_oddities(cart: dict[str, Doc], erp: dict[str, Doc], oddities: dict[str, Doc], made: Path) -> None:
    cancelled = oddities["cancelled_after_erp"]["order"]
    assert cart[cancelled]["cancelled_at"]
    assert erp[cancelled]["status"] == "open"
    both = [n for n, order in cart.items() if order["cancelled_at"] and n in erp and n != cancelled]
    assert all(erp[number]["status"] == "cancelled" for number in both)
    refunded = cart[oddities["refunded"]["order"]]
    assert refunded["financial_status"] == "partially_refunded"
    assert refunded["refunds"][0]["created_at"] > "2026-11-18"
    memos = {memo["reference"] for memo in docs(made, "erp", "credit_memos")}
    unmatched = [o["number"] for o in cart.values() for r in o["refunds"] if str(r["id"]) not in memos]
    assert unmatched == [refunded["number"]]
    late = oddities["delivered_not_fulfilled"]["order"]
    assert (erp[late]["status"], cart[late]["fulfillment_status"]) == ("delivered", None)
    unaware = oddities["erp_number_missing"]
    assert cart[unaware["order"]]["erp_order_number"] is None
    assert erp[unaware["order"]]["number"] == unaware["erp_order"]


def test_every_card_payment_is_paid_out_once_but_for_the_named(made: Path, oddities: dict[str, Doc]) -> None:
    orders, payouts = docs(made, "cart", "orders"), docs(made, "cart", "payouts")
    entries = [one for payout in payouts for one in payout["transactions"]]
    cards = {p["reference"]: p for o in orders for p in o["payments"] if p["fee"] and p["processed_at"] < "2026-11-20"}
    charges = {one["reference"]: one for one in entries if one["type"] == "charge"}
    assert len(charges) + len([one for one in entries if one["type"] == "refund"]) == len(entries) > 150
    assert cards.keys() - charges.keys() == {oddities["payout_lacks_payment"]["reference"]}
    assert charges.keys() <= cards.keys()
    assert all(charges[one]["amount"] == cards[one]["amount"] for one in charges)
    dear = [one for one in charges if charges[one]["fee"] != cards[one]["fee"]]
    assert dear == [oddities["payout_fee"]["reference"]]
    for payout in payouts:
        assert sum(Decimal(one["net"]) for one in payout["transactions"]) == Decimal(payout["amount"])
        late = payout["status"] == "in_transit" and payout["arrives_at"] < "2026-11-20T12"
        assert late == (payout["id"] == oddities["payout_held"]["payout"])


def test_rows_to_quarantine(cart: dict[str, Doc], oddities: dict[str, Doc], made: Path) -> None:
    quantities = [line["quantity"] for line in cart[oddities["negative_quantity"]["order"]]["line_items"]]
    assert min(quantities) == -1
    assert [n for n, o in cart.items() if min(line["quantity"] for line in o["line_items"]) < 1] == [
        oddities["negative_quantity"]["order"]
    ]
    assert [n for n, o in cart.items() if o["currency"] not in ("EUR", "USD")] == [oddities["currency_euro"]["order"]]
    assert cart[oddities["impossible_date"]["order"]]["created_at"] == "2026-11-31T09:15:00+01:00"
    nameless = [c for c in docs(made, "cart", "customers") if not c["email"] and not c["first_name"] + c["last_name"]]
    assert [customer["id"] for customer in nameless] == [oddities["customer_without_name"]["customer"]]


def test_customers_in_three_systems(oddities: dict[str, Doc], made: Path, erp: dict[str, Doc]) -> None:
    partners = {doc["number"]: doc for doc in docs(made, "erp", "business_partners")}
    assert all(order["sold_to"] in partners for order in erp.values())
    spelled = oddities["customer_spelled_differently"]
    account = next(doc for doc in docs(made, "crm", "accounts") if doc["Id"] == spelled["account"])
    emails = {spelled["email"], partners[spelled["business_partner"]]["email"], account["Email"]}
    assert len(emails) == 3
    assert len({email.strip().lower() for email in emails}) == 1
    arrears = oddities["customer_in_arrears"]["business_partner"]
    credit = {doc["business_partner"]: doc for doc in docs(made, "erp", "credit_status")}
    assert partners[arrears]["blocked"]
    assert credit[arrears]["blocked"]
    assert [number for number, doc in credit.items() if Decimal(doc["overdue"])] == [arrears]
    unpaid = [doc for doc in docs(made, "erp", "invoices") if doc["status"] == "open"]
    assert [(doc["payer"], doc["total"]) for doc in unpaid] == [(arrears, credit[arrears]["overdue"])]
    unknown = oddities["customer_unknown_to_erp"]["email"]
    assert unknown not in {doc["email"].strip().lower() for doc in partners.values()}
    empty = next(
        c for c in docs(made, "cart", "customers") if c["id"] == oddities["customer_without_address"]["customer"]
    )
    assert empty["default_address"] == []


def test_guests_are_a_tenth(cart: dict[str, Doc], oddities: dict[str, Doc]) -> None:
    guests = [order for order in cart.values() if order["customer"] is None]
    assert 0.05 < len(guests) / len(cart) < 0.16
    assert all(order["email"] and order["customer_name"] for order in guests)
    assert cart[oddities["guest"]["order"]]["customer"] is None
    assert cart[oddities["usd"]["order"]]["currency"] == "USD"


def test_names_have_umlauts_in_one_system_and_not_in_another(made: Path) -> None:
    names = {doc["id"]: doc["last_name"] for doc in docs(made, "cart", "customers")}
    partners = " ".join(doc["name"] for doc in docs(made, "erp", "business_partners"))
    assert any(name != name.translate(ASCII) and name.translate(ASCII) in partners for name in names.values())


def test_price_lists(made: Path, oddities: dict[str, Doc]) -> None:
    files = sorted((made / "drop").glob("prices_*.csv"))
    assert [path.name for path in files] == ["prices_20261016.csv", "prices_20261118.csv"]
    with files[-1].open(encoding="cp1252", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    assert list(rows[0]) == [
        "MATNR",
        "PREISLISTE",
        "WAEHRUNG",
        "PREIS",
        "AB_MENGE",
        "GUELTIG_AB",
        "GUELTIG_BIS",
        "BEZEICHNUNG",
    ]
    assert "€" in rows[0]["BEZEICHNUNG"]
    assert [row["MATNR"] for row in rows if row["PREIS"] == "12,5O"] == [oddities["price_unreadable"]["sku"]]
    sold = {doc["sku"] for doc in docs(made, "cart", "products")}
    assert {row["MATNR"] for row in rows} == sold - {oddities["product_unknown_to_erp"]["sku"]}
    with pytest.raises(UnicodeDecodeError):
        files[-1].read_bytes().decode("utf-8")


def test_nothing_is_newer_than_now(made: Path) -> None:
    for order in docs(made, "cart", "orders"):
        assert order["updated_at"] <= "2026-11-20T13:00:00+01:00"
    for table in ("sales_orders", "invoices", "credit_memos", "business_partners", "materials"):
        for doc in docs(made, "erp", table):
            assert (doc["change_date"], doc["change_time"]) <= ("2026-11-20", "13:00:00")


def test_a_larger_world_has_the_same_oddities(tmp_path: Path) -> None:
    world.create(tmp_path, World(orders=1500, customers=200, recent_days=15))
    found = world.read(tmp_path)
    assert found
    assert list(found[1]) == list(ODDITIES)
    orders = {doc["number"]: doc for doc in docs(tmp_path, "cart", "orders")}
    books = {doc["purchase_order"]: doc for doc in docs(tmp_path, "erp", "sales_orders")}
    odd = {number for number, order in books.items() if number in orders and difference(orders[number], order)}
    assert odd == {found[1]["rounding"]["order"], found[1]["shipping"]["order"]}
    assert len(orders) - len(books) > 300


@pytest.mark.parametrize("wrong", [{"orders": 10}, {"customers": 3}, {"days": 5}, {"recent_days": 0.1}])
def test_a_world_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a world needs"):
        World(**wrong)
