"""Great Expectations judges the mapped rows by the same rules, in its own words: the second opinion of the gate.

The only importer of great_expectations, which takes some ten seconds (`judge.py` pays them in another process); one
`evaluate` a run, in which each mapped table has a suite and a checkpoint. `publish` makes the pages of it afterwards.
Where it has an expectation for a kind of rule, that is used; else a query that is written another way than the gate's
predicate (a look-up a row instead of a join), so that a mistake in one of the two is seen as a difference.
"""

from __future__ import annotations

import json
import logging
import operator
import os
import re
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hub.entity import Entity, Model
from quality import batch, checks, data_docs, sql
from quality.checks import Amount
from quality.currencies import minor_unit_sql
from quality.data_docs import Site
from quality.results import RuleOutcome, SuiteResult
from quality.rules import Rule, Rules
from quality.sql import is_text, name, stored

# The rollback on close would empty results that are read late, and the writer's file must not be locked.
_ENGINE = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "connect_args": {"read_only": True},
}
_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 0}  # numbers only: values may be personal
_unpublished: list[Callable[[], None]] = []


def warm() -> None:
    """Import what `evaluate` needs. Takes about ten seconds the first time."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # Its import says hundreds of things at INFO, which Airflow would show in the log of every gate.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import duckdb_sqlalchemy  # noqa: F401
    import great_expectations
    import great_expectations.expectations  # noqa: F401

    # This one sets itself back to INFO when it is imported.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)


def evaluate(run_file: Path, rules: Rules, site: Site | None = None) -> list[SuiteResult]:
    """Evaluate a suite for each mapped table that has rules; the run file is opened read-only and let go again.

    Its writer must have closed it. Never raises for what goes wrong in here: the suites then say that they did not run.
    With a `site`, the next `publish` makes the pages.
    """
    suites = sorted({rule.entity for rule in rules})
    try:
        tables, usual, others, digest = _tables(run_file)
    except Exception as error:
        return [SuiteResult(suite, False, error=_said(error)) for suite in suites]
    wanted = [suite for suite in suites if suite in tables]
    full = [suite for suite in wanted if tables[suite] or suite in usual]
    try:
        asked = _evaluate(run_file, rules, full, tables, others, site) if full else []
    except Exception as error:
        asked = [SuiteResult(suite, False, error=_said(error)) for suite in full]
    made = asked + [_empty(suite, rules) for suite in wanted if suite not in full]
    return [replace(suite, batch=digest) for suite in made]


def _tables(run_file: Path) -> tuple[dict[str, int], set[str], set[str], str]:
    """The mapped tables and how many rows they have; of which something is usual; what is known of earlier rows; and the digest."""
    import duckdb

    con = duckdb.connect(str(run_file), read_only=True)
    try:
        found = con.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'mapped'").fetchall()
        counts = {table: con.execute(f"SELECT count(*) FROM mapped.{name(table)}").fetchone() for (table,) in found}
        digest = batch.recorded(con) or batch.digest(con)
        usual, others = _kept(con, "baseline", "entity"), _kept(con, "others", "what")
    finally:
        con.close()
    rows = {table: int(row[0]) if row else 0 for table, row in counts.items()}
    return rows, usual, others, digest


def _kept(con: Any, table: str, column: str) -> set[str]:
    there = con.execute("SELECT 1 FROM duckdb_tables() WHERE schema_name = 'gate' AND table_name = $1", [table])
    rows = con.execute(f"SELECT DISTINCT {column} FROM gate.{table}").fetchall() if there.fetchone() else []
    return {value for (value,) in rows}


def _empty(suite: str, rules: Rules) -> SuiteResult:
    """No row, no failing row: it is not worth Great Expectations' tenth of a second, and a run has many such tables."""
    outcomes = tuple(RuleOutcome(rule.id, True, 0) for rule in rules.of(suite))
    return SuiteResult(suite, True, outcomes, json=json.dumps({"suite": suite, "success": True, "rows": 0}))


