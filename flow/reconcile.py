"""reconcile: do the systems agree? The specs stand in `quality/reconcile/`, the breaks in `recon.breaks`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flow import plan_file
from flow.language import load_mappings, refuse
from flow.report import StepReport
from hub.config import Project
from hub.errors import UsageError
from hub.findings import nearest


def reconcile(project: Project, name: str | None = None, now: datetime | None = None) -> list[StepReport]:
    """Compare by every spec (or the named one) whose systems the project has. One report a spec, with its breaks in `detail`."""
    from quality import reconcile as reconciler
    from warehouse import access
    from warehouse.model import entities

    model = entities()
    chosen = specs(project, name)
    pushed = _pushed(project, {spec.right.system for spec in chosen})
    reports = []
    for spec in chosen:
        began = time.monotonic()
        at = now or datetime.now(UTC)
        go_live = (
            project.systems[spec.right.system].go_live if (spec.right.system, spec.right.entity) in pushed else None
        )
        with access.write(project.warehouse) as con:
            planned = set(_planned(project, con, {side.system for side in spec.sides}, at))
            result = reconciler.reconcile(con, spec, at, go_live=go_live, planned=planned, model=model)
        report = StepReport("reconcile", spec.name, counts=result.counts())
        report.detail["summary"], *report.detail["lines"] = result.lines()
        report.detail |= result.as_dict()
        report.seconds = time.monotonic() - began
        reports.append(report)
    return reports


def specs(project: Project, name: str | None = None) -> list[Any]:
    """The reconciliations (`quality.reconcile_spec.Spec`) that the project's systems can have. Raises UsageError P506."""
    from quality.reconcile_read import load
    from warehouse.model import entities

    loaded = load(project.folders("quality"), entities())
    refuse(loaded.findings)
    found = [spec for spec in loaded.specs if {side.system for side in spec.sides} <= set(project.systems)]
    if name and name not in {spec.name for spec in found}:
        for spec in loaded.specs:
            if spec.name == name:
                missing = sorted({side.system for side in spec.sides} - set(project.systems))
                what = f"the reconciliation '{name}' asks for a system that there is not: {', '.join(missing)}"
                raise UsageError("P506", what, place=spec.place, fix=nearest(missing[0], project.systems))
        fix = nearest(name, [spec.name for spec in found])
        raise UsageError("P506", f"there is no reconciliation '{name}'", fix=fix)
    return [spec for spec in found if name in (None, spec.name)]


def _pushed(project: Project, systems: set[str]) -> set[tuple[str, str]]:
    """(system, entity) that the hub writes: only there can something be missing because no push has brought it yet."""
    from warehouse.model import entities

    writable = [name for name in sorted(systems) if project.systems[name].write]
    loaded = load_mappings(project, entities(), writable)
    return {(name, one.entity) for name in writable for one in loaded.of(name) if one.push}


def _planned(project: Project, con: Any, targets: set[str], now: datetime) -> Iterator[tuple[str, int]]:
    """The records (entity, hub_id) that calls of a plan are about which still may be applied, and have no answer since it was made."""
    from hub import canonical

    newest: dict[str, plan_file.Plan] = {}
    for path in sorted(project.plans.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        if newest.keys() >= targets:
            break
        said = canonical.loads(path.read_bytes())
        if said["target"] in targets - newest.keys():
            newest[said["target"]] = plan_file.load(project, said["id"])
    for target, plan in newest.items():
        if plan.expires <= now:
            continue
        answers = con.execute(
            "SELECT entity, hub_id FROM push.state WHERE target = ? AND answered_at >= ?", [target, plan.created]
        )
        answered = set(answers.fetchall())
        yield from ((call.entity, call.hub_id) for call in plan.calls if (call.entity, call.hub_id) not in answered)
