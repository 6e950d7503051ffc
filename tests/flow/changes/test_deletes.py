"""A delete that says only whose it is: the last known state of the record, deleted; of a record that nobody knows, nothing."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from changes_harness import CUSTOMER, ORDERS, PROJECT, Shop, order
from rich.console import Console

from flow import show_preview
from flow.language import load_mappings
from flow.map import map
from flow.preview import Wanted, preview
from flow.publish import fold_and_publish
from flow.rebuild import replay as rebuilt
from flow.replay import replay
from flow.run import Run
from flow.stage import stage
from flow.trace import folded, trace
from flow.trace_field import map_again
from flow.trace_read import Record, Stores
from hub.config import load_project
from mappings.examples import run as run_examples
from warehouse import deletes
from warehouse.ledger import Ledger
from warehouse.model import entities
from warehouse.rebuild import compare

GONE = "2026-11-21T10:00:00+00:00"
SAYS = ORDERS.replace("fields:\n", "fields:\n  deleted_at: {at: removed_at, when: removed = 'true'}\n", 1).replace(
    "when: number is not null\n", ""
)
LIST = "{stream: deleted_orders, entity: sales_order, key: id, fields: {deleted_at: at}}\n"
SAID = "SELECT source_id, deleted_at::VARCHAR, number, total::VARCHAR, customer FROM source.sales_order ORDER BY 1"
LINES = """
    SELECT l.hub_id, l.source_id, l.sku, l.quantity, coalesce(l.segment, o.segment), coalesce(l.line, o.line)
    FROM source.order_line l JOIN source.sales_order o ON o.source_key = l.parent_key ORDER BY 1"""
STATES = "SELECT mapping, state, n::INT FROM ops.counts WHERE mapping IS NOT NULL AND n > 0 AND run_id = (SELECT max(run_id) FROM ops.runs) ORDER BY ALL"


def bare(number: int, at: str = GONE) -> dict[str, object]:
    return {"id": number, "removed": True, "removed_at": at}


CONNECTOR = """\
from connectors.sandbox_cart import SandboxCart
from hub.connector import Stream


class DeletingCart(SandboxCart):
    name = "deleting_cart"
    streams = (*SandboxCart.streams, Stream("deleted_orders", primary_key="id", deletes="delivered"))
