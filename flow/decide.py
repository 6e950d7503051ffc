"""What may follow what: from a record's candidates and its past in the ledger to the calls that are due. Nothing is read here.

create   only while nothing is bound and no create was applied or is open; never for a record from before go-live
change   only of what is bound, if the payload is not what was sent last and the target does not show it already
fulfil   like change; upsert like change, bound or not
cancel   once, of what is bound, and so archive; nothing else is done with a record that is to be cancelled or archived
any      not while an earlier call for the record or its key has no answer; a refusal stands until the payload changes
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from hub.canonical import fingerprint
from hub.connector import ENDS, Operation
from warehouse.ledger_rows import Intent

MAKES: frozenset[str] = frozenset(("create", "upsert"))
ORDER: Mapping[str, int] = {"create": 0, "upsert": 1, "change": 2, "fulfil": 3, "cancel": 4, "archive": 5}
UNREAD = "it was made in the target and has not been read back since"
OUTDATED = "the target was last read before it was told otherwise"
REOPENED = "it was cancelled or archived in the target and is wanted again"
Verdict = Literal["call", "unchanged", "unbound", "before_go_live", "waiting", "held", "refused"]
Record = tuple[str, str, int]  # stream, entity, hub_id


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of an outbound mapping: a call that could be made, as the mapping's SQL describes it (see `mappings/outbound.py`)."""

    operation: Operation
    stream: str
    entity: str
    hub_id: int
    key: str | None
    external_id: str | None
    since: datetime | None
    hold: str | None
    waits_for: str | None
    same: bool | None
    payload: dict[str, Any]
    seen_at: datetime | None = None
    named: frozenset[str] = frozenset()
    match: str = "bound"

    @property
    def record(self) -> Record:
        return (self.stream, self.entity, self.hub_id)

    @property
    def needs(self) -> frozenset[str]:
        """The records ('customer/12') that the target has to know first."""
        wanted = set(references(self.payload))
        if self.waits_for:
            wanted.add(self.waits_for)
        return frozenset(wanted)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a candidate. `reason` says what it waits for, why a person has to look, or how it was refused.

    `after` are records whose call in the same plan has to be applied first.
    """

    verdict: Verdict
    candidate: Candidate
    reason: str = ""
    after: frozenset[str] = frozenset()


def references(value: Any) -> Iterable[str]:
    """Every `{"$id_of": "customer/12"}` inside a payload."""
    if isinstance(value, dict):
        if isinstance(said := value.get("$id_of"), str):
            yield said
        else:
            for inner in value.values():
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


class History:
    """What the ledger says of a target's records, indexed for deciding."""

    def __init__(self, intents: Iterable[Intent]) -> None:
        self._newest: dict[tuple[Record, str], Intent] = {}
        self._applied: dict[tuple[Record, str], Intent] = {}
        self._touched: dict[Record, datetime] = {}
        self._open: dict[Record, Intent] = {}
        self._open_keys: dict[tuple[str, str], Intent] = {}
        self._makers: dict[tuple[str, str], int] = {}
        for intent in intents:
            self._add(intent)

    def _add(self, intent: Intent) -> None:
        record = (intent.stream, intent.entity, intent.hub_id)
        if intent.state != "done":
            self._open.setdefault(record, intent)
            self._open_keys.setdefault((intent.stream, intent.business_key), intent)
        if intent.operation in MAKES and (intent.state != "done" or intent.status not in ("rejected", "unsupported")):
            self._makers.setdefault((intent.stream, intent.business_key), intent.hub_id)
        if intent.outcome_seq is None:
            return
        _keep_newer(self._newest, (record, intent.operation), intent)
        if intent.status in ("applied", "pending", "unknown"):
            self._touched[record] = max(intent.attempted_at, self._touched.get(record, intent.attempted_at))
        if intent.status in ("applied", "pending"):
            _keep_newer(self._applied, (record, intent.operation), intent)

    def open(self, candidate: Candidate) -> Intent | None:
        """The call for this record, or for another with its key, of which nobody knows whether it happened."""
        return self._open.get(candidate.record) or self._open_keys.get((candidate.stream, candidate.key or ""))

    def same(self, candidate: Candidate) -> bool | None:
        """Whether the target has it already. A view from before our last call says nothing any more."""
        return None if self.outdated(candidate.record, candidate.seen_at) else candidate.same

    def outdated(self, record: Record, read_at: datetime | None) -> bool:
        """Whether the target was not read since we called it about the record."""
        touched = self._touched.get(record)
        return bool(touched and read_at and read_at < touched)

    def told(self, candidate: Candidate) -> list[Intent]:
        """The calls that said what the record holds in the target, oldest first: the newest applied one of each operation.

        Empty where it is not known for sure what the last one did.
        """
        mine = [op for op in ("create", "upsert", "change", "fulfil") if (candidate.record, op) in self._newest]
        newest = [self._newest[candidate.record, op] for op in mine]
        applied = [self._applied[candidate.record, op] for op in mine if (candidate.record, op) in self._applied]
        if any(one.status == "unknown" for one in newest) or any(one.found for one in applied):
            return []
        return sorted(applied, key=_seq)

    def unread(self, candidate: Candidate) -> bool:
        """Whether the target was not read since we made the record there: what the create said may still be true."""
        created = self._applied.get((candidate.record, "create"))
        return created is not None and candidate.seen_at is None

    def made(self, record: Record) -> bool:
        return any((record, operation) in self._applied for operation in MAKES)

    def ended(self, record: Record) -> bool:
        """Whether it was cancelled or archived there."""
        return any((record, operation) in self._applied for operation in ENDS)

    def maker_of(self, stream: str, key: str) -> int | None:
        """The hub_id for which a record with this key was, or is being, made."""
        return self._makers.get((stream, key))

    def sent(self, candidate: Candidate) -> str | None:
        """Fingerprint of what the target was last told by this operation; None where that is not known for sure."""
        spot = (candidate.record, candidate.operation)
        newest, applied = self._newest.get(spot), self._applied.get(spot)
        if newest and newest.status == "unknown":
            return None
        if applied is None or (applied.found and applied.operation == "upsert"):
            return None  # a record that was only found may hold other values than those that were sent
        return applied.payload_hash

    def refusal(self, candidate: Candidate) -> Intent | None:
        """The call that the target refused, if nothing in it would be different now."""
        newest = self._newest.get((candidate.record, candidate.operation))
        if newest is None or newest.transient or newest.status not in ("rejected", "unsupported"):
            return None
        return newest if newest.payload_hash == fingerprint(candidate.payload) else None


