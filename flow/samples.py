"""Raw records to try a mapping on: the newest of the lake, those of a file, or what stands on stdin. As bytes, undecoded."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from hub.config import Project
from hub.connector import Stream
from hub.errors import CrossdockError, UsageError
from hub.segments import Segment, SegmentWriter, list_segments, read_line, read_lines


@dataclass(frozen=True, slots=True)
class Source:
    """Segments of a stream in a lake, the project's or one made of a file. `origin` says it to people.

    `newest` is whether the last records are the ones to show, as in the lake, or the first, as in a file.
    """

    lake: str
    segments: tuple[Segment, ...]
    origin: str
    newest: bool

    @property
    def records(self) -> int:
        return sum(segment.records for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Line:
    """One record as it came, and where it stands: a segment of the lake, or the file's name, and a line from 1."""

    segment: str
    line: int
    record: bytes


def of_lake(project: Project, system: str, stream: str) -> Source:
    """All that was pulled of a stream. Raises UsageError P520 where that is nothing."""
    found = [one for one in list_segments(project.lake, system, stream) if not one.deleted_at]
    if not any(segment.records for segment in found):
        fix = f"crossdock run {system} --step pull, or give records: --from FILE"
        raise UsageError("P520", f"the lake holds nothing of {system}.{stream}", place=project.lake, fix=fix)
    return Source(project.lake, tuple(found), f"the lake, {system}/{stream}", newest=True)


def of_text(text: bytes, folder: Path, system: str, stream: Stream, origin: str) -> Source:
    """Records that were given: a JSON array, one object, NDJSON, or a page as the system sends it. `folder` is a lake of its own.

    Raises UsageError P521 where no record can be found in it.
    """
    try:
        records = _records(text, stream)
    except CrossdockError as error:
        raise UsageError("P521", error.what, place=origin, fix="give a JSON array, or one record a line") from None
    if not records:
        raise UsageError(
            "P521", "there are no records in it", place=origin, fix="give a JSON array, or one record a line"
        )
    return Source(str(folder), (written(folder, system, stream.name, records),), origin, newest=False)


def _records(text: bytes, stream: Stream) -> list[bytes]:
    import msgspec

    from hub.records import compact, split

    body = text.removeprefix(b"\xef\xbb\xbf").strip()
    if body.startswith(b"["):
        return split(body)[0]
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [line for line in body.splitlines() if line.strip()]
    for path in (str(stream.options.get("records") or stream.name), stream.name):
        if bytes(fields.get(path.split(".")[0], b"")).lstrip()[:1] in (b"[", b"{"):
            return split(body, path)[0]
    return [compact(body)]


def written(folder: Path, system: str, stream: str, records: Iterable[bytes]) -> Segment:
    """A segment of these records in a lake of its own."""
    name = f"{system}/{stream}/1.jsonl"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = SegmentWriter(path)
    writer.write(records)
    writer.close({"sequence": 1, "system": system, "stream": stream, "pulled_at": ""})
    return Segment(1, system, stream, name, writer.records)


def some(source: Source, limit: int) -> list[Line]:
    """The newest records of the lake, or the first of a file; in the order in which they came."""
    if not source.newest:
        lines = islice(_lines(source.lake, source.segments[0].path), limit)
        return [replace(line, segment=source.origin) for line in lines]
    found: list[Line] = []
    for segment in reversed(source.segments):
        if len(found) >= limit:
            break
        found[:0] = deque(_lines(source.lake, segment.path), maxlen=limit - len(found))
    return found


def at(source: Source, places: Sequence[tuple[str, int]]) -> list[Line]:
    """The records at these (segment, line), in the order of the places."""
    wanted: dict[str, set[int]] = {}
    for segment, line in places:
        wanted.setdefault(segment, set()).add(line)
    found = {
        (one.segment, one.line): one
        for segment, lines in wanted.items()
        for one in islice(_lines(source.lake, segment), max(lines))
        if one.line in lines
    }
    shown = [found[place] for place in places]
    return shown if source.newest else [replace(line, segment=source.origin) for line in shown]


def line_of(lake: str, segment: str, line: int) -> bytes | None:
    """One record by its place; None where the segment or the line is not there."""
    found = pulled(lake, segment, line)
    return found[1] if found else None


def pulled(lake: str, segment: str, line: int) -> tuple[dict[str, Any], bytes] | None:
    """The header of a segment and one of its records; None where they are not there (any more)."""
    try:
        return read_line(lake, segment, line)
    except OSError:
        return None


def decoded(record: bytes) -> Any:
    """The record for people and programs; its text where it is no JSON."""
    try:
        return json.loads(record)
    except (ValueError, RecursionError):
        return record.decode("utf-8", "replace")


def _lines(lake: str, path: str) -> Iterator[Line]:
    lines = (line for line in read_lines(lake, path) if line.strip())
    return (Line(path, number, line) for number, line in enumerate(lines, 1))
