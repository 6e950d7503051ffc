"""The gate: marks the rows that fail a rule, then decides for each entity whether it is open.

`mark` runs the predicates over the run file and leaves every entity that has a rule closed, because nothing is decided
yet. `decide` reads what Great Expectations found on the same rows and opens what may be opened. An answer that is
missing, an error, or two answers that differ keep the gate closed; so does a run that ends between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import duckdb

from hub.entity import Entity, Model
from quality import marks
from quality.results import SuiteResult
from quality.rules import Rule, Rules
from quality.sql import literal, name
from quality.tables import ensure_gate_tables

UNDECIDED = "Q305 the gate was not decided: the expectations were not evaluated"
_OF_MARKS = ("Q301", "Q302", "Q308")
_VERDICT = ("entity", "rule", "code", "severity", "checked", "failed", "threshold", "closed", "why")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule found: of `checked` rows `failed`. `why` says what closes the gate, and is empty where nothing does."""

    entity: str
    rule: str
    code: str
    severity: str
    checked: int
    failed: int
    threshold: float | None
    closed: bool
    why: str


@dataclass(frozen=True, slots=True)
class EntityState:
    """One header entity: its rows, how many of them are quarantined or warned of, and whether the gate is closed."""

    entity: str
    rows: int
    quarantined: int
    warned: int
    closed: bool
    why: str


@dataclass(frozen=True, slots=True)
class GateReport:
    entities: tuple[EntityState, ...]
    verdicts: tuple[Verdict, ...]
    messages: Mapping[str, str] = field(default_factory=dict)  # of the rules that found something

    @property
    def closed(self) -> tuple[EntityState, ...]:
        return tuple(state for state in self.entities if state.closed)

    @property
    def quarantined(self) -> int:
        return sum(state.quarantined for state in self.entities if not state.closed)

    @property
    def held(self) -> int:
        return sum(state.rows for state in self.closed)

    def counts(self) -> dict[str, int]:
        rows = sum(state.rows for state in self.entities)
        counts = {"passed": rows - self.quarantined - self.held, "quarantined": self.quarantined, "held": self.held}
        return {**counts, "warned": sum(state.warned for state in self.entities)}

    def lines(self) -> list[str]:
        """What a person reads: closed entities first, then each rule that found something."""
        shut = [f"{state.entity}: closed, {state.rows:,} rows held; {state.why}" for state in self.closed]
        found = [
            f"{v.code} {v.rule}: {v.failed:,} of {v.checked:,} rows ({v.severity}); {self.messages.get(v.rule, '')}"
            for v in self.verdicts
            if v.failed
        ]
        return shut + found


def mark(con: duckdb.DuckDBPyConnection, rules: Rules, model: Model) -> GateReport:
    """Evaluate every rule on mapped.* and write gate.findings, gate.verdicts and gate.state anew. Idempotent.

    Entities with rules stay closed until `decide`; tables of entities that the run does not feed are not looked at.
    """
    ensure_gate_tables(con)
    tables = mapped_tables(con, model)
    filled = {table for table, rows in _rows(con, tables).items() if rows}
    verdicts: list[Verdict] = []
    inserts: list[str] = []
    for entity in (model[table] for table in tables):
        if entity.name not in filled:
            verdicts += [_verdict(entity, rule, 0, 0, "") for rule in rules.of(entity.name)]
            continue
        found, statements = _look(con, entity, rules.of(entity.name), model, tables)
        verdicts += found
        inserts += statements
    con.execute("BEGIN")
    try:
        for table in ("findings", "verdicts", "results", "state"):
            con.execute(f"DELETE FROM gate.{table}")
        for statement in inserts:
            con.execute(statement)
        _write_verdicts(con, verdicts)
        ruled = {verdict.entity for verdict in verdicts}
        states = {t: UNDECIDED if t in ruled else "" for t in tables if not model[t].parent}
        _write_states(con, states)
        con.execute("COMMIT")
    except BaseException:
        con.execute("ROLLBACK")
        raise
    return read(con)


def decide(con: duckdb.DuckDBPyConnection, results: Sequence[SuiteResult] | None) -> GateReport:
    """Open what the marks and the expectations agree may be opened, and write the verdict.

    `results` is what `expectations.evaluate` gave for this run file; None and an empty list are missing results.
    """
    given = {outcome.rule: (suite, outcome) for suite in results or () for outcome in suite.outcomes}
    broken = {suite.suite: suite.error for suite in results or () if suite.error}
    verdicts = []
    for verdict in _read_verdicts(con):
        table = verdict.rule.split(".")[0]
        if table in broken:
            said = f"Q304 suite {table} could not be run: {broken[table]}"
        elif verdict.rule not in given:
            said = f"Q305 {verdict.rule} has no result"
        else:
            suite, outcome = given[verdict.rule]
            if outcome.error or outcome.failed is None:
                said = f"Q303 {verdict.rule} raised: {outcome.error or 'it gave no number'}"
            elif outcome.failed != verdict.failed or outcome.success != (outcome.failed == 0):
                said = f"Q306 {verdict.rule}: {verdict.failed:,} rows by the predicate, {outcome.failed:,} by {suite.engine}"
            else:
                said = ""
        verdicts.append(_also(verdict, said))
    return _settle(con, verdicts, results or ())


def decide_by_marks(con: duckdb.DuckDBPyConnection) -> GateReport:
    """Decide without Great Expectations: for a replay of runs it has judged before, and for micro-batches."""
    return _settle(con, [_also(verdict, "") for verdict in _read_verdicts(con)], ())


