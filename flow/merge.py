"""merge: what passed the gate into the warehouse, in one transaction with its position. See `warehouse/merge.py`.

The ledger's journal names the run and its segments before that transaction begins and is marked after it, so that a
rebuild can merge the same segments in the same order (docs/adr/0003).
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flow.past import agree, refuse_lost
from flow.report import StepReport
from flow.run import Run, about
from hub.config import Project
from hub.errors import StreamError
from hub.failpoints import failpoint

if TYPE_CHECKING:
    from warehouse.ledger import Ledger
    from warehouse.merge import MergeReport, MergeRequest

KEPT_RUNS = 5  # of each system


def merge(run: Run, ledger: Ledger | None = None) -> StepReport:
    """Merging a run twice is merging it once. Entities whose gate is closed are held: their segments come again.

    `ledger`: one that is open already, whose journal is settled.
    """
    began = time.monotonic()
    with run.together():
        merged = _judged_and_merged(run, ledger)
        run.merged()
    _forget_old_runs(run)
    return _report(run, merged, time.monotonic() - began)


def _judged_and_merged(run: Run, ledger: Ledger | None) -> MergeReport:
    _refuse_other_rows(run)
    if ledger is not None:
        return _merged(run, ledger)
    from warehouse.ledger import Ledger as Opened

    with Opened(run.project.ledger) as opened:
        refuse_lost(run.project, opened)
        settle_journal(run.project, opened)
        return _merged(run, opened)


def request(run: Run, **more: Any) -> MergeRequest:
    """What a merge of the run is asked for: its rows, its warehouse, its rules of survivorship, and `more`."""
    from warehouse.merge import MergeRequest

    return MergeRequest(
        warehouse=run.project.warehouse,
        run_file=run.file,
        model=run.model,
        run_id=run.run_id,
        system=run.system,
        started=run.started,
        survivorship=run.project.survivorship,
        **more,
    )


def _merged(run: Run, ledger: Ledger) -> MergeReport:
    from warehouse.merge import merge as merge_run

    def journal(segments: tuple[str, ...], outcome_seq: int) -> None:
        ledger.journal_begin(run.run_id, run.system, run.started, segments, outcome_seq)
        failpoint("merge.journaled")

    with run.instance() as instance:
        merged = merge_run(
            request(
                run,
                outcomes=ledger.outcomes_after,
                mapping_hash=mapping_hash(run),
                finished=datetime.now(UTC),
                journal=journal,
                agree=agree(ledger),
                dismissed=ledger.dismissals(run.system),
                instance=instance,
            )
        )
    ledger.journal_end(run.run_id)
    return merged


def _refuse_other_rows(run: Run) -> None:
    """A verdict opens the gate for the rows that it was made of. Raises StreamError Q310 for any others."""
    from quality.gate import is_of_this_batch

    if run.is_judged:
        return
    with run.database() as con:
        if is_of_this_batch(con):
            return
    what = "the mapped rows are not those that the gate judged"
    raise StreamError("Q310", what, place=run.run_id, fix="nothing was merged; run the step gate again")


def settle_journal(project: Project, ledger: Ledger) -> None:
    """Entries that a killed merge left unmarked: the warehouse knows whether they were committed."""
    from warehouse.merge import merged_runs

    if left := ledger.journal("written"):
        known = merged_runs(project.warehouse)
        for entry in left:
            ledger.journal_end(entry.run_id, "committed" if entry.run_id in known else "abandoned")


def mapping_hash(run: Run) -> str:
    """SHA-256 of the SQL that the system's mappings compile to, shortened: which mappings made these rows."""
    digest = hashlib.sha256()
    for inbound in run.inbound:
        digest.update(inbound.sql.encode())
    return digest.hexdigest()[:16]


def _forget_old_runs(run: Run) -> None:
    """Run files are for looking into a recent run; the lake has everything.

    Those of other systems are theirs to forget: one of them may be at work in a file as old as its pull was long.
    """
    from warehouse import runfile

    if run.lasting is not None:
        return
    files = sorted(file for file in run.project.runs.glob("*.duckdb") if about(file.stem) == run.system)
    for file in files[:-KEPT_RUNS]:
        if file != run.file:  # as old as it looks where the clock was put back
            runfile.remove(file)


def _report(run: Run, merged: MergeReport, seconds: float) -> StepReport:
    states = ("passed", "waiting", "quarantined", "held", "rejected")
    counts = {state: n for state in states if (n := merged.total(state))}
    counts["changed"] = sum(merged.touched.values())
    report = StepReport("merge", run.system, "held" if merged.held else "ok", counts, seconds=seconds)
    touched = ", ".join(f"{n:,} {entity}" for entity, n in sorted(merged.touched.items()))
    report.detail["lines"] = [
        line for line in (touched and f"changed: {touched}", _arrived(merged), *merged.drift) if line
    ]
    report.detail["lock_seconds"] = merged.seconds
    return report


def _arrived(merged: MergeReport) -> str:
    return f"{merged.arrived:,} rows that had waited for a reference have arrived" if merged.arrived else ""
