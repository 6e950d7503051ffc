"""The published snapshot: a copy of the warehouse for analysts, pages and plans, replaced atomically.

DuckDB lets one process write, and one open reader blocks the writer. So readers open the copy; who has the old one open keeps
reading the old one. Nobody writes to it: one writer would keep all readers out. So its file is read-only, and what somebody who
could do so all the same left beside it (a write-ahead log) goes when it is replaced: DuckDB would put it into the next copy.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub.entity import Model
from hub.errors import ConfigurationError
from hub.failpoints import failpoint
from warehouse.describe import describe
from warehouse.duck import run, with_beside
from warehouse.lock import writer
from warehouse.runs import merged_so_far
from warehouse.tables import set_position
from warehouse.writing import open_to_write

PUBLISHED_AT = "published_at"  # the position that says so; marts.freshness reads it


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` did. `replaced` is False when the snapshot is younger than the interval; `age` is then its age."""

    path: Path
    replaced: bool
    age: float
    bytes: int
    seconds: float


def publish(
    warehouse: Path,
    model: Model,
    published: Path,
    min_interval: float = 0,
    agree: Callable[[str | None], None] | None = None,
) -> Published:
    """Describe the warehouse (`describe.py`) and copy it to `published`, unless that is younger than `min_interval` seconds.

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
                _checkpoint(warehouse, model, agree)
                part.unlink(missing_ok=True)  # of one that was killed
                shutil.copyfile(warehouse, part)
            part.chmod(0o444)
            _sync(part)
            failpoint("publish.before_replace")
            for left in with_beside(published)[1:]:
                left.unlink(missing_ok=True)
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


def _checkpoint(warehouse: Path, model: Model, agree: Callable[[str | None], None] | None) -> None:
    """Everything into the one file that is copied: the write-ahead log is not part of the snapshot.

    Merges leave gaps where rows were replaced (see `merge.py`). A checkpoint closes them, if there is anything to write.
    """
    con = open_to_write(warehouse, tidy=True)
    try:
        if agree is not None:
            agree(merged_so_far(con)[1])
        describe(con, model)
        set_position(con, PUBLISHED_AT, datetime.now(UTC).isoformat())  # so there is something to write
        run(con, "CHECKPOINT", name="checkpoint")
    finally:
        con.close()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
