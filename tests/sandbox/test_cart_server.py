"""The cart over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.cart import TOKEN
from sandbox.servers import Running, running

Doc = dict[str, Any]


class Shop:
    def __init__(self, handle: Running) -> None:
        self.handle, self.url = handle, handle.cart
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"

    def call(self, method: str, path: str, body: object = None, **params: Any) -> requests.Response:
        return self.session.request(method, self.url + path, json=body, params=params, timeout=30)

    def get(self, path: str, **params: Any) -> Doc:
        answer = self.call("GET", path, **params)
        assert answer.status_code == 200, answer.text
        found: Doc = answer.json()
        return found

    def pages(self, table: str, **params: Any) -> Iterator[list[Doc]]:
        answer = self.call("GET", f"/{table}", **params)
        while True:
            yield answer.json()[table]
            if "next" not in answer.links:
                return
            answer = self.session.get(answer.links["next"]["url"], timeout=30)

    def place(self, **wanted: Any) -> Doc:
        wanted = {"customer": {"id": 7_000_003}, "line_items": [{"sku": "CD-00001", "quantity": 2}]} | wanted
        answer = self.call("POST", "/orders", wanted)
        assert answer.status_code == 201, answer.text
        made: Doc = answer.json()
        return made


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that this module may change."""
    with running(tmp_path_factory.mktemp("cart")) as handle:
        yield Shop(handle)


@pytest.fixture
def shop(own: Shop) -> Shop:
    """The same shop, for those that only read."""
    return own


@pytest.mark.parametrize("table", ["customers", "products", "orders", "payouts"])
@pytest.mark.parametrize("limit", [7, 250])
def test_pages_hold_everything_once_in_order(shop: Shop, table: str, limit: int) -> None:
    records = [record for page in shop.pages(table, limit=limit, status="any") for record in page]
    assert len(records) >= {"customers": 300, "products": 60, "orders": 400, "payouts": 50}[table]
    assert len({record["id"] for record in records}) == len(records)
    from datetime import datetime

    keys = [(datetime.fromisoformat(record["updated_at"]), record["id"]) for record in records]
    assert keys == sorted(keys)


def test_limits_and_defaults(shop: Shop) -> None:
    assert len(next(shop.pages("orders"))) == 50
    assert len(next(shop.pages("orders", limit=1000, status="any"))) == 250
    link = shop.call("GET", "/orders", limit=3).headers["Link"]
    assert link.startswith(f"<{shop.url}/orders?cursor=")
    assert link.endswith('&limit=3>; rel="next"')


def test_changed_since_is_inclusive(shop: Shop) -> None:
    everything = [order for page in shop.pages("orders", limit=250, status="any") for order in page]
    middle = everything[200]["updated_at"]
    later = [order for page in shop.pages("orders", limit=30, status="any", updated_at_min=middle) for order in page]
    assert later[0]["updated_at"] == middle
    assert [order["id"] for order in later] == [order["id"] for order in everything[-len(later) :]]
    assert len(later) >= 200


def test_cancelled_orders_only_with_status_any(shop: Shop) -> None:
    with_all = [order for page in shop.pages("orders", limit=250, status="any") for order in page]
    plain = [order for page in shop.pages("orders", limit=250) for order in page]
    assert [order["id"] for order in with_all if not order["cancelled_at"]] == [order["id"] for order in plain]
    assert len(plain) < len(with_all)


def test_find_by_number_sku_and_email(shop: Shop) -> None:
    (order,) = shop.get("/orders", number="1001")["orders"]
    assert shop.get(f"/orders/{order['id']}") == order
    assert shop.get("/orders", number="nope") == {"orders": []}
    assert shop.get("/products", sku="1E5")["products"][0]["sku"] == "1E5"
    assert shop.get("/customers", email="Juergen.Mueller@Example.com")["customers"][0]["last_name"] == "Müller"


def test_errors_have_their_shape(shop: Shop) -> None:
    stranger = requests.get(f"{shop.url}/orders", headers={"Authorization": "Bearer wrong"}, timeout=30)
    assert stranger.status_code == 401
    assert isinstance(stranger.json()["errors"], str)
    assert shop.call("GET", "/orders/1").status_code == 404
    assert shop.call("GET", "/nothing").json() == {"errors": "Not Found"}
    for query in ({"limit": "many"}, {"updated_at_min": "2026-10-01"}, {"cursor": "garbage"}, {"cursor": "W10="}):
        assert shop.call("GET", "/orders", **query).status_code == 400, query
    answer = shop.call("POST", "/orders", {"line_items": []})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["email"])
    assert shop.session.post(f"{shop.url}/orders", data="{oops", timeout=30).status_code == 400
    assert shop.call("POST", "/orders", {"customer": "me"}).status_code == 400


