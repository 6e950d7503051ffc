"""Which plans wait for a person although they are not a target's first: those that would do more than is usual.

The limits stand in crossdock.yaml (`hub/push_settings.py`). What is counted here is said in words and numbers, never in values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from flow.decide import Decision
from flow.plan_file import Edit, Spot
from hub.connector import ENDS
from hub.entity import Model
from hub.push_settings import Guards
from warehouse.duck import Connection, quote, run

FEW = 100  # a share says nothing of fewer calls
# Columns whose values stand in the order in which they are reached: what is shipped is not processed again.
ONE_WAY: Mapping[str, tuple[str, ...]] = {
    "sales_order": ("lifecycle_status", "fulfilment_status", "payment_status"),
    "invoice": ("status",),
    "payment": ("status",),
}


def reasons(
    limits: Guards,
    con: Connection,
    model: Model,
    outbounds: Sequence[Any],
    decisions: Sequence[Decision],
    edits: Mapping[Spot, tuple[Edit, ...]],
    before: Mapping[tuple[str, str], Mapping[str, Any]],
    taken_back: int = 0,
    set_aside: int = 0,
) -> tuple[str, ...]:
    """Why the plan waits, in words; empty where it does not. `set_aside` are unchanged records beside the decisions."""
    calls = [d for d in decisions if d.verdict == "call"]
    columns = _columns(outbounds)
    known = sum(1 for d in calls if d.candidate.external_id)
    unchanged = set_aside + sum(1 for d in decisions if d.verdict == "unchanged")
    found = [
        _above(limits.records, len(calls), "{n:,} calls, more than {limit:,.0f}"),
        _above(
            limits.cancels,
            sum(d.candidate.operation in ENDS for d in calls),
            "{n:,} records would be cancelled or archived, more than {limit:,.0f}",
        ),
        _above(limits.keys, _keys(model, columns, edits), "a key field would change {n:,} times"),
        _above(
            limits.backwards,
            _backwards(con, model, columns, calls, edits, before),
            "a status would fall back {n:,} times",
        ),
    ]
    if len(calls) >= FEW and known and (limit := limits.share) is not None and known / (known + unchanged) > limit:
        found.append(f"{known:,} of {known + unchanged:,} records that the target knows, more than {limit:.0%}")
    if taken_back:
        found.append(f"{taken_back:,} record{'' if taken_back == 1 else 's'} would be told again what was taken back")
    return tuple(reason for reason in found if reason)


def _above(limit: float | None, n: int, text: str) -> str:
    return text.format(n=n, limit=limit) if limit is not None and n > limit else ""


def _columns(outbounds: Sequence[Any]) -> dict[tuple[str, str, str], dict[str, tuple[str, ...]]]:
    """(operation, stream, entity) → place of the payload → the columns that it is made of."""
    return {
        (one.operation, one.stream, one.entity): {place: sent.columns for place, sent in one.held.places.items()}
        for one in outbounds
        if one.held is not None
    }


def _keys(
    model: Model,
    columns: Mapping[tuple[str, str, str], Mapping[str, tuple[str, ...]]],
    edits: Mapping[Spot, tuple[Edit, ...]],
) -> int:
    """Changes of what a record is recognised by. A person's e-mail address is one, and changes in an ordinary life."""
    n = 0
    for (operation, stream, entity, _), some in edits.items():
        keys = {m[0] for m in model[entity].match if len(m) == 1 and not model[entity][m[0]].pii}
        made_of = columns.get((operation, stream, entity), {})
        n += sum(1 for edit in some if edit.old is not None and keys & set(made_of.get(edit.place, ())))
    return n


def _backwards(
    con: Connection,
    model: Model,
    columns: Mapping[tuple[str, str, str], Mapping[str, tuple[str, ...]]],
    calls: Sequence[Decision],
    edits: Mapping[Spot, tuple[Edit, ...]],
    before: Mapping[tuple[str, str], Mapping[str, Any]],
) -> int:
    """Records of which the target says a later state than the one that would be sent."""
    due: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)  # (entity, column) → hub id → what the target says
    for one in (d.candidate for d in calls):
        made_of = columns.get((one.operation, one.stream, one.entity), {})
        spot = (one.operation, one.stream, one.entity, one.hub_id)
        touched = {column for edit in edits.get(spot, ()) for column in made_of.get(edit.place, ())}
        said = before.get((one.entity, one.external_id or ""), {})
        for column in touched & set(ONE_WAY.get(one.entity, ())) & said.keys():
            due[one.entity, column][one.hub_id] = said[column]
    return sum(_fallen(con, model, entity, column, some) for (entity, column), some in due.items())


def _fallen(con: Connection, model: Model, entity: str, column: str, said: Mapping[int, Any]) -> int:
    rank = {value: n for n, value in enumerate(model[entity][column].values)}
    sql = f"SELECT hub_id, {quote(column)} FROM canonical.{quote(entity)} WHERE hub_id IN (SELECT unnest($hubs))"
    ours = run(con, sql, {"hubs": sorted(said)}, name=f"{entity}.{column}").fetchall()
    return sum(1 for hub, value in ours if value in rank and rank[value] < rank.get(said[hub], -1))