def _evaluate(
    run_file: Path,
    rules: Rules,
    suites: Sequence[str],
    tables: Collection[str],
    others: Collection[str],
    site: Site | None = None,
) -> list[SuiteResult]:
    warm()
    import great_expectations as gx
    from sqlalchemy.engine import URL

    context = gx.get_context(mode="ephemeral")
    # Without this a program's terminal fills with bars.
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    address = URL.create("duckdb", database=str(run_file)).render_as_string()
    source = context.data_sources.add_sql("run", connection_string=address, kwargs=dict(_ENGINE))
    at = datetime.now(UTC)
    try:
        found = [_suite(gx, context, source, rules, suite, tables, others, _run_id(site, at)) for suite in suites]
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()
    if site is None:
        return found
    found = [one if one.error else replace(one, page=data_docs.page(one.suite, site.run, at)) for one in found]
    _unpublished.append(partial(_render, context, site, at, found))
    return found


def _run_id(site: Site | None, at: datetime) -> Any:
    from great_expectations.core.run_identifier import RunIdentifier

    return RunIdentifier(run_name=site.run if site else "run", run_time=at)


def _suite(
    gx: Any,
    context: Any,
    source: Any,
    rules: Rules,
    suite: str,
    tables: Collection[str],
    others: Collection[str],
    run: Any,
) -> SuiteResult:
    """A checkpoint a suite, so that one that cannot be run says nothing about the others."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the schema could also stand in the address
            asset = source.add_table_asset(suite, table_name=suite, schema_name="mapped")
        whole = asset.add_batch_definition_whole_table("whole")
        made = gx.ExpectationSuite(name=suite)
        for rule in rules.of(suite):
            made.add_expectation(expectation(gx, rule, rules.model, tables, others))
        definition = gx.ValidationDefinition(name=suite, data=whole, suite=context.suites.add(made))
        definition = context.validation_definitions.add(definition)
        checkpoint = gx.Checkpoint(name=suite, validation_definitions=[definition], result_format=dict(_FORMAT))
        (validated,) = context.checkpoints.add(checkpoint).run(run_id=run).run_results.values()
        return _result(suite, validated, gx.__version__)
    except Exception as error:
        return SuiteResult(suite, False, error=_said(error))


def publish() -> None:
    """Make the Data Docs of what was evaluated since the last time. Raises what Great Expectations or the disk raises."""
    while _unpublished:
        _unpublished.pop(0)()


def _render(context: Any, site: Site, at: datetime, results: Sequence[SuiteResult]) -> None:
    with TemporaryDirectory() as folder:
        context.add_data_docs_site("data_docs", data_docs.config(Path(folder)))
        context.build_data_docs(site_names=["data_docs"])
        data_docs.publish(Path(folder), site, at, results)


def _result(suite: str, validated: Any, version: str) -> SuiteResult:
    outcomes = tuple(_outcome(result) for result in validated.results)
    evidence = {
        "great_expectations": version,
        "suite": suite,
        "success": bool(validated.success),
        "statistics": validated.statistics,
        "results": [
            {
                "rule": outcome.rule,
                "expectation": result.expectation_config.type,
                "arguments": {k: v for k, v in result.expectation_config.kwargs.items() if k != "batch_id"},
                "success": outcome.success,
                "failed": outcome.failed,
                "result": result.result,
                "error": outcome.error,
            }
            for outcome, result in zip(outcomes, validated.results, strict=True)
        ],
    }
    return SuiteResult(suite, bool(validated.success), outcomes, json=json.dumps(evidence, default=str))


def _outcome(result: Any) -> RuleOutcome:
    rule = str((result.expectation_config.meta or {}).get("rule"))
    if error := raised(result.exception_info):
        return RuleOutcome(rule, False, None, error)
    numbers = result.result or {}
    if "observed_value" in numbers:
        failed = numbers["observed_value"]
    elif numbers.get("element_count") == 0:
        failed = 0  # of an empty table Great Expectations says None
    else:
        failed = numbers.get("unexpected_count")
    return RuleOutcome(rule, result.success is True, _number(failed))


def _number(value: Any) -> int | None:
    """A number of rows; None for whatever is none."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None
    return number if number is not None and number >= 0 else None


