"""200 gate suites that go wrong in different ways: no row passes. Without a fault they all pass, so that the test can fail.

Great Expectations is played by a stand-in that answers as it does, so that no case pays for its import; the code that reads its
answers is the gate's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from hub.entity import Model
from quality import expectations, gate
from quality.judge import Judge
from quality.results import SuiteResult
from quality.rules import Rules

Con = duckdb.DuckDBPyConnection
FINE = {"raised_exception": False, "exception_traceback": None, "exception_message": None}
TEXTS = {
    "sales_order": """entity: sales_order
rules:
  positive: {range: {column: total, above: 0}, message: m}
  named: {required: number, message: m}
  known: {allowed: {column: currency, list: iso_4217}, message: m}
""",
    "order_line": """entity: order_line
rules:
  quantity: {range: {column: quantity, above: 0}, message: m}
  priced: {required: unit_price, severity: warn, message: m}
""",
}
RULES = [f"{entity}.{name}" for entity, names in (("sales_order", "positive named known"), ("order_line", "quantity priced")) for name in names.split()]  # fmt: skip


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


# What goes wrong with the answer about one rule; the answer is changed in place or another one is given.
ANSWERS: dict[str, Callable[[Any], Any]] = {
    "raised": lambda r: vars(r).update(exception_info={"raised_exception": True, "exception_message": "IndexError"}),
    "raised, and says that it was a success": lambda r: vars(r).update(success=True, exception_info={"raised_exception": True, "exception_message": "x"}),
    "raised by metric": lambda r: vars(r).update(exception_info={"MetricConfigurationID(a)": {"raised_exception": True, "exception_message": "Binder Error"}}),
    "one metric of two raised": lambda r: vars(r).update(exception_info={"a": {"raised_exception": False, "exception_message": None}, "b": {"raised_exception": True, "exception_message": "y"}}),
    "nothing about exceptions": lambda r: vars(r).update(exception_info=None),
    "an empty exception_info": lambda r: vars(r).update(exception_info={}),
    "exception_info is a text": lambda r: vars(r).update(exception_info="Traceback"),
    "no result": lambda r: vars(r).update(result=None),
    "an empty result": lambda r: vars(r).update(result={}),
    "no number": lambda r: vars(r).update(result={"element_count": 2, "unexpected_count": None}),
    "the number is a text": lambda r: vars(r).update(result={"observed_value": "0"}),
    "the number is NaN": lambda r: vars(r).update(result={"observed_value": float("nan")}),
    "the number is false": lambda r: vars(r).update(result={"observed_value": False}),
    "the number is negative": lambda r: vars(r).update(result={"observed_value": -1}, success=False),
    "another number": lambda r: vars(r).update(result={"observed_value": 7}, success=False),
    "a truncated result": lambda r: vars(r).update(result={"partial_unexpected_list": []}),
    "failed without rows": lambda r: vars(r).update(success=False),
    "success is no answer": lambda r: vars(r).update(success=None),
    "success is a text": lambda r: vars(r).update(success="true"),
    "the rule is not named": lambda r: setattr(r.expectation_config, "meta", None),
    "another rule is named": lambda r: setattr(r.expectation_config, "meta", {"rule": "sales_order.other"}),
    "it was not answered": lambda r: "dropped",
    "it was answered twice": lambda r: "doubled",
    "the answer is nothing": lambda r: "nothing",
}  # fmt: skip
# What goes wrong with a suite: at a place of Great Expectations, or with what came of it.
ERRORS = (IndexError("list index out of range"), RuntimeError("timeout"), MemoryError(), KeyError("metric"), OSError("disk full"))  # fmt: skip
PLACES = ("add_table_asset", "ExpectationSuite", "add_expectation", "ValidationDefinition", "Checkpoint", "run")
SUITES: dict[str, Callable[[SuiteResult], SuiteResult | None]] = {
    "is of another batch": lambda s: replace(s, batch="0123456789abcdef"),
    "says nothing of its batch": lambda s: replace(s, batch=""),
    "has an error beside its answers": lambda s: replace(s, error="IndexError"),
    "has no answers": lambda s: replace(s, outcomes=()),
    "is missing": lambda s: None,
    "says another thing than its rules": lambda s: replace(s, success=False),
    "is half there": lambda s: replace(s, outcomes=s.outcomes[:-1]),
    "is another suite's": lambda s: replace(s, suite="customer", outcomes=()),
}
WHOLE: dict[str, Callable[[list[SuiteResult]], Any]] = {
    "nothing came back": lambda found: None,
    "no suite came back": lambda found: [],
    "every suite came twice": lambda found: found * 2,
}


class StandIn:
    """Great Expectations, a source and a batch in one: it answers what the predicates found, but for one fault."""

    def __init__(
        self, truth: dict[str, int], rule: str = "", how: str = "", place: str = "", error: Any = None
    ) -> None:
        self.truth, self.rule, self.how = truth, rule, how
        self.__version__ = "1.24.1"
        self.expectations = SimpleNamespace()
        if place:
            setattr(self, place, raising(error))

    def expected(self, rule: Any, *_: Any) -> Any:
        return rule.id

    def add_table_asset(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(add_batch_definition_whole_table=lambda _: None)

    def ExpectationSuite(self, name: str) -> Any:  # noqa: N802
        self.asked: list[str] = []
        return SimpleNamespace(add_expectation=self.add_expectation)

    def add_expectation(self, rule: str) -> None:
        self.asked.append(rule)

    def ValidationDefinition(self, **_: Any) -> Any:  # noqa: N802
        return self

    Checkpoint = ValidationDefinition

    @property
    def suites(self) -> Any:
        return SimpleNamespace(add=lambda made: made)

    validation_definitions = checkpoints = suites

    def run(self, **_: Any) -> Any:
        results = []
        for rule in self.asked:
            config = SimpleNamespace(meta={"rule": rule}, type="unexpected_rows_expectation", kwargs={})
            n = self.truth[rule]
            one = SimpleNamespace(
                expectation_config=config, success=n == 0, result={"observed_value": n}, exception_info=dict(FINE)
            )
            become = ANSWERS[self.how](one) if rule == self.rule else None
            results += {"dropped": [], "doubled": [one, one], "nothing": [None]}.get(become, [one])
        said = SimpleNamespace(results=results, success=all(one.success for one in results if one), statistics={})
        return SimpleNamespace(run_results={"key": said})


@pytest.fixture
def bench(run_file: Callable[..., Path], write_rules: Callable[..., Rules], model: Model, order: Any, line: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Con, Callable[..., list[SuiteResult]]]]:  # fmt: skip
    """A marked run file of two good orders, and a function that evaluates it with a fault."""
    rules = write_rules(**TEXTS)
    path = run_file({"sales_order": [order(), order("1002")], "order_line": [line(), line("1002")]})
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        truth = {verdict.rule: verdict.failed for verdict in gate.mark(con, rules, model)}
        digest = gate.batch.digest(con)
        monkeypatch.setattr(
            expectations, "_tables", lambda _: ({"sales_order": 2, "order_line": 2}, set(), set(), digest)
        )
        monkeypatch.setattr(expectations, "expectation", lambda gx, rule, *_: rule.id)

        def evaluated(suites: str = "sales_order order_line", **fault: Any) -> list[SuiteResult]:
            def asked(_: Path, rules: Rules, full: Any, tables: Any, *__: Any) -> list[SuiteResult]:
                fine = StandIn(truth)
                bad = StandIn(truth, **fault)
                picked = {suite: bad if suite in suites.split() else fine for suite in full}
                return [
                    expectations._suite(one, one, one, rules, suite, tables, (), None) for suite, one in picked.items()
                ]

            monkeypatch.setattr(expectations, "_evaluate", asked)
            return expectations.evaluate(path, rules)

        yield con, evaluated


Case = tuple[str, Callable[[Callable[..., list[SuiteResult]]], Any]]


def cases() -> Iterator[Case]:
    """Each is a name, and what `evaluated` gives with that fault."""
    for rule, how in itertools.product(RULES, ANSWERS):
        yield f"{rule}: {how}", lambda evaluated, r=rule, h=how: evaluated(rule=r, how=h)
    for suite, place, error in itertools.product(("sales_order", "order_line"), PLACES, ERRORS):
        yield (
            f"{suite}: {place} raises {error!r}",
            lambda evaluated, s=suite, p=place, e=error: evaluated(s, place=p, error=e),
        )
    for number, how in itertools.product((0, 1), SUITES):
        yield f"suite {number} {how}", lambda evaluated, n=number, h=how: _with(evaluated(), n, h)
    for how in WHOLE:
        yield how, lambda evaluated, h=how: WHOLE[h](evaluated())


def _with(found: list[SuiteResult], number: int, how: str) -> list[SuiteResult]:
    changed = SUITES[how](found[number])
    return [one for one in (*found[:number], changed, *found[number + 1 :]) if one is not None]


def passing(con: Con) -> int:
    """The rows that a merge would take."""
    rows = con.execute(
        """SELECT count(*) FROM mapped.sales_order m WHERE NOT (SELECT bool_or(closed IS NOT FALSE) FROM gate.state WHERE entity = 'sales_order')
           AND _row NOT IN (SELECT _row FROM gate.findings WHERE severity <> 'warn')"""
    ).fetchall()
    return int(rows[0][0])


def ignores_success(con: Con, results: Any) -> int:
    """The broken twin: a suite that says nothing against a row lets it pass, whatever it says of its success."""
    return 0 if any((one.failed or 0) > 1 for suite in results or () for one in suite.outcomes) else 2


def error_is_open(con: Con, results: Any) -> int:
    """The broken twin: what raised, could not run or is missing is no reason to stop."""
    return 2 if all(one.error or one.success for suite in results or () for one in suite.outcomes) else 0


def test_no_row_passes_200_gates_that_go_wrong_in_different_ways(bench: tuple[Con, Callable[..., Any]]) -> None:
    con, evaluated = bench
    gate.decide(con, evaluated())
    assert passing(con) == 2, "without a fault both orders pass"
    open_for = {"ignore success": 0, "error is open": 0}
    let: list[str] = []
    tried = list(cases())
    for name, fault in tried:
        results = fault(evaluated)
        report = gate.decide(con, results)
        if passing(con) or report.counts()["passed"]:
            let.append(name)
        open_for["ignore success"] += ignores_success(con, results)
        open_for["error is open"] += error_is_open(con, results)
    assert len({name for name, _ in tried}) + len(STORES) + len(PROCESSES) >= 200
    assert let == []
    assert open_for["ignore success"] > 0, "these cases would not tell the twin from the gate"
    assert open_for["error is open"] > 0
    gate.decide(con, evaluated())
    assert passing(con) == 2, "a later good answer opens it"


PROCESSES = ("killed", "silent")
STORES = (
    "batch",
    "verdicts",
    "results",
    "state",
    "findings",
    "_write_verdicts",
    "_write_states",
    "read",
    "_read_verdicts",
)


@pytest.mark.parametrize("place", STORES)
def test_no_row_passes_when_the_verdict_cannot_be_written(bench: tuple[Con, Callable[..., Any]], place: str, monkeypatch: pytest.MonkeyPatch, write_rules: Callable[..., Rules], model: Model) -> None:  # fmt: skip
    con, evaluated = bench
    results = evaluated()
    if place.startswith(("_", "read")):
        monkeypatch.setattr(gate, place, raising(duckdb.IOException("disk full")))
        with pytest.raises(duckdb.Error):
            gate.decide(con, results)
        if place != "read":
            assert passing(con) == 0
        return
    con.execute(f"ALTER TABLE gate.{place} RENAME TO gone")
    rules = write_rules(**TEXTS)
    monkeypatch.setattr(gate, "ensure_gate_tables", lambda _: None)  # it would make the lost table again
    with pytest.raises(duckdb.Error):
        judged(con, rules, model, results)
    con.execute(f"ALTER TABLE gate.gone RENAME TO {place}")
    assert passing(con) == 0


def judged(con: Con, rules: Rules, model: Model, results: Any) -> None:
    gate.mark(con, rules, model)
    gate.decide(con, results)


def test_rows_that_changed_after_the_verdict_are_not_of_its_batch(bench: tuple[Con, Callable[..., Any]]) -> None:
    con, evaluated = bench
    gate.decide(con, evaluated())
    assert gate.is_of_this_batch(con)
    con.execute("UPDATE mapped.sales_order SET total = total + 0.0001 WHERE source_id = '1002'")
    assert not gate.is_of_this_batch(con)
    con.execute("UPDATE mapped.sales_order SET total = total - 0.0001 WHERE source_id = '1002'")
    assert gate.is_of_this_batch(con)
    con.execute("DELETE FROM gate.batch")
    assert not gate.is_of_this_batch(con)


@pytest.mark.parametrize("how", PROCESSES)
def test_a_process_that_gives_no_answer_found_nothing(bench: tuple[Con, Callable[..., Any]], how: str, tmp_path: Path, write_rules: Callable[..., Rules]) -> None:  # fmt: skip
    con, _ = bench
    judge = Judge(seconds=0.05)
    if how == "killed":
        judge.process.kill()
        judge.process.wait()
    results = judge.evaluate(tmp_path / "run.duckdb", write_rules(**TEXTS))
    assert [suite.suite for suite in results] == ["order_line", "sales_order"]
    assert all("no answer" in suite.error for suite in results)
    gate.decide(con, results)
    assert passing(con) == 0
    assert not judge.alive
