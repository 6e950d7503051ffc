"""`crossdock status`: how fresh each system is, what is kept back, and what needs a person. It writes nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from changes_harness import CUSTOMER, Shop, order
from typer.testing import CliRunner

from flow.cli import app
from flow.plan import plan
from flow.quarantine import causes, dismiss
from flow.settle import lock_name
from flow.status import Status, status
from hub.config import load_project
from hub.connector import Outcome
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Result, Sending


def codes(found: Status) -> list[str]:
    return [one.code for one in found.findings]


def test_a_new_project_has_never_run(shop: Shop) -> None:
    found = status(shop.project)
    assert [(one.system, one.merged_at, one.news_at) for one in found.systems] == [
        ("shop", None, None),
        ("desk", None, None),
    ]
    assert (found.published_at, found.breaks, found.findings) == (None, None, ())
    assert not shop.project.data.exists()


def test_it_counts_what_is_kept_back_and_what_was_not_merged(synced: Shop) -> None:
    synced.pulled([order(5, customer={"id": 99}), order(6, created_at="yesterday")])
    before = synced.files()
    assert [one.not_merged for one in status(synced.project).systems] == [1, 0]
    assert synced.files() == before
    synced.sync()
    shop, desk = status(synced.project).systems
    assert (shop.waiting, shop.quarantined, shop.not_merged) == (1, 1, 0)
    assert (desk.waiting, desk.quarantined, desk.not_merged) == (0, 0, 0)
    assert shop.merged_at == shop.news_at
    assert desk.merged_at is not None
    assert shop.merged_at is not None
    assert desk.merged_at < shop.merged_at
    dismiss(synced.project, [causes(synced.project)[0]["cause"]], "an old test order", "Ann")
    synced.sync()
    after = status(synced.project).systems[0]
    assert after.quarantined == 0
    assert after.news_at == shop.news_at
    assert after.merged_at != shop.merged_at  # it ran, and there was nothing new


def test_what_was_merged_after_the_snapshot_is_known_from_the_ledger(
    synced: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changes_harness.fold_and_publish", lambda project: None)
    synced.pulled([order(5)])
    synced.sync()
    assert status(synced.project).systems[0].not_merged == 0


def test_a_stream_that_no_mapping_reads_is_not_behind(synced: Shop) -> None:
    synced.pulled([{"id": 1}], "shop/reviews")
    assert status(synced.project).systems[0].not_merged == 0


def test_a_system_that_was_not_merged_for_long_needs_a_person(synced: Shop) -> None:
    merged = status(synced.project).systems[0].merged_at
    assert merged is not None
    hour = timedelta(hours=1)
    assert codes(status(synced.project, hour, now=merged + hour)) == []
    late = status(synced.project, hour, now=merged + 2 * hour)
    assert codes(late) == ["P214", "P214"]
    assert late.findings[0].fix == "crossdock run shop says why"
    assert codes(status(synced.project, now=merged + 2 * hour)) == []


def test_a_plan_that_waits_needs_a_person_until_it_is_approved(synced: Shop) -> None:
    synced.pulled([CUSTOMER | {"id": 8, "email": "bo@example.com"}], "shop/customers")
    synced.sync()
    made = plan(synced.project, "desk")
    assert made.calls
    found = status(synced.project)
    assert (found.targets[0].plan, found.targets[0].planned) == (made.id, len(made.calls))
    assert codes(found) == ["P202"]
    (synced.project.plans / "0123456789abcdef.json").write_text("{")  # is newer, and no plan
    with Ledger(synced.project.ledger) as ledger:
        ledger.approve("another", "desk", "Ann")
        assert codes(status(synced.project)) == ["P209"]
        ledger.approve(made.id, "desk", "Ann")
    assert (status(synced.project).targets[0].plan, codes(status(synced.project))) == (None, [])


def test_a_call_that_nobody_can_find_out_about_needs_a_person(synced: Shop) -> None:
    call = Sending("accounts", "customer", 1, "change", "1", "{}", "f", "001A")
    with Ledger(synced.project.ledger) as ledger, ledger.lock(lock_name("desk")) as lock:
        [intent] = ledger.intend(lock, "desk", [call], "plan")
        found = status(synced.project)
        assert (found.targets[0].unanswered, found.targets[0].held, codes(found)) == (1, 0, [])
        ledger.conclude(lock, [Result(intent.id, Outcome("unknown", message="no answer"), hold=True)])
        found = status(synced.project)
        assert (found.targets[0].unanswered, found.targets[0].held, codes(found)) == (0, 1, ["P215"])


def test_a_closed_gate_needs_a_person_until_a_run_opens_it(synced: Shop) -> None:
    rule = synced.project.root / "quality" / "sales_order.yaml"
    rule.parent.mkdir(exist_ok=True)
    rule.write_text(
        "entity: sales_order\nrules: {small: {range: {column: total, most: 100}, severity: block, message: small}}\n"
    )
    strict = Shop(load_project(synced.project.root), dict(synced.sequences))
    strict.pulled([order(5, total_price="500.00"), order(6)])
    strict.sync()
    found = status(strict.project)
    assert codes(found) == ["Q311"]
    assert "for sales_order: 1 row held" in found.findings[0].what
    assert "small" in found.findings[0].fix
    rule.unlink()
    synced.sync()
    assert codes(status(synced.project)) == []


def test_a_warehouse_that_is_gone_needs_a_person(synced: Shop) -> None:
    synced.project.warehouse.unlink()
    assert codes(status(synced.project)) == ["W143"]


def test_on_the_command_line(synced: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(synced.project.root)
    calm = CliRunner().invoke(app, ["status"])
    assert calm.exit_code == 0, calm.output
    assert "✓ nothing waits for a person" in calm.output
    late = CliRunner().invoke(app, ["status", "--max-age", "0", "--json"])
    assert late.exit_code == 1
    said = json.loads(late.output)
    assert [one["system"] for one in said["systems"]] == ["shop", "desk"]
    assert {one["code"] for one in said["findings"]} == {"P214"}
    assert datetime.fromisoformat(said["systems"][0]["merged_at"]) < datetime.now(UTC)