def raised(info: Any) -> str:
    """What an `exception_info` says was raised, or an empty text.

    It comes in two shapes: one dictionary, or a dictionary of them by metric, without the key at the top. Only the
    plain statement that nothing was raised counts as such.
    """
    if isinstance(info, dict) and info.get("raised_exception") is False:
        return ""
    inner = [part for part in info.values() if isinstance(part, dict)] if isinstance(info, dict) else []
    said = [part.get("exception_message") for part in ([info] if isinstance(info, dict) else []) + inner]
    return next((_without_values(str(text)) for text in said if text), "no statement about exceptions")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {_without_values(str(error))}"


def _without_values(text: str) -> str:
    """The first line without what it quotes: a value may be personal."""
    return re.sub(r"'[^']*'?", "'…'", (text.splitlines() or [""])[0])[:300]


# Expectations, a kind of rule each


class LookedUp:
    """One row of a mapped table, with what it needs of others looked up row by row."""

    def __init__(self, entity: Entity, model: Model, tables: Collection[str], others: Collection[str] = ()) -> None:
        self.entity, self.model, self.tables, self.others = entity, model, tables, others

    def column(self, column: str) -> str:
        return f"m.{name(stored(self.entity, column))}"

    def minor_unit(self, currency: str) -> str:
        return minor_unit_sql(self.column(currency))

    def amount(self, amount: Amount) -> str:
        if amount.entity is None:
            return self.column(amount.column)
        if amount.entity not in self.tables:
            return "CAST(NULL AS DECIMAL(38, 4))"
        other = self.model[amount.entity]
        tie = f"o.{name(stored(other, amount.via))} = m.source_id" if amount.via else "o._parent_row = m._row"
        where = "".join(f" AND {c.sql(f'o.{name(stored(other, c.column))}')}" for c in amount.where)
        return (
            f"(SELECT sum(o.{name(amount.column)}) FROM mapped.{other.name} AS o"
            f" WHERE o.system = m.system AND {tie}{where})"
        )

    def repeated(self, columns: tuple[str, ...]) -> str:
        same = " AND ".join(f"o.{name(stored(self.entity, c))} = {self.column(c)}" for c in ("system", *columns))
        other = f"{same} AND o.source_id <> m.source_id{sql.living(self.entity, 'o')}"
        here = f"EXISTS (SELECT 1 FROM mapped.{self.entity.name} AS o WHERE {other})"
        what = sql.others(self.entity, columns)
        return f"({here} OR {self._earlier(what, columns)})" if what in self.others else here

    def _earlier(self, what: str, columns: Sequence[str]) -> str:
        same = "".join(f" AND o.key[{n}] = CAST({self.column(c)} AS VARCHAR)" for n, c in enumerate(columns, 1))
        return (
            f"EXISTS (SELECT 1 FROM gate.others AS o WHERE o.what = {sql.literal(what)} AND o.system = m.system{same})"
        )

    def absent(self, column: str, entity: str) -> str:
        if entity not in self.tables:
            return "false"
        there = f"SELECT 1 FROM mapped.{entity} AS o WHERE o.system = m.system AND o.source_id = {self.column(column)}"
        earlier = f" AND NOT {self._earlier(entity, [column])}" if entity in self.others else ""
        return f"{self.column(column)} IS NOT NULL AND NOT EXISTS ({there}){earlier}"


def expectation(gx: Any, rule: Rule, model: Model, tables: Collection[str], others: Collection[str] = ()) -> Any:
    """The expectation that says the same as the rule; its meta names the rule, its description is what people read."""
    entity, told = model[rule.entity], f"{rule.message} ({rule.id}, {rule.code}, {rule.severity})"
    said = {"meta": {"rule": rule.id}, "description": told.replace("$", "$$")}
    native = _NATIVE.get(type(rule.check))
    if native and not rule.when and (settings := native(rule.check, entity)):
        kind, arguments = settings
        return getattr(gx.expectations, kind)(**arguments, **said)
    return _counting(gx)(unexpected_rows_query=query(rule, entity, model, tables, others), **said)


