"""The tables of the warehouse, made from the model and from `FIXED`, and brought up to date by `migrate`.

Nothing has an index: a primary key costs on every write and gains nothing here (rows come in hub_id order, and narrow
hashes stand in for text keys). Columns are added when the model gained them; they are never dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb

from hub.entity import DELETED, Entity, Model
from hub.errors import ConfigurationError
from hub.transaction import transaction
from warehouse import columns as c
from warehouse.duck import Connection, literal, one, quote, run
from warehouse.fixed import FIXED, SCHEMAS, VIEWS

VERSION = 1
SEARCH_PATH = "canonical,marts"
_AT = "TIMESTAMP WITH TIME ZONE"
DESCRIBED = "described"  # the position of describe.py


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table as it should be: `columns` are (name, type, comment)."""

    schema: str
    name: str
    comment: str
    columns: tuple[tuple[str, str, str], ...]

    @property
    def full(self) -> str:
        return f"{self.schema}.{quote(self.name)}"


def specs(model: Model) -> Iterator[TableSpec]:
    """Every table of the warehouse."""
    for full, (comment, text) in FIXED.items():
        schema, name = full.split(".")
        yield TableSpec(schema, name, comment, tuple(map(_fixed_column, text.strip().splitlines())))
    for entity in model.values():
        source = tuple(_source_columns(entity))
        canonical = tuple(_canonical_columns(entity))
        yield TableSpec("source", entity.name, f"{entity.doc} As each system says it.", source)
        yield TableSpec("previous", entity.name, f"{entity.doc} The version before the one that waits.", source)
        yield TableSpec("canonical", entity.name, entity.doc + (f" ({entity.term})" if entity.term else ""), canonical)
        closed = (*canonical, ("valid_to", _AT, "Until when it held (exclusive)"))
        yield TableSpec("history", entity.name, f"{entity.doc} Closed versions.", closed)


def _fixed_column(line: str) -> tuple[str, str, str]:
    said, _, comment = line.partition(" -- ")
    name, kind = said.split(maxsplit=1)
    return name, kind.strip(), comment.strip()


def _source_columns(entity: Entity) -> Iterator[tuple[str, str, str]]:
    child = entity.parent is not None
    if not child:
        yield "source_key", "UBIGINT", "hash of system and source_id"
    yield "hub_id", "BIGINT", "The hub's id; NULL while it waits and was never complete"
    if child:
        yield "parent_key", "UBIGINT", "hash of system and parent_source_id"
        yield "parent_hub_id", "BIGINT", f"hub_id of the {entity.parent}"
    yield "system", "VARCHAR", "Whose word it is"
    yield "source_id", "VARCHAR", "The system's own id"
    if child:
        yield "parent_source_id", "VARCHAR", f"The system's own id of the {entity.parent}"
    for name in c.match_columns(entity):
        yield name, "UBIGINT", "hash of a normalised match key"
    if not child:
        yield "hub_ref", "VARCHAR", "The hub's id as the record quotes it, where its mapping reads one"
    comments = {column.name: _comment(column.doc, column.pii) for column in entity}
    comments |= {c.stored_ref(column): f"{column.doc}: the system's own id" for column in entity.refs}
    for name, kind in c.source_columns(entity):
        yield name, kind, comments[name]
    header = "; NULL: its header's" if child else ""
    yield "mapping", "VARCHAR", f"The mapping that made it{header}"
    yield "segment", "VARCHAR", f"Where the raw record is, in the lake{header}"
    yield "line", "BIGINT", f"Its 1-based line there{header}"
    if not child:
        yield "sequence", "BIGINT", "Sequence of the segment in which this content was seen last"
        yield "pulled_at", _AT, "When that segment was pulled"
        yield "version", "VARCHAR", "The record's own version, where its clock can be trusted"
        yield "row_hash", "UBIGINT", "hash of columns and references"
        yield "children_hash", "UBIGINT", "hash of all its children"
    yield "run_id", "VARCHAR", "The run that merged this content"
    yield "seen_at", _AT, "When that run started"
    yield "waiting", "VARCHAR", "NULL, or the reference that has not arrived"


