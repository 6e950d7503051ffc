"""A list that vanishes from a record is no order without lines: where its mapping says `required`, the record waits, and the others go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from changes_harness import ORDERS, Shop, order

from mappings import columns

REQUIRED = ORDERS.replace("each: line_items", "each: line_items\n    required: true")
LINES = "SELECT count(*) FROM order_line l JOIN sales_order o ON o.hub_id = l.parent WHERE o.number = '1'"
OPEN = "SELECT source_id, code, rule, field FROM quality.quarantine WHERE closed_at IS NULL ORDER BY ALL"


def renamed(number: int, /, **changed: Any) -> dict[str, Any]:
    """As a shop sends it that calls its lines otherwise since its last release."""
    made = order(number, **changed)
    made["lines"] = made.pop("line_items")
    return made


@pytest.fixture
def strict(synced: Shop) -> Shop:
    synced.mapping("shop/orders", REQUIRED)
    return synced


def test_without_it_an_order_loses_its_lines(synced: Shop) -> None:
    """What the setting is for."""
    synced.pulled([renamed(1, total_price="14.00")])
    synced.sync()
    assert synced.rows(LINES) == [(0,)]


def test_a_record_without_the_list_waits_and_the_others_go_on(strict: Shop) -> None:
    strict.pulled([renamed(1, total_price="14.00"), order(2, total_price="15.00"), renamed(4)])
    strict.sync()
    assert strict.rows(OPEN) == [(number, "M302", "required", "order_line.each") for number in ("1", "4")]
    told = "order_line.each is missing: there is no line_items, not even an empty list"
    assert strict.rows("SELECT DISTINCT message FROM quality.quarantine WHERE closed_at IS NULL") == [(told,)]
    assert strict.rows(LINES) == [(1,)]
    amounts = "SELECT number, total::DOUBLE FROM sales_order ORDER BY number"
    assert strict.rows(amounts) == [("1", 12.5), ("2", 15.0), ("3", 12.5)]
    strict.mapping("shop/orders", REQUIRED.replace("line_items", "lines"))
    strict.pulled([renamed(1, total_price="14.00"), renamed(4)])
    strict.sync()
    assert (strict.rows(OPEN), strict.rows(LINES)) == ([], [(1,)])


@pytest.mark.parametrize(("lines", "waits"), [([], False), (None, True)])
def test_an_empty_list_says_that_there_are_none_and_null_says_nothing(strict: Shop, lines: Any, waits: bool) -> None:
    strict.pulled([order(1, total_price="14.00", line_items=lines)])
    strict.sync()
    assert strict.rows(LINES) == [(1 if waits else 0,)]
    assert len(strict.rows(OPEN)) == waits


def test_a_deleted_record_needs_none(strict: Shop) -> None:
    deleted = "fields:\n  deleted_at: {at: updated_at, when: cancel_reason = 'gone'}\n"
    strict.mapping("shop/orders", REQUIRED.replace("fields:\n", deleted, 1))
    strict.pulled([renamed(1, cancel_reason="gone"), renamed(2)])
    strict.sync()
    assert strict.rows("SELECT number FROM sales_order WHERE deleted_at IS NOT NULL") == [("1",)]
    assert [row[0] for row in strict.rows(OPEN)] == ["2"]


def test_a_record_that_is_left_out_is_not_asked(strict: Shop) -> None:
    strict.pulled([renamed(1, number=None)])
    strict.sync()
    assert strict.rows(OPEN) == []


def test_a_twin_that_never_finds_the_list_missing_is_seen(strict: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    made = columns.no_list("order_line", "line_items", "no list 1", deletes=False)
    monkeypatch.setattr("mappings.inbound.no_list", lambda *_, **__: replace(made, condition="false"))
    strict.pulled([renamed(1, total_price="14.00")])
    strict.sync()
    assert (strict.rows(OPEN), strict.rows(LINES)) == ([], [(0,)])
