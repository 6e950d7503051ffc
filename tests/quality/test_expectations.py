"""Great Expectations and the gate's predicates find the same rows; and an expectation that raised opens nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from hub.entity import Model
from quality import data_docs, expectations, gate
from quality.kinds import KINDS
from quality.results import SuiteResult
from quality.rules import Rules

pytestmark = pytest.mark.slow
Make = Callable[..., dict[str, Any]]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

EVERY_KIND = {
    "customer": """entity: customer
rules:
  name_there: {required: name, message: m}
  guest_known: {required: guest, message: m}
  reachable: {any_of: [email, phone], message: m}
  once: {unique: [email, tax_id], message: m}
  tier_known: {allowed: {column: tier, values: [gold, "it's"]}, message: m}
  country: {pattern: {column: country_code, matches: "[A-Z]{2}|(?:x:y)+"}, message: m}
  named: {required: name, when: {guest: [false, ~]}, message: m}
""",
    "sales_order": """entity: sales_order
rules:
  adds_up: {sum: {total: total, plus: [line_total, charge_total], minus: discount_total}, message: m}
  lines: {sum: {total: line_total, plus: order_line.line_total, tolerance: 1}, message: m}
  cheap: {range: {column: total, least: 0, below: 100}, message: m}
  exact: {range: {column: tax_total, above: 0.5, most: 7.25}, message: m}
  recent: {range: {column: ordered_at, least: "2026-11-01"}, message: m}
  refunds: {compare: {left: refunded_total, is: at_most, right: total}, message: m}
  paid: {compare: {left: total, is: equal_to, right: {sum: payment.amount, where: {status: captured}}}, message: m}
  cancelled: {compare: {left: cancelled_at, is: more_than, right: ordered_at}, message: m}
  open_only: {range: {column: total, above: 10}, when: {lifecycle_status: [open, ~]}, message: m}
  fresh: {freshness: {column: ordered_at, hours: 48}, message: m}
  fresh_credit: {freshness: {column: cancelled_at, hours: 1}, severity: block, message: m}
  usual: {volume: {least: 0.5, most: 1.5}, message: m}
  mixed: {distribution: {column: lifecycle_status, most: 0.2}, message: m}
""",
    "order_line": """entity: order_line
rules:
  quantity: {range: {column: quantity, above: 0}, message: m}
  sold_once: {unique: [sku, quantity], message: m}
""",
    "payment": """entity: payment
rules:
  order_there: {reference_exists: sales_order, severity: warn, message: m}
""",
    "account_credit": """entity: account_credit
rules:
  customer_there: {reference_exists: customer, severity: warn, message: m}
  once: {unique: customer, message: m}
