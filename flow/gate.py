"""gate: good rows go on, bad ones are marked with reasons, and a gate that cannot decide is closed."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from flow.language import declared_columns, refuse
from flow.report import StepReport
from flow.run import Run
from hub.errors import shown
from hub.failpoints import failpoint

MICRO_BATCH = 100  # records: below, importing Great Expectations costs many times what there is to judge

if TYPE_CHECKING:
    from collections.abc import Collection

    from quality.rules import Rules
    from warehouse.others import Sought


def gate(run: Run, *, expectations: bool = True, shares: bool = True, history: bool = True) -> StepReport:
    """Marks rows by predicate, has Great Expectations judge the closed run file, and writes the verdict.

    A batch of at most MICRO_BATCH records, and every one in memory, is decided by the marks alone (docs/adr/0004). Without `expectations` the marks decide alone: in a rebuild, whose runs Great Expectations has judged before, and
    when what was just sent is read back (docs/adr/0004). Without `shares` no threshold closes the gate: of records that were
    chosen because they were bad, the share of bad ones says nothing. `history` compares the batch with what is usual, which
    only news can be.
    """
    from quality import data_docs, judge
    from quality import gate as keeper
    from quality import rules as rulebook
    from quality.modelled import with_model
    from warehouse import contents, others, runfile

    began = time.monotonic()
    site = data_docs.site(run.project.published, run.system, run.run_id)
    rules = rulebook.load(run.project.folders("quality"), run.model)
    refuse(rules.findings)
    rules = with_model(rules)
    rules = rules if shares else rules.without_shares()
    goes_on = run.goes_on
    with run.together():
        with run.database() as con:
            run.begin(con, "gate")
        if history and expectations and shares:
            _know(run, rules)
        with run.database() as con:
            rows = dict.fromkeys(run.model, 0) | keeper.mapped_rows(con, _entities(run))
            sought = _sought(rules, keeper.filled(rows))
            asked = expectations and run.lasting is None and runfile.staged(con) > MICRO_BATCH
        if sought and run.project.warehouse.is_file():
            with run.instance() as instance, instance.reading(), instance.run() as con:
                others.fill(con, run.model, sought)
        with run.database() as con:
            if asked:
                keeper.mark(con, rules, run.model, rows)
            else:
                decided = keeper.decide_by_marks(con, rules, run.model, rows, digested=not goes_on)
            contents.fill(con, run.model, run.project.lake, partial(declared_columns, run.inbound))
        untouched = True
        if asked:
            run.release()
            marked = run.written()
            results = judge.evaluate(run.file, rules, site)
            untouched = run.written() == marked
            with run.database() as con:
                decided = keeper.decide(con, results)
        if untouched:
            run.judged(named=asked or not goes_on)
    failpoint("gate.after")
    report = StepReport("gate", run.system, "held" if decided.closed else "ok", decided.counts())
    report.detail["lines"] = decided.lines()
    index = shown(site.folder / data_docs.INDEX)
    judged = sum(state.rows for state in decided.entities)
    if asked:
        wrong = judge.publish()
        report.detail["lines"].append(wrong or f"pages of Great Expectations: {index}")
    elif expectations and judged and data_docs.judged_alone(site, run.started, judged):
        report.detail["lines"].append(f"by the predicates alone; Great Expectations' last verdict: {index}")
    report.seconds = time.monotonic() - began
    return report


def _entities(run: Run) -> list[str]:
    """The entities that the run may have rows of; a row of another one, of mappings as they were before, is refused by the merge."""
    fed = run.may_have_rows
    return [entity.name for entity in run.model.values() if (entity.parent or entity.name) in fed]


def _sought(rules: Rules, entities: Collection[str]) -> list[Sought]:
    """What the rules on single records have to know of rows that earlier runs merged."""
    from quality import checks, sql
    from warehouse.others import Sought

    found = []
    for rule in (one for one in rules if one.entity in entities):
        entity = rules.model[rule.entity]
        match rule.check:
            case checks.Unique(columns):
                stored = tuple(sql.stored(entity, column) for column in columns)
                found.append(Sought(sql.others(entity, columns), rule.entity, stored))
            case checks.ReferenceExists(column, of):
                found.append(Sought(of, rule.entity, (sql.stored(entity, column),), of))
    return list(dict.fromkeys(found))


def _know(run: Run, rules: Rules) -> None:
    """What the published snapshot has as usual, for the rules that speak of a batch of what this system feeds."""
    from quality import checks
    from warehouse.baseline import Wanted, baseline, fill

    fed = {inbound.entity for inbound in run.inbound}
    wanted: list[Wanted] = []
    for rule in rules.of_batches():
        check = rule.check
        if rule.entity not in fed:
            continue
        if isinstance(check, checks.Freshness):
            wanted.append((rule.entity, "newest", check.column))
        elif isinstance(check, checks.Volume):
            wanted.append((rule.entity, "rows", ""))
        elif isinstance(check, checks.Distribution):
            wanted.append((rule.entity, "share", check.column))
    if wanted:
        with run.instance() as instance, instance.reading_published() as published:
            rows = baseline(published, run.system, wanted, run.started)
        with run.database() as con:
            fill(con, rows)