"""


@pytest.fixture
def told(shop: Shop) -> Shop:
    """Deletes come among the orders, and in a list of their own."""
    root = shop.project.root
    (root / "connectors").mkdir()
    (root / "connectors" / "deleting_cart.py").write_text(CONNECTOR)
    (root / "crossdock.yaml").write_text(PROJECT.replace("sandbox_cart", "deleting_cart"))
    shop.project = load_project(root)
    shop.mapping("shop/orders", SAYS)
    shop.mapping("shop/deleted_orders", LIST)
    shop.pulled([CUSTOMER], "shop/customers")
    shop.pulled([order(1), order(2)])
    shop.sync()
    return shop


def test_the_last_known_state_deleted(told: Shop) -> None:
    (one, two), lines = told.rows(SAID), told.rows(LINES)
    segment = told.pulled([bare(1), bare(9)], at="2026-11-21T12:00:00+00:00")
    told.sync()
    (gone, still) = told.rows(SAID)
    assert (gone[0], gone[2:], still) == (one[0], one[2:], two)
    assert gone[1].startswith("2026-11-21 10:00")
    assert told.rows(LINES) == lines, "the lines stay as they were"
    assert told.rows(STATES) == [
        ("shop/orders", state, n) for state, n in (("excluded", 1), ("mapped", 1), ("passed", 1), ("staged", 2))
    ]
    assert told.rows("SELECT bool_and(holds) FROM ops.count_law") == [(True,)]
    assert told.rows("SELECT count(*) FROM history.sales_order") == [(1,)]
    shown = trace(told.project, "sales_order", "1")
    assert segment in str(shown["events"])
    assert shown["fields"]["total"]["value"] == "12.5000"
    (source,) = trace(told.project, "sales_order", "1", field="total")["cell"]["sources"]
    assert (source["place"], source["value"]) == (f"{segment}:1", "12.5000")
    assert source["why"].startswith("the record says only that it is gone")


def dead(shop: Shop) -> list[str]:
    """Which orders are deleted."""
    return [
        id for (id,) in shop.rows("SELECT source_id FROM source.sales_order WHERE deleted_at IS NOT NULL ORDER BY 1")
    ]


def test_a_list_of_deletes_reads_nothing_else(told: Shop) -> None:
    before = told.rows(SAID)
    told.pulled([{"id": 2, "at": GONE}, {"id": 8, "at": GONE}], "shop/deleted_orders", at="2026-11-21T12:00:00+00:00")
    told.sync()
    assert (dead(told), [row[2:] for row in told.rows(SAID)]) == (["2"], [row[2:] for row in before])
    told.pulled([{"id": 1}], "shop/deleted_orders", at="2026-11-22T12:00:00+00:00")
    told.sync()
    opened = "SELECT source_id, mapping, field FROM quality.quarantine WHERE closed_at IS NULL"
    assert told.rows(opened) == [("1", "shop/deleted_orders", "deleted_at")], "it does not say since when"
    assert dead(told) == ["2"]


def test_a_full_record_brings_it_back(told: Shop) -> None:
    told.pulled([{"id": 2, "at": GONE}], "shop/deleted_orders", at="2026-11-21T12:00:00+00:00")
    told.pulled([bare(1)], at="2026-11-21T12:00:00+00:00")
    told.sync()
    assert dead(told) == ["1", "2"]
    told.pulled([order(1), order(2, total_price="13.00")], at="2026-11-22T12:00:00+00:00")
    told.sync()
    assert dead(told) == []
    assert told.rows("SELECT total::VARCHAR FROM sales_order WHERE number = '2'") == [("13.0000",)]


def test_a_batch_that_has_both_follows_their_order(told: Shop) -> None:
    """Within a stream as they came; between two by the pull, and of one pull the delete is the later word."""
    told.pulled([order(3), bare(3), bare(4), order(4)], at="2026-11-21T12:00:00+00:00")
    told.pulled([order(5), order(6)], at="2026-11-21T12:00:00+00:00")
    told.pulled([{"id": 5, "at": GONE}], "shop/deleted_orders", at="2026-11-21T12:00:00+00:00")
    told.pulled([{"id": 6, "at": GONE}], "shop/deleted_orders", at="2026-11-20T12:00:00+00:00")
    told.sync()
    assert dead(told) == ["3", "5"]
    assert told.rows("SELECT bool_and(holds) FROM ops.count_law") == [(True,)]
    lines = "SELECT count(*) FROM order_line l JOIN sales_order o ON o.hub_id = l.parent WHERE o.number IN ('3', '5')"
    assert told.rows(lines) == [(2,)]


def test_a_delete_that_comes_late_is_no_news(told: Shop) -> None:
    told.pulled([{"id": 1, "at": GONE}], "shop/deleted_orders", at="2026-11-19T12:00:00+00:00")
    told.sync()
    assert dead(told) == []


def test_what_else_is_wrong_with_a_delete_is_refused(told: Shop) -> None:
    told.pulled([bare(1, at="yesterday"), bare(2) | {"financial_status": "odd"}], at="2026-11-21T12:00:00+00:00")
    told.sync()
    opened = "SELECT source_id, field FROM quality.quarantine WHERE closed_at IS NULL AND code <> 'M302' ORDER BY ALL"
    assert told.rows(opened) == [("1", "deleted_at"), ("2", "payment_status")]
    assert dead(told) == []


def test_what_waits_for_its_customer_is_deleted_as_it_is(told: Shop) -> None:
    told.pulled([order(3, customer={"id": 8})], at="2026-11-21T12:00:00+00:00")
    told.sync()
    told.pulled([bare(3)], at="2026-11-22T12:00:00+00:00")
    told.sync()
    told.pulled([CUSTOMER | {"id": 8, "email": "bo@example.com"}], "shop/customers")
    told.sync()
    assert told.rows("SELECT number, deleted_at IS NOT NULL FROM sales_order WHERE number = '3'") == [("3", True)]


def test_rebuilt_and_replayed_it_is_the_same(told: Shop) -> None:
    told.pulled([bare(1)], at="2026-11-21T12:00:00+00:00")
    told.pulled([{"id": 2, "at": GONE}, {"id": 7, "at": GONE}], "shop/deleted_orders", at="2026-11-21T12:00:00+00:00")
    told.sync()
    beside = dataclasses.replace(told.project, data=told.project.root / "beside")
    rebuilt(told.project, beside)
    assert compare(told.project.warehouse, beside.warehouse, entities()) == []
    before = told.rows(SAID)
    reports = replay(told.project, "shop", expectations=False)
    assert (reports[-1].counts["changed"], told.rows(SAID)) == (0, before)
    told.mapping("shop/orders", SAYS.replace("total: total_price", "total: number(total_price) + 1"))
    replay(told.project, "shop/orders", expectations=False)
    assert told.rows("SELECT number, total::VARCHAR FROM sales_order ORDER BY 1") == [
        ("1", "13.5000"),
        ("2", "13.5000"),
    ]
    assert dead(told) == ["1", "2"]


def test_the_broken_twin_takes_the_delete_for_a_whole_record(told: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletes, "gather", lambda *given: set())
    told.pulled([bare(1)], at="2026-11-21T12:00:00+00:00")
    told.sync()
    assert ("1", None) in [(row[0], row[2]) for row in told.rows(SAID)] or dead(told) == [], (
        "its number is lost, or it lives"
    )


def test_a_tombstone_is_about_the_record_whatever_is_chosen_of_the_living(synced: Shop) -> None:
    """Order 1 was confirmed and merged, then it lost its number, which leaves it out; and then it was gone."""
    before = synced.rows(SAID)
    synced.pulled([order(1, number=""), order(4, number="")], at="2026-11-21T12:00:00+00:00")
    synced.sync()
    assert synced.rows(SAID) == before, "what is left out keeps its last state"
    synced.pulled([order(1, number=""), order(4, number="")], at="2026-11-22T12:00:00+00:00", deleted_at=GONE)
    synced.sync()
    assert dead(synced) == ["1"]
    assert [row[2:] for row in synced.rows(SAID)] == [row[2:] for row in before]
    assert synced.rows("SELECT bool_and(holds) FROM ops.count_law") == [(True,)]
    beside = dataclasses.replace(synced.project, data=synced.project.root / "beside")
    rebuilt(synced.project, beside)
    fold_and_publish(beside)
    assert dead(dataclasses.replace(synced, project=beside)) == ["1"]


def test_a_delete_that_its_mapping_leaves_out(told: Shop) -> None:
    told.mapping("shop/orders", SAYS.replace("fields:", "when: number is not null\nfields:", 1))
    told.pulled([bare(1), bare(9), order(2, number="")], at="2026-11-21T12:00:00+00:00")
    told.sync()
    assert dead(told) == ["1"]
    assert told.rows("SELECT state, n::INT FROM ops.counts WHERE state = 'excluded' AND n > 0") == [("excluded", 2)]


def test_a_delete_that_is_chosen_beside_one_that_is_left_out(told: Shop) -> None:
    told.mapping("shop/orders", SAYS.replace("fields:", "when: number is not null or id = '1'\nfields:", 1))
    told.pulled([bare(1), bare(2)], at="2026-11-21T12:00:00+00:00")
    told.sync()
    assert dead(told) == ["1", "2"]
    assert told.rows("SELECT bool_and(holds) FROM ops.count_law") == [(True,)]


def test_who_nobody_knows_is_told_but_for_what_was_never_taken(told: Shop) -> None:
    said = ["1 deletes of sales_order records that nobody knows"]
    told.pulled([bare(9)])
    assert lines(told) == said
    told.mapping("shop/orders", SAYS.replace("fields:", "when: number is not null\nfields:", 1))
    assert lines(told) == []
    told.pulled([{"id": 9, "at": GONE}], "shop/deleted_orders")
    assert lines(told) == said


def lines(shop: Shop) -> list[str]:
    """What map tells."""
    run = Run.start(shop.project, "shop")
    stage(run)
    return list(map(run).detail["lines"])


def test_a_preview_says_what_a_delete_does(told: Shop) -> None:
    whole = order(2) | {"removed": True, "removed_at": GONE}
    made = preview(told.project, "shop/orders", json.dumps([bare(1), whole, order(3)]).encode(), "given", Wanted())
    assert [row.state for one in made.records for row in one.rows] == ["deletes", "mapped", "mapped"]
    (row,) = made.records[0].rows
    assert (row.reasons, row.children, [value.reason for value in row.values if value.reason]) == ([], [], [])
    out = Console(file=io.StringIO(), width=200)
    show_preview.preview(made, out)
    assert "deletes: it says only that it is gone" in out.file.getvalue()  # type: ignore[attr-defined]


def test_an_example_says_it_too(told: Shop) -> None:
    """What the record needs, and what its lines need, is not asked of a delete; of a living one it is."""
    examples = """\
