"""What a program imports while it runs, in seconds: a contestant's imports are told beside what it costs, whenever they happen.

Many libraries import on first use (dlt `requests`, pyarrow pandas): counting that where it happens would charge one contestant for what
another one imports at its top.
"""

from __future__ import annotations

import importlib._bootstrap as bootstrap  # type: ignore[import-not-found]
import threading
import time
from dataclasses import dataclass
from typing import Any


@dataclass
class Seconds:
    cpu: float = 0.0
    wall: float = 0.0


spent = Seconds()  # on imports since `watch`; one that another one asks for is part of it


def watch() -> None:
    """Begin to count. There is no end: a contestant's process ends."""
    load, inside = bootstrap._find_and_load, threading.local()

    def counted(*asked: Any) -> Any:
        """As `load`, which the interpreter calls for whatever is not imported yet."""
        if getattr(inside, "one", False):
            return load(*asked)
        inside.one, cpu, wall = True, time.thread_time(), time.monotonic()
        try:
            return load(*asked)
        finally:
            inside.one = False
            spent.cpu += time.thread_time() - cpu
            spent.wall += time.monotonic() - wall

    bootstrap._find_and_load = counted


def cpu() -> float:
    """CPU seconds of this process without the imports since `watch`."""
    return time.process_time() - spent.cpu


def clock() -> float:
    """Seconds on the clock, without them."""
    return time.monotonic() - spent.wall
