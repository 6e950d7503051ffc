"""merge: what passed the gate into the warehouse, in one transaction with its position.

    fold      what the ledger says since: bindings, push.log, push.state
    take      rows of the run file that differ from what the system said before      incoming.py
    resolve   references through the bindings; what has not arrived makes its row wait  refs.py
    bind      existing binding, else a match with another system, else a new hub id  identity.py, hubs.py
    write     source.*: DELETE and INSERT of what changed                            store.py
    settle    canonical.* of the touched hubs, field by field, and history.*         survivorship.py, history.py
    account   quarantine, counts, the count law, segments, positions, the run        cases.py, law.py

Merging a run twice is merging it once: by its run_id, and by content where the same segments come in another run. A
merge is deterministic: the same runs in the same order give the same rows and hub ids.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from hub.entity import Entity, Model, in_dependency_order
from hub.errors import ConfigurationError, CrossdockError
from hub.failpoints import failpoint
from hub.transaction import roll_back
from warehouse import cases, drift, fold, identity, incoming, law, refs, store, survivorship, tables
from warehouse.duck import Connection, literal
from warehouse.incoming import Decided, Load
from warehouse.instance import Instance
from warehouse.lock import writer
from warehouse.runs import MergedRun, merged_so_far, note
from warehouse.store import Final
from warehouse.work import RUN, Survivorship, Work, mapped
from warehouse.writing import open_to_write

if TYPE_CHECKING:
    from warehouse.ledger_rows import AppliedOutcome, Dismissal

    Outcomes = Sequence[AppliedOutcome] | Callable[[int], Sequence[AppliedOutcome]]


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """What to merge, and what everything written carries.

    `started` is the run's start: valid_from, seen_at, bound_at and so on. `finished` (default: the same) goes into
    ops.runs only. `outcomes` are those of the ledger, or a function of the sequence folded so far. `journal` is called
    under the writer lock before anything is written, with the run's segments and the sequence up to which outcomes are
    folded: it writes the merge journal. `agree` is called before it with the run that the warehouse merged last, None where there
    is none: it raises where the journal knows better. `dismissed` are the cases that people dismissed. `instance` has the run's tables, and is
    one for this merge alone where it is not given.
    """

    warehouse: Path
    run_file: Path
    model: Model
    run_id: str
    system: str
    started: datetime
    survivorship: Survivorship = field(default_factory=dict)
    outcomes: Outcomes = ()
    mapping_hash: str = ""
    finished: datetime | None = None
    journal: Callable[[tuple[str, ...], int], None] | None = None
    agree: Callable[[str | None], None] | None = None
    dismissed: Sequence[Dismissal] = ()
    instance: Instance | None = None


@dataclass(slots=True)
class MergeReport:
    """`counts`: entity → state → records. `already`: the run had been merged before, and nothing was done.

    `held` names the entities whose gate is closed: their rows and the segments of their streams are left for later.
    `drift` says which raw fields are new, vanished or of another kind. `seconds` is the time that the writer lock was held.
    """

    run_id: str
    system: str
    already: bool = False
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    segments: int = 0
    folded: int = 0
    arrived: int = 0
    touched: dict[str, int] = field(default_factory=dict)
    drift: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def total(self, state: str) -> int:
        return sum(states.get(state, 0) for states in self.counts.values())


def merge(request: MergeRequest) -> MergeReport:
    """Merge a run. Raises TransientError while the warehouse is busy, StreamError W301 when records are unaccounted for.

    A commit that failed may have committed: the connection is discarded and the warehouse asked again.
    """
    instance = request.instance or Instance(request.warehouse, request.run_file, "", request.model)
    try:
        report = _merge_in(instance, request)
    finally:
        if request.instance is None:
            instance.close()
    failpoint("merge.after_commit")
    return report


def _merge_in(instance: Instance, request: MergeRequest) -> MergeReport:
    try:
        with instance.merging() as con:
            began = time.monotonic()
            try:
                report = _merge(con, request)
            except _CommitFailed:
                instance.close()
                raise
    except _CommitFailed as failed:
        with instance.writing() as con:
            if not merged_so_far(con, request.run_id)[0]:
                raise failed.error from None
        report = failed.report
    report.seconds = time.monotonic() - began
    return report


def fold_outcomes(
    warehouse: Path,
    model: Model,
    outcomes: Outcomes,
    at: datetime,
    survivorship: Survivorship | None = None,
    agree: Callable[[str | None], None] | None = None,
) -> int:
    """Fold the ledger's new outcomes without a run, in a transaction of its own; how many there were. `agree` as for a merge."""
    with writer(warehouse):
        con = _open(warehouse, model)
        try:
            if agree is not None:
                agree(merged_so_far(con)[1])
            work = Work(con, model, f"fold-{at.astimezone(UTC):%Y%m%dT%H%M%S%f}", at, survivorship or {})
            folded = _transaction(work, lambda: _fold_only(work, outcomes))
        except _CommitFailed as failed:
            raise failed.error from None
        finally:
            con.close()
    return int(folded)


