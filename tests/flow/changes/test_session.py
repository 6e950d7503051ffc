"""A session writes what runs of their own would have written, lets others have the warehouse, and loses nothing when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from changes_harness import CUSTOMER, Shop, order

from flow import follow as following
from flow import gate as step
from flow import session as sessions
from flow.gate import gate
from flow.map import map
from flow.merge import merge
from flow.report import StepReport
from flow.run import Run
from flow.session import Session
from flow.stage import stage
from hub.config import load_project
from hub.errors import TransientError, UsageError
from quality import judge
from warehouse import instance
from warehouse import merge as merging
from warehouse.duck import StatementError
from warehouse.lock import wanted, writer

ANN = (CUSTOMER, "shop/customers")
BATCHES: list[list[tuple[dict[str, Any], str]]] = [
    [ANN],
    [(order(number), "shop/orders") for number in (1, 2)],
    [
        (
            order(1, total_price="13.50", line_items=[{"id": 1, "sku": "b", "quantity": 1}, {"id": 2, "sku": "c"}]),
            "shop/orders",
        )
    ],
    [(order(2), "shop/orders")],  # unchanged
    [(order(3, customer={"id": 8}), "shop/orders")],  # waits
    [(order(4, total_price="much"), "shop/orders"), (order(5), "shop/orders")],  # one is refused
    [(CUSTOMER | {"id": 8, "email": "bo@example.com"}, "shop/customers")],
    [(order(3, customer={"id": 8}, financial_status="pending"), "shop/orders"), (order(4), "shop/orders")],
]
# Everything but when, by which run and in which segment it came.
COMPARED = {
    f"{schema}.{entity}": f"SELECT * EXCLUDE ({without}) FROM {schema}.{entity}"
    for schema, without in (
        ("source", "run_id, seen_at"),
        ("canonical", "run_id, valid_from"),
        ("history", "run_id, valid_from, valid_to"),
    )
    for entity in ("customer", "sales_order", "order_line")
} | {
    "ops.bindings": "SELECT * EXCLUDE bound_at FROM ops.bindings",
    "ops.counts": "SELECT * EXCLUDE run_id FROM ops.counts WHERE n > 0",
    "ops.segments": "SELECT segment, seq FROM ops.segments",
    "ops.shapes": "SELECT stream, path, kind, seen, records FROM ops.shapes",
    "quality.quarantine": "SELECT source_id, code, count, closed_at IS NULL FROM quality.quarantine",
    "quality.verdicts": "SELECT rule, checked, failed, closed FROM quality.verdicts",
    "law": "SELECT law, left_side, right_side, holds FROM ops.count_law",
}


def a_run_each(shop: Shop) -> None:
    run = Run.start(shop.project, "shop")
    stage(run)
    map(run)
    gate(run)
    merge(run)


def held_by(shop: Shop) -> dict[str, list[Any]]:
    with duckdb.connect(str(shop.project.warehouse), read_only=True) as con:
        return {name: sorted(con.execute(sql).fetchall(), key=repr) for name, sql in COMPARED.items()}


def pulled(shop: Shop, batch: list[tuple[dict[str, Any], str]]) -> None:
    for name in dict.fromkeys(name for _, name in batch):
        shop.pulled([record for record, of in batch if of == name], name)


def test_a_session_writes_what_runs_of_their_own_write(shop: Shop, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    for file in ["crossdock.yaml", *(str(f.relative_to(tmp_path)) for f in (tmp_path / "mappings").rglob("*.yaml"))]:
        (beside / file).parent.mkdir(parents=True, exist_ok=True)
        (beside / file).write_text((tmp_path / file).read_text())
    other = Shop(load_project(beside))
    steps, shown = [], 0
    with Session(shop.project, "shop") as session:
        for batch in BATCHES:
            pulled(shop, batch)
            pulled(other, batch)
            reports = session.batch()
            steps.append([report.step for report in reports])
            shown += any(
                report.counts.get(what) for report in reports for what in ("rejected", "quarantined", "warned")
            )
            a_run_each(other)
        assert session.batch() == []
    assert steps == [["stage", "map", "gate", "merge"]] * len(BATCHES)
    assert held_by(shop) == held_by(other)
    assert 0 < shown == len(list(shop.project.runs.glob("*.duckdb"))) < len(BATCHES), (
        "a run with something to show has a file"
    )


def test_what_queued_up_is_one_batch_and_of_each_order_the_newest_holds(shop: Shop) -> None:
    with Session(shop.project, "shop") as session:
        pulled(shop, [ANN])
        session.batch()
        for number in range(4):
            shop.pulled([order(one, number=f"{one}v{number}") for one in (1, 2 + number)])
        reports = session.batch()
        assert session.batch() == []
    assert [report.counts.get("read") for report in reports][:1] == [8]
    with duckdb.connect(str(shop.project.warehouse), read_only=True) as con:
        found = con.execute("SELECT number FROM canonical.sales_order ORDER BY number").fetchall()
        states = con.execute("SELECT state, sum(n) FROM ops.counts WHERE state IN ('superseded', 'passed') GROUP BY 1")
        assert dict(states.fetchall()) == {"superseded": 3, "passed": 6}
    assert found == [("1v3",), ("2v0",), ("3v1",), ("4v2",), ("5v3",)]


@pytest.mark.parametrize(("records", "asked"), [(3, 0), (4, 1)])
def test_only_a_batch_that_is_large_is_judged_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, records: int, asked: int
) -> None:
    questions: list[Path] = []

    def no_answer(run_file: Path, rules: Any, site: Any) -> list[Any]:
        questions.append(run_file)
        return []

    monkeypatch.setattr(step, "MICRO_BATCH", 1)
    monkeypatch.setattr(sessions, "SMALL", 3)
    monkeypatch.setattr(judge, "evaluate", no_answer)
    shop.pulled([order(number) for number in range(1, records + 1)])
    with Session(shop.project, "shop") as session:
        reports = session.batch()
    assert (len(questions), reports[-1].status) == (asked, "held" if asked else "ok")
    assert len(list(shop.project.runs.glob("*.duckdb"))) == asked


def free(shop: Shop) -> bool:
    try:
        with writer(shop.project.warehouse, timeout=0):
            return True
    except TransientError:
        return False


@contextmanager
def waiter(shop: Shop) -> Iterator[threading.Event]:
    """Somebody else who waits for the warehouse; the event says that he had it."""
    had = threading.Event()

    def wait() -> None:
        with writer(shop.project.warehouse, timeout=30):
            had.set()

    other = threading.Thread(target=wait)
    other.start()
    while not (wanted(shop.project.warehouse) or had.is_set()):
        time.sleep(0.005)
    yield had
    other.join()


def test_others_have_the_warehouse_when_it_lets_go(shop: Shop) -> None:
    with Session(shop.project, "shop") as session:
        pulled(shop, BATCHES[0])
        session.batch()
        assert not free(shop)
        session.let_go()
        with writer(shop.project.warehouse, timeout=0), duckdb.connect(str(shop.project.warehouse)) as con:
            assert con.execute("SELECT count(*) FROM canonical.customer").fetchall() == [(1,)]


def test_it_keeps_the_warehouse_until_somebody_waits_or_for_long_enough(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "HOLD", 0)  # every batch has held it for long enough for others
    with Session(shop.project, "shop") as session:
        for batch in BATCHES[:2]:
            pulled(shop, batch)
            session.batch()
            assert not free(shop)
        with waiter(shop) as had:
            assert not had.is_set()
            session.batch()
            assert had.wait(5)
        session.batch()
        assert not free(shop), "it was taken again"
        monkeypatch.setattr(instance, "ALONE", 0)
        session.batch()
        assert free(shop)


def test_one_who_waits_does_not_end_a_hold_that_has_just_begun(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "HOLD", 600)
    with Session(shop.project, "shop") as session:
        pulled(shop, BATCHES[0])
        session.batch()
        with waiter(shop) as had:
            assert session.batch() == []
            assert not had.is_set()
            session.let_go()


def test_while_it_is_idle_who_waits_has_the_warehouse_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "HOLD", 600)
    with Session(shop.project, "shop") as session:
        with session.idle():
            pulled(shop, BATCHES[0])
        session.batch()
        with session.idle():
            time.sleep(0.1)
            assert not free(shop), "nobody waits"
            with waiter(shop) as had:
                assert had.wait(5)
        pulled(shop, BATCHES[1])
        session.batch()
        assert not free(shop)
        monkeypatch.setattr(instance, "HOLD", 0)
        with session.idle():
            until = time.monotonic() + 5
            while not free(shop):
                assert time.monotonic() < until


def test_what_goes_wrong_while_it_lets_go_is_raised_where_it_was_idle(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(made: instance.Instance, name: str) -> None:
        raise duckdb.IOException("the disk is full")

    with Session(shop.project, "shop") as session:
        pulled(shop, BATCHES[0])
        session.batch()
        with monkeypatch.context() as patch:
            patch.setattr(instance.Instance, "_detach", full)
            with pytest.raises(duckdb.IOException, match="full"), session.idle(), waiter(shop) as had:
                assert had.wait(5), "the lock is given back all the same"
        assert session.batch() == [], "what was committed is in the log"


def test_a_system_is_followed_and_what_is_not_there_is_asked_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    rounds = iter([[ANN], None, BATCHES[1]])

    def pull(run: Run) -> StepReport:
        if (batch := next(rounds)) is None:
            raise TransientError("W103", "another process has been writing for 120 s")
        pulled(shop, batch)
        return StepReport("pull", "shop", counts={"pulled": len(batch)})

    monkeypatch.setattr(following, "pull", pull)
    following.follow(shop.project, "shop", 0.01, lambda report: told.append((report.step, report.status)), rounds=3)
    one = [(step, "ok") for step in ("pull", "stage", "map", "gate", "merge")]
    assert told == [*one, ("run", "failed"), *one]
    with writer(shop.project.warehouse, timeout=0):
        pass


@pytest.mark.parametrize("given", [([], None, None), (["a", "b"], None, None), (["a"], "map", None), (["a"], None, 3)])
def test_only_one_system_is_followed_and_the_whole_of_it(given: tuple[list[str], str | None, int | None]) -> None:
    with pytest.raises(UsageError, match="P508"):
        following.only(*given)


@pytest.mark.parametrize("durable", [True, False])
def test_a_commit_that_failed_is_asked_for(shop: Shop, monkeypatch: pytest.MonkeyPatch, durable: bool) -> None:
    right = merging.Work.do

    def fails(work: Any, name: str, sql: str, parameters: Any = None) -> int:
        if name != "commit":
            return right(work, name, sql, parameters)
        if durable:
            right(work, name, sql)
        raise StatementError(name, duckdb.IOException("the disk is full"))

    with Session(shop.project, "shop") as session:
        pulled(shop, BATCHES[0])
        with monkeypatch.context() as patch:
            patch.setattr(merging.Work, "do", fails)
            if durable:
                assert session.batch()[-1].counts["changed"] == 1
            else:
                with pytest.raises(StatementError):
                    session.batch()
        assert len(session.batch()) == (0 if durable else 4)
    assert len(held_by(shop)["canonical.customer"]) == 1


PROGRAM = """
import sys
from pathlib import Path
from flow.session import Session
from hub.config import load_project
with Session(load_project(Path(sys.argv[1])), "shop") as session:
    session.batch()
