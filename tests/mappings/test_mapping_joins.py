"""Lookups, records of another stream as children, flat exports, conditional fields: `joined/` says them, its examples try them.

What happens when records arrive in several runs is in `tests/flow/changes/test_joins.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.connector import Stream
from hub.errors import UsageError
from hub.findings import Finding
from mappings import examples, inbound, reads, steps
from mappings.capture import capture
from mappings.coverage import cover
from mappings.lint import lint
from mappings.load import load
from mappings.mutants import mutate
from mappings.sheet import sheet
from mappings.syntax import Mapping
from warehouse.model import entities

HERE = Path(__file__).parent
MODEL = entities()
LOADED = load([HERE / "joined"], MODEL)


@pytest.mark.parametrize("mapping", LOADED.all, ids=[mapping.name for mapping in LOADED])
def test_the_examples_hold_and_the_sql_is_as_it_was(mapping: Mapping) -> None:
    assert [*LOADED.findings, *lint(LOADED, MODEL, {})] == []
    assert examples.run(mapping, MODEL) == []
    made = inbound.compile(mapping, MODEL).sql
    file = HERE / "joined" / f"{mapping.name.partition('/')[2]}.sql"
    if os.environ.get("CROSSDOCK_GOLDEN") == "write":
        file.write_text(made)
    assert made == file.read_text(), f"the SQL of {mapping.name} changed: read it, then CROSSDOCK_GOLDEN=write"


@pytest.mark.parametrize(
    ("name", "number", "known", "says"),
    [
        ("customers", 0, {"groups": [{"id": 3, "code": "VIP", "title": "Other"}]}, "family_name is 'Other'"),
        ("customers", 0, {"groups": [], "towns": [{"codes": ["89073"]}]}, "it is rejected: tier, rule lookup, raw value 3"),
        ("customers", 0, {"towns": [{"codes": ["89074"], "name": "Ulm"}]}, "rejected: customer_address.city, rule lookup, raw value 89073"),
        ("customers", 0, {"canonical.customer": [{"email": "c@example.com", "phone": "+491"}]}, "phone is 'none'"),
        ("customers", 0, {"towns": [{"codes": "x"}]}, "towns is not of the shape"),
        ("orders", 0, {"order_items": []}, "there are 0 order_line, expected 2"),
        ("orders", 0, {"articles": [{"sku": "B", "name": "Bx"}]}, "order_line.description, rule lookup, raw value A"),
    ],
)  # fmt: skip
def test_an_example_that_knows_something_else_does_not_hold(
    name: str, number: int, known: dict[str, Any], says: str
) -> None:
    mapping = LOADED[f"shop/{name}"]
    example = replace(mapping.examples[number], known={**mapping.examples[number].known, **known})
    told = [str(one) for one in examples.run(replace(mapping, examples=(example,)), MODEL)]
    assert any(says in one for one in told), told


def test_records_of_one_example_are_not_those_of_the_next() -> None:
    """All examples run in one statement, and each has its own `known`."""
    mapping = LOADED["shop/customers"]
    first = mapping.examples[0]
    same = replace(first, name="again", known={**first.known, "groups": ({"id": 3, "code": "retail", "title": "X"},)})
    (found, *_) = examples.run(replace(mapping, examples=(first, same)), MODEL)
    assert "'again': tier is 'standard'" in str(found)


def test_a_stray_known_is_a_finding(found: Callable[..., list[Finding]], write: Callable[[str, str], Path]) -> None:
    write("shop/a.yaml", "{stream: a, entity: customer, key: id, fields: {name: {lookup: groups, key: g, by: id, at: title}},"
          " examples: [{given: {id: 1}, known: {gruops: [{id: 1}]}, excluded: true}]}")  # fmt: skip
    assert [f"{one.code} {one.fix}" for one in found()] == ["M403 did you mean 'groups'?"]


# -- what stands around the compiler


def test_coverage_and_mutants_know_hits_misses_and_conditions() -> None:
    mapping = LOADED["shop/customers"]
    assert {(one.about, one.what) for one in cover(mapping, MODEL).missed} == {("tier", "tier: retail")}
    few = replace(mapping, examples=mapping.examples[:1])
    missed = {(one.about, one.what) for one in cover(few, MODEL).missed}
    assert {("tier", "missing: quarantine"), ("given_name", "missing: pass"), ("phone", "missing: default")} < missed
    assert {("customer_address.city", "missing: quarantine"), ("tax_id: when", "not true")} < missed
    assert not {("tier", "found in groups"), ("tax_id: when", "true")} & missed
    unnoticed = {(one.about, one.what) for one in mutate(mapping, MODEL).unnoticed}
    assert not {about for about, _ in unnoticed} & {"tax_id", "given_name", "phone"}
    unnoticed = {(one.about, one.what) for one in mutate(few, MODEL).unnoticed}
    assert {("tax_id", "when left out"), ("given_name", "missing: pass left out")} < unnoticed


def test_what_is_read_is_told_apart_from_what_is_found() -> None:
    parts = reads.reads(LOADED["shop/customers"], MODEL)
    assert {("group", "id"), ("kind",), ("boss",), ("addresses", "[]", "zip")} < set(parts)
    assert not {("code",), ("title",)} & set(parts)
    assert not parts[("boss",)]
    assert ("Qty",) in reads.reads(LOADED["shop/export"], MODEL)
    assert ("sku",) not in reads.reads(LOADED["shop/orders"], MODEL)


def test_a_record_that_looks_into_others_is_not_captured() -> None:
    mapping = LOADED["shop/customers"]
    with pytest.raises(UsageError, match=r"looks into groups, canonical\.customer, towns") as refused:
        capture(mapping, [], MODEL, {"id": 1}, b"secret", "one")
    assert refused.value.code == "M410"


def test_the_sheet_says_where_a_value_is_looked_up() -> None:
    told = {line.column: (line.source, line.each) for line in sheet(LOADED.of("shop"), MODEL)}
    assert told["tier"] == ("groups[id = group.id].lower(code)", "")
    assert told["tax_id"] == ("vat when kind = 'firm'", "")
    assert told["sku"] == ("coalesce(alias, record.alias)", "order_items records")


@pytest.mark.parametrize("name", ["tier", "tax_id", "customer_address.city"])
def test_the_steps_of_a_value_name_the_key_and_what_was_found(name: str) -> None:
    (found,) = steps.compile(LOADED["shop/customers"], MODEL, name)
    texts = [step.text for step in found.steps]
    wanted = {
        "tier": ["group.id", "groups[id = group.id].lower(code)"],
        "tax_id": ["kind", "kind = 'firm'", "vat"],
        "customer_address.city": ["zip", "zip is not null", "zip", "towns[codes[0] = zip].name"],
    }[name]
    assert [text for text in wanted if text not in texts] == [], texts


TWICE = """{stream: people, entity: customer, key: id, fields: {
  name: {lookup: groups, key: g, by: id, at: title},
  email: {lookup: groups, key: g, by: id, at: upper(code)}}}
