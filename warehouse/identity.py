"""Which hub_id a source row belongs to: its binding, else a match with another system's row, else a new one.

Rows are matched by the keys of `Entity.match`, in their order, normalised and compared exactly. A match is refused where the
two cannot be one:

* the hub has a row of the same system already: two accounts of one system are two customers, unless one is a guest's, or deleted;
* the customers' tax ids are both known and differ, although they share an e-mail;
* the hub is deleted, or the row itself is: whoever comes later is somebody new, and what was never known alive deletes nobody.

A row that matches two hubs joins them into the one with the lower id, if nothing speaks against it: an ERP that knows the
tax id and a cart that knows the e-mail become one customer when the CRM, which knows both, arrives. So it does not
matter who came first. An existing binding is never taken apart again here.

The hub_ids are one sequence an entity, given in the order of source_id: the same merges give the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.entity import DELETED, Entity
from warehouse import columns as c
from warehouse.duck import literal, quote
from warehouse.hubs import allocate, join_hubs
from warehouse.refs import joins_sql, resolved_sql
from warehouse.work import Work, canonical, source

_Member = tuple[str, bool, int | None]

# entity → a match by the first key is refused where both know the second and it differs.
VETOES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {"customer": (("email",), ("tax_id",))}


def bind(work: Work, entity: Entity, rows: str, *, unknown: bool, waits: bool) -> None:
    """Give every row of _decided its hub_id (NULL: it waits). Writes ops.bindings; joins hubs in _moved.

    `unknown`: there are rows that the source layer does not know; of the others each has its hub. `waits`: there are some in _missing.
    """
    matched = False
    work.do(f"keys of {entity.name}", keys_sql(entity, rows) if unknown else KNOWN)
    if unknown and (groups := _unbound(work)):
        if any(explicit for *_, explicit in groups):
            matched = _explicit(work, entity) > 0
            groups = _unbound(work)
        for system, guest, count, _ in groups:
            matched = _bind_group(work, entity, system, guest, count) or matched
        work.do(f"bindings of {entity.name}", bindings_sql(work, entity))
    work.do(f"bound {entity.name}", bound_sql(waits=waits, matched=matched))


# _keys where every row has its hub from the source layer.
KNOWN = """
    CREATE OR REPLACE TEMP TABLE _keys AS
    SELECT d._row, d.system, d.source_id, d.source_key, d.old_row, d._hub, d.old_hub AS hub_id, 'old' AS origin
    FROM _decided d ANTI JOIN _missing w ON w._row = d._row"""


def keys_sql(entity: Entity, rows: str) -> str:
    """_keys: the decided rows that do not wait, with the hub_id that they have from the source layer or a binding, the
    match hashes, the normalised values behind them, and whether the row is a guest's, or deleted: in nobody's way.
    """
    hashes = "".join(f", {c.match_sql(entity, key, 'x')} AS match_{n}" for n, key in enumerate(entity.match, 1))
    values = "".join(f", {c.match_value_sql(entity, key, 'x')} AS value_{n}" for n, key in enumerate(entity.match, 1))
    named = {name for key in entity.match for name in key}
    columns = sorted(name for name in {*named, DELETED.name} if entity[name].kind != "ref")
    refs = [column for column in entity.refs if column.name in named]
    guest = f", {_in_nobodys_way(entity, 'm')} AS guest"
    wide = "".join(f", m.{quote(name)}" for name in columns)
    key = c.binding_key_sql(literal(entity.name), "d.system", "d.source_id")
    return f"""
        CREATE OR REPLACE TEMP TABLE _keys AS
        WITH x AS (
            SELECT {resolved_sql(refs)} d._row, d.system, d.source_id, d.source_key, d.old_row, d._hub,
                   coalesce(d.old_hub, b.hub_id) AS hub_id,
                   CASE WHEN d.old_hub IS NOT NULL THEN 'old' WHEN b.hub_id IS NOT NULL THEN 'bound' END AS origin{wide}{guest}
            FROM _decided d ANTI JOIN _missing w ON w._row = d._row
            JOIN {rows} m ON m._row = d._row {joins_sql(refs)}
            LEFT JOIN ops.bindings b ON b.key = CASE WHEN d.old_hub IS NULL THEN {key} END
                  AND coalesce(b.entity = {literal(entity.name)}, false) AND {c.same_record_sql("b", "d")}
        )
        SELECT _row, system, source_id, source_key, old_row, _hub, hub_id, origin, guest{hashes}{values} FROM x"""


def _in_nobodys_way(entity: Entity, row: str) -> str:
    """A guest, and an account that was deleted: the next one of the system may well be the same customer's."""
    deleted = f"{row}.{DELETED.name} IS NOT NULL"
    return f"(coalesce({row}.guest, false) OR {deleted})" if _knows_guests(entity) else deleted


