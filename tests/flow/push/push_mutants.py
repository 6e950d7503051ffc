"""Planted mistakes, each by name: the kill tests have to catch every one of them."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from typing import Any

from flow import send, settle


def intent_after_call() -> None:
    """The call is made first and written down afterwards."""

    def late(self: Any, stream: Any, batch: Any) -> list[send.Sent]:
        changes = [send.Change(r.call.operation, r.call.key, r.payload, "", id=r.call.external_id) for r in batch]
        outcomes = self.connector.push(stream.name, changes)
        send.failpoint("push.intent_written")
        send.failpoint("push.after_call")
        intents = self.ledger.intend(
            self.lock, self.target, [send.sending(r) for r in batch], self.plan_id, self.run_id
        )
        self.ledger.conclude(self.lock, [send.Result(i.id, o) for i, o in zip(intents, outcomes, strict=True)])
        send.failpoint("push.outcome_written")
        return [send.Sent(r.call, o.status, o.id, o.message) for r, o in zip(batch, outcomes, strict=True)]

    send.Sender.send = late  # type: ignore[method-assign]


def blind_retry() -> None:
    """An unanswered call is taken for one that did not happen."""

    def blind(connector: Any, stream: Any, intent: Any) -> settle.Known:
        return settle.Known("absent")

    settle.look_up = send.look_up = blind  # type: ignore[attr-defined]


def key_per_attempt() -> None:
    """Every attempt has an idempotency key of its own."""
    number = count()
    usual = send._change

    def anew(intent: Any, payload: Any) -> Any:
        return replace(usual(intent, payload), idempotency_key=f"{os.getpid()}-{next(number)}")

    send._change = anew
