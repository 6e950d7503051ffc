"""The gate: bad rows are named and kept, good ones go on, and whatever is not certain keeps it closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from hub.entity import Model
from quality import gate
from quality.gate import GateReport
from quality.results import RuleOutcome, SuiteResult
from quality.rules import Rules

Con = duckdb.DuckDBPyConnection
Make = Callable[..., dict[str, Any]]


def agreeing(con: Con) -> list[SuiteResult]:
    """What Great Expectations would say if it saw the same as the marks."""
    by_suite: dict[str, list[RuleOutcome]] = {}
    for rule, failed in con.execute("SELECT rule, failed FROM gate.verdicts").fetchall():
        by_suite.setdefault(rule.split(".")[0], []).append(RuleOutcome(rule, failed == 0, failed))
    digest = gate.batch.digest(con)
    return [
        SuiteResult(suite, all(o.success for o in found), tuple(found), batch=digest)
        for suite, found in by_suite.items()
    ]


def judged(con: Con, rules: Rules, model: Model) -> GateReport:
    gate.mark(con, rules, model)
    return gate.decide(con, agreeing(con))


def found(con: Con) -> set[tuple[str, str, str, str]]:
    rows = con.execute(
        "SELECT entity, source_id, rule, raw FROM gate.findings WHERE severity = 'quarantine'"
    ).fetchall()
    return set(rows)


def test_the_bad_rows_of_the_sandbox_are_quarantined_and_the_good_are_not(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make, line: Make
) -> None:
    con = run_con(
        {
            "sales_order": [
                order(),
                order("1002", total="36.58"),
                order("1003", currency="EURO"),
                order("1004"),
                order("1005", currency="USD", lifecycle_status="cancelled", cancelled_at="2026-11-19 08:00:00+00"),
                order("1006", line_total="20.00", total="30.58"),
                order("1007", total="35.582"),  # under half a cent: rounding, not an error
                order("1008", line_total=None, charge_total=None, tax_total=None, discount_total=None),
            ],
            "order_line": [
                line(), line("1002"), line("1003"), line("1005"), line("1006"), line("1007"),
                line("1004", quantity=-2, line_total="25.00"),
            ],
            "customer": [
                {"source_id": "8", "name": "Ann Lee", "email": "ann.lee@example.com"},
                {"source_id": "9", "name": " ", "email": None},
                {"source_id": "10", "name": "Bo Berg", "email": None},
            ],
            "payment": [{"sales_order_ref": "1001", "currency": "EUR", "amount": "35.58", "status": "captured"}],
        }
    )  # fmt: skip
    report = judged(con, shipped, model)
    assert found(con) == {
        ("sales_order", "1002", "sales_order.total_adds_up", "total=36.5800 sum=35.5800"),
        ("sales_order", "1003", "sales_order.currency_known", "EURO"),
        ("sales_order", "1004", "order_line.quantity_positive", "1004/7: -2.000000"),
        ("sales_order", "1006", "sales_order.lines_add_up", "line_total=20.0000 sum=25.0000"),
        ("customer", "9", "customer.recognisable", "email=NULL name= "),
        ("customer", "9", "customer.name_there", " "),
    }
    assert not report.closed
    assert report.quarantined == 5
    assert {state.entity: (state.rows, state.quarantined) for state in report.entities}["sales_order"] == (8, 4)
    assert report.counts() == {"passed": 7, "quarantined": 5, "held": 0, "warned": 0}
    assert (
        "Q207 sales_order.currency_known: 1 of 8 rows (quarantine); The currency is no ISO 4217 code" in report.lines()
    )
    heads = con.execute(
        "SELECT count(*) FROM gate.findings f JOIN mapped.sales_order m USING (_row, source_id) WHERE entity = 'sales_order'"
    ).fetchone()
    assert heads == (4,)


def test_more_refunded_than_paid(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make, line: Make
) -> None:
    paid = {"sales_order_ref": "1001", "currency": "EUR", "amount": "20.00"}
    con = run_con(
        {
            "sales_order": [order(refunded_total="20.01"), order("1002", refunded_total="5"), order("1003", refunded_total="40")],
            "order_line": [line(), line("1002"), line("1003")],
            "payment": [{**paid, "status": "captured"}, {**paid, "status": "failed"}],
        }
    )  # fmt: skip
    judged(con, shipped, model)
    assert {(source_id, rule) for _, source_id, rule, _ in found(con)} == {
        ("1001", "sales_order.refunded_at_most_paid"),
        ("1003", "sales_order.refunded_at_most_total"),  # nothing is known of its payments
    }


def test_more_shipped_than_ordered(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make, line: Make
) -> None:
    con = run_con(
        {
            "sales_order": [order(), order("1002"), order("1003")],
            "order_line": [line(fulfilled_quantity=2), line("1002", fulfilled_quantity="2.5"), line("1003")],
        }
    )
    judged(con, shipped, model)
    assert found(con) == {
        ("sales_order", "1002", "order_line.shipped_at_most_ordered", "1002/2: fulfilled_quantity=2.500000 quantity=2.000000")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "entity", "twin"),
    [
        ("order_line.shipped_at_most_ordered", "order_line", {"fulfilled_quantity": "quantity"}),
        ("sales_order.refunded_at_most_paid", "sales_order", {"refunded_total": "0"}),
        (
            "sales_order.total_adds_up",
            "sales_order",
            {"total": "line_total + charge_total + tax_total - discount_total"},
        ),
        ("sales_order.lines_add_up", "order_line", {"line_total": "25"}),
    ],
)
def test_the_rules_across_entities_find_what_is_wrong_and_nothing_else(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make, line: Make, rule: str, entity: str, twin: dict[str, str]
) -> None:  # fmt: skip
    """Each finds the one order that breaks it; with that mended it finds none, so that a rule that always finds would be seen."""
    con = run_con(
        {
            "sales_order": [order(), order("1002", refunded_total="35", total="35.59")],
            "order_line": [line(), line("1002", fulfilled_quantity=3, line_total="24.99")],
            "payment": [{"sales_order_ref": "1002", "currency": "EUR", "amount": "34.99", "status": "captured"}],
        }
    )
    judged(con, shipped, model)
    assert {source for _, source, name, _ in found(con) if name == rule} == {"1002"}
    for column, value in twin.items():
        con.execute(f"UPDATE mapped.{entity} SET {column} = {value}")
    judged(con, shipped, model)
    assert rule not in {name for _, _, name, _ in found(con)}


def test_an_empty_table_and_a_table_without_rules_are_fine(
    run_con: Callable[..., Con], shipped: Rules, model: Model
) -> None:
    con = run_con({"sales_order": [], "order_line": [], "location": [{"code": "1000"}]})
    report = judged(con, shipped, model)
    assert {(state.entity, state.closed) for state in report.entities} == {("sales_order", False), ("location", False)}
    assert not con.execute("SELECT * FROM gate.findings").fetchall()


def test_marking_again_changes_nothing(run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make) -> None:
    con = run_con({"sales_order": [order(currency="EURO")]})
    first = judged(con, shipped, model)
    again = judged(con, shipped, model)
    assert again == first
    assert con.execute("SELECT count(*) FROM gate.findings").fetchone() == (1,)


ONE = "entity: sales_order\nrules:\n  positive: {range: {column: total, above: 0}, message: m%s}\n"


def orders(order: Make, bad: int, good: int) -> dict[str, Any]:
    return {"sales_order": [order(str(n), total="-1" if n < bad else "1") for n in range(bad + good)]}


@pytest.mark.parametrize(
    ("settings", "bad", "closed"),
    [
        ("", 30, False),
        (", severity: block", 1, True),
        (", severity: block", 0, False),
        (", threshold: 0.2", 20, False),  # exactly the share
        (", threshold: 0.2", 21, True),
        (", threshold: 0.2, severity: warn", 21, True),
        (", threshold: 0.01", 9, False),  # too few to mean anything
        (", threshold: 0.01, at_least: 2", 2, True),
    ],
)
def test_what_closes_the_gate(
    run_con: Callable[..., Con],
    write_rules: Callable[..., Rules],
    model: Model,
    order: Make,
    settings: str,
    bad: int,
    closed: bool,
) -> None:
    con = run_con(orders(order, bad, 100 - bad))
    report = judged(con, write_rules(sales_order=ONE % settings), model)
    assert [state.closed for state in report.entities] == [closed]
    assert con.execute("SELECT closed FROM gate.state").fetchall() == [(closed,)]
    assert con.execute("SELECT failed, closed FROM gate.verdicts").fetchall() == [(bad, closed)]
    if closed:
        assert report.held == 100
        assert report.entities[0].why.startswith(("Q301", "Q302"))


def test_a_childs_rule_closes_its_header(
    run_con: Callable[..., Con], write_rules: Callable[..., Rules], model: Model, order: Make, line: Make
) -> None:
    rules = write_rules(
        order_line="entity: order_line\nrules:\n  q: {range: {column: quantity, above: 0}, severity: block, message: m}\n"
    )
    con = run_con({"sales_order": [order()], "order_line": [line(quantity=0)], "customer": [{"name": "Ann Lee"}]})
    report = judged(con, rules, model)
    assert [state.entity for state in report.closed] == ["sales_order"]


def test_few_rows_and_many_are_counted_alike(
    run_con: Callable[..., Con],
    shipped: Rules,
    model: Model,
    order: Make,
    line: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [order(), order(source_id="2", currency="EURO"), order(source_id="3", currency=None, total=Decimal("-1"))]
    con = run_con({"sales_order": rows, "order_line": [line(quantity=0)], "customer": [{"name": None}]})
    fetched = gate.mark(con, shipped, model)
    assert {verdict.failed for verdict in fetched} > {0}
    with monkeypatch.context() as patch:
        patch.setattr(gate, "_FEW", 0)
        assert gate.mark(con, shipped, model) == fetched
    right = gate._counted  # the twin: one that counts a row too many is told
    monkeypatch.setattr(gate, "_counted", lambda answers: right([*answers, answers[0]]))
    assert gate.mark(con, shipped, model) != fetched


def test_until_it_is_decided_the_gate_is_closed(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make
) -> None:
    con = run_con({"sales_order": [order()], "location": [{"code": "1000"}]})
    gate.mark(con, shipped, model)
    report = gate.read(con)
    assert [state.entity for state in report.closed] == ["sales_order"]
    assert "Q305" in report.closed[0].why
    assert not gate.decide_by_marks(con, shipped, model).closed


def broken(results: list[SuiteResult], how: str) -> list[SuiteResult] | None:
    suite = results[0]
    first, *rest = suite.outcomes
    said = {
        "raised": RuleOutcome(first.rule, False, None, "IndexError"),
        "raised though it calls itself a success": RuleOutcome(first.rule, True, 0, "IndexError"),
        "no number": RuleOutcome(first.rule, True, None),
        "another number": RuleOutcome(first.rule, False, 3),
        "a failure without rows": RuleOutcome(first.rule, False, 0),
    }
    if how in said:
        return [replace(suite, outcomes=(said[how], *rest))]
    return {
        "a result is missing": [replace(suite, outcomes=tuple(rest))],
        "the suite could not run": [SuiteResult(suite.suite, False, error="ImportError")],
        "the suite is missing": [],
        "nothing came back": None,
    }[how]


HOW = (
    "raised",
    "raised though it calls itself a success",
    "no number",
    "another number",
    "a failure without rows",
    "a result is missing",
    "the suite could not run",
    "the suite is missing",
    "nothing came back",
)


@pytest.mark.parametrize("how", HOW)
def test_an_answer_that_is_no_answer_keeps_the_gate_closed(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make, how: str
) -> None:
    con = run_con({"sales_order": [order()]})
    gate.mark(con, shipped, model)
    results = agreeing(con)
    assert gate.decide(con, broken(results, how)).closed
    assert con.execute("SELECT closed FROM gate.state").fetchall() == [(True,)]
    assert not gate.decide(con, results).closed, "a later good answer opens it"


def ignores_errors(con: Con, results: list[SuiteResult] | None) -> bool:
    """The broken twin: it looks at `success` only and lets what did not answer pass. True: open."""
    outcomes = [outcome for suite in results or () for outcome in suite.outcomes]
    return all(outcome.success or outcome.error for outcome in outcomes)


def error_is_open(con: Con, results: list[SuiteResult] | None) -> bool:
    """The broken twin: a gate that fails is no reason to stop."""
    try:
        (suite,) = results or ()
        return all(outcome.failed == 0 for outcome in suite.outcomes if outcome.failed is not None)
    except ValueError:
        return True


@pytest.mark.parametrize("twin", [ignores_errors, error_is_open])
def test_the_broken_twins_are_caught(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make, twin: Callable[..., bool]
) -> None:
    con = run_con({"sales_order": [order()]})
    gate.mark(con, shipped, model)
    assert any(twin(con, broken(agreeing(con), how)) for how in HOW), (
        "these cases would not tell the twin from the gate"
    )


def test_a_rule_that_cannot_be_evaluated_closes_its_entity_only(
    run_con: Callable[..., Con], shipped: Rules, model: Model, order: Make
) -> None:
    con = run_con({"sales_order": [order()], "customer": [{"source_id": "8", "name": "Ann Lee"}]})
    con.execute("ALTER TABLE mapped.sales_order DROP COLUMN currency")
    gate.mark(con, shipped, model)
    report = gate.decide(con, agreeing(con))
    assert [state.entity for state in report.closed] == ["sales_order"]
    assert "Q308" in report.closed[0].why


def test_the_same_record_twice_in_a_batch_is_no_duplicate(
    run_con: Callable[..., Con], shipped: Rules, model: Model
) -> None:
    same = {"source_id": "71", "sku": "A-100", "name": "Stapler"}
    con = run_con({"product": [same, same, {"source_id": "72", "sku": "A-101", "name": "Punch"}]})
    assert judged(con, shipped, model).quarantined == 0
    con = run_con({"product": [same, {**same, "source_id": "72"}]})
    assert judged(con, shipped, model).quarantined == 2
