"""The ledger: what was sent, what became of it, which ids the targets gave, and in which order runs were merged.

It is the authority on all of that, and the warehouse folds it in by sequence (`outcomes_after`). Several processes write
it at once; every method is one short transaction, and what it returned is durable. Intents and outcomes are written only
by who holds the target's lock: a writer that lost it is refused (`fenced`), however late it wakes up.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from hub.errors import StreamError, TransientError
from warehouse import ledger_tables as t
from warehouse.ledger_rows import (
    AppliedOutcome,
    Dismissal,
    Intent,
    JournalEntry,
    JournalState,
    Lock,
    Pause,
    Result,
    Sending,
    idempotency_key,
)

__all__ = [
    "AppliedOutcome",
    "Intent",
    "JournalEntry",
    "JournalState",
    "Ledger",
    "Lock",
    "Pause",
    "Result",
    "Sending",
    "idempotency_key",
    "taken_over",
]

MESSAGE_CHARACTERS = 500
FINAL = ("applied", "rejected", "unsupported")


class Ledger:
    """Open by URL; `read_only` reads what is there and creates nothing. One object a process; threads may share it."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._engine = t.connect(url, read_only)
        if not read_only:
            t.create(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(reading=True) as connection:
            yield connection

    # The merge journal ------------------------------------------------------------------------------------------------

    def journal_begin(
        self, run_id: str, system: str, started_at: datetime, segments: Sequence[str], outcome_seq: int
    ) -> JournalEntry:
        """Write down a merge before it is made, while holding the warehouse's writer lock: `seq` is then the order of merges.

        A committed entry stays as it is. One that was left behind is moved to the end, with these segments: ask the
        warehouse first whether it knows the run, and if so call `journal_end`.
        """
        entry = t.journal.c.run_id == run_id
        with self._engine.begin() as connection:
            row = connection.execute(select(t.journal).where(entry)).first()
            if row is None or row.state != "committed":
                connection.execute(delete(t.journal).where(entry))
                values: dict[str, Any] = {
                    "seq": _count(connection, "journal", 1),
                    "run_id": run_id,
                    "system": system,
                    "started_at": started_at,
                    "segments": json.dumps(list(segments)),
                    "outcome_seq": outcome_seq,
                    "state": "written",
                }
                connection.execute(insert(t.journal).values(values))
                row = connection.execute(select(t.journal).where(entry)).one()
        return _entry(row)

    def journal_end(self, run_id: str, state: JournalState = "committed") -> None:
        """The warehouse has committed the merge, or (abandoned) it turned out that it never will."""
        with self._engine.begin() as connection:
            connection.execute(update(t.journal).where(t.journal.c.run_id == run_id).values(state=state))

    def journal(
        self, state: JournalState | None = None, system: str | None = None, since: datetime | None = None
    ) -> list[JournalEntry]:
        """The merges in the order in which they were made; those of runs that started at `since` or later."""
        query = select(t.journal).order_by(t.journal.c.seq)
        if state:
            query = query.where(t.journal.c.state == state)
        if system:
            query = query.where(t.journal.c.system == system)
        if since:
            query = query.where(t.journal.c.started_at >= since)
        with self._reading() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def journal_ends(self) -> tuple[str | None, set[str]]:
        """The run that was committed last, None where none was, and the runs of which it is not known whether they were."""
        newest = (
            select(t.journal.c.run_id).where(t.journal.c.state == "committed").order_by(t.journal.c.seq.desc()).limit(1)
        )
        left = select(t.journal.c.run_id).where(t.journal.c.state == "written")
        with self._reading() as connection:
            return connection.execute(newest).scalar(), set(connection.execute(left).scalars())

    def last_merges(self) -> dict[str, datetime]:
        """System → when the run that was merged last of it had started."""
        j = t.journal.c
        query = select(j.system, func.max(j.started_at)).where(j.state == "committed").group_by(j.system)
        with self._reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def journals(self, run_id: str) -> bool:
        """Does the journal name the run as one that was committed?"""
        query = select(t.journal.c.seq).where(t.journal.c.run_id == run_id, t.journal.c.state == "committed")
        with self._reading() as connection:
            return connection.execute(query).first() is not None

    # What people dismissed --------------------------------------------------------------------------------------------

    def dismiss(self, dismissed: Sequence[Dismissal]) -> None:
        """Keep that a person dismissed these cases."""
        with self._engine.begin() as connection:
            connection.execute(insert(t.dismissals), [asdict(one) for one in dismissed])

    def dismissals(self, system: str | None = None) -> list[Dismissal]:
        """What was dismissed, in order; of a system, or of all."""
        columns = [column for column in t.dismissals.c if column.name != "id"]
        query = select(*columns).order_by(t.dismissals.c.id)
        if system:
            query = query.where(t.dismissals.c.system == system)
        with self._reading() as connection:
            return [Dismissal(*tuple(row)) for row in connection.execute(query)]

    # Outcomes, for the warehouse --------------------------------------------------------------------------------------

    def last_seq(self) -> int:
        """The sequence of the newest outcome; 0 where there is none."""
        with self._reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(t.outcomes.c.seq), 0))).scalar_one())

    def outcomes_after(self, seq: int, up_to: int | None = None) -> list[AppliedOutcome]:
        """All outcomes with a sequence after `seq` (and at most `up_to`), in order."""
        o = t.outcomes.c
        return self._outcomes(o.seq > seq if up_to is None else and_(o.seq > seq, o.seq <= up_to))

    def _outcomes(self, condition: ColumnElement[bool]) -> list[AppliedOutcome]:
        o, i = t.outcomes.c, t.intents.c
        columns = (
            o.seq, o.intent_id, i.target, i.stream, i.entity, i.hub_id, i.operation, i.business_key, o.status,
            o.external_id, o.message, o.request_id, i.payload_hash, o.plan_id, o.run_id, o.at, o.duration,
        )  # fmt: skip
        query = select(*columns).join(t.intents, i.id == o.intent_id).where(condition).order_by(o.seq)
        if t.version(self._engine) >= 4:
            query = query.add_columns(t.touched.c.places)
            query = query.join(t.touched, t.touched.c.intent_id == o.intent_id, isouter=True)
        with self._reading() as connection:
            return [AppliedOutcome(*tuple(row)) for row in connection.execute(query)]

    # Locks ------------------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, name: str, seconds: float = 600) -> Iterator[Lock]:
        """Hold the lock while the block runs. A dead holder on this machine, or one silent for `seconds`, loses it.

        Raises TransientError P301 while somebody else holds it.
        """
        taken = self.take(name, seconds)
        try:
            yield taken
        finally:
            with self._engine.begin() as connection:
                connection.execute(
                    update(t.locks)
                    .where(t.locks.c.name == taken.name, t.locks.c.token == taken.token)
                    .values(holder="")
                )

    def take(self, name: str, seconds: float = 600) -> Lock:
        now = datetime.now(UTC)
        until = now + timedelta(seconds=seconds)
        try:
            with self._engine.begin() as connection:
                row = connection.execute(select(t.locks).where(t.locks.c.name == name).with_for_update()).first()
                if row is None:
                    values = {"name": name, "token": 1, "holder": t.me(), "taken_at": now, "expires_at": until}
                    connection.execute(insert(t.locks).values(values))
                    return Lock(name, 1, seconds)
                if row.holder and row.expires_at > now and not t.is_dead(row.holder):
                    raise _held(name, row.holder, row.taken_at)
                changed = {"token": row.token + 1, "holder": t.me(), "taken_at": now, "expires_at": until}
                connection.execute(update(t.locks).where(t.locks.c.name == name).values(changed))
                return Lock(name, row.token + 1, seconds)
        except IntegrityError:  # another process inserted the row in the same moment
            raise _held(name, "another process", now) from None

    def _guard(self, connection: Connection, lock: Lock) -> None:
        """Refuse a writer that has lost its lock; renew it for who still has it. Holds the row until the commit."""
        until = datetime.now(UTC) + timedelta(seconds=lock.seconds)
        held = and_(t.locks.c.name == lock.name, t.locks.c.token == lock.token)
        if connection.execute(update(t.locks).where(held).values(expires_at=until)).rowcount != 1:
            raise taken_over(lock)

    # Intents and outcomes ---------------------------------------------------------------------------------------------

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
            known = {row.idempotency_key: _intent(row) for row in connection.execute(query)}
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
        first = _count(connection, "outcome", len(results))
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

    # What a plan and a trace read -------------------------------------------------------------------------------------

    def open_intents(self, target: str) -> list[Intent]:
        """Calls of which nobody knows whether they happened, oldest first."""
        query = (
            select(t.intents).where(t.intents.c.target == target, t.intents.c.state != "done").order_by(t.intents.c.id)
        )
        with self._reading() as connection:
            return [_intent(row) for row in connection.execute(query)]

    def newest(
        self, target: str, records: Mapping[str, Collection[int]] | None = None, keys: Collection[str] = ()
    ) -> list[Intent]:
        """For each record and operation: the newest concluded call, the newest applied one, and all open ones.

        `records` (entity → hub ids) bounds the concluded ones to those of these records, and to those with one of the `keys`.
        """
        i = t.intents.c
        if records is None:
            return self._newest(target, [None])
        parts: list[ColumnElement[bool] | None] = [
            and_(i.entity == entity, i.hub_id.in_(part)) for entity, ids in records.items() for part in _parts(ids)
        ]
        parts += [i.business_key.in_(part) for part in _parts(keys)]
        return self._newest(target, parts)

    def _newest(self, target: str, parts: Sequence[ColumnElement[bool] | None]) -> list[Intent]:
        i = t.intents.c
        record = (i.stream, i.entity, i.hub_id, i.operation)
        found: dict[int, Intent] = {}
        with self._reading() as connection:
            opened = select(t.intents).where(i.target == target, i.state != "done")
            found |= {row.id: _intent(row) for row in connection.execute(opened)}
            for part in parts:
                ours = [i.target == target, *([] if part is None else [part])]
                concluded = select(func.max(i.outcome_seq)).where(*ours).group_by(*record)
                applied = select(func.max(i.outcome_seq)).where(*ours, i.status == "applied").group_by(*record)
                query = select(t.intents).where(*ours, or_(i.outcome_seq.in_(concluded), i.outcome_seq.in_(applied)))
                found |= {row.id: _intent(row) for row in connection.execute(query)}
        return [found[id] for id in sorted(found)]

    def unfolded(self, target: str, after: int) -> list[Intent]:
        """The calls that are open, and those with an outcome after this sequence: what a warehouse that has folded up to it
        does not know.
        """
        i, o = t.intents.c, t.outcomes.c
        answered = select(o.intent_id).where(o.seq > after)
        query = select(t.intents).where(i.target == target, or_(i.state != "done", i.id.in_(answered)))
        with self._reading() as connection:
            return [_intent(row) for row in connection.execute(query.order_by(i.id))]

    def payload(self, payload_id: int) -> str | None:
        """The canonical JSON that was sent; None once it was erased."""
        with self._reading() as connection:
            return connection.execute(select(t.payloads.c.body).where(t.payloads.c.id == payload_id)).scalar()

    def bodies(self, payload_ids: Iterable[int]) -> dict[int, str]:
        """The canonical JSON of these payloads, by id; without the erased ones."""
        found: dict[int, str] = {}
        p = t.payloads.c
        with self._reading() as connection:
            for some in _chunks(sorted(set(payload_ids))):
                query = select(p.id, p.body).where(p.id.in_(some), p.body.is_not(None))
                found |= {row.id: row.body for row in connection.execute(query)}
        return found

    def applied_by(self, plan_or_run: str) -> list[tuple[Intent, str | None]]:
        """The calls that a plan or a run had applied, in their order, each with what the target held before; None where that
        was not kept.
        """
        i = t.intents.c
        mine = and_(i.status == "applied", or_(i.plan_id == plan_or_run, i.run_id == plan_or_run))
        with self._reading() as connection:
            intents = [_intent(row) for row in connection.execute(select(t.intents).where(mine).order_by(i.id))]
        known = self.images(one.id for one in intents)
        return [(one, known.get(one.id)) for one in intents]

    def images(self, intent_ids: Iterable[int]) -> dict[int, str]:
        """What targets held before these calls, as canonical JSON; a ledger before version 3 kept none."""
        found: dict[int, str] = {}
        wanted = sorted(set(intent_ids))
        if not wanted or t.version(self._engine) < 3:
            return found
        with self._reading() as connection:
            for some in _chunks(wanted):
                query = select(t.images.c.intent_id, t.images.c.body)
                mine = query.where(t.images.c.intent_id.in_(some), t.images.c.body.is_not(None))
                found |= {row.intent_id: row.body for row in connection.execute(mine)}
        return found

    def intents_of(self, entity: str, hub_ids: Iterable[int]) -> list[Intent]:
        """Every call ever intended for these records, oldest first."""
        query = select(t.intents).where(t.intents.c.entity == entity, t.intents.c.hub_id.in_(list(hub_ids)))
        with self._reading() as connection:
            return [_intent(row) for row in connection.execute(query.order_by(t.intents.c.id))]

    def outcomes_of(self, entity: str, hub_ids: Iterable[int]) -> list[AppliedOutcome]:
        """Every outcome for these records, in order."""
        return self._outcomes(and_(t.intents.c.entity == entity, t.intents.c.hub_id.in_(list(hub_ids))))

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

    # Pauses -----------------------------------------------------------------------------------------------------------

    def pause(self, pause: Pause) -> bool:
        """Keep that a connection's credentials were refused. False where that was known: only `tried_at` is new then."""
        p = t.pauses.c
        with self._engine.begin() as connection:
            known = update(t.pauses).where(p.system == pause.system, p.credentials == pause.credentials)
            if connection.execute(known.values(tried_at=pause.tried_at)).rowcount:
                return False
            connection.execute(delete(t.pauses).where(p.system == pause.system))
            connection.execute(insert(t.pauses).values(asdict(pause)))
        return True

    def paused(self, system: str) -> Pause | None:
        """The pause of a system's connection, if there is one."""
        if t.version(self._engine) < 4:
            return None
        with self._reading() as connection:
            row = connection.execute(select(t.pauses).where(t.pauses.c.system == system)).first()
        return Pause(*tuple(row)) if row else None

    def resume(self, system: str) -> bool:
        """End the pause of a system's connection; whether there was one."""
        with self._engine.begin() as connection:
            return bool(connection.execute(delete(t.pauses).where(t.pauses.c.system == system)).rowcount)

    # Approvals --------------------------------------------------------------------------------------------------------

    def approve(self, plan_id: str, target: str, approved_by: str) -> None:
        values = {"plan_id": plan_id, "target": target, "approved_by": approved_by, "at": datetime.now(UTC)}
        with self._engine.begin() as connection:
            connection.execute(insert(t.approvals).values(values))

    def is_approved(self, target: str, plan_id: str | None = None) -> bool:
        """Whether a person has ever had a plan for this target applied, or this one."""
        query = select(func.count()).select_from(t.approvals).where(t.approvals.c.target == target)
        if plan_id:
            query = query.where(t.approvals.c.plan_id == plan_id)
        with self._reading() as connection:
            return bool(connection.execute(query).scalar_one())


