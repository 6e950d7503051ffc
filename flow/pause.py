"""A connection whose credentials were refused is left alone: more attempts would only lock the user out, and alert nobody anew.

It is used again when its credentials are others, when a person says so (`crossdock resume`), or for one attempt an hour. The
other systems go on meanwhile. The ledger keeps it, so that it holds for every worker.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from hub.config import Project, connection
from hub.errors import AuthenticationError, CrossdockError, ForbiddenError
from hub.findings import Finding
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Pause

ATTEMPT = timedelta(hours=1)


def paused(project: Project, system: str, now: datetime | None = None) -> Finding | None:
    """Why nobody may log in at the system now; None where somebody may."""
    with Ledger(project.ledger, read_only=True) as ledger:
        pause = ledger.paused(system)
    # Also where the clock was put back.
    if pause is None or abs((now or datetime.now(UTC)) - pause.tried_at) >= ATTEMPT:
        return None
    return _said(project, pause) if _digest(project, system, pause.credentials) == pause.credentials else None


def refused(project: Project, system: str, error: CrossdockError) -> bool:
    """Pause the connection where `error` says that its credentials were refused. False: that was known, so nobody is told again."""
    if not isinstance(error, AuthenticationError) or isinstance(error, ForbiddenError):
        return True
    now = datetime.now(UTC)
    with Ledger(project.ledger) as ledger:
        known = ledger.paused(system)
        digest = _digest(project, system, known.credentials if known else "")
        return ledger.pause(Pause(system, digest, error.what, now, now))


def resume(project: Project, system: str) -> bool:
    """End the pause; whether there was one. An attempt that succeeds does the same."""
    with Ledger(project.ledger, read_only=True) as ledger:
        if ledger.paused(system) is None:
            return False
    with Ledger(project.ledger) as ledger:
        return ledger.resume(system)


def still(project: Project, system: str) -> Finding:
    """What is said where the attempt of the hour was refused, too."""
    with Ledger(project.ledger, read_only=True) as ledger:
        pause = ledger.paused(system)
    assert pause is not None, "it was kept a moment ago"
    return _said(project, pause)


def _said(project: Project, pause: Pause) -> Finding:
    what = f"'{pause.system}' is left alone since {pause.since:%Y-%m-%d %H:%M} UTC: its credentials were refused"
    fix = f"correct them, or crossdock resume {pause.system}"
    return Finding("P212", what, project.system(pause.system).place, fix, "warning")


def _digest(project: Project, system: str, known: str) -> str:
    """Salted and slow: it stands in the ledger, and a password must not be guessed from it."""
    salt = known.partition("$")[0] or secrets.token_hex(8)
    to = connection(project, system)
    parts = (to.url, to.login, to.password.reveal(), repr(sorted(to.extra.items())))
    made = hashlib.scrypt("\0".join(parts).encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=16)
    return f"{salt}${made.hex()}"
