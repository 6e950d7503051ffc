"""Who may write: locks with a fencing token, pauses of connections, and whether a person approved a target's first plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub.errors import StreamError, TransientError
from warehouse import ledger_tables as t
from warehouse.ledger_open import Opened
from warehouse.ledger_rows import Lock, Pause


class Permits(Opened):
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
