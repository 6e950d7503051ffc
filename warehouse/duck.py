"""Opens DuckDB hardened, and executes one statement a call.

A connection can read and write its own file, what was attached to it before the lock, and the allowed folders; nothing
else: no other file, no network, no extension, and the settings cannot be changed back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from hub.boundary import disk_refusal, disk_words
from hub.errors import ConfigurationError, CrossdockError, TransientError

Connection = duckdb.DuckDBPyConnection

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
}


class StatementError(CrossdockError):
    """A statement that DuckDB refused. `statement` is its name, `detail` what DuckDB said, without quoted values."""

    def __init__(self, statement: str, error: duckdb.Error, code: str = "W120") -> None:
        said = without_values(str(error))
        disk = disk_words(said.splitlines())
        more = "correct what it says"
        if isinstance(error, duckdb.OutOfMemoryException):
            more = "give it more (CROSSDOCK_MEMORY)"
        elif disk:
            code, more = "F240", "make room on the disk, let us write there,"
        super().__init__(
            code,
            f"the statement '{statement}' failed: {disk or said.splitlines()[0]}",
            fix=f"nothing of it was kept; {more} and run the step again",
            detail=said,
        )
        self.statement = statement
        self.kind = type(error).__name__


def connect(
    path: Path | str,
    *,
    read_only: bool = False,
    attach: Mapping[str, Path] | None = None,
    allowed: Sequence[Path | str] = (),
    files: Sequence[Path] = (),
    search_path: str = "",
    settings: Sequence[str] = (),
    block: int = 0,
) -> Connection:
    """Open a database file (or `:memory:`), hardened and locked.

    `attach` maps alias → file, opened read-only before the lock. `allowed` are folders that may be read and written, `files`
    single files that may be, so that they can be attached later. `block` is how many rows the blocks have that are written
    (`writing.py`, `runfile.py`), instead of 122,880.
    CROSSDOCK_MEMORY (`400MB`) bounds what DuckDB holds; beyond it, it writes beside the file.
    Raises TransientError W101 while another process has the file open, ConfigurationError W102 when it is no database,
    W104 when CROSSDOCK_MEMORY is no amount.
    """
    try:
        con = (
            _with_blocks(Path(path), block)
            if block
            else duckdb.connect(str(path), read_only=read_only, config=dict(_CONFIG))
        )
    except duckdb.Error as error:
        raise _not_opened(path, error) from None
    if block:
        files = [*files, *with_beside(Path(path))]
    try:
        for alias, file in (attach or {}).items():
            con.execute(attach_sql(file, alias, read_only=True))
        _lock(con, allowed, files, search_path, settings)
    except duckdb.Error as error:
        con.close()
        raise _not_opened(path, error) from None
    return con


def _with_blocks(path: Path, block: int) -> Connection:
    """Only ATTACH takes the size of the blocks, so the file is attached to an instance in memory, which is then no other."""
    con = duckdb.connect(":memory:", config=dict(_CONFIG))
    try:
        con.execute(f"SET temp_directory = {literal(f'{path}.tmp')}")  # where it is of a file that is opened
        con.execute(attach_sql(path, path.stem, block=block))
        con.execute(f"USE {quote(path.stem)}")
    except duckdb.Error:
        con.close()
        raise
    return con


def attach_sql(path: Path, alias: str, *, read_only: bool = False, block: int = 0) -> str:
    options = ", ".join(["READ_ONLY"] * read_only + [f"ROW_GROUP_SIZE {block}"] * bool(block))
    return f"ATTACH {literal(str(path))} AS {quote(alias)}{f' ({options})' if options else ''}"


def with_beside(path: Path) -> list[Path]:
    """A database's file and those that DuckDB writes beside it."""
    return [path.with_name(path.name + end) for end in ("", ".wal", ".wal.checkpoint", ".wal.recovery")]


def attach(con: Connection, path: Path, alias: str, *, read_only: bool = False, block: int = 0) -> None:
    """Attach a file that the connection may read; `block` as for `connect`, and raises as it does."""
    try:
        con.execute(attach_sql(path, alias, read_only=read_only, block=block))
    except duckdb.Error as error:
        raise _not_opened(path, error) from None


