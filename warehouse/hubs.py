"""Hub ids: given out once an entity, and joined when two of them turn out to be one thing."""

from __future__ import annotations

from collections.abc import Mapping

from hub.entity import Entity
from warehouse import columns as c
from warehouse.duck import literal, quote
from warehouse.work import Work, previous, source


def allocate(work: Work, entity: str, count: int) -> int:
    """Reserve `count` ids; the last one that was given before. An id is never given twice, not even after a delete."""
    last = work.number("last hub id", "SELECT last FROM ops.hub_ids WHERE entity = $1", [entity])
    work.do("last hub id", "DELETE FROM ops.hub_ids WHERE entity = $1", [entity])
    work.do("last hub id", "INSERT INTO ops.hub_ids VALUES ($1, $2)", [entity, last + count])
    return last


def join_hubs(work: Work, entity: Entity, into: Mapping[int, int], *, batch: bool = False) -> list[Entity]:
    """Make the hubs on the left those on the right: source rows, bindings, references and children follow.

    Their canonical rows are computed again later: what loses its last source row is closed into history. Returns the
    entities whose own match keys changed with it, because a reference is part of them. `batch`: _keys holds rows of it.
    """
    if not into:
        return []
    pairs = ", ".join(f"({old}, {new})" for old, new in into.items())
    work.do(
        "joined hubs", f"CREATE OR REPLACE TEMP TABLE _moved AS SELECT * FROM (VALUES {pairs}) v(hub_id, into_hub_id)"
    )
    name = literal(entity.name)
    for table in (source(entity), previous(entity)):
        work.do(
            f"join {table}", f"UPDATE {table} AS t SET hub_id = m.into_hub_id FROM _moved m WHERE t.hub_id = m.hub_id"
        )
    if batch:
        work.do(
            "join _keys",
            """UPDATE _keys AS t SET hub_id = m.into_hub_id, origin = CASE origin WHEN 'new' THEN 'match' ELSE origin END
               FROM _moved m WHERE t.hub_id = m.hub_id""",
        )
        work.do(
            "join _decided",
            "UPDATE _decided AS t SET old_hub = m.into_hub_id FROM _moved m WHERE t.old_hub = m.hub_id",
        )
    work.do(
        "join _refs",
        f"UPDATE _refs AS t SET hub_id = m.into_hub_id FROM _moved m WHERE t.hub_id = m.hub_id AND t.entity = {name}",
    )
    for table in ("ops.bindings", "push.state"):
        work.do(
            f"join {table}",
            f"UPDATE {table} AS t SET hub_id = m.into_hub_id FROM _moved m WHERE t.hub_id = m.hub_id AND t.entity = {name}",
        )
    _children_follow(work, entity)
    rematched = _references_follow(work, entity)
    work.do(
        "joined hubs",
        f"""UPDATE ops.merged_hubs AS t SET into_hub_id = m.into_hub_id FROM _moved m
            WHERE t.entity = {name} AND t.into_hub_id = m.hub_id""",
    )
    work.do(
        "joined hubs",
        f"INSERT INTO ops.merged_hubs SELECT {name}, hub_id, into_hub_id, {work.run}, {work.at} FROM _moved ORDER BY hub_id",
    )
    rows = work.do(
        "touched",
        f"""INSERT INTO _touched SELECT {name}, hub_id, false, false, true, false FROM _moved
            UNION ALL SELECT DISTINCT {name}, into_hub_id, false, false, true, false FROM _moved""",
    )
    work.touch(entity.name, "moved", rows)
    return rematched


def _children_follow(work: Work, entity: Entity) -> None:
    for child in work.children(entity):
        for table in (source(child), previous(child)):
            work.do(
                f"join {table}",
                f"UPDATE {table} AS t SET parent_hub_id = m.into_hub_id FROM _moved m WHERE t.parent_hub_id = m.hub_id",
            )


def _references_follow(work: Work, entity: Entity) -> list[Entity]:
    """Rows that refer to a hub that went refer to the one it became."""
    rematched: list[Entity] = []
    for other in work.model.values():
        for column in other.refs:
            if column.ref != entity.name:
                continue
            name, header = quote(column.name), other.parent or other.name
            hub = "parent_hub_id" if other.parent else "hub_id"
            rows = work.do(
                "touched",
                f"""INSERT INTO _touched SELECT DISTINCT {literal(header)}, t.{hub}, false, false, true, false
                    FROM {source(other)} t JOIN _moved m ON t.{name} = m.hub_id WHERE t.{hub} IS NOT NULL""",
            )
            work.touch(header, "moved", rows)
            match = "" if other.parent else _rematch(other, column.name)
            for table in (source(other), previous(other)):
                work.do(
                    f"join {table}",
                    f"UPDATE {table} AS t SET {name} = m.into_hub_id FROM _moved m WHERE t.{name} = m.hub_id",
                )
                if match:
                    moved = f"{name} IN (SELECT into_hub_id FROM _moved)"
                    work.do(f"rematch {table}", f"UPDATE {table} SET {match} WHERE {moved}")
            if match:
                rematched.append(other)
    return rematched


def _rematch(entity: Entity, column: str) -> str:
    """The match hashes that a reference is part of, as assignments."""
    return ", ".join(
        f"match_{number} = {c.match_sql(entity, key)}" for number, key in enumerate(entity.match, 1) if column in key
    )
