"""reconcile: do the systems agree? The specs stand in `quality/reconcile/`, the breaks in `recon.breaks`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from flow.language import refuse
from flow.report import StepReport
from hub.config import Project
from hub.errors import UsageError
from hub.findings import did_you_mean


def reconcile(project: Project, name: str | None = None, now: datetime | None = None) -> list[StepReport]:
    """Compare by every spec (or the named one) whose two systems the project has. One report a spec."""
    from quality import reconcile as reconciler
    from warehouse import access
    from warehouse.model import entities

    loaded = reconciler.load(project.folders("quality"), entities())
    refuse(loaded.findings)
    specs = [s for s in loaded.specs if {s.left.system, s.right.system} <= set(project.systems)]
    if name:
        specs = [s for s in specs if s.name == name]
        if not specs:
            known = [s.name for s in loaded.specs]
            raise UsageError(
                "P506",
                f"there is no reconciliation '{name}'",
                fix=did_you_mean(name, known) or f"there are: {', '.join(known)}",
            )
    reports = []
    for spec in specs:
        began = time.monotonic()
        go_live = project.systems[spec.right.system].go_live
        with access.write(project.warehouse) as con:
            result = reconciler.reconcile(con, spec, now or datetime.now(UTC), go_live=go_live)
        report = StepReport("reconcile", spec.name, counts=result.counts())
        report.detail["summary"], *report.detail["lines"] = result.lines()
        report.seconds = time.monotonic() - began
        reports.append(report)
    return reports
