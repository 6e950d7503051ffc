"""stage: the segments that no merge has taken yet, read with the columns that the mappings read; the run file says what was taken."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flow.declared import no_mapping
from flow.known import asking, canonical_of, fill, fill_rows, looked_into, streams_of
from flow.language import declared_columns
from flow.report import StepReport
from flow.run import Run
from hub.connector import Stream
from hub.failpoints import failpoint
from hub.segments import Segment, list_segments
from hub.shape import sampled

if TYPE_CHECKING:
    from warehouse.duck import Connection


def stage(
    run: Run,
    chosen: Collection[str] | None = None,
    known: Collection[str] | None = None,
    only: Collection[tuple[str, int]] | None = None,
    hub: Path | None = None,
) -> StepReport:
    """Staging can be repeated: it begins with an empty run file. The rows stay with the connection: map follows in the same
    `Run.together`, or reads them again. A stream that no mapping reads is left in the lake.

    `chosen` are the paths of the segments to take, merged or not: a rebuild names them. Without them, records that use what
    came anew of another stream are taken again. `known` are the segments that lookups see; default: what was merged, and `chosen`.
    `only` are the (segment, line) to take of them, where not every record is meant.
    `hub` is where canonical rows are looked up; default: the project's snapshot.
    """
    with run.together():
        return _staged(run, chosen, known, only, hub)


def _staged(
    run: Run,
    chosen: Collection[str] | None,
    known: Collection[str] | None,
    only: Collection[tuple[str, int]] | None,
    hub: Path | None,
) -> StepReport:
    from warehouse.known import pass_over
    from warehouse.stage import stage as stage_stream

    began = time.monotonic()
    report = StepReport("stage", run.system)
    taken = _Taken(run, chosen, known)
    if taken.listed and not run.inbound and (unread := no_mapping(run.project, run.system)):
        report.findings.append(unread)
    fresh = not run.file.exists()
    with run.database(make=True) as con:
        run.begin(con, "stage", fresh=fresh)
    if canonical_of(run.inbound):
        run.release()
        fill_rows(run.project, run.file, run.inbound, hub)
    with run.database() as con:
        changed = taken.know(con)
        for stream in run.connector.streams:
            columns = read_of(run, stream)
            if not columns:
                continue
            asked = asking(con, run.inbound, stream.name, changed)
            old = taken.old[stream.name] if asked else []
            segments = [*taken.new[stream.name], *old]
            if not segments:
                continue
            staged = stage_stream(con, run.project.lake, run.system, stream, segments, columns, only)
            if old:
                left = pass_over(con, stream.name, [one.path for one in old], asked)
                staged.read, staged.staged = staged.read - left, staged.staged - left
            for name in ("read", "duplicates", "staged"):
                report.counts[name] = report.counts.get(name, 0) + getattr(staged, name)
            report.findings += staged.findings
            if only is None:
                _note_shape(con, run, stream.name, taken.new[stream.name])
    failpoint("stage.after")
    report.seconds = time.monotonic() - began
    return report


def _note_shape(con: Connection, run: Run, stream: str, segments: Sequence[Segment]) -> None:
    """The fields of a sample of the raw records: the columns that mappings declare would hide a new one. Tombstones are old ones."""
    seen, records = sampled(run.project.lake, [one for one in segments if not one.deleted_at])
    if seen:
        listed = [[path, kind, n] for (path, kind), n in seen.items()]
        con.execute(
            "INSERT INTO run.shapes SELECT $1, p[1], p[2], p[3]::BIGINT, $2 FROM (SELECT unnest($3::VARCHAR[][]) AS p)",
            [stream, records, listed],
        )


class _Taken:
    """Which segments a run takes (`new`, by stream), which were merged before (`old`), and which its lookups see."""

    def __init__(self, run: Run, chosen: Collection[str] | None, known: Collection[str] | None) -> None:
        self.run, self.chosen = run, chosen
        self.new: dict[str, list[Segment]] = defaultdict(list)
        self.old: dict[str, list[Segment]] = defaultdict(list)
        looks = bool(looked_into(run.inbound))
        merged = run.merged_segments() if chosen is None or looks else set()
        unseen = merged if chosen is None and not looks else set()
        among = None if looks else chosen  # a rebuild would read the headers of the whole lake for each of its runs
        listed = list_segments(run.project.lake, run.system, known=unseen, among=among)
        self.listed = bool(listed)
        for segment in listed:
            takes = segment.path not in merged if chosen is None else segment.path in chosen
            (self.new if takes else self.old)[segment.stream].append(segment)
        seen = known if known is not None else merged
        self.seen = [one for one in listed if chosen is None or one.path in seen or one.path in chosen]

    def know(self, con: Connection) -> set[str]:
        """The other streams that changed since the last merge; none where the segments were chosen by somebody."""
        new = {one.path for segments in self.new.values() for one in segments} if self.chosen is None else set()
        run = self.run
        wanted = streams_of(run.connector.streams, run.inbound)
        return fill(con, run.project.lake, run.system, wanted, run.inbound, self.seen, new)


def read_of(run: Run, stream: Stream) -> dict[str, str]:
    """What is read of a stream. One that mappings only look into is staged, too: its segments are part of the run all the same."""
    from mappings.inbound import known_columns

    looking = looked_into(run.inbound).get(stream.name)
    return declared_columns(run.inbound, stream.name) or (known_columns(looking, stream) if looking else {})
