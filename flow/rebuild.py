"""`crossdock rebuild`: the warehouse anew from the lake and the ledger, by merging what was merged in the same order."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

from flow.gate import gate
from flow.map import map
from flow.merge import mapping_hash, request, settle_journal
from flow.publish import fold_and_publish
from flow.run import Run
from flow.stage import stage
from hub.config import Project
from hub.errors import ConfigurationError


def rebuild(project: Project) -> str:
    """Replay the merge journal into a new warehouse and put it in the place of the old one. Returns what was done."""
    project.data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rebuild-", dir=project.data))
    try:
        beside = dataclasses.replace(project, data=folder)
        merges = replay(project, beside)
        from warehouse.lock import writer

        with writer(project.warehouse):
            os.replace(beside.warehouse, project.warehouse)
            project.warehouse.with_name(project.warehouse.name + ".wal").unlink(missing_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fold_and_publish(project)
    return f"rebuilt from {merges} merges; the snapshot is published"


def replay(project: Project, beside: Project) -> int:
    """Merge into `beside` what the journal says was merged in `project`. Returns how many merges there were."""
    from warehouse import runfile
    from warehouse.ledger import Ledger
    from warehouse.merge import merge as merge_run

    with Ledger(project.ledger) as ledger:
        if project.warehouse.is_file():
            settle_journal(project, ledger)
        entries = [entry for entry in ledger.journal() if entry.state != "abandoned"]
        if not entries:
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
    return len(entries)


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