def _canonical_columns(entity: Entity) -> Iterator[tuple[str, str, str]]:
    yield "hub_id", "BIGINT", "The hub's id"
    if entity.parent:
        yield "parent", "BIGINT", f"hub_id of the {entity.parent}"
    for column in entity:
        yield column.name, column.sql_type, _comment(column.doc, column.pii)
    yield "valid_from", _AT, "Since when it holds: start of the run that brought it"
    yield "row_hash", "UBIGINT", "hash of the columns"
    yield "run_id", "VARCHAR", "The run that brought it"


def _comment(doc: str, pii: bool) -> str:
    return f"{doc} [pii]" if pii else doc


def waiting_sql(model: Model) -> str:
    """ops.waiting: the records that wait for a reference."""
    return "\nUNION ALL\n".join(
        f"SELECT {literal(e.name)} AS entity, system, source_id, hub_id, waiting, segment, line, run_id, seen_at"
        f" FROM source.{quote(e.name)} WHERE waiting IS NOT NULL"
        for e in model.values()
        if not e.parent
    )


def signature(model: Model) -> str:
    """Changes with anything that `migrate` would have to do."""
    parts = [VERSION, list(specs(model)), VIEWS, [() if entity.parent else entity.match for entity in model.values()]]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def migrate(con: Connection, model: Model) -> list[str]:
    """Bring the tables up to date, in one transaction; what was done, in words. Costs one query when nothing is to do.

    Raises ConfigurationError W130–W132 for a model that cannot be held, W134 when a newer crossdock wrote the file,
    W135 when a column has another type than the model says.
    """
    wanted = f"{signature(model)} {_hash_probe(con)}"
    stored = positions(con)
    if int(stored.get("schema_version", VERSION)) > VERSION:
        raise ConfigurationError(
            "W134",
            f"the warehouse has schema version {stored['schema_version']}, this crossdock knows {VERSION}",
            fix="install the crossdock that wrote it",
        )
    if stored.get("schema") == wanted:
        return []
    c.check_model(model)
    with transaction(partial(run, con, name="migrate")):
        done = _apply(con, model)
        if stored.get("schema", wanted).split()[-1] != wanted.split()[-1]:
            done += _rehash(con, model, list(model))
            run(con, f"UPDATE quality.quarantine SET case_key = {c.case_key_sql()}")
        set_position(con, "schema", wanted)
        set_position(con, "schema_version", str(VERSION))
    return done


def _apply(con: Connection, model: Model) -> list[str]:
    done: list[str] = []
    for schema in SCHEMAS:
        run(con, f"CREATE SCHEMA IF NOT EXISTS {schema}")
    there = _columns(con)
    changed: list[str] = []
    for spec in specs(model):
        known = there.get((spec.schema, spec.name))
        if known is None:
            _create(con, spec)
            done.append(f"created {spec.full}")
            continue
        if spec.schema in ("source", "previous") and (parent := model[spec.name].parent) and "row_hash" in known:
            run(con, their_headers_sql(spec, model[parent]), name=f"places of {spec.full}")
        if added := _extend(con, spec, known):
            done += [f"added {spec.full}.{name}" for name in added]
            if added != [DELETED.name]:  # nothing is deleted yet, and hashes are as they were
                changed.append(spec.name)
    for name, sql in {**VIEWS, "ops.waiting": waiting_sql(model)}.items():
        run(con, f"CREATE OR REPLACE VIEW {name} AS {sql}", name=name)
    run(con, "DELETE FROM ops.positions WHERE name = $1", [DESCRIBED])  # new tables and views say nothing yet
    return done + _rehash(con, model, [name for name in model if name in changed])


def their_headers_sql(spec: TableSpec, head: Entity) -> str:
    """Children of a warehouse from before they left it to their header where they stand: those that stand there leave it, too.

    What a rebuild of it would write is the same then.
    """
    return f"""
        UPDATE {spec.full} AS t SET mapping = NULL, segment = NULL, line = NULL FROM {spec.schema}.{quote(head.name)} h
        WHERE t.segment IS NOT NULL AND h.source_key = t.parent_key AND {c.same_header_sql("h", "t")}
          AND t.segment = h.segment AND t.line = h.line"""


