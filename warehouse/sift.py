"""Reads one segment without its odd records: the rest of it is staged as if they were not there.

What DuckDB refuses is found by rule (`odd.py`), and what no rule foresees by halving. Each odd record leaves an empty object
in its line, so that every other record keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.connector import Stream
from hub.segments import Segment, read_lines
from warehouse import odd
from warehouse.duck import Connection, StatementError, literal, one, quote, run, without_values


@dataclass(frozen=True, slots=True)
class Source:
    """What is read: the declared columns and where the files are."""

    stream: Stream
    columns: Mapping[str, str]
    table: str
    cache: Path
    lake: str


@dataclass(slots=True)
class Local:
    """A segment as a file of this machine; `read` is the file that was read for it (without its odd records).

    `number` is its place among the files of its stream, by which the raw rows know it.
    """

    number: int
    segment: Segment
    path: Path
    read: Path


def append(con: Connection, source: Source, files: Sequence[Path], first: int, plain: bool = False) -> None:
    """Read the files, of which the first has the number `first` and the others those that follow."""
    sql = read_sql(source.table, source.columns, [str(file) for file in files], first, plain)
    run(con, sql, name=f"stage {source.stream.name}")


def read_sql(table: str, columns: Mapping[str, str], files: Sequence[str], first: int = 0, plain: bool = False) -> str:
    """Read NDJSON files (zstd, or plain) into a table by declared columns; `_file` is the number of a row's file."""
    declared = ", ".join(
        f"{literal(name)}: {literal(kind)}" for name, kind in (columns or {"_none": "VARCHAR"}).items()
    )
    wanted = "".join(f"{quote(name)}, " for name in columns)
    listed = ", ".join(literal(file) for file in files)
    number, named = "file_index", ""
    if number in (name.lower() for name in columns):  # the records' own field hides DuckDB's
        number, named = f"list_position([{listed}], _path) - 1", ", filename = '_path'"
    return f"""
        INSERT INTO {table} BY NAME
        SELECT {wanted}{first} + {number} AS _file
        FROM read_json([{listed}], format = 'newline_delimited', records = true, compression = {literal("none" if plain else "zstd")},
                       columns = {{{declared}}}{named})"""


def sift(con: Connection, source: Source, item: Local) -> list[odd.Odd]:
    """Read one segment without its odd records; these."""
    shape = odd.shape_of(source.columns)
    lines = [line for line in read_lines(source.lake, item.segment.path) if line.strip()]
    found: dict[int, odd.Odd] = {}
    doubtful: list[int] = []
    for number, line in enumerate(lines, 1):
        why, parsed = odd.examine(number, line, shape, source.stream.primary_key)
        if why is not None:
            found[number] = why
        elif not parsed:
            doubtful.append(number)
    for number in _invalid(con, [(number, lines[number - 1]) for number in doubtful]):
        found[number] = odd.not_json(number, lines[number - 1])
    source.cache.mkdir(parents=True, exist_ok=True)
    item.read = source.cache / f"{item.segment.sequence}.{len(lines)}.odd.jsonl"
    for number, said in _refused(con, source, item.read, lines, set(found)):
        found[number] = odd.refused(number, lines[number - 1], said)
    _rewrite(item.read, lines, set(found))
    append(con, source, [item.read], item.number, plain=True)
    unread = [number for number in doubtful if number not in found]
    for number in _no_numbers(con, source, item, unread):
        found[number] = odd.refused(number, lines[number - 1], "a number that is none")
    return [found[number] for number in sorted(found)]


def _invalid(con: Connection, lines: Sequence[tuple[int, bytes]]) -> Iterator[int]:
    """Those that DuckDB's parser refuses too: it is more lenient than Python's, with a trailing comma for instance."""
    for number, line in lines:
        if not one(con, "SELECT json_valid($1)", [line.decode("utf-8", "replace")]):
            yield number


def _refused(
    con: Connection, source: Source, path: Path, lines: list[bytes], without: set[int]
) -> Iterator[tuple[int, str]]:
    """The lines that DuckDB refuses for a reason that `odd.examine` does not know, found by halving."""
    pending = [[number for number in range(1, len(lines) + 1) if number not in without]]
    while pending:
        part = pending.pop()
        _write(path, [lines[number - 1] for number in part])
        said = _says(con, source, path) if part else None
        if said is None:
            continue
        if len(part) == 1:
            yield part[0], said
        else:
            pending += [part[len(part) // 2 :], part[: len(part) // 2]]


def _says(con: Connection, source: Source, path: Path) -> str | None:
    """What DuckDB has to say against a file; None where it reads it."""
    run(con, f"CREATE OR REPLACE TEMP TABLE _trial AS SELECT * FROM {source.table} LIMIT 0")
    try:
        run(con, read_sql("_trial", source.columns, [str(path)], plain=True), name="trial")
    except StatementError as error:
        return without_values(error.detail).splitlines()[0]
    return None


def _rewrite(path: Path, lines: list[bytes], without: set[int]) -> None:
    """The file again with an empty object for each odd record, so that every other keeps its line."""
    _write(path, [b"{}" if number in without else line for number, line in enumerate(lines, 1)])


def _write(path: Path, lines: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _no_numbers(con: Connection, source: Source, item: Local, doubtful: Sequence[int]) -> list[int]:
    """Of the lines that Python could not parse, those that hold a literal NaN or Infinity."""
    if not doubtful:
        return []
    first = one(con, f"SELECT min(rowid) FROM {source.table} WHERE _file = $1", [item.number])
    rows = run(
        con,
        f"SELECT rowid - {first} + 1 FROM {source.table}"
        f" WHERE _file = $1 AND ({odd.no_number_sql(source.columns)}) AND list_contains($2::BIGINT[], rowid - {first} + 1)",
        [item.number, list(doubtful)],
    )
    return [row[0] for row in rows.fetchall()]