def decide(
    candidates: Sequence[Candidate],
    history: History,
    go_live: datetime | None,
    available: Collection[str],
    lacking: Mapping[str, bool] | None = None,
    retry: Collection[str] = (),
) -> list[Decision]:
    """The decisions for one record: `candidates` are those of one stream, entity and hub_id, an operation at most once each.

    `available` are records ('customer/12') that earlier calls of the same plan will make; `lacking` those that the target
    may have but was never told our id of, and whether a call of the same plan tells it. `retry` are keys whose refusals
    are forgotten.
    """
    return [
        _known_by_our_id(decision, lacking or {})
        for decision in _decide(candidates, history, go_live, available, retry)
    ]


def _known_by_our_id(decision: Decision, lacking: Mapping[str, bool]) -> Decision:
    """A call that names a record by the hub's id is made after the call that tells the target that id, or waits for it."""
    named = decision.candidate.named & lacking.keys()
    if decision.verdict != "call" or not named:
        return decision
    if waits := sorted(name for name in named if not lacking[name]):
        return Decision("waiting", decision.candidate, ", ".join(waits))
    return replace(decision, after=frozenset(named))


def _decide(
    candidates: Sequence[Candidate],
    history: History,
    go_live: datetime | None,
    available: Collection[str],
    retry: Collection[str],
) -> list[Decision]:
    by_operation: dict[str, Candidate] = {candidate.operation: candidate for candidate in candidates}
    first = candidates[0]
    if blocked := history.open(first):
        return [_blocked(first, blocked)]
    made = history.made(first.record)
    if go_live and not made:
        old = {op: one for op, one in by_operation.items() if one.since and one.since < go_live}
        if len(old) == len(by_operation):
            return [Decision("before_go_live", first)]
        by_operation = {op: one for op, one in by_operation.items() if op not in old}
    is_bound = any(candidate.external_id for candidate in candidates)
    if ending := next((by_operation[operation] for operation in ENDS if operation in by_operation), None):
        return [_end(ending, is_bound, history, retry)]
    if history.ended(first.record):
        return [Decision("held", first, REOPENED)]
    if not is_bound and not made:
        return [_make(by_operation, history, available, retry)]
    rest = [candidate for operation, candidate in by_operation.items() if operation != "create"]
    return [_renew(candidate, is_bound, history, available, retry) for candidate in rest] or [
        Decision("unchanged", first)
    ]


