"""The gate: marks the rows that fail a rule, then decides for each entity whether it is open.

`mark` runs the predicates over the run file and leaves every entity that has a rule closed, because nothing is decided
yet. `decide` reads what Great Expectations found on the same rows and opens what may be opened. An answer that is
missing, an error, an answer about other rows, or two answers that differ keep the gate closed; so does a run that ends
between the two. `is_of_this_batch` says before the merge whether the rows are still those that were judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import duckdb

from hub.entity import Entity, Model
from hub.transaction import transaction
from quality import batch, marks
from quality.checks import Distribution, OfBatch
from quality.results import RuleOutcome, SuiteResult
from quality.rules import Rule, Rules
from quality.sql import literal, name
from quality.tables import ensure_gate_tables

UNDECIDED = "Q305 the gate was not decided: the expectations were not evaluated"
_OF_MARKS = ("Q301", "Q302", "Q308")
OF_BATCH = ("Q210", "Q211", "Q212")
_WRITTEN = ("findings", "verdicts", "results", "state", "batch", "batch_findings", "profile")
_FEW = 1_000  # rows: up to here fetching what each rule says of each costs less than planning two sums a rule
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
        found = [f"{v.code} {v.rule}: {_told(v)}; {self.messages.get(v.rule, '')}" for v in self.verdicts if v.failed]
        return shut + found


def _told(verdict: Verdict) -> str:
    if verdict.code in OF_BATCH:
        return f"of the whole batch ({verdict.severity})"
    return f"{verdict.failed:,} of {verdict.checked:,} rows ({verdict.severity})"


def mark(
    con: duckdb.DuckDBPyConnection, rules: Rules, model: Model, rows: Mapping[str, int] | None = None
) -> list[Verdict]:
    """Evaluate every rule on mapped.* and write gate.findings, gate.verdicts and gate.state anew; the verdicts. Idempotent.

    Entities with rules stay closed until `decide`; tables of entities that the run does not feed are not looked at.
    `rows` says how many rows each mapped table has, where the caller has counted them and the gate's tables are there and empty.
    """
    if rows is None:
        rows = _begin(con, model)
    verdicts, inserts = _judge(con, rules, model, rows)
    ruled = {verdict.entity for verdict in verdicts}
    _write_marks(con, rows, verdicts, inserts, {e: UNDECIDED if e in ruled else "" for e in _heads(model, rows)})
    return verdicts


def decide_by_marks(
    con: duckdb.DuckDBPyConnection,
    rules: Rules,
    model: Model,
    rows: Mapping[str, int] | None = None,
    *,
    digested: bool = True,
) -> GateReport:
    """`mark`, and decide at once without Great Expectations: for a replay of runs it has judged before, and for micro-batches.

    Not `digested`, the verdict does not say which rows it is of: for tables that nobody else can write before the merge,
    or that are given away only after `name_batch`.
    """
    if rows is None:
        rows = _begin(con, model)
    verdicts, inserts = _judge(con, rules, model, rows)
    states = _states(_heads(model, rows), verdicts)
    _write_marks(con, rows if digested else None, verdicts, inserts, states)
    return _report(con, states, verdicts, rows)


def _begin(con: duckdb.DuckDBPyConnection, model: Model) -> dict[str, int]:
    """Empty what a gate has written; how many rows each mapped table has."""
    ensure_gate_tables(con)
    for table in _WRITTEN:
        con.execute(f"DELETE FROM gate.{table}")
    return mapped_rows(con, mapped_tables(con, model))


def _judge(
    con: duckdb.DuckDBPyConnection, rules: Rules, model: Model, rows: Mapping[str, int]
) -> tuple[list[Verdict], list[str]]:
    """The verdict of each rule, and the statements that write what was found."""
    others = [what for (what,) in con.execute("SELECT DISTINCT what FROM gate.others").fetchall()]
    usual = set(con.execute("SELECT DISTINCT coalesce(entity, ''), measure FROM gate.baseline").fetchall())
    verdicts: list[Verdict] = []
    inserts: list[str] = []
    for entity in (model[table] for table in rows):
        verdicts += _look_at_batch(con, entity, rules, usual, rows[entity.name])
        of_rows = [rule for rule in rules.of(entity.name) if not rule.of_batch]
        if not rows[entity.name]:
            verdicts += [_verdict(entity, rule, 0, 0, "") for rule in of_rows]
            continue
        found, statements = _look(con, entity, of_rows, model, rows, others)
        verdicts += found
        inserts += statements
    return verdicts, inserts


def _heads(model: Model, entities: Iterable[str]) -> list[str]:
    return [entity for entity in entities if not model[entity].parent]


def _write_marks(
    con: duckdb.DuckDBPyConnection,
    rows: Mapping[str, int] | None,
    verdicts: Sequence[Verdict],
    inserts: Sequence[str],
    states: dict[str, str],
) -> None:
    with transaction(con.execute):
        if rows is not None:
            con.execute("INSERT INTO gate.batch VALUES ($1)", [batch.digest(con, filled(rows))])
        for statement in inserts:
            con.execute(statement)
        _write_verdicts(con, verdicts)
        _write_states(con, states)


def decide(con: duckdb.DuckDBPyConnection, results: Sequence[SuiteResult] | None) -> GateReport:
    """Open what the marks and the expectations agree may be opened, and write the verdict.

    `results` is what `expectations.evaluate` gave for this run file; None and an empty list are missing results.
    """
    given: dict[str, list[tuple[SuiteResult, RuleOutcome]]] = {}
    for suite in results or ():
        for outcome in suite.outcomes:
            given.setdefault(outcome.rule, []).append((suite, outcome))
    broken = {suite.suite: suite.error for suite in results or () if suite.error}
    judged = batch.recorded(con)
    verdicts = []
    for verdict in _read_verdicts(con):
        table = verdict.rule.split(".")[0]
        if table in broken:
            said = f"Q304 suite {table} could not be run: {broken[table]}"
        elif len(given.get(verdict.rule, ())) != 1:
            said = f"Q305 {verdict.rule} has {len(given.get(verdict.rule, ())) or 'no'} result" + "s" * (
                verdict.rule in given
            )
        else:
            said = _against(verdict, *given[verdict.rule][0], judged)
        verdicts.append(_also(verdict, said))
    return _settle(con, verdicts, results or ())


def _against(verdict: Verdict, suite: SuiteResult, outcome: RuleOutcome, judged: str) -> str:
    """What speaks against opening the gate; empty where the answer is one, is about these rows, and is the same as ours."""
    if not judged or suite.batch != judged:
        return f"Q309 suite {suite.suite} was evaluated on other rows than these"
    if outcome.error or outcome.failed is None:
        return f"Q303 {verdict.rule} raised: {outcome.error or 'it gave no number'}"
    if outcome.failed != verdict.failed or outcome.success != (outcome.failed == 0):
        return f"Q306 {verdict.rule}: {verdict.failed:,} rows by the predicate, {outcome.failed:,} by {suite.engine}"
    if suite.success != all(one.success for one in suite.outcomes):
        return f"Q306 suite {suite.suite} says another thing than its rules"
    return ""


def name_batch(con: duckdb.DuckDBPyConnection) -> None:
    """Have a verdict that was left open say which rows it is of: those that are there now."""
    con.execute("INSERT INTO gate.batch VALUES ($1)", [batch.digest(con)])


def is_of_this_batch(con: duckdb.DuckDBPyConnection) -> bool:
    """Are the mapped rows those that the verdict in the run file was made of? If not, or there is none, no merge (Q310)."""
    judged = batch.recorded(con)
    return bool(judged) and judged == batch.digest(con)


def read(con: duckdb.DuckDBPyConnection) -> GateReport:
    """The report as the run file holds it."""
    states = dict(con.execute("SELECT entity, why FROM gate.state").fetchall())
    return _report(con, states, _read_verdicts(con), mapped_rows(con, list(states)))


def _report(
    con: duckdb.DuckDBPyConnection, states: Mapping[str, str], verdicts: Sequence[Verdict], rows: Mapping[str, int]
) -> GateReport:
    """`why` each entity is closed, empty where it is not, with what was found. Where no rule found anything, nothing is asked."""
    found: dict[str, tuple[int, int]] = {}
    messages: dict[str, str] = {}
    if any(verdict.failed for verdict in verdicts):
        marked = """SELECT entity, count(DISTINCT _row) FILTER (severity <> 'warn'), count(DISTINCT _row) FILTER (severity = 'warn')
            FROM gate.findings GROUP BY entity"""
        found = {entity: (bad, odd) for entity, bad, odd in con.execute(marked).fetchall()}
        told = """SELECT rule, any_value(message) FROM (SELECT rule, message FROM gate.findings
            UNION ALL SELECT rule, concat(message, ' (', raw, ')') FROM gate.batch_findings) GROUP BY rule ORDER BY rule"""
        messages = dict(con.execute(told).fetchall())
    return GateReport(
        tuple(EntityState(one, rows[one], *found.get(one, (0, 0)), bool(why), why) for one, why in states.items()),
        tuple(verdicts),
        messages,
    )


def mapped_tables(con: duckdb.DuckDBPyConnection, model: Model) -> list[str]:
    """The entities that this run feeds, in the model's order."""
    there = {
        table
        for (table,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mapped'").fetchall()
    }
    return [entity for entity in model if entity in there]


def mapped_rows(con: duckdb.DuckDBPyConnection, entities: Iterable[str]) -> dict[str, int]:
    """How many mapped rows of each there are, in one question and in the order given."""
    counts = [f"SELECT {literal(entity)}, count(*) FROM mapped.{name(entity)}" for entity in entities]
    return dict(con.execute(" UNION ALL ".join(counts)).fetchall()) if counts else {}


def filled(rows: Mapping[str, int]) -> list[str]:
    """The entities of which there are rows."""
    return [entity for entity, n in rows.items() if n]


def _look(
    con: duckdb.DuckDBPyConnection,
    entity: Entity,
    rules: Sequence[Rule],
    model: Model,
    tables: Mapping[str, int],
    others: Sequence[str],
) -> tuple[list[Verdict], list[str]]:
    """The verdicts on one table, and the statements that write its findings. `tables` has the rows of each."""
    if not rules:
        return [], []
    counts: Sequence[int]
    try:
        if tables[entity.name] <= _FEW:
            counts = _counted(con.execute(marks.answers_sql(entity, rules, model, tables, others)).fetchall())
        else:
            counts = con.execute(marks.counts_sql(entity, rules, model, tables, others)).fetchone() or ()
    except duckdb.Error as error:
        said = f"Q308 the rules of {entity.name} could not be evaluated: {type(error).__name__}"
        return [_verdict(entity, rule, 0, 0, said) for rule in rules], []
    verdicts = [
        _verdict(entity, rule, counts[2 * number], counts[2 * number + 1], "") for number, rule in enumerate(rules)
    ]
    inserts = [
        marks.findings_sql(entity, rule, model, tables, others)
        for rule, verdict in zip(rules, verdicts, strict=True)
        if verdict.failed
    ]
    return verdicts, inserts


def _counted(answers: Sequence[Sequence[bool | None]]) -> list[int]:
    """What `counts_sql` counts."""
    return [n for said in zip(*answers, strict=True) for n in (len(said) - said.count(None), said.count(True))]


def _look_at_batch(
    con: duckdb.DuckDBPyConnection, entity: Entity, rules: Rules, usual: Collection[tuple[str, str]], rows: int
) -> list[Verdict]:
    """Write what is unusual about the batch; the verdicts on that. `usual`: of which entities the baseline has which measures."""
    ours = [rule for rule in rules.of(entity.name) if rule.of_batch]
    if not ours or not usual:
        return [_verdict(entity, rule, 0, 0, "") for rule in ours]
    verdicts = []
    for rule in ours:
        assert isinstance(rule.check, OfBatch)
        try:
            failed = 0
            if rule.check.measure == "now" or (entity.name, rule.check.measure) in usual:
                (failed,) = con.execute(marks.batch_findings_sql(entity, rule)).fetchone() or (0,)
            if isinstance(rule.check, Distribution):
                con.execute(marks.profile_sql(entity, rule.check.column))
        except duckdb.Error as error:
            said = f"Q308 {rule.id} could not be evaluated: {type(error).__name__}"
            verdicts.append(_verdict(entity, rule, 0, 0, said))
        else:
            verdicts.append(_verdict(entity, rule, rows, failed, ""))
    return verdicts


def _verdict(entity: Entity, rule: Rule, checked: int, failed: int, error: str) -> Verdict:
    why = error or _closes(rule, checked, failed)
    threshold = None if rule.threshold is None else float(rule.threshold)
    header = entity.parent or entity.name
    return Verdict(header, rule.id, rule.code, rule.severity, checked, failed, threshold, bool(why), why)


def _closes(rule: Rule, checked: int, failed: int) -> str:
    if rule.severity == "block" and failed:
        said = "the batch is not as it has to be" if rule.of_batch else f"{failed:,} rows, and none is allowed"
        return f"Q302 {rule.id}: {said}"
    if rule.threshold is not None and failed >= rule.at_least and Decimal(failed) > rule.threshold * checked:
        return f"Q301 {rule.id}: {failed:,} of {checked:,} rows, more than {rule.threshold:.0%}"
    return ""


def _also(verdict: Verdict, why: str) -> Verdict:
    # What an earlier decision said is not kept: a repeated one stands by itself.
    own = [part for part in verdict.why.split("; ") if part.startswith(_OF_MARKS)]
    said = "; ".join([*own, why] if why else own)
    return replace(verdict, closed=bool(said), why=said)


def _states(entities: Iterable[str], verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Why each entity is closed; empty where it is not."""
    states = dict.fromkeys(entities, "")
    for verdict in verdicts:
        if verdict.closed:
            states[verdict.entity] = "; ".join(part for part in (states.get(verdict.entity), verdict.why) if part)
    return states


def _settle(con: duckdb.DuckDBPyConnection, verdicts: Sequence[Verdict], results: Sequence[SuiteResult]) -> GateReport:
    states = _states([entity for (entity,) in con.execute("SELECT entity FROM gate.state").fetchall()], verdicts)
    with transaction(con.execute):
        for table in ("results", "state", "verdicts"):
            con.execute(f"DELETE FROM gate.{table}")
        _write_verdicts(con, verdicts)
        _write_states(con, states)
        for result in results:
            con.execute(
                "INSERT INTO gate.results VALUES (?, ?, ?, ?)",
                [result.suite, result.success, result.json, result.page or None],
            )
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
    """In one statement with a list a column: a row each costs a millisecond, and so do ten values that are parameters."""
    if rows:
        lists = ", ".join(f"unnest(${number})" for number in range(1, len(rows[0]) + 1))
        con.execute(f"INSERT INTO {table} SELECT {lists}", [list(cells) for cells in zip(*rows, strict=True)])
