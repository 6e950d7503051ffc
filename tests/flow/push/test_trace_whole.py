"""Trace over real parts: what was pulled twice, merged, sent and answered, from the lake to the target; the page; who may see names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from desks_harness import Desks
from typer.testing import CliRunner

from flow.cli import app
from flow.fold import folded
from flow.show_trace import trace as show
from flow.trace import trace
from flow.trace_page import as_html
from hub.config import load_project
from hub.errors import UsageError
from warehouse.ledger import Ledger


@pytest.fixture(scope="module")
def traced(agreed_once: Desks, tmp_path_factory: pytest.TempPathFactory) -> Desks:
    """Ann's tier rose in the shop, her name got a tag in it, and the desk was told."""
    made = agreed_once.copied(tmp_path_factory.mktemp("trace") / "project")
    made.edit("shop", "s1", Tier="Gold", Name="Ann <b>Lee</b>")
    made.pull("shop")
    made.push("desk")
    return made


def events(found: dict[str, Any], step: str, system: str) -> list[dict[str, Any]]:
    return [one for one in found["events"] if (one["step"], one["system"]) == (step, system)]


@pytest.fixture(scope="module")
def told(traced: Desks) -> dict[str, Any]:
    return trace(traced.project, "customer", "s1", field="tier")


def test_each_pull_stands_there_with_its_raw_value(told: dict[str, Any]) -> None:
    first, second = events(told, "pull", "shop")
    assert first["detail"]["raw"]["Tier"] == "Silver"
    assert (first["detail"]["mapping"], first["detail"]["mapping_version"]) == ("shop/accounts", 1)
    assert second["detail"]["changed"]["Tier"] == ("Silver", "Gold")
    assert second["detail"]["mapped"]["tier"] == "gold"
    assert first["detail"]["place"] != second["detail"]["place"]


def test_a_merge_names_who_won_by_which_rule_and_what_lost(told: dict[str, Any]) -> None:
    last = events(told, "merge", "hub")[-1]
    assert last["what"] == "name changed, tier silver → gold"
    tier = last["detail"]["values"]["tier"]
    assert tier["why"] == "by shop, not desk silver: shop, then desk (survivorship customer.default)"
    assert list(tier["lost"].values()) == ["silver"]


def test_an_earlier_merge_is_told_with_what_was_said_then(traced: Desks) -> None:
    """The shop's row of then was replaced: what it said is mapped again from the lake."""
    found = trace(traced.project, "customer", "s1", unmask=True)
    first = events(found, "merge", "hub")[0]
    assert first["what"] == "the record appeared"
    assert first["detail"]["values"]["tier"] == {"new": "silver", "why": "by shop"}
    assert first["detail"]["values"]["name"]["new"] == "Ann Lee"


def test_the_gate_the_ties_and_every_call_with_its_answer(told: dict[str, Any]) -> None:
    assert all(one["what"].startswith("passed; ") for one in events(told, "gate", "shop"))
    assert [one["what"] for one in events(told, "bind", "desk")] == ["recognised as d1"]
    asked, answered = events(told, "push", "desk")[-2:]
    assert asked["detail"]["request"]["Tier"] == "Gold"
    assert asked["detail"]["held_before"]["Tier"] == "Silver"
    assert asked["detail"]["request"]["Name"] == "***"
    assert answered["what"].endswith("applied as d1")
    assert answered["detail"]["seconds"] >= 0


def test_one_cell_from_the_source_path_to_the_answer(told: dict[str, Any]) -> None:
    cell = told["cell"]
    shop, desk = cell["sources"]
    assert [(step["kind"], step["value"]) for step in shop["steps"]] == [
        ("path", "Gold"),
        ("values", "gold"),
        ("cast", "gold"),
    ]
    assert "the row Gold → gold" in shop["steps"][1]["what"]
    assert (shop["won"], desk["won"], desk["value"]) == (True, False, "silver")
    assert cell["rule"] == "shop, then desk (survivorship customer.default)"
    assert list(cell["lost"].values()) == ["silver"]
    assert [one["value"] for one in cell["history"]] == ["silver", "gold"]
    last = cell["sent"][-1]
    assert (last["target"], last["place"], last["value"]) == ("desk", "Tier", "Gold")
    assert [one["status"] for one in last["answers"]] == ["applied"]


