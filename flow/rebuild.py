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

if TYPE_CHECKING:
    from warehouse.ledger import Ledger


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
    from warehouse import runfile
    from warehouse.ledger import Ledger
    from warehouse.merge import merge as merge_run

    with Ledger(project.ledger) as ledger:
        left = () if _settled(project, ledger) else ("written",)
        entries = [one for one in ledger.journal() if one.state in ("committed", *left) and one.run_id not in done]
        if not entries and not done:
            raise ConfigurationError(
                "P509", "the ledger names no merges", place="ledger", fix="crossdock run makes the first"
            )
        _refuse_gaps(project, {segment for entry in entries for segment in entry.segments})
        for entry in entries:
            run = Run(beside, entry.system, entry.run_id)
            with run.together():
                stage(run, entry.segments)
                map(run)
                gate(run, expectations=False)
                with run.instance() as instance:
                    merge_run(
                        request(
                            run,
                            outcomes=lambda after, up_to=entry.outcome_seq: ledger.outcomes_after(after, up_to),
                            mapping_hash=mapping_hash(run),
                            dismissed=ledger.dismissals(run.system),
                            instance=instance,
                        )
                    )
                run.merged()
            runfile.remove(run.file)
    return {entry.run_id for entry in entries}


def _refuse_gaps(project: Project, wanted: set[str]) -> None:
    """Raises ConfigurationError P545 where the lake has no longer what was merged: the rebuilt warehouse would be another one."""
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