def test_rate_limit_says_when(own: Shop) -> None:
    own.handle.control.call("cart", "POST", "rate", {"per_second": 2, "burst": 2})
    try:
        answers = [own.call("GET", "/products", limit=1) for _ in range(4)]
        assert [answer.status_code for answer in answers][-1] == 429
        assert 0 < float(answers[-1].headers["Retry-After"]) <= 0.6
        assert "." in answers[-1].headers["Retry-After"]
    finally:
        own.handle.control.call("cart", "POST", "rate", {"per_second": 500, "burst": 2000})
    # The first calls after it may come faster than 500 a second.
    answers = [own.call("GET", "/products", limit=1) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}


def test_placing_an_order(own: Shop) -> None:
    product = own.get("/products", sku="CD-00001")["products"][0]
    order = own.place(
        line_items=[{"sku": "CD-00001", "quantity": 2, "discount": "1.00"}, {"sku": "CD-00011", "quantity": 1}],
        discount_codes=[{"code": "TEN", "amount": "10.00"}],
    )
    assert order["number"] == str(order["id"] - 5_000_001 + 1001)
    assert order["line_items"][0]["price"] == product["price"]
    assert order["financial_status"] == "paid"
    assert order["payments"][0]["amount"] == order["total_price"]
    assert {tax["rate"] for tax in order["tax_lines"]} == {"0.19", "0.07"}
    parts = [Decimal(order[name]) for name in ("subtotal", "total_shipping", "total_tax")]
    assert sum(parts) - Decimal("10.00") == Decimal(order["total_price"])
    assert own.get("/orders", number=order["number"])["orders"] == [order]
    changed = [o for page in own.pages("orders", status="any", updated_at_min=order["updated_at"]) for o in page]
    assert order["id"] in {other["id"] for other in changed}


def test_a_guest_pays_later(own: Shop) -> None:
    address = {"name": "Cy Dee", "street": "Weg 3", "city": "Bonn", "zip": "53111", "country_code": "DE"}
    order = own.place(
        customer=None, email="cy@example.com", customer_name="Cy Dee", shipping_address=address, paid=False,
        shipping_lines=[], gateway="transfer",
    )  # fmt: skip
    assert (order["customer"], order["financial_status"], order["total_shipping"]) == (None, "pending", "0.00")
    path = f"/orders/{order['id']}"
    assert own.call("POST", f"{path}/refunds", {}).status_code == 422
    paid = own.call("POST", f"{path}/pay").json()
    assert (paid["financial_status"], paid["payments"][0]["status"]) == ("paid", "captured")
    assert own.call("POST", f"{path}/pay").json() == paid


def test_writing_back_is_idempotent(own: Shop) -> None:
    order = own.place()
    wanted = {"erp_order_number": "0004599999", "fulfillment_status": "partial", "note": "hello"}
    own.handle.control.clock(advance=60)
    changed = own.call("PUT", f"/orders/{order['id']}", wanted).json()
    assert {name: changed[name] for name in wanted} == wanted
    assert changed["updated_at"] > order["updated_at"]
    own.handle.control.clock(advance=60)
    assert own.call("PUT", f"/orders/{order['id']}", {"order": wanted}).json() == changed


def test_editing_lines_until_it_is_fulfilled(own: Shop) -> None:
    order = own.place(line_items=[{"sku": "CD-00001", "quantity": 2}, {"sku": "CD-00002", "quantity": 1}])
    path, first = f"/orders/{order['id']}", order["line_items"][0]["id"]
    lines = [{"id": first, "quantity": 5}, {"sku": "CD-00003", "quantity": 1}]
    changed = own.call("PUT", path, {"line_items": lines}).json()
    assert [(line["sku"], line["quantity"]) for line in changed["line_items"]] == [("CD-00001", 5), ("CD-00003", 1)]
    assert changed["line_items"][0]["id"] == first
    assert changed["line_items"][1]["id"] not in {line["id"] for line in order["line_items"]}
    assert changed["payments"][0]["amount"] == changed["total_price"] != order["total_price"]
    own.call("PUT", path, {"fulfillment_status": "fulfilled"})
    refused = own.call("PUT", path, {"line_items": lines})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["line_items"])
    assert own.call("POST", f"{path}/cancel").status_code == 422
    assert own.call("PUT", path, {"total_price": "1.00"}).json() == {"errors": {"total_price": ["cannot be changed"]}}


def test_cancelling(own: Shop) -> None:
    paid, unpaid = own.place(), own.place(paid=False)
    assert own.call("POST", f"/orders/{paid['id']}/cancel").json()["financial_status"] == "paid"
    gone = own.call("POST", f"/orders/{unpaid['id']}/cancel").json()
    assert (gone["financial_status"], bool(gone["cancelled_at"])) == ("voided", True)
    own.handle.control.clock(advance=60)
    assert own.call("POST", f"/orders/{unpaid['id']}/cancel").json() == gone


