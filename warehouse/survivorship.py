"""canonical.<entity>: one row a hub_id, won field by field from what the systems say; and its history.

Who wins is declared in crossdock.yaml, for an entity and for single fields: `{sales_order: {default: (cart, erp),
fulfilment_status: (erp, cart)}}`. Systems that are not named come last, in the order of their names; among rows of one system
what is deleted there comes last, then an account comes before a guest, then the order of source_id decides. A missing value
never wins over a value, but for `deleted_at`: what the first row says of it holds, so that only the owner deletes. Money is
taken only from rows in the winning currency. Children come as a set from the first system that has any, so that their number
and their sums are one system's word; columns that are declared for the child by name (`{order_line: {fulfilled_quantity: (erp,
cart)}}`) are won row by row, among those and the rows of other systems that are recognised as the same.

Only hub ids in _touched are computed, and only what differs by hash is written: the old version moves to history.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC

from hub.entity import DELETED, Entity
from warehouse import columns as c
from warehouse.duck import literal, quote
from warehouse.history import replace
from warehouse.tables import set_position
from warehouse.work import Survivorship, Touch, Work, canonical, previous, source

POSITION = "survivorship"


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
        children = _children_there(work, entity)
        kept = work.do(f"children kept {entity.name}", KEPT) if children and "kept" in kinds else 0
        if kept and several:
            several -= work.do(f"several kept {entity.name}", SEVERAL_KEPT)
        for child in children if kept < others else ():
            among = won_children_sql(work, entity, child) if several else ""
            _win(work, child, only_sql(work, child, several, moved=moved), among)
            replace(work, child, "parent")
    return fresh + others


def note_declared(work: Work) -> None:
    """Since when survivorship, and what makes rows of two systems the same, is as it is: what a run that started later wrote was
    settled by it.

    Runs overlap, so it is counted from the last start of all that were merged by another declaration.
    """
    declared = {name: dict(columns) for name, columns in work.survivorship.items()}
    matched = {entity.name: entity.match for entity in work.model.values() if entity.parent}
    digest = hashlib.sha256(json.dumps([declared, matched], sort_keys=True).encode()).hexdigest()[:16]
    known, _, since = work.positions.get(POSITION, "").partition(" ")
    if known != digest:
        last = work.rows("last run", f"SELECT coalesce(max(started_at), {work.at}) FROM ops.runs")[0][0]
        since = last.astimezone(UTC).isoformat()
        set_position(work.con, POSITION, f"{digest} {since}")
    work.declared = f"TIMESTAMP WITH TIME ZONE {literal(since)}"


def _win(work: Work, entity: Entity, only: str, among_several: str) -> None:
    """Fill _won: from the one source row of a hub, or by the survivorship `among_several`."""
    work.do(f"won {entity.name}", only)
    if among_several:
        work.do(f"won {entity.name} of several", f"INSERT INTO _won BY NAME {among_several}")


def touched_sql(entity: Entity, *, fresh: bool) -> str:
    """_new: hubs that this merge made of one source row each. _others: all that existed, or have several."""
    return f"""
        CREATE OR REPLACE TEMP TABLE {"_new" if fresh else "_others"} AS
        SELECT hub_id, bool_and(written) AS written, bool_or(other_children) AS other_children, bool_and(settled) AS settled
        FROM _touched WHERE entity = {literal(entity.name)}
        GROUP BY hub_id HAVING bool_and(fresh) = {fresh}"""


# Out of _others: whose rows have the children that they had. Where several systems speak, who wins is asked again unless that was
# done since it is declared as it is.
KEPT = "DELETE FROM _others WHERE NOT other_children AND (settled OR hub_id NOT IN (SELECT hub_id FROM _several))"
SEVERAL_KEPT = "DELETE FROM _several WHERE hub_id NOT IN (SELECT hub_id FROM _others)"


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
    default = default_order(survivorship, entity)
    declared = survivorship.get(entity.name, {})
    return {column.name: tuple(declared.get(column.name, default)) for column in entity}


def default_order(survivorship: Survivorship, entity: Entity) -> tuple[str, ...]:
    """The systems in the order in which they are asked for what is not declared by name. A child may leave that to its header."""
    declared = (survivorship.get(name, {}).get("default", ()) for name in (entity.name, entity.parent or ""))
    return tuple(next(filter(None, declared), ()))


def won_by_row(survivorship: Survivorship, child: Entity) -> dict[str, tuple[str, ...]]:
    """The columns of a child that do not hold as a set, and the systems in the order in which they are asked."""
    declared = survivorship.get(child.name, {}) if child.match else {}
    return {name: order for name, order in priorities(survivorship, child).items() if name in declared}


def rank_sql(order: Sequence[str], among: Sequence[str] = (), source_id: str = "source_id", of: str = "") -> str:
    """An ORDER BY list: declared systems first, then by name, among those of one system by these, then source_id. `of`: the table."""
    system = f"{of}.system" if of else "system"
    cases = " ".join(f"WHEN {literal(name)} THEN {place}" for place, name in enumerate(order))
    first = [f"CASE {system} {cases} ELSE {len(order)} END"] if cases else []
    return ", ".join([*first, system, *among, f"{of}.{source_id}" if of else source_id])


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
    names = [name for name, _ in c.canonical_columns(child)]
    wide = f"hub_id, parent_hub_id AS parent, system, parent_source_id, {c.listed(names)}"
    touched = "parent_hub_id IN (SELECT hub_id FROM _several)"
    earlier = f"UNION ALL SELECT {wide} FROM {previous(child)} WHERE {touched}"
    rank = rank_sql(default_order(work.survivorship, child), source_id="parent_source_id")
    by_row = won_by_row(work.survivorship, child)
    completed = f", {same_rows_sql(child)}, {_completed_sql(child, by_row)}" if by_row else ""
    return f"""
        WITH said AS (
            SELECT {wide} FROM {source(child)} WHERE {touched} AND waiting IS NULL
            {earlier if work.has_previous(child) else ""}
        ), winner AS (
            SELECT parent, system, parent_source_id FROM (SELECT DISTINCT parent, system, parent_source_id FROM said)
            QUALIFY row_number() OVER (PARTITION BY parent ORDER BY {rank}) = 1
        ), held AS (
            SELECT s.* FROM said s
            SEMI JOIN winner w ON w.parent = s.parent AND w.system = s.system AND w.parent_source_id = s.parent_source_id
        ){completed}, won AS (
            SELECT hub_id, parent, {c.listed(names)} FROM {"completed" if by_row else "held"}
        )
        SELECT *, {c.canonical_hash_sql(child)} AS row_hash FROM won"""


def same_rows_sql(child: Entity) -> str:
    """A CTE `same`: which row of another set (`other`) is the same as a row that holds (`row`), both as hub ids.

    Of `said` (hub_id, parent, system, parent_source_id and the columns) those in `held` hold. Rows of two sets under one header are the
    same where a key of `Entity.match` says so. Where it says so of several, they are counted by their position, and paired
    only if both sets have equally many: of what one system ships in two lines and another in one, nothing is known by line.
    """
    place = "line_number, hub_id" if "line_number" in child else "hub_id"
    keyed = " UNION ALL ".join(
        f"SELECT {number} AS key, {c.match_value_sql(child, key)} AS value, hub_id, parent, system, parent_source_id, {place}"
        f" FROM said WHERE {' AND '.join(f'{c.normal_sql(child[name])} IS NOT NULL' for name in key)}"
        for number, key in enumerate(child.match, 1)
    )
    alike = "PARTITION BY key, value, parent, system, parent_source_id"
    return f"""
        keyed AS (
            {keyed}
        ), counted AS (
            SELECT *, row_number() OVER ({alike} ORDER BY {place}) AS nth, count(*) OVER ({alike}) AS of FROM keyed
        ), same AS (
            SELECT h.hub_id AS row, o.hub_id AS other
            FROM (SELECT * FROM counted SEMI JOIN held USING (hub_id)) h
            JOIN counted o ON o.parent = h.parent AND o.key = h.key AND o.value = h.value AND o.nth = h.nth AND o.of = h.of
             AND (o.system <> h.system OR o.parent_source_id <> h.parent_source_id)
            QUALIFY row_number() OVER (PARTITION BY h.hub_id, o.system, o.parent_source_id ORDER BY h.key) = 1
                AND row_number() OVER (PARTITION BY o.hub_id ORDER BY h.key, h.hub_id) = 1
        )"""


def _completed_sql(child: Entity, by_row: Mapping[str, Sequence[str]]) -> str:
    """A CTE `completed`: the rows of `held`, with the columns of `by_row` from whoever comes first and says something.

    Money is taken in the row's own currency only, a quantity not from a row that counts in another unit.
    """
    orders = {order: f"_p{number}" for number, order in enumerate(dict.fromkeys(by_row.values()))}
    ranks = ", ".join(
        f"row_number() OVER (PARTITION BY h.hub_id ORDER BY {rank_sql(order, source_id='parent_source_id', of='s')}) AS {rank}"
        for order, rank in orders.items()
    )
    fields = []
    for name in by_row:
        same = ["true"]
        if (currency := child[name].currency) and currency in child:
            same.append(f"s.{quote(currency)} IS NOT DISTINCT FROM h.{quote(currency)}")
        if (unit := child[name].unit) and unit in child:
            same.append(f"coalesce(s.{quote(unit)} = h.{quote(unit)}, true)")
        fields.append(f"CASE WHEN {' AND '.join(same)} THEN s.{quote(name)} END AS {quote(name)}")
    best = ", ".join(
        f"arg_min({quote(name)}, {orders[tuple(order)]}) AS {quote(name)}" for name, order in by_row.items()
    )
    return f"""
        told AS (
            SELECT h.hub_id, {", ".join(fields)}, {ranks}
            FROM held h
            JOIN (SELECT row, other FROM same UNION ALL SELECT hub_id, hub_id FROM held) t ON t.row = h.hub_id
            JOIN said s ON s.hub_id = t.other
        ), best AS (
            SELECT hub_id, {best} FROM told GROUP BY hub_id
        ), completed AS (
            SELECT h.* REPLACE ({", ".join(f"b.{quote(name)} AS {quote(name)}" for name in by_row)})
            FROM held h JOIN best b ON b.hub_id = h.hub_id
        )"""
