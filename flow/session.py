"""A session: small batches of one system, one after the other, from stage to merge in a process that keeps what it opened.

A batch that is small and has nothing to show goes the short way: its run is in memory, in the instance that has the warehouse
(`warehouse/instance.py`), and the gate decides by its marks alone. Every other goes the long way, as a run with a file of its
own: one of more than SMALL records, one of which something was refused or held back, and one whose mappings look into other
streams. Nothing was written when that turns out, so the long way begins anew with the same segments. What queues up while a
batch is merged is the next batch together.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from flow.gate import gate
from flow.known import looked_into
from flow.map import map
from flow.merge import merge, settle_journal
from flow.past import refuse_lost
from flow.report import StepReport
from flow.run import Run
from flow.stage import stage
from hub.config import Project
from hub.segments import list_segments

if TYPE_CHECKING:
    from warehouse.instance import Instance
    from warehouse.ledger import Ledger

# Records: a thousand orders hold the warehouse for half a second, of `instance.HOLD`. As a run of their own they
# cost three times as much CPU, most of it for Great Expectations.
SMALL = 1_000
_LOOK = 0.02  # seconds between two looks whether somebody waits for the warehouse
_TO_SHOW = ("rejected", "quarantined", "held", "warned")


class Session:
    """Use it with `with`. One thread at a time. Between two batches it holds the warehouse: whatever takes longer is done within
    `idle`, and `let_go` ends it at once.
    """

    def __init__(self, project: Project, system: str) -> None:
        self.project, self.system = project, system
        self._first = Run.start(project, system)
        self._lasting: Instance | None = None
        self._ledger: Ledger | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._lasting is not None:
            self._lasting.let_go()
            self._lasting.close()
            self._lasting = None
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def let_go(self) -> None:
        """Let others have the warehouse. The next batch takes it again."""
        if self._lasting is not None:
            self._lasting.let_go()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """A block in which no batch is asked for. Who waits for the warehouse gets it; after `instance.HOLD` nobody need wait.

        Raises what letting go raised, at the end of the block.
        """
        over, raised = threading.Event(), list[Exception]()
        watch = threading.Thread(target=self._lend, args=(over, raised), name=f"{self.system} lends the warehouse")
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()
        if raised:
            raise raised[0]

    def _lend(self, over: threading.Event, raised: list[Exception]) -> None:
        from warehouse.instance import HOLD

        lasting, began = self._lasting, time.monotonic()
        while lasting is not None and lasting.held and not over.wait(_LOOK):
            if lasting.wanted or time.monotonic() - began > HOLD:
                try:
                    lasting.let_go()
                except Exception as error:  # told where the block ends: nobody hears of a thread's own
                    raised.append(error)

    def batch(self) -> list[StepReport]:
        """Merge what the lake holds anew; the report of each step, and none where there is nothing."""
        lasting, ledger = self._open()
        if not lasting.held:
            refuse_lost(self.project, ledger)
            settle_journal(self.project, ledger)
            lasting.give_a_turn()
            lasting.hold()
        try:
            new = list_segments(str(self.project.lake), self.system, known=lasting.merged_segments(self.system))
            if not new:
                return []
            records = sum(one.records for one in new)
            if records > SMALL or looked_into(self._first.inbound):
                return self._long_way()
            return self._short_way(lasting, ledger, records)
        except BaseException:
            lasting.close()
            raise
        finally:
            lasting.let_go_if_due()

    def _short_way(self, lasting: Instance, ledger: Ledger, records: int) -> list[StepReport]:
        run = self._run(lasting)
        lasting.begin(records)
        reports = [stage(run), map(run)]
        if not _plain(reports):
            return self._long_way()
        reports.append(gate(run))
        if not _plain(reports):
            return self._long_way()
        with lasting.run() as con:
            taken = con.execute("SELECT segment FROM run.segments").fetchall()
        reports.append(merge(run, ledger))
        lasting.merged_segments(self.system).update(path for (path,) in taken)
        return reports

    def _long_way(self) -> list[StepReport]:
        self.let_go()
        run = self._run(None)
        with run.together():
            return [stage(run), map(run), gate(run), merge(run)]

    def _run(self, lasting: Instance | None) -> Run:
        """A run with the connector and the mappings of the first one: they are read once a session."""
        run = Run.start(self.project, self.system, lasting=lasting)
        for name in ("connector", "inbound", "model"):
            run.__dict__[name] = getattr(self._first, name)
        return run

    def _open(self) -> tuple[Instance, Ledger]:
        from warehouse.instance import Instance
        from warehouse.ledger import Ledger

        if self._ledger is None:
            self._ledger = Ledger(self.project.ledger)
        if self._lasting is None:
            named = self.project.runs / f"session-{os.getpid()}.duckdb"
            project = self.project
            self._lasting = Instance(
                project.warehouse,
                named,
                project.lake,
                self._first.model,
                published=project.published,
                in_memory=True,
            )
        return self._lasting, self._ledger


def _plain(reports: list[StepReport]) -> bool:
    """Nothing to show: nothing refused, held back, warned of or odd."""
    return not any(
        report.findings or report.status != "ok" or any(report.counts.get(name) for name in _TO_SHOW)
        for report in reports
    )