examples:
  - {name: gone, given: {id: 1, removed: 'true', removed_at: "2026-11-21T10:00:00Z", line_items: [{id: 1}]},
     expect: {deleted_at: "2026-11-21T10:00:00Z", number: ~, order_line: []}}
  - {name: broken, given: {id: 1, line_items: []}, rejects: {field: number, rule: required}}
"""
    told.mapping("shop/orders", SAYS + examples)
    mapping = load_mappings(told.project, entities(), ["shop"])["shop/orders"]
    assert [str(one) for one in run_examples(mapping, entities())] == []


def test_a_trace_tells_what_a_bare_delete_left_as_it_was(told: Shop) -> None:
    """Deleted, and brought back: in between it was what it had been, not empty."""
    told.pulled([bare(1)], at="2026-11-21T12:00:00+00:00")
    told.sync()
    told.pulled([order(1, total_price="13.00")], at="2026-11-22T12:00:00+00:00")
    told.sync()
    with Ledger(told.project.ledger, read_only=True) as ledger, folded(told.project, ledger) as con:
        stores = Stores(told.project, con, ledger, entities(), entities()["sales_order"], False)
        earlier = [one for one in Record.of(stores, 1).pulls if one.values is None]
        map_again(stores, earlier)
    values = [one.values or {} for one in earlier]
    assert [(str(one["total"]), one["deleted_at"] is not None) for one in values] == [
        ("12.5000", False),
        ("12.5000", True),
    ]