def _create(con: Connection, spec: TableSpec) -> None:
    columns = ", ".join(f"{quote(name)} {kind}" for name, kind, _ in spec.columns)
    run(con, f"CREATE TABLE {spec.full} ({columns})", name=f"create {spec.full}")


def _extend(con: Connection, spec: TableSpec, known: dict[str, str]) -> list[str]:
    added = []
    for name, kind, _ in spec.columns:
        if name not in known:
            run(con, f"ALTER TABLE {spec.full} ADD COLUMN {quote(name)} {kind}", name=f"extend {spec.full}")
            added.append(name)
        elif str(duckdb.type(kind)) != known[name]:
            raise ConfigurationError(
                "W135",
                f"{spec.schema}.{spec.name}.{name} is {known[name]} in the warehouse and {kind} in the model",
                fix="give the column a new name, or rebuild the warehouse",
            )
    return added


def _columns(con: Connection) -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    rows = run(
        con,
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = current_database() AND NOT internal",
    ).fetchall()
    for schema, table, name, kind in rows:
        found.setdefault((schema, table), {})[name] = kind
    return found


def _hash_probe(con: Connection) -> str:
    """Another value when DuckDB's hash() became another function: stored hashes are then worth nothing."""
    return str(one(con, "SELECT hash('crossdock', 1, 2.5::DECIMAL(18,4), DATE '2026-01-02', true, NULL)"))


def _rehash(con: Connection, model: Model, names: Sequence[str]) -> list[str]:
    """Compute stored hashes again from stored columns, so that a new column or hash function changes no row's content."""
    for name in names:
        entity = model[name]
        if entity.parent:
            keys = {"parent_key": c.hash_sql(("system", "parent_source_id"))}
        else:
            keys = {"source_key": c.key_sql(), "row_hash": c.mapped_hash_sql(entity, quoted="hub_ref")}
            keys |= {f"match_{n}": c.match_sql(entity, key) for n, key in enumerate(entity.match, 1)}
        for schema in ("source", "previous"):
            run(con, f"UPDATE {schema}.{quote(name)} SET {_assignments(keys)}", name=f"rehash {schema}.{name}")
        for schema in ("canonical", "history"):
            text = _assignments({"row_hash": c.canonical_hash_sql(entity)})
            run(con, f"UPDATE {schema}.{quote(name)} SET {text}", name=f"rehash {schema}.{name}")
    for head in {model[name].parent or name: None for name in names}:
        sql = children_hash_update_sql(model, model[head])
        for schema in ("source", "previous"):
            run(con, sql.format(schema=schema), name=f"rehash {schema}.{head}")
    if names:
        run(con, f"UPDATE ops.bindings SET key = {c.binding_key_sql('entity', 'system', 'source_id')}")
    return [f"hashed {name} anew" for name in names]


def _assignments(values: dict[str, str]) -> str:
    return ", ".join(f"{quote(name)} = {sql}" for name, sql in values.items())


def children_hash_update_sql(model: Model, head: Entity) -> str:
    """Recompute children_hash from the stored children; `{schema}` is to be filled in."""
    parts = [
        f"SELECT parent_key, {c.child_hash_sql(child)} AS h FROM {{schema}}.{quote(child.name)}"
        for child in c.family(model, head)[1:]
    ]
    sums = f"(SELECT parent_key, {c.children_hash_sql('h')} AS h FROM ({' UNION ALL '.join(parts)}) GROUP BY 1)"
    none = f"UPDATE {{schema}}.{quote(head.name)} SET children_hash = 0"
    if not parts:
        return none
    return (
        f"UPDATE {{schema}}.{quote(head.name)} AS t SET children_hash ="
        f" coalesce((SELECT s.h FROM {sums} s WHERE s.parent_key = t.source_key), 0)"
    )


def positions(con: Connection) -> dict[str, str]:
    """ops.positions as a dict; empty for a file that has no tables yet."""
    try:
        return dict(con.execute("SELECT name, value FROM ops.positions").fetchall())
    except duckdb.CatalogException:
        return {}


def set_position(con: Connection, name: str, value: str) -> None:
    run(con, "DELETE FROM ops.positions WHERE name = $1", [name])
    run(con, "INSERT INTO ops.positions VALUES ($1, $2)", [name, value])
