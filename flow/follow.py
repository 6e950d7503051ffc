"""`crossdock run SYSTEM --every 10`: pull and merge again and again in one process, each batch as soon as it is there.

What is not there for the moment (the system, the warehouse's lock) is told and tried again in the next round; what somebody
has to put right ends it. Nothing is reconciled or pushed: that is what the cycle is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from flow.pull import pull
from flow.report import StepReport
from flow.run import Run
from flow.session import Session
from hub.config import Project
from hub.errors import TransientError, UsageError
from hub.findings import Finding


def only(systems: Sequence[str], step: str | None, max_pages: int | None) -> str:
    """The one system that is followed. Raises UsageError P508 where there is none, or several, or a part of a run is wanted."""
    if len(systems) == 1 and step is None and max_pages is None:
        return systems[0]
    raise UsageError("P508", "--every follows one system from pull to merge", fix="crossdock run cart --every 10")


def follow(
    project: Project, system: str, every: float, on_report: Callable[[StepReport], None], rounds: int | None = None
) -> None:
    """`every` seconds from the begin of a round to that of the next; `rounds` of them, or until KeyboardInterrupt.

    `on_report` hears of every step that had something to do. Raises CrossdockError for all but what is transient.
    """
    with Session(project, system) as session:
        while rounds is None or rounds > 0:
            began = time.monotonic()
            with session.idle():
                _tell(_tried(lambda: [pull(Run.start(project, system))], system), on_report)
            _tell(_tried(session.batch, system), on_report)
            rounds = None if rounds is None else rounds - 1
            if rounds != 0:
                with session.idle():
                    time.sleep(max(0.0, began + every - time.monotonic()))


def _tell(reports: Sequence[StepReport], on_report: Callable[[StepReport], None]) -> None:
    for report in reports:
        if report.counts or report.findings:
            on_report(report)


def _tried(step: Callable[[], list[StepReport]], system: str) -> list[StepReport]:
    try:
        return step()
    except TransientError as error:
        return [StepReport("run", system, "failed", findings=[Finding.of(error)])]
