"""What happens to an order: from the cart to the ERP, and everything that may happen to it afterwards."""

from __future__ import annotations

from typing import Any

import pytest

ERP = "erp/sales_orders"
OPERATIONS = ("create", "change", "cancel")
EDITED = ({"quantity": "3", "line_total": "37.50"},)


def test_a_paid_order_is_created(world: Any) -> None:
    world.customer()
    world.bind("customer", "erp", "0000100012", 12)
    world.order()
    row = world.one(ERP, "create")
    assert row["payload"] == {
        "purchase_order": "1001",
        "sold_to": "0000100012",
        "order_date": "2026-11-18",
        "order_type": "WEB",
        "currency": "EUR",
        "net_total": "25.00",
        "discount": "0.00",
        "shipping": "4.90",
        "tax": "5.68",
        "total": "35.58",
        "items": [
            {
                "material": "A-100",
                "quantity": 2,
                "net_price": "12.50",
                "discount": "0.00",
                "net_amount": "25.00",
                "tax_amount": "4.75",
            }
        ],
    }
    assert (row["hub_id"], row["key"], row["external_id"], row["same"]) == (55, "1001", None, None)
    assert (row["hold"], row["waits_for"]) == (None, None)
    assert row["since"].isoformat() == "2026-11-18T08:00:00+00:00"


def test_keys_stand_in_alphabetical_order(world: Any) -> None:
    world.customer()
    world.order()
    keys = list(world.one(ERP, "create")["payload"])
    assert keys == sorted(keys)


def test_a_customer_the_erp_does_not_know_is_promised(world: Any) -> None:
    world.customer()
    world.order()
    row = world.one(ERP, "create")
    assert row["payload"]["sold_to"] == {"$id_of": "customer/12"}
    assert row["waits_for"] == "customer/12"


# what the hub says of the order, what the ERP says of it (None: it does not know it) → what is due
TRANSITIONS: list[tuple[str, dict[str, Any], tuple[dict[str, Any], ...], str | None, dict[str, str]]] = [
    ("paid", {}, ({},), None, {"create": "due"}),
    ("paid in part back", {"payment_status": "partially_refunded"}, ({},), None, {"create": "due"}),
    ("not paid", {"payment_status": "unpaid"}, ({},), None, {}),
    ("authorised only", {"payment_status": "authorised"}, ({},), None, {}),
    ("cancelled before it was pushed", {"lifecycle_status": "cancelled"}, ({},), None, {}),
    ("refunded before it was pushed", {"payment_status": "refunded"}, ({},), None, {}),
    ("delivered without the ERP", {"lifecycle_status": "completed"}, ({},), None, {}),
    ("pushed", {}, ({},), "open", {"change": "same"}),
    ("edited", {"total": "50.46"}, EDITED, "open", {"change": "due"}),
    ("another total", {"total": "35.59"}, ({},), "open", {"change": "due"}),
    ("another shipping charge", {"charge_total": "0"}, ({},), "open", {"change": "due"}),
    ("a line more", {}, ({}, {"sku": "A-200"}), "open", {"change": "due"}),
    ("edited after a part was delivered", {}, EDITED, "partially_delivered", {"change": "held"}),
    ("edited after delivery", {}, EDITED, "delivered", {"change": "held"}),
    ("delivered", {}, ({},), "delivered", {"change": "same"}),
    ("edited, cancelled in the ERP by hand", {}, EDITED, "cancelled", {}),
    ("cancelled", {"lifecycle_status": "cancelled"}, ({},), "open", {"cancel": "due"}),
    ("cancelled and edited", {"lifecycle_status": "cancelled"}, EDITED, "open", {"cancel": "due"}),
    ("cancelled after delivery", {"lifecycle_status": "cancelled"}, ({},), "delivered", {"cancel": "held"}),
    ("cancelled after part", {"lifecycle_status": "cancelled"}, ({},), "partially_delivered", {"cancel": "held"}),
    ("cancelled in both", {"lifecycle_status": "cancelled"}, ({},), "cancelled", {}),
    ("refunded", {"payment_status": "refunded"}, ({},), "open", {"change": "same"}),
]


@pytest.mark.parametrize(
    ("ours", "lines", "theirs", "due"), [case[1:] for case in TRANSITIONS], ids=[case[0] for case in TRANSITIONS]
)
def test_transitions(
    world: Any, ours: dict[str, Any], lines: tuple[dict[str, Any], ...], theirs: str | None, due: dict[str, str]
) -> None:
    world.customer()
    world.bind("customer", "erp", "0000100012", 12)
    world.order(lines=lines, **ours)
    if theirs:
        world.in_erp(status=theirs)
    found = {operation: _verdict(row) for operation in OPERATIONS for row in world.push(ERP, operation)}
    assert found == due


def _verdict(row: dict[str, Any]) -> str:
    if row["same"]:
        return "same"
    return "held" if row["hold"] else "due"


def test_what_is_held_says_why(world: Any) -> None:
    world.order(lifecycle_status="cancelled")
    world.in_erp(status="delivered")
    assert "needs a return" in world.one(ERP, "cancel")["hold"]


def test_a_change_carries_the_whole_order_and_the_erps_number(world: Any) -> None:
    world.order(lines=({"quantity": "3", "line_total": "37.50"}, {"sku": "A-200", "quantity": "0.5"}))
    world.in_erp()
    row = world.one(ERP, "change")
    assert row["external_id"] == "0004500055"
    assert [(item["material"], item["quantity"]) for item in row["payload"]["items"]] == [("A-100", 3), ("A-200", 0.5)]
    assert "purchase_order" not in row["payload"]
    assert row["seen_at"].isoformat() == "2026-11-18T08:00:00+00:00"


