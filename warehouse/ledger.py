"""The ledger: what was sent, what became of it, which ids the targets gave, and in which order runs were merged.

It is the authority on all of that, and the warehouse folds it in by sequence (`outcomes_after`). Several processes write
it at once; every method is one short transaction, and what it returned is durable. Intents and outcomes are written only
by who holds the target's lock: a writer that lost it is refused (`fenced`), however late it wakes up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from hub.connector import Outcome
from hub.errors import StreamError, TransientError
from warehouse import ledger_tables as t

MESSAGE_CHARACTERS = 500
JournalState = Literal["written", "committed", "abandoned"]
FINAL = ("applied", "rejected", "unsupported")


@dataclass(frozen=True, slots=True)
class AppliedOutcome:
    """One outcome as the warehouse folds it: `applied` creates and upserts with an `external_id` make a binding.

    `seq` rises with the commits, so that "after seq" never misses one. `key` is the business key, `fingerprint` the
    SHA-256 of the payload as it was sent, `duration` seconds.
    """

    seq: int
    intent_id: int
    target: str
    stream: str
    entity: str
    hub_id: int
    operation: str
    key: str
    status: str
    external_id: str | None
    message: str
    request_id: str
    fingerprint: str
    plan_id: str
    run_id: str | None
    at: datetime
    duration: float
