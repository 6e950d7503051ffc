"""gate: good rows go on, bad ones are marked with reasons, and a gate that cannot decide is closed."""

from __future__ import annotations

import time

from flow.language import refuse
from flow.report import StepReport
from flow.run import Run
from hub.failpoints import failpoint


def gate(run: Run, *, expectations: bool = True) -> StepReport:
    """Marks rows by predicate, has Great Expectations judge the closed run file, and writes the verdict.

    Without `expectations` the marks decide alone: in a rebuild, whose runs Great Expectations has judged before, and
    when what was just sent is read back (docs/adr/0004).
    """
    from quality import gate as keeper
    from quality import rules as rulebook
    from warehouse import runfile

    began = time.monotonic()
    rules = rulebook.load(run.project.folders("quality"), run.model)
    refuse(rules.findings)
    with run.together():
        with run.database() as con:
            runfile.reset(con, run.model, "gate")
            keeper.mark(con, rules, run.model)
        if expectations:
            from quality.expectations import evaluate

            run.release()
            results = evaluate(run.file, rules)
        with run.database() as con:
            decided = keeper.decide(con, results) if expectations else keeper.decide_by_marks(con)
    failpoint("gate.after")
    report = StepReport("gate", run.system, "held" if decided.closed else "ok", decided.counts())
    report.detail["lines"] = decided.lines()
    report.seconds = time.monotonic() - began
    return report
