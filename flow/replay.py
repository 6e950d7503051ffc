"""`crossdock replay`: kept raw data mapped anew, with the mappings as they are now, and merged as any run is.

The segments that were merged before are staged again by name, so that no position moves: what is still to be merged is
left to the next run. The order of versions holds: a record of which the warehouse has a newer version stays as it is.
A replay has a run of its own in the journal and in ops.runs, and what it finds unchanged it does not write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, time

from flow.gate import gate
from flow.language import load_mappings
from flow.map import map
from flow.merge import merge
from flow.publish import fold_and_publish
from flow.report import StepReport
from flow.run import Run
from flow.stage import stage
from hub.config import Project
from hub.errors import UsageError
from hub.segments import list_segments


def replay(
    project: Project,
    name: str,
    since: datetime | None = None,
    *,
    expectations: bool = True,
    on_report: Callable[[StepReport], None] | None = None,
) -> list[StepReport]:
    """Map and merge again what was merged of the stream of the mapping `name` (of all streams for a system), and publish.

    `since` leaves out segments that were pulled before. Returns a report a step; `merge` counts as `changed` the canonical rows
    that it touched. Raises UsageError P533 where nothing of that was merged yet.
    """
    run = Run.start(project, name.partition("/")[0])
    chosen = _segments(run, name, since)
    reports = again(run, chosen, expectations=expectations, on_report=on_report)
    if reports[-1].step == "merge":
        fold_and_publish(project)
    return reports


def again(
    run: Run,
    segments: Collection[str],
    only: Collection[tuple[str, int]] | None = None,
    *,
    expectations: bool = True,
    on_report: Callable[[StepReport], None] | None = None,
) -> list[StepReport]:
    """The steps of a replay of these segments, or `only` of the (segment, line) in them. Stops where one fails."""
    reports: list[StepReport] = []
    steps: tuple[Callable[[], StepReport], ...] = (
        lambda: stage(run, segments, only=only),
        lambda: map(run),
        lambda: gate(run, expectations=expectations, shares=only is None, history=False),
        lambda: merge(run),
    )
    with run.together():
        for step in steps:
            report = step()
            reports.append(report)
            if on_report:
                on_report(report)
            if report.status == "failed":
                break
    return reports


def _segments(run: Run, name: str, since: datetime | None) -> list[str]:
    """What is replayed: merged segments of the stream, all of those from `since` on, so that no newer version is left out.

    Of the same entity the lists of deletes belong to it: what they tell is the newest version of what the stream brought.
    """
    loaded = load_mappings(run.project, run.model, [run.system])
    stream = loaded[name].stream if "/" in name else None
    made = {one.entity for one in loaded.of(run.system) if one.stream == stream}
    lists = {one.stream for one in loaded.of(run.system) if one.lists_deletes and one.entity in made}
    merged = run.merged_segments()
    found = [
        one
        for one in list_segments(run.project.lake, run.system)
        if one.path in merged and (stream is None or one.stream in {stream, *lists})
    ]
    chosen = [one.path for one in found if since is None or _at(one.pulled_at) >= since]
    if not chosen:
        what = f"nothing of {run.system}{f'.{stream}' if stream else ''} was merged" + (
            " since then" if found else " yet"
        )
        raise UsageError("P533", what, place=run.project.lake, fix=f"crossdock run {run.system}, or an earlier --since")
    return chosen


def _at(pulled: str) -> datetime:
    """When a segment was pulled. One that does not say it may hold anything, so it is never left out."""
    try:
        said = datetime.fromisoformat(pulled)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def moment(text: str | None) -> datetime | None:
    """`2026-11-01` (its beginning, UTC) or an ISO instant. Raises UsageError P534."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        said = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("P534", f"'{text}' is no day and no instant", fix="write --since 2026-11-01") from None
    return said if said.tzinfo else said.replace(tzinfo=UTC)
