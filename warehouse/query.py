"""One SELECT over the published snapshot: read-only, hardened, bounded in time and rows."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from hub.errors import ConfigurationError, UsageError
from warehouse.duck import Connection, StatementError, connect, without_values
from warehouse.tables import SEARCH_PATH

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


@dataclass(frozen=True, slots=True)
class Answer:
    """`rows` are tuples in the order of `columns`. `truncated`: there were more than the limit."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False


def query(
    path: Path,
    sql: str,
    parameters: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    timeout: float = 60.0,
    limit: int = 1_000_000,
) -> Answer:
    """Answer one SELECT (or SHOW, DESCRIBE, EXPLAIN) with at most `limit` rows, in at most `timeout` seconds.

    canonical and marts are on the search path. Raises UsageError W401 for what is not one reading statement, W402 for one that
    DuckDB refuses, W403 when it takes too long; ConfigurationError W142 where nothing is published.
    """
    if not path.is_file():
        raise ConfigurationError("W142", "nothing has been published yet", fix="crossdock run, then crossdock publish")
    con = connect(path, read_only=True, search_path=SEARCH_PATH)
    try:
        statement = _single(con, sql)
        return _answer(con, statement, parameters, timeout, limit)
    finally:
        con.close()


def _single(con: Connection, sql: str) -> duckdb.Statement:
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise _refused(error) from None
    if len(statements) != 1 or statements[0].type not in _READING:
        raise UsageError("W401", "this is not one SELECT", fix="write one statement that only reads")
    return statements[0]


def _answer(con: Connection, statement: duckdb.Statement, parameters: Any, timeout: float, limit: int) -> Answer:
    timer = threading.Timer(timeout, con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        cursor = con.execute(statement, parameters)
        rows = cursor.fetchmany(limit + 1)
        described = cursor.description or []
    except duckdb.InterruptException:
        raise UsageError("W403", f"the query took longer than {timeout:.0f} s", fix="ask for less") from None
    except duckdb.Error as error:
        raise _refused(error) from None
    finally:
        timer.cancel()
        timer.join()  # it has the connection: a process that ended before it did would tell of leaks
    return Answer(
        tuple(column[0] for column in described),
        tuple(str(column[1]) for column in described),
        rows[:limit],
        len(rows) > limit,
    )


def _refused(error: duckdb.Error) -> UsageError:
    said = without_values(str(error))
    what, *more = said.splitlines()
    near = next((line for line in more if line.startswith(("Did you mean", "Candidate bindings"))), "")
    return UsageError("W402", what, fix=near or "`show tables` and `describe TABLE` list what there is", detail=said)


__all__ = ["Answer", "StatementError", "query"]
