"""push: plan what a target should know, and make the calls that the plan shows."""

from __future__ import annotations

import time

from flow.apply import apply, recover
from flow.pause import paused
from flow.plan import plan
from flow.plan_file import Plan
from flow.report import StepReport
from hub.config import Project

_SHOWN = 4


def push(project: Project, target: str, approve_first: str | None = None, run_id: str | None = None) -> StepReport:
    """Plan and apply, as part of a run. A target's first plan waits for a person, and so does one beyond a guard, unless `approve_first` says who approves it now."""
    began = time.monotonic()
    if alone := paused(project, target):
        return StepReport("push", target, "held", findings=[alone])
    recover(project, target)
    made = plan(project, target)
    if not made.calls:
        report = StepReport("push", target, counts=dict(made.counts))
    elif made.approval == "required" and not approve_first:
        report = StepReport("push", target, "held", counts={"planned": len(made.calls)})
        why = f" ({'; '.join(made.guards)})" if made.guards else ""
        which = "a" if _was_approved(project, target) else "the first"
        report.detail["lines"] = [f"{which} plan for {target} waits for a person{why}: crossdock apply {made.id}"]
    else:
        report = apply(
            project, made.id, approved_by=approve_first if made.approval == "required" else None, run_id=run_id
        ).as_step()
        report.counts = {**report.counts, **made.counts}
    report.findings = [*made.findings, *report.findings]
    report.detail["lines"] = [*report.detail.get("lines", []), *_kept(made)]
    report.detail["plan"] = made.id
    report.seconds = time.monotonic() - began
    return report


def _was_approved(project: Project, target: str) -> bool:
    from warehouse.ledger import Ledger

    with Ledger(project.ledger, read_only=True) as ledger:
        return ledger.is_approved(target)


def _kept(made: Plan) -> list[str]:
    """What is not sent and why, so that a person sees what waits for them."""
    lines = []
    for name, items in (("held", made.held), ("refused", made.refused), ("waiting", made.waiting)):
        lines += [f"{name}: {one.operation} {one.stream} {one.key}: {one.reason}" for one in items[:_SHOWN]]
        if len(items) > _SHOWN:
            lines.append(f"{name}: and {len(items) - _SHOWN} more")
    return lines