def _knows_guests(entity: Entity) -> bool:
    return "guest" in entity and entity["guest"].kind == "boolean"


def _unbound(work: Work) -> list[tuple[str, bool, int, int]]:
    """Rows that cannot match each other, in the order in which they are bound: system, guest, how many, how many quote a hub id."""
    return work.rows(
        "unbound",
        """SELECT system, guest, count(*), count(_hub) FROM _keys WHERE hub_id IS NULL
           GROUP BY system, guest ORDER BY guest, system""",
    )


def _explicit(work: Work, entity: Entity) -> int:
    """A record that quotes the hub's own id is bound to it, if there is such a hub; how many were."""
    return work.do(
        f"explicit {entity.name}",
        f"""UPDATE _keys SET hub_id = TRY_CAST(_hub AS BIGINT), origin = 'match'
            WHERE hub_id IS NULL AND TRY_CAST(_hub AS BIGINT) IN (
                SELECT hub_id FROM ops.bindings WHERE entity = {literal(entity.name)})""",
    )


def _bind_group(work: Work, entity: Entity, system: str, guest: bool, count: int) -> bool:
    """Match the `count` unbound rows of one system with everything bound so far; give the rest new hub ids. Was one matched?"""
    group = f"hub_id IS NULL AND system = {literal(system)} AND guest = {guest}"
    found = entity.match and work.do(f"candidates {entity.name}", candidates_sql(entity, group))
    if found:
        work.do(f"members {entity.name}", members_sql(entity, "SELECT hub_id FROM _candidates"))
        work.do(f"refused {entity.name}", refused_sql(entity))
        while work.do(f"match {entity.name}", assign_sql(system, guest=guest)):
            work.do(f"matched {entity.name}", ASSIGNED)
            if guest:
                break
        _join(work, entity)
        count = work.number("new", f"SELECT count(*) FROM _keys WHERE {group}")
    if count:
        last = allocate(work, entity.name, count)
        work.do(f"new hubs {entity.name}", new_hubs_sql(entity, group, last, guest=guest))
    return bool(found) or guest


def candidates_sql(entity: Entity, group: str) -> str:
    """(_row, hub_id, key_no): the hubs that share a key with a row of the group.

    The coalesce() keeps DuckDB from joining by the normalised value, which it would compute for every stored row.
    """
    parts = []
    for number, key in enumerate(entity.match, 1):
        match, value = f"match_{number}", f"value_{number}"
        parts.append(f"""
            SELECT u._row, s.hub_id, {number} AS key_no FROM unbound u JOIN {source(entity)} s
                ON s.{match} = u.{match} AND coalesce({c.match_value_sql(entity, key, "s")} = u.{value}, false)
            WHERE s.hub_id IS NOT NULL AND s.source_key NOT IN (SELECT source_key FROM _keys)
            UNION ALL
            SELECT u._row, k.hub_id, {number} FROM unbound u JOIN _keys k ON k.{match} = u.{match} AND k.{value} = u.{value}
            WHERE k.hub_id IS NOT NULL""")
    return f"""
        CREATE OR REPLACE TEMP TABLE _candidates AS
        WITH unbound AS (SELECT * FROM _keys WHERE {group})
        SELECT _row, hub_id, min(key_no) AS key_no FROM ({" UNION ALL ".join(parts)})
        WHERE hub_id NOT IN (SELECT hub_id FROM {canonical(entity)} WHERE {DELETED.name} IS NOT NULL) GROUP BY _row, hub_id"""


