"""Planted mistakes, each by name: the kills, the faulty pushes and the tests of the ledger have to catch them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from flow import send, settle


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The mistake for as long as the block runs; none for an empty name."""
    usual = send.Sender.send, send.Sender._call, send.look_up, settle.look_up
    try:
        if name:
            globals()[name]()
        yield
    finally:
        send.Sender.send, send.Sender._call, send.look_up, settle.look_up = usual  # type: ignore[method-assign]


def mark_before_send() -> None:
    """A call is written down as done before it is made."""
    usual = send.Sender.send

    def early(self: Any, stream: Any, batch: Any) -> list[send.Sent]:
        made = [send.sending(ready) for ready in batch]
        intents = self.ledger.intend(self.lock, self.target, made, self.plan_id, self.run_id)
        self.ledger.conclude(self.lock, [send.Result(i.id, send.Outcome("applied", "early")) for i in intents])
        send.failpoint("push.intent_written")
        changes = [send._change(i, r.payload) for i, r in zip(intents, batch, strict=True)]
        outcomes = self.connector.push(stream.name, changes)
        return [send.Sent(r.call, o.status, o.id, o.message) for r, o in zip(batch, outcomes, strict=True)]

    def only_orders(self: Any, stream: Any, batch: Any) -> list[send.Sent]:
        """A customer that is not there would only make its orders wait, so customers are sent as always, and not killed."""
        if "order" in stream.name:
            return early(self, stream, batch)
        kill, send.failpoint = send.failpoint, lambda name: None
        try:
            return usual(self, stream, batch)
        finally:
            send.failpoint = kill

    send.Sender.send = only_orders  # type: ignore[method-assign]


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
    usual = send.Sender._call

    def anew(self: Any, stream: Any, calls: Any) -> float | None:
        for one in calls:
            one.change = replace(one.change, idempotency_key=f"{os.getpid()}-{next(number)}")
        return usual(self, stream, calls)

    send.Sender._call = anew  # type: ignore[method-assign]
