"""What the expressions of a push reach, and what happens where they cannot be computed: it is held, never passed over."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mappings import load, outbound, push_examples, trial
from mappings.functions import FUNCTIONS, OF_PUSHES, OfPush
from mappings.reach import MANY


def compiled(tmp_path: Path, model: Any, text: str) -> Any:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "x.yaml").write_text(textwrap.dedent(text))
    loaded = load.load([tmp_path], model)
    assert loaded.findings == []
    return loaded["shop/x"]


def rows(world: Any, tmp_path: Path, push: str) -> list[dict[str, Any]]:
    mapping = compiled(
        tmp_path, world.model, f"stream: x\nentity: customer\npush:\n{textwrap.indent(textwrap.dedent(push), '  ')}"
    )
    made = outbound.compile(mapping, mapping.push[0], world.model)
    cursor = world.con.execute(made.sql, {"target": "shop"})
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [row | {"payload": json.loads(row["payload"])} for row in found]


def test_a_value_that_cannot_be_computed_is_held(world: Any, tmp_path: Path) -> None:
    world.customer(12, tax_id="7")
    world.customer(13, tax_id="DE7")
    world.customer(14, tax_id=None)
    found = rows(world, tmp_path, "{operation: create, fields: [{double: {at: double, value: number(tax_id) + 1}}]}")
    assert [(row["payload"], row["hold"]) for row in found] == [
        ({"double": 8}, None),
        ({}, "double cannot be computed"),
        ({}, None),
    ]


def test_a_condition_that_cannot_be_decided_is_held(world: Any, tmp_path: Path) -> None:
    world.customer(12, tax_id="7")
    world.customer(13, tax_id="1")
    world.customer(14, tax_id="DE7")
    found = rows(world, tmp_path, "{operation: create, when: number(tax_id) > 5, fields: [{name: {at: name}}]}")
    assert [(row["hub_id"], row["hold"]) for row in found] == [(12, None), (14, "whether it is due cannot be computed")]


def test_what_fails_among_many_is_held(world: Any, tmp_path: Path) -> None:
    for hub_id, note in ((12, "5"), (13, "many")):
        world.customer(hub_id)
        world.order(hub_id + 40, customer=hub_id, note=note, number=str(hub_id))
    push = "{operation: create, fields: [{sum: {at: sum, value: total(number(sales_order.note))}}]}"
    assert [(row["payload"], row["hold"]) for row in rows(world, tmp_path, push)] == [
        ({"sum": 5}, None),
        ({}, "sum cannot be computed"),
    ]


def test_every_type_as_json(world: Any, tmp_path: Path) -> None:
    world.customer(guest=True, name='"Ann" \\ Größe')
    world.order(total="12.5", cancelled_at="2026-07-01T10:00:00.25+02:00", requested_date="2026-12-24")
    push = """
    operation: create
    entity: sales_order
    fields:
      - text: {at: a.text, value: customer.name}
      - boolean: {at: a.boolean, value: customer.guest}
      - integer: {at: integer, value: customer.hub_id}
      - number: {at: number, value: "round(total * 2, 1)"}
      - money: {at: money, value: total}
      - instant: {at: instant, value: cancelled_at}
      - date: {at: date, value: requested_date}
      - none: {at: b.none, value: customer_po}
      - constant: {at: constant, value: "'x'"}
    """
    (row,) = rows(world, tmp_path, push)
    assert row["payload"] == {
        "a": {"text": '"Ann" \\ Größe', "boolean": True},
        "integer": 12,
        "number": 25,
        "money": "12.50",
        "instant": "2026-07-01T08:00:00.250000Z",
        "date": "2026-12-24",
        "constant": "x",
    }


def test_through_references_to_any_depth_and_back(world: Any, tmp_path: Path) -> None:
    world.customer()
    world.put("canonical.account_credit", hub_id=3, customer=12, terms="30 days", currency="EUR")
    world.order()
    world.put("canonical.refund", hub_id=80, sales_order=55, number="51", currency="EUR", amount=5)
    push = """
    operation: create
    entity: refund
    fields:
      - name: {at: name, value: sales_order.customer.name}
      - terms: {at: terms, value: sales_order.customer.account_credit.terms}
    """
    assert rows(world, tmp_path, push)[0]["payload"] == {"name": "Ann Lee", "terms": "30 days"}


def test_children_see_their_header_and_wait_for_what_they_refer_to(world: Any, tmp_path: Path) -> None:
    world.put("canonical.product", hub_id=7, sku="A-100", name="Stapler", unit="C62")
    world.put("canonical.product", hub_id=8, sku="B", name="Rope", unit="KGM")
    world.bind("product", "shop", "p7", 7)
    world.order(lines=({"product": 7}, {"product": 8, "quantity": 0}, {"product": 8}))
    push = """
    operation: create
    entity: sales_order
    fields: [{number: {at: number}}]
    children:
      order_line:
        each: body.lines
        when: quantity > 0
        fields:
          - product: {at: product, ref: product}
          - unit: {at: unit, value: "coalesce(unit, product.unit)"}
          - note: {at: note, value: "record.number || '/' || line_number"}
    """
    (row,) = rows(world, tmp_path, push)
    assert row["payload"]["body"]["lines"] == [
        {"product": "p7", "unit": "C62", "note": "1001/1"},
        {"product": {"$id_of": "product/8"}, "unit": "KGM", "note": "1001/3"},
    ]
    assert row["waits_for"] == "product/8"


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ("total(sales_order.total)", 30),
        ("total(sales_order.total) - total(sales_order.refunded_total)", 28),
        ("latest(sales_order.number)", "2"),
        ("first(sales_order.number)", "2"),
        ("any(sales_order.total > 15)", True),
        ("any(sales_order.total > 25)", False),
        ("any(invoice.total > 25)", False),
        ("total(invoice.total)", None),
        ("any(sales_order.customer.name = 'Ann Lee')", True),
    ],
)
def test_over_many(world: Any, tmp_path: Path, expression: str, made: Any) -> None:
    world.customer()
    world.order(50, number="2", total=10, refunded_total=2)
    world.order(51, number="1", total=20)
    world.order(52, number="3", total=99, deleted_at="2026-01-01T00:00:00Z")
    world.order(53, number="4", total=99, customer=13)
    (row,) = rows(world, tmp_path, f'{{operation: create, fields: [{{x: {{at: x, value: "{expression}"}}}}]}}')
    assert row["payload"].get("x") == made


def test_two_lists_of_one_child(world: Any, tmp_path: Path) -> None:
    world.order()
    for hub_id, charge in ((1, True), (2, False)):
        world.put("canonical.allowance_charge", hub_id=hub_id, parent=55, charge=charge, amount=hub_id, currency="EUR")
    push = """
    operation: create
    entity: sales_order
    fields: []
    children:
      allowance_charge:
        - {each: charges, when: charge, fields: [{amount: {at: amount}}]}
        - {each: discounts, when: not charge, fields: [{amount: {at: amount}}]}
    """
    assert rows(world, tmp_path, push)[0]["payload"] == {
        "charges": [{"amount": "1.00"}],
        "discounts": [{"amount": "2.00"}],
    }


EXAMPLES = """
stream: x
entity: customer
push:
  - {operation: create, when: guest, fields: [{name: {at: n.name}}, {tier: {at: t}}]}