def merged_runs(warehouse: Path) -> set[str]:
    """The run_ids of all merged runs."""
    if not warehouse.is_file():
        return set()
    with writer(warehouse):
        con = open_to_write(warehouse)
        try:
            return {run_id for (run_id,) in con.execute("SELECT run_id FROM ops.runs").fetchall()}
        except duckdb.CatalogException:  # a file that nobody has merged into
            return set()
        finally:
            con.close()


def note_runs(warehouse: Path, runs: Sequence[MergedRun]) -> None:
    """Add merged runs that brought nothing, in this order, to a warehouse that has the runs before them."""
    with writer(warehouse):
        con = open_to_write(warehouse)
        try:
            note(con, runs)
        finally:
            con.close()


class _CommitFailed(Exception):
    def __init__(self, error: CrossdockError, report: Any) -> None:
        super().__init__(str(error))
        self.error = error
        self.report = report


def _open(warehouse: Path, model: Model) -> Connection:
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    con = open_to_write(warehouse)
    try:
        tables.migrate(con, model)
    except BaseException:
        con.close()
        raise
    return con


def _merge(con: Connection, request: MergeRequest) -> MergeReport:
    report = MergeReport(request.run_id, request.system)
    is_merged, newest = merged_so_far(con, request.run_id)
    if is_merged:
        report.already = True
        return report
    if request.agree is not None:
        request.agree(newest)
    work = Work(con, request.model, request.run_id, request.started, request.survivorship)
    folded = fold.position(work)
    outcomes = _asked(request.outcomes, folded)
    if request.journal is not None:
        found = work.rows("segments", f"SELECT segment FROM {RUN}.run.segments ORDER BY stream, seq, segment")
        last = max((outcome.seq for outcome in outcomes), default=folded)
        request.journal(tuple(path for (path,) in found), last)
    _transaction(work, lambda: _write(work, request, outcomes, report), report)
    return report


def _asked(outcomes: Outcomes, after: int) -> Sequence[AppliedOutcome]:
    return outcomes(after) if callable(outcomes) else outcomes


def _transaction(work: Work, body: Callable[[], Any], report: Any = None) -> Any:
    work.do("begin", "BEGIN")
    try:
        result = body()
    except BaseException:
        roll_back(work.con.execute)
        raise
    try:
        work.do("commit", "COMMIT")
    except CrossdockError as error:
        raise _CommitFailed(error, report) from None
    return result


def _fold_only(work: Work, outcomes: Outcomes) -> int:
    _begin(work)
    folded = fold.fold(work, _asked(outcomes, fold.position(work)))
    _settle(work)
    failpoint("push.before_fold_commit")
    return folded


def _begin(work: Work) -> None:
    work.do(
        "touched",
        "CREATE OR REPLACE TEMP TABLE _touched"
        " (entity VARCHAR, hub_id BIGINT, fresh BOOLEAN, written BOOLEAN, other_children BOOLEAN, settled BOOLEAN)",
    )
    survivorship.note_declared(work)
    work.do("references", refs.NONE)


def _write(work: Work, request: MergeRequest, outcomes: Sequence[AppliedOutcome], report: MergeReport) -> None:
    loads = incoming.loads(work)
    _check_superseded(work, loads)
    _begin(work)
    report.folded = fold.fold(work, outcomes)
    law.begin(work)
    facts = cases.gather(work, request.system)
    closed = _closed(work)
    for entity in in_dependency_order(work.model):
        if load := loads.get(entity.name):
            _take_in(work, entity, load, facts, report, held=entity.name in closed)
    if _cyclic(work.model):
        _take_in_again(work, report)
    cases.settle(work, facts, closed, request.dismissed)
    report.touched = _settle(work)
    report.counts = law.enforce(work, request.system)
    report.held = tuple(closed)
    report.segments = _position(work, closed)
    _record(work, request, report, facts)
    failpoint("merge.before_commit")


def _check_superseded(work: Work, loads: Mapping[str, Load]) -> None:
    for name, load in loads.items():
        twice = f"SELECT 1 FROM {mapped(work.model[name])} GROUP BY system, source_id HAVING count(*) > 1 LIMIT 1"
        if load.mapped > 1 and work.rows(f"versions of {name}", twice):
            raise ConfigurationError(
                "W302", f"the run file holds two versions of one {name}", fix="supersede comes before the gate"
            )


def _closed(work: Work) -> list[str]:
    """Header entities with mapped rows or rejects whose gate is not open. One without a verdict is closed."""
    fed = {entity for _, _, entity, _, _ in work.counts if entity is not None}
    states: dict[str, bool] = {}
    for name, shut in work.rows("gate", f"SELECT entity, closed FROM {RUN}.gate.state"):
        states[name] = states.get(name, False) or shut is not False
    return [name for name in sorted(fed) if states.get(name, True)]


