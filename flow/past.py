"""Do the warehouse and the ledger tell the same past? One of them may have been lost, or restored from an older backup."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hub.config import Project
from hub.errors import ConfigurationError

if TYPE_CHECKING:
    from warehouse.ledger import Ledger


def agree(ledger: Ledger) -> Callable[[str | None], None]:
    """For who holds the warehouse and knows which run it merged last (None: none): raises W143 unless the journal ends with that."""

    def compare(newest: str | None) -> None:
        """A warehouse that is another one would take the same records under other hub ids than the targets were told."""
        committed, left = ledger.journal_ends()
        if newest != committed and newest not in left:
            raise _other(ledger, newest, committed)

    return compare


def refuse_lost(project: Project, ledger: Ledger) -> None:
    """Raises ConfigurationError W143 where there was a warehouse and is none: before one is made, and the journal is settled by it."""
    if not project.warehouse.is_file() and (committed := ledger.journal_ends()[0]):
        raise _other(ledger, None, committed)


def _other(ledger: Ledger, newest: str | None, committed: str | None) -> ConfigurationError:
    if newest is None or ledger.journals(newest):
        what = f"the warehouse lacks merges that the ledger names; the last is {committed}"
        fix = "nothing was done; crossdock rebuild, or crossdock rebuild --forward after an older backup was restored"
    else:
        what = f"the ledger does not name the merge {newest}, which the warehouse has: it is an older one, or another's"
        fix = "nothing was done; restore the ledger that belongs to this warehouse"
    return ConfigurationError("W143", what, place=newest or "warehouse", fix=fix)
