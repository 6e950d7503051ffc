"""An order that somebody removed from the cart, which says no word of it: named, taken for deleted, rebuilt, and there again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from flow import completeness, gone
from flow.completeness import complete
from flow.plan import plan
from flow.rebuild import rebuild
from flow.trace import trace
from hub.segments import list_segments, read_lines
from warehouse import access
from warehouse.model import entities
from warehouse.rebuild import compare

ORDER = "SELECT hub_id, deleted_at IS NOT NULL, lifecycle_status, total FROM sales_order WHERE number = $number"
LINES = "SELECT l.* FROM order_line l JOIN sales_order o ON o.hub_id = l.parent WHERE number = $number ORDER BY ALL"
OPEN = """SELECT c.number FROM source.sales_order c JOIN source.sales_order e USING (hub_id)
    WHERE c.system = 'cart' AND e.system = 'erp' AND c.lifecycle_status = 'open' ORDER BY 1"""


def in_cart(cycled: Any, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(cycled.sandbox.state / "cart.db", timeout=30)) as con, con:
        return con.execute(sql, values).fetchall()


def remove(cycled: Any, number: str) -> tuple[Any, ...]:
    (row,) = in_cart(cycled, "SELECT id, changed, key, hidden, doc FROM orders WHERE key = ?", number)
    in_cart(cycled, "DELETE FROM orders WHERE key = ?", number)
    return row


def tombstones(cycled: Any) -> list[Any]:
    return [one for one in list_segments(cycled.project.lake, "cart", "orders") if one.deleted_at]


def test_a_delete_without_a_word(cycled: Any) -> None:
    project, (number,) = cycled.project, cycled.rows(OPEN)[0]
    ((hub, alive, *before),) = cycled.rows(ORDER, number=number)
    lines = cycled.rows(LINES, number=number)
    row = remove(cycled, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completeness, "cycle", lambda *given, **more: [])
        named = complete(project, "cart")
    assert [(one["code"], one["stream"]) for one in named.detail["missing"]] == [("R303", "orders")]
    assert (alive, named.status, named.counts["deleted"], tombstones(cycled)) == (False, "partial", 0, [])

    done = complete(project, "cart", apply=True)
    assert (done.status, done.counts["gone"], done.counts["deleted"]) == ("ok", 1, 1), done.detail["lines"]
    assert "1 gone; 1 deleted here" in done.detail["summary"]
    assert cycled.rows(ORDER, number=number) == [(hub, True, *before)]
    assert cycled.rows(LINES, number=number) == lines, "the lines stay as they are"
    (tombstone,) = tombstones(cycled)
    (raw,) = read_lines(project.lake, tombstone.path)
    pulled = [one.path for one in list_segments(project.lake, "cart", "orders") if one != tombstone]
    assert raw in [line for path in pulled for line in read_lines(project.lake, path)], "byte for byte"

    made = plan(project, "erp")
    about = [*made.calls, *made.waiting, *made.held]
    assert [one for one in about if one.entity == "sales_order" and one.hub_id == hub] == []
    told = trace(project, "sales_order", number)
    assert [who.split()[0] for who in told["fields"]["deleted_at"]["said_by"]] == ["cart"]
    (event,) = (one for one in told["events"] if "the system has it no longer" in one["what"])
    assert (event["system"], event["at"]) == ("cart", tombstone.deleted_at)

    kept = project.warehouse.with_name("kept.duckdb")
    kept.write_bytes(project.warehouse.read_bytes())
    rebuild(project)
    assert compare(kept, project.warehouse, entities()) == []
    assert cycled.rows(ORDER, number=number) == [(hub, True, *before)]

    in_cart(cycled, "INSERT INTO orders (id, changed, key, hidden, doc) VALUES (?, ?, ?, ?, ?)", *row)
    remove(cycled, cycled.rows(OPEN)[-1][0])
    back = complete(project, "cart", apply=True)  # its date has not moved: no pull brings it
    assert [one["code"] for one in back.detail["missing"]] == ["R303", "R306"], "what was gone is not named again"
    assert (back.status, back.counts["deleted"], back.counts["restored"]) == ("ok", 1, 1)
    assert cycled.rows(ORDER, number=number) == [(hub, False, *before)]
    with access.write(project.warehouse) as con:
        told = con.execute(
            "SELECT gone, there_again, refused FROM recon.completeness WHERE stream = 'orders' ORDER BY checked_at DESC"
        )
        assert told.fetchone() == (1, 1, None)


def test_the_broken_twin_forgets_to_say_that_it_is_gone(cycled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = gone._written
    monkeypatch.setattr(gone, "_written", lambda *given: [(writer, {}) for writer, _ in own(*given)])
    number = cycled.rows(OPEN)[1][0]
    remove(cycled, number)
    complete(cycled.project, "cart", apply=True)
    assert not cycled.rows(ORDER, number=number)[0][1]


def test_nothing_is_believed_while_something_is_pulled(cycled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(cycled, cycled.rows(OPEN)[2][0])
    monkeypatch.setattr(completeness, "cycle", lambda *given, **more: [])
    monkeypatch.setattr(gone, "list_segments", lambda *given: [])
    before = tombstones(cycled)
    report = complete(cycled.project, "cart", apply=True)
    assert "orders: R305 something was pulled meanwhile" in " ".join(report.detail["lines"])
    assert (report.status, report.counts["deleted"], tombstones(cycled)) == ("partial", 0, before)