def _end(ending: Candidate, is_bound: bool, history: History, retry: Collection[str]) -> Decision:
    if not is_bound:
        return Decision("unbound", ending)
    if history.same(ending) is True or history.ended(ending.record):
        return Decision("unchanged", ending)
    return _due(ending, history, (), retry)


def _make(
    by_operation: Mapping[str, Candidate],
    history: History,
    available: Collection[str],
    retry: Collection[str],
) -> Decision:
    making = by_operation.get("create") or by_operation.get("upsert")
    if making is None:
        return Decision("unbound", next(iter(by_operation.values())))
    if not making.key:
        return Decision("held", making, "it has no business key, so that an unanswered call could not be looked up")
    other = history.maker_of(making.stream, making.key)
    if other is not None and other != making.hub_id:
        return Decision("held", making, f"{making.entity}/{other} was sent with the same key")
    return _due(making, history, available, retry)


def _renew(
    candidate: Candidate, is_bound: bool, history: History, available: Collection[str], retry: Collection[str]
) -> Decision:
    sent = history.sent(candidate)
    if history.same(candidate) is True or sent == fingerprint(candidate.payload):
        return Decision("unchanged", candidate)
    if candidate.same is True and not candidate.payload:  # by a view from before our last call: nothing was computed
        return Decision("waiting", candidate, OUTDATED)
    if candidate.operation == "change" and sent is None and history.unread(candidate):
        return Decision("waiting", candidate, UNREAD)
    if not is_bound and candidate.operation != "upsert":
        return Decision("waiting", candidate, "the target has not said by which id it knows the record")
    return _due(candidate, history, available, retry)


def _due(
    candidate: Candidate,
    history: History,
    available: Collection[str],
    retry: Collection[str],
) -> Decision:
    """A call that has to be made, unless something keeps it."""
    if candidate.hold:
        return Decision("held", candidate, candidate.hold)
    if (refused := history.refusal(candidate)) and candidate.key not in retry:
        return Decision("refused", candidate, refused.message or refused.status or "")
    if missing := sorted(need for need in candidate.needs if need not in available):
        return Decision("waiting", candidate, ", ".join(missing))
    return Decision("call", candidate)


def _blocked(candidate: Candidate, intent: Intent) -> Decision:
    if intent.state == "held":
        return Decision("held", candidate, f"{intent.message} (call {intent.id}: crossdock settle {intent.id})")
    said = "is not finished in the target" if intent.status == "pending" else "has no answer yet"
    return Decision(
        "waiting", candidate, f"the {intent.operation} of {intent.attempted_at:%Y-%m-%d %H:%M:%S} UTC {said}"
    )


def _keep_newer(index: dict[tuple[Record, str], Intent], spot: tuple[Record, str], intent: Intent) -> None:
    if spot not in index or _seq(index[spot]) < _seq(intent):
        index[spot] = intent


def _seq(intent: Intent) -> int:
    return intent.outcome_seq or 0
