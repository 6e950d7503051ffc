"""A rebuild after years: most runs brought nothing. It costs what the data costs, and gives the warehouse that was there, table by table."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from changes_harness import CUSTOMER, Shop, order

from flow import rebuild as module
from flow.gate import gate
from flow.map import map
from flow.merge import merge
from flow.publish import fold_and_publish
from flow.quarantine import dismiss
from flow.rebuild import rebuild, replay
from flow.run import Run
from flow.stage import stage
from hub import segments
from hub.config import Project, load_project
from hub.connector import Outcome
from warehouse import merge as merging
from warehouse import retention
from warehouse.duck import connect
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Result, Sending
from warehouse.model import entities
from warehouse.rebuild import difference_sql
from warehouse.snapshot import PUBLISHED_AT
from warehouse.tables import DESCRIBED

pytestmark = pytest.mark.slow

EMPTY = 120  # runs that bring nothing, between six that do


def ran(shop: Shop, system: str = "shop") -> None:
    run = Run.start(shop.project, system)
    with run.together():
        stage(run)
        map(run)
        gate(run, expectations=False)
        merge(run)


def sent(shop: Shop) -> None:
    """A call of a push and its answer, as the ledger has them; nobody has folded them yet."""
    with Ledger(shop.project.ledger) as ledger, ledger.lock("push:desk") as lock:
        made = Sending("accounts", "customer", 1, "upsert", "1", '{"Name":"Ann Lee"}', "f1")
        (intent,) = ledger.intend(lock, "desk", [made], "plan")
        ledger.conclude(lock, [Result(intent.id, Outcome("applied", id="001A"))])


def refused_and_dismissed(shop: Shop) -> None:
    shop.pulled([order(9, created_at="soon"), order(8, total_price="much")])
    shop.sync()
    dismiss(shop.project, ["9"], "a test order", "ann")


def waits(shop: Shop) -> None:
    shop.pulled([order(4, customer={"id": 8}), order(5, customer={"id": 99})])
    ran(shop)


def arrives(shop: Shop) -> None:
    shop.pulled([CUSTOMER | {"id": 8, "email": "bo@example.com"}], "shop/customers")
    shop.pulled([order(1, total_price="14.00"), order(8)])
    ran(shop)


def deleted(shop: Shop) -> None:
    shop.pulled([order(2)], deleted_at="2026-11-22T12:00:00+00:00")
    ran(shop)


def published(shop: Shop) -> None:
    sent(shop)
    fold_and_publish(shop.project)


HAPPENED: list[Callable[[Shop], Any]] = [refused_and_dismissed, waits, sent, arrives, deleted, published]


@pytest.fixture(scope="module")
def old(merged_once: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop of years, and a backup of its warehouse from the middle of them."""
    root = tmp_path_factory.mktemp("years") / "shop"
    shutil.copytree(merged_once.project.root, root)
    (root / "crossdock.yaml").write_text((root / "crossdock.yaml").read_text() + "retention: {days: 400}\n")
    shop = Shop(load_project(root), dict(merged_once.sequences))
    for number, happens in enumerate(HAPPENED):
        happens(shop)
        for one in range(EMPTY // len(HAPPENED)):
            ran(shop, "desk" if one % 2 else "shop")
        if number == 2:
            shutil.copy(shop.project.warehouse, root / "backup.duckdb")
    return shop


@pytest.fixture
def copied(old: Shop, tmp_path: Path) -> Shop:
    root = tmp_path / "copy"
    shutil.copytree(old.project.root, root)
    return Shop(load_project(root))


def differing(first: Path, second: Path) -> dict[str, tuple[int, int]]:
    """Table → rows that only one of them has, of all that a warehouse holds but when a run was finished and when it was published:
    a rebuild cannot know.
    """
    con = connect(":memory:", attach={"a": first, "b": second})
    try:
        columns: dict[str, list[str]] = {}
        for table, name in con.execute(
            """SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()
               WHERE database_name = 'a' AND NOT internal AND (schema_name, table_name) IN (
                   SELECT (schema_name, table_name) FROM duckdb_tables() WHERE database_name = 'a') ORDER BY ALL"""
        ).fetchall():
            if (table, name) != ("ops.runs", "finished_at"):
                columns.setdefault(table, []).append(name)
        assert len(columns) > 50
        del columns["ops.positions"]
        found = {
            table: con.execute(difference_sql(table, names, [])).fetchone()[:2] for table, names in columns.items()
        }
        held = [
            con.execute(
                f"FROM {side}.ops.positions WHERE name NOT IN $1 ORDER BY ALL", [[PUBLISHED_AT, DESCRIBED]]
            ).fetchall()
            for side in "ab"
        ]
        found["ops.positions"] = (len(held[0]), len(held[1])) if held[0] != held[1] else (0, 0)
        return {table: (one, other) for table, (one, other) in found.items() if one or other}
    finally:
        con.close()


def beside(project: Project, folder: Path) -> Project:
    folder.mkdir()
    return dataclasses.replace(project, data=folder)


def runs(warehouse: Path) -> list[str]:
    con = connect(warehouse, read_only=True)
    try:
        return [run_id for (run_id,) in con.execute("SELECT run_id FROM ops.runs ORDER BY rowid").fetchall()]
    finally:
        con.close()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that are merged from here on."""
    made: list[str] = []
    merge_run = merging.merge

    def noted(request: merging.MergeRequest) -> merging.MergeReport:
        made.append(request.run_id)
        return merge_run(request)

    monkeypatch.setattr(merging, "merge", noted)
    return made


def test_it_merges_what_brought_something_and_gives_every_table_as_it_was(
    old: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, new = counted(monkeypatch), beside(old.project, tmp_path / "new")
    replayed = replay(old.project, new)
    assert len(replayed) == EMPTY + 6
    assert len(made) < 10
    assert differing(old.project.warehouse, new.warehouse) == {}
    assert runs(new.warehouse) == runs(old.project.warehouse), "in the order in which they were merged"


def test_a_twin_that_takes_a_run_with_outcomes_for_one_of_nothing_is_seen(
    old: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module._Replay, "_brought_nothing", lambda self, entry: not entry.segments)
    new = beside(old.project, tmp_path / "new")
    replay(old.project, new)
    assert "push.log" in differing(old.project.warehouse, new.warehouse)


def test_a_twin_that_notes_the_first_run_of_a_system_is_seen(
    old: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module._Replay, "_brought_nothing", lambda self, entry: True)
    new = beside(old.project, tmp_path / "new")
    replay(old.project, new)
    assert {"source.sales_order", "quality.quarantine"} <= set(differing(old.project.warehouse, new.warehouse))


def test_forward_from_a_backup_of_the_middle(copied: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = copied.project.root / "now.duckdb"
    shutil.copy(copied.project.warehouse, now)
    shutil.move(copied.project.root / "backup.duckdb", copied.project.warehouse)
    made = counted(monkeypatch)
    assert f"rebuilt from {EMPTY + 6} merges, 62 of them anew" in rebuild(copied.project, forward=True)
    assert len(made) < 8
    assert differing(now, copied.project.warehouse) == {}


def test_one_that_is_killed_in_the_middle_is_begun_again(copied: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = copied.files()
    note_runs, left = merging.note_runs, [0, 1, 2]

    def killed(*arguments: Any) -> None:
        note_runs(*arguments)
        if not left.pop():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(merging, "note_runs", killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild(copied.project)
    assert copied.files() == before
    now = copied.project.root / "now.duckdb"
    shutil.copy(copied.project.warehouse, now)
    copied.project.warehouse.unlink()
    rebuild(copied.project)
    assert differing(now, copied.project.warehouse) == {}


def test_of_the_lake_it_reads_what_each_run_took(old: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once to see that it is whole, once for its run; and not the headers of all segments for each of the runs."""
    asked: list[str] = []
    start = segments._start

    def noted(fs: Any, path: str) -> tuple[bytes, int]:
        asked.append(path)
        return start(fs, path)

    monkeypatch.setattr(segments, "_start", noted)
    replay(old.project, beside(old.project, tmp_path / "new"))
    assert asked
    assert len(asked) <= 2 * len(set(asked))


def test_retention_pins_the_same_segments(old: Shop, tmp_path: Path) -> None:
    new, later = beside(old.project, tmp_path / "new"), datetime.now(UTC) + timedelta(days=1)
    replay(old.project, new)
    found = []
    for warehouse in (old.project.warehouse, new.warehouse):
        con = connect(warehouse, read_only=True)
        try:
            found.append((retention.pinned(con, entities()), retention.merged_before(con, later)))
        finally:
            con.close()
    assert found[0] == found[1]
    assert "open case" in found[0][0].values()


def test_a_run_of_nothing_leaves_one_row(old: Shop) -> None:
    """Of 100,000 a year each rule would say, a hundred times a run, that of nothing nothing failed."""
    last = runs(old.project.warehouse)[-1]
    con = connect(old.project.warehouse, read_only=True)
    try:
        tables = con.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_columns() WHERE column_name = 'run_id' AND NOT internal"
        ).fetchall()
        sums = {
            name: con.execute(f"SELECT count(*) FROM {name} WHERE run_id = $1", [last]).fetchone()[0]
            for (name,) in tables
        }
    finally:
        con.close()
    assert {name for name, n in sums.items() if n} == {"ops.runs"}
