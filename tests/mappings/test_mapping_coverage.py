"""What of a mapping the examples exercise is asked of the rows they make, not of the text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hub.entity import Model
from mappings.coverage import Coverage, cover
from mappings.load import Mappings

PEOPLE = """\
stream: people
entity: customer
key: id
when: state <> 'gone'
fields:
  name: coalesce(company, full_name)
  tier: {at: group, values: tier, default: standard}
  status: "case when blocked = 'yes' then 'blocked' when if(old = 'x', true, false) then 'blocked' else 'active' end"
  email: email
children: {customer_address: {each: places, key: ordinal(), when: town is not null, fields: {purpose: kind, city: town}}}
push: {operation: upsert, when: name is not null, hold: [{when: guest, reason: r}], fields: [{name: {at: label, value: "if(guest, 'g', name)"}}, tier]}
examples:
"""
VALUES = "tier: {vip: gold, retail: standard}\n"
ALL = {
    "when": {"true", "not true"},
    "name": {"has a value", "coalesce to company", "coalesce to full_name"},
    "tier": {"has a value", "default used", "tier: vip", "tier: retail", "unmapped: quarantine"},
    "status": {"has a value", "when blocked = 'yes'", "when if(old = 'x', true, false)", "else"},
    "email": {"has a value"},
    "customer_address": {"has a row"},
    "customer_address.purpose": {"has a value"},
    "customer_address.city": {"has a value"},
    "customer_address.when": {"true", "not true"},
    "push upsert: when": {"true", "not true"},
    "push upsert: hold": {"true", "not true"},
    "push upsert: name": {"has a value", "if true", "if not"},
    "push upsert: tier": {"has a value", "tier, out: gold", "tier, out: standard"},
}
IN, OUT = "  - {{given: {{id: 1, {}}}, {}}}\n", "  - {{push: upsert, given: {{{}}}, {}}}\n"


@pytest.fixture
def covered(
    write: Callable[[str, str], Path], loaded: Callable[[], Mappings], model: Model
) -> Callable[[str], dict[str, set[str]]]:
    def run(examples: str) -> dict[str, set[str]]:
        write("shop/values.yaml", VALUES)
        write("shop/people.yaml", PEOPLE + examples)
        assert loaded().findings == []
        found: Coverage = cover(loaded()["shop/people"], model)
        seen = {about: set(points) for about, points in ALL.items()}
        for point in found.missed:
            seen[point.about].remove(point.what)
        assert found.points == sum(map(len, ALL.values()))
        return {about: points for about, points in seen.items() if points}

    return run


def test_without_examples_nothing_is_exercised(covered: Callable[[str], dict[str, set[str]]]) -> None:
    assert covered("") == {}


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("full_name: F, state: x, group: vip", {"name": {"has a value", "coalesce to full_name"}, "tier": {"has a value", "tier: vip"}, "when": {"true"}, "status": {"has a value", "else"}}),
        ("company: C, state: gone, blocked: 'yes', old: x", {"name": {"has a value", "coalesce to company"}, "tier": {"default used"}, "when": {"not true"}, "status": {"has a value", "when blocked = 'yes'"}}),
        ("company: C, old: x, group: odd, email: e", {"name": {"has a value", "coalesce to company"}, "tier": {"has a value", "unmapped: quarantine"}, "when": {"not true"}, "status": {"has a value", "when if(old = 'x', true, false)"}, "email": {"has a value"}}),
        ("full_name: F, state: x, places: [{kind: billing, town: U}, {kind: x}]", {"name": {"has a value", "coalesce to full_name"}, "tier": {"default used"}, "when": {"true"}, "status": {"has a value", "else"}, "customer_address": {"has a row"}, "customer_address.purpose": {"has a value"}, "customer_address.city": {"has a value"}, "customer_address.when": {"true", "not true"}}),
    ],
)  # fmt: skip
def test_one_record(covered: Callable[[str], dict[str, set[str]]], given: str, seen: dict[str, set[str]]) -> None:
    assert covered(IN.format(given, "excluded: true")) == seen


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("name: n1, tier: gold", {"push upsert: when": {"true"}, "push upsert: hold": {"not true"}, "push upsert: name": {"has a value", "if not"}, "push upsert: tier": {"has a value", "tier, out: gold"}}),
        ("guest: true", {"push upsert: when": {"not true"}, "push upsert: hold": {"true"}, "push upsert: name": {"has a value", "if true"}}),
    ],
)  # fmt: skip
def test_one_push(covered: Callable[[str], dict[str, set[str]]], given: str, seen: dict[str, set[str]]) -> None:
    assert covered(OUT.format(given, "excluded: true")) == seen
