"""Refused credentials, over HTTP: the connection is left alone, the others go on, and one alert says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox_crm import SandboxCrm
from flow import pause
from flow.cycle import cycle
from flow.report import StepReport
from hub.config import Project, load_project
from hub.connector import Change, Connection
from hub.errors import AuthenticationError, ForbiddenError
from hub.secrets import Secret
from warehouse.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def locked(tmp_path: Path, sandbox: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose token for the CRM is not the right one."""
    point_at(sandbox)
    monkeypatch.setenv("CROSSDOCK_CRM_TOKEN", "not-the-token")
    shutil.copy(ROOT / "crossdock.yaml", tmp_path)
    return load_project(tmp_path)


def _pulled(project: Project) -> dict[str, StepReport]:
    return {report.system: report for report in cycle(project, ["crm", "pricelist"], step="pull")}


def _calls(sandbox: Any) -> int:
    return len(sandbox.control.calls("crm"))


def test_the_connection_is_left_alone_and_the_others_go_on(locked: Project, sandbox: Any) -> None:
    first = _pulled(locked)
    assert (first["crm"].status, first["pricelist"].status) == ("failed", "ok")
    assert {finding.code for finding in first["crm"].findings} == {"C105"}
    calls = _calls(sandbox)
    again = _pulled(locked)
    assert (again["crm"].status, again["pricelist"].status) == ("held", "ok"), "no second alert"
    assert [(f.code, f.severity) for f in again["crm"].findings] == [("P212", "warning")]
    assert _calls(sandbox) == calls


def test_an_attempt_an_hour_is_made_and_alerts_nobody_anew(locked: Project, sandbox: Any) -> None:
    _pulled(locked)
    calls = _calls(sandbox)
    with Ledger(locked.ledger) as ledger:
        known = ledger.paused("crm")
        assert known is not None
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        assert ledger.pause(type(known)("crm", known.credentials, known.what, known.since, long_ago)) is False
    assert _pulled(locked)["crm"].status == "held"
    assert _calls(sandbox) > calls
    assert pause.paused(locked, "crm") is not None


def test_other_credentials_end_it_and_so_does_a_person(locked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pause.refused(locked, "crm", AuthenticationError("C105", "401"))
    assert pause.paused(locked, "crm") is not None
    monkeypatch.setenv("CROSSDOCK_CRM_TOKEN", "sandbox-crm-token")
    mended = load_project(locked.root)
    assert pause.paused(mended, "crm") is None
    assert _pulled(mended)["crm"].status == "ok"
    with Ledger(mended.ledger, read_only=True) as ledger:
        assert ledger.paused("crm") is None, "what works again is not paused any more"
    pause.refused(mended, "crm", AuthenticationError("C105", "401"))
    assert pause.resume(mended, "crm")
    assert pause.paused(mended, "crm") is None


def test_what_is_only_not_permitted_pauses_nothing(locked: Project) -> None:
    assert pause.refused(locked, "crm", ForbiddenError("C105", "403"))
    assert pause.paused(locked, "crm") is None


def test_the_password_does_not_stand_in_the_ledger(locked: Project) -> None:
    pause.refused(locked, "crm", AuthenticationError("C105", "401"))
    assert b"not-the-token" not in (locked.data / "ledger.sqlite").read_bytes()


def test_a_write_that_is_refused_so_says_it_and_is_made_once(sandbox: Any) -> None:
    before = _calls(sandbox)
    crm = SandboxCrm(Connection("crm", sandbox.crm, password=Secret("wrong")))
    (outcome,) = crm.push("accounts", [Change("upsert", "p-1", {"Name": "Ann"}, "k")])
    assert (outcome.status, outcome.transient, outcome.locked_out) == ("rejected", True, True)
    assert _calls(sandbox) == before + 1


def test_the_broken_twin_tries_every_time(locked: Project, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause, "paused", lambda project, system: None)
    _pulled(locked)
    calls = _calls(sandbox)
    _pulled(locked)
    assert _calls(sandbox) > calls
