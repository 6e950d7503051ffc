"""Calls that got no answer: what is known of them, found out before anything is sent again.

applied    the target holds one record with our key: it happened
absent     it holds none: it did not happen, and may be sent again
repeat     repeating is harmless: the call sets a state of a record whose id we know
same_key   only sending the same once more, with the same key, can tell
person     nothing can tell, or several records carry the key
later      the target could not be asked now
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from hub.config import Project
from hub.connector import ENDS, Connector, Outcome, Stream
from hub.errors import AuthenticationError, CrossdockError, UsageError
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Intent, Lock, Result

NEVER_ARRIVED = "it never arrived"
THERE = "the target has it already, found by its key; nothing was sent"
NO_ANSWER = "no answer came; sending it again is harmless"


@dataclass(frozen=True, slots=True)
class Known:
    kind: Literal["applied", "absent", "repeat", "same_key", "person", "later"]
    id: str | None = None
    reason: str = ""


def look_up(connector: Connector, stream: Stream, intent: Intent) -> Known:
    """What is known of an unanswered call. Raises AuthenticationError only."""
    if _repeatable(stream, intent):
        return Known("repeat")
    where = f"{connector.connection.system}.{stream.name}"
    if stream.idempotency == "none" or intent.operation == "fulfil":
        return Known("person", reason=f"no answer came, and {where} offers no way to find out whether it happened")
    return ask(connector, stream, intent)


def ask(connector: Connector, stream: Stream, intent: Intent) -> Known:
    """Whether the target holds a record with our key. Raises AuthenticationError only."""
    where = f"{connector.connection.system}.{stream.name}"
    try:
        found = connector.find(stream.name, intent.business_key)
    except NotImplementedError:
        if stream.idempotency == "key":
            return Known("same_key")
        return Known("person", reason=f"the connector cannot look for a key in {where}")
    except AuthenticationError:
        raise
    except CrossdockError as error:
        return Known("later", reason=error.what)
    except Exception as error:  # a connector's own mistake: what it knows is not known
        return Known(
            "later", reason=f"the connector raised {type(error).__name__} while it looked for a key in {where}"
        )
    if not isinstance(found, Sequence) or not all(isinstance(one, Outcome) for one in found):
        return Known("later", reason=f"the connector's find gave no list of outcomes for a key in {where}")
    ids = sorted({outcome.id for outcome in found if outcome.id})
    if len(ids) == 1:
        return Known("applied", ids[0])
    if not found:
        return Known("absent")
    return Known(
        "person", reason=f"{len(found)} records in {where} carry the key {intent.business_key}: {', '.join(ids)}"
    )


def _repeatable(stream: Stream, intent: Intent) -> bool:
    if intent.operation in ("change", *ENDS):
        return True
    if intent.operation == "fulfil":
        return stream.idempotency != "none"
    return intent.operation == "upsert" and (bool(intent.external_id) or stream.idempotency in ("key", "external_id"))


@dataclass(slots=True)
class Settled:
    """What became of the calls that an earlier push had left open, by how it was found out."""

    applied: int = 0
    absent: int = 0
    repeat: int = 0
    person: int = 0
    later: int = 0
    resend: list[Intent] | None = None

    def as_counts(self) -> dict[str, int]:
        named = {"applied": self.applied, "absent": self.absent, "repeat": self.repeat, "person": self.person}
        return {name: n for name, n in (named | {"later": self.later}).items() if n}


def settle(
    connector: Connector,
    ledger: Ledger,
    lock: Lock,
    target: str,
    patience: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Settled:
    """Resolve the target's open calls, oldest first. Only asks; `resend` are those that only sending again can tell.

    A call is left alone for `patience` seconds after it was made: the target may still be working on it.
    """
    settled = Settled(resend=[])
    for intent in ledger.open_intents(target):
        stream = next((one for one in connector.streams if one.name == intent.stream), None)
        if stream is None:
            settled.later += 1
            continue
        sleep_until(intent.attempted_at, patience, sleep)
        known = look_up(connector, stream, intent)
        result = _result(intent, known)
        if result:
            ledger.conclude(lock, [result])
        if known.kind == "same_key" and settled.resend is not None:
            settled.resend.append(intent)
        else:
            setattr(settled, known.kind, getattr(settled, known.kind) + 1)
    return settled


def _result(intent: Intent, known: Known) -> Result | None:
    """What is to be written, if anything is new."""
    if known.kind == "applied":
        return Result(intent.id, Outcome("applied", id=known.id, message="found by its key"), found=True)
    if known.kind == "absent" and intent.status != "pending":
        return Result(intent.id, Outcome("rejected", message=NEVER_ARRIVED, transient=True))
    if known.kind == "repeat":
        return Result(intent.id, Outcome("unknown", message=NO_ANSWER), close=True)
    if known.kind == "person" and intent.state != "held":
        return Result(intent.id, Outcome("unknown", message=known.reason), hold=True)
    return None


def sleep_until(since: datetime, patience: float, sleep: Callable[[float], None]) -> None:
    left = patience - (datetime.now(UTC) - since).total_seconds()
    if left > 0:
        sleep(left)


def say(project: Project, intent_id: int, *, happened: bool, external_id: str | None, by: str) -> None:
    """A person says what became of a call that nothing else could find out. `external_id` is the id that the target gave
    the record, where it happened. Raises UsageError P208.
    """
    with Ledger(project.ledger) as ledger:
        target = next((name for name in project.systems if _open(ledger, name, intent_id)), None)
        if target is None:
            raise _no_open_call(intent_id)
        with ledger.lock(lock_name(target)) as lock:
            if not _open(ledger, target, intent_id):
                raise _no_open_call(intent_id)
            outcome = (
                Outcome("applied", external_id, f"said by {by}")
                if happened
                else Outcome("rejected", message=f"{NEVER_ARRIVED}, said by {by}", transient=True)
            )
            ledger.conclude(lock, [Result(intent_id, outcome, found=True)])


def _open(ledger: Ledger, target: str, intent_id: int) -> bool:
    return any(intent.id == intent_id for intent in ledger.open_intents(target))


def _no_open_call(intent_id: int) -> UsageError:
    return UsageError("P208", f"there is no open call {intent_id}", fix="crossdock plan TARGET shows what is held")


def lock_name(target: str) -> str:
    return f"push:{target}"
