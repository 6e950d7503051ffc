"""What analysts read says what it holds: comments on tables, views and columns, and the views of `marts.py`.

They are brought up to date where a snapshot is made, for it is what analysts open, and not where tables are: five hundred comments cost
a new warehouse a quarter of a second, which no merge has to wait for. What is up to date costs one look at `ops.positions`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from hub.entity import Column, Model
from hub.transaction import transaction
from warehouse.duck import Connection, literal, quote, run
from warehouse.fixed import VIEW_COMMENTS
from warehouse.marts import SCHEMAS, views
from warehouse.tables import DESCRIBED, positions, set_position, signature, specs

_BY_COLUMN = ("canonical", "quality", "push")  # schemas whose columns are described

# schema.table → column → what it holds, of what has no better place for it: tables that analysts read beside the views of marts.
_OPS = {
    "ops.bindings": {
        "key": "hash of entity, system and source_id",
        "entity": "the canonical entity; children have none here",
        "system": "whose id it is",
        "source_id": "the system's own id",
        "hub_id": "the hub's id: rows of one entity with the same one are the same thing",
        "origin": "source: the hub's id was given to it; match: it was recognised; push: the hub made it there",
        "bound_at": "start of the run that found it",
    },
    "ops.runs": {
        "run_id": "as in the run_id of canonical and history",
        "system": "whose records",
        "started_at": "what it merged holds from here on: valid_from",
        "finished_at": "when its merge ended",
        "status": "merged",
        "outcome": "clean, or how many records were kept back",
        "counts": "how many of what, by entity and stream",
        "mapping_hash": "digest of the mappings that it was made with",
    },
    "ops.waiting": {
        "entity": "what it will be",
        "system": "whose record it is",
        "source_id": "the system's own id",
        "hub_id": "the hub's id; NULL where no version of it was ever complete",
        "waiting": "what it waits for: entity/the system's own id of it",
        "segment": "where the raw record is, in the lake",
        "line": "its 1-based line there",
        "run_id": "the run that merged it",
        "seen_at": "since when: start of that run",
    },
}


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said of a table or view, and of its columns; of some that it does not have, too."""

    kind: str
    comment: str
    columns: Mapping[str, str]


def describe(con: Connection, model: Model) -> int:
    """Bring the comments and the views of analysts up to date, in one transaction; how many statements that took."""
    wanted = hashlib.sha256(repr([signature(model), list(views(model)), _said(model)]).encode()).hexdigest()[:16]
    if positions(con).get(DESCRIBED) == wanted:
        return 0
    done = 0
    with transaction(partial(run, con, name="describe")):
        for sqls in (_views_sql(con, model), _comments_sql(con, model)):
            for sql in list(sqls):
                run(con, sql, name=" ".join(sql.split()[:5]))
                done += 1
        set_position(con, DESCRIBED, wanted)
    return done


def _views_sql(con: Connection, model: Model) -> Iterator[str]:
    made = {view.name: view.sql for view in views(model)}
    yield from (f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in SCHEMAS)
    for full in _there(con):
        if full.split(".")[0] in SCHEMAS and full not in made:  # of an entity that the model lost
            yield f"DROP VIEW {_quoted(full)}"
    yield from (f"CREATE OR REPLACE VIEW {_quoted(full)} AS {sql}" for full, sql in made.items())


def _comments_sql(con: Connection, model: Model) -> Iterator[str]:
    """A statement for each comment that is another one."""
    there = _there(con)
    for full, said in _said(model).items():
        comment, columns = there[full]
        if comment != said.comment:
            yield f"COMMENT ON {said.kind} {_quoted(full)} IS {literal(said.comment)}"
        for name, old in columns.items():
            if name in said.columns and said.columns[name] != old:
                yield f"COMMENT ON COLUMN {_quoted(full)}.{quote(name)} IS {literal(said.columns[name])}"


def _said(model: Model) -> dict[str, _Said]:
    """Of every table and view of the warehouse, reconciliation's apart: those say it themselves."""
    said = {}
    for spec in specs(model):
        columns = {name: comment for name, _, comment in spec.columns if comment}
        if spec.schema == "canonical":
            columns |= {column.name: _explained(column) for column in model[spec.name]}
        full = f"{spec.schema}.{spec.name}"
        said[full] = _Said("TABLE", spec.comment, columns if spec.schema in _BY_COLUMN else _OPS.get(full, {}))
    cases = said["quality.quarantine"].columns
    for full, (comment, own) in VIEW_COMMENTS.items():
        said[full] = _Said("VIEW", comment, {**cases, **own} if full.startswith("quality.") else _OPS.get(full, {}))
    for view in views(model):
        # The first entity that a view reads is what its rows are of.
        canonical = [said[f"canonical.{name}"].columns for name in reversed(view.reads)] if view.columns else []
        columns = {name: text for part in canonical for name, text in part.items()}
        said[view.name] = _Said("VIEW", view.comment, columns | view.columns)
    return said


def _explained(column: Column) -> str:
    """What stands in a canonical column: also which values there are, and whose hub_id it is."""
    *first, last = column.values or ("",)
    values = f": {', '.join(first)} or {last}" if first else ""
    ref = f": hub_id of the {column.ref}" if column.ref else ""
    return f"{column.doc}{values}{ref}{' [pii]' if column.pii else ''}"


def _there(con: Connection) -> dict[str, tuple[str | None, dict[str, str | None]]]:
    """schema.table → its comment, and the comments of its columns."""
    there: dict[str, tuple[str | None, dict[str, str | None]]] = {
        full: (comment, {})
        for full, comment in run(
            con,
            """SELECT schema_name || '.' || table_name, comment FROM duckdb_tables()
               WHERE database_name = current_database() AND NOT internal
               UNION ALL
               SELECT schema_name || '.' || view_name, comment FROM duckdb_views()
               WHERE database_name = current_database() AND NOT internal""",
        ).fetchall()
    }
    sql = """SELECT schema_name || '.' || table_name, column_name, comment FROM duckdb_columns()
             WHERE database_name = current_database() AND NOT internal ORDER BY ALL"""
    for full, column, comment in run(con, sql).fetchall():
        there[full][1][column] = comment
    return there


def _quoted(full: str) -> str:
    return ".".join(map(quote, full.split(".", 1)))
