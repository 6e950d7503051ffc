"""Raw records by the million, looked at in DuckDB: the key and a hash of each (for completeness), and every field there is.

A file that DuckDB refuses is read once more without the lines that are no JSON: such a record has no key, and staging has
told of it. Hashes are of the text as it came; `same_said` then looks at what differs in text only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hub import canonical
from hub.connector import Stream
from hub.records import PLACE
from hub.segments import SegmentWriter, read_lines
from hub.shape import Seen, paths
from warehouse.duck import Connection, StatementError, literal, quote, run

_LARGEST = 256 << 20  # bytes of one record
_LEAVES = {"VARCHAR": "", "BOOLEAN": False, "NULL": None}


def fill(con: Connection, layer: str, stream: Stream, files: Sequence[tuple[str, Path]], cache: Path) -> None:
    """Append the newest record of each key to complete_<layer>. `files` are (name, file), in the order of their segments."""
    run(
        con,
        "CREATE OR REPLACE TEMP TABLE _read (key VARCHAR, hash VARCHAR, day VARCHAR, version VARCHAR, _file VARCHAR)",
    )
    run(con, "CREATE OR REPLACE TEMP TABLE _named (_file VARCHAR, segment VARCHAR)")
    for name, file in files:
        read = _read(con, file, cache, f"INSERT INTO _read {layer_sql(stream, '{file}')}")
        run(con, "INSERT INTO _named VALUES ($1, $2)", [str(read), name])
    run(con, f"INSERT INTO complete_{layer} {newest_sql(stream)}", name=f"{layer} of {stream.name}")


def layer_sql(stream: Stream, file: str) -> str:
    """(key, hash, day, version, _file) of every record of a file; one without the stream's id is known by its content."""
    doubtful = " OR ".join(f"contains(json::VARCHAR, '\"{name}\"')" for name in PLACE)
    without = literal(json.dumps(dict.fromkeys(PLACE)))
    key, day = _at(stream.primary_key), _at(stream.cursor_fields[0]) if stream.cursor_fields else "NULL"
    version = _at(of) if (of := _version(stream)) else "NULL"
    return f"""
        WITH told AS (
            SELECT CASE WHEN {doubtful} THEN json_merge_patch(json, {without}) ELSE json END AS json, filename FROM {_records(file)}
        )
        SELECT CASE WHEN json::VARCHAR <> 'null' THEN coalesce({key}, 'content ' || md5(json::VARCHAR)) END, md5(json::VARCHAR), left({day}, 10), {version}, filename FROM told"""


def newest_sql(stream: Stream) -> str:
    """Of each key the newest version, as a merge orders them: by a version that can be trusted, else the last that was read.

    Rows stand in the order in which they were read, so a row says its line.
    """
    version = (
        "{'number': coalesce(TRY_CAST(version AS DOUBLE), '-inf'), 'at': coalesce(TRY_CAST(version AS TIMESTAMPTZ), '-infinity'),"
        " 'text': coalesce(version, ''), 'row': rowid}"
    )
    newest = f"max({version}).row" if _version(stream) else "max(rowid)"
    return f"""
        WITH first AS (SELECT _file, min(rowid) AS row FROM _read GROUP BY 1),
        last AS (SELECT key, {newest} AS row FROM _read WHERE key IS NOT NULL GROUP BY 1)
        SELECT {literal(stream.name)}, r.key, r.hash, r.day, n.segment, r.rowid - f.row + 1
        FROM _read r SEMI JOIN last l ON l.row = r.rowid JOIN first f USING (_file) JOIN _named n USING (_file)"""


def _version(stream: Stream) -> str | None:
    return stream.version_field if stream.version_trusted else None


