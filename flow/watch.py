"""Do something again whenever a file is saved. Files are asked for their time: editors replace them in too many ways to be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

_EVERY = 0.2  # seconds: below what a person who saves notices

Stamps = dict[Path, tuple[int, int]]


def stamps(files: Iterable[Path]) -> Stamps:
    """Each file that is there with its time and size."""
    found: Stamps = {}
    for file in files:
        try:
            said = file.stat()
        except OSError:
            continue  # an editor is replacing it
        found[file] = (said.st_mtime_ns, said.st_size)
    return found


def watch(files: Callable[[], Iterable[Path]], work: Callable[[], None]) -> None:
    """`work` now, and after every change of a file, also of one that is new or gone. Ends with KeyboardInterrupt only."""
    while True:
        before = stamps(files())
        work()
        while stamps(files()) == before:
            time.sleep(_EVERY)