def members_sql(entity: Entity, hubs: str, *, batch: bool = True) -> str:
    """Every row of the hubs, as far as it can speak against a match; with `batch` also as _keys has it."""
    veto = _veto(entity)
    stored, given = (f"s.match_{veto[1]}", f"k.match_{veto[1]}") if veto else ("NULL::UBIGINT", "NULL::UBIGINT")
    guest = _in_nobodys_way(entity, "s")
    keys = f"""WHERE s.source_key NOT IN (SELECT source_key FROM _keys)
            UNION ALL SELECT k.hub_id, k.system, k.guest, {given} FROM _keys k SEMI JOIN hubs USING (hub_id)"""
    return f"""
        CREATE OR REPLACE TEMP TABLE _members AS
        WITH hubs AS (SELECT DISTINCT hub_id FROM ({hubs})), held AS (
            SELECT s.hub_id, s.system, {guest} AS guest, {stored} AS veto
            FROM {source(entity)} s SEMI JOIN hubs USING (hub_id) {keys if batch else ""}
        )
        SELECT * FROM held
        UNION ALL
        SELECT b.hub_id, b.system, false, NULL FROM ops.bindings b SEMI JOIN hubs USING (hub_id)
        WHERE b.entity = {literal(entity.name)} AND b.origin = 'push'
          AND NOT EXISTS (SELECT 1 FROM held h WHERE h.hub_id = b.hub_id AND h.system = b.system)"""


def refused_sql(entity: Entity) -> str:
    """Take out of _candidates what cannot be one."""
    veto = _veto(entity)
    clash = f"OR (c.key_no = {veto[0]} AND m.veto <> k.match_{veto[1]})" if veto else ""
    return f"""
        DELETE FROM _candidates AS gone WHERE EXISTS (
            SELECT 1 FROM _candidates c JOIN _keys k ON k._row = c._row JOIN _members m ON m.hub_id = c.hub_id
            WHERE c._row = gone._row AND c.hub_id = gone.hub_id
              AND ((m.system = k.system AND NOT m.guest AND NOT k.guest) {clash}))"""


def _veto(entity: Entity) -> tuple[int, int] | None:
    """The 1-based numbers of the two keys of the veto, where the model (still) has them."""
    keys = list(entity.match)
    first, second = VETOES.get(entity.name, ((), ()))
    return (keys.index(first) + 1, keys.index(second) + 1) if first in keys and second in keys else None


def assign_sql(system: str, *, guest: bool) -> str:
    """_assigned: for each row that is still free its best hub. A hub takes one row of a system, but any number of guests."""
    others = f"SELECT hub_id FROM _keys WHERE origin = 'match' AND NOT guest AND system = {literal(system)}"
    taken = "" if guest else f"AND c.hub_id NOT IN ({others})"
    claim = "" if guest else "QUALIFY row_number() OVER (PARTITION BY hub_id ORDER BY key_no, source_id) = 1"
    return f"""
        CREATE OR REPLACE TEMP TABLE _assigned AS
        WITH best AS (
            SELECT c._row, k.source_id, c.hub_id, c.key_no FROM _candidates c JOIN _keys k ON k._row = c._row
            WHERE k.hub_id IS NULL {taken}
            QUALIFY row_number() OVER (PARTITION BY c._row ORDER BY c.key_no, c.hub_id) = 1
        )
        SELECT _row, hub_id FROM best {claim}"""


ASSIGNED = "UPDATE _keys AS k SET hub_id = a.hub_id, origin = 'match' FROM _assigned a WHERE a._row = k._row"


def _join(work: Work, entity: Entity) -> None:
    """Hubs that one row of the group matches at once are one, unless their rows speak against each other."""
    pairs = work.rows(
        f"hubs to join {entity.name}",
        """SELECT DISTINCT k.hub_id, c.hub_id FROM _candidates c JOIN _keys k ON k._row = c._row
           WHERE k.hub_id IS NOT NULL AND c.hub_id <> k.hub_id ORDER BY ALL""",
    )
    join_pairs(work, entity, pairs, batch=True)


def join_pairs(work: Work, entity: Entity, pairs: Sequence[tuple[int, int]], *, batch: bool) -> None:
    """Join the hubs of each pair unless their rows speak against it. `batch`: _keys holds rows of the entity."""
    if not pairs:
        return
    hubs = sorted({hub for pair in pairs for hub in pair})
    work.do(f"members {entity.name}", members_sql(entity, f"SELECT unnest({hubs}::BIGINT[]) AS hub_id", batch=batch))
    members: dict[int, list[_Member]] = {}
    for hub, system, guest, veto in work.rows("members", "SELECT hub_id, system, guest, veto FROM _members"):
        members.setdefault(hub, []).append((system, guest, veto))
    into: dict[int, int] = {}

    def root(hub: int) -> int:
        while hub in into:
            hub = into[hub]
        return hub

    for left, right in pairs:
        keep, go = sorted((root(left), root(right)))
        if keep != go and not _speak_against(members.get(keep, []), members.get(go, [])):
            into[go] = keep
            members[keep] = members.get(keep, []) + members.pop(go, [])
    for other in join_hubs(work, entity, {hub: root(hub) for hub in into}, batch=batch):
        join_pairs(work, other, work.rows(f"hubs to join {other.name}", equal_sql(other)), batch=False)


