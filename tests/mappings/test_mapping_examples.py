"""The examples of every mapping hold; and the runner notices those that do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mappings
from hub.entity import Model
from mappings import examples
from mappings.load import Mappings, load
from mappings.syntax import Mapping
from warehouse.model import entities

MODEL = entities()
ALL = load([Path(mappings.__file__).parent], MODEL).all


@pytest.mark.parametrize("mapping", ALL, ids=[mapping.name for mapping in ALL])
def test_the_examples_of_the_mappings_hold(mapping: Mapping) -> None:
    assert examples.run(mapping, MODEL) == []


ORDER = """
    stream: orders
    entity: sales_order
    key: id
    when: state is not null
    fields:
      number: number
      ordered_at: created_at
      requested_date: wanted
      customer: {ref: customer, at: customer.id}
      currency: currency
      total: total
      lifecycle_status: "'open'"
      tax_included: gross
    children: {order_line: {each: lines, key: id, fields: {quantity: quantity, line_number: ordinal()}}}
    examples:
      - name: one
"""
GIVEN = """{id: 7, state: x, number: "1", created_at: "2026-11-18T09:00:00+01:00", wanted: "2026-11-20", customer: {id: 8},
    currency: EUR, total: 12.50, gross: true, lines: [{id: 1, quantity: 2}, {id: 2, quantity: "3.5"}]}"""
TRUE = """{key: "7", number: "1", ordered_at: "2026-11-18T08:00:00Z", requested_date: "2026-11-20", customer: 8, total: 12.5,
    tax_included: true, note: ~, order_line: [{quantity: 2, line_number: 1}, {quantity: 3.50}]}"""


@pytest.mark.parametrize(
    ("outcome", "code", "says"),
    [
        (f"expect: {TRUE}", None, ""),
        (f"expect: {TRUE.replace('12.5', '12.51')}", "M401", "total is '12.5', expected '12.51'"),
        (f"expect: {TRUE.replace('T08', 'T09')}", "M401", "ordered_at is"),
        (f"expect: {TRUE.replace('T08:00:00Z', 'T08:00:00')}", "M401", "ordered_at is"),
        (f"expect: {TRUE.replace('11-20', '11-21')}", "M401", "requested_date is '2026-11-20'"),
        (f"expect: {TRUE.replace('customer: 8', 'customer: 9')}", "M401", "customer is '8', expected '9'"),
        (f"expect: {TRUE.replace('note: ~', 'note: x')}", "M401", "note is missing, expected 'x'"),
        (f"expect: {TRUE.replace('included: true', 'included: false')}", "M401", "tax_included is 'true'"),
        (
            f"expect: {TRUE.replace('quantity: 2,', 'quantity: 1,')}",
            "M401",
            "order_line[0].quantity is '2', expected '1'",
        ),
        (f"expect: {TRUE.replace(', {quantity: 3.50}', '')}", "M401", "there are 2 order_line, expected 1"),
        (
            f"expect: {TRUE.replace('note: ~', 'nte: ~')}",
            "M403",
            "no column 'nte' in sales_order; did you mean 'note'?",
        ),
        ("expect: {order_line: x}", "M403", "order_line is a list of rows"),
        ("expect: {total: [1]}", "M403", "total holds a plain value"),
        ("expect: [{}, {}]", "M402", "it makes 1 rows, not 2"),
        ("excluded: true", "M402", "it is mapped, not excluded"),
        ("rejects: total", "M402", "total is not rejected; rejected: nothing"),
    ],
)
def test_one_example(
    write: Callable[..., Any], loaded: Callable[[], Mappings], model: Model, outcome: str, code: str | None, says: str
) -> None:
    write("shop/orders.yaml", f"{ORDER}        given: {GIVEN}\n        {outcome}\n")
    mapping_list = loaded()
    assert mapping_list.findings == []
    findings = examples.run(mapping_list["shop/orders"], model)
    assert [finding.code for finding in findings] == ([code] if code else [])
    assert all(says in str(finding) and "example 'one'" in finding.what for finding in findings), findings


@pytest.mark.parametrize(
    ("given", "outcome", "says"),
    [
        (GIVEN.replace("12.50", "x"), "rejects: {field: total, rule: cast}", ""),
        (GIVEN.replace("12.50", "x"), "rejects: [total]", ""),
        (GIVEN.replace("12.50", "x"), "rejects: {field: total, rule: required}", "rejected: total by rule cast"),
        (GIVEN.replace("12.50", "x"), "expect: {}", "it is rejected: total, rule cast, raw value x"),
        (GIVEN.replace("quantity: 2", "quantity: x"), "rejects: order_line.quantity", ""),
        (GIVEN.replace("state: x", "state: ~"), "excluded: true", ""),
        (GIVEN.replace("state: x", "state: ~"), "expect: {}", "it is excluded; when: decides that"),
        (GIVEN.replace("{id: 8}", "[]"), "expect: {}", "not of the shape that the mapping reads"),
    ],
)
def test_what_happens_to_a_record(
    write: Callable[..., Any], loaded: Callable[[], Mappings], model: Model, given: str, outcome: str, says: str
) -> None:
    good = f"      - {{name: good, given: {GIVEN}, expect: {{number: 1}}}}\n"
    write("shop/orders.yaml", f"{ORDER}        given: {given}\n        {outcome}\n{good}")
    findings = examples.run(loaded()["shop/orders"], model)
    assert [says in str(finding) for finding in findings] == ([True] if says else [])


def test_a_mapping_that_is_wrong_says_so(
    write: Callable[..., Any], loaded: Callable[[], Mappings], model: Model
) -> None:
    write(
        "shop/a.yaml",
        "{stream: s, entity: customer, key: id, fields: {nme: x}, examples: [{given: {id: 1}, expect: {}}]}",
    )
    assert {finding.code for finding in examples.run(loaded()["shop/a"], model)} == {"M107", "M110"}
