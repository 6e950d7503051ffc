"""Kept raw data mapped again: what comes out otherwise is merged, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from changes_harness import ORDERS, Shop, order

from flow.diff import diff
from flow.rebuild import replay as rebuilt
from flow.replay import moment, replay
from hub.errors import UsageError

TOTALS = "SELECT number, total FROM sales_order ORDER BY number"


def again(shop: Shop, name: str = "shop/orders", since: str | None = None) -> dict[str, int]:
    """What the merge of a replay counted."""
    reports = replay(shop.project, name, moment(since), expectations=False)
    assert [report.step for report in reports] == ["stage", "map", "gate", "merge"]
    return reports[-1].counts


def totals(shop: Shop) -> dict[str, str]:
    return {number: f"{total:.2f}" for number, total in shop.rows(TOTALS)}


PLUS_ONE = ORDERS.replace("total: total_price", "total: number(total_price) + 1")


def test_with_the_same_mappings_nothing_changes(synced: Shop) -> None:
    assert again(synced)["changed"] == 0


def test_changed_mappings_change_rows_once(synced: Shop) -> None:
    synced.mapping("shop/orders", PLUS_ONE)
    assert again(synced)["changed"] == 3
    assert totals(synced) == {"1": "13.50", "2": "13.50", "3": "13.50"}
    assert again(synced)["changed"] == 0


def test_it_changes_what_the_diff_said(synced: Shop) -> None:
    synced.mapping("shop/orders", PLUS_ONE)
    said = diff(synced.project, "shop/orders").canonical
    assert sum(table.changed for table in said if table.entity == "sales_order") == again(synced)["changed"]
    again(synced)
    assert diff(synced.project, "shop/orders", "HEAD").canonical != []  # HEAD is still the old one
    synced.committed()
    assert not diff(synced.project, "shop/orders").any


def test_only_what_was_pulled_since_then(synced: Shop) -> None:
    synced.pulled([order(4)], at="2026-11-05T12:00:00+00:00")
    synced.sync()
    synced.mapping("shop/orders", PLUS_ONE)
    assert again(synced, since="2026-11-01")["changed"] == 1
    assert totals(synced) == {"1": "12.50", "2": "12.50", "3": "12.50", "4": "13.50"}


def test_an_older_version_does_not_come_back(synced: Shop) -> None:
    """The newest version is refused by the new mapping; the one before it is still no news."""
    synced.pulled([order(1, total_price="99.00", updated_at="2026-11-19T09:00:00+01:00")])
    synced.sync()
    synced.mapping(
        "shop/orders",
        PLUS_ONE.replace(
            "lifecycle_status:",
            "note: {at: \"if(total_price = '99.00', null, number)\", required: true}\n  lifecycle_status:",
        ),
    )
    again(synced)
    assert totals(synced) == {"1": "99.00", "2": "13.50", "3": "13.50"}


def test_an_older_version_does_not_come_back_without_a_version_field(synced: Shop) -> None:
    """The same where only the order of the pulls says which is newer."""
    text = ORDERS.replace("key: id\n", 'key: id\nversion: "null"\n', 1)
    synced.mapping("shop/orders", text)
    synced.pulled([order(1, total_price="99.00")])
    synced.sync()
    synced.mapping(
        "shop/orders",
        text.replace("total: total_price", "total: \"if(total_price = '99.00', null, number(total_price) + 1)\"")
        .replace("total: ", "total: ", 1)
        .replace(
            "ship_to_name:", "note: {at: \"if(total_price = '99.00', null, number)\", required: true}\n  ship_to_name:"
        ),
    )
    again(synced)
    assert totals(synced) == {"1": "99.00", "2": "13.50", "3": "13.50"}


def test_a_mapping_that_reads_its_version_otherwise_is_still_replayed(synced: Shop) -> None:
    """The stored version sorts after the new one, but it is the same record."""
    synced.mapping("shop/orders", PLUS_ONE.replace("key: id\n", "key: id\nversion: created_at\n", 1))
    synced.pulled([order(4, created_at="2026-11-01T09:00:00+01:00")])
    synced.mapping("shop/orders", ORDERS)
    synced.sync()
    synced.mapping("shop/orders", PLUS_ONE.replace("key: id\n", "key: id\nversion: created_at\n", 1))
    assert again(synced)["changed"] == 4
    assert totals(synced) == {"1": "13.50", "2": "13.50", "3": "13.50", "4": "13.50"}


def test_no_position_moves_and_new_segments_are_left_to_the_next_run(synced: Shop) -> None:
    fresh = synced.pulled([order(4)])
    positions = "SELECT segment, seq, run_id FROM ops.segments ORDER BY ALL"
    before = synced.rows(positions)
    synced.mapping("shop/orders", PLUS_ONE)
    again(synced)
    assert synced.rows(positions) == before
    assert "4" not in totals(synced)
    synced.sync()
    assert totals(synced)["4"] == "13.50"
    assert (fresh,) in synced.rows("SELECT segment FROM ops.segments")


def test_a_refused_record_that_is_taken_now_leaves_quarantine(synced: Shop) -> None:
    synced.pulled([order(5, created_at="soon")])
    synced.sync()
    opened = "SELECT source_id, code FROM quality.quarantine WHERE closed_at IS NULL"
    assert synced.rows(opened) == [("5", "M301")]
    synced.mapping("shop/orders", ORDERS.replace("ordered_at: created_at", "ordered_at: updated_at"))
    again(synced)
    assert synced.rows(opened) == []
    assert "5" in totals(synced)


def test_it_is_a_run_like_any_other(synced: Shop) -> None:
    """In the journal, under the count law, and a rebuild gives the same warehouse."""
    synced.mapping("shop/orders", PLUS_ONE)
    again(synced)
    assert synced.rows("SELECT count(*), bool_and(holds) FROM ops.count_law")[0][1] is True
    assert len(synced.rows("SELECT run_id FROM ops.runs WHERE system = 'shop'")) == 2
    assert _rebuilt(synced) == totals(synced)


def _rebuilt(shop: Shop) -> dict[str, str]:
    import dataclasses

    from flow.publish import fold_and_publish

    beside = dataclasses.replace(shop.project, data=shop.project.root / "beside")
    assert len(rebuilt(shop.project, beside)) == 3
    fold_and_publish(beside)
    return totals(dataclasses.replace(shop, project=beside))


def test_a_system_is_all_of_its_streams(synced: Shop) -> None:
    synced.mapping(
        "shop/customers",
        "{stream: customers, entity: customer, key: id, fields: {name: upper(name), email: email, phone: phone}}",
    )
    synced.mapping("shop/orders", PLUS_ONE)
    assert again(synced, "shop")["changed"] == 4


@pytest.mark.parametrize("since", ["2030-01-01", "2030-01-01T00:00:00+01:00"])
def test_nothing_to_replay_is_said(synced: Shop, since: str) -> None:
    with pytest.raises(UsageError, match="P533"):
        again(synced, since=since)


def test_nothing_was_ever_merged(shop: Shop) -> None:
    shop.pulled([order(1)])
    with pytest.raises(UsageError, match="P533"):
        again(shop)


def test_a_day_or_an_instant() -> None:
    assert moment("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)
    assert moment("2026-11-01T01:00:00+01:00") == datetime(2026, 11, 1, tzinfo=UTC)
    assert moment(None) is None
    with pytest.raises(UsageError, match="P534"):
        moment("yesterday")
