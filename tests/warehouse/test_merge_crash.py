"""Killed at any moment, a merge has happened or it has not; and a commit that failed may have committed."""

from __future__ import annotations

import signal
import subprocess
import sys

import duckdb
import pytest

from warehouse import merge as merging
from warehouse.duck import StatementError

CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from warehouse.merge import MergeRequest, merge
from warehouse.model import entities
warehouse, run_file, run_id = sys.argv[1:]
merge(MergeRequest(Path(warehouse), Path(run_file), entities(), run_id, "cart", datetime(2026, 11, 20, tzinfo=UTC)))
"""


def merge_in_child(world, path, failpoint=""):
    import os

    env = {**os.environ, "CROSSDOCK_FAILPOINT": failpoint}
    return subprocess.run([sys.executable, "-c", CHILD, world.path, path, path.stem], env=env).returncode


def records(w):
    return {"customer": [w.customer("c1"), w.customer("c2")], "sales_order": [w.order("1", "c1", [("a", None, 1)])]}


STATE = (
    "canonical.customer",
    "canonical.sales_order",
    "canonical.order_line",
    "source.sales_order",
    "ops.bindings",
    "ops.segments",
)


@pytest.mark.parametrize(("failpoint", "committed"), [("merge.before_commit", False), ("merge.after_commit", True)])
def test_a_kill_leaves_all_or_nothing_and_the_next_try_completes(world, failpoint, committed):
    path = world.run_file("cart", records(world))
    empty = world.content(*STATE)
    assert merge_in_child(world, path, failpoint) == -signal.SIGKILL
    killed = world.content(*STATE)
    assert (killed != empty) is committed
    assert merge_in_child(world, path) == 0
    done = world.content(*STATE)
    assert world.rows("SELECT count(*) FROM sales_order") == [(1,)]
    assert world.rows("SELECT count(*) FROM ops.runs") == [(1,)]
    if committed:
        assert done == killed
    assert merge_in_child(world, path) == 0
    assert world.content(*STATE) == done


def test_a_commit_that_failed_and_did_commit_is_a_success(world, monkeypatch):
    path = world.run_file("cart", records(world))
    real = merging.Work.do

    def do(work, name, sql, parameters=None):
        result = real(work, name, sql, parameters)
        if sql == "COMMIT":
            raise StatementError(
                "commit", duckdb.Error("COMMIT succeeded and is durable, but the autocheckpoint failed")
            )
        return result

    monkeypatch.setattr(merging.Work, "do", do)
    report = world.merge_file(path, "cart")
    assert not report.already
    assert report.counts["customer"]["passed"] == 2
    monkeypatch.undo()
    assert world.merge_file(path, "cart").already
    assert world.rows("SELECT count(*) FROM customer") == [(2,)]


def test_a_commit_that_failed_and_did_not_commit_is_an_error(world, monkeypatch):
    path = world.run_file("cart", records(world))
    real = merging.Work.do

    def do(work, name, sql, parameters=None):
        if sql == "COMMIT":
            raise StatementError("commit", duckdb.Error("disk full"))
        return real(work, name, sql, parameters)

    monkeypatch.setattr(merging.Work, "do", do)
    with pytest.raises(StatementError, match="disk full"):
        world.merge_file(path, "cart")
    monkeypatch.undo()
    assert world.rows("FROM ops.runs") == []
    assert not world.merge_file(path, "cart").already
    assert world.rows("SELECT count(*) FROM customer") == [(2,)]


def test_an_error_in_the_middle_leaves_nothing(world, monkeypatch):
    path = world.run_file("cart", records(world))
    before = world.content()

    def fail(*_):
        raise RuntimeError("in the middle")

    monkeypatch.setattr("warehouse.law.enforce", fail)
    with pytest.raises(RuntimeError):
        world.merge_file(path, "cart")
    assert world.content() == before


def test_positions_apart_from_their_data_would_be_noticed(world, monkeypatch):
    """The broken twin: a merge that commits its segments first loses the records when it is killed after that."""
    path = world.run_file("cart", records(world))
    real = merging._write

    def write(work, request, outcomes, report):
        merging._position(work, [])
        work.con.execute("COMMIT")
        work.con.execute("BEGIN")
        real(work, request, outcomes, report)
        raise KeyboardInterrupt

    monkeypatch.setattr(merging, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        world.merge_file(path, "cart")
    monkeypatch.undo()
    assert world.merged_segments("cart") != set()
    assert world.rows("FROM customer") == []