"""

IN_A_HOLD = """
import os, signal, sys
from pathlib import Path
from flow.session import Session
from hub.config import load_project
with Session(load_project(Path(sys.argv[1])), "shop") as session:
    session.batch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("point", ["merge.before_commit", "merge.after_commit"])
def test_what_dies_in_the_middle_is_merged_once(shop: Shop, point: str) -> None:
    pulled(shop, [ANN, *BATCHES[1]])
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(shop.project.root)], env={**os.environ, "CROSSDOCK_FAILPOINT": point}
    )
    assert killed.returncode == -signal.SIGKILL
    with Session(shop.project, "shop") as session:
        assert len(session.batch()) == (4 if point == "merge.before_commit" else 0)
    held = held_by(shop)
    assert len(held["canonical.sales_order"]) == 2
    assert not held["history.sales_order"]


@pytest.mark.parametrize("program", [PROGRAM, IN_A_HOLD])
def test_a_run_reads_the_log_of_a_session_that_died_holding_the_warehouse(shop: Shop, program: str) -> None:
    pulled(shop, [ANN, *BATCHES[1]])
    log = shop.project.warehouse.with_name(shop.project.warehouse.name + ".wal")
    ended = subprocess.run([sys.executable, "-c", program, str(shop.project.root)])
    assert ended.returncode == (-signal.SIGKILL if program == IN_A_HOLD else 0)
    assert log.exists() == (program == IN_A_HOLD)
    shop.pulled([order(3)])
    a_run_each(shop)
    held = held_by(shop)
    assert len(held["canonical.sales_order"]) == 3
    assert not held["history.sales_order"]
    assert not log.exists()
