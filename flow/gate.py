"""gate: good rows go on, bad ones are marked with reasons, and a gate that cannot decide is closed."""

from __future__ import annotations

import time

from flow.language import refuse
from flow.report import StepReport
from flow.run import Run
from hub.failpoints import failpoint


def gate(run: Run, *, replay: bool = False) -> StepReport:
    """Marks rows by predicate, has Great Expectations judge the closed run file, and writes the verdict.

    With `replay` the marks decide alone: a rebuild goes through runs that Great Expectations has judged before.
    """
    from quality import gate as keeper
    from quality import rules as rulebook
    from warehouse import runfile

    began = time.monotonic()
    rules = rulebook.load(run.project.folders("quality"), run.model)
    refuse(rules.findings)
    con = runfile.open(run.file)
    try:
        runfile.reset(con, run.model, "gate")
        keeper.mark(con, rules, run.model)
    finally:
        con.close()
    results = None
    if not replay:
        from quality import expectations

        results = expectations.evaluate(run.file, rules)
    con = runfile.open(run.file)
    try:
        decided = keeper.decide_by_marks(con) if replay else keeper.decide(con, results)
    finally:
        con.close()
    failpoint("gate.after")
    report = StepReport("gate", run.system, "held" if decided.closed else "ok", decided.counts())
    report.detail["lines"] = decided.lines()
    report.seconds = time.monotonic() - began
    return report