def _lock(
    con: Connection,
    allowed: Sequence[Path | str],
    files: Sequence[Path],
    search_path: str,
    settings: Sequence[str],
) -> None:
    folders = ", ".join(literal(str(Path(folder).resolve()) + "/") for folder in allowed)
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    if memory := os.environ.get("CROSSDOCK_MEMORY"):
        _bound(con, memory)
    for setting in settings:
        con.execute(setting)
    if search_path:
        con.execute(f"SET search_path = {literal(search_path)}")
    if files:
        con.execute(f"SET allowed_paths = [{', '.join(literal(str(file)) for file in files)}]")
    con.execute(f"SET allowed_directories = [{folders}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def _bound(con: Connection, memory: str) -> None:
    try:
        con.execute(f"SET memory_limit = {literal(memory)}")
    except duckdb.Error:
        con.close()
        raise ConfigurationError(
            "W104", "CROSSDOCK_MEMORY is no amount of memory", place="environment", fix="write 400MB, 2GB"
        ) from None


def _not_opened(path: Path | str, error: duckdb.Error) -> CrossdockError:
    said = str(error)
    name = Path(str(path)).name
    if disk_said := disk_words(without_values(said).splitlines()):
        return disk_refusal(disk_said)
    if "Could not set lock" in said:  # damage is told in blocks, which hold the word, too
        return TransientError(
            "W101", f"another process has {name} open", fix="analysts and pages open the snapshot; try again"
        )
    return ConfigurationError(
        "W102", f"{name} cannot be opened", fix="restore it from a backup, or rebuild it", detail=without_values(said)
    )


def run(con: Connection, sql: str, parameters: Any = None, *, name: str = "statement") -> Connection:
    """Execute exactly one statement. Raises StatementError with `name`; ConfigurationError W110 unless it is one."""
    try:
        return con.execute(_parsed(con, sql, name), parameters)
    except duckdb.Error as error:
        raise StatementError(name, error) from None


# Parsing is a tenth of what a small statement costs, and batch after batch executes the same texts.
_PARSED: dict[str, Any] = {}
_PARSED_AT_MOST = 500
_LONG = 30_000  # characters: a text with values of its own does not come again


def _parsed(con: Connection, sql: str, name: str) -> Any:
    if found := _PARSED.get(sql):
        return found
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise StatementError(name, error) from None
    if len(statements) != 1:
        raise ConfigurationError(
            "W110", f"'{name}' holds {len(statements)} statements", fix="one statement a call; split it"
        )
    if len(sql) < _LONG:
        if len(_PARSED) >= _PARSED_AT_MOST:
            _PARSED.clear()
        _PARSED[sql] = statements[0]
    return statements[0]


def one(con: Connection, sql: str, parameters: Any = None, *, name: str = "statement") -> Any:
    """The first column of the first row, or None."""
    row = run(con, sql, parameters, name=name).fetchone()
    return row[0] if row else None


def filled(con: Connection, also: str = "") -> set[str]:
    """The tables of the current database that have rows, `schema.table`, and those of the database `also`, `also.schema.table`.

    One look at the catalog stands for a question to each of a hundred tables. Of a table whose rows are all deleted it may say yes.
    """
    sql = """SELECT concat(CASE WHEN database_name = $1 THEN $1 || '.' END, schema_name, '.', table_name) FROM duckdb_tables()
        WHERE estimated_size > 0 AND database_name IN (current_database(), $1)"""
    return {name for (name,) in run(con, sql, [also], name="tables with rows").fetchall()}


def quote(name: str) -> str:
    """An identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | None) -> str:
    """A text as an SQL literal."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


_VALUE = re.compile(r"'(?:[^']|'')*'")
_JSON = re.compile(r"((?:but got \w+:|Object)\s).*", re.DOTALL)


def without_values(said: str) -> str:
    """DuckDB's message without the values that it quotes: they may be personal. Names in double quotes stay."""
    return _JSON.sub(r"\1…", _VALUE.sub("'…'", said))
