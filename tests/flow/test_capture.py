"""`crossdock test --capture`: records of a real cycle, one that was merged and one that waits in quarantine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flow.capture import capture
from flow.examples import run_examples
from hub import yaml
from hub.errors import UsageError
from hub.segments import read_lines


def raw(cycled: Any, segment: str, line: int) -> dict[str, Any]:
    record = json.loads(list(read_lines(cycled.project.lake, segment))[line - 1])
    assert isinstance(record, dict)
    return record


def test_a_waiting_record_becomes_an_example_that_fails_in_the_same_way(cycled: Any) -> None:
    key, mapping, segment, line = cycled.rows(
        """SELECT source_id, min(mapping), min(segment), min(line) FROM quality.quarantine
           WHERE closed_at IS NULL AND code LIKE 'M3%' AND source_id IS NOT NULL GROUP BY source_id ORDER BY 1 LIMIT 1"""
    )[0]
    causes = cycled.rows("SELECT DISTINCT field, rule FROM quality.quarantine WHERE source_id = $key AND mapping = $mapping ORDER BY 1, 2", key=key, mapping=mapping)  # fmt: skip
    made = capture(cycled.project, key, mapping)
    assert made.file.is_relative_to(cycled.project.root / "mappings")
    example = yaml.load(made.file)[0][-1]
    assert [(one["field"], one["rule"]) for one in example["rejects"]] == causes
    assert all(outcome.holds for outcome in run_examples(cycled.project, [mapping]))
    assert set(example["given"]) < set(raw(cycled, segment, line))


def test_a_merged_record_becomes_an_example_without_the_person(cycled: Any) -> None:
    key, segment, line, name, street = cycled.rows(
        """SELECT source_id, segment, line, ship_to_name, ship_to_street FROM source.sales_order WHERE system = 'cart'
           AND length(ship_to_name) > 6 AND length(ship_to_street) > 6 AND source_id NOT IN (SELECT source_id FROM quality.quarantine)
           ORDER BY source_id LIMIT 1"""
    )[0]
    person = raw(cycled, segment, line)
    first = capture(cycled.project, key, "cart/orders")
    again = capture(cycled.project, key, "cart/orders")
    assert first.fixture == again.fixture  # the same look-alikes, as long as the secret is the same
    text = first.file.read_text()
    assert name not in text
    assert street not in text
    assert person["email"] not in text
    last = yaml.load(first.file)[0][-1]
    assert last["expect"]["ship_to_name"] == last["given"]["shipping_address"]["name"]
    assert len(last["expect"]["order_line"]) == len(person["line_items"])
    assert (cycled.project.data / "mask.key").stat().st_mode & 0o077 == 0
    assert all(outcome.holds for outcome in run_examples(cycled.project, ["cart/orders"]))


def test_what_cannot_be_found_is_said(cycled: Any) -> None:
    with pytest.raises(UsageError, match="no record with the id nobody") as refused:
        capture(cycled.project, "nobody")
    assert refused.value.code == "P511"
