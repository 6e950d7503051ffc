"""Completeness: what is lost, late, gone or not merged is named, also where all counts agree; an outage is taken for no delete."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from quality.completeness import Completeness, compare, prepare


@pytest.fixture
def con() -> Iterator[Any]:
    with duckdb.connect() as con:
        prepare(con)
        yield con


def fill(con: Any, layer: str, rows: dict[str, str], stream: str = "orders") -> None:
    values = [
        (stream, key, hash, f"2026-11-{int(key) % 28 + 1:02}", "x/1.jsonl", int(key)) for key, hash in rows.items()
    ]
    con.execute(f"INSERT INTO complete_{layer} VALUES " + ", ".join(map(str, values))) if values else None


def all_rows(count: int = 2500) -> dict[str, str]:
    return {str(number): f"h{number}" for number in range(1, count + 1)}


def named(found: Completeness) -> set[tuple[str, str]]:
    return {(one.code, one.key) for one in found.missing}


def everywhere(con: Any, **other: dict[str, str]) -> None:
    for layer in ("full", "lake", "mapped", "kept"):
        fill(con, layer, other.get(layer, all_rows()))


def counts_only(con: Any) -> bool:
    """The broken twin: as many here as there."""
    counts = [
        con.execute(f"SELECT count(*) FROM complete_{layer}").fetchone() for layer in ("full", "lake", "mapped", "kept")
    ]
    return len(set(counts)) == 1


def test_all_that_is_there_is_complete(con: Any) -> None:
    everywhere(con)
    found = compare(con, ["orders"])
    assert (named(found), found.windows_odd, found.refused) == (set(), 0, {})
    assert found.windows == 3 + 28  # of a thousand keys each, and days
    assert found.counts == {"orders": {"source": 2500, "lake": 2500}}


def test_what_is_missing_is_named_where_every_count_agrees(con: Any) -> None:
    full, lake, kept = all_rows(), all_rows(), all_rows()
    del full["7"], lake["9"], kept["11"]
    lake["1200"], kept["9999"] = "an older one", "made by hand"
    everywhere(con, full=full, lake=lake, kept=kept)
    con.execute("DELETE FROM complete_mapped WHERE key = '9'")
    con.execute("DELETE FROM complete_kept WHERE key = '9'")
    found = compare(con, ["orders"])
    assert named(found) == {("R303", "7"), ("R301", "9"), ("R302", "1200"), ("R304", "11")}
    assert next(one for one in found.missing if one.code == "R303").line == 7
    assert 2 <= found.windows_odd < 10


def test_a_twin_that_counts_sees_nothing_of_it(con: Any) -> None:
    full, lake = all_rows(), all_rows()
    del full["7"], lake["9"]
    everywhere(con, full=full, lake=lake, mapped=lake, kept=lake)
    assert counts_only(con)
    assert named(compare(con, ["orders"])) == {("R303", "7"), ("R301", "9")}


@pytest.mark.parametrize(
    ("there", "refused"), [(0, "the full pass brought nothing"), (2249, "251 of 2,500 records would be gone")]
)
def test_an_outage_is_taken_for_no_delete(con: Any, there: int, refused: str) -> None:
    everywhere(con, full=all_rows(there))
    found = compare(con, ["orders"])
    assert refused in found.refused["orders"]
    assert named(found) == set()


def test_a_share_within_bounds_is_believed(con: Any) -> None:
    everywhere(con, full=all_rows(2250))
    assert len(named(compare(con, ["orders"]))) == 250
    assert not named(compare(con, ["orders"], Decimal("0.05")))


def test_a_stream_that_was_not_read_whole_says_nothing(con: Any) -> None:
    everywhere(con)
    fill(con, "lake", {"1": "h"}, stream="prices")
    found = compare(con, ["orders"])
    assert "prices" not in found.counts
    assert named(found) == set()
