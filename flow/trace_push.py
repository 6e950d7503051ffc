"""What a trace tells of the ledger: every call for the record, as it was asked for and as it was answered."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from flow.fold import as_now_called, joined_hubs
from flow.personal import masked
from flow.trace_read import Event, Record, Stores, event
from hub.entity import Entity
from hub.errors import CrossdockError
from warehouse.ledger_rows import AppliedOutcome, Intent


@dataclass(slots=True)
class Sent:
    """The calls of one record, their payloads by payload id (None once erased) and what the targets held before them."""

    stores: Stores
    intents: dict[int, Intent]
    outcomes: list[AppliedOutcome]
    bodies: dict[int, str]
    images: dict[int, str]
    _pushes: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, stores: Stores, record: Record) -> Sent:
        joined, name, ledger = joined_hubs(stores.con), stores.entity.name, stores.ledger
        hubs = [record.hub_id, *(old for (e, old), new in joined.items() if e == name and new == record.hub_id)]
        intents = {i.id: i for i in as_now_called(ledger.intents_of(name, hubs), joined)}
        bodies = ledger.bodies(i.payload_id for i in intents.values())
        return cls(stores, intents, ledger.outcomes_of(name, hubs), bodies, ledger.images(intents))

    def events(self) -> Iterator[Event]:
        for intent in self.intents.values():
            what = f"{intent.operation} {intent.stream} {intent.business_key} is to be sent"
            yield event(intent.created_at, "push", intent.target, what, self._call(intent))
        for outcome in self.outcomes:
            said = f": {outcome.message}" if outcome.message else ""
            given = f" as {outcome.external_id}" if outcome.external_id else ""
            what = f"{outcome.operation} {outcome.stream} {outcome.key} {outcome.status}{given}{said}"
            detail = {"request_id": outcome.request_id, "seconds": outcome.duration, "plan": outcome.plan_id}
            yield event(outcome.at, "push", outcome.target, what, detail | {"run_id": outcome.run_id})

    def _call(self, intent: Intent) -> dict[str, Any]:
        detail = {"plan": intent.plan_id, "attempts": intent.attempts, "state": intent.state}
        detail |= {"idempotency_key": intent.idempotency_key, "request": self.request(intent)}
        return detail | {"held_before": self._held(intent)}

    def request(self, intent: Intent) -> Any:
        """The payload as it may be shown; None once it was erased."""
        body = self.bodies.get(intent.payload_id)
        if body is None:
            return None
        return json.loads(body) if self.stores.unmask else masked(json.loads(body), self._personal(intent))

    def _held(self, intent: Intent) -> dict[str, Any]:
        """Place → what the target held there before the call; as it was sent last, where the target's own was not known."""
        image = json.loads(self.images.get(intent.id) or "{}")
        places = () if self.stores.unmask else self._personal(intent)
        edits = image.get("edits", ())
        values = {edit["place"]: edit["old"] if edit["known"] else edit["sent"] for edit in edits}
        return {place: masked(value, places, place) for place, value in values.items() if value is not None}

    def _personal(self, intent: Intent) -> Collection[str] | None:
        """The personal places of the payload; None where no push of that kind is known any more."""
        push = self.push(intent)
        return None if push is None else [place for place, one in push.held.places.items() if one.personal]

    def push(self, intent: Intent) -> Any:
        """The compiled push behind a call (`mappings.outbound.Outbound`), as the mappings are now; None where there is none."""
        if intent.target not in self._pushes:
            try:
                self._pushes[intent.target] = self._compiled(intent.target)
            except CrossdockError:  # a mapping that is not right now says nothing of what was sent then
                self._pushes[intent.target] = []
        wanted = (intent.operation, intent.stream, intent.entity)
        mine = (one for one in self._pushes[intent.target] if (one.operation, one.stream, one.entity) == wanted)
        return next((one for one in mine if one.held is not None), None)

    def _compiled(self, target: str) -> list[Any]:
        from flow.plan import compiled_pushes

        return compiled_pushes(self.stores.mappings(target).of(target), self.stores.model)

    def of_column(self, entity: Entity, column: str) -> Iterator[dict[str, Any]]:
        """Each call that carried a column of the entity, or of its child: where in the payload, as which value, and the answer.

        A child's rows are a list of the payload, and the value a list: one for each row that was sent.
        """
        answers: dict[int, list[AppliedOutcome]] = {}
        for outcome in self.outcomes:
            answers.setdefault(outcome.intent_id, []).append(outcome)
        for intent in self.intents.values():
            push, request = self.push(intent), self.request(intent)
            places = [place for place, one in push.held.places.items() if column in one.columns] if push else []
            lists = [place for place, one in push.held.places.items() if one.name == entity.name] if push else []
            within = tuple(f"{place}[]." for place in lists)
            places = [place for place in places if (place.startswith(within) if entity.parent else "[]" not in place)]
            for place in places:
                value = found(request, place)
                if value is None:
                    continue
                yield {
                    "target": intent.target,
                    "call": f"{intent.operation} {intent.stream} {intent.business_key}",
                    "at": intent.created_at.isoformat(),
                    "place": place,
                    "value": value,
                    "answers": [_answer(one) for one in answers.get(intent.id, ())],
                }


def _answer(one: AppliedOutcome) -> dict[str, Any]:
    return {
        "status": one.status,
        "external_id": one.external_id,
        "message": one.message,
        "request_id": one.request_id,
        "seconds": one.duration,
        "at": one.at.isoformat(),
    }


def found(payload: Any, place: str) -> Any:
    """The value at a dotted place of a payload, the values of a list within `items[]`; None where there is none."""
    if not place:
        return payload
    head, _, rest = place.partition(".")
    name = head.removesuffix("[]")
    inner = payload.get(name) if isinstance(payload, dict) else None
    if head.endswith("[]"):
        return [found(item, rest) for item in inner] if isinstance(inner, list) else None
    return None if inner is None else found(inner, rest)
