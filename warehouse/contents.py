"""run.contents: a digest of each raw record that was refused, so that the same record is known again and a changed one is not.

Of a record that was staged it is what the mappings read of it; of one that could not be read, the text that was kept.
Only the refused ones are read once more, out of their segments: a million good records cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hub.entity import Model
from warehouse import restage
from warehouse.duck import Connection, literal, one, quote, run


def fill(con: Connection, model: Model, lake: str, columns: Callable[[str], Mapping[str, str]]) -> None:
    """After the gate has marked its rows; the table is empty. `columns` says of a stream what is read of it.

    Raises ConfigurationError D212 where a segment is no longer what it was.
    """
    refused = "SELECT EXISTS (FROM run.rejects) OR EXISTS (FROM gate.findings WHERE severity <> 'warn')"
    if not one(con, refused, name="refused records"):
        return
    run(con, places_sql(model), name="places of refused records")
    run(con, UNREADABLE, name="contents")
    for (stream,) in run(con, "SELECT DISTINCT stream FROM _places").fetchall():
        wanted = run(con, "SELECT segment, line FROM _places WHERE stream = $1 ORDER BY row", [stream]).fetchall()
        restage.records(con, lake, stream, columns(stream), wanted)
        run(con, staged_sql(stream), name=f"contents of {stream}")


def places_sql(model: Model) -> str:
    """_places: stream, segment and line of what was refused and could be read; `row` counts those of a stream."""
    marked = [
        f"""SELECT m._segment AS segment, m._line AS line FROM gate.findings f
            JOIN mapped.{quote(entity.name)} m ON m._row = f._row
            WHERE f.entity = {literal(entity.name)} AND f.severity <> 'warn'"""
        for entity in model.values()
        if not entity.parent
    ]
    rejected = "SELECT segment, line FROM run.rejects WHERE mapping IS NOT NULL"
    return f"""
        CREATE OR REPLACE TEMP TABLE _places AS
        SELECT s.stream, p.segment, p.line, row_number() OVER (PARTITION BY s.stream ORDER BY p.segment, p.line) - 1 AS row
        FROM ({" UNION ".join([rejected, *marked])}) p JOIN run.segments s ON s.segment = p.segment"""


UNREADABLE = """
    INSERT INTO run.contents
    SELECT segment, line, md5(string_agg(coalesce(raw, ''), chr(31) ORDER BY code, field)) FROM run.rejects
    WHERE mapping IS NULL GROUP BY segment, line"""


def staged_sql(stream: str) -> str:
    """Digests of the rows of _read."""
    return f"""
        INSERT INTO run.contents
        WITH refused AS (SELECT rowid AS _at, * EXCLUDE (_file) FROM _read)
        SELECT p.segment, p.line, md5(CAST(struct_update(r, _at := 0) AS VARCHAR))
        FROM refused r JOIN _places p ON p.row = r._at AND p.stream = {literal(stream)}"""
