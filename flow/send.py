"""Send calls, effectively once: intent before call, outcome after it, and nothing repeated of which it is not known what became.

intent → call → outcome          the way it goes
intent → call → silence          look the key up: found → applied; absent → the same call again, with the same key
intent → death                   the next push settles what is open before it sends anything (flow/settle.py)
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from flow.plan_file import Call
from flow.settle import NEVER_ARRIVED, NO_ANSWER, THERE, Known, ask, look_up, sleep_until
from flow.three_way import units
from hub import canonical
from hub.boundary import raised_at, where
from hub.connector import Change, Connector, Outcome, Status, Stream
from hub.errors import ConfigurationError, CrossdockError, StreamError, TransientError
from hub.failpoints import failpoint
from hub.secrets import redact
from warehouse.ledger import Ledger
from warehouse.ledger_locks import taken_over
from warehouse.ledger_rows import Intent, Lock, Result, Sending

# What may be repeated in a message: numbers, and codes in capitals that are no tax numbers (DE123456789).
_CODE = re.compile(r"(?![A-Z]{2}[0-9A-Z]*\d{6})[0-9A-Z._/-]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """`attempts` of one call in a run; `backoff` and `longest` seconds between them, doubled each time with jitter.

    `patience` seconds pass before an unanswered call is looked up. After `breaker` batches in a row without any answer
    the target is left alone. `lock_seconds` must be longer than the longest call.
    """

    attempts: int = 4
    backoff: float = 0.5
    longest: float = 30.0
    patience: float = 1.0
    breaker: int = 3
    lock_seconds: float = 600.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Ready:
    """A call whose ids are all known: `payload` is what will be sent, `fingerprint` its digest."""

    call: Call
    payload: dict[str, Any]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a call, for the report. The message holds nothing of the payload that could be personal."""

    call: Call
    status: str
    external_id: str | None = None
    message: str = ""


@dataclass(slots=True)
class _Open:
    """An intent on its way, with what was heard last."""

    intent: Intent
    change: Change
    outcome: Outcome = Outcome("unknown")
    duration: float = 0.0


