"""Stores that were lost or restored from a backup: nothing is merged or planned on a past that is another one, and it can be made whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from changes_harness import CUSTOMER, Shop, order

from flow import rebuild as module
from flow.cycle import cycle
from flow.plan import plan
from flow.publish import fold_and_publish
from flow.rebuild import rebuild
from flow.report import StepReport, exit_code
from hub.errors import ConfigurationError
from warehouse.ledger import Ledger

HUBS = "SELECT entity, system, source_id, hub_id FROM ops.bindings ORDER BY ALL"


@pytest.fixture
def grown(synced: Shop) -> Shop:
    """A backup of each store lies beside it; since then a customer came, and then an older one, which a merge of both would number first."""
    for store in (synced.project.warehouse, _ledger(synced)):
        shutil.copy(store, f"{store}.backup")
    synced.pulled([CUSTOMER | {"id": 9, "email": "bo@example.com"}], "shop/customers", at="2026-11-21T12:00:00+00:00")
    synced.sync()
    synced.pulled([CUSTOMER | {"id": 8, "email": "cy@example.com"}], "shop/customers", at="2026-11-22T12:00:00+00:00")
    synced.pulled([order(4, customer={"id": 8})], at="2026-11-22T12:00:00+00:00")
    synced.sync()
    return synced


def _ledger(shop: Shop) -> Path:
    return shop.project.data / "ledger.sqlite"


def _restore(store: Path) -> None:
    for more in ("-wal", "-shm"):
        store.with_name(store.name + more).unlink(missing_ok=True)
    shutil.copy(f"{store}.backup", store)


def test_a_run_without_the_warehouse_makes_no_other_one(grown: Shop) -> None:
    before = grown.rows(HUBS)
    grown.project.warehouse.unlink()
    grown.pulled([order(5)])
    with pytest.raises(ConfigurationError, match=r"W143 .*lacks merges"):
        grown.sync()
    assert grown.rows(HUBS) == before  # the snapshot is the last good one
    rebuild(grown.project)
    assert grown.rows(HUBS) == before
    grown.sync()
    assert [row for row in grown.rows(HUBS) if row not in before] == [("sales_order", "shop", "5", 5)]


def test_an_older_warehouse_is_brought_forward(grown: Shop) -> None:
    before, runs = grown.rows(HUBS), grown.rows("FROM ops.runs ORDER BY ALL")
    _restore(grown.project.warehouse)
    with pytest.raises(ConfigurationError, match=r"W143 .*lacks merges"):
        grown.sync()
    assert rebuild(grown.project, forward=True) == "rebuilt from 4 merges, 2 of them anew; the snapshot is published"
    assert grown.rows(HUBS) == before
    assert [row[:3] for row in grown.rows("FROM ops.runs ORDER BY ALL")] == [row[:3] for row in runs]
    grown.sync()
    assert grown.rows(HUBS) == before


def test_of_an_older_warehouse_nothing_is_compared_published_or_planned(grown: Shop, monkeypatch: Any) -> None:
    before = grown.rows(HUBS)
    _restore(grown.project.warehouse)
    monkeypatch.setattr("flow.cycle.pull", lambda run: StepReport("pull", run.system, counts={"orders": 1}))
    reports = cycle(grown.project)
    assert {one.step for one in reports} == {"pull", "stage", "map", "gate", "merge"}
    assert [one.findings[0].code for one in reports if one.step == "merge"] == ["W143", "W143"]
    assert exit_code(reports) == 1
    with pytest.raises(ConfigurationError, match="W143"):
        fold_and_publish(grown.project)
    assert grown.rows(HUBS) == before


def test_forward_needs_only_the_segments_of_what_is_missing(grown: Shop) -> None:
    _restore(grown.project.warehouse)
    (Path(grown.project.lake) / "shop/orders/1.jsonl").unlink()  # as retention does
    with pytest.raises(ConfigurationError, match="P545"):
        rebuild(grown.project)
    assert "2 of them anew" in rebuild(grown.project, forward=True)


def test_forward_goes_on_from_no_other_warehouse(grown: Shop) -> None:
    with Ledger(grown.project.ledger) as ledger:
        ledger.journal_end(ledger.journal()[0].run_id, "abandoned")
    with pytest.raises(ConfigurationError, match="P514"):
        rebuild(grown.project, forward=True)


def test_an_older_ledger_is_refused_by_merge_and_plan(grown: Shop) -> None:
    _restore(_ledger(grown))
    grown.pulled([order(5)])
    with pytest.raises(ConfigurationError, match=r"W143 .*the ledger does not name"):
        grown.sync()


def test_nothing_is_planned_with_a_ledger_that_forgot_what_was_sent(grown: Shop, monkeypatch: Any) -> None:
    assert plan(grown.project, "desk").target == "desk"
    monkeypatch.setattr("flow.fold.position", lambda con: 7)
    with pytest.raises(ConfigurationError, match="P110"):
        plan(grown.project, "desk")


def test_what_is_merged_while_a_rebuild_works_is_part_of_it(grown: Shop, monkeypatch: Any) -> None:
    grown.pulled([order(5)])
    replay, late = module.replay, [grown.sync]

    def beside_others(*arguments: Any) -> set[str]:
        done = replay(*arguments)
        if late:
            late.pop()()
        return done

    monkeypatch.setattr(module, "replay", beside_others)
    assert rebuild(grown.project).startswith("rebuilt from 5 merges")
    assert grown.rows("SELECT count(*) FROM ops.runs") == [(5,)]
    grown.sync()
    assert grown.rows("SELECT count(*) FROM source.sales_order") == [(5,)]


def test_a_damaged_warehouse_is_rebuilt_also_where_a_merge_was_killed(grown: Shop) -> None:
    before = grown.rows(HUBS)
    with Ledger(grown.project.ledger) as ledger:
        ledger.journal_begin("20261123T120000000000-shop-abcdef", "shop", ledger.journal()[-1].started_at, (), 0)
    grown.project.warehouse.write_bytes(b"damage" * 1000)
    rebuild(grown.project)
    assert grown.rows(HUBS) == before


def test_a_merge_that_nobody_has_marked_yet_is_no_other_past(grown: Shop, monkeypatch: Any) -> None:
    """It is committed, and its process has not told the ledger: the next merge may not take that for a strange warehouse."""
    monkeypatch.setattr(Ledger, "journal_end", lambda self, run_id, state="committed": None)
    grown.pulled([order(5)])
    grown.sync()
    monkeypatch.setattr("flow.merge.settle_journal", lambda project, ledger: None)
    grown.pulled([order(6)])
    grown.sync()
    assert grown.rows("SELECT count(*) FROM source.sales_order") == [(6,)]


def _cut(segment: Path) -> None:
    segment.write_bytes(segment.read_bytes()[:-20])


def _bent(segment: Path) -> None:
    body = bytearray(segment.read_bytes())
    body[-40:-20] = bytes(byte ^ 0xFF for byte in body[-40:-20])
    segment.write_bytes(body)


@pytest.mark.parametrize("damage", [_cut, _bent])
@pytest.mark.parametrize("gone", [False, True])
def test_a_rebuild_without_the_records_of_a_damaged_segment_is_refused(grown: Shop, damage: Any, gone: bool) -> None:
    """Staging leaves such a segment for the next run. A rebuild has no next one: its records would be missed by nobody."""
    before = grown.rows(HUBS)
    segment = Path(grown.project.lake) / "shop/orders/1.jsonl"
    whole = segment.read_bytes()
    damage(segment)
    if gone:
        grown.project.warehouse.unlink()
    with pytest.raises(ConfigurationError, match=r"^shop/orders/1\.jsonl P546 1 segments that were merged are damaged"):
        rebuild(grown.project)
    assert grown.project.warehouse.exists() is not gone
    segment.write_bytes(whole)
    rebuild(grown.project)
    assert grown.rows(HUBS) == before