def test_the_order_of_the_lines_is_no_difference(world: Any) -> None:
    world.order(lines=({"sku": "A-100"}, {"sku": "A-200"}))
    world.in_erp(lines=({"sku": "A-200"}, {"sku": "A-100"}))
    assert world.one(ERP, "change")["same"] is True


def test_the_same_lines_twice_are_not_the_same_lines_once(world: Any) -> None:
    world.order(lines=({}, {}))
    world.in_erp(lines=({},))
    assert world.one(ERP, "change")["same"] is False


def test_a_line_that_was_taken_out_is_a_difference(world: Any) -> None:
    world.order(lines=({},))
    world.in_erp(lines=({}, {"sku": "A-200"}))
    assert world.one(ERP, "change")["same"] is False


def test_what_is_the_same_is_neither_held_nor_made(world: Any) -> None:
    world.order()
    world.in_erp(status="delivered")
    row = world.one(ERP, "change")
    assert (row["same"], row["hold"], row["payload"]) == (True, None, {})


def test_an_order_that_was_bound_but_not_read_yet_is_left_alone(world: Any) -> None:
    """Created a minute ago: the binding is folded from the ledger, the target was not pulled since."""
    world.order(total="99.00")
    world.bind("sales_order", "erp", "0004500055", 55)
    assert [world.push(ERP, operation) for operation in OPERATIONS] == [[], [], []]


def test_while_the_newest_version_is_in_quarantine_its_push_waits(world: Any) -> None:
    world.customer()
    world.order()
    case = {"system": "cart", "entity": "sales_order", "source_id": "c55", "rule": "total"}
    world.put("quality.quarantine", **case, closed_at="2026-11-18T08:00:00Z")
    assert world.one(ERP, "create")["hold"] is None
    world.put("quality.quarantine", **case)
    assert world.one(ERP, "create")["hold"] == "its newest version is in quarantine"


def test_a_unit_the_erp_has_no_word_for_is_held(world: Any) -> None:
    world.order(lines=({}, {"unit": "MTR"}))
    assert world.one(ERP, "create")["hold"] == "the target has no word for this unit"


def test_of_two_numbers_in_the_erp_the_first_counts(world: Any) -> None:
    world.order(total="1.00")
    world.in_erp()
    world.bind("sales_order", "erp", "0004500001", 55, bound_at="2026-11-19T08:00:00Z")
    assert world.one(ERP, "change")["external_id"] == "0004500055"


def test_a_deleted_order_is_not_pushed(world: Any) -> None:
    world.order(deleted_at="2026-11-18T08:00:00Z")
    assert world.push(ERP, "create") == []


def test_rows_come_in_the_order_of_hub_ids(world: Any) -> None:
    for hub_id in (70, 56, 63):
        world.order(hub_id, number=f"n{100 - hub_id}")
    assert [row["hub_id"] for row in world.push(ERP, "create")] == [56, 63, 70]


@pytest.mark.parametrize(
    ("currency", "amount", "text"),
    [
        ("EUR", "12.5", "12.50"),
        ("EUR", "0.0125", "0.0125"),
        ("JPY", "1200", "1200"),
        ("KWD", "1.5", "1.500"),
        ("EUR", "-3", "-3.00"),
    ],
)
def test_money_is_text_with_the_currencys_decimals(world: Any, currency: str, amount: str, text: str) -> None:
    world.order(currency=currency, total=amount)
    assert world.one(ERP, "create")["payload"]["total"] == text


REFUND = {"hub_id": 80, "sales_order": 55, "number": "51", "currency": "EUR", "amount": "5.00", "reason": "scratched"}
MEMO = "erp/credit_memos"


def test_a_refund_becomes_a_credit_memo(world: Any) -> None:
    world.order(payment_status="partially_refunded")
    world.in_erp()
    world.put("canonical.refund", **REFUND)
    row = world.one(MEMO, "create")
    assert row["payload"] == {
        "reference": "51",
        "sales_order": "0004500055",
        "currency": "EUR",
        "amount": "5.00",
        "reason": "scratched",
    }
    assert (row["key"], row["waits_for"]) == ("51", None)


def test_a_refund_of_an_order_that_comes_with_it_waits_for_the_order(world: Any) -> None:
    world.order(payment_status="partially_refunded")
    world.put("canonical.refund", **REFUND)
    row = world.one(MEMO, "create")
    assert row["payload"]["sales_order"] == {"$id_of": "sales_order/55"}
    assert row["waits_for"] == "sales_order/55"


@pytest.mark.parametrize("ours", [{"lifecycle_status": "cancelled"}, {"payment_status": "refunded"}])
def test_no_memo_for_what_the_books_never_had(world: Any, ours: dict[str, Any]) -> None:
    world.order(**ours)
    world.put("canonical.refund", **REFUND)
    assert world.push(MEMO, "create") == []


def test_no_second_memo_for_one_refund(world: Any) -> None:
    world.order(payment_status="refunded")
    world.in_erp()
    world.put("canonical.refund", **REFUND)
    world.bind("refund", "erp", "0080000001", 80)
    assert world.push(MEMO, "create") == []