class Sender:
    """Sends batches to one target under its lock. `silent` counts batches in a row that got no answer at all; `locked_out` is
    what the target said when it refused our credentials.
    """

    def __init__(
        self,
        connector: Connector,
        ledger: Ledger,
        lock: Lock,
        target: str,
        plan_id: str,
        run_id: str | None,
        settings: Settings,
    ) -> None:
        self.connector, self.ledger, self.lock, self.target = connector, ledger, lock, target
        self.plan_id, self.run_id, self.settings = plan_id, run_id, settings
        self.silent = 0
        self.locked_out = ""
        self.until = (0.0, 0.0)  # when the lock may be somebody else's

    def send(self, stream: Stream, batch: Sequence[Ready]) -> list[Sent]:
        """Make the calls of a batch; all of one operation. Raises what stops the target: its intents then stay open."""
        sendings = [sending(ready) for ready in batch]
        self._renewed()
        intents = self.ledger.intend(self.lock, self.target, sendings, self.plan_id, self.run_id)
        failpoint("push.intent_written")
        waiting = {
            intent.id: _Open(intent, _change(intent, ready.payload))
            for intent, ready in zip(intents, batch, strict=True)
        }
        final = self._there_already(stream, batch, waiting)
        final |= self._until_known(stream, waiting) if waiting else {}
        self.locked_out = next((o.outcome.message for o in final.values() if o.outcome.locked_out), "")
        self.silent = self.silent + 1 if all(_is_silent(one.outcome) for one in final.values()) else 0
        return [_sent(ready.call, final[intent.id].outcome) for intent, ready in zip(intents, batch, strict=True)]

    def _there_already(self, stream: Stream, batch: Sequence[Ready], waiting: dict[int, _Open]) -> dict[int, _Open]:
        """Of the calls that are to ask first, those that are settled by it; they leave `waiting`."""
        settled: dict[int, _Open] = {}
        for (id, one), ready in zip(list(waiting.items()), batch, strict=True):
            known = ask(self.connector, stream, one.intent) if ready.call.match == "find" else None
            if known is None or known.kind == "absent":
                continue
            outcome = (
                Outcome("applied", known.id, THERE)
                if known.kind == "applied"
                else Outcome("unknown", message=known.reason)
            )
            if known.kind == "later":  # nothing was sent: it may be planned again
                outcome = Outcome("rejected", message=known.reason, transient=True)
            result = Result(id, outcome, found=known.kind == "applied", hold=known.kind == "person")
            self.ledger.conclude(self.lock, [result])
            settled[id] = replace(waiting.pop(id), outcome=outcome)
        return settled

    def resend(self, stream: Stream, intent: Intent) -> Outcome:
        """The same call once more, with the same key and payload: for a target where only that tells what became of it."""
        body = self.ledger.payload(intent.payload_id)
        if body is None:
            outcome = Outcome("unknown", message="no answer came, and what was sent has been erased")
            self.ledger.conclude(self.lock, [Result(intent.id, outcome, hold=True)])
            return outcome
        self._renewed()
        self.ledger.again(self.lock, [intent.id])
        failpoint("push.intent_written")
        final = self._until_known(stream, {intent.id: _Open(intent, _change(intent, canonical.loads(body)))})
        return final[intent.id].outcome

    def _until_known(self, stream: Stream, waiting: dict[int, _Open]) -> dict[int, _Open]:
        """Call, and call again what may be called again, until every outcome is written or the attempts are used up."""
        done: dict[int, _Open] = {}
        for attempt in range(1, self.settings.attempts + 1):
            retry_after = self._call(stream, list(waiting.values()))
            failpoint("push.after_call")
            last = attempt == self.settings.attempts
            results = [result for one in waiting.values() if (result := self._judge(stream, one, last))]
            self.ledger.conclude(self.lock, results)
            failpoint("push.outcome_written")
            for result in results:
                one = waiting.pop(result.intent_id)
                done[result.intent_id] = replace(one, outcome=result.outcome)
            if not waiting:
                break
            self._pause(attempt, retry_after)
            self._renewed()
            self.ledger.again(self.lock, list(waiting))
        return done

    def _renewed(self) -> None:
        """The ledger is about to renew the lock, or to refuse: reckoned from before, so that ours ends no later than its."""
        self.until = _clocks(self.lock.seconds)

    def _call(self, stream: Stream, calls: Sequence[_Open]) -> float | None:
        """Make one call for all of them; silence is an unknown outcome. Seconds the target asked to be left alone, or None.

        Raises StreamError P302 where the process slept so long over its intents that another may have settled them.
        """
        if any(now >= until for now, until in zip(_clocks(), self.until, strict=True)):
            raise taken_over(self.lock)
        started = time.monotonic()
        retry_after = None
        try:
            outcomes = self.connector.push(stream.name, [one.change for one in calls])
        except ConfigurationError:
            raise
        except (TransientError, StreamError) as error:
            outcomes = [Outcome("unknown", message=error.what, request_id=error.request_id)] * len(calls)
            retry_after = error.retry_after
        except CrossdockError:
            raise
        except Exception as error:
            at = raised_at(error, self.connector.name)
            raise self._broken(stream, f"raised {type(error).__name__} at {at}", where(error)) from error
        if said := _no_outcomes(outcomes, len(calls)):
            raise self._broken(stream, said, "")
        duration = time.monotonic() - started
        for one, outcome in zip(calls, outcomes, strict=True):
            one.outcome, one.duration = _clean(outcome, one), duration
        return retry_after

    def _broken(self, stream: Stream, what: str, detail: str) -> StreamError:
        return StreamError(
            "P204",
            f"the connector {self.connector.name} {what} while it pushed {stream.name}",
            place=f"{self.target}.{stream.name}",
            fix="the calls stay open and are looked up by the next push; the connector has to be corrected",
            detail=detail,
        )

    def _judge(self, stream: Stream, one: _Open, last: bool) -> Result | None:
        """The result to be written, or None where the call is made again."""
        outcome = one.outcome
        if outcome.status == "rejected" and outcome.transient and not last and not outcome.locked_out:
            return None
        if outcome.status != "unknown":
            close = outcome.status == "pending" and one.intent.operation not in ("create", "upsert")
            return Result(one.intent.id, outcome, one.duration, close=close)
        known = self._look_up(stream, one.intent)
        if known.kind == "applied":
            found = replace(outcome, status="applied", id=known.id, message="found by its key")
            return Result(one.intent.id, found, one.duration, found=True)
        if known.kind == "person":
            return Result(one.intent.id, replace(outcome, message=known.reason), one.duration, hold=True)
        if known.kind == "later":
            return Result(one.intent.id, replace(outcome, message=known.reason), one.duration)
        if not last:
            return None
        if known.kind == "absent":
            absent = replace(
                outcome, status="rejected", transient=True, message=_joined(NEVER_ARRIVED, outcome.message)
            )
            return Result(one.intent.id, absent, one.duration)
        if known.kind == "repeat":
            harmless = replace(outcome, message=_joined(NO_ANSWER, outcome.message))
            return Result(one.intent.id, harmless, one.duration, close=True)
        return Result(one.intent.id, outcome, one.duration)

    def _look_up(self, stream: Stream, intent: Intent) -> Known:
        """What is known of an unanswered call; asked again for a while where the target cannot be asked either."""
        sleep_until(intent.attempted_at, self.settings.patience, self.settings.sleep)
        known = look_up(self.connector, stream, intent)
        for attempt in range(1, self.settings.attempts):
            if known.kind != "later":
                break
            self._pause(attempt, None)
            known = look_up(self.connector, stream, intent)
        return known

    def _pause(self, attempt: int, retry_after: float | None) -> None:
        delay = min(self.settings.longest, self.settings.backoff * 2 ** (attempt - 1))
        wanted = max(delay * random.uniform(0.5, 1.0), min(retry_after or 0.0, self.settings.longest))
        self.settings.sleep(wanted)


