"""Finding, merging and reading mapping files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.entity import Model
from hub.errors import ConfigurationError
from mappings import inbound
from mappings.load import Mappings, load

Write = Callable[[str, str], Path]
BASE = """
    stream: orders
    entity: sales_order
    key: id
    fields:
      number: number
      ordered_at: created_at
      customer: {ref: customer, at: customer.id}
      currency: currency
      total: total
      lifecycle_status: "'open'"
      note: note
    children:
      order_line: {each: lines, key: id, fields: {quantity: quantity, sku: sku}}
    examples:
      - {name: base, given: {id: 1}, rejects: number}
"""


def test_what_a_file_says(write: Write, loaded: Callable[[], Mappings]) -> None:
    write("shop/orders.yaml", BASE)
    mappings = loaded()
    assert mappings.findings == []
    mapping = mappings["shop/orders"]
    assert (mapping.name, mapping.system, mapping.stream, mapping.entity) == (
        "shop/orders",
        "shop",
        "orders",
        "sales_order",
    )
    customer = mapping.field("customer")
    assert customer is not None
    assert (customer.ref, customer.at.text, customer.at.place.line) == ("customer", "customer.id", 8)
    child = mapping.child("order_line")
    assert child is not None
    assert child.each is not None
    assert [field.name for field in child.fields] == ["quantity", "sku"]
    assert mapping.examples[0].rejects[0].field == "number"


def test_scalars_are_expressions(write: Write, loaded: Callable[[], Mappings]) -> None:
    write(
        "shop/a.yaml", "{stream: s, entity: sales_order, key: 7, fields: {tax_included: false, total: 1.50, note: ~}}"
    )
    mapping = loaded()["shop/a"]
    assert [(field.name, field.at.text) for field in mapping.fields] == [("tax_included", "false"), ("total", "1.50")]
    assert mapping.key is not None
    assert mapping.key.text == "7"


def test_extends_overrides_name_by_name(write: Write, loaded: Callable[[], Mappings]) -> None:
    write("shop/orders.yaml", BASE)
    write(
        "outlet/orders.yaml",
        """
        extends: shop/orders
        fields: {note: ~, currency: "'USD'", seller_number: erp}
        children: {order_line: {fields: {sku: code}}}
        when: total is not null
        """,
    )
    mappings = loaded()
    assert mappings.findings == []
    mapping = mappings["outlet/orders"]
    texts = {field.name: field.at.text for field in mapping.fields}
    assert texts == {
        "number": "number",
        "ordered_at": "created_at",
        "customer": "customer.id",
        "currency": "'USD'",
        "total": "total",
        "lifecycle_status": "'open'",
        "seller_number": "erp",
    }
    child = mapping.child("order_line")
    assert child is not None
    assert {field.name: field.at.text for field in child.fields} == {"quantity": "quantity", "sku": "code"}
    assert child.key.text == "id"
    assert (mapping.system, mapping.stream, mapping.examples) == ("outlet", "orders", ())
    places = {field.name: Path(field.at.place.where).parent.name for field in mapping.fields}
    assert places["number"] == "shop"
    assert places["currency"] == "outlet"
    assert mappings["shop/orders"].field("note") is not None


def test_a_project_stands_before_the_built_in(tmp_path: Path, model: Model) -> None:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    thing = "{stream: s, entity: customer, key: id, fields: {name: %s, tier: {at: t, values: tier}}}"
    write("built_in/shop/a.yaml", thing % "one")
    write("built_in/shop/b.yaml", thing % "two")
    write("built_in/shop/values.yaml", "tier: {x: standard}\nother: {a: b}")
    write("built_in/values.yaml", "tier: {x: gold}\ncommon: {c: d}")
    write("built_in/shop/s.sample.json", '{"id": 1, "one": "", "two": "", "t": ""}')
    write("own/shop/a.yaml", "extends: shop/a\nfields: {phone: one}\n")
    write("own/shop/b.yaml", thing % "three")
    write("own/shop/values.yaml", "tier: {x: silver}")
    folders = [tmp_path / "own", tmp_path / "built_in"]
    mappings = load(folders, model)
    assert mappings.findings == []
    assert [(m.name, m.ordinal) for m in mappings] == [("shop/a", 0), ("shop/b", 1)]
    assert [f.name for f in mappings["shop/a"].fields] == ["name", "tier", "phone"]
    assert mappings["shop/b"].fields[0].at.text == "three"
    tier = mappings["shop/a"].field("tier")
    assert tier is not None
    assert tier.values is not None
    assert tier.values.inward == {"x": "silver"}
    assert set(mappings["shop/a"].sample.parts) == {"id", "one", "two", "t"}
    assert [m.name for m in load([tmp_path / "built_in"], model)] == ["shop/a", "shop/b"]
    assert load(folders, model, only=["nothing"]).all == []


def test_value_maps_know_their_way_back(write: Write, loaded: Callable[[], Mappings]) -> None:
    write(
        "shop/values.yaml",
        """
        plain: {a: x, b: y}
        doubtful: {a: x, b: x, c: y}
        chosen: {in: {a: x, b: x}, out: {x: b}}
        empty: {"": x, b: y}
        yes: {"1": true, "2": 5}
        """,
    )
    fields = ", ".join(
        f"{c}: {{at: p, values: {v}}}"
        for c, v in zip("abcde", ("plain", "doubtful", "chosen", "empty", '"yes"'), strict=True)
    )
    write("shop/a.yaml", f"{{stream: s, entity: customer, key: id, fields: {{{fields}}}}}")
    made = {field.name: field.values for field in loaded()["shop/a"].fields}
    assert all(made.values())
    back = {name: (values.outward, values.ambiguous) for name, values in made.items() if values}
    assert back == {
        "a": ({"x": "a", "y": "b"}, ()),
        "b": ({"x": "a", "y": "c"}, ("x",)),
        "c": ({"x": "b"}, ()),
        "d": ({"x": "", "y": "b"}, ()),
        "e": ({"true": "1", "5": "2"}, ()),
    }


def test_a_broken_file_leaves_the_others_alone(write: Write, loaded: Callable[[], Mappings]) -> None:
    write("shop/a.yaml", "a: [")
    write("shop/b.yaml", "stream: s\nstream: t\nentity: customer\nkey: id\nfields: {name: name}")
    write("shop/c.yaml", "{stream: s, entity: customer, key: id, fields: {name: name}}")
    write("shop/d.yaml", "&x {stream: *x}")
    mappings = loaded()
    assert [m.name for m in mappings] == ["shop/b", "shop/c"]
    assert sorted({finding.code for finding in mappings.findings}) == ["F104", "F105", "F109"]


def test_an_unknown_mapping(write: Write, loaded: Callable[[], Mappings]) -> None:
    write("shop/orders.yaml", BASE)
    with pytest.raises(ConfigurationError, match="shop/order") as caught:
        loaded()["shop/order"]
    assert caught.value.code == "M130"
    assert "did you mean 'shop/orders'?" in str(caught.value)


def test_compiling_tells_all_findings(write: Write, loaded: Callable[[], Mappings], model: Model) -> None:
    write("shop/a.yaml", "{stream: s, entity: customer, key: id, fields: {nme: name, email: lowr(x)}}")
    with pytest.raises(ConfigurationError) as caught:
        inbound.compile(loaded()["shop/a"], model)
    text = str(caught.value)
    assert all(code in text for code in ("M107", "M121", "M110"))


def test_a_mapping_that_only_pushes(write: Write, loaded: Callable[[], Mappings], model: Model) -> None:
    write("shop/a.yaml", "{stream: s, entity: customer, push: {operation: upsert, fields: [{name: {at: a.b}}]}}")
    mappings = loaded()
    assert mappings.findings == []
    mapping = mappings["shop/a"]
    assert inbound.build(mapping, model) == (None, [])
    with pytest.raises(ConfigurationError, match="reads nothing"):
        inbound.compile(mapping, model)


@pytest.mark.parametrize(
    ("push", "wanted"),
    [
        ("[name]", ("name", None, None, True)),
        ("[{name: {at: a.b}}]", ("name", "a.b", None, False)),
        ("[{label: {at: a, value: hub_id + 1}}]", ("label", "a", "hub_id + 1", False)),
    ],
)
def test_fields_of_a_push(write: Write, loaded: Callable[[], Mappings], push: str, wanted: Any) -> None:
    write(
        "shop/a.yaml", f"{{stream: s, entity: customer, push: [{{operation: create, since: hub_id, fields: {push}}}]}}"
    )
    mapping = loaded()["shop/a"]
    field = mapping.push[0].fields[0]
    assert (field.name, field.at and field.at.text, field.value and field.value.text, field.bare) == wanted
    assert (mapping.push[0].stream, mapping.push[0].entity) == ("s", "customer")


def test_a_mapping_of_another_system_is_extended_also_where_only_one_is_read(
    write: Write, folder: Path, model: Model
) -> None:
    write("shop/a.yaml", "stream: a\nentity: customer\nkey: id\nfields: {name: name}\n")
    write("second/a.yaml", "extends: shop/a\nfields: {phone: phone}\n")
    made = load([folder], model, only=["second"])
    assert (made.findings, made.extended) == ([], ("shop",))
    assert [mapping.name for mapping in made] == ["second/a"]
    assert [field.name for field in made["second/a"].fields] == ["name", "phone"]


def test_what_a_mapping_extends_has_to_be_a_name(write: Write, folder: Path, model: Model) -> None:
    write("shop/a.yaml", "extends: [shop/b]\n")
    assert [finding.code for finding in load([folder], model).findings] == ["M116"]
