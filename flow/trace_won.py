"""Who won each value of a record, by which rule, and what the others said: `warehouse/survivorship.py` told in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from flow.report import many
from flow.trace_read import Record, Row, Stores, short
from hub.entity import DELETED, Entity, children
from warehouse.survivorship import default_order, priorities, same_rows_sql, won_by_row
from warehouse.work import Survivorship


@dataclass(frozen=True, slots=True)
class Said:
    """What one system's row says of one column."""

    system: str
    source_id: str
    value: Any
    guest: bool
    currency: Any
    deleted: bool = False

    @property
    def who(self) -> str:
        return f"{self.system} {self.source_id}"


@dataclass(frozen=True, slots=True)
class Won:
    """`winner` is None where nobody said what holds (a row that is not kept any more did)."""

    value: Any
    winner: Said | None
    lost: tuple[Said, ...]
    agreed: tuple[Said, ...]
    rule: str


def won(stores: Stores, held: Row, rows: Sequence[Row], column: str) -> Won:
    """`held` is the canonical row, `rows` the systems' rows as they were then."""
    order = priorities(stores.project.survivorship, stores.entity).get(column, ())
    money = stores.entity[column].currency
    said = [
        Said(
            row["system"],
            row["source_id"],
            row.get(column),
            bool(row.get("guest")),
            row.get(money) if money else None,
            row.get(DELETED.name) is not None,
        )
        for row in rows
        if row.get(column) is not None or column == DELETED.name  # that it is there is an answer, too
    ]
    said.sort(key=lambda one: _rank(order, one))
    value = held.get(column)
    comparable = [one for one in said if not money or money not in held or one.currency == held[money]]
    winner = next((one for one in comparable if one.value == value), None)
    agreed = tuple(one for one in said if one.value == value and one is not winner)
    lost = tuple(one for one in said if one.value != value)
    return Won(value, winner, lost, agreed, _rule(stores, column, order, winner, lost, money))


def _rank(order: Sequence[str], one: Said) -> tuple[int, str, bool, bool, str]:
    return *_place(order, one.system), one.deleted, one.guest, one.source_id


def _place(order: Sequence[str], system: str) -> tuple[int, str]:
    """Those that are declared in their order, then the others by name."""
    return order.index(system) if system in order else len(order), system


def _rule(
    stores: Stores, column: str, order: Sequence[str], winner: Said | None, lost: Sequence[Said], money: str | None
) -> str:
    if winner is None:
        return "said by nobody who speaks for it now"
    if not lost:
        return "nobody says otherwise"
    entity = stores.entity.name
    declared = stores.project.survivorship.get(entity, {})
    where = f"survivorship {entity}.{column if column in declared else 'default'}"
    best = min((one for one in lost), key=lambda one: _rank(order, one))
    if _rank(order, best) < _rank(order, winner):
        return (
            f"{best.system} speaks another currency"
            if money and best.currency != winner.currency
            else "not as now ruled"
        )
    if winner.system == best.system:
        if winner.deleted != best.deleted:
            return "a living record before a deleted one"
        return "an account before a guest" if winner.guest != best.guest else "the lower id of one system"
    if not order:
        return "no order is declared, so that of the names"
    return f"{', then '.join(order)} ({where})"


def winners_of_rows(stores: Stores, held: Sequence[Row], said: Sequence[Row], column: str) -> dict[int, Row]:
    """The row of `said` that gave a canonical row of a child its value, by the hub id of that. The others' words lost.

    `held` are a record's canonical rows, `said` the systems' rows for it. Where the column holds as a set it is the row itself.
    """
    own = {row["hub_id"]: row for row in said}
    order = won_by_row(stores.project.survivorship, stores.entity).get(column)
    if order is None or not held:
        return {row["hub_id"]: own[row["hub_id"]] for row in held if row["hub_id"] in own}
    found: dict[int, Row] = {}
    others = _same(stores, held[0]["parent"])
    for row in held:
        among = [own[hub] for hub in (row["hub_id"], *others.get(row["hub_id"], ())) if hub in own]
        among.sort(key=lambda one: (*_place(order, one["system"]), one["parent_source_id"]))
        spoke = next((one for one in among if one[column] is not None and one[column] == row[column]), None)
        if spoke is not None:
            found[row["hub_id"]] = spoke
    return found


def _same(stores: Stores, parent: int) -> dict[int, list[int]]:
    """Hub id of a row that holds → those of the other systems' rows that are the same."""
    name = stores.entity.name
    rows = stores.rows(
        f"""WITH said AS (
                SELECT *, parent_hub_id AS parent FROM source.{name} WHERE parent_hub_id = $hub AND waiting IS NULL
            ), held AS (SELECT * FROM said WHERE hub_id IN (SELECT hub_id FROM canonical.{name} WHERE parent = $hub)),
            {same_rows_sql(stores.entity)}
            SELECT row, other FROM same ORDER BY row, other""",
        {"hub": parent},
    )
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row["row"], []).append(row["other"])
    return found


def rule_of_rows(survivorship: Survivorship, child: Entity, column: str, systems: Collection[str]) -> str:
    """Why the column of a child's rows holds what it does: row by row, or as a set from the first system that has any."""
    if len(systems) < 2:
        return "nobody says otherwise"
    if by_row := won_by_row(survivorship, child).get(column):
        return f"row by row: {', then '.join(by_row)} (survivorship {child.name}.{column})"
    named = next((name for name in (child.name, child.parent or "") if survivorship.get(name, {}).get("default")), "")
    order = default_order(survivorship, child)
    if not order:
        return "as a set from the first system by name, as no order is declared"
    return f"as a set: {', then '.join(order)} (survivorship {named}.default)"


def fields_of(stores: Stores, record: Record) -> dict[str, Any]:
    """What holds of each column, who said it, by which rule, and what the others say instead."""
    held = stores.rows(f"SELECT * FROM canonical.{stores.entity.name} WHERE hub_id = $hub", {"hub": record.hub_id})
    if not held:
        return {}
    fields: dict[str, Any] = {}
    for column in (c.name for c in stores.entity):
        found = won(stores, held[0], record.views, column)
        if found.value is None and not found.lost:
            continue
        same = [found.winner] if found.winner else []
        fields[column] = {
            "value": stores.value(column, found.value),
            "said_by": sorted(one.who for one in (*same, *found.agreed)),
            "rule": found.rule,
            "others": {one.who: stores.value(column, one.value) for one in found.lost},
        }
    for child in children(stores.model, stores.entity.name):
        (count,) = stores.con.execute(
            f"SELECT count(*) FROM canonical.{child.name} WHERE parent = $1", [record.hub_id]
        ).fetchall()[0]
        if count:
            fields[child.name] = {
                "value": many(count, "row"),
                "said_by": [],
                "rule": "",
                "others": {},
            }
    return fields


def reason(stores: Stores, column: str, found: Won) -> str:
    """`by cart before erp 11.0000`, for a line of the timeline; empty where there is nothing to say."""
    if found.winner is None:
        return ""
    said = f"by {found.winner.system}"
    if found.lost:
        others = ", ".join(f"{one.system} {short(stores.value(column, one.value))}" for one in found.lost)
        said += f", not {others}: {found.rule}"
    return said
