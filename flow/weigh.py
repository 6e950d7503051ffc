"""What the calls of a plan would change, value by value: against what the target holds, and against what was sent last.

The decisions say which calls are due; here each call about a record that the target knows is merged three ways
(`three_way.py`). A call that has nothing left to say is unchanged, a conflict that is left to a person holds it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flow.decide import Candidate, Decision, History, Record
from flow.plan_file import Contested, Edit, Spot, Winner
from flow.three_way import Known, Merged, merge, units
from hub import canonical
from hub.config import Project
from warehouse.duck import Connection, quote, run
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Intent

Kind = tuple[str, str, str]  # operation, stream, entity
MERGED = ("change", "upsert", "fulfil")


@dataclass(slots=True)
class Weighed:
    """The decisions as they stand after the merge, the edits of each call, and what was contested.

    `kept`: see `Call`. `taken_back` counts calls that would say again what a person took back.
    """

    decisions: list[Decision] = field(default_factory=list)
    edits: dict[Spot, tuple[Edit, ...]] = field(default_factory=dict)
    kept: dict[Spot, dict[str, Any]] = field(default_factory=dict)
    contested: list[Contested] = field(default_factory=list)
    taken_back: int = 0


def weigh(
    project: Project,
    target: str,
    con: Connection,
    outbounds: Sequence[Any],
    decisions: Sequence[Decision],
    history: History,
    ledger: Ledger,
    retry: Collection[str],
) -> Weighed:
    """Merge the calls about records that the target knows; all other decisions stay as they are."""
    calls = [d.candidate for d in decisions if d.verdict == "call" and _is_merged(d.candidate)]
    if not calls:
        return Weighed(list(decisions))
    weighing = _Weighing(project, target, con, outbounds, calls, history, ledger, retry)
    made = Weighed()
    for decision in decisions:
        is_merged = decision.verdict == "call" and _is_merged(decision.candidate)
        made.decisions.append(weighing.decided(decision, made) if is_merged else decision)
    _hold_back(made, {d.candidate.record for d in made.decisions if d.verdict == "held"})
    return made


def _is_merged(one: Candidate) -> bool:
    return one.operation in MERGED and one.external_id is not None


def _hold_back(made: Weighed, held: set[tuple[str, str, int]]) -> None:
    """A call that follows one that is held now waits for it."""
    names = {f"{entity}/{hub_id}" for _, entity, hub_id in held}
    for at, decision in enumerate(made.decisions):
        if decision.verdict == "call" and (missing := sorted(decision.after & names)):
            made.decisions[at] = Decision("waiting", decision.candidate, ", ".join(missing))


class _Weighing:
    def __init__(
        self,
        project: Project,
        target: str,
        con: Connection,
        outbounds: Sequence[Any],
        calls: Sequence[Candidate],
        history: History,
        ledger: Ledger,
        retry: Collection[str],
    ) -> None:
        self.project, self.target, self.con, self.history, self.retry = project, target, con, history, retry
        self.policies = project.system(target).conflicts
        self.known = {(o.operation, o.stream, o.entity): known_of(o) for o in outbounds}
        wanted: dict[Kind, dict[str, Record]] = defaultdict(dict)
        for one in calls:
            wanted[one.operation, one.stream, one.entity][str(one.external_id)] = one.record
        self.held = holdings(con, outbounds, target, wanted, history)
        self.told = {one.record: history.told(one) for one in calls}
        self.bodies = ledger.bodies(intent.payload_id for told in self.told.values() for intent in told)
        self.images = ledger.images(intent.id for told in self.told.values() for intent in told)
        newest = any(policy == "newest" for policy in self.policies.values())
        self.newer = self._newer(calls) if newest else {}

    def _newer(self, calls: Sequence[Candidate]) -> dict[tuple[str, int], Winner]:
        """Whose version of a record came last: the target's, or that of any other system."""
        found: dict[tuple[str, int], Winner] = {}
        for entity in sorted({one.entity for one in calls}):
            hubs = sorted({one.hub_id for one in calls if one.entity == entity})
            sql = f"""SELECT hub_id, max(seen_at) FILTER (system = $target), max(seen_at) FILTER (system <> $target)
                      FROM source.{quote(entity)} WHERE hub_id IN (SELECT unnest($hubs)) GROUP BY 1"""
            rows = run(self.con, sql, {"target": self.target, "hubs": hubs}, name=f"newest {entity}").fetchall()
            found |= {(entity, hub): _later(theirs, ours) for hub, theirs, ours in rows}
        return found

    def decided(self, decision: Decision, made: Weighed) -> Decision:
        one = decision.candidate
        merged = self._merged(one)
        if merged.conflicts:
            made.contested.append(
                Contested(one.operation, one.stream, one.entity, one.hub_id, one.key or "", merged.conflicts)
            )
        if manual := merged.left_to_a_person:
            names = ", ".join(conflict.name for conflict in manual)
            return Decision("held", one, f"conflict: the target changed {names} since it was sent, and so did we")
        if not merged.edits or self.history.sent(one) == canonical.fingerprint(merged.payload):
            return Decision("unchanged", one)
        due = replace(one, payload=merged.payload)
        if (refused := self.history.refusal(due)) and one.key not in self.retry:
            return Decision("refused", due, refused.message or refused.status or "")
        made.taken_back += any(is_revert(intent) for intent in self.told[one.record][-1:])
        made.edits[one.operation, one.stream, one.entity, one.hub_id] = merged.edits
        if merged.kept:
            made.kept[one.operation, one.stream, one.entity, one.hub_id] = merged.kept
        return replace(decision, candidate=due)

    def _merged(self, one: Candidate) -> Merged:
        kind = (one.operation, one.stream, one.entity)
        base: dict[str, Any] = {}
        for intent in self.told[one.record]:
            base |= dict(units(canonical.loads(self.bodies.get(intent.payload_id, "{}"))))
            base |= canonical.loads(self.images.get(intent.id, "{}")).get("kept", {})
        return merge(
            one.payload,
            self.held.get((*kind, one.external_id or "")),
            base,
            self.known[kind],
            lambda name: self._judge(one, name),
        )

    def _judge(self, one: Candidate, name: str) -> tuple[str, Winner]:
        """The policy of a field, and who wins by it."""
        policy = self.policies.get(f"{one.entity}.{name}") or self.policies.get("default") or "owner"
        if policy == "newest":
            return policy, self.newer.get((one.entity, one.hub_id), "manual")
        if policy == "owner":
            order = self.project.survivorship.get(one.entity, {})
            systems = order.get(name) or order.get("default") or ()
            return policy, "theirs" if systems[:1] == (self.target,) else "ours"
        winners: dict[str, Winner] = {"ours": "ours", "theirs": "theirs"}
        return policy, winners.get(policy, "manual")


