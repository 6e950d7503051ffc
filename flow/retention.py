"""`crossdock retain`: raw data that nothing needs any more is removed from the lake, where `retention:` says after how many days.

Kept whatever its age is a segment that was not merged, that holds the newest version of any of its records (trace, replay and
completeness read it), or that is the evidence of an open case or break. So what goes are old versions of records; what an analyst
sees does not change. A warehouse can no longer be rebuilt from what is gone, and `crossdock rebuild` says so. An original answer
that was kept whole (`flow/bodies.py`) goes with the last segment that names it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from flow.bodies import unnamed
from flow.completeness import newest_in_lake
from flow.language import streams_of
from flow.report import StepReport
from hub.config import Project
from hub.connector import Stream


def retain(project: Project, now: datetime | None = None, *, dry_run: bool = False) -> StepReport:
    """Remove what is older than `retention: days:` and not needed; with `dry_run` only say what would be."""
    from warehouse import access, retention
    from warehouse.model import entities

    report = StepReport("retain", project.name)
    if project.retention_days is None:
        report.detail["summary"] = "everything is kept: crossdock.yaml has no retention:"
        return report
    cutoff = (now or datetime.now(UTC)) - timedelta(days=project.retention_days)
    with access.write(project.warehouse) as con:
        old = retention.merged_before(con, cutoff)
        pins = retention.pinned(con, entities())
    old = _there(project, old)
    loose = [one for one in old if one[2] not in pins]
    # Whole streams are read for this, so nobody waits for it; what is newest meanwhile only makes more of them old.
    needed = _newest(project, {(system, stream) for system, stream, _ in loose})
    with access.write(project.warehouse) as con:  # no merge and no comparison refers to what is being removed
        pins |= retention.pinned(con, entities())
        gone = [segment for _, _, segment in loose if segment not in needed and segment not in pins]
        size = _remove(project.lake, gone, dry_run)
    # After the segments: a kill between the two leaves answers that nothing names, for the next time, and never the reverse.
    bodies = _bodies(project, {one[:2] for one in loose if one[2] in gone}, gone, cutoff, dry_run)
    size += sum(bodies.values())
    report.counts = {"removed": len(gone), "kept": len(old) - len(gone), "bodies": len(bodies), "bytes": size}
    report.detail["segments"] = gone
    report.detail["lines"] = _lines(
        gone, [pins.get(segment, "newest version") for _, _, segment in old if segment not in gone]
    )
    said = "would be removed" if dry_run else "removed"
    answers = f" and {len(bodies):,} original answers" if bodies else ""
    report.detail["summary"] = (
        f"{len(gone):,} segments{answers} from before {cutoff:%Y-%m-%d} {said}, {size / 1e6:,.1f} MB; {len(old) - len(gone):,} as old are needed"
    )
    return report


def _there(project: Project, merged: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    import fsspec

    fs, root = fsspec.core.url_to_fs(project.lake)
    return [one for one in merged if fs.exists(f"{root}/{one[2]}")]


def _newest(project: Project, streams: Collection[tuple[str, str]]) -> set[str]:
    """The segments that hold the newest version of a record, as the lake has it: also of records that no mapping takes."""
    known = {system: {stream.name: stream for stream in of} for system, of in streams_of(project).items()}
    found: set[str] = set()
    for system, name in streams:
        stream = known.get(system, {}).get(name) or Stream(name, primary_key="id")
        found |= newest_in_lake(project, system, stream)
    return found


def _remove(lake: str, segments: Collection[str], dry_run: bool) -> int:
    """Returns the bytes of it."""
    import fsspec

    fs, root = fsspec.core.url_to_fs(lake)
    size = 0
    for segment in segments:
        size += fs.size(f"{root}/{segment}")
        if not dry_run:
            fs.rm(f"{root}/{segment}")
    return size


def _bodies(
    project: Project, streams: Collection[tuple[str, str]], gone: Collection[str], cutoff: datetime, dry_run: bool
) -> dict[str, int]:
    """The original answers that go with the segments, path → bytes: only a stream that loses one is read for that."""
    import fsspec

    fs, _ = fsspec.core.url_to_fs(project.lake)
    found: dict[str, int] = {}
    for system, stream in sorted(streams):
        found |= unnamed(project, system, stream, set(gone), cutoff)
    for path in () if dry_run else found:
        fs.rm(path)
    return found


def _lines(gone: list[str], kept: list[str]) -> list[str]:
    why: dict[str, Any] = {reason: kept.count(reason) for reason in dict.fromkeys(kept)}
    said = [f"kept: {', '.join(f'{n:,} {reason}' for reason, n in why.items())}"] if why else []
    return [*said, *gone[:20], *([f"… and {len(gone) - 20:,} more"] if len(gone) > 20 else [])]
