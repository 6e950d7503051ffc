"""Calls to targets: written down before they are made, and what became of each. Only who holds the target's lock writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, select, update

from warehouse import ledger_tables as t
from warehouse.ledger_locks import Permits
from warehouse.ledger_open import counted
from warehouse.ledger_rows import Intent, Lock, Result, Sending, idempotency_key
from warehouse.ledger_sent import intent_of

MESSAGE_CHARACTERS = 500
FINAL = ("applied", "rejected", "unsupported")


class Calls(Permits):
    def intend(
        self, lock: Lock, target: str, sendings: Sequence[Sending], plan_id: str, run_id: str | None = None
    ) -> list[Intent]:
        """Write down calls before they are made, all in one commit. A repeated call is the intent that it was before."""
        now = datetime.now(UTC)
        attempt: dict[str, Any] = {"state": "open", "attempted_at": now, "plan_id": plan_id, "run_id": run_id}
        with self._engine.begin() as connection:
            self._guard(connection, lock)
            keys = _keys(connection, target, sendings)
            query = select(t.intents).where(t.intents.c.idempotency_key.in_(keys))
            known = {row.idempotency_key: intent_of(row) for row in connection.execute(query)}
            fresh = [(key, made) for key, made in zip(keys, sendings, strict=True) if key not in known]
            if known:
                ids = [intent.id for intent in known.values()]
                more = (
                    update(t.intents)
                    .where(t.intents.c.id.in_(ids))
                    .values(attempts=t.intents.c.attempts + 1, **attempt)
                )
                connection.execute(more)
            intents = {key: replace(old, attempts=old.attempts + 1, **attempt) for key, old in known.items()}
            intents |= _insert(connection, target, fresh, attempt | {"created_at": now}) if fresh else {}
        return [intents[key] for key in keys]

    def again(self, lock: Lock, ids: Sequence[int]) -> None:
        """Note that the calls of open intents are made once more."""
        with self._engine.begin() as connection:
            self._guard(connection, lock)
            connection.execute(
                update(t.intents)
                .where(t.intents.c.id.in_(ids))
                .values(attempts=t.intents.c.attempts + 1, attempted_at=datetime.now(UTC), state="open")
            )

    def conclude(self, lock: Lock, results: Sequence[Result]) -> list[int]:
        """Write outcomes, all in one commit; their sequences, in order. The message is cut at 500 characters."""
        if not results:
            return []
        with self._engine.begin() as connection:
            self._guard(connection, lock)
            return self._conclude(connection, results, datetime.now(UTC))

    def _conclude(self, connection: Connection, results: Sequence[Result], now: datetime) -> list[int]:
        first = counted(connection, "outcome", len(results))
        ids = [result.intent_id for result in results]
        i = t.intents.c
        query = select(i.id, i.plan_id, i.run_id, i.external_id).where(i.id.in_(ids))
        known = {row.id: row for row in connection.execute(query)}
        rows = [_outcome_row(seq, result, known[result.intent_id], now) for seq, result in enumerate(results, first)]
        connection.execute(insert(t.outcomes), rows)
        changed = update(t.intents).where(i.id == bindparam("_id"))
        said = ("status", "external_id", "message", "transient", "found")
        states = [
            {"_id": row["intent_id"], "state": _state(result), "outcome_seq": row["seq"]}
            | {name: row[name] for name in said}
            for row, result in zip(rows, results, strict=True)
        ]
        connection.execute(changed, states)
        return [row["seq"] for row in rows]

    def erase(self, entity: str, hub_ids: Iterable[int]) -> int:
        """Blank payloads and messages of all concluded calls for these records; how many. Who was sent what stays known."""
        i = t.intents.c
        mine = and_(i.entity == entity, i.hub_id.in_(list(hub_ids)), i.state == "done")
        with self._engine.begin() as connection:
            bodies = t.payloads.c.id.in_(select(i.payload_id).where(mine))
            erased = update(t.payloads).where(bodies, t.payloads.c.body.is_not(None))
            count = connection.execute(erased.values(body=None, erased_at=datetime.now(UTC))).rowcount
            images = update(t.images).where(t.images.c.intent_id.in_(select(i.id).where(mine)))
            connection.execute(images.values(body=None, erased_at=datetime.now(UTC)))
            told = t.outcomes.c.intent_id.in_(select(i.id).where(mine))
            connection.execute(update(t.outcomes).where(told).values(message=""))
            connection.execute(update(t.intents).where(mine).values(message=""))
        return count


def _keys(connection: Connection, target: str, sendings: Sequence[Sending]) -> list[str]:
    """The idempotency key of each call, in order."""
    i = t.intents.c
    basis: dict[tuple[str, str, int], int] = {}
    for stream, entity in {(made.stream, made.entity) for made in sendings}:
        hubs = [made.hub_id for made in sendings if (made.stream, made.entity) == (stream, entity)]
        mine = and_(i.target == target, i.stream == stream, i.entity == entity, i.hub_id.in_(hubs))
        query = select(i.hub_id, func.max(i.outcome_seq)).where(mine, i.status == "applied").group_by(i.hub_id)
        basis |= {(stream, entity, hub_id): seq for hub_id, seq in connection.execute(query)}
    return [idempotency_key(target, one, basis.get((one.stream, one.entity, one.hub_id), 0)) for one in sendings]


def _insert(
    connection: Connection, target: str, fresh: Sequence[tuple[str, Sending]], attempt: Mapping[str, Any]
) -> dict[str, Intent]:
    """New intents with their payloads, by key."""
    bodies = [{"body": made.payload} for _, made in fresh]
    payloads = insert(t.payloads).returning(t.payloads.c.id, sort_by_parameter_order=True)
    payload_ids = list(connection.execute(payloads, bodies).scalars())
    rows = [
        {
            **attempt,
            "target": target,
            "stream": made.stream,
            "entity": made.entity,
            "hub_id": made.hub_id,
            "operation": made.operation,
            "business_key": made.key,
            "idempotency_key": key,
            "payload_id": payload_id,
            "payload_hash": made.fingerprint,
            "attempts": 1,
            "external_id": made.external_id,
            "message": "",
            "transient": False,
            "found": False,
        }
        for (key, made), payload_id in zip(fresh, payload_ids, strict=True)
    ]
    intents = insert(t.intents).returning(t.intents.c.id, sort_by_parameter_order=True)
    ids = list(connection.execute(intents, rows).scalars())
    images = [{"intent_id": id, "body": made.image} for id, (_, made) in zip(ids, fresh, strict=True) if made.image]
    if images:
        connection.execute(insert(t.images), images)
    connection.execute(
        insert(t.touched),
        [{"intent_id": id, "places": json.dumps(made.fields)} for id, (_, made) in zip(ids, fresh, strict=True)],
    )
    unknown = {"status": None, "outcome_seq": None}
    return {row["idempotency_key"]: Intent(id=id, **(row | unknown)) for id, row in zip(ids, rows, strict=True)}


def _outcome_row(seq: int, result: Result, intent: Any, now: datetime) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "seq": seq,
        "intent_id": result.intent_id,
        "plan_id": intent.plan_id,
        "run_id": intent.run_id,
        "status": outcome.status,
        "external_id": outcome.id or intent.external_id,
        "message": outcome.message[:MESSAGE_CHARACTERS],
        "request_id": outcome.request_id,
        "transient": outcome.transient,
        "found": result.found,
        "at": now,
        "duration": result.duration,
    }


def _state(result: Result) -> str:
    if result.close or result.outcome.status in FINAL:
        return "done"
    return "held" if result.hold else "open"
