"""Quarantine: grouped by cause, looked at, judged again, dismissed, exported; and what a change would let pass."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from changes_harness import CUSTOMER, ORDERS, Shop, order
from rich.console import Console

from flow import quarantine, show_diff, show_quarantine
from flow.diff import diff
from flow.gate import gate
from flow.map import map
from flow.merge import merge
from flow.publish import fold_and_publish
from flow.quarantine import causes, dismiss, export, replay, show
from flow.rebuild import replay as rebuilt
from flow.report import StepReport
from flow.run import Run
from flow.stage import stage
from hub.config import load_project
from hub.errors import StreamError, UsageError
from hub.secrets import MASK
from quality import judge
from quality.results import RuleOutcome, SuiteResult
from warehouse import cases
from warehouse.duck import connect

ODD = "currency: {at: currency, default: EUR}"
FIXED = "currency: {at: \"if(currency = 'EURO', 'EUR', currency)\", default: EUR}"
LARGE = "entity: sales_order\nrules:\n  small: {range: {column: total, most: %s}, message: An order is small}\n"


def open_cases(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.rows(
        "SELECT source_id, code, count FROM quality.quarantine WHERE closed_at IS NULL AND dismissed_at IS NULL ORDER BY ALL"
    )


def rule(shop: Shop, text: str) -> Shop:
    folder = shop.project.root / "quality"
    folder.mkdir(exist_ok=True)
    (folder / "sales_order.yaml").write_text(text)
    return Shop(load_project(shop.project.root), shop.sequences)


def judged(shop: Shop, *names: str) -> dict[str, int]:
    reports = replay(shop.project, names, expectations=False)
    assert [report.step for report in reports] == ["stage", "map", "gate", "merge"]
    return reports[-1].counts


@pytest.fixture
def waiting(synced: Shop) -> Shop:
    """Orders 11 to 13 say EURO, 14 has a negative total, 15 is fine."""
    bad = [order(number, currency="EURO") for number in (11, 12, 13)]
    synced.pulled([*bad, order(14, total_price="-3.00"), order(15)])
    synced.sync()
    return synced


def test_a_poisoned_order_blocks_no_other(waiting: Shop) -> None:
    assert waiting.rows("SELECT count(*) FROM sales_order WHERE number = '15'") == [(1,)]
    assert open_cases(waiting) == [("11", "Q207", 1), ("12", "Q207", 1), ("13", "Q207", 1), ("14", "Q205", 1)]


def test_five_hundred_with_one_cause_are_one_group(shop: Shop) -> None:
    totals = [f"-{number}.{number % 100:02d}" for number in range(1, 501)]
    shop.pulled([CUSTOMER], "shop/customers")
    shop.pulled(
        [order(number, total_price=total) for number, total in enumerate(totals, 1)] + [order(501, currency="€")]
    )
    rule(shop, "entity: sales_order\nrules:\n  positive: {range: {column: total, above: 0}, message: m}\n"
               "  known: {allowed: {column: currency, list: iso_4217}, message: m}\n").sync()  # fmt: skip
    found = causes(shop.project)
    assert [(row["records"], row["code"], row["field"]) for row in found] == [
        (500, "Q205", "total"),
        (1, "Q207", "currency"),
    ]
    assert len({row["cause"] for row in found}) == 2
    assert len(quarantine.cases(shop.project)) == 501


def test_every_case_says_where_from_and_by_which_mapping(waiting: Shop) -> None:
    said = """SELECT mapping, mapping_version, length(mapping_hash), segment, line, rule, field, message, raw, first_seen = last_seen, run_id
              FROM quality.quarantine WHERE source_id = '11'"""
    (row,) = waiting.rows(said)
    assert row[:9] == ("shop/orders", 1, 16, "shop/orders/2.jsonl", 1, "sales_order.currency_known", "currency", "The currency is no ISO 4217 code", "EURO")  # fmt: skip
    assert row[9] is True
    assert waiting.rows("SELECT count(*) FROM ops.runs WHERE run_id = $id", id=row[10]) == [(1,)]
    waiting.mapping("shop/orders", ORDERS.replace("shipping", "shipping") + "\n# a remark\n")
    waiting.pulled([order(11, currency="EURO", number="11b")])
    waiting.sync()
    assert waiting.rows(said)[0][1] == 1, "a remark is no version"
    waiting.mapping("shop/orders", ORDERS.replace("number: number", "number: upper(number)"))
    waiting.pulled([order(11, currency="EURO", number="11c")])
    waiting.sync()
    (row,) = waiting.rows(said)
    assert (row[1], row[3], row[9]) == (2, "shop/orders/4.jsonl", False)


def test_a_record_is_shown_as_it_came_without_the_person(waiting: Shop) -> None:
    (one,) = show(waiting.project, "11")
    assert one.record["currency"] == "EURO"
    assert one.record["ship_to"] == {"name": MASK}
    assert one.record["line_items"][0] == {"id": 1, "sku": "a-100", "quantity": 2}
    assert one.record["updated_at"] == "2026-11-18T09:00:00+01:00" or one.record["updated_at"] == MASK
    (plain,) = show(waiting.project, "11", unmask=True)
    assert plain.record["ship_to"] == {"name": "Ann Lee"}
    (cause,) = [row["cause"] for row in causes(waiting.project) if row["code"] == "Q207"]
    assert len(show(waiting.project, cause, limit=2)) == 2
    out = io.StringIO()
    show_quarantine.out, before = Console(file=out, width=160, highlight=False), show_quarantine.out
    try:
        show_quarantine.causes(causes(waiting.project))
        show_quarantine.shown([one])
        show_quarantine.cases(quarantine.cases(waiting.project))
    finally:
        show_quarantine.out = before
    assert (
        f"    3 × {cause} Q207 shop.sales_order.currency: The currency is no ISO 4217 code  e.g. 11, 12, 13"
        in out.getvalue()
    )
    assert "Ann Lee" not in out.getvalue()
    assert "shop/orders version 1 (" in out.getvalue()


def test_only_the_chosen_are_judged_again_and_what_passes_closes_itself(waiting: Shop) -> None:
    (cause,) = [row["cause"] for row in causes(waiting.project) if row["code"] == "Q207"]
    assert judged(waiting, cause)["changed"] == 0, "with nothing corrected nothing passes, and nothing is counted twice"
    assert open_cases(waiting) == [("11", "Q207", 1), ("12", "Q207", 1), ("13", "Q207", 1), ("14", "Q205", 1)]
    waiting.mapping("shop/orders", ORDERS.replace(ODD, FIXED))
    assert judged(waiting, "12") == {"passed": 1, "changed": 1}
    assert [row[0] for row in open_cases(waiting)] == ["11", "13", "14"]
    assert judged(waiting, cause) == {"passed": 2, "changed": 2}
    assert [row[0] for row in open_cases(waiting)] == ["14"]
    assert waiting.rows("SELECT currency FROM sales_order WHERE number IN ('11', '12', '13') GROUP BY 1") == [("EUR",)]
    waiting.pulled([order(14)])
    waiting.sync()
    assert open_cases(waiting) == []


def test_a_record_that_is_left_out_or_fails_for_something_else_no_longer_waits_for_the_old_reason(
    waiting: Shop,
) -> None:
    waiting.mapping("shop/orders", ORDERS.replace("when: number is not null", "when: number <> '14'"))
    judged(waiting, "14")
    assert [row[0] for row in open_cases(waiting)] == ["11", "12", "13"]
    waiting.mapping(
        "shop/orders",
        ORDERS.replace(ODD, FIXED).replace("number: number", "number: \"if(number = '11', null, number)\""),
    )
    judged(waiting, "11")
    assert [row[:2] for row in open_cases(waiting)] == [("11", "M302"), ("12", "Q207"), ("13", "Q207")]


def test_without_that_the_old_reason_would_stay(waiting: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "over_sql", lambda *_: "SELECT 0")
    waiting.mapping("shop/orders", ORDERS.replace("when: number is not null", "when: number <> '14'"))
    judged(waiting, "14")
    assert "14" in [row[0] for row in open_cases(waiting)]


def test_the_other_records_of_a_segment_are_not_touched(waiting: Shop) -> None:
    waiting.mapping(
        "shop/orders", ORDERS.replace("total: total_price", "total: number(total_price) + 1").replace(ODD, FIXED)
    )
    judged(waiting, "11")
    assert waiting.rows("SELECT number, total::INTEGER FROM sales_order WHERE number IN ('11', '15') ORDER BY 1") == [("11", 14), ("15", 13)]  # fmt: skip
    law = "SELECT count(*), count(*) FILTER (holds) FROM ops.count_law"
    assert len(set(waiting.rows(law)[0])) == 1


def test_two_that_are_twice_there_are_judged_together(synced: Shop) -> None:
    shop = rule(synced, "entity: sales_order\nrules:\n  once: {unique: number, message: m}\n")
    shop.pulled([order(21, number="2x"), order(22, number="2x")])
    shop.sync()
    assert [row[:2] for row in open_cases(shop)] == [("21", "Q203"), ("22", "Q203")]
    assert judged(shop, "21")["changed"] == 0
    assert [row[:2] for row in open_cases(shop)] == [("21", "Q203"), ("22", "Q203")]


def test_a_dismissal_is_kept_until_the_content_changes(waiting: Shop) -> None:
    assert dismiss(waiting.project, ["14"], "a test order", "ann") == 1
    assert dismiss(waiting.project, ["14"], "again", "bo") == 0
    assert [row[0] for row in open_cases(waiting)] == ["11", "12", "13"]
    assert [row["code"] for row in causes(waiting.project)] == ["Q207"]
    assert [row["dismissed"] for row in causes(waiting.project, dismissed=True)] == [0, 1]
    kept = "SELECT dismissed_by, dismissed_reason, count FROM quality.quarantine WHERE source_id = '14'"
    waiting.pulled([order(14, total_price="-3.00")])
    waiting.sync()
    assert waiting.rows(kept) == [("ann", "a test order", 2)]
    waiting.pulled([order(14, total_price="-4.00")])
    waiting.sync()
    assert waiting.rows(kept) == [(None, None, 3)]
    assert [row[0] for row in open_cases(waiting)] == ["11", "12", "13", "14"]


def test_a_rebuild_knows_what_was_dismissed(waiting: Shop, tmp_path: Path) -> None:
    import dataclasses

    from warehouse.rebuild import compare

    dismiss(waiting.project, ["13", "14"], "test orders", "ann")
    beside = dataclasses.replace(waiting.project, data=tmp_path / "beside")
    rebuilt(waiting.project, beside)
    con = connect(beside.warehouse)
    said = con.execute("SELECT count(*) FROM quality.quarantine WHERE dismissed_by = 'ann'").fetchall()
    con.close()
    assert said == [(2,)]
    from warehouse.model import entities

    assert compare(waiting.project.warehouse, beside.warehouse, entities()) == []


@pytest.mark.parametrize(("reason", "by"), [("", "ann"), (" ", "ann"), ("test", "")])
def test_a_dismissal_says_why_and_by_whom(waiting: Shop, reason: str, by: str) -> None:
    with pytest.raises(UsageError, match="P537"):
        dismiss(waiting.project, ["14"], reason, by)


def test_what_is_not_there_is_said(waiting: Shop) -> None:
    with pytest.raises(UsageError, match="P536"):
        replay(waiting.project, ["nobody"])
    with pytest.raises(UsageError, match="P536"):
        show(waiting.project, "nobody")


def test_the_rows_of_a_held_batch_come_again_by_themselves(synced: Shop) -> None:
    shop = rule(synced, LARGE.replace("message", "severity: block, message") % 50)
    shop.pulled([order(31, total_price="99.00"), order(32)])
    shop.sync()
    with pytest.raises(UsageError, match="P538"):
        replay(shop.project, ["31"])
    rule(shop, LARGE % 500).sync()
    assert open_cases(shop) == []
    assert shop.rows("SELECT count(*) FROM sales_order WHERE number IN ('31', '32')") == [(2,)]


def test_an_export_is_for_people_without_a_terminal(waiting: Shop, tmp_path: Path) -> None:
    assert export(waiting.project, tmp_path / "waiting.csv") == 4
    rows = list(csv.DictReader((tmp_path / "waiting.csv").open()))
    assert [row["source_id"] for row in rows] == ["11", "12", "13", "14"]
    assert rows[3]["raw"] == "'-3.0000", "no spreadsheet takes it for a formula"
    export(waiting.project, tmp_path / "waiting.ndjson")
    assert [json.loads(line)["code"] for line in (tmp_path / "waiting.ndjson").read_text().splitlines()][3] == "Q205"
    with pytest.raises(UsageError, match="P539"):
        export(waiting.project, tmp_path / "waiting.xls")


def test_a_personal_value_is_exported_only_when_asked_for(synced: Shop, tmp_path: Path) -> None:
    folder = synced.project.root / "quality"
    folder.mkdir()
    (folder / "customer.yaml").write_text(
        "entity: customer\nrules:\n  n: {pattern: {column: name, matches: '[A-Z ]+'}, message: m}\n"
    )
    shop = Shop(load_project(synced.project.root), synced.sequences)
    shop.pulled([{**CUSTOMER, "id": 8, "name": "Bo Berg"}], "shop/customers")
    shop.sync()
    export(shop.project, tmp_path / "a.csv")
    export(shop.project, tmp_path / "b.csv", unmask=True)
    assert "Bo Berg" not in (tmp_path / "a.csv").read_text()
    assert "Bo Berg" in (tmp_path / "b.csv").read_text()


def test_a_diff_of_mappings_says_which_waiting_records_will_pass(waiting: Shop) -> None:
    waiting.mapping("shop/orders", ORDERS.replace(ODD, FIXED))
    found = diff(waiting.project, "shop/orders").passing
    assert [(one.code, one.waiting, one.records, one.examples) for one in found] == [("Q207", 3, 3, ("11", "12", "13"))]
    assert judged(waiting, found[0].cause)["passed"] == 3


def test_a_diff_of_rules_says_so_too_and_what_would_be_stopped(waiting: Shop) -> None:
    shop = rule(waiting, LARGE % 10)
    made = diff(shop.project, "quality/sales_order")
    assert made.rules["sales_order.currency_known"] == (3, 0)
    assert made.rules["sales_order.small"] == (0, 7)
    assert [(one.code, one.records) for one in made.passing] == [("Q205", 1)], "the others are too large now"
    assert made.states["sales_order"]["quarantined"] == (4, 7)
    out = io.StringIO()
    show_diff.diff(made, Console(file=out, width=160))
    assert "1 of 1 × " in out.getvalue()
    assert "sales_order.small: 0 → 7 rows fail" in out.getvalue()
    with pytest.raises(UsageError, match="P535"):
        diff(shop.project, "quality/sales_ordr")


def test_it_changes_what_the_diff_of_rules_said(waiting: Shop) -> None:
    shop = rule(waiting, LARGE % 500)
    (one, other) = diff(shop.project, "quality/sales_order").passing
    assert (one.records, other.records) == (3, 1)
    judged(shop, one.cause, other.cause)
    assert open_cases(shop) == []
    shop.committed()
    assert not diff(shop.project, "quality/sales_order").any


def test_records_that_are_unaccounted_for_stop_a_replay(waiting: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count law is asserted in every run: the broken twin stages the others of the segment without a word."""
    from warehouse import stage as staging

    monkeypatch.setattr(staging, "_leave_others", lambda con, source, only: 4)
    reports: list[StepReport] = []
    with pytest.raises(StreamError, match="read = duplicates"):
        replay(waiting.project, ["11"], expectations=False, on_report=reports.append)
    assert [report.step for report in reports] == ["stage", "map", "gate"]


