"""map: staged rows become canonical rows, and rejects that name field, rule and raw value."""

from __future__ import annotations

import time

from flow.report import StepReport
from flow.run import Run
from hub.failpoints import failpoint


def map(run: Run) -> StepReport:
    """One set-based statement row a mapping, all in the run file. Older versions of a key are set aside afterwards."""
    from flow.language import mappings_of
    from warehouse import runfile

    began = time.monotonic()
    report = StepReport("map", run.system)
    con = runfile.open(run.file, read_only=False)
    try:
        for inbound in mappings_of(run):
            runfile.execute(con, inbound.statements)
        runfile.supersede(con, run.model)
        report.counts = runfile.totals(con, ("mapped", "excluded", "rejected", "superseded"))
        report.detail["lines"] = runfile.rejected_examples(con)
    finally:
        con.close()
    failpoint("map.after")
    report.seconds = time.monotonic() - began
    return report
