"""The run file: what one run of one system staged, mapped and marked, before the warehouse hears of it.

    known.<stream>    the newest records of streams that mappings look into (`known.py`)
    mapped.<entity>   canonical rows as the mappings made them
    run.segments, run.rejects, run.counts
    raw._gone         which lines of the batch are not staged: duplicates, what could not be read
    run.mappings      a hash of each mapping that was run
    run.shapes        the fields of a sample of raw records (`hub/shape.py`)
    run.contents      a digest of each raw record that was refused (`contents.py`)
    gate.findings, gate.verdicts, gate.results, gate.state, gate.batch
    gate.others       what earlier runs merged of the keys of this one (`others.py`)
    gate.baseline     what is usual (`baseline.py`), gate.batch_findings what is not, gate.profile what was counted for it

The staged records themselves are in memory (`staged.py`), typed by what the mappings read. A step can be repeated: `reset` empties what it and the later ones wrote.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from hub.entity import DELETED, Entity, Model
from hub.errors import ConfigurationError
from hub.transaction import transaction
from warehouse import columns as c
from warehouse.duck import Connection, connect, filled, literal, one, quote, run, with_beside

Step = Literal["stage", "map", "gate"]

# The file lives for a day: compressing it costs half as much again as reading the records.
_SETTINGS = ("SET force_compression = 'uncompressed'",)

# Fewer than DuckDB's 122,880: a batch of that size then has several groups, which all cores read, and rows are written while they
# are mapped instead of all together when that is committed.
ROWS_OF_A_GROUP = 30_720

SHAPES = "stream VARCHAR, path VARCHAR, kind VARCHAR, n BIGINT, records BIGINT"
_TABLES: dict[str, str] = {
    "run.segments": "system VARCHAR, stream VARCHAR, segment VARCHAR, seq BIGINT, records BIGINT, pulled_at TIMESTAMPTZ,"
    " base BIGINT, deleted_at TIMESTAMPTZ",
    "run.rejects": "stream VARCHAR, mapping VARCHAR, entity VARCHAR, source_id VARCHAR, segment VARCHAR, line BIGINT,"
    " code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR",
    "run.counts": "stream VARCHAR, mapping VARCHAR, entity VARCHAR, state VARCHAR, n BIGINT",
    "raw._gone": "stream VARCHAR, _seq BIGINT",
    "run.mappings": "mapping VARCHAR, hash VARCHAR",
    "run.shapes": SHAPES,
    "run.contents": "segment VARCHAR, line BIGINT, content VARCHAR",
    "gate.findings": "entity VARCHAR, _row BIGINT, source_id VARCHAR, rule VARCHAR, code VARCHAR, severity VARCHAR,"
    " field VARCHAR, message VARCHAR, raw VARCHAR",
    "gate.verdicts": "entity VARCHAR, rule VARCHAR, code VARCHAR, severity VARCHAR, checked BIGINT, failed BIGINT,"
    " threshold DOUBLE, closed BOOLEAN, why VARCHAR",
    "gate.results": "suite VARCHAR, success BOOLEAN, json VARCHAR, page VARCHAR",
    "gate.state": "entity VARCHAR, closed BOOLEAN, why VARCHAR",
    "gate.batch": "digest VARCHAR",
    "gate.batch_findings": "entity VARCHAR, rule VARCHAR, code VARCHAR, severity VARCHAR, field VARCHAR, message VARCHAR,"
    " raw VARCHAR",
    "gate.baseline": "entity VARCHAR, measure VARCHAR, field VARCHAR, item VARCHAR, days BIGINT, value DOUBLE, moment TIMESTAMPTZ",
    "gate.others": "what VARCHAR, system VARCHAR, key VARCHAR[]",
    "gate.profile": "entity VARCHAR, field VARCHAR, item VARCHAR, n BIGINT",
}


class Statement(Protocol):
    """One SQL statement with the name that errors quote; where `needed` finds nothing, it need not be executed.

    `kind` is `view` of what lasts as long as its connection, `undo` of what takes back what was written before.
    """

    @property
    def name(self) -> str: ...
    @property
    def sql(self) -> str: ...
    @property
    def needed(self) -> str: ...
    @property
    def kind(self) -> str: ...


def create(path: Path, lake: str, model: Model, settings: Sequence[str] = (), beside: Sequence[str] = ()) -> Connection:
    """Make (or open again) the run file with its tables. The lake and the file's folder can be read, nothing else.

    `settings` are statements executed before the configuration is locked; `beside` are other lakes that may be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    allowed = [folder for one_lake in (lake, *beside) for folder in _folders(path, one_lake)]
    con = connect(path, allowed=allowed, settings=(*_SETTINGS, _named(path), *settings), block=ROWS_OF_A_GROUP)
    try:
        create_tables(con, model)
    except BaseException:
        con.close()
        raise
    return con