""",
}

FEW = (None, "", " ", "a", "b", "gold", "it's", "DE", "de", "x:yx:y", "DE\n")
INSTANTS = (None, "2026-10-31 23:59:59+00", "2026-11-01 00:00:00+00", "2026-11-18 08:00:00+00")
AMOUNTS = ("total", "line_total", "charge_total", "discount_total", "tax_total", "refunded_total")


def world(dice: Random) -> dict[str, Any]:
    """Rows around every edge: missing, blank, half a minor unit, both sides of a bound, references into nothing."""

    def money() -> Decimal | None:
        return dice.choice((None, Decimal(dice.randint(-200, 2000)) / 200, Decimal(dice.randint(0, 12))))

    def order(number: int) -> dict[str, Any]:
        row: dict[str, Any] = {"source_id": str(number), **{name: money() for name in AMOUNTS}}
        if dice.random() < 0.5 and row["line_total"] is not None:
            row["total"] = row["line_total"] + (row["charge_total"] or 0) - (row["discount_total"] or 0)
        row |= {"currency": dice.choice(("EUR", "JPY", "KWD", "EURO", None)), "ordered_at": dice.choice(INSTANTS)}
        return row | {
            "cancelled_at": dice.choice(INSTANTS),
            "lifecycle_status": dice.choice(("open", "cancelled", None)),
        }

    text = ("name", "email", "phone", "tax_id", "tier", "country_code")
    return {
        "customer": [
            {**{name: dice.choice(FEW) for name in text}, "guest": dice.choice((True, False, None)),
             "deleted_at": INSTANTS[3] if number % 5 == 0 else None} for number in range(40)
        ],
        "sales_order": [order(number) for number in range(60)],
        "order_line": [
            {"of": str(dice.randint(0, 59)), "sku": dice.choice(FEW), "quantity": dice.choice((None, -1, 0, 1, 2)),
             "line_total": money()} for _ in range(60)
        ],
        "payment": [
            {"amount": money(), "status": dice.choice(("captured", "failed", None)),
             "sales_order_ref": dice.choice((None, "77", str(dice.randint(0, 59))))} for _ in range(80)
        ],
        "account_credit": [{"customer_ref": dice.choice((None, "1", "2", "77"))} for _ in range(6)],
    }  # fmt: skip


def counted(results: list[SuiteResult]) -> dict[str, int | None]:
    return {outcome.rule: outcome.failed for suite in results for outcome in suite.outcomes}


def usual(dice: Random) -> list[tuple[Any, ...]]:
    """Rows of gate.baseline on both sides of every bound, and sometimes none, or of too few days."""
    days, rows = dice.choice((2, 3, 8, 8)), dice.choice((30, 39, 41, 121, 140))
    shares = dice.choice(({"open": 0.9, "completed": 0.1}, {"open": 0.35, "cancelled": 0.33, "": 0.32}, {}))
    newest = dice.choice((None, "2026-11-17 00:00:00+00", "2026-11-20 11:00:00+00"))
    made: list[tuple[Any, ...]] = [(None, "now", "", None, None, None, "2026-11-20 12:00:00+00")]
    made += [("sales_order", "newest", column, None, None, None, newest) for column in ("ordered_at", "cancelled_at")]
    made += [
        ("sales_order", "rows", "", None, days, rows, None),
        ("sales_order", "today", "", None, None, dice.choice((0, 5)), None),
    ]
    return made + [
        ("sales_order", "share", "lifecycle_status", item, days, share, None) for item, share in shares.items()
    ]


def earlier(dice: Random) -> list[tuple[str, str, list[str]]]:
    """Rows of gate.others: what earlier runs merged, of this system and of another, and sometimes nothing."""
    made = [
        ("customer(email, tax_id)", "cart", [dice.choice(("a", "it's")), dice.choice(("b", "DE"))]),
        ("customer(email, tax_id)", "erp", ["b", "b"]),
        ("order_line(sku, quantity)", "cart", ["a", dice.choice(("1.0000", "2.0000"))]),
        ("account_credit(customer)", "cart", [dice.choice(("1", "77"))]),
        ("sales_order", "cart", ["77"]),
        ("customer", "erp", ["77"]),
    ]
    return dice.choice(([], made, made))


def marked(
    path: Path,
    rules: Rules,
    model: Model,
    baseline: Sequence[tuple[Any, ...]] = (),
    others: Sequence[tuple[str, str, list[str]]] = (),
) -> dict[str, int]:
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        gate.ensure_gate_tables(con)
        for row in baseline:
            con.execute("INSERT INTO gate.baseline VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for one in others:
            con.execute("INSERT INTO gate.others VALUES (?, ?, ?)", one)
        return {verdict.rule: verdict.failed for verdict in gate.mark(con, rules, model)}


@pytest.fixture
def every_kind(write_rules: Callable[..., Rules]) -> Rules:
    rules = write_rules(**EVERY_KIND)
    assert not rules.findings
    assert {type(rule.check).code for rule in rules} == {f"Q2{n:02d}" for n in range(1, len(KINDS) + 1)}
    return rules


def test_both_find_the_same_number_of_rows_for_each_kind(
    run_file: Callable[..., Path], every_kind: Rules, model: Model
) -> None:
    ever_failed: set[str] = set()
    for seed in range(3):
        path = run_file(world(Random(seed)))
        ours = marked(path, every_kind, model, usual(Random(seed)), earlier(Random(seed)))
        results = expectations.evaluate(path, every_kind)
        assert [suite.error for suite in results if suite.error] == []
        assert [o for suite in results for o in suite.outcomes if o.error] == []
        assert counted(results) == ours, seed
        ever_failed.update(rule for rule, failed in ours.items() if failed)
    assert ever_failed == {rule.id for rule in every_kind}, "rows that fail were made for each"


def rows_by_great_expectations(path: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[int]]:
    """Which rows each of its expectations finds, a child's as its header's: those of its own kinds say so, and a query is asked."""
    whole = {"result_format": "COMPLETE", "unexpected_index_column_names": ["_row"], "partial_unexpected_count": 1_000}
    monkeypatch.setattr(expectations, "_FORMAT", whole)
    found: dict[str, Counter[int]] = {}
    for suite in expectations.evaluate(path, rules):
        with duckdb.connect(str(path), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            header = "_parent_row" if rules.model[suite.suite].parent else "_row"
            of = dict(con.execute(f"SELECT _row, {header} FROM mapped.{suite.suite}").fetchall())
            for one in json.loads(suite.json)["results"]:
                if asked := one["arguments"].get("unexpected_rows_query"):
                    asked = asked.replace("\\:", ":").format(batch=f"mapped.{suite.suite}")
                    rows = [row for row, *_ in con.execute(asked).fetchall()]
                else:
                    rows = [int(at["_row"]) for at in one["result"].get("unexpected_index_list") or ()]
                found[one["rule"]] = Counter(of.get(row) for row in rows)
    return found


def test_both_find_the_same_rows_of_each_kind(
    run_file: Callable[..., Path], every_kind: Rules, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_rows = {rule.id for rule in every_kind if not rule.of_batch}
    path = run_file(world(Random(7)))
    marked(path, every_kind, model, others=earlier(Random(7)))
    with duckdb.connect(str(path), read_only=True) as con:
        ours: dict[str, Counter[int]] = {rule: Counter() for rule in of_rows}
        for rule, row in con.execute("SELECT rule, _row FROM gate.findings").fetchall():
            ours[rule][row] += 1
    theirs = rows_by_great_expectations(path, every_kind, monkeypatch)
    assert {rule: rows for rule, rows in theirs.items() if rule in of_rows} == ours
    assert sum(1 for rows in ours.values() if rows) > len(of_rows) * 0.9, "rows that fail were made for nearly each"


def test_an_empty_batch_is_judged_by_what_is_usual(
    run_file: Callable[..., Path], every_kind: Rules, model: Model
) -> None:
    path = run_file({"sales_order": [], "order_line": []})
    ours = marked(path, every_kind, model, [row for row in usual(Random(2)) if row[1] != "newest"] + [
        ("sales_order", "newest", "ordered_at", None, None, None, "2026-11-17 00:00:00+00")
    ])  # fmt: skip
    results = expectations.evaluate(path, every_kind)
    assert counted(results) == ours
    assert ours["sales_order.fresh"] == 1
    assert ours["sales_order.fresh_credit"] == 0, "nothing is known of it"


def test_a_predicate_that_joins_wrongly_is_seen(
    run_file: Callable[..., Path], every_kind: Rules, model: Model, order: Make, line: Make, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The broken twin of the law: sums that multiply because two children are joined before they are grouped."""
    from quality import marks

    path = run_file({"sales_order": [order()], "order_line": [line()]})
    right = marks.Joined._group

    def wrong(self: Any, cte: str, group: Any, columns: Any) -> None:
        right(self, cte, group, columns)
        self.ctes[cte] = self.ctes[cte].replace("sum(", "2 * sum(")

    monkeypatch.setattr(marks.Joined, "_group", wrong)
    ours = marked(path, every_kind, model)
    results = expectations.evaluate(path, every_kind)
    assert counted(results) != ours
    with duckdb.connect(str(path)) as con:
        assert "Q306" in gate.decide(con, results).closed[0].why


