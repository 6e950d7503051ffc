"""Raw fields that are new, vanished or of another kind are told, although no mapping declares them, and stop nothing."""

from __future__ import annotations

from typing import Any

import pytest
from changes_harness import CUSTOMER, Shop, order

from hub import shape
from warehouse import drift

FOUND = "SELECT code, entity, field, raw FROM quality.findings WHERE rule = 'schema' ORDER BY ALL"


def sent(number: int, **changed: Any) -> dict[str, Any]:
    return order(number, **({"channel": {"name": "web", "till": 7}} | changed))


@pytest.fixture
def known(shop: Shop) -> Shop:
    shop.pulled([CUSTOMER], "shop/customers")
    shop.pulled([sent(number) for number in range(1, 31)])
    shop.sync()
    assert shop.rows(FOUND) == [], "the first shape is news about nothing"
    return shop


def test_what_is_new_vanished_or_of_another_kind(known: Shop) -> None:
    known.pulled([sent(number, gift={"text": "x"}, channel={"name": 5}) for number in range(31, 61)])
    known.sync()
    assert known.rows(FOUND) == [
        ("W310", "orders", "gift", "object"),
        ("W310", "orders", "gift.text", "text"),
        ("W311", "orders", "channel.till", "number"),
        ("W312", "orders", "channel.name", "number"),
    ]
    assert known.rows("SELECT count(*) FROM sales_order") == [(60,)]
    since = known.rows("SELECT min(seen_at), max(seen_at) FROM quality.findings")
    known.pulled([sent(number, gift={"text": "x"}, channel={"name": 5}) for number in range(61, 91)])
    known.sync()
    assert known.rows("SELECT min(seen_at), max(seen_at) FROM quality.findings") == since
    known.pulled([sent(number, gift={"text": "x"}) for number in range(91, 121)])
    known.sync()
    assert [row[2] for row in known.rows(FOUND)] == ["gift", "gift.text"], "what came again is over"


def test_what_may_be_missing_and_what_is_the_same_is_not_told(known: Shop) -> None:
    known.pulled([sent(number, **({"note": "x"} if number % 2 else {}), total_price=None) for number in range(31, 61)])
    known.sync()
    assert known.rows(FOUND) == [("W310", "orders", "note", "text")]
    known.pulled([sent(number) for number in range(61, 91)])
    known.pulled([sent(91, channel=None)])
    known.sync()
    assert known.rows(FOUND) == [("W310", "orders", "note", "text")]


def test_without_the_sample_nobody_would_notice(known: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: only declared columns are looked at."""
    monkeypatch.setattr(drift, "note", lambda *_: [])
    known.pulled([sent(number, gift={"text": "x"}) for number in range(31, 61)])
    known.sync()
    assert known.rows(FOUND) == []


def test_a_sample_is_bounded_and_an_object_by_id_has_no_fields() -> None:
    record = {"prices": {f"sku{n}": n for n in range(100)}, "lines": [{"a": 1}, {"a": "x", "b": None}]}
    assert set(shape.paths(record)) == {
        ("prices", "object"), ("lines", "list"), ("lines[]", "object"), ("lines[].a", "number"), ("lines[].a", "text"),
        ("lines[].b", "null"),
    }  # fmt: skip
    deep: Any = 1
    for _ in range(100):
        deep = {"a": deep}
    assert len(set(shape.paths(deep))) < 20