"""


def test_of_two_lookups_in_one_stream_each_shows_what_it_found(write: Callable[[str, str], Path]) -> None:
    """Each has a table of its own, and a preview once showed the first one's value beside both."""
    path = write("shop/people.yaml", TWICE)
    mapping = load([path.parent.parent], MODEL)["shop/people"]
    for name, table in (("name", "_known_1"), ("email", "_known_2")):
        (found,) = steps.compile(mapping, MODEL, name)
        (shown,) = (step.column for step in found.steps if step.kind == "lookup")
        assert f'{table}._made AS "raw_{shown}"' in found.statement.sql
        assert f"{table}._made AS raw_{name}" in found.statement.sql  # as a run has it
    (view,) = steps.trace(mapping, MODEL)
    for column, table in zip(view.columns, ("_known_1", "_known_2"), strict=True):
        assert f'CAST({table}._made AS VARCHAR) AS "raw_{column.reads[-1][1]}"' in view.statement.sql


# -- as a run does it


def test_a_flat_export_counts_rows_and_not_records(run: Callable[..., Any]) -> None:
    text = (HERE / "joined" / "shop" / "export.yaml").read_text().partition("examples:")[0]
    lines = [
        {"OrderNo": order, "LineNo": number, "Date": "2026-11-18T09:00:00", "Customer": 8, "Total": "1", "State": state, "Qty": quantity}
        for order, number, state, quantity in (
            ("A", 1, "new", "1"), ("B", 1, "draft", "1"), ("A", 2, "new", "2"), ("C", 1, "new", "x"), (None, 1, "new", "1"), (None, 2, "new", "1"),
        )
    ]  # fmt: skip
    made = run(text, lines, stream=Stream("export", "Key"))
    assert made.rows("sales_order", "number") == [("A",)]
    assert made.rows("order_line", "source_id", "quantity", "_parent_row") == [
        ("A/1", 1, made.rows("sales_order", "_row")[0][0]),
        ("A/2", 2, made.rows("sales_order", "_row")[0][0]),
    ]
    assert made.counts() == {"staged": 5, "rejected": 3, "excluded": 1, "mapped": 1}
    assert (
        json.dumps(made.rejects())
        == '[["order_line.quantity", "expression", "Qty=x"], ["key", "required", null], ["number", "required", null], ["key", "required", null], ["number", "required", null]]'
    )