def test_what_an_earlier_run_merged_counts(run_file: Callable[..., Path], every_kind: Rules, model: Model) -> None:
    rows = {
        "customer": [{"email": "a", "tax_id": "b"}, {"email": "c", "tax_id": "b"}],
        "sales_order": [],
        "payment": [{"sales_order_ref": "77"}, {"sales_order_ref": "78"}],
    }
    rules = ("customer.once", "payment.order_there")
    for others, expected in (
        ([], (0, 2)),
        ([("customer(email, tax_id)", "cart", ["a", "b"]), ("sales_order", "cart", ["77"])], (1, 1)),
        ([("customer(email, tax_id)", "erp", ["a", "b"]), ("sales_order", "erp", ["77"])], (0, 2)),
    ):
        path = run_file(rows)
        ours = marked(path, every_kind, model, (), others)
        assert tuple(ours[rule] for rule in rules) == expected
        theirs = counted(expectations.evaluate(path, every_kind))
        assert tuple(theirs[rule] for rule in rules) == expected


def test_the_whole_gate(run_file: Callable[..., Path], shipped: Rules, model: Model, order: Make, line: Make) -> None:
    path = run_file(
        {
            "sales_order": [order(), order("1002", currency="EURO")],
            "order_line": [line(), line("1002")],
            "customer": [],
            "location": [{"code": "1000"}],
        }
    )
    marked(path, shipped, model)
    results = expectations.evaluate(path, shipped)
    with duckdb.connect(str(path)) as con:  # the file was let go
        report = gate.decide(con, results)
        kept = con.execute("SELECT suite, success, json FROM gate.results ORDER BY suite").fetchall()
    assert not report.closed
    assert report.quarantined == 1
    assert [(suite, success) for suite, success, _ in kept] == [
        ("customer", True),
        ("order_line", True),
        ("sales_order", False),
    ]
    evidence = json.loads(kept[2][2])
    assert {result["rule"]: result["failed"] for result in evidence["results"]}["sales_order.currency_known"] == 1
    assert "EURO" not in json.dumps([result["result"] for result in evidence["results"]]), "no values of rows are kept"


