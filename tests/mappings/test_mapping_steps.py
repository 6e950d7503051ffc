"""Expressions read back as text, and the steps by which a value comes about."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hub.config import BUILT_IN
from hub.entity import Model
from mappings import shown, steps
from mappings.load import load
from mappings.parse import parse
from mappings.syntax import Mapping

TRICKY = [
    "a + b - c * (d - e) / -f",
    "not (a = 'x' or b <> 'it''s') and c is not null",
    "(a or b) and c or d",
    "x between 1 and 2",
    "x not between 1 and 2",
    "x not in ('a', 'b') and y like 'A%'",
    "x not like '%z'",
    "case x when 'a' then 1 when 'b' then 2.50 end",
    "case when a is null then null else cast(b as integer) end",
    "addresses[type = 'billing' and number(no) > 3].city",
    '"E-Mail"."x y"[2].z || record.id',
    "coalesce(a, b, 'c') || 'd' || e",
    "a - (b - c)",
    "a::number * 2",
    "(a = b) = c",
    "true and false",
]


def plain(node: Any) -> Any:
    """A tree without its places."""
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        pairs = ((f.name, plain(getattr(node, f.name))) for f in dataclasses.fields(node) if f.name != "at")
        return (type(node).__name__, *pairs)
    return tuple(plain(part) for part in node) if isinstance(node, tuple) else node


def written() -> list[str]:
    """Every expression by which the built-in mappings read."""
    from warehouse.model import entities

    found = set()
    for mapping in load([BUILT_IN / "mappings"], entities()):
        for owner in (mapping, *mapping.children):
            found |= {field.at.text for field in owner.fields}
            found |= {one.text for one in (owner.key, owner.when) if one is not None}
    return sorted(found)


@pytest.mark.parametrize("text", TRICKY)
def test_a_tree_reads_as_the_expression_that_it_was_made_of(text: str) -> None:
    assert plain(parse(shown.text(parse(text)))) == plain(parse(text))


def test_every_expression_of_the_built_in_mappings_reads_back() -> None:
    texts = written()
    assert len(texts) > 100
    assert [text for text in texts if plain(parse(shown.text(parse(text)))) != plain(parse(text))] == []


def test_parentheses_that_matter_are_kept() -> None:
    assert shown.text(parse("a - (b - c)")) == "a - (b - c)"
    assert plain(parse("a - (b - c)")) != plain(parse("a - b - c"))


def test_parts_come_from_the_inside_out_without_literals() -> None:
    found = [shown.text(node) for node in shown.parts(parse("coalesce(a.b, 'x' || upper(c))"))]
    assert found == ["a.b", "c", "upper(c)", "'x' || upper(c)", "coalesce(a.b, 'x' || upper(c))"]


# -- steps


MAPPING = """\
stream: orders
entity: customer
key: id
fields:
  name: coalesce(a.name, upper(b))
  email: {at: mail, default: nobody@example.com}
  tier: {at: "lower(tier)", values: tiers}
"""


@pytest.fixture
def mapping(tmp_path: Path, model: Model) -> Mapping:
    folder = tmp_path / "mappings" / "shop"
    folder.mkdir(parents=True)
    (folder / "orders.yaml").write_text(MAPPING)
    (folder / "values.yaml").write_text("tiers: {gold: gold, g: gold}\n")
    loaded = load([folder.parent], model)
    assert loaded.findings == []
    return loaded["shop/orders"]


def test_each_part_of_an_expression_is_a_step_and_a_column(mapping: Mapping, model: Model) -> None:
    (found,) = steps.compile(mapping, model, "name")
    assert [(step.text, step.type) for step in found.steps] == [
        ("a.name", "text"), ("b", "text"), ("upper(b)", "text"), ("coalesce(a.name, upper(b))", "text"),
    ]  # fmt: skip
    assert all(f'"raw_{step.column}"' in found.statement.sql for step in found.steps)
    assert (found.result, found.of_child, found.at.text) == ("name", False, "coalesce(a.name, upper(b))")


def test_the_key_can_be_asked_for_and_what_is_not_there_is_not_found(mapping: Mapping, model: Model) -> None:
    assert [one.result for one in steps.compile(mapping, model, "key")] == ["source_id"]
    assert steps.compile(mapping, model, "when") == []
    assert steps.compile(mapping, model, "nmae") == []
    assert steps.known(mapping) == ["name", "email", "tier"]


def test_a_traced_view_has_what_each_field_reads(mapping: Mapping, model: Model) -> None:
    (view,) = steps.trace(mapping, model)
    assert [(c.field.name, [path for path, _ in c.reads]) for c in view.columns] == [
        ("name", ["a.name", "b"]), ("email", ["mail"]), ("tier", ["tier"]),
    ]  # fmt: skip
    assert {refusal.rule for refusal in view.refusals} >= {"unmapped", "required"}


def test_tracing_leaves_what_a_run_executes_as_it_is(mapping: Mapping, model: Model) -> None:
    from mappings import inbound

    before = inbound.compile(mapping, model).sql
    steps.trace(mapping, model)
    steps.compile(mapping, model, "name")
    assert inbound.compile(mapping, model).sql == before
