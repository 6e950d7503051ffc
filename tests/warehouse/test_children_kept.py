"""A header whose children are the same leaves them alone, in `source` and `canonical`, and does not look for them; in doubt it looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse import tables
from warehouse.duck import connect
from warehouse.work import Work

Line = Mapping[str, Any]
PLACE = "mapping, segment, line"
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
    layers = [f"SELECT * FROM {layer}.order_line ORDER BY hub_id" for layer in ("source", "canonical")]
    before = [w.rows(sql) for sql in layers]
    asked = merged(w, order(w, "1", line("B", 2), line("A"), note="changed"))
    assert "held sales_order" in asked
    assert not {"old order_line", "source.order_line", "held order_line"} & set(asked)
    assert w.rows("SELECT note FROM sales_order") == [("changed",)]
    assert w.one("SELECT count(*) FROM history.sales_order") == 1
    assert [w.rows(sql) for sql in layers] == before
    assert w.one("SELECT count(*) FROM history.order_line") == 0
    assert w.rows(f"SELECT DISTINCT {PLACE} FROM source.order_line") == [(None, None, None)], (
        "where their header stands"
    )


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
    runs = "SELECT s.sku, s.run_id = h.run_id FROM source.order_line s JOIN source.sales_order h ON h.source_key = s.parent_key ORDER BY 1"
    kept = ("1A", "1B")
    assert w.rows(runs) == [(sku, sku not in kept) for sku in ("1A", "1B", "2A", "2B", "4A")]


def test_a_version_that_waits_takes_its_lines_along(w):
    """The complete ones speak for the system meanwhile, so the same lines stand in both."""
    merged(w, order(w, "1", line("A")))
    merged(w, order(w, "1", line("A"), customer="late"))
    assert w.rows("SELECT sku, waiting FROM source.order_line") == [("A", "customer/late")]
    assert w.rows("SELECT sku, waiting FROM previous.order_line") == [("A", None)]
    w.merge("cart", {"customer": [w.customer("late")]})
    assert w.rows("SELECT sku, waiting FROM source.order_line") == [("A", None)]
    assert w.rows("FROM previous.order_line") == []
    assert w.rows("SELECT hub_id FROM canonical.order_line") == [(1,)]


def test_lines_that_stand_elsewhere_say_where_they_stand_now(w):
    """Lines that are records of their own are the same, and were read again from other records."""
    places = f"SELECT {PLACE} FROM source.order_line ORDER BY sku"
    for number in (1, 2):
        own = {"_segment": f"cart/lines/{number}.jsonl"}
        merged(w, order(w, "1", {**line("A"), **own, "_line": 7}, {**line("B"), **own, "_line": 8}, note=str(number)))
        assert w.rows(places) == [("cart/sales_order", own["_segment"], place) for place in (7, 8)]
    assert w.one("SELECT count(*) FROM history.order_line") == 0


def test_lines_of_an_older_warehouse_leave_their_place_to_their_header(w):
    merged(w, order(w, "1", line("A")), order(w, "2", {**line("B"), "_segment": "cart/lines/1.jsonl"}))
    before = w.rows(f"SELECT sku, {PLACE} FROM source.order_line ORDER BY 1")
    con = connect(w.path)
    con.execute("ALTER TABLE source.order_line ADD COLUMN row_hash UBIGINT")
    con.execute(
        """UPDATE source.order_line AS s SET mapping = h.mapping, segment = h.segment, line = h.line
           FROM source.sales_order h WHERE h.source_key = s.parent_key AND s.segment IS NULL"""
    )
    tables.set_position(con, "schema", "old 1")
    assert con.execute("SELECT count(segment) FROM source.order_line").fetchone() == (2,)
    tables.migrate(con, w.model)
    con.close()
    assert w.rows(f"SELECT sku, {PLACE} FROM source.order_line ORDER BY 1") == before


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


CART, ERP = ({"sales_order": {"default": order}} for order in (("cart", "erp"), ("erp", "cart")))


@pytest.fixture
def both(w):
    """Two systems speak for an order, each with a line of its own; the cart's holds."""
    w.survivorship = CART
    w.merge("erp", {"customer": [w.customer("k1", email="a@example.com")]})
    merged(w, order(w, "1", line("A")))
    merged(w, order(w, "E1", line("Z"), customer="k1", number="1"), system="erp")
    assert w.rows(LINES) == [("A", 1)]
    return w


