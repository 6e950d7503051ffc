"""The published snapshot: a copy of the warehouse for analysts, pages and plans, replaced atomically.

DuckDB lets one process write, and one open reader blocks the writer. So readers open the copy; who has the old one open keeps
reading the old one.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hub.errors import ConfigurationError
from hub.failpoints import failpoint
from warehouse.duck import literal, run
from warehouse.fixed import FIXED
from warehouse.lock import writer
from warehouse.runs import merged_so_far
from warehouse.writing import open_to_write


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` did. `replaced` is False when the snapshot is younger than the interval; `age` is then its age."""

    path: Path
    replaced: bool
    age: float
    bytes: int
    seconds: float


def publish(
    warehouse: Path, published: Path, min_interval: float = 0, agree: Callable[[str | None], None] | None = None
) -> Published:
    """Copy the warehouse to `published` unless that is younger than `min_interval` seconds or as new as the warehouse.

    `agree` is called with the run that the warehouse merged last, and raises where it is not the one to be published.
    Raises ConfigurationError W141 where there is no warehouse, TransientError while it is busy.
    """
    if not warehouse.is_file():
        raise ConfigurationError("W141", "there is no warehouse yet", fix="crossdock run makes it")
    began = time.monotonic()
    part = published.with_name(f".{published.name}.part")  # one, whoever was killed: the next takes its place
    with writer(warehouse.with_name("published")):
        if (old := age(published)) is not None and old < min_interval:
            return Published(published, False, old, published.stat().st_size, time.monotonic() - began)
        published.parent.mkdir(parents=True, exist_ok=True)
        try:
            with writer(warehouse):
                _checkpoint(warehouse, agree)
                shutil.copyfile(warehouse, part)
            _sync(part)
            failpoint("publish.before_replace")
            os.replace(part, published)
            _sync(published.parent)
        finally:
            part.unlink(missing_ok=True)
    return Published(published, True, 0.0, published.stat().st_size, time.monotonic() - began)


def age(published: Path) -> float | None:
    """Seconds since the snapshot was published; None where there is none.

    As many where it seems to be from the future, since the clock was put back: it does not stay young until that comes.
    """
    try:
        return abs(time.time() - published.stat().st_mtime)
    except FileNotFoundError:
        return None


def _checkpoint(warehouse: Path, agree: Callable[[str | None], None] | None) -> None:
    """Everything into the one file that is copied: the write-ahead log is not part of the snapshot.

    Merges leave gaps where rows were replaced (see `merge.py`). A checkpoint closes them, if there is anything to write.
    """
    con = open_to_write(warehouse, tidy=True)
    try:
        if agree is not None:
            agree(merged_so_far(con)[1])
        run(con, f"COMMENT ON TABLE ops.positions IS {literal(FIXED['ops.positions'][0])}", name="something to write")
        run(con, "CHECKPOINT", name="checkpoint")
    finally:
        con.close()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