def _chunks(ids: Sequence[int], size: int = 5_000) -> Iterator[Sequence[int]]:
    """Databases limit how many values one statement takes."""
    return (ids[at : at + size] for at in range(0, len(ids), size))


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


def _count(connection: Connection, name: str, steps: int) -> int:
    """The first of the next `steps` numbers of a counter."""
    row = t.counters.c.name == name
    connection.execute(update(t.counters).where(row).values(value=t.counters.c.value + steps))
    return int(connection.execute(select(t.counters.c.value).where(row)).scalar_one()) - steps + 1


def _entry(row: Row[Any]) -> JournalEntry:
    segments = tuple(json.loads(row.segments))
    return JournalEntry(row.seq, row.run_id, row.system, row.started_at, segments, row.outcome_seq, row.state)


_AT_ONCE = 5_000  # values of one IN: SQLite takes 32,766 parameters a statement


def _parts(values: Collection[Any]) -> Iterator[list[Any]]:
    listed = sorted(values)
    return (listed[at : at + _AT_ONCE] for at in range(0, len(listed), _AT_ONCE))


def _intent(row: Row[Any]) -> Intent:
    return Intent(**row._mapping)


def taken_over(lock: Lock) -> StreamError:
    """The error for a writer whose lock is no longer its own."""
    return StreamError(
        "P302",
        f"the lock '{lock.name}' was taken over by another process",
        fix="this process stops; what it left open is looked up by the next push",
    )


def _held(name: str, holder: str, since: datetime) -> TransientError:
    return TransientError(
        "P301",
        f"'{name}' is being written by {holder} since {since:%Y-%m-%d %H:%M:%S} UTC",
        fix="wait until it has finished; a dead process loses the lock by itself",
    )