def create_tables(con: Connection, model: Model) -> None:
    """Make the tables, in the database that is current."""
    c.check_model(model)
    run(con, "BEGIN")  # one write to the disk, not one a table
    for schema in ("raw", "known", "mapped", "run", "gate"):
        run(con, f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for name, columns in _TABLES.items():
        run(con, f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
    for entity in model.values():
        run(con, mapped_table_sql(entity), name=f"mapped.{entity.name}")
    run(con, "COMMIT")


def open(path: Path, read_only: bool = False, lake: str = "") -> Connection:
    """Open a run file that `create` made. Raises ConfigurationError W140 when there is none."""
    if not path.is_file():
        raise ConfigurationError("W140", f"there is no run file {path.name}", fix="run the step stage first")
    return connect(
        path,
        read_only=read_only,
        allowed=_folders(path, lake),
        settings=() if read_only else (*_SETTINGS, _named(path)),
    )


def _named(path: Path) -> str:
    """The connection knows its file: asking DuckDB for the path of a database takes three milliseconds."""
    return f"SET VARIABLE run_file = {literal(str(path.resolve()))}"


def local_folder(lake: str) -> Path | None:
    """The lake as a folder of this machine; None where it is an object store."""
    if "://" not in lake:
        return Path(lake).resolve()
    parts = urlsplit(lake)
    return Path(unquote(parts.path)).resolve() if parts.scheme == "file" else None


def remove(path: Path) -> None:
    """Delete a run file, the log that DuckDB may have left beside it, and the folders of a process that was killed."""
    for file in with_beside(path):
        file.unlink(missing_ok=True)
    for folder in (cache_folder(path), path.with_name(f"{path.name}.tmp")):
        shutil.rmtree(folder, ignore_errors=True)


def file_of(con: Connection) -> Path:
    """The file of an open run file, or what would be it where the run is in memory; `instance.py` says it for its own."""
    return Path(one(con, "SELECT getvariable('run_file')") or "run.duckdb")


def cache_folder(path: Path) -> Path:
    """Where a run keeps copies of segments, whole or without their odd records."""
    return path.with_suffix(".segments")


def _folders(path: Path, lake: str) -> list[Path]:
    local = local_folder(lake) if lake else None
    return [folder for folder in (local, cache_folder(path)) if folder]


def mapped_table_sql(entity: Entity) -> str:
    """The DDL of mapped.<entity>.

    `_row` is unique in the table and follows `_seq`; children carry their header's as `_parent_row`. `_hub` is the
    hub's own id where the record quotes it. What tells rows apart is a hash that merge computes.
    """
    head = [("_row", "BIGINT")]
    text = ["system", "source_id", "mapping", "_segment"]
    if entity.parent:
        head.append(("_parent_row", "BIGINT"))
        text.insert(2, "parent_source_id")
    columns = [
        *head,
        *((name, "VARCHAR") for name in text),
        ("_line", "BIGINT"),
        ("_seq", "BIGINT"),
        ("version", "VARCHAR"),
        *([] if entity.parent else [("_hub", "VARCHAR")]),
        *c.mapped_columns(entity),
    ]
    listed = ", ".join(f"{quote(name)} {kind}" for name, kind in columns)
    return f"CREATE TABLE IF NOT EXISTS mapped.{quote(entity.name)} ({listed})"


def reset(con: Connection, model: Model, step: Step) -> None:
    """Empty what `step` and the steps after it write, so that it can be run again."""
    tables = dict.fromkeys([name for name in _TABLES if name.startswith("gate.")] + ["run.contents"], "")
    if step != "gate":
        of_mappings = " WHERE mapping IS NOT NULL" if step == "map" else ""
        tables |= {"run.mappings": "", "run.rejects": of_mappings, "run.counts": of_mappings}
        tables |= {f"mapped.{entity.name}": "" for entity in model.values()}
    if step == "stage":
        tables |= {"run.segments": "", "run.shapes": "", "raw._gone": ""}
    for name in sorted(filled(con) & set(tables)):
        run(con, f"DELETE FROM {name}{tables[name]}")


def staged(con: Connection) -> int:
    """How many records are staged."""
    sql = "SELECT coalesce(sum(n), 0)::BIGINT FROM run.counts WHERE mapping IS NULL AND state = 'staged'"
    return int(one(con, sql, name="staged"))


def fed(con: Connection) -> dict[str, bool]:
    """The streams of which something was staged, and whether there are tombstones among it. A mapping of another one has nothing to do."""
    sql = "SELECT stream, count(deleted_at) > 0 FROM run.segments GROUP BY stream"
    return dict(run(con, sql).fetchall())


def mark_deleted(con: Connection, entity: str) -> None:
    """Rows of tombstones are deleted since then, unless their mapping itself knows since when."""
    run(
        con,
        f"""UPDATE mapped.{quote(entity)} AS m SET {DELETED.name} = coalesce(m.{DELETED.name}, g.deleted_at)
            FROM run.segments g WHERE g.segment = m._segment AND g.deleted_at IS NOT NULL""",
        name=f"deleted {entity}",
    )


def execute(
    con: Connection, statements: Iterable[Statement], views: set[str] | None = None, *, emptied: bool = False
) -> None:
    """Execute the statements of one mapping, all or none. Raises StatementError that names the one that failed.

    `views` are the texts of those that the connection has, and is added to; `emptied`: there is nothing to take back.
    """
    had = views or set()
    made = set()
    needed: dict[str, bool] = {"": True}
    with transaction(partial(run, con)):
        for statement in statements:
            if statement.kind == "view":
                if statement.sql in had:
                    continue
                made.add(statement.sql)
            if statement.kind == "undo" and emptied:
                continue
            if (asked := statement.needed) not in needed:
                found = run(con, f"SELECT 1 FROM ({asked}) LIMIT 1", name=f"{statement.name}?").fetchone()
                needed[asked] = found is not None
            if needed[asked]:
                run(con, statement.sql, name=statement.name)
    if views is not None:
        views |= made


def supersede(con: Connection, model: Model, mapped: Collection[str] | None = None) -> dict[str, int]:
    """Keep the newest version of each (system, source_id), with its children; how many rows of each entity went.

    `mapped` are the entities that have been mapped, of which alone there can be rows; default: all.
    The order is (version, a text that sorts as versions do, where it is given; _seq). What went is counted as `superseded` under its mapping.
    """
    gone: dict[str, int] = {}
    heads = [entity for entity in model.values() if not entity.parent and (mapped is None or entity.name in mapped)]
    if not heads:
        return gone
    rows = " UNION ALL ".join(f"SELECT {literal(e.name)}, count(*) FROM mapped.{quote(e.name)}" for e in heads)
    for entity in (model[name] for name, n in run(con, rows, name="what is mapped").fetchall() if n > 1):
        several = run(con, several_sql(entity), name=f"supersede {entity.name}").fetchone()
        if not several or not several[0]:
            continue
        with transaction(partial(run, con)):
            gone[entity.name] = _supersede(con, model, entity)
    return gone


def _supersede(con: Connection, model: Model, entity: Entity) -> int:
    run(con, f"CREATE OR REPLACE TEMP TABLE superseded AS {superseded_sql(entity)}", name=f"supersede {entity.name}")
    run(con, superseded_counts_sql(entity), name=f"supersede {entity.name}")
    for child in c.family(model, entity)[1:]:
        table = f"mapped.{quote(child.name)}"
        run(con, f"DELETE FROM {table} WHERE _parent_row IN (SELECT _row FROM superseded)", name=f"supersede {table}")
    table = f"mapped.{quote(entity.name)}"
    row = run(con, f"DELETE FROM {table} WHERE _row IN (SELECT _row FROM superseded)", name=table).fetchone()
    return int(row[0]) if row else 0


def several_sql(entity: Entity) -> str:
    """_versions: the keys of which the batch holds more than one version."""
    return f"""
        CREATE OR REPLACE TEMP TABLE _versions AS
        SELECT system, source_id FROM mapped.{quote(entity.name)} GROUP BY 1, 2 HAVING count(*) > 1"""


def superseded_sql(entity: Entity) -> str:
    """The rows of which the batch holds a newer version."""
    return f"""
        SELECT _row, mapping, _segment FROM mapped.{quote(entity.name)} m
        SEMI JOIN _versions s ON s.system = m.system AND s.source_id = m.source_id
        QUALIFY row_number() OVER (
            PARTITION BY system, source_id
            ORDER BY version DESC NULLS LAST, _seq DESC, _row DESC
        ) > 1"""


def superseded_counts_sql(entity: Entity) -> str:
    return f"""
        INSERT INTO run.counts BY NAME
        SELECT g.stream, s.mapping, {literal(entity.name)} AS entity, 'superseded' AS state, count(*) AS n
        FROM superseded s LEFT JOIN run.segments g ON g.segment = s._segment
        GROUP BY ALL"""


def totals(con: Connection, states: Sequence[str]) -> dict[str, int]:
    """How many records are in each of the states, over all streams and mappings."""
    rows = run(con, "SELECT state, sum(n)::BIGINT FROM run.counts GROUP BY state", name="totals").fetchall()
    found: dict[str, int] = dict(rows)
    return {state: found.get(state, 0) for state in states}


def rejected_examples(con: Connection, limit: int = 10) -> list[str]:
    """The most frequent reasons for which records were rejected, in words without values: a log may show them."""
    rows = run(
        con,
        """SELECT coalesce(mapping, stream), code, field, message, count(*), arg_min(segment || ':' || line, line)
           FROM run.rejects GROUP BY ALL ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT $1""",
        [limit],
        name="rejects",
    ).fetchall()
    return [
        f"{code} {where}{f'.{field}' if field else ''}: {message} ({n:,} records, first at {place})"
        for where, code, field, message, n, place in rows
    ]
