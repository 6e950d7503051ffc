"""Take back what a plan or a run sent: a plan of the opposite calls, made of what the ledger kept of each record before.

changed         the values are set to what the target held, where it still holds what was sent: what others changed since is a
                conflict, and stays as they want it
made            cancelled or archived, where the target can; else it is refused, and a person has to remove it there
cancelled, archived, fulfilled   refused: no call takes it back

It is shown and applied like any plan. What the hub wants is not changed by it: until the data or the mapping is, the next
plan wants to say the same again, and waits for a person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flow import plan as planning
from flow.decide import History
from flow.fold import as_now_called, folded, joined_hubs
from flow.likeness import alike
from flow.plan import View
from flow.plan_file import LIFETIME, Call, Conflict, Contested, Edit, Kept, Plan, Spot, identity, save
from flow.three_way import units
from flow.weigh import Kind, holdings, known_of, personal
from hub import canonical
from hub.config import Project
from hub.connector import ENDS, Stream
from hub.errors import UsageError
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Intent

TAKEN_BACK = "taken back"


@dataclass(slots=True)
class _Done:
    """What was done to one spot: its last call, the places that it changed, and whether the record was made by it."""

    intent: Intent
    made: bool
    edits: dict[str, Edit] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)


def revert(project: Project, plan_or_run: str) -> list[Plan]:
    """Plan the opposite of a plan (by its id) or of a run, and write the plans' files: one a target, the one written last first.

    Raises UsageError P210 where nothing was applied by it.
    """
    with Ledger(project.ledger, read_only=True) as ledger:
        applied = ledger.applied_by(plan_or_run)
        if not applied:
            raise UsageError(
                "P210", f"nothing was applied by '{plan_or_run}'", fix="name the whole id of a plan or run"
            )
        targets = dict.fromkeys(intent.target for intent, _ in reversed(applied))
        made = [take_back(project, plan_or_run, target, ledger).plan for target in targets]
    for one in made:
        save(project, one)
    return made


def take_back(project: Project, plan_or_run: str, target: str, ledger: Ledger) -> View:
    """The plan as things stand, only computed."""
    from warehouse.model import entities

    applied = [(intent, image) for intent, image in ledger.applied_by(plan_or_run) if intent.target == target]
    outbounds = planning.outbound_mappings(project, target, entities())
    known = planning.streams(project, project.system(target))
    with folded(project, ledger) as con:
        joined = joined_hubs(con)
        intents = as_now_called(ledger.newest(target), joined)
        done = _done([(as_now_called([intent], joined)[0], image) for intent, image in applied], ledger)
        history = History(intents)
        wanted: dict[Kind, dict[str, tuple[str, str, int]]] = defaultdict(dict)
        for (operation, stream, entity, hub_id), one in done.items():
            if one.intent.external_id:
                wanted[operation, stream, entity][one.intent.external_id] = (stream, entity, hub_id)
        held = holdings(con, outbounds, target, wanted, history)
    past = {(i.operation, i.stream, i.entity, i.hub_id): i for i in intents}
    reverting = _Reverting(known, held, past)
    reverting.places = {(o.operation, o.stream, o.entity): known_of(o).names for o in outbounds}
    for spot in reversed(done):  # the last first: an order before its customer
        reverting.take(done[spot])
    return View(_plan(plan_or_run, target, reverting, personal(outbounds)), past, {})


def _done(applied: Sequence[tuple[Intent, str | None]], ledger: Ledger) -> dict[Spot, _Done]:
    """What was applied by spot, in order. Several calls to one spot count as one: from the first before to the last after."""
    bodies = ledger.bodies(intent.payload_id for intent, _ in applied)
    found: dict[Spot, _Done] = {}
    for intent, image in applied:
        spot: Spot = (intent.operation, intent.stream, intent.entity, intent.hub_id)
        before = canonical.loads(image) if image else {}
        was_made = intent.operation == "create" or (bool(before) and before["was"] is None)
        one = found.setdefault(spot, _Done(intent, was_made))
        one.intent, one.body = intent, canonical.loads(bodies.get(intent.payload_id, "{}"))
        one.kept = before.get("kept", {})
        for edit in (Edit(**said) for said in before.get("edits", ())):
            first = one.edits.get(edit.place, edit)
            one.edits[edit.place] = replace(first, new=edit.new)
    return found


class _Reverting:
    def __init__(
        self, known: Mapping[str, Stream], held: Mapping[tuple[str, str, str, str], Any], past: Mapping[Spot, Intent]
    ) -> None:
        self.known, self.held, self.past = known, held, past
        self.places: Mapping[Kind, Collection[str]] = {}  # of which the target's value can be known
        self.calls: list[Call] = []
        self.kept: list[Kept] = []
        self.refused: list[Kept] = []
        self.contested: list[Contested] = []

    def take(self, done: _Done) -> None:
        intent = done.intent
        if done.made:
            self._remove(intent)
        elif intent.operation in ("change", "upsert"):
            self._restore(done)
        else:
            self.refused.append(_kept(intent, f"{intent.operation} cannot be taken back by a call"))

    def _remove(self, intent: Intent) -> None:
        ends = [self.past.get((end, intent.stream, intent.entity, intent.hub_id)) for end in ENDS]
        if any(one is not None and one.status == "applied" for one in ends):
            return  # it is gone already
        able = self.known[intent.stream].writes if intent.stream in self.known else ()
        end = next((one for one in ENDS if one in able), None)
        if end is None:
            why = f"the target can neither cancel nor archive what was made in {intent.stream}; it has to be removed there"
            self.refused.append(_kept(intent, why))
            return
        self.calls.append(_call(intent, end, {"reason": TAKEN_BACK} if end == "cancel" else {}, ()))

    def _restore(self, done: _Done) -> None:
        intent = done.intent
        kind = (intent.operation, intent.stream, intent.entity)
        now = self.held.get((*kind, intent.external_id or ""))
        holds = dict(units(now)) if now is not None else None
        newest = self.past.get((*kind, intent.hub_id))
        if newest is not None and newest.id != intent.id and newest.status == "applied":
            self.kept.append(_kept(intent, "the record was sent again since; take that back first"))
            return
        clears = intent.stream in self.known and self.known[intent.stream].clears
        edits, conflicts = _opposite(done.edits.values(), holds, self.places.get(kind, ()), clears)
        if conflicts:
            self.contested.append(Contested(*kind, intent.hub_id, intent.business_key, tuple(conflicts)))
        if not edits:
            if not conflicts:
                self.kept.append(_kept(intent, "what the target held before is not known"))
            return
        payload = _restored(done.body, {edit.place: edit.new for edit in edits}, holds or {})
        said, back = dict(units(done.body)) | done.kept, {edit.place for edit in edits}
        kept = {place: said[place] for place, value in units(payload) if place not in back and value != said[place]}
        self.calls.append(replace(_call(intent, intent.operation, payload, tuple(edits)), kept=kept))


def _opposite(
    edits: Iterable[Edit], holds: Mapping[str, Any] | None, places: Collection[str], clears: bool
) -> tuple[list[Edit], list[Conflict]]:
    """The edits backwards. What the target holds now tells whether others were there meanwhile; None: it was not read.

    What was missing before is emptied again where the target `clears`.
    """
    back, conflicts = [], []
    for edit in edits:
        old = edit.old if edit.known else edit.sent
        if old is None and not (clears and edit.known):
            continue
        known = holds is not None and edit.place in places
        now = holds.get(edit.place) if known and holds is not None else None
        if known and not alike(now, edit.new):
            conflicts.append(Conflict(edit.place, edit.place, edit.new, now, old, "revert", "theirs"))
        else:
            back.append(Edit(edit.place, now, edit.new, old, known))
    return back, conflicts


def _restored(
    body: Mapping[str, Any], old: Mapping[str, Any], holds: Mapping[str, Any], at: str = ""
) -> dict[str, Any]:
    """What was sent, with the old values in their places, and all else as the target holds it."""
    made: dict[str, Any] = {}
    for name, value in body.items():
        place = f"{at}.{name}" if at else name
        if isinstance(value, dict) and value and place not in old:
            made[name] = _restored(value, old, holds, place)
        elif isinstance(value, list) and place not in old:
            made[name] = value  # of a list not every part may be known
        else:
            made[name] = old.get(place, holds.get(place, value))
    return made


def _kept(intent: Intent, reason: str) -> Kept:
    return Kept(intent.operation, intent.stream, intent.entity, intent.hub_id, intent.business_key, reason)


def _call(intent: Intent, operation: Any, payload: dict[str, Any], edits: tuple[Edit, ...]) -> Call:
    return Call(
        operation=operation,
        stream=intent.stream,
        entity=intent.entity,
        hub_id=intent.hub_id,
        key=intent.business_key,
        external_id=intent.external_id,
        payload=payload,
        fingerprint=canonical.fingerprint(payload),
        edits=edits,
    )


def _plan(taken: str, target: str, found: _Reverting, places: Mapping[str, tuple[str, ...]]) -> Plan:
    created = datetime.now(UTC)
    calls = tuple(found.calls)
    return Plan(
        id=identity(target, calls),
        target=target,
        created=created,
        expires=created + LIFETIME,
        approval="required" if calls else "given",
        calls=calls,
        waiting=(),
        held=tuple(found.kept),
        refused=tuple(found.refused),
        counts={},
        conflicts=tuple(found.contested),
        guards=(f"it takes back {taken}",) if calls else (),
        personal=places,
        reverts=taken,
    )