def holdings(
    con: Connection,
    outbounds: Sequence[Any],
    target: str,
    wanted: Mapping[Kind, Mapping[str, Record]],
    history: History,
) -> dict[tuple[str, str, str, str], Any]:
    """What the target holds, in the words of the payload, of each record that was read since it was called last.

    `wanted`: the kind of call → the target's id → the record; the answer is by kind and id.
    """
    found: dict[tuple[str, str, str, str], Any] = {}
    for one in outbounds:
        kind = (one.operation, one.stream, one.entity)
        due = wanted.get(kind)
        if not due or one.held is None or not one.held.sql:
            continue
        name = f"held by {target}: {one.operation} {one.entity}"
        cursor = run(con, one.held.sql, {"target": target, "ids": sorted(due)}, name=name)
        for id, held, read_at in cursor.fetchall():
            if not history.outdated(due[id], read_at):
                found[*kind, id] = canonical.loads(held)
    return found


REVERT = "revert of "


def is_revert(intent: Intent) -> bool:
    """Whether the call took back an earlier one."""
    return (intent.run_id or "").startswith(REVERT)


def _later(theirs: datetime | None, ours: datetime | None) -> Winner:
    if theirs is None or ours is None:
        return "manual"
    return "theirs" if theirs > ours else "ours"


def known_of(outbound: Any) -> Known:
    if outbound.held is None:
        return Known()
    places: Mapping[str, Any] = outbound.held.places
    lists = {place.partition("[]")[0] for place in places if "[]" in place}
    parts = {
        place: frozenset(
            part.partition("[].")[2] for part, one in places.items() if part.startswith(f"{place}[].") and one.known
        )
        for place in lists
    }
    return Known(
        {place: one.name for place, one in places.items() if one.known and "[]" not in place},
        parts,
        frozenset(place for place, one in places.items() if one.constant),
    )


def personal(outbounds: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """'operation stream entity' → the places of the payload that hold a person's data."""
    return {
        f"{one.operation} {one.stream} {one.entity}": tuple(
            place for place, sent in one.held.places.items() if sent.personal
        )
        for one in outbounds
        if one.held is not None
    }
