"""stage: segments of the lake, one row a record version, typed by what the mappings read (`staged.py` keeps them).

Every column is declared and nothing is sniffed. All segments are read in one pass, in parallel; where that fails, each is
read alone, and one that fails alone is read without its odd records (`sift.py`), which go to run.rejects.

What is counted for a stream: read = duplicates + staged, and `staged` includes the records that could not be read, which
are counted once more as `rejected` without a mapping. So for each mapping: staged - rejected of the stream = rejected +
excluded + mapped of the mapping.

A row's place is not stored: the raw table only grows, so its rowid says which line of which file it was. What is taken out
again (duplicates, placeholders of what could not be read) is named in raw._gone, by its line in the batch.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import zstandard

from hub.connector import Stream
from hub.errors import ConfigurationError, Place
from hub.findings import Finding
from hub.segments import Segment
from hub.transaction import transaction
from warehouse import odd, staged
from warehouse.duck import Connection, StatementError, literal, one, quote, run, without_values
from warehouse.runfile import cache_folder, file_of, local_folder
from warehouse.sift import Local, Source, append, sift


@dataclass(slots=True)
class StageReport:
    """One stream, staged. `findings` name damaged segments, which are left for the next run, and say what was odd."""

    system: str
    stream: str
    read: int = 0
    duplicates: int = 0
    staged: int = 0
    rejected: int = 0
    segments: int = 0
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0


def stage(
    con: Connection,
    lake: str,
    system: str,
    stream: Stream,
    segments: Sequence[Segment],
    columns: Mapping[str, str],
    only: Collection[tuple[str, int]] | None = None,
) -> StageReport:
    """Fill stage.<stream> from the segments of the stream, in their order.

    `columns` maps top-level field → DuckDB type. `only` are the (segment, line) to take; the others are as if they were
    not there, and every record that is taken keeps its place. What an earlier staging wrote is for the caller to take back
    (`runfile.reset`). Raises ConfigurationError D220 where the columns cannot be declared.
    A segment that is damaged is left out, with a finding D210; the others are staged.
    """
    began = time.monotonic()
    _check(columns, f"{system}.{stream.name}")
    source = source_of(con, stream, columns, lake)
    report = StageReport(system, stream.name)
    try:
        empty(con, source)
        local = fetch(source, [s for s in segments if s.stream == stream.name and s.system == system], report)
        # A statement that fails would end a transaction, and reading may fail: what was read is placed in one of its own.
        found = read(con, source, local, report)
        placed = place(con, source, local, report)
        with transaction(partial(run, con)):
            gone = _settle(con, source, placed, found, report, only)
        if gone:
            staged.take_out(con, stream.name)
    finally:
        shutil.rmtree(source.cache, ignore_errors=True)
    report.segments = len(local)
    report.seconds = time.monotonic() - began
    return report


def source_of(con: Connection, stream: Stream, columns: Mapping[str, str], lake: str) -> Source:
    return Source(stream, columns, staged.table(stream.name), cache_folder(file_of(con)), lake)


def _settle(
    con: Connection,
    source: Source,
    placed: Sequence[Placed],
    found: list[tuple[Segment, odd.Odd]],
    report: StageReport,
    only: Collection[tuple[str, int]] | None,
) -> bool:
    """Say of every segment where it stands and which rows go, and count; does any row go?"""
    _segments(con, placed)
    others = 0 if only is None else _leave_others(con, source, only)
    _reject(con, source, placed, [(at, it) for at, it in found if only is None or (at.path, it.line) in only])
    report.duplicates = _deduplicate(con, source, sum(one.records for one in placed))
    gone = bool(found or others or report.duplicates)
    _count(con, source, placed, report, others, gone)
    return gone


def _leave_others(con: Connection, source: Source, only: Collection[tuple[str, int]]) -> int:
    """Mark every row as gone that is not wanted; how many."""
    run(con, "CREATE OR REPLACE TEMP TABLE _only (segment VARCHAR, line BIGINT)")
    for segment, line in sorted(only):
        run(con, "INSERT INTO _only VALUES ($1, $2)", [segment, line])
    stream = source.stream.name
    gone = run(
        con,
        f"""INSERT INTO raw._gone SELECT {literal(stream)}, s._seq FROM stage.{quote(stream)} s
            ANTI JOIN _only o ON o.segment = s._segment AND o.line = s._line""",
        name=f"chosen of {stream}",
    ).fetchone()
    return int(gone[0]) if gone else 0


def _check(columns: Mapping[str, str], place: str) -> None:
    seen: dict[str, str] = {}
    for name, kind in columns.items():
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ConfigurationError(
                "D220", f"the fields '{other}' and '{name}' differ only in case", place=place, fix="read one of them"
            )
        try:
            odd.shape_of({name: kind})
        except duckdb.Error:
            raise ConfigurationError("D220", f"'{kind}' of field '{name}' is no type", place=place) from None


def empty(con: Connection, source: Source) -> None:
    """The table that is read into, without rows, and no place of any."""
    name = source.stream.name
    staged.ready(con)
    run(con, f"DROP VIEW IF EXISTS stage.{quote(name)}")
    run(con, create_sql(source))
    run(con, "DELETE FROM stage.places WHERE stream = $1", [name])


def create_sql(source: Source, what: str = "TABLE") -> str:
    """The table that is read into."""
    columns = "".join(f"{quote(column)} {kind}, " for column, kind in source.columns.items())
    return f"CREATE OR REPLACE {what} {source.table} ({columns}_file INTEGER)"


def fetch(source: Source, segments: Sequence[Segment], report: StageReport) -> list[Local]:
    """The segments as local files: an object store's are copied, a folder's are used where they are."""
    folder = local_folder(source.lake)
    if folder is None:
        source.cache.mkdir(parents=True, exist_ok=True)
    local: list[Local] = []
    for number, segment in enumerate(_in_order(segments)):
        if folder is not None:
            path = folder / segment.path
        else:
            path = source.cache / f"{number}.jsonl"
            _copy(source.lake, segment.path, path)
        if path.is_file():
            local.append(Local(len(local), segment, path, path))
        else:
            report.findings.append(_damaged(segment, "the file is not there"))
    return local


def _copy(lake: str, name: str, path: Path) -> None:
    import fsspec

    with fsspec.open(f"{lake}/{name}", "rb") as there, path.open("wb") as here:
        shutil.copyfileobj(there, here, 1 << 20)


def _in_order(segments: Sequence[Segment]) -> list[Segment]:
    """By sequence; of one stream that is the order of the pulls."""
    return sorted(segments, key=lambda s: (s.sequence, s.pulled_at, s.path))


def read(con: Connection, source: Source, local: list[Local], report: StageReport) -> list[tuple[Segment, odd.Odd]]:
    """Fill the raw table; the odd records. Damaged segments are taken out of `local` and become findings."""
    if not local:
        return []
    if _try(con, source, local) and not _suspicious(con, source):
        return []
    run(con, f"DELETE FROM {source.table}")
    found: list[tuple[Segment, odd.Odd]] = []
    for item in list(local):
        if _try(con, source, [item]) and not _suspicious(con, source, item.number):
            continue
        run(con, f"DELETE FROM {source.table} WHERE _file = $1", [item.number])
        try:
            found += [(item.segment, it) for it in sift(con, source, item)]
        except (zstandard.ZstdError, EOFError, OSError) as error:
            local.remove(item)
            report.findings.append(_damaged(item.segment, str(error)))
    return found


def _try(con: Connection, source: Source, items: Sequence[Local]) -> bool:
    """Append the segments, whose numbers follow each other, to the raw table, all or nothing."""
    try:
        append(con, source, [item.path for item in items], items[0].number)
    except StatementError as error:
        if error.kind not in ("InvalidInputException", "IOException"):
            raise
        return False
    return True


def _suspicious(con: Connection, source: Source, file: int | None = None) -> bool:
    """Did something come through that DuckDB reads and JSON does not have: NaN, or a record that is null?"""
    nothing = " AND ".join(f"{quote(name)} IS NULL" for name in source.columns) or "false"
    where = f"({odd.no_number_sql(source.columns)} OR ({nothing}))"
    if file is not None:
        where += f" AND _file = {file}"
    return one(con, f"SELECT 1 FROM {source.table} WHERE {where} LIMIT 1", name="suspicious") is not None


@dataclass(frozen=True, slots=True)
class Placed:
    """A segment that was read: `records` rows from `first_row` on in the table, from `base` on in the batch."""

    segment: Segment
    file: int
    records: int
    first_row: int
    base: int


def place(con: Connection, source: Source, local: list[Local], report: StageReport) -> list[Placed]:
    """Find where each segment's rows stand in the table, say where its lines stand in the batch, and make stage.<stream>.

    A segment that is shorter than its header says becomes a finding and is taken out of `local`: its rows are in no view.
    """
    rows = run(con, f"SELECT _file, count(*), min(rowid), max(rowid) FROM {source.table} GROUP BY 1").fetchall()
    found = {file: (count, first, last) for file, count, first, last in rows}
    base, placed = 1, []
    for item in list(local):
        count, first, last = found.get(item.number, (0, 0, -1))
        assert last - first + 1 == count, "rows of a file do not stand together"
        s = item.segment
        if s.records > count:  # zstd does not complain of a file that ends too early
            local.remove(item)
            report.findings.append(_damaged(s, f"it holds {count:,} records, its header says {s.records:,}"))
            continue
        if 0 < s.records < count:
            what = f"the segment holds {count:,} records, its header says {s.records:,}"
            report.findings.append(Finding("D211", what, Place(s.path), "compare it with a backup", "warning"))
        placed.append(Placed(s, item.number, count, first, base))
        base += count
    name = source.stream.name
    _insert(con, "stage.places", [(name, p.segment.path, p.file, p.first_row, p.base, p.records) for p in placed])
    staged.view(con, name, source.columns)
    return placed


def _segments(con: Connection, placed: Sequence[Placed]) -> None:
    """run.segments. A segment that is not named there is not part of the run."""
    _insert(
        con,
        "run.segments",
        [
            (s.system, s.stream, s.path, s.sequence, one.records, s.pulled_at or None, one.base, s.deleted_at or None)
            for one, s in ((one, one.segment) for one in placed)
        ],
    )


def _insert(con: Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """All rows in one statement: there are as many as there are segments."""
    if rows:
        width = len(rows[0])
        listed = (f"({', '.join(f'${row * width + n}' for n in range(1, width + 1))})" for row in range(len(rows)))
        run(con, f"INSERT INTO {table} VALUES {', '.join(listed)}", [cell for row in rows for cell in row])


def _reject(
    con: Connection, source: Source, placed: Sequence[Placed], found: Sequence[tuple[Segment, odd.Odd]]
) -> None:
    name = source.stream.name
    bases = {one.segment.path: one.base for one in placed}
    for segment, it in found:
        if segment.path not in bases:
            continue
        run(
            con,
            "INSERT INTO run.rejects VALUES ($1, NULL, NULL, $2, $3, $4, $5, $6, $7, $8, $9)",
            [name, it.source_id, segment.path, it.line, it.code, it.field, it.rule, it.message, it.raw],
        )
        run(con, "INSERT INTO raw._gone VALUES ($1, $2)", [name, bases[segment.path] + it.line - 1])


def _deduplicate(con: Connection, source: Source, records: int) -> int:
    """Mark older copies of equal ones among so many records as gone; how many. Exact: what the mappings read is compared, not its hash.

    The newest copy stays: of A, B, A the last A is what the system says now.
    """
    if not source.columns or records < 2:
        return 0
    key, name = key_sql(source), f"duplicates of {source.stream.name}"
    doubtful = run(con, doubtful_sql(source.table, key), name=name).fetchone()
    if not doubtful or not doubtful[0]:
        return 0
    row = run(con, duplicates_sql(source.stream.name, list(source.columns), key), name=name).fetchone()
    return int(row[0]) if row else 0


def key_sql(source: Source) -> str:
    """An expression that is equal for equal records and mostly different for others: the primary key if it is read."""
    path = source.stream.primary_key.split(".")
    shape: odd.Shape | None = odd.shape_of(source.columns)
    for part in path:
        shape = (shape.fields or {}).get(part) if shape else None
    if shape == odd.Shape():
        return ".".join(quote(part) for part in path)
    return f"hash({', '.join(quote(name) for name in source.columns)})"


def doubtful_sql(table: str, key: str) -> str:
    """_doubtful: the keys that stand in several rows."""
    return f"""
        CREATE OR REPLACE TEMP TABLE _doubtful AS
        SELECT {key} AS k FROM {table} GROUP BY 1 HAVING count(*) > 1 AND k IS NOT NULL"""


def duplicates_sql(stream: str, columns: Sequence[str], key: str) -> str:
    """Insert into raw._gone the `_seq` of every row with a doubtful key of which an equal one comes later."""
    listed = ", ".join(quote(name) for name in columns)
    left = f"SELECT _seq FROM raw._gone WHERE stream = {literal(stream)}"
    return f"""
        INSERT INTO raw._gone
        WITH copies AS (
            SELECT _seq, hash({listed}) AS h, struct_pack({", ".join(f"{quote(n)} := {quote(n)}" for n in columns)}) AS r
            FROM stage.{quote(stream)}
            WHERE {key} IN (SELECT k FROM _doubtful) AND _seq NOT IN ({left})
        )
        SELECT DISTINCT {literal(stream)}, older._seq
        FROM copies older JOIN copies newer ON newer.h = older.h AND newer._seq > older._seq
        WHERE newer.r IS NOT DISTINCT FROM older.r"""


def _count(
    con: Connection, source: Source, placed: Sequence[Placed], report: StageReport, others: int, filtered: bool
) -> None:
    """What was left out and what is there are counted apart, or the count law would compare a number with itself."""
    name = source.stream.name
    held = sum(one.records for one in placed)
    report.read = held - others
    report.rejected = one(con, "SELECT count(*) FROM run.rejects WHERE stream = $1 AND mapping IS NULL", [name])
    left = f"SELECT count(*) FROM stage.{quote(name)} WHERE _seq NOT IN (SELECT _seq FROM raw._gone WHERE stream = $1)"
    there = one(con, left, [name]) if filtered else held
    report.staged = there + (report.rejected if filtered else 0)
    states = ("read", "duplicates", "staged", "rejected")
    _insert(con, "run.counts", [(name, None, None, state, getattr(report, state)) for state in states])


def _damaged(segment: Segment, why: str) -> Finding:
    return Finding(
        "D210",
        f"the segment cannot be read: {without_values(why)}",
        Place(segment.path),
        "restore the file from a backup of the lake; it is taken up by the next run",
    )