def equal_sql(entity: Entity) -> str:
    """Hubs whose rows say the same of the same after a reference moved: the credit of two customers that became one."""
    pairs = " UNION ".join(
        f"SELECT a.hub_id AS keep, b.hub_id AS go FROM {source(entity)} a"
        f" JOIN {source(entity)} b ON a.match_{number} = b.match_{number} AND a.hub_id < b.hub_id"
        for number, key in enumerate(entity.match, 1)
        if any(entity[name].kind == "ref" for name in key)
    )
    return f"SELECT * FROM ({pairs}) ORDER BY ALL"


def _speak_against(left: Sequence[_Member], right: Sequence[_Member]) -> bool:
    return any(
        (a[0] == b[0] and not a[1] and not b[1]) or (a[2] is not None and b[2] is not None and a[2] != b[2])
        for a in left
        for b in right
    )


def new_hubs_sql(entity: Entity, group: str, last: int, *, guest: bool) -> str:
    """New hub ids in the order of source_id. Guests with the same first key share one; the first of them makes it.

    They are counted in narrow rows: a window sorts whatever is carried through it, and _keys is wide.
    """
    ranked = f"SELECT _row, row_number() OVER (ORDER BY source_id) AS place, true AS makes FROM _keys WHERE {group}"
    if guest:
        shared = f"coalesce({', '.join([*c.match_columns(entity), 'hash(_row)'])})"
        led = f"SELECT _row, source_id, min(source_id) OVER (PARTITION BY {shared}) AS leader FROM _keys WHERE {group}"
        ranked = f"SELECT _row, dense_rank() OVER (ORDER BY leader) AS place, source_id = leader AS makes FROM ({led})"
    return f"""
        CREATE OR REPLACE TEMP TABLE _keys AS
        SELECT k.* REPLACE (
                   CASE WHEN r.place IS NULL THEN k.hub_id ELSE {last} + r.place END AS hub_id,
                   CASE WHEN r.place IS NULL THEN k.origin WHEN r.makes THEN 'new' ELSE 'match' END AS origin)
        FROM _keys k LEFT JOIN ({ranked}) r ON r._row = k._row"""


def bindings_sql(work: Work, entity: Entity) -> str:
    name = literal(entity.name)
    return f"""
        INSERT INTO ops.bindings BY NAME
        SELECT {c.binding_key_sql(name, "system", "source_id")} AS key, {name} AS entity, system, source_id, hub_id,
               CASE origin WHEN 'new' THEN 'source' ELSE 'match' END AS origin, {work.at} AS bound_at
        FROM _keys WHERE origin IN ('new', 'match') ORDER BY hub_id, source_id"""


def bound_sql(*, waits: bool, matched: bool) -> str:
    """_decided again, bound. One that waited and still waits for the same is left alone.

    A hub is not fresh where another row was `matched` with it.
    """
    waiting = "w.waiting" if waits else "NULL::VARCHAR"
    missing = "LEFT JOIN _missing w ON w._row = d._row" if waits else ""
    others = "(SELECT DISTINCT hub_id FROM _keys WHERE origin <> 'new')"
    alone = "AND s.hub_id IS NULL" if matched else ""
    return f"""
        CREATE OR REPLACE TEMP TABLE _decided AS
        SELECT d.* EXCLUDE (hub_id, waiting, fresh), coalesce(k.hub_id, d.old_hub) AS hub_id, {waiting} AS waiting,
               k.origin IS NOT DISTINCT FROM 'new' {alone} AS fresh
        FROM _decided d LEFT JOIN _keys k ON k._row = d._row {missing}
        {f"LEFT JOIN {others} s ON s.hub_id = k.hub_id" if matched else ""}
        WHERE NOT (d.state = 'again' AND {waiting} IS NOT DISTINCT FROM d.old_waiting)"""
