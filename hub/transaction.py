"""A transaction: all of a block, or nothing of it, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def transaction(execute: Callable[[str], Any]) -> Iterator[None]:
    """BEGIN, the block and COMMIT, each said to `execute`; whatever is raised leaves nothing of the block."""
    execute("BEGIN")
    try:
        yield
        execute("COMMIT")
    except BaseException:
        roll_back(execute)
        raise


def roll_back(execute: Callable[[str], Any]) -> None:
    """For an `except` that raises again. A database whose disk is full has ended the transaction itself, and refuses to be asked."""
    with suppress(Exception):
        execute("ROLLBACK")
