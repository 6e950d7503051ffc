"""Mistakes in a mapping: examples that look closely notice each of them, others are told what they do not see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hub.entity import Model
from mappings.load import Mappings
from mappings.mutants import Report, mutate
from mappings.parse import parse
from mappings.shown import text as text_of
from mappings.tree import walk
from mappings.variants import variants

PEOPLE = """\
stream: people
entity: customer
key: id
when: state <> 'gone'
fields:
  name: coalesce(company, full_name)
  tier: {at: group, values: tier, default: standard}
  status: "case when blocked = 'yes' then 'blocked' else 'active' end"
push: {operation: upsert, when: name is not null, fields: [{name: {at: label, value: upper(name)}}, tier]}
examples:
"""
CLOSE = """\
  - {name: a, given: {id: 1, company: C, full_name: F, group: vip, state: x}, expect: {name: C, tier: gold, status: active}}
  - {name: b, given: {id: 2, full_name: F, group: vip, state: x, blocked: "yes"}, expect: {name: F, tier: gold, status: blocked}}
  - {name: c, given: {id: 3, full_name: F, state: x}, expect: {name: F, tier: standard, status: active}}
  - {name: d, given: {id: 4, full_name: F, state: gone}, excluded: true}
  - {name: e, given: {id: 5, full_name: F, group: retail, state: x}, expect: {tier: standard}}
  - {name: f, push: upsert, given: {name: nn, tier: gold}, expect: {label: NN, group: vip}}
  - {name: g, push: upsert, given: {name: nn, tier: standard}, expect: {label: NN, group: retail}}
  - {name: h, push: upsert, given: {tier: gold}, excluded: true}
"""
VALUES = "tier: {vip: gold, retail: standard}\n"


@pytest.fixture
def tried(write: Callable[[str, str], Path], loaded: Callable[[], Mappings], model: Model) -> Callable[[str], Report]:
    def run(examples: str) -> Report:
        write("shop/values.yaml", VALUES)
        write("shop/people.yaml", PEOPLE + examples)
        assert loaded().findings == []
        return mutate(loaded()["shop/people"], model)

    return run


def test_examples_that_look_closely_notice_everything(tried: Callable[[str], Report]) -> None:
    report = tried(CLOSE)
    assert [(one.about, one.what) for one in report.unnoticed] == []
    assert report.tried >= 25


@pytest.mark.parametrize(
    ("without", "unnoticed"),
    [
        ("a", {("name", "company left out of coalesce")}),
        ("b", {("status", "when blocked = 'yes' left out"), ("status", "'blocked' → 'active'")}),
        ("c", {("tier", "default standard → silver"), ("tier", "default left out")}),
        ("d", {("when", "left out"), ("when", "'gone' → 'gone~'")}),
        ("e", {("tier", "tier: retail → gold")}),
        ("g", {("tier", "tier, out: standard → retail~")}),
        ("h", {("push upsert: when", "left out")}),
    ],
)  # fmt: skip
def test_each_example_is_needed_for_something(
    tried: Callable[[str], Report], without: str, unnoticed: set[tuple[str, str]]
) -> None:
    """The broken twins: take one example away, and the mistakes that only it notices are listed."""
    kept = "".join(line + "\n" for line in CLOSE.splitlines() if not line.startswith(f"  - {{name: {without},"))
    assert unnoticed <= {(one.about, one.what) for one in tried(kept).unnoticed}


def test_a_mutant_has_the_place_of_what_was_changed(tried: Callable[[str], Report]) -> None:
    report = tried("  - {name: a, given: {id: 1, full_name: F, state: x}, expect: {}}\n")
    places = {one.what: f"{one.place.line}:{one.place.column}" for one in report.unnoticed if one.about == "status"}
    assert places["'yes' → 'yes~'"] == "8:31"
    assert places["else left out"] == "8:57"


@pytest.mark.parametrize(
    "text",
    ["a", "a.b[0].c", "record.x || 'it''s'", "x[kind = 'b' and n > 1].y", "\"odd name\".x", "\"record\".x", "not a and (b or c)",
     "case a when 1 then 'x' else null end", "case when a is not null then b end", "cast(a as date)", "a not in ('x', 'y')",
     "coalesce(a, if(b = 1.50, true, false))", "-a + 2 * (3 - b)", "a between 1 and 2", "a like 'x%'", "target.name", "ordinal()"],
)  # fmt: skip
def test_an_expression_is_written_as_it_was_read(text: str) -> None:
    node = parse(text)
    assert text_of(parse(text_of(node))) == text_of(node)
    shapes = [[type(one).__name__ for one in walk(tree)] for tree in (node, parse(text_of(node)))]
    assert shapes[0] == shapes[1]
    changed = [text_of(made) for _, _, made in variants(node)]
    assert text_of(node) not in changed
    assert all(parse(one) for one in changed)
