"""The ledger: what was sent, what became of it, which ids the targets gave, and in which order runs were merged.

It is the authority on all of that, and the warehouse folds it in by sequence (`outcomes_after`). Several processes write
it at once; every method is one short transaction, and what it returned is durable. Intents and outcomes are written only
by who holds the target's lock: a writer that lost it is refused (`fenced`), however late it wakes up.
"""

from __future__ import annotations

from warehouse.ledger_calls import Calls
from warehouse.ledger_journal import Journal
from warehouse.ledger_sent import Sent


class Ledger(Journal, Calls, Sent):
    """Open by URL; `read_only` reads what is there and creates nothing. One object a process; threads may share it."""