def same_said(con: Connection, lakes: dict[str, str]) -> int:
    """Of keys whose text differs in the two layers, those that say the same get the same hash; how many.

    `lakes` say where the segments of the layers `full` and `lake` lie. Only the records that differ are read.
    """
    run(
        con,
        """CREATE OR REPLACE TEMP TABLE _differ AS
           SELECT s.stream, s.key, s.segment AS full_segment, s.line AS full_line, l.segment AS lake_segment, l.line AS lake_line
           FROM complete_full s JOIN complete_lake l USING (stream, key) WHERE s.hash <> l.hash""",
    )
    for layer, lake in lakes.items():
        run(con, f"CREATE OR REPLACE TEMP TABLE _said_{layer} (stream VARCHAR, key VARCHAR, said VARCHAR)")
        for (segment,) in run(con, f"SELECT DISTINCT {layer}_segment FROM _differ").fetchall():
            told = f"SELECT {layer}_line, stream, key FROM _differ WHERE {layer}_segment = $1"
            wanted = {line: (stream, key) for line, stream, key in run(con, told, [segment]).fetchall()}
            rows = [[*wanted[line], _digest(raw)] for line, raw in _numbered(lake, segment) if line in wanted]
            sql = f"INSERT INTO _said_{layer} SELECT r[1], r[2], r[3] FROM (SELECT unnest($1::VARCHAR[][]) AS r)"
            run(con, sql, [rows])
    same = run(
        con,
        """UPDATE complete_full AS t SET hash = l.hash FROM complete_lake l, _said_full a, _said_lake b
           WHERE (l.stream, l.key) = (t.stream, t.key) AND (a.stream, a.key) = (t.stream, t.key)
             AND (b.stream, b.key) = (t.stream, t.key) AND a.said = b.said""",
    ).fetchone()
    return int(same[0]) if same else 0


def _digest(raw: bytes) -> str:
    try:
        record = canonical.loads(raw)
    except ValueError:
        return ""
    told = {name: value for name, value in record.items() if name not in PLACE} if isinstance(record, dict) else record
    return canonical.fingerprint(told)


def shapes(con: Connection, file: Path, cache: Path) -> tuple[Seen, int]:
    """How many records of a file have each (path, kind), and how many there are: as `hub.shape.sampled`, of every record.

    Records of one structure are one row. What mixes kinds in one place has none, and is looked at itself.
    """
    made = (
        "CREATE OR REPLACE TEMP TABLE _structures AS SELECT json_structure(json)::VARCHAR AS structure, count(*) AS n"
    )
    mixed = "CASE WHEN contains(json_structure(json)::VARCHAR, '\"JSON\"') THEN json::VARCHAR END AS record"
    sql = f"{made}, {mixed} FROM {_records('{file}')} GROUP BY structure, record"
    _read(con, file, cache, sql)
    seen: Seen = Counter()
    records = 0
    cursor = run(con, "SELECT structure, n, record FROM _structures")
    while rows := cursor.fetchmany(1000):
        for structure, n, record in rows:
            value = json.loads(record) if record else _example(json.loads(structure))
            for found in set(paths(value)):
                seen[found] += n
            records += n
    return seen, records


def _example(structure: Any) -> Any:
    """A record of this structure. A list of nothing and one of nulls are told the same: as if there were no items."""
    if isinstance(structure, dict):
        return {name: _example(part) for name, part in structure.items()}
    if isinstance(structure, list):
        return [_example(part) for part in structure if part != "NULL"]
    return _LEAVES.get(structure, 0)


def _records(file: str) -> str:
    return f"read_ndjson_objects({file}, filename = true, compression = 'zstd', maximum_object_size = {_LARGEST})"


def _read(con: Connection, file: Path, cache: Path, sql: str) -> Path:
    """Execute a statement over `{file}`; the file that was read in the end."""
    try:
        run(con, sql.replace("{file}", literal(str(file))), name=f"read {file.name}")
        return file
    except StatementError as error:
        if error.kind not in ("InvalidInputException", "IOException"):
            raise
    valid = _valid(file, cache)
    run(con, sql.replace("{file}", literal(str(valid))), name=f"read {file.name}")
    return valid


def _valid(file: Path, cache: Path) -> Path:
    """The file again with null for each line that is no JSON, so that every other keeps its number."""
    cache.mkdir(parents=True, exist_ok=True)
    writer = SegmentWriter(cache / f"{file.stem}.{len(list(cache.iterdir()))}.jsonl")
    for _, line in _numbered(str(file.parent), file.name):
        writer.write([line if _digest(line) else b"null"])
    return writer.close({})


def _numbered(lake: str, segment: str) -> Iterator[tuple[int, bytes]]:
    yield from enumerate((line for line in read_lines(lake, segment) if line.strip()), 1)


def _at(path: str) -> str:
    place = "$" + "".join(f".{quote(part)}" for part in path.split("."))
    return f"json_extract_string(json, {literal(place)})"