examples:
"""


@pytest.mark.parametrize(
    ("example", "codes"),
    [
        ("{name: a, push: create, given: {name: Ann, guest: true}, expect: {n: {name: Ann}}}", []),
        ("{name: a, push: create, given: {name: Ann}, excluded: true}", []),
        ("{name: a, push: create, given: {name: Ann, guest: true}, expect: {n: {name: Bo}}}", ["M401"]),
        ("{name: a, push: create, given: {name: Ann, guest: true, tier: gold}, expect: {n: {name: Ann}}}", ["M401"]),
        ("{name: a, push: create, given: {name: Ann, guest: true}, expect: {n: {name: Ann}, t: gold}}", ["M401"]),
        ("{name: a, push: create, given: {name: Ann}, expect: {n: {name: Ann}}}", ["M402"]),
        ("{name: a, push: create, given: {name: Ann, guest: true}, excluded: true}", ["M402"]),
        ("{name: a, push: change, given: {name: Ann}, expect: {}}", ["M403"]),
        ("{name: a, push: create, given: {nam: Ann}, expect: {}}", ["M403"]),
        ("{name: a, push: create, given: {name: Ann, guest: perhaps}, expect: {}}", ["M403"]),
    ],
)
def test_examples_that_do_not_hold_are_found(world: Any, tmp_path: Path, example: str, codes: list[str]) -> None:
    mapping = compiled(tmp_path, world.model, f"{EXAMPLES}  - {example}\n")
    assert [finding.code for finding in push_examples.run(mapping, world.model)] == codes


def asked(tmp_path: Path, model: Any, one: OfPush) -> Any:
    push = f'{{operation: create, fields: [{{x: {{at: x, value: "{one.form}"}}}}]}}'
    mapping = compiled(tmp_path, model, f"stream: x\nentity: {one.entity}\npush: {push}")
    return trial.push(outbound.compile(mapping, mapping.push[0], model), model, one.given)


@pytest.mark.parametrize("name", OF_PUSHES)
def test_the_example_of_what_only_a_push_can_ask_is_true(world: Any, tmp_path: Path, name: str) -> None:
    assert asked(tmp_path, world.model, OF_PUSHES[name]) == {"x": OF_PUSHES[name].gives}


def test_all_that_only_a_push_can_ask_is_in_the_table() -> None:
    assert set(OF_PUSHES) == {*MANY, "bound"}
    assert not set(OF_PUSHES) & set(FUNCTIONS)
