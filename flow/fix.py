"""`crossdock reconcile --fix`: which breaks the normal push can heal, as a plan of just those calls that a person then applies.

A break is healable when the plan of one of its systems holds a call for its record. Nothing here sends anything, and no
other way to change a system exists: `crossdock apply` makes the calls, and applying by hand is approving them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flow.plan import plan
from flow.plan_file import Call, Kept, Plan, identity, save
from flow.publish import fold_and_publish, query_snapshot
from flow.reconcile import specs
from hub.config import Project
from quality.reconcile_report import record_sql


@dataclass(frozen=True, slots=True)
class Proposal:
    """What can become of one break: `call` heals it; else `why` says why a person has to."""

    name: str
    key: str
    reason: str
    target: str | None
    call: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Fix:
    """`plans` holds, a target, the plan of only the calls that heal breaks."""

    proposals: tuple[Proposal, ...]
    plans: Mapping[str, Plan]

    def as_dict(self) -> dict[str, Any]:
        return {
            "plans": {target: {"id": made.id, "calls": len(made.calls)} for target, made in self.plans.items()},
            "breaks": [{name: getattr(one, name) for name in one.__dataclass_fields__} for one in self.proposals],
        }


def fix(project: Project, name: str | None = None) -> Fix:
    """Plan anew for every writable system of an open break, and keep of each plan what heals one."""
    fold_and_publish(project)
    answer = query_snapshot(
        project,
        f"""SELECT name, {record_sql(specs(project, name))} AS key, reason, code, hub_id, left_system, right_system,
             list_distinct([left_entity, right_entity]) AS entities
           FROM recon.breaks WHERE state = 'open' AND ($name IS NULL OR name = $name) ORDER BY money_at_risk DESC, name, breaks.key""",
        {"name": name},
    )
    breaks = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    systems = {one[side] for one in breaks for side in ("left_system", "right_system")}
    whole = {system: plan(project, system) for system in sorted(systems) if project.systems[system].write}
    healing: dict[str, list[Call]] = {target: [] for target in whole}
    proposals = [_proposal(one, whole, healing) for one in breaks]
    plans = {target: _only(project, whole[target], calls) for target, calls in healing.items() if calls}
    return Fix(tuple(proposals), plans)


def _proposal(one: Mapping[str, Any], whole: Mapping[str, Plan], healing: dict[str, list[Call]]) -> Proposal:
    """The right side first: mostly it is the one that the hub writes to."""
    said = (one["name"], one["key"], one["reason"])
    reasons = []
    for target in dict.fromkeys((one["right_system"], one["left_system"])):
        if target not in whole:
            continue
        calls = [call for call in whole[target].calls if _about(one, call)]
        if calls:
            healing[target] += calls
            return Proposal(*said, target, " and ".join(f"{c.operation} {c.stream} {c.key}" for c in calls), "")
        kept = [*whole[target].held, *whole[target].refused, *whole[target].waiting]
        reasons += [f"{target}: {item.reason}" for item in kept if _about(one, item)]
    return Proposal(*said, None, None, reasons[0] if reasons else _to_do(one["reason"]))


def _about(one: Mapping[str, Any], call: Call | Kept) -> bool:
    return call.hub_id == one["hub_id"] and call.entity in one["entities"]


def _to_do(reason: str) -> str:
    from quality.reconcile_report import to_do

    return to_do(reason)


def _only(project: Project, made: Plan, calls: Iterable[Call]) -> Plan:
    """The plan with these calls and what they need to have been called before, in its own order."""
    wanted = {call.record for call in calls}
    grown = True
    while grown:
        needs = {need for call in made.calls if call.record in wanted for need in call.needs}
        grown = not needs <= wanted
        wanted |= needs
    chosen = tuple(call for call in made.calls if call.record in wanted)
    only = replace(
        made, id=identity(made.target, chosen), calls=chosen, waiting=(), held=(), refused=(), approval="required"
    )
    save(project, only)
    return only
