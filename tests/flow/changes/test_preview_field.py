"""One value explained, from the path to the result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from changes_harness import ORDERS, Shop, order

from flow.preview import Wanted
from flow.preview_field import Explained, explain
from hub.errors import UsageError


def explained(shop: Shop, field: str, *records: Any, name: str = "shop/orders") -> list[Explained]:
    return explain(shop.project, name, field, json.dumps(records).encode(), "given.json", Wanted())


def way(found: Explained) -> list[tuple[str, str, str | None]]:
    return [(step.kind, step.what, step.value) for step in found.steps]


def test_a_path_a_cast_and_the_result(shop: Shop) -> None:
    (found,) = explained(shop, "total", order(1))
    assert way(found) == [("path", "total_price", "12.50"), ("cast", "as money (DECIMAL(18,4))", "12.5000")]
    assert (found.result, found.reason, found.key) == ("12.5000", None, "1")
    assert found.at.endswith("orders.yaml:10:10")


def test_a_cast_that_fails_says_the_rule_and_the_raw_value(shop: Shop) -> None:
    (found,) = explained(shop, "total", order(1, total_price="12,50"))
    assert found.result is None
    assert found.reason is not None
    assert (found.reason.code, found.reason.rule, found.reason.raw) == ("M301", "cast", "12,50")


def test_a_row_of_a_value_map_and_none(shop: Shop) -> None:
    said = [way(one)[1][1] for one in explained(shop, "payment_status", order(1), order(2, financial_status="x"))]
    assert said == ["paying: the row paid → paid", "paying: no row x; it waits in quarantine"]
    (missing,) = explained(shop, "payment_status", order(1, financial_status=None))
    assert way(missing)[1] == ("values", 'paying: the row "" (a missing value) → unpaid', "unpaid")


def test_a_default_that_is_used_and_one_that_is_not(shop: Shop) -> None:
    used, unused = explained(shop, "currency", order(1, currency=None), order(2))
    assert [kind for kind, _, _ in way(used)] == ["path", "default", "cast"]
    assert [kind for kind, _, _ in way(unused)] == ["path", "cast"]
    assert (used.result, unused.result) == ("EUR", "EUR")


def test_every_part_of_an_expression_with_its_value(shop: Shop) -> None:
    shop.mapping("shop/orders", ORDERS.replace("total: total_price", "total: round(number(total_price) * 2, 1)"))
    (found,) = explained(shop, "total", order(1, total_price="1.26"))
    assert way(found)[:4] == [
        ("path", "total_price", "1.26"),
        ("computed", "number(total_price)", "1.26"),
        ("computed", "number(total_price) * 2", "2.52"),
        ("computed", "round(number(total_price) * 2, 1)", "2.5"),
    ]


def test_the_part_that_cannot_be_computed_is_marked(shop: Shop) -> None:
    shop.mapping("shop/orders", ORDERS.replace("total: total_price", "total: number(total_price) * 2"))
    (found,) = explained(shop, "total", order(1, total_price="x"))
    assert [(step.what, step.failed) for step in found.steps[:3]] == [
        ("total_price", False), ("number(total_price)", True), ("number(total_price) * 2", True),
    ]  # fmt: skip
    assert found.reason is not None
    assert found.reason.rule == "expression"


def test_a_field_of_a_child_is_explained_for_each_row(shop: Shop) -> None:
    lines = [{"id": 1, "sku": "a", "quantity": 2}, {"id": 2, "sku": "b", "quantity": "x"}]
    found = explained(shop, "order_line.quantity", order(1, line_items=lines))
    assert [(one.key, one.result, one.reason and one.reason.raw) for one in found] == [
        ("1", "2.000000", None), ("2", None, "x"),
    ]  # fmt: skip


def test_a_reference_a_key_and_a_condition(shop: Shop) -> None:
    (customer,) = explained(shop, "customer", order(1))
    assert way(customer) == [("path", "customer.id", "7"), ("cast", "as an id of a customer", "7")]
    assert [one.result for one in explained(shop, "key", order(1))] == ["1"]
    (condition,) = explained(shop, "when", order(1))
    assert way(condition)[-1] == ("computed", "number is not null", "true")


def test_a_field_that_is_not_there_names_the_nearest(shop: Shop) -> None:
    with pytest.raises(UsageError, match="P523") as said:
        explained(shop, "totl", order(1))
    assert said.value.fix == "did you mean 'total'?"


def test_what_python_looks_up_is_a_step_too(shop: Shop) -> None:
    """Also where it is one part of an expression, and where it finds nothing."""
    text = "coalesce(phone(ship_to.phone, 'DE'), 'none')"
    shop.mapping("shop/orders", ORDERS.replace("ship_to_name: ship_to.name", f'ship_to_name: "{text}"'))
    right, wrong = explained(
        shop, "ship_to_name", order(1, ship_to={"phone": "0731 123456"}), order(2, ship_to={"phone": "ask Ann"})
    )
    assert way(right)[:3] == [
        ("path", "ship_to.phone", "0731 123456"),
        ("computed", "phone(ship_to.phone, 'DE')", "+49731123456"),
        ("computed", text, "+49731123456"),
    ]
    assert [step.failed for step in wrong.steps[:2]] == [False, True]