def test_the_pages_need_nothing_else_and_show_no_values(
    run_file: Callable[..., Path], shipped: Rules, model: Model, order: Make, line: Make, tmp_path: Path
) -> None:
    rows = {"sales_order": [order(), order("1002", currency="EURO", ship_to_name="Ann Lee")], "order_line": [line(), line("1002", quantity=-77125)]}  # fmt: skip
    path = run_file(rows | {"customer": [{"source_id": "8", "name": "Ann Lee", "email": "ann.lee at x", "country_code": "xx"}]})  # fmt: skip
    marked(path, shipped, model)
    into = data_docs.site(tmp_path / "warehouse.duckdb", "cart", "run-1")
    results = expectations.evaluate(path, shipped, into)
    assert not into.folder.exists(), "a verdict does not wait for its pages"
    expectations.publish()
    pages = {one.suite: into.folder / one.page for one in results if one.page}
    assert set(pages) == {"sales_order", "order_line", "customer"}
    said = {path: path.read_text(encoding="utf-8") for path in into.folder.rglob("*.html")}
    assert set(pages.values()) < set(said)
    for path, text in said.items():
        assert fetched(text) == [], path
        assert not any(value in text for value in ("Ann Lee", "ann.lee", "EURO", "-77125", str(tmp_path))), path
    assert (
        "The currency is no ISO 4217 code (sales_order.currency_known, Q207, quarantine)" in said[pages["sales_order"]]
    )
    index = said[into.folder / "index.html"]
    assert all(f'href="{one.page}"' in index for one in results if one.page)
    assert "predicates alone" not in index
    data_docs.judged_alone(replace(into, run="run-2"), NOW, 26)
    later = (into.folder / "index.html").read_text(encoding="utf-8")
    assert "run-2, 2026-11-20 12:00:00 UTC, 26 rows" in later
    assert "last verdict is of run run-1" in later