@cache
def _counting(gx: Any) -> Any:
    """`UnexpectedRowsExpectation` that asks how many rows there are and not also which: half the time, and no row leaves the file."""

    class UnexpectedRowsCounted(gx.expectations.UnexpectedRowsExpectation):
        metric_dependencies = ("unexpected_rows_query.row_count",)

        def _validate(self, metrics: dict[str, Any], *others: Any, **more: Any) -> Any:
            return super()._validate({**metrics, "unexpected_rows_query.table": []}, *others, **more)

    return UnexpectedRowsCounted


def query(rule: Rule, entity: Entity, model: Model, tables: Collection[str], others: Collection[str] = ()) -> str:
    """The rows that fail, as a query over `{batch}`."""
    row = LookedUp(entity, model, tables, others)
    if isinstance(rule.check, checks.OfBatch):
        again = rule.check.deviations_again(entity)
        return f"WITH m AS (SELECT * FROM {{batch}}) SELECT * FROM ({_escaped(again)})"
    if isinstance(rule.check, checks.Pattern):
        text = rule.check.matches.replace("'", "''")
        failed = f"NOT regexp_matches({row.column(rule.check.column)}, '^({text})$')"
    else:
        failed = rule.check.failed(row)
    where = " AND ".join(f"({part})" for part in (*(c.sql(row.column(c.column)) for c in rule.when), failed))
    return f"WITH m AS (SELECT * FROM {{batch}}) SELECT m._row FROM m WHERE {_escaped(where)}"


def _escaped(text: str) -> str:
    """Great Expectations formats braces, and SQLAlchemy takes `:word` for a parameter."""
    return re.sub(r"(?<![\\:]):(?=\w)", r"\\:", text).replace("{", "{{").replace("}", "}}")


Native = Callable[[Any, Entity], "tuple[str, dict[str, Any]] | None"]


def _required(check: checks.Required, entity: Entity) -> tuple[str, dict[str, Any]] | None:
    if is_text(entity, check.column):
        return None  # a blank text is missing, too
    return "ExpectColumnValuesToNotBeNull", {"column": stored(entity, check.column)}


def _range(check: checks.Range, entity: Entity) -> tuple[str, dict[str, Any]] | None:
    low, high = (
        check.above if check.above is not None else check.least,
        check.below if check.below is not None else check.most,
    )
    both = (check.above is not None and check.least is not None) or (check.below is not None and check.most is not None)
    if both or any(bound is not None and not isinstance(bound, int) for bound in (low, high)):
        return None  # a Decimal would pass through a float
    strict = {"strict_min": check.above is not None, "strict_max": check.below is not None}
    return "ExpectColumnValuesToBeBetween", {"column": check.column, "min_value": low, "max_value": high, **strict}


def _allowed(check: checks.Allowed, entity: Entity) -> tuple[str, dict[str, Any]] | None:
    if len(check.values) > 20:
        return None  # every argument is copied some ten times: 180 currencies would take longer than the query
    return "ExpectColumnValuesToBeInSet", {"column": check.column, "value_set": list(check.values)}


def _compare(check: checks.Compare, entity: Entity) -> tuple[str, dict[str, Any]] | None:
    sides = {"at_least": (check.left, check.right), "more_than": (check.left, check.right)}
    sides |= {"at_most": (check.right, check.left), "less_than": (check.right, check.left)}
    if check.operator not in sides or check.left.entity or check.right.entity:
        return None
    greater, smaller = sides[check.operator]
    return "ExpectColumnPairValuesAToBeGreaterThanB", {
        "column_A": greater.column,
        "column_B": smaller.column,
        "or_equal": check.operator in ("at_least", "at_most"),
        "ignore_row_if": "either_value_is_missing",
    }


_NATIVE: dict[type, Native] = {
    checks.Required: _required,
    checks.Range: _range,
    checks.Allowed: _allowed,
    checks.Compare: _compare,
}
