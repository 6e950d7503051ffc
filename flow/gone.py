"""What a full pass found out about deletes goes into the lake: raw data is the truth, and a rebuild tells the same.

A record that is gone leaves a tombstone: the last that was known of it, byte for byte, in a segment whose header says since when.
Every mapping takes it for deleted, whatever it reads. One that the system has although there is a tombstone is kept as the pass read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flow.pull import keep
from flow.run import Run
from hub.segments import SegmentWriter, list_segments, read_lines
from quality.completeness import Completeness, Missing

DELETES = {"R303": "deleted", "R306": "restored"}


def apply(run: Run, found: Completeness, compared: Mapping[str, Sequence[str]], beside: Path) -> list[Missing]:
    """Write what is gone, or there again, into the lake; which records. The next run merges it.

    `compared` are the segments that the pass was compared with, by stream; in `beside` lies what the pass read. Of a stream into which something came meanwhile nothing
    is believed: it is added to `found.refused`, as are records that cannot be taken for a whole one.
    """
    from warehouse.lock import writer

    wanted: dict[str, list[Missing]] = defaultdict(list)
    for one in found.missing:
        if one.code in DELETES and not one.key.startswith("content "):  # without an id nobody knows whose it was
            wanted[one.stream].append(one)
    for inbound in run.inbound:
        if inbound.stream in inbound.known and inbound.stream in wanted:
            del wanted[inbound.stream]
            found.refused[inbound.stream] = "R305 its records are parts of others'; no delete is inferred"
    with writer(run.project.data / "dlt" / run.system):
        for stream in list(wanted):
            if {one.path for one in list_segments(run.project.lake, run.system, stream)} != set(compared[stream]):
                del wanted[stream]
                found.refused[stream] = "R305 something was pulled meanwhile; no delete is inferred"
        if wanted:
            keep(run, {name: _written(run, name, some, beside) for name, some in wanted.items()})
    return [one for some in wanted.values() for one in some]


def _written(
    run: Run, stream: str, some: Sequence[Missing], beside: Path
) -> list[tuple[SegmentWriter, dict[str, Any]]]:
    made = []
    gone = [(run.project.lake, one) for one in some if one.code == "R303"]
    back = [(str(beside), one) for one in some if one.code == "R306"]
    for name, places, more in (("gone", gone, {"deleted_at": run.started.isoformat()}), ("back", back, {})):
        if places:
            writer = SegmentWriter(beside / f"{stream}.{name}.jsonl")
            writer.write(_records(places))
            made.append((writer, more))
    return made


def _records(places: Iterable[tuple[str, Missing]]) -> list[bytes]:
    """The raw records at these places, (lake, where)."""
    lines: dict[tuple[str, str], set[int]] = defaultdict(set)
    for lake, one in places:
        lines[lake, one.segment or ""].add(one.line or 0)
    return [
        line
        for (lake, segment), wanted in sorted(lines.items())
        for number, line in enumerate((one for one in read_lines(lake, segment) if one.strip()), 1)
        if number in wanted
    ]
