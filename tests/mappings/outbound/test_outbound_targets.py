"""Partners in the ERP, numbers and stock in the cart, accounts and orders in the CRM."""

from __future__ import annotations

from typing import Any

import pytest

PARTNER = "erp/business_partners"


def test_a_buyer_with_a_paid_open_order_becomes_a_partner(world: Any) -> None:
    world.customer(kind="person", phone="+49 1", country_code="DE", tier="gold")
    address = {"parent": 12, "street": "Ring 1", "city": "Ulm", "postal_zone": "89073"}
    world.put("canonical.customer_address", hub_id=2, **address | {"street": "Ring 2"})
    world.put("canonical.customer_address", hub_id=1, **address)
    world.order()
    row = world.one(PARTNER, "create")
    assert row["payload"] == {
        "name": "Ann Lee",
        "category": "1",
        "email": "ann@example.com",
        "phone": "+49 1",
        "external_id": "12",
        "street": "Ring 1",
        "city": "Ulm",
        "postal_code": "89073",
        "country": "DE",
    }
    assert (row["key"], row["hold"]) == ("12", None)
    assert row["since"].isoformat() == "2026-11-18T08:00:00+00:00"


@pytest.mark.parametrize(
    ("order", "count"),
    [
        ({}, 1),
        ({"payment_status": "unpaid"}, 0),
        ({"lifecycle_status": "cancelled"}, 0),
        ({"lifecycle_status": "completed"}, 0),
        ({"customer": 13}, 0),
    ],
)
def test_nobody_else_becomes_one(world: Any, order: dict[str, Any], count: int) -> None:
    world.customer()
    world.order(**order)
    assert len(world.push(PARTNER, "create")) == count


def test_a_guest_becomes_one_too(world: Any) -> None:
    world.customer(guest=True)
    world.order()
    assert world.one(PARTNER, "create")["payload"]["name"] == "Ann Lee"


def test_a_partner_the_erp_knows_is_not_made_again(world: Any) -> None:
    world.customer()
    world.order()
    world.bind("customer", "erp", "0000100012", 12)
    assert world.push(PARTNER, "create") == []


def test_a_partner_of_another_system_does_not_count(world: Any) -> None:
    world.customer()
    world.order()
    world.bind("customer", "crm", "001", 12)
    assert len(world.push(PARTNER, "create")) == 1


def test_a_nameless_customer_waits_for_a_person(world: Any) -> None:
    world.customer(name=None)
    world.order()
    assert world.one(PARTNER, "create")["hold"] == "a partner without a name"


def test_the_latest_due_order_decides_about_go_live(world: Any) -> None:
    world.customer()
    world.order(55, number="a", ordered_at="2026-01-01T00:00:00Z")
    world.order(56, number="b", ordered_at="2026-12-01T00:00:00Z", lifecycle_status="cancelled")
    assert world.one(PARTNER, "create")["since"].isoformat() == "2026-01-01T00:00:00+00:00"


# -- the cart


def _cart_says(world: Any, **values: Any) -> None:
    world.put("source.sales_order", system="cart", source_id="c55", hub_id=55, **values)


@pytest.mark.parametrize(
    ("ours", "theirs", "payload", "same"),
    [
        ("unfulfilled", {}, {"erp_order_number": "0004500055"}, False),
        ("unfulfilled", {"seller_number": "0004500055"}, {"erp_order_number": "0004500055"}, False),
        (
            "unfulfilled",
            {"seller_number": "0004500055", "fulfilment_status": "unfulfilled"},
            {},
            True,
        ),
        (
            "partial",
            {"seller_number": "0004500055", "fulfilment_status": "unfulfilled"},
            {"erp_order_number": "0004500055", "fulfillment_status": "partial"},
            False,
        ),
    ],
)
def test_the_cart_learns_number_and_delivery(
    world: Any, ours: str, theirs: dict[str, Any], payload: dict[str, Any], same: bool
) -> None:
    world.order(seller_number="0004500055", fulfilment_status=ours)
    _cart_says(world, **theirs)
    row = world.one("cart/orders", "fulfil")
    assert (row["payload"], row["same"], row["external_id"]) == (payload, same, "c55")