def _clocks(seconds: float = 0.0) -> tuple[float, float]:
    """In so many seconds: by the wall clock, which may be put back, and by one that stands still while the machine sleeps."""
    return time.time() + seconds, time.monotonic() + seconds


def sending(ready: Ready) -> Sending:
    call = ready.call
    return Sending(
        stream=call.stream,
        entity=call.entity,
        hub_id=call.hub_id,
        operation=call.operation,
        key=call.key,
        payload=canonical.dumps(ready.payload),
        fingerprint=ready.fingerprint,
        external_id=call.external_id,
        image=_image(call),
        fields=tuple(edit.place for edit in call.edits) or tuple(place for place, _ in units(ready.payload)),
    )


def _image(call: Call) -> str | None:
    """What the target held of it, as the plan showed it, and what of ours was not sent; a creation has nothing before it."""
    if call.operation == "create":
        return None
    return canonical.dumps({"was": call.external_id, "edits": [asdict(edit) for edit in call.edits], "kept": call.kept})


def _change(intent: Intent, payload: dict[str, Any]) -> Change:
    operation: Any = intent.operation
    return Change(operation, intent.business_key, payload, intent.idempotency_key, id=intent.external_id)


def _no_outcomes(given: Any, wanted: int) -> str:
    """What a push gave that is not one outcome a change; empty where it is. What is not known to have happened is never "done"."""
    if not isinstance(given, Sequence):
        return f"gave {type(given).__name__} and no list of outcomes"
    if len(given) != wanted:
        return f"gave {len(given)} outcomes for {wanted} changes"
    for one in given:
        if not isinstance(one, Outcome):
            return f"gave {type(one).__name__} and no Outcome"
        if one.status not in get_args(Status):
            return f"gave an outcome '{one.status}', which is none of {', '.join(get_args(Status))}"
    return ""


def _clean(outcome: Outcome, one: _Open) -> Outcome:
    """Without secrets or personal values in the message; a creation without an id is not known to have happened."""
    message = mask(redact(outcome.message), one.change.payload)
    if (
        outcome.status == "applied"
        and one.intent.operation in ("create", "upsert")
        and not (outcome.id or one.change.id)
    ):
        return replace(outcome, status="unknown", message=_joined("the target gave no id", message))
    return replace(outcome, message=message)


def mask(message: str, payload: Any) -> str:
    """`message` without the payload's names, addresses, e-mails and telephone numbers; codes and numbers stay readable."""
    for text in sorted(set(_texts(payload)), key=len, reverse=True):
        message = message.replace(text, "***")
    return re.sub(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "***", message)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) and len(value) >= 3 and not _CODE.fullmatch(value) else []


def _is_silent(outcome: Outcome) -> bool:
    return outcome.status == "unknown" or (outcome.status == "rejected" and outcome.transient)


def _sent(call: Call, outcome: Outcome) -> Sent:
    return Sent(call, outcome.status, outcome.id or call.external_id, outcome.message)


def _joined(first: str, second: str) -> str:
    return f"{first} ({second})" if second else first