def _take_in(work: Work, entity: Entity, load: Load, facts: cases.Facts, report: MergeReport, *, held: bool) -> None:
    if load.mapped:
        cases.mark(work, entity, facts)
    if held:
        law.count_held(work, entity)
        load = Load(0, load.waiting, load.children)
    if not (load.mapped or load.waiting):
        return
    decided = incoming.take(work, entity, load, marked=bool(facts.findings))
    if load.mapped:
        cases.note(work, entity, facts)
    arrived, waits = _bring(work, entity, load, decided)
    report.arrived += arrived
    if load.mapped:
        law.count_taken(work, entity, decided.incoming, marked=bool(facts.findings), waits=waits or bool(load.waiting))


def _bring(work: Work, entity: Entity, load: Load, decided: Decided) -> tuple[int, bool]:
    """Resolve, bind and write what was decided; how many rows that waited have arrived, and whether one waits."""
    if not decided.rows:
        return 0, False
    again = bool(load.waiting)
    rows = {
        one.name: incoming.rows_sql(one, from_run=bool(load.mapped), again_too=again) for one in work.family(entity)
    }
    waits = refs.resolve(work, entity, rows)
    if decided.bound == decided.rows and not waits and not again:
        counted = (decided.rows, decided.known, decided.bound, 0, decided.waited, decided.bound, 0)
        final = Final(*counted, other_children=decided.other_children, kept=decided.kept)
    else:
        identity.bind(work, entity, rows[entity.name], unknown=decided.bound < decided.rows, waits=waits)
        final = store.counted(work)
    store.write(work, entity, rows, load.children, final)
    arrived = "SELECT count(*) FROM _decided WHERE state = 'again' AND waiting IS NULL"
    return work.number("arrived", arrived) if again else 0, waits


def _cyclic(model: Model) -> bool:
    """Does an entity refer to itself or to one that is taken in after it?"""
    order = [entity.name for entity in in_dependency_order(model)]
    return any(
        column.ref is not None and order.index(column.ref) >= order.index(entity.parent or entity.name)
        for entity in model.values()
        for column in entity.refs
    )


def _take_in_again(work: Work, report: MergeReport) -> None:
    """References in a circle: what waited for a later entity may have arrived by now."""
    progress = True
    while progress:
        progress = False
        loads = incoming.loads(work, with_run=False)
        for entity in in_dependency_order(work.model):
            if load := loads.get(entity.name):
                decided = incoming.take(work, entity, load, marked=False)
                arrived, _ = _bring(work, entity, load, decided)
                report.arrived += arrived
                progress = progress or arrived > 0


def _settle(work: Work) -> dict[str, int]:
    """Entity → how many of its hubs were settled."""
    touched = [entity for entity in work.model.values() if entity.name in work.touched]
    return {entity.name: survivorship.settle(work, entity, work.touched[entity.name]) for entity in touched}


def _position(work: Work, closed: Sequence[str]) -> int:
    """Note the segments that are merged. Those of a stream that feeds a held entity are not: they will come again."""
    held = ", ".join(literal(name) for name in closed)
    not_held = f"WHERE g.stream NOT IN (SELECT stream FROM {RUN}.run.counts WHERE entity IN ({held}))" if held else ""
    merged = work.do(
        "segments",
        f"""INSERT INTO ops.segments BY NAME
            SELECT g.system, g.stream, g.segment, g.seq, {work.run} AS run_id, {work.at} AS merged_at
            FROM {RUN}.run.segments g ANTI JOIN ops.segments s ON s.segment = g.segment
            {not_held}
            ORDER BY g.stream, g.seq, g.segment""",
    )
    return merged


def _record(work: Work, request: MergeRequest, report: MergeReport, facts: cases.Facts) -> None:
    finished = (request.finished or request.started).astimezone(UTC)
    outcome = ", ".join(
        f"{report.total(state):,} {state}"
        for state in ("rejected", "quarantined", "held", "waiting")
        if report.total(state)
    )
    work.do(
        "verdicts",
        f"""INSERT INTO quality.verdicts BY NAME
            SELECT {work.run} AS run_id, {literal(request.system)} AS system, *, {work.at} AS decided_at FROM {RUN}.gate.verdicts
            WHERE checked > 0 OR failed > 0 OR closed""",  # on nothing each rule says nothing, a hundred times a run
    )
    if facts.results:
        work.do(
            "results",
            f"""INSERT INTO quality.results BY NAME
                SELECT {work.run} AS run_id, {literal(request.system)} AS system, *, {work.at} AS decided_at
                FROM {RUN}.gate.results""",
        )
    cases.note_batch(work, request.system, facts)
    report.drift = drift.note(work, request.system)
    of_run = (request.run_id, request.system, request.started.astimezone(UTC), finished, request.mapping_hash)
    note(work.con, [MergedRun(*of_run, outcome or "clean", report.counts)])