def test_a_delivery_is_never_taken_back(world: Any) -> None:
    world.order(seller_number="0004500055")
    _cart_says(world, seller_number="0004500055", fulfilment_status="fulfilled")
    assert world.one("cart/orders", "fulfil")["hold"] == "the cart says delivered, the ERP does not"


@pytest.mark.parametrize("ours", [{}, {"seller_number": "1", "lifecycle_status": "cancelled"}])
def test_nothing_to_tell_the_cart(world: Any, ours: dict[str, Any]) -> None:
    world.order(**ours)
    _cart_says(world)
    assert world.push("cart/orders", "fulfil") == []


def _stock(world: Any, *available: Any, offered: str = "12", status: str = "active") -> list[dict[str, Any]]:
    world.put("canonical.product", hub_id=7, sku="A-100", name="Stapler", status="active")
    world.bind("product", "cart", "71", 7)
    world.put("source.product", system="cart", source_id="71", hub_id=7, status=status, offered_quantity=offered)
    for n, amount in enumerate(available):
        world.put("canonical.inventory_level", hub_id=n, product=7, location_code=str(n), available=amount)
    world.put("canonical.inventory_level", hub_id=90, product=8, location_code="0", available=1000)
    found: list[dict[str, Any]] = world.push("cart/products", "change")
    return found


def test_stock_is_the_sum_over_all_places(world: Any) -> None:
    (row,) = _stock(world, 10, "5.5", -1)
    assert (row["payload"], row["key"], row["external_id"], row["same"]) == ({"stock": 14}, "A-100", "71", False)


def test_stock_that_is_right_makes_no_call(world: Any) -> None:
    (row,) = _stock(world, 10, 2)
    assert row["same"] is True


def test_the_shop_never_offers_less_than_nothing(world: Any) -> None:
    (row,) = _stock(world, 1, -3)
    assert row["payload"] == {"stock": 0}


def test_stock_that_nobody_keeps_is_not_told(world: Any) -> None:
    assert _stock(world) == []


def test_an_archived_product_is_left_alone(world: Any) -> None:
    assert _stock(world, 1, status="discontinued") == []


# -- the CRM


def test_an_account_carries_what_the_books_say(world: Any) -> None:
    world.customer(tier="gold", tax_id="DE1", country_code="DE")
    credit = {"credit_limit": "5000", "overdue_amount": "300.5", "hold": False, "currency": "EUR"}
    world.put("canonical.account_credit", hub_id=3, customer=12, **credit)
    row = world.one("crm/accounts", "upsert")
    assert row["payload"] == {
        "HubId": "12",
        "Name": "Ann Lee",
        "Email": "ann@example.com",
        "TaxNumber": "DE1",
        "Tier": "Gold",
        "BillingCountryCode": "DE",
        "CurrencyIsoCode": "EUR",
        "CreditLimit": "5000.00",
        "OverdueAmount": "300.50",
        "CreditStatus": "Overdue",
    }
    assert (row["key"], row["external_id"], row["same"]) == ("12", None, None)


@pytest.mark.parametrize(
    ("hold", "overdue", "status"),
    [(True, "5", "Hold"), (False, "5", "Overdue"), (False, "0", "OK"), (None, None, "OK")],
)
def test_credit_status(world: Any, hold: bool | None, overdue: str | None, status: str) -> None:
    world.customer()
    world.put("canonical.account_credit", hub_id=3, customer=12, hold=hold, overdue_amount=overdue, currency="EUR")
    assert world.one("crm/accounts", "upsert")["payload"]["CreditStatus"] == status


def test_a_guest_becomes_an_account_with_an_order(world: Any) -> None:
    world.customer(guest=True)
    assert world.push("crm/accounts", "upsert") == []
    world.order()
    assert len(world.push("crm/accounts", "upsert")) == 1


def _account(world: Any, **values: Any) -> None:
    said = {"name": "Ann Lee", "email": "ann@example.com"} | values
    world.put("source.customer", system="crm", source_id="001", hub_id=12, **said)
    world.bind("customer", "crm", "001", 12)


