"""The writer lock: one process writes the warehouse. DuckDB itself would refuse; waiting in a queue is kinder.

Who waits says so, with a shared lock on `<warehouse>.lock.wanted`, which a process that dies lets go of as well. So who holds the
lock and could go on with it knows whether somebody is kept from it (`wanted`).
"""

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
    path = _file(warehouse)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(handle, timeout, path)
        yield
    finally:
        os.close(handle)


def wanted(warehouse: Path) -> bool:
    """Does anybody wait for the lock?"""
    try:
        handle = os.open(_asked(_file(warehouse)), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # nobody ever had to
        return False
    try:
        return not _taken(handle)
    finally:
        os.close(handle)


def _file(warehouse: Path) -> Path:
    return warehouse.with_name(warehouse.name + ".lock")


def _asked(lock: Path) -> Path:
    return lock.with_name(lock.name + ".wanted")


def _acquire(handle: int, timeout: float, path: Path) -> None:
    if _taken(handle) or (timeout > 0 and _waited(handle, timeout, path)):
        return
    raise TransientError(
        "W103",
        f"another process has been writing {path.stem} for {timeout:.0f} s",
        fix="try again; if it never ends, look at the running syncs",
    )


def _waited(handle: int, timeout: float, path: Path) -> bool:
    until = time.monotonic() + timeout
    asking = os.open(_asked(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(asking, fcntl.LOCK_SH)
        while not _taken(handle):
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE)
        return True
    finally:
        os.close(asking)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
