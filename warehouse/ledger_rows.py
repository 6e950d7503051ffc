"""What the ledger holds, as values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hub.connector import Outcome

JournalState = Literal["written", "committed", "abandoned"]


@dataclass(frozen=True, slots=True)
class AppliedOutcome:
    """One outcome as the warehouse folds it: `applied` creates and upserts with an `external_id` make a binding.

    `seq` rises with the commits, so that "after seq" never misses one. `key` is the business key, `fingerprint` the
    SHA-256 of the payload as it was sent, `duration` seconds. `fields` are the places of the payload that the call was about,
    as a JSON list; None where that was not kept.
    """

    seq: int
    intent_id: int
    target: str
    stream: str
    entity: str
    hub_id: int
    operation: str
    key: str
    status: str
    external_id: str | None
    message: str
    request_id: str
    fingerprint: str
    plan_id: str
    run_id: str | None
    at: datetime
    duration: float
    fields: str | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One merge: which segments (paths relative to the lake, in order) it took, after which outcomes were folded."""

    seq: int
    run_id: str
    system: str
    started_at: datetime
    segments: tuple[str, ...]
    outcome_seq: int
    state: JournalState


@dataclass(frozen=True, slots=True)
class Sending:
    """A call about to be made: `payload` canonical JSON with every id resolved, `fingerprint` its SHA-256.

    `external_id` is the target's id where it is known, `image` what the target held before (canonical JSON), `fields` the
    places of the payload that the call is about.
    """

    stream: str
    entity: str
    hub_id: int
    operation: str
    key: str
    payload: str
    fingerprint: str
    external_id: str | None = None
    image: str | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """One call as it stands in the ledger. `state` done: concluded; open: it may or may not have happened; held: so too,
    and only a person can find out.
    """

    id: int
    target: str
    stream: str
    entity: str
    hub_id: int
    operation: str
    business_key: str
    idempotency_key: str
    payload_id: int
    payload_hash: str
    plan_id: str
    run_id: str | None
    state: str
    created_at: datetime
    attempted_at: datetime
    attempts: int
    status: str | None
    outcome_seq: int | None
    external_id: str | None
    message: str
    transient: bool
    found: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """The right to push to one target. `token` rises with each taking: who has an older one is refused."""

    name: str
    token: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """An outcome to be written for an intent. `found`: the record was found by its key, the call got no answer.

    `close` ends an intent that would stay open, because repeating its call is harmless. `hold` leaves it to a person.
    """

    intent_id: int
    outcome: Outcome
    duration: float = 0.0
    found: bool = False
    close: bool = False
    hold: bool = False


def idempotency_key(target: str, sending: Sending, basis: int) -> str:
    """The same for every attempt of one call, also after a restart; another once a call for the record was applied.

    `basis` is the sequence of the record's newest applied outcome. Without it a value that goes from A to B and back to
    A would carry A's first key, and a target that honours keys would answer without doing anything.
    """
    parts = [target, sending.stream, sending.entity, sending.hub_id, sending.operation, sending.fingerprint, basis]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Dismissal:
    """One case, by what tells it from others, with who dismissed it, when and why.

    `segment` and `line` are said only of a record whose id nobody knows.
    """

    system: str
    entity: str | None
    source_id: str | None
    segment: str | None
    line: int | None
    code: str
    rule: str | None
    field: str | None
    content: str | None
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Pause:
    """A connection that nobody uses: since when, why, and when it was tried last. `credentials`: a digest of the refused ones."""

    system: str
    credentials: str
    what: str
    since: datetime
    tried_at: datetime