@pytest.mark.parametrize(
    ("quoted", "same"),
    [
        ({"hub_ref": "12"}, True),
        ({"hub_ref": "11"}, False),  # a hub that was joined with this one
        ({"hub_ref": "CUST-12"}, False),
        ({}, None),  # it quotes none, or was read before quotes were kept
    ],
)
def test_an_account_that_says_the_same_is_the_same_if_it_quotes_our_id(
    world: Any, quoted: dict[str, str], same: bool | None
) -> None:
    world.customer()
    _account(world, **quoted)
    world.put("source.account_credit", system="crm", source_id="001", hub_id=3, customer=12, hold=False)
    row = world.one("crm/accounts", "upsert")
    assert (row["same"], row["external_id"]) == (same, "001")


@pytest.mark.parametrize("theirs", [{"email": "old@example.com"}, {"phone": "+49 2", "name": "Anna"}])
def test_an_account_that_differs_is_seen(world: Any, theirs: dict[str, Any]) -> None:
    world.customer()
    _account(world, **theirs)
    assert world.one("crm/accounts", "upsert")["same"] is False


def test_what_is_missing_here_clears_nothing_there(world: Any) -> None:
    world.customer(phone=None)
    _account(world, phone="+49 2")
    row = world.one("crm/accounts", "upsert")
    assert "Phone" not in row["payload"]
    assert row["same"] is None


def test_credit_that_changed_in_the_books_is_seen(world: Any) -> None:
    world.customer()
    _account(world)
    world.put("canonical.account_credit", hub_id=3, customer=12, hold=True, currency="EUR")
    world.put("source.account_credit", system="crm", source_id="001", hub_id=3, customer=12, hold=False, currency="EUR")
    assert world.one("crm/accounts", "upsert")["same"] is False


@pytest.mark.parametrize(
    ("lifecycle", "fulfilment", "status"),
    [
        ("open", "unfulfilled", "Open"),
        ("open", "partial", "Open"),
        ("open", "fulfilled", "Shipped"),
        ("completed", "fulfilled", "Completed"),
        ("cancelled", "fulfilled", "Cancelled"),
    ],
)
def test_orders_for_sales(world: Any, lifecycle: str, fulfilment: str, status: str) -> None:
    world.customer()
    world.bind("customer", "crm", "001", 12)
    world.order(lifecycle_status=lifecycle, fulfilment_status=fulfilment, seller_number="0004500055")
    row = world.one("crm/orders", "upsert")
    assert row["payload"] == {
        "OrderNumber": "1001",
        "Account": {"HubId": "12"},
        "Status": status,
        "ErpOrderNumber": "0004500055",
        "TotalAmount": "35.58",
        "CurrencyIsoCode": "EUR",
        "EffectiveDate": "2026-11-18",
    }
    assert (row["key"], row["waits_for"]) == ("1001", None)


def test_an_order_waits_for_its_account(world: Any) -> None:
    world.customer()
    world.order()
    assert world.one("crm/orders", "upsert")["waits_for"] == "customer/12"


@pytest.mark.parametrize(("account", "same"), [("001", True), ("002", False)])
def test_an_order_that_sales_sees_already_makes_no_call(world: Any, account: str, same: bool) -> None:
    world.customer()
    for source_id, hub_id in (("001", 12), ("002", 13)):
        world.put("source.customer", system="crm", source_id=source_id, hub_id=hub_id)
        world.bind("customer", "crm", source_id, hub_id)
    world.order(ordered_at="2026-11-17T23:30:00Z", fulfilment_status="partial")
    seen = {"number": "1001", "total": "35.58", "currency": "EUR", "ordered_at": "2026-11-17T23:00:00Z"}
    status = {"lifecycle_status": "open", "fulfilment_status": "unfulfilled"}
    said = {**seen, **status, "customer": 12 if account == "001" else 13}
    world.put("source.sales_order", system="crm", source_id="801", hub_id=55, **said)
    world.bind("sales_order", "crm", "801", 55)
    assert world.one("crm/orders", "upsert")["same"] is same
