"""canonical.<entity>: one row a hub_id, won field by field from what the systems say; and its history.

Who wins is declared in crossdock.yaml, for an entity and for single fields: `{sales_order: {default: (cart, erp),
fulfilment_status: (erp, cart)}}`. Systems that are not named come last, in the order of their names; among rows of one system
what is deleted there comes last, then an account comes before a guest, then the order of source_id decides. A missing value
never wins over a value, but for `deleted_at`: what the first row says of it holds, so that only the owner deletes. Money is
taken only from rows in the winning currency. Children come as a set from the first system that has any.

Only hub ids in _touched are computed, and only what differs by hash is written: the old version moves to history.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hub.entity import DELETED, Entity
from warehouse import columns as c
from warehouse.duck import literal, quote
from warehouse.history import replace
from warehouse.work import Survivorship, Touch, Work, canonical, previous, source


def settle(work: Work, entity: Entity, kinds: Collection[Touch]) -> int:
    """Bring the canonical rows of the touched hubs, and their children, up to date; how many hubs. `kinds`: as `Work.touched`."""
    fresh = work.do("_new", touched_sql(entity, fresh=True)) if "fresh" in kinds else 0
    if fresh:
        for one in work.family(entity):
            work.do(f"canonical.{one.name}", copied_sql(work, one))
    moved = "moved" in kinds
    others = work.do("_others", touched_sql(entity, fresh=False)) if moved or "known" in kinds else 0
    if others:
        several = work.do(f"several sources {entity.name}", several_sql(work, entity))
        _win(work, entity, only_sql(work, entity, several, moved=moved), won_sql(work, entity) if several else "")
        replace(work, entity, "hub_id")
        for child in _children_there(work, entity):
            among = won_children_sql(work, entity, child) if several else ""
            _win(work, child, only_sql(work, child, several, moved=moved), among)
            replace(work, child, "parent")
    return fresh + others


def _win(work: Work, entity: Entity, only: str, among_several: str) -> None:
    """Fill _won: from the one source row of a hub, or by the survivorship `among_several`."""
    work.do(f"won {entity.name}", only)
    if among_several:
        work.do(f"won {entity.name} of several", f"INSERT INTO _won BY NAME {among_several}")


def touched_sql(entity: Entity, *, fresh: bool) -> str:
    """_new: hubs that this merge made of one source row each. _others: all that existed, or have several."""
    return f"""
        CREATE OR REPLACE TEMP TABLE {"_new" if fresh else "_others"} AS
        SELECT hub_id, bool_and(written) AS written FROM _touched WHERE entity = {literal(entity.name)}
        GROUP BY hub_id HAVING bool_and(fresh) = {fresh}"""


def several_sql(work: Work, entity: Entity) -> str:
    """_several: the hubs for which several source rows speak, or an earlier version of a row that waits."""
    hubs = "SELECT hub_id FROM _others"
    earlier = f"UNION SELECT hub_id FROM {previous(entity)} WHERE hub_id IN ({hubs})"
    return f"""
        CREATE OR REPLACE TEMP TABLE _several AS
        SELECT hub_id FROM {source(entity)} WHERE hub_id IN ({hubs}) GROUP BY hub_id HAVING count(*) > 1
        {earlier if work.has_previous(entity) else ""}"""


def _children_there(work: Work, entity: Entity) -> list[Entity]:
    """The child entities of which there are any, now or before."""
    return [
        child
        for child in work.children(entity)
        if child.name in work.written
        or any(work.had_rows(f"{layer}.{child.name}") for layer in ("source", "canonical"))
    ]


def only_sql(work: Work, entity: Entity, several: int, *, moved: bool) -> str:
    """_won of the hubs with one source row: nothing to be won, the row is what holds.

    Nearly always this merge has written it. Those rows carry its instant, by which all older blocks are passed over.
    """
    hub = "parent_hub_id" if entity.parent else "hub_id"
    parent = "parent_hub_id AS parent, " if entity.parent else ""
    row = f"SELECT hub_id, {parent}{c.listed(name for name, _ in c.canonical_columns(entity))} FROM {source(entity)}"
    one = " AND hub_id NOT IN (SELECT hub_id FROM _several)" if several else ""
    here = f"{row} WHERE {hub} IN (SELECT hub_id FROM _others WHERE {{0}}{one}) AND waiting IS NULL"
    not_written = f"UNION ALL {here.format('NOT written')}" if moved else ""
    return f"""
        CREATE OR REPLACE TEMP TABLE _won AS
        WITH x AS (
            {here.format("written")} AND seen_at = {work.at} {not_written}
        )
        SELECT *, {c.canonical_hash_sql(entity)} AS row_hash FROM x"""


def copied_sql(work: Work, entity: Entity) -> str:
    """New hubs with one source: what the source says is what holds."""
    names = [name for name, _ in c.canonical_columns(entity)]
    hub = "parent_hub_id" if entity.parent else "hub_id"
    parent = "s.parent_hub_id AS parent, " if entity.parent else ""
    return f"""
        INSERT INTO {canonical(entity)} BY NAME
        WITH x AS (
            SELECT s.hub_id, {parent}{c.listed(names, "s")} FROM {source(entity)} s SEMI JOIN _new n ON n.hub_id = s.{hub}
        )
        SELECT *, {work.at} AS valid_from, {c.canonical_hash_sql(entity)} AS row_hash, {work.run} AS run_id FROM x"""


def priorities(survivorship: Survivorship, entity: Entity) -> dict[str, tuple[str, ...]]:
    """Column → the systems in the order in which they are asked."""
    declared = survivorship.get(entity.name, {})
    default = tuple(declared.get("default", ()))
    return {column.name: tuple(declared.get(column.name, default)) for column in entity}


def rank_sql(order: Sequence[str], among: Sequence[str] = (), source_id: str = "source_id") -> str:
    """An ORDER BY list: declared systems first, then by name, among those of one system by these, then source_id."""
    cases = " ".join(f"WHEN {literal(system)} THEN {place}" for place, system in enumerate(order))
    first = [f"CASE system {cases} ELSE {len(order)} END"] if cases else []
    return ", ".join([*first, "system", *among, source_id])


def won_sql(work: Work, entity: Entity) -> str:
    """The rows of the hubs in _several as they should be."""
    by_column = priorities(work.survivorship, entity)
    orders = {order: f"_p{number}" for number, order in enumerate(dict.fromkeys(by_column.values()))}
    names = [column.name for column in entity]
    wide = f"hub_id, system, source_id, {c.listed(names)}"
    guest = "guest" in entity and entity["guest"].kind == "boolean"
    among = [f"{DELETED.name} IS NOT NULL", *(["coalesce(guest, false)"] if guest else [])]
    ranks = "".join(
        f", row_number() OVER (PARTITION BY hub_id ORDER BY {rank_sql(order, among)}) AS {rank}"
        for order, rank in orders.items()
    )
    currencies = _currencies(entity)
    leading = "".join(
        f", arg_min({quote(name)}, {orders[by_column[name]]}) OVER (PARTITION BY hub_id) AS {quote('_won_' + name)}"
        for name in currencies
    )
    fields = ", ".join(_winner(entity, name, orders[by_column[name]], currencies) for name in names)
    touched = "hub_id IN (SELECT hub_id FROM _several)"
    earlier = f"UNION ALL SELECT {wide} FROM {previous(entity)} WHERE {touched}"
    return f"""
        WITH said AS (
            SELECT {wide} FROM {source(entity)} WHERE {touched} AND waiting IS NULL
            {earlier if work.has_previous(entity) else ""}
        ), ranked AS (
            SELECT *{ranks} FROM said
        ), led AS (
            SELECT *{leading} FROM ranked
        ), won AS (
            SELECT hub_id, {fields} FROM led GROUP BY hub_id
        )
        SELECT *, {c.canonical_hash_sql(entity)} AS row_hash FROM won"""


def _currencies(entity: Entity) -> list[str]:
    """The entity's own columns that hold the currency of another."""
    return list(dict.fromkeys(column.currency for column in entity if column.currency and column.currency in entity))


