"""What leaves the lake: old versions that nothing needs, and never what is newest, not merged, or evidence of something open."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from changes_harness import Shop, order

import flow.bodies
import flow.retention
from flow.bodies import keep_body
from flow.rebuild import replay
from flow.reconcile import reconcile
from flow.retention import retain
from flow.trace import trace
from hub.config import Project, load_project
from hub.connector import Page
from hub.errors import ConfigurationError
from hub.segments import list_segments, read_lines
from warehouse import access, retention
from warehouse.model import entities

LATER = datetime.now(UTC) + timedelta(days=10)
SPEC = """\
entity: sales_order
key: number
left: {system: shop}
right: {system: desk}
in_flight: {hours: 0}
compare: {amount: {column: total}}
"""


@pytest.fixture
def aged(synced: Shop) -> Shop:
    """Three orders of which the desk knows none; later a newer version of all three."""
    root = synced.project.root
    (root / "quality" / "reconcile").mkdir(parents=True)
    (root / "quality" / "reconcile" / "desk.yaml").write_text(SPEC)
    with (root / "crossdock.yaml").open("a") as file:
        file.write("retention: {days: 5}\n")
    made = Shop(load_project(root), dict(synced.sequences))
    reconcile(made.project, "desk", LATER)
    made.pulled([order(n, total_price="14.00") for n in (1, 2, 3)])
    made.sync()
    return made


def orders(shop: Shop) -> list[str]:
    return [segment.path for segment in list_segments(shop.project.lake, "shop", "orders")]


def evidence(shop: Shop) -> list[str]:
    """Where the open breaks say that their records are."""
    with access.write(shop.project.warehouse) as con:
        rows = con.execute(
            "SELECT DISTINCT r.segment FROM recon.break_records r JOIN recon.breaks USING (break_id) WHERE state = 'open'"
        )
        return [segment for (segment,) in rows.fetchall()]


def test_an_open_break_keeps_its_records_until_it_has_newer_ones(aged: Shop) -> None:
    first, second = orders(aged)
    assert evidence(aged) == [first]
    kept = retain(aged.project, LATER)
    assert (kept.counts["removed"], orders(aged)) == (0, [first, second])
    assert "1 open break" in kept.detail["lines"][0]
    reconcile(aged.project, "desk", LATER)
    shown = retain(aged.project, LATER, dry_run=True)
    assert (shown.detail["segments"], orders(aged)) == ([first], [first, second])
    assert retain(aged.project, LATER - timedelta(days=8)).counts["removed"] == 0, "not so old yet"
    gone = retain(aged.project, LATER)
    assert (gone.detail["segments"], gone.counts["bytes"], orders(aged)) == ([first], shown.counts["bytes"], [second])
    assert retain(aged.project, LATER).counts["removed"] == 0
    assert all(list(read_lines(aged.project.lake, segment)) for segment in evidence(aged))


def test_lines_that_stayed_as_they_were_stand_where_their_order_stands_now(aged: Shop) -> None:
    """They are explained by its newest record, and need no segment of their own."""
    _, second = orders(aged)
    (source,) = trace(aged.project, "sales_order", "1", field="order_line.sku")["cell"]["sources"]
    assert (source["place"], source["mapping"], source["value"]) == (f"{second}:1", "shop/orders", "A-100")
    assert source["steps"]
    reconcile(aged.project, "desk", LATER)
    assert retain(aged.project, LATER).counts["removed"] == 1


def test_a_twin_that_ignores_the_pins_loses_the_evidence(aged: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "pinned", lambda *_: {})
    retain(aged.project, LATER)
    assert set(evidence(aged)) - set(orders(aged)), "what the open breaks name is gone"


def test_what_is_newest_in_the_lake_or_not_merged_stays_though_no_row_names_it(
    aged: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(aged.project, "desk", LATER)
    aged.pulled([order(4)])  # not merged
    before = orders(aged)
    monkeypatch.setattr(retention, "pinned", lambda *_: {})
    assert retain(aged.project, LATER).detail["segments"] == before[:1]
    assert orders(aged) == before[1:]


def test_a_case_that_is_open_keeps_its_record(aged: Shop) -> None:
    reconcile(aged.project, "desk", LATER)
    refused = aged.pulled([order(9, created_at="soon")])
    aged.sync()
    with access.write(aged.project.warehouse) as con:
        assert retention.pinned(con, entities())[refused] == "open case"


def test_others_write_while_it_looks_and_what_becomes_evidence_then_is_kept(
    aged: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(aged.project, "desk", LATER)
    first, second = orders(aged)
    look = flow.retention._newest

    def slow(project: Project, streams: Collection[tuple[str, str]]) -> set[str]:
        with access.write(project.warehouse, timeout=1) as con:
            con.execute("UPDATE recon.break_records SET segment = $1", [first])
        return look(project, streams)

    monkeypatch.setattr(flow.retention, "_newest", slow)
    assert retain(aged.project, LATER).counts["removed"] == 0
    assert orders(aged) == [first, second]


def test_a_rebuild_of_what_is_gone_is_refused(aged: Shop, tmp_path: Path) -> None:
    reconcile(aged.project, "desk", LATER)
    retain(aged.project, LATER)
    with pytest.raises(ConfigurationError, match="P545 1 segments that were merged are gone"):
        replay(aged.project, dataclasses.replace(aged.project, data=tmp_path / "beside"))


def test_without_a_setting_everything_is_kept(synced: Shop) -> None:
    assert retain(synced.project, LATER).counts == {}


@pytest.mark.parametrize("said", ["{days: 0}", "{days: soon}", "5", "{}", "{weeks: 2}"])
def test_a_retention_is_a_number_of_days(synced: Shop, said: str) -> None:
    path = synced.project.root / "crossdock.yaml"
    path.write_text(f"{path.read_text()}\nretention: {said}\n")
    with pytest.raises(ConfigurationError, match=r"F216|F204"):
        load_project(synced.project.root)


def answer(shop: Shop, body: bytes) -> str:
    """An original answer in the lake, as a pull keeps it; its digest."""
    digest = hashlib.sha256(body).hexdigest()
    keep_body(shop.project, "shop", "orders", Page([], body=body, digest=digest))
    return digest


def answers(shop: Shop) -> set[str]:
    return {path.name.removesuffix(".zst") for path in Path(shop.project.lake).glob("_bodies/shop/orders/*")}


@pytest.fixture
def answered(aged: Shop) -> tuple[Shop, dict[str, str]]:
    """Three versions more of the first order: of answers that only old records name, that old and new ones do, and that nothing does."""
    reconcile(aged.project, "desk", LATER)
    named = {name: answer(aged, name.encode()) for name in ("old", "both", "refused", "new", "nothing")}
    aged.pulled([order(1, total_price="15.00", _body=named["old"], _offset=0)])
    aged.pulled([order(1, total_price="16.00", _body=named["both"])])
    aged.pulled([order(9, created_at="soon", _body=named["refused"])])
    aged.sync()
    aged.pulled([order(1, total_price="17.00", _body=named["both"]), order(2, _body=named["new"])])
    aged.sync()
    return aged, named


def test_an_answer_goes_with_the_last_segment_that_names_it(answered: tuple[Shop, dict[str, str]]) -> None:
    shop, named = answered
    had = answers(shop)
    shown = retain(shop.project, LATER, dry_run=True)
    assert (shown.counts["bodies"], answers(shop)) == (2, had)
    assert "3 segments and 2 original answers from before" in shown.detail["summary"]
    gone = retain(shop.project, LATER)
    assert gone.counts == shown.counts
    assert {name for name, digest in named.items() if digest in answers(shop)} == {"both", "refused", "new"}
    said = [one["what"] for one in trace(shop.project, "sales_order", "1")["events"] if one["step"] == "pull"]
    assert sorted("the lake no longer keeps it" in what for what in said) == [False, False, True, True]


def test_a_twin_that_reads_no_names_loses_what_the_records_name(
    answered: tuple[Shop, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, _ = answered
    monkeypatch.setattr(flow.bodies, "_digests", lambda *_: [])
    retain(shop.project, LATER)
    assert answers(shop) == set()


def test_an_answer_that_just_came_stays_though_its_records_are_not_there_yet(
    answered: tuple[Shop, dict[str, str]],
) -> None:
    shop, named = answered
    path = Path(shop.project.lake) / f"_bodies/shop/orders/{named['nothing']}.zst"
    os.utime(path, times=(LATER.timestamp(), LATER.timestamp()))
    retain(shop.project, LATER)
    assert path.exists()


def test_an_answer_that_comes_again_is_as_young_as_its_new_records(answered: tuple[Shop, dict[str, str]]) -> None:
    shop, named = answered
    path = Path(shop.project.lake) / f"_bodies/shop/orders/{named['old']}.zst"
    before = path.read_bytes()
    os.utime(path, times=(0, 0))
    answer(shop, b"old")
    assert path.stat().st_mtime > 0
    written = path.stat()
    answer(shop, b"old")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (written.st_mtime_ns, written.st_ino), "just written"
    assert path.read_bytes() == before


def test_a_name_that_stands_across_two_chunks_is_read(
    answered: tuple[Shop, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, named = answered
    whole = flow.bodies.read_chunks

    def torn(lake: str, segment: str) -> Iterator[bytes]:
        text = b"".join(whole(lake, segment))
        yield from (text[at : at + 50] for at in range(0, len(text), 50))

    monkeypatch.setattr(flow.bodies, "read_chunks", torn)
    retain(shop.project, LATER)
    assert {name for name, digest in named.items() if digest in answers(shop)} == {"both", "refused", "new"}
