"""The merge journal: which runs were merged, in which order, and what people dismissed in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from warehouse import ledger_tables as t
from warehouse.ledger_open import Opened, counted
from warehouse.ledger_rows import Dismissal, JournalEntry, JournalState


class Journal(Opened):
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
                    "seq": counted(connection, "journal", 1),
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


def _entry(row: Row[Any]) -> JournalEntry:
    segments = tuple(json.loads(row.segments))
    return JournalEntry(row.seq, row.run_id, row.system, row.started_at, segments, row.outcome_seq, row.state)
