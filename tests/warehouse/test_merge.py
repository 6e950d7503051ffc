"""Merging: by difference, once, in one transaction, and nothing vanishes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from hub.errors import ConfigurationError, StreamError

ORDERS = "SELECT hub_id, number, customer, total FROM sales_order ORDER BY hub_id"
LINES = "SELECT hub_id, parent, product, quantity FROM order_line ORDER BY hub_id"


def basic(w):
    return {
        "customer": [w.customer("c1", email="ann@example.com"), w.customer("c2", "Bo Dee", email="bo@example.com")],
        "product": [w.product("P1"), w.product("P2")],
        "sales_order": [
            w.order("1001", "c2", [("a", "P1", 2), ("b", "P2", 1)]),
            w.order("1002", "c1", [("a", "P2", 3)]),
        ],
    }


def test_a_run_becomes_source_and_canonical_rows_with_bindings(world):
    report = world.merge("cart", basic(world))
    assert world.rows(ORDERS) == [(1, "1001", 2, Decimal(30)), (2, "1002", 1, Decimal(30))]
    assert world.rows(LINES) == [(1, 1, 1, Decimal(2)), (2, 1, 2, Decimal(1)), (3, 2, 2, Decimal(3))]
    assert report.counts["sales_order"]["passed"] == 2
    assert world.rows("SELECT entity, source_id, hub_id, origin FROM ops.bindings ORDER BY ALL") == [
        ("customer", "c1", 1, "source"),
        ("customer", "c2", 2, "source"),
        ("product", "P1", 1, "source"),
        ("product", "P2", 2, "source"),
        ("sales_order", "1001", 1, "source"),
        ("sales_order", "1002", 2, "source"),
    ]
    assert world.rows(
        "SELECT mapping, segment, line, run_id, seen_at FROM source.sales_order WHERE source_id = '1002'"
    ) == [("cart/sales_order", "cart/sales_order/1.jsonl", 2, "0001-cart", datetime(2026, 11, 20, 13, tzinfo=UTC))]


def test_hub_ids_are_given_in_the_order_of_source_id(world):
    world.merge("cart", {"customer": [world.customer(id) for id in ("b", "a", "c")]})
    assert world.rows("SELECT source_id, hub_id FROM source.customer ORDER BY 1") == [("a", 1), ("b", 2), ("c", 3)]


def test_the_same_run_again_does_nothing(world):
    path = world.run_file("cart", basic(world))
    world.merge_file(path, "cart")
    before = world.content()
    again = world.merge_file(path, "cart")
    assert again.already
    assert world.content() == before


def test_the_same_content_in_another_run_changes_nothing(world):
    world.merge("cart", basic(world), sequence=1)
    before = world.content()
    report = world.merge("cart", basic(world), sequence=1)
    assert not report.already
    assert world.content() == before
    assert report.touched == {}


def test_a_later_copy_of_the_same_content_only_moves_the_position(world):
    world.merge("cart", basic(world))
    before = world.content(*(f"{layer}.{name}" for layer in ("canonical", "history") for name in world.model))
    world.merge("cart", basic(world))
    assert world.content(*before) == before
    assert world.one("SELECT min(sequence) FROM source.sales_order") == 2


def test_only_what_changed_is_written(world):
    world.merge("cart", basic(world))
    runs = basic(world)
    runs["sales_order"][1] = world.order("1002", "c1", [("a", "P2", 4)])
    report = world.merge("cart", runs)
    assert report.touched == {"sales_order": 1}
    assert world.rows("SELECT number, run_id FROM sales_order ORDER BY 1") == [
        ("1001", "0001-cart"),
        ("1002", "0002-cart"),
    ]
    assert world.rows(LINES)[2] == (3, 2, 2, Decimal(4))


def test_a_change_in_a_line_alone_is_seen(world):
    world.merge("cart", {"product": [world.product("P1")], "customer": [world.customer("c1")]})
    world.merge("cart", {"sales_order": [world.order("1", "c1", [("a", "P1", 2)], total=20)]})
    world.merge("cart", {"sales_order": [world.order("1", "c1", [("a", "P1", 3)], total=20)]})
    assert world.one("SELECT quantity FROM order_line") == 3
    assert world.one("SELECT count(*) FROM history.order_line") == 1
    assert world.one("SELECT count(*) FROM history.sales_order") == 0


def test_a_line_that_went_is_closed_and_the_others_keep_their_ids(world):
    world.merge("cart", {"product": [world.product("P1")], "customer": [world.customer("c1")]})
    world.merge("cart", {"sales_order": [world.order("1", "c1", [("a", "P1", 1), ("b", "P1", 2)])]})
    world.merge("cart", {"sales_order": [world.order("1", "c1", [("b", "P1", 2), ("c", "P1", 3)])]})
    assert world.rows(LINES) == [(2, 1, 1, Decimal(2)), (3, 1, 1, Decimal(3))]
    assert world.rows("SELECT hub_id, valid_from < valid_to FROM history.order_line") == [(1, True)]


def test_history_keeps_closed_versions(world):
    for total in (10, 20, 30):
        world.merge("cart", {"customer": [world.customer("c1")], "sales_order": [world.order("1", "c1", total=total)]})
    closed = world.rows("SELECT total, valid_from, valid_to FROM history.sales_order ORDER BY valid_from")
    assert [total for total, _, _ in closed] == [10, 20]
    assert closed[0][2] == closed[1][1]
    assert world.rows("SELECT total, valid_from FROM sales_order") == [(Decimal(30), closed[1][2])]


def test_an_older_version_that_comes_late_changes_nothing(world):
    world.merge("cart", {"customer": [world.customer("c1", "New")]}, sequence=5)
    report = world.merge("cart", {"customer": [world.customer("c1", "Old")]}, sequence=3)
    assert world.one("SELECT name FROM customer") == "New"
    assert report.counts["customer"]["superseded"] == 1


def test_a_trusted_version_beats_the_sequence(world):
    world.merge("cart", {"customer": [world.customer("c1", "New", version="2026-11-20T10:00:00Z")]}, sequence=3)
    world.merge("cart", {"customer": [world.customer("c1", "Old", version="2026-11-19T10:00:00Z")]}, sequence=5)
    assert world.one("SELECT name FROM customer") == "New"


def test_an_unchanged_copy_still_counts_as_the_newest_word(world):
    """10: A, 20: A again, and then 15: B comes late. The system said A last."""
    for sequence, name in ((10, "A"), (20, "A"), (15, "B")):
        world.merge("cart", {"customer": [world.customer("c1", name)]}, sequence=sequence)
    assert world.one("SELECT name FROM customer") == "A"


def test_two_versions_in_one_batch_are_superseded_before(world):
    report = world.merge("cart", {"customer": [world.customer("c1", "Old"), world.customer("c1", "New")]})
    assert world.one("SELECT name FROM customer") == "New"
    assert report.counts["customer"] == {"mapped": 2, "passed": 1, "read": 2, "staged": 2, "superseded": 1}


def test_a_run_file_without_superseding_is_refused(world, monkeypatch):
    monkeypatch.setattr("warehouse.runfile.supersede", lambda con, model: {})
    path = world.run_file("cart", {"customer": [world.customer("c1", "Old"), world.customer("c1", "New")]})
    with pytest.raises(ConfigurationError, match="W302"):
        world.merge_file(path, "cart")


def test_records_that_are_unaccounted_for_stop_the_merge(world):
    path = world.run_file("cart", basic(world))
    con = duckdb.connect(str(path))
    con.execute("DELETE FROM mapped.sales_order WHERE source_id = '1001'")
    con.close()
    with pytest.raises(StreamError, match=r"W301.*cart/sales_order: mapped = .*2 and 1"):
        world.merge_file(path, "cart")
    assert world.rows("SELECT * FROM ops.runs") == []
    assert world.rows(ORDERS) == []


def test_a_held_entity_stays_out_and_its_segments_come_again(world):
    records = basic(world)
    report = world.merge("cart", records, held=["sales_order"], sequence=1)
    assert report.held == ("sales_order",)
    assert report.counts["sales_order"]["held"] == 2
    assert world.rows(ORDERS) == []
    assert world.merged_segments("cart") == {"cart/customer/1.jsonl", "cart/product/1.jsonl"}
    report = world.merge("cart", records, sequence=1)
    assert report.held == ()
    assert len(world.rows(ORDERS)) == 2
    assert len(world.merged_segments("cart")) == 3


def test_an_entity_without_a_verdict_is_held(world):
    path = world.run_file("cart", basic(world))
    con = duckdb.connect(str(path))
    con.execute("DELETE FROM gate.state WHERE entity = 'customer'")
    con.close()
    assert world.merge_file(path, "cart").held == ("customer",)


def test_every_segment_that_is_merged_is_known(world):
    assert world.merged_segments("cart") == set()
    world.merge("cart", {"customer": [world.customer("c1")]})
    world.merge("erp", {"customer": [world.customer("k1")]})
    assert world.merged_segments("cart") == {"cart/customer/1.jsonl"}


def test_the_run_and_its_counts_are_recorded(world):
    world.merge("cart", basic(world), quarantined={"customer": ["c1"]})
    run_id, status, outcome, counts = world.rows("SELECT run_id, status, outcome, counts FROM ops.runs")[0]
    assert (run_id, status, outcome) == ("0001-cart", "merged", "1 quarantined, 1 waiting")
    assert '"quarantined": 1' in counts
    assert world.one("SELECT bool_and(holds) FROM ops.count_law")


def test_a_missing_run_file_is_said(world):
    with pytest.raises(ConfigurationError, match="W140"):
        world.merge_file(Path(world.folder / "runs" / "nothing.duckdb"), "cart")


def test_the_journal_is_written_under_the_lock_and_before_the_data(world):
    seen = []

    def journal(segments, outcome_seq):
        seen.append((segments, outcome_seq))

    path = world.run_file("cart", {"customer": [world.customer("c1")]})
    world.merge_file(path, "cart", journal=journal)
    world.merge_file(path, "cart", journal=journal)
    assert seen == [(("cart/customer/1.jsonl",), 0)]


def test_runs_of_two_systems_that_overlap_leave_no_version_that_ends_before_it_begins(world):
    late = world.run_file("erp", {"customer": [world.customer("k1", "Erp", email="a@example.com")]})
    world.merge("cart", {"customer": [world.customer("c1", "Cart", email="a@example.com")]})
    world.survivorship = {"customer": {"default": ("erp", "cart")}}
    world.runs = 1
    world.merge_file(late, "erp")
    assert world.rows("SELECT valid_from <= valid_to FROM history.customer") == [(True,)]
    assert world.rows("SELECT name FROM customer") == [("Erp",)]
