"""What is usual: the same weekday, up to the same time of day, by median; and never a day that is not comparable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warehouse.baseline import baseline
from warehouse.duck import connect

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


@pytest.fixture
def published(world: Any) -> Any:
    """Four Fridays of 100, 110, 90 and (a backfill) 5,000 orders, a Thursday, an evening, and this morning's run."""
    runs = [(7, 0, 100), (14, 0, 110), (21, 0, 90), (28, 0, 5000), (8, 0, 7), (7, 6, 3000), (0, -1, 12), (70, 0, 1)]
    con = connect(world.path)
    for number, (days, hours, n) in enumerate(runs):
        at = NOW - timedelta(days=days) + timedelta(hours=hours, minutes=-1)
        con.execute("INSERT INTO ops.runs (run_id, system, started_at) VALUES ($1, 'cart', $2)", [str(number), at])
        con.execute("INSERT INTO ops.counts VALUES ($1, 'cart', 'orders', 'cart/orders', 'sales_order', 'mapped', $2)", [str(number), n])  # fmt: skip
        for item, share in (("open", 0.75), ("", 0.25)):
            con.execute("INSERT INTO quality.profiles VALUES ($1, 'cart', 'sales_order', 'lifecycle_status', $2, $3)", [str(number), item, int(n * share)])  # fmt: skip
    con.close()
    return world.path


def known_of(path: Any, *asked: Any) -> list[Any]:
    with connect(path, read_only=True) as con:
        return baseline(con, *asked)


def test_the_same_weekday_up_to_the_same_time(published: Any) -> None:
    known = known_of(published, "cart", [("sales_order", "rows", "")], NOW)
    assert known[0][1] == "now"
    assert [row[1:] for row in known[1:]] == [("rows", "", None, 4, 105.0, None), ("today", "", None, None, 12.0, None)]


def test_shares_of_the_same_weekday(published: Any) -> None:
    known = known_of(published, "cart", [("sales_order", "share", "lifecycle_status")], NOW)
    assert sorted((row[3], row[4], round(row[5], 2)) for row in known[1:]) == [("", 4, 0.25), ("open", 4, 0.75)]


def test_the_newest_of_the_system(world: Any) -> None:
    world.merge("cart", {"customer": [world.customer("c1")], "sales_order": [world.order("1")]})
    known = known_of(world.path, "cart", [("sales_order", "newest", "ordered_at")], NOW)
    assert known[1][-1] == NOW
    assert known_of(world.path, "erp", [("sales_order", "newest", "ordered_at")], NOW)[1][-1] is None


def test_without_a_snapshot_nothing_is_usual() -> None:
    assert [row[1] for row in baseline(None, "cart", [("sales_order", "rows", "")], NOW)] == ["now"]
