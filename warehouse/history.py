"""Replaces canonical rows by what was won, and keeps the closed versions (SCD 2).

A version holds from `valid_from` up to and without `valid_to`. Both are starts of runs, so a rebuild gives the same. Runs of two
systems overlap: a run that started before the version it replaces closes it at that version's own beginning.
"""

from __future__ import annotations

from hub.entity import Entity
from warehouse import columns as c
from warehouse.work import Work, canonical, history


def replace(work: Work, entity: Entity, scope: str) -> None:
    """Make canonical.<entity> equal _won for the hubs in _others; `scope` is the column that holds those hub ids."""
    if not work.do(f"differences {entity.name}", difference_sql(entity, scope)):
        return
    closing, putting = work.rows("closing", "SELECT count(old_row), count(*) FILTER (put) FROM _differing")[0]
    if closing:
        work.do(f"history.{entity.name}", closed_sql(work, entity))
        old = "SELECT old_row FROM _differing WHERE old_row IS NOT NULL"
        work.do(f"replace {entity.name}", f"DELETE FROM {canonical(entity)} WHERE rowid IN ({old})")
    if putting:
        work.do(f"canonical.{entity.name}", put_sql(work, entity))


def difference_sql(entity: Entity, scope: str) -> str:
    """_differing(hub_id, old_row, old_from, put): what is new, gone or another one."""
    return f"""
        CREATE OR REPLACE TEMP TABLE _differing AS
        WITH old AS (
            SELECT rowid AS old_row, hub_id, row_hash, valid_from AS old_from FROM {canonical(entity)}
            WHERE {scope} IN (SELECT hub_id FROM _others)
        )
        SELECT coalesce(w.hub_id, o.hub_id) AS hub_id, o.old_row, o.old_from, w.hub_id IS NOT NULL AS put
        FROM _won w FULL JOIN old o ON o.hub_id = w.hub_id
        WHERE w.row_hash IS DISTINCT FROM o.row_hash"""


def closed_sql(work: Work, entity: Entity) -> str:
    """What this run itself brought was never seen: it leaves no version."""
    return f"""
        INSERT INTO {history(entity)} BY NAME
        SELECT old.*, greatest(old.valid_from, {work.at}) AS valid_to FROM {canonical(entity)} old
        WHERE rowid IN (SELECT old_row FROM _differing) AND run_id <> {work.run}"""


def put_sql(work: Work, entity: Entity) -> str:
    head = ["hub_id", "parent"] if entity.parent else ["hub_id"]
    names = c.listed([*head, *(name for name, _ in c.canonical_columns(entity)), "row_hash"], "w")
    return f"""
        INSERT INTO {canonical(entity)} BY NAME
        SELECT {names}, greatest(d.old_from, {work.at}) AS valid_from, {work.run} AS run_id
        FROM _won w JOIN _differing d ON d.hub_id = w.hub_id
        ORDER BY w.hub_id"""