def test_a_page_as_it_was_made_would_be_fetched_from_elsewhere(
    run_file: Callable[..., Path], shipped: Rules, order: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twin of the last test: the pages of Great Expectations as they are."""
    monkeypatch.setattr(data_docs, "still", lambda html: html)
    into = data_docs.site(tmp_path / "warehouse.duckdb", "cart", "run-1")
    (made,) = (one for one in expectations.evaluate(run_file({"sales_order": [order()]}), shipped, into) if one.page)
    expectations.publish()
    assert len(fetched((into.folder / made.page).read_text(encoding="utf-8"))) > 5


def fetched(html: str) -> list[str]:
    """What a browser would load from elsewhere, or from a file that is not published. A link that a person follows is not."""
    return re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=[^>]*>|url\([^)]*\)|@import[^;]*", html)


def test_old_pages_go_with_their_runs_and_a_broken_list_is_made_anew(tmp_path: Path) -> None:
    built = tmp_path / "built"
    for number in range(data_docs.KEPT_RUNS + 2):
        into = data_docs.site(tmp_path / "warehouse.duckdb", "cart", f"run-{number}")
        page = data_docs.page("customer", into.run, NOW)
        (built / page).parent.mkdir(parents=True, exist_ok=True)
        (built / page).write_text("<head></head>")
        data_docs.publish(built, into, NOW, [SuiteResult("customer", True, page=page)])
        shutil.rmtree(built)
    assert len(list(into.folder.glob("validations/customer/*"))) == data_docs.KEPT_RUNS
    (into.folder / "runs.json").write_text("{")
    assert not data_docs.judged_alone(into, NOW, 3), "nothing is known of a verdict"


def test_an_expectation_that_raises_closes_the_gate_and_the_others_answer(
    run_file: Callable[..., Path], shipped: Rules, model: Model, order: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run_file({"sales_order": [order()], "product": [{"sku": "A-100", "name": "Stapler"}]})
    marked(path, shipped, model)
    query = expectations.query

    def misspelt(rule: Any, *others: Any) -> str:
        text = query(rule, *others)
        return text.replace('"total"', '"totl"') if rule.name == "total_adds_up" else text

    monkeypatch.setattr(expectations, "query", misspelt)
    results = expectations.evaluate(path, shipped)
    raised = {outcome.rule: outcome.error for suite in results for outcome in suite.outcomes if outcome.error}
    assert list(raised) == ["sales_order.total_adds_up"]
    assert "totl" in raised["sales_order.total_adds_up"]
    with duckdb.connect(str(path)) as con:
        report = gate.decide(con, results)
    assert [state.entity for state in report.closed] == ["sales_order"]
    assert "Q303" in report.closed[0].why


@pytest.mark.parametrize(
    ("info", "fine"),
    [
        ({"raised_exception": False, "exception_message": None}, True),
        ({"raised_exception": True, "exception_message": "IndexError"}, False),
        ({"MetricConfigurationID(…)": {"raised_exception": True, "exception_message": "Binder Error"}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_both_shapes_of_exception_info_are_read(info: Any, fine: bool) -> None:
    assert (expectations.raised(info) == "") is fine


def test_a_suite_that_could_not_run_says_so(
    run_file: Callable[..., Path], shipped: Rules, model: Model, order: Make, tmp_path: Path
) -> None:
    path = run_file({"sales_order": [order()]})
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE held AS SELECT 1")  # the writer still has it open
        results = expectations.evaluate(path, shipped)
        gate.mark(con, shipped, model)
        report = gate.decide(con, results)
    assert all(suite.error for suite in results)
    assert "Q304" in report.closed[0].why
    assert all(suite.error for suite in expectations.evaluate(tmp_path / "nothing.duckdb", shipped))


def test_the_gate_does_not_import_great_expectations() -> None:
    program = (
        "import sys, quality.gate, quality.rules, quality.expectations; sys.exit('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], env=dict(os.environ), check=False).returncode == 0
