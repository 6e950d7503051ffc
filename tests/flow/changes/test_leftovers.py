"""What killed processes leave is thrown away by the next, what others work with is not, and a clock that was put back stops nothing."""

from __future__ import annotations

import fcntl
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from changes_harness import Shop, order

from flow.gate import gate
from flow.map import map
from flow.merge import KEPT_RUNS, merge
from flow.pause import ATTEMPT, paused
from flow.plan import plan
from flow.publish import fold_and_publish
from flow.run import Run, about
from flow.stage import stage
from hub.scratch import scratch
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Pause
from warehouse.model import entities
from warehouse.snapshot import publish


def merged(shop: Shop, system: str, now: datetime | None = None) -> Run:
    run = Run.start(shop.project, system, now)
    with run.together():
        stage(run)
        map(run)
        gate(run, expectations=False)
        merge(run)
    return run


def test_a_run_that_began_long_ago_keeps_its_file_while_others_merge(synced: Shop) -> None:
    """A first load that is pulled for hours is as old as it is when its file is made; the other systems run every few minutes."""
    synced.pulled([order(4)])
    slow = Run.start(synced.project, "shop", datetime.now(UTC) - timedelta(hours=3))
    stage(slow)
    map(slow)
    for _ in range(25):
        merged(synced, "desk")
    gate(slow, expectations=False)
    assert merge(slow).counts["passed"] == 1


def test_of_each_system_the_newest_run_files_are_kept(synced: Shop) -> None:
    spilled = []
    for number in range(KEPT_RUNS + 2):
        run = merged(synced, "desk", datetime(2026, 11, 23, number, tzinfo=UTC))
        for left in (f"{run.file.name}.tmp", f"{run.file.stem}.segments"):
            spilled.append(run.file.with_name(left))
            spilled[-1].mkdir(exist_ok=True)
    kept = [file for file in synced.project.runs.glob("*.duckdb") if about(file.stem) == "desk"]
    assert len(kept) == KEPT_RUNS
    assert [folder.exists() for folder in spilled[:4]] == [False] * 4
    assert [file for file in synced.project.runs.glob("*.duckdb") if about(file.stem) == "shop"]


def test_a_run_keeps_its_own_file_where_the_clock_was_put_back(synced: Shop) -> None:
    for number in range(KEPT_RUNS):
        merged(synced, "desk", datetime.now(UTC) + timedelta(hours=number))
    assert merged(synced, "desk", datetime.now(UTC) - timedelta(hours=1)).file.exists()


def test_a_snapshot_from_the_future_is_published_anew(synced: Shop) -> None:
    project = synced.project
    later = time.time() + 86_400
    os.utime(project.published, (later, later))
    assert publish(project.warehouse, entities(), project.published, min_interval=300).replaced
    assert not publish(project.warehouse, entities(), project.published, min_interval=300).replaced


def test_a_refusal_from_the_future_keeps_nobody_out_for_longer(synced: Shop, monkeypatch: Any) -> None:
    now = datetime.now(UTC)
    with Ledger(synced.project.ledger) as ledger:
        ledger.pause(Pause("shop", "a$b", "refused", now, now))
    monkeypatch.setattr("flow.pause._digest", lambda *ignored: "a$b")
    assert paused(synced.project, "shop", now + timedelta(minutes=5)) is not None
    assert paused(synced.project, "shop", now - ATTEMPT) is None


def test_a_copy_of_the_snapshot_that_was_killed_is_replaced_by_the_next(synced: Shop) -> None:
    """Each is as large as the warehouse."""
    folder = synced.project.published.parent
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            os.environ["CROSSDOCK_FAILPOINT"] = "publish.before_replace"
            publish(synced.project.warehouse, entities(), synced.project.published)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
    assert len([file for file in folder.iterdir() if file.name.endswith(".part")]) == 1
    fold_and_publish(synced.project)
    assert [file.name for file in folder.iterdir() if file.is_file()] == ["warehouse.duckdb"]


def test_a_plan_that_was_being_written_does_not_stay(synced: Shop) -> None:
    """It holds personal values."""
    project = synced.project
    project.plans.mkdir(exist_ok=True)
    old, new = project.plans / "old.tmp", project.plans / "new.tmp"
    for file in (old, new):
        file.write_text("{}")
    os.utime(old, (1, 1))
    plan(project, "desk")
    assert (old.exists(), new.exists()) == (False, True)


def test_folders_of_killed_processes_go_and_those_in_use_stay(tmp_path: Path) -> None:
    (tmp_path / "rebuild-killed").mkdir()
    (tmp_path / "rebuild-killed" / "warehouse.duckdb").write_text("half")
    (tmp_path / "other").mkdir()
    with scratch(tmp_path, "rebuild-") as first, scratch(tmp_path, "rebuild-") as second:
        assert first != second
        assert {one.name for one in tmp_path.iterdir()} == {"other", first.name, second.name}
        handle = os.open(first, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
    assert [one.name for one in tmp_path.iterdir()] == ["other"]


def test_the_name_of_a_run_says_whose_it_is() -> None:
    assert [about(name) for name in ("20261128T122332954345-cart-4ea498", "20261128T122332954345-cart-2-4ea498")] == [
        "cart",
        "cart-2",
    ]
