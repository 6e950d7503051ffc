"""What the ledger knows and the warehouse does not yet: folded in by sequence, by a merge for good, by a plan in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from hub.config import Project
from hub.errors import ConfigurationError
from warehouse.duck import Connection, connect, quote
from warehouse.ledger import Ledger
from warehouse.ledger_rows import AppliedOutcome, Intent

BINDING = ("create", "upsert")


def pending(project: Project, after: int, up_to: int | None = None) -> list[AppliedOutcome]:
    """The outcomes that a warehouse which has folded up to `after` still lacks, in order."""
    with Ledger(project.ledger, read_only=True) as ledger:
        return ledger.outcomes_after(after, up_to)


def bindings(outcomes: Iterable[AppliedOutcome]) -> list[tuple[str, str, str, int, datetime]]:
    """(entity, system, source_id, hub_id, bound_at) of the ids that targets gave."""
    return [
        (o.entity, o.target, o.external_id, o.hub_id, o.at)
        for o in outcomes
        if o.status == "applied" and o.operation in BINDING and o.external_id
    ]


@contextmanager
def folded(project: Project, ledger: Ledger) -> Iterator[Connection]:
    """The published snapshot as a database in memory, its bindings completed by what the ledger says since.

    Every table and view has the name it has in the warehouse. Nothing is copied but the new bindings, no file is
    written, and once it is open no statement can reach another file.
    """
    con = _opened(project.published)
    try:
        _mirror(con)
        seq = position(con)
        joined = joined_hubs(con)
        fresh = [
            (e, s, id, joined.get((e, hub), hub), at) for e, s, id, hub, at in bindings(ledger.outcomes_after(seq))
        ]
        _add_bindings(con, fresh)
        yield con
    finally:
        con.close()


def position(con: Connection) -> int:
    """The sequence of the last outcome that the snapshot has folded: push.state says what is known up to there."""
    sql = "SELECT coalesce(max(TRY_CAST(value AS BIGINT)), 0) FROM published.ops.positions WHERE name = 'ledger_seq'"
    return int(con.execute(sql).fetchall()[0][0])


def refuse_older(ledger: Ledger, con: Connection) -> None:
    """Raises ConfigurationError P110 where the snapshot has folded outcomes that the ledger does not know: what was sent would be sent again."""
    if (seq := position(con)) > ledger.last_seq():
        what = f"the ledger is older than the snapshot, or another's: it does not know outcome {seq}"
        fix = "nothing is planned; restore the ledger that belongs to this warehouse"
        raise ConfigurationError("P110", what, place="ledger", fix=fix)


def _opened(path: Path) -> Connection:
    if not path.is_file():
        fix = "crossdock run, then crossdock publish: plans and traces read the snapshot"
        raise ConfigurationError("P101", "nothing has been published yet", fix=fix)
    schema = ["CREATE SCHEMA canonical"]  # before the search path can name it
    return connect(":memory:", attach={"published": path}, settings=schema, search_path="canonical")


def _mirror(con: Connection) -> None:
    """Give every table and view of the snapshot its own name here, but for those that only analysts ask."""
    names = con.execute(
        """SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'published'
           UNION ALL
           SELECT schema_name, view_name FROM duckdb_views()
           WHERE database_name = 'published' AND NOT internal AND schema_name NOT IN ('marts', 'versions')"""
    ).fetchall()
    for schema in sorted({schema for schema, _ in names}):
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    for schema, name in names:
        con.execute(f"CREATE VIEW {quote(schema)}.{quote(name)} AS FROM published.{quote(schema)}.{quote(name)}")


def joined_hubs(con: Connection) -> dict[tuple[str, int], int]:
    """(entity, hub_id) → the hub_id it is known by since the two turned out to be one record. The ledger keeps the old one."""
    into = {
        (e, old): new
        for e, old, new in con.execute("SELECT entity, hub_id, into_hub_id FROM ops.merged_hubs").fetchall()
    }

    def follow(entity: str, hub_id: int) -> int:
        seen = {hub_id}
        while (further := into.get((entity, hub_id))) is not None and further not in seen:
            seen.add(further)
            hub_id = further
        return hub_id

    return {(entity, old): follow(entity, new) for (entity, old), new in into.items()}


def as_now_called(intents: Iterable[Intent], joined: Mapping[tuple[str, int], int]) -> list[Intent]:
    """The intents under the hub ids by which their records are known now."""
    return [replace(i, hub_id=joined[i.entity, i.hub_id]) if (i.entity, i.hub_id) in joined else i for i in intents]


def _add_bindings(con: Connection, rows: Sequence[tuple[str, str, str, int, datetime]]) -> None:
    if not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    con.execute(
        """CREATE TABLE ops.pushed_bindings AS
           SELECT unnest(?::VARCHAR[]) AS entity, unnest(?::VARCHAR[]) AS system, unnest(?::VARCHAR[]) AS source_id,
                  unnest(?::BIGINT[]) AS hub_id, 'push' AS origin, unnest(?::TIMESTAMPTZ[]) AS bound_at""",
        columns,
    )
    con.execute(
        """CREATE OR REPLACE VIEW ops.bindings AS
           SELECT * FROM published.ops.bindings
           UNION ALL BY NAME
           SELECT DISTINCT ON (entity, system, source_id) entity, system, source_id, hub_id, origin, bound_at
           FROM ops.pushed_bindings p
           WHERE NOT EXISTS (FROM published.ops.bindings b
                             WHERE b.entity = p.entity AND b.system = p.system AND b.source_id = p.source_id)"""
    )