def _winner(entity: Entity, name: str, rank: str, currencies: Iterable[str]) -> str:
    """arg_min passes over NULL values: a missing one never wins. The owner's word on whether it is deleted counts as it is."""
    if name == DELETED.name:
        return f"arg_min_null({quote(name)}, {rank}) AS {quote(name)}"
    currency = entity[name].currency
    same = ""
    if currency is not None and currency in currencies:
        same = f" FILTER ({quote(currency)} IS NOT DISTINCT FROM {quote('_won_' + currency)})"
    return f"arg_min({quote(name)}, {rank}){same} AS {quote(name)}"


def won_children_sql(work: Work, entity: Entity, child: Entity) -> str:
    """The children of the headers in _several, from the first system that has any."""
    declared = work.survivorship.get(child.name) or work.survivorship.get(entity.name, {})
    names = [name for name, _ in c.canonical_columns(child)]
    wide = f"hub_id, parent_hub_id AS parent, system, parent_source_id, {c.listed(names)}"
    touched = "parent_hub_id IN (SELECT hub_id FROM _several)"
    earlier = f"UNION ALL SELECT {wide} FROM {previous(child)} WHERE {touched}"
    rank = rank_sql(tuple(declared.get("default", ())), source_id="parent_source_id")
    return f"""
        WITH said AS (
            SELECT {wide} FROM {source(child)} WHERE {touched} AND waiting IS NULL
            {earlier if work.has_previous(child) else ""}
        ), winner AS (
            SELECT parent, system, parent_source_id FROM (SELECT DISTINCT parent, system, parent_source_id FROM said)
            QUALIFY row_number() OVER (PARTITION BY parent ORDER BY {rank}) = 1
        ), won AS (
            SELECT s.hub_id, s.parent, {c.listed(names, "s")} FROM said s
            SEMI JOIN winner w ON w.parent = s.parent AND w.system = s.system AND w.parent_source_id = s.parent_source_id
        )
        SELECT *, {c.canonical_hash_sql(child)} AS row_hash FROM won"""