def test_where_several_systems_speak_another_declaration_reaches_the_children_with_the_header(both):
    both.survivorship = ERP
    merged(both, order(both, "1", line("A"), note="touched"))
    assert both.rows(LINES) == [("Z", 1)]


def test_it_reaches_them_whenever_they_are_touched(both):
    both.survivorship = ERP
    merged(both, order(both, "2", line("other")))
    merged(both, order(both, "3", line("other still")))
    assert ("A", 1) in both.rows(LINES)
    merged(both, order(both, "E1", line("Z"), customer="k1", number="1", note="touched"), system="erp")
    assert ("Z", 1) in both.rows(LINES)
    assert ("A", 1) not in both.rows(LINES)


def test_where_several_systems_speak_who_won_is_asked_once_a_declaration(both):
    for note, declared in (("not asked", CART), ("asked", ERP), ("not again", ERP), ("asked again", CART)):
        both.survivorship = declared
        asked = merged(both, order(both, "1", line("A"), note=note))
        assert ("held order_line" in asked) == note.startswith("asked")
        assert both.rows("SELECT note FROM sales_order") == [(note,)]
    asked = merged(both, order(both, "1", line("A", 2), note="another line"))
    assert "held order_line" in asked
    assert both.rows(LINES) == [("A", 2)]
    for total, known in ((5, False), (6, True)):
        asked = merged(both, order(both, "E1", line("Z"), customer="k1", number="1", total=total), system="erp")
        assert ("held order_line" not in asked) == known, "of each row it is known since it was written last"


def test_a_run_that_began_before_the_last_one_of_another_declaration_settles_nothing_for_later_ones(both):
    """Runs overlap: its instant lies before rows that were settled otherwise."""
    both.survivorship = ERP
    both.runs -= 2
    merged(both, order(both, "2", line("other"), customer="k1"), system="erp")
    both.runs += 2
    merged(both, order(both, "1", line("A"), note="touched"))
    assert ("Z", 1) in both.rows(LINES)


def test_of_several_systems_those_that_keep_their_children_are_left_out_of_who_wins(both):
    """Two orders of two systems come in one merge: of the one with the same lines nobody is asked, and nothing is written."""
    merged(both, order(both, "2", line("B")), order(both, "1", line("A"), note="b"))
    merged(both, order(both, "E2", line("Y"), customer="k1", number="2"), system="erp")
    merged(both, order(both, "1", line("A"), note="c"), order(both, "2", line("B"), note="c"))
    merged(both, order(both, "1", line("A"), note="d"), order(both, "2", line("B", 2), note="d"))
    assert both.rows(LINES) == [("A", 1), ("B", 2)]


SAID = st.dictionaries(
    st.sampled_from("12"),
    st.tuples(st.lists(st.sampled_from("ABC"), max_size=2, unique=True), st.integers(1, 3)),
    min_size=1,
)


@given(steps=st.lists(st.tuples(st.sampled_from(("cart", "erp")), SAID), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
def test_whatever_is_kept_the_lines_are_those_that_were_said_last(both, steps):
    """Hub by hub the lines are those that the first system has which has any, each once, however batches mix what is the same with what is not."""
    told: dict[str, dict[str, list[tuple[str, int]]]] = {"cart": {}, "erp": {}}
    empty = [(system, {number: ([], 0) for number in "12"}) for system in told]  # what an earlier example said
    for at, (system, said) in enumerate([*empty, *steps]):
        orders = []
        for number, (skus, quantity) in said.items():
            told[system][number] = [(sku, quantity) for sku in skus]
            own = (number, "c1") if system == "cart" else (f"E{number}", "k1")
            orders.append(
                order(
                    both,
                    own[0],
                    *(line(f"{number}{sku}", quantity) for sku in skus),
                    customer=own[1],
                    number=number,
                    note=str(both.runs),
                )
            )
        merged(both, *orders, system=system)
        expected = [
            (f"{number}{sku}", quantity)
            for number in "12"
            for sku, quantity in told["cart"].get(number) or told["erp"].get(number) or ()
        ]
        assert at < len(empty) or both.rows(LINES) == sorted(expected)
