"""A header whose children are the same leaves the canonical children alone, and does not look for them; in doubt it looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from warehouse.work import Work

Line = Mapping[str, Any]
LINES = "SELECT sku, quantity::INTEGER FROM canonical.order_line ORDER BY 1"


@pytest.fixture
def w(world, monkeypatch):
    """With `asked`, the names of the statements of the last merge."""
    right, asked = Work.do, []

    def do(work: Work, name: str, sql: str, parameters: Any = None) -> int:
        if name == "begin":
            asked.clear()
        asked.append(name)
        return right(work, name, sql, parameters)

    monkeypatch.setattr(Work, "do", do)
    world.asked = asked
    world.merge("cart", {"customer": [world.customer("c1", email="a@example.com")]})
    return world


def line(sku: str, quantity: int = 1) -> Line:
    return {"id": sku, "sku": sku, "quantity": quantity, "currency": "EUR"}


def order(w, id: str, *lines: Line, customer: str = "c1", **fields: Any):
    return replace(w.order(id, customer, **fields), children={"order_line": lines})


def merged(w, *orders, system: str = "cart") -> list[str]:
    w.merge(system, {"sales_order": orders})
    return w.asked


def test_only_the_header_is_another_version(w):
    merged(w, order(w, "1", line("A"), line("B", 2)))
    before = w.rows("SELECT * FROM canonical.order_line ORDER BY hub_id")
    asked = merged(w, order(w, "1", line("A"), line("B", 2), note="changed"))
    assert "held sales_order" in asked
    assert "held order_line" not in asked
    assert w.rows("SELECT note FROM sales_order") == [("changed",)]
    assert w.one("SELECT count(*) FROM history.sales_order") == 1
    assert w.rows("SELECT * FROM canonical.order_line ORDER BY hub_id") == before
    assert w.one("SELECT count(*) FROM history.order_line") == 0
    newest = "SELECT count(*) FROM source.order_line SEMI JOIN source.sales_order USING (run_id, segment)"
    assert w.one(newest) == 2, "the source layer says where the lines came from last"


def test_among_several_only_those_with_other_children_are_looked_at(w):
    merged(w, *(order(w, str(n), line(f"{n}A"), line(f"{n}B")) for n in (1, 2, 3)))
    asked = merged(
        w,
        order(w, "1", line("1A"), line("1B"), note="changed"),
        order(w, "2", line("2A", 7), line("2B")),
        order(w, "3", note="none is left"),
        order(w, "4", line("4A")),
    )
    assert "held order_line" in asked
    assert w.rows(LINES) == [("1A", 1), ("1B", 1), ("2A", 7), ("2B", 1), ("4A", 1)]
    assert w.rows("SELECT sku FROM history.order_line ORDER BY 1") == [("2A",), ("3A",), ("3B",)]


def test_the_children_of_a_version_that_waited_come_with_the_one_that_does_not(w):
    merged(w, order(w, "1", line("A")))
    merged(w, order(w, "1", line("B"), customer="unknown"))
    assert w.rows(LINES) == [("A", 1)]
    merged(w, order(w, "1", line("B"), note="the same lines as the version that waits"))
    assert w.rows(LINES) == [("B", 1)]


def test_and_so_they_do_when_the_reference_arrives(w):
    merged(w, order(w, "1", line("A")))
    merged(w, order(w, "1", line("B"), customer="late"))
    w.merge("cart", {"customer": [w.customer("late")]})
    assert w.rows(LINES) == [("B", 1)]


def test_where_several_systems_speak_another_declaration_reaches_the_children_with_the_header(w):
    w.survivorship = {"sales_order": {"default": ("cart", "erp")}}
    w.merge("erp", {"customer": [w.customer("k1", email="a@example.com")]})
    merged(w, order(w, "1", line("A")))
    merged(w, order(w, "E1", line("Z"), customer="k1", number="1"), system="erp")
    assert w.rows(LINES) == [("A", 1)]
    w.survivorship = {"sales_order": {"default": ("erp", "cart")}}
    merged(w, order(w, "1", line("A"), note="touched"))
    assert w.rows(LINES) == [("Z", 1)]
