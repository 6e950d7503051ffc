"""A cycle: every system pulled and merged, the views compared, and each target told what it should know.

Pull, stage and map of the systems run side by side; another process imports Great Expectations meanwhile. A system that does not
answer is reported and the others go on. A target that was changed is read back before the next one is planned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from flow import STEPS
from flow.gate import MICRO_BATCH, gate
from flow.map import map
from flow.merge import merge
from flow.publish import fold_and_publish
from flow.pull import pull
from flow.push import push
from flow.reconcile import reconcile
from flow.report import StepReport
from flow.run import Run, run_id
from flow.stage import stage
from hub.config import Project
from hub.errors import CrossdockError, UsageError
from hub.findings import Finding, did_you_mean

OnReport = Callable[[StepReport], None]
Say = Callable[[StepReport], StepReport]


def cycle(
    project: Project,
    systems: Sequence[str] | None = None,
    *,
    step: str | None = None,
    max_pages: int | None = None,
    on_report: OnReport | None = None,
    on_progress: Callable[[str], None] | None = None,
    approve_first: str | None = None,
) -> list[StepReport]:
    """Run the flow over `systems` (all if None). Returns a report a step and system.

    `step` stops after that step, for pull to merge; reconcile and push are run alone.

    `approve_first` is who approves a target's first plan; None leaves it waiting for a person.
    """
    if step and step not in STEPS:
        raise UsageError(
            "P505", f"there is no step '{step}'", fix=did_you_mean(step, STEPS) or f"steps: {', '.join(STEPS)}"
        )
    names = [project.system(name).name for name in systems or project.systems]
    reports: list[StepReport] = []

    def say(report: StepReport) -> StepReport:
        reports.append(report)
        if on_report:
            on_report(report)
        return report

    tell = on_progress or (lambda text: None)
    if step in (None, *STEPS[:5]):
        _sync(project, names, say, tell, until=step, max_pages=max_pages)
    if not project.warehouse.exists() or any(one.code == "W143" for report in reports for one in report.findings):
        return reports  # nothing was ever merged, or this is not the warehouse in which it was; the reports say why
    if step in (None, "reconcile") and len(names) > 1:
        for report in reconcile(project):
            say(report)
    fold_and_publish(project)
    if step in (None, "push"):
        targets = [name for name in names if project.systems[name].write]
        pushed = run_id("push")  # one for all targets, so that what a run wrote can be taken back as a whole
        for target in targets:
            tell(f"planning what {target} should know")
            report = say(_guarded("push", target, partial(push, project, target, approve_first, pushed)))
            if report.counts.get("applied"):
                tell(f"reading {target} back")
                _sync(project, [target], say, tell, read_back=True)
                fold_and_publish(project)
    return reports


def _sync(
    project: Project,
    names: Sequence[str],
    say: Say,
    tell: Callable[[str], None],
    *,
    until: str | None = None,
    max_pages: int | None = None,
    read_back: bool = False,
) -> None:
    """pull … merge of several systems. Only the merges stand in line, in the order of crossdock.yaml."""
    runs = [Run.start(project, name, max_pages=max_pages) for name in names]
    last = STEPS.index(until) if until else STEPS.index("merge")
    judged = last >= STEPS.index("gate") and not read_back
    with _pool(len(runs)) as pool:
        tell(f"pulling from {', '.join(names)}")
        prepared = [pool.submit(_prepare, run, last, judged) for run in runs]
        for run, future in zip(runs, prepared, strict=True):
            came = future.result()
            for report in came:
                say(report)
            if any(report.status in ("failed", "held") for report in came) or last < STEPS.index("gate"):
                continue
            with run.together():
                judged_so = say(_guarded("gate", run.system, partial(gate, run, expectations=not read_back)))
                if judged_so.status != "failed" and last >= STEPS.index("merge"):
                    say(_guarded("merge", run.system, partial(merge, run)))


@contextmanager
def _pool(size: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are waited for, but not by who is to stop: a slow system may not answer for an hour."""
    pool = ThreadPoolExecutor(max_workers=size)
    wait = True
    try:
        yield pool
    except KeyboardInterrupt:
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def _prepare(run: Run, last: int, judged: bool) -> list[StepReport]:
    reports = [_guarded("pull", run.system, partial(pull, run))]
    if judged and sum(reports[0].counts.values()) > MICRO_BATCH:
        from quality import judge

        judge.start()
    if reports[0].status in ("failed", "held") and not any(reports[0].counts.values()):
        return reports
    with run.together():
        for name, work in (("stage", stage), ("map", map)):
            if STEPS.index(name) > last or (reports[-1].status == "failed" and name != "stage"):
                break
            reports.append(_guarded(name, run.system, partial(work, run)))
    return reports


def _guarded(step: str, system: str, work: Callable[[], StepReport]) -> StepReport:
    """A step that fails says why in its report, and the rest of the cycle goes on."""
    began = time.monotonic()
    try:
        return work()
    except CrossdockError as error:
        return StepReport(
            step,
            system,
            "failed",
            findings=[Finding.of(error)],
            detail={"exit_codes": [error.exit_code]},
            seconds=time.monotonic() - began,
        )
