"""`crossdock rebuild`: the warehouse anew from the lake and the ledger, by merging what was merged in the same order."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Collection
from typing import TYPE_CHECKING

from flow.gate import gate
from flow.map import map
from flow.merge import mapping_hash, request, settle_journal
from flow.publish import fold_and_publish
from flow.run import Run
from flow.stage import stage
from hub.config import Project
from hub.errors import ConfigurationError
from hub.scratch import scratch
from hub.segments import list_segments

if TYPE_CHECKING:
    from flow.report import StepReport
    from warehouse.ledger import Ledger
    from warehouse.ledger_rows import JournalEntry
    from warehouse.runs import MergedRun


def rebuild(project: Project, *, forward: bool = False) -> str:
    """Replay the merge journal into a new warehouse and put it in the place of the old one. Returns what was done.

    `forward`: into a copy of the one that is there, which has the first of the merges, as a restored backup does.
    """
    with scratch(project.data, "rebuild-") as folder:
        beside = dataclasses.replace(project, data=folder)
        had = _copied(project, beside) if forward else set()
        merged = had | replay(project, beside, had)
        while not _put_in_place(project, beside, merged):  # somebody merged meanwhile
            merged |= replay(project, beside, merged)
    fold_and_publish(project)
    more = f", {len(merged - had):,} of them anew" if forward else ""
    return f"rebuilt from {len(merged):,} merges{more}; the snapshot is published"


def _copied(project: Project, beside: Project) -> set[str]:
    """Copy the warehouse; the runs that it has. Raises ConfigurationError P514 where they are not the first of the journal."""
    from warehouse.duck import with_beside
    from warehouse.ledger import Ledger
    from warehouse.lock import writer
    from warehouse.merge import merged_runs

    had = merged_runs(project.warehouse)
    with Ledger(project.ledger) as ledger:
        entries = [entry.run_id for entry in ledger.journal() if entry.state != "abandoned"]
    if set(entries[: len(had)]) != had:
        what = "the warehouse has not the first of the merges that the ledger names, in their order"
        raise ConfigurationError("P514", what, place=str(project.warehouse), fix="crossdock rebuild, without --forward")
    if had:
        with writer(project.warehouse):
            for file in with_beside(project.warehouse):
                if file.is_file():
                    shutil.copyfile(file, beside.warehouse.with_name(file.name))
    return had


def _put_in_place(project: Project, beside: Project, merged: Collection[str]) -> bool:
    """Whether the new warehouse has all that was merged, and now stands in the place of the old one. Nobody merges meanwhile."""
    from warehouse.ledger import Ledger
    from warehouse.lock import writer

    with writer(project.warehouse):
        with Ledger(project.ledger) as ledger:
            if any(entry.run_id not in merged for entry in ledger.journal() if entry.state != "abandoned"):
                return False
        os.replace(beside.warehouse, project.warehouse)
        project.warehouse.with_name(project.warehouse.name + ".wal").unlink(missing_ok=True)
    return True


def _settled(project: Project, ledger: Ledger) -> bool:
    """Whether the warehouse could tell which merges were committed of those that are not marked. One that is gone or damaged cannot."""
    try:
        settle_journal(project, ledger)
    except ConfigurationError as error:
        if error.code != "W102":
            raise
        return False
    return project.warehouse.is_file()


def replay(project: Project, beside: Project, done: Collection[str] = ()) -> set[str]:
    """Merge into `beside` what the journal says was merged in `project`, without the runs that are `done`. Returns the ids of the others."""
    from warehouse.ledger import Ledger

    with Ledger(project.ledger) as ledger:
        left = () if _settled(project, ledger) else ("written",)
        entries = [one for one in ledger.journal() if one.state in ("committed", *left) and one.run_id not in done]
        if not entries and not done:
            raise ConfigurationError(
                "P509", "the ledger names no merges", place="ledger", fix="crossdock run makes the first"
            )
        _refuse_gaps(project, {segment for entry in entries for segment in entry.segments})
        replayed = _Replay(beside, ledger)
        for entry in entries:
            replayed.take(entry)
        replayed.note_quiet()
    return {entry.run_id for entry in entries}


class _Replay:
    """Merges the entries of a journal, one by one in their order. A run that brought nothing and was told nothing is only noted.

    After years most runs are such. Their merges wrote their row of ops.runs alone: no record of theirs is there, no outcome that
    was not folded before, and what else a merge may find to do (what people dismissed since, another survivorship) the first of
    this replay, or the first of the system, has done.
    """

    def __init__(self, beside: Project, ledger: Ledger) -> None:
        self.beside, self.ledger = beside, ledger
        self._folded = 0
        self._hashes: dict[str, str] = {}  # of the mappings of each system of which a run was merged
        self._quiet: list[MergedRun] = []

    def take(self, entry: JournalEntry) -> None:
        from warehouse.runs import MergedRun

        if entry.system in self._hashes and self._brought_nothing(entry):
            at = Run(self.beside, entry.system, entry.run_id).started
            self._quiet.append(MergedRun(entry.run_id, entry.system, at, at, self._hashes[entry.system]))
            return
        self.note_quiet()
        self._hashes[entry.system] = self._merged(entry)
        self._folded = max(self._folded, entry.outcome_seq)

    def _brought_nothing(self, entry: JournalEntry) -> bool:
        return not entry.segments and entry.outcome_seq <= self._folded

    def note_quiet(self) -> None:
        """Write down those that were only noted so far."""
        from warehouse.merge import note_runs

        if self._quiet:
            note_runs(self.beside.warehouse, self._quiet)
            self._quiet = []

    def _merged(self, entry: JournalEntry) -> str:
        """Merge it; the hash of the mappings that made its rows."""
        from warehouse import runfile
        from warehouse.merge import merge as merge_run

        ledger, run = self.ledger, Run(self.beside, entry.system, entry.run_id)
        made_by = mapping_hash(run)
        with run.together():
            _refuse_damage(stage(run, entry.segments))
            map(run)
            gate(run, expectations=False)
            with run.instance() as instance:
                merge_run(
                    request(
                        run,
                        outcomes=lambda after: ledger.outcomes_after(after, entry.outcome_seq),
                        mapping_hash=made_by,
                        dismissed=ledger.dismissals(run.system),
                        instance=instance,
                    )
                )
            run.merged()
        runfile.remove(run.file)
        return made_by


def _refuse_damage(staged: StepReport) -> None:
    """Raises ConfigurationError P546 where a segment could not be read: staging leaves it for the next run, and a rebuild has none."""
    if damaged := [found for found in staged.findings if found.code == "D210"]:
        raise _damaged([str(found.place) for found in damaged], damaged[0].what)


def _damaged(segments: list[str], why: str) -> ConfigurationError:
    what = f"{len(segments):,} segments that were merged are damaged: {why}"
    return ConfigurationError("P546", what, place=segments[0], fix="restore it from a backup of the lake")


def _refuse_gaps(project: Project, wanted: set[str]) -> None:
    """Raises ConfigurationError P545 where the lake has no longer what was merged, P546 where a file of it was cut off: the rebuilt
    warehouse would be another one.
    """
    import fsspec

    fs, root = fsspec.core.url_to_fs(project.lake)
    gone = sorted(segment for segment in wanted if not fs.exists(f"{root}/{segment}"))
    if gone:
        raise ConfigurationError(
            "P545",
            f"{len(gone):,} segments that were merged are gone",
            place=gone[0],
            fix="restore a backup of the warehouse",
        )
    systems = {segment.partition("/")[0] for segment in wanted}
    whole = {one.path for system in systems for one in list_segments(project.lake, system, among=wanted)}
    if short := sorted(wanted - whole):
        raise _damaged(short, "the file is not whole")
