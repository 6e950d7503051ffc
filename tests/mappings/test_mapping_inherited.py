"""`crossdock explain shop2/orders`: what a mapping overrides, adds, leaves out and inherits, with the places of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hub.entity import Model
from hub.errors import ConfigurationError
from mappings.inherited import Inheritance, inheritance
from mappings.load import load

Write = Callable[[str, str], Path]

FIRST = """\
    stream: orders
    entity: sales_order
    key: id
    fields:
      number: number
      currency: currency
      total: total
      note: text
    children:
      order_line: {each: lines, key: id, fields: {sku: sku, quantity: q}}
      tax_line: {each: taxes, key: id, fields: {amount: a}}
    push:
      - {operation: create, when: total > 0, fields: [number, {total: {at: sum}}]}
    """
SECOND = "extends: shop/first\nfields: {currency: {at: money, default: EUR}, ship_to_name: name}\n"
THIRD = """\
    extends: shop/second
    stream: orders
    fields: {total: sum, note: ~}
    children:
      order_line: {when: q > 0, fields: {quantity: ~, unit: unit}}
      tax_line: ~
    push: {operation: create, when: total > 1, fields: [number]}
    """


@pytest.fixture
def made(write: Write, folder: Path) -> Inheritance:
    for name, text in (("first", FIRST), ("second", SECOND), ("third", THIRD)):
        write(f"shop/{name}.yaml", text)
    return inheritance([folder], "shop/third")


def told(made: Inheritance, kind: str) -> dict[str, tuple[str | None, str | None, str, str]]:
    def at(place: object) -> str:
        return str(place).rpartition("/")[2] if place else ""

    return {one.name: (one.before, one.after, at(one.was), at(one.at)) for one in made.settings if one.kind == kind}


def test_every_kind_with_both_places(made: Inheritance) -> None:
    assert (made.mapping, made.base) == ("shop/third", "shop/second")
    assert told(made, "overridden") == {
        "total": ("total", "sum", "first.yaml:7:3", "third.yaml:3:10"),
        "push create.when": ("total > 0", "total > 1", "first.yaml:13:25", "third.yaml:7:27"),
    }
    assert told(made, "added") == {
        "order_line.when": (None, "q > 0", "", "third.yaml:5:16"),
        "order_line.unit": (None, "unit", "", "third.yaml:5:51"),
    }
    assert told(made, "left out") == {
        "note": ("text", None, "first.yaml:8:3", "third.yaml:3:22"),
        "order_line.quantity": ("q", None, "first.yaml:10:57", "third.yaml:5:38"),
        "tax_line.each": ("taxes", None, "first.yaml:11:14", "third.yaml:6:3"),
        "tax_line.key": ("id", None, "first.yaml:11:27", "third.yaml:6:3"),
        "tax_line.amount": ("a", None, "first.yaml:11:45", "third.yaml:6:3"),
        "push create.total": ("{at: sum}", None, "first.yaml:13:60", "third.yaml:7:1"),
    }
    assert set(told(made, "repeated")) == {"stream", "push create.operation", "push create.number"}
    assert told(made, "inherited")["currency"] == ("{at: money, default: EUR}",) * 2 + ("second.yaml:2:10", "")
    assert set(told(made, "inherited")) >= {
        "entity",
        "key",
        "number",
        "ship_to_name",
        "order_line.each",
        "order_line.sku",
    }


def test_what_it_says_is_what_the_loader_makes(made: Inheritance, folder: Path, model: Model) -> None:
    mapping = load([folder], model)["shop/third"]
    there = {one.name for one in made.settings if one.after is not None}
    assert {field.name for field in mapping.fields} == there & {"number", "currency", "total", "note", "ship_to_name"}
    (child,) = mapping.children
    assert {f"order_line.{field.name}" for field in child.fields} == {"order_line.sku", "order_line.unit"}


def test_a_mapping_that_extends_nothing_has_everything_of_its_own(made: Inheritance, folder: Path) -> None:
    alone = inheritance([folder], "shop/first")
    assert alone.base is None
    assert {one.kind for one in alone.settings} == {"added"}


def test_the_mapping_behind_it_is_of_the_same_name(write: Write, tmp_path: Path) -> None:
    write("shop/a.yaml", FIRST)
    own = tmp_path / "own" / "shop"
    own.mkdir(parents=True)
    (own / "a.yaml").write_text("extends: shop/a\nfields: {note: remark}\n")
    made = inheritance([tmp_path / "own", tmp_path / "mappings"], "shop/a")
    assert [one.name for one in made.settings if one.kind != "inherited"] == ["note"]


def test_what_cannot_be_explained_says_why(write: Write, folder: Path) -> None:
    write("shop/a.yaml", "extends: shop/b\n")
    with pytest.raises(ConfigurationError, match="there is no mapping 'shop/b' to extend"):
        inheritance([folder], "shop/a")
    with pytest.raises(ConfigurationError, match="there is no mapping 'shop/c'"):
        inheritance([folder], "shop/c")
