"""stage: the segments that no merge has taken yet, into the run file, with the columns that the mappings read."""

from __future__ import annotations

import time
from collections import defaultdict

from flow.report import StepReport
from flow.run import Run
from hub.failpoints import failpoint
from hub.segments import Segment, list_segments


def stage(run: Run) -> StepReport:
    """Makes the run file anew: staging can be repeated. A stream that no mapping reads is left in the lake."""
    from flow.language import declared_columns, mappings_of
    from warehouse import runfile
    from warehouse.merge import merged_segments
    from warehouse.stage import stage as stage_stream

    began = time.monotonic()
    report = StepReport("stage", run.system)
    known = merged_segments(run.project.warehouse, run.system)
    segments: dict[str, list[Segment]] = defaultdict(list)
    for segment in list_segments(run.project.lake, run.system, known=known):
        segments[segment.stream].append(segment)
    inbound = mappings_of(run)
    con = runfile.create(run.file, run.project.lake, run.model)
    try:
        for stream in run.connector.streams:
            if columns := declared_columns(inbound, stream.name):
                staged = stage_stream(con, run.project.lake, run.system, stream, segments[stream.name], columns)
                report.counts["read"] = report.counts.get("read", 0) + staged.read
                report.counts["duplicates"] = report.counts.get("duplicates", 0) + staged.duplicates
                report.counts["staged"] = report.counts.get("staged", 0) + staged.staged
    finally:
        con.close()
    failpoint("stage.after")
    report.seconds = time.monotonic() - began
    return report
