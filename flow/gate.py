"""gate: good rows go on, bad ones are marked with reasons, and a gate that cannot decide is closed."""

from __future__ import annotations

import time

from flow.report import StepReport
from flow.run import Run
from hub.failpoints import failpoint


def gate(run: Run, *, expectations: bool = True) -> StepReport:
    """Marks rows by predicate, has Great Expectations judge the closed run file, and writes the verdict.

    `expectations=False` leaves Great Expectations out: a rebuild replays runs whose verdict it gave before.
    """
    from flow.language import refuse
    from quality import gate as gatekeeper
    from quality import rules as rulebook
    from warehouse import runfile

    began = time.monotonic()
    report = StepReport("gate", run.system)
    rules = rulebook.load(run.project.folders("quality"), run.model)
    refuse(rules.findings)
    con = runfile.open(run.file, read_only=False)
    try:
        gatekeeper.mark(con, rules, run.model)
    finally:
        con.close()
    results = None
    if expectations:
        from quality import expectations as judge

        results = judge.evaluate(run.file, rules)
    con = runfile.open(run.file, read_only=False)
    try:
        decided = gatekeeper.decide(con, results)
    finally:
        con.close()
    failpoint("gate.after")
    report.seconds = time.monotonic() - began
    report.detail["decision"] = decided
    return report