def test_it_reads_well_in_the_terminal(told: dict[str, Any]) -> None:
    import io

    from rich.console import Console

    out = Console(file=io.StringIO(), width=120)
    show(told, out)
    show({**told, "cell": None}, out)
    said = out.file.getvalue()  # type: ignore[attr-defined]
    for line in (
        "shop s1 says gold ← this one holds",
        "path      Tier → Gold",
        "Tier  Silver → Gold",
        "by shop, not desk silver",
    ):
        assert line in said


def test_what_the_lake_lost_is_said(traced: Desks, tmp_path: Path) -> None:
    shutil.copytree(traced.project.root, tmp_path / "project")
    project = load_project(tmp_path / "project")
    shutil.rmtree(Path(project.lake) / "shop")
    found = trace(project, "customer", "s1", field="tier")
    assert all("the lake no longer keeps it" in one["what"] for one in events(found, "pull", "shop"))
    assert found["cell"]["sources"][0]["why"] == "the lake no longer keeps the record"
    assert found["cell"]["value"] == "gold"


def test_a_page_needs_nothing_else_and_shows_no_name(traced: Desks, told: dict[str, Any]) -> None:
    page = as_html("desks", told)
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "Ann" not in page
    bare = as_html("desks", trace(traced.project, "customer", "s1", unmask=True))
    assert "Ann &lt;b&gt;Lee" in bare
    assert "<b>Lee" not in bare


def test_a_value_that_nobody_has_is_no_field(traced: Desks) -> None:
    with pytest.raises(UsageError, match="did you mean 'tier'") as raised:
        trace(traced.project, "customer", "s1", field="teir")
    assert raised.value.code == "P404"


def test_names_are_shown_to_those_who_may_and_the_asking_is_kept(traced: Desks, tmp_path: Path) -> None:
    shutil.copytree(traced.project.root, tmp_path / "project")
    root = tmp_path / "project"
    (root / "data" / "unmasked.ndjson").unlink(missing_ok=True)
    config = (root / "crossdock.yaml").read_text()
    run = CliRunner()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSDOCK_PROJECT", str(root))
        patch.setenv("LOGNAME", "bo")
        assert "Lee" in run.invoke(app, ["trace", "customer", "s1", "--json", "--unmask"]).output
        (root / "crossdock.yaml").write_text(config + "unmask: [ann]\n")
        for command in (
            ["trace", "customer", "s1"],
            ["plan", "desk"],
            ["quarantine", "list", "--all"],
            ["quarantine", "export", "x.csv"],
        ):
            refused = run.invoke(app, [*command, "--unmask"])
            assert isinstance(refused.exception, UsageError), command
            assert refused.exception.code == "P402"
        patch.setenv("LOGNAME", "ann")
        assert run.invoke(app, ["plan", "desk", "--unmask"]).exit_code == 0
    kept = [json.loads(line) for line in (root / "data" / "unmasked.ndjson").read_text().splitlines()]
    assert [(one["who"], one["allowed"]) for one in kept] == [("bo", True), *[("bo", False)] * 4, ("ann", True)]
    assert kept[0]["what"] == "trace customer #1"
    assert "s1" not in json.dumps(kept)


def test_a_replaced_version_is_found_by_its_place(traced: Desks) -> None:
    """The broken twin: without the places of replaced versions only the newest pull is known."""
    with Ledger(traced.project.ledger, read_only=True) as ledger, folded(traced.project, ledger) as con:
        rows = con.execute(
            "SELECT system, source_id, segment FROM ops.earlier_pulls WHERE entity = 'customer'"
        ).fetchall()
    assert ("shop", "s1", "shop/accounts/1.jsonl") in rows
