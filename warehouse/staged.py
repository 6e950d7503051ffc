"""The database `stage`: what a run staged, in memory beside its run file, for as long as the connection lives.

    stage.<stream>       the staged records with their place, as mappings read them
    stage.raw.<stream>   the same without their place: a row's number says which line of which file it was
    stage.places         which rows of stage.raw are which segment's

Writing all of it to the disk would cost a third of what reading it costs, and one process stages and maps. Another one that
maps reads the same segments again (`restage.py`). What does not fit into memory is spilled beside the run file.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from warehouse.duck import Connection, literal, quote, run

_PLACES = "stream VARCHAR, segment VARCHAR, file INTEGER, first_row BIGINT, base BIGINT, records BIGINT"


def ready(con: Connection) -> None:
    """Make the database, unless it is there."""
    run(con, "ATTACH IF NOT EXISTS ':memory:' AS stage")
    run(con, "CREATE SCHEMA IF NOT EXISTS stage.raw")
    run(con, f"CREATE TABLE IF NOT EXISTS stage.places ({_PLACES})")


def drop(con: Connection) -> None:
    """Let go of all staged rows: nothing behind map reads them."""
    run(con, "DETACH DATABASE IF EXISTS stage")


def table(name: str) -> str:
    return f"stage.raw.{quote(name)}"


def streams(con: Connection) -> set[str]:
    """The streams whose rows this connection has."""
    try:
        return {stream for (stream,) in con.execute("SELECT DISTINCT stream FROM stage.places").fetchall()}
    except duckdb.CatalogException:
        return set()


def view(con: Connection, stream: str, columns: Collection[str]) -> None:
    """stage.<stream>: the rows that are left, each with its segment, its line there and its line in the batch."""
    listed = "".join(f", t.{quote(name)}" for name in columns)
    sql = f"""CREATE OR REPLACE VIEW stage.{quote(stream)} AS
        SELECT p.segment AS _segment, t.rowid - p.first_row + 1 AS _line, p.base + t.rowid - p.first_row AS _seq{listed}
        FROM {table(stream)} t JOIN stage.places p ON p.file = t._file AND p.stream = {literal(stream)}"""
    run(con, sql, name=f"stage.{stream}")


def take_out(con: Connection, stream: str) -> None:
    """Delete the rows that raw._gone names. The others keep their numbers."""
    run(
        con,
        f"""DELETE FROM {table(stream)} WHERE rowid IN (
            SELECT p.first_row + g._seq - p.base FROM raw._gone g
            JOIN stage.places p ON p.stream = g.stream AND g._seq >= p.base AND g._seq < p.base + p.records
            WHERE g.stream = $1)""",
        [stream],
        name=f"out of {stream}",
    )
