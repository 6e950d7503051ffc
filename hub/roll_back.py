"""The end of a transaction that failed, without losing why."""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def roll_back(con: Any) -> None:
    """For the `except` that raises again. A database whose disk is full has ended the transaction itself, and refuses to be asked."""
    with suppress(Exception):
        con.execute("ROLLBACK")