USUAL = (
    "entity: sales_order\nrules:\n  usual: {volume: {least: 0.5, most: 2}, severity: %s, message: Other than usual}\n"
)


def told(shop: Shop, monkeypatch: pytest.MonkeyPatch, records: Sequence[Any], severity: str = "warn") -> StepReport:
    """A run that is news, at the same time of the same weekday as three others of three orders each."""
    made = rule(shop, USUAL % severity)
    made.project.published.chmod(0o644)  # as if it had been published so
    con = connect(made.project.published)
    con.execute("UPDATE ops.runs SET started_at = started_at - INTERVAL 7 DAY")
    con.execute("INSERT INTO ops.runs BY NAME SELECT 'w' || w AS run_id, 'shop' AS system, min(started_at) - w * INTERVAL 7 DAY AS started_at FROM ops.runs, range(1, 3) r(w) GROUP BY w")  # fmt: skip
    con.execute(
        "INSERT INTO ops.counts SELECT 'w' || w, 'shop', 'orders', 'shop/orders', 'sales_order', 'mapped', 3 FROM range(1, 3) r(w)"
    )
    con.close()
    made.pulled(records)
    monkeypatch.setattr(judge, "evaluate", _agreeing)
    run = Run.start(made.project, "shop")
    for step in (stage, map):
        step(run)
    report = gate(run)
    merge(run)
    fold_and_publish(made.project)
    return report


