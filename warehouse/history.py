"""Replaces canonical rows by what was won, and keeps the closed versions (SCD 2).

A version holds from `valid_from` up to and without `valid_to`. Both are starts of runs, so a rebuild gives the same. Runs of two
systems overlap: a run that started before the version it replaces closes it at that version's own beginning.
"""

from __future__ import annotations

from hub.entity import Entity
from warehouse import columns as c
from warehouse.work import Work, canonical, history


def replace(work: Work, entity: Entity, scope: str) -> None:
    """Make canonical.<entity> equal _won for the hubs in _others; `scope` is the column that holds those hub ids.

    What held before is read once, whole: reading the few narrow columns that tell whether it differs, and then the others
    of the same rows for history, decodes the same blocks twice.
    """
    work.do(f"held {entity.name}", held_sql(entity, scope))
    closing, putting = work.rows(f"differences {entity.name}", DIFFERENCES)[0]
    if closing:
        work.do(f"history.{entity.name}", closed_sql(work, entity))
        work.do(f"replace {entity.name}", f"DELETE FROM {canonical(entity)} WHERE rowid IN (SELECT old_row {_CLOSING})")
    if putting:
        work.do(f"canonical.{entity.name}", put_sql(work, entity))


def held_sql(entity: Entity, scope: str) -> str:
    """_held: the canonical rows as they were, with `old_row`, their row id.

    Their hash is computed again: stored, it is a third of all that would have to be read, for nothing compresses it.
    """
    return f"""
        CREATE OR REPLACE TEMP TABLE _held AS
        SELECT rowid AS old_row, * EXCLUDE (row_hash), {c.canonical_hash_sql(entity)} AS row_hash
        FROM {canonical(entity)} WHERE {scope} IN (SELECT hub_id FROM _others)"""


_CLOSING = "FROM _held h ANTI JOIN _won w ON w.hub_id = h.hub_id AND w.row_hash = h.row_hash"

# How many rows are gone or another one, and how many are new or another one.
DIFFERENCES = """
    SELECT count(h.hub_id) FILTER (w.row_hash IS DISTINCT FROM h.row_hash),
           count(w.hub_id) FILTER (w.row_hash IS DISTINCT FROM h.row_hash)
    FROM _won w FULL JOIN _held h ON h.hub_id = w.hub_id"""


def closed_sql(work: Work, entity: Entity) -> str:
    """What this run itself brought was never seen: it leaves no version."""
    return f"""
        INSERT INTO {history(entity)} BY NAME
        SELECT h.* EXCLUDE (old_row), greatest(h.valid_from, {work.at}) AS valid_to {_CLOSING} WHERE h.run_id <> {work.run}"""


def put_sql(work: Work, entity: Entity) -> str:
    head = ["hub_id", "parent"] if entity.parent else ["hub_id"]
    names = c.listed([*head, *(name for name, _ in c.canonical_columns(entity)), "row_hash"], "w")
    return f"""
        INSERT INTO {canonical(entity)} BY NAME
        SELECT {names}, greatest(h.valid_from, {work.at}) AS valid_from, {work.run} AS run_id
        FROM _won w LEFT JOIN _held h ON h.hub_id = w.hub_id WHERE w.row_hash IS DISTINCT FROM h.row_hash
        ORDER BY w.hub_id"""