def test_a_payment_by_card_is_paid_out_with_the_next_days_less_its_fee(tmp_path: Path) -> None:
    with running(tmp_path) as handle:
        shop, day = Shop(handle), "2027-03-01T{}:00:00+01:00"
        handle.control.clock(now=day.format("09"), frozen=True)
        [*_, last] = [one for page in shop.pages("payouts") for one in page]  # what was due is settled
        order, _ = shop.place(reference="ch_1"), shop.place(gateway="paypal", reference="pp_1")
        shop.call("POST", f"/orders/{order['id']}/refunds", {"amount": "5.00"})
        shop.call("PUT", f"/orders/{order['id']}", {"note": "again"})
        total = Decimal(order["total_price"])
        fee = Decimal(order["payments"][0]["fee"])
        assert fee == (total * Decimal("0.015")).quantize(Decimal("0.01"), ROUND_HALF_UP) + Decimal("0.25")

        def made() -> list[Doc]:
            return [one for page in shop.pages("payouts") for one in page if one["id"] > last["id"]]

        assert made() == [], "the day is not over"
        handle.control.clock(now="2027-03-02T00:30:00+01:00", frozen=True)
        (payout,) = made()
        assert next((one["type"], one["reference"]) for one in payout["transactions"]) == ("charge", "ch_1")
        assert (payout["status"], payout["arrives_at"]) == ("in_transit", "2027-03-04T00:00:00+01:00")
        assert (Decimal(payout["amount"]), Decimal(payout["fee_total"])) == (total - 5 - fee, fee)
        assert made() == [payout], "looking twice settles once"
        shop.call("PUT", f"/orders/{order['id']}", {"line_items": [{"sku": "CD-00001", "quantity": 9}]})
        handle.control.clock(now="2027-03-04T08:00:00+01:00", frozen=True)
        (arrived,) = made()  # what was settled is not settled again, whatever becomes of the order
        assert (arrived["status"], arrived["transactions"]) == ("paid", payout["transactions"])
        held = handle.oddities["payout_held"]["payout"]
        assert shop.get(f"/payouts/{held}")["status"] == "in_transit"
        assert handle.control.release(held)["status"] == shop.get(f"/payouts/{held}")["status"] == "paid"


def test_refunding_up_to_the_total(own: Shop) -> None:
    order = own.place()
    path, total = f"/orders/{order['id']}/refunds", Decimal(order["total_price"])
    part = own.call("POST", path, {"amount": "5.00", "reason": "scratched"}).json()
    assert (part["financial_status"], part["total_refunded"]) == ("partially_refunded", "5.00")
    assert own.call("POST", path, {"amount": str(total)}).status_code == 422
    whole = own.call("POST", path, {}).json()
    assert (whole["financial_status"], whole["total_refunded"]) == ("refunded", str(total))
    assert len({refund["id"] for refund in whole["refunds"]}) == 2


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"line_items": [{"sku": "nope", "quantity": 1}]}, "line_items"),
        ({"line_items": [{"sku": "CD-00001", "quantity": 0}]}, "line_items"),
        ({"line_items": [{"sku": "CD-00001", "quantity": 1, "discount": "1e9"}]}, "line_items"),
        ({"currency": "EURO"}, "currency"),
        ({"customer": {"id": 1}}, "customer"),
        ({"gateway": "barter"}, "gateway"),
        ({"discount_codes": [{"code": "X", "amount": "9999999"}]}, "discount_codes"),
        ({"discount_codes": [{"code": "X", "amount": "NaN"}]}, "discount_codes"),
    ],
)
def test_orders_that_are_refused_leave_nothing(own: Shop, wanted: Doc, field: str) -> None:
    before = own.place()
    body = {"customer": {"id": 7_000_003}, "line_items": [{"sku": "CD-00001", "quantity": 2}]} | wanted
    refused = own.call("POST", "/orders", body)
    assert (refused.status_code, list(refused.json()["errors"])) == (422, [field])
    assert own.place()["id"] == before["id"] + 1


def test_stock_and_customers(own: Shop) -> None:
    product = own.get("/products", sku="CD-00002")["products"][0]
    assert own.call("PUT", f"/products/{product['id']}", {"stock": 5}).json()["stock"] == 5
    assert own.call("PUT", f"/products/{product['id']}", {"stock": -1}).status_code == 422
    address = {
        "type": "billing",
        "name": "Bo Berg",
        "street": "Ring 1",
        "city": "Ulm",
        "zip": "89073",
        "country_code": "DE",
    }
    wanted = {"email": "Bo@Example.com", "first_name": "Bo", "last_name": "Berg", "addresses": [address]}
    made = own.call("POST", "/customers", wanted).json()
    assert made["default_address"]["city"] == "Ulm"
    assert own.call("POST", "/customers", wanted).json() == {"errors": {"email": ["has already been taken"]}}
    assert own.call("PUT", f"/customers/{made['id']}", {"customer_group": "vip"}).json()["customer_group"] == "vip"
    assert own.call("PUT", f"/customers/{made['id']}", {"customer_group": "king"}).status_code == 422
    assert own.place(customer={"id": made["id"]})["shipping_address"]["street"] == "Ring 1"