def _agreeing(run_file: Path, rules: Any) -> list[SuiteResult]:
    con = connect(run_file, read_only=True)
    try:
        digest = con.execute("SELECT digest FROM gate.batch").fetchall()[0][0]
        found = con.execute("SELECT rule, failed FROM gate.verdicts").fetchall()
    finally:
        con.close()
    return [SuiteResult(name, not n, (RuleOutcome(name, not n, n),), batch=digest) for name, n in found]


def test_an_unusual_batch_is_told_since_when_and_until(synced: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    found = "SELECT system, entity, source_id, code, field, raw FROM quality.findings WHERE code = 'Q211'"
    report = told(synced, monkeypatch, [order(number) for number in range(40, 50)])
    assert report.detail["lines"] == [
        "Q211 sales_order.usual: of the whole batch (warn); Other than usual (rows=10 usual=3.0)"
    ]
    assert synced.rows(found) == [("shop", "sales_order", None, "Q211", "*", "rows=10 usual=3.0")]
    assert synced.rows("SELECT count(*) FROM sales_order") == [(13,)]


def test_an_unusual_batch_may_close_the_gate(synced: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    report = told(synced, monkeypatch, [order(number) for number in range(40, 50)], "block")
    assert report.status == "held"
    assert "Q302 sales_order.usual: the batch is not as it has to be" in report.detail["lines"][0]
    assert synced.rows("SELECT count(*) FROM sales_order") == [(3,)]


def test_a_usual_batch_is_not_told(synced: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(synced, monkeypatch, [order(number) for number in range(40, 44)], "block").status == "ok"
    assert synced.rows("SELECT count(*) FROM quality.findings WHERE code = 'Q211'") == [(0,)]
