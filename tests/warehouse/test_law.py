"""The count law has two forms: `law.broken`, which every merge asks, and `ops.count_law`, which people read. They say the same."""

from __future__ import annotations

import random

import duckdb
import pytest

from warehouse import law
from warehouse.fixed import FIXED, VIEWS

STATES = ("read", "duplicates", "staged", "rejected", "excluded", "mapped", *law.BECAME)
PLACES: list[tuple[str | None, str | None, str | None]] = [
    ("orders", None, None),
    ("orders", "shop/orders", "sales_order"),
    ("orders", "shop/orders.customer", "customer"),
    ("customers", "shop/customers", "customer"),  # a stream of which nothing was counted
    (None, "shop/lost", "sales_order"),
]


def counted(seed: int) -> list[law.Count]:
    chance = random.Random(seed)
    return [(*place, state, chance.randrange(3)) for place in PLACES for state in STATES if chance.random() < 0.5]


@pytest.fixture(scope="module")
def counts() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE SCHEMA ops")
    columns = ", ".join(line.partition(" -- ")[0] for line in FIXED["ops.counts"][1].strip().splitlines())
    con.execute(f"CREATE TABLE ops.counts ({columns})")
    con.execute(f"CREATE VIEW ops.count_law AS {VIEWS['ops.count_law']}")
    for seed in range(40):
        for row in counted(seed):
            con.execute("INSERT INTO ops.counts VALUES (?, 'shop', ?, ?, ?, ?, ?)", [str(seed), *row])
    return con


def by_the_view(con: duckdb.DuckDBPyConnection, seed: int) -> list[law.Equation]:
    sql = """SELECT coalesce(mapping, stream), law, left_side, right_side FROM ops.count_law
             WHERE run_id = ? AND holds IS NOT TRUE ORDER BY ALL"""
    return con.execute(sql, [str(seed)]).fetchall()


def test_both_forms_find_the_same(counts: duckdb.DuckDBPyConnection) -> None:
    found = [law.broken(counted(seed)) for seed in range(40)]
    assert found == [by_the_view(counts, seed) for seed in range(40)]
    assert {name for equations in found for _, name, _, _ in equations} == {law.READ, law.STAGED, law.MAPPED}


def test_the_broken_twin_that_forgets_a_state_is_caught(
    counts: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(law, "BECAME", law.BECAME[:-1])
    assert any(law.broken(counted(seed)) != by_the_view(counts, seed) for seed in range(40))
