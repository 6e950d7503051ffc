"""A plan as people see it: in the terminal, as JSON and as a page; without personal values unless asked for."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from desks_harness import ANN, Desks
from rich.console import Console
from typer.testing import CliRunner

from flow import plan_view, show_plan
from flow.cli import app
from flow.personal import masked
from flow.plan_file import Plan
from flow.plan_page import as_html
from flow.plan_view import view
from warehouse.model import entities

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def desks(agreed_once: Desks, tmp_path_factory: pytest.TempPathFactory) -> Desks:
    """One customer to be updated, with a conflict, and one to be made."""
    made = agreed_once.copied(tmp_path_factory.mktemp("shown") / "project")
    made.edit("shop", "s1", Name=f"Ann {HOSTILE}", Tier="Gold")
    made.edit("desk", "d1", Tier="Standard")
    made.edit("shop", "s2", **ANN | {"Name": "Bo Berg", "Email": "bo@example.com"})
    made.pull()
    return made


@pytest.fixture(scope="module")
def made(desks: Desks) -> Plan:
    return desks.plan("desk")


def _said(shown: plan_view.Shown) -> str:
    out = Console(file=io.StringIO(), width=160, highlight=False)
    show_plan.plan(shown, out)
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_terminal_says_what_each_call_changes(made: Plan) -> None:
    said = _said(view(made, entities(), unmask=True)).splitlines()
    assert said[0] == f"plan {made.id} for desk: 2 calls, 1 contested"
    assert "  update accounts 1 (d1)" in said
    assert "      Tier  Standard → Gold  (we sent Silver)" in said
    assert "  create accounts 2" in said
    assert "      Tier  sent Silver, theirs Standard, ours Gold: ours is sent (owner)" in said


def test_personal_values_are_masked_unless_asked_for(made: Plan) -> None:
    shown = view(made, entities())
    for text in (_said(shown), json.dumps(shown.as_dict(), default=str), as_html(shown)):
        assert "Ann" not in text
        assert "bo@example.com" not in text
        assert "555012" not in text
        assert "Gold" in text
    assert "bo@example.com" in _said(view(made, entities(), unmask=True))


def test_the_broken_twin_knows_of_no_personal_place(made: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_view, "_places", lambda *_: ())
    assert "bo@example.com" in json.dumps(view(made, entities()).as_dict(), default=str)


def test_where_no_place_is_known_everything_is_masked() -> None:
    assert masked({"a": {"b": "x"}, "c": [1, None]}, None) == {"a": {"b": "***"}, "c": ["***", None]}
    assert masked({"a": [{"b": "x", "c": "y"}]}, ("a[].b",)) == {"a": [{"b": "***", "c": "y"}]}


@pytest.mark.parametrize("key", ["1", "d1"])
def test_one_record_can_be_asked_for(made: Plan, key: str) -> None:
    assert [call.hub_id for call in view(made, entities(), key=key).plan.calls] == [1]
    assert view(made, entities(), key="nobody").plan.calls == ()


def test_a_limit_says_what_it_leaves_out(made: Plan) -> None:
    shown = view(made, entities(), limit=1)
    assert (len(shown.plan.calls), shown.calls) == (1, 2)
    assert "and 1 more call" in _said(shown)
    assert "1 more call" in as_html(shown)


def test_the_page_is_text_and_needs_nothing_else(made: Plan) -> None:
    page = as_html(view(made, entities(), unmask=True))
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "src=" not in page


def test_the_command_shows_and_writes(desks: Desks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_PROJECT", str(desks.project.root))
    run = CliRunner().invoke
    told: dict[str, Any] = json.loads(run(app, ["plan", "desk", "--json", "--key", "d1"]).output)
    assert [(one["key"], [edit["place"] for edit in one["edits"]]) for one in told["calls"]] == [
        ("1", ["Name", "Tier"])
    ]
    assert run(app, ["plan", "desk", "--html", str(tmp_path / "plan.html")]).exit_code == 0
    assert "<h2>conflicts</h2>" in (tmp_path / "plan.html").read_text()


def test_what_another_mapping_would_send(desks: Desks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_PROJECT", str(desks.project.root))
    then = tmp_path / "then"
    shutil.copytree(desks.project.root / "mappings", then)
    same = CliRunner().invoke(app, ["plan", "desk", "--against", str(then)])
    assert (same.exit_code, "none would change" in same.output) == (0, True)
    path = then / "desk" / "accounts.yaml"
    path.write_text(path.read_text().replace("phone, tier, country_code, {HubId", "country_code, {HubId"))
    other = CliRunner().invoke(app, ["plan", "desk", "--against", str(then), "--unmask"])
    assert other.exit_code == 1
    assert "desk: upsert accounts  2 changed (Phone 2, Tier 2)" in other.output
