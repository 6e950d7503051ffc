"""What became of each call is data: in `push.log` and `push.state`, in the report and in the exit code; and by run it is taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desks_harness import ANN, QUICK, Desks

from flow.apply import apply
from flow.publish import fold_and_publish, query_snapshot
from flow.report import exit_code
from flow.revert import revert
from hub.errors import UsageError
from warehouse.ledger import Ledger


@pytest.fixture
def desks(agreed_once: Desks, tmp_path: Path) -> Desks:
    return agreed_once.copied(tmp_path / "project")


def _rows(desks: Desks, sql: str) -> list[tuple[Any, ...]]:
    fold_and_publish(desks.project)
    return query_snapshot(desks.project, sql).rows


def test_an_analyst_sees_what_was_rejected_and_why(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.pull("shop")
    desks.systems["desk"].refuses = "TIER_LOCKED"
    report = desks.apply(desks.plan("desk"))
    assert (report.status, exit_code([report.as_step()])) == ("partial", 1)
    columns = "run_id, target, entity, operation, fields, status, message, request_id, duration >= 0"
    rejected = _rows(
        desks, f"SELECT {columns} FROM push.log WHERE status = 'rejected' AND answered_at > now() - INTERVAL 1 DAY"
    )
    run = report.run_id
    assert rejected == [(run, "desk", "customer", "upsert", ["Tier"], "rejected", "TIER_LOCKED", "R1", True)]
    state = _rows(desks, "SELECT status, message, run_id FROM push.state WHERE target = 'desk'")
    assert state == [("rejected", "TIER_LOCKED", run)]
    (made,) = _rows(desks, "SELECT fields FROM push.log WHERE status = 'applied' AND target = 'desk'")
    assert made == (["HubId"],), "of what the target knew before only what was new to it"


def test_which_fields_were_sent_is_known_after_the_values_are_erased(desks: Desks) -> None:
    with Ledger(desks.project.ledger) as ledger:
        (before,) = ledger.outcomes_after(0)
        ledger.erase("customer", [before.hub_id])
        (after,) = ledger.outcomes_after(0)
    assert before.fields == after.fields == '["HubId"]'


@pytest.fixture
def ran(desks: Desks) -> tuple[Desks, str]:
    """One run told both systems something: each had an edit that the other did not know."""
    desks.edit("shop", "s1", Tier="Gold")
    desks.edit("desk", "d2", **ANN | {"Name": "Bo Berg", "Email": "bo@example.com"})
    desks.pull()
    for target in ("shop", "desk"):
        made = desks.plan(target)
        apply(desks.project, made.id, approved_by="Ann", run_id="R", settings=QUICK, connector=desks.systems[target])
    desks.pull()
    return desks, "R"


def test_a_run_is_taken_back_target_by_target_the_last_one_first(ran: tuple[Desks, str]) -> None:
    desks, run = ran
    assert desks.systems["desk"].accounts["d1"]["Tier"] == "Gold"
    plans = revert(desks.project, run)
    assert [plan.target for plan in plans] == ["desk", "shop"]
    for plan in plans:
        desks.apply(plan)
    assert desks.systems["desk"].accounts["d1"]["Tier"] == "Silver"


def test_the_broken_twin_that_keeps_no_run_cannot_be_taken_back(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    intend = Ledger.intend
    monkeypatch.setattr(
        Ledger, "intend", lambda self, lock, target, sendings, plan, run: intend(self, lock, target, sendings, plan)
    )
    desks.edit("shop", "s1", Tier="Gold")
    desks.pull("shop")
    report = desks.apply(desks.plan("desk"))
    assert report.counts == {"applied": 1}
    with pytest.raises(UsageError, match="P210"):
        revert(desks.project, report.run_id)


def test_a_push_that_is_part_of_no_run_is_one_of_its_own(desks: Desks) -> None:
    ((run,),) = _rows(desks, "SELECT DISTINCT run_id FROM push.log")
    assert "-push-" in run
