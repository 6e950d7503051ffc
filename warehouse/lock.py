"""The writer lock: one process writes the warehouse. DuckDB itself would refuse; waiting in a queue is kinder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.errors import TransientError

_PAUSE = 0.01


@contextmanager
def writer(warehouse: Path, timeout: float = 120.0) -> Iterator[None]:
    """Hold `<warehouse>.lock` (flock). A process that dies lets go of it.

    `timeout` in seconds; TransientError W103 when another process keeps it longer. Not reentrant.
    """
    path = warehouse.with_name(warehouse.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(handle, timeout, path)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, timeout: float, path: Path) -> None:
    until = time.monotonic() + timeout
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TransientError(
                    "W103",
                    f"another process has been writing {path.stem} for {timeout:.0f} s",
                    fix="try again; if it never ends, look at the running syncs",
                ) from None
        time.sleep(_PAUSE)
