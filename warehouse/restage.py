"""Reads again what a run staged: all of a stream where another process maps, or the single records that were refused.

The staged rows are in memory and gone with the connection (`staged.py`). What was taken, and in which order, stands in the run file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import zstandard

from hub.connector import Stream
from hub.errors import ConfigurationError
from hub.segments import Segment, read_lines
from warehouse import staged
from warehouse.duck import Connection, run
from warehouse.runfile import cache_folder, file_of
from warehouse.sift import Source, append
from warehouse.stage import StageReport, create_sql, empty, fetch, place, read, source_of


def restage(con: Connection, lake: str, system: str, stream: Stream, columns: Mapping[str, str]) -> None:
    """Fill stage.<stream> as it was. Raises ConfigurationError D212 where a segment is no longer what it was."""
    source = source_of(con, stream, columns, lake)
    rows = run(
        con, "SELECT segment, records, base FROM run.segments WHERE stream = $1 ORDER BY base", [stream.name]
    ).fetchall()
    segments = [Segment(n, system, stream.name, path, count) for n, (path, count, _) in enumerate(rows)]
    report = StageReport(system, stream.name)
    try:
        empty(con, source)
        local = fetch(source, segments, report)
        read(con, source, local, report)
        placed = place(con, source, local, report)
    finally:
        shutil.rmtree(source.cache, ignore_errors=True)
    now = [(one.segment.path, one.records, one.base) for one in placed]
    if now != rows:
        raise _changed(next((old[0] for old, new in zip(rows, [*now, None], strict=False) if old != new), ""))
    staged.take_out(con, stream.name)


def records(
    con: Connection, lake: str, stream: str, columns: Mapping[str, str], wanted: Sequence[tuple[str, int]]
) -> None:
    """Make the temporary table _read of these records alone, (segment, line) each, in their order and with the columns as they were staged."""
    source = Source(Stream(stream, ""), columns, "_read", cache_folder(file_of(con)), lake)
    run(con, create_sql(source, "TEMP TABLE"))
    source.cache.mkdir(parents=True, exist_ok=True)
    file = source.cache / "records.jsonl"
    try:
        with file.open("wb") as out:
            for path, places in groupby(wanted, key=itemgetter(0)):
                out.writelines(_lines(lake, path, [line for _, line in places]))
        append(con, source, [file], 0, plain=True)
    finally:
        shutil.rmtree(source.cache, ignore_errors=True)


def _lines(lake: str, path: str, wanted: Sequence[int]) -> Iterator[bytes]:
    """The records on these lines, which ascend, with their line breaks. Nothing is decompressed behind the last."""
    left = iter(wanted)
    line = next(left, None)
    try:
        for number, text in enumerate((one for one in read_lines(lake, path) if one.strip()), 1):
            if number == line:
                yield text + b"\n"
                line = next(left, None)
            if line is None:
                return
    except (zstandard.ZstdError, EOFError, OSError):
        pass
    if line is not None:
        raise _changed(path)


def _changed(path: str) -> ConfigurationError:
    return ConfigurationError(
        "D212",
        "the segment is not what it was when it was staged",
        place=path,
        fix="restore the file from a backup of the lake, and run the step stage again",
    )
