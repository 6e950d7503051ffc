"""What was sent and what became of it, as the warehouse, a plan and a trace read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from warehouse import ledger_tables as t
from warehouse.ledger_open import Opened, in_parts
from warehouse.ledger_rows import AppliedOutcome, Intent


class Sent(Opened):
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

    def open_intents(self, target: str) -> list[Intent]:
        """Calls of which nobody knows whether they happened, oldest first."""
        query = (
            select(t.intents).where(t.intents.c.target == target, t.intents.c.state != "done").order_by(t.intents.c.id)
        )
        with self._reading() as connection:
            return [intent_of(row) for row in connection.execute(query)]

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
            and_(i.entity == entity, i.hub_id.in_(part)) for entity, ids in records.items() for part in in_parts(ids)
        ]
        parts += [i.business_key.in_(part) for part in in_parts(keys)]
        return self._newest(target, parts)

    def _newest(self, target: str, parts: Sequence[ColumnElement[bool] | None]) -> list[Intent]:
        i = t.intents.c
        record = (i.stream, i.entity, i.hub_id, i.operation)
        found: dict[int, Intent] = {}
        with self._reading() as connection:
            opened = select(t.intents).where(i.target == target, i.state != "done")
            found |= {row.id: intent_of(row) for row in connection.execute(opened)}
            for part in parts:
                ours = [i.target == target, *([] if part is None else [part])]
                concluded = select(func.max(i.outcome_seq)).where(*ours).group_by(*record)
                applied = select(func.max(i.outcome_seq)).where(*ours, i.status == "applied").group_by(*record)
                query = select(t.intents).where(*ours, or_(i.outcome_seq.in_(concluded), i.outcome_seq.in_(applied)))
                found |= {row.id: intent_of(row) for row in connection.execute(query)}
        return [found[id] for id in sorted(found)]

    def unfolded(self, target: str, after: int) -> list[Intent]:
        """The calls that are open, and those with an outcome after this sequence: what a warehouse that has folded up to it
        does not know.
        """
        i, o = t.intents.c, t.outcomes.c
        answered = select(o.intent_id).where(o.seq > after)
        query = select(t.intents).where(i.target == target, or_(i.state != "done", i.id.in_(answered)))
        with self._reading() as connection:
            return [intent_of(row) for row in connection.execute(query.order_by(i.id))]

    def payload(self, payload_id: int) -> str | None:
        """The canonical JSON that was sent; None once it was erased."""
        with self._reading() as connection:
            return connection.execute(select(t.payloads.c.body).where(t.payloads.c.id == payload_id)).scalar()

    def bodies(self, payload_ids: Iterable[int]) -> dict[int, str]:
        """The canonical JSON of these payloads, by id; without the erased ones."""
        found: dict[int, str] = {}
        p = t.payloads.c
        with self._reading() as connection:
            for some in in_parts(set(payload_ids)):
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
            intents = [intent_of(row) for row in connection.execute(select(t.intents).where(mine).order_by(i.id))]
        known = self.images(one.id for one in intents)
        return [(one, known.get(one.id)) for one in intents]

    def images(self, intent_ids: Iterable[int]) -> dict[int, str]:
        """What targets held before these calls, as canonical JSON; a ledger before version 3 kept none."""
        found: dict[int, str] = {}
        wanted = sorted(set(intent_ids))
        if not wanted or t.version(self._engine) < 3:
            return found
        with self._reading() as connection:
            for some in in_parts(wanted):
                query = select(t.images.c.intent_id, t.images.c.body)
                mine = query.where(t.images.c.intent_id.in_(some), t.images.c.body.is_not(None))
                found |= {row.intent_id: row.body for row in connection.execute(mine)}
        return found

    def intents_of(self, entity: str, hub_ids: Iterable[int]) -> list[Intent]:
        """Every call ever intended for these records, oldest first."""
        query = select(t.intents).where(t.intents.c.entity == entity, t.intents.c.hub_id.in_(list(hub_ids)))
        with self._reading() as connection:
            return [intent_of(row) for row in connection.execute(query.order_by(t.intents.c.id))]

    def outcomes_of(self, entity: str, hub_ids: Iterable[int]) -> list[AppliedOutcome]:
        """Every outcome for these records, in order."""
        return self._outcomes(and_(t.intents.c.entity == entity, t.intents.c.hub_id.in_(list(hub_ids))))


def intent_of(row: Row[Any]) -> Intent:
    return Intent(**row._mapping)
