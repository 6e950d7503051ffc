"""stage: the segments that no merge has taken yet, into the run file, with the columns that the mappings read."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from flow.language import declared_columns
from flow.report import StepReport
from flow.run import Run
from hub.failpoints import failpoint
from hub.segments import Segment, list_segments
from hub.shape import sampled

if TYPE_CHECKING:
    from warehouse.duck import Connection


def stage(
    run: Run, chosen: Collection[str] | None = None, only: Collection[tuple[str, int]] | None = None
) -> StepReport:
    """Staging can be repeated: it begins with an empty run file. A stream that no mapping reads is left in the lake.

    `chosen` are the paths of the segments to take, merged or not: a rebuild names them. `only` are the (segment, line) to
    take of them, where not every record is meant.
    """
    from warehouse import runfile
    from warehouse.merge import merged_segments
    from warehouse.stage import stage as stage_stream

    began = time.monotonic()
    report = StepReport("stage", run.system)
    segments: dict[str, list[Segment]] = defaultdict(list)
    known = merged_segments(run.project.warehouse, run.system) if chosen is None else set()
    for segment in list_segments(run.project.lake, run.system, known=known):
        if chosen is None or segment.path in chosen:
            segments[segment.stream].append(segment)
    con = runfile.create(run.file, run.project.lake, run.model)
    try:
        runfile.reset(con, run.model, "stage")
        for stream in run.connector.streams:
            if columns := declared_columns(run.inbound, stream.name):
                found = segments[stream.name]
                staged = stage_stream(con, run.project.lake, run.system, stream, found, columns, only)
                for name in ("read", "duplicates", "staged"):
                    report.counts[name] = report.counts.get(name, 0) + getattr(staged, name)
                report.findings += staged.findings
                if only is None:
                    _note_shape(con, run, stream.name, found)
    finally:
        con.close()
    failpoint("stage.after")
    report.seconds = time.monotonic() - began
    return report


def _note_shape(con: Connection, run: Run, stream: str, segments: Sequence[Segment]) -> None:
    """The fields of a sample of the raw records: the columns that mappings declare would hide a new one."""
    seen, records = sampled(run.project.lake, segments)
    if seen:
        listed = [[path, kind, n] for (path, kind), n in seen.items()]
        con.execute(
            "INSERT INTO run.shapes SELECT $1, p[1], p[2], p[3]::BIGINT, $2 FROM (SELECT unnest($3::VARCHAR[][]) AS p)",
            [stream, records, listed],
        )