def read(con: duckdb.DuckDBPyConnection) -> GateReport:
    """The report as the run file holds it."""
    states = con.execute("SELECT entity, closed, why FROM gate.state").fetchall()
    found = {
        entity: (quarantined, warned)
        for entity, quarantined, warned in con.execute(
            """SELECT entity, count(DISTINCT _row) FILTER (severity <> 'warn'), count(DISTINCT _row) FILTER (severity = 'warn')
            FROM gate.findings GROUP BY entity"""
        ).fetchall()
    }
    rows = _rows(con, [entity for entity, _, _ in states])
    return GateReport(
        tuple(
            EntityState(entity, rows[entity], *found.get(entity, (0, 0)), closed, why) for entity, closed, why in states
        ),
        tuple(_read_verdicts(con)),
        dict(con.execute("SELECT rule, any_value(message) FROM gate.findings GROUP BY rule ORDER BY rule").fetchall()),
    )


def mapped_tables(con: duckdb.DuckDBPyConnection, model: Model) -> list[str]:
    """The entities that this run feeds, in the model's order."""
    there = {
        table
        for (table,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mapped'").fetchall()
    }
    return [entity for entity in model if entity in there]


def _rows(con: duckdb.DuckDBPyConnection, entities: Sequence[str]) -> dict[str, int]:
    """How many mapped rows of each there are, in one question."""
    counts = [f"SELECT {literal(entity)}, count(*) FROM mapped.{name(entity)}" for entity in entities]
    return dict(con.execute(" UNION ALL ".join(counts)).fetchall()) if counts else {}


def _look(
    con: duckdb.DuckDBPyConnection, entity: Entity, rules: Sequence[Rule], model: Model, tables: Sequence[str]
) -> tuple[list[Verdict], list[str]]:
    """The verdicts on one table, and the statements that write its findings."""
    if not rules:
        return [], []
    try:
        counts = con.execute(marks.counts_sql(entity, rules, model, tables)).fetchone() or ()
    except duckdb.Error as error:
        said = f"Q308 the rules of {entity.name} could not be evaluated: {type(error).__name__}"
        return [_verdict(entity, rule, 0, 0, said) for rule in rules], []
    verdicts = [
        _verdict(entity, rule, counts[2 * number], counts[2 * number + 1], "") for number, rule in enumerate(rules)
    ]
    inserts = [
        marks.findings_sql(entity, rule, model, tables)
        for rule, verdict in zip(rules, verdicts, strict=True)
        if verdict.failed
    ]
    return verdicts, inserts


def _verdict(entity: Entity, rule: Rule, checked: int, failed: int, error: str) -> Verdict:
    why = error or _closes(rule, checked, failed)
    threshold = None if rule.threshold is None else float(rule.threshold)
    header = entity.parent or entity.name
    return Verdict(header, rule.id, rule.code, rule.severity, checked, failed, threshold, bool(why), why)


def _closes(rule: Rule, checked: int, failed: int) -> str:
    if rule.severity == "block" and failed:
        return f"Q302 {rule.id}: {failed:,} rows, and none is allowed"
    if rule.threshold is not None and failed >= rule.at_least and Decimal(failed) > rule.threshold * checked:
        return f"Q301 {rule.id}: {failed:,} of {checked:,} rows, more than {rule.threshold:.0%}"
    return ""


def _also(verdict: Verdict, why: str) -> Verdict:
    # What an earlier decision said is not kept: a repeated one stands by itself.
    own = [part for part in verdict.why.split("; ") if part.startswith(_OF_MARKS)]
    said = "; ".join([*own, why] if why else own)
    return replace(verdict, closed=bool(said), why=said)


def _settle(con: duckdb.DuckDBPyConnection, verdicts: Sequence[Verdict], results: Sequence[SuiteResult]) -> GateReport:
    states: dict[str, str] = {entity: "" for (entity,) in con.execute("SELECT entity FROM gate.state").fetchall()}
    for verdict in verdicts:
        if verdict.closed:
            states[verdict.entity] = "; ".join(part for part in (states.get(verdict.entity), verdict.why) if part)
    con.execute("BEGIN")
    try:
        for table in ("verdicts", "results", "state"):
            con.execute(f"DELETE FROM gate.{table}")
        _write_verdicts(con, verdicts)
        _write_states(con, states)
        for result in results:
            con.execute("INSERT INTO gate.results VALUES (?, ?, ?)", [result.suite, result.success, result.json])
        con.execute("COMMIT")
    except BaseException:
        con.execute("ROLLBACK")
        raise
    return read(con)


def _read_verdicts(con: duckdb.DuckDBPyConnection) -> list[Verdict]:
    rows = con.execute(f"SELECT {', '.join(_VERDICT)} FROM gate.verdicts").fetchall()
    return [Verdict(*row) for row in rows]


def _write_verdicts(con: duckdb.DuckDBPyConnection, verdicts: Sequence[Verdict]) -> None:
    _insert(
        con, f"gate.verdicts ({', '.join(_VERDICT)})", [[getattr(v, column) for column in _VERDICT] for v in verdicts]
    )


def _write_states(con: duckdb.DuckDBPyConnection, states: dict[str, str]) -> None:
    _insert(con, "gate.state (entity, closed, why)", [[entity, bool(why), why] for entity, why in states.items()])


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """In one statement: one for each row costs a millisecond a row."""
    if rows:
        row = f"({', '.join('?' * len(rows[0]))})"
        con.execute(
            f"INSERT INTO {table} VALUES {', '.join([row] * len(rows))}", [cell for row in rows for cell in row]
        )
